/* SPDX-License-Identifier: MIT */
/*
 * Invalidations of the host's own: collected, then issued. The last part of a
 * collection is complete when hostinv_finish() returns. A device that does not
 * answer is marked, and asked no more.
 */
#ifndef DRV_HOSTINV_H
#define DRV_HOSTINV_H

#include "drv/hostq.h"

#define HOSTINV_MAX 128

struct hostinv {
	struct hostq *q;
	struct hostdevs *devs;
	struct budget *guest; /* who pays; NULL: whose the device is */
	uint32_t n;
	uint32_t room;
	uint64_t *cmds; /* few, or allocated: until finish, wait, or try */
	uint64_t few[HOSTINV_MAX * HOSTQ_CMD_MAX];
};

void hostinv_start(struct hostinv *h, struct hostq *q, struct hostdevs *devs);
/*
 * q->stride doublewords. When many have come, those that need not wait are
 * issued. Without memory for the others devices that may not be asked now are
 * marked.
 */
void hostinv_put(struct hostinv *h, const uint64_t *cmd);
const uint64_t *hostinv_last(const struct hostinv *h);
/*
 * Never fails: a command that hardware refuses is issued again until the unit
 * is given up, a device that does not answer is marked, a dead queue has
 * stopped all DMA. Never waits for a window either: a device that may not be
 * asked now is marked without.
 */
void hostinv_finish(struct hostinv *h);
/* Only what need not wait: true if that was all. The rest is still in @h. */
bool hostinv_try(struct hostinv *h);
/* Waits for windows: with no lock that others may need. */
void hostinv_wait(struct hostinv *h);

/* Splits 4 KiB pages @first to @last into at most this many aligned runs */
#define RUNS_MAX 8

struct run {
	uint64_t page;
	unsigned int order;
};

/*
 * Size-aligned runs of 2^order pages, order at most @order_max, that cover
 * [@first, @last] of page numbers: exactly that, unless it takes more than
 * RUNS_MAX. Then up to a quarter more is covered. How many; 0: not even so.
 */
unsigned int runs_cover(uint64_t first, uint64_t last, unsigned int order_max,
			struct run runs[RUNS_MAX]);

#endif
