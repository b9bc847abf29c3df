/* SPDX-License-Identifier: MIT */
/*
 * The small port through which a driver reaches its hardware: registers,
 * memory that both see, and one interrupt line. What is behind it (a model in
 * this process, or something else) the driver cannot tell.
 */
#ifndef CORE_HWPORT_H
#define CORE_HWPORT_H

#include <stddef.h>
#include <stdint.h>

/* Memory the driver shares with the hardware: tables, queues. */
struct core_dma_mem {
	void *host;
	uint64_t pa;
	size_t size;
	void *priv; /* the port's own */
};

struct core_hwport_ops {
	/* @size is 4 or 8; reads of absent registers give 0 */
	uint64_t (*read)(void *ctx, uint32_t offset, unsigned int size);
	void (*write)(void *ctx, uint32_t offset, unsigned int size,
		      uint64_t value);

	/* Zeroed memory aligned to @align (a power of two); -ENOMEM */
	int (*mem_alloc)(void *ctx, size_t size, size_t align,
			 struct core_dma_mem *mem);
	void (*mem_free)(void *ctx, struct core_dma_mem *mem);

	/*
	 * @handler runs in the thread that made the hardware raise interrupt
	 * @line (numbers are the architecture's: drv/<arch> says which), with
	 * no hardware lock held. NULL disconnects.
	 */
	void (*irq)(void *ctx, unsigned int line, void (*handler)(void *arg),
		    void *arg);
};

struct core_hwport {
	const struct core_hwport_ops *ops;
	void *ctx;
};

#endif
