// SPDX-License-Identifier: MIT
/*
 * Callbacks that call back: from inside whatever libviommu asks of the VMM, on
 * every way that leads there, all that the VMM may call is called. What must
 * come of it: nothing waits for itself, nothing nests without end, interrupts
 * come behind what they tell of, and the guest goes on afterwards.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake.h"

#define CR0	    0x20
#define GBPA	    0x44
#define GERROR	    0x60
#define GERRORN	    0x64
#define PROD	    0x98
#define CONS	    0x9c
#define EVENTQ_PROD 0x100a8
#define EVENTQ_CONS 0x100ac
#define PRIQ_ADDR   0x60000u
#define PRIQ_PROD   0x100c8
#define PRIQ_CONS   0x100cc
#define MSI_ADDR    0x50000u

#define TLBI(n)	    0x0005000000000012ULL, ((uint64_t)(n) << 12) | 0x701
#define SYNC	    0x46ULL, 0ULL
#define SYNC_IRQ    0x1046ULL, 0ULL
#define SYNC_MSI    0x0000abcd00001046ULL, (uint64_t)MSI_ADDR
#define CFGI_STE    0x0000001000000003ULL, 1ULL
#define C_BAD_STE   0x04

/* Each kind of thing at most once below another one, and each by each caller */
#define DEEPEST 12
#define OFTEN	20000
#define EVENTS	64

static struct {
	struct fake *fake;
	void (*what)(struct fake *fake); /* on every callback */
	bool on_read, on_write, on_map, on_irq;
	int depth, deepest;
	int times;
	int irqs[4];
	int limit;	 /* of callbacks that call */
	uint32_t bypass; /* the HWPT */
} m;

static void call_back(void)
{
	if (!m.what || m.times >= m.limit)
		return;
	m.times++;
	if (++m.depth > m.deepest)
		m.deepest = m.depth;
	assert_in_range(m.depth, 1, DEEPEST);
	m.what(m.fake);
	m.depth--;
}

static void on_access(struct fake *fake, enum access access, uint64_t gpa,
		      size_t len)
{
	(void)fake;
	(void)gpa;
	(void)len;
	if ((access == ACCESS_READ && m.on_read) ||
	    (access == ACCESS_WRITE && m.on_write) ||
	    (access == ACCESS_MAP && m.on_map))
		call_back();
}

static void on_irq(struct fake *fake, unsigned int line)
{
	(void)fake;
	m.irqs[line]++;
	if (m.on_irq)
		call_back();
}

/* Records are bounded */
static void forget(struct fake *fake)
{
	fake->nissued = 0;
}

static void start(enum nestfd_queue queue)
{
	struct fake *fake = test_malloc(sizeof(*fake));
	struct nestfd_viommu_config config;

	alarm(60); /* what waits for itself waits for ever */
	memset(&m, 0, sizeof(m));
	m.limit = OFTEN;
	m.on_read = m.on_write = m.on_map = m.on_irq = true;
	m.fake = fake;
	fake_config(fake, &config);
	fake->idr[0] |= 1u << 16; /* PRI */
	fake->idr[1] |= 19u << 11;
	config.pri = true;
	config.events = EVENTS;
	config.queue = queue;
	fake->ext = 3;
	fake_start(fake, &config);
	guest_boot(fake, fake->viommu);
	nestfd_viommu_write(fake->viommu, 0xc0, 8, PRIQ_ADDR | 8);
	nestfd_viommu_write(fake->viommu, PRIQ_PROD, 4, 0);
	nestfd_viommu_write(fake->viommu, PRIQ_CONS, 4, 0);
	nestfd_viommu_write(fake->viommu, 0x50, 4, 7);
	nestfd_viommu_write(fake->viommu, CR0, 4, 0xf);
	guest_ste(fake, 0x10, 0x4000b, 0xd6);
	guest_put(fake, CFGI_STE);
	guest_put(fake, SYNC);
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake_reg(fake, CONS), 2);
	forget(fake);
	m.bypass = fake->hwpt_id[1];
	fake->on_irq = on_irq;
	fake->on_access = on_access;
	fake->on_ring = forget;
	fake->on_array = forget;
}

