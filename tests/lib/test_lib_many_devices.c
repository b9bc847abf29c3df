// SPDX-License-Identifier: MIT
/*
 * CFGI commands (VT-d: context cache invalidations, of legacy mode) over many
 * devices: only those that have something cached are looked at, and none that
 * has is missed, whoever comes and goes meanwhile.
 */
#include "kit.h"

#include <stdlib.h>
#include <string.h>

#define RAM	0x40000000ULL
#define SIZE	0x100000ULL
#define QUEUE	RAM		/* 16 commands; VT-d: 256 descriptors */
#define STATUS	(RAM + 0x2000)	/* of waits */
#define NOTHING (RAM + 0x3000)	/* a second-stage table of zeros */
#define ROOT	(RAM + 0x4000)	/* VT-d's, for one bus */
#define TABLE	(RAM + 0x10000) /* 256 STEs of 64 bytes; context entries */
#define DEVICES 200u

struct bed {
	const struct arch *arch;
	struct nestfd_machine *machine;
	struct nestfd_device *dev[DEVICES];
	uint64_t *ram;
};

static void set(struct bed *b, uint32_t reg, unsigned int bytes, uint64_t value)
{
	nestfd_iommu_write(b->machine, reg, bytes, value);
}

static void add(struct bed *b, uint32_t sid)
{
	struct nestfd_device_config dc = {
		.size = sizeof(dc),
		.stream_id = sid,
	};

	assert_int_equal(nestfd_device_add(b->machine, &dc, &b->dev[sid]), 0);
}

static uint64_t *at(struct bed *b, uint64_t pa)
{
	return b->ram + (pa - RAM) / 8;
}

struct arch {
	enum nestfd_arch arch;
	unsigned int range_lg2; /* streams that one command can name */
	void (*boot)(struct bed *b);
	void (*configure)(struct bed *b, uint32_t sid, bool pass);
	void (*forget_all)(struct bed *b);
	/* 2^lg2 streams from @sid */
	void (*forget)(struct bed *b, uint32_t sid, unsigned int lg2);
};

/* ---- SMMUv3 ---- */

static void smmu_run(struct bed *b, uint64_t dw0, uint64_t dw1)
{
	uint32_t prod = (uint32_t)nestfd_iommu_read(b->machine, 0x98, 4);
	uint64_t *cmd = at(b, QUEUE) + (prod % 16) * 2;

	cmd[0] = dw0;
	cmd[1] = dw1;
	set(b, 0x98, 4, (prod + 1) % 32);
	assert_int_equal(nestfd_iommu_read(b->machine, 0x9c, 4),
			 (prod + 1) % 32);
}

static void smmu_boot(struct bed *b)
{
	set(b, 0x80, 8, TABLE);	    /* STRTAB_BASE */
	set(b, 0x88, 4, 8);	    /* LOG2SIZE */
	set(b, 0x90, 8, QUEUE | 4); /* CMDQ_BASE */
	set(b, 0x20, 4, 9);	    /* CR0: CMDQEN, SMMUEN */
}

/* V; Config 0b100 bypass, 0b000 abort */
static void smmu_configure(struct bed *b, uint32_t sid, bool pass)
{
	*at(b, TABLE + sid * 64) = pass ? 0x9 : 0x1;
}

/* CFGI_ALL */
static void smmu_forget_all(struct bed *b)
{
	smmu_run(b, 0x04, 31);
}

/* CFGI_STE, CFGI_STE_RANGE: of 2^(range + 1) */
static void smmu_forget(struct bed *b, uint32_t sid, unsigned int lg2)
{
	if (lg2)
		smmu_run(b, 0x04 | (uint64_t)sid << 32, lg2 - 1);
	else
		smmu_run(b, 0x03 | (uint64_t)sid << 32, 1);
}

/* ---- VT-d, in legacy mode ---- */

/* And a wait, whose status is its place in the queue */
static void vtd_run(struct bed *b, uint64_t dw0)
{
	uint64_t tail = nestfd_iommu_read(b->machine, 0x88, 8);
	uint64_t wait = (tail + 16) & 0xfff;
	uint64_t *desc = at(b, QUEUE + tail);

	desc[0] = dw0;
	desc[1] = 0;
	desc = at(b, QUEUE + wait);
	desc[0] = 0x25 | wait << 32;
	desc[1] = STATUS;
	set(b, 0x88, 8, (wait + 16) & 0xfff);
	assert_int_equal((uint32_t)*at(b, STATUS), wait);
	/* faults are no errors of the queue */
	assert_int_equal(nestfd_iommu_read(b->machine, 0x34, 4) & 0x70, 0);
}

static void vtd_boot(struct bed *b)
{
	*at(b, ROOT) = TABLE | 1;
	set(b, 0x90, 8, QUEUE);
	set(b, 0x20, 8, ROOT);
	set(b, 0x18, 4, 0x40000000); /* SRTP */
	set(b, 0x18, 4, 0x04000000); /* QIE */
	set(b, 0x18, 4, 0x84000000); /* TE */
}

/* P; pass-through, or a second stage in which there is nothing; DID 1, AW 2 */
static void vtd_configure(struct bed *b, uint32_t sid, bool pass)
{
	at(b, TABLE + sid * 16)[0] = pass ? 0x9 : NOTHING | 0x1;
	at(b, TABLE + sid * 16)[1] = 0x102;
}

