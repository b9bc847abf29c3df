/* SPDX-License-Identifier: MIT */
/*
 * The fail-nth files that a program has open: which allocation of the server,
 * on behalf of a thread of the program, is to fail.
 */
#ifndef SHIM_SECCOMP_FAULTS_H
#define SHIM_SECCOMP_FAULTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#define FAULTS_MAX 64u

struct fault_file {
	int end; /* ours; -1: free */
	uint64_t cookie;
	pid_t tid;
	uint64_t left; /* allocations up to the one that fails; 0: none */
};

struct faults {
	pthread_mutex_t lock;
	_Atomic unsigned int used; /* once any was opened it stays so */
	struct fault_file file[FAULTS_MAX];
};

void faults_init(struct faults *f);
void faults_end(struct faults *f);

/* That of @tid; *@program is given away and closed. -ENFILE */
int faults_open(struct faults *f, pid_t tid, int *program);

/* @file is the program's end; -ENOTTY for others. Of one thread, all files
 * say the same. */
int faults_read(struct faults *f, int file, uint64_t *left);
int faults_write(struct faults *f, int file, uint64_t nth);

/* Around a call of @tid, in the thread that serves it */
void faults_arm(struct faults *f, pid_t tid);
void faults_disarm(struct faults *f, pid_t tid);

#endif
