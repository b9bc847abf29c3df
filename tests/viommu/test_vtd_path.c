// SPDX-License-Identifier: MIT
/*
 * The virtual VT-d unit over libnestfd: guests' first- and second-stage tables
 * translate a device's DMA, and what they invalidate is gone from the
 * hardware's caches, which keep all that the architecture lets them keep.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "nestfd/model.h"
#include "nestfd/nestfd.h"
#include "nestfd/viommu.h"

#define RAM_SIZE 0x1000000u
#define ROOT	 0x1000u
#define CTX	 0x2000u
#define DIR	 0x3000u
#define PASIDS	 0x4000u
#define STATUS	 0x5000u
#define MSI	 0x6000u
#define QUEUE	 0x10000u
#define FS_TABLE 0x100000u /* and the three behind it: 48 bits */
#define SS_TABLE 0x200000u
#define OTHER_FS 0x300000u
#define DATA(n)	 (0x800000u + (n)*0x1000u)
#define IOVA(n)	 ((n)*0x1000ull)
#define SID	 0x10u
#define HOST_SID 0x321u

#define R_GCMD	 0x18
#define R_RTADDR 0x20
#define R_FSTS	 0x34
#define R_FECTL	 0x38
#define R_FEDATA 0x3c
#define R_FEADDR 0x40
#define R_IQT	 0x88
#define R_IQA	 0x90
#define R_IQERCD 0xb0

struct world {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	struct nestfd_device *dev;
	struct nestfd_viommu *viommu;
	uint8_t *ram;
	uint32_t ioas, parent, dev_id;
	uint32_t tail, waits;
	bool legacy;
	atomic_uint stale;
};

static void count_stale(void *ctx, const struct nestfd_stale *stale)
{
	struct world *w = ctx;

	(void)stale;
	w->stale++;
}

static bool in_ram(uint64_t gpa, size_t len)
{
	return gpa < RAM_SIZE && len <= RAM_SIZE - gpa;
}

/* A guest's threads and the hardware may be at it: words at once */
static int ram_read(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	struct world *w = ctx;

	if (!in_ram(gpa, len))
		return -EFAULT;
	for (size_t i = 0; i < len; i += 8)
		((uint64_t *)buf)[i / 8] = __atomic_load_n(
			(uint64_t *)(w->ram + gpa + i), __ATOMIC_ACQUIRE);
	return 0;
}

static int ram_write(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	struct world *w = ctx;

	if (!in_ram(gpa, len) || len != 4)
		return -EFAULT;
	__atomic_store_n((uint32_t *)(w->ram + gpa), *(const uint32_t *)buf,
			 __ATOMIC_RELEASE);
	return 0;
}

static void put(struct world *w, uint64_t gpa, uint64_t word)
{
	__atomic_store_n((uint64_t *)(w->ram + gpa), word, __ATOMIC_RELEASE);
}

static uint64_t get(struct world *w, uint64_t gpa)
{
	return __atomic_load_n((uint64_t *)(w->ram + gpa), __ATOMIC_ACQUIRE);
}

static int attach(void *ctx, uint32_t pt_id)
{
	struct world *w = ctx;

	return nestfd_attach(w->dev, NESTFD_NO_PASID, &pt_id);
}

static int attach_pasid(void *ctx, uint32_t pasid, uint32_t pt_id)
{
	struct world *w = ctx;

	if (pt_id)
		return nestfd_attach(w->dev, pasid, &pt_id);
	nestfd_detach(w->dev, pasid);
	return 0;
}

