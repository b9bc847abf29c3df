// SPDX-License-Identifier: MIT
/*
 * Queues consumed in place: indices worked out by hand, every pair of indices
 * against a model that walks, and every bad one.
 */
#include <errno.h>
#include <stdlib.h>

#include "queue.h"

#define MAX_ENTRIES 64

struct rig {
	struct world w; /* first: world_of() */
	unsigned char entries[MAX_ENTRIES][16];
	unsigned char log[MAX_ENTRIES][16];
	uint32_t nested; /* on the parent, not on the vIOMMU */
};

static int setup_rig(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	world_begin_nested(&r->w);
	number_entries(r->entries, MAX_ENTRIES);
	r->w.unit.inval_log = r->log;
	r->nested = do_nested(&r->w, r->w.dev_id[0], r->w.parent);
	assert_rc(ext_enable(&r->w, 2), 0);
	*state = r;
	return 0;
}

static struct rig *rig_of(void **state)
{
	return (struct rig *)world_of(state);
}

static struct queue queue_of(struct rig *r, uint32_t bits, uint32_t num)
{
	struct queue q;

	queue_init(&q, r->w.viommu, r->entries, bits, num);
	return q;
}

/* A copied struct queue points to the old one's cons. */
static int consume(struct rig *r, struct queue *q, uint32_t cons, uint32_t prod)
{
	q->cons = cons;
	q->arg.q_cons_uptr = (uintptr_t)&q->cons;
	return queue_consume(&r->w, q, prod);
}

static void the_pinned_example_consumes_two_entries(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 4, 0x10);

	for (uint32_t chunk = 1; chunk <= 3; chunk++) {
		r->w.unit.inval_chunk = chunk;
		assert_rc(consume(r, &q, 0x0f, 0x11), 0);
		assert_int_equal(q.cons, 0x11);
		assert_int_equal(r->w.unit.inval.count, 2);
		assert_int_equal(logged(&r->w, 0), 0xf);
		assert_int_equal(logged(&r->w, 1), 0x0);
		assert_int_equal(q.arg.out_error | q.arg.out_error_info, 0);
	}
}

static void a_nested_hwpt_has_queues_too(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 4, 0x10);

	q.arg.hwpt_id = r->nested;
	assert_rc(consume(r, &q, 0x1f, 0x01), 0); /* the other way round */
	assert_int_equal(q.cons, 0x01);
	assert_int_equal(logged(&r->w, 0), 0xf);
	assert_int_equal(logged(&r->w, 1), 0x0);
	assert_true(r->w.unit.inval.native);
}

static void full_and_empty_differ(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 2, 4);

	assert_rc(consume(r, &q, 2, 2), 0);
	assert_int_equal(r->w.unit.inval_calls, 0);
	assert_rc(consume(r, &q, 2, 6), 0);
	assert_int_equal(r->w.unit.inval.count, 4);
	assert_int_equal(q.cons, 6);
	assert_rc(consume(r, &q, 6, 2), 0);
	assert_int_equal(r->w.unit.inval.count, 4);
	assert_int_equal(q.cons, 2);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(logged(&r->w, i), (i + 2) % 4);
}

static void a_queue_of_one_entry_has_a_wrap_flag_only(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 0, 1);

	assert_rc(consume(r, &q, 0, 1), 0);
	assert_int_equal(q.cons, 1);
	assert_rc(consume(r, &q, 1, 0), 0);
	assert_int_equal(q.cons, 0);
	assert_int_equal(r->w.unit.inval_calls, 2);
	assert_rc(consume(r, &q, 1, 1), 0);
	assert_int_equal(r->w.unit.inval_calls, 2);
	assert_rc(consume(r, &q, 0, 2), -EINVAL);
}

static void flat_arrays_do_not_wrap(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 5, 20);

	assert_rc(consume(r, &q, 0, 20), 0);
	assert_int_equal(r->w.unit.inval.count, 20);
	assert_int_equal(q.cons, 20);
	assert_rc(consume(r, &q, 17, 19), 0);
	assert_int_equal(logged(&r->w, 0), 17);
	assert_int_equal(logged(&r->w, 1), 18);
	assert_rc(consume(r, &q, 20, 20), 0);	    /* all of it done */
	assert_rc(consume(r, &q, 19, 21), -EINVAL); /* beyond */
	assert_rc(consume(r, &q, 19, 32), -EINVAL); /* wrap flags */
	assert_rc(consume(r, &q, 51, 52), -EINVAL);
	assert_rc(consume(r, &q, 5, 4), -EINVAL);
}

/* ---- every pair ---- */

