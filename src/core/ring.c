// SPDX-License-Identifier: MIT
/*
 * NESTFD_HWPT_INVALIDATE_RING: a queue of invalidations, consumed in place.
 *
 * An *index* is a *slot* in its low bits and the wrap flag above them, which
 * toggles whenever the index passes the end; so a full queue (prod a whole
 * queue ahead of cons) and an empty one (prod is cons) differ. What is
 * *pending* lies from cons on up to prod.
 *
 * The producer may be hostile, and goes on producing meanwhile: its index is
 * the caller's copy, entries are copied once, cons is the caller's own memory.
 * tests/ring/ring.pml is a model of this file, in the same words.
 */
#include <errno.h>

#include "base/barrier.h"
#include "core/internal.h"
#include "nestfd/ext.h"

#define INDEX_BITS_MAX 31

struct ring {
	uint32_t num;	  /* slots */
	uint32_t indices; /* mask: a slot and the wrap flag */
	bool wraps;	  /* else a flat array */
	uint32_t cons;
	uint32_t prod;
};

static uint32_t ring_pending(const struct ring *ring)
{
	return (ring->prod - ring->cons) & ring->indices;
}

static uint32_t ring_slot(const struct ring *ring, uint32_t index)
{
	return ring->wraps ? index & (ring->num - 1) : index;
}

/* The index @n entries behind cons */
static uint32_t ring_advance(const struct ring *ring, uint32_t n)
{
	return (ring->cons + n) & ring->indices;
}

/* The queue, as far as its memory is not needed */
static int ring_init(struct ring *ring,
		     const struct nestfd_hwpt_invalidate_ring *arg)
{
	if (arg->q_index_bits > INDEX_BITS_MAX ||
	    arg->q_entry_num > 1U << arg->q_index_bits ||
	    arg->q_cons_uptr % sizeof(uint32_t))
		return -EINVAL;
	ring->num = arg->q_entry_num;
	ring->indices = (uint32_t)((2ULL << arg->q_index_bits) - 1);
	ring->wraps = ring->num == 1U << arg->q_index_bits;
	ring->prod = arg->q_prod;
	return 0;
}

/* cons and prod in the queue, and no more between them than it holds */
static bool ring_is_sane(const struct ring *ring)
{
	if (!ring->wraps)
		return ring->cons <= ring->prod && ring->prod <= ring->num;
	return !((ring->cons | ring->prod) & ~ring->indices) &&
	       ring_pending(ring) <= ring->num;
}

static int ring_check(const struct ring *ring,
		      const struct nestfd_hwpt_invalidate_ring *arg)
{
	if (!ring_is_sane(ring) || ring_pending(ring) > INVAL_ENTRIES_MAX)
		return -EINVAL;
	if (!ring_pending(ring))
		return 0; /* a probe, like an empty array */
	if (!arg->q_uptr || !arg->q_entry_len ||
	    arg->q_entry_len > INVAL_ENTRY_LEN_MAX)
		return -EINVAL;
	return 0;
}

/*
 * Reads cons. Storing what was just read changes nothing, and shows that it
 * can be stored at the end.
 */
static int ring_open(struct ring *ring,
		     const struct nestfd_hwpt_invalidate_ring *arg)
{
	int rc = ring_init(ring, arg);

	if (!rc)
		rc = core_load32(arg->q_cons_uptr, &ring->cons);
	if (!rc)
		rc = ring_check(ring, arg);
	if (!rc)
		rc = core_store32(arg->q_cons_uptr, ring->cons);
	return rc;
}

/* @inv is what is pending: entry 0 is at cons. */
static int ring_consume(const struct ring *ring, struct core_call *call,
			struct core_inval *inv)
{
	const struct nestfd_hwpt_invalidate_ring *arg = call->arg;

	*inv = (struct core_inval){
		.uptr = arg->q_uptr,
		.type = arg->data_type,
		.stride = arg->q_entry_len,
		.count = ring_pending(ring),
		.native = true,
		.first = ring_slot(ring, ring->cons),
		.mask = ring->wraps ? ring->num - 1 : 0,
	};
	/*
	 * Entries are read after the producer's index, however the caller read
	 * that. Pairs with the release the producer wrote it with.
	 */
	barrier_after_index();
	return inval_run(call->ctx, arg->hwpt_id, inv);
}

/* cons, for the producer to see: all up to it has been read, and is done. */
static int ring_close(const struct ring *ring, uint64_t cons_uptr,
		      struct core_inval *inv)
{
	uint32_t cons = ring_advance(ring, inv->done);

	if (inv->info_entry)
		inv->info = ring_advance(ring, inv->info);
	if (!core_store32(cons_uptr, cons))
		return 0;
	inv->code = NESTFD_ERR_CONS;
	inv->info = cons;
	return -EFAULT;
}

/* Both have been found to be 0: without a code they are as they should be. */
static int ring_reply(struct core_call *call, const struct core_inval *inv)
{
	struct nestfd_hwpt_invalidate_ring *arg = call->arg;

	if (!inv->code)
		return 0;
	inval_code(inv, &arg->out_error, &arg->out_error_info);
	return core_reply(call, sizeof(*arg));
}

int ring_ioctl_invalidate(struct core_call *call)
{
	struct nestfd_hwpt_invalidate_ring *arg = call->arg;
	struct core_inval inv = { 0 };
	struct ring ring;
	int closed, rc;

	if (arg->out_error || arg->out_error_info)
		return -E2BIG;
	if (arg->__reserved)
		return -EOPNOTSUPP;
	rc = ring_open(&ring, arg);
	if (!rc) {
		rc = ring_consume(&ring, call, &inv);
		closed = ring_close(&ring, arg->q_cons_uptr, &inv);
		rc = closed ? closed : rc;
	}
	return ring_reply(call, &inv) ? -EFAULT : rc;
}
