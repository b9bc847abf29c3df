// SPDX-License-Identifier: MIT
/*
 * The host takes guest memory away (IOMMU_IOAS_UNMAP under a nest parent):
 * nothing of it stays in any cache, although no guest has said a word.
 */
#include "kit.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <string.h>

#include "guest.h"

#define X 0x7654000ULL
/* More guest memory, in another part of the guest's address space */
#define EXTRA	  0x200000000ULL
#define MIB	  (1ULL << 20)
#define S1_AND_S2 1u
#define S2	  2u

struct unmap {
	struct host host; /* first: the checker's ctx is the host */
	struct guest guest;
	unsigned int stale;
	char *extra;
	uint64_t extra_pages;
};

static void count_stale(void *ctx, const struct nestfd_stale *stale)
{
	struct unmap *u = ctx;

	(void)stale;
	u->stale++;
}

static void start(struct unmap *u, enum nestfd_arch arch,
		  enum nestfd_cache cache, bool ats, uint64_t length)
{
	*u = (struct unmap){
		.host = { .arch = arch,
			  .cache = cache,
			  .guests = 1,
			  .ats = ats,
			  .stale = count_stale },
		.extra_pages = length / PAGE,
	};
	assert_int_equal(host_start(&u->host), 0);
	assert_int_equal(guest_start(&u->guest, &u->host, 0, 1), 0);
	u->extra = kit_pages(u->extra_pages);
	assert_int_equal(
		kit_map(u->host.ctx, u->host.ioas, EXTRA, u->extra, length), 0);
}

static void stop(struct unmap *u)
{
	guest_stop(&u->guest);
	host_stop(&u->host);
	kit_pages_free(u->extra, u->extra_pages);
}

/* Entries that lead into physical memory of the extra area: from IOVA X on */
static bool is_combined(const struct nestfd_cache_entry *entry, uint64_t arg)
{
	(void)arg;
	return entry->kind == S1_AND_S2 && entry->iova >= X &&
	       entry->iova < X + 16 * MIB;
}

static bool is_extra_ipa(const struct nestfd_cache_entry *entry, uint64_t arg)
{
	(void)arg;
	return entry->kind == S2 && entry->iova >= EXTRA &&
	       entry->iova < EXTRA + 4096 * MIB;
}

static void expect_cached(struct unmap *u, bool some)
{
	unsigned int both = kit_entries(u->host.machine, is_combined, 0);
	unsigned int ipa = kit_entries(u->host.machine, is_extra_ipa, 0);

	if (some) {
		assert_int_not_equal(both, 0);
	} else {
		assert_int_equal(both, 0);
		assert_int_equal(ipa, 0);
	}
}

static void unmap_and_map_again(enum nestfd_arch arch, enum nestfd_cache cache)
{
	struct unmap u;
	uint64_t word = 0;
	char *fresh;

	start(&u, arch, cache, false, 2 * MIB);
	fresh = kit_pages(512);
	guest_map(&u.guest, X, EXTRA + 0x3000);
	memset(u.extra + 0x3000, 0x11, 8);
	memset(fresh + 0x3000, 0x22, 8);
	assert_int_equal(kit_read(u.guest.dev, X, &word), 0);
	assert_true(word == 0x1111111111111111);
	expect_cached(&u, true);

	assert_int_equal(kit_unmap(u.host.ctx, u.host.ioas, EXTRA, 2 * MIB), 0);
	expect_cached(&u, false);
	assert_int_equal(kit_read(u.guest.dev, X, &word), -EIO);
	assert_int_equal(kit_write(u.guest.dev, X, 1), -EIO);
	assert_int_equal(u.extra[0x3000], 0x11);

	/* other memory at the same place, and not a word from the guest */
	assert_int_equal(
		kit_map(u.host.ctx, u.host.ioas, EXTRA, fresh, 2 * MIB), 0);
	assert_int_equal(kit_read(u.guest.dev, X, &word), 0);
	assert_true(word == 0x2222222222222222);
	assert_int_equal(kit_write(u.guest.dev, X, 0x33), 0);
	assert_int_equal(fresh[0x3000], 0x33);
	assert_int_equal(u.extra[0x3000], 0x11);
	assert_int_equal(u.stale, 0);
	assert_int_equal(kit_unmap(u.host.ctx, u.host.ioas, EXTRA, 2 * MIB), 0);
	kit_pages_free(fresh, 512);
	stop(&u);
}

static void nothing_of_unmapped_memory_stays_under_fast(void **state)
{
	unmap_and_map_again(kit_arch(state), NESTFD_CACHE_FAST);
}

static void nothing_of_unmapped_memory_stays_under_hostile(void **state)
{
	unmap_and_map_again(kit_arch(state), NESTFD_CACHE_HOSTILE);
}

static int read_by_ats(struct guest *g, uint64_t *word)
{
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = X,
		.pasid = NESTFD_NO_PASID,
		.flags = NESTFD_DMA_TRANSLATED,
		.buf = word,
		.length = sizeof(*word),
	};

	return nestfd_dma(g->dev, &dma);
}

