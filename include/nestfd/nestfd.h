/* SPDX-License-Identifier: MIT */
/*
 * libnestfd: a machine with an IOMMU, and its /dev/iommu, in this process.
 *
 * A *machine* has physical memory, one IOMMU (a model of real hardware) and
 * devices behind it. Opening it gives a *context*, which is what an open
 * /dev/iommu is: nestfd_ioctl() takes the commands and structs of
 * <linux/iommufd.h> and answers what Linux 7.2 answers (docs/abi.md lists the
 * deliberate deviations). A device is bound to a context, attached to an IOAS
 * or a hardware page table, and then does DMA through it.
 *
 * Functions return 0 or a negative errno; results come back through
 * out-parameters, which are untouched on failure. Every function may be called
 * from any thread unless it says otherwise. Any number of machines and contexts
 * live side by side; they share nothing.
 *
 * Structures that callers fill start with their size: set it to sizeof.
 */
#ifndef NESTFD_NESTFD_H
#define NESTFD_NESTFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nestfd;
struct nestfd_device;
struct nestfd_machine;

/** enum nestfd_arch - which IOMMU the machine has */
enum nestfd_arch {
	NESTFD_ARCH_SMMUV3 = 1,
	NESTFD_ARCH_VTD = 2, /* Intel VT-d */
	/* what Linux's selftests expect: includes IOMMU_TEST_CMD */
	NESTFD_ARCH_MOCK = 100,
};

/**
 * enum nestfd_cache - how the modelled IOMMU caches
 * @NESTFD_CACHE_FAST: bounded, may forget and may over-invalidate
 * @NESTFD_CACHE_HOSTILE: keeps all that the architecture lets it keep, removes
 *	exactly what a command names; each DMA is compared with a fresh walk
 */
enum nestfd_cache {
	NESTFD_CACHE_FAST,
	NESTFD_CACHE_HOSTILE,
};

/**
 * enum nestfd_memlock - what becomes of pinning beyond RLIMIT_MEMLOCK
 * @NESTFD_MEMLOCK_COUNT: nothing: pinned pages are counted only, and everybody
 *	may set IOMMU_OPTION_RLIMIT_MODE
 * @NESTFD_MEMLOCK_ENFORCE: as on Linux, -ENOMEM for who lacks CAP_IPC_LOCK; by
 *	user, over all contexts of the machine, or by process. Setting the mode
 *	needs CAP_SYS_RESOURCE (-EPERM)
 */
enum nestfd_memlock {
	NESTFD_MEMLOCK_COUNT,
	NESTFD_MEMLOCK_ENFORCE,
};

/**
 * struct nestfd_smmuv3_id - identification registers of an SMMUv3
 * @idr: IDR0 to IDR5
 */
struct nestfd_smmuv3_id {
	uint32_t idr[6];
	uint32_t iidr;
	uint32_t aidr;
};

/**
 * struct nestfd_vtd_id - identification registers of a VT-d unit
 * @cap: CAP; with CM, caching mode
 * @ecap: ECAP; IR means the registers of interrupt remapping, not more, and
 *	SC the bits of tables: no DMA is without snoop here, and what a device
 *	TLB is answered has no N
 * @version: VER; its major version 7 at most
 * @haw: host address width in bits, 32 to 52
 */
struct nestfd_vtd_id {
	uint64_t cap;
	uint64_t ecap;
	uint32_t version;
	uint32_t haw;
};

/**
 * struct nestfd_stale - a DMA used a translation memory no longer backs
 * @stream_id: StreamID (requester id) of the device
 * @pasid: its PASID, NESTFD_NO_PASID without one
 * @iova: address the device used
 * @cached_pa: where the cached translation led
 * @current_pa: where the tables in memory lead now, if @mapped
 * @mapped: false when the tables no longer translate @iova at all
 * @cached_at: commands the IOMMU had consumed when it cached the entry
 * @now: commands it has consumed by now
 * @why: for people: the command that should have removed the entry, and why
 *	none since then did; valid during the call
 */
struct nestfd_stale {
	uint32_t stream_id;
	uint32_t pasid;
	uint64_t iova;
	uint64_t cached_pa;
	uint64_t current_pa;
	bool mapped;
	uint64_t cached_at;
	uint64_t now;
	const char *why;
};

