// SPDX-License-Identifier: MIT
/*
 * Paging domains: second-stage tables, for streams directly under them and
 * below the first stages of guests. What changes in one is invalidated in each
 * unit where the domain or a nested one over it is attached.
 */
#include <errno.h>
#include <stdlib.h>

#include "drv/vtd/unit.h"

#define PAGE_LG2 12
#define OAS_BITS 52 /* as Linux: what is mapped is memory that there is */
#define ALL_FLAGS                                                         \
	(IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING | \
	 IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)

/* A change of the tables, on its way to one unit's caches */
struct change {
	struct domain *d;
	struct unit *u;
	uint64_t first;
	uint64_t last;
	bool leaf; /* no entry that points to a table has changed */
	bool more; /* mappings have come, nothing else */
	struct hostinv inv;
};

/* ---- which units ---- */

/* The next unit behind @prev in which @l is, if before *@next */
static void next_of_layer(const struct layer *l, const struct unit *prev,
			  struct unit **next)
{
	const struct did *d = vtd_layer_next(l, prev);

	if (d && (!*next || (uintptr_t)d->unit < (uintptr_t)*next))
		*next = d->unit;
}

/* d->layer.lock held, as below */
static struct unit *next_unit(struct domain *d, const struct unit *prev)
{
	struct unit *next = NULL;

	next_of_layer(&d->layer, prev, &next);
	link_for_each(&d->nested, link)
	{
		struct nested *n = container_of(link, struct nested, link);

		pthread_rwlock_rdlock(&n->layer.lock);
		next_of_layer(&n->layer, prev, &next);
		pthread_rwlock_unlock(&n->layer.lock);
	}
	return next;
}

/* ---- one unit ---- */

/*
 * By second-stage address. Of entries that combine both stages that takes all
 * of the domain id's, and so do first-stage paging-structure caches (6.5.2.3),
 * whose own addresses hardware gets from the second stage.
 */
static void add_iotlb(struct change *c, uint16_t did)
{
	const struct features *f = &c->u->feat;
	struct run runs[RUNS_MAX];
	unsigned int n = 0;
	uint64_t d[DESC_DWORDS];

	if (f->psi)
		n = runs_cover(c->first >> PAGE_LG2, c->last >> PAGE_LG2,
			       f->order_max, runs);
	for (unsigned int i = 0; i < n; i++) {
		desc_iotlb(c->u, did, runs[i].page << PAGE_LG2, runs[i].order,
			   c->leaf, d);
		hostinv_put(&c->inv, d);
	}
	if (n)
		return;
	desc_iotlb_domain(c->u, did, d);
	hostinv_put(&c->inv, d);
}

static void add_layer_iotlb(struct change *c, struct layer *l)
{
	link_for_each(&l->dids, link)
	{
		struct did *did = container_of(link, struct did, link);

		if (did->unit == c->u)
			add_iotlb(c, did->id);
	}
}

/* @all: the devices' addresses are a guest's, of which nothing is known */
static void add_did_dev_tlbs(struct change *c, const struct did *did, bool all)
{
	uint64_t d[DESC_DWORDS];

	link_for_each(&did->atts, link)
	{
		struct att *a = container_of(link, struct att, link);

		if (!master_has_ats(a->master))
			continue;
		desc_dev_tlb(c->u, a->master->sid, att_pasid(a),
			     all ? 0 : c->first, all ? UINT64_MAX : c->last, d);
		hostinv_put(&c->inv, d);
	}
}

static void add_dev_tlbs(struct change *c, struct layer *l, bool all)
{
	link_for_each(&l->dids, link)
	{
		struct did *did = container_of(link, struct did, link);

		if (did->unit == c->u)
			add_did_dev_tlbs(c, did, all);
	}
}

static void add_nested(struct change *c, bool dev_tlbs)
{
	link_for_each(&c->d->nested, link)
	{
		struct nested *n = container_of(link, struct nested, link);

		pthread_rwlock_rdlock(&n->layer.lock);
		if (dev_tlbs)
			add_dev_tlbs(c, &n->layer, true);
		else
			add_layer_iotlb(c, &n->layer);
		pthread_rwlock_unlock(&n->layer.lock);
	}
}

