// SPDX-License-Identifier: MIT
/*
 * What a full command queue of the worst legal commands costs: 2^19 of each
 * candidate, with 10^5 translations cached that most of them leave alone.
 * Nothing is asserted about time, which belongs to the machine the test runs
 * on; the table is for docs/security.md. Every queue must end at its tail
 * without an error.
 *
 * A candidate whose first commands foretell more than SECONDS for a full queue
 * is measured with fewer, and says so. NESTFD_COST=hostile measures the hostile
 * policy, too, NESTFD_COST=full runs full queues whatever they take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <nestfd/model.h>

#define RAM	  0x40000000ULL
#define RAM_SIZE  0x4000000ULL
#define CMDQ	  RAM		   /* 8 MiB */
#define STRTAB	  (RAM + 0x800000) /* 256, linear */
#define TABLE0	  (RAM + 0x810000) /* stage 1, level 0 */
#define S2TABLE0  (RAM + 0x811000)
#define TABLES	  (RAM + 0x820000)
#define CDS	  (RAM + 0x1000000) /* 2^16 of 64 bytes */

#define QUEUE_LG2 19
#define FULL	  (1u << QUEUE_LG2)
#define FIRST	  2048u /* to see how long it will take */
#define SECONDS	  1.5
#define CACHED	  100000u
#define DEVICES	  64u
#define VMID_S1	  1ULL
#define VMID_S2	  2ULL

struct bed {
	struct nestfd_machine *machine;
	struct nestfd_device *dev[DEVICES + 2];
	uint8_t *ram;
	uint64_t used;
	uint32_t asids; /* of stage 1; each has CACHED / asids pages */
};

struct candidate {
	const char *name;
	uint64_t cmd[2];
	bool ats; /* leave for the last: the ATC is filled */
};

#define VM1 (VMID_S1 << 32)
#define VM2 (VMID_S2 << 32)
/* NUM 31, SCALE 31 */
#define ALL_PAGES (31ULL << 12 | 31ULL << 20)
#define TG_4K	  (1ULL << 10)
#define TG_64K	  (3ULL << 10)
#define TTL_1	  (1ULL << 8)

