// SPDX-License-Identifier: MIT
/*
 * A guest's bad command: its queue stops at it, everything in front is done,
 * nothing behind, the guest repairs it and goes on; nobody else notices. Arm
 * IHI 0070 sections 3.5, 4.1 and 7.1.
 */
#include "kit.h"

#include <errno.h>
#include <string.h>

#include "guest.h"

#define CR0	   0x20
#define CR0ACK	   0x24
#define GERROR	   0x60
#define GERRORN	   0x64
#define CMDQ_BASE  0x90
#define CMDQ_PROD  0x98
#define CMDQ_CONS  0x9c

#define ERR_ILL	   1u
#define ERR_ABT	   2u

#define BEFORE	   0x1000000ULL /* IOVAs: invalidated in front of the error, */
#define AFTER	   0x2000000ULL /* and behind it */

#define BAD_OPCODE 0xffULL

struct errors {
	struct host host;
	struct guest guest;
	struct guest neighbour;
};

static void start(struct errors *e, uint32_t cmdq_lg2)
{
	*e = (struct errors){
		.host = { .cache = NESTFD_CACHE_HOSTILE,
			  .guests = 2,
			  .cmdq_lg2 = cmdq_lg2 },
	};
	assert_int_equal(host_start(&e->host), 0);
	assert_int_equal(guest_start(&e->guest, &e->host, 0, 1), 0);
	assert_int_equal(guest_start(&e->neighbour, &e->host, 1, 1), 0);
	for (unsigned int page = 0; page < 2; page++) {
		guest_put(&e->guest, guest_page(&e->guest, page), page);
		guest_put(&e->neighbour, guest_page(&e->neighbour, page),
			  0x10 + page);
	}
}

static uint64_t reg(struct guest *g, uint32_t offset)
{
	return nestfd_viommu_read(g->viommu, offset, 4);
}

static void write_reg(struct guest *g, uint32_t offset, uint64_t value)
{
	nestfd_viommu_write(g->viommu, offset, 4, value);
}

static uint64_t host_errors(struct host *host)
{
	return nestfd_iommu_read(host->machine, GERROR, 4) ^
	       nestfd_iommu_read(host->machine, GERRORN, 4);
}

static void stop(struct errors *e)
{
	assert_int_equal(host_errors(&e->host), 0);
	guest_stop(&e->neighbour);
	guest_stop(&e->guest);
	host_stop(&e->host);
}

static void expect_running(struct guest *g)
{
	assert_int_equal((reg(g, GERROR) ^ reg(g, GERRORN)) & 1, 0);
	assert_int_equal(reg(g, CMDQ_CONS) & 0xfffff, g->prod);
}

static void expect_stopped(struct guest *g, uint32_t at, uint32_t code)
{
	assert_int_equal((reg(g, GERROR) ^ reg(g, GERRORN)) & 1, 1);
	assert_int_equal(reg(g, CMDQ_CONS) & 0xfffff, at);
	assert_int_equal(reg(g, CMDQ_CONS) >> 24 & 0x7f, code);
}

static void acknowledge(struct guest *g)
{
	write_reg(g, GERRORN, reg(g, GERROR));
}

static uint64_t word_at(struct guest *g, uint64_t iova)
{
	uint64_t word = ~0ULL;

	assert_int_equal(kit_read(g->dev, iova, &word), 0);
	return word;
}

/* @iova is cached as leading to page 0 and by now leads to page 1 */
static void prepare(struct guest *g, uint64_t iova)
{
	guest_map(g, iova, guest_page(g, 0));
	guest_invalidate(g, iova);
	assert_int_equal(word_at(g, iova) & 0xf, 0);
	guest_map(g, iova, guest_page(g, 1));
}

static void put_tlbi(struct guest *g, uint64_t iova)
{
	guest_command(g, guest_tlbi_va_0(g), guest_tlbi_va_1(iova));
}

/* Commands that do nothing here: TLBI_NH_ASID of another ASID */
static void put_idle(struct guest *g, uint32_t n)
{
	while (n--)
		guest_command(g, 0x11 | 0x77ULL << 48, 0);
}

/*
 * A batch of @n commands and a CMD_SYNC; number @at is bad, the one in front
 * of it invalidates BEFORE, the one behind it AFTER.
 */
