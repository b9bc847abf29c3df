// SPDX-License-Identifier: MIT
/*
 * translations.csv: one mapped leaf per row, the snapshots in ascending order.
 * Rows of the snapshots before the wanted one are parsed and counted as well,
 * so that a row out of place is found by whoever reads on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define HEADER "snapshot,stream,substream,iova,pa,size,perms,descriptor"

struct trace_rows {
	const struct trace_meta *meta;
	uint64_t wanted;
	uint64_t snapshot; /* the rows of which are being counted */
	uint64_t seen;
	bool finished;
	struct trace_lines lines;
};

static bool refuse(struct trace_cursor *cur, const char *what)
{
	cur->what = what;
	return false;
}

static bool take_stream(struct trace_cursor *cur, uint32_t *stream)
{
	uint64_t v;

	if (!trace_take_0x(cur, &v))
		return false;
	if (v > UINT32_MAX)
		return refuse(cur, "does not fit 32 bits");
	*stream = (uint32_t)v;
	return true;
}

static bool take_substream(struct trace_cursor *cur, struct trace_row *row)
{
	uint64_t v;
	char *word;

	if (cur->pos < cur->end && *cur->pos == 'r') {
		if (!trace_take_word(cur, &word))
			return false;
		row->rid = true;
		return !strcmp(word, "rid") || refuse(cur, "not a substream");
	}
	if (!trace_take_dec(cur, &v))
		return false;
	if (v > UINT32_MAX)
		return refuse(cur, "does not fit 32 bits");
	row->substream = (uint32_t)v;
	return true;
}

static bool take_perms(struct trace_cursor *cur, uint8_t *perms)
{
	static const char no_af[] = "noAF";
	uint8_t out = 0;
	char *word;

	if (!trace_take_word(cur, &word))
		return false;
	for (char *c = word; *c; c++) {
		if (*c == 'r') {
			out |= TRACE_ROW_R;
		} else if (*c == 'w') {
			out |= TRACE_ROW_W;
		} else if (*c == 'u') {
			out |= TRACE_ROW_USER;
		} else if (!strncmp(c, no_af, strlen(no_af))) {
			out |= TRACE_ROW_NO_AF;
			c += strlen(no_af) - 1;
		} else if (*c != '-') {
			return refuse(cur, "not permissions");
		}
	}
	*perms = out;
	return true;
}

static bool take_leaf(struct trace_cursor *cur, struct trace_row *row)
{
	if (!trace_take_0x(cur, &row->iova) || !trace_take_0x(cur, &row->pa) ||
	    !trace_take_0x(cur, &row->size))
		return false;
	if (!row->size || (row->size & (row->size - 1)))
		return refuse(cur, "not a power of two");
	if ((row->iova | row->pa) & (row->size - 1))
		return refuse(cur, "the leaf is not aligned to its size");
	return true;
}

int trace_parse_row(char *line, size_t len, struct trace_row *row,
		    struct trace_cursor *cur)
{
	struct trace_row out = { 0 };

	trace_cursor_init(cur, line, len, ',');
	if (!trace_take_dec(cur, &out.snapshot) ||
	    !take_stream(cur, &out.stream) || !take_substream(cur, &out) ||
	    !take_leaf(cur, &out) || !take_perms(cur, &out.perms) ||
	    !trace_take_0x(cur, &out.descriptor) || !trace_expect_end(cur))
		return -EBADMSG;
	*row = out;
	return 0;
}

static int bad_row(struct trace_rows *rows, const char *what)
{
	return trace_fail(rows->lines.src.err, -EBADMSG, rows->lines.src.file,
			  rows->lines.line, "%s", what);
}

static int read_header(struct trace_rows *rows)
{
	char *text;
	size_t len;
	int rc;

	rc = trace_lines_next(&rows->lines, &text, &len);
	if (rc < 0)
		return rc;
	if (!rc || strcmp(text, HEADER))
		return bad_row(rows, "the header is not the expected one");
	return 0;
}

int trace_rows_open(const struct trace *trace, size_t snapshot,
		    struct trace_rows **out, struct trace_error *err)
{
	struct trace_rows *rows;
	int rc;

	if (snapshot >= trace->meta.nr_snapshots)
		return trace_fail(err, -ENOENT, trace->path, 0,
				  "there is no snapshot %zu", snapshot);
	rows = calloc(1, sizeof(*rows));
	if (!rows)
		return trace_fail(err, -ENOMEM, trace->path, 0,
				  "out of memory");
	rows->meta = &trace->meta;
	rows->wanted = snapshot;
	rc = trace_source_open(&rows->lines.src, trace->path,
			       "translations.csv.xz", TRACE_MAX_BYTES, err);
	if (rc)
		goto free_rows;
	rc = read_header(rows);
	if (rc)
		goto close_source;
	*out = rows;
	return 0;

close_source:
	trace_source_close(&rows->lines.src);
free_rows:
	free(rows);
	return rc;
}

/* All snapshots before @next must have had the leaves that were announced. */
static int advance(struct trace_rows *rows, uint64_t next)
{
	while (rows->snapshot < next) {
		if (rows->seen != rows->meta->snapshots[rows->snapshot].leaves)
			return bad_row(rows, "the number of rows before this "
					     "is not what meta.json says");
		rows->snapshot++;
		rows->seen = 0;
	}
	return 0;
}

static int next_row(struct trace_rows *rows, struct trace_row *row)
{
	struct trace_cursor cur;
	char *text;
	size_t len;
	int rc;

	rc = trace_lines_next(&rows->lines, &text, &len);
	if (rc <= 0)
		return rc;
	rc = trace_parse_row(text, len, row, &cur);
	if (rc)
		return trace_fail_line(rows->lines.src.err,
				       rows->lines.src.file, rows->lines.line,
				       &cur);
	if (row->snapshot >= rows->meta->nr_snapshots)
		return bad_row(rows, "there is no such snapshot");
	if (row->snapshot < rows->snapshot)
		return bad_row(rows, "the snapshots are not in order");
	return 1;
}

int trace_rows_next(struct trace_rows *rows, struct trace_row *row)
{
	struct trace_row out;
	int rc;

	while (!rows->finished) {
		rc = next_row(rows, &out);
		if (rc < 0)
			return rc;
		if (!rc || out.snapshot > rows->wanted) {
			rc = advance(rows, rows->wanted + 1);
			if (rc)
				return rc;
			rows->finished = true;
			break;
		}
		rc = advance(rows, out.snapshot);
		if (rc)
			return rc;
		rows->seen++;
		if (out.snapshot == rows->wanted) {
			*row = out;
			return 1;
		}
	}
	return 0;
}

void trace_rows_close(struct trace_rows *rows)
{
	if (!rows)
		return;
	trace_source_close(&rows->lines.src);
	free(rows);
}
