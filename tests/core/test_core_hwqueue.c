// SPDX-License-Identifier: MIT
/* Hardware queues in guest memory, and device memory that the client maps. */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"

#define IOVA 0x100000ULL
#define PAGE 4096ULL

static int queue(struct world *w, uint32_t index, uint64_t iova,
		 uint64_t length, uint32_t *id)
{
	struct iommu_hw_queue_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = w->viommu,
		.type = FAKE_QUEUE_TYPE,
		.index = index,
		.nesting_parent_iova = iova,
		.length = length,
	};
	int rc = ioctl_on(w, IOMMU_HW_QUEUE_ALLOC, &arg);

	if (id)
		*id = arg.out_hw_queue_id;
	return rc;
}

static void a_queue_keeps_its_pages_where_they_are(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(4);
	struct core_domain *domain;
	struct core_hold hold;
	uint32_t count;
	uint32_t id;
	size_t objects = core_objects(w->ctx);

	assert_rc(queue(w, 0, IOVA, 64, NULL), -ENOENT);
	assert_rc(try_map(w, w->ioas, mem, 4 * PAGE, IOVA), 0);
	assert_rc(queue(w, 0, IOVA + 4 * PAGE - 32, 64, NULL), -ENOENT);
	assert_int_equal(core_objects(w->ctx), objects);
	assert_rc(queue(w, 0, IOVA + PAGE + 64, PAGE, &id), 0);
	assert_rc(core_find_domain(w->ctx, w->parent, CORE_PAGING, &domain,
				   &hold),
		  0);
	core_unhold(&hold);
	assert_int_equal(w->unit.last_queue->pa,
			 fake_pa(domain, IOVA + PAGE + 64));
	assert_int_equal(w->unit.last_queue->length, PAGE);
	assert_int_equal(w->unit.last_queue->base_addr, IOVA + PAGE + 64);
	assert_rc(try_unmap(w, w->ioas, IOVA, 4 * PAGE, NULL), -EBUSY);
	assert_rc(try_destroy(w, w->viommu), -EBUSY);
	assert_rc(core_count_pins(w->ctx, (uintptr_t)mem, PAGE, &count), 0);
	assert_int_equal(count, 1);
	assert_rc(try_destroy(w, id), 0);
	assert_int_equal(w->unit.queues, 0);
	assert_rc(try_unmap(w, w->ioas, IOVA, 4 * PAGE, NULL), 0);
	assert_rc(try_destroy(w, w->viommu), 0);
	free(mem);
}

static void queues_answer_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(3);
	struct iommu_hw_queue_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = w->viommu,
		.type = FAKE_QUEUE_TYPE + 1,
		.nesting_parent_iova = IOVA,
		.length = 64,
	};
	size_t objects;

	assert_rc(ioctl_on(w, IOMMU_HW_QUEUE_ALLOC, &arg), -EOPNOTSUPP);
	arg.type = FAKE_QUEUE_TYPE;
	for (int bit = 0; bit < 32; bit++) {
		arg.flags = 1U << bit;
		assert_rc(ioctl_on(w, IOMMU_HW_QUEUE_ALLOC, &arg), -EOPNOTSUPP);
	}
	/* one behind the other as IOVAs, the other way round as PAs */
	assert_rc(try_map(w, w->ioas, mem + 2 * PAGE, PAGE, IOVA + PAGE), 0);
	assert_rc(try_map(w, w->ioas, mem, PAGE, IOVA), 0);
	objects = core_objects(w->ctx);
	assert_rc(queue(w, 0, IOVA, 0, NULL), -EINVAL);
	assert_rc(queue(w, 0, UINT64_MAX, 2, NULL), -EOVERFLOW);
	assert_rc(queue(w, 0, PAGE - 1, UINT64_MAX - PAGE, NULL), -ERANGE);
	assert_rc(queue(w, 0, 0, 1ULL << 60, NULL), -ENOMEM);
	assert_rc(queue(w, 0, IOVA, 2 * PAGE, NULL), -EFAULT);
	w->unit.queue_rc = -ENOSPC;
	assert_rc(queue(w, 0, IOVA, PAGE, NULL), -ENOSPC);
	assert_int_equal(core_objects(w->ctx), objects);
	assert_rc(try_unmap(w, w->ioas, 0, UINT64_MAX, NULL), 0);
	free(mem);
}

static void a_queue_may_need_another(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(1);
	uint32_t first, second;

	assert_rc(try_map(w, w->ioas, mem, PAGE, IOVA), 0);
	assert_rc(queue(w, 0, IOVA, 64, &first), 0);
	assert_rc(queue(w, 1, IOVA, 64, &second), 0);
	assert_rc(try_destroy(w, first), -EBUSY);
	assert_rc(try_destroy(w, second), 0);
	assert_rc(try_unmap(w, w->ioas, IOVA, PAGE, NULL), -EBUSY);
	/* the context ends with one of them there */
	free(mem);
}

