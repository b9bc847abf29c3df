// SPDX-License-Identifier: MIT
/*
 * The whole path: a guest's PROD write through virtual SMMU, ioctl, core,
 * driver, host queue and model, back to CONS; and DMA through both stages.
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

#define IOVA_HOT    0x1000ULL
#define IOVA_CACHED 0x40000000ULL /* where cached pages start */

static struct host host;
static struct guest guest; /* the one whose cache is filled */
static struct bench_machine machine;

static void die(const char *what, int rc)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	exit(1);
}

/* What one sample puts into the queue before it rings */
struct job {
	uint64_t dw0;
	uint64_t dw1;
	uint64_t step;	       /* added to dw1 each time */
	unsigned int commands; /* per doorbell, without the sync */
	unsigned int doorbells;
	bool sync;
};

static void ring_job(void *arg)
{
	struct job *job = arg;
	uint64_t dw1 = job->dw1;

	for (unsigned int d = 0; d < job->doorbells; d++) {
		for (unsigned int i = 0; i < job->commands; i++) {
			guest_command(&guest, job->dw0, dw1);
			dw1 += job->step;
		}
		if (job->sync)
			guest_command(&guest, GUEST_SYNC);
		guest_ring(&guest);
	}
}

static void measure_job(const char *what, struct job job)
{
	struct bench_row row;

	bench_measure(ring_job, NULL, &job,
		      (uint64_t)job.doorbells * job.commands, &row);
	bench_print(what, &row, machine.validate);
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

static void commands_with(uint64_t cached)
{
	char heading[96];

	fill(cached);
	snprintf(heading, sizeof(heading),
		 "guest commands, %llu cached translations, ns per command",
		 (unsigned long long)cached);
	bench_heading(heading);
	measure_job("TLBI_NH_VA + CMD_SYNC, one doorbell (per pair)",
		    (struct job){ guest_tlbi_va_0(&guest),
				  guest_tlbi_va_1(IOVA_HOT), 0, 1, 4096,
				  true });
	measure_job("TLBI_NH_VA, 64 per doorbell",
		    (struct job){ guest_tlbi_va_0(&guest),
				  guest_tlbi_va_1(IOVA_HOT), 4096, 64, 256,
				  true });
	measure_job("TLBI_NH_VA, 4096 per doorbell",
		    (struct job){ guest_tlbi_va_0(&guest),
				  guest_tlbi_va_1(IOVA_HOT), 4096, 4096, 4,
				  true });
	measure_job("TLBI_NH_VAA, 64 per doorbell",
		    (struct job){ 0x13, guest_tlbi_va_1(IOVA_HOT), 4096, 64,
				  256, true });
	measure_job("TLBI_NH_VA of 512 pages, 64 per doorbell",
		    (struct job){ guest_tlbi_va_0(&guest) | 9 << 20,
				  guest_tlbi_va_1(0), 0x200000, 64, 64, true });
	measure_job("CFGI_CD, 64 per doorbell",
		    (struct job){ 0x05 | (uint64_t)guest.vsid << 32, 1, 0, 64,
				  256, true });
	measure_job("CFGI_CD_ALL, 64 per doorbell",
		    (struct job){ 0x06 | (uint64_t)guest.vsid << 32, 0, 0, 64,
				  256, true });
	measure_job("CFGI_STE, unchanged, 64 per doorbell",
		    (struct job){ 0x03 | (uint64_t)guest.vsid << 32, 1, 0, 64,
				  256, true });
	measure_job("PREFETCH_CONFIG, 64 per doorbell",
		    (struct job){ 0x01 | (uint64_t)guest.vsid << 32, 0, 0, 64,
				  256, true });
	measure_job("ATC_INV of a page, 64 per doorbell",
		    (struct job){ 0x40 | (uint64_t)guest.vsid << 32, IOVA_HOT,
				  4096, 64, 256, true });
	measure_job("CMD_SYNC alone, 64 per doorbell",
		    (struct job){ 0x46, 0, 0, 64, 256, false });
	/* last: they empty the cache */
	measure_job("TLBI_NH_ASID, 64 per doorbell",
		    (struct job){ 0x11 | (uint64_t)guest.asid << 48, 0, 0, 64,
				  256, true });
	fill(cached);
	measure_job("TLBI_NH_ALL, 64 per doorbell",
		    (struct job){ 0x10, 0, 0, 64, 256, true });
	fill(cached);
	measure_job("TLBI_NSNH_ALL, 64 per doorbell",
		    (struct job){ 0x30, 0, 0, 64, 256, true });
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
	uint64_t (*entries)[2];
	uint32_t count;
	uint32_t times;
};

static uint32_t viommu_id;

static void make_viommu(void)
{
	struct iommu_viommu_alloc alloc = {
		.size = sizeof(alloc),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = host.probe_dev,
		.hwpt_id = host.parent,
	};
	int rc = nestfd_ioctl(host.ctx, IOMMU_VIOMMU_ALLOC, &alloc);

	if (rc)
		die("IOMMU_VIOMMU_ALLOC", rc);
	viommu_id = alloc.out_viommu_id;
}

static void invalidate(void *arg)
{
	struct inval_job *job = arg;

	for (uint32_t i = 0; i < job->times; i++) {
		struct iommu_hwpt_invalidate inv = {
			.size = sizeof(inv),
			.hwpt_id = viommu_id,
			.data_uptr = (uintptr_t)job->entries,
			.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
			.entry_len = 16,
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
	struct inval_job job;
	struct bench_row row;
	char what[64];

	make_viommu();
	job.entries = malloc((size_t)(1u << 19) * 16);
	if (!job.entries)
		exit(1);
	for (uint32_t i = 0; i < 1u << 19; i++) {
		job.entries[i][0] = 0x12 | 5ULL << 48;
		job.entries[i][1] = guest_tlbi_va_1((uint64_t)i << 12);
	}
	bench_heading("IOMMU_HWPT_INVALIDATE on a vIOMMU, ns per entry");
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
	guest_command(&guest, 0x11 | (uint64_t)guest.asid << 48, 0);
	guest_command(&guest, GUEST_SYNC);
	guest_ring(&guest);
}

static void translations(void)
{
	struct bench_row row;

	fill(DMA_PAGES);
	bench_heading("DMA of 8 bytes through both stages, ns each");
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
	struct job pair = { guest_tlbi_va_0(&guest),
			    guest_tlbi_va_1(IOVA_HOT),
			    0,
			    1,
			    4096,
			    true };
	struct bench_row row;
	char what[64];
	int rc;

	bench_heading("TLBI_NH_VA + CMD_SYNC while others do DMA, ns per pair");
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
	host.guests = 3;
	host.ats = ats;
	host.cache = NESTFD_CACHE_FAST;
	host.cache_entries = 1u << 21; /* so that 10^6 stay */
	rc = host_start(&host);
	if (rc)
		die("host", rc);
	rc = guest_start(&guest, &host, 0, 5);
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

int main(void)
{
	static const uint64_t cached[] = { 0, 256, 4096, 1000000 };
	struct bench_row row;

	bench_machine(&machine);
	world_start(false);
	translations();
	bench_heading("map, DMA, unmap: a miss, a hit's removal, one doorbell");
	bench_measure(unmap_cycle, NULL, NULL, 1024, &row);
	bench_print("nested miss + TLBI_NH_VA + CMD_SYNC", &row,
		    machine.validate);
	ioctls();
	syncs();
	world_stop();
	world_start(true);
	for (size_t i = 0; i < sizeof(cached) / sizeof(cached[0]); i++)
		commands_with(cached[i]);
	world_stop();
	return 0;
}
