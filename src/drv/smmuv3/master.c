// SPDX-License-Identifier: MIT
/*
 * Devices behind the unit and what they are attached to. Attaching builds the
 * wanted STE from scratch and installs it; whatever can fail comes before.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "drv/smmuv3/tlb.h"
#include "drv/smmuv3/unit.h"

bool master_can_ats(const struct master *m)
{
	return m->dev->ats && m->unit->feat.ats && !master_is_broken(m);
}

bool master_stalls(const struct master *m)
{
	return m->dev->stall &&
	       (m->unit->feat.stall_optional || m->unit->feat.stall_forced);
}

struct master *master_find(struct unit *u, uint32_t sid)
{
	struct hostdev *dev = hostdevs_find(&u->devs, sid);

	return dev ? container_of(dev, struct master, hostdev) : NULL;
}

/* ---- changing over ---- */

static void set_vmaster(struct master *m, struct viommu *v, uint32_t vsid)
{
	pthread_mutex_lock(&m->unit->devs.lock);
	m->vmaster = v;
	m->vsid = vsid;
	pthread_mutex_unlock(&m->unit->devs.lock);
}

/* What the ATC holds belongs to what was; nothing of it may stay. */
static void forget_atc(struct master *m)
{
	struct hostinv h;

	hostinv_init(&h, m->unit);
	hostinv_atc_all(&h, m);
	hostinv_finish(&h);
	masters_quarantine(m->unit);
}

/* A device that asks with a PASID is answered with it, by hardware too (8.1) */
static void set_ppar(const struct master *m, uint64_t ste[8])
{
	if (m->unit->feat.pri && m->dev->pri && m->ssid_bits &&
	    (ste[0] & SMMUV3_STE_0_V))
		ste[1] |= SMMUV3_STE_1_PPAR;
}

static void change_over(struct master *m, uint64_t ste[8], enum ste_mode mode,
			bool ats)
{
	bool had_ats = m->ats_on;

	set_ppar(m, ste);
	strtab_install(m, ste);
	m->mode = mode;
	m->ats_on = ats;
	/* without ATS it has kept nothing: asking is not worth a quarantine */
	if (had_ats || (ats && master_may_be_asked(m)))
		forget_atc(m);
}

static void now_under(struct master *m, struct domain *d, struct nested *n)
{
	link_del(&m->link);
	m->domain = d;
	m->nested = n;
	if (d)
		link_add(&d->masters, &m->link);
	else if (n)
		link_add(&n->viommu->masters, &m->link);
	master_pays(m, n ? &n->viommu->budget : d ? &d->budget : NULL);
	if (!n)
		set_vmaster(m, NULL, 0);
}

/* For what is asked on the way: who has had it so far, if there is one */
static void will_pay(struct master *m, struct budget *guest)
{
	if (!m->hostdev.guest)
		master_pays(m, guest);
}

static int attach_s1(struct domain *d, struct master *m)
{
	bool ats = master_can_ats(m);
	uint64_t ste[8];
	uint64_t cd[8];
	int rc;

	rc = cdtab_init(m);
	if (rc)
		return rc;
	cd_make(d, master_stalls(m), cd);
	rc = cdtab_set(m, 0, cd);
	if (rc)
		return rc;
	ste_s1(m, SMMUV3_S1DSS_SSID0, ats, ste);
	will_pay(m, &d->budget);
	change_over(m, ste, STE_S1, ats);
	return 0;
}

static int attach_s2(struct domain *d, struct master *m)
{
	bool ats = master_can_ats(m);
	uint64_t ste[8];

	/* SSIDs need a CD table of the host's */
	if (!itree_empty(&m->pasids))
		return -EBUSY;
	ste_s2(d, d->vmid, ats, master_stalls(m), ste);
	will_pay(m, &d->budget);
	change_over(m, ste, STE_S2, ats);
	return 0;
}

int master_attach(struct domain *d, struct master *m)
{
	struct unit *u = m->unit;
	int rc;

	if (cmdq_is_dead(&u->cmdq))
		return -EIO;
	pthread_mutex_lock(&u->cfg_lock);
	rc = d->stage == 1 ? attach_s1(d, m) : attach_s2(d, m);
	if (!rc)
		now_under(m, d, NULL);
	pthread_mutex_unlock(&u->cfg_lock);
	return rc;
}

