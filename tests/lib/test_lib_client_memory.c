// SPDX-License-Identifier: MIT
/*
 * A client's memory goes away, is protected or truncated, in front of a DMA,
 * under one, or under an ioctl. The client gets an errno or an event, never a
 * signal, and the host's IOMMU works as before.
 */
#include "kit.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

#define IOVA 0x100000ULL

struct client {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	struct nestfd_device *dev;
	uint32_t dev_id;
	uint32_t ioas;
	uint64_t *good; /* a page that stays, at 0 */
};

static void start(struct client *c)
{
	c->good = kit_pages(1);
	assert_int_equal(kit_machine(NESTFD_CACHE_HOSTILE, &c->machine), 0);
	assert_int_equal(nestfd_open(c->machine, &c->ctx), 0);
	assert_int_equal(kit_device(c->machine, 3, &c->dev), 0);
	assert_int_equal(nestfd_bind(c->ctx, c->dev, &c->dev_id), 0);
	assert_int_equal(kit_ioas(c->ctx, &c->ioas), 0);
	assert_int_equal(kit_map(c->ctx, c->ioas, 0, c->good, PAGE), 0);
	assert_int_equal(kit_attach(c->dev, c->ioas), 0);
}

/* DMA, map, unmap and with it the command queue work; no error is pending */
static void expect_unharmed(struct client *c)
{
	uint64_t word = 0;

	c->good[1] = 0x600d;
	assert_int_equal(kit_read(c->dev, 8, &word), 0);
	assert_int_equal(word, 0x600d);
	assert_int_equal(kit_map(c->ctx, c->ioas, 0x7000, c->good, PAGE), 0);
	assert_int_equal(kit_write(c->dev, 0x7008, 0x601d), 0);
	assert_int_equal(c->good[1], 0x601d);
	assert_int_equal(kit_unmap(c->ctx, c->ioas, 0x7000, PAGE), 0);
	assert_int_equal(kit_read(c->dev, 0x7008, &word), -EIO);
	assert_int_equal(nestfd_iommu_read(c->machine, 0x60, 4),
			 nestfd_iommu_read(c->machine, 0x64, 4));
}

static void stop(struct client *c)
{
	expect_unharmed(c);
	nestfd_machine_destroy(c->machine);
	kit_pages_free(c->good, 1);
}

/* ---- between map and DMA ---- */

static void dma_into_unmapped_memory_is_efault(void **state)
{
	char *pages = kit_pages(2);
	struct client c;
	uint64_t word;

	(void)state;
	start(&c);
	assert_int_equal(kit_map(c.ctx, c.ioas, IOVA, pages, 2 * PAGE), 0);
	assert_int_equal(kit_read(c.dev, IOVA + PAGE, &word), 0);
	munmap(pages + PAGE, PAGE);
	assert_int_equal(kit_read(c.dev, IOVA, &word), 0);
	assert_int_equal(kit_read(c.dev, IOVA + PAGE, &word), -EFAULT);
	assert_int_equal(kit_write(c.dev, IOVA + PAGE, 1), -EFAULT);
	expect_unharmed(&c);
	assert_int_equal(kit_unmap(c.ctx, c.ioas, IOVA, 2 * PAGE), 0);
	assert_int_equal(kit_read(c.dev, IOVA, &word), -EIO);
	munmap(pages, PAGE);
	stop(&c);
}

static void a_dma_across_the_edge_moves_what_is_there(void **state)
{
	char *pages = kit_pages(2);
	struct client c;
	char data[64];

	(void)state;
	start(&c);
	assert_int_equal(kit_map(c.ctx, c.ioas, IOVA, pages, 2 * PAGE), 0);
	munmap(pages + PAGE, PAGE);
	memset(data, 0x5c, sizeof(data));
	assert_int_equal(nestfd_dma_write(c.dev, IOVA + PAGE - 32, data, 64),
			 -EFAULT);
	assert_int_equal(pages[PAGE - 32], 0x5c);
	assert_int_equal(pages[PAGE - 1], 0x5c);
	munmap(pages, PAGE);
	stop(&c);
}

