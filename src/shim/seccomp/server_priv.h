/* SPDX-License-Identifier: MIT */
/* What server.c and queues.c share. */
#ifndef SHIM_SECCOMP_SERVER_PRIV_H
#define SHIM_SECCOMP_SERVER_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "shim/machine.h"
#include "shim/seccomp/faults.h"
#include "shim/seccomp/regions.h"
#include "shim/seccomp/server.h"

#define BUCKETS 256u

/* Low bits of what epoll says; above them a cookie */
enum watched {
	WATCH_CONTEXT,
	WATCH_SOCKET,
	WATCH_INNER,
	WATCH_END,
	WATCH_TIMER,
};
#define WATCH_BITS 3

struct server_context {
	struct server_context *next;
	uint64_t cookie;
	int end;
	bool open; /* the program's end exists */
	unsigned int refs;
	/* NULL until the first call; written with use_lock and lock held */
	struct nestfd *nestfd;
};

struct server {
	struct shim_machine machine;
	int epoll;
	unsigned int fds_max;
	/* Held while what has hung up ends, so that one can wait for it; taken
	 * before the others */
	pthread_mutex_t end_lock;
	/* Held while a context's first call opens its nestfd; taken before
	 * lock */
	pthread_mutex_t use_lock;
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

/* epoll_ctl(2); 0 or -errno */
int server_poll(struct server *s, int fd, uint32_t events, enum watched kind,
		uint64_t cookie, int op);

/* The server's own fds are bounded, so that calls can always be served. */
bool server_take_fds(struct server *s, unsigned int n);
void server_give_back_fds(struct server *s, unsigned int n);

/* queues.c: what epoll says of one; all of them end */
void queues_on_event(struct server *s, uint64_t cookie);
void queues_end(struct server *s);

#endif