static int vdev_of(struct viommu *v, const struct core_device *dev,
		   uint64_t *virt_id)
{
	int rc = -ENOENT;

	pthread_rwlock_rdlock(&v->lock);
	for (size_t i = 0; i < v->vdevs_n; i++) {
		if (v->vdevs[i].dev != dev)
			continue;
		*virt_id = v->vdevs[i].virt_id;
		rc = 0;
		break;
	}
	pthread_rwlock_unlock(&v->lock);
	return rc;
}

/*
 * The vSID that events carry is the one of this moment: a vDEVICE that goes or
 * comes later changes nothing before the next attach.
 */
int master_attach_nested(struct nested *n, struct master *m)
{
	struct unit *u = m->unit;
	bool ats = n->ats && master_can_ats(m);
	bool translates = nested_translates(n);
	uint64_t virt_id = 0;
	uint64_t ste[8];
	bool told;
	int rc = 0;

	if (cmdq_is_dead(&u->cmdq))
		return -EIO;
	told = !nested_is_valid(n) && n->viommu->core.tell_invalid;
	if (translates || told)
		rc = vdev_of(n->viommu, m->dev, &virt_id);
	if (rc && translates)
		return rc;
	/* What is not valid need not have one; but then nobody is told. */
	told = told && !rc;
	pthread_mutex_lock(&u->cfg_lock);
	if (!itree_empty(&m->pasids)) {
		pthread_mutex_unlock(&u->cfg_lock);
		return -EBUSY;
	}
	set_vmaster(m, translates || told ? n->viommu : NULL,
		    (uint32_t)virt_id);
	ste_nested(n, ats, told, ste);
	will_pay(m, &n->viommu->budget);
	change_over(m, ste, STE_NESTED, ats);
	now_under(m, NULL, n);
	pthread_mutex_unlock(&u->cfg_lock);
	return 0;
}

/* ---- PASIDs ---- */

static struct pasid *pasid_find(struct master *m, uint32_t number)
{
	struct itree_node *node = itree_first(&m->pasids, number, number);

	return node ? container_of(node, struct pasid, node) : NULL;
}

static struct pasid *pasid_new(struct master *m, uint32_t number)
{
	struct pasid *p = alloc_zero(sizeof(*p));

	if (!p)
		return NULL;
	p->master = m;
	p->node.first = number;
	p->node.last = number;
	link_init(&p->link);
	return p;
}

/* SSIDs may be used while transactions without one are blocked. */
static void terminate_default(struct master *m)
{
	bool ats = master_can_ats(m);
	uint64_t ste[8];

	ste_s1(m, SMMUV3_S1DSS_TERMINATE, ats, ste);
	change_over(m, ste, STE_S1, ats);
}

static void forget_pasid_atc(struct master *m, uint32_t pasid)
{
	struct hostinv h;

	if (!m->ats_on)
		return;
	hostinv_init(&h, m->unit);
	hostinv_atc(&h, m, pasid, 0, UINT64_MAX);
	hostinv_finish(&h);
	masters_quarantine(m->unit);
}

static int attach_pasid(struct domain *d, struct master *m, uint32_t number)
{
	struct pasid *p = pasid_find(m, number);
	struct pasid *fresh = NULL;
	uint64_t cd[8];
	int rc;

	if (m->mode == STE_S2 || m->mode == STE_NESTED)
		return -EINVAL;
	if (!p) {
		fresh = pasid_new(m, number);
		if (!fresh)
			return -ENOMEM;
		p = fresh;
	}
	cd_make(d, master_stalls(m), cd);
	rc = cdtab_init(m);
	if (!rc)
		rc = cdtab_set(m, number, cd);
	if (rc) {
		free(fresh);
		return rc;
	}
	if (fresh)
		itree_insert(&m->pasids, &p->node);
	if (m->mode == STE_ABORT)
		terminate_default(m);
	link_del(&p->link);
	p->domain = d;
	link_add(&d->pasids, &p->link);
	forget_pasid_atc(m, number);
	return 0;
}

