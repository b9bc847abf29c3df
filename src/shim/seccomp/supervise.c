// SPDX-License-Identifier: MIT
/*
 * The threads that answer. There are some from the start, and another one
 * whenever the last idle one gets something to do, up to a limit: a call that
 * takes long does not hold up the others. One more watches the sockets.
 */
#include "shim/seccomp/supervise.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim/seccomp/filter.h"
#include "shim/seccomp/notify.h"
#include "shim/seccomp/thread.h"

/* Linux 6.6: who notifies is about to sleep, so the answer may come from the
 * same CPU. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS	   SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

#define WORKERS_START 2u
#define WORKERS_MAX   64u
#define STACK_SIZE    (256u * 1024u)
/* On kernels where a worker may wait for ever after the last process */
#define END_TRIES 200u
/* Fds that processes without the filter have got may stay for ever. */
#define LINGER_TRIES 10u
#define LINGER_MS    10

struct supervisor {
	struct notify_env env;
	struct seccomp_notif_sizes sizes;
	struct thread_places places;
	int channel[2]; /* the child sends the listener to [0] */
	int listener;
	_Atomic unsigned int idle;
	_Atomic unsigned int running; /* threads of all kinds */
	_Atomic unsigned int workers;
};

const char *supervise_why_not(void)
{
	return filter_why_not();
}

struct server *supervise_server(struct supervisor *s)
{
	return s->env.server;
}

int supervise_create(const struct supervise_config *config,
		     struct supervisor **out)
{
	struct supervisor *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->listener = -1;
	pthread_mutex_init(&s->places.lock, NULL);
	s->env.stats = config->stats;
	s->env.trace_fd = config->trace_fd;
	s->env.verbose = config->verbose;
	rc = syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &s->sizes)
		     ? -errno
		     : 0;
	if (!rc &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->channel))
		rc = -errno;
	if (rc)
		goto free_it;
	rc = server_create(&config->machine, &s->env.server);
	if (rc)
		goto close_channel;
	*out = s;
	return 0;

close_channel:
	close(s->channel[0]);
	close(s->channel[1]);
free_it:
	pthread_mutex_destroy(&s->places.lock);
	free(s);
	return rc;
}

int supervise_open(struct supervisor *s)
{
	return server_open(s->env.server, 0);
}

/* ---- The listener's way from the child ---- */

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/* What the child says of its listener */
struct hello {
	uint32_t fds_first;
	bool interrupted;
};

static int send_fd(int to, int fd, struct hello hello)
{
	struct iovec iov = { &hello, sizeof(hello) };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *c;

	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(to, &msg, MSG_NOSIGNAL) > 0 ? 0 : -errno;
}

