/* SPDX-License-Identifier: MIT */
/*
 * Why no command removed what was found stale, in words. Each command is asked
 * what it lacked; its scope comes from where the architecture executes it.
 */
#ifndef MODEL_WHY_H
#define MODEL_WHY_H

#include "model/check.h"
#include "model/history.h"

/* What an architecture says of its commands, and of what they left */
struct why_ops {
	const struct history_words *tags;
	const char *stream;    /* what a StreamID is called ... */
	const char *atc_entry; /* ... and the entry that its device has kept */

	/* "combined translations" ... */
	const char *(*kind)(uint8_t regime);
	/* Is the entry tagged by ASID? */
	bool (*by_asid)(const struct stale_base *part);
	/* What @cmd removes of translations; how many it is */
	unsigned int (*scope)(const void *cmd, struct iotlb_inval inval[2]);
	/* What @i, of near->cmd, lacks to remove @e */
	enum nearness (*judge)(const struct iotlb_inval *i,
			       const struct iotlb_entry *e, struct near *near);
	/* Is @cmd for devices' own caches? Then all of *atc but @stream */
	bool (*atc)(const void *cmd, struct history_atc *atc);
	/* What near->cmd lacks to remove @part, of a configuration */
	enum nearness (*config)(const struct stale_base *part,
				struct near *near);
	/* That in words, like words() */
	int (*tell_config)(const struct stale_base *part, char *text,
			   size_t size);
	/* Its name, and the addresses that are worth telling, or 0 and 0 */
	const char *(*command)(const void *cmd, uint64_t *first,
			       uint64_t *last);
};

void why_tell(struct engine *e, const struct stale_base *part, char *text,
	      size_t size);

#endif
