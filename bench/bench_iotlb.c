// SPDX-License-Identifier: MIT
/*
 * What the translation cache costs: nanoseconds per operation with 0, 64, 256,
 * 4096 and 10^6 cached 4 KiB translations of one ASID; the median of seven
 * rounds with the fastest and slowest.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/reader.h"
#include "iotlb/iotlb.h"

#define ROUNDS 7
#define OPS    4096
#define BASE   0x100000000ull

struct bench {
	struct iotlb *tlb;
	struct grace *grace;
	uint64_t cached;
	uint64_t page[OPS]; /* which pages the round asks for, shuffled */
	uint64_t found;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void insert(struct bench *b, uint64_t page, uint32_t asid)
{
	struct iotlb_entry entry = {
		.iova = BASE + (page << 12),
		.leaf = BASE + (page << 12),
		.out = page << 12,
		.asid = asid,
		.vmid = 1,
		.size_lg2 = 12,
		.leaf_lg2 = 12,
		.level = 3,
		.granule_lg2 = 12,
	};

	if (iotlb_insert(b->tlb, iotlb_ticket(b->tlb), &entry)) {
		fprintf(stderr, "bench_iotlb: insert failed\n");
		exit(1);
	}
}

static void lookup(struct bench *b, uint64_t page)
{
	struct iotlb_key key = {
		.iova = BASE + (page << 12) + 8,
		.asid = 1,
		.vmid = 1,
	};
	const struct iotlb_entry *entry;

	reader_enter();
	entry = iotlb_lookup(b->tlb, &key);
	b->found += entry ? entry->out : 0;
	reader_exit();
}

static void invalidate(struct bench *b, uint32_t asid, uint32_t by,
		       uint64_t page, uint64_t pages)
{
	struct iotlb_inval inval = {
		.by = IOTLB_BY_VMID | IOTLB_BY_ASID | IOTLB_GLOBALS | by,
		.regimes = 1,
		.asid = asid,
		.vmid = 1,
		.first = BASE + (page << 12),
		.last = BASE + ((page + pages) << 12) - 1,
	};

	iotlb_invalidate(b->tlb, &inval);
}

static void op_section(struct bench *b, int n)
{
	reader_enter();
	b->found += b->page[n];
	reader_exit();
}

static void op_hit(struct bench *b, int n)
{
	lookup(b, b->page[n]);
}

static void op_lookup_miss(struct bench *b, int n)
{
	lookup(b, b->cached + b->page[n]);
}

static void op_insert(struct bench *b, int n)
{
	insert(b, b->cached + (uint64_t)n, 1);
}

static void op_page_fresh(struct bench *b, int n)
{
	invalidate(b, 1, IOTLB_BY_RANGE, b->cached + (uint64_t)n, 1);
}

static void op_page_hit(struct bench *b, int n)
{
	invalidate(b, 1, IOTLB_BY_RANGE, b->page[n], 1);
}

static void op_reinsert(struct bench *b, int n)
{
	insert(b, b->page[n], 1);
}

static void op_page_miss(struct bench *b, int n)
{
	invalidate(b, 1, IOTLB_BY_RANGE, 2 * b->cached + 100000 + (uint64_t)n,
		   1);
}

static void op_page_other(struct bench *b, int n)
{
	invalidate(b, 2, IOTLB_BY_RANGE, (uint64_t)n, 1);
}

static void op_pair(struct bench *b, int n)
{
	insert(b, b->cached + 7, 1);
	invalidate(b, 1, IOTLB_BY_RANGE, b->cached + 7, 1);
	(void)n;
}

/* As a guest does that unmaps strictly: a CMD_SYNC after each. */
static void op_pair_sync(struct bench *b, int n)
{
	op_pair(b, n);
	if (grace_wait(b->grace, 1000000000))
		exit(1);
}

static void op_asid_none(struct bench *b, int n)
{
	invalidate(b, 3 + (uint32_t)n, 0, 0, 1);
}

static void op_asid_insert(struct bench *b, int n)
{
	insert(b, (uint64_t)n, 2);
	invalidate(b, 2, 0, 0, 1);
}

static void op_range_none(struct bench *b, int n)
{
	invalidate(b, 1, IOTLB_BY_RANGE, 4 * b->cached + 200000 + (uint64_t)n,
		   1 << 20);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* @after, untimed, restores what @op changed. */
static void measure(struct bench *b, const char *name,
		    void (*op)(struct bench *, int),
		    void (*after)(struct bench *, int))
{
	double ns[ROUNDS];

	for (int r = 0; r < ROUNDS; r++) {
		uint64_t begin = now_ns();

		for (int n = 0; n < OPS; n++)
			op(b, n);
		ns[r] = (double)(now_ns() - begin) / OPS;
		for (int n = 0; after && n < OPS; n++)
			after(b, n);
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), by_value);
	printf("%8" PRIu64 "  %-34s %7.1f  (%.1f - %.1f)\n", b->cached, name,
	       ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1]);
}

/* Distinct pages for the removals, or they would hit once and miss after. */
static void choose_pages(struct bench *b)
{
	uint64_t state = 88172645463325252ull;
	uint64_t step = b->cached / OPS;

	for (uint64_t n = 0; n < OPS; n++)
		b->page[n] = step ? n * step + next_random(&state) % step
				  : n % (b->cached ? b->cached : 1);
	for (uint64_t n = OPS - 1; n; n--) {
		uint64_t other = next_random(&state) % (n + 1);
		uint64_t page = b->page[n];

		b->page[n] = b->page[other];
		b->page[other] = page;
	}
}

static void run(uint64_t cached)
{
	struct iotlb_config config = { .policy = IOTLB_HOSTILE };
	struct bench *b = calloc(1, sizeof(*b));

	if (!b || grace_create(&config.grace) ||
	    iotlb_create(&config, &b->tlb)) {
		fprintf(stderr, "bench_iotlb: out of memory\n");
		exit(1);
	}
	b->grace = config.grace;
	b->cached = cached;
	choose_pages(b);
	for (uint64_t page = 0; page < cached; page++)
		insert(b, page, 1);

	measure(b, "an empty read section", op_section, NULL);
	if (cached)
		measure(b, "lookup, hit", op_hit, NULL);
	measure(b, "lookup, miss", op_lookup_miss, NULL);
	measure(b, "insert", op_insert, op_page_fresh);
	if (cached >= OPS)
		measure(b, "invalidate page, hit", op_page_hit, op_reinsert);
	measure(b, "invalidate page, miss", op_page_miss, NULL);
	measure(b, "invalidate page, asid not cached", op_page_other, NULL);
	measure(b, "insert + invalidate the same page", op_pair, NULL);
	measure(b, "the same + grace_wait()", op_pair_sync, NULL);
	measure(b, "invalidate asid, not cached", op_asid_none, NULL);
	measure(b, "insert + invalidate its asid", op_asid_insert, NULL);
	measure(b, "invalidate 2^20 pages, none cached", op_range_none, NULL);
	if (!b->found && cached)
		printf("nothing was found?\n");
	iotlb_destroy(b->tlb);
	grace_destroy(config.grace);
	free(b);
}

int main(void)
{
	static const uint64_t sizes[] = { 0, 64, 256, 4096, 1000000 };

	printf("translation cache: ns per operation, %d operations a round\n"
	       "  cached  operation                           median\n",
	       OPS);
	for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++)
		run(sizes[n]);
	return 0;
}
