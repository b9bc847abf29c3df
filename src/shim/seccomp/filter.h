/* SPDX-License-Identifier: MIT */
/* The filter in the program, and what the kernel must have for it. */
#ifndef SHIM_SECCOMP_FILTER_H
#define SHIM_SECCOMP_FILTER_H

/*
 * Installs it for the calling thread and all that come from it. Return: the
 * listener, or -errno. System calls only.
 */
int filter_install(void);

/* NULL or what is missing */
const char *filter_why_not(void);

#endif
