// SPDX-License-Identifier: MIT
/* See procfs.h. */
#include "shim/procfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

pid_t procfs_status(const char *path, pid_t self)
{
	unsigned long pid;
	const char *name;
	char *end;

	if (strncmp(path, "/proc/", strlen("/proc/")))
		return 0;
	name = path + strlen("/proc/");
	if (!strcmp(name, "self/status"))
		return self;
	if (*name < '1' || *name > '9')
		return 0;
	pid = strtoul(name, &end, 10);
	return strcmp(end, "/status") || pid > INT32_MAX ? 0 : (pid_t)pid;
}

/* In the line that begins with @tag, after a newline */
static void add(char *text, const char *tag, uint64_t bytes)
{
	char *line = strstr(text, tag);
	char *value = line ? line + strlen(tag) : NULL;
	unsigned long long was;
	char made[32];
	char *end;
	int n;

	if (!line)
		return;
	was = strtoull(value, &end, 10);
	n = snprintf(made, sizeof(made), "\t%8llu",
		     was + (unsigned long long)(bytes >> 10));
	memmove(value + n, end, strlen(end) + 1);
	memcpy(value, made, (size_t)n);
}

void procfs_status_add(char *text, uint64_t pinned, uint64_t locked)
{
	add(text, "\nVmPin:", pinned);
	add(text, "\nVmLck:", locked);
}

bool procfs_is_fail_nth(const char *path, pid_t pid, pid_t tid)
{
	char mine[4][PROCFS_NAME];

	snprintf(mine[0], PROCFS_NAME, "/proc/self/task/%d/fail-nth", tid);
	snprintf(mine[1], PROCFS_NAME, "/proc/%d/task/%d/fail-nth", pid, tid);
	snprintf(mine[2], PROCFS_NAME, "/proc/thread-self/fail-nth");
	/* The process's is its first thread's */
	snprintf(mine[3], PROCFS_NAME, "/proc/%s/fail-nth",
		 pid == tid ? "self" : "-");
	for (int i = 0; i < 4; i++)
		if (!strcmp(path, mine[i]))
			return true;
	return false;
}

size_t procfs_fail_nth_text(uint64_t left, char text[PROCFS_FAIL_NTH])
{
	return (size_t)snprintf(text, PROCFS_FAIL_NTH, "%llu\n",
				(unsigned long long)left);
}

int procfs_fail_nth_parse(const void *buf, size_t len, uint64_t *nth)
{
	char text[PROCFS_FAIL_NTH] = "";
	unsigned long long value;
	char *end;

	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, buf, len);
	value = strtoull(text, &end, 10);
	if (end == text || (*end && strcmp(end, "\n")) || value > INT32_MAX)
		return -EINVAL;
	*nth = value;
	return 0;
}

bool procfs_is_debugfs(const char *path)
{
	return !strcmp(path, PROCFS_DEBUG) || !strcmp(path, PROCFS_DEBUG "/");
}

bool procfs_is_control(const char *path, bool below_debugfs)
{
	static const char *const folders[] = { "fail_iommufd/", "failslab/",
					       "fail_page_alloc/" };
	size_t root = strlen(PROCFS_DEBUG "/");

	if (!strncmp(path, PROCFS_DEBUG "/", root))
		path += root;
	else if (path[0] == '/' || !below_debugfs)
		return false;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		size_t n = strlen(folders[i]);

		if (!strncmp(path, folders[i], n) && path[n] &&
		    !strchr(path + n, '/'))
			return true;
	}
	return false;
}
