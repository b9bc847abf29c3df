/* SPDX-License-Identifier: MIT */
/* Messages for people, through a callback of the instance; off by default. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum logger_level {
	LOGGER_OFF,
	LOGGER_ERROR,
	LOGGER_WARN,
	LOGGER_INFO,
	LOGGER_DEBUG,
};

/*
 * struct logger - where an instance's messages go; all zero is silent
 * @level: messages above it cost one compare, their arguments stay unevaluated
 * @sink: gets one message without newline, any thread; must not log itself
 */
struct logger {
	enum logger_level level;
	void (*sink)(void *ctx, enum logger_level level, const char *message);
	void *ctx;
};

/* Use logger_log(). Messages are cut at 511 bytes. */
void logger_emit(const struct logger *l, enum logger_level level,
		 const char *format, ...) __attribute__((format(printf, 3, 4)));

static inline bool logger_on(const struct logger *l, enum logger_level level)
{
	return l && level <= l->level && l->sink;
}

/* logger_log(logger or NULL, level, printf format, ...) */
#define logger_log(l, level, ...)                                 \
	do {                                                      \
		if (__builtin_expect(logger_on((l), (level)), 0)) \
			logger_emit((l), (level), __VA_ARGS__);   \
	} while (0)

#endif
