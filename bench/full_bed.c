// SPDX-License-Identifier: MIT
/* See full.h: one guest, its devices, and DMA until the cache is full. */
#include <errno.h>
#include <stdlib.h>

#include "full.h"

#define CACHE_ENTRIES                                           \
	(1u << 22) /* what walks cache on their way counts, too \
		    */

struct full_device {
	struct nestfd_device *dev;
	uint32_t dev_id;
};

static int attach(void *ctx, uint32_t pt_id)
{
	struct full_device *device = ctx;

	return nestfd_attach(device->dev, NESTFD_NO_PASID, &pt_id);
}

static int plug_in(struct full_bed *bed, struct full_device *device,
		   uint32_t sid)
{
	struct nestfd_viommu_device member = {
		.size = sizeof(member),
		.vsid = sid,
		.attach = attach,
		.ctx = device,
	};
	int rc = nestfd_bind(bed->host.ctx, device->dev, &device->dev_id);

	member.dev_id = device->dev_id;
	return rc ? rc : nestfd_viommu_device_add(bed->guest.viommu, &member);
}

/* All StreamIDs from 0 on but the guest's own */
static uint32_t sid_of(const struct full_bed *bed, uint32_t n)
{
	return n < bed->guest.vsid ? n : n + 1;
}

static int add_devices(struct full_bed *bed, const struct full_arch *arch)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.ats = bed->host.ats,
	};
	uint32_t n = bed->spread->devices;
	int rc = 0;

	bed->devices = calloc(n ? n : 1, sizeof(*bed->devices));
	if (!bed->devices)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && !rc; i++) {
		uint32_t sid = sid_of(bed, i);

		config.stream_id = bed->host.bare ? sid : 0x1000 + sid;
		arch->stream(bed, sid);
		rc = nestfd_device_add(bed->host.machine, &config,
				       &bed->devices[i].dev);
		if (!rc && !bed->host.bare)
			rc = plug_in(bed, &bed->devices[i], sid);
	}
	return rc;
}

static int touch(struct full_bed *bed, struct nestfd_device *dev,
		 uint32_t pasid, uint64_t pages)
{
	uint64_t word;
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.pasid = pasid,
		.flags = bed->spread->atc ? NESTFD_DMA_TRANSLATED : 0,
		.buf = &word,
		.length = sizeof(word),
	};
	int rc = 0;

	for (uint64_t i = 0; i < pages && !rc; i++) {
		dma.iova = FULL_IOVA + i * 4096;
		rc = nestfd_dma(dev, &dma);
	}
	return rc;
}

static int fill(struct full_bed *bed, const struct full_arch *arch)
{
	const struct full_spread *s = bed->spread;
	uint32_t pages = s->cached / s->tags;
	int rc = 0;

	guest_map_many(&bed->guest, FULL_IOVA, guest_page(&bed->guest, 0),
		       pages);
	if (arch->mapped)
		arch->mapped(bed);
	for (uint32_t tag = 0; tag < s->tags && !rc; tag++)
		rc = touch(bed, bed->guest.dev, arch->tag(bed, tag), pages);
	for (uint32_t i = 0; i < s->devices && !rc; i++)
		rc = touch(bed, bed->devices[i].dev, NESTFD_NO_PASID, 1);
	return rc;
}

int full_bed_start(struct full_bed *bed, const struct full_arch *arch,
		   const struct full_way *way, const struct full_spread *spread)
{
	int rc;

	*bed = (struct full_bed){
		.spread = spread,
		.host = {
			.arch = arch->path->arch,
			.guests = 1,
			.cache_entries = CACHE_ENTRIES,
			.cmdq_lg2 = 19,
			.ats = true,
			.bare = way->bare,
			.pasid_bits = arch->pasid_bits,
		},
	};
	rc = host_start(&bed->host);
	if (!rc)
		rc = guest_start(&bed->guest, &bed->host, 0, 1);
	if (rc)
		return rc;
	arch->prepare(bed);
	rc = add_devices(bed, arch);
	return rc ? rc : fill(bed, arch);
}

void full_bed_stop(struct full_bed *bed)
{
	for (uint32_t i = 0; bed->host.bare && i < bed->spread->devices; i++)
		nestfd_device_remove(bed->devices[i].dev);
	guest_stop(&bed->guest);
	for (uint32_t i = 0; !bed->host.bare && i < bed->spread->devices; i++)
		nestfd_device_remove(bed->devices[i].dev);
	free(bed->devices);
	host_stop(&bed->host);
}
