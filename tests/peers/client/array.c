// SPDX-License-Identifier: MIT
/*
 * The ABI itself, as a VMM without libviommu would use it: one vIOMMU, two
 * vDEVICEs, a nested HWPT, and IOMMU_HWPT_INVALIDATE with the additions'
 * longer struct. Rows like J24 are those of a Linux 7.2 that was observed; what
 * differs on nestfd stands in docs/abi.md, "Deliberate deviations".
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "nestfd/ext.h"

#define MOST 4096u
/* one more than fit into 4 MiB */
#define TOO_MANY ((1u << 18) + 1)

struct cmd {
	uint64_t dw[2];
};

struct array {
	struct client *client;
	uint32_t viommu;
	uint32_t vdevice[DEVICES];
	uint32_t nested;
	struct cmd *cmds;		   /* TOO_MANY */
	struct nestfd_hwpt_invalidate arg; /* of the last call */
};

static int ask(struct array *array, unsigned long cmd, void *arg)
{
	return place_ioctl(&array->client->place, cmd, arg);
}

static int make_vdevice(struct array *array, unsigned int i, uint32_t vsid)
{
	struct iommu_vdevice_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = array->viommu,
		.dev_id = array->client->place.device[i].id,
		.virt_id = vsid,
	};
	int rc = ask(array, IOMMU_VDEVICE_ALLOC, &arg);

	if (!rc)
		array->vdevice[i] = arg.out_vdevice_id;
	return rc;
}

static int make_nested(struct array *array, uint64_t ste0, uint32_t *hwpt)
{
	struct iommu_hwpt_arm_smmuv3 ste = { .ste = { ste0, STE_1 } };
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.dev_id = array->client->place.device[0].id,
		.pt_id = array->viommu,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(ste),
		.data_uptr = (uintptr_t)&ste,
	};
	int rc = ask(array, IOMMU_HWPT_ALLOC, &arg);

	*hwpt = arg.out_hwpt_id;
	return rc;
}

static void destroy(struct array *array, uint32_t id, const char *what)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };
	char text[80];

	snprintf(text, sizeof(text), "IOMMU_DESTROY of the %s", what);
	check_rc(array->client, ask(array, IOMMU_DESTROY, &arg), 0, text);
}

static void make_objects(struct array *array)
{
	struct client *client = array->client;
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = client->place.device[0].id,
		.hwpt_id = client->parent,
	};
	uint32_t hwpt;

	check_rc(client, ask(array, IOMMU_VIOMMU_ALLOC, &viommu), 0,
		 "IOMMU_VIOMMU_ALLOC");
	array->viommu = viommu.out_viommu_id;
	check_rc(client, make_vdevice(array, 0, VSID_0), 0,
		 "IOMMU_VDEVICE_ALLOC 0x123");
	check_rc(client, make_vdevice(array, 0, VSID_1), -EEXIST,
		 "a device has one vDEVICE (D3)");
	check_rc(client, make_vdevice(array, 1, VSID_0), -EEXIST,
		 "a vSID has one vDEVICE (D7)");
	check_rc(client, make_vdevice(array, 1, VSID_1), 0,
		 "IOMMU_VDEVICE_ALLOC 0x456");
	check_rc(client, make_nested(array, STE_0, &array->nested), 0,
		 "IOMMU_HWPT_ALLOC of a vSTE with stage 1");
	check_rc(client, make_nested(array, STE_0 | 0xe, &hwpt), -EIO,
		 "a vSTE with Config 7 is refused (C10)");
	check_rc(client, place_attach(&client->place.device[0], array->nested),
		 0, "attach to the nested HWPT");
}

/* @count entries of @cmds, in a struct of @size bytes */
static int invalidate(struct array *array, uint32_t count, uint32_t size)
{
	array->arg = (struct nestfd_hwpt_invalidate){
		.size = size,
		.hwpt_id = array->viommu,
		.data_uptr = (uintptr_t)array->cmds,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(struct cmd),
		.entry_num = count,
	};
	return ask(array, IOMMU_HWPT_INVALIDATE, &array->arg);
}

static void fill(struct array *array, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		array->cmds[i] = (struct cmd){ { TLBI_NH_ASID_0, 0 } };
}

static void put(struct array *array, uint32_t at, uint64_t dw0, uint64_t dw1)
{
	array->cmds[at] = (struct cmd){ { dw0, dw1 } };
}

