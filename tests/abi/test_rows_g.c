// SPDX-License-Identifier: MIT
/*
 * Rows G: faults, and how the guest reads of them. A DMA of 8 bytes was two
 * faults in the recording, since QEMU carries it out in two halves; here it is
 * one, so sequence numbers count differently. They begin at 0 in each case.
 *
 * Words of an event, IHI 0070 7.3: StreamID in 63:32 of the first and the
 * event's number in 7:0; in the second RnW in bit 35, S2 in bit 39, CLASS in
 * 41:40 (1: a table, 2: the data); then the input address, then the IPA.
 */
#include "rows.h"

#define READ_OF_DATA  0x0000020800000000
#define WRITE_OF_DATA 0x0000020000000000

#define F_TRANSLATION 0x0000012300000010
#define F_ADDR_SIZE   0x0000012300000011
#define F_ACCESS      0x0000012300000012
#define F_PERMISSION  0x0000012300000013
#define C_BAD_CD      0x000001230000000a

static void G1_G2_writing_through_an_empty_entry_is_F_TRANSLATION(void **state)
{
	struct rows *r = *state;

	row_change_pte(r, X, 0);
	row_dma_write(r, 0, X);
	assert_int_equal(
		row_expect_event(r, F_TRANSLATION, WRITE_OF_DATA, X, 0), 0);
}

static void G3_G4_reading_through_an_empty_entry_is_F_TRANSLATION(void **state)
{
	struct rows *r = *state;

	row_change_pte(r, X, 0);
	row_dma_read(r, 0, X);
	assert_int_equal(row_expect_event(r, F_TRANSLATION, READ_OF_DATA, X, 0),
			 0);
	/* faults are not cached, and are counted */
	row_dma_read(r, 0, X);
	assert_int_equal(row_expect_event(r, F_TRANSLATION, READ_OF_DATA, X, 0),
			 1);
}

static void G5_G6_reading_where_there_is_no_table_is_F_TRANSLATION(void **state)
{
	struct rows *r = *state;

	row_dma_read(r, 0, 0x7f12345678);
	row_expect_event(r, F_TRANSLATION, READ_OF_DATA, 0x7f12345678, 0);
}

static void G7_G8_reading_beyond_t0sz_is_F_TRANSLATION(void **state)
{
	struct rows *r = *state;

	row_dma_read(r, 0, 1ULL << 39);
	row_expect_event(r, F_TRANSLATION, READ_OF_DATA, 0x8000000000, 0);
}

static void G9_G10_writing_to_a_read_only_page_is_F_PERMISSION(void **state)
{
	struct rows *r = *state;

	row_change_pte(r, X, PAGE_A | PTE_RO);
	assert_int_equal(row_probe(r, 0), NOWHERE);
	row_expect_event(r, F_PERMISSION, WRITE_OF_DATA, X, 0);
	row_dma_read(r, 0, X);
	row_expect_no_event(r);
}

static void G11_G12_writing_to_a_page_without_af_is_F_ACCESS(void **state)
{
	struct rows *r = *state;

	row_change_pte(r, X, PAGE_A | PTE_NO_AF);
	assert_int_equal(row_probe(r, 0), NOWHERE);
	row_expect_event(r, F_ACCESS, WRITE_OF_DATA, X, 0);
}

static void G13_G14_a_page_address_above_ips_is_F_ADDR_SIZE(void **state)
{
	struct rows *r = *state;

	row_change_pte(r, X, 1ULL << 46 | PAGE_A | PTE_RW);
	assert_int_equal(row_probe(r, 0), NOWHERE);
	row_expect_event(r, F_ADDR_SIZE, WRITE_OF_DATA, X, 0);
}

static void G15_a_page_without_memory_is_the_hosts_fault(void **state)
{
	struct rows *r = *state;

	row_change_pte(r, X, NO_RAM | PTE_RW);
	assert_int_equal(row_probe(r, 0), NOWHERE);
	row_expect_no_event(r);
}

/*
 * In the recording QEMU gave S2=0 and the guest was told. By the architecture
 * S2 is 1 (IHI 0070 7.3, F_TRANSLATION), and the event is the host's alone.
 */
static void G16_G17_a_table_without_memory_is_the_hosts_fault(void **state)
{
	struct rows *r = *state;

	row_put(r, L1, NO_RAM | 3);
	assert_int_equal(row_command(r, CMD_NH_ALL), 0);
	assert_int_equal(row_probe(r, 0), NOWHERE);
	row_expect_no_event(r);
}

/* A changed CD is looked at after this. */
static void forget_cd(struct rows *r)
{
	assert_int_equal(row_command(r, CMD_CFGI_CD(VSID_0)), 0);
	assert_int_equal(row_command(r, CMD_NH_ASID(ASID)), 0);
}