static void run_batch(struct errors *e, uint32_t n, uint32_t at)
{
	struct guest *g = &e->guest;
	uint32_t index;

	prepare(g, BEFORE);
	prepare(g, AFTER);
	if (at) {
		put_idle(g, at - 1);
		put_tlbi(g, BEFORE);
	}
	index = g->prod;
	guest_command(g, BAD_OPCODE, 0);
	if (at + 1 < n) {
		put_tlbi(g, AFTER);
		put_idle(g, n - at - 2);
	}
	guest_command(g, GUEST_SYNC);
	guest_ring(g);

	expect_stopped(g, index, ERR_ILL);
	assert_int_equal(word_at(g, BEFORE), at ? 1 : 0);
	assert_int_equal(word_at(g, AFTER), 0);

	/* 7.1: put right and acknowledged, it goes on from there */
	guest_put(g, guest_command_at(g, index), guest_tlbi_va_0(g));
	guest_put(g, guest_command_at(g, index) + 8, guest_tlbi_va_1(BEFORE));
	acknowledge(g);
	expect_running(g);
	assert_int_equal(word_at(g, BEFORE), 1);
	assert_int_equal(word_at(g, AFTER), at + 1 < n ? 1 : 0);
	assert_int_equal(host_errors(&e->host), 0);
}

static void the_queue_stops_at_the_bad_command(void **state)
{
	static const uint32_t batches[] = { 1, 2, 3, 64, 65, 512, 513, 4096 };
	static const uint32_t places[] = { 0,	1,   62,  63,	64,   65,  510,
					   511, 512, 513, 1024, 4094, 4095 };
	struct errors e;

	(void)state;
	start(&e, 0);
	for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++) {
		for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++)
			if (places[p] < batches[b])
				run_batch(&e, batches[b], places[p]);
	}
	stop(&e);
}

static void it_stops_just_so_where_the_queue_wraps(void **state)
{
	struct errors e;

	(void)state;
	start(&e, 4); /* 16 commands */
	for (uint32_t offset = 0; offset < 40; offset++) {
		/* moves on by one more than a whole queue each time */
		run_batch(&e, 7, offset % 7);
		put_idle(&e.guest, 1 + offset % 3);
		guest_ring(&e.guest);
		expect_running(&e.guest);
	}
	stop(&e);
}

static void a_full_queue_with_its_last_command_bad_stops_there(void **state)
{
	struct errors e;

	(void)state;
	start(&e, 4);
	for (int round = 0; round < 4; round++) {
		uint32_t at;

		put_idle(&e.guest, 15);
		at = e.guest.prod;
		guest_command(&e.guest, BAD_OPCODE, 0);
		guest_ring(&e.guest);
		expect_stopped(&e.guest, at, ERR_ILL);
		guest_put(&e.guest, guest_command_at(&e.guest, at), 0x46);
		acknowledge(&e.guest);
		expect_running(&e.guest);
		put_idle(&e.guest, 1);
		guest_ring(&e.guest);
		expect_running(&e.guest);
	}
	stop(&e);
}

static bool is_offered(unsigned int opcode)
{
	switch (opcode) {
	case 0x01: /* PREFETCH_CONFIG */
	case 0x02: /* PREFETCH_ADDR */
	case 0x03: /* CFGI_STE */
	case 0x04: /* CFGI_STE_RANGE */
	case 0x05: /* CFGI_CD */
	case 0x06: /* CFGI_CD_ALL */
	case 0x10: /* TLBI_NH_ALL */
	case 0x11: /* TLBI_NH_ASID */
	case 0x12: /* TLBI_NH_VA */
	case 0x13: /* TLBI_NH_VAA */
	case 0x30: /* TLBI_NSNH_ALL */
	case 0x40: /* ATC_INV: IDR0.ATS is 1 */
	case 0x46: /* SYNC */
		return true;
	default:
		return false;
	}
}

static void every_opcode_is_either_carried_out_or_stops_the_queue(void **state)
{
	struct errors e;

	(void)state;
	start(&e, 0);
	for (unsigned int opcode = 0; opcode < 256; opcode++) {
		uint32_t at = e.guest.prod;

		guest_command(&e.guest, opcode, 0);
		guest_command(&e.guest, GUEST_SYNC);
		guest_ring(&e.guest);
		if (is_offered(opcode)) {
			expect_running(&e.guest);
			continue;
		}
		expect_stopped(&e.guest, at, ERR_ILL);
		guest_put(&e.guest, guest_command_at(&e.guest, at), 0x46);
		acknowledge(&e.guest);
		expect_running(&e.guest);
	}
	prepare(&e.guest, BEFORE);
	guest_invalidate(&e.guest, BEFORE);
	assert_int_equal(word_at(&e.guest, BEFORE), 1);
	stop(&e);
}

static void not_repaired_it_stops_at_the_same_command_again(void **state)
{
	struct errors e;
	uint32_t at;

	(void)state;
	start(&e, 0);
	put_idle(&e.guest, 3);
	at = e.guest.prod;
	guest_command(&e.guest, BAD_OPCODE, 0);
	guest_ring(&e.guest);
	for (int round = 0; round < 5; round++) {
		expect_stopped(&e.guest, at, ERR_ILL);
		acknowledge(&e.guest);
	}
	expect_stopped(&e.guest, at, ERR_ILL);
	stop(&e);
}

