// SPDX-License-Identifier: MIT
/* See hostunit.h. */
#include "drv/hostunit.h"

#include <errno.h>
#include <stdlib.h>

#include "drv/clock.h"
#include "linux/iommufd.h"

#define STEP_US 100

/* ---- coming and going ---- */

/* Of the steps the first @n have been taken. */
static void take_down(struct hostunit *h, size_t n)
{
	const struct hostunit_step *steps = h->ops->steps;

	while (n--) {
		if (steps[n].down)
			steps[n].down(&h->core);
	}
	pthread_mutex_destroy(h->cfg_lock);
	hostdevs_fini(h->devs);
	free(h);
}

int hostunit_create(struct hostunit *h, struct core_iommu **out)
{
	int rc;

	pthread_mutex_init(h->cfg_lock, NULL);
	hostdevs_init(h->devs, h->atc_timeouts, h->atc_window_ms);
	for (size_t n = 0; n < h->ops->steps_n; n++) {
		rc = h->ops->steps[n].up(&h->core);
		if (rc) {
			take_down(h, n);
			return rc;
		}
	}
	*out = &h->core;
	return 0;
}

void hostunit_destroy(struct core_iommu *iommu)
{
	struct hostunit *h = to_hostunit(iommu);

	take_down(h, h->ops->steps_n);
}

int hostunit_refuse(const struct hostunit *h, const char *why)
{
	logger_log(h->logger, LOGGER_ERROR, "%s: unusable: %s",
		   h->core.ops->name, why);
	return -ENXIO;
}

int hostunit_wait(const struct hostunit *h, uint32_t offset, uint32_t mask,
		  uint32_t want)
{
	const struct core_hwport *port = h->port;

	for (unsigned int us = 0; us / 1000 < h->timeout_ms; us += STEP_US) {
		uint64_t now = port->ops->read(port->ctx, offset, 4);

		if (((uint32_t)now & mask) == want)
			return 0;
		clock_nap_us(STEP_US);
	}
	logger_log(h->logger, LOGGER_ERROR, "%s: register %#x does not respond",
		   h->core.ops->name, offset);
	return -EIO;
}

/* ---- operations of core ---- */

int hostunit_hw_info(struct core_device *dev, uint32_t type, uint32_t *out_type,
		     const void **data, uint32_t *len)
{
	const struct hostunit *h = to_hostunit(dev->iommu);

	if (type != IOMMU_HW_INFO_TYPE_DEFAULT && type != h->info_type)
		return -EOPNOTSUPP;
	*out_type = h->info_type;
	*data = h->info;
	*len = h->info_len;
	return 0;
}

int hostunit_worker_up(struct core_iommu *iommu)
{
	hostwork_thread_init(&to_hostunit(iommu)->worker);
	return 0;
}

void hostunit_worker_down(struct core_iommu *iommu)
{
	hostwork_thread_fini(&to_hostunit(iommu)->worker);
}

size_t hostunit_reserved(struct core_device *dev, struct core_resv *resv,
			 size_t max)
{
	const struct hostunit *h = to_hostunit(dev->iommu);

	if (!max || !h->resv.last)
		return 0;
	resv[0] = h->resv;
	return 1;
}

void hostunit_stats(struct core_iommu *iommu, struct core_iommu_stats *stats)
{
	const struct hostunit *h = to_hostunit(iommu);

	hostq_read_stats(h->q, stats);
	stats->quarantines = hostdevs_quarantines(h->devs);
}

/* ---- devices ---- */

int hostunit_add(struct hostunit *h, struct hostdev *hd, void *drv)
{
	struct core_device *dev = h->ops->device(hd);
	int rc;

	pthread_mutex_lock(h->cfg_lock);
	rc = hostdevs_find(h->devs, dev->stream_id) ? -EEXIST
						    : h->ops->place(hd);
	if (!rc) {
		hostdevs_insert(h->devs, hd, dev->stream_id);
		dev->drv = drv;
	}
	pthread_mutex_unlock(h->cfg_lock);
	return rc;
}

int hostunit_page_request(struct hostunit *h, uint32_t sid,
			  const struct core_page_request *request, bool refused)
{
	const struct hostdev *hd;
	int rc = 0;

	hostq_hold(h->q);
	pthread_mutex_lock(&h->devs->lock);
	hd = hostdevs_find(h->devs, sid);
	if (!hd)
		rc = -ENODEV;
	else if (refused)
		rc = -EINVAL;
	else
		core_page_request(h->ops->device(hd), request);
	pthread_mutex_unlock(&h->devs->lock);
	hostq_release(h->q);
	return rc;
}

void hostunit_requests_lost(struct hostunit *h, uint32_t kind)
{
	struct hostdev *hd = NULL;

	pthread_mutex_lock(&h->devs->lock);
	while ((hd = hostdevs_next(h->devs, hd)))
		core_page_requests_lost(h->ops->device(hd), kind);
	pthread_mutex_unlock(&h->devs->lock);
}

/* ---- tables of domains ---- */

void hostunit_unmap(const struct hostunit *h, struct pt *pt, uint64_t *first,
		    uint64_t *last, struct pt_gather *gather)
{
	uint64_t iova = *first;
	uint64_t length = *last - *first + 1;

	if (!hostmem_unmap(pt, first, last, gather))
		logger_log(h->logger, LOGGER_ERROR,
			   "%s: unmap of %#llx+%#llx splits a block",
			   h->core.ops->name, (unsigned long long)iova,
			   (unsigned long long)length);
}
