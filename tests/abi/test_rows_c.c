// SPDX-License-Identifier: MIT
/* Rows C: which vSTE makes a nested HWPT, and what attaches before a vDEVICE */
#include "rows.h"

struct vste {
	uint64_t dw[2];
	int rc;
};

static void vste(void **state)
{
	struct rows *r = *state;
	const struct vste *v = r->param;
	uint32_t id = 0;

	assert_int_equal(row_vste(r, v->dw[0], v->dw[1], &id), v->rc);
	/* the lowest that is free */
	assert_int_equal(id, v->rc ? 0 : r->viommu + 1);
}

/* IHI 0070 5.2: bits of the second doubleword less 64 */
static const struct vste s1 = { { VSTE_S1, VSTE_1 }, 0 };
static const struct vste bypass = { { VSTE_BYPASS, 0 }, 0 };
static const struct vste abort_ = { { VSTE_ABORT, 0 }, 0 };
static const struct vste v0 = { { 0, 0 }, 0 };
static const struct vste v0_ones = { { ~1ULL, ~0ULL }, 0 };
static const struct vste cfg1 = { { 0x3 | CD, VSTE_1 }, -EIO };
static const struct vste cfg2 = { { 0x5 | CD, VSTE_1 }, -EIO };
static const struct vste cfg3 = { { 0x7 | CD, VSTE_1 }, -EIO };
static const struct vste cfg6 = { { 0xd | CD, VSTE_1 }, -EIO };
static const struct vste cfg7 = { { 0xf | CD, VSTE_1 }, -EIO };
static const struct vste bit56 = { { VSTE_S1 | 1ULL << 56, VSTE_1 }, -EIO };
static const struct vste eats1 = { { VSTE_S1, VSTE_1 | 1ULL << 28 }, 0 };
static const struct vste eats2 = { { VSTE_S1, VSTE_1 | 2ULL << 28 }, -EIO };
static const struct vste eats3 = { { VSTE_S1, VSTE_1 | 3ULL << 28 }, -EIO };
static const struct vste s1dss1 = { { VSTE_S1, VSTE_1 | 1 }, 0 };
static const struct vste s1dss3 = { { VSTE_S1, VSTE_1 | 3 }, 0 };
static const struct vste s1stalld = { { VSTE_S1, VSTE_1 | 1ULL << 27 }, 0 };
static const struct vste strw1 = { { VSTE_S1, VSTE_1 | 1ULL << 30 }, -EIO };
static const struct vste shcfg1 = { { VSTE_S1, VSTE_1 | 1ULL << 44 }, -EIO };
static const struct vste mev = { { VSTE_S1, VSTE_1 | 1ULL << 19 }, -EIO };
static const struct vste s2fwb = { { VSTE_S1, VSTE_1 | 1ULL << 25 }, -EIO };
static const struct vste s1fmt1 = { { VSTE_S1 | 1ULL << 4, VSTE_1 }, 0 };
static const struct vste cdmax1 = { { VSTE_S1 | 1ULL << 59, VSTE_1 }, 0 };
static const struct vste cdmax31 = { { VSTE_S1 | 31ULL << 59, VSTE_1 }, 0 };

/* A good allocation, to be spoilt */
struct alloc {
	struct iommu_hwpt_alloc arg;
	uint64_t data[3];
};

static int alloc_spoilt(struct rows *r, struct alloc *a,
			void (*spoil)(struct alloc *a))
{
	*a = (struct alloc){
		.arg = {
			.size = sizeof(a->arg),
			.dev_id = r->dev_id[0],
			.pt_id = r->viommu,
			.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
			.data_len = 16,
			.data_uptr = (uintptr_t)a->data,
		},
		.data = { htole64(VSTE_S1), htole64(VSTE_1) },
	};
	spoil(a);
	return row_ioctl(r, IOMMU_HWPT_ALLOC, &a->arg);
}

static void len_8(struct alloc *a)
{
	a->arg.data_len = 8;
}

static void no_data(struct alloc *a)
{
	a->arg.data_len = 0;
	a->arg.data_uptr = 0;
}

static void len_24(struct alloc *a)
{
	a->arg.data_len = 24;
}

static void len_24_tail(struct alloc *a)
{
	a->arg.data_len = 24;
	a->data[2] = 1;
}

