/* SPDX-License-Identifier: MIT */
/*
 * The preloaded library: libc's functions as the program sees them, of which
 * the calls on /dev/iommu stay in this process.
 *
 * Words: a *context* is an open /dev/iommu that this process serves: it is the
 * *owner*. The fd the program has is one end of a SEQPACKET socketpair, the
 * owner holds the other: whoever else gets hold of the fd asks the owner over
 * it (a *remote*), and when the last holder has gone the owner's end says so.
 * The program's end is bound to a name in the abstract namespace, by which it
 * is recognised wherever it turns up. A *file* is what the table knows about
 * an fd. A *section* is a stretch of code in which the machine may be used;
 * signal handlers of the program wait for its end, and fork() and the end of a
 * context wait for all of them.
 *
 * Files, contexts and remotes are never freed, only used again, so a section
 * may look at one that has just gone. All change under the one lock, which is
 * taken with signals blocked.
 */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <nestfd/nestfd.h>

#include "shim/run.h"

#define EXPORT	    __attribute__((visibility("default")))
#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define SHIM_PATH   "/dev/iommu"

/* A negative errno as libc says it */
static inline long shim_result(long rc)
{
	if (LIKELY(rc >= 0))
		return rc;
	errno = (int)-rc;
	return -1;
}

/* ---- real.c: libc's own functions, whoever else has hooked them ---- */

void *real_find(_Atomic(void *) *slot, const char *name);

