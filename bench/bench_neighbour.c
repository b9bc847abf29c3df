// SPDX-License-Identifier: MIT
/*
 * What a guest waits for because of another: the time of an invalidation and a
 * wait, from the doorbell of a virtual IOMMU until the guest sees both done,
 * while a neighbour does nothing, invalidates, or has a device that does not
 * answer invalidations of its TLB (each of which hardware waits 1 ms for) until
 * that is in quarantine, and then goes on asking. On the
 * neighbour's unit, and on another one. The rows take turns, so that what the
 * machine does besides meets all of them.
 *
 * A thread that runs costs every wait of the process a barrier, whatever
 * it does: so a neighbour in quarantine is to be compared with one that runs.
 *
 * What is promised is judged by the driver's counters, not by times: a call
 * waits for one timeout at most, and for none in quarantine and on another
 * unit; the neighbour causes one in a window, and no more than its budget.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench.h"
#include "silent.h"

#define ROUNDS	   10
#define ROUND_NS   50000000u /* without timeouts: they are waited for */
#define TIMEOUT_US 1000u
#define WINDOW_MS  100u /* in which a guest causes one of them; default: 1 s */
#define BUDGET	   4u	/* of a device: docs/security.md */
#define SAMPLES	   (1u << 22) /* of a row, at most */
#define RECENT	   16
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
	uint32_t slow;	 /* that took as long as one that waits for a timeout */
	uint64_t waited; /* timeouts that they did wait for, by the counters */
	uint64_t unfair; /* of these: those they should not have met */
	uint64_t timeouts;
	uint64_t lasted_ns;
	uint64_t recent[RECENT]; /* when the last slow ones were */
	uint32_t in_window;	 /* the most of them in a window's time */
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

static const struct path_arch *arch; /* the one at work */
static struct host hosts[2];	     /* units: the second has the neighbour */
static struct guest guests[2];
static struct silent neighbour;
static enum doing doing; /* atomic, as the next */
static bool stop;
static uint64_t too_many; /* timeouts of the neighbour's; its thread's */

static struct nestfd_driver_stats counters(const struct host *host)
{
	struct nestfd_driver_stats stats = { .size = sizeof(stats) };

	nestfd_driver_stats(host->machine, &stats);
	return stats;
}

static uint64_t timeouts(void)
{
	return counters(&hosts[1]).timeouts;
}

/* When the call that caused the last one began, and how many there are */
struct caused {
	uint64_t began;
	uint64_t n;
};

/*
 * A call that began @began has caused @n of them. From the beginning of one
 * that did so to the end of the next there is more than a window between.
 */
static void judge(struct caused *last, uint64_t began, uint64_t n)
{
	if (!n)
		return;
	last->n += n;
	if (n > 1 || last->n > BUDGET ||
	    (last->began && bench_now() - last->began < WINDOW_MS * 1000000ULL))
		too_many++;
	last->began = began;
}

