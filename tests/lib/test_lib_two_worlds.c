// SPDX-License-Identifier: MIT
/*
 * Side by side in one process: machines, of one architecture or of two,
 * contexts of a machine, virtual IOMMUs of a context. Everything that could be
 * confused has the same number on both sides: StreamIDs and requester ids, ids,
 * ASIDs and domain ids, IOVAs, vSIDs.
 */
#include "kit.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "guest.h"

#define X    0x7654000ULL
#define VSID 0x10u

struct world {
	struct host host; /* first: the checker's ctx is the host */
	unsigned int stale;
	struct guest a;
	struct guest b;
};

static void count_stale(void *ctx, const struct nestfd_stale *stale)
{
	struct world *w = ctx;

	(void)stale;
	w->stale++;
}

static void world_start_on(struct world *w, enum nestfd_arch arch,
			   enum nestfd_cache cache, bool ats)
{
	*w = (struct world){
		.host = { .arch = arch,
			  .cache = cache,
			  .guests = 2,
			  .ats = ats,
			  .stale = count_stale },
	};
	assert_int_equal(host_start(&w->host), 0);
	assert_int_equal(guest_start_as(&w->a, &w->host, 0, 1, VSID), 0);
	/* with ATS, another vSID: then it matters whose is meant */
	assert_int_equal(
		guest_start_as(&w->b, &w->host, 1, 1, ats ? VSID + 1 : VSID),
		0);
}

static void world_start(struct world *w, enum nestfd_cache cache, bool ats)
{
	world_start_on(w, NESTFD_ARCH_SMMUV3, cache, ats);
}

static void world_stop(struct world *w)
{
	guest_stop(&w->b);
	guest_stop(&w->a);
	host_stop(&w->host);
}

/* Pages 0 and 1 of a guest hold @first and @second; X leads to page 0 */
static void furnish(struct guest *g, uint64_t first, uint64_t second)
{
	guest_put(g, guest_page(g, 0), first);
	guest_put(g, guest_page(g, 1), second);
	guest_map(g, X, guest_page(g, 0));
}

static void expect_word(struct guest *g, uint64_t want)
{
	uint64_t word = 0;

	assert_int_equal(kit_read(g->dev, X, &word), 0);
	assert_int_equal(word, want);
}

static bool leads_from_x(const struct nestfd_cache_entry *entry, uint64_t arg)
{
	(void)arg;
	return entry->kind == 1 && entry->iova == X;
}

static uint64_t hits(struct host *host)
{
	struct nestfd_iommu_stats stats = { .size = sizeof(stats) };

	nestfd_iommu_stats(host->machine, &stats);
	return stats.hits;
}

/* ---- two machines ---- */

struct box {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	struct nestfd_device *dev;
	uint32_t dev_id;
	uint32_t ioas;
	uint64_t *page;
};

static void box_start(struct box *box, enum nestfd_cache cache, uint64_t word)
{
	box->page = kit_pages(1);
	box->page[0] = word;
	assert_int_equal(kit_machine(cache, &box->machine), 0);
	assert_int_equal(nestfd_open(box->machine, &box->ctx), 0);
	assert_int_equal(kit_device(box->machine, 5, &box->dev), 0);
	assert_int_equal(nestfd_bind(box->ctx, box->dev, &box->dev_id), 0);
	assert_int_equal(kit_ioas(box->ctx, &box->ioas), 0);
	assert_int_equal(kit_map(box->ctx, box->ioas, X, box->page, PAGE), 0);
	assert_int_equal(kit_attach(box->dev, box->ioas), 0);
}

static void box_stop(struct box *box)
{
	nestfd_machine_destroy(box->machine);
	kit_pages_free(box->page, 1);
}