static void end(void)
{
	struct fake *fake = m.fake;

	fake->on_access = NULL;
	fake->on_irq = NULL;
	way_end(fake);
	alarm(0);
}

/* ---- what callbacks do ---- */

static void look_around(struct fake *fake)
{
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };
	static const uint32_t regs[] = { 0x0,  0x20,	    0x24, 0x44,
					 0x50, 0x60,	    0x64, 0x98,
					 0x9c, EVENTQ_PROD, 0x80, PRIQ_PROD };

	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
		nestfd_viommu_read(fake->viommu, regs[i], 4);
	nestfd_viommu_stats(fake->viommu, &stats);
	assert_int_equal(nestfd_viommu_event_fd(fake->viommu), 1000);
	assert_int_equal(nestfd_viommu_fault_fd(fake->viommu), 1001);
}

/* The guest's handler: what stopped the queue is replaced first (7.1). */
static void acknowledge(struct fake *fake)
{
	if ((fake_reg(fake, GERROR) ^ fake_reg(fake, GERRORN)) & 1)
		guest_overwrite(fake, fake_reg(fake, CONS), SYNC);
	guest_acknowledge(fake);
	nestfd_viommu_write(fake->viommu, EVENTQ_CONS, 4,
			    fake_reg(fake, EVENTQ_PROD));
	nestfd_viommu_write(fake->viommu, PRIQ_CONS, 4,
			    fake_reg(fake, PRIQ_PROD));
}

static void ring_more(struct fake *fake)
{
	/* not for ever, and never more than the queue holds */
	if (((fake->cmdq_prod - fake_reg(fake, CONS)) & 0x1ff) < 100 &&
	    m.times < 500) {
		guest_put(fake, TLBI(1));
		guest_put(fake, SYNC_IRQ);
	}
	guest_doorbell(fake, fake->viommu);
}

static void host_event(struct fake *fake)
{
	uint64_t event[5] = { 0, 0x0000001000000000ULL | C_BAD_STE };

	memcpy(fake->events, event, sizeof(event));
	fake->event_bytes = sizeof(event);
}

/* There is always another event. */
static void pump(struct fake *fake)
{
	host_event(fake);
	assert_true(nestfd_viommu_pump(fake->viommu) >= 0);
}

static void toggle(struct fake *fake)
{
	nestfd_viommu_write(fake->viommu, CR0, 4,
			    fake_reg(fake, CR0) ^ (m.times & 1));
	nestfd_viommu_write(fake->viommu, GBPA, 4,
			    0x80000000u | (m.times & 1u) << 20);
	nestfd_viommu_write(fake->viommu, CR0, 4, 0xf ^ (m.times & 6));
	nestfd_viommu_write(fake->viommu, CR0, 4, 0xf);
}

static void come_and_go(struct fake *fake)
{
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = 0x20,
		.dev_id = 8,
		.attach = fake_attach,
		.ctx = fake,
	};
	int rc = nestfd_viommu_device_add(fake->viommu, &dev);

	assert_true(rc == 0 || rc == -EEXIST);
	rc = nestfd_viommu_device_remove(fake->viommu, dev.vsid);
	assert_true(rc == 0 || rc == -ENOENT);
}

static void everything(struct fake *fake)
{
	static bool
		coming; /* who adds in what an addition reads adds for ever */

	look_around(fake);
	acknowledge(fake);
	ring_more(fake);
	pump(fake);
	toggle(fake);
	if (coming)
		return;
	coming = true;
	come_and_go(fake);
	coming = false;
}

/* ---- the ways to a callback ---- */

