// SPDX-License-Identifier: MIT
/*
 * The sink of the guest's invalidation queue. What is to be forgotten is
 * gathered per nested HWPT and goes down in one ioctl each, at the end of what
 * the queue held; changed second-stage tables are compared with their shadows
 * then, and only then waits complete, in order. Changes of context and PASID
 * entries are followed at once and end no run.
 *
 * What reaches the ioctl (IOMMU_HWPT_INVALIDATE_DATA_VTD_S1):
 *
 *	P_IOTLB, page-selective		address, pages, leaf hint
 *	P_IOTLB, PASID-selective	everything of that PASID's HWPTs
 *	IOTLB, any granularity		everything of the domain's HWPTs, or of
 *					all (first-stage entries: table 23)
 *	device TLBs			nothing: the host invalidates them with
 *					the HWPT; after it failed to, the range
 *	IEC				nothing
 *
 * So it is an IOTLB invalidation that a device does not answer to, which the
 * guest can only understand of its own device-TLB invalidation. It is held
 * until that comes, then the next wait is aborted (6.5.2.11, ITE). Of a device
 * that the guest does not know to have a TLB, the next wait is; a guest whose
 * unit has no device TLBs (ECAP.DT) is told nothing. Told, the guest may send
 * its device-TLB invalidation again without that of the IOTLB, so from then on
 * that reaches the HWPT of which the device may still hold something, until one
 * has succeeded. Second-stage tables never come to this: the host itself
 * answers for device TLBs when it unmaps, so that no ITE is made of it.
 *
 * An invalidation that the host could not do stops the queue at its descriptor
 * with IQE, as one that cannot be fetched: its waits must not complete, and
 * when the guest has cleared IQE it is tried again.
 *
 * What stands behind a wait with FN set is not begun before that has completed
 * (6.5.2.12): a span ends with it.
 *
 * When a slice is spent (vtd.h) the queue pauses: in front of the context or
 * PASID cache invalidation that could not be followed to its end, or of the
 * first wait behind a change of a second-stage table that is not carried out.
 * The guest's next access to a register goes on, or nestfd_viommu_pump().
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <string.h>

#include "hwdef/vtd_regs.h"
#include "nestfd/ext.h"
#include "viommu/vtd/vtd.h"

#define PASIDS	 (1ULL << 20)
#define PAGE_LG2 12

/*
 * One span on its way; @ordered: the first command that only counts in order,
 * if there is one; @end: that at which something stops it
 */
struct span {
	struct vvtd *vvtd;
	uint32_t ordered;
	uint32_t end;
	enum vtd_stop stop;
	uint16_t info;
	bool paused;
	struct vvtd_paused resumed;
};

static void stop(struct span *span, uint32_t at, unsigned int iqei)
{
	if (at >= span->end)
		return;
	span->end = at;
	span->stop = VTD_STOP_IQE;
	span->info = (uint16_t)iqei;
}

/* Command @at, and what is behind it, comes again. */
static void pause_at(struct span *span, uint32_t at)
{
	span->paused = true;
	if (at >= span->end)
		return;
	span->end = at;
	span->stop = VTD_STOP_NONE;
}

/* ---- going down ---- */

static const struct nestfd_hwpt_vtd_s1_invalidate *
entry_at(const struct viommu_run *run, uint32_t index)
{
	return viommu_run_entry(run, index);
}

/* Linux gives no code; nestfd's is in the entry, which says the same. */
static bool is_silence(int rc, const struct relay_outcome *outcome)
{
	(void)outcome;
	return rc == -ETIMEDOUT;
}

static bool may_be_silent(const void *entry)
{
	(void)entry;
	return true;
}

struct submission {
	struct span *span;
	struct vvtd_space *space;
	uint32_t next; /* entry of which the device TLB's part is not known */
};

static uint64_t last_of(const struct nestfd_hwpt_vtd_s1_invalidate *entry)
{
	if (entry->npages == UINT64_MAX)
		return UINT64_MAX;
	return entry->addr + (entry->npages << PAGE_LG2) - 1;
}

