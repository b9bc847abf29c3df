// SPDX-License-Identifier: MIT
/* The writers' half of the hash table (table.h). */
#include "iotlb/table.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"

#define SEGMENT_SLOTS (TABLE_BUCKETS * TABLE_SLOTS)
#define SEGMENT_FULL  (SEGMENT_SLOTS * 4 / 5)
#define DEPTH_MAX     28

#define PASSED_ONE    (1ull << 56) /* one more item went past this bucket */
#define PASSED_MAX    255ull

void trash_add(struct trash *trash, struct trash_head *head)
{
	head->next = trash->first;
	trash->first = head;
	trash->count++;
}

void trash_move(struct trash *to, struct trash *from)
{
	while (from->first) {
		struct trash_head *head = from->first;

		from->first = head->next;
		trash_add(to, head);
	}
	from->count = 0;
}

/* Those of one pool that follow each other go back together. */
static struct trash_head *pooled_free(struct trash_head *first)
{
	struct trash_head *last = first, *next = first->next;
	uint64_t count = 1;

	for (; next && next->pool == first->pool; next = next->next) {
		last = next;
		count++;
	}
	pool_return(first->pool, first, last, count);
	return next;
}

static void chain_free(struct trash_head *head)
{
	while (head) {
		struct trash_head *next = head->next;

		if (head->pool)
			next = pooled_free(head);
		else
			free(head);
		head = next;
	}
}

static void chain_expired(struct grace_head *grace)
{
	chain_free(container_of(grace, struct trash_head, grace));
}

void trash_defer(struct trash *trash, struct grace *grace)
{
	if (trash->first)
		grace_defer(grace, &trash->first->grace, chain_expired);
	*trash = (struct trash){ 0 };
}

void trash_free(struct trash *trash)
{
	chain_free(trash->first);
	*trash = (struct trash){ 0 };
}

static struct table_segment *segment_create(uint32_t depth)
{
	struct table_segment *segment = alloc_aligned(64, sizeof(*segment));

	if (segment)
		segment->depth = depth;
	return segment;
}

static struct table_directory *directory_create(unsigned int depth)
{
	struct table_directory *directory;
	size_t size =
		sizeof(*directory) + (sizeof(directory->segment[0]) << depth);

	return alloc_aligned(64, (size + 63) & ~(size_t)63);
}

/* The segment must have a free slot. */
static void place(struct table_segment *segment, uint64_t hash, void *item)
{
	unsigned int at = table_home(hash);
	struct table_bucket *bucket;
	uint64_t tags, empty;
	unsigned int slot;

	for (;; at = (at + 1) % TABLE_BUCKETS) {
		bucket = &segment->bucket[at];
		tags = bucket->tags;
		empty = table_match(tags, 0);
		if (empty)
			break;
		if (tags >> 56 != PASSED_MAX)
			reader_publish(&bucket->tags, tags + PASSED_ONE);
	}

	slot = __builtin_ctzll(empty) / 8;
	reader_publish(&bucket->item[slot], item);
	/* A reader that sees the tag sees the item (table_find()). */
	reader_publish(&bucket->tags, tags | (uint64_t)table_tag(hash)
						      << (slot * 8));
	segment->count++;
}

/* In which slot of @bucket @item lies, or -1. */
static int slot_of(const struct table_bucket *bucket, uint64_t hash,
		   const void *item)
{
	uint64_t match = table_match(bucket->tags, table_tag(hash));

	for (; match; match &= match - 1) {
		int slot = __builtin_ctzll(match) / 8;

		if (bucket->item[slot] == item)
			return slot;
	}
	return -1;
}

/* Copy the items whose hash has @bit set, or clear, into @half. */
static void distribute(const struct table *table,
		       const struct table_segment *segment, uint64_t bit,
		       struct table_segment *halves[2])
{
	for (unsigned int n = 0; n < TABLE_BUCKETS; n++) {
		const struct table_bucket *bucket = &segment->bucket[n];

		for (unsigned int slot = 0; slot < TABLE_SLOTS; slot++) {
			void *item = bucket->item[slot];
			uint64_t hash;

			if (!((bucket->tags >> (slot * 8)) & 0xff))
				continue;
			hash = table->hash(item);
			place(halves[!!(hash & bit)], hash, item);
		}
	}
}

/*
 * Twice as many directory entries, all segments as before. Refused when the
 * directory would outgrow what it lists: then the hashes are no good, and a
 * deeper directory would not help.
 */
static int directory_grow(struct table *table, struct trash *trash)
{
	uintptr_t word = table->directory;
	unsigned int depth = word & TABLE_DEPTH_MASK;
	struct table_directory *old = table_directory(word), *new;

	if (depth >= DEPTH_MAX || (size_t)1 << depth > table->count)
		return -ENOMEM;
	new = directory_create(depth + 1);
	if (!new)
		return -ENOMEM;

	for (size_t n = 0; n < (size_t)2 << depth; n++)
		new->segment[n] = old->segment[n / 2];
	reader_publish(&table->directory, (uintptr_t) new | (depth + 1));
	trash_add(trash, &old->trash);
	return 0;
}

