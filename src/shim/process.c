// SPDX-License-Identifier: MIT
/*
 * The life of the process: the library's start, fork(), exec and the end.
 */
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "shim/shim.h"

/* Inherited fds are looked for below this number; others when first used. */
#define LOOK_BELOW 256

/* ---- fork ---- */

static struct shim_lock forking;

static void before_fork(void)
{
	struct shim_lock l;

	if (shim_keeping)
		return;
	shim_is_table_ours();
	shim_lock(&l);
	forking = l;
	section_freeze();
}

static void after_fork_parent(void)
{
	struct shim_lock l = forking;

	if (shim_keeping)
		return;
	section_thaw();
	shim_unlock(&l);
}

static void after_fork_child(void)
{
	struct shim_lock l = forking;

	if (shim_keeping)
		return;
	shim_after_fork();
	shim_loud(&l);
}

/* ---- start ---- */

static void open_as(int fd)
{
	int opened = context_open(0);

	if (opened >= 0 && opened != fd) {
		dup2(opened, fd);
		close(opened);
	}
}

static __attribute__((constructor)) void start(void)
{
	const char *fd = getenv(RUN_ENV_FD);
	int saved = errno;

	shim_is_table_ours();
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
	watch_start();
	for (int i = 0; i < LOOK_BELOW; i++)
		context_recognise(i);
	if (fd) {
		open_as(atoi(fd));
		unsetenv(RUN_ENV_FD); /* not for the program's children */
	}
	errno = saved;
}

/* ---- exec ---- */

#define EXEC(call)                           \
	do {                                 \
		struct keeper keeper;        \
		int rc_;                     \
                                             \
		keeper_before_exec(&keeper); \
		rc_ = call;                  \
		keeper_exec_failed(&keeper); \
		return rc_;                  \
	} while (0)

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	EXEC(REAL(execve)(path, argv, envp));
}

EXPORT int execv(const char *path, char *const argv[])
{
	EXEC(REAL(execv)(path, argv));
}

EXPORT int execvp(const char *file, char *const argv[])
{
	EXEC(REAL(execvp)(file, argv));
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	EXEC(REAL(execvpe)(file, argv, envp));
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	EXEC(REAL(fexecve)(fd, argv, envp));
}

EXPORT int execveat(int dir, const char *path, char *const argv[],
		    char *const envp[], int flags)
{
	EXEC(REAL(execveat)(dir, path, argv, envp, flags));
}

/* The list forms become vectors on the stack, as libc makes them. */
static size_t count_args(va_list args)
{
	size_t n = 1;

	while (va_arg(args, char *))
		n++;
	return n;
}

static void collect(char **argv, const char *first, va_list args)
{
	*argv++ = (char *)(uintptr_t)first;
	do {
		*argv = va_arg(args, char *);
	} while (*argv++);
}

#define LIST(path, first, args, argv)                \
	va_list args;                                \
	size_t n_ = 1;                               \
	char **argv;                                 \
                                                     \
	va_start(args, first);                       \
	if (first)                                   \
		n_ += count_args(args);              \
	va_end(args);                                \
	argv = __builtin_alloca(n_ * sizeof(*argv)); \
	va_start(args, first);                       \
	if (first)                                   \
		collect(argv, first, args);          \
	else                                         \
		*argv = NULL

EXPORT int execl(const char *path, const char *first, ...)
{
	LIST(path, first, args, argv);
	va_end(args);
	return execv(path, argv);
}

EXPORT int execlp(const char *file, const char *first, ...)
{
	LIST(file, first, args, argv);
	va_end(args);
	return execvp(file, argv);
}

EXPORT int execle(const char *path, const char *first, ...)
{
	char **envp;

	LIST(path, first, args, argv);
	envp = va_arg(args, char **);
	va_end(args);
	return execve(path, argv, envp);
}

/* ---- end ---- */

static __attribute__((destructor)) void end(void)
{
	keeper_before_exit();
}

EXPORT void _exit(int status)
{
	keeper_before_exit();
	REAL(_exit)(status);
	__builtin_unreachable();
}

EXPORT void _Exit(int status)
{
	_exit(status);
}
