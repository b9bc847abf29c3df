// SPDX-License-Identifier: MIT
/* Devices of the machine, and what is asked of them, in words: run.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shim/run.h"

#define PASID_BITS_MAX 20
#define WINDOW_MS_MAX  1000000

/* Digits (or 0x and more of them) to the end of @text */
static int number(const char *text, unsigned long max, unsigned long *value)
{
	unsigned long got;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	got = strtoul(text, &end, 0);
	if (errno || *end || got > max)
		return -EINVAL;
	*value = got;
	return 0;
}

/* One word behind the StreamID, each at most once */
static int take_word(const char *word, struct nestfd_device_config *config)
{
	unsigned long bits = 0;

	if (!strcmp(word, "ats") && !config->ats) {
		config->ats = true;
		return 0;
	}
	if (!strcmp(word, "pri") && !config->page_requests) {
		config->page_requests = RUN_PAGE_REQUESTS;
		return 0;
	}
	if (strncmp(word, "pasid=", 6) || config->pasid_bits ||
	    number(word + 6, PASID_BITS_MAX, &bits) || !bits)
		return -EINVAL;
	config->pasid_bits = (uint8_t)bits;
	return 0;
}

int run_device_parse(const char *text, size_t length,
		     struct nestfd_device_config *config)
{
	struct nestfd_device_config all = { .size = sizeof(all) };
	char copy[RUN_DEVICE_TEXT];
	unsigned long sid = 0;
	char *word, *next;
	int rc;

	if (length >= sizeof(copy) || length < 4 || memcmp(text, "edu@", 4))
		return -EINVAL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	next = strchr(copy, ',');
	if (next)
		*next++ = '\0';
	rc = number(copy + 4, UINT32_MAX, &sid);
	while (next && !rc) {
		word = next;
		next = strchr(word, ',');
		if (next)
			*next++ = '\0';
		rc = take_word(word, &all);
	}
	if (rc || (all.page_requests && !all.ats))
		return -EINVAL;
	all.stream_id = (uint32_t)sid;
	*config = all;
	return 0;
}

int run_window_parse(const char *text, uint32_t *ms)
{
	unsigned long value = 0;

	if (text && !strcmp(text, "none"))
		value = NESTFD_NO_WINDOW;
	else if (text && (number(text, WINDOW_MS_MAX, &value) || !value))
		return -EINVAL;
	*ms = (uint32_t)value;
	return 0;
}
