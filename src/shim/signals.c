// SPDX-License-Identifier: MIT
/*
 * The program's signal handlers, once there is a machine in its process.
 *
 * A handler that runs in the middle of one of our calls may make another, or
 * jump away, while locks are held. So handlers are called by ours, which lets
 * a signal wait until the thread is outside. SIGSEGV and SIGBUS are different:
 * libnestfd's handler comes first, for accesses to memory of the program that
 * is gone, and hands everything else on to ours here, which does what the
 * program's action says.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "shim/shim.h"

#define SIGNALS 65

typedef void (*handler_fn)(int sig, siginfo_t *info, void *context);

/* As libc has them, for the type that all handlers share here */
#define FN_DFL ((handler_fn)(uintptr_t)0)
#define FN_IGN ((handler_fn)(uintptr_t)1)

/* What the program asked for; @fn may be one of the two above, too */
struct action {
	_Atomic(handler_fn) fn;
	_Atomic int flags;
	sigset_t mask; /* faults: applied by us, else by the kernel */
};

static struct action actions[SIGNALS];
static _Atomic bool taken;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_fault_signal(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS;
}

static bool is_function(handler_fn fn)
{
	return fn != FN_DFL && fn != FN_IGN;
}

static bool is_synchronous(int sig, const siginfo_t *info)
{
	return info->si_code > 0 && info->si_code != SI_KERNEL &&
	       (sig == SIGILL || sig == SIGFPE || sig == SIGTRAP ||
		sig == SIGSYS);
}

static void call(int sig, siginfo_t *info, void *context)
{
	handler_fn fn = atomic_load(&actions[sig].fn);

	if (is_function(fn))
		fn(sig, info, context);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct section *s = section_mine;
	uint32_t n;

	if (!s || !atomic_load_explicit(&s->depth, memory_order_relaxed) ||
	    is_synchronous(sig, info)) {
		call(sig, info, context);
		return;
	}
	n = atomic_load_explicit(&s->queued, memory_order_relaxed);
	if (n == SECTION_SIGNALS) {
		call(sig, info, context); /* better than losing it */
		return;
	}
	s->signals[n] = *info;
	atomic_store_explicit(&s->queued, n + 1, memory_order_relaxed);
	if (atomic_load(&actions[sig].flags) & SA_RESETHAND) {
		struct sigaction again = {
			.sa_sigaction = on_signal,
			.sa_flags =
				atomic_load(&actions[sig].flags) | SA_SIGINFO,
		};

		REAL(sigaction)(sig, &again, NULL);
	}
}

/* The default action: fault again without us, or send it once more. */
static void do_default(int sig, siginfo_t *info)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	REAL(sigaction)(sig, &dfl, NULL);
	if (info->si_code <= 0)
		syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid),
			sig, info);
}

/* libnestfd hands on what was no access of its own. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
	struct action *a = &actions[sig];
	handler_fn fn = atomic_load(&a->fn);
	int flags = atomic_load(&a->flags);
	sigset_t mask, old;

	if (!is_function(fn)) {
		if (fn != FN_IGN || info->si_code > 0)
			do_default(sig, info);
		return;
	}
	if (flags & SA_RESETHAND)
		atomic_store(&a->fn, FN_DFL);
	mask = a->mask;
	REAL(pthread_sigmask)(SIG_BLOCK, &mask, &old);
	if (flags & SA_NODEFER) {
		sigemptyset(&mask);
		sigaddset(&mask, sig);
		REAL(pthread_sigmask)(SIG_UNBLOCK, &mask, NULL);
	}
	fn(sig, info, context);
	REAL(pthread_sigmask)(SIG_SETMASK, &old, NULL);
}

static void remember(int sig, const struct sigaction *sa)
{
	actions[sig].mask = sa->sa_mask;
	atomic_store(&actions[sig].flags, sa->sa_flags);
	atomic_store(&actions[sig].fn, (handler_fn)sa->sa_sigaction);
}

static void recall(int sig, struct sigaction *sa)
{
	memset(sa, 0, sizeof(*sa));
	sa->sa_mask = actions[sig].mask;
	sa->sa_flags = atomic_load(&actions[sig].flags);
	sa->sa_sigaction = atomic_load(&actions[sig].fn);
}

/* Ours in the kernel, with what the kernel does by itself as it was. */
static int install(int sig, const struct sigaction *sa)
{
	struct sigaction ours = *sa;

	ours.sa_sigaction = on_signal;
	ours.sa_flags |= SA_SIGINFO;
	return REAL(sigaction)(sig, &ours, NULL);
}

