// SPDX-License-Identifier: MIT
/*
 * What timeouts cost the guest whose device does not answer: a span of 4096
 * entries, sent until all of them have been executed (behind a failure the VMM
 * goes on with the next entry, as libviommu does). One of them is not answered,
 * or none. Batches and timeouts are the host driver's own counts; what the span
 * costs without the failure is taken off.
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
#define BUDGET	     4u /* timeouts that a device may cause: docs/security.md */
#define PLACES	     9

static struct nestfd_machine *machine;
static struct silent guest;
static void *span;

/* Who is asked by a span */
static const struct shape {
	const char *what;
	enum silent_asks others[2]; /* in turn */
	bool all;		    /* every entry asks the silent device */
	bool once;		    /* which misses one, and else answers */
} shapes[] = {
	{ "one asks it, the others none",
	  { SILENT_NONE, SILENT_NONE },
	  false,
	  false },
	{ "one asks it, the others another",
	  { SILENT_OTHER, SILENT_OTHER },
	  false,
	  false },
	{ "one asks it, the others in turn",
	  { SILENT_NONE, SILENT_OTHER },
	  false,
	  false },
	{ "all ask it, it misses one", { SILENT_IT, SILENT_IT }, true, true },
	{ "all ask it, it never answers",
	  { SILENT_IT, SILENT_IT },
	  true,
	  false },
};

static void make_span(const struct shape *shape, uint32_t at)
{
	for (uint32_t i = 0; i < SPAN; i++)
		silent_entry(&guest, span, i,
			     i == at ? SILENT_IT : shape->others[i & 1]);
}

struct cost {
	uint64_t batches;
	uint64_t timeouts;
	uint64_t ioctls;
	uint64_t ns;
	uint64_t at_once; /* the most timeouts of one ioctl */
	uint64_t late;	  /* answers: a machine that is busy has some */
};

static struct nestfd_driver_stats counters(void)
{
	struct nestfd_driver_stats stats = { .size = sizeof(stats) };

	nestfd_driver_stats(machine, &stats);
	return stats;
}

/* One ioctl, @began before it */
static void note(struct cost *cost, const struct nestfd_driver_stats *began)
{
	uint64_t waited = counters().timeouts - began->timeouts;

	cost->ioctls++;
	if (waited > cost->at_once)
		cost->at_once = waited;
}

/* Until all of it has been executed but what fails */
static void send_all(struct cost *cost)
{
	struct nestfd_driver_stats was = counters();
	struct nestfd_driver_stats is;
	uint64_t start = bench_now();
	uint32_t at = 0;
	uint32_t done;
	int rc;

	*cost = (struct cost){ 0 };
	while (at < SPAN) {
		is = counters();
		rc = silent_invalidate(&guest, span, at, SPAN - at, &done);
		note(cost, &is);
		if (rc && rc != -ETIMEDOUT) {
			fprintf(stderr, "invalidate: %d\n", rc);
			exit(1);
		}
		at += done + !!rc;
	}
	cost->ns = bench_now() - start;
	is = counters();
	cost->batches = is.batches - was.batches;
	cost->timeouts = is.timeouts - was.timeouts;
	cost->late = is.late - was.late;
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

/*
 * Of each run, not only of the worst. A device that never answers costs what
 * its budget is, no more and no less, however many ioctls ask it.
 */
static bool is_bounded(const struct shape *shape, const struct cost *cost)
{
	if (cost->at_once > AIM_TIMEOUTS)
		return false;
	if (!shape->all || shape->once)
		return cost->timeouts <= AIM_TIMEOUTS;
	return cost->timeouts <= BUDGET &&
	       cost->timeouts + cost->late >= BUDGET;
}

/* The worst of PLACES places; true if the aim is reached */
static bool measure(const struct shape *shape)
{
	struct cost good, bad, all_good = { 0 }, all_bad = { 0 };
	bool bounded = true;
	uint64_t more = 0;

	for (uint32_t i = 0; i < PLACES; i++) {
		make_span(shape, (SPAN - 1) * i / (PLACES - 1));
		silent_again(&guest);
		send_all(&good);
		silent_mute(&guest, TIMEOUT_US, shape->once ? i + 1 : 0);
		send_all(&bad);
		silent_mend(&guest);
		if (bad.timeouts == 0 && !shape->once) {
			fprintf(stderr, "%s: no timeout\n", shape->what);
			exit(1);
		}
		bounded &= is_bounded(shape, &bad);
		if (bad.batches > good.batches + more)
			more = bad.batches - good.batches;
		worst(&all_good, &good);
		worst(&all_bad, &bad);
	}
	printf("  %-34s %8" PRIu64 " %8" PRIu64 " %6" PRIu64 " %9" PRIu64
	       " %7" PRIu64 " %9.2f %9.2f\n",
	       shape->what, all_good.batches, all_bad.batches, more,
	       all_bad.timeouts, all_bad.ioctls, (double)all_good.ns / 1e6,
	       (double)all_bad.ns / 1e6);
	fflush(stdout);
	return bounded && more < AIM_BATCHES && all_bad.timeouts > 0;
}

static bool missed;

static void measure_arch(const struct path_arch *arch)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = arch->arch,
		.atc_window_ms = NESTFD_NO_WINDOW, /* nothing waits */
	};
	bool reached = true;

	span = calloc(SPAN, arch->entry_len);
	if (!span || nestfd_machine_create(&config, &machine))
		exit(1);
	silent_start(&guest, arch, machine, 0x20);
	printf("\n%s: a device does not answer, for %u us; %u entries, worst of"
	       " %u places\naim: under %u batches more, at most %u timeouts"
	       " of an ioctl, and of all;\n%u of all if it never answers,"
	       " however often it is asked\n  %-34s %8s %8s %6s %9s %7s %9s %9s\n",
	       arch->name, TIMEOUT_US, SPAN, PLACES, AIM_BATCHES, AIM_TIMEOUTS,
	       BUDGET, "", "batches", "with it", "more", "timeouts", "ioctls",
	       "ms", "with it");
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (shapes[i].all || arch->silent->chooses)
			reached &= measure(&shapes[i]);
	}
	printf("  the aim is %s\n", reached ? "reached" : "MISSED");
	missed |= !reached;
	silent_stop(&guest);
	nestfd_machine_destroy(machine);
	free(span);
}

int main(int argc, char **argv)
{
	path_each(argc, argv, measure_arch);
	return missed;
}
