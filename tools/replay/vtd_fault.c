// SPDX-License-Identifier: MIT
/*
 * Faults of VT-d: the access is done again and must be refused for the recorded
 * reason. Where it was recorded in a fault recording register, that one must
 * hold the same, and the fault event have been raised; while one is pending,
 * others of the same device are not recorded (7.2.1).
 */
#include <errno.h>
#include <inttypes.h>

#include "replay.h"
#include "trace/vtd.h"
#include "vtd.h"

#define FRCD_BYTES   16
#define FRCD_0_FI    0xfffffffffffff000ull
#define FRCD_1_F     (1ull << 63)
#define FRCD_1_FR    0xff00000000ull
#define FRCD_1_SHIFT 32

/* Table 30: what QEMU calls 5 and 6 in scalable mode as in legacy mode */
enum {
	LGN_2_WRITE = 0x05,
	LGN_3_READ = 0x06,
	SSS_2_NONE = 0x79,
	SGN_6_WRITE = 0x85,
	SGN_7_READ = 0x86,
};

static bool legacy_reason(const struct run *run, uint64_t recorded,
			  uint64_t reason)
{
	/* below a guest there is always scalable mode */
	if (!run->vtd.scalable && run->options->direct)
		return false;
	if (recorded == LGN_2_WRITE)
		return reason == SSS_2_NONE || reason == SGN_6_WRITE;
	return recorded == LGN_3_READ &&
	       (reason == SSS_2_NONE || reason == SGN_7_READ);
}

/* @expected: the recorded reason */
static bool as_recorded(struct run *run, const void *expected,
			const struct nestfd_translation *tr)
{
	uint64_t recorded = *(const uint64_t *)expected;

	return tr->result == NESTFD_ABORTED &&
	       (tr->event == recorded ||
		legacy_reason(run, recorded, tr->event));
}

/* Before the access: it would tread on memory if it went through. */
static int check_reason(struct run *run, const struct mend *m,
			struct culprit *c)
{
	uint64_t recorded = *(const uint64_t *)m->expected;
	struct nestfd_translation tr;
	int rc = mend(run, m, c, &tr);

	if (rc)
		return rc;
	run->vtd.refused = tr.result == NESTFD_ABORTED;
	run->vtd.reason = tr.event;
	if (!as_recorded(run, m->expected, &tr))
		run_wrong(run, WRONG_FAULT, c,
			  "expected fault reason %#" PRIx64
			  "; got %s, reason %#x",
			  recorded, access_result(tr.result), tr.event);
	else if (tr.event != recorded)
		run->report->deviations[DEV_LEGACY_REASON]++;
	return 0;
}

int vtd_fault(struct run *run, const struct trace_event *ev)
{
	struct mend m = {
		.access = { .stream = ev->fault.stream,
			    .pasid = ev->fault.has_pasid ? ev->fault.pasid
							 : NESTFD_NO_PASID,
			    .iova = ev->fault.addr,
			    .flags = (ev->fault.write ? NESTFD_DMA_WRITE : 0) |
				     NESTFD_TRANSLATE_QUIET },
		.right = as_recorded,
		.expected = &ev->fault.reason,
		.refusal = true,
	};
	struct culprit c;
	int answer;
	int rc = check_reason(run, &m, &c);

	if (rc)
		return rc;
	c.flags &= ~NESTFD_TRANSLATE_QUIET;
	run->vtd.pending = world_read32(run->world, VTD_FSTS) & VTD_FSTS_PPF;
	run->vtd.irqs = run->world->irqs[VTD_LINE_FAULT];
	rc = access_refused(run, &c, &answer);
	if (rc)
		return rc;
	if (run->vtd.refused && answer != -EIO)
		run_wrong(run, WRONG_FAULT, &c,
			  "a fault that %s when the access is made",
			  answer ? "is another error" : "is none");
	return 0;
}

/* The first pending fault raises the event (7.3). */
static void check_event(struct run *run)
{
	bool masked = world_read32(run->world, VTD_FECTL) & VTD_FECTL_IM;
	uint64_t made = run->world->irqs[VTD_LINE_FAULT] - run->vtd.irqs;
	uint64_t due = !run->vtd.pending && !masked;

	if (made != due)
		run_wrong(run, WRONG_INTERRUPT, NULL,
			  "the fault event was raised %" PRIu64
			  " times instead of %" PRIu64,
			  made, due);
}

int vtd_fault_record(struct run *run, const struct trace_event *ev)
{
	uint64_t cap = run->world->ops->read(run->world, 0x8, 8);
	uint32_t at =
		(uint32_t)(VTD_CAP_FRO(cap) + ev->entry.index * FRCD_BYTES);
	uint64_t want[2] = { ev->entry.lo & FRCD_0_FI,
			     ev->entry.hi | FRCD_1_F };
	uint64_t got[2];
	char expected[512];
	char seen[512];

	if (ev->entry.index >= VTD_CAP_NFR(cap))
		return run_fail(run, -EBADMSG,
				"there is no such fault recording register");
	if (!run->vtd.refused)
		return 0; /* has been told of */
	if (!run->options->direct)
		return 0; /* Linux has no events for a guest's VT-d unit */
	if (run->altered && run->vtd.pending)
		return 0; /* a fault that an alteration made came first */
	if (legacy_reason(run, ev->entry.hi >> FRCD_1_SHIFT & 0xff,
			  run->vtd.reason))
		want[1] = (want[1] & ~FRCD_1_FR) | (uint64_t)run->vtd.reason
							   << FRCD_1_SHIFT;
	for (uint32_t i = 0; i < 2; i++)
		got[i] = run->world->ops->read(run->world, at + i * 8, 8);
	if (got[0] != want[0] || got[1] != want[1]) {
		vtd_text_fault(want, expected, sizeof(expected));
		vtd_text_fault(got, seen, sizeof(seen));
		run_wrong(run, WRONG_FAULT, NULL, "expected %s; got %s",
			  expected, seen);
	}
	if (!run->altered)
		check_event(run);
	return 0;
}