static void two_machines_have_two_memories(void **state)
{
	struct box one, two;
	uint64_t word = 0;

	(void)state;
	box_start(&one, NESTFD_CACHE_HOSTILE, 111);
	box_start(&two, NESTFD_CACHE_FAST, 222);
	assert_int_equal(one.dev_id, two.dev_id);
	assert_int_equal(one.ioas, two.ioas);
	assert_int_equal(kit_read(one.dev, X, &word), 0);
	assert_int_equal(word, 111);
	assert_int_equal(kit_read(two.dev, X, &word), 0);
	assert_int_equal(word, 222);
	assert_int_equal(kit_write(one.dev, X, 333), 0);
	assert_int_equal(one.page[0], 333);
	assert_int_equal(two.page[0], 222);
	box_stop(&two);
	box_stop(&one);
}

static void what_ends_in_one_machine_goes_on_in_the_other(void **state)
{
	struct box one, two;
	uint64_t word = 0;

	(void)state;
	box_start(&one, NESTFD_CACHE_HOSTILE, 111);
	box_start(&two, NESTFD_CACHE_FAST, 222);
	assert_int_equal(kit_read(two.dev, X, &word), 0);
	assert_int_equal(kit_unmap(one.ctx, one.ioas, X, PAGE), 0);
	assert_int_equal(kit_read(one.dev, X, &word), -EIO);
	assert_int_equal(kit_read(two.dev, X, &word), 0);
	box_stop(&one);
	assert_int_equal(kit_read(two.dev, X, &word), 0);
	assert_int_equal(word, 222);
	assert_int_equal(kit_unmap(two.ctx, two.ioas, X, PAGE), 0);
	assert_int_equal(kit_read(two.dev, X, &word), -EIO);
	box_stop(&two);
}

static void guests_on_two_machines_do_not_meet(void **state)
{
	struct world one, two;

	(void)state;
	world_start(&one, NESTFD_CACHE_HOSTILE, false);
	world_start(&two, NESTFD_CACHE_FAST, false);
	furnish(&one.a, 1, 2);
	furnish(&two.a, 3, 4);
	expect_word(&one.a, 1);
	expect_word(&two.a, 3);
	guest_map(&one.a, X, guest_page(&one.a, 1));
	guest_map(&two.a, X, guest_page(&two.a, 1));
	guest_invalidate(&two.a, X);
	expect_word(&two.a, 4);
	assert_int_equal(one.stale, 0);
	expect_word(&one.a, 1); /* stale, and told */
	assert_int_equal(one.stale, 1);
	guest_invalidate(&one.a, X);
	expect_word(&one.a, 2);
	world_stop(&two);
	world_stop(&one);
}

/* ---- one machine of each architecture ---- */

#define ARCHS 2
static const enum nestfd_arch both[ARCHS] = { NESTFD_ARCH_SMMUV3,
					      NESTFD_ARCH_VTD };

static void start_both(struct world w[ARCHS], bool ats)
{
	for (unsigned int i = 0; i < ARCHS; i++) {
		world_start_on(&w[i], both[i], NESTFD_CACHE_HOSTILE, ats);
		furnish(&w[i].a, 10 * i + 1, 10 * i + 2);
		furnish(&w[i].b, 10 * i + 3, 10 * i + 4);
		expect_word(&w[i].a, 10 * i + 1);
		expect_word(&w[i].b, 10 * i + 3);
	}
}

static void an_architectures_guest_disturbs_none_of_the_others(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ARCHS; i++) {
		struct world w[ARCHS];
		unsigned int o = !i;

		start_both(w, false);
		for (unsigned int k = 0; k < ARCHS; k++)
			guest_map(&w[k].a, X, guest_page(&w[k].a, 1));
		guest_invalidate(&w[i].a, X);
		expect_word(&w[i].a, 10 * i + 2);
		expect_word(&w[i].b, 10 * i + 3);
		/* the same in the other: nobody has told it */
		expect_word(&w[o].a, 10 * o + 1);
		assert_int_equal(w[i].stale, 0);
		assert_int_equal(w[o].stale, 1);
		guest_invalidate(&w[o].a, X);
		expect_word(&w[o].a, 10 * o + 2);
		/* and one ends while the other goes on */
		world_stop(&w[i]);
		expect_word(&w[o].a, 10 * o + 2);
		expect_word(&w[o].b, 10 * o + 3);
		assert_int_equal(w[o].stale, 1);
		world_stop(&w[o]);
	}
}

