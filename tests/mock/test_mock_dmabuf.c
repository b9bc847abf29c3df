// SPDX-License-Identifier: MIT
/* The mock's dma-bufs: memory that can be taken away from what maps it. */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OP_GET	  22
#define OP_REVOKE 23
#define PAGES_MAX 512u

static int make(struct kit *kit, uint32_t length, uint32_t flags)
{
	return test_op(kit, OP_GET, 0, length, flags);
}

static int take(struct kit *kit, int fd, uint32_t revoked)
{
	return test_op(kit, OP_REVOKE, 0, (uint32_t)fd, revoked);
}

static int map(struct kit *kit, int fd, uint64_t start, uint64_t length,
	       uint64_t iova)
{
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = kit->ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return nestfd_ioctl(kit->ctx, IOMMU_IOAS_MAP_FILE, &arg);
}

/* A device of the machine's on the kit's IOAS, to look behind an IOVA */
static struct nestfd_device *plug(struct kit *kit)
{
	struct nestfd_device_config config = { .size = sizeof(config),
					       .stream_id = 7 };
	struct nestfd_device *dev;
	uint32_t id;
	uint32_t pt = kit->ioas;

	assert_int_equal(nestfd_device_add(kit->machine, &config, &dev), 0);
	assert_int_equal(nestfd_bind(kit->ctx, dev, &id), 0);
	assert_int_equal(nestfd_attach(dev, NESTFD_NO_PASID, &pt), 0);
	return dev;
}

static void lengths_are_pages_up_to_512(void **state)
{
	struct kit *kit = *state;
	uint32_t sizes[] = { 0, PAGES_MAX * PAGE + 1, UINT32_MAX, 1u << 31 };
	int fd;

	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(make(kit, sizes[i], 0), -EINVAL);
	fd = make(kit, 1, 0);
	assert_in_range(fd, 0, 1000);
	assert_int_equal(map(kit, fd, 0, PAGE, APERTURE), 0);
	close(fd);
	fd = make(kit, PAGES_MAX * PAGE, 0);
	assert_in_range(fd, 0, 1000);
	assert_int_equal(map(kit, fd, 0, PAGES_MAX * PAGE, 2 * APERTURE), 0);
	close(fd);
}

