// SPDX-License-Identifier: MIT
/*
 * Page requests (PRI): what the host's fault queue has for the guest's streams
 * goes into the guest's PRI queue, and its CMD_PRI_RESP back as the answer
 * (Arm IHI 0070 chapter 8, 4.5.2). Where there is no room for a request, what
 * hardware would answer by itself is answered here (8.1, 8.2); the ABI has no
 * word for Response Failure, so that is INVALID.
 *
 * A group is known to the guest by vSID and index, to the host by its cookie:
 * 0 is none. An attach ends all groups that came before it: the host answers
 * them, and may give their cookies to others. So cookies are read and answered,
 * and devices attached, with @lock held, and what was read before an attach is
 * forgotten by it.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "front/smmuv3/decode.h"
#include "hwdef/smmuv3_regs.h"
#include "viommu/smmuv3/smmuv3.h"

#define FAULTS_FIRST 128u
#define FAULTS_MAX   (1u << 20) /* of one group */
#define NOBODY	     0		/* no object's id */

static void answer(struct vsmmu *vsmmu, uint32_t cookie, bool success)
{
	const struct nestfd_backend *b = &vsmmu->base.backend;
	struct iommu_hwpt_page_response response = {
		.cookie = cookie,
		.code = success ? IOMMUFD_PAGE_RESP_SUCCESS
				: IOMMUFD_PAGE_RESP_INVALID,
	};
	ssize_t n;

	/* refused: then it has been answered */
	if (b->write)
		n = b->write(b->ctx, vsmmu->pri.fd, &response,
			     sizeof(response));
	else
		n = write(vsmmu->pri.fd, &response, sizeof(response));
	(void)n;
}

/* Puts @cookie where the group's was, and returns that; @cookie for no group */
static uint32_t swap(struct vsmmu *vsmmu, uint32_t vsid, uint32_t group,
		     uint32_t cookie)
{
	struct vsmmu_stream *stream;
	uint32_t was = cookie;

	pthread_mutex_lock(&vsmmu->event_lock);
	stream = vsmmu_stream_find(vsmmu, vsid);
	if (stream) {
		was = stream->waiting[group];
		stream->waiting[group] = cookie;
	}
	pthread_mutex_unlock(&vsmmu->event_lock);
	return was;
}

/* Nobody answers @cookie any more. False: it was not waited for */
static bool forget(struct vsmmu *vsmmu, uint32_t vsid, uint32_t group,
		   uint32_t cookie)
{
	struct vsmmu_stream *stream;
	bool was = false;

	pthread_mutex_lock(&vsmmu->event_lock);
	stream = vsmmu_stream_find(vsmmu, vsid);
	if (stream && stream->waiting[group] == cookie) {
		stream->waiting[group] = 0;
		was = true;
	}
	pthread_mutex_unlock(&vsmmu->event_lock);
	return was;
}

static void answer_group(struct vsmmu *vsmmu, uint32_t vsid, uint32_t group,
			 bool success)
{
	uint32_t cookie;

	pthread_mutex_lock(&vsmmu->pri.lock);
	cookie = swap(vsmmu, vsid, group, 0);
	if (cookie)
		answer(vsmmu, cookie, success);
	pthread_mutex_unlock(&vsmmu->pri.lock);
}

void vsmmu_pri_response(struct vsmmu *vsmmu, const struct smmuv3_cmd *cmd)
{
	answer_group(vsmmu, cmd->sid, cmd->prg_index,
		     cmd->resp == SMMUV3_PRI_SUCCESS);
}

void vsmmu_pri_forget(struct vsmmu *vsmmu)
{
	struct itree_node *node;

	for (node = itree_from(&vsmmu->streams, 0); node && vsmmu->pri.on;
	     node = itree_succ(node))
		for (uint32_t group = 0; group < VSMMU_GROUPS; group++)
			answer_group(vsmmu, (uint32_t)node->first, group,
				     false);
}

