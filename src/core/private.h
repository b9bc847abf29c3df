/* SPDX-License-Identifier: MIT */
/*
 * What a machine needs to add an ioctl of its own to its contexts (a test
 * command, say): the command, objects with ids, and a look at core's state.
 */
#ifndef CORE_PRIVATE_H
#define CORE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core_ctx;
struct core_device;
struct core_domain;

/* The structs of private commands are at most this long */
#define CORE_PRIVATE_SIZE 96

/* One ioctl: @arg is core's copy of the struct, @uptr the client's. */
struct core_call {
	struct core_ctx *ctx;
	void *arg;
	void *uptr;
	uint32_t user_size;
	uint32_t filled; /* bytes of @arg, if not just the struct's */
};

/*
 * The struct begins with its size (uint32_t); it follows the rules of every
 * other one (from @min_size to @size bytes, zeros behind). @cmd's type must be
 * ';', its number above the ABI's.
 */
struct core_private {
	unsigned int cmd;
	uint16_t size;
	uint16_t min_size;
	int (*execute)(void *ctx, struct core_call *call);
	void *ctx;
	/* A flag of IOMMU_IOAS_COPY, 0: none. With it src_iova is what
	 * core_access_nth_iova() takes. */
	uint32_t nth_flag;
};

/* Writes call->arg back, no more than @size and than the client has: -EFAULT */
int core_reply(struct core_call *call, size_t size);

/* Guarded copies from and to the client's memory: 0 or -EFAULT */
int core_copy_in(void *dst, uint64_t uptr, size_t len);
int core_copy_out(uint64_t uptr, const void *src, size_t len);

/*
 * Objects of the machine's own: in the context's table, destroyed by
 * IOMMU_DESTROY, at the latest by core_close(), which begins with them.
 * core_private_new() reserves the id; then publish or abort. @destroy is
 * called without locks and may call anything here.
 */
struct core_private_object;

int core_private_new(struct core_ctx *ctx, void (*destroy)(void *data),
		     void *data, struct core_private_object **out);
uint32_t core_private_id(const struct core_private_object *object);
void core_private_publish(struct core_private_object *object);
void core_private_abort(struct core_private_object *object);
/* With a user, until core_private_put(). -ENOENT: no such id or not private */
int core_private_get(struct core_ctx *ctx, uint32_t id,
		     struct core_private_object **out, void **data);
void core_private_put(struct core_private_object *object);

/*
 * A real fd of the machine's own, which poll(2) finds writable. @close runs
 * when the client closes it, or the context. -ENOMEM, eventfd's errno.
 */
struct core_private_fd;

int core_private_fd_new(struct core_ctx *ctx, void (*close)(void *data),
			void *data, int *fd);
/* With a user, until core_private_fd_put(). -EBADF: no such fd, another kind */
int core_private_fd_get(struct core_ctx *ctx, int fd,
			struct core_private_fd **out, void **data);
void core_private_fd_put(struct core_private_fd *private);

/* A user of some object, which keeps it from being destroyed */
struct core_hold {
	void *object;
};

enum core_domain_kind {
	CORE_PAGING,
	CORE_NESTED,
	CORE_EITHER, /* -EINVAL for other objects, as -ENOENT is for no id */
};

/* Find what an id stands for, with a user. -ENOENT: no such id or kind */
int core_find_domain(struct core_ctx *ctx, uint32_t id,
		     enum core_domain_kind kind, struct core_domain **domain,
		     struct core_hold *hold);
int core_find_device(struct core_ctx *ctx, uint32_t dev_id,
		     struct core_device **device, struct core_hold *hold);
void core_unhold(struct core_hold *hold);

/* What @pasid of a bound device is attached to; NULL for nothing */
struct core_domain *core_attached(struct core_ctx *ctx, uint32_t dev_id,
				  uint32_t pasid);

/*
 * Takes [first, last] of an IOAS for good: -ENOENT, -EADDRINUSE (mapped or
 * allowed), -ENOMEM.
 */
int core_reserve_iovas(struct core_ctx *ctx, uint32_t ioas_id, uint64_t first,
		       uint64_t last);

/*
 * Is the memory at @pa, @length bytes, the very memory at the client's @uptr
 * (not: equal bytes)? 0; -EFAULT if there is none at @uptr; -EINVAL if not.
 */
int core_check_pa(struct core_ctx *ctx, uint64_t pa, uint64_t uptr,
		  uint64_t length);

/* The same for host memory, as core_access_pin_pages() gives it: -EBADE */
int core_check_host(struct core_ctx *ctx, const void *host, uint64_t uptr,
		    uint64_t length);

/*
 * How often the machine's contexts pin each page of the client's
 * [uptr, uptr + length): counts[0] for the first page... Both of whole pages
 * (-EINVAL). -EFAULT if part of it is no memory. Pins that a context forgot
 * when it was closed count.
 */
int core_count_pins(struct core_ctx *ctx, uint64_t uptr, uint64_t length,
		    uint32_t *counts);

/*
 * Makes the file behind @fd (a memfd, say) a dma-buf of @length bytes for
 * IOMMU_IOAS_MAP_FILE of this context, until it is closed. -EBADF, -EINVAL (the
 * file is shorter), -ENOMEM.
 */
int core_dmabuf_add(struct core_ctx *ctx, int fd, uint64_t length);

/*
 * Takes its memory out of everything it is mapped in, for good; with @revoked
 * it cannot be mapped anew (-ENODEV) until a call without. -EBADF; -EINVAL if
 * it is none of them.
 */
int core_dmabuf_revoke(struct core_ctx *ctx, int fd, bool revoked);

#endif
