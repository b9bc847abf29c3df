// SPDX-License-Identifier: MIT
/* Page requests of the mock's devices: to the fault queue, and the answers. */
#include "kit.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define OP_IOPF	    15
#define PASID_VALID 1u
#define LAST_PAGE   2u
#define RECORD	    40u /* bytes: struct iommu_hwpt_pgfault */
#define RESPONSE    8u

struct queue {
	uint32_t id;
	int fd;
	uint32_t hwpt; /* whose faults it gets */
};

static void queue_begin(struct kit *kit, struct queue *q)
{
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };

	assert_int_equal(nestfd_ioctl(kit->ctx, IOMMU_FAULT_QUEUE_ALLOC, &arg),
			 0);
	q->id = arg.out_fault_id;
	q->fd = (int)arg.out_fault_fd;
}

static int fault_hwpt(struct kit *kit, uint32_t flags, uint32_t fault,
		      uint32_t *hwpt)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags | IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = kit->dev,
		.pt_id = kit->ioas,
		.fault_id = fault,
	};
	int rc = nestfd_ioctl(kit->ctx, IOMMU_HWPT_ALLOC, &arg);

	if (!rc)
		*hwpt = arg.out_hwpt_id;
	return rc;
}

/* A queue, and the device on a HWPT that has it */
static void attach_queue(struct kit *kit, struct queue *q)
{
	queue_begin(kit, q);
	assert_int_equal(fault_hwpt(kit, 0, q->id, &q->hwpt), 0);
	assert_int_equal(kit_replace(kit, q->hwpt), 0);
}

static int request(struct kit *kit, uint32_t pasid, uint32_t grpid,
		   uint64_t addr)
{
	struct cmd cmd = { .op = OP_IOPF, .w = { kit->dev, pasid, grpid, 5 } };

	cmd.d[2] = addr;
	return test_cmd(kit, &cmd);
}

static ssize_t get(struct kit *kit, struct queue *q,
		   struct iommu_hwpt_pgfault *faults, size_t n)
{
	return nestfd_read(kit->ctx, q->fd, faults, n * RECORD);
}

static ssize_t answer(struct kit *kit, struct queue *q, uint32_t cookie,
		      uint32_t code)
{
	struct iommu_hwpt_page_response response = { cookie, code };

	return nestfd_write(kit->ctx, q->fd, &response, sizeof(response));
}

static bool is_readable(const struct queue *q)
{
	struct pollfd fd = { .fd = q->fd, .events = POLLIN };

	return poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN);
}

static void a_request_is_read_and_answered(void **state)
{
	struct kit *kit = *state;
	struct iommu_hwpt_pgfault fault;
	struct queue q;

	attach_queue(kit, &q);
	assert_false(is_readable(&q));
	assert_int_equal(get(kit, &q, &fault, 1), 0);
	assert_int_equal(request(kit, 0, 77, 0x123456000), 0);
	assert_true(is_readable(&q));
	memset(&fault, 0xff, sizeof(fault));
	assert_int_equal(get(kit, &q, &fault, 1), RECORD);
	assert_int_equal(fault.flags, LAST_PAGE);
	assert_int_equal(fault.dev_id, kit->dev);
	assert_int_equal(fault.pasid, 0);
	assert_int_equal(fault.grpid, 77);
	assert_int_equal(fault.perm, 5);
	assert_true(fault.addr == 0x123456000);
	assert_int_equal(fault.length, 0);
	assert_int_not_equal(fault.cookie, 0);
	assert_false(is_readable(&q));
	assert_int_equal(answer(kit, &q, fault.cookie, 0), RESPONSE);
}

static void an_answer_counts_once_and_for_its_cookie_only(void **state)
{
	struct kit *kit = *state;
	struct iommu_hwpt_pgfault fault;
	struct queue q;

	attach_queue(kit, &q);
	assert_int_equal(request(kit, 0, 1, 0), 0);
	assert_int_equal(get(kit, &q, &fault, 1), RECORD);
	assert_int_equal(answer(kit, &q, fault.cookie + 1, 0), -EINVAL);
	for (unsigned int bit = 1; bit < 32; bit++)
		assert_int_equal(answer(kit, &q, fault.cookie, 1u << bit),
				 -EINVAL);
	assert_int_equal(answer(kit, &q, fault.cookie, 1), RESPONSE);
	assert_int_equal(answer(kit, &q, fault.cookie, 1), -EINVAL);
}

