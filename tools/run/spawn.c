// SPDX-License-Identifier: MIT
/*
 * Runs the program to its end: its signals are ours and its exit status is
 * ours, as if nobody stood between it and who started us.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cmd.h"
#include "run.h"

static const int forwarded[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM,
};

/* How we were started, for the program */
struct before {
	sigset_t mask;
	struct sigaction child;
};

static void take_signals(sigset_t *set, struct before *before)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		sigaddset(set, forwarded[i]);
	sigprocmask(SIG_BLOCK, set, &before->mask);
	/* If ignored, there is no status to be had. */
	sigaction(SIGCHLD, &dfl, &before->child);
}

static void run_child(const struct run *run, const struct before *before,
		      int report)
{
	ssize_t n;
	int error;

	sigaction(SIGCHLD, &before->child, NULL);
	sigprocmask(SIG_SETMASK, &before->mask, NULL);
	execvp(run->program[0], run->program);
	error = errno;
	n = write(report, &error, sizeof(error));
	(void)n;
	_exit(RUN_NOT_EXECUTABLE);
}

/* 0 once the program runs; the exit code if it does not */
static int wait_for_exec(const struct run *run, int from)
{
	ssize_t n;
	int error;

	do {
		n = read(from, &error, sizeof(error));
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(error))
		return 0;
	fprintf(stderr, "nestfd run: %s: %s\n", run->program[0],
		strerror(error));
	return error == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
}

/*
 * What the terminal sends goes to the program as well as to us; what somebody
 * sends to us is meant for it.
 */
static int wait_for_end(pid_t pid, const sigset_t *set)
{
	siginfo_t info;
	int status;

	for (;;) {
		int sig = sigwaitinfo(set, &info);

		if (sig < 0)
			continue; /* interrupted by being stopped */
		if (sig != SIGCHLD) {
			if (info.si_code <= 0)
				kill(pid, sig);
			continue;
		}
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
	}
}

int run_spawn(const struct run *run)
{
	struct before before;
	sigset_t set;
	int fds[2];
	int code, status;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC)) {
		fprintf(stderr, "nestfd run: %s\n", strerror(errno));
		return TOOL_FAILED;
	}
	take_signals(&set, &before);
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		fprintf(stderr, "nestfd run: %s\n", strerror(errno));
		return TOOL_FAILED;
	}
	if (!pid)
		run_child(run, &before, fds[1]);
	close(fds[1]);
	code = wait_for_exec(run, fds[0]);
	close(fds[0]);
	status = wait_for_end(pid, &set);
	if (code)
		return code;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}
