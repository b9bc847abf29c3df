// SPDX-License-Identifier: MIT
/*
 * Rows J and K: arrays, and commands that the hardware would refuse. In each
 * case X is cached as A and its entry says B, so that where data lands tells
 * whether the array's TLBI_NH_VA X was carried out.
 *
 * Linux converts an array in batches and issues a batch when it is full, so
 * what precedes a bad entry may never be carried out though entry_num counts
 * it (J24 to J39: "stale"). Here entry_num counts what has taken effect: all
 * that precedes the bad entry, and nothing behind it.
 */
#include "rows.h"

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#define BAD   0x46ULL, 0ULL		    /* CMD_SYNC */
#define OTHER CMD_NH_VA(ASID, 0x5000000ULL) /* does nothing to X */

static void put(struct cmd *cmd, uint64_t dw0, uint64_t dw1)
{
	cmd->dw[0] = htole64(dw0);
	cmd->dw[1] = htole64(dw1);
}

static struct cmd *new_array(uint32_t n, uint64_t dw0, uint64_t dw1)
{
	struct cmd *cmds = calloc(n, sizeof(*cmds));

	assert_non_null(cmds);
	for (uint32_t i = 0; i < n; i++)
		put(&cmds[i], dw0, dw1);
	return cmds;
}

/* All of them take effect: the last one, the only one for X's ASID, does. */
static void good(void **state)
{
	struct rows *r = *state;
	uint32_t count = (uint32_t)(uintptr_t)r->param;
	struct cmd *cmds = new_array(count, CMD_NH_ASID(6));
	uint32_t n = count;

	put(&cmds[count - 1], CMD_NH_ASID(ASID));
	row_a_then_b(r);
	assert_int_equal(row_invalidate(r, cmds, &n), 0);
	assert_int_equal(n, count);
	assert_int_equal(row_probe(r, 0), IN_B);
	free(cmds);
}

static void J21_more_than_2_to_the_19_entries_is_EINVAL(void **state)
{
	struct rows *r = *state;
	uint32_t n = (1u << 19) + 1;
	struct cmd *cmds = new_array(n, CMD_NH_ASID(ASID));

	row_a_then_b(r);
	assert_int_equal(row_invalidate(r, cmds, &n), -EINVAL);
	assert_int_equal(n, 0);
	assert_int_equal(row_probe(r, 0), IN_A);
	free(cmds);
}

/* 256 entries of 16 bytes fill a page; the next page is nobody's. */
static void J22_an_entry_in_unmapped_memory_is_EFAULT(void **state)
{
	struct rows *r = *state;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *mem = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct cmd *cmds;
	uint32_t n = 257;

	assert_true(mem != MAP_FAILED);
	assert_int_equal(mprotect(mem + page, page, PROT_NONE), 0);
	cmds = (struct cmd *)(mem + page) - 256;
	for (unsigned int i = 0; i < 256; i++)
		put(&cmds[i], CMD_NH_ASID(ASID));
	row_a_then_b(r);
	assert_int_equal(row_invalidate(r, cmds, &n), -EFAULT);
	assert_int_equal(n, 0);
	/* entry_num 0 is meant */
	assert_int_equal(row_probe(r, 0), IN_A);
	munmap(mem, 2 * page);
}

struct array {
	uint32_t n;
	int tlbi; /* index of TLBI_NH_VA X, -1 for none */
	uint32_t bad;
};

static void array(void **state)
{
	struct rows *r = *state;
	const struct array *a = r->param;
	struct cmd *cmds = new_array(a->n, OTHER);
	uint32_t n = a->n;

	if (a->tlbi >= 0)
		put(&cmds[a->tlbi], CMD_NH_VA(ASID, X));
	put(&cmds[a->bad], BAD);
	row_a_then_b(r);
	assert_int_equal(row_invalidate(r, cmds, &n), -EIO);
	assert_int_equal(n, a->bad);
	assert_int_equal(row_probe(r, 0),
			 a->tlbi >= 0 && (uint32_t)a->tlbi < a->bad ? IN_B
								    : IN_A);
	free(cmds);
}

static const struct array j23 = { 1, -1, 0 };
static const struct array j24 = { 2, 0, 1 };
static const struct array j25 = { 2, 1, 0 };
static const struct array j26 = { 10, 0, 9 };
static const struct array j27 = { 63, 0, 62 };
static const struct array j28 = { 64, 0, 63 };
static const struct array j29 = { 64, 62, 63 };
static const struct array j30 = { 65, 63, 64 };
static const struct array j31 = { 101, 62, 100 };
static const struct array j32 = { 101, 63, 100 };
static const struct array j33 = { 127, 63, 126 };
static const struct array j34 = { 128, 125, 127 };
static const struct array j35 = { 128, 126, 127 };
static const struct array j36 = { 4096, 4000, 4095 };
static const struct array j37 = { 4096, 4093, 4095 };
static const struct array j38 = { 4096, 5, 2000 };

static void J39_what_precedes_an_unknown_vsid_is_done(void **state)
{
	struct rows *r = *state;
	struct cmd cmds[2];
	uint32_t n = 2;

	put(&cmds[0], CMD_NH_VA(ASID, X));
	put(&cmds[1], CMD_CFGI_CD(0x999));
	row_a_then_b(r);
	assert_int_equal(row_invalidate(r, cmds, &n), -EIO);
	assert_int_equal(n, 1);
	assert_int_equal(row_probe(r, 0), IN_B);
}

