// SPDX-License-Identifier: MIT
/* See bad.h. Words are Arm IHI 0070's and the VT-d specification's. */
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

#define VSID	0x20u	      /* of the first device */
#define SPARE	0x80000000ULL /* an IOVA that comes and goes */
#define LATE_MS 150u	      /* as bad as a timeout: docs/security.md */
#define TRIES	64	      /* until it must be over its budget */
#define LIVES	2
#define FLOOD	200u

/* What differs: how things are asked, and said wrongly */
struct bad_arch {
	enum nestfd_arch arch;
	uint32_t type;
	uint32_t words; /* of an entry */
	int gives_up;	/* what a device in quarantine is answered */
	uint32_t doorbell;
	const char *refuse; /* hardware refuses what names the good device */
	void (*make)(struct bad *b);
	void (*nest)(struct bad *b, unsigned int d);
	void (*ask)(uint64_t *entry, unsigned int d, uint64_t addr);
	/* What @refuse refuses */
	void (*refused)(uint64_t *entry);
	/* Nearly something; asks at most the good device */
	void (*junk)(uint64_t *entry, uint64_t *random);
	/* Registers that a guest writes; the queue's base, then its tail */
	uint32_t base, tail;
	uint32_t regs[12];
};

static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* It runs beside others, where nothing can be asserted. */
static void expect(struct bad *b, bool as_it_should, const char *what)
{
	if (as_it_should)
		return;
	if (!b->wrongs++)
		b->wrong = what;
}

static int call(struct bad *b, unsigned long cmd, void *arg)
{
	return nestfd_ioctl(b->host.ctx, cmd, arg);
}

static void must(struct bad *b, unsigned long cmd, void *arg)
{
	expect(b, !call(b, cmd, arg), "an ioctl of its birth");
}

/* ---- the architectures ---- */

static void make_smmu(struct bad *b)
{
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = b->dev_id[0],
		.hwpt_id = b->host.parent,
	};
	struct iommu_veventq_alloc events = {
		.size = sizeof(events),
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = 4,
	};

	must(b, IOMMU_VIOMMU_ALLOC, &viommu);
	b->viommu = events.viommu_id = viommu.out_viommu_id;
	must(b, IOMMU_VEVENTQ_ALLOC, &events);
	b->events = (int)events.out_veventq_fd;
}

/* V, stage 1; EATS 1. The CD lies in RAM, and all it has is 0: not valid */
static void nest_smmu(struct bad *b, unsigned int d)
{
	struct iommu_hwpt_arm_smmuv3 ste = {
		.ste = { (HOST_RAM_BASE + 0x4000) | 0xb, 0x100000d6 }
	};
	struct iommu_vdevice_alloc vdevice = {
		.size = sizeof(vdevice),
		.viommu_id = b->viommu,
		.dev_id = b->dev_id[d],
		.virt_id = VSID + d,
	};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = b->dev_id[d],
		.pt_id = b->viommu,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(ste),
		.data_uptr = (uintptr_t)&ste,
		.fault_id = b->fault_id,
	};

	must(b, IOMMU_VDEVICE_ALLOC, &vdevice);
	must(b, IOMMU_HWPT_ALLOC, &hwpt);
	b->hwpt[d] = hwpt.out_hwpt_id;
	b->object[d] = b->viommu;
}

static void ask_smmu(uint64_t *entry, unsigned int d, uint64_t addr)
{
	entry[0] = 0x40 | (VSID + (uint64_t)d) << 32;
	entry[1] = addr;
}

static void refused_smmu(uint64_t *entry)
{
	entry[0] = 0x05 | (VSID + (uint64_t)BAD_GOOD) << 32;
	entry[1] = 1;
}

static void junk_smmu(uint64_t *entry, uint64_t *random)
{
	static const uint8_t ops[] = { 0x01, 0x03, 0x04, 0x05, 0x06, 0x10,
				       0x11, 0x12, 0x13, 0x20, 0x2a, 0x30,
				       0x41, 0x44, 0x46, 0xff };
	uint64_t mask = draw(random) % 4 ? ~0ULL << 32 : ~0ULL;

	entry[0] = (draw(random) & mask & ~0xffULL) | ops[draw(random) % 16];
	entry[1] = draw(random) & ~0xfffULL;
	if (draw(random) % 2)
		entry[0] = (entry[0] & 0xffffffff) | (VSID + draw(random) % 6)
							     << 32;
}

static void make_vtd(struct bad *b)
{
	(void)b;
}

