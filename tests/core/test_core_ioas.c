// SPDX-License-Identifier: MIT
/* I/O address spaces: what can be mapped where, and what DMA then finds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"
#include "mem/phys.h"

#define PAGE 4096ULL
#define MAX  UINT64_MAX

static int map_any(struct world *w, uint32_t ioas, const void *va,
		   uint64_t length, uint64_t *iova)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
	};
	int rc = ioctl_on(w, IOMMU_IOAS_MAP, &arg);

	if (!rc)
		*iova = arg.iova;
	return rc;
}

static int copy(struct world *w, uint32_t flags, uint32_t src, uint64_t from,
		uint64_t length, uint32_t dst, uint64_t *to)
{
	struct iommu_ioas_copy arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dst_ioas_id = dst,
		.src_ioas_id = src,
		.length = length,
		.dst_iova = *to,
		.src_iova = from,
	};
	int rc = ioctl_on(w, IOMMU_IOAS_COPY, &arg);

	*to = arg.dst_iova;
	return rc;
}

static int ranges(struct world *w, uint32_t ioas, struct iommu_iova_range *out,
		  uint32_t *num, uint64_t *align)
{
	struct iommu_ioas_iova_ranges arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.num_iovas = *num,
		.allowed_iovas = (uintptr_t)out,
	};
	int rc = ioctl_on(w, IOMMU_IOAS_IOVA_RANGES, &arg);

	*num = arg.num_iovas;
	if (align)
		*align = arg.out_iova_alignment;
	return rc;
}

static int allow(struct world *w, uint32_t ioas,
		 const struct iommu_iova_range *list, uint32_t num)
{
	struct iommu_ioas_allow_iovas arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.num_iovas = num,
		.allowed_iovas = (uintptr_t)list,
	};

	return ioctl_on(w, IOMMU_IOAS_ALLOW_IOVAS, &arg);
}

static int option(struct world *w, uint32_t id, uint16_t op, uint32_t object,
		  uint64_t *val)
{
	struct iommu_option arg = {
		.size = sizeof(arg),
		.option_id = id,
		.op = op,
		.object_id = object,
		.val64 = *val,
	};
	int rc = ioctl_on(w, IOMMU_OPTION, &arg);

	*val = arg.val64;
	return rc;
}

/* ---- MAP ---- */

static void map_answers_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	uint32_t ioas = do_ioas(w);
	char *mem = pages_alloc(2);
	struct iommu_ioas_map good = {
		.size = sizeof(good),
		.flags = RW_FIXED,
		.ioas_id = ioas,
		.user_va = (uintptr_t)mem,
		.length = PAGE,
		.iova = 0x10000,
	};
	struct iommu_ioas_map arg;

	for (int bit = 3; bit < 32; bit++) {
		arg = good;
		arg.flags |= 1U << bit;
		assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), -EOPNOTSUPP);
	}
	for (int bit = 0; bit < 32; bit++) {
		arg = good;
		arg.__reserved = 1U << bit;
		assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), -EOPNOTSUPP);
	}
	arg = good;
	arg.flags = IOMMU_IOAS_MAP_FIXED_IOVA; /* neither read nor write */
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), -EINVAL);
	arg = good;
	arg.iova = MAX;
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), -EOVERFLOW);
	arg = good;
	arg.length = MAX;
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), -EOVERFLOW);
	arg = good;
	arg.ioas_id = 99;
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), -ENOENT);
	arg = good;
	arg.length = 0;
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), -EINVAL);
	arg = good;
	arg.user_va = MAX - 10; /* VA wraps */
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), -EOVERFLOW);
	arg = good;
	arg.iova = MAX - 0xffe; /* IOVA wraps */
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), -EOVERFLOW);
	arg = good;
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), 0);
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), -EEXIST);
	arg.iova += PAGE - 1; /* overlaps in one byte */
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), -EEXIST);
	free(mem);
}

static void without_a_domain_any_alignment_will_do(void **state)
{
	struct world *w = world_of(state);
	uint32_t ioas = do_ioas(w);
	char *mem = pages_alloc(1);
	uint32_t num = 1;
	struct iommu_iova_range r;
	uint64_t align;

	assert_rc(try_map(w, ioas, mem + 3, 5, 7), 0);
	assert_rc(try_map(w, ioas, mem, 1, 12), 0);
	assert_rc(try_map(w, ioas, mem, 1, MAX - 1), 0);
	assert_rc(ranges(w, ioas, &r, &num, &align), 0);
	assert_int_equal(align, 1);
	assert_int_equal(r.start, 0);
	assert_int_equal(r.last, MAX);
	free(mem);
}

static void with_a_domain_pages_must_be_aligned(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(3);

	assert_rc(try_map(w, w->ioas, mem, PAGE, 0x1001), -EINVAL);
	assert_rc(try_map(w, w->ioas, mem, PAGE - 1, 0x1000), -EINVAL);
	assert_rc(try_map(w, w->ioas, mem + 1, PAGE, 0x1000), -EINVAL);
	assert_rc(try_map(w, w->ioas, mem, 3 * PAGE, 0x1000), 0);
	free(mem);
}

static void what_is_mapped_is_what_dma_finds(void **state)
{
	struct world *w = world_of(state);
	uint32_t pt = w->parent;
	char *mem = pages_alloc(4);
	char word[8];

	memset(mem, 0, 4 * PAGE);
	strcpy(mem + 2 * PAGE + 10, "nested");
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	assert_rc(try_map(w, w->ioas, mem + PAGE, 3 * PAGE, 0x40000000), 0);
	assert_rc(fake_read(w, &w->dev[0], 0x40000000 + PAGE + 10, word, 8), 0);
	assert_string_equal(word, "nested");
	assert_rc(try_unmap(w, w->ioas, 0x40000000, 3 * PAGE, NULL), 0);
	assert_rc(fake_read(w, &w->dev[0], 0x40000000 + PAGE + 10, word, 8),
		  -EFAULT);
	assert_int_equal(phys_count(w->phys), 0);
	free(mem);
}

