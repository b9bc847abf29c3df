// SPDX-License-Identifier: MIT
/*
 * The owner's side. One thread watches the server ends of all contexts: who
 * holds the program's end sends it the other end of a channel, and its last
 * holder's close shows there. Each channel has a thread that carries out one
 * call after the other, on the caller's memory.
 *
 * The caller is whoever made the channel's socketpair, by what the kernel says:
 * nobody can name another process. What it asks with wrong addresses or fds
 * harms nobody but itself.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "shim/shim.h"

#define CHANNELS_MAX 256u
#define GIVE_TIMEOUT 2000
#define STACK_SIZE   (256u * 1024u)

/* With the lock held, but for what only its thread uses */
struct channel {
	struct channel *next;
	bool used;
	int fd;
	pid_t pid;
	uint64_t serial;       /* of the context */
	struct queue *q;       /* or NULL: calls on that, not on the context */
	uint64_t queue_serial; /* q's */
	struct queue *given;   /* its thread's: made by this call */
};

static int epoll_fd = -1;
static struct channel *channels;
static unsigned int nr_channels;
static bool paused;
static bool keeping; /* this is a keeper */

/* ---- The caller's memory and fds ---- */

static int client_read(void *ctx, void *dst, uint64_t addr, size_t len)
{
	struct channel *ch = ctx;
	struct iovec to = { dst, len };
	struct iovec from = { (void *)(uintptr_t)addr, len };

	return process_vm_readv(ch->pid, &to, 1, &from, 1, 0) == (ssize_t)len
		       ? 0
		       : -EFAULT;
}

static int client_write(void *ctx, uint64_t addr, const void *src, size_t len)
{
	struct channel *ch = ctx;
	struct iovec from = { (void *)(uintptr_t)src, len };
	struct iovec to = { (void *)(uintptr_t)addr, len };

	return process_vm_writev(ch->pid, &from, 1, &to, 1, 0) == (ssize_t)len
		       ? 0
		       : -EFAULT;
}

static int client_get_fd(void *ctx, int fd)
{
	struct channel *ch = ctx;
	int process = (int)syscall(SYS_pidfd_open, ch->pid, 0);
	int mine;

	if (process < 0)
		return -EBADF;
	mine = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
	REAL(close)(process);
	return mine < 0 ? -EBADF : mine;
}

static int client_give_fd(void *ctx, int fd)
{
	struct channel *ch = ctx;
	struct serve_message m = {
		.magic = SERVE_MAGIC,
		.op = SERVE_GIVE,
	};
	struct shim_lock l;
	struct context *c;
	int none, rc, theirs;

	shim_lock(&l);
	c = context_by_serial(ch->serial);
	theirs = c ? queue_open(c, fd, &ch->given) : -EMFILE;
	shim_unlock(&l);
	if (theirs < 0)
		return -EMFILE;
	rc = serve_send(ch->fd, &m, NULL, 0, theirs);
	REAL(close)(theirs);
	if (!rc)
		rc = serve_receive(ch->fd, &m, NULL, 0, &none, GIVE_TIMEOUT);
	if (rc)
		return -EMFILE;
	if (none >= 0)
		REAL(close)(none);
	return (int)m.value;
}

/* ---- Calls ---- */

static long call_ioctl(struct channel *ch, struct nestfd *nestfd,
		       const struct serve_message *m)
{
	const struct nestfd_client client = {
		.size = sizeof(client),
		.ctx = ch,
		.read = client_read,
		.write = client_write,
		.get_fd = client_get_fd,
		.give_fd = client_give_fd,
		.pid = ch->pid,
	};
	struct shim_lock l;
	long rc;

	fd_raise_begin();
	ch->given = NULL;
	rc = nestfd_ioctl_for(nestfd, m->cmd, m->arg, &client);
	if (rc == -EBUSY && context_was_freed(ch->serial, m->cmd))
		rc = nestfd_ioctl_for(nestfd, m->cmd, m->arg, &client);
	if (rc < 0 && ch->given) { /* closed again */
		shim_lock(&l);
		queue_drop(ch->given);
		shim_unlock(&l);
	}
	return rc;
}

/* Its own, as long as that is open */
static int queue_of(const struct channel *ch)
{
	return ch->q && ch->q->serial == ch->queue_serial ? ch->q->fd : -1;
}

static bool sync_queue(const struct channel *ch)
{
	struct shim_lock l;
	bool pending;

	if (!ch->q)
		return false;
	shim_lock(&l);
	pending = queue_sync(ch->q, ch->queue_serial);
	shim_unlock(&l);
	return pending;
}

