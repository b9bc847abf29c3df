// SPDX-License-Identifier: MIT
/* Memory of clients that goes away while it is mapped. */
#include <errno.h>

#include "lib/machine.h"
#include "mem/phys.h"

/* DMA that is stuck in other memory: who unmaps this has waited enough. */
#define GONE_NS 100000000ULL

/* The address space of process @pid, as core/pages.c has it; 0 for our own */
static uint64_t space_of(pid_t pid)
{
	return (uint64_t)pid;
}

int nestfd_memory_gone(struct nestfd_machine *machine, pid_t pid, uint64_t va,
		       uint64_t length)
{
	unsigned int lost = phys_lose(machine->phys, space_of(pid), va, length);

	if (!lost)
		return 0;
	grace_poll(machine->grace, GONE_NS);
	return lost & PHYS_LOST_BEFORE ? NESTFD_GONE_BEFORE : NESTFD_GONE;
}

void nestfd_memory_kept(struct nestfd_machine *machine, pid_t pid, uint64_t va,
			uint64_t length)
{
	phys_regain(machine->phys, space_of(pid), va, length);
}
