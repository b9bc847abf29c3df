// SPDX-License-Identifier: MIT
/*
 * Contexts and event queues; see server.h.
 *
 * A context is kept by its socket until that hangs up, by calls in progress and
 * by its event queues (as on Linux).
 */
#include "shim/seccomp/server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "shim/machine.h"
#include "shim/seccomp/faults.h"
#include "shim/seccomp/regions.h"
#include "shim/seccomp/socket.h"

#define BUCKETS	     256u
#define RECORD_MAX   256u
#define RESPONSE_MAX SERVER_WRITE_MAX
/* of one queue, before others have their turn */
#define RESPONSES 64u
#define EVENTS	  16

/* Low bits of what epoll says; above them a cookie */
enum watched {
	WATCH_CONTEXT,
	WATCH_SOCKET,
	WATCH_INNER,
	WATCH_END,
	WATCH_TIMER,
};
#define WATCH_BITS 3

/* How often mappings are looked at, while there are any */
#define LOOK_NS 50000000

struct server_context {
	struct server_context *next;
	uint64_t cookie;
	int end;
	bool open; /* the program's end exists */
	unsigned int refs;
	struct nestfd *nestfd; /* NULL until the first call */
};

struct server_queue {
	struct server_queue *next;
	struct server_context *context;
	uint64_t cookie;
	int end;
	int inner;
	bool faults; /* page requests: records all have one length */
	/* Of all below: the queue lock. Who reads gets the socket's messages.
	 */
	bool direct;
	bool told;	     /* an empty message says that there is something */
	unsigned char *kept; /* read, and could not be delivered */
	size_t kept_len;
};

struct server {
	struct shim_machine machine;
	int epoll;
	unsigned int fds_max;
	/* Held while what has hung up ends, so that one can wait for it; taken
	 * before the others */
	pthread_mutex_t end_lock;
	pthread_mutex_t lock; /* all below, and what is in it */
	unsigned int fds;
	struct server_count count;
	struct server_context *contexts[BUCKETS];
	/* Held while queues are worked on; taken before the other, and before
	 * libnestfd's. Changes of the list need it. */
	pthread_mutex_t queue_lock;
	struct server_queue *queues;
	_Atomic unsigned int nr_queues; /* in the list */
	struct regions regions;
	int timer; /* runs while there are any */
	struct faults faults;
	bool has_faults; /* fixed */
};

static int watch(struct server *s, int fd, uint32_t events, enum watched kind,
		 uint64_t cookie, int op)
{
	struct epoll_event event = {
		.events = events,
		.data.u64 = cookie << WATCH_BITS | kind,
	};

	return epoll_ctl(s->epoll, op, fd, &event) ? -errno : 0;
}

/* The server's own fds are bounded, so that calls can always be served. */
static bool take_fds(struct server *s, unsigned int n)
{
	bool ok;

	pthread_mutex_lock(&s->lock);
	ok = s->fds + n <= s->fds_max;
	if (ok)
		s->fds += n;
	pthread_mutex_unlock(&s->lock);
	return ok;
}

static void give_back_fds(struct server *s, unsigned int n)
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
	rc = watch(s, end, 0, WATCH_CONTEXT, cookie, EPOLL_CTL_ADD);
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
	if (!take_fds(s, 1))
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
	give_back_fds(s, 1);
	return rc == -EMFILE ? -ENFILE : rc; /* it is not the program's table */
}

int server_use(struct server *s, struct server_context *c,
	       struct nestfd **nestfd)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (!c->nestfd) {
		rc = nestfd_open(s->machine.machine, &c->nestfd);
		if (!rc)
			shim_machine_bind(&s->machine, c->nestfd);
	}
	if (!rc)
		*nestfd = c->nestfd;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* ---- Event queues ---- */

int server_queue_new(struct server *s, struct server_context *c,
		     struct server_queue **queue, int *program)
{
	struct server_queue *q = calloc(1, sizeof(*q));
	int rc = -ENFILE;
	int fds[2];

	if (!q)
		return -ENOMEM;
	if (!take_fds(s, 2))
		goto free_queue;
	/* Reading an empty queue does not wait on Linux either. */
	rc = socket_pair(SOCK_NONBLOCK, fds, &q->cookie);
	if (rc)
		goto give_back;
	q->end = fds[1];
	q->inner = -1;
	pthread_mutex_lock(&s->lock);
	q->context = c;
	c->refs++;
	s->count.queues++;
	pthread_mutex_unlock(&s->lock);
	*queue = q;
	*program = fds[0];
	return 0;

give_back:
	give_back_fds(s, 2);
free_queue:
	free(q);
	return rc;
}

void server_queue_cancel(struct server *s, struct server_queue *q)
{
	struct server_context *c = q->context;

	close(q->end);
	free(q->kept);
	free(q);
	pthread_mutex_lock(&s->lock);
	s->fds -= 2;
	s->count.queues--;
	pthread_mutex_unlock(&s->lock);
	server_put(s, c);
}

