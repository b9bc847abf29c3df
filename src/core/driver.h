/* SPDX-License-Identifier: MIT */
/*
 * What a host IOMMU driver is, seen from core: one struct core_iommu per
 * hardware unit, domains, vIOMMUs and vDEVICEs behind tables of operations.
 * Core serialises nothing for the driver except what is said here.
 *
 * Errors are negative errnos and reach user space as they are.
 */
#ifndef CORE_DRIVER_H
#define CORE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core_device;
struct core_domain;
struct core_hw_queue;
struct core_inval;
struct core_iommu;
struct core_vdevice;
struct core_viommu;

/* User data of an allocation: still in the client's memory, read at most once
 */
struct core_user_data {
	uint32_t type; /* an iommu_*_type of the ABI */
	uint32_t len;
	uint64_t uptr;
};

/*
 * Copies a struct of exactly @size known bytes: -EINVAL if @data has another
 * type than @type, is shorter than @min_len or longer than @size; -EFAULT.
 */
int core_copy_user_data(const struct core_user_data *data, uint32_t type,
			size_t min_len, void *dst, size_t size);

/*
 * The other way: writes @size bytes over the user data, or as much as a client
 * of an older struct has room for. -EFAULT, -EINVAL
 */
int core_copy_back(const struct core_user_data *data, const void *src,
		   size_t size);

/* An IOVA range the hardware or platform keeps for itself. */
struct core_resv {
	uint64_t first;
	uint64_t last;
	bool msi; /* a window in which core maps the platform's MSI doorbell */
};

#define CORE_NO_PASID	UINT32_MAX

#define CORE_PROT_READ	0x1u
#define CORE_PROT_WRITE 0x2u
#define CORE_PROT_MMIO	0x4u /* not memory: an MSI doorbell */

/*
 * A page request of a device (PRI), or a stalled transaction. @flags and @perm
 * are the ABI's (enum iommu_hwpt_pgfault_flags, _perm).
 */
struct core_page_request {
	uint32_t flags;
	uint32_t pasid; /* if flags say so */
	uint32_t grpid;
	uint32_t perm;
	uint64_t addr;
	uint32_t kind; /* the driver's own: groups of one kind have one id */
};

/* Counters since the unit was made; what a driver has not got is 0. */
struct core_iommu_stats {
	/* runs of commands that were waited for: a doorbell each, and one for
	 * each sync inside that a device has to answer */
	uint64_t batches;
	uint64_t timeouts; /* waits that failed: a device's cache is silent */
	uint64_t searches; /* batches that looked for that device */
	uint64_t illegal;  /* commands that hardware refused */
	uint64_t aborts;   /* fetches of commands that aborted */
	uint64_t quarantines; /* how often a device has lost its ATS */
	uint64_t late; /* batches that devices answered so late that it cost */
	uint64_t waited; /* timeouts and late answers that others waited for */
};

struct core_iommu_ops {
	const char *name;

	/*
	 * IOMMU_GET_HW_INFO: the struct that user space reads; @data is
	 * constant while the unit lives. @type: 0 for the driver's default,
	 * else the type asked for (-EOPNOTSUPP if there is none such).
	 */
	int (*hw_info)(struct core_device *dev, uint32_t type,
		       uint32_t *out_type, const void **data, uint32_t *len);
	/* IOMMU_HW_CAP_* of the ABI; PASID width in *max_pasid_log2 */
	uint64_t (*capabilities)(struct core_device *dev,
				 uint8_t *max_pasid_log2);

	/* A device appears behind the unit (blocked) or leaves it. */
	int (*device_add)(struct core_device *dev);
	void (*device_remove)(struct core_device *dev);

	/* Fills at most @max; returns how many there are. */
	size_t (*reserved)(struct core_device *dev, struct core_resv *resv,
			   size_t max);

	/* A paging domain. @flags: enum iommufd_hwpt_alloc_flags */
	int (*domain_alloc)(struct core_device *dev, uint32_t flags,
			    struct core_domain **domain);

	/* Nested directly on a parent domain; NULL: -EOPNOTSUPP */
	int (*nested_alloc)(struct core_device *dev, struct core_domain *parent,
			    uint32_t flags, const struct core_user_data *data,
			    struct core_domain **domain);

	/* NULL: no vIOMMUs. Unknown @type: -EOPNOTSUPP */
	int (*viommu_alloc)(struct core_device *dev, struct core_domain *parent,
			    uint32_t type, const struct core_user_data *data,
			    struct core_viommu **viommu);

