// SPDX-License-Identifier: MIT
/*
 * Spaces: what the guest's tables ask for becomes an attachment.
 *
 *	first stage	a nested HWPT of its own (IOMMU_HWPT_DATA_VTD_S1)
 *	pass-through	the parent HWPT, as everything while TE is 0
 *	second stage	the IOAS of a shadow
 *	nothing valid	an IOAS with nothing in it; a PASID is detached
 *
 * What the host refuses is blocked and tried again when the guest next names
 * it. VT-d has no event queue of a vIOMMU, so the guest is not told of DMA that
 * aborts.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "hwdef/vtd_regs.h"
#include "viommu/vtd/vtd.h"

#define RUN_FIRST_ROOM 16u

struct vvtd_device *vvtd_device_find(struct vvtd *vvtd, uint16_t sid)
{
	struct itree_node *node = itree_first(&vvtd->devices, sid, sid);

	return node ? container_of(node, struct vvtd_device, node) : NULL;
}

struct vvtd_space *vvtd_space_find(const struct vvtd_device *device,
				   uint32_t pasid)
{
	struct itree_node *node = itree_first(&device->pasids, pasid, pasid);

	return node ? container_of(node, struct vvtd_space, by_pasid) : NULL;
}

static void space_init(struct vvtd *vvtd, struct vvtd_space *space,
		       struct vvtd_device *device)
{
	space->device = device;
	viommu_run_init(&space->run, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
			vvtd->entry_size);
}

static bool wants_equal(const struct vvtd_want *a, const struct vvtd_want *b)
{
	return a->kind == b->kind && a->did == b->did &&
	       a->levels == b->levels && a->root == b->root &&
	       a->flags == b->flags;
}

static bool has_pasids(const struct vvtd_device *device)
{
	return device->config.attach_pasid;
}

/* Linux attaches PASIDs only beside HWPTs that were made for it. */
static uint32_t hwpt_flags(const struct vvtd_device *device)
{
	return has_pasids(device) ? IOMMU_HWPT_ALLOC_PASID : 0;
}

static int hwpt_alloc(struct vvtd *vvtd, const struct vvtd_device *device,
		      struct iommu_hwpt_alloc *arg, uint32_t *hwpt_id)
{
	int rc;

	arg->size = sizeof(*arg);
	arg->flags = hwpt_flags(device);
	arg->dev_id = device->config.dev_id;
	rc = vvtd_call(vvtd, IOMMU_HWPT_ALLOC, arg);
	if (!rc)
		*hwpt_id = arg->out_hwpt_id;
	return rc;
}

static int alloc_nested(struct vvtd *vvtd, const struct vvtd_device *device,
			const struct vvtd_want *want, uint32_t *hwpt_id)
{
	struct iommu_hwpt_vtd_s1 data = {
		.flags = want->flags,
		.pgtbl_addr = want->root,
		.addr_width = 12 + 9u * want->levels,
	};
	struct iommu_hwpt_alloc arg = {
		.pt_id = vvtd->base.parent_hwpt,
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};

	return hwpt_alloc(vvtd, device, &arg, hwpt_id);
}

static int alloc_paging(struct vvtd *vvtd, const struct vvtd_device *device,
			uint32_t ioas_id, uint32_t *hwpt_id)
{
	struct iommu_hwpt_alloc arg = { .pt_id = ioas_id };

	return hwpt_alloc(vvtd, device, &arg, hwpt_id);
}

/* @pt_id 0: detached, which only a PASID can be */
static int attach(struct vvtd *vvtd, const struct vvtd_space *space,
		  uint32_t pt_id)
{
	const struct nestfd_viommu_device *config = &space->device->config;

	vvtd_spend(vvtd, VVTD_COST_CALL);
	viommu_count(&vvtd->base.counters.other_ioctls, 1);
	if (space->rid)
		return config->attach(config->ctx, pt_id);
	return config->attach_pasid(config->ctx, space->pasid, pt_id);
}

/* What a space holds: a HWPT made for it, a domain with its shadow */
struct holding {
	uint32_t hwpt_id;
	struct vvtd_domain *domain;
};

static void let_go(struct vvtd *vvtd, const struct holding *holding)
{
	vvtd_destroy_object(vvtd, holding->hwpt_id);
	if (holding->domain)
		vvtd_domain_put(vvtd, holding->domain);
}

static int obtain_shadow(struct vvtd *vvtd, const struct vvtd_space *space,
			 const struct vvtd_want *want,
			 const struct vvtd_device *owner,
			 struct holding *holding, uint32_t *pt_id)
{
	int rc;

