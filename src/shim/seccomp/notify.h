/* SPDX-License-Identifier: MIT */
/*
 * One notification: what a thread of the program wants to do, and the answer.
 * How its memory and fds are reached is the caller's business, so that a
 * fuzzer can be a program.
 */
#ifndef SHIM_SECCOMP_NOTIFY_H
#define SHIM_SECCOMP_NOTIFY_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shim/run.h"
#include "shim/seccomp/server.h"

#define NOTIFY_FD_CLOEXEC 0x1u
/* The number is also what the call returns, in one step: it has both or
 * neither. */
#define NOTIFY_FD_ANSWER 0x2u
#define NOTIFY_FD_PLACED 0x4u

/* On the thread that waits for the answer; all give negative errnos. */
struct notify_client {
	void *ctx;
	/* -EFAULT also when the thread has gone: what was read may be
	 * another's */
	int (*read)(void *ctx, void *dst, uint64_t addr, size_t len);
	int (*write)(void *ctx, uint64_t addr, const void *src, size_t len);
	/* The same file as an fd of ours, for the caller to close; -ENFILE if
	 * it is we who have no room, else -EBADF */
	int (*get_fd)(void *ctx, int fd);
	/*
	 * Our file as an fd of its own, with NOTIFY_FD_*: the number. Placed
	 * where reads and writes stop, if there is room.
	 */
	int (*add_fd)(void *ctx, int fd, unsigned int flags);
	/* Our file becomes its fd @number, which keeps FD_CLOEXEC or not. */
	int (*replace_fd)(void *ctx, int fd, int number);
	/* Its process, whose memory can be mapped; 0 if it cannot */
	pid_t (*process)(void *ctx);
};

struct notify_env {
	struct server *server;
	struct run_stats *stats; /* or NULL */
	int trace_fd;		 /* or -1 */
	bool verbose;
	uint32_t fds_first; /* where reads and writes stop; 0: nowhere */
	/*
	 * Signals interrupt calls that are being answered: fds must be given
	 * and calls answered at once. Else our own copy of the fd is closed
	 * first, so that the program's is the last one when it closes that.
	 */
	bool interrupted;
};

/* @resp has been filled in; false: nothing is left to be answered */
bool notify_answer(const struct notify_env *env, const struct seccomp_notif *n,
		   const struct notify_client *client,
		   struct seccomp_notif_resp *resp);

#endif
