// SPDX-License-Identifier: MIT
/*
 * IOAS_MAP and IOAS_UNMAP. The aims are Linux 7.2's figures with one HWPT and
 * pages of 4 KiB, map and unmap; for 1 GiB that large leaves can map, 1 ms.
 */
#include <stdio.h>
#include <sys/ioctl.h>

#include "client_bench.h"

#define IOVA 0x40000000ULL
#define KIB  1024ULL
#define MIB  (1024 * KIB)
#define GIB  (1024 * MIB)

struct mapping {
	struct client *c;
	__u64 length;
	__u64 shift; /* of the address */
	__u64 iova_shift;
	int calls;
};

static void map(const struct mapping *m)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = m->c->map_ioas,
		.user_va = (uintptr_t)m->c->memory + m->shift,
		.length = m->length,
		.iova = IOVA + m->iova_shift,
	};

	client_call(m->c->fd, IOMMU_IOAS_MAP, &arg, "IOMMU_IOAS_MAP");
}

static void unmap(const struct mapping *m)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = m->c->map_ioas,
		.iova = IOVA + m->iova_shift,
		.length = m->length,
	};

	client_call(m->c->fd, IOMMU_IOAS_UNMAP, &arg, "IOMMU_IOAS_UNMAP");
}

static void map_unmap(void *p)
{
	const struct mapping *m = p;

	for (int i = 0; i < m->calls; i++) {
		map(m);
		unmap(m);
	}
}

static void map_once(void *p)
{
	map(p);
}

/* The warm-up has nothing to unmap. */
static void unmap_last(void *p)
{
	struct mapping *m = p;

	if (m->calls++)
		unmap(m);
}

/* Linux's, ns: to map, and to map and unmap */
struct aim {
	double map;
	double both;
};

static const struct aim aim_bare = { 300, 600 };
static const struct aim aim_4k = { 2300, 4100 };
static const struct aim aim_2m = { 278e3, 543e3 };
static const struct aim aim_1g = { 144e6, 281e6 };
static const struct aim aim_1g_aligned = { 1e6, 281e6 }; /* the budget */

static void mapping(struct client *c, __u64 length, __u64 shift,
		    __u64 iova_shift, const char *name, const struct aim *aim)
{
	struct mapping m = { c, length, shift, iova_shift, 0 };
	struct bench_row row;
	char what[64];

	bench_measure(map_once, unmap_last, &m, 1, &row);
	unmap(&m);
	snprintf(what, sizeof(what), "%s, map only", name);
	client_print(what, &row, c->few ? 0 : aim->map);
	m.calls = length > 4 * KIB || c->few ? 1 : 1000;
	bench_measure(map_unmap, NULL, &m, (uint64_t)m.calls, &row);
	snprintf(what, sizeof(what), "%s, map and unmap", name);
	client_print(what, &row, c->few ? 0 : aim->both);
}

/* Aligned to 1 GiB, or one of both to 4 KiB only */
static void mappings_of(struct client *c, __u64 length, const char *name,
			const struct aim *aligned, const struct aim *other)
{
	char what[40];

	snprintf(what, sizeof(what), "%s aligned", name);
	mapping(c, length, 0, 0, what, aligned);
	snprintf(what, sizeof(what), "%s address misaligned", name);
	mapping(c, length, 4 * KIB, 0, what, other);
	snprintf(what, sizeof(what), "%s IOVA misaligned", name);
	mapping(c, length, 0, 4 * KIB, what, other);
}

/* IOMMU_OPTION_HUGE_PAGES: 0 has each page mapped by a leaf of its own */
static void set_huge_pages(struct client *c, __u64 on)
{
	struct iommu_option arg = {
		.size = sizeof(arg),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = c->map_ioas,
		.val64 = on,
	};

	client_call(c->fd, IOMMU_OPTION, &arg, "IOMMU_OPTION");
}

void client_mappings(struct client *c)
{
	const char *columns = c->few ? "" : "        aim  of it";

	__u32 map_ioas = c->map_ioas;

	client_heading("IOAS_MAP and UNMAP without an HWPT, ns", columns);
	c->map_ioas = c->bare_ioas;
	mapping(c, 4 * KIB, 0, 0, "4 KiB aligned", &aim_bare);
	mapping(c, 2 * MIB, 0, 0, "2 MiB aligned", &aim_bare);
	mapping(c, GIB, 0, 0, "1 GiB aligned", &aim_bare);
	c->map_ioas = map_ioas;
	client_heading("IOAS_MAP and UNMAP with one HWPT, leaves of 4 KiB and "
		       "1 MiB, ns",
		       columns);
	mappings_of(c, 4 * KIB, "4 KiB", &aim_4k, &aim_4k);
	mappings_of(c, 2 * MIB, "2 MiB", &aim_2m, &aim_2m);
	mappings_of(c, GIB, "1 GiB", &aim_1g_aligned, &aim_1g);
	set_huge_pages(c, 0);
	mapping(c, 2 * MIB, 0, 0, "2 MiB, huge pages off", &aim_2m);
	mapping(c, GIB, 0, 0, "1 GiB, huge pages off", &aim_1g);
	set_huge_pages(c, 1);
	c->map_ioas = c->plain_ioas;
	client_heading("the same, leaves of 2 KiB, 1 MiB and 512 MiB, ns",
		       columns);
	mapping(c, 4 * KIB, 0, 0, "4 KiB aligned", &aim_4k);
	mapping(c, 2 * MIB, 0, 0, "2 MiB aligned", &aim_2m);
	mapping(c, GIB, 0, 0, "1 GiB aligned", &aim_1g_aligned);
}
