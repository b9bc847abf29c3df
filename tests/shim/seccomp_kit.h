/* SPDX-License-Identifier: MIT */
/*
 * Programs under the supervisor: a program here is a function that runs in a
 * child with the filter, and answers 0. WANT() ends it with the line that was
 * wrong.
 */
#ifndef TESTS_SHIM_SECCOMP_KIT_H
#define TESTS_SHIM_SECCOMP_KIT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/iommufd.h>

#include "shim/seccomp/server.h"
#include "shim/seccomp/supervise.h"

#define WANT(condition)                                                \
	do {                                                           \
		if (!(condition)) {                                    \
			dprintf(2, "%s:%d: %s (errno %d)\n", __FILE__, \
				__LINE__, #condition, errno);          \
			_exit(99);                                     \
		}                                                      \
	} while (0)
/* The call fails like this. */
#define FAILS(call, error) WANT((call) == -1 && errno == (error))

/* Skips the test where the kernel lets us not. */
void kit_need_seccomp(void);

struct kit_run {
	struct supervisor *supervisor;
	pid_t pid;
	/* The program writes a byte to [1] and waits for one from [0]: */
	int up[2];
	int down[2];
};

extern int kit_up, kit_down; /* in the program */
void kit_say(void);	     /* in the program: says so, and waits */

void kit_start(struct kit_run *run, const struct supervise_config *config,
	       int (*program)(void));
void kit_hear(struct kit_run *run); /* the program has said so */
void kit_go_on(struct kit_run *run);
/* Until the server has so many of each; at most some seconds */
void kit_await(struct kit_run *run, unsigned int contexts, unsigned int queues);
/* It has ended with 0, and nothing is left. */
void kit_end(struct kit_run *run);

/* All of it, with the machine of @iommu */
void kit_run(const char *iommu, int (*program)(void));

/* ---- what programs do ---- */

int dev_open(void);
int ioas_alloc(int fd, uint32_t *id);
int destroy(int fd, uint32_t id);
/* A page of a new memfd */
int map_a_file(int fd, uint32_t ioas, int memfd, uint64_t iova);

/* ---- on the mock IOMMU ---- */

struct mock_cmd {
	uint32_t size, op, id, reserved;
	uint32_t w[12];
	uint32_t last, padding;
};

int mock_call(int fd, struct mock_cmd *cmd);
/* What an access reads at @iova, as text */
void access_text(int fd, uint32_t access, uint64_t iova, char text[16]);
/* A test device that raises events as device 0x99 of a vIOMMU; returns it */
uint32_t make_source(int fd, uint32_t *viommu_id);
void mock_event(int fd, uint32_t dev);
/* An event queue for two; its fd */
int queue_alloc(int fd, uint32_t viommu, uint32_t *id);
bool readable(int fd, int timeout);
/* A vIOMMU that shows @word at *@offset of the fd, for mmap(2) */
#define WINDOW_BYTES 8192u
uint32_t make_window(int fd, uint32_t word, off_t *offset);

struct event {
	uint32_t flags, sequence, virt_id;
};

#endif
