// SPDX-License-Identifier: MIT
/* See guest.h. */
#include "guest.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <string.h>
#include <sys/mman.h>

#include "guest_arch.h"

static const struct guest_arch *const archs[] = { &guest_smmuv3, &guest_vtd };

static const struct guest_arch *arch_of(const struct host *host)
{
	for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++)
		if (archs[i]->arch == host->arch)
			return archs[i];
	return archs[0];
}

static int alloc_ioas(struct host *host)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.user_va = (uintptr_t)host->ram,
		.length = host->ram_size,
		.iova = HOST_RAM_BASE,
	};
	int rc;

	rc = nestfd_ioctl(host->ctx, IOMMU_IOAS_ALLOC, &alloc);
	if (rc)
		return rc;
	host->ioas = alloc.out_ioas_id;
	map.ioas_id = host->ioas;
	return nestfd_ioctl(host->ctx, IOMMU_IOAS_MAP, &map);
}

static int alloc_parent(struct host *host)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = host->probe_dev,
		.pt_id = host->ioas,
	};
	int rc;

	rc = nestfd_ioctl(host->ctx, IOMMU_HWPT_ALLOC, &alloc);
	if (!rc)
		host->parent = alloc.out_hwpt_id;
	return rc;
}

static int start_parts(struct host *host)
{
	struct nestfd_device_config device = {
		.size = sizeof(device),
		.stream_id = 0xff00,
	};
	int rc;

	rc = nestfd_device_add(host->machine, &device, &host->probe);
	if (!rc)
		rc = nestfd_open(host->machine, &host->ctx);
	if (!rc)
		rc = nestfd_bind(host->ctx, host->probe, &host->probe_dev);
	if (!rc)
		rc = alloc_ioas(host);
	return rc ? rc : alloc_parent(host);
}

int host_start(struct host *host)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = arch_of(host)->arch,
		.cache = host->cache,
		.cache_entries = host->cache_entries,
		.pri = host->page_requests,
		.atc_window_ms = host->atc_window_ms,
		.stale = host->stale,
		.ctx = host,
	};
	int rc;

	host->ctx = NULL;
	host->ram_size = GUEST_PART * host->guests;
	host->ram = mmap(NULL, host->ram_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (host->ram == MAP_FAILED)
		return -errno;
	rc = nestfd_machine_create(&config, &host->machine);
	if (rc) {
		munmap(host->ram, host->ram_size);
		return rc;
	}
	if (host->bare)
		rc = nestfd_memory_add(host->machine, HOST_RAM_BASE, host->ram,
				       host->ram_size);
	else
		rc = start_parts(host);
	if (rc)
		host_stop(host);
	return rc;
}

void host_stop(struct host *host)
{
	nestfd_machine_destroy(host->machine);
	munmap(host->ram, host->ram_size);
}

static bool in_ram(const struct host *host, uint64_t gpa, size_t len)
{
	if (gpa < HOST_RAM_BASE || gpa - HOST_RAM_BASE > host->ram_size - len)
		return false;
	return gpa >= host->hole_end || gpa + len <= host->hole_start;
}

/*
 * A guest may be writing what is read. That is its own affair, not a mistake
 * for ThreadSanitizer to tell of. Whole words: tables and commands.
 */
static void copy_out(void *to, const char *from, size_t len)
{
#ifdef __SANITIZE_THREAD__
	for (size_t i = 0; i < len; i += 8)
		((uint64_t *)to)[i / 8] = __atomic_load_n(
			(const uint64_t *)(from + i), __ATOMIC_RELAXED);
#else
	memcpy(to, from, len);
#endif
}

static int ram_read(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	struct host *host = ctx;

	if (!in_ram(host, gpa, len))
		return -EFAULT;
	copy_out(buf, host->ram + (gpa - HOST_RAM_BASE), len);
	return 0;
}

static int ram_write(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	struct host *host = ctx;

	if (!in_ram(host, gpa, len))
		return -EFAULT;
	memcpy(host->ram + (gpa - HOST_RAM_BASE), buf, len);
	return 0;
}

