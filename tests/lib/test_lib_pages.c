// SPDX-License-Identifier: MIT
/*
 * Page requests (PRI) and stalls from end to end: a device asks, a client reads
 * it from its fault queue, maps the page and answers, or does not.
 */
#include "kit.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define X      0x40000000ULL
#define RECORD sizeof(struct iommu_hwpt_pgfault)
#define ANSWER sizeof(struct iommu_hwpt_page_response)
#define READ   NESTFD_PAGE_READ
#define WRITE  NESTFD_PAGE_WRITE
#define LAST   NESTFD_PAGE_LAST
#define ALONE  NESTFD_NO_PASID

struct rig {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	struct nestfd_device *dev;
	uint32_t dev_id;
	uint32_t ioas;
	uint32_t queue;
	int fd;
	uint32_t hwpt; /* its faults go to the queue */
	char *memory;  /* 16 pages, none mapped */
};

static int hwpt_with_queue(struct rig *rig, uint32_t flags, uint32_t *hwpt)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags | IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = rig->dev_id,
		.pt_id = rig->ioas,
		.fault_id = rig->queue,
	};
	int rc = nestfd_ioctl(rig->ctx, IOMMU_HWPT_ALLOC, &arg);

	if (!rc)
		*hwpt = arg.out_hwpt_id;
	return rc;
}

static void begin_queue(struct rig *rig)
{
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };

	assert_int_equal(nestfd_ioctl(rig->ctx, IOMMU_FAULT_QUEUE_ALLOC, &arg),
			 0);
	rig->queue = arg.out_fault_id;
	rig->fd = (int)arg.out_fault_fd;
}

static void begin_on(struct rig *rig, enum nestfd_arch arch, bool pri,
		     bool stall)
{
	struct nestfd_machine_config machine = {
		.size = sizeof(machine),
		.arch = arch,
		.cache = NESTFD_CACHE_HOSTILE,
		.pri = pri,
	};
	struct nestfd_device_config device = {
		.size = sizeof(device),
		.stream_id = 7,
		.pasid_bits = 6,
		.ats = true,
		.page_requests = 64,
		.stall = stall,
	};

	memset(rig, 0, sizeof(*rig));
	assert_int_equal(nestfd_machine_create(&machine, &rig->machine), 0);
	assert_int_equal(nestfd_device_add(rig->machine, &device, &rig->dev),
			 0);
	assert_int_equal(nestfd_open(rig->machine, &rig->ctx), 0);
	assert_int_equal(nestfd_bind(rig->ctx, rig->dev, &rig->dev_id), 0);
	assert_int_equal(kit_ioas(rig->ctx, &rig->ioas), 0);
	begin_queue(rig);
	assert_int_equal(hwpt_with_queue(rig, 0, &rig->hwpt), 0);
	assert_int_equal(kit_attach(rig->dev, rig->hwpt), 0);
	rig->memory = kit_pages(16);
}

static void begin(struct rig *rig, bool pri, bool stall)
{
	begin_on(rig, NESTFD_ARCH_SMMUV3, pri, stall);
}

static void end(struct rig *rig)
{
	nestfd_machine_destroy(rig->machine);
	kit_pages_free(rig->memory, 16);
}

static int ask(struct rig *rig, uint32_t group, uint64_t iova, uint32_t pasid,
	       uint32_t flags)
{
	struct nestfd_page_request request = {
		.size = sizeof(request),
		.iova = iova,
		.pasid = pasid,
		.flags = flags,
		.group = group,
	};

	return nestfd_page_request(rig->dev, &request);
}

static ssize_t get(struct rig *rig, struct iommu_hwpt_pgfault *faults, size_t n)
{
	memset(faults, 0xff, n * RECORD);
	return nestfd_read(rig->ctx, rig->fd, faults, n * RECORD);
}

static ssize_t answer(struct rig *rig, uint32_t cookie, uint32_t code)
{
	struct iommu_hwpt_page_response response = { cookie, code };

	return nestfd_write(rig->ctx, rig->fd, &response, sizeof(response));
}

/* What the device has been told: the code, or a negative errno */
static int told(struct rig *rig, uint32_t group)
{
	struct nestfd_page_response response = { 0 };
	int rc = nestfd_page_wait(rig->dev, group, 0, &response);

	if (!rc)
		assert_int_equal(response.group, group);
	return rc ? rc : (int)response.code;
}

static bool is_readable(const struct rig *rig)
{
	struct pollfd fd = { .fd = rig->fd, .events = POLLIN };

	return poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN);
}

static int dma(struct rig *rig, uint64_t iova, void *buf, uint32_t flags)
{
	struct nestfd_dma d = {
		.size = sizeof(d),
		.iova = iova,
		.pasid = ALONE,
		.flags = flags,
		.buf = buf,
		.length = 8,
	};

	return nestfd_dma(rig->dev, &d);
}

