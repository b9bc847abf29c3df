// SPDX-License-Identifier: MIT
/* The virtual SMMUv3 against a recorded backend: what goes down, what comes up
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "fake.h"

#define CMDQ_CONS 0x9c
#define GERROR	  0x60
#define GERRORN	  0x64

/* TLBI_NH_VA, ASID 5, of one 4 KiB page, range form with leaf and TTL 3 */
#define TLBI_VA(page) 0x0005000000000012ULL, ((uint64_t)(page) << 12) | 0x701
#define SYNC	      0x46ULL, 0ULL
/* STE.Config stage 1, CD at 0x40000: V, Config 0b101 */
#define STE_S1 0x4000bULL

struct state {
	struct fake fake;
	struct nestfd_viommu *viommu;
};

static int setup(void **state)
{
	struct state *s = test_calloc(1, sizeof(*s));
	struct nestfd_viommu_config config;
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = 0x10,
		.dev_id = 7,
		.attach = fake_attach,
		.ctx = &s->fake,
	};

	fake_config(&s->fake, &config);
	assert_int_equal(nestfd_viommu_smmuv3_create(&config, &s->viommu), 0);
	assert_int_equal(nestfd_viommu_device_add(s->viommu, &dev), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	nestfd_viommu_destroy(s->viommu);
	test_free(s);
	return 0;
}

/* A stream in stage 1, everything recorded so far forgotten. */
static void boot_nested(struct state *s)
{
	guest_boot(&s->fake, s->viommu);
	guest_ste(&s->fake, 0x10, STE_S1, 0xd6);
	guest_put(&s->fake, 0x0000001000000003ULL, 1); /* CFGI_STE leaf */
	guest_put(&s->fake, SYNC);
	guest_doorbell(&s->fake, s->viommu);
	s->fake.ncalls = 0;
	s->fake.nissued = 0;
}

static uint32_t reg(struct state *s, uint32_t offset)
{
	return (uint32_t)nestfd_viommu_read(s->viommu, offset, 4);
}

static void the_shared_tables_are_made_at_creation(void **state)
{
	struct state *s = *state;

	assert_int_equal(s->fake.nhwpt, 3);
	assert_int_equal(s->fake.hwpt_ste[0][0], 0x1); /* V, abort */
	assert_int_equal(s->fake.hwpt_ste[1][0], 0x9); /* V, Config 0b100 */
	assert_int_equal(s->fake.hwpt_ste[2][0], 0x0); /* not valid */
}

static void a_stream_is_bypassed_while_the_smmu_is_off(void **state)
{
	struct state *s = *state;

	assert_int_equal(s->fake.attached, s->fake.hwpt_id[1]);
	assert_int_equal(s->fake.nvdevice, 1);
	assert_int_equal(s->fake.vsid[0], 0x10);
}

static void gbpa_abort_blocks_the_stream(void **state)
{
	struct state *s = *state;

	nestfd_viommu_write(s->viommu, 0x44, 4, 0x80100000); /* Update ABORT */
	assert_int_equal(s->fake.attached, s->fake.hwpt_id[0]);
	nestfd_viommu_write(s->viommu, 0x44, 4, 0x80000000);
	assert_int_equal(s->fake.attached, s->fake.hwpt_id[1]);
}

static void an_invalid_ste_aborts_once_the_smmu_is_on(void **state)
{
	struct state *s = *state;

	guest_boot(&s->fake, s->viommu);
	assert_int_equal(s->fake.attached, s->fake.hwpt_id[2]);
}

static void a_stage_1_ste_becomes_a_nested_table(void **state)
{
	struct state *s = *state;

	boot_nested(s);
	assert_int_equal(s->fake.nhwpt, 4);
	assert_int_equal(s->fake.hwpt_ste[3][0], STE_S1);
	assert_int_equal(s->fake.hwpt_ste[3][1], 0xd6);
	assert_int_equal(s->fake.attached, s->fake.hwpt_id[3]);
	assert_int_equal(reg(s, CMDQ_CONS), 2);
}

static void only_the_fields_of_the_abi_go_down(void **state)
{
	struct state *s = *state;

	guest_boot(&s->fake, s->viommu);
	guest_ste(&s->fake, 0x10, ~0ULL << 4 | 0xb, ~0ULL);
	guest_put(&s->fake, 0x0000001000000003ULL, 1);
	guest_doorbell(&s->fake, s->viommu);
	/* dword 0: V Config S1Fmt S1ContextPtr[55:6] S1CDMax[63:59] */
	assert_true(s->fake.hwpt_ste[3][0] == 0xf8fffffffffffffbULL);
	/* dword 1: S1DSS S1CIR S1COR S1CSH, S1STALLD 27, EATS 29:28 */
	assert_true(s->fake.hwpt_ste[3][1] == 0x380000ffULL);
}