static void take_fault(int sig)
{
	struct sigaction sa = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	struct sigaction now;

	if (REAL(sigaction)(sig, NULL, &now))
		return;
	remember(sig, &now);
	REAL(sigaction)(sig, &sa, NULL);
}

/* Called with shim_inside set, before libnestfd installs its own. */
void signals_take(void)
{
	struct sigaction now;

	pthread_mutex_lock(&lock);
	if (atomic_load(&taken))
		goto unlock;
	for (int sig = 1; sig < SIGNALS; sig++) {
		if (is_fault_signal(sig)) {
			take_fault(sig);
		} else if (!REAL(sigaction)(sig, NULL, &now) &&
			   is_function((handler_fn)now.sa_sigaction)) {
			remember(sig, &now);
			install(sig, &now);
		}
	}
	atomic_store(&taken, true);
unlock:
	pthread_mutex_unlock(&lock);
}

void signals_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
}

static int change_fault(int sig, const struct sigaction *new,
			struct sigaction *old)
{
	struct sigaction was;

	recall(sig, &was);
	if (new)
		remember(sig, new);
	if (old)
		*old = was;
	return 0;
}

static int change(int sig, const struct sigaction *new, struct sigaction *old)
{
	struct sigaction was, mine;
	int rc;

	recall(sig, &mine);
	if (new &&is_function((handler_fn) new->sa_sigaction)) {
		rc = REAL(sigaction)(sig, NULL, &was);
		if (!rc) {
			remember(sig, new);
			rc = install(sig, new);
		}
	} else {
		rc = REAL(sigaction)(sig, new, &was);
	}
	if (!rc && old)
		*old = was.sa_sigaction == on_signal ? mine : was;
	return rc;
}

EXPORT int sigaction(int sig, const struct sigaction *new,
		     struct sigaction *old)
{
	struct sigaction copy;
	sigset_t all, mask;
	int rc, saved;

	if (LIKELY(!atomic_load(&taken)) || shim_inside || sig < 1 ||
	    sig >= SIGNALS)
		return REAL(sigaction)(sig, new, old);
	/* No handler may run between what we note and what the kernel does. */
	if (new)
		copy = *new;
	sigfillset(&all);
	REAL(pthread_sigmask)(SIG_BLOCK, &all, &mask);
	pthread_mutex_lock(&lock);
	rc = is_fault_signal(sig) ? change_fault(sig, new ? &copy : NULL, old)
				  : change(sig, new ? &copy : NULL, old);
	saved = errno;
	pthread_mutex_unlock(&lock);
	REAL(pthread_sigmask)(SIG_SETMASK, &mask, NULL);
	errno = saved;
	return rc;
}

static __sighandler_t by_sigaction(int sig, __sighandler_t handler, int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };
	struct sigaction old;

	sigemptyset(&sa.sa_mask);
	return sigaction(sig, &sa, &old) ? SIG_ERR : old.sa_handler;
}

EXPORT __sighandler_t signal(int sig, __sighandler_t handler)
{
	if (LIKELY(!atomic_load(&taken)) || shim_inside)
		return REAL(signal)(sig, handler);
	return by_sigaction(sig, handler, SA_RESTART);
}

__sighandler_t bsd_signal(int sig, __sighandler_t handler);
EXPORT __sighandler_t bsd_signal(int sig, __sighandler_t handler)
{
	return signal(sig, handler);
}

EXPORT __sighandler_t __sysv_signal(int sig, __sighandler_t handler)
{
	if (LIKELY(!atomic_load(&taken)) || shim_inside)
		return REAL(__sysv_signal)(sig, handler);
	return by_sigaction(sig, handler, SA_RESETHAND | SA_NODEFER);
}

EXPORT __sighandler_t sysv_signal(int sig, __sighandler_t handler)
{
	return __sysv_signal(sig, handler);
}

/*
 * The kernel kills a thread that faults while it blocks the signal, where the
 * call should have answered EFAULT: both stay open.
 */
static const sigset_t *without_faults(int how, const sigset_t *set,
				      sigset_t *copy)
{
	if (LIKELY(!atomic_load(&taken)) || !set || how == SIG_UNBLOCK)
		return set;
	*copy = *set;
	sigdelset(copy, SIGSEGV);
	sigdelset(copy, SIGBUS);
	return copy;
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;

	return REAL(pthread_sigmask)(how, without_faults(how, set, &copy), old);
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;

	return REAL(sigprocmask)(how, without_faults(how, set, &copy), old);
}
