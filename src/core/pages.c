// SPDX-License-Identifier: MIT
/*
 * Client memory behind areas. As on Linux, it is only noted when it is mapped
 * into an IOAS; it is looked at and pinned when the first domain needs it. To
 * pin means to check access and to give it a place in physical space, once for
 * all areas that share it.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/checked.h"
#include "core/foreign.h"
#include "core/internal.h"
#include "mem/guard.h"
#include "mem/phys.h"

/* No architecture has larger leaves that are worth an address gap. */
#define PIN_ALIGN_MAX (1ULL << 30)

static struct core_pages *pages_new(struct core_ctx *ctx, char *host,
				    uint64_t length, bool writable)
{
	struct core_pages *pages = alloc_zero(sizeof(*pages));

	if (!pages)
		return NULL;
	atomic_init(&pages->refs, 1);
	pages->ctx = ctx;
	pthread_mutex_init(&pages->lock, NULL);
	pages->host = host;
	pages->length = length;
	pages->writable = writable;
	pages->process = account_process(&ctx->env);
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

int pages_new_user(struct core_ctx *ctx, uint64_t va, uint64_t length,
		   bool writable, struct core_pages **out, uint64_t *offset)
{
	uint64_t start = va & ~(CORE_PAGE_SIZE - 1);
	const struct core_client *client = core_foreign();
	struct core_pages *pages;
	int rc = check_length(va, length);

	if (!rc && client && !client->process)
		rc = -EOPNOTSUPP;
	if (rc)
		return rc;
	pages = pages_new(ctx, (char *)(uintptr_t)start,
			  whole_pages(va, length), writable);
	if (!pages)
		return -ENOMEM;
	if (client) {
		pages->memory = client->process;
		client_process_get(pages->memory);
	}
	*out = pages;
	*offset = va - start;
	return 0;
}

static int map_file(struct core_ctx *ctx, int fd, uint64_t start,
		    uint64_t length, struct core_pages *pages)
{
	uint64_t last;
	int rc = range_last(start, length, &last);

	if (!rc)
		rc = dmabuf_get(ctx, fd, last, &pages->dmabuf,
				&pages->dmabuf_epoch);
	if (rc)
		return rc;
	rc = client_file_map(fd, start, length, pages->writable, &pages->file);
	if (rc && pages->dmabuf)
		dmabuf_put(pages->dmabuf);
	if (pages->dmabuf)
		pages->accounting = CORE_ACCOUNT_NONE;
	return rc;
}

int pages_new_file(struct core_ctx *ctx, int fd, uint64_t start,
		   uint64_t length, bool writable, struct core_pages **out,
		   uint64_t *offset)
{
	struct core_pages *pages;
	int rc = check_length(start, length);

	if (rc)
		return rc;
	pages = pages_new(ctx, NULL, whole_pages(start, length), writable);
	if (!pages)
		return -ENOMEM;
	rc = map_file(ctx, fd, start, length, pages);
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
	if (pages->dmabuf)
		dmabuf_put(pages->dmabuf);
	if (pages->adopted)
		munmap(pages->adopted, pages->length);
	client_shared_free(pages->shared);
	if (pages->memory)
		client_process_put(pages->memory);
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

/* The first run of pages of [at, last] that no pin covers */
static bool next_hole(const struct itree *pinned, uint64_t at, uint64_t last,
		      uint64_t *hole_first, uint64_t *hole_last)
{
	struct itree_node *node;

	while ((node = itree_first(pinned, at, last)) && node->first <= at) {
		if (node->last >= last)
			return false;
		at = node->last + 1;
	}
	*hole_first = at;
	*hole_last = node ? node->first - 1 : last;
	return true;
}

/* With pages->lock held: how many of [first, last] no pin covers */
static uint64_t count_holes(const struct core_pages *pages, uint64_t first,
			    uint64_t last)
{
	uint64_t hole_first, hole_last;
	uint64_t n = 0;

	while (next_hole(&pages->pinned, first, last, &hole_first,
			 &hole_last)) {
		n += hole_last - hole_first + 1;
		if (hole_last == last)
			break;
		first = hole_last + 1;
	}
	return n;
}

/* Is the memory there that is not pinned yet? */
static int check_holes(const struct core_env *env,
		       const struct core_pages *pages, uint64_t first,
		       uint64_t last)
{
	uint64_t hole_first, hole_last;

	while (next_hole(&pages->pinned, first, last, &hole_first,
			 &hole_last)) {
		int rc = client_maps_check(
			pages_maps(env, pages),
			pages_at(pages, hole_first * CORE_PAGE_SIZE),
			(hole_last - hole_first + 1) * CORE_PAGE_SIZE,
			pages->writable);

		if (rc)
			return rc;
		if (hole_last == last)
			break;
		first = hole_last + 1;
	}
	return 0;
}

const struct client_maps *pages_maps(const struct core_env *env,
				     const struct core_pages *pages)
{
	return pages->memory ? client_process_maps(pages->memory) : env->maps;
}

static int read_memory(const struct core_pages *pages, uint64_t offset,
		       void *dst, size_t len)
{
	int rc = client_process_read(pages->memory, dst,
				     (uintptr_t)pages->host + offset, len);

	return rc ? client_shared_read(reader_load(&pages->shared), dst, offset,
				       len)
		  : 0;
}

static int write_memory(const struct core_pages *pages, uint64_t offset,
			const void *src, size_t len)
{
	int rc = client_process_write(
		pages->memory, (uintptr_t)pages->host + offset, src, len);

	return rc ? client_shared_write(reader_load(&pages->shared), offset,
					src, len)
		  : 0;
}

int pages_read(const struct core_pages *pages, uint64_t offset, void *dst,
	       size_t len)
{
	const char *adopted = reader_load(&pages->adopted);

	if (adopted)
		return guard_read(dst, adopted + offset, len);
	return pages->memory ? read_memory(pages, offset, dst, len)
			     : guard_read(dst, pages_at(pages, offset), len);
}

int pages_write(const struct core_pages *pages, uint64_t offset,
		const void *src, size_t len)
{
	char *adopted = reader_load(&pages->adopted);

	if (adopted)
		return guard_write(adopted + offset, src, len);
	return pages->memory ? write_memory(pages, offset, src, len)
			     : guard_write(pages_at(pages, offset), src, len);
}

/* DMA to another process's memory */
static int io_read(void *ctx, uint64_t offset, void *dst, size_t len)
{
	return pages_read(ctx, offset, dst, len);
}

static int io_write(void *ctx, uint64_t offset, const void *src, size_t len)
{
	const struct core_pages *pages = ctx;

	return pages->writable ? pages_write(pages, offset, src, len) : -EFAULT;
}

static const struct phys_io_ops io_ops = { io_read, io_write };

const struct core_pages *pages_of_io(const struct phys_io *io)
{
	return io && io->ops == &io_ops ? io->ctx : NULL;
}

#define IO_TRIES 4096

/*
 * Registers-like ranges choose their own PA: the upper half of all, which
 * memory reaches last. Others may be there already, other contexts' too.
 */
static int place_io(struct core_ctx *ctx, struct core_pages *pages,
		    uint64_t align, uint64_t skew)
{
	struct phys *phys = ctx->env.phys;
	uint64_t low = BIT_ULL(phys_oas_bits(phys) - 1);
	int rc = -ENOSPC;

	if (pages->length > low / 2)
		return -ENOSPC;
	pthread_mutex_lock(&ctx->lock);
	for (int i = 0; i < IO_TRIES; i++) {
		uint64_t pa = ctx->next_io_pa;

		if (pa < low || pa > 2 * low - 2 * align - pages->length)
			pa = low;
		pa = ((pa + align - 1) & ~(align - 1)) | skew;
		rc = phys_add_io(phys, pa, pages->length, &io_ops, pages,
				 &pages->range);
		if (rc == -EINVAL)
			break;
		ctx->next_io_pa = pa + pages->length;
		if (rc != -EEXIST)
			break;
	}
	pthread_mutex_unlock(&ctx->lock);
	if (!rc)
		phys_range_is_memory(
			pages->range,
			(uint64_t)client_process_maps(pages->memory)->pid,
			(uintptr_t)pages->host);
	return rc == -EEXIST ? -ENOSPC : rc;
}

static int place(struct core_ctx *ctx, struct core_pages *pages,
		 uint64_t offset, uint64_t iova)
{
	uint32_t flags = PHYS_READ | (pages->writable ? PHYS_WRITE : 0);
	uint64_t align = BIT_ULL(ilog2_u64(pages->length));
	char *host = pages->adopted ? pages->adopted : pages->host;
	int rc;

	if (align > PIN_ALIGN_MAX)
		align = PIN_ALIGN_MAX;
	for (;;) {
		uint64_t skew =
			(iova - offset) & (align - 1) & ~(CORE_PAGE_SIZE - 1);

		rc = pages->memory && !pages->adopted
			     ? place_io(ctx, pages, align, skew)
			     : phys_add(ctx->env.phys, host, pages->length,
					flags, align, skew, &pages->range);
		if (rc != -ENOSPC || align == CORE_PAGE_SIZE)
			return rc;
		align /= 2;
	}
}

/*
 * With pages->lock held: memory that the other process shares with this one,
 * as after a fork, stays pinned when that process ends; what it shares with
 * others stays as long as one of them has it.
 */
static void adopt(struct core_pages *pages)
{
	void *host;

	if (client_maps_adopt(client_process_maps(pages->memory), pages->host,
			      pages->length, pages->writable, &host)) {
		if (!pages->shared)
			reader_publish(&pages->shared,
				       client_shared_new(pages->memory,
							 (uintptr_t)pages->host,
							 pages->length));
		return;
	}
	reader_publish(&pages->adopted, (char *)host);
}

/* With pages->lock held: @pin needs a place */
static int place_pin(struct core_ctx *ctx, struct core_pages *pages,
		     uint64_t offset, uint64_t iova, struct core_pin *pin)
{
	int rc = pages->placers ? 0 : place(ctx, pages, offset, iova);

	if (!rc) {
		pages->placers++;
		pin->placed = true;
	}
	return rc;
}

/* With pages->lock held */
static int pin_locked(struct core_ctx *ctx, struct core_pages *pages,
		      uint64_t offset, const uint64_t *iova,
		      struct core_pin *pin)
{
	uint64_t n = count_holes(pages, pin->node.first, pin->node.last);
	int rc = 0;

	if (n && !pages->is_file)
		rc = check_holes(&ctx->env, pages, pin->node.first,
				 pin->node.last);
	if (!rc && n)
		rc = account_charge(ctx, pages, n);
	if (rc)
		return rc;
	if (pages->memory && !pages->adopted)
		adopt(pages);
	if (iova) {
		rc = place_pin(ctx, pages, offset, *iova, pin);
		if (rc) {
			account_uncharge(pages, n);
			return rc;
		}
	}
	itree_insert(&pages->pinned, &pin->node);
	return 0;
}

static void set_range(struct core_pin *pin, uint64_t offset, uint64_t length)
{
	pin->node.first = offset / CORE_PAGE_SIZE;
	pin->node.last = (offset + length - 1) / CORE_PAGE_SIZE;
}

int pages_pin(struct core_ctx *ctx, struct core_pages *pages, uint64_t offset,
	      uint64_t length, const uint64_t *iova, struct core_pin *pin)
{
	int rc;

	set_range(pin, offset, length);
	pin->accesses = 0;
	pin->placed = false;
	pthread_mutex_lock(&pages->lock);
	rc = pin_locked(ctx, pages, offset, iova, pin);
	pthread_mutex_unlock(&pages->lock);
	return rc;
}

static void unpin_locked(struct core_pages *pages, struct core_pin *pin,
			 struct core_garbage *garbage)
{
	itree_remove(&pages->pinned, &pin->node);
	if (pages->process)
		account_uncharge(pages, count_holes(pages, pin->node.first,
						    pin->node.last));
	if (!pin->placed || --pages->placers)
		return;
	phys_remove(pages->range);
	*phys_range_link(pages->range) = garbage->ranges;
	garbage->ranges = pages->range;
	pages->range = NULL;
}

void pages_unpin(struct core_pages *pages, struct core_pin *pin,
		 struct core_garbage *garbage)
{
	pthread_mutex_lock(&pages->lock);
	unpin_locked(pages, pin, garbage);
	pthread_mutex_unlock(&pages->lock);
}

void pages_split_pin(struct core_pages *pages, struct core_pin *pin,
		     struct core_pin *low, struct core_pin *high)
{
	pthread_mutex_lock(&pages->lock);
	itree_remove(&pages->pinned, &pin->node);
	itree_insert(&pages->pinned, &low->node);
	itree_insert(&pages->pinned, &high->node);
	low->placed = pin->placed;
	high->placed = pin->placed;
	if (pin->placed)
		pages->placers++;
	pthread_mutex_unlock(&pages->lock);
}

/* With pages->lock held: accesses of one range share a pin */
static struct core_pin *find_access(const struct core_pages *pages,
				    const struct core_pin *like)
{
	uint64_t first = like->node.first;
	uint64_t last = like->node.last;
	struct itree_node *node = itree_first(&pages->pinned, first, last);

	for (; node; node = itree_next(node, first, last)) {
		struct core_pin *pin =
			container_of(node, struct core_pin, node);

		if (pin->accesses && node->first == first && node->last == last)
			return pin;
	}
	return NULL;
}

int pages_pin_access(struct core_ctx *ctx, struct core_pages *pages,
		     uint64_t offset, uint64_t length, const uint64_t *iova)
{
	struct core_pin like = { 0 };
	struct core_pin *pin;
	int rc = 0;

	set_range(&like, offset, length);
	pthread_mutex_lock(&pages->lock);
	pin = find_access(pages, &like);
	if (pin) {
		if (iova && !pin->placed)
			rc = place_pin(ctx, pages, offset, *iova, pin);
		if (!rc)
			pin->accesses++;
		goto unlock;
	}
	pin = alloc_zero(sizeof(*pin));
	if (!pin) {
		rc = -ENOMEM;
		goto unlock;
	}
	set_range(pin, offset, length);
	rc = pin_locked(ctx, pages, offset, iova, pin);
	if (rc)
		free(pin);
	else
		pin->accesses = 1;
unlock:
	pthread_mutex_unlock(&pages->lock);
	return rc;
}

void pages_unpin_access(struct core_pages *pages, uint64_t offset,
			uint64_t length, struct core_garbage *garbage)
{
	struct core_pin like = { 0 };
	struct core_pin *pin;

	set_range(&like, offset, length);
	pthread_mutex_lock(&pages->lock);
	pin = find_access(pages, &like);
	if (pin && !--pin->accesses) {
		unpin_locked(pages, pin, garbage);
		free(pin);
	}
	pthread_mutex_unlock(&pages->lock);
}

bool pages_is_pinned(struct core_pages *pages, uint64_t index)
{
	bool pinned;

	pthread_mutex_lock(&pages->lock);
	pinned = itree_first(&pages->pinned, index, index);
	pthread_mutex_unlock(&pages->lock);
	return pinned;
}

uint64_t pages_pa(const struct core_pages *pages)
{
	return phys_range_pa(pages->range);
}

static void free_pages_later(struct grace_head *head)
{
	pages_free(container_of(head, struct core_pages, grace));
}

/*
 * Who forgot to unpin would never be found out if the pins went with the memory
 * they are in: it is kept, for core_count_pins() to tell.
 */
static bool keep_leaked(struct core_pages *pages)
{
	struct core_ctx *ctx = pages->ctx;

	if (itree_empty(&pages->pinned))
		return false;
	pthread_mutex_lock(&ctx->lock);
	pages->next = ctx->leaked;
	ctx->leaked = pages;
	pthread_mutex_unlock(&ctx->lock);
	return true;
}

static struct core_pages *pop(struct core_pages **list)
{
	struct core_pages *pages = *list;

	if (pages)
		*list = pages->next;
	return pages;
}

void pages_hand_over_leaked(struct core_ctx *ctx)
{
	struct core_common *common = ctx->env.common;
	struct core_pages *pages;

	while ((pages = pop(&ctx->leaked))) {
		if (!common) {
			pages_free(pages);
			continue;
		}
		pages->ctx = NULL;
		pages->process = NULL;
		pthread_mutex_lock(&common->lock);
		pages->next = common->leaked;
		common->leaked = pages;
		pthread_mutex_unlock(&common->lock);
	}
}

void core_common_end(struct core_common *common)
{
	struct core_pages *pages;

	while ((pages = pop(&common->leaked)))
		pages_free(pages);
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
		if (keep_leaked(pages))
			continue;
		if (rc)
			grace_defer(env->grace, &pages->grace,
				    free_pages_later);
		else
			pages_free(pages);
	}
}
