// SPDX-License-Identifier: MIT
/* What nestfd has beyond Linux, by a program that looks whether it is there. */
#include <sys/mman.h>
#include <sys/wait.h>

#include <nestfd/ext.h>

#include "client.h"

#define PAGE 4096

struct shared {
	struct nestfd_hwpt_invalidate_ring ring;
	uint32_t cons;
	uint64_t queue[16][2];
};

static struct nestfd_hwpt_invalidate_ring *
prepare(struct shared *s, long viommu, uint32_t cons, uint32_t prod)
{
	s->cons = cons;
	s->ring = (struct nestfd_hwpt_invalidate_ring){
		.size = sizeof(s->ring),
		.hwpt_id = (uint32_t)viommu,
		.q_uptr = (uintptr_t)s->queue,
		.q_cons_uptr = (uintptr_t)&s->cons,
		.q_prod = prod,
		.q_index_bits = 4,
		.q_entry_num = 16,
		.q_entry_len = 16,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
	};
	for (int i = 0; i < 16; i++) {
		s->queue[i][0] = 0x10; /* TLBI_NH_ALL */
		s->queue[i][1] = 0;
	}
	return &s->ring;
}

static int array_of(int fd, long viommu)
{
	uint64_t commands[3][2] = { { 0x10 }, { 0x77 }, { 0x10 } };
	struct nestfd_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = (uint32_t)viommu,
		.data_uptr = (uintptr_t)commands,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = 16,
		.entry_num = 3,
	};

	FAILS(ioctl(fd, IOMMU_HWPT_INVALIDATE, &arg), EIO);
	CHECK(arg.entry_num == 1 && arg.out_error == 0x80000001);
	CHECK(arg.out_error_info == 0);
	arg.entry_num = 3;
	FAILS(ioctl(fd, IOMMU_HWPT_INVALIDATE, &arg), E2BIG);
	CHECK(arg.entry_num == 3);
	return 0;
}

static int ring_of(int fd, long viommu, struct shared *s)
{
	struct nestfd_hwpt_invalidate_ring *ring;

	ring = prepare(s, viommu, 0x0f, 0x11);
	CHECK(!ioctl(fd, NESTFD_HWPT_INVALIDATE_RING, ring));
	CHECK(s->cons == 0x11 && !ring->out_error);
	ring = prepare(s, viommu, 0x1e, 0x0a);
	s->queue[3][0] = 0x103; /* CFGI_STE of stream 0, which it never says */
	FAILS(ioctl(fd, NESTFD_HWPT_INVALIDATE_RING, ring), EOPNOTSUPP);
	CHECK(s->cons == 0x03);
	CHECK(ring->out_error == (NESTFD_ERR_VALID | NESTFD_ERR_VMM));
	CHECK(ring->out_error_info == 3);
	FAILS(ioctl(fd, NESTFD_HWPT_INVALIDATE_RING, ring), E2BIG);
	ring = prepare(s, viommu, 5, 4);
	FAILS(ioctl(fd, NESTFD_HWPT_INVALIDATE_RING, ring), EINVAL);
	CHECK(s->cons == 5);
	ring->q_cons_uptr++;
	FAILS(ioctl(fd, NESTFD_HWPT_INVALIDATE_RING, ring), EINVAL);
	return 0;
}

static int bad_memory(int fd, long viommu, struct shared *s, char *pages)
{
	struct nestfd_hwpt_invalidate_ring *ring = prepare(s, viommu, 0, 4);

	mprotect(pages, PAGE, PROT_READ);
	ring->q_cons_uptr = (uintptr_t)pages;
	FAILS(ioctl(fd, NESTFD_HWPT_INVALIDATE_RING, ring), EFAULT);
	mprotect(pages, PAGE, PROT_NONE);
	FAILS(ioctl(fd, NESTFD_HWPT_INVALIDATE_RING, ring), EFAULT);
	/* a queue whose third entry is not there */
	ring->q_cons_uptr = (uintptr_t)&s->cons;
	memcpy(pages + 2 * PAGE - 32, s->queue, 32);
	mprotect(pages + 2 * PAGE, PAGE, PROT_NONE);
	ring->q_uptr = (uintptr_t)pages + 2 * PAGE - 32;
	FAILS(ioctl(fd, NESTFD_HWPT_INVALIDATE_RING, ring), EFAULT);
	CHECK(s->cons == 2 && !ring->out_error);
	return 0;
}

/* Of a child: its own memory, which the parent has not got */
static int of_a_child(int fd, long viommu)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct shared *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		_exit(array_of(fd, viommu) || ring_of(fd, viommu, s));
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(status == 0);
	return 0;
}

static int ring(int argc, char **argv)
{
	struct nestfd_ext_enable enable = { .size = sizeof(enable) };
	static struct shared s;
	int fd = open_iommu();
	long viommu = viommu_alloc(fd, 1);
	char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)argc;
	(void)argv;
	CHECK(viommu > 0);
	FAILS(ioctl(fd, NESTFD_HWPT_INVALIDATE_RING, prepare(&s, viommu, 0, 1)),
	      ENOTTY);
	enable.features = 8;
	FAILS(ioctl(fd, NESTFD_EXT_ENABLE, &enable), EOPNOTSUPP);
	CHECK(enable.features == 7);
	CHECK(!ioctl(fd, NESTFD_EXT_ENABLE, &enable));
	return array_of(fd, viommu) || ring_of(fd, viommu, &s) ||
	       bad_memory(fd, viommu, &s, pages) || of_a_child(fd, viommu);
}

const struct scenario ring_scenarios[] = {
	{ "ring", ring },
	{ NULL, NULL },
};
