// SPDX-License-Identifier: MIT
/*
 * IOMMU_HWPT_INVALIDATE on a vIOMMU: which commands, which bits, what reaches
 * the host's queue. Names carry the row ids of the observed Linux answers.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"

/* VMID 2; vSIDs 0x123 -> 0x100 (no ATS), 0x124 -> 0x102 (ATS, PASIDs) */
struct guest {
	struct rig r;
	struct core_domain *parent;
	struct core_viommu *v;
	struct core_vdevice vdev[2];
};

static void guest_begin(struct guest *g)
{
	rig_start_devices(&g->r);
	g->parent = rig_domain(&g->r, 1);
	g->v = rig_viommu(&g->r, g->parent);
	rig_vdev(g->v, &g->vdev[0], &g->r.dev[0], 0x123);
	rig_vdev(g->v, &g->vdev[1], &g->r.dev[2], 0x124);
	fake_clear_log(&g->r.hw);
}

static void guest_start(struct guest *g)
{
	rig_init(&g->r);
	guest_begin(g);
}

static void guest_stop(struct guest *g)
{
	for (int i = 0; i < 2; i++)
		g->v->ops->vdevice_remove(g->v, &g->vdev[i]);
	g->v->ops->free(g->v);
	g->parent->ops->free(g->parent);
	rig_stop(&g->r);
}

static int inval1(struct guest *g, uint64_t dw0, uint64_t dw1,
		  struct core_inval *inv)
{
	uint64_t cmd[1][2] = { { dw0, dw1 } };

	fake_clear_log(&g->r.hw);
	return rig_inval(g->v, cmd, 1, inv);
}

static void test_I1_exactly_eight_opcodes_are_accepted(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (uint64_t op = 0; op < 256; op++) {
		bool ok = op == 0x05 || op == 0x06 || op == 0x10 ||
			  op == 0x11 || op == 0x12 || op == 0x13 ||
			  op == 0x30 || op == 0x40;

		assert_int_equal(inval1(&g, 0x12300000000 | op, 0, &inv),
				 ok ? 0 : -EIO);
		assert_int_equal(inv.done, ok);
		assert_int_equal(inv.code, !ok);
		assert_int_equal(g.r.hw.log_n, !ok || op == 0x40 ? 0 : 2);
	}
	guest_stop(&g);
}

struct form {
	uint64_t dw0, dw1;	 /* what the guest writes: all fields set */
	uint64_t host0, host1;	 /* what the host's queue gets */
	uint64_t legal0, legal1; /* bits that may be set at all */
};

/* Fields as in IHI 0070 4.3 to 4.5; VMID 2 and SID 0x102 are the host's. */
static const struct form forms[] = {
	/* CFGI_CD: SID, SSID; Leaf */
	{ 0x124fffff005, 1, 0x102fffff005, 1, 0xfffffffffffff0ff, 1 },
	/* CFGI_CD_ALL: SID */
	{ 0x12400000006, 0, 0x10200000006, 0, 0xffffffff000000ff, 0 },
	/* NH_ALL: VMID */
	{ 0xffff00000010, 0, 0x200000010, 0, 0x0000ffff000000ff, 0 },
	/* NH_ASID: ASID, VMID */
	{ 0xffffffff00000011, 0, 0xffff000200000011, 0, 0xffffffff000000ff, 0 },
	/* NH_VA: ASID, VMID, SCALE, NUM; VA, TG, TTL, Leaf */
	{ 0xffffffff01f1f012, 0xffffffffffffff01, 0xffff000201f1f012,
	  0xffffffffffffff01, 0xffffffff01f1f0ff, 0xffffffffffffff01 },
	/* NH_VAA: the same less ASID */
	{ 0xffff01f1f013, 0xffffffffffffff01, 0x201f1f013, 0xffffffffffffff01,
	  0x0000ffff01f1f0ff, 0xffffffffffffff01 },
	/* NSNH_ALL: becomes NH_ALL; I1: what is no VMID there is overwritten */
	{ 0xffff00000030, 0, 0x200000010, 0, 0x0000ffff000000ff, 0 },
	/* ATC_INV: SID, SSID, SSV, Global; Address, Size */
	{ 0x124fffffa40, 0xfffffffffffff03f, 0x102fffffa40, 0xfffffffffffff03f,
	  0xfffffffffffffaff, 0xfffffffffffff03f },
};

