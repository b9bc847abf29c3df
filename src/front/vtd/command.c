// SPDX-License-Identifier: MIT
/*
 * Register-based invalidation, VT-d 6.5.1 and 11.4.6: the registers are turned
 * into the descriptor that asks for the same, so that one decoder judges both.
 *
 * An error (actual granularity 0) is a request while queued invalidation is
 * enabled, in another mode than legacy, or to a unit of major version 6 or
 * higher; the command bit is set meanwhile, and the registers keep still.
 */
#include "front/vtd/internal.h"

static bool is_allowed(const struct vtd_front *f)
{
	return !((load_acquire(&f->regs.enabled) | load_acquire(&f->gsts)) &
		 VTD_GCMD_QIE) &&
	       vtd_ttm(f) == VTD_TTM_LEGACY &&
	       field_get(VTD_VER_MAJ, f->id.ver) < 6 && f->ops.invalidate;
}

static unsigned int invalidate(struct vtd_front *f, const uint64_t dw[4])
{
	struct vtd_desc desc;

	if (!is_allowed(f) || vtd_decode(dw, &f->id, VTD_TTM_LEGACY, &desc))
		return 0;
	return f->ops.invalidate(f->ctx, &desc);
}

static uint64_t move(uint64_t to, uint64_t from, uint64_t reg)
{
	return field_prep(to, field_get(from, reg));
}

void vtd_invalidate_context(struct vtd_front *f)
{
	uint64_t dw[4] = { VTD_QI_CONTEXT };
	unsigned int done;

	pthread_mutex_lock(&f->lock);
	dw[0] |= move(VTD_QI_CONTEXT_0_G, VTD_CCMD_CIRG, f->ccmd) |
		 move(VTD_QI_CONTEXT_0_DID, VTD_CCMD_DID, f->ccmd) |
		 move(VTD_QI_CONTEXT_0_SID, VTD_CCMD_SID, f->ccmd) |
		 move(VTD_QI_CONTEXT_0_FM, VTD_CCMD_FM, f->ccmd);
	pthread_mutex_unlock(&f->lock);

	done = invalidate(f, dw);

	pthread_mutex_lock(&f->lock);
	f->ccmd &= ~(VTD_CCMD_ICC | VTD_CCMD_CAIG);
	f->ccmd |= field_prep(VTD_CCMD_CAIG, done);
	pthread_mutex_unlock(&f->lock);
}

/* Without page-selective invalidation the next coarser one is done (6.5.1.2) */
static uint64_t iotlb_granularity(const struct vtd_front *f)
{
	uint64_t gran = field_get(VTD_IOTLB_IIRG, f->iotlb);

	return gran == VTD_GRAN_PAGE && !(f->id.cap & VTD_CAP_PSI)
		       ? VTD_GRAN_DOMAIN
		       : gran;
}

void vtd_invalidate_iotlb(struct vtd_front *f)
{
	uint64_t dw[4] = { VTD_QI_IOTLB };
	unsigned int done;

	pthread_mutex_lock(&f->lock);
	dw[0] |= field_prep(VTD_QI_IOTLB_0_G, iotlb_granularity(f)) |
		 move(VTD_QI_IOTLB_0_DW, VTD_IOTLB_DW, f->iotlb) |
		 move(VTD_QI_IOTLB_0_DR, VTD_IOTLB_DR, f->iotlb) |
		 move(VTD_QI_IOTLB_0_DID, VTD_IOTLB_DID, f->iotlb);
	dw[1] = f->iva; /* laid out alike */
	pthread_mutex_unlock(&f->lock);

	done = invalidate(f, dw);

	pthread_mutex_lock(&f->lock);
	f->iotlb &= ~(VTD_IOTLB_IVT | VTD_IOTLB_IAIG);
	f->iotlb |= field_prep(VTD_IOTLB_IAIG, done);
	pthread_mutex_unlock(&f->lock);
}
