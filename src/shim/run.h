/* SPDX-License-Identifier: MIT */
/*
 * What `nestfd run` tells the library it preloads: environment variables, and
 * counters that all processes of the program share with it.
 */
#ifndef SHIM_RUN_H
#define SHIM_RUN_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <nestfd/nestfd.h>

/* Kind of IOMMU: "smmuv3" */
#define RUN_ENV_IOMMU "NESTFD_IOMMU"
/* "fast" or "hostile" */
#define RUN_ENV_CACHE "NESTFD_CACHE"
/* "count" or "enforce" RLIMIT_MEMLOCK */
#define RUN_ENV_MEMLOCK "NESTFD_MEMLOCK"
/* Devices: "edu@SID[,ats][,pri][,pasid=BITS]", with spaces between */
#define RUN_ENV_DEVICES "NESTFD_DEVICES"
/* Rules of the error injector as nestfd/model.h has them, with spaces between
 */
#define RUN_ENV_INJECT "NESTFD_INJECT"
/* nestfd_machine_config.atc_window_ms in decimal, or "none" */
#define RUN_ENV_ATC_WINDOW "NESTFD_ATC_WINDOW"
/* /dev/iommu is opened as this fd; only the program itself sees it */
#define RUN_ENV_FD "NESTFD_FD"
/* A file that gets a line for each call */
#define RUN_ENV_TRACE "NESTFD_TRACE"
/* A file holding a struct run_stats */
#define RUN_ENV_STATS "NESTFD_STATS"
/* Set: lines begin with the thread's id */
#define RUN_ENV_VERBOSE "NESTFD_VERBOSE"

#define RUN_DEVICE_TEXT 64  /* of one, with its end */
#define RUN_INJECT_MAX	16  /* rules */
#define RUN_INJECT_TEXT 256 /* of one, with its end */

/* The machine, in the words of the variables; NULL for a default */
struct run_machine {
	const char *iommu;
	const char *cache;
	const char *memlock;
	const char *devices;
	const char *inject;
	const char *atc_window;
};

/* devices.c: 1 to 1000000, in ms, or "none"; NULL: the default. -EINVAL */
int run_window_parse(const char *text, uint32_t *ms);

/* devices.c: the @length bytes at @text are one device. -EINVAL */
int run_device_parse(const char *text, size_t length,
		     struct nestfd_device_config *config);
#define RUN_PAGE_REQUESTS 32u /* of a device with "pri", at once */

#define RUN_PRELOAD_NAME  "libnestfd-preload.so"

/* Rows of the counters: commands by number, then everything else. */
#define RUN_STAT_FIRST 0x80u
#define RUN_STAT_OTHER 21u /* ioctls that are no command of iommufd */
#define RUN_STAT_OPEN  22u
#define RUN_STAT_CLOSE 23u
#define RUN_STAT_READ  24u
#define RUN_STAT_WRITE 25u
#define RUN_STAT_ROWS  26u

struct run_stat {
	_Atomic uint64_t calls;
	_Atomic uint64_t errors;
	_Atomic uint64_t ns;
};

struct run_stats {
	struct run_stat row[RUN_STAT_ROWS];
	_Atomic uint64_t lost;	/* lines of the trace */
	_Atomic int lost_error; /* why, of the last one */
};

#endif
