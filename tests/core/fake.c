// SPDX-License-Identifier: MIT
/* The driver without hardware, and the world around it. */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "mem/guard.h"
#include "mem/phys.h"

struct fake_map {
	struct itree_node node;
	uint64_t pa;
	uint32_t prot;
};

/* dev->drv while it is attached; PASIDs are only counted */
static struct fake_domain *unlink_dev(struct core_device *dev)
{
	struct fake_domain *domain = dev->drv;

	if (domain)
		domain->attached--;
	dev->drv = NULL;
	return domain;
}

static void domain_free(struct core_domain *core)
{
	struct fake_domain *domain =
		container_of(core, struct fake_domain, core);
	struct itree_node *node;

	assert_int_equal(domain->attached, 0);
	/* Only doorbells may be left. */
	while ((node = itree_from(&domain->maps, 0))) {
		struct fake_map *map =
			container_of(node, struct fake_map, node);

		assert_true(map->prot & CORE_PROT_MMIO);
		itree_remove(&domain->maps, node);
		free(map);
	}
	domain->unit->domains--;
	free(domain);
}

static int domain_attach(struct core_domain *core, struct core_device *dev,
			 uint32_t pasid)
{
	struct fake_domain *domain =
		container_of(core, struct fake_domain, core);

	if (domain->unit->attach_rc)
		return domain->unit->attach_rc;
	if (core->nested && domain->unit->attach_needs_vdevice)
		return -ENOENT;
	if (pasid != CORE_NO_PASID)
		return 0;
	unlink_dev(dev);
	dev->drv = domain;
	domain->attached++;
	return 0;
}

static bool inside(const struct core_geometry *g, uint64_t first, uint64_t last)
{
	return first >= g->first && last <= g->last;
}

static int domain_map(struct core_domain *core, uint64_t iova, uint64_t pa,
		      uint64_t length, uint32_t prot)
{
	struct fake_domain *domain =
		container_of(core, struct fake_domain, core);
	struct fake_unit *unit = domain->unit;
	uint64_t smallest =
		core->geometry.page_sizes & -core->geometry.page_sizes;
	struct fake_map *map;

	assert_true(length && iova + length - 1 >= iova);
	assert_int_equal((iova | pa | length) & (smallest - 1), 0);
	assert_true(inside(&core->geometry, iova, iova + length - 1));
	assert_null(itree_first(&domain->maps, iova, iova + length - 1));
	domain->map_calls++;
	if (unit->map_fail_at && !--unit->map_fail_at)
		return unit->map_rc;
	map = alloc_zero(sizeof(*map));
	if (!map)
		return -ENOMEM;
	map->node.first = iova;
	map->node.last = iova + length - 1;
	map->pa = pa;
	map->prot = prot;
	itree_insert(&domain->maps, &map->node);
	return 0;
}

static void domain_unmap(struct core_domain *core, uint64_t iova,
			 uint64_t length)
{
	struct fake_domain *domain =
		container_of(core, struct fake_domain, core);
	uint64_t last = iova + length - 1;
	uint64_t at = iova;

	domain->unmap_calls++;
	for (;;) {
		struct itree_node *node = itree_first(&domain->maps, at, at);

		/* All of the range is mapped, by whole maps. */
		assert_non_null(node);
		assert_int_equal(node->first, at);
		assert_true(node->last <= last);
		at = node->last;
		itree_remove(&domain->maps, node);
		free(container_of(node, struct fake_map, node));
		if (at++ == last)
			return;
	}
}

static const struct core_domain_ops paging_ops = {
	.free = domain_free,
	.attach = domain_attach,
	.map = domain_map,
	.unmap = domain_unmap,
};

static int set_dirty_tracking(struct core_domain *core, bool enable)
{
	struct fake_domain *domain =
		container_of(core, struct fake_domain, core);

	if (domain->unit->dirty_rc)
		return domain->unit->dirty_rc;
	domain->tracking = enable;
	return 0;
}

static int read_and_clear_dirty(struct core_domain *core, uint64_t iova,
				uint64_t length, bool clear,
				struct core_dirty *dirty)
{
	struct fake_domain *domain =
		container_of(core, struct fake_domain, core);
	uint64_t last = iova + length - 1;

