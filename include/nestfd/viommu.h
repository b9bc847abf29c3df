/* SPDX-License-Identifier: MIT */
/*
 * libviommu: the VMM's half of nested translation. A virtual IOMMU whose
 * registers and queues a guest drives; what the guest changes becomes calls on
 * /dev/iommu (a real one, or libnestfd), what goes wrong comes back into the
 * guest's registers.
 *
 * The VMM routes the guest's accesses to the register page here, lends guest
 * memory and an interrupt, and names the devices behind the virtual IOMMU.
 *
 * Functions return 0 or a negative errno; any thread, unless it says otherwise.
 */
#ifndef NESTFD_VIOMMU_H
#define NESTFD_VIOMMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nestfd_viommu;

/**
 * struct nestfd_backend - a /dev/iommu
 * @ioctl: 0 or a negative errno. nestfd_ioctl() with a struct nestfd, or
 *	nestfd_kernel_ioctl() with a struct nestfd_kernel
 * @read: events from an fd that an ioctl returned; NULL: read(2)
 * @close: closes such an fd; NULL: close(2)
 * @exact: a failed IOMMU_HWPT_INVALIDATE's entry_num can be trusted
 *	(libnestfd). Without it (Linux) libviommu resubmits in small pieces to
 *	find the command at fault, and after -ETIMEDOUT completes no CMD_SYNC
 *	before another call has succeeded, so that no invalidation is lost
 * @count: nestfd_event_count(): where a counter of the events of such an fd is,
 *	so that a CMD_SYNC needs not ask whether there are any. NULL: poll(2)
 * @write: answers to an fd that an ioctl returned; NULL: write(2)
 *
 * None of them may call back into libviommu.
 *
 * What nestfd/ext.h adds is asked for once, at creation. A backend that gives
 * error codes (NESTFD_EXT_ERRORS) counts exactly, whatever @exact says; one
 * that knows nothing of it (ENOTTY) is Linux.
 */
struct nestfd_backend {
	void *ctx;
	int (*ioctl)(void *ctx, unsigned long cmd, void *arg);
	ssize_t (*read)(void *ctx, int fd, void *buf, size_t len);
	int (*close)(void *ctx, int fd);
	bool exact;
	const uint32_t *(*count)(void *ctx, int fd);
	ssize_t (*write)(void *ctx, int fd, const void *buf, size_t len);
};

/**
 * struct nestfd_guest - what the VMM lends
 * @read: guest physical memory; -EFAULT where there is none
 * @write: likewise; MSIs of the virtual IOMMU come here too (4 bytes)
 * @irq: a wired interrupt's edge: SMMUv3: 0 event queue, 1 PRI queue,
 *	2 command sync, 3 global error. VT-d has none. May be NULL
 * @map: where @len bytes of guest memory lie in this process, in one piece and
 *	until the function of libviommu that asks returns; NULL if they do not.
 *	Readable, and as aligned as @gpa is, to 8 bytes. The guest may write
 *	them at any time. May be NULL: no ring then
 *
 * Called from whichever thread is in libviommu, and may call every function
 * here but nestfd_viommu_destroy(), for the same virtual IOMMU too. What the
 * call that is being interrupted must end first is done before that returns:
 *
 *  - commands, if this thread is already consuming some, or writing a record
 *    into a queue of the guest's: by the outer call;
 *  - interrupts for events that the handler of such an interrupt pumps: when
 *    the handler has returned;
 *  - VT-d: what GCMD, inside a @read of the guest's tables, has changed for
 *    devices, and commands that were rung for there: when those have been read;
 *  - nestfd_viommu_reset(): last of all.
 *
 * There nestfd_viommu_device_add() and _remove() of that virtual VT-d unit
 * answer -EBUSY, and its invalidation by registers an error (granularity 0).
 *
 * So no command, event or interrupt nests without end, however often callbacks
 * call. @irq is called, and MSIs are written, without any lock and after what
 * they tell of (a CMD_SYNC's CONS, GERROR, an event's PROD) can be read: these
 * may also wait for other threads that are in libviommu, but not for commands
 * to complete, which may be this thread's to do. The others may not wait: a
 * virtual VT-d unit reads tables with its lock held. All of them return.
 */
struct nestfd_guest {
	void *ctx;
	int (*read)(void *ctx, uint64_t gpa, void *buf, size_t len);
	int (*write)(void *ctx, uint64_t gpa, const void *buf, size_t len);
	void (*irq)(void *ctx, unsigned int line);
	void *(*map)(void *ctx, uint64_t gpa, size_t len);
};

