// SPDX-License-Identifier: MIT
/*
 * IOMMU_IOAS_CHANGE_PROCESS: what is mapped counts for the calling process from
 * now on. Only files can move: nobody else has the other memory.
 */
#include <errno.h>

#include "base/bits.h"
#include "core/internal.h"

typedef int (*pages_fn)(void *ctx, struct core_pages *pages);

static int each_of_ioas(struct core_ioas *ioas, pages_fn fn, void *ctx)
{
	struct itree_node *node;
	int rc = 0;

	pthread_mutex_lock(&ioas->lock);
	for (node = itree_from(&ioas->areas, 0); node && !rc;
	     node = itree_succ(node))
		rc = fn(ctx, container_of(node, struct core_area, node)->pages);
	pthread_mutex_unlock(&ioas->lock);
	return rc;
}

/* Calls @fn for the pages of all areas; areas may share pages */
static int each_pages(struct core_ctx *ctx, pages_fn fn, void *fn_ctx)
{
	struct core_object *obj;
	uint32_t id = 0;
	int rc = 0;

	do {
		struct core_ioas *ioas;

		pthread_mutex_lock(&ctx->lock);
		obj = ids_next(&ctx->ids, id, &id);
		pthread_mutex_unlock(&ctx->lock);
		if (!obj || core_get(ctx, id, CORE_IOAS, &ioas))
			continue; /* something else, or gone by now */
		rc = each_of_ioas(ioas, fn, fn_ctx);
		core_put(&ioas->obj);
	} while (obj && !rc);
	return rc;
}

static int only_files(void *ctx, struct core_pages *pages)
{
	(void)ctx;
	return pages->is_file && !pages->dmabuf ? 0 : -EINVAL;
}

struct move {
	struct core_process *to;
	uint64_t epoch;
	uint64_t charged[CORE_ACCOUNT_PROCESS + 1]; /* by core_accounting */
};

static int count(void *ctx, struct core_pages *pages)
{
	struct move *move = ctx;

	pthread_mutex_lock(&pages->lock);
	if (pages->process && pages->process != move->to &&
	    pages->epoch != move->epoch)
		move->charged[pages->accounting] += pages->accounted;
	pages->epoch = move->epoch;
	pthread_mutex_unlock(&pages->lock);
	return 0;
}

static int move_pages(void *ctx, struct core_pages *pages)
{
	struct move *move = ctx;

	pthread_mutex_lock(&pages->lock);
	if (pages->process && pages->process != move->to) {
		account_sub(pages->process, pages->accounting,
			    pages->accounted);
		/* What was mapped since it was counted: no way to refuse */
		if (move->charged[pages->accounting] < pages->accounted) {
			account_force(move->to, pages->accounting,
				      pages->accounted);
		} else {
			move->charged[pages->accounting] -= pages->accounted;
		}
		pages->process = move->to;
	}
	pthread_mutex_unlock(&pages->lock);
	return 0;
}

/* All of it, or -ENOMEM: the limit is the new process's */
static int charge(struct move *move)
{
	enum core_accounting mode = CORE_ACCOUNT_UNKNOWN;
	int rc = 0;

	for (; mode <= CORE_ACCOUNT_PROCESS; mode++) {
		rc = account_add(move->to, mode, move->charged[mode]);
		if (rc)
			break;
	}
	while (rc && mode-- > CORE_ACCOUNT_UNKNOWN)
		account_sub(move->to, mode, move->charged[mode]);
	return rc;
}

static void uncharge(struct move *move)
{
	enum core_accounting mode = CORE_ACCOUNT_UNKNOWN;

	for (; mode <= CORE_ACCOUNT_PROCESS; mode++)
		account_sub(move->to, mode, move->charged[mode]);
}

int ioas_ioctl_change_process(struct core_call *call)
{
	struct iommu_ioas_change_process *arg = call->arg;
	struct core_ctx *ctx = call->ctx;
	struct move move = { .to = account_process(&ctx->env) };
	int rc;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	rc = each_pages(ctx, only_files, NULL);
	if (rc || !move.to)
		return rc;
	pthread_mutex_lock(&ctx->lock);
	move.epoch = ++ctx->epoch;
	pthread_mutex_unlock(&ctx->lock);
	each_pages(ctx, count, &move);
	rc = charge(&move);
	if (rc)
		return rc;
	each_pages(ctx, move_pages, &move);
	uncharge(&move); /* what was unmapped since it was counted */
	return 0;
}
