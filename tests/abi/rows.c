// SPDX-License-Identifier: MIT
/* See rows.h. */
#include "rows.h"

#include <poll.h>
#include <sys/mman.h>

/* BAR 0 of the edu device (QEMU's docs/specs/edu.rst) */
#define EDU_SRC	  0x80
#define EDU_DST	  0x88
#define EDU_COUNT 0x90
#define EDU_CMD	  0x98
#define EDU_FETCH 1 /* start, from RAM */
#define EDU_STORE 3 /* start, to RAM */
#define EDU_BUF	  0x40000

/* Row A3 */
static const struct nestfd_smmuv3_id recorded_id = {
	.idr = { 0x0d44101b, 0x02730010, 0, 0x00001414, 0, 0x00000074 },
	.iidr = 0,
	.aidr = 1,
};

/* ---- calls ---- */

int row_ioctl(struct rows *r, unsigned long cmd, void *arg)
{
	return nestfd_ioctl(r->ctx, cmd, arg);
}

int row_destroy(struct rows *r, uint32_t id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	return row_ioctl(r, IOMMU_DESTROY, &arg);
}

int row_map(struct rows *r, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = r->ioas,
		.user_va = (uintptr_t)r->ram,
		.length = length,
		.iova = iova,
	};
	int rc = row_ioctl(r, IOMMU_IOAS_MAP, &arg);

	assert_int_equal(arg.iova, iova);
	return rc;
}

int row_unmap(struct rows *r, uint64_t iova, uint64_t *length)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = r->ioas,
		.iova = iova,
		.length = *length,
	};
	int rc = row_ioctl(r, IOMMU_IOAS_UNMAP, &arg);

	*length = arg.length;
	return rc;
}

int row_ranges(struct rows *r, struct iommu_iova_range *ranges, uint32_t *n)
{
	struct iommu_ioas_iova_ranges arg = {
		.size = sizeof(arg),
		.ioas_id = r->ioas,
		.num_iovas = *n,
		.allowed_iovas = (uintptr_t)ranges,
	};
	int rc = row_ioctl(r, IOMMU_IOAS_IOVA_RANGES, &arg);

	*n = arg.num_iovas;
	if (!rc)
		assert_int_equal(arg.out_iova_alignment, r->plain ? 4096 : 1);
	return rc;
}

int row_hwpt(struct rows *r, uint32_t pt_id, uint32_t flags, uint32_t *id)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = r->dev_id[0],
		.pt_id = pt_id,
	};
	int rc = row_ioctl(r, IOMMU_HWPT_ALLOC, &arg);

	if (!rc)
		*id = arg.out_hwpt_id;
	return rc;
}

int row_vste(struct rows *r, uint64_t dw0, uint64_t dw1, uint32_t *id)
{
	uint64_t ste[2] = { htole64(dw0), htole64(dw1) };
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.dev_id = r->dev_id[0],
		.pt_id = r->viommu,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(ste),
		.data_uptr = (uintptr_t)ste,
	};
	int rc = row_ioctl(r, IOMMU_HWPT_ALLOC, &arg);

	if (!rc)
		*id = arg.out_hwpt_id;
	return rc;
}

int row_viommu(struct rows *r, uint32_t type, uint32_t hwpt_id, uint32_t *id)
{
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = type,
		.dev_id = r->dev_id[0],
		.hwpt_id = hwpt_id,
	};
	int rc = row_ioctl(r, IOMMU_VIOMMU_ALLOC, &arg);

	if (!rc)
		*id = arg.out_viommu_id;
	return rc;
}

int row_vdevice(struct rows *r, uint32_t viommu, uint32_t dev_id,
		uint64_t virt_id, uint32_t *id)
{
	struct iommu_vdevice_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.dev_id = dev_id,
		.virt_id = virt_id,
	};
	int rc = row_ioctl(r, IOMMU_VDEVICE_ALLOC, &arg);

	if (!rc)
		*id = arg.out_vdevice_id;
	return rc;
}

int row_veventq(struct rows *r, uint32_t type, uint32_t depth, uint32_t *id,
		int *fd)
{
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = r->viommu,
		.type = type,
		.veventq_depth = depth,
	};
	int rc = row_ioctl(r, IOMMU_VEVENTQ_ALLOC, &arg);

	if (!rc) {
		*id = arg.out_veventq_id;
		*fd = (int)arg.out_veventq_fd;
	}
	return rc;
}

int row_attach(struct rows *r, unsigned int dev, uint32_t pt_id)
{
	return nestfd_attach(r->dev[dev], NESTFD_NO_PASID, &pt_id);
}

