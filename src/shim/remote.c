// SPDX-License-Identifier: MIT
/*
 * Contexts of other processes: one channel to the owner for each, over which
 * one call at a time is asked for. Signals wait until it is answered.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim/shim.h"

/* An owner can go away between two messages: a keeper takes its place. */
#define ATTEMPTS 4

/* Milliseconds: more than nestfd_memory_gone() takes */
#define GONE_TIMEOUT 1000

struct remote {
	struct remote *next;	 /* fixed */
	char name[CONTEXT_NAME]; /* fixed */
	pthread_mutex_t lock;	 /* one call at a time */
	int channel;		 /* -1: none yet */
	bool inherited;		 /* by fork: stays its owner's */
	/* Of its own, for what an allocator may call: see tell_owner() */
	pthread_mutex_t gone_lock;
	_Atomic int gone_channel; /* -1: nothing of ours is mapped there */
	_Atomic uintptr_t low;	  /* all that is lies within */
	_Atomic uintptr_t high;
};

static _Atomic(struct remote *) remotes;

struct remote *remote_find(const char *name)
{
	struct remote *r = remotes;

	while (r && memcmp(r->name, name, CONTEXT_NAME))
		r = r->next;
	if (r)
		return r;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	memcpy(r->name, name, CONTEXT_NAME);
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->gone_lock, NULL);
	r->channel = -1;
	r->gone_channel = -1;
	r->low = UINTPTR_MAX;
	r->next = remotes;
	remotes = r;
	return r;
}

struct file *remote_file(struct remote *r, enum file_kind kind)
{
	struct file *f = file_first();

	while (f && (atomic_load(&f->kind) != kind || f->remote != r))
		f = f->next;
	if (f || !r)
		return f;
	f = file_new(FILE_NONE);
	if (!f)
		return NULL;
	f->remote = r;
	atomic_store_explicit(&f->kind, kind, memory_order_release);
	return f;
}

/* The channels were the parent's; they are closed with all hidden fds. */
void remote_after_fork(void)
{
	for (struct remote *r = remotes; r; r = r->next) {
		pthread_mutex_init(&r->lock, NULL);
		pthread_mutex_init(&r->gone_lock, NULL);
		r->channel = -1;
		r->gone_channel = -1;
		r->low = UINTPTR_MAX;
		r->high = 0;
		r->inherited = true;
	}
}

static void remote_drop(struct remote *r)
{
	struct shim_lock l;

	if (r->channel < 0)
		return;
	shim_lock(&l);
	fd_close_hidden(r->channel);
	shim_unlock(&l);
	r->channel = -1;
}

static void move_file(struct file *f, struct context *c)
{
	f->context = c;
	atomic_store_explicit(&f->kind, FILE_CONTEXT, memory_order_release);
}

/* The context becomes ours: the files that mean it change sides. */
static int take_over(struct remote *r, int server)
{
	struct shim_lock l;
	struct file *f;
	int rc = -ENOMEM;

	if (server < 0)
		return -EPROTO;
	shim_lock(&l);
	f = context_adopt(r->name, server);
	if (f) {
		struct context *c = f->context;

		for (struct file *g = file_first(); g; g = g->next)
			if (atomic_load(&g->kind) == FILE_REMOTE &&
			    g->remote == r)
				move_file(g, c);
		rc = 0;
	}
	shim_unlock(&l);
	return rc;
}

/* Asks the owner for a channel, over the program's own fd: its number */
static int connect_owner(struct remote *r, int fd, bool *own)
{
	struct serve_message m = {
		.magic = SERVE_MAGIC,
		.op = own && !r->inherited ? SERVE_CONNECT_OWN : SERVE_CONNECT,
	};
	struct shim_lock l;
	int fds[2];
	int got = -1;
	int rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -errno;
	rc = serve_send(fd, &m, NULL, 0, fds[1]);
	REAL(close)(fds[1]);
	if (!rc)
		rc = serve_receive(fds[0], &m, NULL, 0, &got, -1);
	if (!rc && m.op == SERVE_TAKE_OVER && own) {
		rc = take_over(r, got);
		*own = !rc;
	} else if (!rc && m.op == SERVE_HELLO) {
		/* Where only ancestors may look into a process (Yama) */
		prctl(PR_SET_PTRACER, (unsigned long)m.value, 0, 0, 0);
		shim_lock(&l);
		got = fd_hide(fds[0]);
		shim_unlock(&l);
		return got;
	}
	REAL(close)(fds[0]);
	return rc ? rc : -EPROTO;
}

struct any_fd {
	struct remote *remote;
	int fd;
};

static void find_fd(int fd, struct file *f, void *arg)
{
	struct any_fd *any = arg;

	enum file_kind kind = atomic_load(&f->kind);

	if ((kind == FILE_REMOTE || kind == FILE_REMOTE_EVENT) &&
	    f->remote == any->remote)
		any->fd = fd;
}