/* Linux notes memory at MAP and looks at it when a domain needs it */
static void absent_memory_is_a_fault_once_there_is_a_domain(void **state)
{
	struct world *w = world_of(state);
	uint32_t lonely = do_ioas(w);
	char *mem = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.dev_id = w->dev_id[0],
		.pt_id = lonely,
	};

	assert_rc(munmap(mem + 2 * PAGE, PAGE), 0);
	assert_rc(try_map(w, w->ioas, mem, 4 * PAGE, 0), -EFAULT);
	assert_rc(try_map(w, w->ioas, mem, 2 * PAGE, 0), 0);
	assert_rc(try_map(w, lonely, mem, 4 * PAGE, 0), 0);
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &hwpt), -EFAULT);
	assert_rc(try_unmap(w, lonely, 0, 4 * PAGE, NULL), 0);
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &hwpt), 0);
	munmap(mem, 4 * PAGE);
}

static void memory_that_is_read_only_cannot_be_mapped_for_writing(void **state)
{
	struct world *w = world_of(state);
	char *mem =
		mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = w->ioas,
		.user_va = (uintptr_t)mem,
		.length = PAGE,
	};

	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), -EFAULT);
	arg.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE;
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &arg), 0);
	munmap(mem, PAGE);
}

static void a_driver_that_cannot_map_leaves_nothing_behind(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(1);

	do_hwpt(w, w->dev_id[0], w->ioas, 0); /* a second domain */
	w->unit.map_rc = -ENOMEM;
	for (uint32_t at = 1; at <= 2; at++) {
		w->unit.map_fail_at = at;
		assert_rc(try_map(w, w->ioas, mem, PAGE, 0), -ENOMEM);
		assert_int_equal(phys_count(w->phys), 0);
	}
	assert_rc(try_map(w, w->ioas, mem, PAGE, 0), 0);
	free(mem);
}

/* ---- UNMAP ---- */

static void unmap_answers_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(2);

	assert_rc(try_map(w, w->ioas, mem, 2 * PAGE, 0x10000), 0);
	assert_rc(try_unmap(w, 99, 0, PAGE, NULL), -ENOENT);
	assert_rc(try_unmap(w, w->parent, 0, PAGE, NULL), -ENOENT);
	assert_rc(try_unmap(w, w->ioas, 0, 0, NULL), -EINVAL);
	assert_rc(try_unmap(w, w->ioas, MAX, 1, NULL), -EOVERFLOW);
	assert_rc(try_unmap(w, w->ioas, 1, MAX, NULL), -EOVERFLOW);
	assert_rc(try_unmap(w, w->ioas, MAX - 1, 3, NULL), -EOVERFLOW);
	assert_rc(try_unmap(w, w->ioas, 0, PAGE, NULL), -ENOENT);
	/* part of an area, at either end */
	assert_rc(try_unmap(w, w->ioas, 0x10000, PAGE, NULL), -ENOENT);
	assert_rc(try_unmap(w, w->ioas, 0x11000, PAGE, NULL), -ENOENT);
	assert_rc(try_unmap(w, w->ioas, 0x11000, 4 * PAGE, NULL), -ENOENT);
	assert_rc(try_unmap(w, w->ioas, 0x10000, 2 * PAGE, NULL), 0);
	assert_rc(try_unmap(w, w->ioas, 0x10000, 2 * PAGE, NULL), -ENOENT);
	free(mem);
}

static void unmap_tells_how_much_it_was(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(2);
	uint64_t n;

	assert_rc(try_map(w, w->ioas, mem, PAGE, 0x10000), 0);
	assert_rc(try_map(w, w->ioas, mem, 2 * PAGE, 0x20000), 0);
	assert_rc(try_unmap(w, w->ioas, 0, 0x100000, &n), 0);
	assert_int_equal(n, 3 * PAGE);
	free(mem);
}

static void unmap_all_of_nothing_is_fine(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(1);
	uint64_t n;

	assert_rc(try_unmap(w, w->ioas, 0, MAX, &n), 0);
	assert_int_equal(n, 0);
	assert_rc(try_map(w, w->ioas, mem, PAGE, 0), 0);
	assert_rc(try_map(w, w->ioas, mem, PAGE, 0xffffffff000), 0);
	assert_rc(try_unmap(w, w->ioas, 0, MAX, &n), 0);
	assert_int_equal(n, 2 * PAGE);
	free(mem);
}

/* Areas in front of the one that is only partly covered are gone. */
static void unmap_stops_at_an_area_it_covers_in_part(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(2);

	assert_rc(try_map(w, w->ioas, mem, PAGE, 0x1000), 0);
	assert_rc(try_map(w, w->ioas, mem, 2 * PAGE, 0x2000), 0);
	assert_rc(try_unmap(w, w->ioas, 0x1000, 2 * PAGE, NULL), -ENOENT);
	assert_rc(try_map(w, w->ioas, mem, PAGE, 0x1000), 0);
	assert_rc(try_map(w, w->ioas, mem, PAGE, 0x2000), -EEXIST);
	free(mem);
}

