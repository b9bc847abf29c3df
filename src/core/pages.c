// SPDX-License-Identifier: MIT
/*
 * Client memory behind areas. As on Linux, it is only noted when it is mapped
 * into an IOAS; it is looked at and pinned when the first domain needs it. To
 * pin means to check access and to give it a place in physical space, once for
 * all areas that share it.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/checked.h"
#include "core/internal.h"
#include "mem/phys.h"

/* No architecture has larger leaves that are worth an address gap. */
#define PIN_ALIGN_MAX (1ULL << 30)

static struct core_pages *pages_new(char *host, uint64_t length, bool writable)
{
	struct core_pages *pages = alloc_zero(sizeof(*pages));

	if (!pages)
		return NULL;
	atomic_init(&pages->refs, 1);
	pthread_mutex_init(&pages->lock, NULL);
	pages->host = host;
	pages->length = length;
	pages->writable = writable;
	return pages;
}

/* @addr .. @addr + @length widened to whole pages */
static uint64_t whole_pages(uint64_t addr, uint64_t length)
{
	uint64_t offset = addr % CORE_PAGE_SIZE;

	return (offset + length + CORE_PAGE_SIZE - 1) & ~(CORE_PAGE_SIZE - 1);
}

static int check_length(uint64_t start, uint64_t length)
{
	uint64_t end;

	if (!add_u64(start, length, &end))
		return -EOVERFLOW;
	if (!length || length > UINT64_MAX - 2 * CORE_PAGE_SIZE)
		return -EINVAL;
	return 0;
}

int pages_new_user(uint64_t va, uint64_t length, bool writable,
		   struct core_pages **out, uint64_t *offset)
{
	uint64_t start = va & ~(CORE_PAGE_SIZE - 1);
	struct core_pages *pages;
	int rc = check_length(va, length);

	if (rc)
		return rc;
	pages = pages_new((char *)(uintptr_t)start, whole_pages(va, length),
			  writable);
	if (!pages)
		return -ENOMEM;
	*out = pages;
	*offset = va - start;
	return 0;
}

int pages_new_file(int fd, uint64_t start, uint64_t length, bool writable,
		   struct core_pages **out, uint64_t *offset)
{
	struct core_pages *pages;
	int rc = check_length(start, length);

	if (rc)
		return rc;
	pages = pages_new(NULL, whole_pages(start, length), writable);
	if (!pages)
		return -ENOMEM;
	rc = client_file_map(fd, start, length, writable, &pages->file);
	if (rc) {
		pthread_mutex_destroy(&pages->lock);
		free(pages);
		return rc;
	}
	*offset = start % CORE_PAGE_SIZE;
	pages->is_file = true;
	pages->host = (char *)pages->file.host - *offset;
	*out = pages;
	return 0;
}

static void pages_free(struct core_pages *pages)
{
	if (pages->is_file)
		client_file_unmap(&pages->file);
	pthread_mutex_destroy(&pages->lock);
	free(pages);
}

void pages_get(struct core_pages *pages)
{
	atomic_fetch_add_explicit(&pages->refs, 1, memory_order_relaxed);
}

void pages_put(struct core_pages *pages, struct core_garbage *garbage)
{
	if (atomic_fetch_sub_explicit(&pages->refs, 1, memory_order_acq_rel) >
	    1)
		return;
	pages->next = garbage->pages;
	garbage->pages = pages;
}

static int pin(const struct core_env *env, struct core_pages *pages,
	       uint64_t offset, uint64_t iova)
{
	uint32_t flags = PHYS_READ | (pages->writable ? PHYS_WRITE : 0);
	uint64_t align = BIT_ULL(ilog2_u64(pages->length));
	int rc = 0;

	if (!pages->is_file)
		rc = client_maps_check(env->maps, pages->host, pages->length,
				       pages->writable);
	if (align > PIN_ALIGN_MAX)
		align = PIN_ALIGN_MAX;
	while (!rc) {
		rc = phys_add(env->phys, pages->host, pages->length, flags,
			      align, (iova - offset) & (align - 1),
			      &pages->range);
		if (rc != -ENOSPC || align == CORE_PAGE_SIZE)
			break;
		rc = 0;
		align /= 2;
	}
	return rc;
}

int pages_pin(const struct core_env *env, struct core_pages *pages,
	      uint64_t offset, uint64_t iova)
{
	int rc = 0;

	pthread_mutex_lock(&pages->lock);
	if (!pages->pins)
		rc = pin(env, pages, offset, iova);
	if (!rc)
		pages->pins++;
	pthread_mutex_unlock(&pages->lock);
	return rc;
}

void pages_unpin(struct core_pages *pages, struct core_garbage *garbage)
{
	pthread_mutex_lock(&pages->lock);
	if (!--pages->pins) {
		phys_remove(pages->range);
		*phys_range_link(pages->range) = garbage->ranges;
		garbage->ranges = pages->range;
		pages->range = NULL;
	}
	pthread_mutex_unlock(&pages->lock);
}

uint64_t pages_pa(const struct core_pages *pages)
{
	return phys_range_pa(pages->range);
}

static void free_pages_later(struct grace_head *head)
{
	pages_free(container_of(head, struct core_pages, grace));
}

/* Our mapping of a file must outlive whoever found it in physical space. */
void garbage_free(const struct core_env *env, struct core_garbage *garbage)
{
	int rc = 0;

	if (garbage->ranges)
		rc = grace_wait(env->grace, CORE_GRACE_NS);
	while (garbage->ranges) {
		struct phys_range *range = garbage->ranges;

		garbage->ranges = *phys_range_link(range);
		if (rc)
			phys_release_later(range, env->grace);
		else
			phys_release(range);
	}
	while (garbage->pages) {
		struct core_pages *pages = garbage->pages;

		garbage->pages = pages->next;
		if (rc)
			grace_defer(env->grace, &pages->grace,
				    free_pages_later);
		else
			pages_free(pages);
	}
}
