// SPDX-License-Identifier: MIT
/*
 * What the kernel says of this process's mappings: by PROCMAP_QUERY where it
 * has that ioctl (Linux 6.11), otherwise by the text of /proc/self/maps. And
 * our own mappings of clients' files.
 */
#include "mem/client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "mem/client_priv.h"

#define MAPS_PATH "/proc/self/maps"

/* The ABI of PROCMAP_QUERY, which older systems' <linux/fs.h> lacks. */
struct maps_query {
	uint64_t size;
	uint64_t query_flags;
	uint64_t query_addr;
	uint64_t vma_start;
	uint64_t vma_end; /* exclusive */
	uint64_t vma_flags;
	uint64_t vma_page_size;
	uint64_t vma_offset;
	uint64_t inode;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t vma_name_size;
	uint32_t build_id_size;
	uint64_t vma_name_addr;
	uint64_t build_id_addr;
};

_Static_assert(sizeof(struct maps_query) == 104, "the ioctl's number has it");

#define MAPS_QUERY    _IOWR('f', 17, struct maps_query)
#define MAPS_READABLE 0x01u
#define MAPS_WRITABLE 0x02u
#define MAPS_SHARED   0x08u

/* What is asked, and how far the answer has got: all below @next is fine. */
struct check {
	uint64_t next;
	uint64_t last;
	bool write;
	bool done;
};

/* One mapping [start, end) that holds c->next: go on behind it. */
static int check_mapping(struct check *c, uint64_t start, uint64_t end,
			 bool readable, bool writable)
{
	if (start > c->next || end <= c->next || !readable ||
	    (c->write && !writable))
		return -EFAULT;
	c->done = end - 1 >= c->last;
	c->next = end;
	return 0;
}

/* -ENOTTY when the kernel does not know the question. */
static int check_by_query(int fd, struct check *c)
{
	while (!c->done) {
		struct maps_query q = {
			.size = sizeof(q),
			.query_addr = c->next,
		};
		int rc;

		if (ioctl(fd, MAPS_QUERY, &q)) {
			if (errno == EINTR)
				continue;
			return errno == ENOTTY || errno == EINVAL ? -ENOTTY
								  : -EFAULT;
		}
		rc = check_mapping(c, q.vma_start, q.vma_end,
				   q.vma_flags & MAPS_READABLE,
				   q.vma_flags & MAPS_WRITABLE);
		if (rc)
			return rc;
	}
	return 0;
}

/* "start-end rwxp ..." in hexadecimal; anything else is no mapping. */
static int check_line(struct check *c, const char *line)
{
	unsigned long long start, end;
	char r, w;

	if (sscanf(line, "%llx-%llx %c%c", &start, &end, &r, &w) != 4)
		return -EFAULT;
	if (end <= c->next)
		return 0;
	return check_mapping(c, start, end, r == 'r', w == 'w');
}

/*
 * The text, by blocks: a file name may be longer than any buffer, so only the
 * beginning of each line is kept.
 */
