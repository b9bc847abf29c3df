// SPDX-License-Identifier: MIT
/*
 * Contexts: opening, recognising and ending them, and the one machine of this
 * process that serves them all, which is built at the first call.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim/machine.h"
#include "shim/shim.h"

static struct context *contexts;
static uint64_t last_serial;

static struct shim_machine machine;

struct context *context_next(struct context *context)
{
	context = context ? context->next : contexts;
	while (context && context->server < 0)
		context = context->next;
	return context;
}

struct context *context_by_serial(uint64_t serial)
{
	struct context *c = context_next(NULL);

	while (c && c->serial != serial)
		c = context_next(c);
	return c;
}

uint64_t context_new_serial(void)
{
	return ++last_serial;
}

static struct context *context_new(int server)
{
	struct context *c = contexts;

	while (c && c->server >= 0)
		c = c->next;
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return NULL;
		c->next = contexts;
		contexts = c;
	}
	c->serial = context_new_serial();
	c->events = 0;
	c->busy = 0;
	c->hung_up = false;
	c->had_queues = false;
	c->server = server;
	return c;
}

struct file *context_file(struct context *context)
{
	struct file *f = file_first();

	while (f &&
	       (atomic_load(&f->kind) != FILE_CONTEXT || f->context != context))
		f = f->next;
	if (f)
		return f;
	f = file_new(FILE_NONE);
	if (!f)
		return NULL;
	f->context = context;
	atomic_store_explicit(&f->kind, FILE_CONTEXT, memory_order_release);
	return f;
}

/* ---- Names ---- */

int context_bind_name(int fd, const char *prefix, uint64_t serial,
		      char name[CONTEXT_NAME])
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	unsigned long long noise = 0;
	socklen_t len;

	if (getrandom(&noise, sizeof(noise), 0) != sizeof(noise))
		noise = (uintptr_t)name ^ (unsigned long long)getpid() << 32;
	memset(name, 0, CONTEXT_NAME);
	snprintf(name + 1, CONTEXT_NAME - 1, "%s%d.%llx.%llx", prefix, getpid(),
		 (unsigned long long)serial, noise);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			  strlen(name + 1));
	memcpy(addr.sun_path, name, 1 + strlen(name + 1));
	return bind(fd, (struct sockaddr *)&addr, len) ? -errno : 0;
}

static bool begins(const char *path, const char *prefix)
{
	return !path[0] && !memcmp(path + 1, prefix, strlen(prefix));
}

bool context_name_of(int fd, char name[CONTEXT_NAME])
{
	struct sockaddr_un addr = { 0 };
	socklen_t len = sizeof(addr);
	size_t n;

	if (getsockname(fd, (struct sockaddr *)&addr, &len) ||
	    len <= offsetof(struct sockaddr_un, sun_path))
		return false;
	n = len - offsetof(struct sockaddr_un, sun_path);
	if (addr.sun_family != AF_UNIX || n >= CONTEXT_NAME ||
	    (!begins(addr.sun_path, CONTEXT_PREFIX) &&
	     !begins(addr.sun_path, QUEUE_PREFIX)))
		return false;
	memset(name, 0, CONTEXT_NAME);
	memcpy(name, addr.sun_path, n);
	return true;
}

static struct context *context_by_name(const char *name)
{
	struct context *c = context_next(NULL);

	while (c && memcmp(c->name, name, CONTEXT_NAME))
		c = context_next(c);
	return c;
}

static struct file *file_by_name(const char *name)
{
	struct context *c;
	struct queue *q;

	if (begins(name, QUEUE_PREFIX)) {
		q = queue_by_name(name);
		return q ? queue_file(q)
			 : remote_file(remote_find(name), FILE_REMOTE_EVENT);
	}
	c = context_by_name(name);
	return c ? context_file(c)
		 : remote_file(remote_find(name), FILE_REMOTE);
}

struct file *context_recognise(int fd)
{
	char name[CONTEXT_NAME];
	struct file *f = NULL;
	struct shim_lock l;

	if (!context_name_of(fd, name))
		return NULL;
	if (!shim_is_table_ours())
		return NULL;
	shim_lock(&l);
	/* Once more: it may have been closed, and be another by now. */
	if (context_name_of(fd, name)) {
		f = file_by_name(name);
		if (f && table_get(fd) != f && table_set(fd, f))
			f = NULL;
	}
	shim_unlock(&l);
	return f;
}

/* ---- The end ---- */

