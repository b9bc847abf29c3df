// SPDX-License-Identifier: MIT
/*
 * Intel VT-d (specification 5.10): identification, registers, lines of its own.
 * A recording has the write of IQT before the descriptors that it lets be
 * consumed, and the effect of a write of GCMD as a line behind it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "replay.h"
#include "trace/vtd.h"
#include "vtd.h"

#define TYPE_IOTLB    0x2
#define TYPE_WAIT     0x5
#define TYPE_PIOTLB   0x6
#define G_PAGE	      0x30ull
#define IH	      0x40ull
#define PASID_SHIFT   32
#define WAIT_SW	      0x20ull
#define WAIT_DATA(w0) ((uint32_t)((w0) >> 32))
#define WAIT_ADDR     (~3ull)

/* What lies above is not RAM on the boards that have a VT-d unit. */
#define RAM_MIB_MAX	2048
#define PASID_WORDS	8
#define PASID_AW	0x1cull
#define CONTEXT_GLOBAL	0x11
#define PASID_GLOBAL	0x37
#define TT_PASSES	2
#define PGTT_SECOND	2
#define REGISTERS	0x1000
#define INTERRUPT_FIRST 0xfee00000ull
#define INTERRUPT_BYTES 0x100000ull

enum {
	ID_CAP,
	ID_ECAP,
	ID_VER,
};

enum {
	STOP_IQE = 1,
	STOP_ITE,
	STOP_ICE,
};

static const struct replay_id ids[] = {
	[ID_CAP] = { "CAP", 0x8, 8, false },
	[ID_ECAP] = { "ECAP", 0x10, 8, false },
	[ID_VER] = { "VER", 0x0, 4, true },
};

static int memory(const struct trace_meta *meta,
		  struct replay_span spans[WORLD_REGIONS])
{
	if (!meta->ram_mib || meta->ram_mib > RAM_MIB_MAX || meta->ram_base)
		return -EBADMSG;
	spans[0] = (struct replay_span){ 0, meta->ram_mib << 20 };
	return 0;
}

/*
 * AW of a PASID entry is reserved in a unit without second stage (9.6), yet
 * Linux sets it, and QEMU does not look. The machine then has a second stage,
 * which nothing in the recording uses.
 */
static bool needs_second_stage(const struct world *world)
{
	return (world->id[ID_ECAP] & (VTD_ECAP_FSTS | VTD_ECAP_SSTS)) ==
	       VTD_ECAP_FSTS;
}

static void stored(struct run *run, const struct trace_event *ev)
{
	run->vtd.untold = true;
	if (ev->record.nr == PASID_WORDS && ev->record.words[0] & PASID_AW &&
	    needs_second_stage(run->world))
		run->report->deviations[DEV_ADDRESS_WIDTH]++;
}

/* A page-selective invalidation (6.5.2.3, 6.5.2.4), with IH or without */
static int forget(struct run *run, const struct access *a, bool leaf)
{
	uint64_t words[COMMAND_WORDS] = { 0 };
	uint32_t domain;
	bool first;

	if (vtd_domain(run, a->stream, a->pasid, &first, &domain))
		return 0; /* nothing to forget */
	words[0] = (first ? TYPE_PIOTLB : TYPE_IOTLB) | G_PAGE |
		   (uint64_t)domain << 16;
	if (first && a->pasid != NESTFD_NO_PASID)
		words[0] |= (uint64_t)a->pasid << PASID_SHIFT;
	words[1] = (a->iova & ~0xfffull) | (leaf ? IH : 0);
	return cmdq_insert(run, words);
}

/*
 * A virtual unit reads the tables of devices when it is told of them, and not
 * when a device uses them: guests tell in caching mode. The recorded ones have
 * none, or they told before the log shows what.
 */
static int tell_devices(struct run *run)
{
	const uint64_t context[COMMAND_WORDS] = { CONTEXT_GLOBAL };
	const uint64_t pasid[COMMAND_WORDS] = { PASID_GLOBAL };
	int rc;

	run->vtd.untold = false;
	run->report->deviations[DEV_UNTOLD]++;
	rc = cmdq_insert(run, context);
	if (!rc && run->vtd.scalable)
		rc = cmdq_insert(run, pasid);
	return rc;
}

/* So it does with the paging entries of a second stage. */
static int tell_page(struct run *run, const struct access *a)
{
	uint32_t domain;
	bool first;

	if (vtd_domain(run, a->stream, a->pasid, &first, &domain) || first)
		return 0;
	run->new_words = false;
	run->report->deviations[DEV_UNTOLD]++;
	return forget(run, a, false);
}

