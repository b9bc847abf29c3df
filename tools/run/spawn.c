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
#include "shim/seccomp/supervise.h"

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

/* What a child that cannot become the program says */
struct report {
	bool filter; /* what failed is not exec */
	int error;
};

static void run_child(const struct run *run, const struct before *before,
		      int to, int fd)
{
	struct report report = { 0 };
	ssize_t n;

	if (to == run->fd)
		to = fcntl(to, F_DUPFD_CLOEXEC, run->fd + 1);
	if (run->supervisor)
		report.error = -run_seccomp_child(run, fd);
	report.filter = report.error;
	if (!report.error) {
		sigaction(SIGCHLD, &before->child, NULL);
		sigprocmask(SIG_SETMASK, &before->mask, NULL);
		execvp(run->program[0], run->program);
		report.error = errno;
	}
	n = write(to, &report, sizeof(report));
	(void)n;
	_exit(RUN_NOT_EXECUTABLE);
}

/* 0 once the program runs; the exit code if it does not */
static int wait_for_exec(const struct run *run, int from)
{
	struct report report;
	ssize_t n;

	do {
		n = read(from, &report, sizeof(report));
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(report))
		return 0;
	fprintf(stderr, "nestfd run: %s: %s\n",
		report.filter ? "seccomp filter" : run->program[0],
		report.filter && report.error == EBUSY
			? "there is one already that somebody listens to"
			: strerror(report.error));
	if (report.filter)
		return TOOL_INVALID;
	return report.error == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
}

/*
 * What the terminal sends goes to the program as well as to us; what somebody
 * sends to us is meant for it.
 */
static int wait_for_end(pid_t pid, const sigset_t *set)
{
	siginfo_t info;
	int status;
	pid_t got;

	for (;;) {
		int sig = sigwaitinfo(set, &info);

		if (sig < 0)
			continue; /* interrupted by being stopped */
		if (sig != SIGCHLD) {
			if (info.si_code <= 0)
				kill(pid, sig);
			continue;
		}
		/* Orphans of the program may have become ours. */
		do {
			got = waitpid(-1, &status, WNOHANG);
		} while (got > 0 && got != pid);
		if (got == pid)
			return status;
	}
}

static int say_errno(int error)
{
	fprintf(stderr, "nestfd run: %s\n", strerror(error));
	return TOOL_FAILED;
}

int run_spawn(const struct run *run)
{
	struct before before;
	sigset_t set;
	int fds[2];
	int code, status;
	int fd = -1;
	pid_t pid;

	if (run->supervisor && run->fd >= 0) {
		fd = supervise_open(run->supervisor);
		if (fd < 0)
			return say_errno(-fd);
	}
	if (pipe2(fds, O_CLOEXEC))
		return say_errno(errno);
	take_signals(&set, &before);
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return say_errno(errno);
	if (!pid)
		run_child(run, &before, fds[1], fd);
	close(fds[1]);
	if (fd >= 0)
		close(fd);
	code = run->supervisor ? run_seccomp_start(run, pid) : 0;
	if (!code)
		code = wait_for_exec(run, fds[0]);
	close(fds[0]);
	status = wait_for_end(pid, &set);
	if (run->supervisor)
		run_seccomp_wait(run, &set);
	if (code)
		return code;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}
