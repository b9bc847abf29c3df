/* SPDX-License-Identifier: MIT */
/* The way of older kernels, which the tests check on newer ones too. */
#ifndef MEM_CLIENT_PRIV_H
#define MEM_CLIENT_PRIV_H

#include <stdbool.h>
#include <stdint.h>

struct client_check_range {
	uint64_t first;
	uint64_t last;
	bool write;
};

int client_check_text(struct client_check_range range);

#endif
