// SPDX-License-Identifier: MIT
/*
 * The registers, Arm IHI 0070 chapter 6, with the update rules of SMMUv3.2:
 * a write that is not allowed now is ignored.
 *
 * Each update is made under the lock, its consequences after it. An Update
 * (CR0, GBPA, IRQ_CTRL) is acknowledged when its consequences have happened; a
 * field that waits for its acknowledgement ignores a second change (6.3.9).
 */
#include "front/smmuv3/internal.h"

#define PAGE1 0x10000u

/* Write @value to the @bits of a register, and only those @legal */
static uint64_t merge(uint64_t old, uint64_t value, uint64_t bits,
		      uint64_t legal)
{
	return (old & ~(bits & legal)) | (value & bits & legal);
}

#define set_picture(f, field, value) \
	picture_set((f)->seq, (f)->regs.field, (value))

/* Off, and known to be off: what the bits guard may change (6.2) */
static bool is_off(const struct smmuv3_front *f, uint32_t bits)
{
	return !((f->regs.cr0 | f->cr0ack) & bits);
}

static bool irq_is_off(const struct smmuv3_front *f, enum smmuv3_irq irq)
{
	return !((f->irq_ctrl | f->irq_ctrlack) & f->irqs[irq].enable);
}

static void acknowledge(struct smmuv3_front *f, uint32_t bits)
{
	pthread_mutex_lock(&f->lock);
	store_release(&f->cr0ack,
		      f->cr0ack ^ ((f->regs.cr0 ^ f->cr0ack) & bits));
	pthread_mutex_unlock(&f->lock);
}

/* Consequences of a change of CR0, each before its acknowledgement */
static void cr0_follow(struct smmuv3_front *f, uint32_t changed)
{
	if (changed & SMMUV3_CR0_SMMUEN) {
		front_changed(f, SMMUV3_CHANGE_SMMUEN);
		acknowledge(f, SMMUV3_CR0_SMMUEN);
	}
	if (changed & SMMUV3_CR0_EVENTQEN) {
		front_outq_drain(f, &f->eventq);
		acknowledge(f, SMMUV3_CR0_EVENTQEN);
		front_changed(f, SMMUV3_CHANGE_EVENTQ);
	}
	if (changed & SMMUV3_CR0_PRIQEN) {
		front_outq_drain(f, &f->priq);
		acknowledge(f, SMMUV3_CR0_PRIQEN);
	}
	if (changed & SMMUV3_CR0_CMDQEN)
		front_kick(f); /* the consumer acknowledges */
}

static void write_cr0(struct smmuv3_front *f, uint32_t value)
{
	const uint32_t at_once = SMMUV3_CR0_ATSCHK | SMMUV3_CR0_VMW;
	uint32_t changed;

	pthread_mutex_lock(&f->lock);
	changed = (f->regs.cr0 ^ value) & f->cr0_bits &
		  ~(f->regs.cr0 ^ f->cr0ack);
	set_picture(f, cr0, f->regs.cr0 ^ changed);
	store_release(&f->cr0ack, f->cr0ack ^ (changed & at_once));
	pthread_mutex_unlock(&f->lock);
	cr0_follow(f, changed);
}

static void write_cr1(struct smmuv3_front *f, uint32_t value)
{
	const uint32_t queues =
		SMMUV3_CR0_CMDQEN | SMMUV3_CR0_EVENTQEN | SMMUV3_CR0_PRIQEN;
	uint64_t legal = 0;

	if (is_off(f, SMMUV3_CR0_SMMUEN))
		legal |= SMMUV3_CR1_TABLE_SH | SMMUV3_CR1_TABLE_OC |
			 SMMUV3_CR1_TABLE_IC;
	if (is_off(f, queues))
		legal |= SMMUV3_CR1_QUEUE_SH | SMMUV3_CR1_QUEUE_OC |
			 SMMUV3_CR1_QUEUE_IC;
	set_picture(f, cr1, (uint32_t)merge(f->regs.cr1, value, legal, legal));
}

