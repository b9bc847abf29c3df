/* SPDX-License-Identifier: MIT */
/*
 * Records as text: a layout is a list of fields, each with its place as
 * high:low bit of a doubleword. One table per structure; smmuv3.c and vtd.c
 * have them.
 */
#ifndef TOOLS_TRACE_FIELDS_H
#define TOOLS_TRACE_FIELDS_H

#include <stddef.h>
#include <stdint.h>

enum show {
	SHOW_DEC,
	SHOW_HEX,
	SHOW_ADDR, /* in place: the bits below are zero, not cut off */
	SHOW_FLAG, /* only the name, and only if set */
};

struct field {
	const char *name;
	uint8_t word;
	uint8_t high;
	uint8_t low;
	uint8_t show;
};

struct layout {
	uint8_t code;
	const char *name;
	const struct field *fields; /* ended by one without a name */
};

#define END       \
	{         \
		0 \
	}

/* Where the text goes; what does not fit is cut off. */
struct writer {
	char *at;
	size_t left;
};

void text_put(struct writer *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* @known: bits of each word that were shown already */
void text_fields(struct writer *w, const struct field *fields,
		 const uint64_t *words, uint64_t *known);

/* "other=" with the bits of @nr words that belong to no field, if any is set */
void text_other(struct writer *w, const uint64_t *words, const uint64_t *known,
		unsigned int nr);

/* A record of @nr words that has only one layout: @name, and all of that */
void text_record(const char *name, const struct field *fields,
		 const uint64_t *words, unsigned int nr, char *text,
		 size_t size);

/* NULL if none has @code */
const struct layout *text_layout(const struct layout *all, size_t nr,
				 uint64_t code);

#endif
