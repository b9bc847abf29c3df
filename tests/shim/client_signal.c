// SPDX-License-Identifier: MIT
/* Programs with signal handlers of their own. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

#include "client.h"

static sigjmp_buf back;
static char *volatile nowhere = (char *)8;
static void *volatile fault_address;
static volatile sig_atomic_t faults;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	fault_address = info->si_addr;
	faults++;
	siglongjmp(back, 1);
}

static void on_plain(int sig)
{
	(void)sig;
	faults++;
	siglongjmp(back, 1);
}

static int install(int sig)
{
	struct sigaction sa = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO,
	};

	sigemptyset(&sa.sa_mask);
	return sigaction(sig, &sa, NULL);
}

static char *absent(void)
{
	return mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* The handler sees the program's own fault, and none of a wild pointer. */
static int faults_are_seen(int fd)
{
	static char *page; /* outlives the jumps */

	page = absent();
	faults = 0;
	FAILS(ioctl(fd, IOMMU_DESTROY, page), EFAULT);
	FAILS(ioctl(fd, IOMMU_DESTROY, NULL), EFAULT);
	CHECK(!faults);
	for (int i = 1; i < 20; i++) {
		if (!sigsetjmp(back, 1))
			*(volatile char *)(page + i) = 1;
		CHECK(faults == i && fault_address == page + i);
		FAILS(ioctl(fd, IOMMU_DESTROY, page), EFAULT);
		CHECK(faults == i);
	}
	munmap(page, 4096);
	return 0;
}

static int handler_before(int argc, char **argv)
{
	int fd;

	(void)argc;
	(void)argv;
	CHECK(!install(SIGSEGV));
	fd = open_iommu();
	CHECK(ioas_alloc(fd) > 0);
	return faults_are_seen(fd);
}

static int handler_after(int argc, char **argv)
{
	struct sigaction sa;
	int fd = open_iommu();

	(void)argc;
	(void)argv;
	CHECK(ioas_alloc(fd) > 0);
	CHECK(!sigaction(SIGSEGV, NULL, &sa) && sa.sa_handler == SIG_DFL);
	CHECK(!install(SIGSEGV));
	CHECK(!sigaction(SIGSEGV, NULL, &sa) && sa.sa_sigaction == on_fault &&
	      sa.sa_flags & SA_SIGINFO);
	if (faults_are_seen(fd))
		return 1;
	/* signal() knows the one before, and is as good */
	CHECK((void *)signal(SIGSEGV, on_plain) == (void *)on_fault);
	faults = 0;
	if (!sigsetjmp(back, 1))
		*(volatile char *)nowhere = 1;
	CHECK(faults == 1);
	FAILS(ioctl(fd, IOMMU_DESTROY, NULL), EFAULT);
	CHECK(faults == 1 && signal(SIGSEGV, SIG_DFL) == on_plain);
	return 0;
}

/* A file that lost its page */
static int bus_errors(int argc, char **argv)
{
	int memory = memfd_create("memory", 0);
	int fd = open_iommu();
	char *page;

	(void)argc;
	(void)argv;
	CHECK(!ftruncate(memory, 4096));
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	CHECK(ioas_alloc(fd) > 0);
	CHECK(!install(SIGBUS));
	CHECK(!ftruncate(memory, 0));
	FAILS(ioctl(fd, IOMMU_DESTROY, page), EFAULT);
	if (!sigsetjmp(back, 1))
		*(volatile char *)page = 1;
	CHECK(faults == 1 && fault_address == page);
	return 0;
}

/* Without a handler the program dies of its fault: the status says so. */
static int crashes(int argc, char **argv)
{
	int fd = open_iommu();

	CHECK(ioas_alloc(fd) > 0);
	FAILS(ioctl(fd, IOMMU_DESTROY, NULL), EFAULT);
	if (argc > 1)
		raise(atoi(argv[1]));
	*(volatile char *)nowhere = 1;
	return 0;
}

/* All signals blocked, as threads of servers have it */
static int blocked(int argc, char **argv)
{
	int fd = open_iommu();
	sigset_t all;

	(void)argc;
	(void)argv;
	CHECK(ioas_alloc(fd) > 0);
	sigfillset(&all);
	CHECK(!pthread_sigmask(SIG_SETMASK, &all, NULL));
	FAILS(ioctl(fd, IOMMU_DESTROY, absent()), EFAULT);
	CHECK(!sigprocmask(SIG_BLOCK, &all, NULL));
	FAILS(ioctl(fd, IOMMU_DESTROY, absent()), EFAULT);
	return 0;
}