static void write_cr2(struct smmuv3_front *f, uint32_t value)
{
	if (is_off(f, SMMUV3_CR0_SMMUEN))
		set_picture(f, cr2, value & f->cr2_bits);
}

/* Ignored without Update, or while one is under way (6.3.14.1) */
static void write_gbpa(struct smmuv3_front *f, uint32_t value)
{
	const uint32_t legal = SMMUV3_GBPA_MEMATTR | SMMUV3_GBPA_MTCFG |
			       SMMUV3_GBPA_ALLOCCFG | SMMUV3_GBPA_SHCFG |
			       SMMUV3_GBPA_PRIVCFG | SMMUV3_GBPA_INSTCFG |
			       SMMUV3_GBPA_ABORT;

	pthread_mutex_lock(&f->lock);
	if (!(value & SMMUV3_GBPA_UPDATE) || f->gbpa_update) {
		pthread_mutex_unlock(&f->lock);
		return;
	}
	f->gbpa_update = true;
	set_picture(f, gbpa, value & legal);
	pthread_mutex_unlock(&f->lock);

	front_changed(f, SMMUV3_CHANGE_GBPA);

	pthread_mutex_lock(&f->lock);
	f->gbpa_update = false;
	pthread_mutex_unlock(&f->lock);
}

static void write_irq_ctrl(struct smmuv3_front *f, uint32_t value)
{
	f->irq_ctrl ^= (f->irq_ctrl ^ value) & f->irq_ctrl_bits &
		       ~(f->irq_ctrl ^ f->irq_ctrlack);
	front_irq_settle(f);
}

/* Toggling an inactive error activates it here, without an interrupt */
static void write_gerrorn(struct smmuv3_front *f, uint32_t value)
{
	bool had_abort;

	pthread_mutex_lock(&f->lock);
	had_abort = front_error_active(f, SMMUV3_GERROR_EVENTQ_ABT);
	store_ordered(&f->gerrorn, value & f->gerror_bits);
	pthread_mutex_unlock(&f->lock);

	if (had_abort && !front_error_active(f, SMMUV3_GERROR_EVENTQ_ABT))
		front_changed(f, SMMUV3_CHANGE_EVENTQ);
	front_kick(f);
}

static uint64_t q_base_bits(const struct smmuv3_front *f)
{
	return SMMUV3_Q_BASE_HINT | SMMUV3_Q_BASE_LOG2SIZE |
	       (SMMUV3_Q_BASE_ADDR & f->addr_bits);
}

static void write_q_base(struct smmuv3_front *f, uint64_t *reg, uint32_t enable,
			 uint64_t value, uint64_t bits)
{
	if (is_off(f, enable))
		store_relaxed(reg, merge(*reg, value, bits, q_base_bits(f)));
}

static bool write_strtab_base(struct smmuv3_front *f, uint64_t value,
			      uint64_t bits)
{
	uint64_t legal = SMMUV3_STRTAB_BASE_RA |
			 (SMMUV3_STRTAB_BASE_ADDR & f->addr_bits);

	if (!is_off(f, SMMUV3_CR0_SMMUEN))
		return false;
	set_picture(f, strtab_base,
		    merge(f->regs.strtab_base, value, bits, legal));
	return true;
}

/* FMT and SPLIT are RES0 without two-level tables (6.3.25) */
static bool write_strtab_cfg(struct smmuv3_front *f, uint32_t value)
{
	uint64_t legal = SMMUV3_STRTAB_CFG_LOG2SIZE;

	if (!is_off(f, SMMUV3_CR0_SMMUEN))
		return false;
	if (f->id.idr[0] & SMMUV3_IDR0_ST_LEVEL)
		legal |= SMMUV3_STRTAB_CFG_FMT | SMMUV3_STRTAB_CFG_SPLIT;
	set_picture(f, strtab_cfg, value & (uint32_t)legal);
	return true;
}

/* CMDQ_CONS.ERR ignores writes (6.3.28) */
static void write_cmdq_cons(struct smmuv3_front *f, uint32_t value)
{
	if (is_off(f, SMMUV3_CR0_CMDQEN))
		store_ordered(&f->cmdq_cons,
			      (f->cmdq_cons & (uint32_t)SMMUV3_CMDQ_CONS_ERR) |
				      (value & (uint32_t)SMMUV3_Q_INDEX));
}

