// SPDX-License-Identifier: MIT
/* Hardware page tables and their invalidation. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fake.h"

static const uint64_t guest_table[2] = { 1, 2 };

/* A nested HWPT on @pt_id that works; tests spoil one member */
static struct iommu_hwpt_alloc nested_arg(struct world *w, uint32_t pt_id)
{
	return (struct iommu_hwpt_alloc){
		.size = sizeof(struct iommu_hwpt_alloc),
		.dev_id = w->dev_id[0],
		.pt_id = pt_id,
		.data_type = FAKE_DATA_TYPE,
		.data_len = sizeof(guest_table),
		.data_uptr = (uintptr_t)guest_table,
	};
}

static struct iommu_hwpt_alloc paging_arg(struct world *w)
{
	return (struct iommu_hwpt_alloc){
		.size = sizeof(struct iommu_hwpt_alloc),
		.dev_id = w->dev_id[0],
		.pt_id = w->ioas,
	};
}

static int alloc(struct world *w, struct iommu_hwpt_alloc arg)
{
	return ioctl_on(w, IOMMU_HWPT_ALLOC, &arg);
}

/* Each call must leave as many objects as there were */
#define assert_refused(w, arg, rc)                                \
	do {                                                      \
		size_t before = core_objects((w)->ctx);           \
                                                                  \
		assert_rc(alloc(w, arg), rc);                     \
		assert_int_equal(core_objects((w)->ctx), before); \
	} while (0)

static void paging_hwpts_answer_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	struct iommu_hwpt_alloc arg;

	for (int bit = 0; bit < 32; bit++) {
		arg = paging_arg(w);
		arg.__reserved = 1U << bit;
		assert_refused(w, arg, -EOPNOTSUPP);
	}
	for (int bit = 4; bit < 32; bit++) { /* B6 */
		arg = paging_arg(w);
		arg.flags = 1U << bit;
		assert_refused(w, arg, -EOPNOTSUPP);
	}
	arg = paging_arg(w);
	arg.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING; /* B3 */
	assert_refused(w, arg, -EOPNOTSUPP);
	arg = paging_arg(w);
	arg.flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_FAULT_ID_VALID;
	assert_refused(w, arg, -EOPNOTSUPP);
	arg = paging_arg(w);
	arg.data_len = 8; /* NONE has no data */
	assert_refused(w, arg, -EINVAL);
	arg = paging_arg(w);
	arg.data_type = FAKE_DATA_TYPE;
	assert_refused(w, arg, -EINVAL);
	arg.data_len = 16; /* B9 */
	assert_refused(w, arg, -EOPNOTSUPP);
	arg = paging_arg(w);
	arg.dev_id = 99;
	assert_refused(w, arg, -ENOENT);
	arg.dev_id = w->ioas;
	assert_refused(w, arg, -ENOENT);
	arg = paging_arg(w);
	arg.pt_id = 99; /* B7: EINVAL, not ENOENT */
	assert_refused(w, arg, -EINVAL);
	arg.pt_id = w->dev_id[1];
	assert_refused(w, arg, -EINVAL);
	arg = paging_arg(w);
	arg.flags = IOMMU_HWPT_FAULT_ID_VALID;
	arg.fault_id = 99;
	assert_refused(w, arg, -ENOENT);
	assert_int_equal(w->unit.domains, 1);
}

static void dirty_tracking_is_passed_to_a_driver_that_has_it(void **state)
{
	struct world *w = world_of(state);
	struct iommu_hwpt_alloc arg = paging_arg(w);

	w->unit.caps = IOMMU_HW_CAP_DIRTY_TRACKING;
	arg.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	assert_rc(alloc(w, arg), 0);
}

static void the_driver_sees_the_flags_but_not_the_fault_queue(void **state)
{
	struct world *w = world_of(state);
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_hwpt_alloc arg = paging_arg(w);

	assert_rc(ioctl_on(w, IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
	arg.flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
	arg.fault_id = fault.out_fault_id;
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), 0);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID,
			      &arg.out_hwpt_id),
		  0);
	assert_int_equal(fake_domain_of(&w->dev[0])->flags,
			 IOMMU_HWPT_ALLOC_PASID);
	/* the queue is in use, open or not */
	assert_rc(try_destroy(w, fault.out_fault_id), -EBUSY);
	assert_rc(core_fd_close(w->ctx, (int)fault.out_fault_fd), 0);
	assert_rc(try_destroy(w, fault.out_fault_id), -EBUSY);
	assert_rc(core_detach(w->ctx, w->dev_id[0], CORE_NO_PASID), 0);
	assert_rc(try_destroy(w, arg.out_hwpt_id), 0);
	assert_rc(try_destroy(w, fault.out_fault_id), 0);
}

