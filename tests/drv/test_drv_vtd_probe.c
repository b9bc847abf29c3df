// SPDX-License-Identifier: MIT
/* The VT-d driver: bringing a unit up and down, what it refuses, its tables. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "drv/vtd/unit.h"
#include "vtd_fake.h"

static int create(struct vfake *f, struct vtd_drv_config *cfg)
{
	struct core_hwport port = vfake_port(f);
	struct core_iommu *iommu = NULL;
	int rc = vtd_drv_create(cfg, &port, &iommu);

	if (!rc)
		iommu->ops->destroy(iommu);
	return rc;
}

static void test_a_unit_comes_up_in_the_order_of_the_specification(void **state)
{
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	/* QIE, then SRTP, then TE, each with those before */
	assert_int_equal(r.hw.gcmds_n, 3);
	assert_int_equal(r.hw.gcmds[0], 0x04000000);
	assert_int_equal(r.hw.gcmds[1], 0x44000000);
	assert_int_equal(r.hw.gcmds[2], 0x84000000);
	/* 256-bit descriptors, 2^10 of them: 2^3 pages; scalable mode */
	assert_int_equal(r.hw.iqa & 0xfff, 0x803);
	assert_int_equal(r.hw.rtaddr_set & 0xfff, 0x400);
	/* the fault event is on, the others masked */
	assert_int_equal(r.hw.ectl[0], 0);
	assert_int_equal(r.hw.ectl[1], 0);
	assert_int_equal(r.hw.ectl[2], 0xfee00000);
	assert_int_equal(r.hw.ectl[4], 0x80000000);
	vrig_stop(&r);
	assert_int_equal(r.hw.gsts & 0x84000000, 0);
}

static void test_everything_cached_before_is_forgotten(void **state)
{
	struct vfake f;
	struct vtd_drv_config cfg = { 0 };

	(void)state;
	vfake_init(&f);
	assert_int_equal(create(&f, &cfg), 0);
	assert_int_equal(f.log_n, 4);
	EXPECT_DESC(&f, 0, 0x11, 0); /* contexts, global */
	EXPECT_DESC(&f, 1, 0x37, 0); /* PASID cache, global */
	EXPECT_DESC(&f, 2, 0xd2, 0); /* IOTLB, global, drained */
	EXPECT_WAIT(&f, 3);
	vfake_fini(&f);
}

static void test_leftovers_are_turned_off_one_by_one(void **state)
{
	struct vfake f;
	struct vtd_drv_config cfg = { 0 };

	(void)state;
	vfake_init(&f);
	f.gsts = 0xc6800000; /* TE, RTPS, QIE, IRE, CFI */
	f.fsts = 0x71;
	f.frcd[0][1] = f.frcd[1][1] = 1ULL << 63;
	assert_int_equal(create(&f, &cfg), 0);
	assert_int_equal(f.gcmds[0], 0x06800000);
	assert_int_equal(f.gcmds[1], 0x02800000);
	assert_int_equal(f.gcmds[2], 0x00800000);
	assert_int_equal(f.gcmds[3], 0);
	assert_int_equal(f.gcmds[4], 0x04000000);
	assert_int_equal(f.fsts, 0);
	assert_int_equal(f.frcd[0][1] | f.frcd[1][1], 0);
	vfake_fini(&f);
}

static void test_units_it_cannot_use_are_refused(void **state)
{
	static const struct {
		uint64_t cap_off, ecap_off;
	} cases[] = {
		{ 0, 1ULL << 1 }, /* QI */
		{ 0x1f00, 0 },	  /* SAGAW */
	};
	struct vtd_drv_config cfg = { .timeout_ms = 10 };
	struct vfake f;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		vfake_init(&f);
		f.cap &= ~cases[i].cap_off;
		f.ecap &= ~cases[i].ecap_off;
		assert_int_equal(create(&f, &cfg), -ENXIO);
		assert_int_equal(f.gcmds_n, 0);
		vfake_fini(&f);
	}
	vfake_init(&f);
	f.deaf = true;
	assert_int_equal(create(&f, &cfg), -EIO);
	vfake_fini(&f);
	vfake_init(&f);
	f.stuck = true;
	assert_int_equal(create(&f, &cfg), -EIO);
	vfake_fini(&f);
	cfg.queue_lg2 = 7;
	vfake_init(&f);
	assert_int_equal(create(&f, &cfg), -EINVAL);
	vfake_fini(&f);
	cfg.queue_lg2 = 15;
	vfake_init(&f);
	assert_int_equal(create(&f, &cfg), -EINVAL);
	vfake_fini(&f);
	cfg.queue_lg2 = 0;
	for (unsigned int haw = 1; haw < 64; haw++) {
		cfg.haw = haw;
		vfake_init(&f);
		assert_int_equal(create(&f, &cfg),
				 haw < 32 || haw > 52 ? -EINVAL : 0);
		vfake_fini(&f);
	}
}

