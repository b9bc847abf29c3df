// SPDX-License-Identifier: MIT
/* What Linux has not got: how it is switched on, and codes of arrays. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "queue.h"

static int enable(struct world *w, struct nestfd_ext_enable *arg)
{
	return ioctl_on(w, 0x3bf0, arg);
}

static void enable_tells_all_features_that_there_are(void **state)
{
	struct world *w = world_of(state);
	struct nestfd_ext_enable arg = { .size = 16 };

	for (uint64_t features = 0; features <= 7; features++) {
		arg.features = features;
		assert_rc(enable(w, &arg), 0);
		assert_int_equal(arg.features, 7);
	}
}

/* one at a time: nothing of what was asked for with it is on then */
static void unknown_features_and_flags_switch_nothing_on(void **state)
{
	struct world *w = world_of(state);
	struct nestfd_ext_enable arg;
	struct queue q;

	queue_init(&q, w->viommu, NULL, 4, 16);
	for (int bit = 0; bit < 64; bit++) {
		arg = (struct nestfd_ext_enable){ .size = 16 };
		arg.features = 1ULL << bit | 2;
		if (bit < 3)
			arg.flags = 1;
		assert_rc(enable(w, &arg), -EOPNOTSUPP);
		assert_int_equal(arg.features, 7);
		assert_rc(queue_consume(w, &q, 0), -ENOTTY);
	}
	for (int bit = 0; bit < 32; bit++) {
		arg = (struct nestfd_ext_enable){ 16, 1U << bit, 2 };
		assert_rc(enable(w, &arg), -EOPNOTSUPP);
		assert_int_equal(arg.features, 7);
		assert_rc(queue_consume(w, &q, 0), -ENOTTY);
	}
	assert_rc(ext_enable(w, 2), 0);
	assert_rc(queue_consume(w, &q, 0), 0);
}

static void enable_follows_the_rules_for_structs(void **state)
{
	struct world *w = world_of(state);
	uint32_t words[16] = { 0 };

	for (uint32_t size = 0; size < 16; size++) {
		words[0] = size;
		assert_rc(ioctl_on(w, 0x3bf0, words), -EINVAL);
	}
	words[0] = 64;
	assert_rc(ioctl_on(w, 0x3bf0, words), 0);
	words[15] = 1;
	assert_rc(ioctl_on(w, 0x3bf0, words), -E2BIG);
	assert_rc(ioctl_on(w, 0x3bf0, NULL), -EFAULT);
}

/* What cannot be told is not done. */
static void enable_answers_efault_for_a_struct_it_cannot_write(void **state)
{
	struct world *w = world_of(state);
	struct nestfd_ext_enable *arg =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct queue q;

	*arg = (struct nestfd_ext_enable){ 16, 0, 2 };
	mprotect(arg, 4096, PROT_READ);
	assert_rc(enable(w, arg), -EFAULT);
	munmap(arg, 4096);
	queue_init(&q, w->viommu, NULL, 4, 16);
	assert_rc(queue_consume(w, &q, 0), -ENOTTY);
}

static void rings_are_no_ioctl_before_they_are_switched_on(void **state)
{
	struct world *w = world_of(state);
	struct core_ctx *other;
	struct core_ctx *first = w->ctx;
	struct queue q;

	queue_init(&q, w->viommu, NULL, 4, 16);
	assert_rc(queue_consume(w, &q, 0), -ENOTTY);
	assert_rc(ioctl_on(w, 0x3bf1, NULL), -ENOTTY); /* not looked at */
	assert_rc(ext_enable(w, 1), 0);		       /* the other one */
	assert_rc(queue_consume(w, &q, 0), -ENOTTY);
	assert_rc(ext_enable(w, 2), 0);
	assert_rc(queue_consume(w, &q, 0), 0);
	assert_rc(ext_enable(w, 0), 0); /* nothing is switched off */
	assert_rc(queue_consume(w, &q, 0), 0);

	/* another context is not concerned */
	assert_rc(core_open(&w->env, &other), 0);
	w->ctx = other;
	assert_rc(queue_consume(w, &q, 0), -ENOTTY);
	w->ctx = first;
	core_close(other);
}