/* nestfd_machine_config.atc_window_ms: no windows */
#define NESTFD_NO_WINDOW UINT32_MAX

/**
 * struct nestfd_machine_config - what machine to build
 * @size: sizeof(struct nestfd_machine_config)
 * @arch: its IOMMU
 * @cache: its cache policy
 * @cache_entries: bound of the fast policy, 0 for the default
 * @smmuv3_id: identification registers, NULL for everything the model has;
 *	copied
 * @vtd_id: the same of a VT-d unit
 * @msi_first: start of the IOVA window in which the MSI doorbell is mapped for
 *	attached devices (Linux: 0x8000000), a multiple of 64 KiB
 * @msi_length: its length in bytes (Linux: 0x100000); 0 for no window
 * @msi: called when a device's write reaches the MSI doorbell
 * @stale: called by the checker, under NESTFD_CACHE_HOSTILE. Both are called in
 *	the thread that does the DMA and must not call back into the machine
 * @ctx: first argument of @msi and @stale
 * @memlock: is RLIMIT_MEMLOCK enforced
 * @pri: the IOMMU takes page requests of devices (SMMUv3: IDR0.PRI, and the
 *	largest queue for them, whatever @smmuv3_id says; VT-d: ECAP.PRS,
 *	unless @vtd_id says otherwise). Devices that make them say so
 *	themselves
 * @atc_timeouts: how many times a device may leave an invalidation of its ATC
 *	unanswered before it loses its ATS, 0 for the default; a guest four
 *	times as many (docs/security.md, "Devices that do not answer")
 * @atc_window_ms: how long a guest may not cause another such timeout after
 *	one; its next invalidation of an ATC waits. 0 for the default (1 s),
 *	NESTFD_NO_WINDOW: nothing waits, which tests may want
 */
struct nestfd_machine_config {
	size_t size;
	enum nestfd_arch arch;
	enum nestfd_cache cache;
	uint32_t cache_entries;
	const struct nestfd_smmuv3_id *smmuv3_id;
	uint64_t msi_first;
	uint64_t msi_length;
	void (*msi)(void *ctx, uint64_t offset, uint32_t data);
	void (*stale)(void *ctx, const struct nestfd_stale *stale);
	void *ctx;
	enum nestfd_memlock memlock;
	bool pri;
	const struct nestfd_vtd_id *vtd_id;
	uint32_t atc_timeouts;
	uint32_t atc_window_ms;
};

/**
 * nestfd_machine_create() - build a machine
 * @config: copied
 * @machine: out; ends with nestfd_machine_destroy()
 *
 * Return: 0, -EINVAL for a config that contradicts itself, -EOPNOTSUPP for an
 * architecture or feature that is not there, -ENOMEM.
 */
int nestfd_machine_create(const struct nestfd_machine_config *config,
			  struct nestfd_machine **machine);

/**
 * nestfd_machine_destroy() - end a machine
 * @machine: NULL is fine
 *
 * Closes the contexts and removes the devices that are still there. No other
 * thread may use the machine, its contexts or its devices any more.
 */
void nestfd_machine_destroy(struct nestfd_machine *machine);

/**
 * nestfd_open() - open the machine's /dev/iommu
 * @ctx: out; ends with nestfd_close()
 *
 * The first open lets the host's IOMMU driver take the hardware over.
 *
 * Return: 0, -ENOMEM, -ENODEV when the driver refuses the hardware (a bare
 * machine whose registers were used, model.h; features Linux needs missing).
 */
int nestfd_open(struct nestfd_machine *machine, struct nestfd **ctx);

/**
 * nestfd_close() - close it: everything allocated through it is freed
 * @ctx: NULL is fine. Devices bound to it are detached and unbound first.
 *
 * Waits for calls that other threads have in progress on @ctx; calls that begin
 * later are the caller's mistake.
 */
void nestfd_close(struct nestfd *ctx);

/**
 * nestfd_ioctl() - one call on /dev/iommu
 * @ctx: a struct nestfd (void so that this is a struct nestfd_backend.ioctl)
 * @cmd: IOMMU_* of <linux/iommufd.h>
 * @arg: its struct; may be anywhere, bad addresses give -EFAULT
 *
 * Return: 0 or the negative errno Linux gives.
 */
int nestfd_ioctl(void *ctx, unsigned long cmd, void *arg);