static void an_error_in_one_is_none_in_the_other(void **state)
{
	struct nestfd_fault fault;

	(void)state;
	for (unsigned int i = 0; i < ARCHS; i++) {
		struct world w[ARCHS];
		unsigned int o = !i;
		uint64_t word;

		start_both(w, true);
		assert_int_equal(nestfd_inject_parse("abt", &fault), 0);
		assert_int_equal(nestfd_inject(w[i].host.machine, &fault), 0);
		guest_invalidate(&w[i].a, X);
		/* that unit is dead now */
		assert_int_equal(kit_read(w[i].b.dev, X, &word), -EIO);
		guest_map(&w[o].a, X, guest_page(&w[o].a, 1));
		guest_invalidate(&w[o].a, X);
		expect_word(&w[o].a, 10 * o + 2);
		expect_word(&w[o].b, 10 * o + 3);
		assert_int_equal(w[o].stale, 0);
		world_stop(&w[o]);
		world_stop(&w[i]);
	}
}

#define ROUNDS 300

static void *move_to_and_fro(void *arg)
{
	struct world *w = arg;

	for (unsigned int n = 0; n < ROUNDS; n++) {
		uint64_t word = 0;

		guest_map(&w->a, X, guest_page(&w->a, n % 2));
		guest_invalidate(&w->a, X);
		if (nestfd_dma_read(w->a.dev, X, &word, sizeof(word)) ||
		    word != guest_get(&w->a, guest_page(&w->a, n % 2)))
			return w;
	}
	return NULL;
}

static void both_at_once_in_threads(void **state)
{
	struct world w[ARCHS];
	pthread_t thread[ARCHS];
	void *wrong;

	(void)state;
	start_both(w, true);
	for (unsigned int i = 0; i < ARCHS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL,
						move_to_and_fro, &w[i]),
				 0);
	for (unsigned int i = 0; i < ARCHS; i++) {
		assert_int_equal(pthread_join(thread[i], &wrong), 0);
		assert_null(wrong);
		assert_int_equal(w[i].stale, 0);
	}
	for (unsigned int i = 0; i < ARCHS; i++)
		world_stop(&w[i]);
}

/* ---- two contexts on one machine ---- */

static void an_id_means_nothing_in_another_context(void **state)
{
	uint32_t ioas, parent, viommu, queue, other_id, id;
	struct nestfd_device *dev;
	struct nestfd *other;
	struct box box;
	char buf[64];
	int fd;

	(void)state;
	box_start(&box, NESTFD_CACHE_FAST, 1);
	assert_int_equal(nestfd_open(box.machine, &other), 0);
	assert_int_equal(kit_device(box.machine, 6, &dev), 0);
	assert_int_equal(nestfd_bind(other, dev, &other_id), 0);

	/* the ids of @box that are not taken in @other as well */
	assert_int_equal(kit_ioas(box.ctx, &ioas), 0);
	assert_int_equal(kit_hwpt(box.ctx, box.dev_id, ioas, 1, &parent), 0);
	assert_int_equal(kit_viommu(box.ctx, box.dev_id, parent, &viommu), 0);
	assert_int_equal(kit_veventq(box.ctx, viommu, &queue, &fd), 0);
	assert_true(ioas > other_id && parent > other_id);

	assert_int_equal(kit_destroy(other, ioas), -ENOENT);
	assert_int_equal(kit_destroy(other, parent), -ENOENT);
	assert_int_equal(kit_destroy(other, viommu), -ENOENT);
	assert_int_equal(kit_map(other, ioas, X, box.page, PAGE), -ENOENT);
	assert_int_equal(kit_unmap(other, ioas, X, PAGE), -ENOENT);
	assert_int_equal(kit_viommu(other, other_id, parent, &id), -ENOENT);
	assert_int_equal(kit_hwpt(other, other_id, ioas, 1, &id), -EINVAL);
	assert_int_equal(kit_vdevice(other, viommu, other_id, 1, &id), -ENOENT);
	assert_int_equal(kit_attach(dev, ioas), -ENOENT);
	assert_int_equal(kit_attach(dev, parent), -ENOENT);
	assert_int_equal(nestfd_read(other, fd, buf, sizeof(buf)), -EBADF);
	assert_int_equal(nestfd_close_fd(other, fd), -EBADF);
	id = 1;
	assert_int_equal(kit_invalidate(other, viommu, buf, &id), -ENOENT);
	assert_int_equal(id, 0);
	box_stop(&box);
}

