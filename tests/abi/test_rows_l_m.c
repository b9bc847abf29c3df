// SPDX-License-Identifier: MIT
/*
 * Rows L and M: in which order things can be taken down, and MSIs. The vSID in
 * a guest's events is that of the vDEVICE which the device had when its nested
 * HWPT was attached.
 */
#include "rows.h"

#define MSI_WINDOW    0x8000000ULL
#define MSI_DATA      0xcafe
#define EDU_RAISE     0x60 /* in BAR 0: an interrupt */

#define READ_OF_DATA  0x0000020800000000
#define WRITE_OF_DATA 0x0000020000000000

static uint64_t enable_msi(struct rows *r)
{
	uint64_t iova;

	assert_int_equal(nestfd_msi_enable(r->dev[0], &iova), 0);
	nestfd_edu_set_msi(r->edu[0], true, iova, MSI_DATA);
	return iova;
}

static void M1_M2_M3_an_msi_that_stage_1_does_not_map_faults(void **state)
{
	struct rows *r = *state;

	assert_int_equal(enable_msi(r), 0x8000040);
	nestfd_edu_write(r->edu[0], EDU_RAISE, 4, 1);
	assert_int_equal(r->msi_count, 0);
	row_expect_event(r, 0x0000012300000010, WRITE_OF_DATA, 0x8000040, 0);
}

static void M4_M5_an_msi_that_stage_1_maps_arrives(void **state)
{
	struct rows *r = *state;

	enable_msi(r);
	row_put(r, L2 + (MSI_WINDOW >> 21) * 8, MSI_L3 | 3);
	row_put(r, MSI_L3, MSI_WINDOW | PTE_RW);
	nestfd_edu_write(r->edu[0], EDU_RAISE, 4, 1);
	assert_int_equal(r->msi_count, 1);
	assert_int_equal(r->msi_offset, 0x40);
	assert_int_equal(r->msi_data, MSI_DATA);
	row_expect_no_event(r);
}

static void L1_L2_L3_L4_what_is_in_use_is_EBUSY(void **state)
{
	struct rows *r = *state;

	assert_int_equal(row_destroy(r, r->s1), -EBUSY);
	assert_int_equal(row_destroy(r, r->parent), -EBUSY);
	assert_int_equal(row_destroy(r, r->viommu), -EBUSY);
	assert_int_equal(row_destroy(r, r->ioas), -EBUSY);
	assert_int_equal(row_probe(r, 0), IN_A);
}

/* X faults, read by the first device; the next event says @vsid */
static void expect_fault_of(struct rows *r, uint64_t vsid)
{
	row_change_pte(r, X, 0);
	row_dma_read(r, 0, X);
	row_expect_event(r, vsid << 32 | 0x10, READ_OF_DATA, X, 0);
	row_change_pte(r, X, PAGE_A | PTE_RW);
}

static void
L5_L6_L7_L8_L9_a_vdevice_may_go_while_its_hwpt_is_attached(void **state)
{
	struct rows *r = *state;

	assert_int_equal(row_destroy(r, r->vdev[0]), 0);
	assert_int_equal(row_command(r, CMD_CFGI_CD(VSID_0)), -EIO);
	assert_int_equal(row_probe(r, 0), IN_A);
	expect_fault_of(r, VSID_0);
}

static void
L10_L11_L12_L13_L14_L15_L16_L17_L18_a_new_vsid_counts_at_attach(void **state)
{
	struct rows *r = *state;
	uint32_t other;

	assert_int_equal(row_vste(r, VSTE_S1, VSTE_1, &other), 0);
	assert_int_equal(row_destroy(r, r->vdev[0]), 0);
	assert_int_equal(
		row_vdevice(r, r->viommu, r->dev_id[0], 0x777, &r->vdev[0]), 0);
	expect_fault_of(r, VSID_0);
	/* the same HWPT again is no new attach */
	assert_int_equal(row_attach(r, 0, r->s1), 0);
	expect_fault_of(r, VSID_0);
	assert_int_equal(row_attach(r, 0, other), 0);
	expect_fault_of(r, 0x777);
}

