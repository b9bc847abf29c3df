// SPDX-License-Identifier: MIT
/*
 * Two guests on one unit, one of which does whatever a guest can do wrong, and
 * a third on another unit: what the others get is what it was, and they wait
 * for no more ATC timeouts than a device's budget has, and for none of another
 * unit's. How long is no question for a test (./dev bench neighbour): what is
 * counted is timeouts, and of these a call of the neighbour's may meet one in a
 * window. How long late answers hold it up is tested with the driver, where
 * hardware and time can be watched.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"
#include "nestfd/ext.h"
#include "quiet.h"

#define TIMEOUT_MS 50u
#define WINDOW_MS  100u
#define LONG_MS	   600000u
#define BUDGET	   4u	/* docs/security.md */
#define LATE_MS	   150u /* more than it says */

/* @bed: the misbehaving guest and its neighbour; @other: another unit */
struct scene {
	struct bed bed;
	struct bed other;
	struct quiet quiet[2];
};

static void scene_begin_paced(struct scene *s, enum way way, uint32_t window_ms)
{
	bed_make_paced(&s->bed, way, window_ms);
	bed_make_paced(&s->other, WAY_ARRAY, window_ms);
}

static void scene_begin(struct scene *s, enum way way)
{
	scene_begin_paced(s, way, WINDOW_MS);
}

static void scene_watch(struct scene *s)
{
	quiet_start(&s->quiet[0], &s->bed);
	quiet_start(&s->quiet[1], &s->other);
}

/* @timeouts: what there was meanwhile to wait for on the same unit */
static void scene_unwatch(struct scene *s, unsigned int timeouts)
{
	for (int i = 0; i < 2; i++)
		quiet_end(&s->quiet[i]);
	assert_int_equal(s->quiet[0].timeouts, timeouts);
	assert_int_equal(s->quiet[0].unfair, 0);
	assert_int_equal(s->quiet[1].timeouts, 0);
}

static void scene_end(struct scene *s)
{
	bed_end(&s->bed);
	bed_end(&s->other);
}

static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Some of it is a command, more is nearly one, most is nothing. */
static void garbage(uint64_t cmd[2], uint64_t *state)
{
	static const uint8_t ops[] = { 0x01, 0x03, 0x04, 0x05, 0x06, 0x10,
				       0x11, 0x12, 0x13, 0x20, 0x2a, 0x30,
				       0x40, 0x41, 0x44, 0x46 };
	uint64_t mask = draw(state) % 4 ? ~0ULL << 32 : ~0ULL;

	cmd[0] = draw(state) & mask;
	cmd[1] = draw(state) % 3 ? draw(state) : draw(state) & ~0xfffULL;
	if (draw(state) % 8)
		cmd[0] = (cmd[0] & ~0xffULL) | ops[draw(state) % 16];
	if (draw(state) % 2)
		cmd[0] = (cmd[0] & 0xffffffff) | (VSID_0 + draw(state) % 4)
							 << 32;
}

/* ---- commands ---- */

static void garbage_in_arrays(void **state)
{
	uint64_t random = 0x1234567;
	uint64_t cmds[64][2];
	struct answer answer;
	struct scene s;

	(void)state;
	scene_begin(&s, WAY_ARRAY);
	scene_watch(&s);
	for (int round = 0; round < 4000; round++) {
		uint32_t n = 1 + (uint32_t)(draw(&random) % 64);

		for (uint32_t i = 0; i < n; i++)
			garbage(cmds[i], &random);
		bed_array(&s.bed, GUEST_CTX, cmds, n, &answer);
		assert_true(answer.done <= n);
		if (answer.rc)
			assert_true(answer.rc == -EIO && answer.code == 1);
	}
	scene_unwatch(&s, 0);
	scene_end(&s);
}

/* A word of @state's choice, among them those that are at some end */
static uint32_t nasty(uint64_t *state)
{
	static const uint32_t ends[] = {
		0,	1,	    15,		16,	   17,	   31,
		32,	33,	    64,		0x1fff,	   0x2000, 0x3fff,
		0x4000, 0x7fffffff, 0x80000000, 0xffffffff
	};

	return draw(state) % 3 ? ends[draw(state) % 16] : (uint32_t)draw(state);
}

