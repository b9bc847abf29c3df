// SPDX-License-Identifier: MIT
/* The buffer of a consumer: it grows with what software queues. */
#include "front/consumer.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"

#define FIRST_SPAN 256u /* entries */

const char *thread_token(void)
{
	static _Thread_local const char token;

	return &token;
}

int consumer_init(struct consumer *consumer, uint32_t max_span,
		  size_t entry_size)
{
	struct consumer c = {
		.max_span = max_span,
		.room = max_span < FIRST_SPAN ? max_span : FIRST_SPAN,
		.entry_size = entry_size,
	};

	c.span = alloc_array(c.room, entry_size);
	if (!c.span)
		return -ENOMEM;
	*consumer = c;
	return 0;
}

void consumer_fini(struct consumer *consumer)
{
	free(consumer->span);
}

/* Without memory the span stays as it is, and the queue is taken in pieces. */
void consumer_grow(struct consumer *consumer, uint32_t n)
{
	uint32_t room = 2u << ilog2_u64(n - 1);
	void *span = alloc_grow(consumer->span, room, consumer->entry_size);

	if (!span)
		return;
	consumer->span = span;
	consumer->room = room;
}