/*
 * The rules of ext.h by walking, one entry after the other. The number of
 * entries and the slot of each, or -1 if the indices are not allowed.
 */
struct walk {
	uint32_t bits;
	uint32_t num;
	uint32_t index;
	int n;
	uint32_t slots[MAX_ENTRIES];
};

static uint32_t low(const struct walk *walk)
{
	uint32_t low = walk->index;

	for (uint32_t bit = walk->bits; bit < 32; bit++)
		low &= ~(1U << bit);
	return low;
}

static void step(struct walk *walk, bool ring)
{
	uint32_t slot = low(walk);

	walk->slots[walk->n++] = slot;
	walk->index++;
	if (ring && slot == walk->num - 1) {
		walk->index = walk->index - 1 - slot; /* the flag is left */
		walk->index ^= 1U << walk->bits;
	}
}

static void walk(struct walk *walk, uint32_t cons, uint32_t prod)
{
	uint32_t size = 1;
	bool ring;

	for (uint32_t i = 0; i < walk->bits; i++)
		size *= 2;
	ring = walk->num == size;
	walk->index = cons;
	walk->n = 0;
	if (walk->num > size || cons >= 2 * size || prod >= 2 * size)
		goto wrong;
	if (!ring && (cons > walk->num || prod > walk->num))
		goto wrong;
	while (walk->index != prod) {
		if (walk->n == (int)walk->num ||
		    (!ring && walk->index == walk->num))
			goto wrong;
		step(walk, ring);
	}
	return;
wrong:
	walk->n = -1;
}

/* The first @n entries are carried out, then @rc */
static void check_pair(struct rig *r, struct queue *q, uint32_t cons,
		       uint32_t prod, const struct walk *want, uint32_t n,
		       int rc)
{
	struct walk part = *want;
	uint32_t calls = r->w.unit.inval_calls;

	memset(r->log, 0xee, sizeof(r->log));
	assert_rc(consume(r, q, cons, prod), rc);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(logged(&r->w, i), want->slots[i]);
	assert_int_equal(r->log[n][0], 0xee); /* and no more */
	assert_int_equal(r->w.unit.inval_calls, calls + (want->n > 0));
	part.index = cons;
	part.n = 0;
	while (part.n < (int)n)
		step(&part, part.num == 1U << part.bits);
	assert_int_equal(q->cons, part.index);
}

static void check_all_pairs(struct rig *r, uint32_t bits, uint32_t num,
			    bool failing)
{
	struct walk want = { .bits = bits, .num = num };
	struct queue q = queue_of(r, bits, num);

	for (uint32_t cons = 0; cons < 4U << bits; cons++) {
		for (uint32_t prod = 0; prod < 4U << bits; prod++) {
			walk(&want, cons, prod);
			r->w.unit.inval_rc = 0;
			check_pair(r, &q, cons, prod, &want,
				   want.n < 0 ? 0 : (uint32_t)want.n,
				   want.n < 0 ? -EINVAL : 0);
			if (!failing)
				continue;
			r->w.unit.inval_rc = -EIO;
			for (int n = 0; n < want.n; n++) {
				r->w.unit.inval_done = (uint32_t)n;
				check_pair(r, &q, cons, prod, &want,
					   (uint32_t)n, -EIO);
			}
		}
	}
}

static void every_pair_of_indices_is_consumed_as_by_walking(void **state)
{
	struct rig *r = rig_of(state);

	for (uint32_t bits = 0; bits <= 4; bits++)
		for (uint32_t num = 0; num <= (1U << bits) + 1; num++)
			for (uint32_t chunk = 1; chunk <= 7; chunk += 3) {
				r->w.unit.inval_chunk = chunk;
				check_all_pairs(r, bits, num, false);
			}
}

static void wherever_an_entry_fails_its_index_is_known(void **state)
{
	struct rig *r = rig_of(state);

	r->w.unit.inval_chunk = 3;
	for (uint32_t bits = 0; bits <= 4; bits++) {
		check_all_pairs(r, bits, 1U << bits, true);
		check_all_pairs(r, bits, (1U << bits) - 1, true);
	}
}

/* ---- bad input ---- */