static void fail_device_tlb(struct submission *submission, uint32_t end)
{
	struct vvtd_space *space = submission->space;

	for (; submission->next < end; submission->next++) {
		const struct nestfd_hwpt_vtd_s1_invalidate *entry =
			entry_at(&space->run, submission->next);

		vvtd_stale_add(submission->span->vvtd, space, entry->addr,
			       last_of(entry));
	}
}

static void pass_device_tlb(struct submission *submission, uint32_t end)
{
	struct vvtd_space *space = submission->space;

	for (; space->stale.count && submission->next < end;
	     submission->next++) {
		const struct nestfd_hwpt_vtd_s1_invalidate *entry =
			entry_at(&space->run, submission->next);

		vvtd_stale_remove(submission->span->vvtd, space, entry->addr,
				  last_of(entry));
	}
	submission->next = end;
}

/* Of a backend that is not exact it may be any behind as well. */
static void silent(void *ctx, const struct viommu_run *run, uint32_t index)
{
	struct submission *submission = ctx;
	struct vvtd_device *device = submission->space->device;
	struct vvtd *vvtd = submission->span->vvtd;

	vvtd_trouble_note(vvtd, device, &device->ite, run->map[index]);
	if (submission->next < index)
		pass_device_tlb(submission, index);
	fail_device_tlb(submission,
			relay_is_exact(&vvtd->base) ? index + 1 : run->count);
}

static const struct viommu_run_ops run_ops = {
	.is_silence = is_silence,
	.may_be_silent = may_be_silent,
	.silent = silent,
};

/* Invalid answers fail no ioctl: they are only in the entries. */
static void look_for_ice(struct vvtd *vvtd, struct vvtd_space *space)
{
	const struct viommu_run *run = &space->run;

	if (run->stride < sizeof(struct nestfd_hwpt_vtd_s1_invalidate))
		return;
	for (uint32_t i = 0; i < run->count; i++) {
		const struct nestfd_hwpt_vtd_s1_invalidate *entry =
			entry_at(run, i);

		if (entry->hw_error != NESTFD_ERR_VTD_ICE)
			continue;
		vvtd_trouble_note(vvtd, space->device, &space->device->ice,
				  run->map[i]);
		vvtd_stale_add(vvtd, space, entry->addr, last_of(entry));
	}
}

static void submit(struct span *span, struct vvtd_space *space,
		   enum nestfd_split why)
{
	struct submission submission = { span, space, 0 };
	struct vvtd *vvtd = span->vvtd;
	struct viommu_run_end end;

	vvtd_spend(vvtd, VVTD_COST_CALL + space->run.count / VVTD_INVALS_FOR);
	viommu_count(&vvtd->base.counters.splits[why], 1);
	end = viommu_run_submit(&vvtd->base, &space->run, &run_ops,
				&submission);
	if (end.at == VIOMMU_RUN_ALL)
		pass_device_tlb(&submission, space->run.count);
	look_for_ice(vvtd, space);
	viommu_run_clear(&space->run);
	space->everything = false;
	if (end.at != VIOMMU_RUN_ALL)
		stop(span, end.at, VTD_IQEI_FETCH);
}

static bool is_wait(uint64_t dw0)
{
	return field_get(VTD_QI_0_TYPE_LO, dw0) == VTD_QI_WAIT;
}

/* The first wait from @at on is not to complete. */
static void pause_wait(struct span *span, const uint64_t (*descs)[4],
		       uint32_t at)
{
	while (at < span->end && !is_wait(descs[at][0]))
		at++;
	pause_at(span, at);
}

/*
 * Those that the slice is enough for. What could not be taken away stops the
 * queue, and is tried again with the next span.
 */
