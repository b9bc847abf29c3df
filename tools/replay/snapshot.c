// SPDX-License-Identifier: MIT
/*
 * A snapshot on a machine of its own, whose caches are cold: its pages are the
 * memory, meta.json has the registers. Every leaf that an independent walker
 * found must be translated so, and what lies between leaves must fault.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

struct rows {
	struct trace_row *list;
	size_t nr;
	size_t room;
};

struct check {
	struct run *run;
	struct world *world;
	const struct trace_snapshot *snap;
	size_t number;
};

static int rows_add(struct rows *rows, const struct trace_row *row)
{
	struct trace_row *list;

	if (rows->nr == rows->room) {
		rows->room = rows->room ? rows->room * 2 : 256;
		list = reallocarray(rows->list, rows->room, sizeof(*list));
		if (!list)
			return -ENOMEM;
		rows->list = list;
	}
	rows->list[rows->nr++] = *row;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct trace_row *x = a;
	const struct trace_row *y = b;

	if (x->stream != y->stream)
		return x->stream < y->stream ? -1 : 1;
	if (x->substream != y->substream)
		return x->substream < y->substream ? -1 : 1;
	if (x->rid != y->rid)
		return x->rid ? -1 : 1;
	return x->iova < y->iova ? -1 : x->iova > y->iova;
}

static int rows_read(struct run *run, size_t snapshot, struct rows *rows)
{
	struct trace_rows *from;
	struct trace_row row;
	int rc = trace_rows_open(run->trace, snapshot, &from, &run->err);

	if (rc)
		return rc;
	while ((rc = trace_rows_next(from, &row)) > 0) {
		rc = rows_add(rows, &row);
		if (rc) {
			run_fail(run, rc, "no memory");
			break;
		}
	}
	trace_rows_close(from);
	if (!rc)
		qsort(rows->list, rows->nr, sizeof(row), by_place);
	return rc;
}

static int fill_memory(struct check *check)
{
	const struct trace_page_span *span;

	span = &check->run->trace->spans[check->number];
	for (size_t i = 0; i < span->nr; i++) {
		void *to = world_memory(check->world, span->pages[i].addr,
					TRACE_PAGE_SIZE);

		if (!to)
			return run_fail(check->run, -EBADMSG,
					"snapshot %zu: page %#" PRIx64
					" is not in the guest's memory",
					check->number, span->pages[i].addr);
		memcpy(to, span->pages[i].data, TRACE_PAGE_SIZE);
	}
	return 0;
}

static void wrong(const struct check *check, const struct culprit *c,
		  const char *expected, uint64_t pa,
		  const struct nestfd_translation *tr)
{
	run_wrong(check->run, WRONG_SNAPSHOT, c,
		  "snapshot %zu \"%s\": expected %s %#" PRIx64
		  "; got %s to %#" PRIx64 ", %s%s, event %#x",
		  check->number, check->snap->name, expected, pa,
		  tr->result == NESTFD_TRANSLATED ? "a translation" : "none",
		  tr->pa, tr->readable ? "r" : "", tr->writable ? "w" : "",
		  tr->event);
}

static int look(const struct check *check, const struct trace_row *row,
		uint64_t iova, struct culprit *c, struct nestfd_translation *tr)
{
	uint32_t pasid = check->run->arch->pasid(&check->snap->registers, row);
	struct world_stream *stream;
	int rc = world_stream(check->world, row->stream, &stream);

	if (rc) {
		check->run->err = check->world->err;
		return rc;
	}
	*c = (struct culprit){ .dev = stream->dev,
			       .stream = row->stream,
			       .pasid = pasid,
			       .iova = iova };
	if (!(row->perms & TRACE_ROW_R))
		c->flags |= NESTFD_DMA_WRITE;
	*tr = (struct nestfd_translation){ .size = sizeof(*tr) };
	rc = nestfd_translate(stream->dev, iova, pasid, c->flags, tr);
	return rc ? run_fail(check->run, rc, "translating: %s", strerror(-rc))
		  : 0;
}

/* The first and the last byte of a leaf */
static int check_end(const struct check *check, const struct trace_row *row,
		     uint64_t offset)
{
	struct nestfd_translation tr;
	uint64_t gpa = row->pa + offset;
	struct culprit c;
	uint64_t pa = 0;
	int rc = look(check, row, row->iova + offset, &c, &tr);

	if (rc)
		return rc;
	if (row->perms & TRACE_ROW_NO_AF) {
		if (tr.result != NESTFD_ABORTED ||
		    tr.event != check->run->arch->no_access_flag)
			wrong(check, &c, "an access flag fault at", gpa, &tr);
		return 0;
	}
	if (world_pa(check->world, gpa, &pa) ||
	    tr.result != NESTFD_TRANSLATED || tr.pa != pa ||
	    tr.readable != !!(row->perms & TRACE_ROW_R) ||
	    tr.writable != !!(row->perms & TRACE_ROW_W))
		wrong(check, &c, "the leaf's address", pa, &tr);
	return 0;
}

