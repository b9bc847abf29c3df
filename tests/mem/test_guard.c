// SPDX-License-Identifier: MIT
/*
 * Guarded accesses to memory that is, is not, or stops being there, and what
 * becomes of the faults of others. Handlers are the process's, so what is said
 * about chaining is tried in children.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem/guard.h"

#define PAGE 4096u

/* A child's answers beyond those the assertions inside it give. */
enum { CHILD_OK = 0, CHILD_WRONG = 1, CHILD_HANDLER = 42 };

/* Pages of ours, with a hole behind them. */
static char *pages_before_a_hole(size_t pages)
{
	char *p = mmap(NULL, (pages + 1) * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	munmap(p + pages * PAGE, PAGE);
	return p;
}

static char *no_page(void)
{
	return pages_before_a_hole(1) + PAGE;
}

static int wait_status(pid_t pid)
{
	int status;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Run @body in a child that has its own signal handlers. */
static int in_child(void (*body)(void))
{
	struct rlimit no_core = { 0, 0 };
	pid_t pid = fork();

	if (!pid) {
		setrlimit(RLIMIT_CORE, &no_core);
		body();
		_exit(CHILD_WRONG);
	}
	return wait_status(pid);
}

static void touch(const volatile char *p)
{
	(void)*p;
}

static volatile sig_atomic_t handler_flag;
static char *expected_addr;

static void siginfo_handler(int sig, siginfo_t *info, void *context)
{
	sigset_t now;

	pthread_sigmask(SIG_SETMASK, NULL, &now);
	if (sig == SIGSEGV && info->si_addr == expected_addr && context &&
	    sigismember(&now, SIGUSR1) && sigismember(&now, SIGSEGV))
		_exit(CHILD_HANDLER);
	_exit(CHILD_WRONG);
}

static void chain_siginfo(void)
{
	struct sigaction sa = { .sa_sigaction = siginfo_handler,
				.sa_flags = SA_SIGINFO };
	uint64_t v;

	sigaddset(&sa.sa_mask, SIGUSR1);
	sigaction(SIGSEGV, &sa, NULL);
	if (guard_init())
		return;
	expected_addr = no_page();
	if (guard_load64(expected_addr, &v) != -EFAULT)
		return;
	touch(expected_addr);
}

static void a_handler_with_siginfo_still_gets_foreign_faults(void **state)
{
	int status = in_child(chain_siginfo);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CHILD_HANDLER);
}

static void plain_handler(int sig)
{
	_exit(sig == SIGBUS ? CHILD_HANDLER : CHILD_WRONG);
}

static char *truncated_file(void)
{
	int fd = memfd_create("truncated", 0);
	char *p;

	if (fd < 0 || ftruncate(fd, PAGE))
		return NULL;
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ftruncate(fd, 0))
		return NULL;
	close(fd);
	return p;
}

static void chain_plain(void)
{
	char *p = truncated_file();
	uint64_t v;

	signal(SIGBUS, plain_handler);
	if (guard_init() || guard_load64(p, &v) != -EFAULT)
		return;
	touch(p);
}

static void a_plain_handler_still_gets_foreign_faults(void **state)
{
	int status = in_child(chain_plain);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CHILD_HANDLER);
}

static void die_by_fault(void)
{
	signal(SIGSEGV, SIG_DFL);
	if (!guard_init())
		touch(no_page());
}

static void die_ignoring_faults(void)
{
	signal(SIGSEGV, SIG_IGN);
	if (!guard_init())
		touch(no_page());
}

static void die_by_bus_error(void)
{
	signal(SIGBUS, SIG_DFL);
	if (!guard_init())
		touch(truncated_file());
}

static void die_by_kill(void)
{
	signal(SIGSEGV, SIG_DFL);
	if (!guard_init())
		kill(getpid(), SIGSEGV);
	sleep(1);
}

static void a_real_crash_is_still_a_crash(void **state)
{
	int status;

	(void)state;
	status = in_child(die_by_fault);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = in_child(die_ignoring_faults);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = in_child(die_by_bus_error);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	status = in_child(die_by_kill);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void survive_kill(void)
{
	signal(SIGSEGV, SIG_IGN);
	if (guard_init())
		return;
	kill(getpid(), SIGSEGV);
	_exit(CHILD_OK);
}

static void a_signal_that_was_ignored_is_still_ignored(void **state)
{
	int status = in_child(survive_kill);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CHILD_OK);
}

static sigjmp_buf back;

static void jumping_handler(int sig)
{
	handler_flag++;
	siglongjmp(back, sig);
}

