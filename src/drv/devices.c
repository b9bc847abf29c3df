// SPDX-License-Identifier: MIT
/* See devices.h. */
#include "drv/devices.h"

#include "base/bits.h"
#include "drv/clock.h"
#include "drv/hostq.h"
#include "linux/iommufd.h"

#define TIMEOUTS_DEFAULT  4
#define WINDOW_MS_DEFAULT 1000
#define GUEST_FACTOR	  4

/* Timeouts are forgotten when there have been none for so many windows */
#define FORGET_WINDOWS 60

/* How soon who waits for a window sees that it need not */
#define NAP_MS 10

/* Which part of the time others may have to wait for a guest's slow devices */
#define LATE_FACTOR 10

/* struct budget.spent */
#define SPENT_COUNT GENMASK_ULL(19, 0)
#define SPENT_MS    GENMASK_ULL(63, 20)

static uint64_t real_now_ms(struct hostdevs *h)
{
	(void)h;
	return clock_ms();
}

static void real_nap_ms(struct hostdevs *h, uint64_t ms)
{
	(void)h;
	clock_nap_us((unsigned int)ms * 1000);
}

void hostdevs_init(struct hostdevs *h, unsigned int timeouts,
		   unsigned int window_ms)
{
	pthread_mutex_init(&h->lock, NULL);
	h->timeouts = timeouts ? timeouts : TIMEOUTS_DEFAULT;
	h->window_ms = window_ms == HOSTDEVS_NO_WINDOW ? 0
		       : window_ms		       ? window_ms
						       : WINDOW_MS_DEFAULT;
	h->now_ms = real_now_ms;
	h->nap_ms = real_nap_ms;
}

void hostdevs_fini(struct hostdevs *h)
{
	pthread_mutex_destroy(&h->lock);
}

uint64_t hostdev_capabilities(const struct core_device *dev, bool ats,
			      unsigned int pasid_bits, uint8_t *max_pasid_log2)
{
	*max_pasid_log2 = hostdev_pasid_bits(dev, pasid_bits);
	return dev->ats && ats ? 0 : IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
}

/* ---- who there is ---- */

static struct hostdev *to_hostdev(struct itree_node *node)
{
	return node ? container_of(node, struct hostdev, node) : NULL;
}

struct hostdev *hostdevs_find(struct hostdevs *h, uint32_t sid)
{
	return to_hostdev(itree_first(&h->tree, sid, sid));
}

struct hostdev *hostdevs_next(struct hostdevs *h, const struct hostdev *dev)
{
	return to_hostdev(dev ? itree_succ(&dev->node)
			      : itree_from(&h->tree, 0));
}

void hostdevs_insert(struct hostdevs *h, struct hostdev *dev, uint32_t sid)
{
	dev->node.first = sid;
	dev->node.last = sid;
	pthread_mutex_lock(&h->lock);
	itree_insert(&h->tree, &dev->node);
	pthread_mutex_unlock(&h->lock);
}

void hostdevs_remove(struct hostdevs *h, struct hostdev *dev)
{
	pthread_mutex_lock(&h->lock);
	itree_remove(&h->tree, &dev->node);
	pthread_mutex_unlock(&h->lock);
}

/* ---- budgets and windows ---- */

static uint64_t forget_ms(const struct hostdevs *h)
{
	return FORGET_WINDOWS *
	       (uint64_t)(h->window_ms ? h->window_ms : WINDOW_MS_DEFAULT);
}

/* Another unit's thread may have charged since @now was read. */
static uint64_t since(uint64_t last, uint64_t now)
{
	return now > last ? now - last : 0;
}

/* How many of @word count at @now, and when the last was */
static uint64_t count_at(const struct hostdevs *h, uint64_t word, uint64_t now,
			 uint64_t *last)
{
	uint64_t count = field_get(SPENT_COUNT, word);

	*last = field_get(SPENT_MS, word);
	return count && since(*last, now) < forget_ms(h) ? count : 0;
}

static uint64_t load(const struct budget *b)
{
	return __atomic_load_n(&b->spent, __ATOMIC_ACQUIRE);
}

