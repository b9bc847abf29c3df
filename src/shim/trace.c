// SPDX-License-Identifier: MIT
/* See trace.h. */
#include "shim/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <linux/iommufd.h>

#include "nestfd/ext.h"
#include "shim/trace_table.h"

#define SHOWN_ENTRIES 4u /* of an array; the rest is "..." */
#define SHOWN_WORDS   16u
#define FIXED	      16u /* of IOMMU_TEST_CMD: what all operations have */
/* The end of a line stays free for the result. */
#define RESERVE 96u

static void append_v(struct trace_line *line, size_t limit, const char *format,
		     va_list args)
{
	size_t room = line->used < limit ? limit - line->used : 0;
	int n;

	if (room <= 1)
		return;
	n = vsnprintf(line->text + line->used, room, format, args);
	if (n < 0)
		return;
	line->used += (size_t)n < room ? (size_t)n : room - 1;
}

static __attribute__((format(printf, 2, 3))) void
append(struct trace_line *line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append_v(line, TRACE_LINE - RESERVE, format, args);
	va_end(args);
}

static __attribute__((format(printf, 2, 3))) void
append_end(struct trace_line *line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append_v(line, TRACE_LINE, format, args);
	va_end(args);
}

void trace_text(struct trace_line *line, const char *format, ...)
{
	va_list args;

	line->command = NULL;
	line->used = 0;
	va_start(args, format);
	append_v(line, TRACE_LINE - RESERVE, format, args);
	va_end(args);
}

const char *trace_errno_name(int error)
{
	/* strerrorname_np() is no older than glibc 2.32 */
	return strerrorname_np(error);
}

static uint64_t load(const unsigned char *bytes, const struct trace_field *f)
{
	uint64_t value = 0;

	/* Little endian, as are the machines we run on. */
	memcpy(&value, bytes + f->offset, f->size <= 8 ? f->size : 8);
	if (f->kind == TRACE_INT && f->size == 4)
		return (uint64_t)(int64_t)(int32_t)(uint32_t)value;
	return value;
}

static const char *find_name(const struct trace_name *names, uint64_t value)
{
	while (names->name && names->value != value)
		names++;
	return names->name;
}

static void print_flags(struct trace_line *line, const struct trace_name *names,
			uint64_t value)
{
	const char *bar = "";

	if (!value)
		append(line, "0");
	for (; names->name; names++) {
		if (!(value & names->value))
			continue;
		append(line, "%s%s", bar, names->name);
		value &= ~names->value;
		bar = "|";
	}
	if (value)
		append(line, "%s%#llx", bar, (unsigned long long)value);
}

static void print_value(struct trace_line *line, const struct trace_field *f,
			uint64_t value)
{
	const char *name;

	switch (f->kind) {
	case TRACE_FLAGS:
		print_flags(line, f->names, value);
		return;
	case TRACE_ENUM:
		name = find_name(f->names, value);
		if (name)
			append(line, "%s", name);
		else
			append(line, "%#llx", (unsigned long long)value);
		return;
	case TRACE_DEC:
		append(line, "%llu", (unsigned long long)value);
		return;
	case TRACE_INT:
		append(line, "%lld", (long long)value);
		return;
	default:
		append(line, value ? "%#llx" : "0", (unsigned long long)value);
	}
}

static bool is_known(const struct trace_line *line, const struct trace_field *f)
{
	return (uint32_t)f->offset + f->size <= line->known;
}

static void print_field(struct trace_line *line, const struct trace_field *f,
			const unsigned char *bytes, const char **comma)
{
	uint64_t value = load(bytes, f);

	if (f->kind == TRACE_RESERVED && !value)
		return;
	append(line, "%s%s=", *comma, f->name);
	print_value(line, f, value);
	*comma = ", ";
}

static int read_client(const struct trace_line *line, void *dst, uint64_t addr,
		       size_t len)
{
	return line->mem.read(line->mem.ctx, dst, addr, len);
}

/* @count words of 4 or 8 bytes at @addr */
static void print_words(struct trace_line *line, uint64_t addr, uint32_t count,
			unsigned int bytes)
{
	uint32_t shown = count < SHOWN_WORDS ? count : SHOWN_WORDS;

	append(line, "[");
	for (uint32_t i = 0; i < shown; i++) {
		uint64_t word = 0;

		if (read_client(line, &word, addr + i * bytes, bytes)) {
			append(line, "%s?", i ? ", " : "");
			break;
		}
		append(line, "%s%#llx", i ? ", " : "",
		       (unsigned long long)word);
	}
	append(line, count > shown ? ", ...]" : "]");
}

static void print_entry(struct trace_line *line, uint64_t addr, uint32_t len,
			uint32_t type)
{
	unsigned char op;

	append(line, "{");
	if (type == IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 &&
	    !read_client(line, &op, addr, 1)) {
		const char *name = find_name(trace_smmuv3_ops, op);

		append(line, "%s ", name ? name : "?");
	}
	print_words(line, addr, len / 8, 8);
	append(line, "}");
}