static void jump_out(void)
{
	char *p = no_page();
	sigset_t now;
	uint64_t v;

	signal(SIGSEGV, jumping_handler);
	if (guard_init())
		return;
	for (volatile int i = 0; i < 3; i++) {
		if (!sigsetjmp(back, 1)) {
			touch(p);
			return;
		}
		if (guard_load64(p, &v) != -EFAULT)
			return;
	}
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	_exit(handler_flag == 3 && !sigismember(&now, SIGSEGV) ? CHILD_OK
							       : CHILD_WRONG);
}

static void a_handler_may_jump_away(void **state)
{
	int status = in_child(jump_out);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CHILD_OK);
}

/* Installed after ours, without a thought of us: init comes back in front. */
static void come_late(void)
{
	uint64_t v;

	if (guard_init())
		return;
	signal(SIGSEGV, jumping_handler);
	signal(SIGBUS, jumping_handler);
	for (volatile int i = 0; i < 100; i++) {
		signal(SIGSEGV, jumping_handler);
		if (guard_init() || guard_load64(no_page(), &v) != -EFAULT)
			return;
		if (!sigsetjmp(back, 1)) {
			touch(no_page());
			return;
		}
	}
	_exit(handler_flag == 100 ? CHILD_OK : CHILD_WRONG);
}

static void init_comes_in_front_of_later_handlers(void **state)
{
	int status = in_child(come_late);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CHILD_OK);
}

static struct sigaction ours;

/* As a well-behaved late comer does: what is not for it goes back to us. */
static void chaining_handler(int sig, siginfo_t *info, void *context)
{
	handler_flag++;
	ours.sa_sigaction(sig, info, context);
}

static void first_handler(int sig)
{
	_exit(sig == SIGSEGV && handler_flag == 2 ? CHILD_HANDLER
						  : CHILD_WRONG);
}

/* We stand before and behind it: the chain must still end. */
static void make_a_ring(void)
{
	struct sigaction sa = { .sa_sigaction = chaining_handler,
				.sa_flags = SA_SIGINFO };
	uint64_t v;

	signal(SIGSEGV, first_handler);
	if (guard_init())
		return;
	sigaction(SIGSEGV, &sa, &ours);
	/* Through the late comer */
	if (guard_load64(no_page(), &v) != -EFAULT || handler_flag != 1)
		return;
	if (guard_init())
		return;
	/* Not through it any more */
	if (guard_load64(no_page(), &v) != -EFAULT || handler_flag != 1)
		return;
	touch(no_page());
}

static void a_ring_of_handlers_ends_at_the_first_one(void **state)
{
	int status = in_child(make_a_ring);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CHILD_HANDLER);
}

static void fault_with_blocked_signals(void)
{
	sigset_t all;
	uint64_t v;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	if (guard_init() || guard_thread())
		return;
	pthread_sigmask(SIG_SETMASK, NULL, &all);
	if (guard_load64(no_page(), &v) == -EFAULT &&
	    sigismember(&all, SIGUSR1))
		_exit(CHILD_OK);
}

static void a_thread_that_blocked_all_can_be_made_safe(void **state)
{
	int status = in_child(fault_with_blocked_signals);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CHILD_OK);
}

static void init_may_be_repeated(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(guard_init(), 0);
}

/* Each time: cmocka installs handlers of its own before each test. */
static void catch_faults(void)
{
	assert_int_equal(guard_init(), 0);
}

static void copies_of_every_size_arrive_whole(void **state)
{
	static unsigned char src[1400], dst[1400], want[1400];

	(void)state;
	for (size_t i = 0; i < sizeof(src); i++)
		src[i] = (unsigned char)(i * 7 + i / 256);
	for (size_t len = 0; len <= 1200; len += len < 300 ? 1 : 37) {
		for (size_t at = 0; at < 17; at++) {
			memset(dst, 0xee, sizeof(dst));
			memset(want, 0xee, sizeof(want));
			memcpy(want + 16 - at + 8, src + at, len);
			assert_int_equal(
				guard_read(dst + 16 - at + 8, src + at, len),
				0);
			assert_memory_equal(dst, want, sizeof(dst));
		}
	}
}

static void fills_of_every_size_arrive_whole(void **state)
{
	unsigned char dst[400], want[400];

	(void)state;
	for (size_t len = 0; len <= 300; len++) {
		memset(dst, 1, sizeof(dst));
		memset(want, 1, sizeof(want));
		memset(want + 9, 0xa5, len);
		assert_int_equal(guard_fill(dst + 9, 0xa5, len), 0);
		assert_memory_equal(dst, want, sizeof(dst));
	}
}

