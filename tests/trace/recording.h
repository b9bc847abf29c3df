/* SPDX-License-Identifier: MIT */
/*
 * A small recording made by hand, of which tests change one thing and write
 * the result to a temporary folder.
 */
#ifndef TESTS_TRACE_RECORDING_H
#define TESTS_TRACE_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct part {
	const char *name;
	uint8_t *data;
	size_t len;
	bool absent;	    /* do not write this file */
	size_t cut;	    /* leave out so many bytes of the file's end */
	const char *append; /* put behind the file, after compression */
	size_t flip; /* invert the file's byte at this offset, if not 0 */
};

enum {
	PART_META,
	PART_COMMANDS,
	PART_LOG,
	PART_EVENTS,
	PART_INDEX,
	PART_MEMORY,
	PART_ROWS,
	NR_PARTS,
};

struct recording {
	struct part parts[NR_PARTS];
	char dir[64];
};

void recording_init(struct recording *rec);
/* One of VT-d in scalable mode, with commands of 32 bytes */
void recording_init_vtd(struct recording *rec);
void recording_free(struct recording *rec);

/* Replace the only place where @from stands; the test fails if there is none */
void recording_edit(struct recording *rec, int part, const char *from,
		    const char *to);

/* Let a part have @len bytes: cut off, or more zeroes. */
void recording_resize(struct recording *rec, int part, size_t len);

void recording_write(struct recording *rec);
void recording_remove(struct recording *rec);

#endif
