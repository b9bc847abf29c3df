// SPDX-License-Identifier: MIT
/*
 * Devices whose TLB the host could not invalidate, and of which the guest is
 * not told yet (command.c says when it is): ITE, because they did not answer,
 * ICE, because their answer was invalid.
 */
#include "hwdef/vtd_regs.h"
#include "viommu/vtd/vtd.h"

/* A unit without device TLBs has no bits to tell of them (11.4.7.1: RsvdZ). */
void vvtd_trouble_note(struct vvtd *vvtd, struct vvtd_device *device,
		       struct vvtd_trouble *trouble, uint32_t at)
{
	vvtd->cover++;
	if (trouble->held || trouble->due || !(vvtd->id.ecap & VTD_ECAP_DT))
		return;
	*trouble = (struct vvtd_trouble){
		.held = device->ats,
		.due = !device->ats,
		.at = at,
	};
	if (!device->troubled)
		TAILQ_INSERT_TAIL(&vvtd->troubled, device, trouble_link);
	device->troubled = true;
}

static void settle(struct vvtd *vvtd, struct vvtd_device *device)
{
	if (device->ite.held || device->ite.due || device->ice.held ||
	    device->ice.due)
		return;
	TAILQ_REMOVE(&vvtd->troubled, device, trouble_link);
	device->troubled = false;
}

void vvtd_trouble_age(struct vvtd *vvtd)
{
	struct vvtd_device *device;

	TAILQ_FOREACH (device, &vvtd->troubled, trouble_link) {
		device->ite.at = -1;
		device->ice.at = -1;
	}
}

static void make_due(struct vvtd_trouble *trouble, uint32_t at)
{
	if (trouble->held && trouble->at <= at)
		*trouble = (struct vvtd_trouble){ .due = true, .at = at };
}

void vvtd_trouble_meet(struct vvtd *vvtd, uint16_t sid, uint32_t at)
{
	struct vvtd_device *device;

	pthread_mutex_lock(&vvtd->lock);
	device = vvtd_device_find(vvtd, sid);
	if (device && device->troubled) {
		make_due(&device->ite, at);
		make_due(&device->ice, at);
	}
	pthread_mutex_unlock(&vvtd->lock);
}

bool vvtd_trouble_take(struct vvtd *vvtd, bool ice, uint32_t at, uint16_t *sid)
{
	struct vvtd_device *device;
	bool found = false;

	pthread_mutex_lock(&vvtd->lock);
	TAILQ_FOREACH (device, &vvtd->troubled, trouble_link) {
		struct vvtd_trouble *trouble =
			ice ? &device->ice : &device->ite;

		if (!trouble->due || trouble->at >= at)
			continue;
		trouble->due = false;
		*sid = (uint16_t)device->node.first;
		settle(vvtd, device);
		found = true;
		break;
	}
	pthread_mutex_unlock(&vvtd->lock);
	return found;
}

void vvtd_trouble_forget(struct vvtd *vvtd)
{
	struct vvtd_device *device;

	while ((device = TAILQ_FIRST(&vvtd->troubled))) {
		TAILQ_REMOVE(&vvtd->troubled, device, trouble_link);
		device->troubled = false;
		device->ite = (struct vvtd_trouble){ 0 };
		device->ice = (struct vvtd_trouble){ 0 };
	}
}