int row_invalidate(struct rows *r, const struct cmd *cmds, uint32_t *n)
{
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = r->viommu,
		.data_uptr = (uintptr_t)cmds,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(*cmds),
		.entry_num = *n,
	};
	int rc = row_ioctl(r, IOMMU_HWPT_INVALIDATE, &arg);

	*n = arg.entry_num;
	return rc;
}

int row_command(struct rows *r, uint64_t dw0, uint64_t dw1)
{
	struct cmd cmd = { { htole64(dw0), htole64(dw1) } };
	uint32_t n = 1;
	int rc = row_invalidate(r, &cmd, &n);

	assert_int_equal(n, !rc);
	return rc;
}

/* ---- the guest ---- */

void *row_mem(const struct rows *r, uint64_t gpa)
{
	assert_true(gpa >= RAM && gpa - RAM < RAM_SIZE);
	return r->ram + (gpa - RAM);
}

void row_put(struct rows *r, uint64_t gpa, uint64_t word)
{
	*(uint64_t *)row_mem(r, gpa) = htole64(word);
}

static void link_tables(struct rows *r, uint64_t l1, uint64_t l2, uint64_t l3,
			uint64_t page)
{
	row_put(r, l1, l2 | 3);
	row_put(r, l2, l3 | 3);
	row_put(r, l3 + (X >> 12) * 8, page | PTE_RW);
	row_put(r, l3 + (T >> 12) * 8, PAGE_DATA | PTE_RW);
}

void row_write_tables(struct rows *r)
{
	row_put(r, CD, CD_0);
	row_put(r, CD + 8, L1);
	row_put(r, CD + 24, 0xff); /* attribute 0: write-back */
	link_tables(r, L1, L2, L3, PAGE_A);
	link_tables(r, OTHER_L1, OTHER_L2, OTHER_L3, PAGE_B);
}

void row_set_pte(struct rows *r, uint64_t iova, uint64_t pte)
{
	assert_true(iova < 0x200000);
	row_put(r, L3 + (iova >> 12) * 8, pte);
}

void row_change_pte(struct rows *r, uint64_t iova, uint64_t pte)
{
	row_set_pte(r, iova, pte);
	assert_int_equal(row_command(r, CMD_NH_VA(ASID, iova)), 0);
}

/* ---- DMA ---- */

static void edu_run(struct nestfd_edu *edu, uint64_t src, uint64_t dst,
		    uint64_t cmd)
{
	nestfd_edu_write(edu, EDU_SRC, 8, src);
	nestfd_edu_write(edu, EDU_DST, 8, dst);
	nestfd_edu_write(edu, EDU_COUNT, 8, 8);
	nestfd_edu_write(edu, EDU_CMD, 8, cmd);
}

void row_dma_read(struct rows *r, unsigned int dev, uint64_t iova)
{
	edu_run(r->edu[dev], iova, EDU_BUF, EDU_FETCH);
}

void row_dma_write(struct rows *r, unsigned int dev, uint64_t iova)
{
	edu_run(r->edu[dev], EDU_BUF, iova, EDU_STORE);
}

enum where row_probe(struct rows *r, unsigned int dev)
{
	uint64_t *a = row_mem(r, PAGE_A);
	uint64_t *b = row_mem(r, PAGE_B);

	r->token += 0x0101010101010101;
	*(uint64_t *)row_mem(r, PAGE_DATA) = r->token;
	*a = *b = ~r->token;
	row_dma_read(r, dev, T);
	row_dma_write(r, dev, X);
	if (*a == r->token) {
		assert_int_equal(*b, ~r->token);
		return IN_A;
	}
	assert_int_equal(*a, ~r->token);
	if (*b == r->token)
		return IN_B;
	assert_int_equal(*b, ~r->token);
	return NOWHERE;
}

void row_a_then_b(struct rows *r)
{
	row_change_pte(r, X, PAGE_A | PTE_RW);
	assert_int_equal(row_probe(r, 0), IN_A);
	row_set_pte(r, X, PAGE_B | PTE_RW);
}

/* ---- events ---- */

ssize_t row_read(struct rows *r, void *buf, size_t len)
{
	return nestfd_read(r->ctx, r->eventfd, buf, len);
}

static int poll_events(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	assert_true(poll(&pfd, 1, 0) >= 0);
	return pfd.revents;
}

void row_expect_no_event(struct rows *r)
{
	char buf[4096];

	assert_int_equal(poll_events(r->eventfd), 0);
	assert_int_equal(row_read(r, buf, sizeof(buf)), 0);
}

uint32_t row_expect_event(struct rows *r, uint64_t dw0, uint64_t dw1,
			  uint64_t dw2, uint64_t dw3)
{
	struct vevent events[100];

	assert_int_equal(poll_events(r->eventfd), POLLIN);
	assert_int_equal(row_read(r, events, sizeof(events)),
			 sizeof(events[0]));
	assert_int_equal(events[0].header.flags, 0);
	assert_int_equal(le64toh(events[0].evt[0]), dw0);
	assert_int_equal(le64toh(events[0].evt[1]), dw1);
	assert_int_equal(le64toh(events[0].evt[2]), dw2);
	assert_int_equal(le64toh(events[0].evt[3]), dw3);
	row_expect_no_event(r);
	return events[0].header.sequence;
}

