// SPDX-License-Identifier: MIT
/* Making and ending a virtual SMMUv3, its devices, and what the front asks. */
#include "viommu/smmuv3/smmuv3.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "hwdef/smmuv3_regs.h"
#include "hwdef/smmuv3_tables.h"
#include "nestfd/ext.h"

#define DEFAULT_EVENTS 32768u
#define RUN_FIRST_ROOM 256u
#define SYNCS_FIRST    16u

static void guest_irq(void *ctx, enum smmuv3_irq irq)
{
	struct vsmmu *vsmmu = ctx;

	if (vsmmu->base.guest.irq)
		vsmmu->base.guest.irq(vsmmu->base.guest.ctx, irq);
}

static void changed(void *ctx, enum smmuv3_change what)
{
	struct vsmmu *vsmmu = ctx;

	if (what != SMMUV3_CHANGE_SMMUEN && what != SMMUV3_CHANGE_GBPA)
		return;
	vsmmu_refresh(vsmmu);
}

/* 4.7.3: a CMD_SYNC is not complete before the record that is being written */
static bool waits(void *ctx)
{
	return viommu_is_pumping(ctx);
}

static int make_front(struct vsmmu *vsmmu)
{
	struct smmuv3_front_config config = { .id = vsmmu->id };
	struct smmuv3_front_ops ops = {
		.read = viommu_read_memory,
		.write = viommu_write_memory,
		.consume = vsmmu_consume,
		.waits = waits,
		.changed = changed,
		.irq = guest_irq,
	};

	if (vsmmu->ring.on)
		ops.consume_queue = vsmmu_consume_queue;
	return smmuv3_front_create(&config, &ops, vsmmu, &vsmmu->front);
}

static uint64_t vsmmu_read(struct nestfd_viommu *viommu, uint32_t offset,
			   unsigned int bytes)
{
	return smmuv3_front_read(to_vsmmu(viommu)->front, offset, bytes);
}

static void vsmmu_write(struct nestfd_viommu *viommu, uint32_t offset,
			unsigned int bytes, uint64_t value)
{
	smmuv3_front_write(to_vsmmu(viommu)->front, offset, bytes, value);
}

static bool vsmmu_event(struct nestfd_viommu *viommu, const void *record)
{
	const struct smmuv3_evt_rec *rec = record;
	uint64_t words[SMMUV3_EVT_DWORDS];
	int i;

	for (i = 0; i < SMMUV3_EVT_DWORDS; i++)
		words[i] = le64_get(rec->dw[i]);
	if (!vsmmu_event_translate(to_vsmmu(viommu), words))
		return true;
	return smmuv3_front_event(to_vsmmu(viommu)->front, words);
}

static int alloc_vdevice(struct vsmmu *vsmmu, struct vsmmu_stream *stream)
{
	struct iommu_vdevice_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = vsmmu->base.viommu_id,
		.dev_id = stream->device.dev_id,
		.virt_id = stream->device.vsid,
	};
	int rc;

	rc = relay_call(&vsmmu->base, IOMMU_VDEVICE_ALLOC, &arg);
	if (!rc)
		stream->vdevice_id = arg.out_vdevice_id;
	return rc;
}

static void stream_free(struct vsmmu_stream *stream)
{
	free(stream->waiting);
	free(stream);
}

static int stream_new(struct vsmmu *vsmmu,
		      const struct nestfd_viommu_device *device,
		      struct vsmmu_stream **made)
{
	struct vsmmu_stream *stream = alloc_zero(sizeof(*stream));

	if (!stream)
		return -ENOMEM;
	stream->device = *device;
	stream->node.first = device->vsid;
	stream->node.last = device->vsid;
	if (vsmmu->pri.on) {
		stream->waiting =
			alloc_array(VSMMU_GROUPS, sizeof(*stream->waiting));
		if (!stream->waiting) {
			free(stream);
			return -ENOMEM;
		}
	}
	*made = stream;
	return 0;
}

/*
 * The vDEVICE, then what the guest's tables say now. The others see the stream
 * before that is read, so that a change made meanwhile is not missed.
 */
