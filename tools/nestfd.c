// SPDX-License-Identifier: MIT
/* The command `nestfd`: finds the subcommand and looks after its output. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

static const struct tool_command commands[] = {
	{ "dump", "print a recording for people", tool_dump },
	{ "probe", "say what a /dev/iommu offers", tool_probe },
	{ "replay", "follow a recording through nested translation",
	  tool_replay },
	{ "run", "run a program, which finds a /dev/iommu", tool_run },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	fputs("Usage: nestfd COMMAND [OPTION...]\n"
	      "       nestfd COMMAND --help | --help | --version\n\n"
	      "Commands:\n",
	      to);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name,
			commands[i].summary);
}

/*
 * stdio keeps no errno of an earlier failure; another write meets the same
 * trouble and says what it is.
 */
static int output_errno(void)
{
	if (fflush(stdout))
		return errno;
	if (!ferror(stdout))
		return 0;
	return write(STDOUT_FILENO, "\n", 1) < 0 ? errno : EIO;
}

/* A reader that has seen enough (EPIPE) is no news. */
static int finish_output(int code)
{
	int err = output_errno();

	if (!err)
		return code;
	if (err != EPIPE)
		fprintf(stderr, "nestfd: standard output: %s\n", strerror(err));
	return code ? code : TOOL_FAILED;
}

static int run_command(const struct tool_command *cmd, int argc, char **argv)
{
	char name[64];

	snprintf(name, sizeof(name), "nestfd %s", cmd->name);
	argv[0] = name;
	return finish_output(cmd->run(argc, argv));
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	argp_err_exit_status = TOOL_INVALID;
	for (size_t i = 0; word && i < NR_COMMANDS; i++)
		if (!strcmp(commands[i].name, word))
			return run_command(&commands[i], argc - 1, argv + 1);
	if (word && !strcmp(word, "--help")) {
		usage(stdout);
		return finish_output(TOOL_OK);
	}
	if (word && !strcmp(word, "--version")) {
		puts("nestfd " NESTFD_VERSION);
		return finish_output(TOOL_OK);
	}
	if (word)
		fprintf(stderr, "nestfd: unknown %s '%s'\n",
			word[0] == '-' ? "option" : "command", word);
	usage(stderr);
	return TOOL_INVALID;
}
