// SPDX-License-Identifier: MIT
/*
 * VT-d: many descriptors behind one doorbell. IOTLB invalidations that stand
 * side by side may take effect together, but all of them before anything that
 * tells software so: the head, a wait, an error of the queue (6.5.2.11,
 * 6.5.2.12).
 */
#include <sched.h>
#include <unistd.h>

#include "rig_threads.h"
#include "vtd_rig.h"

#define MANY   100u
#define FENCE  (0x65 | 7ULL << 32)
#define WAIT   (0x25 | 7ULL << 32)
#define BROKEN 0x0eULL

struct bed {
	struct rig g;
	uint64_t fs;
};

static void bed_up(struct bed *b, enum iotlb_policy policy)
{
	memset(b, 0, sizeof(*b));
	rig_up(&b->g, policy);
	b->fs = page(&b->g);
	pasid_set(&b->g, 0, 3, PT_FS, 5, b->fs);
	pasid_set(&b->g, 1, 3, PT_FS, 5, b->fs);
	for (uint64_t n = 0; n < MANY; n++)
		fs_map(&b->g, b->fs, n << 12, 1, 0,
		       (DATA + n * 4096) | FS_PAGE);
}

static void invalidate(struct bed *b, uint64_t n)
{
	desc_put(&b->g, P_PAGE | DID(5) | PASID(3), n << 12 | IH);
}

static bool is_cached(struct bed *b, uint64_t n)
{
	return look(&b->g, 0, 3, n << 12, 0).hit;
}

static void touch_all(struct bed *b)
{
	for (uint64_t n = 0; n < MANY; n++)
		see(&b->g, 3, n << 12);
	for (uint64_t n = 0; n < MANY; n++)
		assert_true(is_cached(b, n));
}

/* What may stand between; the first: nothing */
static const uint64_t others[][2] = {
	{ 0, 0 },	{ FENCE, STATUS + 16 },	   { WAIT, STATUS + 16 },
	{ IEC_ALL, 0 }, { PC_DOMAIN | DID(9), 0 }, { DEV_TLB | SRC(SID0), 0 },
};

#define OTHERS (sizeof(others) / sizeof(others[0]))

static void put_other(struct bed *b, size_t which)
{
	if (others[which][0])
		desc_put(&b->g, others[which][0], others[which][1]);
}

/* Pages 0 to @n - 1, others[@kind] after each @every, and nothing behind */
static void forget(struct bed *b, uint64_t n, uint64_t every, size_t kind)
{
	for (uint64_t p = 0; p < n; p++) {
		invalidate(b, p);
		if (p % every == every - 1)
			put_other(b, kind);
	}
	doorbell(&b->g);
	assert_int_equal(reg_get(&b->g, REG_IQH, 8), b->g.tail);
}

static void all_of_a_doorbell_are_forgotten(enum iotlb_policy policy)
{
	struct bed b;

	bed_up(&b, policy);
	for (uint64_t n = 1; n < MANY; n += 1 + n / 40 * 5) {
		size_t kind = n % OTHERS;
		uint64_t every = 5 + n % 37;

		touch_all(&b);
		forget(&b, n, every, kind);
		for (uint64_t p = 0; p < MANY; p++)
			assert_int_equal(is_cached(&b, p), p >= n);
	}
	rig_down(&b.g);
}

static void all_of_a_doorbell_are_forgotten_fast(void **state)
{
	(void)state;
	all_of_a_doorbell_are_forgotten(IOTLB_FAST);
}

static void all_of_a_doorbell_are_forgotten_hostile(void **state)
{
	(void)state;
	all_of_a_doorbell_are_forgotten(IOTLB_HOSTILE);
}

/* ---- what completes by an interrupt is seen to be complete ---- */

#define REG_ICS	   0x9c
#define REG_IECTL  0xa0
#define REG_IEDATA 0xa4
#define REG_IEADDR 0xa8
#define WAIT_IRQ   0x15ULL
#define STEP	   7u

static void the_next_are_forgotten(struct rig *g, unsigned int line)
{
	struct bed *b = (struct bed *)g;
	uint64_t last = g->irqs[1] * STEP;

	assert_int_equal(line, 1);
	for (uint64_t p = last - STEP; p < last; p++)
		assert_false(is_cached(b, p));
	reg_set(g, REG_ICS, 4, 1);
}

static void irqs_up(struct bed *b, void (*fn)(struct rig *g, unsigned int line))
{
	b->g.on_irq = fn;
	reg_set(&b->g, REG_IEDATA, 4, 0x41);
	reg_set(&b->g, REG_IEADDR, 4, MSI);
	reg_set(&b->g, REG_IECTL, 4, 0);
}