static int vsmmu_device_add(struct nestfd_viommu *viommu,
			    const struct nestfd_viommu_device *device)
{
	struct vsmmu *vsmmu = to_vsmmu(viommu);
	struct vsmmu_stream *stream;
	struct vsmmu_look look;
	int rc;

	/* the guest's tables could never name it */
	if ((uint64_t)device->vsid >>
	    field_get(SMMUV3_IDR1_SIDSIZE, vsmmu->id.idr[1]))
		return -EINVAL;
	rc = stream_new(vsmmu, device, &stream);
	if (rc)
		return rc;
	pthread_mutex_lock(&vsmmu->lock);
	if (vsmmu_stream_find(vsmmu, device->vsid))
		rc = -EEXIST;
	else
		rc = alloc_vdevice(vsmmu, stream);
	if (!rc)
		vsmmu_stream_insert(vsmmu, stream, &look);
	pthread_mutex_unlock(&vsmmu->lock);
	if (rc) {
		stream_free(stream);
		return rc;
	}
	vsmmu_look_read(vsmmu, &look);
	return vsmmu_follow(vsmmu, &look);
}

static void stream_unlist(struct vsmmu *vsmmu, struct vsmmu_stream *stream)
{
	pthread_mutex_lock(&vsmmu->event_lock);
	itree_remove(&vsmmu->streams, &stream->node);
	pthread_mutex_unlock(&vsmmu->event_lock);
}

static void stream_release(struct vsmmu *vsmmu, struct vsmmu_stream *stream)
{
	relay_destroy(&vsmmu->base, stream->hwpt_id);
	relay_destroy(&vsmmu->base, stream->vdevice_id);
	stream_free(stream);
}

void vsmmu_stream_discard(struct vsmmu *vsmmu, struct vsmmu_stream *stream)
{
	stream_unlist(vsmmu, stream);
	stream_release(vsmmu, stream);
}

/* Back to the parent, so that nothing of this vIOMMU is in use any more. */
static void stream_end(struct vsmmu *vsmmu, struct vsmmu_stream *stream)
{
	stream_unlist(vsmmu, stream);
	viommu_count(&vsmmu->base.counters.other_ioctls, 1);
	vsmmu_pri_attach(vsmmu, stream, vsmmu->base.parent_hwpt);
	stream_release(vsmmu, stream);
}

static int vsmmu_device_remove(struct nestfd_viommu *viommu, uint32_t vsid)
{
	struct vsmmu *vsmmu = to_vsmmu(viommu);
	struct vsmmu_stream *stream;

	pthread_mutex_lock(&vsmmu->lock);
	stream = vsmmu_stream_find(vsmmu, vsid);
	if (stream)
		stream_end(vsmmu, stream);
	pthread_mutex_unlock(&vsmmu->lock);
	return stream ? 0 : -ENOENT;
}

static void destroy_hwpts(struct vsmmu *vsmmu)
{
	relay_destroy(&vsmmu->base, vsmmu->invalid_hwpt);
	relay_destroy(&vsmmu->base, vsmmu->bypass_hwpt);
	relay_destroy(&vsmmu->base, vsmmu->abort_hwpt);
}

/* Room that is there from the start */
static int reserve(struct vsmmu *vsmmu)
{
	vsmmu->syncs.sync =
		alloc_array(SYNCS_FIRST, sizeof(*vsmmu->syncs.sync));
	if (!vsmmu->syncs.sync)
		return -ENOMEM;
	vsmmu->syncs.room = SYNCS_FIRST;
	return viommu_run_reserve(&vsmmu->run, RUN_FIRST_ROOM);
}

static void vsmmu_free(struct vsmmu *vsmmu)
{
	free(vsmmu->syncs.sync);
	viommu_run_free(&vsmmu->run);
	viommu_fini(&vsmmu->base);
	pthread_mutex_destroy(&vsmmu->pri.lock);
	pthread_mutex_destroy(&vsmmu->event_lock);
	pthread_mutex_destroy(&vsmmu->lock);
	free(vsmmu);
}

static void vsmmu_destroy(struct nestfd_viommu *viommu)
{
	struct vsmmu *vsmmu = to_vsmmu(viommu);
	struct itree_node *node;

	while ((node = itree_from(&vsmmu->streams, 0)))
		stream_end(vsmmu,
			   container_of(node, struct vsmmu_stream, node));
	smmuv3_front_destroy(vsmmu->front);
	destroy_hwpts(vsmmu);
	vsmmu_pri_stop(vsmmu);
	relay_teardown(&vsmmu->base);
	vsmmu_free(vsmmu);
}

