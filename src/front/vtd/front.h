/* SPDX-License-Identifier: MIT */
/*
 * What software sees of a VT-d remapping unit: registers, invalidation queue,
 * fault recording, page request queue. Intel Virtualization Technology for
 * Directed I/O, Architecture Specification, revision 5.10: sections 6.5
 * (invalidation), 7.2-7.6 (faults and page requests), 11.4 (registers).
 *
 * Behind a front stands either an engine that executes (model/) or one that
 * forwards (viommu/): the *sink*. The front copies new descriptors once out
 * of memory, hands them over as one span, and moves IQH, FSTS and IQERCD by
 * what the sink answers. The sink calls vtd_decode() on each; what that
 * refuses is the Invalidation Queue Error to answer.
 *
 * Who calls what. Software's side: vtd_front_read() and _write(), any thread.
 * The front calls the operations below; those marked *consumer* in the thread
 * that wrote IQT, GCMD or FSTS, one thread at a time. The sink calls
 * vtd_front_wait() inside consume(), and the rest from any thread, inside its
 * operations too. No lock is held across an operation.
 */
#ifndef FRONT_VTD_FRONT_H
#define FRONT_VTD_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hwdef/vtd_fault.h"
#include "hwdef/vtd_qi.h"

struct vtd_front;
struct vtd_desc; /* front/vtd/decode.h */

/* The message-signaled events: FECTL, IECTL, PECTL */
enum vtd_irq {
	VTD_IRQ_FAULT,
	VTD_IRQ_INVALIDATION,
	VTD_IRQ_PAGE_REQUEST,
};

/*
 * What a register write has just changed. vtd_front_regs() has the new values;
 * GSTS tells software when the call has returned.
 */
enum vtd_change {
	VTD_CHANGE_TE,	 /* GCMD.TE toggled */
	VTD_CHANGE_ROOT, /* SRTP: root table or its mode, even if unchanged */
	VTD_CHANGE_IRE,	 /* GCMD.IRE or CFI toggled */
	VTD_CHANGE_IRTA, /* SIRTP */
	/* FSTS.ITE cleared, before the queue goes on */
	VTD_CHANGE_ITE,
	/* PQH written or PRS.PRO cleared: there may be room again */
	VTD_CHANGE_PRQ,
};

enum vtd_stop {
	VTD_STOP_NONE,
	/* span[done] is at fault, @info is IQERCD.IQEI: VTD_IQEI_* */
	VTD_STOP_IQE,
	/*
	 * A device did not answer, @info is its source-id. span[done] is the
	 * oldest wait that this aborts; it and all behind it are fetched again
	 * when software has cleared ITE. Without such a wait: @done is all.
	 */
	VTD_STOP_ITE,
};

/* @done descriptors of the span took effect */
struct vtd_consumed {
	uint32_t done;
	uint16_t stop; /* enum vtd_stop */
	uint16_t info;
};

struct vtd_front_ops {
	/* Memory this unit reads and writes: -EFAULT is an aborted access. */
	int (*read)(void *ctx, uint64_t addr, void *buf, size_t len);
	int (*write)(void *ctx, uint64_t addr, const void *buf, size_t len);

	/*
	 * The sink; consumer. @descs are in CPU order, @n >= 1. A 128-bit
	 * descriptor comes with doublewords 2 and 3 zero. With stop NONE and
	 * done < n the front hands over the rest again at the next kick (see
	 * vtd_front_kick()), or at once if done > 0.
	 */
	struct vtd_consumed (*consume)(void *ctx, const uint64_t (*descs)[4],
				       uint32_t n);
	/*
	 * Register-based invalidation (CCMD, IOTLB): @desc is of type
	 * VTD_QI_CONTEXT or VTD_QI_IOTLB. Returns the granularity that was
	 * done, VTD_GRAN_*, for CAIG or IAIG; 0 for an error. Complete when it
	 * returns. NULL: every such request is an error (11.4.6.1).
	 */
	unsigned int (*invalidate)(void *ctx, const struct vtd_desc *desc);
	/* May be NULL. */
	void (*changed)(void *ctx, enum vtd_change what);
	/*
	 * An interrupt message: @data to @addr. NULL: the front does it as a
	 * 4-byte write().
	 */
	void (*irq)(void *ctx, enum vtd_irq irq, uint64_t addr, uint32_t data);
};

/* Values of the identification registers: what front and decoder obey */
struct vtd_id {
	uint32_t ver;
	uint64_t cap;
	uint64_t ecap;
	uint8_t haw; /* host address width in bits, 32 to 64 */
};

