// SPDX-License-Identifier: MIT
/*
 * Areas and the domains they are mapped into. Invariant, under ioas.lock: each
 * area of an IOAS that has domains is pinned once and mapped in all of them;
 * in an IOAS without domains none is pinned. Domains have had their apertures
 * reserved, so every area fits every domain.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/checked.h"
#include "core/internal.h"

#define area_of(n) container_of(n, struct core_area, node)

static struct core_area *first_area(const struct core_ioas *ioas)
{
	struct itree_node *node = itree_from(&ioas->areas, 0);

	return node ? area_of(node) : NULL;
}

static struct core_area *next_area(const struct core_area *area)
{
	struct itree_node *node = itree_succ(&area->node);

	return node ? area_of(node) : NULL;
}

static uint64_t area_length(const struct core_area *area)
{
	return area->node.last - area->node.first + 1;
}

static void domain_unmap(struct core_hwpt *hwpt, uint64_t first, uint64_t last)
{
	hwpt->domain->ops->unmap(hwpt->domain, first, last - first + 1);
}

/* Does @area, pinned, have memory that domains can map? */
static bool has_memory(struct core_area *area)
{
	if (pages_revoked(area->pages))
		area->unmapped = true;
	return !area->unmapped;
}

static void area_unmap(struct core_hwpt *hwpt, const struct core_area *area)
{
	if (!area->unmapped)
		domain_unmap(hwpt, area->node.first, area->node.last);
}

void ioas_unmap_area(struct core_ioas *ioas, struct core_area *area)
{
	struct core_hwpt *hwpt = ioas->hwpts;

	for (; hwpt; hwpt = hwpt->next)
		area_unmap(hwpt, area);
	area->unmapped = true;
}

/* Large leaves need one call; without them each page is mapped alone. */
static int map_area(struct core_ioas *ioas, struct core_area *area,
		    struct core_hwpt *hwpt)
{
	uint64_t length = area_length(area);
	uint64_t step = ioas->no_large_pages ? CORE_PAGE_SIZE : length;
	uint64_t pa = pages_pa(area->pages) + area->offset;
	uint64_t iova = area->node.first;

	for (uint64_t at = 0; at < length; at += step) {
		uint64_t n = length - at < step ? length - at : step;
		int rc = hwpt->domain->ops->map(hwpt->domain, iova + at,
						pa + at, n, area->prot);

		if (!rc)
			continue;
		if (at)
			domain_unmap(hwpt, iova, iova + at - 1);
		return rc;
	}
	return 0;
}

static int pin_area(struct core_ioas *ioas, struct core_area *area)
{
	return pages_pin(ioas->obj.ctx, area->pages, area->offset,
			 area_length(area), &area->node.first, &area->pin);
}

/* Pins @area and maps it into every domain, or leaves it as it was */
static int fill_area(struct core_ioas *ioas, struct core_area *area,
		     struct core_garbage *garbage)
{
	struct core_hwpt *hwpt;
	struct core_hwpt *undo;
	int rc;

	if (!ioas->hwpts)
		return 0;
	rc = pin_area(ioas, area);
	if (rc)
		return rc;
	if (!has_memory(area))
		return 0;
	for (hwpt = ioas->hwpts; hwpt; hwpt = hwpt->next) {
		rc = map_area(ioas, area, hwpt);
		if (rc)
			goto undo_maps;
	}
	return 0;

undo_maps:
	for (undo = ioas->hwpts; undo != hwpt; undo = undo->next)
		domain_unmap(undo, area->node.first, area->node.last);
	pages_unpin(area->pages, &area->pin, garbage);
	return rc;
}

static int check_iova(struct core_ioas *ioas, uint64_t iova, uint64_t length)
{
	uint64_t last;

	if (iova & (ioas->alignment - 1))
		return -EINVAL;
	if (!add_u64(iova, length - 1, &last))
		return -EOVERFLOW;
	if (itree_first(&ioas->reserved, iova, last))
		return -EINVAL;
	if (itree_first(&ioas->areas, iova, last))
		return -EEXIST;
	return 0;
}

static int check_piece(const struct core_ioas *ioas,
		       const struct core_piece *piece, uint32_t prot)
{
	if ((prot & CORE_PROT_WRITE) && !piece->pages->writable)
		return -EPERM;
	if (piece->offset % CORE_PAGE_SIZE & (ioas->alignment - 1))
		return -EINVAL;
	return 0;
}

static void drop_area(struct core_ioas *ioas, struct core_area *area,
		      struct core_garbage *garbage)
{
	ioas_area_remove(ioas, area);
	if (ioas->hwpts)
		pages_unpin(area->pages, &area->pin, garbage);
	pages_put(area->pages, garbage);
	free(area);
}

