// SPDX-License-Identifier: MIT
/*
 * Every function of nestfd.h and model.h with every errno that the headers
 * promise, and the orders in which machines, contexts and devices may end.
 */
#include "kit.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define UNTOUCHED ((void *)0x5a5a5a5aUL)

static const struct nestfd_machine_config sound = {
	.size = sizeof(sound),
	.arch = NESTFD_ARCH_SMMUV3,
};

/* A machine, a context and a device, bound; an IOAS with one page at 0x1000 */
struct rig {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	struct nestfd_device *dev;
	uint32_t dev_id;
	uint32_t ioas;
	char *page;
};

static void rig_start(struct rig *rig)
{
	assert_int_equal(kit_machine(NESTFD_CACHE_HOSTILE, &rig->machine), 0);
	assert_int_equal(nestfd_open(rig->machine, &rig->ctx), 0);
	assert_int_equal(kit_device(rig->machine, 7, &rig->dev), 0);
	assert_int_equal(nestfd_bind(rig->ctx, rig->dev, &rig->dev_id), 0);
	assert_int_equal(kit_ioas(rig->ctx, &rig->ioas), 0);
	rig->page = kit_pages(1);
	assert_int_equal(kit_map(rig->ctx, rig->ioas, 0x1000, rig->page, PAGE),
			 0);
}

static void rig_stop(struct rig *rig)
{
	nestfd_machine_destroy(rig->machine);
	kit_pages_free(rig->page, 1);
}

/* ---- machines ---- */

static void expect_no_machine(const struct nestfd_machine_config *config,
			      int rc)
{
	struct nestfd_machine *machine = UNTOUCHED;

	assert_int_equal(nestfd_machine_create(config, &machine), rc);
	assert_ptr_equal(machine, UNTOUCHED);
}

static void a_config_of_another_size_is_refused(void **state)
{
	struct nestfd_machine_config config = sound;

	(void)state;
	config.size = sizeof(config) - 1;
	expect_no_machine(&config, -EINVAL);
	config.size = sizeof(config) + 8;
	expect_no_machine(&config, -EINVAL);
	config.size = 0;
	expect_no_machine(&config, -EINVAL);
}

static void an_architecture_that_is_not_there_is_refused(void **state)
{
	struct nestfd_machine_config config = sound;

	(void)state;
	config.arch = (enum nestfd_arch)0;
	expect_no_machine(&config, -EOPNOTSUPP);
	config.arch = (enum nestfd_arch)99;
	expect_no_machine(&config, -EOPNOTSUPP);
}

static void an_unknown_cache_policy_is_refused(void **state)
{
	struct nestfd_machine_config config = sound;

	(void)state;
	config.cache = (enum nestfd_cache)2;
	expect_no_machine(&config, -EINVAL);
}

static void an_msi_window_must_be_whole_64k_and_must_not_wrap(void **state)
{
	static const uint64_t bad[][2] = { { 0x8000001, 0x100000 },
					   { 0x8001000, 0x100000 },
					   { 0x8000000, 0x1000 },
					   { 0x8000000, 0xffff },
					   { 0xffffffffffff0000, 0x20000 } };
	struct nestfd_machine_config config = sound;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		config.msi_first = bad[i][0];
		config.msi_length = bad[i][1];
		expect_no_machine(&config, -EINVAL);
	}
}

static void identification_that_contradicts_itself_is_refused(void **state)
{
	/* IDR0 with neither S1P nor S2P; else 64-bit tables, coherent */
	static const struct nestfd_smmuv3_id no_stage = {
		.idr = { 0x9000018, 0x2620010, 0, 0, 0, 0x74 },
	};
	/* IDR1.SIDSIZE 33 */
	static const struct nestfd_smmuv3_id wide = {
		.idr = { 0x900001b, 0x2620021, 0, 0, 0, 0x74 },
	};
	struct nestfd_machine_config config = sound;

	(void)state;
	config.smmuv3_id = &no_stage;
	expect_no_machine(&config, -EINVAL);
	config.smmuv3_id = &wide;
	expect_no_machine(&config, -EINVAL);
}

static void a_machine_may_end_before_it_was_used(void **state)
{
	struct nestfd_machine *machine;

	(void)state;
	nestfd_machine_destroy(NULL);
	nestfd_close(NULL);
	nestfd_device_remove(NULL);
	assert_int_equal(nestfd_machine_create(&sound, &machine), 0);
	nestfd_machine_destroy(machine);
}

static void the_identification_registers_are_a_copy(void **state)
{
	/* stage 1 and 2, AArch64, coherent, 16-bit ASIDs and VMIDs */
	struct nestfd_smmuv3_id id = {
		.idr = { 0x904101b, 0x2620010, 0, 0, 0, 0x74 },
		.aidr = 1,
	};
	struct nestfd_machine_config config = sound;
	struct nestfd_machine *machine;

	(void)state;
	config.smmuv3_id = &id;
	assert_int_equal(nestfd_machine_create(&config, &machine), 0);
	memset(&id, 0, sizeof(id));
	assert_int_equal(nestfd_iommu_read(machine, 0x0, 4), 0x904101b);
	assert_int_equal(nestfd_iommu_read(machine, 0x4, 4), 0x2620010);
	assert_int_equal(nestfd_iommu_read(machine, 0x14, 4), 0x74);
	assert_int_equal(nestfd_iommu_read(machine, 0x1c, 4), 1);
	nestfd_machine_destroy(machine);
}

