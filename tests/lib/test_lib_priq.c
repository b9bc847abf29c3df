// SPDX-License-Identifier: MIT
/*
 * The PRI queue of a bare SMMUv3 (Arm IHI 0070 chapter 8): what is written to
 * it, what becomes of requests for which there is no room, and which answers
 * hardware gives by itself. Words are worked out by hand.
 */
#include "kit.h"

#include <errno.h>
#include <string.h>

#define CR0	    0x20
#define CR0ACK	    0x24
#define CR2	    0x2c
#define IRQ_CTRL    0x50
#define GERROR	    0x60
#define GERRORN	    0x64
#define STRTAB_BASE 0x80
#define STRTAB_CFG  0x88
#define CMDQ_BASE   0x90
#define CMDQ_PROD   0x98
#define CMDQ_CONS   0x9c
#define EVENTQ_BASE 0xa0
#define PRIQ_BASE   0xc0
#define EVENTQ_PROD 0x100a8
#define PRIQ_PROD   0x100c8
#define PRIQ_CONS   0x100cc

#define MEMORY	    0x80000000ULL
#define AT_STRTAB   0x0000ULL /* linear, 16 entries */
#define AT_CMDQ	    0x1000ULL
#define AT_EVENTQ   0x2000ULL
#define AT_PRIQ	    0x3000ULL
#define OVFLG	    0x80000000u

#define SID	    5u
#define X	    0x12345678000ULL
#define ALONE	    NESTFD_NO_PASID
#define READ	    NESTFD_PAGE_READ
#define LAST	    NESTFD_PAGE_LAST

/* SMMUEN, PRIQEN, EVENTQEN, CMDQEN */
#define CR0_ON 0xf

struct bare {
	struct nestfd_machine *machine;
	struct nestfd_device *dev;
	char *memory;
	unsigned int irqs;  /* of the PRI queue */
	unsigned int heard; /* answers */
	struct nestfd_page_response last;
};

static void on_irq(void *ctx, unsigned int line)
{
	struct bare *b = ctx;

	b->irqs += line == 1;
}

static void on_response(void *ctx, const struct nestfd_page_response *response)
{
	struct bare *b = ctx;

	b->heard++;
	b->last = *response;
}

static void put(struct bare *b, uint64_t at, uint64_t word)
{
	memcpy(b->memory + at, &word, sizeof(word));
}

static uint64_t word_at(struct bare *b, uint64_t at)
{
	uint64_t word;

	memcpy(&word, b->memory + at, sizeof(word));
	return word;
}

static void wr(struct bare *b, uint32_t offset, unsigned int bytes,
	       uint64_t value)
{
	nestfd_iommu_write(b->machine, offset, bytes, value);
}

static uint32_t rd(struct bare *b, uint32_t offset)
{
	return (uint32_t)nestfd_iommu_read(b->machine, offset, 4);
}

/* Bypasses; PPAR is bit 82 */
static void put_ste(struct bare *b, bool valid, bool ppar)
{
	put(b, AT_STRTAB + SID * 64, valid ? 0x9 : 0);
	put(b, AT_STRTAB + SID * 64 + 8, ppar ? 1ULL << 18 : 0);
}

static void begin(struct bare *b, uint32_t idr0, uint32_t idr3)
{
	/* S2P, S1P, TTF AArch64, COHACC, ATS, PRI, VMID16; SIDSIZE 6,
	 * SSIDSIZE 8, PRIQS 5, EVENTQS 5, CMDQS 5; OAS 48, GRAN4K, tags */
	struct nestfd_smmuv3_id id = {
		.idr = { 0x5041b | idr0,
			 5u << 21 | 5u << 16 | 5u << 11 | 8u << 6 | 6, 0, idr3,
			 0, 0x100055 },
	};
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_SMMUV3,
		.cache = NESTFD_CACHE_HOSTILE,
		.smmuv3_id = &id,
	};
	struct nestfd_device_config device = {
		.size = sizeof(device),
		.stream_id = SID,
		.pasid_bits = 8,
		.ats = true,
		.page_requests = 1000,
		.page_response = on_response,
		.ctx = b,
	};

	memset(b, 0, sizeof(*b));
	assert_int_equal(nestfd_machine_create(&config, &b->machine), 0);
	b->memory = kit_pages(16);
	assert_int_equal(
		nestfd_memory_add(b->machine, MEMORY, b->memory, 16 * PAGE), 0);
	assert_int_equal(nestfd_device_add(b->machine, &device, &b->dev), 0);
	assert_int_equal(nestfd_iommu_irq(b->machine, on_irq, b), 0);
	put_ste(b, true, false);
	wr(b, STRTAB_BASE, 8, MEMORY + AT_STRTAB);
	wr(b, STRTAB_CFG, 4, 4);
	wr(b, CMDQ_BASE, 8, (MEMORY + AT_CMDQ) | 4);
	wr(b, EVENTQ_BASE, 8, (MEMORY + AT_EVENTQ) | 4);
	wr(b, PRIQ_BASE, 8, (MEMORY + AT_PRIQ) | 2); /* 4 requests */
	wr(b, IRQ_CTRL, 4, 7);
	wr(b, CR0, 4, CR0_ON);
	assert_int_equal(rd(b, CR0ACK), CR0_ON);
}

