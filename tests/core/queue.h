/* SPDX-License-Identifier: MIT */
/* NESTFD_HWPT_INVALIDATE_RING as tests say it. */
#ifndef TESTS_CORE_QUEUE_H
#define TESTS_CORE_QUEUE_H

#include <stdint.h>
#include <string.h>

#include <nestfd/ext.h>

#include "fake.h"

#define RING_ERRORS 3ULL /* both features */

struct queue {
	struct nestfd_hwpt_invalidate_ring arg;
	uint32_t cons;
};

/* 16-byte entries */
static inline void queue_init(struct queue *q, uint32_t id, const void *entries,
			      uint32_t bits, uint32_t num)
{
	*q = (struct queue){
		.arg = {
			.size = 56,
			.hwpt_id = id,
			.q_uptr = (uintptr_t)entries,
			.q_cons_uptr = (uintptr_t)&q->cons,
			.q_index_bits = bits,
			.q_entry_num = num,
			.q_entry_len = 16,
			.data_type = FAKE_INVAL_TYPE,
		},
	};
}

/* Consumes up to @prod; the codes of the last call do not disturb. */
static inline int queue_consume(struct world *w, struct queue *q, uint32_t prod)
{
	q->arg.q_prod = prod;
	q->arg.out_error = 0;
	q->arg.out_error_info = 0;
	return ioctl_on(w, 0x3bf1, &q->arg);
}

static inline int ext_enable(struct world *w, uint64_t features)
{
	struct nestfd_ext_enable arg = { .size = 16, .features = features };

	return ioctl_on(w, 0x3bf0, &arg);
}

/* Entry @n says that it is @n */
static inline void number_entries(void *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		memset((char *)entries + i * 16, 0, 16);
		memcpy((char *)entries + i * 16, &i, sizeof(i));
	}
}

/* What entry @n of the last call said */
static inline uint32_t logged(const struct world *w, uint32_t n)
{
	uint32_t value;

	memcpy(&value, w->unit.inval_log[n], sizeof(value));
	return value;
}

#endif
