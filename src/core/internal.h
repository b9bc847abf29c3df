/* SPDX-License-Identifier: MIT */
/*
 * Core's own structs. The order of locks stands in core.h; here each struct
 * says which lock guards what. "fixed" members never change once the object is
 * published.
 */
#ifndef CORE_INTERNAL_H
#define CORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/iommufd.h>

#include "base/ids.h"
#include "base/itree.h"
#include "base/reader.h"
#include "core/core.h"
#include "mem/client.h"

#define CORE_PAGE_SIZE 4096ULL

/* How long a grace period may take before freeing is left to a later one */
#define CORE_GRACE_NS 1000000000ULL

struct phys_io;
struct phys_range;

enum core_type {
	CORE_ANY,
	CORE_DEVICE,
	CORE_IOAS,
	CORE_HWPT_PAGING,
	CORE_HWPT_NESTED,
	CORE_VIOMMU,
	CORE_VDEVICE,
	CORE_VEVENTQ,
	CORE_FAULT,
	CORE_ACCESS,
	CORE_HW_QUEUE,
	CORE_PRIVATE,
	CORE_PRIVATE_FD,
	CORE_TYPES,
};

/* How pages count against RLIMIT_MEMLOCK */
enum core_accounting {
	CORE_ACCOUNT_UNKNOWN, /* not pinned yet */
	CORE_ACCOUNT_NONE,
	CORE_ACCOUNT_USER,
	CORE_ACCOUNT_PROCESS,
};

/* First member of every object. */
struct core_object {
	struct core_ctx *ctx; /* fixed */
	uint32_t id;	      /* fixed */
	enum core_type type;  /* fixed */
	_Atomic uint32_t users;
	struct grace_head grace;
};

/* A page of doorbells that devices of this context write to. */
struct core_msi {
	uint64_t pa;
	uint64_t iova;
	uint64_t window; /* first IOVA of the window it lies in */
};

#define CORE_MSI_MAX 64

/*
 * Calls in progress, in a few places: threads that call at once do not wait
 * for one cache line.
 */
#define CORE_CALL_SLOTS 8
struct core_calls {
	_Alignas(64) _Atomic uint32_t count;
};

struct core_ctx {
	struct core_env env;   /* fixed */
	struct core_ctx *next; /* of env.common; its lock */
	struct core_calls calls[CORE_CALL_SLOTS];
	pthread_mutex_t lock; /* all below; ids_get() needs none */
	struct ids ids;
	uint32_t objects;    /* ids taken, tombstones included */
	uint32_t tombstones; /* taken for good, without an object */
	struct core_ioas *vfio_ioas;
	struct core_fd_object *fds; /* open ones */
	bool rlimit_process;
	struct core_msi msi[CORE_MSI_MAX];
	uint32_t msi_count;
	uint64_t epoch;
	struct core_mmap *mmaps;
	struct core_dmabuf *dmabufs;
	struct core_pages *leaked; /* no area is left, but pins are: a bug */
	uint64_t next_io_pa;  /* for other processes' memory; 0: none yet */
	_Atomic uint64_t ext; /* NESTFD_EXT_* that are on; no lock */
};

/* A hardware queue in guest memory */
struct core_hwq {
	struct core_object obj;
	struct core_hw_queue drv;
	struct core_viommu_object *viommu; /* fixed */
	struct core_access *access;	   /* fixed: holds the pages */
	uint64_t first;			   /* fixed: their IOVA */
	uint64_t length;		   /* fixed */
};

/* Memory that the client may map; of ctx->mmaps, by offset; ctx.lock */
struct core_mmap {
	struct core_mmap *next;
	struct core_viommu_object *owner;
	uint64_t offset;
	uint64_t length;
	uint32_t users; /* mappings */
	int fd;
	uint64_t fd_offset;
};

struct core_access_link {
	struct core_access *access;
	struct core_access_link *next; /* ioas.lock */
};

/* lock is taken before ioas.lock, and never held while ops are called */
struct core_access {
	struct core_object obj;
	const struct core_access_ops *ops; /* fixed; NULL: a hardware queue's */
	void *data;			   /* fixed */
	uint64_t alignment;		   /* fixed */
	pthread_mutex_t lock;		   /* all below */
	struct core_access_link link[2];
	unsigned int current; /* the link that is in ioas */
	struct core_ioas *ioas;
	struct core_ioas *ioas_unpin; /* until all of it is unpinned */
};

