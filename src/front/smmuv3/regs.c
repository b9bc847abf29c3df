// SPDX-License-Identifier: MIT
/*
 * The registers, Arm IHI 0070 chapter 6, with the update rules of SMMUv3.2:
 * a write that is not allowed now is ignored. A table (front/regs.h) says which
 * registers there are.
 *
 * Each update is made under the lock, its consequences after it. An Update
 * (CR0, GBPA, IRQ_CTRL) is acknowledged when its consequences have happened; a
 * field that waits for its acknowledgement ignores a second change (6.3.9).
 */
#include "front/regs.h"
#include "front/smmuv3/internal.h"

#define PAGE1 0x10000u

#define set_picture(f, field, value) \
	picture_set((f)->seq, (f)->regs.field, (value))

/* What follows from a register write, in this order */
#define FOLLOW_SMMUEN	(1u << 0)
#define FOLLOW_EVENTQEN (1u << 1)
#define FOLLOW_PRIQEN	(1u << 2)
#define FOLLOW_GBPA	(1u << 3)
#define FOLLOW_STRTAB	(1u << 4)
#define FOLLOW_EVENTQ	(1u << 5)
#define FOLLOW_KICK	(1u << 6)

/* Off, and known to be off: what the bits guard may change (6.2) */
static bool is_off(const struct smmuv3_front *f, uint32_t bits)
{
	return !((f->regs.cr0 | f->cr0ack) & bits);
}

static bool irq_is_off(const struct smmuv3_front *f, unsigned int irq)
{
	return !((f->irq_ctrl | f->irq_ctrlack) & f->irqs[irq].enable);
}

static uint32_t write_cr0(void *front, const struct front_access *access)
{
	const uint32_t at_once = SMMUV3_CR0_ATSCHK | SMMUV3_CR0_VMW;
	struct smmuv3_front *f = front;
	uint32_t changed = (f->regs.cr0 ^ (uint32_t)access->value) &
			   f->cr0_bits & ~(f->regs.cr0 ^ f->cr0ack);
	uint32_t what = 0;

	set_picture(f, cr0, f->regs.cr0 ^ changed);
	store_release(&f->cr0ack, f->cr0ack ^ (changed & at_once));
	if (changed & SMMUV3_CR0_SMMUEN)
		what |= FOLLOW_SMMUEN;
	if (changed & SMMUV3_CR0_EVENTQEN)
		what |= FOLLOW_EVENTQEN;
	if (changed & SMMUV3_CR0_PRIQEN)
		what |= FOLLOW_PRIQEN;
	if (changed & SMMUV3_CR0_CMDQEN)
		what |= FOLLOW_KICK; /* the consumer acknowledges */
	return what;
}

static uint32_t write_cr1(void *front, const struct front_access *access)
{
	const uint32_t queues =
		SMMUV3_CR0_CMDQEN | SMMUV3_CR0_EVENTQEN | SMMUV3_CR0_PRIQEN;
	struct smmuv3_front *f = front;
	uint64_t legal = 0;

	if (is_off(f, SMMUV3_CR0_SMMUEN))
		legal |= SMMUV3_CR1_TABLE_SH | SMMUV3_CR1_TABLE_OC |
			 SMMUV3_CR1_TABLE_IC;
	if (is_off(f, queues))
		legal |= SMMUV3_CR1_QUEUE_SH | SMMUV3_CR1_QUEUE_OC |
			 SMMUV3_CR1_QUEUE_IC;
	set_picture(f, cr1, (uint32_t)front_merge(f->regs.cr1, access, legal));
	return 0;
}

static uint32_t write_cr2(void *front, const struct front_access *access)
{
	struct smmuv3_front *f = front;

	if (is_off(f, SMMUV3_CR0_SMMUEN))
		set_picture(f, cr2, (uint32_t)access->value & f->cr2_bits);
	return 0;
}

