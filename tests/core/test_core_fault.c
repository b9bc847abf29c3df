// SPDX-License-Identifier: MIT
/* Fault queues: page requests of devices and the client's answers. */
#include "fake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "mem/guard.h"

#define PASID_VALID 1u
#define LAST	    2u

struct faults {
	uint32_t id;
	int fd;
	uint32_t hwpt; /* dev[0] is attached to it */
};

static uint32_t fault_hwpt(struct world *w, uint32_t fault_id, uint32_t flags)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = IOMMU_HWPT_FAULT_ID_VALID | flags,
		.dev_id = w->dev_id[0],
		.pt_id = w->ioas,
		.fault_id = fault_id,
	};

	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), 0);
	return arg.out_hwpt_id;
}

static void begin(struct world *w, struct faults *f, uint32_t flags)
{
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };

	assert_rc(ioctl_on(w, IOMMU_FAULT_QUEUE_ALLOC, &arg), 0);
	f->id = arg.out_fault_id;
	f->fd = (int)arg.out_fault_fd;
	f->hwpt = fault_hwpt(w, f->id, flags);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &f->hwpt),
		  0);
}

static int request(struct world *w, uint32_t flags, uint32_t grpid,
		   uint64_t addr)
{
	struct core_page_request r = {
		.flags = flags,
		.grpid = grpid,
		.perm = 1,
		.addr = addr,
	};

	return core_page_request(&w->dev[0], &r);
}

static bool readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLIN);
}

static int answer(struct world *w, struct faults *f, uint32_t cookie,
		  uint32_t code)
{
	struct iommu_hwpt_page_response response = {
		.cookie = cookie,
		.code = code,
	};

	return (int)core_fd_write(w->ctx, f->fd, &response, sizeof(response));
}

static void a_request_is_read_and_answered(void **state)
{
	struct world *w = world_of(state);
	struct iommu_hwpt_pgfault got[2];
	struct faults f;

	begin(w, &f, 0);
	assert_false(readable(f.fd));
	assert_rc(request(w, LAST, 9, 0x5000), 0);
	assert_true(readable(f.fd));
	assert_int_equal(w->unit.responses, 0);
	assert_rc(core_fd_read(w->ctx, f.fd, got, sizeof(got) - 1), -ESPIPE);
	assert_rc(core_fd_read(w->ctx, f.fd, got, 0), -EINVAL);
	assert_rc(core_fd_read(w->ctx, f.fd, NULL, sizeof(got)), -EFAULT);
	assert_true(readable(f.fd));
	memset(got, 0xff, sizeof(got));
	assert_rc(core_fd_read(w->ctx, f.fd, got, sizeof(got)), sizeof(got[0]));
	assert_false(readable(f.fd));
	assert_int_equal(got[0].flags, LAST);
	assert_int_equal(got[0].dev_id, w->dev_id[0]);
	assert_int_equal(got[0].pasid, 0);
	assert_int_equal(got[0].grpid, 9);
	assert_int_equal(got[0].perm, 1);
	assert_int_equal(got[0].addr, 0x5000);
	assert_int_equal(got[0].length, 0);
	assert_int_equal(got[0].cookie, 1);
	assert_rc(core_fd_read(w->ctx, f.fd, got, sizeof(got)), 0);

	assert_rc(answer(w, &f, 2, 0), -EINVAL);
	for (uint32_t bit = 1; bit < 32; bit++)
		assert_rc(answer(w, &f, 1, 1U << bit), -EINVAL);
	assert_int_equal(w->unit.responses, 0);
	assert_rc(answer(w, &f, 1, 0), 8);
	assert_int_equal(w->unit.responses, 1);
	assert_int_equal(w->unit.response.grpid, 9);
	assert_int_equal(w->unit.response_code, 0);
	assert_ptr_equal(w->unit.response_dev, &w->dev[0]);
	assert_rc(answer(w, &f, 1, 0), -EINVAL);
}

