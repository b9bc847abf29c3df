// SPDX-License-Identifier: MIT
/*
 * Another process's memory, by /proc/PID/mem and /proc/PID/maps: both files
 * belong to the address space they were opened for, so a pid that is used again
 * does no harm.
 */
#include "mem/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"

struct client_process {
	_Atomic uint32_t refs;
	int mem;
	struct client_maps maps;
};

static int open_of(pid_t pid, const char *name, int flags)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? -ESRCH : -errno;
}

int client_process_open(pid_t pid, struct client_process **out)
{
	struct client_process *process = alloc_zero(sizeof(*process));
	int rc;

	if (!process)
		return -ENOMEM;
	atomic_init(&process->refs, 1);
	process->maps.pid = pid;
	process->maps.other = true;
	rc = open_of(pid, "mem", O_RDWR);
	if (rc < 0)
		goto free_process;
	process->mem = rc;
	rc = open_of(pid, "maps", O_RDONLY);
	if (rc < 0)
		goto close_mem;
	process->maps.fd = rc;
	*out = process;
	return 0;

close_mem:
	close(process->mem);
free_process:
	free(process);
	return rc;
}

void client_process_get(struct client_process *process)
{
	atomic_fetch_add_explicit(&process->refs, 1, memory_order_relaxed);
}

void client_process_put(struct client_process *process)
{
	if (atomic_fetch_sub_explicit(&process->refs, 1, memory_order_acq_rel) >
	    1)
		return;
	close(process->maps.fd);
	close(process->mem);
	free(process);
}

int client_process_read(const struct client_process *process, void *dst,
			uint64_t addr, size_t len)
{
	char *to = dst;

	while (len) {
		ssize_t n = pread(process->mem, to, len, (off_t)addr);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EFAULT;
		to += n;
		addr += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int client_process_write(const struct client_process *process, uint64_t addr,
			 const void *src, size_t len)
{
	const char *from = src;

	while (len) {
		ssize_t n = pwrite(process->mem, from, len, (off_t)addr);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EFAULT;
		from += n;
		addr += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

const struct client_maps *
client_process_maps(const struct client_process *process)
{
	return &process->maps;
}
