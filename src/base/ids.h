/* SPDX-License-Identifier: MIT */
/*
 * Object ids: reserved first, published last. A reserved id is taken but looks
 * free to lookups until its object is published.
 *
 * The caller serialises all functions but ids_get(), which may run at any time
 * from any thread: nothing it reads is freed before ids_fini(). Keeping the
 * object itself alive (a lock, a read section) is the caller's business.
 */
#ifndef BASE_IDS_H
#define BASE_IDS_H

#include <stdint.h>

#define IDS_LIMIT_MAX 0x7fffffffU

struct ids_node;

struct ids {
	struct ids_node *root;
	uint32_t limit;
};

/* Ids are 1..@limit; a @limit of 0 or above IDS_LIMIT_MAX means the latter. */
void ids_init(struct ids *t, uint32_t limit);

/* Frees the table, not the objects. */
void ids_fini(struct ids *t);

/* Lowest free id. Return: 0, -ENOSPC (all taken) or -ENOMEM. */
int ids_reserve(struct ids *t, uint32_t *id);

/* @id must be reserved; @ptr must not be NULL. Replaces what was there. */
void ids_publish(struct ids *t, uint32_t id, void *ptr);

/* The published object (acquire: fully built), NULL for any other number. */
void *ids_get(const struct ids *t, uint32_t id);

/* Back to reserved: no longer found, the id not yet free. Returns the object */
void *ids_unpublish(struct ids *t, uint32_t id);

/* Free a reserved or published id. Returns what was published, or NULL. */
void *ids_remove(struct ids *t, uint32_t id);

/* The published id above @after (0 to begin) and its object; NULL at the end */
void *ids_next(const struct ids *t, uint32_t after, uint32_t *id);

#endif
