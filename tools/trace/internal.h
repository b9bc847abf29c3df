/* SPDX-License-Identifier: MIT */
/*
 * Between the files of the recording parser, and for its fuzzer: the parsers
 * proper work on memory; only source.c and the iterators touch files.
 */
#ifndef TOOLS_TRACE_INTERNAL_H
#define TOOLS_TRACE_INTERNAL_H

#include <lzma.h>

#include "trace.h"

#define TRACE_MAX_LINE	    1024
#define TRACE_MAX_META	    (4ULL << 20)
#define TRACE_MAX_INDEX	    (64ULL << 20)
#define TRACE_MAX_SNAPSHOTS 4096

/* Write "FILE:WHERE: what" to @err, if there is one, and return @rc. */
int trace_fail(struct trace_error *err, int rc, const char *file,
	       uint64_t where, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * A file, decompressed on the way if its name ends in .xz. Reading past @limit
 * bytes of output is refused with -EFBIG.
 */
struct trace_source {
	char *file;
	int fd;
	bool xz;
	bool ended;
	uint64_t limit;
	uint64_t total; /* bytes given out */
	lzma_stream stream;
	struct trace_error *err;
	uint8_t input[32768];
};

int trace_source_open(struct trace_source *src, const char *dir,
		      const char *name, uint64_t limit,
		      struct trace_error *err);
void trace_source_close(struct trace_source *src);

/* Fill @buf as far as the file reaches; *got is less than @len at its end. */
int trace_source_read(struct trace_source *src, void *buf, size_t len,
		      size_t *got);

/* Read the whole file, of any size up to the limit. */
int trace_source_all(struct trace_source *src, uint8_t **data, size_t *size);

/* The same for a file that must hold exactly @size bytes. */
int trace_source_exactly(struct trace_source *src, uint64_t size,
			 uint8_t **data);

/* Lines of a source, ended in place. */
struct trace_lines {
	struct trace_source src;
	uint64_t line; /* of the last one given out; the first is 1 */
	size_t pos;
	size_t end;
	bool eof;
	char buf[65536];
};

/* 1 with a line (NUL-terminated, without its newline), 0 at the end. */
int trace_lines_next(struct trace_lines *lines, char **text, size_t *len);

/* A word within a line: blanks for the log and the index, commas for rows. */
struct trace_cursor {
	char *pos;
	char *end;
	char separator;
	unsigned int field; /* number of the last field taken, from 1 */
	const char *what;   /* why taking failed */
};

void trace_cursor_init(struct trace_cursor *cur, char *line, size_t len,
		       char separator);
bool trace_take_hex(struct trace_cursor *cur, uint64_t *value);
bool trace_take_0x(struct trace_cursor *cur, uint64_t *value);
bool trace_take_dec(struct trace_cursor *cur, uint64_t *value);
bool trace_take_u32(struct trace_cursor *cur, uint32_t *value); /* hex */
bool trace_take_word(struct trace_cursor *cur, char **word);
bool trace_take_rest(struct trace_cursor *cur, const char **text);
bool trace_at_end(const struct trace_cursor *cur);
bool trace_expect_end(struct trace_cursor *cur);

/* @line is writable and NUL-terminated; strings of @ev point into it. */
int trace_parse_event(enum trace_iommu iommu, char *line, size_t len,
		      struct trace_event *ev, struct trace_cursor *cur);
int trace_parse_row(char *line, size_t len, struct trace_row *row,
		    struct trace_cursor *cur);

/* The message for a line that a parser above refused. */
int trace_fail_line(struct trace_error *err, const char *file, uint64_t line,
		    const struct trace_cursor *cur);

struct trace_index_entry {
	uint64_t snapshot;
	uint64_t addr;
	uint64_t page;
};

struct trace_index {
	struct trace_index_entry *entries;
	size_t nr;
	uint64_t nr_pages; /* distinct pages: what memory.bin must hold */
};

/* Sorted by (snapshot, address), as the counts in @meta say. Free entries. */
int trace_parse_index(char *text, size_t len, const char *file,
		      const struct trace_meta *meta, struct trace_index *out,
		      struct trace_error *err);

/* On failure @meta holds nothing; otherwise trace_meta_free() it. */
int trace_parse_meta(const char *text, size_t len, const char *file,
		     struct trace_meta *meta, struct trace_error *err);
void trace_meta_free(struct trace_meta *meta);

int trace_load_memory(struct trace *trace, struct trace_error *err);

#endif
