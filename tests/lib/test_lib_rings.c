// SPDX-License-Identifier: MIT
/*
 * Queues consumed in place (NESTFD_HWPT_INVALIDATE_RING) of each architecture,
 * from the ioctl to the hardware: what has been forgotten is read from its
 * cache, and has to be just what stood between cons and prod. An SMMUv3's are
 * the guest's own commands on a vIOMMU, VT-d's the ABI's entries on a nested
 * HWPT, shorter or with room for a code.
 */
#include "kit.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <string.h>
#include <sys/mman.h>

#include <nestfd/ext.h>

#include "guest.h"

#define X	  0x7654000ULL
#define SLOTS_MAX 1024u
#define QUEUE_MAX 8u /* pages */
#define SOURCE_ID 0x100u
#define NO_CODE	  0u
#define VALID	  0x80000000u

struct kind {
	const char *name;
	enum nestfd_arch arch;
	uint32_t type;
	uint32_t len;
	uint32_t bad_code;  /* of an entry with a bit that it has not */
	uint32_t ill_code;  /* of one that the hardware refuses */
	uint32_t dead_code; /* of one for a dead unit */
	const char *ill;
};

static const struct kind kinds[] = {
	{ "SMMUv3", NESTFD_ARCH_SMMUV3, 1, 16, VALID | 0x100, VALID | 1,
	  VALID | 2, "ill:op=0x12,n=1" },
	{ "VT-d", NESTFD_ARCH_VTD, 0, 24, NO_CODE, NO_CODE, NO_CODE,
	  "ill:op=6,n=1" },
	{ "VT-d, with codes", NESTFD_ARCH_VTD, 0, 32, NO_CODE, NO_CODE, NO_CODE,
	  "ill:op=6,n=1" },
};
#define KINDS	   (sizeof(kinds) / sizeof(kinds[0]))
#define WITH_CODES (&kinds[2])

struct world {
	struct host host; /* first: the checker's ctx is the host */
	unsigned int stale;
	struct guest g;
	const struct kind *kind;
	uint32_t id; /* whom entries are for */
	unsigned char *queue;
	uint32_t cons;
	struct nestfd_hwpt_invalidate_ring arg;
	bool cached[SLOTS_MAX]; /* page n, that entry n is of */
};

static void count_stale(void *ctx, const struct nestfd_stale *stale)
{
	struct world *w = ctx;

	(void)stale;
	w->stale++;
}

static void world_start(struct world *w, const struct kind *kind, bool ats)
{
	struct nestfd_ext_enable ext = { .size = 16, .features = 3 };

	*w = (struct world){
		.host = { .arch = kind->arch,
			  .cache = NESTFD_CACHE_HOSTILE,
			  .guests = 1,
			  .ats = ats,
			  .atc_window_ms = NESTFD_NO_WINDOW,
			  .stale = count_stale },
		.kind = kind,
	};
	assert_int_equal(host_start(&w->host), 0);
	assert_int_equal(guest_start(&w->g, &w->host, 0, 1), 0);
	assert_int_equal(nestfd_ioctl(w->host.ctx, NESTFD_EXT_ENABLE, &ext), 0);
	w->id = kind->arch == NESTFD_ARCH_VTD ? w->g.pt_id
					      : kit_find_viommu(w->host.ctx, 0);
	w->queue = kit_pages(QUEUE_MAX);
	guest_map_many(&w->g, X, guest_page(&w->g, 0), SLOTS_MAX);
}

static void world_stop(struct world *w)
{
	kit_pages_free(w->queue, QUEUE_MAX);
	guest_stop(&w->g);
	host_stop(&w->host);
}

/* Word @n of entry @slot */
static uint64_t *word(struct world *w, uint32_t slot, unsigned int n)
{
	return (uint64_t *)(w->queue + (size_t)slot * w->kind->len) + n;
}

/* Entry @slot forgets page @slot */
static void put_entry(struct world *w, uint32_t slot)
{
	uint64_t iova = X + slot * PAGE;

	memset(word(w, slot, 0), 0, w->kind->len);
	if (w->kind->arch == NESTFD_ARCH_SMMUV3) {
		*word(w, slot, 0) = guest_tlbi_va_0(&w->g);
		*word(w, slot, 1) = guest_tlbi_va_1(iova);
		return;
	}
	*word(w, slot, 0) = iova;
	*word(w, slot, 1) = 1;
}