static void index_bits_go_up_to_31(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 4, 0x10);

	for (uint32_t bits = 32; bits; bits <<= 1) {
		q.arg.q_index_bits = bits;
		assert_rc(consume(r, &q, 0, 1), -EINVAL);
		q.arg.q_index_bits = bits | 4;
		assert_rc(consume(r, &q, 0, 1), -EINVAL);
	}
	q.arg.q_index_bits = UINT32_MAX;
	assert_rc(consume(r, &q, 0, 1), -EINVAL);
	q.arg.q_index_bits = 32;
	for (uint32_t num = 0; num < 3; num++) { /* not 1 << 0 */
		q.arg.q_entry_num = num;
		assert_rc(consume(r, &q, 0, 0), -EINVAL);
		assert_rc(consume(r, &q, 0, 1), -EINVAL);
	}
	q.arg.q_entry_num = 0x10;
	for (uint32_t bits = 5; bits <= 31; bits++) { /* flat arrays */
		q.arg.q_index_bits = bits;
		assert_rc(consume(r, &q, 0, 1), 0);
	}
	assert_int_equal(r->w.unit.inval_calls, 27);
}

static void no_more_entries_than_the_index_bits_can_name(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 0, 0);

	for (uint32_t bits = 0; bits <= 31; bits++) {
		q.arg.q_index_bits = bits;
		q.arg.q_entry_num = (1U << bits) + 1;
		assert_rc(consume(r, &q, 0, 1), -EINVAL);
		q.arg.q_entry_num = UINT32_MAX;
		assert_rc(consume(r, &q, 0, 1), -EINVAL);
		q.arg.q_entry_num = 1U << bits;
		assert_rc(consume(r, &q, 0, 1), 0);
	}
}

static void each_bit_above_the_wrap_flag_is_refused(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 4, 0x10);

	for (int bit = 5; bit < 32; bit++) {
		assert_rc(consume(r, &q, 0x0f | 1U << bit, 0x11), -EINVAL);
		assert_int_equal(q.cons, 0x0f | 1U << bit);
		assert_rc(consume(r, &q, 0x0f, 0x11 | 1U << bit), -EINVAL);
		/* in both: they must not cancel out */
		assert_rc(consume(r, &q, 0x0f | 1U << bit, 0x11 | 1U << bit),
			  -EINVAL);
	}
	assert_int_equal(r->w.unit.inval_calls, 0);
}

/* A guest that moves PROD backwards asks for nearly two queues. */
static void a_producer_that_moves_backwards_is_refused(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 4, 0x10);

	for (uint32_t back = 1; back < 16; back++) {
		assert_rc(consume(r, &q, 0x0f, (0x0f - back) & 0x1f), -EINVAL);
		assert_int_equal(q.cons, 0x0f);
		assert_int_equal(q.arg.out_error, 0);
	}
	assert_int_equal(r->w.unit.inval_calls, 0);
	q = queue_of(r, 31, 1U << 31);
	assert_rc(consume(r, &q, 1, 0), -EINVAL);
	assert_rc(consume(r, &q, 0, UINT32_MAX), -EINVAL);
}

static void entries_are_1_to_4096_bytes_long(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 1, 2);
	unsigned char *big = calloc(2, 4096);

	q.arg.q_uptr = (uintptr_t)big;
	for (uint32_t len = 1; len <= 4096; len += len < 20 ? 1 : 1019) {
		q.arg.q_entry_len = len;
		big[0] = big[len] = 7;
		assert_rc(consume(r, &q, 0, 2), 0);
		assert_int_equal(logged(&r->w, 1) & 0xff, 7);
		big[0] = big[len] = 0;
	}
	q.arg.q_entry_len = 0;
	assert_rc(consume(r, &q, 0, 2), -EINVAL);
	q.arg.q_entry_len = 4097;
	assert_rc(consume(r, &q, 0, 2), -EINVAL);
	q.arg.q_entry_len = UINT32_MAX;
	assert_rc(consume(r, &q, 0, 2), -EINVAL);
	q.arg.q_entry_len = 16;
	q.arg.q_uptr = 0;
	assert_rc(consume(r, &q, 0, 2), -EINVAL); /* as for arrays */
	free(big);
}

/* What the driver does not know must be zero, and the entry is named. */
static void longer_entries_must_have_a_tail_of_zeros(void **state)
{
	struct rig *r = rig_of(state);
	unsigned char *big = calloc(4, 24);
	struct queue q = queue_of(r, 2, 4);

	q.arg.q_uptr = (uintptr_t)big;
	q.arg.q_entry_len = 24;
	r->w.unit.inval_chunk = 4;
	big[0 * 24 + 23] = 1; /* the third from cons */
	assert_rc(consume(r, &q, 2, 6), -E2BIG);
	assert_int_equal(q.cons, 4);
	assert_int_equal(q.arg.out_error, 0);
	big[23] = 0;
	assert_rc(consume(r, &q, 4, 6), 0);
	free(big);
}

