// SPDX-License-Identifier: MIT
/* Virtual IOMMUs, the devices behind them, and what they tell. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "core/internal.h"
#include "fake.h"

/* The driver's side of w->viommu */
static struct core_viommu *drv_of(struct world *w, uint32_t id)
{
	struct core_viommu_object *viommu;
	struct core_viommu *drv;

	assert_rc(core_get(w->ctx, id, CORE_VIOMMU, &viommu), 0);
	drv = viommu->drv;
	core_put(&viommu->obj);
	return drv;
}

static void event(struct world *w, uint32_t type, uint64_t word)
{
	uint64_t record[4] = { word, 1, 2, 3 };

	core_viommu_event(drv_of(w, w->viommu), type, record, sizeof(record));
}

struct read_event {
	uint32_t flags;
	uint32_t sequence;
	uint64_t record[4];
};

static bool readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLIN);
}

/* ---- VIOMMU_ALLOC ---- */

static int viommu_alloc(struct world *w, struct iommu_viommu_alloc arg)
{
	return ioctl_on(w, IOMMU_VIOMMU_ALLOC, &arg);
}

static void viommu_alloc_answers_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	const struct iommu_viommu_alloc good = {
		.size = sizeof(good),
		.type = FAKE_VIOMMU_TYPE,
		.dev_id = w->dev_id[0],
		.hwpt_id = w->parent,
	};
	uint32_t plain = do_hwpt(w, w->dev_id[0], w->ioas, 0);
	struct iommu_viommu_alloc arg;
	size_t before = core_objects(w->ctx);

	for (int bit = 0; bit < 32; bit++) { /* B14 */
		arg = good;
		arg.flags = 1U << bit;
		assert_rc(viommu_alloc(w, arg), -EOPNOTSUPP);
	}
	arg = good;
	arg.type = 0; /* B11 */
	assert_rc(viommu_alloc(w, arg), -EOPNOTSUPP);
	arg.type = 2; /* B12 */
	assert_rc(viommu_alloc(w, arg), -EOPNOTSUPP);
	arg.type = 77; /* B13 */
	assert_rc(viommu_alloc(w, arg), -EOPNOTSUPP);
	arg = good;
	arg.dev_id = 99; /* B15 */
	assert_rc(viommu_alloc(w, arg), -ENOENT);
	arg = good;
	arg.hwpt_id = 99; /* B16 */
	assert_rc(viommu_alloc(w, arg), -ENOENT);
	arg.hwpt_id = plain; /* B17 */
	assert_rc(viommu_alloc(w, arg), -EINVAL);
	arg.hwpt_id = w->ioas; /* B18 */
	assert_rc(viommu_alloc(w, arg), -ENOENT);
	arg.hwpt_id = do_nested(w, w->dev_id[0], w->viommu);
	assert_rc(viommu_alloc(w, arg), -ENOENT);
	assert_rc(try_destroy(w, arg.hwpt_id), 0);
	assert_int_equal(core_objects(w->ctx), before);
	arg = good;
	arg.data_len = 8; /* B23 */
	assert_rc(viommu_alloc(w, arg), 0);
	arg = good;
	arg.__reserved = 1; /* B24: Linux does not look */
	assert_rc(viommu_alloc(w, arg), 0);
	w->unit.ops.viommu_alloc = NULL;
	assert_rc(viommu_alloc(w, good), -EOPNOTSUPP);
}

/* B19, B20, B22 */
static void viommus_share_a_parent_and_keep_it(void **state)
{
	struct world *w = world_of(state);
	uint32_t second = do_viommu(w, w->dev_id[1], w->parent);

	assert_rc(try_destroy(w, w->parent), -EBUSY);
	assert_rc(try_destroy(w, second), 0);
	assert_rc(try_destroy(w, w->parent), -EBUSY);
	assert_rc(try_destroy(w, w->viommu), 0);
	assert_rc(try_destroy(w, w->parent), 0);
}

/* ---- VDEVICE_ALLOC ---- */