	/*
	 * All DMA of @dev (of @pasid) aborts from now on. Never fails. Like
	 * attach, it is called with the device's group lock held.
	 */
	void (*block)(struct core_device *dev, uint32_t pasid);

	void (*destroy)(struct core_iommu *iommu);

	/* True if viommu_alloc() takes this iommu_viommu_type; NULL: core
	 * learns it from viommu_alloc(), after it has looked at the parent. */
	bool (*viommu_type)(struct core_device *dev, uint32_t type);

	/* What nested_alloc() gives its domains: must be set if there is one,
	 * with an invalidate op, else core_iommu_check() refuses the driver. */
	const struct core_domain_ops *nested_ops;
	/* What viommu_alloc() gives its vIOMMUs; checked in the same way. */
	const struct core_viommu_ops *viommu_ops;

	/*
	 * A paging domain made with user data (never NULL); NULL op:
	 * -EOPNOTSUPP if there is any.
	 */
	int (*domain_alloc_data)(struct core_device *dev, uint32_t flags,
				 const struct core_user_data *data,
				 struct core_domain **domain);

	/*
	 * The answer to a group of page requests: enum
	 * iommufd_page_response_code. @last: the group's last request, which
	 * had the group's id. Called with core's locks held: it must not call
	 * core. NULL if the hardware makes no page requests.
	 */
	void (*page_response)(struct core_device *dev,
			      const struct core_page_request *last,
			      uint32_t code);

	/*
	 * Events that the hardware has recorded so far are with core when it
	 * returns (core_viommu_event()). Called with no lock. May be NULL.
	 */
	void (*sync_events)(struct core_iommu *iommu);

	/*
	 * The device has been reset: it answers again and its ATC is empty, so
	 * what was held against it is forgiven. It may be attached or not, or
	 * not even bound (any more); what it is attached to stays, and it does
	 * no DMA during the call. May be NULL.
	 */
	void (*device_reset)(struct core_device *dev);

	/* All zero before. Any thread; never waits. May be NULL. */
	void (*stats)(struct core_iommu *iommu, struct core_iommu_stats *stats);
};

/* Embedded by the driver in its unit. */
struct core_iommu {
	const struct core_iommu_ops *ops;
};

/*
 * One device behind a unit. Owned by whoever built the machine; core and the
 * driver hang their state on it.
 */
struct core_device {
	struct core_iommu *iommu;
	uint32_t stream_id; /* StreamID, requester id ... */
	uint8_t pasid_bits; /* the device's own; 0: none */
	bool ats;	    /* the device can translate by itself */
	bool pri;
	bool stall;  /* its DMA may wait for an answer to its fault */
	void *core;  /* core's: set while bound */
	void *drv;   /* the driver's */
	void *owner; /* the machine's */
};

/* What a paging domain can map. */
struct core_geometry {
	uint64_t first;
	uint64_t last;
	uint64_t page_sizes; /* bit n: leaves of 2^n bytes */
};

struct core_domain_ops {
	/* Nothing is attached and nothing mapped but MSI doorbells. */
	void (*free)(struct core_domain *domain);

	/*
	 * Puts @dev (its @pasid) under @domain, replacing what it was under
	 * without a moment of other translation; on failure nothing changed.
	 * -EINVAL: this device cannot use this domain.
	 */
	int (*attach)(struct core_domain *domain, struct core_device *dev,
		      uint32_t pasid);

	/*
	 * Paging domains. [@iova, @iova + @length) maps to @pa onwards; all
	 * aligned to the smallest page size; nothing in the range is mapped
	 * yet. On failure nothing of it is. Core serialises calls on one
	 * domain.
	 */
	int (*map)(struct core_domain *domain, uint64_t iova, uint64_t pa,
		   uint64_t length, uint32_t prot);
	/*
	 * Removes the range (all of it mapped, possibly by several maps).
	 * When it returns no DMA begun before or after reaches the old pages.
	 * Never fails: what it needs it has allocated at map.
	 */
	void (*unmap)(struct core_domain *domain, uint64_t iova,
		      uint64_t length);

	/* Nested domains allocated directly on a parent; else NULL. */
	int (*invalidate)(struct core_domain *domain, struct core_inval *inv);

	/* True if invalidate() takes arrays of this data_type. */
	bool (*inval_type)(struct core_domain *domain, uint32_t type);
};