static void write_outq_prod(struct smmuv3_front *f, struct out_queue *q,
			    uint32_t value)
{
	if (is_off(f, q->enable))
		store_ordered(&q->prod, value & (uint32_t)(SMMUV3_Q_INDEX |
							   SMMUV3_Q_OVFLG));
}

static void write_outq_cons(struct out_queue *q, uint32_t value)
{
	store_ordered(&q->cons,
		      value & (uint32_t)(SMMUV3_Q_INDEX | SMMUV3_Q_OVFLG));
}

static bool has_pri(const struct smmuv3_front *f)
{
	return f->id.idr[0] & SMMUV3_IDR0_PRI;
}

static bool has_msi(const struct smmuv3_front *f, enum smmuv3_irq irq)
{
	return (f->id.idr[0] & SMMUV3_IDR0_MSI) &&
	       (irq != SMMUV3_IRQ_PRIQ || has_pri(f));
}

static void write_irq_cfg0(struct smmuv3_front *f, enum smmuv3_irq irq,
			   uint64_t value, uint64_t bits)
{
	struct irq_source *source = &f->irqs[irq];

	if (has_msi(f, irq) && irq_is_off(f, irq))
		source->cfg0 = merge(source->cfg0, value, bits,
				     SMMUV3_IRQ_CFG0_ADDR & f->addr_bits);
}

static void write_irq_cfg1(struct smmuv3_front *f, enum smmuv3_irq irq,
			   uint32_t value)
{
	if (has_msi(f, irq) && irq_is_off(f, irq))
		f->irqs[irq].cfg1 = value;
}

/* LO does not depend on MSIs (6.3.1) */
static void write_irq_cfg2(struct smmuv3_front *f, enum smmuv3_irq irq,
			   uint32_t value)
{
	uint64_t legal = 0;

	if (has_msi(f, irq))
		legal |= SMMUV3_IRQ_CFG2_MEMATTR | SMMUV3_IRQ_CFG2_SH;
	if (irq == SMMUV3_IRQ_PRIQ && has_pri(f))
		legal |= SMMUV3_IRQ_CFG2_LO;
	if (irq_is_off(f, irq))
		f->irqs[irq].cfg2 = value & (uint32_t)legal;
}

/* 64-bit registers: @bits are those that the access covers; locked. */
static bool write_wide_locked(struct smmuv3_front *f, uint32_t offset,
			      uint64_t value, uint64_t bits)
{
	switch (offset) {
	case SMMUV3_STRTAB_BASE:
		return write_strtab_base(f, value, bits);
	case SMMUV3_CMDQ_BASE:
		write_q_base(f, &f->cmdq_base, SMMUV3_CR0_CMDQEN, value, bits);
		break;
	case SMMUV3_EVENTQ_BASE:
		write_q_base(f, &f->eventq.base_reg, f->eventq.enable, value,
			     bits);
		break;
	case SMMUV3_PRIQ_BASE:
		if (has_pri(f))
			write_q_base(f, &f->priq.base_reg, f->priq.enable,
				     value, bits);
		break;
	case SMMUV3_GERROR_IRQ_CFG0:
		write_irq_cfg0(f, SMMUV3_IRQ_GERROR, value, bits);
		break;
	case SMMUV3_EVENTQ_IRQ_CFG0:
		write_irq_cfg0(f, SMMUV3_IRQ_EVENTQ, value, bits);
		break;
	case SMMUV3_PRIQ_IRQ_CFG0:
		write_irq_cfg0(f, SMMUV3_IRQ_PRIQ, value, bits);
		break;
	}
	return false;
}

static void write_wide(struct smmuv3_front *f, uint32_t offset, uint64_t value,
		       uint64_t bits)
{
	bool strtab;

	pthread_mutex_lock(&f->lock);
	strtab = write_wide_locked(f, offset, value, bits);
	pthread_mutex_unlock(&f->lock);
	if (strtab)
		front_changed(f, SMMUV3_CHANGE_STRTAB);
}