#define FORMS (sizeof(forms) / sizeof(forms[0]))

/* The SCALE, NUM fields above: bits 24:20 and 16:12 */
static void test_all_fields_set_reach_the_queue_with_the_hosts_ids(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (size_t i = 0; i < FORMS; i++) {
		const struct form *f = &forms[i];

		/* bits 23:17 of 0x01f1f0.. are SCALE and NUM only */
		assert_int_equal(inval1(&g, f->dw0, f->dw1, &inv), 0);
		assert_int_equal(inv.done, 1);
		EXPECT_CMD(&g.r.hw, 0, f->host0, f->host1);
		EXPECT_CMD(&g.r.hw, 1, SYNC, 0);
	}
	guest_stop(&g);
}

static void test_I2_each_reserved_bit_is_refused_alone(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (size_t i = 0; i < FORMS; i++) {
		const struct form *f = &forms[i];

		for (int bit = 8; bit < 128; bit++) {
			uint64_t flip = 1ULL << (bit % 64);
			uint64_t dw0 = f->dw0 | (bit < 64 ? flip : 0);
			uint64_t dw1 = f->dw1 | (bit < 64 ? 0 : flip);
			bool legal =
				bit < 64 ? f->legal0 & flip : f->legal1 & flip;

			if (legal)
				continue;
			assert_int_equal(inval1(&g, dw0, dw1, &inv), -EIO);
			assert_int_equal(inv.done, 0);
			assert_int_equal(inv.code, 1);
			assert_int_equal(g.r.hw.log_n, 0);
		}
	}
	guest_stop(&g);
}

static void test_each_field_bit_is_accepted_alone(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (size_t i = 0; i < FORMS; i++) {
		const struct form *f = &forms[i];
		uint64_t op = f->dw0 & 0xff;
		bool sid = op == 5 || op == 6 || op == 0x40;
		bool va = op == 0x12 || op == 0x13;
		/* TG 1, without which SCALE, NUM and TTL are RES0 */
		uint64_t base0 = op | (sid ? 0x12400000000 : 0);
		uint64_t base1 = va ? 0x400 : 0;

		for (int bit = 8; bit < 128; bit++) {
			uint64_t flip = 1ULL << (bit % 64);

			if (!((bit < 64 ? f->legal0 : f->legal1) & flip) ||
			    (sid && bit >= 32 && bit < 64))
				continue;
			assert_int_equal(
				inval1(&g, base0 | (bit < 64 ? flip : 0),
				       base1 | (bit < 64 ? 0 : flip), &inv),
				0);
			assert_int_equal(inv.done, 1);
		}
	}
	guest_stop(&g);
}

static void test_without_tg_range_fields_are_reserved(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	assert_int_equal(inval1(&g, 0x12, 0x10001, &inv), 0);
	assert_int_equal(inval1(&g, 0x12 | 1 << 12, 0x10000, &inv), -EIO);
	assert_int_equal(inval1(&g, 0x12 | 1 << 20, 0x10000, &inv), -EIO);
	assert_int_equal(inval1(&g, 0x12, 0x10100, &inv), -EIO);
	assert_int_equal(inval1(&g, 0x13 | 1 << 12, 0x10000, &inv), -EIO);
	guest_stop(&g);
}

static void test_a_host_without_ranges_refuses_range_fields(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	rig_init(&g.r);
	g.r.hw.idr[3] = 0;
	guest_begin(&g);
	assert_int_equal(inval1(&g, 0x12, 0x10001, &inv), 0);
	for (int bit = 8; bit < 12; bit++)
		assert_int_equal(inval1(&g, 0x12, 0x10000 | 1ULL << bit, &inv),
				 -EIO);
	assert_int_equal(inval1(&g, 0x12 | 1 << 12, 0x10400, &inv), -EIO);
	guest_stop(&g);
}

