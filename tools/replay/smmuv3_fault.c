// SPDX-License-Identifier: MIT
/*
 * Faults: the access that made a recorded event is done again, and the record
 * it leaves in the guest's event queue compared field by field. Arm IHI 0070
 * 7.3 has the records; where QEMU is known to write something else, the
 * difference is counted by name.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "replay.h"
#include "smmuv3.h"
#include "trace/smmuv3.h"

#define EVENT_BYTES 32
#define EVENT_WORDS 4
#define EVENT_SID   32 /* word 0 */
#define EVENT_RNW   35 /* word 1 */
#define EVENT_S2    (1ull << 39)
#define EVENT_CLASS (3ull << 40)
#define CLASS_TT    (1ull << 40)
#define PAGE_OFFSET 0xfffull
#define QUEUE_INDEX 0xfffffu
#define LINE_EVENTQ 0

enum {
	F_WALK_EABT = 0x0b,
	F_TRANSLATION = 0x10,
	F_ADDR_SIZE = 0x11,
	F_ACCESS = 0x12,
	F_PERMISSION = 0x13,
};

static unsigned int type_of(const uint64_t w[EVENT_WORDS])
{
	return w[0] & 0xff;
}

static bool differ(const uint64_t a[EVENT_WORDS], const uint64_t b[EVENT_WORDS])
{
	return memcmp(a, b, EVENT_WORDS * sizeof(*a));
}

/*
 * Undo in @want what QEMU is known to do otherwise than @got; each is tried on
 * its own, so that nothing else can hide behind it.
 */
static bool deviates(const uint64_t want[EVENT_WORDS],
		     const uint64_t got[EVENT_WORDS], enum deviation how)
{
	uint64_t w[EVENT_WORDS];

	memcpy(w, want, sizeof(w));
	switch (how) {
	case DEV_IPA_OFFSET:
		if (w[1] & EVENT_S2)
			w[3] &= ~PAGE_OFFSET;
		break;
	case DEV_S2_CLEAR:
		if ((got[1] & EVENT_CLASS) == CLASS_TT && !(w[1] & EVENT_S2)) {
			w[1] |= EVENT_S2;
			w[3] = got[3]; /* then there is an IPA as well */
		}
		break;
	case DEV_WALK_EABT:
		if (type_of(w) == F_WALK_EABT && type_of(got) == F_ADDR_SIZE) {
			w[0] = (w[0] & ~0xffull) | F_ADDR_SIZE;
			w[3] = got[3]; /* a fetch address here, IPA there */
		}
		break;
	case DEV_ADDR_SIZE:
		if ((type_of(w) == F_ACCESS || type_of(w) == F_PERMISSION) &&
		    type_of(got) == F_ADDR_SIZE)
			w[0] = (w[0] & ~0xffull) | F_ADDR_SIZE;
		break;
	default:
		return false;
	}
	return !differ(w, got);
}

static void compare(struct run *run, const struct culprit *c,
		    const uint64_t want[EVENT_WORDS],
		    const uint64_t got[EVENT_WORDS])
{
	char expected[512];
	char seen[512];

	if (!differ(want, got))
		return;
	for (int how = 0; how < DEV_COUNT; how++) {
		if (deviates(want, got, how)) {
			run->report->deviations[how]++;
			return;
		}
	}
	smmuv3_text_event(want, expected, sizeof(expected));
	smmuv3_text_event(got, seen, sizeof(seen));
	run_wrong(run, WRONG_FAULT, c, "expected %s; got %s", expected, seen);
}

static uint32_t eventq_prod(struct run *run)
{
	return world_read32(run->world, REG_EVENTQ_PROD);
}

static bool record_at(struct run *run, uint32_t prod, uint64_t got[EVENT_WORDS])
{
	uint32_t slot = prod & ((1u << run->smmuv3.eventq_lg2) - 1);
	const void *from = world_memory(run->world,
					run->smmuv3.eventq_base +
						(uint64_t)slot * EVENT_BYTES,
					EVENT_BYTES);

	if (from)
		memcpy(got, from, EVENT_BYTES);
	return from;
}

/* The architecture interrupts when the queue becomes non-empty (7.4). */
static void check_interrupt(struct run *run, const struct culprit *c,
			    bool was_empty, uint64_t before)
{
	uint64_t made = run->world->irqs[LINE_EVENTQ] - before;
	uint64_t due = was_empty && run->smmuv3.irq_ctrl & IRQ_CTRL_EVENTQ;

	run->smmuv3.raised = made;
	if (made != due)
		run_wrong(run, WRONG_INTERRUPT, c,
			  "the event queue interrupted %" PRIu64
			  " times instead of %" PRIu64,
			  made, due);
}

static bool next_record(struct run *run, uint64_t want[EVENT_WORDS])
{
	const struct trace *trace = run->trace;

	if (trace->event_bytes != EVENT_BYTES ||
	    run->smmuv3.next_event >= trace->nr_events)
		return false;
	for (unsigned int i = 0; i < EVENT_WORDS; i++)
		want[i] = trace_event_word(trace, run->smmuv3.next_event, i);
	run->smmuv3.next_event++;
	run->smmuv3.recorded_prod++;
	return true;
}

/* What came into the guest's queue after @before, its PROD until then */
static void check_record(struct run *run, const struct culprit *c, int rc,
			 uint32_t before, const uint64_t want[EVENT_WORDS])
{
	uint32_t wrap = (2u << run->smmuv3.eventq_lg2) - 1;
	uint32_t arrived = (eventq_prod(run) - before) & wrap;
	uint64_t got[EVENT_WORDS];

	if (rc != -EIO)
		run_wrong(run, WRONG_FAULT, c,
			  "expected event %#x; the access %s", type_of(want),
			  rc ? strerror(-rc) : "succeeded");
	else if (arrived != 1)
		run_wrong(run, WRONG_FAULT, c,
			  "expected event %#x; %u events arrived",
			  type_of(want), arrived);
	else if (!record_at(run, before, got))
		run_wrong(run, WRONG_FAULT, c,
			  "the event queue is not in memory");
	else
		compare(run, c, want, got);
}

int smmuv3_fault(struct run *run)
{
	struct culprit c = { .pasid = NESTFD_NO_PASID };
	struct world_stream *stream;
	uint64_t want[EVENT_WORDS];
	uint64_t irqs;
	uint32_t prod;
	bool empty;
	int answer;
	int rc;

	rc = cmdq_flush(run);
	if (rc)
		return rc;
	if (!next_record(run, want))
		return run_fail(run, -EBADMSG, "events.bin lacks this event");
	c.stream = (uint32_t)(want[0] >> EVENT_SID);
	c.iova = want[2];
	c.flags = want[1] >> EVENT_RNW & 1 ? 0 : NESTFD_DMA_WRITE;
	rc = world_stream(run->world, c.stream, &stream);
	if (rc)
		return run_fail_world(run, rc);
	c.dev = stream->dev;
	/* what wrong accesses left behind is not this one's */
	if (run->world->ops->pump(run->world))
		return run_fail_world(run, -EIO);
	prod = eventq_prod(run);
	empty = !((prod ^ world_read32(run->world, REG_EVENTQ_CONS)) &
		  QUEUE_INDEX);
	irqs = run->world->irqs[LINE_EVENTQ];
	rc = access_refused(run, &c, &answer);
	if (rc)
		return rc;
	check_record(run, &c, answer, prod, want);
	if (!run->altered)
		check_interrupt(run, &c, empty, irqs);
	return 0;
}
