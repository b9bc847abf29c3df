// SPDX-License-Identifier: MIT
/* Formatting of messages; whether there is one was decided in log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#define MESSAGE_BYTES 512

void logger_emit(const struct logger *l, enum logger_level level,
		 const char *format, ...)
{
	char message[MESSAGE_BYTES];
	va_list args;

	if (!logger_on(l, level))
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	l->sink(l->ctx, level, message);
}
