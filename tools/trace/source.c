// SPDX-License-Identifier: MIT
/*
 * Files of a recording as streams of bytes and of lines. Decompression is
 * bounded in output by the caller's limit and in memory by MEMORY_LIMIT, so a
 * small file cannot ask for an unbounded amount of either.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define MEMORY_LIMIT (256ULL << 20)
#define FIRST_CHUNK  65536

/* A message may quote the recording. */
static void keep_one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

int trace_fail(struct trace_error *err, int rc, const char *file,
	       uint64_t where, const char *fmt, ...)
{
	va_list args;
	int used;

	if (!err)
		return rc;
	used = snprintf(err->text, sizeof(err->text), "%s:%llu: ", file,
			(unsigned long long)where);
	if (used < 0 || (size_t)used >= sizeof(err->text))
		return rc;
	va_start(args, fmt);
	vsnprintf(err->text + used, sizeof(err->text) - (size_t)used, fmt,
		  args);
	va_end(args);
	keep_one_line(err->text);
	return rc;
}

/* O_NONBLOCK: a FIFO in the place of a file must not hang us. */
static int open_regular(const char *file, struct trace_error *err)
{
	struct stat st;
	int fd;
	int rc;

	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		rc = -errno;
		return trace_fail(err, rc, file, 0, "%s", strerror(-rc));
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return trace_fail(err, -EBADMSG, file, 0, "not a regular file");
	}
	return fd;
}

int trace_source_open(struct trace_source *src, const char *dir,
		      const char *name, uint64_t limit, struct trace_error *err)
{
	size_t len = strlen(name);
	int rc;

	src->stream = (lzma_stream)LZMA_STREAM_INIT;
	src->xz = len > 3 && !strcmp(name + len - 3, ".xz");
	src->ended = false;
	src->limit = limit;
	src->total = 0;
	src->err = err;
	if (asprintf(&src->file, "%s/%s", dir, name) < 0)
		return trace_fail(err, -ENOMEM, name, 0, "out of memory");
	src->fd = open_regular(src->file, err);
	if (src->fd < 0) {
		rc = src->fd;
		goto free_name;
	}
	if (src->xz && lzma_stream_decoder(&src->stream, MEMORY_LIMIT,
					   LZMA_CONCATENATED) != LZMA_OK) {
		rc = trace_fail(err, -ENOMEM, src->file, 0, "out of memory");
		goto close_file;
	}
	return 0;

close_file:
	close(src->fd);
free_name:
	free(src->file);
	return rc;
}

void trace_source_close(struct trace_source *src)
{
	lzma_end(&src->stream);
	close(src->fd);
	free(src->file);
}

static int read_fd(struct trace_source *src, void *buf, size_t len, size_t *got)
{
	ssize_t n;
	int rc;

	do
		n = read(src->fd, buf, len);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		rc = -errno;
		return trace_fail(src->err, rc, src->file, src->total, "%s",
				  strerror(-rc));
	}
	*got = (size_t)n;
	return 0;
}

static int xz_failed(struct trace_source *src, lzma_ret ret)
{
	const char *what;
	int rc = -EBADMSG;

	switch (ret) {
	case LZMA_FORMAT_ERROR:
		what = "not an xz file";
		break;
	case LZMA_BUF_ERROR:
		what = "the compressed data ends early";
		break;
	case LZMA_MEMLIMIT_ERROR:
		what = "decompressing needs too much memory";
		rc = -EFBIG;
		break;
	case LZMA_MEM_ERROR:
		what = "out of memory";
		rc = -ENOMEM;
		break;
	default:
		what = "the compressed data is damaged";
		break;
	}
	return trace_fail(src->err, rc, src->file, src->stream.total_in, "%s",
			  what);
}

static int read_xz(struct trace_source *src, uint8_t *buf, size_t len,
		   size_t *got)
{
	lzma_stream *strm = &src->stream;
	lzma_action action = LZMA_RUN;
	lzma_ret ret = LZMA_OK;
	size_t n = 0;
	int rc;

	strm->next_out = buf;
	strm->avail_out = len;
	while (strm->avail_out && ret != LZMA_STREAM_END) {
		if (!strm->avail_in) {
			rc = read_fd(src, src->input, sizeof(src->input), &n);
			if (rc)
				return rc;
			strm->next_in = src->input;
			strm->avail_in = n;
			if (!n)
				action = LZMA_FINISH;
		}
		ret = lzma_code(strm, action);
		if (ret != LZMA_OK && ret != LZMA_STREAM_END)
			return xz_failed(src, ret);
	}
	src->ended = ret == LZMA_STREAM_END;
	*got = len - strm->avail_out;
	return 0;
}

