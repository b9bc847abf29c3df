/* SPDX-License-Identifier: MIT */
/*
 * A queue that hardware fills: events or page requests, Arm IHI 0070 3.5. Its
 * interrupt comes only when the queue was empty before. As much as it holds is
 * enough for one thread (drv/hostwork.h).
 */
#ifndef DRV_SMMUV3_OUTQ_H
#define DRV_SMMUV3_OUTQ_H

#include <stdbool.h>
#include <stdint.h>

#include "core/hwport.h"
#include "drv/hostwork.h"

#define OUTQ_DWORDS_MAX 4

struct unit;

struct outq {
	struct hostwork work;
	struct unit *unit;
	struct core_dma_mem mem;
	unsigned int lg2;
	unsigned int dwords; /* of a record */
	uint32_t prod_reg;
	uint32_t cons_reg;
	/*
	 * One record, CPU order; and overflowed() once hardware has lost some.
	 * An event queue takes records again as soon as there is room, so that
	 * those that are there may have come later: @lost_first. A PRI queue
	 * does not, and all that is there came before. Called with the work's
	 * lock held, by any thread.
	 */
	void (*record)(struct unit *u, const uint64_t *dw);
	void (*overflowed)(struct unit *u);
	bool lost_first;

	uint32_t cons; /* under the work's lock */
};

/* With the register offsets and functions set; 2^@lg2 records. -ENOMEM */
int outq_init(struct outq *q, struct unit *u, uint32_t base_reg,
	      unsigned int lg2);
void outq_fini(struct outq *q);

/* The interrupt; struct outq */
void outq_handle(void *arg);

/*
 * Everything that hardware had written before is with core when it returns.
 * With no lock that record() takes.
 */
void outq_catch_up(struct outq *q);

/*
 * The same behind a CMD_SYNC: that waits for DMA in flight, and so for those
 * who were about to handle what they made hardware write, but not for who then
 * handles more. One load if nobody does.
 */
static inline void outq_sync(struct outq *q)
{
	if (__builtin_expect(hostwork_is_busy(&q->work), 0))
		outq_catch_up(q);
}

#endif
