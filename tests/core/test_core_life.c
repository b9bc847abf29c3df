// SPDX-License-Identifier: MIT
/*
 * Life and death: ids, contexts side by side, closing in any order, memory that
 * cannot be had, threads.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fake.h"
#include "mem/guard.h"
#include "mem/phys.h"

#define NONE CORE_NO_PASID

/* ---- ids ---- */

static void ids_are_the_lowest_free_ones(void **state)
{
	struct world *w = world_of(state);

	for (uint32_t i = 1; i <= 10; i++)
		assert_int_equal(do_ioas(w), i);
	assert_rc(try_destroy(w, 3), 0);
	assert_rc(try_destroy(w, 7), 0);
	assert_int_equal(do_ioas(w), 3);
	assert_int_equal(do_ioas(w), 7);
	assert_int_equal(do_ioas(w), 11);
	assert_rc(try_destroy(w, 0), -ENOENT);
	assert_rc(try_destroy(w, 12), -ENOENT);
	assert_rc(try_destroy(w, UINT32_MAX), -ENOENT);
}

/* A failed call gives its id back. */
static void a_failed_allocation_leaves_no_gap(void **state)
{
	struct world *w = world_of(state);
	struct iommu_hwpt_alloc arg = { .size = sizeof(arg),
					.dev_id = w->dev_id[0],
					.pt_id = w->viommu,
					.data_type = FAKE_DATA_TYPE,
					.data_len = 16,
					.data_uptr = 16 };
	uint32_t next = do_ioas(w);

	assert_rc(try_destroy(w, next), 0);
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), -EFAULT);
	assert_int_equal(do_ioas(w), next);
}

static void ids_of_another_context_mean_nothing(void **state)
{
	struct world *w = world_of(state);
	struct world v;
	uint32_t pt;

	world_begin(&v);
	pt = w->parent;
	assert_rc(try_destroy(&v, w->ioas), -ENOENT);
	assert_rc(try_map(&v, w->ioas, w, 1, 0), -ENOENT);
	assert_rc(core_attach(v.ctx, w->dev_id[0], NONE, &pt), -ENOENT);
	/* ids that exist on both sides name different things */
	assert_int_equal(do_ioas(&v), 1);
	assert_rc(try_map(w, 1, w, 1, 0), -ENOENT); /* a device here */
	assert_rc(try_destroy(&v, 1), 0);
	world_end(&v);
	assert_rc(try_map(w, w->ioas, w, 4096, 1), -EINVAL);
}

static void every_id_is_checked_for_its_kind(void **state)
{
	struct world *w = world_of(state);
	uint32_t nested = do_nested(w, w->dev_id[0], w->viommu);
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	uint32_t vdevice;
	uint32_t veventq;

	assert_rc(try_vdevice(w, w->viommu, w->dev_id[0], 1, &vdevice), 0);
	assert_rc(try_veventq(w, w->viommu, 1, 1, &veventq, NULL), 0);
	assert_rc(ioctl_on(w, IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
	const uint32_t ids[] = { w->dev_id[0], w->ioas,		  w->parent,
				 nested,       w->viommu,	  vdevice,
				 veventq,      fault.out_fault_id };

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct iommu_hw_info info = { .size = sizeof(info),
					      .dev_id = ids[i] };
		struct iommu_hwpt_alloc hwpt = {
			.size = sizeof(hwpt),
			.dev_id = w->dev_id[0],
			.pt_id = w->ioas,
			.flags = IOMMU_HWPT_FAULT_ID_VALID,
			.fault_id = ids[i],
		};
		uint32_t none = 0;
		uint32_t pt = ids[i];

		assert_rc(try_unmap(w, ids[i], 0, UINT64_MAX, NULL),
			  ids[i] == w->ioas ? 0 : -ENOENT);
		assert_rc(ioctl_on(w, IOMMU_GET_HW_INFO, &info),
			  ids[i] == w->dev_id[0] ? 0 : -ENOENT);
		assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &hwpt),
			  ids[i] == fault.out_fault_id ? 0 : -ENOENT);
		assert_rc(try_invalidate(w, ids[i], NULL, 0, &none),
			  ids[i] == w->viommu ? 0
			  : ids[i] == nested  ? -EOPNOTSUPP
					      : -EINVAL);
		assert_rc(try_veventq(w, ids[i], 9, 1, NULL, NULL),
			  ids[i] == w->viommu ? 0 : -ENOENT);
		if (ids[i] != w->ioas && ids[i] != w->parent &&
		    ids[i] != nested)
			assert_rc(core_attach(w->ctx, w->dev_id[1], NONE, &pt),
				  -EINVAL);
	}
}

