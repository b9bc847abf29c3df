// SPDX-License-Identifier: MIT
/* ATS: translation requests, ATCs, translated traffic. IHI 0070 3.9, 4.5. */
#include "engine_rig.h"

#define DATA	 (RAM + 0x1000000)
#define PASID(n) ((uint64_t)(n) << 12 | 1 << 11) /* SSV */

static int request(struct rig *g, int port, uint32_t pasid, uint64_t iova,
		   uint32_t flags, uint64_t len, struct model_translation *t)
{
	const struct model_access a = { .iova = iova,
					.pasid = pasid,
					.flags = flags };

	return g->model->ops->ats_request(g->port[port], &a, len, t);
}

static bool cached(struct rig *g, int port, uint32_t pasid, uint64_t iova)
{
	struct model_translation t;

	return !request(g, port, pasid, iova, MODEL_QUIET, 1, &t) && t.hit;
}

/* Both streams on one table, with three substreams */
static uint64_t up(struct rig *g, enum iotlb_policy policy, uint64_t ste1)
{
	uint64_t root, cds;

	assert_int_equal(rig_try(g, policy, NULL), 0);
	rig_on(g, CR0_ON | CR0_ATSCHK);
	root = page(g);
	cds = page(g);
	for (unsigned int n = 0; n < 3; n++)
		cd(g, cds + 64 * n, CD0 | CD_ASID(7), root);
	for (unsigned int sid = 8; sid <= 9; sid++)
		ste(g, sid, STE_S1 | cds | 2ULL << 59, STE1 | STE1_DSS_0 | ste1,
		    0, 0);
	for (uint64_t n = 1; n < 9; n++)
		map(g, root, n << 12, 3, 0, (DATA + (n << 12)) | PAGE_NG);
	return root;
}

static void a_request_fills_the_atc(void **state)
{
	struct model_translation t;
	struct rig g;

	(void)state;
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		up(&g, policy, STE1_ATS);
		assert_int_equal(
			request(&g, 0, MODEL_NO_PASID, 0x1234, 0, 0x2000, &t),
			0);
		assert_int_equal(t.pa, DATA + 0x1234);
		assert_false(t.hit);
		assert_true(t.read && t.write);
		assert_true(cached(&g, 0, MODEL_NO_PASID, 0x1000));
		assert_true(cached(&g, 0, MODEL_NO_PASID, 0x2000));
		assert_true(cached(&g, 0, MODEL_NO_PASID, 0x3000));
		assert_false(cached(&g, 0, MODEL_NO_PASID, 0x4000));
		assert_false(cached(&g, 0, 1, 0x1000));
		assert_false(cached(&g, 1, MODEL_NO_PASID, 0x1000));
		no_event(&g);
		rig_down(&g);
	}
}

/* 7.3.6: Span 3:0, P 28, X 29, W 30, R 31 of doubleword 1 */
static void a_refused_request_says_what_it_asked_for(void **state)
{
	static const struct {
		uint32_t pasid, flags;
		uint64_t iova, len, dw1;
	} asked[] = {
		{ MODEL_NO_PASID, 0, 0x5000, 1, 0x80000001 },
		{ MODEL_NO_PASID, 0, 0x5fff, 2, 0x80000002 },
		{ MODEL_NO_PASID, 0, 0x5000, 0xf000, 0x8000000f },
		{ MODEL_NO_PASID, 0, 0x5000, 0x10000, 0x8000000f },
		{ MODEL_NO_PASID, 0, 0x5001, UINT64_MAX, 0x8000000f },
		{ MODEL_NO_PASID, MODEL_WRITE, 0x5000, 1, 0xc0000001 },
		{ MODEL_NO_PASID, MODEL_EXEC | MODEL_PRIV, 0x5000, 1,
		  0x80000001 },
		{ 1, MODEL_EXEC, 0x5000, 1, 0xa0000001 },
		{ 1, MODEL_PRIV, 0x5000, 1, 0x90000001 },
	};
	struct model_translation t;
	uint64_t rec[4];
	struct rig g;

	(void)state;
	/* PRIVCFG and INSTCFG (bits 49:48, 51:50) force both the other way */
	up(&g, IOTLB_FAST, 0xaULL << 48);
	ste(&g, 8, *at(&g, STRTAB + 64 * 8), STE1 | STE1_DSS_0 | 0xaULL << 48,
	    0, 0);
	for (unsigned int i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		assert_int_equal(request(&g, 0, asked[i].pasid, asked[i].iova,
					 asked[i].flags, asked[i].len, &t),
				 -EIO);
		assert_true(event(&g, rec));
		assert_int_equal(rec[0] & 0xff, 0x05);
		assert_int_equal(rec[1], asked[i].dw1);
		assert_int_equal(rec[2], 0x5000);
		assert_int_equal(rec[3], 0);
	}
	rig_down(&g);
}

