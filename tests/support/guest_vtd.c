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

static void write_tables(struct guest *guest)
{
	uint64_t base = guest->base;

	guest_put(guest, base + AT_ROOT, (base + AT_CTX) | 1);
	/* P, DTE; PDTS 0: 128 entries */
	guest_put(guest, base + AT_CTX + guest->vsid * 32,
		  (base + AT_DIR) | 1 | (guest->host->ats ? 4 : 0));
	guest_put(guest, base + AT_DIR, (base + AT_PASIDS) | 1);
	/* of PASID 0: P, first-stage, 4 levels */
	guest_put(guest, base + AT_PASIDS + 8, guest->asid);
	guest_put(guest, base + AT_PASIDS + 16, base + AT_L4);
	guest_put(guest, base + AT_PASIDS, 0x41);
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
	uint32_t index = guest->prod & ((1u << guest->cmdq_lg2) - 1);

	guest_write(guest, 0x88, 8, (uint64_t)index << 5);
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
};
