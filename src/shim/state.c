// SPDX-License-Identifier: MIT
/*
 * The lock, and who we are: the process whose memory this is, a copy of it, or
 * a guest in it (vfork).
 */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shim/shim.h"

__thread bool shim_inside;
__thread bool shim_keeping;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t owner;
static uint32_t *alive; /* 0 in a copy of our memory */

void shim_quiet(struct shim_lock *l)
{
	sigset_t most;

	/* Faults in a section have to be seen. */
	sigfillset(&most);
	sigdelset(&most, SIGSEGV);
	sigdelset(&most, SIGBUS);
	REAL(pthread_sigmask)(SIG_BLOCK, &most, &l->mask);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &l->cancel);
}

void shim_loud(struct shim_lock *l)
{
	int ignored;

	pthread_setcancelstate(l->cancel, &ignored);
	REAL(pthread_sigmask)(SIG_SETMASK, &l->mask, NULL);
}

void shim_lock(struct shim_lock *l)
{
	shim_quiet(l);
	pthread_mutex_lock(&lock);
}

void shim_unlock(struct shim_lock *l)
{
	pthread_mutex_unlock(&lock);
	shim_loud(l);
}

static void become_child(void)
{
	pthread_mutex_init(&lock, NULL);
	section_after_fork();
	signals_after_fork();
	serve_after_fork();
	remote_after_fork();
	context_after_fork();
}

static void set_owner(void)
{
	owner = getpid();
	if (!alive) {
		alive = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (alive == MAP_FAILED ||
		    madvise(alive, 4096, MADV_WIPEONFORK))
			alive = NULL;
	}
	if (alive)
		*alive = 1;
}

void shim_after_fork(void)
{
	become_child();
	set_owner();
}

void shim_after_keep(void)
{
	pthread_mutex_init(&lock, NULL);
	set_owner();
}

bool shim_is_owner(void)
{
	return getpid() == owner;
}

bool shim_is_table_ours(void)
{
	if (!owner) {
		set_owner();
		return true;
	}
	if (getpid() == owner)
		return true;
	if (!alive || *alive)
		return false; /* vfork */
	shim_after_fork();
	return true;
}