static void vtd_forget_all(struct bed *b)
{
	vtd_run(b, 0x11);
}

/* By source-id, with a function mask */
static void vtd_forget(struct bed *b, uint32_t sid, unsigned int lg2)
{
	vtd_run(b, 0x31 | 1 << 16 | (uint64_t)sid << 32 | (uint64_t)lg2 << 48);
}

static const struct arch smmu = { NESTFD_ARCH_SMMUV3, 6,
				  smmu_boot,	      smmu_configure,
				  smmu_forget_all,    smmu_forget };
static const struct arch vtd = { NESTFD_ARCH_VTD, 3,
				 vtd_boot,	  vtd_configure,
				 vtd_forget_all,  vtd_forget };

/* ---- both ---- */

static void forget_all(struct bed *b)
{
	b->arch->forget_all(b);
}

static void configure(struct bed *b, uint32_t sid, bool pass)
{
	b->arch->configure(b, sid, pass);
}

static void configure_all(struct bed *b, bool pass)
{
	for (uint32_t sid = 0; sid < DEVICES; sid++)
		configure(b, sid, pass);
}

static bool passes(struct bed *b, uint32_t sid)
{
	struct nestfd_translation tr = { .size = sizeof(tr) };

	assert_int_equal(
		nestfd_translate(b->dev[sid], 0x1000, NESTFD_NO_PASID, 0, &tr),
		0);
	return tr.result == NESTFD_BYPASSED;
}

static void expect(struct bed *b, uint32_t first, uint32_t last, bool pass)
{
	for (uint32_t sid = first; sid <= last; sid++)
		assert_int_equal(passes(b, sid), pass);
}

static int setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->arch = kit_arch(state) == NESTFD_ARCH_VTD ? &vtd : &smmu;
	b->ram = aligned_alloc(4096, SIZE);
	assert_non_null(b->ram);
	memset(b->ram, 0, SIZE);
	assert_int_equal(
		kit_machine_of(b->arch->arch, NESTFD_CACHE_FAST, &b->machine),
		0);
	assert_int_equal(nestfd_memory_add(b->machine, RAM, b->ram, SIZE), 0);
	for (uint32_t sid = 0; sid < DEVICES; sid++)
		add(b, sid);
	configure_all(b, true);
	b->arch->boot(b);
	forget_all(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	nestfd_machine_destroy(b->machine);
	free(b->ram);
	free(b);
	return 0;
}

static void what_is_cached_of_each_stays_until_it_is_named(void **state)
{
	struct bed *b = *state;

	expect(b, 0, DEVICES - 1, true);
	configure_all(b, false);
	expect(b, 0, DEVICES - 1, true);
	for (uint32_t sid = 64; sid < 128; sid += 1u << b->arch->range_lg2)
		b->arch->forget(b, sid, b->arch->range_lg2);
	expect(b, 0, 63, true);
	expect(b, 64, 127, false);
	expect(b, 128, DEVICES - 1, true);
	b->arch->forget(b, 199, 0);
	assert_false(passes(b, 199));
	assert_true(passes(b, 198));
	forget_all(b);
	expect(b, 0, DEVICES - 1, false);
}

static void what_is_read_anew_is_dropped_anew(void **state)
{
	struct bed *b = *state;

	for (uint32_t sid = 0; sid < DEVICES; sid++) {
		for (int n = 0; n < 3; n++) {
			configure(b, sid, !(n & 1));
			b->arch->forget(b, sid & ~7u, 3);
			assert_int_equal(passes(b, sid), !(n & 1));
		}
	}
}

static void those_that_come_and_go_move_nobody_out_of_reach(void **state)
{
	static const uint32_t gone[] = { 0, 1, 63, 64, 65, 127, 128, 199 };
	struct bed *b = *state;

	for (size_t n = 0; n < sizeof(gone) / sizeof(gone[0]); n++) {
		forget_all(b); /* nobody has anything */
		configure_all(b, true);
		assert_true(passes(b, 70));
		assert_true(passes(b, 190));
		nestfd_device_remove(b->dev[gone[n]]);
		configure_all(b, false);
		forget_all(b);
		assert_false(passes(b, 70));
		assert_false(passes(b, 190));

		forget_all(b);
		configure_all(b, true);
		assert_true(passes(b, 70));
		add(b, gone[n]);
		assert_true(passes(b, gone[n]));
		configure_all(b, false);
		forget_all(b);
		assert_false(passes(b, 70));
		assert_false(passes(b, gone[n]));
	}
}

#define CASE(f, arch)                                                         \
	{                                                                     \
		.name = #f ", " #arch, .test_func = (f), .setup_func = setup, \
		.teardown_func = teardown,                                    \
		.initial_state = (void *)(uintptr_t)NESTFD_ARCH_##arch        \
	}
#define EACH(f) CASE(f, SMMUV3), CASE(f, VTD)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(what_is_cached_of_each_stays_until_it_is_named),
		EACH(what_is_read_anew_is_dropped_anew),
		EACH(those_that_come_and_go_move_nobody_out_of_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
