// SPDX-License-Identifier: MIT
/* The calls on I/O address spaces. */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/checked.h"
#include "core/internal.h"

#define MAP_FLAGS                                               \
	(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | \
	 IOMMU_IOAS_MAP_READABLE)

struct allowed {
	struct itree_node node;
};

static int get_ioas(struct core_call *call, uint32_t id,
		    struct core_ioas **ioas)
{
	return core_get(call->ctx, id, CORE_IOAS, ioas);
}

int ioas_ioctl_alloc(struct core_call *call)
{
	struct iommu_ioas_alloc *arg = call->arg;
	struct core_ioas *ioas;
	int rc;

	if (arg->flags)
		return -EOPNOTSUPP;
	rc = core_object_new(call->ctx, CORE_IOAS, &ioas);
	if (rc)
		return rc;
	arg->out_ioas_id = ioas->obj.id;
	rc = core_reply(call, sizeof(*arg));
	if (rc) {
		core_object_abort(&ioas->obj);
		return rc;
	}
	pthread_mutex_init(&ioas->hwpt_lock, NULL);
	pthread_mutex_init(&ioas->lock, NULL);
	ioas->alignment = 1; /* no domain wants more yet */
	core_object_publish(&ioas->obj);
	return 0;
}

static void free_allowed(struct itree *tree)
{
	struct itree_node *node;

	while ((node = itree_from(tree, 0))) {
		itree_remove(tree, node);
		free(container_of(node, struct allowed, node));
	}
}

static void free_kept(struct core_ioas *ioas)
{
	while (ioas->kept) {
		struct core_hole *hole = ioas->kept;

		ioas->kept = hole->next;
		itree_remove(&ioas->reserved, &hole->node);
		free(hole);
	}
}

void ioas_destroy(struct core_object *obj)
{
	struct core_ioas *ioas = container_of(obj, struct core_ioas, obj);
	struct core_garbage garbage = { 0 };
	uint64_t unmapped = 0;

	pthread_mutex_lock(&ioas->lock); /* nobody else is left */
	ioas_unmap_range(ioas, 0, UINT64_MAX, &unmapped, &garbage);
	pthread_mutex_unlock(&ioas->lock);
	garbage_free(&obj->ctx->env, &garbage);
	free_allowed(&ioas->allowed);
	free_kept(ioas);
	pthread_mutex_destroy(&ioas->lock);
	pthread_mutex_destroy(&ioas->hwpt_lock);
}

/* Everything between reserved ranges, which may overlap each other */
int ioas_for_each_free(struct core_ioas *ioas,
		       int (*fn)(void *ctx, uint64_t first, uint64_t last),
		       void *ctx)
{
	struct itree_node *node = itree_from(&ioas->reserved, 0);
	uint64_t start = 0;
	int rc;

	for (; node; node = itree_succ(node)) {
		if (node->first > start) {
			rc = fn(ctx, start, node->first - 1);
			if (rc)
				return rc;
		}
		if (node->last == UINT64_MAX)
			return 0;
		if (node->last >= start)
			start = node->last + 1;
	}
	return fn(ctx, start, UINT64_MAX);
}

struct report {
	struct iommu_ioas_iova_ranges *arg;
	uint32_t room;
};

static int report_range(void *ctx, uint64_t start, uint64_t last)
{
	struct report *report = ctx;
	struct iommu_iova_range range = { start, last };
	uint32_t index = report->arg->num_iovas++;

	if (index >= report->room)
		return 0;
	return core_copy_out(report->arg->allowed_iovas + index * sizeof(range),
			     &range, sizeof(range));
}

int ioas_ioctl_iova_ranges(struct core_call *call)
{
	struct iommu_ioas_iova_ranges *arg = call->arg;
	struct report report = { .arg = arg, .room = arg->num_iovas };
	struct core_ioas *ioas;
	int rc;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	rc = get_ioas(call, arg->ioas_id, &ioas);
	if (rc)
		return rc;

	pthread_mutex_lock(&ioas->lock);
	arg->num_iovas = 0;
	arg->out_iova_alignment = ioas->alignment;
	rc = ioas_for_each_free(ioas, report_range, &report);
	pthread_mutex_unlock(&ioas->lock);
	if (!rc)
		rc = core_reply(call, sizeof(*arg));
	if (!rc && arg->num_iovas > report.room)
		rc = -EMSGSIZE;
	core_put(&ioas->obj);
	return rc;
}

