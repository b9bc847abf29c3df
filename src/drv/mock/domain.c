// SPDX-License-Identifier: MIT
/* Domains: paging ones with a table, nested ones with cells. */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "drv/memory.h"
#include "drv/mock/unit.h"

#define PAGING_FLAGS                                                      \
	(IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_NEST_PARENT | \
	 IOMMU_HWPT_ALLOC_PASID)
#define PLAIN_LEVELS 3 /* the aperture ends below 2^38 */
#define HUGE_LEVELS  MOCK_LEVELS_MAX
#define PLAIN_SIZES  (BIT_ULL(11) | BIT_ULL(20) | BIT_ULL(29))
#define HUGE_SIZES   (BIT_ULL(12) | BIT_ULL(20))

/* ---- attaching ---- */

static int hw_attach(struct core_device *dev, uint32_t pasid, uint32_t context)
{
	return unit_command(to_unit(dev->iommu), MOCK_CMD_ATTACH,
			    unit_stream(dev, pasid), context, NULL);
}

/*
 * PASID 1024 is there for tests of the way back: the attachment that follows a
 * successful one fails.
 */
static bool must_fail(struct mock_dev *mdev, uint32_t pasid)
{
	bool fail = pasid == MOCK_PASID_FAILING && mdev->fail_next_1024;

	if (pasid == MOCK_PASID_FAILING)
		mdev->fail_next_1024 = !fail;
	return fail;
}

static void set_viommu(struct core_device *dev, struct mock_viommu *viommu,
		       uint64_t virt_id)
{
	struct mock_unit *unit = to_unit(dev->iommu);
	struct mock_dev *mdev = dev->drv;

	pthread_mutex_lock(&unit->lock);
	mdev->viommu = viommu;
	mdev->virt_id = virt_id;
	pthread_mutex_unlock(&unit->lock);
}

static int domain_attach(struct core_domain *core, struct core_device *dev,
			 uint32_t pasid)
{
	struct mock_domain *d = to_domain(core);
	struct mock_dev *mdev = dev->drv;
	int rc;

	if (dev->iommu != &d->unit->core)
		return -EINVAL;
	if (pasid == CORE_NO_PASID && core->dirty_ops && mdev->no_dirty)
		return -EINVAL;
	if (must_fail(mdev, pasid))
		return -ENOMEM;
	rc = hw_attach(dev, pasid, d->context);
	if (!rc && pasid == CORE_NO_PASID)
		set_viommu(dev, NULL, 0);
	return rc;
}

static int nested_attach(struct core_domain *core, struct core_device *dev,
			 uint32_t pasid)
{
	struct mock_nested *n = to_nested(core);
	uint64_t virt_id = 0;
	int rc = 0;

	if (dev->iommu != &n->unit->core)
		return -EINVAL;
	if (pasid == CORE_NO_PASID && n->viommu)
		rc = mock_viommu_virt_id(n->viommu, dev, &virt_id);
	if (!rc && must_fail(dev->drv, pasid))
		rc = -ENOMEM;
	if (!rc)
		rc = hw_attach(dev, pasid, n->context);
	if (!rc && pasid == CORE_NO_PASID)
		set_viommu(dev, n->viommu, virt_id);
	return rc;
}

void mock_block(struct core_device *dev, uint32_t pasid)
{
	struct mock_dev *mdev = dev->drv;

	hw_attach(dev, pasid, 0);
	unit_sync(to_unit(dev->iommu));
	if (pasid == CORE_NO_PASID)
		set_viommu(dev, NULL, 0);
	else if (pasid == MOCK_PASID_FAILING)
		mdev->fail_next_1024 = false;
}

/* ---- paging domains ---- */

static int domain_map(struct core_domain *core, uint64_t iova, uint64_t pa,
		      uint64_t length, uint32_t prot)
{
	struct mock_domain *d = to_domain(core);
	int rc = mock_table_map(&d->table, iova, pa, length,
				prot & CORE_PROT_READ, prot & CORE_PROT_WRITE);

	if (rc) {
		unit_sync(d->unit);
		mock_table_reap(&d->table);
	}
	return rc;
}

