// SPDX-License-Identifier: MIT
/*
 * What a device, or one of its PASIDs, is attached to. Each device is a group
 * of its own: dev->lock is what Linux calls the group's lock.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "core/internal.h"

/* PASID 0 is the device itself on Linux, and so it is here */
#define PASID_KEY(pasid) ((pasid) == CORE_NO_PASID ? 0 : (pasid))

/* How many reserved ranges a driver may report */
#define HOLES_MAX 64

/* Takes a HWPT, or finds out what to do; @old: whose user is to be dropped */
typedef int (*change_fn)(struct core_dev *dev, uint32_t pasid,
			 struct core_hwpt *hwpt, struct core_hwpt **old);

static struct core_attach *find_attach(const struct core_dev *dev,
				       uint32_t pasid)
{
	struct itree_node *node =
		itree_first(&dev->attached, PASID_KEY(pasid), PASID_KEY(pasid));

	return node ? container_of(node, struct core_attach, node) : NULL;
}

static void unreserve_locked(struct core_attach *attach)
{
	struct core_ioas *ioas = attach->holes_in;

	for (size_t i = 0; i < attach->hole_count; i++)
		itree_remove(&ioas->reserved, &attach->holes[i].node);
}

static void unreserve(struct core_attach *attach)
{
	struct core_ioas *ioas = attach->holes_in;

	if (!ioas)
		return;
	pthread_mutex_lock(&ioas->lock);
	unreserve_locked(attach);
	pthread_mutex_unlock(&ioas->lock);
	free(attach->holes);
	attach->holes = NULL;
	attach->hole_count = 0;
	attach->holes_in = NULL;
}

static int reserve_holes(struct core_ioas *ioas, struct core_attach *attach,
			 const struct core_resv *resv, size_t count)
{
	int rc = 0;

	pthread_mutex_lock(&ioas->lock);
	for (size_t i = 0; i < count && !rc; i++) {
		attach->holes[i].node.first = resv[i].first;
		attach->holes[i].node.last = resv[i].last;
		rc = ioas_reserve(ioas, &attach->holes[i].node);
		if (!rc)
			attach->hole_count++;
	}
	if (rc)
		unreserve_locked(attach);
	pthread_mutex_unlock(&ioas->lock);
	return rc;
}

/* Takes the device's own ranges out of @ioas, and notes its MSI window */
static int reserve(struct core_dev *dev, struct core_ioas *ioas,
		   struct core_attach *attach)
{
	struct core_resv resv[HOLES_MAX];
	size_t count =
		dev->dev->iommu->ops->reserved(dev->dev, resv, HOLES_MAX);
	int rc;

	if (count > HOLES_MAX)
		return -EINVAL;
	if (!count)
		return 0;
	attach->holes = alloc_array(count, sizeof(*attach->holes));
	if (!attach->holes)
		return -ENOMEM;
	attach->holes_in = ioas;
	rc = reserve_holes(ioas, attach, resv, count);
	if (rc) {
		free(attach->holes);
		attach->holes = NULL;
		attach->hole_count = 0;
		attach->holes_in = NULL;
		return rc;
	}
	for (size_t i = 0; i < count; i++) {
		if (resv[i].msi) {
			dev->msi_window[0] = resv[i].first;
			dev->msi_window[1] = resv[i].last;
		}
	}
	return 0;
}

/* PASIDs need a HWPT made for them, on the device itself as well */
static int check_pasid(const struct core_dev *dev, uint32_t pasid,
		       const struct core_hwpt *hwpt)
{
	const struct core_attach *own;

	if (!PASID_KEY(pasid))
		return hwpt->pasid_compat || !itree_first(&dev->attached, 1,
							  UINT32_MAX)
			       ? 0
			       : -EINVAL;
	own = find_attach(dev, CORE_NO_PASID);
	if (!hwpt->pasid_compat || (own && !own->hwpt->pasid_compat))
		return -EINVAL;
	if (!dev->dev->pasid_bits)
		return -EOPNOTSUPP;
	return pasid >> dev->dev->pasid_bits ? -EINVAL : 0;
}

static int drv_attach(struct core_dev *dev, uint32_t pasid,
		      struct core_hwpt *hwpt)
{
	int rc = check_pasid(dev, pasid, hwpt);

	if (rc)
		return rc;
	if (hwpt->domain->iommu->ops != dev->dev->iommu->ops)
		return -EINVAL; /* another driver's domain */
	return hwpt->domain->ops->attach(hwpt->domain, dev->dev,
					 PASID_KEY(pasid) ? pasid
							  : CORE_NO_PASID);
}

/* With dev->lock held, nothing being attached */
static int attach_new(struct core_dev *dev, uint32_t pasid,
		      struct core_hwpt *hwpt)
{
	struct core_hwpt *paging = hwpt_paging(hwpt);
	struct core_attach *attach = alloc_zero(sizeof(*attach));
	int rc = 0;

