// SPDX-License-Identifier: MIT
/*
 * Root, context and PASID tables, chapter 9. In scalable mode a device has its
 * context entry, and nothing present below it, as long as it is here; in legacy
 * mode the context entry is what attaching changes.
 */
#include "drv/vtd/unit.h"

#define PAGE	   4096
#define BUSES	   256
#define DIR_LG2	   7 /* PDTS 0: so many directory entries, log2 */
#define DWORD	   sizeof(le64)
#define LOWER_HALF 128 /* functions below it: the lower context table */

int vtd_tables_init(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);

	return hosttables_init(&u->port, &u->contexts, BUSES * 2, PAGE,
			       &u->root);
}

void vtd_tables_fini(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);

	hosttables_fini(&u->port, &u->contexts, &u->root);
}

/* A table that is there now and was not before; 6.1: CM caches that as well */
static void root_changed(struct unit *u)
{
	uint64_t d[DESC_EVERYTHING][DESC_DWORDS];
	struct hostinv h;
	unsigned int n;

	if (!u->feat.eager)
		return;
	n = desc_everything(u, d);
	vtd_unit_inv(&h, u);
	for (unsigned int i = 0; i < n; i++)
		hostinv_put(&h, d[i]);
	hostinv_finish(&h);
}

/* @half: 1 for the upper table of scalable mode */
static int context_table(struct unit *u, unsigned int bus, unsigned int half,
			 struct core_dma_mem **out)
{
	uint32_t i = bus * 2 + half;
	le64 *root = u->root.host;
	bool fresh;
	int rc;

	rc = hosttables_need(&u->port, &u->contexts, i, PAGE, &fresh);
	if (rc)
		return rc;
	*out = &u->contexts.below[i];
	if (fresh) {
		hostmem_store(&root[i], (*out)->pa | VTD_SM_ROOT_0_LP);
		root_changed(u);
	}
	return 0;
}

static int find_context(struct master *m)
{
	struct unit *u = m->unit;
	unsigned int devfn = m->sid & 0xff;
	unsigned int half = u->feat.scalable && devfn >= LOWER_HALF;
	size_t size = u->feat.scalable ? VTD_SM_CTX_SIZE : VTD_CTX_SIZE;
	struct core_dma_mem *table;
	int rc;

	rc = context_table(u, m->sid >> 8, half, &table);
	if (rc)
		return rc;
	devfn -= half * LOWER_HALF;
	m->context = (le64 *)table->host + devfn * size / DWORD;
	return 0;
}

/* ---- below a context entry of scalable mode ---- */

static unsigned int dir_size_code(const struct master *m)
{
	unsigned int covered = DIR_LG2 + VTD_PASID_TABLE_LG2;

	return m->pasid_bits > covered ? m->pasid_bits - covered : 0;
}

static int add_directory(struct master *m)
{
	uint32_t n = 1u << (DIR_LG2 + dir_size_code(m));
	size_t bytes = n * DWORD > PAGE ? n * DWORD : PAGE;

	return hosttables_init(&m->unit->port, &m->tables, n, bytes, &m->dir);
}

static void remove_directory(struct master *m)
{
	hosttables_fini(&m->unit->port, &m->tables, &m->dir);
}

int vtd_tables_need(struct master *m, uint32_t pasid)
{
	uint32_t i = pasid >> VTD_PASID_TABLE_LG2;
	le64 *dir = m->dir.host;
	bool fresh;
	int rc;

	if (!m->unit->feat.scalable)
		return 0;
	rc = hosttables_need(&m->unit->port, &m->tables, i, PAGE, &fresh);
	if (!rc && fresh)
		hostmem_store(&dir[i],
			      m->tables.below[i].pa | VTD_PASID_DIR_0_P);
	return rc;
}

le64 *vtd_tables_entry(const struct master *m, uint32_t pasid)
{
	const struct core_dma_mem *table;

	if (!m->unit->feat.scalable)
		return m->context;
	table = &m->tables.below[pasid >> VTD_PASID_TABLE_LG2];
	pasid &= (1u << VTD_PASID_TABLE_LG2) - 1;
	return (le64 *)table->host + pasid * VTD_PASID_SIZE / DWORD;
}

