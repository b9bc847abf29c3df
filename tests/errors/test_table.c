// SPDX-License-Identifier: MIT
/*
 * docs/errors.md, cell by cell: each cause, by the ioctl and by the guest's own
 * queue, on each architecture. Arrays have four entries, the third is at fault;
 * words are worked out by hand. The page's rows and these must be the same.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <linux/iommufd.h>

#include <nestfd/ext.h>

#include "guest.h"

#define ASID 5
#define VSID 0x10u
#define SID  0x100u /* as the host knows the device */
#define AT   2
#define ALL  UINT64_MAX
#define SMMU NESTFD_ARCH_SMMUV3
#define VTD  NESTFD_ARCH_VTD

static struct host host;
static struct guest guest;
static char **arguments;

static void world_start(enum nestfd_arch arch)
{
	struct nestfd_ext_enable on = { .size = sizeof(on),
					.features = NESTFD_EXT_ERRORS };

	memset(&host, 0, sizeof(host));
	host.arch = arch;
	host.cache = NESTFD_CACHE_HOSTILE;
	host.guests = 1;
	host.ats = true;
	assert_int_equal(host_start(&host), 0);
	assert_int_equal(guest_start_as(&guest, &host, 0, ASID, VSID), 0);
	assert_int_equal(nestfd_ioctl(host.ctx, NESTFD_EXT_ENABLE, &on), 0);
	guest_map(&guest, 0x1000, guest_page(&guest, 0));
}

static void world_stop(void)
{
	guest_stop(&guest);
	host_stop(&host);
}

static void inject(const char *rule)
{
	struct nestfd_fault fault;

	assert_int_equal(nestfd_inject_parse(rule, &fault), 0);
	assert_int_equal(nestfd_inject(host.machine, &fault), 0);
}

/* ---- IOMMU_HWPT_INVALIDATE ---- */

enum peculiar { PLAIN, UNREADABLE, OTHER_TYPE, ADDITION };

struct cell {
	const char *row;
	enum nestfd_arch arch;
	uint64_t bad[4]; /* the third entry; all 0: one like the others */
	const char *rule;
	enum peculiar peculiar;
	int rc;
	uint32_t done;
	uint32_t code; /* SMMUv3: out_error; VT-d: hw_error of entry @done */
	uint32_t info;
};

#define ILL (NESTFD_ERR_VALID | 1)
#define ABT (NESTFD_ERR_VALID | 2)
#define ATC (NESTFD_ERR_VALID | 3)
#define ATC_INV                      \
	{                            \
		0x1000000040, 0x1000 \
	}
#define PAGES(addr, n)        \
	{                     \
		addr, n, 0, 0 \
	}