/* Every length, with 1, 2, ... of its bytes behind the end of memory. */
static void every_copy_into_a_hole_is_efault(void **state)
{
	char *p = pages_before_a_hole(1);
	char *end = p + PAGE;
	static char buf[1200];

	(void)state;
	catch_faults();
	for (size_t len = 1; len <= 1100; len += len < 150 ? 1 : 61) {
		assert_int_equal(guard_read(buf, end - len, len), 0);
		assert_int_equal(guard_write(end - len, buf, len), 0);
		assert_int_equal(guard_fill(end - len, 1, len), 0);
		for (size_t out = 1; out <= len; out += out < 70 ? 1 : 97) {
			char *at = end - len + out;

			assert_int_equal(guard_read(buf, at, len), -EFAULT);
			assert_int_equal(guard_write(at, buf, len), -EFAULT);
			assert_int_equal(guard_fill(at, 1, len), -EFAULT);
		}
	}
	assert_int_equal(guard_read(buf, end, 0), 0);
	munmap(p, PAGE);
}

static void words_that_are_not_there_are_efault(void **state)
{
	char *p = no_page();
	uint64_t v64 = 1, expected = 2;
	uint32_t v32 = 3;

	(void)state;
	catch_faults();
	assert_int_equal(guard_load32(p, &v32), -EFAULT);
	assert_int_equal(guard_load64(p, &v64), -EFAULT);
	assert_int_equal(guard_store32(p, 1), -EFAULT);
	assert_int_equal(guard_store64(p, 1), -EFAULT);
	assert_int_equal(guard_cas64(p, &expected, 9), -EFAULT);
	assert_int_equal(guard_load64(NULL, &v64), -EFAULT);
	assert_int_equal(guard_load64((void *)(1ull << 63), &v64), -EFAULT);
	assert_int_equal(guard_load64((void *)-8ll, &v64), -EFAULT);
	assert_int_equal(v32, 3);
	assert_int_equal(v64, 1);
	assert_int_equal(expected, 2);
}

static void misaligned_words_are_efault(void **state)
{
	uint64_t words[3] = { 5, 5, 5 };
	char *p = (char *)words;
	uint64_t v64 = 1, expected = 5;
	uint32_t v32 = 3;

	(void)state;
	catch_faults();
	for (int i = 1; i < 8; i++) {
		assert_int_equal(guard_load64(p + i, &v64), -EFAULT);
		assert_int_equal(guard_store64(p + i, 7), -EFAULT);
		assert_int_equal(guard_cas64(p + i, &expected, 7), -EFAULT);
		if (i % 4) {
			assert_int_equal(guard_load32(p + i, &v32), -EFAULT);
			assert_int_equal(guard_store32(p + i, 7), -EFAULT);
		}
	}
	assert_true(v64 == 1 && v32 == 3 && words[0] == 5 && words[1] == 5);
}

static void words_are_loaded_stored_and_swapped(void **state)
{
	uint64_t w = 0x1122334455667788, v = 0, expected = 1;
	uint32_t half = 0;

	(void)state;
	assert_int_equal(guard_load64(&w, &v), 0);
	assert_true(v == 0x1122334455667788);
	assert_int_equal(guard_cas64(&w, &expected, 9), -EAGAIN);
	assert_true(expected == 0x1122334455667788 && w == expected);
	assert_int_equal(guard_cas64(&w, &expected, 9), 0);
	assert_true(expected == 0x1122334455667788 && w == 9);
	assert_int_equal(guard_store64(&w, UINT64_MAX - 1), 0);
	assert_true(w == UINT64_MAX - 1);
	assert_int_equal(guard_store32(&w, 0xdeadbeef), 0);
	assert_int_equal(guard_load32(&w, &half), 0);
	assert_true(half == 0xdeadbeef);
}

static void read_only_memory_can_only_be_read(void **state)
{
	char *p = pages_before_a_hole(1);
	uint64_t v, expected = 0;

	(void)state;
	catch_faults();
	mprotect(p, PAGE, PROT_READ);
	assert_int_equal(guard_load64(p, &v), 0);
	assert_int_equal(guard_store64(p, 1), -EFAULT);
	assert_int_equal(guard_cas64(p, &expected, 1), -EFAULT);
	assert_int_equal(guard_write(p, &v, 8), -EFAULT);
	mprotect(p, PAGE, PROT_NONE);
	assert_int_equal(guard_load64(p, &v), -EFAULT);
	assert_int_equal(guard_read(&v, p, 8), -EFAULT);
	mprotect(p, PAGE, PROT_READ | PROT_WRITE);
	assert_int_equal(guard_store64(p, 1), 0);
	munmap(p, PAGE);
}

