// SPDX-License-Identifier: MIT
/*
 * A machine with a VT-d unit, by the ABI: what a VMM does with it, from
 * IOMMU_GET_HW_INFO to the code of an invalidation that failed. First-stage
 * tables are written by hand.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/iommufd.h>
#include <nestfd/ext.h>
#include <nestfd/model.h>
#include <nestfd/nestfd.h>

#define GPA  0x10000000ULL
#define SIZE 0x400000ULL
#define PAGE 4096ULL

struct vmm {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	struct nestfd_device *dev[2];
	uint32_t dev_id[2];
	uint32_t ioas, parent, nested;
	uint64_t *ram;
	unsigned int stales;
};

/* @id NULL: the usual one */
static void start_unit(struct vmm *v, const struct nestfd_vtd_id *id,
		       uint32_t cache)
{
	struct nestfd_machine_config config = { .size = sizeof(config),
						.arch = NESTFD_ARCH_VTD,
						.vtd_id = id,
						.cache = cache };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map map = { .size = sizeof(map), .flags = 7 };

	memset(v, 0, sizeof(*v));
	v->ram = aligned_alloc(SIZE, SIZE);
	assert_non_null(v->ram);
	memset(v->ram, 0, SIZE);
	assert_int_equal(nestfd_machine_create(&config, &v->machine), 0);
	assert_int_equal(nestfd_open(v->machine, &v->ctx), 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct nestfd_device_config dc = { .size = sizeof(dc),
						   .stream_id = 0x10 + i,
						   .ats = i,
						   .pasid_bits = i ? 8 : 0 };

		assert_int_equal(nestfd_device_add(v->machine, &dc, &v->dev[i]),
				 0);
		assert_int_equal(nestfd_bind(v->ctx, v->dev[i], &v->dev_id[i]),
				 0);
	}
	assert_int_equal(nestfd_ioctl(v->ctx, IOMMU_IOAS_ALLOC, &alloc), 0);
	v->ioas = alloc.out_ioas_id;
	map.ioas_id = v->ioas;
	map.user_va = (uintptr_t)v->ram;
	map.length = SIZE;
	map.iova = GPA;
	assert_int_equal(nestfd_ioctl(v->ctx, IOMMU_IOAS_MAP, &map), 0);
}

static void start(struct vmm *v)
{
	start_unit(v, NULL, NESTFD_CACHE_HOSTILE);
}

static int alloc(struct vmm *v, uint32_t flags, uint32_t pt, uint32_t type,
		 const void *data, uint32_t len, uint32_t *id)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = v->dev_id[1],
		.pt_id = pt,
		.data_type = type,
		.data_len = len,
		.data_uptr = (uintptr_t)data,
	};
	int rc = nestfd_ioctl(v->ctx, IOMMU_HWPT_ALLOC, &arg);

	*id = arg.out_hwpt_id;
	return rc;
}

/* Tables in the first pages: IOVA 0x7000 -> page 8, by 4 levels */
static void start_nested(struct vmm *v)
{
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = GPA, .addr_width = 48 };

	for (uint64_t i = 0; i < 3; i++)
		v->ram[i * 512] = (GPA + (i + 1) * PAGE) | 0x67;
	v->ram[3 * 512 + 7] = (GPA + 8 * PAGE) | 0x67;
	assert_int_equal(alloc(v, 1, v->ioas, 0, NULL, 0, &v->parent), 0);
	assert_int_equal(alloc(v, 0, v->parent, 1, &s1, sizeof(s1), &v->nested),
			 0);
	for (int i = 0; i < 2; i++) {
		uint32_t pt = v->nested;

		assert_int_equal(nestfd_attach(v->dev[i], NESTFD_NO_PASID, &pt),
				 0);
	}
}

static void stop(struct vmm *v)
{
	nestfd_machine_destroy(v->machine);
	free(v->ram);
}

static int inval(struct vmm *v, void *entries, uint32_t len, uint32_t num,
		 struct nestfd_hwpt_invalidate *arg)
{
	*arg = (struct nestfd_hwpt_invalidate){
		.size = sizeof(*arg),
		.hwpt_id = v->nested,
		.data_uptr = (uintptr_t)entries,
		.entry_len = len,
		.entry_num = num,
	};
	return nestfd_ioctl(v->ctx, IOMMU_HWPT_INVALIDATE, arg);
}

static void errors_on(struct vmm *v)
{
	struct nestfd_ext_enable on = { .size = sizeof(on),
					.features = NESTFD_EXT_ERRORS };

	assert_int_equal(nestfd_ioctl(v->ctx, NESTFD_EXT_ENABLE, &on), 0);
}

