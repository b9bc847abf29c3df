// SPDX-License-Identifier: MIT
/* See vtd_fake.h. */
#include "vtd_fake.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nestfd/ext.h"

static int hw_info(struct vfake *fake, struct iommu_hw_info *arg)
{
	struct iommu_hw_info_vtd hw = {
		.cap_reg = fake->cap,
		.ecap_reg = fake->ecap,
	};

	memcpy((void *)(uintptr_t)arg->data_uptr, &hw, sizeof(hw));
	arg->out_data_type = fake->hw_type;
	arg->out_max_pasid_log2 = fake->pasid_log2;
	arg->out_capabilities = fake->caps;
	return 0;
}

static int hwpt_alloc(struct vfake *fake, struct iommu_hwpt_alloc *arg)
{
	struct vf_hwpt *hwpt = &fake->hwpt[fake->nhwpt % VF_LOG];

	if (arg->data_type == IOMMU_HWPT_DATA_VTD_S1 && fake->fail_hwpt)
		return fake->fail_hwpt;
	*hwpt = (struct vf_hwpt){
		.id = fake->next_id,
		.pt_id = arg->pt_id,
		.flags = arg->flags,
		.dev_id = arg->dev_id,
		.data_type = arg->data_type,
	};
	if (arg->data_type) {
		const struct iommu_hwpt_vtd_s1 *s1 =
			(const void *)(uintptr_t)arg->data_uptr;

		assert_int_equal(arg->data_len, sizeof(*s1));
		assert_int_equal(s1->__reserved, 0);
		hwpt->s1_flags = s1->flags;
		hwpt->s1_root = s1->pgtbl_addr;
		hwpt->s1_width = s1->addr_width;
	}
	fake->nhwpt++;
	fake->live++;
	arg->out_hwpt_id = fake->next_id++;
	return 0;
}

/* One entry; 0, or the errno that ends the array there */
static int take(struct vfake *fake, struct vf_inval *call, uint32_t i,
		struct nestfd_hwpt_vtd_s1_invalidate *entry)
{
	call->entry[i] =
		(struct vf_entry){ entry->addr, entry->npages, entry->flags };
	assert_int_equal(entry->__reserved, 0);
	if (!fake->bad_times || entry->addr != fake->bad_addr)
		return 0;
	fake->bad_times--;
	if (call->entry_len == 32) {
		entry->hw_error = fake->bad_error;
		entry->hw_error_info = 0xbeef; /* as the host knows it */
	}
	return fake->bad_errno;
}

static int invalidate(struct vfake *fake, struct iommu_hwpt_invalidate *arg)
{
	struct vf_inval *call = &fake->inval[fake->ninval++ % 64];
	char *at = (char *)(uintptr_t)arg->data_uptr;

	assert_int_equal(arg->data_type, 0);
	assert_true(arg->entry_num <= 256);
	*call = (struct vf_inval){ .hwpt_id = arg->hwpt_id,
				   .entry_len = arg->entry_len,
				   .count = arg->entry_num,
				   .status_then = vg_status(fake) };
	assert_int_equal(arg->entry_len, fake->ext_on ? 32 : 24);
	for (uint32_t i = 0; i < arg->entry_num; i++) {
		int rc = take(fake, call, i, (void *)(at + i * arg->entry_len));

		if (rc) {
			arg->entry_num = i;
			return rc;
		}
	}
	return 0;
}

static int copy(struct vfake *fake, const struct iommu_ioas_copy *arg)
{
	assert_int_equal(arg->src_ioas_id, VF_IOAS);
	fake->ncopies++;
	if (arg->dst_ioas_id == fake->resv_ioas &&
	    arg->dst_iova <= fake->resv_last &&
	    arg->dst_iova + arg->length - 1 >= fake->resv_first)
		return -EINVAL;
	if (arg->src_iova <= fake->no_memory_last &&
	    arg->src_iova + arg->length - 1 >= fake->no_memory_first)
		return -ENOENT;
	for (int i = 0; i < fake->nmap; i++)
		if (fake->map[i].ioas == arg->dst_ioas_id &&
		    fake->map[i].iova < arg->dst_iova + arg->length &&
		    arg->dst_iova < fake->map[i].iova + fake->map[i].length)
			return -EEXIST;
	assert_true(fake->nmap < VF_LOG);
	fake->map[fake->nmap++] =
		(struct vf_map){ arg->dst_ioas_id, arg->flags, arg->dst_iova,
				 arg->length, arg->src_iova };
	return 0;
}

