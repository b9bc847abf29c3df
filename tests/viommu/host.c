// SPDX-License-Identifier: MIT
/* See host.h. */
#include "host.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "nestfd/ext.h"

#define BATCH 63u

void host_command(uint32_t n, enum fate fate, bool atc, uint64_t cmd[2])
{
	cmd[0] = atc ? 0x0000001000000040ULL : 0x0005000000000012ULL;
	cmd[1] = (uint64_t)fate << 44 | (uint64_t)n << 12 | (atc ? 0 : 0x701);
}

static uint32_t number_of(const uint64_t cmd[2])
{
	return (uint32_t)(cmd[1] >> 12) & (HOST_COMMANDS - 1);
}

static enum fate fate_of(const struct host_model *h, const uint64_t cmd[2])
{
	if (number_of(cmd) < h->repaired)
		return FATE_FINE;
	return (enum fate)(cmd[1] >> 44 & 0xf);
}

static bool is_atc(const uint64_t cmd[2])
{
	return (cmd[0] & 0xff) == 0x40;
}

/* libviommu's own, where it has to ask whether others are complete */
static bool is_idle(const uint64_t cmd[2])
{
	return cmd[0] == 0x12 && cmd[1] == 1;
}

/* The hardware's part; false if the device does not answer. */
static bool execute(struct host_model *h, const uint64_t cmd[2])
{
	enum fate fate = fate_of(h, cmd);

	if (fate == FATE_ILLEGAL)
		return true; /* replaced by a CMD_SYNC */
	if (fate == FATE_SILENT && is_atc(cmd))
		return false;
	if (!is_idle(cmd))
		h->done[number_of(cmd)]++;
	return true;
}

static uint32_t chance(struct host_model *h)
{
	h->seed = h->seed * 1664525 + 1013904223;
	return h->seed >> 16;
}

/* A command stops the queue, or what is in front still does. */
static bool is_stopped(struct host_model *h, const uint64_t (*cmd)[2],
		       uint32_t n)
{
	if (h->left) {
		h->left -= h->left != HOST_STUCK;
		return true;
	}
	for (uint32_t i = 0; i < n; i++) {
		enum fate fate = fate_of(h, cmd[i]);

		if ((fate == FATE_SILENT && is_atc(cmd[i])) ||
		    (fate == FATE_ILLEGAL && (chance(h) & 1))) {
			h->left = chance(h) % (h->again + 1);
			return true;
		}
	}
	return false;
}

/* Into the hardware's queue, with a CMD_SYNC; false: it is not complete. */
static bool issue(struct host_model *h, const uint64_t (*cmd)[2], uint32_t n)
{
	bool stopped = is_stopped(h, cmd, n);

	assert_true(h->pending_n + n <= HOST_PENDING);
	memcpy(h->pending[h->pending_n], cmd, n * sizeof(cmd[0]));
	h->pending_n += n;
	h->timeouts += stopped;
	for (; !stopped && h->pending_n; h->pending_n--)
		execute(h, h->pending[h->pending_n - 1]);
	return !stopped;
}

static int invalidate_linux(struct host_model *h,
			    struct iommu_hwpt_invalidate *arg)
{
	const uint64_t(*cmd)[2] = (const void *)(uintptr_t)arg->data_uptr;
	uint32_t cur = 0, last = 0, end = arg->entry_num;
	int rc = 0;

	if (!end)
		return -EINVAL;
	if (end > h->room)
		return -ENOMEM;
	while (cur != end) {
		if (fate_of(h, cmd[cur]) == FATE_REFUSED) {
			rc = -EIO;
			break;
		}
		cur++;
		if (cur != end && cur - last != BATCH)
			continue;
		if (!issue(h, cmd + last, cur - last)) {
			cur--;
			rc = -ETIMEDOUT;
			break;
		}
		last = cur;
	}
	arg->entry_num = cur;
	return rc;
}

/*
 * What is behind a silent device's command may be executed, or not, up to what
 * would have stopped it.
 */
static void execute_some(struct host_model *h, const uint64_t (*cmd)[2],
			 uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		enum fate fate = fate_of(h, cmd[i]);

		if (fate == FATE_REFUSED || fate == FATE_ILLEGAL)
			return;
		if (fate == FATE_FINE && chance(h) & 1)
			execute(h, cmd[i]);
	}
}