/* ---- a device that faults its pages in ---- */

static void a_device_faults_a_page_in(void **state)
{
	struct iommu_hwpt_pgfault fault;
	uint64_t word = 0;
	struct rig rig;

	(void)state;
	begin(&rig, true, false);
	memcpy(rig.memory + 8, "faulted!", 8);
	assert_int_equal(dma(&rig, X + 8, &word, NESTFD_DMA_TRANSLATED), -EIO);
	assert_int_equal(ask(&rig, 5, X + 8, ALONE, READ | LAST), 0);
	assert_int_equal(told(&rig, 5), -EINPROGRESS);
	assert_true(is_readable(&rig));
	assert_int_equal(get(&rig, &fault, 1), RECORD);
	assert_int_equal(fault.flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	assert_int_equal(fault.dev_id, rig.dev_id);
	assert_int_equal(fault.pasid, 0);
	assert_int_equal(fault.grpid, 5);
	assert_int_equal(fault.perm, IOMMU_PGFAULT_PERM_READ);
	assert_true(fault.addr == X); /* requests name pages */
	assert_int_equal(fault.length, 0);
	assert_false(is_readable(&rig));
	assert_int_equal(kit_map(rig.ctx, rig.ioas, X, rig.memory, PAGE), 0);
	assert_int_equal(told(&rig, 5), -EINPROGRESS);
	assert_int_equal(answer(&rig, fault.cookie, 0), ANSWER);
	assert_int_equal(told(&rig, 5), NESTFD_PAGE_SUCCESS);
	assert_int_equal(told(&rig, 5), -ENOENT);
	assert_int_equal(dma(&rig, X + 8, &word, NESTFD_DMA_TRANSLATED), 0);
	assert_memory_equal(&word, "faulted!", 8);
	end(&rig);
}

static void each_permission_is_told_by_its_bit(void **state)
{
	struct iommu_hwpt_pgfault fault;
	uint32_t hwpt;
	struct rig rig;

	(void)state;
	begin(&rig, true, false);
	assert_int_equal(hwpt_with_queue(&rig, IOMMU_HWPT_ALLOC_PASID, &hwpt),
			 0);
	assert_int_equal(kit_attach(rig.dev, hwpt), 0);
	assert_int_equal(nestfd_attach(rig.dev, 3, &hwpt), 0);
	for (uint32_t perm = 1; perm < 16; perm++) {
		/* neither read nor write and last: a marker */
		if (!(perm & (READ | WRITE)))
			continue;
		assert_int_equal(ask(&rig, perm, X, 3, perm | LAST), 0);
		assert_int_equal(get(&rig, &fault, 1), RECORD);
		assert_int_equal(fault.flags,
				 IOMMU_PGFAULT_FLAGS_LAST_PAGE |
					 IOMMU_PGFAULT_FLAGS_PASID_VALID);
		assert_int_equal(fault.pasid, 3);
		assert_int_equal(fault.grpid, perm);
		assert_int_equal(fault.perm, perm);
		assert_int_equal(answer(&rig, fault.cookie, 0), ANSWER);
		assert_int_equal(told(&rig, perm), NESTFD_PAGE_SUCCESS);
	}
	/* these need a PASID */
	assert_int_equal(ask(&rig, 0, X, ALONE, READ | NESTFD_PAGE_EXEC),
			 -EINVAL);
	assert_int_equal(ask(&rig, 0, X, ALONE, READ | NESTFD_PAGE_PRIV),
			 -EINVAL);
	end(&rig);
}

/* Groups come when they are complete, whole, and one record after the other. */
static void a_group_is_one_question(void **state)
{
	struct iommu_hwpt_pgfault faults[6];
	struct rig rig;

	(void)state;
	begin(&rig, true, false);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(ask(&rig, 1, X + i * PAGE, ALONE, READ), 0);
		assert_int_equal(ask(&rig, 511, X + i * PAGE, ALONE, WRITE), 0);
	}
	assert_false(is_readable(&rig));
	assert_int_equal(ask(&rig, 511, X + 3 * PAGE, ALONE, WRITE | LAST), 0);
	assert_int_equal(get(&rig, faults, 3), -EINVAL); /* four do not fit */
	assert_int_equal(get(&rig, faults, 6), 4 * RECORD);
	for (uint64_t i = 0; i < 4; i++) {
		assert_int_equal(faults[i].grpid, 511);
		assert_true(faults[i].addr == X + i * PAGE);
		assert_int_equal(faults[i].flags,
				 i == 3 ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0);
		assert_int_equal(faults[i].cookie, faults[0].cookie);
	}
	assert_int_equal(told(&rig, 511), -EINPROGRESS);
	assert_int_equal(answer(&rig, faults[0].cookie, 1), ANSWER);
	assert_int_equal(told(&rig, 511), NESTFD_PAGE_INVALID);
	assert_int_equal(told(&rig, 1), -EINPROGRESS);
	assert_int_equal(ask(&rig, 1, X, ALONE, READ | LAST), 0);
	assert_int_equal(get(&rig, faults, 6), 4 * RECORD);
	assert_int_equal(faults[0].grpid, 1);
	end(&rig);
}