static void print_entries(struct trace_line *line)
{
	struct iommu_hwpt_invalidate arg;
	uint32_t shown;

	memcpy(&arg, line->in, sizeof(arg));
	shown = arg.entry_num < SHOWN_ENTRIES ? arg.entry_num : SHOWN_ENTRIES;
	append(line, ", entries=[");
	for (uint32_t i = 0; i < shown; i++) {
		append(line, "%s", i ? ", " : "");
		print_entry(line, arg.data_uptr + (uint64_t)i * arg.entry_len,
			    arg.entry_len, arg.data_type);
	}
	append(line, arg.entry_num > shown ? ", ...]" : "]");
}

/* Where the consumer is */
static bool print_cons(struct trace_line *line, const char **comma,
		       uint32_t *cons)
{
	struct nestfd_hwpt_invalidate_ring arg;

	memcpy(&arg, line->in, sizeof(arg));
	if (line->known <
		    offsetof(struct nestfd_hwpt_invalidate_ring, out_error) ||
	    read_client(line, cons, arg.q_cons_uptr, sizeof(*cons)))
		return false;
	append(line, *cons ? "%scons=%#x" : "%scons=%u", *comma, *cons);
	*comma = ", ";
	return true;
}

/* and what is in front of it */
static void print_ring(struct trace_line *line)
{
	struct nestfd_hwpt_invalidate_ring arg;
	uint32_t cons, mask, pending, shown;
	const char *comma = ", ";

	memcpy(&arg, line->in, sizeof(arg));
	if (!print_cons(line, &comma, &cons) || arg.q_index_bits > 31)
		return;
	mask = (uint32_t)((2ULL << arg.q_index_bits) - 1);
	pending = (arg.q_prod - cons) & mask;
	shown = pending < SHOWN_ENTRIES ? pending : SHOWN_ENTRIES;
	append(line, ", entries=[");
	for (uint32_t i = 0; i < shown; i++) {
		uint64_t slot = (cons + i) & (mask >> 1);

		append(line, "%s", i ? ", " : "");
		print_entry(line, arg.q_uptr + slot * arg.q_entry_len,
			    arg.q_entry_len, arg.data_type);
	}
	append(line, pending > shown ? ", ...]" : "]");
}

static void print_ranges(struct trace_line *line, uint64_t addr, uint32_t count)
{
	uint32_t shown = count < SHOWN_ENTRIES ? count : SHOWN_ENTRIES;

	append(line, ", iovas=[");
	for (uint32_t i = 0; i < shown; i++) {
		struct iommu_iova_range range;

		append(line, "%s", i ? ", " : "");
		if (read_client(line, &range, addr + i * sizeof(range),
				sizeof(range))) {
			append(line, "?");
			break;
		}
		append(line, "%#llx-%#llx", (unsigned long long)range.start,
		       (unsigned long long)range.last);
	}
	append(line, count > shown ? ", ...]" : "]");
}

/* What pointers of the struct lead to, before the call */
static void print_data_in(struct trace_line *line)
{
	struct iommu_ioas_allow_iovas ranges;
	struct iommu_hwpt_alloc hwpt;

	switch (line->command->data) {
	case TRACE_STE:
		memcpy(&hwpt, line->in, sizeof(hwpt));
		if (line->known < offsetof(struct iommu_hwpt_alloc, fault_id) ||
		    !hwpt.data_len || !hwpt.data_uptr)
			return;
		append(line, ", data=");
		print_words(line, hwpt.data_uptr, hwpt.data_len / 8, 8);
		return;
	case TRACE_ENTRIES:
		if (line->known >= sizeof(struct iommu_hwpt_invalidate))
			print_entries(line);
		return;
	case TRACE_RING:
		print_ring(line);
		return;
	case TRACE_RANGES_IN:
		memcpy(&ranges, line->in, sizeof(ranges));
		if (line->known == line->command->size)
			print_ranges(line, ranges.allowed_iovas,
				     ranges.num_iovas);
		return;
	default:
		return;
	}
}

/* and after it: @out is the struct as it is now */
static void print_data_out(struct trace_line *line, const unsigned char *out)
{
	struct iommu_ioas_iova_ranges ranges;
	struct iommu_hw_info info;
	struct iommu_hw_info was;

	if (line->known != line->command->size)
		return;
	switch (line->command->data) {
	case TRACE_RANGES_OUT:
		memcpy(&ranges, out, sizeof(ranges));
		print_ranges(line, ranges.allowed_iovas, ranges.num_iovas);
		return;
	case TRACE_HW_INFO:
		memcpy(&info, out, sizeof(info));
		memcpy(&was, line->in, sizeof(was));
		if (was.data_len < info.data_len)
			info.data_len = was.data_len;
		append(line, ", data=");
		print_words(line, info.data_uptr, info.data_len / 4, 4);
		return;
	default:
		return;
	}
}