static void G18_G19_a_cd_that_is_not_valid_is_C_BAD_CD(void **state)
{
	struct rows *r = *state;

	row_put(r, CD, CD_0 & ~(1ULL << 31));
	forget_cd(r);
	row_dma_write(r, 0, X);
	row_expect_event(r, C_BAD_CD, 0, 0, 0);
}

/* Bit 38 is TBI0, which changes nothing for X. */
static void G20_bit_38_of_a_cd_is_no_fault(void **state)
{
	struct rows *r = *state;

	row_put(r, CD, CD_0 | 1ULL << 38);
	forget_cd(r);
	assert_int_equal(row_probe(r, 0), IN_A);
	row_expect_no_event(r);
}

/* Bit 42 is HD: ILLEGAL where IDR0.HTTU is 0 (IHI 0070 5.4, HA). */
static void G20_hd_in_a_cd_without_httu_is_C_BAD_CD(void **state)
{
	struct rows *r = *state;

	row_put(r, CD, CD_0 | 1ULL << 42);
	forget_cd(r);
	assert_int_equal(row_probe(r, 0), NOWHERE);
	/* the probe's read and its write */
	for (unsigned int i = 0; i < 2; i++) {
		struct vevent event;

		assert_int_equal(row_read(r, &event, sizeof(event)),
				 sizeof(event));
		assert_int_equal(event.header.sequence, i);
		assert_int_equal(le64toh(event.evt[0]), C_BAD_CD);
	}
	row_expect_no_event(r);
}

static void attach_vste(struct rows *r, uint64_t dw0, uint64_t dw1)
{
	uint32_t id;

	assert_int_equal(row_vste(r, dw0, dw1, &id), 0);
	assert_int_equal(row_attach(r, 0, id), 0);
}

static void G21_G22_a_cd_without_memory_is_the_hosts_fault(void **state)
{
	struct rows *r = *state;

	attach_vste(r, NO_RAM | 0xb, VSTE_1);
	assert_int_equal(row_probe(r, 0), NOWHERE);
	row_expect_no_event(r);
}

/*
 * In the recording this was C_BAD_STE. By the architecture S1CDMax is IGNORED
 * where IDR1.SSIDSIZE is 0 (IHI 0070 5.2), so it does no harm.
 */
static void G23_G24_G25_s1cdmax_without_substreams_is_ignored(void **state)
{
	struct rows *r = *state;

	attach_vste(r, VSTE_S1 | 1ULL << 59, VSTE_1);
	assert_int_equal(row_probe(r, 0), IN_A);
	row_expect_no_event(r);
}

static void G26_G27_eats_without_ats_is_harmless(void **state)
{
	struct rows *r = *state;

	attach_vste(r, VSTE_S1, VSTE_1 | 1ULL << 28);
	assert_int_equal(row_probe(r, 0), IN_A);
	row_expect_no_event(r);
}

static void G28_G29_abort_is_silent(void **state)
{
	struct rows *r = *state;

	assert_int_equal(row_attach(r, 0, r->abort), 0);
	assert_int_equal(row_probe(r, 0), NOWHERE);
	row_expect_no_event(r);
}

static void G30_G31_a_vste_that_is_not_valid_is_silent(void **state)
{
	struct rows *r = *state;

	attach_vste(r, 0, 0);
	assert_int_equal(row_probe(r, 0), NOWHERE);
	row_expect_no_event(r);
}

static void G32_G33_G34_G35_bypass_to_no_memory_is_silent_and_ends(void **state)
{
	struct rows *r = *state;

	assert_int_equal(row_attach(r, 0, r->bypass), 0);
	row_dma_write(r, 0, NO_RAM);
	row_expect_no_event(r);
	assert_int_equal(row_attach(r, 0, r->s1), 0);
	assert_int_equal(row_probe(r, 0), IN_A);
}

static void G36_G37_the_second_device_faults_by_its_own_vsid(void **state)
{
	struct rows *r = *state;

	assert_int_equal(row_attach(r, 1, r->s1), 0);
	row_dma_read(r, 1, 0x7f00001000);
	row_expect_event(r, 0x0000045600000010, READ_OF_DATA, 0x7f00001000, 0);
}

static void check(const struct vevent *event, uint32_t sequence, uint64_t iova)
{
	assert_int_equal(event->header.flags, 0);
	assert_int_equal(event->header.sequence, sequence);
	assert_int_equal(le64toh(event->evt[0]), F_TRANSLATION);
	assert_int_equal(le64toh(event->evt[1]), READ_OF_DATA);
	assert_int_equal(le64toh(event->evt[2]), iova);
	assert_int_equal(le64toh(event->evt[3]), 0);
}

