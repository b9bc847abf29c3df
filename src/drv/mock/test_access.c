// SPDX-License-Identifier: MIT
/*
 * The test command's access objects. Each is known to the client by an fd: one
 * end of a socket pair, of which nothing is ever sent or read. Which access an
 * fd means is told by its inode, so a dup'ed or inherited fd means it too; and
 * when nobody has that end any more, ours hangs up.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "core/core.h"
#include "core/foreign.h"
#include "drv/mock/unit.h"

#define PAGE	   4096u
#define LENGTH_MAX (16u << 20)

/* A range that the client has had pinned */
struct item {
	struct item *next;
	uint64_t iova;
	uint64_t length;
	uint32_t id;
};

struct mock_access {
	struct mock_access *next; /* unit->lock */
	struct core_ctx *ctx;	  /* fixed, like all up to @lock */
	struct core_access *core;
	bool pins;
	int ours;
	dev_t dev;
	ino_t ino;
	_Atomic uint32_t busy; /* calls that use it */
	pthread_mutex_t lock;  /* all below; held while pinning */
	struct item *items;
	uint32_t next_id;
};

/* ---- pinned ranges ---- */

static void unpin_item(struct mock_access *a, struct item **at)
{
	struct item *item = *at;

	*at = item->next;
	core_access_unpin_pages(a->core, item->iova, item->length);
	free(item);
}

static void access_unmap(void *data, uint64_t iova, uint64_t length)
{
	struct mock_access *a = data;
	uint64_t last = iova + length - 1;
	struct item **at;

	pthread_mutex_lock(&a->lock);
	at = &a->items;
	while (*at) {
		if ((*at)->iova > last ||
		    (*at)->iova + (*at)->length - 1 < iova)
			at = &(*at)->next;
		else
			unpin_item(a, at);
	}
	pthread_mutex_unlock(&a->lock);
}

static const struct core_access_ops pin_ops = {
	.needs_pin_pages = true,
	.unmap = access_unmap,
};

static const struct core_access_ops plain_ops = {
	.unmap = access_unmap,
};

/* ---- life ---- */

/* What the client's @fd is, wherever the client is */
static int stat_client_fd(uint32_t fd, struct stat *st)
{
	const struct core_client *client = core_foreign();
	int mine;
	int rc;

	if (!client)
		return fstat((int)fd, st);
	mine = client->get_fd(client->ctx, (int)fd);
	if (mine < 0)
		return mine;
	rc = fstat(mine, st);
	close(mine);
	return rc;
}

static struct mock_access *access_get(struct mock_unit *unit, uint32_t fd)
{
	struct mock_access *a;
	struct stat st;

	if (stat_client_fd(fd, &st))
		return NULL;
	pthread_mutex_lock(&unit->lock);
	for (a = unit->accesses; a; a = a->next)
		if (a->dev == st.st_dev && a->ino == st.st_ino)
			break;
	if (a)
		atomic_fetch_add(&a->busy, 1);
	pthread_mutex_unlock(&unit->lock);
	return a;
}

static void access_put(struct mock_access *a)
{
	atomic_fetch_sub_explicit(&a->busy, 1, memory_order_release);
}

