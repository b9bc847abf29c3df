/* SPDX-License-Identifier: MIT */
/* A ring of links, embedded in what is listed. */
#ifndef DRV_LIST_H
#define DRV_LIST_H

#include <stdbool.h>

#include "base/bits.h"

struct link {
	struct link *next;
	struct link *prev;
};

static inline void link_init(struct link *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool link_empty(const struct link *head)
{
	return head->next == head;
}

static inline void link_add(struct link *head, struct link *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

/* Leaves @l empty, so that removing twice does no harm. */
static inline void link_del(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	link_init(l);
}

#define link_for_each(head, l) \
	for (struct link *l = (head)->next; l != (head); l = l->next)

#endif