static void while_stopped_prod_moves_and_nothing_is_consumed(void **state)
{
	struct errors e;
	uint32_t at;

	(void)state;
	start(&e, 0);
	prepare(&e.guest, AFTER);
	at = e.guest.prod;
	guest_command(&e.guest, BAD_OPCODE, 0);
	guest_ring(&e.guest);
	for (int i = 0; i < 10; i++) {
		put_tlbi(&e.guest, AFTER);
		guest_command(&e.guest, GUEST_SYNC);
		guest_ring(&e.guest);
		assert_int_equal(reg(&e.guest, CMDQ_PROD), e.guest.prod);
		expect_stopped(&e.guest, at, ERR_ILL);
		assert_int_equal(word_at(&e.guest, AFTER), 0);
	}
	/* CONS is not the guest's to move while CMDQEN is 1 */
	write_reg(&e.guest, CMDQ_CONS, e.guest.prod);
	expect_stopped(&e.guest, at, ERR_ILL);
	guest_put(&e.guest, guest_command_at(&e.guest, at), 0x46);
	acknowledge(&e.guest);
	expect_running(&e.guest);
	assert_int_equal(word_at(&e.guest, AFTER), 1);
	stop(&e);
}

static void start_anew(struct guest *g)
{
	write_reg(g, CR0, 0x5); /* CMDQEN off */
	assert_int_equal(reg(g, CR0ACK), 0x5);
	acknowledge(g);
	g->prod = 0;
	write_reg(g, CMDQ_PROD, 0);
	write_reg(g, CMDQ_CONS, 0);
	write_reg(g, CR0, 0xd);
}

static void a_guest_that_gives_up_starts_its_queue_anew(void **state)
{
	struct errors e;

	(void)state;
	start(&e, 0);
	guest_command(&e.guest, BAD_OPCODE, 0);
	guest_ring(&e.guest);
	start_anew(&e.guest);
	expect_running(&e.guest);
	prepare(&e.guest, BEFORE);
	guest_invalidate(&e.guest, BEFORE);
	assert_int_equal(word_at(&e.guest, BEFORE), 1);
	stop(&e);
}

static void a_queue_outside_memory_is_an_abort(void **state)
{
	struct errors e;
	uint64_t base;

	(void)state;
	start(&e, 0);
	base = nestfd_viommu_read(e.guest.viommu, CMDQ_BASE, 8);
	write_reg(&e.guest, CR0, 0x5);
	nestfd_viommu_write(e.guest.viommu, CMDQ_BASE, 8, 0x900000000000 | 16);
	write_reg(&e.guest, CR0, 0xd);
	put_idle(&e.guest, 2);
	guest_ring(&e.guest);
	expect_stopped(&e.guest, 2, ERR_ABT); /* two at boot */
	acknowledge(&e.guest);
	expect_stopped(&e.guest, 2, ERR_ABT);
	/* the base is the guest's to move while CMDQEN is 0 */
	write_reg(&e.guest, CR0, 0x5);
	nestfd_viommu_write(e.guest.viommu, CMDQ_BASE, 8, base);
	acknowledge(&e.guest);
	write_reg(&e.guest, CR0, 0xd);
	expect_running(&e.guest);
	stop(&e);
}

static void prod_beyond_the_queue_consumes_nothing(void **state)
{
	struct errors e;
	uint32_t cons;

	(void)state;
	start(&e, 4);
	prepare(&e.guest, BEFORE);
	cons = e.guest.prod;
	put_tlbi(&e.guest, BEFORE);
	guest_command(&e.guest, GUEST_SYNC);
	/* 17 to 31 of 16 commands */
	for (uint32_t more = 17; more < 32; more++) {
		write_reg(&e.guest, CMDQ_PROD, (cons + more) & 0x1f);
		assert_int_equal(reg(&e.guest, CMDQ_CONS) & 0xfffff, cons);
		assert_int_equal(word_at(&e.guest, BEFORE), 0);
	}
	guest_ring(&e.guest);
	expect_running(&e.guest);
	assert_int_equal(word_at(&e.guest, BEFORE), 1);
	stop(&e);
}

static void a_neighbour_does_not_notice_a_guest_full_of_errors(void **state)
{
	struct errors e;

	(void)state;
	start(&e, 0);
	for (unsigned int round = 0; round < 2000; round++) {
		uint64_t iova = AFTER + round % 8 * PAGE;

		put_idle(&e.guest, round % 70);
		guest_command(&e.guest, round % 256, ~0ULL);
		guest_command(&e.guest, ~0ULL << 8 | round % 256, 0);
		guest_ring(&e.guest);
		acknowledge(&e.guest);
		if (round % 3)
			start_anew(&e.guest);

		prepare(&e.neighbour, iova);
		assert_int_equal(word_at(&e.neighbour, iova), 0x10);
		guest_invalidate(&e.neighbour, iova);
		expect_running(&e.neighbour);
		assert_int_equal(word_at(&e.neighbour, iova), 0x11);
		assert_int_equal(host_errors(&e.host), 0);
	}
	stop(&e);
}