/*
 * Reset by the registers' own rules: first everything off, which makes the rest
 * writable; errors are acknowledged last.
 */
static void vsmmu_reset(struct nestfd_viommu *viommu)
{
	static const struct {
		uint32_t offset;
		unsigned int bytes;
		uint64_t value;
	} steps[] = {
		{ SMMUV3_CR0, 4, 0 },
		{ SMMUV3_IRQ_CTRL, 4, 0 },
		{ SMMUV3_GBPA, 4,
		  SMMUV3_GBPA_UPDATE | SMMUV3_SHCFG_INCOMING << 12 },
		{ SMMUV3_CR1, 4, 0 },
		{ SMMUV3_CR2, 4, 0 },
		{ SMMUV3_GERROR_IRQ_CFG0, 8, 0 },
		{ SMMUV3_EVENTQ_IRQ_CFG0, 8, 0 },
		{ SMMUV3_STRTAB_BASE, 8, 0 },
		{ SMMUV3_STRTAB_BASE_CFG, 4, 0 },
		{ SMMUV3_CMDQ_BASE, 8, 0 },
		{ SMMUV3_CMDQ_PROD, 4, 0 },
		{ SMMUV3_CMDQ_CONS, 4, 0 },
		{ SMMUV3_EVENTQ_BASE, 8, 0 },
		{ SMMUV3_EVENTQ_PROD, 4, 0 },
		{ SMMUV3_EVENTQ_CONS, 4, 0 },
		{ SMMUV3_PRIQ_IRQ_CFG0, 8, 0 },
		{ SMMUV3_PRIQ_BASE, 8, 0 },
		{ SMMUV3_PRIQ_PROD, 4, 0 },
		{ SMMUV3_PRIQ_CONS, 4, 0 },
	};
	struct vsmmu *vsmmu = to_vsmmu(viommu);

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		vsmmu_write(viommu, steps[i].offset, steps[i].bytes,
			    steps[i].value);
	vsmmu_write(viommu, SMMUV3_GERRORN, 4,
		    vsmmu_read(viommu, SMMUV3_GERROR, 4));
	vsmmu->atc_failed = false;
	vsmmu->ring = (struct vsmmu_ring){
		.on = vsmmu->ring.on,
		.pass = VSMMU_PASS_FIRST,
	};
	/* streams bypass by now: what is still there is of the former life */
	viommu_drop_events(viommu);
	pthread_mutex_lock(&vsmmu->lock);
	vsmmu_pri_forget(vsmmu);
	pthread_mutex_unlock(&vsmmu->lock);
}

static int vsmmu_fault_fd(struct nestfd_viommu *viommu)
{
	const struct vsmmu *vsmmu = to_vsmmu(viommu);

	return vsmmu->pri.on ? vsmmu->pri.fd : -1;
}

static void vsmmu_hold(struct nestfd_viommu *viommu)
{
	smmuv3_front_hold(to_vsmmu(viommu)->front);
}

static void vsmmu_release(struct nestfd_viommu *viommu)
{
	smmuv3_front_release(to_vsmmu(viommu)->front);
}

static void vsmmu_resume(struct nestfd_viommu *viommu)
{
	smmuv3_front_kick(to_vsmmu(viommu)->front);
}

static const struct viommu_ops vsmmu_ops = {
	.destroy = vsmmu_destroy,
	.read = vsmmu_read,
	.write = vsmmu_write,
	.device_add = vsmmu_device_add,
	.device_remove = vsmmu_device_remove,
	.reset = vsmmu_reset,
	.event = vsmmu_event,
	.event_size = SMMUV3_EVT_SIZE,
	.pump = vsmmu_pri_pump,
	.fault_fd = vsmmu_fault_fd,
	.hold = vsmmu_hold,
	.release = vsmmu_release,
	.resume = vsmmu_resume,
};

static int host_id(struct vsmmu *vsmmu, struct smmuv3_id *host)
{
	struct iommu_hw_info_arm_smmuv3 hw = { 0 };
	struct iommu_hw_info info;
	int i, rc;

	rc = relay_hw_info(&vsmmu->base, IOMMU_HW_INFO_TYPE_ARM_SMMUV3, &hw,
			   sizeof(hw), &info);
	if (rc)
		return rc;
	for (i = 0; i < 6; i++)
		host->idr[i] = hw.idr[i];
	host->iidr = hw.iidr;
	host->aidr = hw.aidr;
	/* a guest's stage 1 needs one, and the host's below it */
	if (!(host->idr[0] & SMMUV3_IDR0_S1P) ||
	    !(host->idr[0] & SMMUV3_IDR0_S2P))
		return -EOPNOTSUPP;
	return 0;
}