/* Ignored without Update, or while one is under way (6.3.14.1) */
static uint32_t write_gbpa(void *front, const struct front_access *access)
{
	const uint32_t legal = SMMUV3_GBPA_MEMATTR | SMMUV3_GBPA_MTCFG |
			       SMMUV3_GBPA_ALLOCCFG | SMMUV3_GBPA_SHCFG |
			       SMMUV3_GBPA_PRIVCFG | SMMUV3_GBPA_INSTCFG |
			       SMMUV3_GBPA_ABORT;
	struct smmuv3_front *f = front;

	if (!(access->value & SMMUV3_GBPA_UPDATE) || f->gbpa_update)
		return 0;
	f->gbpa_update = true;
	set_picture(f, gbpa, (uint32_t)access->value & legal);
	return FOLLOW_GBPA;
}

static uint64_t read_gbpa(const void *front, const struct front_access *access)
{
	const struct smmuv3_front *f = front;

	(void)access;
	return f->regs.gbpa | (f->gbpa_update ? SMMUV3_GBPA_UPDATE : 0);
}

static uint32_t write_irq_ctrl(void *front, const struct front_access *access)
{
	struct smmuv3_front *f = front;

	f->irq_ctrl ^= (f->irq_ctrl ^ (uint32_t)access->value) &
		       f->irq_ctrl_bits & ~(f->irq_ctrl ^ f->irq_ctrlack);
	front_irq_settle(f);
	return 0;
}

/* Toggling an inactive error activates it here, without an interrupt */
static uint32_t write_gerrorn(void *front, const struct front_access *access)
{
	struct smmuv3_front *f = front;
	bool had_abort = front_error_active(f, SMMUV3_GERROR_EVENTQ_ABT);

	store_ordered(&f->gerrorn, (uint32_t)access->value & f->gerror_bits);
	if (had_abort && !front_error_active(f, SMMUV3_GERROR_EVENTQ_ABT))
		return FOLLOW_EVENTQ | FOLLOW_KICK;
	return FOLLOW_KICK;
}

static uint32_t write_strtab_base(void *front,
				  const struct front_access *access)
{
	struct smmuv3_front *f = front;
	uint64_t legal = SMMUV3_STRTAB_BASE_RA |
			 (SMMUV3_STRTAB_BASE_ADDR & f->addr_bits);

	if (!is_off(f, SMMUV3_CR0_SMMUEN))
		return 0;
	set_picture(f, strtab_base,
		    front_merge(f->regs.strtab_base, access, legal));
	return FOLLOW_STRTAB;
}

/* FMT and SPLIT are RES0 without two-level tables (6.3.25) */
static uint32_t write_strtab_cfg(void *front, const struct front_access *access)
{
	struct smmuv3_front *f = front;
	uint64_t legal = SMMUV3_STRTAB_CFG_LOG2SIZE;

	if (!is_off(f, SMMUV3_CR0_SMMUEN))
		return 0;
	if (f->id.idr[0] & SMMUV3_IDR0_ST_LEVEL)
		legal |= SMMUV3_STRTAB_CFG_FMT | SMMUV3_STRTAB_CFG_SPLIT;
	set_picture(f, strtab_cfg, (uint32_t)access->value & (uint32_t)legal);
	return FOLLOW_STRTAB;
}

/* Bases and indices of a queue whose enable in CR0 is @which */
static uint32_t write_queue(void *front, const struct front_access *access)
{
	struct smmuv3_front *f = front;

	if (!is_off(f, access->reg->which))
		return 0;
	return front_regs_store(f, access,
				access->reg->legal &
					(f->addr_bits | SMMUV3_Q_BASE_HINT));
}

/* Of interrupt @which. LO alone does not depend on MSIs (6.3.1). */
static uint32_t write_irq_cfg(void *front, const struct front_access *access)
{
	struct smmuv3_front *f = front;
	uint64_t legal = access->reg->legal & f->addr_bits;

	if (!irq_is_off(f, access->reg->which))
		return 0;
	if (!(f->id.idr[0] & SMMUV3_IDR0_MSI))
		legal &= SMMUV3_IRQ_CFG2_LO;
	return front_regs_store(f, access, legal);
}