/* Not with fences: they may run ahead, never behind. */
static void waits_complete_behind_what_they_wait_for(void **state)
{
	struct bed b;

	(void)state;
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		bed_up(&b, (enum iotlb_policy)policy);
		irqs_up(&b, the_next_are_forgotten);
		touch_all(&b);
		for (uint64_t p = 0; p < 14 * STEP; p++) {
			invalidate(&b, p);
			if (p % STEP == STEP - 1)
				desc_put(&b.g, WAIT_IRQ, 0);
		}
		doorbell(&b.g);
		assert_int_equal(reg_get(&b.g, REG_IQH, 8), b.g.tail);
		assert_int_equal(b.g.irqs[1], 14);
		rig_down(&b.g);
	}
}

static void the_next_are_still_there(struct rig *g, unsigned int line)
{
	struct bed *b = (struct bed *)g;
	uint64_t next = g->irqs[1] * STEP;

	the_next_are_forgotten(g, line);
	for (uint64_t p = next; p < MANY; p++)
		assert_true(is_cached(b, p));
}

/* 6.5.2.12: a fence (FN, bit 6) has completed when what is behind it begins. */
static void nothing_behind_a_fence_is_begun_before_it_completes(void **state)
{
	struct bed b;

	(void)state;
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		bed_up(&b, (enum iotlb_policy)policy);
		irqs_up(&b, the_next_are_still_there);
		touch_all(&b);
		for (uint64_t p = 0; p < 14 * STEP; p++) {
			invalidate(&b, p);
			if (p % STEP == STEP - 1)
				desc_put(&b.g, WAIT_IRQ | 0x40, 0);
		}
		doorbell(&b.g);
		assert_int_equal(reg_get(&b.g, REG_IQH, 8), b.g.tail);
		assert_int_equal(b.g.irqs[1], 14);
		rig_down(&b.g);
	}
}

/* ---- a wait is for what began before the invalidation ---- */

struct slow {
	struct bed b;
	pthread_t thread;
	bool found; /* what is to be forgotten */
	bool inside, left;
};

static void *slow_access(void *arg)
{
	struct slow *s = arg;

	reader_enter();
	s->found = is_cached(&s->b, 0);
	__atomic_store_n(&s->inside, true, __ATOMIC_RELEASE);
	usleep(50000);
	__atomic_store_n(&s->left, true, __ATOMIC_RELEASE);
	reader_exit();
	return NULL;
}