/**
 * enum nestfd_queue - how invalidations reach the backend
 * @NESTFD_QUEUE_AUTO: as a ring where that is possible, else as arrays
 * @NESTFD_QUEUE_ARRAY: copied, judged, sent with IOMMU_HWPT_INVALIDATE
 * @NESTFD_QUEUE_RING: the backend takes them out of the guest's own command
 *	queue with NESTFD_HWPT_INVALIDATE_RING and leaves to libviommu what only
 *	a VMM can do. Creation fails where that is impossible: it needs a
 *	backend with NESTFD_EXT_RING, @map of struct nestfd_guest, and IDRs by
 *	which the host judges commands as the guest's would be: ATS, and RIL and
 *	SubstreamIDs if and only if the host has them
 *
 * In a ring the backend alone sees the commands: struct nestfd_viommu_stats
 * counts them together, and CONS moves once per ioctl. libviommu looks at the
 * opcodes first: commands that only a VMM can do, and those of the host's that
 * stand between them in numbers too small to pay for a call, go as an array. A
 * doorbell of which nothing goes as a ring costs what it costs as an array.
 */
enum nestfd_queue {
	NESTFD_QUEUE_AUTO,
	NESTFD_QUEUE_ARRAY,
	NESTFD_QUEUE_RING,
};

/**
 * struct nestfd_viommu_config - a virtual IOMMU
 * @size: sizeof(struct nestfd_viommu_config)
 * @backend: copied; its ctx must outlive the virtual IOMMU
 * @guest: copied
 * @dev_id: a device bound on @backend, behind the host IOMMU to be used
 * @parent_hwpt: HWPT made with IOMMU_HWPT_ALLOC_NEST_PARENT that holds guest
 *	memory; not owned
 * @idr: SMMUv3: IDR0 to IDR5 the guest shall see; features the host lacks are
 *	taken out. All zero: the best the host allows
 * @events: SMMUv3: depth of the event queue, 0 for the default (32768)
 * @queue: how invalidations reach the backend
 * @pri: the guest may have page requests: IDR0.PRI, if the host has it (and
 *	@idr, and ATS). What its devices ask for then comes into its PRI queue
 *	by nestfd_viommu_pump(), and its CMD_PRI_RESP goes back. A stream that
 *	is given another STE meanwhile is answered Invalid Request by the host
 * @cap: VT-d: CAP the guest shall see; features the host lacks are taken out,
 *	but for CM, caching mode, which is as it is here. Without CM a guest
 *	does not tell of entries that become present. 0: the best the host
 *	allows, and CM
 * @ecap: VT-d: ECAP, likewise
 * @parent_ioas: VT-d: the IOAS that @parent_hwpt was made of, out of which
 *	IOASes like the guest's second-stage tables are copied. 0: the guest has
 *	no second stage, nor legacy mode but for pass-through
 */
struct nestfd_viommu_config {
	size_t size;
	struct nestfd_backend backend;
	struct nestfd_guest guest;
	uint32_t dev_id;
	uint32_t parent_hwpt;
	uint32_t idr[6];
	uint32_t events;
	enum nestfd_queue queue;
	bool pri;
	uint64_t cap;
	uint64_t ecap;
	uint32_t parent_ioas;
};

/**
 * nestfd_viommu_smmuv3_create() - a virtual SMMUv3 in its reset state
 *
 * Allocates a vIOMMU, its event queue and the HWPTs of streams that abort, that
 * bypass, and that have no valid STE. Switches on the additions of nestfd/ext.h
 * that it uses, if there are any.
 *
 * Return: 0, -EOPNOTSUPP when the host has no nested SMMUv3 or
 * NESTFD_QUEUE_RING is impossible, -EINVAL, -ENOMEM, or what the backend
 * answered.
 */
int nestfd_viommu_smmuv3_create(const struct nestfd_viommu_config *config,
				struct nestfd_viommu **viommu);

/**
 * nestfd_viommu_vtd_create() - a virtual VT-d unit in its reset state
 *
 * All passes through until the guest enables translation. Allocates an IOAS for
 * what is blocked; HWPTs are made as the guest's tables ask for them, on
 * @parent_hwpt, which devices with PASIDs need to be made with
 * IOMMU_HWPT_ALLOC_PASID. Its interrupts are messages, written to guest memory.
 * Linux has no events for such a guest: it is not told of DMA that aborts.
 *
 * Return: 0, -EOPNOTSUPP when the host has no VT-d, or neither nesting nor
 * @parent_ioas, or @queue is NESTFD_QUEUE_RING; -EINVAL, -ENOMEM, or what the
 * backend answered.
 */