/* A bit that must be 0: of the command, or of the flags */
static void spoil_entry(struct world *w, uint32_t slot)
{
	if (w->kind->arch == NESTFD_ARCH_SMMUV3)
		*word(w, slot, 0) |= 0x100;
	else
		*word(w, slot, 2) |= 2;
}

static void queue_of(struct world *w, uint32_t bits, uint32_t num)
{
	w->arg = (struct nestfd_hwpt_invalidate_ring){
		.size = 56,
		.hwpt_id = w->id,
		.q_uptr = (uintptr_t)w->queue,
		.q_cons_uptr = (uintptr_t)&w->cons,
		.q_index_bits = bits,
		.q_entry_num = num,
		.q_entry_len = w->kind->len,
		.data_type = w->kind->type,
	};
	for (uint32_t i = 0; i < num; i++)
		put_entry(w, i);
}

static int consume(struct world *w, uint32_t cons, uint32_t prod)
{
	w->cons = cons;
	w->arg.q_prod = prod;
	w->arg.out_error = 0;
	w->arg.out_error_info = 0;
	return nestfd_ioctl(w->host.ctx, NESTFD_HWPT_INVALIDATE_RING, &w->arg);
}

/* The device uses the first @n pages: all of them are cached now. */
static void use_pages(struct world *w, uint32_t n)
{
	uint64_t value;

	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(kit_read(w->g.dev, X + i * PAGE, &value), 0);
}

static void note_cached(void *ctx, const struct nestfd_cache_entry *entry)
{
	struct world *w = ctx;

	if (entry->kind == 1 && entry->iova >= X)
		w->cached[(entry->iova - X) / PAGE % SLOTS_MAX] = true;
}

/* Of @num pages just @n from @slot on, and on from page 0, are forgotten. */
static void expect_forgotten(struct world *w, uint32_t num, uint32_t slot,
			     uint32_t n)
{
	memset(w->cached, 0, sizeof(w->cached));
	nestfd_iommu_entries(w->host.machine, note_cached, w);
	for (uint32_t i = 0; i < num; i++) {
		bool gone = (i + num - slot) % num < n;

		if (w->cached[i] == gone)
			fail_msg("%s: page %u of [%u, +%u) of %u is %s",
				 w->kind->name, i, slot, n, num,
				 gone ? "cached" : "forgotten");
	}
}

static void expect_code(const struct world *w, uint32_t code, uint32_t info)
{
	assert_int_equal(w->arg.out_error, code);
	assert_int_equal(w->arg.out_error_info, info);
}

static void inject(struct world *w, const char *text)
{
	struct nestfd_fault fault;

	assert_int_equal(nestfd_inject_parse(text, &fault), 0);
	assert_int_equal(nestfd_inject(w->host.machine, &fault), 0);
}

/* ---- of each kind ---- */

static void consumes_the_pinned_example(struct world *w)
{
	queue_of(w, 4, 0x10);
	use_pages(w, 16);
	assert_int_equal(consume(w, 0x0f, 0x11), 0);
	assert_int_equal(w->cons, 0x11);
	expect_forgotten(w, 16, 0xf, 2);
	expect_code(w, NO_CODE, 0);
	use_pages(w, 16);
	assert_int_equal(consume(w, 0x1f, 0x01), 0); /* the other wrap flag */
	assert_int_equal(w->cons, 0x01);
	expect_forgotten(w, 16, 0xf, 2);
}

/* Indices of two bits and a wrap flag: pending is prod - cons, at most 4 */
static void consumes_every_pair_of_indices(struct world *w)
{
	queue_of(w, 2, 4);
	for (uint32_t cons = 0; cons < 8; cons++) {
		for (uint32_t prod = 0; prod < 8; prod++) {
			uint32_t n = (prod + 8 - cons) % 8;
			bool good = n <= 4;

			use_pages(w, 4);
			assert_int_equal(consume(w, cons, prod),
					 good ? 0 : -EINVAL);
			assert_int_equal(w->cons, good ? prod : cons);
			expect_forgotten(w, 4, cons % 4, good ? n : 0);
		}
	}
}

