// SPDX-License-Identifier: MIT
/*
 * Ring against array: the same entries once with NESTFD_HWPT_INVALIDATE_RING,
 * once with IOMMU_HWPT_INVALIDATE; and where a virtual IOMMU's queue can be the
 * ring, the same doorbells of the same guest over the whole path, consumed in
 * place, copied by the VMM into an array, and by libviommu's choice.
 *
 * All of it happens in the thread that rings, so its own processor time is what
 * counts, not what others do on the machine. Samples are short and take turns,
 * each way being the first as often as another: what changes meanwhile meets
 * all of them. Where things lie in memory is worth some per cent, so all is
 * made anew for each round, in another order.
 */
#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nestfd/ext.h"
#include "path.h"

#define COMMANDS  8192u /* at least, of each sample */
#define DOORBELLS 1024u /* at most */
#define ROUNDS	  6	/* a multiple of the ways */
#define SAMPLES	  36	/* in each, likewise */
#define ALL	  (ROUNDS * SAMPLES)
#define QUEUE_LG2 12
#define QUEUE	  (1u << QUEUE_LG2)

enum { RING, ARRAY, AUTO, WAYS };

static const char *const way_names[WAYS] = { "ring", "array", "auto" };

static const struct path_arch *arch; /* the one at work */
static struct host host;
static struct guest guests[WAYS]; /* all of this host */

static void ring_once(struct guest *g, const struct path_load *load, uint32_t n)
{
	uint64_t dw1 = load->dw1;

	for (uint32_t i = 0; i < n; i++) {
		bool sync = load->interior ? i & 1 : load->sync && i == n - 1;

		if (sync) {
			guest_command(g, load->sync_0, guest_page(g, 9));
			continue;
		}
		guest_command(g, load->dw0, dw1);
		dw1 += load->step;
	}
	guest_ring(g);
	if (!arch->consumed(g)) {
		fprintf(stderr, "%s: not consumed\n", load->what);
		exit(1);
	}
}

/* What is sent in three ways, or two */
struct work {
	const struct path_load *load; /* by doorbells, or */
	char *entries;		      /* by ioctls: QUEUE of them, */
	uint32_t object;	      /* to this one */
	uint32_t ways;
};

static const uint32_t counts[] = { 1, 2, 3, 4, 16, 256, 4096 };

#define COUNTS (sizeof(counts) / sizeof(counts[0]))

/* ns per ioctl or doorbell, of all rounds */
struct result {
	double took[COUNTS][WAYS][ALL];
};

static void must(int rc, const char *what)
{
	if (!rc)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	exit(1);
}

static void by_array(const struct work *work, uint32_t n)
{
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = work->object,
		.data_uptr = (uintptr_t)work->entries,
		.data_type = arch->data_type,
		.entry_len = arch->entry_len,
		.entry_num = n,
	};

	must(nestfd_ioctl(host.ctx, IOMMU_HWPT_INVALIDATE, &arg),
	     "IOMMU_HWPT_INVALIDATE");
}

/* A ring that is empty at its beginning */
static void by_ring(const struct work *work, uint32_t n)
{
	uint32_t cons = 0;
	struct nestfd_hwpt_invalidate_ring arg = {
		.size = sizeof(arg),
		.hwpt_id = work->object,
		.q_uptr = (uintptr_t)work->entries,
		.q_cons_uptr = (uintptr_t)&cons,
		.q_prod = n,
		.q_index_bits = QUEUE_LG2,
		.q_entry_num = QUEUE,
		.q_entry_len = arch->entry_len,
		.data_type = arch->data_type,
	};

	must(nestfd_ioctl(host.ctx, NESTFD_HWPT_INVALIDATE_RING, &arg),
	     "NESTFD_HWPT_INVALIDATE_RING");
}

