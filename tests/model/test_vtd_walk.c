// SPDX-License-Identifier: MIT
/* Page walks of VT-d: 3.6 to 3.8, entries of 9.7 and 9.8, table 30. */
#include "vtd_pure.h"

#define A6	 0x20ULL  /* first stage: accessed */
#define D7	 0x40ULL  /* dirty */
#define EA	 0x400ULL /* extended accessed */
#define SSA	 0x100ULL /* second stage */
#define SSD	 0x200ULL

#define HAW_BITS 0x000fc00000000000ULL /* 51:46 */
#define HIGH_IGN 0xfff0000000000000ULL /* 63:52 */
#define DATA	 0x0000200000000000ULL /* pages lie here: no memory */
#define DATA_4K	 0x000020000765f000ULL
#define DATA_2M	 0x0000200007e00000ULL
#define DATA_1G	 0x00002000c0000000ULL
#define IN	 0x00006a5b3c4d5678ULL
#define IN_HALF	 0x0000004b3c4d5678ULL /* below 2^39 */

#define DELTA	 0x4000000000ULL /* nested: GPA of a table less its PA */

struct walks {
	struct pure p;
	uint64_t fs;
	uint64_t ss;
	bool priv;
};

static void up(struct walks *w, uint8_t pgtt)
{
	memset(w, 0, sizeof(*w));
	pure_up(&w->p);
	w->fs = ppage(&w->p);
	w->ss = ppage(&w->p);
	w->p.space = (struct vtd_space){
		.scalable = true,
		.pgtt = pgtt,
		.did = 7,
		.pasid = 3,
		.ss_levels = 4,
		.ss_bits = 48,
		.ss_root = w->ss,
		.fs_levels = 4,
		.fs_root = w->fs,
		.pwsnp = true,
	};
}

/* Where the entry of @addr at @level lies; what leads there is made. */
static uint64_t place(struct walks *w, uint64_t root, int levels, uint64_t addr,
		      int level, uint64_t flags, uint64_t delta)
{
	uint64_t table = root;

	for (int l = levels;; l--) {
		uint64_t pa = table + (addr >> (12 + 9 * (l - 1)) & 511) * 8;

		if (l == level)
			return pa;
		if (!*pat(&w->p, pa))
			*pat(&w->p, pa) = (ppage(&w->p) + delta) | flags;
		table = (*pat(&w->p, pa) & 0x000ffffffffff000ULL) - delta;
	}
}

static uint64_t fs_place(struct walks *w, uint64_t addr, int level)
{
	return place(w, w->fs, w->p.space.fs_levels, addr, level, 0x27,
		     w->p.space.pgtt == 3 ? DELTA : 0);
}

static uint64_t ss_place(struct walks *w, uint64_t addr, int level)
{
	return place(w, w->ss, w->p.space.ss_levels, addr, level, 0x3, 0);
}

static uint64_t fs_set(struct walks *w, uint64_t addr, int level,
		       uint64_t entry)
{
	uint64_t pa = fs_place(w, addr, level);

	*pat(&w->p, pa) = entry;
	return pa;
}

static uint64_t ss_set(struct walks *w, uint64_t addr, int level,
		       uint64_t entry)
{
	uint64_t pa = ss_place(w, addr, level);

	*pat(&w->p, pa) = entry;
	return pa;
}

/* The second stage maps the tables of the first, by 4 KiB. */
static void map_tables(struct walks *w, uint64_t flags)
{
	uint64_t used = w->p.used;

	w->p.space.fs_root = w->fs + DELTA;
	for (uint64_t pa = PRAM; pa < PRAM + used; pa += 0x1000)
		ss_set(w, pa + DELTA, 1, pa | flags);
}

static uint8_t go(struct walks *w, uint64_t addr, bool write)
{
	struct pure *p = &w->p;
	struct vtd_input req = {
		.addr = addr,
		.write = write,
		.priv = w->priv,
	};

	memset(&p->out, 0xee, sizeof(p->out));
	memset(&p->cursors, 0, sizeof(p->cursors));
	if (vtd_walk(&p->env, &p->id, &p->space, &req, &p->out))
		return 0;
	assert_int_not_equal(p->out.fault.reason, 0);
	return p->out.fault.reason;
}

