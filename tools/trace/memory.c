// SPDX-License-Identifier: MIT
/*
 * The table pages of the snapshots. memory.idx says which page of memory.bin
 * lies where; equal pages are stored once, so a page number is at most one
 * above all before it, and the size of memory.bin follows from the index.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static int bad_line(struct trace_error *err, const char *file, uint64_t line,
		    const char *what)
{
	return trace_fail(err, -EBADMSG, file, line, "%s", what);
}

static int check_entry(const struct trace_meta *meta,
		       const struct trace_index *sofar,
		       const struct trace_index_entry *entry, const char **what)
{
	const struct trace_index_entry *last = NULL;

	if (sofar->nr)
		last = &sofar->entries[sofar->nr - 1];
	if (entry->snapshot >= meta->nr_snapshots)
		*what = "there is no such snapshot";
	else if (entry->addr % TRACE_PAGE_SIZE)
		*what = "not the address of a page";
	else if (entry->addr < meta->ram_base ||
		 (entry->addr - meta->ram_base) >> 20 >= meta->ram_mib)
		*what = "the page is not in the guest's RAM";
	else if (last && (last->snapshot > entry->snapshot ||
			  (last->snapshot == entry->snapshot &&
			   last->addr >= entry->addr)))
		*what = "not in ascending order";
	else if (entry->page > sofar->nr_pages)
		*what = "the page number leaves a gap";
	else
		return 0;
	return -EBADMSG;
}

static int check_counts(const struct trace_meta *meta,
			const struct trace_index *index, const char *file,
			struct trace_error *err)
{
	size_t at = 0;
	size_t first;

	for (size_t s = 0; s < meta->nr_snapshots; s++) {
		first = at;
		while (at < index->nr && index->entries[at].snapshot == s)
			at++;
		if (at - first != meta->snapshots[s].pages)
			return trace_fail(
				err, -EBADMSG, file, at,
				"snapshot %zu has %zu pages, "
				"meta.json says %llu",
				s, at - first,
				(unsigned long long)meta->snapshots[s].pages);
	}
	return 0;
}

static int add_line(char *line, size_t len, const char *file,
		    const struct trace_meta *meta, struct trace_index *index,
		    struct trace_error *err)
{
	struct trace_index_entry entry;
	struct trace_cursor cur;
	const char *what;

	trace_cursor_init(&cur, line, len, ' ');
	if (!trace_take_dec(&cur, &entry.snapshot) ||
	    !trace_take_hex(&cur, &entry.addr) ||
	    !trace_take_dec(&cur, &entry.page) || !trace_expect_end(&cur))
		return trace_fail_line(err, file, index->nr + 1, &cur);
	if (check_entry(meta, index, &entry, &what))
		return bad_line(err, file, index->nr + 1, what);
	if (entry.page == index->nr_pages)
		index->nr_pages++;
	index->entries[index->nr++] = entry;
	return 0;
}

int trace_parse_index(char *text, size_t len, const char *file,
		      const struct trace_meta *meta, struct trace_index *out,
		      struct trace_error *err)
{
	struct trace_index index = { 0 };
	char *end = text + len;
	char *nl;
	size_t lines = 0;
	int rc = 0;

	for (char *c = text; c < end; c++)
		lines += *c == '\n';
	index.entries = calloc(lines + 1, sizeof(*index.entries));
	if (!index.entries)
		return trace_fail(err, -ENOMEM, file, 0, "out of memory");
	for (char *line = text; !rc && line < end; line = nl + 1) {
		nl = memchr(line, '\n', (size_t)(end - line));
		if (!nl) {
			rc = bad_line(err, file, lines + 1,
				      "the last line ends early");
			break;
		}
		rc = add_line(line, (size_t)(nl - line), file, meta, &index,
			      err);
	}
	if (!rc)
		rc = check_counts(meta, &index, file, err);
	if (rc)
		free(index.entries);
	else
		*out = index;
	return rc;
}

static int load_index(struct trace *trace, struct trace_index *index,
		      struct trace_error *err)
{
	struct trace_source *src = malloc(sizeof(*src));
	uint8_t *text;
	size_t len;
	int rc;

	if (!src)
		return trace_fail(err, -ENOMEM, "memory.idx", 0,
				  "out of memory");
	rc = trace_source_open(src, trace->path, "memory.idx", TRACE_MAX_INDEX,
			       err);
	if (rc)
		goto free_src;
	rc = trace_source_all(src, &text, &len);
	if (rc)
		goto close_src;
	rc = trace_parse_index((char *)text, len, src->file, &trace->meta,
			       index, err);
	free(text);
close_src:
	trace_source_close(src);
free_src:
	free(src);
	return rc;
}

static int load_pages(struct trace *trace, uint64_t nr_pages,
		      struct trace_error *err)
{
	struct trace_source *src = malloc(sizeof(*src));
	uint64_t size = nr_pages * TRACE_PAGE_SIZE;
	int rc;

	if (!src)
		return trace_fail(err, -ENOMEM, "memory.bin.xz", 0,
				  "out of memory");
	rc = trace_source_open(src, trace->path, "memory.bin.xz", 0, err);
	if (rc)
		goto free_src;
	if (size > TRACE_MAX_BYTES)
		rc = trace_fail(err, -EFBIG, src->file, 0,
				"%llu pages are too many",
				(unsigned long long)nr_pages);
	else
		rc = trace_source_exactly(src, size, &trace->page_data);
	trace_source_close(src);
free_src:
	free(src);
	return rc;
}

int trace_load_memory(struct trace *trace, struct trace_error *err)
{
	struct trace_index index;
	struct trace_page_span *span;
	int rc;

	rc = load_index(trace, &index, err);
	if (rc)
		return rc;
	rc = load_pages(trace, index.nr_pages, err);
	if (rc)
		goto free_index;
	trace->pages = calloc(index.nr + 1, sizeof(*trace->pages));
	trace->spans =
		calloc(trace->meta.nr_snapshots + 1, sizeof(*trace->spans));
	if (!trace->pages || !trace->spans) {
		rc = trace_fail(err, -ENOMEM, "memory.idx", 0, "out of memory");
		goto free_index;
	}
	for (size_t i = 0; i < index.nr; i++) {
		trace->pages[i].addr = index.entries[i].addr;
		trace->pages[i].data = trace->page_data +
				       index.entries[i].page * TRACE_PAGE_SIZE;
		span = &trace->spans[index.entries[i].snapshot];
		if (!span->nr++)
			span->pages = &trace->pages[i];
	}
free_index:
	free(index.entries);
	return rc;
}

static int compare_page(const void *key, const void *element)
{
	uint64_t addr = *(const uint64_t *)key;
	const struct trace_page *page = element;

	return (addr > page->addr) - (addr < page->addr);
}

const uint8_t *trace_page_at(const struct trace *trace, size_t snapshot,
			     uint64_t addr)
{
	const struct trace_page_span *span;
	const struct trace_page *page;

	if (snapshot >= trace->meta.nr_snapshots)
		return NULL;
	span = &trace->spans[snapshot];
	if (!span->nr)
		return NULL;
	page = bsearch(&addr, span->pages, span->nr, sizeof(*page),
		       compare_page);
	return page ? page->data : NULL;
}
