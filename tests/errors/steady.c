// SPDX-License-Identifier: MIT
/* See steady.h. */
#include "steady.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nestfd/ext.h>

#define ASID	5
#define VSID	0x10u
#define PAGES	16u
#define IOVA(n) (0x1000000ULL + (n)*0x1000ULL)
#define NOWHERE 0x2000000ULL
#define EVENTS_AT                                                  \
	0x10000ULL /* 256 records of 32 bytes, in the guest's part \
		    */

static bool is_smmu(const struct steady *s)
{
	return s->host.arch == NESTFD_ARCH_SMMUV3;
}

static void stale(void *ctx, const struct nestfd_stale *what)
{
	struct steady *s = ctx; /* the host is its first member */

	(void)what;
	__atomic_add_fetch(&s->stale, 1, __ATOMIC_RELAXED);
}

/* ---- rounds ---- */

static int dma(struct steady *s, uint64_t iova, bool ats, uint64_t *value)
{
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = iova,
		.pasid = NESTFD_NO_PASID,
		.flags = ats ? NESTFD_DMA_TRANSLATED : 0,
		.buf = value,
		.length = sizeof(*value),
	};

	return nestfd_dma(s->guest.dev, &dma);
}

static void by_queue(struct steady *s, uint64_t iova, struct steady_round *r)
{
	struct guest *g = &s->guest;

	if (is_smmu(s)) {
		guest_command(g, guest_tlbi_va_0(g), guest_tlbi_va_1(iova));
		guest_command(g, 0x40 | (uint64_t)VSID << 32, iova);
		guest_wait(g);
		guest_ring(g);
		r->cons = (uint32_t)guest_read(g, 0x9c, 4);
		r->error = (uint32_t)guest_read(g, 0x60, 4);
	} else {
		guest_invalidate(g, iova);
		r->cons = (uint32_t)guest_read(g, 0x80, 8);
		r->error = (uint32_t)guest_read(g, 0x34, 4);
		r->waited = guest_waited(g);
	}
}

/* What came before the wait was complete has to be in the guest's queue. */
static void take_events(struct steady *s, struct steady_round *r)
{
	struct guest *g = &s->guest;
	uint32_t prod, cons;

	if (!is_smmu(s))
		return;
	prod = (uint32_t)guest_read(g, 0x100a8, 4);
	cons = (uint32_t)guest_read(g, 0x100ac, 4);
	r->events = (prod - cons) & 0x1ff;
	for (unsigned int i = 0; i < 4; i++)
		r->event[i] = guest_get(g, g->base + EVENTS_AT +
						   (cons & 0xff) * 32 + i * 8);
	guest_write(g, 0x100ac, 4, prod);
}

/* @bad: the second entry is nothing that there is */
static void by_ioctl(struct steady *s, uint64_t iova, bool bad,
		     struct steady_round *r)
{
	uint64_t words[3][4] = { { iova, 1 }, { iova, 1 }, { iova, 1 } };
	struct nestfd_hwpt_invalidate inv = {
		.size = sizeof(inv),
		.hwpt_id = s->object,
		.data_uptr = (uintptr_t)words,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.entry_len = 32,
		.entry_num = 3,
	};

	words[1][2] = bad && !is_smmu(s) ? 2 : 0;
	if (is_smmu(s)) {
		for (int i = 0; i < 3; i++) {
			words[i][0] = (uint64_t)ASID << 48 | 0x12;
			words[i][1] = iova | 1;
		}
		words[1][0] = bad ? 0xff : 0x40 | (uint64_t)VSID << 32;
		words[1][1] = bad ? 0 : iova;
		inv.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3;
	}
	r->ioctl[bad] = nestfd_ioctl(s->host.ctx, IOMMU_HWPT_INVALIDATE, &inv);
	r->done[bad] = inv.entry_num;
	r->code[bad] = inv.out_error;
	r->info[bad] = inv.out_error_info;
}

static struct steady_round *next_round(struct steady *s)
{
	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 1024;
		s->rounds = realloc(s->rounds, s->room * sizeof(*s->rounds));
		if (!s->rounds)
			abort(); /* the test's own memory */
	}
	memset(&s->rounds[s->n], 0, sizeof(*s->rounds));
	return &s->rounds[s->n];
}