/* Where the VA or file offset of the memory leaves room for large leaves */
static uint64_t piece_addr(const struct core_piece *piece)
{
	return (uintptr_t)piece->pages->host + piece->offset;
}

static int place(struct core_ioas *ioas, const struct core_piece *pieces,
		 uint64_t length, bool fixed, uint64_t *iova, uint32_t prot)
{
	int rc;

	if ((length & (ioas->alignment - 1)) || !length)
		return -EINVAL;
	rc = fixed ? check_iova(ioas, *iova, length)
		   : ioas_choose_iova(ioas, piece_addr(pieces), length, iova);
	for (; pieces && !rc; pieces = pieces->next)
		rc = check_piece(ioas, pieces, prot);
	return rc;
}

/*
 * Maps @pieces one behind the other. Their pages move into the areas; on
 * failure all stays with the caller. Each piece brings its area's memory.
 */
int ioas_map_pieces(struct core_ioas *ioas, struct core_piece *pieces,
		    uint64_t length, bool fixed, uint64_t *iova, uint32_t prot)
{
	struct core_garbage garbage = { 0 };
	struct core_piece *piece;
	struct core_piece *undo;
	uint64_t start = *iova;
	uint64_t at;
	int rc = place(ioas, pieces, length, fixed, &start, prot);

	if (rc)
		return rc;
	at = start;
	for (piece = pieces; piece; piece = piece->next) {
		struct core_area *area = piece->area;

		area->node.first = at;
		area->node.last = at + piece->length - 1;
		area->pages = piece->pages;
		area->offset = piece->offset;
		area->prot = prot;
		rc = fill_area(ioas, area, &garbage);
		if (rc)
			goto undo_pieces;
		at += piece->length;
	}
	for (piece = pieces; piece; piece = piece->next) {
		ioas_area_insert(ioas, piece->area);
		piece->area = NULL;
		piece->pages = NULL;
	}
	*iova = start;
	return 0;

undo_pieces:
	for (undo = pieces; undo != piece; undo = undo->next) {
		struct core_hwpt *hwpt = ioas->hwpts;

		for (; hwpt; hwpt = hwpt->next)
			area_unmap(hwpt, undo->area);
		if (ioas->hwpts)
			pages_unpin(undo->area->pages, &undo->area->pin,
				    &garbage);
	}
	garbage_free(&ioas->obj.ctx->env, &garbage);
	return rc;
}

/*
 * The last area of the run of adjacent areas that begins at @area and ends by
 * @last: what domains can unmap, and invalidate, with one call. No access uses
 * any of them.
 */
static struct core_area *run_end(struct core_area *area, uint64_t last)
{
	struct core_area *next;

	while ((next = next_area(area)) && next->node.last <= last &&
	       next->node.first == area->node.last + 1 && !next->accesses &&
	       next->unmapped == area->unmapped)
		area = next;
	return area;
}

static void unmap_run(struct core_ioas *ioas, struct core_area *area,
		      struct core_area *end, struct core_garbage *garbage)
{
	struct core_hwpt *hwpt;
	bool more = true;

	for (hwpt = ioas->hwpts; hwpt && !area->unmapped; hwpt = hwpt->next)
		domain_unmap(hwpt, area->node.first, end->node.last);
	while (more) {
		struct core_area *next = next_area(area);

		more = area != end;
		drop_area(ioas, area, garbage);
		area = next;
	}
}

/*
 * Tells the accesses to unpin @area, without ioas->lock: who comes back finds
 * everything changed.
 */
static void evict(struct core_ioas *ioas, struct core_area *area,
		  unsigned int tries)
{
	static const struct timespec nap = { .tv_nsec = 20000 };
	uint64_t first = area->node.first;
	uint64_t last = area->node.last;

	area->prevent_access = true;
	pthread_mutex_unlock(&ioas->lock);
	access_notify_unmap(ioas, first, last);
	if (tries > 1)
		nanosleep(&nap, NULL); /* one that is being destroyed */
	pthread_mutex_lock(&ioas->lock);
}

/* How often accesses are asked to let go of one area */
#define EVICT_TRIES 100

/*
 * Areas that lie in [@first, @last] go, in order, until one is met that only
 * partly lies in it (-ENOENT), that hardware reads by itself (-EBUSY), or that
 * an access does not give up (-EDEADLK).
 */