static int invalidate_exact(struct host_model *h,
			    struct iommu_hwpt_invalidate *arg, uint32_t *code)
{
	const uint64_t(*cmd)[2] = (const void *)(uintptr_t)arg->data_uptr;
	uint32_t n = arg->entry_num;

	for (uint32_t i = 0; i < n; i++) {
		enum fate fate = fate_of(h, cmd[i]);

		arg->entry_num = i;
		if (fate == FATE_REFUSED || fate == FATE_ILLEGAL) {
			*code = 0x80000001;
			return -EIO;
		}
		if (execute(h, cmd[i]))
			continue;
		h->timeouts++;
		execute_some(h, cmd + i + 1, n - i - 1);
		*code = 0x80000003;
		return -ETIMEDOUT;
	}
	arg->entry_num = n;
	return 0;
}

static int invalidate_codes(struct host_model *h,
			    struct nestfd_hwpt_invalidate *arg)
{
	uint32_t code = 0;
	int rc;

	if (arg->size != sizeof(*arg) || arg->out_error || arg->out_error_info)
		return -E2BIG;
	rc = invalidate_exact(h, (struct iommu_hwpt_invalidate *)arg, &code);
	arg->out_error = code;
	return rc;
}

/* *cons moves past what is complete. */
static int consume(struct host_model *h,
		   struct nestfd_hwpt_invalidate_ring *arg, uint32_t *cons)
{
	const uint64_t(*queue)[2] = (const void *)(uintptr_t)arg->q_uptr;
	uint32_t mask = (2u << arg->q_index_bits) - 1;
	bool silent = false;

	for (; *cons != arg->q_prod; *cons = (*cons + 1) & mask) {
		const uint64_t *cmd = queue[*cons & mask >> 1];
		uint8_t op = (uint8_t)cmd[0];
		enum fate fate = fate_of(h, cmd);

		arg->out_error = 0x80000003;
		if (op == 0x46 && !silent)
			continue;
		if (op == 0x46)
			return -ETIMEDOUT;
		if (op == 0x40 || op == 0x12) {
			if (fate == FATE_FINE || fate == FATE_SILENT) {
				silent |= !execute(h, cmd);
				continue;
			}
			arg->out_error = 0x80000001;
			return silent ? -ETIMEDOUT : -EIO;
		}
		arg->out_error = 0x80000100;
		return silent ? -ETIMEDOUT : -EOPNOTSUPP;
	}
	arg->out_error = silent ? 0x80000003 : 0;
	return silent ? -ETIMEDOUT : 0;
}

static int invalidate_ring(struct host_model *h,
			   struct nestfd_hwpt_invalidate_ring *arg)
{
	uint32_t *q_cons = (uint32_t *)(uintptr_t)arg->q_cons_uptr;
	uint32_t cons = *q_cons;
	int rc = consume(h, arg, &cons);

	if (rc == -ETIMEDOUT)
		arg->out_error = 0x80000003;
	*q_cons = cons;
	return rc;
}

static int enable(struct host_model *h, struct nestfd_ext_enable *arg)
{
	uint64_t all = h->kind == HOST_RING ? 3 : 1;
	uint64_t wanted = arg->features;

	if (h->kind < HOST_CODES)
		return -ENOTTY;
	arg->features = all;
	return wanted & ~all ? -EOPNOTSUPP : 0;
}

int host_ioctl(void *ctx, unsigned long cmd, void *arg)
{
	struct host_backend *b = ctx;
	uint32_t code;

	switch (cmd) {
	case NESTFD_EXT_ENABLE:
		return enable(b->host, arg);
	case NESTFD_HWPT_INVALIDATE_RING:
		b->host->calls++;
		return invalidate_ring(b->host, arg);
	case IOMMU_HWPT_INVALIDATE:
		b->host->calls++;
		if (b->host->kind == HOST_LINUX)
			return invalidate_linux(b->host, arg);
		if (b->host->kind == HOST_EXACT)
			return invalidate_exact(b->host, arg, &code);
		return invalidate_codes(b->host, arg);
	default:
		return b->fake_ioctl(b->fake, cmd, arg);
	}
}
