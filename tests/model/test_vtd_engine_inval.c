// SPDX-License-Identifier: MIT
/*
 * What each descriptor removes, and nothing else (policy hostile): the caches
 * are filled with all kinds of entries, under several domain ids and PASIDs;
 * what is left after a descriptor is compared with tables 23 and 24, worked out
 * entry by entry here.
 */
#include "vtd_rig.h"

#define MAX 4096

struct set {
	struct iotlb_entry e[MAX];
	size_t n;
};

struct bed {
	struct rig g;
	uint64_t ss;
	struct set before, after;
};

static void take(void *ctx, const struct iotlb_entry *entry)
{
	struct set *set = ctx;

	assert_true(set->n < MAX);
	set->e[set->n++] = *entry;
}

static void list(struct bed *b, struct set *set)
{
	set->n = 0;
	b->g.model->ops->for_each_entry(b->g.model, take, set);
}

static bool same(const struct iotlb_entry *a, const struct iotlb_entry *b)
{
	return a->iova == b->iova && a->regime == b->regime &&
	       a->vmid == b->vmid && a->asid == b->asid &&
	       a->size_lg2 == b->size_lg2 && a->out == b->out;
}

static bool is_in(const struct set *set, const struct iotlb_entry *e)
{
	for (size_t n = 0; n < set->n; n++)
		if (same(&set->e[n], e))
			return true;
	return false;
}

/* ---- the beds ---- */

#define DIDS   3 /* 5, 6, 7 */
#define PASIDS 3 /* 2, 3, 0x45 */

static const uint32_t pasids[PASIDS] = { 2, 3, 0x45 };
static const uint64_t spots[] = {
	0x1000,	      0x2000,	      0x200000,		  0x40000000,
	0x8000000000, 0x7f0000001000, 0xffff800000001000,
};

#define SPOTS (sizeof(spots) / sizeof(spots[0]))

static void fill_first(struct bed *b, uint64_t fs, uint64_t delta)
{
	for (size_t n = 0; n < SPOTS; n++) {
		bool block = spots[n] == 0x200000;

		fs_map(&b->g, fs, spots[n], block ? 2 : 1, delta,
		       (RAM + delta) | (block ? FS_BLOCK : FS_PAGE));
	}
}

static void fill_second(struct bed *b, uint64_t ss)
{
	for (size_t n = 0; n + 1 < SPOTS; n++) {
		bool block = spots[n] == 0x200000;

		ss_map(&b->g, ss, spots[n], block ? 2 : 1,
		       RAM | (block ? SS_BLOCK : SS_PAGE));
	}
}

/* Domain 5: first stage; 6: second stage; 7: nested. By port 0, all PASIDs. */
static void touch(struct bed *b, uint16_t did)
{
	for (unsigned int p = 0; p < PASIDS; p++) {
		for (size_t n = 0; n < SPOTS; n++) {
			if (did == 6 && n + 1 == SPOTS)
				continue;
			assert_int_equal(see(&b->g,
					     pasids[p] + (did - 5u) * 0x100,
					     spots[n])
						 .result,
					 MODEL_OK);
		}
	}
}

static void bed_up(struct bed *b)
{
	memset(b, 0, sizeof(*b));
	rig_up(&b->g, IOTLB_HOSTILE);
	b->ss = ss_ram(&b->g);
	fill_second(b, b->ss);
	for (unsigned int p = 0; p < PASIDS; p++) {
		uint64_t fs = page(&b->g);
		uint64_t nested = page(&b->g);

		fill_first(b, fs, 0);
		fill_first(b, nested, DELTA);
		pasid_set(&b->g, 0, pasids[p], PT_FS, 5, fs);
		pasid_set(&b->g, 0, pasids[p] + 0x100, PT_SS | b->ss, 6, 0);
		pasid_set(&b->g, 0, pasids[p] + 0x200, PT_NESTED | b->ss, 7,
			  nested + DELTA);
	}
	for (uint16_t did = 5; did <= 7; did++)
		touch(b, did);
	list(b, &b->before);
	assert_true(b->before.n > 100);
}

/* ---- what goes, by the tables ---- */

