// SPDX-License-Identifier: MIT
/*
 * Access objects, private commands, and what a machine can see of core: pins
 * per page, whose memory lies where.
 */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"

#define IOVA 0x10000ULL
#define PAGE 4096ULL

/* Unpins what it pinned when it is told to, unless it is stubborn */
struct user {
	struct core_access *access;
	uint32_t id;
	uint64_t iova;
	uint64_t length; /* 0: nothing pinned */
	bool stubborn;
	unsigned int told;
	uint64_t told_iova;
	uint64_t told_length;
};

static void user_unmap(void *data, uint64_t iova, uint64_t length)
{
	struct user *user = data;

	user->told++;
	user->told_iova = iova;
	user->told_length = length;
	if (!user->length || user->stubborn)
		return;
	core_access_unpin_pages(user->access, user->iova, user->length);
	user->length = 0;
}

static const struct core_access_ops pins = {
	.needs_pin_pages = true,
	.unmap = user_unmap,
};
static const struct core_access_ops reads = { .unmap = user_unmap };

static void user_begin(struct world *w, struct user *user,
		       const struct core_access_ops *ops)
{
	memset(user, 0, sizeof(*user));
	assert_rc(
		core_access_create(w->ctx, ops, user, &user->id, &user->access),
		0);
}

static int user_pin(struct user *user, uint64_t iova, uint64_t length)
{
	int rc = core_access_pin_pages(user->access, iova, length, NULL, 0);

	if (!rc) {
		user->iova = iova;
		user->length = length;
	}
	return rc;
}

static uint32_t pins_of(struct world *w, const void *page)
{
	uint32_t count = 77;

	assert_rc(core_count_pins(w->ctx, (uintptr_t)page, PAGE, &count), 0);
	return count;
}

static void attach_answers_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	uint32_t ioas = do_ioas(w);
	struct user user;

	user_begin(w, &user, &pins);
	assert_rc(core_access_replace(user.access, ioas), -ENOENT);
	assert_rc(core_access_attach(user.access, 99), -ENOENT);
	assert_rc(core_access_attach(user.access, user.id), -ENOENT);
	assert_rc(core_access_attach(user.access, ioas), 0);
	assert_rc(core_access_attach(user.access, ioas), -EINVAL);
	assert_rc(core_access_replace(user.access, 99), -ENOENT);
	assert_rc(core_access_replace(user.access, ioas), 0);
	assert_int_equal(user.told, 0);
	assert_rc(try_destroy(w, ioas), -EBUSY);
	assert_rc(try_destroy(w, user.id), -EBUSY);
	core_access_detach(user.access);
	assert_int_equal(user.told, 1);
	assert_true(user.told_iova == 0 && user.told_length == UINT64_MAX);
	assert_rc(try_destroy(w, ioas), 0);
	core_access_destroy(user.access);
	assert_rc(try_destroy(w, user.id), -ENOENT);
	assert_int_equal(core_objects(w->ctx), 0);
}

static void pin_answers_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(4);
	uint32_t ioas = do_ioas(w);
	struct user user;
	struct user reader;

	user_begin(w, &user, &pins);
	user_begin(w, &reader, &reads);
	assert_rc(user_pin(&user, IOVA, PAGE), -ENOENT);
	assert_rc(core_access_attach(user.access, ioas), 0);
	assert_rc(core_access_attach(reader.access, ioas), 0);
	assert_rc(user_pin(&user, IOVA, PAGE), -ENOENT);
	assert_rc(try_map(w, ioas, mem, 2 * PAGE, IOVA), 0);
	assert_rc(user_pin(&user, IOVA, 0), -EINVAL);
	assert_rc(user_pin(&user, UINT64_MAX - 1, 3), -EOVERFLOW);
	assert_rc(user_pin(&user, IOVA, 2 * PAGE + 1), -ENOENT);
	assert_rc(user_pin(&user, IOVA + 1, PAGE), -EINVAL);
	assert_rc(user_pin(&reader, IOVA, PAGE), -EINVAL);
	assert_int_equal(pins_of(w, mem), 0);
	assert_rc(user_pin(&user, IOVA, 1), 0);
	assert_int_equal(pins_of(w, mem), 1);
	assert_int_equal(pins_of(w, mem + PAGE), 0);
	core_access_destroy(user.access);
	core_access_destroy(reader.access);
	assert_int_equal(pins_of(w, mem), 0);
	free(mem);
}