static void a_replaced_table_is_destroyed(void **state)
{
	struct state *s = *state;
	uint32_t old;

	boot_nested(s);
	old = s->fake.attached;
	guest_ste(&s->fake, 0x10, 0x9, 0); /* bypass */
	guest_put(&s->fake, 0x0000001000000003ULL, 1);
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(s->fake.attached, s->fake.hwpt_id[1]);
	assert_int_equal(s->fake.destroyed[s->fake.ndestroyed - 1], old);
}

static void what_the_host_calls_illegal_aborts(void **state)
{
	struct state *s = *state;

	guest_boot(&s->fake, s->viommu);
	guest_ste(&s->fake, 0x10, STE_S1, 0);
	s->fake.fail_hwpt = -EIO;
	guest_put(&s->fake, 0x0000001000000003ULL, 1);
	guest_put(&s->fake, SYNC);
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(s->fake.attached, s->fake.hwpt_id[2]);
	assert_int_equal(reg(s, CMDQ_CONS), 2);
}

static void a_doorbell_is_one_ioctl_however_many_commands(void **state)
{
	struct state *s = *state;
	int i;

	boot_nested(s);
	for (i = 0; i < 100; i++) {
		guest_put(&s->fake, TLBI_VA(i));
		guest_put(&s->fake, SYNC);
	}
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(s->fake.ncalls, 1);
	assert_int_equal(s->fake.calls[0].count, 100);
	assert_true(s->fake.calls[0].cmd[99][0] == 0x0005000000000012ULL);
	assert_true(s->fake.calls[0].cmd[99][1] == 0x63701ULL);
	assert_int_equal(reg(s, CMDQ_CONS), 202);
	assert_int_equal(reg(s, GERROR), 0);
}

static void a_run_larger_than_the_first_buffer_stays_one_ioctl(void **state)
{
	struct state *s = *state;
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };
	int i;

	/* 512 commands need a larger queue than guest_boot() makes */
	nestfd_viommu_write(s->viommu, 0x90, 8, 0x80000 | 10);
	nestfd_viommu_write(s->viommu, 0x20, 4, 0x8);
	for (i = 0; i < 1000; i++) {
		uint64_t cmd[2] = { TLBI_VA(i) };

		memcpy(s->fake.mem + 0x80000 + i * 16, cmd, 16);
	}
	nestfd_viommu_write(s->viommu, 0x98, 4, 1000);
	assert_int_equal(s->fake.ncalls, 1);
	assert_int_equal(s->fake.calls[0].count, 1000);
	nestfd_viommu_stats(s->viommu, &stats);
	assert_int_equal(stats.splits[NESTFD_SPLIT_LIMIT], 0);
	assert_int_equal(stats.commands, 1000);
}

/* A thousand commands in a queue of 2^10, one allocation failing meanwhile */
static void ring_a_thousand(struct state *s, uint64_t fail_at)
{
	struct alloc_plan plan = { .fail_at = fail_at };
	int i;

	nestfd_viommu_write(s->viommu, 0x90, 8, 0x80000 | 10);
	nestfd_viommu_write(s->viommu, 0x20, 4, 0x8);
	for (i = 0; i < 1000; i++) {
		uint64_t cmd[2] = { TLBI_VA(i) };

		memcpy(s->fake.mem + 0x80000 + i * 16, cmd, 16);
	}
	alloc_arm(&plan);
	nestfd_viommu_write(s->viommu, 0x98, 4, 1000);
	alloc_arm(NULL);
	assert_true(plan.passed >= fail_at);
	assert_int_equal(reg(s, CMDQ_CONS), 1000);
	assert_int_equal(s->fake.nissued, 1000);
	for (i = 0; i < 1000; i++)
		assert_int_equal(s->fake.issued[i][1] >> 12, i);
	assert_int_equal(s->fake.calls[0].count, 256);
}

static void a_span_that_cannot_grow_is_taken_in_pieces(void **state)
{
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };
	struct state *s = *state;

	ring_a_thousand(s, 1);
	nestfd_viommu_stats(s->viommu, &stats);
	assert_int_equal(stats.splits[NESTFD_SPLIT_END], 2);
}

static void a_run_that_cannot_grow_is_split_and_loses_nothing(void **state)
{
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };
	struct state *s = *state;

	ring_a_thousand(s, 2);
	nestfd_viommu_stats(s->viommu, &stats);
	assert_int_equal(stats.splits[NESTFD_SPLIT_LIMIT], 1);
	assert_int_equal(stats.splits[NESTFD_SPLIT_END], 1);
}