/* ---- Signals in the middle of calls ---- */

static int busy_fd;
static _Atomic int ticks;
static _Atomic int bad;
static sigjmp_buf loop;

static void on_tick(int sig)
{
	long id = ioas_alloc(busy_fd);

	(void)sig;
	if (id <= 0 || destroy(busy_fd, id))
		bad++;
	ticks++;
}

static void on_jump(int sig)
{
	(void)sig;
	ticks++;
	siglongjmp(loop, 1);
}

static void tick_every(long us)
{
	struct itimerval timer = {
		.it_interval.tv_usec = us,
		.it_value.tv_usec = us,
	};

	setitimer(ITIMER_REAL, &timer, NULL);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A handler that calls, too; installed before the first call, or after */
static int handler_calls(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_tick };
	double end;

	(void)argv;
	busy_fd = open_iommu();
	if (argc > 1)
		CHECK(ioas_alloc(busy_fd) > 0);
	sigaction(SIGALRM, &sa, NULL);
	if (argc <= 1)
		CHECK(ioas_alloc(busy_fd) > 0);
	tick_every(200);
	for (end = now() + 0.5; now() < end;) {
		long id = ioas_alloc(busy_fd);

		CHECK(id > 0 && !destroy(busy_fd, id));
	}
	tick_every(0);
	CHECK(ticks > 20 && !bad);
	return 0;
}

/* A handler that jumps away, wherever the call is */
static int handler_jumps(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_jump };
	double end;

	(void)argc;
	(void)argv;
	busy_fd = open_iommu();
	CHECK(ioas_alloc(busy_fd) > 0);
	sigaction(SIGALRM, &sa, NULL);
	end = now() + 0.5;
	sigsetjmp(loop, 1);
	tick_every(300);
	while (now() < end)
		destroy(busy_fd, ioas_alloc(busy_fd));
	tick_every(0);
	CHECK(ticks > 20);
	CHECK(ioas_alloc(busy_fd) > 0); /* no lock was left behind */
	return 0;
}

/* What sigaction() tells is what was asked for, whoever is in between. */
static int actions(int argc, char **argv)
{
	struct sigaction sa = {
		.sa_handler = on_tick,
		.sa_flags = SA_RESTART | SA_RESETHAND,
	};
	struct sigaction was;
	int fd = open_iommu();

	(void)argc;
	(void)argv;
	sigaddset(&sa.sa_mask, SIGUSR2);
	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	busy_fd = fd;
	CHECK(ioas_alloc(fd) > 0);
	CHECK(!sigaction(SIGUSR1, NULL, &was));
	CHECK(was.sa_handler == on_tick && sigismember(&was.sa_mask, SIGUSR2));
	CHECK((was.sa_flags & (SA_RESTART | SA_RESETHAND | SA_SIGINFO)) ==
	      (SA_RESTART | SA_RESETHAND));
	raise(SIGUSR1);
	CHECK(ticks == 1 && !bad);
	CHECK(!sigaction(SIGUSR1, NULL, &was) && was.sa_handler == SIG_DFL);
	CHECK(signal(SIGUSR1, SIG_IGN) == SIG_DFL);
	raise(SIGUSR1);
	CHECK(signal(SIGUSR1, on_tick) == SIG_IGN);
	raise(SIGUSR1);
	CHECK(ticks == 2 && signal(SIGUSR1, SIG_DFL) == on_tick);
	FAILS(sigaction(SIGKILL, &sa, NULL), EINVAL);
	FAILS(sigaction(99, &sa, NULL), EINVAL);
	return 0;
}

/* Says when it is ready, then waits to be told to end */
static void on_term(int sig)
{
	_exit(40 + sig);
}

static int waits(int argc, char **argv)
{
	int fd = open_iommu();

	(void)argc;
	(void)argv;
	CHECK(ioas_alloc(fd) > 0);
	signal(SIGTERM, on_term);
	signal(SIGHUP, on_term);
	printf("ready\n");
	fflush(stdout);
	for (;;)
		pause();
}

const struct scenario signal_scenarios[] = {
	{ "handler-before", handler_before },
	{ "handler-after", handler_after },
	{ "bus-errors", bus_errors },
	{ "crashes", crashes },
	{ "blocked", blocked },
	{ "handler-calls", handler_calls },
	{ "handler-jumps", handler_jumps },
	{ "actions", actions },
	{ "waits", waits },
	{ NULL, NULL },
};
