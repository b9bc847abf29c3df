// SPDX-License-Identifier: MIT
/* A report for people. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

static const char *const split_names[NESTFD_SPLIT_COUNT] = {
	[NESTFD_SPLIT_END] = "end of the doorbell",
	[NESTFD_SPLIT_STE] = "stream table change",
	[NESTFD_SPLIT_SYNC] = "sync that stops the queue",
	[NESTFD_SPLIT_ERROR] = "error",
	[NESTFD_SPLIT_LIMIT] = "limit",
	[NESTFD_SPLIT_PRI] = "page response",
};

void opcode_name(const struct replay_arch *arch, unsigned int opcode,
		 char *text, size_t size)
{
	uint64_t words[COMMAND_WORDS] = { arch->word_of(opcode) };
	char *end;

	arch->command_text(words, text, size);
	end = strchr(text, ' ');
	if (end)
		*end = '\0';
}

static void show_printable(const char *text)
{
	for (; *text; text++)
		putchar((*text < ' ' && *text != '\n') || *text > '~' ? '?'
								      : *text);
}

static double per(uint64_t ns, uint64_t n)
{
	return n ? (double)ns / (double)n : 0;
}

static void show_commands(const struct replay_arch *arch,
			  const struct report *r)
{
	char name[512];

	printf("  commands      %" PRIu64 " in %" PRIu64
	       " doorbells, rung %" PRIu64 "",
	       r->commands, r->doorbells, r->rung);
	if (r->rung_early)
		printf(" (%" PRIu64 " early)", r->rung_early);
	printf("; none left behind: %s\n",
	       r->wrong[WRONG_COMMAND] ? "NO" : "yes");
	for (unsigned int i = 0; i < 256; i++) {
		if (!r->opcodes[i])
			continue;
		opcode_name(arch, i, name, sizeof(name));
		printf("    %10" PRIu64 "  %s\n", r->opcodes[i], name);
	}
}

static void show_ioctls(const struct report *r)
{
	const struct nestfd_viommu_stats *v = &r->viommu;

	if (!v->size)
		return;
	printf("  ioctls        %" PRIu64 " invalidating, with %" PRIu64
	       " entries; %" PRIu64 " others\n",
	       v->invalidate_ioctls, v->invalidations, v->other_ioctls);
	for (unsigned int i = 0; i < NESTFD_SPLIT_COUNT; i++)
		if (v->splits[i])
			printf("    %10" PRIu64 "  ended by: %s\n",
			       v->splits[i], split_names[i]);
	if (v->ring_ioctls)
		printf("  ring          %" PRIu64 " ioctls took %" PRIu64
		       " commands; %" PRIu64 " stopped for the VMM\n",
		       v->ring_ioctls, v->ring_commands, v->ring_stops);
}

static void show_translations(const struct report *r)
{
	printf("  translations  %" PRIu64 " checked, %" PRIu64 " wrong",
	       r->translated + r->bypassed + r->disabled + r->aborted,
	       r->wrong[WRONG_TRANSLATION]);
	if (r->bypassed)
		printf("; %" PRIu64 " bypassed", r->bypassed);
	if (r->disabled)
		printf("; %" PRIu64 " with the IOMMU off", r->disabled);
	if (r->aborted)
		printf("; %" PRIu64 " aborted", r->aborted);
	printf("; data of %" PRIu64 " reads, %" PRIu64 " writes\n", r->reads,
	       r->writes);
	printf("  cache         %" PRIu64 " hits, %" PRIu64
	       " misses; the recording's: %" PRIu64 ", %" PRIu64 "\n",
	       r->hits, r->misses, r->recorded_hits, r->recorded_misses);
}

static void show_faults(const struct report *r)
{
	printf("  faults        %" PRIu64 " checked, %" PRIu64
	       " wrong; %" PRIu64 " interrupts, the recording's: %" PRIu64 "\n",
	       r->faults, r->wrong[WRONG_FAULT], r->interrupts,
	       r->recorded_interrupts);
	for (unsigned int i = 0; i < DEV_COUNT; i++)
		if (r->deviations[i])
			printf("    %10" PRIu64 "  where QEMU %s\n",
			       r->deviations[i], deviation_names[i]);
	if (r->recorded_errors)
		printf("    %10" PRIu64 "  command errors in the recording\n",
		       r->recorded_errors);
}

static void show_injected(const struct replay_arch *arch,
			  const struct replay_options *options,
			  const struct report *r)
{
	const char *before = "";

	if (!options->nr_faults)
		return;
	printf("  injected      %" PRIu64
	       " faults; the guest's queue stopped: ",
	       r->injected);
	for (unsigned int i = 1; i < STOP_CODES; i++) {
		if (!arch->stops[i].name)
			continue;
		printf("%s%s %" PRIu64, before, arch->stops[i].name,
		       r->stops[i]);
		before = ", ";
	}
	putchar('\n');
	if (r->resets)
		printf("    %10" PRIu64 "  resets of devices, %" PRIu64
		       " did without ATS in the end\n",
		       r->resets, r->without_ats);
}

static void show_wrong(const struct report *r)
{
	uint64_t wrong = report_wrong(r);

	printf("  wrong         %" PRIu64, wrong);
	for (unsigned int i = 0; i < WRONG_KINDS; i++)
		if (r->wrong[i])
			printf(", %s %" PRIu64, wrong_names[i], r->wrong[i]);
	putchar('\n');
	for (unsigned int i = 0; i < r->nr_shown; i++) {
		printf("\n%u. ", i + 1);
		show_printable(r->shown[i]);
		putchar('\n');
	}
	if (wrong > r->nr_shown)
		printf("\nand %" PRIu64 " more\n", wrong - r->nr_shown);
}

static void show_head(const struct replay_options *options,
		      const struct trace *trace)
{
	printf("%s: %s, %s cache\n", trace->path,
	       options->direct ? "the bare model" : "nested translation",
	       options->cache == NESTFD_CACHE_HOSTILE ? "hostile" : "fast");
	printf("  guest         ");
	show_printable(trace->meta.guest_kernel);
	putchar('\n');
}

static void show_id(const struct replay_arch *arch, const struct trace *trace,
		    const struct report *r)
{
	uint64_t recorded;

	for (size_t i = 0; i < arch->nr_ids; i++) {
		recorded = r->id[i];
		replay_recorded(&trace->meta.snapshots[0].registers,
				arch->ids[i].name, &recorded);
		if (recorded != r->id[i] && !arch->ids[i].optional)
			printf("  %-13s %#" PRIx64
			       ", the recording's: %#" PRIx64 "\n",
			       arch->ids[i].name, r->id[i], recorded);
	}
}

void report_text(const struct replay_options *options,
		 const struct trace *trace, const struct report *r)
{
	const struct replay_arch *arch = replay_arch_of(&trace->meta);

	show_head(options, trace);
	show_id(arch, trace, r);
	show_commands(arch, r);
	show_ioctls(r);
	show_injected(arch, options, r);
	show_translations(r);
	show_faults(r);
	if (options->snapshots)
		printf("  snapshots     %" PRIu64 ": %" PRIu64
		       " leaves, %" PRIu64 " addresses between, %" PRIu64
		       " wrong\n",
		       r->snapshots, r->rows, r->gaps,
		       r->wrong[WRONG_SNAPSHOT]);
	printf("  time          %.0f ns per command, %.0f ns per translation\n",
	       per(r->command_ns, r->commands),
	       per(r->translate_ns,
		   r->translated + r->bypassed + r->disabled + r->aborted));
	show_wrong(r);
}

static uint64_t count_flagged(const struct mutation_set *set)
{
	uint64_t flagged = 0;

	for (size_t i = 0; i < set->nr; i++)
		flagged += set->list[i].flagged;
	return flagged;
}

void mutation_text(const struct replay_options *options,
		   const struct trace *trace, const struct mutation_set *set)
{
	const struct replay_arch *arch = replay_arch_of(&trace->meta);
	char text[512];

	show_head(options, trace);
	printf("  altered       %zu of %" PRIu64 " commands (%s), in %u runs; "
	       "%" PRIu64 " noticed\n",
	       set->nr, set->eligible, mutation_names[set->kind], set->groups,
	       count_flagged(set));
	for (size_t i = 0; i < set->nr; i++) {
		const struct mutation *m = &set->list[i];

		arch->command_text(m->words, text, sizeof(text));
		printf("    command %" PRIu64 " -> %s\n", m->index, text);
		if (m->why) {
			printf("      ");
			show_printable(m->why);
			putchar('\n');
		}
	}
	if (set->nobodys) {
		printf("  wrong         %" PRIu64
		       ", explained by none of them\n    ",
		       set->nobodys);
		show_printable(set->nobodys_why ? set->nobodys_why : "");
		putchar('\n');
	}
}
