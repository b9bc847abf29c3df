/* SPDX-License-Identifier: MIT */
/*
 * nestfd replay: one run follows one recording in its order (follow.c) in one
 * world (world.h). What the run sees and what the recording says differ: that
 * is "wrong", counted by kind, and the first few are told (report.c). With
 * altered commands (mutate.c) it is instead laid at the door of the alteration.
 *
 * Functions return 0, or a negative errno with a line in the run's error;
 * -EBADMSG says that the recording is at fault.
 *
 * With --inject the guest does what a guest can about errors that its commands
 * do not deserve (queue.c); in the end, nothing must be wrong all the same.
 */
#ifndef TOOLS_REPLAY_REPLAY_H
#define TOOLS_REPLAY_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "arch.h"
#include "mutate.h"
#include "world.h"

#define WRONG_SHOWN 5
#define WRONG_TEXT  2048

enum wrong_kind {
	WRONG_TRANSLATION, /* result, address, permission or data */
	WRONG_HIT,	   /* the recording hit its cache, we did not */
	WRONG_STALE,	   /* the checker's verdict */
	WRONG_FAULT,
	WRONG_INTERRUPT,
	WRONG_COMMAND, /* not consumed, or GERROR */
	WRONG_REGISTER,
	WRONG_SNAPSHOT,
	WRONG_KINDS,
};

/* What QEMU does differently from the architecture; counted, never silent. */
enum deviation {
	DEV_IPA_OFFSET,	   /* the IPA of a stage-2 fault with its offset */
	DEV_S2_CLEAR,	   /* stage-2 fault of a stage-1 table: S2=0 */
	DEV_WALK_EABT,	   /* a table beyond the OAS: F_WALK_EABT */
	DEV_ADDR_SIZE,	   /* F_ACCESS or F_PERMISSION before F_ADDR_SIZE */
	DEV_INPUT_RANGE,   /* stage-2 input beyond the IAS: no event */
	DEV_INTERRUPT,	   /* an interrupt for each record */
	DEV_UNSEEN_ENTRY,  /* that lets a device pass through */
	DEV_ADDRESS_WIDTH, /* PASID entries with AW where it is reserved */
	DEV_UNTOLD,	   /* of changes without caching mode */
	DEV_KEPT_TABLE,	   /* mend.c */
	DEV_LEGACY_REASON, /* scalable mode, fault reasons of legacy mode */
	DEV_COUNT,
};

extern const char *const wrong_names[WRONG_KINDS];
extern const char *const deviation_names[DEV_COUNT];

struct replay_options {
	bool direct;
	bool json;
	bool snapshots;
	bool cache_chosen;
	uint32_t batch;
	enum nestfd_cache cache;
	enum nestfd_queue queue;
	enum mutation_kind mutate;
	uint64_t seed;
	uint32_t mutations;
	struct nestfd_fault *faults;
	size_t nr_faults;
	char **paths;
	size_t nr_paths;
};

struct report {
	const char *path;
	uint64_t events; /* lines of the log */
	uint64_t opcodes[256];
	uint64_t commands;
	uint64_t doorbells; /* recorded */
	uint64_t rung;
	uint64_t rung_early;
	uint64_t translated;
	uint64_t bypassed;
	uint64_t disabled;
	uint64_t aborted;
	uint64_t reads;
	uint64_t writes;
	uint64_t hits;
	uint64_t misses;
	uint64_t recorded_hits;
	uint64_t recorded_misses;
	uint64_t faults;
	uint64_t interrupts;
	uint64_t recorded_interrupts;
	uint64_t recorded_errors;
	uint64_t injected;
	uint64_t stops[STOP_CODES]; /* of the guest's queue, and gone over */
	uint64_t resets;	    /* of devices that did not answer */
	uint64_t without_ats;	    /* devices, in the end */
	uint64_t fetches;	    /* of configuration, interrupt entries */
	uint64_t drops;		    /* caches the emulator dropped by itself */
	uint64_t registers;
	uint64_t snapshots;
	uint64_t rows;
	uint64_t gaps;
	uint64_t deviations[DEV_COUNT];
	uint64_t command_ns;
	uint64_t translate_ns;
	uint64_t id[WORLD_IDS]; /* what the guest saw */
	struct nestfd_viommu_stats viommu;
	struct nestfd_iommu_stats iommu;
	uint64_t wrong[WRONG_KINDS];
	unsigned int nr_shown;
	char *shown[WRONG_SHOWN];
};

/*
 * The guest's command queue. Commands are placed in its memory when the log
 * names them, and the doorbell then rung. Where it is logged before its
 * commands it is announced until they are all there.
 */
struct cmdq {
	uint64_t base;
	uint32_t entries;  /* a power of two */
	uint32_t mask;	   /* of an index, with the wrap bit if there is one */
	uint32_t tail;	   /* behind the last command placed */
	uint32_t waiting;  /* placed, not rung */
	uint32_t deferred; /* doorbells of the recording held back */
	unsigned int tail_shift;
	uint32_t inserted;   /* commands of our own, before the tail */
	const uint64_t *own; /* the one that is being consumed */
	uint32_t announced_tail;
	bool announced;
	uint64_t first_waiting; /* index of a command */
	uint64_t unsynced;	/* of the first with no wait behind it so far */
	bool enabled;
	bool lost;  /* what was rung in last has to be sent again in part */
	bool stuck; /* no use in acknowledging errors any more */
};

struct smmuv3_state {
	uint64_t eventq_base;
	unsigned int eventq_lg2;
	uint32_t irq_ctrl;
	bool raised;		/* the last fault made an interrupt */
	uint64_t next_event;	/* of events.bin */
	uint32_t recorded_prod; /* of the event queue */
};

