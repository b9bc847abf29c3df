// SPDX-License-Identifier: MIT
/*
 * Pinned pages count against RLIMIT_MEMLOCK as on Linux: by user, or by
 * process (IOMMU_OPTION_RLIMIT_MODE 1); not at all for who has CAP_IPC_LOCK.
 * Which of them is found out when pages are pinned for the first time.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/internal.h"

uint64_t core_self_limit(const struct core_process *process)
{
	struct rlimit limit;

	(void)process;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur / CORE_PAGE_SIZE;
}

/* Linux asks for the capability over the machine, not over a container. */
static bool in_first_user_namespace(void)
{
	const ino_t first = 0xeffffffdu; /* the kernel's own number for it */
	struct stat st;

	return stat("/proc/self/ns/user", &st) || st.st_ino == first;
}

bool core_self_can(const struct core_process *process,
		   enum core_capability capability)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int cap = capability == CORE_CAN_LOCK ? CAP_IPC_LOCK : CAP_SYS_RESOURCE;

	(void)process;
	if (syscall(SYS_capget, &header, data))
		return false;
	return (data[cap / 32].effective & 1U << cap % 32) &&
	       in_first_user_namespace();
}

struct core_process *account_process(const struct core_env *env)
{
	return env->process ? env->process(env->process_ctx) : NULL;
}

static enum core_accounting mode_of(struct core_ctx *ctx,
				    const struct core_process *process)
{
	bool by_process;

	pthread_mutex_lock(&ctx->lock);
	by_process = ctx->rlimit_process;
	pthread_mutex_unlock(&ctx->lock);
	if (!process->limit && !by_process)
		return CORE_ACCOUNT_NONE; /* a user's sum nobody looks at */
	if (process->can(process, CORE_CAN_LOCK))
		return CORE_ACCOUNT_NONE;
	return by_process ? CORE_ACCOUNT_PROCESS : CORE_ACCOUNT_USER;
}

static _Atomic uint64_t *counter_of(struct core_process *process,
				    enum core_accounting mode)
{
	switch (mode) {
	case CORE_ACCOUNT_USER:
		return process->user ? &process->user->pages : NULL;
	case CORE_ACCOUNT_PROCESS:
		return &process->locked;
	default:
		return NULL;
	}
}

int account_add(struct core_process *process, enum core_accounting mode,
		uint64_t n)
{
	_Atomic uint64_t *counter = counter_of(process, mode);

	if (counter && n) {
		uint64_t limit =
			process->limit ? process->limit(process) : UINT64_MAX;
		uint64_t was =
			atomic_load_explicit(counter, memory_order_relaxed);

		do {
			if (was > limit || n > limit - was)
				return -ENOMEM;
		} while (!atomic_compare_exchange_weak_explicit(
			counter, &was, was + n, memory_order_relaxed,
			memory_order_relaxed));
	}
	atomic_fetch_add_explicit(&process->pinned, n, memory_order_relaxed);
	return 0;
}

/* Whatever the limit is */
void account_force(struct core_process *process, enum core_accounting mode,
		   uint64_t n)
{
	_Atomic uint64_t *counter = counter_of(process, mode);

	if (counter)
		atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&process->pinned, n, memory_order_relaxed);
}

void account_sub(struct core_process *process, enum core_accounting mode,
		 uint64_t n)
{
	_Atomic uint64_t *counter = counter_of(process, mode);

	if (counter)
		atomic_fetch_sub_explicit(counter, n, memory_order_relaxed);
	atomic_fetch_sub_explicit(&process->pinned, n, memory_order_relaxed);
}

/* With pages->lock held */
int account_charge(struct core_ctx *ctx, struct core_pages *pages, uint64_t n)
{
	int rc;

	if (!pages->process)
		return 0;
	if (pages->accounting == CORE_ACCOUNT_UNKNOWN)
		pages->accounting = mode_of(ctx, pages->process);
	rc = account_add(pages->process, pages->accounting, n);
	if (!rc)
		pages->accounted += n;
	return rc;
}

void account_uncharge(struct core_pages *pages, uint64_t n)
{
	if (!pages->process || !n)
		return;
	account_sub(pages->process, pages->accounting, n);
	pages->accounted -= n;
}
