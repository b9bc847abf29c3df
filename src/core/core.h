/* SPDX-License-Identifier: MIT */
/*
 * Core: what the kernel's iommufd is, without any architecture. A *context* is
 * an open /dev/iommu: a table of objects with ids and the calls on them. A
 * *device* (driver.h) is bound to one context at a time.
 *
 * Words: a *user* of an object is one reference that forbids IOMMU_DESTROY
 * (EBUSY): another object that needs it, an attachment, an open event queue,
 * or a call in progress. An object has one more, the table's own, while its id
 * can be found. To *publish* is to let its id be found, the last step of every
 * allocation.
 *
 * Locks, taken in this order; each struct in internal.h says what its own lock
 * guards:
 *
 *	ioas.hwpt_lock -> dev.lock -> access.lock -> ioas.lock -> pages.lock
 *		-> viommu.lock -> eventq.lock -> ctx.lock
 *	dev.lock -> fault.response_lock -> fault.lock
 *	dev.lock -> dev.fault_lock -> fault.lock
 *
 * No two locks of one kind are ever held together. The driver's operations are
 * called with ioas.lock (map, unmap) or dev.lock (attach, block, vdevice_add,
 * vdevice_remove) held, at most with hwpt_lock in addition; from within it may
 * call core_viommu_event(), and nothing else that locks. Looking an object up
 * takes no lock: ids are read in a read section (base/reader.h), the reference
 * is taken if it is not zero, and an object's memory is freed after a grace
 * period. Client memory is accessed under ioas.lock (IOVA_RANGES) or no lock.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/access.h"
#include "core/driver.h"
#include "core/private.h"

struct client_maps;
struct core_ctx;
struct grace;
struct logger;
struct phys;

/* A user's pages that count against RLIMIT_MEMLOCK, over its processes */
struct core_account {
	_Atomic uint64_t pages;
};

enum core_capability {
	CORE_CAN_LOCK,	/* CAP_IPC_LOCK: no limit on pinned pages */
	CORE_CAN_LIMIT, /* CAP_SYS_RESOURCE: may set the RLIMIT mode */
};

/*
 * A process that uses contexts: whose memory counts. Counted in pages of 4096
 * bytes. Outlives the contexts that pinned for it.
 */
struct core_process {
	struct core_account *user; /* NULL: not summed up by user */
	_Atomic uint64_t pinned;   /* all that is pinned: Linux's VmPin */
	_Atomic uint64_t locked;   /* what counts by RLIMIT mode 1: VmLck */
	/* NULL: only counted, never refused */
	uint64_t (*limit)(const struct core_process *process);
	bool (*can)(const struct core_process *process,
		    enum core_capability capability);
};

/* What limit() and can() are for this process itself */
uint64_t core_self_limit(const struct core_process *process);
bool core_self_can(const struct core_process *process,
		   enum core_capability capability);

/*
 * What a machine lends its contexts; all must outlive them. NULL is fine from
 * @log on.
 */
/*
 * What the contexts of one machine have in common: memory that is pinned is so
 * whoever has pinned it, and if he forgot to unpin, still when he has gone. To
 * be set to zero but for the lock, and to be ended after the last context. Its
 * lock is outside of all that contexts have.
 */
struct core_common {
	pthread_mutex_t lock;
	struct core_ctx *contexts;
	struct core_pages *leaked;
};
void core_common_end(struct core_common *common);

struct core_env {
	struct phys *phys;
	struct grace *grace;
	const struct client_maps *maps;
	const struct logger *log;
	const struct core_private *private_op;
	struct core_common *common; /* NULL: each context is alone */
	/* The process on whose behalf the calling thread is in core; without
	 * the function nobody is limited, and everybody may do everything. */
	struct core_process *(*process)(void *ctx);
	void *process_ctx;
};

/*
 * Refuses a driver that core could not work with: -EINVAL if an operation that
 * must exist does not, or if nested HWPTs are offered without a way to
 * invalidate what they cache. To be called once per unit.
 */
int core_iommu_check(const struct core_iommu *iommu);

/* guard_init() must have been called. Return: 0, -ENOMEM or guard's errno. */
int core_open(const struct core_env *env, struct core_ctx **out);

/*
 * Detaches and unbinds the devices, destroys every object in whatever order
 * their dependencies need. Waits for calls in progress in other threads; none
 * may begin any more. NULL is fine.
 */
