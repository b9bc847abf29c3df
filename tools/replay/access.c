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

#define WORD	     8u
#define ACCESS_BYTES 4u

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

static int move(struct run *run, struct culprit *c, void *data, size_t length,
		uint32_t flags)
{
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = c->iova,
		.pasid = c->pasid,
		.buf = data,
		.length = length,
	};

	int rc;

	do {
		dma.flags = flags | (c->ats ? NESTFD_DMA_TRANSLATED : 0);
		rc = nestfd_dma(c->dev, &dma);
	} while (rc && ats_recover(run, c, rc));
	return rc;
}

static void check_read(struct run *run, struct culprit *c,
		       const struct place *place)
{
	uint64_t expected = pattern(place->pa);
	uint64_t got = 0;
	int rc;

	memcpy(place->at, &expected, place->length);
	rc = move(run, c, &got, place->length, 0);
	run->report->reads++;
	if (rc || memcmp(&got, &expected, place->length))
		run_wrong(run, WRONG_TRANSLATION, c,
			  "a read of %zu bytes that should reach %#" PRIx64
			  " gave %s",
			  place->length, place->pa,
			  rc ? strerror(-rc) : "other data");
}

static void check_write(struct run *run, struct culprit *c,
			const struct place *place)
{
	uint64_t data = ~pattern(place->pa);
	uint64_t expected = place->saved;
	int rc;

	place_restore(place);
	memcpy((uint8_t *)&expected + (WORD - place->length), &data,
	       place->length);
	rc = move(run, c, &data, place->length, NESTFD_DMA_WRITE);
	run->report->writes++;
	if (rc || memcmp(place->word, &expected, WORD))
		run_wrong(run, WRONG_TRANSLATION, c,
			  "a write of %zu bytes that should reach %#" PRIx64
			  " %s",
			  place->length, place->pa,
			  rc ? strerror(-rc) : "is not found there");
}

void access_exercise(struct run *run, struct culprit *c, uint64_t pa,
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

const char *access_result(enum nestfd_result result)
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
			      const struct replay_expected *expected,
			      uint64_t pa, const struct nestfd_translation *tr)
{
	enum nestfd_result result = NESTFD_TRANSLATED;
	char where[64] = "";
	char size[64] = "";

	if (expected->untranslated && run->options->direct)
		result = NESTFD_BYPASSED;
	if (pa != expected->pa)
		snprintf(where, sizeof(where), ", guest %#" PRIx64,
			 expected->pa);
	if (expected->page_lg2 && run->options->direct)
		snprintf(size, sizeof(size), ", pages of 2^%u and 2^%u",
			 expected->page_lg2, tr->page_lg2);
	run_wrong(run, WRONG_TRANSLATION, c,
		  "expected %s to %#" PRIx64 "%s, %s%s; got %s to %#" PRIx64
		  ", %s%s, event %#x%s%s",
		  access_result(result), pa, where,
		  expected->perm & TRACE_PERM_R ? "r" : "",
		  expected->perm & TRACE_PERM_W ? "w" : "",
		  access_result(tr->result), tr->pa, tr->readable ? "r" : "",
		  tr->writable ? "w" : "", tr->event,
		  tr->hit ? ", from the cache" : "", size);
}

int access_look(struct run *run, const struct access *a, struct culprit *c,
		struct nestfd_translation *tr)
{
	struct world_stream *stream;
	unsigned int again = 0;
	uint64_t start;
	int rc;

	rc = cmdq_flush(run);
	if (!rc)
		ats_heed_quarantine(run);
	if (!rc && run->arch->before)
		rc = run->arch->before(run, a);
	if (rc)
		return rc;
	rc = world_stream(run->world, a->stream, &stream);
	if (rc)
		return run_fail_world(run, rc);
	*c = (struct culprit){ .dev = stream->dev,
			       .stream = a->stream,
			       .pasid = a->pasid,
			       .iova = a->iova,
			       .flags = a->flags,
			       .ats = ats_in_use(run, stream) };
	*tr = (struct nestfd_translation){ .size = sizeof(*tr) };
	start = replay_clock_ns();
	do
		rc = nestfd_translate(stream->dev, a->iova, a->pasid, a->flags,
				      tr);
	while (!rc && ats_recover_look(run, stream, tr) && !again++);
	if (!(a->flags & NESTFD_TRANSLATE_QUIET))
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
	/* what a host had was forgotten with the ATS it took away */
	if (run->options->cache == NESTFD_CACHE_HOSTILE && !t->walked &&
	    !tr->hit && !run->altered && !run->quarantines)
		run_wrong(run, WRONG_HIT, c,
			  "expected a hit, as in the recording");
}

