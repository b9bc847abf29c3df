// SPDX-License-Identifier: MIT
/* Arm SMMUv3 (IHI 0070): identification, registers, lines of its own. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <linux/iommufd.h>

#include "replay.h"
#include "smmuv3.h"
#include "trace/smmuv3.h"

/*
 * The GIC's interrupt translation service of QEMU's "virt" board, where devices
 * write their interrupts.
 */
#define ITS_FIRST	  0x08080000ull
#define ITS_LENGTH	  0x20000ull
#define HUGE_PAGE	  (2ull << 20)

#define CR0_MASK	  0xfu
#define CONS_ERR	  0x7f000000u
#define CONS_ERR_SHIFT	  24
#define GERROR_CMDQ	  1u
#define IDR0_ATS	  0x400u
#define OP_ATC_INV	  0x40
#define OP_SYNC		  0x46
#define ATC_INV_SID(w0)	  ((uint32_t)((w0) >> 32))
#define IDR1_SSIDSIZE	  0x7c0u
#define IDR3_RIL	  0x400u

#define STE_V		  1ull
#define STE_CONFIG(w0)	  ((w0) >> 1 & 7)
#define STE_CONFIG_STAGE1 5
#define STE_EATS(w1)	  ((w1) >> 28 & 3)
#define STE_EATS_FULL	  1
#define STE_CONFIG_STAGE2 6 /* and 7: both stages */

#define F_TRANSLATION	  0x10
#define F_ACCESS	  0x12

enum {
	ID_IDR0,
	ID_IDR5 = 5,
	ID_IIDR,
	ID_AIDR,
};

/* CMDQ_CONS.ERR (IHI 0070 7.1) */
enum {
	STOP_ILL = 1,
	STOP_ABT,
	STOP_ATC_INV_SYNC,
};

static const struct replay_id ids[] = {
	{ "IDR0", 0x0, 4, false },  { "IDR1", 0x4, 4, false },
	{ "IDR2", 0x8, 4, false },  { "IDR3", 0xc, 4, false },
	{ "IDR4", 0x10, 4, false }, { "IDR5", 0x14, 4, false },
	{ "IIDR", 0x18, 4, true },  { "AIDR", 0x1c, 4, true },
};

static int memory(const struct trace_meta *meta,
		  struct replay_span spans[WORLD_REGIONS])
{
	if (!meta->ram_mib || meta->ram_mib > 1ull << 24 ||
	    meta->ram_base & (HUGE_PAGE - 1) ||
	    meta->ram_base < ITS_FIRST + ITS_LENGTH ||
	    meta->ram_base > 1ull << 47)
		return -EBADMSG;
	spans[0] = (struct replay_span){ meta->ram_base, meta->ram_mib << 20 };
	spans[1] = (struct replay_span){ ITS_FIRST, ITS_LENGTH };
	return 0;
}

static int create(const struct world *world,
		  const struct nestfd_machine_config *config,
		  struct nestfd_machine **machine)
{
	struct nestfd_smmuv3_id id = { .iidr = (uint32_t)world->id[ID_IIDR],
				       .aidr = (uint32_t)world->id[ID_AIDR] };
	struct nestfd_machine_config with_id = *config;

	for (size_t i = ID_IDR0; i <= ID_IDR5; i++)
		id.idr[i] = (uint32_t)world->id[i];
	with_id.smmuv3_id = &id;
	return nestfd_machine_create(&with_id, machine);
}

/*
 * In a ring the host judges commands, so the guest's registers must not tell
 * another story. More features than it knew do not change what a guest did.
 */
static int judge_as_host(struct world *world, uint32_t idr[6])
{
	struct iommu_hw_info_arm_smmuv3 hw = { 0 };
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = world->beside_id,
		.data_len = sizeof(hw),
		.data_uptr = (uintptr_t)&hw,
	};
	int rc = nestfd_ioctl(world->nfd, IOMMU_GET_HW_INFO, &info);

	if (rc)
		return rc;
	idr[0] |= hw.idr[0] & IDR0_ATS;
	idr[1] = (idr[1] & ~IDR1_SSIDSIZE) | (hw.idr[1] & IDR1_SSIDSIZE);
	idr[3] |= hw.idr[3] & IDR3_RIL;
	return 0;
}

static int create_viommu(struct world *world,
			 struct nestfd_viommu_config *config)
{
	int rc;

