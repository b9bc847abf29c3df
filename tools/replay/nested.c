// SPDX-License-Identifier: MIT
/*
 * The nested world: what a VMM does. Guest memory is mapped into an IOAS, a
 * nest parent over it is every device's stage 2, a virtual IOMMU stands before
 * /dev/iommu. One more device sees stage 2 alone: it tells the machine's
 * address of guest memory.
 */
#include <errno.h>
#include <string.h>

#include <linux/iommufd.h>

#include "world.h"

/* Host and guest shall not agree on StreamIDs by chance. */
#define HOST_STREAM_FIRST  0x2300u
#define HOST_STREAM_BESIDE 0x22ffu

static int guest_read(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	const void *from = world_memory(ctx, gpa, len);

	if (!from)
		return -EFAULT;
	memcpy(buf, from, len);
	return 0;
}

static int guest_write(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	void *to = world_memory(ctx, gpa, len);

	if (!to)
		return -EFAULT;
	memcpy(to, buf, len);
	return 0;
}

static void guest_irq(void *ctx, unsigned int line)
{
	struct world *world = ctx;

	if (line < WORLD_LINES)
		world->irqs[line]++;
}

static void *guest_map(void *ctx, uint64_t gpa, size_t len)
{
	return world_memory(ctx, gpa, len);
}

static int make_machine(struct world *world)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = world->arch->machine,
		.cache = world->config.cache,
		.stale = world->config.stale,
		.ctx = world->config.ctx,
		.atc_window_ms = NESTFD_NO_WINDOW, /* nobody else waits */
	};
	int rc = nestfd_machine_create(&config, &world->machine);

	if (rc)
		return world_fail(world, rc, "a machine");
	rc = nestfd_open(world->machine, &world->nfd);
	return rc ? world_fail(world, rc, "opening its IOMMU") : 0;
}

static int plug_and_bind(struct world *world, uint32_t host_sid,
			 struct nestfd_device **dev, uint32_t *dev_id)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = host_sid,
	};
	int rc;

	if (world->arch->plug)
		world->arch->plug(world, &config);
	rc = nestfd_device_add(world->machine, &config, dev);
	if (rc)
		return world_fail(world, rc, "a device");
	rc = nestfd_bind(world->nfd, *dev, dev_id);
	return rc ? world_fail(world, rc, "binding a device") : 0;
}

static int map_region(struct world *world, uint32_t ioas,
		      const struct world_region *region)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)region->host,
		.length = region->length,
		.iova = region->first,
	};
	int rc = nestfd_ioctl(world->nfd, IOMMU_IOAS_MAP, &map);

	return rc ? world_fail(world, rc, "IOMMU_IOAS_MAP") : 0;
}

static bool attaches_pasids(const struct world *world)
{
	return world->arch->attaches_pasids &&
	       world->arch->attaches_pasids(world);
}

static int make_parent(struct world *world)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = world->beside_id,
	};
	int rc = nestfd_ioctl(world->nfd, IOMMU_IOAS_ALLOC, &ioas);

	if (attaches_pasids(world))
		hwpt.flags |= IOMMU_HWPT_ALLOC_PASID;

	if (rc)
		return world_fail(world, rc, "IOMMU_IOAS_ALLOC");
	for (size_t i = 0; i < WORLD_REGIONS && !rc; i++)
		if (world->regions[i].length)
			rc = map_region(world, ioas.out_ioas_id,
					&world->regions[i]);
	if (rc)
		return rc;
	world->parent_ioas = ioas.out_ioas_id;
	hwpt.pt_id = ioas.out_ioas_id;
	rc = nestfd_ioctl(world->nfd, IOMMU_HWPT_ALLOC, &hwpt);
	if (rc)
		return world_fail(world, rc, "IOMMU_HWPT_ALLOC");
	world->parent = hwpt.out_hwpt_id;
	rc = nestfd_attach(world->beside, NESTFD_NO_PASID, &hwpt.out_hwpt_id);
	return rc ? world_fail(world, rc, "attaching the nest parent") : 0;
}