/* Memory that can be taken back */
struct core_dmabuf {
	_Atomic uint32_t refs;
	int fd; /* fixed, like the next three */
	dev_t dev;
	ino_t ino;
	uint64_t length;
	struct core_dmabuf *next; /* of ctx->dmabufs; ctx.lock */
	bool revoked;		  /* ctx.lock */
	_Atomic uint64_t epoch;	  /* how often it was revoked or restored */
};

/*
 * Client memory that areas map; shared by IOAS_COPY. A page is "pinned" while
 * some core_pin covers it, and counts once against its process's limit. All of
 * it is registered in the machine's physical space while any pin needs a
 * place there.
 */
struct core_pages {
	_Atomic uint32_t refs;
	struct core_ctx *ctx;	       /* fixed */
	char *host;		       /* fixed: starts at a page boundary */
	struct client_process *memory; /* fixed: host is an address there */
	char *adopted; /* our own mapping of it, once pinned; lock to set */
	struct client_shared *shared; /* for when it has gone, likewise */
	uint64_t length;	      /* fixed: whole pages */
	bool writable;		      /* fixed */
	bool is_file;		      /* fixed */
	struct client_file file;      /* fixed, if is_file */
	struct core_dmabuf *dmabuf;   /* fixed: is_file as well */
	uint64_t dmabuf_epoch;	      /* fixed */
	pthread_mutex_t lock;	      /* all below */
	struct itree pinned;	      /* struct core_pin by page index */
	uint32_t placers;	      /* pins that need range */
	struct phys_range *range;
	enum core_accounting accounting;
	struct core_process *process; /* NULL: nobody is limited */
	uint64_t accounted;	      /* pages pinned */
	uint64_t epoch;		      /* of the last core_count_pins() */
	struct grace_head grace;
	struct core_pages *next; /* of core_garbage, once refs is 0 */
};

/* Keeps pages [node.first, node.last] pinned; pages.lock */
struct core_pin {
	struct itree_node node;
	bool placed;
	uint32_t accesses; /* core_access_pin_pages() that share it; 0: area */
};

/* What was unpinned, to be freed after one common grace period. */
struct core_garbage {
	struct phys_range *ranges; /* chained by phys_range_link() */
	struct core_pages *pages;
};

/* A mapped IOVA range; guarded by its IOAS's lock. */
struct core_area {
	struct itree_node node; /* weight: free IOVAs in front of it */
	struct core_pages *pages;
	uint64_t offset; /* of the first byte in pages */
	uint32_t prot;
	uint32_t accesses;   /* ranges of it that accesses have pinned */
	uint32_t locks;	     /* those that forbid to unmap it */
	bool prevent_access; /* being unmapped */
	bool unmapped;	     /* its memory was revoked: in no domain */
	struct core_pin pin; /* while its IOAS has domains */
};

struct core_ioas {
	struct core_object obj;
	pthread_mutex_t hwpt_lock; /* hwpts (with lock); makes auto domains */
	pthread_mutex_t lock;	   /* all below */
	struct core_hwpt *hwpts;   /* writers also hold hwpt_lock */
	struct itree areas;
	struct itree_node *last_area; /* the highest */
	struct itree reserved;	/* IOVAs some device or domain cannot have */
	struct itree allowed;	/* IOVAs that cannot become reserved */
	struct core_hole *kept; /* reserved until the IOAS goes */
	struct core_access_link *accesses; /* by id */
	uint64_t alignment;
	bool no_large_pages;
};

struct core_fault;

struct core_hwpt {
	struct core_object obj;
	struct core_domain *domain; /* fixed */
	struct core_fault *fault;   /* fixed */
	bool pasid_compat;	    /* fixed */

	/* paging */
	struct core_ioas *ioas; /* fixed */
	bool nest_parent;	/* fixed */
	bool auto_domain;	/* fixed: made by attaching an IOAS */
	struct core_hwpt *prev; /* ioas->hwpts; ioas.lock */
	struct core_hwpt *next;
	bool listed;
	struct itree_node aperture[2]; /* ioas.lock */
	bool narrowed[2];
	uint64_t msi_present; /* ctx->msi mapped here; ioas.lock */

	/* nested */
	struct core_hwpt *parent;	   /* fixed */
	struct core_viommu_object *viommu; /* fixed; NULL: directly nested */
};