/* Whole mappings only */
static int unmap(struct vfake *fake, const struct iommu_ioas_unmap *arg)
{
	uint64_t last = arg->iova + arg->length - 1;
	bool any = false;

	fake->nunmaps++;
	if (fake->fail_unmap && !fake->unmap_first)
		return fake->fail_unmap;
	for (int i = 0; i < fake->nmap; i++) {
		struct vf_map *map = &fake->map[i];
		uint64_t map_last = map->iova + map->length - 1;

		if (map->ioas != arg->ioas_id || map_last < arg->iova ||
		    map->iova > last)
			continue;
		assert_true(map->iova >= arg->iova && map_last <= last);
		*map = fake->map[--fake->nmap];
		i--;
		any = true;
	}
	if (fake->fail_unmap)
		return fake->fail_unmap;
	return any ? 0 : -ENOENT;
}

static int ext_enable(struct vfake *fake, struct nestfd_ext_enable *arg)
{
	if (!fake->ext)
		return -ENOTTY;
	fake->ext_on = arg->features;
	return 0;
}

int vf_ioctl(void *ctx, unsigned long cmd, void *arg)
{
	struct vfake *fake = ctx;

	/* destruction never fails */
	if (cmd != IOMMU_DESTROY && fake->fail_nth_ioctl &&
	    !--fake->fail_nth_ioctl)
		return -ENOMEM;
	switch (cmd) {
	case IOMMU_GET_HW_INFO:
		return hw_info(fake, arg);
	case IOMMU_IOAS_ALLOC:
		((struct iommu_ioas_alloc *)arg)->out_ioas_id = fake->next_id++;
		fake->nioas++;
		fake->live++;
		return 0;
	case IOMMU_IOAS_IOVA_RANGES:
		return 0;
	case IOMMU_HWPT_ALLOC:
		return hwpt_alloc(fake, arg);
	case IOMMU_HWPT_INVALIDATE:
		return invalidate(fake, arg);
	case IOMMU_IOAS_COPY:
		return copy(fake, arg);
	case IOMMU_IOAS_UNMAP:
		return unmap(fake, arg);
	case IOMMU_DESTROY:
		fake->destroyed[fake->ndestroyed++ % VF_LOG] =
			((struct iommu_destroy *)arg)->id;
		fake->live--;
		return 0;
	case NESTFD_EXT_ENABLE:
		return ext_enable(fake, arg);
	default:
		return -ENOTTY;
	}
}

/* The IOAS below a HWPT, which are given by id */
static uint32_t ioas_of(const struct vfake *fake, uint32_t pt_id)
{
	for (int i = 0; i < fake->nhwpt && i < VF_LOG; i++)
		if (fake->hwpt[i].id == pt_id)
			return fake->hwpt[i].pt_id;
	return pt_id;
}

static int reserve(struct vfake *fake, uint32_t pt_id)
{
	uint32_t ioas = ioas_of(fake, pt_id);

	for (int i = 0; i < fake->nmap; i++) {
		const struct vf_map *map = &fake->map[i];

		if (map->ioas == ioas && map->iova <= fake->resv_last &&
		    map->iova + map->length - 1 >= fake->resv_first)
			return -EADDRINUSE;
	}
	fake->resv_ioas = ioas;
	return 0;
}

static int attach(struct vfake *fake, uint32_t pasid, uint32_t pt_id)
{
	int rc = fake->resv_last && pt_id ? reserve(fake, pt_id) : 0;

	if (rc)
		return rc;
	if (fake->fail_attaches) {
		fake->fail_attaches--;
		return fake->fail_attach;
	}
	fake->attach[fake->nattach++ % VF_LOG] =
		(struct vf_attach){ pasid, pt_id };
	return 0;
}

int vf_attach(void *ctx, uint32_t pt_id)
{
	assert_int_not_equal(pt_id, 0);
	return attach(ctx, VF_NO_PASID, pt_id);
}