	/* Core asks only for what is mapped */
	assert_non_null(itree_first(&domain->maps, iova, iova));
	assert_non_null(itree_first(&domain->maps, last, last));
	if (!domain->tracking && dirty)
		return -EINVAL;
	for (int i = 0; i < FAKE_DIRTY_MAX; i++) {
		uint64_t page = domain->dirty[i];

		if (!page || page + 4095 < iova || page > last)
			continue;
		if (dirty)
			core_dirty_record(dirty, page, 4096);
		if (clear)
			domain->dirty[i] = 0;
	}
	return 0;
}

static const struct core_dirty_ops dirty_ops = {
	.set_dirty_tracking = set_dirty_tracking,
	.read_and_clear_dirty = read_and_clear_dirty,
};

void fake_dirty(struct core_domain *core, uint64_t iova)
{
	struct fake_domain *domain =
		container_of(core, struct fake_domain, core);
	uint64_t page = iova & ~4095ULL;
	int i = 0;

	while (domain->dirty[i] && domain->dirty[i] != page)
		i++;
	assert_true(i < FAKE_DIRTY_MAX);
	domain->dirty[i] = page;
}

#define CHUNK_MAX 64

static int take_entry(struct fake_unit *unit, struct core_inval *inv,
		      const unsigned char *entry)
{
	memcpy(unit->inval_entry, entry, FAKE_ENTRY_LEN);
	if (unit->inval_rc && inv->done == unit->inval_done)
		return unit->inval_rc;
	if (unit->inval_log)
		memcpy(unit->inval_log[inv->done], entry, FAKE_ENTRY_LEN);
	inv->done++;
	if (unit->inval_hook)
		unit->inval_hook(unit->inval_ctx, inv->done);
	return 0;
}

static int take_chunk(struct fake_unit *unit, struct core_inval *inv)
{
	uint32_t left = inv->count - inv->done;
	uint32_t n = unit->inval_chunk ? unit->inval_chunk : 1;
	unsigned char entries[CHUNK_MAX][FAKE_ENTRY_LEN];
	uint32_t copied = 0;
	int bad = 0;
	int rc;

	rc = core_inval_copy(inv, inv->done, n < left ? n : left, entries,
			     FAKE_ENTRY_LEN, &copied);
	for (uint32_t i = 0; i < copied && !bad; i++)
		bad = take_entry(unit, inv, entries[i]);
	return bad ? bad : rc;
}

static int take_entries(struct fake_unit *unit, struct core_inval *inv)
{
	int rc = 0;

	unit->inval_calls++;
	unit->inval = *inv;
	if (inv->type != FAKE_INVAL_TYPE)
		return -EINVAL;
	while (!rc && inv->done < inv->count)
		rc = take_chunk(unit, inv);
	if (!rc && inv->done == unit->inval_done)
		rc = unit->inval_rc; /* learnt behind the last */
	inv->code = unit->inval_code;
	inv->info = unit->inval_info;
	inv->info_entry = unit->inval_info_entry;
	return rc;
}

static int domain_invalidate(struct core_domain *core, struct core_inval *inv)
{
	return take_entries(container_of(core, struct fake_domain, core)->unit,
			    inv);
}

static bool domain_inval_type(struct core_domain *core, uint32_t type)
{
	(void)core;
	return type == FAKE_INVAL_TYPE;
}

/* Nested on a parent */
static const struct core_domain_ops direct_ops = {
	.free = domain_free,
	.attach = domain_attach,
	.invalidate = domain_invalidate,
	.inval_type = domain_inval_type,
};

/* Nested on a vIOMMU, which is what invalidates */
static const struct core_domain_ops nested_ops = {
	.free = domain_free,
	.attach = domain_attach,
};

static struct fake_domain *domain_new(struct fake_unit *unit,
				      const struct core_domain_ops *ops,
				      uint32_t flags)
{
	struct fake_domain *domain = alloc_zero(sizeof(*domain));

	if (!domain)
		return NULL;
	domain->core.ops = ops;
	domain->core.iommu = &unit->core;
	domain->core.geometry = unit->geometry;
	domain->unit = unit;
	domain->flags = flags;
	unit->domains++;
	return domain;
}

static struct fake_unit *unit_of(struct core_device *dev)
{
	return container_of(dev->iommu, struct fake_unit, core);
}

