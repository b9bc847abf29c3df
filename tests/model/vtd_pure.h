/* SPDX-License-Identifier: MIT */
/*
 * Memory and an environment for VT-d's tables and walks without an engine.
 * Words are worked out by hand from the specification; no hardware definition
 * is used.
 */
#ifndef TESTS_MODEL_VTD_PURE_H
#define TESTS_MODEL_VTD_PURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/reader.h"
#include "mem/guard.h"
#include "mem/phys.h"
#include "model/vtd/config.h"
#include "model/vtd/walk.h"

#define PRAM	  0x10000000ULL
#define PRAM_SIZE 0x400000ULL
#define NOWHERE	  0x7000000000ULL /* an address without memory */

/* ND 6, SAGAW 39 48 57, MGAW 57, SSLPS 2M 1G, PSI, FS1GP, FS5LP */
#define P_CAP 0x1100008c00380e06ULL
/* C QI DT PT SC, NEST, PRS, SRS, NWFS, EAFS, PSS 20, PASID, SMTS, SSADS, SSTS,
 * FSTS, SMPWC, RPS, ADMS, RPRIVS */
#define P_ECAP	 0x0033e99ea40000c7ULL
#define E_DT	 0x0000000000000004ULL
#define E_PT	 0x0000000000000040ULL
#define E_SC	 0x0000000000000080ULL
#define E_NEST	 0x0000000004000000ULL
#define E_PRS	 0x0000000020000000ULL
#define E_SRS	 0x0000000080000000ULL
#define E_EAFS	 0x0000000400000000ULL
#define E_PASID	 0x0000010000000000ULL
#define E_SMTS	 0x0000080000000000ULL
#define E_SSADS	 0x0000200000000000ULL
#define E_SSTS	 0x0000400000000000ULL
#define E_FSTS	 0x0000800000000000ULL
#define E_SMPWC	 0x0001000000000000ULL
#define E_RPS	 0x0002000000000000ULL
#define E_ADMS	 0x0010000000000000ULL
#define E_RPRIVS 0x0020000000000000ULL

struct pure {
	struct phys *phys;
	char *ram;
	uint64_t used;
	struct vtd_id id;
	struct walk_cursors cursors;
	struct walk_env env;
	struct vtd_source source;
	struct vtd_space space;
	struct vtd_denial fault;
	struct vtd_walk out;
};

static inline uint64_t *pat(struct pure *p, uint64_t pa)
{
	return (uint64_t *)(p->ram + (pa - PRAM));
}

static inline uint64_t ppage(struct pure *p)
{
	p->used += 0x1000;
	return PRAM + p->used - 0x1000;
}

static inline void pure_up(struct pure *p)
{
	struct phys_range *range;

	memset(p, 0, sizeof(*p));
	assert_int_equal(phys_create(46, &p->phys), 0);
	p->ram = aligned_alloc(4096, PRAM_SIZE);
	assert_non_null(p->ram);
	memset(p->ram, 0, PRAM_SIZE);
	assert_int_equal(phys_add_at(p->phys, PRAM, p->ram, PRAM_SIZE,
				     PHYS_READ | PHYS_WRITE, &range),
			 0);
	p->id = (struct vtd_id){ 0x50, P_CAP, P_ECAP, 46 };
	p->env = (struct walk_env){
		.phys = p->phys,
		.cursors = &p->cursors,
		.oas_bits = 46,
	};
	reader_enter();
}

static inline void pure_down(struct pure *p)
{
	reader_exit();
	phys_destroy(p->phys);
	free(p->ram);
}

static inline int pure_group(void **state)
{
	(void)state;
	return guard_init();
}

#endif
