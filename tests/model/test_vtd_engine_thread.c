// SPDX-License-Identifier: MIT
/*
 * VT-d: DMA of two devices against descriptors: after a wait has completed, no
 * DMA uses what the descriptors before it removed. Meant to run under TSan as
 * well. And: any allocation may fail.
 */
#include <pthread.h>
#include <time.h>

#include "vtd_rig.h"

#define DATA   (RAM + 0x1000000)
#define PAGES  8ULL
#define GOOD   0x600d600d600d600dULL
#define POISON 0xbad0bad0bad0bad0ULL

struct device {
	pthread_t thread;
	struct rig *g;
	int port;
	bool asks; /* for pages */
	bool *stop;
	uint64_t reads;
	uint64_t faults;
	uint64_t poisoned;
};

static bool stopped(const bool *stop)
{
	return __atomic_load_n(stop, __ATOMIC_ACQUIRE);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void ask_page(struct device *d, uint64_t iova)
{
	const struct model_page_request r = {
		.iova = iova,
		.pasid = 3,
		.flags = MODEL_PAGE_READ,
	};

	d->g->model->ops->page_request(d->g->port[d->port], &r);
}

static void *device_reads(void *arg)
{
	struct device *d = arg;
	uint64_t value;

	for (uint64_t n = 0; !stopped(d->stop); n++) {
		uint64_t iova = ((n * 5 + (uint64_t)d->port) % PAGES) << 12;

		value = 0;
		if (!dma(d->g, d->port, 3, iova, 0, &value, 8))
			d->reads++;
		else if (d->asks && n % 64 == 0)
			ask_page(d, iova);
		d->poisoned += value == POISON;
	}
	return NULL;
}

/* Invisible to TSan, as the device's own accesses are */
static void fill(struct rig *g, uint64_t pa, uint64_t value)
{
	guard_write(at(g, pa), &value, sizeof(value));
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
	for (int n = 0; n < 2; n++) {
		d[n] = (struct device){
			.g = &g, .port = n, .asks = n, .stop = &stop
		};
		pthread_create(&d[n].thread, NULL, device_reads, &d[n]);
	}
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
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (int n = 0; n < 2; n++) {
		pthread_join(d[n].thread, NULL);
		assert_int_equal(d[n].poisoned, 0);
		assert_true(d[n].reads > 0);
	}
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
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		struct alloc_plan plan = { 0 };
		uint64_t points;
		unsigned int refused = 0;

		assert_int_equal(scenario(policy, &plan), 0);
		points = plan.passed;
		for (uint64_t n = 1; n <= points; n++) {
			int rc;

			plan = (struct alloc_plan){ .fail_at = n };
			rc = scenario(policy, &plan);
			assert_true(!rc || rc == -ENOMEM);
			refused += rc != 0;
		}
		print_message("%u injection points, %u refused creation\n",
			      (unsigned int)points, refused);
		assert_true(points > 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(removed_pages_are_not_read_fast),
		cmocka_unit_test(removed_pages_are_not_read_hostile),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