static void a_hundred_thousand_objects_live_and_die(void **state)
{
	struct world *w = world_of(state);
	size_t before = core_objects(w->ctx);
	uint32_t id = 0;

	for (int i = 0; i < 50000; i++)
		id = do_ioas(w);
	for (int i = 0; i < 50000; i++)
		do_nested(w, w->dev_id[0], w->viommu);
	assert_int_equal(core_objects(w->ctx), before + 100000);
	for (; id > 25000; id--)
		assert_rc(try_destroy(w, id), 0);
	/* the rest goes when the context is closed */
}

static void ten_thousand_page_tables_share_one_ioas(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(1);
	uint32_t id = 0;

	for (int i = 0; i < 10000; i++)
		id = do_hwpt(w, w->dev_id[0], w->ioas, 0);
	assert_rc(try_map(w, w->ioas, mem, 4096, 0), 0);
	assert_int_equal(phys_count(w->phys), 1);
	assert_rc(try_unmap(w, w->ioas, 0, 4096, NULL), 0);
	assert_rc(try_destroy(w, id), 0);
	free(mem);
}

/* ---- contexts ---- */

static void two_contexts_of_one_machine_do_not_meet(void **state)
{
	struct world *w = world_of(state);
	struct world v = *w; /* another context on the same hardware */
	char *mine = pages_alloc(1);
	char *theirs = pages_alloc(1);
	uint32_t pt;
	char byte;

	assert_rc(core_open(&w->env, &v.ctx), 0);
	v.dev_id[2] = do_bind(&v, &w->dev[2]);
	v.ioas = do_ioas(&v);
	v.parent = do_hwpt(&v, v.dev_id[2], v.ioas, 0);
	pt = v.parent;
	assert_rc(core_attach(v.ctx, v.dev_id[2], NONE, &pt), 0);
	pt = w->parent;
	assert_rc(core_attach(w->ctx, w->dev_id[0], NONE, &pt), 0);
	*mine = 'm';
	*theirs = 't';
	assert_rc(try_map(w, w->ioas, mine, 4096, 0x5000), 0);
	assert_rc(try_map(&v, v.ioas, theirs, 4096, 0x5000), 0);
	assert_rc(fake_read(w, &w->dev[0], 0x5000, &byte, 1), 0);
	assert_int_equal(byte, 'm');
	assert_rc(fake_read(w, &w->dev[2], 0x5000, &byte, 1), 0);
	assert_int_equal(byte, 't');
	core_close(v.ctx);
	assert_rc(fake_read(w, &w->dev[2], 0x5000, &byte, 1), -EFAULT);
	assert_rc(fake_read(w, &w->dev[0], 0x5000, &byte, 1), 0);
	assert_rc(try_unmap(w, w->ioas, 0, UINT64_MAX, NULL), 0);
	free(mine);
	free(theirs);
}