static void a_device_of_one_context_is_no_device_of_the_other(void **state)
{
	uint32_t ioas, first, id;
	struct nestfd *other;
	struct box box;

	(void)state;
	box_start(&box, NESTFD_CACHE_FAST, 1);
	assert_int_equal(nestfd_open(box.machine, &other), 0);
	/* the device's number is an IOAS over there */
	assert_int_equal(kit_ioas(other, &first), 0);
	assert_int_equal(first, box.dev_id);
	assert_int_equal(kit_ioas(other, &ioas), 0);
	assert_int_equal(kit_hwpt(other, box.dev_id, ioas, 0, &id), -ENOENT);
	assert_int_equal(kit_hwpt(other, 99, ioas, 0, &id), -ENOENT);
	assert_int_equal(nestfd_bind(other, box.dev, &id), -EBUSY);
	box_stop(&box);
}

static void contexts_share_the_iommu_but_no_address(void **state)
{
	struct nestfd_device *dev;
	uint32_t dev_id, ioas;
	struct nestfd *other;
	uint64_t word = 0;
	struct box box;
	uint64_t *page = kit_pages(1);

	(void)state;
	page[0] = 2;
	box_start(&box, NESTFD_CACHE_HOSTILE, 1);
	assert_int_equal(nestfd_open(box.machine, &other), 0);
	assert_int_equal(kit_device(box.machine, 6, &dev), 0);
	assert_int_equal(nestfd_bind(other, dev, &dev_id), 0);
	assert_int_equal(kit_ioas(other, &ioas), 0);
	assert_int_equal(kit_map(other, ioas, X, page, PAGE), 0);
	assert_int_equal(kit_attach(dev, ioas), 0);

	assert_int_equal(kit_read(box.dev, X, &word), 0);
	assert_int_equal(word, 1);
	assert_int_equal(kit_read(dev, X, &word), 0);
	assert_int_equal(word, 2);
	assert_int_equal(kit_unmap(box.ctx, box.ioas, X, PAGE), 0);
	assert_int_equal(kit_read(box.dev, X, &word), -EIO);
	assert_int_equal(kit_read(dev, X, &word), 0);
	nestfd_close(box.ctx);
	assert_int_equal(kit_read(dev, X, &word), 0);
	assert_int_equal(word, 2);
	box_stop(&box);
	kit_pages_free(page, 1);
}

/* ---- two virtual SMMUs over one parent ---- */

static void each_guest_sees_its_own_memory(void **state)
{
	static const enum nestfd_cache policies[] = { NESTFD_CACHE_FAST,
						      NESTFD_CACHE_HOSTILE };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world w;

		world_start(&w, policies[i], false);
		furnish(&w.a, 0xa0, 0xa1);
		furnish(&w.b, 0xb0, 0xb1);
		for (int round = 0; round < 3; round++) {
			expect_word(&w.a, 0xa0);
			expect_word(&w.b, 0xb0);
		}
		assert_int_equal(kit_entries(w.host.machine, leads_from_x, 0),
				 2);
		assert_int_equal(w.stale, 0);
		world_stop(&w);
	}
}