static void flush_shadows(struct span *span, const uint64_t (*descs)[4])
{
	struct vvtd *vvtd = span->vvtd;
	struct vvtd_shadow *shadow, *next;

	for (shadow = TAILQ_FIRST(&vvtd->dirty_shadows); shadow;
	     shadow = next) {
		uint32_t at = shadow->ranges.at;
		int rc;

		next = TAILQ_NEXT(shadow, dirty_link);
		rc = vvtd_shadow_sync(vvtd, shadow);
		if (rc == VVTD_LEFT)
			pause_wait(span, descs, at);
		else if (rc)
			stop(span, at, VTD_IQEI_FETCH);
	}
}

/* All nested HWPTs that were gathered for; nothing is left, whatever failed. */
static void flush_spaces(struct span *span)
{
	struct vvtd *vvtd = span->vvtd;
	struct vvtd_space *space;

	while ((space = TAILQ_FIRST(&vvtd->dirty_spaces))) {
		TAILQ_REMOVE(&vvtd->dirty_spaces, space, dirty_link);
		space->dirty = false;
		submit(span, space, NESTFD_SPLIT_END);
	}
}

/* ---- gathering ---- */

/*
 * An entry of zeros, to be filled in where it lies: to copy one that has just
 * been made waits for the writes that made it.
 */
static struct iommu_hwpt_vtd_s1_invalidate *
gather(struct span *span, struct vvtd_space *space, uint32_t at)
{
	static const struct nestfd_hwpt_vtd_s1_invalidate none;
	struct viommu_run *run = &space->run;
	struct vvtd *vvtd = span->vvtd;

	if (!viommu_run_add(run, &none, at)) {
		/* there is room in an empty one: reserved with its HWPT */
		submit(span, space, NESTFD_SPLIT_LIMIT);
		viommu_run_add(run, &none, at);
	}
	if (!space->dirty)
		TAILQ_INSERT_TAIL(&vvtd->dirty_spaces, space, dirty_link);
	space->dirty = true;
	return viommu_run_entry(run, run->count - 1);
}

/* Takes the place of what was gathered, from the first such command on. */
static void gather_everything(struct span *span, struct vvtd_space *space,
			      uint32_t at)
{
	if (space->everything)
		return;
	if (space->run.count)
		at = space->run.map[0];
	viommu_run_clear(&space->run);
	gather(span, space, at)->npages = UINT64_MAX;
	space->everything = true;
}

/* Inline, as it is nearly all of what a P_IOTLB costs here */
static inline void gather_range(struct span *span, struct vvtd_space *space,
				const struct vtd_desc *desc, uint32_t at)
{
	struct iommu_hwpt_vtd_s1_invalidate *entry;

	if (space->everything)
		return;
	if (!desc->first && desc->last == UINT64_MAX) {
		gather_everything(span, space, at);
		return;
	}
	entry = gather(span, space, at);
	entry->addr = desc->first;
	entry->npages = ((desc->last - desc->first) >> PAGE_LG2) + 1;
	entry->flags = desc->ih ? IOMMU_VTD_INV_FLAGS_LEAF : 0;
}

static void gather_spaces(struct span *span, uint64_t first, uint64_t last,
			  const struct vtd_desc *range, uint32_t at)
{
	struct itree_node *node;

	for (node = itree_first(&span->vvtd->spaces, first, last); node;
	     node = itree_next(node, first, last)) {
		struct vvtd_space *space =
			container_of(node, struct vvtd_space, by_id);

		if (range)
			gather_range(span, space, range, at);
		else
			gather_everything(span, space, at);
	}
}

static void piotlb(struct span *span, const struct vtd_desc *desc, uint32_t at)
{
	uint64_t id = desc->did * PASIDS + desc->pasid;

	gather_spaces(span, id, id,
		      desc->gran == VTD_QI_PIOTLB_G_PAGE ? desc : NULL, at);
}