	for (size_t i = ID_IDR0; i <= ID_IDR5; i++)
		config->idr[i] = (uint32_t)world->id[i];
	if (config->queue == NESTFD_QUEUE_RING) {
		rc = judge_as_host(world, config->idr);
		if (rc)
			return rc;
	}
	return nestfd_viommu_smmuv3_create(config, &world->viommu);
}

static const char *only_direct(const struct trace *trace)
{
	for (size_t i = 0; i < trace->meta.nr_snapshots; i++) {
		const struct trace_snapshot *snap = &trace->meta.snapshots[i];

		for (size_t j = 0; j < snap->nr_records; j++)
			if (!strcmp(snap->records[j].name, "ste") &&
			    STE_CONFIG(snap->records[j].words[0]) >=
				    STE_CONFIG_STAGE2)
				return "this guest uses stage 2, which a "
				       "nested world keeps for the host";
	}
	return NULL;
}

/* The recorder left out which page the queues' registers are in (6.2). */
static uint32_t offset_of(uint32_t logged)
{
	switch (logged) {
	case 0xa8:
	case 0xac:
	case 0xc8:
	case 0xcc:
		return 0x10000 | logged;
	default:
		return logged;
	}
}

static void note_register(struct run *run, uint32_t offset, uint64_t value)
{
	struct smmuv3_state *s = &run->smmuv3;

	switch (offset) {
	case REG_CMDQ_BASE:
		cmdq_set_up(run, value & QUEUE_BASE_ADDR,
			    1u << (value & QUEUE_BASE_LOG2), 0);
		break;
	case REG_EVENTQ_BASE:
		s->eventq_base = value & QUEUE_BASE_ADDR;
		s->eventq_lg2 = value & QUEUE_BASE_LOG2;
		break;
	case REG_EVENTQ_PROD:
		s->recorded_prod = (uint32_t)value;
		break;
	case REG_IRQ_CTRL:
		s->irq_ctrl = (uint32_t)value;
		break;
	case REG_CR0:
		run->cmdq.enabled = value & CR0_CMDQEN;
		break;
	default:
		break;
	}
}

/*
 * How far behind its event queue the guest was is what the recording says; the
 * same distance from our PROD differs only where something has gone wrong.
 */
static uint32_t event_cons(const struct run *run, uint32_t logged)
{
	uint32_t mask = (2u << run->smmuv3.eventq_lg2) - 1;
	uint32_t behind = run->smmuv3.recorded_prod - logged;

	return (world_read32(run->world, REG_EVENTQ_PROD) - behind) & mask;
}

static int write_register(struct run *run, uint32_t logged, unsigned int bytes,
			  uint64_t value)
{
	uint32_t offset = offset_of(logged);
	int rc;

	if ((offset == REG_CMDQ_BASE || offset == REG_EVENTQ_BASE) &&
	    (value & QUEUE_BASE_LOG2) > 19)
		return run_fail(run, -EBADMSG, "no queue is this large");
	if (offset == REG_CMDQ_PROD)
		return cmdq_doorbell(run, (uint32_t)value);
	rc = cmdq_flush(run);
	if (rc)
		return rc;
	note_register(run, offset, value);
	if (offset == REG_EVENTQ_CONS)
		value = event_cons(run, (uint32_t)value);
	world_write(run->world, offset, bytes, value);
	if (offset == REG_CR0)
		run_expect_register(run, REG_CR0ACK, 4, CR0_MASK,
				    (uint32_t)value);
	return 0;
}

static void on_irq(struct run *run, uint64_t number)
{
	run->report->recorded_interrupts++;
	if (!number && !run->smmuv3.raised)
		run->report->deviations[DEV_INTERRUPT]++;
}

/*
 * A stage-2 input beyond the SMMU's IAS, which is its OAS: QEMU aborts without
 * an event, the architecture says F_TRANSLATION (IHI 0070 3.4.1).
 */
static bool beyond_input(const struct run *run, uint64_t iova)
{
	static const uint8_t bits[] = { 32, 36, 40, 42, 44, 48, 52, 56 };

	return iova >> bits[run->world->id[ID_IDR5] & 7];
}

