// SPDX-License-Identifier: MIT
/*
 * Ring against array: the same doorbells of the same guest over the whole path,
 * once consumed in place with NESTFD_HWPT_INVALIDATE_RING, once copied by the
 * VMM and sent with IOMMU_HWPT_INVALIDATE, once by libviommu's choice. Samples
 * alternate, so that what the machine does besides meets all of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "guest.h"

#define IOVA	 0x40000000ULL
#define COMMANDS 65536u /* at least, of each sample */
#define SAMPLES	 25

enum { RING, ARRAY, AUTO, WAYS };

static const char *const way_names[WAYS] = { "ring", "array", "auto" };

struct world {
	struct host host;
	struct guest guest;
};

static struct world worlds[WAYS];

/* A doorbell: @commands, the last of them a CMD_SYNC if @sync */
struct load {
	const char *what;
	uint64_t dw0;
	uint64_t dw1;
	uint64_t step; /* added to dw1 from one command to the next */
	uint64_t sync_0;
	bool sync;
	bool interior; /* a CMD_SYNC behind each command */
};

static void ring_once(struct guest *g, const struct load *load, uint32_t n)
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
	if (nestfd_viommu_read(g->viommu, 0x9c, 4) != g->prod) {
		fprintf(stderr, "%s: not consumed\n", load->what);
		exit(1);
	}
}

/* ns per doorbell */
static double sample(struct guest *g, const struct load *load, uint32_t n,
		     uint32_t times)
{
	uint64_t start = bench_now();

	for (uint32_t i = 0; i < times; i++)
		ring_once(g, load, n);
	return (double)(bench_now() - start) / times;
}

static int by_value(const void *a, const void *b)
{
	double da = *(const double *)a;
	double db = *(const double *)b;

	return (da > db) - (da < db);
}

static void measure(const struct load *load, uint32_t n)
{
	uint32_t times = COMMANDS / n < 8192 ? COMMANDS / n : 8192;
	double took[WAYS][SAMPLES];

	for (int i = -1; i < SAMPLES; i++)
		for (int way = 0; way < WAYS; way++) {
			double ns = sample(&worlds[way].guest, load, n, times);

			if (i >= 0)
				took[way][i] = ns;
		}
	for (int way = 0; way < WAYS; way++)
		qsort(took[way], SAMPLES, sizeof(double), by_value);
	for (int way = 0; way < WAYS; way++) {
		double median = took[way][SAMPLES / 2];

		printf("  %-5u %-6s %10.1f %10.1f %10.1f   %8.1f", n,
		       way_names[way], took[way][0], median,
		       took[way][SAMPLES - 1], median / n);
		printf("   %.2f", took[ARRAY][0] / took[way][0]);
		printf("\n");
	}
	fflush(stdout);
}

static void world_start(struct world *w, enum nestfd_queue queue)
{
	int rc;

	w->host.guests = 1;
	w->host.queue = queue;
	w->host.ats = true;
	rc = host_start(&w->host);
	if (!rc)
		rc = guest_start(&w->guest, &w->host, 0, 5);
	if (rc) {
		fprintf(stderr, "%s\n", strerror(-rc));
		exit(1);
	}
}

int main(void)
{
	static const uint32_t counts[] = { 1, 2, 3, 4, 16, 256, 4096 };
	struct guest *g = &worlds[RING].guest;

	world_start(&worlds[RING], NESTFD_QUEUE_RING);
	world_start(&worlds[ARRAY], NESTFD_QUEUE_ARRAY);
	world_start(&worlds[AUTO], NESTFD_QUEUE_AUTO);
	const struct load loads[] = {
		{ "TLBI_NH_VA", guest_tlbi_va_0(g), guest_tlbi_va_1(IOVA), 4096,
		  0x46, false, false },
		{ "TLBI_NH_VA, a CMD_SYNC at the end", guest_tlbi_va_0(g),
		  guest_tlbi_va_1(IOVA), 4096, 0x46, true, false },
		{ "TLBI_NH_VA, a CMD_SYNC with an MSI at the end",
		  guest_tlbi_va_0(g), guest_tlbi_va_1(IOVA), 4096, 0x1046, true,
		  false },
		{ "TLBI_NH_VA, a CMD_SYNC behind each", guest_tlbi_va_0(g),
		  guest_tlbi_va_1(IOVA), 4096, 0x46, false, true },
		{ "TLBI_NH_VA, a CMD_SYNC with an MSI behind each",
		  guest_tlbi_va_0(g), guest_tlbi_va_1(IOVA), 4096, 0x1046,
		  false, true },
		{ "ATC_INV of a page, a CMD_SYNC at the end",
		  0x40 | (uint64_t)g->vsid << 32, IOVA, 4096, 0x46, true,
		  false },
		{ "CFGI_STE, unchanged, a CMD_SYNC at the end",
		  0x03 | (uint64_t)g->vsid << 32, 1, 0, 0x46, true, false },
	};

	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		printf("\n%s; ns per doorbell, ns per command, "
		       "array's min / min\n  %-5s %-6s %10s %10s %10s   %8s\n",
		       loads[i].what, "", "", "min", "median", "max",
		       "/command");
		for (size_t n = 0; n < sizeof(counts) / sizeof(counts[0]); n++)
			measure(&loads[i], counts[n]);
	}
	for (int way = 0; way < WAYS; way++) {
		guest_stop(&worlds[way].guest);
		host_stop(&worlds[way].host);
	}
	return 0;
}