static void perform(struct channel *ch, struct nestfd *nestfd,
		    struct serve_message *m, unsigned char *data)
{
	struct serve_message answer = {
		.magic = SERVE_MAGIC,
		.op = SERVE_RESULT,
	};
	uint64_t counts[2];
	uint32_t length = 0;
	size_t want = m->arg < SERVE_DATA ? (size_t)m->arg : SERVE_DATA;

	switch (m->op) {
	case SERVE_IOCTL:
		answer.value = call_ioctl(ch, nestfd, m);
		break;
	case SERVE_READ:
		answer.value = nestfd_read(nestfd, queue_of(ch), data, want);
		if (answer.value > 0)
			length = (uint32_t)answer.value;
		answer.pending = sync_queue(ch);
		break;
	case SERVE_WRITE:
		answer.value =
			nestfd_write(nestfd, queue_of(ch), data, m->length);
		break;
	case SERVE_SYNC:
		answer.pending = sync_queue(ch);
		break;
	case SERVE_PINNED:
		nestfd_pinned(nestfd, (pid_t)m->arg, &counts[0], &counts[1]);
		length = sizeof(counts);
		memcpy(data, counts, length);
		break;
	case SERVE_GONE:
		answer.value = nestfd_memory_gone(atomic_load(&memory_machine),
						  ch->pid, m->arg, m->cmd);
		break;
	case SERVE_KEPT:
		nestfd_memory_kept(atomic_load(&memory_machine), ch->pid,
				   m->arg, m->cmd);
		break;
	default:
		answer.value = -EINVAL;
	}
	answer.length = length;
	serve_send(ch->fd, &answer, data, length, -1);
}

/* ---- Channels ---- */

static void wait_while_paused(struct shim_lock *l)
{
	static const struct timespec nap = { .tv_nsec = 1000000 };

	while (paused) {
		shim_unlock(l);
		nanosleep(&nap, NULL);
		shim_lock(l);
	}
}

/*
 * The next call: taken off the channel and counted in one step, so that a
 * keeper finds it either on the channel or in progress.
 */
static int next_call(struct channel *ch, struct serve_message *m,
		     unsigned char *data, struct context **c,
		     struct nestfd **nestfd)
{
	struct pollfd p = { .fd = ch->fd, .events = POLLIN };
	struct shim_lock l;
	int fd = -1;
	int rc;

	poll(&p, 1, -1);
	shim_lock(&l);
	wait_while_paused(&l);
	rc = serve_receive_now(ch->fd, m, data, SERVE_DATA, &fd);
	*c = rc ? NULL : context_by_serial(ch->serial);
	if (!rc)
		rc = *c ? context_use_locked(*c, nestfd) : -EPIPE;
	shim_unlock(&l);
	if (fd >= 0)
		REAL(close)(fd);
	return rc;
}

static void channel_end(struct channel *ch)
{
	struct shim_lock l;

	shim_lock(&l);
	fd_close_hidden(ch->fd);
	ch->used = false;
	nr_channels--;
	if (keeping && !context_next(NULL))
		REAL(_exit)(0);
	shim_unlock(&l);
}

static void *channel_run(void *arg)
{
	unsigned char *data = malloc(SERVE_DATA);
	struct channel *ch = arg;
	struct serve_message m;
	struct nestfd *nestfd;
	struct context *c;
	int rc = data ? 0 : -ENOMEM;

	shim_inside = true;
	while (!rc || rc == -EAGAIN || rc == -EINTR) {
		rc = next_call(ch, &m, data, &c, &nestfd);
		if (rc)
			continue;
		perform(ch, nestfd, &m, data);
		context_unuse(c);
	}
	channel_end(ch);
	free(data);
	return NULL;
}

/* A detached thread that takes no signals of the program's */
static int start_thread(void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	rc = pthread_create(&thread, &attr, run, arg); /* signals are blocked */
	pthread_attr_destroy(&attr);
	return -rc;
}

static struct channel *channel_new(void)
{
	struct channel *ch = channels;

	if (nr_channels == CHANNELS_MAX)
		return NULL;
	while (ch && ch->used)
		ch = ch->next;
	if (!ch) {
		ch = calloc(1, sizeof(*ch));
		if (!ch)
			return NULL;
		ch->next = channels;
		channels = ch;
	}
	ch->used = true;
	nr_channels++;
	return ch;
}

static pid_t peer_of(int fd)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	/* 0, of which no memory can be had, for one we cannot see */
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) ? 0
								    : cred.pid;
}