static int aborted(struct run *run, const struct trace_event *ev)
{
	const struct access access = {
		.stream = ev->access.stream,
		.pasid = NESTFD_NO_PASID,
		.iova = ev->access.iova,
		.flags = ev->access.write ? NESTFD_DMA_WRITE : 0,
	};
	struct nestfd_translation tr;
	struct culprit c;
	int rc = access_look(run, &access, &c, &tr);

	if (rc)
		return rc;
	run->report->aborted++;
	if (tr.result != NESTFD_ABORTED)
		run_wrong(run, WRONG_TRANSLATION, &c,
			  "expected an abort; got %s to %#" PRIx64,
			  access_result(tr.result), tr.pa);
	else if (tr.event == F_TRANSLATION && beyond_input(run, c.iova))
		run->report->deviations[DEV_INPUT_RANGE]++;
	else if (tr.event)
		run_wrong(run, WRONG_TRANSLATION, &c,
			  "expected an abort without an event; got event %#x",
			  tr.event);
	return 0;
}

static void plug(const struct world *world, struct nestfd_device_config *config)
{
	config->ats = world->id[ID_IDR0] & IDR0_ATS;
}

static int ste_seen(struct run *run, const struct trace_event *ev)
{
	struct world_stream *stream;
	int rc = world_stream(run->world, ev->ste.stream, &stream);

	run->report->fetches++;
	if (rc)
		return run_fail_world(run, rc);
	stream->ste = ev->ste.addr;
	return 0;
}

/* 5.2: EATS, with stage 1 translation */
static bool uses_ats(struct run *run, const struct world_stream *stream)
{
	const void *from;
	uint64_t ste[2];

	if (!(run->world->id[ID_IDR0] & IDR0_ATS) || !stream->ste)
		return false;
	from = world_memory(run->world, stream->ste, sizeof(ste));
	if (!from)
		return false;
	memcpy(ste, from, sizeof(ste)); /* both are little-endian */
	return ste[0] & STE_V && STE_CONFIG(ste[0]) == STE_CONFIG_STAGE1 &&
	       STE_EATS(ste[1]) == STE_EATS_FULL;
}

/* 4.5.1: none but those have not been done. */
static bool sent_again(const uint64_t *words)
{
	return (words[0] & 0xff) == OP_ATC_INV;
}

static bool lost_at(const uint64_t *words, uint32_t *stream)
{
	*stream = ATC_INV_SID(words[0]);
	return sent_again(words) && *stream <= WORLD_MAX_STREAM;
}

static int on_event(struct run *run, const struct trace_event *ev)
{
	int rc;

	switch (ev->type) {
	case TRACE_EV_DISABLED:
		run->report->disabled++;
		return access_untranslated(run, ev->access.stream,
					   ev->access.iova, ev->access.write);
	case TRACE_EV_ABORT:
		return aborted(run, ev);
	case TRACE_EV_FAULT:
		return smmuv3_fault(run);
	case TRACE_EV_IRQ:
		on_irq(run, ev->irq.number);
		return 0;
	case TRACE_EV_GERROR:
		rc = cmdq_flush(run);
		run_expect_register(run, REG_GERROR, 4, UINT32_MAX,
				    (uint32_t)ev->gerror.now);
		return rc;
	case TRACE_EV_ERROR:
		run->report->recorded_errors++;
		return 0;
	case TRACE_EV_STE:
		return ste_seen(run, ev);
	case TRACE_EV_CD:
		run->report->fetches++;
		return 0;
	default:
		return -ENOENT;
	}
}

static int expect(struct run *run, const struct trace_translation *t,
		  struct replay_expected *expected)
{
	(void)expected;
	if (t->stage != 1 && !run->options->direct)
		return run_fail(run, -EBADMSG,
				"a translation of stage 2: use --direct");
	return 0;
}

static unsigned int opcode(uint64_t word0)
{
	return word0 & 0xff;
}

static uint64_t word_of(unsigned int op)
{
	return op;
}

static bool consumed(struct run *run, uint32_t tail, uint32_t *head, char *text,
		     size_t size)
{
	uint32_t cons = world_read32(run->world, REG_CMDQ_CONS);
	uint32_t gerror = world_read32(run->world, REG_GERROR);
	uint32_t gerrorn = world_read32(run->world, REG_GERRORN);
	uint32_t mask = run->cmdq.mask;

	if ((cons & mask) == (tail & mask) && !(cons & CONS_ERR) &&
	    gerror == gerrorn)
		return true;
	*head = cons;
	snprintf(text, size,
		 "CMDQ_CONS %#x after PROD %#x, GERROR %#x GERRORN %#x", cons,
		 tail, gerror, gerrorn);
	return false;
}

