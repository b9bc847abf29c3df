// SPDX-License-Identifier: MIT
/* See guest.h. */
#include "guest.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <string.h>
#include <sys/mman.h>

/* Layout of a guest's part of RAM */
#define AT_STRTAB 0x0000000ULL /* linear, 64 entries */
#define AT_CD	  0x0002000ULL
#define AT_L1	  0x0003000ULL
#define AT_EVENTQ 0x0010000ULL
#define AT_CMDQ	  0x0800000ULL /* up to 2^19 commands; aligned to that */
#define AT_DATA	  0x1000000ULL /* 1024 pages */
#define AT_TABLES 0x1400000ULL

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
		.arch = NESTFD_ARCH_SMMUV3,
		.cache = host->cache,
		.cache_entries = host->cache_entries,
		.pri = host->page_requests,
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
	return nestfd_attach(ctx, NESTFD_NO_PASID, &pt_id);
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

static void write_ste(struct guest *guest, enum guest_stream what)
{
	uint64_t at = guest->base + AT_STRTAB + guest->vsid * 64;

	/* S1DSS 2, WB, inner shareable; EATS 1 */
	guest_put(guest, at + 8, guest->host->ats ? 0x100000d6 : 0xd6);
	/* V; Config 0 abort, 4 bypass, 5 stage 1 */
	if (what == GUEST_NESTED)
		guest_put(guest, at, (guest->base + AT_CD) | 0xb);
	else
		guest_put(guest, at, what == GUEST_BYPASS ? 0x9 : 0x1);
}

static void write_tables(struct guest *guest)
{
	/* T0SZ 25, inner shareable WB, EPD1, V, IPS 48 bits, AA64, R, A */
	guest_put(guest, guest->base + AT_CD,
		  (uint64_t)guest->asid << 48 | 3ULL << 45 | 1ULL << 41 |
			  5ULL << 32 | 1ULL << 31 | 1ULL << 30 | 0x3500 | 25);
	guest_put(guest, guest->base + AT_CD + 8, guest->base + AT_L1);
	guest_put(guest, guest->base + AT_CD + 24, 0xff);
	write_ste(guest, GUEST_NESTED);
}

static void boot(struct guest *guest)
{
	struct nestfd_viommu *v = guest->viommu;

	write_tables(guest);
	nestfd_viommu_write(v, 0x80, 8, guest->base + AT_STRTAB);
	nestfd_viommu_write(v, 0x88, 4, 6);
	nestfd_viommu_write(v, 0x90, 8,
			    (guest->base + AT_CMDQ) | guest->cmdq_lg2);
	nestfd_viommu_write(v, 0xa0, 8, (guest->base + AT_EVENTQ) | 8);
	nestfd_viommu_write(v, 0x20, 4, 0xd);
	guest_command(guest, 0x03 | (uint64_t)guest->vsid << 32, 1);
	guest_command(guest, GUEST_SYNC);
	guest_ring(guest);
}

static int plug_in(struct guest *guest)
{
	struct host *host = guest->host;
	struct nestfd_device_config device = {
		.size = sizeof(device),
		.stream_id = 0x100 + guest->index,
		.ats = host->ats,
		.page_requests = host->page_requests,
	};
	struct nestfd_viommu_config config = {
		.size = sizeof(config),
		.backend = { host->ctx, nestfd_ioctl, nestfd_read,
			     nestfd_close_fd, true,
			     host->no_count ? NULL : nestfd_event_count,
			     nestfd_write },
		.guest = { host, ram_read, ram_write, host->irq, ram_map },
		.parent_hwpt = host->parent,
		.queue = host->queue,
		.pri = host->pri,
	};
	struct nestfd_viommu_device member = {
		.size = sizeof(member),
		.vsid = guest->vsid,
		.attach = attach,
	};
	int rc;

	rc = nestfd_device_add(host->machine, &device, &guest->dev);
	if (rc)
		return rc;
	rc = nestfd_bind(host->ctx, guest->dev, &guest->dev_id);
	if (rc)
		goto remove;
	config.dev_id = guest->dev_id;
	rc = nestfd_viommu_smmuv3_create(&config, &guest->viommu);
	if (rc)
		goto remove;
	member.dev_id = guest->dev_id;
	member.ctx = guest->dev;
	rc = nestfd_viommu_device_add(guest->viommu, &member);
	if (!rc)
		return 0;
	nestfd_viommu_destroy(guest->viommu);
remove:
	nestfd_device_remove(guest->dev);
	return rc;
}

int guest_start_as(struct guest *guest, struct host *host, unsigned int index,
		   uint16_t asid, uint32_t vsid)
{
	int rc;

	*guest = (struct guest){
		.host = host,
		.index = index,
		.base = HOST_RAM_BASE + index * GUEST_PART,
		.vsid = vsid,
		.asid = asid,
		.cmdq_lg2 = host->cmdq_lg2 ? host->cmdq_lg2 : 16,
	};
	guest->next_table = guest->base + AT_TABLES;
	rc = plug_in(guest);
	if (!rc)
		boot(guest);
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
		word = guest->next_table | 3;
		guest->next_table += 4096;
		guest_put(guest, gpa, word);
	}
	return word & 0xfffffffff000ULL;
}

static uint64_t leaf_at(struct guest *guest, uint64_t iova)
{
	uint64_t l2, l3;

	l2 = descend(guest, guest->base + AT_L1 + (iova >> 30 & 0x1ff) * 8);
	l3 = descend(guest, l2 + (iova >> 21 & 0x1ff) * 8);
	return l3 + (iova >> 12 & 0x1ff) * 8;
}

void guest_map(struct guest *guest, uint64_t iova, uint64_t gpa)
{
	/* nG, AF, inner shareable, AP EL0 RW, page */
	guest_put(guest, leaf_at(guest, iova), gpa ? gpa | 0xf43 : 0);
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

	return guest->base + AT_CMDQ + (index & mask) * 16;
}

void guest_command(struct guest *guest, uint64_t dw0, uint64_t dw1)
{
	uint32_t mask = (1u << guest->cmdq_lg2) - 1;
	uint64_t at = guest_command_at(guest, guest->prod);

	guest_put(guest, at, dw0);
	guest_put(guest, at + 8, dw1);
	guest->prod = (guest->prod + 1) & (mask << 1 | 1);
}

void guest_ring(struct guest *guest)
{
	nestfd_viommu_write(guest->viommu, 0x98, 4, guest->prod);
}

void guest_set_stream(struct guest *guest, enum guest_stream what)
{
	write_ste(guest, what);
	guest_command(guest, 0x03 | (uint64_t)guest->vsid << 32, 1);
	guest_command(guest, GUEST_SYNC);
	guest_ring(guest);
}

void guest_invalidate(struct guest *guest, uint64_t iova)
{
	guest_command(guest, guest_tlbi_va_0(guest), guest_tlbi_va_1(iova));
	guest_command(guest, GUEST_SYNC);
	guest_ring(guest);
}
