// SPDX-License-Identifier: MIT
/* VFIO's type-1 calls on the IOAS that IOMMU_VFIO_IOAS has set. */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"

#define GET_API_VERSION 0x3b64
#define CHECK_EXTENSION 0x3b65
#define SET_IOMMU	0x3b66
#define GET_INFO	0x3b70
#define MAP_DMA		0x3b71
#define UNMAP_DMA	0x3b72
#define DIRTY_PAGES	0x3b75

#define TYPE1		1
#define TYPE1V2		3

#define IOVA		0x100000ULL
#define PAGE		4096ULL

struct dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t vaddr;
	uint64_t iova;
	uint64_t size;
};

struct dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t iova;
	uint64_t size;
};

struct info {
	uint32_t argsz;
	uint32_t flags;
	uint64_t sizes;
	uint32_t cap_offset;
	uint32_t pad;
	unsigned char caps[256];
};

static void set_ioas(struct world *w)
{
	struct iommu_vfio_ioas arg = {
		.size = sizeof(arg),
		.ioas_id = w->ioas,
		.op = IOMMU_VFIO_IOAS_SET,
	};

	assert_rc(ioctl_on(w, IOMMU_VFIO_IOAS, &arg), 0);
}

static int number(struct world *w, unsigned long cmd, uintptr_t value)
{
	return ioctl_on(w, cmd, (void *)value);
}

static int map(struct world *w, const void *va, uint64_t iova, uint64_t size)
{
	struct dma_map arg = { sizeof(arg), 3, (uintptr_t)va, iova, size };

	return ioctl_on(w, MAP_DMA, &arg);
}

static int unmap(struct world *w, uint64_t iova, uint64_t size, uint64_t *gone)
{
	struct dma_unmap arg = { sizeof(arg), 0, iova, size };
	int rc = ioctl_on(w, UNMAP_DMA, &arg);

	if (gone)
		*gone = arg.size;
	return rc;
}

static void without_an_ioas_there_is_no_container(void **state)
{
	struct world *w = world_of(state);
	struct dma_map m = { sizeof(m), 3, 0, IOVA, PAGE };
	struct dma_unmap u = { sizeof(u), 0, IOVA, PAGE };
	struct info info = { .argsz = sizeof(info) };

	assert_rc(number(w, GET_API_VERSION, 0), 0);
	assert_rc(number(w, CHECK_EXTENSION, TYPE1), 1);
	assert_rc(number(w, CHECK_EXTENSION, TYPE1V2), 1);
	assert_rc(number(w, CHECK_EXTENSION, 9), 1);	   /* UNMAP_ALL */
	assert_rc(number(w, CHECK_EXTENSION, 4), -ENODEV); /* DMA_CC */
	for (uintptr_t type = 0; type < 64; type++) {
		if (type != 1 && type != 3 && type != 4 && type != 9)
			assert_rc(number(w, CHECK_EXTENSION, type), 0);
	}
	assert_rc(number(w, CHECK_EXTENSION, (1ULL << 32) | TYPE1), 0);
	assert_rc(number(w, SET_IOMMU, TYPE1), -ENODEV);
	assert_rc(number(w, SET_IOMMU, TYPE1V2), -ENODEV);
	assert_rc(number(w, SET_IOMMU, 8), -EINVAL);
	assert_rc(ioctl_on(w, MAP_DMA, &m), -ENODEV);
	assert_rc(ioctl_on(w, UNMAP_DMA, &u), -ENODEV);
	assert_rc(ioctl_on(w, GET_INFO, &info), -ENODEV);
	assert_rc(ioctl_on(w, DIRTY_PAGES, &info), -ENOTTY);
}

static void structs_say_how_long_they_are(void **state)
{
	struct world *w = world_of(state);
	struct dma_map m = { 31, 3, 0, IOVA, PAGE };
	struct dma_unmap u = { 23, 0, IOVA, PAGE };
	struct info info = { .argsz = 15 };

	set_ioas(w);
	assert_rc(ioctl_on(w, MAP_DMA, &m), -EINVAL);
	assert_rc(ioctl_on(w, UNMAP_DMA, &u), -EINVAL);
	assert_rc(ioctl_on(w, GET_INFO, &info), -EINVAL);
	assert_rc(ioctl_on(w, MAP_DMA, NULL), -EFAULT);
	assert_rc(ioctl_on(w, UNMAP_DMA, NULL), -EFAULT);
	assert_rc(ioctl_on(w, GET_INFO, NULL), -EFAULT);
	for (int bit = 2; bit < 32; bit++) {
		m = (struct dma_map){ 32, 1U << bit, 0, IOVA, PAGE };
		assert_rc(ioctl_on(w, MAP_DMA, &m), -EINVAL);
	}
	for (int bit = 0; bit < 32; bit++) {
		u = (struct dma_unmap){ 24, 1U << bit, IOVA, PAGE };
		assert_rc(ioctl_on(w, UNMAP_DMA, &u), -EINVAL);
	}
}