static void two_machines_live_side_by_side(void **state)
{
	struct world *w = world_of(state);
	struct world v;
	char *mem = pages_alloc(1);
	uint32_t pt = w->parent;
	char byte;

	world_begin_nested(&v);
	assert_rc(core_attach(w->ctx, w->dev_id[0], NONE, &pt), 0);
	pt = v.parent;
	assert_rc(core_attach(v.ctx, v.dev_id[0], NONE, &pt), 0);
	*mem = '1';
	assert_rc(try_map(w, w->ioas, mem, 4096, 0x1000), 0);
	assert_rc(fake_read(&v, &v.dev[0], 0x1000, &byte, 1), -EFAULT);
	assert_int_equal(phys_count(v.phys), 0);
	world_end(&v);
	assert_rc(fake_read(w, &w->dev[0], 0x1000, &byte, 1), 0);
	assert_rc(try_unmap(w, w->ioas, 0, UINT64_MAX, NULL), 0);
	free(mem);
}

/*
 * Everything that can be allocated, in an order chosen by @seed, so that ids
 * say nothing about who needs whom; then closed with all of it in use.
 */
static void populate(struct world *w, unsigned int seed, char *mem)
{
	uint32_t holes[8];
	uint32_t id;
	uint32_t pt;

	/* low ids that are taken later, by what depends on higher ones */
	for (int i = 0; i < 8; i++)
		holes[i] = do_ioas(w);
	w->dev_id[0] = do_bind(w, &w->dev[0]);
	w->dev_id[1] = do_bind(w, &w->dev[1]);
	w->ioas = do_ioas(w);
	assert_rc(try_map(w, w->ioas, mem, 4096, 0x1000), 0);
	for (int i = 0; i < 8; i++) {
		if (rand_r(&seed) & 1)
			assert_rc(try_destroy(w, holes[i]), 0);
	}
	w->parent =
		do_hwpt(w, w->dev_id[0], w->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	w->viommu = do_viommu(w, w->dev_id[0], w->parent);
	assert_rc(try_vdevice(w, w->viommu, w->dev_id[0], 1, NULL), 0);
	pt = do_nested(w, w->dev_id[0], w->viommu);
	assert_rc(core_attach(w->ctx, w->dev_id[0], NONE, &pt), 0);
	id = do_hwpt(w, w->dev_id[1], w->ioas, IOMMU_HWPT_ALLOC_PASID);
	assert_rc(core_attach(w->ctx, w->dev_id[1], NONE, &id), 0);
	assert_rc(core_attach(w->ctx, w->dev_id[1], 5, &id), 0);
	assert_rc(try_vdevice(w, w->viommu, w->dev_id[1], 2, NULL), 0);
	if (rand_r(&seed) & 1)
		assert_rc(try_veventq(w, w->viommu, 1, 1, NULL, NULL), 0);
	if (rand_r(&seed) & 1)
		do_nested(w, w->dev_id[1], w->parent);
}

static void a_context_can_be_closed_whatever_is_in_use(void **state)
{
	char *mem = pages_alloc(1);

	(void)state;
	for (unsigned int seed = 0; seed < 64; seed++) {
		struct world w;

		world_begin(&w);
		populate(&w, seed, mem);
		world_end(&w);
	}
	core_close(NULL);
	free(mem);
}

/* ---- the n-th allocation fails ---- */

/* One whole scenario; stops at the first failure, and says so */
static int scenario(struct world *w, void *mem, int fd)
{
	struct iommu_iova_range allowed = { 0, 0xffffff };
	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow),
		.num_iovas = 1,
		.allowed_iovas = (uintptr_t)&allowed,
	};
	uint64_t table[2] = { 1, 2 };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt) };
	struct iommu_viommu_alloc viommu = { .size = sizeof(viommu),
					     .type = FAKE_VIOMMU_TYPE };
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_ioas_copy copy = { .size = sizeof(copy),
					.flags = IOMMU_IOAS_MAP_READABLE,
					.length = 8192,
					.src_iova = 0x1000 };
	struct iommu_ioas_map_file file = { .size = sizeof(file),
					    .flags = RW_FIXED,
					    .fd = fd,
					    .length = 4096,
					    .iova = 0x9000 };
	uint64_t iova;
	uint32_t pt;
	uint32_t id;
	int rc;