static void prot_and_absence_are_seen_when_pinning(void **state)
{
	struct world *w = world_of(state);
	char *mem = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = do_ioas(w),
		.user_va = (uintptr_t)mem,
		.length = PAGE,
		.iova = IOVA,
	};
	struct user user;
	char byte = 1;

	user_begin(w, &user, &pins);
	assert_rc(core_access_attach(user.access, map.ioas_id), 0);
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &map), 0);
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE;
	map.iova = IOVA + PAGE;
	map.user_va += PAGE;
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP, &map), 0);

	assert_rc(core_access_pin_pages(user.access, IOVA, PAGE, NULL,
					CORE_ACCESS_WRITE),
		  -EPERM);
	assert_rc(user_pin(&user, IOVA + PAGE, PAGE), -EPERM);
	/* the first of two is let go */
	assert_rc(user_pin(&user, IOVA, 2 * PAGE), -EPERM);
	assert_int_equal(pins_of(w, mem), 0);
	assert_rc(
		core_access_rw(user.access, IOVA, &byte, 1, CORE_ACCESS_WRITE),
		-EPERM);
	assert_rc(core_access_rw(user.access, IOVA + PAGE, &byte, 1, 0),
		  -EPERM);
	assert_rc(core_access_rw(user.access, IOVA + PAGE, &byte, 1,
				 CORE_ACCESS_WRITE),
		  0);
	assert_int_equal(mem[PAGE], 1);
	munmap(mem, PAGE);
	assert_rc(user_pin(&user, IOVA, PAGE), -EFAULT);
	assert_rc(core_access_rw(user.access, IOVA, &byte, 1, 0), -EFAULT);
	core_access_destroy(user.access);
	munmap(mem + PAGE, PAGE);
}

static void pinned_pages_are_the_clients(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(4);
	uint32_t ioas = do_ioas(w);
	struct user user;
	void *pages[3];

	user_begin(w, &user, &pins);
	assert_rc(core_access_attach(user.access, ioas), 0);
	assert_rc(try_map(w, ioas, mem, PAGE, IOVA), 0);
	assert_rc(try_map(w, ioas, mem + 2 * PAGE, 2 * PAGE, IOVA + PAGE), 0);
	assert_rc(core_access_pin_pages(user.access, IOVA, 3 * PAGE, pages, 0),
		  0);
	assert_ptr_equal(pages[0], mem);
	assert_ptr_equal(pages[1], mem + 2 * PAGE);
	assert_ptr_equal(pages[2], mem + 3 * PAGE);
	assert_rc(core_check_host(w->ctx, pages[1], (uintptr_t)mem + 2 * PAGE,
				  2 * PAGE),
		  0);
	assert_rc(core_check_host(w->ctx, pages[1], (uintptr_t)mem, PAGE),
		  -EBADE);
	core_access_unpin_pages(user.access, IOVA, 3 * PAGE);
	core_access_destroy(user.access);
	free(mem);
}

static void unmapping_asks_to_unpin_first(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(4);
	uint32_t ioas = do_ioas(w);
	struct user user;
	struct user reader;
	uint64_t unmapped;

	user_begin(w, &user, &pins);
	user_begin(w, &reader, &reads);
	assert_rc(core_access_attach(user.access, ioas), 0);
	assert_rc(core_access_attach(reader.access, ioas), 0);
	assert_rc(try_map(w, ioas, mem, PAGE, IOVA), 0);
	assert_rc(try_map(w, ioas, mem + PAGE, 3 * PAGE, IOVA + PAGE), 0);
	assert_rc(user_pin(&user, IOVA + 2 * PAGE, PAGE), 0);

	/* nobody minds the first */
	assert_rc(try_unmap(w, ioas, IOVA, PAGE, NULL), 0);
	assert_int_equal(user.told, 0);
	/* an area it covers in part is refused before anybody is asked */
	assert_rc(try_unmap(w, ioas, IOVA + PAGE, PAGE, NULL), -ENOENT);
	assert_int_equal(user.told, 0);
	assert_rc(try_unmap(w, ioas, IOVA, 5 * PAGE, &unmapped), 0);
	assert_int_equal(unmapped, 3 * PAGE);
	assert_int_equal(user.told, 1);
	assert_int_equal(user.told_iova, IOVA + PAGE);
	assert_int_equal(user.told_length, 3 * PAGE);
	assert_int_equal(reader.told, 1);
	assert_int_equal(user.length, 0);
	core_access_destroy(user.access);
	core_access_destroy(reader.access);
	free(mem);
}