static void protection_is_respected_as_it_is_now(void **state)
{
	char *page = kit_pages(1);
	struct client c;
	uint64_t word;

	(void)state;
	start(&c);
	assert_int_equal(kit_map(c.ctx, c.ioas, IOVA, page, PAGE), 0);
	assert_int_equal(kit_write(c.dev, IOVA, 1), 0);
	mprotect(page, PAGE, PROT_READ);
	assert_int_equal(kit_write(c.dev, IOVA, 2), -EFAULT);
	assert_int_equal(kit_read(c.dev, IOVA, &word), 0);
	assert_int_equal(word, 1);
	mprotect(page, PAGE, PROT_NONE);
	assert_int_equal(kit_read(c.dev, IOVA, &word), -EFAULT);
	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
	assert_int_equal(kit_write(c.dev, IOVA, 3), 0);
	assert_int_equal(kit_read(c.dev, IOVA, &word), 0);
	assert_int_equal(word, 3);
	kit_pages_free(page, 1);
	stop(&c);
}

static int file_of(uint64_t length)
{
	int fd = memfd_create("client", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)length), 0);
	return fd;
}

static void a_truncated_file_under_a_mapping_is_efault(void **state)
{
	int fd = file_of(2 * PAGE);
	struct client c;
	uint64_t word;
	char *view;

	(void)state;
	start(&c);
	view = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(view, MAP_FAILED);
	assert_int_equal(kit_map(c.ctx, c.ioas, IOVA, view, 2 * PAGE), 0);
	assert_int_equal(kit_write(c.dev, IOVA + PAGE, 7), 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(kit_read(c.dev, IOVA + PAGE, &word), -EFAULT);
	assert_int_equal(kit_write(c.dev, IOVA + PAGE, 8), -EFAULT);
	assert_int_equal(kit_write(c.dev, IOVA, 9), 0);
	munmap(view, 2 * PAGE);
	close(fd);
	stop(&c);
}

static int map_file(struct client *c, int fd, uint64_t length)
{
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = c->ioas,
		.fd = fd,
		.length = length,
		.iova = IOVA,
	};

	return nestfd_ioctl(c->ctx, IOMMU_IOAS_MAP_FILE, &arg);
}

static void a_mapped_file_stays_when_its_fd_and_views_go(void **state)
{
	int fd = file_of(2 * PAGE);
	int second = dup(fd);
	struct client c;
	uint64_t word = 0;

	(void)state;
	start(&c);
	assert_int_equal(pwrite(fd, "pinned!", 8, PAGE), 8);
	assert_int_equal(map_file(&c, fd, 2 * PAGE), 0);
	close(fd);
	assert_int_equal(kit_read(c.dev, IOVA + PAGE, &word), 0);
	assert_memory_equal(&word, "pinned!", 8);
	assert_int_equal(kit_write(c.dev, IOVA, 0x4711), 0);
	assert_int_equal(pread(second, &word, 8, 0), 8);
	assert_int_equal(word, 0x4711);
	/* what the file itself loses cannot be kept */
	assert_int_equal(ftruncate(second, PAGE), 0);
	assert_int_equal(kit_read(c.dev, IOVA + PAGE, &word), -EFAULT);
	assert_int_equal(kit_read(c.dev, IOVA, &word), 0);
	close(second);
	stop(&c);
}

/* ---- under a DMA ---- */

struct pounding {
	struct nestfd_device *dev;
	bool writes;
	bool over;
	unsigned int moved;
	unsigned int refused;
	unsigned int wrong;
};

static void *pound(void *arg)
{
	static __thread char data[64 * 4096];
	struct pounding *p = arg;

	while (!__atomic_load_n(&p->over, __ATOMIC_RELAXED)) {
		int rc = nestfd_dma_read(p->dev, IOVA, data, sizeof(data));

		p->moved += !rc;
		p->refused += rc == -EFAULT;
		p->wrong += rc && rc != -EFAULT;
		if (!p->writes)
			continue;
		rc = nestfd_dma_write(p->dev, IOVA, data, sizeof(data));
		p->moved += !rc;
		p->refused += rc == -EFAULT;
		p->wrong += rc && rc != -EFAULT;
	}
	return NULL;
}

