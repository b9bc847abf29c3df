// SPDX-License-Identifier: MIT
/* The direct world: the guest drives the hardware model itself. */
#include <errno.h>

#include "world.h"

static void count_irq(void *ctx, unsigned int line)
{
	struct world *world = ctx;

	if (line < WORLD_LINES)
		world->irqs[line]++;
}

static int direct_start(struct world *world)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = world->arch->machine,
		.cache = world->config.cache,
		.stale = world->config.stale,
		.ctx = world->config.ctx,
	};
	int rc = world->arch->create(world, &config, &world->machine);

	if (rc)
		return world_fail(world, rc, "a machine with this IOMMU");
	for (size_t i = 0; i < WORLD_REGIONS && !rc; i++)
		if (world->regions[i].length)
			rc = nestfd_memory_add(world->machine,
					       world->regions[i].first,
					       world->regions[i].host,
					       world->regions[i].length);
	if (!rc)
		rc = nestfd_iommu_irq(world->machine, count_irq, world);
	return rc ? world_fail(world, rc, "the machine's memory") : 0;
}

static void direct_stop(struct world *world)
{
	(void)world;
}

static uint64_t direct_read(struct world *world, uint32_t offset,
			    unsigned int bytes)
{
	return nestfd_iommu_read(world->machine, offset, bytes);
}

static void direct_write(struct world *world, uint32_t offset,
			 unsigned int bytes, uint64_t value)
{
	nestfd_iommu_write(world->machine, offset, bytes, value);
}

static int direct_plug(struct world *world, struct world_stream *stream)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = stream->sid,
	};
	int rc;

	if (world->arch->plug)
		world->arch->plug(world, &config);
	rc = nestfd_device_add(world->machine, &config, &stream->dev);
	return rc ? world_fail(world, rc, "a device") : 0;
}

/* The model writes its events where the guest reads them. */
static int direct_pump(struct world *world)
{
	(void)world;
	return 0;
}

static int direct_pa(struct world *world, uint64_t gpa, uint64_t *pa)
{
	(void)world;
	*pa = gpa;
	return 0;
}

const struct world_ops world_direct_ops = {
	.start = direct_start,
	.stop = direct_stop,
	.read = direct_read,
	.write = direct_write,
	.plug = direct_plug,
	.pump = direct_pump,
	.pa = direct_pa,
};
