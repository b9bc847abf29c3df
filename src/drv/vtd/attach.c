// SPDX-License-Identifier: MIT
/*
 * Devices behind the unit and what they are attached to. An attachment is in
 * its layer's list before hardware sees it and until hardware has forgotten it,
 * so whoever changes the layer meanwhile invalidates for it as well.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "drv/vtd/unit.h"

/* ---- layers ---- */

void vtd_layer_init(struct layer *l, const struct core_domain_ops *ops)
{
	l->core.ops = ops;
	pthread_rwlock_init(&l->lock, NULL);
	link_init(&l->dids);
}

void vtd_layer_fini(struct layer *l)
{
	pthread_rwlock_destroy(&l->lock);
}

static struct did *did_find(struct layer *l, const struct unit *u)
{
	link_for_each(&l->dids, link)
	{
		struct did *d = container_of(link, struct did, link);

		if (d->unit == u)
			return d;
	}
	return NULL;
}

/* With the layer's lock held for writing, as the next three */
static int did_get(struct layer *l, struct unit *u, struct did **out)
{
	struct did *d = did_find(l, u);
	int rc;

	if (!d) {
		d = alloc_zero(sizeof(*d));
		if (!d)
			return -ENOMEM;
		rc = hostids_get(&u->dids, &d->id);
		if (rc) {
			free(d);
			return rc;
		}
		d->unit = u;
		link_init(&d->atts);
		link_add(&l->dids, &d->link);
	}
	d->users++;
	*out = d;
	return 0;
}

/*
 * Whoever gets the number next finds nothing under it: each entry that went
 * took all of the domain with it.
 */
static void did_put(struct did *d)
{
	if (--d->users)
		return;
	link_del(&d->link);
	hostids_put(&d->unit->dids, d->id);
	free(d);
}

struct did *vtd_layer_next(const struct layer *l, const struct unit *prev)
{
	struct did *next = NULL;

	link_for_each(&l->dids, link)
	{
		struct did *d = container_of(link, struct did, link);

		if ((uintptr_t)d->unit > (uintptr_t)prev &&
		    (!next || (uintptr_t)d->unit < (uintptr_t)next->unit))
			next = d;
	}
	return next;
}

/* ---- attachments ---- */

/* With its layer's lock held for writing, as the next */
static void att_link(struct att *a)
{
	struct link *before = &a->did->atts;
	struct itree_node *next;

	a->by_pasid.first = a->by_pasid.last = att_pasid(a);
	itree_insert(&a->did->by_pasid, &a->by_pasid);
	next = itree_succ(&a->by_pasid);
	if (next)
		before = &container_of(next, struct att, by_pasid)->link;
	link_add(before, &a->link);
}

static void att_unlink(struct att *a)
{
	itree_remove(&a->did->by_pasid, &a->by_pasid);
	link_del(&a->link);
	did_put(a->did);
}

static int att_new(struct layer *l, struct master *m, uint32_t pasid,
		   struct att **out)
{
	struct att *a = hostmem_object(sizeof(*a));
	int rc;

	if (!a)
		return -ENOMEM;
	a->master = m;
	a->layer = l;
	a->node.first = pasid;
	a->node.last = pasid;
	pthread_rwlock_wrlock(&l->lock);
	rc = did_get(l, m->unit, &a->did);
	if (!rc)
		att_link(a);
	pthread_rwlock_unlock(&l->lock);
	if (rc) {
		free(a);
		return rc;
	}
	*out = a;
	return 0;
}

static void att_free(struct att *a)
{
	struct layer *l = a->layer;

	pthread_rwlock_wrlock(&l->lock);
	att_unlink(a);
	pthread_rwlock_unlock(&l->lock);
	free(a);
}

/* cfg_lock held; what is installed for @pasid, or NULL */
static struct att *att_find(struct master *m, uint32_t pasid)
{
	struct itree_node *node = itree_first(&m->atts, pasid, pasid);

	return node ? container_of(node, struct att, node) : NULL;
}

static void att_remove(struct master *m, struct att *a)
{
	vtd_entry_clear(a);
	itree_remove(&m->atts, &a->node);
}

/* Device @m has one kind of width and mode for all. */
static int layer_fits(struct layer *l, const struct core_device *dev)
{
	int rc = vtd_domain_fits(layer_tables(l), dev);

	if (!rc && l->core.nested)
		rc = vtd_nested_fits(to_nested(&l->core), dev);
	return rc;
}

