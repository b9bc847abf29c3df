// SPDX-License-Identifier: MIT
/*
 * Devices that do not answer invalidations: drv/quarantine.h. In quarantine a
 * device's context entry has no DTE, so hardware neither answers its
 * translation requests nor takes requests that come already translated: what
 * its TLB still holds is out of reach. Invalidations then have nothing to ask
 * it.
 */
#include "drv/vtd/unit.h"

void vtd_master_mark(struct unit *u, uint32_t sid)
{
	struct master *m;

	pthread_mutex_lock(&u->sid_lock);
	m = vtd_master_find(u, sid);
	if (m)
		quarantine_mark(&u->quarantine, &m->culprit);
	pthread_mutex_unlock(&u->sid_lock);
}

void vtd_masters_quarantine(struct unit *u)
{
	struct itree_node *node;

	if (!quarantine_take(&u->quarantine))
		return;
	for (node = itree_from(&u->masters, 0); node; node = itree_succ(node)) {
		struct master *m = container_of(node, struct master, sid_node);

		if (!culprit_is_broken(&m->culprit) || !m->ats_on)
			continue;
		logger_log(u->cfg.logger, LOGGER_ERROR,
			   "vtd: device %#x does not answer invalidations; its "
			   "ATS is off",
			   m->sid);
		vtd_tables_set_ats(m, false);
		__atomic_add_fetch(&u->quarantines, 1, __ATOMIC_RELAXED);
	}
}

static void mark_layer(struct layer *l)
{
	link_for_each(&l->atts, link)
	{
		struct att *a = container_of(link, struct att, link);
		struct master *m = a->master;

		if (!m->dev->ats || !m->unit->feat.ats)
			continue;
		pthread_mutex_lock(&m->unit->sid_lock);
		quarantine_mark(&m->unit->quarantine, &m->culprit);
		pthread_mutex_unlock(&m->unit->sid_lock);
	}
}

static void quarantine_layer(struct layer *l)
{
	link_for_each(&l->dids, link)
	{
		struct did *d = container_of(link, struct did, link);

		pthread_mutex_lock(&d->unit->cfg_lock);
		vtd_masters_quarantine(d->unit);
		pthread_mutex_unlock(&d->unit->cfg_lock);
	}
}

/* A guest that is over takes all its devices with it: any may be next. */
static void mark_guest(struct domain *d)
{
	pthread_rwlock_rdlock(&d->layer.lock);
	link_for_each(&d->nested, link)
	{
		struct nested *n = container_of(link, struct nested, link);

		pthread_rwlock_rdlock(&n->layer.lock);
		mark_layer(&n->layer);
		quarantine_layer(&n->layer);
		pthread_rwlock_unlock(&n->layer.lock);
	}
	pthread_rwlock_unlock(&d->layer.lock);
}

void vtd_guest_charge(struct domain *d, struct unit *u, uint64_t sid,
		      uint32_t timeouts)
{
	struct quarantine *home = &d->home->quarantine;
	struct master *m = NULL;
	bool over;

	pthread_mutex_lock(&d->home->sid_lock);
	over = quarantine_guest_is_over(home, &d->budget, timeouts);
	pthread_mutex_unlock(&d->home->sid_lock);
	pthread_mutex_lock(&u->sid_lock);
	if (sid != HOSTQ_NO_SID)
		m = vtd_master_find(u, (uint32_t)sid);
	quarantine_charge(&u->quarantine, m ? &m->culprit : NULL, timeouts);
	pthread_mutex_unlock(&u->sid_lock);
	if (over)
		mark_guest(d);
	pthread_mutex_lock(&u->cfg_lock);
	vtd_masters_quarantine(u);
	pthread_mutex_unlock(&u->cfg_lock);
}

/* cfg_lock held; some nested domain of @m's, whose guest is over its budget */
static bool has_spent_guest(struct master *m)
{
	struct itree_node *node = itree_from(&m->atts, 0);
	bool over = false;

	for (; node && !over; node = itree_succ(node)) {
		struct layer *l = container_of(node, struct att, node)->layer;
		struct domain *d = layer_tables(l);

		if (!l->core.nested)
			continue;
		pthread_mutex_lock(&d->home->sid_lock);
		over = quarantine_guest_is_over(&d->home->quarantine,
						&d->budget, 0);
		pthread_mutex_unlock(&d->home->sid_lock);
	}
	return over;
}

void vtd_master_forgive(struct master *m)
{
	struct unit *u = m->unit;

	pthread_mutex_lock(&u->cfg_lock);
	if (!has_spent_guest(m)) {
		pthread_mutex_lock(&u->sid_lock);
		quarantine_forgive(&m->culprit);
		pthread_mutex_unlock(&u->sid_lock);
	}
	pthread_mutex_unlock(&u->cfg_lock);
}
