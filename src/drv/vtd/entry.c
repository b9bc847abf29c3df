// SPDX-License-Identifier: MIT
/*
 * Entries that translate: those of PASID tables (9.6), in legacy mode context
 * entries (9.3). One that is present is never made another: first it goes, and
 * hardware forgets it (6.5.3.3, table 28).
 */
#include "drv/vtd/unit.h"

#define WORDS 8 /* of a PASID table entry */

static unsigned int words_of(const struct unit *u)
{
	return u->feat.scalable ? WORDS : 2;
}

static uint64_t width_code(const struct domain *d)
{
	return d->levels - 2;
}

static void first_stage(const struct nested *n, uint64_t w[WORDS])
{
	w[2] = n->s1.pgtbl_addr & VTD_PASID_2_FSPTPTR;
	if (n->s1.addr_width == 57)
		w[2] |= field_prep(VTD_PASID_2_FSPM, VTD_FSPM_5LEVEL);
	if (n->s1.flags & IOMMU_VTD_S1_EAFE)
		w[2] |= VTD_PASID_2_EAFE;
	if (!(n->s1.flags & IOMMU_VTD_S1_SRE))
		return;
	w[2] |= VTD_PASID_2_SRE;
	/* write protection is of supervisor requests */
	if (n->s1.flags & IOMMU_VTD_S1_WPE)
		w[2] |= VTD_PASID_2_WPE;
}

static void make_pasid_entry(const struct att *a, uint64_t w[WORDS])
{
	const struct unit *u = a->master->unit;
	struct domain *d = layer_tables(a->layer);
	bool nested = a->layer->core.nested;

	w[0] = VTD_PASID_0_P | pt_root(d->pt) |
	       field_prep(VTD_PASID_0_AW, width_code(d)) |
	       field_prep(VTD_PASID_0_PGTT,
			  nested ? VTD_PGTT_NESTED : VTD_PGTT_SS);
	if (__atomic_load_n(&d->dirty, __ATOMIC_RELAXED))
		w[0] |= VTD_PASID_0_SSADE;
	w[1] = field_prep(VTD_PASID_1_DID, a->did->id);
	if (u->feat.snoops)
		w[1] |= VTD_PASID_1_PWSNP;
	if (nested)
		first_stage(to_nested(&a->layer->core), w);
}

static void make_context_entry(const struct att *a, uint64_t w[WORDS])
{
	struct domain *d = layer_tables(a->layer);

	w[0] = VTD_CTX_0_P | pt_root(d->pt) |
	       field_prep(VTD_CTX_0_TT,
			  a->master->ats_on ? VTD_TT_ALL : VTD_TT_UNTRANSLATED);
	w[1] = field_prep(VTD_CTX_1_AW, width_code(d)) |
	       field_prep(VTD_CTX_1_DID, a->did->id);
}

/* Caches that have @a: of entries, of translations */
static void put_caches(struct hostinv *h, const struct att *a)
{
	struct master *m = a->master;
	uint64_t d[DESC_DWORDS];

	h->guest = &layer_tables(a->layer)->budget;
	if (m->unit->feat.scalable)
		desc_pasid_cache(a->did->id, att_pasid(a), d);
	else
		desc_context(a->did->id, m->sid, d);
	hostinv_put(h, d);
	desc_iotlb_domain(m->unit, a->did->id, d);
	hostinv_put(h, d);
}

/* And the device's own */
static void forget(const struct att *a)
{
	struct master *m = a->master;
	uint64_t d[DESC_DWORDS];
	struct hostinv h;

	vtd_unit_inv(&h, m->unit);
	put_caches(&h, a);
	if (m->ats_on) {
		desc_dev_tlb(m->unit, m->sid, att_pasid(a), 0, UINT64_MAX, d);
		hostinv_put(&h, d);
	}
	hostinv_finish(&h);
	vtd_masters_quarantine(m->unit);
}

/*
 * 6.2.2 and 6.2.3: with CM what was not present may be cached, as that of
 * domain 0, whichever it is now.
 */
static void tell(const struct att *a)
{
	struct unit *u = a->master->unit;
	uint64_t d[DESC_DWORDS];
	struct hostinv h;

	if (!u->feat.eager)
		return;
	vtd_unit_inv(&h, u);
	if (u->feat.scalable)
		desc_pasid_cache(0, att_pasid(a), d);
	else
		desc_context(0, a->master->sid, d);
	hostinv_put(&h, d);
	put_caches(&h, a);
	hostinv_finish(&h);
}

void vtd_entry_install(struct att *a)
{
	struct unit *u = a->master->unit;
	le64 *entry = vtd_tables_entry(a->master, att_pasid(a));
	uint64_t w[WORDS] = { 0 };

	if (u->feat.scalable)
		make_pasid_entry(a, w);
	else
		make_context_entry(a, w);
	for (unsigned int i = words_of(u) - 1; i; i--)
		hostmem_store(&entry[i], w[i]);
	hostmem_store(&entry[0], w[0]); /* with P: all the rest is there */
	tell(a);
}

void vtd_entry_clear(struct att *a)
{
	le64 *entry = vtd_tables_entry(a->master, att_pasid(a));

	/* P is bit 0 of both kinds; what else hardware reads stays */
	hostmem_store(&entry[0], le64_get(entry[0]) & ~VTD_PASID_0_P);
	forget(a);
	for (unsigned int i = 0; i < words_of(a->master->unit); i++)
		hostmem_store(&entry[i], 0);
}

void vtd_entry_set_dirty(struct att *a, bool on)
{
	le64 *entry = vtd_tables_entry(a->master, att_pasid(a));
	uint64_t dw0 = le64_get(entry[0]);

	if (!!(dw0 & VTD_PASID_0_SSADE) == on)
		return;
	hostmem_store(&entry[0], dw0 ^ VTD_PASID_0_SSADE);
	forget(a);
}