static void requests_of_a_group_go_together(void **state)
{
	struct world *w = world_of(state);
	struct iommu_hwpt_pgfault got[5];
	struct faults f;

	begin(w, &f, 0);
	assert_rc(request(w, 0, 1, 0x1000), 0);
	assert_rc(request(w, 0, 2, 0x2000), 0);
	assert_rc(request(w, 0, 1, 0x3000), 0);
	assert_false(readable(f.fd));
	assert_rc(request(w, LAST, 1, 0x4000), 0);
	assert_rc(request(w, LAST, 3, 0x5000), 0);
	assert_rc(core_fd_read(w->ctx, f.fd, got, 2 * sizeof(got[0])), -EINVAL);
	assert_rc(core_fd_read(w->ctx, f.fd, got, 3 * sizeof(got[0])),
		  3 * sizeof(got[0]));
	assert_int_equal(got[0].addr, 0x1000);
	assert_int_equal(got[1].addr, 0x3000);
	assert_int_equal(got[2].addr, 0x4000);
	assert_int_equal(got[0].cookie, got[2].cookie);
	assert_true(readable(f.fd));
	assert_rc(core_fd_read(w->ctx, f.fd, got, sizeof(got)), sizeof(got[0]));
	assert_int_equal(got[0].addr, 0x5000);
	assert_int_equal(got[0].cookie, 2);
	assert_rc(answer(w, &f, 1, 1), 8);
	assert_int_equal(w->unit.responses, 1);
	assert_int_equal(w->unit.response.addr, 0x4000);
	assert_int_equal(w->unit.response_code, 1);
}

static void answers_may_come_in_one_write(void **state)
{
	struct world *w = world_of(state);
	struct iommu_hwpt_page_response r[3] = { { .cookie = 2 },
						 { .cookie = 1 },
						 { .cookie = 7 } };
	struct iommu_hwpt_pgfault got[4];
	struct faults f;

	begin(w, &f, 0);
	assert_rc(request(w, LAST, 1, 0), 0);
	assert_rc(request(w, LAST, 2, 0), 0);
	assert_rc(core_fd_read(w->ctx, f.fd, got, sizeof(got)),
		  2 * sizeof(got[0]));
	assert_rc(core_fd_write(w->ctx, f.fd, r, 23), -ESPIPE);
	assert_rc(core_fd_write(w->ctx, f.fd, NULL, 8), -EFAULT);
	/* as far as it goes */
	assert_rc(core_fd_write(w->ctx, f.fd, r, sizeof(r)), 16);
	assert_int_equal(w->unit.responses, 2);
}

static void detaching_answers_what_is_outstanding(void **state)
{
	struct world *w = world_of(state);
	struct iommu_hwpt_pgfault got;
	struct faults f;
	uint32_t other;

	begin(w, &f, 0);
	assert_rc(request(w, LAST, 1, 0), 0);
	assert_rc(core_fd_read(w->ctx, f.fd, &got, sizeof(got)), sizeof(got));
	assert_rc(request(w, LAST, 2, 0), 0);
	other = fault_hwpt(w, f.id, 0);
	assert_rc(core_replace(w->ctx, w->dev_id[0], CORE_NO_PASID, &other), 0);
	assert_int_equal(w->unit.responses, 2);
	assert_int_equal(w->unit.response_code, 1);
	assert_false(readable(f.fd));
	assert_rc(answer(w, &f, 1, 0), -EINVAL);
	assert_rc(request(w, LAST, 3, 0), 0);
	assert_rc(core_detach(w->ctx, w->dev_id[0], CORE_NO_PASID), 0);
	assert_int_equal(w->unit.responses, 3);
	assert_rc(request(w, LAST, 4, 0), -ENODEV);
	assert_int_equal(w->unit.responses, 4);
	assert_int_equal(w->unit.response_code, 1);
	assert_rc(request(w, 0, 4, 0), -ENODEV); /* not a last one: no answer */
	assert_int_equal(w->unit.responses, 4);
	assert_rc(try_destroy(w, f.id), -EBUSY);
	assert_rc(try_destroy(w, other), 0);
	assert_rc(try_destroy(w, f.hwpt), 0);
	assert_rc(core_fd_close(w->ctx, f.fd), 0);
	assert_rc(try_destroy(w, f.id), 0);
}

