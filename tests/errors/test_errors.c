// SPDX-License-Identifier: MIT
/*
 * Every command at every place of a batch, while something is wrong: what the
 * ioctl answers, where the guest's queue stops and why, and what is cached
 * afterwards, are what the small model says.
 *
 *	test_errors [FILTER [SEEDS [OPCODE]]]
 *
 * FILTER: of tests' names; SEEDS: how many random spans; OPCODE: of the illegal
 * commands, only with what hardware knows by it. The same tables, through the
 * fds of a program (host_fd.c), are errors_through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "bed.h"
#include "cases.h"

#define GERROR	  0x60
#define GERRORN	  0x64
#define CMDQ_PROD 0x98
#define CMDQ_CONS 0x9c
#define INDICES	  ((2u << CMDQ_LG2) - 1)

static const char *const ways[WAYS] = { "array", "ring", "guest, arrays",
					"guest, ring" };
static const char *const faults[FAULTS] = {
	"nothing",  "ill",	 "atc-timeout", "abt:n=3", "gone",
	"atc-late", "slow-sync", "abt",		"hole",
};

static struct span span;
static struct bed the_bed;
static bool made; /* it has not ended */
static unsigned int cases;
static unsigned int seeds = 1200;
static int only_op = -1; /* of what is illegal */

