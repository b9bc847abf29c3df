// SPDX-License-Identifier: MIT
/*
 * A guest that has page requests: from its device through the host into its PRI
 * queue, and its CMD_PRI_RESP back (Arm IHI 0070 chapter 8, 4.5.2). Words are
 * worked out by hand.
 */
#include "kit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "guest.h"

#define X	  0x7000000ULL
#define VSID	  0x10ULL
#define PRIQ	  0x20000ULL /* in the guest's part; 16 requests */
#define PRIQ_BASE 0xc0
#define PRIQ_PROD 0x100c8
#define PRIQ_CONS 0x100cc
#define EV_PROD	  0x100a8
#define CONS	  0x9c
#define OVFLG	  0x80000000u
#define READ	  NESTFD_PAGE_READ
#define LAST	  NESTFD_PAGE_LAST
#define ALONE	  NESTFD_NO_PASID

struct world {
	struct host host; /* first: callbacks' ctx */
	_Atomic unsigned int irqs;
	struct guest g;
};

static void on_irq(void *ctx, unsigned int line)
{
	struct world *w = ctx;

	w->irqs += line == 1;
}

static void wr(struct world *w, uint32_t offset, unsigned int bytes,
	       uint64_t value)
{
	nestfd_viommu_write(w->g.viommu, offset, bytes, value);
}

static uint32_t rd(struct world *w, uint32_t offset)
{
	return (uint32_t)nestfd_viommu_read(w->g.viommu, offset, 4);
}

/* 16 requests, interrupts; SMMUEN, PRIQEN, EVENTQEN, CMDQEN */
static void boot_pri(struct world *w)
{
	wr(w, PRIQ_BASE, 8, (w->g.base + PRIQ) | 4);
	wr(w, 0x50, 4, 6);
	wr(w, 0x20, 4, 0xf);
}

static void begin(struct world *w, bool pri, enum nestfd_queue queue)
{
	memset(w, 0, sizeof(*w));
	w->host = (struct host){
		.cache = NESTFD_CACHE_HOSTILE,
		.guests = 1,
		.ats = true,
		.pri = pri,
		.page_requests = 300,
		.queue = queue,
		.irq = on_irq,
	};
	assert_int_equal(host_start(&w->host), 0);
	assert_int_equal(guest_start(&w->g, &w->host, 0, 1), 0);
	boot_pri(w);
}

static void end(struct world *w)
{
	guest_stop(&w->g);
	host_stop(&w->host);
}

static void ask(struct world *w, uint32_t group, uint64_t iova, uint32_t flags)
{
	struct nestfd_page_request request = {
		.size = sizeof(request),
		.iova = iova,
		.pasid = ALONE,
		.flags = flags,
		.group = group,
	};

	assert_int_equal(nestfd_page_request(w->g.dev, &request), 0);
}

static int told(struct world *w, uint32_t group)
{
	struct nestfd_page_response response = { 0 };
	int rc = nestfd_page_wait(w->g.dev, group, 0, &response);

	return rc ? rc : (int)response.code;
}

static uint64_t record(struct world *w, uint32_t n, unsigned int word)
{
	return guest_get(&w->g, w->g.base + PRIQ + (n & 15) * 16 + word * 8);
}

/* Resp: 0 failure, 1 invalid, 2 success */
static void respond(struct world *w, uint64_t vsid, uint64_t group,
		    uint64_t resp)
{
	guest_command(&w->g, 0x41 | vsid << 32, resp << 12 | group);
	guest_ring(&w->g);
}

static int dma(struct world *w, uint64_t iova, uint64_t *word)
{
	struct nestfd_dma d = {
		.size = sizeof(d),
		.iova = iova,
		.pasid = ALONE,
		.flags = NESTFD_DMA_TRANSLATED,
		.buf = word,
		.length = 8,
	};

	return nestfd_dma(w->g.dev, &d);
}