/* Has all of @did been forgotten in this span? From now on it has. */
static bool cover(struct vvtd *vvtd, uint32_t did, bool shadows)
{
	struct vvtd_covered *c = &vvtd->covered[VVTD_COVERED];
	bool again;

	if (c->cover == vvtd->cover && (c->shadows || !shadows))
		return true;
	if (did != VVTD_EVERY_DID)
		c = &vvtd->covered[did % VVTD_COVERED];
	again = c->cover == vvtd->cover && c->did == did;
	if (again && (c->shadows || !shadows))
		return true;
	*c = (struct vvtd_covered){ vvtd->cover, did, shadows };
	return false;
}

/*
 * Pages of so many shadows are dearer than all of them once, which for the rest
 * of the span they then are.
 */
static void iotlb_shadows(struct span *span, const struct vtd_desc *desc,
			  uint32_t did, uint32_t last_did, bool whole,
			  uint32_t at)
{
	uint64_t first = (uint64_t)did << 32;
	uint64_t last = (uint64_t)last_did << 32 | UINT32_MAX;
	struct vvtd *vvtd = span->vvtd;
	struct itree_node *node;
	uint32_t n = 0;

	for (node = itree_first(&vvtd->domains, first, last); node;
	     node = itree_next(node, first, last), n++) {
		struct vvtd_domain *domain =
			container_of(node, struct vvtd_domain, by_id);

		if (whole)
			vvtd_shadow_invalidate(vvtd, domain->shadow, 0,
					       UINT64_MAX, at);
		else
			vvtd_shadow_invalidate(vvtd, domain->shadow,
					       desc->first, desc->last, at);
	}
	if (!whole)
		vvtd->visits += n;
	vvtd_spend(vvtd, n / VVTD_VISITS_FOR);
}

static void iotlb(struct span *span, const struct vtd_desc *desc, uint32_t at)
{
	bool all = desc->gran == VTD_GRAN_GLOBAL;
	struct vvtd *vvtd = span->vvtd;
	bool whole = (!desc->first && desc->last == UINT64_MAX) ||
		     vvtd->visits >= VVTD_VISITS;
	uint32_t first = all ? 0 : desc->did;
	uint32_t last = all ? UINT16_MAX : desc->did;

	if (!cover(vvtd, all ? VVTD_EVERY_DID : desc->did, whole))
		gather_spaces(span, first * PASIDS, last * PASIDS + PASIDS - 1,
			      NULL, at);
	else if (whole)
		return;
	iotlb_shadows(span, desc, first, last, whole, at);
}

/* @range: NULL for everything */
static void again(struct span *span, struct vvtd_space *space,
		  const struct vtd_desc *range, uint32_t at)
{
	if (!space || !space->stale.count)
		return;
	if (range)
		gather_range(span, space, range, at);
	else
		gather_everything(span, space, at);
}

/* Once for a span, as cover(): so many PASIDs would be too many pages. */
static void again_all(struct span *span, struct vvtd_device *device,
		      uint32_t at)
{
	struct itree_node *node;

	if (device->cover == span->vvtd->cover)
		return;
	device->cover = span->vvtd->cover;
	again(span, &device->rid, NULL, at);
	for (node = itree_from(&device->pasids, 0); node;
	     node = itree_succ(node))
		again(span, container_of(node, struct vvtd_space, by_pasid),
		      NULL, at);
}

/*
 * 6.5.2.5, 6.5.2.6: requests without PASID, those of one, all. While a failure
 * is held this is the invalidation that the guest will be told of.
 */
static void device_tlb(struct span *span, const struct vtd_desc *desc,
		       uint32_t at)
{
	struct vvtd_device *device;

	if (!span->vvtd->stale)
		return;
	device = vvtd_device_find(span->vvtd, desc->sid);
	if (!device || device->ite.held || device->ice.held)
		return;
	if (desc->global)
		again_all(span, device, at);
	else if (desc->has_pasid)
		again(span, vvtd_space_find(device, desc->pasid), desc, at);
	else
		again(span, &device->rid, desc, at);
}

/* ---- following the guest's tables ---- */