static void refusals_are_recorded_only_where_they_should_be(void **state)
{
	struct model_translation t;
	uint64_t root, rec[4];
	struct rig g;

	(void)state;
	root = up(&g, IOTLB_FAST, 0); /* EATS 0 */
	assert_int_equal(request(&g, 0, MODEL_NO_PASID, 0x1234, 0, 1, &t),
			 -EIO);
	assert_int_equal(t.event, 0x05); /* F_BAD_ATS_TREQ */
	assert_true(event(&g, rec));
	assert_int_equal(rec[0], 0x0000000800000005);

	ste(&g, 8, STE_BYPASS, STE1 | STE1_ATS, 0, 0);
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(request(&g, 0, MODEL_NO_PASID, 0x1234, 0, 1, &t),
			 -EIO);
	assert_int_equal(t.event, 0x05);
	assert_true(event(&g, rec));

	ste(&g, 8, STE_ABORT, STE1 | STE1_ATS, 0, 0);
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(request(&g, 0, MODEL_NO_PASID, 0x1234, 0, 1, &t),
			 -EIO);
	assert_int_equal(t.event, 0);

	ste(&g, 8, 0, 0, 0, 0); /* V 0: REC_CFG_ATS is not on */
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(request(&g, 0, MODEL_NO_PASID, 0x1234, 0, 1, &t),
			 -EIO);
	no_event(&g);

	ste(&g, 9, *at(&g, STRTAB + 64 * 9), STE1 | STE1_ATS | STE1_DSS_0, 0,
	    0);
	assert_int_equal(request(&g, 1, MODEL_NO_PASID, 0x99000, 0, 1, &t),
			 -EIO);
	assert_int_equal(t.event, 0x10);
	no_event(&g);
	map(&g, root, 0x9000, 3, 0, DATA | PAGE_RO);
	assert_int_equal(
		request(&g, 1, MODEL_NO_PASID, 0x9000, MODEL_WRITE, 1, &t), 0);
	assert_true(t.read && !t.write);
	no_event(&g);

	g.model->ops->port_remove(g.port[1]);
	assert_int_equal(g.model->ops->port_add(
				 g.model,
				 &(struct model_port_config){ .stream_id = 9 },
				 &g.port[1]),
			 0);
	assert_int_equal(request(&g, 1, MODEL_NO_PASID, 0x1000, 0, 1, &t),
			 -EOPNOTSUPP);
	rig_down(&g);
}

static int translated(struct rig *g, uint64_t pa, struct model_translation *t)
{
	char buf[4];

	return dma(g, 0, pa, MODEL_TRANSLATED, buf, 4, t);
}