static void fault_a_page_in(enum nestfd_queue queue)
{
	struct pollfd fd = { .events = POLLIN };
	uint64_t word = 0;
	struct world w;

	begin(&w, true, queue);
	assert_true(nestfd_viommu_read(w.g.viommu, 0, 4) & 1u << 16);
	fd.fd = nestfd_viommu_fault_fd(w.g.viommu);
	assert_int_equal(poll(&fd, 1, 0), 0);
	assert_int_equal(dma(&w, X, &word), -EIO);
	ask(&w, 0x1a5, X, READ);
	assert_int_equal(poll(&fd, 1, 0), 0);
	ask(&w, 0x1a5, X + PAGE, READ | NESTFD_PAGE_WRITE | LAST);
	assert_int_equal(poll(&fd, 1, 0), 1);
	assert_int_equal(nestfd_viommu_pump(w.g.viommu), 2);
	assert_int_equal(w.irqs, 1);
	assert_int_equal(rd(&w, PRIQ_PROD), 2);
	/* Last 62, W 61, R 60 */
	assert_true(record(&w, 0, 0) == (1ULL << 60 | VSID));
	assert_true(record(&w, 0, 1) == (X | 0x1a5));
	assert_true(record(&w, 1, 0) == (7ULL << 60 | VSID));
	assert_true(record(&w, 1, 1) == ((X + PAGE) | 0x1a5));
	wr(&w, PRIQ_CONS, 4, 2);
	guest_put(&w.g, guest_page(&w.g, 3), 0x1234);
	guest_map(&w.g, X, guest_page(&w.g, 3));
	assert_int_equal(told(&w, 0x1a5), -EINPROGRESS);
	respond(&w, VSID, 0x1a5, 2);
	assert_int_equal(rd(&w, CONS) & 0x1ffff, w.g.prod);
	assert_int_equal(told(&w, 0x1a5), NESTFD_PAGE_SUCCESS);
	assert_int_equal(dma(&w, X, &word), 0);
	assert_int_equal(word, 0x1234);
	end(&w);
}

static void a_guest_faults_a_page_in(void **state)
{
	(void)state;
	fault_a_page_in(NESTFD_QUEUE_ARRAY);
	fault_a_page_in(NESTFD_QUEUE_AUTO);
	fault_a_page_in(NESTFD_QUEUE_RING);
}

/* Not offered: ILLEGAL, and the host answers as nobody takes faults. */
static void without_the_option_there_is_no_pri(void **state)
{
	struct world w;

	(void)state;
	begin(&w, false, NESTFD_QUEUE_ARRAY);
	assert_int_equal(nestfd_viommu_read(w.g.viommu, 0, 4) & 1u << 16, 0);
	assert_int_equal(nestfd_viommu_fault_fd(w.g.viommu), -1);
	assert_int_equal(rd(&w, 0x24), 0xd);
	ask(&w, 1, X, READ | LAST);
	assert_int_equal(told(&w, 1), NESTFD_PAGE_INVALID);
	respond(&w, VSID, 1, 2);
	assert_int_equal(rd(&w, CONS) >> 24, 1);
	end(&w);
}

static void an_answer_counts_for_its_group_and_once(void **state)
{
	/* Failure has no word in the ABI */
	static const int codes[] = { 1, 1, 0 };
	struct world w;

	(void)state;
	begin(&w, true, NESTFD_QUEUE_ARRAY);
	for (uint32_t resp = 0; resp < 3; resp++) {
		ask(&w, resp, X, READ | LAST);
		assert_int_equal(nestfd_viommu_pump(w.g.viommu), 1);
		respond(&w, VSID + 1, resp, resp);
		respond(&w, VSID, resp + 1, resp);
		respond(&w, VSID, 0x1ff, resp);
		assert_int_equal(told(&w, resp), -EINPROGRESS);
		respond(&w, VSID, resp, resp);
		assert_int_equal(told(&w, resp), codes[resp]);
		respond(&w, VSID, resp, 2);
		assert_int_equal(told(&w, resp), -ENOENT);
		/* nor does it count for what is asked afterwards */
		ask(&w, resp, X, READ | LAST);
		assert_int_equal(nestfd_viommu_pump(w.g.viommu), 1);
		assert_int_equal(told(&w, resp), -EINPROGRESS);
		respond(&w, VSID, resp, 2);
		assert_int_equal(told(&w, resp), 0);
		assert_int_equal(rd(&w, CONS) & 0x1ffff, w.g.prod);
	}
	end(&w);
}

/*
 * The host has answered what the stream's former STE had asked. The guest's
 * own answer to that comes late, and finds another group in its place.
 */