struct core_dirty;

/*
 * Dirty tracking of paging domains that were made for it. Both are called with
 * the IOAS's lock held, like map and unmap.
 */
struct core_dirty_ops {
	/* Once it returns, writes are tracked (or no longer are). */
	int (*set_dirty_tracking)(struct core_domain *domain, bool enable);
	/*
	 * core_dirty_record() for whatever was written in [@iova, @iova +
	 * @length), all of it mapped; forgets it if @clear, and then a later
	 * write is seen again. @dirty is NULL if only to forget. -EINVAL if
	 * tracking is off, unless @dirty is NULL.
	 */
	int (*read_and_clear_dirty)(struct core_domain *domain, uint64_t iova,
				    uint64_t length, bool clear,
				    struct core_dirty *dirty);
};

/* Inside read_and_clear_dirty(): this was written. Ranges in any order. */
void core_dirty_record(struct core_dirty *dirty, uint64_t iova,
		       uint64_t length);

/* Embedded by the driver. */
struct core_domain {
	const struct core_domain_ops *ops;
	struct core_iommu *iommu;
	struct core_geometry geometry; /* paging domains */
	bool nested;
	bool page_requests; /* core's: set before the first attach */
	const struct core_dirty_ops *dirty_ops; /* NULL: no tracking */
};

struct core_viommu_ops {
	void (*free)(struct core_viommu *viommu);

	/* A nested domain, usable by every device of this vIOMMU */
	int (*nested_alloc)(struct core_viommu *viommu, uint32_t flags,
			    const struct core_user_data *data,
			    struct core_domain **domain);

	/* IOMMU_HWPT_INVALIDATE on the vIOMMU; core refuses a driver that has
	 * nested_alloc but neither this nor the domain's. */
	int (*invalidate)(struct core_viommu *viommu, struct core_inval *inv);

	/* True if IOMMU_HWPT_INVALIDATE takes arrays of this data_type. */
	bool (*inval_type)(struct core_viommu *viommu, uint32_t type);

	/* The driver learns vSID -> device; NULL where it needs not. */
	int (*vdevice_add)(struct core_viommu *viommu,
			   struct core_vdevice *vdevice);
	void (*vdevice_remove)(struct core_viommu *viommu,
			       struct core_vdevice *vdevice);

	/* True if events of this iommu_veventq_type can be read. */
	bool (*veventq_type)(struct core_viommu *viommu, uint32_t type);

	/*
	 * After viommu_alloc(), with viommu->iommu, ->parent and ->core set:
	 * what needs them (core_mmap_add(), answers in the user data). free
	 * follows if it fails. NULL is fine.
	 */
	int (*init)(struct core_viommu *viommu,
		    const struct core_user_data *data);

	/*
	 * Queues in guest memory that the hardware reads by itself, physically
	 * contiguous at @queue->pa while it exists. NULL hw_queue_init: none;
	 * false from hw_queue_type: -EOPNOTSUPP.
	 */
	bool (*hw_queue_type)(struct core_viommu *viommu, uint32_t type);
	int (*hw_queue_init)(struct core_viommu *viommu,
			     struct core_hw_queue *queue);
	void (*hw_queue_destroy)(struct core_viommu *viommu,
				 struct core_hw_queue *queue);
};

/* Embedded by the driver. */
struct core_viommu {
	const struct core_viommu_ops *ops;
	struct core_iommu *iommu;
	struct core_domain *parent;
	void *core;	   /* core's object */
	bool tell_invalid; /* core's: NESTFD_EXT_INVALID was on */
};

/* Core's; the driver reads it. Unique per (viommu, virt_id) and device. */
struct core_vdevice {
	struct core_viommu *viommu;
	struct core_device *dev;
	uint64_t virt_id;
	void *drv; /* the driver's */
};

/* Core's; the driver reads it and hangs its own on @drv. */
struct core_hw_queue {
	struct core_viommu *viommu;
	uint32_t type;
	uint32_t index;
	uint64_t base_addr; /* an IOVA below the vIOMMU's parent */
	uint64_t length;
	uint64_t pa;
	void *drv;
};

/*
 * @queue needs @on (of the same vIOMMU), which cannot be destroyed before it
 * (-EBUSY). From hw_queue_init() of @queue until its hw_queue_destroy().
 * -EINVAL for itself.
 */