/* ---- contexts ---- */

static void a_driver_that_refuses_the_hardware_is_enodev(void **state)
{
	/* IDR0 without COHACC: Linux wants coherent walks of its tables here */
	static const struct nestfd_smmuv3_id incoherent = {
		.idr = { 0x904100b, 0x2620010, 0, 0, 0, 0x74 },
	};
	struct nestfd_machine_config config = sound;
	struct nestfd_machine *machine;
	struct nestfd *ctx = UNTOUCHED;

	(void)state;
	config.smmuv3_id = &incoherent;
	assert_int_equal(nestfd_machine_create(&config, &machine), 0);
	assert_int_equal(nestfd_open(machine, &ctx), -ENODEV);
	assert_ptr_equal(ctx, UNTOUCHED);
	assert_int_equal(nestfd_open(machine, &ctx), -ENODEV);
	nestfd_machine_destroy(machine);
}

static void contexts_are_opened_and_closed_any_number_of_times(void **state)
{
	struct nestfd_machine *machine;
	struct nestfd *ctx[9];
	uint32_t ioas;

	(void)state;
	assert_int_equal(nestfd_machine_create(&sound, &machine), 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 9; i++)
			assert_int_equal(nestfd_open(machine, &ctx[i]), 0);
		for (int i = 0; i < 9; i++)
			assert_int_equal(kit_ioas(ctx[i], &ioas), 0);
		for (int i = 0; i < 9; i++)
			nestfd_close(ctx[(i * 4) % 9]);
	}
	nestfd_machine_destroy(machine);
}

static void an_unknown_ioctl_is_enotty(void **state)
{
	struct rig rig;
	uint32_t arg[16] = { sizeof(arg) };

	(void)state;
	rig_start(&rig);
	assert_int_equal(nestfd_ioctl(rig.ctx, 0x3b7f, arg), -ENOTTY);
	assert_int_equal(nestfd_ioctl(rig.ctx, 0x3b95, arg), -ENOTTY);
	assert_int_equal(nestfd_ioctl(rig.ctx, 0x3bf2, arg), -ENOTTY);
	assert_int_equal(nestfd_ioctl(rig.ctx, 0x3c81, arg), -ENOTTY);
	assert_int_equal(nestfd_ioctl(rig.ctx, 0, arg), -ENOTTY);
	assert_int_equal(nestfd_ioctl(rig.ctx, IOMMU_IOAS_ALLOC, NULL),
			 -EFAULT);
	rig_stop(&rig);
}

static void an_event_fd_is_read_and_closed_by_the_library(void **state)
{
	struct rig rig;
	struct pollfd pfd = { .events = POLLIN };
	uint32_t parent, viommu, queue;
	char buf[64];
	int fd;

	(void)state;
	rig_start(&rig);
	assert_int_equal(nestfd_read(rig.ctx, -1, buf, sizeof(buf)), -EBADF);
	assert_int_equal(nestfd_read(rig.ctx, 0, buf, sizeof(buf)), -EBADF);
	assert_int_equal(nestfd_close_fd(rig.ctx, -1), -EBADF);
	assert_int_equal(nestfd_close_fd(rig.ctx, 1), -EBADF);

	assert_int_equal(kit_hwpt(rig.ctx, rig.dev_id, rig.ioas, 1, &parent),
			 0);
	assert_int_equal(kit_viommu(rig.ctx, rig.dev_id, parent, &viommu), 0);
	assert_int_equal(kit_veventq(rig.ctx, viommu, &queue, &fd), 0);
	pfd.fd = fd;
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_int_equal(nestfd_read(rig.ctx, fd, buf, sizeof(buf)), 0);
	assert_int_equal(nestfd_read(rig.ctx, fd, buf, 7), -EINVAL);
	assert_int_equal(kit_destroy(rig.ctx, queue), -EBUSY);
	assert_int_equal(nestfd_close_fd(rig.ctx, fd), 0);
	assert_int_equal(nestfd_close_fd(rig.ctx, fd), -EBADF);
	assert_int_equal(nestfd_read(rig.ctx, fd, buf, sizeof(buf)), -EBADF);
	assert_int_equal(kit_destroy(rig.ctx, queue), 0);
	rig_stop(&rig);
}

/* ---- devices ---- */

static void a_device_config_must_make_sense(void **state)
{
	struct nestfd_machine *machine;
	struct nestfd_device *dev = UNTOUCHED;
	struct nestfd_device_config config = { .size = sizeof(config) };

	(void)state;
	assert_int_equal(nestfd_machine_create(&sound, &machine), 0);
	config.size--;
	assert_int_equal(nestfd_device_add(machine, &config, &dev), -EINVAL);
	config.size = sizeof(config);
	config.pasid_bits = 21;
	assert_int_equal(nestfd_device_add(machine, &config, &dev), -EINVAL);
	assert_ptr_equal(dev, UNTOUCHED);
	config.pasid_bits = 20;
	assert_int_equal(nestfd_device_add(machine, &config, &dev), 0);
	nestfd_machine_destroy(machine);
}

