/* SPDX-License-Identifier: MIT */
/*
 * A small random world behind a bare machine: RAM with queues, stream table,
 * CDs and tables of several address spaces; software that keeps changing them,
 * and devices. Tags are used as software must: an ASID of a VMID always names
 * the same tables, a VMID the same stage 2.
 *
 * Everything is written by hand from Arm IHI 0070 and DDI 0487.
 */
#ifndef TESTS_REFERENCE_WORLD_H
#define TESTS_REFERENCE_WORLD_H

#include <nestfd/model.h>

#include "ref.h"

#define RAM	 0x40000000ULL
#define RAM_SIZE 0x2000000ULL
#define CMDQ	 (RAM + 0x0000) /* 256 commands */
#define CMDQ_LG2 8
#define EVENTQ	 (RAM + 0x4000) /* 128 events */
#define EVTQ_LG2 7
#define STRTAB	 (RAM + 0x8000) /* L1STDs, or 256 linear STEs */
#define STES	 (RAM + 0x10000)
#define CDS	 (RAM + 0x20000)
#define TABLES	 (RAM + 0x100000)
/* Where stage 2 shows the RAM */
#define DELTA	     0x10000000000ULL

#define SPACES2	     3
#define SPACES1	     14
#define STREAMS	     9
#define GOOD_STREAMS 6 /* the others may be out of range */
#define HOT	     6
#define CD_BYTES                                                    \
	0x8000 /* of one stream: an L1, two leaf tables or a linear \
		*/

/* One set of tables */
struct tree {
	uint64_t root; /* PA */
	unsigned int granule;
	unsigned int in_bits;
	unsigned int start;
	unsigned int out_bits;
	bool stage2;
	bool nested; /* stage 1 whose addresses are IPAs */
	bool wide;
	uint64_t hot[HOT];
};

struct space1 {
	struct tree half[2];
	uint32_t vmid;
	uint32_t asid;
	int parent; /* index of a stage 2, or -1 */
	uint64_t cd[8];
};

struct space2 {
	struct tree tree;
	uint32_t vmid;
	uint64_t ste[2];  /* doublewords 2 and 3 */
	uint64_t *broken; /* a descriptor of the RAM, and what it was */
	uint64_t whole;
};

struct stream {
	struct nestfd_device *dev;
	uint32_t sid;
	unsigned int config; /* STE.Config as it was written last */
	unsigned int ssids;  /* lg2 */
	unsigned int fmt;
	int parent;
};

struct world {
	uint64_t seed;
	uint64_t rng;
	struct nestfd_machine *machine;
	uint8_t *ram;
	uint64_t used;
	bool two_level;
	bool wide;
	bool tidy;
	unsigned int changed; /* the highest level the builder touched */
	unsigned int split;
	struct space1 s1[SPACES1];
	struct space2 s2[SPACES2];
	struct stream stream[STREAMS];
	uint32_t cmd_prod;
	uint32_t evt_cons;
	struct ref *ref;
	unsigned int stales;
};

/*
 * @tidy: software sends the commands that each change calls for at once;
 * without, it may forget them.
 */
int world_create(struct world *w, uint64_t seed, enum nestfd_cache cache,
		 bool tidy);
void world_destroy(struct world *w);

uint64_t world_random(struct world *w);
/* below @n */
unsigned int world_below(struct world *w, unsigned int n);
bool world_chance(struct world *w, unsigned int percent);
uint64_t *world_at(struct world *w, uint64_t pa);

/* One command through the queue, and what the reference makes of it */
void world_command(struct world *w, uint64_t dw0, uint64_t dw1);
/* The queue's head has come to its tail, without an error. */
bool world_idle(struct world *w);

/* Change something in memory, and send commands for it (see world_create()) */
void world_mutate(struct world *w);
void world_random_command(struct world *w);
void world_random_access(struct world *w, struct ref_access *a,
			 struct stream **stream);

#endif