static void by_sync(struct fake *fake)
{
	guest_put(fake, TLBI(1));
	guest_put(fake, SYNC_IRQ);
	guest_doorbell(fake, fake->viommu);
}

static void by_msi(struct fake *fake)
{
	guest_put(fake, TLBI(1));
	guest_put(fake, SYNC_MSI);
	guest_doorbell(fake, fake->viommu);
}

static void by_ring(struct fake *fake)
{
	for (int i = 0; i < 40; i++)
		guest_put(fake, TLBI(i));
	guest_put(fake, SYNC_IRQ);
	guest_doorbell(fake, fake->viommu);
}

/* The CMD_SYNC in front of an STE that changes: its signal comes within that */
static void by_changing_ste(struct fake *fake)
{
	for (int i = 0; i < 4; i++) {
		guest_ste(fake, 0x10, i & 1 ? 0x4000b : 0x9, i & 1 ? 0xd6 : 0);
		guest_put(fake, TLBI(1));
		guest_put(fake, SYNC_IRQ);
		guest_put(fake, SYNC_MSI);
		guest_put(fake, CFGI_STE);
		guest_put(fake, SYNC_IRQ);
		guest_doorbell(fake, fake->viommu);
	}
}

static void by_queue_error(struct fake *fake)
{
	guest_put(fake, 0xff, 0);
	guest_doorbell(fake, fake->viommu);
	acknowledge(fake);
}

static void by_event(struct fake *fake)
{
	host_event(fake);
	assert_true(nestfd_viommu_pump(fake->viommu) >= 0);
}

/* In front of a CMD_SYNC */
static void by_event_behind_sync(struct fake *fake)
{
	host_event(fake);
	by_sync(fake);
}

/* EVENTQ in a hole: the record's write aborts, and GERROR says so. */
static void by_event_abort(struct fake *fake)
{
	fake->hole_start = EVENTQ_ADDR;
	fake->hole_end = EVENTQ_ADDR + 0x1000;
	by_event(fake);
	fake->hole_end = 0;
	fake->hole_start = 0;
	acknowledge(fake);
}

/* An MSI that aborts: GERROR as well */
static void by_msi_abort(struct fake *fake)
{
	fake->hole_start = MSI_ADDR;
	fake->hole_end = MSI_ADDR + 0x1000;
	by_msi(fake);
	fake->hole_end = 0;
	fake->hole_start = 0;
	acknowledge(fake);
}

/* flags LAST_PAGE, dev_id, pasid, grpid, perm READ, 0, addr, length, cookie */
static void ask_page(struct fake *fake, uint32_t group, uint32_t cookie)
{
	uint32_t fault[10] = { 2, 7, 0, group, 1, 0, 0x7000, 0, 0, cookie };

	memcpy(fake->faults, fault, sizeof(fault));
	fake->fault_bytes = sizeof(fault);
	assert_true(nestfd_viommu_pump(fake->viommu) >= 0);
}

static void answer_page(struct fake *fake, uint32_t group)
{
	guest_put(fake, 0x0000001000000041ULL, 0x2000 | group);
	guest_doorbell(fake, fake->viommu);
}

static void by_page_request(struct fake *fake)
{
	ask_page(fake, 3, 0x11);
	answer_page(fake, 3);
}

/* The STEs are read. */
static void by_smmuen(struct fake *fake)
{
	nestfd_viommu_write(fake->viommu, CR0, 4, 0xe);
	nestfd_viommu_write(fake->viommu, CR0, 4, 0xf);
}

static void by_device(struct fake *fake)
{
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = 0x30,
		.dev_id = 9,
		.attach = fake_attach,
		.ctx = fake,
	};

	assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev), 0);
	assert_int_equal(nestfd_viommu_device_remove(fake->viommu, 0x30), 0);
}

