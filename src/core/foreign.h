/* SPDX-License-Identifier: MIT */
/*
 * Calls of clients that are other processes: their memory and their fds are
 * reached by functions of whoever serves them.
 */
#ifndef CORE_FOREIGN_H
#define CORE_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client_process;
struct core_ctx;
struct core_process;

struct core_client {
	void *ctx;
	/* 0 or -EFAULT */
	int (*read)(void *ctx, void *dst, uint64_t addr, size_t len);
	int (*write)(void *ctx, uint64_t addr, const void *src, size_t len);
	/* The client's fd as one of ours, which core closes; -EBADF */
	int (*get_fd)(void *ctx, int fd);
	/* Our fd as one of the client's; its number there or -errno */
	int (*give_fd)(void *ctx, int fd);
	/* What IOMMU_IOAS_MAP maps; NULL: nothing but files can be mapped */
	struct client_process *process;
	/* Whose pages they are then; for core_env.process */
	struct core_process *account;
};

/*
 * core_ioctl() for @client. Without ->process, IOMMU_IOAS_MAP and
 * VFIO_IOMMU_MAP_DMA answer -EOPNOTSUPP.
 */
int core_ioctl_for(struct core_ctx *ctx, unsigned long cmd, uint64_t arg,
		   const struct core_client *client);

/* The client of the call in progress in this thread; NULL: this process */
const struct core_client *core_foreign(void);
/* Sets it; returns the one before. */
const struct core_client *core_foreign_set(const struct core_client *client);

/* What the client shall know our @fd by: itself, or its number there */
int core_give_fd(int fd, uint32_t *number);

#endif
