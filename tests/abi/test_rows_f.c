// SPDX-License-Identifier: MIT
/*
 * Rows F: DMA through the guest's stage 1, and which invalidation makes a
 * changed table entry count. The model keeps what no command names, so "still
 * stale" is as sure as "new"; its checker must have noticed each stale access.
 */
#include "rows.h"

static void F1_stage_1_attaches_once_there_is_a_vdevice(void **state)
{
	struct rows *r = *state;

	assert_int_equal(row_attach(r, 0, r->s1), 0);
}

static void F2_iova_ranges_leave_the_msi_window_out(void **state)
{
	struct iommu_iova_range range[4] = { 0 };
	uint32_t n = 4;

	assert_int_equal(row_ranges(*state, range, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(range[0].start, 0);
	assert_int_equal(range[0].last, 0x7ffffff);
	assert_int_equal(range[1].start, 0x8100000);
	assert_int_equal(range[1].last, 0xfffffffffff);
}

static void F3_mapping_memory_in_the_msi_window_is_EINVAL(void **state)
{
	assert_int_equal(row_map(*state, 0x8000000, 0x1000), -EINVAL);
}

static void F4_a_write_to_x_lands_in_a(void **state)
{
	struct rows *r = *state;

	assert_int_equal(row_probe(r, 0), IN_A);
	row_expect_no_event(r);
}

static void F5_F6_F7_a_changed_entry_counts_after_tlbi_nh_va(void **state)
{
	struct rows *r = *state;

	row_set_pte(r, X, PAGE_B | PTE_RW);
	assert_int_equal(row_probe(r, 0), IN_A);
	assert_int_equal(r->stale, 1);
	assert_int_equal(row_command(r, CMD_NH_VA(ASID, X)), 0);
	assert_int_equal(row_probe(r, 0), IN_B);
	assert_int_equal(r->stale, 1);
}

struct inval {
	struct cmd cmd;
	enum where where;
};

static void inval(void **state)
{
	struct rows *r = *state;
	const struct inval *in = r->param;

	row_a_then_b(r);
	assert_int_equal(row_command(r, in->cmd.dw[0], in->cmd.dw[1]), 0);
	assert_int_equal(row_probe(r, 0), in->where);
	assert_int_equal(r->stale, in->where == IN_A);
}

static const struct inval wrong_asid = { { { CMD_NH_VA(6, X) } }, IN_A };
static const struct inval wrong_va = { { { CMD_NH_VA(ASID, 0x50000) } }, IN_A };
/* VMID is in bits 47:32: the host's replaces it */
static const struct inval vmid_ones = { { { 0x0005ffff00000012, X | 1 } },
					IN_B };
static const struct inval not_leaf = { { { 0x0005000000000012, X } }, IN_B };
static const struct inval vaa = { { { CMD_NH_VAA(X) } }, IN_B };
static const struct inval asid_6 = { { { CMD_NH_ASID(6) } }, IN_A };
static const struct inval asid = { { { CMD_NH_ASID(ASID) } }, IN_B };
static const struct inval nh_all = { { { CMD_NH_ALL } }, IN_B };
static const struct inval nsnh_all = { { { CMD_NSNH_ALL } }, IN_B };
/* NUM 31 in bits 16:12, SCALE 0 in 24:20; TG 1 in bits 11:10, leaf, VA 0 */
static const struct inval range = { { { 0x000500000001f012, 0x401 } }, IN_B };
static const struct inval cfgi_cd = { { { CMD_CFGI_CD(VSID_0) } }, IN_A };
static const struct inval cfgi_cd_all = { { { CMD_CFGI_CD_ALL(VSID_0) } },
					  IN_A };

static void F20_F21_a_changed_cd_counts_after_cfgi_cd(void **state)
{
	struct rows *r = *state;
	struct cmd both[2] = { { { CMD_CFGI_CD(VSID_0) } },
			       { { CMD_NH_ASID(ASID) } } };
	uint32_t n = 2;

	row_put(r, CD + 8, OTHER_L1);
	assert_int_equal(row_command(r, CMD_NH_ASID(ASID)), 0);
	assert_int_equal(row_probe(r, 0), IN_A);
	assert_int_equal(row_invalidate(r, both, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(row_probe(r, 0), IN_B);
}

static void F22_cfgi_cd_of_an_unknown_vsid_is_EIO(void **state)
{
	assert_int_equal(row_command(*state, CMD_CFGI_CD(0x999)), -EIO);
}

static void F23_atc_inv_of_a_device_without_ats_succeeds(void **state)
{
	struct rows *r = *state;

	assert_int_equal(row_command(r, CMD_ATC_INV(VSID_0)), 0);
	/* the SMMU has no ATS either: the command must not have stopped it */
	assert_int_equal(row_command(r, CMD_NH_ALL), 0);
}

static void F24_atc_inv_of_an_unknown_vsid_is_EIO(void **state)
{
	assert_int_equal(row_command(*state, CMD_ATC_INV(0x999)), -EIO);
}

static void F25_F26_F27_two_devices_share_a_nested_hwpt(void **state)
{
	struct rows *r = *state;

	assert_int_equal(row_attach(r, 1, r->s1), 0);
	assert_int_equal(row_probe(r, 1), IN_A);
	assert_int_equal(row_attach(r, 0, r->s1), 0);
	assert_int_equal(row_probe(r, 0), IN_A);
}

/*
 * F30 to F33: in the recording the guest was told, since QEMU records S2=0
 * when stage 2 fails under the walk of stage 1. By the architecture S2 is 1
 * (IHI 0070 7.3, F_TRANSLATION), so that the event is the host's alone.
 */
static void
F28_F29_F30_F31_F32_F33_F34_F35_unmapped_ram_ends_dma_until_mapped(void **state)
{
	struct rows *r = *state;
	uint64_t length = RAM_SIZE;

	assert_int_equal(row_unmap(r, RAM, &length), 0);
	assert_int_equal(length, RAM_SIZE);
	assert_int_equal(row_probe(r, 0), NOWHERE);
	row_expect_no_event(r);
	assert_int_equal(row_map(r, RAM, RAM_SIZE), 0);
	assert_int_equal(row_probe(r, 0), IN_A);
	assert_int_equal(r->stale, 0);
}

#define INVAL(name, param) ROW_OF(setup_attached, inval, name, param)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(setup_eventq, F1_stage_1_attaches_once_there_is_a_vdevice),
		ROW(setup_attached, F2_iova_ranges_leave_the_msi_window_out),
		ROW(setup_attached,
		    F3_mapping_memory_in_the_msi_window_is_EINVAL),
		ROW(setup_attached, F4_a_write_to_x_lands_in_a),
		ROW(setup_attached,
		    F5_F6_F7_a_changed_entry_counts_after_tlbi_nh_va),
		INVAL("F8_tlbi_nh_va_of_another_asid_is_not_enough",
		      &wrong_asid),
		INVAL("F9_tlbi_nh_va_of_another_address_is_not_enough",
		      &wrong_va),
		INVAL("F10_the_vmid_field_is_ignored", &vmid_ones),
		INVAL("F11_tlbi_nh_va_with_leaf_0", &not_leaf),
		INVAL("F12_tlbi_nh_vaa", &vaa),
		INVAL("F13_tlbi_nh_asid_of_another_asid_is_not_enough",
		      &asid_6),
		INVAL("F14_tlbi_nh_asid", &asid),
		INVAL("F15_tlbi_nh_all", &nh_all),
		INVAL("F16_tlbi_nsnh_all", &nsnh_all),
		INVAL("F17_tlbi_nh_va_of_32_pages", &range),
		INVAL("F18_cfgi_cd_is_not_enough", &cfgi_cd),
		INVAL("F19_cfgi_cd_all_is_not_enough", &cfgi_cd_all),
		ROW(setup_attached, F20_F21_a_changed_cd_counts_after_cfgi_cd),
		ROW(setup_attached, F22_cfgi_cd_of_an_unknown_vsid_is_EIO),
		ROW(setup_attached,
		    F23_atc_inv_of_a_device_without_ats_succeeds),
		ROW(setup_attached, F24_atc_inv_of_an_unknown_vsid_is_EIO),
		ROW(setup_attached,
		    F25_F26_F27_two_devices_share_a_nested_hwpt),
		ROW(setup_attached,
		    F28_F29_F30_F31_F32_F33_F34_F35_unmapped_ram_ends_dma_until_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