int vf_attach_pasid(void *ctx, uint32_t pasid, uint32_t pt_id)
{
	return attach(ctx, pasid, pt_id);
}

uint32_t vf_attached(const struct vfake *fake, uint32_t pasid)
{
	for (int i = fake->nattach; i--;)
		if (fake->attach[i].pasid == pasid)
			return fake->attach[i].pt_id;
	return 0;
}

bool vf_is_destroyed(const struct vfake *fake, uint32_t id)
{
	for (int i = 0; i < fake->ndestroyed; i++)
		if (fake->destroyed[i] == id)
			return true;
	return false;
}

const struct vf_map *vf_map_at(const struct vfake *fake, uint64_t iova)
{
	for (int i = 0; i < fake->nmap; i++)
		if (fake->map[i].iova <= iova &&
		    iova - fake->map[i].iova < fake->map[i].length)
			return &fake->map[i];
	return NULL;
}

static int mem_read(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	struct vfake *fake = ctx;

	fake->reads++;
	if (gpa >= VG_MEM || len > VG_MEM - gpa)
		return -EFAULT;
	memcpy(buf, fake->mem + gpa, len);
	return 0;
}

static int mem_write(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	struct vfake *fake = ctx;

	if (gpa >= VG_MEM || len > VG_MEM - gpa)
		return -EFAULT;
	memcpy(fake->mem + gpa, buf, len);
	return 0;
}

void vf_config(struct vfake *fake, struct nestfd_viommu_config *config)
{
	fake->cap = 0x19ed008c40780c66; /* of a real server, and ... */
	fake->ecap = 0x3ef9e86f050df;	/* ... PASID */
	fake->pasid_log2 = 20;
	fake->hw_type = 1;
	fake->next_id = 100;
	fake->no_memory_first = 0x100000000000;
	fake->no_memory_last = UINT64_MAX;
	*config = (struct nestfd_viommu_config){
		.size = sizeof(*config),
		.backend = { .ctx = fake, .ioctl = vf_ioctl, .exact = true },
		.guest = { .ctx = fake, .read = mem_read, .write = mem_write },
		.dev_id = 7,
		.parent_hwpt = VF_PARENT,
		.parent_ioas = VF_IOAS,
	};
}

struct vfake *vf_new(struct nestfd_viommu_config *config)
{
	struct vfake *fake = calloc(1, sizeof(*fake));

	assert_non_null(fake);
	vf_config(fake, config);
	return fake;
}

struct nestfd_viommu_device vf_device(struct vfake *fake, bool pasids)
{
	return (struct nestfd_viommu_device){
		.size = sizeof(struct nestfd_viommu_device),
		.vsid = VG_SID,
		.dev_id = 7,
		.attach = vf_attach,
		.attach_pasid = pasids ? vf_attach_pasid : NULL,
		.ctx = fake,
	};
}

void vf_plug(struct vfake *fake, const struct nestfd_viommu_config *config,
	     bool pasids)
{
	struct nestfd_viommu_device dev = vf_device(fake, pasids);

	assert_int_equal(nestfd_viommu_vtd_create(config, &fake->viommu), 0);
	assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev), 0);
}

struct vfake *vf_start(bool ext, bool pasids)
{
	struct nestfd_viommu_config config;
	struct vfake *fake = vf_new(&config);

	fake->ext = ext;
	vf_plug(fake, &config, pasids);
	return fake;
}

/* Whatever happened, nothing is left behind on the host. */
void vf_end(struct vfake *fake)
{
	nestfd_viommu_destroy(fake->viommu);
	assert_int_equal(fake->live, 0);
	free(fake);
}

void vf_forget(struct vfake *fake)
{
	fake->nhwpt = 0;
	fake->nattach = 0;
	fake->ninval = 0;
	fake->ndestroyed = 0;
	fake->ncopies = 0;
	fake->nunmaps = 0;
}

uint64_t vg_word(const struct vfake *fake, uint64_t gpa)
{
	uint64_t word;

	memcpy(&word, fake->mem + gpa, 8);
	return word;
}

void vg_store(struct vfake *fake, uint64_t gpa, uint64_t word)
{
	memcpy(fake->mem + gpa, &word, 8);
}

uint32_t vg_reg(struct vfake *fake, uint32_t offset)
{
	return (uint32_t)nestfd_viommu_read(fake->viommu, offset, 4);
}

