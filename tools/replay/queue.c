// SPDX-License-Identifier: MIT
/*
 * The guest's command queue. A recording names a command before the doorbell
 * that started it. Commands are placed in the queue's memory at once; the
 * doorbell writes PROD as it was logged. With --batch, doorbells are held back
 * until the log shows something else than commands and doorbells: a table word
 * as well, which the commands before it must not see.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "replay.h"
#include "trace/smmuv3.h"

#define COMMAND_BYTES  16
#define CONS_ERR       0x7f000000u
#define CONS_ERR_SHIFT 24
#define GERROR_CMDQ    1u
#define TRIES	       1000 /* at one command */

uint64_t replay_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Index and wrap bit */
static uint32_t mask(const struct cmdq *q)
{
	return (uint32_t)(2ull << q->lg2) - 1;
}

static void words_of(const struct run *run, uint64_t index, uint64_t words[2])
{
	const uint64_t *altered = NULL;

	if (run->altered)
		altered = mutation_words(run->altered, run->group, index);
	for (unsigned int i = 0; i < 2; i++)
		words[i] = altered ? altered[i]
				   : trace_command_word(run->trace, index, i);
}

static void describe(const struct run *run, uint64_t index, char *text,
		     size_t size)
{
	uint64_t words[2];

	if (index >= run->trace->meta.commands) {
		snprintf(text, size, "none");
		return;
	}
	words_of(run, index, words);
	smmuv3_text_command(words, text, size);
}

static void overwrite(struct run *run, uint32_t cons, uint64_t index)
{
	const struct cmdq *q = &run->cmdq;
	uint32_t slot = cons & (mask(q) >> 1);
	uint64_t words[2];
	void *to;

	to = world_memory(run->world, q->base + slot * COMMAND_BYTES,
			  COMMAND_BYTES);
	if (!to || index >= run->trace->meta.commands)
		return;
	words_of(run, index, words);
	memcpy(to, words, sizeof(words));
}

/*
 * What a guest does when its queue has stopped (IHI 0070 7.1): an illegal
 * command is replaced, here by itself, since it is not at fault; then the error
 * is acknowledged, and fetching starts again at CONS. What stops again and
 * again is left to check().
 */
static void recover(struct run *run, uint32_t prod)
{
	struct cmdq *q = &run->cmdq;
	uint32_t last = ~0u;
	unsigned int tries = 0;

	while (!q->stuck) {
		uint32_t gerror = world_read32(run->world, REG_GERROR);
		uint32_t gerrorn = world_read32(run->world, REG_GERRORN);
		uint32_t cons = world_read32(run->world, REG_CMDQ_CONS);
		unsigned int code = (cons & CONS_ERR) >> CONS_ERR_SHIFT;

		if (!((gerror ^ gerrorn) & GERROR_CMDQ) || code >= STOP_CODES)
			return;
		tries = cons == last ? tries + 1 : 0;
		last = cons;
		q->stuck = tries == TRIES;
		run->report->stops[code]++;
		if (code == STOP_ILL)
			overwrite(run, cons,
				  q->first_waiting +
					  ((cons - (prod - q->waiting)) &
					   mask(q)));
		world_write(run->world, REG_GERRORN, 4, gerrorn ^ GERROR_CMDQ);
	}
}

/* CONS must have followed PROD, without an error on the way. */
static void check(struct run *run, uint32_t prod, uint64_t first)
{
	uint32_t cons = world_read32(run->world, REG_CMDQ_CONS);
	uint32_t gerror = world_read32(run->world, REG_GERROR);
	uint32_t gerrorn = world_read32(run->world, REG_GERRORN);
	uint32_t done = mask(&run->cmdq);
	char text[256];
	uint64_t at;

	if (!run->cmdq.enabled)
		return;
	if ((cons & done) == (prod & done) && !(cons & CONS_ERR) &&
	    gerror == gerrorn)
		return;
	at = first + ((cons - (prod - run->cmdq.waiting)) & done);
	describe(run, at, text, sizeof(text));
	run_wrong(run, WRONG_COMMAND, NULL,
		  "CMDQ_CONS %#x after PROD %#x, GERROR %#x GERRORN %#x; "
		  "next is command %" PRIu64 ": %s",
		  cons, prod, gerror, gerrorn, at, text);
}

static int ring(struct run *run, uint32_t prod)
{
	struct cmdq *q = &run->cmdq;
	uint64_t start = replay_clock_ns();

	world_write(run->world, REG_CMDQ_PROD, 4, prod);
	if (run->options->nr_faults && q->enabled)
		recover(run, prod);
	run->report->command_ns += replay_clock_ns() - start;
	run->report->rung++;
	check(run, prod, q->first_waiting);
	q->waiting = 0;
	q->deferred = 0;
	return 0;
}

int cmdq_flush(struct run *run)
{
	struct cmdq *q = &run->cmdq;

	if (!q->waiting && !q->deferred)
		return 0;
	if (!q->deferred)
		run->report->rung_early++;
	return ring(run, q->tail);
}

int cmdq_place(struct run *run, uint64_t index)
{
	struct cmdq *q = &run->cmdq;
	uint32_t slot = q->tail & (mask(q) >> 1);
	uint64_t words[2];
	void *to;

	to = world_memory(run->world, q->base + slot * COMMAND_BYTES,
			  COMMAND_BYTES);
	if (!to)
		return run_fail(run, -EBADMSG,
				"the command queue is not in memory");
	if (q->waiting >= 1u << q->lg2) {
		int rc = cmdq_flush(run);

		if (rc)
			return rc;
	}
	words_of(run, index, words);
	memcpy(to, words, sizeof(words));
	run->report->opcodes[words[0] & 0xff]++;
	run->report->commands++;
	if (!q->waiting++)
		q->first_waiting = index;
	q->tail = (q->tail + 1) & mask(q);
	return 0;
}

/*
 * A doorbell that says something else than the commands before it is setting
 * the queue up, if there are none.
 */
int cmdq_doorbell(struct run *run, uint32_t prod)
{
	struct cmdq *q = &run->cmdq;

	run->report->doorbells++;
	if ((prod & mask(q)) != q->tail) {
		if (q->waiting || q->deferred)
			return run_fail(run, -EBADMSG,
					"the doorbell is not that of the "
					"commands before it");
		q->tail = prod & mask(q);
	}
	if (++q->deferred < run->options->batch && q->waiting)
		return 0;
	return ring(run, prod);
}
