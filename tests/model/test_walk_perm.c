// SPDX-License-Identifier: MIT
/*
 * What a translation permits, how walks update flags in tables, and what they
 * tell and take from caches. Permissions are written as bytes: read 1, write
 * 2, execute 4; privileged in the low digit, unprivileged in the high one.
 */
#include "walk_setup.h"

#define VA  0x0000123456789abcULL
#define OUT 0x0000000abcde0000ULL

/* CD doubleword 0 */
#define CD_WXN	(1ULL << 36)
#define CD_PAN	(1ULL << 40)
#define CD_AFFD (1ULL << 35)
#define CD_HD	(1ULL << 42)
#define CD_HA	(1ULL << 43)
/* STE doubleword 2 */
#define STE_S2AFFD (1ULL << 53)
#define STE_S2PTW  (1ULL << 54)
#define STE_S2HD   (1ULL << 55)
#define STE_S2HA   (1ULL << 56)

static const int accesses[6] = {
	ACCESS_R,
	ACCESS_W,
	ACCESS_X,
	ACCESS_R | ACCESS_U,
	ACCESS_W | ACCESS_U,
	ACCESS_X | ACCESS_U,
};

/* Every kind of access succeeds or fails just as @want says. */
static void expect_permits(struct setup *s, uint64_t va, int want, int s2)
{
	for (int i = 0; i < 6; i++) {
		int a = accesses[i];
		int bit = a & ACCESS_U ? (a & 7) << 4 : a;

		if (want & bit) {
			assert_true(setup_walk(s, va, a));
			assert_int_equal(s->out.allowed, want);
			assert_int_equal(s->out.ready, want);
		} else {
			expect_walk_fault(
				s, va, a,
				(struct expect){ 0x13, 2, s2, 3, s2 ? va : 0 });
		}
	}
}

/* Rows: AP[2:1] 00, 01, 10, 11; columns: {UXN, PXN} 00, 01, 10, 11. */
static const uint8_t s1_perms[4][4] = {
	{ 0x47, 0x43, 0x07, 0x03 },
	{ 0x73, 0x73, 0x33, 0x33 },
	{ 0x45, 0x41, 0x05, 0x01 },
	{ 0x55, 0x51, 0x15, 0x11 },
};

static uint64_t s1_leaf(int ap, int xn)
{
	return OUT | 0x403 | (uint64_t)ap << 6 | (uint64_t)xn << 53;
}

static void test_stage_1_permissions(void **state)
{
	struct setup s = { 0 };

	(void)state;
	setup_s1(&s, &grans[0]);
	for (int ap = 0; ap < 4; ap++) {
		for (int xn = 0; xn < 4; xn++) {
			tree_set(&s.t1, VA, 3, s1_leaf(ap, xn));
			expect_permits(&s, VA, s1_perms[ap][xn], 0);
		}
	}
	setup_down(&s);
}

/* WXN: what one may write one may not execute. */
static void test_wxn(void **state)
{
	static const uint8_t wxn[4][4] = {
		{ 0x43, 0x43, 0x03, 0x03 },
		{ 0x33, 0x33, 0x33, 0x33 },
		{ 0x45, 0x41, 0x05, 0x01 },
		{ 0x55, 0x51, 0x15, 0x11 },
	};
	struct setup s = { 0 };

	(void)state;
	setup_s1(&s, &grans[0]);
	s.cd[0] |= CD_WXN;
	setup_decode(&s);
	for (int ap = 0; ap < 4; ap++) {
		for (int xn = 0; xn < 4; xn++) {
			tree_set(&s.t1, VA, 3, s1_leaf(ap, xn));
			expect_permits(&s, VA, wxn[ap][xn], 0);
		}
	}
	setup_down(&s);
}

/* PAN: no privileged data where the unprivileged may; fetching goes on. */
static void test_pan(void **state)
{
	static const uint8_t pan[4][4] = {
		{ 0x47, 0x43, 0x07, 0x03 },
		{ 0x70, 0x70, 0x30, 0x30 },
		{ 0x45, 0x41, 0x05, 0x01 },
		{ 0x54, 0x50, 0x14, 0x10 },
	};
	struct setup s = { 0 };

	(void)state;
	setup_s1(&s, &grans[0]);
	s.cd[0] |= CD_PAN;
	setup_decode(&s);
	for (int ap = 0; ap < 4; ap++) {
		for (int xn = 0; xn < 4; xn++) {
			tree_set(&s.t1, VA, 3, s1_leaf(ap, xn));
			expect_permits(&s, VA, pan[ap][xn], 0);
		}
	}
	setup_down(&s);
}