static void consumes_flat_arrays(struct world *w)
{
	queue_of(w, 2, 3);
	for (uint32_t cons = 0; cons < 8; cons++) {
		for (uint32_t prod = 0; prod < 8; prod++) {
			bool good = cons <= prod && prod <= 3;

			use_pages(w, 3);
			assert_int_equal(consume(w, cons, prod),
					 good ? 0 : -EINVAL);
			assert_int_equal(w->cons, good ? prod : cons);
			expect_forgotten(w, 3, cons % 3,
					 good ? prod - cons : 0);
		}
	}
}

static void answers_probes(struct world *w)
{
	queue_of(w, 2, 4);
	assert_int_equal(consume(w, 5, 5), 0);
	w->arg.data_type ^= 1;
	assert_int_equal(consume(w, 5, 5), -EINVAL);
	assert_int_equal(consume(w, 5, 6), -EINVAL);
	w->arg.data_type = 99;
	assert_int_equal(consume(w, 5, 5), -EINVAL);
	assert_int_equal(w->cons, 5);
}

/* Wherever it is, what precedes it is done, and nothing behind it. */
static void stops_at_a_bad_entry(struct world *w)
{
	queue_of(w, 3, 8);
	for (uint32_t cons = 0; cons < 16; cons++) {
		for (uint32_t at = 0; at < 8; at++) {
			uint32_t slot = (cons + at) % 8;

			put_entry(w, slot);
			spoil_entry(w, slot);
			use_pages(w, 8);
			assert_int_equal(consume(w, cons, (cons + 8) % 16),
					 -EOPNOTSUPP);
			assert_int_equal(w->cons, (cons + at) % 16);
			expect_forgotten(w, 8, cons % 8, at);
			expect_code(w, w->kind->bad_code,
				    w->kind->bad_code ? 0x12 : 0);
			put_entry(w, slot);
		}
	}
}

/* More than is carried out at once, with the end of the queue in between */
static void consumes_a_long_queue(struct world *w)
{
	static const uint32_t bad[] = { 1,   23,  24,  25,  63,	 64,  127,
					128, 129, 511, 512, 513, 1023 };
	const uint32_t cons = 1000;

	queue_of(w, 10, 1024);
	use_pages(w, 1024);
	assert_int_equal(consume(w, cons, (cons + 1024) % 2048), 0);
	assert_int_equal(w->cons, (cons + 1024) % 2048);
	expect_forgotten(w, 1024, cons, 1024);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint32_t slot = (cons + bad[i]) % 1024;

		spoil_entry(w, slot);
		use_pages(w, 1024);
		assert_int_equal(consume(w, cons, (cons + 1024) % 2048),
				 -EOPNOTSUPP);
		assert_int_equal(w->cons, (cons + bad[i]) % 2048);
		expect_forgotten(w, 1024, cons, bad[i]);
		put_entry(w, slot);
	}
}

/* The last entries of the round are there, the first of the next are not */
static void stops_at_missing_memory(struct world *w)
{
	uint32_t in_page = PAGE / w->kind->len; /* whole ones */
	void *lost = w->queue;
	uint32_t n;

	queue_of(w, 10, 1024);
	use_pages(w, 1024);
	assert_int_equal(mprotect(lost, PAGE, PROT_NONE), 0);
	assert_int_equal(consume(w, 1022, 1030), -EFAULT);
	assert_int_equal(w->cons, 1024);
	expect_forgotten(w, 1024, 1022, 2);
	expect_code(w, NO_CODE, 0);
	assert_int_equal(mprotect(lost, PAGE, PROT_READ | PROT_WRITE), 0);
	/* and the other way round: the first page is there, no more */
	lost = w->queue + PAGE;
	use_pages(w, 1024);
	assert_int_equal(mprotect(lost, PAGE, PROT_NONE), 0);
	n = in_page + 2;
	assert_int_equal(consume(w, 1022, 1024 + n + 10), -EFAULT);
	assert_int_equal(w->cons, 1024 + in_page);
	expect_forgotten(w, 1024, 1022, n);
	assert_int_equal(mprotect(lost, PAGE, PROT_READ | PROT_WRITE), 0);
}

