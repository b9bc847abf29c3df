/* SPDX-License-Identifier: MIT */
/* A thread of the program that waits for an answer: its memory and its fds. */
#ifndef SHIM_SECCOMP_THREAD_H
#define SHIM_SECCOMP_THREAD_H

#include <pthread.h>
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

/* Where fds are placed whose reads and writes stop; one for all workers */
struct thread_places {
	pthread_mutex_t lock; /* two in one process do not take the same */
	uint32_t first;	      /* fixed; 0: nowhere */
	uint32_t next;	      /* of FILTER_FDS from there */
};

struct thread {
	int listener;
	uint64_t id;
	pid_t tid;
	struct thread_pidfds *pidfds;
	struct thread_places *places;
};

extern const struct notify_client thread_client; /* without its ctx */

void thread_forget_all(struct thread_pidfds *pidfds);

/* 0 if the kernel can add fds and answer in one step (Linux 5.14) */
int thread_check_addfd(int listener);

#endif