static void vdevice_alloc_answers_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	uint32_t first;
	uint32_t id;

	assert_rc(try_vdevice(w, 99, w->dev_id[0], 1, NULL), -ENOENT); /* D4 */
	assert_rc(try_vdevice(w, w->viommu, 99, 1, NULL), -ENOENT);    /* D5 */
	assert_rc(try_vdevice(w, w->parent, w->dev_id[0], 1, NULL),
		  -ENOENT); /* D6 */
	assert_rc(try_vdevice(w, w->viommu, w->dev_id[0], 0x123, &first),
		  0); /* D1 */
	assert_rc(try_vdevice(w, w->viommu, w->dev_id[0], 0x123, NULL),
		  -EEXIST); /* D2 */
	assert_rc(try_vdevice(w, w->viommu, w->dev_id[0], 0x124, NULL),
		  -EEXIST); /* D3 */
	assert_rc(try_vdevice(w, w->viommu, w->dev_id[1], 0x123, NULL),
		  -EEXIST); /* D7 */
	assert_rc(try_vdevice(w, w->viommu, w->dev_id[1], UINT64_MAX, &id),
		  0);			  /* D8 */
	assert_rc(try_destroy(w, id), 0); /* D9 */
	assert_rc(try_vdevice(w, w->viommu, w->dev_id[1], 1ULL << 40, &id),
		  0);				      /* D10 */
	assert_rc(try_destroy(w, w->viommu), -EBUSY); /* D12 */
	assert_rc(try_destroy(w, id), 0);
	w->unit.vdevice_rc = -ENOMEM;
	assert_rc(try_vdevice(w, w->viommu, w->dev_id[1], 5, NULL), -ENOMEM);
	w->unit.vdevice_rc = 0;
	assert_rc(try_vdevice(w, w->viommu, w->dev_id[1], 5, &id), 0);
	assert_rc(try_destroy(w, first), 0);
	assert_rc(try_destroy(w, id), 0);
	assert_rc(try_destroy(w, w->viommu), 0);
}

static void two_viommus_may_use_the_same_virt_id(void **state)
{
	struct world *w = world_of(state);
	uint32_t second = do_viommu(w, w->dev_id[0], w->parent);

	assert_rc(try_vdevice(w, w->viommu, w->dev_id[0], 7, NULL), 0);
	assert_rc(try_vdevice(w, second, w->dev_id[1], 7, NULL), 0);
	assert_int_equal(w->unit.vdevices, 2);
}

/* L1 to L5, L23 to L26, L31, L36 */
static void objects_go_only_when_nobody_needs_them(void **state)
{
	struct world *w = world_of(state);
	uint32_t nested = do_nested(w, w->dev_id[0], w->viommu);
	uint32_t direct = do_nested(w, w->dev_id[0], w->parent);
	uint32_t pt = nested;
	uint32_t vdevice;

	assert_rc(try_vdevice(w, w->viommu, w->dev_id[0], 1, &vdevice), 0);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	assert_rc(try_destroy(w, nested), -EBUSY);
	assert_rc(try_destroy(w, w->parent), -EBUSY);
	assert_rc(try_destroy(w, w->viommu), -EBUSY);
	assert_rc(try_destroy(w, w->ioas), -EBUSY);
	assert_rc(try_destroy(w, vdevice), 0);
	assert_rc(core_detach(w->ctx, w->dev_id[0], CORE_NO_PASID), 0);
	assert_rc(try_destroy(w, w->viommu), -EBUSY);
	assert_rc(try_destroy(w, nested), 0);
	assert_rc(try_destroy(w, w->viommu), 0);
	assert_rc(try_destroy(w, w->parent), -EBUSY); /* direct */
	assert_rc(try_destroy(w, direct), 0);
	assert_rc(try_destroy(w, w->parent), 0);
	assert_rc(try_destroy(w, w->ioas), 0);
	assert_rc(try_destroy(w, w->ioas), -ENOENT);
}

/* ---- event queues ---- */

