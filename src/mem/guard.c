// SPDX-License-Identifier: MIT
/*
 * The fault handler behind guard.h. A fault inside the assembly functions
 * continues at guard_fault; every other signal goes on to the handler that
 * was there before us, as if we were not there.
 */
#include "mem/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

extern const char guard_begin[] __attribute__((visibility("hidden")));
extern const char guard_end[] __attribute__((visibility("hidden")));
extern const char guard_fault[] __attribute__((visibility("hidden")));

#if defined(__x86_64__)
#define CONTEXT_PC(uc) ((uc)->uc_mcontext.gregs[REG_RIP])
#elif defined(__aarch64__)
#define CONTEXT_PC(uc) ((uc)->uc_mcontext.pc)
#endif

/* Written before the handlers are installed, constant afterwards. */
static struct {
	pthread_once_t once;
	int rc;
	struct sigaction segv;
	struct sigaction bus;
} before = {
	.once = PTHREAD_ONCE_INIT,
};

/* Raised by the instruction at hand, rather than sent by somebody. */
static bool is_fault(int sig, const siginfo_t *info)
{
	if (sig == SIGBUS && info->si_code == BUS_MCEERR_AO)
		return false;
	return info->si_code > 0;
}

static bool fix_up(int sig, const siginfo_t *info, ucontext_t *uc)
{
	uintptr_t pc = (uintptr_t)CONTEXT_PC(uc);

	if (!is_fault(sig, info) || pc < (uintptr_t)guard_begin ||
	    pc >= (uintptr_t)guard_end)
		return false;
	CONTEXT_PC(uc) = (__typeof__(CONTEXT_PC(uc)))(uintptr_t)guard_fault;
	return true;
}

/* The default action: fault again without us, or send it once more. */
static void default_action(int sig, siginfo_t *info)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	sigaction(sig, &dfl, NULL);
	if (!is_fault(sig, info))
		syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid),
			sig, info);
}

static void call_handler(const struct sigaction *prev, int sig, siginfo_t *info,
			 void *context)
{
	sigset_t mask = prev->sa_mask;
	sigset_t old;

	/* The kernel has blocked sig already, as for the handler itself. */
	pthread_sigmask(SIG_BLOCK, &mask, &old);
	if (prev->sa_flags & SA_NODEFER) {
		sigemptyset(&mask);
		sigaddset(&mask, sig);
		pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
	}
	if (prev->sa_flags & SA_SIGINFO)
		prev->sa_sigaction(sig, info, context);
	else
		prev->sa_handler(sig);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *prev =
		sig == SIGBUS ? &before.bus : &before.segv;
	int saved = errno;

	if (fix_up(sig, info, context))
		return;
	if (prev->sa_flags & SA_SIGINFO)
		call_handler(prev, sig, info, context);
	else if (prev->sa_handler == SIG_DFL)
		default_action(sig, info);
	else if (prev->sa_handler != SIG_IGN)
		call_handler(prev, sig, info, context);
	else if (is_fault(sig, info))
		default_action(sig, info); /* faults cannot be ignored */
	errno = saved;
}

static int install(int sig, struct sigaction *prev)
{
	struct sigaction sa = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
	};

	/* Known before ours can run, on another thread, for the first time. */
	sigemptyset(&sa.sa_mask);
	if (sigaction(sig, NULL, prev) || sigaction(sig, &sa, NULL))
		return -errno;
	return 0;
}

static void install_both(void)
{
	before.rc = install(SIGSEGV, &before.segv);
	if (!before.rc)
		before.rc = install(SIGBUS, &before.bus);
}

int guard_init(void)
{
	pthread_once(&before.once, install_both);
	return before.rc;
}

int guard_thread(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigaddset(&set, SIGBUS);
	return -pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
