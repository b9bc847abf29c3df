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
	bool other; /* of another process, whatever becomes of its pid */
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
 * Are the @length bytes at @a (by @maps_a) and at @b the same memory: equal
 * addresses of one process, or shared mappings of the same bytes of one file?
 * Return: 0; -EBADE if not; -EFAULT if part of either is not mapped and
 * readable.
 */
int client_maps_same(const struct client_maps *maps_a, const void *a,
		     const struct client_maps *maps_b, const void *b,
		     uint64_t length);

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

/*
 * A mapping of our own of memory that another process shares with this one
 * (which a fork leaves behind), so that it outlives both: @length bytes, whole
 * pages, at *@out, to be given to munmap(). -ENOENT if we have none of it.
 */
int client_maps_adopt(const struct client_maps *theirs, const void *va,
		      uint64_t length, bool write, void **out);

/* client_maps_check(), opening the mappings for this one question. */
int client_check(const void *va, uint64_t length, bool write);

/*
 * Another process's memory, reached through the kernel; counted, any thread.
 * It stays that memory until the process ends or execs, then it is gone
 * (-EFAULT). The right to ptrace the process is needed.
 */
struct client_process;

/* -ESRCH, -EPERM, -EACCES, -ENOMEM */
int client_process_open(pid_t pid, struct client_process **out);
void client_process_get(struct client_process *process);
void client_process_put(struct client_process *process);

/* 0 or -EFAULT, a part may have been copied. Writing heeds no protections. */
int client_process_read(const struct client_process *process, void *dst,
			uint64_t addr, size_t len);
int client_process_write(const struct client_process *process, uint64_t addr,
			 const void *src, size_t len);

/* For client_maps_check() and the like; addresses are the process's */
const struct client_maps *
client_process_maps(const struct client_process *process);

/*
 * Memory that the process shares with others, for when it has gone: who else
 * has it mapped is asked instead. Nobody need have, then it is lost.
 */
struct client_shared;

/* All of it one shared mapping; NULL if it is not, or without memory */
struct client_shared *client_shared_new(const struct client_process *process,
					uint64_t addr, uint64_t length);
void client_shared_free(struct client_shared *shared); /* NULL is fine */

/* As client_process_read(), from byte @offset on; NULL: -EFAULT */
int client_shared_read(struct client_shared *shared, void *dst, uint64_t offset,
		       size_t len);
int client_shared_write(struct client_shared *shared, uint64_t offset,
			const void *src, size_t len);

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

/*
 * 0 if @fd is no dma-buf. Of one, whose size is beyond @last or not:
 * -EOPNOTSUPP or -EINVAL, like Linux for any that is not VFIO's.
 */
int client_dmabuf_check(int fd, uint64_t last);

#endif