static void *ram_map(void *ctx, uint64_t gpa, size_t len)
{
	struct host *host = ctx;

	return in_ram(host, gpa, len) ? host->ram + (gpa - HOST_RAM_BASE)
				      : NULL;
}

static int attach(void *ctx, uint32_t pt_id)
{
	struct guest *guest = ctx;

	guest->pt_id = pt_id;
	return nestfd_attach(guest->dev, NESTFD_NO_PASID, &pt_id);
}

void *guest_at(const struct guest *guest, uint64_t gpa)
{
	return guest->host->ram + (gpa - HOST_RAM_BASE);
}

void guest_put(const struct guest *guest, uint64_t gpa, uint64_t word)
{
	/* hardware may be reading it: one store */
	__atomic_store_n((uint64_t *)guest_at(guest, gpa), word,
			 __ATOMIC_RELEASE);
}

uint64_t guest_get(const struct guest *guest, uint64_t gpa)
{
	return __atomic_load_n((uint64_t *)guest_at(guest, gpa),
			       __ATOMIC_ACQUIRE);
}

uint64_t guest_page(const struct guest *guest, unsigned int n)
{
	return guest->base + AT_DATA + (uint64_t)n * 4096;
}

static int attach_pasid(void *ctx, uint32_t pasid, uint32_t pt_id)
{
	struct guest *guest = ctx;

	if (pt_id)
		return nestfd_attach(guest->dev, pasid, &pt_id);
	nestfd_detach(guest->dev, pasid);
	return 0;
}

void guest_write(const struct guest *guest, uint32_t reg, unsigned int bytes,
		 uint64_t value)
{
	if (guest->viommu)
		nestfd_viommu_write(guest->viommu, reg, bytes, value);
	else
		nestfd_iommu_write(guest->host->machine, reg, bytes, value);
}

uint64_t guest_read(const struct guest *guest, uint32_t reg, unsigned int bytes)
{
	if (guest->viommu)
		return nestfd_viommu_read(guest->viommu, reg, bytes);
	return nestfd_iommu_read(guest->host->machine, reg, bytes);
}

static int add_device(struct guest *guest)
{
	struct host *host = guest->host;
	struct nestfd_device_config device = {
		.size = sizeof(device),
		.stream_id = host->bare ? guest->vsid : 0x100 + guest->index,
		.pasid_bits = host->pasid_bits,
		.ats = host->ats,
		.page_requests = host->page_requests,
	};

	return nestfd_device_add(host->machine, &device, &guest->dev);
}

/* What a VMM does */
static int plug_in(struct guest *guest)
{
	struct host *host = guest->host;
	struct nestfd_viommu_config config = {
		.size = sizeof(config),
		.backend = { host->ctx, nestfd_ioctl, nestfd_read,
			     nestfd_close_fd, true,
			     host->no_count ? NULL : nestfd_event_count,
			     nestfd_write },
		.guest = { host, ram_read, ram_write, host->irq, ram_map },
		.parent_hwpt = host->parent,
		.parent_ioas = host->ioas,
		.queue = host->queue,
		.pri = host->pri,
	};
	struct nestfd_viommu_device member = {
		.size = sizeof(member),
		.vsid = guest->vsid,
		.attach = attach,
		.attach_pasid = host->pasid_bits ? attach_pasid : NULL,
	};
	int rc;

	rc = nestfd_bind(host->ctx, guest->dev, &guest->dev_id);
	if (rc)
		return rc;
	config.dev_id = guest->dev_id;
	rc = guest->arch->create(&config, &guest->viommu);
	if (rc)
		return rc;
	member.dev_id = guest->dev_id;
	member.ctx = guest;
	rc = nestfd_viommu_device_add(guest->viommu, &member);
	if (rc)
		nestfd_viommu_destroy(guest->viommu);
	return rc;
}