static int segment_split(struct table *table, uint64_t hash,
			 struct table_segment *segment, struct trash *trash)
{
	struct table_segment *halves[2];
	struct table_directory *directory;
	unsigned int depth;
	size_t first, span;
	int rc;

	if (segment->depth == (table->directory & TABLE_DEPTH_MASK)) {
		rc = directory_grow(table, trash);
		if (rc)
			return rc;
	}
	halves[0] = segment_create(segment->depth + 1);
	halves[1] = segment_create(segment->depth + 1);
	if (!halves[0] || !halves[1]) {
		free(halves[0]);
		free(halves[1]);
		return -ENOMEM;
	}
	distribute(table, segment, 1ull << (63 - segment->depth), halves);

	depth = table->directory & TABLE_DEPTH_MASK;
	directory = table_directory(table->directory);
	span = (size_t)1 << (depth - segment->depth);
	first = table_index(table->directory, hash) & ~(span - 1);
	for (size_t n = 0; n < span; n++)
		reader_publish(&directory->segment[first + n],
			       halves[n >= span / 2]);
	trash_add(trash, &segment->trash);
	return 0;
}

static int table_start(struct table *table)
{
	struct table_directory *directory = directory_create(0);
	struct table_segment *segment = segment_create(0);

	if (!directory || !segment) {
		free(directory);
		free(segment);
		return -ENOMEM;
	}
	directory->segment[0] = segment;
	reader_publish(&table->directory, (uintptr_t)directory);
	return 0;
}

static struct table_segment *segment_of(struct table *table, uint64_t hash)
{
	uintptr_t word = table->directory;

	return table_directory(word)->segment[table_index(word, hash)];
}

int table_insert(struct table *table, uint64_t hash, void *item,
		 struct trash *trash)
{
	struct table_segment *segment;
	int rc;

	if (!table->directory) {
		rc = table_start(table);
		if (rc)
			return rc;
	}
	while ((segment = segment_of(table, hash))->count >= SEGMENT_FULL) {
		rc = segment_split(table, hash, segment, trash);
		if (!rc)
			continue;
		/* Fuller than it should be is better than not at all. */
		if (segment->count < SEGMENT_SLOTS)
			break;
		return rc;
	}
	place(segment, hash, item);
	table->count++;
	return 0;
}

/* All segments, or all but the one that stays, and their directory. */
static void table_clear(struct table *table, struct trash *trash)
{
	uintptr_t word = table->directory;
	struct table_directory *directory = table_directory(word);
	struct table_segment *last = NULL;

	reader_publish(&table->directory, 0);
	for (size_t n = 0; n < (size_t)1 << (word & TABLE_DEPTH_MASK); n++) {
		if (directory->segment[n] != last)
			trash_add(trash, &directory->segment[n]->trash);
		last = directory->segment[n];
	}
	trash_add(trash, &directory->trash);
}

void table_remove(struct table *table, uint64_t hash, void *item,
		  struct trash *trash)
{
	struct table_segment *segment = segment_of(table, hash);
	unsigned int at = table_home(hash);
	struct table_bucket *bucket;
	int slot;

	for (;; at = (at + 1) % TABLE_BUCKETS) {
		uint64_t passed;

		bucket = &segment->bucket[at];
		slot = slot_of(bucket, hash, item);
		if (slot >= 0)
			break;
		passed = bucket->tags >> 56;
		if (passed != PASSED_MAX)
			reader_publish(&bucket->tags,
				       bucket->tags - PASSED_ONE);
	}
	reader_publish(&bucket->tags, bucket->tags & ~(0xffull << (slot * 8)));
	segment->count--;
	table->count--;

	/* Give back what a burst took; one segment is not worth it. */
	if (!table->count && (table->directory & TABLE_DEPTH_MASK))
		table_clear(table, trash);
}

static void *bucket_any(const struct table_bucket *bucket,
			bool (*wanted)(const void *item))
{
	for (unsigned int slot = 0; slot < TABLE_SLOTS; slot++) {
		if (((bucket->tags >> (slot * 8)) & 0xff) &&
		    wanted(bucket->item[slot]))
			return bucket->item[slot];
	}
	return NULL;
}

void *table_pick(struct table *table, struct table_hand *hand,
		 bool (*wanted)(const void *item))
{
	uintptr_t word = table->directory;
	size_t mask = ((size_t)1 << (word & TABLE_DEPTH_MASK)) - 1;

	for (;;) {
		struct table_directory *directory = table_directory(word);
		struct table_segment *segment;
		void *item;

		if (++hand->bucket >= TABLE_BUCKETS) {
			hand->bucket = 0;
			hand->segment++;
		}
		segment = directory->segment[hand->segment & mask];
		item = bucket_any(&segment->bucket[hand->bucket], wanted);
		if (item)
			return item;
	}
}

void table_fini(struct table *table)
{
	struct trash trash = { 0 };

	if (!table->directory)
		return;
	table_clear(table, &trash);
	trash_free(&trash);
}
