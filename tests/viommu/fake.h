/* SPDX-License-Identifier: MIT */
/*
 * A backend that records what libviommu asks of /dev/iommu and fails on
 * demand, and a guest with 1 MiB of memory at 0. Words are written by hand
 * from Arm IHI 0070, the ABI's additions from nestfd/ext.h.
 */
#ifndef TESTS_VIOMMU_FAKE_H
#define TESTS_VIOMMU_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "nestfd/viommu.h"

#define GUEST_MEM   0x100000u
#define CMDQ_ADDR   0x10000u
#define EVENTQ_ADDR 0x20000u
#define STRTAB_ADDR 0x30000u /* linear, 64 entries */
#define MAX_CALLS   64
#define MAX_ENTRIES 4096

struct inval_call {
	uint32_t count;
	uint64_t cmd[MAX_ENTRIES][2];
};

struct ring_call {
	uint32_t cons;
	uint32_t prod;
	uint32_t done;
	uint32_t bits;
	const void *entries;
};

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_MAP };

struct fake {
	uint8_t mem[GUEST_MEM];
	uint32_t idr[6];

	/* what was asked */
	struct inval_call calls[MAX_CALLS];
	int ncalls;
	int nhwpt;
	uint64_t hwpt_ste[MAX_CALLS][2];
	uint32_t hwpt_id[MAX_CALLS];
	int ndestroyed;
	uint32_t destroyed[MAX_CALLS];
	uint32_t attached; /* the last pt_id */
	int nattach;
	uint32_t next_id;
	uint64_t vsid[MAX_CALLS];
	int nvdevice;

	/* how to fail: an entry equal to bad[0..1] is refused with bad_errno */
	bool fail;
	uint64_t bad[2];
	int bad_errno;
	int fail_times; /* -1: always */
	/* like Linux: conversion stops at the bad entry, the piece in front of
	 * it was never issued although entry_num counts it */
	bool like_linux;
	uint64_t issued[MAX_ENTRIES][2];
	int nissued;
	void (*on_hwpt)(struct fake *fake); /* while one is allocated */
	int fail_hwpt; /* errno of the next nested HWPT_ALLOC, 0: none */

	/* additions: what is offered, what has been switched on */
	uint64_t ext;
	uint64_t ext_on;
	uint32_t bad_code; /* out_error of @bad, without VALID; 0: by its errno
			    */
	int ring_fails;	   /* errno of the next ring call, nothing done */
	bool refuse_tlbi;  /* in a ring: the VMM's */
	bool ring_lies;	   /* every ring call: an index that cannot be */
	uint32_t ring_lie;
	struct ring_call rings[MAX_CALLS];
	int nrings;
	void (*before_ring)(struct fake *fake); /* nothing is read yet */
	void (*on_ring)(struct fake *fake); /* behind what a ring call read */
	void (*on_array)(struct fake *fake);
	bool unmapped; /* map() finds nothing */
	int nmaps;
	/* no memory here: half-open */
	uint32_t hole_start;
	uint32_t hole_end;

	/* events to hand out */
	uint8_t events[4096];
	size_t event_bytes;
	bool events_without_end; /* the same ones again and again */

	/* page requests to hand out, struct iommu_hwpt_pgfault; answers */
	uint8_t faults[4096];
	size_t fault_bytes;
	int nanswers;

	/* behind each access of libviommu's to guest memory */
	void (*on_access)(struct fake *fake, enum access access, uint64_t gpa,
			  size_t len);
	unsigned int irqs[4];
	void (*on_irq)(struct fake *fake, unsigned int line);
	struct nestfd_viommu *viommu; /* for callbacks; the test sets it */
	uint32_t cmdq_prod;
};

void fake_config(struct fake *fake, struct nestfd_viommu_config *config);
int fake_attach(void *ctx, uint32_t pt_id);
/* Creates it, with vSID 0x10 behind it; fails the test if that fails. */
void fake_start(struct fake *fake, const struct nestfd_viommu_config *config);

/*
 * Ways for invalidations to go down: a backend that counts exactly and gives no
 * codes, one that gives codes, one whose ring is used always, or where it pays.
 */
enum way { WAY_EXACT, WAY_CODES, WAY_RING, WAY_AUTO, WAYS };

/* A booted guest with a stream in stage 1, whatever that took forgotten. */
struct fake *way_start(enum way way);
void way_end(struct fake *fake);
uint32_t fake_reg(struct fake *fake, uint32_t offset);

/* Queues of 256 commands and 16 events, SMMU on, stream table linear 64. */
void guest_boot(struct fake *fake, struct nestfd_viommu *viommu);
void guest_ste(struct fake *fake, uint32_t sid, uint64_t dw0, uint64_t dw1);
/* Puts commands behind the last one, without a doorbell. */
void guest_put(struct fake *fake, uint64_t dw0, uint64_t dw1);
void guest_doorbell(struct fake *fake, struct nestfd_viommu *viommu);
/* Replaces command @index of the queue. */
void guest_overwrite(struct fake *fake, uint32_t index, uint64_t dw0,
		     uint64_t dw1);
/* The error is seen; fetching may go on. */
void guest_acknowledge(struct fake *fake);
uint64_t guest_word(const struct fake *fake, uint32_t addr);

#endif
