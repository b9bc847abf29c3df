// SPDX-License-Identifier: MIT
/*
 * Devices that do not answer invalidations: drv/devices.h. In quarantine a
 * device's context entry has no DTE, so hardware neither answers its
 * translation requests nor takes requests that come already translated: what
 * its TLB still holds is out of reach. Invalidations then have nothing to ask
 * it.
 */
#include "drv/vtd/unit.h"

static bool ats_off(struct hostdev *dev)
{
	struct master *m = container_of(dev, struct master, hostdev);

	if (!m->ats_on)
		return false;
	logger_log(m->unit->cfg.logger, LOGGER_ERROR,
		   "vtd: device %#x does not answer invalidations; its ATS is "
		   "off",
		   m->sid);
	vtd_tables_set_ats(m, false);
	return true;
}

void vtd_masters_quarantine(struct unit *u)
{
	hostdevs_quarantine(&u->devs, ats_off);
}

static void mark_did(struct did *d)
{
	link_for_each(&d->atts, link)
	{
		struct master *m = container_of(link, struct att, link)->master;

		if (m->dev->ats && m->unit->feat.ats)
			hostdevs_mark(&m->unit->devs, &m->hostdev);
	}
}

static void quarantine_layer(struct layer *l)
{
	link_for_each(&l->dids, link)
	{
		struct did *d = container_of(link, struct did, link);

		mark_did(d);
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
		quarantine_layer(&n->layer);
		pthread_rwlock_unlock(&n->layer.lock);
	}
	pthread_rwlock_unlock(&d->layer.lock);
}

void vtd_guest_timed_out(struct domain *d, struct unit *u)
{
	if (hostdevs_is_over(&u->devs, &d->budget))
		mark_guest(d);
	pthread_mutex_lock(&u->cfg_lock);
	vtd_masters_quarantine(u);
	pthread_mutex_unlock(&u->cfg_lock);
}

/* cfg_lock held; @m is under some domain that is over its budget */
static bool has_spent_guest(struct master *m)
{
	struct itree_node *node = itree_from(&m->atts, 0);
	bool over = false;

	for (; node && !over; node = itree_succ(node)) {
		struct layer *l = container_of(node, struct att, node)->layer;
		struct domain *d = layer_tables(l);

		over = hostdevs_is_over(&m->unit->devs, &d->budget);
	}
	return over;
}

void vtd_master_forgive(struct master *m)
{
	pthread_mutex_lock(&m->unit->cfg_lock);
	if (!has_spent_guest(m))
		hostdevs_forgive(&m->unit->devs, &m->hostdev);
	pthread_mutex_unlock(&m->unit->cfg_lock);
}