int nestfd_viommu_vtd_create(const struct nestfd_viommu_config *config,
			     struct nestfd_viommu **viommu);

/**
 * nestfd_viommu_destroy() - end it; devices are removed first
 * @viommu: NULL is fine
 */
void nestfd_viommu_destroy(struct nestfd_viommu *viommu);

/**
 * struct nestfd_viommu_device - a device behind the virtual IOMMU
 * @size: sizeof(struct nestfd_viommu_device)
 * @vsid: what the guest knows it by: SMMUv3: StreamID, within IDR1.SIDSIZE;
 *	VT-d: requester id, 16 bits
 * @dev_id: its id on the backend (bound already)
 * @attach: attaches it to a HWPT, replacing what was: on Linux
 *	VFIO_DEVICE_ATTACH_IOMMUFD_PT, see nestfd_vfio_attach(). 0 or a negative
 *	errno; must not call back into libviommu
 * @ctx: first argument of @attach and @attach_pasid
 * @attach_pasid: VT-d: likewise for DMA with that PASID; @pt_id 0 detaches it.
 *	See nestfd_vfio_attach_pasid(). NULL: the device's PASIDs are not
 *	followed, and abort
 */
struct nestfd_viommu_device {
	size_t size;
	uint32_t vsid;
	uint32_t dev_id;
	int (*attach)(void *ctx, uint32_t pt_id);
	void *ctx;
	int (*attach_pasid)(void *ctx, uint32_t pasid, uint32_t pt_id);
};

/**
 * nestfd_viommu_device_add() - put a device behind the virtual IOMMU
 *
 * It is attached at once to what the guest's tables say now.
 *
 * Return: 0, -EEXIST when @vsid is taken, -EINVAL, -ENOMEM, -EBUSY inside a
 * read of guest memory (struct nestfd_guest), or what the backend or @attach
 * answered.
 */
int nestfd_viommu_device_add(struct nestfd_viommu *viommu,
			     const struct nestfd_viommu_device *device);

/**
 * nestfd_viommu_device_remove() - take it out: attached to the parent HWPT
 *
 * Return: 0, -ENOENT, or -EBUSY as above.
 */
int nestfd_viommu_device_remove(struct nestfd_viommu *viommu, uint32_t vsid);

/**
 * nestfd_viommu_reset() - the guest's machine was reset
 *
 * Registers are as after creation, devices bypass, what had failed is
 * forgotten, and events that the host still held for the guest are dropped. No
 * other guest thread may be in libviommu; a thread that pumps may. From inside
 * a callback: when the function of libviommu that called it ends, see struct
 * nestfd_guest.
 */
void nestfd_viommu_reset(struct nestfd_viommu *viommu);

#define NESTFD_VIOMMU_SMMUV3_SIZE 0x20000 /* bytes of register space */
#define NESTFD_VIOMMU_VTD_SIZE	  0x1000

/** nestfd_viommu_read() - the guest reads; @bytes 4 or 8, aligned */
uint64_t nestfd_viommu_read(struct nestfd_viommu *viommu, uint32_t offset,
			    unsigned int bytes);

/**
 * nestfd_viommu_write() - the guest writes
 *
 * A write that starts commands returns when they are done: CONS (IQH) has
 * moved, or the guest's error registers say where it stopped. If another
 * thread, or a call that this one is inside of, is consuming commands, that
 * goes on with these, and this write returns at once.
 *
 * VT-d: where a guest's tables ask for more than a slice (32768 mappings), the
 * rest is left, no wait behind it completes, and the guest's next access to any
 * register goes on with one slice more, or nestfd_viommu_pump() does. A guest
 * that only looks at the status in memory needs the latter.
 */
void nestfd_viommu_write(struct nestfd_viommu *viommu, uint32_t offset,
			 unsigned int bytes, uint64_t value);

/**
 * nestfd_viommu_event_fd() - poll(2) it for POLLIN, then pump; lent. VT-d: -1
 */
int nestfd_viommu_event_fd(struct nestfd_viommu *viommu);

/**
 * nestfd_viommu_fault_fd() - likewise for page requests; -1 without PRI
 */
int nestfd_viommu_fault_fd(struct nestfd_viommu *viommu);

