// SPDX-License-Identifier: MIT
/*
 * What the guest sees when a command fails, by each way down: IHI 0070 4.1.4,
 * 7.1 and 7.5. The recovery is the guest's: it repairs the command at CONS.RD
 * and writes GERRORN.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"

#define PROD	0x98
#define CONS	0x9c
#define GERROR	0x60
#define GERRORN 0x64

#define TLBI(n) 0x0005000000000012ULL, ((uint64_t)(n) << 12) | 0x701
#define ATC(n)	0x0000001000000040ULL, (uint64_t)(n) << 12
#define SYNC	0x46ULL, 0ULL
#define BAD	0xffULL, 0ULL

static void fail_at(struct fake *fake, int error, uint64_t dw0, uint64_t dw1)
{
	fake->fail = true;
	fake->fail_times = -1;
	fake->bad_errno = error;
	fake->bad[0] = dw0;
	fake->bad[1] = dw1;
}

static bool issued(const struct fake *fake, uint64_t dw0, uint64_t dw1)
{
	for (int i = 0; i < fake->nissued; i++)
		if (fake->issued[i][0] == dw0 && fake->issued[i][1] == dw1)
			return true;
	return false;
}

static uint32_t active(struct fake *fake)
{
	return fake_reg(fake, GERROR) ^ fake_reg(fake, GERRORN);
}

/* Each case by each way, in a world of its own */
#define EACH_WAY(fake)                                         \
	for (enum way way = 0; way < WAYS; way++)              \
		for (struct fake *fake = way_start(way); fake; \
		     way_end(fake), fake = NULL)

static void an_unknown_opcode_stops_the_queue_there(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		for (int i = 2; i < 8; i++)
			guest_put(fake, TLBI(i));
		guest_overwrite(fake, 5, BAD);
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), 0x01000005);
		assert_int_equal(active(fake), 1);
		assert_int_equal(fake->irqs[3], 1);
		assert_int_equal(fake->nissued, 3);
		assert_true(issued(fake, TLBI(4)));
		assert_false(issued(fake, TLBI(6)));
	}
}

static void what_the_host_refuses_stops_the_queue_there(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		fail_at(fake, -EIO, TLBI(5));
		for (int i = 2; i < 8; i++)
			guest_put(fake, TLBI(i));
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), 0x01000005);
		assert_int_equal(active(fake), 1);
		assert_int_equal(fake->nissued, 3);
		/* and fails again as long as it is not repaired */
		guest_acknowledge(fake);
		assert_int_equal(fake_reg(fake, CONS), 0x01000005);
		assert_int_equal(active(fake), 1);
		assert_int_equal(fake->irqs[3], 2);
	}
}

/* It is not tried again behind the guest's back: that is for the guest. */
static void what_is_refused_once_is_told_once(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		fail_at(fake, -EIO, TLBI(5));
		fake->fail_times = 1;
		for (int i = 2; i < 8; i++)
			guest_put(fake, TLBI(i));
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), 0x01000005);
		assert_int_equal(fake->nissued, 3);
		guest_acknowledge(fake);
		assert_int_equal(fake_reg(fake, CONS) & 0xfffff, 8);
		assert_int_equal(fake->nissued, 6);
		assert_int_equal(fake->irqs[3], 1);
	}
}

static void the_guest_repairs_the_command_and_goes_on_there(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		fail_at(fake, -EIO, TLBI(5));
		for (int i = 2; i < 8; i++)
			guest_put(fake, TLBI(i));
		guest_doorbell(fake, fake->viommu);
		guest_overwrite(fake, 5, TLBI(0x55));
		guest_overwrite(fake, 6, TLBI(0x66)); /* not yet fetched */
		guest_acknowledge(fake);
		assert_int_equal(fake_reg(fake, CONS) & 0xffffff, 8);
		assert_int_equal(active(fake), 0);
		assert_int_equal(fake->nissued, 6);
		assert_true(issued(fake, TLBI(0x55)));
		assert_true(issued(fake, TLBI(0x66)));
		assert_false(issued(fake, TLBI(6)));
	}
}

static void prod_moves_but_nothing_is_consumed_meanwhile(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		guest_put(fake, BAD);
		guest_put(fake, TLBI(3));
		guest_put(fake, TLBI(4));
		guest_put(fake, TLBI(5));
		guest_doorbell(fake, fake->viommu);
		guest_put(fake, TLBI(6));
		guest_put(fake, TLBI(7));
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, PROD), 8);
		assert_int_equal(fake_reg(fake, CONS), 0x01000002);
		assert_int_equal(fake->nissued, 0);
		/* neither does switching the queue off and on */
		nestfd_viommu_write(fake->viommu, 0x20, 4, 0x5);
		nestfd_viommu_write(fake->viommu, 0x20, 4, 0xd);
		assert_int_equal(fake->nissued, 0);
		guest_overwrite(fake, 2, SYNC);
		guest_acknowledge(fake);
		assert_int_equal(fake_reg(fake, CONS) & 0xfffff, 8);
		assert_int_equal(fake->nissued, 5);
	}
}