int ioas_unmap_range(struct core_ioas *ioas, uint64_t first, uint64_t last,
		     uint64_t *unmapped, struct core_garbage *garbage)
{
	struct itree_node *node;
	unsigned int tries = 0;

	while ((node = itree_first(&ioas->areas, first, last))) {
		struct core_area *area = area_of(node);
		struct core_area *end;
		uint64_t end_last;

		if (area->locks)
			return -EBUSY;
		if (node->first < first || node->last > last)
			return -ENOENT;
		if (node->first != first)
			tries = 0;
		if (area->accesses) {
			if (tries++ == EVICT_TRIES)
				return -EDEADLK;
			first = node->first;
			evict(ioas, area, tries);
			continue;
		}
		end = run_end(area, last);
		end_last = end->node.last;
		*unmapped += end_last - node->first + 1;
		unmap_run(ioas, area, end, garbage);
		if (end_last == last)
			break;
		first = end_last + 1;
		tries = 0;
	}
	return 0;
}

static struct core_area *split_half(const struct core_area *area,
				    uint64_t first, uint64_t last)
{
	struct core_area *half = alloc_zero(sizeof(*half));

	if (!half)
		return NULL;
	half->node.first = first;
	half->node.last = last;
	half->pages = area->pages;
	half->offset = area->offset + (first - area->node.first);
	half->prot = area->prot;
	half->pin.node.first = half->offset / CORE_PAGE_SIZE;
	half->pin.node.last = (half->offset + (last - first)) / CORE_PAGE_SIZE;
	return half;
}

static int check_split(const struct core_ioas *ioas,
		       const struct core_area *area, uint64_t start)
{
	uint64_t offset = area->offset + (start - area->node.first);

	if (area->prevent_access)
		return -EBUSY;
	if (area->pages->dmabuf)
		return -EOPNOTSUPP;
	if ((start | offset) & (ioas->alignment - 1))
		return -EINVAL;
	/* Which half an access uses is not known; nor can leaves be cut. */
	if (area->accesses || (ioas->hwpts && !ioas->no_large_pages))
		return -EINVAL;
	return 0;
}

/*
 * The area that covers @iova becomes two, the lower one ending there. Like on
 * Linux nothing happens if @iova is the area's first or last.
 */
int ioas_split(struct core_ioas *ioas, uint64_t iova)
{
	struct itree_node *node = itree_first(&ioas->areas, iova, iova);
	struct core_area *area;
	struct core_area *high;
	struct core_area *low;
	int rc;

	if (!node || node->first == iova || node->last == iova)
		return 0;
	area = area_of(node);
	rc = check_split(ioas, area, iova + 1);
	if (rc)
		return rc;
	low = split_half(area, node->first, iova);
	high = split_half(area, iova + 1, node->last);
	if (!low || !high) {
		free(low);
		free(high);
		return -ENOMEM;
	}
	if (ioas->hwpts)
		pages_split_pin(area->pages, &area->pin, &low->pin, &high->pin);
	pages_get(area->pages);
	ioas_area_remove(ioas, area);
	free(area);
	ioas_area_insert(ioas, low);
	ioas_area_insert(ioas, high);
	return 0;
}

int ioas_reserve(struct core_ioas *ioas, struct itree_node *node)
{
	if (itree_first(&ioas->areas, node->first, node->last) ||
	    itree_first(&ioas->allowed, node->first, node->last))
		return -EADDRINUSE;
	itree_insert(&ioas->reserved, node);
	return 0;
}

/* Do all areas suit a larger alignment? */
static int check_alignment(const struct core_ioas *ioas, uint64_t alignment)
{
	const struct core_area *area = first_area(ioas);

	for (; area; area = next_area(area)) {
		uint64_t low = area->node.first | area_length(area) |
			       area->offset % CORE_PAGE_SIZE;

		if (low & (alignment - 1))
			return -EADDRINUSE;
	}
	return 0;
}

static uint64_t smallest_page(const struct core_hwpt *hwpt)
{
	return hwpt->domain->geometry.page_sizes &
	       -hwpt->domain->geometry.page_sizes;
}

/* With the lock held, after domains or accesses have come or gone */
int ioas_update_alignment(struct core_ioas *ioas)
{
	uint64_t alignment = ioas->no_large_pages ? CORE_PAGE_SIZE : 1;
	const struct core_access_link *link = ioas->accesses;
	const struct core_hwpt *hwpt = ioas->hwpts;
	int rc = 0;

	for (; hwpt; hwpt = hwpt->next) {
		if (smallest_page(hwpt) > alignment)
			alignment = smallest_page(hwpt);
	}
	for (; link; link = link->next) {
		if (link->access->alignment > alignment)
			alignment = link->access->alignment;
	}
	if (alignment > ioas->alignment)
		rc = check_alignment(ioas, alignment);
	if (!rc)
		ioas->alignment = alignment;
	return rc;
}

static void widen(struct core_ioas *ioas, struct core_hwpt *hwpt)
{
	for (int i = 0; i < 2; i++) {
		if (hwpt->narrowed[i])
			itree_remove(&ioas->reserved, &hwpt->aperture[i]);
		hwpt->narrowed[i] = false;
	}
}