static void a_stream_id_belongs_to_one_device_at_a_time(void **state)
{
	struct nestfd_machine *machine;
	struct nestfd_device *dev, *other = UNTOUCHED;
	struct nestfd *ctx;

	(void)state;
	assert_int_equal(nestfd_machine_create(&sound, &machine), 0);
	assert_int_equal(kit_device(machine, 5, &dev), 0);
	assert_int_equal(kit_device(machine, 5, &other), -EEXIST);
	assert_ptr_equal(other, UNTOUCHED);
	nestfd_device_remove(dev);
	assert_int_equal(kit_device(machine, 5, &dev), 0);
	assert_int_equal(nestfd_open(machine, &ctx), 0);
	assert_int_equal(kit_device(machine, 5, &other), -EEXIST);
	assert_ptr_equal(other, UNTOUCHED);
	assert_int_equal(kit_device(machine, 6, &other), 0);
	nestfd_machine_destroy(machine);
}

static void a_device_is_bound_to_one_context(void **state)
{
	struct rig rig;
	struct nestfd *other;
	uint32_t id = 77;

	(void)state;
	rig_start(&rig);
	assert_int_equal(nestfd_open(rig.machine, &other), 0);
	assert_int_equal(nestfd_bind(rig.ctx, rig.dev, &id), -EBUSY);
	assert_int_equal(nestfd_bind(other, rig.dev, &id), -EBUSY);
	assert_int_equal(id, 77);
	nestfd_unbind(rig.dev);
	nestfd_unbind(rig.dev);
	assert_int_equal(nestfd_bind(other, rig.dev, &id), 0);
	rig_stop(&rig);
}

static void a_device_of_another_machine_is_exdev(void **state)
{
	struct rig rig;
	struct nestfd_machine *machine;
	struct nestfd_device *dev;
	uint32_t id = 77;

	(void)state;
	rig_start(&rig);
	assert_int_equal(nestfd_machine_create(&sound, &machine), 0);
	assert_int_equal(kit_device(machine, 7, &dev), 0);
	assert_int_equal(nestfd_bind(rig.ctx, dev, &id), -EXDEV);
	assert_int_equal(id, 77);
	nestfd_machine_destroy(machine);
	rig_stop(&rig);
}

/* The IOMMU has StreamIDs of 20 bits */
static void a_stream_id_the_iommu_has_not_is_erange(void **state)
{
	struct nestfd_device *dev;
	struct rig rig;
	uint32_t id = 77;

	(void)state;
	rig_start(&rig);
	assert_int_equal(kit_device(rig.machine, 0xfffff, &dev), 0);
	assert_int_equal(nestfd_bind(rig.ctx, dev, &id), 0);
	id = 77;
	assert_int_equal(kit_device(rig.machine, 0x100000, &dev), 0);
	assert_int_equal(nestfd_bind(rig.ctx, dev, &id), -ERANGE);
	assert_int_equal(id, 77);
	rig_stop(&rig);
}

static void attach_answers_what_vfio_would(void **state)
{
	struct rig rig;
	uint32_t pt, hwpt;

	(void)state;
	rig_start(&rig);
	pt = 999;
	assert_int_equal(nestfd_attach(rig.dev, NESTFD_NO_PASID, &pt), -ENOENT);
	pt = rig.dev_id;
	assert_int_equal(nestfd_attach(rig.dev, NESTFD_NO_PASID, &pt), -EINVAL);
	assert_int_equal(pt, rig.dev_id);

	pt = rig.ioas;
	assert_int_equal(nestfd_attach(rig.dev, NESTFD_NO_PASID, &pt), 0);
	assert_int_not_equal(pt, rig.ioas); /* the HWPT that was made */
	hwpt = pt;
	pt = rig.ioas;
	assert_int_equal(nestfd_attach(rig.dev, NESTFD_NO_PASID, &pt), 0);
	assert_int_equal(pt, hwpt);

	nestfd_detach(rig.dev, NESTFD_NO_PASID);
	nestfd_detach(rig.dev, NESTFD_NO_PASID);
	nestfd_unbind(rig.dev);
	nestfd_detach(rig.dev, NESTFD_NO_PASID);
	pt = rig.ioas;
	assert_int_equal(nestfd_attach(rig.dev, NESTFD_NO_PASID, &pt), -ENODEV);
	assert_int_equal(pt, rig.ioas);
	rig_stop(&rig);
}

