// SPDX-License-Identifier: MIT
/*
 * Devices that do not answer CMD_ATC_INV. Each time everybody behind the unit
 * waits until hardware gives up, so a device has a *budget* of such timeouts,
 * and so has a guest, whatever it does with its devices. Who has spent it is in
 * *quarantine*: no ATS (EATS = 0), and no CMD_ATC_INV until its reset. Where an
 * invalidation is the host's own, one timeout is enough: what it was to forget
 * must be out of reach when it returns. Numbers: docs/security.md.
 */
#include <time.h>

#include "drv/smmuv3/unit.h"

#define TIMEOUTS_DEFAULT  4
#define WINDOW_MS_DEFAULT 10000
#define GUEST_FACTOR	  4

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint32_t device_limit(const struct unit *u)
{
	return u->cfg.atc_timeouts ? u->cfg.atc_timeouts : TIMEOUTS_DEFAULT;
}

/* What is spent of @b in the present window, @more included */
static uint32_t spend(const struct unit *u, struct budget *b, uint32_t more)
{
	uint64_t now = now_ms();
	uint64_t window =
		u->cfg.atc_window_ms ? u->cfg.atc_window_ms : WINDOW_MS_DEFAULT;

	if (now - b->since_ms >= window) {
		b->since_ms = now;
		b->spent = 0;
	}
	b->spent += more;
	return b->spent;
}

static bool guest_is_over(struct viommu *v, uint32_t more)
{
	return spend(v->unit, &v->budget, more) >=
	       GUEST_FACTOR * device_limit(v->unit);
}

/*
 * sid_lock held. The master before the unit, so that whoever takes the unit's
 * mark finds the master's.
 */
static void mark(struct master *m)
{
	struct unit *u = m->unit;

	__atomic_store_n(&m->ats_broken, true, __ATOMIC_RELEASE);
	__atomic_store_n(&u->ats_broken, true, __ATOMIC_RELEASE);
}

void master_mark_broken(struct unit *u, uint32_t sid)
{
	struct master *m;

	pthread_mutex_lock(&u->sid_lock);
	m = master_find(u, sid);
	if (m)
		mark(m);
	pthread_mutex_unlock(&u->sid_lock);
}

/*
 * The ATC may hold translations that were to be forgotten; with EATS = 0 the
 * SMMU refuses requests that come already translated (CR0.ATSCHK).
 */
void masters_quarantine(struct unit *u)
{
	struct itree_node *node;

	if (!__atomic_load_n(&u->ats_broken, __ATOMIC_RELAXED) ||
	    !__atomic_exchange_n(&u->ats_broken, false, __ATOMIC_ACQ_REL))
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
		if (v->vdevs[i].ats)
			mark(v->vdevs[i].dev->drv);
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
	over = guest_is_over(v, timeouts);
	if (sid != CMDQ_NO_SID)
		m = master_find(u, (uint32_t)sid);
	if (m && spend(u, &m->budget, timeouts) >= device_limit(u))
		mark(m);
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
	if (!m->nested || !guest_is_over(m->nested->viommu, 0)) {
		m->budget.spent = 0;
		__atomic_store_n(&m->ats_broken, false, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&u->sid_lock);
}