/* A's command, one of all that forget X, with @vmid in the VMID field */
static void send(struct guest *g, unsigned int which, uint64_t vmid)
{
	const uint64_t asid = (uint64_t)g->asid << 48;

	switch (which) {
	case 0: /* TLBI_NH_VA */
		guest_command(g, 0x12 | asid | vmid << 32, X | 1);
		break;
	case 1: /* TLBI_NH_VAA */
		guest_command(g, 0x13 | vmid << 32, X);
		break;
	case 2: /* TLBI_NH_ASID */
		guest_command(g, 0x11 | asid | vmid << 32, 0);
		break;
	case 3: /* TLBI_NH_ALL */
		guest_command(g, 0x10 | vmid << 32, 0);
		break;
	default: /* TLBI_NSNH_ALL */
		guest_command(g, 0x30, 0);
		break;
	}
	guest_command(g, GUEST_SYNC);
	guest_ring(g);
}

static void one_guests_tlbi_neither_disturbs_nor_serves_the_other(void **state)
{
	(void)state;
	for (unsigned int which = 0; which < 5; which++) {
		struct world w;
		uint64_t before;

		world_start(&w, NESTFD_CACHE_HOSTILE, false);
		furnish(&w.a, 0xa0, 0xa1);
		furnish(&w.b, 0xb0, 0xb1);
		expect_word(&w.a, 0xa0);
		expect_word(&w.b, 0xb0);
		guest_map(&w.a, X, guest_page(&w.a, 1));
		guest_map(&w.b, X, guest_page(&w.b, 1));

		send(&w.a, which, 0);
		assert_int_equal(kit_entries(w.host.machine, leads_from_x, 0),
				 1);
		expect_word(&w.a, 0xa1);
		assert_int_equal(w.stale, 0);
		before = hits(&w.host);
		expect_word(&w.b, 0xb0); /* its own omission */
		assert_int_equal(hits(&w.host), before + 1);
		assert_int_equal(w.stale, 1);

		send(&w.b, which, 0);
		expect_word(&w.b, 0xb1);
		assert_int_equal(w.stale, 1);
		world_stop(&w);
	}
}

static void take_vmid(void *ctx, const struct nestfd_cache_entry *entry)
{
	uint32_t *vmid = ctx;

	if (entry->kind == 1 && entry->iova == X)
		*vmid = entry->vmid;
}

static void the_vmid_in_a_guests_command_is_not_used(void **state)
{
	(void)state;
	for (unsigned int which = 0; which < 4; which++) {
		struct world w;
		uint32_t vmid = 0;

		world_start(&w, NESTFD_CACHE_HOSTILE, false);
		furnish(&w.a, 0xa0, 0xa1);
		furnish(&w.b, 0xb0, 0xb1);
		expect_word(&w.b, 0xb0);
		nestfd_iommu_entries(w.host.machine, take_vmid, &vmid);
		assert_int_not_equal(vmid, 0);
		expect_word(&w.a, 0xa0);
		guest_map(&w.a, X, guest_page(&w.a, 1));
		guest_map(&w.b, X, guest_page(&w.b, 1));
		/* A names the VMID that B really has */
		send(&w.a, which, vmid);
		expect_word(&w.a, 0xa1);
		expect_word(&w.b, 0xb0);
		assert_int_equal(w.stale, 1);
		world_stop(&w);
	}
}

/* The same below the virtual SMMU, by a VMM that passes on what it likes */
static void nor_is_the_vmid_in_an_ioctl(void **state)
{
	static const uint64_t ops[] = { 0x12, 0x13, 0x11, 0x10 };

	(void)state;
	for (unsigned int which = 0; which < 4; which++) {
		uint32_t viommu, vmid = 0, n = 1;
		uint64_t cmd[2];
		struct world w;

		world_start(&w, NESTFD_CACHE_HOSTILE, false);
		furnish(&w.a, 0xa0, 0xa1);
		furnish(&w.b, 0xb0, 0xb1);
		expect_word(&w.b, 0xb0);
		nestfd_iommu_entries(w.host.machine, take_vmid, &vmid);
		expect_word(&w.a, 0xa0);
		guest_map(&w.a, X, guest_page(&w.a, 1));
		guest_map(&w.b, X, guest_page(&w.b, 1));
		viommu = kit_find_viommu(w.host.ctx, 0); /* A's, made first */
		cmd[0] = ops[which] | (uint64_t)vmid << 32;
		if (ops[which] == 0x11 || ops[which] == 0x12)
			cmd[0] |= 1ULL << 48;
		cmd[1] = ops[which] >= 0x12 ? X : 0;
		assert_int_equal(kit_invalidate(w.host.ctx, viommu, cmd, &n),
				 0);
		assert_int_equal(n, 1);
		expect_word(&w.a, 0xa1);
		expect_word(&w.b, 0xb0);
		assert_int_equal(w.stale, 1);
		world_stop(&w);
	}
}