static const struct {
	const char *name;
	void (*go)(struct fake *fake);
} ways[] = {
	{ "a CMD_SYNC", by_sync },
	{ "a CMD_SYNC's MSI", by_msi },
	{ "a ring and a CMD_SYNC", by_ring },
	{ "an STE that changes", by_changing_ste },
	{ "an illegal command", by_queue_error },
	{ "an event", by_event },
	{ "an event behind a CMD_SYNC", by_event_behind_sync },
	{ "an event that aborts", by_event_abort },
	{ "an MSI that aborts", by_msi_abort },
	{ "a page request", by_page_request },
	{ "SMMUEN", by_smmuen },
	{ "a device that comes", by_device },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define EACH_QUEUE(q)                                                         \
	for (enum nestfd_queue q = NESTFD_QUEUE_AUTO; q <= NESTFD_QUEUE_RING; \
	     q++)

/* The guest goes on as if nothing had been. */
static void check_sound(struct fake *fake)
{
	m.what = NULL;
	nestfd_viommu_write(fake->viommu, CR0, 4, 0xf);
	acknowledge(fake);
	guest_doorbell(fake, fake->viommu);
	while (fake_reg(fake, CONS) != fake->cmdq_prod)
		acknowledge(fake);
	fake->on_ring = NULL;
	fake->on_array = NULL;
	fake->nissued = 0;
	guest_ste(fake, 0x10, 0x9, 0);
	guest_put(fake, TLBI(0x77));
	guest_put(fake, CFGI_STE);
	guest_put(fake, SYNC_MSI);
	memset(fake->mem + MSI_ADDR, 0, 8);
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
	assert_int_equal(fake->nissued, 1);
	assert_int_equal(fake->issued[0][1] >> 12, 0x77);
	assert_int_equal(fake->attached, m.bypass);
	assert_int_equal(guest_word(fake, MSI_ADDR), 0xabcd);
	assert_int_equal(fake_reg(fake, CR0), 0xf);
	assert_int_equal(fake_reg(fake, 0x24), 0xf);
	assert_int_equal(fake_reg(fake, GERROR), fake_reg(fake, GERRORN));
	/* and events still come with their interrupt */
	acknowledge(fake);
	fake->event_bytes = 0;
	m.irqs[0] = 0;
	by_event(fake);
	assert_int_equal(m.irqs[0], 1);
	fake->on_ring = forget;
	fake->on_array = forget;
}

/*
 * @what from inside every callback of every way. Not more than @limit times: a
 * callback that causes callbacks, each of which causes some, takes its time.
 */
static void on_every_way(void (*what)(struct fake *fake), int limit)
{
	EACH_QUEUE(queue)
	for (size_t i = 0; i < COUNT(ways); i++) {
		start(queue);
		m.what = what;
		m.limit = limit;
		ways[i].go(m.fake);
		if (!m.times)
			fail_msg("%s: nobody was called", ways[i].name);
		if (limit == OFTEN && m.times == limit)
			fail_msg("%s: no end", ways[i].name);
		assert_int_equal(m.depth, 0);
		check_sound(m.fake);
		end();
	}
}

static void registers_are_read_from_every_callback(void **state)
{
	(void)state;
	on_every_way(look_around, OFTEN);
}

static void what_is_seen_is_acknowledged_from_every_callback(void **state)
{
	(void)state;
	on_every_way(acknowledge, OFTEN);
}

static void every_callback_rings(void **state)
{
	(void)state;
	on_every_way(ring_more, OFTEN);
}

static void every_callback_pumps(void **state)
{
	(void)state;
	on_every_way(pump, OFTEN);
}

static void every_callback_toggles_enables(void **state)
{
	(void)state;
	on_every_way(toggle, 2000);
}

static void devices_come_and_go_in_every_callback(void **state)
{
	(void)state;
	on_every_way(come_and_go, OFTEN);
}

static void every_callback_does_everything(void **state)
{
	(void)state;
	on_every_way(everything, 1000);
}

/* ---- a reset ---- */

static void reset_once(struct fake *fake)
{
	m.limit = m.times;
	nestfd_viommu_reset(fake->viommu);
	/* not in the middle of what is going on */
	assert_true(fake_reg(fake, CR0) & 8);
}

static void a_reset_waits_until_who_called_back_is_done(void **state)
{
	(void)state;
	EACH_QUEUE(queue)
	for (size_t i = 0; i < COUNT(ways); i++)
		for (int kind = 0; kind < 4; kind++) {
			struct fake *fake;

			if (ways[i].go == by_changing_ste ||
			    ways[i].go == by_smmuen)
				continue; /* several calls */
			start(queue);
			fake = m.fake;
			m.on_read = kind == 0;
			m.on_write = kind == 1;
			m.on_map = kind == 2;
			m.on_irq = kind == 3;
			m.what = reset_once;
			ways[i].go(fake);
			m.what = NULL;
			if (m.times) {
				assert_int_equal(fake_reg(fake, CR0), 0);
				assert_int_equal(fake_reg(fake, 0x24), 0);
				assert_int_equal(fake_reg(fake, 0x90), 0);
				assert_int_equal(fake_reg(fake, EVENTQ_PROD),
						 0);
				if (ways[i].go != by_device)
					assert_int_equal(fake->attached,
							 m.bypass);
			}
			nestfd_viommu_reset(fake->viommu);
			guest_boot(fake, fake->viommu);
			nestfd_viommu_write(fake->viommu, CR0, 4, 0xd);
			fake->on_ring = NULL;
			fake->on_array = NULL;
			fake->nissued = 0;
			guest_put(fake, TLBI(5));
			guest_put(fake, SYNC);
			guest_doorbell(fake, fake->viommu);
			assert_int_equal(fake_reg(fake, CONS), 2);
			assert_int_equal(fake->nissued, 1);
			end();
		}
}

/* ---- another thread, which the handler waits for ---- */

static void *elsewhere(void *arg)
{
	struct fake *fake = arg;

	look_around(fake);
	acknowledge(fake);
	toggle(fake);
	come_and_go(fake);
	assert_true(nestfd_viommu_pump(fake->viommu) >= 0);
	guest_put(fake, SYNC);
	guest_doorbell(fake, fake->viommu);
	return NULL;
}

static void wait_for_a_thread(struct fake *fake)
{
	pthread_t thread;

	m.what = NULL;
	assert_int_equal(pthread_create(&thread, NULL, elsewhere, fake), 0);
	pthread_join(thread, NULL);
}

static void on_signal_access(struct fake *fake, enum access access,
			     uint64_t gpa, size_t len)
{
	(void)fake;
	if (access == ACCESS_WRITE && gpa == MSI_ADDR && len == 4)
		call_back();
}

static void who_signals_holds_nothing(void **state)
{
	(void)state;
	EACH_QUEUE(queue)
	for (size_t i = 0; i < COUNT(ways); i++) {
		start(queue);
		m.fake->on_access = on_signal_access;
		m.what = wait_for_a_thread;
		ways[i].go(m.fake);
		check_sound(m.fake);
		end();
	}
}

/* ---- order ---- */

static uint32_t signalled_at[8];
static int signals;

static void note_cons(struct fake *fake)
{
	if (signals < 8)
		signalled_at[signals++] = fake_reg(fake, CONS);
}

/* 4.7.3: whoever is told finds CONS past the CMD_SYNC, and its work done. */
static void a_signal_comes_behind_cons(void **state)
{
	(void)state;
	EACH_QUEUE(queue)
	{
		struct fake *fake;

		start(queue);
		fake = m.fake;
		fake->on_access = on_signal_access;
		m.what = note_cons;
		signals = 0;
		guest_ste(fake, 0x10, 0x9, 0);
		guest_put(fake, TLBI(1));  /* 2 */
		guest_put(fake, SYNC_IRQ); /* 3 */
		guest_put(fake, SYNC_MSI); /* 4 */
		guest_put(fake, CFGI_STE); /* 5: changes */
		guest_put(fake, SYNC_IRQ); /* 6 */
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(signals, 4);
		assert_int_equal(signalled_at[0], 4);
		assert_int_equal(signalled_at[1], 5); /* the MSI, the wire */
		assert_int_equal(signalled_at[2], 5);
		assert_int_equal(signalled_at[3], 7);
		end();
	}
}

static void ring_a_sync(struct fake *fake)
{
	uint32_t cons = fake_reg(fake, CONS);

	m.what = NULL;
	guest_put(fake, SYNC_IRQ);
	guest_doorbell(fake, fake->viommu);
	/* the record is not there yet, so neither is the CMD_SYNC complete */
	assert_int_equal(fake_reg(fake, CONS), cons);
	m.what = note_cons;
	m.on_write = false;
}

static void a_sync_rung_while_a_record_is_written_waits_for_it(void **state)
{
	(void)state;
	EACH_QUEUE(queue)
	{
		struct fake *fake;

		start(queue);
		fake = m.fake;
		m.on_read = m.on_map = false;
		m.on_irq = false;
		m.what = ring_a_sync;
		by_event(fake);
		assert_int_equal(fake_reg(fake, CONS), 3);
		assert_int_equal(fake_reg(fake, EVENTQ_PROD), 1);
		assert_int_equal(m.irqs[0], 1);
		assert_int_equal(m.irqs[2], 1);
		end();
	}
}

/* Of two looks at an STE the later one counts, however late the other ends. */
static void change_under_the_reader(struct fake *fake)
{
	m.what = NULL;
	guest_ste(fake, 0x10, 0x9, 0);
	guest_put(fake, CFGI_STE);
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake->attached, m.bypass);
}

