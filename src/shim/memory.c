// SPDX-License-Identifier: MIT
/*
 * The program's memory going away: munmap(2) and mmap(2), see mmap.c,
 * mremap(2), brk(2) and shmdt(2). DMA to it is to abort from then on, and not
 * to reach what gets the same addresses next. So the machine is told before it
 * happens. A program without a machine pays for one look at a pointer.
 *
 * All of this may be called by an allocator: nothing here allocates.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/shim.h"

_Atomic(struct nestfd_machine *) memory_machine;
_Atomic bool memory_watched;

/* ---- Telling the machine ---- */

static size_t whole_pages(size_t len)
{
	return (len + MEMORY_PAGE - 1) & ~(size_t)(MEMORY_PAGE - 1);
}

void memory_leaving(struct leaving *l, const void *addr, size_t len)
{
	struct nestfd_machine *machine = atomic_load(&memory_machine);
	struct section *s;
	int saved = errno;

	l->gone = 0;
	l->remote = NULL;
	l->at = (uintptr_t)addr;
	l->length = whole_pages(len);
	/* What the kernel refuses takes nothing away. */
	if (!len || l->length < len || l->at % MEMORY_PAGE ||
	    l->at + l->length < l->at || shim_is_inside() || !shim_is_owner())
		return;
	if (machine) {
		s = section_enter();
		l->gone = nestfd_memory_gone(machine, 0, l->at, l->length);
		section_leave(s);
	}
	l->remote = remote_memory_gone(l->at, l->length);
	errno = saved;
}

/* The call has failed. */
void memory_stays(const struct leaving *l)
{
	int saved = errno;
	struct section *s;

	if (l->remote)
		remote_memory_kept(l->remote, l->at, l->length);
	if (l->gone == NESTFD_GONE) {
		s = section_enter();
		nestfd_memory_kept(atomic_load(&memory_machine), 0, l->at,
				   l->length);
		section_leave(s);
	}
	errno = saved;
}

/* ---- mremap ---- */

typedef void *(*mremap_fn)(void *old, size_t old_len, size_t new_len, int flags,
			   void *new);

static void *move(void *old, size_t old_len, size_t new_len, int flags,
		  void *new)
{
	struct leaving from, over = { 0 };
	void *at;

	/* Where it is, if that will do */
	if (!(flags & ~MREMAP_MAYMOVE)) {
		at = REAL(mremap)(old, old_len, new_len, 0);
		if (at != MAP_FAILED || !flags || errno != ENOMEM)
			return at;
	}
	memory_leaving(&from, old, old_len);
	if (flags & MREMAP_FIXED)
		memory_leaving(&over, new, new_len);
	at = REAL(mremap)(old, old_len, new_len, flags, new);
	if (at == MAP_FAILED) {
		memory_stays(&from);
		memory_stays(&over);
	}
	return at;
}

void *pass_mremap(void *old, size_t old_len, size_t new_len, int flags,
		  void *new) EXPORT_AS(mremap);
void *pass_mremap(void *old, size_t old_len, size_t new_len, int flags,
		  void *new)
{
	size_t kept = whole_pages(new_len);
	struct leaving l;
	void *at;

	if (LIKELY(!memory_is_watched()) || !old_len)
		return REAL_AS(mremap, mremap_fn)(old, old_len, new_len, flags,
						  new);
	if (kept >= whole_pages(old_len) || flags & ~MREMAP_MAYMOVE)
		return move(old, old_len, new_len, flags, new);
	memory_leaving(&l, (char *)old + kept, whole_pages(old_len) - kept);
	at = REAL(mremap)(old, old_len, new_len, flags, new);
	if (at == MAP_FAILED)
		memory_stays(&l);
	return at;
}

/* ---- brk: what the C library does by itself is not seen ---- */

static bool break_leaving(struct leaving *l, uintptr_t new)
{
	uintptr_t now;

	if (LIKELY(!memory_is_watched()))
		return false;
	now = (uintptr_t)REAL(sbrk)(0);
	new = whole_pages(new);
	now = whole_pages(now);
	if (new >= now)
		return false;
	memory_leaving(l, (void *)new, now - new);
	return true;
}

EXPORT int brk(void *addr)
{
	struct leaving l;
	bool leaving = break_leaving(&l, (uintptr_t)addr);
	int rc = REAL(brk)(addr);

	if (UNLIKELY(leaving && rc))
		memory_stays(&l);
	return rc;
}

EXPORT void *sbrk(intptr_t by)
{
	struct leaving l;
	bool leaving = false;
	void *was;

	if (UNLIKELY(by < 0) && memory_is_watched())
		leaving = break_leaving(&l, (uintptr_t)REAL(sbrk)(0) +
						    (uintptr_t)by);
	was = REAL(sbrk)(by);
	if (UNLIKELY(leaving && was == (void *)-1))
		memory_stays(&l);
	return was;
}

/* ---- System V shared memory: how long it is, only the kernel knows ---- */

/* One line of /proc/self/maps; the rest of a long one is skipped */
struct reader {
	int fd;
	size_t have, at;
	char block[1024];
};

static bool next_line(struct reader *r, char *line, size_t room)
{
	size_t n = 0;

	for (;;) {
		char c;

		if (r->at == r->have) {
			ssize_t got =
				REAL(read)(r->fd, r->block, sizeof(r->block));

			if (got <= 0)
				return false;
			r->have = (size_t)got;
			r->at = 0;
		}
		c = r->block[r->at++];
		if (c == '\n')
			break;
		if (n < room - 1)
			line[n++] = c;
	}
	line[n] = '\0';
	return true;
}

/* The end of what was attached at @start: mappings of one segment, in order */
static uintptr_t segment_end(uintptr_t start)
{
	struct reader r = { .fd = (int)syscall(SYS_openat, AT_FDCWD,
					       "/proc/self/maps",
					       O_RDONLY | O_CLOEXEC) };
	unsigned long from, to, offset, inode, first_inode = 0;
	uintptr_t end = start;
	char line[96];

	if (r.fd < 0)
		return start;
	while (next_line(&r, line, sizeof(line))) {
		if (sscanf(line, "%lx-%lx %*s %lx %*s %lu", &from, &to, &offset,
			   &inode) != 4 ||
		    from < end)
			continue;
		if (from != end || offset != from - start ||
		    (end != start && inode != first_inode))
			break;
		first_inode = inode;
		end = to;
	}
	REAL(close)(r.fd);
	return end;
}

EXPORT int shmdt(const void *addr)
{
	struct leaving l;
	int rc;

	if (LIKELY(!memory_is_watched()))
		return REAL(shmdt)(addr);
	memory_leaving(&l, addr,
		       segment_end((uintptr_t)addr) - (uintptr_t)addr);
	rc = REAL(shmdt)(addr);
	if (rc)
		memory_stays(&l);
	return rc;
}

EXPORT void *shmat(int id, const void *addr, int flags)
{
	struct leaving l = { 0 };
	struct shmid_ds ds;
	void *at;

	if (UNLIKELY(flags & SHM_REMAP) && memory_is_watched() &&
	    !shmctl(id, IPC_STAT, &ds))
		memory_leaving(&l, addr, ds.shm_segsz);
	at = REAL(shmat)(id, addr, flags);
	if (at == (void *)-1)
		memory_stays(&l);
	return at;
}
