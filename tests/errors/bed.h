/* SPDX-License-Identifier: MIT */
/*
 * A machine in this process for one case: a guest with two devices whose pages
 * are all cached (model.h), a neighbour on the same unit with one and a
 * /dev/iommu of its own, and what is in the caches afterwards. Words are Arm
 * IHI 0070's and the Arm ARM's.
 */
#ifndef TESTS_ERRORS_BED_H
#define TESTS_ERRORS_BED_H

#include <pthread.h>
#include <semaphore.h>

#include <nestfd/model.h>
#include <nestfd/nestfd.h>
#include <nestfd/viommu.h>

#include "hw.h"
#include "model.h"

/* How commands get to the host */
enum way {
	WAY_ARRAY,	 /* IOMMU_HWPT_INVALIDATE, error codes on */
	WAY_RING,	 /* NESTFD_HWPT_INVALIDATE_RING */
	WAY_GUEST_ARRAY, /* a virtual SMMU's registers, over arrays */
	WAY_GUEST_RING,	 /* over its own queue */
	WAYS,
};

#define CMDQ_LG2 13

enum who { GUEST_CTX, NEIGHBOUR_CTX };

struct space {
	uint64_t l1; /* PA in the guest's RAM */
	uint64_t leaf[PAGES];
};

/* What another CPU of the guest's reads when it is interrupted: GERROR's */
struct seen {
	unsigned int times;
	uint32_t cons;
	uint32_t gerror;
	uint32_t gerrorn;
};

struct cpu {
	pthread_t thread;
	sem_t irq;
	sem_t done;
	bool stop;
	struct seen seen;
};

/* Whose attach it is */
struct slot {
	struct bed *bed;
	unsigned int d;
};

struct bed {
	enum way way;
	uint32_t window_ms;
	bool blind; /* no way into the hardware but through its driver */
	struct nestfd_kernel fd[2]; /* in place of machine, ctx and dev */
	char *ram;
	struct nestfd_machine *machine;
	struct nestfd *ctx[2]; /* the guest's, the neighbour's */
	uint32_t parent[2];
	struct nestfd_device *dev[DEVICES + 1]; /* the last: the neighbour */
	uint32_t dev_id[DEVICES + 1];
	uint32_t viommu[2];
	struct nestfd_viommu *smmu; /* WAY_GUEST_* */
	struct slot slot[DEVICES];
	struct cpu cpu; /* likewise */
	uint64_t hole;	/* likewise: guest memory that is not */
	uint64_t hole_end;
	uint32_t prod;
	uint64_t next; /* bump allocator of the RAM */
	struct space space[DEVICES + 1];
};

/* Everything cached, and by now leading elsewhere in memory */
void bed_make(struct bed *bed, enum way way);
/* Of ATC timeouts there is one in so many milliseconds (not 0); above there is
 * no limit */
void bed_make_paced(struct bed *bed, enum way way, uint32_t window_ms);
void bed_end(struct bed *bed);

void bed_break(struct bed *bed, const struct fault *fault);
void bed_mend(struct bed *bed);

/* IOMMU_HWPT_INVALIDATE; not the guest's with WAY_GUEST_* */
void bed_array(struct bed *bed, enum who who, const uint64_t (*cmds)[2],
	       uint32_t n, struct answer *answer);
/* Page @n of @d leads elsewhere, no invalidation; @moved: where it goes */
void bed_set_leaf(struct bed *bed, unsigned int d, unsigned int n, bool moved);
/*
 * Its word: @n, or @n + 0x100 where it has moved. What nestfd_dma() returns;
 * only of a machine in this process
 */
int bed_load(struct bed *bed, unsigned int d, unsigned int n, bool ats,
	     uint64_t *value);

/* WAY_ARRAY and WAY_RING. @at: a ring's first slot */
void bed_ioctl(struct bed *bed, const uint64_t (*cmds)[2], uint32_t n,
	       uint32_t at, struct answer *answer);

/* WAY_GUEST_*: where command @i of those that begin at @at lies, as words */
uint64_t *bed_command(struct bed *bed, uint32_t at, uint32_t i);
/* WAY_GUEST_*: the page where that is is no memory, until bed_mend() */
void bed_hole(struct bed *bed, uint32_t at, uint32_t i);
#define PAGE_COMMANDS 256u
/* WAY_GUEST_*: since the last call, and what was seen the last time */
struct seen bed_seen(struct bed *bed);
/* Registers, by offset */
uint32_t bed_reg(struct bed *bed, uint32_t offset);
void bed_set_reg(struct bed *bed, uint32_t offset, uint32_t value);

/*
 * Are what the guest's two devices cached, and all of the neighbour's, as they
 * should be? The first difference as text, or NULL. @dead: the unit is. Of a
 * device that does not answer also: is all well after its reset?
 */
const char *bed_compare(struct bed *bed, const struct caches *caches,
			const struct fault *fault, bool dead);

#endif
