// SPDX-License-Identifier: MIT
/*
 * Moving data: translate, copy, page by page. All of one access is one read
 * section, so that a CMD_SYNC waits for it as a whole.
 */
#include "model/engine.h"

#include <errno.h>
#include <string.h>

#include "mem/guard.h"
#include "model/hit.h"

static size_t to_page_end(const struct model_translation *t, uint64_t iova,
			  size_t len)
{
	uint64_t size = BIT_ULL(t->size_lg2);
	uint64_t left = size - (iova & (size - 1));

	return left < len ? (size_t)left : len;
}

/* -EFAULT: no memory there, or it refuses */
static int move(struct visit *v, const struct model_translation *t, void *buf,
		size_t len)
{
	const struct phys *phys = v->engine->host.phys;
	bool write = v->access->flags & MODEL_WRITE;

	if (t->host)
		return write ? guard_write(t->host, buf, len)
			     : guard_read(buf, t->host, len);
	return write ? phys_write(phys, t->pa, buf, len)
		     : phys_read(phys, t->pa, buf, len);
}

/* RAZ/WI: the device sees success, zeros, and no effect (3.12, 5.5) */
static int ignore(struct visit *v, void *buf, size_t len)
{
	if (!(v->access->flags & MODEL_WRITE))
		memset(buf, 0, len);
	return 0;
}

static int step(struct visit *v, void *buf, size_t *len,
		struct model_translation *t)
{
	v->raz = false;
	if (v->missed || v->quiet || !hit(v, t))
		v->engine->ops->translate(v, t);
	if (t->result == MODEL_STALLED)
		return -EINPROGRESS;
	if (t->result == MODEL_OK) {
		*len = to_page_end(t, v->access->iova, *len);
		return move(v, t, buf, *len);
	}
	if (!v->raz)
		return __atomic_load_n(&v->port->failed, __ATOMIC_RELAXED)
			       ? -ENODEV
			       : -EIO;
	t->size_lg2 = 12;
	*len = to_page_end(t, v->access->iova, *len);
	return ignore(v, buf, *len);
}

static int run(struct visit *v, struct model_access *a, char *buf, size_t len,
	       struct model_translation *last)
{
	struct model_translation t;
	int rc;

	v->access = a;
	while (len) {
		size_t done = len;

		rc = step(v, buf, &done, &t);
		if (last)
			*last = t;
		if (rc)
			return rc;
		buf += done;
		len -= done;
		a->iova += done;
		if (len && !a->iova)
			return -EIO; /* there is nothing behind 2^64 - 1 */
	}
	return 0;
}

/*
 * An access that hits and lies in one page, which nobody wants to hear about:
 * the common case, by as few loads and stores as can be. -EAGAIN: it is not;
 * *missed is for struct visit.
 */
static inline int run_hit(struct engine_port *port, struct slot *slot,
			  const struct model_access *access, void *buf,
			  size_t len, const struct context **missed)
{
	bool write = access->flags & MODEL_WRITE;
	const struct recent *recent;
	const struct context *ctx;
	uint64_t addr, offset;
	void *host;

	recent = hit_find(port, slot, access, &ctx, &addr);
	if (!recent) {
		*missed = ctx;
		return -EAGAIN;
	}
	offset = addr - recent->iova;
	if (len > BIT_ULL(recent->size_lg2) - offset)
		return -EAGAIN;
	host = recent_host(port->engine, recent, write, offset);
	if (!host)
		return -EAGAIN;
	count_own(&slot->hits);
	return write ? guard_write(host, buf, len) : guard_read(buf, host, len);
}

static __attribute__((noinline)) int
run_all(struct engine_port *port, struct slot *slot,
	const struct model_access *access, const struct context *missed,
	void *buf, size_t len, struct model_translation *last)
{
	struct model_access a = *access;
	struct visit v = {
		.engine = port->engine,
		.port = port,
		.slot = slot,
		.missed = missed,
		.quiet = a.flags & MODEL_QUIET,
	};

	return run(&v, &a, buf, len, last);
}

int engine_dma(struct model_port *opaque, const struct model_access *access,
	       void *buf, size_t len, struct model_translation *last)
{
	struct engine_port *port = to_port(opaque);
	const struct context *missed = NULL;
	struct slot *slot;
	struct slot spare;
	int rc = -EAGAIN;

	reader_enter_of(port->engine->host.grace);
	slot = slot_enter(port, &spare);
	if (!last)
		rc = run_hit(port, slot, access, buf, len, &missed);
	if (rc != -EAGAIN) {
		slot_leave(port, slot, &spare);
		reader_exit();
		return rc;
	}
	rc = run_all(port, slot, access, missed, buf, len, last);
	slot_leave(port, slot, &spare);
	reader_exit();
	grace_help(port->engine->host.grace);
	return rc;
}

void engine_translate(struct model_port *opaque,
		      const struct model_access *access,
		      struct model_translation *out)
{
	struct engine_port *port = to_port(opaque);
	struct visit v = {
		.engine = port->engine,
		.port = port,
		.access = access,
		.quiet = access->flags & MODEL_QUIET,
	};
	struct slot spare;

	v.slot = slot_enter(port, &spare);
	if (v.quiet || !hit(&v, out))
		port->engine->ops->translate(&v, out);
	slot_leave(port, v.slot, &spare);
}
