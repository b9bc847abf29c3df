// SPDX-License-Identifier: MIT
/*
 * A guest's own command queue (NESTFD_HWPT_INVALIDATE_RING) on a vIOMMU: which
 * commands are carried out, what becomes of its CMD_SYNCs, where it stops and
 * what it says then. Arm IHI 0070 4.5.1, 4.7.3 and 7.1; include/nestfd/ext.h.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"

#define VMM 0x100u
#define ILL 1u
#define ABT 2u
#define ATC 3u

/* vSIDs 0x50 (no ATS), 0x51, 0x52 (ATS) -> SIDs 0x100 to 0x102; VMID 2 */
static void init(struct bed *b)
{
	bed_init(b);
	b->r.cfg.atc_timeouts = 1000000; /* no quarantine here */
}

static void start(struct bed *b)
{
	init(b);
	bed_begin(b);
}

static int native(struct bed *g, const uint64_t (*cmds)[2], uint32_t n,
		  struct core_inval *inv)
{
	fake_clear_log(&g->r.hw);
	*inv = (struct core_inval){ .uptr = (uintptr_t)cmds,
				    .type = 1,
				    .stride = 16,
				    .count = n,
				    .done = 77,
				    .info_entry = true,
				    .native = true };
	return g->v->ops->invalidate(g->v, inv);
}

#define EXPECT_STOP(inv, at, what, about)                          \
	do {                                                       \
		assert_int_equal((inv).done, at);                  \
		assert_int_equal((inv).code, what);                \
		assert_int_equal((inv).info, about);               \
		assert_int_equal((inv).info_entry, (what) == ATC); \
	} while (0)

/* TLBI_NH_ASID and ATC_INV of everything, as the guest writes them */
#define ASID(n)	     ((uint64_t)(n) << 48 | 0x11)
#define ATC_INV(sid) ((uint64_t)(sid) << 32 | 0x40), 52
/* as the host's queue gets them */
#define HOST_ASID(n) ((uint64_t)(n) << 48 | 0x200000011)

static void test_without_ats_in_the_smmu_an_atc_inv_is_the_vmms(void **state)
{
	uint64_t cmds[3][2] = { { ASID(1) }, { ATC_INV(0x51) }, { ASID(2) } };
	struct core_inval inv;
	struct bed g;

	(void)state;
	init(&g);
	g.r.hw.idr[0] &= ~(1u << 10);
	bed_begin(&g);
	assert_int_equal(native(&g, cmds, 3, &inv), -EOPNOTSUPP);
	EXPECT_STOP(inv, 1, VMM, 0x40);
	assert_int_equal(g.r.hw.log_n, 2); /* and a sync */
	EXPECT_CMD(&g.r.hw, 0, HOST_ASID(1), 0);
	bed_stop(&g);

	/* with it, a device without an ATC is nothing to stop for */
	start(&g);
	cmds[1][0] = 0x5000000040;
	assert_int_equal(native(&g, cmds, 3, &inv), 0);
	EXPECT_STOP(inv, 3, 0, 0);
	bed_stop(&g);
}

static void test_syncs_behind_no_atc_inv_cost_nothing(void **state)
{
	uint64_t cmds[7][2] = { { SYNC },    { ASID(1) }, { SYNC }, { ASID(2) },
				{ ASID(3) }, { SYNC },	  { SYNC } };
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	assert_int_equal(native(&g, cmds, 7, &inv), 0);
	EXPECT_STOP(inv, 7, 0, 0);
	assert_int_equal(g.r.hw.doorbells, 1);
	assert_int_equal(g.r.hw.log_n, 4);
	EXPECT_CMD(&g.r.hw, 0, HOST_ASID(1), 0);
	EXPECT_CMD(&g.r.hw, 1, HOST_ASID(2), 0);
	EXPECT_CMD(&g.r.hw, 2, HOST_ASID(3), 0);
	EXPECT_CMD(&g.r.hw, 3, SYNC, 0);
	/* nothing but syncs: nothing to wait for */
	assert_int_equal(native(&g, cmds + 5, 2, &inv), 0);
	EXPECT_STOP(inv, 2, 0, 0);
	assert_int_equal(g.r.hw.doorbells, 0);
	bed_stop(&g);
}