/* One hierarchical bit at each level above the leaf; HAD switches it off. */
static void test_hierarchical_attributes_add_up_from_each_level(void **state)
{
	static const struct {
		int bit;
		int ap; /* of the leaf */
		int as; /* the leaf AP and XN it then is like */
		int xn;
	} rows[] = {
		{ 61, 1, 0, 0 }, { 61, 3, 2, 0 }, { 61, 0, 0, 0 },
		{ 62, 0, 2, 0 }, { 62, 1, 3, 0 }, { 62, 3, 3, 0 },
		{ 60, 0, 0, 2 }, { 60, 3, 3, 2 }, { 59, 0, 0, 1 },
		{ 59, 3, 3, 1 }, { 63, 0, 0, 0 }, { 63, 3, 3, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct setup s = { 0 };

		setup_s1(&s, &grans[0]);
		tree_set(&s.t1, VA, 3, s1_leaf(rows[i].ap, 0));
		for (int level = 0; level < 3; level++) {
			uint64_t *d =
				fake_at(&s.f, tree_slot(&s.t1, VA, level));

			*d |= 1ULL << rows[i].bit;
			s.cd[1] &= ~2ULL;
			setup_decode(&s);
			expect_permits(&s, VA, s1_perms[rows[i].as][rows[i].xn],
				       0);
			s.cd[1] |= 2; /* HAD0 */
			setup_decode(&s);
			expect_permits(&s, VA, s1_perms[rows[i].ap][0], 0);
			*d &= ~(1ULL << rows[i].bit);
		}
		setup_down(&s);
	}
}

static void test_had_is_nothing_where_idr3_has_it_not(void **state)
{
	struct setup s = { 0 };

	(void)state;
	setup_s1(&s, &grans[0]);
	s.f.id.idr[3] &= ~4u;
	s.cd[1] |= 2;
	setup_decode(&s);
	tree_set(&s.t1, VA, 3, s1_leaf(1, 0));
	*fake_at(&s.f, tree_slot(&s.t1, VA, 1)) |= 1ULL << 62;
	expect_permits(&s, VA, s1_perms[3][0], 0);
	setup_down(&s);
}

/* S2AP 00, 01, 10, 11 and XN[1:0] 00 all, 01 EL0, 10 nobody, 11 EL1 */
static void test_stage_2_permissions(void **state)
{
	static const uint8_t data[4] = { 0x00, 0x11, 0x22, 0x33 };
	static const uint8_t exec[4] = { 0x44, 0x40, 0x00, 0x04 };
	static const uint8_t exec_no_xnx[4] = { 0x44, 0x44, 0x00, 0x00 };
	struct setup s = { 0 };

	(void)state;
	setup_s2(&s, &grans[0]);
	for (int i = 0; i < 32; i++) {
		int ap = i & 3;
		int xn = i >> 2 & 3;
		bool xnx = !(i & 16);

		s.f.id.idr[3] = xnx ? IDR3 : IDR3 & ~0x10u;
		setup_decode(&s);
		tree_set(&s.t2, VA, 3,
			 OUT | 0x43f | (uint64_t)ap << 6 | (uint64_t)xn << 53);
		expect_permits(&s, VA,
			       data[ap] | (xnx ? exec : exec_no_xnx)[xn], 1);
	}
	setup_down(&s);
}

static void test_nested_permissions_are_those_of_both_stages(void **state)
{
	struct setup s = { 0 };

	(void)state;
	setup_nested(&s, &grans[0], &grans[0]);
	tree_set(&s.t1, VA, 3, s1_leaf(1, 0)); /* 0x73 */
	setup_map_tables(&s);
	tree_set(&s.t2, OUT, 3, 0x0040000000005000ULL | 0x47f); /* 0x11 */
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(s.out.allowed, 0x11);
	assert_int_equal(s.out.ready, 0x11);
	/* stage 1 would forbid privileged execution, and is asked first */
	expect_walk_fault(&s, VA, ACCESS_X, (struct expect){ 0x13, 2, 0, 3 });
	expect_walk_fault(&s, VA, ACCESS_X | ACCESS_U,
			  (struct expect){ 0x13, 2, 1, 3, OUT | 0xabc });
	expect_walk_fault(&s, VA, ACCESS_W,
			  (struct expect){ 0x13, 2, 1, 3, OUT | 0xabc });
	setup_down(&s);
}

static void test_affd_and_s2affd_take_af_for_set(void **state)
{
	struct setup s = { 0 };

	(void)state;
	setup_nested(&s, &grans[0], &grans[0]);
	tree_set(&s.t1, VA, 3, OUT | 0x043);
	setup_map_tables(&s);
	tree_set(&s.t2, OUT, 3, 0x5000 | 0x0ff);
	s.cd[0] |= CD_AFFD;
	setup_decode(&s);
	expect_walk_fault(&s, VA, ACCESS_R,
			  (struct expect){ 0x12, 2, 1, 3, OUT | 0xabc });
	s.ste[2] |= STE_S2AFFD;
	setup_decode(&s);
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(s.out.ready, 0x73);
	assert_int_equal(*fake_at(&s.f, tree_slot(&s.t1, VA, 3)), OUT | 0x043);
	setup_down(&s);
}

static void test_ha_sets_the_access_flag_of_stage_1(void **state)
{
	struct setup s = { 0 };
	uint64_t *d;

	(void)state;
	setup_s1(&s, &grans[0]);
	s.cd[0] |= CD_HA | CD_AFFD; /* with HA, AFFD is IGNORED */
	setup_decode(&s);
	tree_set(&s.t1, VA, 3, OUT | 0x043);
	d = fake_at(&s.f, tree_slot(&s.t1, VA, 3));
	s.f.env.quiet = true;
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(s.out.allowed, 0x73);
	assert_int_equal(s.out.ready, 0);
	assert_int_equal(*d, OUT | 0x043);
	s.f.env.quiet = false;
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(s.out.ready, 0x73);
	assert_int_equal(*d, OUT | 0x443);
	/* a denied access leaves it alone */
	*d = OUT | 0x0c3;
	expect_walk_fault(&s, VA, ACCESS_W, (struct expect){ 0x13, 2, 0, 3 });
	assert_int_equal(*d, OUT | 0x0c3);
	setup_down(&s);
}

/* DBM (bit 51) and AP[2]: writable-clean. */
static void test_hd_makes_clean_pages_of_stage_1_dirty_on_writes(void **state)
{
	const uint64_t clean = OUT | 0x00080000000004c3ULL;
	struct setup s = { 0 };
	uint64_t *d;

	(void)state;
	setup_s1(&s, &grans[0]);
	tree_set(&s.t1, VA, 3, clean);
	d = fake_at(&s.f, tree_slot(&s.t1, VA, 3));
	/* without HD, or with HD alone, it is read-only */
	s.cd[0] |= CD_HA;
	setup_decode(&s);
	expect_walk_fault(&s, VA, ACCESS_W, (struct expect){ 0x13, 2, 0, 3 });
	s.cd[0] ^= CD_HA | CD_HD;
	setup_decode(&s);
	expect_walk_fault(&s, VA, ACCESS_W, (struct expect){ 0x13, 2, 0, 3 });
	s.cd[0] |= CD_HA;
	setup_decode(&s);
	assert_true(setup_walk(&s, VA, ACCESS_R | ACCESS_U));
	assert_int_equal(s.out.allowed, 0x73); /* executes as if writable */
	assert_int_equal(s.out.ready, 0x51);
	assert_int_equal(*d, clean);
	s.f.env.quiet = true;
	assert_true(setup_walk(&s, VA, ACCESS_W));
	assert_int_equal(s.out.ready, 0x51);
	assert_int_equal(*d, clean);
	s.f.env.quiet = false;
	assert_true(setup_walk(&s, VA, ACCESS_W));
	assert_int_equal(s.out.ready, 0x73);
	assert_int_equal(*d, clean & ~0x80ULL);
	/* both flags at once */
	*d = clean & ~0x400ULL;
	assert_true(setup_walk(&s, VA, ACCESS_W));
	assert_int_equal(*d, clean & ~0x80ULL);
	/* APTable took writing away: no flag can give it back */
	*d = clean;
	*fake_at(&s.f, tree_slot(&s.t1, VA, 2)) |= 1ULL << 62;
	expect_walk_fault(&s, VA, ACCESS_W, (struct expect){ 0x13, 2, 0, 3 });
	assert_int_equal(*d, clean);
	setup_down(&s);
}

static void test_httu_of_stage_2(void **state)
{
	const uint64_t clean = 0x0008000000005000ULL | 0x07f;
	struct setup s = { 0 };
	uint64_t *d;

	(void)state;
	setup_s2(&s, &grans[0]);
	tree_set(&s.t2, VA, 3, clean);
	d = fake_at(&s.f, tree_slot(&s.t2, VA, 3));
	s.ste[2] |= STE_S2HA;
	setup_decode(&s);
	expect_walk_fault(&s, VA, ACCESS_W,
			  (struct expect){ 0x13, 2, 1, 3, VA });
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(*d, clean | 0x400);
	assert_int_equal(s.out.allowed, 0x55);
	s.ste[2] |= STE_S2HD;
	setup_decode(&s);
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(*d, clean | 0x400);
	assert_int_equal(s.out.allowed, 0x77);
	assert_int_equal(s.out.ready, 0x55);
	assert_true(setup_walk(&s, VA, ACCESS_W | ACCESS_U));
	assert_int_equal(*d, clean | 0x480);
	assert_int_equal(s.out.ready, 0x77);
	setup_down(&s);
}

/* Updating a descriptor of stage 1 is a write through stage 2. */
static void
test_an_update_of_stage_1_needs_stage_2_to_let_it_write(void **state)
{
	struct setup s = { 0 };
	uint64_t slot, page;
	uint64_t *d2;

	(void)state;
	setup_nested(&s, &grans[0], &grans[0]);
	s.cd[0] |= CD_HA;
	setup_decode(&s);
	tree_set(&s.t1, VA, 3, OUT | 0x043);
	setup_map_tables(&s);
	tree_set(&s.t2, OUT, 3, 0x5000 | S2_PAGE);
	slot = tree_slot(&s.t1, VA, 3);
	page = slot & ~0xfffULL;
	/* S2AP 01 */
	tree_set(&s.t2, slot + DELTA, 3, page | 0x47f);
	expect_walk_fault(&s, VA, ACCESS_R,
			  (struct expect){ 0x13, 1, 1, 3, slot + DELTA });
	assert_true(s.out.fault.tt_write);
	assert_int_equal(*fake_at(&s.f, slot), OUT | 0x043);
	/* writable-clean: the table's own page becomes dirty */
	s.ste[2] |= STE_S2HA | STE_S2HD;
	setup_decode(&s);
	tree_set(&s.t2, slot + DELTA, 3, page | 0x000800000000047fULL);
	assert_true(setup_walk(&s, VA, ACCESS_R));
	d2 = fake_at(&s.f, tree_slot(&s.t2, slot + DELTA, 3));
	assert_int_equal(*d2, page | 0x00080000000004ffULL);
	assert_int_equal(*fake_at(&s.f, slot), OUT | 0x443);
	setup_down(&s);
}

/* S2PTW: MemAttr[3:2] 00 is Device; with FWB it is MemAttr[2] 0. */
static void test_s2ptw_keeps_tables_out_of_device_memory(void **state)
{
	struct setup s = { 0 };
	uint64_t slot, page;

	(void)state;
	setup_nested(&s, &grans[0], &grans[0]);
	tree_set(&s.t1, VA, 3, OUT | S1_PAGE);
	setup_map_tables(&s);
	slot = tree_slot(&s.t1, VA, 2);
	page = slot & ~0xfffULL;
	tree_set(&s.t2, slot + DELTA, 3, page | 0x4cf);
	tree_set(&s.t2, OUT, 3, 0x5000 | 0x4c3); /* data may lie there */
	assert_true(setup_walk(&s, VA, ACCESS_R));
	s.ste[2] |= STE_S2PTW;
	setup_decode(&s);
	expect_walk_fault(&s, VA, ACCESS_R,
			  (struct expect){ 0x13, 1, 1, 3, slot + DELTA });
	assert_false(s.out.fault.tt_write);
	tree_set(&s.t2, slot + DELTA, 3, page | 0x4d3); /* MemAttr 0100 */
	assert_true(setup_walk(&s, VA, ACCESS_R));
	tree_set(&s.t2, slot + DELTA, 3, page | 0x4e3); /* MemAttr 1000 */
	assert_true(setup_walk(&s, VA, ACCESS_R));
	s.ste[1] |= 1ULL << 25; /* S2FWB */
	setup_decode(&s);
	expect_walk_fault(&s, VA, ACCESS_R,
			  (struct expect){ 0x13, 1, 1, 3,
					   tree_slot(&s.t1, VA, 2) + DELTA });
	setup_down(&s);
}

/* Memory that may only be read: the update is an external abort. */
static void test_flags_in_read_only_memory_abort(void **state)
{
	struct setup s = { 0 };
	struct phys_range *range;
	uint64_t *table = NULL;

	(void)state;
	setup_s1(&s, &grans[0]);
	s.cd[0] |= CD_HA;
	setup_decode(&s);
	assert_int_equal(posix_memalign((void **)&table, 4096, 4096), 0);
	memset(table, 0, 4096);
	assert_int_equal(phys_add_at(s.f.phys, 0x20000000, table, 4096,
				     PHYS_READ, &range),
			 0);
	tree_set(&s.t1, VA, 2, 0x20000003);
	table[0x189] = OUT | 0x043; /* VA bits 20:12 */
	expect_walk_fault(
		&s, VA, ACCESS_R,
		(struct expect){ 0x0b, 1, 0, 3, 0, 0x20000000 + 0x189 * 8 });
	table[0x189] = OUT | 0x443;
	assert_true(setup_walk(&s, VA, ACCESS_R));
	setup_down(&s);
	free(table);
}

/* Another agent changes the descriptor between reading and updating it. */
struct meddler {
	struct fake *f;
	int times; /* how often still */
	uint64_t flip;
	int seen;
};

static void meddle(void *ctx, bool s2, uint8_t level, uint64_t pa,
		   uint64_t descriptor)
{
	struct meddler *m = ctx;

	(void)s2;
	(void)descriptor;
	m->seen++;
	if (level == 3 && m->times) {
		m->times--;
		*fake_at(m->f, pa) ^= m->flip;
	}
}

static void test_a_lost_race_reads_the_descriptor_again(void **state)
{
	const struct walk_cache ops = { .step = meddle };
	struct meddler m = { .times = 3, .flip = 1ULL << 55 };
	struct setup s = { 0 };
	uint64_t *d;

	(void)state;
	setup_s1(&s, &grans[0]);
	s.cd[0] |= CD_HA;
	setup_decode(&s);
	tree_set(&s.t1, VA, 3, OUT | 0x043);
	d = fake_at(&s.f, tree_slot(&s.t1, VA, 3));
	m.f = &s.f;
	s.f.env.cache = &ops;
	s.f.env.cache_ctx = &m;
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(m.seen, 4 + 3);
	assert_int_equal(*d, OUT | 0x0080000000000443ULL);
	/* it is gone by then: no translation */
	*d = OUT | 0x043;
	m.times = 1;
	m.flip = 1;
	expect_walk_fault(&s, VA, ACCESS_R, (struct expect){ 0x10, 2, 0, 3 });
	assert_int_equal(*d, OUT | 0x042);
	/* who never stops does not keep the walk for ever */
	*d = OUT | 0x043;
	m.times = 1 << 20;
	m.flip = 1ULL << 55;
	m.seen = 0;
	assert_false(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(s.out.fault.event, 0x0b);
	assert_int_equal(s.out.fault.fetch, tree_slot(&s.t1, VA, 3));
	assert_in_range(m.seen, 10, 100);
	setup_down(&s);
}

/* A cache that keeps the last of everything. */
struct memo {
	struct walk_table s1[4];
	struct walk_table s2[64];
	struct walk_page pages[64];
	int n_s1;
	int n_s2;
	int n_pages;
	int steps;
	bool on;
};

static bool memo_s1_find(void *ctx, uint64_t addr, struct walk_table *table)
{
	struct memo *m = ctx;

	for (int i = m->on ? m->n_s1 : 0; i-- > 0;) {
		if ((addr ^ m->s1[i].first) >> m->s1[i].size_lg2)
			continue;
		*table = m->s1[i];
		return true;
	}
	return false;
}

static void memo_s1_add(void *ctx, uint64_t addr,
			const struct walk_table *table)
{
	struct memo *m = ctx;

	assert_int_equal(table->first, addr & ~((1ULL << table->size_lg2) - 1));
	assert_true(m->n_s1 < 4);
	m->s1[m->n_s1++] = *table;
}

static bool memo_s2_find(void *ctx, uint64_t ipa, struct walk_table *table)
{
	struct memo *m = ctx;

	for (int i = m->on ? m->n_s2 : 0; i-- > 0;) {
		if ((ipa ^ m->s2[i].first) >> m->s2[i].size_lg2 ||
		    m->s2[i].level != 3)
			continue;
		*table = m->s2[i];
		return true;
	}
	return false;
}

static void memo_s2_add(void *ctx, uint64_t ipa, const struct walk_table *table)
{
	struct memo *m = ctx;

	assert_int_equal(table->first, ipa & ~((1ULL << table->size_lg2) - 1));
	assert_true(m->n_s2 < 64);
	m->s2[m->n_s2++] = *table;
}

static bool memo_ipa_find(void *ctx, uint64_t ipa, struct walk_page *page)
{
	struct memo *m = ctx;

	for (int i = m->on ? m->n_pages : 0; i-- > 0;) {
		if ((ipa ^ m->pages[i].first) >> m->pages[i].size_lg2)
			continue;
		*page = m->pages[i];
		return true;
	}
	return false;
}

static void memo_ipa_add(void *ctx, uint64_t ipa, const struct walk_page *page)
{
	struct memo *m = ctx;

	(void)ipa;
	assert_true(m->n_pages < 64);
	m->pages[m->n_pages++] = *page;
}

static void memo_step(void *ctx, bool s2, uint8_t level, uint64_t pa,
		      uint64_t descriptor)
{
	struct memo *m = ctx;

	(void)s2;
	(void)level;
	(void)pa;
	(void)descriptor;
	m->steps++;
}

static const struct walk_cache memo_ops = {
	.s1_find = memo_s1_find,
	.s1_add = memo_s1_add,
	.s2_find = memo_s2_find,
	.s2_add = memo_s2_add,
	.ipa_find = memo_ipa_find,
	.ipa_add = memo_ipa_add,
	.step = memo_step,
};

/* Tables of stage 1 far apart: 4 x (4 + 1) + 4 descriptors. */
static void test_a_nested_walk_reads_24_descriptors_at_most(void **state)
{
	static const int shift[4] = { 39, 30, 21, 12 };
	struct setup s = { 0 };
	struct memo m = { 0 };
	uint64_t table[5];

	(void)state;
	setup_nested(&s, &grans[0], &grans[0]);
	s.f.env.cache = &memo_ops;
	s.f.env.cache_ctx = &m;
	s.f.env.quiet = true;
	for (int i = 0; i < 5; i++) {
		table[i] = fake_chunk(&s.f);
		tree_set(&s.t2, (i + 1ULL) << 40 | table[i], 3,
			 table[i] | S2_PAGE);
	}
	for (int i = 0; i < 4; i++)
		*fake_at(&s.f, table[i] + (VA >> shift[i] & 0x1ff) * 8) =
			(i + 2ULL) << 40 | table[i + 1] | (i < 3 ? 3 : S1_PAGE);
	s.cd[1] = 1ULL << 40 | table[0];
	setup_decode(&s);
	assert_true(setup_walk(&s, VA, ACCESS_W));
	assert_int_equal(s.out.pa, table[4] | 0xabc);
	assert_int_equal(m.steps, 24);
	setup_down(&s);
}

/* All tables lie within 2 MiB: one table of stage 2 maps them. */
static void test_walk_caches_shorten_a_nested_walk(void **state)
{
	struct setup s = { 0 };
	struct memo m = { 0 };

	(void)state;
	setup_nested(&s, &grans[0], &grans[0]);
	tree_set(&s.t1, VA, 3, OUT | S1_PAGE);
	*fake_at(&s.f, tree_slot(&s.t1, VA, 1)) |= 1ULL << 62; /* APTable */
	setup_map_tables(&s);
	tree_set(&s.t2, OUT, 3, 0x5000 | S2_PAGE);
	s.f.env.cache = &memo_ops;
	s.f.env.cache_ctx = &m;
	s.f.env.quiet = true;
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(m.steps, 15);
	assert_int_equal(m.n_s1 + m.n_s2 + m.n_pages, 0);
	s.f.env.quiet = false;
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(m.n_s1, 3);
	assert_int_equal(m.n_s2, 6);
	assert_int_equal(m.n_pages, 5);
	assert_int_equal(m.s1[0].level, 1);
	assert_int_equal(m.s1[0].size_lg2, 39);
	assert_int_equal(m.s1[0].attrs, 0);
	assert_int_equal(m.s1[2].level, 3);
	assert_int_equal(m.s1[2].size_lg2, 21);
	assert_int_equal(m.s1[2].attrs, 1); /* read-only, from level 1 */
	assert_int_equal(m.s1[2].table,
			 (tree_slot(&s.t1, VA, 3) & ~0xfffULL) + DELTA);
	assert_int_equal(m.s2[0].size_lg2, 39);

	/* warm: the last descriptor of stage 1 alone is read */
	m.on = true;
	m.steps = 0;
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(m.steps, 1);
	assert_int_equal(s.out.pa, 0x5abc);
	assert_int_equal(s.out.allowed, 0x55 & 0x77);
	expect_walk_fault(&s, VA, ACCESS_W, (struct expect){ 0x13, 2, 0, 3 });
	/* without pages, but with tables: one descriptor for each */
	m.n_pages = 0;
	m.n_s1 = 0;
	m.steps = 0;
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(m.steps, 4 + 5);
	setup_down(&s);
}

/* A cached page that is not ready is walked again, and updated. */
static void test_a_cached_clean_page_is_walked_again_for_a_write(void **state)
{
	struct setup s = { 0 };
	struct memo m = { .on = true };

	(void)state;
	setup_s2(&s, &grans[0]);
	s.ste[2] |= STE_S2HA | STE_S2HD;
	setup_decode(&s);
	tree_set(&s.t2, VA, 3, 0x0008000000005000ULL | 0x47f);
	s.f.env.cache = &memo_ops;
	s.f.env.cache_ctx = &m;
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(m.steps, 4);
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(m.steps, 4);
	assert_true(setup_walk(&s, VA, ACCESS_W));
	assert_int_equal(m.steps, 5); /* its table was known */
	assert_int_equal(*fake_at(&s.f, tree_slot(&s.t2, VA, 3)),
			 0x0008000000005000ULL | 0x4ff);
	assert_true(setup_walk(&s, VA, ACCESS_W));
	assert_int_equal(m.steps, 5);
	setup_down(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stage_1_permissions),
		cmocka_unit_test(test_wxn),
		cmocka_unit_test(test_pan),
		cmocka_unit_test(
			test_hierarchical_attributes_add_up_from_each_level),
		cmocka_unit_test(test_had_is_nothing_where_idr3_has_it_not),
		cmocka_unit_test(test_stage_2_permissions),
		cmocka_unit_test(
			test_nested_permissions_are_those_of_both_stages),
		cmocka_unit_test(test_affd_and_s2affd_take_af_for_set),
		cmocka_unit_test(test_ha_sets_the_access_flag_of_stage_1),
		cmocka_unit_test(
			test_hd_makes_clean_pages_of_stage_1_dirty_on_writes),
		cmocka_unit_test(test_httu_of_stage_2),
		cmocka_unit_test(
			test_an_update_of_stage_1_needs_stage_2_to_let_it_write),
		cmocka_unit_test(test_s2ptw_keeps_tables_out_of_device_memory),
		cmocka_unit_test(test_flags_in_read_only_memory_abort),
		cmocka_unit_test(test_a_lost_race_reads_the_descriptor_again),
		cmocka_unit_test(
			test_a_nested_walk_reads_24_descriptors_at_most),
		cmocka_unit_test(test_walk_caches_shorten_a_nested_walk),
		cmocka_unit_test(
			test_a_cached_clean_page_is_walked_again_for_a_write),
	};

	return cmocka_run_group_tests(tests, fake_group_up, NULL);
}