/**
 * nestfd_viommu_pump() - move events, and page requests, from the host into the
 *	guest's queues
 *
 * A CMD_SYNC does so as well before it completes: what a device could have
 * seen abort is in the guest's queue then (IHI 0070 4.7.3). Stops after about
 * @events of the config, however many come meanwhile; the fd is readable then.
 * From inside a callback that is told of a record: 0, the outer call goes on.
 *
 * VT-d, which has neither: goes on with what a doorbell has left, see
 * nestfd_viommu_write(). A VMM may call it behind each write of IQT, from a
 * thread that may be kept busy, until it returns 0.
 *
 * Return: number of events and page requests moved, or a negative errno of the
 * backend; -EPROTO when what it gave is no event. VT-d: 1 if something had been
 * left, 0 if not.
 */
int nestfd_viommu_pump(struct nestfd_viommu *viommu);

/** Why a run of invalidations ended and an ioctl was made */
enum nestfd_split {
	NESTFD_SPLIT_END,   /* the doorbell's last command */
	NESTFD_SPLIT_STE,   /* a stream table entry changed */
	NESTFD_SPLIT_SYNC,  /* a CMD_SYNC behind an ATC_INV or a CFGI; over a
			     * Linux, in front of an ATC_INV */
	NESTFD_SPLIT_ERROR, /* a command was refused */
	NESTFD_SPLIT_LIMIT, /* 2^19 entries, or no memory for more */
	NESTFD_SPLIT_PRI,   /* a CMD_PRI_RESP */
	NESTFD_SPLIT_COUNT,
};

/**
 * struct nestfd_viommu_stats - counters since creation
 * @size: in, sizeof(struct nestfd_viommu_stats); out, bytes filled in
 * @commands: that the guest's queue has completed
 * @doorbells: writes of CMDQ_PROD that brought commands
 * @syncs: CMD_SYNCs completed, but for those that a ring took; VT-d: waits
 * @invalidate_ioctls: calls of IOMMU_HWPT_INVALIDATE
 * @invalidations: commands they carried
 * @splits: why each of them ended where it did
 * @other_ioctls: everything else (tables, attach)
 * @events: moved to the guest
 * @events_lost: reported lost by the host (at least so often), or no room in
 *	the guest's queue. The guest is told of the latter only: OVFLG says
 *	that its own queue was full (Arm IHI 0070, 7.4), and nothing else
 * @ring_ioctls: calls of NESTFD_HWPT_INVALIDATE_RING
 * @ring_commands: commands they took, CMD_SYNCs among them
 * @ring_stops: how many of them stopped at a command for the VMM that had not
 *	looked like one
 */
struct nestfd_viommu_stats {
	size_t size;
	uint64_t commands;
	uint64_t doorbells;
	uint64_t syncs;
	uint64_t invalidate_ioctls;
	uint64_t invalidations;
	uint64_t splits[NESTFD_SPLIT_COUNT];
	uint64_t other_ioctls;
	uint64_t events;
	uint64_t events_lost;
	uint64_t ring_ioctls;
	uint64_t ring_commands;
	uint64_t ring_stops;
};

void nestfd_viommu_stats(struct nestfd_viommu *viommu,
			 struct nestfd_viommu_stats *stats);

/**
 * struct nestfd_kernel - a real /dev/iommu
 */
struct nestfd_kernel {
	int fd;
};

/**
 * nestfd_kernel_open() - open a real /dev/iommu
 * @path: NULL for "/dev/iommu"
 *
 * Return: 0 or the negative errno of open(2).
 */
int nestfd_kernel_open(const char *path, struct nestfd_kernel *kernel);
void nestfd_kernel_close(struct nestfd_kernel *kernel);
int nestfd_kernel_ioctl(void *kernel, unsigned long cmd, void *arg);

/**
 * nestfd_vfio_attach() - VFIO_DEVICE_ATTACH_IOMMUFD_PT, for a real device
 * @vfio_fd: pointer to the int that holds the VFIO device's fd
 */
int nestfd_vfio_attach(void *vfio_fd, uint32_t pt_id);

/**
 * nestfd_vfio_attach_pasid() - the same with VFIO_DEVICE_ATTACH_PASID (Linux
 * 6.15), or VFIO_DEVICE_DETACH_IOMMUFD_PT if @pt_id is 0
 */
int nestfd_vfio_attach_pasid(void *vfio_fd, uint32_t pasid, uint32_t pt_id);

/**
 * nestfd_probe() - what a /dev/iommu offers, additions included, in words
 * @dev_id: a bound device, or 0: only what needs none is asked
 * @text: filled with at most @length bytes, always terminated
 *
 * Return: 0, or the negative errno that ended the probe (the text says where).
 */
int nestfd_probe(const struct nestfd_backend *backend, uint32_t dev_id,
		 char *text, size_t length);

#ifdef __cplusplus
}
#endif
#endif