static const struct cell cells[] = {
	{ "an unknown opcode or flag",
	  SMMU,
	  { 0xff, 0 },
	  NULL,
	  PLAIN,
	  -EIO,
	  AT,
	  ILL,
	  0 },
	{ "an unknown opcode or flag",
	  VTD,
	  { 0x1000, 1, 2, 0 },
	  NULL,
	  PLAIN,
	  -EOPNOTSUPP,
	  AT,
	  0,
	  0 },
	{ "a reserved bit", SMMU, { 0x10, 1 }, NULL, PLAIN, -EIO, AT, ILL, 0 },
	{ "a reserved bit",
	  VTD,
	  { 0x1000, 1, 1ULL << 32, 0 },
	  NULL,
	  PLAIN,
	  -EOPNOTSUPP,
	  AT,
	  0,
	  0 },
	{ "an address that is not a page's", VTD, PAGES(0x1800, 1), NULL, PLAIN,
	  -EINVAL, AT, 0, 0 },
	{ "everything, from an address on", VTD, PAGES(0x1000, ALL), NULL,
	  PLAIN, -EINVAL, AT, 0, 0 },
	{ "a range beyond 2^64", VTD, PAGES(ALL << 12, 2), NULL, PLAIN, -EINVAL,
	  AT, 0, 0 },
	{ "no pages at all", VTD, PAGES(0x1000, 0), NULL, PLAIN, 0, 4, 0, 0 },
	{ "a device that the vIOMMU has not got",
	  SMMU,
	  { 0x7700000005, 1 },
	  NULL,
	  PLAIN,
	  -EIO,
	  AT,
	  ILL,
	  0 },
	{ "hardware refuses the command",
	  SMMU,
	  { 0x13, 0x1000 },
	  "ill:op=0x13",
	  PLAIN,
	  -EIO,
	  AT,
	  ILL,
	  0 },
	{ "hardware refuses the command",
	  VTD,
	  { 0 },
	  "ill:op=6",
	  PLAIN,
	  -EIO,
	  0,
	  0,
	  0 },
	{ "a device does not answer", SMMU, ATC_INV, "atc-timeout", PLAIN,
	  -ETIMEDOUT, AT, ATC, VSID },
	{ "a device does not answer",
	  VTD,
	  { 0 },
	  "atc-timeout",
	  PLAIN,
	  -ETIMEDOUT,
	  0,
	  2,
	  SID },
	{ "a device's answer makes no sense",
	  VTD,
	  { 0 },
	  "atc-bad",
	  PLAIN,
	  0,
	  4,
	  1,
	  SID },
	{ "the host's queue cannot be fetched",
	  SMMU,
	  { 0x13, 0x1000 },
	  "abt",
	  PLAIN,
	  -EIO,
	  0,
	  ABT,
	  0 },
	{ "the host's queue cannot be fetched",
	  VTD,
	  { 0 },
	  "abt",
	  PLAIN,
	  -EIO,
	  0,
	  0,
	  0 },
	{ "an entry cannot be read",
	  SMMU,
	  { 0x13, 0x1000 },
	  NULL,
	  UNREADABLE,
	  -EFAULT,
	  0,
	  0,
	  0 },
	{ "an entry cannot be read",
	  VTD,
	  { 0 },
	  NULL,
	  UNREADABLE,
	  -EFAULT,
	  AT,
	  0,
	  0 },
	{ "an addition that is not 0",
	  SMMU,
	  { 0x13, 0x1000 },
	  NULL,
	  ADDITION,
	  -E2BIG,
	  4,
	  1,
	  0 },
	{ "an addition that is not 0",
	  VTD,
	  { 0x1000, 1, 0, 1 },
	  NULL,
	  PLAIN,
	  -E2BIG,
	  AT,
	  1,
	  0 },
	{ "a data type of the other architecture",
	  SMMU,
	  { 0x13, 0x1000 },
	  NULL,
	  OTHER_TYPE,
	  -EINVAL,
	  0,
	  0,
	  0 },
	{ "a data type of the other architecture",
	  VTD,
	  { 0 },
	  NULL,
	  OTHER_TYPE,
	  -EINVAL,
	  0,
	  0,
	  0 },
};
#define CELLS (sizeof(cells) / sizeof(cells[0]))

static uint32_t data_type(enum nestfd_arch arch)
{
	return arch == SMMU ? IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3
			    : IOMMU_HWPT_INVALIDATE_DATA_VTD_S1;
}

/* The guest's vIOMMU is what takes an empty array of its type. */
static uint32_t object(enum nestfd_arch arch)
{
	struct nestfd_hwpt_invalidate inv = {
		.size = sizeof(inv),
		.data_type = data_type(arch),
		.entry_len = 16,
	};

	if (arch == VTD)
		return guest.pt_id;
	for (inv.hwpt_id = 1; inv.hwpt_id < 100; inv.hwpt_id++)
		if (!nestfd_ioctl(host.ctx, IOMMU_HWPT_INVALIDATE, &inv))
			return inv.hwpt_id;
	fail_msg("no vIOMMU");
	return 0;
}

/* What forgets the guest's page, four times, with the bad one among them */
static void fill(const struct cell *cell, uint64_t *words, size_t per)
{
	static const uint64_t plain[] = { 0x0005000000000012, 0x1001 };
	static const uint64_t page[] = { 0x1000, 1, 0, 0 };
	bool same = !cell->bad[0] && !cell->bad[1];

	for (size_t i = 0; i < 4; i++)
		memcpy(&words[i * per],
		       i == AT && !same ? cell->bad : (per == 2 ? plain : page),
		       per * 8);
}