static const struct candidate candidates[] = {
	{ "CMD_SYNC", { 0x46, 0 }, false },
	{ "TLBI_NSNH_ALL", { 0x30, 0 }, false },
	{ "TLBI_S12_VMALL", { 0x28 | VM1, 0 }, false },
	{ "TLBI_NH_ALL", { 0x10 | VM1, 0 }, false },
	{ "TLBI_NH_ASID", { 0x11 | VM1 | 1ULL << 48, 0 }, false },
	{ "TLBI_NH_VA, one page, absent",
	  { 0x12 | VM1 | 1ULL << 48, 0x7000000000 },
	  false },
	{ "TLBI_NH_VA, all pages",
	  { 0x12 | VM1 | 1ULL << 48 | ALL_PAGES, TG_4K },
	  false },
	{ "TLBI_NH_VA, all pages, TTL of none",
	  { 0x12 | VM1 | 1ULL << 48 | ALL_PAGES, TG_4K | TTL_1 | 1 },
	  false },
	{ "TLBI_NH_VA, all pages, TG of none",
	  { 0x12 | VM1 | 1ULL << 48 | ALL_PAGES, TG_64K | 1 },
	  false },
	{ "TLBI_NH_VAA, one page, absent",
	  { 0x13 | VM1, 0x7000000000 },
	  false },
	{ "TLBI_NH_VAA, 512 pages, absent",
	  { 0x13 | VM1 | 1ULL << 12 | 8ULL << 20, TG_4K | 0x7000000000 },
	  false },
	{ "TLBI_NH_VAA, all pages", { 0x13 | VM1 | ALL_PAGES, TG_4K }, false },
	{ "TLBI_NH_VAA, all pages, TTL of none",
	  { 0x13 | VM1 | ALL_PAGES, TG_4K | TTL_1 | 1 },
	  false },
	{ "TLBI_NH_VAA, all pages, TG of none",
	  { 0x13 | VM1 | ALL_PAGES, TG_64K | 1 },
	  false },
	{ "TLBI_S2_IPA, all pages", { 0x2a | VM2 | ALL_PAGES, TG_4K }, false },
	{ "TLBI_S2_IPA, all pages, TTL of none",
	  { 0x2a | VM2 | ALL_PAGES, TG_4K | TTL_1 | 1 },
	  false },
	{ "CFGI_STE", { 0x03 | 7ULL << 32, 0 }, false },
	{ "CFGI_STE_RANGE, all", { 0x04, 31 }, false },
	{ "CFGI_CD", { 0x05 | 1ULL << 12, 1 }, false },
	{ "CFGI_CD_ALL", { 0x06, 0 }, false },
	{ "ATC_INV, one page, absent",
	  { 0x40 | 1ULL << 32, 0x7000000000 },
	  true },
	{ "ATC_INV, half of all",
	  { 0x40 | 1ULL << 32, 1ULL << 63 | 51 },
	  true },
	{ "ATC_INV, all", { 0x40 | 1ULL << 32, 52 }, true },
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t *at(struct bed *b, uint64_t pa)
{
	return (uint64_t *)(b->ram + (pa - RAM));
}

static void set(struct bed *b, uint32_t reg, unsigned int bytes, uint64_t value)
{
	nestfd_iommu_write(b->machine, reg, bytes, value);
}

/* 4 KB granule, four levels; every page leads to the same memory */
static void map(struct bed *b, uint64_t root, uint64_t va, uint64_t leaf)
{
	uint64_t table = root;

	for (int shift = 39; shift > 12; shift -= 9) {
		uint64_t *d = at(b, table + ((va >> shift) & 511) * 8);

		if (!*d) {
			*d = b->used | 3;
			b->used += 4096;
		}
		table = *d & 0xfffffffff000ULL;
	}
	*at(b, table + ((va >> 12) & 511) * 8) = leaf;
}

static void make_tables(struct bed *b)
{
	uint32_t pages = CACHED / b->asids;
	uint64_t *ste = at(b, STRTAB);

	for (uint32_t n = 0; n < pages; n++)
		map(b, TABLE0, (uint64_t)n << 12, (RAM + 0x3000000) | 0xc43);
	for (uint32_t n = 0; n < CACHED; n++)
		map(b, S2TABLE0, (uint64_t)n << 12, (RAM + 0x3000000) | 0x4ff);
	/* stream 0: stage 1, S1DSS: CD 0; stream 1: stage 2 with ATS */
	ste[0] = 0xb | CDS | 16ULL << 59;
	ste[1] = 1ULL << 44 | 2;
	ste[2] = VMID_S1;
	ste[8] = 0xd;
	ste[9] = 1ULL << 44 | 1ULL << 28;
	ste[10] = 0x040d009000000000ULL | VMID_S2;
	ste[11] = S2TABLE0;
	for (uint32_t n = 2; n < DEVICES; n++)
		ste[8 * n] = 0x9; /* bypass */
	for (uint64_t n = 0; n < b->asids; n++) {
		uint64_t *cd = at(b, CDS + n * 64);

		cd[0] = 0x00006205c0000010ULL | n << 48;
		cd[1] = TABLE0;
	}
}

static void make_bed(struct bed *b, enum nestfd_cache cache, uint32_t asids)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_SMMUV3,
		.cache = cache,
		.cache_entries = 1u << 19,
	};
	struct nestfd_device_config dc = { .size = sizeof(dc) };

	memset(b, 0, sizeof(*b));
	b->asids = asids;
	b->used = TABLES;
	b->ram = aligned_alloc(4096, RAM_SIZE);
	assert_non_null(b->ram);
	memset(b->ram, 0, RAM_SIZE);
	assert_int_equal(nestfd_machine_create(&config, &b->machine), 0);
	assert_int_equal(nestfd_memory_add(b->machine, RAM, b->ram, RAM_SIZE),
			 0);
	make_tables(b);
	for (uint32_t n = 0; n < DEVICES; n++) {
		dc.stream_id = n;
		dc.pasid_bits = n ? 0 : 16;
		dc.ats = n == 1;
		assert_int_equal(nestfd_device_add(b->machine, &dc, &b->dev[n]),
				 0);
	}
	set(b, 0x80, 8, STRTAB);
	set(b, 0x88, 4, 8);
	set(b, 0x90, 8, CMDQ | QUEUE_LG2);
	set(b, 0x98, 4, 0);
	set(b, 0x9c, 4, 0);
	set(b, 0x20, 4, 0x19); /* SMMUEN, CMDQEN, ATSCHK */
}

static void free_bed(struct bed *b)
{
	nestfd_machine_destroy(b->machine);
	free(b->ram);
}

static void translate(struct bed *b, unsigned int dev, uint64_t iova,
		      uint32_t pasid)
{
	struct nestfd_translation tr = { .size = sizeof(tr) };

	assert_int_equal(nestfd_translate(b->dev[dev], iova, pasid, 0, &tr), 0);
	assert_int_equal(tr.result, NESTFD_TRANSLATED);
}

