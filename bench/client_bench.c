// SPDX-License-Identifier: MIT
/*
 * What a program under `nestfd run --iommu mock` pays, from its own side. It
 * knows libc and linux/iommufd.h only. usage:
 * client_bench calls MANY|FEW: iommufd's calls; FEW where each is dear
 * client_bench others [NS NS NS]: calls that are none of iommufd's, the ratios
 * of their minima (medians are too noisy for this) to those; without them, the
 * minima are also written to fd 3
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "bench.h"

/* Numbers of Linux's drivers/iommu/iommufd/iommufd_test.h */
#define TEST_CMD	  _IO(';', 0xa0)
#define TEST_DOMAIN_FLAGS 12
#define TEST_HWPT_DATA	  0xdeadu
#define TEST_OTHER_DATA	  0xdeadbeefu /* of vIOMMUs and of invalidations */
#define TEST_HUGE_TABLE	  1u	      /* leaves of 1 MiB where they fit */

struct test_cmd {
	__u32 size;
	__u32 op;
	__u32 id;
	__u32 reserved;
	__u32 w[14];
};

#define MAX_ENTRIES 4096u
#define VIRT_ID	    5u
#define IOVA	    0x40000000ULL
#define KIB	    1024ULL
#define MIB	    (1024 * KIB)
#define GIB	    (1024 * MIB)

struct client {
	bool few;
	int fd;
	__u32 dev;
	__u32 nested[2];
	__u32 viommu;
	__u32 map_ioas;
	__u32 plain_ioas;
	char *memory; /* 1 GiB at a multiple of it, and 2 MiB more */
	__u32 entries[MAX_ENTRIES * 3];
};

/* As bench_print(), for ratios near one */
static void print_ratio(const char *what, const struct bench_row *row,
			double ratio_of, double baseline)
{
	printf("  %-52s %9.1f %9.1f %9.1f", what, row->min, row->median,
	       row->max);
	if (baseline > 0)
		printf("  %.2f", ratio_of / baseline);
	puts("");
	fflush(stdout);
}

static void call(int fd, unsigned long nr, void *arg, const char *what)
{
	if (!ioctl(fd, nr, arg))
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static __u32 new_ioas(int fd)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };

	call(fd, IOMMU_IOAS_ALLOC, &arg, "IOMMU_IOAS_ALLOC");
	return arg.out_ioas_id;
}

static void destroy(int fd, __u32 id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	call(fd, IOMMU_DESTROY, &arg, "IOMMU_DESTROY");
}

static __u32 new_hwpt(struct client *c, __u32 pt, __u32 flags, __u32 *data)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = c->dev,
		.pt_id = pt,
		.data_type = data ? TEST_HWPT_DATA : IOMMU_HWPT_DATA_NONE,
		.data_len = data ? 2 * sizeof(*data) : 0,
		.data_uptr = (uintptr_t)data,
	};

	call(c->fd, IOMMU_HWPT_ALLOC, &arg, "IOMMU_HWPT_ALLOC");
	return arg.out_hwpt_id;
}

static void new_viommu(struct client *c, __u32 parent)
{
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = TEST_OTHER_DATA,
		.dev_id = c->dev,
		.hwpt_id = parent,
	};
	struct iommu_vdevice_alloc vdev = {
		.size = sizeof(vdev),
		.dev_id = c->dev,
		.virt_id = VIRT_ID,
	};

	call(c->fd, IOMMU_VIOMMU_ALLOC, &arg, "IOMMU_VIOMMU_ALLOC");
	c->viommu = arg.out_viommu_id;
	vdev.viommu_id = c->viommu;
	call(c->fd, IOMMU_VDEVICE_ALLOC, &vdev, "IOMMU_VDEVICE_ALLOC");
}