static void __attribute__((format(printf, 3, 4)))
wrong(enum way way, uint32_t first, const char *format, ...)
{
	char text[200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fail_msg("%s: %s (%#llx) at %u of %u from slot %u, %s wrong: %s",
		 ways[way], target_name(span.target),
		 (unsigned long long)span.cmds[span.at % CASE_MAX][0], span.at,
		 span.n, first, faults[span.fault.kind], text);
}

static void make(enum way way)
{
	bed_make(&the_bed, way);
	made = true;
}

static void end(void)
{
	made = false;
	bed_end(&the_bed);
}

/* What a test that failed leaves behind is in the next one's way. */
static int end_what_is_left(void **state)
{
	(void)state;
	if (made)
		end();
	return 0;
}

static void all_held(struct caches *caches)
{
	memset(caches, 0, sizeof(*caches));
	for (unsigned int d = 0; d < DEVICES; d++) {
		for (unsigned int n = 0; n < PAGES; n++) {
			caches->tlb[d][n] = HELD;
			caches->atc[d][n] = HELD;
		}
	}
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* What answers late has been waited for; @took: microseconds */
static void waited(enum way way, uint32_t first, const struct caches *caches,
		   uint64_t took)
{
	uint64_t least = 0;

	if (span.fault.kind == FAULT_LATE && caches->asked)
		least = LATE_US;
	if (span.fault.kind == FAULT_SLOW && caches->sent)
		least = SLOW_US;
	if (took < least)
		wrong(way, first, "done in %u us of %u", (unsigned int)took,
		      (unsigned int)least);
}

static void run_ioctl(enum way way, uint32_t first)
{
	struct answer want, got;
	struct caches caches;
	const char *text;
	uint64_t took;

	make(way);
	all_held(&caches);
	bed_break(&the_bed, &span.fault);
	took = now_us();
	bed_ioctl(&the_bed, span.cmds, span.n, first, &got);
	took = now_us() - took;
	bed_mend(&the_bed);
	(way == WAY_RING ? model_ring : model_array)(
		span.cmds, span.n, &span.fault, &caches, &want);
	if (memcmp(&want, &got, sizeof(got)))
		wrong(way, first,
		      "rc %d, done %u, code %#x, info %#x instead of "
		      "%d, %u, %#x, %#x",
		      got.rc, got.done, got.code, got.info, want.rc, want.done,
		      want.code, want.info);
	waited(way, first, &caches, took);
	text = bed_compare(&the_bed, &caches, &span.fault, want.code == 2);
	if (text)
		wrong(way, first, "%s", text);
	end();
}

/*
 * What another CPU reads while the interrupt is raised: the queue has stopped,
 * CONS and ERR say where and why, GERROR has changed, all of it before (7.1).
 */
static void told(struct bed *bed, uint32_t first, uint32_t cons, bool active)
{
	struct seen seen = bed_seen(bed);

	if (seen.times != active)
		wrong(bed->way, first, "%u interrupts", seen.times);
	if (active &&
	    (seen.cons != cons || !((seen.gerror ^ seen.gerrorn) & 1)))
		wrong(bed->way, first,
		      "CONS %#x, GERROR %#x, GERRORN %#x at the interrupt",
		      seen.cons, seen.gerror, seen.gerrorn);
}

/* Registers against the model; true if it has stopped */
static bool stopped(struct bed *bed, uint32_t first, const struct queue *queue)
{
	uint32_t cons = bed_reg(bed, CMDQ_CONS);
	bool active = (bed_reg(bed, GERROR) ^ bed_reg(bed, GERRORN)) & 1;

	if ((cons & 0xfffff) != ((first + queue->cons) & INDICES) ||
	    active != !!queue->err ||
	    (active && (cons >> 24 & 0x7f) != queue->err))
		wrong(bed->way, first,
		      "CONS %u, ERR %u, error %d instead of %u, %u, %d",
		      ((cons & 0xfffff) - first) & INDICES, cons >> 24 & 0x7f,
		      active, queue->cons, queue->err, !!queue->err);
	told(bed, first, cons, active);
	return active;
}

static void doorbell(struct bed *bed, uint32_t first, uint32_t n)
{
	bed->prod = (first + n) & INDICES;
	bed_set_reg(bed, CMDQ_PROD, bed->prod);
}

/* PROD may move while the queue is stopped, and that is all. */
static void doorbell_at_rest(struct bed *bed, uint32_t first, uint32_t n)
{
	uint32_t cons = bed_reg(bed, CMDQ_CONS);

	doorbell(bed, first, n);
	if (bed_reg(bed, CMDQ_CONS) != cons || bed_seen(bed).times)
		wrong(bed->way, first, "it does not rest at CONS %#x", cons);
}

/* The page of the target, as far as it is the span's */
static void make_hole(struct bed *bed, uint32_t first)
{
	uint32_t before = (first + span.at) & (PAGE_COMMANDS - 1);

	bed_hole(bed, first, span.at);
	span.fault.hole = span.at > before ? span.at - before : 0;
	span.fault.hole_end = span.at - before + PAGE_COMMANDS;
}

/*
 * A CMD_SYNC in place of what is illegal, memory where there was none, then the
 * acknowledgement
 */
static void go_on(struct bed *bed, uint32_t first, const struct queue *queue)
{
	uint64_t *at = bed_command(bed, first, queue->cons);

	if (queue->err == 2) {
		bed_mend(bed);
		span.fault.kind = FAULT_NONE;
	}
	if (queue->err == 1) {
		span.cmds[queue->cons][0] = at[0] = 0x46;
		span.cmds[queue->cons][1] = at[1] = 0;
	}
	bed_set_reg(bed, GERRORN, bed_reg(bed, GERROR));
}

/*
 * The guest rings its doorbell for the first @n, and when it has come to them
 * for the others. It goes on as often as its queue stops; that of a dead unit
 * would stop at the same place again.
 */
static void play(struct bed *bed, uint32_t first, uint32_t n,
		 struct caches *caches, bool *dead)
{
	struct queue queue = { 0 };

	doorbell(bed, first, n);
	for (uint32_t stops = 0; stops <= span.n + 1; stops++) {
		bool stop;

		model_guest(span.cmds, n, &span.fault, caches, &queue);
		stop = stopped(bed, first, &queue);
		*dead = queue.err == 2 && span.fault.kind != FAULT_HOLE;
		if (*dead || (!stop && n == span.n))
			return;
		if (n < span.n)
			(stop ? doorbell_at_rest : doorbell)(bed, first,
							     span.n);
		n = span.n;
		if (stop)
			go_on(bed, first, &queue);
	}
	wrong(bed->way, first, "it stops without end");
}

/* Moves the guest's queue on to slot @first: CMD_SYNCs */
static void advance(struct bed *bed, uint32_t first)
{
	while (bed->prod != first) {
		uint32_t n = (first - bed->prod) & INDICES;

		n = n > 1u << CMDQ_LG2 ? 1u << CMDQ_LG2 : n;
		for (uint32_t i = 0; i < n; i++) {
			bed_command(bed, bed->prod, i)[0] = 0x46;
			bed_command(bed, bed->prod, i)[1] = 0;
		}
		doorbell(bed, bed->prod, n);
		assert_int_equal(bed_reg(bed, CMDQ_CONS), bed->prod);
	}
}

/* @n: of how many commands the first doorbell tells */
static void run_guest(enum way way, uint32_t first, uint32_t n)
{
	struct caches caches;
	bool dead = false;
	const char *text;
	uint64_t took;

	make(way);
	all_held(&caches);
	first = first ? first : the_bed.prod;
	advance(&the_bed, first);
	for (uint32_t i = 0; i < span.n; i++)
		memcpy(bed_command(&the_bed, first, i), span.cmds[i], 16);
	bed_break(&the_bed, &span.fault);
	if (span.fault.kind == FAULT_HOLE)
		make_hole(&the_bed, first);
	took = now_us();
	play(&the_bed, first, n, &caches, &dead);
	took = now_us() - took;
	bed_mend(&the_bed);
	waited(way, first, &caches, took);
	text = bed_compare(&the_bed, &caches, &span.fault, dead);
	if (text)
		wrong(way, first, "%s", text);
	end();
}

static bool is_guest(enum way way)
{
	return way == WAY_GUEST_ARRAY || way == WAY_GUEST_RING;
}

/* @n: as of run_guest(), whose caches are complete when it has synced */
static void run_span(enum way way, uint32_t first, uint32_t n)
{
	if (is_guest(way)) {
		span.cmds[span.n][0] = 0x46;
		span.cmds[span.n++][1] = 0;
		run_guest(way, first, n);
	} else {
		run_ioctl(way, first);
	}
	cases++;
}

static void run_case(enum way way, enum target target, uint32_t at,
		     uint32_t behind, int fault, uint32_t first)
{
	span_make(&span, target, at, behind, fault, way != WAY_ARRAY);
	if (fault == FAULT_ILL && only_op >= 0 && only_op != span.fault.op)
		return;
	/* without others behind it, the sync is one doorbell later */
	run_span(way, first, at + 1 + behind + !!behind);
}

/* Of the queue's last slot, and of the first one behind the wrap */
static void run_wraps(enum way way, int target, int fault)
{
	static const uint32_t in_front[] = { 4, 5, 6, 64, 4096 };
	uint32_t end = 1u << CMDQ_LG2;

	for (unsigned int i = 0; i < sizeof(in_front) / 4; i++) {
		uint32_t at = in_front[i];

		run_case(way, target, at, 7, fault, end - 1 - at);
		run_case(way, target, at, 7, fault, end - at);
		run_case(way, target, at, 7, fault, 2 * end - at);
	}
}

static void run_table(enum way way, int fault)
{
	cases = 0;
	for (int target = 0; target < TARGETS; target++) {
		for (unsigned int place = 0; place < PLACES; place++) {
			run_case(way, target, places[place], 0, fault, 0);
			run_case(way, target, places[place], 7, fault, 0);
		}
		if (way != WAY_ARRAY)
			run_wraps(way, target, fault);
	}
	print_message("%u cases\n", cases);
}

/* All that there may be in the byte, and nothing else in the command */
static void run_opcodes(enum way way)
{
	cases = 0;
	for (unsigned int op = 0; op < 256; op++) {
		for (uint32_t at = 0; at < 64; at += 63) {
			span_make(&span, T_BAD_OPCODE, at, 7, FAULT_NONE,
				  way != WAY_ARRAY);
			span.target = TARGETS;
			span.cmds[at][0] = op;
			span.cmds[at][1] = 0;
			run_span(way, 0, span.n + 1);
		}
	}
	print_message("%u cases\n", cases);
}

#define OPCODES(name, way)             \
	static void name(void **state) \
	{                              \
		(void)state;           \
		run_opcodes(way);      \
	}

#define TABLE(name, way, fault)        \
	static void name(void **state) \
	{                              \
		(void)state;           \
		run_table(way, fault); \
	}

TABLE(arrays_of_good_hardware, WAY_ARRAY, FAULT_NONE)
TABLE(arrays_with_illegal_commands, WAY_ARRAY, FAULT_ILL)
TABLE(arrays_for_a_silent_device, WAY_ARRAY, FAULT_ATC)
TABLE(arrays_with_aborts_that_pass, WAY_ARRAY, FAULT_ABT_FEW)
TABLE(arrays_for_a_device_that_is_gone, WAY_ARRAY, FAULT_GONE)
TABLE(arrays_for_a_late_device, WAY_ARRAY, FAULT_LATE)
TABLE(arrays_to_a_slow_unit, WAY_ARRAY, FAULT_SLOW)
TABLE(arrays_to_a_dead_unit, WAY_ARRAY, FAULT_ABT)
OPCODES(arrays_of_every_opcode, WAY_ARRAY)
TABLE(rings_of_good_hardware, WAY_RING, FAULT_NONE)
TABLE(rings_with_illegal_commands, WAY_RING, FAULT_ILL)
TABLE(rings_for_a_silent_device, WAY_RING, FAULT_ATC)
TABLE(rings_with_aborts_that_pass, WAY_RING, FAULT_ABT_FEW)
TABLE(rings_for_a_device_that_is_gone, WAY_RING, FAULT_GONE)
TABLE(rings_for_a_late_device, WAY_RING, FAULT_LATE)
TABLE(rings_to_a_slow_unit, WAY_RING, FAULT_SLOW)
TABLE(rings_to_a_dead_unit, WAY_RING, FAULT_ABT)
OPCODES(rings_of_every_opcode, WAY_RING)
TABLE(guests_over_arrays, WAY_GUEST_ARRAY, FAULT_NONE)
TABLE(guests_over_arrays_with_illegal_commands, WAY_GUEST_ARRAY, FAULT_ILL)
TABLE(guests_over_arrays_with_a_silent_device, WAY_GUEST_ARRAY, FAULT_ATC)
TABLE(guests_over_arrays_with_aborts, WAY_GUEST_ARRAY, FAULT_ABT_FEW)
TABLE(guests_over_arrays_for_a_device_that_is_gone, WAY_GUEST_ARRAY, FAULT_GONE)
TABLE(guests_over_arrays_for_a_late_device, WAY_GUEST_ARRAY, FAULT_LATE)
TABLE(guests_over_arrays_to_a_slow_unit, WAY_GUEST_ARRAY, FAULT_SLOW)
TABLE(guests_over_arrays_of_a_dead_unit, WAY_GUEST_ARRAY, FAULT_ABT)
OPCODES(guests_over_arrays_of_every_opcode, WAY_GUEST_ARRAY)
TABLE(guests_over_arrays_with_a_hole, WAY_GUEST_ARRAY, FAULT_HOLE)
TABLE(guests_over_rings, WAY_GUEST_RING, FAULT_NONE)
TABLE(guests_over_rings_with_illegal_commands, WAY_GUEST_RING, FAULT_ILL)
TABLE(guests_over_rings_with_a_silent_device, WAY_GUEST_RING, FAULT_ATC)
TABLE(guests_over_rings_with_aborts, WAY_GUEST_RING, FAULT_ABT_FEW)
TABLE(guests_over_rings_for_a_device_that_is_gone, WAY_GUEST_RING, FAULT_GONE)
TABLE(guests_over_rings_for_a_late_device, WAY_GUEST_RING, FAULT_LATE)
TABLE(guests_over_rings_to_a_slow_unit, WAY_GUEST_RING, FAULT_SLOW)
TABLE(guests_over_rings_of_a_dead_unit, WAY_GUEST_RING, FAULT_ABT)
OPCODES(guests_over_rings_of_every_opcode, WAY_GUEST_RING)
TABLE(guests_over_rings_with_a_hole, WAY_GUEST_RING, FAULT_HOLE)

/* @seed: of the span; also where in the queue it begins */
static void run_random(enum way way, uint64_t seed)
{
	span_random(&span, seed, seed % 4 ? 40 : 1500, way != WAY_ARRAY);
	span.at = (uint32_t)seed;
	if (!is_guest(way)) {
		run_ioctl(way, (uint32_t)(seed * 97) & INDICES);
		return;
	}
	span.cmds[span.n][0] = 0x46;
	span.cmds[span.n++][1] = 0;
	run_guest(way, seed % 8 ? 0 : (uint32_t)(seed * 97) & INDICES,
		  seed % 2 ? span.n : 1 + (uint32_t)(seed * 31) % span.n);
}

static void anything_anywhere(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		for (int way = 0; way < WAYS; way++)
			run_random(way, seed);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, end_what_is_left)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(arrays_of_good_hardware),
		TEST(arrays_with_illegal_commands),
		TEST(arrays_for_a_silent_device),
		TEST(arrays_with_aborts_that_pass),
		TEST(arrays_for_a_device_that_is_gone),
		TEST(arrays_for_a_late_device),
		TEST(arrays_to_a_slow_unit),
		TEST(arrays_to_a_dead_unit),
		TEST(arrays_of_every_opcode),
		TEST(rings_of_good_hardware),
		TEST(rings_with_illegal_commands),
		TEST(rings_for_a_silent_device),
		TEST(rings_with_aborts_that_pass),
		TEST(rings_for_a_device_that_is_gone),
		TEST(rings_for_a_late_device),
		TEST(rings_to_a_slow_unit),
		TEST(rings_to_a_dead_unit),
		TEST(rings_of_every_opcode),
		TEST(guests_over_arrays),
		TEST(guests_over_arrays_with_illegal_commands),
		TEST(guests_over_arrays_with_a_silent_device),
		TEST(guests_over_arrays_with_aborts),
		TEST(guests_over_arrays_for_a_device_that_is_gone),
		TEST(guests_over_arrays_for_a_late_device),
		TEST(guests_over_arrays_to_a_slow_unit),
		TEST(guests_over_arrays_of_a_dead_unit),
		TEST(guests_over_arrays_of_every_opcode),
		TEST(guests_over_arrays_with_a_hole),
		TEST(guests_over_rings),
		TEST(guests_over_rings_with_illegal_commands),
		TEST(guests_over_rings_with_a_silent_device),
		TEST(guests_over_rings_with_aborts),
		TEST(guests_over_rings_for_a_device_that_is_gone),
		TEST(guests_over_rings_for_a_late_device),
		TEST(guests_over_rings_to_a_slow_unit),
		TEST(guests_over_rings_of_a_dead_unit),
		TEST(guests_over_rings_of_every_opcode),
		TEST(guests_over_rings_with_a_hole),
		TEST(anything_anywhere),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (argc > 2)
		seeds = (unsigned int)atoi(argv[2]);
	if (argc > 3)
		only_op = (int)strtol(argv[3], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
