// SPDX-License-Identifier: MIT
/*
 * Queues in memory that is missing, vanishes, changes while it is read, lies
 * beyond all addresses, or is another process's.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "core/foreign.h"
#include "queue.h"

#define PAGE 4096ULL

struct rig {
	struct world w; /* first: world_of() */
	unsigned char log[1024][16];
	char *pages; /* 4 */
	char *at;    /* what the hook takes away or writes to */
	uint32_t when;
	uint32_t value;
};

static int setup_rig(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	world_begin_nested(&r->w);
	r->w.unit.inval_log = r->log;
	r->w.unit.inval_ctx = r;
	r->pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_rc(ext_enable(&r->w, 2), 0);
	*state = r;
	return 0;
}

static int teardown_rig(void **state)
{
	munmap(((struct rig *)*state)->pages, 4 * PAGE);
	return teardown_world(state);
}

static struct rig *rig_of(void **state)
{
	return (struct rig *)world_of(state);
}

static void vanish(void *at)
{
	mprotect(at, PAGE, PROT_NONE);
}

/* ---- entries ---- */

/* 512 entries, the half of them on the page that is not there */
static void an_entry_that_cannot_be_read_is_named(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q;

	number_entries(r->pages, 512);
	vanish(r->pages + PAGE);
	for (uint32_t chunk = 1; chunk <= 64; chunk += 21) {
		r->w.unit.inval_chunk = chunk;
		queue_init(&q, r->w.viommu, r->pages, 9, 512);
		q.cons = 200;
		assert_rc(queue_consume(&r->w, &q, 300), -EFAULT);
		assert_int_equal(q.cons, 256);
		assert_int_equal(logged(&r->w, 55), 255);
		assert_int_equal(q.arg.out_error, 0);
		/* the first of all, in either half */
		assert_rc(queue_consume(&r->w, &q, 300), -EFAULT);
		assert_int_equal(q.cons, 256);
		q.cons = 256 + 512;
		assert_rc(queue_consume(&r->w, &q, 300 + 512), -EFAULT);
		assert_int_equal(q.cons, 256 + 512);
		/* another way round: over the end to the good half */
		q.cons = 512 + 511;
		assert_rc(queue_consume(&r->w, &q, 1), -EFAULT);
		assert_int_equal(q.cons, 512 + 511);
	}
}

/* The second piece of a copy that wraps */
static void the_beginning_of_the_queue_may_be_missing(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q;

	number_entries(r->pages, 512);
	vanish(r->pages);
	for (uint32_t chunk = 1; chunk <= 64; chunk += 21) {
		r->w.unit.inval_chunk = chunk;
		queue_init(&q, r->w.viommu, r->pages, 9, 512);
		q.cons = 500;
		assert_rc(queue_consume(&r->w, &q, 512 + 10), -EFAULT);
		assert_int_equal(q.cons, 512);
		assert_int_equal(logged(&r->w, 11), 511);
	}
}

static void take_away(void *ctx, uint32_t done)
{
	struct rig *r = ctx;

	if (done == r->when)
		vanish(r->at);
}

static void memory_may_vanish_while_it_is_consumed(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q;

	r->w.unit.inval_hook = take_away;
	r->at = r->pages + PAGE;
	for (r->when = 1; r->when < 512; r->when += 17) {
		mprotect(r->pages, 4 * PAGE, PROT_READ | PROT_WRITE);
		number_entries(r->pages, 512);
		queue_init(&q, r->w.viommu, r->pages, 9, 512);
		/* one at a time: what has been read is done */
		assert_rc(queue_consume(&r->w, &q, 512), -EFAULT);
		assert_int_equal(q.cons, r->when < 256 ? 256 : r->when);
	}
}

/* Entries of a truncated file: SIGBUS, not SIGSEGV */
static void files_may_be_truncated(void **state)
{
	struct rig *r = rig_of(state);
	int fd = memfd_create("queue", 0);
	struct queue q;
	char *mem;

	assert_rc(ftruncate(fd, 2 * PAGE), 0);
	mem = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	number_entries(mem, 512);
	assert_rc(ftruncate(fd, PAGE), 0);
	r->w.unit.inval_chunk = 64;
	queue_init(&q, r->w.viommu, mem, 9, 512);
	q.cons = 250;
	assert_rc(queue_consume(&r->w, &q, 400), -EFAULT);
	assert_int_equal(q.cons, 256);
	munmap(mem, 2 * PAGE);
	close(fd);
}

/* ---- the consumer index ---- */

