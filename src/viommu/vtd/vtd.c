// SPDX-License-Identifier: MIT
/* Making and ending a virtual VT-d unit, its devices, what the front asks. */
#include "viommu/vtd/vtd.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "hwdef/vtd_regs.h"
#include "nestfd/ext.h"

/* How often it looks again because of what its own reads have changed */
#define LOOKS 16

static const char *this_thread(void)
{
	static _Thread_local const char token;

	return &token;
}

/* As the guest's registers and tables say, whatever it costs */
static void follow(struct vvtd *vvtd)
{
	vvtd_begin(vvtd);
	vvtd_follow_all(vvtd);
	vvtd_sync_shadows(vvtd);
}

bool vvtd_enter(struct vvtd *vvtd)
{
	if (atomic_load_explicit(&vvtd->holder, memory_order_relaxed) ==
	    this_thread())
		return false;
	pthread_mutex_lock(&vvtd->lock);
	atomic_store_explicit(&vvtd->holder, this_thread(),
			      memory_order_relaxed);
	return true;
}

void vvtd_leave(struct vvtd *vvtd)
{
	bool rang;

	for (int i = 0; i < LOOKS && vvtd->changed_inside; i++) {
		vvtd->changed_inside = false;
		follow(vvtd);
	}
	rang = vvtd->rang_inside;
	vvtd->rang_inside = false;
	atomic_store_explicit(&vvtd->holder, NULL, memory_order_relaxed);
	pthread_mutex_unlock(&vvtd->lock);
	if (rang)
		vtd_front_kick(vvtd->front);
}

/*
 * This thread's access, as its unit counts them: a thread of its own for each
 * would count from 1 always. What callbacks do belongs to the outermost.
 */
static _Thread_local struct {
	unsigned int depth;
	const struct vvtd *of;
	uint64_t number;
} access;

static void access_begin(struct vvtd *vvtd)
{
	if (access.depth++)
		return;
	access.of = vvtd;
	access.number = 1 + atomic_fetch_add_explicit(&vvtd->accesses, 1,
						      memory_order_relaxed);
}

static void access_end(void)
{
	access.depth--;
}

bool vvtd_is_new_access(struct vvtd *vvtd)
{
	if (vvtd->access_of == access.of && vvtd->access == access.number)
		return false;
	vvtd->access_of = access.of;
	vvtd->access = access.number;
	return true;
}

/* What the last slice was not enough for */
static void go_on(struct nestfd_viommu *viommu)
{
	struct vvtd *vvtd = to_vvtd(viommu);

	if (!atomic_load_explicit(&vvtd->left, memory_order_acquire))
		return;
	access_begin(vvtd);
	atomic_store_explicit(&vvtd->left, false, memory_order_relaxed);
	vtd_front_kick(vvtd->front);
	access_end();
}

/*
 * What SRTP and TE ask for is in force when GSTS says so. A device that the
 * host would not even block stays as it was: no register could tell.
 */
static void changed(void *ctx, enum vtd_change what)
{
	struct vvtd *vvtd = ctx;

	if (what != VTD_CHANGE_TE && what != VTD_CHANGE_ROOT)
		return;
	if (!vvtd_enter(vvtd)) {
		vvtd->changed_inside = true;
		return;
	}
	follow(vvtd);
	vvtd_leave(vvtd);
}

static int make_front(struct vvtd *vvtd, struct vtd_front **front)
{
	static const struct vtd_front_ops ops = {
		.read = viommu_read_memory,
		.write = viommu_write_memory,
		.consume = vvtd_consume,
		.invalidate = vvtd_invalidate,
		.changed = changed,
	};
	struct vtd_front_config config = { .id = vvtd->id };

	return vtd_front_create(&config, &ops, vvtd, front);
}

/* The rest of it is release()'s, without the lock for pumping. */
static int vvtd_pump(struct nestfd_viommu *viommu)
{
	return atomic_load_explicit(&to_vvtd(viommu)->left,
				    memory_order_relaxed);
}