static void a_late_answer_is_no_other_groups(void **state)
{
	struct world w;

	(void)state;
	begin(&w, true, NESTFD_QUEUE_ARRAY);
	ask(&w, 0, X, READ | LAST);
	assert_int_equal(nestfd_viommu_pump(w.g.viommu), 1);
	guest_set_stream(&w.g, GUEST_BYPASS);
	assert_int_equal(told(&w, 0), 1);
	ask(&w, 3, X, READ | LAST);
	assert_int_equal(nestfd_viommu_pump(w.g.viommu), 1);
	respond(&w, VSID, 0, 1);
	assert_int_equal(told(&w, 3), -EINPROGRESS);
	respond(&w, VSID, 3, 2);
	assert_int_equal(told(&w, 3), 0);
	end(&w);
}

/* A SYNC in front of an answer completes before the device hears of it. */
static void what_is_in_front_of_an_answer_comes_first(void **state)
{
	uint64_t word = 0;
	struct world w;

	(void)state;
	begin(&w, true, NESTFD_QUEUE_ARRAY);
	guest_put(&w.g, guest_page(&w.g, 0), 111);
	guest_put(&w.g, guest_page(&w.g, 1), 222);
	guest_map(&w.g, X, guest_page(&w.g, 0));
	assert_int_equal(dma(&w, X, &word), 0);
	ask(&w, 0, X, READ | LAST);
	nestfd_viommu_pump(w.g.viommu);
	guest_map(&w.g, X, guest_page(&w.g, 1));
	guest_command(&w.g, guest_tlbi_va_0(&w.g), guest_tlbi_va_1(X));
	guest_command(&w.g, GUEST_SYNC);
	guest_command(&w.g, 0x40 | VSID << 32, 52);
	guest_command(&w.g, GUEST_SYNC);
	respond(&w, VSID, 0, 2);
	assert_int_equal(told(&w, 0), 0);
	assert_int_equal(dma(&w, X, &word), 0);
	assert_int_equal(word, 222);
	assert_int_equal(rd(&w, CONS) & 0x1ffff, w.g.prod);
	end(&w);
}

/* 8.1: the guest's own queue */
static void the_guests_queue_overflows_by_the_rules(void **state)
{
	struct world w;

	(void)state;
	begin(&w, true, NESTFD_QUEUE_ARRAY);
	for (uint32_t i = 0; i < 20; i++)
		ask(&w, i, X, READ | LAST);
	assert_int_equal(nestfd_viommu_pump(w.g.viommu), 20);
	assert_int_equal(rd(&w, PRIQ_PROD), OVFLG | 16);
	assert_int_equal(w.irqs, 1);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(told(&w, i), i < 16 ? -EINPROGRESS : 0);
	/* room alone does not help */
	wr(&w, PRIQ_CONS, 4, 16);
	ask(&w, 30, X, READ | LAST);
	assert_int_equal(nestfd_viommu_pump(w.g.viommu), 1);
	assert_int_equal(told(&w, 30), 0);
	wr(&w, PRIQ_CONS, 4, OVFLG | 16);
	ask(&w, 31, X, READ | LAST);
	assert_int_equal(nestfd_viommu_pump(w.g.viommu), 1);
	assert_int_equal(told(&w, 31), -EINPROGRESS);
	assert_int_equal(rd(&w, PRIQ_PROD), OVFLG | 17);
	assert_int_equal(w.irqs, 2);
	/* off: refused (8.2) */
	wr(&w, 0x20, 4, 0xd);
	ask(&w, 32, X, READ | LAST);
	assert_int_equal(nestfd_viommu_pump(w.g.viommu), 1);
	assert_int_equal(told(&w, 32), NESTFD_PAGE_INVALID);
	end(&w);
}