static void end(struct bare *b)
{
	nestfd_machine_destroy(b->machine);
	kit_pages_free(b->memory, 16);
}

static void ask(struct bare *b, uint32_t group, uint32_t pasid, uint32_t flags)
{
	struct nestfd_page_request request = {
		.size = sizeof(request),
		.iova = X | 0xabc,
		.pasid = pasid,
		.flags = flags,
		.group = group,
	};

	assert_int_equal(nestfd_page_request(b->dev, &request), 0);
}

static void command(struct bare *b, uint32_t n, uint64_t dw0, uint64_t dw1)
{
	put(b, AT_CMDQ + (n % 16) * 16, dw0);
	put(b, AT_CMDQ + (n % 16) * 16 + 8, dw1);
	wr(b, CMDQ_PROD, 4, (n + 1) % 32);
}

static void expect_heard(struct bare *b, unsigned int n, uint32_t group,
			 uint32_t pasid, unsigned int code)
{
	assert_int_equal(b->heard, n);
	assert_int_equal(b->last.group, group);
	assert_int_equal(b->last.pasid, pasid);
	assert_int_equal(b->last.code, code);
}

/* ---- records and answers ---- */

static void a_record_says_what_was_asked(void **state)
{
	static const struct {
		uint32_t flags;
		uint64_t bit;
	} bits[] = {
		{ NESTFD_PAGE_PRIV, 1ULL << 58 },
		{ NESTFD_PAGE_EXEC, 1ULL << 59 },
		{ NESTFD_PAGE_READ, 1ULL << 60 },
		{ NESTFD_PAGE_WRITE, 1ULL << 61 },
	};
	struct bare b;

	(void)state;
	begin(&b, 0, 0);
	ask(&b, 0x155, ALONE, READ | LAST);
	assert_true(word_at(&b, AT_PRIQ) == (5ULL << 60 | SID));
	assert_true(word_at(&b, AT_PRIQ + 8) == (X | 0x155));
	assert_int_equal(b.irqs, 1);
	wr(&b, PRIQ_CONS, 4, 1);
	for (uint32_t i = 0; i < 4; i++) {
		ask(&b, i, 0xa5, bits[i].flags);
		assert_true(word_at(&b, AT_PRIQ + (i + 1) % 4 * 16) ==
			    (1ULL << 63 | bits[i].bit | 0xa5ULL << 32 | SID));
		wr(&b, PRIQ_CONS, 4, (i + 2) % 8);
	}
	/* the interrupt comes when the queue was empty */
	assert_int_equal(b.irqs, 5);
	assert_int_equal(b.heard, 0);
	end(&b);
}

static void pri_resp_reaches_the_device_it_names(void **state)
{
	static const struct {
		uint64_t resp;
		unsigned int code;
	} codes[] = { { 0, 0xf }, { 1, 1 }, { 2, 0 } };
	uint32_t n = 0;
	struct bare b;

	(void)state;
	begin(&b, 0, 0);
	for (unsigned int i = 0; i < 3; i++) {
		ask(&b, 0x1ff, ALONE, READ | LAST);
		wr(&b, PRIQ_CONS, 4, i + 1);
		/* another stream, another group: not for this one */
		command(&b, n++, 0x41 | 6ULL << 32,
			codes[i].resp << 12 | 0x1ff);
		command(&b, n++, 0x41 | 5ULL << 32, codes[i].resp << 12 | 0xff);
		assert_int_equal(b.heard, i);
		command(&b, n++, 0x41 | 5ULL << 32,
			codes[i].resp << 12 | 0x1ff);
		expect_heard(&b, i + 1, 0x1ff, ALONE, codes[i].code);
	}
	/* SSV and the PASID */
	ask(&b, 3, 0xa5, READ | LAST);
	command(&b, n++, 0x841 | 0xa5 << 12 | 5ULL << 32, 2 << 12 | 3);
	expect_heard(&b, 4, 3, 0xa5, 0);
	/* 3 is reserved: CERROR_ILL */
	command(&b, n++, 0x41 | 5ULL << 32, 3 << 12 | 3);
	assert_int_equal(rd(&b, CMDQ_CONS) >> 24, 1);
	assert_int_equal(b.heard, 4);
	end(&b);
}