static void an_unchanged_ste_splits_nothing_and_drops_its_cds(void **state)
{
	struct state *s = *state;

	boot_nested(s);
	guest_put(&s->fake, TLBI_VA(1));
	guest_put(&s->fake, 0x0000001000000003ULL, 1);
	guest_put(&s->fake, TLBI_VA(2));
	guest_put(&s->fake, SYNC);
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(s->fake.ncalls, 1);
	assert_int_equal(s->fake.calls[0].count, 3);
	assert_true(s->fake.calls[0].cmd[1][0] == 0x0000001000000006ULL);
}

/*
 * 4.7.3: what orders a CFGI before a TLBI is the CMD_SYNC between them, which
 * an array cannot hold. Between TLBIs it says nothing that the call does not.
 */
static void a_sync_behind_a_cfgi_splits_the_run(void **state)
{
	static const uint64_t cfgi[3][3] = {
		{ 0x0000001000abc005ULL, 1, 0x0000001000abc005ULL },
		{ 0x0000001000000006ULL, 0, 0x0000001000000006ULL },
		/* CFGI_STE, of one that has not changed */
		{ 0x0000001000000003ULL, 1, 0x0000001000000006ULL },
	};
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };
	struct state *s = *state;

	boot_nested(s);
	for (int i = 0; i < 3; i++) {
		s->fake.ncalls = 0;
		guest_put(&s->fake, TLBI_VA(1));
		guest_put(&s->fake, SYNC);
		guest_put(&s->fake, cfgi[i][0], cfgi[i][1]);
		guest_put(&s->fake, SYNC);
		guest_put(&s->fake, TLBI_VA(2));
		guest_put(&s->fake, SYNC);
		guest_put(&s->fake, TLBI_VA(3));
		guest_put(&s->fake, SYNC);
		guest_doorbell(&s->fake, s->viommu);
		assert_int_equal(s->fake.ncalls, 2);
		assert_int_equal(s->fake.calls[0].count, 2);
		assert_true(s->fake.calls[0].cmd[1][0] == cfgi[i][2]);
		assert_int_equal(s->fake.calls[1].count, 2);
		nestfd_viommu_stats(s->viommu, &stats);
		assert_int_equal(stats.splits[NESTFD_SPLIT_SYNC], i + 1);
	}
	/* the last command is nothing to split in front of */
	s->fake.ncalls = 0;
	guest_put(&s->fake, TLBI_VA(1));
	guest_put(&s->fake, 0x0000001000000006ULL, 0);
	guest_put(&s->fake, SYNC);
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(s->fake.ncalls, 1);
	nestfd_viommu_stats(s->viommu, &stats);
	assert_int_equal(stats.splits[NESTFD_SPLIT_SYNC], 3);
}

static void a_changed_ste_splits_the_run(void **state)
{
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };
	struct state *s = *state;

	boot_nested(s);
	guest_ste(&s->fake, 0x10, 0x9, 0);
	guest_put(&s->fake, TLBI_VA(1));
	guest_put(&s->fake, 0x0000001000000003ULL, 1);
	guest_put(&s->fake, TLBI_VA(2));
	guest_put(&s->fake, SYNC);
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(s->fake.ncalls, 2);
	nestfd_viommu_stats(s->viommu, &stats);
	assert_int_equal(stats.splits[NESTFD_SPLIT_STE], 1);
	assert_int_equal(stats.splits[NESTFD_SPLIT_END], 1);
}

static void a_stream_is_followed_once_per_doorbell(void **state)
{
	struct state *s = *state;
	int i;

	boot_nested(s);
	for (i = 0; i < 50; i++) {
		guest_put(&s->fake, 0x04, 31); /* CFGI_ALL */
		guest_put(&s->fake, 0x0000001000000003ULL, 1);
	}
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(s->fake.ncalls, 1);
	assert_int_equal(s->fake.calls[0].count, 1); /* CFGI_CD_ALL, once */
	guest_put(&s->fake, 0x0000001000000003ULL, 1);
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(s->fake.ncalls, 2); /* and again with the next */
}

static void ignored_bits_never_reach_the_host(void **state)
{
	struct state *s = *state;

	boot_nested(s);
	/* VMID is IGNORED-by-us, TG 0 makes NUM, SCALE and TTL void */
	guest_put(&s->fake, 0x0005ffff00000012ULL, 0x5001);
	guest_doorbell(&s->fake, s->viommu);
	assert_true(s->fake.calls[0].cmd[0][0] == 0x0005000000000012ULL);
	assert_true(s->fake.calls[0].cmd[0][1] == 0x5001ULL);
}

