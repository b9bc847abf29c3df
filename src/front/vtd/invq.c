// SPDX-License-Identifier: MIT
/*
 * Consumption of the invalidation queue, VT-d 6.5.2 and 6.5.2.11.
 *
 * IQH and IQT are offsets in bytes. What is wrong with the queue itself is
 * found when there is something to fetch, in this order: the mode, the width
 * against it, the tail's alignment, the tail outside the queue.
 */
#include <assert.h>

#include "base/le.h"
#include "front/vtd/internal.h"

#define STOPPED	   (VTD_FSTS_IQE | VTD_FSTS_ITE)
#define SPAN_LEAST 64u

static bool is_wide(const struct front_ring *ring)
{
	return ring->size == VTD_QI_SIZE_WIDE;
}

static struct front_ring ring_of(const struct vtd_front *f)
{
	uint64_t iqa = load_relaxed(&f->iqa);
	bool wide = iqa & VTD_IQA_DW;

	return (struct front_ring){
		.base = iqa & VTD_IQA_ADDR & low_mask(f->id.haw),
		.lg2 = (wide ? 7 : 8) +
		       (unsigned int)field_get(VTD_IQA_QS, iqa),
		.size = wide ? VTD_QI_SIZE_WIDE : VTD_QI_SIZE,
	};
}

static uint32_t index_in(const struct front_ring *ring, uint64_t offset)
{
	return (uint32_t)(offset / ring->size) & ((1u << ring->lg2) - 1);
}

static void publish(struct vtd_front *f, uint32_t done)
{
	uint64_t offset = (uint64_t)(f->span_start + done) * f->ring.size;

	store_ordered(&f->iqh,
		      (uint64_t)index_in(&f->ring, offset) * f->ring.size);
}

/* QIES follows between spans; what was begun is consumed (6.5.2). */
static void acknowledge_enable(struct vtd_front *f)
{
	uint32_t moving =
		load_acquire(&f->regs.enabled) ^ load_relaxed(&f->gsts);

	if (!(moving & VTD_GCMD_QIE))
		return;
	pthread_mutex_lock(&f->lock);
	if (!(f->regs.enabled & VTD_GCMD_QIE))
		store_ordered(&f->iqh, 0);
	f->span_most = 0;
	store_release(&f->gsts, f->gsts ^ ((f->regs.enabled ^ f->gsts) &
					   (uint32_t)VTD_GCMD_QIE));
	pthread_mutex_unlock(&f->lock);
}

static void stop_iqe(struct vtd_front *f, unsigned int iqei)
{
	vtd_error(f, VTD_FSTS_IQE, VTD_IQERCD_IQEI, iqei);
}

static bool ttm_is_valid(const struct vtd_front *f, unsigned int ttm)
{
	switch (ttm) {
	case VTD_TTM_LEGACY:
		return true;
	case VTD_TTM_SCALABLE:
		return f->id.ecap & VTD_ECAP_SMTS;
	case VTD_TTM_ABORT:
		return f->id.ecap & VTD_ECAP_ADMS;
	default:
		return false;
	}
}

static bool width_is_valid(const struct vtd_front *f, unsigned int ttm,
			   bool wide)
{
	if (wide)
		return f->id.ecap & (VTD_ECAP_SMTS | VTD_ECAP_ADMS);
	return ttm == VTD_TTM_LEGACY;
}

/* 0, or what is wrong with a queue that is not empty */
static unsigned int check_queue(const struct vtd_front *f, uint64_t tail)
{
	unsigned int ttm = vtd_ttm(f);

	if (!ttm_is_valid(f, ttm))
		return VTD_IQEI_TTM;
	if (!width_is_valid(f, ttm, is_wide(&f->ring)))
		return VTD_IQEI_WIDTH;
	if (tail % f->ring.size)
		return VTD_IQEI_ALIGN;
	if (tail >> f->ring.lg2 >= f->ring.size)
		return VTD_IQEI_TAIL;
	return 0;
}

static uint32_t pending(void *front)
{
	struct vtd_front *f = front;
	uint64_t head, tail;
	unsigned int iqei;

	acknowledge_enable(f);
	if (!(load_acquire(&f->regs.enabled) & VTD_GCMD_QIE) ||
	    (load_acquire(&f->fsts) & STOPPED))
		return 0;
	head = load_relaxed(&f->iqh);
	tail = load_acquire(&f->iqt);
	if (head == tail)
		return 0;
	f->ring = ring_of(f);
	iqei = check_queue(f, tail);
	if (iqei) {
		stop_iqe(f, iqei);
		return 0;
	}
	f->span_start = index_in(&f->ring, head);
	return (index_in(&f->ring, tail) - f->span_start) &
	       ((1u << f->ring.lg2) - 1);
}

