// SPDX-License-Identifier: MIT
/*
 * The VT-d model against the reference: tables with random bits flipped, all
 * caches emptied after each change, and accesses whose outcome, fault and
 * traces in memory must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nestfd/model.h"
#include "vtd_ref.h"

#define RAM    0x1000000ULL
#define LENGTH 0x200000ULL
#define SID    0x10u
#define DELTA  0x40000000ULL

struct world {
	struct nestfd_machine *machine;
	struct nestfd_device *dev;
	char *ram;
	char *copy;
	struct vref ref;
	uint64_t used;
	uint32_t tail;
	uint64_t seed;
	uint64_t words[4096]; /* addresses worth changing */
	unsigned int count;
	unsigned int seen[256]; /* reasons */
};

static uint32_t rnd(struct world *w, uint32_t below)
{
	w->seed = w->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(w->seed >> 33) % below;
}

static uint64_t *at(struct world *w, uint64_t pa)
{
	return (uint64_t *)(w->ram + (pa - RAM));
}

static uint64_t page(struct world *w)
{
	w->used += 0x1000;
	return RAM + w->used - 0x1000;
}

static void put(struct world *w, uint64_t pa, uint64_t value)
{
	*at(w, pa) = value;
	if (w->count < 4096)
		w->words[w->count++] = pa;
}

static void map(struct world *w, uint64_t root, int levels, uint64_t addr,
		int level, uint64_t delta, uint64_t flags, uint64_t entry)
{
	uint64_t table = root;

	for (int l = levels;; l--) {
		uint64_t pa = table + (addr >> (12 + 9 * (l - 1)) & 511) * 8;

		if (l == level) {
			put(w, pa, entry);
			return;
		}
		if (!*at(w, pa))
			put(w, pa, (page(w) + delta) | flags);
		table = (*at(w, pa) & 0x000ffffffffff000ULL) - delta;
	}
}

static const uint64_t vas[] = {
	0x1000,	     0x2000,	     0x200000,		0x40000000,
	0x7fffff000, 0x7fff00001000, 0xffff800000001000
};

#define VAS (sizeof(vas) / sizeof(vas[0]))

static uint64_t first(struct world *w, int levels, uint64_t delta,
		      uint64_t flags)
{
	uint64_t root = page(w);

	for (unsigned int n = 0; n < VAS; n++) {
		int level = n == 2 ? 2 : n == 3 ? 3 : 1;
		uint64_t to = level == 1 ? RAM + 0x1000 * n : 0x40000000;

		map(w, root, levels, vas[n], level, delta, flags,
		    (to + delta) | flags | (level > 1 ? 0x80 : 0));
	}
	return root + delta;
}

static uint64_t second(struct world *w, int levels)
{
	uint64_t root = page(w);

	for (unsigned int n = 0; n + 2 < VAS; n++)
		map(w, root, levels, vas[n],
		    n == 2   ? 2
		    : n == 3 ? 3
			     : 1,
		    0, 3,
		    n == 2 || n == 3 ? 0x40000083 : (RAM + 0x1000 * n) | 3);
	return root;
}

/* All RAM at RAM + DELTA */
static uint64_t second_ram(struct world *w, int levels)
{
	uint64_t root = page(w);

	for (uint64_t pa = RAM; pa < RAM + LENGTH; pa += 0x1000) {
		unsigned int count = w->count;

		map(w, root, levels, pa + DELTA, 1, 0, 3, pa | 3);
		if (pa >> 12 & 15 && w->count == count + 1)
			w->count = count; /* too many alike */
	}
	return root;
}

static void pasid_entry(struct world *w, uint64_t table, unsigned int pasid,
			uint64_t a, uint64_t b, uint64_t c)
{
	put(w, table + 64 * pasid, a);
	*at(w, table + 64 * pasid + 8) = b | (0x20u + pasid);
	put(w, table + 64 * pasid + 16, c);
}

static void scalable(struct world *w, uint64_t root)
{
	uint64_t context = page(w), dir = page(w), table = page(w);

	put(w, root, context | 1);
	put(w, context + 32 * SID, dir | 0x1d);
	put(w, context + 32 * SID + 8, 0);
	put(w, dir, table | 1);
	pasid_entry(w, table, 0, 0x049, 0x800000, first(w, 4, 0, 0x7));
	pasid_entry(w, table, 1, 0x089 | second(w, 4), 0x800000, 0);
	pasid_entry(w, table, 2, 0x0c9 | second_ram(w, 4), 0x800000,
		    first(w, 4, DELTA, 0x7));
	pasid_entry(w, table, 3, 0x109, 0, 0);
	pasid_entry(w, table, 4, 0x041, 0x800000, first(w, 5, 0, 0x3) | 0x5);
	pasid_entry(w, table, 5, 0x2c5 | second_ram(w, 3), 0x800000,
		    first(w, 4, DELTA, 0x5) | 0x91);
	pasid_entry(w, table, 6, 0x28d | second(w, 5), 0x800000, 0);
}

static void legacy(struct world *w, uint64_t root)
{
	uint64_t context = page(w);

	put(w, root, context | 1);
	put(w, context + 16 * SID, second(w, 4) | 1);
	put(w, context + 16 * SID + 8, 0x502);
}