/* One more; how many there are */
static uint64_t spend(struct hostdevs *h, struct budget *b, uint64_t now)
{
	uint64_t word = load(b);
	uint64_t count, last, next;

	do {
		count = count_at(h, word, now, &last);
		count += count < SPENT_COUNT;
		next = field_prep(SPENT_MS, now > last ? now : last) |
		       field_prep(SPENT_COUNT, count);
	} while (!__atomic_compare_exchange_n(&b->spent, &word, next, false,
					      __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	return count;
}

bool hostdevs_is_over(struct hostdevs *h, const struct budget *guest)
{
	return hostdevs_window(h, guest) == HOSTDEVS_NEVER;
}

uint64_t hostdevs_window(struct hostdevs *h, const struct budget *b)
{
	uint64_t word = load(b);
	uint64_t now, last;

	if (!word)
		return 0;
	now = h->now_ms(h);
	if (count_at(h, word, now, &last) >=
	    (uint64_t)GUEST_FACTOR * h->timeouts)
		return HOSTDEVS_NEVER;
	return since(last, now) < h->window_ms ? last + h->window_ms : 0;
}

bool hostdevs_all_is_quiet(struct hostdevs *h)
{
	uint64_t last = __atomic_load_n(&h->charge_ms, __ATOMIC_ACQUIRE);

	return !last || since(last, h->now_ms(h)) >= forget_ms(h);
}

void hostdevs_pause(struct hostdevs *h, uint64_t until_ms, uint32_t changes,
		    bool (*over)(void *ctx), void *ctx)
{
	uint64_t now = h->now_ms(h);

	while (now < until_ms && !over(ctx) &&
	       __atomic_load_n(&h->changes, __ATOMIC_ACQUIRE) == changes) {
		h->nap_ms(h, until_ms - now < NAP_MS ? until_ms - now : NAP_MS);
		now = h->now_ms(h);
	}
}

/* ---- who does not answer ---- */

/*
 * Lock held. The device before the unit, so that whoever takes the unit's mark
 * finds the device's.
 */
static void mark(struct hostdevs *h, struct hostdev *dev)
{
	__atomic_store_n(&dev->broken, true, __ATOMIC_RELEASE);
	__atomic_store_n(&h->marked, true, __ATOMIC_RELEASE);
	__atomic_add_fetch(&h->changes, 1, __ATOMIC_RELEASE);
}

void hostdevs_mark(struct hostdevs *h, struct hostdev *dev)
{
	pthread_mutex_lock(&h->lock);
	mark(h, dev);
	pthread_mutex_unlock(&h->lock);
}

void hostdevs_mark_sid(struct hostdevs *h, uint32_t sid)
{
	struct hostdev *dev;

	pthread_mutex_lock(&h->lock);
	dev = hostdevs_find(h, sid);
	if (dev)
		mark(h, dev);
	pthread_mutex_unlock(&h->lock);
}

bool hostdevs_sid_is_broken(struct hostdevs *h, uint32_t sid)
{
	const struct hostdev *dev;
	bool broken;

	pthread_mutex_lock(&h->lock);
	dev = hostdevs_find(h, sid);
	broken = dev && hostdev_is_broken(dev);
	pthread_mutex_unlock(&h->lock);
	return broken;
}

/* Lock held, and while it is, a device's guest lives. */
static struct hostdev *find_payers(struct hostdevs *h, uint64_t sid,
				   struct budget **guest)
{
	struct hostdev *dev = NULL;

	if (sid != HOSTQ_NO_SID)
		dev = hostdevs_find(h, (uint32_t)sid);
	if (dev && !*guest)
		*guest = dev->guest;
	return dev;
}

/* Lock held */
static void charge(struct hostdevs *h, struct hostdev *dev,
		   struct budget *guest, uint64_t now)
{
	uint64_t most = (uint64_t)GUEST_FACTOR * h->timeouts;

	if (dev) {
		uint64_t own = spend(h, &dev->budget, now);
		uint64_t lasting = spend(h, &dev->lasting, now);

		if (own >= h->timeouts || lasting >= most)
			mark(h, dev);
	}
	if (guest)
		spend(h, guest, now);
}

void hostdevs_charge(struct hostdevs *h, struct budget *guest, uint64_t sid)
{
	uint64_t now = h->now_ms(h);
	struct hostdev *dev;

	pthread_mutex_lock(&h->lock);
	dev = find_payers(h, sid, &guest);
	charge(h, dev, guest, now);
	__atomic_store_n(&h->charge_ms, now, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&h->lock);
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t pause_of(const struct budget *b)
{
	return b ? __atomic_load_n(&b->pause, __ATOMIC_ACQUIRE) : 0;
}

/* Lock held, but other units have others. True: there was one at @begin */
static bool pause_until(struct budget *b, uint64_t begin, uint64_t end)
{
	uint64_t was = pause_of(b);

	if (b && was < end)
		__atomic_store_n(&b->pause, end, __ATOMIC_RELEASE);
	return was > begin;
}

/* Once for each HOSTDEVS_LATE_SUM_MS */
static bool adds_up(struct budget *b, uint64_t ms)
{
	if (!b || __atomic_add_fetch(&b->late, ms, __ATOMIC_ACQ_REL) <
			  HOSTDEVS_LATE_SUM_MS)
		return false;
	__atomic_store_n(&b->late, 0, __ATOMIC_RELEASE);
	return true;
}

void hostdevs_charge_late(struct hostdevs *h, struct budget *guest,
			  uint64_t sid, uint64_t took_ms)
{
	uint64_t pause = (LATE_FACTOR - 1) * took_ms;
	uint64_t now = h->now_ms(h);
	struct hostdev *dev;
	bool again;

	if (pause > h->window_ms)
		pause = h->window_ms;
	pthread_mutex_lock(&h->lock);
	dev = find_payers(h, sid, &guest);
	again = pause_until(dev ? &dev->lasting : NULL, now - took_ms,
			    now + pause);
	again |= pause_until(guest, now - took_ms, now + pause);
	if (again || took_ms >= HOSTDEVS_LATE_MS || adds_up(guest, took_ms))
		charge(h, dev, guest, now);
	__atomic_store_n(&h->charge_ms, now, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&h->lock);
}

/* Lock held */
static uint64_t window_of(struct hostdevs *h, const struct hostdev *dev,
			  const struct budget *guest)
{
	uint64_t own = hostdevs_window(h, &dev->lasting);
	uint64_t its = guest ? hostdevs_window(h, guest) : 0;

	if (hostdev_is_broken(dev))
		return HOSTDEVS_NEVER;
	return max_of(own, its);
}

uint64_t hostdevs_sid_window(struct hostdevs *h, const struct budget *guest,
			     uint32_t sid)
{
	const struct hostdev *dev;
	uint64_t end = 0;

	pthread_mutex_lock(&h->lock);
	dev = hostdevs_find(h, sid);
	if (dev)
		end = window_of(h, dev, guest ? guest : dev->guest);
	pthread_mutex_unlock(&h->lock);
	return end;
}

uint64_t hostdevs_sid_pause(struct hostdevs *h, const struct budget *guest,
			    uint32_t sid)
{
	uint64_t end = hostdevs_sid_window(h, guest, sid);
	uint64_t now = h->now_ms(h);
	const struct hostdev *dev;
	uint64_t pause = 0;

	pthread_mutex_lock(&h->lock);
	dev = hostdevs_find(h, sid);
	if (dev)
		pause = max_of(pause_of(&dev->lasting),
			       pause_of(guest ? guest : dev->guest));
	pthread_mutex_unlock(&h->lock);
	return max_of(end, pause > now ? pause : 0);
}

void hostdevs_forgive(struct hostdevs *h, struct hostdev *dev)
{
	pthread_mutex_lock(&h->lock);
	if (!hostdevs_is_over(h, &dev->lasting) &&
	    !(dev->guest && hostdevs_is_over(h, dev->guest))) {
		__atomic_store_n(&dev->budget.spent, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&dev->broken, false, __ATOMIC_RELEASE);
		__atomic_add_fetch(&h->changes, 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&h->lock);
}

void hostdevs_set_guest(struct hostdevs *h, struct hostdev *dev,
			struct budget *guest)
{
	pthread_mutex_lock(&h->lock);
	dev->guest = guest;
	pthread_mutex_unlock(&h->lock);
}

void hostdevs_quarantine(struct hostdevs *h, bool (*off)(struct hostdev *dev))
{
	struct hostdev *dev = NULL;

	if (!__atomic_load_n(&h->marked, __ATOMIC_RELAXED) ||
	    !__atomic_exchange_n(&h->marked, false, __ATOMIC_ACQ_REL))
		return;
	while ((dev = hostdevs_next(h, dev))) {
		if (hostdev_is_broken(dev) && off(dev))
			__atomic_add_fetch(&h->quarantines, 1,
					   __ATOMIC_RELAXED);
	}
}
