// SPDX-License-Identifier: MIT
/*
 * The registers, VT-d 11.4, as a table (front/regs.h).
 *
 * A command of GCMD is complete when GSTS says so, after its consequences; an
 * enable that is under way ignores a second change.
 */
#include "front/regs.h"
#include "front/vtd/internal.h"

/* What GSTS repeats, as opposed to the one-shot commands */
#define LEVELS (VTD_GCMD_TE | VTD_GCMD_QIE | VTD_GCMD_IRE | VTD_GCMD_CFI)

static uint32_t gcmd_bits(const struct vtd_id *id)
{
	uint64_t bits = VTD_GCMD_TE | VTD_GCMD_SRTP;

	if (id->ecap & VTD_ECAP_QI)
		bits |= VTD_GCMD_QIE;
	if (id->ecap & VTD_ECAP_IR)
		bits |= VTD_GCMD_IRE | VTD_GCMD_SIRTP | VTD_GCMD_CFI;
	return (uint32_t)bits;
}

/* SRTP and SIRTP: their status is clear until the new pointer is in use. */
static uint32_t set_pointers_locked(struct vtd_front *f, uint32_t value)
{
	uint64_t addr = low_mask(f->id.haw) | low_mask(12);
	uint32_t what = 0;

	if (value & VTD_GCMD_SRTP) {
		picture_set(f->seq, f->regs.rtaddr, f->rtaddr & addr);
		what |= FOLLOW_ROOT;
	}
	if (value & VTD_GCMD_SIRTP) {
		picture_set(f->seq, f->regs.irta, f->irta & addr);
		what |= FOLLOW_IRTA;
	}
	store_release(&f->gsts,
		      f->gsts & ~(value &
				  (uint32_t)(VTD_GCMD_SRTP | VTD_GCMD_SIRTP)));
	return what;
}

static uint32_t write_gcmd(void *front, const struct front_access *access)
{
	struct vtd_front *f = front;
	uint32_t cmd = (uint32_t)access->value & gcmd_bits(&f->id);
	uint32_t changed = (f->regs.enabled ^ cmd) & (uint32_t)LEVELS &
			   ~(f->regs.enabled ^ f->gsts);
	uint32_t what = set_pointers_locked(f, cmd);

	picture_set(f->seq, f->regs.enabled, f->regs.enabled ^ changed);
	if (!(f->regs.enabled & (VTD_GCMD_TE | VTD_GCMD_IRE)))
		f->fault_next = 0; /* 7.2.1 */
	if (changed & VTD_GCMD_TE)
		what |= FOLLOW_TE;
	if (changed & (VTD_GCMD_IRE | VTD_GCMD_CFI))
		what |= FOLLOW_IRE;
	if (changed & VTD_GCMD_QIE)
		what |= FOLLOW_KICK; /* the consumer acknowledges */
	return what;
}

/* A request is under way from when its command bit is set: hands off. */
static uint32_t write_command(uint64_t *field,
			      const struct front_access *access, uint64_t legal,
			      uint64_t go, uint32_t follow)
{
	if (*field & go)
		return 0;
	*field = front_merge(*field, access, legal | go);
	return *field & go ? follow : 0;
}

static uint32_t write_ccmd(void *front, const struct front_access *access)
{
	struct vtd_front *f = front;

	return write_command(&f->ccmd, access,
			     VTD_CCMD_CIRG | VTD_CCMD_FM | VTD_CCMD_SID |
				     VTD_CCMD_DID,
			     VTD_CCMD_ICC, FOLLOW_CCMD);
}

static uint32_t write_iotlb(void *front, const struct front_access *access)
{
	struct vtd_front *f = front;

	return write_command(&f->iotlb, access,
			     VTD_IOTLB_IIRG | VTD_IOTLB_DR | VTD_IOTLB_DW |
				     VTD_IOTLB_DID,
			     VTD_IOTLB_IVT, FOLLOW_IOTLB);
}

static uint32_t write_iva(void *front, const struct front_access *access)
{
	struct vtd_front *f = front;

	if (!(f->iotlb & VTD_IOTLB_IVT))
		f->iva = front_merge(f->iva, access,
				     VTD_IVA_ADDR | VTD_IVA_IH | VTD_IVA_AM);
	return 0;
}

static uint64_t read_fsts(const void *front, const struct front_access *access)
{
	(void)access;
	return vtd_fsts_locked(front);
}

static uint32_t write_fsts(void *front, const struct front_access *access)
{
	struct vtd_front *f = front;
	uint32_t cleared = f->fsts & (uint32_t)access->value;
	uint32_t what = 0;

	store_release(&f->fsts, f->fsts ^ cleared);
	vtd_serviced_locked(f, VTD_IRQ_FAULT);
	if (cleared & VTD_FSTS_ITE)
		what |= FOLLOW_ITE | FOLLOW_KICK;
	if (cleared & VTD_FSTS_IQE)
		what |= FOLLOW_KICK;
	return what;
}

