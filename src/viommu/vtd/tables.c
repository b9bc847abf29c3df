// SPDX-License-Identifier: MIT
/*
 * What the guest's root, context and PASID tables ask for, as the unit that it
 * sees judges them (front/vtd/tables.h): what is not legal there blocks, as it
 * does on hardware. Each entry is read once, whole.
 */
#include <linux/iommufd.h>

#include "base/bits.h"
#include "base/le.h"
#include "front/vtd/tables.h"
#include "hwdef/vtd_regs.h"
#include "viommu/vtd/vtd.h"

#define TABLE_PASIDS (1u << VTD_PASID_TABLE_LG2)

static void tables_of(const struct vvtd *vvtd, struct vtd_tables *t)
{
	*t = (struct vtd_tables){
		.id = &vvtd->id,
		.read = vvtd->base.guest.read,
		.ctx = vvtd->base.guest.ctx,
		.any_aw = true, /* Linux sets it whatever the stage */
	};
}

static void block(struct vvtd_want *want)
{
	*want = (struct vvtd_want){ .kind = VVTD_BLOCK };
}

static void want_of_space(const struct vtd_space *space, struct vvtd_want *want)
{
	block(want);
	switch (space->pgtt) {
	case VTD_PGTT_FS:
		want->kind = VVTD_NESTED;
		want->levels = space->fs_levels;
		want->root = space->fs_root;
		if (space->sre)
			want->flags |= IOMMU_VTD_S1_SRE;
		if (space->eafe)
			want->flags |= IOMMU_VTD_S1_EAFE;
		if (space->wpe)
			want->flags |= IOMMU_VTD_S1_WPE;
		break;
	case VTD_PGTT_SS:
		want->kind = VVTD_SHADOW;
		want->levels = space->ss_levels;
		want->root = space->ss_root;
		break;
	case VTD_PGTT_PT:
		want->kind = VVTD_PASS;
		break;
	default: /* nesting in the guest is not offered */
		return;
	}
	want->did = space->did;
}

static void want_of_entry(const struct vtd_tables *t,
			  const uint64_t dw[VTD_PASID_DWORDS],
			  struct vvtd_want *want)
{
	struct vtd_space space = { 0 };
	struct vtd_denial denial;

	if (vtd_read_entry(t, dw, &space, &denial))
		want_of_space(&space, want);
	else
		block(want);
}

/* PASIDs that the unit tells apart may be fewer than a directory has. */
static uint32_t pasid_count(const struct vvtd *vvtd,
			    const struct vtd_source *source)
{
	uint32_t most = 1u << (field_get(VTD_ECAP_PSS, vvtd->id.ecap) + 1);

	return source->pasids < most ? source->pasids : most;
}

bool vvtd_context_load(struct vvtd *vvtd, const struct vtd_regs *regs,
		       uint16_t sid, struct vvtd_context *context)
{
	struct vtd_denial denial;
	struct vtd_source source;
	struct vtd_space space;
	struct vtd_tables t;

	*context = (struct vvtd_context){ 0 };
	tables_of(vvtd, &t);
	if (!vtd_read_source(&t, regs->rtaddr, sid, &source, &denial))
		return false;
	context->ats = source.ats;
	if (source.scalable) {
		context->scalable = true;
		context->directory = source.directory;
		context->rid_pasid = source.rid_pasid;
		if (source.paside)
			context->pasids = pasid_count(vvtd, &source);
		return true;
	}
	if (!vtd_read_space(&t, &source, 0, &space, &denial))
		return false;
	want_of_space(&space, &context->rid);
	return true;
}

/* The table that the entry of @pasid in the directory leads to */
static bool directory_entry(const struct vtd_tables *t,
			    const struct vvtd_context *context, uint32_t pasid,
			    uint64_t *table)
{
	struct vtd_denial denial;
	bool fpd = false;

	return vtd_read_directory(t, context->directory, pasid, &fpd, table,
				  &denial);
}

void vvtd_pasid_load(struct vvtd *vvtd, const struct vvtd_context *context,
		     uint32_t pasid, struct vvtd_want *want)
{
	const struct vtd_source source = {
		.scalable = true,
		.directory = context->directory,
	};
	struct vtd_denial denial;
	struct vtd_space space;
	struct vtd_tables t;

	tables_of(vvtd, &t);
	if (vtd_read_space(&t, &source, pasid, &space, &denial))
		want_of_space(&space, want);
	else
		block(want);
}

/* A table, in CPU order */
static bool read_table(struct vvtd *vvtd, const struct vtd_tables *t,
		       uint64_t table, uint64_t *dw)
{
	vvtd_spend(vvtd, VVTD_COST_TABLE);
	if (t->read(t->ctx, table, dw, TABLE_PASIDS * VTD_PASID_SIZE))
		return false;
	for (size_t i = 0; i < TABLE_PASIDS * VTD_PASID_DWORDS; i++)
		dw[i] = le64toh(dw[i]);
	return true;
}

int vvtd_pasids_load(struct vvtd *vvtd, const struct vvtd_context *context,
		     bool (*found)(void *ctx, uint32_t pasid,
				   const struct vvtd_want *want),
		     void *ctx)
{
	uint64_t dw[TABLE_PASIDS * VTD_PASID_DWORDS];
	struct vvtd_want want;
	struct vtd_tables t;
	uint64_t table;

	tables_of(vvtd, &t);
	for (uint32_t pasid = 0; pasid < context->pasids; pasid++) {
		uint32_t in_table = pasid & (TABLE_PASIDS - 1);
		const uint64_t *entry = dw + in_table * VTD_PASID_DWORDS;

		if (!in_table && !vvtd->slice)
			return VVTD_LEFT;
		if (!in_table)
			vvtd_spend(vvtd, VVTD_COST_ENTRY);
		if (!in_table &&
		    (!directory_entry(&t, context, pasid, &table) ||
		     !read_table(vvtd, &t, table, dw))) {
			pasid += TABLE_PASIDS - 1;
			continue;
		}
		if (!(entry[0] & VTD_PASID_0_P))
			continue;
		want_of_entry(&t, entry, &want);
		if (!found(ctx, pasid, &want))
			return 0;
	}
	return 0;
}