/* 4.5.2: then it is IGNORED, and the device waits on */
static void pri_resp_is_ignored_while_the_smmu_is_off(void **state)
{
	struct bare b;

	(void)state;
	begin(&b, 0, 0);
	ask(&b, 7, ALONE, READ | LAST);
	wr(&b, CR0, 4, CR0_ON & ~1u);
	command(&b, 0, 0x41 | 5ULL << 32, 2 << 12 | 7);
	assert_int_equal(rd(&b, CMDQ_CONS), 1);
	assert_int_equal(b.heard, 0);
	wr(&b, CR0, 4, CR0_ON);
	command(&b, 1, 0x41 | 5ULL << 32, 2 << 12 | 7);
	expect_heard(&b, 1, 7, ALONE, 0);
	end(&b);
}

/* ---- 8.1: overflow ---- */

static void an_overflow_is_flagged_once_and_answered(void **state)
{
	struct bare b;

	(void)state;
	begin(&b, 0, 0);
	for (uint32_t i = 0; i < 4; i++)
		ask(&b, i, ALONE, READ | LAST);
	assert_int_equal(rd(&b, PRIQ_PROD), 4);
	assert_int_equal(b.heard, 0);
	ask(&b, 4, ALONE, READ); /* silently ignored */
	assert_int_equal(rd(&b, PRIQ_PROD), OVFLG | 4);
	assert_int_equal(b.heard, 0);
	ask(&b, 4, ALONE, READ | LAST);
	expect_heard(&b, 1, 4, ALONE, 0);
	ask(&b, 5, ALONE, READ | LAST);
	expect_heard(&b, 2, 5, ALONE, 0);
	assert_int_equal(rd(&b, PRIQ_PROD), OVFLG | 4);
	/* room alone does not help: the overflow is still active */
	wr(&b, PRIQ_CONS, 4, 4);
	ask(&b, 6, ALONE, READ | LAST);
	expect_heard(&b, 3, 6, ALONE, 0);
	assert_int_equal(rd(&b, PRIQ_PROD), OVFLG | 4);
	wr(&b, PRIQ_CONS, 4, OVFLG | 4);
	ask(&b, 7, ALONE, READ | LAST);
	assert_int_equal(b.heard, 3);
	assert_int_equal(rd(&b, PRIQ_PROD), OVFLG | 5);
	/* the next one toggles it back */
	for (uint32_t i = 8; i < 12; i++)
		ask(&b, i, ALONE, READ | LAST);
	assert_int_equal(rd(&b, PRIQ_PROD), 0);
	expect_heard(&b, 4, 11, ALONE, 0);
	end(&b);
}

static void a_lost_stop_marker_is_not_answered(void **state)
{
	struct bare b;

	(void)state;
	begin(&b, 0, 0);
	for (uint32_t i = 0; i < 6; i++)
		ask(&b, 0, 3, LAST);
	assert_int_equal(rd(&b, PRIQ_PROD), OVFLG | 4);
	wr(&b, CR0, 4, 0xd);
	ask(&b, 0, 3, LAST);
	assert_int_equal(b.heard, 0);
	end(&b);
}

/* With a PASID: by IDR3.PPS, else by STE.PPAR */
static void what_an_automatic_answer_names(void **state)
{
	struct bare b;

	(void)state;
	for (unsigned int how = 0; how < 6; how++) {
		bool pps = how & 1;
		unsigned int ste = how / 2; /* none valid, PPAR 0, PPAR 1 */
		bool same = pps || ste == 2;
		bool bad = !pps && !ste;

		begin(&b, 0, pps ? 1u << 5 : 0);
		put_ste(&b, ste, ste == 2);
		for (uint32_t i = 0; i < 4; i++)
			ask(&b, 0, ALONE, READ);
		ask(&b, 9, 0x42, READ | LAST);
		expect_heard(&b, 1, 9, same ? 0x42 : ALONE, bad ? 0xf : 0);
		/* without REC_CFG_ATS nothing is recorded of it */
		assert_int_equal(rd(&b, EVENTQ_PROD), 0);
		end(&b);
	}
}

