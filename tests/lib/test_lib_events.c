// SPDX-License-Identifier: MIT
/*
 * Events from the hardware to the guest: IHI 0070 7.2 to 7.4 through driver,
 * vEVENTQ and libviommu; their order against invalidations (4.7.3); and guests
 * that have neighbours which do everything wrong. Words are worked out by hand.
 */
#include "kit.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "guest.h"

#define X	      0x7000000ULL
#define VSID	      0x10ULL
#define IRQ_ON	      0x50
#define CR2	      0x2c
#define CONS	      0x9c
#define GERROR	      0x60
#define GERRORN	      0x64
#define EV_PROD	      0x100a8
#define EV_CONS	      0x100ac
#define EVENTQ	      0x10000ULL /* in the guest's part; 256 records */
#define OVFLG	      0x80000000u
#define PRIQ	      0x20000ULL /* 16 requests */
#define PRIQ_PROD     0x100c8
#define PRIQ_CONS     0x100cc
#define READ	      NESTFD_PAGE_READ
#define LAST	      NESTFD_PAGE_LAST

#define F_TRANSLATION 0x10
/* dw1: RnW (35), CLASS IN (2 at 40) */
#define READ_OF_DATA 0x20800000000ULL

struct world {
	struct host host; /* first: callbacks' ctx */
	_Atomic unsigned int irqs;
	struct guest a;
	struct guest b;
};

static void on_irq(void *ctx, unsigned int line)
{
	struct world *w = ctx;

	if (!line)
		w->irqs++;
}

static void boot_events(struct guest *g)
{
	nestfd_viommu_write(g->viommu, IRQ_ON, 4, 4);
}

static void begin(struct world *w, bool no_count, enum nestfd_queue queue)
{
	memset(w, 0, sizeof(*w));
	w->host = (struct host){
		.no_count = no_count,
		.cache = NESTFD_CACHE_HOSTILE,
		.guests = 2,
		.queue = queue,
		.irq = on_irq,
	};
	assert_int_equal(host_start(&w->host), 0);
	assert_int_equal(guest_start(&w->a, &w->host, 0, 1), 0);
	assert_int_equal(guest_start_as(&w->b, &w->host, 1, 1, 0x11), 0);
	boot_events(&w->a);
	boot_events(&w->b);
}

static void end(struct world *w)
{
	guest_stop(&w->b);
	guest_stop(&w->a);
	host_stop(&w->host);
}

static uint32_t rd(const struct guest *g, uint32_t offset)
{
	return (uint32_t)nestfd_viommu_read(g->viommu, offset, 4);
}

static uint64_t event_word(const struct guest *g, uint32_t n, unsigned int word)
{
	return guest_get(g, g->base + EVENTQ + (n & 255) * 32 + word * 8);
}

static int touch(struct guest *g, uint64_t iova)
{
	uint64_t word;

	return kit_read(g->dev, iova, &word);
}

static uint64_t lost(const struct guest *g)
{
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };

	nestfd_viommu_stats(g->viommu, &stats);
	return stats.events_lost;
}

/* ---- the way of one event ---- */

static void a_fault_reaches_the_guest_that_caused_it(void **state)
{
	struct pollfd fd = { .events = POLLIN };
	struct world w;

	(void)state;
	begin(&w, false, NESTFD_QUEUE_ARRAY);
	assert_int_equal(touch(&w.b, X + 0x123000), -EIO);
	assert_int_equal(rd(&w.b, EV_PROD), 0);
	fd.fd = nestfd_viommu_event_fd(w.b.viommu);
	assert_int_equal(poll(&fd, 1, 0), 1);
	assert_int_equal(nestfd_viommu_pump(w.a.viommu), 0);
	assert_int_equal(nestfd_viommu_pump(w.b.viommu), 1);
	assert_int_equal(nestfd_viommu_pump(w.b.viommu), 0);
	assert_int_equal(poll(&fd, 1, 0), 0);
	assert_int_equal(rd(&w.a, EV_PROD), 0);
	assert_int_equal(rd(&w.b, EV_PROD), 1);
	assert_int_equal(w.irqs, 1);
	assert_true(event_word(&w.b, 0, 0) == (0x11ULL << 32 | F_TRANSLATION));
	assert_true(event_word(&w.b, 0, 1) == READ_OF_DATA);
	assert_true(event_word(&w.b, 0, 2) == X + 0x123000);
	assert_true(event_word(&w.b, 0, 3) == 0);
	end(&w);
}

