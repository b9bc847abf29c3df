// SPDX-License-Identifier: MIT
/* DMA of a machine's own device through the mock IOMMU's tables. */
#include "kit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct rig {
	struct kit *kit;
	struct nestfd_device *dev;
	uint32_t hwpt;
};

static void plug(struct kit *kit, struct rig *rig, uint32_t pt)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = 7,
		.pasid_bits = 8,
	};

	rig->kit = kit;
	rig->hwpt = pt;
	assert_int_equal(nestfd_device_add(kit->machine, &config, &rig->dev),
			 0);
	assert_int_equal(nestfd_bind(kit->ctx, rig->dev, &kit->dev), 0);
	if (pt)
		assert_int_equal(
			nestfd_attach(rig->dev, NESTFD_NO_PASID, &rig->hwpt),
			0);
}

static int pasid_read(struct rig *rig, uint32_t pasid, uint64_t iova, void *buf)
{
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = iova,
		.pasid = pasid,
		.buf = buf,
		.length = 1,
	};

	return nestfd_dma(rig->dev, &dma);
}

static void a_device_on_nothing_is_aborted(void **state)
{
	struct rig rig;
	char byte;

	plug(*state, &rig, 0);
	assert_int_equal(nestfd_dma_read(rig.dev, APERTURE, &byte, 1), -EIO);
}