static bool is_wide(uint32_t offset)
{
	switch (offset) {
	case SMMUV3_GERROR_IRQ_CFG0:
	case SMMUV3_STRTAB_BASE:
	case SMMUV3_CMDQ_BASE:
	case SMMUV3_EVENTQ_BASE:
	case SMMUV3_EVENTQ_IRQ_CFG0:
	case SMMUV3_PRIQ_BASE:
	case SMMUV3_PRIQ_IRQ_CFG0:
		return true;
	default:
		return false;
	}
}

/* Interrupt configuration and queue indices; locked. */
static void write_rest_locked(struct smmuv3_front *f, uint32_t offset,
			      uint32_t value)
{
	switch (offset) {
	case SMMUV3_GERROR_IRQ_CFG1:
		write_irq_cfg1(f, SMMUV3_IRQ_GERROR, value);
		return;
	case SMMUV3_GERROR_IRQ_CFG2:
		write_irq_cfg2(f, SMMUV3_IRQ_GERROR, value);
		return;
	case SMMUV3_EVENTQ_IRQ_CFG1:
		write_irq_cfg1(f, SMMUV3_IRQ_EVENTQ, value);
		return;
	case SMMUV3_EVENTQ_IRQ_CFG2:
		write_irq_cfg2(f, SMMUV3_IRQ_EVENTQ, value);
		return;
	case SMMUV3_PRIQ_IRQ_CFG1:
		write_irq_cfg1(f, SMMUV3_IRQ_PRIQ, value);
		return;
	case SMMUV3_PRIQ_IRQ_CFG2:
		write_irq_cfg2(f, SMMUV3_IRQ_PRIQ, value);
		return;
	case SMMUV3_CMDQ_CONS:
		write_cmdq_cons(f, value);
		return;
	case SMMUV3_EVENTQ_PROD:
		write_outq_prod(f, &f->eventq, value);
		return;
	case SMMUV3_EVENTQ_CONS:
		write_outq_cons(&f->eventq, value);
		return;
	}
	if (!has_pri(f))
		return;
	if (offset == SMMUV3_PRIQ_PROD)
		write_outq_prod(f, &f->priq, value);
	else if (offset == SMMUV3_PRIQ_CONS)
		write_outq_cons(&f->priq, value);
}

/* True if the stream table's registers changed; locked. */
static bool write_word_locked(struct smmuv3_front *f, uint32_t offset,
			      uint32_t value)
{
	switch (offset) {
	case SMMUV3_CR1:
		write_cr1(f, value);
		return false;
	case SMMUV3_CR2:
		write_cr2(f, value);
		return false;
	case SMMUV3_IRQ_CTRL:
		write_irq_ctrl(f, value);
		return false;
	case SMMUV3_STRTAB_BASE_CFG:
		return write_strtab_cfg(f, value);
	default:
		write_rest_locked(f, offset, value);
		return false;
	}
}

/*
 * The producer indices of page 1 are reached at their page 0 offsets as well:
 * permitted (6.2), and there is software that uses them there.
 */
static uint32_t unalias(uint32_t offset)
{
	switch (offset) {
	case SMMUV3_EVENTQ_PROD - PAGE1:
	case SMMUV3_EVENTQ_CONS - PAGE1:
	case SMMUV3_PRIQ_PROD - PAGE1:
	case SMMUV3_PRIQ_CONS - PAGE1:
		return offset + PAGE1;
	default:
		return offset;
	}
}

static void ring(struct smmuv3_front *f, uint32_t value)
{
	/* before the kick, which is its release */
	store_release(&f->cmdq_prod, value & (uint32_t)SMMUV3_Q_INDEX);
	front_kick(f);
}