static void at_most_2_to_the_19_entries_are_pending(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 20, 1U << 20);
	unsigned char *big = calloc(1, 1U << 20);
	unsigned char(*log)[16] = calloc(1U << 19, 16);

	r->w.unit.inval_log = log;
	r->w.unit.inval_chunk = 64;
	q.arg.q_uptr = (uintptr_t)big;
	q.arg.q_entry_len = 1;
	big[3] = 9;
	/* from 0xc0003 on over the end */
	assert_rc(consume(r, &q, 0xc0003, 0x140003), 0);
	assert_int_equal(q.cons, 0x140003);
	assert_int_equal(r->w.unit.inval.count, 0x80000);
	assert_rc(consume(r, &q, 0xc0003, 0x140004), -EINVAL);
	assert_int_equal(q.cons, 0xc0003);
	assert_rc(consume(r, &q, 0xc0004, 0x140004), 0);
	assert_int_equal(logged(&r->w, 0x3ffff), 9); /* slot 3 */
	/* and as a flat array */
	q.arg.q_entry_num = (1U << 20) - 1;
	assert_rc(consume(r, &q, 0, 0x80001), -EINVAL);
	assert_rc(consume(r, &q, 0, 0x80000), 0);
	r->w.unit.inval_log = r->log;
	free(log);
	free(big);
}

static void what_must_be_zero_must_be_zero(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 4, 0x10);

	for (int bit = 0; bit < 32; bit++) {
		q.arg.q_prod = 1;
		q.arg.out_error = 1U << bit;
		assert_rc(ioctl_on(&r->w, 0x3bf1, &q.arg), -E2BIG);
		assert_int_equal(q.arg.out_error, 1U << bit);
		q.arg.out_error = 0;
		q.arg.out_error_info = 1U << bit;
		assert_rc(ioctl_on(&r->w, 0x3bf1, &q.arg), -E2BIG);
		q.arg.out_error_info = 0;
		q.arg.__reserved = 1U << bit;
		assert_rc(consume(r, &q, 0, 1), -EOPNOTSUPP);
		q.arg.__reserved = 0;
	}
	assert_int_equal(r->w.unit.inval_calls, 0);
}

static void the_struct_follows_the_rules_for_structs(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 4, 0x10);
	struct {
		struct nestfd_hwpt_invalidate_ring arg;
		unsigned char more[8];
	} s;

	r->w.unit.inval_rc = -EIO;
	r->w.unit.inval_code = 2;
	for (uint32_t size = 0; size <= 64; size++) {
		memset(&s, 0, sizeof(s));
		s.arg = q.arg;
		s.arg.size = size;
		s.arg.q_prod = 1;
		s.arg.q_cons_uptr = (uintptr_t)&q.cons;
		assert_rc(ioctl_on(&r->w, 0x3bf1, &s),
			  size < 56 ? -EINVAL : -EIO);
		assert_int_equal(s.arg.out_error, size < 56 ? 0 : 0x80000002);
	}
	s.more[7] = 1;
	s.arg.out_error = 0;
	assert_rc(ioctl_on(&r->w, 0x3bf1, &s), -E2BIG);
}

static void ids_are_those_of_arrays(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 4, 0x10);

	q.arg.hwpt_id = 99;
	assert_rc(consume(r, &q, 0, 1), -ENOENT);
	q.arg.hwpt_id = r->w.ioas;
	assert_rc(consume(r, &q, 0, 1), -EINVAL);
	q.arg.hwpt_id = r->w.parent;
	assert_rc(consume(r, &q, 0, 1), -EINVAL);
	/* nested on the vIOMMU: the vIOMMU it is that invalidates */
	q.arg.hwpt_id = do_nested(&r->w, r->w.dev_id[0], r->w.viommu);
	assert_rc(consume(r, &q, 0, 1), -EOPNOTSUPP);
	assert_int_equal(q.arg.out_error, 0);
	assert_int_equal(q.cons, 0);
}

static void nothing_pending_is_a_probe(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t ids[] = { r->w.viommu, r->nested };

	for (int i = 0; i < 2; i++) {
		struct queue q = queue_of(r, 4, 0x10);

		q.arg.hwpt_id = ids[i];
		q.arg.q_uptr = 0;
		q.arg.q_entry_len = 0;
		assert_rc(consume(r, &q, 7, 7), 0);
		assert_int_equal(q.cons, 7);
		q.arg.data_type = 77;
		assert_rc(consume(r, &q, 7, 7), -EINVAL);
		assert_int_equal(q.arg.out_error, 0);
		q.arg.q_entry_num = 0; /* an empty flat array */
		assert_rc(consume(r, &q, 0, 0), -EINVAL);
		q.arg.data_type = FAKE_INVAL_TYPE;
		assert_rc(consume(r, &q, 0, 0), 0);
		assert_rc(consume(r, &q, 1, 1), -EINVAL);
		q.arg.hwpt_id = 99;
		assert_rc(consume(r, &q, 0, 0), -ENOENT);
	}
	assert_int_equal(r->w.unit.inval_calls, 0);
}