/*
 * An IOVA range a device keeps for itself, as long as it is attached; or one
 * that nobody ever gives back, then listed in its IOAS. ioas.lock.
 */
struct core_hole {
	struct itree_node node;
	struct core_hole *next;
};

/* A device (its PASID, the key) attached to a HWPT; dev.lock, fault_lock. */
struct core_attach {
	struct itree_node node;
	struct core_hwpt *hwpt;
	struct core_ioas *holes_in; /* NULL: none reserved */
	struct core_hole *holes;
	size_t hole_count;
};

/* Page request group indices have 9 bits (PCIe); others meet in these */
#define CORE_PAGE_GROUPS 512u
#define CORE_PAGE_KINDS	 2u

struct core_dev {
	struct core_object obj;
	struct core_device *dev; /* fixed */
	pthread_mutex_t lock;	 /* all below: Linux's group lock */
	struct itree attached;	 /* struct core_attach by PASID, 0 for none */
	struct core_vdev *vdev;
	bool leaving;
	_Atomic bool gone;	/* core_page_request() finds it no more */
	uint64_t msi_window[2]; /* first, last; first > last: none */
	uint64_t msi_required;	/* ctx->msi it uses */

	/* What a page request meets. Taken inside lock, for writing attached */
	pthread_mutex_t fault_lock;
	struct core_page_node *partial; /* groups that wait for their last */
	uint32_t partial_count;
	/* Those that have lost a request, up to their last: by kind, number */
	uint64_t spoiled[CORE_PAGE_KINDS][CORE_PAGE_GROUPS / 64];
};

struct core_page_node {
	struct core_page_node *next;
	struct core_page_request request;
};

/* Page requests that are answered as one */
struct core_fault_group {
	struct core_fault_group *next;
	struct core_dev *dev;	/* attached, with this key, to hwpt */
	struct core_hwpt *hwpt; /* only to be compared */
	uint64_t key;
	uint32_t cookie; /* once it is read */
	uint32_t count;
	struct core_page_request requests[];
};

struct core_viommu_object {
	struct core_object obj;
	struct core_viommu *drv;  /* fixed */
	struct core_hwpt *parent; /* fixed */
	pthread_mutex_t lock;	  /* all below */
	struct itree vdevs;	  /* struct core_vdev by virt_id */
	struct core_eventq *eventqs;
};

struct core_vdev {
	struct core_object obj;
	struct itree_node node; /* viommu.lock */
	struct core_viommu_object *viommu;
	struct core_dev *dev;
	struct core_vdevice drv;
};

struct core_vevent {
	struct core_vevent *next;
	uint32_t sequence;
	uint32_t size;
	unsigned char data[];
};

/* What event queues and fault queues have in common: an fd. */
struct core_fd_object {
	struct core_object obj;
	int fd; /* fixed: an eventfd, readable while there is something */
	struct core_fd_object *next; /* of ctx->fds; ctx.lock */
};

struct core_eventq {
	struct core_fd_object base;
	struct core_viommu_object *viommu; /* fixed */
	struct core_eventq *next;	   /* viommu.lock */
	uint32_t type;			   /* fixed */
	uint32_t depth;			   /* fixed */
	pthread_mutex_t lock;		   /* all below */
	struct core_vevent *head;
	struct core_vevent *tail;
	uint32_t count; /* events delivered or being read */
	uint32_t sequence;
	uint32_t events; /* atomic: ever, read by the client without the lock */
	bool lost;	 /* a lost-events header is at the tail */
	uint32_t lost_sequence;
	bool signalled; /* the eventfd is readable */
	bool closed;	/* the eventfd is no longer ours */
};

/*
 * response_lock guards responses and whoever calls page_response(); lock,
 * inside it, is all that page requests need.
 */
struct core_fault {
	struct core_fd_object base;
	pthread_mutex_t response_lock; /* waiting */
	struct ids waiting;	       /* core_fault_group that were read */
	uint32_t answered;	       /* how many no longer wait */
	pthread_mutex_t lock;	       /* all below */
	struct core_fault_group *head; /* to be read */
	struct core_fault_group *tail;
	uint32_t count;
	bool signalled;
	bool closed;
};

/* An fd of the machine's own; has no id */
struct core_private_fd {
	struct core_fd_object base;
	void (*close)(void *data); /* fixed */
	void *data;		   /* fixed */
};