static uint64_t spent(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ns per doorbell, or ioctl */
static double sample(const struct work *work, int way, uint32_t n,
		     uint32_t times)
{
	uint64_t start = spent();

	for (uint32_t i = 0; i < times; i++) {
		if (work->load)
			ring_once(&guests[way], work->load, n);
		else if (way == RING)
			by_ring(work, n);
		else
			by_array(work, n);
	}
	return (double)(spent() - start) / times;
}

static int by_value(const void *a, const void *b)
{
	double da = *(const double *)a;
	double db = *(const double *)b;

	return (da > db) - (da < db);
}

static void measure_count(const struct work *work, uint32_t n,
			  unsigned int round, double took[WAYS][ALL])
{
	uint32_t times = COMMANDS / n < DOORBELLS ? COMMANDS / n : DOORBELLS;

	for (uint32_t way = 0; way < work->ways; way++)
		sample(work, (int)way, n, times);
	for (uint32_t i = 0; i < SAMPLES; i++)
		for (uint32_t turn = 0; turn < work->ways; turn++) {
			uint32_t way = (turn + i) % work->ways;

			took[way][round * SAMPLES + i] =
				sample(work, (int)way, n, times);
		}
}

static void measure(const struct work *work, unsigned int round,
		    struct result *result)
{
	for (size_t n = 0; n < COUNTS; n++)
		measure_count(work, counts[n], round, result->took[n]);
}

static void print_count(uint32_t n, uint32_t ways, double took[WAYS][ALL])
{
	for (uint32_t way = 0; way < ways; way++)
		qsort(took[way], ALL, sizeof(double), by_value);
	for (uint32_t way = 0; way < ways; way++) {
		double median = took[way][ALL / 2];

		printf("  %-5u %-6s %10.1f %10.1f %10.1f   %8.1f", n,
		       way_names[way], took[way][0], median, took[way][ALL - 1],
		       median / n);
		printf("   %.2f %.2f\n", took[ARRAY][0] / took[way][0],
		       took[ARRAY][ALL / 2] / median);
	}
}

static void print(const char *what, const char *per, uint32_t ways,
		  struct result *result)
{
	printf("\n%s %s; ns per %s, ns per command, array's min / min and"
	       " median / median\n"
	       "  %-5s %-6s %10s %10s %10s   %8s\n",
	       arch->name, what, per, "", "", "min", "median", "max",
	       "/command");
	for (size_t n = 0; n < COUNTS; n++)
		print_count(counts[n], ways, result->took[n]);
}

static void host_begin(void)
{
	host = (struct host){
		.arch = arch->arch,
		.guests = WAYS + 1,
		.ats = true,
	};
	must(host_start(&host), "host");
}

static void guests_begin(unsigned int round)
{
	static const enum nestfd_queue queues[WAYS] = {
		[RING] = NESTFD_QUEUE_RING,
		[ARRAY] = NESTFD_QUEUE_ARRAY,
		[AUTO] = NESTFD_QUEUE_AUTO,
	};

	for (unsigned int i = 0; i < WAYS; i++) {
		unsigned int way = (i + round) % WAYS;

		host.queue = queues[way];
		/* the first part of RAM may lie in smaller pages */
		must(guest_start(&guests[way], &host, i + 1, PATH_ASID),
		     "guest");
	}
}

static void guests_end(void)
{
	for (unsigned int way = 0; way < WAYS; way++)
		guest_stop(&guests[way]);
}

/* The same array as a flat queue of the VMM's */
static void by_ioctl(unsigned int round, struct result *result)
{
	struct nestfd_ext_enable ext = {
		.size = sizeof(ext),
		.features = NESTFD_EXT_RING,
	};
	struct work work = { .ways = 2 };
	struct guest guest;

	must(guest_start(&guest, &host, 0, PATH_ASID), "guest");
	must(arch->object(&guest, &work.object), arch->object_is);
	must(nestfd_ioctl(host.ctx, NESTFD_EXT_ENABLE, &ext), "EXT_ENABLE");
	work.entries = calloc(QUEUE, arch->entry_len);
	if (!work.entries)
		exit(1);
	for (uint32_t i = 0; i < QUEUE; i++)
		arch->entry(work.entries + (size_t)i * arch->entry_len,
			    (uint64_t)i << 12);
	measure(&work, round, result);
	free(work.entries);
	guest_stop(&guest);
}

static void by_doorbell(unsigned int round, struct result *results)
{
	struct work work = { .ways = WAYS };

	guests_begin(round);
	for (work.load = arch->loads; work.load->what; work.load++)
		measure(&work, round, results++);
	guests_end();
}

static void print_arch(struct result *results)
{
	char what[80];

	snprintf(what, sizeof(what), "pages, by ioctl on %s", arch->object_is);
	print(what, "ioctl", 2, results++);
	for (const struct path_load *load = arch->loads; load && load->what;
	     load++)
		print(load->what, "doorbell", WAYS, results++);
	if (!arch->loads)
		printf("\n%s by doorbell: its virtual unit has no ring, the"
		       " guest's descriptors are not the ioctl's entries\n",
		       arch->name);
	fflush(stdout);
}

static void measure_arch(const struct path_arch *of)
{
	struct result *results;
	size_t loads = 0;

	arch = of;
	while (arch->loads && arch->loads[loads].what)
		loads++;
	results = calloc(loads + 1, sizeof(*results));
	if (!results)
		exit(1);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		host_begin();
		by_ioctl(round, &results[0]);
		if (loads)
			by_doorbell(round, &results[1]);
		host_stop(&host);
	}
	print_arch(results);
	free(results);
}

int main(int argc, char **argv)
{
	path_each(argc, argv, measure_arch);
	return 0;
}
