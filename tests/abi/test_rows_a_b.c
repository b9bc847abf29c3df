// SPDX-License-Identifier: MIT
/* Rows A and B: devices, the IOAS, hardware page tables, vIOMMUs. */
#include "rows.h"

#define UNKNOWN_ID 9999

struct hw_info_call {
	struct iommu_hw_info arg;
	unsigned char data[48];
};

static int hw_info(struct rows *r, struct hw_info_call *call, uint32_t len)
{
	memset(call->data, 0xee, sizeof(call->data));
	call->arg.size = sizeof(call->arg);
	call->arg.dev_id = r->dev_id[0];
	call->arg.data_len = len;
	call->arg.data_uptr = (uintptr_t)call->data;
	return row_ioctl(r, IOMMU_GET_HW_INFO, &call->arg);
}

static uint32_t word(const struct hw_info_call *call, size_t offset)
{
	uint32_t value;

	memcpy(&value, call->data + offset, sizeof(value));
	return value;
}

static void A1_A2_binding_devices_gives_ids_1_and_2(void **state)
{
	struct rows *r = *state;

	assert_int_equal(r->dev_id[0], 1);
	assert_int_equal(r->dev_id[1], 2);
}

static void A3_hw_info_tells_the_id_registers(void **state)
{
	static const uint32_t words[10] = {
		0, 0, 0x0d44101b, 0x02730010, 0, 0x00001414, 0, 0x00000074, 0, 1
	};
	struct hw_info_call call = { 0 };

	assert_int_equal(hw_info(*state, &call, 40), 0);
	assert_int_equal(call.arg.out_data_type, 2);
	assert_int_equal(call.arg.data_len, 40);
	assert_int_equal(call.arg.out_capabilities, 0x8);
	assert_int_equal(call.arg.out_max_pasid_log2, 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(word(&call, i * 4), words[i]);
}

static void A4_hw_info_zeroes_the_tail_of_a_long_buffer(void **state)
{
	struct hw_info_call call = { 0 };

	assert_int_equal(hw_info(*state, &call, 48), 0);
	assert_int_equal(call.arg.data_len, 40);
	assert_int_equal(word(&call, 40), 0);
	assert_int_equal(word(&call, 44), 0);
}

static void A5_hw_info_fills_a_short_buffer_only(void **state)
{
	struct hw_info_call call = { 0 };

	assert_int_equal(hw_info(*state, &call, 16), 0);
	assert_int_equal(call.arg.data_len, 40);
	assert_int_equal(word(&call, 12), 0x02730010);
	assert_int_equal(word(&call, 16), 0xeeeeeeee);
}

static void A6_hw_info_without_a_buffer_tells_type_and_length(void **state)
{
	struct hw_info_call call = { 0 };

	assert_int_equal(hw_info(*state, &call, 0), 0);
	assert_int_equal(call.arg.data_len, 40);
	assert_int_equal(call.arg.out_data_type, 2);
	assert_int_equal(word(&call, 0), 0xeeeeeeee);
}

struct input_type {
	uint32_t type;
	int rc;
};

static void input_type(void **state)
{
	struct rows *r = *state;
	const struct input_type *in = r->param;
	struct hw_info_call call = {
		.arg.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE,
		.arg.in_data_type = in->type,
	};

	assert_int_equal(hw_info(r, &call, 40), in->rc);
	assert_int_equal(call.arg.out_data_type, in->type);
	assert_int_equal(call.arg.data_len, 40);
}

static const struct input_type vtd_info = { 1, -EOPNOTSUPP };
static const struct input_type smmuv3_info = { 2, 0 };
static const struct input_type tegra_info = { 3, -EOPNOTSUPP };
static const struct input_type amd_info = { 4, -EOPNOTSUPP };

static void A11_ioas_alloc_takes_the_lowest_free_id(void **state)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	assert_int_equal(row_ioctl(*state, IOMMU_IOAS_ALLOC, &alloc), 0);
	assert_int_equal(alloc.out_ioas_id, 3);
}

static void A12_ioas_map_fixed_maps_where_told(void **state)
{
	struct rows *r = *state;
	uint64_t length = RAM_SIZE;

	assert_int_equal(row_unmap(r, RAM, &length), 0);
	assert_int_equal(row_map(r, RAM, RAM_SIZE), 0);
}