static void make_parent(struct world *w)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = 7,
		.user_va = (uintptr_t)w->ram,
		.length = RAM_SIZE,
	};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = 9, /* NEST_PARENT, PASID */
		.dev_id = w->dev_id,
	};

	assert_int_equal(nestfd_ioctl(w->ctx, IOMMU_IOAS_ALLOC, &ioas), 0);
	w->ioas = ioas.out_ioas_id;
	map.ioas_id = w->ioas;
	assert_int_equal(nestfd_ioctl(w->ctx, IOMMU_IOAS_MAP, &map), 0);
	hwpt.pt_id = w->ioas;
	assert_int_equal(nestfd_ioctl(w->ctx, IOMMU_HWPT_ALLOC, &hwpt), 0);
	w->parent = hwpt.out_hwpt_id;
}

static void make_viommu(struct world *w)
{
	struct nestfd_viommu_config config = {
		.size = sizeof(config),
		.backend = { .ctx = w->ctx, .ioctl = nestfd_ioctl },
		.guest = { .ctx = w, .read = ram_read, .write = ram_write },
		.dev_id = w->dev_id,
		.parent_hwpt = w->parent,
		.parent_ioas = w->ioas,
	};
	struct nestfd_viommu_device device = {
		.size = sizeof(device),
		.vsid = SID,
		.dev_id = w->dev_id,
		.attach = attach,
		.attach_pasid = attach_pasid,
		.ctx = w,
	};

	assert_int_equal(nestfd_viommu_vtd_create(&config, &w->viommu), 0);
	assert_int_equal(nestfd_viommu_device_add(w->viommu, &device), 0);
}

static struct world *world_start(bool ats)
{
	struct world *w = test_calloc(1, sizeof(*w));
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_VTD,
		.cache = NESTFD_CACHE_HOSTILE,
		.stale = count_stale,
		.ctx = w,
	};
	struct nestfd_device_config device = {
		.size = sizeof(device),
		.stream_id = HOST_SID,
		.pasid_bits = 20,
		.ats = ats,
	};

	w->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(w->ram, MAP_FAILED);
	assert_int_equal(nestfd_machine_create(&config, &w->machine), 0);
	assert_int_equal(nestfd_device_add(w->machine, &device, &w->dev), 0);
	assert_int_equal(nestfd_open(w->machine, &w->ctx), 0);
	assert_int_equal(nestfd_bind(w->ctx, w->dev, &w->dev_id), 0);
	make_parent(w);
	make_viommu(w);
	return w;
}

static void world_end(struct world *w)
{
	nestfd_viommu_destroy(w->viommu);
	nestfd_device_remove(w->dev);
	nestfd_close(w->ctx);
	nestfd_machine_destroy(w->machine);
	munmap(w->ram, RAM_SIZE);
	test_free(w);
}

/* ---- the guest ---- */

static void set(struct world *w, uint32_t offset, uint32_t value)
{
	nestfd_viommu_write(w->viommu, offset, 4, value);
}

static void set64(struct world *w, uint32_t offset, uint64_t value)
{
	nestfd_viommu_write(w->viommu, offset, 8, value);
}

static uint64_t reg(struct world *w, uint32_t offset)
{
	return nestfd_viommu_read(w->viommu, offset,
				  offset == R_IQERCD ? 8 : 4);
}

/* Three levels of one entry each above a table of 512 pages at the end */
static void link_tables(struct world *w, uint64_t table, uint64_t bits)
{
	for (int i = 0; i < 3; i++)
		put(w, table + i * 0x1000, (table + (i + 1) * 0x1000) | bits);
}

/* P, RW, US, A, D; 0: not present */
static void fs_map(struct world *w, uint64_t table, uint32_t n, uint64_t gpa)
{
	put(w, table + 0x3000 + n * 8, gpa ? gpa | 0x67 : 0);
}

static void ss_map(struct world *w, uint32_t n, uint64_t gpa)
{
	put(w, SS_TABLE + 0x3000 + n * 8, gpa ? gpa | 3 : 0);
}

static void set_pasid(struct world *w, uint32_t pasid, uint64_t dw0,
		      uint64_t did, uint64_t dw2)
{
	put(w, PASIDS + pasid * 64 + 8, did);
	put(w, PASIDS + pasid * 64 + 16, dw2);
	put(w, PASIDS + pasid * 64, dw0);
}