static void a_pasid_is_attached_by_itself(void **state)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = 9,
		.pasid_bits = 4,
	};
	struct nestfd_dma dma = { .size = sizeof(dma), .iova = 0x1008 };
	struct nestfd_device *dev;
	struct rig rig;
	uint32_t id, hwpt, plain;
	uint64_t word = 0;

	(void)state;
	rig_start(&rig);
	dma.buf = &word;
	dma.length = sizeof(word);
	memset(rig.page + 8, 0x11, 8);
	assert_int_equal(nestfd_device_add(rig.machine, &config, &dev), 0);
	assert_int_equal(nestfd_bind(rig.ctx, dev, &id), 0);
	/* IOMMU_HWPT_ALLOC_PASID is 8 */
	assert_int_equal(kit_hwpt(rig.ctx, id, rig.ioas, 8, &hwpt), 0);
	assert_int_equal(kit_hwpt(rig.ctx, id, rig.ioas, 0, &plain), 0);
	assert_int_equal(nestfd_attach(dev, 3, &plain), -EINVAL);
	assert_int_equal(nestfd_attach(dev, 16, &hwpt), -EINVAL);
	assert_int_equal(nestfd_attach(dev, 3, &hwpt), 0);
	dma.pasid = 3;
	assert_int_equal(nestfd_dma(dev, &dma), 0);
	assert_true(word == 0x1111111111111111);
	dma.pasid = 4;
	assert_int_equal(nestfd_dma(dev, &dma), -EIO);
	dma.pasid = NESTFD_NO_PASID;
	assert_int_equal(nestfd_dma(dev, &dma), -EIO);
	nestfd_detach(dev, 4);
	nestfd_detach(dev, 3);
	dma.pasid = 3;
	assert_int_equal(nestfd_dma(dev, &dma), -EIO);
	rig_stop(&rig);
}

/* ---- DMA ---- */

static void dma_is_refused_until_attached_and_after(void **state)
{
	struct rig rig;
	struct nestfd_device *loose;
	uint64_t word;

	(void)state;
	rig_start(&rig);
	assert_int_equal(kit_device(rig.machine, 8, &loose), 0);
	assert_int_equal(kit_read(loose, 0x1000, &word), -EIO);
	assert_int_equal(kit_read(rig.dev, 0x1000, &word), -EIO);
	assert_int_equal(kit_attach(rig.dev, rig.ioas), 0);
	assert_int_equal(kit_read(rig.dev, 0x1000, &word), 0);
	assert_int_equal(kit_read(rig.dev, 0x2000, &word), -EIO);
	assert_int_equal(kit_read(loose, 0x1000, &word), -EIO);
	nestfd_detach(rig.dev, NESTFD_NO_PASID);
	assert_int_equal(kit_read(rig.dev, 0x1000, &word), -EIO);
	rig_stop(&rig);
}

static void dma_arguments_are_checked(void **state)
{
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = 0x1000,
		.pasid = NESTFD_NO_PASID,
		.length = 8,
	};
	struct rig rig;
	uint64_t word = 0x77;

	(void)state;
	rig_start(&rig);
	assert_int_equal(kit_attach(rig.dev, rig.ioas), 0);
	dma.buf = &word;
	dma.size = sizeof(dma) - 8;
	assert_int_equal(nestfd_dma(rig.dev, &dma), -EINVAL);
	dma.size = sizeof(dma);
	for (int bit = 4; bit < 32; bit++) {
		dma.flags = 1u << bit;
		assert_int_equal(nestfd_dma(rig.dev, &dma), -EINVAL);
	}
	dma.flags = NESTFD_DMA_WRITE | NESTFD_DMA_EXEC;
	assert_int_equal(nestfd_dma(rig.dev, &dma), -EINVAL);
	dma.flags = NESTFD_DMA_TRANSLATED; /* it has no ATC */
	assert_int_equal(nestfd_dma(rig.dev, &dma), -EINVAL);
	dma.flags = 0;
	dma.iova = UINT64_MAX - 6;
	assert_int_equal(nestfd_dma(rig.dev, &dma), -EINVAL);
	dma.iova = 0x1000;
	assert_int_equal(word, 0x77);
	dma.length = 0;
	assert_int_equal(nestfd_dma(rig.dev, &dma), 0);
	assert_int_equal(word, 0x77);
	dma.length = 8;
	assert_int_equal(nestfd_dma(rig.dev, &dma), 0);
	assert_int_equal(word, 0);
	rig_stop(&rig);
}

static void what_lay_in_front_of_the_fault_was_moved(void **state)
{
	struct rig rig;
	char data[16];

	(void)state;
	rig_start(&rig);
	assert_int_equal(kit_attach(rig.dev, rig.ioas), 0);
	memset(data, 0xab, sizeof(data));
	assert_int_equal(nestfd_dma_write(rig.dev, 0x1ff8, data, 16), -EIO);
	assert_int_equal((unsigned char)rig.page[PAGE - 8], 0xab);
	assert_int_equal((unsigned char)rig.page[PAGE - 1], 0xab);
	rig_stop(&rig);
}

static void a_translation_that_leads_nowhere_is_efault(void **state)
{
	struct nestfd_machine *machine;
	struct nestfd_device *dev;
	uint64_t word;

	(void)state;
	/* bare: the IOMMU is off and passes addresses through (GBPA) */
	assert_int_equal(nestfd_machine_create(&sound, &machine), 0);
	assert_int_equal(kit_device(machine, 1, &dev), 0);
	assert_int_equal(kit_read(dev, 0x10000, &word), -EFAULT);
	assert_int_equal(kit_write(dev, 0x10000, word), -EFAULT);
	nestfd_machine_destroy(machine);
}

/* ---- MSI ---- */

struct msi {
	uint64_t offset;
	uint32_t data;
	unsigned int n;
};

static void msi_arrives(void *ctx, uint64_t offset, uint32_t data)
{
	struct msi *msi = ctx;

	msi->offset = offset;
	msi->data = data;
	msi->n++;
}