static void set_up(struct client *c)
{
	struct test_cmd cmd = { .size = sizeof(cmd), .op = TEST_DOMAIN_FLAGS };
	__u32 huge[2] = { 0, TEST_HUGE_TABLE };
	__u32 tag[2] = { 7, 0 };
	__u32 parent;
	char *memory;

	c->fd = open("/dev/iommu", O_RDWR);
	if (c->fd < 0) {
		perror("/dev/iommu");
		exit(1);
	}
	cmd.id = new_ioas(c->fd);
	call(c->fd, TEST_CMD, &cmd, "IOMMU_TEST_CMD");
	c->dev = cmd.w[2];
	parent = new_hwpt(c, cmd.id, IOMMU_HWPT_ALLOC_NEST_PARENT, NULL);
	c->nested[0] = new_hwpt(c, parent, 0, tag);
	c->nested[1] = new_hwpt(c, parent, 0, tag);
	new_viommu(c, parent);
	c->map_ioas = new_ioas(c->fd);
	new_hwpt(c, c->map_ioas, 0, huge);
	c->plain_ioas = new_ioas(c->fd);
	new_hwpt(c, c->plain_ioas, 0, NULL);
	memory = mmap(NULL, 2 * GIB + 2 * MIB, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	c->memory = memory + (-(uintptr_t)memory & (GIB - 1));
}

/* ---- invalidation ---- */

struct inval {
	struct client *c;
	__u32 id;
	__u32 entry_len;
	__u32 entries;
	int calls;
};

static void invalidate(void *p)
{
	const struct inval *inval = p;

	for (int i = 0; i < inval->calls; i++) {
		struct iommu_hwpt_invalidate arg = {
			.size = sizeof(arg),
			.hwpt_id = inval->id,
			.data_uptr = (uintptr_t)inval->c->entries,
			.data_type = TEST_OTHER_DATA,
			.entry_len = inval->entry_len,
			.entry_num = inval->entries,
		};

		call(inval->c->fd, IOMMU_HWPT_INVALIDATE, &arg,
		     "IOMMU_HWPT_INVALIDATE");
	}
}

/* {flags, cell} for a nested HWPT, {flags, virt_id, cell} for a vIOMMU */
static void fill(struct client *c, bool viommu)
{
	memset(c->entries, 0, sizeof(c->entries));
	for (__u32 i = 0; i < MAX_ENTRIES; i++) {
		if (viommu) {
			c->entries[3 * i + 1] = VIRT_ID;
			c->entries[3 * i + 2] = i % 4;
		} else {
			c->entries[2 * i + 1] = i % 4;
		}
	}
}

static void invalidations(struct client *c, bool viommu)
{
	static const __u32 counts[] = { 1, 16, 256, MAX_ENTRIES };
	__u32 budget = c->few ? 4096 : 1u << 16;
	struct bench_row row;
	char what[64];

	fill(c, viommu);
	for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct inval inval = {
			.c = c,
			.id = viommu ? c->viommu : c->nested[0],
			.entry_len = viommu ? 12 : 8,
			.entries = counts[i],
		};

		inval.calls = (int)(budget / (counts[i] + 15));
		inval.calls += !inval.calls;
		bench_measure(invalidate, NULL, &inval, (uint64_t)inval.calls,
			      &row);
		snprintf(what, sizeof(what), "%s, entries: %u",
			 viommu ? "vIOMMU" : "nested HWPT", counts[i]);
		bench_print(what, &row, counts[i]);
	}
}

struct pair {
	struct inval inval[2];
};

static void *thread(void *p)
{
	invalidate(p);
	return NULL;
}

static void both(void *p)
{
	struct pair *pair = p;
	pthread_t other;

	if (pthread_create(&other, NULL, thread, &pair->inval[1]))
		exit(1);
	invalidate(&pair->inval[0]);
	pthread_join(other, NULL);
}

/* As many calls of each thread as of the one: half the ns per call is best */
static void threads(struct client *c)
{
	struct pair pair;
	struct bench_row row;
	double one;
	int calls = c->few ? 300 : 20000;

	fill(c, false);
	for (int i = 0; i < 2; i++)
		pair.inval[i] = (struct inval){ c, c->nested[i], 8, 16, calls };
	bench_heading(
		"threads, ns per call of 16 entries (0.50: twice as many)");
	bench_measure(invalidate, NULL, &pair.inval[0], (uint64_t)calls, &row);
	one = row.median;
	bench_print("one thread", &row, 0);
	bench_measure(both, NULL, &pair, 2 * (uint64_t)calls, &row);
	print_ratio("two threads, two nested HWPTs", &row, row.median, one);
	pair.inval[1].id = c->nested[0];
	bench_measure(both, NULL, &pair, 2 * (uint64_t)calls, &row);
	print_ratio("two threads, one nested HWPT", &row, row.median, one);
}

/* ---- objects ---- */

struct objects {
	int fd;
	int calls;
};

static void alloc_destroy(void *p)
{
	const struct objects *objects = p;

	for (int i = 0; i < objects->calls; i++)
		destroy(objects->fd, new_ioas(objects->fd));
}

static void live_objects(struct client *c)
{
	static const int counts[] = { 10, 1000, 100000 };
	struct objects objects = { .calls = c->few ? 50 : 2000 };
	struct bench_row row;
	double first = 0;
	char what[64];

	bench_heading("IOAS_ALLOC and DESTROY, ns for both");
	objects.fd = open("/dev/iommu", O_RDWR);
	for (int i = 0, live = 0; i < (c->few ? 2 : 3); i++) {
		for (; live < counts[i]; live++)
			new_ioas(objects.fd);
		bench_measure(alloc_destroy, NULL, &objects,
			      (uint64_t)objects.calls, &row);
		snprintf(what, sizeof(what), "%d live", live);
		print_ratio(what, &row, row.median, first);
		first = first > 0 ? first : row.median;
	}
	close(objects.fd);
}