static int make_viommu(struct world *world)
{
	struct nestfd_viommu_config config = {
		.size = sizeof(config),
		.backend = {
			.ctx = world->nfd,
			.ioctl = nestfd_ioctl,
			.read = nestfd_read,
			.close = nestfd_close_fd,
			.exact = true,
		},
		.guest = {
			.ctx = world,
			.read = guest_read,
			.write = guest_write,
			.irq = guest_irq,
			.map = guest_map,
		},
		.dev_id = world->beside_id,
		.parent_hwpt = world->parent,
		.parent_ioas = world->parent_ioas,
		.queue = world->config.queue,
	};
	int rc = world->arch->create_viommu(world, &config);

	return rc ? world_fail(world, rc, "the virtual IOMMU") : 0;
}

static int nested_start(struct world *world)
{
	int rc = make_machine(world);

	if (!rc)
		rc = plug_and_bind(world, HOST_STREAM_BESIDE, &world->beside,
				   &world->beside_id);
	if (!rc)
		rc = make_parent(world);
	return rc ? rc : make_viommu(world);
}

static void nested_stop(struct world *world)
{
	nestfd_viommu_destroy(world->viommu);
	nestfd_close(world->nfd);
}

static uint64_t nested_read(struct world *world, uint32_t offset,
			    unsigned int bytes)
{
	return nestfd_viommu_read(world->viommu, offset, bytes);
}

static void nested_write(struct world *world, uint32_t offset,
			 unsigned int bytes, uint64_t value)
{
	nestfd_viommu_write(world->viommu, offset, bytes, value);
}

static int attach(void *ctx, uint32_t pt_id)
{
	struct world_stream *stream = ctx;

	return nestfd_attach(stream->dev, NESTFD_NO_PASID, &pt_id);
}

static int attach_pasid(void *ctx, uint32_t pasid, uint32_t pt_id)
{
	struct world_stream *stream = ctx;

	if (pt_id)
		return nestfd_attach(stream->dev, pasid, &pt_id);
	nestfd_detach(stream->dev, pasid);
	return 0;
}

static int nested_plug(struct world *world, struct world_stream *stream)
{
	struct nestfd_viommu_device device = {
		.size = sizeof(device),
		.vsid = stream->sid,
		.attach = attach,
		.ctx = stream,
		.attach_pasid = attaches_pasids(world) ? attach_pasid : NULL,
	};
	int rc;

	stream->host_sid = HOST_STREAM_FIRST + (uint32_t)world->nr_streams;
	rc = plug_and_bind(world, stream->host_sid, &stream->dev,
			   &device.dev_id);
	if (rc)
		return rc;
	stream->dev_id = device.dev_id;
	rc = nestfd_viommu_device_add(world->viommu, &device);
	return rc ? world_fail(world, rc, "a device of the virtual IOMMU") : 0;
}

static int nested_pump(struct world *world)
{
	int rc = nestfd_viommu_pump(world->viommu);

	return rc < 0 ? world_fail(world, rc, "reading events") : 0;
}

static int nested_pa(struct world *world, uint64_t gpa, uint64_t *pa)
{
	struct nestfd_translation tr = { .size = sizeof(tr) };
	int rc = nestfd_translate(world->beside, gpa, NESTFD_NO_PASID,
				  NESTFD_TRANSLATE_QUIET, &tr);

	if (rc || tr.result != NESTFD_TRANSLATED)
		return -EFAULT;
	*pa = tr.pa;
	return 0;
}

const struct world_ops world_nested_ops = {
	.start = nested_start,
	.stop = nested_stop,
	.read = nested_read,
	.write = nested_write,
	.plug = nested_plug,
	.pump = nested_pump,
	.pa = nested_pa,
};