static void test_hw_info(void **state)
{
	struct iommu_hw_info_vtd info = { 0 };
	struct iommu_hw_info arg = { .size = sizeof(arg),
				     .data_len = sizeof(info),
				     .data_uptr = (uintptr_t)&info };
	struct vmm v;

	(void)state;
	start(&v);
	arg.dev_id = v.dev_id[1];
	assert_int_equal(nestfd_ioctl(v.ctx, IOMMU_GET_HW_INFO, &arg), 0);
	assert_int_equal(arg.out_data_type, 1);
	assert_int_equal(arg.data_len, 24);
	assert_int_equal(arg.out_max_pasid_log2, 8);
	assert_int_equal(info.flags, 1);
	/* scalable mode, nesting */
	assert_int_equal(info.ecap_reg >> 43 & 1, 1);
	assert_int_equal(info.ecap_reg >> 26 & 1, 1);
	stop(&v);
}

static void test_a_guest_through_both_stages(void **state)
{
	struct iommu_hwpt_vtd_s1_invalidate e = { .addr = 0x7000, .npages = 1 };
	struct nestfd_hwpt_invalidate arg;
	struct vmm v;
	uint64_t got;

	(void)state;
	start(&v);
	start_nested(&v);
	errors_on(&v);
	for (int i = 0; i < 2; i++) {
		uint64_t word = 0x1122334455667788 + i;

		assert_int_equal(nestfd_dma_write(v.dev[i], 0x7018, &word, 8),
				 0);
		assert_int_equal(v.ram[8 * 512 + 3], word);
		assert_int_not_equal(
			nestfd_dma_write(v.dev[i], 0x8000, &word, 8), 0);
	}
	/* another page behind it, and the guest says so */
	v.ram[9 * 512 + 3] = 77;
	v.ram[3 * 512 + 7] = (GPA + 9 * PAGE) | 0x67;
	e.flags = 1;
	assert_int_equal(inval(&v, &e, sizeof(e), 1, &arg), 0);
	assert_int_equal(arg.entry_num, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(nestfd_dma_read(v.dev[i], 0x7018, &got, 8), 0);
		assert_int_equal(got, 77);
	}
	stop(&v);
}

static void test_errnos_and_counts(void **state)
{
	struct iommu_hwpt_vtd_s1_invalidate e[3] = { { .npages = 1 },
						     { .npages = 1 },
						     { .npages = 1 } };
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = GPA, .addr_width = 48 };
	struct nestfd_hwpt_invalidate arg;
	struct vmm v;
	uint32_t id;

	(void)state;
	start(&v);
	start_nested(&v);
	e[2].flags = 2;
	assert_int_equal(inval(&v, e, 24, 3, &arg), -EOPNOTSUPP);
	assert_int_equal(arg.entry_num, 2);
	e[1].addr = 5;
	assert_int_equal(inval(&v, e, 24, 3, &arg), -EINVAL);
	assert_int_equal(arg.entry_num, 1);
	assert_int_equal(inval(&v, e, 23, 1, &arg), -EINVAL);
	assert_int_equal(arg.entry_num, 0);
	assert_int_equal(inval(&v, (void *)8, 24, 1, &arg), -EFAULT);
	assert_int_equal(arg.entry_num, 0);
	/* a probe */
	assert_int_equal(inval(&v, NULL, 0, 0, &arg), 0);
	arg.data_type = 1;
	assert_int_equal(nestfd_ioctl(v.ctx, IOMMU_HWPT_INVALIDATE, &arg),
			 -EINVAL);
	/* HWPTs */
	assert_int_equal(alloc(&v, 2, v.parent, 1, &s1, 24, &id), -EOPNOTSUPP);
	assert_int_equal(alloc(&v, 0, v.parent, 2, &s1, 24, &id), -EOPNOTSUPP);
	assert_int_equal(alloc(&v, 0, v.parent, 1, &s1, 23, &id), -EINVAL);
	assert_int_equal(alloc(&v, 0, v.nested, 1, &s1, 24, &id), -EINVAL);
	s1.addr_width = 39;
	assert_int_equal(alloc(&v, 0, v.parent, 1, &s1, 24, &id), 0);
	assert_int_equal(nestfd_attach(v.dev[0], NESTFD_NO_PASID, &id),
			 -EINVAL);
	stop(&v);
}