static void adjacent_areas_are_unmapped_with_one_call(void **state)
{
	struct world *w = world_of(state);
	uint32_t pt = w->parent;
	char *mem = pages_alloc(1);
	struct fake_domain *domain;

	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	domain = fake_domain_of(&w->dev[0]);
	for (int i = 0; i < 10; i++)
		assert_rc(try_map(w, w->ioas, mem, PAGE, i * PAGE), 0);
	assert_rc(try_map(w, w->ioas, mem, PAGE, 20 * PAGE), 0);
	assert_rc(try_unmap(w, w->ioas, 0, MAX, NULL), 0);
	assert_int_equal(domain->unmap_calls, 2);
	free(mem);
}

/* ---- choosing IOVAs ---- */

static void a_chosen_iova_is_the_lowest_that_suits(void **state)
{
	struct world *w = world_of(state);
	uint32_t ioas = do_ioas(w);
	char *mem = aligned_alloc(4 << 20, 4 << 20);
	uint64_t iova;

	/* not page 0; aligned like memory and length */
	assert_rc(map_any(w, ioas, mem, PAGE, &iova), 0);
	assert_int_equal(iova, 0x1000);
	assert_rc(map_any(w, ioas, mem, 2 * PAGE, &iova), 0);
	assert_int_equal(iova, 0x2000);
	assert_rc(map_any(w, ioas, mem, 0x10000, &iova), 0);
	assert_int_equal(iova, 0x10000);
	assert_rc(map_any(w, ioas, mem, 2 << 20, &iova), 0);
	assert_int_equal(iova, 2 << 20);
	/* at most 2 MiB */
	assert_rc(map_any(w, ioas, mem, 4 << 20, &iova), 0);
	assert_int_equal(iova, 4 << 20);
	/* the VA's own alignment, and its offset in the page */
	assert_rc(map_any(w, ioas, mem + PAGE, 0x10000, &iova), 0);
	assert_int_equal(iova, 0x20000);
	assert_rc(map_any(w, ioas, mem + 0x234, 4, &iova), 0);
	assert_int_equal(iova, 0x4234);
	free(mem);
}

static void a_gap_is_found_again(void **state)
{
	struct world *w = world_of(state);
	uint32_t ioas = do_ioas(w);
	char *mem = pages_alloc(2);
	uint64_t iova;

	for (uint64_t i = 1; i <= 100; i++)
		assert_rc(map_any(w, ioas, mem, PAGE, &iova), 0);
	assert_int_equal(iova, 100 * PAGE);
	assert_rc(try_unmap(w, ioas, 50 * PAGE, PAGE, NULL), 0);
	assert_rc(try_unmap(w, ioas, 60 * PAGE, 2 * PAGE, NULL), 0);
	assert_rc(map_any(w, ioas, mem, 2 * PAGE, &iova), 0);
	assert_int_equal(iova, 60 * PAGE);
	assert_rc(map_any(w, ioas, mem, PAGE, &iova), 0);
	assert_int_equal(iova, 50 * PAGE);
	assert_rc(map_any(w, ioas, mem, PAGE, &iova), 0);
	assert_int_equal(iova, 101 * PAGE);
	free(mem);
}

static void chosen_iovas_keep_to_the_allowed_ones(void **state)
{
	struct world *w = world_of(state);
	uint32_t ioas = do_ioas(w);
	struct iommu_iova_range list[] = { { 0x5000, 0x6fff },
					   { 0x100000, 0x101fff } };
	char *mem = aligned_alloc(16384, 16384);
	uint64_t iova;

	assert_rc(allow(w, ioas, list, 2), 0);
	assert_rc(map_any(w, ioas, mem, 2 * PAGE, &iova), 0);
	assert_int_equal(iova, 0x100000); /* 0x5000 is not 8 KiB aligned */
	assert_rc(map_any(w, ioas, mem, PAGE, &iova), 0);
	assert_int_equal(iova, 0x5000);
	assert_rc(map_any(w, ioas, mem, PAGE, &iova), 0);
	assert_int_equal(iova, 0x6000);
	assert_rc(map_any(w, ioas, mem, PAGE, &iova), -ENOSPC);
	assert_rc(map_any(w, ioas, mem, 3 * PAGE, &iova), -ENOSPC);
	free(mem);
}

static void impossible_lengths_cannot_be_placed(void **state)
{
	struct world *w = world_of(state);
	uint64_t iova;

	assert_rc(map_any(w, w->ioas, NULL, MAX / 2, &iova), -EINVAL);
	assert_rc(map_any(w, w->ioas, NULL, (MAX / 2 + 1), &iova), -EOVERFLOW);
	assert_rc(map_any(w, w->ioas, NULL, 1ULL << 45, &iova), -ENOSPC);
	/* less aligned than the domain's pages */
	assert_rc(map_any(w, w->ioas, (void *)0x10800, PAGE, &iova), -EINVAL);
}

static void chosen_iovas_avoid_what_is_reserved(void **state)
{
	struct world *w = world_of(state);
	uint32_t pt = w->parent;
	char *mem = pages_alloc(1);
	uint64_t iova;

	w->unit.resv[0] = (struct core_resv){ 0x1000, 0x7fff, false };
	w->unit.resv[1] = (struct core_resv){ 0x4000, 0xafff, false };
	w->unit.resv_count = 2;
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	assert_rc(map_any(w, w->ioas, mem, PAGE, &iova), 0);
	assert_int_equal(iova, 0xb000);
	free(mem);
}

/* ---- IOVA_RANGES, ALLOW_IOVAS ---- */