#define STEP(call)                 \
	do {                       \
		rc = (call);       \
		if (rc)            \
			return rc; \
	} while (0)
	STEP(core_open(&w->env, &w->ctx));
	STEP(core_bind(w->ctx, &w->dev[0], &w->dev_id[0]));
	STEP(ioctl_on(w, IOMMU_IOAS_ALLOC, &ioas));
	w->ioas = ioas.out_ioas_id;
	allow.ioas_id = w->ioas;
	STEP(ioctl_on(w, IOMMU_IOAS_ALLOW_IOVAS, &allow));
	STEP(try_map(w, w->ioas, mem, 4096, 0x1000));
	STEP(try_map(w, w->ioas, mem, 4096, 0x2000));
	hwpt.dev_id = w->dev_id[0];
	hwpt.pt_id = w->ioas;
	hwpt.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	STEP(ioctl_on(w, IOMMU_HWPT_ALLOC, &hwpt));
	copy.src_ioas_id = w->ioas;
	copy.dst_ioas_id = w->ioas;
	STEP(ioctl_on(w, IOMMU_IOAS_COPY, &copy));
	file.ioas_id = w->ioas;
	STEP(ioctl_on(w, IOMMU_IOAS_MAP_FILE, &file));
	viommu.dev_id = w->dev_id[0];
	viommu.hwpt_id = hwpt.out_hwpt_id;
	STEP(ioctl_on(w, IOMMU_VIOMMU_ALLOC, &viommu));
	STEP(try_vdevice(w, viommu.out_viommu_id, w->dev_id[0], 1, &id));
	STEP(try_veventq(w, viommu.out_viommu_id, 1, 4, NULL, NULL));
	STEP(ioctl_on(w, IOMMU_FAULT_QUEUE_ALLOC, &fault));
	hwpt.pt_id = viommu.out_viommu_id;
	hwpt.flags = IOMMU_HWPT_FAULT_ID_VALID;
	hwpt.fault_id = fault.out_fault_id;
	hwpt.data_type = FAKE_DATA_TYPE;
	hwpt.data_len = sizeof(table);
	hwpt.data_uptr = (uintptr_t)table;
	STEP(ioctl_on(w, IOMMU_HWPT_ALLOC, &hwpt));
	pt = hwpt.out_hwpt_id;
	STEP(core_attach(w->ctx, w->dev_id[0], NONE, &pt));
	STEP(core_msi_map(w->ctx, w->dev_id[0], 0x77000040, &iova));
	pt = w->ioas; /* makes a HWPT */
	STEP(core_replace(w->ctx, w->dev_id[0], NONE, &pt));
	STEP(ioctl_on(w, IOMMU_IOAS_ALLOC, &ioas));
	pt = ioas.out_ioas_id;
	STEP(core_replace(w->ctx, w->dev_id[0], NONE, &pt));
	STEP(core_detach(w->ctx, w->dev_id[0], NONE));
	STEP(try_unmap(w, w->ioas, 0, UINT64_MAX, NULL));
	STEP(core_unbind(w->ctx, w->dev_id[0]));
#undef STEP
	return 0;
}

/* A world without a context, whose scenario fails at allocation @n */
static int run_failing(uint64_t n, void *mem, int fd, uint64_t *passed)
{
	struct alloc_plan plan = { .fail_at = n };
	struct world w;
	int rc;

	world_begin(&w);
	core_close(w.ctx);
	w.ctx = NULL;
	w.unit.resv[0] = (struct core_resv){ 0x8000000, 0x80fffff, true };
	w.unit.resv_count = 1;
	alloc_arm(&plan);
	rc = scenario(&w, mem, fd);
	alloc_arm(NULL);
	*passed = plan.passed;
	world_end(&w);
	return rc;
}