/**
 * struct nestfd_client - another process, on whose behalf a call is made
 * @size: sizeof(struct nestfd_client)
 * @ctx: first argument of the functions
 * @read: copy from its memory; 0 or -EFAULT
 * @write: copy to its memory; 0 or -EFAULT
 * @get_fd: its fd as one of this process, which is closed after use; -EBADF
 * @give_fd: an fd of this process as one of its own, left open here; its
 *	number there, or a negative errno, with which the call then fails
 * @pid: its process, whose memory IOMMU_IOAS_MAP can then map; the right to
 *	ptrace it is needed. 0: only files can be mapped
 */
struct nestfd_client {
	size_t size;
	void *ctx;
	int (*read)(void *ctx, void *dst, uint64_t addr, size_t len);
	int (*write)(void *ctx, uint64_t addr, const void *src, size_t len);
	int (*get_fd)(void *ctx, int fd);
	int (*give_fd)(void *ctx, int fd);
	pid_t pid;
};

/**
 * nestfd_ioctl_for() - nestfd_ioctl() with addresses and fds of another process
 * @arg: an address in @client
 *
 * The functions of @client are called in this thread only, before it returns.
 *
 * Return: as nestfd_ioctl(); -EINVAL for a @client that lacks a function;
 * -EOPNOTSUPP for IOMMU_IOAS_MAP if the process cannot be reached: files can
 * (IOMMU_IOAS_MAP_FILE).
 */
int nestfd_ioctl_for(struct nestfd *ctx, unsigned long cmd, uint64_t arg,
		     const struct nestfd_client *client);

/**
 * nestfd_pinned() - how much of a process's memory is pinned through @ctx
 * @pid: this process, or the @pid of a struct nestfd_client
 * @pinned: bytes; what Linux adds to VmPin in /proc/PID/status
 * @locked: bytes of it that count by RLIMIT mode 1: VmLck
 *
 * Counted whether RLIMIT_MEMLOCK is enforced or not. 0 for unknown processes.
 */
void nestfd_pinned(struct nestfd *ctx, pid_t pid, uint64_t *pinned,
		   uint64_t *locked);

/**
 * nestfd_write() - write(2) on the fd of an event or fault queue
 *
 * A fault queue takes responses, an event queue nothing. Never blocks.
 *
 * Return: bytes written, -EBADF, -EINVAL, -ESPIPE, -EFAULT.
 */
ssize_t nestfd_write(void *ctx, int fd, const void *buf, size_t len);

/**
 * nestfd_read() - read(2) on an event queue's fd
 * @ctx: a struct nestfd
 * @fd: out_veventq_fd of IOMMU_VEVENTQ_ALLOC: a real fd for poll(2), which is
 *	read and closed by these calls only
 *
 * Never blocks.
 *
 * Return: bytes read (0 when there is nothing), -EBADF, -EINVAL when @len is
 * too short for the next record, -EFAULT.
 */
ssize_t nestfd_read(void *ctx, int fd, void *buf, size_t len);

/**
 * nestfd_event_count() - a counter of an event queue's events, lost or not
 * @ctx: a struct nestfd (a struct nestfd_backend.count)
 * @fd: out_veventq_fd of IOMMU_VEVENTQ_ALLOC
 *
 * To be loaded atomically, with acquire. It has moved when an event can be
 * read: whoever finds it as it was before he last read everything has nothing
 * to read. An event that a DMA caused in front of an invalidation has been
 * counted when that returns.
 *
 * Return: its address, good until nestfd_close_fd(); NULL for any other fd.
 */
const uint32_t *nestfd_event_count(void *ctx, int fd);

/**
 * nestfd_mmap_get() - mmap(2) on /dev/iommu, shared and not executable
 * @offset: what an ioctl gave (out_mmap_offset)
 * @fd: out; the file to map instead, at @fd_offset; not to be closed
 *
 * Its owner cannot be destroyed (EBUSY) until nestfd_mmap_put(), which says
 * that all of it has been unmapped.
 *
 * Return: 0, -ENXIO if nothing of just that @length is at @offset.
 */
int nestfd_mmap_get(struct nestfd *ctx, uint64_t offset, uint64_t length,
		    int *fd, uint64_t *fd_offset);
void nestfd_mmap_put(struct nestfd *ctx, uint64_t offset);

