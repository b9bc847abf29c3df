// SPDX-License-Identifier: MIT
/*
 * Context descriptor tables, Arm IHI 0070 5.3 and 5.4, one per master. A CD
 * that is in use is replaced together with the table it lies in: a copy is
 * changed and one doubleword switches over to it (the STE's pointer, or the
 * level-1 descriptor), so that DMA never meets a half-written CD.
 */
#include <string.h>

#include "drv/smmuv3/tlb.h"
#include "drv/smmuv3/unit.h"

static size_t leaf_cds(const struct cdtab *t)
{
	return BIT_ULL(t->two_level ? CD_SPLIT : t->bits);
}

static size_t leaf_bytes(const struct cdtab *t)
{
	return leaf_cds(t) * sizeof(struct smmuv3_cd);
}

static struct core_dma_mem *leaf_of(struct cdtab *t, uint32_t ssid)
{
	return t->two_level ? &t->l2.below[ssid >> CD_SPLIT] : &t->top;
}

static struct smmuv3_cd *cd_in(const struct cdtab *t,
			       const struct core_dma_mem *leaf, uint32_t ssid)
{
	return (struct smmuv3_cd *)leaf->host + (ssid & (leaf_cds(t) - 1));
}

static bool cd_is_valid(const struct smmuv3_cd *cd)
{
	return le64_get(cd->dw[0]) & SMMUV3_CD_0_V;
}

/* While no STE leads to the table there is nothing to forget. */
static void sync_cd(struct master *m, uint32_t ssid, bool leaf)
{
	struct hostinv h;

	if (m->mode != STE_S1)
		return;
	hostinv_init(&h, m->unit);
	hostinv_cd(&h, m->dev->stream_id, ssid, leaf);
	hostinv_finish(&h);
}

/* A linear table beyond one page is used only where two levels do not exist. */
int cdtab_init(struct master *m)
{
	struct cdtab *t = &m->cdtab;
	struct cdtab fresh = { .bits = m->ssid_bits };
	uint32_t n = 0;
	int rc;

	if (t->top.host)
		return 0;
	fresh.two_level = fresh.bits > CD_SPLIT && m->unit->feat.cd_2lvl;
	if (fresh.two_level)
		n = 1u << (fresh.bits - CD_SPLIT);
	rc = hosttables_init(&m->unit->port, &fresh.l2, n,
			     n ? n * SMMUV3_L1CD_SIZE : leaf_bytes(&fresh),
			     &fresh.top);
	if (!rc)
		*t = fresh;
	return rc;
}

void cdtab_fini(struct master *m)
{
	struct cdtab *t = &m->cdtab;

	hosttables_fini(&m->unit->port, &t->l2, &t->top);
	memset(t, 0, sizeof(*t));
}

static void publish_leaf(struct master *m, uint32_t ssid,
			 const struct core_dma_mem *leaf)
{
	le64 *l1 = m->cdtab.top.host;

	hostmem_store(&l1[ssid >> CD_SPLIT],
		      (leaf->pa & SMMUV3_L1CD_L2PTR) | SMMUV3_L1CD_V);
	sync_cd(m, ssid, false);
}

static int need_leaf(struct master *m, uint32_t ssid)
{
	struct cdtab *t = &m->cdtab;
	bool fresh;
	int rc;

	if (!t->two_level)
		return 0;
	rc = hosttables_need(&m->unit->port, &t->l2, ssid >> CD_SPLIT,
			     leaf_bytes(t), &fresh);
	if (!rc && fresh)
		publish_leaf(m, ssid, leaf_of(t, ssid));
	return rc;
}

/* An invalid CD becomes valid, or one that is out of use: V comes last. */
static void write_in_place(struct master *m, uint32_t ssid,
			   const uint64_t cd[8])
{
	struct smmuv3_cd *live =
		cd_in(&m->cdtab, leaf_of(&m->cdtab, ssid), ssid);

	for (int i = 7; i > 0; i--)
		hostmem_store(&live->dw[i], cd[i]);
	sync_cd(m, ssid, true);
	hostmem_store(&live->dw[0], cd[0]);
	sync_cd(m, ssid, true);
}

static int replace_leaf(struct master *m, uint32_t ssid, const uint64_t cd[8])
{
	struct cdtab *t = &m->cdtab;
	struct core_dma_mem *leaf = leaf_of(t, ssid);
	struct core_dma_mem old = *leaf;
	struct core_dma_mem copy;
	size_t bytes = leaf_bytes(t);
	struct smmuv3_cd *slot;
	uint64_t ste[8];
	int rc;

	rc = hostmem_alloc(&m->unit->port, bytes, bytes < 64 ? 64 : bytes,
			   &copy);
	if (rc)
		return rc;
	memcpy(copy.host, old.host, bytes);
	slot = cd_in(t, &copy, ssid);
	for (int i = 0; i < 8; i++)
		slot->dw[i] = le64_make(cd[i]);
	*leaf = copy;
	if (t->two_level) {
		publish_leaf(m, ssid, leaf);
	} else if (m->mode == STE_S1) {
		for (int i = 0; i < 8; i++)
			ste[i] = le64_get(m->ste->dw[i]);
		ste[0] &= ~SMMUV3_STE_0_S1CONTEXTPTR;
		ste[0] |= copy.pa & SMMUV3_STE_0_S1CONTEXTPTR;
		strtab_install(m, ste);
	}
	hostmem_free(&m->unit->port, &old);
	return 0;
}

int cdtab_set(struct master *m, uint32_t ssid, const uint64_t cd[8])
{
	struct smmuv3_cd *live;
	int rc;

	rc = need_leaf(m, ssid);
	if (rc)
		return rc;
	live = cd_in(&m->cdtab, leaf_of(&m->cdtab, ssid), ssid);
	if (m->mode == STE_S1 && cd_is_valid(live))
		return replace_leaf(m, ssid, cd);
	write_in_place(m, ssid, cd);
	return 0;
}

void cdtab_clear(struct master *m, uint32_t ssid)
{
	struct cdtab *t = &m->cdtab;
	struct core_dma_mem *leaf;

	if (!t->top.host)
		return;
	leaf = leaf_of(t, ssid);
	if (!leaf->host)
		return;
	hostmem_store(&cd_in(t, leaf, ssid)->dw[0], 0);
	sync_cd(m, ssid, true);
}