static void write_word(struct smmuv3_front *f, uint32_t offset, uint32_t value)
{
	bool strtab;

	offset = unalias(offset);
	switch (offset) {
	case SMMUV3_CMDQ_PROD:
		ring(f, value);
		return;
	case SMMUV3_CR0:
		write_cr0(f, value);
		return;
	case SMMUV3_GBPA:
		write_gbpa(f, value);
		return;
	case SMMUV3_GERRORN:
		write_gerrorn(f, value);
		return;
	}
	if (is_wide(offset & ~4u)) {
		unsigned int shift = offset & 4 ? 32 : 0;

		write_wide(f, offset & ~4u, (uint64_t)value << shift,
			   (uint64_t)UINT32_MAX << shift);
		return;
	}
	pthread_mutex_lock(&f->lock);
	strtab = write_word_locked(f, offset, value);
	pthread_mutex_unlock(&f->lock);
	if (strtab)
		front_changed(f, SMMUV3_CHANGE_STRTAB);
	if (offset == SMMUV3_EVENTQ_CONS)
		front_changed(f, SMMUV3_CHANGE_EVENTQ);
}

void smmuv3_front_write(struct smmuv3_front *f, uint32_t offset,
			unsigned int size, uint64_t value)
{
	if (offset == SMMUV3_CMDQ_PROD && size == 4) { /* the busiest one */
		ring(f, (uint32_t)value);
		return;
	}
	if ((size != 4 && size != 8) || offset % size)
		return;
	if (size == 4)
		write_word(f, offset, (uint32_t)value);
	else if (is_wide(offset))
		write_wide(f, offset, value, ~0ULL);
	else { /* two registers, the lower one first (6.2) */
		write_word(f, offset, (uint32_t)value);
		write_word(f, offset + 4, (uint32_t)(value >> 32));
	}
}

/* The bits of an index above its wrap bit read as zero (6.3.28) */
static uint32_t index_bits(uint32_t reg, unsigned int lg2, uint64_t flags)
{
	return reg & (front_index_mask(lg2) | (uint32_t)flags);
}

static uint64_t read_wide_locked(struct smmuv3_front *f, uint32_t offset)
{
	switch (offset) {
	case SMMUV3_GERROR_IRQ_CFG0:
		return f->irqs[SMMUV3_IRQ_GERROR].cfg0;
	case SMMUV3_EVENTQ_IRQ_CFG0:
		return f->irqs[SMMUV3_IRQ_EVENTQ].cfg0;
	case SMMUV3_PRIQ_IRQ_CFG0:
		return f->irqs[SMMUV3_IRQ_PRIQ].cfg0;
	case SMMUV3_STRTAB_BASE:
		return f->regs.strtab_base;
	case SMMUV3_CMDQ_BASE:
		return f->cmdq_base;
	case SMMUV3_EVENTQ_BASE:
		return f->eventq.base_reg;
	case SMMUV3_PRIQ_BASE:
		return f->priq.base_reg;
	default:
		return 0;
	}
}

/* What identifies the component: class 0xf, no JEDEC code of anybody */
static uint32_t read_id_reg(uint32_t offset)
{
	static const uint32_t cidr[] = { 0x0d, 0xf0, 0x05, 0xb1 };

	return offset < SMMUV3_CIDR0 ? 0 : cidr[(offset - SMMUV3_CIDR0) / 4];
}

static uint32_t read_irq_locked(const struct smmuv3_front *f, uint32_t offset)
{
	switch (offset) {
	case SMMUV3_IRQ_CTRL:
		return f->irq_ctrl;
	case SMMUV3_IRQ_CTRLACK:
		return f->irq_ctrlack;
	case SMMUV3_GERROR_IRQ_CFG1:
		return f->irqs[SMMUV3_IRQ_GERROR].cfg1;
	case SMMUV3_GERROR_IRQ_CFG2:
		return f->irqs[SMMUV3_IRQ_GERROR].cfg2;
	case SMMUV3_EVENTQ_IRQ_CFG1:
		return f->irqs[SMMUV3_IRQ_EVENTQ].cfg1;
	case SMMUV3_EVENTQ_IRQ_CFG2:
		return f->irqs[SMMUV3_IRQ_EVENTQ].cfg2;
	case SMMUV3_PRIQ_IRQ_CFG1:
		return f->irqs[SMMUV3_IRQ_PRIQ].cfg1;
	case SMMUV3_PRIQ_IRQ_CFG2:
		return f->irqs[SMMUV3_IRQ_PRIQ].cfg2;
	default:
		return 0;
	}
}

