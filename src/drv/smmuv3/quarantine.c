// SPDX-License-Identifier: MIT
/*
 * Devices that do not answer CMD_ATC_INV: drv/quarantine.h. In quarantine a
 * stream has EATS = 0, and its ATC gets no CMD_ATC_INV.
 */
#include "drv/smmuv3/unit.h"

void master_mark_broken(struct unit *u, uint32_t sid)
{
	struct master *m;

	pthread_mutex_lock(&u->sid_lock);
	m = master_find(u, sid);
	if (m)
		quarantine_mark(&u->quarantine, &m->culprit);
	pthread_mutex_unlock(&u->sid_lock);
}

/*
 * The ATC may hold translations that were to be forgotten; with EATS = 0 the
 * SMMU refuses requests that come already translated (CR0.ATSCHK).
 */
void masters_quarantine(struct unit *u)
{
	struct itree_node *node;

	if (!quarantine_take(&u->quarantine))
		return;
	for (node = itree_from(&u->masters, 0); node; node = itree_succ(node)) {
		struct master *m = container_of(node, struct master, sid_node);
		uint64_t ste[8];

		if (!master_is_broken(m) || !m->ats_on)
			continue;
		logger_log(u->cfg.logger, LOGGER_ERROR,
			   "smmuv3: stream %#x does not answer invalidations; "
			   "its ATS is off",
			   m->dev->stream_id);
		for (int i = 0; i < 8; i++)
			ste[i] = le64_get(m->ste->dw[i]);
		ste[1] &= ~SMMUV3_STE_1_EATS;
		strtab_install(m, ste);
		m->ats_on = false;
		__atomic_add_fetch(&u->quarantines, 1, __ATOMIC_RELAXED);
	}
}

/* One that is over takes all of its devices with it: any may be next. */
static void mark_all(struct viommu *v)
{
	struct unit *u = v->unit;

	pthread_rwlock_rdlock(&v->lock);
	pthread_mutex_lock(&u->sid_lock);
	for (size_t i = 0; i < v->vdevs_n; i++) {
		struct master *m = v->vdevs[i].dev->drv;

		if (v->vdevs[i].ats)
			quarantine_mark(&u->quarantine, &m->culprit);
	}
	pthread_mutex_unlock(&u->sid_lock);
	pthread_rwlock_unlock(&v->lock);
}

void viommu_charge(struct viommu *v, uint64_t sid, uint32_t timeouts)
{
	struct unit *u = v->unit;
	struct master *m = NULL;
	bool over;

	pthread_mutex_lock(&u->sid_lock);
	over = quarantine_guest_is_over(&u->quarantine, &v->budget, timeouts);
	if (sid != HOSTQ_NO_SID)
		m = master_find(u, (uint32_t)sid);
	quarantine_charge(&u->quarantine, m ? &m->culprit : NULL, timeouts);
	pthread_mutex_unlock(&u->sid_lock);
	if (over)
		mark_all(v);
	pthread_mutex_lock(&u->cfg_lock);
	masters_quarantine(u);
	pthread_mutex_unlock(&u->cfg_lock);
}

void master_forgive(struct master *m)
{
	struct unit *u = m->unit;

	pthread_mutex_lock(&u->sid_lock);
	if (!m->nested ||
	    !quarantine_guest_is_over(&u->quarantine,
				      &m->nested->viommu->budget, 0))
		quarantine_forgive(&m->culprit);
	pthread_mutex_unlock(&u->sid_lock);
}