static void commands_for_an_unknown_stream_complete_here(void **state)
{
	struct state *s = *state;

	boot_nested(s);
	guest_put(&s->fake, 0x0000001100000005ULL, 1); /* CFGI_CD of 0x11 */
	guest_put(&s->fake, 0x0000001100000040ULL, 0); /* ATC_INV of 0x11 */
	guest_put(&s->fake, 0x0000001000000005ULL, 1); /* CFGI_CD of 0x10 */
	guest_put(&s->fake, SYNC);
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(s->fake.ncalls, 1);
	assert_int_equal(s->fake.calls[0].count, 1);
	assert_int_equal(reg(s, CMDQ_CONS), 6);
}

static void the_msi_of_an_interior_sync_is_written(void **state)
{
	struct state *s = *state;

	boot_nested(s);
	guest_put(&s->fake, TLBI_VA(1));
	/* CS 1 (bits 13:12), MSIData 0xabcd, MSIAddress 0x50000 */
	guest_put(&s->fake, 0x0000abcd00001046ULL, 0x50000);
	guest_put(&s->fake, TLBI_VA(2));
	guest_put(&s->fake, 0x0000abce00001046ULL, 0x50004);
	guest_doorbell(&s->fake, s->viommu);
	assert_true(guest_word(&s->fake, 0x50000) == 0x0000abce0000abcdULL);
	assert_int_equal(s->fake.ncalls, 1);
}

static void a_bad_opcode_stops_after_what_precedes_it(void **state)
{
	struct state *s = *state;

	boot_nested(s);
	guest_put(&s->fake, TLBI_VA(1));
	guest_put(&s->fake, 0xff, 0);
	guest_put(&s->fake, TLBI_VA(2));
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(s->fake.nissued, 1);
	assert_int_equal(reg(s, CMDQ_CONS), 0x01000003); /* ERR 1, RD 3 */
	assert_int_equal(reg(s, GERROR), 1);
	assert_int_equal(s->fake.irqs[3], 1);
}

static void the_guest_recovers_by_overwriting_and_acknowledging(void **state)
{
	uint64_t sync[2] = { SYNC };
	struct state *s = *state;

	boot_nested(s);
	guest_put(&s->fake, 0xff, 0);
	guest_put(&s->fake, TLBI_VA(2));
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(s->fake.nissued, 0);
	memcpy(s->fake.mem + CMDQ_ADDR + 2 * 16, sync, 16);
	guest_doorbell(&s->fake, s->viommu); /* not yet acknowledged */
	assert_int_equal(s->fake.nissued, 0);
	nestfd_viommu_write(s->viommu, GERRORN, 4, 1);
	assert_int_equal(s->fake.nissued, 1);
	assert_int_equal(reg(s, CMDQ_CONS) & 0xfffff, 4);
}

static void an_entry_the_host_refuses_is_the_guests_ill(void **state)
{
	uint64_t bad[2] = { TLBI_VA(3) };
	struct state *s = *state;
	int i;

	boot_nested(s);
	s->fake.fail = true;
	s->fake.fail_times = -1;
	s->fake.bad_errno = -EIO;
	memcpy(s->fake.bad, bad, 16);
	for (i = 0; i < 6; i++)
		guest_put(&s->fake, TLBI_VA(i));
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(reg(s, CMDQ_CONS), 0x01000005); /* 2 + 3 */
	assert_int_equal(s->fake.nissued, 3);
}

static void an_unanswered_atc_inv_stops_the_next_sync_only(void **state)
{
	uint64_t atc[2] = { 0x0000001000000040ULL, 0x7000 };
	struct state *s = *state;

	boot_nested(s);
	s->fake.fail = true;
	s->fake.fail_times = 1;
	s->fake.bad_errno = -ETIMEDOUT;
	memcpy(s->fake.bad, atc, 16);
	guest_put(&s->fake, SYNC);	     /* 2: in front of it */
	guest_put(&s->fake, TLBI_VA(1));     /* 3 */
	guest_put(&s->fake, atc[0], atc[1]); /* 4 */
	guest_put(&s->fake, TLBI_VA(2));     /* 5: not lost */
	guest_put(&s->fake, SYNC);	     /* 6: stops here */
	guest_put(&s->fake, SYNC);	     /* 7 */
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(reg(s, CMDQ_CONS), 0x03000006);
	assert_int_equal(reg(s, GERROR), 1);
	assert_int_equal(s->fake.nissued, 2);
	nestfd_viommu_write(s->viommu, GERRORN, 4, 1);
	assert_int_equal(reg(s, CMDQ_CONS) & 0xfffff, 8);
	assert_int_equal(reg(s, GERROR), 1); /* no new error */
}