static void iova_ranges_answers_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	struct iommu_iova_range r[4];
	struct iommu_ioas_iova_ranges arg = {
		.size = sizeof(arg),
		.ioas_id = w->ioas,
		.num_iovas = 4,
		.__reserved = 1,
		.allowed_iovas = (uintptr_t)r,
	};

	assert_rc(ioctl_on(w, IOMMU_IOAS_IOVA_RANGES, &arg), -EOPNOTSUPP);
	arg.__reserved = 0;
	arg.ioas_id = 1; /* the device */
	assert_rc(ioctl_on(w, IOMMU_IOAS_IOVA_RANGES, &arg), -ENOENT);
	arg.ioas_id = w->ioas;
	arg.allowed_iovas = 8;
	assert_rc(ioctl_on(w, IOMMU_IOAS_IOVA_RANGES, &arg), -EFAULT);
	arg.num_iovas = 0; /* asks how many there are */
	assert_rc(ioctl_on(w, IOMMU_IOAS_IOVA_RANGES, &arg), -EMSGSIZE);
	assert_int_equal(arg.num_iovas, 1);
}

/* Row F2: aperture of 44 bits, MSI window 0x8000000-0x80fffff */
static void ranges_show_aperture_and_msi_window(void **state)
{
	struct world *w = world_of(state);
	uint32_t pt = do_nested(w, w->dev_id[0], w->viommu);
	struct iommu_iova_range r[3] = { 0 };
	uint32_t num = 3;
	uint64_t align;

	assert_rc(ranges(w, w->ioas, r, &num, &align), 0);
	assert_int_equal(num, 1);
	assert_int_equal(r[0].last, 0xfffffffffff);
	assert_int_equal(align, 4096);
	w->unit.resv[0] = (struct core_resv){ 0x8000000, 0x80fffff, true };
	w->unit.resv_count = 1;
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	num = 3;
	assert_rc(ranges(w, w->ioas, r, &num, NULL), 0);
	assert_int_equal(num, 2);
	assert_int_equal(r[0].start, 0);
	assert_int_equal(r[0].last, 0x7ffffff);
	assert_int_equal(r[1].start, 0x8100000);
	assert_int_equal(r[1].last, 0xfffffffffff);
	/* room for one: that one is filled in all the same */
	memset(r, 0, sizeof(r));
	num = 1;
	assert_rc(ranges(w, w->ioas, r, &num, NULL), -EMSGSIZE);
	assert_int_equal(num, 2);
	assert_int_equal(r[0].last, 0x7ffffff);
	assert_int_equal(r[1].last, 0);
	/* F3 */
	assert_rc(try_map(w, w->ioas, r, PAGE, 0x8000000), -EINVAL);
	assert_rc(core_detach(w->ctx, w->dev_id[0], CORE_NO_PASID), 0);
	num = 3;
	assert_rc(ranges(w, w->ioas, r, &num, NULL), 0);
	assert_int_equal(num, 1);
}

static void ranges_go_back_when_the_last_domain_goes(void **state)
{
	struct world *w = world_of(state);
	struct iommu_iova_range r;
	uint32_t num = 1;
	uint64_t align;

	assert_rc(try_destroy(w, w->viommu), 0);
	assert_rc(try_destroy(w, w->parent), 0);
	assert_rc(ranges(w, w->ioas, &r, &num, &align), 0);
	assert_int_equal(r.last, MAX);
	assert_int_equal(align, 1);
}

static void allow_iovas_answers_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	struct iommu_iova_range overlap[] = { { 0, 10 }, { 10, 20 } };
	struct iommu_iova_range single = { 5, 5 };
	struct iommu_iova_range outside = { 1ULL << 43, 1ULL << 44 };
	struct iommu_iova_range good = { 0x1000, 0x1fff };
	struct iommu_ioas_allow_iovas arg = {
		.size = sizeof(arg),
		.ioas_id = w->ioas,
		.__reserved = 1,
	};

	assert_rc(ioctl_on(w, IOMMU_IOAS_ALLOW_IOVAS, &arg), -EOPNOTSUPP);
	assert_rc(allow(w, 99, &good, 1), -ENOENT);
	assert_rc(allow(w, w->ioas, NULL, 1), -EFAULT);
	assert_rc(allow(w, w->ioas, &single, 1), -EINVAL);
	assert_rc(allow(w, w->ioas, overlap, 2), -EINVAL);
	assert_rc(allow(w, w->ioas, &outside, 1), -EADDRINUSE);
	assert_rc(allow(w, w->ioas, &good, 1), 0);
	assert_rc(allow(w, w->ioas, NULL, 0), 0);
}

static void allowed_iovas_keep_devices_out(void **state)
{
	struct world *w = world_of(state);
	struct iommu_iova_range window = { 0x8000000, 0x8000fff };
	uint32_t pt = w->parent;

	w->unit.resv[0] = (struct core_resv){ 0x8000000, 0x80fffff, true };
	w->unit.resv_count = 1;
	assert_rc(allow(w, w->ioas, &window, 1), 0);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt),
		  -EADDRINUSE);
	assert_rc(allow(w, w->ioas, NULL, 0), 0);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	assert_rc(allow(w, w->ioas, &window, 1), -EADDRINUSE);
}

static void mapped_iovas_keep_devices_out(void **state)
{
	struct world *w = world_of(state);
	uint32_t pt = w->parent;
	char *mem = pages_alloc(1);

	w->unit.resv[0] = (struct core_resv){ 0x2000, 0x2fff, false };
	w->unit.resv[1] = (struct core_resv){ 0x1000, 0x1fff, false };
	w->unit.resv_count = 2;
	assert_rc(try_map(w, w->ioas, mem, PAGE, 0x1000), 0);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt),
		  -EADDRINUSE);
	/* the range that could be reserved is not any more */
	assert_rc(try_map(w, w->ioas, mem, PAGE, 0x2000), 0);
	free(mem);
}

/* ---- COPY ---- */