static void expect_pa(struct walks *w, uint64_t addr, bool write, uint64_t pa,
		      unsigned int lg2)
{
	assert_int_equal(go(w, addr, write), 0);
	assert_int_equal(w->p.out.pa, pa);
	assert_int_equal(w->p.out.page_lg2, lg2);
	assert_int_equal(w->p.out.page_first, addr & ~((1ULL << lg2) - 1));
	assert_int_equal(w->p.out.page_pa, pa & ~((1ULL << lg2) - 1));
}

/* ---- sizes and levels ---- */

static const struct {
	int level;
	unsigned int lg2;
	uint64_t page;
} sizes[] = { { 1, 12, DATA_4K }, { 2, 21, DATA_2M }, { 3, 30, DATA_1G } };

static void the_first_stage_maps_pages_of_three_sizes(void **state)
{
	struct walks w;

	(void)state;
	for (uint8_t levels = 4; levels <= 5; levels++) {
		for (unsigned int n = 0; n < 3; n++) {
			uint64_t mask = (1ULL << sizes[n].lg2) - 1;

			up(&w, 1);
			w.p.space.fs_levels = levels;
			fs_set(&w, IN, sizes[n].level,
			       sizes[n].page | (n ? 0xa7 : 0x27));
			expect_pa(&w, IN, false, sizes[n].page | (IN & mask),
				  sizes[n].lg2);
			assert_int_equal(w.p.out.leaf.level, sizes[n].level);
			pure_down(&w.p);
		}
	}
}

static void the_second_stage_maps_pages_of_three_sizes(void **state)
{
	struct walks w;

	(void)state;
	for (uint8_t levels = 3; levels <= 5; levels++) {
		for (unsigned int n = 0; n < 3; n++) {
			uint64_t mask = (1ULL << sizes[n].lg2) - 1;
			uint64_t in = levels == 3 ? IN_HALF : IN;

			up(&w, 2);
			w.p.space.ss_levels = levels;
			w.p.space.ss_bits = (uint8_t)(12 + 9 * levels);
			ss_set(&w, in, sizes[n].level,
			       sizes[n].page | (n ? 0x83 : 0x3));
			expect_pa(&w, in, true, sizes[n].page | (in & mask),
				  sizes[n].lg2);
			pure_down(&w.p);
		}
	}
}

static void nested_pages_are_as_large_as_both_stages(void **state)
{
	struct walks w;

	(void)state;
	for (unsigned int a = 0; a < 3; a++) {
		for (unsigned int b = 0; b < 3; b++) {
			unsigned int lg2 = sizes[a].lg2 < sizes[b].lg2
						   ? sizes[a].lg2
						   : sizes[b].lg2;
			uint64_t gpa = 0x1001c0000000ULL;
			uint64_t at;

			up(&w, 3);
			fs_set(&w, IN, sizes[a].level, gpa | (a ? 0xa7 : 0x27));
			map_tables(&w, 0x3);
			at = gpa | (IN & ((1ULL << sizes[a].lg2) - 1));
			ss_set(&w, at, sizes[b].level,
			       sizes[b].page | (b ? 0x83 : 0x3));
			expect_pa(&w, IN, false,
				  sizes[b].page |
					  (at & ((1ULL << sizes[b].lg2) - 1)),
				  lg2);
			assert_int_equal(w.p.out.gpa, at);
			assert_int_equal(w.p.out.leaf.size_lg2, sizes[a].lg2);
			assert_int_equal(w.p.out.ss.size_lg2, sizes[b].lg2);
			pure_down(&w.p);
		}
	}
}

static void large_pages_must_be_offered(void **state)
{
	struct walks w;

	(void)state;
	up(&w, 1);
	w.p.id.cap &= ~(1ULL << 56); /* FS1GP */
	fs_set(&w, IN, 3, DATA_1G | 0xa7);
	assert_int_equal(go(&w, IN, false), 0x72);
	pure_down(&w.p);
	for (int level = 2; level <= 3; level++) {
		up(&w, 2);
		w.p.id.cap &= ~(1ULL << (32 + level)); /* SSLPS */
		ss_set(&w, IN, level, DATA_1G | 0x83);
		assert_int_equal(go(&w, IN, false), 0x7a);
		pure_down(&w.p);
	}
}

