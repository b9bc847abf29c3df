// SPDX-License-Identifier: MIT
/*
 * The table's ioctls from a program that knows nothing of nestfd, under
 * `nestfd run --device edu@0x100 --device edu@0x101 [--inject FAULT]`, on one
 * vIOMMU (errors_through makes one for each case, and also runs guests):
 *
 *	client array|ring FAULT OPCODE [ats [TARGET PLACE]]
 *
 * FAULT is the number of model.h, OPCODE what --inject ill was told; ats: the
 * devices have an ATC. TARGET and PLACE: not the whole table, but that command
 * at that place: a device that does not answer is soon in quarantine, which is
 * to make no difference to answers. Devices do no DMA: answers are all that is
 * compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cases.h"
#include "nestfd/ext.h"

#define LG2	13
#define INDICES ((2u << LG2) - 1)

static int fd;
static uint32_t viommu;
static bool dead; /* the unit is */
static bool ats;
static struct span span;
static _Alignas(4096) uint64_t queue[1u << LG2][2];

static int call(unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

/* Devices are bound to whoever opens first, as ids from 1 on. */
static int set_up(void)
{
	struct nestfd_ext_enable enable = {
		.size = sizeof(enable),
		.features = NESTFD_EXT_ERRORS | NESTFD_EXT_RING,
	};
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = 1,
	};
	struct iommu_viommu_alloc alloc = {
		.size = sizeof(alloc),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = 1,
	};
	int rc;

	fd = open("/dev/iommu", O_RDWR);
	rc = fd < 0 ? -errno : call(NESTFD_EXT_ENABLE, &enable);
	if (!rc)
		rc = call(IOMMU_IOAS_ALLOC, &ioas);
	hwpt.pt_id = ioas.out_ioas_id;
	if (!rc)
		rc = call(IOMMU_HWPT_ALLOC, &hwpt);
	alloc.hwpt_id = hwpt.out_hwpt_id;
	if (!rc)
		rc = call(IOMMU_VIOMMU_ALLOC, &alloc);
	viommu = alloc.out_viommu_id;
	for (uint32_t d = 0; !rc && d < DEVICES; d++) {
		struct iommu_vdevice_alloc vdevice = {
			.size = sizeof(vdevice),
			.viommu_id = viommu,
			.dev_id = 1 + d,
			.virt_id = VSID_0 + d,
		};

		rc = call(IOMMU_VDEVICE_ALLOC, &vdevice);
	}
	return rc;
}

static void array(struct answer *answer)
{
	struct nestfd_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = viommu,
		.data_uptr = (uintptr_t)span.cmds,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = 16,
		.entry_num = span.n,
	};

	answer->rc = call(IOMMU_HWPT_INVALIDATE, &arg);
	answer->done = arg.entry_num;
	answer->code = arg.out_error & ~NESTFD_ERR_VALID;
	answer->info = arg.out_error_info;
}

static void ring(uint32_t at, struct answer *answer)
{
	uint32_t cons = at & INDICES;
	struct nestfd_hwpt_invalidate_ring arg = {
		.size = sizeof(arg),
		.hwpt_id = viommu,
		.q_uptr = (uintptr_t)queue,
		.q_cons_uptr = (uintptr_t)&cons,
		.q_prod = (at + span.n) & INDICES,
		.q_index_bits = LG2,
		.q_entry_num = 1u << LG2,
		.q_entry_len = 16,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
	};

	for (uint32_t i = 0; i < span.n; i++)
		memcpy(queue[(at + i) & (INDICES >> 1)], span.cmds[i], 16);
	answer->rc = call(NESTFD_HWPT_INVALIDATE_RING, &arg);
	answer->done = (cons - at) & INDICES;
	answer->code = arg.out_error & ~NESTFD_ERR_VALID;
	answer->info = arg.out_error_info;
	if (answer->code == NESTFD_ERR_SMMUV3_ATC_INV_SYNC)
		answer->info = (answer->info - at) & INDICES;
}

/* @at: a ring's first slot */
static int run_case(bool native, uint32_t at)
{
	struct answer want, got;
	struct caches caches;

	memset(&caches, 0, sizeof(caches));
	span.fault.no_ats = !ats;
	if (native)
		ring(at, &got);
	else
		array(&got);
	(native ? model_ring : model_array)(span.cmds, span.n, &span.fault,
					    &caches, &want);
	if (dead) /* once and for all */
		want = (struct answer){ .rc = -EIO, .code = 2 };
	dead |= want.code == 2;
	if (!memcmp(&want, &got, sizeof(want)))
		return 0;
	fprintf(stderr,
		"%s: %s at %u of %u from slot %u, fault %d: rc %d, done %u, "
		"code %#x, info %#x instead of %d, %u, %#x, %#x\n",
		native ? "ring" : "array", target_name(span.target), span.at,
		span.n, at, span.fault.kind, got.rc, got.done, got.code,
		got.info, want.rc, want.done, want.code, want.info);
	return 1;
}

/* A ring's first slot: the target is its last one, or the first of the next */
#define SLOTS 4
static uint32_t slot_of(unsigned int slot, uint32_t at)
{
	const uint32_t slots[SLOTS] = { 0, (1u << LG2) - 1 - at,
					(1u << LG2) - at, (2u << LG2) - at };

	return slots[slot];
}

static int run_place(bool native, int target, int fault, unsigned int place,
		     unsigned int slot)
{
	int wrong = 0;

	for (uint32_t behind = 0; behind <= 7; behind += 7) {
		span_make(&span, target, places[place], behind, fault, native);
		wrong += run_case(native, slot_of(slot, places[place]));
	}
	return wrong;
}

static int run_target(bool native, int target, int fault)
{
	int wrong = 0;

	for (unsigned int place = 0; place < PLACES; place++) {
		for (unsigned int s = 0; s < (native ? SLOTS : 1); s++)
			wrong += run_place(native, target, fault, place, s);
	}
	return wrong;
}

static int run_table(bool native, int fault, unsigned long op)
{
	int wrong = 0;

	for (int target = 0; target < TARGETS; target++) {
		span_make(&span, target, 0, 0, fault, native);
		if (fault != FAULT_ILL || span.fault.op == op)
			wrong += run_target(native, target, fault);
	}
	return wrong;
}

int main(int argc, char **argv)
{
	unsigned int target, place;
	bool native;
	int wrong;
	int fault;
	int rc;

	if (argc < 4)
		return 2;
	native = !strcmp(argv[1], "ring");
	fault = atoi(argv[2]);
	ats = argc > 4 && !strcmp(argv[4], "ats");
	rc = set_up();
	if (rc) {
		fprintf(stderr, "setting up: %s\n", strerror(-rc));
		return 2;
	}
	if (argc < 7)
		return !!run_table(native, fault, strtoul(argv[3], NULL, 0));
	target = (unsigned int)atoi(argv[5]);
	place = (unsigned int)atoi(argv[6]);
	if (target >= TARGETS || place >= PLACES)
		return 2;
	wrong = run_place(native, (int)target, fault, place,
			  native ? place % SLOTS : 0);
	return !!wrong;
}