static void copy_answers_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	uint32_t dst = do_ioas(w);
	char *mem = pages_alloc(2);
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = w->ioas,
		.user_va = (uintptr_t)mem,
		.length = PAGE,
		.iova = 0x9000,
	};
	uint64_t to = 0x5000;
	uint64_t bad = MAX;

	assert_rc(try_map(w, w->ioas, mem, 2 * PAGE, 0x1000), 0);
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &map), 0);
	for (int bit = 3; bit < 32; bit++)
		assert_rc(copy(w, RW_FIXED | 1U << bit, w->ioas, 0x1000, PAGE,
			       dst, &to),
			  -EOPNOTSUPP);
	assert_rc(copy(w, IOMMU_IOAS_MAP_FIXED_IOVA, w->ioas, 0x1000, PAGE, dst,
		       &to),
		  -EINVAL);
	assert_rc(copy(w, RW_FIXED, w->ioas, 0x1000, MAX, dst, &to),
		  -EOVERFLOW);
	assert_rc(copy(w, RW_FIXED, w->ioas, MAX, PAGE, dst, &to), -EOVERFLOW);
	assert_rc(copy(w, RW_FIXED, w->ioas, 0x1000, PAGE, dst, &bad),
		  -EOVERFLOW);
	assert_rc(copy(w, RW_FIXED, w->ioas, 0x1000, 0, dst, &to), -EINVAL);
	assert_rc(copy(w, RW_FIXED, w->ioas, MAX - 1, PAGE, dst, &to),
		  -EOVERFLOW);
	assert_rc(copy(w, RW_FIXED, 99, 0x1000, PAGE, dst, &to), -ENOENT);
	assert_rc(copy(w, RW_FIXED, w->ioas, 0x1000, PAGE, 99, &to), -ENOENT);
	assert_rc(copy(w, RW_FIXED, w->ioas, 0, PAGE, dst, &to), -ENOENT);
	assert_rc(copy(w, RW_FIXED, w->ioas, 0x1000, 3 * PAGE, dst, &to),
		  -ENOENT);
	/* mapped for reading only */
	assert_rc(copy(w, RW_FIXED, w->ioas, 0x9000, PAGE, dst, &to), -EPERM);
	assert_rc(copy(w, RW_FIXED, w->ioas, 0x1000, PAGE, dst, &to), 0);
	assert_rc(copy(w, RW_FIXED, w->ioas, 0x1000, PAGE, dst, &to), -EEXIST);
	free(mem);
}

static void a_copy_shares_memory_and_outlives_its_source(void **state)
{
	struct world *w = world_of(state);
	uint32_t other = do_ioas(w);
	uint32_t hwpt = do_hwpt(w, w->dev_id[1], other, 0);
	uint32_t pt = hwpt;
	char *mem = pages_alloc(4);
	uint64_t to = 0x700000;
	char byte;

	mem[2 * PAGE + 5] = 'x';
	assert_rc(core_attach(w->ctx, w->dev_id[1], CORE_NO_PASID, &pt), 0);
	assert_rc(try_map(w, w->ioas, mem, 4 * PAGE, 0x1000), 0);
	/* the middle of it */
	assert_rc(copy(w, RW_FIXED, w->ioas, 0x2000, 2 * PAGE, other, &to), 0);
	assert_int_equal(phys_count(w->phys), 1); /* pinned once */
	assert_rc(try_unmap(w, w->ioas, 0, MAX, NULL), 0);
	assert_rc(try_destroy(w, w->viommu), 0);
	assert_rc(try_destroy(w, w->parent), 0);
	assert_rc(try_destroy(w, w->ioas), 0);
	assert_rc(fake_read(w, &w->dev[1], 0x700000 + PAGE + 5, &byte, 1), 0);
	assert_int_equal(byte, 'x');
	assert_rc(try_unmap(w, other, 0, MAX, NULL), 0);
	assert_int_equal(phys_count(w->phys), 0);
	free(mem);
}

static void a_copy_may_span_areas_and_choose_its_iova(void **state)
{
	struct world *w = world_of(state);
	uint32_t other = do_ioas(w);
	char *mem = pages_alloc(3);
	uint64_t to = 0;
	uint64_t n;

	assert_rc(try_map(w, w->ioas, mem, PAGE, 0x1000), 0);
	assert_rc(try_map(w, w->ioas, mem, 2 * PAGE, 0x2000), 0);
	assert_rc(copy(w, IOMMU_IOAS_MAP_READABLE, w->ioas, 0x1000, 3 * PAGE,
		       other, &to),
		  0);
	assert_true(to);
	/* the two areas can go one by one */
	assert_rc(try_unmap(w, other, to, PAGE, &n), 0);
	assert_rc(try_unmap(w, other, to + PAGE, 2 * PAGE, &n), 0);
	free(mem);
}

static void a_copy_within_one_ioas_works(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(1);
	uint64_t to = 0x8000;

	assert_rc(try_map(w, w->ioas, mem, PAGE, 0x1000), 0);
	assert_rc(copy(w, RW_FIXED, w->ioas, 0x1000, PAGE, w->ioas, &to), 0);
	assert_rc(copy(w, RW_FIXED, w->ioas, 0x1000, PAGE, w->ioas, &to),
		  -EEXIST);
	free(mem);
}

/* ---- MAP_FILE, CHANGE_PROCESS ---- */

static int map_file(struct world *w, int fd, uint64_t start, uint64_t length,
		    uint64_t iova, uint32_t flags)
{
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = flags,
		.ioas_id = w->ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return ioctl_on(w, IOMMU_IOAS_MAP_FILE, &arg);
}