static void up(struct world *w, bool is_scalable, uint64_t seed)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_VTD,
		.cache = NESTFD_CACHE_HOSTILE,
		.pri = true,
	};
	struct nestfd_device_config dev = {
		.size = sizeof(dev),
		.stream_id = SID,
	};
	uint64_t queue, root;

	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->ram = aligned_alloc(4096, LENGTH);
	w->copy = calloc(1, LENGTH);
	memset(w->ram, 0, LENGTH);
	assert_int_equal(nestfd_machine_create(&config, &w->machine), 0);
	assert_int_equal(nestfd_memory_add(w->machine, RAM, w->ram, LENGTH), 0);
	assert_int_equal(nestfd_device_add(w->machine, &dev, &w->dev), 0);
	queue = page(w);
	root = page(w);
	if (is_scalable)
		scalable(w, root);
	else
		legacy(w, root);
	w->ref = (struct vref){
		.first = RAM,
		.length = LENGTH,
		.words = (uint64_t *)w->copy,
		.rtaddr = root | (is_scalable ? 0x400 : 0),
	};
	nestfd_iommu_write(w->machine, 0x20, 8, w->ref.rtaddr);
	nestfd_iommu_write(w->machine, 0x18, 4, 0x40000000);
	nestfd_iommu_write(w->machine, 0x90, 8, queue | 0x800);
	nestfd_iommu_write(w->machine, 0x18, 4, 0x04000000);
	nestfd_iommu_write(w->machine, 0x18, 4, 0x84000000);
}

static void down(struct world *w)
{
	nestfd_machine_destroy(w->machine);
	free(w->ram);
	free(w->copy);
}

static void descriptor(struct world *w, uint64_t dw0)
{
	uint64_t *slot = at(w, RAM + w->tail);

	memset(slot, 0, 32);
	slot[0] = dw0;
	w->tail = (w->tail + 32) & 0xfff;
}

/* Context cache, PASID cache, IOTLB: all; a wait without a trace */
static void forget(struct world *w, bool is_scalable)
{
	descriptor(w, 0x11);
	if (is_scalable)
		descriptor(w, 0x37);
	descriptor(w, 0x12);
	descriptor(w, 0x05);
	nestfd_iommu_write(w->machine, 0x88, 8, w->tail);
	assert_int_equal(nestfd_iommu_read(w->machine, 0x80, 8), w->tail);
}

static void describe(const struct vref_access *a, const char *what)
{
	print_message("%s: %s%s %#llx, PASID %lld\n", what,
		      a->priv ? "supervisor " : "", a->write ? "write" : "read",
		      (unsigned long long)a->addr, (long long)a->pasid);
}

static void compare(struct world *w, const struct vref_access *a)
{
	struct nestfd_translation t = { .size = sizeof(t) };
	struct vref_answer want;
	uint32_t flags = a->write ? NESTFD_DMA_WRITE : 0;

	memcpy(w->copy, w->ram, w->used);
	want = vref_translate(&w->ref, a);
	if (a->priv)
		flags |= NESTFD_DMA_PRIV;
	assert_int_equal(nestfd_translate(w->dev, a->addr,
					  a->pasid < 0 ? NESTFD_NO_PASID
						       : (uint32_t)a->pasid,
					  flags, &t),
			 0);
	if ((t.result == NESTFD_ABORTED) != !!want.reason ||
	    t.event != (want.silent ? 0 : want.reason) ||
	    (!want.reason && t.pa != want.pa)) {
		describe(a, "differs");
		print_message("reason %#x, not %#x; PA %#llx, not %#llx\n",
			      t.event, want.reason, (unsigned long long)t.pa,
			      (unsigned long long)want.pa);
		fail();
	}
	if (memcmp(w->copy, w->ram, w->used)) {
		describe(a, "leaves other traces in memory");
		fail();
	}
	assert_false(t.stale);
	w->seen[want.reason]++;
}

static void access_some(struct world *w, bool is_scalable)
{
	for (unsigned int n = 0; n < 12; n++) {
		struct vref_access a = {
			.addr = vas[rnd(w, VAS)] + rnd(w, 0x1000),
			.sid = SID,
			.pasid = is_scalable ? (int64_t)rnd(w, 8) - 1 : -1,
			.write = rnd(w, 2),
		};

		if (a.pasid >= 0)
			a.priv = !rnd(w, 3);
		if (!rnd(w, 16))
			a.addr = (uint64_t)rnd(w, ~0u) << rnd(w, 33);
		if (a.pasid < 0 && a.addr >> 20 == 0xfee)
			continue;
		compare(w, &a);
	}
}

/* How many reasons there were, success among them */
static unsigned int run(bool is_scalable, uint64_t seed)
{
	static struct world w;
	unsigned int seen = 0;

	up(&w, is_scalable, seed);
	access_some(&w, is_scalable);
	for (unsigned int n = 0; n < 5000; n++) {
		uint64_t *word = at(&w, w.words[rnd(&w, w.count)]);
		uint64_t was = *word;

		/* mostly low bits, where all but the pointers are */
		*word ^= 1ULL << (rnd(&w, 4) ? rnd(&w, 13) : rnd(&w, 64));
		if (!rnd(&w, 4))
			*word &= ~0x360ULL; /* flags of both stages */
		forget(&w, is_scalable);
		access_some(&w, is_scalable);
		*word = was;
	}
	down(&w);
	for (unsigned int n = 0; n < 256; n++)
		seen += !!w.seen[n];
	print_message("%u outcomes\n", seen);
	return seen;
}

static void scalable_mode_is_as_the_specification_says(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++)
		assert_true(run(true, seed) > 22);
}

static void legacy_mode_is_as_the_specification_says(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 2; seed++)
		assert_true(run(false, seed) > 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalable_mode_is_as_the_specification_says),
		cmocka_unit_test(legacy_mode_is_as_the_specification_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