static void A13_iova_ranges_is_everything_with_nothing_attached(void **state)
{
	struct iommu_iova_range range[4] = { 0 };
	uint32_t n = 4;

	assert_int_equal(row_ranges(*state, range, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(range[0].start, 0);
	assert_int_equal(range[0].last, UINT64_MAX);
}

static void B1_B2_hwpt_alloc_without_and_with_nest_parent_succeeds(void **state)
{
	struct rows *r = *state;
	uint32_t plain;
	uint32_t parent;

	assert_int_equal(row_hwpt(r, r->ioas, 0, &plain), 0);
	assert_int_equal(
		row_hwpt(r, r->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent), 0);
	assert_int_equal(plain, r->ioas + 1);
	assert_int_equal(parent, plain + 1);
}

struct paging {
	uint32_t flags;
	int rc;
};

static void paging_flags(void **state)
{
	struct rows *r = *state;
	const struct paging *p = r->param;
	uint32_t id;

	assert_int_equal(row_hwpt(r, r->ioas, p->flags, &id), p->rc);
}

static const struct paging parent_dirty = {
	IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
	-EOPNOTSUPP,
};
static const struct paging pasid = { IOMMU_HWPT_ALLOC_PASID, 0 };
static const struct paging parent_pasid = {
	IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID,
	-EOPNOTSUPP,
};
static const struct paging unknown_flag = { 0x100, -EOPNOTSUPP };

static void B7_hwpt_alloc_unknown_pt_id_is_EINVAL(void **state)
{
	uint32_t id;

	assert_int_equal(row_hwpt(*state, UNKNOWN_ID, 0, &id), -EINVAL);
}

/* pt_id in place of the vIOMMU */
static int vste_on(struct rows *r, uint32_t pt_id)
{
	uint32_t viommu = r->viommu;
	uint32_t id;
	int rc;

	r->viommu = pt_id;
	rc = row_vste(r, VSTE_S1, VSTE_1, &id);
	r->viommu = viommu;
	return rc;
}

static void B8_nested_directly_on_the_parent_is_EOPNOTSUPP(void **state)
{
	struct rows *r = *state;

	assert_int_equal(vste_on(r, r->parent), -EOPNOTSUPP);
}

static void B9_vste_on_an_ioas_is_EOPNOTSUPP(void **state)
{
	struct rows *r = *state;

	assert_int_equal(vste_on(r, r->ioas), -EOPNOTSUPP);
}

static void B10_viommu_alloc_on_a_nest_parent_succeeds(void **state)
{
	struct rows *r = *state;

	assert_int_equal(r->viommu, r->parent + 1);
}

struct viommu_type {
	uint32_t type;
};

static void unsupported_type(void **state)
{
	struct rows *r = *state;
	const struct viommu_type *t = r->param;
	uint32_t id;

	assert_int_equal(row_viommu(r, t->type, r->parent, &id), -EOPNOTSUPP);
}

static const struct viommu_type type_default = { 0 };
static const struct viommu_type type_tegra = { 2 };
static const struct viommu_type type_77 = { 77 };

static struct iommu_viommu_alloc good_viommu(const struct rows *r)
{
	return (struct iommu_viommu_alloc){
		.size = sizeof(struct iommu_viommu_alloc),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = r->dev_id[0],
		.hwpt_id = r->parent,
	};
}

static void B14_viommu_alloc_flags_are_EOPNOTSUPP(void **state)
{
	struct iommu_viommu_alloc arg = good_viommu(*state);

	arg.flags = 1;
	assert_int_equal(row_ioctl(*state, IOMMU_VIOMMU_ALLOC, &arg),
			 -EOPNOTSUPP);
}

static void B15_viommu_alloc_unknown_device_is_ENOENT(void **state)
{
	struct iommu_viommu_alloc arg = good_viommu(*state);

	arg.dev_id = UNKNOWN_ID;
	assert_int_equal(row_ioctl(*state, IOMMU_VIOMMU_ALLOC, &arg), -ENOENT);
}

static int viommu_on(struct rows *r, uint32_t hwpt_id)
{
	uint32_t id;

	return row_viommu(r, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, hwpt_id, &id);
}

static void B16_viommu_alloc_unknown_hwpt_is_ENOENT(void **state)
{
	assert_int_equal(viommu_on(*state, UNKNOWN_ID), -ENOENT);
}

static void B17_viommu_alloc_hwpt_without_nest_parent_is_EINVAL(void **state)
{
	struct rows *r = *state;

	assert_int_equal(viommu_on(r, r->plain), -EINVAL);
}

static void B18_viommu_alloc_on_an_ioas_is_ENOENT(void **state)
{
	struct rows *r = *state;

	assert_int_equal(viommu_on(r, r->ioas), -ENOENT);
}

static void B19_B20_a_second_viommu_on_the_parent_comes_and_goes(void **state)
{
	struct rows *r = *state;
	uint32_t id;

	assert_int_equal(
		row_viommu(r, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, r->parent, &id), 0);
	assert_int_equal(id, r->viommu + 1);
	assert_int_equal(row_destroy(r, id), 0);
}

static void B21_iova_ranges_with_hwpts_is_what_they_can_map(void **state)
{
	struct iommu_iova_range range[4] = { 0 };
	uint32_t n = 4;

	assert_int_equal(row_ranges(*state, range, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(range[0].start, 0);
	assert_int_equal(range[0].last, 0xfffffffffff);
}

static void B22_destroying_a_parent_under_a_viommu_is_EBUSY(void **state)
{
	struct rows *r = *state;

	assert_int_equal(row_destroy(r, r->parent), -EBUSY);
}

static void B23_viommu_alloc_ignores_data_that_is_not_defined(void **state)
{
	struct iommu_viommu_alloc arg = good_viommu(*state);
	uint64_t data = 0;

	arg.data_len = sizeof(data);
	arg.data_uptr = (uintptr_t)&data;
	assert_int_equal(row_ioctl(*state, IOMMU_VIOMMU_ALLOC, &arg), 0);
}

static void B24_viommu_alloc_ignores_the_reserved_word(void **state)
{
	struct iommu_viommu_alloc arg = good_viommu(*state);

	arg.__reserved = 1;
	assert_int_equal(row_ioctl(*state, IOMMU_VIOMMU_ALLOC, &arg), 0);
}

#define INPUT_TYPE(name, param) ROW_OF(setup_machine, input_type, name, param)
#define PAGING(name, param)	ROW_OF(setup_ioas, paging_flags, name, param)
#define TYPE(name, param)	ROW_OF(setup_viommu, unsupported_type, name, param)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(setup_machine, A1_A2_binding_devices_gives_ids_1_and_2),
		ROW(setup_machine, A3_hw_info_tells_the_id_registers),
		ROW(setup_machine, A4_hw_info_zeroes_the_tail_of_a_long_buffer),
		ROW(setup_machine, A5_hw_info_fills_a_short_buffer_only),
		ROW(setup_machine,
		    A6_hw_info_without_a_buffer_tells_type_and_length),
		INPUT_TYPE("A7_hw_info_of_vtd_is_EOPNOTSUPP", &vtd_info),
		INPUT_TYPE("A8_hw_info_of_smmuv3_succeeds", &smmuv3_info),
		INPUT_TYPE("A9_hw_info_of_tegra_is_EOPNOTSUPP", &tegra_info),
		INPUT_TYPE("A10_hw_info_of_amd_is_EOPNOTSUPP", &amd_info),
		ROW(setup_machine, A11_ioas_alloc_takes_the_lowest_free_id),
		ROW(setup_ioas, A12_ioas_map_fixed_maps_where_told),
		ROW(setup_ioas,
		    A13_iova_ranges_is_everything_with_nothing_attached),
		ROW(setup_ioas,
		    B1_B2_hwpt_alloc_without_and_with_nest_parent_succeeds),
		PAGING("B3_parent_with_dirty_tracking_is_EOPNOTSUPP",
		       &parent_dirty),
		PAGING("B4_hwpt_for_pasids_succeeds", &pasid),
		PAGING("B5_parent_for_pasids_is_EOPNOTSUPP", &parent_pasid),
		PAGING("B6_unknown_flag_is_EOPNOTSUPP", &unknown_flag),
		ROW(setup_ioas, B7_hwpt_alloc_unknown_pt_id_is_EINVAL),
		ROW(setup_viommu,
		    B8_nested_directly_on_the_parent_is_EOPNOTSUPP),
		ROW(setup_viommu, B9_vste_on_an_ioas_is_EOPNOTSUPP),
		ROW(setup_viommu, B10_viommu_alloc_on_a_nest_parent_succeeds),
		TYPE("B11_viommu_type_0_is_EOPNOTSUPP", &type_default),
		TYPE("B12_viommu_type_tegra_is_EOPNOTSUPP", &type_tegra),
		TYPE("B13_viommu_type_77_is_EOPNOTSUPP", &type_77),
		ROW(setup_viommu, B14_viommu_alloc_flags_are_EOPNOTSUPP),
		ROW(setup_viommu, B15_viommu_alloc_unknown_device_is_ENOENT),
		ROW(setup_viommu, B16_viommu_alloc_unknown_hwpt_is_ENOENT),
		ROW(setup_viommu,
		    B17_viommu_alloc_hwpt_without_nest_parent_is_EINVAL),
		ROW(setup_viommu, B18_viommu_alloc_on_an_ioas_is_ENOENT),
		ROW(setup_viommu,
		    B19_B20_a_second_viommu_on_the_parent_comes_and_goes),
		ROW(setup_viommu,
		    B21_iova_ranges_with_hwpts_is_what_they_can_map),
		ROW(setup_viommu,
		    B22_destroying_a_parent_under_a_viommu_is_EBUSY),
		ROW(setup_viommu,
		    B23_viommu_alloc_ignores_data_that_is_not_defined),
		ROW(setup_viommu, B24_viommu_alloc_ignores_the_reserved_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