static void map_file_answers_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	int fd = memfd_create("t", 0);
	int pipes[2];

	assert_rc(ftruncate(fd, 4 * PAGE), 0);
	assert_rc(pipe(pipes), 0);
	for (int bit = 3; bit < 32; bit++)
		assert_rc(map_file(w, fd, 0, PAGE, 0, RW_FIXED | 1U << bit),
			  -EOPNOTSUPP);
	assert_rc(map_file(w, fd, 0, PAGE, 0, IOMMU_IOAS_MAP_FIXED_IOVA),
		  -EINVAL);
	assert_rc(map_file(w, fd, 0, MAX, 0, RW_FIXED), -EOVERFLOW);
	assert_rc(map_file(w, fd, 0, PAGE, MAX, RW_FIXED), -EOVERFLOW);
	assert_rc(map_file(w, fd, 0, 0, 0, RW_FIXED), -EINVAL);
	assert_rc(map_file(w, fd, MAX, PAGE, 0, RW_FIXED), -EOVERFLOW);
	assert_rc(map_file(w, -1, 0, PAGE, 0, RW_FIXED), -EBADF);
	assert_rc(map_file(w, pipes[0], 0, PAGE, 0, RW_FIXED), -EINVAL);
	assert_rc(map_file(w, fd, 3 * PAGE, 2 * PAGE, 0, RW_FIXED), -EINVAL);
	assert_rc(map_file(w, fd, 100, PAGE, 0, RW_FIXED), -EINVAL);
	assert_rc(map_file(w, fd, 0, 4 * PAGE, 0, RW_FIXED), 0);
	assert_rc(map_file(w, fd, 0, 4 * PAGE, 0, RW_FIXED), -EEXIST);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}

static void a_mapped_file_stays_when_the_client_lets_go(void **state)
{
	struct world *w = world_of(state);
	uint32_t pt = w->parent;
	int fd = memfd_create("t", 0);
	char word[6];

	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	assert_rc(ftruncate(fd, 4 * PAGE), 0);
	assert_int_equal(pwrite(fd, "hello", 6, 3 * PAGE + 8), 6);
	assert_rc(map_file(w, fd, 2 * PAGE, 2 * PAGE, 0x1000, RW_FIXED), 0);
	close(fd);
	assert_rc(fake_read(w, &w->dev[0], 0x2008, word, 6), 0);
	assert_string_equal(word, "hello");
}

static void change_process_takes_files_only(void **state)
{
	struct world *w = world_of(state);
	struct iommu_ioas_change_process arg = { .size = sizeof(arg) };
	int fd = memfd_create("t", 0);
	char *mem = pages_alloc(1);

	assert_rc(ftruncate(fd, PAGE), 0);
	assert_rc(ioctl_on(w, IOMMU_IOAS_CHANGE_PROCESS, &arg), 0);
	assert_rc(map_file(w, fd, 0, PAGE, 0, RW_FIXED), 0);
	assert_rc(ioctl_on(w, IOMMU_IOAS_CHANGE_PROCESS, &arg), 0);
	assert_rc(try_map(w, do_ioas(w), mem, PAGE, 0), 0);
	assert_rc(ioctl_on(w, IOMMU_IOAS_CHANGE_PROCESS, &arg), -EINVAL);
	arg.__reserved = 1;
	assert_rc(ioctl_on(w, IOMMU_IOAS_CHANGE_PROCESS, &arg), -EOPNOTSUPP);
	close(fd);
	free(mem);
}

/* ---- OPTION, VFIO_IOAS ---- */

static void options_answer_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	struct iommu_option arg = { .size = sizeof(arg), .__reserved = 1 };
	uint64_t val = 0;

	assert_rc(ioctl_on(w, IOMMU_OPTION, &arg), -EOPNOTSUPP);
	assert_rc(option(w, 2, 0, 0, &val), -EOPNOTSUPP);
	assert_rc(option(w, 0, 2, 0, &val), -EOPNOTSUPP);
	assert_rc(option(w, 0, 1, 1, &val), -EOPNOTSUPP);
	assert_rc(option(w, 1, 1, 99, &val), -ENOENT);
}

static void rlimit_mode_is_set_before_anything_else(void **state)
{
	struct world *w = world_of(state);
	uint64_t val = 7;

	assert_rc(option(w, 0, IOMMU_OPTION_OP_GET, 0, &val), 0);
	assert_int_equal(val, 0);
	val = 2;
	assert_rc(option(w, 0, IOMMU_OPTION_OP_SET, 0, &val), -EINVAL);
	val = 1;
	assert_rc(option(w, 0, IOMMU_OPTION_OP_SET, 0, &val), 0);
	val = 7;
	assert_rc(option(w, 0, IOMMU_OPTION_OP_GET, 0, &val), 0);
	assert_int_equal(val, 1);
	do_ioas(w);
	assert_rc(option(w, 0, IOMMU_OPTION_OP_SET, 0, &val), -EBUSY);
}

static void without_huge_pages_each_page_is_mapped_alone(void **state)
{
	struct world *w = world_of(state);
	uint32_t pt = w->parent;
	char *mem = pages_alloc(8);
	uint64_t val = 9;

	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	assert_rc(option(w, 1, IOMMU_OPTION_OP_GET, w->ioas, &val), 0);
	assert_int_equal(val, 1);
	assert_rc(try_map(w, w->ioas, mem, 8 * PAGE, 0), 0);
	assert_int_equal(fake_domain_of(&w->dev[0])->map_calls, 1);
	val = 0;
	assert_rc(option(w, 1, IOMMU_OPTION_OP_SET, w->ioas, &val), -EINVAL);
	val = 2;
	assert_rc(option(w, 1, IOMMU_OPTION_OP_SET, w->ioas, &val), -EINVAL);
	assert_rc(option(w, 1, 2, w->ioas, &val), -EOPNOTSUPP);
	assert_rc(try_unmap(w, w->ioas, 0, MAX, NULL), 0);
	val = 0;
	assert_rc(option(w, 1, IOMMU_OPTION_OP_SET, w->ioas, &val), 0);
	assert_rc(option(w, 1, IOMMU_OPTION_OP_GET, w->ioas, &val), 0);
	assert_int_equal(val, 0);
	assert_rc(try_map(w, w->ioas, mem, 8 * PAGE, 0), 0);
	assert_int_equal(fake_domain_of(&w->dev[0])->map_calls, 9);
	/* the fifth page cannot be mapped: the four before go again */
	assert_rc(try_unmap(w, w->ioas, 0, MAX, NULL), 0);
	w->unit.map_rc = -ENOMEM;
	w->unit.map_fail_at = 5;
	assert_rc(try_map(w, w->ioas, mem, 8 * PAGE, 0), -ENOMEM);
	assert_int_equal(fake_mapped(&fake_domain_of(&w->dev[0])->core), 0);
	free(mem);
}

