// SPDX-License-Identifier: MIT
/*
 * Page requests, stalls, and the fd on which a client answers them: any
 * requests, any answers of any length, while devices come and go. An answer is
 * taken only for a question that has been read and not answered; and a
 * neighbour's question gets its neighbour's answer, whatever happens.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "input.h"
#include "nestfd/nestfd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS	200
#define PAGE	4096u
#define X	0x40000000ULL
#define COOKIES 64u

struct client {
	struct nestfd *ctx;
	struct nestfd_device *dev;
	uint32_t dev_id; /* 0: not bound */
	uint32_t ioas;
	uint32_t queue;
	int fd; /* -1: closed */
	uint32_t hwpt;
};

struct world {
	struct nestfd_machine *machine;
	struct client bad;
	struct client good;
	uint32_t cookies[COOKIES]; /* that the bad one has seen */
	uint64_t asked;		   /* groups it has read */
	uint64_t answered;
	char *memory;
};

static void must(int rc)
{
	if (rc)
		abort();
}

static void make_hwpt(struct client *c)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID,
		.dev_id = c->dev_id,
		.pt_id = c->ioas,
		.fault_id = c->queue,
	};

	must(nestfd_ioctl(c->ctx, IOMMU_HWPT_ALLOC, &arg));
	c->hwpt = arg.out_hwpt_id;
}

static void client_start(struct world *w, struct client *c, uint32_t sid)
{
	struct nestfd_device_config device = {
		.size = sizeof(device),
		.stream_id = sid,
		.pasid_bits = 4,
		.ats = true,
		.page_requests = 100,
		.stall = true,
	};
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_fault_alloc queue = { .size = sizeof(queue) };

	must(nestfd_device_add(w->machine, &device, &c->dev));
	must(nestfd_open(w->machine, &c->ctx));
	must(nestfd_bind(c->ctx, c->dev, &c->dev_id));
	must(nestfd_ioctl(c->ctx, IOMMU_IOAS_ALLOC, &ioas));
	c->ioas = ioas.out_ioas_id;
	must(nestfd_ioctl(c->ctx, IOMMU_FAULT_QUEUE_ALLOC, &queue));
	c->queue = queue.out_fault_id;
	c->fd = (int)queue.out_fault_fd;
	make_hwpt(c);
	must(nestfd_attach(c->dev, NESTFD_NO_PASID, &(uint32_t){ c->hwpt }));
}

static void world_start(struct world *w)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_SMMUV3,
		.pri = true,
	};

	memset(w, 0, sizeof(*w));
	must(nestfd_machine_create(&config, &w->machine));
	client_start(w, &w->bad, 1);
	client_start(w, &w->good, 2);
	w->memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->memory == MAP_FAILED || mprotect(w->memory + PAGE, PAGE, 0))
		abort();
}

/* ---- what the device does ---- */

static void request(struct world *w, struct input *in)
{
	struct nestfd_page_request ask = { .size = sizeof(ask) };
	uint8_t how = input_u8(in);

	ask.flags = how & 0x1f;
	ask.pasid = how & 0x20 ? NESTFD_NO_PASID : how >> 6;
	ask.group = input_u8(in) * (how & 0x40 ? 2u : 1u);
	ask.iova = input_u64(in);
	nestfd_page_request(w->bad.dev, &ask);
}

static void dma(struct world *w, struct input *in)
{
	char buf[16];
	struct nestfd_dma d = {
		.size = sizeof(d),
		.iova = X + input_u8(in) * 256ULL,
		.pasid = NESTFD_NO_PASID,
		.flags = input_u8(in) & 0x9,
		.buf = buf,
		.length = sizeof(buf),
	};

	memset(buf, 0, sizeof(buf));
	nestfd_dma(w->bad.dev, &d);
}

static void look(struct world *w, struct input *in)
{
	struct nestfd_page_response response;

	nestfd_page_wait(w->bad.dev, input_u8(in) * 2u, 0, &response);
}

/* ---- what the client does ---- */