static void who_has_no_fault_queue_is_answered_at_once(void **state)
{
	struct world *w = world_of(state);
	struct core_page_request r = { .flags = LAST };
	uint32_t pt = w->parent;

	assert_rc(core_page_request(&w->dev[2], &r), -ENODEV); /* unbound */
	assert_ptr_equal(w->unit.response_dev, &w->dev[2]);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	assert_rc(request(w, 0, 1, 0), -ENODEV);
	assert_rc(request(w, LAST, 1, 0), -ENODEV);
	assert_int_equal(w->unit.responses, 2);
	assert_int_equal(w->unit.response_code, 1);
}

static void a_pasid_has_its_own_queue(void **state)
{
	struct world *w = world_of(state);
	struct core_page_request r = {
		.flags = LAST | PASID_VALID,
		.pasid = 3,
	};
	struct iommu_hwpt_pgfault got;
	struct faults f;

	w->dev[0].pasid_bits = 4;
	begin(w, &f, IOMMU_HWPT_ALLOC_PASID);
	/* neither attached by itself nor in a guest's table */
	assert_rc(core_page_request(&w->dev[0], &r), -ENODEV);
	assert_rc(core_attach(w->ctx, w->dev_id[0], 3, &f.hwpt), 0);
	assert_rc(core_page_request(&w->dev[0], &r), 0);
	assert_rc(core_fd_read(w->ctx, f.fd, &got, sizeof(got)), sizeof(got));
	assert_int_equal(got.flags, 3);
	assert_int_equal(got.pasid, 3);
	assert_rc(core_detach(w->ctx, w->dev_id[0], 3), 0);
	assert_int_equal(w->unit.response_code, 1);
	assert_int_equal(w->unit.responses, 2);
}

static void a_guests_table_takes_any_pasid(void **state)
{
	struct world *w = world_of(state);
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	uint64_t data[2] = { 1, 2 };
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = w->dev_id[0],
		.pt_id = w->viommu,
		.data_type = FAKE_DATA_TYPE,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
	};
	struct core_page_request r = {
		.flags = LAST | PASID_VALID,
		.pasid = 77,
	};

	assert_rc(ioctl_on(w, IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
	arg.fault_id = fault.out_fault_id;
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), 0);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID,
			      &arg.out_hwpt_id),
		  0);
	assert_true(core_attached(w->ctx, w->dev_id[0], 0)->page_requests);
	assert_rc(core_page_request(&w->dev[0], &r), 0);
	assert_true(readable((int)fault.out_fault_fd));
}

static void requests_without_memory_are_answered(void **state)
{
	struct world *w = world_of(state);
	struct alloc_plan plan = { .fail_at = 1 };
	struct iommu_hwpt_pgfault got;
	struct faults f;

	begin(w, &f, 0);
	alloc_arm(&plan);
	assert_rc(request(w, 0, 1, 0), -ENOMEM);
	alloc_arm(NULL);
	assert_int_equal(w->unit.responses, 0);
	assert_rc(request(w, 0, 1, 0), 0);
	plan.passed = 0;
	alloc_arm(&plan);
	assert_rc(request(w, LAST, 1, 0), -ENOMEM);
	alloc_arm(NULL);
	assert_int_equal(w->unit.responses, 1);
	assert_rc(request(w, LAST, 1, 0), 0);
	/* the first of its group is gone with it */
	assert_rc(core_fd_read(w->ctx, f.fd, &got, sizeof(got)), sizeof(got));
	assert_rc(request(w, LAST, 2, 0), 0);
	assert_rc(core_fd_read(w->ctx, f.fd, &got, sizeof(got)), sizeof(got));
}