	holding->domain = vvtd_domain_get(vvtd, want, owner, &rc);
	if (!holding->domain)
		return rc;
	*pt_id = holding->domain->shadow->ioas_id;
	if (!has_pasids(space->device))
		return 0;
	rc = alloc_paging(vvtd, space->device, *pt_id, &holding->hwpt_id);
	*pt_id = holding->hwpt_id;
	return rc;
}

/* What to attach for @want; @owner: see vvtd_domain_get() */
static int obtain(struct vvtd *vvtd, struct vvtd_space *space,
		  const struct vvtd_want *want, const struct vvtd_device *owner,
		  struct holding *holding, uint32_t *pt_id)
{
	const struct vvtd_device *device = space->device;
	int rc = 0;

	switch (want->kind) {
	case VVTD_PASS:
		*pt_id = vvtd->base.parent_hwpt;
		return 0;
	case VVTD_NESTED:
		if (!space->run.room)
			rc = viommu_run_reserve(&space->run, RUN_FIRST_ROOM);
		if (!rc)
			rc = alloc_nested(vvtd, device, want,
					  &holding->hwpt_id);
		*pt_id = holding->hwpt_id;
		return rc;
	case VVTD_SHADOW:
		return obtain_shadow(vvtd, space, want, owner, holding, pt_id);
	default:
		return -EINVAL;
	}
}

/* Invalidations of a HWPT that nothing is attached to any more are moot. */
static void forget_run(struct vvtd *vvtd, struct vvtd_space *space)
{
	viommu_run_clear(&space->run);
	space->everything = false;
	if (space->dirty)
		TAILQ_REMOVE(&vvtd->dirty_spaces, space, dirty_link);
	space->dirty = false;
}

/*
 * @holding is attached now: it takes the place of what was. The host empties
 * the device's TLB of that.
 */
static void replace(struct vvtd *vvtd, struct vvtd_space *space,
		    const struct vvtd_want *want, const struct holding *holding)
{
	struct holding old = { space->hwpt_id, space->domain };

	forget_run(vvtd, space);
	vvtd_stale_remove(vvtd, space, 0, UINT64_MAX);
	if (space->now.kind == VVTD_NESTED)
		itree_remove(&vvtd->spaces, &space->by_id);
	space->now = *want;
	space->hwpt_id = holding->hwpt_id;
	space->domain = holding->domain;
	space->run.hwpt_id = holding->hwpt_id;
	if (want->kind == VVTD_NESTED) {
		space->by_id.first = (uint64_t)want->did << 20 | space->pasid;
		space->by_id.last = space->by_id.first;
		itree_insert(&vvtd->spaces, &space->by_id);
	}
	let_go(vvtd, &old);
}

/* Fails only if what was attached still is. */
static int block(struct vvtd *vvtd, struct vvtd_space *space,
		 enum vvtd_kind kind)
{
	struct vvtd_want want = { .kind = kind };
	struct holding none = { 0 };
	int rc;

	rc = attach(vvtd, space, space->rid ? space->device->block_hwpt : 0);
	if (!rc)
		replace(vvtd, space, &want, &none);
	return rc;
}

static int establish_for(struct vvtd *vvtd, struct vvtd_space *space,
			 const struct vvtd_want *want,
			 const struct vvtd_device *owner)
{
	struct holding holding = { 0 };
	uint32_t pt_id = 0;
	int rc;

	rc = obtain(vvtd, space, want, owner, &holding, &pt_id);
	if (!rc)
		rc = attach(vvtd, space, pt_id);
	if (rc)
		let_go(vvtd, &holding);
	else
		replace(vvtd, space, want, &holding);
	return rc;
}

/*
 * EADDRINUSE: leaves lie where the host reserves addresses for this device, or
 * beyond those it has. Then the device has a shadow of its own, which it is
 * attached to before there is anything in it: the host knows now which leaves
 * to refuse.
 */
static int establish(struct vvtd *vvtd, struct vvtd_space *space,
		     const struct vvtd_want *want)
{
	int rc = -EADDRINUSE;

	if (want->kind != VVTD_SHADOW ||
	    !vvtd_has_own_shadow(vvtd, want, space->device))
		rc = establish_for(vvtd, space, want, NULL);
	if (rc != -EADDRINUSE || want->kind != VVTD_SHADOW)
		return rc;
	rc = establish_for(vvtd, space, want, space->device);
	if (!rc && space->domain->shadow->dirty)
		(void)vvtd_shadow_sync(vvtd, space->domain->shadow);
	return rc;
}