static int iommu_domain_alloc(struct core_device *dev, uint32_t flags,
			      struct core_domain **out)
{
	struct fake_domain *domain =
		domain_new(unit_of(dev), &paging_ops, flags);

	if (!domain)
		return -ENOMEM;
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
		domain->core.dirty_ops = &dirty_ops;
	*out = &domain->core;
	return 0;
}

int fake_domain_alloc_data(struct core_device *dev, uint32_t flags,
			   const struct core_user_data *data,
			   struct core_domain **out)
{
	struct fake_domain *domain;
	uint64_t words[2];
	int rc = core_copy_user_data(data, FAKE_DATA_TYPE, sizeof(words), words,
				     sizeof(words));

	if (!rc)
		rc = iommu_domain_alloc(dev, flags, out);
	if (rc)
		return rc;
	domain = container_of(*out, struct fake_domain, core);
	memcpy(domain->data, words, sizeof(words));
	return 0;
}

static int nested_new(struct fake_unit *unit, const struct core_domain_ops *ops,
		      uint32_t flags, const struct core_user_data *data,
		      struct fake_domain **out)
{
	uint64_t words[2];
	int rc = core_copy_user_data(data, FAKE_DATA_TYPE, sizeof(words), words,
				     sizeof(words));

	if (rc)
		return rc;
	if (words[0] == 0xbad)
		return -EIO;
	*out = domain_new(unit, ops, flags);
	if (!*out)
		return -ENOMEM;
	memcpy((*out)->data, words, sizeof(words));
	(*out)->core.nested = true;
	return 0;
}

static int iommu_nested_alloc(struct core_device *dev,
			      struct core_domain *parent, uint32_t flags,
			      const struct core_user_data *data,
			      struct core_domain **out)
{
	struct fake_domain *domain;
	int rc = nested_new(unit_of(dev), &direct_ops, flags, data, &domain);

	if (rc)
		return rc;
	domain->parent = container_of(parent, struct fake_domain, core);
	*out = &domain->core;
	return 0;
}

static void viommu_free(struct core_viommu *core)
{
	struct fake_viommu *viommu =
		container_of(core, struct fake_viommu, core);

	assert_int_equal(viommu->vdevices, 0);
	viommu->unit->viommus--;
	free(viommu);
}

static int viommu_nested_alloc(struct core_viommu *core, uint32_t flags,
			       const struct core_user_data *data,
			       struct core_domain **out)
{
	struct fake_viommu *viommu =
		container_of(core, struct fake_viommu, core);
	struct fake_domain *domain;
	int rc;

	if (flags)
		return -EOPNOTSUPP;
	rc = nested_new(viommu->unit, &nested_ops, flags, data, &domain);
	if (rc)
		return rc;
	domain->parent = container_of(core->parent, struct fake_domain, core);
	*out = &domain->core;
	return 0;
}

static int viommu_invalidate(struct core_viommu *core, struct core_inval *inv)
{
	return take_entries(container_of(core, struct fake_viommu, core)->unit,
			    inv);
}

static bool viommu_inval_type(struct core_viommu *core, uint32_t type)
{
	(void)core;
	return type == FAKE_INVAL_TYPE;
}

static int viommu_vdevice_add(struct core_viommu *core,
			      struct core_vdevice *vdevice)
{
	struct fake_viommu *viommu =
		container_of(core, struct fake_viommu, core);

	if (viommu->unit->vdevice_rc)
		return viommu->unit->vdevice_rc;
	assert_ptr_equal(vdevice->viommu, core);
	vdevice->drv = viommu;
	viommu->vdevices++;
	viommu->unit->vdevices++;
	return 0;
}

static void viommu_vdevice_remove(struct core_viommu *core,
				  struct core_vdevice *vdevice)
{
	struct fake_viommu *viommu =
		container_of(core, struct fake_viommu, core);

	assert_ptr_equal(vdevice->drv, viommu);
	viommu->vdevices--;
	viommu->unit->vdevices--;
}