static void test_F10_the_vmid_of_the_guest_is_overwritten(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (uint64_t vmid = 0; vmid < 0x10000; vmid += 0xfff) {
		assert_int_equal(inval1(&g, 5ULL << 48 | vmid << 32 | 0x12,
					0x10001, &inv),
				 0);
		EXPECT_CMD(&g.r.hw, 0, 0x0005000200000012, 0x10001);
	}
	guest_stop(&g);
}

static void test_two_vIOMMUs_on_one_parent_have_two_vmids(void **state)
{
	uint64_t cmd[1][2] = { { 0x10, 0 } };
	struct core_viommu *second;
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	second = rig_viommu(&g.r, g.parent);
	assert_int_equal(rig_inval(g.v, cmd, 1, &inv), 0);
	assert_int_equal(rig_inval(second, cmd, 1, &inv), 0);
	EXPECT_CMD(&g.r.hw, 0, 0x200000010, 0);
	EXPECT_CMD(&g.r.hw, 2, 0x300000010, 0);
	second->ops->free(second);
	guest_stop(&g);
}

static void test_C42_C43_F22_F24_vsids_must_have_a_vdevice(void **state)
{
	struct core_vdevice far;
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	assert_int_equal(inval1(&g, 0x45600000005, 0, &inv), -EIO);
	assert_int_equal(inv.done, 0);
	assert_int_equal(inv.code, 1);
	assert_int_equal(inval1(&g, 0x45600000006, 0, &inv), -EIO);
	assert_int_equal(inval1(&g, 0x45600000040, 52, &inv), -EIO);
	assert_int_equal(inval1(&g, 0x12, 0x10001, &inv), 0);
	/* the host's own StreamID is not a name of the guest's */
	assert_int_equal(inval1(&g, 0x10000000005, 0, &inv), -EIO);
	/* D8, D10: ids that no vSID can say */
	rig_vdev(g.v, &far, &g.r.dev[1], 0x10000000456);
	assert_int_equal(inval1(&g, 0x45600000005, 0, &inv), -EIO);
	g.v->ops->vdevice_remove(g.v, &far);
	/* L6: gone */
	g.v->ops->vdevice_remove(g.v, &g.vdev[0]);
	assert_int_equal(inval1(&g, 0x12300000005, 0, &inv), -EIO);
	rig_vdev(g.v, &g.vdev[0], &g.r.dev[0], 0x777);
	assert_int_equal(inval1(&g, 0x12300000005, 0, &inv), -EIO);
	assert_int_equal(inval1(&g, 0x77700000005, 0, &inv), 0);
	EXPECT_CMD(&g.r.hw, 0, 0x10000000005, 0);
	guest_stop(&g);
}

static void test_vsids_are_found_among_many(void **state)
{
	struct core_vdevice vdev[200];
	struct core_device dev[200];
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t id = i * 77 % 200; /* any order */

		dev[id] = (struct core_device){ .iommu = g.r.iommu,
						.stream_id = 0x1000 + id };
		assert_int_equal(g.r.iommu->ops->device_add(&dev[id]), 0);
		rig_vdev(g.v, &vdev[id], &dev[id], 0x8000 + id * 3);
	}
	for (uint64_t id = 0; id < 200; id++) {
		assert_int_equal(
			inval1(&g, (0x8000 + id * 3) << 32 | 5, 0, &inv), 0);
		EXPECT_CMD(&g.r.hw, 0, (0x1000 + id) << 32 | 5, 0);
		assert_int_equal(
			inval1(&g, (0x8001 + id * 3) << 32 | 5, 0, &inv), -EIO);
	}
	for (uint32_t id = 0; id < 200; id++) {
		g.v->ops->vdevice_remove(g.v, &vdev[id]);
		g.r.iommu->ops->device_remove(&dev[id]);
	}
	guest_stop(&g);
}