/*
 * Other descriptors of the span tell of nothing newer, and a shadow is much to
 * fill for each of them, or for each slice, if then it cannot be attached.
 */
static bool is_refused(const struct vvtd *vvtd, const struct vvtd_space *space,
		       const struct vvtd_want *want)
{
	return space->refused_in == vvtd->piece &&
	       wants_equal(&space->refused, want);
}

/*
 * A PASID that is detached stays so without a call. What the host could not do
 * counts as NOTHING, so that it is tried again in another piece.
 */
static int apply(struct vvtd *vvtd, struct vvtd_space *space,
		 const struct vvtd_want *want)
{
	bool refused = is_refused(vvtd, space, want);

	if (wants_equal(&space->now, want) ||
	    (refused && space->now.kind == VVTD_NOTHING))
		return 0;
	if (!vvtd->slice)
		return VVTD_LEFT;
	if (want->kind == VVTD_BLOCK)
		return block(vvtd, space, VVTD_BLOCK);
	if (!refused) {
		if (!establish(vvtd, space, want))
			return 0;
		space->refused = *want;
		space->refused_in = vvtd->piece;
	}
	if (space->now.kind == VVTD_NOTHING)
		return 0; /* as before */
	return block(vvtd, space, VVTD_NOTHING);
}

/* ---- spaces of PASIDs ---- */

static int drop_pasid(struct vvtd *vvtd, struct vvtd_space *space)
{
	int rc = 0;

	if (!vvtd->slice)
		return VVTD_LEFT;
	if (space->now.kind != VVTD_NOTHING)
		rc = block(vvtd, space, VVTD_NOTHING);
	if (rc)
		return rc;
	itree_remove(&space->device->pasids, &space->by_pasid);
	space->device->npasids--;
	viommu_run_free(&space->run);
	free(space);
	return 0;
}

static struct vvtd_space *make_pasid(struct vvtd *vvtd,
				     struct vvtd_device *device, uint32_t pasid)
{
	struct vvtd_space *space;

	if (device->npasids == VVTD_PASIDS)
		return NULL;
	space = alloc_zero(sizeof(*space));
	if (!space)
		return NULL;
	space_init(vvtd, space, device);
	space->pasid = pasid;
	space->by_pasid.first = pasid;
	space->by_pasid.last = pasid;
	itree_insert(&device->pasids, &space->by_pasid);
	device->npasids++;
	return space;
}

/* Blocked PASIDs have no space: they are not attached. */
static int follow_pasid(struct vvtd *vvtd, struct vvtd_device *device,
			uint32_t pasid, const struct vvtd_want *want)
{
	struct vvtd_space *space = vvtd_space_find(device, pasid);

	if (want->kind == VVTD_BLOCK)
		return space ? drop_pasid(vvtd, space) : 0;
	if (!space)
		space = make_pasid(vvtd, device, pasid);
	if (!space)
		return 0; /* it is detached */
	space->look = vvtd->look;
	return apply(vvtd, space, want);
}

struct finding {
	struct vvtd *vvtd;
	struct vvtd_device *device;
	uint32_t rid_pasid;
	uint32_t present;
	int rc;
};

static bool found(void *ctx, uint32_t pasid, const struct vvtd_want *want)
{
	struct finding *finding = ctx;

	finding->present++;
	if (pasid != finding->rid_pasid)
		finding->rc = follow_pasid(finding->vvtd, finding->device,
					   pasid, want);
	return !finding->rc;
}

/* Those that the last look did not find */
static int drop_pasids(struct vvtd *vvtd, struct vvtd_device *device)
{
	struct itree_node *node, *next;
	int rc = 0;

	for (node = itree_from(&device->pasids, 0); node && !rc; node = next) {
		struct vvtd_space *space =
			container_of(node, struct vvtd_space, by_pasid);

		next = itree_succ(node);
		if (space->look != vvtd->look)
			rc = drop_pasid(vvtd, space);
	}
	return rc;
}

static int follow_pasids(struct vvtd *vvtd, struct vvtd_device *device,
			 const struct vvtd_context *context)
{
	struct finding finding = {
		.vvtd = vvtd,
		.device = device,
		.rid_pasid = context->rid_pasid,
	};
	int rc = 0;

	vvtd->look++;
	if (has_pasids(device) && context->pasids)
		rc = vvtd_pasids_load(vvtd, context, found, &finding);
	if (finding.rc || rc)
		return finding.rc ? finding.rc : rc;
	rc = drop_pasids(vvtd, device);
	/* when all is done, or a slice might never be enough for it */
	if (!rc)
		vvtd_spend(vvtd, finding.present * VVTD_COST_PASID);
	return rc;
}