/**
 * nestfd_memory_gone() - a client takes memory away that may be mapped
 * @pid: whose memory: the nestfd_client.pid it was mapped for; 0: this
 *	process's own
 * @va: address there
 * @length: bytes; whole pages are gone
 *
 * To be called before munmap() and the like: something else may get the
 * addresses at once. From then on DMA to that memory is aborted, whatever lies
 * there, until it is unmapped from its IOAS and mapped again; DMA in progress
 * has ended, unless it is stuck in other memory for longer than 100 ms. Costs
 * a look into a tree if no such memory is mapped.
 *
 * Any thread, but not from a callback; allocates nothing with malloc(), and
 * waits for nobody who does.
 *
 * Return: 0 if none of it is mapped, NESTFD_GONE, or NESTFD_GONE_BEFORE if some
 * of it was gone already.
 */
#define NESTFD_GONE	   1
#define NESTFD_GONE_BEFORE 2
int nestfd_memory_gone(struct nestfd_machine *machine, pid_t pid, uint64_t va,
		       uint64_t length);

/**
 * nestfd_memory_kept() - the same memory has not been taken away after all
 *
 * After NESTFD_GONE only; other memory there would be taken for it.
 */
void nestfd_memory_kept(struct nestfd_machine *machine, pid_t pid, uint64_t va,
			uint64_t length);

/**
 * nestfd_close_fd() - close(2) on an event queue's fd
 *
 * Return: 0 or -EBADF.
 */
int nestfd_close_fd(void *ctx, int fd);

/** enum nestfd_page_code - what became of a group of page requests */
enum nestfd_page_code {
	NESTFD_PAGE_SUCCESS = 0x0, /* ask for the translations again */
	NESTFD_PAGE_INVALID = 0x1, /* some page does not exist */
	NESTFD_PAGE_FAILURE = 0xf, /* do not make any more requests */
};

/**
 * struct nestfd_page_response - the answer to a group
 * @group: its index
 * @pasid: what the answer names: that of the group, or NESTFD_NO_PASID
 * @code: what became of it
 */
struct nestfd_page_response {
	uint32_t group;
	uint32_t pasid;
	enum nestfd_page_code code;
};

/**
 * struct nestfd_device_config - a device behind the machine's IOMMU
 * @size: sizeof(struct nestfd_device_config)
 * @stream_id: its StreamID / requester id; unique on the machine
 * @pasid_bits: PASIDs it can issue, 0 to 20
 * @ats: it has an address translation cache of its own
 * @page_requests: how many page requests it may have without an answer at once
 *	(PRI's allocation), 0 for none; needs @ats
 * @page_response: told of each answer; NULL: nestfd_page_wait() is enough. It
 *	is called in whichever thread the IOMMU is, with locks held: it may only
 *	take notice, and not call the library
 * @ctx: its first argument
 * @stall: its accesses may wait for an answer (nestfd_dma(): -EINPROGRESS), so
 *	the host lets them stall where it translates for the device itself
 */
struct nestfd_device_config {
	size_t size;
	uint32_t stream_id;
	uint8_t pasid_bits;
	bool ats;
	uint32_t page_requests;
	void (*page_response)(void *ctx,
			      const struct nestfd_page_response *response);
	void *ctx;
	bool stall;
};

/**
 * nestfd_device_add() - plug a device in
 * @dev: out; ends with nestfd_device_remove() or the machine
 *
 * Until attached all its DMA is refused (on a bare machine: as the IOMMU's
 * registers and tables say).
 *
 * Return: 0, -EINVAL, -EEXIST when @stream_id is taken, -ENOMEM.
 */
int nestfd_device_add(struct nestfd_machine *machine,
		      const struct nestfd_device_config *config,
		      struct nestfd_device **dev);

/**
 * nestfd_device_remove() - unplug it: unbound, its DMA waited for, freed
 * @dev: NULL is fine. Calls that begin later are the caller's mistake.
 */
void nestfd_device_remove(struct nestfd_device *dev);

/**
 * nestfd_device_reset() - what a function level reset does
 *
 * The device answers again, if it was gone (model.h) or has failed, with an
 * empty ATC, and the driver forgets what it held against it: a quarantine ends
 * (docs/security.md). What it is bound to and attached to stays. It does no DMA
 * during the call.
 */
void nestfd_device_reset(struct nestfd_device *dev);