/* Three that streams share; the one with V = 0: see stream.c. */
static int make_hwpts(struct vsmmu *vsmmu)
{
	const struct {
		uint64_t ste[2];
		uint32_t *id;
	} shared[] = {
		{ { SMMUV3_STE_0_V |
		    field_prep(SMMUV3_STE_0_CONFIG, SMMUV3_STE_CONFIG_ABORT) },
		  &vsmmu->abort_hwpt },
		{ { SMMUV3_STE_0_V |
		    field_prep(SMMUV3_STE_0_CONFIG, SMMUV3_STE_CONFIG_BYPASS) },
		  &vsmmu->bypass_hwpt },
		{ { 0 }, &vsmmu->invalid_hwpt },
	};

	for (size_t i = 0; i < ARRAY_SIZE(shared); i++) {
		int rc = vsmmu_hwpt_alloc(vsmmu, vsmmu->base.dev_id,
					  shared[i].ste, shared[i].id);

		if (rc) {
			destroy_hwpts(vsmmu);
			return rc;
		}
	}
	return 0;
}

/* Which additions to use, and whether the queue can be a ring. */
static int choose_queue(struct vsmmu *vsmmu, const struct smmuv3_id *host,
			enum nestfd_queue queue)
{
	uint64_t wanted = NESTFD_EXT_ERRORS | NESTFD_EXT_INVALID;

	if (queue != NESTFD_QUEUE_ARRAY && vsmmu->base.guest.map &&
	    vsmmu_id_fits_ring(host, &vsmmu->id))
		wanted |= NESTFD_EXT_RING;
	relay_extend(&vsmmu->base, wanted);
	vsmmu->ring.on = vsmmu->base.ext & NESTFD_EXT_RING;
	vsmmu->ring.pass = VSMMU_PASS_FIRST;
	if (queue == NESTFD_QUEUE_RING && !vsmmu->ring.on)
		return -EOPNOTSUPP;
	return 0;
}

/* Everything that lives on the backend, and the front. */
static int start(struct vsmmu *vsmmu, const struct nestfd_viommu_config *config)
{
	struct smmuv3_id host;
	int rc;

	rc = host_id(vsmmu, &host);
	if (rc)
		return rc;
	vsmmu_id(&host, config->idr, config->pri, &vsmmu->id);
	rc = choose_queue(vsmmu, &host, config->queue);
	if (rc)
		return rc;
	rc = relay_setup(&vsmmu->base, IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
			 IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
			 config->events ? config->events : DEFAULT_EVENTS);
	if (rc)
		return rc;
	vsmmu->run.hwpt_id = vsmmu->base.viommu_id;
	rc = vsmmu_pri_start(vsmmu, &host);
	if (rc)
		goto teardown;
	rc = make_hwpts(vsmmu);
	if (rc)
		goto pri;
	rc = make_front(vsmmu);
	if (rc)
		goto hwpts;
	return 0;

hwpts:
	destroy_hwpts(vsmmu);
pri:
	vsmmu_pri_stop(vsmmu);
teardown:
	relay_teardown(&vsmmu->base);
	return rc;
}

int nestfd_viommu_smmuv3_create(const struct nestfd_viommu_config *config,
				struct nestfd_viommu **viommu)
{
	struct vsmmu *vsmmu;
	int rc;

	rc = viommu_check(config);
	if (rc)
		return rc;
	vsmmu = alloc_zero(sizeof(*vsmmu));
	if (!vsmmu)
		return -ENOMEM;
	viommu_init(&vsmmu->base, &vsmmu_ops, config);
	pthread_mutex_init(&vsmmu->lock, NULL);
	pthread_mutex_init(&vsmmu->event_lock, NULL);
	pthread_mutex_init(&vsmmu->pri.lock, NULL);
	viommu_run_init(&vsmmu->run, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
			SMMUV3_CMD_SIZE);
	rc = reserve(vsmmu);
	if (!rc)
		rc = start(vsmmu, config);
	if (rc) {
		vsmmu_free(vsmmu);
		return rc;
	}
	*viommu = &vsmmu->base;
	return 0;
}