/* With the queue lock held */
static void end_queue(struct server *s, struct server_queue *q)
{
	struct server_queue **link = &s->queues;

	epoll_ctl(s->epoll, EPOLL_CTL_DEL, q->inner, NULL);
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, q->end, NULL);
	while (*link != q)
		link = &(*link)->next;
	*link = q->next;
	nestfd_close_fd(q->context->nestfd, q->inner);
	server_queue_cancel(s, q);
	/* Who sees none left does not wait for the lock. */
	atomic_fetch_sub(&s->nr_queues, 1);
}

/* Ends of edges: each thing read by the program, each event, is one. */
#define SOCKET_EVENTS (EPOLLIN | EPOLLOUT | EPOLLET)
#define INNER_EVENTS  (EPOLLIN | EPOLLET)

void server_queue_start(struct server *s, struct server_queue *q,
			const struct server_queue_kind *kind)
{
	q->inner = kind->inner;
	q->faults = kind->faults;
	q->direct = !kind->stops;
	pthread_mutex_lock(&s->queue_lock);
	q->next = s->queues;
	s->queues = q;
	atomic_fetch_add(&s->nr_queues, 1);
	/* Without memory for this, the queue is only looked at when its
	 * context is called. */
	watch(s, q->inner, INNER_EVENTS, WATCH_INNER, q->cookie, EPOLL_CTL_ADD);
	watch(s, q->end, SOCKET_EVENTS, WATCH_SOCKET, q->cookie, EPOLL_CTL_ADD);
	pthread_mutex_unlock(&s->queue_lock);
}

/* With the queue lock held */
static struct server_queue *find_queue(struct server *s, uint64_t cookie)
{
	struct server_queue *q = s->queues;

	while (q && q->cookie != cookie)
		q = q->next;
	return q;
}

/*
 * Exactly one record, however long records are: a length that just fits. Too
 * short ones are EINVAL or, of fault queues, ESPIPE.
 */
static ssize_t read_record(struct server_queue *q, unsigned char *record)
{
	ssize_t n = -EINVAL;

	for (size_t len = 4; len <= RECORD_MAX && n < 0; len += 4)
		n = nestfd_read(q->context->nestfd, q->inner, record, len);
	return n;
}

static bool has_unread(const struct server_queue *q)
{
	int unread = 0;

	return ioctl(q->end, SIOCOUTQ, &unread) || unread;
}

static bool is_readable(const struct server_queue *q)
{
	struct pollfd p = { .fd = q->inner, .events = POLLIN };

	return q->kept || (poll(&p, 1, 0) == 1 && p.revents & POLLIN);
}

