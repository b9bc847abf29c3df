// SPDX-License-Identifier: MIT
/* See bad.h. */
#include "bad.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <nestfd/ext.h>

#include "bad_arch.h"

#define SPARE	0x80000000ULL /* an IOVA that comes and goes */
#define LATE_MS 150u	      /* as bad as a timeout: docs/security.md */
#define TRIES	64	      /* until it must be over its budget */
#define FLOOD	200u

/* ---- calls ---- */

/* @n entries of *b->queue* that device @d's object is given */
static int invalidate(struct bad *b, unsigned int d, uint32_t n, uint32_t *done)
{
	struct nestfd_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = b->object[d],
		.data_uptr = (uintptr_t)b->queue,
		.data_type = b->arch->type,
		.entry_len = b->arch->words * 8,
		.entry_num = n,
	};
	int rc = bad_call(b, IOMMU_HWPT_INVALIDATE, &arg);

	*done = arg.entry_num;
	return rc;
}

static uint64_t *entry(struct bad *b, uint32_t i)
{
	return &b->queue[(size_t)i * b->arch->words];
}

static int ask(struct bad *b, unsigned int d)
{
	uint32_t done;

	b->arch->ask(entry(b, 0), d, 0x1000);
	return invalidate(b, d, 1, &done);
}

static int ring(struct bad *b, unsigned int d, uint32_t *cons, uint32_t prod)
{
	struct nestfd_hwpt_invalidate_ring arg = {
		.size = sizeof(arg),
		.hwpt_id = b->object[d],
		.q_uptr = (uintptr_t)b->queue,
		.q_cons_uptr = (uintptr_t)cons,
		.q_prod = prod,
		.q_index_bits = 8,
		.q_entry_num = BAD_QUEUE,
		.q_entry_len = b->arch->words * 8,
		.data_type = b->arch->type,
	};

	return bad_call(b, NESTFD_HWPT_INVALIDATE_RING, &arg);
}

static void inject(struct bad *b, const char *rule)
{
	struct nestfd_fault fault;

	bad_expect(b,
		   !nestfd_inject_parse(rule, &fault) &&
			   !nestfd_inject(b->time->machine, &fault),
		   rule);
}

static int attach(struct bad *b, unsigned int d)
{
	uint32_t pt_id = b->hwpt[d];

	return nestfd_attach(b->dev[d], NESTFD_NO_PASID, &pt_id);
}

/* ---- wrong, but asks nobody who does not answer ---- */

static void nonsense_in_arrays(struct bad *b)
{
	uint32_t done;

	for (int round = 0; round < 20; round++) {
		uint32_t n = 1 + (uint32_t)(bad_draw(&b->random) % 64);

		for (uint32_t i = 0; i < n; i++)
			b->arch->junk(entry(b, i), &b->random);
		invalidate(b, BAD_GOOD, n, &done);
		bad_expect(b, done <= n, "entry_num of nonsense");
	}
}

static void refused_by_hardware(struct bad *b)
{
	uint32_t done;

	inject(b, b->arch->refuse);
	b->arch->refused(entry(b, 0));
	if (!bad_is(&b->over)) /* VT-d: nobody would be asked */
		bad_expect(b,
			   invalidate(b, BAD_GOOD, 1, &done) == -EIO && !done,
			   "what hardware refuses");
	inject(b, "slow-sync:n=3,us=50");
}

struct scribbler {
	struct bad *b;
	bool stop; /* atomic */
};

/* Another CPU rewrites the queue while it is read. */
static void *scribble(void *arg)
{
	struct scribbler *who = arg;
	uint64_t random = 0x7654321;
	uint64_t junk[4] = { 0 };

	while (!bad_is(&who->stop)) {
		uint64_t *at = entry(who->b, bad_draw(&random) % BAD_QUEUE);

		who->b->arch->junk(junk, &random);
		for (uint32_t i = 0; i < who->b->arch->words; i++)
			__atomic_store_n(&at[i], junk[i], __ATOMIC_RELAXED);
	}
	return NULL;
}

