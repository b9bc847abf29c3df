// SPDX-License-Identifier: MIT
/*
 * The way of events and page requests: a guest that rewrites its tables, its
 * event queue and the registers of that while its device faults; a client that
 * reads a vEVENTQ in any sizes; and a host whose events are any bytes. A
 * neighbour's faults reach the neighbour, each with the CMD_SYNC behind it, and
 * nothing else does.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdbool.h>
#include <stdlib.h>

#include "guest.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS	120
#define X	0x7000000ULL
#define EVENTQ	0x10000ULL
#define EV_PROD 0x100a8
#define EV_CONS 0x100ac

struct world {
	struct host host; /* first: callbacks' ctx */
	struct guest bad;
	struct guest good;
	struct nestfd_viommu *strange; /* its backend gives any events */
	struct input *in;
	uint32_t faults; /* of the good one */
};

static void must(int rc)
{
	if (rc)
		abort();
}

/* ---- a host that says anything ---- */

static ssize_t any_events(void *ctx, int fd, void *buf, size_t len)
{
	struct world *w = ctx;
	uint8_t how = input_u8(w->in);
	size_t n = how < 0xf0 ? how * 2u : 0;

	(void)fd;
	if (how == 0xff || !w->in->left)
		return -EAGAIN;
	if (how == 0xfe)
		return -EIO;
	if (n > len)
		n = len;
	input_bytes(w->in, buf, n);
	return (ssize_t)n;
}

static int pass_ioctl(void *ctx, unsigned long cmd, void *arg)
{
	struct world *w = ctx;

	return nestfd_ioctl(w->host.ctx, cmd, arg);
}

static int pass_close(void *ctx, int fd)
{
	struct world *w = ctx;

	return nestfd_close_fd(w->host.ctx, fd);
}

static int any_memory_read(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	(void)ctx;
	(void)gpa;
	memset(buf, 0, len);
	return 0;
}

static int any_memory_write(void *ctx, uint64_t gpa, const void *buf,
			    size_t len)
{
	(void)ctx;
	(void)gpa;
	(void)buf;
	(void)len;
	return 0;
}

static void start_strange(struct world *w)
{
	struct nestfd_viommu_config config = {
		.size = sizeof(config),
		.backend = { w, pass_ioctl, any_events, pass_close, true,
			     NULL },
		.guest = { .read = any_memory_read, .write = any_memory_write },
		.dev_id = w->bad.dev_id,
		.parent_hwpt = w->host.parent,
		.events = 64,
	};

	must(nestfd_viommu_smmuv3_create(&config, &w->strange));
	nestfd_viommu_write(w->strange, 0xa0, 8, 0x10003);
	nestfd_viommu_write(w->strange, 0x20, 4, 0xc);
}

/* ---- what the bad guest does ---- */

static void poke(struct world *w, struct input *in)
{
	/* the stream table, the CD, the first table, some of the queue */
	static const uint32_t at[] = { 0x400, 0x2000, 0x3000, 0x10000,
				       0x1400000 };
	uint8_t how = input_u8(in);
	uint64_t gpa = w->bad.base + at[how % 5] + (how >> 4) * 8;
	uint64_t word = input_u64(in);

	/* or a bit of what is there */
	guest_put(&w->bad, gpa,
		  how & 8 ? guest_get(&w->bad, gpa) ^ 1ULL << (word & 63)
			  : word);
}

static void set_register(struct world *w, struct input *in)
{
	static const struct {
		uint32_t offset;
		unsigned int bytes;
	} regs[] = { { 0x20, 4 },   { 0x2c, 4 },    { 0x50, 4 },
		     { 0x64, 4 },   { 0xa0, 8 },    { 0xb0, 8 },
		     { 0xb8, 4 },   { EV_PROD, 4 }, { EV_CONS, 4 },
		     { 0x80, 8 },   { 0x88, 4 },    { 0x44, 4 },
		     { 0xc0, 8 },   { 0xd0, 8 },    { 0x100c8, 4 },
		     { 0x100cc, 4 } };
	uint8_t which = input_u8(in) % 16;

	nestfd_viommu_write(w->bad.viommu, regs[which].offset,
			    regs[which].bytes, input_u64(in));
}