uint64_t vg_reg64(struct vfake *fake, uint32_t offset)
{
	return nestfd_viommu_read(fake->viommu, offset, 8);
}

void vg_set(struct vfake *fake, uint32_t offset, uint32_t value)
{
	nestfd_viommu_write(fake->viommu, offset, 4, value);
}

void vg_set64(struct vfake *fake, uint32_t offset, uint64_t value)
{
	nestfd_viommu_write(fake->viommu, offset, 8, value);
}

static void enable(struct vfake *fake, uint64_t rtaddr, uint64_t iqa)
{
	/* fault messages: 0x77 to VG_MSI */
	vg_set(fake, R_FEDATA, 0x77);
	vg_set(fake, R_FEADDR, VG_MSI);
	vg_set(fake, R_FECTL, 0);
	vg_set64(fake, R_IQA, iqa);
	vg_set64(fake, R_RTADDR, rtaddr);
	vg_set(fake, R_GCMD, 0x40000000); /* SRTP */
	vg_set(fake, R_GCMD, 0x04000000); /* QIE */
	vg_set(fake, R_GCMD, 0x84000000); /* TE, QIE */
	assert_int_equal(vg_reg(fake, R_GSTS), 0xc4000000);
}

void vg_boot(struct vfake *fake, bool ats)
{
	vg_store(fake, VG_ROOT, VG_CTX | 1);
	/* P, PASIDE, DTE; PDTS 0: 128 entries */
	vg_store(fake, VG_CTX + 0x10 * 32, VG_DIR | 9 | (ats ? 4 : 0));
	vg_store(fake, VG_DIR, VG_PASIDS | 1);
	enable(fake, VG_ROOT | 0x400, VG_QUEUE | 0x800);
}

void vg_boot_legacy(struct vfake *fake, uint64_t dw0, uint64_t dw1)
{
	fake->legacy = true;
	vg_store(fake, VG_ROOT, VG_CTX | 1);
	vg_store(fake, VG_CTX + 0x10 * 16, dw0);
	vg_store(fake, VG_CTX + 0x10 * 16 + 8, dw1);
	enable(fake, VG_ROOT, VG_QUEUE);
}

void vg_pasid(struct vfake *fake, uint32_t pasid, uint64_t dw0, uint64_t dw1,
	      uint64_t dw2)
{
	vg_store(fake, VG_PASIDS + pasid * 64, dw0);
	vg_store(fake, VG_PASIDS + pasid * 64 + 8, dw1);
	vg_store(fake, VG_PASIDS + pasid * 64 + 16, dw2);
}

void vg_link_tables(struct vfake *fake, uint32_t root)
{
	for (uint32_t i = 0; i < 3; i++, root += 0x1000)
		vg_store(fake, root, (root + 0x1000) | 3);
}

void vg_page(struct vfake *fake, uint32_t n, uint64_t entry)
{
	vg_store(fake, VG_TABLE + 0x3000 + n * 8, entry);
}

void vg_put(struct vfake *fake, uint64_t dw0, uint64_t dw1)
{
	uint32_t size = fake->legacy ? 16 : 32;
	uint32_t at = VG_QUEUE + fake->tail * size;

	memset(fake->mem + at, 0, size);
	vg_store(fake, at, dw0);
	vg_store(fake, at + 8, dw1);
	fake->tail = (fake->tail + 1) % (fake->legacy ? 256 : 128);
}

void vg_doorbell(struct vfake *fake)
{
	vg_set64(fake, R_IQT, fake->tail * (fake->legacy ? 16 : 32));
}

uint32_t vg_put_wait(struct vfake *fake)
{
	fake->waits++;
	vg_put(fake, 0x25 | (uint64_t)fake->waits << 32, VG_STATUS);
	return fake->waits;
}

uint32_t vg_status(const struct vfake *fake)
{
	return (uint32_t)vg_word(fake, VG_STATUS);
}

void vg_do(struct vfake *fake, uint64_t dw0, uint64_t dw1)
{
	uint32_t wait;

	vg_put(fake, dw0, dw1);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_status(fake), wait);
	assert_int_equal(vg_reg(fake, R_FSTS), 0);
}
