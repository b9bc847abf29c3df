// SPDX-License-Identifier: MIT
/*
 * VT-d: DMA of two devices against descriptors: after a wait has completed, no
 * DMA uses what the descriptors before it removed. Meant to run under TSan as
 * well. And: any allocation may fail.
 */
#include "rig_threads.h"
#include "vtd_rig.h"

static void ask_page(struct device *d, uint64_t iova)
{
	const struct model_page_request r = {
		.iova = iova,
		.pasid = 3,
		.flags = MODEL_PAGE_READ,
	};

	d->g->model->ops->page_request(d->g->port[d->port], &r);
}

/* The second one asks for pages. */
static void *device_reads(void *arg)
{
	struct device *d = arg;

	for (uint64_t n = 0; !stopped(d->stop); n++) {
		uint64_t iova = device_page(d, n);

		if (!device_read(d, 3, iova) && d->port && n % 64 == 0)
			ask_page(d, iova);
	}
	return NULL;
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
	uint64_t ss, fs;
	bool stop = false;
	struct rig g;
	double end;

	rig_up(&g, policy);
	ss = ss_ram(&g);
	fs = page(&g);
	for (unsigned int n = 0; n < 2; n++)
		pasid_set(&g, n, 3, PT_NESTED | ss, 6, fs + DELTA);
	for (uint64_t n = 0; n < PAGES; n++) {
		fill(&g, DATA + (n << 12), GOOD);
		fs_map(&g, fs, n << 12, 1, DELTA,
		       (DATA + DELTA + (n << 12)) | FS_PAGE);
	}
	devices_start(&g, d, &stop, device_reads);
	end = now() + 1.0;
	for (uint64_t n = 0; now() < end; n++) {
		uint64_t va = (n % PAGES) << 12;
		uint64_t slot = slot_of(&g, fs, va, 1, DELTA, 0);

		put(&g, slot, 0);
		desc(&g, P_PAGE | DID(6) | PASID(3), va | (n & 1 ? IH : 0));
		fill(&g, DATA + va, POISON);
		if (n % 4 == 0)
			desc(&g, PC_PASID | DID(6) | PASID(3), 0);
		if (n % 16 == 0)
			desc(&g, CC_ALL, 0);
		fill(&g, DATA + va, GOOD);
		put(&g, slot, (DATA + DELTA + va) | FS_PAGE);
		drain(&g);
	}
	devices_stop_well(d, &stop);
	rig_down(&g);
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

/*
 * 6.5.3.3: P is written last, and taken away first. What is read of an entry
 * while it comes or goes is all of it or nothing: least of all is it cached by
 * a domain id that it has not got, or after the invalidation that ends it
 * (6.5.2.12: those of translations wait for those of PASID entries).
 */
static void entries_come_and_go_as_a_whole(enum iotlb_policy policy)
{
	static const uint64_t areas[] = { DATA, DATA + (PAGES << 12) };
	const uint64_t tags = DID(6) | PASID(3);
	struct device d[2];
	uint64_t fs[2], at[2];
	bool stop = false;
	struct rig g;
	double end;

	rig_up(&g, policy);
	for (unsigned int i = 0; i < 2; i++) {
		fs[i] = page(&g);
		for (uint64_t n = 0; n < PAGES; n++)
			fs_map(&g, fs[i], n << 12, 1, 0,
			       (areas[i] + (n << 12)) | FS_PAGE);
	}
	for (unsigned int n = 0; n < 2; n++) {
		pasid_set(&g, n, 3, 0, 0, 0);
		at[n] = pasid_at(&g, n, 3);
		put(&g, at[n] + 8, 0);
	}
	devices_start(&g, d, &stop, device_reads);
	end = now() + 1.0;
	for (uint64_t n = 0; now() < end; n++) {
		for (uint64_t p = 0; p < PAGES; p++)
			fill(&g, areas[n & 1] + (p << 12), GOOD);
		for (int port = 0; port < 2; port++) {
			put(&g, at[port] + 16, fs[n & 1]);
			put(&g, at[port] + 8, 6 | PT1_PWSNP);
			put(&g, at[port], PT_FS);
		}
		for (uint64_t p = 0; p < PAGES; p++)
			assert_int_equal(see(&g, 3, p << 12).pa,
					 areas[n & 1] + (p << 12));
		if (!n)
			devices_have_read(d);
		for (int port = 0; port < 2; port++)
			put(&g, at[port], PT_FS & ~1ULL);
		desc_put(&g, PC_PASID | tags, 0);
		desc(&g, P_PASID | tags, 0);
		assert_int_not_equal(see(&g, 3, 0).result, MODEL_OK);
		for (uint64_t p = 0; p < PAGES; p++)
			fill(&g, areas[n & 1] + (p << 12), POISON);
		for (int port = 0; port < 2; port++)
			for (uint64_t word = 0; word < 3; word++)
				put(&g, at[port] + 8 * word, 0);
		drain(&g);
	}
	devices_stop_well(d, &stop);
	rig_down(&g);
}

static void entries_come_and_go_as_a_whole_fast(void **state)
{
	(void)state;
	entries_come_and_go_as_a_whole(IOTLB_FAST);
}

static void entries_come_and_go_as_a_whole_hostile(void **state)
{
	(void)state;
	entries_come_and_go_as_a_whole(IOTLB_HOSTILE);
}

#define ARRIVALS 4096ULL /* of pages; of PASIDs 1 in 64 */

/* What arrives next; atomic */
static uint64_t arriving;

static uint32_t pasid_of(uint64_t n)
{
	return (uint32_t)(8 + n / 64);
}

static void *device_reads_what_arrives(void *arg)
{
	struct device *d = arg;

	while (!stopped(d->stop)) {
		uint64_t n = __atomic_load_n(&arriving, __ATOMIC_RELAXED);

		device_read(d, pasid_of(n), n << 12);
	}
	return NULL;
}

/*
 * What was not present needs no invalidation when it is (6.5.3.5, without
 * caching mode): a device that came too early is refused, and nothing is stale.
 */
static void what_arrives_is_not_stale(void **state)
{
	struct device d[2];
	bool stop = false;
	uint64_t fs = 0;
	struct rig g;

	(void)state;
	arriving = 0;
	rig_up(&g, IOTLB_HOSTILE);
	for (uint64_t p = 0; p < PAGES; p++)
		fill(&g, DATA + (p << 12), GOOD);
	for (int port = 0; port < 2; port++) {
		pasid_set(&g, port, pasid_of(0), 0, 0, 0);
		pasid_set(&g, port, pasid_of(ARRIVALS - 1), 0, 0, 0);
	}
	devices_start(&g, d, &stop, device_reads_what_arrives);
	for (uint64_t n = 0; n < ARRIVALS; n++) {
		__atomic_store_n(&arriving, n, __ATOMIC_RELAXED);
		for (int spin = 0; spin < 2000; spin++)
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
		if (n % 64 == 0) {
			fs = page(&g);
			for (int port = 0; port < 2; port++)
				pasid_set(&g, port, pasid_of(n), PT_FS, 6, fs);
		}
		fs_map(&g, fs, n << 12, 1, 0,
		       (DATA + (n % PAGES << 12)) | FS_PAGE);
		assert_int_equal(see(&g, pasid_of(n), n << 12).result,
				 MODEL_OK);
		if (n % 64 == 0)
			drain(&g);
	}
	devices_have_read(d);
	devices_stop_well(d, &stop);
	assert_int_equal(g.stales, 0);
	rig_down(&g);
}

/* ---- allocations ---- */

static int scenario(enum iotlb_policy policy, struct alloc_plan *plan)
{
	struct model_translation t;
	uint64_t ss, fs;
	struct rig g;
	int rc;

	alloc_arm(plan);
	rc = rig_try(&g, policy, NULL);
	if (rc) {
		alloc_arm(NULL);
		rig_down(&g);
		return rc;
	}
	rig_context(&g, 0, 0x1d);
	rig_context(&g, 1, 0x1d);
	rig_on(&g, ROOT | 0x400, IQ | 0x800);
	ss = ss_ram(&g);
	fs = page(&g);
	fs_map(&g, fs, 0x1000, 1, DELTA, (RAM + DELTA) | FS_PAGE);
	pasid_set(&g, 0, 3, PT_NESTED | ss, 6, fs + DELTA);
	for (unsigned int n = 0; n < 4; n++) {
		const struct model_access a = { .iova = 0x1000, .pasid = 3 };

		assert_int_equal(see(&g, 3, 0x1000).pa, RAM);
		assert_int_equal(
			g.model->ops->ats_request(g.port[0], &a, 1, &t), 0);
		desc(&g, CC_ALL, 0);
		assert_int_equal(see(&g, 3, 0x1000).pa, RAM);
		desc(&g, PC_ALL, 0);
		desc(&g, IOTLB_ALL, 0);
	}
	alloc_arm(NULL);
	rig_down(&g);
	return 0;
}

static void every_allocation_may_fail(void **state)
{
	(void)state;
	rig_allocations(scenario, 10, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(removed_pages_are_not_read_fast),
		cmocka_unit_test(removed_pages_are_not_read_hostile),
		cmocka_unit_test(entries_come_and_go_as_a_whole_fast),
		cmocka_unit_test(entries_come_and_go_as_a_whole_hostile),
		cmocka_unit_test(what_arrives_is_not_stale),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