/* GERROR.PRIQ_ABT (3) is the guest's, and is repaired by it */
static void a_queue_without_memory_is_the_guests_own_error(void **state)
{
	struct world w;

	(void)state;
	begin(&w, true, NESTFD_QUEUE_ARRAY);
	wr(&w, 0x20, 4, 0xd);
	wr(&w, PRIQ_BASE, 8, 0x3f000000004);
	wr(&w, 0x20, 4, 0xf);
	ask(&w, 0, X, READ | LAST);
	assert_int_equal(nestfd_viommu_pump(w.g.viommu), 1);
	assert_int_equal(told(&w, 0), NESTFD_PAGE_INVALID);
	assert_int_equal(rd(&w, 0x60), 8);
	wr(&w, 0x20, 4, 0xd);
	boot_pri(&w);
	wr(&w, 0x64, 4, 8);
	ask(&w, 1, X, READ | LAST);
	assert_int_equal(nestfd_viommu_pump(w.g.viommu), 1);
	assert_int_equal(told(&w, 1), -EINPROGRESS);
	end(&w);
}

/* One request in its queue, one on its way, one without an end */
static void begin_in_the_middle(struct world *w)
{
	begin(w, true, NESTFD_QUEUE_ARRAY);
	ask(w, 0, X, READ | LAST);
	assert_int_equal(nestfd_viommu_pump(w->g.viommu), 1);
	ask(w, 1, X, READ | LAST);
	ask(w, 2, X, READ);
}

static void a_guest_that_never_answers_is_answered_for(void **state)
{
	struct world w;

	(void)state;
	/* reset */
	begin_in_the_middle(&w);
	nestfd_viommu_reset(w.g.viommu);
	assert_int_equal(told(&w, 0), NESTFD_PAGE_INVALID);
	assert_int_equal(told(&w, 1), NESTFD_PAGE_INVALID);
	assert_int_equal(rd(&w, PRIQ_PROD), 0);
	end(&w);
	/* another STE: it may answer what it has seen, to no effect */
	begin_in_the_middle(&w);
	guest_set_stream(&w.g, GUEST_BYPASS);
	assert_int_equal(told(&w, 0), NESTFD_PAGE_INVALID);
	assert_int_equal(told(&w, 1), NESTFD_PAGE_INVALID);
	respond(&w, VSID, 0, 2);
	assert_int_equal(told(&w, 0), -ENOENT);
	assert_int_equal(rd(&w, CONS) & 0x1ffff, w.g.prod);
	assert_int_equal(nestfd_viommu_pump(w.g.viommu), 0);
	ask(&w, 3, X, READ | LAST);
	assert_int_equal(nestfd_viommu_pump(w.g.viommu), 1);
	respond(&w, VSID, 3, 2);
	assert_int_equal(told(&w, 3), 0);
	end(&w);
	/* its device is taken away */
	begin_in_the_middle(&w);
	assert_int_equal(nestfd_viommu_device_remove(w.g.viommu, VSID), 0);
	assert_int_equal(told(&w, 0), NESTFD_PAGE_INVALID);
	assert_int_equal(told(&w, 1), NESTFD_PAGE_INVALID);
	respond(&w, VSID, 0, 2);
	assert_int_equal(nestfd_viommu_pump(w.g.viommu), 0);
	end(&w);
	/* it ends */
	begin_in_the_middle(&w);
	nestfd_viommu_destroy(w.g.viommu);
	assert_int_equal(told(&w, 0), NESTFD_PAGE_INVALID);
	assert_int_equal(told(&w, 1), NESTFD_PAGE_INVALID);
	nestfd_device_remove(w.g.dev);
	host_stop(&w.host);
}

/* CD.S is ILLEGAL to a guest without a stall model, and no question. */
static void a_cd_that_stalls_is_a_bad_one(void **state)
{
	uint64_t word;
	struct world w;

	(void)state;
	begin(&w, true, NESTFD_QUEUE_ARRAY);
	guest_put(&w.g, w.g.base + 0x2000,
		  guest_get(&w.g, w.g.base + 0x2000) | 1ULL << 44);
	guest_command(&w.g, 0x05 | VSID << 32, 1);
	guest_command(&w.g, GUEST_SYNC);
	guest_ring(&w.g);
	assert_int_equal(kit_read(w.g.dev, X, &word), -EIO);
	guest_command(&w.g, GUEST_SYNC);
	guest_ring(&w.g);
	assert_int_equal(rd(&w, EV_PROD), 1);
	/* C_BAD_CD */
	assert_true(guest_get(&w.g, w.g.base + 0x10000) == (VSID << 32 | 0x0a));
	assert_int_equal(nestfd_viommu_pump(w.g.viommu), 0);
	end(&w);
}

