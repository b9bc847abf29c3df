// SPDX-License-Identifier: MIT
/*
 * Keepers. When a program that owns contexts execs another or ends, somebody
 * may still hold their fds: the new program, a child, whoever was sent them. A
 * keeper is a copy of the process (fork) that goes on as their owner, with
 * nothing of the program but its memory, and ends when the last holder has
 * gone. As on Linux, what the program had mapped stays reachable by DMA.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shim/shim.h"

#define BUSY_TRIES 1000

static bool is_owner(void)
{
	return shim_is_table_ours() && context_next(NULL);
}

/*
 * Fds other than ours: a pipe that the keeper held would never end. By their
 * names: there may be gaps of millions.
 */
static void close_foreign(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);
		struct file *f = table_get(fd);

		if (entry->d_name[0] == '.' || fd == dirfd(dir) ||
		    (f && atomic_load(&f->kind) == FILE_INTERNAL))
			continue;
		REAL(close)(fd);
	}
	if (dir)
		closedir(dir);
}

/* The program's handlers are not for it; whoever ends it may. */
static void take_default_signals(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < 65; sig++)
		if (sig != SIGSEGV && sig != SIGBUS)
			REAL(sigaction)(sig, &dfl, NULL);
	sigemptyset(&none);
	REAL(pthread_sigmask)(SIG_SETMASK, &none, NULL);
}

static void keep(int go)
{
	char byte;

	/* The end of the pipe says that the program has gone. */
	if (go >= 0 && REAL(read)(go, &byte, 1) > 0)
		REAL(_exit)(0);
	prctl(PR_SET_NAME, "nestfd-keeper");
	setsid(); /* the terminal's signals are not for it */
	take_default_signals();
	context_keep();
	close_foreign();
	serve_for_ever();
}

/* Calls on behalf of others end first: they would be lost. */
static void wait_for_calls(struct shim_lock *l)
{
	static const struct timespec nap = { .tv_nsec = 1000000 };

	for (int i = 0; i < BUSY_TRIES && serve_busy(); i++) {
		shim_unlock(l);
		nanosleep(&nap, NULL);
		shim_lock(l);
	}
}

/*
 * With the lock held and all sections empty, so that fork()'s handlers need
 * not do it again, nor make the child forget. A grandchild, so that the
 * program never waits for it.
 */
static void make_keeper(int pipe_fds[2])
{
	struct shim_lock l;
	int status;
	pid_t pid;

	shim_lock(&l);
	wait_for_calls(&l);
	section_freeze();
	shim_keeping = true;
	pid = fork();
	if (!pid) {
		if (fork())
			REAL(_exit)(0);
		if (pipe_fds)
			REAL(close)(pipe_fds[1]);
		section_after_fork();
		shim_after_keep();
		keep(pipe_fds ? pipe_fds[0] : -1);
	}
	shim_keeping = false;
	serve_pause(true); /* it would be lost, what others did here now */
	section_thaw();
	if (pid > 0)
		waitpid(pid, &status, __WALL);
	shim_unlock(&l);
}

void keeper_before_exec(struct keeper *keeper)
{
	int saved = errno;
	int fds[2];

	keeper->pipe = -1;
	if (!is_owner() || pipe2(fds, O_CLOEXEC))
		return;
	make_keeper(fds);
	REAL(close)(fds[0]);
	keeper->pipe = fds[1];
	errno = saved;
}

void keeper_exec_failed(struct keeper *keeper)
{
	int saved = errno;
	ssize_t n;

	if (keeper->pipe < 0)
		return;
	serve_pause(false);
	n = REAL(write)(keeper->pipe, "x", 1);
	(void)n;
	REAL(close)(keeper->pipe);
	errno = saved;
}

static void close_ours(int fd, struct file *file, void *arg)
{
	(void)arg;
	if (atomic_load(&file->kind) == FILE_INTERNAL)
		return;
	table_clear(fd);
	REAL(close)(fd);
	file_released(file);
}

/* What nobody else holds has ended once our own fds are closed. */
void keeper_before_exit(void)
{
	struct shim_lock l;
	bool left;

	if (!is_owner())
		return;
	shim_lock(&l);
	table_each(close_ours, NULL);
	left = context_next(NULL);
	shim_unlock(&l);
	if (left)
		make_keeper(NULL);
}