static void test_F23_atc_inv_without_ats_does_nothing_and_is_done(void **state)
{
	uint64_t cmds[3][2] = { { 0x12300000040, 52 },
				{ 0x10, 0 },
				{ 0x12300000040, 52 } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	assert_int_equal(inval1(&g, 0x12300000040, 52, &inv), 0);
	assert_int_equal(inv.done, 1);
	assert_int_equal(g.r.hw.doorbells, 0);
	assert_int_equal(rig_inval(g.v, cmds, 3, &inv), 0);
	assert_int_equal(inv.done, 3);
	EXPECT_CMD(&g.r.hw, 0, 0x200000010, 0);
	assert_int_equal(g.r.hw.log_n, 2);
	guest_stop(&g);

	/* an SMMU without ATS: ATC_INV would be illegal there */
	rig_init(&g.r);
	g.r.hw.idr[0] &= ~(1u << 10);
	guest_begin(&g);
	assert_int_equal(inval1(&g, 0x12400000040, 52, &inv), 0);
	assert_int_equal(g.r.hw.log_n, 0);
	guest_stop(&g);
}

static void
test_skipped_entries_do_not_shift_the_index_of_an_error(void **state)
{
	uint64_t cmds[5][2] = { { 0x12300000040, 52 },
				{ 0x1000000000011, 0 },
				{ 0x12300000040, 52 },
				{ 0xbad000000000011, 0 },
				{ 0x1000000000011, 0 } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.ill_dw0 = 0x0bad000200000011;
	assert_int_equal(rig_inval(g.v, cmds, 5, &inv), -EIO);
	assert_int_equal(inv.done, 3);
	assert_int_equal(inv.code, 1);
	guest_stop(&g);
}

static void test_without_ssv_ssid_and_global_are_ignored(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	assert_int_equal(inval1(&g, 0x124abcde240, 0x5000, &inv), 0);
	EXPECT_CMD(&g.r.hw, 0, 0x10200000040, 0x5000);
	guest_stop(&g);
}

static void test_an_atc_hears_of_it_after_a_sync(void **state)
{
	uint64_t cmds[6][2] = {
		{ 0x12, 0x1000 },	   { 0x12, 0x2000 },
		{ 0x12400000040, 0x1000 }, { 0x12400000040, 0x2000 },
		{ 0x12400000005, 1 },	   { 0x12400000040, 52 }
	};
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	assert_int_equal(rig_inval(g.v, cmds, 6, &inv), 0);
	EXPECT_CMD(&g.r.hw, 0, 0x200000012, 0x1000);
	EXPECT_CMD(&g.r.hw, 1, 0x200000012, 0x2000);
	EXPECT_CMD(&g.r.hw, 2, SYNC, 0);
	EXPECT_CMD(&g.r.hw, 3, 0x10200000040, 0x1000);
	EXPECT_CMD(&g.r.hw, 4, 0x10200000040, 0x2000);
	EXPECT_CMD(&g.r.hw, 5, 0x10200000005, 1);
	EXPECT_CMD(&g.r.hw, 6, SYNC, 0);
	EXPECT_CMD(&g.r.hw, 7, 0x10200000040, 52);
	EXPECT_CMD(&g.r.hw, 8, SYNC, 0);
	assert_int_equal(g.r.hw.log_n, 9);
	/* the second when the first ATC_INVs are answered */
	assert_int_equal(g.r.hw.doorbells, 2);
	guest_stop(&g);
}

static void test_alternating_commands_fill_more_than_one_span(void **state)
{
	uint64_t(*cmds)[2] = calloc(1024, sizeof(cmds[0]));
	struct core_inval inv;
	struct guest g;
	uint32_t n = 0;

	(void)state;
	assert_non_null(cmds);
	guest_start(&g);
	for (uint64_t i = 0; i < 1024; i++) {
		cmds[i][0] = i & 1 ? 0x12400000040 : 0x12;
		cmds[i][1] = i << 12;
	}
	assert_int_equal(rig_inval(g.v, cmds, 1024, &inv), 0);
	assert_int_equal(inv.done, 1024);
	for (size_t i = 0; i < g.r.hw.log_n; i++) {
		if (g.r.hw.log[i][0] == SYNC)
			continue;
		assert_int_equal(g.r.hw.log[i][1], (uint64_t)n << 12);
		if (n & 1)
			assert_int_equal(g.r.hw.log[i - 1][0], SYNC);
		n++;
	}
	assert_int_equal(n, 1024);
	/* an unknown opcode anywhere is found at its index */
	for (uint32_t bad = 0; bad < 1024; bad += 73) {
		uint64_t keep = cmds[bad][0];

		cmds[bad][0] = 0x46;
		assert_int_equal(rig_inval(g.v, cmds, 1024, &inv), -EIO);
		assert_int_equal(inv.done, bad);
		cmds[bad][0] = keep;
	}
	free(cmds);
	guest_stop(&g);
}

/* ---- arrays ---- */

static void test_H7_H8_other_types_are_refused(void **state)
{
	uint64_t cmd[1][2] = { { 0x10, 0 } };
	struct core_inval inv = { .uptr = (uintptr_t)cmd,
				  .stride = 16,
				  .count = 1 };
	struct guest g;

	(void)state;
	guest_start(&g);
	for (uint32_t type = 0; type < 100; type++) {
		inv.type = type;
		assert_int_equal(g.v->ops->inval_type(g.v, type), type == 1);
		assert_int_equal(g.v->ops->invalidate(g.v, &inv),
				 type == 1 ? 0 : -EINVAL);
		assert_int_equal(inv.done, type == 1);
	}
	guest_stop(&g);
}

static void test_H16_to_H20_entries_of_other_lengths(void **state)
{
	static unsigned char raw[4 * 4096];
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (uint32_t stride = 8; stride <= 4096; stride *= 2) {
		memset(raw, 0, sizeof(raw));
		for (uint32_t i = 0; i < 4; i++)
			raw[i * stride] = 0x11;
		inv = (struct core_inval){ .uptr = (uintptr_t)raw,
					   .type = 1,
					   .stride = stride,
					   .count = 4 };
		fake_clear_log(&g.r.hw);
		assert_int_equal(g.v->ops->invalidate(g.v, &inv), 0);
		assert_int_equal(inv.done, 4);
		for (uint32_t i = 0; i < 4; i++)
			EXPECT_CMD(&g.r.hw, i, 0x200000011, 0);
	}
	guest_stop(&g);
}

static void test_J1_to_J20_any_number_of_entries(void **state)
{
	static const uint32_t counts[] = { 1,	 2,    62,    63,    64,
					   65,	 125,  126,   127,   128,
					   256,	 512,  513,   1024,  2048,
					   4095, 4096, 65536, 131072 };
	uint64_t(*cmds)[2] = calloc(131072, sizeof(cmds[0]));
	struct core_inval inv;
	struct guest g;

	(void)state;
	assert_non_null(cmds);
	guest_start(&g);
	for (uint32_t i = 0; i < 131072; i++)
		cmds[i][0] = 0x0005000000000011;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint32_t n = counts[i];

		fake_clear_log(&g.r.hw);
		assert_int_equal(rig_inval(g.v, cmds, n, &inv), 0);
		assert_int_equal(inv.done, n);
		assert_int_equal(g.r.hw.doorbells, (n + 511) / 512);
		assert_int_equal(g.r.hw.log_n, n + (n + 511) / 512);
	}
	/* J18 to J20: 2^19 entries too; nothing grows with them */
	free(cmds);
	cmds = calloc(1 << 19, sizeof(cmds[0]));
	assert_non_null(cmds);
	for (uint32_t i = 0; i < 1 << 19; i++)
		cmds[i][0] = 0x12300000040;
	fake_clear_log(&g.r.hw);
	assert_int_equal(rig_inval(g.v, cmds, 1 << 19, &inv), 0);
	assert_int_equal(inv.done, 1 << 19);
	free(cmds);
	guest_stop(&g);
}

static void test_J22_a_chunk_that_cannot_be_read_is_not_begun(void **state)
{
	static uint64_t cmds[1200][2];
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (int i = 0; i < 1200; i++) {
		cmds[i][0] = 0x11;
		cmds[i][1] = 0;
	}
	cmds[256][1] = UINT64_MAX; /* the fake's unreadable memory */
	assert_int_equal(rig_inval(g.v, cmds, 257, &inv), -EFAULT);
	assert_int_equal(inv.done, 0);
	assert_int_equal(inv.code, 0);
	assert_int_equal(g.r.hw.log_n, 0);
	cmds[256][1] = 0;
	cmds[1100][1] = UINT64_MAX;
	assert_int_equal(rig_inval(g.v, cmds, 1200, &inv), -EFAULT);
	assert_int_equal(inv.done, 1024);
	assert_int_equal(g.r.hw.log_n, 1024 + 2);
	guest_stop(&g);
}

static void test_J23_to_J39_a_refused_entry_and_all_before_it_done(void **state)
{
	/* entries, the bad one */
	static const uint32_t rows[][2] = {
		{ 1, 0 },      { 2, 1 },      { 2, 0 },	      { 10, 9 },
		{ 63, 62 },    { 64, 63 },    { 65, 64 },     { 101, 100 },
		{ 127, 126 },  { 128, 127 },  { 4096, 4095 }, { 4096, 2000 },
		{ 1000, 512 }, { 1000, 511 },
	};
	static uint64_t cmds[4096][2];
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		uint32_t n = rows[row][0];
		uint32_t bad = rows[row][1];
		uint64_t next = 0;

		for (uint64_t i = 0; i < n; i++) {
			cmds[i][0] = 0x12;
			cmds[i][1] = i << 12;
		}
		cmds[bad][0] = 0x46; /* CMD_SYNC */
		fake_clear_log(&g.r.hw);
		assert_int_equal(rig_inval(g.v, cmds, n, &inv), -EIO);
		assert_int_equal(inv.done, bad);
		assert_int_equal(inv.code, 1);
		for (size_t i = 0; i < g.r.hw.log_n; i++) {
			if (g.r.hw.log[i][0] == SYNC)
				continue;
			EXPECT_CMD(&g.r.hw, i, 0x200000012, next++ << 12);
		}
		assert_int_equal(next, bad);
		if (bad)
			EXPECT_CMD(&g.r.hw, g.r.hw.log_n - 1, SYNC, 0);
	}
	guest_stop(&g);
}