enum kind { FS_LEAF, NESTED_LEAF, SS_LEAF, FS_TABLES, SS_TABLES };

static enum kind kind_of(const struct iotlb_entry *e)
{
	switch (e->regime) {
	case 0:
		return FS_LEAF;
	case 1:
		return NESTED_LEAF;
	case 2:
		return SS_LEAF;
	case 4:
	case 7:
		return SS_TABLES;
	default:
		return FS_TABLES;
	}
}

/* AM: 4 KiB pages; of a leaf any address counts, of a table what it maps */
static bool touches(const struct iotlb_entry *e, uint64_t addr, unsigned int am)
{
	uint64_t size = am + 12 < 64 ? 1ULL << (am + 12) : 0;
	uint64_t first = size ? addr & ~(size - 1) : 0;
	uint64_t last = size ? first + size - 1 : ~0ULL;
	uint64_t end = e->leaf + ((1ULL << e->leaf_lg2) - 1);

	return e->leaf <= last && end >= first;
}

struct what {
	char type; /* i: IOTLB, p: PASID-based */
	char gran; /* g, d, p (PASID), a (address) */
	uint16_t did;
	uint32_t pasid;
	uint64_t addr;
	unsigned int am;
	bool ih;
};

static bool goes_iotlb(const struct what *w, const struct iotlb_entry *e)
{
	bool did = e->vmid == w->did;

	if (w->gran == 'g')
		return true;
	if (w->gran == 'd')
		return did;
	switch (kind_of(e)) {
	case SS_LEAF:
		return did && touches(e, w->addr, w->am);
	case SS_TABLES:
		return !w->ih && did && touches(e, w->addr, w->am);
	default:
		return did;
	}
}

static bool goes_piotlb(const struct what *w, const struct iotlb_entry *e)
{
	bool tags = e->vmid == w->did && e->asid == w->pasid;
	enum kind kind = kind_of(e);

	if (kind == SS_TABLES || !tags)
		return false;
	if (w->gran == 'p')
		return true;
	if (kind == SS_LEAF || !touches(e, w->addr, w->am))
		return false;
	return kind != FS_TABLES || !w->ih;
}

static void send(struct bed *b, const struct what *w)
{
	uint64_t dw0 = DID(w->did);
	uint64_t dw1 = w->addr | w->am | (w->ih ? IH : 0);

	if (w->type == 'i')
		dw0 |= w->gran == 'g'	? IOTLB_ALL
		       : w->gran == 'd' ? IOTLB_DID
					: IOTLB_PAGE;
	else
		dw0 |= (w->gran == 'p' ? P_PASID : P_PAGE) | PASID(w->pasid);
	desc(&b->g, dw0, w->gran == 'a' ? dw1 : 0);
}

static unsigned int check(struct bed *b, const struct what *w)
{
	unsigned int gone = 0;

	send(b, w);
	list(b, &b->after);
	for (size_t n = 0; n < b->before.n; n++) {
		const struct iotlb_entry *e = &b->before.e[n];
		bool goes =
			w->type == 'i' ? goes_iotlb(w, e) : goes_piotlb(w, e);

		gone += goes;
		assert_int_equal(is_in(&b->after, e), !goes);
	}
	assert_int_equal(b->after.n + gone, b->before.n);
	/* fill it up again */
	for (uint16_t did = 5; did <= 7; did++)
		touch(b, did);
	list(b, &b->before);
	return gone;
}

static void every_descriptor_removes_what_its_table_says(void **state)
{
	static struct bed b;
	unsigned int removed = 0;

	(void)state;
	bed_up(&b);
	for (uint16_t did = 4; did <= 8; did++) {
		struct what w = { .type = 'i', .gran = 'd', .did = did };

		removed += check(&b, &w);
		w.gran = 'a';
		for (size_t n = 0; n + 1 < SPOTS; n++) {
			for (unsigned int am = 0; am <= 27; am += 9) {
				w.addr = spots[n];
				w.am = am;
				w.ih = false;
				removed += check(&b, &w);
				w.ih = true;
				removed += check(&b, &w);
			}
		}
	}
	removed += check(&b, &(struct what){ .type = 'i', .gran = 'g' });
	assert_true(removed > 1000);
	assert_int_equal(b.g.stales, 0);
	rig_down(&b.g);
}

