/* SPDX-License-Identifier: MIT */
/*
 * A small machine for tests of the pure half of the SMMUv3 model: 8 MiB of
 * memory in a physical space, and trees of tables in it. Nothing here uses the
 * hardware definitions: words and shifts are worked out by hand.
 */
#ifndef TESTS_MODEL_SMMU_FAKE_H
#define TESTS_MODEL_SMMU_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/reader.h"
#include "mem/guard.h"
#include "mem/phys.h"
#include "model/smmuv3/config.h"

#define RAM_PA	 0x10000000ULL
#define RAM_SIZE 0x800000ULL
#define CHUNK	 0x10000ULL /* one table of any granule */

/* S1P S2P AArch64 COHACC HTTU=2 ATS ASID16 VMID16 CD2L little-endian */
#define IDR0 0x004c149bu
/* SIDSIZE 16, SSIDSIZE 20, ATTR_PERMS_OVR */
#define IDR1 0x04000510u
/* HAD, XNX, FWB, RIL */
#define IDR3 0x00000514u
/* OAS 48, three granules; OAS 52 with VAX 52 */
#define IDR5	0x00000075u
#define IDR5_52 0x00000476u

struct fake {
	struct phys *phys;
	char *ram;
	uint64_t used;
	struct smmuv3_id id;
	struct walk_env env;
	struct walk_cursors cursors;
};

/* For the whole program: cmocka has signal handlers of its own, per test. */
static inline int fake_group_up(void **state)
{
	(void)state;
	return guard_init();
}

static inline void fake_up(struct fake *f, unsigned int oas)
{
	struct phys_range *range;

	memset(f, 0, sizeof(*f));
	assert_int_equal(phys_create(oas, &f->phys), 0);
	assert_int_equal(posix_memalign((void **)&f->ram, 4096, RAM_SIZE), 0);
	memset(f->ram, 0, RAM_SIZE);
	assert_int_equal(phys_add_at(f->phys, RAM_PA, f->ram, RAM_SIZE,
				     PHYS_READ | PHYS_WRITE, &range),
			 0);
	f->id = (struct smmuv3_id){
		.idr = { IDR0, IDR1, 0, IDR3, 0, oas == 52 ? IDR5_52 : IDR5 },
		.aidr = 1,
	};
	f->env.phys = f->phys;
	f->env.cursors = &f->cursors;
	f->env.oas_bits = (uint8_t)oas;
	reader_enter();
}

static inline void fake_down(struct fake *f)
{
	reader_exit();
	phys_destroy(f->phys);
	free(f->ram);
}

static inline uint64_t *fake_at(struct fake *f, uint64_t pa)
{
	assert_true(pa >= RAM_PA && pa < RAM_PA + RAM_SIZE);
	return (uint64_t *)(f->ram + (pa - RAM_PA));
}

static inline uint64_t fake_chunk(struct fake *f)
{
	uint64_t pa = RAM_PA + f->used;

	f->used += CHUNK;
	assert_true(f->used <= RAM_SIZE);
	return pa;
}

/*
 * A tree: tables lie @delta above where they are in memory (stage 1 under
 * stage 2). @shift[level] is the lowest address bit that indexes a level.
 */
struct tree {
	struct fake *f;
	uint64_t root;
	uint64_t delta;
	int first_level;
	int granule_lg2;
	const int *shift;
};

static const int shift_4k[4] = { 39, 30, 21, 12 };
static const int shift_16k[4] = { 47, 36, 25, 14 };
static const int shift_64k[4] = { 55, 42, 29, 16 };

static inline void tree_up(struct tree *t, struct fake *f, int granule_lg2,
			   int first_level)
{
	*t = (struct tree){
		.f = f,
		.first_level = first_level,
		.granule_lg2 = granule_lg2,
		.shift = granule_lg2 == 12   ? shift_4k
			 : granule_lg2 == 14 ? shift_16k
					     : shift_64k,
	};
	t->root = fake_chunk(f);
}

/* In memory: the descriptor of @addr at @level; tables on the way are made. */
static inline uint64_t tree_slot(struct tree *t, uint64_t addr, int level)
{
	uint64_t table = t->root;
	int stride = t->granule_lg2 - 3;

	for (int l = t->first_level;; l++) {
		uint64_t index = addr >> t->shift[l];
		uint64_t slot, low;

		if (l > t->first_level)
			index &= (1ULL << stride) - 1;
		slot = table + index * 8;
		if (l == level)
			return slot;
		low = (1ULL << t->granule_lg2) - 1;
		if (!*fake_at(t->f, slot))
			*fake_at(t->f, slot) =
				(fake_chunk(t->f) + t->delta) | 3;
		table = (*fake_at(t->f, slot) & 0x0000fffffffff000ULL & ~low) -
			t->delta;
	}
}

static inline void tree_set(struct tree *t, uint64_t addr, int level,
			    uint64_t descriptor)
{
	*fake_at(t->f, tree_slot(t, addr, level)) = descriptor;
}

#endif