static uint64_t vvtd_read(struct nestfd_viommu *viommu, uint32_t offset,
			  unsigned int bytes)
{
	go_on(viommu);
	return vtd_front_read(to_vvtd(viommu)->front, offset, bytes);
}

/*
 * GCMD may put the queue's head elsewhere, where what has been followed for a
 * descriptor counts no more.
 */
static void vvtd_write(struct nestfd_viommu *viommu, uint32_t offset,
		       unsigned int bytes, uint64_t value)
{
	struct vvtd *vvtd = to_vvtd(viommu);

	access_begin(vvtd);
	go_on(viommu);
	if (offset <= VTD_GCMD && VTD_GCMD - offset < bytes) {
		bool entered = vvtd_enter(vvtd);

		vvtd->paused.from = 0;
		if (entered)
			vvtd_leave(vvtd);
	}
	vtd_front_write(vvtd->front, offset, bytes, value);
	access_end();
}

static int vvtd_device_add(struct nestfd_viommu *viommu,
			   const struct nestfd_viommu_device *config)
{
	struct vvtd *vvtd = to_vvtd(viommu);
	struct vvtd_device *device;
	int rc;

	if (config->vsid > UINT16_MAX)
		return -EINVAL;
	device = alloc_zero(sizeof(*device));
	if (!device)
		return -ENOMEM;
	device->config = *config;
	device->node.first = config->vsid;
	device->node.last = config->vsid;
	if (!vvtd_enter(vvtd)) {
		free(device);
		return -EBUSY;
	}
	if (vvtd_device_find(vvtd, (uint16_t)config->vsid))
		rc = -EEXIST;
	else
		rc = vvtd_device_start(vvtd, device);
	if (!rc)
		itree_insert(&vvtd->devices, &device->node);
	vvtd_sync_shadows(vvtd);
	vvtd_leave(vvtd);
	if (rc)
		free(device);
	return rc;
}

static void device_end(struct vvtd *vvtd, struct vvtd_device *device)
{
	itree_remove(&vvtd->devices, &device->node);
	if (device->troubled)
		TAILQ_REMOVE(&vvtd->troubled, device, trouble_link);
	vvtd_device_end(vvtd, device);
	free(device);
}

static int vvtd_device_remove(struct nestfd_viommu *viommu, uint32_t vsid)
{
	struct vvtd *vvtd = to_vvtd(viommu);
	struct vvtd_device *device = NULL;

	if (!vvtd_enter(vvtd))
		return -EBUSY;
	if (vsid <= UINT16_MAX)
		device = vvtd_device_find(vvtd, (uint16_t)vsid);
	if (device)
		device_end(vvtd, device);
	vvtd_leave(vvtd);
	return device ? 0 : -ENOENT;
}

static void vvtd_free(struct vvtd *vvtd)
{
	viommu_fini(&vvtd->base);
	pthread_mutex_destroy(&vvtd->lock);
	free(vvtd->leaves);
	free(vvtd);
}

static void vvtd_destroy(struct nestfd_viommu *viommu)
{
	struct vvtd *vvtd = to_vvtd(viommu);
	struct itree_node *node;

	while ((node = itree_from(&vvtd->devices, 0)))
		device_end(vvtd, container_of(node, struct vvtd_device, node));
	vtd_front_destroy(vvtd->front);
	relay_destroy(&vvtd->base, vvtd->block_ioas);
	vvtd_free(vvtd);
}

/*
 * Registers in their reset state are those of a new front. Without memory for
 * one the old front is switched off, which is all that matters to DMA, and
 * keeps the rest of its registers.
 */