static void translated_traffic_needs_eats_when_checked(void **state)
{
	struct model_translation t;
	uint64_t cds, rec[4];
	struct rig g;

	(void)state;
	up(&g, IOTLB_FAST, STE1_ATS);
	cds = *at(&g, STRTAB + 64 * 8) & 0xfffff000;
	assert_int_equal(translated(&g, DATA + 0x55, &t), 0);
	assert_int_equal(t.pa, DATA + 0x55);

	ste(&g, 8, STE_S1 | cds, STE1, 0, 0); /* EATS 0 */
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(translated(&g, DATA, &t), -EIO);
	assert_int_equal(t.event, 0x07); /* F_TRANSL_FORBIDDEN */
	assert_true(event(&g, rec));
	assert_int_equal(rec[0], 0x0000000800000007);
	assert_int_equal(rec[2], DATA);
	ste(&g, 8, STE_BYPASS, STE1, 0, 0);
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(translated(&g, DATA, &t), -EIO);
	assert_int_equal(t.event, 0x07);
	assert_true(event(&g, rec));
	ste(&g, 8, STE_ABORT, STE1, 0, 0);
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(translated(&g, DATA, &t), -EIO);
	no_event(&g);

	reg_set(&g, REG_CR0, 4, CR0_ON); /* ATSCHK 0: trusted */
	assert_int_equal(translated(&g, DATA, &t), 0);
	reg_set(&g, REG_CR0, 4, 0xc); /* SMMUEN 0 */
	assert_int_equal(translated(&g, DATA, &t), -EIO);
	assert_true(event(&g, rec)); /* see test_review_ats.c */
	rig_down(&g);
}

static void split_stage_ats_holds_ipas(void **state)
{
	struct model_translation t;
	uint64_t root, s2 = 0, rec[4];
	struct rig g;

	(void)state;
	assert_int_equal(rig_try(&g, IOTLB_FAST, NULL), 0);
	rig_on(&g, CR0_ON | CR0_ATSCHK);
	root = stream_nested(&g, 8, 3, 7, &s2);
	put(&g, STRTAB + 64 * 8 + 8, STE1 | STE1_SPLIT);
	map(&g, root, 0x1000, 3, DELTA, (DATA + DELTA) | PAGE_NG);
	assert_int_equal(request(&g, 0, MODEL_NO_PASID, 0x1010, 0, 1, &t), 0);
	assert_int_equal(t.pa, DATA + DELTA + 0x10);
	assert_int_equal(translated(&g, t.pa, &t), 0);
	assert_int_equal(t.pa, DATA + 0x10);
	assert_int_equal(translated(&g, 0x5000, &t), -EIO);
	assert_int_equal(t.event, 0x10);
	assert_true(event(&g, rec));
	assert_int_equal(rec[1] >> 39 & 1, 1); /* S2 */
	rig_down(&g);
}

struct atc {
	struct rig g;
};

static void fill(struct rig *g)
{
	static const uint32_t pasids[] = { MODEL_NO_PASID, 1, 2 };
	struct model_translation t;

	for (int port = 0; port < 2; port++)
		for (int n = 0; n < 3; n++)
			assert_int_equal(request(g, port, pasids[n], 0x1000, 0,
						 0x8000, &t),
					 0);
}

/* Eight pages in each; a mask of the pages that are left */
static unsigned int left(struct rig *g, int port, uint32_t pasid)
{
	unsigned int mask = 0;

	for (unsigned int n = 1; n < 9; n++)
		mask |= (unsigned int)cached(g, port, pasid, n << 12) << n;
	return mask;
}

#define ALL 0x1feu