static void a_cons_that_cannot_be_read_or_written_executes_nothing(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q;

	queue_init(&q, r->w.viommu, r->pages + PAGE, 4, 16);
	for (uint32_t prod = 0; prod < 2; prod++) { /* also as a probe */
		q.arg.q_cons_uptr = 0;
		assert_rc(queue_consume(&r->w, &q, prod), -EFAULT);
		q.arg.q_cons_uptr = UINT64_MAX - 3;
		assert_rc(queue_consume(&r->w, &q, prod), -EFAULT);
		q.arg.q_cons_uptr = 1ULL << 63;
		assert_rc(queue_consume(&r->w, &q, prod), -EFAULT);
		q.arg.q_cons_uptr = (uintptr_t)r->pages;
		mprotect(r->pages, PAGE, PROT_NONE);
		assert_rc(queue_consume(&r->w, &q, prod), -EFAULT);
		mprotect(r->pages, PAGE, PROT_READ);
		assert_rc(queue_consume(&r->w, &q, prod), -EFAULT);
		assert_int_equal(q.arg.out_error, 0);
	}
	assert_int_equal(r->w.unit.inval_calls, 0);
	mprotect(r->pages, PAGE, PROT_READ | PROT_WRITE);
	assert_rc(queue_consume(&r->w, &q, 1), 0);
	assert_int_equal(*(uint32_t *)r->pages, 1);
}

static void a_cons_must_be_aligned(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q;

	queue_init(&q, r->w.viommu, r->pages + PAGE, 4, 16);
	for (uint64_t at = 0; at < 16; at++) {
		q.arg.q_cons_uptr = (uintptr_t)r->pages + at;
		assert_rc(queue_consume(&r->w, &q, 0), at % 4 ? -EINVAL : 0);
		/* before it is known whether there is memory at all */
		q.arg.q_cons_uptr = PAGE + at;
		assert_rc(queue_consume(&r->w, &q, 0),
			  at % 4 ? -EINVAL : -EFAULT);
	}
	/* the last word in front of nothing */
	vanish(r->pages + PAGE);
	q.arg.q_uptr = (uintptr_t)r->pages;
	q.arg.q_cons_uptr = (uintptr_t)r->pages + PAGE - 4;
	assert_rc(queue_consume(&r->w, &q, 1), 0);
}

/* What has been consumed is still known. */
static void a_cons_that_vanishes_during_the_call_is_answered(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q;

	r->w.unit.inval_hook = take_away;
	r->when = 1;
	r->at = r->pages;
	queue_init(&q, r->w.viommu, r->pages + PAGE, 4, 16);
	q.arg.q_cons_uptr = (uintptr_t)r->pages;
	*(uint32_t *)r->pages = 0x0e;
	assert_rc(queue_consume(&r->w, &q, 0x13), -EFAULT);
	assert_int_equal(q.arg.out_error, 0x80000101);
	assert_int_equal(q.arg.out_error_info, 0x13);

	/* whatever else is wrong */
	mprotect(r->pages, PAGE, PROT_READ | PROT_WRITE);
	r->w.unit.inval_rc = -EIO;
	r->w.unit.inval_done = 3;
	r->w.unit.inval_code = 1;
	assert_rc(queue_consume(&r->w, &q, 0x13), -EFAULT);
	assert_int_equal(q.arg.out_error, 0x80000101);
	assert_int_equal(q.arg.out_error_info, 0x11);
}

static void write_cons(void *ctx, uint32_t done)
{
	struct rig *r = ctx;

	(void)done;
	memcpy(r->at, &r->value, sizeof(r->value));
}

/* It is read once: what is written in between counts for nothing. */
static void a_cons_that_changes_during_the_call_is_overwritten(void **state)
{
	struct rig *r = rig_of(state);
	struct queue q;

	r->w.unit.inval_hook = write_cons;
	queue_init(&q, r->w.viommu, r->pages, 4, 16);
	r->at = (char *)&q.cons;
	r->value = 0xffffffff;
	q.cons = 0x0f;
	assert_rc(queue_consume(&r->w, &q, 0x12), 0);
	assert_int_equal(q.cons, 0x12);
}

