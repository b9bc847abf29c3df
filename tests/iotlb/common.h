/* SPDX-License-Identifier: MIT */
/* What the tests of the translation cache share. */
#ifndef TESTS_IOTLB_COMMON_H
#define TESTS_IOTLB_COMMON_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/reader.h"
#include "iotlb/iotlb.h"

/* A cache with its grace. */
struct cache {
	struct grace *grace;
	struct iotlb *tlb;
};

static inline void cache_open(struct cache *c, enum iotlb_policy policy,
			      uint32_t capacity)
{
	struct iotlb_config config = { .policy = policy };

	assert_int_equal(grace_create(&c->grace), 0);
	config.grace = c->grace;
	config.capacity = capacity;
	assert_int_equal(iotlb_create(&config, &c->tlb), 0);
}

static inline void cache_close(struct cache *c)
{
	iotlb_destroy(c->tlb);
	grace_destroy(c->grace);
}

/* A 4 KiB level 3 page of one stage at @iova. */
static inline struct iotlb_entry page_at(uint16_t vmid, uint32_t asid,
					 uint64_t iova)
{
	return (struct iotlb_entry){
		.iova = iova,
		.leaf = iova,
		.out = iova ^ 0x5a5a000,
		.vmid = vmid,
		.asid = asid,
		.size_lg2 = 12,
		.leaf_lg2 = 12,
		.level = 3,
		.granule_lg2 = 12,
	};
}

static inline int put(struct cache *c, const struct iotlb_entry *entry)
{
	return iotlb_insert(c->tlb, iotlb_ticket(c->tlb), entry);
}

/* A copy of what a lookup finds. */
static inline bool get(struct cache *c, uint8_t regime, uint16_t vmid,
		       uint32_t asid, uint64_t iova, struct iotlb_entry *out)
{
	struct iotlb_key key = { iova, asid, vmid, regime };
	const struct iotlb_entry *entry;

	reader_enter();
	entry = iotlb_lookup(c->tlb, &key);
	if (entry && out)
		*out = *entry;
	reader_exit();
	return entry;
}

static inline bool has(struct cache *c, uint16_t vmid, uint32_t asid,
		       uint64_t iova)
{
	return get(c, 0, vmid, asid, iova, NULL);
}

static inline struct iotlb_stats stats(struct cache *c)
{
	struct iotlb_stats s;

	iotlb_stats(c->tlb, &s);
	return s;
}

static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dull;
}

#endif
