// SPDX-License-Identifier: MIT
/*
 * The guest's command queue. Commands are placed in the queue's memory when the
 * log names them; the doorbell writes the tail as it was logged. With --batch,
 * doorbells are held back until the log shows something else than commands and
 * doorbells: a table word as well, which the commands before it must not see.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "replay.h"

#define TRIES 1000 /* at one command */

uint64_t replay_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void cmdq_set_up(struct run *run, uint64_t base, uint32_t entries,
		 unsigned int tail_shift)
{
	struct cmdq *q = &run->cmdq;

	q->base = base;
	q->entries = entries;
	q->tail_shift = tail_shift;
	q->inserted = 0;
	q->mask = run->arch->wraps ? 2 * entries - 1 : entries - 1;
}

void cmdq_words(const struct run *run, uint64_t index,
		uint64_t words[COMMAND_WORDS])
{
	unsigned int nr = run->trace->meta.entry_bytes / 8;
	const uint64_t *altered = NULL;

	if (run->altered)
		altered = mutation_words(run->altered, run->group, index);
	for (unsigned int i = 0; i < COMMAND_WORDS; i++)
		words[i] = i >= nr   ? 0
			   : altered ? altered[i]
				     : trace_command_word(run->trace, index, i);
}

static void describe(const struct run *run, uint64_t index, char *text,
		     size_t size)
{
	uint64_t words[COMMAND_WORDS];

	if (index >= run->trace->meta.commands) {
		snprintf(text, size, "none");
		return;
	}
	cmdq_words(run, index, words);
	run->arch->command_text(words, text, size);
}

/* Where the command at @slot lies; NULL: not in memory */
static void *place_of(const struct run *run, uint32_t slot)
{
	uint32_t bytes = run->trace->meta.entry_bytes;
	uint64_t at = (uint64_t)(slot & (run->cmdq.entries - 1)) * bytes;

	if (!run->cmdq.entries)
		return NULL;
	return world_memory(run->world, run->cmdq.base + at, bytes);
}

static void overwrite(struct run *run, uint32_t head, uint64_t index)
{
	const uint64_t *own = run->cmdq.own;
	uint64_t words[COMMAND_WORDS];
	void *to = place_of(run, head);

	if (!to || (!own && index >= run->trace->meta.commands))
		return;
	if (!own)
		cmdq_words(run, index, words);
	memcpy(to, own ? own : words, run->trace->meta.entry_bytes);
}

/* The index of the command at @head, with @tail behind those that wait */
static uint64_t index_at(const struct run *run, uint32_t head, uint32_t tail)
{
	const struct cmdq *q = &run->cmdq;

	return q->first_waiting + ((head - (tail - q->waiting)) & q->mask);
}

/*
 * What a guest does when its queue has stopped: a command called wrong is
 * replaced, here by itself, since it is not at fault; then the error is
 * acknowledged, and the queue goes on. What stops again and again is left to
 * check().
 */
static void recover(struct run *run, uint32_t tail)
{
	const struct replay_arch *arch = run->arch;
	struct cmdq *q = &run->cmdq;
	uint32_t last = ~0u;
	unsigned int tries = 0;

	while (!q->stuck) {
		uint32_t head;
		unsigned int stop = arch->stopped(run, &head);

		if (!stop)
			return;
		tries = head == last ? tries + 1 : 0;
		last = head;
		q->stuck = tries == TRIES;
		run->report->stops[stop]++;
		q->lost |= stop == arch->lost;
		if (stop == arch->rewrite)
			overwrite(run, head, index_at(run, head, tail));
		arch->acknowledge(run, stop);
	}
}

static void complete(struct run *run)
{
	uint64_t words[COMMAND_WORDS];

	if (!run->arch->completed)
		return;
	for (uint32_t i = 0; i < run->cmdq.waiting; i++) {
		cmdq_words(run, run->cmdq.first_waiting + i, words);
		run->arch->completed(run, words);
	}
}

/* The head must have followed the tail, without an error on the way. */
static void check(struct run *run, uint32_t tail)
{
	uint32_t head = 0;
	char state[256];
	char text[256];
	uint64_t at;

	if (!run->cmdq.enabled)
		return;
	if (run->arch->consumed(run, tail, &head, state, sizeof(state))) {
		complete(run);
		return;
	}
	at = index_at(run, head, tail);
	describe(run, at, text, sizeof(text));
	run_wrong(run, WRONG_COMMAND, NULL,
		  "%s; next is command %" PRIu64 ": %s", state, at, text);
}

