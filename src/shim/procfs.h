/* SPDX-License-Identifier: MIT */
/*
 * The files below /proc and /sys in which Linux says what is pinned, and by
 * which it lets allocations fail: their names and texts.
 */
#ifndef SHIM_PROCFS_H
#define SHIM_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCFS_DEBUG "/sys/kernel/debug"
/* Stands for it where it cannot be opened */
#define PROCFS_DEBUG_UP "/sys/kernel"

/* The longest name here, with its end */
#define PROCFS_NAME 80

/* No status is longer; and with what procfs_status_add() inserts */
#define PROCFS_STATUS	   16384
#define PROCFS_STATUS_ROOM (PROCFS_STATUS + 64)

/* Whose /proc/PID/status this is; 0: it is something else */
pid_t procfs_status(const char *path, pid_t self);

/* Adds bytes to VmPin and VmLck; @text has PROCFS_STATUS_ROOM. */
void procfs_status_add(char *text, uint64_t pinned, uint64_t locked);

/* The fail-nth of thread @tid of process @pid, which asks */
bool procfs_is_fail_nth(const char *path, pid_t pid, pid_t tid);

/* What is read from it; the length */
#define PROCFS_FAIL_NTH 32
size_t procfs_fail_nth_text(uint64_t left, char text[PROCFS_FAIL_NTH]);
/* What is written to it. -EINVAL */
int procfs_fail_nth_parse(const void *buf, size_t len, uint64_t *nth);

/* debugfs itself */
bool procfs_is_debugfs(const char *path);
/* A control of what is let fail, below debugfs; @path says it all or, if @dir
 * is debugfs, begins there */
bool procfs_is_control(const char *path, bool below_debugfs);

#endif