static bool is_of(const struct file *f, const struct context *c)
{
	enum file_kind kind = atomic_load(&f->kind);

	return f->context == c && (kind == FILE_CONTEXT || kind == FILE_EVENT);
}

static void end_files(struct context *c)
{
	for (struct file *f = file_first(); f; f = f->next) {
		if (!is_of(f, c))
			continue;
		atomic_store(&f->kind, FILE_NONE);
		f->context = NULL;
	}
}

/* They mean the same, which is somebody else's now. */
static void give_files_away(struct context *c)
{
	for (struct file *f = file_first(); f; f = f->next) {
		struct queue *q = atomic_load(&f->q);

		if (!is_of(f, c))
			continue;
		f->context = NULL;
		if (atomic_load(&f->kind) == FILE_CONTEXT) {
			f->remote = remote_find(c->name);
			atomic_store(&f->kind, FILE_REMOTE);
		} else {
			f->remote = q ? remote_find(q->name) : NULL;
			atomic_store(&f->q, NULL);
			atomic_store(&f->kind, FILE_REMOTE_EVENT);
		}
	}
}

void context_forget(struct context *c)
{
	give_files_away(c);
	serve_unwatch(c);
	fd_close_hidden(c->server);
	c->server = -1;
}

static void end_context(struct context *c)
{
	struct nestfd *nestfd = atomic_exchange(&c->nestfd, NULL);
	bool was = shim_inside;

	end_files(c);
	serve_unwatch(c);
	fd_close_hidden(c->server);
	c->server = -1;
	if (!nestfd)
		return;
	section_quiesce();
	shim_inside = true;
	nestfd_close(nestfd);
	shim_inside = was;
}

void context_check(struct context *c)
{
	char byte;

	if (c->server < 0)
		return;
	if (!c->hung_up && !recv(c->server, &byte, 1, MSG_PEEK | MSG_DONTWAIT))
		c->hung_up = true;
	if (c->hung_up && !c->events && !c->busy)
		end_context(c);
}

/* ---- The machine ---- */

static int make_machine(void)
{
	const struct run_machine what = {
		.iommu = getenv(RUN_ENV_IOMMU),
		.cache = getenv(RUN_ENV_CACHE),
		.memlock = getenv(RUN_ENV_MEMLOCK),
		.devices = getenv(RUN_ENV_DEVICES),
		.inject = getenv(RUN_ENV_INJECT),
		.atc_window = getenv(RUN_ENV_ATC_WINDOW),
	};

	if (machine.machine)
		return 0;
	signals_take();
	return shim_machine_make(&machine, &what);
}

static int make_nestfd(struct context *c)
{
	struct nestfd *nestfd;
	bool was = shim_inside;
	int rc;

	if (atomic_load(&c->nestfd))
		return 0;
	fd_raise_begin();
	shim_inside = true;
	rc = make_machine();
	if (!rc)
		rc = nestfd_open(machine.machine, &nestfd);
	atomic_store(&memory_machine, machine.machine);
	atomic_store(&memory_watched, true);
	if (!rc) {
		shim_machine_bind(&machine, nestfd);
		atomic_store_explicit(&c->nestfd, nestfd, memory_order_release);
	}
	shim_inside = was;
	fd_raise_end();
	return rc;
}

int context_use_locked(struct context *c, struct nestfd **out)
{
	int rc = -EAGAIN; /* it has ended, or is another's by now */

	if (c->server >= 0)
		rc = make_nestfd(c);
	if (rc)
		return rc;
	c->busy++;
	*out = atomic_load(&c->nestfd);
	return 0;
}

int context_use(struct context *c, struct nestfd **out)
{
	struct shim_lock l;
	int rc;

	shim_lock(&l);
	rc = context_use_locked(c, out);
	shim_unlock(&l);
	return rc;
}

void context_unuse(struct context *c)
{
	struct shim_lock l;

	shim_lock(&l);
	c->busy--;
	context_check(c);
	shim_unlock(&l);
}

/* ---- Opening ---- */

static int enter(int fd, struct context *c)
{
	struct file *f = context_file(c);
	int rc = f ? table_set(fd, f) : -ENOMEM;

	if (rc && f && !f->fds)
		atomic_store(&f->kind, FILE_NONE);
	return rc ? rc : serve_watch(c);
}