static void who_does_not_unpin_makes_unmapping_fail(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(1);
	uint32_t ioas = do_ioas(w);
	struct user user;

	user_begin(w, &user, &pins);
	assert_rc(core_access_attach(user.access, ioas), 0);
	assert_rc(try_map(w, ioas, mem, PAGE, IOVA), 0);
	assert_rc(user_pin(&user, IOVA, PAGE), 0);
	user.stubborn = true;
	assert_rc(try_unmap(w, ioas, IOVA, PAGE, NULL), -EDEADLK);
	assert_int_equal(user.told, 100);
	/* nothing new while it is going */
	assert_rc(core_access_pin_pages(user.access, IOVA, PAGE, NULL, 0),
		  -EINVAL);
	assert_rc(core_access_rw(user.access, IOVA, &(char){ 0 }, 1, 0),
		  -EINVAL);
	user.stubborn = false;
	assert_rc(try_unmap(w, ioas, IOVA, PAGE, NULL), 0);
	core_access_destroy(user.access);
	free(mem);
}

static void a_page_is_pinned_once_per_mapping(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(4);
	uint32_t ioas = do_ioas(w);
	struct user user;
	uint32_t counts[4];

	user_begin(w, &user, &pins);
	assert_rc(core_access_attach(user.access, ioas), 0);
	assert_rc(try_map(w, ioas, mem, 4 * PAGE, IOVA), 0);
	assert_int_equal(pins_of(w, mem), 0);
	/* twice the same range, one overlapping it */
	assert_rc(user_pin(&user, IOVA, 2 * PAGE), 0);
	assert_rc(user_pin(&user, IOVA, 2 * PAGE), 0);
	assert_rc(user_pin(&user, IOVA + PAGE, 2 * PAGE), 0);
	assert_rc(core_count_pins(w->ctx, (uintptr_t)mem, 4 * PAGE, counts), 0);
	assert_int_equal(counts[0] + counts[1] * 10 + counts[2] * 100 +
				 counts[3] * 1000,
			 111);
	/* a domain pins the rest, and adds nothing to what is */
	w->dev_id[0] = do_bind(w, &w->dev[0]);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &ioas), 0);
	assert_rc(core_count_pins(w->ctx, (uintptr_t)mem, 4 * PAGE, counts), 0);
	assert_int_equal(counts[0] + counts[1] * 10 + counts[2] * 100 +
				 counts[3] * 1000,
			 1111);
	assert_rc(core_unbind(w->ctx, w->dev_id[0]), 0);
	core_access_unpin_pages(user.access, IOVA, 2 * PAGE);
	assert_int_equal(pins_of(w, mem), 1);
	core_access_unpin_pages(user.access, IOVA, 2 * PAGE);
	assert_int_equal(pins_of(w, mem), 0);
	assert_int_equal(pins_of(w, mem + PAGE), 1);
	core_access_unpin_pages(user.access, IOVA + PAGE, 2 * PAGE);
	assert_int_equal(pins_of(w, mem + PAGE), 0);
	user.length = 0;
	core_access_destroy(user.access);
	free(mem);
}