/* Takes memory away and gives it back while a device moves data */
static void while_pounding(bool writes, void (*away)(char *pages, int fd),
			   void (*back)(char *pages, int fd))
{
	int fd = file_of(64 * PAGE);
	struct pounding p = { .writes = writes };
	struct client c;
	pthread_t thread;
	char *pages;

	start(&c);
	/* far from where others look for room */
	pages = mmap((void *)0x2000000000, 64 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED, fd, 0);
	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(kit_map(c.ctx, c.ioas, IOVA, pages, 64 * PAGE), 0);
	p.dev = c.dev;
	assert_int_equal(pthread_create(&thread, NULL, pound, &p), 0);
	for (int i = 0; i < 300; i++) {
		away(pages, fd);
		usleep(50);
		back(pages, fd);
		usleep(50);
	}
	__atomic_store_n(&p.over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(p.wrong, 0);
	assert_int_not_equal(p.moved + p.refused, 0);
	munmap(pages, (writes ? 64 : 32) * PAGE); /* the rest may be taken */
	close(fd);
	stop(&c);
}

static void unmap_half(char *pages, int fd)
{
	(void)fd;
	munmap(pages + 32 * PAGE, 32 * PAGE);
}

/* Unless another thread has found the hole meanwhile: then it stays its */
static void map_half(char *pages, int fd)
{
	mmap(pages + 32 * PAGE, 32 * PAGE, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 32 * PAGE);
}

static void memory_is_unmapped_under_a_running_dma(void **state)
{
	(void)state;
	while_pounding(false, unmap_half, map_half);
}

static void protect_half(char *pages, int fd)
{
	(void)fd;
	mprotect(pages, 32 * PAGE, PROT_NONE);
}

static void unprotect_half(char *pages, int fd)
{
	(void)fd;
	mprotect(pages, 32 * PAGE, PROT_READ | PROT_WRITE);
}

static void memory_is_protected_under_a_running_dma(void **state)
{
	(void)state;
	while_pounding(true, protect_half, unprotect_half);
}

static void truncate_half(char *pages, int fd)
{
	(void)pages;
	assert_int_equal(ftruncate(fd, 32 * PAGE), 0);
}

static void extend_half(char *pages, int fd)
{
	(void)pages;
	assert_int_equal(ftruncate(fd, 64 * PAGE), 0);
}

static void memory_is_truncated_under_a_running_dma(void **state)
{
	(void)state;
	while_pounding(true, truncate_half, extend_half);
}

/* ---- the structs of the calls ---- */

static const struct {
	unsigned long cmd;
	uint32_t size;
} calls[] = {
	{ IOMMU_DESTROY, 8 },
	{ IOMMU_IOAS_ALLOC, 12 },
	{ IOMMU_IOAS_ALLOW_IOVAS, 24 },
	{ IOMMU_IOAS_COPY, 40 },
	{ IOMMU_IOAS_IOVA_RANGES, 32 },
	{ IOMMU_IOAS_MAP, 40 },
	{ IOMMU_IOAS_UNMAP, 24 },
	{ IOMMU_OPTION, 24 },
	{ IOMMU_VFIO_IOAS, 12 },
	{ IOMMU_HWPT_ALLOC, 48 },
	{ IOMMU_GET_HW_INFO, 40 },
	{ IOMMU_HWPT_SET_DIRTY_TRACKING, 16 },
	{ IOMMU_HWPT_GET_DIRTY_BITMAP, 48 },
	{ IOMMU_HWPT_INVALIDATE, 32 },
	{ IOMMU_FAULT_QUEUE_ALLOC, 16 },
	{ IOMMU_IOAS_MAP_FILE, 40 },
	{ IOMMU_VIOMMU_ALLOC, 40 },
	{ IOMMU_VDEVICE_ALLOC, 24 },
	{ IOMMU_IOAS_CHANGE_PROCESS, 8 },
	{ IOMMU_VEVENTQ_ALLOC, 32 },
	{ IOMMU_HW_QUEUE_ALLOC, 40 },
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static void a_struct_that_cannot_be_read_is_efault(void **state)
{
	static void *const nowhere[] = {
		NULL,
		(void *)8,
		(void *)0x7ffffffff000,	    /* the last user page and more */
		(void *)0x800000000000,	    /* not canonical */
		(void *)0x8000000000000000, /* nor this */
		(void *)0xffff888000000000, /* the kernel's */
		(void *)-4096,
		(void *)-4,
		(void *)-1,
	};
	char *pages = kit_pages(2);
	struct client c;

	(void)state;
	start(&c);
	mprotect(pages + PAGE, PAGE, PROT_NONE);
	for (size_t i = 0; i < CALLS; i++) {
		for (size_t n = 0; n < sizeof(nowhere) / sizeof(nowhere[0]);
		     n++)
			assert_int_equal(
				nestfd_ioctl(c.ctx, calls[i].cmd, nowhere[n]),
				-EFAULT);
		assert_int_equal(
			nestfd_ioctl(c.ctx, calls[i].cmd, pages + PAGE),
			-EFAULT);
		/* all of it but the last bytes; and all but the first */
		for (uint32_t have = 1; have < calls[i].size; have++) {
			char *at = pages + PAGE - have;

			memset(pages, 0, PAGE);
			memcpy(at, &calls[i].size, have < 4 ? have : 4);
			assert_int_equal(nestfd_ioctl(c.ctx, calls[i].cmd, at),
					 -EFAULT);
		}
	}
	mprotect(pages + PAGE, PAGE, PROT_READ);
	kit_pages_free(pages, 2);
	stop(&c);
}

static void a_tail_that_cannot_be_read_is_efault(void **state)
{
	char *pages = kit_pages(2);
	struct client c;

	(void)state;
	start(&c);
	mprotect(pages + PAGE, PAGE, PROT_NONE);
	for (size_t i = 0; i < CALLS; i++) {
		uint32_t size = calls[i].size + 16;
		char *at = pages + PAGE - calls[i].size;

		memset(pages, 0, PAGE);
		memcpy(at, &size, 4);
		assert_int_equal(nestfd_ioctl(c.ctx, calls[i].cmd, at),
				 -EFAULT);
		/* 4 GiB of it: the end of the address space or of patience */
		size = UINT32_MAX;
		memcpy(at, &size, 4);
		assert_int_equal(nestfd_ioctl(c.ctx, calls[i].cmd, at),
				 -EFAULT);
	}
	kit_pages_free(pages, 2);
	stop(&c);
}

/* The next id, without using it up */
static uint32_t next_id(struct client *c)
{
	uint32_t id;

	assert_int_equal(kit_ioas(c->ctx, &id), 0);
	assert_int_equal(kit_destroy(c->ctx, id), 0);
	return id;
}

/* @arg of @size bytes from read-only memory, to which no reply can be made */
static int from_rom(struct client *c, unsigned long cmd, const void *arg,
		    size_t size)
{
	char *page = kit_pages(1);
	int rc;

	memcpy(page, arg, size);
	mprotect(page, PAGE, PROT_READ);
	rc = nestfd_ioctl(c->ctx, cmd, page);
	assert_memory_equal(page, arg, size);
	kit_pages_free(page, 1);
	return rc;
}

static void what_cannot_be_told_was_not_allocated(void **state)
{
	struct iommu_hwpt_arm_smmuv3 ste = { { 0x1, 0 } };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt) };
	struct iommu_viommu_alloc viommu = { .size = sizeof(viommu),
					     .type = 1 };
	struct iommu_vdevice_alloc vdev = { .size = sizeof(vdev) };
	struct iommu_veventq_alloc veventq = { .size = sizeof(veventq),
					       .type = 1,
					       .veventq_depth = 1 };
	uint32_t parent, live, before;
	struct client c;

	(void)state;
	start(&c);
	assert_int_equal(kit_hwpt(c.ctx, c.dev_id, c.ioas, 1, &parent), 0);
	assert_int_equal(kit_viommu(c.ctx, c.dev_id, parent, &live), 0);
	before = next_id(&c);

	assert_int_equal(from_rom(&c, IOMMU_IOAS_ALLOC, &ioas, sizeof(ioas)),
			 -EFAULT);
	assert_int_equal(
		from_rom(&c, IOMMU_FAULT_QUEUE_ALLOC, &fault, sizeof(fault)),
		-EFAULT);
	hwpt.dev_id = c.dev_id;
	hwpt.pt_id = c.ioas;
	assert_int_equal(from_rom(&c, IOMMU_HWPT_ALLOC, &hwpt, sizeof(hwpt)),
			 -EFAULT);
	hwpt.pt_id = live;
	hwpt.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3;
	hwpt.data_len = sizeof(ste);
	hwpt.data_uptr = (uintptr_t)&ste;
	assert_int_equal(from_rom(&c, IOMMU_HWPT_ALLOC, &hwpt, sizeof(hwpt)),
			 -EFAULT);
	viommu.dev_id = c.dev_id;
	viommu.hwpt_id = parent;
	assert_int_equal(
		from_rom(&c, IOMMU_VIOMMU_ALLOC, &viommu, sizeof(viommu)),
		-EFAULT);
	vdev.viommu_id = live;
	vdev.dev_id = c.dev_id;
	assert_int_equal(from_rom(&c, IOMMU_VDEVICE_ALLOC, &vdev, sizeof(vdev)),
			 -EFAULT);
	veventq.viommu_id = live;
	assert_int_equal(
		from_rom(&c, IOMMU_VEVENTQ_ALLOC, &veventq, sizeof(veventq)),
		-EFAULT);

	/* nothing took an id, nor holds on to anything */
	assert_int_equal(next_id(&c), before);
	assert_int_equal(kit_destroy(c.ctx, live), 0);
	assert_int_equal(kit_destroy(c.ctx, parent), 0);
	stop(&c);
}