/* What the host has not mapped is not the guest's business. */
static void a_fault_of_stage_2_stays_with_the_host(void **state)
{
	struct world w;

	(void)state;
	begin(&w, false, NESTFD_QUEUE_ARRAY);
	guest_map(&w.a, X, 0x3f000000000); /* beyond RAM */
	assert_int_equal(touch(&w.a, X), -EIO);
	assert_int_equal(nestfd_viommu_pump(w.a.viommu), 0);
	/* a stage-1 table there: stage 2 faults on the walk */
	guest_put(&w.a, w.a.base + 0x3000 + 8, 0x3f000000003);
	assert_int_equal(touch(&w.a, 0x40000000), -EIO);
	assert_int_equal(nestfd_viommu_pump(w.a.viommu), 0);
	assert_int_equal(rd(&w.a, EV_PROD), 0);
	assert_int_equal(touch(&w.a, X + 0x1000), -EIO);
	assert_int_equal(nestfd_viommu_pump(w.a.viommu), 1);
	end(&w);
}

/* 7.4: OVFLG toggles once until it is acknowledged; 3.18: edge when empty */
static void the_guests_queue_overflows_by_the_rules(void **state)
{
	struct world w;

	(void)state;
	begin(&w, false, NESTFD_QUEUE_ARRAY);
	for (uint64_t i = 0; i < 300; i++)
		assert_int_equal(touch(&w.a, X + i * PAGE), -EIO);
	assert_int_equal(nestfd_viommu_pump(w.a.viommu), 300);
	assert_int_equal(w.irqs, 1);
	assert_int_equal(rd(&w.a, EV_PROD), OVFLG | 256);
	assert_int_equal(lost(&w.a), 44);
	for (uint32_t i = 0; i < 256; i++)
		assert_true(event_word(&w.a, i, 2) == X + i * PAGE);
	/* room, but not acknowledged: events do come, unlike page requests */
	nestfd_viommu_write(w.a.viommu, EV_CONS, 4, 255);
	assert_int_equal(touch(&w.a, X), -EIO);
	assert_int_equal(nestfd_viommu_pump(w.a.viommu), 1);
	assert_int_equal(rd(&w.a, EV_PROD), OVFLG | 257);
	assert_int_equal(w.irqs, 1);
	nestfd_viommu_write(w.a.viommu, EV_CONS, 4, OVFLG | 257);
	assert_int_equal(touch(&w.a, X), -EIO);
	assert_int_equal(nestfd_viommu_pump(w.a.viommu), 1);
	assert_int_equal(rd(&w.a, EV_PROD), OVFLG | 258);
	assert_int_equal(w.irqs, 2);
	end(&w);
}

/* A vEVENTQ of 64; the flag comes behind what was kept */
static void a_client_is_told_of_what_it_lost(void **state)
{
	struct iommufd_vevent_header header;
	char buf[65 * 40 + 8];
	uint32_t viommu, vdevice, queue, hwpt;
	struct world w;
	int fd;

	(void)state;
	begin(&w, false, NESTFD_QUEUE_ARRAY);
	assert_int_equal(nestfd_viommu_device_remove(w.a.viommu, VSID), 0);
	assert_int_equal(
		kit_viommu(w.host.ctx, w.a.dev_id, w.host.parent, &viommu), 0);
	assert_int_equal(
		kit_vdevice(w.host.ctx, viommu, w.a.dev_id, 0x1234, &vdevice),
		0);
	assert_int_equal(kit_veventq(w.host.ctx, viommu, &queue, &fd), 0);
	/* no valid CD: C_BAD_CD, every time */
	assert_int_equal(kit_nested(w.host.ctx, w.a.dev_id, viommu,
				    (w.a.base + 0x5000) | 0xb, 0, &hwpt),
			 0);
	assert_int_equal(kit_attach(w.a.dev, hwpt), 0);
	for (uint64_t i = 0; i < 70; i++)
		assert_int_equal(touch(&w.a, X + i * PAGE), -EIO);
	assert_int_equal(nestfd_read(w.host.ctx, fd, buf, sizeof(buf)),
			 64 * 40 + 8);
	for (uint32_t i = 0; i < 65; i++) {
		uint64_t dw0;

		memcpy(&header, buf + i * 40, sizeof(header));
		assert_int_equal(header.flags,
				 i == 64 ? IOMMU_VEVENTQ_FLAG_LOST_EVENTS : 0);
		assert_int_equal(header.sequence, i == 64 ? 69 : i);
		if (i == 64)
			break;
		memcpy(&dw0, buf + i * 40 + 8, sizeof(dw0));
		assert_true(dw0 == (0x1234ULL << 32 | 0x0a));
	}
	assert_int_equal(nestfd_read(w.host.ctx, fd, buf, sizeof(buf)), 0);
	end(&w);
}