static void pins_of_a_file_show_wherever_it_is_mapped(void **state)
{
	struct world *w = world_of(state);
	int fd = memfd_create("pins", MFD_CLOEXEC);
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = RW_FIXED,
		.ioas_id = do_ioas(w),
		.fd = fd,
		.start = PAGE,
		.length = 2 * PAGE,
		.iova = IOVA,
	};
	struct core_domain *domain;
	struct core_hold hold;
	char *mem;
	uint32_t pt = map.ioas_id;

	assert_rc(ftruncate(fd, 4 * PAGE), 0);
	mem = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_rc(ioctl_on(w, IOMMU_IOAS_MAP_FILE, &map), 0);
	assert_int_equal(pins_of(w, mem + PAGE), 0);
	w->dev_id[0] = do_bind(w, &w->dev[0]);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	assert_int_equal(pins_of(w, mem), 0);
	assert_int_equal(pins_of(w, mem + PAGE), 1);
	assert_int_equal(pins_of(w, mem + 2 * PAGE), 1);
	assert_int_equal(pins_of(w, mem + 3 * PAGE), 0);

	assert_rc(core_find_domain(w->ctx, pt, CORE_PAGING, &domain, &hold), 0);
	assert_ptr_equal(domain, core_attached(w->ctx, w->dev_id[0], 0));
	assert_rc(core_check_pa(w->ctx, fake_pa(domain, IOVA + 5),
				(uintptr_t)mem + PAGE + 5, 2 * PAGE - 5),
		  0);
	assert_rc(core_check_pa(w->ctx, fake_pa(domain, IOVA), (uintptr_t)mem,
				PAGE),
		  -EINVAL);
	assert_rc(core_check_pa(w->ctx, 1ULL << 47, (uintptr_t)mem, PAGE),
		  -EINVAL);
	core_unhold(&hold);
	munmap(mem, 4 * PAGE);
	assert_rc(core_check_pa(
			  w->ctx,
			  fake_pa(core_attached(w->ctx, w->dev_id[0], 0), IOVA),
			  (uintptr_t)mem + PAGE, PAGE),
		  -EFAULT);
	close(fd);
}

static void accesses_align_the_ioas_to_pages(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(2);
	uint32_t odd = do_ioas(w);
	uint32_t ioas = do_ioas(w);
	struct user user;
	struct user reader;

	user_begin(w, &user, &pins);
	user_begin(w, &reader, &reads);
	assert_rc(try_map(w, odd, mem + 512, PAGE, IOVA), 0);
	assert_rc(core_access_attach(reader.access, odd), 0);
	assert_rc(core_access_attach(user.access, odd), -EADDRINUSE);
	assert_rc(core_access_attach(user.access, ioas), 0);
	assert_rc(try_map(w, ioas, mem + 512, PAGE, IOVA), -EINVAL);
	assert_rc(core_access_replace(user.access, odd), -EADDRINUSE);
	assert_rc(try_map(w, ioas, mem, PAGE, IOVA), 0); /* still there */
	assert_rc(user_pin(&user, IOVA, PAGE), 0);
	core_access_detach(user.access);
	assert_int_equal(user.length, 0);
	assert_rc(try_map(w, ioas, mem + 512, 512, IOVA + PAGE), 0);
	core_access_destroy(user.access);
	core_access_destroy(reader.access);
	free(mem);
}

static void replacing_the_ioas_lets_go_of_the_old(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(1);
	uint32_t a = do_ioas(w);
	uint32_t b = do_ioas(w);
	struct user user;

	user_begin(w, &user, &pins);
	assert_rc(try_map(w, a, mem, PAGE, IOVA), 0);
	assert_rc(core_access_attach(user.access, a), 0);
	assert_rc(user_pin(&user, IOVA, PAGE), 0);
	assert_rc(core_access_replace(user.access, b), 0);
	assert_int_equal(pins_of(w, mem), 0);
	assert_rc(user_pin(&user, IOVA, PAGE), -ENOENT);
	assert_rc(try_destroy(w, a), 0);
	assert_rc(try_destroy(w, b), -EBUSY);
	assert_rc(core_access_replace(user.access, a), -ENOENT);
	core_access_destroy(user.access);
	free(mem);
}

static void bytes_are_copied_across_areas(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(4);
	uint32_t ioas = do_ioas(w);
	struct user user;
	char buf[200];

	user_begin(w, &user, &reads);
	assert_rc(core_access_rw(user.access, IOVA, buf, 1, 0), -ENOENT);
	assert_rc(core_access_attach(user.access, ioas), 0);
	for (int i = 0; i < 4096 * 4; i++)
		mem[i] = (char)(i * 7 + i / 256);
	assert_rc(try_map(w, ioas, mem, PAGE, IOVA), 0);
	assert_rc(try_map(w, ioas, mem + 3 * PAGE, PAGE, IOVA + PAGE), 0);
	assert_rc(core_access_rw(user.access, IOVA + PAGE - 100, buf, 200, 0),
		  0);
	assert_memory_equal(buf, mem + PAGE - 100, 100);
	assert_memory_equal(buf + 100, mem + 3 * PAGE, 100);
	memset(buf, 0x5a, sizeof(buf));
	assert_rc(core_access_rw(user.access, IOVA + PAGE - 100, buf, 200,
				 CORE_ACCESS_WRITE | CORE_ACCESS_SLOW),
		  0);
	assert_int_equal(mem[PAGE - 101], (char)(3995 * 7 + 15));
	assert_int_equal(mem[PAGE - 100], 0x5a);
	assert_int_equal(mem[3 * PAGE + 99], 0x5a);
	assert_rc(core_access_rw(user.access, IOVA, buf, 0, 0), -EINVAL);
	assert_rc(core_access_rw(user.access, UINT64_MAX, buf, 2, 0),
		  -EOVERFLOW);
	assert_rc(core_access_rw(user.access, IOVA + 2 * PAGE - 1, buf, 2, 0),
		  -ENOENT);
	core_access_destroy(user.access);
	free(mem);
}