static void domain_unmap(struct core_domain *core, uint64_t iova,
			 uint64_t length)
{
	struct mock_domain *d = to_domain(core);

	mock_table_unmap(&d->table, iova, length);
	unit_sync(d->unit);
	mock_table_reap(&d->table);
}

static void domain_free(struct core_domain *core)
{
	struct mock_domain *d = to_domain(core);

	unit_command(d->unit, MOCK_CMD_CTX_DEL, d->context, 0, NULL);
	unit_sync(d->unit);
	mock_table_fini(&d->table);
	free(d);
}

static int set_dirty_tracking(struct core_domain *core, bool enable)
{
	struct mock_domain *d = to_domain(core);
	int rc = unit_command(d->unit, MOCK_CMD_CTX_DIRTY, d->context, enable,
			      NULL);

	if (!rc)
		__atomic_store_n(&d->tracking, enable, __ATOMIC_RELEASE);
	return rc;
}

static int read_and_clear_dirty(struct core_domain *core, uint64_t iova,
				uint64_t length, bool clear,
				struct core_dirty *dirty)
{
	struct mock_domain *d = to_domain(core);

	if (dirty && !__atomic_load_n(&d->tracking, __ATOMIC_ACQUIRE))
		return -EINVAL;
	mock_table_dirty(&d->table, iova, length, clear, hostmem_record_dirty,
			 dirty);
	return 0;
}

static const struct core_dirty_ops dirty_ops = {
	.set_dirty_tracking = set_dirty_tracking,
	.read_and_clear_dirty = read_and_clear_dirty,
};

static const struct core_domain_ops domain_ops = {
	.free = domain_free,
	.attach = domain_attach,
	.map = domain_map,
	.unmap = domain_unmap,
};

static const struct core_geometry geometries[] = {
	[MOCK_TABLE_PLAIN] = { MOCK_APERTURE_FIRST, MOCK_APERTURE_LAST,
			       PLAIN_SIZES },
	[MOCK_TABLE_HUGE] = { 0, BIT_ULL(56) - 1, HUGE_SIZES },
};

/* NULL is memory that cannot be read, as on Linux. */
static int copy_data(const struct core_user_data *data,
		     struct mock_hwpt_data *arg)
{
	if (!data->uptr && data->len >= sizeof(arg->iotlb) &&
	    data->len <= sizeof(*arg))
		return -EFAULT;
	return core_copy_user_data(data, MOCK_HWPT_DATA, sizeof(arg->iotlb),
				   arg, sizeof(*arg));
}

static int domain_new(struct mock_unit *unit, uint32_t flags, uint32_t table,
		      struct core_domain **out)
{
	struct mock_domain *d;
	uint64_t context;
	int rc;

	if (table >= ARRAY_SIZE(geometries))
		return -EOPNOTSUPP;
	d = alloc_zero(sizeof(*d));
	if (!d)
		return -ENOMEM;
	rc = mock_table_init(&d->table, &unit->port,
			     table == MOCK_TABLE_HUGE ? HUGE_LEVELS
						      : PLAIN_LEVELS,
			     geometries[table].page_sizes);
	if (rc)
		goto free_domain;
	rc = unit_command(unit, MOCK_CMD_CTX_PAGING, mock_table_root(&d->table),
			  0, &context);
	if (rc)
		goto fini_table;
	d->unit = unit;
	d->context = (uint32_t)context;
	d->core.ops = &domain_ops;
	d->core.iommu = &unit->core;
	d->core.geometry = geometries[table];
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
		d->core.dirty_ops = &dirty_ops;
	*out = &d->core;
	return 0;

fini_table:
	mock_table_fini(&d->table);
free_domain:
	free(d);
	return rc;
}

static int check_flags(const struct core_device *dev, uint32_t flags)
{
	const struct mock_dev *mdev = dev->drv;

	if (flags & ~PAGING_FLAGS)
		return -EOPNOTSUPP;
	if ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) && mdev->no_dirty)
		return -EOPNOTSUPP;
	return 0;
}