static void nested_hwpts_answer_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	uint32_t plain = do_hwpt(w, w->dev_id[0], w->ioas, 0);
	uint32_t on[2] = { w->viommu, w->parent };
	static const uint64_t bad_table[2] = { 0xbad, 0 };
	struct iommu_hwpt_alloc arg;

	for (int i = 0; i < 2; i++) {
		for (int bit = 0; bit < 32; bit++) {
			if (bit == 2 || bit == 3)
				continue;
			arg = nested_arg(w, on[i]);
			arg.flags = 1U << bit;
			assert_refused(w, arg, -EOPNOTSUPP);
		}
		arg = nested_arg(w, on[i]);
		arg.data_type = IOMMU_HWPT_DATA_NONE;
		arg.data_len = 0; /* C30 */
		assert_refused(w, arg, -EOPNOTSUPP);
		arg = nested_arg(w, on[i]);
		arg.data_len = 0; /* C26 */
		assert_refused(w, arg, -EINVAL);
		arg.data_len = 8; /* C25 */
		assert_refused(w, arg, -EINVAL);
		arg.data_len = 24; /* C27 */
		assert_refused(w, arg, -EINVAL);
		arg = nested_arg(w, on[i]);
		arg.data_type = 1; /* C29 */
		assert_refused(w, arg, -EINVAL);
		arg = nested_arg(w, on[i]);
		arg.data_uptr = 16; /* C31 */
		assert_refused(w, arg, -EFAULT);
		arg.data_uptr = 0;
		assert_refused(w, arg, -EINVAL);
		arg = nested_arg(w, on[i]);
		arg.dev_id = 99; /* C38 */
		assert_refused(w, arg, -ENOENT);
		arg = nested_arg(w, on[i]);
		arg.data_uptr = (uintptr_t)bad_table; /* C6 ... */
		assert_refused(w, arg, -EIO);
		arg = nested_arg(w, on[i]);
		arg.flags = IOMMU_HWPT_FAULT_ID_VALID;
		arg.fault_id = 77;
		assert_refused(w, arg, -ENOENT);
	}
	arg = nested_arg(w, w->viommu);
	arg.flags = IOMMU_HWPT_ALLOC_PASID; /* C33: the driver says no */
	assert_refused(w, arg, -EOPNOTSUPP);
	assert_refused(w, nested_arg(w, plain), -EINVAL);
	assert_rc(alloc(w, nested_arg(w, w->viommu)), 0);
	assert_rc(alloc(w, nested_arg(w, w->parent)), 0);
}

static void nesting_wants_the_device_behind_the_same_unit(void **state)
{
	struct world *w = world_of(state);
	struct fake_unit other = { 0 };
	struct core_device dev;
	struct iommu_hwpt_alloc arg;
	uint32_t id;

	fake_unit_init(&other);
	fake_device_init(&dev, &other, 9);
	id = do_bind(w, &dev);
	arg = nested_arg(w, w->viommu);
	arg.dev_id = id;
	assert_refused(w, arg, -EINVAL);
	/* its operations lie elsewhere: another driver */
	arg = nested_arg(w, w->parent);
	arg.dev_id = id;
	assert_refused(w, arg, -EINVAL);
	assert_rc(try_vdevice(w, w->viommu, id, 1, NULL), -EINVAL);
	assert_rc(core_unbind(w->ctx, id), 0);
	assert_int_equal(other.devices, 0);
}

/* B8 */
static void a_driver_may_nest_on_viommus_only(void **state)
{
	struct world *w = world_of(state);

	w->unit.ops.nested_alloc = NULL;
	assert_refused(w, nested_arg(w, w->parent), -EOPNOTSUPP);
	assert_rc(alloc(w, nested_arg(w, w->viommu)), 0);
}

static void who_cannot_invalidate_may_not_nest(void **state)
{
	struct world *w = world_of(state);
	struct core_iommu_ops ops = w->unit.ops;
	struct core_domain_ops nested = *ops.nested_ops;
	struct core_viommu_ops viommu = *ops.viommu_ops;
	struct core_iommu iommu = { .ops = &ops };

	assert_rc(core_iommu_check(&iommu), 0);
	ops.nested_ops = NULL;
	assert_rc(core_iommu_check(&iommu), -EINVAL);
	ops.nested_ops = &nested;
	nested.invalidate = NULL;
	assert_rc(core_iommu_check(&iommu), -EINVAL);
	ops.nested_alloc = NULL;
	assert_rc(core_iommu_check(&iommu), 0);
	ops.viommu_ops = &viommu;
	viommu.invalidate = NULL;
	assert_rc(core_iommu_check(&iommu), -EINVAL);
	viommu.nested_alloc = NULL;
	assert_rc(core_iommu_check(&iommu), 0);
}

