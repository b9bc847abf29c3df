// SPDX-License-Identifier: MIT
/*
 * The error injector as a client has it: rules in words, rules in structs, and
 * a device's reset. What each kind does to a unit is in tests/model.
 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

#define ANY UINT32_MAX
/* 66 characters for a number */
#define TEN_0  "0000000000"
#define LONG_P "ill:p=0.500" TEN_0 TEN_0 TEN_0 TEN_0 TEN_0 TEN_0 "0"

static struct nestfd_fault parsed(const char *text)
{
	struct nestfd_fault fault;

	memset(&fault, 0xa5, sizeof(fault));
	if (nestfd_inject_parse(text, &fault))
		fail_msg("%s is refused", text);
	assert_int_equal(fault.size, sizeof(fault));
	return fault;
}

static void refused(const char *text)
{
	struct nestfd_fault fault, before;

	memset(&fault, 0xa5, sizeof(fault));
	before = fault;
	if (nestfd_inject_parse(text, &fault) != -EINVAL)
		fail_msg("%s is not refused", text);
	assert_memory_equal(&fault, &before, sizeof(fault));
}

static const struct {
	const char *name;
	enum nestfd_fault_kind kind;
	bool op, dev, us;
} kinds[] = {
	{ "ill", NESTFD_FAULT_ILL, true, true, false },
	{ "abt", NESTFD_FAULT_ABT, false, false, false },
	{ "atc-timeout", NESTFD_FAULT_ATC_TIMEOUT, false, true, true },
	{ "atc-late", NESTFD_FAULT_ATC_LATE, false, true, true },
	{ "atc-bad", NESTFD_FAULT_ATC_BAD, false, true, false },
	{ "gone", NESTFD_FAULT_GONE, false, true, true },
	{ "slow-sync", NESTFD_FAULT_SLOW_SYNC, false, false, true },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void a_kind_alone_is_always_and_for_everything(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct nestfd_fault f = parsed(kinds[i].name);

		assert_int_equal(f.kind, kinds[i].kind);
		assert_int_equal(f.opcode, ANY);
		assert_int_equal(f.stream_id, ANY);
		assert_true(f.probability == 1);
		assert_int_equal(f.count, 0);
		assert_int_equal(f.seed, 0);
		assert_int_equal(f.delay_us, 0);
	}
}

static void each_word_fills_its_field(void **state)
{
	struct nestfd_fault f;

	(void)state;
	f = parsed("ill:p=0.25,n=3,dev=0x10,op=0x12,seed=18446744073709551615");
	assert_int_equal(f.kind, NESTFD_FAULT_ILL);
	assert_true(f.probability == 0.25);
	assert_int_equal(f.count, 3);
	assert_int_equal(f.stream_id, 16);
	assert_int_equal(f.opcode, 18);
	assert_true(f.seed == UINT64_MAX);
	assert_int_equal(f.delay_us, 0);
	f = parsed("atc-late:seed=010,us=4294967295,n=4294967295");
	assert_int_equal(f.kind, NESTFD_FAULT_ATC_LATE);
	assert_int_equal(f.seed, 8);
	assert_true(f.delay_us == UINT32_MAX);
	assert_true(f.count == UINT32_MAX);
	assert_int_equal(parsed("ill:op=0").opcode, 0);
	assert_int_equal(parsed("ill:op=0xff").opcode, 255);
	assert_int_equal(parsed("gone:dev=0").stream_id, 0);
	assert_int_equal(parsed("gone:dev=0XfFfFfFfE").stream_id, 0xfffffffe);
}