static void what_is_mapped_is_found_and_goes(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(4);
	uint32_t pt = w->ioas;
	uint64_t gone = 7;
	char byte;

	set_ioas(w);
	assert_rc(number(w, CHECK_EXTENSION, 4), 0);
	assert_rc(number(w, SET_IOMMU, TYPE1V2), 0);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	mem[PAGE] = 42;
	assert_rc(map(w, mem, IOVA, 4 * PAGE), 0);
	assert_rc(map(w, mem, IOVA, 4 * PAGE), -EEXIST);
	assert_rc(map(w, mem, 0x800000, 0), -EINVAL);
	assert_rc(map(w, mem, UINT64_MAX - PAGE + 1, 2 * PAGE), -EOVERFLOW);
	assert_rc(fake_read(w, &w->dev[0], IOVA + PAGE, &byte, 1), 0);
	assert_int_equal(byte, 42);
	/* the newer type does not cut */
	assert_rc(unmap(w, IOVA + PAGE, PAGE, &gone), -ENOENT);
	assert_int_equal(gone, 0);
	assert_rc(unmap(w, IOVA, 0, NULL), -EINVAL);
	assert_rc(unmap(w, UINT64_MAX, 2, NULL), -EOVERFLOW);
	assert_rc(unmap(w, IOVA, 8 * PAGE, &gone), 0);
	assert_int_equal(gone, 4 * PAGE);
	/* nothing there is fine, unlike IOMMU_IOAS_UNMAP */
	assert_rc(unmap(w, IOVA, 8 * PAGE, &gone), 0);
	assert_int_equal(gone, 0);
	free(mem);
}

static void all_goes_when_neither_iova_nor_size_is_given(void **state)
{
	struct world *w = world_of(state);
	struct dma_unmap u = { sizeof(u), 2, 0, PAGE };
	char *mem = pages_alloc(1);

	set_ioas(w);
	assert_rc(map(w, mem, IOVA, PAGE), 0);
	assert_rc(map(w, mem, 0, PAGE), 0);
	assert_rc(ioctl_on(w, UNMAP_DMA, &u), -EINVAL);
	assert_int_equal(u.size, PAGE);
	u.size = 0;
	u.iova = 1;
	assert_rc(ioctl_on(w, UNMAP_DMA, &u), -EINVAL);
	u.iova = 0;
	assert_rc(ioctl_on(w, UNMAP_DMA, &u), 0);
	assert_int_equal(u.size, 2 * PAGE);
	assert_rc(ioctl_on(w, UNMAP_DMA, &u), -EINVAL);
	u.size = 0;
	assert_rc(ioctl_on(w, UNMAP_DMA, &u), 0);
	free(mem);
}

