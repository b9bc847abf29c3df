// SPDX-License-Identifier: MIT
/*
 * Contexts; see server.h.
 *
 * A context is kept by its socket until that hangs up, by calls in progress and
 * by its event queues (as on Linux).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "shim/seccomp/server_priv.h"
#include "shim/seccomp/socket.h"

#define EVENTS 16
/* How often mappings are looked at, while there are any */
#define LOOK_NS 50000000

int server_poll(struct server *s, int fd, uint32_t events, enum watched kind,
		uint64_t cookie, int op)
{
	struct epoll_event event = {
		.events = events,
		.data.u64 = cookie << WATCH_BITS | kind,
	};

	return epoll_ctl(s->epoll, op, fd, &event) ? -errno : 0;
}

bool server_take_fds(struct server *s, unsigned int n)
{
	bool ok;

	pthread_mutex_lock(&s->lock);
	ok = s->fds + n <= s->fds_max;
	if (ok)
		s->fds += n;
	pthread_mutex_unlock(&s->lock);
	return ok;
}

void server_give_back_fds(struct server *s, unsigned int n)
{
	pthread_mutex_lock(&s->lock);
	s->fds -= n;
	pthread_mutex_unlock(&s->lock);
}

/* ---- Contexts ---- */

static struct server_context **bucket(struct server *s, uint64_t cookie)
{
	return &s->contexts[cookie % BUCKETS];
}

static struct server_context *find(struct server *s, uint64_t cookie)
{
	struct server_context *c = *bucket(s, cookie);

	while (c && c->cookie != cookie)
		c = c->next;
	return c;
}

static void unlink_context(struct server *s, struct server_context *c)
{
	struct server_context **link = bucket(s, c->cookie);

	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
}

void server_put(struct server *s, struct server_context *c)
{
	bool last;

	pthread_mutex_lock(&s->lock);
	last = !--c->refs;
	if (last)
		unlink_context(s, c);
	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	regions_wait(&s->regions);
	nestfd_close(c->nestfd);
	close(c->end);
	free(c);
	pthread_mutex_lock(&s->lock);
	s->fds--;
	s->count.contexts--;
	pthread_mutex_unlock(&s->lock);
}

/* The socket has hung up: whoever sees it first lets the context go. */
static void hang_up(struct server *s, struct server_context *c)
{
	bool was;

	pthread_mutex_lock(&s->lock);
	was = c->open;
	c->open = false;
	pthread_mutex_unlock(&s->lock);
	if (!was)
		return;
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, c->end, NULL);
	server_put(s, c);
}

static struct server_context *get_by_cookie(struct server *s, uint64_t cookie)
{
	struct server_context *c;

	pthread_mutex_lock(&s->lock);
	c = find(s, cookie);
	if (c && c->open)
		c->refs++;
	else
		c = NULL;
	pthread_mutex_unlock(&s->lock);
	return c;
}

struct server_context *server_get(struct server *s, int fd)
{
	uint64_t cookie;

	return socket_cookie(fd, &cookie) ? NULL : get_by_cookie(s, cookie);
}

/* One that has gone without having been noticed yet; kept for the caller */
static struct server_context *next_gone(struct server *s)
{
	struct server_context *c = NULL;

	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < BUCKETS && !c; i++) {
		c = s->contexts[i];
		while (c && !(c->open && socket_has_hung_up(c->end)))
			c = c->next;
	}
	if (c)
		c->refs++;
	pthread_mutex_unlock(&s->lock);
	return c;
}

/* A program that closes and opens again finds its devices free. */
static void reap(struct server *s)
{
	struct server_context *c;

	regions_settle(&s->regions, NULL, 0);
	pthread_mutex_lock(&s->end_lock);
	while ((c = next_gone(s))) {
		hang_up(s, c);
		server_put(s, c);
	}
	pthread_mutex_unlock(&s->end_lock);
}