static void a_probability_is_a_decimal(void **state)
{
	static const struct {
		const char *text;
		double p;
	} rows[] = {
		{ "abt:p=1", 1 },	    { "abt:p=1.", 1 },
		{ "abt:p=1.0", 1 },	    { "abt:p=.5", 0.5 },
		{ "abt:p=0.5", 0.5 },	    { "abt:p=00.5", 0.5 },
		{ "abt:p=1e-3", 0.001 },    { "abt:p=1E-3", 0.001 },
		{ "abt:p=10e-1", 1 },	    { "abt:p=0.1e+1", 1 },
		{ "abt:p=1e-300", 1e-300 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_true(parsed(rows[i].text).probability == rows[i].p);
}

static void a_locale_has_no_say(void **state)
{
	static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8",
					     "fr_FR.UTF-8", "ru_RU.UTF-8" };
	bool set = false;

	(void)state;
	for (size_t i = 0; i < 4 && !set; i++)
		set = setlocale(LC_ALL, names[i]);
	if (!set)
		skip();
	assert_true(parsed("abt:p=0.25").probability == 0.25);
	refused("abt:p=0,25");
	setlocale(LC_ALL, "C");
}

static void words_are_for_the_kinds_that_have_them(void **state)
{
	char text[64];

	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		const struct {
			const char *word;
			bool ok;
		} words[] = {
			{ "p=1", true },	   { "n=1", true },
			{ "seed=1", true },	   { "op=1", kinds[i].op },
			{ "dev=1", kinds[i].dev }, { "us=1", kinds[i].us },
		};

		for (size_t w = 0; w < 6; w++) {
			snprintf(text, sizeof(text), "%s:%s", kinds[i].name,
				 words[w].word);
			if (words[w].ok)
				parsed(text);
			else
				refused(text);
		}
	}
}

static void anything_else_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		":",
		",",
		"=",
		"il",
		"ILL",
		"illl",
		"ill ",
		" ill",
		"ill,",
		"ill;n=1",
		"ill:",
		"ill::",
		"ill:,",
		"ill:n",
		"ill:n=",
		"ill:n=1,",
		"ill:,n=1",
		"ill:n=1,,p=1",
		"ill:n=1 ,p=1",
		"ill:n=1, p=1",
		"ill:n=1;p=1",
		"ill:n=1:p=1",
		"ill:N=1",
		"ill:nn=1",
		"ill:=1",
		"ill:n==1",
		"ill:n =1",
		"ill:n= 1",
		"ill:n=+1",
		"ill:n=-1",
		"ill:n=1x",
		"ill:n=0x",
		"ill:n=08",
		"ill:n=one",
		"ill:n=1.0",
		"ill:n=0",
		"ill:n=4294967296",
		"ill:n=18446744073709551616",
		"ill:n=18446744073709551617",
		"ill:n=1,n=1",
		"ill:p=1,p=1",
		"ill:dev=1,dev=1",
		"ill:op=1,op=1",
		"ill:seed=1,seed=1",
		"slow-sync:us=1,us=1",
		"ill:op=256",
		"ill:op=-1",
		"ill:op=4294967295",
		"ill:dev=4294967296",
		"ill:dev=",
		"ill:dev=eight",
		"ill:seed=18446744073709551616",
		"ill:seed=-1",
		"ill:seed=",
		"slow-sync:us=0",
		"slow-sync:us=4294967296",
		"slow-sync:us=1ms",
		"ill:p=",
		"ill:p=0",
		"ill:p=0.0",
		"ill:p=-0",
		"ill:p=-0.5",
		"ill:p=+0.5",
		"ill:p=1.1",
		"ill:p=2",
		"ill:p=1e1",
		"ill:p=1e-999",
		"ill:p=0.5x",
		"ill:p=0.5.5",
		"ill:p=e-1",
		"ill:p=.",
		"ill:p=1e",
		"ill:p=0x1p-1",
		"ill:p=inf",
		"ill:p=nan",
		"ill:p=50%",
		"ill:p= 0.5",
		"ill:p=0.5 ",
		"ill:p=--1",
		LONG_P,
		"abt:dev=8",
		"abt:op=1",
		"abt:us=1",
		"slow-sync:dev=8",
		"gone:us=0",
		"gone:op=1",
		"atc-timeout:us=0",
		"atc",
		"atc_late",
		"sync",
		"ill:p=1\n",
		"ill\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		refused(texts[i]);
}

static int machine_up(enum nestfd_arch arch, struct nestfd_machine **machine)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = arch,
	};

	return nestfd_machine_create(&config, machine);
}