static void an_invalidation_is_done_even_if_it_cannot_be_told(void **state)
{
	uint64_t cmd[2] = { 0x10, 0 };
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.data_uptr = (uintptr_t)cmd,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = 16,
		.entry_num = 1,
	};
	struct nestfd_iommu_stats before = { .size = sizeof(before) };
	struct nestfd_iommu_stats after = { .size = sizeof(after) };
	struct client c;
	uint32_t parent;

	(void)state;
	start(&c);
	assert_int_equal(kit_hwpt(c.ctx, c.dev_id, c.ioas, 1, &parent), 0);
	assert_int_equal(kit_viommu(c.ctx, c.dev_id, parent, &arg.hwpt_id), 0);
	nestfd_iommu_stats(c.machine, &before);
	assert_int_equal(from_rom(&c, IOMMU_HWPT_INVALIDATE, &arg, sizeof(arg)),
			 -EFAULT);
	nestfd_iommu_stats(c.machine, &after);
	assert_int_equal(after.commands, before.commands + 2); /* and sync */
	stop(&c);
}

/* ---- what the structs point to ---- */

static const uint64_t bad_pointers[] = {
	8,
	0x800000000000,
	0x8000000000000000,
	0xffff888000000000,
	0xfffffffffffff000,
	0xfffffffffffffff8,
};
#define BAD_POINTERS (sizeof(bad_pointers) / sizeof(bad_pointers[0]))