/* A group that has lost a request is no success, whatever it is told. */
static void a_group_is_whole_or_answered(void **state)
{
	struct world *w = world_of(state);
	struct alloc_plan plan = { .fail_at = 1 };
	struct iommu_hwpt_pgfault got[2];
	struct faults f;

	begin(w, &f, 0);
	assert_rc(request(w, 0, 1, 0), 0);
	alloc_arm(&plan);
	assert_rc(request(w, 0, 1, 0x1000), -ENOMEM);
	alloc_arm(NULL);
	/* another group is */
	assert_rc(request(w, LAST, 2, 0), 0);
	assert_int_equal(w->unit.responses, 0);
	assert_rc(request(w, 0, 1, 0x2000), 0);
	assert_rc(request(w, LAST, 1, 0x3000), -ENOMEM);
	assert_int_equal(w->unit.responses, 1);
	assert_rc(core_fd_read(w->ctx, f.fd, got, sizeof(got)), sizeof(got[0]));
	assert_int_equal(got[0].grpid, 2);
	/* asked again, it is another group */
	assert_rc(request(w, 0, 1, 0), 0);
	assert_rc(request(w, LAST, 1, 0x1000), 0);
	assert_rc(core_fd_read(w->ctx, f.fd, got, sizeof(got)), sizeof(got));
	assert_int_equal(got[1].grpid, 1);
	assert_int_equal(w->unit.responses, 1);
}

/* Not even when the group that has its place is another one's. */
static void an_old_cookie_answers_nobody(void **state)
{
	struct world *w = world_of(state);
	struct iommu_hwpt_pgfault got[2];
	struct faults f;

	begin(w, &f, 0);
	assert_rc(request(w, LAST, 1, 0), 0);
	assert_rc(core_fd_read(w->ctx, f.fd, got, sizeof(got)), sizeof(got[0]));
	assert_int_equal(answer(w, &f, got[0].cookie, 0), 8);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_rc(request(w, LAST, 1, 0), 0);
		assert_rc(core_fd_read(w->ctx, f.fd, &got[1], sizeof(got[1])),
			  sizeof(got[1]));
		assert_int_not_equal(got[1].cookie, got[0].cookie);
		assert_int_equal(answer(w, &f, got[0].cookie, 0), -EINVAL);
		assert_int_equal(w->unit.responses, i + 1);
		assert_int_equal(answer(w, &f, got[1].cookie, 0), 8);
		got[0] = got[1];
	}
}

static void a_device_cannot_fill_our_memory(void **state)
{
	struct world *w = world_of(state);
	struct faults f;

	begin(w, &f, 0);
	for (int i = 0; i < 4096; i++)
		assert_rc(request(w, 0, 1, 0), 0);
	assert_rc(request(w, 0, 1, 0), -ENOMEM);
	for (int i = 0; i < 65536; i++)
		assert_rc(request(w, LAST, 2, 0), 0);
	assert_rc(request(w, LAST, 2, 0), -ENOMEM);
	assert_int_equal(w->unit.responses, 1);
	/* 4096 of 4097 are no group */
	assert_rc(request(w, LAST, 1, 0), -ENOMEM);
	assert_int_equal(w->unit.responses, 2);
	assert_rc(core_unbind(w->ctx, w->dev_id[0]), 0);
	assert_int_equal(w->unit.responses, 65538);
}

/* Requests, answers and detaching at once: each group is answered once */
struct storm {
	struct world *w;
	struct faults *f;
	_Atomic bool done;
	unsigned int sent;
};

static void *send_requests(void *arg)
{
	struct storm *storm = arg;

	guard_init();
	for (uint32_t i = 0; i < 20000; i++) {
		request(storm->w, 0, i, 0x1000);
		request(storm->w, LAST, i, 0x2000);
		storm->sent++;
	}
	storm->done = true;
	return NULL;
}

