// SPDX-License-Identifier: MIT
/* See regions.h. */
#include "shim/seccomp/regions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct region {
	struct region *next;
	struct nestfd *nestfd; /* open as long as we have @socket */
	uint64_t offset;
	int memory; /* its owner's, which stays until nestfd_mmap_put() */
	dev_t dev;
	ino_t ino;
	int socket;
	pid_t pid; /* who has mapped it last */
};

void regions_init(struct regions *r)
{
	pthread_mutex_init(&r->lock, NULL);
	r->list = NULL;
}

static void free_region(struct region *region)
{
	close(region->socket);
	free(region);
}

void regions_end(struct regions *r)
{
	while (r->list) {
		struct region *region = r->list;

		r->list = region->next;
		free_region(region);
	}
	pthread_mutex_destroy(&r->lock);
}

/* ---- Files ---- */

/* An open of its own: its users are counted by the kernel. */
static int open_again(int fd)
{
	char path[64];
	int file;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	file = open(path, O_RDWR | O_CLOEXEC);
	return file < 0 ? -errno : file;
}

static bool is_used(const struct region *region)
{
	int file = open_again(region->memory);
	bool used;

	if (file < 0)
		return true;
	used = fcntl(file, F_SETLEASE, F_WRLCK);
	close(file);
	return used;
}

/* Does it have @region mapped? */
static bool maps_it(pid_t pid, const struct region *region)
{
	char path[64], line[256], want[64];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	snprintf(want, sizeof(want), " %02x:%02x %llu ", major(region->dev),
		 minor(region->dev), (unsigned long long)region->ino);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, want);
	if (file)
		fclose(file);
	return found;
}

/* ---- Regions ---- */

static struct region *find(struct regions *r, const struct nestfd *nestfd,
			   uint64_t offset)
{
	struct region *region = r->list;

	while (region && (region->nestfd != nestfd || region->offset != offset))
		region = region->next;
	return region;
}

static int new_region(struct regions *r, struct nestfd *nestfd, uint64_t offset,
		      int memory, int socket)
{
	struct region *region = calloc(1, sizeof(*region));
	struct stat st;

	if (!region)
		return -ENOMEM;
	region->socket = fcntl(socket, F_DUPFD_CLOEXEC, 0);
	if (region->socket < 0 || fstat(memory, &st)) {
		if (region->socket >= 0)
			close(region->socket);
		free(region);
		return -ENFILE;
	}
	region->nestfd = nestfd;
	region->offset = offset;
	region->memory = memory;
	region->dev = st.st_dev;
	region->ino = st.st_ino;
	region->next = r->list;
	r->list = region;
	return 0;
}

/* With the lock held, and a user of @offset to be kept or given back */
static int map_locked(struct regions *r, struct nestfd *nestfd, uint64_t offset,
		      int memory, int socket, pid_t pid)
{
	struct region *region = find(r, nestfd, offset);
	int file = open_again(memory);
	int rc = 0;

	if (file < 0)
		return -ENODEV;
	if (region)
		nestfd_mmap_put(nestfd, offset); /* it has one already */
	else
		rc = new_region(r, nestfd, offset, memory, socket);
	if (rc) {
		close(file);
		return rc;
	}
	find(r, nestfd, offset)->pid = pid;
	return file;
}

int regions_map(struct regions *r, struct nestfd *nestfd, uint64_t offset,
		uint64_t length, int socket, pid_t pid, int *file)
{
	uint64_t at;
	int memory;
	int rc = nestfd_mmap_get(nestfd, offset, length, &memory, &at);

	if (rc)
		return rc;
	pthread_mutex_lock(&r->lock);
	/* The kernel takes the offset that the program has passed. */
	rc = at == offset ? map_locked(r, nestfd, offset, memory, socket, pid)
			  : -ENODEV;
	pthread_mutex_unlock(&r->lock);
	if (rc < 0) {
		nestfd_mmap_put(nestfd, offset);
		return rc;
	}
	*file = rc;
	return 0;
}

int regions_socket(struct regions *r, int file)
{
	struct region *region;
	int rc = -ENOTTY;
	struct stat st;

	pthread_mutex_lock(&r->lock);
	region = r->list;
	if (region && fstat(file, &st))
		region = NULL;
	while (region && (region->ino != st.st_ino || region->dev != st.st_dev))
		region = region->next;
	if (region)
		rc = fcntl(region->socket, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&r->lock);
	return rc < 0 && rc != -ENOTTY ? -ENFILE : rc;
}

bool regions_settle(struct regions *r, const struct nestfd *nestfd, pid_t pid)
{
	struct region **link = &r->list;
	struct region *region;
	bool left;

	pthread_mutex_lock(&r->lock);
	while ((region = *link)) {
		if ((nestfd && region->nestfd != nestfd) ||
		    (is_used(region) && !(pid && !maps_it(pid, region) &&
					  !maps_it(region->pid, region)))) {
			link = &region->next;
			continue;
		}
		*link = region->next;
		nestfd_mmap_put(region->nestfd, region->offset);
		free_region(region);
	}
	left = r->list;
	pthread_mutex_unlock(&r->lock);
	return left;
}

void regions_wait(struct regions *r)
{
	pthread_mutex_lock(&r->lock);
	pthread_mutex_unlock(&r->lock);
}
