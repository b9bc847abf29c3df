/* SPDX-License-Identifier: MIT */
/*
 * A backend that executes: what each command would do is in the command itself,
 * and which commands took effect is written down. It answers as Linux 7.2 does
 * (host_linux), exactly (host_exact), with codes, or takes a ring.
 *
 * As Linux, read off arm_vsmmu_cache_invalidate(): an array is copied whole;
 * commands are converted one by one and issued 63 at a time; a command that
 * cannot be converted ends it with EIO, what was converted and not issued is
 * dropped, but entry_num counts it; what stops the hardware's queue (a device
 * that does not answer, on one CPU of two a command that hardware calls
 * illegal, otherwise replaced without a word: rows K1, K4) ends it with
 * ETIMEDOUT, entry_num one less than what was issued; an array larger than
 * kmalloc() gives is ENOMEM with entry_num as it was; one without entries is
 * EINVAL.
 *
 * What was issued in vain is still in the hardware's queue. Here none of it
 * takes effect before a later call's CMD_SYNC completes.
 */
#ifndef TESTS_VIOMMU_HOST_H
#define TESTS_VIOMMU_HOST_H

#include "fake.h"

#define HOST_COMMANDS 65536
#define HOST_PENDING  4096
#define HOST_STUCK    UINT32_MAX

/* What becomes of a command: bits 47:44 of its address */
enum fate {
	FATE_FINE,
	FATE_REFUSED, /* not to be converted: EIO */
	FATE_ILLEGAL, /* to the hardware */
	FATE_SILENT,  /* the device of an ATC_INV does not answer */
};

enum host_kind { HOST_LINUX, HOST_EXACT, HOST_CODES, HOST_RING, HOST_KINDS };

struct host_model {
	enum host_kind kind;
	uint32_t room; /* HOST_LINUX: the largest array it has memory for */
	/* HOST_LINUX: each time out brings up to so many more, of any call */
	uint32_t again;
	uint32_t left; /* of them; or HOST_STUCK: all calls, until that is 0 */
	uint32_t pending_n;
	uint64_t pending[HOST_PENDING][2];
	uint32_t repaired; /* commands below this number are FINE by now */
	uint8_t done[HOST_COMMANDS]; /* how often each took effect */
	uint32_t calls;
	uint32_t timeouts; /* waited for */
	uint32_t seed;
};

/* Command @n with that fate: TLBI_NH_VA, ATC_INV if @atc */
void host_command(uint32_t n, enum fate fate, bool atc, uint64_t cmd[2]);

/* A nestfd_backend.ioctl; the fake answers what is no invalidation. */
struct host_backend {
	struct host_model *host;
	struct fake *fake;
	int (*fake_ioctl)(void *ctx, unsigned long cmd, void *arg);
};
int host_ioctl(void *ctx, unsigned long cmd, void *arg);

#endif