/* The bits of an index above its wrap bit read as zero (6.3.28) */
static uint32_t index_bits(uint32_t reg, unsigned int lg2, uint64_t flags)
{
	return reg & (front_index_mask(lg2) | (uint32_t)flags);
}

static uint64_t read_cmdq_cons(const void *front,
			       const struct front_access *access)
{
	const struct smmuv3_front *f = front;

	(void)access;
	return index_bits(load_ordered(&f->cmdq_cons), front_cmdq_lg2(f),
			  SMMUV3_CMDQ_CONS_ERR);
}

static uint64_t read_outq_prod(const void *front,
			       const struct front_access *access)
{
	const struct smmuv3_front *f = front;
	const struct out_queue *q =
		access->reg->which == SMMUV3_CR0_PRIQEN ? &f->priq : &f->eventq;

	return index_bits(load_ordered(&q->prod), front_outq_lg2(q),
			  SMMUV3_Q_OVFLG);
}

/* What identifies the component: class 0xf, no JEDEC code of anybody */
static uint64_t read_cidr(const void *front, const struct front_access *access)
{
	static const uint32_t cidr[] = { 0x0d, 0xf0, 0x05, 0xb1 };

	(void)front;
	return cidr[access->reg->which];
}

#define AT(member) .field = offsetof(struct smmuv3_front, member)
#define Q_BASE_BITS \
	(SMMUV3_Q_BASE_HINT | SMMUV3_Q_BASE_ADDR | SMMUV3_Q_BASE_LOG2SIZE)
#define INDEX_BITS (SMMUV3_Q_INDEX | SMMUV3_Q_OVFLG)
#define CFG2_BITS  (SMMUV3_IRQ_CFG2_MEMATTR | SMMUV3_IRQ_CFG2_SH)
#define PRI_MSI	   (SMMUV3_IDR0_PRI | SMMUV3_IDR0_MSI)

/* PROD and CONS of an output queue, enabled by @cr0 */
#define INDICES(offset, q, cr0, feature, follow)                 \
	{ (offset),                                              \
	  4,                                                     \
	  (cr0),                                                 \
	  AT(q.prod),                                            \
	  .needs = (feature),                                    \
	  .legal = INDEX_BITS,                                   \
	  .unlocked = true,                                      \
	  .read = read_outq_prod,                                \
	  .write = write_queue },                                \
	{                                                        \
		(offset) + 4, 4, 0, AT(q.cons),                  \
			.needs = (feature), .legal = INDEX_BITS, \
			.unlocked = true, .what = (follow)       \
	}

/* Address, data and attributes of interrupt @irq's MSI */
#define IRQ_CFG(offset, irq, msi, feature, cfg2_bits)             \
	{ (offset),                                               \
	  8,                                                      \
	  (irq),                                                  \
	  AT(irqs[irq].cfg0),                                     \
	  .needs = (msi),                                         \
	  .legal = SMMUV3_IRQ_CFG0_ADDR,                          \
	  .write = write_irq_cfg },                               \
		{ (offset) + 8,                                   \
		  4,                                              \
		  (irq),                                          \
		  AT(irqs[irq].cfg1),                             \
		  .needs = (msi),                                 \
		  .legal = UINT32_MAX,                            \
		  .write = write_irq_cfg },                       \
	{                                                         \
		(offset) + 12, 4, (irq), AT(irqs[irq].cfg2),      \
			.needs = (feature), .legal = (cfg2_bits), \
			.write = write_irq_cfg                    \
	}

/*
 * The output queues' indices of page 1 are reached at their page 0 offsets as
 * well: permitted (6.2), and there is software that uses them there.
 * STATUSR, AGBPA and the other identification registers are 0.
 */