static void what_is_not_read_has_no_cookie_to_answer(void **state)
{
	struct kit *kit = *state;
	struct iommu_hwpt_pgfault fault;
	struct queue q;

	attach_queue(kit, &q);
	assert_int_equal(request(kit, 0, 1, 0), 0);
	for (uint32_t cookie = 0; cookie < 3; cookie++)
		assert_int_equal(answer(kit, &q, cookie, 0), -EINVAL);
	assert_int_equal(get(kit, &q, &fault, 1), RECORD);
}

static void reads_and_writes_are_whole_records(void **state)
{
	struct kit *kit = *state;
	char buf[2 * RECORD] = "";
	struct queue q;

	attach_queue(kit, &q);
	assert_int_equal(request(kit, 0, 1, 0), 0);
	for (size_t len = 0; len < 2 * RECORD; len++) {
		if (len % RECORD)
			assert_int_equal(nestfd_read(kit->ctx, q.fd, buf, len),
					 -ESPIPE);
		if (len % RESPONSE)
			assert_int_equal(nestfd_write(kit->ctx, q.fd, buf, len),
					 -ESPIPE);
	}
	assert_int_equal(nestfd_write(kit->ctx, q.fd, buf, 0), 0);
	/* room for no record at all */
	assert_int_equal(nestfd_read(kit->ctx, q.fd, buf, 0), -EINVAL);
	assert_int_equal(nestfd_read(kit->ctx, q.fd, buf, RECORD), RECORD);
}

static void several_are_read_and_answered_at_once(void **state)
{
	struct kit *kit = *state;
	struct iommu_hwpt_page_response all[4] = { { 0, 0 } };
	struct iommu_hwpt_pgfault faults[3];
	struct queue q;

	attach_queue(kit, &q);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(request(kit, 0, i, i * PAGE), 0);
	assert_int_equal(get(kit, &q, faults, 3), 3 * RECORD);
	assert_true(is_readable(&q));
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(faults[i].grpid, i);
		all[i].cookie = faults[i].cookie;
	}
	all[3].cookie = faults[2].cookie; /* the second time in one write */
	assert_int_equal(nestfd_write(kit->ctx, q.fd, all, 4 * RESPONSE),
			 3 * RESPONSE);
	assert_int_equal(get(kit, &q, faults, 3), RECORD);
	assert_int_equal(faults[0].grpid, 3);
}

static void bad_buffers_lose_nothing(void **state)
{
	struct kit *kit = *state;
	struct iommu_hwpt_pgfault fault;
	struct queue q;
	void *bad = (void *)(uintptr_t)PAGE;

	kit_expect_faults();
	attach_queue(kit, &q);
	assert_int_equal(request(kit, 0, 9, 0), 0);
	assert_int_equal(nestfd_read(kit->ctx, q.fd, bad, RECORD), -EFAULT);
	assert_int_equal(nestfd_write(kit->ctx, q.fd, bad, RESPONSE), -EFAULT);
	assert_true(is_readable(&q));
	assert_int_equal(get(kit, &q, &fault, 1), RECORD);
	assert_int_equal(fault.grpid, 9);
}

static void a_request_nobody_takes_is_no_error(void **state)
{
	struct kit *kit = *state;
	struct iommu_hwpt_pgfault fault;
	struct queue q;

	/* no fault queue behind the HWPT */
	assert_int_equal(request(kit, 0, 1, 0), 0);
	attach_queue(kit, &q);
	assert_int_equal(get(kit, &q, &fault, 1), 0);
	/* a PASID that is not attached */
	assert_int_equal(request(kit, 5, 1, 0), 0);
	assert_int_equal(get(kit, &q, &fault, 1), 0);
	kit->dev = 999;
	assert_int_equal(request(kit, 0, 1, 0), -ENOENT);
	kit->dev = kit->object;
	assert_int_equal(request(kit, 0, 1, 0), -ENOENT);
}

static void each_pasid_has_the_queue_of_its_hwpt(void **state)
{
	struct kit *kit = *state;
	struct iommu_hwpt_pgfault fault;
	uint32_t plain, hwpt, object;
	struct queue q = { 0 };

	assert_int_equal(
		kit_hwpt(kit, kit->ioas, IOMMU_HWPT_ALLOC_PASID, &plain), 0);
	assert_int_equal(test_device(kit, plain, 4, &object, &hwpt, &kit->dev),
			 0);
	queue_begin(kit, &q);
	assert_int_equal(fault_hwpt(kit, IOMMU_HWPT_ALLOC_PASID, q.id, &q.hwpt),
			 0);
	assert_int_equal(test_op(kit, 18, object, 300, q.hwpt), 0);
	assert_int_equal(request(kit, 0, 1, 0), 0);
	assert_int_equal(request(kit, 301, 2, 0), 0);
	assert_int_equal(request(kit, 300, 3, 0x7000), 0);
	assert_int_equal(get(kit, &q, &fault, 1), RECORD);
	assert_int_equal(fault.flags, LAST_PAGE | PASID_VALID);
	assert_int_equal(fault.pasid, 300);
	assert_int_equal(fault.grpid, 3);
	assert_int_equal(get(kit, &q, &fault, 1), 0);
	/* detached while it waits */
	assert_int_equal(request(kit, 300, 4, 0), 0);
	assert_int_equal(test_op(kit, 20, object, 300, 0), 0);
	assert_false(is_readable(&q));
	assert_int_equal(get(kit, &q, &fault, 1), 0);
	assert_int_equal(answer(kit, &q, fault.cookie, 0), -EINVAL);
}