/*
 * Into the CPU's byte order, and to four doublewords each: from the last one
 * down, since 128-bit ones lie in the same buffer half as far apart.
 */
static void expand_narrow(uint64_t (*to)[4], const uint64_t *from, uint32_t n)
{
	while (n--) {
		uint64_t low = le64toh(from[2 * (size_t)n]);
		uint64_t high = le64toh(from[2 * (size_t)n + 1]);

		to[n][0] = low;
		to[n][1] = high;
		to[n][2] = 0;
		to[n][3] = 0;
	}
}

static void expand(struct vtd_front *f, uint32_t n)
{
	uint64_t(*span)[4] = f->consumer.span;

	if (!is_wide(&f->ring)) {
		expand_narrow(span, f->consumer.span, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		for (unsigned int k = 0; k < 4; k++)
			span[i][k] = le64toh(span[i][k]);
	}
}

static struct vtd_consumed hand_over(struct vtd_front *f, uint32_t n)
{
	const uint64_t(*descs)[4] = f->consumer.span;
	struct vtd_consumed end = f->ops.consume(f->ctx, descs, n);

	assert(end.done <= n && (end.stop != VTD_STOP_IQE || end.done < n));
	return end;
}

/* IQH is where it belongs before software can see the error. */
static void stop(struct vtd_front *f, const struct vtd_consumed *end)
{
	if (end->stop == VTD_STOP_IQE)
		stop_iqe(f, end->info);
	else if (end->stop == VTD_STOP_ITE)
		vtd_error(f, VTD_FSTS_ITE, VTD_IQERCD_ITESID, end->info);
}

/*
 * What is dropped is in proportion to what takes effect: a queue of fences,
 * each of which ends a span, would be fetched once for each of them otherwise.
 */
static void limit_next(struct vtd_front *f, uint32_t got, uint32_t done)
{
	if (done < got)
		f->span_most = 2 * done + SPAN_LEAST;
	else if (f->span_most >> f->ring.lg2)
		f->span_most = 0;
	else
		f->span_most *= 2;
}

static uint32_t span_of(struct vtd_front *f, uint32_t pending)
{
	if (f->span_most && pending > f->span_most)
		pending = f->span_most;
	return consumer_room(&f->consumer, pending);
}

/*
 * One span. What was copied behind the descriptor that stops the queue is
 * dropped and fetched again later.
 */
static bool some(void *front, uint32_t pending, uint32_t *done)
{
	struct vtd_front *f = front;
	uint32_t n = span_of(f, pending);
	uint32_t got = front_fetch(&f->mem, &f->ring, f->span_start, n,
				   f->consumer.span);
	struct vtd_consumed end = { 0 };

	if (got) {
		expand(f, got);
		end = hand_over(f, got);
		publish(f, end.done);
		limit_next(f, got, end.done);
	}
	*done = end.done;
	if (end.stop)
		stop(f, &end);
	else if (end.done == got && got < n)
		stop_iqe(f, VTD_IQEI_FETCH);
	return end.done || end.stop || got < n;
}

static const struct consumer_ops ops = { .pending = pending, .some = some };

void vtd_kick(struct vtd_front *f)
{
	consumer_kick(&f->consumer, &ops, f);
}

void vtd_front_kick(struct vtd_front *f)
{
	vtd_kick(f);
}

void vtd_unstarve(struct vtd_front *f)
{
	if (consumer_is_starved(&f->consumer))
		vtd_kick(f);
}

static void complete(struct vtd_front *f)
{
	pthread_mutex_lock(&f->lock);
	vtd_condition_locked(f, VTD_IRQ_INVALIDATION);
	f->ics |= (uint32_t)VTD_ICS_IWC;
	pthread_mutex_unlock(&f->lock);
	vtd_deliver(f, VTD_IRQ_INVALIDATION);
}

/* The status write is before the interrupt (6.5.2.10). */
void vtd_front_wait(struct vtd_front *f, const struct vtd_desc *desc,
		    uint32_t done)
{
	publish(f, done);
	if (desc->status_write)
		(void)front_write32(&f->mem, desc->status_addr,
				    desc->status_data);
	if (desc->interrupt)
		complete(f);
}

unsigned int vtd_front_decode(struct vtd_front *f, const uint64_t dw[4],
			      struct vtd_desc *desc)
{
	return vtd_decode(dw, &f->id, vtd_ttm(f), desc);
}