static int read_plain(struct trace_source *src, uint8_t *buf, size_t len,
		      size_t *got)
{
	size_t done = 0;
	size_t n = 0;
	int rc;

	while (done < len) {
		rc = read_fd(src, buf + done, len - done, &n);
		if (rc)
			return rc;
		if (!n) {
			src->ended = true;
			break;
		}
		done += n;
	}
	*got = done;
	return 0;
}

int trace_source_read(struct trace_source *src, void *buf, size_t len,
		      size_t *got)
{
	size_t n = 0;
	int rc = 0;

	if (!src->ended && len)
		rc = src->xz ? read_xz(src, buf, len, &n)
			     : read_plain(src, buf, len, &n);
	if (rc)
		return rc;
	if (n > src->limit - src->total)
		return trace_fail(src->err, -EFBIG, src->file, src->limit,
				  "more than the %llu bytes there may be",
				  (unsigned long long)src->limit);
	src->total += n;
	*got = n;
	return 0;
}

/* Memory grows with what really arrives, not with what was announced. */
int trace_source_all(struct trace_source *src, uint8_t **data, size_t *size)
{
	size_t room = 0;
	size_t used = 0;
	uint8_t *buf = NULL;
	uint8_t *grown;
	size_t got;
	int rc;

	do {
		room = room ? room * 2 : FIRST_CHUNK;
		grown = realloc(buf, room);
		if (!grown) {
			rc = trace_fail(src->err, -ENOMEM, src->file, used,
					"out of memory");
			goto free_buf;
		}
		buf = grown;
		rc = trace_source_read(src, buf + used, room - used, &got);
		if (rc)
			goto free_buf;
		used += got;
	} while (used == room);
	*data = buf;
	*size = used;
	return 0;

free_buf:
	free(buf);
	return rc;
}

int trace_source_exactly(struct trace_source *src, uint64_t size,
			 uint8_t **data)
{
	uint8_t *buf;
	size_t got;
	int rc;

	src->limit = size;
	rc = trace_source_all(src, &buf, &got);
	if (rc)
		return rc;
	if (got != size) {
		free(buf);
		return trace_fail(src->err, -EBADMSG, src->file, got,
				  "ends early: %llu bytes are missing",
				  (unsigned long long)(size - got));
	}
	*data = buf;
	return 0;
}

static int refill(struct trace_lines *lines)
{
	size_t kept = lines->end - lines->pos;
	size_t want = sizeof(lines->buf) - kept;
	size_t got;
	int rc;

	memmove(lines->buf, lines->buf + lines->pos, kept);
	lines->pos = 0;
	lines->end = kept;
	rc = trace_source_read(&lines->src, lines->buf + kept, want, &got);
	if (rc)
		return rc;
	lines->end += got;
	lines->eof = got < want;
	return 0;
}

static int bad_line(struct trace_lines *lines, const char *what)
{
	return trace_fail(lines->src.err, -EBADMSG, lines->src.file,
			  lines->line + 1, "%s", what);
}

int trace_lines_next(struct trace_lines *lines, char **text, size_t *len)
{
	char *start;
	char *nl;
	int rc;

	for (;;) {
		start = lines->buf + lines->pos;
		nl = memchr(start, '\n', lines->end - lines->pos);
		if (nl)
			break;
		if (lines->eof && lines->pos == lines->end)
			return 0;
		if (lines->eof)
			return bad_line(lines, "the last line ends early");
		if (lines->end - lines->pos >= TRACE_MAX_LINE)
			return bad_line(lines, "the line is too long");
		rc = refill(lines);
		if (rc)
			return rc;
	}
	if (nl - start >= TRACE_MAX_LINE)
		return bad_line(lines, "the line is too long");
	*nl = '\0';
	lines->pos += (size_t)(nl - start) + 1;
	lines->line++;
	*text = start;
	*len = (size_t)(nl - start);
	return 1;
}