static void write_tail(struct run *run, uint32_t tail)
{
	struct cmdq *q = &run->cmdq;
	uint64_t start = replay_clock_ns();

	q->lost = false;
	world_write(run->world, run->arch->tail_register, 4,
		    (uint64_t)tail << run->cmdq.tail_shift);
	if (run->options->nr_faults && q->enabled)
		recover(run, tail);
	run->report->command_ns += replay_clock_ns() - start;
	run->report->rung++;
	check(run, tail);
	q->waiting = 0;
	q->deferred = 0;
}

bool cmdq_is_wait(const struct run *run, const uint64_t *words)
{
	const struct replay_arch *arch = run->arch;

	return arch->opcode(words[0]) == arch->opcode(arch->wait[0]);
}

/* The first behind the last wait of those up to @end; @first: all but these */
static uint64_t behind_waits(const struct run *run, uint64_t first,
			     uint64_t end)
{
	uint64_t words[COMMAND_WORDS];
	uint64_t found = run->cmdq.unsynced;

	for (uint64_t i = first; i < end; i++) {
		cmdq_words(run, i, words);
		if (cmdq_is_wait(run, words))
			found = i + 1;
	}
	return found;
}

/* A wait that was in vain was for all since the one before it. */
static int ring(struct run *run, uint32_t tail)
{
	struct cmdq *q = &run->cmdq;
	uint64_t first = q->first_waiting;
	uint64_t end = first + q->waiting;
	uint64_t from = q->unsynced;

	write_tail(run, tail);
	if (!run->options->nr_faults || first == end)
		return 0;
	q->unsynced = behind_waits(run, first, end);
	if (!q->lost)
		return 0;
	return ats_send_again(run, from, end);
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

/* A doorbell with all its commands in place */
static int doorbell(struct run *run)
{
	struct cmdq *q = &run->cmdq;

	if (++q->deferred < run->options->batch && q->waiting)
		return 0;
	return ring(run, q->tail);
}

static int settle(struct run *run)
{
	struct cmdq *q = &run->cmdq;

	if (!q->announced || q->announced_tail != q->tail)
		return 0;
	q->announced = false;
	return doorbell(run);
}

/* An index that is as large as the queue needs a wrap bit. */
static uint32_t room(const struct cmdq *q)
{
	return q->mask >= q->entries ? q->entries : q->entries - 1;
}

int cmdq_place(struct run *run, uint64_t index)
{
	struct cmdq *q = &run->cmdq;
	uint64_t words[COMMAND_WORDS];
	void *to = place_of(run, q->tail);

	if (!to)
		return run_fail(run, -EBADMSG,
				"the command queue is not in memory");
	if (q->waiting >= room(q)) {
		int rc = cmdq_flush(run);

		if (rc)
			return rc;
	}
	cmdq_words(run, index, words);
	memcpy(to, words, run->trace->meta.entry_bytes);
	if (run->arch->placed)
		run->arch->placed(run, words);
	/* as it was recorded: an alteration is not to be made up for */
	if (run->arch->announces &&
	    run->arch->announces(trace_command_word(run->trace, index, 0)))
		run->new_words = false;
	run->report->opcodes[run->arch->opcode(words[0])]++;
	run->report->commands++;
	if (!q->waiting++)
		q->first_waiting = index;
	q->tail = (q->tail + 1) & q->mask;
	return settle(run);
}

/*
 * A doorbell that says something else than the commands before it is setting
 * the queue up, if there are none.
 */
int cmdq_doorbell(struct run *run, uint32_t tail)
{
	struct cmdq *q = &run->cmdq;
	uint32_t index = (tail + q->inserted) & q->mask;

	run->report->doorbells++;
	if (index != q->tail) {
		if (q->waiting || q->deferred)
			return run_fail(run, -EBADMSG,
					"the doorbell is not that of the "
					"commands before it");
		q->tail = index;
	}
	return doorbell(run);
}

int cmdq_announce(struct run *run, uint32_t tail)
{
	struct cmdq *q = &run->cmdq;

	if (q->announced)
		return run_fail(run, -EBADMSG,
				"commands of the doorbell before this one are "
				"missing");
	run->report->doorbells++;
	q->announced = true;
	q->announced_tail = (tail + q->inserted) & q->mask;
	return settle(run);
}

int cmdq_insert(struct run *run, const uint64_t *words)
{
	struct cmdq *q = &run->cmdq;
	int rc = cmdq_flush(run);
	void *to;

	if (rc)
		return rc;
	to = place_of(run, q->tail);
	if (!to || !q->enabled || q->announced)
		return run_fail(run, -EBADMSG,
				"there is no queue for one more command");
	memcpy(to, words, run->trace->meta.entry_bytes);
	q->tail = (q->tail + 1) & q->mask;
	q->inserted++;
	q->own = words;
	write_tail(run, q->tail);
	q->own = NULL;
	return 0;
}