static void test_a_sync_behind_an_atc_inv_reaches_the_host(void **state)
{
	uint64_t cmds[6][2] = { { ASID(1) }, { SYNC },	  { ATC_INV(0x51) },
				{ SYNC },    { ASID(2) }, { SYNC } };
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	assert_int_equal(native(&g, cmds, 6, &inv), 0);
	EXPECT_STOP(inv, 6, 0, 0);
	assert_int_equal(g.r.hw.doorbells, 2);
	assert_int_equal(g.r.hw.log_n, 6);
	EXPECT_CMD(&g.r.hw, 0, HOST_ASID(1), 0);
	EXPECT_CMD(&g.r.hw, 1, SYNC, 0);
	EXPECT_CMD(&g.r.hw, 2, 0x10100000040, 52);
	EXPECT_CMD(&g.r.hw, 3, SYNC, 0);
	EXPECT_CMD(&g.r.hw, 4, HOST_ASID(2), 0);
	EXPECT_CMD(&g.r.hw, 5, SYNC, 0);
	bed_stop(&g);
}

/*
 * 4.7.3: without a CMD_SYNC between them a TLBI may be carried out first, and
 * what the old CD lets in afterwards stays.
 */
static void test_a_sync_between_cfgi_and_others_reaches_the_host(void **state)
{
	static const uint64_t cfgi[2][4] = {
		{ 0x510abc1005, 1, 0x1010abc1005, 1 },
		{ 0x5100000006, 0, 0x10100000006, 0 },
	};
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	for (int i = 0; i < 2; i++) {
		uint64_t cmds[8][2] = {
			{ ASID(1) }, { SYNC },	 { cfgi[i][0], cfgi[i][1] },
			{ SYNC },    { SYNC },	 { ASID(2) },
			{ SYNC },    { ASID(3) }
		};

		assert_int_equal(native(&g, cmds, 8, &inv), 0);
		EXPECT_STOP(inv, 8, 0, 0);
		assert_int_equal(g.r.hw.log_n, 6);
		EXPECT_CMD(&g.r.hw, 0, HOST_ASID(1), 0);
		EXPECT_CMD(&g.r.hw, 1, cfgi[i][2], cfgi[i][3]);
		EXPECT_CMD(&g.r.hw, 2, SYNC, 0);
		EXPECT_CMD(&g.r.hw, 3, HOST_ASID(2), 0);
		EXPECT_CMD(&g.r.hw, 4, HOST_ASID(3), 0);
		EXPECT_CMD(&g.r.hw, 5, SYNC, 0);
		assert_int_equal(g.r.hw.doorbells, 1);
	}
	bed_stop(&g);
}

static void test_a_sync_behind_cfgi_and_atc_inv_is_one(void **state)
{
	uint64_t cmds[7][2] = { { 0x5100000006 }, { SYNC }, { ATC_INV(0x51) },
				{ 0x5200000006 }, { SYNC }, { 0x5200000006 },
				{ SYNC } };
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	assert_int_equal(native(&g, cmds, 7, &inv), 0);
	EXPECT_STOP(inv, 7, 0, 0);
	assert_int_equal(g.r.hw.log_n, 7);
	EXPECT_CMD(&g.r.hw, 0, 0x10100000006, 0);
	EXPECT_CMD(&g.r.hw, 1, SYNC, 0);
	EXPECT_CMD(&g.r.hw, 2, 0x10100000040, 52);
	EXPECT_CMD(&g.r.hw, 3, 0x10200000006, 0);
	EXPECT_CMD(&g.r.hw, 4, SYNC, 0);
	/* the last is followed by the call's own */
	EXPECT_CMD(&g.r.hw, 5, 0x10200000006, 0);
	EXPECT_CMD(&g.r.hw, 6, SYNC, 0);
	bed_stop(&g);
}

/* As many as a chunk has room for: each other one is a CMD_SYNC. */
static void test_a_queue_full_of_cfgi_and_sync_is_carried_out(void **state)
{
	static uint64_t cmds[1025][2];
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	for (int i = 0; i < 1025; i++)
		cmds[i][0] = i & 1 ? SYNC : 0x5100000006;
	assert_int_equal(native(&g, cmds, 1025, &inv), 0);
	EXPECT_STOP(inv, 1025, 0, 0);
	bed_stop(&g);
}