/* ---- the context entry ---- */

/* Table 28: with all that is attached; those that are not there need nothing */
static void context_changed(struct master *m)
{
	struct unit *u = m->unit;
	uint64_t d[DESC_DWORDS];
	struct hostinv h;

	vtd_unit_inv(&h, u);
	desc_context(0, m->sid, d);
	hostinv_put(&h, d);
	if (u->feat.eager) {
		desc_pasid_cache_all(d);
		hostinv_put(&h, d);
		desc_iotlb_all(u, d);
		hostinv_put(&h, d);
	}
	for (struct itree_node *n = itree_from(&m->atts, 0); n;
	     n = itree_succ(n)) {
		struct att *a = container_of(n, struct att, node);

		desc_pasid_cache_domain(a->did->id, d);
		hostinv_put(&h, d);
		desc_iotlb_domain(u, a->did->id, d);
		hostinv_put(&h, d);
	}
	hostinv_finish(&h);
}

static void context_install(struct master *m)
{
	uint64_t dw0 = m->dir.pa | VTD_SM_CTX_0_P |
		       field_prep(VTD_SM_CTX_0_PDTS, dir_size_code(m));

	if (m->ats_on)
		dw0 |= VTD_SM_CTX_0_DTE;
	if (m->pasid_bits)
		dw0 |= VTD_SM_CTX_0_PASIDE;
	if (m->ats_on && m->dev->pri && m->unit->feat.prq)
		dw0 |= VTD_SM_CTX_0_PRE;
	hostmem_store(&m->context[1], 0); /* RID_PASID 0 */
	hostmem_store(&m->context[0], dw0);
	if (m->unit->feat.eager)
		context_changed(m);
}

int vtd_tables_add(struct master *m)
{
	int rc;

	rc = find_context(m);
	if (rc || !m->unit->feat.scalable)
		return rc;
	rc = add_directory(m);
	if (!rc)
		rc = vtd_tables_need(m, 0);
	if (rc) {
		remove_directory(m);
		return rc;
	}
	context_install(m);
	return 0;
}

void vtd_tables_remove(struct master *m)
{
	if (!m->unit->feat.scalable)
		return;
	hostmem_store(&m->context[0], 0);
	context_changed(m);
	remove_directory(m);
}

/* In legacy mode there may be nothing attached, and then nothing to change. */
static void set_ats_legacy(struct master *m, bool on)
{
	struct itree_node *n = itree_from(&m->atts, 0);
	uint64_t dw0 = le64_get(m->context[0]) & ~VTD_CTX_0_TT;
	struct unit *u = m->unit;
	uint64_t d[DESC_DWORDS];
	struct hostinv h;
	uint16_t did;

	if (!n)
		return;
	did = container_of(n, struct att, node)->did->id;
	hostmem_store(&m->context[0],
		      dw0 | field_prep(VTD_CTX_0_TT, on ? VTD_TT_ALL : 0));
	vtd_unit_inv(&h, u);
	desc_context(did, m->sid, d);
	hostinv_put(&h, d);
	desc_iotlb_domain(u, did, d);
	hostinv_put(&h, d);
	hostinv_finish(&h);
}

void vtd_tables_set_ats(struct master *m, bool on)
{
	uint64_t bits = VTD_SM_CTX_0_DTE;
	uint64_t dw0;

	__atomic_store_n(&m->ats_on, on, __ATOMIC_RELEASE);
	if (!m->unit->feat.scalable) {
		set_ats_legacy(m, on);
		return;
	}
	if (m->dev->pri && m->unit->feat.prq)
		bits |= VTD_SM_CTX_0_PRE;
	dw0 = le64_get(m->context[0]);
	hostmem_store(&m->context[0], on ? dw0 | bits : dw0 & ~bits);
	context_changed(m);
}
