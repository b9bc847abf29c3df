// SPDX-License-Identifier: MIT
/*
 * What a program under `nestfd run --iommu mock` pays, from its own side.
 * usage:
 * client_bench calls MANY|FEW: iommufd's calls; FEW where each is dear
 * client_bench others [NS NS NS]: calls that are none of iommufd's, the ratios
 * of their minima (medians are too noisy for this) to those; without them, the
 * minima are also written to fd 3
 *
 * Aims are what Linux 7.2 needs for the body of a call; the machine's own speed
 * comes first, to judge them by.
 */
#include "client_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Numbers of Linux's drivers/iommu/iommufd/iommufd_test.h */
#define TEST_CMD	  _IO(';', 0xa0)
#define TEST_DOMAIN_FLAGS 12
#define TEST_HWPT_DATA	  0xdeadu
#define TEST_HUGE_TABLE	  1u /* leaves of 1 MiB where they fit */

struct test_cmd {
	__u32 size;
	__u32 op;
	__u32 id;
	__u32 reserved;
	__u32 w[14];
};

#define VIRT_ID 5u
#define MIB	(1024 * 1024ULL)
#define GIB	(1024 * MIB)

/* ---- printing ---- */

void client_heading(const char *text, const char *columns)
{
	printf("\n%s\n  %-44s %9s %9s %9s%s\n", text, "", "min", "median",
	       "max", columns);
}

static void print_ns(const char *what, const struct bench_row *row)
{
	printf("  %-44s %9.1f %9.1f %9.1f", what, row->min, row->median,
	       row->max);
}

static void print_end(void)
{
	puts("");
	fflush(stdout);
}

void client_print(const char *what, const struct bench_row *row, double aim)
{
	print_ns(what, row);
	if (aim > 0)
		printf(" %10.0f  %.2g", aim, row->median / aim);
	print_end();
}

void client_print_ratio(const char *what, const struct bench_row *row,
			double ratio, double aim)
{
	print_ns(what, row);
	if (ratio > 0)
		printf("  %.2f", ratio);
	if (aim > 0)
		printf("  %.2f", aim);
	print_end();
}

/* ---- setting up ---- */

void client_call(int fd, unsigned long nr, void *arg, const char *what)
{
	if (!ioctl(fd, nr, arg))
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static __u32 new_ioas(int fd)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };

	client_call(fd, IOMMU_IOAS_ALLOC, &arg, "IOMMU_IOAS_ALLOC");
	return arg.out_ioas_id;
}

static void destroy(int fd, __u32 id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	client_call(fd, IOMMU_DESTROY, &arg, "IOMMU_DESTROY");
}

static __u32 new_hwpt(const struct client *c, __u32 pt, __u32 flags,
		      __u32 *data)
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

	client_call(c->fd, IOMMU_HWPT_ALLOC, &arg, "IOMMU_HWPT_ALLOC");
	return arg.out_hwpt_id;
}

static void new_viommu(struct client *c, __u32 parent)
{
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = CLIENT_OTHER_DATA,
		.dev_id = c->dev,
		.hwpt_id = parent,
	};
	struct iommu_vdevice_alloc vdev = {
		.size = sizeof(vdev),
		.dev_id = c->dev,
		.virt_id = VIRT_ID,
	};

	client_call(c->fd, IOMMU_VIOMMU_ALLOC, &arg, "IOMMU_VIOMMU_ALLOC");
	c->viommu = arg.out_viommu_id;
	vdev.viommu_id = c->viommu;
	client_call(c->fd, IOMMU_VDEVICE_ALLOC, &vdev, "IOMMU_VDEVICE_ALLOC");
}

