/* SPDX-License-Identifier: MIT */
/* How the guest of bad.h asks for things, and what it says wrongly. */
#ifndef TESTS_ERRORS_BAD_ARCH_H
#define TESTS_ERRORS_BAD_ARCH_H

#include "bad.h"

#define BAD_VSID 0x20u /* of the first device */

struct bad_arch {
	enum nestfd_arch arch;
	uint32_t type;
	uint32_t words; /* of an entry */
	int gives_up;	/* what a device in quarantine is answered */
	uint32_t doorbell;
	const char *refuse; /* hardware refuses what names the good device */
	void (*make)(struct bad *b);
	void (*nest)(struct bad *b, unsigned int d);
	void (*ask)(uint64_t *entry, unsigned int d, uint64_t addr);
	/* What @refuse refuses */
	void (*refused)(uint64_t *entry);
	/* Nearly something; asks at most the good device */
	void (*junk)(uint64_t *entry, uint64_t *random);
	/* Its queue lies where there is no memory: true if it is told so */
	bool (*queue_nowhere)(const struct guest *g);
	/* Registers that a guest writes, and its queue's tail */
	uint32_t tail;
	uint32_t regs[12];
};

extern const struct bad_arch bad_smmuv3;
extern const struct bad_arch bad_vtd;

uint64_t bad_draw(uint64_t *state);

/*
 * It runs beside others, where nothing can be asserted: the first thing that is
 * not as it should be is kept.
 */
void bad_expect(struct bad *b, bool as_it_should, const char *what);
/* An ioctl of its own; the second expects success */
int bad_call(struct bad *b, unsigned long cmd, void *arg);
void bad_must(struct bad *b, unsigned long cmd, void *arg);

#endif