void steady_round(struct steady *s)
{
	struct steady_round *r = next_round(s);
	uint32_t page = s->n % PAGES;
	uint32_t moved = s->n / PAGES % 2;
	uint64_t iova = IOVA(page);

	r->dma[2] =
		dma(s, NOWHERE + s->n % 1024 * 0x1000ULL, false, &r->value[0]);
	guest_map(&s->guest, iova, guest_page(&s->guest, page + moved * PAGES));
	by_queue(s, iova, r);
	take_events(s, r);
	for (int ats = 0; ats < 2; ats++)
		r->dma[ats] = dma(s, iova, ats, &r->value[ats]);
	for (int bad = 0; bad < 2; bad++)
		by_ioctl(s, iova, bad, r);
	__atomic_store_n(&s->n, s->n + 1, __ATOMIC_RELEASE);
}

/* ---- what came of them ---- */

/* Not only the same: also what it ought to be */
static bool is_right(const struct steady *s, uint32_t n)
{
	const struct steady_round *r = &s->rounds[n];
	uint64_t value = n % PAGES + n / PAGES % 2 * PAGES;
	bool smmu = is_smmu(s);

	return !r->dma[0] && !r->dma[1] && r->dma[2] == -EIO &&
	       r->value[0] == value && r->value[1] == value && !r->ioctl[0] &&
	       r->done[0] == 3 && !r->code[0] &&
	       r->ioctl[1] == (smmu ? -EIO : -EOPNOTSUPP) && r->done[1] == 1 &&
	       r->code[1] == (smmu ? NESTFD_ERR_VALID | 1 : 0) &&
	       r->events == (smmu ? 1 : 0) && !r->error;
}

void steady_compare(const struct steady *s, const struct steady *want,
		    uint32_t n)
{
	assert_true(n && n <= s->n && n <= want->n);
	for (uint32_t i = 0; i < n; i++) {
		if (!is_right(want, i))
			fail_msg("round %u is wrong without a neighbour", i);
		if (memcmp(&s->rounds[i], &want->rounds[i],
			   sizeof(s->rounds[i])))
			fail_msg("round %u of %u is not the same beside a "
				 "neighbour",
				 i, n);
	}
	assert_int_equal(s->stale, 0);
}

/* ---- life ---- */

/* Its vIOMMU is what takes an empty array of its type. */
static uint32_t object_of(const struct steady *s)
{
	struct nestfd_hwpt_invalidate inv = {
		.size = sizeof(inv),
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = 16,
	};

	if (!is_smmu(s))
		return s->guest.pt_id;
	for (inv.hwpt_id = 1; inv.hwpt_id < 100; inv.hwpt_id++)
		if (!nestfd_ioctl(s->host.ctx, IOMMU_HWPT_INVALIDATE, &inv))
			return inv.hwpt_id;
	fail_msg("no vIOMMU");
	return 0;
}

void steady_start(struct steady *s, enum nestfd_arch arch)
{
	struct nestfd_ext_enable on = { .size = sizeof(on),
					.features = NESTFD_EXT_ERRORS };

	memset(s, 0, sizeof(*s));
	s->host = (struct host){
		.arch = arch,
		.cache = NESTFD_CACHE_HOSTILE,
		.guests = 1,
		.ats = true,
		.page_requests = STEADY_REQUESTS,
		.stale = stale,
	};
	assert_int_equal(host_start(&s->host), 0);
	assert_int_equal(guest_start_as(&s->guest, &s->host, 0, ASID, VSID), 0);
	assert_int_equal(nestfd_ioctl(s->host.ctx, NESTFD_EXT_ENABLE, &on), 0);
	s->object = object_of(s);
	for (unsigned int n = 0; n < 2 * PAGES; n++)
		guest_put(&s->guest, guest_page(&s->guest, n), n);
}

void steady_stop(struct steady *s)
{
	guest_stop(&s->guest);
	host_stop(&s->host);
	free(s->rounds);
}