/* Reserves what lies outside the domain's aperture */
static int narrow(struct core_ioas *ioas, struct core_hwpt *hwpt)
{
	const struct core_geometry *geometry = &hwpt->domain->geometry;
	int rc;

	if (geometry->first) {
		hwpt->aperture[0].first = 0;
		hwpt->aperture[0].last = geometry->first - 1;
		rc = ioas_reserve(ioas, &hwpt->aperture[0]);
		if (rc)
			return rc;
		hwpt->narrowed[0] = true;
	}
	if (geometry->last != UINT64_MAX) {
		hwpt->aperture[1].first = geometry->last + 1;
		hwpt->aperture[1].last = UINT64_MAX;
		rc = ioas_reserve(ioas, &hwpt->aperture[1]);
		if (rc) {
			widen(ioas, hwpt);
			return rc;
		}
		hwpt->narrowed[1] = true;
	}
	return 0;
}

/* Maps every area into @hwpt; pins them if it is the first */
static int fill_domain(struct core_ioas *ioas, struct core_hwpt *hwpt,
		       struct core_garbage *garbage)
{
	struct core_area *area = first_area(ioas);
	struct core_area *undo;
	bool is_first = !ioas->hwpts;
	int rc = 0;

	for (; area; area = next_area(area)) {
		if (is_first)
			rc = pin_area(ioas, area);
		if (rc)
			goto undo_areas;
		if (is_first)
			has_memory(area);
		rc = area->unmapped ? 0 : map_area(ioas, area, hwpt);
		if (rc) {
			if (is_first)
				pages_unpin(area->pages, &area->pin, garbage);
			goto undo_areas;
		}
	}
	return 0;

undo_areas:
	for (undo = first_area(ioas); undo != area; undo = next_area(undo)) {
		area_unmap(hwpt, undo);
		if (is_first)
			pages_unpin(undo->pages, &undo->pin, garbage);
	}
	return rc;
}

static void list_add(struct core_ioas *ioas, struct core_hwpt *hwpt)
{
	hwpt->next = ioas->hwpts;
	if (hwpt->next)
		hwpt->next->prev = hwpt;
	ioas->hwpts = hwpt;
	hwpt->listed = true;
}

static void list_remove(struct core_ioas *ioas, struct core_hwpt *hwpt)
{
	if (hwpt->prev)
		hwpt->prev->next = hwpt->next;
	else
		ioas->hwpts = hwpt->next;
	if (hwpt->next)
		hwpt->next->prev = hwpt->prev;
	hwpt->listed = false;
}

int ioas_add_domain(struct core_ioas *ioas, struct core_hwpt *hwpt)
{
	struct core_garbage garbage = { 0 };
	uint64_t alignment = smallest_page(hwpt);
	int rc = 0;

	if (alignment < ioas->alignment)
		alignment = ioas->alignment;
	if (alignment > CORE_PAGE_SIZE)
		return -EINVAL;
	if (alignment != ioas->alignment)
		rc = check_alignment(ioas, alignment);
	if (!rc)
		rc = narrow(ioas, hwpt);
	if (rc)
		return rc;
	rc = fill_domain(ioas, hwpt, &garbage);
	if (rc) {
		widen(ioas, hwpt);
		garbage_free(&ioas->obj.ctx->env, &garbage);
		return rc;
	}
	ioas->alignment = alignment;
	list_add(ioas, hwpt);
	return 0;
}

/* Nothing is attached to @hwpt any more. */
void ioas_remove_domain(struct core_ioas *ioas, struct core_hwpt *hwpt,
			struct core_garbage *garbage)
{
	struct core_area *area = first_area(ioas);

	list_remove(ioas, hwpt);
	while (area) {
		struct core_area *end = run_end(area, UINT64_MAX);

		if (!area->unmapped)
			domain_unmap(hwpt, area->node.first, end->node.last);
		area = next_area(end);
	}
	if (!ioas->hwpts) {
		for (area = first_area(ioas); area; area = next_area(area))
			pages_unpin(area->pages, &area->pin, garbage);
	}
	widen(ioas, hwpt);
	ioas_update_alignment(ioas); /* only ever less strict: cannot fail */
}

int ioas_set_large_pages(struct core_ioas *ioas, bool enable)
{
	int rc = 0;

	if (!enable && ioas->no_large_pages)
		return 0;
	/* Domains may have large leaves already */
	if (!enable && ioas->hwpts && !itree_empty(&ioas->areas))
		return -EINVAL;
	ioas->no_large_pages = !enable;
	rc = ioas_update_alignment(ioas);
	if (rc)
		ioas->no_large_pages = false;
	return rc;
}
