// SPDX-License-Identifier: MIT
/*
 * Linux keeps the pages it has pinned when the process ends. What that shared
 * with another process, as after a fork, is still there in the other one. Any
 * process will do that maps the same bytes of the same file; memory that has no
 * name has an inode, too.
 */
#include "mem/client.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "mem/client_priv.h"

struct client_shared {
	struct client_where where; /* fixed; its length is all of it */
	pthread_mutex_t lock;	   /* all below */
	struct client_process *other;
	uint64_t at; /* there */
	bool lost;   /* nobody has it: so nobody can get it any more */
};

struct client_shared *client_shared_new(const struct client_process *process,
					uint64_t addr, uint64_t length)
{
	struct client_shared *shared;
	struct client_where where;

	if (client_maps_where(client_process_maps(process),
			      (void *)(uintptr_t)addr, &where) ||
	    !where.shared || where.length < length)
		return NULL;
	shared = alloc_zero(sizeof(*shared));
	if (!shared)
		return NULL;
	pthread_mutex_init(&shared->lock, NULL);
	shared->where = where;
	shared->where.length = length;
	return shared;
}

void client_shared_free(struct client_shared *shared)
{
	if (!shared)
		return;
	if (shared->other)
		client_process_put(shared->other);
	pthread_mutex_destroy(&shared->lock);
	free(shared);
}

/* Is it still there, and still that process? */
static bool has_it(const struct client_shared *shared,
		   const struct client_process *process, uint64_t at)
{
	struct client_where now;

	return !client_maps_where(client_process_maps(process),
				  (void *)(uintptr_t)at, &now) &&
	       client_same_file(&now, &shared->where) &&
	       now.length >= shared->where.length;
}

static bool try_process(struct client_shared *shared, pid_t pid)
{
	struct client_process *process;
	char path[32];
	uint64_t at;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	at = client_find_shared(path, &shared->where, shared->where.length);
	if (!at || client_process_open(pid, &process))
		return false;
	if (!has_it(shared, process, at)) {
		client_process_put(process);
		return false;
	}
	shared->other = process;
	shared->at = at;
	return true;
}

static void look_for_other(struct client_shared *shared)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc && !shared->other && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			try_process(shared, (pid_t)atoi(entry->d_name));
	if (proc)
		closedir(proc);
	shared->lost = !shared->other;
}

/* With the lock held: one that has it now */
static int find_other(struct client_shared *shared)
{
	if (shared->other && !has_it(shared, shared->other, shared->at)) {
		client_process_put(shared->other);
		shared->other = NULL;
	}
	if (!shared->other && !shared->lost)
		look_for_other(shared);
	return shared->other ? 0 : -EFAULT;
}

int client_shared_read(struct client_shared *shared, void *dst, uint64_t offset,
		       size_t len)
{
	int rc;

	if (!shared)
		return -EFAULT;
	pthread_mutex_lock(&shared->lock);
	rc = find_other(shared);
	if (!rc)
		rc = client_process_read(shared->other, dst,
					 shared->at + offset, len);
	pthread_mutex_unlock(&shared->lock);
	return rc;
}

int client_shared_write(struct client_shared *shared, uint64_t offset,
			const void *src, size_t len)
{
	int rc;

	if (!shared)
		return -EFAULT;
	pthread_mutex_lock(&shared->lock);
	rc = find_other(shared);
	if (!rc)
		rc = client_process_write(shared->other, shared->at + offset,
					  src, len);
	pthread_mutex_unlock(&shared->lock);
	return rc;
}