/* What follows the members that all have: as far as it is not 0 */
static void print_rest(struct trace_line *line, const unsigned char *bytes)
{
	uint64_t words[(TRACE_ARG - FIXED) / 8];
	size_t shown = 0;

	memcpy(words, bytes + FIXED, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / 8; i++)
		if (words[i])
			shown = i + 1;
	append(line, "args=[");
	for (size_t i = 0; i < shown; i++)
		append(line, words[i] ? "%s%#llx" : "%s%llx", i ? ", " : "",
		       (unsigned long long)words[i]);
	append(line, "]");
}

static void print_in(struct trace_line *line)
{
	const char *comma = "";

	append(line, "{");
	for (const struct trace_field *f = line->command->fields; f->name;
	     f++) {
		if ((f->way & TRACE_IN) && is_known(line, f))
			print_field(line, f, line->in, &comma);
	}
	print_data_in(line);
	if (line->command->data == TRACE_WORDS && line->known > FIXED) {
		append(line, ", ");
		print_rest(line, line->in);
	}
	append(line, "}");
}

/* The struct as far as the client's size and ours go; 0 if there is none */
static uint32_t read_arg(struct trace_line *line)
{
	uint32_t size;

	memset(line->in, 0, sizeof(line->in));
	if (read_client(line, &size, line->arg, sizeof(size)))
		return 0;
	if (size > line->command->size)
		size = line->command->size;
	if (size < sizeof(size))
		size = sizeof(size); /* it is there, whatever it says */
	return read_client(line, line->in, line->arg, size) ? 0 : size;
}

/* An argument that is no pointer */
static void print_number(struct trace_line *line, uint64_t arg)
{
	const struct trace_name *values = line->command->values;
	const char *name = values ? find_name(values, arg) : NULL;

	if (name)
		append(line, "%s", name);
	else
		append(line, arg ? "%#llx" : "0", (unsigned long long)arg);
}

void trace_enter(struct trace_line *line, int fd, unsigned long cmd,
		 uint64_t arg, const struct trace_mem *mem)
{
	line->used = 0;
	line->mem = *mem;
	line->arg = arg;
	line->known = 0;
	line->command = _IOC_TYPE(cmd) == IOMMUFD_TYPE
				? trace_find(_IOC_NR(cmd))
				: NULL;
	if (line->command && cmd != _IO(IOMMUFD_TYPE, _IOC_NR(cmd)))
		line->command = NULL;
	if (!line->command) {
		append(line, "ioctl(%d, %#lx, %#llx", fd, cmd,
		       (unsigned long long)arg);
		return;
	}
	append(line, "ioctl(%d, %s, ", fd, line->command->name);
	if (!line->command->fields) {
		print_number(line, arg);
		return;
	}
	line->known = read_arg(line);
	if (line->known)
		print_in(line);
	else
		append(line, arg ? "%#llx" : "NULL", (unsigned long long)arg);
}

/*
 * On failure only what changed is of interest: HWPT_INVALIDATE and IOVA_RANGES
 * answer then, too.
 */
static void print_out(struct trace_line *line, bool failed)
{
	unsigned char out[TRACE_ARG] = { 0 };
	const char *comma = " => {";
	uint32_t cons;

	if (!line->known || read_client(line, out, line->arg, line->known))
		return;
	for (const struct trace_field *f = line->command->fields; f->name;
	     f++) {
		if (!(f->way & TRACE_OUT) || !is_known(line, f))
			continue;
		if (failed && load(out, f) == load(line->in, f))
			continue;
		print_field(line, f, out, &comma);
	}
	if (line->command->data == TRACE_RING)
		print_cons(line, &comma, &cons);
	if (line->command->data == TRACE_WORDS &&
	    memcmp(out + FIXED, line->in + FIXED, TRACE_ARG - FIXED)) {
		append(line, "%s", comma);
		print_rest(line, out);
		comma = ", ";
	}
	if (*comma != ',')
		return;
	if (!failed)
		print_data_out(line, out);
	append(line, "}");
}

void trace_exit(struct trace_line *line, long rc)
{
	if (line->command)
		print_out(line, rc < 0);
	if (line->used >= TRACE_LINE - RESERVE - 1)
		append_end(line, "...");
	if (rc >= 0) {
		append_end(line, ") = %ld\n", rc);
	} else {
		const char *name = trace_errno_name((int)-rc);
		const char *words = strerrordesc_np((int)-rc);

		append_end(line, ") = -1 %s (%.40s)\n", name ? name : "E?",
			   words ? words : "?");
	}
	if (line->text[line->used - 1] != '\n')
		line->text[line->used - 1] = '\n';
}