static void a_driver_without_what_it_needs_cannot_be_bound_to(void **state)
{
	struct world *w = world_of(state);
	uint32_t id;

	w->unit.ops.domain_alloc = NULL;
	assert_rc(core_bind(w->ctx, &w->dev[2], &id), -EINVAL);
	assert_null(w->dev[2].core);
}

/* ---- INVALIDATE ---- */

static struct iommu_hwpt_invalidate inval_arg(struct world *w,
					      const void *entries, uint32_t num)
{
	return (struct iommu_hwpt_invalidate){
		.size = sizeof(struct iommu_hwpt_invalidate),
		.hwpt_id = w->viommu,
		.data_uptr = (uintptr_t)entries,
		.data_type = FAKE_INVAL_TYPE,
		.entry_len = FAKE_ENTRY_LEN,
		.entry_num = num,
	};
}

#define assert_inval(w, arg, rc, done)                                 \
	do {                                                           \
		struct iommu_hwpt_invalidate a = arg;                  \
                                                                       \
		assert_rc(ioctl_on(w, IOMMU_HWPT_INVALIDATE, &a), rc); \
		assert_int_equal(a.entry_num, done);                   \
	} while (0)

static void arrays_are_bounded_before_anything_is_looked_up(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[64] = { 0 };
	struct iommu_hwpt_invalidate arg;

	for (int bit = 0; bit < 32; bit++) { /* H23, reserved comes first */
		arg = inval_arg(w, NULL, 4);
		arg.__reserved = 1U << bit;
		arg.hwpt_id = 99;
		assert_inval(w, arg, -EOPNOTSUPP, 0);
	}
	arg = inval_arg(w, NULL, 4); /* H13 */
	assert_inval(w, arg, -EINVAL, 0);
	arg = inval_arg(w, entries, 4);
	arg.hwpt_id = 99;
	arg.entry_len = 0; /* H15 */
	assert_inval(w, arg, -EINVAL, 0);
	arg.entry_len = 4097; /* H21 */
	assert_inval(w, arg, -EINVAL, 0);
	arg.entry_len = 4096;
	assert_inval(w, arg, -ENOENT, 0);
	arg.entry_num = (1 << 19) + 1; /* J21 */
	assert_inval(w, arg, -EINVAL, 0);
	arg.entry_num = 1 << 19;
	assert_inval(w, arg, -ENOENT, 0); /* H12 */
}

static void what_caches_nothing_cannot_be_invalidated(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[16] = { 0 };
	struct iommu_hwpt_invalidate arg = inval_arg(w, entries, 1);

	arg.hwpt_id = w->parent; /* H10 */
	assert_inval(w, arg, -EINVAL, 0);
	arg.hwpt_id = w->ioas; /* H11 */
	assert_inval(w, arg, -EINVAL, 0);
	arg.hwpt_id = w->dev_id[0];
	assert_inval(w, arg, -EINVAL, 0);
	arg.hwpt_id = do_nested(w, w->dev_id[0], w->viommu); /* H9 */
	assert_inval(w, arg, -EOPNOTSUPP, 0);
	arg.entry_num = 0; /* H5 */
	assert_inval(w, arg, -EOPNOTSUPP, 0);
}

static void an_empty_array_asks_for_the_data_type(void **state)
{
	struct world *w = world_of(state);
	struct iommu_hwpt_invalidate arg = inval_arg(w, NULL, 0);
	uint32_t direct = do_nested(w, w->dev_id[0], w->parent);

	for (int i = 0; i < 2; i++) {
		arg.hwpt_id = i ? direct : w->viommu;
		arg.data_type = FAKE_INVAL_TYPE;
		arg.entry_len = 0;
		assert_inval(w, arg, 0, 0);
		arg.entry_len = UINT32_MAX; /* not looked at */
		assert_inval(w, arg, 0, 0);
		arg.data_type = 0;
		assert_inval(w, arg, -EINVAL, 0);
		arg.data_type = 99;
		assert_inval(w, arg, -EINVAL, 0);
	}
	arg.hwpt_id = 99; /* H6 */
	assert_inval(w, arg, -ENOENT, 0);
	assert_int_equal(w->unit.inval_calls, 0);
}

