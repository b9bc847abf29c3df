/* SPDX-License-Identifier: MIT */
/* The index of a physical space, shared by its two source files only. */
#ifndef MEM_PHYS_PRIV_H
#define MEM_PHYS_PRIV_H

#include <pthread.h>

#include "base/itree.h"
#include "mem/phys.h"

/* With one node in four on the next level, 4^12 ranges cost O(log n) */
#define PHYS_LEVELS 12

/*
 * A node of the skip list by which readers find ranges. next[] is stored with
 * release and loaded with acquire; a removed node keeps its own, so that a
 * reader standing on it still gets on. What a lookup touches lies together.
 */
struct phys_range {
	struct phys *phys;
	struct phys_range *link;
	struct grace_head grace;
	struct itree_node used;
	struct itree_node memory; /* where its bytes are; in by_memory */
	uint64_t space;		  /* the address space they are in */
	bool in_memory;
	struct phys_io io;
	unsigned int levels;
	uint32_t flags;
	/* What the client has taken away: a bit for each page, set and, by
	 * phys_regain(), cleared; phys_all_lost; or NULL */
	uint64_t *lost;
	char *host;
	uint64_t first;
	uint64_t last;
	struct phys_range *next[];
};

struct phys {
	struct phys_head access; /* first, see phys_generation() */
	struct phys_range *head[PHYS_LEVELS];
	unsigned int levels; /* in use; only grows */
	unsigned int oas_bits;
	uint64_t count;
	/* Writers only, under lock */
	pthread_mutex_t lock;
	struct itree used; /* weight: free bytes in front; and a sentinel */
	struct itree_node top;
	struct itree by_memory;
	uint64_t fresh;	 /* where the search for free space begins */
	uint64_t random; /* any thread, and any value will do */
};

/* Stands for a bit for each page, all of them set */
extern uint64_t phys_all_lost[1];

/* Frees what phys_lose() made. */
void phys_lost_free(struct phys_range *range);

/*
 * Is the byte at @pa of @r still there? *@first and *@last: as much around it
 * of which the same can be said.
 */
bool phys_is_there(const struct phys_range *r, uint64_t pa, uint64_t *first,
		   uint64_t *last);

/* The range that holds @pa, or NULL. In a read section, or under the lock. */
static inline const struct phys_range *phys_lookup(const struct phys *p,
						   uint64_t pa)
{
	int level = (int)__atomic_load_n(&p->levels, __ATOMIC_RELAXED) - 1;
	struct phys_range *const *next = p->head;
	const struct phys_range *found = NULL;

	for (; level >= 0; level--) {
		const struct phys_range *n = reader_load(&next[level]);

		while (n && n->first <= pa) {
			found = n;
			next = n->next;
			n = reader_load(&next[level]);
		}
	}
	return found && pa <= found->last ? found : NULL;
}

#endif
