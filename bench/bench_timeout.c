// SPDX-License-Identifier: MIT
/*
 * What one ATC timeout costs the guest whose device does not answer: a span of
 * 4096 commands of which one is an ATC_INV without an answer, sent until all of
 * them have been executed (behind a failure the VMM goes on with the next
 * command, as libviommu does). Batches and timeouts are the host driver's own
 * counts; what the span costs without the failure is taken off.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "silent.h"

#define SPAN	     4096u
#define TIMEOUT_US   1000u
#define AIM_BATCHES  24u /* 2 log2 4096 */
#define AIM_TIMEOUTS 2u
#define PLACES	     9

static struct nestfd_machine *machine;
static struct silent guest;
static uint64_t span[SPAN][2];

enum others {
	TLBIS,
	ATC_INVS,
	IN_TURN,
	KINDS,
};

static const char *const names[KINDS] = {
	"among TLBIs",
	"among ATC_INVs of another device",
	"among both in turn",
};

static void make_span(enum others others, uint32_t at, uint64_t vsid)
{
	for (uint32_t i = 0; i < SPAN; i++) {
		bool atc = others == ATC_INVS || (others == IN_TURN && i & 1);

		span[i][0] = atc ? (uint64_t)SILENT_GOOD << 32 | 0x40
				 : 0x0005000000000012;
		span[i][1] = (uint64_t)i << 12 | !atc;
	}
	span[at][0] = vsid << 32 | 0x40;
	span[at][1] = (uint64_t)at << 12;
}

struct cost {
	uint64_t batches;
	uint64_t timeouts;
	uint64_t ioctls;
	uint64_t ns;
};

/* Until all of it has been executed but what fails */
static void send_all(struct cost *cost)
{
	struct nestfd_driver_stats was = { .size = sizeof(was) };
	struct nestfd_driver_stats is = { .size = sizeof(is) };
	uint64_t start = bench_now();
	uint32_t at = 0;
	uint32_t done;
	int rc;

	*cost = (struct cost){ 0 };
	nestfd_driver_stats(machine, &was);
	while (at < SPAN) {
		rc = silent_invalidate(&guest, span + at, SPAN - at, &done);
		cost->ioctls++;
		if (rc && rc != -ETIMEDOUT) {
			fprintf(stderr, "invalidate: %d\n", rc);
			exit(1);
		}
		at += done + !!rc;
	}
	cost->ns = bench_now() - start;
	nestfd_driver_stats(machine, &is);
	cost->batches = is.batches - was.batches;
	cost->timeouts = is.timeouts - was.timeouts;
}

static void worst(struct cost *of, const struct cost *cost)
{
	if (cost->batches > of->batches)
		of->batches = cost->batches;
	if (cost->timeouts > of->timeouts)
		of->timeouts = cost->timeouts;
	if (cost->ioctls > of->ioctls)
		of->ioctls = cost->ioctls;
	if (cost->ns > of->ns)
		of->ns = cost->ns;
}

/* The worst of PLACES places; true if the aim is reached */
static bool measure(enum others others)
{
	struct cost good, bad, all_good = { 0 }, all_bad = { 0 };
	uint64_t more = 0;

	for (uint32_t i = 0; i < PLACES; i++) {
		uint32_t at = (SPAN - 1) * i / (PLACES - 1);

		make_span(others, at, SILENT_BAD);
		silent_again(&guest);
		send_all(&good);
		silent_mute(&guest, TIMEOUT_US);
		send_all(&bad);
		silent_mend(&guest);
		if (bad.timeouts == 0) {
			fprintf(stderr, "no timeout at %u\n", at);
			exit(1);
		}
		if (bad.batches - good.batches > more)
			more = bad.batches - good.batches;
		worst(&all_good, &good);
		worst(&all_bad, &bad);
	}
	printf("  %-34s %8" PRIu64 " %8" PRIu64 " %6" PRIu64 " %9" PRIu64
	       " %7" PRIu64 " %9.2f %9.2f\n",
	       names[others], all_good.batches, all_bad.batches, more,
	       all_bad.timeouts, all_bad.ioctls, (double)all_good.ns / 1e6,
	       (double)all_bad.ns / 1e6);
	fflush(stdout);
	return more < AIM_BATCHES && all_bad.timeouts <= AIM_TIMEOUTS;
}

int main(void)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_SMMUV3,
	};
	bool reached = true;

	if (nestfd_machine_create(&config, &machine))
		return 1;
	silent_start(&guest, machine, 0x20);
	printf("\none ATC_INV of %u commands is not answered, for %u us; worst of"
	       " %u places\naim: under %u batches more, at most %u timeouts\n"
	       "  %-34s %8s %8s %6s %9s %7s %9s %9s\n",
	       SPAN, TIMEOUT_US, PLACES, AIM_BATCHES, AIM_TIMEOUTS, "",
	       "batches", "with it", "more", "timeouts", "ioctls", "ms",
	       "with it");
	for (int others = 0; others < KINDS; others++)
		reached &= measure((enum others)others);
	printf("  the aim is %s\n", reached ? "reached" : "MISSED");
	silent_stop(&guest);
	nestfd_machine_destroy(machine);
	return !reached;
}
