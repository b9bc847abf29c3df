// SPDX-License-Identifier: MIT
/* Whether a client's memory is there, asked of the kernel in both ways. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "mem/client.h"
#include "mem/client_priv.h"
#include "mem/guard.h"

#define PAGE 4096u
#define RW   (PROT_READ | PROT_WRITE)

static char *map_pages(size_t pages)
{
	char *p = mmap(NULL, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

/* All ways of asking must agree. */
static int check(const char *va, uint64_t length, bool write)
{
	struct client_check_range range = { (uintptr_t)va,
					    (uintptr_t)va + length - 1, write };
	struct client_maps maps;
	int a, b, c;

	client_maps_open(&maps);
	a = client_maps_check(&maps, va, length, write);
	client_maps_close(&maps);
	b = client_check(va, length, write);
	c = client_check_text(range);
	assert_int_equal(a, b);
	assert_int_equal(a, c);
	return a;
}

static void mapped_memory_is_there(void **state)
{
	char *p = map_pages(4);

	(void)state;
	assert_int_equal(check(p, 4 * PAGE, true), 0);
	assert_int_equal(check(p + 1, 1, true), 0);
	assert_int_equal(check(p + 4 * PAGE - 1, 1, false), 0);
	assert_int_equal(check((char *)&p, sizeof(p), true), 0);
	munmap(p, 4 * PAGE);
}

static void a_range_over_several_mappings_is_there(void **state)
{
	char *p = map_pages(9);

	(void)state;
	for (int i = 1; i < 9; i += 2)
		mprotect(p + i * (int)PAGE, PAGE, PROT_READ);
	assert_int_equal(check(p, 9 * PAGE, false), 0);
	assert_int_equal(check(p + 17, 8 * PAGE, false), 0);
	assert_int_equal(check(p, 9 * PAGE, true), -EFAULT);
	assert_int_equal(check(p, PAGE, true), 0);
	assert_int_equal(check(p, PAGE + 1, true), -EFAULT);
	munmap(p, 9 * PAGE);
}

static void any_hole_is_efault(void **state)
{
	(void)state;
	for (int hole = 0; hole < 5; hole++) {
		char *p = map_pages(5);

		munmap(p + hole * (int)PAGE, PAGE);
		assert_int_equal(check(p, 5 * PAGE, false), -EFAULT);
		if (hole)
			assert_int_equal(check(p, (uint64_t)hole * PAGE, true),
					 0);
		munmap(p, 5 * PAGE);
	}
}

static void inaccessible_memory_is_efault(void **state)
{
	char *p = map_pages(2);

	(void)state;
	mprotect(p + PAGE, PAGE, PROT_NONE);
	assert_int_equal(check(p, 2 * PAGE, false), -EFAULT);
	assert_int_equal(check(p, PAGE, false), 0);
	mprotect(p, PAGE, PROT_WRITE);
	assert_int_equal(check(p, PAGE, false), -EFAULT);
	munmap(p, 2 * PAGE);
}

static void the_edges_of_the_address_space_are_efault(void **state)
{
	(void)state;
	assert_int_equal(check(NULL, 1, false), -EFAULT);
	assert_int_equal(check((char *)-PAGE, PAGE, false), -EFAULT);
	assert_int_equal(check((char *)1, UINT64_MAX, false), -EFAULT);
	assert_int_equal(client_check((char *)2, UINT64_MAX, false),
			 -EOVERFLOW);
	assert_int_equal(client_check(state, 0, false), -EINVAL);
}

/* A name of the greatest length must not end up between two lines. */
static void long_file_names_do_not_confuse(void **state)
{
	char dir[] = "/tmp/nestfd-test-XXXXXX";
	char name[256], path[300];
	char *p;
	int fd;

	(void)state;
	if (!mkdtemp(dir))
		skip();
	memset(name, 'x', 250);
	memcpy(name, "\n0-ffffffffffffffff rw", 22);
	name[250] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 3 * PAGE), 0);
	p = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	munmap(p + PAGE, PAGE);
	assert_int_equal(check(p, PAGE, true), 0);
	assert_int_equal(check(p, 3 * PAGE, true), -EFAULT);
	assert_int_equal(check(p + 2 * PAGE, PAGE, true), 0);
	munmap(p, 3 * PAGE);
	close(fd);
	unlink(path);
	rmdir(dir);
}

static void without_a_view_nothing_is_there(void **state)
{
	struct client_maps maps = { .fd = -1, .pid = getpid() };

	(void)state;
	assert_int_equal(client_maps_check(&maps, &maps, 1, true), -EFAULT);
	client_maps_close(&maps);
}