static int load_allowed(struct itree *tree, uint64_t uptr, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct iommu_iova_range range;
		struct allowed *allowed;

		if (core_copy_in(&range, uptr + i * sizeof(range),
				 sizeof(range)))
			return -EFAULT;
		if (range.start >= range.last)
			return -EINVAL;
		if (itree_first(tree, range.start, range.last))
			return -EINVAL;
		allowed = alloc_zero(sizeof(*allowed));
		if (!allowed)
			return -ENOMEM;
		allowed->node.first = range.start;
		allowed->node.last = range.last;
		itree_insert(tree, &allowed->node);
	}
	return 0;
}

/* Swaps the lists if none of the new one is reserved */
static int set_allowed(struct core_ioas *ioas, struct itree *tree)
{
	struct itree_node *node = itree_from(tree, 0);
	struct itree old = ioas->allowed;

	for (; node; node = itree_succ(node)) {
		if (itree_first(&ioas->reserved, node->first, node->last))
			return -EADDRINUSE;
	}
	ioas->allowed = *tree;
	*tree = old;
	return 0;
}

int ioas_ioctl_allow_iovas(struct core_call *call)
{
	struct iommu_ioas_allow_iovas *arg = call->arg;
	struct itree tree = { 0 };
	struct core_ioas *ioas;
	int rc;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	rc = get_ioas(call, arg->ioas_id, &ioas);
	if (rc)
		return rc;
	rc = load_allowed(&tree, arg->allowed_iovas, arg->num_iovas);
	if (!rc) {
		pthread_mutex_lock(&ioas->lock);
		rc = set_allowed(ioas, &tree);
		pthread_mutex_unlock(&ioas->lock);
	}
	free_allowed(&tree);
	core_put(&ioas->obj);
	return rc;
}

static uint32_t map_prot(uint32_t flags)
{
	return (flags & IOMMU_IOAS_MAP_WRITEABLE ? CORE_PROT_WRITE : 0) |
	       (flags & IOMMU_IOAS_MAP_READABLE ? CORE_PROT_READ : 0);
}

static int check_map(uint32_t flags, uint64_t iova, uint64_t length)
{
	if (flags & ~MAP_FLAGS)
		return -EOPNOTSUPP;
	if (iova == UINT64_MAX || length == UINT64_MAX)
		return -EOVERFLOW;
	return map_prot(flags) ? 0 : -EINVAL;
}

/* Gives back what ioas_map_pieces() has not taken */
static void free_pieces(struct core_ctx *ctx, struct core_piece *piece)
{
	struct core_garbage garbage = { 0 };

	while (piece) {
		struct core_piece *next = piece->next;

		if (piece->pages)
			pages_put(piece->pages, &garbage);
		free(piece->area);
		free(piece);
		piece = next;
	}
	garbage_free(&ctx->env, &garbage);
}

/* A piece and its area's memory. Takes over a reference to @pages if it can. */
static int new_piece(struct core_pages *pages, uint64_t offset, uint64_t length,
		     struct core_piece **out)
{
	struct core_piece *piece = alloc_zero(sizeof(*piece));

	if (!piece)
		return -ENOMEM;
	piece->area = alloc_zero(sizeof(*piece->area));
	if (!piece->area) {
		free(piece);
		return -ENOMEM;
	}
	piece->pages = pages;
	piece->offset = offset;
	piece->length = length;
	*out = piece;
	return 0;
}

static int map_locked(struct core_ioas *ioas, struct core_piece *pieces,
		      uint64_t length, uint32_t flags, uint64_t *iova)
{
	int rc;

	pthread_mutex_lock(&ioas->lock);
	rc = ioas_map_pieces(ioas, pieces, length,
			     flags & IOMMU_IOAS_MAP_FIXED_IOVA, iova,
			     map_prot(flags));
	pthread_mutex_unlock(&ioas->lock);
	return rc;
}