/* Of the wait in front: what is behind it may be done by now, or not. */
static void begin_a_slow_access(struct rig *g, unsigned int line)
{
	struct slow *s = (struct slow *)g;

	(void)line;
	if (pthread_create(&s->thread, NULL, slow_access, s))
		abort();
	while (!__atomic_load_n(&s->inside, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void a_later_wait_is_for_what_came_before(void **state)
{
	struct slow s;

	(void)state;
	memset(&s, 0, sizeof(s));
	bed_up(&s.b, IOTLB_FAST);
	irqs_up(&s.b, begin_a_slow_access);
	see(&s.b.g, 3, 0);
	desc_put(&s.b.g, WAIT_IRQ, 0);
	invalidate(&s.b, 0);
	doorbell(&s.b.g);
	wait_put(&s.b.g);
	doorbell(&s.b.g);
	assert_true(waited(&s.b.g));
	assert_true(__atomic_load_n(&s.left, __ATOMIC_ACQUIRE) || !s.found);
	pthread_join(s.thread, NULL);
	rig_down(&s.b.g);
}

/* Neighbours of other kinds and other domains, and the widest between them */
static void descriptors_of_many_kinds_go_together(void **state)
{
	static const uint64_t kinds[][2] = {
		{ P_PAGE | DID(5) | PASID(4), 0x1000 },
		{ P_PAGE | DID(6) | PASID(3), 0x1000 },
		{ P_PASID | DID(6) | PASID(3), 0 },
		{ IOTLB_PAGE | DID(6), 0x1000 | 0x40 },
		{ IOTLB_DID | DID(6), 0 },
	};
	struct bed b;

	(void)state;
	bed_up(&b, IOTLB_FAST);
	for (size_t n = 0; n < sizeof(kinds) / sizeof(kinds[0]); n++) {
		touch_all(&b);
		for (uint64_t p = 0; p < 40; p++) {
			desc_put(&b.g, kinds[n][0], kinds[n][1]);
			invalidate(&b, 2 * p);
		}
		doorbell(&b.g);
		for (uint64_t p = 0; p < MANY; p++)
			assert_int_equal(is_cached(&b, p), p % 2 || p >= 80);
	}
	touch_all(&b);
	invalidate(&b, 0);
	desc_put(&b.g, P_PASID | DID(5) | PASID(3), 0);
	invalidate(&b, 1);
	doorbell(&b.g);
	for (uint64_t p = 0; p < MANY; p++)
		assert_false(is_cached(&b, p));
	rig_down(&b.g);
}

/* 6.5.2.11: what is ahead of the invalid one is completed as normal. */
static void what_is_ahead_of_an_invalid_one_is_done(void **state)
{
	struct bed b;
	uint32_t bad;

	(void)state;
	bed_up(&b, IOTLB_FAST);
	for (uint64_t n = 0; n < 70; n += 7) {
		touch_all(&b);
		for (uint64_t p = 0; p < n; p++)
			invalidate(&b, p);
		bad = b.g.tail;
		desc_put(&b.g, BROKEN, 0);
		invalidate(&b, 99);
		doorbell(&b.g);
		assert_int_equal(reg_get(&b.g, REG_IQH, 8), bad);
		assert_int_equal(reg_get(&b.g, REG_FSTS, 4) & 0x10, 0x10);
		for (uint64_t p = 0; p < MANY; p++)
			assert_int_equal(is_cached(&b, p), p >= n);
		at(&b.g, IQ + bad)[0] = IEC_ALL;
		reg_set(&b.g, REG_FSTS, 4, 0x10);
		assert_int_equal(reg_get(&b.g, REG_IQH, 8), b.g.tail);
		assert_false(is_cached(&b, 99));
	}
	rig_down(&b.g);
}

/* ---- against DMA ---- */

#define LATE 511u /* the word of a page that is read last */

/*
 * Whole pages, to where there is no memory yet: the copy is long under way. The
 * second one asks for pages as well.
 */
static void *device_reads(void *arg)
{
	struct device *d = arg;
	uint64_t *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (uint64_t n = 0; words != MAP_FAILED && !stopped(d->stop); n++) {
		const struct model_page_request ask = {
			.iova = device_page(d, n),
			.pasid = 3,
			.flags = MODEL_PAGE_READ,
		};

		madvise(words, 4096, MADV_DONTNEED);
		if (!dma(d->g, d->port, 3, ask.iova, 0, words, 4096))
			d->reads++;
		d->poisoned += words[LATE] == POISON;
		if (d->port && n % 16 == 0)
			d->g->model->ops->page_request(d->g->port[1], &ask);
	}
	munmap(words, 4096);
	return NULL;
}

static void fill_all(struct bed *b, uint64_t value)
{
	for (uint64_t n = 0; n < PAGES; n++)
		fill(&b->g, DATA + n * 4096 + 8 * LATE, value);
}

static void map_all(struct bed *b, uint64_t flags)
{
	for (uint64_t n = 0; n < PAGES; n++)
		fs_map(&b->g, b->fs, n << 12, 1, 0,
		       flags ? (DATA + n * 4096) | flags : 0);
}

/*
 * By several waits that need not be in order, one in the middle; or by a wait
 * that comes with the next doorbell, when what it waits for has long been done.
 */
static void invalidate_all(struct bed *b, uint64_t round)
{
	if (round % 4 == 1)
		wait_put(&b->g);
	for (uint64_t n = 0; n < PAGES; n++) {
		invalidate(b, (n + round) % PAGES);
		if (round % 4 == 2 && n % 3 == 1)
			wait_put(&b->g);
		if (round % 4 == 3 && n == 5)
			desc_put(&b->g, FENCE, STATUS + 16);
	}
	if (round % 4 == 1)
		doorbell(&b->g);
	wait_put(&b->g);
	doorbell(&b->g);
	assert_int_equal(reg_get(&b->g, REG_IQH, 8), b->g.tail);
	assert_true(waited(&b->g));
}

static void drain(struct rig *g)
{
	struct fault f;

	for (unsigned int n = 0; n < 8; n++)
		fault_take(g, n, &f);
	reg_set(g, REG_FSTS, 4, 1);
	reg_set(g, REG_PQH, 8, reg_get(g, REG_PQT, 8));
}

static void removed_pages_are_not_read(enum iotlb_policy policy)
{
	struct device d[2];
	bool stop = false;
	struct bed b;
	double end;

	bed_up(&b, policy);
	fill_all(&b, GOOD);
	devices_start(&b.g, d, &stop, device_reads);
	end = now() + 1.0;
	for (uint64_t round = 0; now() < end; round++) {
		map_all(&b, 0);
		invalidate_all(&b, round);
		fill_all(&b, POISON);
		fill_all(&b, GOOD);
		map_all(&b, FS_PAGE);
		drain(&b.g);
	}
	devices_stop_well(d, &stop);
	rig_down(&b.g);
}

static void removed_pages_are_not_read_fast(void **state)
{
	(void)state;
	removed_pages_are_not_read(IOTLB_FAST);
}

static void removed_pages_are_not_read_hostile(void **state)
{
	(void)state;
	removed_pages_are_not_read(IOTLB_HOSTILE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_a_doorbell_are_forgotten_fast),
		cmocka_unit_test(all_of_a_doorbell_are_forgotten_hostile),
		cmocka_unit_test(waits_complete_behind_what_they_wait_for),
		cmocka_unit_test(
			nothing_behind_a_fence_is_begun_before_it_completes),
		cmocka_unit_test(a_later_wait_is_for_what_came_before),
		cmocka_unit_test(descriptors_of_many_kinds_go_together),
		cmocka_unit_test(what_is_ahead_of_an_invalid_one_is_done),
		cmocka_unit_test(removed_pages_are_not_read_fast),
		cmocka_unit_test(removed_pages_are_not_read_hostile),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
