// SPDX-License-Identifier: MIT
/* A front's life, and what the others ask it without touching a register. */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "front/vtd/internal.h"

#define QUEUE_MOST (1u << 15) /* IQA.QS 7, 128-bit descriptors */
#define FIXED_REGS 0xf0u      /* the first byte that they leave free */
#define FRONT_PAGE 0x1000u

void vtd_changed(struct vtd_front *f, enum vtd_change what)
{
	if (f->ops.changed)
		f->ops.changed(f->ctx, what);
}

/* Features whose registers or semantics this front has not got; reserved bits
 */
static bool id_is_offered(const struct vtd_id *id)
{
	const uint64_t cap = VTD_CAP_PLMR | VTD_CAP_PHMR | VTD_CAP_PI |
			     VTD_CAP_ECMDS | BIT_ULL(3) | GENMASK_ULL(15, 13) |
			     BIT_ULL(23) | BIT_ULL(38) | GENMASK_ULL(58, 57);
	const uint64_t ecap =
		VTD_ECAP_MTS | VTD_ECAP_ERS | VTD_ECAP_VCS | VTD_ECAP_PMS |
		VTD_ECAP_TDXCS | VTD_ECAP_HPTS | VTD_ECAP_HPT1GPS |
		VTD_ECAP_RDTS | BIT_ULL(5) | GENMASK_ULL(19, 18) | BIT_ULL(24) |
		GENMASK_ULL(28, 27) | BIT_ULL(32) | BIT_ULL(54) | BIT_ULL(63);

	return !(id->cap & cap) && !(id->ecap & ecap) &&
	       !(id->ver & ~(VTD_VER_MAJ | VTD_VER_MIN));
}

static bool sizes_are_valid(const struct vtd_id *id)
{
	uint64_t large = field_get(VTD_CAP_SSLPS, id->cap);

	return id->haw >= 32 && id->haw <= 64 &&
	       field_get(VTD_CAP_ND, id->cap) != 7 &&
	       !(field_get(VTD_CAP_SAGAW, id->cap) & 0x11) &&
	       field_get(VTD_CAP_MGAW, id->cap) && large <= 3 && large != 2;
}