static void a_child_is_asked_about_itself(void **state)
{
	struct client_maps maps;
	char *p = map_pages(1);
	int status;
	pid_t pid;

	(void)state;
	client_maps_open(&maps);
	pid = fork();
	if (!pid) {
		munmap(p, PAGE);
		_exit(client_maps_check(&maps, p, PAGE, true) == -EFAULT ? 0
									 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(client_maps_check(&maps, p, PAGE, true), 0);
	client_maps_close(&maps);
	munmap(p, PAGE);
}

static int new_file(uint64_t size)
{
	int fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void a_mapped_file_outlives_the_clients_mapping(void **state)
{
	int fd = new_file(4 * PAGE);
	struct client_file f = { 0 };
	char *host;

	(void)state;
	assert_int_equal(pwrite(fd, "abc", 3, PAGE + 100), 3);
	assert_int_equal(client_file_map(fd, PAGE + 100, PAGE, true, &f), 0);
	close(fd);
	host = f.host;
	assert_memory_equal(host, "abc", 3);
	memcpy(host + PAGE - 3, "xyz", 3);
	assert_int_equal(check(host, PAGE, true), 0);
	client_file_unmap(&f);
	assert_null(f.base);
	assert_int_equal(check(host, 1, false), -EFAULT);
	client_file_unmap(&f);
}

static void writes_reach_the_file(void **state)
{
	int fd = new_file(2 * PAGE);
	struct client_file f;
	char c[3];

	(void)state;
	assert_int_equal(client_file_map(fd, 5, 10, true, &f), 0);
	memcpy(f.host, "hey", 3);
	assert_int_equal(pread(fd, c, 3, 5), 3);
	assert_memory_equal(c, "hey", 3);
	client_file_unmap(&f);
	assert_int_equal(client_file_map(fd, 0, PAGE, false, &f), 0);
	assert_int_equal(check(f.host, PAGE, true), -EFAULT);
	client_file_unmap(&f);
	close(fd);
}

static void ranges_outside_the_file_are_refused(void **state)
{
	int fd = new_file(2 * PAGE + 100);
	struct client_file f = { .size = 77 };

	(void)state;
	assert_int_equal(client_file_map(fd, 0, 0, true, &f), -EINVAL);
	assert_int_equal(client_file_map(fd, 2, UINT64_MAX, true, &f),
			 -EOVERFLOW);
	assert_int_equal(client_file_map(fd, 0, UINT64_MAX, true, &f), -EINVAL);
	assert_int_equal(client_file_map(fd, 0, 3 * PAGE, true, &f), -EINVAL);
	/* The last page is not wholly inside: Linux cannot pin it. */
	assert_int_equal(client_file_map(fd, 0, 2 * PAGE + 1, true, &f),
			 -EINVAL);
	assert_int_equal(f.size, 77);
	assert_int_equal(client_file_map(fd, 0, 2 * PAGE, true, &f), 0);
	client_file_unmap(&f);
	close(fd);
}

static void other_kinds_of_files_are_refused(void **state)
{
	struct client_file f;
	int pipes[2];
	int fd;

	(void)state;
	assert_int_equal(client_file_map(-1, 0, PAGE, true, &f), -EBADF);
	assert_int_equal(client_file_map(12345, 0, PAGE, true, &f), -EBADF);
	fd = open("/proc/self/exe", O_RDONLY);
	assert_int_equal(client_file_map(fd, 0, PAGE, false, &f), -EINVAL);
	close(fd);
	fd = open("/dev/zero", O_RDWR);
	assert_int_equal(client_file_map(fd, 0, PAGE, false, &f), -EINVAL);
	close(fd);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(client_file_map(pipes[0], 0, PAGE, false, &f),
			 -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
}

/* Linux does not look at how the file was opened. */
static void a_file_opened_for_reading_is_mapped_for_writing(void **state)
{
	int fd = new_file(PAGE);
	struct client_file f;
	char path[32];
	int ro;

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(ro >= 0);
	assert_int_equal(client_file_map(ro, 0, PAGE, true, &f), 0);
	memcpy(f.host, "w", 1);
	client_file_unmap(&f);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(client_file_map(fd, 0, PAGE, true, &f), -EPERM);
	assert_int_equal(client_file_map(fd, 0, PAGE, false, &f), 0);
	client_file_unmap(&f);
	close(ro);
	close(fd);
}

static void what_is_truncated_away_vanishes(void **state)
{
	int fd = new_file(2 * PAGE);
	struct client_file f;
	uint64_t v;

	(void)state;
	assert_int_equal(guard_init(), 0);
	assert_int_equal(client_file_map(fd, 0, 2 * PAGE, true, &f), 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(guard_load64(f.host, &v), 0);
	assert_int_equal(guard_load64((char *)f.host + PAGE, &v), -EFAULT);
	client_file_unmap(&f);
	close(fd);
}

static void mapping_can_be_made_to_fail(void **state)
{
	struct alloc_plan plan = { .fail_at = 1 };
	struct client_file f = { .size = 77 };
	int fd = new_file(PAGE);

	(void)state;
	alloc_arm(&plan);
	assert_int_equal(client_file_map(fd, 0, PAGE, true, &f), -ENOMEM);
	assert_int_equal(f.size, 77);
	assert_int_equal(client_file_map(fd, 0, PAGE, true, &f), 0);
	alloc_arm(NULL);
	assert_int_equal(plan.passed, 2);
	client_file_unmap(&f);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapped_memory_is_there),
		cmocka_unit_test(a_range_over_several_mappings_is_there),
		cmocka_unit_test(any_hole_is_efault),
		cmocka_unit_test(inaccessible_memory_is_efault),
		cmocka_unit_test(the_edges_of_the_address_space_are_efault),
		cmocka_unit_test(long_file_names_do_not_confuse),
		cmocka_unit_test(without_a_view_nothing_is_there),
		cmocka_unit_test(a_child_is_asked_about_itself),
		cmocka_unit_test(a_mapped_file_outlives_the_clients_mapping),
		cmocka_unit_test(writes_reach_the_file),
		cmocka_unit_test(ranges_outside_the_file_are_refused),
		cmocka_unit_test(other_kinds_of_files_are_refused),
		cmocka_unit_test(
			a_file_opened_for_reading_is_mapped_for_writing),
		cmocka_unit_test(what_is_truncated_away_vanishes),
		cmocka_unit_test(mapping_can_be_made_to_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