static int check_by_text(int fd, struct check *c)
{
	char block[4096], line[64];
	size_t used = 0;
	off_t at = 0;
	ssize_t n;
	int rc = 0;

	while (!rc && !c->done) {
		n = pread(fd, block, sizeof(block), at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EFAULT; /* the end, and something is missing */
		at += n;
		for (ssize_t i = 0; i < n && !rc && !c->done; i++) {
			if (block[i] != '\n') {
				if (used < sizeof(line) - 1)
					line[used++] = block[i];
				continue;
			}
			line[used] = '\0';
			used = 0;
			rc = check_line(c, line);
		}
	}
	return rc;
}

int client_check_text(struct client_check_range range)
{
	struct check c = { range.first, range.last, range.write, false };
	int fd = open(MAPS_PATH, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -EFAULT;
	rc = check_by_text(fd, &c);
	close(fd);
	return rc;
}

void client_maps_open(struct client_maps *maps)
{
	maps->fd = open(MAPS_PATH, O_RDONLY | O_CLOEXEC);
	maps->pid = getpid();
	maps->other = false;
}

void client_maps_close(struct client_maps *maps)
{
	if (maps->fd >= 0)
		close(maps->fd);
	maps->fd = -1;
}

int client_maps_check(const struct client_maps *maps, const void *va,
		      uint64_t length, bool write)
{
	struct client_check_range range = { .write = write };
	struct check c;
	int rc;

	range.first = (uintptr_t)va;
	rc = range_last(range.first, length, &range.last);
	if (rc)
		return rc;
	/* The file shows the process that opened it: not a forked child. */
	if (!maps->other && maps->pid != getpid())
		return client_check(va, length, write);
	c = (struct check){ range.first, range.last, write, false };
	rc = check_by_query(maps->fd, &c);
	if (rc != -ENOTTY)
		return rc;
	return maps->other ? check_by_text(maps->fd, &c)
			   : client_check_text(range);
}

int client_check(const void *va, uint64_t length, bool write)
{
	struct client_maps maps;
	int rc;

	client_maps_open(&maps);
	rc = client_maps_check(&maps, va, length, write);
	client_maps_close(&maps);
	return rc;
}

/* One mapping, as far as it tells which memory lies behind it */
struct mapping {
	uint64_t start;
	uint64_t end; /* exclusive */
	uint64_t offset;
	uint64_t inode;
	uint64_t dev;
	bool readable;
	bool shared;
};

/* -ENOTTY when the kernel does not know the question. */
static int find_by_query(int fd, uint64_t va, struct mapping *out)
{
	struct maps_query q = { .size = sizeof(q), .query_addr = va };

	while (ioctl(fd, MAPS_QUERY, &q)) {
		if (errno != EINTR)
			return errno == ENOTTY || errno == EINVAL ? -ENOTTY
								  : -EFAULT;
	}
	*out = (struct mapping){
		.start = q.vma_start,
		.end = q.vma_end,
		.offset = q.vma_offset,
		.inode = q.inode,
		.dev = (uint64_t)q.dev_major << 32 | q.dev_minor,
		.readable = q.vma_flags & MAPS_READABLE,
		.shared = q.vma_flags & MAPS_SHARED,
	};
	return 0;
}

static bool parse_line(const char *line, struct mapping *out)
{
	unsigned long long start, end, offset, inode;
	unsigned int major, minor;
	char r, w, x, p;

	if (sscanf(line, "%llx-%llx %c%c%c%c %llx %x:%x %llu", &start, &end, &r,
		   &w, &x, &p, &offset, &major, &minor, &inode) != 10)
		return false;
	*out = (struct mapping){
		.start = start,
		.end = end,
		.offset = offset,
		.inode = inode,
		.dev = (uint64_t)major << 32 | minor,
		.readable = r == 'r',
		.shared = p == 's',
	};
	return true;
}

static int find_by_text(const char *path, uint64_t va, struct mapping *out)
{
	FILE *file = fopen(path, "re");
	char line[128];
	bool start = true;
	int rc = -EFAULT;

	if (!file)
		return -EFAULT;
	/* Lines may be longer: only the beginning of each counts. */
	while (fgets(line, sizeof(line), file)) {
		struct mapping m;

		if (start && parse_line(line, &m) && m.end > va) {
			*out = m;
			rc = 0;
			break;
		}
		start = strchr(line, '\n');
	}
	fclose(file);
	return rc;
}

static int find_mapping(const struct client_maps *maps, uint64_t va,
			struct mapping *out)
{
	char path[32] = MAPS_PATH;
	int rc = -ENOTTY;

	if (maps->other)
		snprintf(path, sizeof(path), "/proc/%d/maps", (int)maps->pid);
	if (maps->other || maps->pid == getpid())
		rc = find_by_query(maps->fd, va, out);
	if (rc == -ENOTTY)
		rc = find_by_text(path, va, out);
	if (!rc && (out->start > va || !out->readable))
		rc = -EFAULT;
	return rc;
}

int client_maps_where(const struct client_maps *maps, const void *va,
		      struct client_where *out)
{
	uint64_t at = (uintptr_t)va;
	struct mapping m;
	int rc = find_mapping(maps, at, &m);

	if (rc)
		return rc;
	*out = (struct client_where){
		.length = m.end - at,
		.shared = m.shared && m.inode,
		.dev = m.dev,
		.inode = m.inode,
		.offset = at - m.start + m.offset,
	};
	return 0;
}

bool client_same_file(const struct client_where *a,
		      const struct client_where *b)
{
	return a->shared && b->shared && a->inode == b->inode &&
	       a->dev == b->dev && a->offset == b->offset;
}

int client_maps_same(const struct client_maps *maps_a, const void *a,
		     const struct client_maps *maps_b, const void *b,
		     uint64_t length)
{
	const char *at_a = a;
	const char *at_b = b;

	if (a == b && maps_a == maps_b)
		return client_maps_check(maps_b, b, length, false);
	while (length) {
		struct client_where wa, wb;
		uint64_t n = length;
		int rc = client_maps_where(maps_b, at_b, &wb);

		if (!rc)
			rc = client_maps_where(maps_a, at_a, &wa);
		if (rc)
			return rc;
		if (!client_same_file(&wa, &wb))
			return -EBADE;
		n = n < wa.length ? n : wa.length;
		n = n < wb.length ? n : wb.length;
		at_a += n;
		at_b += n;
		length -= n;
	}
	return 0;
}

uint64_t client_find_shared(const char *path, const struct client_where *where,
			    uint64_t length)
{
	FILE *file = fopen(path, "re");
	uint64_t found = 0;
	bool start = true;
	char line[128];

	if (!file)
		return 0;
	while (!found && fgets(line, sizeof(line), file)) {
		struct mapping m;

		if (start && parse_line(line, &m) && m.shared &&
		    m.inode == where->inode && m.dev == where->dev &&
		    m.offset <= where->offset &&
		    where->offset - m.offset < m.end - m.start &&
		    m.end - m.start - (where->offset - m.offset) >= length)
			found = m.start + (where->offset - m.offset);
		start = strchr(line, '\n');
	}
	fclose(file);
	return found;
}

int client_maps_adopt(const struct client_maps *theirs, const void *va,
		      uint64_t length, bool write, void **out)
{
	struct client_maps self;
	struct client_where where;
	uint64_t own;
	void *copy;
	int rc;

	if (client_maps_where(theirs, va, &where) || !where.shared ||
	    where.length < length)
		return -ENOENT;
	own = client_find_shared(MAPS_PATH, &where, length);
	if (!own)
		return -ENOENT;
	/* Of nothing: a second mapping of the same shared memory */
	copy = mremap((void *)(uintptr_t)own, 0, length, MREMAP_MAYMOVE);
	if (copy == MAP_FAILED)
		return -ENOENT;
	/* Somebody may have been faster than we; and is all of it there? */
	client_maps_open(&self);
	rc = mprotect(copy, length, PROT_READ | (write ? PROT_WRITE : 0));
	if (!rc)
		rc = client_maps_same(&self, copy, theirs, va, length);
	client_maps_close(&self);
	if (rc) {
		munmap(copy, length);
		return -ENOENT;
	}
	*out = copy;
	return 0;
}

/* The kinds of file that Linux can pin: shmem (memfd, tmpfs) and hugetlb. */
static int file_check(int fd, uint64_t last, uint64_t *page_bytes)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) || fstatfs(fd, &fs))
		return errno == EBADF ? -EBADF : -EINVAL;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC)
		return -EINVAL;
	/* Linux pins whole pages, all of which must lie inside the file. */
	if ((last | (page - 1)) >= (uint64_t)st.st_size)
		return -EINVAL;
	*page_bytes =
		fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize : page;
	return 0;
}

