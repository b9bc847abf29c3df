// SPDX-License-Identifier: MIT
/*
 * CFGI commands over many devices: only those that have something cached are
 * looked at, and none that has is missed, whoever comes and goes meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nestfd/model.h>

#define RAM	   0x40000000ULL
#define SIZE	   0x100000ULL
#define CMDQ	   RAM		   /* 16 commands */
#define STRTAB	   (RAM + 0x10000) /* 256 STEs of 64 bytes, linear */
#define DEVICES	   200u

#define STE_ABORT  0x1ULL /* V, Config 0b000 */
#define STE_BYPASS 0x9ULL /* V, Config 0b100 */

struct bed {
	struct nestfd_machine *machine;
	struct nestfd_device *dev[DEVICES];
	uint64_t *ram;
};

static void set(struct bed *b, uint32_t reg, unsigned int bytes, uint64_t value)
{
	nestfd_iommu_write(b->machine, reg, bytes, value);
}

static void add(struct bed *b, uint32_t sid)
{
	struct nestfd_device_config dc = {
		.size = sizeof(dc),
		.stream_id = sid,
	};

	assert_int_equal(nestfd_device_add(b->machine, &dc, &b->dev[sid]), 0);
}

static void run(struct bed *b, uint64_t dw0, uint64_t dw1)
{
	uint32_t prod = (uint32_t)nestfd_iommu_read(b->machine, 0x98, 4);
	uint64_t *cmd = b->ram + (prod % 16) * 2;

	cmd[0] = dw0;
	cmd[1] = dw1;
	set(b, 0x98, 4, (prod + 1) % 32);
	assert_int_equal(nestfd_iommu_read(b->machine, 0x9c, 4),
			 (prod + 1) % 32);
}

static void cfgi_all(struct bed *b)
{
	run(b, 0x04, 31);
}

/* 2^(range + 1) streams from @sid */
static void cfgi_range(struct bed *b, uint64_t sid, unsigned int range)
{
	run(b, 0x04 | sid << 32, range);
}

static void configure(struct bed *b, uint32_t sid, uint64_t word)
{
	b->ram[(STRTAB - RAM + sid * 64) / 8] = word;
}

static void configure_all(struct bed *b, uint64_t word)
{
	for (uint32_t sid = 0; sid < DEVICES; sid++)
		configure(b, sid, word);
}

static bool passes(struct bed *b, uint32_t sid)
{
	struct nestfd_translation tr = { .size = sizeof(tr) };

	assert_int_equal(
		nestfd_translate(b->dev[sid], 0x1000, NESTFD_NO_PASID, 0, &tr),
		0);
	return tr.result == NESTFD_BYPASSED;
}

static void expect(struct bed *b, uint32_t first, uint32_t last, bool pass)
{
	for (uint32_t sid = first; sid <= last; sid++)
		assert_int_equal(passes(b, sid), pass);
}

static int setup(void **state)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_SMMUV3,
	};
	struct bed *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->ram = aligned_alloc(4096, SIZE);
	assert_non_null(b->ram);
	memset(b->ram, 0, SIZE);
	assert_int_equal(nestfd_machine_create(&config, &b->machine), 0);
	assert_int_equal(nestfd_memory_add(b->machine, RAM, b->ram, SIZE), 0);
	for (uint32_t sid = 0; sid < DEVICES; sid++)
		add(b, sid);
	configure_all(b, STE_BYPASS);
	set(b, 0x80, 8, STRTAB);   /* STRTAB_BASE */
	set(b, 0x88, 4, 8);	   /* LOG2SIZE */
	set(b, 0x90, 8, CMDQ | 4); /* CMDQ_BASE */
	set(b, 0x20, 4, 9);	   /* CR0: CMDQEN, SMMUEN */
	cfgi_all(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	nestfd_machine_destroy(b->machine);
	free(b->ram);
	free(b);
	return 0;
}

static void what_is_cached_of_each_stays_until_it_is_named(void **state)
{
	struct bed *b = *state;

	expect(b, 0, DEVICES - 1, true);
	configure_all(b, STE_ABORT);
	expect(b, 0, DEVICES - 1, true);
	cfgi_range(b, 64, 5); /* 64 to 127 */
	expect(b, 0, 63, true);
	expect(b, 64, 127, false);
	expect(b, 128, DEVICES - 1, true);
	run(b, 0x03 | 199ULL << 32, 1);
	assert_false(passes(b, 199));
	assert_true(passes(b, 198));
	cfgi_all(b);
	expect(b, 0, DEVICES - 1, false);
}

static void what_is_read_anew_is_dropped_anew(void **state)
{
	struct bed *b = *state;

	for (uint32_t sid = 0; sid < DEVICES; sid++) {
		for (int n = 0; n < 3; n++) {
			configure(b, sid, n & 1 ? STE_ABORT : STE_BYPASS);
			cfgi_range(b, sid & ~31u, 4);
			assert_int_equal(passes(b, sid), !(n & 1));
		}
	}
}

static void those_that_come_and_go_move_nobody_out_of_reach(void **state)
{
	static const uint32_t gone[] = { 0, 1, 63, 64, 65, 127, 128, 199 };
	struct bed *b = *state;

	for (size_t n = 0; n < sizeof(gone) / sizeof(gone[0]); n++) {
		cfgi_all(b); /* nobody has anything */
		configure_all(b, STE_BYPASS);
		assert_true(passes(b, 70));
		assert_true(passes(b, 190));
		nestfd_device_remove(b->dev[gone[n]]);
		configure_all(b, STE_ABORT);
		cfgi_all(b);
		assert_false(passes(b, 70));
		assert_false(passes(b, 190));

		cfgi_all(b);
		configure_all(b, STE_BYPASS);
		assert_true(passes(b, 70));
		add(b, gone[n]);
		assert_true(passes(b, gone[n]));
		configure_all(b, STE_ABORT);
		cfgi_all(b);
		assert_false(passes(b, 70));
		assert_false(passes(b, gone[n]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_is_cached_of_each_stays_until_it_is_named, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			what_is_read_anew_is_dropped_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(
			those_that_come_and_go_move_nobody_out_of_reach, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