/* The struct is the code's place, and is written for nothing else. */
static void a_struct_that_cannot_be_written_hides_other_errors(void **state)
{
	struct rig *r = rig_of(state);
	struct nestfd_hwpt_invalidate_ring *arg = (void *)r->pages;
	struct queue q;

	queue_init(&q, r->w.viommu, r->pages + PAGE, 4, 16);
	q.arg.q_prod = 5;
	*arg = q.arg;
	arg->q_cons_uptr = (uintptr_t)&q.cons;
	mprotect(r->pages, PAGE, PROT_READ);
	r->w.unit.inval_rc = -EIO;
	r->w.unit.inval_done = 3;
	assert_rc(ioctl_on(&r->w, 0x3bf1, arg), -EIO);
	assert_int_equal(q.cons, 3);
	r->w.unit.inval_code = 1;
	r->w.unit.inval_done = 1;
	assert_rc(ioctl_on(&r->w, 0x3bf1, arg), -EFAULT);
	assert_int_equal(q.cons, 4);
	r->w.unit.inval_rc = 0;
	r->w.unit.inval_code = 0;
	assert_rc(ioctl_on(&r->w, 0x3bf1, arg), 0);
	assert_int_equal(q.cons, 5);
}

/* ---- addresses ---- */

/* 2^31 entries of 16 bytes: 32 GiB of addresses, the first and last page used
 */