/* The indices, which are polled; false for any other register. */
static bool read_index(const struct smmuv3_front *f, uint32_t offset,
		       uint32_t *value)
{
	switch (offset) {
	case SMMUV3_CMDQ_PROD:
		*value = load_ordered(&f->cmdq_prod);
		return true;
	case SMMUV3_CMDQ_CONS:
		*value = index_bits(load_ordered(&f->cmdq_cons),
				    front_cmdq_lg2(f), SMMUV3_CMDQ_CONS_ERR);
		return true;
	case SMMUV3_EVENTQ_PROD:
		*value = index_bits(load_ordered(&f->eventq.prod),
				    front_outq_lg2(&f->eventq), SMMUV3_Q_OVFLG);
		return true;
	case SMMUV3_EVENTQ_CONS:
		*value = load_ordered(&f->eventq.cons);
		return true;
	case SMMUV3_PRIQ_PROD:
		*value = index_bits(load_ordered(&f->priq.prod),
				    front_outq_lg2(&f->priq), SMMUV3_Q_OVFLG);
		return true;
	case SMMUV3_PRIQ_CONS:
		*value = load_ordered(&f->priq.cons);
		return true;
	default:
		return false;
	}
}

static uint32_t read_control_locked(const struct smmuv3_front *f,
				    uint32_t offset)
{
	switch (offset) {
	case SMMUV3_IIDR:
		return f->id.iidr;
	case SMMUV3_AIDR:
		return f->id.aidr;
	case SMMUV3_CR0:
		return f->regs.cr0;
	case SMMUV3_CR0ACK:
		return f->cr0ack;
	case SMMUV3_CR1:
		return f->regs.cr1;
	case SMMUV3_CR2:
		return f->regs.cr2;
	case SMMUV3_GBPA:
		return f->regs.gbpa |
		       (f->gbpa_update ? (uint32_t)SMMUV3_GBPA_UPDATE : 0);
	case SMMUV3_GERROR:
		return f->gerror;
	case SMMUV3_GERRORN:
		return f->gerrorn;
	case SMMUV3_STRTAB_BASE_CFG:
		return f->regs.strtab_cfg;
	default: /* STATUSR and AGBPA among them: no hints, no attributes */
		return 0;
	}
}

static uint32_t read_word_locked(struct smmuv3_front *f, uint32_t offset)
{
	if (offset < SMMUV3_IIDR)
		return f->id.idr[offset / 4];
	if (offset >= SMMUV3_ID_REGS && offset < SMMUV3_ID_REGS + 0x30)
		return read_id_reg(offset);
	if (is_wide(offset & ~4u))
		return (uint32_t)(read_wide_locked(f, offset & ~4u) >>
				  (offset & 4 ? 32 : 0));
	return read_control_locked(f, offset) | read_irq_locked(f, offset);
}

static uint32_t read_word(struct smmuv3_front *f, uint32_t offset)
{
	uint32_t value;

	offset = unalias(offset);
	if (offset == SMMUV3_CMDQ_CONS || offset == SMMUV3_CMDQ_PROD)
		front_unstarve(f);
	if (read_index(f, offset, &value))
		return value;
	pthread_mutex_lock(&f->lock);
	value = read_word_locked(f, offset);
	pthread_mutex_unlock(&f->lock);
	return value;
}

uint64_t smmuv3_front_read(struct smmuv3_front *f, uint32_t offset,
			   unsigned int size)
{
	uint64_t value;

	if ((size != 4 && size != 8) || offset % size)
		return 0;
	if (size == 4)
		return read_word(f, offset);
	if (!is_wide(offset)) {
		value = read_word(f, offset);
		return value | (uint64_t)read_word(f, offset + 4) << 32;
	}
	pthread_mutex_lock(&f->lock);
	value = read_wide_locked(f, offset);
	pthread_mutex_unlock(&f->lock);
	return value;
}