static void fill(struct bed *b, bool ats)
{
	uint32_t pages = CACHED / b->asids;
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.pasid = NESTFD_NO_PASID,
		.flags = NESTFD_DMA_TRANSLATED,
		.length = 4,
	};
	uint32_t word;

	for (uint32_t asid = 0; asid < b->asids; asid++) {
		for (uint32_t n = 0; n < pages; n++)
			translate(b, 0, (uint64_t)n << 12,
				  asid ? asid : NESTFD_NO_PASID);
	}
	dma.buf = &word;
	for (uint32_t n = 0; n < CACHED; n++) {
		dma.iova = (uint64_t)n << 12;
		if (ats)
			assert_int_equal(nestfd_dma(b->dev[1], &dma), 0);
		else
			translate(b, 1, dma.iova, NESTFD_NO_PASID);
	}
	for (uint32_t n = 2; n < DEVICES; n++) {
		struct nestfd_translation tr = { .size = sizeof(tr) };

		nestfd_translate(b->dev[n], 0x1000, NESTFD_NO_PASID, 0, &tr);
	}
}

/* @n commands with one write of the tail; seconds */
static double run(struct bed *b, const uint64_t cmd[2], uint32_t n)
{
	uint32_t prod = (uint32_t)nestfd_iommu_read(b->machine, 0x98, 4);
	double start;

	for (uint32_t i = 0; i < n; i++)
		memcpy(at(b, CMDQ + (uint64_t)((prod + i) % FULL) * 16), cmd,
		       16);
	prod = (prod + n) % (2 * FULL);
	start = now();
	set(b, 0x98, 4, prod);
	start = now() - start;
	assert_int_equal(nestfd_iommu_read(b->machine, 0x9c, 4), prod);
	assert_int_equal(nestfd_iommu_read(b->machine, 0x60, 4), 0);
	return start;
}

/* As many as can be run in a reasonable time: all of a queue, if possible. */
static uint32_t affordable(struct bed *b, const uint64_t cmd[2])
{
	const char *want = getenv("NESTFD_COST");
	double one;
	uint32_t n;

	run(b, cmd, 1); /* removes what there is to remove */
	for (n = 4; n < FIRST; n *= 4) {
		one = run(b, cmd, n) / n;
		if (one * n > SECONDS / 8)
			break;
	}
	if ((want && !strcmp(want, "full")) || one * FULL < SECONDS)
		return FULL;
	return one < SECONDS ? (uint32_t)(SECONDS / one) : 1;
}

static void measure(struct bed *b, const struct candidate *c)
{
	static const uint64_t nsnh_all[2] = { 0x30, 0 };
	static const uint64_t cfgi_all[2] = { 4, 31 };
	uint32_t n;
	double time;

	run(b, nsnh_all, 1);
	run(b, cfgi_all, 1);
	fill(b, c->ats);
	n = affordable(b, c->cmd);
	fill(b, c->ats);
	time = run(b, c->cmd, n);
	print_message("%-38s %10.1f ns %10.1f ms%s\n", c->name, time / n * 1e9,
		      time / n * FULL * 1e3, n == FULL ? "" : " (foretold)");
}

/* @s1_only: just the TLB invalidations that stage-1 ASIDs matter for */
static void measure_all(enum nestfd_cache cache, uint32_t asids, bool s1_only)
{
	struct bed b;

	print_message("%s, %u ASIDs of %u pages, %u pages of stage 2:\n",
		      cache == NESTFD_CACHE_FAST ? "fast" : "hostile", asids,
		      CACHED / asids, CACHED);
	make_bed(&b, cache, asids);
	for (size_t n = 0; n < sizeof(candidates) / sizeof(candidates[0]);
	     n++) {
		if (!s1_only || (candidates[n].cmd[0] & 0xf0) == 0x10)
			measure(&b, &candidates[n]);
	}
	free_bed(&b);
}

static void test_fast_with_many_pages(void **state)
{
	(void)state;
	measure_all(NESTFD_CACHE_FAST, 2, false);
}

static void test_fast_with_many_asids(void **state)
{
	(void)state;
	measure_all(NESTFD_CACHE_FAST, 50000, true);
}

static void test_hostile_with_many_pages(void **state)
{
	(void)state;
	if (!getenv("NESTFD_COST")) /* for testers, who pay for exactness */
		skip();
	measure_all(NESTFD_CACHE_HOSTILE, 2, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fast_with_many_pages),
		cmocka_unit_test(test_fast_with_many_asids),
		cmocka_unit_test(test_hostile_with_many_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
