// SPDX-License-Identifier: MIT
/*
 * The whole path: a guest's doorbell through virtual IOMMU, ioctl, core,
 * driver, host queue and model, and back; and DMA through both stages.
 */
#include <linux/iommufd.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "guest.h"
#include "path.h"

#define IOVA_HOT    PATH_HOT
#define IOVA_CACHED 0x100000000ULL /* cached pages start; no MSIs there */

static const struct path_arch *arch; /* the one at work */
static struct host host;
static struct guest guest; /* the one whose cache is filled */
static struct bench_machine machine;

static void die(const char *what, int rc)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	exit(1);
}

static void ring_job(void *arg)
{
	path_ring(&guest, arg);
}

static void measure_job(const struct path_job *job)
{
	struct bench_row row;

	bench_measure(ring_job, NULL, (void *)(uintptr_t)job,
		      (uint64_t)job->doorbells * job->commands, &row);
	bench_print(job->what, &row, machine.validate);
}

static void touch(uint64_t iova)
{
	uint64_t word;
	int rc = nestfd_dma_read(guest.dev, iova, &word, sizeof(word));

	if (rc)
		die("DMA", rc);
}

static uint64_t mapped; /* pages from IOVA_CACHED on */

/* Fills the IOTLB with @n translations of 4 KiB. */
static void fill(uint64_t n)
{
	if (n > mapped) {
		guest_map_many(&guest, IOVA_CACHED + mapped * 4096,
			       guest_page(&guest, 1), n - mapped);
		mapped = n;
	}
	for (uint64_t i = 0; i < n; i++)
		touch(IOVA_CACHED + i * 4096);
}

static void commands_with(const struct path_job *job, uint64_t cached)
{
	char heading[128];

	fill(cached);
	snprintf(heading, sizeof(heading),
		 "%s guest commands, %s, %llu cached translations, "
		 "ns per command",
		 arch->name, host.ats ? "ATS" : "no ATS",
		 (unsigned long long)cached);
	bench_heading(heading);
	for (; job->what; job++) {
		if (job->after_fill)
			fill(cached);
		measure_job(job);
	}
}

/* The pair where every invalidation removes an entry. */
static void unmap_cycle(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1024; i++) {
		touch(IOVA_HOT);
		guest_invalidate(&guest, IOVA_HOT);
	}
}

struct inval_job {
	char *entries;
	uint32_t object;
	uint32_t count;
	uint32_t times;
};

static void invalidate(void *arg)
{
	struct inval_job *job = arg;

	for (uint32_t i = 0; i < job->times; i++) {
		struct iommu_hwpt_invalidate inv = {
			.size = sizeof(inv),
			.hwpt_id = job->object,
			.data_uptr = (uintptr_t)job->entries,
			.data_type = arch->data_type,
			.entry_len = arch->entry_len,
			.entry_num = job->count,
		};
		int rc = nestfd_ioctl(host.ctx, IOMMU_HWPT_INVALIDATE, &inv);

		if (rc || inv.entry_num != job->count)
			die("IOMMU_HWPT_INVALIDATE", rc);
	}
}

static void ioctls(void)
{
	static const uint32_t counts[] = { 1, 16, 256, 4096, 1u << 19 };
	struct inval_job job = { 0 };
	struct bench_row row;
	char what[80];
	int rc = arch->object(&guest, &job.object);

	if (rc)
		die(arch->object_is, rc);
	job.entries = calloc(1u << 19, arch->entry_len);
	if (!job.entries)
		exit(1);
	for (uint32_t i = 0; i < 1u << 19; i++)
		arch->entry(job.entries + (size_t)i * arch->entry_len,
			    (uint64_t)i << 12);
	snprintf(what, sizeof(what),
		 "IOMMU_HWPT_INVALIDATE on %s, ns per entry", arch->object_is);
	bench_heading(what);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		job.count = counts[i];
		job.times = counts[i] > 4096 ? 1 : 8192 / counts[i] + 1;
		bench_measure(invalidate, NULL, &job,
			      (uint64_t)job.count * job.times, &row);
		snprintf(what, sizeof(what), "%u entries", counts[i]);
		bench_print(what, &row, machine.validate);
	}
	free(job.entries);
}

#define DMA_PAGES 1024

static void hit_same(void *arg)
{
	(void)arg;
	for (int i = 0; i < 4096; i++)
		touch(IOVA_CACHED);
}

static void hit_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < DMA_PAGES; i++)
		touch(IOVA_CACHED + (uint64_t)i * 4096);
}

static void translate_many(void *arg)
{
	struct nestfd_translation tr = { .size = sizeof(tr) };

	(void)arg;
	for (int i = 0; i < DMA_PAGES; i++)
		nestfd_translate(guest.dev, IOVA_CACHED + (uint64_t)i * 4096,
				 NESTFD_NO_PASID, 0, &tr);
}

static void forget(void *arg)
{
	(void)arg;
	guest_command(&guest, arch->forget[0], arch->forget[1]);
	guest_wait(&guest);
	guest_ring(&guest);
}