static void command(struct world *w, struct input *in)
{
	uint8_t n = input_u8(in) % 4;

	for (uint8_t i = 0; i < n; i++) {
		uint64_t dw0 = input_u8(in);

		/* these follow the guest's tables; that is an answer */
		if (dw0 & 0x80)
			dw0 = dw0 & 2 ? 0x41 : dw0 & 1 ? 0x3 : 0x5;
		guest_command(&w->bad,
			      dw0 | (uint64_t)w->bad.vsid << 32 |
				      (uint64_t)input_u8(in) << 8,
			      input_u8(in) | (input_u8(in) & 3u) << 12);
	}
	if (n & 1)
		guest_command(&w->bad, GUEST_SYNC);
	guest_ring(&w->bad);
}

static void touch(struct world *w, struct input *in)
{
	uint8_t how = input_u8(in);
	char buf[8] = "";
	struct nestfd_dma d = {
		.size = sizeof(d),
		.iova = how & 0x80 ? input_u64(in) >> 1
				   : X + input_u8(in) * 0x800ULL,
		.pasid = how & 0x40 ? how & 7u : NESTFD_NO_PASID,
		.flags = how & 0x3,
		.buf = buf,
		.length = sizeof(buf),
	};

	for (unsigned int i = 0; i <= (how >> 3 & 7) * 40u; i++)
		nestfd_dma(w->bad.dev, &d);
}

static void ask(struct world *w, struct input *in)
{
	struct nestfd_page_request request = {
		.size = sizeof(request),
		.iova = input_u64(in),
		.pasid = NESTFD_NO_PASID,
		.flags = input_u8(in) & 0x13,
		.group = input_u8(in) * 2u,
	};

	nestfd_page_request(w->bad.dev, &request);
}

static void read_raw(struct world *w, struct input *in)
{
	char buf[512];
	ssize_t n =
		nestfd_read(w->host.ctx, nestfd_viommu_event_fd(w->bad.viommu),
			    buf, input_u8(in) * 2u);

	if (n < 0 && n != -EINVAL)
		abort();
}

/* ---- the good one ---- */

static void good_fault(struct world *w)
{
	struct guest *g = &w->good;
	uint32_t n = w->faults++;
	uint64_t at = g->base + EVENTQ + (n & 255) * 32;
	uint64_t word;

	if (nestfd_dma_read(g->dev, X + n * 0x1000ULL, &word, 8) != -EIO)
		abort();
	if (n & 1)
		guest_command(g, guest_tlbi_va_0(g), guest_tlbi_va_1(X));
	guest_command(g, GUEST_SYNC);
	guest_ring(g);
	if (nestfd_viommu_read(g->viommu, EV_PROD, 4) != ((n + 1) & 511) ||
	    guest_get(g, at) != (0x10ULL << 32 | 0x10) ||
	    guest_get(g, at + 16) != X + n * 0x1000ULL)
		abort();
	nestfd_viommu_write(g->viommu, EV_CONS, 4, (n + 1) & 511);
}

static void step(struct world *w, struct input *in)
{
	switch (input_u8(in) % 9) {
	case 0:
		poke(w, in);
		break;
	case 1:
		set_register(w, in);
		break;
	case 2:
		command(w, in);
		break;
	case 3:
	case 4:
		touch(w, in);
		break;
	case 5:
		nestfd_viommu_pump(w->bad.viommu);
		break;
	case 6:
		read_raw(w, in);
		break;
	case 7:
		nestfd_viommu_pump(w->strange);
		nestfd_viommu_write(w->strange, EV_CONS, 4, input_u32(in));
		break;
	case 8:
		ask(w, in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct world w = { .in = &in };

	w.host = (struct host){
		.guests = 2,
		.ats = true,
		.pri = true,
		.page_requests = 100,
	};
	must(host_start(&w.host));
	must(guest_start(&w.bad, &w.host, 0, 1));
	must(guest_start(&w.good, &w.host, 1, 1));
	start_strange(&w);
	for (unsigned int i = 0; i < STEPS && in.left; i++) {
		step(&w, &in);
		if (!(i % 16))
			good_fault(&w);
	}
	good_fault(&w);
	nestfd_viommu_destroy(w.strange);
	guest_stop(&w.good);
	guest_stop(&w.bad);
	host_stop(&w.host);
	return 0;
}
