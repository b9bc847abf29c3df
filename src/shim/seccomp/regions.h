/* SPDX-License-Identifier: MIT */
/*
 * What programs have mapped of a /dev/iommu. Nobody can map for another
 * process, and a socket cannot be mapped. So the program's fd becomes one of
 * the memory's own file, the *stand-in*, the kernel maps that when the call
 * goes on, and whoever uses the fd next gets the socket back in its place.
 *
 * A region ends when nobody has its file open: neither a mapping nor a
 * stand-in. A lease tells: the kernel gives one only to a file's sole user.
 */
#ifndef SHIM_SECCOMP_REGIONS_H
#define SHIM_SECCOMP_REGIONS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <nestfd/nestfd.h>

struct region;

struct regions {
	pthread_mutex_t lock;
	struct region *list;
};

void regions_init(struct regions *r);
/* No program has anything mapped any more. */
void regions_end(struct regions *r);

/*
 * One more mapping of @nestfd's memory, by process @pid. @socket is the
 * program's end, a copy of which is kept so that the context stays. *@file is
 * the stand-in, to be given away and closed. -ENXIO if there is none of just
 * that @length at @offset, -ENODEV if it cannot be mapped like this.
 */
int regions_map(struct regions *r, struct nestfd *nestfd, uint64_t offset,
		uint64_t length, int socket, pid_t pid, int *file);

/* A copy of the socket that @file stands in for; -ENOTTY */
int regions_socket(struct regions *r, int file);

/*
 * Lets go of those of @nestfd (NULL: of all) that nobody has open. @pid, if not
 * 0: has just lost a stand-in, which the kernel will close when its call is
 * over; so for it, only mappings count. True: some are left.
 */
bool regions_settle(struct regions *r, const struct nestfd *nestfd, pid_t pid);

/*
 * Whoever has closed the last socket of a context, and by that ended it, is
 * done with what it did on it before.
 */
void regions_wait(struct regions *r);

#endif
