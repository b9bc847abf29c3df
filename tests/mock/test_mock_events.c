// SPDX-License-Identifier: MIT
/* Event queues of the mock's vIOMMUs: numbers, what is lost, and for whom. */
#include "kit.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define OP_VEVENT   17
#define QUEUE_TYPE  0xbeefbeefu
#define LOST_EVENTS 1u
#define DEPTH_MAX   (1u << 19)

struct event {
	struct iommufd_vevent_header header;
	uint32_t virt_id;
};

_Static_assert(sizeof(struct event) == 12, "as Linux's");

static int make_queue(struct kit *kit, uint32_t viommu, uint32_t depth,
		      uint32_t *id, int *fd)
{
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.type = QUEUE_TYPE,
		.veventq_depth = depth,
	};
	int rc = nestfd_ioctl(kit->ctx, IOMMU_VEVENTQ_ALLOC, &arg);

	if (!rc) {
		*id = arg.out_veventq_id;
		*fd = (int)arg.out_veventq_fd;
	}
	return rc;
}

struct rig {
	struct kit_nest nest;
	uint32_t vdevice;
	uint32_t queue;
	int fd;
};

/* The device under a nested HWPT, known to the guest as 0x99 */
static void rig_begin(struct kit *kit, struct rig *rig, uint32_t depth)
{
	kit_nest(kit, &rig->nest);
	assert_int_equal(kit_vdevice(kit, rig->nest.viommu, kit->dev, 0x99,
				     &rig->vdevice),
			 0);
	assert_int_equal(kit_replace(kit, rig->nest.nested), 0);
	assert_int_equal(
		make_queue(kit, rig->nest.viommu, depth, &rig->queue, &rig->fd),
		0);
}

static int trigger(struct kit *kit)
{
	return test_op(kit, OP_VEVENT, 0, kit->dev, 0);
}

static bool is_readable(const struct rig *rig)
{
	struct pollfd fd = { .fd = rig->fd, .events = POLLIN };

	return poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN);
}

static void an_event_needs_a_vdevice(void **state)
{
	struct kit *kit = *state;
	struct kit_nest nest;
	uint32_t vdevice;

	assert_int_equal(test_op(kit, OP_VEVENT, 0, 999, 0), -ENOENT);
	assert_int_equal(trigger(kit), -ENOENT);
	kit_nest(kit, &nest);
	assert_int_equal(kit_replace(kit, nest.nested), -ENOENT);
	assert_int_equal(
		kit_vdevice(kit, nest.viommu, kit->dev, 0x99, &vdevice), 0);
	assert_int_equal(trigger(kit), -ENOENT); /* it is not under it yet */
	assert_int_equal(kit_replace(kit, nest.nested), 0);
	/* nobody listens */
	assert_int_equal(trigger(kit), -EOPNOTSUPP);
	assert_int_equal(kit_replace(kit, kit->ioas), 0);
	assert_int_equal(trigger(kit), -ENOENT);
}

static void events_are_numbered_from_zero(void **state)
{
	struct kit *kit = *state;
	struct event events[3];
	struct rig rig;

	rig_begin(kit, &rig, 8);
	assert_false(is_readable(&rig));
	assert_int_equal(nestfd_read(kit->ctx, rig.fd, events, sizeof(events)),
			 0);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(trigger(kit), 0);
	for (uint32_t i = 0; i < 6; i++) {
		assert_true(is_readable(&rig));
		if (i % 3 == 0)
			assert_int_equal(nestfd_read(kit->ctx, rig.fd, events,
						     sizeof(events)),
					 sizeof(events));
		assert_int_equal(events[i % 3].header.flags, 0);
		assert_int_equal(events[i % 3].header.sequence, i);
		assert_int_equal(events[i % 3].virt_id, 0x99);
		if (i == 3)
			break;
	}
	assert_false(is_readable(&rig));
}

/* A read cannot see what came after it: so it ends with what was lost. */
static void what_is_lost_at_the_end_has_a_header(void **state)
{
	struct kit *kit = *state;
	struct {
		struct event event[2];
		struct iommufd_vevent_header lost;
		char more[100];
	} buf;
	struct rig rig;

	rig_begin(kit, &rig, 2);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(trigger(kit), 0);
	assert_int_equal(nestfd_read(kit->ctx, rig.fd, &buf, sizeof(buf)), 32);
	assert_int_equal(buf.event[0].header.sequence, 0);
	assert_int_equal(buf.event[1].header.sequence, 1);
	assert_int_equal(buf.event[1].header.flags, 0);
	assert_int_equal(buf.lost.flags, LOST_EVENTS);
	assert_int_equal(buf.lost.sequence, 4);
	assert_false(is_readable(&rig));
	/* there is room again */
	assert_int_equal(trigger(kit), 0);
	assert_int_equal(nestfd_read(kit->ctx, rig.fd, &buf, sizeof(buf)), 12);
	assert_int_equal(buf.event[0].header.flags, 0);
	assert_int_equal(buf.event[0].header.sequence, 5);
}

/* What came before the loss is read, then something new is there: a gap. */
static void what_is_lost_in_the_middle_is_a_gap(void **state)
{
	struct kit *kit = *state;
	struct event events[4];
	struct rig rig;

	rig_begin(kit, &rig, 2);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(trigger(kit), 0);
	assert_int_equal(nestfd_read(kit->ctx, rig.fd, events, 12), 12);
	assert_int_equal(events[0].header.sequence, 0);
	assert_int_equal(trigger(kit), 0);
	assert_int_equal(nestfd_read(kit->ctx, rig.fd, events, 48), 24);
	assert_int_equal(events[0].header.sequence, 1);
	assert_int_equal(events[1].header.sequence, 4);
	assert_int_equal(events[1].header.flags, 0);
}