static void test_every_allocation_may_fail(void **state)
{
	struct vtd_drv_config cfg = { 0 };
	uint64_t n = 0;
	int rc;

	(void)state;
	do {
		struct alloc_plan plan = { .fail_at = ++n };
		struct vfake f;

		vfake_init(&f);
		f.ecap |= 1ULL << 29; /* PRS */
		alloc_arm(&plan);
		rc = create(&f, &cfg);
		alloc_arm(NULL);
		assert_true(rc == 0 || rc == -ENOMEM);
		vfake_fini(&f);
	} while (rc);
	assert_true(n >= 6);
	print_message("%llu injection points\n", (unsigned long long)(n - 1));
}

static void test_a_device_has_a_context_and_nothing_below(void **state)
{
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	/* plain; DTE; DTE, PASIDE and a directory for 20 bits: PDTS 7 */
	assert_int_equal(vfake_context(&r.hw, 0x100, 0) & 0xfff, 0x001);
	assert_int_equal(vfake_context(&r.hw, 0x101, 0) & 0xfff, 0x005);
	assert_int_equal(vfake_context(&r.hw, 0x182, 0) & 0xfff, 0xe0d);
	assert_int_equal(vfake_context(&r.hw, 0x100, 1), 0);
	assert_int_equal(vfake_entry(&r.hw, 0x100, 0, 0), 0);
	assert_int_equal(vfake_entry(&r.hw, 0x182, 0, 0), 0);
	assert_int_equal(vfake_context(&r.hw, 0x200, 0), UINT64_MAX);
	assert_int_equal(vfake_context(&r.hw, 0x102, 0), 0);
	/* it goes: contexts of the device */
	r.iommu->ops->device_remove(&r.dev[0]);
	assert_int_equal(vfake_context(&r.hw, 0x100, 0), 0);
	EXPECT_DESC(&r.hw, 0, 0x0000010000000031ULL, 0);
	EXPECT_WAIT(&r.hw, 1);
	assert_int_equal(r.iommu->ops->device_add(&r.dev[0]), 0);
	vrig_stop(&r);
}

static void test_ids_of_devices(void **state)
{
	struct core_device twice = { .stream_id = 0x100 };
	struct core_device beyond = { .stream_id = 0x10000 };
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	twice.iommu = r.iommu;
	beyond.iommu = r.iommu;
	assert_int_equal(r.iommu->ops->device_add(&twice), -EEXIST);
	assert_int_equal(r.iommu->ops->device_add(&beyond), -ERANGE);
	vrig_stop(&r);
}

static void test_hw_info_is_the_registers(void **state)
{
	struct {
		uint32_t flags, reserved;
		uint64_t cap, ecap;
	} info;
	const void *data;
	uint32_t type, len;
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	for (uint32_t in = 0; in < 2; in++) {
		assert_int_equal(r.iommu->ops->hw_info(&r.dev[0], in, &type,
						       &data, &len),
				 0);
		assert_int_equal(type, 1);
		assert_int_equal(len, sizeof(info));
		memcpy(&info, data, sizeof(info));
		assert_int_equal(info.flags, 1);
		assert_int_equal(info.reserved, 0);
		assert_int_equal(info.cap, VFAKE_CAP);
		assert_int_equal(info.ecap, VFAKE_ECAP);
	}
	assert_int_equal(
		r.iommu->ops->hw_info(&r.dev[0], 2, &type, &data, &len),
		-EOPNOTSUPP);
	vrig_stop(&r);
}

static void test_capabilities_and_reserved_ranges(void **state)
{
	struct core_resv resv[2];
	uint8_t pasids;
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	/* dirty tracking; no ATS; PASIDs */
	assert_int_equal(r.iommu->ops->capabilities(&r.dev[0], &pasids), 9);
	assert_int_equal(pasids, 0);
	assert_int_equal(r.iommu->ops->capabilities(&r.dev[2], &pasids), 1);
	assert_int_equal(pasids, 20);
	assert_int_equal(r.iommu->ops->reserved(&r.dev[0], resv, 2), 1);
	assert_int_equal(resv[0].first, 0xfee00000);
	assert_int_equal(resv[0].last, 0xfeefffff);
	assert_false(resv[0].msi);
	assert_int_equal(r.iommu->ops->reserved(&r.dev[0], resv, 0), 0);
	assert_null(r.iommu->ops->viommu_alloc);
	vrig_stop(&r);
}

