/* SPDX-License-Identifier: MIT */
/* A client's memory, looked at when it is mapped into an IOAS. */
#ifndef MEM_CLIENT_H
#define MEM_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* An open view of this process's mappings; one per machine, shared freely. */
struct client_maps {
	int fd;
	pid_t pid;
};

/* Never fails: without /proc, checks answer -EFAULT. */
void client_maps_open(struct client_maps *maps);
void client_maps_close(struct client_maps *maps);

/*
 * Is all of [va, va + length) mapped and readable (writable if @write)? Looks
 * at the mappings, not at the pages: O(mappings covered). The answer can be
 * stale at once; accesses still go through guard.h. In a child after fork() it
 * looks at the child's own mappings.
 * Return: 0; -EFAULT if not, or if it cannot be found out; -EINVAL for length
 * 0; -EOVERFLOW if the range wraps.
 */
int client_maps_check(const struct client_maps *maps, const void *va,
		      uint64_t length, bool write);

/*
 * Are the @length bytes at @a and at @b the same memory: equal addresses, or
 * shared mappings of the same bytes of one file? Return: 0; -EBADE if not;
 * -EFAULT if part of either is not mapped and readable.
 */
int client_maps_same(const struct client_maps *maps, const void *a,
		     const void *b, uint64_t length);

/* Which memory lies behind an address; the same up to @length bytes on */
struct client_where {
	uint64_t length;
	bool shared; /* the bytes of a file from @offset on */
	uint64_t dev;
	uint64_t inode;
	uint64_t offset;
};

/* -EFAULT if @va is not mapped and readable */
int client_maps_where(const struct client_maps *maps, const void *va,
		      struct client_where *out);

/* client_maps_check(), opening the mappings for this one question. */
int client_check(const void *va, uint64_t length, bool write);

/* Our own mapping of a client's file (IOMMU_IOAS_MAP_FILE). */
struct client_file {
	void *host; /* the byte at @start */
	void *base; /* private */
	uint64_t size;
};

/*
 * Map [start, start + length) of a memfd, tmpfs or hugetlbfs file, shared, so
 * that it stays whatever the client does to its own mappings and fd. @start
 * needs no alignment. Pages that the file loses by truncation vanish all the
 * same (guard.h).
 * Return: 0; -EBADF for no open file; -EINVAL for another kind of file, length
 * 0, or a range whose last page is not wholly inside the file; -EOVERFLOW if
 * the range wraps; -EACCES or -EPERM if @write is set and the file cannot be
 * opened for writing or is sealed against it (Linux would not mind); -ENOMEM.
 */
int client_file_map(int fd, uint64_t start, uint64_t length, bool write,
		    struct client_file *out);
void client_file_unmap(struct client_file *file);

#endif
