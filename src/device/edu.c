// SPDX-License-Identifier: MIT
/*
 * QEMU's "edu" device as its documentation (docs/specs/edu.rst) describes it,
 * except that a DMA is done when the register write returns. A DMA that the
 * IOMMU refuses moves nothing and says nothing, as on a real bus.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "nestfd/device.h"

#define EDU_ID		 0x00
#define EDU_LIVENESS	 0x04
#define EDU_FACTORIAL	 0x08
#define EDU_STATUS	 0x20
#define EDU_STATUS_IRQ	 BIT_ULL(7) /* interrupt when a factorial is done */
#define EDU_IRQ_STATUS	 0x24
#define EDU_IRQ_RAISE	 0x60
#define EDU_IRQ_ACK	 0x64
#define EDU_DMA_SRC	 0x80
#define EDU_DMA_DST	 0x88
#define EDU_DMA_COUNT	 0x90
#define EDU_DMA_CMD	 0x98
#define EDU_CMD_START	 BIT_ULL(0)
#define EDU_CMD_TO_RAM	 BIT_ULL(1)
#define EDU_CMD_IRQ	 BIT_ULL(2)

#define EDU_ID_VALUE	 0x010000edu
#define EDU_IRQ_FACT	 0x001u
#define EDU_IRQ_DMA	 0x100u
#define EDU_BUF_AT	 0x40000ULL
#define EDU_BUF_SIZE	 4096u
#define EDU_DEFAULT_MASK low_mask(28)

struct nestfd_edu {
	struct nestfd_device *dev;
	struct nestfd_edu_config config;
	pthread_mutex_t lock; /* guards all below; not held during DMA */
	uint32_t liveness;
	uint32_t factorial;
	uint32_t status;
	uint32_t irq_status;
	uint64_t src;
	uint64_t dst;
	uint64_t count;
	uint64_t cmd;
	bool msi;
	uint64_t msi_addr;
	uint32_t msi_data;
	char buf[EDU_BUF_SIZE];
};

int nestfd_edu_create(struct nestfd_device *dev,
		      const struct nestfd_edu_config *config,
		      struct nestfd_edu **out)
{
	struct nestfd_edu *edu;

	if (config->size != sizeof(*config))
		return -EINVAL;
	edu = alloc_zero(sizeof(*edu));
	if (!edu)
		return -ENOMEM;
	edu->dev = dev;
	edu->config = *config;
	if (!edu->config.dma_mask)
		edu->config.dma_mask = EDU_DEFAULT_MASK;
	pthread_mutex_init(&edu->lock, NULL);
	*out = edu;
	return 0;
}

void nestfd_edu_destroy(struct nestfd_edu *edu)
{
	if (!edu)
		return;
	pthread_mutex_destroy(&edu->lock);
	free(edu);
}

void nestfd_edu_set_msi(struct nestfd_edu *edu, bool enable, uint64_t addr,
			uint32_t data)
{
	pthread_mutex_lock(&edu->lock);
	edu->msi = enable;
	edu->msi_addr = addr;
	edu->msi_data = data;
	pthread_mutex_unlock(&edu->lock);
}

/* The MSI is a write of the device like any other: the IOMMU may refuse it. */
static void raise_irq(struct nestfd_edu *edu, uint32_t bits)
{
	uint64_t addr;
	uint32_t data;
	bool msi;

	pthread_mutex_lock(&edu->lock);
	edu->irq_status |= bits;
	msi = edu->msi;
	addr = edu->msi_addr;
	data = edu->msi_data;
	pthread_mutex_unlock(&edu->lock);
	if (msi)
		nestfd_dma_write(edu->dev, addr, &data, sizeof(data));
	else if (edu->config.irq)
		edu->config.irq(edu->config.ctx);
}

/* Inside the buffer? Addresses are the guest's choice. */
static bool in_buffer(uint64_t addr, uint64_t count)
{
	return addr >= EDU_BUF_AT && count <= EDU_BUF_SIZE &&
	       addr - EDU_BUF_AT <= EDU_BUF_SIZE - count;
}