static void count_message(void *ctx, enum logger_level level, const char *text)
{
	(void)level;
	if (strstr(text, "fault 0x59 of device 0x101, PASID 0x42, type 10, at "
			 "0xabc000"))
		++*(int *)ctx;
}

static void test_faults_are_taken_and_told(void **state)
{
	int seen = 0;
	struct logger logger = { LOGGER_WARN, count_message, &seen };
	struct vrig r;

	(void)state;
	vrig_init(&r);
	r.cfg.logger = &logger;
	vrig_start(&r);
	/* both records, from the second on; PP, T1, PASID 0x42, FR 0x59 */
	r.hw.fsts |= 1;
	vfake_fault(&r.hw, 1, 0xabc000,
		    1ULL << 62 | 0x42ULL << 40 | 0x59ULL << 32 | 1ULL << 31 |
			    0x101);
	assert_int_equal(seen, 1);
	assert_int_equal(r.hw.frcd[1][1] >> 63, 0);
	assert_int_equal(r.hw.fsts, 0);
	vrig_stop(&r);
}

static void test_legacy_mode_has_contexts_that_translate(void **state)
{
	struct core_domain *d;
	uint64_t root, ctx;
	struct vrig r;

	(void)state;
	vrig_init(&r);
	r.hw.ecap &= ~(1ULL << 43); /* SMTS; SSTS would do as well */
	vrig_start(&r);
	/* 128-bit descriptors: 2^10 are 2^2 pages */
	assert_int_equal(r.hw.iqa & 0xfff, 0x002);
	assert_int_equal(r.hw.rtaddr_set & 0xfff, 0);
	d = vrig_domain(&r, 0);
	assert_int_equal(d->ops->attach(d, &r.dev[1], NO_PASID), 0);
	root = vfake_load(&r.hw, (r.hw.rtaddr_set & ~0xfffULL) + 16);
	assert_int_equal(root & 0xfff, 1);
	ctx = (root & ~0xfffULL) + 0x01 * 16;
	/* P, TT 1 (ATS); AW 3 (5 levels), domain 1 */
	assert_int_equal(vfake_load(&r.hw, ctx) & 0xfff, 0x5);
	assert_int_equal(vfake_load(&r.hw, ctx + 8), 0x103);
	assert_int_equal(d->ops->attach(d, &r.dev[2], 5), -EOPNOTSUPP);
	vfake_clear_log(&r.hw);
	r.iommu->ops->block(&r.dev[1], NO_PASID);
	assert_int_equal(vfake_load(&r.hw, ctx), 0);
	EXPECT_DESC(&r.hw, 0, 0x0000010100010031ULL, 0);
	EXPECT_DESC(&r.hw, 1, 0x100e2, 0);
	EXPECT_DESC(&r.hw, 2, 0x0000010100000003ULL, 0x7ffffffffffff001ULL);
	EXPECT_WAIT(&r.hw, 3);
	d->ops->free(d);
	assert_int_equal(r.iommu->ops->domain_alloc(&r.dev[0], 1, &d),
			 -EOPNOTSUPP);
	assert_int_equal(r.iommu->ops->domain_alloc(&r.dev[0], 2, &d),
			 -EOPNOTSUPP);
	vrig_stop(&r);
}

/* ---- page requests ---- */

#define PRS (1ULL << 29) /* ECAP */

static void begin_requests(struct vrig *r)
{
	vrig_init(r);
	r->hw.ecap |= PRS;
	vfake_pages = (struct vfake_pages){ 0 };
	vrig_start(r);
}