int vsmmu_pri_attach(struct vsmmu *vsmmu, struct vsmmu_stream *stream,
		     uint32_t hwpt_id)
{
	int rc;

	pthread_mutex_lock(&vsmmu->pri.lock);
	rc = stream->device.attach(stream->device.ctx, hwpt_id);
	if (!rc && stream->waiting) {
		pthread_mutex_lock(&vsmmu->event_lock);
		memset(stream->waiting, 0,
		       VSMMU_GROUPS * sizeof(*stream->waiting));
		pthread_mutex_unlock(&vsmmu->event_lock);
	}
	pthread_mutex_unlock(&vsmmu->pri.lock);
	return rc;
}

/* ---- from the host to the guest ---- */

static bool find_vsid(struct vsmmu *vsmmu, uint32_t dev_id, uint32_t *vsid)
{
	struct itree_node *node;
	bool found = false;

	pthread_mutex_lock(&vsmmu->event_lock);
	for (node = itree_from(&vsmmu->streams, 0); node && !found;
	     node = itree_succ(node)) {
		found = container_of(node, struct vsmmu_stream, node)
				->device.dev_id == dev_id;
		*vsid = (uint32_t)node->first;
	}
	pthread_mutex_unlock(&vsmmu->event_lock);
	return found;
}

static uint64_t bit_if(uint32_t flags, uint32_t flag, uint64_t bit)
{
	return flags & flag ? bit : 0;
}

/* In a guest without SubstreamIDs no request has a PASID (8). */
static void build(const struct vsmmu *vsmmu, uint32_t vsid,
		  const struct iommu_hwpt_pgfault *f, uint64_t rec[2])
{
	rec[0] = field_prep(SMMUV3_PRI_REC_0_SID, vsid) |
		 bit_if(f->perm, IOMMU_PGFAULT_PERM_READ,
			SMMUV3_PRI_REC_0_READ) |
		 bit_if(f->perm, IOMMU_PGFAULT_PERM_WRITE,
			SMMUV3_PRI_REC_0_WRITE) |
		 bit_if(f->flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE,
			SMMUV3_PRI_REC_0_LAST);
	if ((f->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID) &&
	    (vsmmu->id.idr[1] & SMMUV3_IDR1_SSIDSIZE))
		rec[0] |= SMMUV3_PRI_REC_0_SSV |
			  field_prep(SMMUV3_PRI_REC_0_SSID, f->pasid) |
			  bit_if(f->perm, IOMMU_PGFAULT_PERM_EXEC,
				 SMMUV3_PRI_REC_0_EXEC) |
			  bit_if(f->perm, IOMMU_PGFAULT_PERM_PRIV,
				 SMMUV3_PRI_REC_0_PRIV);
	rec[1] = field_prep(SMMUV3_PRI_REC_1_PRGINDEX, f->grpid) |
		 (f->addr & SMMUV3_PRI_REC_1_ADDR);
}

/* Before the guest can see the request, so that it can answer it at once */
static bool wait_for_guest(struct vsmmu *vsmmu, uint32_t vsid,
			   const struct iommu_hwpt_pgfault *f)
{
	uint32_t was = swap(vsmmu, vsid, f->grpid, f->cookie);

	if (was && was != f->cookie)
		answer(vsmmu, was, false); /* no device asks twice at once */
	return was != f->cookie;
}

/* Whose @f is; with the lock held, and what is nobody's is answered. */
static void meet(struct vsmmu *vsmmu, struct iommu_hwpt_pgfault *f)
{
	bool last = f->flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE;
	uint32_t vsid;

	if (f->grpid < VSMMU_GROUPS && find_vsid(vsmmu, f->dev_id, &vsid) &&
	    (!last || wait_for_guest(vsmmu, vsid, f)))
		return;
	if (last)
		answer(vsmmu, f->cookie, false);
	f->dev_id = NOBODY;
}

/* One request; what becomes of its group is known with the last one. */
static void deliver(struct vsmmu *vsmmu, const struct iommu_hwpt_pgfault *f)
{
	enum smmuv3_priq_result result;
	uint64_t rec[2];
	uint32_t vsid;

	/* gone since: so are its groups */
	if (f->dev_id == NOBODY || !find_vsid(vsmmu, f->dev_id, &vsid))
		return;
	build(vsmmu, vsid, f, rec);
	result = smmuv3_front_priq_add(vsmmu->front, rec);
	if (!(f->flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE) ||
	    result == SMMUV3_PRIQ_DONE)
		return;
	pthread_mutex_lock(&vsmmu->pri.lock);
	if (forget(vsmmu, vsid, f->grpid, f->cookie))
		answer(vsmmu, f->cookie, result == SMMUV3_PRIQ_FULL);
	pthread_mutex_unlock(&vsmmu->pri.lock);
}

