// SPDX-License-Identifier: MIT
/*
 * dma-bufs. Linux takes those of its VFIO PCI driver only; here they are what
 * the machine registers: files whose memory it can take back. An area that has
 * lost its memory stays, mapped nowhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/checked.h"
#include "core/internal.h"

void dmabuf_put(struct core_dmabuf *dmabuf)
{
	if (atomic_fetch_sub_explicit(&dmabuf->refs, 1, memory_order_acq_rel) >
	    1)
		return;
	close(dmabuf->fd);
	free(dmabuf);
}

int core_dmabuf_add(struct core_ctx *ctx, int fd, uint64_t length)
{
	struct core_dmabuf *dmabuf;
	struct stat st;
	int own;

	if (fstat(fd, &st))
		return -EBADF;
	if (!length || st.st_size < 0 || (uint64_t)st.st_size < length)
		return -EINVAL;
	dmabuf = alloc_zero(sizeof(*dmabuf));
	if (!dmabuf)
		return -ENOMEM;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* keeps the inode's number */
	if (own < 0) {
		free(dmabuf);
		return -ENOMEM;
	}
	atomic_init(&dmabuf->refs, 1);
	dmabuf->fd = own;
	dmabuf->dev = st.st_dev;
	dmabuf->ino = st.st_ino;
	dmabuf->length = length;
	pthread_mutex_lock(&ctx->lock);
	dmabuf->next = ctx->dmabufs;
	ctx->dmabufs = dmabuf;
	pthread_mutex_unlock(&ctx->lock);
	return 0;
}

/* With ctx->lock held */
static struct core_dmabuf *find_dmabuf(struct core_ctx *ctx, int fd)
{
	struct core_dmabuf *dmabuf = ctx->dmabufs;
	struct stat st;

	if (!dmabuf || fstat(fd, &st))
		return NULL;
	while (dmabuf && (dmabuf->dev != st.st_dev || dmabuf->ino != st.st_ino))
		dmabuf = dmabuf->next;
	return dmabuf;
}

int dmabuf_get(struct core_ctx *ctx, int fd, uint64_t last,
	       struct core_dmabuf **out, uint64_t *epoch)
{
	struct core_dmabuf *dmabuf;
	int rc = 0;

	*out = NULL;
	pthread_mutex_lock(&ctx->lock);
	dmabuf = find_dmabuf(ctx, fd);
	if (!dmabuf) {
		rc = client_dmabuf_check(fd, last);
	} else if (dmabuf->length <= last) {
		rc = -EINVAL;
	} else if (dmabuf->revoked) {
		rc = -ENODEV;
	} else {
		atomic_fetch_add_explicit(&dmabuf->refs, 1,
					  memory_order_relaxed);
		*out = dmabuf;
		*epoch = dmabuf->epoch;
	}
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

bool pages_revoked(const struct core_pages *pages)
{
	return pages->dmabuf &&
	       atomic_load(&pages->dmabuf->epoch) != pages->dmabuf_epoch;
}

static void revoke_ioas(struct core_ioas *ioas,
			const struct core_dmabuf *dmabuf)
{
	struct itree_node *node;

	pthread_mutex_lock(&ioas->lock);
	for (node = itree_from(&ioas->areas, 0); node;
	     node = itree_succ(node)) {
		struct core_area *area =
			container_of(node, struct core_area, node);

		if (area->pages->dmabuf == dmabuf && !area->unmapped)
			ioas_unmap_area(ioas, area);
	}
	pthread_mutex_unlock(&ioas->lock);
}

int core_dmabuf_revoke(struct core_ctx *ctx, int fd, bool revoked)
{
	struct core_dmabuf *dmabuf;
	struct core_object *obj;
	uint32_t id = 0;

	pthread_mutex_lock(&ctx->lock);
	dmabuf = find_dmabuf(ctx, fd);
	if (dmabuf) {
		dmabuf->revoked = revoked;
		/* Who maps it from now on sees that it is gone */
		atomic_fetch_add(&dmabuf->epoch, 1);
	}
	pthread_mutex_unlock(&ctx->lock);
	if (!dmabuf)
		return fcntl(fd, F_GETFD) < 0 ? -EBADF : -EINVAL;
	do {
		struct core_ioas *ioas;

		pthread_mutex_lock(&ctx->lock);
		obj = ids_next(&ctx->ids, id, &id);
		pthread_mutex_unlock(&ctx->lock);
		if (!obj || core_get(ctx, id, CORE_IOAS, &ioas))
			continue;
		revoke_ioas(ioas, dmabuf);
		core_put(&ioas->obj);
	} while (obj);
	return 0;
}

void dmabuf_forget_all(struct core_ctx *ctx)
{
	while (ctx->dmabufs) {
		struct core_dmabuf *dmabuf = ctx->dmabufs;

		ctx->dmabufs = dmabuf->next;
		dmabuf_put(dmabuf);
	}
}