static int open_pair(int fds[2], int flags)
{
	struct context *c;
	int rc;

	fds[1] = fd_hide(fds[1]);
	c = context_new(fds[1]);
	if (!c)
		return -ENOMEM;
	rc = context_bind_name(fds[0], CONTEXT_PREFIX, c->serial, c->name);
	if (!rc && !(flags & O_CLOEXEC))
		rc = REAL(fcntl)(fds[0], F_SETFD, 0) ? -errno : 0;
	if (!rc)
		rc = enter(fds[0], c);
	if (rc) {
		end_files(c);
		c->server = -1;
	}
	return rc;
}

int context_open(int flags)
{
	struct shim_lock l;
	int fds[2];
	int rc = 0;

	if (!shim_is_table_ours())
		return -ENODEV; /* between vfork() and exec */
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	shim_lock(&l);
	/* The program's end first: open() gives the lowest number. */
	if (socketpair(AF_UNIX,
		       SOCK_SEQPACKET | SOCK_CLOEXEC |
			       (flags & O_NONBLOCK ? SOCK_NONBLOCK : 0),
		       0, fds))
		rc = -errno;
	if (!rc) {
		rc = open_pair(fds, flags);
		if (rc) {
			table_clear(fds[0]);
			REAL(close)(fds[0]);
			fd_close_hidden(fds[1]);
		}
	}
	shim_unlock(&l);
	return rc ? rc : fds[0];
}

struct file *context_adopt(const char *name, int server)
{
	struct context *c;

	server = fd_hide(server);
	c = context_new(server);
	if (!c) {
		fd_close_hidden(server);
		return NULL;
	}
	memcpy(c->name, name, CONTEXT_NAME);
	if (serve_watch(c)) {
		fd_close_hidden(server);
		c->server = -1;
		return NULL;
	}
	return context_file(c);
}

/* ---- Event queues ---- */

static void close_queue(struct context *c, int queue)
{
	struct nestfd *nestfd = atomic_load(&c->nestfd);
	bool was = shim_inside;

	table_clear(queue);
	shim_inside = true;
	if (nestfd)
		nestfd_close_fd(nestfd, queue);
	shim_inside = was;
}

int context_event(struct context *c, int queue)
{
	struct shim_lock l;
	struct queue *q;
	struct file *f;
	int fd;

	shim_lock(&l);
	fd = queue_open(c, queue, &q);
	if (fd >= 0) {
		f = queue_file(q);
		if (!f || table_set(fd, f)) {
			queue_drop(q);
			REAL(close)(fd);
			fd = -EMFILE;
		}
	}
	if (fd < 0)
		close_queue(c, queue);
	shim_unlock(&l);
	return fd;
}

void context_private(struct context *c, int fd)
{
	struct shim_lock l;
	struct file *f;

	shim_lock(&l);
	f = c->server >= 0 ? file_new(FILE_NONE) : NULL;
	if (f && !table_set(fd, f)) {
		f->context = c;
		f->queue = fd;
		c->events++;
		atomic_store_explicit(&f->kind, FILE_EVENT,
				      memory_order_release);
	}
	shim_unlock(&l);
}

void context_event_closed(struct context *c, int queue)
{
	c->events--;
	close_queue(c, queue);
	context_check(c);
}

/*
 * The last holder of a queue's fd may be another process, of whose end we are
 * told late: here, or between the call and now.
 */
bool context_was_freed(uint64_t serial, unsigned long cmd)
{
	struct context *c;
	struct shim_lock l;
	bool freed;

	if ((unsigned int)cmd != IOMMU_DESTROY)
		return false;
	shim_lock(&l);
	c = context_by_serial(serial);
	freed = c && (queue_check_all(c) || c->had_queues);
	shim_unlock(&l);
	return freed;
}

/* ---- Processes ---- */

static void close_hidden(int fd, struct file *file, void *arg)
{
	(void)arg;
	if (atomic_load(&file->kind) == FILE_INTERNAL && fd != watch_fd)
		fd_close_hidden(fd);
}

/*
 * The machine stays behind as memory nobody uses: its locks and its threads
 * are the parent's.
 */
void context_after_fork(void)
{
	struct context *c = NULL;

	while ((c = context_next(c)))
		context_forget(c);
	queues_after_fork();
	table_each(close_hidden, NULL);
	for (c = contexts; c; c = c->next)
		atomic_store(&c->nestfd, NULL);
	machine = (struct shim_machine){ 0 };
	atomic_store(&memory_machine, NULL);
	atomic_store(&memory_watched, false);
}

static void drop(int fd, struct file *file, void *arg)
{
	(void)arg;
	if (atomic_load(&file->kind) != FILE_INTERNAL)
		table_clear(fd);
}

void context_keep(void)
{
	table_each(drop, NULL);
	queues_keep();
}