/* 7.1: an illegal command is to be replaced before it is acknowledged. */
static unsigned int stopped(struct run *run, uint32_t *head)
{
	uint32_t gerror = world_read32(run->world, REG_GERROR);
	uint32_t gerrorn = world_read32(run->world, REG_GERRORN);
	uint32_t cons = world_read32(run->world, REG_CMDQ_CONS);
	unsigned int code = (cons & CONS_ERR) >> CONS_ERR_SHIFT;

	if (!((gerror ^ gerrorn) & GERROR_CMDQ) || code >= STOP_CODES)
		return 0;
	*head = cons;
	return code;
}

static void acknowledge(struct run *run, unsigned int stop)
{
	uint32_t gerrorn = world_read32(run->world, REG_GERRORN);

	(void)stop;
	world_write(run->world, REG_GERRORN, 4, gerrorn ^ GERROR_CMDQ);
}

static uint64_t recorded(const struct trace_counts *regs, const char *name)
{
	uint64_t value = 0;

	replay_recorded(regs, name, &value);
	return value;
}

/* As software sets an SMMU up (IHI 0070 6.3.9); no event queue. */
static void set_up(struct world *world, const struct trace_counts *regs)
{
	uint32_t cr0 = recorded(regs, "CR0") & (CR0_SMMUEN | CR0_CMDQEN);

	world_write(world, REG_GBPA, 4, recorded(regs, "GBPA") | GBPA_UPDATE);
	world_write(world, REG_CR1, 4, recorded(regs, "CR1"));
	world_write(world, REG_CR2, 4, recorded(regs, "CR2"));
	world_write(world, REG_STRTAB_BASE, 8, recorded(regs, "STRTAB_BASE"));
	world_write(world, REG_STRTAB_CFG, 4,
		    recorded(regs, "STRTAB_BASE_CFG"));
	world_write(world, REG_CMDQ_BASE, 8, recorded(regs, "CMDQ_BASE"));
	world_write(world, REG_CMDQ_CONS, 4, recorded(regs, "CMDQ_PROD"));
	world_write(world, REG_CMDQ_PROD, 4, recorded(regs, "CMDQ_PROD"));
	world_write(world, REG_CR0, 4, cr0 & CR0_CMDQEN);
	world_write(world, REG_CR0, 4, cr0);
}

static uint32_t pasid(const struct trace_counts *regs,
		      const struct trace_row *row)
{
	(void)regs;
	return row->substream ? row->substream : NESTFD_NO_PASID;
}

static bool unmapped(uint32_t event)
{
	return event == F_TRANSLATION;
}

const struct replay_arch replay_smmuv3 = {
	.name = "an SMMUv3",
	.machine = NESTFD_ARCH_SMMUV3,
	.ids = ids,
	.nr_ids = sizeof(ids) / sizeof(ids[0]),
	.register_bytes = NESTFD_VIOMMU_SMMUV3_SIZE,
	.memory = memory,
	.create = create,
	.plug = plug,
	.create_viommu = create_viommu,
	.only_direct = only_direct,
	.write = write_register,
	.event = on_event,
	.uses_ats = uses_ats,
	.expect = expect,
	.rings = true,
	.wraps = true,
	.tail_register = REG_CMDQ_PROD,
	.opcode = opcode,
	.word_of = word_of,
	.command_text = smmuv3_text_command,
	.consumed = consumed,
	.stopped = stopped,
	.acknowledge = acknowledge,
	.rewrite = STOP_ILL,
	.lost = STOP_ATC_INV_SYNC,
	.sent_again = sent_again,
	.lost_at = lost_at,
	.wait = { OP_SYNC },
	.stops = {
		[STOP_ILL] = { "ill", "ILL" },
		[STOP_ABT] = { "abt", "ABT" },
		[STOP_ATC_INV_SYNC] = { "atc_inv_sync", "ATC_INV_SYNC" },
	},
	.set_up = set_up,
	.pasid = pasid,
	.unmapped = unmapped,
	.no_access_flag = F_ACCESS,
	.mutations = &smmuv3_mutations,
};