static int add_context(struct server *s, int end, uint64_t cookie)
{
	struct server_context *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return -ENOMEM;
	c->cookie = cookie;
	c->end = end;
	c->open = true;
	c->refs = 1;
	/* Nothing is ever said over it: as with /dev/iommu, poll(2) does not
	 * wait. */
	shutdown(end, SHUT_WR);
	pthread_mutex_lock(&s->lock);
	rc = server_poll(s, end, 0, WATCH_CONTEXT, cookie, EPOLL_CTL_ADD);
	if (!rc) {
		c->next = *bucket(s, cookie);
		*bucket(s, cookie) = c;
		s->count.contexts++;
	}
	pthread_mutex_unlock(&s->lock);
	if (rc)
		free(c);
	return rc;
}

int server_open(struct server *s, int flags)
{
	uint64_t cookie;
	int fds[2];
	int rc;

	reap(s);
	if (!server_take_fds(s, 1))
		return -ENFILE;
	rc = socket_pair(flags & O_NONBLOCK ? SOCK_NONBLOCK : 0, fds, &cookie);
	if (rc)
		goto give_back;
	rc = add_context(s, fds[1], cookie);
	if (!rc)
		return fds[0];
	close(fds[0]);
	close(fds[1]);
give_back:
	server_give_back_fds(s, 1);
	return rc == -EMFILE ? -ENFILE : rc; /* it is not the program's table */
}

static struct nestfd *nestfd_of(struct server *s, struct server_context *c)
{
	struct nestfd *nestfd;

	pthread_mutex_lock(&s->lock);
	nestfd = c->nestfd;
	pthread_mutex_unlock(&s->lock);
	return nestfd;
}

/* Binding may wait for a device; who has its nestfd does not. */
static int first_use(struct server *s, struct server_context *c)
{
	struct nestfd *nestfd;
	int rc = 0;

	pthread_mutex_lock(&s->use_lock);
	if (!c->nestfd) {
		rc = nestfd_open(s->machine.machine, &nestfd);
		if (!rc) {
			shim_machine_bind(&s->machine, nestfd);
			pthread_mutex_lock(&s->lock);
			c->nestfd = nestfd;
			pthread_mutex_unlock(&s->lock);
		}
	}
	pthread_mutex_unlock(&s->use_lock);
	return rc;
}

int server_use(struct server *s, struct server_context *c, struct nestfd **out)
{
	struct nestfd *nestfd = nestfd_of(s, c);

	if (!nestfd) {
		int rc = first_use(s, c);

		if (rc)
			return rc;
		nestfd = nestfd_of(s, c);
	}
	*out = nestfd;
	return 0;
}

/* ---- Mappings ---- */

static void set_timer(struct server *s, long ns)
{
	const struct itimerspec every = { { 0, ns }, { 0, ns } };

	timerfd_settime(s->timer, 0, &every, NULL);
}

int server_map(struct server *s, const struct server_map *map, int *stand_in)
{
	int rc = server_take_fds(s, 1) ? 0 : -ENFILE;

	if (rc)
		return rc;
	rc = regions_map(&s->regions, map->nestfd, map->offset, map->length,
			 map->socket, map->pid, stand_in);
	server_give_back_fds(s, 1);
	if (!rc)
		set_timer(s, LOOK_NS);
	return rc;
}

int server_socket_of(struct server *s, int file)
{
	return regions_socket(&s->regions, file);
}

void server_look_at_maps(struct server *s, const struct nestfd *nestfd,
			 pid_t pid)
{
	regions_settle(&s->regions, nestfd, pid);
}

static void on_timer(struct server *s)
{
	uint64_t ticks;

	if (read(s->timer, &ticks, sizeof(ticks)) < 0)
		return;
	if (regions_settle(&s->regions, NULL, 0))
		return;
	set_timer(s, 0);
	/* Somebody may have begun just before. */
	if (regions_settle(&s->regions, NULL, 0))
		set_timer(s, LOOK_NS);
}

/* ---- Files of /proc ---- */