/* ICS */
static uint32_t write_ics(void *front, const struct front_access *access)
{
	struct vtd_front *f = front;

	f->ics &= ~(uint32_t)access->value;
	vtd_serviced_locked(f, VTD_IRQ_INVALIDATION);
	return 0;
}

static uint32_t write_prs(void *front, const struct front_access *access)
{
	struct vtd_front *f = front;
	uint32_t cleared = f->prs & (uint32_t)access->value;

	store_release(&f->prs, f->prs ^ cleared);
	vtd_serviced_locked(f, VTD_IRQ_PAGE_REQUEST);
	return cleared & VTD_PRS_PRO ? FOLLOW_PRQ : 0;
}

static uint32_t write_ectl(void *front, const struct front_access *access)
{
	(void)front_regs_store(front, access, VTD_ECTL_IM);
	return FOLLOW_EVENT0 << access->reg->which;
}

static uint32_t write_rtaddr(void *front, const struct front_access *access)
{
	struct vtd_front *f = front;
	uint64_t legal = VTD_RTADDR_RTA | VTD_RTADDR_TTM;

	if (f->id.ecap & VTD_ECAP_SSIRWS)
		legal |= VTD_RTADDR_SSIRWE;
	return front_regs_store(f, access, legal);
}

static uint32_t write_irta(void *front, const struct front_access *access)
{
	struct vtd_front *f = front;
	uint64_t legal = VTD_IRTA_ADDR | VTD_IRTA_S;

	if (f->id.ecap & VTD_ECAP_EIM)
		legal |= VTD_IRTA_EIME;
	return front_regs_store(f, access, legal);
}

#define AT(member) .field = offsetof(struct vtd_front, member)

/* Control, data, address and upper address of event @n */
#define EVENT(n, feature, base)                                             \
	{ (base),                                                           \
	  4,                                                                \
	  (n),                                                              \
	  AT(events[n].control),                                            \
	  .needs = (feature),                                               \
	  .write = write_ectl },                                            \
		{ (base) + 4,                                               \
		  4,                                                        \
		  0,                                                        \
		  AT(events[n].data),                                       \
		  .needs = (feature),                                       \
		  .legal = VTD_EDATA_IMD },                                 \
		{ (base) + 8,                                               \
		  4,                                                        \
		  0,                                                        \
		  AT(events[n].addr),                                       \
		  .needs = (feature),                                       \
		  .legal = VTD_EADDR_MA },                                  \
	{                                                                   \
		(base) + 12, 4, 0, AT(events[n].upper), .needs = (feature), \
							.legal = UINT32_MAX \
	}

/* clang-format off */
static const struct front_reg table[] = {
	{ VTD_VER,	4, 0, AT(id.ver) },
	{ VTD_CAP,	8, 0, AT(id.cap) },
	{ VTD_ECAP,	8, 0, AT(id.ecap) },
	{ VTD_GCMD,	4, 0, AT(gsts), .write = write_gcmd },
	{ VTD_GSTS,	4, 0, AT(gsts) },
	{ VTD_RTADDR,	8, 0, AT(rtaddr), .write = write_rtaddr },
	{ VTD_CCMD,	8, 0, AT(ccmd), .write = write_ccmd },
	{ VTD_FSTS,	4, 0, .read = read_fsts, .write = write_fsts },
	EVENT(VTD_IRQ_FAULT, 0, VTD_FECTL),
	{ VTD_IQH,	8, 0, AT(iqh), .needs = VTD_ECAP_QI,
	  .unlocked = true },
	{ VTD_IQT,	8, 0, AT(iqt), .needs = VTD_ECAP_QI,
	  .legal = VTD_IQ_INDEX, .what = FOLLOW_KICK, .unlocked = true },
	{ VTD_IQA,	8, 0, AT(iqa), .needs = VTD_ECAP_QI,
	  .legal = VTD_IQA_ADDR | VTD_IQA_DW | VTD_IQA_QS },
	{ VTD_ICS,	4, 0, AT(ics), .needs = VTD_ECAP_QI,
	  .write = write_ics },
	EVENT(VTD_IRQ_INVALIDATION, VTD_ECAP_QI, VTD_IECTL),
	{ VTD_IQERCD,	8, 0, AT(iqercd), .needs = VTD_ECAP_QI },
	{ VTD_IRTA,	8, 0, AT(irta), .needs = VTD_ECAP_IR,
	  .write = write_irta },
	{ VTD_PQH,	8, 0, AT(pqh), .needs = VTD_ECAP_PRS,
	  .legal = VTD_PQ_INDEX, .what = FOLLOW_PRQ },
	{ VTD_PQT,	8, 0, AT(pqt), .needs = VTD_ECAP_PRS,
	  .legal = VTD_PQ_INDEX },
	{ VTD_PQA,	8, 0, AT(pqa), .needs = VTD_ECAP_PRS,
	  .legal = VTD_PQA_ADDR | VTD_PQA_PQS },
	{ VTD_PRS,	4, 0, AT(prs), .needs = VTD_ECAP_PRS,
	  .write = write_prs },
	EVENT(VTD_IRQ_PAGE_REQUEST, VTD_ECAP_PRS, VTD_PECTL),
};
/* clang-format on */

