// SPDX-License-Identifier: MIT
/*
 * The bare hardware model, where software drives the IOMMU itself: a DMA that
 * hits, one that walks, a walk alone, with one stage and with both; and each
 * command of its queue, with what a few DMAs have cached.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "path.h"

#define PAGES 256u
#define OPS   4096u /* of a sample that changes nothing */

static const struct path_arch *arch; /* the one at work */
static struct host host;
static struct guest guest;

static void must(int rc, const char *what)
{
	if (!rc)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	exit(1);
}

static void touch(uint64_t iova, size_t len)
{
	uint64_t buf[8];

	must(nestfd_dma_read(guest.dev, iova, buf, len), "DMA");
}

static void send(const uint64_t words[2])
{
	guest_command(&guest, words[0], words[1]);
	guest_wait(&guest);
	guest_ring(&guest);
	if (!arch->consumed(&guest))
		must(-EIO, "a command");
}

static void forget_all(void *arg)
{
	(void)arg;
	send(arch->forget_all);
}

static void forget_leaves(void *arg)
{
	(void)arg;
	send(arch->forget_leaves);
}

static void one_page(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < OPS; i++)
		touch(0x3000, 64);
}

static void all_pages(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < PAGES; i++)
		touch(i << 12, 8);
}

static void look(void *arg)
{
	struct nestfd_translation tr = { .size = sizeof(tr) };

	(void)arg;
	for (uint64_t i = 0; i < PAGES; i++) {
		must(nestfd_translate(guest.dev, i << 12, NESTFD_NO_PASID,
				      NESTFD_TRANSLATE_QUIET, &tr),
		     "a look");
		if (tr.result != NESTFD_TRANSLATED || tr.hit)
			must(-EIO, "a walk");
	}
}

/* Leaves only are forgotten: a walk then starts at the last tables. */
static void translations(const char *stages, double baseline)
{
	struct bench_row row;
	char heading[96];

	snprintf(heading, sizeof(heading), "%s bare model, %s, ns per DMA",
		 arch->name, stages);
	bench_heading(heading);
	all_pages(NULL);
	bench_measure(one_page, NULL, NULL, OPS, &row);
	bench_print("64 bytes, hit, the same page", &row, baseline);
	bench_measure(all_pages, NULL, NULL, PAGES, &row);
	bench_print("8 bytes, hit, 256 pages in turn", &row, baseline);
	bench_measure(all_pages, forget_leaves, NULL, PAGES, &row);
	bench_print("miss, leaves forgotten", &row, baseline);
	bench_measure(all_pages, forget_all, NULL, PAGES, &row);
	bench_print("miss, all forgotten", &row, baseline);
	bench_measure(look, forget_leaves, NULL, PAGES, &row);
	bench_print("a walk alone, warm tables", &row, baseline);
}

static void ring_job(void *arg)
{
	const struct path_job *job = arg;

	path_ring(&guest, job);
	if (!arch->consumed(&guest))
		must(-EIO, job->what);
}

static void refill(void *arg)
{
	(void)arg;
	all_pages(NULL);
}

static void commands(double baseline)
{
	const struct path_job *job;
	struct bench_row row;
	char heading[96];

	snprintf(heading, sizeof(heading),
		 "%s bare model, both stages, %u cached, ns per command",
		 arch->name, PAGES);
	bench_heading(heading);
	for (job = arch->jobs; job->what; job++) {
		bench_measure(ring_job, refill, (void *)(uintptr_t)job,
			      (uint64_t)job->doorbells * job->commands, &row);
		bench_print(job->what, &row, baseline);
	}
}

static struct bench_machine machine;

static void measure_arch(const struct path_arch *of)
{
	arch = of;
	host = (struct host){
		.arch = arch->arch,
		.guests = 1,
		.bare = true,
		.ats = true,
		.cache = NESTFD_CACHE_FAST,
	};
	must(host_start(&host), "a machine");
	must(guest_start(&guest, &host, 0, PATH_ASID), "a device");
	for (uint64_t i = 0; i < PAGES; i++)
		guest_map(&guest, i << 12, guest_page(&guest, (unsigned int)i));
	translations("the first stage", machine.probe);
	arch->nest(&guest);
	translations("both stages", machine.probe);
	commands(machine.validate);
	guest_stop(&guest);
	host_stop(&host);
}

int main(int argc, char **argv)
{
	bench_machine(&machine);
	path_each(argc, argv, measure_arch);
	return 0;
}