/* ---- bits ---- */

struct sweep {
	uint64_t reserved;
	uint64_t ignored;
	uint8_t reason;
};

static void sweep(struct walks *w, uint64_t pa, const struct sweep *s,
		  bool write)
{
	uint64_t was = *pat(&w->p, pa);
	struct vtd_walk first;

	assert_int_equal(s->reserved & s->ignored, 0);
	assert_int_equal(go(w, IN, write), 0);
	was = *pat(&w->p, pa);
	first = w->p.out;
	for (unsigned int n = 0; n < 64; n++) {
		uint64_t now = was ^ (1ULL << n);

		*pat(&w->p, pa) = now;
		if (s->reserved >> n & 1) {
			assert_int_equal(go(w, IN, write), s->reason);
			assert_int_equal(*pat(&w->p, pa), now);
		} else if (s->ignored >> n & 1) {
			assert_int_equal(go(w, IN, write), 0);
			assert_int_equal(w->p.out.pa, first.pa);
			assert_int_equal(w->p.out.ready, first.ready);
			assert_int_equal(w->p.out.allowed, first.allowed);
			assert_int_equal(*pat(&w->p, pa), now);
		}
		*pat(&w->p, pa) = was;
	}
}

/* bits 3, 4 (and 6 of tables), 8, 9, 11, 63:52 are ignored; 10 without EAFE */
#define FS_TABLE_IGN (HIGH_IGN | 0xf58ULL)
#define FS_LEAF_IGN  (HIGH_IGN | 0xf18ULL)

static void first_stage_entries_bit_by_bit(void **state)
{
	static const struct sweep table_high = { HAW_BITS | 0x80, FS_TABLE_IGN,
						 0x72 };
	static const struct sweep table_low = { HAW_BITS, FS_TABLE_IGN, 0x72 };
	static const struct sweep leaf[4] = {
		[1] = { HAW_BITS, FS_LEAF_IGN | 0x80, 0x72 },
		[2] = { HAW_BITS | 0x1fe000, FS_LEAF_IGN | 0x1000, 0x72 },
		[3] = { HAW_BITS | 0x3fffe000, FS_LEAF_IGN | 0x1000, 0x72 },
	};
	struct walks w;

	(void)state;
	for (int size = 1; size <= 3; size++) {
		uint64_t pa;

		up(&w, 1);
		w.p.space.fs_levels = 5;
		pa = fs_set(&w, IN, size,
			    sizes[size - 1].page | (size > 1 ? 0xe7 : 0x67));
		sweep(&w, pa, &leaf[size], false);
		sweep(&w, pa, &leaf[size], true);
		for (int level = size + 1; level <= 5; level++)
			sweep(&w, fs_place(&w, IN, level),
			      level > 3 ? &table_high : &table_low, true);
		pure_down(&w.p);
	}
}

/* 2, 10, 61:52, 63 are ignored, 3 to 6 of memory types; 8, 9 without SSADE */
#define SS_TABLE_IGN 0xbff000000000077cULL
#define SS_LEAF_IGN  0xbff000000000077cULL
#define SS_IW	     0x4000000000000000ULL