/* PROD goes forth and back, and beyond what there is. */
static void a_ring_that_moves(struct bad *b)
{
	struct scribbler who = { .b = b };
	pthread_t thread;

	for (uint32_t i = 0; i < BAD_QUEUE; i++)
		b->arch->junk(entry(b, i), &b->random);
	bad_expect(b, !pthread_create(&thread, NULL, scribble, &who),
		   "a thread");
	for (int round = 0; round < 60; round++) {
		uint32_t cons = (uint32_t)(bad_draw(&b->random) & 0x1ff);
		uint32_t was = cons;
		uint32_t ahead = (uint32_t)(bad_draw(&b->random) % 40);
		uint32_t prod = (cons + ahead) & 0x1ff;
		int rc;

		if (round % 3 == 1)
			prod = (cons - 1 - ahead) & 0x1ff;
		if (round % 16 == 7)
			prod = (uint32_t)bad_draw(&b->random) | 0x200;
		rc = ring(b, BAD_GOOD, &cons, prod);
		/* VT-d: an entry is EINVAL as well */
		bad_expect(b,
			   rc != -EINVAL || b->arch->words == 4 || cons == was,
			   "a ring refused");
	}
	__atomic_store_n(&who.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
}

/* More faults than anybody has room for, and nobody reads them */
static void a_flood_of_dma(struct bad *b)
{
	uint64_t word = 0;
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.pasid = NESTFD_NO_PASID,
		.buf = &word,
		.length = sizeof(word),
	};

	for (unsigned int i = 0; i < FLOOD; i++) {
		dma.iova = bad_draw(&b->random) & 0xffffffff000;
		dma.flags = i % 4 == 3 ? NESTFD_DMA_TRANSLATED : 0;
		bad_expect(b, nestfd_dma(b->dev[i % BAD_DEVICES], &dma) < 0,
			   "a DMA to nowhere");
	}
}

static void respond(struct bad *b, uint32_t cookie, uint32_t code, bool good)
{
	struct iommu_hwpt_page_response response = { cookie, code };
	ssize_t n = nestfd_write(b->host.ctx, b->faults, &response,
				 sizeof(response));

	bad_expect(b, good || n == -EINVAL, "a bad answer to a page request");
}

/* What is there to be answered; some of it will be, later */
static void read_requests(struct bad *b)
{
	struct iommu_hwpt_pgfault fault;

	while (nestfd_read(b->host.ctx, b->faults, &fault, sizeof(fault)) ==
	       sizeof(fault)) {
		respond(b, fault.cookie, 17, false);
		respond(b, fault.cookie + 1000, 0, false);
		if (b->cookies < BAD_PENDING)
			b->cookie[b->cookies++] = fault.cookie;
	}
}

static void page_requests(struct bad *b)
{
	struct nestfd_page_request request = {
		.size = sizeof(request),
		.pasid = NESTFD_NO_PASID,
	};

	/* late, and twice */
	for (unsigned int i = 0; i < b->cookies; i++) {
		respond(b, b->cookie[i], 1, true);
		respond(b, b->cookie[i], 0, false);
	}
	b->cookies = 0;
	for (unsigned int i = 0; i < 3 * FLOOD; i++) {
		request.iova = bad_draw(&b->random) & 0xffffffff000;
		request.group = b->groups++ % 512;
		request.flags =
			NESTFD_PAGE_READ | (i % 5 ? NESTFD_PAGE_LAST : 0);
		nestfd_page_request(b->dev[i % BAD_DEVICES], &request);
	}
	read_requests(b);
}

/* The guest's CPU, and a queue where there is no memory */
static void nonsense_in_registers(struct bad *b)
{
	const struct bad_arch *arch = b->arch;
	struct guest *g = &b->front;
	uint64_t words[4] = { 0 };

	for (int round = 0; round < 200; round++) {
		uint32_t reg = bad_draw(&b->random) % 4
				       ? arch->regs[bad_draw(&b->random) % 12]
				       : arch->tail;
		uint64_t value = bad_draw(&b->random) & 0xffffffff;

		arch->junk(words, &b->random);
		guest_command(g, words[0], words[1]);
		guest_write(g, reg, 4, value);
	}
	bad_expect(b, arch->queue_nowhere(g), "its queue is nowhere");
}

static void whatever_asks_nobody(struct bad *b)
{
	nonsense_in_arrays(b);
	refused_by_hardware(b);
	a_ring_that_moves(b);
	a_flood_of_dma(b);
	page_requests(b);
	nonsense_in_registers(b);
}

/* ---- asks devices that do not answer, or not in time ---- */

/* What it is answered is looked at while its budget lasts. */
static bool as_if_asked(const struct bad *b, int rc, int should)
{
	return rc == should || rc == b->arch->gives_up;
}

static void one_is_silent(struct bad *b)
{
	bad_expect(b, as_if_asked(b, ask(b, BAD_SILENT), -ETIMEDOUT), "silent");
}

