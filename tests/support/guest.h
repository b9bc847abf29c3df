/* SPDX-License-Identifier: MIT */
/*
 * Guests for tests and benchmarks: a host (machine, /dev/iommu, guest RAM in a
 * nest parent) and any number of guests on it, each with a virtual IOMMU of the
 * machine's architecture, one device and first-stage tables of 4 KiB pages in
 * its own part of the RAM. Words are worked out by hand from Arm IHI 0070, the
 * Arm ARM and the VT-d specification.
 */
#ifndef TESTS_SUPPORT_GUEST_H
#define TESTS_SUPPORT_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "nestfd/model.h"
#include "nestfd/nestfd.h"
#include "nestfd/viommu.h"

#define HOST_RAM_BASE 0x40000000ULL
#define GUEST_PART    0x4000000ULL /* 64 MiB of RAM for each guest */

struct guest_arch;

struct host {
	enum nestfd_arch arch;	 /* in: SMMUv3 if 0 */
	enum nestfd_cache cache; /* in */
	unsigned int guests;	 /* in: how many parts of RAM */
	uint32_t cache_entries;	 /* in: bound of the fast policy, or 0 */
	bool ats;		 /* in: devices have an ATC */
	/*
	 * in: there is no host: guest physical memory is the machine's own, and
	 * a guest drives the machine's IOMMU. One guest, its device and no VMM
	 */
	bool bare;
	uint8_t pasid_bits;	/* in: of devices; VT-d: guests have PASIDs */
	uint32_t atc_window_ms; /* in: see struct nestfd_machine_config */
	uint32_t
		cmdq_lg2; /* in: of guests' command queues, 0: 16; VT-d: 7 up */
	enum nestfd_queue queue; /* in: how they reach the host */
	void (*stale)(void *ctx, const struct nestfd_stale *stale); /* in */
	void (*irq)(void *ctx, unsigned int line); /* in: of guests, or NULL */
	bool no_count;		/* in: the backend has no counter of events */
	bool pri;		/* in: guests have PRI, if devices do */
	uint32_t page_requests; /* in: of each device at once; with @ats */
	/* The VMM finds no RAM here: guest physical, half-open; any time */
	uint64_t hole_start;
	uint64_t hole_end;

	char *ram;
	uint64_t ram_size;
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	uint32_t ioas;
	uint32_t parent;
	uint32_t probe_dev; /* id of the first device, for allocations */
	struct nestfd_device *probe;
};

struct guest {
	struct host *host;
	const struct guest_arch *arch;
	unsigned int index;
	uint64_t base; /* guest physical start of its part */
	struct nestfd_device *dev;
	uint32_t dev_id;
	uint32_t vsid;
	struct nestfd_viommu *viommu; /* bare: NULL */
	uint32_t pt_id;		      /* what the device was attached to last */
	uint16_t asid;		      /* VT-d: domain id */
	uint32_t cmdq_lg2;
	uint32_t prod;
	uint64_t next_table; /* bump allocator for tables */
};

/* 0 or a negative errno; host_stop() after every success */
int host_start(struct host *host);
void host_stop(struct host *host);

/* @index: which part of RAM; @asid: any, guests may use the same */
int guest_start(struct guest *guest, struct host *host, unsigned int index,
		uint16_t asid);
/* The same with another vSID than 0x10, below 64 */
int guest_start_as(struct guest *guest, struct host *host, unsigned int index,
		   uint16_t asid, uint32_t vsid);
void guest_stop(struct guest *guest);

/* Where guest physical memory lies in this process. */
void *guest_at(const struct guest *guest, uint64_t gpa);

/* Stage 1: @iova -> @gpa, one page; 0 unmaps. No invalidation. */
void guest_map(struct guest *guest, uint64_t iova, uint64_t gpa);
/* @n pages from @iova on, all to the page at @gpa */
void guest_map_many(struct guest *guest, uint64_t iova, uint64_t gpa,
		    uint64_t n);

/* A page of the guest for data, number @n (0 to 1023) */
uint64_t guest_page(const struct guest *guest, unsigned int n);

/* A register of the IOMMU that the guest sees */
void guest_write(const struct guest *guest, uint32_t reg, unsigned int bytes,
		 uint64_t value);
uint64_t guest_read(const struct guest *guest, uint32_t reg,
		    unsigned int bytes);

void guest_command(struct guest *guest, uint64_t dw0, uint64_t dw1);
void guest_ring(struct guest *guest);
/* CMD_SYNC; VT-d: a wait that writes a status */
void guest_wait(struct guest *guest);
/* VT-d: the status that the last wait wrote: its place in the queue */
uint32_t guest_waited(const struct guest *guest);
/*
 * What the guest lets its device do: rewrites the STE, CFGI_STE, CMD_SYNC.
 * VT-d: rewrites the PASID entry, PASID cache, P_IOTLB, wait
 */
enum guest_stream { GUEST_ABORT, GUEST_BYPASS, GUEST_NESTED };
void guest_set_stream(struct guest *guest, enum guest_stream what);
/* Where the queue stands; as prod when all is consumed without an error */
uint32_t guest_head(const struct guest *guest);
bool guest_is_done(const struct guest *guest);
/* Lets a queue go on that an error has stopped; false: there was none */
bool guest_acknowledge(struct guest *guest);
/* Puts a command that does nothing in the place of number @index */
void guest_mend(const struct guest *guest, uint32_t index);
/* Not an error stands in the host's IOMMU. */
bool host_is_clean(const struct host *host);
/* Where command number @index lies */
uint64_t guest_command_at(const struct guest *guest, uint32_t index);
/* One word of guest memory, in a single access */
void guest_put(const struct guest *guest, uint64_t gpa, uint64_t word);
uint64_t guest_get(const struct guest *guest, uint64_t gpa);
/*
 * TLBI_NH_VA of one page (range form, leaf, TTL 3), VT-d: P_IOTLB of one page,
 * leaf; and a wait, and ring
 */
void guest_invalidate(struct guest *guest, uint64_t iova);
/* The same, behind a wait for the page in the device's cache as well */
void guest_invalidate_ats(struct guest *guest, uint64_t iova);

#define GUEST_SYNC 0x46ULL, 0ULL
static inline uint64_t guest_tlbi_va_0(const struct guest *guest)
{
	return 0x12ULL | (uint64_t)guest->asid << 48;
}

static inline uint64_t guest_tlbi_va_1(uint64_t iova)
{
	return (iova & ~0xfffULL) | 0x701; /* TG 4K, TTL 3, leaf */
}

#endif