static void atc_inv_reaches_what_it_names_and_nothing_else(void **state)
{
	struct rig g;

	(void)state;
	up(&g, IOTLB_HOSTILE, STE1_ATS);
	fill(&g);
	assert_int_equal(left(&g, 0, MODEL_NO_PASID), ALL);
	/* one page, without a PASID */
	cmd(&g, ATC_INV | SID(8), 0x3000);
	assert_int_equal(left(&g, 0, MODEL_NO_PASID), ALL & ~(1u << 3));
	assert_int_equal(left(&g, 0, 1), ALL);
	assert_int_equal(left(&g, 0, 2), ALL);
	assert_int_equal(left(&g, 1, MODEL_NO_PASID), ALL);
	/* PASID 1, Size 2: the four pages around */
	cmd(&g, ATC_INV | SID(8) | PASID(1), 0x6000 | 2);
	assert_int_equal(left(&g, 0, 1), ALL & ~0xf0u);
	assert_int_equal(left(&g, 0, 2), ALL);
	/* G: every PASID, but not what has none */
	cmd(&g, ATC_INV | SID(8) | PASID(1) | 1 << 9, 0x1000);
	assert_int_equal(left(&g, 0, 1), ALL & ~0xf2u);
	assert_int_equal(left(&g, 0, 2), ALL & ~0x02u);
	assert_int_equal(left(&g, 0, MODEL_NO_PASID), ALL & ~(1u << 3));
	/* G without SSV means nothing; Size 52 is everything */
	cmd(&g, ATC_INV | SID(8) | 1 << 9, 52);
	assert_int_equal(left(&g, 0, MODEL_NO_PASID), 0);
	assert_int_equal(left(&g, 0, 2), ALL & ~0x02u);
	cmd(&g, ATC_INV | SID(8) | PASID(2), 52);
	assert_int_equal(left(&g, 0, 2), 0);
	assert_int_equal(left(&g, 0, 1), ALL & ~0xf2u);
	/* a device that is not there, and TLB invalidations */
	cmd(&g, ATC_INV | SID(99), 52);
	cmd(&g, NSNH_ALL, 0);
	assert_int_equal(left(&g, 1, MODEL_NO_PASID), ALL);
	assert_int_equal(left(&g, 1, 1), ALL);
	assert_int_equal(left(&g, 1, 2), ALL);
	rig_down(&g);
}

static void a_mute_device_fails_the_next_sync_once(void **state)
{
	const struct inject_fault mute = {
		.kind = INJECT_ATC_TIMEOUT,
		.stream_id = 8,
		.probability = 1,
	};
	struct rig g;

	(void)state;
	up(&g, IOTLB_FAST, STE1_ATS);
	fill(&g);
	assert_int_equal(g.model->ops->inject(g.model, &mute), 0);
	cmd_put(&g, ATC_INV | SID(9), 0x1000);
	cmd_put(&g, 0x46, 0);
	cmd_put(&g, ATC_INV | SID(8), 0x1000);
	cmd_put(&g, ATC_INV | SID(9), 0x2000);
	cmd_put(&g, 0x46, 0);
	cmd_put(&g, ATC_INV | SID(9), 0x3000);
	cmd_put(&g, 0x46, 0);
	doorbell(&g);
	assert_int_equal(reg_get(&g, REG_CMDQ_CONS, 4), 0x03000004);
	assert_int_equal(reg_get(&g, REG_GERROR, 4), 1);
	assert_int_equal(left(&g, 1, MODEL_NO_PASID), ALL & ~0x6u);
	assert_int_equal(left(&g, 0, MODEL_NO_PASID), ALL);

	reg_set(&g, REG_GERRORN, 4, 1);
	assert_int_equal(reg_get(&g, REG_CMDQ_CONS, 4) & 0xff, 7);
	assert_int_equal(left(&g, 1, MODEL_NO_PASID), ALL & ~0xeu);
	g.model->ops->port_reset(g.port[0]);
	assert_int_equal(left(&g, 0, MODEL_NO_PASID), 0);
	assert_int_equal(g.model->ops->inject_clear(g.model), 1);
	cmd(&g, ATC_INV | SID(8), 0x1000);
	rig_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_fills_the_atc),
		cmocka_unit_test(a_refused_request_says_what_it_asked_for),
		cmocka_unit_test(
			refusals_are_recorded_only_where_they_should_be),
		cmocka_unit_test(translated_traffic_needs_eats_when_checked),
		cmocka_unit_test(split_stage_ats_holds_ipas),
		cmocka_unit_test(
			atc_inv_reaches_what_it_names_and_nothing_else),
		cmocka_unit_test(a_mute_device_fails_the_next_sync_once),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
