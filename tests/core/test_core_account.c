// SPDX-License-Identifier: MIT
/* Pinned pages count against RLIMIT_MEMLOCK: of a user, or of a process. */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define IOVA 0x10000ULL
#define PAGE 4096ULL

/* RLIMIT_MEMLOCK of a process that a test makes up */
struct limited {
	struct core_process process;
	uint64_t limit;
	bool can[2];
};

static uint64_t limit_of(const struct core_process *process)
{
	return ((const struct limited *)process)->limit;
}

static bool can(const struct core_process *process,
		enum core_capability capability)
{
	return ((const struct limited *)process)->can[capability];
}

static struct core_process *process_of(void *ctx)
{
	return *(struct core_process **)ctx;
}

static void limited_begin(struct limited *limited, struct core_account *user)
{
	*limited = (struct limited){ .limit = 3 };
	limited->process.user = user;
	limited->process.limit = limit_of;
	limited->process.can = can;
}

static void reopen(struct world *w, struct core_process **current, int mode)
{
	struct iommu_option arg = {
		.size = sizeof(arg),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_SET,
		.val64 = mode,
	};

	core_close(w->ctx);
	w->env.process = process_of;
	w->env.process_ctx = current;
	assert_rc(core_open(&w->env, &w->ctx), 0);
	if (mode)
		assert_rc(ioctl_on(w, IOMMU_OPTION, &arg), 0);
	w->ioas = do_ioas(w);
	w->dev_id[0] = do_bind(w, &w->dev[0]);
	w->parent = w->ioas;
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &w->parent),
		  0);
}

static void pinned_pages_count_against_the_users_limit(void **state)
{
	struct world *w = world_of(state);
	struct core_account user = { 0 };
	struct limited a, b;
	struct core_process *current = &a.process;
	char *mem = pages_alloc(4);

	limited_begin(&a, &user);
	limited_begin(&b, &user);
	reopen(w, &current, 0);
	assert_rc(try_map(w, w->ioas, mem, 4 * PAGE, IOVA), -ENOMEM);
	assert_int_equal(user.pages, 0);
	assert_rc(try_map(w, w->ioas, mem + 100, 2 * PAGE, IOVA), -EINVAL);
	assert_rc(try_map(w, w->ioas, mem, 2 * PAGE, IOVA), 0);
	assert_int_equal(user.pages, 2);
	assert_int_equal(a.process.pinned, 2);
	assert_int_equal(a.process.locked, 0);
	/* another process of the same user */
	current = &b.process;
	assert_rc(try_map(w, w->ioas, mem, 2 * PAGE, 2 * IOVA), -ENOMEM);
	assert_rc(try_map(w, w->ioas, mem, PAGE, 2 * IOVA), 0);
	assert_int_equal(user.pages, 3);
	assert_int_equal(b.process.pinned, 1);
	/* who has CAP_IPC_LOCK is not counted */
	b.can[CORE_CAN_LOCK] = true;
	assert_rc(try_map(w, w->ioas, mem, 4 * PAGE, 3 * IOVA), 0);
	assert_int_equal(user.pages, 3);
	assert_int_equal(b.process.pinned, 5);
	assert_rc(try_unmap(w, w->ioas, 0, UINT64_MAX, NULL), 0);
	assert_int_equal(user.pages, 0);
	assert_int_equal(a.process.pinned + b.process.pinned, 0);
	core_close(w->ctx);
	w->ctx = NULL;
	free(mem);
}

static void by_process_each_has_its_own_limit(void **state)
{
	struct world *w = world_of(state);
	struct core_account user = { 0 };
	struct limited a, b;
	struct core_process *current = &a.process;
	char *mem = pages_alloc(4);

	limited_begin(&a, &user);
	limited_begin(&b, &user);
	a.can[CORE_CAN_LIMIT] = true;
	reopen(w, &current, 1);
	assert_rc(try_map(w, w->ioas, mem, 3 * PAGE, IOVA), 0);
	assert_rc(try_map(w, w->ioas, mem, PAGE, 2 * IOVA), -ENOMEM);
	assert_int_equal(a.process.locked, 3);
	assert_int_equal(user.pages, 0);
	current = &b.process;
	assert_rc(try_map(w, w->ioas, mem, PAGE, 2 * IOVA), 0);
	assert_int_equal(b.process.locked, 1);
	core_close(w->ctx);
	w->ctx = NULL;
	assert_int_equal(a.process.locked + b.process.locked, 0);
	free(mem);
}

static void without_a_limit_pages_are_counted_only(void **state)
{
	struct world *w = world_of(state);
	struct core_account user = { 0 };
	struct limited a;
	struct core_process *current = &a.process;
	char *mem = pages_alloc(8);

	for (int by_process = 0; by_process < 2; by_process++) {
		limited_begin(&a, &user);
		a.can[CORE_CAN_LIMIT] = true;
		a.process.limit = NULL;
		reopen(w, &current, by_process);
		assert_rc(try_map(w, w->ioas, mem, 8 * PAGE, IOVA), 0);
		assert_int_equal(a.process.pinned, 8);
		assert_int_equal(a.process.locked, by_process ? 8 : 0);
		assert_int_equal(user.pages, 0);
		assert_rc(try_unmap(w, w->ioas, 0, UINT64_MAX, NULL), 0);
		assert_int_equal(a.process.pinned + a.process.locked, 0);
	}
	core_close(w->ctx);
	w->ctx = NULL;
	free(mem);
}