static void without_a_window_there_is_no_msi(void **state)
{
	struct rig rig;
	uint64_t iova = 3;

	(void)state;
	rig_start(&rig);
	assert_int_equal(kit_attach(rig.dev, rig.ioas), 0);
	assert_int_equal(nestfd_msi_enable(rig.dev, &iova), -EOPNOTSUPP);
	nestfd_unbind(rig.dev);
	assert_int_equal(nestfd_msi_enable(rig.dev, &iova), -ENODEV);
	assert_int_equal(iova, 3);
	rig_stop(&rig);
}

static void an_msi_is_a_write_to_the_window(void **state)
{
	struct nestfd_machine_config config = sound;
	struct nestfd_machine *machine;
	struct nestfd_device *dev;
	struct nestfd *ctx;
	struct msi msi = { 0 };
	uint32_t id, ioas, data = 0x21;
	uint64_t iova = 0;

	(void)state;
	config.msi_first = 0x8000000;
	config.msi_length = 0x100000;
	config.msi = msi_arrives;
	config.ctx = &msi;
	assert_int_equal(nestfd_machine_create(&config, &machine), 0);
	assert_int_equal(nestfd_open(machine, &ctx), 0);
	assert_int_equal(kit_device(machine, 1, &dev), 0);
	assert_int_equal(nestfd_msi_enable(dev, &iova), -ENODEV);
	assert_int_equal(nestfd_bind(ctx, dev, &id), 0);
	assert_int_equal(nestfd_msi_enable(dev, &iova), -EINVAL);
	assert_int_equal(kit_ioas(ctx, &ioas), 0);
	assert_int_equal(kit_attach(dev, ioas), 0);
	assert_int_equal(nestfd_dma_write(dev, 0x8000040, &data, 4), -EIO);
	assert_int_equal(nestfd_msi_enable(dev, &iova), 0);
	assert_in_range(iova, 0x8000000, 0x80fffff);
	assert_int_equal(nestfd_dma_write(dev, iova, &data, 4), 0);
	assert_int_equal(msi.n, 1);
	assert_int_equal(msi.data, 0x21);
	nestfd_machine_destroy(machine);
}

/* ---- the bare model ---- */

static void memory_is_whole_pages_that_do_not_overlap(void **state)
{
	struct nestfd_machine *machine;
	char *ram = kit_pages(4);

	(void)state;
	assert_int_equal(nestfd_machine_create(&sound, &machine), 0);
	assert_int_equal(nestfd_memory_add(machine, 0x10000, ram, 0), -EINVAL);
	assert_int_equal(nestfd_memory_add(machine, 0x10001, ram, PAGE),
			 -EINVAL);
	assert_int_equal(nestfd_memory_add(machine, 0x10000, ram, PAGE + 1),
			 -EINVAL);
	/* beyond 2^48, the physical addresses this IOMMU has */
	assert_int_equal(nestfd_memory_add(machine, 1ULL << 48, ram, PAGE),
			 -EINVAL);
	assert_int_equal(
		nestfd_memory_add(machine, (1ULL << 48) - PAGE, ram, 2 * PAGE),
		-EINVAL);
	assert_int_equal(nestfd_memory_add(machine, -PAGE, ram, PAGE), -EINVAL);
	assert_int_equal(nestfd_memory_add(machine, 0x10000, ram, 2 * PAGE), 0);
	assert_int_equal(nestfd_memory_add(machine, 0x10000, ram, PAGE),
			 -EEXIST);
	assert_int_equal(nestfd_memory_add(machine, 0x11000, ram, 2 * PAGE),
			 -EEXIST);
	assert_int_equal(nestfd_memory_add(machine, 0xf000, ram, 2 * PAGE),
			 -EEXIST);
	assert_int_equal(nestfd_memory_add(machine, 0xf000, ram, 4 * PAGE),
			 -EEXIST);
	assert_int_equal(nestfd_memory_add(machine, 0xf000, ram, PAGE), 0);
	assert_int_equal(nestfd_memory_add(machine, 0x12000, ram, PAGE), 0);
	nestfd_machine_destroy(machine);
	kit_pages_free(ram, 4);
}

static void a_bare_machine_moves_data_at_physical_addresses(void **state)
{
	struct nestfd_translation tr = { .size = sizeof(tr) };
	struct nestfd_machine *machine;
	struct nestfd_device *dev;
	uint64_t *ram = kit_pages(1);
	uint64_t word = 0;

	(void)state;
	assert_int_equal(nestfd_machine_create(&sound, &machine), 0);
	assert_int_equal(nestfd_memory_add(machine, 0x10000, ram, PAGE), 0);
	assert_int_equal(kit_device(machine, 1, &dev), 0);
	ram[2] = 0x1234;
	assert_int_equal(kit_read(dev, 0x10010, &word), 0);
	assert_int_equal(word, 0x1234);
	assert_int_equal(
		nestfd_translate(dev, 0x10010, NESTFD_NO_PASID, 0, &tr), 0);
	assert_int_equal(tr.result, NESTFD_BYPASSED);
	assert_int_equal(tr.pa, 0x10010);
	/* GBPA: Update and ABORT */
	nestfd_iommu_write(machine, 0x44, 4, 0x80100000);
	assert_int_equal(kit_read(dev, 0x10010, &word), -EIO);
	nestfd_machine_destroy(machine);
	kit_pages_free(ram, 1);
}