static void boot(struct world *w, uint64_t ttm, uint64_t wide)
{
	set(w, R_FEDATA, 0x77);
	set(w, R_FEADDR, MSI);
	set(w, R_FECTL, 0);
	set64(w, R_IQA, QUEUE | wide);
	set64(w, R_RTADDR, ROOT | ttm);
	set(w, R_GCMD, 0x40000000);
	set(w, R_GCMD, 0x84000000);
	w->tail = 0;
}

static void boot_scalable(struct world *w, bool ats)
{
	link_tables(w, FS_TABLE, 0x27);
	link_tables(w, OTHER_FS, 0x27);
	link_tables(w, SS_TABLE, 3);
	put(w, ROOT, CTX | 1);
	put(w, CTX + SID * 32, DIR | (ats ? 0xd : 9));
	put(w, DIR, PASIDS | 1);
	set_pasid(w, 0, 0x41, 1, FS_TABLE);
	boot(w, 0x400, 0x800);
}

static void desc(struct world *w, uint64_t dw0, uint64_t dw1)
{
	uint32_t size = w->legacy ? 16 : 32;
	uint64_t at = QUEUE + w->tail * size;

	put(w, at, dw0);
	put(w, at + 8, dw1);
	w->tail = (w->tail + 1) % (w->legacy ? 256 : 128);
}

static uint32_t ring(struct world *w)
{
	w->waits++;
	desc(w, 0x25 | (uint64_t)w->waits << 32, STATUS);
	set64(w, R_IQT, w->tail * (w->legacy ? 16 : 32));
	return w->waits;
}

static void go(struct world *w, uint64_t dw0, uint64_t dw1)
{
	uint32_t wait;

	desc(w, dw0, dw1);
	wait = ring(w);
	assert_int_equal((uint32_t)get(w, STATUS), wait);
}

static bool reads(struct world *w, uint32_t pasid, uint64_t iova,
		  uint64_t expect)
{
	uint64_t word = 0;
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = iova,
		.pasid = pasid,
		.buf = &word,
		.length = 8,
	};

	return !nestfd_dma(w->dev, &dma) && word == expect;
}

static bool aborts(struct world *w, uint32_t pasid, uint64_t iova)
{
	uint64_t word;
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = iova,
		.pasid = pasid,
		.buf = &word,
		.length = 8,
	};

	return nestfd_dma(w->dev, &dma) == -EIO;
}

static void fill(struct world *w)
{
	for (uint32_t i = 0; i < 64; i++)
		put(w, DATA(i), 0x1000 + i);
}

/* ---- tests ---- */

static void first_stage_tables_translate(void **state)
{
	struct world *w = world_start(false);

	(void)state;
	fill(w);
	/* before: guest physical */
	assert_true(reads(w, NESTFD_NO_PASID, DATA(3), 0x1003));
	boot_scalable(w, false);
	assert_true(aborts(w, NESTFD_NO_PASID, IOVA(1)));
	for (uint32_t i = 1; i < 32; i++)
		fs_map(w, FS_TABLE, i, DATA(i));
	go(w, 0x10026, 0); /* P_IOTLB: DID 1, PASID 0 */
	for (uint32_t i = 1; i < 32; i++)
		assert_true(reads(w, NESTFD_NO_PASID, IOVA(i), 0x1000 + i));
	assert_true(aborts(w, NESTFD_NO_PASID, DATA(3)));
	/* translation off again */
	set(w, R_GCMD, 0x04000000);
	assert_true(reads(w, NESTFD_NO_PASID, DATA(3), 0x1003));
	assert_int_equal(w->stale, 0);
	world_end(w);
}

