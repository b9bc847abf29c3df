// SPDX-License-Identifier: MIT
/*
 * Devices that do not answer CMD_ATC_INV: drv/devices.h. In quarantine a stream
 * has EATS = 0, and its ATC gets no CMD_ATC_INV.
 */
#include "drv/smmuv3/unit.h"

/*
 * The ATC may hold translations that were to be forgotten; with EATS = 0 the
 * SMMU refuses requests that come already translated (CR0.ATSCHK).
 */
static bool ats_off(struct hostdev *dev)
{
	struct master *m = container_of(dev, struct master, hostdev);
	uint64_t ste[8];

	if (!m->ats_on)
		return false;
	logger_log(m->unit->cfg.logger, LOGGER_ERROR,
		   "smmuv3: stream %#x does not answer invalidations; "
		   "its ATS is off",
		   m->dev->stream_id);
	for (int i = 0; i < 8; i++)
		ste[i] = le64_get(m->ste->dw[i]);
	ste[1] &= ~SMMUV3_STE_1_EATS;
	strtab_install(m, ste);
	m->ats_on = false;
	return true;
}

void masters_quarantine(struct unit *u)
{
	hostdevs_quarantine(&u->devs, ats_off);
}

/* One that is over takes all of its devices with it: any may be next. */
static void mark_all(struct viommu *v)
{
	pthread_rwlock_rdlock(&v->lock);
	for (size_t i = 0; i < v->vdevs_n; i++) {
		struct master *m = v->vdevs[i].dev->drv;

		if (v->vdevs[i].ats)
			hostdevs_mark(&v->unit->devs, &m->hostdev);
	}
	pthread_rwlock_unlock(&v->lock);
}

void viommu_timed_out(struct viommu *v)
{
	struct unit *u = v->unit;

	if (hostdevs_is_over(&u->devs, &v->budget))
		mark_all(v);
	pthread_mutex_lock(&u->cfg_lock);
	masters_quarantine(u);
	pthread_mutex_unlock(&u->cfg_lock);
}

void master_forgive(struct master *m)
{
	hostdevs_forgive(&m->unit->devs, &m->hostdev);
}

void master_pays(struct master *m, struct budget *guest)
{
	hostdevs_set_guest(&m->unit->devs, &m->hostdev, guest);
}

bool master_may_be_asked(struct master *m)
{
	return !hostdevs_sid_window(&m->unit->devs, NULL, m->dev->stream_id);
}
