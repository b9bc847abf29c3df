// SPDX-License-Identifier: MIT
/*
 * The table of fds: blocks of pointers, made when the first fd of theirs is
 * one of ours. Looking up takes no lock; all else has the lock held.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shim/shim.h"

/* Where our own fds go: near the top of what select(2) and poor loops see. */
#define HIDE_LOW  768
#define HIDE_HIGH 65536

_Atomic(_Atomic(struct file *) *) table_blocks[TABLE_BLOCK];
_Atomic uint32_t table_used;

static _Atomic(struct file *) first_block[TABLE_BLOCK];
static struct file *files;

struct file *file_first(void)
{
	return files;
}

struct file *file_new(enum file_kind kind)
{
	struct file *file = files;

	while (file && (file->fds || atomic_load(&file->kind) != FILE_NONE))
		file = file->next;
	if (!file) {
		file = calloc(1, sizeof(*file));
		if (!file)
			return NULL;
		file->next = files;
		files = file;
	}
	file->context = NULL;
	file->remote = NULL;
	file->queue = -1;
	atomic_store(&file->q, NULL);
	atomic_store_explicit(&file->kind, kind, memory_order_release);
	return file;
}

static _Atomic(struct file *) *block_of(unsigned int fd, bool make)
{
	_Atomic(struct file *) *block;

	if (fd >= TABLE_MAX)
		return NULL;
	block = atomic_load(&table_blocks[fd / TABLE_BLOCK]);
	if (block || !make)
		return block;
	block = fd < TABLE_BLOCK ? first_block
				 : calloc(TABLE_BLOCK, sizeof(*block));
	if (block)
		atomic_store_explicit(&table_blocks[fd / TABLE_BLOCK], block,
				      memory_order_release);
	return block;
}

struct file *table_clear(int fd)
{
	_Atomic(struct file *) *block = block_of((unsigned int)fd, false);
	struct file *file;

	if (!block)
		return NULL;
	file = atomic_exchange(&block[(unsigned int)fd % TABLE_BLOCK], NULL);
	if (!file)
		return NULL;
	atomic_fetch_sub(&table_used, 1);
	if (!--file->fds && atomic_load(&file->kind) == FILE_INTERNAL)
		atomic_store(&file->kind, FILE_NONE);
	return file;
}

int table_set(int fd, struct file *file)
{
	_Atomic(struct file *) *block = block_of((unsigned int)fd, true);

	if (!block)
		return -ENOMEM;
	file->fds++; /* first: it may be the same one */
	table_clear(fd);
	atomic_fetch_add(&table_used, 1);
	atomic_store_explicit(&block[(unsigned int)fd % TABLE_BLOCK], file,
			      memory_order_release);
	return 0;
}

void table_each(void (*fn)(int fd, struct file *file, void *arg), void *arg)
{
	for (unsigned int b = 0; b < TABLE_BLOCK; b++) {
		_Atomic(struct file *) *block = atomic_load(&table_blocks[b]);

		for (unsigned int i = 0; block && i < TABLE_BLOCK; i++) {
			struct file *file = atomic_load(&block[i]);

			if (file)
				fn((int)(b * TABLE_BLOCK + i), file, arg);
		}
	}
}

/* The lowest number that is out of the way */
static int hide_at(void)
{
	struct rlimit limit;
	rlim_t max = 1024;

	if (!getrlimit(RLIMIT_NOFILE, &limit))
		max = limit.rlim_cur;
	if (max > HIDE_HIGH)
		max = HIDE_HIGH;
	return max > 2 * (1024 - HIDE_LOW) ? (int)max - (1024 - HIDE_LOW)
					   : (int)(max / 2);
}

static int move_up(int fd)
{
	int high = REAL(fcntl)(fd, F_DUPFD_CLOEXEC, hide_at());

	if (high < 0) {
		REAL(fcntl)(fd, F_SETFD, FD_CLOEXEC);
		return fd;
	}
	REAL(close)(fd);
	return high;
}

/* Without a mark it works as well, as long as nobody closes it. */
void fd_mark(int fd)
{
	struct file *file = file_new(FILE_INTERNAL);

	if (file && table_set(fd, file))
		atomic_store(&file->kind, FILE_NONE);
}

int fd_hide(int fd)
{
	fd = move_up(fd);
	fd_mark(fd);
	return fd;
}

#define RAISED_MAX 8

static __thread struct {
	int fd[RAISED_MAX];
	unsigned int n;
} raised __attribute__((tls_model("initial-exec")));

void fd_raise_begin(void)
{
	raised.n = 0;
}

int fd_raise(int fd)
{
	if (fd < 0)
		return fd;
	fd = move_up(fd);
	if (raised.n < RAISED_MAX)
		raised.fd[raised.n++] = fd;
	return fd;
}

void fd_raise_end(void)
{
	for (unsigned int i = 0; i < raised.n; i++)
		fd_mark(raised.fd[i]);
	raised.n = 0;
}

int fd_raise_last(void)
{
	return raised.n ? raised.fd[--raised.n] : -1;
}

void fd_close_hidden(int fd)
{
	table_clear(fd);
	REAL(close)(fd);
}