static void pages_are_invalidated_one_by_one(void **state)
{
	struct world *w = world_start(false);

	(void)state;
	fill(w);
	boot_scalable(w, false);
	for (uint32_t i = 1; i < 32; i++)
		fs_map(w, FS_TABLE, i, DATA(i));
	for (uint32_t i = 1; i < 32; i++)
		assert_true(reads(w, NESTFD_NO_PASID, IOVA(i), 0x1000 + i));
	for (uint32_t i = 1; i < 32; i += 2) {
		fs_map(w, FS_TABLE, i, i & 2 ? 0 : DATA(40));
		desc(w, 0x10036, IOVA(i) | 0x40);
	}
	ring(w);
	assert_int_equal((uint32_t)get(w, STATUS), w->waits);
	for (uint32_t i = 1; i < 32; i++) {
		if (!(i & 1))
			assert_true(
				reads(w, NESTFD_NO_PASID, IOVA(i), 0x1000 + i));
		else if (i & 2)
			assert_true(aborts(w, NESTFD_NO_PASID, IOVA(i)));
		else
			assert_true(reads(w, NESTFD_NO_PASID, IOVA(i), 0x1028));
	}
	assert_int_equal(w->stale, 0);
	world_end(w);
}

static void a_missing_invalidation_is_found(void **state)
{
	struct world *w = world_start(false);

	(void)state;
	fill(w);
	boot_scalable(w, false);
	fs_map(w, FS_TABLE, 1, DATA(1));
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(1), 0x1001));
	fs_map(w, FS_TABLE, 1, DATA(2));
	desc(w, 0x10036, IOVA(2)); /* the next page */
	desc(w, 0x20026, 0);	   /* another domain */
	ring(w);
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(1), 0x1001));
	assert_int_equal(w->stale, 1);
	go(w, 0x10036, IOVA(1));
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(1), 0x1002));
	assert_int_equal(w->stale, 1);
	world_end(w);
}

static void every_granularity_reaches_the_caches(void **state)
{
	static const uint64_t descs[][2] = {
		{ 0x10036, 0x1000 }, { 0x10036, 9 }, { 0x10036, 0x3f },
		{ 0x10026, 0 },	     { 0x12, 0 },    { 0x10022, 0 },
		{ 0x10032, 0 },
	};
	struct world *w = world_start(false);

	(void)state;
	fill(w);
	boot_scalable(w, false);
	for (uint32_t i = 0; i < sizeof(descs) / sizeof(descs[0]); i++) {
		fs_map(w, FS_TABLE, 1, DATA(i));
		go(w, descs[i][0], descs[i][1]);
		assert_true(reads(w, NESTFD_NO_PASID, IOVA(1), 0x1000 + i));
	}
	assert_int_equal(w->stale, 0);
	world_end(w);
}

static void another_table_takes_the_place_of_the_first(void **state)
{
	struct world *w = world_start(false);

	(void)state;
	fill(w);
	boot_scalable(w, false);
	fs_map(w, FS_TABLE, 1, DATA(1));
	fs_map(w, OTHER_FS, 1, DATA(2));
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(1), 0x1001));
	set_pasid(w, 0, 0x41, 1, OTHER_FS);
	desc(w, 0x10017, 0); /* PASID cache */
	go(w, 0x10026, 0);
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(1), 0x1002));
	set_pasid(w, 0, 0x101, 1, 0); /* passes */
	go(w, 0x10017, 0);
	assert_true(reads(w, NESTFD_NO_PASID, DATA(5), 0x1005));
	put(w, PASIDS, 0);
	go(w, 0x10017, 0);
	assert_true(aborts(w, NESTFD_NO_PASID, DATA(5)));
	assert_true(aborts(w, NESTFD_NO_PASID, IOVA(1)));
	assert_int_equal(w->stale, 0);
	world_end(w);
}