struct vtd_front_config {
	struct vtd_id id;
	uint32_t max_span; /* descriptors per consume(); 0: all pending */
};

/*
 * 0, -ENOMEM, -EINVAL: the id values contradict each other, put registers over
 * others, or offer what this front has not got (protected memory, performance
 * monitoring, enhanced and virtual commands, MTRRs, HPT, TDX, RDT, posted
 * interrupts).
 */
int vtd_front_create(const struct vtd_front_config *config,
		     const struct vtd_front_ops *ops, void *ctx,
		     struct vtd_front **front);
/* Nobody may be inside any more. NULL is fine. */
void vtd_front_destroy(struct vtd_front *front);

/*
 * Register access; @size 4 or 8, naturally aligned. What the architecture does
 * not define reads 0 and writes nothing. 8 bytes reach two 4-byte registers,
 * the lower one first; 4 bytes reach half of an 8-byte one (11.2).
 */
uint64_t vtd_front_read(struct vtd_front *front, uint32_t offset,
			unsigned int size);
void vtd_front_write(struct vtd_front *front, uint32_t offset,
		     unsigned int size, uint64_t value);
/* Bytes of register space: 4 KiB, or more if IRO or FRO lie beyond */
uint32_t vtd_front_size(const struct vtd_front *front);

/*
 * vtd_decode() with the unit's id values and its present translation table
 * mode: 0 or the VTD_IQEI_* to stop with. Inside consume() the mode does not
 * change unless software breaks 6.5.2's rules.
 */
unsigned int vtd_front_decode(struct vtd_front *front, const uint64_t dw[4],
			      struct vtd_desc *desc);

/*
 * Called by the sink inside consume(): descriptors [0, done) of the span are
 * complete and the last of them is the wait @desc. Publishes IQH to there,
 * writes the status (one that cannot be written is lost, 6.5.2.9), then raises
 * the invalidation completion event, as SW and IF ask.
 */
void vtd_front_wait(struct vtd_front *front, const struct vtd_desc *desc,
		    uint32_t done);

/*
 * An invalid answer to a device-TLB invalidation: FSTS.ICE and ICESID. The
 * queue goes on (6.5.2.11). Any thread.
 */
void vtd_front_ice(struct vtd_front *front, uint16_t sid);

/* The sink can take descriptors again that it left without a stop. */
void vtd_front_kick(struct vtd_front *front);

enum vtd_request {
	VTD_REQUEST_WRITE,
	VTD_REQUEST_PAGE,
	VTD_REQUEST_READ,
	VTD_REQUEST_ATOMIC,
};

/* A fault recording register to be, 11.4.7.6 */
struct vtd_fault {
	uint8_t reason;	 /* VTD_FR_* */
	uint8_t request; /* enum vtd_request */
	uint8_t at;	 /* address type: 0 untranslated, 1 translation, 2 */
	bool pasid_valid;
	bool exe;
	bool priv;
	uint16_t sid;
	uint32_t pasid;
	uint64_t info; /* FI: the address, or interrupt index in 63:48 */
};

/*
 * Records @fault and raises the fault event, 7.2.1 and 7.3: false if it was
 * lost to an overflow, or merged with a pending one of the same source-id.
 * The caller has looked at FPD. Any thread.
 */
bool vtd_front_fault(struct vtd_front *front, const struct vtd_fault *fault);

/*
 * Appends @rec (CPU order, VTD_PRQ_*) to the page request queue and raises the
 * event, 7.4 and 7.5: false if the queue was full or in overflow, whereupon
 * the caller answers a request with LPIG set with Success (table 31). Any
 * thread.
 */
bool vtd_front_page_request(struct vtd_front *front, const uint64_t rec[4]);
/* Room in the page request queue, so that a request can wait elsewhere */
bool vtd_front_page_request_room(struct vtd_front *front);

/* What decides how a transaction is treated: one atomic picture */
struct vtd_regs {
	uint64_t rtaddr;  /* as SRTP took it; address bits below HAW */
	uint64_t irta;	  /* as SIRTP took it */
	uint32_t enabled; /* VTD_GCMD_TE, IRE, CFI, QIE */
};

/* Takes no lock (a sequence count); any thread. */
void vtd_front_regs(struct vtd_front *front, struct vtd_regs *regs);

const struct vtd_id *vtd_front_id(const struct vtd_front *front);

#endif