/* A DMA through the device's own cache */
static uint64_t read_by_ats(struct guest *g)
{
	uint64_t word = 0;
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = X,
		.pasid = NESTFD_NO_PASID,
		.flags = NESTFD_DMA_TRANSLATED,
		.buf = &word,
		.length = sizeof(word),
	};

	assert_int_equal(nestfd_dma(g->dev, &dma), 0);
	return word;
}

/* ATC_INV of everything, for @vsid */
static void send_atc_inv(struct guest *g, uint64_t vsid)
{
	guest_command(g, 0x40 | vsid << 32, 52);
	guest_command(g, GUEST_SYNC);
	guest_ring(g);
}

static void a_guest_cannot_reach_the_others_atc(void **state)
{
	struct world w;

	(void)state;
	world_start(&w, NESTFD_CACHE_HOSTILE, true);
	furnish(&w.a, 0xa0, 0xa1);
	furnish(&w.b, 0xb0, 0xb1);
	assert_int_equal(read_by_ats(&w.a), 0xa0);
	assert_int_equal(read_by_ats(&w.b), 0xb0);
	guest_map(&w.a, X, guest_page(&w.a, 1));
	guest_map(&w.b, X, guest_page(&w.b, 1));
	guest_invalidate(&w.a, X);
	guest_invalidate(&w.b, X);
	/* the IOMMU has forgotten, the devices have not been told */
	assert_int_equal(read_by_ats(&w.a), 0xa0);
	assert_int_equal(read_by_ats(&w.b), 0xb0);

	send_atc_inv(&w.a, w.b.vsid);
	assert_int_equal(read_by_ats(&w.a), 0xa0);
	assert_int_equal(read_by_ats(&w.b), 0xb0);
	send_atc_inv(&w.a, w.a.vsid);
	assert_int_equal(read_by_ats(&w.a), 0xa1);
	assert_int_equal(read_by_ats(&w.b), 0xb0);
	send_atc_inv(&w.b, w.b.vsid);
	assert_int_equal(read_by_ats(&w.b), 0xb1);
	world_stop(&w);
}

static void another_guests_vsid_is_unknown_to_the_host(void **state)
{
	struct world w;
	uint32_t viommu;

	(void)state;
	world_start(&w, NESTFD_CACHE_HOSTILE, true);
	viommu = kit_find_viommu(w.host.ctx, 0);
	for (unsigned int op = 0; op < 3; op++) {
		static const uint64_t codes[] = { 0x05, 0x06, 0x40 };
		uint64_t mine[2] = { codes[op] | (uint64_t)w.a.vsid << 32, 0 };
		uint64_t theirs[2] = { codes[op] | (uint64_t)w.b.vsid << 32,
				       0 };
		uint64_t real[2] = { codes[op] | 0x101ULL << 32, 0 };
		uint32_t n = 1;

		assert_int_equal(kit_invalidate(w.host.ctx, viommu, mine, &n),
				 0);
		assert_int_equal(n, 1);
		assert_int_equal(kit_invalidate(w.host.ctx, viommu, theirs, &n),
				 -EIO);
		assert_int_equal(n, 0);
		/* nor is the StreamID that the host knows B's device by */
		n = 1;
		assert_int_equal(kit_invalidate(w.host.ctx, viommu, real, &n),
				 -EIO);
		assert_int_equal(n, 0);
	}
	world_stop(&w);
}