static bool as_expected(struct run *run, const void *what,
			const struct nestfd_translation *tr)
{
	const struct replay_expected *expected = what;
	uint64_t pa = 0;

	if (world_pa(run->world, expected->pa, &pa))
		return false;
	if (tr->result == NESTFD_BYPASSED && expected->untranslated)
		return tr->pa == pa;
	return tr->result == NESTFD_TRANSLATED && tr->pa == pa &&
	       (!expected->perm ||
		(tr->readable == !!(expected->perm & TRACE_PERM_R) &&
		 tr->writable == !!(expected->perm & TRACE_PERM_W))) &&
	       /* nested, pages may be smaller below */
	       (!expected->page_lg2 || !run->options->direct ||
		tr->page_lg2 == expected->page_lg2);
}

/*
 * A first look, which leaves nothing behind, finds what has to be mended. What
 * was wrong in any other way is told so, though looking into it may have made
 * it right meanwhile.
 */
static int look_and_mend(struct run *run, const struct mend *m,
			 struct culprit *c, struct nestfd_translation *tr)
{
	struct nestfd_translation first = { .size = sizeof(first) };
	struct access loud = m->access;
	bool wrong = false;
	int rc = 0;

	loud.flags &= ~NESTFD_TRANSLATE_QUIET;
	if (run->arch->forget) {
		rc = mend(run, m, c, &first);
		wrong = !rc && !run->altered &&
			!m->right(run, m->expected, &first);
	}
	if (!rc)
		rc = access_look(run, &loud, c, tr);
	if (!rc && wrong)
		*tr = first;
	return rc;
}

int access_translate(struct run *run, const struct trace_translation *t)
{
	struct replay_expected expected = { .pa = t->pa, .perm = t->perm };
	struct mend m = {
		.access = { .stream = t->stream,
			    .pasid = t->has_pasid ? t->pasid : NESTFD_NO_PASID,
			    .iova = t->iova },
		.right = as_expected,
		.expected = &expected,
	};
	struct nestfd_translation tr;
	struct culprit c;
	uint64_t pa = 0;
	int rc = run->arch->expect(run, t, &expected);

	if (rc)
		return rc;
	m.access.flags = expected.perm == TRACE_PERM_W ? NESTFD_DMA_WRITE : 0;
	m.access.flags |= NESTFD_TRANSLATE_QUIET;
	rc = look_and_mend(run, &m, &c, &tr);
	if (rc)
		return rc;
	run->report->translated++;
	count_cache(run, t, &tr, &c);
	if (as_expected(run, &expected, &tr)) {
		access_exercise(run, &c, expected.pa,
				expected.perm ? expected.perm : TRACE_PERM_R);
		return 0;
	}
	world_pa(run->world, expected.pa, &pa);
	wrong_translation(run, &c, &expected, pa, &tr);
	return 0;
}

/*
 * In a nested world what the guest does not translate goes through stage 2. A
 * device that a guest lets through may count as translated on any machine.
 */
int access_untranslated(struct run *run, uint32_t stream, uint64_t iova,
			bool write)
{
	struct replay_expected expected = {
		.pa = iova,
		.perm = write ? TRACE_PERM_W : TRACE_PERM_R,
		.untranslated = true,
	};
	const struct access access = {
		.stream = stream,
		.pasid = NESTFD_NO_PASID,
		.iova = iova,
		.flags = write ? NESTFD_DMA_WRITE : 0,
	};
	struct nestfd_translation tr;
	struct culprit c;
	uint64_t pa = 0;
	int rc = access_look(run, &access, &c, &tr);

	if (rc)
		return rc;
	if (!world_pa(run->world, iova, &pa) && tr.pa == pa &&
	    tr.result == (run->options->direct ? NESTFD_BYPASSED
					       : NESTFD_TRANSLATED))
		access_exercise(run, &c, iova, expected.perm);
	else
		wrong_translation(run, &c, &expected, pa, &tr);
	return 0;
}

/*
 * A write whose translation an alteration keeps alive would go through: it is
 * only looked up, so that the log's memory stays as it is.
 */
static int refused(struct run *run, const struct culprit *c)
{
	struct nestfd_translation tr = { .size = sizeof(tr) };
	uint8_t data[ACCESS_BYTES] = { 0 };
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = c->iova,
		.pasid = c->pasid,
		.flags = c->flags,
		.buf = data,
		.length = ACCESS_BYTES - (c->iova & (ACCESS_BYTES - 1)),
	};

	if (!(c->flags & NESTFD_DMA_WRITE) || !run->altered)
		return nestfd_dma(c->dev, &dma);
	nestfd_translate(c->dev, c->iova, c->pasid, c->flags, &tr);
	return tr.result == NESTFD_ABORTED ? -EIO : 0;
}

int access_refused(struct run *run, struct culprit *c, int *answer)
{
	do
		*answer = refused(run, c);
	while (*answer == -ENODEV && ats_recover(run, c, *answer));
	run->report->faults++;
	return run->world->ops->pump(run->world) ? run_fail_world(run, -EIO)
						 : 0;
}
