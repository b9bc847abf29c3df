// SPDX-License-Identifier: MIT
/*
 * The program: where it is, and whether a library can be preloaded into it.
 * Whoever starts it may still find something else there; nothing relies on
 * the answer but the advice given.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "run.h"

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#endif

/* ---- Finding it ---- */

/* 0, or what execve() would answer */
static int look_at(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || access(path, X_OK))
		return -EACCES;
	return 0;
}

static int search(const char *name, char *path, size_t size)
{
	const char *dirs = getenv("PATH");
	int worst = -ENOENT;

	if (!dirs)
		dirs = "/bin:/usr/bin"; /* as libc */
	while (dirs) {
		size_t n = strcspn(dirs, ":");
		int rc;

		snprintf(path, size, "%.*s%s%s", (int)n, dirs, n ? "/" : "",
			 name);
		rc = look_at(path);
		if (!rc)
			return 0;
		if (rc == -EACCES)
			worst = rc;
		dirs = dirs[n] ? dirs + n + 1 : NULL;
	}
	return worst;
}

int run_find_program(const char *name, char *path, size_t size)
{
	int rc;

	if (strchr(name, '/')) {
		snprintf(path, size, "%s", name);
		rc = look_at(path);
	} else {
		rc = *name ? search(name, path, size) : -ENOENT;
	}
	if (!rc)
		return 0;
	fprintf(stderr, "nestfd run: %s: %s\n", name, strerror(-rc));
	return rc == -ENOENT || rc == -ENOTDIR ? RUN_NOT_FOUND
					       : RUN_NOT_EXECUTABLE;
}

/* ---- Looking into it ---- */

static bool is_privileged(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return false;
	if ((st.st_mode & S_ISUID && st.st_uid != getuid()) ||
	    (st.st_mode & S_ISGID && st.st_mode & S_IXGRP &&
	     st.st_gid != getgid()))
		return true;
	return fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

/* Go leaves a note with its name; its programs make system calls themselves. */
static bool is_go_note(int fd, const Elf64_Phdr *ph)
{
	struct {
		Elf64_Nhdr header;
		char name[4];
	} note;

	return ph->p_type == PT_NOTE &&
	       pread(fd, &note, sizeof(note), (off_t)ph->p_offset) ==
		       sizeof(note) &&
	       note.header.n_namesz == 4 && !memcmp(note.name, "Go", 3);
}

static const char *look_into_elf(int fd, const Elf64_Ehdr *eh)
{
	bool has_interpreter = false;

	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_machine != OUR_MACHINE)
		return "built for another architecture than nestfd's library";
	for (unsigned int i = 0; i < eh->e_phnum; i++) {
		Elf64_Phdr ph;
		off_t at = (off_t)(eh->e_phoff + i * sizeof(ph));

		if (pread(fd, &ph, sizeof(ph), at) != sizeof(ph))
			break;
		if (ph.p_type == PT_INTERP)
			has_interpreter = true;
		if (is_go_note(fd, &ph))
			return "a Go program, which makes system calls itself";
	}
	return has_interpreter
		       ? NULL
		       : "a static program, into which nothing can be preloaded";
}

static const char *look_into(const char *path, bool script_allowed);

/* "#! /bin/sh -e": it is the interpreter that counts */
static const char *look_into_script(const char *line)
{
	char path[PATH_MAX];
	size_t n;

	line += 2;
	line += strspn(line, " \t");
	n = strcspn(line, " \t\n");
	snprintf(path, sizeof(path), "%.*s", (int)n, line);
	return look_into(path, false);
}

static const char *look_into(const char *path, bool script_allowed)
{
	union {
		Elf64_Ehdr elf;
		char text[256];
	} head = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *why = NULL;
	ssize_t n;

	if (fd < 0)
		return NULL; /* executable but not readable: try */
	n = pread(fd, &head, sizeof(head) - 1, 0);
	if (n >= (ssize_t)sizeof(head.elf) &&
	    !memcmp(head.text, ELFMAG, SELFMAG))
		why = is_privileged(fd)
			      ? "setuid, setgid or with file capabilities: "
				"preloading is ignored"
			      : look_into_elf(fd, &head.elf);
	else if (script_allowed && !memcmp(head.text, "#!", 2))
		why = look_into_script(head.text);
	close(fd);
	return why;
}

const char *run_why_not_preload(const char *path)
{
	return look_into(path, true);
}