static void truncated_files_are_efault(void **state)
{
	char *p = truncated_file();
	char buf[100];
	uint64_t v;

	(void)state;
	catch_faults();
	assert_non_null(p);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(guard_read(buf, p, sizeof(buf)), -EFAULT);
		assert_int_equal(guard_write(p, buf, sizeof(buf)), -EFAULT);
		assert_int_equal(guard_load64(p, &v), -EFAULT);
	}
	munmap(p, PAGE);
}

static void a_fault_leaves_signals_as_they_were(void **state)
{
	sigset_t before, after;
	uint64_t v;

	(void)state;
	catch_faults();
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(guard_load64(no_page(), &v), -EFAULT);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < 32; sig++)
		assert_int_equal(sigismember(&before, sig),
				 sigismember(&after, sig));
}

struct shared {
	char *page;
	int stop;
};

static void *come_and_go(void *arg)
{
	struct shared *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		mprotect(s->page, PAGE, PROT_NONE);
		mprotect(s->page, PAGE, PROT_READ | PROT_WRITE);
	}
	return NULL;
}

struct worker {
	pthread_t thread;
	struct shared *shared;
	uint64_t ok;
	uint64_t fault;
	uint64_t wrong;
};

static void *access_often(void *arg)
{
	struct worker *w = arg;
	char buf[256];
	uint64_t v;

	for (int i = 0; i < 20000 || !w->fault || !w->ok; i++) {
		int rc = i % 2 ? guard_read(buf, w->shared->page, sizeof(buf))
			       : guard_load64(w->shared->page, &v);

		w->ok += rc == 0;
		w->fault += rc == -EFAULT;
		w->wrong += rc != 0 && rc != -EFAULT;
		if (i > 50000000)
			break;
	}
	return NULL;
}

static void threads_fault_independently(void **state)
{
	struct shared s = { .page = pages_before_a_hole(1) };
	struct worker w[3] = { 0 };
	pthread_t changer;

	(void)state;
	catch_faults();
	pthread_create(&changer, NULL, come_and_go, &s);
	for (int i = 0; i < 3; i++) {
		w[i].shared = &s;
		pthread_create(&w[i].thread, NULL, access_often, &w[i]);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(w[i].thread, NULL);
		assert_true(w[i].ok && w[i].fault && !w[i].wrong);
	}
	__atomic_store_n(&s.stop, 1, __ATOMIC_RELEASE);
	pthread_join(changer, NULL);
	munmap(s.page, PAGE);
}

static void *add_ones(void *word)
{
	uint64_t old;

	for (int i = 0; i < 20000; i++) {
		guard_load64(word, &old);
		while (guard_cas64(word, &old, old + 1))
			;
	}
	return NULL;
}

static void swaps_are_atomic(void **state)
{
	uint64_t word = 0;
	pthread_t t[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, add_ones, &word);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(word, 60000);
}

static int init_guard(void **state)
{
	(void)state;
	return guard_init();
}

int main(void)
{
	const struct CMUnitTest before_init[] = {
		cmocka_unit_test(
			a_handler_with_siginfo_still_gets_foreign_faults),
		cmocka_unit_test(a_plain_handler_still_gets_foreign_faults),
		cmocka_unit_test(a_real_crash_is_still_a_crash),
		cmocka_unit_test(a_signal_that_was_ignored_is_still_ignored),
		cmocka_unit_test(a_handler_may_jump_away),
		cmocka_unit_test(init_comes_in_front_of_later_handlers),
		cmocka_unit_test(a_ring_of_handlers_ends_at_the_first_one),
		cmocka_unit_test(a_thread_that_blocked_all_can_be_made_safe),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_may_be_repeated),
		cmocka_unit_test(copies_of_every_size_arrive_whole),
		cmocka_unit_test(fills_of_every_size_arrive_whole),
		cmocka_unit_test(every_copy_into_a_hole_is_efault),
		cmocka_unit_test(words_that_are_not_there_are_efault),
		cmocka_unit_test(misaligned_words_are_efault),
		cmocka_unit_test(words_are_loaded_stored_and_swapped),
		cmocka_unit_test(read_only_memory_can_only_be_read),
		cmocka_unit_test(truncated_files_are_efault),
		cmocka_unit_test(a_fault_leaves_signals_as_they_were),
		cmocka_unit_test(threads_fault_independently),
		cmocka_unit_test(swaps_are_atomic),
	};
	int failed;

	failed = cmocka_run_group_tests(before_init, NULL, NULL);
	return failed + cmocka_run_group_tests(tests, init_guard, NULL);
}