/* ---- the VMM's answers: guest memory that is not there ---- */

static void a_command_that_cannot_be_read_is_an_abort_at_its_index(void **state)
{
	static const uint32_t holes[] = { 0, 1, 255, 256, 300, 512, 1000 };
	struct errors e;

	(void)state;
	start(&e, 0);
	for (size_t i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
		uint32_t first = e.guest.prod;
		uint64_t hole;

		prepare(&e.guest, BEFORE);
		prepare(&e.guest, AFTER);
		first = e.guest.prod;
		hole = guest_command_at(&e.guest, first + holes[i]);
		if (holes[i]) {
			put_idle(&e.guest, holes[i] - 1);
			put_tlbi(&e.guest, BEFORE);
		}
		put_tlbi(&e.guest, AFTER);
		guest_command(&e.guest, GUEST_SYNC);
		e.host.hole_start = hole;
		e.host.hole_end = hole + 16;
		guest_ring(&e.guest);
		expect_stopped(&e.guest, first + holes[i], ERR_ABT);
		assert_int_equal(word_at(&e.guest, BEFORE), holes[i] ? 1 : 0);
		assert_int_equal(word_at(&e.guest, AFTER), 0);
		acknowledge(&e.guest);
		expect_stopped(&e.guest, first + holes[i], ERR_ABT);

		e.host.hole_start = 0;
		e.host.hole_end = 0;
		acknowledge(&e.guest);
		expect_running(&e.guest);
		assert_int_equal(word_at(&e.guest, AFTER), 1);
	}
	stop(&e);
}

static void a_stream_table_that_cannot_be_read_aborts_the_stream(void **state)
{
	struct errors e;
	uint64_t word;

	(void)state;
	start(&e, 0);
	guest_map(&e.guest, BEFORE, guest_page(&e.guest, 1));
	assert_int_equal(word_at(&e.guest, BEFORE), 1);
	/* the stream table is the first page of a guest's part */
	e.host.hole_start = e.guest.base;
	e.host.hole_end = e.guest.base + PAGE;
	guest_set_stream(&e.guest, GUEST_NESTED);
	expect_running(&e.guest);
	assert_int_equal(kit_read(e.guest.dev, BEFORE, &word), -EIO);
	e.host.hole_start = 0;
	e.host.hole_end = 0;
	guest_set_stream(&e.guest, GUEST_NESTED);
	expect_running(&e.guest);
	assert_int_equal(word_at(&e.guest, BEFORE), 1);
	stop(&e);
}

static void a_stream_follows_its_ste(void **state)
{
	struct errors e;
	uint64_t word = 0;

	(void)state;
	start(&e, 0);
	guest_map(&e.guest, BEFORE, guest_page(&e.guest, 1));
	for (int round = 0; round < 3; round++) {
		guest_set_stream(&e.guest, GUEST_NESTED);
		assert_int_equal(word_at(&e.guest, BEFORE), 1);
		guest_set_stream(&e.guest, GUEST_ABORT);
		assert_int_equal(kit_read(e.guest.dev, BEFORE, &word), -EIO);
		guest_set_stream(&e.guest, GUEST_BYPASS);
		assert_int_equal(kit_read(e.guest.dev, BEFORE, &word), -EIO);
		assert_int_equal(word_at(&e.guest, guest_page(&e.guest, 1)), 1);
		expect_running(&e.guest);
	}
	stop(&e);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_queue_stops_at_the_bad_command),
		cmocka_unit_test(it_stops_just_so_where_the_queue_wraps),
		cmocka_unit_test(
			a_full_queue_with_its_last_command_bad_stops_there),
		cmocka_unit_test(
			every_opcode_is_either_carried_out_or_stops_the_queue),
		cmocka_unit_test(
			not_repaired_it_stops_at_the_same_command_again),
		cmocka_unit_test(
			while_stopped_prod_moves_and_nothing_is_consumed),
		cmocka_unit_test(a_guest_that_gives_up_starts_its_queue_anew),
		cmocka_unit_test(a_queue_outside_memory_is_an_abort),
		cmocka_unit_test(prod_beyond_the_queue_consumes_nothing),
		cmocka_unit_test(
			a_neighbour_does_not_notice_a_guest_full_of_errors),
		cmocka_unit_test(
			a_command_that_cannot_be_read_is_an_abort_at_its_index),
		cmocka_unit_test(
			a_stream_table_that_cannot_be_read_aborts_the_stream),
		cmocka_unit_test(a_stream_follows_its_ste),
	};

	return RUN(tests, argc, argv);
}