static void a_device_that_leaves_takes_its_requests_along(void **state)
{
	struct kit *kit = *state;
	struct iommu_hwpt_pgfault fault;
	struct queue q;

	attach_queue(kit, &q);
	assert_int_equal(request(kit, 0, 1, 0), 0);
	assert_int_equal(get(kit, &q, &fault, 1), RECORD);
	assert_int_equal(request(kit, 0, 2, 0), 0);
	assert_int_equal(kit_destroy(kit, kit->object), 0);
	assert_false(is_readable(&q));
	assert_int_equal(answer(kit, &q, fault.cookie, 0), -EINVAL);
	assert_int_equal(get(kit, &q, &fault, 1), 0);
}

static void a_device_that_moves_does_too(void **state)
{
	struct kit *kit = *state;
	struct iommu_hwpt_pgfault fault;
	struct queue q, other;

	attach_queue(kit, &q);
	assert_int_equal(request(kit, 0, 1, 0), 0);
	assert_int_equal(get(kit, &q, &fault, 1), RECORD);
	assert_int_equal(request(kit, 0, 2, 0), 0);
	attach_queue(kit, &other);
	assert_int_equal(answer(kit, &q, fault.cookie, 0), -EINVAL);
	assert_int_equal(get(kit, &q, &fault, 1), 0);
	assert_int_equal(request(kit, 0, 3, 0), 0);
	assert_int_equal(get(kit, &q, &fault, 1), 0);
	assert_int_equal(get(kit, &other, &fault, 1), RECORD);
	/* a cookie is one of its own queue */
	assert_int_equal(answer(kit, &q, fault.cookie, 0), -EINVAL);
	assert_int_equal(answer(kit, &other, fault.cookie, 0), RESPONSE);
}

static void a_queue_stays_while_it_is_used(void **state)
{
	struct kit *kit = *state;
	struct queue q;

	attach_queue(kit, &q);
	assert_int_equal(kit_destroy(kit, q.id), -EBUSY);
	assert_int_equal(nestfd_close_fd(kit->ctx, q.fd), 0);
	assert_int_equal(kit_destroy(kit, q.id), -EBUSY); /* its HWPT */
	/* nobody can ever answer */
	assert_int_equal(request(kit, 0, 1, 0), 0);
	assert_int_equal(kit_replace(kit, kit->ioas), 0);
	assert_int_equal(kit_destroy(kit, q.hwpt), 0);
	assert_int_equal(kit_destroy(kit, q.id), 0);
}

static void only_a_fault_queue_is_one(void **state)
{
	struct kit *kit = *state;
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };
	uint32_t hwpt;

	for (unsigned int bit = 0; bit < 32; bit++) {
		arg.flags = 1u << bit;
		assert_int_equal(
			nestfd_ioctl(kit->ctx, IOMMU_FAULT_QUEUE_ALLOC, &arg),
			-EOPNOTSUPP);
	}
	assert_int_equal(fault_hwpt(kit, 0, 999, &hwpt), -ENOENT);
	assert_int_equal(fault_hwpt(kit, 0, kit->ioas, &hwpt), -ENOENT);
}

#define with_dev(test) \
	cmocka_unit_test_setup_teardown(test, kit_setup_dev, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_dev(a_request_is_read_and_answered),
		with_dev(an_answer_counts_once_and_for_its_cookie_only),
		with_dev(what_is_not_read_has_no_cookie_to_answer),
		with_dev(reads_and_writes_are_whole_records),
		with_dev(several_are_read_and_answered_at_once),
		with_dev(bad_buffers_lose_nothing),
		with_dev(a_request_nobody_takes_is_no_error),
		with_dev(each_pasid_has_the_queue_of_its_hwpt),
		with_dev(a_device_that_leaves_takes_its_requests_along),
		with_dev(a_device_that_moves_does_too),
		with_dev(a_queue_stays_while_it_is_used),
		with_dev(only_a_fault_queue_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