/* clang-format off */
static const struct front_reg table[] = {
	{ SMMUV3_IDR0,		4, 0, AT(id.idr[0]) },
	{ SMMUV3_IDR0 + 4,	4, 0, AT(id.idr[1]) },
	{ SMMUV3_IDR0 + 8,	4, 0, AT(id.idr[2]) },
	{ SMMUV3_IDR0 + 12,	4, 0, AT(id.idr[3]) },
	{ SMMUV3_IDR0 + 16,	4, 0, AT(id.idr[4]) },
	{ SMMUV3_IDR0 + 20,	4, 0, AT(id.idr[5]) },
	{ SMMUV3_IIDR,		4, 0, AT(id.iidr) },
	{ SMMUV3_AIDR,		4, 0, AT(id.aidr) },
	{ SMMUV3_CR0,		4, 0, AT(regs.cr0), .write = write_cr0 },
	{ SMMUV3_CR0ACK,	4, 0, AT(cr0ack) },
	{ SMMUV3_CR1,		4, 0, AT(regs.cr1), .write = write_cr1 },
	{ SMMUV3_CR2,		4, 0, AT(regs.cr2), .write = write_cr2 },
	{ SMMUV3_GBPA,		4, 0, .read = read_gbpa, .write = write_gbpa },
	{ SMMUV3_IRQ_CTRL,	4, 0, AT(irq_ctrl), .write = write_irq_ctrl },
	{ SMMUV3_IRQ_CTRLACK,	4, 0, AT(irq_ctrlack) },
	{ SMMUV3_GERROR,	4, 0, AT(gerror), .unlocked = true },
	{ SMMUV3_GERRORN,	4, 0, AT(gerrorn), .unlocked = true,
	  .write = write_gerrorn },
	IRQ_CFG(SMMUV3_GERROR_IRQ_CFG0, SMMUV3_IRQ_GERROR, SMMUV3_IDR0_MSI, 0,
		CFG2_BITS),
	{ SMMUV3_STRTAB_BASE,	8, 0, AT(regs.strtab_base),
	  .write = write_strtab_base },
	{ SMMUV3_STRTAB_BASE_CFG, 4, 0, AT(regs.strtab_cfg),
	  .write = write_strtab_cfg },
	{ SMMUV3_CMDQ_BASE,	8, SMMUV3_CR0_CMDQEN, AT(cmdq_base),
	  .legal = Q_BASE_BITS, .write = write_queue },
	{ SMMUV3_CMDQ_PROD,	4, 0, AT(cmdq_prod), .unlocked = true,
	  .legal = SMMUV3_Q_INDEX, .what = FOLLOW_KICK },
	{ SMMUV3_CMDQ_CONS,	4, SMMUV3_CR0_CMDQEN, AT(cmdq_cons),
	  .unlocked = true, .read = read_cmdq_cons,
	  .legal = SMMUV3_Q_INDEX, .write = write_queue },
	{ SMMUV3_EVENTQ_BASE,	8, SMMUV3_CR0_EVENTQEN, AT(eventq.base_reg),
	  .legal = Q_BASE_BITS, .write = write_queue },
	INDICES(SMMUV3_EVENTQ_PROD - PAGE1, eventq, SMMUV3_CR0_EVENTQEN, 0,
		FOLLOW_EVENTQ),
	IRQ_CFG(SMMUV3_EVENTQ_IRQ_CFG0, SMMUV3_IRQ_EVENTQ, SMMUV3_IDR0_MSI, 0,
		CFG2_BITS),
	{ SMMUV3_PRIQ_BASE,	8, SMMUV3_CR0_PRIQEN, AT(priq.base_reg),
	  .needs = SMMUV3_IDR0_PRI, .legal = Q_BASE_BITS,
	  .write = write_queue },
	INDICES(SMMUV3_PRIQ_PROD - PAGE1, priq, SMMUV3_CR0_PRIQEN,
		SMMUV3_IDR0_PRI, 0),
	IRQ_CFG(SMMUV3_PRIQ_IRQ_CFG0, SMMUV3_IRQ_PRIQ, PRI_MSI, SMMUV3_IDR0_PRI,
		CFG2_BITS | SMMUV3_IRQ_CFG2_LO),
	{ SMMUV3_CIDR0,		4, 0, .read = read_cidr },
	{ SMMUV3_CIDR0 + 4,	4, 1, .read = read_cidr },
	{ SMMUV3_CIDR0 + 8,	4, 2, .read = read_cidr },
	{ SMMUV3_CIDR0 + 12,	4, 3, .read = read_cidr },
	INDICES(SMMUV3_EVENTQ_PROD, eventq, SMMUV3_CR0_EVENTQEN, 0,
		FOLLOW_EVENTQ),
	INDICES(SMMUV3_PRIQ_PROD, priq, SMMUV3_CR0_PRIQEN, SMMUV3_IDR0_PRI, 0),
};
/* clang-format on */