static void the_mode_is_set_with_a_capability_only(void **state)
{
	struct world *w = world_of(state);
	struct core_account user = { 0 };
	struct limited a;
	struct core_process *current = &a.process;
	struct iommu_option arg = {
		.size = sizeof(arg),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_SET,
		.val64 = 1,
	};

	limited_begin(&a, &user);
	reopen(w, &current, 0);
	/* before it is seen that there are objects */
	assert_rc(ioctl_on(w, IOMMU_OPTION, &arg), -EPERM);
	a.can[CORE_CAN_LOCK] = true;
	assert_rc(ioctl_on(w, IOMMU_OPTION, &arg), -EPERM);
	a.can[CORE_CAN_LIMIT] = true;
	assert_rc(ioctl_on(w, IOMMU_OPTION, &arg), -EBUSY);
	arg.op = IOMMU_OPTION_OP_GET;
	a.can[CORE_CAN_LIMIT] = false;
	assert_rc(ioctl_on(w, IOMMU_OPTION, &arg), 0);
	assert_int_equal(arg.val64, 0);
	core_close(w->ctx);
	w->ctx = NULL;
}

/* A domain that comes later pins, for whoever mapped */
static void what_is_pinned_later_counts_for_who_mapped_it(void **state)
{
	struct world *w = world_of(state);
	struct core_account user = { 0 };
	struct limited a, b;
	struct core_process *current = &a.process;
	char *mem = pages_alloc(4);
	uint32_t other, pt;

	limited_begin(&a, &user);
	limited_begin(&b, &user);
	reopen(w, &current, 0);
	other = do_ioas(w);
	assert_rc(try_map(w, other, mem, 2 * PAGE, IOVA), 0);
	assert_rc(try_map(w, other, mem, 2 * PAGE, 2 * IOVA), 0);
	assert_int_equal(user.pages, 0);
	current = &b.process;
	pt = other;
	w->dev_id[1] = do_bind(w, &w->dev[1]);
	assert_rc(core_attach(w->ctx, w->dev_id[1], CORE_NO_PASID, &pt),
		  -ENOMEM);
	assert_int_equal(user.pages, 0);
	assert_rc(try_unmap(w, other, 2 * IOVA, 2 * PAGE, NULL), 0);
	pt = other;
	assert_rc(core_attach(w->ctx, w->dev_id[1], CORE_NO_PASID, &pt), 0);
	assert_int_equal(a.process.pinned, 2);
	assert_int_equal(b.process.pinned, 0);
	core_close(w->ctx);
	w->ctx = NULL;
	free(mem);
}

static void files_move_to_another_process(void **state)
{
	struct world *w = world_of(state);
	struct iommu_ioas_change_process arg = { .size = sizeof(arg) };
	struct core_account user[2] = { 0 };
	struct limited a, b;
	struct core_process *current = &a.process;
	int fd = memfd_create("moves", MFD_CLOEXEC);
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = RW_FIXED,
		.fd = fd,
		.length = 2 * PAGE,
		.iova = IOVA,
	};
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = RW_FIXED,
		.length = PAGE,
		.src_iova = IOVA,
		.dst_iova = 2 * IOVA,
	};

	assert_rc(ftruncate(fd, 4 * PAGE), 0);
	for (int mode = 0; mode < 2; mode++) {
		limited_begin(&a, &user[0]);
		limited_begin(&b, &user[1]);
		a.can[CORE_CAN_LIMIT] = true;
		reopen(w, &current, mode);
		map.ioas_id = w->ioas;
		assert_rc(ioctl_on(w, IOMMU_IOAS_MAP_FILE, &map), 0);
		copy.src_ioas_id = w->ioas;
		copy.dst_ioas_id = w->ioas;
		assert_rc(ioctl_on(w, IOMMU_IOAS_COPY, &copy), 0);
		assert_int_equal(a.process.pinned, 2);
		b.limit = 1;
		current = &b.process;
		assert_rc(ioctl_on(w, IOMMU_IOAS_CHANGE_PROCESS, &arg),
			  -ENOMEM);
		assert_int_equal(a.process.pinned, 2);
		assert_int_equal(b.process.pinned, 0);
		assert_int_equal(b.process.locked, 0);
		b.limit = 2;
		for (int again = 0; again < 2; again++) {
			assert_rc(ioctl_on(w, IOMMU_IOAS_CHANGE_PROCESS, &arg),
				  0);
			assert_int_equal(a.process.pinned, 0);
			assert_int_equal(a.process.locked, 0);
			assert_int_equal(user[0].pages, 0);
			assert_int_equal(b.process.pinned, 2);
			assert_int_equal(b.process.locked, mode ? 2 : 0);
			assert_int_equal(user[1].pages, mode ? 0 : 2);
		}
		core_close(w->ctx);
		w->ctx = NULL;
		assert_int_equal(b.process.pinned, 0);
		assert_int_equal(b.process.locked, 0);
		assert_int_equal(user[1].pages, 0);
		current = &a.process;
	}
	close(fd);
}

static void this_process_has_the_limit_it_has(void **state)
{
	struct rlimit was;
	struct rlimit limit;

	(void)state;
	assert_rc(getrlimit(RLIMIT_MEMLOCK, &was), 0);
	limit = was;
	limit.rlim_cur = 5 * PAGE + 1;
	assert_rc(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(core_self_limit(NULL), 5);
	assert_rc(setrlimit(RLIMIT_MEMLOCK, &was), 0);
	if (was.rlim_cur == RLIM_INFINITY)
		assert_true(core_self_limit(NULL) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pinned_pages_count_against_the_users_limit),
		CASE(by_process_each_has_its_own_limit),
		CASE(without_a_limit_pages_are_counted_only),
		CASE(the_mode_is_set_with_a_capability_only),
		CASE(what_is_pinned_later_counts_for_who_mapped_it),
		CASE(files_move_to_another_process),
		cmocka_unit_test(this_process_has_the_limit_it_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