static void accept_channel(struct context *c, struct queue *q, int fd)
{
	struct serve_message hello = {
		.magic = SERVE_MAGIC,
		.op = SERVE_HELLO,
		.value = getpid(),
	};
	struct channel *ch = channel_new();

	if (!ch) {
		REAL(close)(fd);
		return;
	}
	ch->pid = peer_of(fd);
	ch->serial = c->serial;
	ch->q = q;
	ch->queue_serial = q ? q->serial : 0;
	ch->fd = fd_hide(fd);
	if (!serve_send(ch->fd, &hello, NULL, 0, -1) &&
	    !start_thread(channel_run, ch))
		return;
	fd_close_hidden(ch->fd);
	ch->used = false;
	nr_channels--;
}

/* Nobody has used it yet: it is cheaper where it is used first. */
static void hand_over(struct context *c, int fd)
{
	struct serve_message m = {
		.magic = SERVE_MAGIC,
		.op = SERVE_TAKE_OVER,
	};

	if (!serve_send(fd, &m, NULL, 0, c->server))
		context_forget(c);
	REAL(close)(fd);
}

static void on_server(struct context *c)
{
	struct serve_message m;
	int fd;
	int rc = serve_receive_now(c->server, &m, NULL, 0, &fd);

	if (rc == -EPIPE) {
		context_check(c);
		if (c->server >= 0)
			serve_unwatch(c); /* kept by an event queue */
	}
	if (rc || fd < 0)
		return;
	if (m.op == SERVE_CONNECT_OWN && !atomic_load(&c->nestfd) && !c->busy)
		hand_over(c, fd);
	else if (m.op == SERVE_CONNECT || m.op == SERVE_CONNECT_OWN)
		accept_channel(c, NULL, fd);
	else
		REAL(close)(fd);
}

static void on_queue(struct queue *q)
{
	struct serve_message m;
	int fd;
	int rc = serve_receive_now(atomic_load(&q->server), &m, NULL, 0, &fd);

	if (rc == -EPIPE)
		queue_check(q);
	if (rc || fd < 0)
		return;
	if (m.op == SERVE_CONNECT)
		accept_channel(q->context, q, fd);
	else
		REAL(close)(fd);
}

static void watch_once(void)
{
	struct epoll_event event;
	struct shim_lock l;
	struct context *c;
	struct queue *q;

	if (epoll_wait(epoll_fd, &event, 1, -1) != 1)
		return;
	shim_lock(&l);
	wait_while_paused(&l);
	c = context_by_serial(event.data.u64);
	q = queue_by_serial(event.data.u64);
	if (c)
		on_server(c);
	else if (q)
		on_queue(q);
	shim_unlock(&l);
}

static void *watch_run(void *arg)
{
	shim_inside = true;
	for (;;)
		watch_once();
	return arg;
}

/* ---- For the others ---- */

static int serve_start(void)
{
	int rc;

	if (epoll_fd >= 0)
		return 0;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		return -errno;
	epoll_fd = fd_hide(epoll_fd);
	rc = start_thread(watch_run, NULL);
	if (rc) {
		fd_close_hidden(epoll_fd);
		epoll_fd = -1;
	}
	return rc;
}

int serve_watch_fd(int fd, uint64_t serial)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = serial };
	int rc = serve_start();

	if (rc)
		return rc;
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

void serve_unwatch_fd(int fd)
{
	if (epoll_fd >= 0)
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

int serve_watch(struct context *c)
{
	return serve_watch_fd(c->server, c->serial);
}

void serve_unwatch(struct context *c)
{
	serve_unwatch_fd(c->server);
}

uint32_t serve_busy(void)
{
	uint32_t busy = 0;

	for (struct context *c = context_next(NULL); c; c = context_next(c))
		busy += c->busy;
	return busy;
}

void serve_pause(bool pause)
{
	paused = pause;
}

/* The fds are closed with all hidden ones. */
void serve_after_fork(void)
{
	epoll_fd = -1;
	for (struct channel *ch = channels; ch; ch = ch->next)
		ch->used = false;
	nr_channels = 0;
	paused = false;
}

/* In the keeper there is no thread but this one. */
void serve_for_ever(void)
{
	struct shim_lock l;

	shim_inside = true;
	shim_lock(&l);
	paused = false;
	keeping = true;
	fd_close_hidden(epoll_fd);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd >= 0)
		epoll_fd = fd_hide(epoll_fd);
	for (struct context *c = context_next(NULL); c; c = context_next(c))
		serve_watch(c);
	queues_watch();
	for (struct channel *ch = channels; ch; ch = ch->next)
		if (ch->used && start_thread(channel_run, ch)) {
			fd_close_hidden(ch->fd);
			ch->used = false;
		}
	while (epoll_fd >= 0 && context_next(NULL)) {
		shim_unlock(&l);
		watch_once();
		shim_lock(&l);
	}
	REAL(_exit)(0);
	__builtin_unreachable();
}
