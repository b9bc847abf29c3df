// SPDX-License-Identifier: MIT
/*
 * Paging domains: stage 1 with an ASID of its own for plain use, stage 2 with
 * a VMID of its own under nested domains (and where there is no stage 1).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "drv/smmuv3/tlb.h"
#include "drv/smmuv3/unit.h"

#define VA_BITS	    48
#define ATTR_NORMAL 0 /* indices into the MAIR of ste.c */
#define ATTR_DEVICE 1

/* ---- map and unmap ---- */

static int domain_map(struct core_domain *core, uint64_t iova, uint64_t pa,
		      uint64_t length, uint32_t prot)
{
	return pt_map(to_domain(core)->pt, iova, pa, length,
		      hostmem_prot(prot));
}

/* Range invalidation of the ATCs of everything directly under @d */
static void add_atcs(struct hostinv *h, const struct domain *d, uint64_t first,
		     uint64_t last)
{
	link_for_each(&d->masters, l)
	{
		struct master *m = container_of(l, struct master, link);

		if (m->ats_on)
			hostinv_atc(h, m, CORE_NO_PASID, first, last);
	}
	link_for_each(&d->pasids, l)
	{
		struct pasid *p = container_of(l, struct pasid, link);

		if (p->master->ats_on)
			hostinv_atc(h, p->master, (uint32_t)p->node.first,
				    first, last);
	}
}

/*
 * Streams of guests over this stage 2: their IPAs, then (when nothing can be
 * made of the old IPA entries any more) all that combines them with a stage 1,
 * then their ATCs, which hold guest addresses of which the host knows nothing.
 */
static void add_guests_ipa(struct hostinv *h, const struct domain *d,
			   uint64_t first, uint64_t last, bool leaf)
{
	link_for_each(&d->viommus, l)
	{
		struct viommu *v = container_of(l, struct viommu, link);

		hostinv_ipa(h, v->vmid, first, last, leaf);
	}
}

static void add_guests_combined(struct hostinv *h, const struct domain *d)
{
	link_for_each(&d->viommus, l)
	{
		struct viommu *v = container_of(l, struct viommu, link);

		hostinv_vmid_s1(h, v->vmid);
	}
}

static void add_guests_atcs(struct hostinv *h, const struct domain *d)
{
	link_for_each(&d->viommus, l)
	{
		struct viommu *v = container_of(l, struct viommu, link);

		link_for_each(&v->masters, ml)
		{
			struct master *m =
				container_of(ml, struct master, link);

			if (m->ats_on)
				hostinv_atc_all(h, m);
		}
	}
}

/* @leaf: no table descriptor has changed, so only leaves need to go. */
static void domain_forget(struct domain *d, uint64_t first, uint64_t last,
			  bool leaf)
{
	struct unit *u = d->unit;
	struct hostinv h;
	bool done;

	hostinv_init(&h, u);
	pthread_mutex_lock(&u->cfg_lock);
	if (d->stage == 1) {
		hostinv_va(&h, d->asid, first, last, leaf);
	} else {
		hostinv_ipa(&h, d->vmid, first, last, leaf);
		add_guests_ipa(&h, d, first, last, leaf);
	}
	if (!link_empty(&d->viommus)) {
		hostinv_barrier(&h);
		add_guests_combined(&h, d);
	}
	if (u->feat.ats) {
		/* 4.5.1: ATCs only when the SMMU itself has forgotten */
		hostinv_barrier(&h);
		add_atcs(&h, d, first, last);
		add_guests_atcs(&h, d);
		hostinv_drop_barrier(&h); /* there was none */
	}
	done = hostinv_try(&h);
	masters_quarantine(u);
	pthread_mutex_unlock(&u->cfg_lock);
	if (done)
		return;
	/* ATCs. Who is attached from now on finds nothing old in the SMMU. */
	hostinv_wait(&h);
	pthread_mutex_lock(&u->cfg_lock);
	masters_quarantine(u);
	pthread_mutex_unlock(&u->cfg_lock);
}