/* Features, in CAP or ECAP, and what of ECAP each needs (11.4.2, 11.4.3) */
static bool features_are_valid(const struct vtd_id *id)
{
	static const struct {
		uint64_t cap;
		uint64_t ecap;
		uint64_t needs;
	} rules[] = {
		{ 0, VTD_ECAP_DT | VTD_ECAP_IR | VTD_ECAP_SMTS, VTD_ECAP_QI },
		{ 0, VTD_ECAP_EIM | VTD_ECAP_MHMV | VTD_ECAP_IRREQ,
		  VTD_ECAP_IR },
		{ 0, VTD_ECAP_EIMER, VTD_ECAP_EIM },
		{ 0, VTD_ECAP_PDS | VTD_ECAP_DIT | VTD_ECAP_NWFS, VTD_ECAP_DT },
		{ 0, VTD_ECAP_PRS, VTD_ECAP_DT | VTD_ECAP_SMTS },
		{ 0, VTD_ECAP_SMS, VTD_ECAP_PRS },
		{ 0,
		  VTD_ECAP_PASID | VTD_ECAP_PSS | VTD_ECAP_SRS | VTD_ECAP_RPS |
			  VTD_ECAP_SMPWCS | VTD_ECAP_FSTS,
		  VTD_ECAP_SMTS },
		{ 0, VTD_ECAP_NEST,
		  VTD_ECAP_SMTS | VTD_ECAP_FSTS | VTD_ECAP_SSTS },
		{ 0, VTD_ECAP_EAFS, VTD_ECAP_FSTS | VTD_ECAP_SMPWCS },
		{ 0, VTD_ECAP_SSADS, VTD_ECAP_SMPWCS },
		{ 0, VTD_ECAP_RPRIVS, VTD_ECAP_SRS },
		{ 0, VTD_ECAP_PTRS, VTD_ECAP_DT | VTD_ECAP_PASID },
		{ 0, VTD_ECAP_SSIRWS, VTD_ECAP_SSTS },
		{ VTD_CAP_FS5LP | VTD_CAP_FS1GP, 0, VTD_ECAP_FSTS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (((id->cap & rules[i].cap) || (id->ecap & rules[i].ecap)) &&
		    (id->ecap & rules[i].needs) != rules[i].needs)
			return false;
	}
	return !((id->ecap & VTD_ECAP_SMTS) && (id->cap & VTD_CAP_RWBF));
}

static uint32_t fault_count(const struct vtd_id *id)
{
	return (uint32_t)field_get(VTD_CAP_NFR, id->cap) + 1;
}

/* Fault recording and IOTLB registers, beside the fixed ones and each other */
static bool places_are_valid(const struct vtd_id *id)
{
	uint64_t fro = field_get(VTD_CAP_FRO, id->cap) * 16;
	uint64_t iro = field_get(VTD_ECAP_IRO, id->ecap) * 16;

	return fro >= FIXED_REGS && iro >= FIXED_REGS &&
	       (iro + 16 <= fro || iro >= fro + fault_count(id) * 16);
}

uint32_t vtd_front_size(const struct vtd_front *f)
{
	uint64_t fro = field_get(VTD_CAP_FRO, f->id.cap);
	uint64_t iro = field_get(VTD_ECAP_IRO, f->id.ecap);
	uint64_t end =
		fro + f->fault_count > iro + 1 ? fro + f->fault_count : iro + 1;

	return (uint32_t)((end * 16 + FRONT_PAGE - 1) & ~(FRONT_PAGE - 1));
}

static int allocate(struct vtd_front *f, uint32_t max_span)
{
	if (!max_span || max_span > QUEUE_MOST)
		max_span = QUEUE_MOST;
	f->fault_count = fault_count(&f->id);
	f->faults = alloc_array(f->fault_count, sizeof(f->faults[0]));
	if (!f->faults)
		return -ENOMEM;
	return consumer_init(&f->consumer, max_span, VTD_QI_SIZE_WIDE);
}

int vtd_front_create(const struct vtd_front_config *config,
		     const struct vtd_front_ops *ops, void *ctx,
		     struct vtd_front **front)
{
	const struct vtd_id *id = &config->id;
	struct vtd_front *f;
	int rc;

	if (!id_is_offered(id) || !sizes_are_valid(id) ||
	    !features_are_valid(id) || !places_are_valid(id))
		return -EINVAL;

	f = alloc_zero(sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->id = *id;
	f->ops = *ops;
	f->ctx = ctx;
	f->mem = (struct front_memory){ ops->read, ops->write, ctx };
	rc = allocate(f, config->max_span);
	if (rc) {
		free(f->faults);
		free(f);
		return rc;
	}
	pthread_mutex_init(&f->lock, NULL);
	front_output_init(&f->prq);
	for (int i = 0; i < VTD_EVENTS; i++)
		f->events[i].control = (uint32_t)VTD_ECTL_IM;
	*front = f;
	return 0;
}

void vtd_front_destroy(struct vtd_front *f)
{
	if (!f)
		return;
	front_output_fini(&f->prq);
	pthread_mutex_destroy(&f->lock);
	consumer_fini(&f->consumer);
	free(f->faults);
	free(f);
}

/* Acquire: the fields are not read before @seq (front/ordered.h). */
void vtd_front_regs(struct vtd_front *f, struct vtd_regs *regs)
{
	uint32_t before;

	do {
		before = load_acquire(&f->seq);
		regs->rtaddr = load_acquire(&f->regs.rtaddr);
		regs->irta = load_acquire(&f->regs.irta);
		regs->enabled = load_acquire(&f->regs.enabled);
	} while ((before & 1) || load_relaxed(&f->seq) != before);
}

const struct vtd_id *vtd_front_id(const struct vtd_front *f)
{
	return &f->id;
}