static void every_allocation_of_a_scenario_may_fail(void **state)
{
	int fd = memfd_create("t", 0);
	char *mem = pages_alloc(1);
	uint64_t passed;
	uint64_t points;

	(void)state;
	assert_rc(guard_init(), 0);
	assert_rc(ftruncate(fd, 4096), 0);
	assert_rc(run_failing(0, mem, fd, &points), 0);
	for (uint64_t n = 1; n <= points; n++) {
		int rc = run_failing(n, mem, fd, &passed);

		if (rc != -ENOMEM)
			fail_msg("allocation %llu of %llu: %d",
				 (unsigned long long)n,
				 (unsigned long long)points, rc);
	}
	printf("%llu injection points\n", (unsigned long long)points);
	assert_true(points > 40);
	close(fd);
	free(mem);
}

/* An event that finds no memory counts as lost. */
static void events_without_memory_are_lost_not_forgotten(void **state)
{
	struct world *w = world_of(state);
	struct alloc_plan plan = { .fail_at = 1 };
	uint64_t record[4] = { 0 };
	struct iommufd_vevent_header header[10];
	int fd;

	assert_rc(try_veventq(w, w->viommu, 1, 4, NULL, &fd), 0);
	alloc_arm(&plan);
	core_viommu_event(w->unit.last_viommu, 1, record, sizeof(record));
	alloc_arm(NULL);
	assert_rc(core_fd_read(w->ctx, fd, header, sizeof(header)), 8);
	assert_int_equal(header[0].flags, 1);
	assert_int_equal(header[0].sequence, 0);
}

/* ---- threads ---- */

struct storm {
	struct world *w;
	atomic_bool stop;
	atomic_uint wrong;
	char *mem;
};

/* An answer that no order of the threads explains */
static void unexpected(struct storm *s, const char *what, int rc)
{
	s->wrong++;
	fprintf(stderr, "%s: %d\n", what, rc);
}

static void *storm_objects(void *arg)
{
	struct storm *s = arg;

	for (int i = 0; i < 3000; i++) {
		struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
		int rc;

		rc = ioctl_on(s->w, IOMMU_IOAS_ALLOC, &ioas);
		if (rc) {
			unexpected(s, "IOAS_ALLOC", rc);
			continue;
		}
		rc = try_map(s->w, ioas.out_ioas_id, s->mem, 4096, 0);
		/* the other thread may have destroyed it, and own its id */
		if (rc && rc != -ENOENT && rc != -EEXIST)
			unexpected(s, "MAP", rc);
		/* now and then the other thread's; never what is shared */
		ioas.out_ioas_id -= i & 1;
		if (ioas.out_ioas_id <= s->w->viommu)
			continue;
		rc = try_destroy(s->w, ioas.out_ioas_id);
		if (rc && rc != -EBUSY && rc != -ENOENT)
			unexpected(s, "DESTROY", rc);
	}
	return NULL;
}

static void *storm_invalidate(void *arg)
{
	struct storm *s = arg;
	unsigned char entries[4][16] = { { 0 } };

	while (!s->stop) {
		uint32_t n = 4;
		int rc = try_invalidate(s->w, s->w->viommu, entries, 16, &n);

		if (rc || n != 4)
			unexpected(s, "HWPT_INVALIDATE", rc);
	}
	return NULL;
}

static void *storm_attach(void *arg)
{
	struct storm *s = arg;

	for (int i = 0; i < 2000; i++) {
		uint32_t pt = s->w->ioas;
		int rc = core_set_pt(s->w->ctx, s->w->dev_id[1], NONE, &pt);

		if (rc && rc != -EBUSY && rc != -EINVAL)
			unexpected(s, "set_pt", rc);
		rc = core_detach(s->w->ctx, s->w->dev_id[1], NONE);
		if (rc)
			unexpected(s, "detach", rc);
	}
	return NULL;
}