static void without_huge_pages_alignment_is_a_page(void **state)
{
	struct world *w = world_of(state);
	uint32_t ioas = do_ioas(w);
	char *mem = pages_alloc(1);
	uint64_t off = 0;
	uint64_t on = 1;

	assert_rc(try_map(w, ioas, mem, 8, 8), 0);
	assert_rc(option(w, 1, IOMMU_OPTION_OP_SET, ioas, &off), -EADDRINUSE);
	assert_rc(try_unmap(w, ioas, 8, 8, NULL), 0);
	assert_rc(option(w, 1, IOMMU_OPTION_OP_SET, ioas, &off), 0);
	assert_rc(option(w, 1, IOMMU_OPTION_OP_SET, ioas, &off), 0);
	assert_rc(try_map(w, ioas, mem, 8, 8), -EINVAL);
	assert_rc(option(w, 1, IOMMU_OPTION_OP_SET, ioas, &on), 0);
	assert_rc(try_map(w, ioas, mem, 8, 8), 0);
	free(mem);
}

static void the_vfio_ioas_is_set_got_and_cleared(void **state)
{
	struct world *w = world_of(state);
	struct iommu_vfio_ioas arg = { .size = sizeof(arg) };
	uint32_t ioas = do_ioas(w);

	assert_rc(ioctl_on(w, IOMMU_VFIO_IOAS, &arg), -ENODEV);
	arg.op = IOMMU_VFIO_IOAS_SET;
	arg.ioas_id = 99;
	assert_rc(ioctl_on(w, IOMMU_VFIO_IOAS, &arg), -ENOENT);
	arg.ioas_id = ioas;
	assert_rc(ioctl_on(w, IOMMU_VFIO_IOAS, &arg), 0);
	arg.op = IOMMU_VFIO_IOAS_GET;
	arg.ioas_id = 0;
	assert_rc(ioctl_on(w, IOMMU_VFIO_IOAS, &arg), 0);
	assert_int_equal(arg.ioas_id, ioas);
	arg.op = IOMMU_VFIO_IOAS_CLEAR;
	assert_rc(ioctl_on(w, IOMMU_VFIO_IOAS, &arg), 0);
	arg.op = IOMMU_VFIO_IOAS_GET;
	assert_rc(ioctl_on(w, IOMMU_VFIO_IOAS, &arg), -ENODEV);
	/* destroying it clears it, too */
	arg.op = IOMMU_VFIO_IOAS_SET;
	assert_rc(ioctl_on(w, IOMMU_VFIO_IOAS, &arg), 0);
	assert_rc(try_destroy(w, ioas), 0);
	arg.op = IOMMU_VFIO_IOAS_GET;
	assert_rc(ioctl_on(w, IOMMU_VFIO_IOAS, &arg), -ENODEV);
	arg.op = 3;
	assert_rc(ioctl_on(w, IOMMU_VFIO_IOAS, &arg), -EOPNOTSUPP);
	arg.op = 0;
	arg.__reserved = 1;
	assert_rc(ioctl_on(w, IOMMU_VFIO_IOAS, &arg), -EOPNOTSUPP);
}

/* ---- domains coming and going ---- */

static void a_new_domain_gets_everything_that_is_mapped(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(2);
	uint32_t hwpt;

	for (uint64_t i = 0; i < 50; i++)
		assert_rc(try_map(w, w->ioas, mem, PAGE, i * 2 * PAGE), 0);
	hwpt = do_hwpt(w, w->dev_id[1], w->ioas, 0);
	assert_rc(core_attach(w->ctx, w->dev_id[1], CORE_NO_PASID, &hwpt), 0);
	assert_int_equal(fake_mapped(&fake_domain_of(&w->dev[1])->core),
			 50 * PAGE);
	free(mem);
}

static void a_domain_that_cannot_take_the_areas_is_refused(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(2);
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.dev_id = w->dev_id[0],
		.pt_id = do_ioas(w),
	};
	size_t before = core_objects(w->ctx);

	/* outside the aperture */
	assert_rc(try_map(w, arg.pt_id, mem, PAGE, 1ULL << 44), 0);
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), -EADDRINUSE);
	assert_rc(try_unmap(w, arg.pt_id, 0, MAX, NULL), 0);
	/* not aligned to its pages: IOVA, length, memory */
	assert_rc(try_map(w, arg.pt_id, mem, PAGE, 0x800), 0);
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), -EADDRINUSE);
	assert_rc(try_unmap(w, arg.pt_id, 0, MAX, NULL), 0);
	assert_rc(try_map(w, arg.pt_id, mem, PAGE - 1, 0x1000), 0);
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), -EADDRINUSE);
	assert_rc(try_unmap(w, arg.pt_id, 0, MAX, NULL), 0);
	assert_rc(try_map(w, arg.pt_id, mem + 8, PAGE, 0x1000), 0);
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), -EADDRINUSE);
	assert_rc(try_unmap(w, arg.pt_id, 0, MAX, NULL), 0);
	/* the third area cannot be mapped */
	for (uint64_t i = 0; i < 5; i++)
		assert_rc(try_map(w, arg.pt_id, mem, PAGE, i * 2 * PAGE), 0);
	w->unit.map_rc = -ENOSPC;
	w->unit.map_fail_at = 3;
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), -ENOSPC);
	assert_int_equal(core_objects(w->ctx), before);
	assert_int_equal(phys_count(w->phys), 0);
	assert_int_equal(w->unit.domains, 1);
	/* pages larger than the host's */
	w->unit.geometry.page_sizes = 0x10000;
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), -EINVAL);
	w->unit.geometry.page_sizes = 0x1000;
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), 0);
	free(mem);
}

