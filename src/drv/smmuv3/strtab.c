// SPDX-License-Identifier: MIT
/*
 * The stream table, Arm IHI 0070 3.3 and 5.1: linear, or two levels whose
 * second is made when a stream of it appears. Every STE that exists is valid;
 * what has no owner aborts without an event.
 */
#include <errno.h>

#include "drv/smmuv3/tlb.h"
#include "drv/smmuv3/unit.h"
#include "hwdef/smmuv3_regs.h"

#define LINEAR_BITS_MAX 16 /* 4 MiB */
#define L1_BITS_MAX	17 /* 1 MiB */

static void fill_abort(void *table, uint32_t n)
{
	struct smmuv3_ste *ste = table;
	uint64_t abort_ste[8];

	ste_abort(abort_ste);
	for (uint32_t i = 0; i < n; i++)
		ste[i].dw[0] = le64_make(abort_ste[0]);
}

static int init_linear(struct unit *u, struct strtab *t)
{
	size_t bytes;
	int rc;

	if (t->sid_bits > LINEAR_BITS_MAX)
		t->sid_bits = LINEAR_BITS_MAX;
	bytes = sizeof(struct smmuv3_ste) << t->sid_bits;
	rc = hosttables_init(&u->port, &t->l2, 0, bytes, &t->top);
	if (rc)
		return rc;
	fill_abort(t->top.host, 1u << t->sid_bits);
	unit_write64(u, SMMUV3_STRTAB_BASE, SMMUV3_STRTAB_BASE_RA | t->top.pa);
	unit_write(u, SMMUV3_STRTAB_BASE_CFG, t->sid_bits);
	return 0;
}

static int init_2lvl(struct unit *u, struct strtab *t)
{
	uint32_t n;
	int rc;

	if (t->sid_bits > L1_BITS_MAX + STRTAB_SPLIT)
		t->sid_bits = L1_BITS_MAX + STRTAB_SPLIT;
	n = 1u << (t->sid_bits - STRTAB_SPLIT);
	rc = hosttables_init(&u->port, &t->l2, n, n * SMMUV3_L1STD_SIZE,
			     &t->top);
	if (rc)
		return rc;
	unit_write64(u, SMMUV3_STRTAB_BASE, SMMUV3_STRTAB_BASE_RA | t->top.pa);
	unit_write(
		u, SMMUV3_STRTAB_BASE_CFG,
		(uint32_t)(field_prep(SMMUV3_STRTAB_CFG_FMT,
				      SMMUV3_STRTAB_FMT_2LVL) |
			   field_prep(SMMUV3_STRTAB_CFG_SPLIT, STRTAB_SPLIT) |
			   t->sid_bits));
	return 0;
}

int strtab_init(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);
	struct strtab *t = &u->strtab;

	t->sid_bits = u->feat.sid_bits;
	/* 6.3.24: with so few streams two levels save nothing */
	if (u->feat.strtab_2lvl && t->sid_bits > STRTAB_SPLIT)
		return init_2lvl(u, t);
	return init_linear(u, t);
}

void strtab_fini(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);

	hosttables_fini(&u->port, &u->strtab.l2, &u->strtab.top);
}

static int make_l2(struct unit *u, uint32_t sid)
{
	size_t bytes = sizeof(struct smmuv3_ste) << STRTAB_SPLIT;
	uint32_t i = sid >> STRTAB_SPLIT;
	struct strtab *t = &u->strtab;
	le64 *l1 = t->top.host;
	struct hostinv h;
	bool fresh;
	int rc;

	rc = hosttables_need(&u->port, &t->l2, i, bytes, &fresh);
	if (rc || !fresh)
		return rc;
	fill_abort(t->l2.below[i].host, 1u << STRTAB_SPLIT);
	hostmem_store(&l1[i],
		      (t->l2.below[i].pa & SMMUV3_L1STD_L2PTR) |
			      field_prep(SMMUV3_L1STD_SPAN, STRTAB_SPLIT + 1));
	/* the invalid descriptor may have been cached */
	hostinv_init(&h, u);
	hostinv_ste(&h, sid, false);
	hostinv_finish(&h);
	return 0;
}

int strtab_entry(struct unit *u, uint32_t sid, struct smmuv3_ste **ste)
{
	struct strtab *t = &u->strtab;
	struct smmuv3_ste *table = t->top.host;
	int rc;

	if (sid > low_mask(t->sid_bits))
		return -ERANGE;
	if (t->l2.n) {
		rc = make_l2(u, sid);
		if (rc)
			return rc;
		table = t->l2.below[sid >> STRTAB_SPLIT].host;
		sid &= (uint32_t)low_mask(STRTAB_SPLIT);
	}
	*ste = &table[sid];
	return 0;
}

/* ---- changing an STE that is in use ---- */

static void sync_ste(struct master *m)
{
	struct hostinv h;

	hostinv_init(&h, m->unit);
	hostinv_ste(&h, m->dev->stream_id, true);
	hostinv_finish(&h);
}

/* Writes the words of @want that differ, but not word @skip. */
static void write_words(struct master *m, const uint64_t want[8], int skip)
{
	bool changed = false;

	for (int i = 7; i >= 0; i--) {
		if (i == skip || le64_get(m->ste->dw[i]) == want[i])
			continue;
		hostmem_store(&m->ste->dw[i], want[i]);
		changed = true;
	}
	if (changed)
		sync_ste(m);
}

/*
 * 3.21.3: hardware reads 8 bytes at once and may read an STE at any moment, so
 * first come the bits that the present STE does not use. If then a single
 * doubleword makes the difference, the stream changes over without a gap;
 * otherwise it is invalid (DMA aborts) for a moment.
 */
void strtab_install(struct master *m, const uint64_t target[8])
{
	uint64_t live[8];
	uint64_t live_used[8];
	uint64_t target_used[8];
	int critical = -1;
	int differ = 0;

	for (int i = 0; i < 8; i++)
		live[i] = le64_get(m->ste->dw[i]);
	ste_used(live, live_used);
	ste_used(target, target_used);
	for (int i = 0; i < 8; i++) {
		live[i] =
			(live[i] & live_used[i]) | (target[i] & ~live_used[i]);
		if ((live[i] ^ target[i]) & target_used[i]) {
			critical = i;
			differ++;
		}
	}
	if (differ > 1) {
		hostmem_store(&m->ste->dw[0], 0);
		sync_ste(m);
		write_words(m, target, 0);
		critical = 0;
	} else if (differ) {
		write_words(m, live, critical);
	}
	if (differ) {
		hostmem_store(&m->ste->dw[critical], target[critical]);
		sync_ste(m);
	}
	write_words(m, target, -1);
}