static void one_is_gone(struct bad *b)
{
	bad_expect(b, as_if_asked(b, ask(b, BAD_GONE), -ETIMEDOUT), "gone");
}

static void one_is_late(struct bad *b)
{
	b->time->late_ms = LATE_MS;
	bad_expect(b, as_if_asked(b, ask(b, BAD_LATE), 0), "late");
	b->time->late_ms = 0;
}

/* Which of them it was takes a search */
static void several_at_once(struct bad *b)
{
	uint32_t done;

	b->arch->ask(entry(b, 0), BAD_GOOD, 0x1000);
	for (uint32_t i = 1; i < 8; i++)
		b->arch->ask(entry(b, i), BAD_SILENT, i << 12);
	bad_expect(
		b,
		as_if_asked(b, invalidate(b, BAD_SILENT, 8, &done), -ETIMEDOUT),
		"several at once");
}

static void by_a_ring(struct bad *b)
{
	uint32_t cons = 0;

	for (uint32_t i = 0; i < 8; i++)
		b->arch->ask(entry(b, i), BAD_SILENT, i << 12);
	ring(b, BAD_SILENT, &cons, 8);
}

/* The host's own invalidations */
static void by_an_unmap(struct bad *b)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = b->host.ioas,
		.user_va = (uintptr_t)b->host.ram,
		.length = 4096,
		.iova = SPARE,
	};
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = b->host.ioas,
		.iova = SPARE,
		.length = 4096,
	};

	bad_expect(b, !bad_call(b, IOMMU_IOAS_MAP, &map), "map");
	bad_expect(b, !bad_call(b, IOMMU_IOAS_UNMAP, &unmap), "unmap");
}

static void by_a_detach(struct bad *b)
{
	nestfd_device_reset(b->dev[BAD_GONE]);
	nestfd_detach(b->dev[BAD_GONE], NESTFD_NO_PASID);
	bad_expect(b, !attach(b, BAD_GONE), "attach");
}

static void by_a_reset(struct bad *b)
{
	for (unsigned int d = 0; d < BAD_DEVICES; d++)
		nestfd_device_reset(b->dev[d]);
	ask(b, BAD_SILENT);
}

/* Others' calls are there meanwhile, behind it */
static void met(struct bad *b, void (*deed)(struct bad *b))
{
	b->time->meets = true;
	deed(b);
	b->time->meets = false;
}

/* In each of these it asks somebody who is to blame, if it may. */
static void whatever_asks(struct bad *b)
{
	static void (*const deeds[])(struct bad * b) = {
		one_is_silent, one_is_gone, one_is_late,  several_at_once,
		by_a_ring,     by_an_unmap, by_a_detach,  by_a_reset,
		one_is_gone,   one_is_late, one_is_silent
	};

	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		whatever_asks_nobody(b);
		met(b, deeds[i]);
	}
}

/* ---- life ---- */

static void make_host(struct bad *b, struct nestfd_machine *machine)
{
	b->host = (struct host){
		.arch = b->arch->arch,
		.guests = 2,
		.ats = true,
		.page_requests = 8,
		.ram_size = 2 * GUEST_PART,
		.machine = machine,
	};
	b->host.ram = mmap(NULL, b->host.ram_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(b->host.ram != MAP_FAILED);
}

static void make_parent(struct bad *b)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.user_va = (uintptr_t)b->host.ram,
		.length = b->host.ram_size,
		.iova = HOST_RAM_BASE,
	};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = b->dev_id[0],
	};
	struct iommu_fault_alloc faults = { .size = sizeof(faults) };

	bad_must(b, IOMMU_IOAS_ALLOC, &ioas);
	b->host.ioas = map.ioas_id = hwpt.pt_id = ioas.out_ioas_id;
	bad_must(b, IOMMU_IOAS_MAP, &map);
	bad_must(b, IOMMU_HWPT_ALLOC, &hwpt);
	b->host.parent = hwpt.out_hwpt_id;
	bad_must(b, IOMMU_FAULT_QUEUE_ALLOC, &faults);
	b->fault_id = faults.out_fault_id;
	b->faults = (int)faults.out_fault_fd;
}