static void veventq_alloc_answers_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	struct iommu_veventq_alloc arg = { .size = sizeof(arg),
					   .viommu_id = w->viommu,
					   .type = 1,
					   .veventq_depth = 4 };

	assert_rc(try_veventq(w, w->viommu, 1, 0, NULL, NULL), -EINVAL);
	assert_rc(try_veventq(w, w->viommu, 1, (1 << 19) + 1, NULL, NULL),
		  -EINVAL); /* E2 */
	assert_rc(try_veventq(w, w->viommu, 0, 4, NULL, NULL),
		  -EOPNOTSUPP);					  /* E3 */
	assert_rc(try_veventq(w, 99, 1, 4, NULL, NULL), -ENOENT); /* E4 */
	assert_rc(try_veventq(w, w->parent, 1, 4, NULL, NULL), -ENOENT);
	for (int bit = 0; bit < 32; bit++) {
		arg.flags = 1U << bit;
		assert_rc(ioctl_on(w, IOMMU_VEVENTQ_ALLOC, &arg), -EOPNOTSUPP);
		arg.flags = 0;
		arg.__reserved = 1U << bit;
		assert_rc(ioctl_on(w, IOMMU_VEVENTQ_ALLOC, &arg), -EOPNOTSUPP);
		arg.__reserved = 0;
	}
	assert_rc(try_veventq(w, w->viommu, 1, 1 << 19, NULL, NULL), 0);
	assert_rc(try_veventq(w, w->viommu, 1, 4, NULL, NULL), -EEXIST);
	assert_rc(try_veventq(w, w->viommu, 77, 4, NULL, NULL), 0); /* E7 */
	assert_rc(try_veventq(w, w->viommu, 2, 4, NULL, NULL), 0);  /* E8 */
}

static void an_empty_queue_reads_as_nothing(void **state)
{
	struct world *w = world_of(state);
	char buf[4096];
	int fd;

	assert_rc(try_veventq(w, w->viommu, 1, 4, NULL, &fd), 0);
	assert_rc(core_fd_read(w->ctx, fd, buf, sizeof(buf)), 0); /* E9 */
	assert_rc(core_fd_read(w->ctx, fd, buf, 4), -EINVAL);	  /* E10 */
	assert_rc(core_fd_read(w->ctx, fd, buf, 7), -EINVAL);
	assert_rc(core_fd_read(w->ctx, fd, buf, 8), 0);
	assert_false(readable(fd));
	assert_rc(core_fd_write(w->ctx, fd, buf, 8), -EINVAL); /* G52 */
	assert_rc(core_fd_read(w->ctx, fd + 1, buf, 8), -EBADF);
	assert_rc(core_fd_read(w->ctx, -1, buf, 8), -EBADF);
}

static void events_are_numbered_and_read_in_order(void **state)
{
	struct world *w = world_of(state);
	struct read_event got[3];
	int fd;

	assert_rc(try_veventq(w, w->viommu, 1, 4, NULL, &fd), 0);
	event(w, 1, 0xa);
	event(w, 1, 0xb);
	assert_true(readable(fd));
	assert_rc(core_fd_read(w->ctx, fd, got, sizeof(got)), 80);
	assert_int_equal(got[0].flags, 0);
	assert_int_equal(got[0].sequence, 0);
	assert_int_equal(got[0].record[0], 0xa);
	assert_int_equal(got[0].record[3], 3);
	assert_int_equal(got[1].sequence, 1);
	assert_int_equal(got[1].record[0], 0xb);
	assert_false(readable(fd));
	event(w, 1, 0xc);
	assert_true(readable(fd));
	assert_rc(core_fd_read(w->ctx, fd, got, sizeof(got)), 40);
	assert_int_equal(got[0].sequence, 2);
}

/* G38 to G44: depth 4, 14 events */
static void lost_events_show_at_the_tail(void **state)
{
	struct world *w = world_of(state);
	unsigned char buf[4096];
	struct iommufd_vevent_header lost;
	struct read_event got;
	int fd;

	assert_rc(try_veventq(w, w->viommu, 1, 4, NULL, &fd), 0);
	for (uint64_t i = 0; i < 14; i++)
		event(w, 1, i);
	assert_rc(core_fd_read(w->ctx, fd, buf, sizeof(buf)), 168);
	for (uint32_t i = 0; i < 4; i++) {
		memcpy(&got, buf + i * 40, 40);
		assert_int_equal(got.flags, 0);
		assert_int_equal(got.sequence, i);
		assert_int_equal(got.record[0], i);
	}
	memcpy(&lost, buf + 160, sizeof(lost));
	assert_int_equal(lost.flags, 1);
	assert_int_equal(lost.sequence, 13);
	assert_false(readable(fd));
	event(w, 1, 99);
	assert_rc(core_fd_read(w->ctx, fd, &got, 40), 40);
	assert_int_equal(got.sequence, 14);
}