static void test_a_device_that_does_not_answer(void **state)
{
	struct nestfd_hwpt_vtd_s1_invalidate e[4];
	struct nestfd_hwpt_invalidate arg;
	struct nestfd_fault fault;
	struct vmm v;

	(void)state;
	start(&v);
	start_nested(&v);
	errors_on(&v);
	memset(e, 0, sizeof(e));
	for (int i = 0; i < 4; i++)
		e[i].npages = 1;
	assert_int_equal(nestfd_inject_parse("gone:dev=0x11", &fault), 0);
	assert_int_equal(nestfd_inject(v.machine, &fault), 0);
	assert_int_equal(inval(&v, e, sizeof(e[0]), 4, &arg), -ETIMEDOUT);
	assert_int_equal(arg.entry_num, 0);
	assert_int_equal(e[0].hw_error, NESTFD_ERR_VTD_ITE);
	assert_int_equal(e[0].hw_error_info, 0x11);
	assert_int_equal(arg.out_error, NESTFD_ERR_VALID | NESTFD_ERR_VTD_ITE);
	assert_int_equal(arg.out_error_info, 0x11);
	for (int i = 1; i < 4; i++)
		assert_int_equal(e[i].hw_error, 0);
	/* what was written must be cleared first */
	assert_int_equal(inval(&v, e, sizeof(e[0]), 1, &arg), -E2BIG);
	stop(&v);
}

/* ---- a unit that is dead ---- */

#define ESRTPS (1ULL << 63)
#define ADMS   (1ULL << 52)

static void inject(struct vmm *v, const char *text)
{
	struct nestfd_fault fault;

	assert_int_equal(nestfd_inject_parse(text, &fault), 0);
	assert_int_equal(nestfd_inject(v->machine, &fault), 0);
}

/* What it has cached is of no use to anybody any more. */
static void die(const struct nestfd_vtd_id *id, uint32_t cache,
		const char *fault)
{
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap),
					  .iova = GPA + PAGE,
					  .length = SIZE - PAGE };
	struct iommu_ioas_map map = { .size = sizeof(map), .flags = 7 };
	uint32_t hwpt, other;
	uint64_t word;
	struct vmm v;

	start_unit(&v, id, cache);
	unmap.ioas_id = map.ioas_id = v.ioas;
	unmap.iova = map.iova = GPA + 2 * SIZE;
	unmap.length = map.length = PAGE;
	map.user_va = (uintptr_t)v.ram;
	assert_int_equal(nestfd_ioctl(v.ctx, IOMMU_IOAS_MAP, &map), 0);
	for (int i = 0; i < 2; i++) {
		hwpt = v.ioas;
		assert_int_equal(
			nestfd_attach(v.dev[i], NESTFD_NO_PASID, &hwpt), 0);
		assert_int_equal(nestfd_dma_read(v.dev[i], GPA, &word, 8), 0);
	}
	inject(&v, fault);
	assert_int_equal(nestfd_ioctl(v.ctx, IOMMU_IOAS_UNMAP, &unmap), 0);
	assert_int_equal(alloc(&v, 0, v.ioas, 0, NULL, 0, &other), -EIO);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(nestfd_dma_read(v.dev[i], GPA, &word, 8),
				 -EIO);
		assert_int_equal(
			nestfd_dma_read(v.dev[i], GPA + 2 * SIZE, &word, 8),
			-EIO);
	}
	stop(&v);
}

static void die_in_every_way(const struct nestfd_vtd_id *id)
{
	bool registers = id->version < 0x60 || id->cap & ESRTPS;

	for (uint32_t cache = 0; cache < 2; cache++) {
		/* seven retries of the queue, and it is given up */
		die(id, cache, "abt:n=8");
		/* the queue that begins again is no better for a while */
		die(id, cache, "abt:n=15");
		if (registers)
			die(id, cache, "abt");
	}
}

static void test_a_dead_unit_translates_nothing(void **state)
{
	static const uint32_t versions[] = { 0x10, 0x50, 0x60, 0x70 };
	struct nestfd_vtd_id id = { .haw = 48 };

	(void)state;
	for (unsigned int i = 0; i < 4 * 8; i++) {
		/* ND 6, 3 to 5 levels, MGAW 57, FRO 0x22, 2M and 1G, PSI, 8
		 * records, MAMV 52, DWD, DRD */
		id.cap = 0x00f4078c22380e06ULL | (i & 1 ? ESRTPS : 0);
		/* C, QI, DT, PT, SC, IRO 0xf; SMTS and what goes with it: NEST,
		 * SRS, NWFS, EAFS, PSS 19, PASID, SSADS, SSTS, FSTS, SMPWCS */
		id.ecap = i & 2 ? 0x1e99e84000fc7ULL : 0xfc7;
		id.ecap |= i & 4 ? ADMS : 0;
		id.version = versions[i >> 3];
		die_in_every_way(&id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hw_info),
		cmocka_unit_test(test_a_guest_through_both_stages),
		cmocka_unit_test(test_errnos_and_counts),
		cmocka_unit_test(test_a_device_that_does_not_answer),
		cmocka_unit_test(test_a_dead_unit_translates_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