static void every_pasid_descriptor_removes_what_its_table_says(void **state)
{
	static struct bed b;
	unsigned int removed = 0;

	(void)state;
	bed_up(&b);
	for (uint16_t did = 5; did <= 7; did++) {
		for (uint32_t off = 0; off <= 0x200; off += 0x100) {
			struct what w = {
				.type = 'p',
				.gran = 'p',
				.did = did,
				.pasid = 3 + off,
			};

			removed += check(&b, &w);
			w.gran = 'a';
			for (size_t n = 0; n < SPOTS; n++) {
				for (unsigned int am = 0; am <= 18; am += 9) {
					w.addr = spots[n];
					w.am = am;
					w.ih = false;
					removed += check(&b, &w);
					w.ih = true;
					removed += check(&b, &w);
				}
			}
		}
	}
	assert_true(removed > 250);
	assert_int_equal(b.g.stales, 0);
	rig_down(&b.g);
}

static void config_and_device_descriptors_leave_the_iotlb(void **state)
{
	static const uint64_t others[][2] = {
		{ CC_ALL, 0 },
		{ CC_DEVICE | SRC(SID0), 0 },
		{ PC_ALL, 0 },
		{ PC_DOMAIN | DID(5), 0 },
		{ DEV_TLB | SRC(SID0), 0 },
		{ IEC_ALL, 0 },
	};
	static struct bed b;

	(void)state;
	bed_up(&b);
	for (size_t n = 0; n < sizeof(others) / sizeof(others[0]); n++) {
		desc(&b.g, others[n][0], others[n][1]);
		list(&b, &b.after);
		assert_int_equal(b.after.n, b.before.n);
	}
	rig_down(&b.g);
}

/* ---- what a guest that forgets is told ---- */

static void a_stale_page_is_told_with_what_missed_it(void **state)
{
	struct rig g;
	uint64_t root;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = page(&g);
	pasid_set(&g, 0, 3, PT_FS, 5, root);
	fs_map(&g, root, 0x5000, 1, 0, RAM | FS_PAGE);
	assert_int_equal(see(&g, 3, 0x5000).pa, RAM);
	fs_map(&g, root, 0x5000, 1, 0, (RAM + 0x1000) | FS_PAGE);
	desc(&g, P_PAGE | DID(5) | PASID(4), 0x5000);
	assert_int_equal(see(&g, 3, 0x5000).pa, RAM);
	assert_int_equal(g.stales, 1);
	assert_int_equal(g.stale.stream_id, SID0);
	assert_int_equal(g.stale.pasid, 3);
	assert_int_equal(g.stale.cached_pa, RAM);
	assert_int_equal(g.stale.current_pa, RAM + 0x1000);
	assert_non_null(strstr(g.why, "first-stage translations: domain id 5 "
				      "PASID 3, level 1, 0x5000-0x5fff"));
	assert_non_null(strstr(g.why, "PASID 4, cached with 3"));
	desc(&g, P_PAGE | DID(4) | PASID(3), 0x5000);
	see(&g, 3, 0x5000);
	assert_non_null(strstr(g.why, "domain id 4, cached with 5"));
	desc(&g, P_PAGE | DID(5) | PASID(3), 0x6000);
	see(&g, 3, 0x5000);
	assert_non_null(strstr(g.why, "address outside"));
	assert_int_equal(g.stales, 3);
	desc(&g, P_PAGE | DID(5) | PASID(3), 0x5000 | IH);
	assert_int_equal(see(&g, 3, 0x5000).pa, RAM + 0x1000);
	assert_int_equal(g.stales, 3);
	rig_down(&g);
}

