/* SPDX-License-Identifier: MIT */
/*
 * What Arm IHI 0070 and nestfd/ext.h say becomes of a span of a guest's
 * commands: small, slow, by hand. It shares no header with what it judges.
 *
 * The world: two devices, vSIDs VSID_0 and the next one, each with an address
 * space (ASID 1 and 2) of PAGES pages, all of them in the SMMU's TLB and in the
 * device's ATC to begin with.
 */
#ifndef TESTS_ERRORS_MODEL_H
#define TESTS_ERRORS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define DEVICES 2
#define PAGES	16
#define VSID_0	0x10u
/* Page @n of device @d */
#define IOVA(d, n) (0x1000000ULL * ((d) + 1) + 0x1000ULL * (n))

/* What there may be of an entry */
enum cached { HELD, GONE, EITHER };

struct caches {
	enum cached tlb[DEVICES][PAGES];
	enum cached atc[DEVICES][PAGES];
	uint32_t sent;	/* commands that hardware has executed */
	uint32_t asked; /* of them: ATC_INVs of device 0, answered or not */
	bool gone;	/* device 0 is */
};

/* What is wrong with the hardware, throughout */
struct fault {
	enum {
		FAULT_NONE,
		FAULT_ILL,     /* commands of opcode @op are illegal */
		FAULT_ATC,     /* device 0 answers no ATC_INV */
		FAULT_ABT_FEW, /* the first fetches abort */
		FAULT_GONE,    /* as FAULT_ATC, and from then on it is gone */
		FAULT_LATE,    /* device 0 answers ATC_INVs late */
		FAULT_SLOW,    /* CMD_SYNCs take long */
		FAULT_ABT,     /* all fetches do */
		FAULT_HOLE,    /* those of some of a guest's commands do */
		FAULTS,
	} kind;
	uint8_t op;
	bool no_ats;   /* devices have no ATC */
	uint32_t hole; /* the first of a guest's commands not to be fetched */
	uint32_t hole_end;
};

/* What an ioctl answers; @info of a ring's ATC_INV is an entry's number */
struct answer {
	int rc;
	uint32_t done;
	uint32_t code;
	uint32_t info;
};

void model_array(const uint64_t (*cmds)[2], uint32_t n,
		 const struct fault *fault, struct caches *caches,
		 struct answer *answer);
void model_ring(const uint64_t (*cmds)[2], uint32_t n,
		const struct fault *fault, struct caches *caches,
		struct answer *answer);

/* A virtual SMMU's command queue between two stops */
struct queue {
	uint32_t cons;
	uint32_t err;	 /* CMDQ_CONS.ERR, 0: not stopped */
	bool atc_failed; /* the next CMD_SYNC is to say so */
};
/* From @queue->cons on, up to the next stop, or @n */
void model_guest(const uint64_t (*cmds)[2], uint32_t n,
		 const struct fault *fault, struct caches *caches,
		 struct queue *queue);

#endif
