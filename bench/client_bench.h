/* SPDX-License-Identifier: MIT */
/*
 * What the parts of client_bench share: a client of /dev/iommu that knows libc
 * and linux/iommufd.h only, and how its rows are printed.
 */
#ifndef BENCH_CLIENT_BENCH_H
#define BENCH_CLIENT_BENCH_H

#include <linux/iommufd.h>
#include <stdbool.h>

#include "bench.h"

#define CLIENT_OTHER_DATA 0xdeadbeefu /* of vIOMMUs and of invalidations */
#define CLIENT_ENTRIES	  4096u	      /* at most */

struct client {
	bool few; /* each call is dear: do not wait for many */
	int fd;
	__u32 dev;
	__u32 nested[2];
	__u32 viommu;
	__u32 parent;
	__u32 map_ioas;
	__u32 plain_ioas;
	__u32 bare_ioas; /* without a HWPT */
	char *memory;	 /* 1 GiB at a multiple of it, and 2 MiB more */
	__u32 entries[CLIENT_ENTRIES * 3];
};

/* ioctl() that must succeed */
void client_call(int fd, unsigned long nr, void *arg, const char *what);

struct client_inval {
	const struct client *c;
	__u32 id;
	__u32 entry_len;
	__u32 entries;
	int calls;
};

/* A struct client_inval */
void client_invalidate(void *p);
/* {flags, cell} for a nested HWPT, {flags, virt_id, cell} for a vIOMMU */
void client_fill(struct client *c, bool viommu);

/* As bench_heading() without its columns */
void client_heading(const char *text, const char *columns);
/* ns, and how the median is to what it should be at most; 0: no aim */
void client_print(const char *what, const struct bench_row *row, double aim);
/* A ratio that should be @aim; 0 for one that is not known, and for no aim */
void client_print_ratio(const char *what, const struct bench_row *row,
			double ratio, double aim);

void client_threads(struct client *c);
void client_mappings(struct client *c);
/* @baselines: ns of each row without nestfd, or NULL */
int client_others(char **baselines);

#endif