/*
 * The descriptors of a span were all in the queue when it was copied, and so
 * were the tables in memory: one look at all of a device is enough per span.
 * @from: devices in front of it have followed this very descriptor. VVTD_LEFT:
 * *@end is where it goes on.
 */
static int follow_devices(struct vvtd *vvtd, const struct vtd_desc *desc,
			  uint32_t from, uint32_t *end)
{
	bool one =
		desc->type == VTD_QI_CONTEXT && desc->gran == VTD_GRAN_DEVICE;
	uint32_t first = one ? desc->sid & ~7u : 0;
	uint32_t last = one ? desc->sid | 7u : UINT16_MAX;
	struct itree_node *node;
	int rc = 0;

	if (from > first)
		first = from;
	for (node = itree_first(&vvtd->devices, first, last); node && !rc;
	     node = itree_next(node, first, last)) {
		struct vvtd_device *device =
			container_of(node, struct vvtd_device, node);

		if (device->span == vvtd->span ||
		    (one && ((node->first ^ desc->sid) &
			     (uint16_t)~desc->sid_ignored)))
			continue;
		rc = vvtd_device_follow(vvtd, device);
		if (!rc)
			device->span = vvtd->span;
		*end = (uint32_t)node->first;
	}
	if (!rc && !one && !from)
		vvtd->whole = vvtd->span;
	return rc;
}

/* On every device: many PASIDs one by one are dearer than all of them once. */
static int follow_pasid(struct vvtd *vvtd, uint32_t pasid)
{
	struct itree_node *node;
	int rc = 0;

	vvtd->named++;
	for (node = itree_from(&vvtd->devices, 0); node && !rc;
	     node = itree_succ(node)) {
		struct vvtd_device *device =
			container_of(node, struct vvtd_device, node);

		if (device->span != vvtd->span)
			rc = vvtd_device_follow_pasid(vvtd, device, pasid);
	}
	return rc;
}

/* Where the one at the head of the queue goes on, if it is the same. */
static uint32_t follow_from(const struct span *span,
			    const struct vtd_desc *desc, uint32_t at)
{
	const struct vvtd_paused *resumed = &span->resumed;

	if (at || resumed->type != desc->type || resumed->gran != desc->gran ||
	    resumed->sid != desc->sid)
		return 0;
	return resumed->from;
}

/* Context and PASID cache */
static int follow(struct span *span, const struct vtd_desc *desc, uint32_t at)
{
	uint32_t from = follow_from(span, desc, at);
	struct vvtd *vvtd = span->vvtd;
	uint32_t end = 0;
	int rc;

	if (vvtd->whole == vvtd->span)
		return 0;
	if (desc->type == VTD_QI_PASID_CACHE &&
	    desc->gran == VTD_QI_PASID_G_PASID && !from &&
	    vvtd->named < VVTD_NAMED)
		return follow_pasid(vvtd, desc->pasid);
	rc = follow_devices(vvtd, desc, from, &end);
	if (rc == VVTD_LEFT)
		vvtd->paused = (struct vvtd_paused){
			.from = end,
			.at = at,
			.type = desc->type,
			.gran = desc->gran,
			.sid = desc->sid,
		};
	return rc;
}

/* ---- spans ---- */

/* When the others are done */
static void in_order(struct span *span, uint32_t at)
{
	if (at < span->ordered)
		span->ordered = at;
}

static void execute(struct span *span, uint32_t at, const struct vtd_desc *desc)
{
	int rc = 0;

	span->vvtd->at = at;
	switch (desc->type) {
	case VTD_QI_CONTEXT:
	case VTD_QI_PASID_CACHE:
		rc = follow(span, desc, at);
		break;
	case VTD_QI_IOTLB:
		iotlb(span, desc, at);
		break;
	case VTD_QI_PIOTLB:
		piotlb(span, desc, at);
		break;
	case VTD_QI_DEV_TLB:
	case VTD_QI_PDEV_TLB:
		device_tlb(span, desc, at);
		in_order(span, at);
		break;
	case VTD_QI_WAIT:
		in_order(span, at);
		if (desc->fence)
			span->end = at + 1;
		break;
	default:
		break;
	}
	if (rc == VVTD_LEFT)
		pause_at(span, at);
	else if (rc)
		stop(span, at, VTD_IQEI_FETCH);
}

