// SPDX-License-Identifier: MIT
/*
 * Looking into the guest's tables of devices.
 *
 * Devices that pass through: QEMU decides that without a trace of what it read,
 * so the log lacks the one entry that says so; the next snapshot has it.
 */
#include <errno.h>
#include <string.h>

#include "replay.h"
#include "vtd.h"

#define TABLE		  0xfffffffffffff000ull
#define PRESENT		  1ull

#define CONTEXT_WORDS	  2
#define CONTEXT_TT(words) ((words)[0] >> 2 & 3)
#define CONTEXT_PASSES	  2
#define CONTEXT_ATS	  1
#define CONTEXT_DTE	  4ull
#define PASID_WORDS	  8
#define PASID_PGTT(words) ((words)[0] >> 6 & 7)
#define PASID_FIRST	  1
#define PASID_PASSES	  4

/* What the next snapshot has for @stream; NULL: nothing that passes */
static const struct trace_record *entry_of(const struct run *run,
					   uint32_t stream)
{
	const struct trace_meta *meta = &run->trace->meta;
	const struct trace_snapshot *snap;

	if (run->next_snapshot >= meta->nr_snapshots)
		return NULL;
	snap = &meta->snapshots[run->next_snapshot];
	for (size_t i = 0; i < snap->nr_records; i++) {
		const struct trace_record *rec = &snap->records[i];

		if (rec->stream != stream || rec->id)
			continue;
		if (run->vtd.scalable
			    ? rec->nr_words == PASID_WORDS &&
				      PASID_PGTT(rec->words) == PASID_PASSES
			    : rec->nr_words == CONTEXT_WORDS &&
				      CONTEXT_TT(rec->words) == CONTEXT_PASSES)
			return rec;
	}
	return NULL;
}

static bool word_at(struct run *run, uint64_t addr, uint64_t *word)
{
	const void *from = world_memory(run->world, addr, sizeof(*word));

	if (from)
		memcpy(word, from, sizeof(*word));
	return from;
}

/* The table that the entry at @addr points to */
static bool table_at(struct run *run, uint64_t addr, uint64_t *table)
{
	uint64_t word;

	if (!word_at(run, addr, &word) || !(word & PRESENT))
		return false;
	*table = word & TABLE;
	return true;
}

/* Legacy mode: root, context (9.1, 9.3) */
static bool find_context(struct run *run, uint32_t stream, uint64_t *addr)
{
	uint64_t root = run->world->ops->read(run->world, VTD_RTADDR, 8) &
			VTD_RTADDR_ADDR;

	if (!table_at(run, root + (stream >> 8) * 16ull, addr))
		return false;
	*addr += (stream & 0xff) * 16ull;
	return true;
}

/* Scalable mode: root, context (9.2, 9.4) */
static bool find_wide_context(struct run *run, uint32_t stream, uint64_t *addr)
{
	uint64_t root = run->world->ops->read(run->world, VTD_RTADDR, 8) &
			VTD_RTADDR_ADDR;
	uint64_t half = stream & 0x80 ? 8 : 0;

	if (!table_at(run, root + (stream >> 8) * 16ull + half, addr))
		return false;
	*addr += (stream & 0x7f) * 32ull;
	return true;
}

/*
 * PASID directory, PASID table (9.5, 9.6).
 * Requests without PASID are those of PASID 0 without ECAP.RPS.
 */
static bool find_pasid(struct run *run, uint32_t stream, uint32_t pasid,
		       uint64_t *addr)
{
	uint64_t at;

	if (pasid == NESTFD_NO_PASID)
		pasid = 0;
	if (!find_wide_context(run, stream, &at) || !table_at(run, at, &at) ||
	    !table_at(run, at + (pasid >> 6) * 8ull, addr))
		return false;
	*addr += (pasid & 0x3f) * 64ull;
	return true;
}

int vtd_domain(struct run *run, uint32_t stream, uint32_t pasid,
	       bool *first_stage, uint32_t *domain)
{
	uint64_t words[2];
	uint64_t addr;

	if (!(run->vtd.scalable ? find_pasid(run, stream, pasid, &addr)
				: find_context(run, stream, &addr)) ||
	    !word_at(run, addr, &words[0]) ||
	    !word_at(run, addr + 8, &words[1]) || !(words[0] & PRESENT))
		return -ENOENT;
	*first_stage = run->vtd.scalable && PASID_PGTT(words) == PASID_FIRST;
	*domain =
		run->vtd.scalable ? words[1] & 0xffff : words[1] >> 8 & 0xffff;
	return 0;
}

bool vtd_uses_ats(struct run *run, uint32_t stream)
{
	uint64_t word;
	uint64_t addr;

	if (!(run->vtd.scalable ? find_wide_context(run, stream, &addr)
				: find_context(run, stream, &addr)) ||
	    !word_at(run, addr, &word) || !(word & PRESENT))
		return false;
	return run->vtd.scalable ? word & CONTEXT_DTE
				 : CONTEXT_TT(&word) == CONTEXT_ATS;
}

void vtd_let_pass(struct run *run, uint32_t stream)
{
	const struct trace_record *rec = entry_of(run, stream);
	uint64_t addr;
	size_t bytes;
	void *to;

	if (!rec)
		return;
	if (!(run->vtd.scalable
		      ? find_pasid(run, stream, NESTFD_NO_PASID, &addr)
		      : find_context(run, stream, &addr)))
		return;
	bytes = rec->nr_words * sizeof(rec->words[0]);
	to = world_memory(run->world, addr, bytes);
	if (!to || !memcmp(to, rec->words, bytes))
		return;
	memcpy(to, rec->words, bytes); /* both are little-endian */
	run->vtd.untold = true;
	run->report->deviations[DEV_UNSEEN_ENTRY]++;
}
