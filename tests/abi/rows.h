/* SPDX-License-Identifier: MIT */
/*
 * What the tests of recorded answers share. A real Linux 7.2 was asked a few
 * hundred questions about nested translation on an SMMUv3; each question is a
 * *row* with an id (B7), and each row is a test whose name starts with the ids
 * it covers. Rows whose answer differs here on purpose (docs/abi.md) say so.
 *
 * The machine of the recording: an SMMUv3 without ATS and substreams, 44-bit
 * addresses, two "edu" devices. The guest is played by the test: RAM_SIZE of
 * RAM at RAM, stage-1 tables of 4 KiB pages in it, written by hand from Arm
 * IHI 0070 and the Arm ARM. Its I/O page X leads to page A or B, I/O page T to
 * a page with the data that devices fetch.
 */
#ifndef TESTS_ABI_ROWS_H
#define TESTS_ABI_ROWS_H

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/iommufd.h>

#include "nestfd/device.h"
#include "nestfd/nestfd.h"

#define RAM	 0x40000000ULL
#define RAM_SIZE 0x4000000ULL
#define NO_RAM	 0x90000000ULL /* a guest address without memory */

/* Guest physical addresses */
#define CD	  0x40002000ULL
#define L1	  0x40003000ULL
#define L2	  0x40004000ULL
#define L3	  0x40005000ULL
#define OTHER_L1  0x40006000ULL /* tables in which X leads to B */
#define OTHER_L2  0x40007000ULL
#define OTHER_L3  0x40008000ULL
#define MSI_L3	  0x40009000ULL
#define PAGE_A	  0x40100000ULL
#define PAGE_B	  0x40101000ULL
#define PAGE_DATA 0x40102000ULL

/* I/O virtual addresses of the guest */
#define X      0x10000ULL
#define T      0x11000ULL

#define ASID   5ULL
#define VSID_0 0x123ULL
#define VSID_1 0x456ULL

/* Page descriptor: nG, AF, inner shareable, AP EL0 read and write, page */
#define PTE_RW	  0xf43ULL
#define PTE_RO	  0xfc3ULL /* AP[2]: read only */
#define PTE_NO_AF 0xb43ULL

/*
 * CD: T0SZ 25 (39 bits), 4 KiB, walks write-back and inner shareable, EPD1, V,
 * IPS 44 bits, AA64, R, A
 */
#define CD_0 (ASID << 48 | 0x6204c0003519ULL)

/* vSTE, word 0 with V: abort, bypass, stage 1; word 1: write-back, inner */
#define VSTE_ABORT  0x1ULL
#define VSTE_BYPASS 0x9ULL
#define VSTE_S1	    (CD | 0xbULL)
#define VSTE_1	    0xd4ULL

/* Commands, IHI 0070 chapter 4: two doublewords */
#define CMD_CFGI_CD(vsid)     0x05ULL | (uint64_t)(vsid) << 32, 1
#define CMD_CFGI_CD_ALL(vsid) 0x06ULL | (uint64_t)(vsid) << 32, 0
#define CMD_NH_ALL	      0x10ULL, 0
#define CMD_NH_ASID(asid)     0x11ULL | (uint64_t)(asid) << 48, 0
#define CMD_NH_VA(asid, va)   0x12ULL | (uint64_t)(asid) << 48, (va) | 1
#define CMD_NH_VAA(va)	      0x13ULL, (va) | 1
#define CMD_NSNH_ALL	      0x30ULL, 0
#define CMD_ATC_INV(vsid)     0x40ULL | (uint64_t)(vsid) << 32, 0
#define CMD_SYNC	      0x46ULL, 0 /* not for IOMMU_HWPT_INVALIDATE */

struct cmd {
	uint64_t dw[2];
};

/* An event of the guest, with its header */
struct vevent {
	struct iommufd_vevent_header header;
	uint64_t evt[4];
};

struct rows {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	struct nestfd_device *dev[2];
	struct nestfd_edu *edu[2];
	char *ram;
	const void *param; /* of a case that stands in a table */

	uint32_t dev_id[2];
	uint32_t ioas;
	uint32_t plain; /* HWPT without NEST_PARENT */
	uint32_t parent;
	uint32_t viommu;
	uint32_t s1; /* nested HWPTs */
	uint32_t bypass;
	uint32_t abort;
	uint32_t vdev[2];
	uint32_t veventq;
	int eventfd;

