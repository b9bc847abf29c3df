// SPDX-License-Identifier: MIT
/* See faults.h. */
#include "shim/seccomp/faults.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nestfd/nestfd.h>

#include "shim/seccomp/socket.h"

void faults_init(struct faults *f)
{
	pthread_mutex_init(&f->lock, NULL);
	for (unsigned int i = 0; i < FAULTS_MAX; i++)
		f->file[i].end = -1;
}

void faults_end(struct faults *f)
{
	for (unsigned int i = 0; i < FAULTS_MAX; i++)
		if (f->file[i].end >= 0)
			close(f->file[i].end);
	pthread_mutex_destroy(&f->lock);
}

/* With the lock held: a free one, after letting go those nobody has open */
static struct fault_file *find_free(struct faults *f)
{
	struct fault_file *found = NULL;

	for (unsigned int i = 0; i < FAULTS_MAX; i++) {
		struct fault_file *file = &f->file[i];

		if (file->end >= 0 && socket_has_hung_up(file->end)) {
			close(file->end);
			file->end = -1;
		}
		if (file->end < 0)
			found = file;
	}
	return found;
}

/* With the lock held: what any file of the thread says */
static uint64_t left_of(const struct faults *f, pid_t tid)
{
	for (unsigned int i = 0; i < FAULTS_MAX; i++)
		if (f->file[i].end >= 0 && f->file[i].tid == tid)
			return f->file[i].left;
	return 0;
}

static void set_left(struct faults *f, pid_t tid, uint64_t left)
{
	for (unsigned int i = 0; i < FAULTS_MAX; i++)
		if (f->file[i].end >= 0 && f->file[i].tid == tid)
			f->file[i].left = left;
}

static struct fault_file *find(struct faults *f, uint64_t cookie)
{
	for (unsigned int i = 0; i < FAULTS_MAX; i++)
		if (f->file[i].end >= 0 && f->file[i].cookie == cookie)
			return &f->file[i];
	return NULL;
}

int faults_open(struct faults *f, pid_t tid, int *program)
{
	struct fault_file *file;
	uint64_t cookie, left;
	int rc = -ENFILE;
	int fds[2];

	pthread_mutex_lock(&f->lock);
	file = find_free(f);
	if (file)
		rc = socket_pair(SOCK_NONBLOCK, fds, &cookie);
	if (!rc) {
		left = left_of(f, tid);
		*file = (struct fault_file){ fds[1], cookie, tid, left };
		atomic_store(&f->used, 1);
		*program = fds[0];
	}
	pthread_mutex_unlock(&f->lock);
	return rc == -EMFILE ? -ENFILE : rc;
}

static struct fault_file *file_of(struct faults *f, int fd)
{
	uint64_t cookie;

	if (!atomic_load(&f->used) || socket_cookie(fd, &cookie))
		return NULL;
	return find(f, cookie);
}

int faults_read(struct faults *f, int fd, uint64_t *left)
{
	struct fault_file *file;
	int rc = -ENOTTY;

	pthread_mutex_lock(&f->lock);
	file = file_of(f, fd);
	if (file) {
		*left = file->left;
		rc = 0;
	}
	pthread_mutex_unlock(&f->lock);
	return rc;
}

int faults_write(struct faults *f, int fd, uint64_t nth)
{
	struct fault_file *file;
	int rc = -ENOTTY;

	pthread_mutex_lock(&f->lock);
	file = file_of(f, fd);
	if (file) {
		set_left(f, file->tid, nth);
		rc = 0;
	}
	pthread_mutex_unlock(&f->lock);
	return rc;
}

void faults_arm(struct faults *f, pid_t tid)
{
	uint64_t left;

	if (!atomic_load(&f->used))
		return;
	pthread_mutex_lock(&f->lock);
	left = left_of(f, tid);
	pthread_mutex_unlock(&f->lock);
	nestfd_fail_nth(left);
}

void faults_disarm(struct faults *f, pid_t tid)
{
	uint64_t left;

	if (!atomic_load(&f->used))
		return;
	left = nestfd_fail_nth_left();
	nestfd_fail_nth(0);
	pthread_mutex_lock(&f->lock);
	set_left(f, tid, left);
	pthread_mutex_unlock(&f->lock);
}
