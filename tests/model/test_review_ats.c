// SPDX-License-Identifier: MIT
/*
 * ATS: what is recorded (Arm IHI 0070 3.9.1.2, 3.9.1.3, 7.3.6, 7.3.8) and what
 * is granted (13.7).
 */
#include "engine_rig.h"

#define DATA	 (RAM + 0x1000000)
#define CR2_ATS	 0x8u /* REC_CFG_ATS */
#define CR2_INV	 0x2u /* RECINVSID */
#define PAGE_UXN (1ULL << 54)

static int request(struct rig *g, int port, uint32_t pasid, uint64_t iova,
		   uint32_t flags, struct model_translation *t)
{
	const struct model_access a = { .iova = iova,
					.pasid = pasid,
					.flags = flags };

	return g->model->ops->ats_request(g->port[port], &a, 1, t);
}

/* Both streams on one table with two substreams; SID 8 and 9 of 256 */
static uint64_t up(struct rig *g, uint32_t cr0, uint32_t cr2)
{
	struct smmuv3_id id;
	uint64_t root, cds;

	smmuv3_model_default_id(&id);
	id.idr[0] |= 1u << 23; /* ATSRECERR */
	assert_int_equal(rig_try(g, IOTLB_FAST, &id), 0);
	rig_on(g, 0);
	reg_set(g, REG_CR2, 4, cr2);
	reg_set(g, REG_CR0, 4, cr0);
	root = page(g);
	cds = page(g);
	cd(g, cds, CD0 | CD_ASID(7), root);
	cd(g, cds + 64, CD0 | CD_ASID(7), root);
	for (unsigned int sid = 8; sid <= 9; sid++)
		ste(g, sid, STE_S1 | cds | 1ULL << 59,
		    STE1 | STE1_DSS_0 | STE1_ATS, 0, 0);
	return root;
}

static void expect_event(struct rig *g, uint64_t dw0)
{
	uint64_t rec[4];

	assert_true(event(g, rec));
	assert_int_equal(rec[0], dw0);
	no_event(g);
}

static void a_request_while_off_is_recorded(void **state)
{
	struct model_translation t;
	struct rig g;

	(void)state;
	up(&g, 0xc, 0); /* CMDQEN, EVENTQEN; SMMUEN 0 */
	assert_int_equal(request(&g, 0, MODEL_NO_PASID, 0x1234, 0, &t), -EIO);
	assert_int_equal(t.event, 0x05); /* F_BAD_ATS_TREQ */
	expect_event(&g, 0x0000000800000005);
	assert_int_equal(
		request(&g, 0, MODEL_NO_PASID, 0x1234, MODEL_QUIET, &t), -EIO);
	no_event(&g);
	rig_down(&g);
}

static void translated_traffic_while_off_is_recorded(void **state)
{
	struct model_translation t;
	uint64_t rec[4];
	char buf[4];
	struct rig g;

	(void)state;
	up(&g, 0xc, 0);
	assert_int_equal(dma(&g, 0, DATA, MODEL_TRANSLATED, buf, 4, &t), -EIO);
	assert_int_equal(t.event, 0x07); /* F_TRANSL_FORBIDDEN */
	assert_true(event(&g, rec));
	assert_int_equal(rec[0], 0x0000000800000007);
	assert_int_equal(rec[1], 0x0000000800000000); /* RnW */
	assert_int_equal(rec[2], DATA);
	rig_down(&g);
}

/* V 0, a StreamID out of range, a table that is not there */
static void break_config(struct rig *g, int what)
{
	switch (what) {
	case 0:
		ste(g, 8, 0, 0, 0, 0);
		break;
	case 1:
		reg_set(g, REG_CR0, 4, 0xc);
		reg_set(g, REG_STRTAB_CFG, 4, 3);
		reg_set(g, REG_CR0, 4, CR0_ON | CR0_ATSCHK);
		break;
	default: /* TTB0 outside memory: F_WALK_EABT */
		put(g, (*at(g, STRTAB + 512) & 0xfffff000) + 8, 0x10000000);
		break;
	}
}

static void config_errors_of_requests_are_recorded_if_asked_for(void **state)
{
	static const struct {
		int what;
		uint32_t cr2;
		uint8_t event; /* 0: none */
	} cases[] = {
		{ 0, 0, 0 },
		{ 0, CR2_ATS, 0x04 },
		{ 1, CR2_INV, 0 },
		{ 1, CR2_ATS, 0 },
		{ 1, CR2_ATS | CR2_INV, 0x02 },
		{ 2, 0, 0 },
		{ 2, CR2_ATS, 0x0b },
	};
	struct model_translation t;
	struct rig g;

	(void)state;
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		up(&g, CR0_ON | CR0_ATSCHK, cases[n].cr2);
		break_config(&g, cases[n].what);
		assert_int_equal(request(&g, 0, MODEL_NO_PASID, 0x1000, 0, &t),
				 -EIO);
		if (cases[n].event)
			expect_event(&g, 0x0000000800000000 | cases[n].event);
		else
			no_event(&g);
		rig_down(&g);
	}
}

