/* SPDX-License-Identifier: MIT */
/* The filter in the program, and what the kernel must have for it. */
#ifndef SHIM_SECCOMP_FILTER_H
#define SHIM_SECCOMP_FILTER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The server puts event queues and the like at high numbers: the last
 * FILTER_FDS below the program's limit, or below FILTER_BELOW, which is what
 * select(2) can take. Of other numbers, reads and writes do not stop.
 */
#define FILTER_FDS   128u
#define FILTER_BELOW 1024u

struct filter_config {
	uint32_t fds_first; /* 0: none are placed */
	bool fail_nth; /* of the mock IOMMU: what its selftests need as well */
	bool closes;   /* all that is closed, for a trace */
};

/* For a program that may have @limit fds */
uint32_t filter_fds_first(uint64_t limit);

/*
 * Installs it for the calling thread and all that come from it. *@interrupted:
 * signals interrupt calls that are being answered, since this kernel cannot let
 * them wait (Linux 5.19). Return: the listener, or -errno. System calls only.
 */
int filter_install(const struct filter_config *config, bool *interrupted);

/* NULL or what is missing */
const char *filter_why_not(void);

#endif
