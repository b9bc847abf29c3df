/* SPDX-License-Identifier: MIT */
/*
 * What bench_full_queue measures of an architecture. A *spread* is how a cache
 * was prepared: how many translations, and by what *tags* they are told apart.
 * A row is a command, of which the queue is filled.
 */
#ifndef BENCH_FULL_H
#define BENCH_FULL_H

#include "path.h"

#define FULL_IOVA 0x100000000ULL /* the first page; no MSIs there */

struct full_spread {
	const char *what;
	uint32_t kind; /* one bit: which rows there are */
	uint32_t cached;
	uint32_t tags;	  /* that share them equally, or */
	uint32_t devices; /* besides the guest's own, each with all of them */
	bool atc;	  /* in the device's own cache, too */
};

struct full_row {
	const char *what;
	uint32_t kinds;
	uint64_t dw0;
	uint64_t dw1;
	uint32_t names; /* the architecture's: what else is in the words */
	/* may take so long that a part of the queue has to do */
	bool long_one;
};

/* The world of one run */
struct full_bed {
	const struct full_spread *spread;
	struct host host;
	struct guest guest;
	struct full_device *devices; /* spread->devices */
};

struct full_way {
	const char *what;
	bool bare;			   /* see struct host */
	const struct full_spread *spreads; /* what NULL ends, as rows */
	const struct full_row *rows;
};

struct full_arch {
	const struct path_arch *path;
	uint32_t commands; /* of a full queue */
	uint8_t pasid_bits;
	const struct full_way *ways;
	uint32_t nways;

	/* Behind boot: what the spread needs in tables */
	void (*prepare)(struct full_bed *bed);
	/* The DMA that follows is of @tag; its PASID or NESTFD_NO_PASID */
	uint32_t (*tag)(struct full_bed *bed, uint32_t tag);
	/* Behind a change of the first device's tables of pages, or NULL */
	void (*mapped)(struct full_bed *bed);
	/* Tables of one more stream, before it is plugged in */
	void (*stream)(struct full_bed *bed, uint32_t sid);
	/* Command number @i of the queue */
	void (*command)(const struct full_bed *bed, const struct full_row *row,
			uint32_t i, uint64_t dw[2]);
};

/* In which of the tags, and which of its pages, command @i finds something */
static inline uint32_t full_tag(const struct full_bed *bed, uint32_t i)
{
	return i % bed->spread->tags;
}

static inline uint64_t full_page(const struct full_bed *bed, uint32_t i)
{
	const struct full_spread *s = bed->spread;

	return FULL_IOVA +
	       (uint64_t)(i / s->tags % (s->cached / s->tags)) * 4096;
}

extern const struct full_arch full_smmuv3;
extern const struct full_arch full_vtd;

/* full_bed.c: a fresh world with the cache as the spread says. 0 or -errno */
int full_bed_start(struct full_bed *bed, const struct full_arch *arch,
		   const struct full_way *way,
		   const struct full_spread *spread);
void full_bed_stop(struct full_bed *bed);

#endif