static void second_stage_entries_bit_by_bit(void **state)
{
	static const struct sweep table_high = { HAW_BITS | SS_IW | 0x880,
						 SS_TABLE_IGN, 0x7a };
	static const struct sweep table_low = { HAW_BITS | SS_IW | 0x800,
						SS_TABLE_IGN, 0x7a };
	static const struct sweep leaf[4] = {
		[1] = { HAW_BITS | SS_IW, SS_LEAF_IGN | 0x880, 0x7a },
		[2] = { HAW_BITS | SS_IW | 0x1ff000, SS_LEAF_IGN | 0x800,
			0x7a },
		[3] = { HAW_BITS | SS_IW | 0x3ffff000, SS_LEAF_IGN | 0x800,
			0x7a },
	};
	struct walks w;

	(void)state;
	for (int size = 1; size <= 3; size++) {
		struct sweep without = leaf[size];
		uint64_t pa;

		up(&w, 2);
		w.p.space.ss_levels = 5;
		w.p.space.ss_bits = 57;
		pa = ss_set(&w, IN, size,
			    sizes[size - 1].page | (size > 1 ? 0x83 : 0x3));
		sweep(&w, pa, &leaf[size], true);
		for (int level = size + 1; level <= 5; level++)
			sweep(&w, ss_place(&w, IN, level),
			      level > 3 ? &table_high : &table_low, false);
		w.p.id.ecap &= ~E_SC; /* SNP */
		without.reserved |= 0x800;
		without.ignored &= ~0x800ULL;
		sweep(&w, pa, &without, true);
		pure_down(&w.p);
	}
}

/* ---- faults by level ---- */

static void first_stage_entries_that_are_not_there(void **state)
{
	struct walks w;

	(void)state;
	for (int level = 1; level <= 5; level++) {
		uint64_t pa;

		up(&w, 1);
		w.p.space.fs_levels = 5;
		fs_set(&w, IN, 1, DATA_4K | 0x27);
		pa = fs_place(&w, IN, level);
		*pat(&w.p, pa) &= ~1ULL;
		assert_int_equal(go(&w, IN, false), 0x71);
		assert_int_equal(w.p.out.fault.level, level);
		if (level > 1) {
			*pat(&w.p, pa) = DATA_4K | 0x27;
			assert_int_equal(go(&w, IN, false), 0x70);
			assert_int_equal(w.p.out.fault.level, level - 1);
		}
		pure_down(&w.p);
	}
	up(&w, 1);
	w.p.space.fs_root = DATA_4K;
	assert_int_equal(go(&w, IN, false), 0x73);
	pure_down(&w.p);
}

static void second_stage_entries_that_are_not_there(void **state)
{
	struct walks w;

	(void)state;
	for (int legacy = 0; legacy < 2; legacy++) {
		for (int level = 1; level <= 4; level++) {
			uint64_t pa;

			up(&w, 2);
			w.p.space.scalable = !legacy;
			ss_set(&w, IN, 1, DATA_4K | 0x3);
			pa = ss_place(&w, IN, level);
			*pat(&w.p, pa) &= ~3ULL;
			assert_int_equal(go(&w, IN, false),
					 legacy ? 0x06 : 0x79);
			assert_int_equal(go(&w, IN, true),
					 legacy ? 0x05 : 0x79);
			assert_int_equal(w.p.out.fault.level, level);
			*pat(&w.p, pa) |= SS_IW; /* not reserved then */
			assert_int_equal(go(&w, IN, true),
					 legacy ? 0x05 : 0x79);
			*pat(&w.p, pa) |= 1;
			assert_int_equal(go(&w, IN, false),
					 legacy ? 0x0c : 0x7a);
			if (level > 1) {
				*pat(&w.p, pa) = DATA_4K | 0x3;
				assert_int_equal(go(&w, IN, false),
						 legacy ? 0x07 : 0x78);
			}
			pure_down(&w.p);
		}
		up(&w, 2);
		w.p.space.scalable = !legacy;
		w.p.space.ss_root = DATA_4K;
		assert_int_equal(go(&w, IN, false), legacy ? 0x03 : 0x7b);
		pure_down(&w.p);
	}
}

static void addresses_must_be_canonical(void **state)
{
	static const struct {
		uint8_t levels;
		uint64_t addr;
		bool good;
	} cases[] = {
		{ 4, 0x00007fffffffffffULL, true },
		{ 4, 0x0000800000000000ULL, false },
		{ 4, 0xffff7fffffffffffULL, false },
		{ 4, 0xffff800000000000ULL, true },
		{ 5, 0x00ffffffffffffffULL, true },
		{ 5, 0x0100000000000000ULL, false },
		{ 5, 0xfeffffffffffffffULL, false },
		{ 5, 0xff00000000000000ULL, true },
	};
	struct walks w;

	(void)state;
	for (unsigned int n = 0; n < 8; n++) {
		up(&w, 1);
		w.p.space.fs_levels = cases[n].levels;
		/* not present, if it comes so far */
		assert_int_equal(go(&w, cases[n].addr, false),
				 cases[n].good ? 0x71 : 0x80);
		pure_down(&w.p);
	}
}