static void close_on_exec_is_as_asked_for(void **state)
{
	struct kit *kit = *state;
	int fd = make(kit, PAGE, 0);

	assert_int_equal(fcntl(fd, F_GETFD), 0);
	close(fd);
	fd = make(kit, PAGE, O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void dma_reaches_it_until_it_is_revoked(void **state)
{
	struct kit *kit = *state;
	struct nestfd_device *dev = plug(kit);
	int fd = make(kit, 2 * PAGE, 0);
	char byte = 'd';

	assert_int_equal(map(kit, fd, 0, 2 * PAGE, APERTURE), 0);
	assert_int_equal(map(kit, fd, PAGE, PAGE, 2 * APERTURE), 0);
	assert_int_equal(nestfd_dma_write(dev, APERTURE + PAGE, &byte, 1), 0);
	byte = 0;
	assert_int_equal(nestfd_dma_read(dev, 2 * APERTURE, &byte, 1), 0);
	assert_int_equal(byte, 'd');
	assert_int_equal(take(kit, fd, 1), 0);
	assert_int_equal(nestfd_dma_read(dev, APERTURE, &byte, 1), -EIO);
	assert_int_equal(nestfd_dma_read(dev, 2 * APERTURE, &byte, 1), -EIO);
	close(fd);
}

static void it_comes_back_only_where_it_is_mapped_anew(void **state)
{
	struct kit *kit = *state;
	struct nestfd_device *dev = plug(kit);
	int fd = make(kit, PAGE, 0);
	char byte = 0;

	assert_int_equal(map(kit, fd, 0, PAGE, APERTURE), 0);
	assert_int_equal(take(kit, fd, 1), 0);
	assert_int_equal(map(kit, fd, 0, PAGE, 2 * APERTURE), -ENODEV);
	assert_int_equal(take(kit, fd, 0), 0);
	/* the area is there, without memory */
	assert_int_equal(nestfd_dma_read(dev, APERTURE, &byte, 1), -EIO);
	assert_int_equal(map(kit, fd, 0, PAGE, APERTURE), -EEXIST);
	assert_int_equal(map(kit, fd, 0, PAGE, 2 * APERTURE), 0);
	assert_int_equal(nestfd_dma_read(dev, 2 * APERTURE, &byte, 1), 0);
	assert_int_equal(kit_unmap(kit, APERTURE, PAGE), 0);
	assert_int_equal(map(kit, fd, 0, PAGE, APERTURE), 0);
	assert_int_equal(nestfd_dma_read(dev, APERTURE, &byte, 1), 0);
	close(fd);
}

static void restoring_what_was_never_revoked_takes_it_away(void **state)
{
	struct kit *kit = *state;
	struct nestfd_device *dev = plug(kit);
	int fd = make(kit, PAGE, 0);
	char byte = 0;

	assert_int_equal(map(kit, fd, 0, PAGE, APERTURE), 0);
	assert_int_equal(take(kit, fd, 0), 0);
	assert_int_equal(nestfd_dma_read(dev, APERTURE, &byte, 1), -EIO);
	close(fd);
}

static void a_domain_that_comes_later_maps_what_is_left(void **state)
{
	struct kit *kit = *state;
	int revoked = make(kit, PAGE, 0);
	int fd = make(kit, PAGE, 0);
	struct nestfd_device *dev;
	char byte = 0;

	assert_int_equal(map(kit, revoked, 0, PAGE, APERTURE), 0);
	assert_int_equal(map(kit, fd, 0, PAGE, 2 * APERTURE), 0);
	assert_int_equal(take(kit, revoked, 1), 0);
	dev = plug(kit);
	assert_int_equal(nestfd_dma_read(dev, APERTURE, &byte, 1), -EIO);
	assert_int_equal(nestfd_dma_read(dev, 2 * APERTURE, &byte, 1), 0);
	close(revoked);
	close(fd);
}

static void it_has_an_end(void **state)
{
	struct kit *kit = *state;
	int fd = make(kit, 2 * PAGE, 0);

	assert_int_equal(map(kit, fd, 0, 3 * PAGE, APERTURE), -EINVAL);
	assert_int_equal(map(kit, fd, PAGE, 2 * PAGE, APERTURE), -EINVAL);
	assert_int_equal(map(kit, fd, PAGE, PAGE, APERTURE), 0);
	close(fd);
}

static void it_outlives_its_fd_where_it_is_mapped(void **state)
{
	struct kit *kit = *state;
	struct nestfd_device *dev = plug(kit);
	int fd = make(kit, PAGE, 0);
	int copy = dup(fd);
	char byte = 'k';

	close(fd);
	assert_int_equal(map(kit, copy, 0, PAGE, APERTURE), 0);
	assert_int_equal(take(kit, copy, 0), 0);
	assert_int_equal(kit_unmap(kit, APERTURE, PAGE), 0);
	assert_int_equal(map(kit, copy, 0, PAGE, APERTURE), 0);
	close(copy);
	assert_int_equal(nestfd_dma_write(dev, APERTURE, &byte, 1), 0);
	assert_int_equal(take(kit, copy, 1), -EBADF);
}

static void nobody_but_hardware_reads_it(void **state)
{
	struct kit *kit = *state;
	struct iommu_ioas_change_process change = { .size = sizeof(change) };
	int fd = make(kit, PAGE, 0);
	uint32_t access, item;
	char byte;

	assert_int_equal(map(kit, fd, 0, PAGE, APERTURE), 0);
	assert_int_equal(kit_access(kit, 1, &access), 0);
	assert_int_equal(kit_rw(kit, access, 0, APERTURE, &byte, 1), -EINVAL);
	assert_int_equal(kit_rw(kit, access, 1, APERTURE, &byte, 1), -EINVAL);
	assert_int_equal(kit_pin(kit, access, 0, APERTURE, PAGE, NULL, &item),
			 -EINVAL);
	assert_int_equal(
		nestfd_ioctl(kit->ctx, IOMMU_IOAS_CHANGE_PROCESS, &change),
		-EINVAL);
	close((int)access);
	close(fd);
}

static void other_files_cannot_be_revoked(void **state)
{
	struct kit *kit = *state;
	int fd = memfd_create("plain", MFD_CLOEXEC);

	assert_int_equal(take(kit, fd, 1), -EINVAL);
	assert_int_equal(take(kit, -1, 1), -EBADF);
	close(fd);
	assert_int_equal(take(kit, fd, 1), -EBADF);
}

#define plain(test) \
	cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		plain(lengths_are_pages_up_to_512),
		plain(close_on_exec_is_as_asked_for),
		plain(dma_reaches_it_until_it_is_revoked),
		plain(it_comes_back_only_where_it_is_mapped_anew),
		plain(restoring_what_was_never_revoked_takes_it_away),
		plain(a_domain_that_comes_later_maps_what_is_left),
		plain(it_has_an_end),
		plain(it_outlives_its_fd_where_it_is_mapped),
		plain(nobody_but_hardware_reads_it),
		plain(other_files_cannot_be_revoked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
