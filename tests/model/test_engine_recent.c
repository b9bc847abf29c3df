// SPDX-License-Identifier: MIT
/*
 * Where a thread's next walk begins: at the tables the last one went through,
 * unless a command has come that removes them (Arm IHI 0070 4.4). In both
 * policies, for what a guest may rely on is the same.
 */
#include "engine_rig.h"

#define VA	   0x123000ULL /* in the same level-3 table as ... */
#define VA_NEXT	   0x124000ULL /* ... this one, which is not cached yet */
#define DATA	   (RAM + 0x1000000)
#define OTHER	   (RAM + 0x1800000)
#define BLOCK_SIZE 0x200000ULL

#define ONE_VA	   (NH_VA | VMID(3) | ASID(7))

static uint64_t start(struct rig *g, int policy, uint64_t *s2)
{
	uint64_t root;

	rig_up(g, (enum iotlb_policy)policy);
	root = stream_nested(g, 8, 3, 7, s2);
	map(g, root, VA, 3, DELTA, (DATA + DELTA) | PAGE_NG);
	map(g, root, VA_NEXT, 3, DELTA, (DATA + DELTA + 0x1000) | PAGE_NG);
	assert_int_equal(see(g, 0, VA).pa, DATA);
	return root;
}

/* The level-2 descriptor leads to another level-3 table from now on. */
static void move_s1_table(struct rig *g, uint64_t root)
{
	uint64_t table = page(g);

	put(g, table + (VA >> 12 & 511) * 8, (OTHER + DELTA) | PAGE_NG);
	put(g, table + (VA_NEXT >> 12 & 511) * 8,
	    (OTHER + DELTA + 0x1000) | PAGE_NG);
	put(g, slot_of(g, root, VA, 2, DELTA), (table + DELTA) | 3);
}

static void what_removes_tables_makes_walks_begin_anew(void **state)
{
	static const uint64_t cmds[][2] = {
		{ ONE_VA, VA },		  { ONE_VA, VA_NEXT },
		{ NH_VAA | VMID(3), VA }, { NH_ASID | VMID(3) | ASID(7), 0 },
		{ NH_ALL | VMID(3), 0 },  { S12_VMALL | VMID(3), 0 },
		{ NSNH_ALL, 0 },
	};
	struct rig g;

	(void)state;
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		for (size_t n = 0; n < sizeof(cmds) / sizeof(cmds[0]); n++) {
			uint64_t s2 = 0, root = start(&g, policy, &s2);

			move_s1_table(&g, root);
			cmd(&g, cmds[n][0], cmds[n][1]);
			assert_int_equal(see(&g, 0, VA_NEXT).pa,
					 OTHER + 0x1000);
			assert_int_equal(g.stales, 0);
			rig_down(&g);
		}
	}
}

/* With Leaf 1 tables stay: unmapped and mapped again, page after page. */
static void what_removes_leaves_shows_new_leaves(void **state)
{
	struct rig g;

	(void)state;
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		uint64_t s2 = 0, root = start(&g, policy, &s2);

		for (uint64_t n = 0; n < 16; n++) {
			uint64_t pa = OTHER + n * 0x1000;

			map(&g, root, VA, 3, DELTA, (pa + DELTA) | PAGE_NG);
			cmd(&g, ONE_VA, VA | LEAF);
			assert_int_equal(see(&g, 0, VA).pa, pa);
		}
		put(&g, slot_of(&g, root, VA, 3, DELTA), 0);
		cmd(&g, ONE_VA, VA | LEAF);
		assert_int_not_equal(see(&g, 0, VA).result, MODEL_OK);
		assert_int_equal(g.stales, 0);
		rig_down(&g);
	}
}

/*
 * Stage 2 moves the memory that the tables of stage 1 lie in; the copy there
 * says something else.
 */
static void moved_memory_below_tables_is_seen(void **state)
{
	static const uint64_t cmds[][2] = {
		{ S2_IPA | VMID(3), LEAF },
		{ S2_IPA | VMID(3), 0 },
	};
	struct rig g;

	(void)state;
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		for (size_t n = 0; n < sizeof(cmds) / sizeof(cmds[0]); n++) {
			uint64_t s2 = 0, root = start(&g, policy, &s2);
			uint64_t slot = slot_of(&g, root, VA_NEXT, 3, DELTA);
			uint64_t from = slot & ~(BLOCK_SIZE - 1);
			uint64_t to = OTHER & ~(BLOCK_SIZE - 1);

			memcpy(at(&g, to), at(&g, from), BLOCK_SIZE);
			put(&g, to + (slot - from),
			    (DATA + DELTA + 0x5000) | PAGE_NG);
			map(&g, s2, from + DELTA, 2, 0, to | S2_BLOCK);
			cmd(&g, cmds[n][0], (from + DELTA) | cmds[n][1]);
			assert_int_equal(see(&g, 0, VA_NEXT).pa, DATA + 0x5000);
			rig_down(&g);
		}
	}
}

/* The block below the data itself */
static void moved_memory_below_pages_is_seen(void **state)
{
	struct rig g;

	(void)state;
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		uint64_t s2 = 0;

		start(&g, policy, &s2);
		map(&g, s2, DATA + DELTA, 2, 0, OTHER | S2_BLOCK);
		cmd(&g, S2_IPA | VMID(3), (DATA + DELTA) | LEAF);
		assert_int_equal(see(&g, 0, VA_NEXT).pa, OTHER + 0x1000);
		rig_down(&g);
	}
}

/* Two contexts, one thread, one address: neither gets the other's tables. */
static void tables_are_kept_apart_by_asid(void **state)
{
	struct rig g;

	(void)state;
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		uint64_t s2 = 0, root, cds;

		start(&g, policy, &s2);
		for (uint64_t asid = 8; asid < 12; asid++) {
			root = page(&g);
			cds = page(&g);
			cd(&g, cds, CD0 | CD_ASID(asid), root + DELTA);
			ste(&g, 8, STE_NESTED | (cds + DELTA), STE1, STE2 | 3,
			    s2);
			cmd(&g, 0x03 | 8ULL << 32, 1); /* CFGI_STE */
			map(&g, root, VA, 3, DELTA,
			    (OTHER + DELTA + asid * 0x1000) | PAGE_NG);
			assert_int_equal(see(&g, 0, VA).pa,
					 OTHER + asid * 0x1000);
			assert_int_not_equal(see(&g, 0, VA_NEXT).result,
					     MODEL_OK);
		}
		rig_down(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_removes_tables_makes_walks_begin_anew),
		cmocka_unit_test(what_removes_leaves_shows_new_leaves),
		cmocka_unit_test(moved_memory_below_tables_is_seen),
		cmocka_unit_test(moved_memory_below_pages_is_seen),
		cmocka_unit_test(tables_are_kept_apart_by_asid),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