void server_pinned(struct server *s, pid_t pid, uint64_t sum[2])
{
	uint64_t pinned, locked;

	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < BUCKETS; i++) {
		struct server_context *c = s->contexts[i];

		for (; c; c = c->next) {
			if (!c->nestfd)
				continue;
			nestfd_pinned(c->nestfd, pid, &pinned, &locked);
			sum[0] += pinned;
			sum[1] += locked;
		}
	}
	pthread_mutex_unlock(&s->lock);
}

struct faults *server_faults(struct server *s)
{
	return s->has_faults ? &s->faults : NULL;
}

/* ---- Watching ---- */

static void on_context(struct server *s, uint64_t cookie)
{
	struct server_context *c;

	pthread_mutex_lock(&s->end_lock);
	c = get_by_cookie(s, cookie);
	if (c) {
		hang_up(s, c);
		server_put(s, c);
	}
	pthread_mutex_unlock(&s->end_lock);
}

static bool on_event(struct server *s, const struct epoll_event *event)
{
	uint64_t cookie = event->data.u64 >> WATCH_BITS;
	enum watched kind = event->data.u64 & ((1u << WATCH_BITS) - 1);

	switch (kind) {
	case WATCH_CONTEXT:
		on_context(s, cookie);
		return true;
	case WATCH_SOCKET:
	case WATCH_INNER:
		queues_on_event(s, cookie);
		return true;
	case WATCH_TIMER:
		on_timer(s);
		return true;
	default:
		return !(event->events & EPOLLHUP);
	}
}

bool server_watch(struct server *s, int fd, int timeout)
{
	struct epoll_event events[EVENTS];
	bool go_on = true;
	int n;

	if (fd >= 0 && server_poll(s, fd, 0, WATCH_END, 0, EPOLL_CTL_ADD))
		return false;
	do {
		n = epoll_wait(s->epoll, events, EVENTS, timeout);
		for (int i = 0; i < n; i++)
			go_on &= on_event(s, &events[i]);
	} while (go_on && (n > 0 || (n < 0 && errno == EINTR)));
	if (fd >= 0)
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL);
	return go_on;
}

/* ---- The whole ---- */

static unsigned int third_of_the_fds(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > 1u << 16)
		return 1u << 15;
	return (unsigned int)limit.rlim_cur / 3;
}

static int open_epoll(struct server *s)
{
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0 || s->timer < 0)
		return -errno;
	return server_poll(s, s->timer, EPOLLIN, WATCH_TIMER, 0, EPOLL_CTL_ADD);
}

static void free_server(struct server *s)
{
	if (s->epoll >= 0)
		close(s->epoll);
	if (s->timer >= 0)
		close(s->timer);
	regions_end(&s->regions);
	faults_end(&s->faults);
	pthread_mutex_destroy(&s->use_lock);
	pthread_mutex_destroy(&s->end_lock);
	pthread_mutex_destroy(&s->queue_lock);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int server_create(const struct run_machine *machine, struct server **out)
{
	struct server *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->fds_max = third_of_the_fds();
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->queue_lock, NULL);
	pthread_mutex_init(&s->end_lock, NULL);
	pthread_mutex_init(&s->use_lock, NULL);
	regions_init(&s->regions);
	faults_init(&s->faults);
	s->has_faults = machine->iommu && !strcmp(machine->iommu, "mock");
	rc = open_epoll(s);
	if (!rc)
		rc = shim_machine_make(&s->machine, machine);
	if (!rc) {
		*out = s;
		return 0;
	}
	free_server(s);
	return rc;
}

static void end_contexts(struct server *s)
{
	for (unsigned int i = 0; i < BUCKETS; i++) {
		struct server_context *c;

		while ((c = s->contexts[i])) {
			c->refs = 1; /* nobody is left to have any */
			server_put(s, c);
		}
	}
}

void server_destroy(struct server *s)
{
	if (!s)
		return;
	queues_end(s);
	end_contexts(s);
	shim_machine_end(&s->machine);
	free_server(s);
}

void server_count(struct server *s, struct server_count *count)
{
	pthread_mutex_lock(&s->lock);
	*count = s->count;
	pthread_mutex_unlock(&s->lock);
}