static void pinning_without_memory_leaves_nothing(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(2);
	uint32_t ioas = do_ioas(w);
	struct alloc_plan plan = { 0 };
	struct user user;
	int rc = -ENOMEM;

	user_begin(w, &user, &pins);
	assert_rc(core_access_attach(user.access, ioas), 0);
	assert_rc(try_map(w, ioas, mem, PAGE, IOVA), 0);
	assert_rc(try_map(w, ioas, mem + PAGE, PAGE, IOVA + PAGE), 0);
	while (rc) {
		plan.fail_at++;
		plan.passed = 0;
		alloc_arm(&plan);
		rc = user_pin(&user, IOVA, 2 * PAGE);
		alloc_arm(NULL);
		if (!rc)
			break;
		assert_rc(rc, -ENOMEM);
		assert_int_equal(pins_of(w, mem), 0);
	}
	assert_int_equal(plan.fail_at, 3); /* one for each area */
	core_access_destroy(user.access);
	free(mem);
}

/* A private command: size, op, and a result */
struct test_cmd {
	uint32_t size;
	uint32_t op;
	uint64_t in;
	uint64_t out;
};

#define TEST_CMD _IO(';', 0xa0)

struct machine {
	unsigned int destroyed;
	struct core_ctx *ctx;
	uint32_t dev_id;
};

static void destroy_thing(void *data)
{
	struct machine *machine = data;

	machine->destroyed++;
	if (machine->dev_id)
		assert_rc(core_unbind(machine->ctx, machine->dev_id), 0);
}

static int run_test_cmd(void *ctx, struct core_call *call)
{
	struct test_cmd *cmd = call->arg;
	struct core_private_object *object;
	int rc;

	if (cmd->op == 1) {
		rc = core_private_new(call->ctx, destroy_thing, ctx, &object);
		if (rc)
			return rc;
		cmd->out = core_private_id(object);
		rc = core_reply(call, sizeof(*cmd));
		if (rc)
			core_private_abort(object);
		else
			core_private_publish(object);
		return rc;
	}
	if (cmd->op == 2)
		return core_reserve_iovas(call->ctx, (uint32_t)cmd->in,
					  0x100000, 0x1fffff);
	return -EOPNOTSUPP;
}

static void private_commands_follow_the_rules_of_structs(void **state)
{
	struct world w;
	struct machine machine = { 0 };
	struct core_private private = {
		.cmd = TEST_CMD,
		.size = sizeof(struct test_cmd),
		.min_size = 16,
		.execute = run_test_cmd,
		.ctx = &machine,
	};
	struct test_cmd cmd[2] = { { .size = sizeof(cmd[0]) } };
	struct core_private_object *object;
	void *data;

	(void)state;
	world_begin(&w);
	assert_rc(ioctl_on(&w, TEST_CMD, cmd), -ENOTTY);
	core_close(w.ctx);
	w.env.private_op = &private;
	assert_rc(core_open(&w.env, &w.ctx), 0);

	assert_rc(ioctl_on(&w, TEST_CMD, cmd), -EOPNOTSUPP);
	assert_rc(ioctl_on(&w, _IO(';', 0xa1), cmd), -ENOTTY);
	assert_rc(ioctl_on(&w, TEST_CMD, NULL), -EFAULT);
	cmd[0].size = 15;
	assert_rc(ioctl_on(&w, TEST_CMD, cmd), -EINVAL);
	cmd[0].size = 16;
	assert_rc(ioctl_on(&w, TEST_CMD, cmd), -EOPNOTSUPP);
	cmd[0].size = 2 * sizeof(cmd[0]);
	cmd[1].op = 1;
	assert_rc(ioctl_on(&w, TEST_CMD, cmd), -E2BIG);
	cmd[1].op = 0;
	cmd[0].op = 1;
	assert_rc(ioctl_on(&w, TEST_CMD, cmd), 0);
	assert_int_equal(cmd[0].out, 1);
	assert_rc(core_private_get(w.ctx, 1, &object, &data), 0);
	assert_ptr_equal(data, &machine);
	assert_rc(try_destroy(&w, 1), -EBUSY);
	core_private_put(object);
	assert_rc(try_destroy(&w, 1), 0);
	assert_int_equal(machine.destroyed, 1);
	assert_rc(core_private_get(w.ctx, 1, &object, &data), -ENOENT);

	/* closing begins with them: they own devices */
	machine.ctx = w.ctx;
	machine.dev_id = do_bind(&w, &w.dev[0]);
	assert_rc(ioctl_on(&w, TEST_CMD, cmd), 0);
	world_end(&w);
	assert_int_equal(machine.destroyed, 2);
}

