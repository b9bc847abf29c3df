// SPDX-License-Identifier: MIT
/*
 * Rules of the error injector in words: any text is either refused, leaving
 * the rule as it was, or a rule that a machine takes.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nestfd/model.h>

#define TEXT_MAX 255u

static bool in_range(const struct nestfd_fault *f)
{
	return f->size == sizeof(*f) && f->kind <= NESTFD_FAULT_ATC_BAD &&
	       f->probability > 0 && f->probability <= 1 &&
	       (f->opcode <= 0xff || f->opcode == NESTFD_FAULT_ANY);
}

/* Made once: a rule is all that a machine gets here. */
static struct nestfd_machine *machine(void)
{
	static struct nestfd_machine *made;
	const struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_SMMUV3,
	};

	if (!made && nestfd_machine_create(&config, &made))
		abort();
	return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nestfd_fault fault, before;
	char text[TEXT_MAX + 1];
	int refused;

	if (size > TEXT_MAX)
		size = TEXT_MAX;
	memcpy(text, data, size);
	text[size] = '\0';
	memset(&fault, 0xa5, sizeof(fault));
	before = fault;
	if (nestfd_inject_parse(text, &fault)) {
		if (memcmp(&fault, &before, sizeof(fault)))
			abort();
		return 0;
	}
	/* an answer that makes no sense is VT-d's */
	refused = fault.kind == NESTFD_FAULT_ATC_BAD ? -EOPNOTSUPP : 0;
	if (!in_range(&fault) || nestfd_inject(machine(), &fault) != refused)
		abort();
	nestfd_inject_clear(machine());
	return 0;
}
