// SPDX-License-Identifier: MIT
/* The error injector of include/nestfd/model.h, and rules in words. */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "lib/machine.h"

#define OPCODE_MAX	 0xffu
#define DEFAULT_DELAY_US 1000u /* of what is late, not of what never comes */
#define PROBABILITY_MAX	 64u

static const enum inject_kind kinds[] = {
	[NESTFD_FAULT_ILL] = INJECT_ILL,
	[NESTFD_FAULT_ABT] = INJECT_ABT,
	[NESTFD_FAULT_ATC_TIMEOUT] = INJECT_ATC_TIMEOUT,
	[NESTFD_FAULT_ATC_LATE] = INJECT_ATC_LATE,
	[NESTFD_FAULT_GONE] = INJECT_GONE,
	[NESTFD_FAULT_SLOW_SYNC] = INJECT_SLOW_SYNC,
	[NESTFD_FAULT_ATC_BAD] = INJECT_ATC_BAD,
};

_Static_assert(NESTFD_FAULT_ANY == INJECT_ANY, "it goes down as it is");

/* Not a number fails, too. */
static bool is_probability(double p)
{
	return p >= 0 && p <= 1;
}

static int check(const struct nestfd_fault *fault)
{
	if (fault->size != sizeof(*fault) ||
	    (unsigned int)fault->kind >= ARRAY_SIZE(kinds) ||
	    !is_probability(fault->probability))
		return -EINVAL;
	if (fault->kind == NESTFD_FAULT_ILL &&
	    fault->opcode != NESTFD_FAULT_ANY && fault->opcode > OPCODE_MAX)
		return -EINVAL;
	return 0;
}

static uint32_t delay_of(const struct nestfd_fault *fault)
{
	bool late = fault->kind == NESTFD_FAULT_ATC_LATE ||
		    fault->kind == NESTFD_FAULT_SLOW_SYNC;

	return late && !fault->delay_us ? DEFAULT_DELAY_US : fault->delay_us;
}

int nestfd_inject(struct nestfd_machine *machine,
		  const struct nestfd_fault *fault)
{
	struct inject_fault rule;
	int rc;

	rc = check(fault);
	if (rc)
		return rc;
	rule = (struct inject_fault){
		.kind = kinds[fault->kind],
		.opcode = fault->opcode,
		.stream_id = fault->stream_id,
		.probability = fault->probability > 0 ? fault->probability : 1,
		.count = fault->count,
		.seed = fault->seed,
		.delay_us = delay_of(fault),
	};
	return machine->model->ops->inject(machine->model, &rule);
}

uint64_t nestfd_inject_clear(struct nestfd_machine *machine)
{
	return machine->model->ops->inject_clear(machine->model);
}

/* ---- In words ---- */

/* Which of the words behind a kind may follow it */
#define WORD_P	     0x01u
#define WORD_N	     0x02u
#define WORD_SEED    0x04u
#define WORD_OP	     0x08u
#define WORD_DEV     0x10u
#define WORD_US	     0x20u
#define WORDS_OF_ALL (WORD_P | WORD_N | WORD_SEED)

static const struct {
	const char *name;
	unsigned int word;
} words[] = {
	{ "p", WORD_P },   { "n", WORD_N },	{ "seed", WORD_SEED },
	{ "op", WORD_OP }, { "dev", WORD_DEV }, { "us", WORD_US },
};

static const struct {
	const char *name;
	enum nestfd_fault_kind kind;
	unsigned int words;
} names[] = {
	{ "ill", NESTFD_FAULT_ILL, WORD_OP | WORD_DEV },
	{ "abt", NESTFD_FAULT_ABT, 0 },
	{ "atc-timeout", NESTFD_FAULT_ATC_TIMEOUT, WORD_DEV | WORD_US },
	{ "atc-late", NESTFD_FAULT_ATC_LATE, WORD_DEV | WORD_US },
	{ "gone", NESTFD_FAULT_GONE, WORD_DEV | WORD_US },
	{ "slow-sync", NESTFD_FAULT_SLOW_SYNC, WORD_US },
	{ "atc-bad", NESTFD_FAULT_ATC_BAD, WORD_DEV },
};

/* As C writes them: decimal, 0x... or 0...; *@at moves behind it. */
static bool take_integer(const char **at, uint64_t min, uint64_t max,
			 uint64_t *out)
{
	unsigned long long value;
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	value = strtoull(*at, &end, 0);
	if (errno || value < min || value > max)
		return false;
	*at = end;
	*out = value;
	return true;
}

static bool take_u32(const char **at, uint32_t min, uint32_t *out)
{
	uint64_t value;

	if (!take_integer(at, min, UINT32_MAX, &value))
		return false;
	*out = (uint32_t)value;
	return true;
}

/* A decimal above 0, at most 1, with a point whatever the locale says */
static bool take_probability(const char **at, double *out)
{
	size_t length = strspn(*at, "0123456789.eE+-");
	char text[PROBABILITY_MAX];
	locale_t c;
	double value;
	char *end;

	if (length >= sizeof(text) || !strchr("0123456789.", **at))
		return false;
	memcpy(text, *at, length);
	text[length] = '\0';
	c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!c)
		return false;
	value = strtod_l(text, &end, c);
	freelocale(c);
	if (end == text || *end || !(value > 0) || !(value <= 1))
		return false;
	*at += length;
	*out = value;
	return true;
}

static bool take_value(const char **at, unsigned int word,
		       struct nestfd_fault *fault)
{
	switch (word) {
	case WORD_OP:
		return take_u32(at, 0, &fault->opcode) &&
		       fault->opcode <= OPCODE_MAX;
	case WORD_DEV:
		return take_u32(at, 0, &fault->stream_id);
	case WORD_US:
		return take_u32(at, 1, &fault->delay_us);
	case WORD_P:
		return take_probability(at, &fault->probability);
	case WORD_N:
		return take_u32(at, 1, &fault->count);
	default:
		return take_integer(at, 0, UINT64_MAX, &fault->seed);
	}
}

/* The word in front of a '=', moving *@at behind it; 0 if there is none such */
static unsigned int take_word(const char **at)
{
	size_t length = strcspn(*at, "=");

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strlen(words[i].name) != length ||
		    memcmp(words[i].name, *at, length) || !(*at)[length])
			continue;
		*at += length + 1;
		return words[i].word;
	}
	return 0;
}

/* What follows the kind; each word once */
static bool take_words(const char *at, unsigned int allowed,
		       struct nestfd_fault *fault)
{
	unsigned int word;

	do {
		word = take_word(&at);
		if (!(word & allowed) || !take_value(&at, word, fault))
			return false;
		allowed &= ~word;
	} while (*at++ == ',');
	return !at[-1];
}

int nestfd_inject_parse(const char *text, struct nestfd_fault *fault)
{
	size_t length = strcspn(text, ":");
	struct nestfd_fault all = {
		.size = sizeof(all),
		.opcode = NESTFD_FAULT_ANY,
		.stream_id = NESTFD_FAULT_ANY,
		.probability = 1,
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i].name) != length ||
		    memcmp(names[i].name, text, length))
			continue;
		all.kind = names[i].kind;
		if (text[length] &&
		    !take_words(&text[length + 1],
				names[i].words | WORDS_OF_ALL, &all))
			return -EINVAL;
		*fault = all;
		return 0;
	}
	return -EINVAL;
}