static void the_driver_gets_the_array_as_it_is(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[3][16];

	memset(entries, 0, sizeof(entries));
	memset(entries[2], 0x5a, 16);
	assert_inval(w, inval_arg(w, entries, 3), 0, 3);
	assert_int_equal(w->unit.inval.count, 3);
	assert_int_equal(w->unit.inval.stride, 16);
	assert_memory_equal(w->unit.inval_entry, entries[2], 16);
}

static void short_entries_are_filled_with_zeros(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[64];
	unsigned char want[16] = { 0 };
	struct iommu_hwpt_invalidate arg = inval_arg(w, entries, 2);

	memset(entries, 0xee, sizeof(entries));
	memset(want, 0xee, 8);
	arg.entry_len = 8; /* H17 */
	assert_inval(w, arg, 0, 2);
	assert_memory_equal(w->unit.inval_entry, want, 16);
}

static void long_entries_must_end_in_zeros(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[3][24];
	struct iommu_hwpt_invalidate arg = inval_arg(w, entries, 3);

	arg.entry_len = 24;
	memset(entries, 0, sizeof(entries));
	assert_inval(w, arg, 0, 3); /* H18 */
	for (int at = 16; at < 24; at++) {
		entries[1][at] = 1;
		assert_inval(w, arg, -E2BIG, 1);
		entries[1][at] = 0;
	}
}

static void entry_num_tells_how_many_took_effect(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[8][16] = { { 0 } };

	for (uint32_t at = 0; at < 8; at++) {
		w->unit.inval_rc = -EIO;
		w->unit.inval_done = at;
		assert_inval(w, inval_arg(w, entries, 8), -EIO, at);
	}
	w->unit.inval_rc = -ETIMEDOUT;
	w->unit.inval_done = 3;
	assert_inval(w, inval_arg(w, entries, 8), -ETIMEDOUT, 3);
}

static void a_directly_nested_hwpt_is_invalidated_itself(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[16] = { 0 };
	struct iommu_hwpt_invalidate arg = inval_arg(w, entries, 1);

	arg.hwpt_id = do_nested(w, w->dev_id[0], w->parent);
	assert_inval(w, arg, 0, 1);
	assert_int_equal(w->unit.inval_calls, 1);
}

/* H27: the work is done, the answer cannot be written */
static void a_reply_into_read_only_memory_is_a_fault(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[16] = { 0 };
	struct iommu_hwpt_invalidate *arg =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*arg = inval_arg(w, entries, 1);
	mprotect(arg, 4096, PROT_READ);
	assert_rc(ioctl_on(w, IOMMU_HWPT_INVALIDATE, arg), -EFAULT);
	assert_int_equal(w->unit.inval_calls, 1);
	assert_int_equal(arg->entry_num, 1);
	/* EFAULT hides whatever else went wrong */
	w->unit.inval_rc = -EIO;
	assert_rc(ioctl_on(w, IOMMU_HWPT_INVALIDATE, arg), -EFAULT);
	munmap(arg, 4096);
}

static void an_array_that_ends_in_a_hole_is_copied_up_to_it(void **state)
{
	struct world *w = world_of(state);
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct core_inval inv = { .stride = 16, .count = 20 };
	unsigned char buf[20 * 16];
	uint32_t copied = 77;

	munmap(map + 4096, 4096);
	assert_inval(w, inval_arg(w, map + 4096 - 5 * 16, 20), -EFAULT, 5);
	inv.uptr = (uintptr_t)map + 4096 - 5 * 16;
	assert_rc(core_inval_copy(&inv, 0, 20, buf, 16, &copied), -EFAULT);
	assert_int_equal(copied, 5);
	assert_rc(core_inval_copy(&inv, 0, 5, buf, 16, &copied), 0);
	assert_int_equal(copied, 5);
	munmap(map, 4096);
}

static void a_look_ahead_finds_holes_and_tails(void **state)
{
	char *map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct core_inval inv = { .stride = 16, .count = 512 };

	(void)world_of(state);
	inv.uptr = (uintptr_t)map;
	assert_rc(core_inval_check(&inv, 16), 0);
	inv.count = 513;
	munmap(map + 8192, 4096);
	assert_rc(core_inval_check(&inv, 16), -EFAULT);
	inv.count = 512; /* ends with the last byte that there is */
	assert_rc(core_inval_check(&inv, 16), 0);
	inv.stride = 24;
	inv.count = 300;
	assert_rc(core_inval_check(&inv, 16), 0);
	map[24 * 299 + 16] = 1;
	assert_rc(core_inval_check(&inv, 16), -E2BIG);
	assert_rc(core_inval_check(&inv, 24), 0);
	munmap(map, 8192);
}