/* ---- mappings ---- */

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

	call(m->c->fd, IOMMU_IOAS_MAP, &arg, "IOMMU_IOAS_MAP");
}

static void unmap(const struct mapping *m)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = m->c->map_ioas,
		.iova = IOVA + m->iova_shift,
		.length = m->length,
	};

	call(m->c->fd, IOMMU_IOAS_UNMAP, &arg, "IOMMU_IOAS_UNMAP");
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

static void mapping(struct client *c, __u64 length, __u64 shift,
		    __u64 iova_shift, const char *name)
{
	struct mapping m = { c, length, shift, iova_shift, 0 };
	struct bench_row row;
	char what[64];

	bench_measure(map_once, unmap_last, &m, 1, &row);
	unmap(&m);
	snprintf(what, sizeof(what), "%s, map only", name);
	bench_print(what, &row, 0);
	m.calls = length > 4 * KIB || c->few ? 1 : 1000;
	bench_measure(map_unmap, NULL, &m, (uint64_t)m.calls, &row);
	snprintf(what, sizeof(what), "%s, map and unmap", name);
	bench_print(what, &row, 0);
}

/* Aligned to 1 GiB, or one of both to 4 KiB only */
static void mappings_of(struct client *c, __u64 length, const char *name)
{
	char what[40];

	snprintf(what, sizeof(what), "%s aligned", name);
	mapping(c, length, 0, 0, what);
	snprintf(what, sizeof(what), "%s address misaligned", name);
	mapping(c, length, 4 * KIB, 0, what);
	snprintf(what, sizeof(what), "%s IOVA misaligned", name);
	mapping(c, length, 0, 4 * KIB, what);
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

	call(c->fd, IOMMU_OPTION, &arg, "IOMMU_OPTION");
}

static void mappings(struct client *c)
{
	bench_heading(
		"IOAS_MAP and UNMAP with one HWPT, leaves of 4 KiB and 1 MiB, ns");
	mappings_of(c, 4 * KIB, "4 KiB");
	mappings_of(c, 2 * MIB, "2 MiB");
	mappings_of(c, GIB, "1 GiB");
	set_huge_pages(c, 0);
	mapping(c, 2 * MIB, 0, 0, "2 MiB, huge pages off");
	mapping(c, GIB, 0, 0, "1 GiB, huge pages off");
	set_huge_pages(c, 1);
	c->map_ioas = c->plain_ioas;
	bench_heading("the same, leaves of 2 KiB, 1 MiB and 512 MiB, ns");
	mapping(c, 4 * KIB, 0, 0, "4 KiB aligned");
	mapping(c, 2 * MIB, 0, 0, "2 MiB aligned");
	mapping(c, GIB, 0, 0, "1 GiB aligned");
}

static int calls(bool few)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return 1;
	c->few = few;
	set_up(c);
	bench_heading("HWPT_INVALIDATE, ns per call; last: ns per entry");
	invalidations(c, false);
	invalidations(c, true);
	threads(c);
	live_objects(c);
	mappings(c);
	free(c);
	return 0;
}

/* ---- what is none of iommufd's ---- */

#define OTHERS 50000

static void fionread(void *p)
{
	int queued;

	for (int i = 0; i < OTHERS; i++)
		ioctl(((int *)p)[0], FIONREAD, &queued);
}

static void stat_file(void *p)
{
	struct stat st;

	(void)p;
	for (int i = 0; i < OTHERS; i++)
		if (stat("/dev/null", &st))
			exit(1);
}

static void read_null(void *p)
{
	char byte;

	for (int i = 0; i < OTHERS; i++)
		if (read(((int *)p)[1], &byte, 1))
			exit(1);
}

static int others(char **baselines)
{
	static const struct {
		const char *name;
		void (*fn)(void *p);
	} rows[] = {
		{ "ioctl FIONREAD of a pipe", fionread },
		{ "stat", stat_file },
		{ "read of /dev/null", read_null },
	};
	struct bench_row row;
	int pipes[2], fds[2];

	if (pipe(pipes))
		return 1;
	fds[0] = pipes[0];
	fds[1] = open("/dev/null", O_RDONLY);
	for (int i = 0; i < 3; i++) {
		double baseline = *baselines ? atof(baselines[i]) : 0;

		bench_measure(rows[i].fn, NULL, fds, OTHERS, &row);
		print_ratio(rows[i].name, &row, row.min, baseline);
		if (!*baselines)
			dprintf(3, "%.1f ", row.min);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "calls"))
		return calls(!strcmp(argv[2], "FEW"));
	if ((argc == 2 || argc == 5) && !strcmp(argv[1], "others"))
		return others(argv + 2);
	fprintf(stderr, "usage: client_bench calls MANY|FEW | "
			"others [NS NS NS]\n");
	return 2;
}