/**
 * nestfd_bind() - VFIO_DEVICE_BIND_IOMMUFD
 * @dev_id: out; the id of the device in @ctx
 *
 * Return: 0, -EBUSY when it is bound already, -ENOMEM, -ERANGE when its
 * StreamID is beyond what the IOMMU has, -EXDEV when @ctx belongs to another
 * machine, -ENODEV when the device was unplugged while the call waited for it.
 */
int nestfd_bind(struct nestfd *ctx, struct nestfd_device *dev,
		uint32_t *dev_id);

/** nestfd_unbind() - what closing the VFIO fd does: detach, forget the id */
void nestfd_unbind(struct nestfd_device *dev);

/**
 * struct nestfd_driver_stats - counters of the host's IOMMU driver
 * @size: in, sizeof(struct nestfd_driver_stats); out, bytes filled in
 * @batches: runs of commands sent to the hardware and waited for, with one
 *	doorbell, or one for each wait inside that a device has to answer
 * @timeouts: waits that failed because a device did not answer an invalidation
 *	of its translation cache
 * @searches: batches sent to find that device; they are in @batches as well
 * @illegal: commands the hardware refused
 * @aborts: fetches of commands that failed
 * @quarantines: how often a device has lost its ATS (docs/security.md)
 * @late: batches whose devices answered, but so late that their guest was
 *	charged for it
 * @waited: how many of @timeouts and @late calls had to wait for that came
 *	meanwhile: each call that waits for one counts it
 *
 * Since the first open of the machine, over all its contexts. Counters that the
 * machine's driver does not have stay 0: the mock's has none.
 */
struct nestfd_driver_stats {
	size_t size;
	uint64_t batches;
	uint64_t timeouts;
	uint64_t searches;
	uint64_t illegal;
	uint64_t aborts;
	uint64_t quarantines;
	uint64_t late;
	uint64_t waited;
};

/**
 * nestfd_driver_stats() - read them; zeros before the first nestfd_open()
 * @stats: no more than @stats->size bytes are written, and what this library
 *	does not know is left alone
 *
 * Each counter is right by itself; while calls are in progress they need not
 * fit each other.
 */
void nestfd_driver_stats(struct nestfd_machine *machine,
			 struct nestfd_driver_stats *stats);

#define NESTFD_NO_PASID UINT32_MAX

/**
 * nestfd_attach() - VFIO_DEVICE_ATTACH_IOMMUFD_PT
 * @dev: a struct nestfd_device that is bound
 * @pasid: NESTFD_NO_PASID for the device itself
 * @pt_id: in, an IOAS, a HWPT or a nested HWPT; it replaces what was attached.
 *	Out: the HWPT used (an IOAS picks or makes one)
 *
 * Return: 0, -EINVAL, -ENOENT, -EBUSY, -EOPNOTSUPP (PASIDs) as Linux; -ENOMEM;
 * -ENODEV when not bound.
 */
int nestfd_attach(struct nestfd_device *dev, uint32_t pasid, uint32_t *pt_id);

/** nestfd_detach() - VFIO_DEVICE_DETACH_IOMMUFD_PT; nothing attached is fine */
void nestfd_detach(struct nestfd_device *dev, uint32_t pasid);

/** DMA attributes, struct nestfd_dma.flags */
#define NESTFD_DMA_WRITE 0x1u
#define NESTFD_DMA_PRIV	 0x2u /* a privileged access */
#define NESTFD_DMA_EXEC	 0x4u /* an instruction fetch */
#define NESTFD_DMA_TRANSLATED \
	0x8u /* ATS: use the device's own cache, ask the IOMMU on a miss */

/**
 * struct nestfd_dma - one access of a device
 * @size: sizeof(struct nestfd_dma)
 * @iova: I/O virtual address of the first byte
 * @pasid: NESTFD_NO_PASID for none
 * @flags: NESTFD_DMA_*
 * @buf: data in this process: destination of a read, source of a write
 * @length: bytes; 0 is no request, not a read of zero length
 */
struct nestfd_dma {
	size_t size;
	uint64_t iova;
	uint32_t pasid;
	uint32_t flags;
	void *buf;
	size_t length;
};