static void pasids_have_spaces_of_their_own(void **state)
{
	struct world *w = world_start(false);

	(void)state;
	fill(w);
	boot_scalable(w, false);
	fs_map(w, FS_TABLE, 1, DATA(1));
	fs_map(w, OTHER_FS, 1, DATA(2));
	assert_true(aborts(w, 5, IOVA(1)));
	set_pasid(w, 5, 0x41, 1, OTHER_FS);
	go(w, 0x10017 | 5ull << 32, 0);
	assert_true(reads(w, 5, IOVA(1), 0x1002));
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(1), 0x1001));
	fs_map(w, OTHER_FS, 1, DATA(3));
	go(w, 0x10036 | 5ull << 32, IOVA(1));
	assert_true(reads(w, 5, IOVA(1), 0x1003));
	put(w, PASIDS + 5 * 64, 0);
	go(w, 0x10017 | 5ull << 32, 0);
	assert_true(aborts(w, 5, IOVA(1)));
	assert_int_equal(w->stale, 0);
	world_end(w);
}

static void second_stage_tables_are_shadowed(void **state)
{
	struct world *w = world_start(false);

	(void)state;
	fill(w);
	boot_scalable(w, false);
	ss_map(w, 1, DATA(1));
	set_pasid(w, 0, SS_TABLE | 0x89, 7, 0);
	go(w, 0x10017, 0);
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(1), 0x1001));
	assert_true(aborts(w, NESTFD_NO_PASID, IOVA(2)));
	ss_map(w, 1, DATA(3));
	ss_map(w, 2, DATA(4));
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(1), 0x1001));
	go(w, 0x70032, IOVA(0) | 2);
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(1), 0x1003));
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(2), 0x1004));
	ss_map(w, 2, 0);
	go(w, 0x70022, 0);
	assert_true(aborts(w, NESTFD_NO_PASID, IOVA(2)));
	assert_int_equal(w->stale, 0);
	world_end(w);
}

/* What one of them is told to forget none of them finds any more. */
static void domains_share_a_table(void **state)
{
	struct world *w = world_start(false);

	(void)state;
	fill(w);
	boot_scalable(w, false);
	ss_map(w, 1, DATA(1));
	set_pasid(w, 5, SS_TABLE | 0x89, 7, 0);
	set_pasid(w, 6, SS_TABLE | 0x89, 8, 0);
	go(w, 0x37, 0);
	assert_true(reads(w, 5, IOVA(1), 0x1001));
	assert_true(reads(w, 6, IOVA(1), 0x1001));
	ss_map(w, 1, DATA(3));
	ss_map(w, 2, DATA(2));
	go(w, 0x80032, IOVA(0) | 2);
	assert_true(reads(w, 5, IOVA(1), 0x1003));
	assert_true(reads(w, 5, IOVA(2), 0x1002));
	put(w, PASIDS + 6 * 64, 0);
	go(w, 0x37, 0);
	assert_true(aborts(w, 6, IOVA(1)));
	assert_true(reads(w, 5, IOVA(1), 0x1003));
	ss_map(w, 1, 0);
	go(w, 0x70022, 0);
	assert_true(aborts(w, 5, IOVA(1)));
	assert_int_equal(w->stale, 0);
	world_end(w);
}

#define LEAVES	    (79 * 512u)
#define LEAF_TABLES 0x400000u

/* All of them, at 2 MiB and behind */
static void put_leaves(struct world *w, uint64_t entry)
{
	for (uint32_t i = 0; i < LEAVES / 512; i++)
		put(w, SS_TABLE + 0x2008 + i * 8,
		    (LEAF_TABLES + i * 0x1000) | 3);
	for (uint32_t i = 0; i < LEAVES; i++)
		put(w, LEAF_TABLES + i * 8, entry);
}

static void *pump(void *arg)
{
	while (nestfd_viommu_pump(((struct world *)arg)->viommu) > 0)
		;
	return NULL;
}

/*
 * More than one access of the guest's carries out: when the wait says that it
 * is done all of it is, whoever went on with it.
 */