static void an_aperture_may_begin_above_0(void **state)
{
	struct world *w = world_of(state);
	struct iommu_iova_range r[2];
	uint32_t ioas = do_ioas(w);
	uint32_t num = 2;

	w->unit.geometry.first = 0x100000;
	do_hwpt(w, w->dev_id[0], ioas, 0);
	assert_rc(ranges(w, ioas, r, &num, NULL), 0);
	assert_int_equal(num, 1);
	assert_int_equal(r[0].start, 0x100000);
	assert_rc(try_map(w, ioas, r, PAGE, 0), -EINVAL);
}

/* Leaves can be as large as IOVA and length allow. */
static void physical_addresses_are_congruent_to_iovas(void **state)
{
	struct world *w = world_of(state);
	uint64_t length = 2 << 20;
	char *mem = mmap(NULL, length, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint32_t pt = w->parent;
	struct fake_domain *domain;
	struct itree_node *node;
	uint64_t pa;

	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	domain = fake_domain_of(&w->dev[0]);
	assert_rc(try_map(w, w->ioas, mem, length, 0x40203000), 0);
	node = itree_first(&domain->maps, 0, MAX);
	memcpy(&pa, node + 1, sizeof(pa)); /* struct fake_map */
	assert_int_equal(pa % length, 0x3000);
	munmap(mem, length);
}

static void ten_to_the_five_areas_come_and_go(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(1);
	uint64_t n;

	for (uint64_t i = 0; i < 100000; i++)
		assert_rc(try_map(w, w->ioas, mem, PAGE, i * 2 * PAGE), 0);
	for (uint64_t i = 0; i < 100000; i += 2)
		assert_rc(try_unmap(w, w->ioas, i * 2 * PAGE, PAGE, NULL), 0);
	assert_rc(try_unmap(w, w->ioas, 0, MAX, &n), 0);
	assert_int_equal(n, 50000 * PAGE);
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_NESTED(map_answers_linuxs_errnos),
		CASE(without_a_domain_any_alignment_will_do),
		CASE_NESTED(with_a_domain_pages_must_be_aligned),
		CASE_NESTED(what_is_mapped_is_what_dma_finds),
		CASE_NESTED(absent_memory_is_a_fault_once_there_is_a_domain),
		CASE_NESTED(
			memory_that_is_read_only_cannot_be_mapped_for_writing),
		CASE_NESTED(a_driver_that_cannot_map_leaves_nothing_behind),
		CASE_NESTED(unmap_answers_linuxs_errnos),
		CASE_NESTED(unmap_tells_how_much_it_was),
		CASE_NESTED(unmap_all_of_nothing_is_fine),
		CASE_NESTED(unmap_stops_at_an_area_it_covers_in_part),
		CASE_NESTED(adjacent_areas_are_unmapped_with_one_call),
		CASE(a_chosen_iova_is_the_lowest_that_suits),
		CASE(a_gap_is_found_again),
		CASE(chosen_iovas_keep_to_the_allowed_ones),
		CASE_NESTED(impossible_lengths_cannot_be_placed),
		CASE_NESTED(chosen_iovas_avoid_what_is_reserved),
		CASE_NESTED(iova_ranges_answers_linuxs_errnos),
		CASE_NESTED(ranges_show_aperture_and_msi_window),
		CASE_NESTED(ranges_go_back_when_the_last_domain_goes),
		CASE_NESTED(allow_iovas_answers_linuxs_errnos),
		CASE_NESTED(allowed_iovas_keep_devices_out),
		CASE_NESTED(mapped_iovas_keep_devices_out),
		CASE_NESTED(copy_answers_linuxs_errnos),
		CASE_NESTED(a_copy_shares_memory_and_outlives_its_source),
		CASE_NESTED(a_copy_may_span_areas_and_choose_its_iova),
		CASE_NESTED(a_copy_within_one_ioas_works),
		CASE_NESTED(map_file_answers_linuxs_errnos),
		CASE_NESTED(a_mapped_file_stays_when_the_client_lets_go),
		CASE_NESTED(change_process_takes_files_only),
		CASE_NESTED(options_answer_linuxs_errnos),
		CASE(rlimit_mode_is_set_before_anything_else),
		CASE_NESTED(without_huge_pages_each_page_is_mapped_alone),
		CASE(without_huge_pages_alignment_is_a_page),
		CASE(the_vfio_ioas_is_set_got_and_cleared),
		CASE_NESTED(a_new_domain_gets_everything_that_is_mapped),
		CASE_NESTED(a_domain_that_cannot_take_the_areas_is_refused),
		CASE_NESTED(an_aperture_may_begin_above_0),
		CASE_NESTED(physical_addresses_are_congruent_to_iovas),
		CASE_NESTED(ten_to_the_five_areas_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