static void type_vtd(struct alloc *a)
{
	a->arg.data_type = IOMMU_HWPT_DATA_VTD_S1;
}

static void type_none(struct alloc *a)
{
	a->arg.data_type = IOMMU_HWPT_DATA_NONE;
	a->arg.data_len = 0;
	a->arg.data_uptr = 0;
}

static void bad_address(struct alloc *a)
{
	a->arg.data_uptr = 8; /* in page 0, which nobody maps */
}

static void flag_parent(struct alloc *a)
{
	a->arg.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
}

static void flag_pasid(struct alloc *a)
{
	a->arg.flags = IOMMU_HWPT_ALLOC_PASID;
}

static void flag_dirty(struct alloc *a)
{
	a->arg.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
}

struct spoilt {
	void (*spoil)(struct alloc *a);
	int rc;
};

static void spoilt(void **state)
{
	struct rows *r = *state;
	const struct spoilt *s = r->param;
	struct alloc a;

	assert_int_equal(alloc_spoilt(r, &a, s->spoil), s->rc);
}

static const struct spoilt spoilt_len_8 = { len_8, -EINVAL };
static const struct spoilt spoilt_no_data = { no_data, -EINVAL };
static const struct spoilt spoilt_len_24 = { len_24, -EINVAL };
static const struct spoilt spoilt_tail = { len_24_tail, -EINVAL };
static const struct spoilt spoilt_vtd = { type_vtd, -EINVAL };
static const struct spoilt spoilt_none = { type_none, -EOPNOTSUPP };
static const struct spoilt spoilt_address = { bad_address, -EFAULT };
static const struct spoilt spoilt_parent = { flag_parent, -EOPNOTSUPP };
static const struct spoilt spoilt_pasid = { flag_pasid, -EOPNOTSUPP };
static const struct spoilt spoilt_dirty = { flag_dirty, -EOPNOTSUPP };

