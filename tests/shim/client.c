// SPDX-License-Identifier: MIT
/* usage: client SCENARIO [ARG...] */
#include "client.h"

static const struct scenario *const all[] = {
	basic_scenarios,   process_scenarios, signal_scenarios,
	hostile_scenarios, status_scenarios,  memory_scenarios,
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(all) / sizeof(all[0]); i++)
		for (const struct scenario *s = all[i]; s->name; s++)
			if (!strcmp(s->name, argv[1]))
				return s->run(argc - 1, argv + 1);
	fprintf(stderr, "usage: client SCENARIO [ARG...]\n");
	return 2;
}