static void a_later_event_makes_the_lost_header_superfluous(void **state)
{
	struct world *w = world_of(state);
	unsigned char buf[400];
	struct read_event got;
	int fd;

	assert_rc(try_veventq(w, w->viommu, 1, 2, NULL, &fd), 0);
	for (uint64_t i = 0; i < 4; i++)
		event(w, 1, i);
	assert_rc(core_fd_read(w->ctx, fd, &got, 40), 40);
	event(w, 1, 4); /* there is room again */
	assert_rc(core_fd_read(w->ctx, fd, buf, sizeof(buf)), 80);
	memcpy(&got, buf, 40);
	assert_int_equal(got.sequence, 1);
	memcpy(&got, buf + 40, 40);
	assert_int_equal(got.sequence, 4); /* 2 and 3 are missing */
}

/* G45 to G51 */
static void short_reads_leave_the_rest(void **state)
{
	struct world *w = world_of(state);
	unsigned char buf[100];
	int fd;

	assert_rc(try_veventq(w, w->viommu, 1, 2, NULL, &fd), 0);
	for (uint64_t i = 0; i < 3; i++)
		event(w, 1, i);
	assert_rc(core_fd_read(w->ctx, fd, buf, 39), -EINVAL);
	assert_rc(core_fd_read(w->ctx, fd, buf, 40), 40);
	assert_rc(core_fd_read(w->ctx, fd, buf, 47), 40);
	/* only the header of what was lost is left */
	assert_true(readable(fd));
	assert_rc(core_fd_read(w->ctx, fd, buf, 8), 8);
	assert_false(readable(fd));
	assert_rc(core_fd_read(w->ctx, fd, buf, 100), 0);
}

static void events_that_cannot_be_written_stay(void **state)
{
	struct world *w = world_of(state);
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct read_event got;
	int fd;

	munmap(map + 4096, 4096);
	assert_rc(try_veventq(w, w->viommu, 1, 4, NULL, &fd), 0);
	event(w, 1, 0xa);
	event(w, 1, 0xb);
	assert_rc(core_fd_read(w->ctx, fd, map + 4080, 80), -EFAULT);
	assert_true(readable(fd));
	/* the first one fits */
	assert_rc(core_fd_read(w->ctx, fd, map + 4056, 80), 40);
	assert_rc(core_fd_read(w->ctx, fd, &got, 40), 40);
	assert_int_equal(got.record[0], 0xb);
	munmap(map, 4096);
}

static void each_type_has_its_own_queue(void **state)
{
	struct world *w = world_of(state);
	struct read_event got;
	int one;
	int two;

	assert_rc(try_veventq(w, w->viommu, 1, 4, NULL, &one), 0);
	assert_rc(try_veventq(w, w->viommu, 2, 4, NULL, &two), 0);
	event(w, 2, 0x22);
	event(w, 3, 0x33); /* nobody's */
	assert_false(readable(one));
	assert_rc(core_fd_read(w->ctx, two, &got, 40), 40);
	assert_int_equal(got.record[0], 0x22);
}

static void the_sequence_starts_again_at_0(void **state)
{
	struct world *w = world_of(state);
	struct core_eventq *q;
	struct read_event got[2];
	uint32_t id;
	int fd;

	assert_rc(try_veventq(w, w->viommu, 1, 4, &id, &fd), 0);
	assert_rc(core_get(w->ctx, id, CORE_VEVENTQ, &q), 0);
	q->sequence = 0x7fffffff;
	core_put(&q->base.obj);
	event(w, 1, 1);
	event(w, 1, 2);
	assert_rc(core_fd_read(w->ctx, fd, got, 80), 80);
	assert_int_equal(got[0].sequence, 0x7fffffff);
	assert_int_equal(got[1].sequence, 0);
}

