/* SPDX-License-Identifier: MIT */
/*
 * The bare hardware model of a machine (nestfd.h): its registers, memory at
 * chosen physical addresses, single translations, explanations, counters. For
 * driver authors, and for comparing with other implementations.
 *
 * Software here is the caller: it drives the IOMMU's registers and tables
 * itself. On a machine that was opened (nestfd_open()) the host's driver owns
 * the registers; they may then be read, and writing them is asking for trouble.
 */
#ifndef NESTFD_MODEL_H
#define NESTFD_MODEL_H

#include "nestfd.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * nestfd_memory_add() - physical memory of the machine
 * @pa: physical address, a multiple of 4096
 * @host: the caller's memory behind it, which must live as long as the machine
 * @length: bytes, a multiple of 4096
 *
 * Return: 0, -EINVAL (beyond the IOMMU's output addresses as well), -EEXIST
 * when it overlaps other memory or the MSI doorbell, -ENOMEM.
 */
int nestfd_memory_add(struct nestfd_machine *machine, uint64_t pa, void *host,
		      uint64_t length);

/**
 * nestfd_iommu_read() - a register; @bytes is 4 or 8, naturally aligned
 *
 * Anything else, and what is no register, reads as 0 and ignores writes.
 */
uint64_t nestfd_iommu_read(struct nestfd_machine *machine, uint32_t offset,
			   unsigned int bytes);

/**
 * nestfd_iommu_write() - a register
 *
 * Writing a queue's tail runs the commands before it returns.
 */
void nestfd_iommu_write(struct nestfd_machine *machine, uint32_t offset,
			unsigned int bytes, uint64_t value);

/**
 * nestfd_iommu_irq() - who is told of the IOMMU's wired interrupts
 * @irq: called with the line: SMMUv3: 0 event queue, 1 PRI queue, 2 command
 *	sync, 3 global error; VT-d: 0 fault, 1 invalidation completion, 2 page
 *	request, after their message was written. NULL for nobody. It is called
 *	by the thread that the hardware is in and must not call back into the
 *	machine.
 *
 * Return: 0, -EBUSY on an opened machine: the driver has the lines.
 */
int nestfd_iommu_irq(struct nestfd_machine *machine,
		     void (*irq)(void *ctx, unsigned int line), void *ctx);

/** struct nestfd_translation.result */
enum nestfd_result {
	NESTFD_TRANSLATED,
	NESTFD_BYPASSED, /* not translated: the IOMMU or the stream is off */
	NESTFD_ABORTED,
	NESTFD_STALLED,
};

/**
 * struct nestfd_translation - how one address is translated
 * @size: sizeof(struct nestfd_translation)
 * @result: what happens to the access
 * @event: the event recorded (SMMUv3: event number, VT-d: fault reason), 0 for
 *	none
 * @hit: from the cache
 * @stale: the checker found that memory disagrees
 * @readable: what the translation allows
 * @pa: output address, if @result is TRANSLATED or BYPASSED
 * @page_lg2: log2 of the size of the page it belongs to
 */
struct nestfd_translation {
	size_t size;
	enum nestfd_result result;
	uint32_t event;
	bool hit;
	bool stale;
	bool readable;
	bool writable;
	bool executable;
	uint64_t pa;
	uint32_t page_lg2;
};

/* look only: no event, nothing cached */
#define NESTFD_TRANSLATE_QUIET 0x100u

/**
 * nestfd_translate() - translate one address without moving data
 * @pasid: or NESTFD_NO_PASID
 * @flags: NESTFD_DMA_WRITE, _PRIV, _EXEC; NESTFD_TRANSLATE_QUIET
 *
 * Return: 0 with @out filled, whatever the result; -EINVAL.
 */
int nestfd_translate(struct nestfd_device *dev, uint64_t iova, uint32_t pasid,
		     uint32_t flags, struct nestfd_translation *out);

/**
 * nestfd_explain() - a fresh walk told in words
 * @text: filled with at most @length bytes, always terminated
 */
void nestfd_explain(struct nestfd_device *dev, uint64_t iova, uint32_t pasid,
		    uint32_t flags, char *text, size_t length);

/**
 * struct nestfd_iommu_stats - counters since the machine was made
 * @size: in, sizeof(struct nestfd_iommu_stats); out, bytes filled in
 * @hits: accesses served from the cache
 * @misses: accesses for which tables were walked
 * @stale: stale translations found, under NESTFD_CACHE_HOSTILE
 * @events: events recorded
 * @events_lost: events for which the queue had no room
 * @commands: commands consumed
 * @syncs: of them, CMD_SYNCs
 */
struct nestfd_iommu_stats {
	size_t size;
	uint64_t hits;
	uint64_t misses;
	uint64_t stale;
	uint64_t events;
	uint64_t events_lost;
	uint64_t commands;
	uint64_t syncs;
};

void nestfd_iommu_stats(struct nestfd_machine *machine,
			struct nestfd_iommu_stats *stats);

/**
 * struct nestfd_cache_entry - one translation the model holds
 * @kind: 0 stage 1, 1 stage 1 and 2, 2 stage 2, 3 stage-1 table, 4 stage-2
 *	table
 * @vmid: VT-d: the domain id
 * @asid: VT-d: the PASID, 0 in legacy mode
 */
struct nestfd_cache_entry {
	size_t size;
	uint32_t kind;
	uint32_t vmid;
	uint32_t asid;
	bool global;
	uint8_t level;
	uint8_t size_lg2;
	uint8_t leaf_lg2;
	uint64_t iova;
	uint64_t leaf;
	uint64_t pa;
};

/** nestfd_iommu_entries() - every cached translation; nothing may run */
void nestfd_iommu_entries(struct nestfd_machine *machine,
			  void (*fn)(void *ctx,
				     const struct nestfd_cache_entry *entry),
			  void *ctx);

/** enum nestfd_fault_kind - what the hardware can be made to do wrong */
enum nestfd_fault_kind {
	NESTFD_FAULT_ILL,	  /* a command is called illegal */
	NESTFD_FAULT_ABT,	  /* the fetch of a command aborts */
	NESTFD_FAULT_ATC_TIMEOUT, /* an ATC never answers an invalidation */
	NESTFD_FAULT_ATC_LATE,	  /* it answers, but late */
	NESTFD_FAULT_GONE,	  /* a device is gone until its reset */
	NESTFD_FAULT_SLOW_SYNC,	  /* a sync takes long to complete */
	NESTFD_FAULT_ATC_BAD,	  /* an ATC's answer makes no sense; VT-d */
};

#define NESTFD_FAULT_ANY UINT32_MAX

/**
 * struct nestfd_fault - one rule of the error injector
 * @size: sizeof(struct nestfd_fault)
 * @kind: what goes wrong
 * @opcode: ILL: only commands of this opcode; NESTFD_FAULT_ANY: of any
 * @stream_id: ATC_TIMEOUT, ATC_LATE, ATC_BAD, GONE: the device,
 *	NESTFD_FAULT_ANY: any; ILL: only commands that name this StreamID, alone
 *	or in a range
 * @probability: of each opportunity, above 0 to 1; 0 means 1
 * @count: how often at most; 0: for ever
 * @seed: of the rule's own random numbers: the same seed and the same commands
 *	give the same faults
 * @delay_us: in microseconds. ATC_LATE, SLOW_SYNC: how late, 0 for the default
 *	(1000); ATC_TIMEOUT, GONE: how long hardware waits for an answer before
 *	it gives up, 0: not at all (real hardware: milliseconds to a minute)
 *
 * An opportunity is: ABT, each command fetched; ILL, each legal command that
 * @opcode and @stream_id do not rule out; SLOW_SYNC, each sync that would
 * succeed; the others, each invalidation sent to such a device's ATC. So a
 * device goes when it is next asked to invalidate: its DMA fails from then on,
 * and it answers nothing. At each opportunity the first rule that says yes
 * decides. Fields that @kind does not use are not looked at.
 *
 * SMMUv3: ILL and ABT stop the command queue in front of the command
 * (CERROR_ILL, CERROR_ABT); a command that is then fetched again is another
 * opportunity. ATC_TIMEOUT and GONE: nothing is invalidated, and the next
 * CMD_SYNC fails once (CERROR_ATC_INV_SYNC), @delay_us after the last of the
 * commands that were not answered; nobody's commands are executed meanwhile.
 * VT-d: ILL and ABT are Invalidation Queue Errors in front of the descriptor
 * (IQEI 3 and 2); ATC_TIMEOUT and GONE an Invalidation Time-out Error, which
 * aborts the next wait, as late; ATC_BAD an Invalidation Completion Error, and
 * nothing else. The mock has ILL, for invalidations, and SLOW_SYNC.
 */
struct nestfd_fault {
	size_t size;
	enum nestfd_fault_kind kind;
	uint32_t opcode;
	uint32_t stream_id;
	double probability;
	uint32_t count;
	uint64_t seed;
	uint32_t delay_us;
};

/**
 * nestfd_inject() - add a rule; rules are asked in the order they were added
 *
 * It holds for commands whose tail is written after the call.
 *
 * Return: 0, -EINVAL, -ENOMEM, -EOPNOTSUPP (not with this architecture:
 * ATC_BAD with all but VT-d).
 */
int nestfd_inject(struct nestfd_machine *machine,
		  const struct nestfd_fault *fault);

/**
 * nestfd_inject_clear() - no more faults; devices that are gone stay gone
 * until nestfd_device_reset()
 *
 * Return: how many faults were injected since the machine was made.
 */
uint64_t nestfd_inject_clear(struct nestfd_machine *machine);

/**
 * nestfd_inject_parse() - a rule in words
 * @text: KIND[:p=PROBABILITY][,n=COUNT][,dev=SID][,op=OPCODE][,us=DELAY]
 *	[,seed=N], KIND one of ill, abt, atc-timeout, atc-late, gone, slow-sync,
 *	atc-bad; numbers as in C. Each word at most once; op with ill, us with
 *	all but ill, abt and atc-bad, dev with all but abt and slow-sync; p
 *	above 0 and at most 1, n and us at least 1, op at most 0xff
 *
 * Return: 0 with *@fault filled, -EINVAL.
 */
int nestfd_inject_parse(const char *text, struct nestfd_fault *fault);

#ifdef __cplusplus
}
#endif
#endif
