// SPDX-License-Identifier: MIT
/*
 * Memory that is mapped into an IOAS and goes away: what is at its addresses
 * next is not what the IOMMU leads to. With --iommu mock, whose
 * IOMMU_TEST_OP_MD_CHECK_MAP compares the two; Linux says EINVAL as well, of
 * the pages it has pinned.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>

#include "client.h"

#define PAGE 4096ul
#define IOVA 0x1000000ul

struct place {
	int fd;
	long ioas;
	uint32_t hwpt;
};

/* Another process's, if not -1 */
static int given = -1;

static int start(struct place *p)
{
	/* IOMMU_TEST_OP_MOCK_DOMAIN */
	uint32_t test[18] = { sizeof(test), 2 };

	p->fd = given < 0 ? open_iommu() : given;
	p->ioas = ioas_alloc(p->fd);
	test[2] = (uint32_t)p->ioas;
	CHECK(!ioctl(p->fd, _IO(';', 0xa0), test));
	p->hwpt = test[5];
	return 0;
}

/* Is the page at @va what is at the same distance from IOVA? 1, 0, -1: error */
static int leads_to(const struct place *p, uint64_t iova, const void *va)
{
	struct {
		uint32_t size, op, id, reserved;
		uint64_t iova, length, uptr;
		uint32_t rest[8];
	} test = {
		sizeof(test), 3, p->hwpt, 0, iova, PAGE, (uintptr_t)va, { 0 }
	};

	_Static_assert(sizeof(test) == 72, "as Linux has it");
	if (!ioctl(p->fd, _IO(';', 0xa0), &test))
		return 1;
	return errno == EINVAL || errno == EFAULT ? 0 : -1;
}

static bool lead(const struct place *p, char *va, int n, const char *what)
{
	for (int i = 0; i < n; i++)
		if (leads_to(p, IOVA + (unsigned int)i * PAGE,
			     va + (unsigned int)i * PAGE) !=
		    (what[i] == 'y' ? 1 : 0))
			return false;
	return true;
}

static char *pages_at(void *at, size_t n)
{
	return mmap(at, n * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);
}

/* Eight pages at IOVA */
static int eight(struct place *p, char **mem)
{
	if (start(p))
		return 1;
	*mem = pages_at(NULL, 8);
	CHECK(*mem != MAP_FAILED);
	memset(*mem, 'x', 8 * PAGE);
	CHECK(!map(p->fd, p->ioas, *mem, 8 * PAGE, IOVA));
	CHECK(lead(p, *mem, 8, "yyyyyyyy"));
	return 0;
}

static int unmap_iova(const struct place *p)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = (uint32_t)p->ioas,
		.iova = IOVA,
		.length = 8 * PAGE,
	};

	return ioctl(p->fd, IOMMU_IOAS_UNMAP, &arg);
}

static int by_munmap(void)
{
	struct place p;
	char *mem;

	CHECK(!eight(&p, &mem));
	/* refused, and nothing has happened */
	FAILS(munmap(mem + 1, PAGE), EINVAL);
	FAILS(munmap(mem, 0), EINVAL);
	FAILS(munmap(mem, (size_t)-PAGE), EINVAL);
	CHECK(lead(&p, mem, 8, "yyyyyyyy"));
	CHECK(!munmap(mem + PAGE, PAGE));
	CHECK(!munmap(mem + 5 * PAGE, PAGE + 1)); /* two */
	CHECK(lead(&p, mem, 8, "ynyyynny"));
	CHECK(pages_at(mem + PAGE, 1) == mem + PAGE);
	CHECK(pages_at(mem + 5 * PAGE, 2) == mem + 5 * PAGE);
	CHECK(lead(&p, mem, 8, "ynyyynny"));
	/* mapped anew, all of it is there */
	CHECK(!unmap_iova(&p));
	CHECK(!map(p.fd, p.ioas, mem, 8 * PAGE, IOVA));
	CHECK(lead(&p, mem, 8, "yyyyyyyy"));
	/* all at once, and more */
	CHECK(!munmap(mem, 8 * PAGE));
	CHECK(pages_at(mem, 8) == mem);
	CHECK(lead(&p, mem, 8, "nnnnnnnn"));
	return 0;
}

static int by_map_fixed(void)
{
	struct place p;
	char *mem;

	CHECK(!eight(&p, &mem));
	CHECK(pages_at(mem + 2 * PAGE, 2) == mem + 2 * PAGE);
	CHECK(lead(&p, mem, 8, "yynnyyyy"));
	/* one that fails takes nothing away */
	FAILS((long)mmap(mem + 6 * PAGE, PAGE, PROT_READ,
			 MAP_SHARED | MAP_FIXED, 999, 0),
	      EBADF);
	CHECK(lead(&p, mem, 8, "yynnyyyy"));
	FAILS((long)mmap(mem + 6 * PAGE, PAGE, PROT_READ,
			 MAP_PRIVATE | MAP_ANONYMOUS | 0x100000, -1, 0),
	      EEXIST); /* MAP_FIXED_NOREPLACE */
	CHECK(lead(&p, mem, 8, "yynnyyyy"));
	/* a hint is no order */
	CHECK(mmap(mem + 6 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0) != mem + 6 * PAGE);
	CHECK(lead(&p, mem, 8, "yynnyyyy"));
	return 0;
}

