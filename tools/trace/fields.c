// SPDX-License-Identifier: MIT
/* Writing the fields of a record. See fields.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "fields.h"

void text_put(struct writer *w, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(w->at, w->left, fmt, args);
	va_end(args);
	if (n < 0 || !w->left)
		return;
	if ((size_t)n >= w->left)
		n = (int)w->left - 1;
	w->at += n;
	w->left -= (size_t)n;
}

static uint64_t field_mask(const struct field *f)
{
	return (~0ULL >> (63 - f->high)) & (~0ULL << f->low);
}

static void put_field(struct writer *w, const struct field *f, uint64_t word)
{
	uint64_t value = (word & field_mask(f)) >> f->low;

	switch (f->show) {
	case SHOW_DEC:
		text_put(w, " %s=%" PRIu64, f->name, value);
		break;
	case SHOW_HEX:
		text_put(w, " %s=%#" PRIx64, f->name, value);
		break;
	case SHOW_ADDR:
		text_put(w, " %s=%#" PRIx64, f->name, word & field_mask(f));
		break;
	case SHOW_FLAG:
		if (value)
			text_put(w, " %s", f->name);
		break;
	}
}

void text_fields(struct writer *w, const struct field *fields,
		 const uint64_t *words, uint64_t *known)
{
	for (const struct field *f = fields; f->name; f++) {
		put_field(w, f, words[f->word]);
		known[f->word] |= field_mask(f);
	}
}

void text_other(struct writer *w, const uint64_t *words, const uint64_t *known,
		unsigned int nr)
{
	uint64_t any = 0;

	for (unsigned int i = 0; i < nr; i++)
		any |= words[i] & ~known[i];
	if (!any)
		return;
	text_put(w, " other=");
	for (unsigned int i = 0; i < nr; i++)
		text_put(w, "%s%" PRIx64, i ? ":" : "", words[i] & ~known[i]);
}

void text_record(const char *name, const struct field *fields,
		 const uint64_t *words, unsigned int nr, char *text,
		 size_t size)
{
	struct writer w = { text, size };
	uint64_t known[8] = { 0 };

	text_put(&w, "%s", name);
	text_fields(&w, fields, words, known);
	text_other(&w, words, known, nr);
}

const struct layout *text_layout(const struct layout *all, size_t nr,
				 uint64_t code)
{
	for (size_t i = 0; i < nr; i++)
		if (all[i].code == code)
			return &all[i];
	return NULL;
}