static void numbers_behind_are_no_ioctls_whatever_is_on(void **state)
{
	struct world *w = world_of(state);
	uint32_t arg[64] = { 256 };

	assert_rc(ext_enable(w, RING_ERRORS), 0);
	for (unsigned int nr = 0xf2; nr < 256; nr++)
		assert_rc(ioctl_on(w, 0x3b00 | nr, arg), -ENOTTY);
	for (int bit = 8; bit < 32; bit++) {
		assert_rc(ioctl_on(w, 0x3bf0 ^ (1UL << bit), arg), -ENOTTY);
		assert_rc(ioctl_on(w, 0x3bf1 ^ (1UL << bit), arg), -ENOTTY);
	}
}

/* ---- arrays ---- */

static struct nestfd_hwpt_invalidate array(struct world *w, const void *entries,
					   uint32_t num)
{
	return (struct nestfd_hwpt_invalidate){
		.size = 40,
		.hwpt_id = w->viommu,
		.data_uptr = (uintptr_t)entries,
		.data_type = FAKE_INVAL_TYPE,
		.entry_len = 16,
		.entry_num = num,
	};
}

static int invalidate(struct world *w, struct nestfd_hwpt_invalidate *arg)
{
	return ioctl_on(w, 0x3b8d, arg);
}

static void fail_at(struct world *w, uint32_t entry)
{
	w->unit.inval_rc = -EIO;
	w->unit.inval_done = entry;
	w->unit.inval_code = 1;
	w->unit.inval_info = 0x77;
}

/* As on Linux: it does not know the members, so they must be 0 and stay. */
static void
before_it_is_switched_on_the_additions_are_an_unknown_tail(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[8 * 16] = { 0 };
	struct nestfd_hwpt_invalidate arg = array(w, entries, 8);

	fail_at(w, 5);
	for (int ring = 0; ring < 2; ring++) {
		arg = array(w, entries, 8);
		assert_rc(invalidate(w, &arg), -EIO);
		assert_int_equal(arg.entry_num, 5);
		assert_int_equal(arg.out_error, 0);
		assert_int_equal(arg.out_error_info, 0);

		arg = array(w, entries, 8);
		arg.out_error = 1;
		assert_rc(invalidate(w, &arg), -E2BIG);
		arg.out_error = 0;
		arg.out_error_info = 0x80000000;
		assert_rc(invalidate(w, &arg), -E2BIG);
		assert_int_equal(arg.entry_num, 8);
		assert_rc(ext_enable(w, 2), 0); /* not ERRORS */
	}
}

static void a_failing_entry_has_its_code(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[8 * 16] = { 0 };
	struct nestfd_hwpt_invalidate arg = array(w, entries, 8);

	assert_rc(ext_enable(w, 1), 0);
	fail_at(w, 5);
	assert_rc(invalidate(w, &arg), -EIO);
	assert_int_equal(arg.entry_num, 5);
	assert_int_equal(arg.out_error, 0x80000001);
	assert_int_equal(arg.out_error_info, 0x77);

	/* who does not know of them is not told */
	arg = array(w, entries, 8);
	arg.size = 32;
	arg.out_error = 0x1234; /* not even looked at */
	arg.out_error_info = 0x5678;
	assert_rc(invalidate(w, &arg), -EIO);
	assert_int_equal(arg.entry_num, 5);
	assert_int_equal(arg.out_error, 0x1234);
	assert_int_equal(arg.out_error_info, 0x5678);
}

/* and no more of the struct is written than its size says */
static void a_struct_may_end_between_the_additions(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[16] = { 0 };
	struct nestfd_hwpt_invalidate arg;

	assert_rc(ext_enable(w, 1), 0);
	fail_at(w, 0);
	for (uint32_t size = 33; size <= 40; size++) {
		unsigned char want[8] = { 1, 0, 0, 0x80, 0x77, 0, 0, 0 };
		unsigned char tail[8];

		arg = array(w, entries, 1);
		arg.size = size;
		memset((char *)&arg + size, 0xee, 40 - size);
		memset(want + (size - 32), 0xee, 40 - size);
		assert_rc(invalidate(w, &arg), -EIO);
		memcpy(tail, &arg.out_error, 8);
		assert_memory_equal(tail, want, 8);
	}
}

