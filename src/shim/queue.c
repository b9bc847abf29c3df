// SPDX-License-Identifier: MIT
/*
 * Event and fault queues. libnestfd knows a queue by an eventfd, which stays
 * hidden. What the program has is one end of a socketpair, of which the owner
 * holds the other: like a context's it bears a name, can be sent anywhere, and
 * says when its last holder has gone. While the queue has something to read a
 * byte waits in it (a *token*), for poll(2) and its kin.
 *
 * Tokens: libnestfd's write to the eventfd sends one. Who reads the queue takes
 * them out first; afterwards the owner puts one back if something is left, or
 * has come.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim/shim.h"

static struct queue *queues;

struct queue *queue_next(struct queue *q)
{
	q = q ? q->next : queues;
	while (q && atomic_load(&q->server) < 0)
		q = q->next;
	return q;
}

struct queue *queue_by_serial(uint64_t serial)
{
	struct queue *q = queue_next(NULL);

	while (q && q->serial != serial)
		q = queue_next(q);
	return q;
}

struct queue *queue_by_name(const char *name)
{
	struct queue *q = queue_next(NULL);

	while (q && memcmp(q->name, name, CONTEXT_NAME))
		q = queue_next(q);
	return q;
}

static struct queue *queue_new(void)
{
	struct queue *q = queues;

	while (q && atomic_load(&q->server) >= 0)
		q = q->next;
	if (q)
		return q;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	atomic_store(&q->server, -1);
	q->next = queues;
	queues = q;
	return q;
}

/* ---- Tokens ---- */

void queue_signal(struct queue *q)
{
	send(atomic_load(&q->server), "t", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool queue_sync(struct queue *q, uint64_t serial)
{
	struct pollfd p = { .fd = q->fd, .events = POLLIN };
	int server = atomic_load(&q->server);
	int unread = 0;

	if (server < 0 || q->serial != serial || poll(&p, 1, 0) != 1)
		return false;
	if (!ioctl(server, SIOCOUTQ, &unread) && !unread)
		queue_signal(q);
	return true;
}

unsigned int queue_drain(int fd, const struct file *f)
{
	unsigned int n = 0;
	char byte;

	/* Closed meanwhile, the number may be anybody's. */
	while (table_get(fd) == f && recv(fd, &byte, 1, MSG_DONTWAIT) > 0)
		n++;
	return n;
}

/* ---- The beginning and the end ---- */

static int make_pair(struct queue *q, int fds[2])
{
	int rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -errno;
	q->serial = context_new_serial();
	rc = context_bind_name(fds[0], QUEUE_PREFIX, q->serial, q->name);
	fds[1] = fd_hide(fds[1]);
	if (!rc)
		rc = serve_watch_fd(fds[1], q->serial);
	if (rc) {
		REAL(close)(fds[0]);
		fd_close_hidden(fds[1]);
	}
	return rc;
}

int queue_open(struct context *c, int fd, struct queue **out)
{
	struct file *hidden = file_new(FILE_INTERNAL);
	struct queue *q = queue_new();
	int fds[2];
	int rc = -ENOMEM;

	if (hidden && !table_set(fd, hidden))
		rc = q ? make_pair(q, fds) : -ENOMEM;
	else if (hidden)
		atomic_store(&hidden->kind, FILE_NONE);
	if (rc) {
		table_clear(fd);
		return rc;
	}
	q->fd = fd;
	q->context = c;
	c->events++;
	c->had_queues = true;
	atomic_store(&q->server, fds[1]);
	atomic_store(&hidden->q, q);
	queue_sync(q, q->serial); /* what has come until now */
	*out = q;
	return fds[0];
}

static void let_go(struct queue *q)
{
	int server = atomic_load(&q->server);

	serve_unwatch_fd(server);
	atomic_store(&q->server, -1);
	fd_close_hidden(server);
	q->context->events--;
}

void queue_drop(struct queue *q)
{
	table_clear(q->fd);
	let_go(q);
}

/* Nobody signals it any more once libnestfd has closed it. */
static void queue_end(struct queue *q)
{
	struct nestfd *nestfd = atomic_load(&q->context->nestfd);
	bool was = shim_inside;

	shim_inside = true;
	if (nestfd)
		nestfd_close_fd(nestfd, q->fd);
	shim_inside = was;
	queue_drop(q);
	context_check(q->context);
}

bool queue_check(struct queue *q)
{
	struct pollfd p = { .fd = atomic_load(&q->server) };

	if (p.fd < 0 || poll(&p, 1, 0) != 1 || !(p.revents & POLLHUP))
		return false;
	queue_end(q);
	return true;
}

bool queue_check_all(struct context *c)
{
	bool ended = false;

	for (struct queue *q = queue_next(NULL); q; q = queue_next(q))
		if (q->context == c && queue_check(q))
			ended = true;
	return ended;
}

/* ---- Files ---- */

struct file *queue_file(struct queue *q)
{
	struct file *f = file_first();

	while (f &&
	       (atomic_load(&f->kind) != FILE_EVENT || atomic_load(&f->q) != q))
		f = f->next;
	if (f)
		return f;
	f = file_new(FILE_NONE);
	if (!f)
		return NULL;
	f->context = q->context;
	atomic_store(&f->q, q);
	atomic_store_explicit(&f->kind, FILE_EVENT, memory_order_release);
	return f;
}

/* ---- Reading and writing ---- */

static ssize_t carry_out(struct file *f, void *buf, size_t len, bool write)
{
	struct queue *q = atomic_load(&f->q);
	struct context *c = f->context;
	struct section *s = section_enter();
	struct nestfd *nestfd = c ? atomic_load(&c->nestfd) : NULL;
	int fd = q ? q->fd : f->queue;
	ssize_t rc = -EBADF;

	if (nestfd)
		rc = write ? nestfd_write(nestfd, fd, buf, len)
			   : nestfd_read(nestfd, fd, buf, len);
	section_leave(s);
	return rc;
}

ssize_t queue_io(int fd, struct file *f, void *buf, size_t len, bool write)
{
	struct queue *q = atomic_load(&f->q);
	uint64_t serial = q ? q->serial : 0;
	struct shim_lock l;
	ssize_t rc;

	if (write || !q)
		return carry_out(f, buf, len, write);
	shim_lock(&l);
	queue_drain(fd, f);
	shim_unlock(&l);
	rc = carry_out(f, buf, len, false);
	shim_lock(&l);
	/* What came in between may have been read at once. */
	if (!queue_sync(q, serial) && queue_drain(fd, f))
		queue_sync(q, serial);
	shim_unlock(&l);
	return rc;
}

/* ---- Processes ---- */

void queues_after_fork(void)
{
	for (struct queue *q = queue_next(NULL); q; q = queue_next(q))
		atomic_store(&q->server, -1); /* closed with all hidden ones */
}

void queues_keep(void)
{
	for (struct context *c = context_next(NULL); c; c = context_next(c))
		c->events = 0;
	for (struct queue *q = queue_next(NULL); q; q = queue_next(q))
		q->context->events++;
}

void queues_watch(void)
{
	for (struct queue *q = queue_next(NULL); q; q = queue_next(q))
		serve_watch_fd(atomic_load(&q->server), q->serial);
}