/* What a call says, all of it at once; @code only where there are codes */
static void check_call(struct array *array, int rc, int expected, uint32_t done,
		       uint32_t code, const char *what)
{
	bool codes = array->client->extensions & NESTFD_EXT_ERRORS;
	uint32_t error = codes && code ? NESTFD_ERR_VALID | code : 0;
	const struct nestfd_hwpt_invalidate *arg = &array->arg;

	check(array->client,
	      rc == expected && arg->entry_num == done &&
		      arg->out_error == error && !arg->out_error_info,
	      what,
	      "%s, entry_num %u, out_error %#x, info %#x; not %s, %u, %#x, 0",
	      strerror(-rc), arg->entry_num, arg->out_error,
	      arg->out_error_info, strerror(-expected), done, error);
}

static void good_arrays(struct array *array)
{
	static const uint32_t counts[] = { 1, 2, 63, 64, 65, 4096 };
	char what[80];

	for (unsigned int i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		fill(array, counts[i]);
		snprintf(what, sizeof(what), "%u commands, plain struct",
			 counts[i]);
		check_call(array,
			   invalidate(array, counts[i],
				      sizeof(struct iommu_hwpt_invalidate)),
			   0, counts[i], 0, what);
		snprintf(what, sizeof(what), "%u commands, longer struct",
			 counts[i]);
		check_call(array,
			   invalidate(array, counts[i], sizeof(array->arg)), 0,
			   counts[i], 0, what);
	}
}

/* Linux's table moves and nothing tells the device: the cache is real. */
static void one_invalidation(struct array *array)
{
	struct client *client = array->client;

	tables_map(&client->place, PAGE_A);
	fill(array, 1);
	invalidate(array, 1, sizeof(array->arg));
	check_lands(client, 0, 'A', "DMA reaches page A");
	tables_map(&client->place, PAGE_B);
	check_lands(client, 0, 'A', "without an invalidation, still (F5)");
	put(array, 0, TLBI_NH_VA_0, TLBI_NH_VA_1);
	check_call(array, invalidate(array, 1, sizeof(array->arg)), 0, 1, 0,
		   "TLBI_NH_VA");
	check_lands(client, 0, 'B', "and page B behind it (F7)");
}

static void illegal_in_the_middle(struct array *array)
{
	static const uint32_t at[] = { 0, 1, 62, 63, 64, 2000 };
	struct client *client = array->client;
	char what[80];

	for (unsigned int i = 0; i < sizeof(at) / sizeof(*at); i++) {
		fill(array, MOST);
		put(array, at[i], ILLEGAL_0, 0);
		snprintf(what, sizeof(what),
			 "an unknown opcode at %u of 4096: EIO, ILL", at[i]);
		check_call(array, invalidate(array, MOST, sizeof(array->arg)),
			   -EIO, at[i], NESTFD_ERR_SMMUV3_ILL, what);
	}
	tables_map(&client->place, PAGE_A);
	fill(array, 1);
	invalidate(array, 1, sizeof(array->arg));
	check_lands(client, 0, 'A', "page A again");
	tables_map(&client->place, PAGE_B);
	put(array, 0, TLBI_NH_VA_0, TLBI_NH_VA_1);
	put(array, 1, ILLEGAL_0, 0);
	check_call(array, invalidate(array, 2, sizeof(array->arg)), -EIO, 1,
		   NESTFD_ERR_SMMUV3_ILL, "TLBI_NH_VA, unknown opcode");
	/* J24: Linux counts it, and has not issued it */
	check_lands(client, 0, client->place.real ? 'A' : 'B',
		    "what entry_num counts is done (Linux: it is not)");
}

static void refused_commands(struct array *array)
{
	bool real = array->client->place.real;

	put(array, 0, TLBI_NH_VA_0 | 1 << 8, TLBI_NH_VA_1);
	check_call(array, invalidate(array, 1, sizeof(array->arg)),
		   real ? 0 : -EIO, real ? 1 : 0, NESTFD_ERR_SMMUV3_ILL,
		   "a reserved bit: EIO (Linux does not look, I2)");
	put(array, 0, CFGI_CD_0(0x777), LEAF);
	check_call(array, invalidate(array, 1, sizeof(array->arg)), -EIO, 0,
		   NESTFD_ERR_SMMUV3_ILL, "CFGI_CD of an unknown vSID (F22)");
	put(array, 0, ATC_INV_0(0x777), 0x34);
	check_call(array, invalidate(array, 1, sizeof(array->arg)), -EIO, 0,
		   NESTFD_ERR_SMMUV3_ILL, "ATC_INV of an unknown vSID (F24)");
	put(array, 0, CFGI_CD_0(VSID_0), LEAF);
	put(array, 1, ATC_INV_0(VSID_1), 0x34);
	check_call(array, invalidate(array, 2, sizeof(array->arg)), 0, 2, 0,
		   "CFGI_CD, ATC_INV of devices without ATS (F23)");
}