int guest_start_as(struct guest *guest, struct host *host, unsigned int index,
		   uint16_t asid, uint32_t vsid)
{
	const struct guest_arch *arch = arch_of(host);
	uint32_t lg2 = host->cmdq_lg2 ? host->cmdq_lg2 : 16;
	int rc;

	*guest = (struct guest){
		.host = host,
		.arch = arch,
		.index = index,
		.base = HOST_RAM_BASE + index * GUEST_PART,
		.vsid = vsid,
		.asid = asid,
		.cmdq_lg2 = lg2 < arch->cmdq_lg2 ? lg2 : arch->cmdq_lg2,
	};
	guest->next_table = guest->base + AT_TABLES;
	rc = add_device(guest);
	if (rc)
		return rc;
	if (!host->bare)
		rc = plug_in(guest);
	if (rc)
		nestfd_device_remove(guest->dev);
	else
		arch->boot(guest);
	return rc;
}

int guest_start(struct guest *guest, struct host *host, unsigned int index,
		uint16_t asid)
{
	return guest_start_as(guest, host, index, asid, 0x10);
}

void guest_stop(struct guest *guest)
{
	nestfd_viommu_destroy(guest->viommu);
	nestfd_device_remove(guest->dev);
}

/* The next table below the word at @gpa, made if it is not there */
static uint64_t descend(struct guest *guest, uint64_t gpa)
{
	uint64_t word = guest_get(guest, gpa);

	if (!word) {
		word = guest->next_table | guest->arch->table_bits;
		guest->next_table += 4096;
		guest_put(guest, gpa, word);
	}
	return word & 0xfffffffff000ULL;
}

static uint64_t leaf_at(struct guest *guest, uint64_t iova)
{
	unsigned int shift = 3 + 9 * guest->arch->levels;
	uint64_t table = guest->base + guest->arch->root;

	for (; shift > 12; shift -= 9)
		table = descend(guest, table + (iova >> shift & 0x1ff) * 8);
	return table + (iova >> 12 & 0x1ff) * 8;
}

void guest_map(struct guest *guest, uint64_t iova, uint64_t gpa)
{
	guest_put(guest, leaf_at(guest, iova),
		  gpa ? gpa | guest->arch->page_bits : 0);
}

void guest_map_many(struct guest *guest, uint64_t iova, uint64_t gpa,
		    uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		guest_map(guest, iova + i * 4096, gpa);
}

uint64_t guest_command_at(const struct guest *guest, uint32_t index)
{
	uint32_t mask = (1u << guest->cmdq_lg2) - 1;

	return guest->base + AT_CMDQ +
	       ((uint64_t)(index & mask) << guest->arch->command_lg2);
}

void guest_command(struct guest *guest, uint64_t dw0, uint64_t dw1)
{
	uint64_t at = guest_command_at(guest, guest->prod);

	guest_put(guest, at, dw0);
	guest_put(guest, at + 8, dw1);
	guest->prod = (guest->prod + 1) &
		      ((1u << (guest->cmdq_lg2 + guest->arch->wraps)) - 1);
}

void guest_ring(struct guest *guest)
{
	guest->arch->ring(guest);
}

void guest_wait(struct guest *guest)
{
	guest->arch->wait(guest);
}

void guest_invalidate(struct guest *guest, uint64_t iova)
{
	guest->arch->invalidate(guest, iova);
	guest_wait(guest);
	guest_ring(guest);
}

void guest_invalidate_ats(struct guest *guest, uint64_t iova)
{
	guest->arch->invalidate(guest, iova);
	guest_wait(guest);
	guest->arch->invalidate_device(guest, iova);
	guest_wait(guest);
	guest_ring(guest);
}

void guest_set_stream(struct guest *guest, enum guest_stream what)
{
	guest->arch->set_stream(guest, what);
	guest_wait(guest);
	guest_ring(guest);
}

uint32_t guest_head(const struct guest *guest)
{
	return guest->arch->head(guest);
}

bool guest_is_done(const struct guest *guest)
{
	return guest_head(guest) == guest->prod;
}

bool guest_acknowledge(struct guest *guest)
{
	return guest->arch->acknowledge(guest);
}

void guest_mend(const struct guest *guest, uint32_t index)
{
	guest_put(guest, guest_command_at(guest, index), guest->arch->nop);
}

bool host_is_clean(const struct host *host)
{
	return arch_of(host)->host_is_clean(host);
}