static void second_stage_addresses_have_a_width(void **state)
{
	struct walks w;

	(void)state;
	for (int legacy = 0; legacy < 2; legacy++) {
		up(&w, 2);
		w.p.space.scalable = !legacy;
		w.p.space.ss_bits = 47; /* MGAW is less than AW */
		assert_int_equal(go(&w, 0x00007fffffffffffULL, false),
				 legacy ? 0x06 : 0x79);
		assert_int_equal(go(&w, 0x0000800000000000ULL, false),
				 legacy ? 0x04 : 0x84);
		assert_int_equal(go(&w, 1ULL << 63, true),
				 legacy ? 0x04 : 0x84);
		pure_down(&w.p);
	}
}

/* ---- rights ---- */

/* U/S and R/W at each level; who may what */
static void first_stage_rights_are_those_of_all_levels(void **state)
{
	struct walks w;

	(void)state;
	for (int level = 1; level <= 4; level++) {
		uint64_t pa;

		up(&w, 1);
		w.p.space.sre = true;
		fs_set(&w, IN, 1, DATA_4K | 0x67);
		pa = fs_place(&w, IN, level);
		*pat(&w.p, pa) &= ~4ULL; /* supervisor */
		assert_int_equal(go(&w, IN, false), 0x81);
		assert_int_equal(go(&w, IN, true), 0x81);
		w.priv = true;
		assert_int_equal(go(&w, IN, true), 0);
		w.priv = false;
		*pat(&w.p, pa) ^= 6; /* user, read-only */
		assert_int_equal(go(&w, IN, false), 0);
		assert_int_equal(go(&w, IN, true), 0x85);
		w.priv = true;
		assert_int_equal(go(&w, IN, true), 0); /* WPE is 0 */
		w.p.space.wpe = true;
		assert_int_equal(go(&w, IN, true), 0x85);
		assert_int_equal(go(&w, IN, false), 0);
		pure_down(&w.p);
	}
}

static void second_stage_rights_are_those_of_all_levels(void **state)
{
	struct walks w;

	(void)state;
	for (int level = 1; level <= 4; level++) {
		uint64_t pa;

		up(&w, 2);
		ss_set(&w, IN, 1, DATA_4K | 0x3);
		pa = ss_place(&w, IN, level);
		*pat(&w.p, pa) &= ~2ULL;
		assert_int_equal(go(&w, IN, false), 0);
		assert_int_equal(go(&w, IN, true), 0x85);
		*pat(&w.p, pa) ^= 3; /* write-only */
		assert_int_equal(go(&w, IN, false), 0x86);
		assert_int_equal(go(&w, IN, true), 0);
		w.p.space.scalable = false;
		assert_int_equal(go(&w, IN, false), 0x06);
		*pat(&w.p, pa) ^= 3;
		assert_int_equal(go(&w, IN, true), 0x05);
		w.p.space.scalable = true;
		if (level > 1) { /* one grants reading, one writing: none */
			*pat(&w.p, ss_place(&w, IN, 1)) ^= 1;
			assert_int_equal(go(&w, IN, true), 0x79);
		}
		pure_down(&w.p);
	}
}

static void what_is_cached_says_who_may_what(void **state)
{
	struct walks w;
	struct vtd_space no_wpe = { 0 };
	struct vtd_input req = { .priv = true, .write = true };

	(void)state;
	up(&w, 1);
	w.p.space.wpe = true;
	fs_set(&w, IN, 1, DATA_4K | 0x65); /* read-only, dirty */
	assert_int_equal(go(&w, IN, false), 0);
	assert_false(w.p.out.allowed & vtd_access_bit(&w.p.space, &req));
	assert_true(w.p.out.allowed & vtd_access_bit(&no_wpe, &req));
	req.priv = false;
	assert_false(w.p.out.allowed & vtd_access_bit(&no_wpe, &req));
	req.write = false;
	assert_true(w.p.out.allowed & vtd_access_bit(&no_wpe, &req));
	pure_down(&w.p);
}