/* Device TLBs come last: hardware asks them when its own are done (6.5.2.12).
 */
static void tell_unit(struct change *c)
{
	vtd_unit_inv(&c->inv, c->u);
	c->inv.guest = &c->d->budget;
	add_layer_iotlb(c, &c->d->layer);
	add_nested(c, false);
	if (c->u->feat.ats && !c->more) {
		add_dev_tlbs(c, &c->d->layer, false);
		add_nested(c, true);
	}
	hostinv_wait(&c->inv);
	pthread_mutex_lock(&c->u->cfg_lock);
	vtd_masters_quarantine(c->u);
	pthread_mutex_unlock(&c->u->cfg_lock);
}

static void tell(struct change *c)
{
	pthread_rwlock_rdlock(&c->d->layer.lock);
	for (c->u = next_unit(c->d, NULL); c->u; c->u = next_unit(c->d, c->u))
		tell_unit(c);
	pthread_rwlock_unlock(&c->d->layer.lock);
}

/* ---- map and unmap ---- */

/* As Linux: under a guest nothing is read-only (its hw_info flag says why) */
static int domain_map(struct core_domain *core, uint64_t iova, uint64_t pa,
		      uint64_t length, uint32_t prot)
{
	struct domain *d = to_domain(core);
	struct change c = {
		.d = d, .first = iova, .last = iova + length - 1, .more = true
	};
	int rc;

	if (d->nest_parent && !(prot & CORE_PROT_WRITE))
		return -EINVAL;
	rc = pt_map(d->pt, iova, pa, length, hostmem_prot(prot));
	if (!rc && __atomic_load_n(&d->eager, __ATOMIC_RELAXED))
		tell(&c);
	return rc;
}

static void domain_unmap(struct core_domain *core, uint64_t iova,
			 uint64_t length)
{
	struct domain *d = to_domain(core);
	struct pt_gather gather = { NULL };
	struct change c = { .d = d, .first = iova, .last = iova + length - 1 };

	hostunit_unmap(&d->home->host, d->pt, &c.first, &c.last, &gather);
	c.leaf = !gather.tables;
	tell(&c);
	pt_gather_free(d->pt, &gather);
}

/* ---- dirty tracking ---- */

static void set_dirty_att(struct att *a, bool enable)
{
	struct unit *u = a->master->unit;

	pthread_mutex_lock(&u->cfg_lock);
	/* else it has not come yet, or has gone: see attach.c */
	if (itree_first(&a->master->atts, att_pasid(a), att_pasid(a)) ==
	    &a->node)
		vtd_entry_set_dirty(a, enable);
	pthread_mutex_unlock(&u->cfg_lock);
}

static void set_dirty_layer(struct layer *l, bool enable)
{
	link_for_each(&l->dids, did)
	{
		link_for_each(&container_of(did, struct did, link)->atts, link)
			set_dirty_att(container_of(link, struct att, link),
				      enable);
	}
}

static int set_dirty_tracking(struct core_domain *core, bool enable)
{
	struct domain *d = to_domain(core);

	__atomic_store_n(&d->dirty, enable, __ATOMIC_RELAXED);
	pthread_rwlock_rdlock(&d->layer.lock);
	set_dirty_layer(&d->layer, enable);
	link_for_each(&d->nested, link)
	{
		struct nested *n = container_of(link, struct nested, link);

		pthread_rwlock_rdlock(&n->layer.lock);
		set_dirty_layer(&n->layer, enable);
		pthread_rwlock_unlock(&n->layer.lock);
	}
	pthread_rwlock_unlock(&d->layer.lock);
	return 0;
}

/* An entry that a cache has with its D bit set writes it no more. */
static int read_and_clear_dirty(struct core_domain *core, uint64_t iova,
				uint64_t length, bool clear,
				struct core_dirty *dirty)
{
	struct domain *d = to_domain(core);
	struct change c = {
		.d = d, .first = iova, .last = iova + length - 1, .leaf = true
	};