static void run_dma(struct nestfd_edu *edu)
{
	uint64_t src, dst, count, cmd;
	char data[EDU_BUF_SIZE];

	pthread_mutex_lock(&edu->lock);
	src = edu->src;
	dst = edu->dst;
	count = edu->count;
	cmd = edu->cmd;
	if (cmd & EDU_CMD_TO_RAM && in_buffer(src, count))
		memcpy(data, edu->buf + (src - EDU_BUF_AT), count);
	pthread_mutex_unlock(&edu->lock);
	if (!in_buffer(cmd & EDU_CMD_TO_RAM ? src : dst, count))
		return; /* QEMU stops the machine here */

	if (cmd & EDU_CMD_TO_RAM) {
		nestfd_dma_write(edu->dev, dst & edu->config.dma_mask, data,
				 count);
	} else if (!nestfd_dma_read(edu->dev, src & edu->config.dma_mask, data,
				    count)) {
		pthread_mutex_lock(&edu->lock);
		memcpy(edu->buf + (dst - EDU_BUF_AT), data, count);
		pthread_mutex_unlock(&edu->lock);
	}
	pthread_mutex_lock(&edu->lock);
	edu->cmd &= ~EDU_CMD_START;
	pthread_mutex_unlock(&edu->lock);
	if (cmd & EDU_CMD_IRQ)
		raise_irq(edu, EDU_IRQ_DMA);
}

static void run_factorial(struct nestfd_edu *edu, uint32_t n)
{
	uint32_t product = 1;
	bool irq;

	/* modulo 2^32 the product of more than 34 factors is 0 */
	for (uint32_t i = n; i > 1 && product; i--)
		product *= i;
	pthread_mutex_lock(&edu->lock);
	edu->factorial = product;
	irq = edu->status & EDU_STATUS_IRQ;
	pthread_mutex_unlock(&edu->lock);
	if (irq)
		raise_irq(edu, EDU_IRQ_FACT);
}

static uint64_t read_locked(const struct nestfd_edu *edu, uint64_t offset)
{
	switch (offset) {
	case EDU_ID:
		return EDU_ID_VALUE;
	case EDU_LIVENESS:
		return edu->liveness;
	case EDU_FACTORIAL:
		return edu->factorial;
	case EDU_STATUS:
		return edu->status;
	case EDU_IRQ_STATUS:
		return edu->irq_status;
	case EDU_DMA_SRC:
		return edu->src;
	case EDU_DMA_DST:
		return edu->dst;
	case EDU_DMA_COUNT:
		return edu->count;
	case EDU_DMA_CMD:
		return edu->cmd;
	default:
		return UINT64_MAX;
	}
}

/* Below 0x80 only words; the DMA registers take both widths (edu.rst). */
static bool legal(uint64_t offset, unsigned int bytes)
{
	if (bytes != 4 && bytes != 8)
		return false;
	return !(offset & (bytes - 1)) && (offset >= EDU_DMA_SRC || bytes == 4);
}

uint64_t nestfd_edu_read(struct nestfd_edu *edu, uint64_t offset,
			 unsigned int bytes)
{
	uint64_t mask = bytes == 4 ? UINT32_MAX : UINT64_MAX;
	uint64_t value;

	if (!legal(offset, bytes))
		return mask;
	pthread_mutex_lock(&edu->lock);
	value = read_locked(edu, offset);
	pthread_mutex_unlock(&edu->lock);
	return value & mask;
}

static void write_locked(struct nestfd_edu *edu, uint64_t offset,
			 uint64_t value)
{
	switch (offset) {
	case EDU_LIVENESS:
		edu->liveness = ~(uint32_t)value;
		break;
	case EDU_STATUS:
		edu->status = value & EDU_STATUS_IRQ;
		break;
	case EDU_IRQ_ACK:
		edu->irq_status &= ~(uint32_t)value;
		break;
	case EDU_DMA_SRC:
		edu->src = value;
		break;
	case EDU_DMA_DST:
		edu->dst = value;
		break;
	case EDU_DMA_COUNT:
		edu->count = value;
		break;
	case EDU_DMA_CMD:
		edu->cmd = value;
		break;
	default:
		break;
	}
}

void nestfd_edu_write(struct nestfd_edu *edu, uint64_t offset,
		      unsigned int bytes, uint64_t value)
{
	if (!legal(offset, bytes))
		return;
	if (bytes == 4)
		value &= UINT32_MAX;
	pthread_mutex_lock(&edu->lock);
	write_locked(edu, offset, value);
	pthread_mutex_unlock(&edu->lock);

	if (offset == EDU_FACTORIAL)
		run_factorial(edu, (uint32_t)value);
	else if (offset == EDU_IRQ_RAISE)
		raise_irq(edu, (uint32_t)value);
	else if (offset == EDU_DMA_CMD && value & EDU_CMD_START)
		run_dma(edu);
}