/* @cmd stops the queue in the middle: what is before it is complete. */
static void expect_left_to_vmm(struct bed *g, uint64_t dw0, uint64_t dw1)
{
	uint64_t cmds[4][2] = {
		{ ASID(1) }, { SYNC }, { dw0, dw1 }, { ASID(2) }
	};
	struct core_inval inv;

	assert_int_equal(native(g, cmds, 4, &inv), -EOPNOTSUPP);
	EXPECT_STOP(inv, 2, VMM, dw0 & 0xff);
	assert_int_equal(g->r.hw.log_n, 2);
	EXPECT_CMD(&g->r.hw, 0, HOST_ASID(1), 0);
	EXPECT_CMD(&g->r.hw, 1, SYNC, 0);
	/* the first: nothing at all happens */
	assert_int_equal(native(g, cmds + 2, 2, &inv), -EOPNOTSUPP);
	EXPECT_STOP(inv, 0, VMM, dw0 & 0xff);
	assert_int_equal(g->r.hw.log_n, 0);
}

static void test_every_other_opcode_is_left_to_the_vmm(void **state)
{
	struct bed g;

	(void)state;
	start(&g);
	for (uint64_t op = 0; op < 256; op++) {
		bool known = op == 0x05 || op == 0x06 || op == 0x10 ||
			     op == 0x11 || op == 0x12 || op == 0x13 ||
			     op == 0x30 || op == 0x40 || op == 0x46;

		if (!known)
			expect_left_to_vmm(&g, 0x5100000000 | op, 0);
	}
	bed_stop(&g);
}

static void test_vsids_without_a_vdevice_are_left_to_the_vmm(void **state)
{
	struct bed g;

	(void)state;
	start(&g);
	expect_left_to_vmm(&g, 0x5300000005, 1);
	expect_left_to_vmm(&g, 0x5300000006, 0);
	expect_left_to_vmm(&g, 0x5300000040, 52);
	expect_left_to_vmm(&g, 0x10100000040, 52);
	bed_stop(&g);
}

static void test_reserved_bits_are_left_to_the_vmm(void **state)
{
	struct bed g;

	(void)state;
	start(&g);
	/* SSec; and dw1 of commands that have none */
	expect_left_to_vmm(&g, 0x10 | 1 << 10, 0);
	for (int bit = 0; bit < 64; bit++)
		expect_left_to_vmm(&g, 0x10, 1ULL << bit);
	for (int bit = 6; bit < 12; bit++)
		expect_left_to_vmm(&g, 0x5100000040, 1ULL << bit);
	/* 4.4.4.1: TLBI_NSNH_ALL has no parameters, not even a VMID */
	for (int bit = 8; bit < 64; bit++)
		expect_left_to_vmm(&g, 0x30 | 1ULL << bit, 0);
	bed_stop(&g);
}

/* 4.7.3: CS 13:12, MSH 23:22, MSIAttr 27:24, MSIData 63:32; MSIAddress */
static void test_a_sync_that_must_signal_is_left_to_the_vmm(void **state)
{
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	expect_left_to_vmm(&g, SYNC | 1 << 12, 0);
	expect_left_to_vmm(&g, SYNC | 1 << 12, 0x1000);
	expect_left_to_vmm(&g, SYNC | 3 << 12, 0);
	for (int bit = 8; bit < 128; bit++) {
		uint64_t one = 1ULL << bit % 64;
		bool field = bit < 64 ? bit == 13 || bit == 22 || bit == 23 ||
						(bit >= 24 && bit <= 27) ||
						bit >= 32
				      : bit >= 66 && bit <= 119;
		uint64_t cmd[1][2] = { { SYNC | (bit < 64 ? one : 0),
					 bit < 64 ? 0 : one } };

		if (!field) {
			expect_left_to_vmm(&g, cmd[0][0], cmd[0][1]);
			continue;
		}
		assert_int_equal(native(&g, cmd, 1, &inv), 0);
		EXPECT_STOP(inv, 1, 0, 0);
	}
	bed_stop(&g);
}