	if (!attach)
		return -ENOMEM;
	attach->hwpt = hwpt;
	attach->node.first = PASID_KEY(pasid);
	attach->node.last = PASID_KEY(pasid);
	if (!PASID_KEY(pasid)) {
		rc = reserve(dev, paging->ioas, attach);
		if (!rc)
			rc = msi_install(dev, paging);
	}
	if (!rc)
		rc = drv_attach(dev, pasid, hwpt);
	if (rc) {
		unreserve(attach);
		free(attach);
		return rc;
	}
	core_use(&hwpt->obj);
	core_use(&dev->obj);
	pthread_mutex_lock(&dev->fault_lock);
	itree_insert(&dev->attached, &attach->node);
	pthread_mutex_unlock(&dev->fault_lock);
	return 0;
}

static int do_attach(struct core_dev *dev, uint32_t pasid,
		     struct core_hwpt *hwpt, struct core_hwpt **old)
{
	int rc;

	(void)old; /* nothing is replaced */
	pthread_mutex_lock(&dev->lock);
	if (dev->leaving)
		rc = -ENOENT;
	else if (find_attach(dev, pasid))
		rc = -EBUSY;
	else
		rc = attach_new(dev, pasid, hwpt);
	pthread_mutex_unlock(&dev->lock);
	return rc;
}

/* With dev->lock held; on failure nothing has changed */
static int replace_hwpt(struct core_dev *dev, uint32_t pasid,
			struct core_attach *attach, struct core_hwpt *hwpt)
{
	struct core_hwpt *paging = hwpt_paging(hwpt);
	bool move = !PASID_KEY(pasid) &&
		    paging->ioas != hwpt_paging(attach->hwpt)->ioas;
	struct core_attach moved = { 0 };
	struct core_hwpt *was;
	int rc = 0;

	if (move)
		rc = reserve(dev, paging->ioas, &moved);
	if (!rc && !PASID_KEY(pasid))
		rc = msi_install(dev, paging);
	if (!rc)
		rc = drv_attach(dev, pasid, hwpt);
	if (rc) {
		unreserve(&moved);
		return rc;
	}
	if (move) {
		unreserve(attach);
		attach->holes_in = moved.holes_in;
		attach->holes = moved.holes;
		attach->hole_count = moved.hole_count;
	}
	core_use(&hwpt->obj);
	was = attach->hwpt;
	pthread_mutex_lock(&dev->fault_lock);
	attach->hwpt = hwpt;
	pthread_mutex_unlock(&dev->fault_lock);
	fault_auto_respond(dev, attach->node.first, was);
	return 0;
}

static int do_replace(struct core_dev *dev, uint32_t pasid,
		      struct core_hwpt *hwpt, struct core_hwpt **old)
{
	struct core_attach *attach;
	int rc = 0;

	pthread_mutex_lock(&dev->lock);
	attach = find_attach(dev, pasid);
	if (!attach || dev->leaving) {
		rc = -EINVAL;
	} else if (attach->hwpt != hwpt) {
		struct core_hwpt *was = attach->hwpt;

		rc = replace_hwpt(dev, pasid, attach, hwpt);
		if (!rc)
			*old = was;
	}
	pthread_mutex_unlock(&dev->lock);
	return rc;
}

static int do_set(struct core_dev *dev, uint32_t pasid, struct core_hwpt *hwpt,
		  struct core_hwpt **old)
{
	bool attached;

	pthread_mutex_lock(&dev->lock);
	attached = find_attach(dev, pasid);
	pthread_mutex_unlock(&dev->lock);
	return attached ? do_replace(dev, pasid, hwpt, old)
			: do_attach(dev, pasid, hwpt, old);
}

/* A HWPT that an IOAS made for a device goes when nobody is attached to it. */
static void drop_hwpt(struct core_hwpt *hwpt)
{
	if (hwpt->auto_domain)
		core_put_and_destroy(&hwpt->obj);
	else
		core_put(&hwpt->obj);
}

/* With hwpt_lock held: the next automatic HWPT from @hwpt on, with a user */
static struct core_hwpt *next_auto(struct core_hwpt *hwpt)
{
	for (; hwpt; hwpt = hwpt->next) {
		struct core_hwpt *got;

		if (!hwpt->auto_domain || core_get(hwpt->obj.ctx, hwpt->obj.id,
						   CORE_HWPT_PAGING, &got))
			continue;
		if (got == hwpt)
			return hwpt;
		core_put(&got->obj); /* it is going; its id is taken again */
	}
	return NULL;
}

static int change_to_new_auto(struct core_dev *dev, uint32_t pasid,
			      struct core_ioas *ioas, uint32_t *pt_id,
			      change_fn change, struct core_hwpt **old)
{
	struct core_garbage garbage = { 0 };
	struct core_hwpt *hwpt;
	int rc;

	rc = hwpt_paging_new(dev->obj.ctx, ioas, dev, 0, NULL, &hwpt);
	if (rc)
		return rc;
	hwpt->auto_domain = true;
	rc = change(dev, pasid, hwpt, old);
	if (!rc) {
		*pt_id = hwpt->obj.id;
		core_object_publish(&hwpt->obj);
		return 0;
	}
	pthread_mutex_lock(&ioas->lock);
	ioas_remove_domain(ioas, hwpt, &garbage);
	pthread_mutex_unlock(&ioas->lock);
	hwpt->domain->ops->free(hwpt->domain);
	garbage_free(&ioas->obj.ctx->env, &garbage);
	core_put(&ioas->obj);
	core_object_abort(&hwpt->obj);
	return rc;
}