static void C35_C36_C37_a_nested_hwpt_with_a_fault_queue_attaches(void **state)
{
	struct rows *r = *state;
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	uint64_t ste[2] = { htole64(VSTE_BYPASS), 0 };
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = r->dev_id[0],
		.pt_id = r->viommu,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(ste),
		.data_uptr = (uintptr_t)ste,
	};

	assert_int_equal(row_ioctl(r, IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
	arg.fault_id = fault.out_fault_id;
	assert_int_equal(row_ioctl(r, IOMMU_HWPT_ALLOC, &arg), 0);
	assert_int_equal(row_attach(r, 0, arg.out_hwpt_id), 0);
}

static void C38_vste_for_an_unknown_device_is_ENOENT(void **state)
{
	struct rows *r = *state;
	uint32_t id;

	r->dev_id[0] = 9999;
	assert_int_equal(row_vste(r, VSTE_BYPASS, 0, &id), -ENOENT);
}

static void C39_attaching_stage_1_before_the_vdevice_is_ENOENT(void **state)
{
	struct rows *r = *state;

	assert_int_equal(row_attach(r, 0, r->s1), -ENOENT);
}

static void
C40_C41_bypass_attaches_before_the_vdevice_and_moves_data(void **state)
{
	struct rows *r = *state;
	uint64_t *from = row_mem(r, PAGE_DATA);
	uint64_t *to = row_mem(r, PAGE_A);

	assert_int_equal(row_attach(r, 0, r->bypass), 0);
	*from = 0x1122334455667788;
	row_dma_read(r, 0, PAGE_DATA);
	row_dma_write(r, 0, PAGE_A);
	assert_int_equal(*to, 0x1122334455667788);
}

static void C42_cfgi_cd_before_the_vdevice_is_EIO(void **state)
{
	assert_int_equal(row_command(*state, CMD_CFGI_CD(VSID_0)), -EIO);
}

static void C43_tlbi_nh_va_before_the_vdevice_succeeds(void **state)
{
	assert_int_equal(row_command(*state, CMD_NH_VA(ASID, X)), 0);
}

static void C44_C45_abort_replaces_bypass_and_is_detached(void **state)
{
	struct rows *r = *state;
	uint64_t *from = row_mem(r, PAGE_DATA);
	uint64_t *to = row_mem(r, PAGE_A);

	assert_int_equal(row_attach(r, 0, r->bypass), 0);
	*from = 1;
	row_dma_read(r, 0, PAGE_DATA);
	assert_int_equal(row_attach(r, 0, r->abort), 0);
	row_dma_write(r, 0, PAGE_A);
	assert_int_equal(*to, 0);
	nestfd_detach(r->dev[0], NESTFD_NO_PASID);
	row_dma_write(r, 0, PAGE_A);
	assert_int_equal(*to, 0);
	/* nothing is attached any more */
	assert_int_equal(row_destroy(r, r->abort), 0);
}

#define VSTE(name, param)   ROW_OF(setup_viommu, vste, name, param)
#define SPOILT(name, param) ROW_OF(setup_viommu, spoilt, name, param)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VSTE("C1_vste_stage_1_succeeds", &s1),
		VSTE("C2_vste_bypass_succeeds", &bypass),
		VSTE("C3_vste_abort_succeeds", &abort_),
		VSTE("C4_vste_not_valid_succeeds", &v0),
		VSTE("C5_vste_not_valid_with_all_bits_succeeds", &v0_ones),
		VSTE("C6_vste_cfg_1_is_EIO", &cfg1),
		VSTE("C7_vste_cfg_2_is_EIO", &cfg2),
		VSTE("C8_vste_cfg_3_is_EIO", &cfg3),
		VSTE("C9_vste_cfg_6_is_EIO", &cfg6),
		VSTE("C10_vste_cfg_7_is_EIO", &cfg7),
		VSTE("C11_vste_reserved_bit_56_is_EIO", &bit56),
		VSTE("C12_vste_eats_full_succeeds", &eats1),
		VSTE("C13_vste_eats_split_is_EIO", &eats2),
		VSTE("C14_vste_eats_3_is_EIO", &eats3),
		VSTE("C15_vste_s1dss_bypass_succeeds", &s1dss1),
		VSTE("C16_vste_s1dss_3_succeeds", &s1dss3),
		VSTE("C17_vste_s1stalld_succeeds", &s1stalld),
		VSTE("C18_vste_strw_is_EIO", &strw1),
		VSTE("C19_vste_shcfg_is_EIO", &shcfg1),
		VSTE("C20_vste_mev_is_EIO", &mev),
		VSTE("C21_vste_s2fwb_is_EIO", &s2fwb),
		VSTE("C22_vste_s1fmt_1_succeeds", &s1fmt1),
		VSTE("C23_vste_s1cdmax_1_succeeds", &cdmax1),
		VSTE("C24_vste_s1cdmax_31_succeeds", &cdmax31),
		SPOILT("C25_data_len_8_is_EINVAL", &spoilt_len_8),
		SPOILT("C26_no_data_is_EINVAL", &spoilt_no_data),
		SPOILT("C27_data_len_24_is_EINVAL", &spoilt_len_24),
		SPOILT("C28_data_len_24_with_a_tail_is_EINVAL", &spoilt_tail),
		SPOILT("C29_data_type_vtd_is_EINVAL", &spoilt_vtd),
		SPOILT("C30_data_type_none_is_EOPNOTSUPP", &spoilt_none),
		SPOILT("C31_data_at_a_bad_address_is_EFAULT", &spoilt_address),
		SPOILT("C32_flag_nest_parent_is_EOPNOTSUPP", &spoilt_parent),
		SPOILT("C33_flag_pasid_is_EOPNOTSUPP", &spoilt_pasid),
		SPOILT("C34_flag_dirty_tracking_is_EOPNOTSUPP", &spoilt_dirty),
		ROW(setup_viommu,
		    C35_C36_C37_a_nested_hwpt_with_a_fault_queue_attaches),
		ROW(setup_viommu, C38_vste_for_an_unknown_device_is_ENOENT),
		ROW(setup_nested,
		    C39_attaching_stage_1_before_the_vdevice_is_ENOENT),
		ROW(setup_nested,
		    C40_C41_bypass_attaches_before_the_vdevice_and_moves_data),
		ROW(setup_nested, C42_cfgi_cd_before_the_vdevice_is_EIO),
		ROW(setup_nested, C43_tlbi_nh_va_before_the_vdevice_succeeds),
		ROW(setup_nested,
		    C44_C45_abort_replaces_bypass_and_is_detached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