static int check_fault(const struct check *check, const struct trace_row *row,
		       uint64_t iova)
{
	const struct replay_span *other = &check->run->arch->not_memory;
	struct nestfd_translation tr;
	struct culprit c;
	int rc;

	if (iova - other->first < other->length)
		return 0;
	rc = look(check, row, iova, &c, &tr);
	if (rc)
		return rc;
	check->run->report->gaps++;
	if (tr.result != NESTFD_ABORTED ||
	    !check->run->arch->unmapped(tr.event))
		wrong(check, &c, "a translation fault at", iova, &tr);
	return 0;
}

/* Between two addresses that are mapped: first byte and middle; both excluded
 */
static int check_gap(const struct check *check, const struct trace_row *row,
		     uint64_t first, uint64_t behind)
{
	int rc;

	if (first >= behind)
		return 0;
	rc = check_fault(check, row, first);
	if (!rc && behind - first > 1)
		rc = check_fault(check, row, first + (behind - first) / 2);
	return rc;
}

static bool same_space(const struct trace_row *a, const struct trace_row *b)
{
	return a->stream == b->stream && a->substream == b->substream &&
	       a->rid == b->rid;
}

/* Rows are sorted; @i's leaf, and what lies before and behind it. */
static int check_row(const struct check *check, const struct rows *rows,
		     size_t i)
{
	const struct trace_row *row = &rows->list[i];
	const struct trace_row *next = row + 1;
	int rc = 0;

	check->run->report->rows++;
	if (!i || !same_space(row - 1, row)) {
		rc = check_gap(check, row, 0, row->iova);
		if (!rc && row->iova)
			rc = check_fault(check, row, row->iova - 1);
	}
	if (!rc)
		rc = check_end(check, row, 0);
	if (!rc)
		rc = check_end(check, row, row->size - 1);
	if (rc)
		return rc;
	if (i + 1 < rows->nr && same_space(row, next))
		return check_gap(check, row, row->iova + row->size, next->iova);
	if (row->iova + row->size > row->iova)
		return check_fault(check, row, row->iova + row->size);
	return 0;
}

static int check_rows(const struct check *check)
{
	struct rows rows = { 0 };
	int rc = rows_read(check->run, check->number, &rows);

	for (size_t i = 0; i < rows.nr && !rc; i++)
		rc = check_row(check, &rows, i);
	free(rows.list);
	return rc;
}

int snapshot_check(struct run *run, size_t snapshot)
{
	struct world_config config = {
		.meta = &run->trace->meta,
		.direct = run->options->direct,
		.cache = run->options->cache,
	};
	struct check check = {
		.run = run,
		.snap = &run->trace->meta.snapshots[snapshot],
		.number = snapshot,
	};
	int rc = world_create(&config, &check.world, &run->err);

	if (rc)
		return rc;
	rc = fill_memory(&check);
	if (!rc) {
		run->arch->set_up(check.world, &check.snap->registers);
		rc = check_rows(&check);
	}
	run->report->snapshots++;
	world_destroy(check.world);
	return rc;
}