struct scribbler {
	struct bed *bed;
	unsigned int stop; /* atomic */
	uint32_t cons;
	pthread_t thread;
};

/* The guest rewrites its queue while it is read. */
static void *scribble(void *arg)
{
	struct scribbler *who = arg;
	uint64_t random = 0x7654321;
	uint64_t cmd[2];

	while (!__atomic_load_n(&who->stop, __ATOMIC_ACQUIRE)) {
		uint64_t *at =
			bed_command(who->bed, (uint32_t)draw(&random), 0);

		garbage(cmd, &random);
		__atomic_store_n(&at[0], cmd[0], __ATOMIC_RELAXED);
		__atomic_store_n(&at[1], cmd[1], __ATOMIC_RELAXED);
	}
	return NULL;
}

static void ring_once(struct scene *s, uint64_t *random)
{
	uint32_t cons =
		draw(random) % 4 ? nasty(random) & 0x3fff : nasty(random);
	struct nestfd_hwpt_invalidate_ring arg = {
		.size = sizeof(arg),
		.hwpt_id = s->bed.viommu[GUEST_CTX],
		.q_uptr = (uintptr_t)bed_command(&s->bed, 0, 0),
		.q_cons_uptr = (uintptr_t)&cons,
		.q_prod = (cons + (uint32_t)draw(random) % 200) & 0x3fff,
		.q_index_bits = CMDQ_LG2,
		.q_entry_num = 1u << CMDQ_LG2,
		.q_entry_len = 16,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
	};
	uint32_t was = cons;
	int rc;

	switch (draw(random) % 16) {
	case 0:
		arg.q_prod = nasty(random);
		break;
	case 1:
		arg.q_index_bits = nasty(random);
		break;
	case 2: /* not above: there is no more memory than this */
		arg.q_entry_num = nasty(random) & ((1u << CMDQ_LG2) - 1);
		break;
	case 3:
		arg.q_uptr = draw(random);
		break;
	case 4:
		arg.q_cons_uptr = draw(random) % 2 ? 0 : 8;
		break;
	case 5:
		arg.data_type = nasty(random);
		break;
	}
	rc = nestfd_ioctl(s->bed.ctx[GUEST_CTX], NESTFD_HWPT_INVALIDATE_RING,
			  &arg);
	if (rc == -EINVAL)
		assert_int_equal(cons, was);
}

static void garbage_in_rings_that_changes_while_it_is_read(void **state)
{
	struct scribbler who = { 0 };
	uint64_t random = 0x2345678;
	struct scene s;

	(void)state;
	scene_begin(&s, WAY_RING);
	who.bed = &s.bed;
	assert_int_equal(pthread_create(&who.thread, NULL, scribble, &who), 0);
	scene_watch(&s);
	for (int round = 0; round < 4000; round++)
		ring_once(&s, &random);
	scene_unwatch(&s, 0);
	__atomic_store_n(&who.stop, 1, __ATOMIC_RELEASE);
	pthread_join(who.thread, NULL);
	scene_end(&s);
}

/* Everything that a guest's CPU can do to its SMMU */
static void garbage_in_registers(enum way way)
{
	static const uint32_t regs[] = { 0x20, 0x28, 0x2c, 0x44, 0x50, 0x64,
					 0x80, 0x88, 0x90, 0x98, 0x98, 0x98,
					 0x9c, 0xa0, 0x64, 0x98 };
	uint64_t random = 0x3456789;
	uint64_t cmd[2];
	struct scene s;

	scene_begin(&s, way);
	scene_watch(&s);
	for (int round = 0; round < 8000; round++) {
		uint32_t reg = draw(&random) % 4
				       ? regs[draw(&random) % 16]
				       : (uint32_t)draw(&random) & 0x1fffc;
		uint32_t value = nasty(&random);

		for (int i = 0; i < 4; i++) {
			garbage(cmd, &random);
			memcpy(bed_command(&s.bed, (uint32_t)draw(&random), 0),
			       cmd, 16);
		}
		if (reg == 0x64) /* it goes on */
			value = bed_reg(&s.bed, 0x60);
		if (reg == 0x20 && draw(&random) % 2)
			value = 0xd;
		bed_set_reg(&s.bed, reg, value);
	}
	scene_unwatch(&s, 0);
	scene_end(&s);
}