static void live(struct bad *b)
{
	struct nestfd_ext_enable on = {
		.size = sizeof(on),
		.features = NESTFD_EXT_ERRORS | NESTFD_EXT_RING,
	};

	bad_expect(b, !nestfd_open(b->host.machine, &b->host.ctx), "open");
	bad_must(b, NESTFD_EXT_ENABLE, &on);
	for (unsigned int d = 0; d < BAD_DEVICES; d++)
		bad_expect(b,
			   !nestfd_bind(b->host.ctx, b->dev[d], &b->dev_id[d]),
			   "bind");
	make_parent(b);
	b->arch->make(b);
	for (unsigned int d = 0; d < BAD_DEVICES; d++) {
		b->arch->nest(b, d);
		bad_expect(b, !attach(b, d), "attach at its birth");
	}
	b->cookies = 0;
	bad_expect(b, !guest_start(&b->front, &b->host, 1, 5), "its front");
}

/* Of all the events there are the few that had room, and that others are lost
 */
static void look_at_events(struct bad *b)
{
	uint32_t record[10] = { 0 }; /* flags, sequence, the event */
	unsigned int n = 0;

	while (nestfd_read(b->host.ctx, b->events, record, sizeof(record)) ==
		       sizeof(record) &&
	       !record[0])
		n++;
	bad_expect(b, n == BAD_EVENTS && record[0] == 1, "events are lost");
}

/* With all that is on its way, answered or not */
static void die(struct bad *b)
{
	if (b->events)
		look_at_events(b);
	guest_stop(&b->front);
	nestfd_close(b->host.ctx);
}

/* A guest cannot be told to be over: its VMM notices that nobody is asked */
static bool is_over(struct bad *b)
{
	uint64_t was = frozen_delays(b->time);

	for (unsigned int d = 0; d < BAD_GOOD; d++) {
		nestfd_device_reset(b->dev[d]);
		if (ask(b, d) != b->arch->gives_up)
			return false;
	}
	return frozen_delays(b->time) == was;
}

static void spend_the_rest(struct bad *b)
{
	for (int i = 0; i < TRIES; i++) {
		met(b, by_a_reset);
		frozen_wait(b->time);
		if (is_over(b))
			return;
		frozen_wait(b->time);
	}
	bad_expect(b, false, "it is never over its budget");
}

static void *run(void *arg)
{
	struct bad *b = arg;

	whatever_asks(b);
	die(b);
	/* whoever comes next is another guest, with a window of its own */
	frozen_wait(b->time);
	live(b);
	for (unsigned int d = 0; d < BAD_DEVICES; d++)
		nestfd_device_reset(b->dev[d]);
	whatever_asks(b);
	spend_the_rest(b);
	__atomic_store_n(&b->over, true, __ATOMIC_RELEASE);
	frozen_wait(b->time);
	whatever_asks(b);
	die(b);
	__atomic_store_n(&b->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void *run_once_watched(void *arg)
{
	struct bad *b = arg;

	b->time->bad = pthread_self();
	frozen_wait(b->time);
	return run(b);
}

static void add_devices(struct bad *b)
{
	for (unsigned int d = 0; d < BAD_DEVICES; d++) {
		struct nestfd_device_config config = {
			.size = sizeof(config),
			.stream_id = BAD_SID + d,
			.ats = true,
			.page_requests = 8,
		};

		assert_int_equal(
			nestfd_device_add(b->host.machine, &config, &b->dev[d]),
			0);
	}
}

void bad_start(struct bad *b, enum nestfd_arch arch,
	       struct nestfd_machine *machine, struct frozen *time)
{
	memset(b, 0, sizeof(*b));
	b->arch = arch == NESTFD_ARCH_VTD ? &bad_vtd : &bad_smmuv3;
	b->time = time;
	b->random = 0x123456789;
	make_host(b, machine);
	frozen_start(time, machine, b->arch->doorbell);
	add_devices(b);
	live(b);
	inject(b, "atc-timeout:dev=0x110");
	inject(b, "gone:dev=0x111");
	inject(b, "atc-late:dev=0x112,us=1");
	assert_int_equal(b->wrongs, 0);
	assert_int_equal(pthread_create(&b->thread, NULL, run_once_watched, b),
			 0);
	while (!frozen_is_held(time))
		;
}

void bad_stop(struct bad *b)
{
	pthread_join(b->thread, NULL);
	for (unsigned int d = 0; d < BAD_DEVICES; d++)
		nestfd_device_remove(b->dev[d]);
	frozen_stop(b->time);
	munmap(b->host.ram, b->host.ram_size);
	if (b->wrongs)
		fail_msg("for the bad one: %s, %u times", b->wrong, b->wrongs);
}