static void many_leaves_take_several_accesses(void **state)
{
	struct world *w = world_start(false);
	uint64_t last = IOVA(512 + LEAVES - 1);
	pthread_t thread;
	uint32_t wait;

	(void)state;
	fill(w);
	boot_scalable(w, false);
	put_leaves(w, DATA(1) | 3);
	set_pasid(w, 0, SS_TABLE | 0x89, 7, 0);
	desc(w, 0x10017, 0);
	wait = ring(w);
	assert_int_not_equal((uint32_t)get(w, STATUS), wait);
	while ((uint32_t)get(w, STATUS) != wait)
		assert_int_equal(reg(w, R_FSTS), 0);
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(512), 0x1001));
	assert_true(reads(w, NESTFD_NO_PASID, last, 0x1001));
	put_leaves(w, DATA(2) | 3);
	desc(w, 0x70022, 0);
	wait = ring(w);
	pthread_create(&thread, NULL, pump, w);
	while ((uint32_t)get(w, STATUS) != wait)
		assert_int_equal(reg(w, R_FSTS), 0);
	pthread_join(thread, NULL);
	for (uint64_t iova = IOVA(512); iova <= last; iova += 0x5000)
		assert_true(reads(w, NESTFD_NO_PASID, iova, 0x1002));
	assert_int_equal(w->stale, 0);
	world_end(w);
}

/* One leaf for addresses that no table translates keeps no other away. */
static void leaves_in_the_interrupt_window_do_no_harm(void **state)
{
	struct world *w = world_start(false);

	(void)state;
	fill(w);
	boot_scalable(w, false);
	ss_map(w, 1, DATA(1));
	/* 0xfee00000 */
	put(w, SS_TABLE + 0x1018, (SS_TABLE + 0x4000) | 3);
	put(w, SS_TABLE + 0x4fb8, (SS_TABLE + 0x5000) | 3);
	put(w, SS_TABLE + 0x5000, DATA(2) | 3);
	set_pasid(w, 0, SS_TABLE | 0x89, 7, 0);
	go(w, 0x10017, 0);
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(1), 0x1001));
	assert_true(aborts(w, NESTFD_NO_PASID, 0xfee00000));
	/* nor one that comes when it is attached */
	put(w, SS_TABLE + 0x5008, DATA(3) | 3);
	ss_map(w, 2, DATA(4));
	go(w, 0x70022, 0);
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(2), 0x1004));
	assert_int_equal(w->stale, 0);
	world_end(w);
}

static void legacy_mode_works(void **state)
{
	struct world *w = world_start(false);

	(void)state;
	fill(w);
	w->legacy = true;
	link_tables(w, SS_TABLE, 3);
	ss_map(w, 1, DATA(1));
	put(w, ROOT, CTX | 1);
	put(w, CTX + SID * 16, SS_TABLE | 1);
	put(w, CTX + SID * 16 + 8, 0x702);
	boot(w, 0, 0);
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(1), 0x1001));
	ss_map(w, 1, 0);
	ss_map(w, 2, DATA(2));
	go(w, 0x70032, IOVA(0) | 2);
	assert_true(aborts(w, NESTFD_NO_PASID, IOVA(1)));
	assert_true(reads(w, NESTFD_NO_PASID, IOVA(2), 0x1002));
	put(w, CTX + SID * 16, 9); /* passes */
	go(w, 0x31 | (uint64_t)SID << 32, 0);
	assert_true(reads(w, NESTFD_NO_PASID, DATA(2), 0x1002));
	assert_int_equal(w->stale, 0);
	world_end(w);
}

static bool reads_by_ats(struct world *w, uint64_t iova, uint64_t expect)
{
	uint64_t word = 0;
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = iova,
		.pasid = NESTFD_NO_PASID,
		.flags = NESTFD_DMA_TRANSLATED,
		.buf = &word,
		.length = 8,
	};

	return !nestfd_dma(w->dev, &dma) && word == expect;
}

