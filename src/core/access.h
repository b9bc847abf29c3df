/* SPDX-License-Identifier: MIT */
/*
 * Access objects: users of an IOAS inside this process that are no DMA, as
 * Linux's iommufd_access. They pin ranges of IOVAs, or read and write below
 * them. Any thread.
 */
#ifndef CORE_ACCESS_H
#define CORE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core_access;
struct core_ctx;

struct core_access_ops {
	/* It pins; IOVAs of its IOAS are then aligned to pages */
	bool needs_pin_pages;
	/*
	 * [iova, iova + length) is about to be unmapped: before it returns,
	 * everything pinned that overlaps it must have been unpinned. Called
	 * without locks of core's; not after core_access_destroy() returned.
	 */
	void (*unmap)(void *data, uint64_t iova, uint64_t length);
};

#define CORE_ACCESS_WRITE 0x1u
#define CORE_ACCESS_SLOW  0x4u /* the way of another process's memory */

/*
 * An object of the context (it has an id, and counts) with no IOAS yet; its
 * creator is a user of it until core_access_destroy(). @ops stay the caller's.
 * Return: 0, -ENOMEM, -EBUSY (no id left).
 */
int core_access_create(struct core_ctx *ctx, const struct core_access_ops *ops,
		       void *data, uint32_t *id, struct core_access **out);

/*
 * Lets go of the IOAS, too, calling ops->unmap for all of it; waits for unmap
 * calls in progress. Must be called before core_close().
 */
void core_access_destroy(struct core_access *access);

/*
 * Attach wants no IOAS (-EINVAL), replace one (-ENOENT). Detach and replace
 * call ops->unmap for all of the old one. Return: 0; -ENOENT for no such IOAS;
 * -EADDRINUSE if something is mapped there that does not suit the alignment;
 * -EBUSY while another thread is changing it.
 */
int core_access_attach(struct core_access *access, uint32_t ioas_id);
int core_access_replace(struct core_access *access, uint32_t ioas_id);
void core_access_detach(struct core_access *access);

/*
 * Pins the pages below [iova, iova + length), all of it mapped, and stores the
 * host address of each page in @pages (NULL: not wanted; another process's
 * memory: its address there + 1). To be undone with the same range. Unmapping a
 * range that is pinned calls ops->unmap first. Return: 0; -EINVAL for no
 * length, an access that does not pin, an @iova whose memory does not begin at
 * a page, or a range being unmapped; -EOVERFLOW; -ENOENT without an IOAS or for
 * a hole; -EPERM if flags want to write and the mapping forbids it; -EFAULT if
 * there is no memory; -ENOMEM, also beyond RLIMIT_MEMLOCK.
 */
int core_access_pin_pages(struct core_access *access, uint64_t iova,
			  uint64_t length, void **pages, uint32_t flags);
void core_access_unpin_pages(struct core_access *access, uint64_t iova,
			     uint64_t length);

/*
 * An IOVA for those who cannot know any, such as fuzzers: the low half of @nth
 * counts the areas of the IOAS, lowest first, the high half is added to where
 * that one begins. 0 if there is no such area, or no IOAS.
 */
uint64_t core_access_nth_iova(struct core_access *access, uint64_t nth);

/*
 * Copies to or from the memory below an IOVA range, pinned or not; errors as
 * above. @data is the caller's own memory.
 */
int core_access_rw(struct core_access *access, uint64_t iova, void *data,
		   size_t length, uint32_t flags);

#endif