static void names_what_hardware_refuses(struct world *w)
{
	queue_of(w, 4, 16);
	use_pages(w, 16);
	inject(w, w->kind->ill);
	assert_int_equal(consume(w, 0x0f, 0x11), -EIO);
	assert_int_equal(w->cons, 0x0f);
	expect_code(w, w->kind->ill_code, 0);
	expect_forgotten(w, 16, 0, 0);
	assert_int_equal(consume(w, w->cons, 0x11), 0);
	expect_forgotten(w, 16, 0xf, 2);
}

static void says_that_a_unit_is_dead(struct world *w)
{
	queue_of(w, 4, 16);
	inject(w, "abt");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(consume(w, 0x1f, 0x01), -EIO);
		assert_int_equal(w->cons, 0x1f);
		expect_code(w, w->kind->dead_code, 0);
	}
}

#define EACH_KIND(what)                                    \
	static void each_##what(void **state)              \
	{                                                  \
		(void)state;                               \
		for (size_t i = 0; i < KINDS; i++) {       \
			struct world w;                    \
                                                           \
			world_start(&w, &kinds[i], false); \
			what(&w);                          \
			assert_int_equal(w.stale, 0);      \
			world_stop(&w);                    \
		}                                          \
	}

EACH_KIND(consumes_the_pinned_example)
EACH_KIND(consumes_every_pair_of_indices)
EACH_KIND(consumes_flat_arrays)
EACH_KIND(answers_probes)
EACH_KIND(stops_at_a_bad_entry)
EACH_KIND(consumes_a_long_queue)
EACH_KIND(stops_at_missing_memory)
EACH_KIND(names_what_hardware_refuses)
EACH_KIND(says_that_a_unit_is_dead)

/* ---- codes of VT-d's entries ---- */

/* hw_error and hw_error_info of entry @slot, the code low */
static uint64_t answer_in(struct world *w, uint32_t slot)
{
	return *word(w, slot, 3);
}

#define ICE (1ULL | (uint64_t)SOURCE_ID << 32)
#define ITE (2ULL | (uint64_t)SOURCE_ID << 32)

static void vtd_a_silent_device_stops_at_the_entry(void **state)
{
	struct world w;

	(void)state;
	for (uint32_t at = 0; at < 2; at++) {
		uint32_t slot = at ? 0x0 : 0xf;

		world_start(&w, WITH_CODES, true);
		queue_of(&w, 4, 16);
		if (at)
			*word(&w, 0xf, 1) = 0; /* no pages: asks nobody */
		use_pages(&w, 16);
		inject(&w, "atc-timeout");
		assert_int_equal(consume(&w, 0x0f, 0x12), -ETIMEDOUT);
		assert_int_equal(w.cons, 0x0f + at);
		expect_code(&w, VALID | 2, SOURCE_ID);
		for (uint32_t i = 0; i < 16; i++)
			assert_int_equal(answer_in(&w, i), i == slot ? ITE : 0);
		/* as long as it stands there, it is no entry */
		assert_int_equal(consume(&w, w.cons, 0x12), -E2BIG);
		assert_int_equal(w.cons, 0x0f + at);
		expect_code(&w, NO_CODE, 0);
		world_stop(&w);
	}
}

static void vtd_a_device_that_answers_again_loses_nothing(void **state)
{
	struct world w;

	(void)state;
	world_start(&w, WITH_CODES, true);
	queue_of(&w, 4, 16);
	use_pages(&w, 16);
	inject(&w, "atc-timeout:n=1");
	assert_int_equal(consume(&w, 0x0f, 0x10), -ETIMEDOUT);
	assert_int_equal(w.cons, 0x0f);
	*word(&w, 0xf, 3) = 0;
	assert_int_equal(consume(&w, 0x0f, 0x12), 0);
	assert_int_equal(w.cons, 0x12);
	expect_forgotten(&w, 16, 0xf, 3);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(answer_in(&w, i), 0);
	world_stop(&w);
}

static void vtd_invalid_answers_are_in_the_entries(void **state)
{
	struct world w;

	(void)state;
	world_start(&w, WITH_CODES, true);
	queue_of(&w, 4, 16);
	use_pages(&w, 16);
	inject(&w, "atc-bad");
	assert_int_equal(consume(&w, 0x1e, 0x03), 0);
	assert_int_equal(w.cons, 0x03);
	expect_code(&w, NO_CODE, 0);
	expect_forgotten(&w, 16, 0xe, 5);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(answer_in(&w, i), (i + 2) % 16 < 5 ? ICE : 0);
	world_stop(&w);
}