/*
 * CFGI_CD with SSec. Linux's interrupt handler makes a CMD_SYNC of it, and who
 * waits hears of nothing, or of a timeout: that depends on the CPU (K1, K4).
 */
static void refused_by_hardware(struct array *array)
{
	struct client *client = array->client;
	int rc;

	put(array, 0, TLBI_NH_VA_0, TLBI_NH_VA_1);
	put(array, 1, CFGI_CD_0(VSID_0) | 1 << 10, LEAF);
	put(array, 2, TLBI_NH_ASID_0, 0);
	rc = invalidate(array, 3, sizeof(array->arg));
	if (client->place.real)
		check(client, !rc || rc == -ETIMEDOUT,
		      "what hardware refuses: success, or a timeout (K1, K4)",
		      "%s", strerror(-rc));
	else
		check_call(array, rc, -EIO, 1, NESTFD_ERR_SMMUV3_ILL,
			   "what hardware refuses: EIO, ILL");
	tables_map(&client->place, PAGE_A);
	check_call(array, invalidate(array, 1, sizeof(array->arg)), 0, 1, 0,
		   "the next TLBI_NH_VA is done");
	check_lands(client, 0, 'A', "and DMA reaches page A");
}

static void the_call_itself(struct array *array)
{
	struct client *client = array->client;
	bool real = client->place.real;

	fill(array, 1);
	check_call(array, invalidate(array, 0, sizeof(array->arg)),
		   real ? -EINVAL : 0, 0, 0,
		   "an empty array: a probe (Linux: EINVAL, H1)");
	array->arg.entry_num = 1;
	array->arg.data_type = 99;
	check_call(array, ask(array, IOMMU_HWPT_INVALIDATE, &array->arg),
		   -EINVAL, 0, 0, "data_type 99 (H8)");
	invalidate(array, 1, sizeof(array->arg));
	array->arg.data_uptr = 8;
	check_call(array, ask(array, IOMMU_HWPT_INVALIDATE, &array->arg),
		   -EFAULT, 0, 0, "an array in no memory (H14)");
	invalidate(array, 1, sizeof(array->arg));
	array->arg.hwpt_id = 0x7fffffff;
	check_call(array, ask(array, IOMMU_HWPT_INVALIDATE, &array->arg),
		   -ENOENT, 0, 0, "hwpt_id unknown (H12)");
	invalidate(array, 1, sizeof(array->arg));
	array->arg.out_error = 1;
	check_rc(client, ask(array, IOMMU_HWPT_INVALIDATE, &array->arg), -E2BIG,
		 "out_error 1 on input: E2BIG (H25)");
	fill(array, TOO_MANY);
	check_call(array, invalidate(array, TOO_MANY, sizeof(array->arg)),
		   real ? -ENOMEM : 0, TOO_MANY, 0,
		   "2^18 + 1 entries (Linux: ENOMEM, J19)");
}

static void destroy_objects(struct array *array)
{
	struct client *client = array->client;

	check_rc(client, place_attach(&client->place.device[0], client->parent),
		 0, "attach to the nest parent");
	destroy(array, array->nested, "nested HWPT");
	destroy(array, array->vdevice[0], "vDEVICE");
	destroy(array, array->vdevice[1], "other vDEVICE");
	destroy(array, array->viommu, "vIOMMU");
}

void check_arrays(struct client *client)
{
	struct array array = { .client = client };

	printf("-- arrays\n");
	array.cmds = calloc(TOO_MANY, sizeof(*array.cmds));
	if (!array.cmds) {
		check(client, false, "memory for an array", "none");
		return;
	}
	tables_make(&client->place);
	make_objects(&array);
	good_arrays(&array);
	one_invalidation(&array);
	illegal_in_the_middle(&array);
	refused_commands(&array);
	refused_by_hardware(&array);
	the_call_itself(&array);
	destroy_objects(&array);
	free(array.cmds);
}