/* Of the machine's own making */
struct core_private_object {
	struct core_object obj;
	void (*destroy)(void *data); /* fixed */
	void *data;		     /* fixed */
};

/* object.c: ids and users */

/* Zeroed, with a reserved id and one user. Abort or publish ends it. */
int core_object_new(struct core_ctx *ctx, enum core_type type, void *objp);
void core_object_publish(struct core_object *obj);
void core_object_abort(struct core_object *obj);

/* -ENOENT: no such id, or another type (CORE_ANY takes all). */
int core_get(struct core_ctx *ctx, uint32_t id, enum core_type type,
	     void *objp);

static inline void core_put(struct core_object *obj)
{
	atomic_fetch_sub_explicit(&obj->users, 1, memory_order_release);
}

/* One more user of an object the caller already uses. */
static inline void core_use(struct core_object *obj)
{
	atomic_fetch_add_explicit(&obj->users, 1, memory_order_relaxed);
}

/* One more user, if it is not on its way out */
static inline bool core_try_use(struct core_object *obj)
{
	uint32_t users =
		atomic_load_explicit(&obj->users, memory_order_relaxed);

	while (users && !atomic_compare_exchange_weak_explicit(
				&obj->users, &users, users + 1,
				memory_order_acquire, memory_order_relaxed))
		;
	return users;
}

/* core_put(), and destroy it if nobody else uses it. */
void core_put_and_destroy(struct core_object *obj);

int core_destroy_id(struct core_ctx *ctx, uint32_t id);

/* Takes away the table's reference, leaving a tombstone; false if used. */
bool core_object_claim(struct core_object *obj);
/* Ends an object whose destroy function has run or is not needed. */
void core_object_free(struct core_object *obj);

/* client.c: the client's memory */
/* 0 if [uptr, uptr + len) is zero, -E2BIG, -EFAULT */
int core_check_zero(uint64_t uptr, uint64_t len);
/* Single aligned words, with acquire and release. -EFAULT */
int core_load32(uint64_t uptr, uint32_t *value);
int core_store32(uint64_t uptr, uint32_t value);

/* pages.c */
int pages_new_user(struct core_ctx *ctx, uint64_t va, uint64_t length,
		   bool writable, struct core_pages **out, uint64_t *offset);
int pages_new_file(struct core_ctx *ctx, int fd, uint64_t start,
		   uint64_t length, bool writable, struct core_pages **out,
		   uint64_t *offset);
void pages_get(struct core_pages *pages);
void pages_put(struct core_pages *pages, struct core_garbage *garbage);
/*
 * Pins @length bytes from @offset on by @pin. With a place (pages_pa()), which
 * is chosen such that leaves can be large if @iova maps to the byte @offset;
 * without if @iova is NULL. -EFAULT, -ENOMEM, -ENOSPC; then nothing changed.
 */
int pages_pin(struct core_ctx *ctx, struct core_pages *pages, uint64_t offset,
	      uint64_t length, const uint64_t *iova, struct core_pin *pin);
void pages_unpin(struct core_pages *pages, struct core_pin *pin,
		 struct core_garbage *garbage);
/* The pin of one area becomes the pins of two that cover the same pages */
void pages_split_pin(struct core_pages *pages, struct core_pin *pin,
		     struct core_pin *low, struct core_pin *high);
/* A pin that accesses share, by its exact range; counts one more */
int pages_pin_access(struct core_ctx *ctx, struct core_pages *pages,
		     uint64_t offset, uint64_t length, const uint64_t *iova);
void pages_unpin_access(struct core_pages *pages, uint64_t offset,
			uint64_t length, struct core_garbage *garbage);
/* A client's address, maybe NULL: no pointer to calculate with */
static inline char *pages_at(const struct core_pages *pages, uint64_t offset)
{
	return (char *)((uintptr_t)pages->host + (uintptr_t)offset);
}

/* Guarded copies; @offset + @len within */
int pages_read(const struct core_pages *pages, uint64_t offset, void *dst,
	       size_t len);
int pages_write(const struct core_pages *pages, uint64_t offset,
		const void *src, size_t len);
/* Which process's view of its memory core_pages.host belongs to */
const struct client_maps *pages_maps(const struct core_env *env,
				     const struct core_pages *pages);
