/* SPDX-License-Identifier: MIT */
/* The ABI's structs as a table, for trace.c. */
#ifndef SHIM_TRACE_TABLE_H
#define SHIM_TRACE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct trace_name {
	uint64_t value;
	const char *name;
};

enum trace_kind {
	TRACE_DEC,
	TRACE_INT, /* signed */
	TRACE_HEX,
	TRACE_ENUM,	/* one of @names */
	TRACE_FLAGS,	/* bits of @names */
	TRACE_RESERVED, /* shown only if it is not zero */
};

#define TRACE_IN  1
#define TRACE_OUT 2

struct trace_field {
	const char *name;
	uint8_t offset;
	uint8_t size; /* bytes: 1, 2, 4, 8 */
	uint8_t kind; /* enum trace_kind */
	uint8_t way;  /* TRACE_IN, TRACE_OUT */
	const struct trace_name *names;
};

/* What a pointer of the struct leads to */
enum trace_data {
	TRACE_NO_DATA,
	TRACE_STE,	 /* hwpt_alloc: words of data_len bytes */
	TRACE_ENTRIES,	 /* hwpt_invalidate: entry_num of entry_len bytes */
	TRACE_RANGES_IN, /* num_iovas pairs */
	TRACE_RANGES_OUT,
	TRACE_HW_INFO, /* out: data_len bytes, 32-bit words */
	TRACE_RING,    /* *q_cons_uptr, and entries from there on */
	TRACE_WORDS,   /* no pointer: the rest of the struct, 64-bit words */
};

struct trace_command {
	const char *name;
	/* Ends with a NULL name; NULL if the argument is no pointer */
	const struct trace_field *fields;
	uint8_t size;
	uint8_t data;			 /* enum trace_data */
	const struct trace_name *values; /* of an argument that is none */
};

/* By number; NULL for none */
const struct trace_command *trace_find(unsigned int nr);

extern const struct trace_name trace_smmuv3_ops[];

#endif