/*
 * Attaching to an IOAS takes any HWPT made that way which suits the device, or
 * makes one.
 */
static int change_to_ioas(struct core_dev *dev, uint32_t pasid,
			  struct core_ioas *ioas, uint32_t *pt_id,
			  change_fn change, struct core_hwpt **old)
{
	struct core_hwpt *hwpt;
	int rc = -EINVAL;

	pthread_mutex_lock(&ioas->hwpt_lock);
	hwpt = next_auto(ioas->hwpts);
	while (hwpt) {
		struct core_hwpt *next = hwpt->next;

		rc = change(dev, pasid, hwpt, old);
		if (!rc)
			*pt_id = hwpt->obj.id;
		core_put(&hwpt->obj);
		if (rc != -EINVAL) /* -EINVAL: does not suit */
			break;
		hwpt = next_auto(next);
	}
	if (!hwpt)
		rc = change_to_new_auto(dev, pasid, ioas, pt_id, change, old);
	pthread_mutex_unlock(&ioas->hwpt_lock);
	return rc;
}

static int change_pt(struct core_dev *dev, uint32_t pasid, uint32_t *pt_id,
		     change_fn change)
{
	struct core_hwpt *old = NULL;
	struct core_object *pt;
	int rc = core_get(dev->obj.ctx, *pt_id, CORE_ANY, &pt);

	if (rc)
		return rc;
	switch (pt->type) {
	case CORE_HWPT_PAGING:
	case CORE_HWPT_NESTED:
		rc = change(dev, pasid, container_of(pt, struct core_hwpt, obj),
			    &old);
		break;
	case CORE_IOAS:
		rc = change_to_ioas(dev, pasid,
				    container_of(pt, struct core_ioas, obj),
				    pt_id, change, &old);
		break;
	default:
		rc = -EINVAL;
	}
	core_put(pt);
	if (old)
		drop_hwpt(old); /* may destroy it: no lock is held */
	return rc;
}

static int change_id(struct core_ctx *ctx, uint32_t dev_id, uint32_t pasid,
		     uint32_t *pt_id, change_fn change)
{
	struct core_dev *dev;
	int rc = core_get(ctx, dev_id, CORE_DEVICE, &dev);

	if (rc)
		return rc;
	rc = change_pt(dev, pasid, pt_id, change);
	core_put(&dev->obj);
	return rc;
}

int core_attach(struct core_ctx *ctx, uint32_t dev_id, uint32_t pasid,
		uint32_t *pt_id)
{
	return change_id(ctx, dev_id, pasid, pt_id, do_attach);
}

int core_replace(struct core_ctx *ctx, uint32_t dev_id, uint32_t pasid,
		 uint32_t *pt_id)
{
	return change_id(ctx, dev_id, pasid, pt_id, do_replace);
}

int core_set_pt(struct core_ctx *ctx, uint32_t dev_id, uint32_t pasid,
		uint32_t *pt_id)
{
	return change_id(ctx, dev_id, pasid, pt_id, do_set);
}

/* False if nothing was attached under that key */
static bool detach(struct core_dev *dev, uint32_t pasid)
{
	struct core_attach *attach;

	pthread_mutex_lock(&dev->lock);
	attach = find_attach(dev, pasid);
	if (attach) {
		pthread_mutex_lock(&dev->fault_lock);
		itree_remove(&dev->attached, &attach->node);
		pthread_mutex_unlock(&dev->fault_lock);
		dev->dev->iommu->ops->block(
			dev->dev, PASID_KEY(pasid) ? pasid : CORE_NO_PASID);
		unreserve(attach);
		fault_auto_respond(dev, attach->node.first, attach->hwpt);
	}
	pthread_mutex_unlock(&dev->lock);
	if (!attach)
		return false;
	drop_hwpt(attach->hwpt);
	free(attach);
	core_put(&dev->obj);
	return true;
}

/* PASIDs before the device itself. Nothing new is attached to a leaving one. */
void core_detach_all(struct core_dev *dev)
{
	bool more = true;

	while (more) {
		struct itree_node *node;
		uint32_t pasid = CORE_NO_PASID;

		pthread_mutex_lock(&dev->lock);
		node = itree_from(&dev->attached, 1);
		if (node)
			pasid = (uint32_t)node->first;
		pthread_mutex_unlock(&dev->lock);
		more = detach(dev, pasid);
	}
}

int core_detach(struct core_ctx *ctx, uint32_t dev_id, uint32_t pasid)
{
	struct core_dev *dev;
	int rc = core_get(ctx, dev_id, CORE_DEVICE, &dev);

	if (rc)
		return rc;
	detach(dev, pasid);
	core_put(&dev->obj);
	return 0;
}