static void an_atc_failure_waits_for_the_sync_of_a_later_doorbell(void **state)
{
	uint64_t atc[2] = { 0x0000001000000040ULL, 0x7000 };
	struct state *s = *state;

	boot_nested(s);
	s->fake.fail = true;
	s->fake.fail_times = 1;
	s->fake.bad_errno = -ETIMEDOUT;
	memcpy(s->fake.bad, atc, 16);
	guest_put(&s->fake, atc[0], atc[1]);
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(reg(s, CMDQ_CONS), 3);
	assert_int_equal(reg(s, GERROR), 0);
	guest_put(&s->fake, TLBI_VA(1));
	guest_put(&s->fake, SYNC);
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(reg(s, CMDQ_CONS), 0x03000004);
	assert_int_equal(reg(s, GERROR), 1);
}

static void nothing_behind_a_sync_that_stops_is_sent(void **state)
{
	uint64_t atc[2] = { 0x0000001000000040ULL, 0x7000 };
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };
	struct state *s = *state;

	boot_nested(s);
	s->fake.fail = true;
	s->fake.fail_times = 1;
	s->fake.bad_errno = -ETIMEDOUT;
	memcpy(s->fake.bad, atc, 16);
	guest_put(&s->fake, atc[0], atc[1]); /* 2 */
	guest_doorbell(&s->fake, s->viommu);
	guest_put(&s->fake, TLBI_VA(1)); /* 3 */
	guest_put(&s->fake, SYNC);	 /* 4: stops here */
	guest_put(&s->fake, TLBI_VA(2)); /* 5 */
	guest_put(&s->fake, SYNC);	 /* 6 */
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(reg(s, CMDQ_CONS), 0x03000004);
	assert_int_equal(s->fake.nissued, 1);
	assert_true(s->fake.issued[0][1] >> 12 == 1);
	nestfd_viommu_stats(s->viommu, &stats);
	assert_int_equal(stats.splits[NESTFD_SPLIT_SYNC], 1);

	nestfd_viommu_write(s->viommu, GERRORN, 4, 1);
	assert_int_equal(reg(s, CMDQ_CONS) & 0xfffff, 7);
	assert_int_equal(s->fake.nissued, 2);
	assert_true(s->fake.issued[1][1] >> 12 == 2);
	nestfd_viommu_stats(s->viommu, &stats);
	assert_int_equal(stats.splits[NESTFD_SPLIT_SYNC], 1);
}

static void another_errno_is_an_abort_the_guest_can_repeat(void **state)
{
	uint64_t bad[2] = { TLBI_VA(0) };
	struct state *s = *state;

	boot_nested(s);
	s->fake.fail = true;
	s->fake.fail_times = 1;
	s->fake.bad_errno = -ENOMEM;
	memcpy(s->fake.bad, bad, 16);
	guest_put(&s->fake, TLBI_VA(0));
	guest_doorbell(&s->fake, s->viommu);
	assert_int_equal(reg(s, CMDQ_CONS), 0x02000002);
	nestfd_viommu_write(s->viommu, GERRORN, 4, 1);
	assert_int_equal(reg(s, CMDQ_CONS) & 0xfffff, 3);
	assert_int_equal(s->fake.nissued, 1);
}

/* A world of its own whose backend counts as Linux does */
static struct fake *linux_setup(struct nestfd_viommu **viommu)
{
	struct fake *fake = test_calloc(1, sizeof(*fake));
	struct nestfd_viommu_config config;
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = 0x10,
		.dev_id = 7,
		.attach = fake_attach,
		.ctx = fake,
	};

	fake_config(fake, &config);
	config.backend.exact = false;
	assert_int_equal(nestfd_viommu_smmuv3_create(&config, viommu), 0);
	assert_int_equal(nestfd_viommu_device_add(*viommu, &dev), 0);
	guest_boot(fake, *viommu);
	fake->like_linux = true;
	fake->fail = true;
	return fake;
}

static void a_backend_that_overcounts_loses_nothing(void **state)
{
	uint64_t bad[2] = { TLBI_VA(150) };
	struct nestfd_viommu *viommu;
	struct fake *fake = linux_setup(&viommu);
	int i;

	(void)state;
	fake->fail_times = -1;
	fake->bad_errno = -EIO;
	memcpy(fake->bad, bad, 16);
	for (i = 0; i < 200; i++)
		guest_put(fake, TLBI_VA(i));
	guest_doorbell(fake, viommu);
	assert_int_equal(nestfd_viommu_read(viommu, CMDQ_CONS, 4),
			 0x01000000 | 150);
	assert_int_equal(fake->nissued, 150);
	for (i = 0; i < 150; i++)
		assert_int_equal(fake->issued[i][1] >> 12, i);
	nestfd_viommu_destroy(viommu);
	test_free(fake);
}