/* ---- setups ---- */

static void on_msi(void *ctx, uint64_t offset, uint32_t data)
{
	struct rows *r = ctx;

	r->msi_count++;
	r->msi_offset = offset;
	r->msi_data = data;
}

static void on_stale(void *ctx, const struct nestfd_stale *stale)
{
	struct rows *r = ctx;

	(void)stale;
	r->stale++;
}

static void plug_in(struct rows *r, unsigned int n)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = 8 * (n + 1), /* 00:01.0 and 00:02.0 */
	};
	struct nestfd_edu_config edu = {
		.size = sizeof(edu),
		.dma_mask = UINT64_MAX,
	};

	assert_int_equal(nestfd_device_add(r->machine, &config, &r->dev[n]), 0);
	assert_int_equal(nestfd_edu_create(r->dev[n], &edu, &r->edu[n]), 0);
}

int setup_machine(void **state)
{
	struct rows *r = calloc(1, sizeof(*r));
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_SMMUV3,
		/* nothing is forgotten but what a command names */
		.cache = NESTFD_CACHE_HOSTILE,
		.smmuv3_id = &recorded_id,
		.msi_first = 0x8000000,
		.msi_length = 0x100000,
		.msi = on_msi,
		.stale = on_stale,
		.ctx = r,
	};

	assert_non_null(r);
	r->param = *state;
	*state = r;
	r->eventfd = -1;
	r->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(r->ram != MAP_FAILED);
	assert_int_equal(nestfd_machine_create(&config, &r->machine), 0);
	plug_in(r, 0);
	plug_in(r, 1);
	assert_int_equal(nestfd_open(r->machine, &r->ctx), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(nestfd_bind(r->ctx, r->dev[i], &r->dev_id[i]),
				 0);
	return 0;
}

int setup_ioas(void **state)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct rows *r;

	setup_machine(state);
	r = *state;
	assert_int_equal(row_ioctl(r, IOMMU_IOAS_ALLOC, &alloc), 0);
	r->ioas = alloc.out_ioas_id;
	assert_int_equal(row_map(r, RAM, RAM_SIZE), 0);
	return 0;
}

int setup_viommu(void **state)
{
	struct rows *r;

	setup_ioas(state);
	r = *state;
	assert_int_equal(row_hwpt(r, r->ioas, 0, &r->plain), 0);
	assert_int_equal(
		row_hwpt(r, r->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &r->parent),
		0);
	assert_int_equal(row_viommu(r, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, r->parent,
				    &r->viommu),
			 0);
	return 0;
}

int setup_nested(void **state)
{
	struct rows *r;

	setup_viommu(state);
	r = *state;
	assert_int_equal(row_vste(r, VSTE_S1, VSTE_1, &r->s1), 0);
	assert_int_equal(row_vste(r, VSTE_BYPASS, 0, &r->bypass), 0);
	assert_int_equal(row_vste(r, VSTE_ABORT, 0, &r->abort), 0);
	return 0;
}

int setup_vdevices(void **state)
{
	struct rows *r;

	setup_nested(state);
	r = *state;
	assert_int_equal(
		row_vdevice(r, r->viommu, r->dev_id[0], VSID_0, &r->vdev[0]),
		0);
	assert_int_equal(
		row_vdevice(r, r->viommu, r->dev_id[1], VSID_1, &r->vdev[1]),
		0);
	return 0;
}

int setup_eventq(void **state)
{
	struct rows *r;

	setup_vdevices(state);
	r = *state;
	assert_int_equal(row_veventq(r, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 4,
				     &r->veventq, &r->eventfd),
			 0);
	row_write_tables(r);
	return 0;
}

int setup_attached(void **state)
{
	struct rows *r;

	setup_eventq(state);
	r = *state;
	assert_int_equal(row_attach(r, 0, r->s1), 0);
	assert_int_equal(row_probe(r, 0), IN_A);
	assert_int_equal(r->stale, 0);
	return 0;
}

void row_run(void **state)
{
	const struct row_case *c = *state;

	*state = (void *)(uintptr_t)c->param;
	c->setup(state);
	c->function(state);
}

int teardown(void **state)
{
	struct rows *r = *state;

	nestfd_edu_destroy(r->edu[0]);
	nestfd_edu_destroy(r->edu[1]);
	nestfd_machine_destroy(r->machine);
	munmap(r->ram, RAM_SIZE);
	free(r);
	return 0;
}
