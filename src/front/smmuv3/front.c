// SPDX-License-Identifier: MIT
/* A front's life, and what the others ask it without touching a register. */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "front/smmuv3/internal.h"

#define QUEUE_LG2_MAX 19

void front_changed(struct smmuv3_front *f, enum smmuv3_change what)
{
	if (f->ops.changed)
		f->ops.changed(f->ctx, what);
}

unsigned int front_queue_lg2(uint64_t base_reg, unsigned int max_lg2)
{
	unsigned int lg2 =
		(unsigned int)field_get(SMMUV3_Q_BASE_LOG2SIZE, base_reg);

	return lg2 < max_lg2 ? lg2 : max_lg2;
}

uint64_t front_queue_addr(uint64_t base_reg, unsigned int bytes_lg2)
{
	return base_reg & SMMUV3_Q_BASE_ADDR & ~low_mask(bytes_lg2);
}

static bool has(uint32_t idr, uint64_t bits)
{
	return (idr & bits) == bits;
}

static unsigned int get(uint64_t mask, uint32_t idr)
{
	return (unsigned int)field_get(mask, idr);
}

/* Features whose registers this front has not got */
static bool id_is_offered(const struct smmuv3_id *id)
{
	return !(id->idr[0] & (SMMUV3_IDR0_ATOS | SMMUV3_IDR0_VATOS |
			       SMMUV3_IDR0_RME_IMPL)) &&
	       !(id->idr[1] & (SMMUV3_IDR1_ECMDQ | SMMUV3_IDR1_TABLES_PRESET |
			       SMMUV3_IDR1_QUEUES_PRESET | SMMUV3_IDR1_REL)) &&
	       !(id->idr[3] & SMMUV3_IDR3_DPT) &&
	       !(id->idr[5] & SMMUV3_IDR5_D128);
}

static bool sizes_are_valid(const struct smmuv3_id *id)
{
	uint32_t idr1 = id->idr[1];
	unsigned int sid_bits = get(SMMUV3_IDR1_SIDSIZE, idr1);

	/* from 7 bits of StreamID on, two levels are mandatory (6.3.2) */
	return sid_bits <= 32 && get(SMMUV3_IDR1_SSIDSIZE, idr1) <= 20 &&
	       get(SMMUV3_IDR1_CMDQS, idr1) <= QUEUE_LG2_MAX &&
	       get(SMMUV3_IDR1_EVENTQS, idr1) <= QUEUE_LG2_MAX &&
	       get(SMMUV3_IDR1_PRIQS, idr1) <= QUEUE_LG2_MAX &&
	       (sid_bits < 7 || (id->idr[0] & SMMUV3_IDR0_ST_LEVEL));
}

/* Reserved encodings, and features without what they need (6.3.1, 6.3.6) */
static bool features_are_valid(const struct smmuv3_id *id)
{
	const uint64_t both = SMMUV3_IDR0_S1P | SMMUV3_IDR0_S2P;
	uint32_t idr0 = id->idr[0];

	if (!(idr0 & both) || get(SMMUV3_IDR0_ST_LEVEL, idr0) > 1 ||
	    get(SMMUV3_IDR0_STALL_MODEL, idr0) == 3 ||
	    get(SMMUV3_IDR0_TTENDIAN, idr0) == 1)
		return false;
	if ((idr0 & SMMUV3_IDR0_HYP) && !has(idr0, both))
		return false;
	if ((idr0 & SMMUV3_IDR0_VMW) && !has(idr0, SMMUV3_IDR0_S2P))
		return false;
	if ((idr0 & (SMMUV3_IDR0_PRI | SMMUV3_IDR0_ATSRECERR)) &&
	    !has(idr0, SMMUV3_IDR0_ATS))
		return false;
	return get(SMMUV3_IDR5_OAS, id->idr[5]) <= 6;
}

static uint64_t oas_mask(const struct smmuv3_id *id)
{
	static const uint8_t bits[] = { 32, 36, 40, 42, 44, 48, 52 };

	return low_mask(bits[get(SMMUV3_IDR5_OAS, id->idr[5])]);
}

/* Bits of a feature that is offered */
static uint32_t bits_if(uint32_t idr, uint64_t feature, uint64_t bits)
{
	return has(idr, feature) ? (uint32_t)bits : 0;
}

static void set_writable_bits(struct smmuv3_front *f)
{
	uint32_t idr0 = f->id.idr[0];

	f->addr_bits = oas_mask(&f->id);
	f->cr0_bits = SMMUV3_CR0_SMMUEN | SMMUV3_CR0_EVENTQEN |
		      SMMUV3_CR0_CMDQEN |
		      bits_if(idr0, SMMUV3_IDR0_PRI, SMMUV3_CR0_PRIQEN) |
		      bits_if(idr0, SMMUV3_IDR0_ATS, SMMUV3_CR0_ATSCHK) |
		      bits_if(idr0, SMMUV3_IDR0_VMW, SMMUV3_CR0_VMW);
	f->cr2_bits =
		SMMUV3_CR2_RECINVSID |
		bits_if(idr0, SMMUV3_IDR0_HYP, SMMUV3_CR2_E2H) |
		bits_if(idr0, SMMUV3_IDR0_BTM, SMMUV3_CR2_PTM) |
		bits_if(idr0, SMMUV3_IDR0_ATSRECERR, SMMUV3_CR2_REC_CFG_ATS);
	f->irq_ctrl_bits = SMMUV3_IRQ_CTRL_GERROR | SMMUV3_IRQ_CTRL_EVENTQ |
			   bits_if(idr0, SMMUV3_IDR0_PRI, SMMUV3_IRQ_CTRL_PRIQ);
	f->gerror_bits =
		SMMUV3_GERROR_CMDQ | SMMUV3_GERROR_EVENTQ_ABT |
		SMMUV3_GERROR_SFM |
		bits_if(idr0, SMMUV3_IDR0_PRI, SMMUV3_GERROR_PRIQ_ABT) |
		bits_if(idr0, SMMUV3_IDR0_MSI,
			SMMUV3_GERROR_MSI_CMDQ_ABT |
				SMMUV3_GERROR_MSI_EVENTQ_ABT |
				SMMUV3_GERROR_MSI_GERROR_ABT) |
		bits_if(idr0, SMMUV3_IDR0_MSI | SMMUV3_IDR0_PRI,
			SMMUV3_GERROR_MSI_PRIQ_ABT);
}