static void a_read_must_have_room_for_an_event(void **state)
{
	struct kit *kit = *state;
	struct event event;
	struct rig rig;

	kit_expect_faults();
	rig_begin(kit, &rig, 2);
	for (size_t len = 0; len < 8; len++)
		assert_int_equal(nestfd_read(kit->ctx, rig.fd, &event, len),
				 -EINVAL);
	assert_int_equal(nestfd_read(kit->ctx, rig.fd, &event, 8), 0);
	assert_int_equal(trigger(kit), 0);
	for (size_t len = 0; len < 12; len++)
		assert_int_equal(nestfd_read(kit->ctx, rig.fd, &event, len),
				 -EINVAL);
	assert_int_equal(
		nestfd_read(kit->ctx, rig.fd, (void *)(uintptr_t)PAGE, 12),
		-EFAULT);
	assert_true(is_readable(&rig));
	assert_int_equal(nestfd_read(kit->ctx, rig.fd, &event, 12), 12);
	assert_int_equal(event.header.sequence, 0);
	assert_int_equal(nestfd_write(kit->ctx, rig.fd, &event, 12), -EINVAL);
}

static void depths_and_types_are_judged(void **state)
{
	struct kit *kit = *state;
	struct iommu_veventq_alloc arg = { .size = sizeof(arg),
					   .veventq_depth = 1 };
	struct kit_nest nest;
	uint32_t id = 0;
	int fd;

	kit_nest(kit, &nest);
	arg.viommu_id = nest.viommu;
	assert_int_equal(nestfd_ioctl(kit->ctx, IOMMU_VEVENTQ_ALLOC, &arg),
			 -EOPNOTSUPP); /* the default type */
	arg.type = QUEUE_TYPE;
	for (unsigned int bit = 0; bit < 32; bit++) {
		arg.flags = 1u << bit;
		assert_int_equal(
			nestfd_ioctl(kit->ctx, IOMMU_VEVENTQ_ALLOC, &arg),
			-EOPNOTSUPP);
		arg.flags = 0;
		arg.__reserved = 1u << bit;
		assert_int_equal(
			nestfd_ioctl(kit->ctx, IOMMU_VEVENTQ_ALLOC, &arg),
			-EOPNOTSUPP);
		arg.__reserved = 0;
	}
	assert_int_equal(make_queue(kit, nest.viommu, 0, &id, &fd), -EINVAL);
	assert_int_equal(make_queue(kit, nest.viommu, DEPTH_MAX + 1, &id, &fd),
			 -EINVAL);
	assert_int_equal(make_queue(kit, nest.parent, 1, &id, &fd), -ENOENT);
	assert_int_equal(make_queue(kit, 999, 1, &id, &fd), -ENOENT);
	assert_int_equal(make_queue(kit, nest.viommu, DEPTH_MAX, &id, &fd), 0);
	/* one of a type */
	assert_int_equal(make_queue(kit, nest.viommu, 1, &id, &fd), -EEXIST);
}

static void a_queue_of_another_type_gets_no_events(void **state)
{
	struct kit *kit = *state;
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.type = 7,
		.veventq_depth = 2,
	};
	struct event event;
	struct rig rig;

	rig_begin(kit, &rig, 2);
	arg.viommu_id = rig.nest.viommu;
	assert_int_equal(nestfd_ioctl(kit->ctx, IOMMU_VEVENTQ_ALLOC, &arg), 0);
	assert_int_equal(trigger(kit), 0);
	assert_int_equal(nestfd_read(kit->ctx, (int)arg.out_veventq_fd, &event,
				     sizeof(event)),
			 0);
	assert_int_equal(nestfd_read(kit->ctx, rig.fd, &event, sizeof(event)),
			 12);
}

static void a_queue_stays_while_it_is_open(void **state)
{
	struct kit *kit = *state;
	struct rig rig;

	rig_begin(kit, &rig, 2);
	assert_int_equal(trigger(kit), 0);
	assert_int_equal(kit_destroy(kit, rig.queue), -EBUSY);
	assert_int_equal(nestfd_close_fd(kit->ctx, rig.fd), 0);
	assert_int_equal(nestfd_close_fd(kit->ctx, rig.fd), -EBADF);
	assert_int_equal(trigger(kit), 0); /* nobody will ever read it */
	assert_int_equal(kit_destroy(kit, rig.queue), 0);
	assert_int_equal(trigger(kit), -EOPNOTSUPP);
}

/* The guest's number is that of when the nested HWPT was attached. */
static void a_vdevice_may_go_while_its_hwpt_is_attached(void **state)
{
	struct kit *kit = *state;
	struct event event;
	struct rig rig;

	rig_begin(kit, &rig, 2);
	assert_int_equal(kit_destroy(kit, rig.vdevice), 0);
	assert_int_equal(trigger(kit), 0);
	assert_int_equal(nestfd_read(kit->ctx, rig.fd, &event, sizeof(event)),
			 12);
	assert_int_equal(event.virt_id, 0x99);
}

#define with_dev(test) \
	cmocka_unit_test_setup_teardown(test, kit_setup_dev, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_dev(an_event_needs_a_vdevice),
		with_dev(events_are_numbered_from_zero),
		with_dev(what_is_lost_at_the_end_has_a_header),
		with_dev(what_is_lost_in_the_middle_is_a_gap),
		with_dev(a_read_must_have_room_for_an_event),
		with_dev(depths_and_types_are_judged),
		with_dev(a_queue_of_another_type_gets_no_events),
		with_dev(a_queue_stays_while_it_is_open),
		with_dev(a_vdevice_may_go_while_its_hwpt_is_attached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