static int check_pasid(const struct master *m, uint32_t pasid)
{
	if (pasid == CORE_NO_PASID)
		return 0;
	if (!m->unit->feat.pasid_bits)
		return -EOPNOTSUPP;
	/* 0 is where requests without one go */
	return pasid && pasid <= low_mask(m->pasid_bits) ? 0 : -EINVAL;
}

int vtd_layer_attach(struct layer *l, struct core_device *dev, uint32_t pasid)
{
	uint32_t number = pasid == CORE_NO_PASID ? 0 : pasid;
	struct master *m = dev->drv;
	struct att *old = NULL;
	struct att *a;
	int rc;

	rc = vtd_unit_is_ours(dev->iommu) ? check_pasid(m, pasid) : -EINVAL;
	if (!rc)
		rc = layer_fits(l, dev);
	if (!rc && hostq_is_dead(&m->unit->q))
		rc = -EIO;
	if (rc)
		return rc;
	rc = att_new(l, m, number, &a);
	if (rc)
		return rc;
	pthread_mutex_lock(&m->unit->cfg_lock);
	rc = vtd_tables_need(m, number);
	if (!rc) {
		old = att_find(m, number);
		if (old)
			att_remove(m, old);
		itree_insert(&m->atts, &a->node);
		vtd_entry_install(a);
	}
	pthread_mutex_unlock(&m->unit->cfg_lock);
	if (rc)
		att_free(a);
	else if (old)
		att_free(old);
	return rc;
}

void vtd_device_block(struct core_device *dev, uint32_t pasid)
{
	uint32_t number = pasid == CORE_NO_PASID ? 0 : pasid;
	struct master *m = dev->drv;
	struct att *a;

	pthread_mutex_lock(&m->unit->cfg_lock);
	a = att_find(m, number);
	if (a)
		att_remove(m, a);
	pthread_mutex_unlock(&m->unit->cfg_lock);
	if (a)
		att_free(a);
}

/* ---- reset ---- */

static bool can_ats(const struct master *m)
{
	return m->dev->ats && m->unit->feat.ats &&
	       !hostdev_is_broken(&m->hostdev);
}

/* The device's TLB is empty and answers again: a quarantine ends. */
void vtd_device_reset(struct core_device *dev)
{
	struct master *m = dev->drv;

	if (!m)
		return;
	vtd_master_forgive(m);
	pthread_mutex_lock(&m->unit->cfg_lock);
	if (!m->ats_on && can_ats(m))
		vtd_tables_set_ats(m, true);
	pthread_mutex_unlock(&m->unit->cfg_lock);
}

/* ---- coming and going ---- */

struct core_device *vtd_master_device(const struct hostdev *hd)
{
	return container_of(hd, struct master, hostdev)->dev;
}

int vtd_master_place(struct hostdev *hd)
{
	return vtd_tables_add(container_of(hd, struct master, hostdev));
}

int vtd_device_add(struct core_device *dev)
{
	struct unit *u = to_unit(dev->iommu);
	struct master *m;
	int rc;

	if (dev->stream_id > UINT16_MAX)
		return -ERANGE;
	m = hostmem_object(sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->dev = dev;
	m->unit = u;
	m->sid = (uint16_t)dev->stream_id;
	m->pasid_bits = hostdev_pasid_bits(dev, u->feat.pasid_bits);
	m->ats_on = can_ats(m);
	rc = hostunit_add(&u->host, &m->hostdev, m);
	if (rc)
		free(m);
	return rc;
}

void vtd_device_remove(struct core_device *dev)
{
	struct master *m = dev->drv;
	struct unit *u = m->unit;
	struct itree_node *node;

	while ((node = itree_from(&m->atts, 0))) {
		struct att *a = container_of(node, struct att, node);

		pthread_mutex_lock(&u->cfg_lock);
		att_remove(m, a);
		pthread_mutex_unlock(&u->cfg_lock);
		att_free(a);
	}
	pthread_mutex_lock(&u->cfg_lock);
	vtd_tables_remove(m);
	hostdevs_remove(&u->devs, &m->hostdev);
	pthread_mutex_unlock(&u->cfg_lock);
	dev->drv = NULL;
	free(m);
}
