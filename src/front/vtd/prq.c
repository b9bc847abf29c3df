// SPDX-License-Identifier: MIT
/*
 * Page request queue, VT-d 7.4 and 7.5: the unit produces, software consumes.
 * There is no wrap bit: the queue is full with one entry left.
 *
 * A request that cannot be written is treated as one that found no room, so
 * that software learns that something is missing.
 */
#include "front/vtd/internal.h"
#include "hwdef/vtd_tables.h"

static unsigned int prq_lg2(const struct vtd_front *f)
{
	return 7 + (unsigned int)field_get(VTD_PQA_PQS, load_relaxed(&f->pqa));
}

static uint32_t index_of(const struct vtd_front *f, const uint64_t *reg)
{
	return (uint32_t)(load_ordered(reg) / VTD_PRQ_SIZE) &
	       ((1u << prq_lg2(f)) - 1);
}

static bool is_full(const struct vtd_front *f)
{
	uint32_t mask = (1u << prq_lg2(f)) - 1;

	return ((index_of(f, &f->pqt) + 1) & mask) == index_of(f, &f->pqh);
}

static bool write_entry(struct vtd_front *f, const uint64_t rec[4])
{
	uint32_t index = index_of(f, &f->pqt);
	uint32_t mask = (1u << prq_lg2(f)) - 1;
	uint64_t base =
		load_relaxed(&f->pqa) & VTD_PQA_ADDR & low_mask(f->id.haw);

	if (is_full(f) ||
	    !front_write_record(&f->mem, base + (uint64_t)index * VTD_PRQ_SIZE,
				rec, 4))
		return false;
	store_ordered(&f->pqt, (uint64_t)((index + 1) & mask) * VTD_PRQ_SIZE);
	return true;
}

bool vtd_front_page_request(struct vtd_front *f, const uint64_t rec[4])
{
	bool written = false;

	if (!(f->id.ecap & VTD_ECAP_PRS) || !front_output_lock(&f->prq))
		return false;
	if (!(load_acquire(&f->prs) & VTD_PRS_PRO)) {
		written = write_entry(f, rec);
		pthread_mutex_lock(&f->lock);
		vtd_condition_locked(f, VTD_IRQ_PAGE_REQUEST);
		store_release(&f->prs,
			      f->prs | (uint32_t)(written ? VTD_PRS_PPR
							  : VTD_PRS_PRO));
		pthread_mutex_unlock(&f->lock);
	}
	front_output_unlock(&f->prq);
	vtd_deliver(f, VTD_IRQ_PAGE_REQUEST);
	return written;
}

bool vtd_front_page_request_room(struct vtd_front *f)
{
	return (f->id.ecap & VTD_ECAP_PRS) &&
	       !(load_acquire(&f->prs) & VTD_PRS_PRO) && !is_full(f);
}