static int call_with_data(struct client *c, unsigned int which, uint32_t viommu,
			  uint64_t uptr)
{
	struct iommu_hw_info info = { .size = sizeof(info),
				      .dev_id = c->dev_id,
				      .data_len = 40,
				      .data_uptr = uptr };
	struct iommu_hwpt_alloc nested = {
		.size = sizeof(nested),
		.dev_id = c->dev_id,
		.pt_id = viommu,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = 16,
		.data_uptr = uptr,
	};
	struct iommu_ioas_allow_iovas allow = { .size = sizeof(allow),
						.ioas_id = c->ioas,
						.num_iovas = 3,
						.allowed_iovas = uptr };
	struct iommu_ioas_iova_ranges ranges = { .size = sizeof(ranges),
						 .ioas_id = c->ioas,
						 .num_iovas = 1,
						 .allowed_iovas = uptr };
	uint32_t n = 4;

	switch (which) {
	case 0:
		return nestfd_ioctl(c->ctx, IOMMU_GET_HW_INFO, &info);
	case 1:
		return nestfd_ioctl(c->ctx, IOMMU_HWPT_ALLOC, &nested);
	case 2:
		return nestfd_ioctl(c->ctx, IOMMU_IOAS_ALLOW_IOVAS, &allow);
	case 3:
		return nestfd_ioctl(c->ctx, IOMMU_IOAS_IOVA_RANGES, &ranges);
	default:
		return kit_invalidate(c->ctx, viommu, (void *)uptr, &n);
	}
}

static void data_that_cannot_be_reached_is_efault(void **state)
{
	char *pages = kit_pages(2);
	uint32_t parent, viommu;
	struct client c;

	(void)state;
	start(&c);
	mprotect(pages + PAGE, PAGE, PROT_NONE);
	assert_int_equal(kit_hwpt(c.ctx, c.dev_id, c.ioas, 1, &parent), 0);
	assert_int_equal(kit_viommu(c.ctx, c.dev_id, parent, &viommu), 0);
	for (unsigned int which = 0; which < 5; which++) {
		for (size_t i = 0; i < BAD_POINTERS; i++)
			assert_int_equal(call_with_data(&c, which, viommu,
							bad_pointers[i]),
					 -EFAULT);
		assert_int_equal(call_with_data(&c, which, viommu,
						(uintptr_t)pages + PAGE),
				 -EFAULT);
		assert_int_equal(call_with_data(&c, which, viommu,
						(uintptr_t)pages + PAGE - 8),
				 -EFAULT);
		expect_unharmed(&c);
	}
	kit_pages_free(pages, 2);
	stop(&c);
}

