// SPDX-License-Identifier: MIT
/* The words in which --trace tells of a call. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shim/trace.h"

/* Memory that ends: addresses 0x1000 up to @size behind it */
struct memory {
	unsigned char bytes[4096];
	size_t size;
};

static int memory_read(void *ctx, void *dst, uint64_t addr, size_t len)
{
	struct memory *m = ctx;

	if (addr < 0x1000 || addr - 0x1000 > m->size ||
	    len > m->size - (addr - 0x1000))
		return -EFAULT;
	memcpy(dst, m->bytes + (addr - 0x1000), len);
	return 0;
}

static struct trace_line line;

static const char *told(struct memory *m, unsigned long cmd, uint64_t arg,
			long rc)
{
	const struct trace_mem mem = { memory_read, m };

	memset(&line, 0x5a, sizeof(line));
	trace_enter(&line, 3, cmd, arg, &mem);
	trace_exit(&line, rc);
	assert_true(line.used <= TRACE_LINE &&
		    line.text[line.used - 1] == '\n');
	line.text[line.used - 1] = '\0';
	return line.text;
}

static void a_struct_that_is_not_there_is_a_pointer(void **state)
{
	struct memory m = { .size = 2 };

	(void)state;
	assert_string_equal(told(&m, 0x3b80, 0, -EFAULT),
			    "ioctl(3, IOMMU_DESTROY, NULL) = -1 EFAULT (Bad "
			    "address)");
	assert_string_equal(told(&m, 0x3b80, 0x1000, -EFAULT),
			    "ioctl(3, IOMMU_DESTROY, 0x1000) = -1 EFAULT (Bad "
			    "address)");
	assert_string_equal(told(&m, 0x3b80, UINT64_MAX, -EFAULT),
			    "ioctl(3, IOMMU_DESTROY, 0xffffffffffffffff) = -1 "
			    "EFAULT (Bad address)");
}

static void only_what_the_size_covers_is_shown(void **state)
{
	struct memory m = { .bytes = { 4, 0, 0, 0, 9 }, .size = 64 };

	(void)state;
	assert_string_equal(told(&m, 0x3b80, 0x1000, -EINVAL),
			    "ioctl(3, IOMMU_DESTROY, {size=4}) = -1 EINVAL "
			    "(Invalid argument)");
	m.bytes[0] = 0;
	assert_string_equal(told(&m, 0x3b80, 0x1000, -EINVAL),
			    "ioctl(3, IOMMU_DESTROY, {size=0}) = -1 EINVAL "
			    "(Invalid argument)");
	m.bytes[0] = 8;
	assert_string_equal(told(&m, 0x3b80, 0x1000, 0),
			    "ioctl(3, IOMMU_DESTROY, {size=8, id=9}) = 0");
	m.bytes[0] = 200; /* larger than known */
	assert_string_equal(told(&m, 0x3b80, 0x1000, -E2BIG),
			    "ioctl(3, IOMMU_DESTROY, {size=200, id=9}) = -1 "
			    "E2BIG (Argument list too long)");
}

static void numbers_that_nobody_knows_stay_numbers(void **state)
{
	struct memory m = { .size = 64 };

	(void)state;
	assert_string_equal(told(&m, 0x3b95, 0x1000, -ENOTTY),
			    "ioctl(3, 0x3b95, 0x1000) = -1 ENOTTY "
			    "(Inappropriate ioctl for device)");
	assert_string_equal(told(&m, 0x3b7f, 0, -ENOTTY),
			    "ioctl(3, 0x3b7f, 0) = -1 ENOTTY (Inappropriate "
			    "ioctl for device)");
	assert_string_equal(told(&m, 0x40043b80, 0, -ENOTTY),
			    "ioctl(3, 0x40043b80, 0) = -1 ENOTTY "
			    "(Inappropriate ioctl for device)");
}

static void flags_and_reserved_members(void **state)
{
	/* IOAS_MAP: size 40, flags 0xd, ioas_id 1, reserved 7 */
	struct memory m = { .bytes = { 40, 0, 0, 0, 0xd, 0, 0, 0, 1, 0, 0, 0,
				       7 },
			    .size = 40 };

	(void)state;
	assert_string_equal(
		told(&m, 0x3b85, 0x1000, -EOPNOTSUPP),
		"ioctl(3, IOMMU_IOAS_MAP, {size=40, "
		"flags=IOMMU_IOAS_MAP_FIXED_IOVA|IOMMU_IOAS_MAP_READABLE|0x8, "
		"ioas_id=1, __reserved=0x7, user_va=0, length=0, iova=0}) = -1 "
		"EOPNOTSUPP (Operation not supported)");
}