static void device_tlbs_are_the_hosts_affair(void **state)
{
	struct world *w = world_start(true);

	(void)state;
	fill(w);
	boot_scalable(w, true);
	fs_map(w, FS_TABLE, 1, DATA(1));
	assert_true(reads_by_ats(w, IOVA(1), 0x1001));
	fs_map(w, FS_TABLE, 1, DATA(2));
	desc(w, 0x10036, IOVA(1));
	go(w, 0x3 | (uint64_t)SID << 32, IOVA(1));
	assert_true(reads_by_ats(w, IOVA(1), 0x1002));
	assert_int_equal(w->stale, 0);
	world_end(w);
}

/* ITE of the hardware, with the source-id that the guest knows */
static void a_silent_device_is_told_to_the_guest(void **state)
{
	struct world *w = world_start(true);
	struct nestfd_fault fault = {
		.size = sizeof(fault),
		.kind = NESTFD_FAULT_ATC_TIMEOUT,
		.opcode = NESTFD_FAULT_ANY,
		.stream_id = HOST_SID,
		.count = 1,
	};
	uint32_t wait;

	(void)state;
	fill(w);
	boot_scalable(w, true);
	fs_map(w, FS_TABLE, 1, DATA(1));
	assert_true(reads_by_ats(w, IOVA(1), 0x1001));
	fs_map(w, FS_TABLE, 1, DATA(2));
	assert_int_equal(nestfd_inject(w->machine, &fault), 0);
	go(w, 0x10036, IOVA(1)); /* nothing to see yet */
	assert_int_equal(reg(w, R_FSTS), 0);
	desc(w, 0x3 | (uint64_t)SID << 32, IOVA(1));
	wait = ring(w);
	assert_int_equal(reg(w, R_FSTS), 0x40);
	assert_int_equal(reg(w, R_IQERCD) >> 32, SID);
	assert_int_equal((uint32_t)get(w, STATUS), wait - 1);
	assert_int_equal((uint32_t)get(w, MSI), 0x77);
	set(w, R_FSTS, 0x40);
	assert_int_equal((uint32_t)get(w, STATUS), wait);
	/* tried again it is answered */
	desc(w, 0x10036, IOVA(1));
	go(w, 0x3 | (uint64_t)SID << 32, IOVA(1));
	assert_int_equal(reg(w, R_FSTS), 0);
	assert_true(reads_by_ats(w, IOVA(1), 0x1002));
	assert_int_equal(w->stale, 0);
	world_end(w);
}

/* ICE likewise; the queue goes on */
static void a_senseless_answer_is_told_to_the_guest(void **state)
{
	struct world *w = world_start(true);
	struct nestfd_fault fault = {
		.size = sizeof(fault),
		.kind = NESTFD_FAULT_ATC_BAD,
		.opcode = NESTFD_FAULT_ANY,
		.stream_id = HOST_SID,
		.count = 1,
	};

	(void)state;
	fill(w);
	boot_scalable(w, true);
	fs_map(w, FS_TABLE, 1, DATA(1));
	assert_true(reads_by_ats(w, IOVA(1), 0x1001));
	fs_map(w, FS_TABLE, 1, DATA(2));
	assert_int_equal(nestfd_inject(w->machine, &fault), 0);
	go(w, 0x10036, IOVA(1));
	assert_int_equal(reg(w, R_FSTS), 0);
	go(w, 0x3 | (uint64_t)SID << 32, IOVA(1));
	assert_int_equal(reg(w, R_FSTS), 0x20);
	assert_int_equal(reg(w, R_IQERCD) >> 48, SID);
	assert_int_equal((uint32_t)get(w, MSI), 0x77);
	set(w, R_FSTS, 0x20);
	go(w, 0x3 | (uint64_t)SID << 32, IOVA(1));
	assert_int_equal(reg(w, R_FSTS), 0);
	world_end(w);
}

/* ---- threads ---- */