static void translate_checks_its_arguments(void **state)
{
	struct nestfd_translation tr = { .size = sizeof(tr), .pa = 0x77 };
	struct rig rig;

	(void)state;
	rig_start(&rig);
	tr.size = 8;
	assert_int_equal(
		nestfd_translate(rig.dev, 0x1000, NESTFD_NO_PASID, 0, &tr),
		-EINVAL);
	tr.size = sizeof(tr);
	/* bit 3 is NESTFD_DMA_TRANSLATED, which this function does not take */
	for (int bit = 3; bit < 32; bit++) {
		if (bit == 8)
			continue;
		assert_int_equal(nestfd_translate(rig.dev, 0x1000,
						  NESTFD_NO_PASID, 1u << bit,
						  &tr),
				 -EINVAL);
	}
	assert_int_equal(tr.pa, 0x77);
	rig_stop(&rig);
}

static void a_quiet_translation_leaves_no_trace(void **state)
{
	struct nestfd_iommu_stats before = { .size = sizeof(before) };
	struct nestfd_iommu_stats after = { .size = sizeof(after) };
	struct nestfd_translation tr = { .size = sizeof(tr) };
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(kit_attach(rig.dev, rig.ioas), 0);
	nestfd_iommu_stats(rig.machine, &before);
	assert_int_equal(nestfd_translate(rig.dev, 0x1000, NESTFD_NO_PASID,
					  NESTFD_TRANSLATE_QUIET, &tr),
			 0);
	assert_int_equal(tr.result, NESTFD_TRANSLATED);
	assert_false(tr.hit);
	assert_true(tr.readable && tr.writable);
	assert_int_equal(tr.page_lg2, 12);
	assert_int_equal(nestfd_translate(rig.dev, 0x2000, NESTFD_NO_PASID,
					  NESTFD_TRANSLATE_QUIET, &tr),
			 0);
	assert_int_equal(tr.result, NESTFD_ABORTED);
	nestfd_iommu_stats(rig.machine, &after);
	assert_memory_equal(&before, &after, sizeof(after));

	assert_int_equal(
		nestfd_translate(rig.dev, 0x2000, NESTFD_NO_PASID, 0, &tr), 0);
	assert_int_equal(tr.event, 0x10); /* F_TRANSLATION */
	nestfd_iommu_stats(rig.machine, &after);
	assert_int_equal(after.events, before.events + 1);
	rig_stop(&rig);
}

/* A program built against an older library has a smaller struct. */
static void counters_fill_no_more_than_the_caller_has(void **state)
{
	struct nestfd_iommu_stats stats;
	struct rig rig;
	uint64_t word;

	(void)state;
	rig_start(&rig);
	assert_int_equal(kit_attach(rig.dev, rig.ioas), 0);
	assert_int_equal(kit_read(rig.dev, 0x1000, &word), 0);
	for (size_t size = 0; size <= sizeof(stats); size += 8) {
		unsigned char *bytes = (unsigned char *)&stats;

		memset(&stats, 0xa5, sizeof(stats));
		stats.size = size;
		nestfd_iommu_stats(rig.machine, &stats);
		assert_int_equal(stats.size, size);
		for (size_t i = size < 8 ? 8 : size; i < sizeof(stats); i++)
			assert_int_equal(bytes[i], 0xa5);
	}
	assert_int_equal(stats.misses, 1);
	stats.size = 4096; /* a newer program: what is not known is not there */
	nestfd_iommu_stats(rig.machine, &stats);
	assert_int_equal(stats.size, sizeof(stats));
	rig_stop(&rig);
}

static void the_driver_counts_from_the_first_open_on(void **state)
{
	struct nestfd_driver_stats was = { .size = sizeof(was) };
	struct nestfd_driver_stats is = { .size = sizeof(is) };
	const uint64_t none[6] = { 0 };
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	struct rig rig;

	(void)state;
	assert_int_equal(kit_machine(NESTFD_CACHE_HOSTILE, &machine), 0);
	memset(&is.batches, 0xa5, sizeof(none));
	nestfd_driver_stats(machine, &is);
	assert_int_equal(is.size, sizeof(is));
	assert_memory_equal(&is.batches, none, sizeof(none));
	assert_int_equal(nestfd_open(machine, &ctx), 0);
	nestfd_driver_stats(machine, &is);
	assert_true(is.batches);
	assert_memory_equal(&is.timeouts, none, 5 * 8);
	nestfd_machine_destroy(machine);

	rig_start(&rig);
	assert_int_equal(kit_attach(rig.dev, rig.ioas), 0);
	nestfd_driver_stats(rig.machine, &was);
	assert_int_equal(kit_unmap(rig.ctx, rig.ioas, 0x1000, PAGE), 0);
	nestfd_driver_stats(rig.machine, &is);
	assert_int_equal(is.batches, was.batches + 1);
	assert_memory_equal(&is.timeouts, none, 5 * 8);
	rig_stop(&rig);
}