static void translations(void)
{
	struct bench_row row;
	char heading[80];

	fill(DMA_PAGES);
	snprintf(heading, sizeof(heading),
		 "%s DMA of 8 bytes through both stages, ns each", arch->name);
	bench_heading(heading);
	bench_measure(hit_same, NULL, NULL, 4096, &row);
	bench_print("hit, the same page", &row, machine.probe);
	bench_measure(hit_many, NULL, NULL, DMA_PAGES, &row);
	bench_print("hit, 1024 pages in turn", &row, machine.probe);
	bench_measure(translate_many, NULL, NULL, DMA_PAGES, &row);
	bench_print("hit, 1024 pages, translation only", &row, machine.probe);
	bench_measure(hit_many, forget, NULL, DMA_PAGES, &row);
	bench_print("nested miss, warm tables", &row, machine.probe);
	bench_measure(translate_many, forget, NULL, DMA_PAGES, &row);
	bench_print("nested miss, translation only", &row, machine.probe);
}

/* The page is mapped, or taken away, before each doorbell. */
static void ring_change(void *arg)
{
	const struct path_job *job = arg;

	for (unsigned int d = 0; d < job->doorbells; d++) {
		guest_map(&guest, IOVA_HOT, d & 1 ? 0 : guest_page(&guest, 0));
		guest_command(&guest, job->dw0, job->dw1);
		guest_wait(&guest);
		guest_ring(&guest);
	}
}

/* Tables that the VMM follows: the page is new, or gone, among @n others. */
static void shadow_with(uint64_t n)
{
	const struct path_job *job;
	struct bench_row row;
	char heading[128];

	guest_map_many(&guest, IOVA_CACHED, guest_page(&guest, 1), n);
	for (job = arch->shadow_jobs; job->what; job++)
		ring_job((void *)(uintptr_t)job);
	while (nestfd_viommu_pump(guest.viommu) > 0)
		; /* so many are more than one access does */
	snprintf(heading, sizeof(heading),
		 "%s, a leaf mapped or taken away in a shadowed table of %llu, "
		 "ns per doorbell",
		 arch->name, (unsigned long long)n);
	bench_heading(heading);
	for (job = arch->shadow_jobs; job->what; job++) {
		bench_measure(ring_change, NULL, (void *)(uintptr_t)job,
			      job->doorbells, &row);
		bench_print(job->what, &row, machine.validate);
	}
}

static void shadows(void)
{
	arch->shadow(&guest);
	shadow_with(0);
	shadow_with(256);
	shadow_with(100000);
}

static atomic_bool stop_dma;
static atomic_uint at_work;

static void *dma_thread(void *arg)
{
	struct guest *g = arg;
	uint64_t word;

	at_work++;
	while (!stop_dma)
		nestfd_dma_read(g->dev, IOVA_CACHED, &word, sizeof(word));
	return NULL;
}

static void syncs(void)
{
	static struct guest others[2];
	pthread_t threads[2];
	struct path_job pair = arch->jobs[0];
	struct bench_row row;
	char what[96];
	int rc;

	snprintf(what, sizeof(what), "%s while others do DMA, ns per pair",
		 pair.what);
	bench_heading(what);
	for (unsigned int n = 0; n <= 2; n++) {
		stop_dma = false;
		at_work = 0;
		for (unsigned int i = 0; i < n; i++)
			pthread_create(&threads[i], NULL, dma_thread,
				       &others[i]);
		while (at_work < n)
			sched_yield();
		bench_measure(ring_job, NULL, &pair, 4096, &row);
		stop_dma = true;
		for (unsigned int i = 0; i < n; i++)
			pthread_join(threads[i], NULL);
		snprintf(what, sizeof(what), "%u DMA threads", n);
		bench_print(what, &row, machine.validate);
		if (n == 2)
			break;
		rc = guest_start(&others[n], &host, n + 1, 5);
		if (rc)
			die("another guest", rc);
		guest_map(&others[n], IOVA_CACHED, guest_page(&others[n], 0));
	}
	guest_stop(&others[0]);
	guest_stop(&others[1]);
}

/* A host with one guest, nothing cached yet. */
static void world_start(bool ats)
{
	int rc;

	memset(&host, 0, sizeof(host));
	host.arch = arch->arch;
	host.guests = 3;
	host.ats = ats;
	host.cache = NESTFD_CACHE_FAST;
	host.cache_entries = 1u << 21; /* so that 10^6 stay */
	rc = host_start(&host);
	if (rc)
		die("host", rc);
	rc = guest_start(&guest, &host, 0, PATH_ASID);
	if (rc)
		die("guest", rc);
	guest_map(&guest, IOVA_HOT, guest_page(&guest, 0));
	mapped = 0;
}

static void world_stop(void)
{
	guest_stop(&guest);
	host_stop(&host);
}

static void measure_commands(const struct path_job *jobs, bool ats)
{
	static const uint64_t cached[] = { 0, 256, 4096, 1000000 };

	world_start(ats);
	for (size_t i = 0; i < sizeof(cached) / sizeof(cached[0]); i++)
		commands_with(jobs, cached[i]);
	world_stop();
}

static void measure_arch(const struct path_arch *of)
{
	struct bench_row row;

	arch = of;
	world_start(false);
	translations();
	bench_heading("map, DMA, unmap: a miss, a hit's removal, one doorbell");
	bench_measure(unmap_cycle, NULL, NULL, 1024, &row);
	bench_print("nested miss + invalidation of the page", &row,
		    machine.validate);
	ioctls();
	syncs();
	world_stop();
	if (arch->jobs_without_ats)
		measure_commands(arch->jobs_without_ats, false);
	measure_commands(arch->jobs, true);
	if (arch->shadow) {
		world_start(false);
		shadows();
		world_stop();
	}
}

int main(int argc, char **argv)
{
	bench_machine(&machine);
	path_each(argc, argv, measure_arch);
	return 0;
}