struct racer {
	struct world *w;
	atomic_bool stop;
};

static void *do_dma(void *arg)
{
	struct racer *racer = arg;
	uint64_t word;

	while (!racer->stop)
		for (uint32_t i = 1; i < 16; i++)
			nestfd_dma_read(racer->w->dev, IOVA(i), &word, 8);
	return NULL;
}

static void *toggle(void *arg)
{
	struct racer *racer = arg;

	while (!racer->stop) {
		set(racer->w, R_GCMD, 0x04000000);
		set(racer->w, R_GCMD, 0x84000000);
		(void)reg(racer->w, R_FSTS);
	}
	return NULL;
}

static void *plug(void *arg)
{
	struct racer *racer = arg;
	struct nestfd_viommu_device device = {
		.size = sizeof(device),
		.vsid = SID,
		.dev_id = racer->w->dev_id,
		.attach = attach,
		.attach_pasid = attach_pasid,
		.ctx = racer->w,
	};

	while (!racer->stop) {
		nestfd_viommu_device_remove(racer->w->viommu, SID);
		nestfd_viommu_device_add(racer->w->viommu, &device);
	}
	return NULL;
}

static void threads_do_not_meet(void **state)
{
	struct world *w = world_start(true);
	struct racer racer = { .w = w };
	void *(*const jobs[])(void *) = { do_dma, toggle, plug };
	pthread_t threads[3];

	(void)state;
	fill(w);
	boot_scalable(w, true);
	set_pasid(w, 5, 0x41, 1, OTHER_FS);
	set_pasid(w, 6, SS_TABLE | 0x89, 7, 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, jobs[i], &racer);
	for (uint32_t i = 0; i < 400; i++) {
		fs_map(w, FS_TABLE, 1 + i % 15, i % 3 ? DATA(i % 32) : 0);
		desc(w, 0x10036, IOVA(1 + i % 15));
		if (i % 16 == 0) {
			set_pasid(w, 0, i % 32 ? 0x41 : 0x101, 1, FS_TABLE);
			desc(w, 0x37, 0);
			desc(w, 0x12, 0);
		}
		ring(w);
	}
	racer.stop = true;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal((uint32_t)get(w, STATUS), w->waits);
	/*
	 * DMA between a change and its invalidation is stale by right. Now all
	 * has been invalidated that was changed.
	 */
	w->stale = 0;
	set_pasid(w, 0, 0x41, 1, FS_TABLE);
	go(w, 0x37, 0);
	for (uint32_t i = 1; i < 16; i++) {
		uint64_t entry = get(w, FS_TABLE + 0x3000 + i * 8);

		if (entry)
			assert_true(reads(w, NESTFD_NO_PASID, IOVA(i),
					  get(w, entry & ~0xfffull)));
		else
			assert_true(aborts(w, NESTFD_NO_PASID, IOVA(i)));
	}
	assert_int_equal(w->stale, 0);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_stage_tables_translate),
		cmocka_unit_test(pages_are_invalidated_one_by_one),
		cmocka_unit_test(a_missing_invalidation_is_found),
		cmocka_unit_test(every_granularity_reaches_the_caches),
		cmocka_unit_test(another_table_takes_the_place_of_the_first),
		cmocka_unit_test(pasids_have_spaces_of_their_own),
		cmocka_unit_test(second_stage_tables_are_shadowed),
		cmocka_unit_test(domains_share_a_table),
		cmocka_unit_test(many_leaves_take_several_accesses),
		cmocka_unit_test(leaves_in_the_interrupt_window_do_no_harm),
		cmocka_unit_test(legacy_mode_works),
		cmocka_unit_test(device_tlbs_are_the_hosts_affair),
		cmocka_unit_test(a_silent_device_is_told_to_the_guest),
		cmocka_unit_test(a_senseless_answer_is_told_to_the_guest),
		cmocka_unit_test(threads_do_not_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