static int by_mremap(void)
{
	struct place p;
	char *mem, *at;

	CHECK(!eight(&p, &mem));
	/* shrunk where it is */
	CHECK(mremap(mem, 8 * PAGE, 6 * PAGE, 0) == mem);
	CHECK(pages_at(mem + 6 * PAGE, 2) == mem + 6 * PAGE);
	CHECK(lead(&p, mem, 8, "yyyyyynn"));
	/* cannot grow there, and may not move */
	FAILS((long)mremap(mem, 6 * PAGE, 20 * PAGE, 0), ENOMEM);
	CHECK(lead(&p, mem, 8, "yyyyyynn"));
	/* moved */
	at = mremap(mem, 2 * PAGE, 20 * PAGE, MREMAP_MAYMOVE);
	CHECK(at != MAP_FAILED && at != mem && at[0] == 'x');
	CHECK(pages_at(mem, 2) == mem);
	CHECK(lead(&p, mem, 8, "nnyyyynn"));
	/* moved over others */
	CHECK(mremap(mem + 2 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     mem + 4 * PAGE) == mem + 4 * PAGE);
	CHECK(pages_at(mem + 2 * PAGE, 1) == mem + 2 * PAGE);
	CHECK(lead(&p, mem, 8, "nnnynynn"));
	/* refused */
	FAILS((long)mremap(mem + 3 * PAGE, PAGE, PAGE,
			   MREMAP_MAYMOVE | MREMAP_FIXED, mem + 1),
	      EINVAL);
	CHECK(lead(&p, mem, 8, "nnnynynn"));
	return 0;
}

static int by_brk(void)
{
	struct place p;
	char *end, *mem;

	CHECK(!start(&p));
	end = sbrk(0);
	mem = (char *)(((uintptr_t)end + PAGE - 1) & -PAGE);
	CHECK(!brk(mem + 8 * PAGE));
	CHECK(!map(p.fd, p.ioas, mem, 8 * PAGE, IOVA));
	CHECK(!brk(mem + 6 * PAGE) && !brk(mem + 8 * PAGE));
	CHECK(lead(&p, mem, 8, "yyyyyynn"));
	CHECK(sbrk(-(intptr_t)(4 * PAGE)) == mem + 8 * PAGE);
	CHECK(sbrk((intptr_t)(4 * PAGE)) == mem + 4 * PAGE);
	CHECK(lead(&p, mem, 8, "yyyynnnn"));
	CHECK(!brk(end));
	return 0;
}

static int by_shmdt(void)
{
	struct place p;
	char *mem, *other;
	int id;

	CHECK(!start(&p));
	id = shmget(IPC_PRIVATE, 8 * PAGE, 0600);
	CHECK(id >= 0);
	mem = shmat(id, NULL, 0);
	other = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	CHECK(mem != (void *)-1 && other != (void *)-1);
	CHECK(!map(p.fd, p.ioas, mem, 8 * PAGE, IOVA));
	CHECK(lead(&p, mem, 8, "yyyyyyyy"));
	CHECK(!shmdt(other));
	FAILS(shmdt(mem + PAGE), EINVAL);
	CHECK(lead(&p, mem, 8, "yyyyyyyy"));
	CHECK(!shmdt(mem));
	CHECK(pages_at(mem, 8) == mem);
	CHECK(lead(&p, mem, 8, "nnnnnnnn"));
	return 0;
}

/* The C library unmaps by itself; noticed when mmap() gives the place away. */
static int by_free(void)
{
	struct place p;
	char *block, *mem;

	CHECK(!start(&p));
	block = malloc(64 * PAGE + 8 * 1024 * 1024);
	mem = (char *)(((uintptr_t)block + PAGE - 1) & -PAGE);
	CHECK(!map(p.fd, p.ioas, mem, 8 * PAGE, IOVA));
	CHECK(lead(&p, mem, 8, "yyyyyyyy"));
	free(block);
	CHECK(mmap(mem, 8 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == mem);
	CHECK(lead(&p, mem, 8, "nnnnnnnn"));
	return 0;
}

static int goes_away(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} ways[] = {
		{ "munmap", by_munmap }, { "mmap", by_map_fixed },
		{ "mremap", by_mremap }, { "brk", by_brk },
		{ "shmdt", by_shmdt },	 { "free", by_free },
	};

	pid_t pid = 0;

	if (argc > 2) { /* by a child, in its parent's context */
		given = open_iommu();
		CHECK(ioas_alloc(given) > 0);
		pid = fork();
	}
	if (pid)
		return wait_status(pid);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (argc > 1 && !strcmp(argv[1], ways[i].name))
			return ways[i].run();
	return 2;
}

/* Files that were mapped as files stay, whatever becomes of the program's own
 * mapping of them. */
static int files_stay(int argc, char **argv)
{
	struct iommu_ioas_map_file file = {
		.size = sizeof(file),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.length = 8 * PAGE,
		.iova = IOVA,
	};
	struct place p;
	char *mem;

	(void)argc;
	(void)argv;
	CHECK(!start(&p));
	file.ioas_id = (uint32_t)p.ioas;
	file.fd = memfd_create("memory", 0);
	CHECK(!ftruncate(file.fd, 8 * PAGE));
	mem = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, file.fd, 0);
	CHECK(!ioctl(p.fd, IOMMU_IOAS_MAP_FILE, &file));
	CHECK(lead(&p, mem, 8, "yyyyyyyy"));
	CHECK(!munmap(mem, 8 * PAGE));
	mem = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, file.fd, 0);
	CHECK(lead(&p, mem, 8, "yyyyyyyy"));
	return 0;
}

const struct scenario memory_scenarios[] = {
	{ "goes-away", goes_away },
	{ "files-stay", files_stay },
	{ NULL, NULL },
};
