/* SPDX-License-Identifier: MIT */
/* The parts of notify_answer(). */
#ifndef SHIM_SECCOMP_NOTIFY_PRIV_H
#define SHIM_SECCOMP_NOTIFY_PRIV_H

#include "shim/seccomp/notify.h"

/* One notification */
struct notice {
	const struct notify_env *env;
	const struct seccomp_notif *n;
	const struct notify_client *client;
	struct seccomp_notif_resp *resp;
};

/* It goes on in the kernel. */
void notice_continue(const struct notice *m);
/* The call's result: 0 or more, or a negative errno */
void notice_result(const struct notice *m, long rc);

/*
 * Gives our @fd away as what the call returns, and closes it. NOTIFY_FD_*;
 * false: the call has had its answer.
 */
bool notice_give(const struct notice *m, int fd, unsigned int flags);

/* open.c; false: it has had its answer */
bool notice_open(const struct notice *m);
void notice_access(const struct notice *m, uint64_t path, uint64_t mode);

/* fdcalls.c */
void notice_read(const struct notice *m);
void notice_write(const struct notice *m);
void notice_close(const struct notice *m);
/* @min: the lowest number that will do; false: it has had its answer */
bool notice_dup(const struct notice *m, uint64_t min, bool cloexec);
void notice_mmap(const struct notice *m);

/*
 * The context behind fd @fd of the program, to be put; NULL if it is none of
 * ours. *@restored: a stand-in was there, now the socket is again. -ENFILE:
 * nobody can tell.
 */
int notice_context(const struct notice *m, int fd,
		   struct server_context **context, bool *restored);

#endif