/**
 * nestfd_dma() - do it
 *
 * Return: 0; -EIO when the IOMMU aborted it (an event may tell why; what lay in
 * front of the fault was moved); -EFAULT when the translation led to no memory,
 * or @buf is none; -EINPROGRESS when the IOMMU stalled it: nothing from the
 * stalled page on was moved, repeat it after software has answered the event
 * (the repeat is the same stall: it goes on, gets -EIO, or, where software
 * terminated it without an abort, reads zeros and writes nothing); -ENODEV when
 * the device has failed; -EINVAL.
 */
int nestfd_dma(struct nestfd_device *dev, const struct nestfd_dma *dma);

/** nestfd_dma_read() - nestfd_dma() without PASID, memory to @buf */
int nestfd_dma_read(struct nestfd_device *dev, uint64_t iova, void *buf,
		    size_t length);

/** nestfd_dma_write() - nestfd_dma() without PASID, @buf to memory */
int nestfd_dma_write(struct nestfd_device *dev, uint64_t iova, const void *buf,
		     size_t length);

/** What a device wants of a page: struct nestfd_page_request.flags */
#define NESTFD_PAGE_READ  0x01u
#define NESTFD_PAGE_WRITE 0x02u
#define NESTFD_PAGE_EXEC  0x04u /* with a PASID only, as the next */
#define NESTFD_PAGE_PRIV  0x08u
#define NESTFD_PAGE_LAST  0x10u /* ends its group */

/**
 * struct nestfd_page_request - a device asks that a page be there
 * @size: sizeof(struct nestfd_page_request)
 * @iova: any address of the page
 * @pasid: NESTFD_NO_PASID for none
 * @flags: NESTFD_PAGE_*
 * @group: index of its group, 0 to 511. A group is answered as a whole, once
 *	the request with NESTFD_PAGE_LAST has come
 *
 * With a PASID and LAST, but neither READ nor WRITE, it is a Stop Marker: the
 * PASID is used no more. It belongs to no group and nobody answers it.
 */
struct nestfd_page_request {
	size_t size;
	uint64_t iova;
	uint32_t pasid;
	uint32_t flags;
	uint32_t group;
};

/**
 * nestfd_page_request() - ask (PCI Express PRI)
 *
 * For a device that was refused a translation by ATS (nestfd_dma() with
 * NESTFD_DMA_TRANSLATED: -EIO): it asks for the page, waits, and repeats the
 * access. Whether SUCCESS or not, only the repeated access shows what there is.
 * Who answers: the client whose fault queue belongs to the page table that the
 * device is attached to; the host, INVALID, if there is none; the IOMMU by
 * itself where it cannot keep the request (SMMUv3: IHI 0070 8.1, 8.2).
 *
 * Return: 0: an answer comes, or has come; -EBUSY when the allocation is used
 * up, or the group has ended and is not answered; -EOPNOTSUPP for a device
 * without page requests; -ENODEV when it has failed; -EINVAL.
 */
int nestfd_page_request(struct nestfd_device *dev,
			const struct nestfd_page_request *request);

/**
 * nestfd_page_wait() - the answer to a group, which is then forgotten
 * @timeout_ms: how long to wait for it, 0 to look only
 *
 * An answer that is not fetched is forgotten when its group is used again.
 *
 * Return: 0; -EINPROGRESS when there is none yet; -ENOENT when nothing was
 * asked (any more: nestfd_device_reset()); -EOPNOTSUPP, -EINVAL.
 */
int nestfd_page_wait(struct nestfd_device *dev, uint32_t group,
		     unsigned int timeout_ms,
		     struct nestfd_page_response *response);

/**
 * nestfd_msi_enable() - what VFIO_DEVICE_SET_IRQS does for the IOMMU: map the
 *	platform's MSI doorbell for the device's page table
 * @iova: out; where the device must write its messages
 *
 * Return: 0, -ENODEV (not bound), -EINVAL (not attached), -EOPNOTSUPP without a
 * window, -ENOMEM.
 */
int nestfd_msi_enable(struct nestfd_device *dev, uint64_t *iova);

/**
 * nestfd_fail_nth() - make an allocation fail, to test what becomes of it
 * @nth: of the allocations that the calling thread makes inside the library
 *	from now on, this one fails, once; 0: none
 */
void nestfd_fail_nth(uint64_t nth);

/** nestfd_fail_nth_left() - allocations up to that one; 0: it has failed */
uint64_t nestfd_fail_nth_left(void);

#ifdef __cplusplus
}
#endif
#endif