/*
 * 4.5.1: a device that is told asks again, and the TLBs must have forgotten by
 * then. Linux does not say that it puts a CMD_SYNC between.
 */
static void linux_is_given_a_sync_in_front_of_an_atc_inv(void **state)
{
	struct nestfd_viommu *viommu;
	struct fake *fake = linux_setup(&viommu);

	(void)state;
	for (int order = 0; order < 2; order++) {
		fake->ncalls = 0;
		guest_put(fake, TLBI_VA(1));
		if (order)
			guest_put(fake, SYNC);
		guest_put(fake, 0x0000001000000040ULL, 0x7000);
		guest_put(fake, SYNC);
		guest_doorbell(fake, viommu);
		assert_int_equal(fake->ncalls, 1 + order);
		assert_int_equal(fake->calls[0].count, 2 - order);
	}
	nestfd_viommu_destroy(viommu);
	test_free(fake);
}

/*
 * Each timeout is a second: one for the 63 commands among which the device did
 * not answer, none for finding out which. The first of them that may be it is
 * at 101, in front of the CMD_SYNC at 199.
 */
static void linux_times_out_once_and_loses_nothing(void **state)
{
	uint64_t atc[2] = { 0x0000001000000040ULL, 0x7000 };
	struct nestfd_viommu *viommu;
	struct fake *fake = linux_setup(&viommu);
	int i;

	(void)state;
	fake->fail_times = -1;
	fake->bad_errno = -ETIMEDOUT;
	memcpy(fake->bad, atc, 16);
	for (i = 0; i < 200; i++) {
		if (i == 199)
			guest_put(fake, SYNC);
		else if (i == 101)
			guest_put(fake, 0x0000001000000040ULL, 0x3000);
		else if (i == 105)
			guest_put(fake, atc[0], atc[1]);
		else
			guest_put(fake, TLBI_VA(i));
	}
	guest_doorbell(fake, viommu);
	assert_int_equal(nestfd_viommu_read(viommu, CMDQ_CONS, 4),
			 0x03000000 | 199);
	/* 0 to 125 of 199; whether the queue moves again; then the rest */
	assert_int_equal(fake->ncalls, 3);
	assert_int_equal(fake->calls[1].count, 1);
	assert_int_equal(fake->calls[2].count, 199 - 126);
	assert_int_equal(fake->nissued, 200);

	/* the CMD_SYNC again */
	nestfd_viommu_write(viommu, GERRORN, 4, 1);
	assert_int_equal(nestfd_viommu_read(viommu, CMDQ_CONS, 4) & 0xfffff,
			 200);
	assert_int_equal(fake->ncalls, 3);
	nestfd_viommu_destroy(viommu);
	test_free(fake);
}

static void an_event_reaches_the_guests_queue_and_interrupts(void **state)
{
	/* header: flags 0, sequence 0; F_TRANSLATION of SID 0x10 */
	uint64_t event[5] = { 0, 0x0000001000000010ULL, 0x0000020800000000ULL,
			      0x10000, 0 };
	struct state *s = *state;

	boot_nested(s);
	memcpy(s->fake.events, event, sizeof(event));
	s->fake.event_bytes = sizeof(event);
	assert_int_equal(nestfd_viommu_pump(s->viommu), 1);
	assert_true(guest_word(&s->fake, EVENTQ_ADDR) == event[1]);
	assert_true(guest_word(&s->fake, EVENTQ_ADDR + 8) == event[2]);
	assert_true(guest_word(&s->fake, EVENTQ_ADDR + 16) == event[3]);
	assert_int_equal(reg(s, 0x100a8), 1);
	assert_int_equal(s->fake.irqs[0], 1);
}

static void lost_events_are_counted(void **state)
{
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };
	uint64_t lost = 0x0000000400000001ULL; /* sequence 4, LOST_EVENTS */
	struct state *s = *state;

	boot_nested(s);
	memcpy(s->fake.events, &lost, sizeof(lost));
	s->fake.event_bytes = sizeof(lost);
	assert_int_equal(nestfd_viommu_pump(s->viommu), 0);
	nestfd_viommu_stats(s->viommu, &stats);
	assert_int_equal(stats.events_lost, 5); /* 0 to 4 */
}

