// SPDX-License-Identifier: MIT
/*
 * The decoder of `nestfd run --trace`: a call with any number, any struct, any
 * memory behind its pointers, some of which can change during the call. Each
 * line must end, within its bounds.
 */
#include <errno.h>
#include <stdlib.h>

#include "input.h"
#include "shim/trace.h"

#define BASE 0x1000u
#define SIZE 512u

struct memory {
	unsigned char bytes[SIZE];
	size_t size; /* what is there of it */
	uint8_t noise;
};

static int memory_read(void *ctx, void *dst, uint64_t addr, size_t len)
{
	struct memory *m = ctx;

	if (addr < BASE || addr - BASE > m->size ||
	    len > m->size - (addr - BASE))
		return -EFAULT;
	memcpy(dst, m->bytes + (addr - BASE), len);
	m->bytes[(addr - BASE) % SIZE] += m->noise;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trace_line line;
	struct input in = { data, size };
	struct memory m = { .size = SIZE };
	const struct trace_mem mem = { memory_read, &m };
	unsigned long cmd = 0x3b80 + input_u8(&in) % 26;
	uint8_t how = input_u8(&in);
	long rc = input_u8(&in) & 1 ? -(long)input_u8(&in) : input_u8(&in);
	uint64_t arg = how & 1 ? input_u64(&in) : BASE;

	if (cmd >= 0x3b98) /* those of ext.h */
		cmd += 0xf0 - 0x98;
	if (how & 2)
		cmd = (unsigned long)input_u64(&in);
	if (how & 4)
		m.size = input_u8(&in);
	if (how & 8)
		m.noise = input_u8(&in);
	input_bytes(&in, m.bytes, sizeof(m.bytes));
	memset(line.text, 0, sizeof(line.text));
	trace_enter(&line, 3, cmd, arg, &mem);
	if (line.used >= TRACE_LINE)
		abort();
	trace_exit(&line, rc);
	if (!line.used || line.used > TRACE_LINE ||
	    line.text[line.used - 1] != '\n' ||
	    memchr(line.text, '\n', line.used) != line.text + line.used - 1)
		abort();
	return 0;
}
