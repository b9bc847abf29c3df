// SPDX-License-Identifier: MIT
/*
 * Rows D and E: vDEVICEs and event queues. At the end the recorded session's
 * allocations in their order, whose ids must come out as recorded.
 */
#include "rows.h"

#include <fcntl.h>
#include <poll.h>

#define UNKNOWN_ID 9999

static int vdevice(struct rows *r, unsigned int dev, uint64_t virt_id,
		   uint32_t *id)
{
	return row_vdevice(r, r->viommu, r->dev_id[dev], virt_id, id);
}

static void D1_vdevice_alloc_succeeds(void **state)
{
	struct rows *r = *state;
	uint32_t id;

	assert_int_equal(vdevice(r, 0, VSID_0, &id), 0);
	assert_int_equal(id, r->abort + 1);
}

static void D2_D3_a_second_vdevice_of_a_device_is_EEXIST(void **state)
{
	struct rows *r = *state;
	uint32_t id;

	assert_int_equal(vdevice(r, 0, VSID_0, &id), 0);
	assert_int_equal(vdevice(r, 0, VSID_0, &id), -EEXIST);
	assert_int_equal(vdevice(r, 0, VSID_1, &id), -EEXIST);
}

static void D4_vdevice_of_an_unknown_viommu_is_ENOENT(void **state)
{
	struct rows *r = *state;
	uint32_t id;

	assert_int_equal(row_vdevice(r, UNKNOWN_ID, r->dev_id[0], 1, &id),
			 -ENOENT);
}

static void D5_vdevice_of_an_unknown_device_is_ENOENT(void **state)
{
	struct rows *r = *state;
	uint32_t id;

	assert_int_equal(row_vdevice(r, r->viommu, UNKNOWN_ID, 1, &id),
			 -ENOENT);
}

static void D6_vdevice_on_a_hwpt_is_ENOENT(void **state)
{
	struct rows *r = *state;
	uint32_t id;

	assert_int_equal(row_vdevice(r, r->parent, r->dev_id[0], 1, &id),
			 -ENOENT);
}

static void D7_a_virt_id_that_is_taken_is_EEXIST(void **state)
{
	struct rows *r = *state;
	uint32_t id;

	assert_int_equal(vdevice(r, 0, VSID_0, &id), 0);
	assert_int_equal(vdevice(r, 1, VSID_0, &id), -EEXIST);
}

static void D8_D9_the_largest_virt_id_comes_and_goes(void **state)
{
	struct rows *r = *state;
	uint32_t id;

	assert_int_equal(vdevice(r, 1, UINT64_MAX, &id), 0);
	assert_int_equal(row_destroy(r, id), 0);
}

static void D10_a_virt_id_that_no_vsid_can_say_succeeds(void **state)
{
	struct rows *r = *state;
	uint32_t id;

	assert_int_equal(vdevice(r, 1, 1ULL << 40, &id), 0);
	/* and its low half reaches nobody */
	assert_int_equal(row_command(r, CMD_CFGI_CD(0)), -EIO);
}

static void D11_the_second_device_gets_the_next_id(void **state)
{
	struct rows *r = *state;
	uint32_t first;
	uint32_t second;

	assert_int_equal(vdevice(r, 0, VSID_0, &first), 0);
	assert_int_equal(vdevice(r, 1, VSID_1, &second), 0);
	assert_int_equal(second, first + 1);
}

static void D12_destroying_a_viommu_with_a_vdevice_is_EBUSY(void **state)
{
	struct rows *r = *state;
	uint32_t id;

	assert_int_equal(vdevice(r, 0, VSID_0, &id), 0);
	/* the nested HWPTs of the setup use the vIOMMU too: take them away */
	assert_int_equal(row_destroy(r, r->s1), 0);
	assert_int_equal(row_destroy(r, r->bypass), 0);
	assert_int_equal(row_destroy(r, r->abort), 0);
	assert_int_equal(row_destroy(r, r->viommu), -EBUSY);
	assert_int_equal(row_destroy(r, id), 0);
	assert_int_equal(row_destroy(r, r->viommu), 0);
}

static int veventq(struct rows *r, uint32_t type, uint32_t depth)
{
	uint32_t id;
	int fd;

	return row_veventq(r, type, depth, &id, &fd);
}

static void E1_veventq_of_depth_0_is_EINVAL(void **state)
{
	assert_int_equal(veventq(*state, 1, 0), -EINVAL);
}

static void E2_veventq_of_depth_above_2_to_the_19_is_EINVAL(void **state)
{
	assert_int_equal(veventq(*state, 1, (1u << 19) + 1), -EINVAL);
	assert_int_equal(veventq(*state, 1, 1u << 19), 0);
}

static void E3_veventq_of_type_0_is_EOPNOTSUPP(void **state)
{
	assert_int_equal(veventq(*state, 0, 4), -EOPNOTSUPP);
}

static void E4_veventq_of_an_unknown_viommu_is_ENOENT(void **state)
{
	struct rows *r = *state;

	r->viommu = UNKNOWN_ID;
	assert_int_equal(veventq(r, 1, 4), -ENOENT);
}

static void E5_veventq_alloc_gives_the_next_id_and_an_fd(void **state)
{
	struct rows *r = *state;
	uint32_t id;
	int fd;

	assert_int_equal(row_veventq(r, 1, 4, &id, &fd), 0);
	assert_int_equal(id, r->vdev[1] + 1);
	assert_int_equal(fcntl(fd, F_GETFL) & ~O_LARGEFILE, O_RDWR);
}