/* In caching mode; without, no words have come by then. */
static bool announces(uint64_t word0)
{
	unsigned int type = vtd_command_type(word0);

	return type == TYPE_IOTLB || type == TYPE_PIOTLB;
}

static int tell(struct run *run, const struct access *a)
{
	int rc = 0;

	if (run->options->direct)
		return 0;
	if (run->vtd.untold)
		rc = tell_devices(run);
	if (!rc && run->new_words)
		rc = tell_page(run, a);
	return rc;
}

static int create(const struct world *world,
		  const struct nestfd_machine_config *config,
		  struct nestfd_machine **machine)
{
	struct nestfd_vtd_id id = {
		.cap = world->id[ID_CAP],
		.ecap = world->id[ID_ECAP],
		.version = (uint32_t)world->id[ID_VER],
		.haw = (uint32_t)VTD_CAP_MGAW(world->id[ID_CAP]) + 1,
	};
	struct nestfd_machine_config with_id = *config;

	if (needs_second_stage(world))
		id.ecap |= VTD_ECAP_SSTS;
	with_id.vtd_id = &id;
	return nestfd_machine_create(&with_id, machine);
}

static void plug(const struct world *world, struct nestfd_device_config *config)
{
	uint64_t ecap = world->id[ID_ECAP];

	config->ats = ecap & VTD_ECAP_DT;
	if (ecap & VTD_ECAP_PASID)
		config->pasid_bits = (uint8_t)VTD_ECAP_PSS(ecap) + 1;
}

static bool attaches_pasids(const struct world *world)
{
	return world->id[ID_ECAP] & VTD_ECAP_PASID;
}

static bool uses_second_stage(const struct trace_snapshot *snap)
{
	for (size_t i = 0; i < snap->nr_records; i++) {
		const struct trace_record *rec = &snap->records[i];

		if (!strcmp(rec->name, "context") && rec->nr_words == 2 &&
		    (rec->words[0] >> 2 & 3) != TT_PASSES)
			return true;
		if (!strcmp(rec->name, "entry") &&
		    (rec->words[0] >> 6 & 7) == PGTT_SECOND)
			return true;
	}
	return false;
}

static bool guest_uses_second_stage(const struct trace_meta *meta)
{
	for (size_t i = 0; i < meta->nr_snapshots; i++)
		if (uses_second_stage(&meta->snapshots[i]))
			return true;
	return false;
}

/*
 * The host translates for a second stage of the guest, or for legacy mode, by
 * what the guest says of it. Caching mode makes it say so; for a guest without,
 * and for what a log shows late, tell() does.
 */
static int create_viommu(struct world *world,
			 struct nestfd_viommu_config *config)
{
	config->cap = world->id[ID_CAP];
	if (guest_uses_second_stage(world->config.meta))
		config->cap |= VTD_CAP_CM;
	config->ecap = world->id[ID_ECAP];
	/* a virtual unit has scalable mode with both stages */
	if (config->ecap & VTD_ECAP_SMTS)
		config->ecap |= VTD_ECAP_FSTS | VTD_ECAP_SSTS;
	return nestfd_viommu_vtd_create(config, &world->viommu);
}

static uint64_t read64(struct run *run, uint32_t offset)
{
	return run->world->ops->read(run->world, offset, 8);
}

static int set_queue_up(struct run *run)
{
	uint32_t bytes = run->trace->meta.entry_bytes;
	uint64_t iqa = read64(run, VTD_IQA);
	bool wide = iqa & VTD_IQA_DW;

	if (wide != (bytes == 32))
		return run_fail(run, -EBADMSG,
				"a queue of descriptors of another width");
	cmdq_set_up(run, iqa & VTD_IQA_ADDR,
		    (4096u << (iqa & VTD_IQA_QS)) / bytes, wide ? 5 : 4);
	return 0;
}

static int doorbell(struct run *run, uint64_t value)
{
	uint64_t index = value / run->trace->meta.entry_bytes;

	if (value % run->trace->meta.entry_bytes ||
	    (value && index >= run->cmdq.entries))
		return run_fail(run, -EBADMSG,
				"not the place of a descriptor in the queue");
	return cmdq_announce(run, (uint32_t)index);
}

static void command(struct run *run, uint32_t value)
{
	const uint32_t lasting = VTD_GCMD_QIE | VTD_GCMD_TE;

	run->cmdq.enabled = value & VTD_GCMD_QIE;
	world_write(run->world, VTD_GCMD, 4, value);
	run_expect_register(run, VTD_GSTS, 4, lasting, value & lasting);
}

