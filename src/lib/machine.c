// SPDX-License-Identifier: MIT
/* Building a machine and taking it apart. */
#include "lib/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "mem/guard.h"

static uint64_t port_read(void *ctx, uint32_t offset, unsigned int size)
{
	struct nestfd_machine *machine = ctx;

	return machine->model->ops->read(machine->model, offset, size);
}

static void port_write(void *ctx, uint32_t offset, unsigned int size,
		       uint64_t value)
{
	struct nestfd_machine *machine = ctx;

	machine->model->ops->write(machine->model, offset, size, value);
}

static int port_mem_alloc(void *ctx, size_t size, size_t align,
			  struct core_dma_mem *mem)
{
	struct nestfd_machine *machine = ctx;

	return pool_alloc(&machine->pool, size, align, mem);
}

static void port_mem_free(void *ctx, struct core_dma_mem *mem)
{
	struct nestfd_machine *machine = ctx;

	pool_free(&machine->pool, mem);
}

static void port_irq(void *ctx, unsigned int line, void (*handler)(void *arg),
		     void *arg)
{
	struct nestfd_machine *machine = ctx;

	if (line >= MACHINE_LINES)
		return;
	pthread_rwlock_wrlock(&machine->lines_lock);
	machine->lines[line] = (struct machine_line){ handler, arg };
	pthread_rwlock_unlock(&machine->lines_lock);
}

const struct core_hwport_ops machine_hwport_ops = {
	.read = port_read,
	.write = port_write,
	.mem_alloc = port_mem_alloc,
	.mem_free = port_mem_free,
	.irq = port_irq,
};

/* The model raises a line: in whatever thread the hardware is in. */
static void raise_line(void *ctx, unsigned int line)
{
	struct nestfd_machine *machine = ctx;
	void (*bare)(void *ctx, unsigned int line);
	struct machine_line to;
	void *bare_ctx;

	if (line >= MACHINE_LINES)
		return;
	pthread_rwlock_rdlock(&machine->lines_lock);
	to = machine->lines[line];
	bare = machine->bare_irq;
	bare_ctx = machine->bare_irq_ctx;
	pthread_rwlock_unlock(&machine->lines_lock);
	if (to.handler)
		to.handler(to.arg);
	else if (bare)
		bare(bare_ctx, line);
}

static void tell_stale(void *ctx, const struct model_stale *stale)
{
	struct nestfd_machine *machine = ctx;
	struct nestfd_stale told = {
		.stream_id = stale->stream_id,
		.pasid = stale->pasid,
		.iova = stale->iova,
		.cached_pa = stale->cached_pa,
		.current_pa = stale->current_pa,
		.mapped = stale->mapped,
		.cached_at = stale->cached_at,
		.now = stale->now,
		.why = stale->why,
	};

	if (machine->config.stale)
		machine->config.stale(machine->config.ctx, &told);
}

static int doorbell_write(void *ctx, uint64_t offset, const void *src,
			  size_t len)
{
	struct nestfd_machine *machine = ctx;
	uint32_t data;

	if (len != sizeof(data))
		return -EFAULT;
	__builtin_memcpy(&data, src, sizeof(data));
	if (machine->config.msi)
		machine->config.msi(machine->config.ctx, offset, data);
	return 0;
}

static const struct phys_io_ops doorbell_ops = { .write = doorbell_write };

static int make_doorbell(struct nestfd_machine *machine)
{
	if (!machine->config.msi_length)
		return 0;
	return phys_add_io(machine->phys, MACHINE_DOORBELL_PA,
			   MACHINE_DOORBELL_SIZE, &doorbell_ops, machine,
			   &machine->doorbell);
}

static int make_model(struct nestfd_machine *machine)
{
	struct model_host host = {
		.phys = machine->phys,
		.grace = machine->grace,
		.ctx = machine,
		.irq = raise_line,
		.stale = tell_stale,
	};

	return machine->arch->model(&machine->config, &host, &machine->model);
}

static int check_config(const struct nestfd_machine_config *config)
{
	uint64_t last;

	if (config->size != sizeof(*config))
		return -EINVAL;
	if (config->cache != NESTFD_CACHE_FAST &&
	    config->cache != NESTFD_CACHE_HOSTILE)
		return -EINVAL;
	if (config->memlock != NESTFD_MEMLOCK_COUNT &&
	    config->memlock != NESTFD_MEMLOCK_ENFORCE)
		return -EINVAL;
	if (config->pri && config->arch == NESTFD_ARCH_MOCK)
		return -EOPNOTSUPP;
	if (!config->msi_length)
		return 0;
	if ((config->msi_first | config->msi_length) & 0xffff ||
	    __builtin_add_overflow(config->msi_first, config->msi_length - 1,
				   &last))
		return -EINVAL;
	return 0;
}