/* ---- streams without a valid STE ---- */

static void rewrite_ste(struct guest *g, uint64_t dw0)
{
	guest_put(g, g->base + g->vsid * 64, dw0);
	guest_command(g, 0x03 | (uint64_t)g->vsid << 32, 1);
	guest_command(g, GUEST_SYNC);
	guest_ring(g);
}

static void an_invalid_ste_is_told_and_one_that_aborts_is_not(void **state)
{
	/* V 0; Config 6 and 7, which there is no stage 2 for */
	static const uint64_t invalid[] = { 0, 0xd, 0xf };
	uint32_t n = 0;
	struct world w;

	(void)state;
	begin(&w, false, NESTFD_QUEUE_ARRAY);
	for (unsigned int i = 0; i < 3; i++) {
		rewrite_ste(&w.a, 0x1); /* abort: silently */
		assert_int_equal(touch(&w.a, X), -EIO);
		assert_int_equal(nestfd_viommu_pump(w.a.viommu), 0);
		rewrite_ste(&w.a, invalid[i]);
		assert_int_equal(touch(&w.a, X), -EIO);
		assert_int_equal(nestfd_viommu_pump(w.a.viommu), 1);
		/* C_BAD_STE, and nothing else that is not 0 */
		assert_true(event_word(&w.a, n, 0) == (VSID << 32 | 0x04));
		for (unsigned int word = 1; word < 4; word++)
			assert_true(event_word(&w.a, n, word) == 0);
		n++;
	}
	guest_map(&w.a, X, guest_page(&w.a, 0));
	guest_set_stream(&w.a, GUEST_NESTED);
	assert_int_equal(touch(&w.a, X), 0);
	assert_int_equal(nestfd_viommu_pump(w.a.viommu), 0);
	end(&w);
}

/* ---- order ---- */

static void syncs_bring_events(bool no_count, enum nestfd_queue queue,
			       unsigned int tlbis)
{
	struct world w;

	begin(&w, no_count, queue);
	for (uint32_t n = 0; n < 300; n++) {
		assert_int_equal(touch(&w.a, X + n * PAGE), -EIO);
		assert_int_equal(rd(&w.a, EV_PROD) & 0x1ff, n % 512);
		for (unsigned int i = 0; i < tlbis; i++)
			guest_command(&w.a, guest_tlbi_va_0(&w.a),
				      guest_tlbi_va_1(X));
		guest_command(&w.a, GUEST_SYNC);
		guest_ring(&w.a);
		assert_int_equal(rd(&w.a, EV_PROD), (n + 1) % 512);
		assert_true(event_word(&w.a, n, 2) == X + n * PAGE);
		nestfd_viommu_write(w.a.viommu, EV_CONS, 4, (n + 1) % 512);
	}
	assert_int_equal(w.irqs, 300);
	assert_int_equal(lost(&w.a), 0);
	end(&w);
}

/* Nobody pumps: 4.7.3 */
static void
an_event_is_in_the_guests_queue_when_its_sync_completes(void **state)
{
	(void)state;
	for (unsigned int tlbis = 0; tlbis < 5; tlbis++) {
		syncs_bring_events(false, NESTFD_QUEUE_ARRAY, tlbis);
		syncs_bring_events(true, NESTFD_QUEUE_ARRAY, tlbis);
		syncs_bring_events(false, NESTFD_QUEUE_AUTO, tlbis);
		syncs_bring_events(true, NESTFD_QUEUE_AUTO, tlbis);
	}
}

static void a_counter_is_that_of_an_event_queue(void **state)
{
	const uint32_t *count;
	uint32_t before;
	struct world w;

	(void)state;
	begin(&w, false, NESTFD_QUEUE_ARRAY);
	assert_null(nestfd_event_count(w.host.ctx, -1));
	count = nestfd_event_count(w.host.ctx,
				   nestfd_viommu_event_fd(w.a.viommu));
	assert_non_null(count);
	before = *count;
	touch(&w.b, X);
	assert_int_equal(*count, before);
	touch(&w.a, X);
	assert_int_equal(*count, before + 1);
	nestfd_viommu_pump(w.a.viommu);
	assert_int_equal(*count, before + 1);
	end(&w);
}