/* Maps @pages, whose reference it takes over */
static int map_pages(struct core_ioas *ioas, struct core_pages *pages,
		     uint64_t offset, uint64_t length, uint32_t flags,
		     uint64_t *iova)
{
	struct core_garbage garbage = { 0 };
	struct core_piece *piece;
	int rc = new_piece(pages, offset, length, &piece);

	if (rc) {
		pages_put(pages, &garbage);
		garbage_free(&ioas->obj.ctx->env, &garbage);
		return rc;
	}
	rc = map_locked(ioas, piece, length, flags, iova);
	free_pieces(ioas->obj.ctx, piece);
	return rc;
}

int ioas_map_user(struct core_ioas *ioas, uint64_t va, uint64_t length,
		  uint32_t flags, uint64_t *iova)
{
	struct core_pages *pages;
	uint64_t offset;
	int rc;

	rc = pages_new_user(ioas->obj.ctx, va, length,
			    flags & IOMMU_IOAS_MAP_WRITEABLE, &pages, &offset);
	if (rc)
		return rc;
	return map_pages(ioas, pages, offset, length, flags, iova);
}

int ioas_ioctl_map(struct core_call *call)
{
	struct iommu_ioas_map *arg = call->arg;
	uint64_t iova = arg->iova;
	struct core_ioas *ioas;
	int rc;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	rc = check_map(arg->flags, arg->iova, arg->length);
	if (rc)
		return rc;
	rc = get_ioas(call, arg->ioas_id, &ioas);
	if (rc)
		return rc;
	rc = ioas_map_user(ioas, arg->user_va, arg->length, arg->flags, &iova);
	if (!rc) {
		arg->iova = iova;
		rc = core_reply(call, sizeof(*arg));
	}
	core_put(&ioas->obj);
	return rc;
}

int ioas_ioctl_map_file(struct core_call *call)
{
	struct iommu_ioas_map_file *arg = call->arg;
	uint64_t iova = arg->iova;
	struct core_pages *pages;
	struct core_ioas *ioas;
	uint64_t offset;
	uint64_t last;
	int rc;

	rc = check_map(arg->flags, arg->iova, arg->length);
	if (rc)
		return rc;
	rc = get_ioas(call, arg->ioas_id, &ioas);
	if (rc)
		return rc;
	rc = range_last(arg->start, arg->length, &last);
	if (!rc)
		rc = pages_new_file(call->ctx, arg->fd, arg->start, arg->length,
				    arg->flags & IOMMU_IOAS_MAP_WRITEABLE,
				    &pages, &offset);
	if (!rc)
		rc = map_pages(ioas, pages, offset, arg->length, arg->flags,
			       &iova);
	if (!rc) {
		arg->iova = iova;
		rc = core_reply(call, sizeof(*arg));
	}
	core_put(&ioas->obj);
	return rc;
}

/* The areas behind [@first, @last], without a hole, as pieces */
static int collect(struct core_ioas *ioas, uint64_t first, uint64_t last,
		   struct core_piece **pieces)
{
	struct core_piece **tail = pieces;
	int rc;

	for (;;) {
		struct itree_node *node =
			itree_first(&ioas->areas, first, first);
		struct core_area *area;
		uint64_t end;

		if (!node)
			return -ENOENT;
		area = container_of(node, struct core_area, node);
		end = node->last < last ? node->last : last;
		rc = new_piece(area->pages,
			       area->offset + (first - node->first),
			       end - first + 1, tail);
		if (rc)
			return rc;
		pages_get(area->pages);
		tail = &(*tail)->next;
		if (end == last)
			return 0;
		first = end + 1;
	}
}