/* One ATC_INV after the other, or none at all */
static void *neighbour_run(void *arg)
{
	enum doing now = *(enum doing *)arg;
	char entry[64];
	const int expected = now == SILENT ? -ETIMEDOUT : 0;
	uint64_t was = timeouts();
	struct caused last = { 0 };
	uint32_t done;

	silent_entry(&neighbour, entry, 0,
		     now == SILENT || !arch->silent->chooses ? SILENT_IT
							     : SILENT_OTHER);
	__atomic_store_n(&doing, now, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		uint64_t began = bench_now();
		int rc = silent_invalidate(&neighbour, entry, 0, now != RUNNING,
					   &done);

		/* VT-d: nothing fails for a device that is not asked */
		if (rc && rc != expected) {
			fprintf(stderr, "the neighbour: %d\n", rc);
			exit(1);
		}
		judge(&last, began, timeouts() - was);
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

/* How often this thread has waited, rather than been taken off its processor */
static long waited(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

static void put_slow(struct row *row)
{
	uint64_t now = bench_now();
	uint32_t n = 1;

	for (uint32_t i = 0; i < RECENT; i++)
		n += row->recent[i] &&
		     now - row->recent[i] < WINDOW_MS * 1000000ULL;
	if (n > row->in_window)
		row->in_window = n;
	row->recent[row->slow++ % RECENT] = now;
}

/* @waits: waited() behind the last pair that was slow */
static void put(struct row *row, uint64_t ns, long *waits)
{
	long was = *waits;

	if (row->n == SAMPLES)
		return;
	row->ns[row->n++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
	row->lasted_ns += ns;
	if (ns < TIMEOUT_US * 1000 / 2)
		return;
	*waits = waited();
	if (*waits != was)
		put_slow(row);
}

static uint64_t pair(struct guest *g)
{
	uint64_t start = bench_now();

	guest_invalidate(g, IOVA);
	if (!arch->consumed(g)) {
		fprintf(stderr, "not consumed\n");
		exit(1);
	}
	return bench_now() - start;
}

/*
 * The guest itself never causes what is counted here. An answer that was late
 * because the machine is busy is nobody's fault.
 */
static uint64_t counted_pair(struct guest *g, struct row *row)
{
	struct nestfd_driver_stats was = counters(g->host);
	uint64_t ns = pair(g);
	struct nestfd_driver_stats is = counters(g->host);
	uint64_t waited = is.waited - was.waited;
	uint64_t fair =
		(row->doing == SILENT && row->same) + is.late - was.late;

	row->waited += waited;
	row->unfair += waited > fair ? waited - fair : 0;
	return ns;
}

/* A sample belongs to what the neighbour did when it began. */
static void sample(struct guest *g, struct row *row)
{
	struct row *then = row->doing == SILENT ? row + 1 : row;
	uint64_t left = ROUND_NS;
	long waits = waited();

	while (left) {
		enum doing now = __atomic_load_n(&doing, __ATOMIC_ACQUIRE);
		uint64_t ns;

		if (now != row->doing && now != then->doing)
			continue; /* it has not begun */
		ns = counted_pair(g, now == row->doing ? row : then);
		put(now == row->doing ? row : then, ns, &waits);
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
		silent_mute(&neighbour, TIMEOUT_US, 0);
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
	printf("  %-40s %8u %9.1f %9.1f %9.1f   %5.1f %6.1f %7.1f  %6u"
	       " %6" PRIu64 " %8" PRIu64 "\n",
	       row->what, row->n, at(row, 0.5), at(row, 0.99), at(row, 1),
	       at(row, 0.5) / at(rows, 0.5), at(row, 0.99) / at(rows, 0.99),
	       at(row, 1) / at(rows, 1), row->slow, row->waited, row->timeouts);
}

static void start(void)
{
	for (int i = 0; i < 2; i++) {
		int rc;

		hosts[i] = (struct host){
			.arch = arch->arch,
			.guests = 1,
			.ats = true,
			.atc_window_ms = WINDOW_MS,
		};
		rc = host_start(&hosts[i]);
		if (!rc)
			rc = guest_start(&guests[i], &hosts[i], 0, 5);
		if (rc) {
			fprintf(stderr, "%s\n", strerror(-rc));
			exit(1);
		}
		guest_map(&guests[i], IOVA, guest_page(&guests[i], 1));
	}
	silent_start(&neighbour, arch, hosts[1].machine, 0x20);
	for (size_t i = 0; i < ROWS; i++) {
		struct row *row = &rows[i];

		*row = (struct row){ row->what, row->doing, row->same,
				     malloc(SAMPLES * sizeof(*row->ns)) };
		if (!row->ns)
			exit(1);
	}
}

static void finish(void)
{
	silent_stop(&neighbour);
	for (int i = 0; i < 2; i++) {
		guest_stop(&guests[i]);
		host_stop(&hosts[i]);
	}
	for (size_t i = 0; i < ROWS; i++)
		free(rows[i].ns);
}

static void print_windows(const struct row *row)
{
	/* a round ends with the last timeout, whose window is not seen */
	double windows = (double)row->lasted_ns / (WINDOW_MS * 1e6) + ROUNDS;

	printf("  %s: slow pairs per window %.2f, at most %u; timeouts %.2f\n",
	       row->what, row->slow / windows, row->in_window,
	       (double)row->timeouts / windows);
}

static void print_all(void)
{
	printf("\n%s: an invalidation and a wait beside a neighbour, us; ratios"
	       " to the first row;\na timeout is %u us; slow: pairs that waited"
	       " for half of one; met: timeouts that pairs\nwaited for, as the"
	       " driver counts; the neighbour's timeouts, one in a window of"
	       " %u ms\nat most; a new neighbour in each of %u rounds\n"
	       "  %-40s %8s %9s %9s %9s   %5s %6s %7s  %6s %6s %8s\n",
	       arch->name, TIMEOUT_US, WINDOW_MS, ROUNDS, "", "pairs", "p50",
	       "p99", "max", "p50", "p99", "max", "slow", "met", "timeouts");
	for (size_t i = 0; i < ROWS; i++) {
		if (!rows[i].n) {
			fprintf(stderr, "%s: nothing seen\n", rows[i].what);
			exit(1);
		}
		qsort(rows[i].ns, rows[i].n, sizeof(uint32_t), by_value);
		print(&rows[i]);
	}
	for (size_t i = 0; i < ROWS; i++) {
		if (rows[i].doing == SILENT)
			print_windows(&rows[i]);
	}
	fflush(stdout);
}

static bool broken;

/* By counters alone */
static void judge_all(void)
{
	uint64_t met = 0, unfair = 0;

	for (size_t i = 0; i < ROWS; i++) {
		met += rows[i].waited;
		unfair += rows[i].unfair;
	}
	printf("  counted: %" PRIu64 " timeouts or late answers met; two in a"
	       " call, one in quarantine or on another unit: %" PRIu64
	       "; the neighbour's too many or too early: %" PRIu64 "%s\n",
	       met, unfair, too_many,
	       unfair || too_many ? ": WHAT IS PROMISED IS BROKEN" : "");
	broken |= unfair || too_many;
	fflush(stdout);
}

static void measure_arch(const struct path_arch *of)
{
	arch = of;
	too_many = 0;
	start();
	for (int i = 0; i < ROUNDS; i++) {
		for (size_t r = 0; r < ROWS; r++) {
			if (rows[r].doing != HELD)
				run_round(&rows[r]);
		}
	}
	print_all();
	judge_all();
	finish();
}

int main(int argc, char **argv)
{
	path_each(argc, argv, measure_arch);
	return broken;
}