static void a_devices_own_cache_is_told_as_well(void **state)
{
	static const enum nestfd_cache policies[] = { NESTFD_CACHE_FAST,
						      NESTFD_CACHE_HOSTILE };

	for (int i = 0; i < 2; i++) {
		struct unmap u;
		uint64_t word = 0;

		start(&u, kit_arch(state), policies[i], true, 2 * MIB);
		guest_map(&u.guest, X, EXTRA + 0x3000);
		memset(u.extra + 0x3000, 0x11, 8);
		assert_int_equal(read_by_ats(&u.guest, &word), 0);
		assert_true(word == 0x1111111111111111);
		assert_int_equal(
			kit_unmap(u.host.ctx, u.host.ioas, EXTRA, 2 * MIB), 0);
		assert_int_equal(read_by_ats(&u.guest, &word), -EIO);
		assert_int_equal(u.stale, 0);
		stop(&u);
	}
}

/* Areas of 4 KiB to 1 GiB: leaves of every size, and several of one size */
static void areas_of_every_size_go_as_a_whole(void **state)
{
	static const uint64_t lengths[] = { PAGE,      7 * PAGE, 2 * MIB,
					    6 * MIB,   64 * MIB, 1024 * MIB,
					    1026 * MIB };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct unmap u;
		uint64_t word, ends[2] = { 0, lengths[i] - PAGE };

		start(&u, kit_arch(state), NESTFD_CACHE_HOSTILE, false,
		      lengths[i]);
		for (int end = 0; end < 2; end++) {
			guest_map(&u.guest, X + end * PAGE, EXTRA + ends[end]);
			assert_int_equal(
				kit_read(u.guest.dev, X + end * PAGE, &word),
				0);
		}
		expect_cached(&u, true);
		assert_int_equal(
			kit_unmap(u.host.ctx, u.host.ioas, EXTRA, lengths[i]),
			0);
		expect_cached(&u, false);
		for (int end = 0; end < 2; end++)
			assert_int_equal(
				kit_read(u.guest.dev, X + end * PAGE, &word),
				-EIO);
		assert_int_equal(u.stale, 0);
		stop(&u);
	}
}

static void half_an_area_is_refused_and_stays(void **state)
{
	struct unmap u;
	uint64_t word;

	start(&u, kit_arch(state), NESTFD_CACHE_HOSTILE, false, 4 * MIB);
	guest_map(&u.guest, X, EXTRA);
	assert_int_equal(kit_read(u.guest.dev, X, &word), 0);
	assert_int_equal(kit_unmap(u.host.ctx, u.host.ioas, EXTRA, 2 * MIB),
			 -ENOENT);
	assert_int_equal(
		kit_unmap(u.host.ctx, u.host.ioas, EXTRA + 2 * MIB, 2 * MIB),
		-ENOENT);
	assert_int_equal(kit_read(u.guest.dev, X, &word), 0);
	assert_int_equal(kit_unmap(u.host.ctx, u.host.ioas, EXTRA, 4 * MIB), 0);
	assert_int_equal(kit_read(u.guest.dev, X, &word), -EIO);
	stop(&u);
}

static void the_area_next_to_it_is_not_disturbed(void **state)
{
	struct unmap u;
	uint64_t word;
	char *next;

	start(&u, kit_arch(state), NESTFD_CACHE_HOSTILE, false, 4 * PAGE);
	next = kit_pages(4);
	/* both lie under one level-3 table of stage 2 */
	assert_int_equal(kit_map(u.host.ctx, u.host.ioas, EXTRA + 4 * PAGE,
				 next, 4 * PAGE),
			 0);
	guest_map(&u.guest, X, EXTRA + 3 * PAGE);
	guest_map(&u.guest, X + PAGE, EXTRA + 4 * PAGE);
	assert_int_equal(kit_read(u.guest.dev, X, &word), 0);
	assert_int_equal(kit_read(u.guest.dev, X + PAGE, &word), 0);
	assert_int_equal(kit_unmap(u.host.ctx, u.host.ioas, EXTRA, 4 * PAGE),
			 0);
	assert_int_equal(kit_read(u.guest.dev, X, &word), -EIO);
	assert_int_equal(kit_read(u.guest.dev, X + PAGE, &word), 0);
	assert_int_equal(u.stale, 0);
	assert_int_equal(
		kit_unmap(u.host.ctx, u.host.ioas, EXTRA + 4 * PAGE, 4 * PAGE),
		0);
	assert_int_equal(kit_read(u.guest.dev, X + PAGE, &word), -EIO);
	kit_pages_free(next, 4);
	stop(&u);
}

/* The root of the guest's tables is at @root from now on. */
static void set_root(struct guest *g, uint64_t root)
{
	if (g->host->arch == NESTFD_ARCH_VTD) {
		/* PASID entry; PASID cache by PASID, P_IOTLB by PASID */
		guest_put(g, g->base + 0x3010, root);
		guest_command(g, 0x17 | (uint64_t)g->asid << 16, 0);
		guest_command(g, 0x26 | (uint64_t)g->asid << 16, 0);
	} else {
		/* TTB0; CFGI_CD and TLBI_NH_ASID */
		guest_put(g, g->base + 0x2008, root);
		guest_command(g, 0x05 | (uint64_t)g->vsid << 32, 1);
		guest_command(g, 0x11 | (uint64_t)g->asid << 48, 0);
	}
	guest_wait(g);
	guest_ring(g);
	assert_true(guest_is_done(g));
}

