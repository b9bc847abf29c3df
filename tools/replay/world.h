/* SPDX-License-Identifier: MIT */
/*
 * Where a recorded guest lives again: its memory, its IOMMU and its devices.
 *Two worlds behind one table of operations:
 *
 * nested	the guest's IOMMU is a virtual one (libviommu) over an
 *in-process /dev/iommu; its memory is the stage 2 of a machine whose IOMMU
 *		translates what devices do
 * direct	the guest's IOMMU is the hardware model itself, with the
 *		recording's identification registers
 *
 * A machine's own physical addresses differ from the guest's in a nested world,
 * and so do StreamIDs: world_pa() and struct world_stream translate. Functions
 * return 0 or a negative errno with a line in the world's error.
 */
#ifndef TOOLS_REPLAY_WORLD_H
#define TOOLS_REPLAY_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nestfd/model.h>
#include <nestfd/nestfd.h>
#include <nestfd/viommu.h>

#include "arch.h"
#include "trace/trace.h"

#define WORLD_LINES	 4
#define WORLD_MAX_STREAM 0xffff
#define WORLD_STREAMS	 1024

struct world;

/* A device the guest knows as @sid */
struct world_stream {
	struct world *world;
	uint32_t sid;
	uint32_t host_sid;
	uint32_t dev_id;
	struct nestfd_device *dev;
	uint64_t ste; /* SMMUv3: where its STE was fetched; 0: nowhere yet */
	uint64_t reset_at; /* a line of the log */
	bool had_ats;	   /* its cache may hold something */
	bool without_ats;  /* the guest has given its ATS up */
};

struct world_region {
	uint64_t first;
	uint64_t length;
	uint8_t *host;
};

struct world_ops {
	int (*start)(struct world *world);
	void (*stop)(struct world *world);
	uint64_t (*read)(struct world *world, uint32_t offset,
			 unsigned int bytes);
	void (*write)(struct world *world, uint32_t offset, unsigned int bytes,
		      uint64_t value);
	int (*plug)(struct world *world, struct world_stream *stream);
	int (*pump)(struct world *world);
	int (*pa)(struct world *world, uint64_t gpa, uint64_t *pa);
};

/**
 * struct world_config - the world to make
 * @meta: its guest's memory and IOMMU
 * @stale: see struct nestfd_machine_config; may be NULL
 */
struct world_config {
	const struct trace_meta *meta;
	bool direct;
	enum nestfd_cache cache;
	enum nestfd_queue queue;
	void (*stale)(void *ctx, const struct nestfd_stale *stale);
	void *ctx;
};

struct world {
	const struct world_ops *ops;
	struct world_config config;
	const struct replay_arch *arch;
	uint64_t id[WORLD_IDS]; /* the recording's, as arch->ids lists them */
	struct world_region regions[WORLD_REGIONS];
	struct nestfd_machine *machine;
	struct world_stream *streams[WORLD_STREAMS];
	size_t nr_streams;
	struct world_stream *last; /* most are asked for again and again */
	uint64_t irqs[WORLD_LINES];
	struct trace_error err;
	/* nested */
	struct nestfd *nfd;
	struct nestfd_viommu *viommu;
	struct nestfd_device *beside; /* sees stage 2 only */
	uint32_t beside_id;
	uint32_t parent;
	uint32_t parent_ioas;
};

extern const struct world_ops world_nested_ops;
extern const struct world_ops world_direct_ops;

int world_fail(struct world *world, int rc, const char *what);
int world_create(const struct world_config *config, struct world **out,
		 struct trace_error *err);
void world_destroy(struct world *world);

/* Guest memory; NULL where there is none. */
void *world_memory(struct world *world, uint64_t gpa, uint64_t length);

/* The device that is @sid, plugged in if the world has not seen it. */
int world_stream(struct world *world, uint32_t sid, struct world_stream **out);

/* What the guest calls the machine's StreamID */
uint32_t world_guest_stream(const struct world *world, uint32_t host_sid);

static inline uint32_t world_read32(struct world *world, uint32_t offset)
{
	return (uint32_t)world->ops->read(world, offset, 4);
}

static inline void world_write(struct world *world, uint32_t offset,
			       unsigned int bytes, uint64_t value)
{
	world->ops->write(world, offset, bytes, value);
}

/* The machine's address of guest memory */
static inline int world_pa(struct world *world, uint64_t gpa, uint64_t *pa)
{
	return world->ops->pa(world, gpa, pa);
}

#endif