static void garbage_in_a_virtual_smmu_over_arrays(void **state)
{
	(void)state;
	garbage_in_registers(WAY_GUEST_ARRAY);
}

static void garbage_in_a_virtual_smmu_over_rings(void **state)
{
	(void)state;
	garbage_in_registers(WAY_GUEST_RING);
}

/* ---- devices ---- */

static uint64_t timeouts(struct bed *bed)
{
	struct nestfd_driver_stats stats = { .size = sizeof(stats) };

	nestfd_driver_stats(bed->machine, &stats);
	return stats.timeouts;
}

static uint64_t quarantines(struct bed *bed)
{
	struct nestfd_driver_stats stats = { .size = sizeof(stats) };

	nestfd_driver_stats(bed->machine, &stats);
	return stats.quarantines;
}

/* ATC_INVs of both devices: who did not answer has to be found out. */
static void ask_devices(struct bed *bed)
{
	uint64_t cmds[3][2] = { { 0x1100000040, 52 },
				{ 0x1000000040, 0x1000 },
				{ 0x1000000040, 0x2000 } };
	struct answer answer;

	bed_array(bed, GUEST_CTX, cmds, 3, &answer);
	assert_int_equal(answer.rc, -ETIMEDOUT);
	assert_int_equal(answer.done, 1);
	assert_int_equal(answer.code, 3);
	assert_int_equal(answer.info, VSID_0);
}

static void mute(struct bed *bed, enum nestfd_fault_kind kind, uint32_t sid,
		 uint32_t ms)
{
	struct nestfd_fault fault = { .size = sizeof(fault),
				      .kind = kind,
				      .stream_id = sid,
				      .delay_us = ms * 1000 };

	assert_int_equal(nestfd_inject(bed->machine, &fault), 0);
}

static void a_silent_device(enum nestfd_fault_kind kind)
{
	struct scene s;

	scene_begin(&s, WAY_ARRAY);
	mute(&s.bed, kind, 0x100, TIMEOUT_MS);
	scene_watch(&s);
	/* one says which device, the other which command */
	for (unsigned int i = 0; i < BUDGET / 2; i++) {
		ask_devices(&s.bed);
		assert_int_equal(timeouts(&s.bed), 2 * i + 2);
	}
	scene_unwatch(&s, BUDGET);
	/* in quarantine nobody waits any more, not even the guest */
	scene_watch(&s);
	for (int i = 0; i < 20000; i++)
		ask_devices(&s.bed);
	assert_int_equal(timeouts(&s.bed), BUDGET);
	scene_unwatch(&s, 0);
	scene_end(&s);
}

static void a_device_that_does_not_answer(void **state)
{
	(void)state;
	a_silent_device(NESTFD_FAULT_ATC_TIMEOUT);
}

static void a_device_that_is_gone(void **state)
{
	(void)state;
	a_silent_device(NESTFD_FAULT_GONE);
}

/* Nobody gives up waiting for it, but it is as bad for the others. */
static void a_device_that_answers_late(void **state)
{
	uint64_t cmd[1][2] = { { 0x1000000040, 52 } };
	struct answer answer;
	struct scene s;

	(void)state;
	scene_begin(&s, WAY_ARRAY);
	mute(&s.bed, NESTFD_FAULT_ATC_LATE, 0x100, LATE_MS);
	scene_watch(&s);
	for (unsigned int i = 0; i < 2 * BUDGET; i++) {
		bed_array(&s.bed, GUEST_CTX, cmd, 1, &answer);
		assert_int_equal(answer.rc, i < BUDGET ? 0 : -ETIMEDOUT);
		assert_int_equal(answer.done, i < BUDGET);
	}
	assert_int_equal(quarantines(&s.bed), 1);
	scene_unwatch(&s, 0);
	scene_end(&s);
}