/* Answers in the user data, if there is room */
static int viommu_init(struct core_viommu *core,
		       const struct core_user_data *data)
{
	struct fake_viommu *viommu =
		container_of(core, struct fake_viommu, core);
	uint32_t answer = 0xabcd;

	assert_non_null(core->core);
	assert_non_null(core->parent);
	if (viommu->unit->init_rc)
		return viommu->unit->init_rc;
	return viommu->unit->init_answers
		       ? core_copy_back(data, &answer, sizeof(answer))
		       : 0;
}

static bool viommu_hw_queue_type(struct core_viommu *core, uint32_t type)
{
	(void)core;
	return type == FAKE_QUEUE_TYPE;
}

static int viommu_hw_queue_init(struct core_viommu *core,
				struct core_hw_queue *queue)
{
	struct fake_unit *unit =
		container_of(core, struct fake_viommu, core)->unit;

	assert_ptr_equal(queue->viommu, core);
	if (unit->queue_rc)
		return unit->queue_rc;
	/* queue 1 needs queue 0, which was the last */
	if (queue->index == 1 && unit->last_queue) {
		assert_int_equal(core_hw_queue_depend(queue, queue), -EINVAL);
		assert_int_equal(core_hw_queue_depend(queue, unit->last_queue),
				 0);
		queue->drv = unit->last_queue;
	}
	unit->last_queue = queue;
	unit->queues++;
	return 0;
}

static void viommu_hw_queue_destroy(struct core_viommu *core,
				    struct core_hw_queue *queue)
{
	if (queue->drv)
		core_hw_queue_undepend(queue, queue->drv);
	container_of(core, struct fake_viommu, core)->unit->queues--;
}

static const struct core_viommu_ops viommu_ops = {
	.free = viommu_free,
	.nested_alloc = viommu_nested_alloc,
	.invalidate = viommu_invalidate,
	.inval_type = viommu_inval_type,
	.vdevice_add = viommu_vdevice_add,
	.vdevice_remove = viommu_vdevice_remove,
	.init = viommu_init,
	.hw_queue_type = viommu_hw_queue_type,
	.hw_queue_init = viommu_hw_queue_init,
	.hw_queue_destroy = viommu_hw_queue_destroy,
};

static int iommu_viommu_alloc(struct core_device *dev,
			      struct core_domain *parent, uint32_t type,
			      const struct core_user_data *data,
			      struct core_viommu **out)
{
	struct fake_unit *unit = unit_of(dev);
	struct fake_viommu *viommu;

	(void)data;
	(void)parent;
	if (type != FAKE_VIOMMU_TYPE)
		return -EOPNOTSUPP;
	viommu = alloc_zero(sizeof(*viommu));
	if (!viommu)
		return -ENOMEM;
	viommu->core.ops = &viommu_ops;
	viommu->unit = unit;
	unit->viommus++;
	unit->last_viommu = &viommu->core;
	*out = &viommu->core;
	return 0;
}

/* 20 bytes; type 2 */
static const unsigned char hw_info_data[20] = { 1, 2, 3, 4, [19] = 20 };

static int iommu_hw_info(struct core_device *dev, uint32_t type,
			 uint32_t *out_type, const void **data, uint32_t *len)
{
	(void)dev;
	if (type && type != 2)
		return -EOPNOTSUPP;
	*out_type = 2;
	*data = hw_info_data;
	*len = sizeof(hw_info_data);
	return 0;
}

static uint64_t iommu_capabilities(struct core_device *dev, uint8_t *pasid_lg2)
{
	*pasid_lg2 = unit_of(dev)->pasid_lg2;
	return unit_of(dev)->caps;
}

static int iommu_device_add(struct core_device *dev)
{
	if (alloc_fault_point())
		return -ENOMEM;
	unit_of(dev)->devices++;
	return 0;
}

static void iommu_device_remove(struct core_device *dev)
{
	assert_null(dev->drv);
	unit_of(dev)->devices--;
}

static size_t iommu_reserved(struct core_device *dev, struct core_resv *resv,
			     size_t max)
{
	struct fake_unit *unit = unit_of(dev);

	for (size_t i = 0; i < unit->resv_count && i < max; i++)
		resv[i] = unit->resv[i];
	return unit->resv_count;
}

static void iommu_block(struct core_device *dev, uint32_t pasid)
{
	unit_of(dev)->blocks++;
	if (pasid == CORE_NO_PASID)
		unlink_dev(dev);
}

