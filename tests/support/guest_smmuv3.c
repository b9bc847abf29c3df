// SPDX-License-Identifier: MIT
/* Guests with an SMMUv3: see guest.h. */
#include "guest_arch.h"

#define AT_STRTAB 0x0000000ULL /* linear, 64 entries */
#define AT_CD	  0x0002000ULL
#define AT_L1	  0x0003000ULL
#define AT_EVENTQ 0x0010000ULL

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
	write_tables(guest);
	guest_write(guest, 0x80, 8, guest->base + AT_STRTAB);
	guest_write(guest, 0x88, 4, 6);
	guest_write(guest, 0x90, 8, (guest->base + AT_CMDQ) | guest->cmdq_lg2);
	guest_write(guest, 0xa0, 8, (guest->base + AT_EVENTQ) | 8);
	guest_write(guest, 0x20, 4, 0xd);
	guest_command(guest, 0x03 | (uint64_t)guest->vsid << 32, 1);
	guest_command(guest, GUEST_SYNC);
	guest_ring(guest);
}

static void ring(struct guest *guest)
{
	guest_write(guest, 0x98, 4, guest->prod);
}

static void sync(struct guest *guest)
{
	guest_command(guest, GUEST_SYNC);
}

static void invalidate(struct guest *guest, uint64_t iova)
{
	guest_command(guest, guest_tlbi_va_0(guest), guest_tlbi_va_1(iova));
}

static void invalidate_device(struct guest *guest, uint64_t iova)
{
	guest_command(guest, 0x40 | (uint64_t)guest->vsid << 32,
		      iova & ~0xfffULL);
}

static void set_stream(struct guest *guest, enum guest_stream what)
{
	write_ste(guest, what);
	guest_command(guest, 0x03 | (uint64_t)guest->vsid << 32, 1);
}

static uint32_t head(const struct guest *guest)
{
	return guest_read(guest, 0x9c, 4) & 0xfffff;
}

static bool acknowledge(struct guest *guest)
{
	uint64_t error = guest_read(guest, 0x60, 4);

	if (!((error ^ guest_read(guest, 0x64, 4)) & 1))
		return false;
	guest_write(guest, 0x64, 4, error);
	return true;
}

static bool is_clean(const struct host *host)
{
	return nestfd_iommu_read(host->machine, 0x60, 4) ==
	       nestfd_iommu_read(host->machine, 0x64, 4);
}

const struct guest_arch guest_smmuv3 = {
	.arch = NESTFD_ARCH_SMMUV3,
	.command_lg2 = 4,
	.cmdq_lg2 = 19,
	.wraps = 1,
	.root = AT_L1,
	.levels = 3,
	.table_bits = 3,
	.page_bits = 0xf43, /* nG, AF, inner shareable, AP EL0 RW, page */
	.create = nestfd_viommu_smmuv3_create,
	.boot = boot,
	.ring = ring,
	.wait = sync,
	.invalidate = invalidate,
	.invalidate_device = invalidate_device,
	.set_stream = set_stream,
	.head = head,
	.acknowledge = acknowledge,
	.host_is_clean = is_clean,
	.nop = 0x46,
};
