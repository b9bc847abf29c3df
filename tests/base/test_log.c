// SPDX-License-Identifier: MIT
/* Messages reach the instance's sink, and cost nothing when nobody listens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

struct heard {
	int count;
	enum logger_level level;
	char text[1024];
};

static void hear(void *ctx, enum logger_level level, const char *message)
{
	struct heard *h = ctx;

	h->count++;
	h->level = level;
	strcpy(h->text, message);
}

static int evaluated;

static int evaluate(void)
{
	return ++evaluated;
}

static void levels_up_to_the_chosen_one_are_heard(void **state)
{
	(void)state;
	for (int on = LOGGER_OFF; on <= LOGGER_DEBUG; on++) {
		struct heard h = { 0 };
		struct logger l = { (enum logger_level)on, hear, &h };

		for (int at = LOGGER_ERROR; at <= LOGGER_DEBUG; at++) {
			int before = h.count;

			logger_log(&l, (enum logger_level)at, "%s %d", "at",
				   at);
			assert_int_equal(h.count - before, at <= on);
			if (at <= on)
				assert_int_equal(h.level, at);
		}
		if (on)
			assert_int_equal(h.text[3], '0' + on);
	}
}

static void arguments_of_unheard_messages_are_not_evaluated(void **state)
{
	struct heard h = { 0 };
	struct logger l = { LOGGER_WARN, hear, &h };
	struct logger silent = { 0 };
	struct logger no_sink = { .level = LOGGER_DEBUG };

	(void)state;
	evaluated = 0;
	logger_log(&l, LOGGER_INFO, "%d", evaluate());
	logger_log(&silent, LOGGER_ERROR, "%d", evaluate());
	logger_log(&no_sink, LOGGER_ERROR, "%d", evaluate());
	logger_log((struct logger *)NULL, LOGGER_ERROR, "%d", evaluate());
	assert_int_equal(evaluated, 0);
	logger_log(&l, LOGGER_WARN, "%d", evaluate());
	assert_int_equal(evaluated, 1);
	assert_string_equal(h.text, "1");
}

static void long_messages_are_cut(void **state)
{
	struct heard h = { 0 };
	struct logger l = { LOGGER_WARN, hear, &h };

	(void)state;
	logger_log(&l, LOGGER_WARN, "%2000d", 1);
	assert_int_equal(strlen(h.text), 511);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_up_to_the_chosen_one_are_heard),
		cmocka_unit_test(
			arguments_of_unheard_messages_are_not_evaluated),
		cmocka_unit_test(long_messages_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