static void a_rule_that_makes_no_sense_is_refused(void **state)
{
	static const double bad[] = { -1,	-1e-300,   1.0000001, 2,
				      INFINITY, -INFINITY, NAN };
	struct nestfd_fault fault = parsed("ill");
	enum nestfd_arch arch = kit_arch(state);
	struct nestfd_machine *machine;

	assert_int_equal(machine_up(arch, &machine), 0);
	assert_int_equal(nestfd_inject(machine, &fault), 0);
	for (size_t size = 0; size < 2 * sizeof(fault); size++) {
		fault.size = size;
		assert_int_equal(nestfd_inject(machine, &fault),
				 size == sizeof(fault) ? 0 : -EINVAL);
	}
	fault.size = sizeof(fault);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fault.probability = bad[i];
		assert_int_equal(nestfd_inject(machine, &fault), -EINVAL);
	}
	fault.probability = 0; /* means 1 */
	for (int kind = -3; kind < 9; kind++) {
		fault.kind = (enum nestfd_fault_kind)kind;
		assert_int_equal(nestfd_inject(machine, &fault),
				 kind < 0 || kind > 6 ? -EINVAL
				 : kind == 6 && arch == NESTFD_ARCH_SMMUV3
					 ? -EOPNOTSUPP /* not here */
					 : 0);
	}
	fault.kind = NESTFD_FAULT_ILL;
	fault.opcode = 256;
	assert_int_equal(nestfd_inject(machine, &fault), -EINVAL);
	fault.opcode = 255;
	assert_int_equal(nestfd_inject(machine, &fault), 0);
	/* what a kind does not use is not looked at */
	fault = parsed("abt");
	fault.opcode = 256;
	assert_int_equal(nestfd_inject(machine, &fault), 0);
	nestfd_machine_destroy(machine);
}

static void a_rule_needs_memory(void **state)
{
	const struct nestfd_fault fault = parsed("ill");
	struct nestfd_machine *machine;

	assert_int_equal(machine_up(kit_arch(state), &machine), 0);
	nestfd_fail_nth(1);
	assert_int_equal(nestfd_inject(machine, &fault), -ENOMEM);
	assert_int_equal(nestfd_fail_nth_left(), 0);
	assert_int_equal(nestfd_inject(machine, &fault), 0);
	nestfd_machine_destroy(machine);
}

/* ---- a bare unit: a command queue at 64 KiB ---- */

#define QUEUE 0x10000ull

/* SMMUv3: 16 commands; VT-d: 256 descriptors of 128 bits */
static void queue_up(enum nestfd_arch arch, struct nestfd_machine *machine,
		     uint64_t *ram)
{
	memset(ram, 0, 4096);
	assert_int_equal(nestfd_memory_add(machine, QUEUE, ram, 4096), 0);
	if (arch == NESTFD_ARCH_VTD) {
		nestfd_iommu_write(machine, 0x90, 8, QUEUE);
		nestfd_iommu_write(machine, 0x18, 4, 0x04000000); /* QIE */
		return;
	}
	nestfd_iommu_write(machine, 0x90, 8, QUEUE | 4);
	nestfd_iommu_write(machine, 0x20, 4, 8); /* CR0.CMDQEN */
}

/* IQE, 2 of what cannot be fetched; ITE */
static uint32_t vtd_code(struct nestfd_machine *machine)
{
	uint64_t status = nestfd_iommu_read(machine, 0x34, 4);

	if (status & 0x10)
		return (nestfd_iommu_read(machine, 0xb0, 8) & 0xf) == 2 ? 2 : 1;
	return status & 0x40 ? 3 : 0;
}

/* As SMMU_CMDQ_CONS has it: the index, from bit 24 on the error */
static uint32_t stands_at(enum nestfd_arch arch, struct nestfd_machine *machine)
{
	if (arch == NESTFD_ARCH_SMMUV3)
		return (uint32_t)nestfd_iommu_read(machine, 0x9c, 4);
	return vtd_code(machine) << 24 |
	       (uint32_t)(nestfd_iommu_read(machine, 0x80, 8) >> 4);
}

/* CMD_SYNC; a wait that does nothing else */
static uint32_t sync_at(enum nestfd_arch arch, struct nestfd_machine *machine,
			uint64_t *ram, uint32_t index)
{
	bool vtd = arch == NESTFD_ARCH_VTD;

	ram[2 * index] = vtd ? 0x05 : 0x46;
	if (vtd)
		nestfd_iommu_write(machine, 0x88, 8, (index + 1) << 4);
	else
		nestfd_iommu_write(machine, 0x98, 4, index + 1);
	return stands_at(arch, machine);
}

static void acknowledge(enum nestfd_arch arch, struct nestfd_machine *machine)
{
	if (arch == NESTFD_ARCH_VTD)
		nestfd_iommu_write(machine, 0x34, 4, 0x50);
	else
		nestfd_iommu_write(machine, 0x64, 4,
				   nestfd_iommu_read(machine, 0x60, 4));
}