static void an_array_that_ends_too_early_counts_what_was_done(void **state)
{
	char *pages = kit_pages(2);
	uint32_t parent, viommu;
	struct client c;

	(void)state;
	start(&c);
	assert_int_equal(kit_hwpt(c.ctx, c.dev_id, c.ioas, 1, &parent), 0);
	assert_int_equal(kit_viommu(c.ctx, c.dev_id, parent, &viommu), 0);
	/* a page of TLBI_NH_ALL, and nothing behind it */
	for (unsigned int i = 0; i < 256; i++)
		pages[i * 16] = 0x10;
	munmap(pages + PAGE, PAGE);
	for (uint32_t more = 1; more < 1000; more += 111) {
		uint32_t n = 256 + more;

		assert_int_equal(kit_invalidate(c.ctx, viommu, pages, &n),
				 -EFAULT);
		assert_in_range(n, 0, 256);
		assert_int_equal(n % 256, 0); /* an array begins whole */
	}
	munmap(pages, PAGE);
	stop(&c);
}

static void memory_that_is_not_there_cannot_be_mapped(void **state)
{
	char *pages = kit_pages(3);
	struct client c;
	uint32_t id, hwpt;

	(void)state;
	start(&c);
	munmap(pages + PAGE, PAGE);
	assert_int_equal(kit_map(c.ctx, c.ioas, IOVA, pages, 3 * PAGE),
			 -EFAULT);
	assert_int_equal(kit_map(c.ctx, c.ioas, IOVA, pages + PAGE, PAGE),
			 -EFAULT);
	assert_int_equal(kit_map(c.ctx, c.ioas, IOVA, pages, PAGE), 0);
	mprotect(pages + 2 * PAGE, PAGE, PROT_READ);
	assert_int_equal(
		kit_map(c.ctx, c.ioas, IOVA + PAGE, pages + 2 * PAGE, PAGE),
		-EFAULT);
	for (size_t i = 0; i < BAD_POINTERS; i++) {
		uint64_t va = bad_pointers[i] & ~(PAGE - 1);

		if (va + PAGE)
			assert_int_equal(kit_map(c.ctx, c.ioas, IOVA + PAGE,
						 (void *)va, PAGE),
					 -EFAULT);
	}
	/* with no hardware to tell it is only noted, and found out later */
	assert_int_equal(kit_ioas(c.ctx, &id), 0);
	assert_int_equal(kit_map(c.ctx, id, IOVA, pages + PAGE, PAGE), 0);
	assert_int_equal(kit_hwpt(c.ctx, c.dev_id, id, 0, &hwpt), -EFAULT);
	assert_int_equal(kit_attach(c.dev, id), -EFAULT);
	munmap(pages, PAGE);
	munmap(pages + 2 * PAGE, PAGE);
	stop(&c);
}

/* ---- guests ---- */

static void an_event_that_cannot_be_delivered_is_kept(void **state)
{
	uint32_t parent, viommu, vdevice, queue, nested;
	struct client c;
	char buf[64];
	uint64_t word;
	int fd;

	(void)state;
	start(&c);
	assert_int_equal(kit_hwpt(c.ctx, c.dev_id, c.ioas, 1, &parent), 0);
	assert_int_equal(kit_viommu(c.ctx, c.dev_id, parent, &viommu), 0);
	assert_int_equal(kit_veventq(c.ctx, viommu, &queue, &fd), 0);
	assert_int_equal(kit_vdevice(c.ctx, viommu, c.dev_id, 1, &vdevice), 0);
	/* a CD of zeros in the good page: C_BAD_CD */
	memset(c.good, 0, PAGE);
	assert_int_equal(
		kit_nested(c.ctx, c.dev_id, viommu, 0xb, 0xd6, &nested), 0);
	assert_int_equal(kit_attach(c.dev, nested), 0);
	assert_int_equal(kit_read(c.dev, 0x1000, &word), -EIO);
	for (size_t i = 0; i < BAD_POINTERS; i++)
		assert_int_equal(
			nestfd_read(c.ctx, fd, (void *)bad_pointers[i], 64),
			-EFAULT);
	assert_int_equal(nestfd_read(c.ctx, fd, NULL, 64), -EFAULT);
	assert_int_equal(nestfd_read(c.ctx, fd, buf, 64), 40);
	assert_int_equal(buf[8], 0x0a);
	assert_int_equal(nestfd_read(c.ctx, fd, buf, 64), 0);
	assert_int_equal(kit_attach(c.dev, c.ioas), 0);
	stop(&c);
}

