// SPDX-License-Identifier: MIT
/*
 * Rows H and I: the arguments of IOMMU_HWPT_INVALIDATE, and which commands are
 * for it. Each case of rows H begins with X cached as A and its entry changed
 * to B; @where says what became of that.
 */
#include "rows.h"

#include <sys/mman.h>
#include <unistd.h>

#define UNKNOWN_ID 9999

/* A call, good until spoilt: TLBI_NH_VA X, on the vIOMMU */
struct call {
	struct iommu_hwpt_invalidate arg;
	uint64_t tail; /* behind the struct, when it is passed larger */
	_Alignas(8) unsigned char data[4128];
};

static void put_cmd(struct call *c, size_t offset, uint64_t dw0, uint64_t dw1)
{
	uint64_t dw[2] = { htole64(dw0), htole64(dw1) };

	memcpy(c->data + offset, dw, sizeof(dw));
}

struct row {
	void (*spoil)(const struct rows *r, struct call *c);
	int rc;
	uint32_t entry_num;
	enum where where;
};

static void row(void **state)
{
	struct rows *r = *state;
	const struct row *row = r->param;
	struct call c = {
		.arg = {
			.size = sizeof(c.arg),
			.hwpt_id = r->viommu,
			.data_uptr = (uintptr_t)c.data,
			.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
			.entry_len = 16,
			.entry_num = 1,
		},
	};

	put_cmd(&c, 0, CMD_NH_VA(ASID, X));
	row->spoil(r, &c);
	row_a_then_b(r);
	assert_int_equal(row_ioctl(r, IOMMU_HWPT_INVALIDATE, &c.arg), row->rc);
	assert_int_equal(c.arg.entry_num, row->entry_num);
	assert_int_equal(row_probe(r, 0), row->where);
}

/*
 * H1 to H5: Linux's SMMUv3 path takes no empty array. Here it is the probe
 * that iommufd.h documents: is the data_type supported? A nested HWPT has no
 * invalidation of its own on this architecture, so H5 stays as it was.
 */
static void empty(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.entry_num = 0;
}
static const struct row h1 = { empty, 0, 0, IN_A };

static void empty_null(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.entry_num = 0;
	c->arg.entry_len = 0;
	c->arg.data_uptr = 0;
}
static const struct row h2 = { empty_null, 0, 0, IN_A };

static void empty_type_0(const struct rows *r, struct call *c)
{
	empty(r, c);
	c->arg.data_type = 0;
}
static const struct row h3 = { empty_type_0, -EINVAL, 0, IN_A };

static void empty_type_99(const struct rows *r, struct call *c)
{
	empty(r, c);
	c->arg.data_type = 99;
}
static const struct row h4 = { empty_type_99, -EINVAL, 0, IN_A };

static void empty_nested(const struct rows *r, struct call *c)
{
	empty(r, c);
	c->arg.hwpt_id = r->s1;
}
static const struct row h5 = { empty_nested, -EOPNOTSUPP, 0, IN_A };

static void empty_unknown(const struct rows *r, struct call *c)
{
	empty(r, c);
	c->arg.hwpt_id = UNKNOWN_ID;
}
static const struct row h6 = { empty_unknown, -ENOENT, 0, IN_A };

static void type_0(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.data_type = 0;
}
static const struct row h7 = { type_0, -EINVAL, 0, IN_A };

static void type_99(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.data_type = 99;
}
static const struct row h8 = { type_99, -EINVAL, 0, IN_A };

static void on_nested(const struct rows *r, struct call *c)
{
	c->arg.hwpt_id = r->s1;
}
static const struct row h9 = { on_nested, -EOPNOTSUPP, 0, IN_A };

static void on_parent(const struct rows *r, struct call *c)
{
	c->arg.hwpt_id = r->parent;
}
static const struct row h10 = { on_parent, -EINVAL, 0, IN_A };

static void on_ioas(const struct rows *r, struct call *c)
{
	c->arg.hwpt_id = r->ioas;
}
static const struct row h11 = { on_ioas, -EINVAL, 0, IN_A };

static void on_unknown(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.hwpt_id = UNKNOWN_ID;
}
static const struct row h12 = { on_unknown, -ENOENT, 0, IN_A };