static void a_stop_marker_is_no_question(void **state)
{
	struct iommu_hwpt_pgfault fault;
	struct rig rig;

	(void)state;
	begin(&rig, true, false);
	assert_int_equal(ask(&rig, 9, 0, 3, LAST), 0);
	assert_int_equal(told(&rig, 9), -ENOENT);
	assert_false(is_readable(&rig));
	/* without a PASID it is a request like others (8) */
	assert_int_equal(ask(&rig, 9, 0, ALONE, LAST), 0);
	assert_int_equal(get(&rig, &fault, 1), RECORD);
	assert_int_equal(fault.perm, 0);
	end(&rig);
}

static void a_device_keeps_to_its_allocation(void **state)
{
	struct iommu_hwpt_pgfault faults[64];
	struct rig rig;

	(void)state;
	begin(&rig, true, false);
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(ask(&rig, i, X, ALONE, READ | LAST), 0);
	assert_int_equal(ask(&rig, 64, X, ALONE, READ | LAST), -EBUSY);
	assert_int_equal(get(&rig, faults, 64), 64 * RECORD);
	assert_int_equal(answer(&rig, faults[17].cookie, 0), ANSWER);
	/* a group that has ended is not asked again before its answer */
	assert_int_equal(ask(&rig, 16, X, ALONE, READ | LAST), -EBUSY);
	assert_int_equal(ask(&rig, 17, X, ALONE, READ | LAST), 0);
	assert_int_equal(ask(&rig, 64, X, ALONE, READ | LAST), -EBUSY);
	nestfd_device_reset(rig.dev);
	assert_int_equal(told(&rig, 16), -ENOENT);
	assert_int_equal(ask(&rig, 64, X, ALONE, READ | LAST), 0);
	end(&rig);
}

/* ---- clients that answer badly, or not at all ---- */

static void an_answer_counts_once_and_for_its_cookie(void **state)
{
	struct iommu_hwpt_pgfault fault;
	struct rig rig;

	(void)state;
	begin(&rig, true, false);
	assert_int_equal(ask(&rig, 2, X, ALONE, READ | LAST), 0);
	assert_int_equal(get(&rig, &fault, 1), RECORD);
	for (unsigned int bit = 0; bit < 32; bit++)
		assert_int_equal(answer(&rig, fault.cookie ^ 1u << bit, 0),
				 -EINVAL);
	for (unsigned int bit = 1; bit < 32; bit++)
		assert_int_equal(answer(&rig, fault.cookie, 1u << bit),
				 -EINVAL);
	assert_int_equal(told(&rig, 2), -EINPROGRESS);
	assert_int_equal(answer(&rig, fault.cookie, 1), ANSWER);
	assert_int_equal(told(&rig, 2), NESTFD_PAGE_INVALID);
	assert_int_equal(answer(&rig, fault.cookie, 0), -EINVAL);
	assert_int_equal(answer(&rig, fault.cookie, 1), -EINVAL);
	/* the same group, asked again, is another question */
	assert_int_equal(ask(&rig, 2, X, ALONE, READ | LAST), 0);
	assert_int_equal(answer(&rig, 0, 0), -EINVAL);
	assert_int_equal(told(&rig, 2), -EINPROGRESS);
	end(&rig);
}

static void answers_are_written_whole_and_up_to_the_first_bad_one(void **state)
{
	struct iommu_hwpt_page_response some[3];
	struct iommu_hwpt_pgfault faults[3];
	char *short_of;
	struct rig rig;

	(void)state;
	begin(&rig, true, false);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(ask(&rig, i, X, ALONE, READ | LAST), 0);
	assert_int_equal(get(&rig, faults, 3), 3 * RECORD);
	for (uint32_t i = 0; i < 3; i++)
		some[i] = (struct iommu_hwpt_page_response){
			.cookie = faults[i].cookie,
		};
	for (size_t len = 1; len < 3 * ANSWER; len++)
		if (len % ANSWER)
			assert_int_equal(
				nestfd_write(rig.ctx, rig.fd, some, len),
				-ESPIPE);
	assert_int_equal(nestfd_write(rig.ctx, rig.fd, some, 0), 0);
	assert_int_equal(nestfd_write(rig.ctx, rig.fd, NULL, ANSWER), -EFAULT);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(told(&rig, i), -EINPROGRESS);
	some[1].cookie = UINT32_MAX;
	assert_int_equal(nestfd_write(rig.ctx, rig.fd, some, 3 * ANSWER),
			 ANSWER);
	assert_int_equal(told(&rig, 0), NESTFD_PAGE_SUCCESS);
	assert_int_equal(told(&rig, 2), -EINPROGRESS);
	/* one that can be read, then none */
	short_of = kit_pages(2);
	kit_pages_free(short_of + PAGE, 1);
	memcpy(short_of + PAGE - ANSWER, &some[2], ANSWER);
	assert_int_equal(nestfd_write(rig.ctx, rig.fd, short_of + PAGE - ANSWER,
				      2 * ANSWER),
			 ANSWER);
	assert_int_equal(told(&rig, 2), NESTFD_PAGE_SUCCESS);
	assert_int_equal(told(&rig, 1), -EINPROGRESS);
	kit_pages_free(short_of, 1);
	end(&rig);
}