static int collect_src(struct core_call *call, struct core_piece **pieces)
{
	struct iommu_ioas_copy *arg = call->arg;
	struct core_ioas *ioas;
	uint64_t last;
	int rc = get_ioas(call, arg->src_ioas_id, &ioas);

	if (rc)
		return rc;
	rc = range_last(arg->src_iova, arg->length, &last);
	if (!rc) {
		pthread_mutex_lock(&ioas->lock);
		rc = collect(ioas, arg->src_iova, last, pieces);
		pthread_mutex_unlock(&ioas->lock);
	}
	core_put(&ioas->obj);
	return rc;
}

uint64_t ioas_nth_iova(struct core_ioas *ioas, uint64_t nth)
{
	uint32_t skip = (uint32_t)nth;
	struct itree_node *node;
	uint64_t iova = 0;

	pthread_mutex_lock(&ioas->lock);
	node = itree_from(&ioas->areas, 0);
	while (node && skip--)
		node = itree_succ(node);
	if (node)
		iova = node->first + (nth >> 32);
	pthread_mutex_unlock(&ioas->lock);
	return iova;
}

/* The machine's own flag; the answer shows the IOVA it stands for */
static void resolve_nth(struct core_call *call)
{
	const struct core_private *private = call->ctx->env.private_op;
	struct iommu_ioas_copy *arg = call->arg;
	struct core_ioas *ioas;

	if (!private || !(arg->flags & private->nth_flag))
		return;
	arg->flags &= ~private->nth_flag;
	if (get_ioas(call, arg->src_ioas_id, &ioas))
		return; /* for the copy itself to say */
	arg->src_iova = ioas_nth_iova(ioas, arg->src_iova);
	core_put(&ioas->obj);
}

int ioas_ioctl_copy(struct core_call *call)
{
	struct iommu_ioas_copy *arg = call->arg;
	struct core_piece *pieces = NULL;
	uint64_t iova = arg->dst_iova;
	struct core_ioas *ioas;
	int rc;

	resolve_nth(call);
	rc = check_map(arg->flags, arg->dst_iova, arg->length);
	if (!rc && arg->src_iova == UINT64_MAX)
		rc = -EOVERFLOW;
	if (rc)
		return rc;
	rc = collect_src(call, &pieces);
	if (rc)
		goto free_pieces;
	rc = get_ioas(call, arg->dst_ioas_id, &ioas);
	if (rc)
		goto free_pieces;
	rc = map_locked(ioas, pieces, arg->length, arg->flags, &iova);
	if (!rc) {
		arg->dst_iova = iova;
		rc = core_reply(call, sizeof(*arg));
	}
	core_put(&ioas->obj);
free_pieces:
	free_pieces(call->ctx, pieces);
	return rc;
}

static int unmap_check(const struct iommu_ioas_unmap *arg, uint64_t *last)
{
	if (arg->iova == 0 && arg->length == UINT64_MAX) {
		*last = UINT64_MAX; /* everything, the last byte too */
		return 0;
	}
	if (arg->iova == UINT64_MAX || arg->length == UINT64_MAX)
		return -EOVERFLOW;
	return range_last(arg->iova, arg->length, last);
}

int ioas_ioctl_unmap(struct core_call *call)
{
	struct iommu_ioas_unmap *arg = call->arg;
	struct core_garbage garbage = { 0 };
	struct core_ioas *ioas;
	uint64_t unmapped = 0;
	uint64_t last;
	int rc;

	rc = get_ioas(call, arg->ioas_id, &ioas);
	if (rc)
		return rc;
	rc = unmap_check(arg, &last);
	if (rc)
		goto put_ioas;
	pthread_mutex_lock(&ioas->lock);
	rc = ioas_unmap_range(ioas, arg->iova, last, &unmapped, &garbage);
	pthread_mutex_unlock(&ioas->lock);
	garbage_free(&call->ctx->env, &garbage);
	/* Asked for everything, nothing is fine */
	if (!rc && !unmapped && arg->length != UINT64_MAX)
		rc = -ENOENT;
	if (rc)
		goto put_ioas;
	arg->length = unmapped;
	rc = core_reply(call, sizeof(*arg));
put_ioas:
	core_put(&ioas->obj);
	return rc;
}
