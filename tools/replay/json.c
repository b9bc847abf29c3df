// SPDX-License-Identifier: MIT
/* A report for programs. */
#include <inttypes.h>
#include <stdlib.h>

#include "replay.h"

static void put(json_t *to, const char *name, uint64_t value)
{
	json_object_set_new(to, name, json_integer((json_int_t)value));
}

static json_t *text(const char *s)
{
	json_t *value = json_string(s);

	/* Not UTF-8: a recording may say anything. */
	return value ? value : json_string("?");
}

static json_t *opcodes_json(const struct replay_arch *arch,
			    const struct report *r)
{
	json_t *to = json_object();
	char name[512];

	for (unsigned int i = 0; i < 256; i++) {
		if (!r->opcodes[i])
			continue;
		opcode_name(arch, i, name, sizeof(name));
		put(to, name, r->opcodes[i]);
	}
	return to;
}

static json_t *ioctls_json(const struct report *r)
{
	static const char *const names[NESTFD_SPLIT_COUNT] = {
		[NESTFD_SPLIT_END] = "end",	[NESTFD_SPLIT_STE] = "ste",
		[NESTFD_SPLIT_SYNC] = "sync",	[NESTFD_SPLIT_ERROR] = "error",
		[NESTFD_SPLIT_LIMIT] = "limit", [NESTFD_SPLIT_PRI] = "pri",
	};
	json_t *to = json_object();
	json_t *splits = json_object();

	put(to, "invalidate", r->viommu.invalidate_ioctls);
	put(to, "entries", r->viommu.invalidations);
	put(to, "other", r->viommu.other_ioctls);
	put(to, "ring", r->viommu.ring_ioctls);
	put(to, "ring_commands", r->viommu.ring_commands);
	put(to, "ring_stops", r->viommu.ring_stops);
	for (unsigned int i = 0; i < NESTFD_SPLIT_COUNT; i++)
		put(splits, names[i], r->viommu.splits[i]);
	json_object_set_new(to, "ended_by", splits);
	return to;
}

static json_t *wrong_json(const struct report *r)
{
	json_t *to = json_object();
	json_t *first = json_array();

	put(to, "total", report_wrong(r));
	for (unsigned int i = 0; i < WRONG_KINDS; i++)
		put(to, wrong_names[i], r->wrong[i]);
	for (unsigned int i = 0; i < r->nr_shown; i++)
		json_array_append_new(first, text(r->shown[i]));
	json_object_set_new(to, "first", first);
	return to;
}

static json_t *injected_json(const struct replay_arch *arch,
			     const struct report *r)
{
	json_t *to = json_object();

	put(to, "faults", r->injected);
	for (unsigned int i = 1; i < STOP_CODES; i++)
		if (arch->stops[i].key)
			put(to, arch->stops[i].key, r->stops[i]);
	put(to, "resets", r->resets);
	put(to, "without_ats", r->without_ats);
	return to;
}

static json_t *deviations_json(const struct report *r)
{
	json_t *to = json_object();

	for (unsigned int i = 0; i < DEV_COUNT; i++)
		if (r->deviations[i])
			put(to, deviation_names[i], r->deviations[i]);
	return to;
}

static void put_accesses(json_t *to, const struct report *r)
{
	put(to, "translated", r->translated);
	put(to, "bypassed", r->bypassed);
	put(to, "disabled", r->disabled);
	put(to, "aborted", r->aborted);
	put(to, "reads", r->reads);
	put(to, "writes", r->writes);
	put(to, "hits", r->hits);
	put(to, "misses", r->misses);
	put(to, "recorded_hits", r->recorded_hits);
	put(to, "recorded_misses", r->recorded_misses);
	put(to, "faults", r->faults);
	put(to, "interrupts", r->interrupts);
	put(to, "recorded_interrupts", r->recorded_interrupts);
}

json_t *report_json(const struct replay_options *options,
		    const struct trace *trace, const struct report *r)
{
	const struct replay_arch *arch = replay_arch_of(&trace->meta);
	json_t *to = json_object();

	json_object_set_new(to, "recording", text(trace->path));
	json_object_set_new(to, "guest", text(trace->meta.guest_kernel));
	json_object_set_new(to, "world",
			    text(options->direct ? "direct" : "nested"));
	json_object_set_new(to, "cache",
			    text(options->cache == NESTFD_CACHE_HOSTILE
					 ? "hostile"
					 : "fast"));
	put(to, "events", r->events);
	put(to, "commands", r->commands);
	json_object_set_new(to, "opcodes", opcodes_json(arch, r));
	put(to, "doorbells", r->doorbells);
	put(to, "rung", r->rung);
	put(to, "registers", r->registers);
	if (r->viommu.size)
		json_object_set_new(to, "ioctls", ioctls_json(r));
	if (options->nr_faults)
		json_object_set_new(to, "injected", injected_json(arch, r));
	put_accesses(to, r);
	put(to, "snapshots", r->snapshots);
	put(to, "rows", r->rows);
	put(to, "gaps", r->gaps);
	put(to, "command_ns", r->command_ns);
	put(to, "translate_ns", r->translate_ns);
	json_object_set_new(to, "deviations", deviations_json(r));
	json_object_set_new(to, "wrong", wrong_json(r));
	return to;
}

static json_t *word_json(uint64_t word)
{
	char hex[24];

	snprintf(hex, sizeof(hex), "%016" PRIx64, word);
	return json_string(hex);
}

static json_t *one_mutation(const struct mutation_set *set,
			    const struct mutation *m)
{
	json_t *to = json_object();
	json_t *words = json_array();

	put(to, "index", m->index);
	json_object_set_new(to, "kind", text(mutation_names[set->kind]));
	for (unsigned int i = 0; i < set->words; i++)
		json_array_append_new(words, word_json(m->words[i]));
	json_object_set_new(to, "words", words);
	json_object_set_new(to, "flagged", json_boolean(m->flagged));
	put(to, "uses", m->uses);
	if (m->why)
		json_object_set_new(to, "why", text(m->why));
	return to;
}

json_t *mutation_json(const struct replay_options *options,
		      const struct mutation_set *set)
{
	json_t *to = json_object();
	json_t *list = json_array();

	put(to, "seed", options->seed);
	put(to, "runs", set->groups);
	put(to, "eligible", set->eligible);
	for (size_t i = 0; i < set->nr; i++)
		json_array_append_new(list, one_mutation(set, &set->list[i]));
	json_object_set_new(to, "mutations", list);
	put(to, "unexplained", set->nobodys);
	if (set->nobodys_why)
		json_object_set_new(to, "unexplained_why",
				    text(set->nobodys_why));
	return to;
}