static void iommu_page_response(struct core_device *dev,
				const struct core_page_request *last,
				uint32_t code)
{
	struct fake_unit *unit = unit_of(dev);

	/* Threads may be here at once; only their number is then told */
	pthread_mutex_lock(&unit->response_lock);
	unit->responses++;
	unit->response = *last;
	unit->response_code = code;
	unit->response_dev = dev;
	pthread_mutex_unlock(&unit->response_lock);
}

void fake_unit_init(struct fake_unit *unit)
{
	unit->ops = (struct core_iommu_ops){
		.name = "fake",
		.hw_info = iommu_hw_info,
		.capabilities = iommu_capabilities,
		.device_add = iommu_device_add,
		.device_remove = iommu_device_remove,
		.reserved = iommu_reserved,
		.domain_alloc = iommu_domain_alloc,
		.nested_alloc = iommu_nested_alloc,
		.viommu_alloc = iommu_viommu_alloc,
		.block = iommu_block,
		.nested_ops = &direct_ops,
		.viommu_ops = &viommu_ops,
		.page_response = iommu_page_response,
	};
	unit->core.ops = &unit->ops;
	pthread_mutex_init(&unit->response_lock, NULL);
	unit->geometry = (struct core_geometry){
		.last = (1ULL << 44) - 1,
		.page_sizes = 0x40201000,
	};
}

void fake_device_init(struct core_device *dev, struct fake_unit *unit,
		      uint32_t stream_id)
{
	*dev = (struct core_device){
		.iommu = &unit->core,
		.stream_id = stream_id,
		.pasid_bits = 4,
	};
}

struct fake_domain *fake_domain_of(struct core_device *dev)
{
	return dev->drv;
}

int fake_read(struct world *w, struct core_device *dev, uint64_t iova,
	      void *dst, size_t len)
{
	struct fake_domain *domain = fake_domain_of(dev);
	struct itree_node *node;
	struct fake_map *map;
	int rc;

	if (domain && domain->parent)
		domain = domain->parent;
	node = domain ? itree_first(&domain->maps, iova, iova) : NULL;
	if (!node)
		return -EFAULT;
	map = container_of(node, struct fake_map, node);
	reader_enter();
	rc = phys_read(w->phys, map->pa + (iova - node->first), dst, len);
	reader_exit();
	return rc;
}

uint64_t fake_pa(const struct core_domain *core, uint64_t iova)
{
	const struct fake_domain *domain =
		container_of(core, struct fake_domain, core);
	struct itree_node *node = itree_first(&domain->maps, iova, iova);

	return node ? container_of(node, struct fake_map, node)->pa +
			       (iova - node->first)
		    : 0;
}

uint64_t fake_mapped(const struct core_domain *core)
{
	const struct fake_domain *domain =
		container_of(core, struct fake_domain, core);
	struct itree_node *node = itree_from(&domain->maps, 0);
	uint64_t bytes = 0;

	for (; node; node = itree_succ(node))
		bytes += node->last - node->first + 1;
	return bytes;
}

void world_begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	assert_rc(guard_init(), 0);
	assert_rc(phys_create(48, &w->phys), 0);
	assert_rc(grace_create(&w->grace), 0);
	client_maps_open(&w->maps);
	w->env = (struct core_env){ .phys = w->phys,
				    .grace = w->grace,
				    .maps = &w->maps };
	fake_unit_init(&w->unit);
	for (uint32_t i = 0; i < ARRAY_SIZE(w->dev); i++)
		fake_device_init(&w->dev[i], &w->unit, i);
	assert_rc(core_open(&w->env, &w->ctx), 0);
}

