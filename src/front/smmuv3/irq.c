// SPDX-License-Identifier: MIT
/*
 * Interrupts and global errors, Arm IHI 0070 sections 3.18 and 7.5.
 *
 * An interrupt whose MSI is supported and configured is sent as an MSI;
 * otherwise, and only then, as an edge of its wired output. (The architecture
 * would have an SMMU with both kinds pulse the wire as well; this one routes
 * each source one way, so that an MSI costs no second notification.)
 *
 * IRQ_CTRLACK follows a cleared enable when the MSIs that were begun have
 * ended (3.18.1). The thread that ends the last one acknowledges, so nobody
 * waits.
 */
#include "front/smmuv3/internal.h"

bool front_error_active(const struct smmuv3_front *f, uint32_t error)
{
	return (load_acquire(&f->gerror) ^ load_acquire(&f->gerrorn)) & error;
}

/*
 * An error that is active already is not logged again (7.5). An aborted
 * GERROR MSI raises no interrupt (7.5.1), which ends the recursion through
 * front_irq().
 */
void front_raise(struct smmuv3_front *f, uint32_t error)
{
	bool fresh;

	pthread_mutex_lock(&f->lock);
	fresh = !front_error_active(f, error);
	if (fresh)
		store_release(&f->gerror, f->gerror ^ error);
	pthread_mutex_unlock(&f->lock);

	if (fresh && error != SMMUV3_GERROR_MSI_GERROR_ABT)
		front_irq(f, SMMUV3_IRQ_GERROR);
}

void front_irq_settle(struct smmuv3_front *f)
{
	uint32_t moving = f->irq_ctrl ^ f->irq_ctrlack;

	for (int i = 0; i < FRONT_IRQS; i++) {
		if (f->irqs[i].in_flight)
			moving &= ~f->irqs[i].enable;
	}
	f->irq_ctrlack ^= moving;
}

static bool send_msi(struct smmuv3_front *f, uint64_t addr, uint32_t data)
{
	return front_write32(&f->mem, addr & f->addr_bits, data);
}

static void send_wired(struct smmuv3_front *f, enum smmuv3_irq irq)
{
	if (f->ops.irq)
		f->ops.irq(f->ctx, irq);
}

static void msi_ended(struct smmuv3_front *f, struct irq_source *source)
{
	pthread_mutex_lock(&f->lock);
	source->in_flight--;
	front_irq_settle(f);
	pthread_mutex_unlock(&f->lock);
}

static void send(struct smmuv3_front *f, enum smmuv3_irq irq)
{
	struct irq_source *source = &f->irqs[irq];
	bool enabled, msi;
	uint64_t addr;
	uint32_t data;

	pthread_mutex_lock(&f->lock);
	enabled = f->irq_ctrl & f->irq_ctrlack & source->enable;
	addr = source->cfg0; /* 0 without IDR0.MSI */
	data = source->cfg1;
	msi = enabled && addr;
	if (msi)
		source->in_flight++;
	pthread_mutex_unlock(&f->lock);

	if (enabled && !msi)
		send_wired(f, irq);
	if (!msi)
		return;
	/* the abort is visible before the disabled interrupt is acknowledged */
	if (!send_msi(f, addr, data))
		front_raise(f, source->abort);
	msi_ended(f, source);
}

void front_irq(struct smmuv3_front *f, enum smmuv3_irq irq)
{
	bool held;

	pthread_mutex_lock(&f->lock);
	held = f->held;
	f->held_irqs |= held ? 1u << irq : 0;
	pthread_mutex_unlock(&f->lock);
	if (!held)
		send(f, irq);
}

void smmuv3_front_hold(struct smmuv3_front *f)
{
	pthread_mutex_lock(&f->lock);
	f->held++;
	pthread_mutex_unlock(&f->lock);
}

void smmuv3_front_release(struct smmuv3_front *f)
{
	uint32_t irqs;

	pthread_mutex_lock(&f->lock);
	f->held--;
	irqs = f->held_irqs;
	f->held_irqs = 0;
	pthread_mutex_unlock(&f->lock);
	for (unsigned int irq = 0; irqs >> irq; irq++)
		if (irqs >> irq & 1)
			send(f, (enum smmuv3_irq)irq);
}

/*
 * SIG_IRQ of a CMD_SYNC (4.7.3): where there is a wire, as here, it is asserted
 * whatever the address says.
 */
static void signal_sync(struct smmuv3_front *f, const uint64_t dw[2])
{
	uint64_t addr = dw[1] & SMMUV3_SYNC_1_MSIADDR;
	uint32_t data = (uint32_t)field_get(SMMUV3_SYNC_0_MSIDATA, dw[0]);

	if ((f->id.idr[0] & SMMUV3_IDR0_MSI) && addr &&
	    !send_msi(f, addr, data))
		front_raise(f, SMMUV3_GERROR_MSI_CMDQ_ABT);
	send_wired(f, SMMUV3_IRQ_CMD_SYNC);
}

/*
 * Consumption is visible before the signal is (3.18): no later store passes a
 * SEQ_CST load that follows a SEQ_CST store.
 */
void smmuv3_front_sync(struct smmuv3_front *f, const uint64_t dw[2],
		       uint32_t done)
{
	uint32_t mask = front_index_mask(front_cmdq_lg2(f));
	uint32_t cons = (f->span_start + done) & mask;

	/* SIG_SEV wakes PEs from WFE: nothing in this program waits so */
	if (field_get(SMMUV3_SYNC_0_CS, dw[0]) != SMMUV3_SYNC_CS_IRQ) {
		store_release(&f->cmdq_cons, cons);
		return;
	}
	store_ordered(&f->cmdq_cons, cons);
	(void)load_ordered(&f->cmdq_cons);
	signal_sync(f, dw);
}