/* ---- dirty tracking, hardware queues: not there, but judged as on Linux ----
 */

static void dirty_calls_are_refused_as_without_hardware(void **state)
{
	struct world *w = world_of(state);
	struct iommu_hwpt_set_dirty_tracking set = { .size = sizeof(set),
						     .hwpt_id = w->parent };
	struct iommu_hwpt_get_dirty_bitmap get = { .size = sizeof(get),
						   .hwpt_id = w->parent,
						   .length = 4096,
						   .page_size = 4096 };

	assert_rc(ioctl_on(w, IOMMU_HWPT_SET_DIRTY_TRACKING, &set),
		  -EOPNOTSUPP);
	set.flags = 2;
	assert_rc(ioctl_on(w, IOMMU_HWPT_SET_DIRTY_TRACKING, &set),
		  -EOPNOTSUPP);
	set.flags = 1;
	set.hwpt_id = w->viommu;
	assert_rc(ioctl_on(w, IOMMU_HWPT_SET_DIRTY_TRACKING, &set), -ENOENT);

	assert_rc(ioctl_on(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), -EOPNOTSUPP);
	get.iova = 1;
	assert_rc(ioctl_on(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), -EINVAL);
	get.iova = UINT64_MAX;
	assert_rc(ioctl_on(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), -EOVERFLOW);
	get.iova = 4096;
	get.length = 0;
	assert_rc(ioctl_on(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), -EOVERFLOW);
	get.length = 4096;
	get.page_size = 0;
	assert_rc(ioctl_on(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), -EINVAL);
	get.page_size = 8192;
	assert_rc(ioctl_on(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), -EINVAL);
	get.flags = 2;
	assert_rc(ioctl_on(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), -EOPNOTSUPP);
	get.flags = 1;
	get.hwpt_id = w->ioas;
	assert_rc(ioctl_on(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), -ENOENT);
}

static void hardware_queues_are_refused_as_without_hardware(void **state)
{
	struct world *w = world_of(state);
	struct iommu_hw_queue_alloc arg = { .size = sizeof(arg),
					    .viommu_id = w->viommu,
					    .type = 1,
					    .length = 64 };

	assert_rc(ioctl_on(w, IOMMU_HW_QUEUE_ALLOC, &arg), -EOPNOTSUPP);
	arg.viommu_id = w->parent;
	assert_rc(ioctl_on(w, IOMMU_HW_QUEUE_ALLOC, &arg), -ENOENT);
	arg.length = 0;
	assert_rc(ioctl_on(w, IOMMU_HW_QUEUE_ALLOC, &arg), -EINVAL);
	arg.length = 2;
	arg.nesting_parent_iova = UINT64_MAX;
	assert_rc(ioctl_on(w, IOMMU_HW_QUEUE_ALLOC, &arg), -EOVERFLOW);
	arg.flags = 1;
	assert_rc(ioctl_on(w, IOMMU_HW_QUEUE_ALLOC, &arg), -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_NESTED(paging_hwpts_answer_linuxs_errnos),
		CASE_NESTED(dirty_tracking_is_passed_to_a_driver_that_has_it),
		CASE_NESTED(the_driver_sees_the_flags_but_not_the_fault_queue),
		CASE_NESTED(nested_hwpts_answer_linuxs_errnos),
		CASE_NESTED(nesting_wants_the_device_behind_the_same_unit),
		CASE_NESTED(a_driver_may_nest_on_viommus_only),
		CASE_NESTED(who_cannot_invalidate_may_not_nest),
		CASE_NESTED(a_driver_without_what_it_needs_cannot_be_bound_to),
		CASE_NESTED(arrays_are_bounded_before_anything_is_looked_up),
		CASE_NESTED(what_caches_nothing_cannot_be_invalidated),
		CASE_NESTED(an_empty_array_asks_for_the_data_type),
		CASE_NESTED(the_driver_gets_the_array_as_it_is),
		CASE_NESTED(short_entries_are_filled_with_zeros),
		CASE_NESTED(long_entries_must_end_in_zeros),
		CASE_NESTED(entry_num_tells_how_many_took_effect),
		CASE_NESTED(a_directly_nested_hwpt_is_invalidated_itself),
		CASE_NESTED(a_reply_into_read_only_memory_is_a_fault),
		CASE_NESTED(an_array_that_ends_in_a_hole_is_copied_up_to_it),
		CASE_NESTED(a_look_ahead_finds_holes_and_tails),
		CASE_NESTED(dirty_calls_are_refused_as_without_hardware),
		CASE_NESTED(hardware_queues_are_refused_as_without_hardware),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
