// SPDX-License-Identifier: MIT
/*
 * What a guest waits for because of another: the time of a TLBI and a CMD_SYNC,
 * from the doorbell of a virtual SMMU to CONS, while a neighbour does nothing,
 * invalidates, or has a device that answers no ATC_INV (each of which hardware
 * waits 1 ms for) until that is in quarantine, and then goes on asking. On the
 * neighbour's unit, and on another one. The rows take turns, so that what the
 * machine does besides meets all of them.
 *
 * A thread that runs costs every CMD_SYNC of the process a barrier, whatever
 * it does: so a neighbour in quarantine is to be compared with one that runs.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "guest.h"
#include "silent.h"

#define ROUNDS	   25
#define ROUND_NS   20000000u /* without timeouts: they are waited for */
#define TIMEOUT_US 1000u
#define SAMPLES	   (1u << 22) /* of a row, at most */
#define IOVA	   0x40000000ULL

/* What the neighbour does; SILENT ends by itself: then HELD */
enum doing {
	NOTHING,
	RUNNING, /* calls that ask nothing of the hardware */
	ANSWERED,
	SILENT,
	HELD,
};

struct row {
	const char *what;
	enum doing doing;
	bool same; /* unit */
	uint32_t *ns;
	uint32_t n;
	uint32_t slow; /* that waited for a timeout */
	uint64_t timeouts;
};

static struct row rows[] = {
	{ "no neighbour", NOTHING, false },
	{ "an idle one", NOTHING, true },
	{ "one that runs", RUNNING, true },
	{ "one whose device answers", ANSWERED, true },
	{ "its device never answers", SILENT, true },
	{ "the same, in quarantine", HELD, true },
	{ "one that runs, another unit", RUNNING, false },
	{ "one whose device answers, another unit", ANSWERED, false },
	{ "its device never answers, another unit", SILENT, false },
	{ "the same, in quarantine, another unit", HELD, false },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static struct host hosts[2]; /* units: the second has the neighbour */
static struct guest guests[2];
static struct silent neighbour;
static enum doing doing; /* atomic, as the next */
static bool stop;

static uint64_t timeouts(void)
{
	struct nestfd_driver_stats stats = { .size = sizeof(stats) };

	nestfd_driver_stats(hosts[1].machine, &stats);
	return stats.timeouts;
}

/* One ATC_INV after the other, or none at all */
static void *neighbour_run(void *arg)
{
	enum doing now = *(enum doing *)arg;
	const uint64_t vsid = now == SILENT ? SILENT_BAD : SILENT_GOOD;
	const uint64_t cmd[1][2] = { { vsid << 32 | 0x40, 52 } };
	const int expected = now == SILENT ? -ETIMEDOUT : 0;
	uint64_t was = timeouts();
	uint32_t done;

	__atomic_store_n(&doing, now, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		int rc = silent_invalidate(&neighbour, cmd, now != RUNNING,
					   &done);

		if (rc != expected) {
			fprintf(stderr, "the neighbour: %d\n", rc);
			exit(1);
		}
		if (now != SILENT)
			continue;
		if (timeouts() == was) { /* refused without being asked */
			now = HELD;
			__atomic_store_n(&doing, now, __ATOMIC_RELEASE);
		}
		was = timeouts();
	}
	return NULL;
}

static void put(struct row *row, uint64_t ns)
{
	if (row->n == SAMPLES)
		return;
	row->ns[row->n++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
	row->slow += ns >= TIMEOUT_US * 1000 / 2;
}

static uint64_t pair(struct guest *g)
{
	uint64_t start = bench_now();

	guest_invalidate(g, IOVA);
	if (nestfd_viommu_read(g->viommu, 0x9c, 4) != g->prod) {
		fprintf(stderr, "not consumed\n");
		exit(1);
	}
	return bench_now() - start;
}

/* A sample belongs to what the neighbour did when it began. */
static void sample(struct guest *g, struct row *row)
{
	struct row *then = row->doing == SILENT ? row + 1 : row;
	uint64_t left = ROUND_NS;

	while (left) {
		enum doing now = __atomic_load_n(&doing, __ATOMIC_ACQUIRE);
		uint64_t ns;

		if (now != row->doing && now != then->doing)
			continue; /* it has not begun */
		ns = pair(g);
		put(now == row->doing ? row : then, ns);
		if (now == then->doing)
			left -= ns < left ? ns : left;
	}
}

static void run_round(struct row *row)
{
	struct guest *g = &guests[row->same];
	uint64_t was = timeouts();
	pthread_t thread;

	doing = NOTHING;
	stop = false;
	if (row->doing == NOTHING) {
		sample(g, row);
		return;
	}
	silent_again(&neighbour);
	if (row->doing == SILENT)
		silent_mute(&neighbour, TIMEOUT_US);
	if (pthread_create(&thread, NULL, neighbour_run, &row->doing))
		exit(1);
	sample(g, row);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	silent_mend(&neighbour);
	row->timeouts += timeouts() - was;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double at(const struct row *row, double part)
{
	return row->ns[(uint32_t)(part * (row->n - 1))] / 1000.0;
}

static void print(const struct row *row)
{
	printf("  %-40s %8u %9.1f %9.1f %9.1f   %5.1f %6.1f %7.1f  %6u %8" PRIu64
	       "\n",
	       row->what, row->n, at(row, 0.5), at(row, 0.99), at(row, 1),
	       at(row, 0.5) / at(rows, 0.5), at(row, 0.99) / at(rows, 0.99),
	       at(row, 1) / at(rows, 1), row->slow, row->timeouts);
}

static void start(void)
{
	for (int i = 0; i < 2; i++) {
		int rc;

		hosts[i].guests = 1;
		hosts[i].ats = true;
		rc = host_start(&hosts[i]);
		if (!rc)
			rc = guest_start(&guests[i], &hosts[i], 0, 5);
		if (rc) {
			fprintf(stderr, "%s\n", strerror(-rc));
			exit(1);
		}
		guest_map(&guests[i], IOVA, guest_page(&guests[i], 1));
	}
	silent_start(&neighbour, hosts[1].machine, 0x20);
	for (size_t i = 0; i < ROWS; i++) {
		rows[i].ns = malloc(SAMPLES * sizeof(*rows[i].ns));
		if (!rows[i].ns)
			exit(1);
	}
}

int main(void)
{
	start();
	for (int i = 0; i < ROUNDS; i++) {
		for (size_t r = 0; r < ROWS; r++) {
			if (rows[r].doing != HELD)
				run_round(&rows[r]);
		}
	}
	printf("\nTLBI and CMD_SYNC beside a neighbour, us; ratios to the first"
	       " row; a timeout is %u us;\nslow: pairs that took half of one;"
	       " the neighbour's timeouts, a new neighbour in each of %u rounds"
	       "\n  %-40s %8s %9s %9s %9s   %5s %6s %7s  %6s %8s\n",
	       TIMEOUT_US, ROUNDS, "", "pairs", "p50", "p99", "max", "p50",
	       "p99", "max", "slow", "timeouts");
	for (size_t i = 0; i < ROWS; i++) {
		if (!rows[i].n) {
			fprintf(stderr, "%s: nothing seen\n", rows[i].what);
			return 1;
		}
		qsort(rows[i].ns, rows[i].n, sizeof(uint32_t), by_value);
		print(&rows[i]);
		fflush(stdout);
	}
	silent_stop(&neighbour);
	for (int i = 0; i < 2; i++) {
		guest_stop(&guests[i]);
		host_stop(&hosts[i]);
	}
	return 0;
}