struct vtd_state {
	bool scalable;
	bool untold; /* structures that came into memory */
	/* of the last access that faulted in the recording */
	bool refused;	 /* here too */
	bool pending;	 /* there were faults already */
	uint32_t reason; /* here */
	uint64_t irqs;	 /* before */
};

/* Lines, ascending, at which a guest's mistake was mended (mend.c) */
struct mends {
	uint64_t *lines;
	size_t nr;
};

struct run {
	const struct replay_options *options;
	const struct trace *trace;
	const struct replay_arch *arch;
	struct world *world;
	struct report *report;
	struct mutation_set *altered; /* NULL */
	struct mends *mends;	      /* NULL */
	char *held; /* what the checker said of an access that may be mended */
	bool holding; /* it is not to be told yet */
	unsigned int group;
	struct cmdq cmdq;
	union {
		struct smmuv3_state smmuv3;
		struct vtd_state vtd;
	};
	size_t next_snapshot;
	bool new_words; /* came into memory, and nothing was said of them */
	uint64_t quarantines; /* of the host's that have been heeded */
	bool may_be_gone;     /* a device, by an injected fault */
	uint64_t line;
	bool progress;
	struct trace_error err;
};

uint64_t replay_clock_ns(void);
int run_fail(struct run *run, int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The world said why */
int run_fail_world(struct run *run, int rc);

/* What a device asks for; flags: NESTFD_DMA_*, NESTFD_TRANSLATE_QUIET */
struct access {
	uint32_t stream;
	uint32_t pasid; /* NESTFD_NO_PASID */
	uint64_t iova;
	uint32_t flags;
};

/* One access, for explanations; dev NULL: none is wanted */
struct culprit {
	struct nestfd_device *dev;
	uint32_t stream;
	uint32_t pasid;
	uint64_t iova;
	uint32_t flags;
	bool ats; /* the device has its translations from its own cache */
};

void run_wrong(struct run *run, enum wrong_kind kind,
	       const struct culprit *culprit, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
uint64_t report_wrong(const struct report *report);
void report_free(struct report *report);

/* queue.c */
/* @tail_shift: of an index in the tail register */
void cmdq_set_up(struct run *run, uint64_t base, uint32_t entries,
		 unsigned int tail_shift);
int cmdq_place(struct run *run, uint64_t index);
/* The commands before it, or (announce) those that follow, are rung in. */
int cmdq_doorbell(struct run *run, uint32_t tail);
int cmdq_announce(struct run *run, uint32_t tail);
int cmdq_flush(struct run *run);
void cmdq_words(const struct run *run, uint64_t index,
		uint64_t words[COMMAND_WORDS]);
bool cmdq_is_wait(const struct run *run, const uint64_t *words);
/* One that is not the recording's, consumed at once */
int cmdq_insert(struct run *run, const uint64_t *words);

/* access.c */
int access_translate(struct run *run, const struct trace_translation *t);
int access_untranslated(struct run *run, uint32_t stream, uint64_t iova,
			bool write);
/* One address, with nothing left to do for it in the queue */
int access_look(struct run *run, const struct access *access, struct culprit *c,
		struct nestfd_translation *tr);
/* Data that devices find or leave, where the recording says */
void access_exercise(struct run *run, struct culprit *c, uint64_t pa,
		     unsigned int perm);
const char *access_result(enum nestfd_result result);

/*
 * An access that the recording saw refused, all of @c but its device; the
 * device's answer is in *@answer: -EIO.
 */
int access_refused(struct run *run, struct culprit *c, int *answer);

/* ats.c */
/* What an access of the device's is to go by, from now on */
bool ats_in_use(struct run *run, struct world_stream *stream);
/* Commands whose wait was in vain; nothing else is waiting */
int ats_send_again(struct run *run, uint64_t from, uint64_t end);
/* Before an access */
void ats_heed_quarantine(struct run *run);
/* An access came back with @rc: is it to be made again? */
bool ats_recover(struct run *run, struct culprit *c, int rc);
bool ats_recover_look(struct run *run, struct world_stream *stream,
		      const struct nestfd_translation *tr);

/* mend.c */
struct mend {
	struct access access;
	bool (*right)(struct run *run, const void *expected,
		      const struct nestfd_translation *tr);
	const void *expected;
	bool refusal; /* refused for another reason is not to be mended */
};

/*
 * The answer to an access, in *@tr; only for an architecture that can forget.
 * @mend->access.flags has NESTFD_TRANSLATE_QUIET.
 */
int mend(struct run *run, const struct mend *mend, struct culprit *c,
	 struct nestfd_translation *tr);

/* snapshot.c */
int snapshot_check(struct run *run, size_t snapshot);

/* follow.c */
int run_follow(struct run *run);
void run_expect_register(struct run *run, uint32_t offset, unsigned int bytes,
			 uint64_t mask, uint64_t expected);

/* smmuv3_fault.c: after an F line */
int smmuv3_fault(struct run *run);
extern const struct mutation_ops smmuv3_mutations;

/* text.c, json.c */
void report_text(const struct replay_options *options,
		 const struct trace *trace, const struct report *report);
void mutation_text(const struct replay_options *options,
		   const struct trace *trace, const struct mutation_set *set);
json_t *report_json(const struct replay_options *options,
		    const struct trace *trace, const struct report *report);
json_t *mutation_json(const struct replay_options *options,
		      const struct mutation_set *set);
void opcode_name(const struct replay_arch *arch, unsigned int opcode,
		 char *text, size_t size);

#endif
