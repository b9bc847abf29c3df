/* SPDX-License-Identifier: MIT */
/*
 * What a replay must know of an IOMMU architecture: one table of functions
 * each. Registers, the queue of commands, faults, snapshots and alterations
 * differ; following, comparing and reporting do not.
 */
#ifndef TOOLS_REPLAY_ARCH_H
#define TOOLS_REPLAY_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nestfd/nestfd.h>
#include <nestfd/viommu.h>

#include "mutate.h"
#include "trace/trace.h"

#define WORLD_IDS     8
#define WORLD_REGIONS 2
#define COMMAND_WORDS 4 /* at most */
#define STOP_CODES    4

enum deviation;
struct access;
struct cmdq;
struct run;
struct world;
struct world_stream;

/* An identification register: what the recording's hardware was */
struct replay_id {
	const char *name; /* in meta.json; or in halves, NAME_LO and NAME_HI */
	uint32_t offset;
	uint8_t bytes;
	bool optional;
};

/* Guest-physical memory */
struct replay_span {
	uint64_t first;
	uint64_t length;
};

/* How a translation of the recording is to come out */
struct replay_expected {
	uint64_t pa;
	unsigned int page_lg2; /* 0: the recording does not say */
	uint8_t perm;	       /* TRACE_PERM_*; 0: does not say either */
	bool untranslated;     /* it passes through */
};

/* An error that stops the guest's queue */
struct replay_stop {
	const char *key; /* for programs */
	const char *name;
};

struct replay_arch {
	const char *name;
	enum nestfd_arch machine;

	/* The hardware */
	const struct replay_id *ids; /* world->id has them in this order */
	size_t nr_ids;
	uint32_t register_bytes;
	/* -EBADMSG: no memory such a guest has; unused spans are left alone */
	int (*memory)(const struct trace_meta *meta,
		      struct replay_span spans[WORLD_REGIONS]);
	/* A machine with the recording's hardware */
	int (*create)(const struct world *world,
		      const struct nestfd_machine_config *config,
		      struct nestfd_machine **machine);
	void (*plug)(const struct world *world,
		     struct nestfd_device_config *config);
	/* NULL, or: a VMM attaches what devices do with PASIDs one by one */
	bool (*attaches_pasids)(const struct world *world);
	/*
	 * The virtual IOMMU over @config, of which what is the same for all is
	 * filled in; NULL: only the bare model can be had.
	 */
	int (*create_viommu)(struct world *world,
			     struct nestfd_viommu_config *config);
	/* NULL; or gives NULL, or why a nested world cannot replay this */
	const char *(*only_direct)(const struct trace *trace);

	/* The log */
	int (*write)(struct run *run, uint32_t offset, unsigned int bytes,
		     uint64_t value);
	/* A line that not every architecture has; -ENOENT: nor has this one */
	int (*event)(struct run *run, const struct trace_event *ev);
	/* NULL: a structure has come into memory; a device passes through */
	void (*stored)(struct run *run, const struct trace_event *ev);
	void (*passes)(struct run *run, uint32_t stream);
	/* NULL: does the guest tell with it of words that came before? */
	bool (*announces)(uint64_t word0);
	/* NULL: before each access */
	int (*before)(struct run *run, const struct access *access);
	/*
	 * NULL: invalidate by a command of our own what is cached of an
	 * address: its leaf, or all in front of it as well.
	 */
	int (*forget)(struct run *run, const struct access *access, bool leaf);
	/* NULL: do the guest's tables, as they are, let a device use ATS? */
	bool (*uses_ats)(struct run *run, const struct world_stream *stream);
	int (*expect)(struct run *run, const struct trace_translation *t,
		      struct replay_expected *expected);

	/* The queue */
	bool rings; /* a host can consume it in place */
	bool wraps; /* its indices have a bit more, which says so */
	uint32_t tail_register;
	unsigned int (*opcode)(uint64_t word0); /* below 256 */
	uint64_t (*word_of)(unsigned int opcode);
	void (*command_text)(const uint64_t *words, char *text, size_t size);
	/*
	 * Has the queue come to @tail without an error? Otherwise *@head is
	 * where it is, and @text says what its registers do.
	 */
	bool (*consumed)(struct run *run, uint32_t tail, uint32_t *head,
			 char *text, size_t size);
	/* NULL: command written to memory, command consumed */
	void (*placed)(struct run *run, const uint64_t *words);
	void (*completed)(struct run *run, const uint64_t *words);
	/* Which of stops the queue is in, at @head; 0: none */
	unsigned int (*stopped)(struct run *run, uint32_t *head);
	/* What a guest does about it, so that the queue goes on */
	void (*acknowledge)(struct run *run, unsigned int stop);
	unsigned int rewrite; /* the stop at which a command is written again */
	/*
	 * The stop after which commands have to be sent again, which they are,
	 * and one that waits for them; 0: none
	 */
	unsigned int lost;
	bool (*sent_again)(const uint64_t *words);
	/* Does it tell a device's own cache? Then *@stream is the device. */
	bool (*lost_at)(const uint64_t *words, uint32_t *stream);
	uint64_t wait[COMMAND_WORDS];
	struct replay_stop stops[STOP_CODES]; /* from 1 on */

	/* Snapshots */
	void (*set_up)(struct world *world, const struct trace_counts *regs);
	uint32_t (*pasid)(const struct trace_counts *regs,
			  const struct trace_row *row);
	/* Is @event that of an address which is not mapped? */
	bool (*unmapped)(uint32_t event);
	uint32_t no_access_flag;       /* event of a leaf without it */
	struct replay_span not_memory; /* addresses with another meaning */

	const struct mutation_ops *mutations;
};

extern const struct replay_arch replay_smmuv3;
extern const struct replay_arch replay_vtd;

/* NULL: cannot be replayed */
const struct replay_arch *replay_arch_of(const struct trace_meta *meta);

/* A register as @regs have it, whole or in halves; -ENOENT */
int replay_recorded(const struct trace_counts *regs, const char *name,
		    uint64_t *value);

#endif