/* CR2: RECINVSID 2, REC_CFG_ATS 8; IDR0.ATSRECERR is bit 23 */
static void a_bad_ste_is_recorded_if_asked_for(void **state)
{
	struct bare b;

	(void)state;
	for (unsigned int how = 0; how < 4; how++) {
		bool beyond = how & 1; /* the stream table has but 4 entries */
		bool asked = how & 2;

		begin(&b, 1u << 23, 0);
		put_ste(&b, false, false);
		wr(&b, CR0, 4, 0);
		wr(&b, CR2, 4, asked ? 0xa : 2);
		if (beyond)
			wr(&b, STRTAB_CFG, 4, 2);
		wr(&b, CR0, 4, CR0_ON);
		for (uint32_t i = 0; i < 4; i++)
			ask(&b, 0, ALONE, READ);
		ask(&b, 9, 0x42, READ | LAST);
		expect_heard(&b, 1, 9, ALONE, 0xf);
		assert_int_equal(rd(&b, EVENTQ_PROD), asked);
		if (asked)
			assert_int_equal(word_at(&b, AT_EVENTQ) & 0xff,
					 beyond ? 0x02 : 0x04);
		end(&b);
	}
}

/* PRIQ_IRQ_CFG2.LO is bit 31: the interrupt is for Last, even a lost one. */
static void the_interrupt_may_be_for_last_requests_only(void **state)
{
	struct bare b;

	(void)state;
	begin(&b, 1u << 13, 0); /* MSI: there is a CFG2 */
	wr(&b, IRQ_CTRL, 4, 0);
	wr(&b, 0xdc, 4, 0x80000000);
	wr(&b, IRQ_CTRL, 4, 7);
	ask(&b, 0, ALONE, READ);
	assert_int_equal(b.irqs, 0);
	ask(&b, 0, ALONE, READ | LAST);
	assert_int_equal(b.irqs, 1);
	ask(&b, 1, ALONE, READ);
	ask(&b, 1, ALONE, READ);
	ask(&b, 1, ALONE, READ);
	assert_int_equal(b.irqs, 1);
	ask(&b, 1, ALONE, READ | LAST);
	assert_int_equal(b.irqs, 2);
	end(&b);
}

/* ---- 8.2 ---- */

static void a_queue_that_is_off_fails_everything(void **state)
{
	/* PRIQEN off; SMMUEN off, which implies it */
	static const uint32_t off[] = { 0xd, 0xe };
	struct bare b;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		begin(&b, 0, 1u << 5);
		wr(&b, CR0, 4, off[i]);
		ask(&b, 1, ALONE, READ); /* not only the last */
		expect_heard(&b, 1, 1, ALONE, 0xf);
		ask(&b, 2, 0x42, READ | LAST);
		expect_heard(&b, 2, 2, ALONE, 0xf); /* never a PASID */
		assert_int_equal(rd(&b, PRIQ_PROD), 0);
		end(&b);
	}
}

/* GERROR.PRIQ_ABT is bit 3 */
static void a_write_that_aborts_fails_it_until_acknowledged(void **state)
{
	struct bare b;

	(void)state;
	begin(&b, 0, 0);
	wr(&b, CR0, 4, 0xd);
	wr(&b, PRIQ_BASE, 8, 0x200000000 | 2); /* no memory */
	wr(&b, CR0, 4, CR0_ON);
	ask(&b, 1, ALONE, READ);
	expect_heard(&b, 1, 1, ALONE, 0xf);
	assert_int_equal(rd(&b, GERROR), 8);
	assert_int_equal(rd(&b, PRIQ_PROD), 0);
	ask(&b, 2, 0x42, READ | LAST);
	expect_heard(&b, 2, 2, ALONE, 0xf);
	assert_int_equal(rd(&b, GERROR), 8);
	wr(&b, CR0, 4, 0xd);
	wr(&b, PRIQ_BASE, 8, (MEMORY + AT_PRIQ) | 2);
	wr(&b, CR0, 4, CR0_ON);
	ask(&b, 3, ALONE, READ | LAST);
	expect_heard(&b, 3, 3, ALONE, 0xf); /* still active */
	wr(&b, GERRORN, 4, 8);
	ask(&b, 4, ALONE, READ | LAST);
	assert_int_equal(b.heard, 3);
	assert_int_equal(rd(&b, PRIQ_PROD), 1);
	end(&b);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_says_what_was_asked),
		cmocka_unit_test(pri_resp_reaches_the_device_it_names),
		cmocka_unit_test(pri_resp_is_ignored_while_the_smmu_is_off),
		cmocka_unit_test(an_overflow_is_flagged_once_and_answered),
		cmocka_unit_test(a_lost_stop_marker_is_not_answered),
		cmocka_unit_test(what_an_automatic_answer_names),
		cmocka_unit_test(a_bad_ste_is_recorded_if_asked_for),
		cmocka_unit_test(the_interrupt_may_be_for_last_requests_only),
		cmocka_unit_test(a_queue_that_is_off_fails_everything),
		cmocka_unit_test(
			a_write_that_aborts_fails_it_until_acknowledged),
	};

	return RUN(tests, argc, argv);
}