static void the_older_type_unmaps_parts(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(8);
	uint32_t pt = w->ioas;
	uint32_t counts[8];
	uint64_t gone;
	char byte;

	set_ioas(w);
	assert_rc(number(w, SET_IOMMU, TYPE1), 0);
	assert_rc(number(w, SET_IOMMU, TYPE1), 0);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	for (int i = 0; i < 8; i++)
		mem[i * PAGE] = (char)(i + 1);
	assert_rc(map(w, mem, IOVA, 8 * PAGE), 0);
	assert_rc(unmap(w, IOVA + 2 * PAGE, 3 * PAGE, &gone), 0);
	assert_int_equal(gone, 3 * PAGE);
	assert_rc(fake_read(w, &w->dev[0], IOVA + PAGE, &byte, 1), 0);
	assert_int_equal(byte, 2);
	assert_rc(fake_read(w, &w->dev[0], IOVA + 2 * PAGE, &byte, 1), -EFAULT);
	assert_rc(fake_read(w, &w->dev[0], IOVA + 5 * PAGE, &byte, 1), 0);
	assert_int_equal(byte, 6);
	assert_rc(core_count_pins(w->ctx, (uintptr_t)mem, 8 * PAGE, counts), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(counts[i], i < 2 || i > 4);
	/* not within a page */
	assert_rc(unmap(w, IOVA, 512, &gone), -EINVAL);
	assert_rc(unmap(w, IOVA, PAGE, &gone), 0);
	assert_rc(unmap(w, 0, UINT64_MAX, &gone), 0);
	assert_int_equal(gone, 4 * PAGE);
	assert_rc(core_count_pins(w->ctx, (uintptr_t)mem, 8 * PAGE, counts), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(counts[i], 0);
	free(mem);
}

static void cutting_without_memory_changes_nothing(void **state)
{
	struct world *w = world_of(state);
	struct alloc_plan plan = { 0 };
	char *mem = pages_alloc(8);
	uint64_t gone = 0;
	int rc = -ENOMEM;

	set_ioas(w);
	assert_rc(number(w, SET_IOMMU, TYPE1), 0);
	assert_rc(map(w, mem, IOVA, 8 * PAGE), 0);
	while (rc) {
		plan.fail_at++;
		plan.passed = 0;
		alloc_arm(&plan);
		rc = unmap(w, IOVA + 2 * PAGE, 3 * PAGE, &gone);
		alloc_arm(NULL);
		if (rc)
			assert_rc(rc, -ENOMEM);
	}
	assert_true(plan.fail_at > 2);
	assert_int_equal(gone, 3 * PAGE);
	assert_rc(unmap(w, 0, UINT64_MAX, &gone), 0);
	assert_int_equal(gone, 5 * PAGE);
	free(mem);
}

static uint32_t word(const void *base, size_t at)
{
	uint32_t v;

	memcpy(&v, (const char *)base + at, sizeof(v));
	return v;
}

static uint64_t dword(const void *base, size_t at)
{
	uint64_t v;

	memcpy(&v, (const char *)base + at, sizeof(v));
	return v;
}

static void info_tells_as_much_as_there_is_room_for(void **state)
{
	struct world *w = world_of(state);
	struct info info;

	set_ioas(w);
	/* the aperture ends at 2^44 - 1; a hole of one page within */
	assert_rc(core_reserve_iovas(w->ctx, w->ioas, 0x5000, 0x5fff), 0);
	for (uint32_t argsz = 16; argsz < 96; argsz++) {
		bool fits = argsz >= 24 + 16 + 48;

		memset(&info, 0xaa, sizeof(info));
		info.argsz = argsz;
		assert_rc(ioctl_on(w, GET_INFO, &info), 0);
		assert_int_equal(info.argsz, 24 + 16 + 48);
		assert_int_equal(info.flags, 3);
		assert_int_equal(info.sizes, 0x40201000);
		if (argsz >= 20)
			assert_int_equal(info.cap_offset, fits ? 24 : 0);
		for (size_t at = argsz < 88 ? argsz : 88; at < 128; at++)
			assert_int_equal(((unsigned char *)&info)[at], 0xaa);
		if (!fits)
			continue;
		/* id 3, version 1, the next one behind it */
		assert_int_equal(word(&info, 24), 0x10003);
		assert_int_equal(word(&info, 28), 40);
		assert_int_equal(word(&info, 32), 0xffffffff);
		/* id 1, version 1, the last */
		assert_int_equal(word(&info, 40), 0x10001);
		assert_int_equal(word(&info, 44), 0);
		assert_int_equal(word(&info, 48), 2);
		assert_int_equal(dword(&info, 56), 0);
		assert_int_equal(dword(&info, 64), 0x4fff);
		assert_int_equal(dword(&info, 72), 0x6000);
		assert_int_equal(dword(&info, 80), (1ULL << 44) - 1);
	}
}

static void page_sizes_are_what_all_domains_have(void **state)
{
	struct world *w = world_of(state);
	struct info info = { .argsz = 16 };
	struct iommu_vfio_ioas set = {
		.size = sizeof(set),
		.ioas_id = do_ioas(w),
		.op = IOMMU_VFIO_IOAS_SET,
	};
	uint32_t pt = set.ioas_id;

	assert_rc(ioctl_on(w, IOMMU_VFIO_IOAS, &set), 0);
	assert_rc(number(w, CHECK_EXTENSION, 4), 1); /* no domain objects */
	assert_rc(ioctl_on(w, GET_INFO, &info), 0);
	assert_true(info.sizes == ~0xfffULL);
	/* whoever maps 2 KiB maps 4 KiB */
	w->unit.geometry.page_sizes = 0x200800;
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	info.argsz = 16;
	assert_rc(ioctl_on(w, GET_INFO, &info), 0);
	assert_int_equal(info.sizes, 0x201000);
	assert_rc(try_destroy(w, set.ioas_id), -EBUSY);
	assert_rc(core_detach(w->ctx, w->dev_id[0], CORE_NO_PASID), 0);
	assert_rc(try_destroy(w, set.ioas_id), 0);
	assert_rc(ioctl_on(w, GET_INFO, &info), -ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_NESTED(without_an_ioas_there_is_no_container),
		CASE_NESTED(structs_say_how_long_they_are),
		CASE_NESTED(what_is_mapped_is_found_and_goes),
		CASE_NESTED(all_goes_when_neither_iova_nor_size_is_given),
		CASE_NESTED(the_older_type_unmaps_parts),
		CASE_NESTED(cutting_without_memory_changes_nothing),
		CASE_NESTED(info_tells_as_much_as_there_is_room_for),
		CASE_NESTED(page_sizes_are_what_all_domains_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