static void call(const struct cell *cell, char *entries, uint32_t length)
{
	enum nestfd_arch other = cell->arch == SMMU ? VTD : SMMU;
	struct nestfd_hwpt_invalidate inv = {
		.size = sizeof(inv),
		.hwpt_id = object(cell->arch),
		.data_uptr = (uintptr_t)entries,
		.data_type = data_type(
			cell->peculiar == OTHER_TYPE ? other : cell->arch),
		.entry_len = length,
		.entry_num = 4,
		.out_error = cell->peculiar == ADDITION,
	};
	int rc = nestfd_ioctl(host.ctx, IOMMU_HWPT_INVALIDATE, &inv);
	uint32_t code = inv.out_error, info = inv.out_error_info;

	if (cell->arch == VTD && cell->peculiar == PLAIN) {
		const uint32_t *at =
			(const void *)(entries + inv.entry_num % 4 * length);

		code = at[6];
		info = at[7];
	}
	if (rc != cell->rc || inv.entry_num != cell->done ||
	    code != cell->code || info != cell->info)
		fail_msg("%s, %s: rc %d, done %u, code %#x, info %#x",
			 cell->row, cell->arch == SMMU ? "SMMUv3" : "VT-d", rc,
			 inv.entry_num, code, info);
}

static void each_cause_in_an_array(void **state)
{
	(void)state;
	for (size_t i = 0; i < CELLS; i++) {
		const struct cell *cell = &cells[i];
		uint32_t length = cell->arch == SMMU ? 16 : 32;
		uint64_t words[16] = { 0 };
		char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		char *at = pages;

		assert_ptr_not_equal(pages, MAP_FAILED);
		assert_int_equal(mprotect(pages + 4096, 4096, PROT_NONE), 0);
		world_start(cell->arch);
		fill(cell, words, length / 8);
		if (cell->peculiar == UNREADABLE)
			at = pages + 4096 - AT * length;
		memcpy(at, words,
		       cell->peculiar == UNREADABLE ? AT * length : 4 * length);
		if (cell->rule)
			inject(cell->rule);
		call(cell, at, length);
		world_stop();
		munmap(pages, 8192);
	}
}