int core_hw_queue_depend(struct core_hw_queue *queue, struct core_hw_queue *on);
void core_hw_queue_undepend(struct core_hw_queue *queue,
			    struct core_hw_queue *on);

/*
 * Memory that the client may mmap(2) from its /dev/iommu at *@offset: @length
 * bytes (whole pages) of the file @fd from @fd_offset on. While it is mapped
 * the vIOMMU cannot be destroyed (-EBUSY). Return: 0, -EINVAL, -ENOMEM.
 * CORE_MMAP_SAME as @fd_offset: it lies in @fd at just that *@offset, so that
 * the file itself can stand in for /dev/iommu.
 */
#define CORE_MMAP_SAME UINT64_MAX
int core_mmap_add(struct core_viommu *viommu, int fd, uint64_t fd_offset,
		  uint64_t length, uint64_t *offset);
void core_mmap_remove(struct core_viommu *viommu, uint64_t offset);

/*
 * One IOMMU_HWPT_INVALIDATE, or one NESTFD_HWPT_INVALIDATE_RING: an array or a
 * queue in the client's memory. The driver copies entries with
 * core_inval_copy() and sets @done to the number that took effect; on failure
 * entry @done is the one at fault. @code and @info are the architecture's
 * error code (ext.h, without NESTFD_ERR_VALID), 0 if there is none.
 *
 * @native: a queue. Where the data_type is the guest's own command format, it
 * then holds any command (ext.h says what becomes of those that are no
 * invalidations); otherwise it makes no difference. An @info that names an
 * entry is its number here, from 0; core makes an index of it if @info_entry.
 */
struct core_inval {
	uint64_t uptr;
	uint32_t type; /* iommu_hwpt_invalidate_data_type */
	uint32_t stride;
	uint32_t count; /* at least 1 */
	uint32_t done;
	uint32_t code;
	uint32_t info;
	bool native;
	bool info_entry;
	bool errors; /* the client knows of codes (NESTFD_EXT_ERRORS) */

	/* core's: entry n is at index first + n of the memory; a ring: & mask
	 */
	uint32_t first;
	uint32_t mask;
};

/*
 * Copies entries [@start, @start + @n) to @dst, @size bytes each, once.
 * Shorter entries are filled with zeros; -E2BIG if a longer one has a byte
 * behind @size that is not zero (*@copied entries before it are good),
 * -EFAULT likewise.
 */
int core_inval_copy(const struct core_inval *inv, uint32_t start, uint32_t n,
		    void *dst, size_t size, uint32_t *copied);

/*
 * The other way, for entries that have room for an answer: @size bytes to
 * @offset of entry @at, both inside it. -EFAULT
 */
int core_inval_put(const struct core_inval *inv, uint32_t at, size_t offset,
		   const void *src, size_t size);

/*
 * Looks ahead, for drivers that promise to do nothing if the array is bad: can
 * all of it be read (-EFAULT), and are bytes behind @size of longer entries
 * zero (-E2BIG)? Touches each page once. The client may change it afterwards:
 * what core_inval_copy() gets is what counts. 0 for a queue, which is consumed
 * up to whatever is wrong with it.
 */
int core_inval_check(const struct core_inval *inv, size_t size);

/*
 * An event of the hardware for the guest behind @viommu: a record of the
 * veventq @type. Copied, numbered, or counted as lost. Any thread. @record
 * NULL: events were lost on their way here, and the client is told so. Return:
 * 0 (also if it is lost because the queue is full); -EOPNOTSUPP if there is no
 * such queue, -ENOMEM (counted as lost).
 */
int core_viommu_event(struct core_viommu *viommu, uint32_t type,
		      const void *record, size_t size);

/*
 * A page request from @dev. Requests are gathered by grpid until one has
 * LAST_PAGE, then the group goes to the fault queue of the HWPT that the PASID
 * is attached to. Any thread, but with no lock that page_response() takes.
 * Return: 0 (an answer comes by page_response()); -ENODEV if the device is not
 * bound, or nobody takes its faults, -ENOMEM: both answered INVALID first, if
 * it was a last page.
 */
int core_page_request(struct core_device *dev,
		      const struct core_page_request *request);

/*
 * Requests of @kind may have been lost on their way here: groups of which the
 * last has not come are dropped. Nobody answers them. Like core_page_request().
 */
void core_page_requests_lost(struct core_device *dev, uint32_t kind);

#endif
