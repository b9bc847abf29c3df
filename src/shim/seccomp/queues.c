// SPDX-License-Identifier: MIT
/* Event queues; see server.h. */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim/seccomp/server_priv.h"
#include "shim/seccomp/socket.h"

#define RECORD_MAX   256u
#define RESPONSE_MAX SERVER_WRITE_MAX
/* of one queue, before others have their turn */
#define RESPONSES 64u

struct server_queue {
	struct server_queue *next;
	struct server_context *context;
	uint64_t cookie;
	int end;
	int inner;
	bool faults; /* page requests: records all have one length */
	/* All below: the queue lock */
	bool direct;	     /* who reads gets the socket's messages */
	bool told;	     /* an empty message says that there is something */
	unsigned char *kept; /* read, and could not be delivered */
	size_t kept_len;
};

int server_queue_new(struct server *s, struct server_context *c,
		     struct server_queue **queue, int *program)
{
	struct server_queue *q = calloc(1, sizeof(*q));
	int rc = -ENFILE;
	int fds[2];

	if (!q)
		return -ENOMEM;
	if (!server_take_fds(s, 2))
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
	server_give_back_fds(s, 2);
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
	server_poll(s, q->inner, INNER_EVENTS, WATCH_INNER, q->cookie,
		    EPOLL_CTL_ADD);
	server_poll(s, q->end, SOCKET_EVENTS, WATCH_SOCKET, q->cookie,
		    EPOLL_CTL_ADD);
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
	server_poll(s, q->end, SOCKET_EVENTS, WATCH_SOCKET, q->cookie,
		    EPOLL_CTL_MOD);
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

void queues_on_event(struct server *s, uint64_t cookie)
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

void queues_end(struct server *s)
{
	pthread_mutex_lock(&s->queue_lock);
	while (s->queues)
		end_queue(s, s->queues);
	pthread_mutex_unlock(&s->queue_lock);
}
