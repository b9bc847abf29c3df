// SPDX-License-Identifier: MIT
/*
 * Repeating what devices did: one address is translated and compared, then data
 * goes there and back. Memory the log has built up is put back afterwards: what
 * is data now may have been a table that a later word of the log relies on.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "replay.h"

#define WORD	      8u
#define F_TRANSLATION 0x10

/* What memory holds at @pa, if devices are to find it there. */
static uint64_t pattern(uint64_t pa)
{
	uint64_t z = pa ^ 0x6e65737466640000ull;

	z = (z ^ z >> 31) * 0x7fb5d329728ea185ull;
	return z ^ z >> 29;
}

/* The aligned word around an address, and the part from it on. */
struct place {
	uint8_t *word;
	uint8_t *at;
	size_t length;
	uint64_t saved;
	uint64_t pa;
};

static bool place_take(struct run *run, uint64_t pa, struct place *place)
{
	place->pa = pa;
	place->word =
		world_memory(run->world, pa & ~(uint64_t)(WORD - 1), WORD);
	if (!place->word)
		return false;
	place->at = place->word + (pa & (WORD - 1));
	place->length = WORD - (pa & (WORD - 1));
	memcpy(&place->saved, place->word, WORD);
	return true;
}

static void place_restore(const struct place *place)
{
	memcpy(place->word, &place->saved, WORD);
}

static void check_read(struct run *run, const struct culprit *c,
		       const struct place *place)
{
	uint64_t expected = pattern(place->pa);
	uint64_t got = 0;
	int rc;

	memcpy(place->at, &expected, place->length);
	rc = nestfd_dma_read(c->dev, c->iova, &got, place->length);
	run->report->reads++;
	if (rc || memcmp(&got, &expected, place->length))
		run_wrong(run, WRONG_TRANSLATION, c,
			  "a read of %zu bytes that should reach %#" PRIx64
			  " gave %s",
			  place->length, place->pa,
			  rc ? strerror(-rc) : "other data");
}

static void check_write(struct run *run, const struct culprit *c,
			const struct place *place)
{
	uint64_t data = ~pattern(place->pa);
	uint64_t expected = place->saved;
	int rc;

	place_restore(place);
	memcpy((uint8_t *)&expected + (WORD - place->length), &data,
	       place->length);
	rc = nestfd_dma_write(c->dev, c->iova, &data, place->length);
	run->report->writes++;
	if (rc || memcmp(place->word, &expected, WORD))
		run_wrong(run, WRONG_TRANSLATION, c,
			  "a write of %zu bytes that should reach %#" PRIx64
			  " %s",
			  place->length, place->pa,
			  rc ? strerror(-rc) : "is not found there");
}

static void exercise(struct run *run, const struct culprit *c, uint64_t pa,
		     unsigned int perm)
{
	struct place place;

	if (!place_take(run, pa, &place)) {
		run_wrong(run, WRONG_TRANSLATION, c,
			  "%#" PRIx64 " is not in the guest's memory", pa);
		return;
	}
	if (perm & TRACE_PERM_R)
		check_read(run, c, &place);
	if (perm & TRACE_PERM_W)
		check_write(run, c, &place);
	place_restore(&place);
}

static const char *result_name(enum nestfd_result result)
{
	static const char *const names[] = {
		[NESTFD_TRANSLATED] = "translated",
		[NESTFD_BYPASSED] = "bypassed",
		[NESTFD_ABORTED] = "aborted",
		[NESTFD_STALLED] = "stalled",
	};

	return names[result];
}

static void wrong_translation(struct run *run, const struct culprit *c,
			      uint64_t gpa, uint64_t pa, unsigned int perm,
			      enum nestfd_result result,
			      const struct nestfd_translation *tr)
{
	char where[64] = "";

	if (pa != gpa)
		snprintf(where, sizeof(where), ", guest %#" PRIx64, gpa);
	run_wrong(run, WRONG_TRANSLATION, c,
		  "expected %s to %#" PRIx64 "%s, %s%s; got %s to %#" PRIx64
		  ", %s%s, event %#x%s",
		  result_name(result), pa, where,
		  perm & TRACE_PERM_R ? "r" : "",
		  perm & TRACE_PERM_W ? "w" : "", result_name(tr->result),
		  tr->pa, tr->readable ? "r" : "", tr->writable ? "w" : "",
		  tr->event, tr->hit ? ", from the cache" : "");
}

static int translate(struct run *run, uint32_t sid, uint64_t iova,
		     uint32_t flags, struct culprit *c,
		     struct nestfd_translation *tr)
{
	struct world_stream *stream;
	uint64_t start;
	int rc;