static void nest_vtd(struct bad *b, unsigned int d)
{
	struct iommu_hwpt_vtd_s1 data = {
		.pgtbl_addr = HOST_RAM_BASE + 0x4000, /* nothing is in it */
		.addr_width = 48,
	};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = b->dev_id[d],
		.pt_id = b->host.parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
		.fault_id = b->fault_id,
	};

	must(b, IOMMU_HWPT_ALLOC, &hwpt);
	b->hwpt[d] = b->object[d] = hwpt.out_hwpt_id;
}

static void ask_vtd(uint64_t *entry, unsigned int d, uint64_t addr)
{
	(void)d;
	entry[0] = addr;
	entry[1] = 1;
	entry[2] = entry[3] = 0;
}

static void refused_vtd(uint64_t *entry)
{
	ask_vtd(entry, BAD_GOOD, 0x1000);
}

static void junk_vtd(uint64_t *entry, uint64_t *random)
{
	entry[0] = draw(random) & (draw(random) % 8 ? ~0xfffULL : ~0ULL);
	entry[1] = draw(random) % 8 ? draw(random) % 64 : draw(random);
	entry[2] = draw(random) % 4 ? 0 : draw(random);
	entry[3] = draw(random) % 8 ? 0 : draw(random);
}

static const struct bad_arch archs[] = {
	{
		.arch = NESTFD_ARCH_SMMUV3,
		.type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.words = 2,
		.gives_up = -ETIMEDOUT,
		.doorbell = 0x98,
		.refuse = "ill:op=5,n=1,dev=0x113",
		.make = make_smmu,
		.nest = nest_smmu,
		.ask = ask_smmu,
		.refused = refused_smmu,
		.junk = junk_smmu,
		.base = 0x90,
		.tail = 0x98,
		.regs = { 0x20, 0x28, 0x2c, 0x44, 0x50, 0x64, 0x80, 0x88, 0x9c,
			  0xa0, 0x64, 0x20 },
	},
	{
		.arch = NESTFD_ARCH_VTD,
		.type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.words = 4,
		.gives_up = 0, /* it is done: docs/abi.md */
		.doorbell = 0x88,
		.refuse = "ill:op=3,n=1,dev=0x113",
		.make = make_vtd,
		.nest = nest_vtd,
		.ask = ask_vtd,
		.refused = refused_vtd,
		.junk = junk_vtd,
		.base = 0x90,
		.tail = 0x88,
		.regs = { 0x18, 0x20, 0x28, 0x34, 0x38, 0x3c, 0x80, 0x9c, 0xa0,
			  0xdc, 0x34, 0x18 },
	},
};

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
	int rc = call(b, IOMMU_HWPT_INVALIDATE, &arg);

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

	return call(b, NESTFD_HWPT_INVALIDATE_RING, &arg);
}

static void inject(struct bad *b, const char *rule)
{
	struct nestfd_fault fault;

	expect(b,
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
		uint32_t n = 1 + (uint32_t)(draw(&b->random) % 64);

		for (uint32_t i = 0; i < n; i++)
			b->arch->junk(entry(b, i), &b->random);
		invalidate(b, BAD_GOOD, n, &done);
		expect(b, done <= n, "entry_num of nonsense");
	}
}

static void refused_by_hardware(struct bad *b)
{
	uint32_t done;

	inject(b, b->arch->refuse);
	b->arch->refused(entry(b, 0));
	if (!bad_is(&b->over)) /* VT-d: nobody would be asked */
		expect(b, invalidate(b, BAD_GOOD, 1, &done) == -EIO && !done,
		       "what hardware refuses");
	inject(b, "slow-sync:n=3,us=50");
	refused_smmu(entry(b, 0));
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
		uint64_t *at = entry(who->b, draw(&random) % BAD_QUEUE);

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
	expect(b, !pthread_create(&thread, NULL, scribble, &who), "a thread");
	for (int round = 0; round < 60; round++) {
		uint32_t cons = (uint32_t)(draw(&b->random) & 0x1ff);
		uint32_t was = cons;
		uint32_t ahead = (uint32_t)(draw(&b->random) % 40);
		uint32_t prod = (cons + ahead) & 0x1ff;
		int rc;

		if (round % 3 == 1)
			prod = (cons - 1 - ahead) & 0x1ff;
		if (round % 16 == 7)
			prod = (uint32_t)draw(&b->random) | 0x200;
		rc = ring(b, BAD_GOOD, &cons, prod);
		/* VT-d: an entry is EINVAL as well */
		expect(b, rc != -EINVAL || b->arch->words == 4 || cons == was,
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
		dma.iova = draw(&b->random) & 0xffffffff000;
		dma.flags = i % 4 == 3 ? NESTFD_DMA_TRANSLATED : 0;
		expect(b, nestfd_dma(b->dev[i % BAD_DEVICES], &dma) < 0,
		       "a DMA to nowhere");
	}
}

static void respond(struct bad *b, uint32_t cookie, uint32_t code, bool good)
{
	struct iommu_hwpt_page_response response = { cookie, code };
	ssize_t n = nestfd_write(b->host.ctx, b->faults, &response,
				 sizeof(response));

	expect(b, good || n == -EINVAL, "a bad answer to a page request");
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
		request.iova = draw(&b->random) & 0xffffffff000;
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
		uint32_t reg = draw(&b->random) % 4
				       ? arch->regs[draw(&b->random) % 12]
				       : arch->tail;
		uint64_t value = draw(&b->random) & 0xffffffff;

		arch->junk(words, &b->random);
		guest_command(g, words[0], words[1]);
		guest_write(g, reg, 4, value);
	}
	guest_write(g, arch->base, 8, 0xfff0000008ULL);
	guest_write(g, arch->regs[0], 4,
		    arch->arch == NESTFD_ARCH_VTD ? 0x84000000 : 0xd);
	guest_write(g, arch->tail, 4, 0x40);
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
	expect(b, as_if_asked(b, ask(b, BAD_SILENT), -ETIMEDOUT), "silent");
}