/* One call, with as many late answers in it as there are entries */
static void devices_that_are_late_in_turns(enum way way)
{
	uint64_t cmds[512][2];
	struct answer answer;
	struct scene s;

	scene_begin(&s, way);
	for (uint32_t i = 0; i < 512; i++) {
		cmds[i][0] = (VSID_0 + i % 2 + 0ULL) << 32 | 0x40;
		cmds[i][1] = 52;
	}
	for (unsigned int d = 0; d < 2; d++)
		mute(&s.bed, NESTFD_FAULT_ATC_LATE, 0x100 + d, LATE_MS);
	scene_watch(&s);
	bed_ioctl(&s.bed, cmds, 512, 0, &answer);
	assert_int_equal(answer.rc, -ETIMEDOUT);
	assert_int_equal(answer.code, 3);
	/* four times each: the ring's stops at its end, for the next */
	assert_int_equal(way == WAY_ARRAY ? answer.done : answer.info,
			 2 * BUDGET);
	assert_int_equal(quarantines(&s.bed), 2);
	scene_unwatch(&s, 0);
	scene_end(&s);
}

static void devices_that_are_late_in_turns_in_an_array(void **state)
{
	(void)state;
	devices_that_are_late_in_turns(WAY_ARRAY);
}

static void devices_that_are_late_in_turns_in_a_ring(void **state)
{
	(void)state;
	devices_that_are_late_in_turns(WAY_RING);
}

/* It is reset again and again: the guest's own budget ends that. */
static void a_device_that_is_reset_and_silent_in_turn(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s, WAY_ARRAY);
	mute(&s.bed, NESTFD_FAULT_ATC_TIMEOUT, 0x100, 20);
	scene_watch(&s);
	for (int i = 0; i < 100; i++) {
		uint64_t cmd[1][2] = { { 0x1000000040, 52 } };
		struct answer answer;

		bed_array(&s.bed, GUEST_CTX, cmd, 1, &answer);
		assert_int_equal(answer.rc, -ETIMEDOUT);
		nestfd_device_reset(s.bed.dev[0]);
	}
	assert_int_equal(timeouts(&s.bed), 4 * BUDGET);
	scene_unwatch(&s, 4 * BUDGET);
	scene_end(&s);
}

struct cpu_of {
	struct bed *bed;
	unsigned int device;
	unsigned int wrong;
	pthread_t thread;
};

static void *ask_and_reset(void *arg)
{
	struct cpu_of *cpu = arg;
	uint64_t cmds[3][2] = {
		{ 0x10, 0 },
		{ (VSID_0 + cpu->device + 0ULL) << 32 | 0x40, 0x1000 },
		{ (VSID_0 + cpu->device + 0ULL) << 32 | 0x40, 0x2000 }
	};
	struct answer answer;

	for (int i = 0; i < 100; i++) {
		bed_array(cpu->bed, GUEST_CTX, cmds, 3, &answer);
		cpu->wrong += answer.rc != -ETIMEDOUT || answer.done != 1 ||
			      answer.code != 3 ||
			      answer.info != VSID_0 + cpu->device;
		if (i % 3 == 0)
			nestfd_device_reset(cpu->bed->dev[cpu->device]);
	}
	return NULL;
}

/* Two CPUs of the guest, each with a device that does not answer */
static void two_cpus_with_silent_devices_have_one_budget(void **state)
{
	struct cpu_of cpu[2] = { { 0 } };
	struct scene s;

	(void)state;
	scene_begin(&s, WAY_ARRAY);
	for (unsigned int i = 0; i < 2; i++)
		mute(&s.bed, NESTFD_FAULT_ATC_TIMEOUT, 0x100 + i, 5);
	scene_watch(&s);
	for (unsigned int i = 0; i < 2; i++) {
		cpu[i].bed = &s.bed;
		cpu[i].device = i;
		assert_int_equal(pthread_create(&cpu[i].thread, NULL,
						ask_and_reset, &cpu[i]),
				 0);
	}
	for (unsigned int i = 0; i < 2; i++) {
		pthread_join(cpu[i].thread, NULL);
		assert_int_equal(cpu[i].wrong, 0);
	}
	assert_int_equal(timeouts(&s.bed), 4 * BUDGET);
	scene_unwatch(&s, 4 * BUDGET);
	scene_end(&s);
}

