// SPDX-License-Identifier: MIT
/* dma-bufs: files whose memory the machine takes back. */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"

#define IOVA 0x100000ULL
#define PAGE 4096ULL

static int new_buf(struct world *w)
{
	int fd = memfd_create("buf", MFD_CLOEXEC);

	assert_rc(ftruncate(fd, 4 * PAGE), 0);
	assert_int_equal(pwrite(fd, "buffer", 6, 0), 6);
	assert_rc(core_dmabuf_add(w->ctx, fd, 4 * PAGE), 0);
	return fd;
}

static int map(struct world *w, int fd, uint64_t start, uint64_t length,
	       uint64_t iova)
{
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = RW_FIXED,
		.ioas_id = w->ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return ioctl_on(w, IOMMU_IOAS_MAP_FILE, &arg);
}

static int read6(struct world *w, uint64_t iova, char *buf)
{
	return fake_read(w, &w->dev[0], iova, buf, 6);
}

static void a_dmabuf_is_mapped_like_a_file(void **state)
{
	struct world *w = world_of(state);
	uint32_t pt = w->ioas;
	int fd = new_buf(w);
	char buf[6];

	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	assert_rc(map(w, fd, 0, 0, IOVA), -EINVAL);
	assert_rc(map(w, fd, 4 * PAGE, PAGE, IOVA), -EINVAL);
	assert_rc(map(w, fd, 0, 4 * PAGE + 1, IOVA), -EINVAL);
	assert_rc(map(w, fd, 0, 4 * PAGE, IOVA), 0);
	assert_rc(read6(w, IOVA, buf), 0);
	assert_memory_equal(buf, "buffer", 6);
	assert_rc(core_dmabuf_add(w->ctx, fd, 5 * PAGE), -EINVAL);
	assert_rc(core_dmabuf_add(w->ctx, fd, 0), -EINVAL);
	assert_rc(core_dmabuf_add(w->ctx, -1, PAGE), -EBADF);
	close(fd);
	assert_rc(read6(w, IOVA, buf), 0);
}

static void revoking_takes_it_out_of_every_domain(void **state)
{
	struct world *w = world_of(state);
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = RW_FIXED,
		.src_ioas_id = w->ioas,
		.dst_ioas_id = w->ioas,
		.length = PAGE,
		.src_iova = IOVA,
		.dst_iova = IOVA + 8 * PAGE,
	};
	char *mem = pages_alloc(1);
	uint32_t pt = w->ioas;
	int fd = new_buf(w);
	char buf[6];
	uint32_t hwpt;

	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	assert_rc(map(w, fd, 0, 4 * PAGE, IOVA), 0);
	assert_rc(try_map(w, w->ioas, mem, PAGE, IOVA + 4 * PAGE), 0);
	assert_rc(core_dmabuf_revoke(w->ctx, fd, true), 0);
	assert_rc(read6(w, IOVA, buf), -EFAULT);
	assert_rc(read6(w, IOVA + 4 * PAGE, buf), 0);
	/* it still takes its IOVAs, and a copy of it has no memory either */
	assert_rc(try_map(w, w->ioas, mem, PAGE, IOVA), -EEXIST);
	assert_rc(map(w, fd, 0, PAGE, 2 * IOVA), -ENODEV);
	assert_rc(ioctl_on(w, IOMMU_IOAS_COPY, &copy), 0);
	assert_rc(read6(w, IOVA + 8 * PAGE, buf), -EFAULT);
	/* nor has a new domain */
	hwpt = do_hwpt(w, w->dev_id[0], w->ioas, 0);
	assert_rc(try_destroy(w, hwpt), 0);
	assert_rc(core_dmabuf_revoke(w->ctx, fd, false), 0);
	assert_rc(read6(w, IOVA, buf), -EFAULT);
	assert_rc(map(w, fd, 0, 4 * PAGE, 2 * IOVA), 0);
	assert_rc(read6(w, 2 * IOVA, buf), 0);
	/* areas with and without memory side by side go with one call */
	assert_rc(try_unmap(w, w->ioas, IOVA, 9 * PAGE, NULL), 0);
	assert_rc(map(w, fd, 0, PAGE, IOVA), 0);
	assert_rc(read6(w, IOVA, buf), 0);
	/* restoring again is no promise to leave it */
	assert_rc(core_dmabuf_revoke(w->ctx, fd, false), 0);
	assert_rc(read6(w, IOVA, buf), -EFAULT);
	assert_rc(core_dmabuf_revoke(w->ctx, -1, true), -EBADF);
	assert_rc(core_dmabuf_revoke(w->ctx, 0, true), -EINVAL);
	close(fd);
	free(mem);
}