static void begin_span(struct vvtd *vvtd)
{
	vvtd->span++;
	vvtd->at = 0;
	vvtd->named = 0;
	vvtd->visits = 0;
	vvtd->cover++;
}

static void begin_piece(struct vvtd *vvtd)
{
	vvtd->piece++;
	vvtd->tables = VVTD_TABLES;
	vvtd->tries = VVTD_TRIES;
}

void vvtd_begin(struct vvtd *vvtd)
{
	begin_span(vvtd);
	begin_piece(vvtd);
}

void vvtd_sync_shadows(struct vvtd *vvtd)
{
	struct vvtd_shadow *shadow, *next;

	for (shadow = TAILQ_FIRST(&vvtd->dirty_shadows); shadow;
	     shadow = next) {
		next = TAILQ_NEXT(shadow, dirty_link);
		(void)vvtd_shadow_sync(vvtd, shadow);
	}
}

/* What is left is of commands that stand in front of all that now come. */
static void age(struct vvtd *vvtd)
{
	struct vvtd_shadow *shadow;

	TAILQ_FOREACH (shadow, &vvtd->dirty_shadows, dirty_link) {
		shadow->ranges.at = 0;
	}
	vvtd_trouble_age(vvtd);
}

/*
 * Of a piece that is unfinished this is the next slice. False: this access has
 * spent its slice.
 */
static bool begin_slice(struct span *span)
{
	struct vvtd *vvtd = span->vvtd;

	if (vvtd_is_new_access(vvtd))
		vvtd->rest = VVTD_SLICE;
	if (!vvtd->rest)
		return false;
	begin_span(vvtd);
	if (!vvtd->unfinished)
		begin_piece(vvtd);
	age(vvtd);
	vvtd->slice = vvtd->rest;
	span->resumed = vvtd->paused;
	vvtd->paused.from = 0;
	return true;
}

static void end_slice(struct span *span)
{
	struct vvtd *vvtd = span->vvtd;

	vvtd->rest = vvtd->slice;
	vvtd->slice = VVTD_NO_SLICE;
	vvtd->unfinished = span->paused;
	if (vvtd->paused.at != span->end)
		vvtd->paused.from = 0; /* another is the head now */
	atomic_store_explicit(&vvtd->left, span->paused, memory_order_release);
}

/*
 * What earlier slices left of shadows comes before anything new takes of this
 * one, or a guest's queue might never end; then nothing is executed, and the
 * head goes on where it was. What fails is met again behind the commands: they
 * may put an end to it.
 */
static void finish_shadows(struct span *span)
{
	struct vvtd *vvtd = span->vvtd;
	struct vvtd_shadow *shadow, *next;

	for (shadow = TAILQ_FIRST(&vvtd->dirty_shadows); shadow;
	     shadow = next) {
		next = TAILQ_NEXT(shadow, dirty_link);
		if (vvtd_shadow_sync(vvtd, shadow) == VVTD_LEFT)
			pause_at(span, 0);
	}
	if (!span->paused)
		return;
	vvtd->paused = span->resumed;
	vvtd->paused.at = 0;
}

static void run(struct span *span, const uint64_t (*descs)[4])
{
	struct vvtd *vvtd = span->vvtd;
	struct vtd_desc desc;
	unsigned int iqei;

	finish_shadows(span);
	if (span->paused) {
		end_slice(span);
		return;
	}
	for (uint32_t i = 0; i < span->end; i++) {
		iqei = vtd_front_decode(vvtd->front, descs[i], &desc);
		if (iqei)
			stop(span, i, iqei);
		else
			execute(span, i, &desc);
	}
	flush_spaces(span);
	flush_shadows(span, descs);
	end_slice(span);
}

