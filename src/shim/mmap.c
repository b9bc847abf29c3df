// SPDX-License-Identifier: MIT
/*
 * mmap(2) of /dev/iommu: what a driver has put there for the client. The pages
 * are a file of the library's; as long as some of them are mapped their owner
 * cannot be destroyed, so munmap() is looked at while there is any such
 * mapping. (A mapping of a forked child counts no more than its parent's.)
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "shim/shim.h"

#define MAPPINGS_MAX 64
#define PAGE	     4096u

/* Under shim_lock; length 0: free */
struct mapping {
	uintptr_t start;
	size_t length; /* of all that was mapped */
	size_t left;   /* bytes of it that still are */
	struct context *context;
	uint64_t serial;
	uint64_t offset;
};

static struct mapping mappings[MAPPINGS_MAX];
static _Atomic unsigned int nr_mappings;

static struct mapping *find_free(void)
{
	for (unsigned int i = 0; i < MAPPINGS_MAX; i++)
		if (!mappings[i].length)
			return &mappings[i];
	return NULL;
}

static void *map_file(struct context *c, struct nestfd *nestfd, void *addr,
		      size_t len, int prot, int flags, uint64_t offset)
{
	void *at = MAP_FAILED;
	struct mapping *m;
	struct shim_lock l;
	uint64_t fd_offset;
	int fd, rc;

	rc = nestfd_mmap_get(nestfd, offset, len, &fd, &fd_offset);
	if (rc) {
		errno = -rc;
		return MAP_FAILED;
	}
	shim_lock(&l);
	m = find_free();
	if (m)
		at = REAL(mmap64)(addr, len, prot, flags, fd,
				  (off64_t)fd_offset);
	else
		errno = ENOMEM;
	if (at != MAP_FAILED) {
		*m = (struct mapping){ (uintptr_t)at, len,   len, c,
				       c->serial,     offset };
		atomic_fetch_add(&nr_mappings, 1);
	}
	shim_unlock(&l);
	if (at == MAP_FAILED)
		nestfd_mmap_put(nestfd, offset);
	return at;
}

static void *map_context(struct context *c, void *addr, size_t len, int prot,
			 int flags, uint64_t offset)
{
	struct nestfd *nestfd;
	void *at;
	int saved, rc;

	if (!(flags & MAP_SHARED) || (prot & PROT_EXEC)) {
		errno = prot & PROT_EXEC ? EPERM : EINVAL;
		return MAP_FAILED;
	}
	rc = context_use(c, &nestfd);
	if (rc) {
		errno = -rc;
		return MAP_FAILED;
	}
	len = (len + PAGE - 1) & ~(size_t)(PAGE - 1);
	at = map_file(c, nestfd, addr, len, prot, flags, offset);
	saved = errno;
	context_unuse(c);
	errno = saved;
	return at;
}

static struct context *mapped_context(int fd, int flags)
{
	struct file *f;

	if (LIKELY(fd < 0 || (flags & MAP_ANONYMOUS)) || shim_inside)
		return NULL;
	f = table_get(fd);
	if (LIKELY(!f) || atomic_load(&f->kind) != FILE_CONTEXT)
		return NULL;
	return f->context;
}

/*
 * Memory of the program's goes where MAP_FIXED puts something else. And where
 * the kernel finds room for something there is nothing any more: if we knew of
 * something, it went in a way we could not see, as in the C library's free().
 */
static bool replaces(struct leaving *l, void *addr, size_t len, int flags)
{
	if (!(flags & MAP_FIXED) || !memory_is_watched())
		return false;
	memory_leaving(l, addr, len);
	return true;
}

static void *replaced(struct leaving *l, bool fixed, void *at, size_t len)
{
	if (!memory_is_watched())
		return at;
	if (at != MAP_FAILED && !fixed)
		memory_leaving(l, at, len);
	else if (at == MAP_FAILED && fixed)
		memory_stays(l);
	return at;
}

/* For all but programs that have no context and none of its fds */
#define MMAP(name, type)                                                       \
	static __attribute__((noinline)) void *watched_##name(                 \
		void *addr, size_t len, int prot, int flags, int fd,           \
		type offset)                                                   \
	{                                                                      \
		struct context *c = mapped_context(fd, flags);                 \
		struct leaving l;                                              \
		bool fixed = replaces(&l, addr, len, flags);                   \
		void *at;                                                      \
                                                                               \
		at = LIKELY(!c)                                                \
			     ? REAL(name)(addr, len, prot, flags, fd, offset)  \
			     : map_context(c, addr, len, prot, flags,          \
					   (uint64_t)offset);                  \
		return replaced(&l, fixed, at, len);                           \
	}                                                                      \
                                                                               \
	EXPORT void *name(void *addr, size_t len, int prot, int flags, int fd, \
			  type offset)                                         \
	{                                                                      \
		if (LIKELY(!memory_is_watched() &&                             \
			   !atomic_load_explicit(&table_used,                  \
						 memory_order_relaxed)))       \
			return REAL(name)(addr, len, prot, flags, fd, offset); \
		return watched_##name(addr, len, prot, flags, fd, offset);     \
	}

MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

/* ---- munmap ---- */

static size_t overlap(const struct mapping *m, uintptr_t start, size_t len)
{
	uintptr_t from = start > m->start ? start : m->start;
	uintptr_t end = start + len < m->start + m->length
				? start + len
				: m->start + m->length;

	return end > from ? end - from : 0;
}

/* True: the whole of it has gone, *@m is what was there */
static bool forget_one(uintptr_t start, size_t len, struct mapping *m)
{
	struct shim_lock l;
	bool gone = false;

	shim_lock(&l);
	for (unsigned int i = 0; i < MAPPINGS_MAX && !gone; i++) {
		size_t n = overlap(&mappings[i], start, len);

		if (!mappings[i].length || !n)
			continue;
		mappings[i].left -= n < mappings[i].left ? n : mappings[i].left;
		gone = !mappings[i].left;
		if (gone) {
			*m = mappings[i];
			mappings[i].length = 0;
			atomic_fetch_sub(&nr_mappings, 1);
		}
	}
	shim_unlock(&l);
	return gone;
}

static int unmap(void *addr, size_t len)
{
	struct leaving l;
	int rc;

	memory_leaving(&l, addr, len);
	rc = REAL(munmap)(addr, len);
	if (UNLIKELY(rc))
		memory_stays(&l);
	return rc;
}

static __attribute__((noinline)) int watched_munmap(void *addr, size_t len)
{
	int rc = unmap(addr, len);
	int saved = errno;
	struct nestfd *nestfd;
	struct mapping m;

	if (LIKELY(!atomic_load_explicit(&nr_mappings, memory_order_relaxed)) ||
	    rc || shim_inside || !shim_is_owner())
		return rc;
	len = (len + PAGE - 1) & ~(size_t)(PAGE - 1);
	while (forget_one((uintptr_t)addr, len, &m)) {
		if (m.context->serial != m.serial ||
		    context_use(m.context, &nestfd))
			continue; /* it has ended meanwhile */
		nestfd_mmap_put(nestfd, m.offset);
		context_unuse(m.context);
	}
	errno = saved;
	return rc;
}

EXPORT int munmap(void *addr, size_t len)
{
	return LIKELY(!memory_is_watched()) ? REAL(munmap)(addr, len)
					    : watched_munmap(addr, len);
}