/* The second stage's page is told by its address, not by its domain first. */
static void a_stale_second_stage_page_is_told_by_its_address(void **state)
{
	struct rig g;
	uint64_t ss;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	ss = page(&g);
	pasid_set(&g, 0, 3, PT_SS | ss, 5, 0);
	ss_map(&g, ss, 0x5000, 1, RAM | SS_PAGE);
	assert_int_equal(see(&g, 3, 0x5000).pa, RAM);
	ss_map(&g, ss, 0x5000, 1, (RAM + 0x1000) | SS_PAGE);
	desc(&g, IOTLB_PAGE | DID(5), 0x7000 | IH);
	desc(&g, IOTLB_PAGE | DID(6), 0x8000 | IH);
	assert_int_equal(see(&g, 3, 0x5000).pa, RAM);
	assert_non_null(strstr(g.why, "0x7000-0x7fff: address outside"));
	assert_null(strstr(g.why, "domain id 6"));
	desc(&g, P_PAGE | DID(5) | PASID(3), 0x5000);
	see(&g, 3, 0x5000);
	assert_non_null(
		strstr(g.why, "does not reach second-stage translations"));
	rig_down(&g);
}

static void a_table_that_moved_needs_ih_clear(void **state)
{
	struct rig g;
	uint64_t root, fresh, slot;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = page(&g);
	pasid_set(&g, 0, 3, PT_FS, 5, root);
	fs_map(&g, root, 0x5000, 1, 0, RAM | FS_PAGE);
	assert_int_equal(see(&g, 3, 0x5000).pa, RAM);
	fresh = page(&g);
	put(&g, fresh + 5 * 8, (RAM + 0x1000) | FS_PAGE);
	slot = slot_of(&g, root, 0x5000, 2, 0, 0);
	put(&g, slot, fresh | FS_TABLE);
	desc(&g, P_PAGE | DID(5) | PASID(3), 0x5000 | IH);
	assert_int_equal(see(&g, 3, 0x5000).pa, RAM);
	assert_int_equal(g.stales, 1);
	assert_non_null(strstr(g.why, "first-stage paging structures"));
	assert_non_null(strstr(g.why, "IH=1 keeps paging structures"));
	desc(&g, P_PAGE | DID(5) | PASID(3), 0x5000);
	assert_int_equal(see(&g, 3, 0x5000).pa, RAM + 0x1000);
	rig_down(&g);
}

/* The page of a table under the second stage is part of what is cached. */
static void a_nested_table_that_moved_below_is_stale(void **state)
{
	struct rig g;
	uint64_t ss, fs, table, copy;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	ss = page(&g);
	fs = page(&g);
	fs_map(&g, fs, 0x5000, 1, DELTA, (RAM + DELTA) | FS_PAGE);
	fs_map(&g, fs, 0x6000, 1, DELTA, (RAM + DELTA) | FS_PAGE);
	table = slot_of(&g, fs, 0, 1, DELTA, 0);
	copy = page(&g);
	for (uint64_t pa = RAM; pa < FREE + g.used; pa += 0x1000)
		ss_map(&g, ss, pa + DELTA, 1, pa | SS_PAGE);
	memcpy(at(&g, copy), at(&g, table), 4096);
	*at(&g, copy + 6 * 8) = (RAM + 0x2000 + DELTA) | FS_PAGE;
	pasid_set(&g, 0, 3, PT_NESTED | ss, 5, fs + DELTA);
	assert_int_equal(see(&g, 3, 0x5000).pa, RAM);
	ss_map(&g, ss, table + DELTA, 1, copy | SS_PAGE);
	assert_int_equal(see(&g, 3, 0x6000).pa, RAM);
	assert_int_equal(g.stales, 1);
	/* any page of the domain does (table 23) */
	desc(&g, IOTLB_PAGE | DID(5), 0x1000 | IH);
	assert_int_equal(see(&g, 3, 0x6000).pa, RAM + 0x2000);
	assert_int_equal(g.stales, 1);
	rig_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_descriptor_removes_what_its_table_says),
		cmocka_unit_test(
			every_pasid_descriptor_removes_what_its_table_says),
		cmocka_unit_test(config_and_device_descriptors_leave_the_iotlb),
		cmocka_unit_test(a_stale_page_is_told_with_what_missed_it),
		cmocka_unit_test(
			a_stale_second_stage_page_is_told_by_its_address),
		cmocka_unit_test(a_table_that_moved_needs_ih_clear),
		cmocka_unit_test(a_nested_table_that_moved_below_is_stale),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