/* The next definition of a libc function behind ours */
#define REAL(name)                                                             \
	({                                                                     \
		static _Atomic(void *) slot_;                                  \
		void *f_ = atomic_load_explicit(&slot_, memory_order_acquire); \
		(__typeof__(&name))(LIKELY(f_) ? f_                            \
					       : real_find(&slot_, #name));    \
	})

/* As a function of type @type, which takes no variable arguments */
#define REAL_AS(name, type)                                                    \
	({                                                                     \
		static _Atomic(void *) slot_;                                  \
		void *f_ = atomic_load_explicit(&slot_, memory_order_acquire); \
		(type)(LIKELY(f_) ? f_ : real_find(&slot_, #name));            \
	})

/*
 * What costs most in a call that is passed on is one more return after a
 * system call (the processor has forgotten where to), so those that are none
 * of ours are left by a jump. A function with variable arguments cannot do
 * that; ours has them all, which makes no difference in any ABI that Linux
 * has for integers and pointers in registers.
 */
#define EXPORT_AS(name) __asm__(#name) EXPORT

/* ---- section.c ---- */

#define SECTION_SIGNALS 16

struct section {
	struct section *next;	/* fixed */
	_Atomic uint32_t depth; /* the thread's own; others only look */
	_Atomic uint32_t passes;
	_Atomic uint32_t queued; /* signals that came while inside */
	_Atomic bool taken;
	siginfo_t signals[SECTION_SIGNALS];
};

extern __thread struct section *section_mine
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
extern _Atomic bool section_frozen __attribute__((visibility("hidden")));
/* Where membarrier(2) is missing, each entry has a barrier. */
extern bool section_fence __attribute__((visibility("hidden")));

struct section *section_claim(void);
void section_wait(struct section *s);
void section_deliver(struct section *s);

/* atomic_thread_fence(), which gcc refuses to compile for ThreadSanitizer */
static inline void section_full_fence(void)
{
#ifdef __SANITIZE_THREAD__
	__sync_synchronize();
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

static inline struct section *section_enter(void)
{
	struct section *s = section_mine;
	uint32_t depth;

	if (UNLIKELY(!s))
		s = section_claim();
	depth = atomic_load_explicit(&s->depth, memory_order_relaxed);
	atomic_store_explicit(&s->depth, depth + 1, memory_order_relaxed);
	/* Pairs with the membarrier in section.c: either it sees our depth, or
	 * we see what was changed before it. */
	atomic_signal_fence(memory_order_seq_cst);
	if (UNLIKELY(section_fence))
		section_full_fence();
	if (UNLIKELY(atomic_load_explicit(&section_frozen,
					  memory_order_acquire)) &&
	    !depth)
		section_wait(s);
	return s;
}

static inline void section_leave(struct section *s)
{
	uint32_t depth = atomic_load_explicit(&s->depth, memory_order_relaxed);

	/* Release: what was done inside is seen by who waits for us. */
	if (depth == 1)
		atomic_store_explicit(
			&s->passes,
			atomic_load_explicit(&s->passes, memory_order_relaxed) +
				1,
			memory_order_release);
	atomic_store_explicit(&s->depth, depth - 1, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
	if (UNLIKELY(depth == 1 &&
		     atomic_load_explicit(&s->queued, memory_order_relaxed)))
		section_deliver(s);
}

/* Wait until every section now open has been left; not from within one. */
void section_quiesce(void);
/* No section begins or goes on until section_thaw(). */
void section_freeze(void);
void section_thaw(void);
/* In a child that has only this thread */
void section_after_fork(void);

/* ---- table.c: what we know of an fd ---- */

enum file_kind {
	FILE_NONE,
	FILE_CONTEXT, /* an open /dev/iommu, ours */
	FILE_REMOTE,  /* somebody else's */
	FILE_EVENT,   /* an event queue of ours: read and written by nestfd */
	FILE_REMOTE_EVENT,
	FILE_INTERNAL, /* the program does not know of it */
};

struct context;
struct remote;
struct queue;

struct file {
	_Atomic enum file_kind kind;
	struct context *context; /* CONTEXT, EVENT */
	struct remote *remote;	 /* REMOTE, REMOTE_EVENT */
	/* EVENT: NULL for what a private command made. INTERNAL: libnestfd's
	 * own fd of a queue */
	_Atomic(struct queue *) q;
	int queue;	   /* EVENT without q: the fd nestfd knows it by, too */
	uint32_t fds;	   /* how many numbers mean it */
	struct file *next; /* all of them */
};

#define TABLE_BLOCK 1024u
#define TABLE_MAX   (TABLE_BLOCK * TABLE_BLOCK)

extern _Atomic(_Atomic(struct file *) *) table_blocks[TABLE_BLOCK]
	__attribute__((visibility("hidden")));

static inline struct file *table_get(int fd)
{
	_Atomic(struct file *) *block;

	if (UNLIKELY((unsigned int)fd >= TABLE_MAX))
		return NULL;
	block = atomic_load_explicit(
		&table_blocks[(unsigned int)fd / TABLE_BLOCK],
		memory_order_acquire);
	return block ? atomic_load_explicit(
			       &block[(unsigned int)fd % TABLE_BLOCK],
			       memory_order_acquire)
		     : NULL;
}

/* True if there is anything in the table at all. */
extern _Atomic uint32_t table_used __attribute__((visibility("hidden")));

/* All with the lock held. */
struct file *file_new(enum file_kind kind); /* NULL: no memory */
int table_set(int fd, struct file *file);   /* another number; -ENOMEM */
struct file *table_clear(int fd);	    /* the file it meant, or NULL */
void table_each(void (*fn)(int fd, struct file *file, void *arg), void *arg);
struct file *file_first(void);

/* Moves an fd of ours out of the program's way and marks it as internal. */
int fd_hide(int fd);
/* close(2) for such a one */
void fd_close_hidden(int fd);

/*
 * Fds that libnestfd makes for itself while shim_inside is set go out of the
 * program's way, and are marked at the end, with the lock held.
 */
void fd_raise_begin(void);
int fd_raise(int fd);
void fd_raise_end(void);
/* The last one, to be marked by who asks; -1 for none */
int fd_raise_last(void);
void fd_mark(int fd);

/* ---- state.c: the lock, the process's role, configuration ---- */

struct shim_lock {
	sigset_t mask;
	int cancel;
};

/* Blocks signals and cancellation, and takes the lock. */
void shim_lock(struct shim_lock *l);
void shim_unlock(struct shim_lock *l);
void shim_after_fork(void);
/* In a keeper: all that was ours still is. */
void shim_after_keep(void);

/* Signals and cancellation only */
void shim_quiet(struct shim_lock *l);
void shim_loud(struct shim_lock *l);

/*
 * Who shares our memory but not our fds (vfork) must leave the table alone;
 * who has a copy of our memory (clone without fork()'s handlers) must forget
 * what it owned. Called before any change of the table.
 */
bool shim_is_table_ours(void);

/* The same, but nothing is forgotten: for what an allocator may call, which
 * may be in a child before its fork() has ended. */
bool shim_is_owner(void);

/* libnestfd itself is calling libc */
extern __thread bool shim_inside
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* In a section the program's own code does not run: it is libnestfd, too. */
static inline bool shim_is_inside(void)
{
	return shim_inside ||
	       (section_mine && atomic_load_explicit(&section_mine->depth,
						     memory_order_relaxed));
}

/* This thread forks a keeper. */
extern __thread bool shim_keeping
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* ---- context.c ---- */

#define CONTEXT_NAME 64 /* with the leading NUL and the final one */

struct context {
	struct context *next;		 /* fixed */
	uint64_t serial;		 /* changes with each use */
	_Atomic(struct nestfd *) nestfd; /* NULL until the first call */
	char name[CONTEXT_NAME];
	int server;	 /* the owner's end, or -1: not in use */
	uint32_t events; /* open event queues keep it, as on Linux */
	bool had_queues;
	bool hung_up;  /* nobody has the program's end any more */
	uint32_t busy; /* calls in progress outside of sections */
};

/* A new /dev/iommu: its fd, or a negative errno. @flags: O_CLOEXEC etc. */
int context_open(int flags);
/*
 * The context's end of the machine, made at the first use; stays until
 * context_unuse(). With no lock held. -EAGAIN: it is no longer ours.
 */
int context_use(struct context *context, struct nestfd **out);
void context_unuse(struct context *context);
int context_use_locked(struct context *context, struct nestfd **out);
/* A socket that bears a context's name? @fd is entered into the table. */
struct file *context_recognise(int fd);
bool context_name_of(int fd, char name[CONTEXT_NAME]);
/* Its server end has something to say, or may have: with the lock held. */
void context_check(struct context *context);
/* With the lock held; @context is NULL at the start and the end */
struct context *context_next(struct context *context);
struct context *context_by_serial(uint64_t serial);
/* Takes over a context from its owner: @server is its end */
struct file *context_adopt(const char *name, int server);
/* Forget one without closing what others still use */
void context_forget(struct context *context);
/* A file that means @context; with the lock held */
struct file *context_file(struct context *context);
/* @cmd failed for something in use, which may not be any more: once again */
bool context_was_freed(uint64_t serial, unsigned long cmd);
/* In a child: none of them is ours any more. */
void context_after_fork(void);
/* In a child that goes on as the owner */
void context_keep(void);
uint64_t context_new_serial(void);
#define CONTEXT_PREFIX "nestfd/"
#define QUEUE_PREFIX   "nestfd-queue/"
int context_bind_name(int fd, const char *prefix, uint64_t serial,
		      char name[CONTEXT_NAME]);
/* An event queue has been made: gives the program its own fd for it */
int context_event(struct context *context, int queue);
void context_event_closed(struct context *context, int queue);
/* An fd of libnestfd's that the program knows by the same number */
void context_private(struct context *context, int fd);

/* ---- queue.c: event and fault queues; with the lock held ---- */

struct queue {
	struct queue *next; /* fixed */
	uint64_t serial;    /* changes with each use */
	struct context *context;
	char name[CONTEXT_NAME];
	_Atomic int server; /* the owner's end, or -1: not in use */
	int fd;		    /* libnestfd's */
};

/* @q is NULL at the start and the end */
struct queue *queue_next(struct queue *q);
struct queue *queue_by_serial(uint64_t serial);
struct queue *queue_by_name(const char *name);
/* @fd: libnestfd's. The other end of the new queue, or a negative errno */
int queue_open(struct context *context, int fd, struct queue **out);
/* Undoes that; libnestfd has closed its fd */
void queue_drop(struct queue *q);
/* Ends it if nobody has it any more: true */
bool queue_check(struct queue *q);
bool queue_check_all(struct context *context);
struct file *queue_file(struct queue *q);
/* It has something to read. Without the lock, until libnestfd closes its fd */
void queue_signal(struct queue *q);
/* The same if it is true, which is the answer */
bool queue_sync(struct queue *q, uint64_t serial);
/* Takes tokens out of @fd, if that is still @f: how many */
unsigned int queue_drain(int fd, const struct file *f);
/* Without the lock: the program reads or writes @fd, which is @f */
ssize_t queue_io(int fd, struct file *f, void *buf, size_t len, bool write);
void queues_after_fork(void);
void queues_keep(void);
void queues_watch(void);

/* ---- serve.c: what other processes ask of the owner ---- */

/* Watches the context's server end, or no longer; with the lock held. */
int serve_watch(struct context *context);
void serve_unwatch(struct context *context);
int serve_watch_fd(int fd, uint64_t serial);
void serve_unwatch_fd(int fd);
void serve_after_fork(void);
/* Nothing is served meanwhile. */
void serve_pause(bool pause);
/* In a keeper: serves until nobody is left. Does not return. */
void serve_for_ever(void) __attribute__((noreturn));
/* Calls in progress outside of sections; with the lock held */
uint32_t serve_busy(void);

/* ---- remote.c: asking the owner ---- */

/* With the lock held; NULL: no memory */
struct remote *remote_find(const char *name);
/* @own: it has become ours, look again; @fd is one of the program's */
long remote_ioctl(struct remote *remote, int fd, unsigned long cmd, void *arg,
		  bool *own);
/* @fd is an event queue of @remote's, @f */
ssize_t remote_io(int fd, struct file *f, void *buf, size_t len, bool write);
/* The file that means it, of either kind; with the lock held */
struct file *remote_file(struct remote *remote, enum file_kind kind);
void remote_after_fork(void);
/*
 * Memory of this process goes away: those owners are told in whose contexts it
 * may be mapped. One who is to be told if it stays; nothing is allocated.
 */
struct remote *remote_memory_gone(uintptr_t at, size_t length);
void remote_memory_kept(struct remote *remote, uintptr_t at, size_t length);
/* Adds what others count as pinned and locked by @pid, in bytes */
void remote_pinned(pid_t pid, uint64_t sum[2]);

/* ---- message.c: what both say, over a channel, a socketpair of their own ----
 */

#define SERVE_MAGIC 0x6e657374u
#define SERVE_DATA  32768u

enum serve_op {
	/* On the context's own socket, with the channel's other end */
	SERVE_CONNECT = 1,
	/* the same, and the context may become the caller's if nobody used it
	 */
	SERVE_CONNECT_OWN,
	/* the owner's first word on a channel; or here is the server end */
	SERVE_HELLO,
	SERVE_TAKE_OVER,
	/* on the channel, in either direction; each has one answer */
	SERVE_IOCTL,
	SERVE_READ,
	SERVE_WRITE,
	SERVE_SYNC,
	/* with a pid in @arg: two numbers, see nestfd_pinned() */
	SERVE_PINNED,
	/* memory of the caller's: address in @arg, length in @cmd; as
	 * nestfd_memory_gone() and nestfd_memory_kept() */
	SERVE_GONE,
	SERVE_KEPT,
	/* before the answer to an ioctl: a queue, answered by its number */
	SERVE_GIVE,
	SERVE_RESULT,
};

struct serve_message {
	uint32_t magic;
	uint32_t op;   /* enum serve_op */
	int64_t value; /* a result, a pid, an fd */
	uint64_t cmd;
	uint64_t arg;
	uint32_t pending; /* SERVE_RESULT: there is more to read */
	uint32_t length;  /* of @data */
	unsigned char data[];
};

/* 0 or -errno; @fd -1 for none. @length bytes of data follow. */
int serve_send(int to, const struct serve_message *m, const void *data,
	       uint32_t length, int fd);
/* @fd -1: none came. -EPIPE: the other side has gone. -EAGAIN; -EPROTO */
int serve_receive_now(int from, struct serve_message *m, void *data,
		      uint32_t room, int *fd);
/*
 * Waits at most @timeout milliseconds (-1: for ever). At most @room bytes of
 * data; *@fd is -1 if none came. -EPIPE: the other side has gone. -EPROTO.
 */
int serve_receive(int from, struct serve_message *m, void *data, uint32_t room,
		  int *fd, int timeout);

/* ---- memory of this process that may be missing ---- */

int self_read(void *ctx, void *dst, uint64_t addr, size_t len);
int self_write(void *ctx, uint64_t addr, const void *src, size_t len);

/* ---- calls.c, numbers.c: the calls themselves; negative errnos ---- */

long answer_ioctl(int fd, unsigned long cmd, void *arg);
/* What an fd leaves behind when its number is taken from the table */
void file_released(struct file *file);

/* ---- signals.c ---- */

/* From now on the program's handlers are called by us. */
void signals_take(void);
void signals_after_fork(void);

/* ---- keeper.c ---- */

/* Somebody may still need what we own when this program is gone. */
struct keeper {
	int pipe;
};
void keeper_before_exec(struct keeper *keeper);
void keeper_exec_failed(struct keeper *keeper);
void keeper_before_exit(void);

/* ---- watch.c: --trace and --stats ---- */

extern bool watch_on __attribute__((visibility("hidden")));
extern int watch_fd __attribute__((visibility("hidden")));
void watch_start(void);

struct trace_line;

/* One call that is looked at */
struct watch {
	struct trace_line *line; /* NULL: counted only */
	unsigned int row;
	uint64_t began;
};

void watch_ioctl(struct watch *w, int fd, unsigned long cmd, void *arg);
void watch_other(struct watch *w, unsigned int row, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void watch_end(struct watch *w, long rc);

/* ---- memory.c: memory of the program that goes away ---- */

#define MEMORY_PAGE 4096u

/* The machine of this process, once there is one */
extern _Atomic(struct nestfd_machine *) memory_machine
	__attribute__((visibility("hidden")));
/* There is one, or memory is mapped in another process's */
extern _Atomic bool memory_watched __attribute__((visibility("hidden")));

static inline bool memory_is_watched(void)
{
	return atomic_load_explicit(&memory_watched, memory_order_relaxed);
}

/* Memory that a call is about to take away */
struct leaving {
	uintptr_t at;
	size_t length;
	int gone;	       /* as of nestfd_memory_gone() */
	struct remote *remote; /* an owner who was told; NULL: none */
};

void memory_leaving(struct leaving *l, const void *addr, size_t len);
void memory_stays(const struct leaving *l);

/* ---- failnth.c ---- */

/* What the real call answered, or a file of ours if it found none */
int failnth_open(int dir, const char *path, int flags, int fd);

/* ---- status.c ---- */

/* @fd has been opened for reading: what it says becomes true of us, too */
void status_patch(const char *path, int fd);

static inline bool status_may_be(const char *path)
{
	return path[0] == '/' && path[1] == 'p' && path[2] == 'r' &&
	       path[3] == 'o' && path[4] == 'c' && path[5] == '/';
}

static inline int status_opened(const char *path, int flags, int fd)
{
	if (UNLIKELY(fd >= 0 && status_may_be(path)) &&
	    (flags & O_ACCMODE) == O_RDONLY)
		status_patch(path, fd);
	return fd;
}

#endif
