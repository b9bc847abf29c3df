/* SPDX-License-Identifier: MIT */
/*
 * What files of client memory share; of it the way of older kernels, which the
 * tests check on newer ones too.
 */
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

struct client_where;

/* Where the process of this maps file maps those bytes; 0 for nowhere */
uint64_t client_find_shared(const char *path, const struct client_where *where,
			    uint64_t length);
bool client_same_file(const struct client_where *a,
		      const struct client_where *b);

#endif