static void driver_counters_fill_no_more_than_the_caller_has(void **state)
{
	struct {
		struct nestfd_driver_stats stats;
		uint64_t behind[4];
	} room;
	const size_t whole = sizeof(room.stats);
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (size_t size = sizeof(size_t); size <= sizeof(room); size += 8) {
		const size_t filled = size < whole ? size : whole;
		const unsigned char *bytes = (const unsigned char *)&room;

		memset(&room, 0xa5, sizeof(room));
		room.stats.size = size;
		nestfd_driver_stats(rig.machine, &room.stats);
		assert_int_equal(room.stats.size, filled);
		for (size_t i = filled; i < sizeof(room); i++)
			assert_int_equal(bytes[i], 0xa5);
	}
	rig_stop(&rig);
}

static void an_explanation_fits_whatever_room_there_is(void **state)
{
	char whole[4096], part[4096];
	struct rig rig;
	size_t length;

	(void)state;
	rig_start(&rig);
	assert_int_equal(kit_attach(rig.dev, rig.ioas), 0);
	nestfd_explain(rig.dev, 0x1000, NESTFD_NO_PASID, 0, whole,
		       sizeof(whole));
	length = strlen(whole);
	assert_in_range(length, 20, sizeof(whole) - 2);
	memset(part, 0x7f, sizeof(part));
	nestfd_explain(rig.dev, 0x1000, NESTFD_NO_PASID, 0, part, 0);
	assert_int_equal(part[0], 0x7f);
	for (size_t room = 1; room <= length + 1; room += 7) {
		memset(part, 0x7f, sizeof(part));
		nestfd_explain(rig.dev, 0x1000, NESTFD_NO_PASID, 0, part, room);
		assert_int_equal(strlen(part), room - 1);
		assert_memory_equal(part, whole, room - 1);
		assert_int_equal(part[room], 0x7f);
	}
	rig_stop(&rig);
}

static void nobody_watches(void *ctx, unsigned int line)
{
	(void)ctx;
	(void)line;
}

static void an_opened_machine_keeps_its_interrupts(void **state)
{
	struct nestfd_machine *machine;
	struct nestfd *ctx;

	(void)state;
	assert_int_equal(nestfd_machine_create(&sound, &machine), 0);
	assert_int_equal(nestfd_iommu_irq(machine, nobody_watches, NULL), 0);
	assert_int_equal(nestfd_iommu_irq(machine, NULL, NULL), 0);
	assert_int_equal(nestfd_open(machine, &ctx), 0);
	assert_int_equal(nestfd_iommu_irq(machine, nobody_watches, NULL),
			 -EBUSY);
	nestfd_close(ctx);
	assert_int_equal(nestfd_iommu_irq(machine, nobody_watches, NULL),
			 -EBUSY);
	nestfd_machine_destroy(machine);
}

static bool any_entry(const struct nestfd_cache_entry *entry, uint64_t arg)
{
	(void)arg;
	return entry->size == sizeof(*entry);
}

static bool entry_of_page(const struct nestfd_cache_entry *entry, uint64_t iova)
{
	return entry->iova == iova && entry->size_lg2 == 12;
}

static void what_was_translated_is_among_the_entries(void **state)
{
	struct rig rig;
	uint64_t word;

	(void)state;
	rig_start(&rig);
	assert_int_equal(kit_attach(rig.dev, rig.ioas), 0);
	assert_int_equal(kit_entries(rig.machine, entry_of_page, 0x1000), 0);
	assert_int_equal(kit_read(rig.dev, 0x1008, &word), 0);
	assert_int_equal(kit_entries(rig.machine, entry_of_page, 0x1000), 1);
	assert_int_equal(kit_unmap(rig.ctx, rig.ioas, 0x1000, PAGE), 0);
	assert_int_equal(kit_entries(rig.machine, any_entry, 0), 0);
	rig_stop(&rig);
}

/* ---- ends ---- */

/* Everything that a VMM makes, with the device attached at the end */
static void furnish(struct rig *rig, uint32_t *nested)
{
	uint32_t parent, viommu, vdevice, queue;
	int fd;

	rig_start(rig);
	assert_int_equal(kit_hwpt(rig->ctx, rig->dev_id, rig->ioas, 1, &parent),
			 0);
	assert_int_equal(kit_viommu(rig->ctx, rig->dev_id, parent, &viommu), 0);
	assert_int_equal(kit_veventq(rig->ctx, viommu, &queue, &fd), 0);
	assert_int_equal(
		kit_vdevice(rig->ctx, viommu, rig->dev_id, 1, &vdevice), 0);
	/* V, stage 1, CD at IPA 0x1000; S1DSS 2, WB, inner shareable */
	assert_int_equal(
		kit_nested(rig->ctx, rig->dev_id, viommu, 0x100b, 0xd6, nested),
		0);
	assert_int_equal(kit_attach(rig->dev, *nested), 0);
}

static void a_machine_ends_with_everything_open(void **state)
{
	struct nestfd *more;
	struct rig rig;
	uint32_t nested;

	(void)state;
	furnish(&rig, &nested);
	assert_int_equal(nestfd_open(rig.machine, &more), 0);
	assert_int_equal(kit_ioas(more, &nested), 0);
	rig_stop(&rig);
}