/* ---- accessed and dirty ---- */

static void the_first_stage_sets_its_flags(void **state)
{
	struct walks w;
	uint64_t pa[5];

	(void)state;
	for (int eafe = 0; eafe < 2; eafe++) {
		uint64_t ea = eafe ? EA : 0;

		up(&w, 1);
		w.p.space.eafe = eafe;
		fs_set(&w, IN, 1, DATA_4K | 0x7);
		for (int level = 1; level <= 4; level++) {
			pa[level] = fs_place(&w, IN, level);
			*pat(&w.p, pa[level]) &= ~A6;
		}
		w.p.env.quiet = true;
		assert_int_equal(go(&w, IN, true), 0);
		assert_int_equal(w.p.out.ready, 0);
		assert_int_equal(*pat(&w.p, pa[1]), DATA_4K | 0x7);
		w.p.env.quiet = false;
		assert_int_equal(go(&w, IN, false), 0);
		for (int level = 1; level <= 4; level++)
			assert_int_equal(*pat(&w.p, pa[level]) & 0xfff,
					 0x7 | A6 | ea);
		/* writing would have to set the dirty flag first */
		assert_int_equal(w.p.out.ready & 0x22, 0);
		assert_int_equal(w.p.out.allowed & 0x22, 0x22);
		assert_int_equal(go(&w, IN, true), 0);
		assert_int_equal(*pat(&w.p, pa[1]) & 0xfff, 0x7 | A6 | D7 | ea);
		assert_int_equal(*pat(&w.p, pa[2]) & 0xfff, 0x7 | A6 | ea);
		assert_int_equal(w.p.out.ready & 0x22, 0x22);
		pure_down(&w.p);
	}
}

static void flags_are_not_set_without_snooping(void **state)
{
	struct walks w;

	(void)state;
	up(&w, 1);
	w.p.space.pwsnp = false;
	fs_set(&w, IN, 1, DATA_4K | 0x27);
	assert_int_equal(go(&w, IN, false), 0);
	assert_int_equal(go(&w, IN, true), 0x90);
	pure_down(&w.p);
	up(&w, 2);
	w.p.space.ssade = true;
	w.p.space.pwsnp = false;
	ss_set(&w, IN, 1, DATA_4K | 0x3);
	assert_int_equal(go(&w, IN, false), 0x7c);
	w.p.space.ssade = false;
	assert_int_equal(go(&w, IN, false), 0);
	pure_down(&w.p);
}

static void the_second_stage_sets_its_flags_if_told(void **state)
{
	struct walks w;
	uint64_t pa[5];

	(void)state;
	up(&w, 2);
	ss_set(&w, IN, 1, DATA_4K | 0x3);
	for (int level = 1; level <= 4; level++)
		pa[level] = ss_place(&w, IN, level);
	assert_int_equal(go(&w, IN, true), 0);
	assert_int_equal(*pat(&w.p, pa[1]), DATA_4K | 0x3);
	w.p.space.ssade = true;
	assert_int_equal(go(&w, IN, false), 0);
	for (int level = 1; level <= 4; level++)
		assert_int_equal(*pat(&w.p, pa[level]) & 0xfff, 0x3 | SSA);
	assert_int_equal(w.p.out.ready & 0x22, 0);
	assert_int_equal(go(&w, IN, true), 0);
	assert_int_equal(*pat(&w.p, pa[1]) & 0xfff, 0x3 | SSA | SSD);
	assert_int_equal(*pat(&w.p, pa[2]) & 0xfff, 0x3 | SSA);
	assert_int_equal(w.p.out.ready & 0x22, 0x22);
	pure_down(&w.p);
}