static void uptr_0(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.data_uptr = 0;
}
static const struct row h13 = { uptr_0, -EINVAL, 0, IN_A };

static void uptr_bad(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.data_uptr = 16; /* in page 0, which nobody maps */
}
static const struct row h14 = { uptr_bad, -EFAULT, 0, IN_A };

static void len_0(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.entry_len = 0;
}
static const struct row h15 = { len_0, -EINVAL, 0, IN_A };

static void len_8(const struct rows *r, struct call *c)
{
	(void)r;
	put_cmd(c, 0, CMD_NH_ASID(ASID));
	/* beyond the entry: its second word is taken as 0 */
	memset(c->data + 8, 0xff, 8);
	c->arg.entry_len = 8;
}
static const struct row h16 = { len_8, 0, 1, IN_B };

static void len_8_four(const struct rows *r, struct call *c)
{
	(void)r;
	for (unsigned int i = 0; i < 4; i++)
		put_cmd(c, i * 8, CMD_NH_ASID(i == 3 ? ASID : 6));
	c->arg.entry_len = 8;
	c->arg.entry_num = 4;
}
static const struct row h17 = { len_8_four, 0, 4, IN_B };

static void len_24_two(const struct rows *r, struct call *c)
{
	(void)r;
	put_cmd(c, 0, CMD_NH_ASID(6));
	put_cmd(c, 24, CMD_NH_VA(ASID, X));
	c->arg.entry_len = 24;
	c->arg.entry_num = 2;
}
static const struct row h18 = { len_24_two, 0, 2, IN_B };

static void len_24_tail(const struct rows *r, struct call *c)
{
	(void)r;
	put_cmd(c, 24, CMD_NH_ASID(6));
	c->data[24 + 16] = 1;
	c->arg.entry_len = 24;
	c->arg.entry_num = 2;
}
static const struct row h19 = { len_24_tail, -E2BIG, 0, IN_A };

static void len_4096(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.entry_len = 4096;
}
static const struct row h20 = { len_4096, 0, 1, IN_B };

static void len_4097(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.entry_len = 4097;
}
static const struct row h21 = { len_4097, -EINVAL, 0, IN_A };

static void len_17(const struct rows *r, struct call *c)
{
	(void)r;
	put_cmd(c, 16, CMD_NH_ASID(6));
	c->arg.entry_len = 17;
}
static const struct row h22 = { len_17, -E2BIG, 0, IN_A };

static void reserved(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.__reserved = 1;
}
static const struct row h23 = { reserved, -EOPNOTSUPP, 0, IN_A };

static void larger(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.size = sizeof(c->arg) + 8;
}
static const struct row h24 = { larger, 0, 1, IN_B };

static void larger_tail(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.size = sizeof(c->arg) + 8;
	c->tail = 1;
}
/* H25, H26: nothing is written back, entry_num is the caller's own */
static const struct row h25 = { larger_tail, -E2BIG, 1, IN_A };

static void size_28(const struct rows *r, struct call *c)
{
	(void)r;
	c->arg.size = 28;
}
static const struct row h26 = { size_28, -EINVAL, 1, IN_A };

static void H27_a_reply_that_cannot_be_written_is_EFAULT_but_done(void **state)
{
	struct rows *r = *state;
	long page = sysconf(_SC_PAGESIZE);
	struct cmd cmd = { { htole64(0x0005000000000012), htole64(X | 1) } };
	struct iommu_hwpt_invalidate *arg =
		mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(arg != MAP_FAILED);
	*arg = (struct iommu_hwpt_invalidate){
		.size = sizeof(*arg),
		.hwpt_id = r->viommu,
		.data_uptr = (uintptr_t)&cmd,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(cmd),
		.entry_num = 1,
	};
	assert_int_equal(mprotect(arg, (size_t)page, PROT_READ), 0);
	row_a_then_b(r);
	assert_int_equal(row_ioctl(r, IOMMU_HWPT_INVALIDATE, arg), -EFAULT);
	assert_int_equal(arg->entry_num, 1);
	assert_int_equal(row_probe(r, 0), IN_B);
	munmap(arg, (size_t)page);
}