static void *read_and_answer(void *arg)
{
	struct storm *storm = arg;
	struct iommu_hwpt_pgfault got[16];

	while (!storm->done) {
		ssize_t n = core_fd_read(storm->w->ctx, storm->f->fd, got,
					 sizeof(got));

		for (ssize_t i = 0; i < n / (ssize_t)sizeof(got[0]); i++) {
			if (got[i].flags & LAST)
				answer(storm->w, storm->f, got[i].cookie, 0);
		}
	}
	return NULL;
}

static void *attach_and_detach(void *arg)
{
	struct storm *storm = arg;
	struct world *w = storm->w;

	while (!storm->done) {
		uint32_t pt = storm->f->hwpt;

		core_detach(w->ctx, w->dev_id[0], CORE_NO_PASID);
		core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt);
	}
	return NULL;
}

static void each_group_is_answered_once_whatever_happens(void **state)
{
	static void *(*const run[])(void *arg) = {
		send_requests,
		read_and_answer,
		attach_and_detach,
	};
	struct world *w = world_of(state);
	struct storm storm = { .w = w };
	struct faults f;
	pthread_t threads[3];

	begin(w, &f, 0);
	storm.f = &f;
	for (int i = 0; i < 3; i++)
		assert_rc(pthread_create(&threads[i], NULL, run[i], &storm), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	core_detach(w->ctx, w->dev_id[0], CORE_NO_PASID);
	assert_int_equal(storm.sent, 20000);
	assert_int_equal(w->unit.responses, 20000);
}

static unsigned int closed;

static void count_close(void *data)
{
	*(unsigned int *)data += 1;
}

static void the_machine_may_have_fds_of_its_own(void **state)
{
	struct world *w = world_of(state);
	struct core_private_fd *private;
	struct alloc_plan plan = { .fail_at = 1 };
	struct faults f;
	void *data;
	int fd, other;

	closed = 0;
	begin(w, &f, 0);
	for (; plan.fail_at <= 2; plan.fail_at++) {
		plan.passed = 0;
		alloc_arm(&plan);
		assert_rc(
			core_private_fd_new(w->ctx, count_close, &closed, &fd),
			-ENOMEM);
		alloc_arm(NULL);
	}
	assert_rc(core_private_fd_new(w->ctx, count_close, &closed, &fd), 0);
	assert_rc(core_private_fd_new(w->ctx, count_close, &closed, &other), 0);
	assert_true(core_fd_is(w->ctx, fd));
	assert_false(core_fd_is(w->ctx, -1));
	assert_rc(core_private_fd_get(w->ctx, fd, &private, &data), 0);
	assert_ptr_equal(data, &closed);
	core_private_fd_put(private);
	assert_rc(core_private_fd_get(w->ctx, f.fd, &private, &data), -EBADF);
	assert_rc(core_fd_read(w->ctx, fd, &data, 8), -EINVAL);
	assert_rc(core_fd_write(w->ctx, fd, &data, 8), -EINVAL);
	assert_rc(core_fd_close(w->ctx, fd), 0);
	assert_int_equal(closed, 1);
	assert_false(core_fd_is(w->ctx, fd));
	assert_rc(core_private_fd_get(w->ctx, fd, &private, &data), -EBADF);
	core_close(w->ctx);
	w->ctx = NULL;
	assert_int_equal(closed, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_NESTED(a_request_is_read_and_answered),
		CASE_NESTED(requests_of_a_group_go_together),
		CASE_NESTED(answers_may_come_in_one_write),
		CASE_NESTED(detaching_answers_what_is_outstanding),
		CASE_NESTED(who_has_no_fault_queue_is_answered_at_once),
		CASE_NESTED(a_pasid_has_its_own_queue),
		CASE_NESTED(a_guests_table_takes_any_pasid),
		CASE_NESTED(requests_without_memory_are_answered),
		CASE_NESTED(a_group_is_whole_or_answered),
		CASE_NESTED(an_old_cookie_answers_nobody),
		CASE_NESTED(a_device_cannot_fill_our_memory),
		CASE_NESTED(each_group_is_answered_once_whatever_happens),
		CASE_NESTED(the_machine_may_have_fds_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