static void on_ste(struct fake *fake, enum access access, uint64_t gpa,
		   size_t len)
{
	(void)fake;
	if (access == ACCESS_READ && gpa == STRTAB_ADDR + 0x10 * 64 &&
	    len == 64)
		call_back();
}

static void the_later_look_at_an_ste_counts(void **state)
{
	(void)state;
	EACH_QUEUE(queue)
	{
		start(queue);
		nestfd_viommu_write(m.fake->viommu, CR0, 4, 0xe);
		m.fake->on_access = on_ste;
		m.what = change_under_the_reader;
		nestfd_viommu_write(m.fake->viommu, CR0, 4, 0xf);
		assert_int_equal(m.times, 1);
		assert_int_equal(m.fake->attached, m.bypass);
		end();
	}
}

/*
 * An attach ends what was asked before it, and the host may use the cookie for
 * another group then: as Linux does, the lowest that is free.
 */
static void groups_end_with_their_attachment(void **state)
{
	(void)state;
	start(NESTFD_QUEUE_AUTO);
	ask_page(m.fake, 3, 1);
	assert_int_equal(m.fake->nanswers, 0);
	guest_ste(m.fake, 0x10, 0x9, 0);
	guest_put(m.fake, CFGI_STE);
	guest_put(m.fake, SYNC);
	guest_doorbell(m.fake, m.fake->viommu);
	ask_page(m.fake, 5, 1);
	answer_page(m.fake, 3);
	assert_int_equal(m.fake->nanswers, 0);
	answer_page(m.fake, 5);
	assert_int_equal(m.fake->nanswers, 1);
	end();
}