static void every_command_has_its_name(void **state)
{
	(void)state;
	for (unsigned int nr = 0; nr < 256; nr++) {
		const char *name = trace_command_name(nr);

		if (nr == 0xf0 || nr == 0xf1)
			assert_int_equal(strncmp(name, "NESTFD_", 7), 0);
		else if ((nr >= 0x64 && nr <= 0x66) ||
			 (nr >= 0x70 && nr <= 0x72))
			assert_int_equal(strncmp(name, "VFIO_", 5), 0);
		else if ((nr < 0x80 || nr > 0x94) && nr != 0xa0)
			assert_null(name);
		else
			assert_int_equal(strncmp(name, "IOMMU_", 6), 0);
	}
	assert_string_equal(trace_command_name(0x80), "IOMMU_DESTROY");
	assert_string_equal(trace_command_name(0x85), "IOMMU_IOAS_MAP");
	assert_string_equal(trace_command_name(0x8d), "IOMMU_HWPT_INVALIDATE");
	assert_string_equal(trace_command_name(0x94), "IOMMU_HW_QUEUE_ALLOC");
}

static void put32(struct memory *m, uint32_t at, uint32_t value)
{
	memcpy(m->bytes + at, &value, sizeof(value));
}

/* EXT_ENABLE: size, flags, features */
static void additions_are_named(void **state)
{
	struct memory m = { .bytes = { 16, 0, 0, 0, 0, 0, 0, 0, 15 },
			    .size = 64 };

	(void)state;
	assert_string_equal(told(&m, 0x3bf0, 0x1000, 0),
			    "ioctl(3, NESTFD_EXT_ENABLE, {size=16, flags=0, "
			    "features=NESTFD_EXT_ERRORS|NESTFD_EXT_RING|"
			    "NESTFD_EXT_INVALID|0x8} => "
			    "{features=NESTFD_EXT_ERRORS|NESTFD_EXT_RING|"
			    "NESTFD_EXT_INVALID|0x8}) = 0");
}

/* A ring of 16 entries of 8 bytes at 0x1100, cons at 0x1080 */
static void a_ring_shows_what_is_pending(void **state)
{
	struct memory m = { .size = sizeof(m.bytes) };

	(void)state;
	put32(&m, 0, 56);
	put32(&m, 4, 9);
	put32(&m, 8, 0x1100);
	put32(&m, 16, 0x1080);
	put32(&m, 24, 0x11);
	put32(&m, 28, 4);
	put32(&m, 32, 0x10);
	put32(&m, 36, 8);
	put32(&m, 40, 1);
	put32(&m, 44, 0x80000001);
	put32(&m, 0x80, 0xf);
	put32(&m, 0x100 + 0xf * 8, 0xaa);
	put32(&m, 0x100, 0xbb);
	assert_string_equal(
		told(&m, 0x3bf1, 0x1000, 0),
		"ioctl(3, NESTFD_HWPT_INVALIDATE_RING, {size=56, hwpt_id=9, "
		"q_uptr=0x1100, q_cons_uptr=0x1080, q_prod=0x11, "
		"q_index_bits=4, q_entry_num=0x10, q_entry_len=8, "
		"data_type=IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, cons=0xf, "
		"entries=[{? [0xaa]}, {? [0xbb]}]} => "
		"{out_error=NESTFD_ERR_VALID|0x1, out_error_info=0, cons=0xf}) "
		"= 0");
}

/* Any bytes, any size: a line with an end */
static void vfio_s_calls_are_named(void **state)
{
	struct memory m = { .size = 64 };
	const uint32_t map[] = { 32,	 3, 0x5000, 0, /* argsz, flags, vaddr */
				 0x9000, 1, 0x2000, 0 };
	const uint32_t unmap[] = { 24, 2, 0, 0, 0x1000, 0 };

	(void)state;
	assert_string_equal(told(&m, 0x3b64, 0, 0),
			    "ioctl(3, VFIO_GET_API_VERSION, 0) = 0");
	assert_string_equal(told(&m, 0x3b65, 3, 1),
			    "ioctl(3, VFIO_CHECK_EXTENSION, "
			    "VFIO_TYPE1v2_IOMMU) = 1");
	assert_string_equal(told(&m, 0x3b66, 77, -EINVAL),
			    "ioctl(3, VFIO_SET_IOMMU, 0x4d) = -1 EINVAL "
			    "(Invalid argument)");
	memcpy(m.bytes, map, sizeof(map));
	assert_string_equal(told(&m, 0x3b71, 0x1000, 0),
			    "ioctl(3, VFIO_IOMMU_MAP_DMA, {argsz=32, "
			    "flags=VFIO_DMA_MAP_FLAG_READ|"
			    "VFIO_DMA_MAP_FLAG_WRITE, vaddr=0x5000, "
			    "iova=0x100009000, size=0x2000}) = 0");
	memcpy(m.bytes, unmap, sizeof(unmap));
	assert_string_equal(told(&m, 0x3b72, 0x1000, 0),
			    "ioctl(3, VFIO_IOMMU_UNMAP_DMA, {argsz=24, "
			    "flags=VFIO_DMA_UNMAP_FLAG_ALL, iova=0, "
			    "size=0x1000} => {size=0x1000}) = 0");
	assert_string_equal(told(&m, 0x3b67, 0x1000, -ENOTTY),
			    "ioctl(3, 0x3b67, 0x1000) = -1 ENOTTY "
			    "(Inappropriate ioctl for device)");
}