static void get(struct world *w, struct input *in)
{
	struct iommu_hwpt_pgfault faults[32];
	size_t len = input_u8(in) * 5u;
	ssize_t n;

	if (w->bad.fd < 0)
		return;
	n = nestfd_read(w->bad.ctx, w->bad.fd, faults, len);
	if (n < 0 ? n != -EINVAL && n != -ESPIPE
		  : (size_t)n > len || (size_t)n % sizeof(faults[0]))
		abort();
	for (ssize_t i = 0; i * (ssize_t)sizeof(faults[0]) < n; i++) {
		if (!(faults[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
			continue;
		if (faults[i].dev_id != w->bad.dev_id)
			abort();
		w->cookies[w->asked++ % COOKIES] = faults[i].cookie;
	}
}

static void answer(struct world *w, struct input *in)
{
	struct iommu_hwpt_page_response some[8];
	size_t len = input_u8(in) % (sizeof(some) + 1);
	char *at = (char *)some;
	ssize_t n;

	for (unsigned int i = 0; i < 8; i++) {
		uint8_t how = input_u8(in);

		some[i].cookie =
			how & 0x80 ? input_u32(in) : w->cookies[how % COOKIES];
		some[i].code = how & 0x40 ? input_u32(in) : how & 1;
	}
	if (input_u8(in) & 1) { /* some of it is not there */
		at = w->memory + PAGE - input_u8(in) % (sizeof(some) + 1);
		memcpy(at, some, (size_t)(w->memory + PAGE - at));
	}
	if (w->bad.fd < 0)
		return;
	n = nestfd_write(w->bad.ctx, w->bad.fd, at, len);
	if (n < 0 ? n != -EINVAL && n != -ESPIPE && n != -EFAULT
		  : (size_t)n > len || (size_t)n % sizeof(some[0]))
		abort();
	if (n > 0)
		w->answered += (uint64_t)n / sizeof(some[0]);
	if (w->answered > w->asked)
		abort();
}

static void map(struct world *w, struct input *in)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = w->bad.ioas,
		.user_va = (uintptr_t)w->memory,
		.length = PAGE,
		.iova = X + input_u8(in) % 16 * PAGE,
	};

	nestfd_ioctl(w->bad.ctx, IOMMU_IOAS_MAP, &arg);
}

static void come_or_go(struct world *w, struct input *in)
{
	struct client *c = &w->bad;
	uint8_t how = input_u8(in);
	uint32_t pasid = how & 0x80 ? how >> 4 & 7 : NESTFD_NO_PASID;
	uint32_t pt = how & 8 ? c->hwpt : c->ioas;

	switch (how & 7) {
	case 0:
		nestfd_unbind(c->dev);
		c->dev_id = 0;
		break;
	case 1:
		if (!c->dev_id)
			must(nestfd_bind(c->ctx, c->dev, &c->dev_id));
		break;
	case 2:
		nestfd_detach(c->dev, pasid);
		break;
	case 3:
		nestfd_device_reset(c->dev);
		break;
	case 4:
		if (how == 0xfc && c->fd >= 0) {
			must(nestfd_close_fd(c->ctx, c->fd));
			c->fd = -1;
		}
		break;
	default:
		nestfd_attach(c->dev, pasid, &pt);
		break;
	}
}

static void step(struct world *w, struct input *in)
{
	switch (input_u8(in) % 10) {
	case 0:
	case 1:
	case 2:
		request(w, in);
		break;
	case 3:
		dma(w, in);
		break;
	case 4:
		look(w, in);
		break;
	case 5:
		get(w, in);
		break;
	case 6:
	case 7:
		answer(w, in);
		break;
	case 8:
		map(w, in);
		break;
	case 9:
		come_or_go(w, in);
		break;
	}
}

/* The neighbour asks, and is told what his own client says. */
static void neighbour(struct world *w, uint32_t code)
{
	struct nestfd_page_request ask = {
		.size = sizeof(ask),
		.iova = X,
		.pasid = NESTFD_NO_PASID,
		.flags = NESTFD_PAGE_READ | NESTFD_PAGE_LAST,
		.group = 3,
	};
	struct nestfd_page_response told = { 0 };
	struct iommu_hwpt_page_response response;
	struct iommu_hwpt_pgfault fault;
	struct client *c = &w->good;

	must(nestfd_page_request(c->dev, &ask));
	if (nestfd_read(c->ctx, c->fd, &fault, sizeof(fault)) != sizeof(fault))
		abort();
	response.cookie = fault.cookie;
	response.code = code;
	if (nestfd_write(c->ctx, c->fd, &response, sizeof(response)) !=
	    sizeof(response))
		abort();
	must(nestfd_page_wait(c->dev, 3, 0, &told));
	if (told.code != (code ? NESTFD_PAGE_INVALID : NESTFD_PAGE_SUCCESS))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct world w;

	world_start(&w);
	for (unsigned int i = 0; i < STEPS && in.left; i++) {
		step(&w, &in);
		if (!(i % 32))
			neighbour(&w, i / 32 & 1);
	}
	neighbour(&w, 0);
	nestfd_machine_destroy(w.machine);
	munmap(w.memory, 2 * PAGE);
	return 0;
}