static void dma_moves_data_across_pages(void **state)
{
	struct kit *kit = *state;
	struct rig rig;
	char out[5000], in[5000];

	plug(kit, &rig, kit->ioas);
	assert_int_equal(kit_map(kit, APERTURE, kit->pages, 2 * PAGE), 0);
	memset(out, 0x5a, sizeof(out));
	assert_int_equal(
		nestfd_dma_write(rig.dev, APERTURE + 100, out, sizeof(out)), 0);
	assert_memory_equal(kit->pages + 100, out, sizeof(out));
	assert_int_equal(kit->pages[99], 0);
	assert_int_equal(kit->pages[100 + sizeof(out)], 0);
	assert_int_equal(
		nestfd_dma_read(rig.dev, APERTURE + 100, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(
		nestfd_dma_read(rig.dev, APERTURE + 2 * PAGE - 1, in, 2), -EIO);
	assert_int_equal(kit_unmap(kit, APERTURE, 2 * PAGE), 0);
	assert_int_equal(nestfd_dma_read(rig.dev, APERTURE, in, 1), -EIO);
}

static void writes_need_the_permission(void **state)
{
	struct kit *kit = *state;
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = kit->ioas,
		.user_va = (uintptr_t)kit->pages,
		.length = PAGE,
		.iova = APERTURE,
	};
	struct rig rig;
	char byte = 1;

	plug(kit, &rig, kit->ioas);
	assert_int_equal(nestfd_ioctl(kit->ctx, IOMMU_IOAS_MAP, &arg), 0);
	assert_int_equal(nestfd_dma_read(rig.dev, APERTURE, &byte, 1), 0);
	assert_int_equal(nestfd_dma_write(rig.dev, APERTURE, &byte, 1), -EIO);
	arg.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE;
	arg.iova += PAGE;
	assert_int_equal(nestfd_ioctl(kit->ctx, IOMMU_IOAS_MAP, &arg), 0);
	assert_int_equal(nestfd_dma_write(rig.dev, APERTURE + PAGE, &byte, 1),
			 0);
	assert_int_equal(nestfd_dma_read(rig.dev, APERTURE + PAGE, &byte, 1),
			 -EIO);
}

static void each_pasid_has_its_own_table(void **state)
{
	struct kit *kit = *state;
	uint32_t first, second, other = 0;
	struct rig rig;
	char byte = 0;

	plug(kit, &rig, 0);
	assert_int_equal(
		kit_hwpt(kit, kit->ioas, IOMMU_HWPT_ALLOC_PASID, &first), 0);
	assert_int_equal(kit_ioas(kit, &other), 0);
	assert_int_equal(kit_hwpt(kit, other, IOMMU_HWPT_ALLOC_PASID, &second),
			 0);
	assert_int_equal(nestfd_attach(rig.dev, NESTFD_NO_PASID, &first), 0);
	assert_int_equal(nestfd_attach(rig.dev, 5, &second), 0);
	kit->pages[0] = 'a';
	assert_int_equal(kit_map(kit, APERTURE, kit->pages, PAGE), 0);
	assert_int_equal(nestfd_dma_read(rig.dev, APERTURE, &byte, 1), 0);
	assert_int_equal(byte, 'a');
	assert_int_equal(pasid_read(&rig, 5, APERTURE, &byte), -EIO);
	kit->ioas = other;
	kit->pages[PAGE] = 'b';
	assert_int_equal(kit_map(kit, APERTURE, kit->pages + PAGE, PAGE), 0);
	assert_int_equal(pasid_read(&rig, 5, APERTURE, &byte), 0);
	assert_int_equal(byte, 'b');
	assert_int_equal(pasid_read(&rig, 6, APERTURE, &byte), -EIO);
	nestfd_detach(rig.dev, 5);
	assert_int_equal(pasid_read(&rig, 5, APERTURE, &byte), -EIO);
}

static void a_nested_hwpt_uses_its_parents_table(void **state)
{
	struct kit *kit = *state;
	uint32_t parent, nested;
	struct rig rig;
	char byte = 0;

	plug(kit, &rig, 0);
	assert_int_equal(
		kit_hwpt(kit, kit->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent),
		0);
	assert_int_equal(kit_nested(kit, parent, 0, &nested), 0);
	assert_int_equal(nestfd_attach(rig.dev, NESTFD_NO_PASID, &nested), 0);
	kit->pages[0] = 'n';
	assert_int_equal(kit_map(kit, APERTURE, kit->pages, PAGE), 0);
	assert_int_equal(nestfd_dma_read(rig.dev, APERTURE, &byte, 1), 0);
	assert_int_equal(byte, 'n');
}

/* A mapping of many leaves of every size, half of it taken away */
static void large_and_small_leaves_lead_to_the_right_place(void **state)
{
	struct kit *kit = *state;
	uint64_t length = 8ULL << 20;
	char *area = mmap(NULL, length, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t at[] = { 0, 4095, 1ULL << 20, (3ULL << 20) + 77, length - 1 };
	struct rig rig;

	assert_ptr_not_equal(area, MAP_FAILED);
	plug(kit, &rig, kit->ioas);
	assert_int_equal(kit_map(kit, APERTURE + PAGE, area, length), 0);
	for (unsigned int i = 0; i < 5; i++) {
		char byte = 0;

		area[at[i]] = (char)(i + 1);
		assert_int_equal(nestfd_dma_read(rig.dev,
						 APERTURE + PAGE + at[i], &byte,
						 1),
				 0);
		assert_int_equal(byte, i + 1);
	}
	assert_int_equal(kit_unmap(kit, APERTURE + PAGE, length), 0);
	for (unsigned int i = 0; i < 5; i++) {
		char byte;

		assert_int_equal(nestfd_dma_read(rig.dev,
						 APERTURE + PAGE + at[i], &byte,
						 1),
				 -EIO);
	}
	munmap(area, length);
}

static int get_dirty(struct kit *kit, uint32_t hwpt, uint64_t *bits)
{
	struct iommu_hwpt_get_dirty_bitmap arg = {
		.size = sizeof(arg),
		.hwpt_id = hwpt,
		.iova = APERTURE,
		.length = 4 * PAGE,
		.page_size = 2048,
		.data = (uintptr_t)bits,
	};

	*bits = 0;
	return nestfd_ioctl(kit->ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, &arg);
}

static void writes_leave_dirty_bits_where_that_is_tracked(void **state)
{
	struct kit *kit = *state;
	struct iommu_hwpt_set_dirty_tracking set = {
		.size = sizeof(set),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
	};
	struct rig rig;
	uint32_t hwpt;
	uint64_t bits;
	char byte = 1;

	plug(kit, &rig, 0);
	assert_int_equal(kit_hwpt(kit, kit->ioas,
				  IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt),
			 0);
	assert_int_equal(nestfd_attach(rig.dev, NESTFD_NO_PASID, &hwpt), 0);
	assert_int_equal(kit_map(kit, APERTURE, kit->pages, 4 * PAGE), 0);
	assert_int_equal(nestfd_dma_write(rig.dev, APERTURE, &byte, 1), 0);
	set.hwpt_id = hwpt;
	assert_int_equal(
		nestfd_ioctl(kit->ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, &set), 0);
	assert_int_equal(get_dirty(kit, hwpt, &bits), 0);
	assert_int_equal(bits, 0);
	assert_int_equal(
		nestfd_dma_write(rig.dev, APERTURE + 5 * 2048, &byte, 1), 0);
	assert_int_equal(nestfd_dma_read(rig.dev, APERTURE, &byte, 1), 0);
	assert_int_equal(get_dirty(kit, hwpt, &bits), 0);
	assert_int_equal(bits, 1u << 5);
	assert_int_equal(get_dirty(kit, hwpt, &bits), 0);
	assert_int_equal(bits, 0);
}

#define plain(test) \
	cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		plain(a_device_on_nothing_is_aborted),
		plain(dma_moves_data_across_pages),
		plain(writes_need_the_permission),
		plain(each_pasid_has_its_own_table),
		plain(a_nested_hwpt_uses_its_parents_table),
		plain(large_and_small_leaves_lead_to_the_right_place),
		plain(writes_leave_dirty_bits_where_that_is_tracked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
