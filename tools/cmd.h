/* SPDX-License-Identifier: MIT */
/*
 * The subcommands of `nestfd`. run() gets its own argument vector, argv[0]
 * being "nestfd NAME", and returns the exit code:
 *
 * 0  done
 * 1  the work failed, or what it should have printed could not be written
 * 2  the command line or the input is wrong; one line on stderr says how
 *
 * Options are parsed with argp, whose errors exit with 2 as well. Standard
 * output is flushed and its errors are reported by the caller.
 */
#ifndef TOOLS_CMD_H
#define TOOLS_CMD_H

#define TOOL_OK	     0
#define TOOL_FAILED  1
#define TOOL_INVALID 2

/* --inject, for messages; nestfd_inject_parse() says it in full. */
#define INJECT_WORDS                                                      \
	"KIND[:p=PROBABILITY][,n=COUNT][,dev=SID][,op=OPCODE][,us=DELAY]" \
	"[,seed=N]"

struct tool_command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
};

int tool_dump(int argc, char **argv);
int tool_probe(int argc, char **argv);
int tool_replay(int argc, char **argv);
int tool_run(int argc, char **argv);

#endif