static void a_queue_of_2_to_the_31_entries_wraps(void **state)
{
	struct rig *r = rig_of(state);
	const uint64_t bytes = 1ULL << 35;
	struct queue q;
	uint32_t say;
	char *mem = mmap(NULL, bytes, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(mem, MAP_FAILED);
	mprotect(mem, PAGE, PROT_READ | PROT_WRITE);
	mprotect(mem + bytes - PAGE, PAGE, PROT_READ | PROT_WRITE);
	say = 0xaaaa;
	memcpy(mem + bytes - 16, &say, 4);
	say = 0xbbbb;
	memcpy(mem, &say, 4);
	for (uint32_t chunk = 1; chunk <= 2; chunk++) {
		r->w.unit.inval_chunk = chunk;
		queue_init(&q, r->w.viommu, mem, 31, 1U << 31);
		q.cons = 0x7fffffff;
		assert_rc(queue_consume(&r->w, &q, 0x80000001), 0);
		assert_int_equal(q.cons, 0x80000001);
		assert_int_equal(logged(&r->w, 0), 0xaaaa);
		assert_int_equal(logged(&r->w, 1), 0xbbbb);
		q.cons = 0xffffffff;
		assert_rc(queue_consume(&r->w, &q, 1), 0);
		assert_int_equal(q.cons, 1);
		/* a hole behind the first page */
		assert_rc(queue_consume(&r->w, &q, 300), -EFAULT);
		assert_int_equal(q.cons, 256);
	}
	munmap(mem, bytes);
}

/*
 * Entry 0x7ffffffe of 4096 bytes lies 0x7ffffffe000 behind the queue's
 * address: modulo 2^64 there would be memory.
 */
static void addresses_do_not_wrap(void **state)
{
	struct rig *r = rig_of(state);
	char *low =
		mmap((void *)0x20000000, 4 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	struct queue q;

	assert_ptr_equal(low, (void *)0x20000000);
	for (uint32_t chunk = 1; chunk <= 2; chunk++) {
		r->w.unit.inval_chunk = chunk;
		queue_init(&q, r->w.viommu, NULL, 31, 0x7fffffff);
		q.arg.q_entry_len = 4096;
		q.arg.q_uptr = 0x20000000ULL - 0x7ffffffe000ULL;
		q.cons = 0x7ffffffe;
		assert_rc(queue_consume(&r->w, &q, 0x7fffffff), -EFAULT);
		assert_int_equal(q.cons, 0x7ffffffe);
		/* at the very end */
		q.arg.q_uptr = UINT64_MAX;
		q.arg.q_entry_len = 16;
		for (uint32_t cons = 0; cons < 3; cons++) {
			q.cons = cons;
			assert_rc(queue_consume(&r->w, &q, cons + 3), -EFAULT);
			assert_int_equal(q.cons, cons);
		}
		q.arg.q_uptr = -16ULL;
		q.cons = 0;
		assert_rc(queue_consume(&r->w, &q, 2), -EFAULT);
		assert_int_equal(q.cons, 0);
	}
	assert_int_equal(r->log[0][0] | r->log[1][0], 0);
	munmap(low, 4 * PAGE);
}

/* ---- another process's ---- */

/* Counts reads of each byte of the queue, and changes it behind each */
struct counter {
	struct core_client client;
	char *queue;
	uint32_t reads[64 * 16];
	uint32_t *cons;
	uint32_t cons_reads;
	uint32_t cons_writes;
};

static int count_read(void *ctx, void *dst, uint64_t addr, size_t len)
{
	struct counter *c = ctx;
	uint64_t at = addr - (uintptr_t)c->queue;

	memcpy(dst, (void *)(uintptr_t)addr, len);
	if (addr == (uintptr_t)c->cons)
		c->cons_reads++;
	if (at >= sizeof(c->reads))
		return 0;
	for (size_t i = 0; i < len; i++) {
		c->reads[at + i]++;
		c->queue[at + i] = (char)0xff;
	}
	return 0;
}

static int count_write(void *ctx, uint64_t addr, const void *src, size_t len)
{
	struct counter *c = ctx;

	if (addr == (uintptr_t)c->cons)
		c->cons_writes++;
	memcpy((void *)(uintptr_t)addr, src, len);
	return 0;
}

static void each_byte_is_read_once(void **state)
{
	struct rig *r = rig_of(state);
	struct counter c = { .queue = r->pages };
	struct queue q;

	c.client = (struct core_client){ &c, count_read, count_write };
	c.cons = &q.cons;
	for (uint32_t chunk = 1; chunk <= 64; chunk += 9) {
		r->w.unit.inval_chunk = chunk;
		number_entries(r->pages, 64);
		memset(c.reads, 0, sizeof(c.reads));
		c.cons_reads = 0;
		c.cons_writes = 0;
		queue_init(&q, r->w.viommu, r->pages, 6, 64);
		q.cons = 40;
		q.arg.q_prod = 64 + 30;
		assert_rc(core_ioctl_for(r->w.ctx, 0x3bf1, (uintptr_t)&q.arg,
					 &c.client),
			  0);
		assert_int_equal(q.cons, 64 + 30);
		for (uint32_t i = 0; i < 54; i++)
			assert_int_equal(logged(&r->w, i), (40 + i) % 64);
		for (uint32_t i = 0; i < 64 * 16; i++)
			assert_int_equal(c.reads[i],
					 i / 16 < 30 || i / 16 >= 40);
		assert_int_equal(c.cons_reads, 1);
		/* once to see that it can be, once at the end */
		assert_int_equal(c.cons_writes, 2);
	}
}

static int refuse_write(void *ctx, uint64_t addr, const void *src, size_t len)
{
	struct counter *c = ctx;

	if (addr == (uintptr_t)c->cons)
		return -EFAULT;
	return count_write(ctx, addr, src, len);
}

static void another_processs_cons_is_checked_too(void **state)
{
	struct rig *r = rig_of(state);
	struct counter c = { .queue = r->pages };
	struct queue q;

	c.client = (struct core_client){ &c, count_read, refuse_write };
	c.cons = &q.cons;
	queue_init(&q, r->w.viommu, r->pages, 6, 64);
	q.arg.q_prod = 3;
	assert_rc(
		core_ioctl_for(r->w.ctx, 0x3bf1, (uintptr_t)&q.arg, &c.client),
		-EFAULT);
	assert_int_equal(r->w.unit.inval_calls, 0);
	assert_int_equal(q.cons, 0);
}

/* ---- failing allocations ---- */

/* There are none on the way of a ring: it cannot run out of memory. */
static void a_ring_allocates_nothing(void **state)
{
	struct rig *r = rig_of(state);
	struct alloc_plan plan = { .fail_at = 1 };
	struct queue q;

	queue_init(&q, r->w.viommu, r->pages, 8, 256);
	alloc_arm(&plan);
	assert_rc(ext_enable(&r->w, 3), 0);
	assert_rc(queue_consume(&r->w, &q, 256), 0);
	alloc_arm(NULL);
	print_message("%llu points\n", (unsigned long long)plan.passed);
	assert_int_equal(plan.passed, 0);
	assert_int_equal(q.cons, 256);
}

int main(void)
{
#define RIG_CASE(f) cmocka_unit_test_setup_teardown(f, setup_rig, teardown_rig)
	const struct CMUnitTest tests[] = {
		RIG_CASE(an_entry_that_cannot_be_read_is_named),
		RIG_CASE(the_beginning_of_the_queue_may_be_missing),
		RIG_CASE(memory_may_vanish_while_it_is_consumed),
		RIG_CASE(files_may_be_truncated),
		RIG_CASE(
			a_cons_that_cannot_be_read_or_written_executes_nothing),
		RIG_CASE(a_cons_must_be_aligned),
		RIG_CASE(a_cons_that_vanishes_during_the_call_is_answered),
		RIG_CASE(a_cons_that_changes_during_the_call_is_overwritten),
		RIG_CASE(a_struct_that_cannot_be_written_hides_other_errors),
		RIG_CASE(a_queue_of_2_to_the_31_entries_wraps),
		RIG_CASE(addresses_do_not_wrap),
		RIG_CASE(each_byte_is_read_once),
		RIG_CASE(another_processs_cons_is_checked_too),
		RIG_CASE(a_ring_allocates_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
