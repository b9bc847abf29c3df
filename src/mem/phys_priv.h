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
	struct phys_io io;
	unsigned int levels;
	uint32_t flags;
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
	uint64_t fresh; /* where the search for free space begins */
	uint64_t random;
};

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
