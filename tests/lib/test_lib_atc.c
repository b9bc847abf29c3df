// SPDX-License-Identifier: MIT
/*
 * DMA through a device's own cache of translations (NESTFD_DMA_TRANSLATED):
 * what the answer to its translation request says decides how it goes on.
 */
#include "kit.h"

#include <errno.h>
#include <string.h>

#include "guest.h"

#define X	   0x7654000ULL
#define INTERRUPTS 0xfee00000ULL /* VT-d 3.15: 1 MiB */
#define BELOW	   (INTERRUPTS - PAGE)
#define PAGES	   3
#define WRITE	   NESTFD_DMA_WRITE
#define READ	   0u

/* A guest that drives the unit itself; memory where interrupts go, to see them
 */
struct bare {
	struct host host;
	struct guest g;
	uint64_t *messages; /* from INTERRUPTS on */
};

static void bare_start(struct bare *b, enum nestfd_arch arch, bool ats)
{
	*b = (struct bare){
		.host = { .arch = arch,
			  .cache = NESTFD_CACHE_HOSTILE,
			  .guests = 1,
			  .ats = ats,
			  .bare = true },
	};
	b->messages = kit_pages(PAGES);
	assert_int_equal(host_start(&b->host), 0);
	assert_int_equal(nestfd_memory_add(b->host.machine, INTERRUPTS,
					   b->messages, PAGES * PAGE),
			 0);
	assert_int_equal(guest_start(&b->g, &b->host, 0, 1), 0);
	guest_map(&b->g, X, guest_page(&b->g, 0));
}

static void bare_stop(struct bare *b)
{
	guest_stop(&b->g);
	host_stop(&b->host);
	kit_pages_free(b->messages, PAGES);
}

static int dma(struct bare *b, uint64_t iova, void *buf, size_t length,
	       uint32_t flags)
{
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = iova,
		.pasid = NESTFD_NO_PASID,
		.flags = flags,
		.buf = buf,
		.length = length,
	};

	return nestfd_dma(b->g.dev, &dma);
}

static int by_atc(struct bare *b, uint64_t iova, void *buf, size_t length,
		  uint32_t flags)
{
	return dma(b, iova, buf, length, flags | NESTFD_DMA_TRANSLATED);
}

static uint64_t events(struct bare *b)
{
	struct nestfd_iommu_stats stats = { .size = sizeof(stats) };

	nestfd_iommu_stats(b->host.machine, &stats);
	return stats.events;
}

/*
 * 3.15: the answer has U set, so the write must go without translation. As a
 * translated request it would be refused, and recorded (SGN.8).
 */
static void vtd_messages_go_untranslated(void **state)
{
	uint64_t word = 0x1111;
	struct bare b;

	(void)state;
	bare_start(&b, NESTFD_ARCH_VTD, true);
	/* whatever the tables say of that address */
	guest_map(&b.g, INTERRUPTS, guest_page(&b.g, 0));
	assert_int_equal(by_atc(&b, INTERRUPTS + 8, &word, 8, WRITE), 0);
	assert_int_equal(b.messages[1], 0x1111);
	assert_int_equal(guest_get(&b.g, guest_page(&b.g, 0) + 8), 0);
	word = 0x2222;
	assert_int_equal(by_atc(&b, INTERRUPTS + PAGE, &word, 8, WRITE), 0);
	assert_int_equal(b.messages[PAGE / 8], 0x2222);
	assert_int_equal(events(&b), 0);
	bare_stop(&b);
}

/* With NW (no write asked for) the device is told of neither: no DMA then */
static void vtd_messages_are_not_read(void **state)
{
	uint64_t word = 0x1111;
	struct bare b;

	(void)state;
	bare_start(&b, NESTFD_ARCH_VTD, true);
	b.messages[0] = 0x3333;
	assert_int_equal(by_atc(&b, INTERRUPTS, &word, 8, READ), -EIO);
	assert_int_equal(word, 0x1111);
	assert_int_equal(events(&b), 0);
	bare_stop(&b);
}

/* Page by page: each goes as its own answer says. */
static void vtd_a_write_changes_over_where_the_range_begins(void **state)
{
	uint64_t words[4] = { 1, 2, 3, 4 };
	struct bare b;

	(void)state;
	bare_start(&b, NESTFD_ARCH_VTD, true);
	guest_map(&b.g, BELOW, guest_page(&b.g, 1));
	assert_int_equal(
		by_atc(&b, INTERRUPTS - 16, words, sizeof(words), WRITE), 0);
	assert_int_equal(guest_get(&b.g, guest_page(&b.g, 1) + PAGE - 16), 1);
	assert_int_equal(guest_get(&b.g, guest_page(&b.g, 1) + PAGE - 8), 2);
	assert_int_equal(b.messages[0], 3);
	assert_int_equal(b.messages[1], 4);
	/* and over its own pages */
	assert_int_equal(
		by_atc(&b, INTERRUPTS + PAGE - 16, words, sizeof(words), WRITE),
		0);
	assert_memory_equal(&b.messages[PAGE / 8 - 2], words, sizeof(words));
	assert_int_equal(events(&b), 0);
	bare_stop(&b);
}

/* An SMMUv3 has no such addresses: its answer is a translation. */
static void smmuv3_has_no_address_for_messages(void **state)
{
	uint64_t word = 0x1111;
	struct bare b;

	(void)state;
	bare_start(&b, NESTFD_ARCH_SMMUV3, true);
	guest_map(&b.g, INTERRUPTS, guest_page(&b.g, 1));
	assert_int_equal(by_atc(&b, INTERRUPTS, &word, 8, WRITE), 0);
	assert_int_equal(guest_get(&b.g, guest_page(&b.g, 1)), 0x1111);
	assert_int_equal(b.messages[0], 0);
	bare_stop(&b);
}

static void nobody_without_ats_has_such_a_cache(void **state)
{
	static const enum nestfd_arch archs[] = { NESTFD_ARCH_SMMUV3,
						  NESTFD_ARCH_VTD };
	uint64_t word = 0x1111;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct bare b;

		bare_start(&b, archs[i], false);
		assert_int_equal(by_atc(&b, X, &word, 8, WRITE), -EINVAL);
		assert_int_equal(guest_get(&b.g, guest_page(&b.g, 0)), 0);
		assert_int_equal(dma(&b, X, &word, 8, WRITE), 0);
		assert_int_equal(guest_get(&b.g, guest_page(&b.g, 0)), 0x1111);
		bare_stop(&b);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vtd_messages_go_untranslated),
		cmocka_unit_test(vtd_messages_are_not_read),
		cmocka_unit_test(
			vtd_a_write_changes_over_where_the_range_begins),
		cmocka_unit_test(smmuv3_has_no_address_for_messages),
		cmocka_unit_test(nobody_without_ats_has_such_a_cache),
	};

	return RUN(tests, argc, argv);
}
