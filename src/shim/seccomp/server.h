/* SPDX-License-Identifier: MIT */
/*
 * The server of programs that are watched from outside: the machine, and what
 * they have open on it.
 *
 * The program's fd of a context, and of an event queue, is one end of a
 * SEQPACKET socketpair; the server holds the other. The kernel's cookie of the
 * program's end tells which one an fd is, whatever its number and process; the
 * hang-up at the server's end tells that nobody has it any more.
 *
 * Reads and writes of an event queue's fd stop and are answered as Linux does;
 * a message in its socket makes poll(2) tell of events. The fd may get to where
 * reads do not stop, by dup2(2) or over a socket: from the first such read on
 * the messages are records, the next one when the last one has been read, so
 * that the queue itself stays where events wait and are lost; what is written
 * is a response to faults. What this leaves different from Linux is said in
 * docs/running-programs.md.
 */
#ifndef SHIM_SECCOMP_SERVER_H
#define SHIM_SECCOMP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <nestfd/nestfd.h>

#include "shim/run.h"

struct server;
struct server_context;
struct server_queue;

int server_create(const struct run_machine *machine, struct server **out);
/* No other thread may use it any more. */
void server_destroy(struct server *s);

/*
 * A new /dev/iommu: the program's end, which the caller gives away and closes.
 * @flags: O_CLOEXEC is always set, O_NONBLOCK as asked for. -ENFILE beyond the
 * server's own limit of fds.
 */
int server_open(struct server *s, int flags);

/* The context behind a fd of the program's, kept until put; NULL: not ours */
struct server_context *server_get(struct server *s, int fd);
void server_put(struct server *s, struct server_context *c);

/* Its end of the machine, made at the first call */
int server_use(struct server *s, struct server_context *c, struct nestfd **out);

/*
 * An event queue that a call on @c is making: *@program is the program's end,
 * to be given away and closed. Then one of the other two.
 */
int server_queue_new(struct server *s, struct server_context *c,
		     struct server_queue **queue, int *program);
struct server_queue_kind {
	int inner;   /* libnestfd's fd of it */
	bool faults; /* one of page requests */
	bool stops;  /* the program's reads of it stop */
};
void server_queue_start(struct server *s, struct server_queue *q,
			const struct server_queue_kind *kind);
void server_queue_cancel(struct server *s, struct server_queue *q);

/*
 * Before a call on @c and after it: what the program has written to event
 * queues or closed is done, and what has happened can be read, as if all of
 * that had gone straight to the machine.
 */
void server_settle(struct server *s, const struct server_context *c);

/* Is @file, a program's end, that of a queue? */
bool server_is_queue(struct server *s, int file);

/*
 * read(2) and write(2) of a queue by its program's end @file; -ENOTTY if it is
 * none. At most SERVER_WRITE_MAX bytes are written. What has been read and
 * could not be delivered is given back, for the next read.
 */
#define SERVER_WRITE_MAX 4096u
ssize_t server_queue_read(struct server *s, int file, void *buf, size_t len);
void server_queue_unread(struct server *s, int file, const void *buf,
			 size_t len);
ssize_t server_queue_write(struct server *s, int file, const void *buf,
			   size_t len);

/* mmap(2) of a context, see regions.h */
struct server_map {
	struct nestfd *nestfd;
	uint64_t offset;
	uint64_t length;
	int socket;
	pid_t pid;
};
int server_map(struct server *s, const struct server_map *map, int *stand_in);
/* A copy of the socket that @file stands in for; -ENOTTY */
int server_socket_of(struct server *s, int file);
/* What is no longer mapped of @nestfd; @pid has just lost a stand-in, or 0 */
void server_look_at_maps(struct server *s, const struct nestfd *nestfd,
			 pid_t pid);

/* Adds what process @pid has pinned, and locked of it, in all contexts. */
void server_pinned(struct server *s, pid_t pid, uint64_t sum[2]);

struct faults;
/* NULL: this machine has no fault injection */
struct faults *server_faults(struct server *s);

/*
 * Handles hang-ups and events for as long as @timeout milliseconds bring none
 * (-1: for ever); for one thread. False once @fd, if not -1, has hung up.
 */
bool server_watch(struct server *s, int fd, int timeout);

struct server_count {
	unsigned int contexts;
	unsigned int queues;
};
void server_count(struct server *s, struct server_count *count);

#endif