static void test_page_requests_reach_core(void **state)
{
	struct vrig r;

	(void)state;
	begin_requests(&r);
	assert_int_equal(r.hw.pqa & 0xfff, 2); /* 2^9 in 2^2 pages */
	assert_int_equal(r.hw.ectl[8], 0);
	/* type 1, PP, RID 0x182, PASID 0xabcde; R, LPIG, group 0x155 */
	assert_true(vfake_page_request(&r.hw, 0x000abcde01820101ULL,
				       0x7fff12345000ULL | 0x155 << 3 | 5));
	assert_int_equal(vfake_pages.n, 1);
	assert_ptr_equal(vfake_pages.dev, &r.dev[2]);
	assert_int_equal(vfake_pages.last.flags, 3);
	assert_int_equal(vfake_pages.last.pasid, 0xabcde);
	assert_int_equal(vfake_pages.last.grpid, 0x155);
	assert_int_equal(vfake_pages.last.perm, 1);
	assert_int_equal(vfake_pages.last.addr, 0x7fff12345000);
	/* consumed, and told so */
	assert_int_equal(r.hw.pqh, r.hw.pqt);
	assert_int_equal(r.hw.prs, 0);
	/* no PASID, W, not the last */
	assert_true(vfake_page_request(&r.hw, 0x01010001, 0x1002));
	assert_ptr_equal(vfake_pages.dev, &r.dev[1]);
	assert_int_equal(vfake_pages.last.flags, 0);
	assert_int_equal(vfake_pages.last.perm, 2);
	/* execute without read, as the specification forbids but this passes */
	assert_true(vfake_page_request(&r.hw, 1ULL << 52 | 0x01010001, 0x1002));
	assert_int_equal(vfake_pages.last.perm, 6);
	assert_int_equal(vfake_pages.n, 3);
	/* a stop marker is nothing */
	assert_true(vfake_page_request(&r.hw, 0x0000000501820101ULL, 4));
	assert_int_equal(vfake_pages.n, 3);
	assert_int_equal(r.hw.log_n, 0);
	for (int i = 0; i < 2000; i++)
		assert_true(vfake_page_request(&r.hw, 0x01010001, 0x1002));
	assert_int_equal(vfake_pages.n, 2003);
	vrig_stop(&r);
}

static void test_answers_are_page_group_responses(void **state)
{
	struct core_page_request last = { .flags = 3,
					  .pasid = 0xabcde,
					  .grpid = 0x155 };
	struct vrig r;

	(void)state;
	begin_requests(&r);
	r.iommu->ops->page_response(&r.dev[2], &last, 0);
	EXPECT_DESC(&r.hw, 0, 0x000abcde01820019ULL, 0x155 << 3);
	r.iommu->ops->page_response(&r.dev[2], &last, 1);
	EXPECT_DESC(&r.hw, 1, 0x000abcde01821019ULL, 0x155 << 3);
	last.flags = 2;
	r.iommu->ops->page_response(&r.dev[1], &last, 0);
	EXPECT_DESC(&r.hw, 2, 0x01010009, 0x155 << 3);
	assert_int_equal(r.hw.log_n, 3);
	vrig_stop(&r);
}

static void test_bad_page_requests_are_answered_at_once(void **state)
{
	static const struct {
		uint64_t dw0, dw1, response;
	} cases[] = {
		/* nobody has that source-id: Failure */
		{ 0x03330001, 0x1005, 0x0333f009 },
		/* not canonical, privileged, execute and read: Invalid */
		{ 0x01010001, 1ULL << 60 | 5, 0x01011009 },
		{ 1ULL << 53 | 0x01010001, 0x1005, 0x01011009 },
		{ 1ULL << 53 | 0x01010001, 0x1006, 0x01011009 },
		{ 1ULL << 52 | 0x01010001, 0x1005, 0x01011009 },
	};
	struct vrig r;

	(void)state;
	begin_requests(&r);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		vfake_clear_log(&r.hw);
		vfake_page_request(&r.hw, cases[i].dw0, cases[i].dw1);
		assert_int_equal(r.hw.log_n, 1);
		EXPECT_DESC(&r.hw, 0, cases[i].response, 0);
		/* not the last of its group: nobody waits */
		vfake_page_request(&r.hw, cases[i].dw0, cases[i].dw1 & ~4ULL);
		assert_int_equal(r.hw.log_n, 1);
	}
	assert_int_equal(vfake_pages.n, 0);
	vfake_page_request(&r.hw, 0x01010001, 0xff00000000001005ULL);
	assert_int_equal(vfake_pages.n, 1);
	vrig_stop(&r);
}

static void test_an_overflow_drops_what_is_not_whole(void **state)
{
	struct vrig r;

	(void)state;
	begin_requests(&r);
	r.hw.prs = 2;
	assert_false(vfake_page_request(&r.hw, 0x01010001, 0x1002));
	assert_int_equal(vfake_pages.lost, 3);
	assert_int_equal(r.hw.prs, 0);
	assert_true(vfake_page_request(&r.hw, 0x01010001, 0x1002));
	assert_int_equal(vfake_pages.n, 1);
	vrig_stop(&r);
}

/* While the first is looked at: another, and one for which there is no room */
static void overflow(struct core_device *dev, void *arg)
{
	struct vrig *r = arg;

	(void)dev;
	if (vfake_pages.n)
		return;
	assert_true(vfake_page_request(&r->hw, 0x01010001, 0x2002));
	r->hw.prs |= 2;
}