static void init_queues(struct smmuv3_front *f)
{
	uint32_t idr1 = f->id.idr[1];

	f->eventq.enable = SMMUV3_CR0_EVENTQEN;
	f->eventq.abort = SMMUV3_GERROR_EVENTQ_ABT;
	f->eventq.max_lg2 = (uint8_t)get(SMMUV3_IDR1_EVENTQS, idr1);
	f->eventq.entry_lg2 = 5;
	f->eventq.irq = SMMUV3_IRQ_EVENTQ;
	front_output_init(&f->eventq.out);

	f->priq.enable = SMMUV3_CR0_PRIQEN;
	f->priq.abort = SMMUV3_GERROR_PRIQ_ABT;
	f->priq.max_lg2 = (uint8_t)get(SMMUV3_IDR1_PRIQS, idr1);
	f->priq.entry_lg2 = 4;
	f->priq.irq = SMMUV3_IRQ_PRIQ;
	front_output_init(&f->priq.out);
}

static void init_irqs(struct smmuv3_front *f)
{
	f->irqs[SMMUV3_IRQ_EVENTQ].enable = SMMUV3_IRQ_CTRL_EVENTQ;
	f->irqs[SMMUV3_IRQ_EVENTQ].abort = SMMUV3_GERROR_MSI_EVENTQ_ABT;
	f->irqs[SMMUV3_IRQ_PRIQ].enable = SMMUV3_IRQ_CTRL_PRIQ;
	f->irqs[SMMUV3_IRQ_PRIQ].abort = SMMUV3_GERROR_MSI_PRIQ_ABT;
	f->irqs[SMMUV3_IRQ_GERROR].enable = SMMUV3_IRQ_CTRL_GERROR;
	f->irqs[SMMUV3_IRQ_GERROR].abort = SMMUV3_GERROR_MSI_GERROR_ABT;
}

int smmuv3_front_create(const struct smmuv3_front_config *config,
			const struct smmuv3_front_ops *ops, void *ctx,
			struct smmuv3_front **front)
{
	const struct smmuv3_id *id = &config->id;
	struct smmuv3_front *f;
	uint32_t most;

	if (!id_is_offered(id) || !sizes_are_valid(id) ||
	    !features_are_valid(id))
		return -EINVAL;

	f = alloc_zero(sizeof(*f));
	if (!f)
		return -ENOMEM;
	most = 1u << get(SMMUV3_IDR1_CMDQS, id->idr[1]);
	if (config->max_span && config->max_span < most)
		most = config->max_span;
	if (consumer_init(&f->consumer, most, SMMUV3_CMD_SIZE)) {
		free(f);
		return -ENOMEM;
	}
	f->id = *id;
	f->ops = *ops;
	f->ctx = ctx;
	f->mem = (struct front_memory){ ops->read, ops->write, ctx };
	pthread_mutex_init(&f->lock, NULL);
	set_writable_bits(f);
	init_queues(f);
	init_irqs(f);
	/* bypass with the attributes that come in (6.3.14) */
	f->regs.gbpa = (uint32_t)field_prep(SMMUV3_GBPA_SHCFG, 1);
	*front = f;
	return 0;
}

/* Nobody may be inside any more. NULL is fine. */
void smmuv3_front_destroy(struct smmuv3_front *f)
{
	if (!f)
		return;
	front_output_fini(&f->priq.out);
	front_output_fini(&f->eventq.out);
	pthread_mutex_destroy(&f->lock);
	consumer_fini(&f->consumer);
	free(f);
}

/* Acquire: the fields are not read before @seq; regs.c has the other side. */
void smmuv3_front_regs(struct smmuv3_front *f, struct smmuv3_regs *regs)
{
	uint32_t before;

	do {
		before = load_acquire(&f->seq);
		regs->strtab_base = load_acquire(&f->regs.strtab_base);
		regs->strtab_cfg = load_acquire(&f->regs.strtab_cfg);
		regs->cr0 = load_acquire(&f->regs.cr0);
		regs->cr1 = load_acquire(&f->regs.cr1);
		regs->cr2 = load_acquire(&f->regs.cr2);
		regs->gbpa = load_acquire(&f->regs.gbpa);
	} while ((before & 1) || load_relaxed(&f->seq) != before);
}

const struct smmuv3_id *smmuv3_front_id(const struct smmuv3_front *f)
{
	return &f->id;
}