/* RECINVSID has no say in it (3.9.1.3); without ATSCHK nothing is looked at */
static void config_errors_of_translated_traffic_likewise(void **state)
{
	static const struct {
		int what;
		uint32_t cr2;
		uint8_t event;
	} cases[] = {
		{ 0, 0, 0 },
		{ 0, CR2_ATS, 0x04 },
		{ 1, CR2_INV, 0 },
		{ 1, CR2_ATS, 0x02 },
	};
	char buf[4];
	struct rig g;

	(void)state;
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		up(&g, CR0_ON | CR0_ATSCHK, cases[n].cr2);
		break_config(&g, cases[n].what);
		assert_int_equal(
			dma(&g, 0, DATA, MODEL_TRANSLATED, buf, 4, NULL), -EIO);
		if (cases[n].event)
			expect_event(&g, 0x0000000800000000 | cases[n].event);
		else
			no_event(&g);
		reg_set(&g, REG_CR0, 4, CR0_ON);
		assert_int_equal(
			dma(&g, 0, DATA, MODEL_TRANSLATED, buf, 4, NULL), 0);
		rig_down(&g);
	}
}

/* Execute is granted on request only, and only where there is reading too. */
static void execute_is_granted_as_asked(void **state)
{
	struct model_translation t;
	uint64_t root;
	struct rig g;

	(void)state;
	root = up(&g, CR0_ON | CR0_ATSCHK, 0);
	map(&g, root, 0x1000, 3, 0, DATA | PAGE_RO);
	map(&g, root, 0x2000, 3, 0, DATA | PAGE_RO | PAGE_UXN);
	/* AP 10: unprivileged code may be fetched, but not read */
	map(&g, root, 0x3000, 3, 0, DATA | 0xc83);

	assert_int_equal(request(&g, 0, 1, 0x1000, 0, &t), 0);
	assert_true(t.read && !t.write && !t.exec);
	assert_int_equal(request(&g, 0, 1, 0x1000, MODEL_EXEC, &t), 0);
	assert_true(t.read && !t.write && t.exec);
	assert_int_equal(request(&g, 0, 1, 0x2000, MODEL_EXEC, &t), 0);
	assert_true(t.read && !t.write && !t.exec);
	assert_int_equal(request(&g, 0, 1, 0x3000, MODEL_EXEC, &t), -EIO);
	assert_int_equal(look(&g, 0, 1, 0x3000, MODEL_EXEC).result, MODEL_OK);
	no_event(&g);
	rig_down(&g);
}

/* Without a PASID there is neither Execute nor Privileged (13.7). */
static void without_a_pasid_all_is_unprivileged_data(void **state)
{
	const uint32_t flags = MODEL_PRIV | MODEL_EXEC;
	struct model_translation t;
	uint64_t root;
	struct rig g;

	(void)state;
	root = up(&g, CR0_ON | CR0_ATSCHK, 0);
	map(&g, root, 0x1000, 3, 0, DATA | 0xc03); /* AP 00: privileged only */
	map(&g, root, 0x2000, 3, 0, DATA | PAGE_NG);
	assert_int_equal(request(&g, 0, 1, 0x1000, MODEL_PRIV, &t), 0);
	assert_int_equal(request(&g, 0, MODEL_NO_PASID, 0x1000, MODEL_PRIV, &t),
			 -EIO);
	assert_int_equal(request(&g, 0, MODEL_NO_PASID, 0x2000, flags, &t), 0);
	assert_true(t.read && t.write && !t.exec);
	rig_down(&g);
}

/* IDR3.PASIDTT is 0: SSV, PnU and InD of translated traffic are 0 (3.9.1.3) */
static void translated_traffic_has_no_substream(void **state)
{
	const struct model_access a = {
		.iova = 0x5000,
		.pasid = 1,
		.flags = MODEL_TRANSLATED | MODEL_PRIV | MODEL_EXEC,
	};
	uint64_t s2 = 0, rec[4];
	char buf[4];
	struct rig g;

	(void)state;
	assert_int_equal(rig_try(&g, IOTLB_FAST, NULL), 0);
	rig_on(&g, CR0_ON | CR0_ATSCHK);
	stream_nested(&g, 8, 3, 7, &s2);
	put(&g, STRTAB + 64 * 8 + 8, STE1 | STE1_SPLIT);
	assert_int_equal(g.model->ops->dma(g.port[0], &a, buf, 4, NULL), -EIO);
	assert_true(event(&g, rec));
	assert_int_equal(rec[0], 0x0000000800000010); /* F_TRANSLATION */
	/* RnW, S2, CLASS IN */
	assert_int_equal(rec[1], 0x0000028800000000);
	rig_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_while_off_is_recorded),
		cmocka_unit_test(translated_traffic_while_off_is_recorded),
		cmocka_unit_test(
			config_errors_of_requests_are_recorded_if_asked_for),
		cmocka_unit_test(config_errors_of_translated_traffic_likewise),
		cmocka_unit_test(execute_is_granted_as_asked),
		cmocka_unit_test(without_a_pasid_all_is_unprivileged_data),
		cmocka_unit_test(translated_traffic_has_no_substream),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