static void test_an_overflow_lasts_until_all_is_consumed(void **state)
{
	struct vrig r;

	(void)state;
	begin_requests(&r);
	vfake_pages.spy = overflow;
	vfake_pages.spy_arg = &r;
	assert_true(vfake_page_request(&r.hw, 0x01010001, 0x1002));
	assert_int_equal(vfake_pages.n, 2);
	assert_int_equal(vfake_pages.last.addr, 0x2000);
	assert_int_equal(vfake_pages.lost, 3);
	assert_int_equal(r.hw.pro_early, 0);
	assert_int_equal(r.hw.prs, 0);
	assert_int_equal(r.hw.pqh, r.hw.pqt);
	vrig_stop(&r);
}

/* ---- how much one thread does ---- */

static _Atomic unsigned int flood_left;
static _Atomic unsigned int flood_here; /* turns of the test's own thread */
static pthread_t flood_thread;

/* Hardware is always faster: whoever makes room finds another. */
static void one_more(struct vfake *f, uint32_t offset)
{
	if (pthread_equal(pthread_self(), flood_thread))
		flood_here++;
	if (!flood_left)
		return;
	flood_left--;
	if (offset == 0xc0)
		vfake_page_request(f, 0x01010001, 0x1002);
	else
		vfake_fault(f, 0, 0x1000, 0x5ULL << 32 | 0x101);
}

static void flood(struct vrig *r, bool faults, unsigned int enough)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct unit *u = to_unit(r->iommu);
	struct hostwork *work = faults ? &u->faults : &u->prq.work;

	r->hw.room_spy = one_more;
	for (unsigned int round = 0; round < 3; round++) {
		flood_thread = pthread_self();
		flood_here = 0;
		flood_left = 5000;
		if (faults)
			vfake_fault(&r->hw, 0, 0x1000, 0x5ULL << 32 | 0x101);
		else
			vfake_page_request(&r->hw, 0x01010001, 0x1002);
		/* back already */
		assert_int_equal(flood_here, enough);
		for (unsigned int i = 0; hostwork_is_busy(work) && i < 10000;
		     i++)
			nanosleep(&nap, NULL);
		assert_int_equal(flood_left, 0);
		assert_int_equal(flood_here, enough);
	}
	vrig_stop(r);
}

static void test_a_flood_of_requests_is_not_one_threads_work(void **state)
{
	struct vrig r;

	(void)state;
	begin_requests(&r);
	flood(&r, false, 512); /* as many as the queue holds */
	assert_int_equal(vfake_pages.n, 3 * 5001);
}

static void test_a_flood_of_faults_is_not_one_threads_work(void **state)
{
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	flood(&r, true, 64);
	assert_int_equal(r.hw.frcd[0][1] >> 63, 0);
}

/* A thread that cannot be made is no reason to leave any of it. */
static void test_without_a_thread_all_is_done_here(void **state)
{
	struct alloc_plan plan = { .fail_at = 1 };
	struct vrig r;

	(void)state;
	begin_requests(&r);
	flood_thread = pthread_self();
	flood_here = 0;
	flood_left = 2000;
	r.hw.room_spy = one_more;
	alloc_arm(&plan);
	vfake_page_request(&r.hw, 0x01010001, 0x1002);
	alloc_arm(NULL);
	assert_int_equal(flood_here, 2001);
	assert_int_equal(vfake_pages.n, 2001);
	vrig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_unit_comes_up_in_the_order_of_the_specification),
		cmocka_unit_test(test_everything_cached_before_is_forgotten),
		cmocka_unit_test(test_leftovers_are_turned_off_one_by_one),
		cmocka_unit_test(test_units_it_cannot_use_are_refused),
		cmocka_unit_test(test_every_allocation_may_fail),
		cmocka_unit_test(test_a_device_has_a_context_and_nothing_below),
		cmocka_unit_test(test_ids_of_devices),
		cmocka_unit_test(test_hw_info_is_the_registers),
		cmocka_unit_test(test_capabilities_and_reserved_ranges),
		cmocka_unit_test(test_faults_are_taken_and_told),
		cmocka_unit_test(test_legacy_mode_has_contexts_that_translate),
		cmocka_unit_test(test_page_requests_reach_core),
		cmocka_unit_test(test_answers_are_page_group_responses),
		cmocka_unit_test(test_bad_page_requests_are_answered_at_once),
		cmocka_unit_test(test_an_overflow_drops_what_is_not_whole),
		cmocka_unit_test(test_an_overflow_lasts_until_all_is_consumed),
		cmocka_unit_test(
			test_a_flood_of_requests_is_not_one_threads_work),
		cmocka_unit_test(
			test_a_flood_of_faults_is_not_one_threads_work),
		cmocka_unit_test(test_without_a_thread_all_is_done_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