static void test_an_unanswered_atc_inv_stops_at_the_next_sync(void **state)
{
	uint64_t cmds[9][2] = { { ASID(1) },	   { SYNC },
				{ ATC_INV(0x52) }, { ATC_INV(0x51) },
				{ ASID(2) },	   { SYNC },
				{ ASID(3) },	   { ATC_INV(0x52) },
				{ SYNC } };
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	g.r.hw.mute_sid = 0x101;
	assert_int_equal(native(&g, cmds, 9, &inv), -ETIMEDOUT);
	EXPECT_STOP(inv, 5, ATC, 3);
	assert_int_equal(g.r.hw.gerror, g.r.hw.gerrorn);
	for (size_t i = 0; i < g.r.hw.log_n; i++)
		assert_int_not_equal(g.r.hw.log[i][0], HOST_ASID(3));
	g.r.hw.mute_sid = UINT32_MAX;
	assert_int_equal(native(&g, cmds + 5, 4, &inv), 0);
	EXPECT_STOP(inv, 4, 0, 0);
	bed_stop(&g);
}

static void test_what_is_between_atc_inv_and_sync_is_carried_out(void **state)
{
	/* the host's own syncs in front of ATC_INVs are no stop for a guest */
	uint64_t cmds[8][2] = { { ATC_INV(0x51) }, { ASID(1) },
				{ ATC_INV(0x52) }, { ASID(2) },
				{ ATC_INV(0x52) }, { ASID(3) },
				{ SYNC },	   { ASID(4) } };
	unsigned int seen[5] = { 0 };
	unsigned int atc = 0;
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	g.r.hw.mute_sid = 0x101;
	assert_int_equal(native(&g, cmds, 8, &inv), -ETIMEDOUT);
	EXPECT_STOP(inv, 6, ATC, 0);
	for (size_t i = 0; i < g.r.hw.log_n; i++) {
		for (uint64_t asid = 1; asid < 5; asid++)
			seen[asid] += g.r.hw.log[i][0] == HOST_ASID(asid);
		atc += g.r.hw.log[i][0] == 0x10200000040;
	}
	assert_int_equal(seen[1], 1);
	assert_int_equal(seen[2], 1);
	assert_int_equal(seen[3], 1);
	assert_int_equal(seen[4], 0);
	assert_int_equal(atc, 2);
	bed_stop(&g);
}

static void test_without_a_sync_behind_it_all_is_consumed(void **state)
{
	uint64_t cmds[3][2] = { { SYNC }, { ATC_INV(0x51) }, { ASID(1) } };
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	g.r.hw.mute_sid = 0x101;
	for (uint32_t n = 2; n <= 3; n++) {
		assert_int_equal(native(&g, cmds, n, &inv), -ETIMEDOUT);
		EXPECT_STOP(inv, n, ATC, 1);
	}
	bed_stop(&g);
}

static void
test_another_stop_before_the_sync_tells_of_the_atc_inv_first(void **state)
{
	uint64_t cmds[5][2] = { { ASID(1) },
				{ ATC_INV(0x51) },
				{ ASID(2) },
				{ 0x5100000003, 1 }, /* CFGI_STE */
				{ SYNC } };
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	g.r.hw.mute_sid = 0x101;
	assert_int_equal(native(&g, cmds, 5, &inv), -ETIMEDOUT);
	EXPECT_STOP(inv, 3, ATC, 1);
	assert_int_equal(native(&g, cmds + 3, 2, &inv), -EOPNOTSUPP);
	EXPECT_STOP(inv, 0, VMM, 3);

	/* likewise one that hardware calls illegal */
	cmds[3][0] = ASID(0xbad);
	cmds[3][1] = 0;
	g.r.hw.ill_dw0 = HOST_ASID(0xbad);
	assert_int_equal(native(&g, cmds, 5, &inv), -ETIMEDOUT);
	EXPECT_STOP(inv, 3, ATC, 1);
	assert_int_equal(native(&g, cmds + 3, 2, &inv), -EIO);
	EXPECT_STOP(inv, 0, ILL, 0);

	/* and one that cannot be read */
	cmds[3][0] = ASID(3);
	cmds[3][1] = UINT64_MAX;
	assert_int_equal(native(&g, cmds, 5, &inv), -ETIMEDOUT);
	EXPECT_STOP(inv, 3, ATC, 1);
	assert_int_equal(native(&g, cmds + 3, 2, &inv), -EFAULT);
	EXPECT_STOP(inv, 0, 0, 0);
	bed_stop(&g);
}