int mock_domain_alloc(struct core_device *dev, uint32_t flags,
		      struct core_domain **out)
{
	int rc = check_flags(dev, flags);

	return rc ? rc
		  : domain_new(to_unit(dev->iommu), flags, MOCK_TABLE_PLAIN,
			       out);
}

int mock_domain_alloc_data(struct core_device *dev, uint32_t flags,
			   const struct core_user_data *data,
			   struct core_domain **out)
{
	struct mock_hwpt_data arg;
	int rc = check_flags(dev, flags);

	if (rc)
		return rc;
	if (data->type != MOCK_HWPT_DATA)
		return -EOPNOTSUPP;
	rc = copy_data(data, &arg);
	return rc ? rc : domain_new(to_unit(dev->iommu), flags, arg.table, out);
}

/* ---- nested domains ---- */

static void nested_free(struct core_domain *core)
{
	struct mock_nested *n = to_nested(core);

	unit_command(n->unit, MOCK_CMD_CTX_DEL, n->context, 0, NULL);
	free(n);
}

static int convert_one(void *owner, const void *entry,
		       struct mock_list_command *command)
{
	const struct mock_hwpt_inval *e = entry;
	const struct mock_nested *n = owner;

	return unit_inval_command(command, MOCK_OP_CELL_INV, e->flags, e->cell,
				  n->context);
}

static uint32_t convert(void *owner, const void *entries, uint32_t n,
			struct mock_list_command *commands, int *bad)
{
	return unit_convert(owner, entries, sizeof(struct mock_hwpt_inval), n,
			    commands, bad, convert_one);
}

static int nested_invalidate(struct core_domain *core, struct core_inval *inv)
{
	struct mock_nested *n = to_nested(core);
	const struct unit_inval job = {
		.unit = n->unit,
		.size = sizeof(struct mock_hwpt_inval),
		.convert = convert,
		.owner = n,
	};

	if (inv->type != MOCK_INVAL_DATA || inv->stride != job.size)
		return -EINVAL;
	return unit_invalidate(&job, inv);
}

static bool nested_inval_type(struct core_domain *core, uint32_t type)
{
	(void)core;
	return type == MOCK_INVAL_DATA;
}

const struct core_domain_ops mock_nested_ops = {
	.free = nested_free,
	.attach = nested_attach,
	.invalidate = nested_invalidate,
	.inval_type = nested_inval_type,
};

/* Those of a vIOMMU are invalidated in either way, as on Linux. */
int mock_nested_new(struct mock_unit *unit, struct core_domain *parent,
		    uint32_t flags, const struct core_user_data *data,
		    struct mock_viommu *viommu, struct core_domain **out)
{
	struct mock_hwpt_data arg;
	struct mock_nested *n;
	uint64_t context;
	int rc;

	if ((flags & ~(uint32_t)IOMMU_HWPT_ALLOC_PASID) ||
	    data->type != MOCK_HWPT_DATA)
		return -EOPNOTSUPP;
	rc = copy_data(data, &arg);
	if (rc)
		return rc;
	n = alloc_zero(sizeof(*n));
	if (!n)
		return -ENOMEM;
	rc = unit_command(unit, MOCK_CMD_CTX_NESTED, to_domain(parent)->context,
			  arg.iotlb, &context);
	if (rc) {
		free(n);
		return rc;
	}
	n->unit = unit;
	n->viommu = viommu;
	n->context = (uint32_t)context;
	n->core.ops = &mock_nested_ops;
	n->core.iommu = &unit->core;
	n->core.nested = true;
	*out = &n->core;
	return 0;
}

int mock_nested_alloc(struct core_device *dev, struct core_domain *parent,
		      uint32_t flags, const struct core_user_data *data,
		      struct core_domain **out)
{
	return mock_nested_new(to_unit(dev->iommu), parent, flags, data, NULL,
			       out);
}
