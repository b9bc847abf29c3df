// SPDX-License-Identifier: MIT
/* Memory of another process: mapped, pinned, reached by DMA, gone with it. */
#include "fake.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/foreign.h"

#define IOVA 0x100000ULL
#define PAGE 4096ULL

/* A child with pages of its own, at the same addresses as ours */
struct child {
	pid_t pid;
	char *mem; /* 4 pages, the last read-only */
	char *shared;
	struct core_client client;
};

static int child_read(void *ctx, void *dst, uint64_t addr, size_t len)
{
	return client_process_read(ctx, dst, addr, len);
}

static int child_write(void *ctx, uint64_t addr, const void *src, size_t len)
{
	return client_process_write(ctx, addr, src, len);
}

static void begin(struct child *c)
{
	int pipes[2];
	char byte = 0;

	memset(c, 0, sizeof(*c));
	c->mem = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	c->shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(c->mem, 'p', 4 * PAGE);
	assert_rc(pipe(pipes), 0);
	c->pid = fork();
	if (!c->pid) {
		memset(c->mem, 'c', 4 * PAGE);
		mprotect(c->mem + 3 * PAGE, PAGE, PROT_READ);
		if (write(pipes[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	close(pipes[0]);
	close(pipes[1]);
	assert_rc(client_process_open(c->pid, &c->client.process), 0);
	c->client.ctx = c->client.process;
	c->client.read = child_read;
	c->client.write = child_write;
}

static void kill_child(struct child *c)
{
	if (c->pid) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	c->pid = 0;
}

static void end(struct child *c)
{
	kill_child(c);
	client_process_put(c->client.process);
	munmap(c->mem, 4 * PAGE);
	munmap(c->shared, PAGE);
}

/* As the child; the struct lies in memory that both have */
static int map_as(struct world *w, struct child *c, uint32_t ioas,
		  const void *va, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = RW_FIXED,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = iova,
	};

	memcpy(c->shared, &arg, sizeof(arg));
	return core_ioctl_for(w->ctx, IOMMU_IOAS_MAP, (uintptr_t)c->shared,
			      &c->client);
}

static void dma_reaches_the_other_processs_memory(void **state)
{
	struct world *w = world_of(state);
	uint32_t pt = w->ioas;
	struct child c;
	char buf[8];

	begin(&c);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	assert_rc(map_as(w, &c, w->ioas, c.mem, 3 * PAGE, IOVA), 0);
	assert_rc(fake_read(w, &w->dev[0], IOVA + PAGE - 4, buf, 8), 0);
	assert_memory_equal(buf, "cccccccc", 8);
	/* one that is not there, or not all writable */
	assert_rc(map_as(w, &c, w->ioas, c.mem + 2 * PAGE, 2 * PAGE, 2 * IOVA),
		  -EFAULT);
	assert_rc(map_as(w, &c, w->ioas, (void *)8192, PAGE, 2 * IOVA),
		  -EFAULT);
	kill_child(&c);
	assert_rc(fake_read(w, &w->dev[0], IOVA, buf, 8), -EFAULT);
	assert_rc(try_unmap(w, w->ioas, IOVA, 3 * PAGE, NULL), 0);
	end(&c);
}

static void accesses_and_counts_know_whose_memory_it_is(void **state)
{
	static const struct core_access_ops ops = { .needs_pin_pages = false };
	struct world *w = world_of(state);
	const struct core_client *before;
	struct core_access *access;
	uint32_t pt = w->ioas;
	struct child c;
	char buf[4] = "xyz";
	uint32_t count;
	uint32_t id;
	uint64_t pa;

	begin(&c);
	assert_rc(map_as(w, &c, w->ioas, c.mem, PAGE, IOVA), 0);
	assert_rc(core_access_create(w->ctx, &ops, NULL, &id, &access), 0);
	assert_rc(core_access_attach(access, w->ioas), 0);
	assert_rc(core_access_rw(access, IOVA + 5, buf, 3, CORE_ACCESS_WRITE),
		  0);
	assert_rc(core_access_rw(access, IOVA + 4, buf, 4, 0), 0);
	assert_memory_equal(buf, "cxyz", 4);
	assert_int_equal(c.mem[5], 'p'); /* ours is another page */

	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	pa = fake_pa(core_attached(w->ctx, w->dev_id[0], 0), IOVA);
	assert_rc(core_count_pins(w->ctx, (uintptr_t)c.mem, PAGE, &count), 0);
	assert_int_equal(count, 0);
	assert_rc(core_check_pa(w->ctx, pa, (uintptr_t)c.mem, PAGE), -EINVAL);
	before = core_foreign_set(&c.client);
	assert_rc(core_count_pins(w->ctx, (uintptr_t)c.mem, PAGE, &count), 0);
	assert_int_equal(count, 1);
	assert_rc(core_check_pa(w->ctx, pa, (uintptr_t)c.mem, PAGE), 0);
	assert_rc(core_check_pa(w->ctx, pa, (uintptr_t)c.mem + PAGE, PAGE),
		  -EINVAL);
	core_foreign_set(before);
	core_access_destroy(access);
	end(&c);
}

static void shared_memory_is_the_same_in_both(void **state)
{
	struct world *w = world_of(state);
	uint32_t later = do_ioas(w);
	uint32_t pt = w->ioas;
	struct child c;
	uint32_t count;
	char buf[8];

	begin(&c);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	assert_rc(map_as(w, &c, w->ioas, c.shared, PAGE, IOVA), 0);
	assert_rc(map_as(w, &c, later, c.shared, PAGE, IOVA), 0);
	assert_rc(core_count_pins(w->ctx, (uintptr_t)c.shared, PAGE, &count),
		  0);
	assert_int_equal(count, 1);
	assert_rc(core_check_pa(
			  w->ctx,
			  fake_pa(core_attached(w->ctx, w->dev_id[0], 0), IOVA),
			  (uintptr_t)c.shared, PAGE),
		  0);
	/* pinned, it outlives the process; not pinned, it cannot be any more */
	kill_child(&c);
	memcpy(c.shared, "survives", 8);
	assert_rc(fake_read(w, &w->dev[0], IOVA, buf, 8), 0);
	assert_memory_equal(buf, "survives", 8);
	pt = later;
	assert_rc(core_attach(w->ctx, w->dev_id[1], CORE_NO_PASID, &pt),
		  -EFAULT);
	end(&c);
}

static void without_a_process_nothing_but_files_can_be_mapped(void **state)
{
	struct world *w = world_of(state);
	struct child c;
	struct client_process *process;

	begin(&c);
	process = c.client.process;
	c.client.process = NULL;
	assert_rc(map_as(w, &c, w->ioas, c.mem, PAGE, IOVA), -EOPNOTSUPP);
	c.client.process = process;
	end(&c);
	assert_rc(client_process_open(0x7ffffff0, &process), -ESRCH);
}

static void other_contexts_ranges_are_avoided(void **state)
{
	struct world *w = world_of(state);
	struct core_ctx *first = w->ctx;
	uint32_t pt = w->ioas;
	struct core_ctx *second;
	struct child c;
	uint32_t ioas, dev;

	begin(&c);
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	for (uint64_t i = 0; i < 40; i++)
		assert_rc(map_as(w, &c, w->ioas, c.mem, 3 * PAGE,
				 IOVA + i * 0x4000),
			  0);
	assert_rc(core_open(&w->env, &second), 0);
	w->ctx = second;
	ioas = do_ioas(w);
	dev = do_bind(w, &w->dev[3]);
	pt = ioas;
	assert_rc(core_attach(second, dev, CORE_NO_PASID, &pt), 0);
	for (uint64_t i = 0; i < 40; i++)
		assert_rc(
			map_as(w, &c, ioas, c.mem, 3 * PAGE, IOVA + i * 0x4000),
			0);
	core_close(second);
	w->ctx = first;
	end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_NESTED(dma_reaches_the_other_processs_memory),
		CASE_NESTED(accesses_and_counts_know_whose_memory_it_is),
		CASE_NESTED(shared_memory_is_the_same_in_both),
		CASE_NESTED(without_a_process_nothing_but_files_can_be_mapped),
		CASE_NESTED(other_contexts_ranges_are_avoided),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