/* Which record @offset is in; fault_count or more: none */
static uint32_t record_index(const struct vtd_front *f, uint32_t offset)
{
	uint32_t start = (uint32_t)field_get(VTD_CAP_FRO, f->id.cap) * 16;

	return offset < start ? UINT32_MAX : (offset - start) / 16;
}

static uint64_t read_frcd(const void *front, const struct front_access *access)
{
	const struct vtd_front *f = front;
	const struct fault_record *record =
		&f->faults[record_index(f, access->start)];

	return access->start & 8 ? record->high : record->info;
}

static uint32_t write_frcd(void *front, const struct front_access *access)
{
	struct vtd_front *f = front;

	if ((access->start & 8) &&
	    (access->value & access->bits & VTD_FRCD_1_F))
		vtd_fault_clear_locked(f, record_index(f, access->start));
	return 0;
}

/* What CAP.FRO and ECAP.IRO place */
static const struct front_reg *find(const void *front, uint32_t offset,
				    uint32_t *start)
{
	static const struct front_reg frcd = { .size = 8,
					       .read = read_frcd,
					       .write = write_frcd };
	static const struct front_reg iotlb[] = {
		{ VTD_IVA, 8, 0, AT(iva), .write = write_iva },
		{ VTD_IOTLB, 8, 0, AT(iotlb), .write = write_iotlb },
	};
	const struct vtd_front *f = front;
	uint32_t iro = (uint32_t)field_get(VTD_ECAP_IRO, f->id.ecap) * 16;

	*start = offset & ~7u;
	if (offset >= iro && offset - iro < 16)
		return &iotlb[(offset - iro) / 8];
	return record_index(f, offset) < f->fault_count ? &frcd : NULL;
}

static pthread_mutex_t *lock_of(void *front)
{
	struct vtd_front *f = front;

	return &f->lock;
}

static uint64_t features_of(const void *front)
{
	const struct vtd_front *f = front;

	return f->id.ecap;
}

static void acknowledge(struct vtd_front *f, uint64_t set, uint64_t follow)
{
	pthread_mutex_lock(&f->lock);
	store_release(&f->gsts,
		      (f->gsts | (uint32_t)set) ^
			      ((f->regs.enabled ^ f->gsts) & (uint32_t)follow));
	pthread_mutex_unlock(&f->lock);
}

/* Consequences of a GCMD, each before its status */
static void follow_gcmd(struct vtd_front *f, uint32_t what)
{
	if (what & FOLLOW_ROOT) {
		vtd_changed(f, VTD_CHANGE_ROOT);
		acknowledge(f, VTD_GCMD_SRTP, 0);
	}
	if (what & FOLLOW_IRTA) {
		vtd_changed(f, VTD_CHANGE_IRTA);
		acknowledge(f, VTD_GCMD_SIRTP, 0);
	}
	if (what & FOLLOW_TE) {
		vtd_changed(f, VTD_CHANGE_TE);
		acknowledge(f, 0, VTD_GCMD_TE);
	}
	if (what & FOLLOW_IRE) {
		vtd_changed(f, VTD_CHANGE_IRE);
		acknowledge(f, 0, VTD_GCMD_IRE | VTD_GCMD_CFI);
	}
}

static void follow(void *front, uint32_t what)
{
	struct vtd_front *f = front;

	follow_gcmd(f, what);
	if (what & FOLLOW_CCMD)
		vtd_invalidate_context(f);
	if (what & FOLLOW_IOTLB)
		vtd_invalidate_iotlb(f);
	if (what & FOLLOW_ITE)
		vtd_changed(f, VTD_CHANGE_ITE);
	if (what & FOLLOW_KICK)
		vtd_kick(f);
	if (what & FOLLOW_PRQ)
		vtd_changed(f, VTD_CHANGE_PRQ);
	for (unsigned int i = 0; i < VTD_EVENTS; i++) {
		if (what & (FOLLOW_EVENT0 << i))
			vtd_deliver(f, (enum vtd_irq)i);
	}
}

static const struct front_regs regs = {
	.table = table,
	.count = ARRAY_SIZE(table),
	.find = find,
	.lock = lock_of,
	.features = features_of,
	.follow = follow,
};

uint64_t vtd_front_read(struct vtd_front *f, uint32_t offset, unsigned int size)
{
	if ((offset & ~7u) == VTD_IQH || (offset & ~7u) == VTD_IQT)
		vtd_unstarve(f);
	return front_regs_read(&regs, f, offset, size);
}

void vtd_front_write(struct vtd_front *f, uint32_t offset, unsigned int size,
		     uint64_t value)
{
	/* the busiest one; the store is before the kick, which is its release
	 */
	if (offset == VTD_IQT && (size == 4 || size == 8) &&
	    (f->id.ecap & VTD_ECAP_QI)) {
		store_release(&f->iqt, value & VTD_IQ_INDEX);
		vtd_kick(f);
		return;
	}
	front_regs_write(&regs, f, offset, size, value);
}