/* @n reads at X, X + 8 ... which fault */
static void fault(struct rows *r, unsigned int n)
{
	row_change_pte(r, X, 0);
	for (unsigned int i = 0; i < n; i++)
		row_dma_read(r, 0, X + 8 * i);
}

/*
 * The depth is 4: four events with their records, then one header that says
 * that those up to its number are lost.
 */
static void G38_G39_G40_G41_G42_of_7_faults_a_queue_of_4_loses_3(void **state)
{
	struct rows *r = *state;
	char buf[4096];
	struct vevent *event = (void *)buf;
	struct iommufd_vevent_header *lost = (void *)&event[4];

	fault(r, 7);
	assert_int_equal(row_read(r, buf, sizeof(buf)), 168);
	for (unsigned int i = 0; i < 4; i++)
		check(&event[i], i, X + 8 * i);
	assert_int_equal(lost->flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(lost->sequence, 6);
	row_expect_no_event(r);
}

static void G43_G44_the_event_after_lost_ones_has_the_next_number(void **state)
{
	struct rows *r = *state;
	char buf[4096];

	fault(r, 7);
	assert_int_equal(row_read(r, buf, sizeof(buf)), 168);
	fault(r, 1);
	assert_int_equal(row_expect_event(r, F_TRANSLATION, READ_OF_DATA, X, 0),
			 7);
}

static void G45_G46_G47_G48_reads_of_40_bytes_give_one_event_each(void **state)
{
	struct rows *r = *state;
	struct vevent event;

	fault(r, 4);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(row_read(r, &event, 40), 40);
		check(&event, i, X + 8 * i);
	}
	row_expect_no_event(r);
}

static void G49_G50_G51_a_read_too_short_leaves_the_event(void **state)
{
	struct rows *r = *state;
	struct vevent event;

	fault(r, 2);
	assert_int_equal(row_read(r, &event, 39), -EINVAL);
	assert_int_equal(row_read(r, &event, 40), 40);
	check(&event, 0, X);
	assert_int_equal(row_read(r, &event, 40), 40);
	check(&event, 1, X + 8);
	row_expect_no_event(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(setup_attached,
		    G1_G2_writing_through_an_empty_entry_is_F_TRANSLATION),
		ROW(setup_attached,
		    G3_G4_reading_through_an_empty_entry_is_F_TRANSLATION),
		ROW(setup_attached,
		    G5_G6_reading_where_there_is_no_table_is_F_TRANSLATION),
		ROW(setup_attached, G7_G8_reading_beyond_t0sz_is_F_TRANSLATION),
		ROW(setup_attached,
		    G9_G10_writing_to_a_read_only_page_is_F_PERMISSION),
		ROW(setup_attached,
		    G11_G12_writing_to_a_page_without_af_is_F_ACCESS),
		ROW(setup_attached,
		    G13_G14_a_page_address_above_ips_is_F_ADDR_SIZE),
		ROW(setup_attached,
		    G15_a_page_without_memory_is_the_hosts_fault),
		ROW(setup_attached,
		    G16_G17_a_table_without_memory_is_the_hosts_fault),
		ROW(setup_attached, G18_G19_a_cd_that_is_not_valid_is_C_BAD_CD),
		ROW(setup_attached, G20_bit_38_of_a_cd_is_no_fault),
		ROW(setup_attached, G20_hd_in_a_cd_without_httu_is_C_BAD_CD),
		ROW(setup_attached,
		    G21_G22_a_cd_without_memory_is_the_hosts_fault),
		ROW(setup_attached,
		    G23_G24_G25_s1cdmax_without_substreams_is_ignored),
		ROW(setup_attached, G26_G27_eats_without_ats_is_harmless),
		ROW(setup_attached, G28_G29_abort_is_silent),
		ROW(setup_attached, G30_G31_a_vste_that_is_not_valid_is_silent),
		ROW(setup_attached,
		    G32_G33_G34_G35_bypass_to_no_memory_is_silent_and_ends),
		ROW(setup_attached,
		    G36_G37_the_second_device_faults_by_its_own_vsid),
		ROW(setup_attached,
		    G38_G39_G40_G41_G42_of_7_faults_a_queue_of_4_loses_3),
		ROW(setup_attached,
		    G43_G44_the_event_after_lost_ones_has_the_next_number),
		ROW(setup_attached,
		    G45_G46_G47_G48_reads_of_40_bytes_give_one_event_each),
		ROW(setup_attached,
		    G49_G50_G51_a_read_too_short_leaves_the_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