static void
test_the_hosts_own_sync_is_no_reason_to_stop_before_another(void **state)
{
	uint64_t cmds[6][2] = { { ATC_INV(0x51) },
				{ ASID(1) },
				{ ATC_INV(0x52) },
				{ ASID(2) },
				{ 0x02 /* PREFETCH_ADDR */ },
				{ SYNC } };
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	g.r.hw.mute_sid = 0x101;
	assert_int_equal(native(&g, cmds, 6, &inv), -ETIMEDOUT);
	EXPECT_STOP(inv, 4, ATC, 0);
	EXPECT_CMD(&g.r.hw, g.r.hw.log_n - 2, HOST_ASID(2), 0);
	bed_stop(&g);
}

static void test_a_short_host_queue_makes_no_difference(void **state)
{
	uint64_t cmds[40][2];
	struct core_inval inv;
	struct bed g;

	(void)state;
	for (unsigned int lg2 = 1; lg2 <= 5; lg2++) {
		init(&g);
		g.r.cfg.cmdq_lg2 = lg2;
		bed_begin(&g);
		g.r.hw.mute_sid = 0x101;
		for (uint32_t bad = 0; bad < 30; bad++) {
			for (uint32_t i = 0; i < 40; i++) {
				cmds[i][0] = i % 3 ? ASID(i) : 0x5200000040;
				cmds[i][1] = i % 3 ? 0 : 52;
			}
			cmds[bad][0] = 0x5100000040;
			cmds[bad][1] = 52;
			cmds[35][0] = SYNC;
			cmds[35][1] = 0;
			assert_int_equal(native(&g, cmds, 40, &inv),
					 -ETIMEDOUT);
			EXPECT_STOP(inv, 35, ATC, bad);
			for (uint64_t i = 0; i < 40; i++) {
				unsigned int seen = 0;

				for (size_t at = 0; at < g.r.hw.log_n; at++)
					seen += g.r.hw.log[at][0] ==
						HOST_ASID(i);
				assert_int_equal(seen,
						 i < 35 && i % 3 && i != bad);
			}
		}
		bed_stop(&g);
	}
}

static void test_an_illegal_command_stops_at_its_index(void **state)
{
	uint64_t(*cmds)[2] = calloc(1500, sizeof(cmds[0]));
	struct core_inval inv;
	struct bed g;

	(void)state;
	assert_non_null(cmds);
	start(&g);
	g.r.hw.ill_dw0 = HOST_ASID(0xbad);
	for (uint32_t bad = 0; bad < 1500; bad += 113) {
		for (uint32_t i = 0; i < 1500; i++)
			cmds[i][0] = i % 3 ? ASID(i) : SYNC;
		cmds[bad][0] = ASID(0xbad);
		assert_int_equal(native(&g, cmds, 1500, &inv), -EIO);
		EXPECT_STOP(inv, bad, ILL, 0);
		assert_int_equal(g.r.hw.gerror, g.r.hw.gerrorn);
	}
	free(cmds);
	bed_stop(&g);
}

static void test_chunks_make_no_difference_to_where_it_stops(void **state)
{
	uint64_t(*cmds)[2] = calloc(1600, sizeof(cmds[0]));
	struct core_inval inv;
	struct bed g;

	(void)state;
	assert_non_null(cmds);
	start(&g);
	g.r.hw.mute_sid = 0x101;
	for (uint32_t bad = 0; bad < 1100;
	     bad += bad < 505 || bad > 515 ? 101 : 1) {
		for (uint32_t sync = bad + 1; sync < 1600; sync += 173) {
			for (uint32_t i = 0; i < 1600; i++) {
				cmds[i][0] = i % 5 ? ASID(1) : 0x5200000040;
				cmds[i][1] = i % 5 ? 0 : 52;
			}
			cmds[bad][0] = 0x5100000040;
			cmds[bad][1] = 52;
			cmds[sync][0] = SYNC;
			cmds[sync][1] = 0;
			assert_int_equal(native(&g, cmds, 1600, &inv),
					 -ETIMEDOUT);
			EXPECT_STOP(inv, sync, ATC, bad);
		}
	}
	free(cmds);
	bed_stop(&g);
}

