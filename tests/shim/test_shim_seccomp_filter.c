// SPDX-License-Identifier: MIT
/*
 * What stops and what does not. A listener that nobody holds any more makes
 * the kernel answer ENOSYS to whatever would stop.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "seccomp_kit.h"
#include "shim/seccomp/filter.h"

/* What is placed begins at 900. */
static struct filter_config config = { .fds_first = 900 };

/* Runs @program with the filter and nobody listening. */
static void unheard(int (*program)(void))
{
	int status;
	pid_t pid;

	kit_need_seccomp();
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		bool interrupted;
		int fd = filter_install(&config, &interrupted);

		WANT(fd >= 0);
		/* close(2) may stop. */
		WANT(syscall(SYS_close_range, fd, fd, 0) == 0);
		_exit(program());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int sweep_commands(void)
{
	for (unsigned int cmd = 0x3a00; cmd < 0x3d00; cmd++) {
		int error = cmd >= 0x3b64 && cmd <= 0x3bff ? ENOSYS : EBADF;

		FAILS(syscall(SYS_ioctl, -1, cmd, 0), error);
	}
	return 0;
}

static void only_commands_of_iommufd_and_vfio_stop(void **state)
{
	(void)state;
	unheard(sweep_commands);
}

static int sweep_command_bits(void)
{
	/* The kernel looks at 32 bits: what is above does not hide one. */
	for (int bit = 10; bit < 64; bit++) {
		unsigned long cmd = 0x3b81 ^ 1ul << bit;

		FAILS(syscall(SYS_ioctl, -1, cmd, 0),
		      bit >= 32 ? ENOSYS : EBADF);
	}
	return 0;
}

static void a_command_is_its_low_32_bits(void **state)
{
	(void)state;
	unheard(sweep_command_bits);
}

static int call_others(void)
{
	struct stat st;
	int fds[2];
	int n;

	WANT(pipe(fds) == 0);
	WANT(ioctl(fds[0], FIONREAD, &n) == 0);
	FAILS(ioctl(fds[0], 0xae80, 0), ENOTTY); /* KVM_RUN */
	WANT(write(fds[1], "x", 1) == 1);
	WANT(poll(&(struct pollfd){ fds[0], POLLIN, 0 }, 1, 0) == 1);
	WANT(fstat(0, &st) == 0);
	WANT(stat("/", &st) == 0);
	WANT(open("/", O_RDONLY | O_DIRECTORY) >= 0);
	WANT(dup(0) >= 0);
	return 0;
}

static void other_calls_do_not_stop(void **state)
{
	(void)state;
	unheard(call_others);
}

static int call_openers(void)
{
	uint64_t how[3] = { 0 };

	FAILS(syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY, 0), ENOSYS);
	FAILS(syscall(SYS_openat2, AT_FDCWD, "/", how, sizeof(how)), ENOSYS);
	FAILS(syscall(SYS_faccessat, AT_FDCWD, "/", R_OK), ENOSYS);
	FAILS(syscall(SYS_faccessat2, AT_FDCWD, "/", R_OK, 0), ENOSYS);
#ifdef SYS_open
	FAILS(syscall(SYS_open, "/", O_RDONLY, 0), ENOSYS);
	FAILS(syscall(SYS_access, "/", R_OK), ENOSYS);
#endif
	return 0;
}

static void every_way_of_opening_stops(void **state)
{
	(void)state;
	unheard(call_openers);
}

static int have_a_child(void)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(sweep_commands());
	WANT(waitpid(pid, &status, 0) == pid);
	return status;
}

static void children_have_the_filter_too(void **state)
{
	(void)state;
	unheard(have_a_child);
}

static int call_on_placed(void)
{
	char byte;
	int fds[2];

	WANT(pipe(fds) == 0 && write(fds[1], "abc", 3) == 3);
	for (int fd = 899; fd <= 900 + 128; fd++) {
		bool stops = fd >= 900 && fd < 900 + 128;
		int error = stops ? ENOSYS : EBADF;

		FAILS(read(fd, &byte, 1), error);
		FAILS(write(fd, &byte, 1), error);
		FAILS(dup(fd), error);
		FAILS(fcntl(fd, F_DUPFD, 0), error);
		FAILS(fcntl(fd, F_DUPFD_CLOEXEC, 0), error);
		FAILS(fcntl(fd, F_GETFD), EBADF);
		FAILS(pread(fd, &byte, 1, 0), EBADF);
		FAILS(close(fd), EBADF);
	}
	WANT(read(fds[0], &byte, 1) == 1);
	return 0;
}

static void reads_and_writes_stop_where_fds_are_placed(void **state)
{
	(void)state;
	unheard(call_on_placed);
}

static int map_this_and_that(void)
{
	int fd = memfd_create("x", 0);

	WANT(ftruncate(fd, 4096) == 0);
	FAILS((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), ENOSYS);
	FAILS((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE, fd, 0),
	      ENOSYS);
	WANT(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED);
	WANT(mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) !=
	     MAP_FAILED);
	return 0;
}

static void only_shared_mappings_of_files_stop(void **state)
{
	(void)state;
	unheard(map_this_and_that);
}

static int want_more(void)
{
	char byte;

	FAILS(pread(900, &byte, 1, 0), ENOSYS);
	FAILS(pwrite(900, &byte, 1, 0), ENOSYS);
	FAILS(pread(899, &byte, 1, 0), EBADF);
	FAILS(syscall(SYS_openat, AT_FDCWD, "/", O_DIRECTORY), ENOSYS);
	FAILS(close(3000), ENOSYS);
	return 0;
}

static void more_stops_for_fault_injection_and_for_a_trace(void **state)
{
	const struct filter_config all = { 900, true, true };
	const struct filter_config before = config;

	(void)state;
	config = all;
	unheard(want_more);
	config = before;
}

static void fds_are_placed_below_the_limit(void **state)
{
	(void)state;
	assert_int_equal(filter_fds_first(1024), 896);
	assert_int_equal(filter_fds_first(UINT64_MAX), 896);
	assert_int_equal(filter_fds_first(512), 384);
	assert_int_equal(filter_fds_first(256), 128);
	assert_int_equal(filter_fds_first(255), 0);
	assert_int_equal(filter_fds_first(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_commands_of_iommufd_and_vfio_stop),
		cmocka_unit_test(a_command_is_its_low_32_bits),
		cmocka_unit_test(other_calls_do_not_stop),
		cmocka_unit_test(every_way_of_opening_stops),
		cmocka_unit_test(children_have_the_filter_too),
		cmocka_unit_test(reads_and_writes_stop_where_fds_are_placed),
		cmocka_unit_test(only_shared_mappings_of_files_stop),
		cmocka_unit_test(
			more_stops_for_fault_injection_and_for_a_trace),
		cmocka_unit_test(fds_are_placed_below_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