static void a_context_closes_with_a_device_attached(void **state)
{
	struct nestfd *again;
	struct rig rig;
	uint32_t nested, id, ioas;
	uint64_t word;

	(void)state;
	furnish(&rig, &nested);
	nestfd_close(rig.ctx);
	assert_int_equal(kit_read(rig.dev, 0x1000, &word), -EIO);
	assert_int_equal(kit_attach(rig.dev, rig.ioas), -ENODEV);
	/* the machine and the device go on */
	assert_int_equal(nestfd_open(rig.machine, &again), 0);
	assert_int_equal(nestfd_bind(again, rig.dev, &id), 0);
	assert_int_equal(kit_ioas(again, &ioas), 0);
	assert_int_equal(kit_map(again, ioas, 0x5000, rig.page, PAGE), 0);
	assert_int_equal(kit_attach(rig.dev, ioas), 0);
	assert_int_equal(kit_read(rig.dev, 0x5000, &word), 0);
	rig_stop(&rig);
}

static void a_device_goes_while_attached_to_a_nested_table(void **state)
{
	struct nestfd_device *next;
	struct rig rig;
	uint32_t nested, id;
	uint64_t word;

	(void)state;
	furnish(&rig, &nested);
	assert_int_equal(kit_destroy(rig.ctx, nested), -EBUSY);
	nestfd_device_remove(rig.dev);
	assert_int_equal(kit_destroy(rig.ctx, nested), 0);
	assert_int_equal(kit_destroy(rig.ctx, rig.dev_id), -ENOENT);
	/* another one with its StreamID starts from nothing */
	assert_int_equal(kit_device(rig.machine, 7, &next), 0);
	assert_int_equal(kit_read(next, 0x1000, &word), -EIO);
	assert_int_equal(nestfd_bind(rig.ctx, next, &id), 0);
	assert_int_equal(kit_read(next, 0x1000, &word), -EIO);
	assert_int_equal(kit_attach(next, rig.ioas), 0);
	assert_int_equal(kit_read(next, 0x1000, &word), 0);
	rig_stop(&rig);
}

static void unbinding_takes_the_vdevice_but_leaves_the_rest(void **state)
{
	struct rig rig;
	uint32_t nested;

	(void)state;
	furnish(&rig, &nested);
	nestfd_unbind(rig.dev);
	assert_int_equal(kit_destroy(rig.ctx, nested), 0);
	assert_int_equal(nestfd_bind(rig.ctx, rig.dev, &rig.dev_id), 0);
	nestfd_device_remove(rig.dev);
	nestfd_close(rig.ctx);
	rig_stop(&rig);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_config_of_another_size_is_refused),
		cmocka_unit_test(an_architecture_that_is_not_there_is_refused),
		cmocka_unit_test(an_unknown_cache_policy_is_refused),
		cmocka_unit_test(
			an_msi_window_must_be_whole_64k_and_must_not_wrap),
		cmocka_unit_test(
			identification_that_contradicts_itself_is_refused),
		cmocka_unit_test(a_machine_may_end_before_it_was_used),
		cmocka_unit_test(the_identification_registers_are_a_copy),
		cmocka_unit_test(a_driver_that_refuses_the_hardware_is_enodev),
		cmocka_unit_test(
			contexts_are_opened_and_closed_any_number_of_times),
		cmocka_unit_test(an_unknown_ioctl_is_enotty),
		cmocka_unit_test(an_event_fd_is_read_and_closed_by_the_library),
		cmocka_unit_test(a_device_config_must_make_sense),
		cmocka_unit_test(a_stream_id_belongs_to_one_device_at_a_time),
		cmocka_unit_test(a_device_is_bound_to_one_context),
		cmocka_unit_test(a_device_of_another_machine_is_exdev),
		cmocka_unit_test(a_stream_id_the_iommu_has_not_is_erange),
		cmocka_unit_test(attach_answers_what_vfio_would),
		cmocka_unit_test(a_pasid_is_attached_by_itself),
		cmocka_unit_test(dma_is_refused_until_attached_and_after),
		cmocka_unit_test(dma_arguments_are_checked),
		cmocka_unit_test(what_lay_in_front_of_the_fault_was_moved),
		cmocka_unit_test(a_translation_that_leads_nowhere_is_efault),
		cmocka_unit_test(without_a_window_there_is_no_msi),
		cmocka_unit_test(an_msi_is_a_write_to_the_window),
		cmocka_unit_test(memory_is_whole_pages_that_do_not_overlap),
		cmocka_unit_test(
			a_bare_machine_moves_data_at_physical_addresses),
		cmocka_unit_test(translate_checks_its_arguments),
		cmocka_unit_test(a_quiet_translation_leaves_no_trace),
		cmocka_unit_test(counters_fill_no_more_than_the_caller_has),
		cmocka_unit_test(the_driver_counts_from_the_first_open_on),
		cmocka_unit_test(
			driver_counters_fill_no_more_than_the_caller_has),
		cmocka_unit_test(an_explanation_fits_whatever_room_there_is),
		cmocka_unit_test(an_opened_machine_keeps_its_interrupts),
		cmocka_unit_test(what_was_translated_is_among_the_entries),
		cmocka_unit_test(a_machine_ends_with_everything_open),
		cmocka_unit_test(a_context_closes_with_a_device_attached),
		cmocka_unit_test(
			a_device_goes_while_attached_to_a_nested_table),
		cmocka_unit_test(
			unbinding_takes_the_vdevice_but_leaves_the_rest),
	};

	return RUN(tests, argc, argv);
}