static void vvtd_reset(struct nestfd_viommu *viommu)
{
	struct vvtd *vvtd = to_vvtd(viommu);
	struct vtd_front *front;

	/* not through vvtd_write(): what is left of the queue stays undone */
	vtd_front_write(vvtd->front, VTD_GCMD, 4, 0);
	if (!make_front(vvtd, &front)) {
		vtd_front_destroy(vvtd->front);
		vvtd->front = front;
	}
	vvtd_enter(vvtd);
	follow(vvtd);
	vvtd_trouble_forget(vvtd);
	vvtd->unfinished = false;
	vvtd->paused.from = 0;
	atomic_store_explicit(&vvtd->left, false, memory_order_relaxed);
	vvtd_leave(vvtd);
}

static const struct viommu_ops vvtd_ops = {
	.destroy = vvtd_destroy,
	.read = vvtd_read,
	.write = vvtd_write,
	.device_add = vvtd_device_add,
	.device_remove = vvtd_device_remove,
	.reset = vvtd_reset,
	.pump = vvtd_pump,
	.release = go_on,
};

static int read_host(struct vvtd *vvtd, struct vvtd_host *host)
{
	struct iommu_hw_info_vtd hw = { 0 };
	struct iommu_hw_info info;
	int rc;

	rc = relay_hw_info(&vvtd->base, IOMMU_HW_INFO_TYPE_INTEL_VTD, &hw,
			   sizeof(hw), &info);
	if (rc)
		return rc;
	*host = (struct vvtd_host){
		.cap = hw.cap_reg,
		.ecap = hw.ecap_reg,
		.shadows = vvtd->parent_ioas,
		.ats = !(info.out_capabilities &
			 IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED),
		.pasids = info.out_max_pasid_log2,
	};
	return 0;
}

/* Everything that lives on the backend, and the front. */
static int start(struct vvtd *vvtd, const struct nestfd_viommu_config *config)
{
	struct vvtd_host host;
	int rc;

	rc = read_host(vvtd, &host);
	if (!rc)
		rc = vvtd_id(&host, config->cap, config->ecap, &vvtd->id);
	if (rc)
		return rc;
	relay_extend(&vvtd->base, NESTFD_EXT_ERRORS);
	vvtd->entry_size =
		vvtd->base.ext & NESTFD_EXT_ERRORS
			? sizeof(struct nestfd_hwpt_vtd_s1_invalidate)
			: sizeof(struct iommu_hwpt_vtd_s1_invalidate);
	rc = vvtd_ioas_alloc(vvtd, &vvtd->block_ioas);
	if (rc)
		return rc;
	rc = make_front(vvtd, &vvtd->front);
	if (rc)
		relay_destroy(&vvtd->base, vvtd->block_ioas);
	return rc;
}

int nestfd_viommu_vtd_create(const struct nestfd_viommu_config *config,
			     struct nestfd_viommu **viommu)
{
	struct vvtd *vvtd;
	int rc;

	rc = viommu_check(config);
	if (rc)
		return rc;
	if (config->queue == NESTFD_QUEUE_RING)
		return -EOPNOTSUPP; /* its descriptors are not the backend's */
	vvtd = alloc_zero(sizeof(*vvtd));
	if (!vvtd)
		return -ENOMEM;
	vvtd->leaves = alloc_zero(sizeof(*vvtd->leaves));
	if (!vvtd->leaves) {
		free(vvtd);
		return -ENOMEM;
	}
	viommu_init(&vvtd->base, &vvtd_ops, config);
	vvtd->slice = VVTD_NO_SLICE;
	vvtd->parent_ioas = config->parent_ioas;
	TAILQ_INIT(&vvtd->dirty_spaces);
	TAILQ_INIT(&vvtd->dirty_shadows);
	TAILQ_INIT(&vvtd->troubled);
	pthread_mutex_init(&vvtd->lock, NULL);
	rc = start(vvtd, config);
	if (rc) {
		vvtd_free(vvtd);
		return rc;
	}
	*viommu = &vvtd->base;
	return 0;
}