static void an_unreadable_queue_aborts_where_memory_ends(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		fake->hole_start = CMDQ_ADDR + 7 * 16;
		fake->hole_end = fake->hole_start + 16;
		/* the guest puts its queue there */
		nestfd_viommu_reset(fake->viommu);
		guest_boot(fake, fake->viommu);
		for (int i = 0; i < 12; i++)
			guest_put(fake, TLBI(i));
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), 0x02000007);
		assert_int_equal(active(fake), 1);
		assert_int_equal(fake->nissued, 7);
		assert_false(issued(fake, TLBI(7)));
		/* recoverable: the memory is there again */
		fake->hole_end = 0;
		guest_acknowledge(fake);
		assert_int_equal(fake_reg(fake, CONS) & 0xfffff, 12);
		assert_int_equal(fake->nissued, 12);
	}
}

static void a_ring_that_cannot_read_leaves_it_to_the_vmm(void **state)
{
	struct fake *fake = way_start(WAY_RING);

	(void)state;
	for (int i = 2; i < 12; i++)
		guest_put(fake, TLBI(i));
	fake->ring_fails = -EFAULT;
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake_reg(fake, CONS), 12);
	assert_int_equal(fake->nrings, 1);
	assert_int_equal(fake->ncalls, 1);
	assert_int_equal(fake->nissued, 10);
	way_end(fake);
}

/* Every ioctl says so; the guest may repeat as long as it likes. */
static void a_dead_unit_is_an_abort(void **state)
{
	(void)state;
	for (enum way way = WAY_CODES; way < WAYS; way++) {
		struct fake *fake = way_start(way);

		fail_at(fake, -EIO, TLBI(4));
		fake->bad_code = 2;
		for (int i = 2; i < 8; i++)
			guest_put(fake, TLBI(i));
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), 0x02000004);
		guest_acknowledge(fake);
		assert_int_equal(fake_reg(fake, CONS), 0x02000004);
		assert_int_equal(fake->irqs[3], 2);
		way_end(fake);
	}
}

static void a_silent_device_fails_the_next_sync(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		fail_at(fake, -ETIMEDOUT, ATC(7));
		fake->fail_times = 1;
		guest_put(fake, SYNC);	  /* 2: in front of it */
		guest_put(fake, TLBI(1)); /* 3 */
		guest_put(fake, ATC(7));  /* 4 */
		guest_put(fake, TLBI(2)); /* 5: not lost */
		guest_put(fake, SYNC);	  /* 6: stops here */
		guest_put(fake, TLBI(3)); /* 7 */
		guest_put(fake, ATC(8));  /* 8 */
		guest_put(fake, SYNC);	  /* 9 */
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), 0x03000006);
		assert_int_equal(active(fake), 1);
		assert_true(issued(fake, TLBI(1)));
		assert_true(issued(fake, TLBI(2)));
		/* 7.1: newer commands have no effect; no device is asked */
		assert_false(issued(fake, TLBI(3)));
		assert_false(issued(fake, ATC(8)));
		/* the CMD_SYNC again, which completes, and the rest */
		guest_acknowledge(fake);
		assert_int_equal(fake_reg(fake, CONS) & 0xfffff, 10);
		assert_int_equal(active(fake), 0);
		assert_true(issued(fake, TLBI(3)));
		assert_true(issued(fake, ATC(8)));
	}
}

static void two_silent_devices_fail_one_sync(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		fail_at(fake, -ETIMEDOUT, ATC(7));
		fake->fail_times = 2;
		guest_put(fake, ATC(7));  /* 2 */
		guest_put(fake, TLBI(1)); /* 3 */
		guest_put(fake, ATC(7));  /* 4 */
		guest_put(fake, TLBI(2)); /* 5 */
		guest_put(fake, SYNC);	  /* 6 */
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), 0x03000006);
		assert_true(issued(fake, TLBI(1)));
		assert_true(issued(fake, TLBI(2)));
		guest_acknowledge(fake);
		assert_int_equal(fake_reg(fake, CONS) & 0xfffff, 7);
		assert_int_equal(active(fake), 0);
		assert_int_equal(fake->irqs[3], 1);
	}
}