/* Tables from @root on, one below the other: X leads to @gpa */
static void make_tables(struct unmap *u, uint64_t gpa)
{
	bool vtd = u->host.arch == NESTFD_ARCH_VTD;
	uint64_t *words = (uint64_t *)u->extra;
	unsigned int levels = vtd ? 4 : 3;

	for (unsigned int n = 0; n < levels; n++) {
		uint64_t index = X >> (12 + 9 * (levels - 1 - n)) & 0x1ff;
		uint64_t next = EXTRA + (n + 1) * PAGE;

		words[512 * n + index] = n == levels - 1
						 ? gpa | (vtd ? 0x67 : 0xf43)
						 : next | (vtd ? 0x27 : 3);
	}
}

/* The guest's own tables lie in what goes */
static void tables_of_the_guest_can_go_as_well(void **state)
{
	struct unmap u;
	uint64_t word = 0;

	start(&u, kit_arch(state), NESTFD_CACHE_HOSTILE, false, 2 * MIB);
	make_tables(&u, guest_page(&u.guest, 5));
	guest_put(&u.guest, guest_page(&u.guest, 5), 0x55);
	set_root(&u.guest, EXTRA);
	assert_int_equal(kit_read(u.guest.dev, X, &word), 0);
	assert_int_equal(word, 0x55);

	assert_int_equal(kit_unmap(u.host.ctx, u.host.ioas, EXTRA, 2 * MIB), 0);
	assert_int_equal(kit_read(u.guest.dev, X, &word), -EIO);
	assert_int_equal(
		kit_map(u.host.ctx, u.host.ioas, EXTRA, u.extra, 2 * MIB), 0);
	assert_int_equal(kit_read(u.guest.dev, X, &word), 0);
	assert_int_equal(u.stale, 0);
	stop(&u);
}

static void all_of_it_can_go_at_once(void **state)
{
	struct iommu_ioas_unmap all = { .size = sizeof(all),
					.length = UINT64_MAX };
	struct unmap u;
	uint64_t word;

	start(&u, kit_arch(state), NESTFD_CACHE_HOSTILE, false, 2 * MIB);
	guest_map(&u.guest, X, EXTRA);
	assert_int_equal(kit_read(u.guest.dev, X, &word), 0);
	all.ioas_id = u.host.ioas;
	assert_int_equal(nestfd_ioctl(u.host.ctx, IOMMU_IOAS_UNMAP, &all), 0);
	assert_int_equal(all.length, GUEST_PART + 2 * MIB);
	expect_cached(&u, false);
	assert_int_equal(kit_read(u.guest.dev, X, &word), -EIO);
	assert_int_equal(u.stale, 0);
	stop(&u);
}

/* What is above, a hundred times at one place with another page each time */
static void memory_comes_and_goes_without_a_trace(void **state)
{
	static const enum nestfd_cache policies[] = { NESTFD_CACHE_FAST,
						      NESTFD_CACHE_HOSTILE };

	for (int i = 0; i < 2; i++) {
		struct unmap u;
		uint64_t word = 0;

		start(&u, kit_arch(state), policies[i], false, 128 * PAGE);
		assert_int_equal(
			kit_unmap(u.host.ctx, u.host.ioas, EXTRA, 128 * PAGE),
			0);
		guest_map(&u.guest, X, EXTRA);
		for (unsigned int n = 0; n < 100; n++) {
			char *page = u.extra + n * PAGE;

			memcpy(page, &n, sizeof(n));
			assert_int_equal(kit_map(u.host.ctx, u.host.ioas, EXTRA,
						 page, PAGE),
					 0);
			assert_int_equal(kit_read(u.guest.dev, X, &word), 0);
			assert_int_equal(word, n);
			assert_int_equal(
				kit_unmap(u.host.ctx, u.host.ioas, EXTRA, PAGE),
				0);
			assert_int_equal(kit_read(u.guest.dev, X, &word), -EIO);
		}
		assert_int_equal(u.stale, 0);
		stop(&u);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		EACH_ARCH(nothing_of_unmapped_memory_stays_under_fast),
		EACH_ARCH(nothing_of_unmapped_memory_stays_under_hostile),
		EACH_ARCH(a_devices_own_cache_is_told_as_well),
		EACH_ARCH(areas_of_every_size_go_as_a_whole),
		EACH_ARCH(half_an_area_is_refused_and_stays),
		EACH_ARCH(the_area_next_to_it_is_not_disturbed),
		EACH_ARCH(tables_of_the_guest_can_go_as_well),
		EACH_ARCH(all_of_it_can_go_at_once),
		EACH_ARCH(memory_comes_and_goes_without_a_trace),
	};

	return RUN(tests, argc, argv);
}