static int receive_fd(int from, struct hello *hello)
{
	struct iovec iov = { hello, sizeof(*hello) };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *c;
	ssize_t n;
	int fd;

	do {
		n = recvmsg(from, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	c = n == sizeof(*hello) ? CMSG_FIRSTHDR(&msg) : NULL;
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return -EPIPE;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int supervise_install(struct supervisor *s)
{
	struct filter_config config = {
		.fail_nth = server_faults(s->env.server),
		.closes = s->env.stats || s->env.trace_fd >= 0,
	};
	struct hello hello = { 0 };
	struct rlimit limit;
	int fd, rc;

	if (!getrlimit(RLIMIT_NOFILE, &limit))
		config.fds_first = filter_fds_first(limit.rlim_cur);
	hello.fds_first = config.fds_first;
	fd = filter_install(&config, &hello.interrupted);
	if (fd < 0)
		return fd;
	rc = send_fd(s->channel[1], fd, hello);
	syscall(SYS_close_range, fd, fd, 0); /* close(2) may stop */
	return rc;
}

/* ---- Threads ---- */

static int start_thread(struct supervisor *s, void *(*run)(void *arg))
{
	sigset_t most, old;
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	sigfillset(&most);
	sigdelset(&most, SIGSEGV); /* DMA into files that have shrunk */
	sigdelset(&most, SIGBUS);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	atomic_fetch_add(&s->running, 1);
	pthread_sigmask(SIG_SETMASK, &most, &old);
	rc = pthread_create(&thread, &attr, run, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (rc)
		atomic_fetch_sub(&s->running, 1);
	return -rc;
}

static bool is_over(const struct supervisor *s, int timeout)
{
	struct pollfd p = { .fd = s->listener };

	return poll(&p, 1, timeout) == 1 && p.revents & (POLLHUP | POLLNVAL);
}

/* 0, -ENOENT: the thread died first, or all did */
static int receive(struct supervisor *s, struct seccomp_notif *n)
{
	memset(n, 0, s->sizes.seccomp_notif);
	return ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, n) ? -errno : 0;
}

static void answer(struct supervisor *s, const struct seccomp_notif *n,
		   struct seccomp_notif_resp *resp,
		   struct thread_pidfds *pidfds)
{
	struct thread thread = {
		.listener = s->listener,
		.id = n->id,
		.tid = (pid_t)n->pid,
		.pidfds = pidfds,
		.places = &s->places,
	};
	struct notify_client client = thread_client;

	client.ctx = &thread;
	if (notify_answer(&s->env, n, &client, resp))
		/* Fails if it has died: nothing is left behind then */
		ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, resp);
}

static bool add_worker(struct supervisor *s);

static void work_on(struct supervisor *s, struct seccomp_notif *n,
		    struct seccomp_notif_resp *resp)
{
	struct thread_pidfds pidfds = { 0 };
	int rc;

	do {
		rc = receive(s, n);
		if (!rc) {
			if (atomic_fetch_sub(&s->idle, 1) == 1)
				add_worker(s);
			answer(s, n, resp, &pidfds);
			atomic_fetch_add(&s->idle, 1);
		} else if (rc == -ENOENT && is_over(s, 0)) {
			break;
		}
	} while (!rc || rc == -ENOENT || rc == -EINTR);
	thread_forget_all(&pidfds);
}

/* The kernel's structs may be longer than those we know. */
static size_t at_least(size_t size, size_t known)
{
	return size > known ? size : known;
}

static void *worker(void *arg)
{
	struct supervisor *s = arg;
	void *n = calloc(1, at_least(s->sizes.seccomp_notif,
				     sizeof(struct seccomp_notif)));
	void *resp = calloc(1, at_least(s->sizes.seccomp_notif_resp,
					sizeof(struct seccomp_notif_resp)));

	if (n && resp)
		work_on(s, n, resp);
	free(n);
	free(resp);
	atomic_fetch_sub(&s->idle, 1);
	atomic_fetch_sub(&s->workers, 1);
	atomic_fetch_sub(&s->running, 1);
	return NULL;
}

static bool add_worker(struct supervisor *s)
{
	if (atomic_fetch_add(&s->workers, 1) >= WORKERS_MAX) {
		atomic_fetch_sub(&s->workers, 1);
		return false;
	}
	atomic_fetch_add(&s->idle, 1);
	if (!start_thread(s, worker))
		return true;
	atomic_fetch_sub(&s->idle, 1);
	atomic_fetch_sub(&s->workers, 1);
	return false;
}

static bool has_contexts(struct supervisor *s)
{
	struct server_count count;

	server_count(s->env.server, &count);
	return count.contexts;
}

static void *watcher(void *arg)
{
	struct supervisor *s = arg;
	unsigned int tries = LINGER_TRIES;

	server_watch(s->env.server, s->listener, -1);
	/* The last process lets go of the filter before it does of its fds. */
	while (has_contexts(s) && tries--)
		server_watch(s->env.server, -1, LINGER_MS);
	atomic_fetch_sub(&s->running, 1);
	return NULL;
}

int supervise_start(struct supervisor *s)
{
	struct hello hello;
	unsigned int started = 0;
	int rc;

	close(s->channel[1]);
	s->channel[1] = -1;
	s->listener = receive_fd(s->channel[0], &hello);
	if (s->listener < 0)
		return s->listener;
	s->places.first = s->env.fds_first = hello.fds_first;
	s->env.interrupted = hello.interrupted;
	ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
	      SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP); /* only faster */
	rc = thread_check_addfd(s->listener);
	if (!rc)
		rc = start_thread(s, watcher);
	if (rc)
		return rc;
	for (unsigned int i = 0; i < WORKERS_START; i++)
		started += add_worker(s);
	return started ? 0 : -EAGAIN;
}

bool supervise_wait(struct supervisor *s, int timeout)
{
	return s->listener < 0 || is_over(s, timeout);
}

/* False on old kernels, where workers go on waiting for calls */
static bool threads_have_ended(struct supervisor *s)
{
	static const struct timespec nap = { .tv_nsec = 1000000 };

	for (unsigned int i = 0; i < END_TRIES; i++) {
		if (!atomic_load(&s->running))
			return true;
		nanosleep(&nap, NULL);
	}
	return false;
}

void supervise_destroy(struct supervisor *s)
{
	if (!s || !threads_have_ended(s))
		return; /* the process ends soon */
	if (s->listener >= 0)
		close(s->listener);
	close(s->channel[0]);
	if (s->channel[1] >= 0)
		close(s->channel[1]);
	server_destroy(s->env.server);
	pthread_mutex_destroy(&s->places.lock);
	free(s);
}