/* A second level-1 table, in which nothing but X is mapped: to page 1 */
static uint64_t other_tables(struct guest *g)
{
	uint64_t l1 = g->next_table, l2 = l1 + PAGE, l3 = l2 + PAGE;

	g->next_table += 3 * PAGE;
	guest_put(g, l1 + (X >> 30 & 0x1ff) * 8, l2 | 3);
	guest_put(g, l2 + (X >> 21 & 0x1ff) * 8, l3 | 3);
	guest_put(g, l3 + (X >> 12 & 0x1ff) * 8, guest_page(g, 1) | 0xf43);
	return l1;
}

static void send_cfgi_cd(struct guest *g, uint64_t vsid)
{
	guest_command(g, 0x05 | vsid << 32, 1);
	guest_command(g, GUEST_SYNC);
	guest_ring(g);
}

static void a_guest_cannot_make_the_others_cd_be_read_again(void **state)
{
	struct world w;

	(void)state;
	world_start(&w, NESTFD_CACHE_HOSTILE, true);
	furnish(&w.a, 0xa0, 0xa1);
	furnish(&w.b, 0xb0, 0xb1);
	expect_word(&w.b, 0xb0);
	/* TTB0 of the CD, 0x2000 into a guest's part */
	guest_put(&w.b, w.b.base + 0x2008, other_tables(&w.b));
	send(&w.b, 2, 0);
	expect_word(&w.b, 0xb0);
	send_cfgi_cd(&w.a, w.b.vsid);
	send(&w.b, 2, 0);
	expect_word(&w.b, 0xb0);
	send_cfgi_cd(&w.b, w.b.vsid);
	send(&w.b, 2, 0);
	expect_word(&w.b, 0xb1);
	world_stop(&w);
}

static void a_guest_that_ends_leaves_the_other_as_it_was(void **state)
{
	struct world w;
	uint64_t before;

	(void)state;
	world_start(&w, NESTFD_CACHE_HOSTILE, false);
	furnish(&w.a, 0xa0, 0xa1);
	furnish(&w.b, 0xb0, 0xb1);
	expect_word(&w.a, 0xa0);
	expect_word(&w.b, 0xb0);
	guest_stop(&w.a);
	assert_int_equal(kit_entries(w.host.machine, leads_from_x, 0), 1);
	before = hits(&w.host);
	expect_word(&w.b, 0xb0);
	assert_int_equal(hits(&w.host), before + 1);
	/* and one that comes after it finds nothing of its predecessor's */
	assert_int_equal(guest_start_as(&w.a, &w.host, 0, 1, VSID), 0);
	guest_map(&w.a, X, guest_page(&w.a, 1));
	expect_word(&w.a, 0xa1);
	assert_int_equal(w.stale, 0);
	world_stop(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_machines_have_two_memories),
		cmocka_unit_test(what_ends_in_one_machine_goes_on_in_the_other),
		cmocka_unit_test(guests_on_two_machines_do_not_meet),
		cmocka_unit_test(
			an_architectures_guest_disturbs_none_of_the_others),
		cmocka_unit_test(an_error_in_one_is_none_in_the_other),
		cmocka_unit_test(both_at_once_in_threads),
		cmocka_unit_test(an_id_means_nothing_in_another_context),
		cmocka_unit_test(
			a_device_of_one_context_is_no_device_of_the_other),
		cmocka_unit_test(contexts_share_the_iommu_but_no_address),
		cmocka_unit_test(each_guest_sees_its_own_memory),
		cmocka_unit_test(
			one_guests_tlbi_neither_disturbs_nor_serves_the_other),
		cmocka_unit_test(the_vmid_in_a_guests_command_is_not_used),
		cmocka_unit_test(nor_is_the_vmid_in_an_ioctl),
		cmocka_unit_test(a_guest_cannot_reach_the_others_atc),
		cmocka_unit_test(another_guests_vsid_is_unknown_to_the_host),
		cmocka_unit_test(
			a_guest_cannot_make_the_others_cd_be_read_again),
		cmocka_unit_test(a_guest_that_ends_leaves_the_other_as_it_was),
	};

	return RUN(tests, argc, argv);
}