static void a_late_answer_counts_and_holds_nobody_up(void **state)
{
	struct iommu_hwpt_pgfault late, fault;
	struct rig rig;

	(void)state;
	begin(&rig, true, false);
	assert_int_equal(ask(&rig, 0, X, ALONE, READ | LAST), 0);
	assert_int_equal(get(&rig, &late, 1), RECORD);
	for (uint32_t i = 1; i < 200; i++) {
		assert_int_equal(ask(&rig, i, X, ALONE, READ | LAST), 0);
		assert_int_equal(get(&rig, &fault, 1), RECORD);
		assert_int_equal(answer(&rig, fault.cookie, 0), ANSWER);
		assert_int_equal(told(&rig, i), NESTFD_PAGE_SUCCESS);
	}
	assert_int_equal(told(&rig, 0), -EINPROGRESS);
	assert_int_equal(answer(&rig, late.cookie, 0), ANSWER);
	assert_int_equal(told(&rig, 0), NESTFD_PAGE_SUCCESS);
	end(&rig);
}

/* Three groups: one read, one not, one not complete; then @leave */
static void leave_in_the_middle(void (*leave)(struct rig *rig), int want)
{
	struct iommu_hwpt_pgfault fault;
	struct rig rig;

	begin(&rig, true, false);
	assert_int_equal(ask(&rig, 0, X, ALONE, READ | LAST), 0);
	assert_int_equal(get(&rig, &fault, 1), RECORD);
	assert_int_equal(ask(&rig, 1, X, ALONE, READ | LAST), 0);
	assert_int_equal(ask(&rig, 2, X, ALONE, READ), 0);
	leave(&rig);
	assert_int_equal(told(&rig, 0), want);
	assert_int_equal(told(&rig, 1), want);
	assert_int_equal(told(&rig, 2), -EINPROGRESS);
	if (rig.ctx && rig.fd >= 0) {
		assert_int_equal(answer(&rig, fault.cookie, 0), -EINVAL);
		assert_int_equal(get(&rig, &fault, 1), 0);
		assert_false(is_readable(&rig));
	}
	end(&rig);
}

static void detach(struct rig *rig)
{
	nestfd_detach(rig->dev, NESTFD_NO_PASID);
}

static void replace(struct rig *rig)
{
	assert_int_equal(kit_attach(rig->dev, rig->ioas), 0);
}

static void unbind(struct rig *rig)
{
	nestfd_unbind(rig->dev);
}

static void close_all(struct rig *rig)
{
	nestfd_close(rig->ctx);
	rig->ctx = NULL;
}

static void close_fd_and_detach(struct rig *rig)
{
	assert_int_equal(nestfd_close_fd(rig->ctx, rig->fd), 0);
	rig->fd = -1;
	assert_int_equal(told(rig, 0), -EINPROGRESS);
	assert_int_equal(ask(rig, 3, X, ALONE, READ | LAST), 0);
	nestfd_detach(rig->dev, NESTFD_NO_PASID);
	assert_int_equal(told(rig, 3), NESTFD_PAGE_INVALID);
}

static void who_leaves_is_answered_for(void **state)
{
	(void)state;
	leave_in_the_middle(detach, NESTFD_PAGE_INVALID);
	leave_in_the_middle(replace, NESTFD_PAGE_INVALID);
	leave_in_the_middle(unbind, NESTFD_PAGE_INVALID);
	leave_in_the_middle(close_all, NESTFD_PAGE_INVALID);
	leave_in_the_middle(close_fd_and_detach, NESTFD_PAGE_INVALID);
}

