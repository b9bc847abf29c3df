// SPDX-License-Identifier: MIT
/*
 * The longest register write there is: a doorbell for the largest queue, full
 * of one kind of command each, with a cache that was prepared for it. Through
 * the whole path and on the bare model, where software is not a guest but the
 * host's driver. docs/security.md quotes it.
 *
 * What the first commands remove is part of it, so a run cannot be repeated:
 * each is a child's of the process that prepared the cache.
 *
 * A virtual unit may leave a part of the work to the guest's next accesses; the
 * longest of them counts then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "full.h"

#define AIM_MS	100.0
#define LONG_MS 2000.0
#define PARTS	256u /* of a queue that takes long */
#define RUNS	3
#define FEW	200000u /* translations; with more there is one run */

static const struct full_arch *const archs[] = { &full_smmuv3, &full_vtd };

/* The world of all runs with one spread, and their results */
static struct full_bed bed;
static struct result {
	double ms; /* the longest access */
	double cpu_ms;
	double all_ms;
	unsigned int accesses;
	bool done;
} * result;

static struct worst {
	double ms;
	char what[256];
} worst;

static void die(const char *what, int rc)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	exit(1);
}

static void copy_pages(unsigned long first, unsigned long end)
{
	long size = sysconf(_SC_PAGESIZE);
	volatile char *at;

	if (!madvise((void *)first, end - first, MADV_POPULATE_WRITE))
		return;
	for (; first < end; first += (unsigned long)size) {
		at = (volatile char *)first;
		*at = *at;
	}
}

/* All of it but the guest's RAM, of which the queue is all that is written */
static void copy_range(unsigned long first, unsigned long end)
{
	unsigned long ram = (unsigned long)(uintptr_t)bed.host.ram;
	unsigned long ram_end = ram + bed.host.ram_size;

	if (first < ram && ram < end)
		copy_pages(first, ram);
	if (first < ram_end && ram_end < end)
		copy_pages(ram_end, end);
	if (end <= ram || ram_end <= first)
		copy_pages(first, end);
}

/* Copies of all pages now, or the first commands would wait for them. */
static void own_memory(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned long first, end;
	char mode[5];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s", &first, &end, mode) == 3 &&
		    !strcmp(mode, "rw-p"))
			copy_range(first, end);
	}
	if (maps)
		fclose(maps);
}

static double cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void measure_access(bool (*access)(void), bool *more)
{
	double cpu = cpu_ms();
	uint64_t start = bench_now();
	double ms;

	*more = access();
	ms = (double)(bench_now() - start) / 1e6;
	cpu = cpu_ms() - cpu;
	result->accesses++;
	result->all_ms += ms;
	if (ms > result->ms)
		result->ms = ms;
	if (cpu > result->cpu_ms)
		result->cpu_ms = cpu;
}

static bool doorbell(void)
{
	guest_ring(&bed.guest);
	return bed.guest.viommu;
}

static bool next_access(void)
{
	return nestfd_viommu_pump(bed.guest.viommu) > 0;
}

/* @n commands in one doorbell */
static void ring(const struct full_arch *arch, const struct full_row *row,
		 uint32_t n)
{
	uint64_t dw[2];
	bool more;

	for (uint32_t i = 0; i < n; i++) {
		arch->command(&bed, row, i, dw);
		guest_command(&bed.guest, dw[0], dw[1]);
	}
	measure_access(doorbell, &more);
	while (more)
		measure_access(next_access, &more);
	result->done = arch->path->consumed(&bed.guest);
}

static struct result run(const struct full_arch *arch,
			 const struct full_row *row, uint32_t n)
{
	pid_t pid;

	*result = (struct result){ 0 };
	pid = fork();
	if (pid < 0)
		exit(1);
	if (!pid) {
		own_memory();
		ring(arch, row, n);
		_exit(0);
	}
	if (waitpid(pid, NULL, 0) != pid || !result->done) {
		fprintf(stderr, "%s: not consumed\n", row->what);
		exit(1);
	}
	return *result;
}

static int by_value(const void *a, const void *b)
{
	double da = *(const double *)a;
	double db = *(const double *)b;

	return (da > db) - (da < db);
}

/*
 * Of a part of the queue, and what one more part of it adds: what the first
 * commands remove is in the former, and in no later part.
 */
static bool foretell(const struct full_arch *arch, const struct full_row *row,
		     struct result *whole)
{
	const uint32_t part = arch->commands / PARTS;
	struct result one = run(arch, row, part);
	struct result two = run(arch, row, 2 * part);

	whole->ms = one.ms + (two.ms - one.ms) * (PARTS - 1);
	whole->cpu_ms = one.cpu_ms + (two.cpu_ms - one.cpu_ms) * (PARTS - 1);
	return whole->cpu_ms > LONG_MS;
}

static void measure(const struct full_arch *arch, const struct full_way *way,
		    const struct full_row *row)
{
	unsigned int runs = bed.spread->cached > FEW ? 1 : RUNS;
	double ms[RUNS] = { 0 }, cpu[RUNS] = { 0 };
	struct result one = { 0 };
	bool foretold = row->long_one && foretell(arch, row, &one);

	if (foretold)
		runs = 1;
	for (unsigned int i = 0; i < runs; i++) {
		if (!foretold)
			one = run(arch, row, arch->commands);
		ms[i] = one.ms;
		cpu[i] = one.cpu_ms;
	}
	qsort(ms, runs, sizeof(ms[0]), by_value);
	qsort(cpu, runs, sizeof(cpu[0]), by_value);
	printf("  %-44s %8.1f %8.1f %8.1f %8.1f%s", row->what, ms[0],
	       ms[runs / 2], ms[runs - 1], cpu[runs / 2],
	       foretold ? "  foretold" : "");
	if (one.accesses > 2)
		printf("  of %.0f in %u accesses", one.all_ms,
		       one.accesses - 1);
	printf("\n");
	fflush(stdout);
	if (cpu[runs / 2] <= worst.ms)
		return;
	worst.ms = cpu[runs / 2];
	snprintf(worst.what, sizeof(worst.what), "%s, %s, %s, %s",
		 arch->path->name, way->what, bed.spread->what, row->what);
}

static void measure_way(const struct full_arch *arch,
			const struct full_way *way)
{
	const struct full_spread *spread;
	const struct full_row *row;
	int rc;

	for (spread = way->spreads; spread->what; spread++) {
		printf("\n%s, %s, %s\n  %-44s %8s %8s %8s %8s\n",
		       arch->path->name, way->what, spread->what, "", "min",
		       "median", "max", "cpu");
		fflush(stdout);
		rc = full_bed_start(&bed, arch, way, spread);
		if (rc)
			die(spread->what, rc);
		for (row = way->rows; row->what; row++) {
			if (row->kinds & spread->kind)
				measure(arch, way, row);
		}
		full_bed_stop(&bed);
	}
}

static void measure_arch(const struct path_arch *path)
{
	const struct full_arch *arch = archs[0];

	for (size_t i = 1; arch->path != path; i++)
		arch = archs[i];
	for (uint32_t way = 0; way < arch->nways; way++)
		measure_way(arch, &arch->ways[way]);
}

int main(int argc, char **argv)
{
	result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (result == MAP_FAILED)
		return 1;
	printf("one doorbell for a full queue of each command, ms; cpu: what"
	       " the process used,\nmedian of %u runs (10^6: of one), each in a fresh world\n",
	       RUNS);
	path_each(argc, argv, measure_arch);
	printf("\nworst: %.0f ms (aim %.0f): %s\n", worst.ms, AIM_MS,
	       worst.what);
	return 0;
}