static void counters_fill_no_more_than_the_caller_has(void **state)
{
	struct nestfd_viommu_stats stats;
	struct state *s = *state;

	boot_nested(s);
	for (size_t size = 0; size <= sizeof(stats); size += 8) {
		unsigned char *bytes = (unsigned char *)&stats;

		memset(&stats, 0xa5, sizeof(stats));
		stats.size = size;
		nestfd_viommu_stats(s->viommu, &stats);
		assert_int_equal(stats.size, size);
		for (size_t i = size < 8 ? 8 : size; i < sizeof(stats); i++)
			assert_int_equal(bytes[i], 0xa5);
	}
	assert_int_equal(stats.commands, 2);
	assert_int_equal(stats.syncs, 1);
}

static void a_storm_of_events_does_not_keep_the_pump(void **state)
{
	uint64_t event[5] = { 0, 0x0000001000000010ULL, 0x0000020800000000ULL,
			      0x10000, 0 };
	struct nestfd_viommu_config config;
	struct nestfd_viommu *viommu;
	struct fake *fake = test_calloc(1, sizeof(*fake));

	(void)state;
	fake_config(fake, &config);
	config.events = 100;
	assert_int_equal(nestfd_viommu_smmuv3_create(&config, &viommu), 0);
	memcpy(fake->events, event, sizeof(event));
	fake->event_bytes = sizeof(event);
	fake->events_without_end = true;
	assert_int_equal(nestfd_viommu_pump(viommu), 100);
	fake->events_without_end = false;
	assert_int_equal(nestfd_viommu_pump(viommu), 1);
	assert_int_equal(nestfd_viommu_pump(viommu), 0);
	nestfd_viommu_destroy(viommu);
	test_free(fake);
}

static void what_is_no_event_is_a_protocol_error(void **state)
{
	/* a header and 24 of an event's 32 bytes */
	uint64_t event[4] = { 0, 0x0000001000000010ULL, 0, 0 };
	struct state *s = *state;

	boot_nested(s);
	memcpy(s->fake.events, event, sizeof(event));
	s->fake.event_bytes = sizeof(event);
	assert_int_equal(nestfd_viommu_pump(s->viommu), -EPROTO);
	assert_int_equal(reg(s, 0x100a8), 0);
	assert_int_equal(nestfd_viommu_pump(s->viommu), 0);
}

static void the_guest_sees_no_more_than_host_and_vmm_allow(void **state)
{
	struct state *s = *state;
	uint32_t idr0 = reg(s, 0x00);

	assert_int_equal(idr0 & 0x3, 0x2);   /* stage 1 only */
	assert_int_equal(idr0 >> 24 & 3, 1); /* no stalls */
	assert_int_equal(idr0 >> 16 & 1, 0); /* no PRI */
	assert_int_equal(idr0 >> 10 & 1, 1); /* ATS as the host */
	assert_int_equal(reg(s, 0x04) & 0x3f, 16);
	assert_int_equal(reg(s, 0x04) >> 6 & 0x1f, 20);
	assert_int_equal(reg(s, 0x0c) & 0x400, 0x400); /* RIL */
	assert_int_equal(reg(s, 0x14), 0x75);
}

static void the_vmm_can_take_features_away(void **state)
{
	struct nestfd_viommu_config config;
	struct nestfd_viommu *viommu;
	struct fake *fake = test_calloc(1, sizeof(*fake));
	/* what QEMU 11 shows its guests: IDR0 0x0d44101b ... */
	const uint32_t qemu[6] = { 0x0d44101b, 0x02730010, 0, 0x1414, 0, 0x74 };

	(void)state;
	fake_config(fake, &config);
	memcpy(config.idr, qemu, sizeof(qemu));
	assert_int_equal(nestfd_viommu_smmuv3_create(&config, &viommu), 0);
	assert_int_equal(nestfd_viommu_read(viommu, 0, 4) & 0x400, 0);
	/* TERM_MODEL (26) restricts: asked for, though the host has it not */
	assert_int_equal(nestfd_viommu_read(viommu, 0, 4) >> 26 & 1, 1);
	assert_int_equal(nestfd_viommu_read(viommu, 4, 4), 0x02730010);
	assert_int_equal(nestfd_viommu_read(viommu, 0x14, 4), 0x74);
	nestfd_viommu_destroy(viommu);
	test_free(fake);
}

static void a_second_device_with_the_same_vsid_is_refused(void **state)
{
	struct state *s = *state;
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = 0x10,
		.dev_id = 8,
		.attach = fake_attach,
		.ctx = &s->fake,
	};

	assert_int_equal(nestfd_viommu_device_add(s->viommu, &dev), -EEXIST);
	assert_int_equal(nestfd_viommu_device_remove(s->viommu, 0x11), -ENOENT);
	assert_int_equal(nestfd_viommu_device_remove(s->viommu, 0x10), 0);
	assert_int_equal(s->fake.attached, 9); /* the parent */
}