static void a_device_that_left_cannot_be_answered(void **state)
{
	struct iommu_hwpt_pgfault fault;
	struct rig rig;

	(void)state;
	begin(&rig, true, false);
	assert_int_equal(ask(&rig, 0, X, ALONE, READ | LAST), 0);
	assert_int_equal(ask(&rig, 1, X, ALONE, READ | LAST), 0);
	assert_int_equal(get(&rig, &fault, 1), RECORD);
	nestfd_device_remove(rig.dev);
	assert_int_equal(answer(&rig, fault.cookie, 0), -EINVAL);
	assert_false(is_readable(&rig));
	assert_int_equal(get(&rig, &fault, 1), 0);
	/* the queue serves nobody any more, and can go */
	assert_int_equal(kit_destroy(rig.ctx, rig.hwpt), 0);
	assert_int_equal(nestfd_close_fd(rig.ctx, rig.fd), 0);
	assert_int_equal(kit_destroy(rig.ctx, rig.queue), 0);
	end(&rig);
}

static void who_has_no_fault_queue_is_told_at_once(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig, true, false);
	assert_int_equal(kit_attach(rig.dev, rig.ioas), 0);
	assert_int_equal(ask(&rig, 0, X, ALONE, READ), 0);
	assert_int_equal(told(&rig, 0), -EINPROGRESS);
	assert_int_equal(ask(&rig, 0, X, ALONE, READ | LAST), 0);
	assert_int_equal(told(&rig, 0), NESTFD_PAGE_INVALID);
	nestfd_detach(rig.dev, NESTFD_NO_PASID);
	assert_int_equal(ask(&rig, 0, X, ALONE, READ | LAST), 0);
	assert_int_equal(told(&rig, 0), NESTFD_PAGE_INVALID);
	/* the driver knows no such stream */
	nestfd_unbind(rig.dev);
	assert_int_equal(ask(&rig, 0, X, ALONE, READ | LAST), 0);
	assert_int_equal(told(&rig, 0), NESTFD_PAGE_FAILURE);
	end(&rig);
}

/* 8.2: the effective value of PRIQEN is 0; each request is answered. */
static void an_iommu_without_pri_refuses_all(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig, false, false);
	assert_int_equal(ask(&rig, 0, X, ALONE, READ), 0);
	assert_int_equal(told(&rig, 0), NESTFD_PAGE_FAILURE);
	assert_int_equal(ask(&rig, 0, X, ALONE, READ | LAST), 0);
	assert_int_equal(told(&rig, 0), NESTFD_PAGE_FAILURE);
	assert_false(is_readable(&rig));
	end(&rig);
}

static void an_answer_has_the_pasid_of_its_group(void **state)
{
	struct nestfd_page_response response;
	struct iommu_hwpt_pgfault fault;
	uint32_t own;
	struct rig rig;

	(void)state;
	begin(&rig, true, false);
	assert_int_equal(hwpt_with_queue(&rig, IOMMU_HWPT_ALLOC_PASID, &own),
			 0);
	assert_int_equal(kit_attach(rig.dev, own), 0);
	assert_int_equal(nestfd_attach(rig.dev, 0x2a, &own), 0);
	assert_int_equal(ask(&rig, 0, X, 0x2a, READ | LAST), 0);
	assert_int_equal(get(&rig, &fault, 1), RECORD);
	assert_int_equal(answer(&rig, fault.cookie, 0), ANSWER);
	assert_int_equal(nestfd_page_wait(rig.dev, 0, 0, &response), 0);
	assert_int_equal(response.pasid, 0x2a);
	/* a PASID that is not attached has nobody to answer */
	assert_int_equal(ask(&rig, 1, X, 0x2b, READ | LAST), 0);
	assert_int_equal(told(&rig, 1), NESTFD_PAGE_INVALID);
	/* detaching the PASID answers what it asked, and nothing else */
	assert_int_equal(ask(&rig, 2, X, 0x2a, READ | LAST), 0);
	assert_int_equal(ask(&rig, 3, X, ALONE, READ | LAST), 0);
	nestfd_detach(rig.dev, 0x2a);
	assert_int_equal(told(&rig, 2), NESTFD_PAGE_INVALID);
	assert_int_equal(told(&rig, 3), -EINPROGRESS);
	end(&rig);
}

static void bad_requests_are_refused(void **state)
{
	struct nestfd_page_request request = { .size = sizeof(request) };
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = 8,
		.page_requests = 1,
	};
	struct nestfd_page_response response;
	struct nestfd_device *dev;
	struct rig rig;

	(void)state;
	begin(&rig, true, false);
	for (unsigned int bit = 5; bit < 32; bit++)
		assert_int_equal(ask(&rig, 0, X, ALONE, 1u << bit), -EINVAL);
	for (unsigned int bit = 9; bit < 32; bit++)
		assert_int_equal(ask(&rig, 1u << bit, X, ALONE, READ), -EINVAL);
	for (unsigned int bit = 20; bit < 32; bit++)
		assert_int_equal(ask(&rig, 0, X, 1u << bit, READ), -EINVAL);
	request.size--;
	assert_int_equal(nestfd_page_request(rig.dev, &request), -EINVAL);
	assert_int_equal(nestfd_page_wait(rig.dev, 512, 0, &response), -EINVAL);
	/* PRI is nothing without ATS */
	assert_int_equal(nestfd_device_add(rig.machine, &config, &dev),
			 -EINVAL);
	config.page_requests = 0;
	assert_int_equal(nestfd_device_add(rig.machine, &config, &dev), 0);
	request.size++;
	assert_int_equal(nestfd_page_request(dev, &request), -EOPNOTSUPP);
	assert_int_equal(nestfd_page_wait(dev, 0, 0, &response), -EOPNOTSUPP);
	end(&rig);
}