/* However many devices do not answer, their guest's end waits for one. */
static void the_end_of_a_guest_with_silent_devices(void **state)
{
	struct scene s;

	(void)state;
	scene_begin_paced(&s, WAY_ARRAY, LONG_MS);
	for (unsigned int i = 0; i < 2; i++)
		mute(&s.bed, NESTFD_FAULT_ATC_TIMEOUT, 0x100 + i, 5);
	scene_watch(&s);
	for (unsigned int i = 0; i < 2; i++)
		nestfd_detach(s.bed.dev[i], NESTFD_NO_PASID);
	assert_int_equal(timeouts(&s.bed), 1);
	scene_unwatch(&s, 1);
	scene_end(&s);
}

/* ---- events ---- */

struct record {
	uint32_t flags;
	uint32_t sequence;
	uint64_t evt[4];
};

static int events_of(struct bed *bed, enum who who, uint32_t depth)
{
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = bed->viommu[who],
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = depth,
	};

	assert_int_equal(nestfd_ioctl(bed->ctx[who], IOMMU_VEVENTQ_ALLOC, &arg),
			 0);
	return (int)arg.out_veventq_fd;
}

/* DMA to a page that the device's tables do not have */
static void fault(struct bed *bed, unsigned int d, unsigned int n)
{
	uint64_t value;

	assert_int_equal(bed_load(bed, d, PAGES + n, false, &value), -EIO);
}

/* F_TRANSLATION, the vSID, the address; none is missing in front of it. */
static void its_event(struct bed *bed, int fd, unsigned int n)
{
	struct record record = { 0 };

	assert_int_equal(nestfd_read(bed->ctx[NEIGHBOUR_CTX], fd, &record,
				     sizeof(record)),
			 sizeof(record));
	assert_int_equal(record.flags, 0);
	assert_int_equal(record.sequence, n);
	assert_int_equal(record.evt[0] & 0xff, 0x10);
	assert_int_equal(record.evt[0] >> 32, VSID_0 + NEIGHBOUR);
	assert_true(record.evt[2] == IOVA(NEIGHBOUR, PAGES + n % 64));
	assert_int_equal(nestfd_read(bed->ctx[NEIGHBOUR_CTX], fd, &record,
				     sizeof(record)),
			 0);
}

static void a_flood_of_events_costs_the_neighbour_none_of_its_own(void **state)
{
	struct record record;
	struct scene s;
	int fd[2];

	(void)state;
	scene_begin(&s, WAY_ARRAY);
	fd[0] = events_of(&s.bed, GUEST_CTX, 4); /* never read: it overflows */
	fd[1] = events_of(&s.bed, NEIGHBOUR_CTX, 4);
	scene_watch(&s);
	for (unsigned int n = 0; n < 500; n++) {
		for (unsigned int i = 0; i < 100; i++)
			fault(&s.bed, i % DEVICES, i);
		fault(&s.bed, NEIGHBOUR, n % 64);
		its_event(&s.bed, fd[1], n);
	}
	scene_unwatch(&s, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(nestfd_read(s.bed.ctx[GUEST_CTX], fd[0],
					     &record, sizeof(record)),
				 sizeof(record));
	assert_int_equal(nestfd_read(s.bed.ctx[GUEST_CTX], fd[0], &record,
				     sizeof(record)),
			 8);
	assert_int_equal(record.flags, 1); /* LOST_EVENTS */
	scene_end(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(garbage_in_arrays),
		cmocka_unit_test(
			garbage_in_rings_that_changes_while_it_is_read),
		cmocka_unit_test(garbage_in_a_virtual_smmu_over_arrays),
		cmocka_unit_test(garbage_in_a_virtual_smmu_over_rings),
		cmocka_unit_test(a_device_that_does_not_answer),
		cmocka_unit_test(a_device_that_is_gone),
		cmocka_unit_test(a_device_that_answers_late),
		cmocka_unit_test(devices_that_are_late_in_turns_in_an_array),
		cmocka_unit_test(devices_that_are_late_in_turns_in_a_ring),
		cmocka_unit_test(a_device_that_is_reset_and_silent_in_turn),
		cmocka_unit_test(two_cpus_with_silent_devices_have_one_budget),
		cmocka_unit_test(the_end_of_a_guest_with_silent_devices),
		cmocka_unit_test(
			a_flood_of_events_costs_the_neighbour_none_of_its_own),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