/* NULL: no memory of another process */
const struct core_pages *pages_of_io(const struct phys_io *io);
bool pages_is_pinned(struct core_pages *pages, uint64_t index);
uint64_t pages_pa(const struct core_pages *pages);
/* The context goes: they become the machine's, if it has a place for them. */
void pages_hand_over_leaked(struct core_ctx *ctx);
void garbage_free(const struct core_env *env, struct core_garbage *garbage);

/* dmabuf.c */
/* NULL and 0 if @fd is none; -EINVAL, -ENODEV, -EOPNOTSUPP; with a reference */
int dmabuf_get(struct core_ctx *ctx, int fd, uint64_t last,
	       struct core_dmabuf **out, uint64_t *epoch);
void dmabuf_put(struct core_dmabuf *dmabuf);
bool pages_revoked(const struct core_pages *pages);
void dmabuf_forget_all(struct core_ctx *ctx);

/* account.c */
struct core_process *account_process(const struct core_env *env);
/* -ENOMEM over the limit */
int account_charge(struct core_ctx *ctx, struct core_pages *pages, uint64_t n);
void account_uncharge(struct core_pages *pages, uint64_t n);
int account_add(struct core_process *process, enum core_accounting mode,
		uint64_t n);
void account_force(struct core_process *process, enum core_accounting mode,
		   uint64_t n);
void account_sub(struct core_process *process, enum core_accounting mode,
		 uint64_t n);

/* area.c, with ioas->lock held */
struct core_piece {
	struct core_piece *next;
	struct core_pages *pages; /* NULL once an area has it */
	uint64_t offset;
	uint64_t length;
	struct core_area *area;
};

int ioas_map_pieces(struct core_ioas *ioas, struct core_piece *pieces,
		    uint64_t length, bool fixed, uint64_t *iova, uint32_t prot);
/* Lets go of the lock while accesses are told */
int ioas_unmap_range(struct core_ioas *ioas, uint64_t first, uint64_t last,
		     uint64_t *unmapped, struct core_garbage *garbage);
int ioas_update_alignment(struct core_ioas *ioas);
/* Takes it out of every domain; it stays an area */
void ioas_unmap_area(struct core_ioas *ioas, struct core_area *area);
/* Makes @iova the last of an area where one covers it */
int ioas_split(struct core_ioas *ioas, uint64_t iova);
int ioas_add_domain(struct core_ioas *ioas, struct core_hwpt *hwpt);
void ioas_remove_domain(struct core_ioas *ioas, struct core_hwpt *hwpt,
			struct core_garbage *garbage);
int ioas_set_large_pages(struct core_ioas *ioas, bool enable);
int ioas_reserve(struct core_ioas *ioas, struct itree_node *node);

/* iova.c: choosing IOVAs, with ioas->lock held */
int ioas_choose_iova(struct core_ioas *ioas, uint64_t addr, uint64_t length,
		     uint64_t *iova);
void ioas_area_insert(struct core_ioas *ioas, struct core_area *area);
void ioas_area_remove(struct core_ioas *ioas, struct core_area *area);

/* ioas.c; without locks. What core_access_nth_iova() says */
uint64_t ioas_nth_iova(struct core_ioas *ioas, uint64_t nth);
/* @flags and @iova as for IOMMU_IOAS_MAP */
int ioas_map_user(struct core_ioas *ioas, uint64_t va, uint64_t length,
		  uint32_t flags, uint64_t *iova);
/* With ioas->lock held: ranges that are not reserved, until @fn fails */
int ioas_for_each_free(struct core_ioas *ioas,
		       int (*fn)(void *ctx, uint64_t first, uint64_t last),
		       void *ctx);

/* vfio.c; @arg may be a number */
int vfio_ioctl(struct core_ctx *ctx, unsigned int cmd, void *arg);

/* access.c; without locks. No @ops: pages stay until it lets go of them */
int access_new(struct core_ctx *ctx, const struct core_access_ops *ops,
	       void *data, struct core_access **out);
int access_attach_ioas(struct core_access *access, struct core_ioas *ioas);
/* Of a range it has pinned; -EFAULT if its pages are not contiguous */
int access_pa(struct core_access *access, uint64_t iova, uint64_t length,
	      uint64_t *pa);
void access_notify_unmap(struct core_ioas *ioas, uint64_t first, uint64_t last);