static void *storm_map(void *arg)
{
	struct storm *s = arg;

	for (uint64_t i = 0; i < 3000; i++) {
		uint64_t iova = (i % 64) * 4096;
		int rc = try_map(s->w, s->w->ioas, s->mem, 4096, iova);

		if (rc && rc != -EEXIST)
			unexpected(s, "MAP", rc);
		rc = try_unmap(s->w, s->w->ioas, iova, 4096, NULL);
		if (rc && rc != -ENOENT)
			unexpected(s, "UNMAP", rc);
	}
	return NULL;
}

static void threads_may_do_anything_at_once(void **state)
{
	struct world *w = world_of(state);
	struct storm s = { .w = w, .mem = pages_alloc(1) };
	void *(*const work[])(void *) = { storm_objects, storm_objects,
					  storm_attach,	 storm_attach,
					  storm_map,	 storm_map };
	pthread_t thread[6];
	pthread_t inval;

	pthread_create(&inval, NULL, storm_invalidate, &s);
	for (int i = 0; i < 6; i++)
		pthread_create(&thread[i], NULL, work[i], &s);
	for (int i = 0; i < 6; i++)
		pthread_join(thread[i], NULL);
	s.stop = true;
	pthread_join(inval, NULL);
	assert_int_equal(s.wrong, 0);
	assert_rc(try_unmap(w, w->ioas, 0, UINT64_MAX, NULL), 0);
	free(s.mem);
}

static void *storm_bind(void *arg)
{
	struct storm *s = arg;

	for (int i = 0; i < 1500; i++) {
		uint32_t id;

		if (core_bind(s->w->ctx, &s->w->dev[2], &id))
			continue; /* the other thread has it */
		try_vdevice(s->w, s->w->viommu, id, 2, NULL);
		if (core_unbind(s->w->ctx, id))
			s->wrong++;
	}
	return NULL;
}

static void *storm_ids(void *arg)
{
	struct storm *s = arg;
	uint32_t id = 0;

	while (!s->stop) {
		struct iommu_hw_info info = { .size = sizeof(info) };

		info.dev_id = id;
		ioctl_on(s->w, IOMMU_GET_HW_INFO, &info);
		/* vDEVICEs among others, in the middle of core_unbind() */
		if (id > s->w->viommu)
			try_destroy(s->w, id);
		id = (id + 1) % 16;
	}
	return NULL;
}

static void unbinding_waits_for_whoever_uses_the_device(void **state)
{
	struct world *w = world_of(state);
	struct storm s = { .w = w };
	pthread_t binder[2];
	pthread_t other[2];

	for (int i = 0; i < 2; i++) {
		pthread_create(&binder[i], NULL, storm_bind, &s);
		pthread_create(&other[i], NULL, storm_ids, &s);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(binder[i], NULL);
	s.stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(other[i], NULL);
	assert_int_equal(s.wrong, 0);
	assert_int_equal(w->unit.vdevices, 0);
	assert_null(w->dev[2].core);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ids_are_the_lowest_free_ones),
		CASE_NESTED(a_failed_allocation_leaves_no_gap),
		CASE_NESTED(ids_of_another_context_mean_nothing),
		CASE_NESTED(every_id_is_checked_for_its_kind),
		CASE_NESTED(a_hundred_thousand_objects_live_and_die),
		CASE_NESTED(ten_thousand_page_tables_share_one_ioas),
		CASE_NESTED(two_contexts_of_one_machine_do_not_meet),
		CASE_NESTED(two_machines_live_side_by_side),
		cmocka_unit_test(a_context_can_be_closed_whatever_is_in_use),
		cmocka_unit_test(every_allocation_of_a_scenario_may_fail),
		CASE_NESTED(events_without_memory_are_lost_not_forgotten),
		CASE_NESTED(threads_may_do_anything_at_once),
		CASE_NESTED(unbinding_waits_for_whoever_uses_the_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
