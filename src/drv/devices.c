// SPDX-License-Identifier: MIT
/* See devices.h. */
#include "drv/devices.h"

#include "base/bits.h"
#include "drv/clock.h"
#include "drv/hostq.h"
#include "linux/iommufd.h"

#define TIMEOUTS_DEFAULT  4
#define WINDOW_MS_DEFAULT 10000
#define GUEST_FACTOR	  4

void hostdevs_init(struct hostdevs *h, unsigned int timeouts,
		   unsigned int window_ms)
{
	pthread_mutex_init(&h->lock, NULL);
	h->timeouts = timeouts ? timeouts : TIMEOUTS_DEFAULT;
	h->window_ms = window_ms ? window_ms : WINDOW_MS_DEFAULT;
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

/* ---- who does not answer ---- */

/* Lock held. What is spent of @b in the present window, @more included */
static uint32_t spend(const struct hostdevs *h, struct budget *b, uint32_t more)
{
	uint64_t now = clock_ms();

	if (now - b->since_ms >= h->window_ms) {
		b->since_ms = now;
		b->spent = 0;
	}
	b->spent += more;
	return b->spent;
}

/*
 * Lock held. The device before the unit, so that whoever takes the unit's mark
 * finds the device's.
 */
static void mark(struct hostdevs *h, struct hostdev *dev)
{
	__atomic_store_n(&dev->broken, true, __ATOMIC_RELEASE);
	__atomic_store_n(&h->marked, true, __ATOMIC_RELEASE);
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

void hostdevs_charge(struct hostdevs *h, uint64_t sid, uint32_t timeouts)
{
	struct hostdev *dev = NULL;

	pthread_mutex_lock(&h->lock);
	if (sid != HOSTQ_NO_SID)
		dev = hostdevs_find(h, (uint32_t)sid);
	if (dev && spend(h, &dev->budget, timeouts) >= h->timeouts)
		mark(h, dev);
	pthread_mutex_unlock(&h->lock);
}

bool hostdevs_guest_is_over(struct hostdevs *h, struct budget *guest,
			    uint32_t timeouts)
{
	bool over;

	pthread_mutex_lock(&h->lock);
	over = spend(h, guest, timeouts) >= GUEST_FACTOR * h->timeouts;
	pthread_mutex_unlock(&h->lock);
	return over;
}

void hostdevs_forgive(struct hostdevs *h, struct hostdev *dev)
{
	pthread_mutex_lock(&h->lock);
	dev->budget.spent = 0;
	__atomic_store_n(&dev->broken, false, __ATOMIC_RELEASE);
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