static void set_up(struct client *c)
{
	struct test_cmd cmd = { .size = sizeof(cmd), .op = TEST_DOMAIN_FLAGS };
	__u32 huge[2] = { 0, TEST_HUGE_TABLE };
	__u32 tag[2] = { 7, 0 };
	char *memory;

	c->fd = open("/dev/iommu", O_RDWR);
	if (c->fd < 0) {
		perror("/dev/iommu");
		exit(1);
	}
	cmd.id = new_ioas(c->fd);
	client_call(c->fd, TEST_CMD, &cmd, "IOMMU_TEST_CMD");
	c->dev = cmd.w[2];
	c->parent = new_hwpt(c, cmd.id, IOMMU_HWPT_ALLOC_NEST_PARENT, NULL);
	c->nested[0] = new_hwpt(c, c->parent, 0, tag);
	c->nested[1] = new_hwpt(c, c->parent, 0, tag);
	new_viommu(c, c->parent);
	c->map_ioas = new_ioas(c->fd);
	new_hwpt(c, c->map_ioas, 0, huge);
	c->bare_ioas = new_ioas(c->fd);
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

/* ---- the machine ---- */

#define SYSCALLS 20000

static void get_parent(void *p)
{
	(void)p;
	for (int i = 0; i < SYSCALLS; i++)
		getppid();
}

static void wrong_ioctl(void *p)
{
	for (int i = 0; i < SYSCALLS; i++)
		ioctl(*(int *)p, _IO('n', 0xff), NULL);
}

static void machine(struct bench_machine *m)
{
	int null = open("/dev/null", O_RDONLY);
	struct bench_row row;

	bench_machine(m);
	bench_measure(get_parent, NULL, NULL, SYSCALLS, &row);
	bench_print("getppid, a system call", &row, 0);
	bench_measure(wrong_ioctl, NULL, &null, SYSCALLS, &row);
	bench_print("ioctl that /dev/null does not know", &row, 0);
	close(null);
}

/* ---- invalidation ---- */

void client_invalidate(void *p)
{
	const struct client_inval *inval = p;

	for (int i = 0; i < inval->calls; i++) {
		struct iommu_hwpt_invalidate arg = {
			.size = sizeof(arg),
			.hwpt_id = inval->id,
			.data_uptr = (uintptr_t)inval->c->entries,
			.data_type = CLIENT_OTHER_DATA,
			.entry_len = inval->entry_len,
			.entry_num = inval->entries,
		};

		client_call(inval->c->fd, IOMMU_HWPT_INVALIDATE, &arg,
			    "IOMMU_HWPT_INVALIDATE");
	}
}

void client_fill(struct client *c, bool viommu)
{
	memset(c->entries, 0, sizeof(c->entries));
	for (__u32 i = 0; i < CLIENT_ENTRIES; i++) {
		if (viommu) {
			c->entries[3 * i + 1] = VIRT_ID;
			c->entries[3 * i + 2] = i % 4;
		} else {
			c->entries[2 * i + 1] = i % 4;
		}
	}
}

static void invalidations(struct client *c, bool viommu, double check)
{
	static const struct {
		__u32 entries;
		double aims[2];
	} rows[] = {
		{ 0, { 200, 0 } }, /* the probe for a data type */
		{ 1, { 300, 340 } },	 { 16, { 550, 820 } },
		{ 256, { 5000, 8700 } }, { CLIENT_ENTRIES, { 74000, 135000 } },
	};
	__u32 budget = c->few ? 4096 : 1u << 16;
	struct bench_row row;
	char what[64];

	client_fill(c, viommu);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double entries = rows[i].entries;
		double aim = c->few ? 0 : rows[i].aims[viommu];
		struct client_inval inval = {
			.c = c,
			.id = viommu ? c->viommu : c->nested[0],
			.entry_len = viommu ? 12 : 8,
			.entries = rows[i].entries,
		};

		if (!rows[i].entries && viommu)
			continue; /* the mock's vIOMMU, as Linux's: EINVAL */
		inval.calls = (int)(budget / (rows[i].entries + 15));
		inval.calls += !inval.calls;
		bench_measure(client_invalidate, NULL, &inval,
			      (uint64_t)inval.calls, &row);
		snprintf(what, sizeof(what), "%s, entries: %u",
			 viommu ? "vIOMMU" : "nested HWPT", rows[i].entries);
		if (!rows[i].entries) {
			client_print(what, &row, aim);
			continue;
		}
		print_ns(what, &row);
		printf(" %9.1f %7.1f", row.median / entries,
		       row.median / entries / check);
		if (aim > 0)
			printf(" %8.0f %7.1f  %.2f", aim, aim / entries,
			       row.median / aim);
		print_end();
	}
}

/* ---- objects ---- */

struct objects {
	int fd;
	int calls;
};

struct tables {
	const struct client *c;
	__u32 pt;
	bool nested;
	int calls;
};

static void alloc_destroy_hwpt(void *p)
{
	const struct tables *tables = p;
	__u32 tag[2] = { 7, 0 };

	for (int i = 0; i < tables->calls; i++)
		destroy(tables->c->fd, new_hwpt(tables->c, tables->pt, 0,
						tables->nested ? tag : NULL));
}

/* Before anything is mapped: a new HWPT is filled with its IOAS's mappings. */
static void hwpts(struct client *c)
{
	struct tables tables = { c, c->parent, true, c->few ? 50 : 2000 };
	struct bench_row row;

	client_heading("HWPT_ALLOC and DESTROY, ns for both",
		       c->few ? "" : "        aim  of it");
	bench_measure(alloc_destroy_hwpt, NULL, &tables, (uint64_t)tables.calls,
		      &row);
	client_print("nested HWPT", &row, c->few ? 0 : 1000);
	tables.pt = c->plain_ioas;
	tables.nested = false;
	bench_measure(alloc_destroy_hwpt, NULL, &tables, (uint64_t)tables.calls,
		      &row);
	client_print("paging HWPT", &row, c->few ? 0 : 5200);
}

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

	client_heading(
		"IOAS_ALLOC and DESTROY, ns for both (Linux: 700 to 900)",
		"  to 10 live, aim");
	objects.fd = open("/dev/iommu", O_RDWR);
	for (int i = 0, live = 0; i < 3; i++) {
		for (; live < counts[i]; live++)
			new_ioas(objects.fd);
		bench_measure(alloc_destroy, NULL, &objects,
			      (uint64_t)objects.calls, &row);
		first = first > 0 ? first : row.median;
		snprintf(what, sizeof(what), "%d live", live);
		client_print_ratio(what, &row, row.median / first, 1);
	}
	close(objects.fd);
}

static int calls(bool few)
{
	struct client *c = calloc(1, sizeof(*c));
	struct bench_machine m;

	if (!c)
		return 1;
	c->few = few;
	set_up(c);
	machine(&m);
	client_heading("HWPT_INVALIDATE, ns per call",
		       few ? " per entry / check"
			   : " per entry / check     aim an entry  of it");
	invalidations(c, false, m.validate);
	invalidations(c, true, m.validate);
	client_threads(c);
	live_objects(c);
	hwpts(c);
	client_mappings(c);
	free(c);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "calls"))
		return calls(!strcmp(argv[2], "FEW"));
	if ((argc == 2 || argc == 5) && !strcmp(argv[1], "others"))
		return client_others(argc == 5 ? argv + 2 : NULL);
	fprintf(stderr, "usage: client_bench calls MANY|FEW | "
			"others [NS NS NS]\n");
	return 2;
}