/* Gone, or out of memory: as lost as its reader */
static void send_message(struct server_queue *q, const void *message, size_t n)
{
	ssize_t rc = send(q->end, message, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	q->told = !n && !rc;
}

/*
 * So that poll(2) tells: an empty message, since reads stop and are answered
 * from the queue. If somebody reads the message all the same, by an fd that
 * does not stop, it has to be the records from then on.
 */
static void tell(struct server_queue *q)
{
	unsigned char record[RECORD_MAX];
	ssize_t n;

	if (has_unread(q))
		return;
	q->direct |= q->told;
	q->told = false;
	if (!q->direct) {
		if (is_readable(q))
			send_message(q, record, 0);
		return;
	}
	n = read_record(q, record);
	if (n > 0)
		send_message(q, record, (size_t)n);
}

/* By the program's end @file: there is nothing any more. */
static void tell_no_more(struct server_queue *q, int file)
{
	char byte;

	if (q->told && !is_readable(q)) {
		recv(file, &byte, 1, MSG_DONTWAIT);
		q->told = false;
	}
}

static void take_responses(struct server *s, struct server_queue *q)
{
	unsigned char bytes[RESPONSE_MAX];

	for (unsigned int i = 0; i < RESPONSES; i++) {
		ssize_t n = recv(q->end, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n <= 0)
			return;
		nestfd_write(q->context->nestfd, q->inner, bytes, (size_t)n);
	}
	/* There may be more: another edge, please. */
	watch(s, q->end, SOCKET_EVENTS, WATCH_SOCKET, q->cookie, EPOLL_CTL_MOD);
}

/* With the queue lock held: all that both sides have done by now */
static void settle(struct server *s, struct server_queue *q)
{
	take_responses(s, q);
	if (socket_has_hung_up(q->end))
		end_queue(s, q);
	else
		tell(q);
}

/* The queue whose end of the program's @file is; with the queue lock held */
static struct server_queue *queue_of(struct server *s, int file)
{
	uint64_t cookie;

	if (!atomic_load(&s->nr_queues) || socket_cookie(file, &cookie))
		return NULL;
	return find_queue(s, cookie);
}

/* What a read of @len answers if the next record has @n bytes; 0: it fits */
static int too_short(const struct server_queue *q, size_t len, size_t n)
{
	if (q->faults && len % n)
		return -ESPIPE;
	return len < n ? -EINVAL : 0;
}

/* The message that waits in the socket. Who reads that itself at the same time
 * may be faster. */
static ssize_t read_message(struct server_queue *q, int file, void *buf,
			    size_t len)
{
	unsigned char record[RECORD_MAX];
	ssize_t n;
	int rc;

	tell(q);
	n = recv(file, record, sizeof(record), MSG_PEEK | MSG_DONTWAIT);
	if (n <= 0)
		return nestfd_read(q->context->nestfd, q->inner, record,
				   len < sizeof(record) ? len : sizeof(record));
	rc = too_short(q, len, (size_t)n);
	if (rc)
		return rc;
	n = recv(file, buf, (size_t)n, MSG_DONTWAIT);
	tell(q);
	return n > 0 ? n : 0;
}

/* What an earlier read could not deliver */
static ssize_t read_kept(struct server_queue *q, void *buf, size_t len)
{
	if (len < q->kept_len)
		return -EINVAL;
	memcpy(buf, q->kept, q->kept_len);
	free(q->kept);
	q->kept = NULL;
	return (ssize_t)q->kept_len;
}

ssize_t server_queue_read(struct server *s, int file, void *buf, size_t len)
{
	struct server_queue *q;
	ssize_t rc = -ENOTTY;

	pthread_mutex_lock(&s->queue_lock);
	q = queue_of(s, file);
	if (q && q->kept)
		rc = read_kept(q, buf, len);
	else if (q && q->direct)
		rc = read_message(q, file, buf, len);
	else if (q)
		rc = nestfd_read(q->context->nestfd, q->inner, buf, len);
	if (q)
		tell_no_more(q, file);
	pthread_mutex_unlock(&s->queue_lock);
	return rc;
}

void server_queue_unread(struct server *s, int file, const void *buf,
			 size_t len)
{
	struct server_queue *q;

	pthread_mutex_lock(&s->queue_lock);
	q = queue_of(s, file);
	if (q && !q->kept) {
		q->kept = malloc(len);
		q->kept_len = len;
		if (q->kept)
			memcpy(q->kept, buf, len);
		tell(q);
	}
	pthread_mutex_unlock(&s->queue_lock);
}

ssize_t server_queue_write(struct server *s, int file, const void *buf,
			   size_t len)
{
	struct server_queue *q;
	ssize_t rc = -ENOTTY;

	pthread_mutex_lock(&s->queue_lock);
	q = queue_of(s, file);
	if (q) {
		take_responses(s, q);
		rc = nestfd_write(q->context->nestfd, q->inner, buf, len);
	}
	pthread_mutex_unlock(&s->queue_lock);
	return rc;
}

bool server_is_queue(struct server *s, int file)
{
	bool is;

	pthread_mutex_lock(&s->queue_lock);
	is = queue_of(s, file);
	pthread_mutex_unlock(&s->queue_lock);
	return is;
}

static void on_queue(struct server *s, uint64_t cookie)
{
	struct server_queue *q;

	pthread_mutex_lock(&s->queue_lock);
	q = find_queue(s, cookie);
	if (q)
		settle(s, q);
	pthread_mutex_unlock(&s->queue_lock);
}

void server_settle(struct server *s, const struct server_context *c)
{
	struct server_queue *q, *next;

	if (!atomic_load(&s->nr_queues))
		return;
	pthread_mutex_lock(&s->queue_lock);
	for (q = s->queues; q; q = next) {
		next = q->next;
		if (q->context == c)
			settle(s, q);
	}
	pthread_mutex_unlock(&s->queue_lock);
}

/* ---- Mappings ---- */

static void set_timer(struct server *s, long ns)
{
	const struct itimerspec every = { { 0, ns }, { 0, ns } };

	timerfd_settime(s->timer, 0, &every, NULL);
}

int server_map(struct server *s, const struct server_map *map, int *stand_in)
{
	int rc = take_fds(s, 1) ? 0 : -ENFILE;

	if (rc)
		return rc;
	rc = regions_map(&s->regions, map->nestfd, map->offset, map->length,
			 map->socket, map->pid, stand_in);
	give_back_fds(s, 1);
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
		on_queue(s, cookie);
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

	if (fd >= 0 && watch(s, fd, 0, WATCH_END, 0, EPOLL_CTL_ADD))
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
	return watch(s, s->timer, EPOLLIN, WATCH_TIMER, 0, EPOLL_CTL_ADD);
}

static void free_server(struct server *s)
{
	if (s->epoll >= 0)
		close(s->epoll);
	if (s->timer >= 0)
		close(s->timer);
	regions_end(&s->regions);
	faults_end(&s->faults);
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
	pthread_mutex_lock(&s->queue_lock);
	while (s->queues)
		end_queue(s, s->queues);
	pthread_mutex_unlock(&s->queue_lock);
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