/* The same while the device is only coming, and when it leaves meanwhile. */
static void leave_at_once(struct fake *fake)
{
	m.what = NULL;
	assert_int_equal(nestfd_viommu_device_remove(fake->viommu, 0x11), 0);
}

static void a_device_may_leave_while_it_comes(void **state)
{
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = 0x11,
		.dev_id = 9,
		.attach = fake_attach,
	};

	(void)state;
	start(NESTFD_QUEUE_AUTO);
	dev.ctx = m.fake;
	m.on_write = m.on_map = m.on_irq = false;
	m.what = leave_at_once;
	assert_int_equal(nestfd_viommu_device_add(m.fake->viommu, &dev), 0);
	assert_int_equal(m.fake->attached, 9); /* the parent */
	assert_int_equal(nestfd_viommu_device_remove(m.fake->viommu, 0x11),
			 -ENOENT);
	assert_int_equal(nestfd_viommu_device_add(m.fake->viommu, &dev), 0);
	end();
}

/* ---- many threads at once ---- */

struct player {
	void (*what)(struct fake *fake);
	pthread_t thread;
};

static atomic_bool playing;

static void *play(void *arg)
{
	struct player *player = arg;

	while (playing)
		player->what(m.fake);
	return NULL;
}

static void pump_some(struct fake *fake)
{
	assert_true(nestfd_viommu_pump(fake->viommu) >= 0);
}