static void flags_in_memory_that_cannot_be_written(void **state)
{
	static char rom[4096] __attribute__((aligned(4096)));
	struct phys_range *range;
	struct walks w;

	(void)state;
	up(&w, 1);
	assert_int_equal(
		phys_add_at(w.p.phys, 0x30000000, rom, 4096, PHYS_READ, &range),
		0);
	*(uint64_t *)(rom + (IN >> 12 & 511) * 8) = DATA_4K | 0x7;
	fs_set(&w, IN, 2, 0x30000000 | 0x27);
	assert_int_equal(go(&w, IN, false), 0x91);
	w.p.space.pgtt = 2;
	w.p.space.ssade = true;
	ss_set(&w, IN, 2, 0x30000000 | 0x3);
	*(uint64_t *)(rom + (IN >> 12 & 511) * 8) = DATA_4K | 0x3;
	assert_int_equal(go(&w, IN, false), 0x7d);
	pure_down(&w.p);
}

/* ---- nested ---- */

static void nested_up(struct walks *w, uint64_t table_flags)
{
	up(w, 3);
	fs_set(w, IN, 1, 0x123456000ULL | 0x67);
	map_tables(w, table_flags);
	ss_set(w, 0x123456000ULL, 1, DATA_4K | 0x3);
}

static void nested_tables_must_be_readable(void **state)
{
	struct walks w;
	uint64_t root, next;

	(void)state;
	nested_up(&w, 0x3);
	root = ss_place(&w, w.fs + DELTA, 1);
	next = ss_place(&w, (fs_place(&w, IN, 1) & ~0xfffULL) + DELTA, 1);
	*pat(&w.p, root) ^= 1;
	assert_int_equal(go(&w, IN, false), 0x75);
	*pat(&w.p, root) ^= 1;
	*pat(&w.p, next) ^= 1;
	assert_int_equal(go(&w, IN, false), 0x76);
	*pat(&w.p, next) = 0;
	assert_int_equal(go(&w, IN, false), 0x79);
	*pat(&w.p, next) = SS_IW | 1;
	assert_int_equal(go(&w, IN, false), 0x7a);
	pure_down(&w.p);
}

static void nested_flags_need_tables_that_are_writable(void **state)
{
	struct walks w;
	uint64_t pa;

	(void)state;
	nested_up(&w, 0x1);
	assert_int_equal(go(&w, IN, true), 0);
	pa = fs_place(&w, IN, 1);
	*pat(&w.p, pa) &= ~D7;
	assert_int_equal(go(&w, IN, false), 0);
	assert_int_equal(go(&w, IN, true), 0x77);
	assert_int_equal(*pat(&w.p, pa) & D7, 0);
	*pat(&w.p, ss_place(&w, (pa & ~0xfffULL) + DELTA, 1)) |= 2;
	assert_int_equal(go(&w, IN, true), 0);
	assert_int_equal(*pat(&w.p, pa) & D7, D7);
	pure_down(&w.p);
}

static void with_ssade_nested_tables_must_be_writable(void **state)
{
	struct walks w;
	uint64_t leaf;

	(void)state;
	nested_up(&w, 0x1);
	w.p.space.ssade = true;
	assert_int_equal(go(&w, IN, false), 0x75);
	pure_down(&w.p);
	nested_up(&w, 0x3);
	w.p.space.ssade = true;
	leaf = ss_place(&w, fs_place(&w, IN, 1) + DELTA, 1);
	assert_int_equal(go(&w, IN, false), 0);
	assert_int_equal(*pat(&w.p, leaf) & (SSA | SSD), SSA);
	*pat(&w.p, fs_place(&w, IN, 1)) &= ~D7;
	assert_int_equal(go(&w, IN, true), 0);
	assert_int_equal(*pat(&w.p, leaf) & (SSA | SSD), SSA | SSD);
	leaf = ss_place(&w, 0x123456000ULL, 1);
	assert_int_equal(*pat(&w.p, leaf) & (SSA | SSD), SSA | SSD);
	pure_down(&w.p);
}

static void nested_addresses_have_the_second_stages_width(void **state)
{
	struct walks w;

	(void)state;
	nested_up(&w, 0x3);
	w.p.space.ss_bits = 47;
	assert_int_equal(go(&w, IN, false), 0);
	fs_set(&w, IN, 1, 0x800000000000ULL | 0x67);
	/* below HAW it must be: bit 47 is reserved above all */
	assert_int_equal(go(&w, IN, false), 0x72);
	w.p.space.ss_bits = 39;
	fs_set(&w, IN, 1, 0x8000000000ULL | 0x67);
	assert_int_equal(go(&w, IN, false), 0x74);
	pure_down(&w.p);
}