static void zero_is_the_default_of_a_struct(void **state)
{
	/* opcode 0, but that is for illegal commands only */
	const struct nestfd_fault fault = { .size = sizeof(fault),
					    .kind = NESTFD_FAULT_ABT };
	enum nestfd_arch arch = kit_arch(state);
	uint64_t *ram = kit_pages(1);
	struct nestfd_machine *machine;

	assert_int_equal(machine_up(arch, &machine), 0);
	queue_up(arch, machine, ram);
	assert_int_equal(nestfd_inject(machine, &fault), 0);
	assert_int_equal(sync_at(arch, machine, ram, 0), 0x02000000);
	for (int n = 1; n < 100; n++)
		acknowledge(arch, machine);
	assert_int_equal(stands_at(arch, machine), 0x02000000);
	assert_int_equal(nestfd_inject_clear(machine), 100);
	acknowledge(arch, machine);
	assert_int_equal(stands_at(arch, machine), 1);
	nestfd_machine_destroy(machine);
	kit_pages_free(ram, 1);
}

static void machines_do_not_share_rules(void **state)
{
	enum nestfd_arch arch = kit_arch(state);
	const struct nestfd_fault fault =
		parsed(arch == NESTFD_ARCH_VTD ? "ill:op=5" : "ill:op=0x46");
	uint64_t *ram = kit_pages(2);
	struct nestfd_machine *machine[2];

	for (int n = 0; n < 2; n++) {
		assert_int_equal(machine_up(arch, &machine[n]), 0);
		queue_up(arch, machine[n], ram + 512 * n);
	}
	assert_int_equal(nestfd_inject(machine[0], &fault), 0);
	assert_int_equal(sync_at(arch, machine[0], ram, 0), 0x01000000);
	assert_int_equal(sync_at(arch, machine[1], ram + 512, 0), 1);
	assert_int_equal(nestfd_inject_clear(machine[0]), 1);
	assert_int_equal(nestfd_inject_clear(machine[1]), 0);
	for (int n = 0; n < 2; n++)
		nestfd_machine_destroy(machine[n]);
	kit_pages_free(ram, 2);
}

/*
 * Device 3 passes, by tables in the page at 128 KiB; that of others are zeros,
 * or VT-d's root table as its context table.
 */
static void let_3_pass(enum nestfd_arch arch, struct nestfd_machine *machine,
		       uint64_t *page)
{
	const uint64_t at = 0x20000;

	assert_int_equal(nestfd_memory_add(machine, at, page, 4096), 0);
	if (arch == NESTFD_ARCH_VTD) {
		page[0] = at | 1;
		page[3 * 2] = 0x9; /* P, pass-through */
		page[3 * 2 + 1] = 0x102;
		nestfd_iommu_write(machine, 0x20, 8, at);
		nestfd_iommu_write(machine, 0x18, 4, 0x44000000); /* SRTP */
		nestfd_iommu_write(machine, 0x18, 4, 0x84000000); /* TE */
		return;
	}
	page[3 * 8] = 0x9; /* V, bypass */
	page[3 * 8 + 1] = 0x0000100000000000ull;
	nestfd_iommu_write(machine, 0x80, 8, at);
	nestfd_iommu_write(machine, 0x88, 4, 4); /* 16 STEs */
	nestfd_iommu_write(machine, 0x20, 4, 9); /* SMMUEN */
}

static void a_reset_ends_that_a_device_is_gone(void **state)
{
	const struct nestfd_fault fault = parsed("gone:dev=3");
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = 3,
		.ats = true,
	};
	enum nestfd_arch arch = kit_arch(state);
	uint64_t *ram = kit_pages(2);
	struct nestfd_machine *machine;
	struct nestfd_device *dev;
	uint64_t word;

	assert_int_equal(machine_up(arch, &machine), 0);
	queue_up(arch, machine, ram);
	assert_int_equal(nestfd_device_add(machine, &config, &dev), 0);
	let_3_pass(arch, machine, ram + 512);
	assert_int_equal(nestfd_dma_read(dev, 0x20000, &word, 8), 0);

	assert_int_equal(nestfd_inject(machine, &fault), 0);
	/* CMD_ATC_INV of all; a device-TLB invalidation of all */
	ram[0] = (arch == NESTFD_ARCH_VTD ? 0x03 : 0x40) | 3ull << 32;
	ram[1] = arch == NESTFD_ARCH_VTD ? 0x7ffffffffffff001 : 52;
	assert_int_equal(sync_at(arch, machine, ram, 1), 0x03000001);
	assert_int_equal(nestfd_dma_read(dev, 0x20000, &word, 8), -ENODEV);
	assert_int_equal(nestfd_inject_clear(machine), 1);
	assert_int_equal(nestfd_dma_read(dev, 0x20000, &word, 8), -ENODEV);
	nestfd_device_reset(dev);
	assert_int_equal(nestfd_dma_read(dev, 0x20000, &word, 8), 0);
	acknowledge(arch, machine);
	assert_int_equal(stands_at(arch, machine), 2);
	nestfd_machine_destroy(machine);
	kit_pages_free(ram, 2);
}

