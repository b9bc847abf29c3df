// SPDX-License-Identifier: MIT
/*
 * Guests with a VT-d unit in scalable mode: one context entry, one PASID entry
 * of first-stage type, 256-bit descriptors. See guest.h.
 */
#include "guest_arch.h"

#define AT_ROOT	  0x0000ULL
#define AT_CTX	  0x1000ULL /* devfn below 128 */
#define AT_DIR	  0x2000ULL
#define AT_PASIDS 0x3000ULL
#define AT_L4	  0x4000ULL
#define AT_STATUS 0x5000ULL

static void write_entry(struct guest *guest, enum guest_stream what)
{
	static const uint64_t words[] = {
		[GUEST_ABORT] = 0,
		[GUEST_BYPASS] = 0x101, /* P, pass-through */
		[GUEST_NESTED] = 0x41,	/* P, first stage */
	};

	guest_put(guest, guest->base + AT_PASIDS, words[what]);
}

static void write_tables(struct guest *guest)
{
	uint64_t base = guest->base;

	guest_put(guest, base + AT_ROOT, (base + AT_CTX) | 1);
	/* P, DTE; PDTS 0: 128 entries */
	guest_put(guest, base + AT_CTX + guest->vsid * 32,
		  (base + AT_DIR) | 1 | (guest->host->ats ? 4 : 0));
	guest_put(guest, base + AT_DIR, (base + AT_PASIDS) | 1);
	/* of PASID 0: 4 levels of first-stage tables */
	guest_put(guest, base + AT_PASIDS + 8, guest->asid);
	guest_put(guest, base + AT_PASIDS + 16, base + AT_L4);
	write_entry(guest, GUEST_NESTED);
}

static void boot(struct guest *guest)
{
	write_tables(guest);
	/* IQA: DW, QS: 2^QS pages of 128 descriptors */
	guest_write(guest, 0x90, 8,
		    (guest->base + AT_CMDQ) | 0x800 | (guest->cmdq_lg2 - 7));
	guest_write(guest, 0x20, 8, (guest->base + AT_ROOT) | 0x400);
	guest_write(guest, 0x18, 4, 0x40000000); /* SRTP */
	guest_write(guest, 0x18, 4, 0x04000000); /* QIE */
	guest_write(guest, 0x18, 4, 0x84000000); /* TE, QIE */
}

static void ring(struct guest *guest)
{
	guest_write(guest, 0x88, 8, (uint64_t)guest->prod << 5);
}

/* Status data: the place in the queue */
static void wait(struct guest *guest)
{
	guest_command(guest, 0x25 | (uint64_t)guest->prod << 32,
		      guest->base + AT_STATUS);
}

uint32_t guest_waited(const struct guest *guest)
{
	return (uint32_t)guest_get(guest, guest->base + AT_STATUS);
}

static void invalidate(struct guest *guest, uint64_t iova)
{
	guest_command(guest, 0x36 | (uint64_t)guest->asid << 16,
		      (iova & ~0xfffULL) | 0x40);
}

static void invalidate_device(struct guest *guest, uint64_t iova)
{
	guest_command(guest, 0x03 | (uint64_t)guest->vsid << 32,
		      iova & ~0xfffULL);
}

/* By PASID within the domain */
static void set_stream(struct guest *guest, enum guest_stream what)
{
	write_entry(guest, what);
	guest_command(guest, 0x17 | (uint64_t)guest->asid << 16, 0);
	guest_command(guest, 0x26 | (uint64_t)guest->asid << 16, 0);
}

static uint32_t head(const struct guest *guest)
{
	return (uint32_t)(guest_read(guest, 0x80, 8) >> 5);
}

/* IQE, ITE */
static bool acknowledge(struct guest *guest)
{
	uint64_t error = guest_read(guest, 0x34, 4) & 0x50;

	guest_write(guest, 0x34, 4, error);
	return error;
}

static bool is_clean(const struct host *host)
{
	return !(nestfd_iommu_read(host->machine, 0x34, 4) & 0x70);
}

const struct guest_arch guest_vtd = {
	.arch = NESTFD_ARCH_VTD,
	.command_lg2 = 5,
	.cmdq_lg2 = 14,
	.root = AT_L4,
	.levels = 4,
	.table_bits = 0x27, /* P, R/W, U/S, A */
	.page_bits = 0x67,  /* and D */
	.create = nestfd_viommu_vtd_create,
	.boot = boot,
	.ring = ring,
	.wait = wait,
	.invalidate = invalidate,
	.invalidate_device = invalidate_device,
	.set_stream = set_stream,
	.head = head,
	.acknowledge = acknowledge,
	.host_is_clean = is_clean,
	.nop = 0x04, /* interrupt entries, of which there are none */
};
