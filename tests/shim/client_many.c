// SPDX-License-Identifier: MIT
/* Many objects, and ids that come back. */
#include <pthread.h>
#include <stdlib.h>

#include "client.h"

#define MANY 100000u

/* As on Linux the lowest free id is the next one. */
static int many_objects(int argc, char **argv)
{
	static uint32_t ids[MANY];
	int fd = open_iommu();

	(void)argc;
	(void)argv;
	for (uint32_t i = 0; i < MANY; i++) {
		long id = ioas_alloc(fd);

		CHECK(id == (long)i + 1);
		ids[i] = (uint32_t)id;
	}
	for (uint32_t i = 0; i < MANY; i += 2)
		CHECK(!destroy(fd, ids[i]));
	for (uint32_t i = 0; i < MANY; i += 2)
		FAILS(destroy(fd, ids[i]), ENOENT);
	for (uint32_t i = 0; i < MANY; i += 2)
		CHECK(ioas_alloc(fd) == (long)ids[i]);
	for (uint32_t i = MANY; i-- > 0;)
		CHECK(!destroy(fd, ids[i]));
	CHECK(ioas_alloc(fd) == 1);
	return 0;
}

/* Whoever still has the id of something that is gone reaches what has it now,
 * if that is of the same kind, and nothing else. */
static int reused_ids(int argc, char **argv)
{
	static char page[4096] __attribute__((aligned(4096)));
	int fd = open_iommu();
	long ioas = ioas_alloc(fd);
	int queue = -1;
	long id;

	(void)argc;
	(void)argv;
	CHECK(!map(fd, ioas, page, sizeof(page), 0x1000));
	CHECK(!destroy(fd, ioas));
	FAILS(map(fd, ioas, page, sizeof(page), 0x1000), ENOENT);
	id = fault_alloc(fd, &queue);
	CHECK(id == ioas); /* the same number, another kind */
	FAILS(map(fd, ioas, page, sizeof(page), 0x1000), ENOENT);
	FAILS(destroy(fd, ioas), EBUSY); /* its fd is open */
	CHECK(!close(queue) && !destroy(fd, id));
	CHECK(ioas_alloc(fd) == ioas);
	/* nothing of what the first had */
	CHECK(!map(fd, ioas, page, sizeof(page), 0x1000));
	FAILS(map(fd, ioas, page, sizeof(page), 0x1000), EEXIST);
	return 0;
}

#define THIEVES 4
#define IDS	64u

static int fd_of_all;
static _Atomic int stop;
static _Atomic long destroyed, strange;

static void *thief(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	while (!stop) {
		seed = seed * 1103515245u + 12345u;
		if (!destroy(fd_of_all, 1 + (seed >> 8) % IDS))
			destroyed++;
		else if (errno != ENOENT)
			strange = errno;
	}
	return NULL;
}

/* Each is destroyed once, whoever comes first, and its id may be had at once */
static int stolen_ids(int argc, char **argv)
{
	pthread_t t[THIEVES];
	long made = 0, left = 0;

	(void)argc;
	(void)argv;
	fd_of_all = open_iommu();
	for (uintptr_t i = 0; i < THIEVES; i++)
		CHECK(!pthread_create(&t[i], NULL, thief, (void *)(i + 1)));
	for (int i = 0; i < 50000; i++) {
		long id = ioas_alloc(fd_of_all);

		CHECK(id > 0);
		made++;
		if (id >= (long)IDS) /* none of the thieves' */
			for (uint32_t own = IDS; own <= id; own++)
				if (!destroy(fd_of_all, own))
					destroyed++;
	}
	stop = 1;
	for (int i = 0; i < THIEVES; i++)
		pthread_join(t[i], NULL);
	for (long id = 1; id <= (long)IDS * 2; id++)
		if (!destroy(fd_of_all, id))
			left++;
	CHECK(!strange);
	CHECK(made == destroyed + left);
	return 0;
}

const struct scenario many_scenarios[] = {
	{ "many-objects", many_objects },
	{ "reused-ids", reused_ids },
	{ "stolen-ids", stolen_ids },
	{ NULL, NULL },
};