/* ---- devices ---- */

/* False: blocked altogether. With translation off everything passes. */
static bool load(struct vvtd *vvtd, const struct vvtd_device *device,
		 struct vvtd_context *context)
{
	struct vtd_regs regs;

	vtd_front_regs(vvtd->front, &regs);
	if (regs.enabled & VTD_GCMD_TE)
		return vvtd_context_load(vvtd, &regs,
					 (uint16_t)device->node.first, context);
	*context = (struct vvtd_context){ .rid.kind = VVTD_PASS };
	return true;
}

static int follow_rid(struct vvtd *vvtd, struct vvtd_device *device,
		      const struct vvtd_context *context)
{
	struct vvtd_want want = context->rid;

	if (context->scalable)
		vvtd_pasid_load(vvtd, context, context->rid_pasid, &want);
	if (device->rid.pasid != context->rid_pasid) {
		/* tags and the place among the spaces change with it */
		int rc = block(vvtd, &device->rid, VVTD_NOTHING);

		if (rc)
			return rc;
		device->rid.pasid = context->rid_pasid;
	}
	return apply(vvtd, &device->rid, &want);
}

int vvtd_device_follow(struct vvtd *vvtd, struct vvtd_device *device)
{
	struct vvtd_context context;
	int rc, rc_pasids;

	if (!load(vvtd, device, &context))
		context = (struct vvtd_context){ .rid.kind = VVTD_BLOCK };
	vvtd_spend(vvtd, VVTD_COST_TABLE);
	device->ats = context.ats;
	if (!device->ats) {
		/* with ATS off a device has no TLB */
		device->ite.held = false;
		device->ice.held = false;
	}
	rc = follow_rid(vvtd, device, &context);
	rc_pasids = follow_pasids(vvtd, device, &context);
	return rc ? rc : rc_pasids;
}

int vvtd_device_follow_pasid(struct vvtd *vvtd, struct vvtd_device *device,
			     uint32_t pasid)
{
	struct vvtd_context context;
	struct vvtd_want want;

	vvtd_spend(vvtd, VVTD_COST_PASID);
	if (!load(vvtd, device, &context) || !context.scalable)
		return vvtd_device_follow(vvtd, device);
	if (pasid == context.rid_pasid)
		return follow_rid(vvtd, device, &context);
	if (!has_pasids(device) || pasid >= context.pasids)
		return 0;
	vvtd_pasid_load(vvtd, &context, pasid, &want);
	return follow_pasid(vvtd, device, pasid, &want);
}

int vvtd_follow_all(struct vvtd *vvtd)
{
	struct itree_node *node;
	int rc = 0, one;

	for (node = itree_from(&vvtd->devices, 0); node;
	     node = itree_succ(node)) {
		one = vvtd_device_follow(
			vvtd, container_of(node, struct vvtd_device, node));
		rc = rc ? rc : one;
	}
	return rc;
}

/* On failures there is nothing left to try: the host's objects stay. */
void vvtd_device_end(struct vvtd *vvtd, struct vvtd_device *device)
{
	struct vvtd_want pass = { .kind = VVTD_PASS };
	struct holding none = { 0 };
	struct itree_node *node;

	while ((node = itree_from(&device->pasids, 0))) {
		struct vvtd_space *space =
			container_of(node, struct vvtd_space, by_pasid);

		if (drop_pasid(vvtd, space)) {
			replace(vvtd, space,
				&(struct vvtd_want){ .kind = VVTD_NOTHING },
				&none);
			drop_pasid(vvtd, space);
		}
	}
	attach(vvtd, &device->rid, vvtd->base.parent_hwpt);
	replace(vvtd, &device->rid, &pass, &none);
	vvtd_destroy_object(vvtd, device->block_hwpt);
	viommu_run_free(&device->rid.run);
}

int vvtd_device_start(struct vvtd *vvtd, struct vvtd_device *device)
{
	int rc;

	device->rid.rid = true;
	space_init(vvtd, &device->rid, device);
	rc = alloc_paging(vvtd, device, vvtd->block_ioas, &device->block_hwpt);
	if (rc)
		return rc;
	vvtd_begin(vvtd);
	rc = vvtd_device_follow(vvtd, device);
	/* the host did not take it, so nobody knows what it may do now */
	if (!rc && device->rid.now.kind == VVTD_NOTHING)
		rc = block(vvtd, &device->rid, VVTD_NOTHING);
	if (rc)
		vvtd_device_end(vvtd, device);
	return rc;
}
