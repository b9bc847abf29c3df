/* SPDX-License-Identifier: MIT */
/*
 * The host that a bed is on: libnestfd in this process (host_lib.c), or what a
 * program finds under `nestfd run` (host_fd.c).
 */
#ifndef TESTS_ERRORS_HOST_H
#define TESTS_ERRORS_HOST_H

#include "bed.h"

/*
 * Fills @bed's machine, contexts and dev_id: those of the guest's devices on
 * one context, the neighbour's on the other. Says if the bed is blind.
 */
void host_open(struct bed *bed);
void host_close(struct bed *bed);
/* 0 or a negative errno */
int host_call(struct bed *bed, enum who who, unsigned long cmd, void *arg);
struct nestfd_backend host_backend(struct bed *bed);
int host_attach(struct bed *bed, unsigned int d, uint32_t pt_id);

/* As hw_moved() and so on; not of a blind bed */
int host_moved(struct bed *bed, unsigned int d, bool ats);
int host_held(struct bed *bed, unsigned int d);
int host_quarantines(struct bed *bed);
void host_reset(struct bed *bed, unsigned int d);

void host_break(struct bed *bed, const struct fault *fault);
void host_mend(struct bed *bed);

#endif