/* Where the data is that the device fetched from T: does T lead to A's? */
static bool t_leads_to_a(struct rows *r)
{
	*(uint64_t *)row_mem(r, PAGE_A) = 0xaaaa;
	*(uint64_t *)row_mem(r, PAGE_DATA) = 0xdddd;
	row_dma_read(r, 0, T);
	row_dma_write(r, 0, X);
	return *(uint64_t *)row_mem(r, PAGE_B) == 0xaaaa;
}

/*
 * TLBI_NH_VA X, CFGI_CD with SSEC, TLBI_NH_VA T. Linux passes the second to
 * the hardware, which stops with CERROR_ILL: the call answered ETIMEDOUT with
 * entry_num 2 on one CPU and 0 with entry_num 3 on another. Here it is EIO
 * with entry_num 1: X is forgotten, T is not, and the queue goes on.
 */
static void refused(struct rows *r)
{
	struct cmd cmds[3];
	uint32_t n = 3;

	put(&cmds[0], CMD_NH_VA(ASID, X));
	put(&cmds[1], 0x0000012300000405, 1);
	put(&cmds[2], CMD_NH_VA(ASID, T));
	row_a_then_b(r);
	row_set_pte(r, T, PAGE_A | PTE_RW);
	assert_int_equal(row_invalidate(r, cmds, &n), -EIO);
	assert_int_equal(n, 1);
	assert_int_equal(row_probe(r, 0), IN_B);
	assert_false(t_leads_to_a(r));
	row_expect_no_event(r);

	/* afterwards */
	row_change_pte(r, T, PAGE_A | PTE_RW);
	assert_true(t_leads_to_a(r));
	row_change_pte(r, T, PAGE_DATA | PTE_RW);
	row_change_pte(r, X, PAGE_A | PTE_RW);
	assert_int_equal(row_probe(r, 0), IN_A);
}

static void
K1_K2_K3_a_command_hardware_refuses_is_EIO_at_its_index(void **state)
{
	refused(*state);
}

static bool run_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

static void K4_K5_K6_and_so_it_is_on_every_cpu(void **state)
{
	struct rows *r = *state;
	unsigned int runs = 0;
	cpu_set_t before;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE && runs < 4; cpu++) {
		if (!CPU_ISSET(cpu, &before) || !run_on(cpu))
			continue;
		refused(r);
		runs++;
	}
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_true(runs > 0);
}

#define GOOD(name, n) \
	ROW_OF(setup_attached, good, name, (const void *)(uintptr_t)(n))
#define ARRAY(name, param) ROW_OF(setup_attached, array, name, param)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GOOD("J1_1_entry", 1),
		GOOD("J2_2_entries", 2),
		GOOD("J3_62_entries", 62),
		GOOD("J4_63_entries", 63),
		GOOD("J5_64_entries", 64),
		GOOD("J6_65_entries", 65),
		GOOD("J7_125_entries", 125),
		GOOD("J8_126_entries", 126),
		GOOD("J9_127_entries", 127),
		GOOD("J10_128_entries", 128),
		GOOD("J11_256_entries", 256),
		GOOD("J12_512_entries", 512),
		GOOD("J13_1024_entries", 1024),
		GOOD("J14_2048_entries", 2048),
		GOOD("J15_4095_entries", 4095),
		GOOD("J16_4096_entries", 4096),
		GOOD("J17_65536_entries", 65536),
		GOOD("J18_2_to_the_18_entries", 1 << 18),
		/* Linux: ENOMEM above 4 MiB, entry_num as it was */
		GOOD("J19_one_entry_more", (1 << 18) + 1),
		GOOD("J20_2_to_the_19_entries", 1 << 19),
		ROW(setup_attached,
		    J21_more_than_2_to_the_19_entries_is_EINVAL),
		ROW(setup_attached, J22_an_entry_in_unmapped_memory_is_EFAULT),
		ARRAY("J23_a_bad_entry_alone", &j23),
		ARRAY("J24_2_entries_bad_1", &j24),
		ARRAY("J25_2_entries_bad_0", &j25),
		ARRAY("J26_10_entries_bad_9", &j26),
		ARRAY("J27_63_entries_bad_62", &j27),
		ARRAY("J28_64_entries_bad_63", &j28),
		ARRAY("J29_64_entries_tlbi_62_bad_63", &j29),
		ARRAY("J30_65_entries_tlbi_63_bad_64", &j30),
		ARRAY("J31_101_entries_tlbi_62_bad_100", &j31),
		ARRAY("J32_101_entries_tlbi_63_bad_100", &j32),
		ARRAY("J33_127_entries_tlbi_63_bad_126", &j33),
		ARRAY("J34_128_entries_tlbi_125_bad_127", &j34),
		ARRAY("J35_128_entries_tlbi_126_bad_127", &j35),
		ARRAY("J36_4096_entries_tlbi_4000_bad_4095", &j36),
		ARRAY("J37_4096_entries_tlbi_4093_bad_4095", &j37),
		ARRAY("J38_4096_entries_tlbi_5_bad_2000", &j38),
		ROW(setup_attached, J39_what_precedes_an_unknown_vsid_is_done),
		ROW(setup_attached,
		    K1_K2_K3_a_command_hardware_refuses_is_EIO_at_its_index),
		ROW(setup_attached, K4_K5_K6_and_so_it_is_on_every_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