struct tester {
	struct guest *g;
	_Atomic uint64_t done; /* faults that have happened, in order */
	_Atomic uint64_t seen;
	_Atomic bool stop;
	bool reads;
	/* lost by when the last event came: a gap behind is told later */
	uint64_t known;
	_Atomic int bad; /* the line that was not as expected; 0: none */
};

/* In a thread that is not the test's own */
#define EXPECT(t, what) \
	((what) || (t)->bad ? (void)0 : (void)((t)->bad = __LINE__))

/* Faults at one page after the other, as long as the guest keeps up */
static void *fault_run(void *arg)
{
	struct tester *t = arg;

	for (uint64_t n = 0; !t->stop; n++) {
		while (t->reads && n - t->seen >= 100 && !t->stop)
			sched_yield();
		touch(t->g, X + (n & 0xfff) * PAGE);
		t->done = n + 1;
	}
	return NULL;
}

/* What the record says is the one that was expected, or some were lost */
static void expect_next(struct tester *t, uint32_t at, uint64_t *seen)
{
	uint64_t n = (event_word(t->g, at, 2) - X) / PAGE;
	uint64_t gap = (n - *seen) & 0xfff;

	if (gap)
		EXPECT(t, lost(t->g) > t->known);
	*seen += gap + 1;
}

/*
 * What had happened before the CMD_SYNC was submitted is there when it has
 * completed; in order, and none is missing that is not said to be.
 */
static void *guest_run(void *arg)
{
	struct tester *t = arg;
	uint64_t seen = 0;
	uint32_t at = 0;

	for (unsigned int round = 0; round < 1500; round++) {
		uint64_t told = lost(t->g);
		uint64_t done = t->done;
		uint32_t prod;
		bool fresh;

		if (round & 1)
			guest_command(t->g, guest_tlbi_va_0(t->g),
				      guest_tlbi_va_1(X));
		guest_command(t->g, GUEST_SYNC);
		guest_ring(t->g);
		prod = rd(t->g, EV_PROD);
		EXPECT(t, !(prod & OVFLG));
		for (fresh = at != prod; at != prod; at = (at + 1) & 511)
			expect_next(t, at, &seen);
		if (seen < done) {
			EXPECT(t, lost(t->g) > t->known);
			seen = done;
		}
		if (fresh)
			t->known = told;
		nestfd_viommu_write(t->g->viommu, EV_CONS, 4, prod);
		t->seen = seen;
	}
	t->stop = true;
	return NULL;
}

/* Two guests that look, and one that floods and never looks */
static void events_come_before_syncs_whoever_else_faults(void **state)
{
	struct tester t[3] = { { .reads = true }, { .reads = true } };
	pthread_t dma[3], vcpu[2];
	struct guest flood;
	struct world w;

	(void)state;
	memset(&w, 0, sizeof(w));
	w.host = (struct host){ .guests = 3, .irq = on_irq };
	assert_int_equal(host_start(&w.host), 0);
	assert_int_equal(guest_start(&w.a, &w.host, 0, 1), 0);
	assert_int_equal(guest_start(&w.b, &w.host, 1, 1), 0);
	assert_int_equal(guest_start(&flood, &w.host, 2, 1), 0);
	t[0].g = &w.a;
	t[1].g = &w.b;
	t[2].g = &flood;
	for (unsigned int i = 0; i < 3; i++)
		pthread_create(&dma[i], NULL, fault_run, &t[i]);
	for (unsigned int i = 0; i < 2; i++)
		pthread_create(&vcpu[i], NULL, guest_run, &t[i]);
	for (unsigned int i = 0; i < 2; i++) {
		pthread_join(vcpu[i], NULL);
		assert_int_equal(t[i].bad, 0);
	}
	t[2].stop = true;
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(dma[i], NULL);
	guest_stop(&flood);
	end(&w);
}

/* ---- two guests, one misbehaving ---- */

static void fault(struct nestfd_machine *machine, enum nestfd_fault_kind kind,
		  uint32_t sid)
{
	struct nestfd_fault rule = {
		.size = sizeof(rule),
		.kind = kind,
		.opcode = NESTFD_FAULT_ANY,
		.stream_id = sid,
		.count = 3,
	};

	assert_int_equal(nestfd_inject(machine, &rule), 0);
}