/* Reset in each state of a device, which stays what it was */
static void a_reset_keeps_what_a_device_is_attached_to(void **state)
{
	uint64_t *page = kit_pages(1);
	struct nestfd_machine *machine;
	struct nestfd_device *dev;
	struct nestfd *ctx;
	uint32_t ioas, id;
	uint64_t word;

	assert_int_equal(
		kit_machine_of(kit_arch(state), NESTFD_CACHE_HOSTILE, &machine),
		0);
	assert_int_equal(kit_device(machine, 3, &dev), 0);
	nestfd_device_reset(dev);
	assert_int_equal(nestfd_open(machine, &ctx), 0);
	nestfd_device_reset(dev);
	assert_int_equal(nestfd_bind(ctx, dev, &id), 0);
	nestfd_device_reset(dev);
	assert_int_equal(kit_ioas(ctx, &ioas), 0);
	assert_int_equal(kit_map(ctx, ioas, 0x1000, page, PAGE), 0);
	assert_int_equal(kit_attach(dev, ioas), 0);
	page[0] = 0x1122334455667788;
	nestfd_device_reset(dev);
	assert_int_equal(kit_read(dev, 0x1000, &word), 0);
	assert_true(word == 0x1122334455667788);
	nestfd_unbind(dev);
	nestfd_device_reset(dev);
	assert_int_equal(kit_read(dev, 0x1000, &word), -EIO);
	nestfd_close(ctx);
	nestfd_device_reset(dev);
	nestfd_machine_destroy(machine);
	kit_pages_free(page, 1);
}

static int read_by_atc(struct nestfd_device *dev, uint64_t iova, uint64_t *word)
{
	const struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = iova,
		.pasid = NESTFD_NO_PASID,
		.flags = NESTFD_DMA_TRANSLATED,
		.buf = word,
		.length = sizeof(*word),
	};

	return nestfd_dma(dev, &dma);
}

/*
 * Behind the host's driver: the unmap that the device does not answer ends all
 * the same, and after the reset nothing of the old translation is left.
 */
static void a_device_that_went_during_an_unmap_comes_back(void **state)
{
	const struct nestfd_fault fault = parsed("gone:dev=3");
	const struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = 3,
		.ats = true,
	};
	uint64_t *pages = kit_pages(2);
	struct nestfd_machine *machine;
	struct nestfd_device *dev;
	struct nestfd *ctx;
	uint32_t ioas, id;
	uint64_t word;

	assert_int_equal(
		kit_machine_of(kit_arch(state), NESTFD_CACHE_HOSTILE, &machine),
		0);
	assert_int_equal(nestfd_device_add(machine, &config, &dev), 0);
	assert_int_equal(nestfd_open(machine, &ctx), 0);
	assert_int_equal(nestfd_bind(ctx, dev, &id), 0);
	assert_int_equal(kit_ioas(ctx, &ioas), 0);
	assert_int_equal(kit_map(ctx, ioas, 0x1000, pages, PAGE), 0);
	assert_int_equal(kit_attach(dev, ioas), 0);
	pages[0] = 1;
	pages[512] = 2;
	assert_int_equal(read_by_atc(dev, 0x1000, &word), 0);
	assert_int_equal(word, 1);

	assert_int_equal(nestfd_inject(machine, &fault), 0);
	assert_int_equal(kit_unmap(ctx, ioas, 0x1000, PAGE), 0);
	assert_int_equal(nestfd_inject_clear(machine), 1);
	assert_int_equal(read_by_atc(dev, 0x1000, &word), -EIO);
	assert_int_equal(kit_read(dev, 0x1000, &word), -ENODEV);
	assert_int_equal(kit_map(ctx, ioas, 0x1000, pages + 512, PAGE), 0);

	nestfd_device_reset(dev);
	assert_int_equal(read_by_atc(dev, 0x1000, &word), 0);
	assert_int_equal(word, 2);
	assert_int_equal(kit_read(dev, 0x1000, &word), 0);
	assert_int_equal(kit_unmap(ctx, ioas, 0x1000, PAGE), 0);
	assert_int_equal(read_by_atc(dev, 0x1000, &word), -EIO);
	nestfd_machine_destroy(machine);
	kit_pages_free(pages, 2);
}