static void L19_L20_a_plain_hwpt_replaces_a_nested_one(void **state)
{
	struct rows *r = *state;
	uint64_t *from = row_mem(r, PAGE_DATA);
	uint64_t *to = row_mem(r, PAGE_A);

	assert_int_equal(row_attach(r, 0, r->plain), 0);
	*from = 0x8877665544332211;
	row_dma_read(r, 0, PAGE_DATA);
	row_dma_write(r, 0, PAGE_A);
	assert_int_equal(*to, 0x8877665544332211);
}

static void tear_down_hwpts(struct rows *r)
{
	nestfd_detach(r->dev[0], NESTFD_NO_PASID);
	nestfd_detach(r->dev[1], NESTFD_NO_PASID);
	assert_int_equal(row_probe(r, 0), NOWHERE);
	assert_int_equal(row_destroy(r, r->s1), 0);
	assert_int_equal(row_destroy(r, r->bypass), 0);
	/* as the session had done before */
	assert_int_equal(row_destroy(r, r->abort), 0);
	assert_int_equal(row_destroy(r, r->vdev[1]), 0);
}

static void
L21_L22_L23_L24_L25_L26_L27_L28_L29_L30_L31_the_rest_in_order(void **state)
{
	struct rows *r = *state;

	assert_int_equal(row_attach(r, 1, r->s1), 0);
	tear_down_hwpts(r);
	assert_int_equal(row_destroy(r, r->viommu), -EBUSY);
	assert_int_equal(row_destroy(r, r->vdev[0]), 0);
	assert_int_equal(row_destroy(r, r->viommu), -EBUSY);
	assert_int_equal(row_destroy(r, r->veventq), -EBUSY);
	assert_int_equal(nestfd_close_fd(r->ctx, r->eventfd), 0);
	assert_int_equal(row_destroy(r, r->viommu), -EBUSY);
	assert_int_equal(row_destroy(r, r->veventq), 0);
	assert_int_equal(row_destroy(r, r->viommu), 0);
}

static void L32_L33_L34_L35_L36_a_device_takes_its_vdevice_with_it(void **state)
{
	struct rows *r = *state;
	uint32_t vdevice;

	/* nothing else is on the vIOMMU */
	assert_int_equal(
		row_vdevice(r, r->viommu, r->dev_id[1], 0x55, &vdevice), 0);
	assert_int_equal(row_command(r, CMD_CFGI_CD(0x55)), 0);
	nestfd_unbind(r->dev[1]);
	assert_int_equal(row_command(r, CMD_CFGI_CD(0x55)), -EIO);
	assert_int_equal(row_destroy(r, vdevice), -ENOENT);
	assert_int_equal(row_destroy(r, vdevice), -ENOENT);
	assert_int_equal(row_destroy(r, r->viommu), 0);
	assert_int_equal(row_destroy(r, r->parent), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(setup_attached,
		    M1_M2_M3_an_msi_that_stage_1_does_not_map_faults),
		ROW(setup_attached, M4_M5_an_msi_that_stage_1_maps_arrives),
		ROW(setup_attached, L1_L2_L3_L4_what_is_in_use_is_EBUSY),
		ROW(setup_attached,
		    L5_L6_L7_L8_L9_a_vdevice_may_go_while_its_hwpt_is_attached),
		ROW(setup_attached,
		    L10_L11_L12_L13_L14_L15_L16_L17_L18_a_new_vsid_counts_at_attach),
		ROW(setup_attached, L19_L20_a_plain_hwpt_replaces_a_nested_one),
		ROW(setup_attached,
		    L21_L22_L23_L24_L25_L26_L27_L28_L29_L30_L31_the_rest_in_order),
		ROW(setup_viommu,
		    L32_L33_L34_L35_L36_a_device_takes_its_vdevice_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
