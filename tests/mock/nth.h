/* SPDX-License-Identifier: MIT */
/*
 * Scenarios whose first, second, n-th allocation fails; steps.c has the calls
 * they consist of. A step notes what it has made, so that it can be undone.
 */
#ifndef TESTS_MOCK_NTH_H
#define TESTS_MOCK_NTH_H

#include "kit.h"

#include <errno.h>

#define MADE_MAX 32

enum made_kind {
	MADE_OBJECT,
	MADE_FD,
	MADE_QUEUE_FD,
	MADE_MMAP,
	MADE_DEVICE,
	MADE_MOVE,  /* of the test device, away from its IOAS */
	MADE_PASID, /* of it */
};

struct made {
	enum made_kind kind;
	uint64_t value;
};

/* What one injection point has led to */
struct point {
	const char *step;
	int rc;
};

struct run {
	struct kit *kit;
	bool again; /* try again at once what has failed */
	bool armed;
	struct point point;
	unsigned int nr_made;
	struct made made[MADE_MAX];
	unsigned int dmabufs; /* core keeps an fd of each */
	/* what scenarios begin with: an IOAS with a device on it */
	uint32_t ioas;
	uint32_t object;
	uint32_t hwpt;
	uint32_t dev;
};

struct scenario {
	const char *name;
	int (*given)(struct run *run); /* without failures */
	int (*when)(struct run *run);
};

/* To be taken away again */
void run_made(struct run *run, enum made_kind kind, uint64_t value);
/* Notes which step has met the injected failure. True: try it again */
bool run_note(struct run *run, const char *step, int rc);

#define STEP(run, name, call)                     \
	do {                                      \
		int step_rc = (call);             \
                                                  \
		if (run_note(run, name, step_rc)) \
			step_rc = (call);         \
		if (step_rc < 0)                  \
			return step_rc;           \
	} while (0)

/* What must not fail for want of memory */
#define EXPECT(condition)                                              \
	do {                                                           \
		if (!(condition)) {                                    \
			print_error("%s:%d: %s\n", __func__, __LINE__, \
				    #condition);                       \
			return -EPROTO;                                \
		}                                                      \
	} while (0)

/*
 * Runs it with each of its injection points failing, in three ways; prints them
 * and asserts what test_mock_nth_alloc.c says.
 */
void run_each_point(const struct scenario *s);

/* steps.c: 0 or the call's errno */
int make_ioas(struct run *run, uint32_t *ioas);
int make_device(struct run *run, uint32_t pt, uint32_t flags);
int make_hwpt(struct run *run, uint32_t flags, uint32_t fault, uint32_t *hwpt);
int make_nested(struct run *run, uint32_t pt, uint32_t *hwpt);
int make_viommu(struct run *run, uint32_t parent, uint32_t *viommu,
		uint64_t *offset);
int make_vdevice(struct run *run, uint32_t viommu);
int make_veventq(struct run *run, uint32_t viommu, int *fd);
int make_fault_queue(struct run *run, uint32_t *id, int *fd);
int make_hw_queue(struct run *run, uint32_t viommu, uint32_t index);
int make_mmap(struct run *run, uint64_t offset);
int make_access(struct run *run, uint32_t ioas, uint32_t *fd);
int make_dmabuf(struct run *run, int *fd);
int make_memfd(struct run *run, int *fd);
int step_map(struct run *run, uint32_t ioas, uint64_t iova, uint64_t length);
int step_unmap(struct run *run, uint32_t ioas, uint64_t iova, uint64_t length);
int step_map_file(struct run *run, int fd, uint64_t iova);
int step_copy(struct run *run, uint32_t to);
int step_allow(struct run *run, uint32_t ioas);
int step_ranges(struct run *run, uint32_t ioas);
int step_large_pages(struct run *run, uint32_t ioas, uint64_t on);
int step_reserve(struct run *run, uint32_t ioas, uint64_t first);
int step_replace(struct run *run, uint32_t pt);
int step_pasid_attach(struct run *run, uint32_t pasid, uint32_t pt);

#endif