/* Acknowledges, and goes on behind the command at fault */
static void overcome(struct guest *g)
{
	uint32_t gerror = rd(g, GERROR);
	uint32_t at = rd(g, CONS) & 0x1ffff;

	if (!((gerror ^ rd(g, GERRORN)) & 1))
		return;
	if (rd(g, CONS) >> 24 == 1) {
		guest_put(g, guest_command_at(g, at), 0x46);
		guest_put(g, guest_command_at(g, at) + 8, 0);
	}
	nestfd_viommu_write(g->viommu, GERRORN, 4, gerror);
}

static void ask(struct guest *g, uint32_t group, uint32_t flags)
{
	struct nestfd_page_request request = {
		.size = sizeof(request),
		.iova = X,
		.pasid = NESTFD_NO_PASID,
		.flags = flags,
		.group = group,
	};

	nestfd_page_request(g->dev, &request);
}

/* Resp 2: success */
static void respond(struct guest *g, uint32_t group)
{
	guest_command(g, 0x41 | (uint64_t)g->vsid << 32, 2ULL << 12 | group);
	guest_ring(g);
}

/*
 * Requests that nobody reads, that nobody answers, that are answered twice, for
 * others and too late; groups without an end
 */
static void ask_for_nothing(struct guest *g, unsigned int round)
{
	for (uint32_t i = 0; i < 2000; i++) {
		ask(g, i % 500, i % 3 ? READ : READ | LAST);
		if (round % 4 || i % 100)
			continue;
		nestfd_viommu_pump(g->viommu);
		nestfd_viommu_write(g->viommu, PRIQ_CONS, 4, rd(g, PRIQ_PROD));
		respond(g, i % 500);
		respond(g, i % 500);
		respond(g, 511 - i % 500);
	}
	if (round % 8)
		return;
	/* all that is left is answered by the host: what comes now is late */
	guest_set_stream(g, GUEST_BYPASS);
	for (uint32_t i = 0; i < 500; i += 7)
		respond(g, i);
	guest_set_stream(g, GUEST_NESTED);
}

static void misbehave(struct guest *g, unsigned int round)
{
	struct nestfd_machine *machine = g->host->machine;
	uint32_t sid = 0x100 + g->index;

	switch (round % 6) {
	case 0: /* illegal by the guest, and by the hardware */
		guest_command(g, 0xff, 0);
		guest_ring(g);
		break;
	case 1:
		fault(machine, NESTFD_FAULT_ILL, sid);
		guest_command(g, 0x40 | (uint64_t)g->vsid << 32, 52);
		guest_command(g, GUEST_SYNC);
		guest_ring(g);
		break;
	case 2:
		fault(machine, NESTFD_FAULT_ATC_TIMEOUT, sid);
		guest_command(g, 0x40 | (uint64_t)g->vsid << 32, 52);
		guest_command(g, GUEST_SYNC);
		guest_ring(g);
		break;
	case 3: /* events that nobody reads */
		for (uint64_t i = 0; i < 600; i++)
			touch(g, X + 0x100000 + i * PAGE);
		break;
	case 4:
		ask_for_nothing(g, round / 6);
		break;
	case 5:
		guest_put(g, g->base + g->vsid * 64, round);
		guest_command(g, 0x03 | (uint64_t)g->vsid << 32, 1);
		guest_ring(g);
		guest_set_stream(g, GUEST_NESTED);
		break;
	}
	overcome(g);
	overcome(g);
	nestfd_inject_clear(machine);
}

/* A page request, what the guest sees of it, and what the device is told */
static void fault_in(struct guest *g, unsigned int round)
{
	struct pollfd fd = {
		.fd = nestfd_viommu_fault_fd(g->viommu),
		.events = POLLIN,
	};
	struct nestfd_page_response response = { 0 };
	uint32_t prod = rd(g, PRIQ_PROD);
	uint32_t group = round % 512;

	ask(g, group, READ | LAST);
	assert_int_equal(poll(&fd, 1, 10000), 1);
	assert_int_equal(nestfd_viommu_pump(g->viommu), 1);
	assert_int_equal(rd(g, PRIQ_PROD), (prod + 1) & 31);
	assert_int_equal(guest_get(g, g->base + PRIQ + (prod & 15) * 16 + 8),
			 X | group);
	nestfd_viommu_write(g->viommu, PRIQ_CONS, 4, (prod + 1) & 31);
	assert_int_equal(nestfd_page_wait(g->dev, group, 0, &response),
			 -EINPROGRESS);
	respond(g, group);
	assert_int_equal(nestfd_page_wait(g->dev, group, 10000, &response), 0);
	assert_int_equal(response.code, NESTFD_PAGE_SUCCESS);
}