static void an_unknown_data_type_consumes_nothing(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 4, 0x10);

	for (int bit = 0; bit < 32; bit++) {
		q.arg.data_type = FAKE_INVAL_TYPE ^ 1U << bit;
		assert_rc(consume(r, &q, 0x0f, 0x11), -EINVAL);
		assert_int_equal(q.cons, 0x0f);
	}
}

/* ---- codes ---- */

static void a_failing_entry_has_its_code(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 4, 0x10);

	r->w.unit.inval_rc = -EIO;
	r->w.unit.inval_done = 1;
	r->w.unit.inval_code = 1;
	r->w.unit.inval_info = 0x55;
	assert_rc(consume(r, &q, 0x0f, 0x13), -EIO);
	assert_int_equal(q.cons, 0x10);
	assert_int_equal(q.arg.out_error, 0x80000001);
	assert_int_equal(q.arg.out_error_info, 0x55);
}

/* Entry 3 from cons 0x0e on is slot 1, with the wrap flag */
static void an_entry_in_the_information_becomes_an_index(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 4, 0x10);

	r->w.unit.inval_rc = -ETIMEDOUT;
	r->w.unit.inval_done = 5;
	r->w.unit.inval_code = 3;
	r->w.unit.inval_info = 3;
	r->w.unit.inval_info_entry = true;
	assert_rc(consume(r, &q, 0x0e, 0x18), -ETIMEDOUT);
	assert_int_equal(q.cons, 0x13);
	assert_int_equal(q.arg.out_error, 0x80000003);
	assert_int_equal(q.arg.out_error_info, 0x11);
	/* and without the flag */
	assert_rc(consume(r, &q, 0x1e, 0x08), -ETIMEDOUT);
	assert_int_equal(q.cons, 0x03);
	assert_int_equal(q.arg.out_error_info, 0x01);
	/* a flat array has none */
	q.arg.q_entry_num = 15;
	assert_rc(consume(r, &q, 4, 15), -ETIMEDOUT);
	assert_int_equal(q.cons, 9);
	assert_int_equal(q.arg.out_error_info, 7);
}

static void failure_and_all_consumed_go_together(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q = queue_of(r, 4, 0x10);

	/* what a driver does that learns of it only behind the last entry */
	r->w.unit.inval_rc = -ETIMEDOUT;
	r->w.unit.inval_done = 3;
	r->w.unit.inval_code = 3;
	r->w.unit.inval_info_entry = true;
	assert_rc(consume(r, &q, 0x0f, 0x12), -ETIMEDOUT);
	assert_int_equal(q.cons, 0x12);
	assert_int_equal(q.arg.out_error, 0x80000003);
	assert_int_equal(q.arg.out_error_info, 0x0f);
}

int main(void)
{
#define RING_CASE(f) \
	cmocka_unit_test_setup_teardown(f, setup_rig, teardown_world)
	const struct CMUnitTest tests[] = {
		RING_CASE(the_pinned_example_consumes_two_entries),
		RING_CASE(a_nested_hwpt_has_queues_too),
		RING_CASE(full_and_empty_differ),
		RING_CASE(a_queue_of_one_entry_has_a_wrap_flag_only),
		RING_CASE(flat_arrays_do_not_wrap),
		RING_CASE(every_pair_of_indices_is_consumed_as_by_walking),
		RING_CASE(wherever_an_entry_fails_its_index_is_known),
		RING_CASE(index_bits_go_up_to_31),
		RING_CASE(no_more_entries_than_the_index_bits_can_name),
		RING_CASE(each_bit_above_the_wrap_flag_is_refused),
		RING_CASE(a_producer_that_moves_backwards_is_refused),
		RING_CASE(entries_are_1_to_4096_bytes_long),
		RING_CASE(longer_entries_must_have_a_tail_of_zeros),
		RING_CASE(at_most_2_to_the_19_entries_are_pending),
		RING_CASE(what_must_be_zero_must_be_zero),
		RING_CASE(the_struct_follows_the_rules_for_structs),
		RING_CASE(ids_are_those_of_arrays),
		RING_CASE(nothing_pending_is_a_probe),
		RING_CASE(an_unknown_data_type_consumes_nothing),
		RING_CASE(a_failing_entry_has_its_code),
		RING_CASE(an_entry_in_the_information_becomes_an_index),
		RING_CASE(failure_and_all_consumed_go_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