static void E6_a_second_veventq_of_the_type_is_EEXIST(void **state)
{
	struct rows *r = *state;

	assert_int_equal(veventq(r, 1, 4), 0);
	assert_int_equal(veventq(r, 1, 4), -EEXIST);
}

static void E7_E8_veventqs_of_other_types_can_be_made(void **state)
{
	struct rows *r = *state;

	assert_int_equal(veventq(r, 77, 4), 0);
	assert_int_equal(veventq(r, 2, 4), 0);
}

static void E9_reading_an_empty_veventq_gives_nothing(void **state)
{
	struct rows *r = *state;

	row_expect_no_event(r);
}

static void E10_reading_4_bytes_of_an_empty_veventq_is_EINVAL(void **state)
{
	struct rows *r = *state;
	char buf[4];
	struct pollfd pfd = { .fd = r->eventfd, .events = POLLIN };

	assert_int_equal(row_read(r, buf, sizeof(buf)), -EINVAL);
	assert_int_equal(poll(&pfd, 1, 0), 0);
}

/* C1 to C36; what the session destroyed at once is destroyed at once here */
static void recorded_nested(struct rows *r)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };

	assert_int_equal(row_vste(r, VSTE_S1, VSTE_1, &r->s1), 0);
	assert_int_equal(r->s1, 8);
	assert_int_equal(row_vste(r, VSTE_BYPASS, 0, &r->bypass), 0);
	assert_int_equal(row_vste(r, VSTE_ABORT, 0, &r->abort), 0);
	assert_int_equal(row_ioctl(r, IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
	assert_int_equal(fault.out_fault_id, 11);
}

static void recorded_queue(struct rows *r)
{
	uint32_t id;

	assert_int_equal(vdevice(r, 0, VSID_0, &r->vdev[0]), 0);
	assert_int_equal(r->vdev[0], 12);
	assert_int_equal(vdevice(r, 1, UINT64_MAX, &id), 0);
	assert_int_equal(row_destroy(r, id), 0);
	assert_int_equal(vdevice(r, 1, VSID_1, &r->vdev[1]), 0);
	assert_int_equal(r->vdev[1], 13);
	assert_int_equal(row_veventq(r, 1, 4, &r->veventq, &r->eventfd), 0);
	assert_int_equal(r->veventq, 14);
}

static void B1_B2_B10_B19_C1_D1_D11_E5_ids_are_those_recorded(void **state)
{
	struct rows *r = *state;
	struct iommu_ioas_alloc other = { .size = sizeof(other) };
	uint32_t id;

	assert_int_equal(r->ioas, 3);
	/* the session had one object more before its first HWPT */
	assert_int_equal(row_ioctl(r, IOMMU_IOAS_ALLOC, &other), 0);
	assert_int_equal(row_hwpt(r, r->ioas, 0, &r->plain), 0);
	assert_int_equal(r->plain, 5);
	assert_int_equal(
		row_hwpt(r, r->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &r->parent),
		0);
	assert_int_equal(r->parent, 6);
	assert_int_equal(row_hwpt(r, r->ioas, IOMMU_HWPT_ALLOC_PASID, &id), 0);
	assert_int_equal(row_destroy(r, id), 0);
	/* a failed allocation keeps no id */
	assert_int_equal(row_hwpt(r, r->ioas, 0x100, &id), -EOPNOTSUPP);
	assert_int_equal(row_viommu(r, 1, r->parent, &r->viommu), 0);
	assert_int_equal(r->viommu, 7);
	assert_int_equal(row_viommu(r, 1, r->parent, &id), 0);
	assert_int_equal(id, 8);
	assert_int_equal(row_destroy(r, id), 0);
	recorded_nested(r);
	recorded_queue(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(setup_nested, D1_vdevice_alloc_succeeds),
		ROW(setup_nested, D2_D3_a_second_vdevice_of_a_device_is_EEXIST),
		ROW(setup_nested, D4_vdevice_of_an_unknown_viommu_is_ENOENT),
		ROW(setup_nested, D5_vdevice_of_an_unknown_device_is_ENOENT),
		ROW(setup_nested, D6_vdevice_on_a_hwpt_is_ENOENT),
		ROW(setup_nested, D7_a_virt_id_that_is_taken_is_EEXIST),
		ROW(setup_nested, D8_D9_the_largest_virt_id_comes_and_goes),
		ROW(setup_nested, D10_a_virt_id_that_no_vsid_can_say_succeeds),
		ROW(setup_nested, D11_the_second_device_gets_the_next_id),
		ROW(setup_nested,
		    D12_destroying_a_viommu_with_a_vdevice_is_EBUSY),
		ROW(setup_vdevices, E1_veventq_of_depth_0_is_EINVAL),
		ROW(setup_vdevices,
		    E2_veventq_of_depth_above_2_to_the_19_is_EINVAL),
		ROW(setup_vdevices, E3_veventq_of_type_0_is_EOPNOTSUPP),
		ROW(setup_vdevices, E4_veventq_of_an_unknown_viommu_is_ENOENT),
		ROW(setup_vdevices,
		    E5_veventq_alloc_gives_the_next_id_and_an_fd),
		ROW(setup_vdevices, E6_a_second_veventq_of_the_type_is_EEXIST),
		ROW(setup_vdevices, E7_E8_veventqs_of_other_types_can_be_made),
		ROW(setup_eventq, E9_reading_an_empty_veventq_gives_nothing),
		ROW(setup_eventq,
		    E10_reading_4_bytes_of_an_empty_veventq_is_EINVAL),
		ROW(setup_ioas,
		    B1_B2_B10_B19_C1_D1_D11_E5_ids_are_those_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