/* Whatever cannot be had, the device is told something, once. */
static void answered_past(enum nestfd_arch arch, const char *rule)
{
	struct nestfd_page_response response = { 0 };
	struct iommu_hwpt_pgfault fault;
	struct nestfd_fault inject;
	struct rig rig;

	begin_on(&rig, arch, true, false);
	assert_int_equal(nestfd_inject_parse(rule, &inject), 0);
	for (uint32_t group = 0; group < 3; group++) {
		assert_int_equal(ask(&rig, group, X, ALONE, READ | LAST), 0);
		assert_int_equal(get(&rig, &fault, 1), RECORD);
		assert_int_equal(nestfd_inject(rig.machine, &inject), 0);
		assert_int_equal(answer(&rig, fault.cookie, 0), ANSWER);
		assert_int_equal(
			nestfd_page_wait(rig.dev, group, 10000, &response), 0);
		assert_int_equal(response.code, NESTFD_PAGE_SUCCESS);
	}
	end(&rig);
}

/* Nobody waits for the host's queue, nor comes by. */
static void an_answer_passes_errors_of_the_hosts_queue(void **state)
{
	(void)state;
	for (enum nestfd_arch arch = NESTFD_ARCH_SMMUV3;
	     arch <= NESTFD_ARCH_VTD; arch++) {
		answered_past(arch, "abt:n=1");
		answered_past(arch, "abt:n=7");
		answered_past(arch, "ill:n=7");
	}
}

static void without_memory_a_device_is_told_so(void **state)
{
	struct iommu_hwpt_pgfault faults[2];
	unsigned int refused = 0;
	struct rig rig;

	(void)state;
	begin(&rig, true, false);
	for (uint64_t nth = 0; nth < 12; nth++) {
		uint32_t group = (uint32_t)nth;
		ssize_t n;
		int code;

		nestfd_fail_nth(nth);
		assert_int_equal(ask(&rig, group, X, ALONE, READ), 0);
		assert_int_equal(ask(&rig, group, X, ALONE, READ | LAST), 0);
		n = get(&rig, faults, 2);
		nestfd_fail_nth(0);
		if (n < 0) /* no room for a cookie: it can be read again */
			n = get(&rig, faults, 2);
		if (n > 0)
			assert_int_equal(answer(&rig, faults[0].cookie, 0),
					 ANSWER);
		code = told(&rig, group);
		assert_int_equal(code, n > 0 ? NESTFD_PAGE_SUCCESS
					     : NESTFD_PAGE_INVALID);
		refused += code == NESTFD_PAGE_INVALID;
		assert_false(is_readable(&rig));
	}
	assert_int_not_equal(refused, 0);
	end(&rig);
}

/* ---- stalls ---- */

