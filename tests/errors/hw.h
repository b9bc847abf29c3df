/* SPDX-License-Identifier: MIT */
/*
 * What a test does to the modelled hardware past all software: DMA of the
 * devices of model.h, a look into the SMMU's TLB, faults.
 */
#ifndef TESTS_ERRORS_HW_H
#define TESTS_ERRORS_HW_H

#include <nestfd/model.h>
#include <nestfd/nestfd.h>

#include "model.h"

#define NEIGHBOUR DEVICES /* the device of a neighbour on the same unit */
#define HW_SID	  0x100u  /* StreamID of device 0 */
#define LATE_US	  100u	  /* how late answers are with FAULT_LATE */
#define SLOW_US	  30u	  /* and CMD_SYNCs with FAULT_SLOW */

/* The word at page @n of @d. What nestfd_dma() returns */
int hw_word(struct nestfd_device *dev, unsigned int d, unsigned int n, bool ats,
	    uint64_t *value);

/*
 * All pages of @d: bit n is set if page n has moved, its word is n + 0x100 and
 * not n. -EPROTO if it is another one, or what nestfd_dma() returns
 */
int hw_moved(struct nestfd_device *dev, unsigned int d, bool ats);

/*
 * Bit n: the TLB has page n with @d's ASID. -EPROTO if there are entries of
 * nobody's
 */
int hw_held(struct nestfd_machine *machine, unsigned int d);

/* @fault->op is given; nestfd_inject_clear() ends it */
int hw_break(struct nestfd_machine *machine, const struct fault *fault);

/* How often a device has lost its ATS */
int hw_quarantines(struct nestfd_machine *machine);

#endif