static void test_what_can_be_read_is_carried_out(void **state)
{
	static uint64_t cmds[700][2];
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	for (int i = 0; i < 700; i++)
		cmds[i][0] = ASID(i);
	for (uint32_t hole = 0; hole < 700; hole += 77) {
		cmds[hole][1] = UINT64_MAX; /* the fake's unreadable memory */
		assert_int_equal(native(&g, cmds, 700, &inv), -EFAULT);
		EXPECT_STOP(inv, hole, 0, 0);
		if (hole)
			EXPECT_CMD(&g.r.hw, g.r.hw.log_n - 2,
				   HOST_ASID(hole - 1), 0);
		else
			assert_int_equal(g.r.hw.log_n, 0);
		cmds[hole][1] = 0;
	}
	bed_stop(&g);
}

static void test_a_dead_unit_says_so_even_to_a_sync(void **state)
{
	uint64_t cmds[2][2] = { { ASID(1) }, { SYNC } };
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	g.r.hw.stuck = true;
	assert_int_equal(native(&g, cmds, 2, &inv), -EIO);
	EXPECT_STOP(inv, 0, ABT, 0);
	assert_int_equal(native(&g, cmds + 1, 1, &inv), -EIO);
	EXPECT_STOP(inv, 0, ABT, 0);
	/* an ATC_INV that would have nothing to do, in an array */
	cmds[0][0] = 0x5000000040;
	assert_int_equal(rig_inval(g.v, cmds, 1, &inv), -EIO);
	EXPECT_STOP(inv, 0, ABT, 0);
	bed_stop(&g);
}

static void test_an_array_says_which_vsid_did_not_answer(void **state)
{
	uint64_t cmds[4][2] = { { ASID(1) },
				{ ATC_INV(0x52) },
				{ ATC_INV(0x51) },
				{ ATC_INV(0x52) } };
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	g.r.hw.mute_sid = 0x101;
	assert_int_equal(rig_inval(g.v, cmds, 4, &inv), -ETIMEDOUT);
	assert_int_equal(inv.done, 2);
	assert_int_equal(inv.code, ATC);
	assert_int_equal(inv.info, 0x51);
	assert_false(inv.info_entry);
	/* a CMD_SYNC is no invalidation there */
	cmds[0][0] = SYNC;
	assert_int_equal(rig_inval(g.v, cmds, 1, &inv), -EIO);
	assert_int_equal(inv.code, ILL);
	assert_int_equal(inv.info, 0);
	bed_stop(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_without_ats_in_the_smmu_an_atc_inv_is_the_vmms),
		cmocka_unit_test(test_syncs_behind_no_atc_inv_cost_nothing),
		cmocka_unit_test(
			test_a_sync_behind_an_atc_inv_reaches_the_host),
		cmocka_unit_test(
			test_a_sync_between_cfgi_and_others_reaches_the_host),
		cmocka_unit_test(test_a_sync_behind_cfgi_and_atc_inv_is_one),
		cmocka_unit_test(
			test_a_queue_full_of_cfgi_and_sync_is_carried_out),
		cmocka_unit_test(test_every_other_opcode_is_left_to_the_vmm),
		cmocka_unit_test(
			test_vsids_without_a_vdevice_are_left_to_the_vmm),
		cmocka_unit_test(test_reserved_bits_are_left_to_the_vmm),
		cmocka_unit_test(
			test_a_sync_that_must_signal_is_left_to_the_vmm),
		cmocka_unit_test(
			test_an_unanswered_atc_inv_stops_at_the_next_sync),
		cmocka_unit_test(
			test_what_is_between_atc_inv_and_sync_is_carried_out),
		cmocka_unit_test(test_without_a_sync_behind_it_all_is_consumed),
		cmocka_unit_test(
			test_another_stop_before_the_sync_tells_of_the_atc_inv_first),
		cmocka_unit_test(
			test_the_hosts_own_sync_is_no_reason_to_stop_before_another),
		cmocka_unit_test(test_a_short_host_queue_makes_no_difference),
		cmocka_unit_test(test_an_illegal_command_stops_at_its_index),
		cmocka_unit_test(
			test_chunks_make_no_difference_to_where_it_stops),
		cmocka_unit_test(test_what_can_be_read_is_carried_out),
		cmocka_unit_test(test_a_dead_unit_says_so_even_to_a_sync),
		cmocka_unit_test(test_an_array_says_which_vsid_did_not_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