/* L27 to L31 */
static void an_open_queue_is_in_use(void **state)
{
	struct world *w = world_of(state);
	uint32_t id;
	char buf[64];
	int fd;

	assert_rc(try_veventq(w, w->viommu, 1, 4, &id, &fd), 0);
	assert_rc(try_destroy(w, w->viommu), -EBUSY);
	assert_rc(try_destroy(w, id), -EBUSY);
	assert_rc(core_fd_close(w->ctx, fd), 0);
	assert_rc(core_fd_close(w->ctx, fd), -EBADF);
	assert_rc(core_fd_read(w->ctx, fd, buf, 64), -EBADF);
	event(w, 1, 1); /* still kept, nobody can read it */
	assert_rc(try_destroy(w, w->viommu), -EBUSY);
	assert_rc(try_destroy(w, id), 0);
	assert_rc(try_destroy(w, w->viommu), 0);
}

static void closing_the_context_closes_the_fds(void **state)
{
	struct world *w = world_of(state);
	int fd;

	assert_rc(try_veventq(w, w->viommu, 1, 4, NULL, &fd), 0);
	event(w, 1, 1);
	core_close(w->ctx);
	assert_int_equal(close(fd), -1);
	assert_rc(core_open(&w->env, &w->ctx), 0);
}

/* ---- fault queues: always empty, since no driver reports page requests ----
 */

static void fault_queues_behave_as_empty_ones(void **state)
{
	struct world *w = world_of(state);
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };
	struct iommu_hwpt_page_response response = { .cookie = 1 };
	char buf[80];
	int fd;

	for (int bit = 0; bit < 32; bit++) {
		arg.flags = 1U << bit;
		assert_rc(ioctl_on(w, IOMMU_FAULT_QUEUE_ALLOC, &arg),
			  -EOPNOTSUPP);
	}
	arg.flags = 0;
	assert_rc(ioctl_on(w, IOMMU_FAULT_QUEUE_ALLOC, &arg), 0);
	fd = (int)arg.out_fault_fd;
	assert_rc(core_fd_read(w->ctx, fd, buf, 80), 0);
	assert_rc(core_fd_read(w->ctx, fd, buf, 79), -ESPIPE);
	assert_rc(core_fd_write(w->ctx, fd, &response, 7), -ESPIPE);
	assert_rc(core_fd_write(w->ctx, fd, &response, 8), -EINVAL);
	assert_rc(core_fd_write(w->ctx, fd, NULL, 8), -EFAULT);
	assert_rc(core_fd_write(w->ctx, fd, NULL, 0), 0);
	assert_false(readable(fd));
	assert_rc(try_destroy(w, arg.out_fault_id), -EBUSY);
	assert_rc(core_fd_close(w->ctx, fd), 0);
	assert_rc(try_destroy(w, arg.out_fault_id), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_NESTED(viommu_alloc_answers_linuxs_errnos),
		CASE_NESTED(viommus_share_a_parent_and_keep_it),
		CASE_NESTED(vdevice_alloc_answers_linuxs_errnos),
		CASE_NESTED(two_viommus_may_use_the_same_virt_id),
		CASE_NESTED(objects_go_only_when_nobody_needs_them),
		CASE_NESTED(veventq_alloc_answers_linuxs_errnos),
		CASE_NESTED(an_empty_queue_reads_as_nothing),
		CASE_NESTED(events_are_numbered_and_read_in_order),
		CASE_NESTED(lost_events_show_at_the_tail),
		CASE_NESTED(a_later_event_makes_the_lost_header_superfluous),
		CASE_NESTED(short_reads_leave_the_rest),
		CASE_NESTED(events_that_cannot_be_written_stay),
		CASE_NESTED(each_type_has_its_own_queue),
		CASE_NESTED(the_sequence_starts_again_at_0),
		CASE_NESTED(an_open_queue_is_in_use),
		CASE_NESTED(closing_the_context_closes_the_fds),
		CASE_NESTED(fault_queues_behave_as_empty_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