static int write_register(struct run *run, uint32_t offset, unsigned int bytes,
			  uint64_t value)
{
	int rc;

	if (offset == VTD_IQT)
		return doorbell(run, value);
	rc = cmdq_flush(run);
	if (rc)
		return rc;
	if (offset == VTD_GCMD) {
		command(run, (uint32_t)value);
		return 0;
	}
	world_write(run->world, offset, bytes, value);
	if (offset == VTD_IQA || offset == VTD_IQA + 4)
		return set_queue_up(run);
	return 0;
}

static void queue_seen(struct run *run, const struct trace_event *ev)
{
	run_expect_register(run, VTD_IQA, 8, VTD_IQA_ADDR, ev->base.addr);
	if (ev->base.arg != run->cmdq.entries)
		run_wrong(run, WRONG_REGISTER, NULL,
			  "a queue of %" PRIu64 " descriptors, expected %u",
			  ev->base.arg, run->cmdq.entries);
}

static void root_seen(struct run *run, const struct trace_event *ev)
{
	run->vtd.scalable = ev->base.arg;
	run_expect_register(run, VTD_RTADDR, 8, VTD_RTADDR_ADDR, ev->base.addr);
	if ((VTD_RTADDR_TTM(read64(run, VTD_RTADDR)) == VTD_TTM_SCALABLE) !=
	    run->vtd.scalable)
		run_wrong(run, WRONG_REGISTER, NULL,
			  "the root table is of the other mode");
}

static void enable_seen(struct run *run, uint32_t bit, bool on)
{
	run_expect_register(run, VTD_GSTS, 4, bit, on ? bit : 0);
}

static int on_event(struct run *run, const struct trace_event *ev)
{
	switch (ev->type) {
	case TRACE_EV_FAULT:
		return vtd_fault(run, ev);
	case TRACE_EV_FAULT_RECORD:
		return vtd_fault_record(run, ev);
	case TRACE_EV_QUEUE:
		queue_seen(run, ev);
		return 0;
	case TRACE_EV_QUEUE_ENABLE:
		enable_seen(run, VTD_GCMD_QIE, ev->enable.on);
		return 0;
	case TRACE_EV_ROOT:
		root_seen(run, ev);
		return 0;
	case TRACE_EV_ENABLE:
		enable_seen(run, VTD_GCMD_TE, ev->enable.on);
		return 0;
	case TRACE_EV_IRTE:
		run->report->fetches++;
		return 0;
	case TRACE_EV_DROP: /* it may; so may we, and need not */
		run->report->drops++;
		return 0;
	default:
		return -ENOENT;
	}
}

/* Bits 0 and 1 mean read and write in both stages: 9.7 (P and R/W), 9.8. */
static int expect(struct run *run, const struct trace_translation *t,
		  struct replay_expected *expected)
{
	(void)run;
	expected->pa = t->pa | (t->iova & t->mask);
	expected->untranslated = !t->has_leaf;
	if (!t->has_leaf)
		return 0;
	expected->perm = t->leaf & (TRACE_PERM_R | TRACE_PERM_W);
	expected->page_lg2 = 64 - (unsigned int)__builtin_clzll(t->mask);
	return 0;
}

static unsigned int opcode(uint64_t word0)
{
	return vtd_command_type(word0);
}

static uint64_t word_of(unsigned int op)
{
	return (op & 0xfull) | (op & 0x70ull) << 5;
}

static bool consumed(struct run *run, uint32_t tail, uint32_t *head, char *text,
		     size_t size)
{
	uint64_t iqh = read64(run, VTD_IQH);
	uint32_t fsts = world_read32(run->world, VTD_FSTS);

	*head = (uint32_t)(iqh >> run->cmdq.tail_shift);
	if (*head == tail &&
	    !(fsts & (VTD_FSTS_IQE | VTD_FSTS_ITE | VTD_FSTS_ICE)))
		return true;
	snprintf(text, size,
		 "IQH %#" PRIx64 " after IQT %#" PRIx64
		 ", FSTS %#x IQERCD %#" PRIx64,
		 iqh, read64(run, VTD_IQT), fsts, read64(run, VTD_IQERCD));
	return false;
}

/* Where a wait writes its status; NULL: it is none, or does not */
static void *status_of(struct run *run, const uint64_t *words)
{
	if (vtd_command_type(words[0]) != TYPE_WAIT || !(words[0] & WAIT_SW))
		return NULL;
	return world_memory(run->world, words[1] & WAIT_ADDR, 4);
}

/* So that the status is seen to arrive */
static void placed(struct run *run, const uint64_t *words)
{
	void *status = status_of(run, words);
	uint32_t other = ~WAIT_DATA(words[0]);
	struct world_stream *stream;
	uint32_t sid;

	/* it shall answer, even if it does no DMA */
	if (vtd_names_device(words, &sid))
		world_stream(run->world, sid, &stream);
	if (status)
		memcpy(status, &other, sizeof(other));
}