/* Some fd of the program's over which the owner can be reached */
static int fd_of(struct remote *r)
{
	struct any_fd any = { r, -1 };
	struct shim_lock l;

	shim_lock(&l);
	table_each(find_fd, &any);
	shim_unlock(&l);
	return any.fd;
}

/* The owner has made a queue: its fd gets a number here. */
static int take_queue(int fd)
{
	if (fd < 0)
		return -EMFILE;
	if (context_recognise(fd))
		return fd;
	REAL(close)(fd);
	return -EMFILE;
}

static int answer_give(struct remote *r, int fd)
{
	struct serve_message m = {
		.magic = SERVE_MAGIC,
		.op = SERVE_RESULT,
		.value = take_queue(fd),
	};

	return serve_send(r->channel, &m, NULL, 0, -1);
}

/* One question and its answer; -EPIPE: there is nobody */
static int ask(struct remote *r, struct serve_message *m, const void *data,
	       void *reply, uint32_t room)
{
	int rc = serve_send(r->channel, m, data, m->length, -1);
	int fd;

	while (!rc) {
		rc = serve_receive(r->channel, m, reply, room, &fd, -1);
		if (rc)
			break;
		if (m->op == SERVE_GIVE)
			rc = answer_give(r, fd);
		else if (m->op == SERVE_RESULT)
			return 0;
		else
			rc = -EPROTO;
	}
	return -EPIPE;
}

/* With r->lock held. @own NULL: it must not change hands */
static int ask_somebody(struct remote *r, int fd,
			const struct serve_message *question, const void *data,
			void *reply, uint32_t room, struct serve_message *m,
			bool *own)
{
	int rc = -EPIPE;

	for (int i = 0; i < ATTEMPTS && rc == -EPIPE; i++) {
		rc = r->channel >= 0 ? r->channel : connect_owner(r, fd, own);
		if (rc == -EPIPE || rc == -ECONNRESET || rc == -ECONNREFUSED) {
			rc = -EPIPE;
			continue;
		}
		if (own && *own)
			return 0;
		if (rc < 0)
			return rc;
		r->channel = rc;
		*m = *question;
		rc = ask(r, m, data, reply, room);
		if (rc)
			remote_drop(r);
	}
	return rc ? -ENODEV : 0; /* the owner died with what it had */
}

/* @m: the question, and the answer if there is one */
static long call(struct remote *r, int fd, struct serve_message *m,
		 const void *data, void *reply, uint32_t room, bool *own)
{
	const struct serve_message question = *m;
	struct shim_lock quiet;
	int rc;

	if (!r)
		return -ENOMEM;
	shim_quiet(&quiet);
	pthread_mutex_lock(&r->lock);
	rc = ask_somebody(r, fd, &question, data, reply, room, m, own);
	pthread_mutex_unlock(&r->lock);
	shim_loud(&quiet);
	return rc ? rc : (long)m->value;
}

/* ---- Memory of ours that is mapped there ---- */

/* What the call that has just succeeded mapped; false: nothing of ours */
static bool mapped_memory(unsigned long cmd, const void *arg, uintptr_t *low,
			  uintptr_t *high)
{
	struct vfio_iommu_type1_dma_map vfio;
	struct iommu_ioas_map map;

	switch ((unsigned int)cmd) {
	case IOMMU_IOAS_MAP:
		if (self_read(NULL, &map, (uintptr_t)arg, sizeof(map)))
			break;
		*low = map.user_va;
		*high = map.user_va + map.length;
		return true;
	case VFIO_IOMMU_MAP_DMA:
		if (self_read(NULL, &vfio, (uintptr_t)arg, sizeof(vfio)))
			break;
		*low = vfio.vaddr;
		*high = vfio.vaddr + vfio.size;
		return true;
	case IOMMU_IOAS_CHANGE_PROCESS:
		break;
	default:
		return false;
	}
	*low = 0;
	*high = UINTPTR_MAX;
	return true;
}

static void note_mapping(struct remote *r, int fd, unsigned long cmd,
			 const void *arg)
{
	struct shim_lock quiet;
	uintptr_t low, high;

	if (!mapped_memory(cmd, arg, &low, &high))
		return;
	shim_quiet(&quiet);
	pthread_mutex_lock(&r->lock);
	if (low < r->low)
		r->low = low;
	if (high > r->high)
		r->high = high;
	if (r->gone_channel < 0)
		r->gone_channel = connect_owner(r, fd, NULL);
	pthread_mutex_unlock(&r->lock);
	shim_loud(&quiet);
	atomic_store(&memory_watched, true);
}

/*
 * On a channel and with a lock that are for this alone: whoever holds the other
 * one may be waiting for memory, from an allocator that is calling us.
 */