	uint64_t token;	    /* what the devices wrote last */
	unsigned int stale; /* reports of the coherence checker */
	unsigned int msi_count;
	uint64_t msi_offset;
	uint32_t msi_data;
};

/*
 * How far the recorded session has come when a case begins: each setup goes
 * one step further. A, the devices; B, the IOAS with the guest's RAM; C, HWPTs
 * and vIOMMU; D, nested HWPTs; E, vDEVICEs; F, the event queue, tables in
 * memory; G, the first device attached to stage 1 with X leading to A.
 */
int setup_machine(void **state);
int setup_ioas(void **state);
int setup_viommu(void **state);
int setup_nested(void **state);
int setup_vdevices(void **state);
int setup_eventq(void **state);
int setup_attached(void **state);
int teardown(void **state);

/*
 * The setup runs inside the case: cmocka puts its own SIGSEGV handler in front
 * of the library's before each function it calls, and making a machine puts
 * the library's back.
 */
struct row_case {
	int (*setup)(void **state);
	void (*function)(void **state);
	const void *param;
};

void row_run(void **state);

#define ROW_CASE(name, ...)                                \
	{                                                  \
		name, row_run, NULL, teardown,             \
			&(struct row_case){ __VA_ARGS__ }, \
	}

/* A case; @function's name begins with its rows' ids. */
#define ROW(setup, function) ROW_CASE(#function, setup, function, NULL)
/* A case of a table: @name begins with its row's id. */
#define ROW_OF(setup, function, name, param) \
	ROW_CASE(name, setup, function, param)

/* ---- calls: 0 or a negative errno, outputs only on success ---- */

int row_ioctl(struct rows *r, unsigned long cmd, void *arg);
int row_destroy(struct rows *r, uint32_t id);
int row_map(struct rows *r, uint64_t iova, uint64_t length);
int row_unmap(struct rows *r, uint64_t iova, uint64_t *length);
int row_ranges(struct rows *r, struct iommu_iova_range *ranges, uint32_t *n);
int row_hwpt(struct rows *r, uint32_t pt_id, uint32_t flags, uint32_t *id);
int row_vste(struct rows *r, uint64_t dw0, uint64_t dw1, uint32_t *id);
int row_viommu(struct rows *r, uint32_t type, uint32_t hwpt_id, uint32_t *id);
int row_vdevice(struct rows *r, uint32_t viommu, uint32_t dev_id,
		uint64_t virt_id, uint32_t *id);
int row_veventq(struct rows *r, uint32_t type, uint32_t depth, uint32_t *id,
		int *fd);
int row_attach(struct rows *r, unsigned int dev, uint32_t pt_id);

/* On the vIOMMU, 16 bytes each; *@n in and out is entry_num. */
int row_invalidate(struct rows *r, const struct cmd *cmds, uint32_t *n);

/* One command; asserts that entry_num is 1 on success and 0 on failure. */
int row_command(struct rows *r, uint64_t dw0, uint64_t dw1);

/* ---- the guest ---- */

void *row_mem(const struct rows *r, uint64_t gpa);
void row_put(struct rows *r, uint64_t gpa, uint64_t word);
void row_write_tables(struct rows *r);
void row_set_pte(struct rows *r, uint64_t iova, uint64_t pte);
/* ... and TLBI_NH_VA, so that it counts */
void row_change_pte(struct rows *r, uint64_t iova, uint64_t pte);

/* ---- DMA of the devices, through their BARs; 8 bytes ---- */

void row_dma_read(struct rows *r, unsigned int dev, uint64_t iova);
void row_dma_write(struct rows *r, unsigned int dev, uint64_t iova);

enum where {
	NOWHERE,
	IN_A,
	IN_B,
};

/* The device fetches new data from T and writes it to X: where is it? */
enum where row_probe(struct rows *r, unsigned int dev);

/* PTE -> A, made to count and looked at; then PTE -> B without a word */
void row_a_then_b(struct rows *r);

/* ---- events ---- */

ssize_t row_read(struct rows *r, void *buf, size_t len);

/* The queue holds nothing, and poll() says so. */
void row_expect_no_event(struct rows *r);

/* Reads exactly one event: these words; returns its sequence number. */
uint32_t row_expect_event(struct rows *r, uint64_t dw0, uint64_t dw1,
			  uint64_t dw2, uint64_t dw3);

#endif
