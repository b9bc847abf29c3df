/* SPDX-License-Identifier: MIT */
/*
 * What the server gives away: one end of a SEQPACKET socketpair, which the
 * kernel's cookie tells from all others, and of whose end the other end tells.
 */
#ifndef SHIM_SECCOMP_SOCKET_H
#define SHIM_SECCOMP_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

/* -ENOTSOCK and the like for other files */
int socket_cookie(int fd, uint64_t *cookie);

/* fds[0] is the program's, with that cookie; @type adds SOCK_NONBLOCK */
int socket_pair(int type, int fds[2], uint64_t *cookie);

/* Nobody has the other end any more. */
bool socket_has_hung_up(int fd);

#endif