/* Linux asks not how the file was opened: try to open it for writing too. */
static void *map_reopened(int fd, size_t size, off_t offset)
{
	char path[32];
	void *base;
	int mine;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	mine = open(path, O_RDWR | O_CLOEXEC);
	if (mine < 0) {
		errno = EACCES;
		return MAP_FAILED;
	}
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, mine,
		    offset);
	close(mine);
	return base;
}

static int map_errno(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
	case EBADF:
		return -error;
	case EOVERFLOW:
	case EINVAL:
		return -EINVAL;
	default:
		return -ENOMEM;
	}
}

int client_file_map(int fd, uint64_t start, uint64_t length, bool write,
		    struct client_file *out)
{
	uint64_t last, page_bytes, head;
	size_t size;
	void *base;
	int rc;

	rc = range_last(start, length, &last);
	if (rc)
		return rc;
	rc = file_check(fd, last, &page_bytes);
	if (rc)
		return rc;
	if (alloc_fault_point())
		return -ENOMEM;

	/* Below the file's size, so nothing overflows; whole pages. */
	head = start & (page_bytes - 1);
	size = (size_t)((head + length + page_bytes - 1) & ~(page_bytes - 1));
	base = mmap(NULL, size, PROT_READ | (write ? PROT_WRITE : 0),
		    MAP_SHARED, fd, (off_t)(start - head));
	if (base == MAP_FAILED && errno == EACCES)
		base = map_reopened(fd, size, (off_t)(start - head));
	if (base == MAP_FAILED)
		return map_errno(errno);
	out->base = base;
	out->size = size;
	out->host = (char *)base + head;
	return 0;
}

void client_file_unmap(struct client_file *file)
{
	if (file->base)
		munmap(file->base, file->size);
	*file = (struct client_file){ 0 };
}

#define MAPS_DMA_BUF_MAGIC 0x444d4142

int client_dmabuf_check(int fd, uint64_t last)
{
	struct statfs fs;
	off_t size;

	if (fstatfs(fd, &fs) || fs.f_type != MAPS_DMA_BUF_MAGIC)
		return 0;
	size = lseek(fd, 0, SEEK_END);
	return size < 0 || (uint64_t)size <= last ? -EINVAL : -EOPNOTSUPP;
}
