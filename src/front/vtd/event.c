// SPDX-License-Identifier: MIT
/*
 * Faults and the message-signaled events, VT-d 6.5.2.10, 7.2, 7.3 and 7.5.
 *
 * The three events work alike: a status bit that becomes set while none of the
 * event's status bits was is a condition, and sets IP. IP with IM clear is
 * sent; IP without a status bit left is dropped.
 */
#include "front/vtd/internal.h"

#define FSTS_ERRORS (VTD_FSTS_PFO | VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE)

uint32_t vtd_fsts_locked(const struct vtd_front *f)
{
	uint32_t fsts = f->fsts;

	if (f->fault_pending)
		fsts |= (uint32_t)(VTD_FSTS_PPF |
				   field_prep(VTD_FSTS_FRI, f->fault_first));
	return fsts;
}

/* The status bits of an event that software has yet to service */
static uint32_t unserviced(const struct vtd_front *f, enum vtd_irq irq)
{
	switch (irq) {
	case VTD_IRQ_FAULT:
		return vtd_fsts_locked(f) &
		       (uint32_t)(FSTS_ERRORS | VTD_FSTS_PPF);
	case VTD_IRQ_INVALIDATION:
		return f->ics;
	case VTD_IRQ_PAGE_REQUEST:
		return f->prs;
	}
	return 0;
}

void vtd_condition_locked(struct vtd_front *f, enum vtd_irq irq)
{
	if (!unserviced(f, irq))
		f->events[irq].control |= (uint32_t)VTD_ECTL_IP;
}

void vtd_serviced_locked(struct vtd_front *f, enum vtd_irq irq)
{
	if (!unserviced(f, irq))
		f->events[irq].control &= ~(uint32_t)VTD_ECTL_IP;
}

static void send(struct vtd_front *f, enum vtd_irq irq, uint64_t addr,
		 uint32_t data)
{
	if (f->ops.irq)
		f->ops.irq(f->ctx, irq, addr, data);
	else
		(void)front_write32(&f->mem, addr, data);
}

void vtd_deliver(struct vtd_front *f, enum vtd_irq irq)
{
	const uint32_t both = (uint32_t)(VTD_ECTL_IP | VTD_ECTL_IM);
	struct vtd_event *event = &f->events[irq];
	uint64_t addr;
	uint32_t data;
	bool due;

	pthread_mutex_lock(&f->lock);
	due = (event->control & both) == VTD_ECTL_IP;
	if (due)
		event->control &= ~(uint32_t)VTD_ECTL_IP;
	addr = (uint64_t)event->upper << 32 | event->addr;
	data = event->data;
	pthread_mutex_unlock(&f->lock);
	if (due)
		send(f, irq, addr, data);
}

/*
 * IQERCD's fields are valid while their error is set, and tell of the first
 * one (11.4.9.9).
 */
void vtd_error(struct vtd_front *f, uint32_t error, uint64_t field,
	       uint64_t info)
{
	pthread_mutex_lock(&f->lock);
	if (!(f->fsts & error)) {
		f->iqercd = (f->iqercd & ~field) | field_prep(field, info);
		vtd_condition_locked(f, VTD_IRQ_FAULT);
		store_release(&f->fsts, f->fsts | error);
	}
	pthread_mutex_unlock(&f->lock);
	vtd_deliver(f, VTD_IRQ_FAULT);
}

void vtd_front_ice(struct vtd_front *f, uint16_t sid)
{
	vtd_error(f, VTD_FSTS_ICE, VTD_IQERCD_ICESID, sid);
}

/* Fault reasons of interrupts: FI has the index in its upper bits */
static bool is_interrupt_fault(uint8_t reason)
{
	return reason >= 0x20 && reason < 0x30;
}

/* Bits above the widest address that is translated are reserved. */
static uint64_t address_bits(const struct vtd_id *id)
{
	uint64_t widths = field_get(VTD_CAP_SAGAW, id->cap) << 8;

	if ((widths & VTD_SAGAW_57) || (id->cap & VTD_CAP_FS5LP))
		return low_mask(57);
	if ((widths & VTD_SAGAW_48) || (id->ecap & VTD_ECAP_FSTS))
		return low_mask(48);
	return low_mask(39);
}

static uint64_t record_info(const struct vtd_front *f,
			    const struct vtd_fault *fault)
{
	uint64_t bits = VTD_FRCD_0_FI;

	if (!is_interrupt_fault(fault->reason))
		bits &= address_bits(&f->id);
	return fault->info & bits;
}

/* What needs PASIDs or device TLBs is reserved without them. */
static uint64_t record_high(const struct vtd_front *f,
			    const struct vtd_fault *fault)
{
	uint64_t high = VTD_FRCD_1_F | fault->sid |
			field_prep(VTD_FRCD_1_FR, fault->reason);

	if (fault->request & VTD_REQUEST_READ)
		high |= VTD_FRCD_1_T1;
	if (fault->request & VTD_REQUEST_PAGE)
		high |= VTD_FRCD_1_T2;
	if (f->id.ecap & VTD_ECAP_DT)
		high |= field_prep(VTD_FRCD_1_AT, fault->at);
	if (!(f->id.ecap & VTD_ECAP_PASID) || !fault->pasid_valid)
		return high;
	high |= VTD_FRCD_1_PP | field_prep(VTD_FRCD_1_PV, fault->pasid);
	if (fault->exe)
		high |= VTD_FRCD_1_EXE;
	if (fault->priv)
		high |= VTD_FRCD_1_PRIV;
	return high;
}

/* Compression: one pending record per requester (7.2.1) */
static bool is_pending(const struct vtd_front *f, uint16_t sid)
{
	for (uint32_t i = 0; f->fault_pending && i < f->fault_count; i++) {
		uint64_t high = f->faults[i].high;

		if ((high & VTD_FRCD_1_F) &&
		    field_get(VTD_FRCD_1_SID, high) == sid)
			return true;
	}
	return false;
}

/* False if it is lost or merged */
static bool record_locked(struct vtd_front *f, const struct vtd_fault *fault)
{
	uint32_t n = f->fault_next;

	if ((f->fsts & VTD_FSTS_PFO) || is_pending(f, fault->sid))
		return false;
	if (f->faults[n].high & VTD_FRCD_1_F) {
		store_release(&f->fsts, f->fsts | (uint32_t)VTD_FSTS_PFO);
		return false;
	}
	vtd_condition_locked(f, VTD_IRQ_FAULT);
	f->faults[n].info = record_info(f, fault);
	f->faults[n].high = record_high(f, fault);
	if (!f->fault_pending++)
		f->fault_first = n;
	f->fault_next = (n + 1) % f->fault_count;
	return true;
}

bool vtd_front_fault(struct vtd_front *f, const struct vtd_fault *fault)
{
	bool recorded;

	pthread_mutex_lock(&f->lock);
	recorded = record_locked(f, fault);
	pthread_mutex_unlock(&f->lock);
	if (recorded)
		vtd_deliver(f, VTD_IRQ_FAULT);
	return recorded;
}

void vtd_fault_clear_locked(struct vtd_front *f, uint32_t n)
{
	struct fault_record *record = &f->faults[n];

	if (!(record->high & VTD_FRCD_1_F))
		return;
	record->high &= ~VTD_FRCD_1_F;
	f->fault_pending--;
	vtd_serviced_locked(f, VTD_IRQ_FAULT);
}
