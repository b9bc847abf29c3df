/* SPDX-License-Identifier: MIT */
/*
 * A hash table of pointers that is read without a lock and grows in small
 * steps (extendible hashing): a directory of segments, each of which splits in
 * two when it fills, so that no insert ever moves more than one segment.
 *
 * A bucket is one cache line: seven pointers and a word with one tag byte per
 * pointer (0: free) and, in the top byte, how many items that belong here or
 * before went on to a later bucket. A search ends where that count is 0. It
 * sticks at 255, which costs time but is never wrong.
 *
 * Writers are serialised by the caller. What they replace goes to a struct
 * trash, to be freed when no reader can see it any more. A reader that runs
 * beside them finds all that was inside before and still is, and may find what
 * was removed since it began.
 */
#ifndef IOTLB_TABLE_H
#define IOTLB_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reader.h"

#define TABLE_BUCKETS 32
#define TABLE_SLOTS   7

struct pool;

/* First member of all that readers may still hold. */
struct trash_head {
	struct grace_head grace;
	struct trash_head *next;
	struct pool *pool; /* NULL: it is freed with free() */
};

/* Takes back @count of its own, chained; any thread. pool.c */
void pool_return(struct pool *pool, struct trash_head *first,
		 struct trash_head *last, uint64_t count);

/* A chain of unpublished things; one grace period frees all of it. */
struct trash {
	struct trash_head *first;
	size_t count;
};

struct table_bucket {
	uint64_t tags;
	void *item[TABLE_SLOTS];
} __attribute__((aligned(64)));

struct table_segment {
	struct trash_head trash;
	uint32_t count;
	uint32_t depth; /* leading hash bits that all items here share */
	struct table_bucket bucket[TABLE_BUCKETS];
};

/* Aligned so that its depth (log2 of its length) fits beside its address. */
#define TABLE_DEPTH_MASK 63ull

struct table_directory {
	struct trash_head trash;
	struct table_segment *segment[];
};

struct table {
	uintptr_t directory; /* address | depth; 0: nothing inserted yet */
	size_t count;
	uint64_t (*hash)(const void *item);
};

/* Where an eviction looks next. */
struct table_hand {
	size_t segment;
	unsigned int bucket;
};

/* -ENOMEM: nothing changed, except that the table may have grown. */
int table_insert(struct table *table, uint64_t hash, void *item,
		 struct trash *trash);

/* @item must be inside. Allocates nothing. */
void table_remove(struct table *table, uint64_t hash, void *item,
		  struct trash *trash);

/* An item that is @wanted, going round; there must be one. */
void *table_pick(struct table *table, struct table_hand *hand,
		 bool (*wanted)(const void *item));

/* Frees the table, not the items. No reader may be left. */
void table_fini(struct table *table);

void trash_add(struct trash *trash, struct trash_head *head);
void trash_move(struct trash *to, struct trash *from);

/* Hand the chain over to @grace; no lock of this room may be held. */
void trash_defer(struct trash *trash, struct grace *grace);

/* Free it at once; no reader may be left. */
void trash_free(struct trash *trash);

static inline struct table_directory *table_directory(uintptr_t word)
{
	return (struct table_directory *)(word & ~TABLE_DEPTH_MASK);
}

static inline size_t table_index(uintptr_t word, uint64_t hash)
{
	return (hash >> 1) >> (63 - (word & TABLE_DEPTH_MASK));
}

static inline unsigned int table_home(uint64_t hash)
{
	return (hash >> 8) % TABLE_BUCKETS;
}

static inline uint8_t table_tag(uint64_t hash)
{
	uint8_t tag = (uint8_t)hash;

	return tag ? tag : 1;
}

/* The top bit of each tag byte in @tags that equals @tag. */
static inline uint64_t table_match(uint64_t tags, uint8_t tag)
{
	const uint64_t low = 0x7f7f7f7f7f7f7f7full;
	uint64_t diff = tags ^ (tag * 0x0101010101010101ull);

	return ~(((diff & low) + low) | diff | low) & 0x0080808080808080ull;
}

/*
 * The first item with @hash for which @equal holds, or NULL. For readers in a
 * read section, and for writers.
 */
static inline __attribute__((always_inline)) void *
table_find(const struct table *table, uint64_t hash,
	   bool (*equal)(const void *item, const void *key), const void *key)
{
	uintptr_t word = reader_load(&table->directory);
	const struct table_segment *segment;
	unsigned int at = table_home(hash);

	if (!word)
		return NULL;
	segment = reader_load(
		&table_directory(word)->segment[table_index(word, hash)]);

	for (unsigned int n = 0; n < TABLE_BUCKETS; n++) {
		const struct table_bucket *bucket = &segment->bucket[at];
		/* Pairs with the release in place(): tag, then its item. */
		uint64_t tags = reader_load(&bucket->tags);
		uint64_t match = table_match(tags, table_tag(hash));

		for (; match; match &= match - 1) {
			unsigned int slot = __builtin_ctzll(match) / 8;
			void *item = reader_load(&bucket->item[slot]);

			if (equal(item, key))
				return item;
		}
		if (!(tags >> 56))
			return NULL;
		at = (at + 1) % TABLE_BUCKETS;
	}
	return NULL;
}

#endif
