/* SPDX-License-Identifier: MIT */
/*
 * One call on /dev/iommu in words, as strace tells of system calls:
 *
 *	ioctl(3, IOMMU_IOAS_ALLOC, {size=12, flags=0} => {out_ioas_id=1}) = 0
 *
 * What the caller passed stands before "=>", what it got behind. A struct is
 * read once before the call and once after it, by a function that the user
 * supplies, since its memory may be missing.
 */
#ifndef SHIM_TRACE_H
#define SHIM_TRACE_H

#include <stddef.h>
#include <stdint.h>

/* Longer lines are cut, with "..." */
#define TRACE_LINE 2048
/* The most of a struct that is looked at; the largest known one has 56 */
#define TRACE_ARG 72

struct trace_mem {
	/* 0, or a negative errno with nothing promised about @dst */
	int (*read)(void *ctx, void *dst, uint64_t addr, size_t len);
	void *ctx;
};

struct trace_command;

struct trace_line {
	const struct trace_command *command; /* NULL: nobody's */
	struct trace_mem mem;
	uint64_t arg;
	uint32_t known; /* bytes of the struct that @in and the table have */
	unsigned char in[TRACE_ARG];
	size_t used;
	char text[TRACE_LINE];
};

/* Before the call: starts the line. */
void trace_enter(struct trace_line *line, int fd, unsigned long cmd,
		 uint64_t arg, const struct trace_mem *mem);
/* After it: @rc is 0 or more, or a negative errno. Ends with a newline. */
void trace_exit(struct trace_line *line, long rc);

/* Other calls: their text up to the result, then trace_exit(). */
void trace_text(struct trace_line *line, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "IOMMU_DESTROY" for 0x80; NULL for no command of iommufd or ext.h */
const char *trace_command_name(unsigned int nr);

/* "EINVAL" for 22; NULL for one that nestfd never answers */
const char *trace_errno_name(int error);

#endif
