// SPDX-License-Identifier: MIT
/* vIOMMUs: devices' caches, a page to mmap, queues that only exist. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "drv/mock/unit.h"

/* ---- vDEVICEs ---- */

static struct mock_vdev *find_vdev(const struct mock_viommu *v,
				   uint64_t virt_id)
{
	struct itree_node *node = itree_first(&v->vdevs, virt_id, virt_id);

	return node ? container_of(node, struct mock_vdev, node) : NULL;
}

static int vdevice_add(struct core_viommu *core, struct core_vdevice *vdevice)
{
	struct mock_viommu *v = to_viommu(core);
	struct mock_vdev *vdev;

	if (vdevice->dev->iommu != &v->unit->core)
		return -EINVAL;
	vdev = alloc_zero(sizeof(*vdev));
	if (!vdev)
		return -ENOMEM;
	vdev->dev = vdevice->dev;
	vdev->node.first = vdevice->virt_id;
	vdev->node.last = vdevice->virt_id;
	pthread_mutex_lock(&v->lock);
	itree_insert(&v->vdevs, &vdev->node);
	pthread_mutex_unlock(&v->lock);
	vdevice->drv = vdev;
	return 0;
}

static void vdevice_remove(struct core_viommu *core,
			   struct core_vdevice *vdevice)
{
	struct mock_viommu *v = to_viommu(core);
	struct mock_vdev *vdev = vdevice->drv;

	pthread_mutex_lock(&v->lock);
	itree_remove(&v->vdevs, &vdev->node);
	pthread_mutex_unlock(&v->lock);
	free(vdev);
}

int mock_viommu_virt_id(struct mock_viommu *v, const struct core_device *dev,
			uint64_t *virt_id)
{
	struct itree_node *node;
	int rc = -ENOENT;

	pthread_mutex_lock(&v->lock);
	for (node = itree_from(&v->vdevs, 0); node && rc;
	     node = itree_succ(node)) {
		if (container_of(node, struct mock_vdev, node)->dev == dev) {
			*virt_id = node->first;
			rc = 0;
		}
	}
	pthread_mutex_unlock(&v->lock);
	return rc;
}

/* ---- invalidation ---- */

/* A vIOMMU, and the vDEVICE last found */
struct lookup {
	const struct mock_viommu *v;
	const struct mock_vdev *vdev;
};

static int convert_one(void *owner, const void *entry,
		       struct mock_list_command *command)
{
	const struct mock_viommu_inval *e = entry;
	struct lookup *l = owner;
	int rc;

	rc = unit_inval_command(command, MOCK_OP_CACHE_INV, e->flags, e->cell,
				0);
	if (rc)
		return rc;
	if (!l->vdev || l->vdev->node.first != e->virt_id)
		l->vdev = find_vdev(l->v, e->virt_id);
	if (!l->vdev)
		return -EINVAL;
	command->word[1] = le64_make(l->vdev->dev->stream_id);
	return 0;
}

/*
 * With v->lock held, and until all has been carried out: a device stays as long
 * as its vDEVICE.
 */
static uint32_t convert(void *owner, const void *entries, uint32_t n,
			struct mock_list_command *commands, int *bad)
{
	struct lookup l = { .v = owner };

	return unit_convert(&l, entries, sizeof(struct mock_viommu_inval), n,
			    commands, bad, convert_one);
}

/* Nothing is done unless all of the array can be had. */
static int viommu_invalidate(struct core_viommu *core, struct core_inval *inv)
{
	struct mock_viommu *v = to_viommu(core);
	const struct unit_inval job = {
		.unit = v->unit,
		.lock = &v->lock,
		.size = sizeof(struct mock_viommu_inval),
		.convert = convert,
		.owner = v,
	};
	int rc;

	if (inv->type != MOCK_INVAL_DATA)
		return -EINVAL;
	rc = core_inval_check(inv, job.size);
	return rc ? rc : unit_invalidate(&job, inv);
}

static bool viommu_inval_type(struct core_viommu *core, uint32_t type)
{
	(void)core;
	return type == MOCK_INVAL_DATA;
}

/* ---- queues ---- */

static bool hw_queue_type(struct core_viommu *core, uint32_t type)
{
	(void)core;
	return type == MOCK_HW_QUEUE_TYPE;
}

/* Each queue needs the one before it. */
static int hw_queue_init_locked(struct mock_viommu *v,
				struct core_hw_queue *queue)
{
	struct mock_domain *parent = to_domain(v->core.parent);
	uint64_t pa;

	if (v->queues[queue->index])
		return -EEXIST;
	if (queue->index && !v->queues[queue->index - 1])
		return -EIO;
	/* Does the hardware find it where core says it is? */
	if (unit_command(v->unit, MOCK_CMD_TRANSLATE, parent->context,
			 queue->base_addr, &pa) ||
	    pa != queue->pa)
		return -EFAULT;
	if (queue->index)
		return core_hw_queue_depend(queue, v->queues[queue->index - 1]);
	return 0;
}