/* The default SIDSIZE is 16 */
static void a_vsid_that_no_table_can_name_is_refused(void **state)
{
	struct state *s = *state;
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = 0x10000,
		.dev_id = 8,
		.attach = fake_attach,
		.ctx = &s->fake,
	};

	assert_int_equal(nestfd_viommu_device_add(s->viommu, &dev), -EINVAL);
	dev.vsid = UINT32_MAX;
	assert_int_equal(nestfd_viommu_device_add(s->viommu, &dev), -EINVAL);
	dev.vsid = 0xffff;
	assert_int_equal(nestfd_viommu_device_add(s->viommu, &dev), 0);
	assert_int_equal(s->fake.nvdevice, 2);
}

static void reset_turns_the_smmu_off(void **state)
{
	struct state *s = *state;

	boot_nested(s);
	nestfd_viommu_reset(s->viommu);
	assert_int_equal(reg(s, 0x20), 0);
	assert_int_equal(s->fake.attached, s->fake.hwpt_id[1]); /* bypass */
}

static void every_allocation_may_fail(void **state)
{
	struct nestfd_viommu_config config;
	struct nestfd_viommu *viommu;
	struct fake *fake = test_calloc(1, sizeof(*fake));
	uint64_t n;
	int rc;

	(void)state;
	for (n = 1;; n++) {
		struct alloc_plan plan = { .fail_at = n };

		fake_config(fake, &config);
		alloc_arm(&plan);
		rc = nestfd_viommu_smmuv3_create(&config, &viommu);
		alloc_arm(NULL);
		if (!rc)
			break;
		assert_int_equal(rc, -ENOMEM);
	}
	nestfd_viommu_destroy(viommu);
	print_message("%d injection points\n", (int)n - 1);
	assert_true(n > 3);
	test_free(fake);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_shared_tables_are_made_at_creation),
		CASE(a_stream_is_bypassed_while_the_smmu_is_off),
		CASE(gbpa_abort_blocks_the_stream),
		CASE(an_invalid_ste_aborts_once_the_smmu_is_on),
		CASE(a_stage_1_ste_becomes_a_nested_table),
		CASE(only_the_fields_of_the_abi_go_down),
		CASE(a_replaced_table_is_destroyed),
		CASE(what_the_host_calls_illegal_aborts),
		CASE(a_doorbell_is_one_ioctl_however_many_commands),
		CASE(a_run_larger_than_the_first_buffer_stays_one_ioctl),
		CASE(a_span_that_cannot_grow_is_taken_in_pieces),
		CASE(a_run_that_cannot_grow_is_split_and_loses_nothing),
		CASE(an_unchanged_ste_splits_nothing_and_drops_its_cds),
		CASE(a_sync_behind_a_cfgi_splits_the_run),
		CASE(a_changed_ste_splits_the_run),
		CASE(a_stream_is_followed_once_per_doorbell),
		CASE(ignored_bits_never_reach_the_host),
		CASE(commands_for_an_unknown_stream_complete_here),
		CASE(the_msi_of_an_interior_sync_is_written),
		CASE(a_bad_opcode_stops_after_what_precedes_it),
		CASE(the_guest_recovers_by_overwriting_and_acknowledging),
		CASE(an_entry_the_host_refuses_is_the_guests_ill),
		CASE(an_unanswered_atc_inv_stops_the_next_sync_only),
		CASE(an_atc_failure_waits_for_the_sync_of_a_later_doorbell),
		CASE(nothing_behind_a_sync_that_stops_is_sent),
		CASE(another_errno_is_an_abort_the_guest_can_repeat),
		CASE(a_backend_that_overcounts_loses_nothing),
		CASE(linux_is_given_a_sync_in_front_of_an_atc_inv),
		CASE(linux_times_out_once_and_loses_nothing),
		CASE(an_event_reaches_the_guests_queue_and_interrupts),
		CASE(lost_events_are_counted),
		CASE(counters_fill_no_more_than_the_caller_has),
		CASE(a_storm_of_events_does_not_keep_the_pump),
		CASE(what_is_no_event_is_a_protocol_error),
		CASE(the_guest_sees_no_more_than_host_and_vmm_allow),
		CASE(the_vmm_can_take_features_away),
		CASE(a_second_device_with_the_same_vsid_is_refused),
		CASE(a_vsid_that_no_table_can_name_is_refused),
		CASE(reset_turns_the_smmu_off),
		CASE(every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("viommu", tests, NULL, NULL);
}