/* An ATC_INV of which the guest has not yet asked */
static void leave_unanswered(struct fake *fake)
{
	fail_at(fake, -ETIMEDOUT, ATC(7));
	fake->fail_times = 1;
	guest_put(fake, TLBI(1)); /* 2 */
	guest_put(fake, ATC(7));  /* 3 */
	guest_put(fake, TLBI(2)); /* 4 */
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake_reg(fake, CONS), 5);
	assert_int_equal(active(fake), 0);
	assert_true(issued(fake, TLBI(2)));
}

static void the_sync_of_a_later_doorbell_fails(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		leave_unanswered(fake);
		guest_put(fake, TLBI(3)); /* 5 */
		guest_put(fake, TLBI(4)); /* 6 */
		guest_put(fake, TLBI(5)); /* 7 */
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), 8);
		assert_int_equal(active(fake), 0);
		guest_put(fake, TLBI(6)); /* 8 */
		guest_put(fake, SYNC);	  /* 9 */
		guest_put(fake, TLBI(7)); /* 10 */
		guest_put(fake, SYNC);	  /* 11 */
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), 0x03000009);
		assert_true(issued(fake, TLBI(6)));
		assert_false(issued(fake, TLBI(7)));
		guest_acknowledge(fake);
		assert_int_equal(fake_reg(fake, CONS) & 0xfffff, 12);
		assert_int_equal(active(fake), 0);
	}
}

/*
 * A CMD_SYNC vouches for every command consumed before it (4.7.3). Switching
 * the queue off takes none of them back.
 */
static void switching_the_queue_off_forgets_no_silent_device(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		leave_unanswered(fake);
		nestfd_viommu_write(fake->viommu, 0x20, 4, 0x5);
		nestfd_viommu_write(fake->viommu, CONS, 4, 0);
		nestfd_viommu_write(fake->viommu, PROD, 4, 0);
		nestfd_viommu_write(fake->viommu, 0x20, 4, 0xd);
		fake->cmdq_prod = 0;
		guest_put(fake, TLBI(8));
		guest_put(fake, SYNC);
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), 0x03000001);
		assert_int_equal(active(fake), 1);
	}
}

/* 4.5.1: CMD_ATC_INV is IGNORED while SMMUEN is 0 */
static void an_smmu_that_is_off_asks_no_device(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		nestfd_viommu_write(fake->viommu, 0x20, 4, 0xc);
		fake->fail = true;
		fake->fail_times = -1;
		fake->bad[0] = 0x0000001000000040ULL;
		fake->bad[1] = 52;
		fake->bad_errno = -ETIMEDOUT;
		for (int i = 2; i < 6; i++)
			guest_put(fake, TLBI(i));
		guest_put(fake, 0x0000001000000040ULL, 52);
		guest_put(fake, SYNC);
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), 8);
		assert_int_equal(active(fake), 0);
		assert_int_equal(fake->nissued, 4);
		/* and on again it does */
		nestfd_viommu_write(fake->viommu, 0x20, 4, 0xd);
		guest_put(fake, 0x0000001000000040ULL, 52);
		guest_put(fake, SYNC);
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), 3 << 24 | 9);
	}
}

static void a_reset_forgets_a_silent_device(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		leave_unanswered(fake);
		nestfd_viommu_reset(fake->viommu);
		guest_boot(fake, fake->viommu);
		guest_put(fake, TLBI(8));
		guest_put(fake, TLBI(9));
		guest_put(fake, SYNC);
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS) & 0xffffff, 3);
		assert_int_equal(active(fake), 0);
	}
}

/* Hardware would stop there too, and have the ATC_INV reported afterwards. */
static void an_illegal_command_in_between_stops_first(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		fail_at(fake, -ETIMEDOUT, ATC(7));
		fake->fail_times = 1;
		guest_put(fake, ATC(7));  /* 2 */
		guest_put(fake, TLBI(1)); /* 3 */
		guest_put(fake, BAD);	  /* 4 */
		guest_put(fake, SYNC);	  /* 5 */
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), 0x01000004);
		assert_true(issued(fake, TLBI(1)));
		guest_overwrite(fake, 4, TLBI(2));
		guest_acknowledge(fake);
		assert_int_equal(fake_reg(fake, CONS), 0x03000005);
		assert_true(issued(fake, TLBI(2)));
		guest_acknowledge(fake);
		assert_int_equal(fake_reg(fake, CONS) & 0xfffff, 6);
	}
}

/* ---- the order in which the registers change ---- */

/* As the interrupt's handler finds them */
static struct {
	uint32_t cons, gerror, gerrorn;
	unsigned int calls;
} at_irq;

static void look(struct fake *fake, unsigned int line)
{
	if (line != 3)
		return;
	at_irq.cons = fake_reg(fake, CONS);
	at_irq.gerror = fake_reg(fake, GERROR);
	at_irq.gerrorn = fake_reg(fake, GERRORN);
	at_irq.calls++;
}