static void show_ices(struct vvtd *vvtd, uint32_t before)
{
	uint16_t sid;

	while (vvtd_trouble_take(vvtd, true, before, &sid))
		vtd_front_ice(vvtd->front, sid);
}

/* False: the wait at @at is aborted. */
static bool complete_wait(struct span *span, const struct vtd_desc *desc,
			  uint32_t at)
{
	struct vvtd *vvtd = span->vvtd;

	show_ices(vvtd, at);
	if (vvtd_trouble_take(vvtd, false, at, &span->info)) {
		span->stop = VTD_STOP_ITE;
		span->end = at;
		return false;
	}
	vtd_front_wait(vvtd->front, desc, at + 1);
	viommu_count(&vvtd->base.counters.syncs, 1);
	return true;
}

static bool is_ordered(uint64_t dw0)
{
	uint64_t type = field_get(VTD_QI_0_TYPE_LO, dw0);

	return type == VTD_QI_WAIT || type == VTD_QI_DEV_TLB ||
	       type == VTD_QI_PDEV_TLB;
}

/* What only counts in order: waits, and the guest's device TLBs */
static void complete(struct span *span, const uint64_t (*descs)[4])
{
	struct vvtd *vvtd = span->vvtd;
	struct vtd_desc desc;

	for (uint32_t i = span->ordered; i < span->end; i++) {
		if (!is_ordered(descs[i][0]))
			continue;
		if (vtd_front_decode(vvtd->front, descs[i], &desc))
			continue; /* the mode has changed under it */
		if (desc.type == VTD_QI_DEV_TLB || desc.type == VTD_QI_PDEV_TLB)
			vvtd_trouble_meet(vvtd, desc.sid, i);
		else if (desc.type == VTD_QI_WAIT &&
			 !complete_wait(span, &desc, i))
			return;
	}
	show_ices(vvtd, span->end);
	/* no wait follows, but the guest may as well look at FSTS */
	if (!span->stop &&
	    vvtd_trouble_take(vvtd, false, span->end, &span->info))
		span->stop = VTD_STOP_ITE;
}

struct vtd_consumed vvtd_consume(void *ctx, const uint64_t (*descs)[4],
				 uint32_t n)
{
	struct vvtd *vvtd = ctx;
	struct span span = { .vvtd = vvtd, .ordered = n, .end = n };

	if (atomic_load_explicit(&vvtd->left, memory_order_acquire))
		return (struct vtd_consumed){ 0 };
	if (!vvtd_enter(vvtd)) {
		vvtd->rang_inside = true;
		return (struct vtd_consumed){ 0 };
	}
	if (!vvtd->unfinished)
		viommu_count(&vvtd->base.counters.doorbells, 1);
	if (!begin_slice(&span)) {
		atomic_store_explicit(&vvtd->left, true, memory_order_release);
		vvtd_leave(vvtd);
		return (struct vtd_consumed){ 0 };
	}
	run(&span, descs);
	vvtd_leave(vvtd);
	complete(&span, descs);
	viommu_count(&vvtd->base.counters.commands, span.end);
	return (struct vtd_consumed){
		.done = span.end,
		.stop = (uint16_t)span.stop,
		.info = span.info,
	};
}

unsigned int vvtd_invalidate(void *ctx, const struct vtd_desc *desc)
{
	struct vvtd *vvtd = ctx;
	struct span span = { .vvtd = vvtd, .ordered = 1, .end = 1 };

	if (!vvtd_enter(vvtd))
		return 0;
	vvtd_begin(vvtd);
	age(vvtd);
	execute(&span, 0, desc);
	flush_spaces(&span);
	flush_shadows(&span, NULL);
	vvtd_leave(vvtd);
	return span.end ? desc->gran : 0;
}