static void additions_must_be_zero_each_bit_of_them(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[16] = { 0 };
	struct nestfd_hwpt_invalidate arg;

	assert_rc(ext_enable(w, 1), 0);
	for (int bit = 0; bit < 64; bit++) {
		arg = array(w, entries, 1);
		if (bit < 32)
			arg.out_error = 1U << bit;
		else
			arg.out_error_info = 1U << (bit - 32);
		assert_rc(invalidate(w, &arg), -E2BIG);
		assert_int_equal(arg.entry_num, 1); /* nothing is written */
	}
	assert_int_equal(w->unit.inval_calls, 0);
}

/* Behind the additions the old rule holds: zeros, or E2BIG. */
static void longer_structs_are_taken_if_the_rest_is_zero(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[16] = { 0 };
	struct {
		struct nestfd_hwpt_invalidate arg;
		unsigned char more[24];
	} s = { array(w, entries, 1), { 0 } };

	assert_rc(ext_enable(w, 1), 0);
	fail_at(w, 0);
	s.arg.size = 64;
	assert_rc(ioctl_on(w, 0x3b8d, &s), -EIO);
	assert_int_equal(s.arg.out_error, 0x80000001);
	for (size_t i = 0; i < sizeof(s.more); i++) {
		s.arg = array(w, entries, 1);
		s.arg.size = 64;
		s.more[i] = 1;
		assert_rc(ioctl_on(w, 0x3b8d, &s), -E2BIG);
		s.more[i] = 0;
	}
}

/* Written wherever entry_num is: errors of the array give no code. */
static void errors_of_the_array_have_no_code(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[8 * 16] = { 0 };
	struct nestfd_hwpt_invalidate arg;

	assert_rc(ext_enable(w, 1), 0);
	arg = array(w, entries, 8);
	arg.__reserved = 1;
	assert_rc(invalidate(w, &arg), -EOPNOTSUPP);
	assert_int_equal(arg.entry_num, 0);
	assert_int_equal(arg.out_error, 0);
	arg = array(w, entries, 8);
	arg.hwpt_id = 99;
	assert_rc(invalidate(w, &arg), -ENOENT);
	assert_int_equal(arg.entry_num | arg.out_error, 0);
	arg = array(w, entries, 8);
	arg.data_type = 77;
	assert_rc(invalidate(w, &arg), -EINVAL);
	assert_int_equal(arg.entry_num | arg.out_error, 0);
	arg = array(w, NULL, 8);
	assert_rc(invalidate(w, &arg), -EINVAL);
	assert_int_equal(arg.entry_num | arg.out_error, 0);
	arg = array(w, (void *)4096, 8);
	assert_rc(invalidate(w, &arg), -EFAULT);
	assert_int_equal(arg.entry_num | arg.out_error, 0);
	/* and success says nothing */
	arg = array(w, entries, 8);
	assert_rc(invalidate(w, &arg), 0);
	assert_int_equal(arg.entry_num, 8);
	assert_int_equal(arg.out_error | arg.out_error_info, 0);
	arg = array(w, NULL, 0); /* the probe */
	assert_rc(invalidate(w, &arg), 0);
}

/* The driver's leftovers must not be taken for something. */
static void information_without_a_code_is_not_passed_on(void **state)
{
	struct world *w = world_of(state);
	unsigned char entries[16] = { 0 };
	struct nestfd_hwpt_invalidate arg = array(w, entries, 1);

	assert_rc(ext_enable(w, 1), 0);
	fail_at(w, 0);
	w->unit.inval_code = 0;
	assert_rc(invalidate(w, &arg), -EIO);
	assert_int_equal(arg.out_error | arg.out_error_info, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(enable_tells_all_features_that_there_are),
		CASE_NESTED(unknown_features_and_flags_switch_nothing_on),
		CASE(enable_follows_the_rules_for_structs),
		CASE_NESTED(enable_answers_efault_for_a_struct_it_cannot_write),
		CASE_NESTED(rings_are_no_ioctl_before_they_are_switched_on),
		CASE(numbers_behind_are_no_ioctls_whatever_is_on),
		CASE_NESTED(
			before_it_is_switched_on_the_additions_are_an_unknown_tail),
		CASE_NESTED(a_failing_entry_has_its_code),
		CASE_NESTED(a_struct_may_end_between_the_additions),
		CASE_NESTED(additions_must_be_zero_each_bit_of_them),
		CASE_NESTED(longer_structs_are_taken_if_the_rest_is_zero),
		CASE_NESTED(errors_of_the_array_have_no_code),
		CASE_NESTED(information_without_a_code_is_not_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