static void a_guests_tables_vanish_under_the_walk(void **state)
{
	struct nestfd_translation tr = { .size = sizeof(tr) };
	struct host host = { .cache = NESTFD_CACHE_HOSTILE, .guests = 2 };
	struct guest g, other;
	uint64_t word;
	char *l1;

	(void)state;
	assert_int_equal(host_start(&host), 0);
	assert_int_equal(guest_start(&g, &host, 0, 1), 0);
	assert_int_equal(guest_start(&other, &host, 1, 1), 0);
	guest_map(&g, IOVA, guest_page(&g, 0));
	guest_map(&other, IOVA, guest_page(&other, 0));
	assert_int_equal(kit_read(g.dev, IOVA, &word), 0);
	/* the level-1 table, 0x3000 into a guest's part */
	l1 = guest_at(&g, g.base + 0x3000);
	munmap(l1, PAGE);
	guest_invalidate(&g, IOVA);
	assert_int_equal(kit_read(g.dev, 0x40000000, &word), -EIO);
	assert_int_equal(
		nestfd_translate(g.dev, 0x40000000, NESTFD_NO_PASID, 0, &tr),
		0);
	assert_int_equal(tr.result, NESTFD_ABORTED);
	assert_int_equal(tr.event, 0x0b); /* F_WALK_EABT */
	/* the CD, 0x2000 into it */
	munmap(l1 - PAGE, PAGE);
	guest_command(&g, 0x05 | (uint64_t)g.vsid << 32, 1);
	guest_command(&g, GUEST_SYNC);
	guest_ring(&g);
	assert_int_equal(nestfd_translate(g.dev, IOVA, NESTFD_NO_PASID, 0, &tr),
			 0);
	assert_int_equal(tr.result, NESTFD_ABORTED);
	assert_int_equal(tr.event, 0x09); /* F_CD_FETCH */
	assert_int_equal(kit_read(other.dev, IOVA, &word), 0);
	guest_invalidate(&other, IOVA);
	assert_int_equal(kit_read(other.dev, IOVA, &word), 0);
	assert_int_equal(nestfd_iommu_read(host.machine, 0x60, 4),
			 nestfd_iommu_read(host.machine, 0x64, 4));
	guest_stop(&other);
	guest_stop(&g);
	host_stop(&host);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dma_into_unmapped_memory_is_efault),
		cmocka_unit_test(a_dma_across_the_edge_moves_what_is_there),
		cmocka_unit_test(protection_is_respected_as_it_is_now),
		cmocka_unit_test(a_truncated_file_under_a_mapping_is_efault),
		cmocka_unit_test(a_mapped_file_stays_when_its_fd_and_views_go),
		cmocka_unit_test(memory_is_unmapped_under_a_running_dma),
		cmocka_unit_test(memory_is_protected_under_a_running_dma),
		cmocka_unit_test(memory_is_truncated_under_a_running_dma),
		cmocka_unit_test(a_struct_that_cannot_be_read_is_efault),
		cmocka_unit_test(a_tail_that_cannot_be_read_is_efault),
		cmocka_unit_test(what_cannot_be_told_was_not_allocated),
		cmocka_unit_test(
			an_invalidation_is_done_even_if_it_cannot_be_told),
		cmocka_unit_test(data_that_cannot_be_reached_is_efault),
		cmocka_unit_test(
			an_array_that_ends_too_early_counts_what_was_done),
		cmocka_unit_test(memory_that_is_not_there_cannot_be_mapped),
		cmocka_unit_test(an_event_that_cannot_be_delivered_is_kept),
		cmocka_unit_test(a_guests_tables_vanish_under_the_walk),
	};

	return RUN(tests, argc, argv);
}
