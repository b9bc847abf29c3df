// SPDX-License-Identifier: MIT
/*
 * Contexts: opening, recognising and ending them, and the one machine of this
 * process that serves them all, which is built at the first call.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim/machine.h"
#include "shim/shim.h"

#define NAME_PREFIX "nestfd/"

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
	c->serial = ++last_serial;
	c->events = 0;
	c->busy = 0;
	c->hung_up = false;
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

static int bind_name(int fd, struct context *c)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	unsigned long long noise = 0;
	socklen_t len;

	if (getrandom(&noise, sizeof(noise), 0) != sizeof(noise))
		noise = (uintptr_t)c ^ (unsigned long long)getpid() << 32;
	memset(c->name, 0, sizeof(c->name));
	snprintf(c->name + 1, sizeof(c->name) - 1, NAME_PREFIX "%d.%llx.%llx",
		 getpid(), (unsigned long long)c->serial, noise);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			  strlen(c->name + 1));
	memcpy(addr.sun_path, c->name, 1 + strlen(c->name + 1));
	return bind(fd, (struct sockaddr *)&addr, len) ? -errno : 0;
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
	    n <= sizeof(NAME_PREFIX) || addr.sun_path[0] ||
	    memcmp(addr.sun_path + 1, NAME_PREFIX, sizeof(NAME_PREFIX) - 1))
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

static struct file *remote_file(struct remote *remote)
{
	struct file *f = file_first();

	while (f &&
	       (atomic_load(&f->kind) != FILE_REMOTE || f->remote != remote))
		f = f->next;
	if (f || !remote)
		return f;
	f = file_new(FILE_NONE);
	if (!f)
		return NULL;
	f->remote = remote;
	atomic_store_explicit(&f->kind, FILE_REMOTE, memory_order_release);
	return f;
}

struct file *context_recognise(int fd)
{
	char name[CONTEXT_NAME];
	struct file *f = NULL;
	struct context *c;
	struct shim_lock l;

	if (!context_name_of(fd, name))
		return NULL;
	if (!shim_is_table_ours())
		return NULL;
	shim_lock(&l);
	/* Once more: it may have been closed, and be another by now. */
	if (context_name_of(fd, name)) {
		c = context_by_name(name);
		f = c ? context_file(c) : remote_file(remote_find(name));
		if (f && table_get(fd) != f && table_set(fd, f))
			f = NULL;
	}
	shim_unlock(&l);
	return f;
}

/* ---- The end ---- */

static void files_of(struct context *c, enum file_kind kind,
		     struct remote *remote)
{
	for (struct file *f = file_first(); f; f = f->next) {
		enum file_kind was = atomic_load(&f->kind);

		if (f->context != c ||
		    (was != FILE_CONTEXT && was != FILE_EVENT))
			continue;
		f->remote = remote;
		if (kind == FILE_REMOTE && was == FILE_EVENT)
			atomic_store(&f->kind, FILE_REMOTE_EVENT);
		else
			atomic_store(&f->kind, kind);
		f->context = NULL;
	}
}

void context_forget(struct context *c)
{
	files_of(c, FILE_REMOTE, remote_find(c->name));
	serve_unwatch(c);
	fd_close_hidden(c->server);
	c->server = -1;
}

static void end_context(struct context *c)
{
	struct nestfd *nestfd = atomic_exchange(&c->nestfd, NULL);
	bool was = shim_inside;

	files_of(c, FILE_NONE, NULL);
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
	rc = bind_name(fds[0], c);
	if (!rc && !(flags & O_CLOEXEC))
		rc = REAL(fcntl)(fds[0], F_SETFD, 0) ? -errno : 0;
	if (!rc)
		rc = enter(fds[0], c);
	if (rc) {
		files_of(c, FILE_NONE, NULL);
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
	struct file *hidden;
	struct shim_lock l;
	struct file *f;
	int fd;

	shim_lock(&l);
	hidden = file_new(FILE_INTERNAL);
	if (hidden && table_set(queue, hidden))
		atomic_store(&hidden->kind, FILE_NONE);
	f = file_new(FILE_NONE);
	fd = f ? REAL(fcntl)(queue, F_DUPFD_CLOEXEC, 0) : -1;
	if (fd >= 0 && !table_set(fd, f)) {
		f->context = c;
		f->queue = queue;
		c->events++;
		atomic_store_explicit(&f->kind, FILE_EVENT,
				      memory_order_release);
	} else {
		if (fd >= 0)
			REAL(close)(fd);
		fd = -1;
		close_queue(c, queue);
	}
	shim_unlock(&l);
	return fd >= 0 ? fd : -EMFILE;
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
	table_each(close_hidden, NULL);
	for (c = contexts; c; c = c->next)
		atomic_store(&c->nestfd, NULL);
	machine = (struct shim_machine){ 0 };
	atomic_store(&memory_machine, NULL);
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
	for (struct context *c = context_next(NULL); c; c = context_next(c))
		c->events = 0;
}
