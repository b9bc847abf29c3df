// SPDX-License-Identifier: MIT
/*
 * The SMMUv3 command decoder: any two doublewords, any identification
 * registers. What it accepts must be consistent in itself.
 */
#include <stdlib.h>
#include <string.h>

#include "front/smmuv3/decode.h"

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_command(const struct smmuv3_cmd *cmd, uint64_t dw0)
{
	check(cmd->op == (dw0 & 0xff));
	check(smmuv3_op_name(cmd->op) != NULL);
	check(cmd->first <= cmd->last);
	check(cmd->sid <= cmd->sid_last);
	check(cmd->ttl <= 3);
	check(cmd->range == (cmd->granule_lg2 != 0));
	check(cmd->range || !cmd->ttl);
	check(!cmd->range || cmd->granule_lg2 == 12 || cmd->granule_lg2 == 14 ||
	      cmd->granule_lg2 == 16);
	check(cmd->cs < 3 && cmd->resp < 3);
	check(!cmd->global || cmd->ssv);
	check(!(cmd->retry && cmd->abort));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smmuv3_id id;
	struct smmuv3_cmd cmd, before;
	uint64_t dw[2];

	if (size < sizeof(id))
		return 0;
	memcpy(&id, data, sizeof(id));
	for (size_t at = sizeof(id); at + sizeof(dw) <= size;
	     at += sizeof(dw)) {
		memcpy(dw, data + at, sizeof(dw));
		memset(&cmd, 0x5a, sizeof(cmd));
		before = cmd;
		if (smmuv3_decode(dw, &id, &cmd))
			check(!memcmp(&cmd, &before, sizeof(cmd)));
		else
			check_command(&cmd, dw[0]);
	}
	return 0;
}