static void without_injection_all_of_it_is_done(void **state)
{
	static const struct cell good[] = {
		{ "SMMUv3", SMMU, ATC_INV, NULL, PLAIN, 0, 4, 0, 0 },
		{ "VT-d", VTD, { 0 }, NULL, PLAIN, 0, 4, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint64_t words[16] = { 0 };
		uint32_t length = good[i].arch == SMMU ? 16 : 32;

		world_start(good[i].arch);
		fill(&good[i], words, length / 8);
		call(&good[i], (char *)words, length);
		world_stop();
	}
}

/* ---- the guest's own queue ---- */

struct guest_cell {
	const char *row;
	enum nestfd_arch arch;
	uint64_t bad[2];
	const char *rule;
	bool hole;
	uint32_t stops;	 /* after how many commands: 0 good, 1 bad, 2 wait */
	uint32_t error;	 /* SMMUv3: ERR; VT-d: FSTS */
	uint64_t record; /* VT-d: IQERCD */
};

#define DEV_TLB                            \
	{                                  \
		0x0000001000000003, 0x1000 \
	}

static const struct guest_cell guest_cells[] = {
	{ "queues what is malformed", SMMU, { 0xff, 0 }, NULL, false, 1, 1, 0 },
	{ "queues what is malformed",
	  VTD,
	  { 0xe, 0 },
	  NULL,
	  false,
	  1,
	  0x10,
	  3 },
	{ "has its queue where there is no memory",
	  SMMU,
	  { 0x10, 0 },
	  NULL,
	  true,
	  0,
	  2,
	  0 },
	{ "has its queue where there is no memory",
	  VTD,
	  { 0x12, 0 },
	  NULL,
	  true,
	  0,
	  0x10,
	  2 },
	{ "has a device that does not answer", SMMU, ATC_INV, "atc-timeout",
	  false, 2, 3, 0 },
	{ "has a device that does not answer", VTD, DEV_TLB, "atc-timeout",
	  false, 2, 0x40, (uint64_t)VSID << 32 },
	{ "has a device whose answer makes no sense", VTD, DEV_TLB,
	  "atc-bad:n=1", false, 3, 0x20, (uint64_t)VSID << 48 },
};
#define GUEST_CELLS (sizeof(guest_cells) / sizeof(guest_cells[0]))

static uint64_t reg(uint32_t offset, unsigned int bytes)
{
	return nestfd_viommu_read(guest.viommu, offset, bytes);
}

static void registers_of_smmuv3(uint32_t first, const struct guest_cell *cell)
{
	uint32_t cons = (uint32_t)reg(0x9c, 4);

	assert_int_equal((reg(0x60, 4) ^ reg(0x64, 4)) & 1, 1);
	assert_int_equal((cons & 0xfffff) - first, cell->stops);
	assert_int_equal(cons >> 24 & 0x7f, cell->error);
}

static void registers_of_vtd(uint32_t first, const struct guest_cell *cell)
{
	assert_int_equal(reg(0x34, 4) & 0x7f, cell->error);
	assert_int_equal((reg(0x80, 8) >> 5) - first, cell->stops);
	assert_int_equal(reg(0xb0, 8), cell->record);
	assert_int_equal(guest_waited(&guest) == first + 2, cell->stops > 2);
}

static void each_cause_in_a_guests_queue(void **state)
{
	(void)state;
	for (size_t i = 0; i < GUEST_CELLS; i++) {
		const struct guest_cell *cell = &guest_cells[i];
		uint32_t first;

		world_start(cell->arch);
		guest_invalidate(&guest, 0x1000);
		first = guest.prod;
		if (cell->rule)
			inject(cell->rule);
		if (cell->hole) {
			host.hole_start = guest_command_at(&guest, first);
			host.hole_end = host.hole_start + 4096;
		}
		if (cell->arch == SMMU)
			guest_command(&guest, guest_tlbi_va_0(&guest),
				      guest_tlbi_va_1(0x1000));
		else
			guest_command(&guest, 0x50036, 0x1000);
		guest_command(&guest, cell->bad[0], cell->bad[1]);
		guest_wait(&guest);
		guest_ring(&guest);
		if (cell->arch == SMMU)
			registers_of_smmuv3(first, cell);
		else
			registers_of_vtd(first, cell);
		world_stop();
	}
}

/* ---- the page ---- */

static bool has_case(const char *row, enum nestfd_arch arch)
{
	for (size_t i = 0; i < CELLS; i++)
		if (cells[i].arch == arch && !strcmp(cells[i].row, row))
			return true;
	for (size_t i = 0; i < GUEST_CELLS; i++)
		if (guest_cells[i].arch == arch &&
		    !strcmp(guest_cells[i].row, row))
			return true;
	return false;
}

static bool is_empty(const char *cell)
{
	return !cell || !cell[strspn(cell, " ")];
}

/* Columns: the cause, SMMUv3, VT-d; the number of cells that say something */
static unsigned int compare_line(char *line)
{
	char *column[3], *rest = line;
	size_t end;

	strsep(&rest, "|");
	for (int i = 0; i < 3; i++)
		column[i] = strsep(&rest, "|");
	if (!rest || column[0][0] == '-' || !strcmp(column[0], " cause ") ||
	    !strcmp(column[0], " the guest "))
		return 0;
	column[0]++;
	end = strlen(column[0]);
	while (end && column[0][end - 1] == ' ')
		column[0][--end] = 0;
	for (int i = 1; i < 3; i++)
		if (is_empty(column[i]) ==
		    has_case(column[0], i == 1 ? SMMU : VTD))
			fail_msg("row \"%s\", column %d: page and cases differ",
				 column[0], i);
	return !is_empty(column[1]) + !is_empty(column[2]);
}

static void the_page_has_just_these_rows(void **state)
{
	FILE *page = fopen(arguments[1], "r");
	unsigned int n = 0;
	char line[400];

	(void)state;
	assert_non_null(page);
	while (fgets(line, sizeof(line), page))
		if (line[0] == '|')
			n += compare_line(line);
	fclose(page);
	assert_int_equal(n, CELLS + GUEST_CELLS);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_cause_in_an_array),
		cmocka_unit_test(without_injection_all_of_it_is_done),
		cmocka_unit_test(each_cause_in_a_guests_queue),
		cmocka_unit_test(the_page_has_just_these_rows),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: test_errors_table docs/errors.md\n");
		return 2;
	}
	arguments = argv;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
