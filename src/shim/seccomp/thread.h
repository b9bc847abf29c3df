/* SPDX-License-Identifier: MIT */
/* A thread of the program that waits for an answer: its memory and its fds. */
#ifndef SHIM_SECCOMP_THREAD_H
#define SHIM_SECCOMP_THREAD_H

#include <stdint.h>
#include <sys/types.h>

#include "shim/seccomp/notify.h"

#define THREAD_PIDFDS 4u

/* One for each worker. Threads of the program that it has served of late */
struct thread_pidfds {
	struct {
		pid_t tid;
		int fd; /* if @tid is not 0 */
	} entry[THREAD_PIDFDS];
};

struct thread {
	int listener;
	uint64_t id;
	pid_t tid;
	struct thread_pidfds *pidfds;
};

extern const struct notify_client thread_client; /* without its ctx */

void thread_forget_all(struct thread_pidfds *pidfds);

/* 0 if the kernel can add fds and answer in one step (Linux 5.14) */
int thread_check_addfd(int listener);

#endif