static void operations_of_the_mock_are_named(void **state)
{
	struct memory m = { .size = 128 };
	uint32_t cmd[18] = { 72, 1, 7, 0, 0x1000, 0, 0x2000, 0 };

	(void)state;
	memcpy(m.bytes, cmd, sizeof(cmd));
	assert_string_equal(told(&m, 0x3ba0, 0x1000, 0),
			    "ioctl(3, IOMMU_TEST_CMD, {size=72, "
			    "op=ADD_RESERVED, id=7, args=[0x1000, 0x2000]}) = "
			    "0");
	cmd[1] = 23;
	cmd[3] = 9;
	cmd[4] = cmd[6] = 0;
	cmd[17] = 1;
	memcpy(m.bytes, cmd, sizeof(cmd));
	assert_string_equal(told(&m, 0x3ba0, 0x1000, -EIO),
			    "ioctl(3, IOMMU_TEST_CMD, {size=72, "
			    "op=DMABUF_REVOKE, id=7, __reserved=0x9, args=[0, "
			    "0, 0, 0, 0, 0, 0x100000000]}) = -1 EIO "
			    "(Input/output error)");
	cmd[0] = 16; /* less than all have */
	cmd[1] = 24;
	memcpy(m.bytes, cmd, sizeof(cmd));
	assert_string_equal(told(&m, 0x3ba0, 0x1000, -EINVAL),
			    "ioctl(3, IOMMU_TEST_CMD, {size=16, op=0x18, "
			    "id=7, __reserved=0x9}) = -1 EINVAL (Invalid "
			    "argument)");
}

static void what_an_operation_of_the_mock_answers(void **state)
{
	struct memory m = { .bytes = { 72, 0, 0, 0, 2 }, .size = 128 };
	const struct trace_mem mem = { memory_read, &m };

	(void)state;
	trace_enter(&line, 3, 0x3ba0, 0x1000, &mem);
	m.bytes[16] = 5;
	trace_exit(&line, 0);
	line.text[line.used - 1] = '\0';
	assert_string_equal(line.text,
			    "ioctl(3, IOMMU_TEST_CMD, {size=72, "
			    "op=MOCK_DOMAIN, id=0, args=[]} => {args=[0x5]}) "
			    "= 0");
}

static void garbage_ends(void **state)
{
	struct memory m = { .size = sizeof(m.bytes) };
	uint32_t seed = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t data = 0x1000 + i % 4096;

		for (size_t j = 0; j < 96; j++) {
			seed = seed * 1103515245u + 12345u;
			m.bytes[j] = (unsigned char)(seed >> 16);
		}
		m.bytes[0] = (unsigned char)(i % 80);
		memset(m.bytes + 1, 0, 3);
		if (i % 3)
			memcpy(m.bytes + 8, &data, sizeof(data));
		told(&m, 0x3b80ul + (unsigned int)i % 0x16, 0x1000,
		     i % 2 ? 0 : -EIO);
		told(&m, 0x3bf0ul + (unsigned int)i % 2, 0x1000,
		     i % 3 ? 0 : -EIO);
		told(&m, 0x3b64ul + (unsigned int)i % 16, 0x1000, 0);
		told(&m, 0x3ba0, 0x1000, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_struct_that_is_not_there_is_a_pointer),
		cmocka_unit_test(only_what_the_size_covers_is_shown),
		cmocka_unit_test(numbers_that_nobody_knows_stay_numbers),
		cmocka_unit_test(flags_and_reserved_members),
		cmocka_unit_test(every_command_has_its_name),
		cmocka_unit_test(additions_are_named),
		cmocka_unit_test(a_ring_shows_what_is_pending),
		cmocka_unit_test(vfio_s_calls_are_named),
		cmocka_unit_test(operations_of_the_mock_are_named),
		cmocka_unit_test(what_an_operation_of_the_mock_answers),
		cmocka_unit_test(garbage_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
