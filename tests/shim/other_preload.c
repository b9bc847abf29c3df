// SPDX-License-Identifier: MIT
/*
 * Another library that a program preloads: it has hooks of its own on some of
 * our functions, which it counts, and a simple-minded allocator that holds its
 * lock while it calls mmap() and munmap(). At the end it says what it has seen
 * if OTHER_PRELOAD_SAYS is set.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEAD                                                             \
	64u /* in front of each block: where its mapping begins and ends \
	     */

struct head {
	size_t mapped;
	size_t size;
	char *base;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned long ioctls, opens, closes, blocks;

static void *take(size_t size, size_t align)
{
	size_t mapped = (size + align + HEAD + 4095) & ~(size_t)4095;
	struct head *head;
	char *base, *at;

	if (mapped < size)
		return NULL;
	pthread_mutex_lock(&lock);
	base = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_mutex_unlock(&lock);
	if (base == MAP_FAILED) {
		errno = ENOMEM;
		return NULL;
	}
	blocks++;
	at = (char *)(((uintptr_t)base + HEAD + align - 1) & -align);
	head = (struct head *)(at - HEAD);
	*head = (struct head){ mapped, size, base };
	return at;
}

void *malloc(size_t size)
{
	return take(size, 16);
}

void *calloc(size_t n, size_t size)
{
	size_t total;

	return __builtin_mul_overflow(n, size, &total) ? NULL : take(total, 16);
}

void *memalign(size_t align, size_t size);
void *memalign(size_t align, size_t size)
{
	return take(size, align < 16 ? 16 : align);
}

void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
	*out = memalign(align, size);
	return *out ? 0 : ENOMEM;
}

void free(void *block)
{
	int saved = errno;
	struct head head;

	if (!block)
		return;
	head = *(struct head *)((char *)block - HEAD);
	pthread_mutex_lock(&lock);
	munmap(head.base, head.mapped);
	pthread_mutex_unlock(&lock);
	errno = saved;
}

void *realloc(void *block, size_t size)
{
	size_t old = block ? ((struct head *)((char *)block - HEAD))->size : 0;
	void *new = malloc(size);

	if (new &&block)
		memcpy(new, block, old < size ? old : size);
	if (new)
		free(block);
	return new;
}

int ioctl(int fd, unsigned long cmd, ...);
int ioctl(int fd, unsigned long cmd, ...)
{
	int (*next)(int fd, unsigned long cmd, ...) = dlsym(RTLD_NEXT, "ioctl");
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	ioctls++;
	return next(fd, cmd, arg);
}

int open(const char *path, int flags, ...);
int open(const char *path, int flags, ...)
{
	int (*next)(const char *path, int flags, ...) =
		dlsym(RTLD_NEXT, "open");
	va_list args;
	int mode;

	va_start(args, flags);
	mode = va_arg(args, int);
	va_end(args);
	opens++;
	return next(path, flags, mode);
}

int close(int fd)
{
	int (*next)(int fd) = dlsym(RTLD_NEXT, "close");

	closes++;
	return next(fd);
}

static __attribute__((destructor)) void tell(void)
{
	char text[128];
	int n;

	if (!getenv("OTHER_PRELOAD_SAYS"))
		return;
	n = snprintf(text, sizeof(text), "seen: %d%d%d%d\n", ioctls > 0,
		     opens > 0, closes > 0, blocks > 0);
	if (write(STDOUT_FILENO, text, (size_t)n) != n)
		_exit(3);
}
