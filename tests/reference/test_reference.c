// SPDX-License-Identifier: MIT
/*
 * The model against the reference, in random worlds: after every command and
 * every translation the keys in the model's cache are the reference's; every
 * translation ends as the reference's does, every event record says the same.
 *
 * NESTFD_SEED=n runs the world of one seed; it is printed with each failure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "world.h"

#define STEPS	  3000
#define MAX_WAYS  256u
#define SECONDS	  4 /* for each policy */
#define MIN_SEEDS 2

struct tally {
	unsigned long worlds;
	unsigned long accesses;
	unsigned long hits;
	unsigned long ambiguous; /* another right answer than the likeliest */
	unsigned long commands;
	unsigned long key_sets;
	unsigned long keys;
	unsigned long events;
	unsigned long stale;
	unsigned long results[3];
	unsigned long by_event[32][2];
};

static void fail_at(const struct world *w, const char *what)
{
	print_error("seed %llu: %s\n", (unsigned long long)w->seed, what);
	fail();
}

/*
 * Key sets
 */

struct keys {
	struct ref_entry e[REF_ENTRIES];
	size_t count;
};

static void collect(void *ctx, const struct nestfd_cache_entry *entry)
{
	struct keys *k = ctx;

	assert_true(k->count < REF_ENTRIES);
	k->e[k->count++] = (struct ref_entry){
		.kind = entry->kind,
		.vmid = entry->vmid,
		.asid = entry->asid,
		.global = entry->global,
		.level = entry->level,
		.size_lg2 = entry->size_lg2,
		.leaf_lg2 = entry->leaf_lg2,
		.iova = entry->iova,
		.leaf = entry->leaf,
		.out = entry->pa,
	};
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare(const void *x, const void *y)
{
	const struct ref_entry *a = x, *b = y;
	int c = compare_u64(a->iova, b->iova);

	c = c ? c : compare_u64(a->kind, b->kind);
	c = c ? c : compare_u64(a->vmid, b->vmid);
	c = c ? c : compare_u64(a->asid, b->asid);
	c = c ? c : compare_u64(a->level, b->level);
	c = c ? c : compare_u64(a->size_lg2, b->size_lg2);
	c = c ? c : compare_u64(a->leaf_lg2, b->leaf_lg2);
	c = c ? c : compare_u64(a->leaf, b->leaf);
	c = c ? c : compare_u64(a->out, b->out);
	return c ? c : compare_u64(a->global, b->global);
}

static void print_entry(const char *who, const struct ref_entry *e)
{
	print_error("  %s: kind %u vmid %x asid %x%s level %u 2^%u of leaf "
		    "%llx 2^%u: %llx -> %llx\n",
		    who, e->kind, e->vmid, e->asid, e->global ? " global" : "",
		    e->level, e->size_lg2, (unsigned long long)e->leaf,
		    e->leaf_lg2, (unsigned long long)e->iova,
		    (unsigned long long)e->out);
}

/* Merge both sorted lists; @exact: what the model lacks is wrong as well */
static size_t differences(const struct keys *model, const struct keys *ref,
			  bool exact, bool tell)
{
	size_t i = 0, j = 0, wrong = 0;
	int c;

	while (i < model->count || j < ref->count) {
		c = i == model->count ? 1
		    : j == ref->count ? -1
				      : compare(&model->e[i], &ref->e[j]);
		if (c < 0 || (c > 0 && exact)) {
			wrong++;
			if (tell && c < 0)
				print_entry("model only", &model->e[i]);
			else if (tell)
				print_entry("reference only", &ref->e[j]);
		}
		i += c <= 0;
		j += c >= 0;
	}
	return wrong;
}

/* The keys of the model and of @r; returns how many differ. */
static size_t compare_keys(struct world *w, const struct ref *r, bool exact,
			   bool tell, struct tally *t)
{
	static struct keys model, ref;

	model.count = 0;
	nestfd_iommu_entries(w->machine, collect, &model);
	ref.count = r->count;
	memcpy(ref.e, r->entry, ref.count * sizeof(ref.e[0]));
	qsort(model.e, model.count, sizeof(model.e[0]), compare);
	qsort(ref.e, ref.count, sizeof(ref.e[0]), compare);
	t->key_sets++;
	t->keys += model.count;
	return differences(&model, &ref, exact, tell);
}

static void check_keys(struct world *w, bool exact, struct tally *t,
		       const char *when)
{
	if (compare_keys(w, w->ref, exact, true, t))
		fail_at(w, when);
}

/*
 * Translations
 */

static bool same_result(const struct ref_outcome *o,
			const struct nestfd_translation *tr)
{
	static const enum nestfd_result results[3] = { NESTFD_TRANSLATED,
						       NESTFD_BYPASSED,
						       NESTFD_ABORTED };

	if (tr->result != results[o->result] ||
	    tr->event != (o->recorded ? o->event : 0u))
		return false;
	if (o->result == REF_ABORTED)
		return true;
	if (o->result == REF_BYPASSED)
		return tr->pa == o->pa;
	return tr->pa == o->pa && tr->page_lg2 == o->page_lg2 &&
	       tr->readable == o->readable && tr->writable == o->writable &&
	       tr->executable == o->executable;
}

/* 7.3: the record of the fault in @o */
static void make_record(const struct ref_access *a, const struct ref_outcome *o,
			uint64_t rec[4])
{
	bool transl = o->event >= 0x10 && o->event <= 0x13;
	bool walk = o->event == 0x0b;
	bool ssv = a->ssv && o->event != 0x06 && o->event != 0x08;

	rec[0] = o->event | (uint64_t)a->sid << 32;
	if (ssv)
		rec[0] |= 1ULL << 11;
	if (ssv || (o->event == 0x08 && a->ssv))
		rec[0] |= (uint64_t)a->ssid << 12;
	rec[1] = 0;
	rec[2] = 0;
	rec[3] = 0;
	if (transl || walk) {
		rec[1] = (uint64_t)!a->write << 35 | (uint64_t)o->priv << 33 |
			 (uint64_t)o->exec << 34 | (uint64_t)o->s2 << 39 |
			 (uint64_t)o->class << 40;
		rec[2] = a->addr;
	}
	if (transl && o->s2)
		rec[3] = o->ipa & 0x000ffffffffff000ULL;
	/* 7.3.16, TTRnW: descriptors are only read here */
	if (o->event == 0x13 && o->class == 1)
		rec[1] |= 1ULL << 44;
	if (walk || o->event == 0x03 || o->event == 0x09)
		rec[3] = o->fetch & 0x00fffffffffffff8ULL;
}

static bool next_event(struct world *w, uint64_t rec[4])
{
	uint32_t prod = (uint32_t)nestfd_iommu_read(w->machine, 0x100a8, 4);

	if (prod == w->evt_cons)
		return false;
	memcpy(rec, world_at(w, EVENTQ + (w->evt_cons & 127) * 32ULL), 32);
	w->evt_cons = (w->evt_cons + 1) & 255;
	nestfd_iommu_write(w->machine, 0x100ac, 4, w->evt_cons);
	return true;
}

/* What the access was answered, and the record it left */
struct answer {
	struct ref_access a;
	const struct stream *s;
	struct nestfd_translation tr;
	bool event;
	uint64_t rec[4];
};

static bool same_event(const struct answer *ans, const struct ref_outcome *o)
{
	uint64_t want[4];

	if (!o->recorded || !ans->event)
		return o->recorded == ans->event;
	make_record(&ans->a, o, want);
	return !memcmp(want, ans->rec, sizeof(want));
}

static unsigned int flags_of(const struct ref_access *a)
{
	return (a->write ? NESTFD_DMA_WRITE : 0) |
	       (a->priv ? NESTFD_DMA_PRIV : 0) |
	       (a->exec ? NESTFD_DMA_EXEC : 0);
}

static uint32_t pasid_of(const struct ref_access *a)
{
	return a->ssv ? a->ssid : NESTFD_NO_PASID;
}

static void print_outcome(const char *who, const struct ref_outcome *o)
{
	print_error("  %s: result %d event %x %srecorded s2 %d class %d pa "
		    "%llx 2^%d %d%d%d hit %d ways %u\n",
		    who, o->result, o->event, o->recorded ? "" : "not ", o->s2,
		    o->class, (unsigned long long)o->pa, o->page_lg2,
		    o->readable, o->writable, o->executable, o->hit, o->ways);
}

static void print_answer(const struct world *w, const struct answer *ans,
			 const struct ref_outcome *o)
{
	const struct nestfd_translation *tr = &ans->tr;
	const struct ref_access *a = &ans->a;
	struct ref_outcome cold;
	uint64_t want[4];
	char text[2048];

	nestfd_explain(ans->s->dev, a->addr, pasid_of(a), flags_of(a), text,
		       sizeof(text));
	print_error("%s  sid %u ssid %u/%d %llx flags %x\n", text, a->sid,
		    a->ssid, a->ssv, (unsigned long long)a->addr, flags_of(a));
	print_outcome("reference", o);
	ref_translate(w->ref, a, REF_COLD, 0, &cold);
	print_outcome("by memory alone", &cold);
	print_error("  model: result %d event %x pa %llx 2^%d %d%d%d hit %d\n",
		    tr->result, tr->event, (unsigned long long)tr->pa,
		    tr->page_lg2, tr->readable, tr->writable, tr->executable,
		    tr->hit);
	make_record(a, o, want);
	for (int n = 0; ans->event && n < 4; n++)
		print_error("  event dw%d: %016llx want %016llx\n", n,
			    (unsigned long long)ans->rec[n],
			    (unsigned long long)want[n]);
}

/*
 * The checker's verdict where it is not a matter of taste: where memory alone
 * gives another address, or none, the translation is stale; where nothing
 * cached took part it is not.
 */
static bool same_stale(struct world *w, const struct answer *ans,
		       const struct ref_outcome *o)
{
	struct ref_outcome cold;

	if (!o->used)
		return !ans->tr.stale;
	ref_translate(w->ref, &ans->a, REF_COLD, 0, &cold);
	if ((o->result == REF_ABORTED) != (cold.result == REF_ABORTED) ||
	    o->pa != cold.pa)
		return ans->tr.stale;
	return !ans->tr.stale || o->event != cold.event;
}

static bool try_way(struct world *w, const struct answer *ans, unsigned int way,
		    bool exact, struct ref_outcome *o)
{
	ref_translate(w->ref, &ans->a, exact ? REF_CACHED : REF_EAGER, way, o);
	return same_result(o, &ans->tr) && same_event(ans, o) &&
	       (!exact || o->hit == ans->tr.hit);
}

/* The answer may be right in several ways: which of them has left these keys?
 */
static bool keys_agree(struct world *w, struct tally *t)
{
	static struct ref copy;

	copy = *w->ref;
	ref_commit(&copy);
	return !compare_keys(w, &copy, true, false, t);
}

static bool find_way(struct world *w, const struct answer *ans, bool exact,
		     struct tally *t, struct ref_outcome *o)
{
	unsigned int way = 0;

	do {
		if (try_way(w, ans, way, exact, o) &&
		    (o->ways == 1 || keys_agree(w, t))) {
			t->ambiguous += way > 0;
			return true;
		}
	} while (++way < o->ways && way < MAX_WAYS);
	try_way(w, ans, 0, exact, o);
	return false;
}

static void ask_model(struct world *w, struct answer *ans)
{
	struct stream *s;
	int rc;

	world_random_access(w, &ans->a, &s);
	ans->s = s;
	ans->tr.size = sizeof(ans->tr);
	rc = nestfd_translate(s->dev, ans->a.addr, pasid_of(&ans->a),
			      flags_of(&ans->a), &ans->tr);
	assert_int_equal(rc, 0);
	ans->event = next_event(w, ans->rec);
}

static void do_access(struct world *w, bool exact, struct tally *t)
{
	struct answer ans = { 0 };
	struct ref_outcome o;
	uint64_t more[4];

	ask_model(w, &ans);
	if (!find_way(w, &ans, exact, t, &o)) {
		print_answer(w, &ans, &o);
		fail_at(w, "the translation differs");
	}
	ref_commit(w->ref);
	if (exact && !same_stale(w, &ans, &o)) {
		print_answer(w, &ans, &o);
		fail_at(w, ans.tr.stale ? "called stale, is not"
					: "stale, and not called so");
	}
	if (next_event(w, more))
		fail_at(w, "an event too many");
	if (w->ref->overflow)
		fail_at(w, "the reference is too small for the test");
	t->accesses++;
	t->hits += ans.tr.hit;
	t->stale += ans.tr.stale;
	t->results[o.result]++;
	t->events += ans.event;
	if (ans.event)
		t->by_event[o.event & 31][o.s2]++;
}

static void toggle_smmuen(struct world *w)
{
	w->ref->smmuen = !w->ref->smmuen;
	if (!w->ref->smmuen) {
		w->ref->gbpa_abort = world_chance(w, 50);
		nestfd_iommu_write(w->machine, 0x44, 4,
				   1u << 31 | w->ref->gbpa_abort << 20);
	}
	nestfd_iommu_write(w->machine, 0x20, 4, w->ref->smmuen ? 0xd : 0xc);
}

static void do_commands(struct world *w, bool exact, struct tally *t)
{
	unsigned int kind = world_below(w, 100);
	uint32_t before = w->cmd_prod;

	if (kind < 2 || !w->ref->smmuen)
		toggle_smmuen(w);
	else if (kind < 50)
		world_mutate(w);
	else
		world_random_command(w);
	if (!world_idle(w))
		fail_at(w, "the queue stopped");
	t->commands += (w->cmd_prod - before) & 0x1ff;
	check_keys(w, exact, t, "the keys differ after a command");
}

static void run_world(uint64_t seed, enum nestfd_cache cache, struct tally *t)
{
	bool exact = cache == NESTFD_CACHE_HOSTILE;
	struct world w;

	assert_int_equal(world_create(&w, seed, cache, !exact), 0);
	for (int n = 0; n < STEPS; n++) {
		if (world_chance(&w, 30))
			do_commands(&w, exact, t);
		do_access(&w, exact, t);
		if (exact && n % 4 == 0)
			check_keys(&w, exact, t,
				   "the keys differ after a translation");
	}
	check_keys(&w, exact, t, "the keys differ at the end");
	t->worlds++;
	world_destroy(&w);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void print_tally(const struct tally *t)
{
	print_message("%lu worlds: %lu accesses (%lu translated, %lu bypassed, "
		      "%lu aborted; %lu hits, %lu stale, %lu by a second "
		      "right answer), %lu events, %lu commands, %lu sets of "
		      "%lu keys\n",
		      t->worlds, t->accesses, t->results[0], t->results[1],
		      t->results[2], t->hits, t->stale, t->ambiguous, t->events,
		      t->commands, t->key_sets,
		      t->key_sets ? t->keys / t->key_sets : 0);
	for (int n = 0; n < 32; n++) {
		if (t->by_event[n][0] + t->by_event[n][1])
			print_message("  event %02x: %lu, in stage 2 %lu\n", n,
				      t->by_event[n][0], t->by_event[n][1]);
	}
}

static void run_policy(enum nestfd_cache cache, struct tally *t)
{
	const char *given = getenv("NESTFD_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : 1;
	double end = now() + SECONDS;

	memset(t, 0, sizeof(*t));
	print_message("seeds from %llu\n", (unsigned long long)seed);
	do {
		run_world(seed++, cache, t);
	} while (!given && (t->worlds < MIN_SEEDS || now() < end));
	print_tally(t);
}

static void test_hostile_is_the_reference(void **state)
{
	/* 0x05, 0x07: ATS; every other event of a translation happens */
	static const uint8_t all[] = { 0x02, 0x03, 0x04, 0x06, 0x08, 0x09,
				       0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13 };
	static const uint8_t both[] = { 0x0b, 0x10, 0x11, 0x12, 0x13 };
	struct tally t;

	(void)state;
	run_policy(NESTFD_CACHE_HOSTILE, &t);
	if (t.worlds < 20)
		return; /* a single seed, or a slow build: no statistics */
	for (size_t n = 0; n < sizeof(all); n++)
		assert_true(t.by_event[all[n]][0]);
	for (size_t n = 0; n < sizeof(both); n++)
		assert_true(t.by_event[both[n]][1]);
	assert_true(t.hits && t.stale && t.results[REF_BYPASSED]);
}

static void test_fast_keeps_nothing_that_was_removed(void **state)
{
	struct tally t;

	(void)state;
	run_policy(NESTFD_CACHE_FAST, &t);
	assert_true(t.hits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile_is_the_reference),
		cmocka_unit_test(test_fast_keeps_nothing_that_was_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