static void nested_rights_are_those_of_both_stages(void **state)
{
	struct walks w;
	uint64_t ss;

	(void)state;
	nested_up(&w, 0x3);
	ss = ss_place(&w, 0x123456000ULL, 1);
	*pat(&w.p, ss) = DATA_4K | 0x1;
	assert_int_equal(go(&w, IN, false), 0);
	assert_int_equal(w.p.out.allowed & 0x22, 0);
	assert_int_equal(go(&w, IN, true), 0x85);
	*pat(&w.p, ss) = DATA_4K | 0x2;
	assert_int_equal(go(&w, IN, false), 0x86);
	assert_int_equal(go(&w, IN, true), 0);
	*pat(&w.p, ss) = 0;
	assert_int_equal(go(&w, IN, false), 0x79);
	pure_down(&w.p);
}

/* ---- the rest ---- */

static void no_page_lies_in_the_interrupt_range(void **state)
{
	struct walks w;

	(void)state;
	for (int mode = 0; mode < 3; mode++) {
		up(&w, mode ? 2 : 1);
		w.p.space.scalable = mode < 2;
		if (mode)
			ss_set(&w, IN, 2, 0xfee00083);
		else
			fs_set(&w, IN, 2, 0xfee000a7);
		/* the first MiB of 2, not the other */
		assert_int_equal(go(&w, IN & ~0x1fffffULL, false),
				 mode < 2 ? 0x87 : 0x0e);
		assert_int_equal(go(&w, IN | 0xfffff, false), IN & 0x100000 ? 0
							      : mode < 2
								      ? 0x87
								      : 0x0e);
		assert_int_equal(go(&w, IN | 0x100000, false), 0);
		pure_down(&w.p);
	}
}

static void fpd_silences_faults_of_walks(void **state)
{
	struct walks w;

	(void)state;
	up(&w, 1);
	assert_int_equal(go(&w, IN, false), 0x71);
	assert_false(w.p.out.fault.unreported);
	w.p.space.fpd = true;
	assert_int_equal(go(&w, IN, false), 0x71);
	assert_true(w.p.out.fault.unreported);
	pure_down(&w.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_stage_maps_pages_of_three_sizes),
		cmocka_unit_test(the_second_stage_maps_pages_of_three_sizes),
		cmocka_unit_test(nested_pages_are_as_large_as_both_stages),
		cmocka_unit_test(large_pages_must_be_offered),
		cmocka_unit_test(first_stage_entries_bit_by_bit),
		cmocka_unit_test(second_stage_entries_bit_by_bit),
		cmocka_unit_test(first_stage_entries_that_are_not_there),
		cmocka_unit_test(second_stage_entries_that_are_not_there),
		cmocka_unit_test(addresses_must_be_canonical),
		cmocka_unit_test(second_stage_addresses_have_a_width),
		cmocka_unit_test(first_stage_rights_are_those_of_all_levels),
		cmocka_unit_test(second_stage_rights_are_those_of_all_levels),
		cmocka_unit_test(what_is_cached_says_who_may_what),
		cmocka_unit_test(the_first_stage_sets_its_flags),
		cmocka_unit_test(flags_are_not_set_without_snooping),
		cmocka_unit_test(the_second_stage_sets_its_flags_if_told),
		cmocka_unit_test(flags_in_memory_that_cannot_be_written),
		cmocka_unit_test(nested_tables_must_be_readable),
		cmocka_unit_test(nested_flags_need_tables_that_are_writable),
		cmocka_unit_test(with_ssade_nested_tables_must_be_writable),
		cmocka_unit_test(nested_addresses_have_the_second_stages_width),
		cmocka_unit_test(nested_rights_are_those_of_both_stages),
		cmocka_unit_test(no_page_lies_in_the_interrupt_range),
		cmocka_unit_test(fpd_silences_faults_of_walks),
	};

	return cmocka_run_group_tests(tests, pure_group, NULL);
}
