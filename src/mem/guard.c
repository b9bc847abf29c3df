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

#define SEEN_MAX 16

/*
 * Other people's actions for a signal, in order of discovery. Entries are
 * written once, before next names them, and handlers read them at any time.
 */
struct others {
	struct sigaction seen[SEEN_MAX];
	int count;
	int next; /* the latest, to which foreign signals go */
};

static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static struct others segv_others, bus_others;

/* The signal that this thread is handing on, if any, and from where. */
static __thread struct {
	const siginfo_t *info;
	uintptr_t frame;
} handing_on __attribute__((tls_model("initial-exec")));

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

/*
 * Who chained to us may also be whom we chain to. The same siginfo from deeper
 * in the stack means that we have come round: then the first handler, which
 * was there before us, ends it. (After a handler has jumped away, the same
 * address can come again, but only from the same depth.)
 */
static const struct sigaction *whom_to_ask(int sig, const siginfo_t *info,
					   uintptr_t frame)
{
	const struct others *o = sig == SIGBUS ? &bus_others : &segv_others;

	if (handing_on.info == info && frame < handing_on.frame)
		return &o->seen[0];
	return &o->seen[__atomic_load_n(&o->next, __ATOMIC_ACQUIRE)];
}

static void hand_on(int sig, siginfo_t *info, void *context)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	const struct sigaction *to = whom_to_ask(sig, info, frame);
	__typeof__(handing_on) outer = handing_on;

	handing_on.info = info;
	handing_on.frame = frame;
	if (to->sa_flags & SA_SIGINFO)
		call_handler(to, sig, info, context);
	else if (to->sa_handler == SIG_DFL)
		default_action(sig, info);
	else if (to->sa_handler != SIG_IGN)
		call_handler(to, sig, info, context);
	else if (is_fault(sig, info))
		default_action(sig, info); /* faults cannot be ignored */
	handing_on = outer;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	if (fix_up(sig, info, context))
		return;
	hand_on(sig, info, context);
	errno = saved;
}

/* The kernel fills in 64 signals of a set that has room for more. */
static bool same_action(const struct sigaction *a, const struct sigaction *b)
{
	if (a->sa_sigaction != b->sa_sigaction || a->sa_flags != b->sa_flags)
		return false;
	for (int sig = 1; sig <= 64; sig++) {
		if (sigismember(&a->sa_mask, sig) !=
		    sigismember(&b->sa_mask, sig))
			return false;
	}
	return true;
}

/* Remember whom to ask next, before ours can run. */
static int others_add(struct others *o, const struct sigaction *sa)
{
	int i = 0;

	while (i < o->count && !same_action(&o->seen[i], sa))
		i++;
	if (i == SEEN_MAX)
		return -ENOSPC;
	if (i == o->count) {
		o->seen[i] = *sa;
		o->count++;
	}
	__atomic_store_n(&o->next, i, __ATOMIC_RELEASE);
	return 0;
}

static int install(int sig, struct others *o)
{
	struct sigaction sa = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
	};
	struct sigaction now;
	int rc;

	if (sigaction(sig, NULL, &now))
		return -errno;
	if (now.sa_sigaction == on_signal && (now.sa_flags & SA_SIGINFO))
		return 0;
	/* Who saves and restores by signal() loses our flags. */
	if (now.sa_sigaction != on_signal) {
		rc = others_add(o, &now);
		if (rc)
			return rc;
	}
	sigemptyset(&sa.sa_mask);
	return sigaction(sig, &sa, NULL) ? -errno : 0;
}

int guard_init(void)
{
	int rc;

	pthread_mutex_lock(&install_lock);
	rc = install(SIGSEGV, &segv_others);
	if (!rc)
		rc = install(SIGBUS, &bus_others);
	pthread_mutex_unlock(&install_lock);
	return rc;
}

int guard_thread(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigaddset(&set, SIGBUS);
	return -pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