static int hw_queue_init(struct core_viommu *core, struct core_hw_queue *queue)
{
	struct mock_viommu *v = to_viommu(core);
	int rc;

	if (queue->index >= MOCK_HW_QUEUES)
		return -EINVAL;
	pthread_mutex_lock(&v->lock);
	rc = hw_queue_init_locked(v, queue);
	if (!rc)
		v->queues[queue->index] = queue;
	pthread_mutex_unlock(&v->lock);
	return rc;
}

static void hw_queue_destroy(struct core_viommu *core,
			     struct core_hw_queue *queue)
{
	struct mock_viommu *v = to_viommu(core);

	pthread_mutex_lock(&v->lock);
	v->queues[queue->index] = NULL;
	if (queue->index)
		core_hw_queue_undepend(queue, v->queues[queue->index - 1]);
	pthread_mutex_unlock(&v->lock);
}

/* ---- the vIOMMU ---- */

static bool veventq_type(struct core_viommu *core, uint32_t type)
{
	(void)core;
	return type != IOMMU_VEVENTQ_TYPE_DEFAULT;
}

/* Two pages for the client to map. */
static int page_new(struct mock_viommu *v)
{
	int fd;

	if (alloc_fault_point())
		return -ENOMEM;
	fd = memfd_create("nestfd-mock-viommu", MFD_CLOEXEC);
	if (fd < 0)
		return -ENOMEM;
	v->page_fd = fd;
	return 0;
}

/* They show the client what it has sent. */
static int page_fill(struct mock_viommu *v, uint32_t word)
{
	off_t at = (off_t)v->mmap_offset;

	if (ftruncate(v->page_fd, at + MOCK_MMAP_BYTES) ||
	    pwrite(v->page_fd, &word, sizeof(word), at) != sizeof(word))
		return -ENOMEM;
	return 0;
}

static void page_free(struct mock_viommu *v)
{
	if (v->page_fd < 0)
		return;
	core_mmap_remove(&v->core, v->mmap_offset);
	close(v->page_fd);
	v->page_fd = -1;
}

static int init_page(struct mock_viommu *v, const struct core_user_data *data,
		     const struct mock_viommu_data *arg)
{
	struct mock_viommu_data answer = *arg;
	int rc = page_new(v);

	if (rc)
		return rc;
	rc = core_mmap_add(&v->core, v->page_fd, CORE_MMAP_SAME,
			   MOCK_MMAP_BYTES, &v->mmap_offset);
	if (rc) {
		close(v->page_fd);
		v->page_fd = -1;
		return rc;
	}
	rc = page_fill(v, arg->in_data);
	if (rc)
		return rc; /* viommu_free() follows, as below */
	answer.out_data = arg->in_data;
	answer.out_mmap_offset = v->mmap_offset;
	answer.out_mmap_length = MOCK_MMAP_BYTES;
	return core_copy_back(data, &answer, sizeof(answer));
}

static int viommu_init(struct core_viommu *core,
		       const struct core_user_data *data)
{
	struct mock_viommu_data arg;
	int rc;

	if (!data || !data->len)
		return 0;
	rc = core_copy_user_data(data, MOCK_VIOMMU_TYPE,
				 offsetof(struct mock_viommu_data, out_data) +
					 sizeof(arg.out_data),
				 &arg, sizeof(arg));
	return rc ? rc : init_page(to_viommu(core), data, &arg);
}

static int nested_alloc(struct core_viommu *core, uint32_t flags,
			const struct core_user_data *data,
			struct core_domain **out)
{
	struct mock_viommu *v = to_viommu(core);

	return mock_nested_new(v->unit, core->parent, flags, data, v, out);
}

static void viommu_free(struct core_viommu *core)
{
	struct mock_viommu *v = to_viommu(core);

	page_free(v);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

const struct core_viommu_ops mock_viommu_ops = {
	.free = viommu_free,
	.init = viommu_init,
	.nested_alloc = nested_alloc,
	.invalidate = viommu_invalidate,
	.inval_type = viommu_inval_type,
	.vdevice_add = vdevice_add,
	.vdevice_remove = vdevice_remove,
	.veventq_type = veventq_type,
	.hw_queue_type = hw_queue_type,
	.hw_queue_init = hw_queue_init,
	.hw_queue_destroy = hw_queue_destroy,
};

bool mock_viommu_type(struct core_device *dev, uint32_t type)
{
	(void)dev;
	return type == MOCK_VIOMMU_TYPE;
}

int mock_viommu_alloc(struct core_device *dev, struct core_domain *parent,
		      uint32_t type, const struct core_user_data *data,
		      struct core_viommu **out)
{
	struct mock_viommu *v;

	(void)data; /* viommu_init()'s */
	if (type != MOCK_VIOMMU_TYPE)
		return -EOPNOTSUPP;
	v = alloc_zero(sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->core.ops = &mock_viommu_ops;
	v->core.iommu = dev->iommu;
	v->core.parent = parent;
	v->unit = to_unit(dev->iommu);
	v->page_fd = -1;
	pthread_mutex_init(&v->lock, NULL);
	*out = &v->core;
	return 0;
}