static void iovas_can_be_reserved_for_good(void **state)
{
	struct world *w = world_of(state);
	char *mem = pages_alloc(1);
	uint32_t ioas = do_ioas(w);
	struct alloc_plan plan = { .fail_at = 1 };

	assert_rc(core_reserve_iovas(w->ctx, 99, 0, 1), -ENOENT);
	assert_rc(try_map(w, ioas, mem, PAGE, IOVA), 0);
	assert_rc(core_reserve_iovas(w->ctx, ioas, 0, IOVA), -EADDRINUSE);
	alloc_arm(&plan);
	assert_rc(core_reserve_iovas(w->ctx, ioas, 0, 1), -ENOMEM);
	alloc_arm(NULL);
	assert_rc(core_reserve_iovas(w->ctx, ioas, IOVA + PAGE, UINT64_MAX), 0);
	assert_rc(try_map(w, ioas, mem, PAGE, IOVA + PAGE), -EINVAL);
	assert_rc(core_reserve_iovas(w->ctx, ioas, IOVA + PAGE, UINT64_MAX), 0);
	free(mem);
}

static void kinds_of_domains_are_told_apart(void **state)
{
	struct world *w = world_of(state);
	uint32_t nested = do_nested(w, w->dev_id[0], w->viommu);
	struct core_domain *domain;
	struct core_device *device;
	struct core_hold hold;

	assert_rc(core_find_domain(w->ctx, nested, CORE_PAGING, &domain, &hold),
		  -ENOENT);
	assert_rc(core_find_domain(w->ctx, w->parent, CORE_NESTED, &domain,
				   &hold),
		  -ENOENT);
	assert_rc(core_find_domain(w->ctx, 999, CORE_EITHER, &domain, &hold),
		  -ENOENT);
	assert_rc(
		core_find_domain(w->ctx, w->ioas, CORE_EITHER, &domain, &hold),
		-EINVAL);
	assert_rc(core_find_domain(w->ctx, nested, CORE_EITHER, &domain, &hold),
		  0);
	assert_true(domain->nested);
	assert_rc(try_destroy(w, nested), -EBUSY);
	core_unhold(&hold);
	assert_rc(try_destroy(w, nested), 0);
	assert_rc(core_find_device(w->ctx, w->ioas, &device, &hold), -ENOENT);
	assert_rc(core_find_device(w->ctx, w->dev_id[1], &device, &hold), 0);
	assert_ptr_equal(device, &w->dev[1]);
	core_unhold(&hold);
	assert_null(core_attached(w->ctx, w->dev_id[1], CORE_NO_PASID));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(attach_answers_linuxs_errnos),
		CASE(pin_answers_linuxs_errnos),
		CASE(prot_and_absence_are_seen_when_pinning),
		CASE(pinned_pages_are_the_clients),
		CASE(unmapping_asks_to_unpin_first),
		CASE(who_does_not_unpin_makes_unmapping_fail),
		CASE(a_page_is_pinned_once_per_mapping),
		CASE(pins_of_a_file_show_wherever_it_is_mapped),
		CASE(accesses_align_the_ioas_to_pages),
		CASE(replacing_the_ioas_lets_go_of_the_old),
		CASE(bytes_are_copied_across_areas),
		CASE(pinning_without_memory_leaves_nothing),
		cmocka_unit_test(private_commands_follow_the_rules_of_structs),
		CASE(iovas_can_be_reserved_for_good),
		CASE_NESTED(kinds_of_domains_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
