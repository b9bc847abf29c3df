// SPDX-License-Identifier: MIT
/*
 * IOMMU_TEST_CMD: what it asks for is done by core, the driver and the
 * hardware in the ordinary way, and what it asks about is read from them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "core/core.h"
#include "core/foreign.h"
#include "drv/mock/unit.h"

#define PAGE	   4096u
#define DMABUF_MAX (512 * PAGE)
#define DIRTY_MAX  (16u << 20) /* bytes of bitmap */
/* Linux's temporary memory must hold one element of its batches. */
#define MEMORY_LIMIT_MIN 12u

/* A device that the test command has made; destroyed by its object's id */
struct test_dev {
	struct mock_dev mock;
	struct core_device core;
	struct mock_unit *unit;
	struct core_ctx *ctx;
	uint32_t dev_id;
	uint32_t sid_id; /* of unit->sids */
};

/* ---- devices ---- */

static int test_dev_new(struct mock_unit *unit, struct core_ctx *ctx,
			uint32_t flags, struct test_dev **out)
{
	struct test_dev *dev;
	int rc;

	if (flags & ~(MOCK_DEV_NO_DIRTY | MOCK_DEV_PASID))
		return -EINVAL;
	dev = alloc_zero(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	pthread_mutex_lock(&unit->lock);
	rc = ids_reserve(&unit->sids, &dev->sid_id);
	pthread_mutex_unlock(&unit->lock);
	if (rc) {
		free(dev);
		return -ENOMEM;
	}
	dev->unit = unit;
	dev->ctx = ctx;
	dev->mock.test = true;
	dev->mock.no_dirty = flags & MOCK_DEV_NO_DIRTY;
	dev->core.iommu = &unit->core;
	/* From the top: a machine's own devices begin at the bottom. */
	dev->core.stream_id = UINT32_MAX - dev->sid_id;
	dev->core.pasid_bits = flags & MOCK_DEV_PASID ? MOCK_PASID_BITS : 0;
	dev->core.pri = true;
	dev->core.drv = &dev->mock;
	*out = dev;
	return 0;
}

static void test_dev_free(struct test_dev *dev)
{
	struct mock_unit *unit = dev->unit;

	pthread_mutex_lock(&unit->lock);
	ids_remove(&unit->sids, dev->sid_id);
	pthread_mutex_unlock(&unit->lock);
	free(dev);
}

static void test_dev_destroy(void *data)
{
	struct test_dev *dev = data;

	core_unbind(dev->ctx, dev->dev_id);
	test_dev_free(dev);
}

static int attach_and_reply(struct test_dev *dev, struct core_call *call,
			    struct core_private_object *object)
{
	struct mock_test *arg = call->arg;
	uint32_t pt = arg->id;
	int rc = core_bind(call->ctx, &dev->core, &dev->dev_id);

	if (rc)
		return rc;
	rc = core_attach(call->ctx, dev->dev_id, CORE_NO_PASID, &pt);
	if (rc)
		goto unbind;
	arg->domain.out_hwpt = pt;
	arg->domain.out_object = core_private_id(object);
	arg->domain.out_device = dev->dev_id;
	rc = core_reply(call, sizeof(*arg));
	if (rc)
		goto unbind; /* detaches, too */
	return 0;

unbind:
	core_unbind(call->ctx, dev->dev_id);
	return rc;
}

static int op_domain(struct mock_unit *unit, struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	uint32_t flags =
		arg->op == MOCK_OP_DOMAIN_FLAGS ? arg->domain.dev_flags : 0;
	struct core_private_object *object;
	struct test_dev *dev;
	int rc;

	rc = test_dev_new(unit, call->ctx, flags, &dev);
	if (rc)
		return rc;
	rc = core_private_new(call->ctx, test_dev_destroy, dev, &object);
	if (rc)
		goto free_dev;
	rc = attach_and_reply(dev, call, object);
	if (rc)
		goto abort;
	core_private_publish(object);
	return 0;

abort:
	core_private_abort(object);
free_dev:
	test_dev_free(dev);
	return rc;
}

static int op_replace(struct core_call *call)
{
	struct mock_test *arg = call->arg;
	struct core_private_object *object;
	struct test_dev *dev;
	void *data;
	int rc = core_private_get(call->ctx, arg->id, &object, &data);

	if (rc)
		return rc;
	dev = data;
	rc = core_replace(call->ctx, dev->dev_id, CORE_NO_PASID,
			  &arg->replace.pt);
	if (!rc)
		rc = core_reply(call, sizeof(*arg));
	core_private_put(object);
	return rc;
}

static uint32_t pasid_of(const struct mock_test *arg)
{
	return arg->pasid.pasid ? arg->pasid.pasid : CORE_NO_PASID;
}

static int pasid_attach(struct core_call *call, const struct test_dev *dev)
{
	struct mock_test *arg = call->arg;
	int rc = core_attach(call->ctx, dev->dev_id, pasid_of(arg),
			     &arg->pasid.pt);

	if (rc)
		return rc;
	rc = core_reply(call, sizeof(*arg));
	if (rc)
		core_detach(call->ctx, dev->dev_id, pasid_of(arg));
	return rc;
}

static int pasid_replace(struct core_call *call, const struct test_dev *dev)
{
	struct mock_test *arg = call->arg;
	int rc = core_replace(call->ctx, dev->dev_id, pasid_of(arg),
			      &arg->pasid.pt);

	return rc ? rc : core_reply(call, sizeof(*arg));
}

static uint32_t context_of(struct core_domain *domain)
{
	return domain->nested ? to_nested(domain)->context
			      : to_domain(domain)->context;
}

/* Is the stream under that HWPT, according to the hardware? */
static int pasid_check(struct core_call *call, const struct test_dev *dev)
{
	const struct mock_test *arg = call->arg;
	struct core_domain *domain;
	struct core_hold hold;
	uint64_t context;
	int rc;

	rc = unit_command(dev->unit, MOCK_CMD_ATTACHED,
			  unit_stream(&dev->core, pasid_of(arg)), 0, &context);
	if (rc)
		return rc;
	if (!arg->pasid.pt)
		return context ? -EINVAL : 0;
	rc = core_find_domain(call->ctx, arg->pasid.pt, CORE_EITHER, &domain,
			      &hold);
	if (rc)
		return rc;
	if (domain->iommu != &dev->unit->core || context != context_of(domain))
		rc = -EINVAL;
	core_unhold(&hold);
	return rc;
}

static int op_pasid(struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	struct core_private_object *object;
	const struct test_dev *dev;
	void *data;
	int rc = core_private_get(call->ctx, arg->id, &object, &data);

	if (rc)
		return rc;
	dev = data;
	switch (arg->op) {
	case MOCK_OP_PASID_ATTACH:
		rc = pasid_attach(call, dev);
		break;
	case MOCK_OP_PASID_REPLACE:
		rc = pasid_replace(call, dev);
		break;
	case MOCK_OP_PASID_DETACH:
		core_detach(call->ctx, dev->dev_id, pasid_of(arg));
		break;
	default:
		rc = pasid_check(call, dev);
	}
	core_private_put(object);
	return rc;
}

/* ---- questions ---- */

/* A HWPT of this unit; held */
static int find_domain(struct mock_unit *unit, struct core_call *call,
		       enum core_domain_kind kind, struct core_domain **domain,
		       struct core_hold *hold)
{
	const struct mock_test *arg = call->arg;
	int rc = core_find_domain(call->ctx, arg->id, kind, domain, hold);

	if (!rc && (*domain)->iommu != &unit->core) {
		core_unhold(hold);
		rc = -EINVAL;
	}
	return rc;
}

static int find_device(struct mock_unit *unit, struct core_call *call,
		       uint32_t id, struct core_device **dev,
		       struct core_hold *hold)
{
	int rc = core_find_device(call->ctx, id, dev, hold);

	if (!rc && (*dev)->iommu != &unit->core) {
		core_unhold(hold);
		rc = -EINVAL;
	}
	return rc;
}

/* How far from @iova on the hardware's translation is contiguous */
static uint64_t translate_run(struct mock_domain *d, uint64_t iova,
			      uint64_t length, uint64_t step, uint64_t *pa)
{
	uint64_t n = 0;
	uint64_t next;

	while (n < length && !unit_command(d->unit, MOCK_CMD_TRANSLATE,
					   d->context, iova + n, &next)) {
		if (!n)
			*pa = next;
		else if (next != *pa + n)
			break;
		n += step;
	}
	return n;
}

static int check_map(struct mock_domain *d, struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	uint64_t step =
		d->core.geometry.page_sizes & -d->core.geometry.page_sizes;
	uint64_t iova = arg->check_map.iova;
	uint64_t length = arg->check_map.length;
	uint64_t uptr = arg->check_map.uptr;
	uint64_t end;

	if (((iova | length | uptr) & (step - 1)) ||
	    !add_u64(uptr, length, &end))
		return -EINVAL;
	while (length) {
		uint64_t pa = 0;
		uint64_t n = translate_run(d, iova, length, step, &pa);
		char byte;
		int rc;

		if (!n)
			return core_copy_in(&byte, uptr, 1) ? -EFAULT : -EINVAL;
		rc = core_check_pa(call->ctx, pa, uptr, n);
		if (rc)
			return rc;
		iova += n;
		uptr += n;
		length -= n;
	}
	return 0;
}

static int op_check_map(struct mock_unit *unit, struct core_call *call)
{
	struct core_domain *domain;
	struct core_hold hold;
	int rc = find_domain(unit, call, CORE_PAGING, &domain, &hold);

	if (rc)
		return rc;
	rc = check_map(to_domain(domain), call);
	core_unhold(&hold);
	return rc;
}

static int op_check_refs(struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	uint64_t uptr = arg->check_refs.uptr;
	uint64_t length = arg->check_refs.length;
	uint64_t end;
	int rc = 0;

	if (((uptr | length) & (PAGE - 1)) || !add_u64(uptr, length, &end))
		return -EINVAL;
	while (length && !rc) {
		uint32_t counts[64];
		uint64_t n = length < 64 * PAGE ? length : 64 * PAGE;

		rc = core_count_pins(call->ctx, uptr, n, counts);
		for (uint64_t i = 0; i < n / PAGE && !rc; i++)
			if (counts[i] != arg->check_refs.refs)
				rc = -EIO;
		uptr += n;
		length -= n;
	}
	return rc;
}

static int check_cell(struct mock_unit *unit, const struct mock_test *arg,
		      uint64_t cmd, uint32_t owner)
{
	uint64_t value;

	if (unit_command(unit, cmd, owner, arg->check_cell.cell, &value) ||
	    value != arg->check_cell.value)
		return -EINVAL;
	return 0;
}

static int op_check_iotlb(struct mock_unit *unit, struct core_call *call)
{
	struct core_domain *domain;
	struct core_hold hold;
	int rc = find_domain(unit, call, CORE_NESTED, &domain, &hold);

	if (rc)
		return rc;
	rc = check_cell(unit, call->arg, MOCK_CMD_CELL_READ,
			to_nested(domain)->context);
	core_unhold(&hold);
	return rc;
}

static int op_check_cache(struct mock_unit *unit, struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	struct core_device *dev;
	struct core_hold hold;
	int rc = find_device(unit, call, arg->id, &dev, &hold);

	if (rc)
		return rc;
	rc = check_cell(unit, arg, MOCK_CMD_CACHE_READ, dev->stream_id);
	core_unhold(&hold);
	return rc;
}

/* ---- what devices would do ---- */

static uint64_t touch_all(struct mock_domain *d, const struct mock_test *arg,
			  const unsigned char *bitmap, uint64_t bits)
{
	uint64_t touched = 0;

	for (uint64_t i = 0; i < bits; i++)
		if (bitmap[i / 8] & 1u << i % 8)
			touched += !unit_command(
				d->unit, MOCK_CMD_TOUCH, d->context,
				arg->dirty.iova + i * arg->dirty.page_size,
				NULL);
	return touched;
}

static int dirty(struct mock_domain *d, struct core_call *call)
{
	struct mock_test *arg = call->arg;
	uint64_t bits = arg->dirty.length / arg->dirty.page_size;
	unsigned char *bitmap;
	int rc;

	if (!__atomic_load_n(&d->tracking, __ATOMIC_ACQUIRE))
		return -EINVAL;
	bitmap = alloc_array((bits + 7) / 8, 1);
	if (!bitmap)
		return -ENOMEM;
	rc = core_copy_in(bitmap, arg->dirty.uptr, (bits + 7) / 8);
	if (!rc) {
		arg->dirty.out_nr_dirty = touch_all(d, arg, bitmap, bits);
		rc = core_reply(call, sizeof(*arg));
	}
	free(bitmap);
	return rc;
}

static int op_dirty(struct mock_unit *unit, struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	uint64_t size = arg->dirty.page_size;
	struct core_domain *domain;
	struct core_hold hold;
	int rc;

	if (!size || !arg->dirty.length || arg->dirty.iova % size ||
	    arg->dirty.length % size || !arg->dirty.uptr)
		return -EINVAL;
	if (arg->dirty.length / size > DIRTY_MAX * 8ULL)
		return -EOVERFLOW;
	rc = find_domain(unit, call, CORE_PAGING, &domain, &hold);
	if (rc)
		return rc;
	rc = dirty(to_domain(domain), call);
	core_unhold(&hold);
	return rc;
}

static int op_iopf(struct mock_unit *unit, struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	struct core_page_request request = {
		.flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE,
		.pasid = arg->iopf.pasid,
		.grpid = arg->iopf.grpid,
		.perm = arg->iopf.perm,
		.addr = arg->iopf.addr,
	};
	struct core_device *dev;
	struct core_hold hold;
	int rc = find_device(unit, call, arg->iopf.dev, &dev, &hold);

	if (rc)
		return rc;
	if (arg->iopf.pasid)
		request.flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
	/* A request that nobody takes is the device's problem. */
	core_page_request(dev, &request);
	core_unhold(&hold);
	return 0;
}

static int op_vevent(struct mock_unit *unit, struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	struct mock_vevent event;
	struct core_device *dev;
	const struct mock_dev *mdev;
	struct core_hold hold;
	int rc = find_device(unit, call, arg->vevent.dev, &dev, &hold);

	if (rc)
		return rc;
	mdev = dev->drv;
	pthread_mutex_lock(&unit->lock);
	event.virt_id = (uint32_t)mdev->virt_id;
	if (mdev->viommu && mdev->virt_id)
		rc = core_viommu_event(&mdev->viommu->core, MOCK_VEVENTQ_TYPE,
				       &event, sizeof(event));
	else
		rc = -ENOENT;
	pthread_mutex_unlock(&unit->lock);
	core_unhold(&hold);
	return rc;
}

static int op_reserve(struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	uint64_t last;

	if (!arg->add_reserved.length)
		return -EINVAL;
	if (!add_u64(arg->add_reserved.start, arg->add_reserved.length - 1,
		     &last))
		return -EOVERFLOW;
	return core_reserve_iovas(call->ctx, arg->id, arg->add_reserved.start,
				  last);
}

/* Linux's limit on temporary memory; core's map and unmap use none. */
static int op_memory_limit(const struct mock_test *arg)
{
	return arg->memory_limit.limit < MEMORY_LIMIT_MIN ? -EINVAL : 0;
}

/* ---- dma-bufs: memory that an exporter can take away ---- */

/* The answer is the fd. */
static int op_dmabuf_get(struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	uint64_t length =
		(arg->dmabuf_get.length + PAGE - 1ULL) & ~(PAGE - 1ULL);
	uint32_t cloexec = arg->dmabuf_get.open_flags & O_CLOEXEC;
	uint32_t number;
	int fd, rc;

	if (!length || length > DMABUF_MAX)
		return -EINVAL;
	if (alloc_fault_point())
		return -ENOMEM;
	fd = memfd_create("nestfd-mock-dmabuf", cloexec ? MFD_CLOEXEC : 0);
	if (fd < 0)
		return -ENOMEM;
	rc = ftruncate(fd, (off_t)length) ? -ENOMEM : 0;
	if (!rc)
		rc = core_dmabuf_add(call->ctx, fd, length);
	if (!rc)
		rc = core_give_fd(fd, &number);
	if (rc || core_foreign()) /* the client has one of its own */
		close(fd);
	return rc ? rc : (int)number;
}

static int op_dmabuf_revoke(struct core_call *call)
{
	const struct core_client *client = core_foreign();
	const struct mock_test *arg = call->arg;
	bool revoked = arg->dmabuf_revoke.revoked;
	int fd, rc;

	if (!client)
		return core_dmabuf_revoke(call->ctx, arg->dmabuf_revoke.fd,
					  revoked);
	fd = client->get_fd(client->ctx, arg->dmabuf_revoke.fd);
	if (fd < 0)
		return fd;
	rc = core_dmabuf_revoke(call->ctx, fd, revoked);
	close(fd);
	return rc;
}

int mock_test_execute(void *ctx, struct core_call *call)
{
	const struct mock_test *arg = call->arg;
	struct mock_unit *unit = ctx;

	switch (arg->op) {
	case MOCK_OP_ADD_RESERVED:
		return op_reserve(call);
	case MOCK_OP_DOMAIN:
	case MOCK_OP_DOMAIN_FLAGS:
		return op_domain(unit, call);
	case MOCK_OP_DOMAIN_REPLACE:
		return op_replace(call);
	case MOCK_OP_CHECK_MAP:
		return op_check_map(unit, call);
	case MOCK_OP_CHECK_REFS:
		return op_check_refs(call);
	case MOCK_OP_CHECK_IOTLB:
		return op_check_iotlb(unit, call);
	case MOCK_OP_CHECK_CACHE:
		return op_check_cache(unit, call);
	case MOCK_OP_ACCESS_CREATE:
		return mock_access_create(unit, call);
	case MOCK_OP_ACCESS_REPLACE:
		return mock_access_replace(unit, call);
	case MOCK_OP_ACCESS_PAGES:
		return mock_access_pages(unit, call);
	case MOCK_OP_ACCESS_RW:
		return mock_access_rw(unit, call);
	case MOCK_OP_ACCESS_UNPIN:
		return mock_access_unpin(unit, call);
	case MOCK_OP_MEMORY_LIMIT:
		return op_memory_limit(arg);
	case MOCK_OP_DIRTY:
		return op_dirty(unit, call);
	case MOCK_OP_IOPF:
		return op_iopf(unit, call);
	case MOCK_OP_VEVENT:
		return op_vevent(unit, call);
	case MOCK_OP_PASID_ATTACH:
	case MOCK_OP_PASID_REPLACE:
	case MOCK_OP_PASID_DETACH:
	case MOCK_OP_PASID_CHECK:
		return op_pasid(call);
	case MOCK_OP_DMABUF_GET:
		return op_dmabuf_get(call);
	case MOCK_OP_DMABUF_REVOKE:
		return op_dmabuf_revoke(call);
	default:
		return -EOPNOTSUPP;
	}
}
