// SPDX-License-Identifier: MIT
/* See bad_arch.h. Words are Arm IHI 0070's and the VT-d specification's. */
#include "bad_arch.h"

#include <errno.h>
#include <linux/iommufd.h>

uint64_t bad_draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

void bad_expect(struct bad *b, bool as_it_should, const char *what)
{
	if (as_it_should)
		return;
	if (!b->wrongs++)
		b->wrong = what;
}

int bad_call(struct bad *b, unsigned long cmd, void *arg)
{
	return nestfd_ioctl(b->host.ctx, cmd, arg);
}

void bad_must(struct bad *b, unsigned long cmd, void *arg)
{
	bad_expect(b, !bad_call(b, cmd, arg), "an ioctl of its birth");
}

static void make_smmu(struct bad *b)
{
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = b->dev_id[0],
		.hwpt_id = b->host.parent,
	};
	struct iommu_veventq_alloc events = {
		.size = sizeof(events),
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = BAD_EVENTS,
	};

	bad_must(b, IOMMU_VIOMMU_ALLOC, &viommu);
	b->viommu = events.viommu_id = viommu.out_viommu_id;
	bad_must(b, IOMMU_VEVENTQ_ALLOC, &events);
	b->events = (int)events.out_veventq_fd;
}

/* V, stage 1; EATS 1. The CD lies in RAM, and all it has is 0: not valid */
static void nest_smmu(struct bad *b, unsigned int d)
{
	struct iommu_hwpt_arm_smmuv3 ste = {
		.ste = { (HOST_RAM_BASE + 0x4000) | 0xb, 0x100000d6 }
	};
	struct iommu_vdevice_alloc vdevice = {
		.size = sizeof(vdevice),
		.viommu_id = b->viommu,
		.dev_id = b->dev_id[d],
		.virt_id = BAD_VSID + d,
	};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = b->dev_id[d],
		.pt_id = b->viommu,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(ste),
		.data_uptr = (uintptr_t)&ste,
		.fault_id = b->fault_id,
	};

	bad_must(b, IOMMU_VDEVICE_ALLOC, &vdevice);
	bad_must(b, IOMMU_HWPT_ALLOC, &hwpt);
	b->hwpt[d] = hwpt.out_hwpt_id;
	b->object[d] = b->viommu;
}

static void ask_smmu(uint64_t *entry, unsigned int d, uint64_t addr)
{
	entry[0] = 0x40 | (BAD_VSID + (uint64_t)d) << 32;
	entry[1] = addr;
}

static void refused_smmu(uint64_t *entry)
{
	entry[0] = 0x05 | (BAD_VSID + (uint64_t)BAD_GOOD) << 32;
	entry[1] = 1;
}

static void junk_smmu(uint64_t *entry, uint64_t *random)
{
	static const uint8_t ops[] = { 0x01, 0x03, 0x04, 0x05, 0x06, 0x10,
				       0x11, 0x12, 0x13, 0x20, 0x2a, 0x30,
				       0x41, 0x44, 0x46, 0xff };
	uint64_t mask = bad_draw(random) % 4 ? ~0ULL << 32 : ~0ULL;

	entry[0] = (bad_draw(random) & mask & ~0xffULL) |
		   ops[bad_draw(random) % 16];
	entry[1] = bad_draw(random) & ~0xfffULL;
	if (bad_draw(random) % 2)
		entry[0] = (entry[0] & 0xffffffff) |
			   (BAD_VSID + bad_draw(random) % 6) << 32;
}

/* CMDQEN off, indices, acknowledged, a base; on: CMDQ_CONS.ERR is 2 */
static bool queue_nowhere_smmu(const struct guest *g)
{
	guest_write(g, 0x20, 4, 0);
	guest_write(g, 0x64, 4, guest_read(g, 0x60, 4));
	guest_write(g, 0x90, 8, 0xfff0000008ULL);
	guest_write(g, 0x98, 4, 0);
	guest_write(g, 0x9c, 4, 0);
	guest_write(g, 0x20, 4, 0xd);
	guest_write(g, 0x98, 4, 0x40);
	return (guest_read(g, 0x9c, 4) >> 24 & 0x7f) == 2;
}

static void make_vtd(struct bad *b)
{
	(void)b;
}

static void nest_vtd(struct bad *b, unsigned int d)
{
	struct iommu_hwpt_vtd_s1 data = {
		.pgtbl_addr = HOST_RAM_BASE + 0x4000, /* nothing is in it */
		.addr_width = 48,
	};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = b->dev_id[d],
		.pt_id = b->host.parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
		.fault_id = b->fault_id,
	};

	bad_must(b, IOMMU_HWPT_ALLOC, &hwpt);
	b->hwpt[d] = b->object[d] = hwpt.out_hwpt_id;
}

static void ask_vtd(uint64_t *entry, unsigned int d, uint64_t addr)
{
	(void)d;
	entry[0] = addr;
	entry[1] = 1;
	entry[2] = entry[3] = 0;
}

/* QIE off, IQE cleared, a base; on: FSTS.IQE */
static bool queue_nowhere_vtd(const struct guest *g)
{
	guest_write(g, 0x18, 4, 0);
	guest_write(g, 0x34, 4, 0x7f);
	guest_write(g, 0x90, 8, 0xfff0000800ULL);
	guest_write(g, 0x88, 8, 0);
	guest_write(g, 0x18, 4, 0x04000000);
	guest_write(g, 0x88, 8, 0x40);
	return guest_read(g, 0x34, 4) & 0x10;
}

static void refused_vtd(uint64_t *entry)
{
	ask_vtd(entry, BAD_GOOD, 0x1000);
}

static void junk_vtd(uint64_t *entry, uint64_t *random)
{
	entry[0] =
		bad_draw(random) & (bad_draw(random) % 8 ? ~0xfffULL : ~0ULL);
	entry[1] =
		bad_draw(random) % 8 ? bad_draw(random) % 64 : bad_draw(random);
	entry[2] = bad_draw(random) % 4 ? 0 : bad_draw(random);
	entry[3] = bad_draw(random) % 8 ? 0 : bad_draw(random);
}

const struct bad_arch bad_smmuv3 = {
	.arch = NESTFD_ARCH_SMMUV3,
	.type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
	.words = 2,
	.gives_up = -ETIMEDOUT,
	.doorbell = 0x98,
	.refuse = "ill:op=5,n=1,dev=0x113",
	.make = make_smmu,
	.nest = nest_smmu,
	.ask = ask_smmu,
	.refused = refused_smmu,
	.junk = junk_smmu,
	.queue_nowhere = queue_nowhere_smmu,
	.tail = 0x98,
	.regs = { 0x20, 0x28, 0x2c, 0x44, 0x50, 0x64, 0x80, 0x88, 0x9c, 0xa0,
		  0x64, 0x20 },
};

const struct bad_arch bad_vtd = {
	.arch = NESTFD_ARCH_VTD,
	.type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
	.words = 4,
	.gives_up = 0, /* it is done: docs/abi.md */
	.doorbell = 0x88,
	.refuse = "ill:op=3,n=1,dev=0x113",
	.make = make_vtd,
	.nest = nest_vtd,
	.ask = ask_vtd,
	.refused = refused_vtd,
	.junk = junk_vtd,
	.queue_nowhere = queue_nowhere_vtd,
	.tail = 0x88,
	.regs = { 0x18, 0x20, 0x28, 0x34, 0x38, 0x3c, 0x80, 0x9c, 0xa0, 0xdc,
		  0x34, 0x18 },
};