static void completed(struct run *run, const uint64_t *words)
{
	void *status = status_of(run, words);
	uint32_t data = WAIT_DATA(words[0]);
	uint32_t found;

	if (!status)
		return;
	memcpy(&found, status, sizeof(found));
	if (found != data)
		run_wrong(run, WRONG_COMMAND, NULL,
			  "a wait left %#x at %#" PRIx64 ", expected %#x",
			  found, (uint64_t)(words[1] & WAIT_ADDR), data);
}

static unsigned int stopped(struct run *run, uint32_t *head)
{
	uint32_t fsts = world_read32(run->world, VTD_FSTS);

	*head = (uint32_t)(read64(run, VTD_IQH) >> run->cmdq.tail_shift);
	if (fsts & VTD_FSTS_IQE)
		return STOP_IQE;
	if (fsts & VTD_FSTS_ITE)
		return STOP_ITE;
	return fsts & VTD_FSTS_ICE ? STOP_ICE : 0;
}

/* Written 1, they clear (11.4.7.1), and the queue goes on. */
static void acknowledge(struct run *run, unsigned int stop)
{
	static const uint32_t bits[] = { [STOP_IQE] = VTD_FSTS_IQE,
					 [STOP_ITE] = VTD_FSTS_ITE,
					 [STOP_ICE] = VTD_FSTS_ICE };

	world_write(run->world, VTD_FSTS, 4, bits[stop]);
}

/* Linux sends all again that the aborted wait was for. */
static bool sent_again(const uint64_t *words)
{
	return vtd_command_type(words[0]) != TYPE_WAIT;
}

static bool uses_ats(struct run *run, const struct world_stream *stream)
{
	return run->world->id[ID_ECAP] & VTD_ECAP_DT &&
	       vtd_uses_ats(run, stream->sid);
}

static uint64_t recorded(const struct trace_counts *regs, const char *name)
{
	uint64_t value = 0;

	replay_recorded(regs, name, &value);
	return value;
}

/* No fault event; interrupts are not remapped. */
static void set_up(struct world *world, const struct trace_counts *regs)
{
	uint32_t on = recorded(regs, "GSTS") & (VTD_GCMD_QIE | VTD_GCMD_TE);

	world_write(world, VTD_RTADDR, 8, recorded(regs, "RTADDR"));
	world_write(world, VTD_GCMD, 4, VTD_GCMD_SRTP);
	world_write(world, VTD_IQA, 8, recorded(regs, "IQA"));
	world_write(world, VTD_GCMD, 4, on & VTD_GCMD_QIE);
	world_write(world, VTD_GCMD, 4, on);
}

static uint32_t pasid(const struct trace_counts *regs,
		      const struct trace_row *row)
{
	bool scalable =
		VTD_RTADDR_TTM(recorded(regs, "RTADDR")) == VTD_TTM_SCALABLE;

	return scalable && !row->rid ? row->substream : NESTFD_NO_PASID;
}

/* Legacy mode: no write, no read permission; first stage: not present; second
 * stage: no permission at all (table 30)
 */
static bool unmapped(uint32_t event)
{
	return event == 0x05 || event == 0x06 || event == 0x71 || event == 0x79;
}

const struct replay_arch replay_vtd = {
	.name = "a VT-d unit",
	.machine = NESTFD_ARCH_VTD,
	.ids = ids,
	.nr_ids = sizeof(ids) / sizeof(ids[0]),
	.register_bytes = REGISTERS,
	.memory = memory,
	.create = create,
	.plug = plug,
	.attaches_pasids = attaches_pasids,
	.create_viommu = create_viommu,
	.write = write_register,
	.event = on_event,
	.stored = stored,
	.announces = announces,
	.before = tell,
	.passes = vtd_let_pass,
	.forget = forget,
	.uses_ats = uses_ats,
	.expect = expect,
	.tail_register = VTD_IQT,
	.opcode = opcode,
	.word_of = word_of,
	.command_text = vtd_text_command,
	.consumed = consumed,
	.placed = placed,
	.completed = completed,
	.stopped = stopped,
	.acknowledge = acknowledge,
	.rewrite = STOP_IQE,
	.lost = STOP_ITE,
	.sent_again = sent_again,
	.lost_at = vtd_names_device,
	.wait = { TYPE_WAIT },
	.stops = {
		[STOP_IQE] = { "iqe", "IQE" },
		[STOP_ITE] = { "ite", "ITE" },
		[STOP_ICE] = { "ice", "ICE" },
	},
	.set_up = set_up,
	.pasid = pasid,
	.unmapped = unmapped,
	.not_memory = { INTERRUPT_FIRST, INTERRUPT_BYTES },
	.mutations = &vtd_mutations,
};