/* What a well-behaved guest does and sees; its fault at each end */
static void behave(struct guest *g, unsigned int round)
{
	uint64_t page = guest_page(g, round % 7);
	uint64_t word = 0;
	uint32_t events = rd(g, EV_PROD) & 0x1ff;

	guest_put(g, page, round);
	guest_map(g, X, page);
	guest_invalidate(g, X);
	fault_in(g, round);
	assert_int_equal(kit_read(g->dev, X, &word), 0);
	assert_int_equal(word, round);
	assert_int_equal(touch(g, X + PAGE), -EIO);
	guest_map(g, X, 0);
	guest_command(g, 0x40 | (uint64_t)g->vsid << 32, 52);
	guest_invalidate(g, X);
	assert_int_equal(touch(g, X), -EIO);
	guest_command(g, GUEST_SYNC);
	guest_ring(g);
	assert_int_equal(rd(g, CONS) & 0x1ffff, g->prod);
	assert_int_equal(rd(g, GERROR), 0);
	assert_int_equal(rd(g, EV_PROD), (events + 2) & 0x1ff);
	assert_true(event_word(g, events, 2) == X + PAGE);
	assert_true(event_word(g, events + 1, 2) == X);
	nestfd_viommu_write(g->viommu, EV_CONS, 4, (events + 2) & 0x1ff);
}

static void *misbehave_run(void *arg)
{
	struct tester *t = arg;

	for (unsigned int round = 0; !t->stop; round++)
		misbehave(t->g, round);
	return NULL;
}

/* 16 requests; SMMUEN, PRIQEN, EVENTQEN, CMDQEN */
static void boot_pri(struct guest *g)
{
	nestfd_viommu_write(g->viommu, 0xc0, 8, (g->base + PRIQ) | 4);
	nestfd_viommu_write(g->viommu, 0x20, 4, 0xf);
}

static void begin_pri(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->host = (struct host){
		.guests = 2,
		.ats = true,
		.pri = true,
		.page_requests = 5000,
		.irq = on_irq,
	};
	assert_int_equal(host_start(&w->host), 0);
	assert_int_equal(guest_start(&w->a, &w->host, 0, 1), 0);
	assert_int_equal(guest_start(&w->b, &w->host, 1, 1), 0);
	boot_pri(&w->a);
	boot_pri(&w->b);
}

static void a_guest_does_not_notice_a_misbehaving_one(void **state)
{
	struct world w;

	(void)state;
	begin_pri(&w);
	for (unsigned int round = 0; round < 120; round++) {
		misbehave(&w.b, round);
		behave(&w.a, round);
	}
	assert_int_equal(lost(&w.a), 0);
	end(&w);
}

static void nor_one_that_does_so_at_the_same_time(void **state)
{
	struct tester t = { 0 };
	pthread_t thread;
	struct world w;

	(void)state;
	begin_pri(&w);
	t.g = &w.b;
	assert_int_equal(pthread_create(&thread, NULL, misbehave_run, &t), 0);
	for (unsigned int round = 0; round < 400; round++)
		behave(&w.a, round);
	t.stop = true;
	pthread_join(thread, NULL);
	end(&w);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_reaches_the_guest_that_caused_it),
		cmocka_unit_test(a_fault_of_stage_2_stays_with_the_host),
		cmocka_unit_test(the_guests_queue_overflows_by_the_rules),
		cmocka_unit_test(a_client_is_told_of_what_it_lost),
		cmocka_unit_test(
			an_invalid_ste_is_told_and_one_that_aborts_is_not),
		cmocka_unit_test(
			an_event_is_in_the_guests_queue_when_its_sync_completes),
		cmocka_unit_test(a_counter_is_that_of_an_event_queue),
		cmocka_unit_test(events_come_before_syncs_whoever_else_faults),
		cmocka_unit_test(a_guest_does_not_notice_a_misbehaving_one),
		cmocka_unit_test(nor_one_that_does_so_at_the_same_time),
	};

	return RUN(tests, argc, argv);
}