static void set_gbpa(struct fake *fake)
{
	nestfd_viommu_write(fake->viommu, GBPA, 4, 0x80001000u);
}

static atomic_int nested;

/* What a VMM's handler may do at once, in whichever thread it runs */
static void quick_irq(struct fake *fake, unsigned int line)
{
	if (++nested < 50) {
		nestfd_viommu_write(fake->viommu, PROD, 4,
				    fake_reg(fake, PROD));
		if (!line)
			nestfd_viommu_pump(fake->viommu);
		set_gbpa(fake);
	}
	nested--;
}

static void callbacks_of_many_threads_go_on(void **state)
{
	struct player players[] = { { .what = pump_some },
				    { .what = set_gbpa },
				    { .what = come_and_go },
				    { .what = look_around } };

	(void)state;
	EACH_QUEUE(queue)
	{
		struct fake *fake;

		start(queue);
		fake = m.fake;
		fake->on_access = NULL;
		fake->on_irq = quick_irq;
		nested = 0;
		playing = true;
		for (size_t i = 0; i < COUNT(players); i++)
			pthread_create(&players[i].thread, NULL, play,
				       &players[i]);
		for (int turn = 0; turn < 300; turn++) {
			guest_ste(fake, 0x10, turn & 1 ? 0x4000b : 0x9,
				  turn & 1 ? 0xd6 : 0);
			guest_put(fake, CFGI_STE);
			guest_put(fake, SYNC_IRQ);
			guest_doorbell(fake, fake->viommu);
			while (((fake->cmdq_prod - fake_reg(fake, CONS)) &
				0x1ff) > 200)
				sched_yield();
		}
		playing = false;
		for (size_t i = 0; i < COUNT(players); i++)
			pthread_join(players[i].thread, NULL);
		assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
		fake->on_irq = on_irq;
		check_sound(fake);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_are_read_from_every_callback),
		cmocka_unit_test(
			what_is_seen_is_acknowledged_from_every_callback),
		cmocka_unit_test(every_callback_rings),
		cmocka_unit_test(every_callback_pumps),
		cmocka_unit_test(every_callback_toggles_enables),
		cmocka_unit_test(devices_come_and_go_in_every_callback),
		cmocka_unit_test(every_callback_does_everything),
		cmocka_unit_test(a_reset_waits_until_who_called_back_is_done),
		cmocka_unit_test(who_signals_holds_nothing),
		cmocka_unit_test(a_signal_comes_behind_cons),
		cmocka_unit_test(
			a_sync_rung_while_a_record_is_written_waits_for_it),
		cmocka_unit_test(the_later_look_at_an_ste_counts),
		cmocka_unit_test(groups_end_with_their_attachment),
		cmocka_unit_test(a_device_may_leave_while_it_comes),
		cmocka_unit_test(callbacks_of_many_threads_go_on),
	};

	return cmocka_run_group_tests_name("viommu callbacks", tests, NULL,
					   NULL);
}