/* ---- the mock: registers as in tests/mock ---- */

static uint64_t list_run(struct nestfd_machine *machine, uint64_t n)
{
	nestfd_iommu_write(machine, 0x1000, 8, 0x10000);
	nestfd_iommu_write(machine, 0x1008, 8, n);
	return nestfd_iommu_read(machine, 0x1010, 8);
}

static void the_mock_has_illegal_invalidations_and_slow_syncs(void **state)
{
	static const struct {
		const char *text;
		int rc;
		uint64_t done; /* status << 32 | number */
	} rows[] = {
		{ "ill:n=1", 0, 4ull << 32 | 0 },
		{ "ill:n=1,dev=33", 0, 4ull << 32 | 1 },
		{ "ill:n=1,dev=34", 0, 3 },
		{ "ill:n=1,op=11", 0, 4ull << 32 | 1 },
		{ "ill:n=1,op=9", 0, 4ull << 32 | 0 },
		{ "ill:n=1,op=1", 0, 3 },
		{ "slow-sync:us=1", 0, 3 },
		{ "abt", -EOPNOTSUPP, 3 },
		{ "atc-timeout", -EOPNOTSUPP, 3 },
		{ "atc-late", -EOPNOTSUPP, 3 },
		{ "gone", -EOPNOTSUPP, 3 },
		{ "atc-bad", -EOPNOTSUPP, 3 },
	};
	uint64_t *ram = kit_pages(1);
	struct nestfd_machine *machine;

	(void)state;
	assert_int_equal(machine_up(NESTFD_ARCH_MOCK, &machine), 0);
	assert_int_equal(nestfd_memory_add(machine, 0x10000, ram, 4096), 0);
	nestfd_iommu_write(machine, 0x08, 8, 33); /* a device */
	nestfd_iommu_write(machine, 0x18, 8, 1);
	nestfd_iommu_write(machine, 0x08, 8, 0x20003); /* a paging context */
	nestfd_iommu_write(machine, 0x18, 8, 3);
	nestfd_iommu_write(machine, 0x08, 8,
			   nestfd_iommu_read(machine, 0x28, 8));
	nestfd_iommu_write(machine, 0x18, 8, 4); /* a nested one over it */
	ram[0] = 9 | 0xf00;
	ram[1] = nestfd_iommu_read(machine, 0x28, 8);
	ram[2] = 11 | 0x100;
	ram[3] = 33;
	ram[4] = ram[0];
	ram[5] = ram[1];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct nestfd_fault fault = parsed(rows[i].text);

		assert_int_equal(nestfd_inject(machine, &fault), rows[i].rc);
		assert_true(list_run(machine, 3) == rows[i].done);
		nestfd_inject_clear(machine);
		assert_true(list_run(machine, 3) == 3);
	}
	assert_int_equal(nestfd_inject_clear(machine), 4);
	nestfd_machine_destroy(machine);
	kit_pages_free(ram, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kind_alone_is_always_and_for_everything),
		cmocka_unit_test(each_word_fills_its_field),
		cmocka_unit_test(a_probability_is_a_decimal),
		cmocka_unit_test(a_locale_has_no_say),
		cmocka_unit_test(words_are_for_the_kinds_that_have_them),
		cmocka_unit_test(anything_else_is_refused),
		EACH_ARCH(a_rule_that_makes_no_sense_is_refused),
		EACH_ARCH(a_rule_needs_memory),
		EACH_ARCH(zero_is_the_default_of_a_struct),
		EACH_ARCH(machines_do_not_share_rules),
		EACH_ARCH(a_reset_ends_that_a_device_is_gone),
		EACH_ARCH(a_reset_keeps_what_a_device_is_attached_to),
		EACH_ARCH(a_device_that_went_during_an_unmap_comes_back),
		cmocka_unit_test(
			the_mock_has_illegal_invalidations_and_slow_syncs),
	};

	return RUN(tests, argc, argv);
}