static pthread_mutex_t *lock_of(void *front)
{
	struct smmuv3_front *f = front;

	return &f->lock;
}

static uint64_t features_of(const void *front)
{
	const struct smmuv3_front *f = front;

	return f->id.idr[0];
}

static void acknowledge(struct smmuv3_front *f, uint32_t bits)
{
	pthread_mutex_lock(&f->lock);
	store_release(&f->cr0ack,
		      f->cr0ack ^ ((f->regs.cr0 ^ f->cr0ack) & bits));
	pthread_mutex_unlock(&f->lock);
}

/* Consequences of a change of CR0, each before its acknowledgement */
static void follow_cr0(struct smmuv3_front *f, uint32_t what)
{
	if (what & FOLLOW_SMMUEN) {
		front_changed(f, SMMUV3_CHANGE_SMMUEN);
		acknowledge(f, SMMUV3_CR0_SMMUEN);
	}
	if (what & FOLLOW_EVENTQEN) {
		front_outq_drain(f, &f->eventq);
		acknowledge(f, SMMUV3_CR0_EVENTQEN);
		front_changed(f, SMMUV3_CHANGE_EVENTQ);
	}
	if (what & FOLLOW_PRIQEN) {
		front_outq_drain(f, &f->priq);
		acknowledge(f, SMMUV3_CR0_PRIQEN);
	}
}

static void follow_gbpa(struct smmuv3_front *f)
{
	front_changed(f, SMMUV3_CHANGE_GBPA);
	pthread_mutex_lock(&f->lock);
	f->gbpa_update = false;
	pthread_mutex_unlock(&f->lock);
}

static void follow(void *front, uint32_t what)
{
	struct smmuv3_front *f = front;

	follow_cr0(f, what);
	if (what & FOLLOW_GBPA)
		follow_gbpa(f);
	if (what & FOLLOW_STRTAB)
		front_changed(f, SMMUV3_CHANGE_STRTAB);
	if (what & FOLLOW_EVENTQ)
		front_changed(f, SMMUV3_CHANGE_EVENTQ);
	if (what & FOLLOW_KICK)
		front_kick(f);
}

static const struct front_regs regs = {
	.table = table,
	.count = ARRAY_SIZE(table),
	.lock = lock_of,
	.features = features_of,
	.follow = follow,
};

/* The doorbell and its answer, the busiest two, are kept from the table. */
void smmuv3_front_write(struct smmuv3_front *f, uint32_t offset,
			unsigned int size, uint64_t value)
{
	if (offset == SMMUV3_CMDQ_PROD && size == 4) {
		/* before the kick, which is its release */
		store_release(&f->cmdq_prod,
			      (uint32_t)value & (uint32_t)SMMUV3_Q_INDEX);
		front_kick(f);
		return;
	}
	front_regs_write(&regs, f, offset, size, value);
}

uint64_t smmuv3_front_read(struct smmuv3_front *f, uint32_t offset,
			   unsigned int size)
{
	if ((offset & ~7u) == SMMUV3_CMDQ_PROD)
		front_unstarve(f);
	if (offset == SMMUV3_CMDQ_CONS && size == 4)
		return read_cmdq_cons(f, NULL);
	return front_regs_read(&regs, f, offset, size);
}
