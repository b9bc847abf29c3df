// SPDX-License-Identifier: MIT
/* IOAS_MAP and IOAS_UNMAP under a nest parent, by size and alignment. */
#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "guest.h"
#include "path.h"

#define IOVA (1ULL << 40)
#define ROOM (3ULL << 30)

static struct host host;
static char *room;

struct map_job {
	char *va;
	uint64_t iova;
	uint64_t length;
	bool mapped;
};

static void must(int rc, const char *what)
{
	if (rc) {
		fprintf(stderr, "%s: %s\n", what, strerror(-rc));
		exit(1);
	}
}

static void map_one(const struct map_job *job)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = host.ioas,
		.user_va = (uintptr_t)job->va,
		.length = job->length,
		.iova = job->iova,
	};

	must(nestfd_ioctl(host.ctx, IOMMU_IOAS_MAP, &map), "IOAS_MAP");
}

static void unmap_one(const struct map_job *job)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = host.ioas,
		.iova = job->iova,
		.length = job->length,
	};

	must(nestfd_ioctl(host.ctx, IOMMU_IOAS_UNMAP, &unmap), "IOAS_UNMAP");
}

static void map_again(void *arg)
{
	struct map_job *job = arg;

	map_one(job);
	job->mapped = true;
}

static void unmap_again(void *arg)
{
	struct map_job *job = arg;

	unmap_one(job);
	job->mapped = false;
}

static void make_unmapped(void *arg)
{
	struct map_job *job = arg;

	if (job->mapped)
		unmap_again(job);
}

static void make_mapped(void *arg)
{
	struct map_job *job = arg;

	if (!job->mapped)
		map_again(job);
}

static void measure(const char *what, struct map_job job)
{
	struct bench_row row;
	char line[96];

	bench_measure(map_again, make_unmapped, &job, 1, &row);
	snprintf(line, sizeof(line), "map %s", what);
	bench_print(line, &row, 0);
	bench_measure(unmap_again, make_mapped, &job, 1, &row);
	snprintf(line, sizeof(line), "unmap %s", what);
	bench_print(line, &row, 0);
	make_unmapped(&job);
}

static void measure_arch(const struct path_arch *arch)
{
	char heading[96];

	host = (struct host){ .arch = arch->arch, .guests = 1 };
	must(host_start(&host), "host");
	snprintf(heading, sizeof(heading),
		 "%s IOAS_MAP and IOAS_UNMAP with one HWPT, ns per call",
		 arch->name);
	bench_heading(heading);
	measure("4 KiB", (struct map_job){ room, IOVA, 4096, false });
	measure("2 MiB, aligned",
		(struct map_job){ room, IOVA, 2ULL << 20, false });
	measure("2 MiB, misaligned by 4 KiB",
		(struct map_job){ room, IOVA + 4096, 2ULL << 20, false });
	measure("1 GiB, aligned",
		(struct map_job){ room, IOVA, 1ULL << 30, false });
	measure("1 GiB, misaligned by 4 KiB",
		(struct map_job){ room, IOVA + 4096, 1ULL << 30, false });
	host_stop(&host);
}

int main(int argc, char **argv)
{
	room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return 1;
	path_each(argc, argv, measure_arch);
	munmap(room, ROOM);
	return 0;
}