	rc = cmdq_flush(run);
	if (rc)
		return rc;
	rc = world_stream(run->world, sid, &stream);
	if (rc)
		return run_fail_world(run, rc);
	*c = (struct culprit){ stream->dev, sid, iova, flags };
	*tr = (struct nestfd_translation){ .size = sizeof(*tr) };
	start = replay_clock_ns();
	rc = nestfd_translate(stream->dev, iova, NESTFD_NO_PASID, flags, tr);
	run->report->translate_ns += replay_clock_ns() - start;
	return rc ? run_fail(run, rc, "translating: %s", strerror(-rc)) : 0;
}

static void count_cache(struct run *run, const struct trace_translation *t,
			const struct nestfd_translation *tr,
			const struct culprit *c)
{
	struct report *report = run->report;

	report->hits += tr->hit;
	report->misses += !tr->hit;
	report->recorded_hits += !t->walked;
	report->recorded_misses += t->walked;
	if (run->options->cache == NESTFD_CACHE_HOSTILE && !t->walked &&
	    !tr->hit && !run->altered)
		run_wrong(run, WRONG_HIT, c,
			  "expected a hit, as in the recording");
}

int access_translate(struct run *run, const struct trace_translation *t)
{
	uint32_t flags = t->perm & TRACE_PERM_R ? 0 : NESTFD_DMA_WRITE;
	struct nestfd_translation tr;
	struct culprit c;
	uint64_t pa = 0;
	int rc;

	if (t->stage != 1 && !run->options->direct)
		return run_fail(run, -EBADMSG,
				"a translation of stage 2: use --direct");
	rc = translate(run, t->stream, t->iova, flags, &c, &tr);
	if (rc)
		return rc;
	run->report->translated++;
	count_cache(run, t, &tr, &c);
	if (!world_pa(run->world, t->pa, &pa) &&
	    tr.result == NESTFD_TRANSLATED && tr.pa == pa &&
	    tr.readable == !!(t->perm & TRACE_PERM_R) &&
	    tr.writable == !!(t->perm & TRACE_PERM_W))
		exercise(run, &c, t->pa, t->perm);
	else
		wrong_translation(run, &c, t->pa, pa, t->perm,
				  NESTFD_TRANSLATED, &tr);
	return 0;
}

/*
 * A stage-2 input beyond the SMMU's IAS, which is its OAS: QEMU aborts without
 * an event, the architecture says F_TRANSLATION (IHI 0070 3.4.1).
 */
static bool beyond_input(const struct run *run, uint64_t iova)
{
	static const uint8_t bits[] = { 32, 36, 40, 42, 44, 48, 52, 56 };

	return iova >> bits[run->world->idr[5] & 7];
}

static void check_abort(struct run *run, const struct culprit *c,
			const struct nestfd_translation *tr)
{
	run->report->aborted++;
	if (tr->result != NESTFD_ABORTED)
		run_wrong(run, WRONG_TRANSLATION, c,
			  "expected an abort; got %s to %#" PRIx64,
			  result_name(tr->result), tr->pa);
	else if (tr->event == F_TRANSLATION && beyond_input(run, c->iova))
		run->report->deviations[DEV_INPUT_RANGE]++;
	else if (tr->event)
		run_wrong(run, WRONG_TRANSLATION, c,
			  "expected an abort without an event; got event %#x",
			  tr->event);
}

/* In a nested world what the guest does not translate goes through stage 2. */
static void check_bypass(struct run *run, const struct culprit *c,
			 const struct nestfd_translation *tr)
{
	unsigned int perm =
		c->flags & NESTFD_DMA_WRITE ? TRACE_PERM_W : TRACE_PERM_R;
	enum nestfd_result result =
		run->options->direct ? NESTFD_BYPASSED : NESTFD_TRANSLATED;
	uint64_t pa = 0;

	if (!world_pa(run->world, c->iova, &pa) && tr->result == result &&
	    tr->pa == pa)
		exercise(run, c, c->iova, perm);
	else
		wrong_translation(run, c, c->iova, pa, perm, result, tr);
}

int access_untranslated(struct run *run, enum trace_event_type type,
			uint32_t stream, uint64_t iova, bool write)
{
	struct nestfd_translation tr;
	struct culprit c;
	int rc = translate(run, stream, iova, write ? NESTFD_DMA_WRITE : 0, &c,
			   &tr);

	if (rc)
		return rc;
	if (type == TRACE_EV_ABORT) {
		check_abort(run, &c, &tr);
		return 0;
	}
	if (type == TRACE_EV_DISABLED)
		run->report->disabled++;
	else
		run->report->bypassed++;
	check_bypass(run, &c, &tr);
	return 0;
}
