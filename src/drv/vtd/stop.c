// SPDX-License-Identifier: MIT
/*
 * The end of a unit whose queue cannot be trusted: the root table is empty, and
 * what has been cached of others is forgotten. How hardware is told:
 *
 * - By the root table pointer, with ESRTPS (6.6). That is all.
 * - By registers, in legacy mode and below major version 6 (11.4.6): in any
 *   other mode, or later, hardware ignores them.
 * - By the queue, which is turned off and begins again in other memory.
 *
 * Without ESRTPS the mode stays what it is as long as DMA is translated
 * (11.4.5). Only where neither of them has helped, and nothing is left to lose,
 * it becomes the one in which registers are obeyed. Each command waits for the
 * one before (6.9).
 */
#include "drv/clock.h"
#include "drv/vtd/unit.h"
#include "hwdef/vtd_qi.h"
#include "hwdef/vtd_regs.h"

#define PAGE	 4096
#define QUEUE_US 100
#define STATUS	 (PAGE - 8) /* where the queue's wait writes */
#define WRITTEN	 1
#define WAITS	 (HOSTQ_RETRIES + 1)

/* 11.4.6: 0 as what has been done is an error. */
static bool by_register(struct unit *u, uint32_t offset, uint64_t command,
			uint64_t done)
{
	vtd_unit_write(u, offset, 8, command);
	/* bit 63: under way */
	if (hostunit_wait(&u->host, offset + 4, (uint32_t)BIT_ULL(31), 0))
		return false;
	return field_get(done, vtd_unit_read(u, offset, 8)) == VTD_GRAN_GLOBAL;
}

static bool forget_by_registers(struct unit *u)
{
	uint32_t iro = (uint32_t)field_get(VTD_ECAP_IRO, u->info.ecap_reg) * 16;

	if (!u->feat.registers || vtd_unit_command(u, VTD_GCMD_QIE, false))
		return false;
	return by_register(u, VTD_CCMD,
			   VTD_CCMD_ICC |
				   field_prep(VTD_CCMD_CIRG, VTD_GRAN_GLOBAL),
			   VTD_CCMD_CAIG) &&
	       by_register(u, iro + VTD_IOTLB,
			   VTD_IOTLB_IVT | VTD_IOTLB_DR | VTD_IOTLB_DW |
				   field_prep(VTD_IOTLB_IIRG, VTD_GRAN_GLOBAL),
			   VTD_IOTLB_IAIG);
}

static uint32_t size_of(const struct unit *u)
{
	return u->q.dwords * (uint32_t)sizeof(le64);
}

/* Returns the offset behind the first of WAITS. */
static uint32_t fill(struct unit *u)
{
	uint64_t d[DESC_EVERYTHING + WAITS][DESC_DWORDS];
	unsigned int words = u->q.dwords;
	unsigned int n = desc_everything(u, d);
	le64 *ring = u->last.host;

	for (unsigned int i = 0; i < WAITS; i++)
		desc_wait(u->last.pa + STATUS, WRITTEN, d[n + i]);
	for (unsigned int i = 0; i < (n + WAITS) * words; i++)
		hostmem_store(&ring[i], d[i / words][i % words]);
	return (n + 1) * size_of(u);
}

static bool is_written(const struct unit *u)
{
	const uint64_t *status =
		(const void *)((const char *)u->last.host + STATUS);

	return (uint32_t)le64toh(__atomic_load_n(status, __ATOMIC_ACQUIRE)) ==
	       WRITTEN;
}

/*
 * A fetch that fails is tried a few times here as well. A device that has not
 * answered what was under way aborts the wait (6.5.2.11), so there is another.
 */
static bool again(struct unit *u, uint64_t fsts, uint32_t *tail,
		  unsigned int *tries)
{
	if (++*tries >= WAITS)
		return false;
	vtd_unit_write(u, VTD_FSTS, 4, VTD_FSTS_IQE | VTD_FSTS_ITE);
	if (!(fsts & VTD_FSTS_ITE))
		return true;
	*tail += size_of(u);
	vtd_unit_write(u, VTD_IQT, 8, *tail);
	return true;
}

static bool queue_ends(struct unit *u, uint32_t tail)
{
	unsigned int tries = 0;

	vtd_unit_write(u, VTD_IQT, 8, tail);
	for (unsigned int us = 0; us / 1000 < u->cfg.timeout_ms;
	     us += QUEUE_US) {
		uint64_t fsts = vtd_unit_read(u, VTD_FSTS, 4) &
				(VTD_FSTS_IQE | VTD_FSTS_ITE);

		if (is_written(u))
			return true;
		if (!fsts)
			clock_nap_us(QUEUE_US);
		else if (!again(u, fsts, &tail, &tries))
			return false;
	}
	return is_written(u);
}

/* Errors go when hardware fetches nothing that they were about. */
static bool forget_by_queue(struct unit *u)
{
	uint32_t tail = fill(u);

	if (vtd_unit_command(u, VTD_GCMD_QIE, false))
		return false;
	vtd_unit_write(u, VTD_FSTS, 4,
		       VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE);
	vtd_unit_write(u, VTD_IQT, 8, 0);
	vtd_unit_write(u, VTD_IQA, 8,
		       u->last.pa | (u->feat.wide ? VTD_IQA_DW : 0));
	if (vtd_unit_command(u, VTD_GCMD_QIE, true))
		return false;
	return queue_ends(u, tail);
}

static bool forget(struct unit *u)
{
	if (u->feat.root_forgets)
		return !vtd_unit_set_root(u, u->feat.abort_mode ? VTD_TTM_ABORT
								: u->feat.mode);
	if (u->feat.mode == VTD_TTM_LEGACY && forget_by_registers(u))
		return true;
	if (forget_by_queue(u))
		return true;
	return u->feat.mode != VTD_TTM_LEGACY && u->feat.registers &&
	       !vtd_unit_set_root(u, VTD_TTM_LEGACY) && forget_by_registers(u);
}

void vtd_unit_stop(struct unit *u)
{
	le64 *root = u->root.host;

	for (unsigned int i = 0; root && i < u->root.size / sizeof(*root); i++)
		hostmem_store(&root[i], 0);
	if (!forget(u))
		logger_log(u->cfg.logger, LOGGER_ERROR,
			   "vtd: hardware does not forget; what it has cached "
			   "may still be used");
}

int vtd_stop_init(struct unit *u)
{
	if (u->feat.root_forgets)
		return 0;
	return hostmem_alloc(&u->port, PAGE, PAGE, &u->last);
}

void vtd_stop_fini(struct unit *u)
{
	if (u->last.host)
		hostmem_free(&u->port, &u->last);
}