/* Everything behind the struct itself; unwinds on failure. */
static int machine_start(struct nestfd_machine *machine)
{
	int rc;

	rc = guard_init();
	if (rc)
		return rc;
	rc = phys_create(machine->arch->oas_bits(&machine->config),
			 &machine->phys);
	if (rc)
		return rc;
	rc = grace_create(&machine->grace);
	if (rc)
		goto destroy_phys;
	pool_init(&machine->pool, machine->phys, machine->grace);
	rc = make_doorbell(machine);
	if (rc)
		goto fini_pool;
	rc = make_model(machine);
	if (rc)
		goto fini_pool;
	client_maps_open(&machine->maps);
	return 0;

fini_pool:
	grace_destroy(machine->grace);
	pool_fini(&machine->pool);
destroy_phys:
	phys_destroy(machine->phys);
	return rc;
}

static void machine_init(struct nestfd_machine *machine,
			 const struct nestfd_machine_config *config)
{
	machine->config = *config;
	machine->hwport.ops = &machine_hwport_ops;
	machine->hwport.ctx = machine;
	pthread_mutex_init(&machine->lock, NULL);
	pthread_mutex_init(&machine->users_lock, NULL);
	pthread_mutex_init(&machine->common.lock, NULL);
	pthread_rwlock_init(&machine->lines_lock, NULL);
	LIST_INIT(&machine->contexts);
	LIST_INIT(&machine->devices);
}

static void machine_fini(struct nestfd_machine *machine)
{
	pinned_forget_users(machine);
	pthread_rwlock_destroy(&machine->lines_lock);
	pthread_mutex_destroy(&machine->users_lock);
	core_common_end(&machine->common);
	pthread_mutex_destroy(&machine->common.lock);
	pthread_mutex_destroy(&machine->lock);
	free(machine);
}

int nestfd_machine_create(const struct nestfd_machine_config *config,
			  struct nestfd_machine **out)
{
	struct nestfd_machine *machine;
	int rc;

	rc = check_config(config);
	if (rc)
		return rc;
	if (!arch_find(config->arch))
		return -EOPNOTSUPP;
	machine = alloc_zero(sizeof(*machine));
	if (!machine)
		return -ENOMEM;
	machine_init(machine, config);
	machine->arch = arch_find(config->arch);
	rc = machine_start(machine);
	if (rc) {
		machine_fini(machine);
		return rc;
	}
	machine->config.smmuv3_id = NULL; /* were the caller's */
	machine->config.vtd_id = NULL;
	machine->env = (struct core_env){
		.phys = machine->phys,
		.grace = machine->grace,
		.maps = &machine->maps,
		.common = &machine->common,
	};
	*out = machine;
	return 0;
}

int machine_driver(struct nestfd_machine *machine)
{
	struct core_iommu *iommu;
	int rc;

	if (machine->iommu)
		return 0;
	rc = machine->arch->driver(&machine->config, &machine->hwport, &iommu);
	if (rc)
		return rc == -ENOMEM ? rc : -ENODEV;
	rc = core_iommu_check(iommu);
	if (rc) {
		iommu->ops->destroy(iommu);
		return -ENODEV;
	}
	machine->iommu = iommu;
	if (machine->arch->private_op)
		machine->env.private_op = machine->arch->private_op(iommu);
	return 0;
}

void nestfd_driver_stats(struct nestfd_machine *machine,
			 struct nestfd_driver_stats *stats)
{
	struct nestfd_driver_stats all;
	struct core_iommu_stats s = { 0 };
	size_t size = stats->size < sizeof(all) ? stats->size : sizeof(all);

	pthread_mutex_lock(&machine->lock);
	if (machine->iommu && machine->iommu->ops->stats)
		machine->iommu->ops->stats(machine->iommu, &s);
	pthread_mutex_unlock(&machine->lock);
	all = (struct nestfd_driver_stats){
		.size = size,
		.batches = s.batches,
		.timeouts = s.timeouts,
		.searches = s.searches,
		.illegal = s.illegal,
		.aborts = s.aborts,
		.quarantines = s.quarantines,
		.late = s.late,
		.waited = s.waited,
	};
	memcpy(stats, &all, size);
}

void nestfd_machine_destroy(struct nestfd_machine *machine)
{
	struct nestfd_device *dev;
	struct nestfd *ctx;

	if (!machine)
		return;
	/* Nobody else is there: the lists may be read without the lock. */
	while ((ctx = LIST_FIRST(&machine->contexts)))
		nestfd_close(ctx);
	while ((dev = LIST_FIRST(&machine->devices)))
		nestfd_device_remove(dev);
	if (machine->iommu)
		machine->iommu->ops->destroy(machine->iommu);
	machine->model->ops->destroy(machine->model);
	/* what waits for readers may still name ranges of the pool */
	grace_destroy(machine->grace);
	pool_fini(&machine->pool);
	phys_destroy(machine->phys);
	client_maps_close(&machine->maps);
	machine_fini(machine);
}