static bool for_the_guest(unsigned int opcode)
{
	static const uint8_t opcodes[] = { 0x05, 0x06, 0x10, 0x11,
					   0x12, 0x13, 0x30, 0x40 };

	for (size_t i = 0; i < sizeof(opcodes); i++)
		if (opcodes[i] == opcode)
			return true;
	return false;
}

static void I1_eight_opcodes_of_256_are_taken_others_are_EIO(void **state)
{
	struct rows *r = *state;

	for (unsigned int op = 0; op < 256; op++)
		assert_int_equal(row_command(r, op | VSID_0 << 32, 0),
				 for_the_guest(op) ? 0 : -EIO);
}

/*
 * Linux looks at no reserved bit and answers 0. Here each of them is refused,
 * as hardware may refuse it. (Bits 31:8 less SSEC, NUM and SCALE in a command
 * that names a range; all of them in this one, which does not.)
 */
static void I2_reserved_bits_of_tlbi_nh_va_are_EIO(void **state)
{
	static const unsigned int bits[] = { 8, 10, 30, 31 };
	struct rows *r = *state;
	struct cmd two[2] = { { { htole64(0x0005000000000012),
				  htole64(X | 1) } } };
	uint32_t n = 2;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		assert_int_equal(
			row_command(r, 0x0005000000000012 | 1ULL << bits[i],
				    X | 1),
			-EIO);
	/* entry_num is the index of the bad one, and the good one is done */
	two[1].dw[0] = htole64(0x00050000c0000512);
	two[1].dw[1] = htole64(X | 1);
	row_a_then_b(r);
	assert_int_equal(row_invalidate(r, two, &n), -EIO);
	assert_int_equal(n, 1);
	assert_int_equal(row_probe(r, 0), IN_B);
}

#define CALL(name, param) ROW_OF(setup_attached, row, name, param)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CALL("H1_empty_array_probes_the_type", &h1),
		CALL("H2_empty_array_of_nothing_probes_the_type", &h2),
		CALL("H3_empty_array_of_type_0_is_EINVAL", &h3),
		CALL("H4_empty_array_of_type_99_is_EINVAL", &h4),
		CALL("H5_empty_array_on_a_nested_hwpt_is_EOPNOTSUPP", &h5),
		CALL("H6_empty_array_on_an_unknown_id_is_ENOENT", &h6),
		CALL("H7_data_type_0_is_EINVAL", &h7),
		CALL("H8_data_type_99_is_EINVAL", &h8),
		CALL("H9_on_a_nested_hwpt_is_EOPNOTSUPP", &h9),
		CALL("H10_on_the_parent_is_EINVAL", &h10),
		CALL("H11_on_the_ioas_is_EINVAL", &h11),
		CALL("H12_on_an_unknown_id_is_ENOENT", &h12),
		CALL("H13_data_uptr_0_is_EINVAL", &h13),
		CALL("H14_data_at_a_bad_address_is_EFAULT", &h14),
		CALL("H15_entry_len_0_is_EINVAL", &h15),
		CALL("H16_a_short_entry_is_filled_with_zeros", &h16),
		CALL("H17_four_short_entries", &h17),
		CALL("H18_long_entries_with_tails_of_zeros", &h18),
		CALL("H19_a_tail_that_is_not_zero_is_E2BIG", &h19),
		CALL("H20_entry_len_4096", &h20),
		CALL("H21_entry_len_4097_is_EINVAL", &h21),
		CALL("H22_entry_len_17_over_packed_commands_is_E2BIG", &h22),
		CALL("H23_reserved_word_is_EOPNOTSUPP", &h23),
		CALL("H24_a_larger_struct_with_zeros", &h24),
		CALL("H25_a_larger_struct_with_more_is_E2BIG", &h25),
		CALL("H26_a_struct_too_small_is_EINVAL", &h26),
		ROW(setup_attached,
		    H27_a_reply_that_cannot_be_written_is_EFAULT_but_done),
		ROW(setup_attached,
		    I1_eight_opcodes_of_256_are_taken_others_are_EIO),
		ROW(setup_attached, I2_reserved_bits_of_tlbi_nh_va_are_EIO),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