/* More members than one read takes at first */
static void a_long_group_arrives_whole(void **state)
{
	struct world w;

	(void)state;
	begin(&w, true, NESTFD_QUEUE_ARRAY);
	wr(&w, 0x20, 4, 0xd);
	wr(&w, PRIQ_BASE, 8, (w.g.base + PRIQ) | 8);
	wr(&w, 0x20, 4, 0xf);
	for (uint32_t n = 0; n < 2; n++) {
		for (uint64_t i = 0; i < 200; i++)
			ask(&w, 7, X + i * PAGE, READ | (i == 199 ? LAST : 0));
		assert_int_equal(nestfd_viommu_pump(w.g.viommu), 200);
		respond(&w, VSID, 7, 2);
		assert_int_equal(told(&w, 7), 0);
		assert_int_equal(rd(&w, PRIQ_PROD), 200 * (n + 1));
		wr(&w, PRIQ_CONS, 4, 200 * (n + 1));
	}
	end(&w);
}

/* ---- threads ---- */

#define ROUNDS 300

struct parts {
	struct world *w;
	_Atomic bool stop;
	_Atomic int bad; /* a line */
};

/* The VMM's thread */
static void *pump_run(void *arg)
{
	struct parts *p = arg;

	while (!p->stop)
		if (nestfd_viommu_pump(p->w->g.viommu) < 0)
			p->bad = __LINE__;
	return NULL;
}

/* The guest: maps what is asked for, and answers */
static void *guest_run(void *arg)
{
	struct parts *p = arg;
	struct world *w = p->w;
	uint32_t cons = 0;

	while (!p->stop) {
		while (cons != (rd(w, PRIQ_PROD) & 31)) {
			uint64_t dw1 = record(w, cons, 1);

			guest_map(&w->g, dw1 & ~0xfffULL,
				  guest_page(&w->g, dw1 & 0x1ff));
			cons = (cons + 1) & 31;
			wr(w, PRIQ_CONS, 4, cons);
			respond(w, VSID, dw1 & 0x1ff, 2);
		}
		guest_command(&w->g, GUEST_SYNC);
		guest_ring(&w->g);
	}
	return NULL;
}

static void *device_run(void *arg)
{
	struct parts *p = arg;
	struct nestfd_page_response response;
	struct world *w = p->w;
	uint64_t word;

	for (uint32_t i = 0; i < ROUNDS && !p->bad; i++) {
		if (dma(w, X + i * PAGE, &word) != -EIO)
			p->bad = __LINE__;
		ask(w, i, X + i * PAGE, READ | LAST);
		if (nestfd_page_wait(w->g.dev, i, 60000, &response) ||
		    response.code)
			p->bad = __LINE__;
		if (dma(w, X + i * PAGE, &word) || word != i)
			p->bad = __LINE__;
	}
	p->stop = true;
	return NULL;
}

static void device_guest_and_vmm_are_threads(void **state)
{
	void *(*const run[])(void *) = { pump_run, guest_run, device_run };
	pthread_t threads[3];
	struct world w;
	struct parts p = { .w = &w };

	(void)state;
	begin(&w, true, NESTFD_QUEUE_AUTO);
	for (uint32_t i = 0; i < ROUNDS; i++)
		guest_put(&w.g, guest_page(&w.g, i), i);
	for (unsigned int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, run[i], &p);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(p.bad, 0);
	end(&w);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_faults_a_page_in),
		cmocka_unit_test(without_the_option_there_is_no_pri),
		cmocka_unit_test(an_answer_counts_for_its_group_and_once),
		cmocka_unit_test(a_late_answer_is_no_other_groups),
		cmocka_unit_test(what_is_in_front_of_an_answer_comes_first),
		cmocka_unit_test(the_guests_queue_overflows_by_the_rules),
		cmocka_unit_test(
			a_queue_without_memory_is_the_guests_own_error),
		cmocka_unit_test(a_guest_that_never_answers_is_answered_for),
		cmocka_unit_test(a_cd_that_stalls_is_a_bad_one),
		cmocka_unit_test(a_long_group_arrives_whole),
		cmocka_unit_test(device_guest_and_vmm_are_threads),
	};

	return RUN(tests, argc, argv);
}