void world_begin_nested(struct world *w)
{
	world_begin(w);
	w->dev_id[0] = do_bind(w, &w->dev[0]);
	w->dev_id[1] = do_bind(w, &w->dev[1]);
	w->ioas = do_ioas(w);
	w->parent =
		do_hwpt(w, w->dev_id[0], w->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	w->viommu = do_viommu(w, w->dev_id[0], w->parent);
}

void world_end(struct world *w)
{
	core_close(w->ctx);
	assert_int_equal(w->unit.domains, 0);
	assert_int_equal(w->unit.viommus, 0);
	assert_int_equal(w->unit.vdevices, 0);
	assert_int_equal(w->unit.queues, 0);
	assert_int_equal(w->unit.devices, 0);
	for (size_t i = 0; i < ARRAY_SIZE(w->dev); i++)
		assert_null(w->dev[i].core);
	assert_int_equal(phys_count(w->phys), 0);
	grace_destroy(w->grace);
	phys_destroy(w->phys);
	client_maps_close(&w->maps);
}

struct world *world_of(void **state)
{
	assert_rc(guard_init(), 0);
	return *state;
}

int setup_world(void **state)
{
	*state = calloc(1, sizeof(struct world));
	world_begin(*state);
	return 0;
}

int setup_nested(void **state)
{
	*state = calloc(1, sizeof(struct world));
	world_begin_nested(*state);
	return 0;
}

int teardown_world(void **state)
{
	world_end(*state);
	free(*state);
	return 0;
}

uint32_t do_ioas(struct world *w)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };

	assert_rc(ioctl_on(w, IOMMU_IOAS_ALLOC, &arg), 0);
	return arg.out_ioas_id;
}

uint32_t do_hwpt(struct world *w, uint32_t dev_id, uint32_t pt_id,
		 uint32_t flags)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = dev_id,
		.pt_id = pt_id,
	};

	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), 0);
	return arg.out_hwpt_id;
}

uint32_t do_nested(struct world *w, uint32_t dev_id, uint32_t pt_id)
{
	uint64_t data[2] = { 1, 2 };
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.dev_id = dev_id,
		.pt_id = pt_id,
		.data_type = FAKE_DATA_TYPE,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
	};

	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), 0);
	return arg.out_hwpt_id;
}

uint32_t do_viommu(struct world *w, uint32_t dev_id, uint32_t hwpt)
{
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = FAKE_VIOMMU_TYPE,
		.dev_id = dev_id,
		.hwpt_id = hwpt,
	};

	assert_rc(ioctl_on(w, IOMMU_VIOMMU_ALLOC, &arg), 0);
	return arg.out_viommu_id;
}

uint32_t do_bind(struct world *w, struct core_device *dev)
{
	uint32_t id;

	assert_rc(core_bind(w->ctx, dev, &id), 0);
	return id;
}

int try_map(struct world *w, uint32_t ioas, const void *va, uint64_t length,
	    uint64_t iova)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = RW_FIXED,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = iova,
	};

	return ioctl_on(w, IOMMU_IOAS_MAP, &arg);
}

int try_unmap(struct world *w, uint32_t ioas, uint64_t iova, uint64_t length,
	      uint64_t *unmapped)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.iova = iova,
		.length = length,
	};
	int rc = ioctl_on(w, IOMMU_IOAS_UNMAP, &arg);

	if (unmapped)
		*unmapped = arg.length;
	return rc;
}

int try_destroy(struct world *w, uint32_t id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	return ioctl_on(w, IOMMU_DESTROY, &arg);
}

int try_vdevice(struct world *w, uint32_t viommu, uint32_t dev_id,
		uint64_t virt_id, uint32_t *id)
{
	struct iommu_vdevice_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.dev_id = dev_id,
		.virt_id = virt_id,
	};
	int rc = ioctl_on(w, IOMMU_VDEVICE_ALLOC, &arg);

	if (id)
		*id = arg.out_vdevice_id;
	return rc;
}

int try_veventq(struct world *w, uint32_t viommu, uint32_t type, uint32_t depth,
		uint32_t *id, int *fd)
{
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.type = type,
		.veventq_depth = depth,
	};
	int rc = ioctl_on(w, IOMMU_VEVENTQ_ALLOC, &arg);

	if (id)
		*id = arg.out_veventq_id;
	if (fd)
		*fd = (int)arg.out_veventq_fd;
	return rc;
}

int try_invalidate(struct world *w, uint32_t id, const void *entries,
		   uint32_t len, uint32_t *num)
{
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = id,
		.data_uptr = (uintptr_t)entries,
		.data_type = FAKE_INVAL_TYPE,
		.entry_len = len,
		.entry_num = *num,
	};
	int rc = ioctl_on(w, IOMMU_HWPT_INVALIDATE, &arg);

	*num = arg.entry_num;
	return rc;
}

void *pages_alloc(size_t pages)
{
	return aligned_alloc(4096, pages * 4096);
}