static int tell_owner(struct remote *r, enum serve_op op, uintptr_t at,
		      size_t length)
{
	struct serve_message m = {
		.magic = SERVE_MAGIC,
		.op = op,
		.cmd = length,
		.arg = at,
	};
	struct shim_lock quiet;
	int fd, rc;

	shim_quiet(&quiet);
	pthread_mutex_lock(&r->gone_lock);
	rc = serve_send(r->gone_channel, &m, NULL, 0, -1);
	if (!rc)
		rc = serve_receive(r->gone_channel, &m, NULL, 0, &fd,
				   GONE_TIMEOUT);
	if (rc) /* it has gone itself, or an answer would come too late */
		r->gone_channel = -1;
	pthread_mutex_unlock(&r->gone_lock);
	shim_loud(&quiet);
	return rc ? 0 : (int)m.value;
}

struct remote *remote_memory_gone(uintptr_t at, size_t length)
{
	struct remote *told = NULL;

	for (struct remote *r = remotes; r; r = r->next)
		if (r->gone_channel >= 0 && at < r->high &&
		    at + length > r->low &&
		    tell_owner(r, SERVE_GONE, at, length) == NESTFD_GONE)
			told = r;
	return told;
}

void remote_memory_kept(struct remote *r, uintptr_t at, size_t length)
{
	tell_owner(r, SERVE_KEPT, at, length);
}

/* ---- Calls ---- */

long remote_ioctl(struct remote *r, int fd, unsigned long cmd, void *arg,
		  bool *own)
{
	struct serve_message m = {
		.magic = SERVE_MAGIC,
		.op = SERVE_IOCTL,
		.cmd = cmd,
		.arg = (uintptr_t)arg,
	};
	long rc = call(r, fd, &m, NULL, NULL, 0, own);

	if (!rc && !*own)
		note_mapping(r, fd, cmd, arg);
	return rc;
}

static unsigned int drain(int fd, const struct file *f)
{
	struct shim_lock l;
	unsigned int n;

	shim_lock(&l);
	n = queue_drain(fd, f);
	shim_unlock(&l);
	return n;
}

/* See queue.c: what came meanwhile may have been read at once. */
static long read_queue(int fd, struct file *f, void *data, uint64_t len)
{
	struct serve_message m = {
		.magic = SERVE_MAGIC,
		.op = SERVE_READ,
		.arg = len,
	};
	struct serve_message sync = {
		.magic = SERVE_MAGIC,
		.op = SERVE_SYNC,
	};
	long rc;

	drain(fd, f);
	rc = call(f->remote, fd, &m, NULL, data, SERVE_DATA, NULL);
	if (rc >= 0 && !m.pending && drain(fd, f))
		call(f->remote, fd, &sync, NULL, NULL, 0, NULL);
	return rc > (long)len ? -EIO : rc;
}

static ssize_t remote_read(int fd, struct file *f, void *buf, size_t len)
{
	void *data = malloc(SERVE_DATA);
	long rc = -ENOMEM;

	if (data)
		rc = read_queue(fd, f, data,
				len < SERVE_DATA ? len : SERVE_DATA);
	if (rc > 0 && self_write(NULL, (uintptr_t)buf, data, (size_t)rc))
		rc = -EFAULT;
	free(data);
	return rc;
}

static ssize_t remote_write(int fd, struct file *f, const void *buf, size_t len)
{
	struct serve_message m = {
		.magic = SERVE_MAGIC,
		.op = SERVE_WRITE,
		.length = len < SERVE_DATA ? (uint32_t)len : SERVE_DATA,
	};
	void *data = malloc(SERVE_DATA);
	long rc = -ENOMEM;

	if (data)
		rc = self_read(NULL, data, (uintptr_t)buf, m.length);
	if (!rc)
		rc = call(f->remote, fd, &m, data, NULL, 0, NULL);
	free(data);
	return rc;
}

ssize_t remote_io(int fd, struct file *f, void *buf, size_t len, bool write)
{
	if (!f->remote)
		return -ENODEV; /* a private fd of a process before fork() */
	return write ? remote_write(fd, f, buf, len)
		     : remote_read(fd, f, buf, len);
}

void remote_pinned(pid_t pid, uint64_t sum[2])
{
	struct shim_lock l;
	struct remote *r;

	shim_lock(&l);
	r = remotes;
	shim_unlock(&l);
	for (; r; r = r->next) {
		struct serve_message m = {
			.magic = SERVE_MAGIC,
			.op = SERVE_PINNED,
			.arg = (uint64_t)pid,
		};
		uint64_t counts[2] = { 0 };
		int fd = fd_of(r);

		if (fd < 0 ||
		    call(r, fd, &m, NULL, counts, sizeof(counts), NULL))
			continue;
		sum[0] += counts[0];
		sum[1] += counts[1];
	}
}
