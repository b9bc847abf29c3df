// SPDX-License-Identifier: MIT
/*
 * Devices with translation caches of their own. Where the guest's tables let a
 * device use ATS, its data goes by what that cache holds, so that the guest's
 * invalidations of it are needed.
 *
 * With errors injected such a device may not answer an invalidation. What the
 * guest does about it: it sends the invalidation again, and again, then resets
 * the device (its cache is empty then), and in the end does without its ATS. A
 * host that takes a device's ATS away by itself (quarantine, security.md) tells
 * no guest. Its VMM sees it, and resets the guest's devices.
 */
#include <errno.h>

#include "replay.h"

#define ASKED  3 /* before the device is reset, and after it */
#define RESETS 3

bool ats_in_use(struct run *run, struct world_stream *stream)
{
	bool used = !stream->without_ats && run->arch->uses_ats &&
		    run->arch->uses_ats(run, stream);

	stream->had_ats |= used;
	return used;
}

static void reset(struct run *run, struct world_stream *stream)
{
	nestfd_device_reset(stream->dev);
	stream->reset_at = run->line;
	run->report->resets++;
}

static void do_without(struct run *run, struct world_stream *stream)
{
	stream->without_ats = true;
	run->report->without_ats++;
}

/* Does command @index tell a device whose cache may hold something? */
static struct world_stream *told(struct run *run, uint64_t index)
{
	uint64_t words[COMMAND_WORDS];
	struct world_stream *stream;
	uint32_t sid;

	cmdq_words(run, index, words);
	if (!run->arch->lost_at(words, &sid) ||
	    world_stream(run->world, sid, &stream))
		return NULL;
	return stream->had_ats && !stream->without_ats ? stream : NULL;
}

static bool any_told(struct run *run, uint64_t from, uint64_t end)
{
	for (uint64_t i = from; i < end; i++)
		if (told(run, i))
			return true;
	return false;
}

/* *@lost: the wait behind them was in vain again */
static int send(struct run *run, uint64_t from, uint64_t end, bool *lost)
{
	uint64_t words[COMMAND_WORDS];
	int rc = 0;

	*lost = false;
	for (uint64_t i = from; i < end && !rc; i++) {
		cmdq_words(run, i, words);
		if (!run->arch->sent_again(words))
			continue;
		rc = cmdq_insert(run, words);
		*lost |= run->cmdq.lost;
	}
	if (!rc)
		rc = cmdq_insert(run, run->arch->wait);
	*lost |= run->cmdq.lost;
	return rc;
}

static void each_told(struct run *run, uint64_t from, uint64_t end,
		      void (*what)(struct run *run,
				   struct world_stream *stream))
{
	for (uint64_t i = from; i < end; i++) {
		struct world_stream *stream = told(run, i);

		if (stream)
			what(run, stream);
	}
}

/* Up to the first wait */
static int send_until_heard(struct run *run, uint64_t from, uint64_t end)
{
	unsigned int tries = 0;
	bool lost = true;
	int rc = 0;

	while (!rc && lost && any_told(run, from, end)) {
		rc = send(run, from, end, &lost);
		tries += lost;
		if (!lost || tries % ASKED)
			continue;
		each_told(run, from, end,
			  tries > RESETS * ASKED ? do_without : reset);
	}
	return rc;
}

static uint64_t next_wait(struct run *run, uint64_t from, uint64_t end)
{
	uint64_t words[COMMAND_WORDS];

	for (; from < end; from++) {
		cmdq_words(run, from, words);
		if (cmdq_is_wait(run, words))
			break;
	}
	return from;
}

int ats_send_again(struct run *run, uint64_t from, uint64_t end)
{
	int rc = 0;

	while (from < end && !rc) {
		uint64_t wait = next_wait(run, from, end);

		rc = send_until_heard(run, from, wait);
		from = wait + 1;
	}
	return rc;
}

/* Of this machine's host; 0 for ever if there is none */
static uint64_t quarantines(struct run *run)
{
	struct nestfd_driver_stats stats = { .size = sizeof(stats) };

	nestfd_driver_stats(run->world->machine, &stats);
	return stats.quarantines;
}

void ats_heed_quarantine(struct run *run)
{
	struct world *world = run->world;
	uint64_t now;

	if (!run->options->nr_faults)
		return;
	now = quarantines(run);
	if (now == run->quarantines)
		return;
	run->quarantines = now;
	for (size_t i = 0; i < world->nr_streams; i++)
		if (world->streams[i]->had_ats)
			reset(run, world->streams[i]);
}

/*
 * A device that a host has in quarantine is refused, and so is a guest that is
 * over its budget, whom no reset helps. One that is gone refuses by itself.
 */
bool ats_recover(struct run *run, struct culprit *c, int rc)
{
	struct world_stream *stream;

	if (!run->options->nr_faults ||
	    world_stream(run->world, c->stream, &stream))
		return false;
	if (rc == -ENODEV && run->may_be_gone) {
		reset(run, stream);
		return true;
	}
	if (rc != -EIO || !c->ats || !run->quarantines)
		return false;
	if (stream->reset_at != run->line) {
		reset(run, stream);
		return true;
	}
	do_without(run, stream);
	c->ats = false;
	return true;
}

/* A device that is gone translates nothing, without an event. */
bool ats_recover_look(struct run *run, struct world_stream *stream,
		      const struct nestfd_translation *tr)
{
	if (!run->may_be_gone || tr->result != NESTFD_ABORTED || tr->event)
		return false;
	reset(run, stream);
	return true;
}