	if (dirty && !__atomic_load_n(&d->dirty, __ATOMIC_RELAXED))
		return -EINVAL;
	pt_read_dirty(d->pt, c.first, c.last, clear, hostmem_record_dirty,
		      dirty);
	if (clear)
		tell(&c);
	return 0;
}

static const struct core_dirty_ops dirty_ops = {
	.set_dirty_tracking = set_dirty_tracking,
	.read_and_clear_dirty = read_and_clear_dirty,
};

/* ---- life ---- */

static uint64_t page_sizes(const struct features *f)
{
	return f->huge_2m ? vtd_page_sizes(f->huge_1g) : BIT_ULL(PAGE_LG2);
}

int vtd_domain_fits(const struct domain *d, const struct core_device *dev)
{
	const struct core_geometry *geometry = &d->layer.core.geometry;
	const struct features *f = &to_unit(dev->iommu)->feat;

	if (!(f->sagaw & BIT_ULL(d->levels - 2)) ||
	    low_mask(f->mgaw) < geometry->last ||
	    (geometry->page_sizes & ~page_sizes(f)) ||
	    (d->nest_parent && !f->nested) ||
	    (d->layer.core.dirty_ops && !f->dirty))
		return -EINVAL;
	return 0;
}

static int domain_attach(struct core_domain *core, struct core_device *dev,
			 uint32_t pasid)
{
	struct domain *d = to_domain(core);

	if (vtd_unit_is_ours(dev->iommu) && to_unit(dev->iommu)->feat.eager)
		__atomic_store_n(&d->eager, true, __ATOMIC_RELAXED);
	return vtd_layer_attach(&d->layer, dev, pasid);
}

static void domain_free(struct core_domain *core)
{
	struct domain *d = to_domain(core);

	pt_destroy(d->pt);
	vtd_layer_fini(&d->layer);
	free(d);
}

static const struct core_domain_ops domain_ops = {
	.free = domain_free,
	.attach = domain_attach,
	.map = domain_map,
	.unmap = domain_unmap,
};

static int check_flags(const struct features *f, uint32_t flags)
{
	if ((flags & ~(uint32_t)ALL_FLAGS) ||
	    ((flags & IOMMU_HWPT_ALLOC_NEST_PARENT) && !f->nested) ||
	    ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) && !f->dirty))
		return -EOPNOTSUPP;
	return 0;
}

static int domain_tables(struct domain *d, bool dirty)
{
	const struct features *f = &d->home->feat;
	struct vtd_pt_config cfg = {
		.stage = 2,
		.levels = f->levels,
		.oas = OAS_BITS,
		.huge_1g = f->huge_1g,
		.only_4k = !f->huge_2m,
		.dirty = dirty,
	};

	d->levels = f->levels;
	d->layer.core.geometry.first = 0;
	d->layer.core.geometry.last = low_mask(f->bits);
	d->layer.core.geometry.page_sizes = page_sizes(f);
	return vtd_pt_create(&cfg, &hostmem_tables, &d->home->port, &d->pt);
}

int vtd_domain_alloc(struct core_device *dev, uint32_t flags,
		     struct core_domain **out)
{
	struct unit *u = to_unit(dev->iommu);
	bool dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	struct domain *d;
	int rc;

	rc = check_flags(&u->feat, flags);
	if (rc)
		return rc;
	if (hostq_is_dead(&u->q))
		return -EIO;
	d = hostmem_object(sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->home = u;
	d->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	d->eager = u->feat.eager;
	link_init(&d->nested);
	rc = domain_tables(d, dirty);
	if (rc) {
		free(d);
		return rc;
	}
	vtd_layer_init(&d->layer, &domain_ops);
	d->layer.core.iommu = &u->host.core;
	d->layer.core.dirty_ops = dirty ? &dirty_ops : NULL;
	*out = &d->layer.core;
	return 0;
}