static void a_queue_without_memory_leaves_nothing(void **state)
{
	struct world *w = world_of(state);
	struct alloc_plan plan = { 0 };
	char *mem = pages_alloc(1);
	size_t objects;
	int rc = -ENOMEM;

	assert_rc(try_map(w, w->ioas, mem, PAGE, IOVA), 0);
	objects = core_objects(w->ctx);
	while (rc) {
		plan.fail_at++;
		plan.passed = 0;
		alloc_arm(&plan);
		rc = queue(w, 0, IOVA, 64, NULL);
		alloc_arm(NULL);
		if (!rc)
			break;
		assert_rc(rc, -ENOMEM);
		assert_int_equal(core_objects(w->ctx), objects);
		assert_int_equal(w->unit.queues, 0);
	}
	assert_true(plan.fail_at > 4);
	free(mem);
}

static void the_driver_may_answer_in_the_user_data(void **state)
{
	struct world *w = world_of(state);
	uint32_t data[2] = { 1, 2 };
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = FAKE_VIOMMU_TYPE,
		.dev_id = w->dev_id[0],
		.hwpt_id = w->parent,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
	};
	uint32_t viommus = w->unit.viommus;

	w->unit.init_answers = true;
	assert_rc(ioctl_on(w, IOMMU_VIOMMU_ALLOC, &arg), 0);
	assert_int_equal(data[0], 0xabcd);
	assert_int_equal(data[1], 2);
	arg.data_uptr = 8;
	assert_rc(ioctl_on(w, IOMMU_VIOMMU_ALLOC, &arg), -EFAULT);
	arg.data_uptr = (uintptr_t)data;
	arg.data_len = 3; /* of an older client, say: no more is written */
	data[0] = 0xffffffff;
	assert_rc(ioctl_on(w, IOMMU_VIOMMU_ALLOC, &arg), 0);
	assert_int_equal(data[0], 0xff00abcd);
	w->unit.init_rc = -EIO;
	assert_rc(ioctl_on(w, IOMMU_VIOMMU_ALLOC, &arg), -EIO);
	assert_int_equal(w->unit.viommus, viommus + 2);
}

static void what_the_client_maps_keeps_the_viommu(void **state)
{
	struct world *w = world_of(state);
	struct core_viommu *viommu = w->unit.last_viommu;
	uint64_t a, b, c, at;
	int fd = -1;

	assert_rc(core_mmap_add(viommu, 7, 0, 100, &a), -EINVAL);
	assert_rc(core_mmap_add(viommu, 7, 0, 0, &a), -EINVAL);
	assert_rc(core_mmap_add(viommu, 7, 0x3000, PAGE, &a), 0);
	assert_rc(core_mmap_add(viommu, 8, 0, 2 * PAGE, &b), 0);
	assert_rc(core_mmap_add(viommu, 9, 0, PAGE, &c), 0);
	assert_true(b >= a + PAGE && c >= b + 2 * PAGE);
	assert_rc(core_mmap_get(w->ctx, b, PAGE, &fd, &at), -ENXIO);
	assert_rc(core_mmap_get(w->ctx, b + PAGE, PAGE, &fd, &at), -ENXIO);
	assert_int_equal(fd, -1);
	assert_rc(core_mmap_get(w->ctx, a, PAGE, &fd, &at), 0);
	assert_int_equal(fd, 7);
	assert_int_equal(at, 0x3000);
	assert_rc(try_destroy(w, w->viommu), -EBUSY);
	core_mmap_put(w->ctx, a);
	core_mmap_put(w->ctx, a); /* too often does no harm */
	core_mmap_remove(viommu, b);
	assert_rc(core_mmap_get(w->ctx, b, 2 * PAGE, &fd, &at), -ENXIO);
	assert_rc(core_mmap_add(viommu, 8, 0, 2 * PAGE, &at), 0);
	assert_int_equal(at, b);
	core_mmap_remove(viommu, a);
	core_mmap_remove(viommu, b);
	/* the context may end with it mapped */
	assert_rc(core_mmap_get(w->ctx, c, PAGE, &fd, &at), 0);
	assert_rc(try_destroy(w, w->viommu), -EBUSY);
	core_mmap_put(w->ctx, c);
	core_mmap_remove(viommu, c);
	assert_rc(try_destroy(w, w->viommu), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_NESTED(a_queue_keeps_its_pages_where_they_are),
		CASE_NESTED(queues_answer_linuxs_errnos),
		CASE_NESTED(a_queue_may_need_another),
		CASE_NESTED(a_queue_without_memory_leaves_nothing),
		CASE_NESTED(the_driver_may_answer_in_the_user_data),
		CASE_NESTED(what_the_client_maps_keeps_the_viommu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
