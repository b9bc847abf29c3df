// SPDX-License-Identifier: MIT
/* Dirty tracking: the two calls, and the bits in the client's memory. */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"

#define IOVA 0x100000ULL
#define PAGE 4096ULL

/* A HWPT with tracking, 16 pages mapped at IOVA, the last four by themselves */
struct tracked {
	uint32_t hwpt;
	struct core_domain *domain;
	char *mem;
};

static void begin(struct world *w, struct tracked *t)
{
	struct core_hold hold;

	w->unit.caps = 1; /* IOMMU_HW_CAP_DIRTY_TRACKING */
	t->hwpt = do_hwpt(w, w->dev_id[0], w->ioas,
			  IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	t->mem = pages_alloc(16);
	assert_rc(try_map(w, w->ioas, t->mem, 12 * PAGE, IOVA), 0);
	assert_rc(try_map(w, w->ioas, t->mem + 12 * PAGE, 4 * PAGE,
			  IOVA + 12 * PAGE),
		  0);
	assert_rc(core_find_domain(w->ctx, t->hwpt, CORE_PAGING, &t->domain,
				   &hold),
		  0);
	core_unhold(&hold);
}

static int set(struct world *w, uint32_t hwpt, uint32_t flags)
{
	struct iommu_hwpt_set_dirty_tracking arg = {
		.size = sizeof(arg),
		.flags = flags,
		.hwpt_id = hwpt,
	};

	return ioctl_on(w, IOMMU_HWPT_SET_DIRTY_TRACKING, &arg);
}

static int get(struct world *w, struct tracked *t, uint32_t flags,
	       uint64_t iova, uint64_t length, uint64_t page_size, void *bits)
{
	struct iommu_hwpt_get_dirty_bitmap arg = {
		.size = sizeof(arg),
		.hwpt_id = t->hwpt,
		.flags = flags,
		.iova = iova,
		.length = length,
		.page_size = page_size,
		.data = (uintptr_t)bits,
	};

	return ioctl_on(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &arg);
}

static void tracking_is_switched_by_the_driver(void **state)
{
	struct world *w = world_of(state);
	struct tracked t;

	begin(w, &t);
	assert_rc(set(w, w->parent, 1), -EOPNOTSUPP); /* made without */
	assert_rc(set(w, 999, 1), -ENOENT);
	for (int bit = 1; bit < 32; bit++)
		assert_rc(set(w, t.hwpt, 1U << bit), -EOPNOTSUPP);
	fake_dirty(t.domain, IOVA);
	assert_rc(set(w, t.hwpt, 1), 0);
	assert_true(((struct fake_domain *)t.domain)->tracking);
	/* what was dirty before is not */
	assert_int_equal(((struct fake_domain *)t.domain)->dirty[0], 0);
	assert_rc(set(w, t.hwpt, 0), 0);
	assert_false(((struct fake_domain *)t.domain)->tracking);
	w->unit.dirty_rc = -EIO;
	assert_rc(set(w, t.hwpt, 1), -EIO);
	free(t.mem);
}

static void ranges_are_judged_before_the_driver(void **state)
{
	struct world *w = world_of(state);
	unsigned char bits[8] = { 0 };
	struct tracked t;

	begin(w, &t);
	assert_rc(get(w, &t, 0, IOVA + 1, PAGE, PAGE, bits), -EINVAL);
	assert_rc(get(w, &t, 0, IOVA, PAGE + 1, PAGE, bits), -EINVAL);
	assert_rc(get(w, &t, 0, IOVA, PAGE, 0, bits), -EINVAL);
	assert_rc(get(w, &t, 0, IOVA, PAGE, 2 * PAGE, bits), -EINVAL);
	assert_rc(get(w, &t, 0, IOVA, 0, PAGE, bits), -EOVERFLOW);
	assert_rc(get(w, &t, 0, UINT64_MAX - PAGE + 1, 2 * PAGE, PAGE, bits),
		  -EOVERFLOW);
	for (int bit = 1; bit < 32; bit++)
		assert_rc(get(w, &t, 1U << bit, IOVA, PAGE, PAGE, bits),
			  -EOPNOTSUPP);
	t.hwpt = w->parent;
	assert_rc(get(w, &t, 0, IOVA, PAGE, 0, bits), -EINVAL);
	assert_rc(get(w, &t, 0, IOVA, PAGE, PAGE, bits), -EOPNOTSUPP);
	free(t.mem);
}

static void each_page_has_its_bit(void **state)
{
	struct world *w = world_of(state);
	struct tracked t;

	begin(w, &t);
	assert_rc(set(w, t.hwpt, 1), 0);
	for (uint64_t page = 0; page < 16; page++) {
		/* the bitmap may lie anywhere */
		unsigned char bits[5] = { 0x80, 0, 0, 0, 0x80 };
		unsigned char want[5] = { 0x80, 0, 0, 0, 0x80 };

		want[1 + page / 8] = (unsigned char)(1 << page % 8);
		fake_dirty(t.domain, IOVA + page * PAGE);
		assert_rc(get(w, &t, 1, IOVA, 16 * PAGE, PAGE, bits + 1), 0);
		assert_memory_equal(bits, want, 5);
		/* NO_CLEAR left it; bits that are set already stay */
		bits[2] |= 0x40;
		want[2] |= 0x40;
		assert_rc(get(w, &t, 0, IOVA, 16 * PAGE, PAGE, bits + 1), 0);
		assert_memory_equal(bits, want, 5);
		memset(bits, 0, sizeof(bits));
		assert_rc(get(w, &t, 0, IOVA, 16 * PAGE, PAGE, bits + 1), 0);
		assert_memory_equal(bits, "\0\0\0\0", 4);
	}
	free(t.mem);
}

static void bits_stand_for_the_page_size_of_the_client(void **state)
{
	struct world *w = world_of(state);
	unsigned char bits[4] = { 0 };
	struct tracked t;

	begin(w, &t);
	assert_rc(set(w, t.hwpt, 1), 0);
	fake_dirty(t.domain, IOVA + 5 * PAGE);
	fake_dirty(t.domain, IOVA + 12 * PAGE);
	assert_rc(get(w, &t, 1, IOVA, 16 * PAGE, 4 * PAGE, bits), 0);
	assert_int_equal(bits[0], 0x0a);
	/* finer than what the hardware tells: all of the page */
	memset(bits, 0, sizeof(bits));
	assert_rc(get(w, &t, 1, IOVA + 4 * PAGE, 2 * PAGE, 1024, bits), 0);
	assert_int_equal(bits[0], 0xf0);
	bits[0] = 0;
	assert_rc(get(w, &t, 1, IOVA + 4 * PAGE, 2 * PAGE, PAGE, bits), 0);
	assert_int_equal(bits[0], 0x02);
	free(t.mem);
}

static void a_part_of_the_range_is_asked_for_alone(void **state)
{
	struct world *w = world_of(state);
	unsigned char bits[2] = { 0 };
	struct tracked t;

	begin(w, &t);
	assert_rc(set(w, t.hwpt, 1), 0);
	for (uint64_t page = 0; page < 16; page++)
		fake_dirty(t.domain, IOVA + page * PAGE);
	assert_rc(get(w, &t, 0, IOVA + 11 * PAGE, 2 * PAGE, PAGE, bits), 0);
	assert_int_equal(bits[0], 0x03);
	bits[0] = 0;
	assert_rc(get(w, &t, 0, IOVA, 16 * PAGE, PAGE, bits), 0);
	assert_int_equal(bits[0], 0xff);
	assert_int_equal(bits[1], 0xe7);
	free(t.mem);
}

static void holes_and_bad_bitmaps_end_it_silently(void **state)
{
	struct world *w = world_of(state);
	unsigned char bits[4] = { 0 };
	struct tracked t;
	char *wall = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	begin(w, &t);
	assert_rc(set(w, t.hwpt, 1), 0);
	fake_dirty(t.domain, IOVA + 15 * PAGE);
	assert_rc(get(w, &t, 1, IOVA, 32 * PAGE, PAGE, bits), 0);
	assert_int_equal(bits[1], 0x80);
	memset(bits, 0, sizeof(bits));
	assert_rc(get(w, &t, 1, IOVA - PAGE, 32 * PAGE, PAGE, bits), 0);
	assert_memory_equal(bits, "\0\0\0\0", 4);
	assert_rc(get(w, &t, 1, IOVA, 16 * PAGE, PAGE, NULL), 0);
	munmap(wall + PAGE, PAGE);
	assert_rc(get(w, &t, 1, IOVA, 16 * PAGE, PAGE, wall + PAGE - 1), 0);
	assert_rc(get(w, &t, 1, IOVA, 16 * PAGE, PAGE, bits), 0);
	assert_int_equal(bits[1], 0x80);
	assert_rc(set(w, t.hwpt, 0), 0);
	memset(bits, 0, sizeof(bits));
	assert_rc(get(w, &t, 1, IOVA, 16 * PAGE, PAGE, bits), 0);
	assert_int_equal(bits[1], 0);
	munmap(wall, PAGE);
	free(t.mem);
}

static void a_driver_cannot_write_outside_the_bitmap(void **state)
{
	struct world *w = world_of(state);
	unsigned char bits[3] = { 0, 0, 0 };
	struct tracked t;

	begin(w, &t);
	assert_rc(set(w, t.hwpt, 1), 0);
	/* a page that begins in front of the range */
	((struct fake_domain *)t.domain)->dirty[0] = IOVA + 3 * PAGE - 1;
	((struct fake_domain *)t.domain)->dirty[1] = IOVA + 4 * PAGE - 1;
	assert_rc(get(w, &t, 0, IOVA + 3 * PAGE, PAGE, PAGE, bits + 1), 0);
	assert_int_equal(bits[0], 0);
	assert_int_equal(bits[1], 1);
	assert_int_equal(bits[2], 0);
	free(t.mem);
}

static void without_memory_no_bits_are_lost(void **state)
{
	struct world *w = world_of(state);
	struct alloc_plan plan = { .fail_at = 1 };
	unsigned char bits[4] = { 0 };
	struct tracked t;

	begin(w, &t);
	assert_rc(set(w, t.hwpt, 1), 0);
	fake_dirty(t.domain, IOVA);
	alloc_arm(&plan);
	assert_rc(get(w, &t, 0, IOVA, 16 * PAGE, PAGE, bits), -ENOMEM);
	alloc_arm(NULL);
	assert_rc(get(w, &t, 0, IOVA, 16 * PAGE, PAGE, bits), 0);
	assert_int_equal(bits[0], 1);
	free(t.mem);
}

static void user_data_reaches_a_paging_domain(void **state)
{
	struct world *w = world_of(state);
	uint64_t data[2] = { 7, 8 };
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.dev_id = w->dev_id[0],
		.pt_id = w->ioas,
		.data_type = FAKE_DATA_TYPE,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
	};
	struct core_domain *domain;
	struct core_hold hold;

	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), -EOPNOTSUPP);
	w->unit.ops.domain_alloc_data = fake_domain_alloc_data;
	arg.data_uptr = 8;
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), -EFAULT);
	arg.data_uptr = (uintptr_t)data;
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), 0);
	assert_rc(core_find_domain(w->ctx, arg.out_hwpt_id, CORE_PAGING,
				   &domain, &hold),
		  0);
	assert_int_equal(((struct fake_domain *)domain)->data[1], 8);
	core_unhold(&hold);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_NESTED(tracking_is_switched_by_the_driver),
		CASE_NESTED(ranges_are_judged_before_the_driver),
		CASE_NESTED(each_page_has_its_bit),
		CASE_NESTED(bits_stand_for_the_page_size_of_the_client),
		CASE_NESTED(a_part_of_the_range_is_asked_for_alone),
		CASE_NESTED(holes_and_bad_bitmaps_end_it_silently),
		CASE_NESTED(a_driver_cannot_write_outside_the_bitmap),
		CASE_NESTED(without_memory_no_bits_are_lost),
		CASE_NESTED(user_data_reaches_a_paging_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