void core_close(struct core_ctx *ctx);

/*
 * One ioctl: 0, a positive answer (only of VFIO's calls), or a negative errno.
 * @arg is the client's, anything at all.
 */
int core_ioctl(struct core_ctx *ctx, unsigned long cmd, void *arg);

/*
 * read(2), write(2) and close(2) on the fd of an event or fault queue, which is
 * a real fd for poll(2) only. Never blocks. -EBADF for any other fd, -EFAULT;
 * reads: -EINVAL if @len is too short for the next record, -ESPIPE if it is no
 * multiple of a fault queue's record. Writes: an event queue takes none
 * (-EINVAL); a fault queue takes responses (-ESPIPE, -EINVAL for no such
 * group).
 */
/* See nestfd_event_count(); valid until the fd is closed */
const uint32_t *core_fd_event_count(struct core_ctx *ctx, int fd);
ssize_t core_fd_read(struct core_ctx *ctx, int fd, void *buf, size_t len);
ssize_t core_fd_write(struct core_ctx *ctx, int fd, const void *buf,
		      size_t len);
int core_fd_close(struct core_ctx *ctx, int fd);

/* Is @fd one of them? */
bool core_fd_is(struct core_ctx *ctx, int fd);

/*
 * mmap(2) on /dev/iommu, shared and not executable: what to map instead.
 * Counts as a user of the vIOMMU until core_mmap_put(), once munmap(2) has
 * undone all of it. Return: 0; -ENXIO if nothing of just that @length is there.
 */
int core_mmap_get(struct core_ctx *ctx, uint64_t offset, uint64_t length,
		  int *fd, uint64_t *fd_offset);
void core_mmap_put(struct core_ctx *ctx, uint64_t offset);

/*
 * VFIO_DEVICE_BIND_IOMMUFD. Return: 0, -EBUSY if bound already (in whatever
 * context), -ENOMEM, -EINVAL if core_iommu_check() does not like the driver.
 */
int core_bind(struct core_ctx *ctx, struct core_device *dev, uint32_t *dev_id);

/*
 * What closing the VFIO fd does: detaches, destroys the vDEVICE (whose id is
 * never used again), forgets the id. Waits for calls that use the device.
 * Return: 0, -ENOENT.
 */
int core_unbind(struct core_ctx *ctx, uint32_t dev_id);

/*
 * Attach, replace and detach, of the device (CORE_NO_PASID; 0 is the same, as
 * on Linux) or of one PASID. *@pt_id: in, an IOAS, a HWPT or a nested HWPT;
 * out, the HWPT used. Attach wants nothing attached (-EBUSY), replace wants
 * something (-EINVAL). core_set_pt() does whichever fits, as VFIO does.
 *
 * Return: 0; -ENOENT for no such device or @pt_id; -EINVAL if @pt_id is of
 * another kind, belongs to other hardware, or PASIDs do not go with it;
 * -EADDRINUSE if the IOAS maps or allows what the device keeps for itself;
 * -EOPNOTSUPP for a PASID the device does not have; -ENOMEM; the driver's.
 */
int core_attach(struct core_ctx *ctx, uint32_t dev_id, uint32_t pasid,
		uint32_t *pt_id);
int core_replace(struct core_ctx *ctx, uint32_t dev_id, uint32_t pasid,
		 uint32_t *pt_id);
int core_set_pt(struct core_ctx *ctx, uint32_t dev_id, uint32_t pasid,
		uint32_t *pt_id);
int core_detach(struct core_ctx *ctx, uint32_t dev_id, uint32_t pasid);

/*
 * What setting up a device's MSI does on Linux: the page of @doorbell (a PA) is
 * mapped in the device's MSI window, in the domain it is attached to now and in
 * each later one. *@iova: where the device must write instead of @doorbell.
 * Return: 0; -ENOENT; -EINVAL if the device itself is not attached; -EOPNOTSUPP
 * without a window; -EOVERFLOW for a 65th page or one beyond the window; the
 * driver's.
 */
int core_msi_map(struct core_ctx *ctx, uint32_t dev_id, uint64_t doorbell,
		 uint64_t *iova);

/* Number of live objects; for tests. */
size_t core_objects(struct core_ctx *ctx);

#endif