static ssize_t read_faults(struct vsmmu *vsmmu)
{
	const struct nestfd_backend *b = &vsmmu->base.backend;
	size_t len = vsmmu->pri.room * sizeof(*vsmmu->pri.faults);
	ssize_t n;

	if (b->read)
		return b->read(b->ctx, vsmmu->pri.fd, vsmmu->pri.faults, len);
	n = read(vsmmu->pri.fd, vsmmu->pri.faults, len);
	return n < 0 ? -errno : n;
}

/* Reads some, and notes whose they are. How many, or -errno */
static ssize_t take_faults(struct vsmmu *vsmmu)
{
	ssize_t n;

	pthread_mutex_lock(&vsmmu->pri.lock);
	n = read_faults(vsmmu);
	if (n > 0 && (size_t)n % sizeof(*vsmmu->pri.faults))
		n = -EPROTO;
	if (n > 0)
		n /= (ssize_t)sizeof(*vsmmu->pri.faults);
	for (ssize_t i = 0; i < n; i++)
		meet(vsmmu, &vsmmu->pri.faults[i]);
	pthread_mutex_unlock(&vsmmu->pri.lock);
	return n;
}

/* A group comes as a whole or not at all. */
static int make_room(struct vsmmu_pri *pri)
{
	size_t room = pri->room ? 2 * pri->room : FAULTS_FIRST;
	void *grown;

	if (room > FAULTS_MAX)
		return -EPROTO;
	grown = alloc_grow(pri->faults, room, sizeof(*pri->faults));
	if (!grown)
		return -ENOMEM;
	pri->faults = grown;
	pri->room = room;
	return 0;
}

int vsmmu_pri_pump(struct nestfd_viommu *viommu)
{
	struct vsmmu *vsmmu = to_vsmmu(viommu);
	uint32_t total = 0;
	ssize_t n;
	int rc = 0;

	if (!vsmmu->pri.on)
		return 0;
	while (!rc && total < viommu->veventq_depth) {
		n = take_faults(vsmmu);
		if (n == -EAGAIN || n == 0)
			break;
		if (n == -EINVAL) {
			rc = make_room(&vsmmu->pri);
			continue;
		}
		if (n < 0)
			return (int)n;
		for (ssize_t i = 0; i < n; i++)
			deliver(vsmmu, &vsmmu->pri.faults[i]);
		total += (uint32_t)n;
	}
	return rc ? rc : (int)total;
}

/* ---- coming and going ---- */

int vsmmu_pri_start(struct vsmmu *vsmmu, const struct smmuv3_id *host)
{
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };
	int rc;

	if (!(vsmmu->id.idr[0] & SMMUV3_IDR0_PRI))
		return 0;
	rc = make_room(&vsmmu->pri);
	if (!rc)
		rc = relay_call(&vsmmu->base, IOMMU_FAULT_QUEUE_ALLOC, &arg);
	if (rc) {
		free(vsmmu->pri.faults);
		return rc;
	}
	vsmmu->pri.fault_id = arg.out_fault_id;
	vsmmu->pri.fd = (int)arg.out_fault_fd;
	/* A stall would look like a request; the guest's CDs cannot ask for one
	 * (STALL_MODEL), but the host's hardware knows only its own. */
	vsmmu->pri.stalld = field_get(SMMUV3_IDR0_STALL_MODEL, host->idr[0]) ==
			    SMMUV3_STALL_BOTH;
	vsmmu->pri.on = true;
	return 0;
}

void vsmmu_pri_stop(struct vsmmu *vsmmu)
{
	const struct nestfd_backend *b = &vsmmu->base.backend;

	if (!vsmmu->pri.on)
		return;
	if (b->close)
		b->close(b->ctx, vsmmu->pri.fd);
	else
		close(vsmmu->pri.fd);
	relay_destroy(&vsmmu->base, vsmmu->pri.fault_id);
	free(vsmmu->pri.faults);
	vsmmu->pri.on = false;
}