int master_attach_pasid(struct domain *d, struct master *m, uint32_t pasid)
{
	struct unit *u = m->unit;
	int rc;

	/* SSID 0 is where transactions without one go (S1DSS) */
	if (d->stage != 1 || !pasid || pasid > low_mask(m->ssid_bits))
		return -EINVAL;
	if (cmdq_is_dead(&u->cmdq))
		return -EIO;
	pthread_mutex_lock(&u->cfg_lock);
	rc = attach_pasid(d, m, pasid);
	pthread_mutex_unlock(&u->cfg_lock);
	return rc;
}

/* ---- blocking ---- */

static void abort_all(struct master *m)
{
	uint64_t ste[8];

	ste_abort(ste);
	change_over(m, ste, STE_ABORT, false);
}

static void block_default(struct master *m)
{
	if (m->mode == STE_S1 && !itree_empty(&m->pasids))
		terminate_default(m);
	else
		abort_all(m);
	cdtab_clear(m, 0);
	now_under(m, NULL, NULL);
}

static void block_pasid(struct master *m, struct pasid *p)
{
	uint32_t number = (uint32_t)p->node.first;

	cdtab_clear(m, number);
	forget_pasid_atc(m, number);
	itree_remove(&m->pasids, &p->node);
	link_del(&p->link);
	free(p);
	if (itree_empty(&m->pasids) && !m->domain)
		abort_all(m);
}

void master_block(struct core_device *dev, uint32_t pasid)
{
	struct master *m = dev->drv;
	struct pasid *p;

	pthread_mutex_lock(&m->unit->cfg_lock);
	if (pasid == CORE_NO_PASID) {
		block_default(m);
	} else {
		p = pasid_find(m, pasid);
		if (p)
			block_pasid(m, p);
	}
	pthread_mutex_unlock(&m->unit->cfg_lock);
}

/* ---- reset ---- */

/* cfg_lock held: what it would have got, had it been attached now */
static void give_ats_back(struct master *m)
{
	uint64_t ste[8];

	if (m->ats_on || !master_can_ats(m) || (m->nested && !m->nested->ats))
		return;
	switch (m->mode) {
	case STE_ABORT:
		return;
	case STE_S1:
		ste_s1(m,
		       m->domain ? SMMUV3_S1DSS_SSID0 : SMMUV3_S1DSS_TERMINATE,
		       true, ste);
		break;
	case STE_S2:
		ste_s2(m->domain, m->domain->vmid, true, master_stalls(m), ste);
		break;
	case STE_NESTED:
		ste_nested(m->nested, true, false, ste);
		break;
	}
	change_over(m, ste, m->mode, true);
}

/* The ATC is empty and answers again: a quarantine ends. */
void master_reset(struct core_device *dev)
{
	struct master *m = dev->drv;

	if (!m)
		return;
	pthread_mutex_lock(&m->unit->cfg_lock);
	master_forgive(m);
	give_ats_back(m);
	pthread_mutex_unlock(&m->unit->cfg_lock);
}

/* ---- coming and going ---- */

struct core_device *master_device(const struct hostdev *hd)
{
	return container_of(hd, struct master, hostdev)->dev;
}

int master_place(struct hostdev *hd)
{
	struct master *m = container_of(hd, struct master, hostdev);

	return strtab_entry(m->unit, m->dev->stream_id, &m->ste);
}

int master_add(struct core_device *dev)
{
	struct unit *u = to_unit(dev->iommu);
	struct master *m = alloc_zero(sizeof(*m));
	int rc;

	if (!m)
		return -ENOMEM;
	m->dev = dev;
	m->unit = u;
	m->ssid_bits = hostdev_pasid_bits(dev, u->feat.ssid_bits);
	link_init(&m->link);
	rc = hostunit_add(&u->host, &m->hostdev, m);
	if (rc)
		free(m);
	return rc;
}

void master_remove(struct core_device *dev)
{
	struct master *m = dev->drv;
	struct unit *u = m->unit;
	struct itree_node *node;

	pthread_mutex_lock(&u->cfg_lock);
	while ((node = itree_from(&m->pasids, 0)))
		block_pasid(m, container_of(node, struct pasid, node));
	block_default(m);
	hostdevs_remove(&u->devs, &m->hostdev);
	cdtab_fini(m);
	pthread_mutex_unlock(&u->cfg_lock);
	dev->drv = NULL;
	free(m);
}
