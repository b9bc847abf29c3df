// SPDX-License-Identifier: MIT
/*
 * Fields of one line, separated by exactly one character. A field is ended in
 * place when it is handed out as a string. Nothing here trusts a NUL: lines
 * have a length, and one that holds a NUL is refused.
 */
#include <string.h>

#include "internal.h"

void trace_cursor_init(struct trace_cursor *cur, char *line, size_t len,
		       char separator)
{
	cur->pos = line;
	cur->end = line + len;
	cur->separator = separator;
	cur->field = 0;
	cur->what = "damaged";
}

bool trace_at_end(const struct trace_cursor *cur)
{
	return cur->pos > cur->end;
}

static bool refuse(struct trace_cursor *cur, const char *what)
{
	cur->what = what;
	return false;
}

/* Behind the last field the position is one past the end. */
static bool skip_separator(struct trace_cursor *cur, const char *what)
{
	if (cur->pos < cur->end && *cur->pos != cur->separator)
		return refuse(cur, what);
	cur->pos++;
	return true;
}

static bool start_field(struct trace_cursor *cur)
{
	cur->field++;
	if (cur->pos >= cur->end)
		return refuse(cur, "missing");
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool trace_take_hex(struct trace_cursor *cur, uint64_t *value)
{
	static const char what[] = "not a 64-bit hexadecimal number";
	uint64_t v = 0;
	char *first;
	int digit;

	if (!start_field(cur))
		return false;
	for (first = cur->pos; cur->pos < cur->end; cur->pos++) {
		digit = hex_digit(*cur->pos);
		if (digit < 0)
			break;
		v = v << 4 | (uint64_t)digit;
	}
	if (cur->pos == first || cur->pos - first > 16)
		return refuse(cur, what);
	if (!skip_separator(cur, what))
		return false;
	*value = v;
	return true;
}

bool trace_take_0x(struct trace_cursor *cur, uint64_t *value)
{
	if (cur->end - cur->pos < 3 || memcmp(cur->pos, "0x", 2)) {
		cur->field++;
		return refuse(cur, "not a hexadecimal number with 0x");
	}
	cur->pos += 2;
	return trace_take_hex(cur, value);
}

bool trace_take_dec(struct trace_cursor *cur, uint64_t *value)
{
	static const char what[] = "not a decimal number";
	uint64_t v = 0;
	char *first;

	if (!start_field(cur))
		return false;
	for (first = cur->pos; cur->pos < cur->end; cur->pos++) {
		if (*cur->pos < '0' || *cur->pos > '9')
			break;
		v = v * 10 + (uint64_t)(*cur->pos - '0');
	}
	/* 18 digits always fit */
	if (cur->pos == first || cur->pos - first > 18)
		return refuse(cur, what);
	if (!skip_separator(cur, what))
		return false;
	*value = v;
	return true;
}

bool trace_take_u32(struct trace_cursor *cur, uint32_t *value)
{
	uint64_t v;

	if (!trace_take_hex(cur, &v))
		return false;
	if (v > UINT32_MAX)
		return refuse(cur, "does not fit 32 bits");
	*value = (uint32_t)v;
	return true;
}

bool trace_take_word(struct trace_cursor *cur, char **word)
{
	char *first = cur->pos;

	if (!start_field(cur))
		return false;
	while (cur->pos < cur->end && *cur->pos != cur->separator) {
		/* printable ASCII: what we print cannot drive a terminal */
		if (*cur->pos <= ' ' || *cur->pos > '~')
			return refuse(cur, "not a printable word");
		cur->pos++;
	}
	if (cur->pos == first)
		return refuse(cur, "empty");
	*cur->pos = '\0';
	cur->pos++;
	*word = first;
	return true;
}

bool trace_take_rest(struct trace_cursor *cur, const char **text)
{
	char *c;

	cur->field++;
	if (trace_at_end(cur)) {
		*text = "";
		return true;
	}
	for (c = cur->pos; c < cur->end; c++)
		if (*c < ' ' || *c > '~')
			return refuse(cur, "not printable text");
	*text = cur->pos;
	cur->pos = cur->end + 1;
	return true;
}

bool trace_expect_end(struct trace_cursor *cur)
{
	if (trace_at_end(cur))
		return true;
	cur->field++;
	return refuse(cur, "one field too many");
}