static void without_domains_it_is_revoked_too(void **state)
{
	struct world *w = world_of(state);
	uint32_t pt;
	int fd = new_buf(w);
	char buf[6];

	w->ioas = do_ioas(w);
	assert_rc(map(w, fd, 0, 2 * PAGE, IOVA), 0);
	assert_rc(core_dmabuf_revoke(w->ctx, fd, true), 0);
	assert_rc(core_dmabuf_revoke(w->ctx, fd, false), 0);
	assert_rc(map(w, fd, 0, 2 * PAGE, IOVA + 2 * PAGE), 0);
	pt = w->ioas;
	assert_rc(core_attach(w->ctx, w->dev_id[0], CORE_NO_PASID, &pt), 0);
	assert_rc(read6(w, IOVA, buf), -EFAULT);
	assert_rc(read6(w, IOVA + 2 * PAGE, buf), 0);
	close(fd);
}

static void accesses_do_not_reach_it(void **state)
{
	static const struct core_access_ops ops = { .needs_pin_pages = false };
	struct world *w = world_of(state);
	struct core_access *access;
	int fd = new_buf(w);
	uint32_t id;
	char byte;

	assert_rc(map(w, fd, 0, PAGE, IOVA), 0);
	assert_rc(core_access_create(w->ctx, &ops, NULL, &id, &access), 0);
	assert_rc(core_access_attach(access, w->ioas), 0);
	assert_rc(core_access_rw(access, IOVA, &byte, 1, 0), -EINVAL);
	core_access_destroy(access);
	close(fd);
}

static void it_does_not_move_to_another_process(void **state)
{
	struct world *w = world_of(state);
	struct iommu_ioas_change_process arg = { .size = sizeof(arg) };
	int fd = new_buf(w);

	assert_rc(ioctl_on(w, IOMMU_IOAS_CHANGE_PROCESS, &arg), 0);
	assert_rc(map(w, fd, 0, PAGE, IOVA), 0);
	assert_rc(ioctl_on(w, IOMMU_IOAS_CHANGE_PROCESS, &arg), -EINVAL);
	close(fd);
}

static void without_memory_nothing_is_left(void **state)
{
	struct world *w = world_of(state);
	struct alloc_plan plan = { .fail_at = 1 };
	int fd = memfd_create("buf", MFD_CLOEXEC);
	int rc = -ENOMEM;

	assert_rc(ftruncate(fd, PAGE), 0);
	alloc_arm(&plan);
	assert_rc(core_dmabuf_add(w->ctx, fd, PAGE), -ENOMEM);
	alloc_arm(NULL);
	assert_rc(core_dmabuf_add(w->ctx, fd, PAGE), 0);
	for (plan.fail_at = 1; rc; plan.fail_at++) {
		plan.passed = 0;
		alloc_arm(&plan);
		rc = map(w, fd, 0, PAGE, IOVA);
		alloc_arm(NULL);
		if (rc)
			assert_rc(rc, -ENOMEM);
	}
	assert_true(plan.fail_at > 3);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_NESTED(a_dmabuf_is_mapped_like_a_file),
		CASE_NESTED(revoking_takes_it_out_of_every_domain),
		CASE_NESTED(without_domains_it_is_revoked_too),
		CASE_NESTED(accesses_do_not_reach_it),
		CASE_NESTED(it_does_not_move_to_another_process),
		CASE_NESTED(without_memory_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