static void one_is_gone(struct bad *b)
{
	expect(b, as_if_asked(b, ask(b, BAD_GONE), -ETIMEDOUT), "gone");
}

static void one_is_late(struct bad *b)
{
	b->time->late_ms = LATE_MS;
	expect(b, as_if_asked(b, ask(b, BAD_LATE), 0), "late");
	b->time->late_ms = 0;
}

/* Which of them it was takes a search */
static void several_at_once(struct bad *b)
{
	uint32_t done;

	b->arch->ask(entry(b, 0), BAD_GOOD, 0x1000);
	for (uint32_t i = 1; i < 8; i++)
		b->arch->ask(entry(b, i), BAD_SILENT, i << 12);
	expect(b,
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

	expect(b, !call(b, IOMMU_IOAS_MAP, &map), "map");
	expect(b, !call(b, IOMMU_IOAS_UNMAP, &unmap), "unmap");
}

static void by_a_detach(struct bad *b)
{
	nestfd_device_reset(b->dev[BAD_GONE]);
	nestfd_detach(b->dev[BAD_GONE], NESTFD_NO_PASID);
	expect(b, !attach(b, BAD_GONE), "attach");
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

	must(b, IOMMU_IOAS_ALLOC, &ioas);
	b->host.ioas = map.ioas_id = hwpt.pt_id = ioas.out_ioas_id;
	must(b, IOMMU_IOAS_MAP, &map);
	must(b, IOMMU_HWPT_ALLOC, &hwpt);
	b->host.parent = hwpt.out_hwpt_id;
	must(b, IOMMU_FAULT_QUEUE_ALLOC, &faults);
	b->fault_id = faults.out_fault_id;
	b->faults = (int)faults.out_fault_fd;
}

static void live(struct bad *b)
{
	struct nestfd_ext_enable on = {
		.size = sizeof(on),
		.features = NESTFD_EXT_ERRORS | NESTFD_EXT_RING,
	};

	expect(b, !nestfd_open(b->host.machine, &b->host.ctx), "open");
	must(b, NESTFD_EXT_ENABLE, &on);
	for (unsigned int d = 0; d < BAD_DEVICES; d++)
		expect(b, !nestfd_bind(b->host.ctx, b->dev[d], &b->dev_id[d]),
		       "bind");
	make_parent(b);
	b->arch->make(b);
	for (unsigned int d = 0; d < BAD_DEVICES; d++) {
		b->arch->nest(b, d);
		expect(b, !attach(b, d), "attach at its birth");
	}
	b->cookies = 0;
	expect(b, !guest_start(&b->front, &b->host, 1, 5), "its front");
}

/* With all that is on its way, answered or not */
static void die(struct bad *b)
{
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
	expect(b, false, "it is never over its budget");
}

static void *run(void *arg)
{
	struct bad *b = arg;

	for (int i = 1; i < LIVES; i++) {
		whatever_asks(b);
		die(b);
		/* whoever comes next is another guest, with its own window */
		frozen_wait(b->time);
		live(b);
		for (unsigned int d = 0; d < BAD_DEVICES; d++)
			nestfd_device_reset(b->dev[d]);
	}
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
	b->arch = &archs[arch == NESTFD_ARCH_VTD];
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