static void the_interrupt_finds_cons_err_and_gerror(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		memset(&at_irq, 0, sizeof(at_irq));
		fake->on_irq = look;
		guest_put(fake, TLBI(1));
		guest_put(fake, TLBI(2));
		guest_put(fake, BAD);
		guest_put(fake, SYNC);
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(at_irq.calls, 1);
		assert_int_equal(at_irq.cons, 0x01000004);
		assert_int_equal((at_irq.gerror ^ at_irq.gerrorn) & 1, 1);
	}
}

/* A processor that polls GERROR instead */
struct poller {
	struct fake *fake;
	atomic_uint epoch; /* odd: an error may show itself */
	atomic_uint expected;
	atomic_uint seen; /* the last epoch in which one was seen */
	atomic_uint wrong;
	atomic_bool stop;
};

static void *poll_registers(void *arg)
{
	struct poller *p = arg;

	while (!p->stop) {
		unsigned int epoch = p->epoch;
		uint32_t expected = p->expected;
		uint32_t error = active(p->fake) & 1;
		uint32_t cons = fake_reg(p->fake, CONS);

		/* the error was there before CONS was read, and still is */
		if (!error || !(epoch & 1) || p->epoch != epoch)
			continue;
		if (cons != expected)
			p->wrong++;
		p->seen = epoch;
	}
	return NULL;
}

static void watch_one_error(struct poller *p, unsigned int turn)
{
	struct fake *fake = p->fake;
	uint32_t bad;

	guest_put(fake, TLBI(turn & 0xff));
	guest_put(fake, TLBI(turn & 0xff));
	bad = fake->cmdq_prod;
	guest_put(fake, BAD);
	p->expected = 0x01000000 | bad;
	p->epoch++;
	guest_doorbell(fake, fake->viommu);
	while (p->seen != p->epoch)
		sched_yield();
	p->epoch++;
	guest_overwrite(fake, bad, SYNC);
	guest_acknowledge(fake);
	fake->ncalls = 0;
	fake->nissued = 0;
}

static void who_polls_gerror_finds_cons_and_err_there(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		struct poller p = { .fake = fake };
		pthread_t thread;

		pthread_create(&thread, NULL, poll_registers, &p);
		for (unsigned int turn = 0; turn < 300; turn++)
			watch_one_error(&p, turn);
		p.stop = true;
		pthread_join(thread, NULL);
		assert_int_equal(p.wrong, 0);
		assert_int_equal(fake->irqs[3], 300);
	}
}

static void acknowledge_at_once(struct fake *fake, unsigned int line)
{
	uint32_t cons = fake_reg(fake, CONS);

	if (line != 3)
		return;
	guest_overwrite(fake, cons, SYNC);
	guest_acknowledge(fake);
}

static void a_handler_may_recover_from_inside(void **state)
{
	(void)state;
	EACH_WAY(fake)
	{
		fake->on_irq = acknowledge_at_once;
		for (int i = 2; i < 20; i++)
			guest_put(fake, TLBI(i));
		guest_overwrite(fake, 5, BAD);
		guest_overwrite(fake, 11, BAD);
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS) & 0xfffff, 20);
		assert_int_equal(active(fake), 0);
		assert_int_equal(fake->nissued, 16);
		assert_int_equal(fake->irqs[3], 2);
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		CASE(an_unknown_opcode_stops_the_queue_there),
		CASE(what_the_host_refuses_stops_the_queue_there),
		CASE(what_is_refused_once_is_told_once),
		CASE(the_guest_repairs_the_command_and_goes_on_there),
		CASE(prod_moves_but_nothing_is_consumed_meanwhile),
		CASE(an_unreadable_queue_aborts_where_memory_ends),
		CASE(a_ring_that_cannot_read_leaves_it_to_the_vmm),
		CASE(a_dead_unit_is_an_abort),
		CASE(a_silent_device_fails_the_next_sync),
		CASE(two_silent_devices_fail_one_sync),
		CASE(the_sync_of_a_later_doorbell_fails),
		CASE(switching_the_queue_off_forgets_no_silent_device),
		CASE(an_smmu_that_is_off_asks_no_device),
		CASE(a_reset_forgets_a_silent_device),
		CASE(an_illegal_command_in_between_stops_first),
		CASE(the_interrupt_finds_cons_err_and_gerror),
		CASE(who_polls_gerror_finds_cons_and_err_there),
		CASE(a_handler_may_recover_from_inside),
	};

	return cmocka_run_group_tests_name("viommu errors", tests, NULL, NULL);
}