static void a_stalled_access_goes_on_once_the_page_is_there(void **state)
{
	struct iommu_hwpt_pgfault fault;
	uint64_t word = 0;
	struct rig rig;

	(void)state;
	begin(&rig, false, true);
	memcpy(rig.memory + 8, "stalled!", 8);
	assert_int_equal(dma(&rig, X + 8, &word, 0), -EINPROGRESS);
	assert_int_equal(dma(&rig, X + 8, &word, 0), -EINPROGRESS);
	assert_int_equal(get(&rig, &fault, 1), RECORD);
	assert_int_equal(fault.flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	assert_int_equal(fault.perm, IOMMU_PGFAULT_PERM_READ);
	assert_true(fault.addr == X + 8);
	assert_false(is_readable(&rig));
	assert_int_equal(kit_map(rig.ctx, rig.ioas, X, rig.memory, PAGE), 0);
	assert_int_equal(answer(&rig, fault.cookie, 0), ANSWER);
	assert_int_equal(dma(&rig, X + 8, &word, 0), 0);
	assert_memory_equal(&word, "stalled!", 8);
	assert_int_equal(answer(&rig, fault.cookie, 0), -EINVAL);
	end(&rig);
}

static void a_stall_ends_with_an_abort(void **state)
{
	struct iommu_hwpt_pgfault fault;
	uint64_t word = 0;
	struct rig rig;

	(void)state;
	begin(&rig, false, true);
	assert_int_equal(dma(&rig, X, &word, NESTFD_DMA_WRITE), -EINPROGRESS);
	assert_int_equal(get(&rig, &fault, 1), RECORD);
	assert_int_equal(fault.perm, IOMMU_PGFAULT_PERM_WRITE);
	assert_int_equal(answer(&rig, fault.cookie, 1), ANSWER);
	assert_int_equal(dma(&rig, X, &word, NESTFD_DMA_WRITE), -EIO);
	/* another access, another stall; the client goes away */
	assert_int_equal(dma(&rig, X, &word, 0), -EINPROGRESS);
	nestfd_detach(rig.dev, NESTFD_NO_PASID);
	assert_int_equal(dma(&rig, X, &word, 0), -EIO);
	/* nobody takes faults */
	assert_int_equal(kit_attach(rig.dev, rig.ioas), 0);
	assert_int_equal(dma(&rig, X + PAGE, &word, 0), -EINPROGRESS);
	assert_int_equal(dma(&rig, X + PAGE, &word, 0), -EIO);
	end(&rig);
}

/* 256 tags; a device may have an eighth of them. */
static void one_device_does_not_take_all_tags(void **state)
{
	struct iommu_hwpt_pgfault faults[64];
	uint64_t word = 0;
	struct rig rig;

	(void)state;
	begin(&rig, false, true);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(dma(&rig, X + i * PAGE, &word, 0),
				 -EINPROGRESS);
	assert_int_equal(get(&rig, faults, 64), 32 * RECORD);
	assert_int_equal(dma(&rig, X + 31 * PAGE, &word, 0), -EINPROGRESS);
	assert_int_equal(dma(&rig, X + 32 * PAGE, &word, 0), -EIO);
	assert_int_equal(answer(&rig, faults[3].cookie, 1), ANSWER);
	assert_int_equal(dma(&rig, X + 99 * PAGE, &word, 0), -EINPROGRESS);
	assert_int_equal(get(&rig, faults, 64), RECORD);
	end(&rig);
}

/* Stall tags and groups of requests are numbered by themselves. */
static void stalls_and_requests_of_one_number_do_not_meet(void **state)
{
	struct iommu_hwpt_pgfault stall, page[2];
	uint64_t word = 0;
	struct rig rig;

	(void)state;
	begin(&rig, true, true);
	assert_int_equal(dma(&rig, X, &word, 0), -EINPROGRESS);
	assert_int_equal(get(&rig, &stall, 1), RECORD);
	/* the group's first request, then a stall with its number ... */
	assert_int_equal(ask(&rig, stall.grpid + 1, X, ALONE, READ), 0);
	assert_int_equal(dma(&rig, X + PAGE, &word, 0), -EINPROGRESS);
	assert_int_equal(get(&rig, page, 2), RECORD);
	assert_int_equal(page[0].grpid, stall.grpid + 1);
	assert_true(page[0].addr == X + PAGE);
	assert_int_equal(answer(&rig, page[0].cookie, 1), ANSWER);
	/* ... and the group is answered as a group */
	assert_int_equal(told(&rig, stall.grpid + 1), -EINPROGRESS);
	assert_int_equal(ask(&rig, stall.grpid + 1, X, ALONE, READ | LAST), 0);
	assert_int_equal(get(&rig, page, 2), 2 * RECORD);
	assert_int_equal(answer(&rig, page[0].cookie, 0), ANSWER);
	assert_int_equal(told(&rig, stall.grpid + 1), NESTFD_PAGE_SUCCESS);
	assert_int_equal(dma(&rig, X + PAGE, &word, 0), -EIO);
	assert_int_equal(dma(&rig, X, &word, 0), -EINPROGRESS);
	end(&rig);
}

/* ---- threads ---- */

#define THREADS 4
#define PAGES	200

struct load {
	struct rig rig;
	struct nestfd_device *devs[THREADS];
	int stop[2]; /* a pipe */
	char *memory;
	struct worker {
		struct load *load;
		unsigned int n;
		unsigned int ok;
	} workers[THREADS];
};

static uint64_t page_of(unsigned int thread, uint64_t i)
{
	return X + (thread * PAGES + i) * PAGE;
}

/* The client: maps what is asked for, but one page in eight does not exist */
static void serve(struct load *load)
{
	struct iommu_hwpt_pgfault faults[16];
	struct rig *rig = &load->rig;
	ssize_t n = get(rig, faults, 16);

	assert_true(n >= 0);
	for (size_t i = 0; i < (size_t)n / RECORD; i++) {
		uint64_t page = (faults[i].addr - X) / PAGE;
		bool there = page % 8 != 7;

		if (there)
			assert_int_equal(
				kit_map(rig->ctx, rig->ioas, faults[i].addr,
					load->memory + page * PAGE, PAGE),
				0);
		assert_int_equal(answer(rig, faults[i].cookie, !there), ANSWER);
	}
}

static void *client_run(void *arg)
{
	struct load *load = arg;
	struct pollfd fds[2] = {
		{ .fd = load->rig.fd, .events = POLLIN },
		{ .fd = load->stop[0], .events = POLLIN },
	};

	while (poll(fds, 2, -1) > 0 && !fds[1].revents)
		serve(load);
	return NULL;
}

static int fault_in(struct nestfd_device *dev, uint32_t group, uint64_t iova)
{
	struct nestfd_page_request request = {
		.size = sizeof(request),
		.iova = iova,
		.pasid = ALONE,
		.flags = READ | WRITE | LAST,
		.group = group,
	};
	struct nestfd_page_response response = { 0 };

	assert_int_equal(nestfd_page_request(dev, &request), 0);
	assert_int_equal(nestfd_page_wait(dev, group, 60000, &response), 0);
	return response.code;
}

static void *device_run(void *arg)
{
	struct worker *w = arg;
	struct nestfd_device *dev = w->load->devs[w->n];
	uint64_t word = w->n;

	for (uint64_t i = 0; i < PAGES; i++) {
		struct nestfd_dma d = {
			.size = sizeof(d),
			.iova = page_of(w->n, i),
			.pasid = ALONE,
			.flags = NESTFD_DMA_TRANSLATED | NESTFD_DMA_WRITE,
			.buf = &word,
			.length = 8,
		};
		bool there = (w->n * PAGES + i) % 8 != 7;

		assert_int_equal(nestfd_dma(dev, &d), -EIO);
		assert_int_equal(fault_in(dev, (uint32_t)i, d.iova), !there);
		assert_int_equal(nestfd_dma(dev, &d), there ? 0 : -EIO);
		w->ok++;
	}
	return NULL;
}

static void devices_fault_pages_in_at_once(void **state)
{
	pthread_t client, devices[THREADS];
	struct load load = { 0 };

	(void)state;
	begin(&load.rig, true, false);
	load.memory = kit_pages((size_t)THREADS * PAGES);
	assert_int_equal(pipe(load.stop), 0);
	for (unsigned int n = 0; n < THREADS; n++) {
		struct nestfd_device_config config = {
			.size = sizeof(config),
			.stream_id = 0x20 + n,
			.ats = true,
			.page_requests = 1,
		};
		uint32_t id;

		assert_int_equal(nestfd_device_add(load.rig.machine, &config,
						   &load.devs[n]),
				 0);
		assert_int_equal(nestfd_bind(load.rig.ctx, load.devs[n], &id),
				 0);
		assert_int_equal(kit_attach(load.devs[n], load.rig.hwpt), 0);
		load.workers[n] = (struct worker){ .load = &load, .n = n };
	}
	assert_int_equal(pthread_create(&client, NULL, client_run, &load), 0);
	for (unsigned int n = 0; n < THREADS; n++)
		assert_int_equal(pthread_create(&devices[n], NULL, device_run,
						&load.workers[n]),
				 0);
	for (unsigned int n = 0; n < THREADS; n++) {
		pthread_join(devices[n], NULL);
		assert_int_equal(load.workers[n].ok, PAGES);
	}
	assert_int_equal(write(load.stop[1], "", 1), 1);
	pthread_join(client, NULL);
	close(load.stop[0]);
	close(load.stop[1]);
	end(&load.rig);
	kit_pages_free(load.memory, (size_t)THREADS * PAGES);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_faults_a_page_in),
		cmocka_unit_test(each_permission_is_told_by_its_bit),
		cmocka_unit_test(a_group_is_one_question),
		cmocka_unit_test(a_stop_marker_is_no_question),
		cmocka_unit_test(a_device_keeps_to_its_allocation),
		cmocka_unit_test(an_answer_counts_once_and_for_its_cookie),
		cmocka_unit_test(
			answers_are_written_whole_and_up_to_the_first_bad_one),
		cmocka_unit_test(a_late_answer_counts_and_holds_nobody_up),
		cmocka_unit_test(who_leaves_is_answered_for),
		cmocka_unit_test(a_device_that_left_cannot_be_answered),
		cmocka_unit_test(who_has_no_fault_queue_is_told_at_once),
		cmocka_unit_test(an_iommu_without_pri_refuses_all),
		cmocka_unit_test(an_answer_has_the_pasid_of_its_group),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(an_answer_passes_errors_of_the_hosts_queue),
		cmocka_unit_test(without_memory_a_device_is_told_so),
		cmocka_unit_test(
			a_stalled_access_goes_on_once_the_page_is_there),
		cmocka_unit_test(a_stall_ends_with_an_abort),
		cmocka_unit_test(one_device_does_not_take_all_tags),
		cmocka_unit_test(stalls_and_requests_of_one_number_do_not_meet),
		cmocka_unit_test(devices_fault_pages_in_at_once),
	};

	return RUN(tests, argc, argv);
}