/* invalidate.c */
/* Far above any real batch; keeps one call from taking for ever */
#define INVAL_ENTRIES_MAX   (1U << 19)
#define INVAL_ENTRY_LEN_MAX 4096U
/* On the object @id; nothing to do if @inv is empty but to judge its type */
int inval_run(struct core_ctx *ctx, uint32_t id, struct core_inval *inv);
/* out_error and out_error_info */
void inval_code(const struct core_inval *inv, uint32_t *error, uint32_t *info);

/* hwpt.c */
int hwpt_paging_new(struct core_ctx *ctx, struct core_ioas *ioas,
		    struct core_dev *dev, uint32_t flags,
		    const struct core_user_data *data, struct core_hwpt **out);
/* The paging HWPT that holds the mappings below @hwpt */
static inline struct core_hwpt *hwpt_paging(struct core_hwpt *hwpt)
{
	return hwpt->obj.type == CORE_HWPT_PAGING ? hwpt : hwpt->parent;
}

/* attach.c; the device is leaving */
void core_detach_all(struct core_dev *dev);

/* msi.c, with dev->lock held */
int msi_install(struct core_dev *dev, struct core_hwpt *paging);

/* viommu.c: with dev->lock held and the vDEVICE claimed */
void vdevice_end(struct core_vdev *vdev);

/* fd.c */
int fd_new(int *fd);
/* It works from now on, and counts as a user until it is closed */
void fd_publish(struct core_fd_object *base);
/* Makes an eventfd readable or not */
void fd_signal(int fd, bool readable);
void core_fd_close_all(struct core_ctx *ctx);

/* eventq.c */
ssize_t veventq_read(struct core_eventq *q, unsigned char *buf, size_t len);
void veventq_closed(struct core_eventq *q);

/* fault.c */
ssize_t fault_read(struct core_fault *fault, unsigned char *buf, size_t len);
ssize_t fault_write(struct core_fault *fault, const unsigned char *buf,
		    size_t len);
void fault_closed(struct core_fault *fault);
/* Answers INVALID for what came while @dev's @key was attached to @hwpt */
void fault_auto_respond(struct core_dev *dev, uint64_t key,
			struct core_hwpt *hwpt);
/* The device goes: so does what waits for a last page */
void fault_forget_partial(struct core_dev *dev);

/* hwqueue.c */
void mmap_put_all(struct core_ctx *ctx);

/* Objects' ends: the last user has gone, the id cannot be found. */
void dev_destroy(struct core_object *obj);
void ioas_destroy(struct core_object *obj);
void hwpt_paging_destroy(struct core_object *obj);
void hwpt_nested_destroy(struct core_object *obj);
void viommu_destroy(struct core_object *obj);
void vdevice_destroy(struct core_object *obj);
void veventq_destroy(struct core_object *obj);
void fault_destroy(struct core_object *obj);
void private_destroy(struct core_object *obj);
void access_destroy(struct core_object *obj);
void hw_queue_destroy(struct core_object *obj);

/* The calls, by the table in dispatch.c */
int ioas_ioctl_alloc(struct core_call *call);
int ioas_ioctl_allow_iovas(struct core_call *call);
int ioas_ioctl_iova_ranges(struct core_call *call);
int ioas_ioctl_map(struct core_call *call);
int ioas_ioctl_map_file(struct core_call *call);
int ioas_ioctl_copy(struct core_call *call);
int ioas_ioctl_unmap(struct core_call *call);
int ioas_ioctl_change_process(struct core_call *call);
int option_ioctl(struct core_call *call);
int vfio_ioas_ioctl(struct core_call *call);
int hwpt_ioctl_alloc(struct core_call *call);
int hwpt_ioctl_invalidate(struct core_call *call);
int ring_ioctl_invalidate(struct core_call *call);
int ext_ioctl_enable(struct core_call *call);
int hwpt_ioctl_set_dirty_tracking(struct core_call *call);
int hwpt_ioctl_get_dirty_bitmap(struct core_call *call);
int dev_ioctl_hw_info(struct core_call *call);
int viommu_ioctl_alloc(struct core_call *call);
int vdevice_ioctl_alloc(struct core_call *call);
int hw_queue_ioctl_alloc(struct core_call *call);
int veventq_ioctl_alloc(struct core_call *call);
int fault_ioctl_alloc(struct core_call *call);

#endif