static void domain_unmap(struct core_domain *core, uint64_t iova,
			 uint64_t length)
{
	struct domain *d = to_domain(core);
	struct pt_gather gather = { NULL };
	uint64_t first = iova;
	uint64_t last = iova + length - 1;

	hostunit_unmap(&d->unit->host, d->pt, &first, &last, &gather);
	domain_forget(d, first, last, !gather.tables);
	pt_gather_free(d->pt, &gather);
}

/* ---- life ---- */

static int domain_attach(struct core_domain *core, struct core_device *dev,
			 uint32_t pasid)
{
	struct domain *d = to_domain(core);

	if (dev->iommu != &d->unit->host.core)
		return -EINVAL;
	if (pasid == CORE_NO_PASID)
		return master_attach(d, dev->drv);
	return master_attach_pasid(d, dev->drv, pasid);
}

/* Whoever gets the ASID or VMID next must find nothing under it. */
static void domain_free(struct core_domain *core)
{
	struct domain *d = to_domain(core);
	struct unit *u = d->unit;
	struct hostinv h;

	hostinv_init(&h, u);
	if (d->stage == 1)
		hostinv_asid(&h, d->asid);
	else
		hostinv_vmid_all(&h, d->vmid);
	hostinv_finish(&h);
	if (d->stage == 1)
		hostids_put(&u->asids, d->asid);
	else
		hostids_put(&u->vmids, d->vmid);
	pt_destroy(d->pt);
	free(d);
}

static const struct core_domain_ops domain_ops = {
	.free = domain_free,
	.attach = domain_attach,
	.map = domain_map,
	.unmap = domain_unmap,
};

/* Stage of a paging domain with @flags; 0 where there is no such thing. */
static unsigned int stage_for(const struct features *f, uint32_t flags)
{
	switch (flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID) {
	case 0:
		return f->s1 ? 1 : 2;
	case IOMMU_HWPT_ALLOC_PASID:
		return f->s1 ? 1 : 0;
	case IOMMU_HWPT_ALLOC_NEST_PARENT:
		return f->nesting ? 2 : 0;
	}
	return 0;
}

static int domain_tables(struct domain *d)
{
	const struct features *f = &d->unit->feat;
	struct armv8_pt_config cfg = {
		.stage = d->stage,
		.granule_lg2 = f->granule_lg2,
		.ias = d->stage == 1 ? VA_BITS : f->oas,
		.oas = f->oas,
		.attr_normal = ATTR_NORMAL,
		.attr_device = ATTR_DEVICE,
	};

	d->core.geometry.first = 0;
	d->core.geometry.last = low_mask(cfg.ias);
	d->core.geometry.page_sizes = armv8_page_sizes(cfg.granule_lg2);
	return armv8_pt_create(&cfg, &hostmem_tables, &d->unit->port, &d->pt);
}

int domain_alloc(struct core_device *dev, uint32_t flags,
		 struct core_domain **out)
{
	struct unit *u = to_unit(dev->iommu);
	unsigned int stage = stage_for(&u->feat, flags);
	struct domain *d;
	int rc;

	if (!stage)
		return -EOPNOTSUPP;
	if (cmdq_is_dead(&u->cmdq))
		return -EIO;
	d = alloc_zero(sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->core.ops = &domain_ops;
	d->core.iommu = &u->host.core;
	d->unit = u;
	d->stage = stage;
	d->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	link_init(&d->masters);
	link_init(&d->pasids);
	link_init(&d->viommus);
	rc = domain_tables(d);
	if (rc)
		goto out_free;
	rc = stage == 1 ? hostids_get(&u->asids, &d->asid)
			: hostids_get(&u->vmids, &d->vmid);
	if (rc)
		goto out_tables;
	*out = &d->core;
	return 0;

out_tables:
	pt_destroy(d->pt);
out_free:
	free(d);
	return rc;
}