static void
test_K1_a_secure_command_is_refused_before_the_hardware(void **state)
{
	uint64_t cmds[3][2] = { { 0x12, 0x10001 },
				{ 0x12300000405, 0 }, /* SSec = 1 */
				{ 0x12, 0x20001 } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	assert_int_equal(rig_inval(g.v, cmds, 3, &inv), -EIO);
	assert_int_equal(inv.done, 1);
	EXPECT_CMD(&g.r.hw, 0, 0x200000012, 0x10001);
	EXPECT_CMD(&g.r.hw, 1, SYNC, 0);
	assert_int_equal(g.r.hw.log_n, 2);
	guest_stop(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I1_exactly_eight_opcodes_are_accepted),
		cmocka_unit_test(
			test_all_fields_set_reach_the_queue_with_the_hosts_ids),
		cmocka_unit_test(test_I2_each_reserved_bit_is_refused_alone),
		cmocka_unit_test(test_each_field_bit_is_accepted_alone),
		cmocka_unit_test(test_without_tg_range_fields_are_reserved),
		cmocka_unit_test(
			test_a_host_without_ranges_refuses_range_fields),
		cmocka_unit_test(test_F10_the_vmid_of_the_guest_is_overwritten),
		cmocka_unit_test(test_two_vIOMMUs_on_one_parent_have_two_vmids),
		cmocka_unit_test(
			test_C42_C43_F22_F24_vsids_must_have_a_vdevice),
		cmocka_unit_test(test_vsids_are_found_among_many),
		cmocka_unit_test(
			test_F23_atc_inv_without_ats_does_nothing_and_is_done),
		cmocka_unit_test(
			test_skipped_entries_do_not_shift_the_index_of_an_error),
		cmocka_unit_test(test_without_ssv_ssid_and_global_are_ignored),
		cmocka_unit_test(test_an_atc_hears_of_it_after_a_sync),
		cmocka_unit_test(
			test_alternating_commands_fill_more_than_one_span),
		cmocka_unit_test(test_H7_H8_other_types_are_refused),
		cmocka_unit_test(test_H16_to_H20_entries_of_other_lengths),
		cmocka_unit_test(test_J1_to_J20_any_number_of_entries),
		cmocka_unit_test(
			test_J22_a_chunk_that_cannot_be_read_is_not_begun),
		cmocka_unit_test(
			test_J23_to_J39_a_refused_entry_and_all_before_it_done),
		cmocka_unit_test(
			test_K1_a_secure_command_is_refused_before_the_hardware),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