static void access_free(struct mock_access *a)
{
	while (atomic_load_explicit(&a->busy, memory_order_acquire))
		sched_yield();
	if (a->core)
		core_access_destroy(a->core);
	close(a->ours);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static bool is_closed(const struct mock_access *a)
{
	struct pollfd fd = { .fd = a->ours, .events = POLLRDHUP };

	return poll(&fd, 1, 0) == 1 && (fd.revents & (POLLHUP | POLLRDHUP));
}

void mock_access_end(struct mock_unit *unit, struct core_ctx *ctx,
		     bool closed_only)
{
	struct mock_access *gone = NULL;
	struct mock_access **at;

	pthread_mutex_lock(&unit->lock);
	at = &unit->accesses;
	while (*at) {
		struct mock_access *a = *at;

		if ((ctx && a->ctx != ctx) || (closed_only && !is_closed(a))) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		a->next = gone;
		gone = a;
		atomic_fetch_sub(&unit->access_count, 1);
	}
	pthread_mutex_unlock(&unit->lock);
	while (gone) {
		struct mock_access *a = gone;

		gone = a->next;
		access_free(a);
	}
}

/* @theirs: the client's end */
static int access_new(struct core_ctx *ctx, bool pins, struct mock_access **out,
		      int *theirs)
{
	struct mock_access *a = alloc_zero(sizeof(*a));
	struct stat st;
	int ends[2];

	if (!a)
		return -ENOMEM;
	if (alloc_fault_point() ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		free(a);
		return -ENOMEM;
	}
	if (fstat(ends[1], &st)) {
		close(ends[0]);
		close(ends[1]);
		free(a);
		return -ENOMEM;
	}
	a->ctx = ctx;
	a->pins = pins;
	a->ours = ends[0];
	a->dev = st.st_dev;
	a->ino = st.st_ino;
	pthread_mutex_init(&a->lock, NULL);
	*theirs = ends[1];
	*out = a;
	return 0;
}

int mock_access_create(struct mock_unit *unit, struct core_call *call)
{
	struct mock_test *arg = call->arg;
	bool pins = arg->access_create.flags & MOCK_ACCESS_NEEDS_PIN;
	struct mock_access *a;
	uint32_t id;
	int theirs;
	int rc;

	if (arg->access_create.flags & ~MOCK_ACCESS_NEEDS_PIN)
		return -EOPNOTSUPP;
	rc = access_new(call->ctx, pins, &a, &theirs);
	if (rc)
		return rc;
	rc = core_access_create(call->ctx, pins ? &pin_ops : &plain_ops, a, &id,
				&a->core);
	if (!rc)
		rc = core_access_attach(a->core, arg->id);
	if (!rc)
		rc = core_give_fd(theirs, &arg->access_create.out_fd);
	if (!rc)
		rc = core_reply(call, sizeof(*arg));
	if (rc) {
		close(theirs);
		access_free(a);
		return rc;
	}
	pthread_mutex_lock(&unit->lock);
	a->next = unit->accesses;
	unit->accesses = a;
	atomic_fetch_add(&unit->access_count, 1);
	pthread_mutex_unlock(&unit->lock);
	if (core_foreign()) /* the client has one of its own */
		close(theirs);
	return 0;
}

/* ---- operations ---- */

int mock_access_replace(struct mock_unit *unit, struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	struct mock_access *a = access_get(unit, arg->id);
	int rc;

	if (!a)
		return -EBADFD;
	rc = core_access_replace(a->core, arg->access_replace.ioas);
	access_put(a);
	return rc;
}

int mock_access_unpin(struct mock_unit *unit, struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	struct mock_access *a = access_get(unit, arg->id);
	struct item **at;
	int rc = -ENOENT;

	if (!a)
		return -EBADFD;
	pthread_mutex_lock(&a->lock);
	for (at = &a->items; *at; at = &(*at)->next) {
		if ((*at)->id == arg->access_unpin.item) {
			unpin_item(a, at);
			rc = 0;
			break;
		}
	}
	pthread_mutex_unlock(&a->lock);
	access_put(a);
	return rc;
}

/* Are those pages the client's own at @uptr? By runs, -EBADE if not */
static int check_pages(struct core_ctx *ctx, uint64_t uptr, void **pages,
		       size_t count)
{
	size_t start = 0;

	while (start < count) {
		size_t n = 1;
		int rc;

		while (start + n < count &&
		       pages[start + n] == (char *)pages[start] + n * PAGE)
			n++;
		rc = core_check_host(ctx, pages[start], uptr + start * PAGE,
				     n * PAGE);
		if (rc)
			return rc;
		start += n;
	}
	return 0;
}

/* With MOCK_ACCESS_NTH the IOVA is which area, and how far into it */
static uint64_t resolve_iova(const struct mock_access *a, uint32_t flags,
			     uint64_t iova)
{
	return flags & MOCK_ACCESS_NTH ? core_access_nth_iova(a->core, iova)
				       : iova;
}

static int keep_item(struct mock_access *a, struct core_call *call,
		     uint64_t iova)
{
	struct mock_test *arg = call->arg;
	struct item *item = alloc_zero(sizeof(*item));
	int rc;

	if (!item)
		return -ENOMEM;
	item->iova = iova;
	item->length = arg->access_pages.length;
	item->id = a->next_id++;
	arg->access_pages.out_item = item->id;
	rc = core_reply(call, sizeof(*arg));
	if (rc) {
		free(item);
		return rc;
	}
	item->next = a->items;
	a->items = item;
	return 0;
}

/* With the access's lock held, so that unmap waits for the item */
static int pin_locked(struct mock_access *a, struct core_call *call,
		      uint64_t iova, void **pages, size_t count)
{
	const struct mock_test *arg = call->arg;
	uint64_t uptr = arg->access_pages.uptr;
	uint32_t flags = arg->access_pages.flags & MOCK_ACCESS_WRITE
				 ? CORE_ACCESS_WRITE
				 : 0;
	int rc;

	rc = core_access_pin_pages(a->core, iova, arg->access_pages.length,
				   pages, flags);
	if (rc)
		return rc;
	if (uptr)
		rc = check_pages(call->ctx, uptr - iova % PAGE, pages, count);
	if (!rc)
		rc = keep_item(a, call, iova);
	if (rc)
		core_access_unpin_pages(a->core, iova,
					arg->access_pages.length);
	return rc;
}

static int access_pages(struct mock_access *a, struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	uint64_t iova;
	size_t count;
	void **pages;
	int rc;

	if (!a->pins)
		return -EOPNOTSUPP;
	iova = resolve_iova(a, arg->access_pages.flags, arg->access_pages.iova);
	count = (iova % PAGE + arg->access_pages.length + PAGE - 1) / PAGE;
	pages = alloc_array(count, sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	pthread_mutex_lock(&a->lock);
	rc = pin_locked(a, call, iova, pages, count);
	pthread_mutex_unlock(&a->lock);
	free(pages);
	return rc;
}

int mock_access_pages(struct mock_unit *unit, struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	struct mock_access *a;
	int rc;

	if (arg->access_pages.length > LENGTH_MAX)
		return -ENOMEM;
	if (arg->access_pages.flags & ~(MOCK_ACCESS_WRITE | MOCK_ACCESS_NTH))
		return -EOPNOTSUPP;
	a = access_get(unit, arg->id);
	if (!a)
		return -EBADFD;
	rc = access_pages(a, call);
	access_put(a);
	return rc;
}

static int access_rw(struct mock_access *a, const struct mock_test *arg)
{
	uint64_t length = arg->access_rw.length;
	uint32_t flags = arg->access_rw.flags;
	bool write = flags & MOCK_ACCESS_WRITE;
	void *buf = alloc_array(length, 1);
	int rc = 0;

	if (!buf)
		return -ENOMEM;
	if (write)
		rc = core_copy_in(buf, arg->access_rw.uptr, length);
	if (!rc)
		rc = core_access_rw(a->core,
				    resolve_iova(a, flags, arg->access_rw.iova),
				    buf, length, flags & ~MOCK_ACCESS_NTH);
	if (!rc && !write)
		rc = core_copy_out(arg->access_rw.uptr, buf, length);
	free(buf);
	return rc;
}

_Static_assert(MOCK_ACCESS_WRITE == CORE_ACCESS_WRITE &&
		       MOCK_ACCESS_SLOW == CORE_ACCESS_SLOW,
	       "the flags go down as they are");

int mock_access_rw(struct mock_unit *unit, struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	struct mock_access *a;
	int rc;

	if (arg->access_rw.length > LENGTH_MAX)
		return -ENOMEM;
	if (arg->access_rw.flags &
	    ~(MOCK_ACCESS_WRITE | MOCK_ACCESS_SLOW | MOCK_ACCESS_NTH))
		return -EOPNOTSUPP;
	a = access_get(unit, arg->id);
	if (!a)
		return -EBADFD;
	rc = access_rw(a, arg);
	access_put(a);
	return rc;
}