/* Of 24 bytes: the code is the ioctl's alone, and no neighbour is written */
static void vtd_short_entries_have_no_room_for_codes(void **state)
{
	const struct kind *kind = &kinds[1];
	unsigned char before[16 * 24];
	struct world w;

	(void)state;
	world_start(&w, kind, true);
	queue_of(&w, 4, 16);
	memcpy(before, w.queue, sizeof(before));
	use_pages(&w, 16);
	inject(&w, "atc-bad:n=1");
	assert_int_equal(consume(&w, 0x0f, 0x10), 0);
	inject(&w, "atc-timeout");
	assert_int_equal(consume(&w, 0x0f, 0x11), -ETIMEDOUT);
	assert_int_equal(w.cons, 0x0f);
	expect_code(&w, VALID | 2, SOURCE_ID);
	assert_memory_equal(w.queue, before, sizeof(before));
	world_stop(&w);
}

/* An entry whose answer cannot be written is carried out all the same. */
static void vtd_a_queue_may_be_read_only(void **state)
{
	struct world w;

	(void)state;
	world_start(&w, WITH_CODES, true);
	queue_of(&w, 4, 16);
	use_pages(&w, 16);
	assert_int_equal(mprotect(w.queue, PAGE, PROT_READ), 0);
	inject(&w, "atc-bad");
	assert_int_equal(consume(&w, 0x0f, 0x11), 0);
	assert_int_equal(w.cons, 0x11);
	expect_forgotten(&w, 16, 0xf, 2);
	world_stop(&w);

	world_start(&w, WITH_CODES, true);
	queue_of(&w, 4, 16);
	assert_int_equal(mprotect(w.queue, PAGE, PROT_READ), 0);
	inject(&w, "atc-timeout");
	assert_int_equal(consume(&w, 0x0f, 0x11), -ETIMEDOUT);
	assert_int_equal(w.cons, 0x0f);
	expect_code(&w, VALID | 2, SOURCE_ID);
	world_stop(&w);
}

static void vtd_each_reserved_bit_stops_a_queue(void **state)
{
	struct world w;

	(void)state;
	world_start(&w, WITH_CODES, false);
	queue_of(&w, 4, 16);
	for (unsigned int bit = 1; bit < 128; bit++) {
		int want = bit < 64 ? -EOPNOTSUPP : -E2BIG;

		*word(&w, 0, 2 + bit / 64) = 1ULL << bit % 64;
		use_pages(&w, 16);
		assert_int_equal(consume(&w, 0x0f, 0x12), want);
		assert_int_equal(w.cons, 0x10);
		expect_forgotten(&w, 16, 0xf, 1);
		put_entry(&w, 0);
	}
	*word(&w, 0, 2) = 1; /* a leaf alone */
	assert_int_equal(consume(&w, 0x0f, 0x12), 0);
	for (unsigned int bit = 0; bit < 12; bit++) {
		*word(&w, 0, 0) = X | 1ULL << bit;
		assert_int_equal(consume(&w, 0x0f, 0x12), -EINVAL);
		assert_int_equal(w.cons, 0x10);
	}
	world_stop(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_consumes_the_pinned_example),
		cmocka_unit_test(each_consumes_every_pair_of_indices),
		cmocka_unit_test(each_consumes_flat_arrays),
		cmocka_unit_test(each_answers_probes),
		cmocka_unit_test(each_stops_at_a_bad_entry),
		cmocka_unit_test(each_consumes_a_long_queue),
		cmocka_unit_test(each_stops_at_missing_memory),
		cmocka_unit_test(each_names_what_hardware_refuses),
		cmocka_unit_test(each_says_that_a_unit_is_dead),
		cmocka_unit_test(vtd_a_silent_device_stops_at_the_entry),
		cmocka_unit_test(vtd_a_device_that_answers_again_loses_nothing),
		cmocka_unit_test(vtd_invalid_answers_are_in_the_entries),
		cmocka_unit_test(vtd_short_entries_have_no_room_for_codes),
		cmocka_unit_test(vtd_a_queue_may_be_read_only),
		cmocka_unit_test(vtd_each_reserved_bit_stops_a_queue),
	};

	return RUN(tests, argc, argv);
}
