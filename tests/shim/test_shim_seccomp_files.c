// SPDX-License-Identifier: MIT
/*
 * Files and memory of a program under the supervisor: what the kernel says and
 * does about them on Linux, and cannot know here.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "seccomp_kit.h"

/* ---- /proc/PID/status ---- */

/* The number behind @tag, in kB */
static long status_of(const char *path, const char *tag)
{
	char text[8192], *found;
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	WANT(n > 0 && close(fd) == 0);
	text[n] = '\0';
	found = strstr(text, tag);
	WANT(found);
	return atol(found + strlen(tag));
}

static int pin_a_page(void)
{
	struct mock_cmd dev = { .op = 12 };
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.iova = 0x1000000,
		.length = 4096,
	};
	int memfd = memfd_create("x", 0);
	int fd = dev_open();
	char other[64];
	int status;
	pid_t pid;

	WANT(ftruncate(memfd, 4096) == 0);
	WANT(ioas_alloc(fd, &dev.id) == 0);
	unmap.ioas_id = dev.id;
	WANT(mock_call(fd, &dev) == 0);
	WANT(status_of("/proc/self/status", "\nVmPin:") == 0);
	WANT(map_a_file(fd, unmap.ioas_id, memfd, 0x1000000) == 0);
	WANT(status_of("/proc/self/status", "\nVmPin:") == 4);
	snprintf(other, sizeof(other), "/proc/%d/status", getpid());
	pid = fork();
	if (!pid) {
		WANT(status_of(other, "\nVmPin:") == 4);
		WANT(status_of("/proc/self/status", "\nVmPin:") == 0);
		_exit(0);
	}
	WANT(waitpid(pid, &status, 0) == pid && status == 0);
	WANT(ioctl(fd, IOMMU_IOAS_UNMAP, &unmap) == 0);
	WANT(status_of(other, "\nVmPin:") == 0);
	FAILS(open("/proc/self/status2", O_RDONLY), ENOENT);
	FAILS(open("/proc/4000000000/status", O_RDONLY), ENOENT);
	return 0;
}

static void status_says_what_is_pinned(void **state)
{
	(void)state;
	kit_run("mock", pin_a_page);
}

/* ---- fail-nth ---- */

static int nth_fd;

static void *ask_elsewhere(void *arg)
{
	uint32_t id;

	WANT(ioas_alloc(*(int *)arg, &id) == 0);
	return NULL;
}

static void want_nth(const char *text)
{
	char got[16] = "";

	WANT(pread(nth_fd, got, sizeof(got), 0) == (ssize_t)strlen(text));
	WANT(!strcmp(got, text));
}

static int let_fail(void)
{
	pthread_t thread;
	int fd = dev_open();
	char name[64];
	uint32_t id;
	int copy;

	WANT(ioas_alloc(fd, &id) == 0);
	snprintf(name, sizeof(name), "/proc/self/task/%d/fail-nth", getpid());
	nth_fd = open(name, O_RDWR | O_CLOEXEC);
	WANT(nth_fd >= 0 && fcntl(nth_fd, F_GETFD) == FD_CLOEXEC);
	want_nth("0\n");
	WANT(pwrite(nth_fd, "1", 1, 0) == 1);
	want_nth("1\n");
	/* Each thread has its own. */
	WANT(pthread_create(&thread, NULL, ask_elsewhere, &fd) == 0);
	WANT(pthread_join(thread, NULL) == 0);
	want_nth("1\n");
	FAILS(ioas_alloc(fd, &id), ENOMEM);
	want_nth("0\n");
	WANT(ioas_alloc(fd, &id) == 0);
	WANT(write(nth_fd, "1000\n", 5) == 5);
	WANT(ioas_alloc(fd, &id) == 0);
	WANT(pread(nth_fd, name, sizeof(name), 0) == 4); /* some are left */
	WANT(pwrite(nth_fd, "0", 1, 0) == 1);
	want_nth("0\n");
	FAILS(pwrite(nth_fd, "x", 1, 0), EINVAL);
	FAILS(pwrite(nth_fd, "", 0, 0), EINVAL);
	FAILS(syscall(SYS_pwrite64, nth_fd, 8, 1, 0), EFAULT);
	WANT(pread(nth_fd, name, sizeof(name), 2) == 0);
	copy = fcntl(nth_fd, F_DUPFD, 0);
	WANT(copy >= 0 && close(nth_fd) == 0);
	nth_fd = copy;
	want_nth("0\n");
	snprintf(name, sizeof(name), "/proc/self/task/%d/fail-nth", 1);
	FAILS(open(name, O_RDWR), ENOENT);
	return 0;
}

static void an_allocation_of_one_thread_can_be_made_to_fail(void **state)
{
	(void)state;
	kit_run("mock", let_fail);
}

static int set_controls(void)
{
	int folder = open("/sys/kernel/debug/", O_RDONLY | O_DIRECTORY);
	int fd = open("/sys/kernel/debug/failslab/ignore-gfp-wait", O_WRONLY);

	WANT(fd >= 0 && write(fd, "N", 1) == 1);
	WANT(folder >= 0);
	fd = openat(folder, "fail_iommufd/verbose", O_WRONLY);
	WANT(fd >= 0 && write(fd, "0", 1) == 1);
	FAILS(openat(folder, "fail_iommufd/", O_WRONLY), ENOENT);
	FAILS(openat(AT_FDCWD, "fail_iommufd/verbose", O_WRONLY), ENOENT);
	return 0;
}

static void controls_of_fault_injection_can_be_written(void **state)
{
	(void)state;
	kit_run("mock", set_controls);
}

static int look_for_fail_nth(void)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/proc/self/task/%d/fail-nth", getpid());
	fd = open(name, O_RDWR); /* kernels may have it */
	WANT(fd < 0 ? errno == ENOENT : fd < 100);
	return 0;
}

static void other_machines_have_none(void **state)
{
	(void)state;
	kit_run("smmuv3", look_for_fail_nth);
}

/* ---- mmap ---- */

#define BYTES WINDOW_BYTES

static void *map_it(int fd, off_t offset)
{
	return mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    offset);
}

static void map_fails(int fd, size_t bytes, int prot, off_t offset, int error)
{
	WANT(mmap(NULL, bytes, prot, MAP_SHARED, fd, offset) == MAP_FAILED &&
	     errno == error);
}

static int map_windows(void)
{
	int fd = dev_open();
	uint32_t *one, *two;
	uint32_t first, second, id;
	off_t at, at2;

	first = make_window(fd, 0xbeef, &at);
	second = make_window(fd, 0xcafe, &at2);
	WANT(at != at2);
	map_fails(fd, BYTES, PROT_READ, at + 4096, ENXIO);
	map_fails(fd, BYTES / 2, PROT_READ, at, ENXIO);
	map_fails(fd, BYTES * 2, PROT_READ, at, ENXIO);
	map_fails(fd, BYTES, PROT_READ | PROT_EXEC, at, EPERM);
	map_fails(fd, BYTES, PROT_READ, at + 1, EINVAL);
	map_fails(fd, 0, PROT_READ, at, EINVAL);
	one = map_it(fd, at);
	two = map_it(fd, at2);
	WANT(one != MAP_FAILED && two != MAP_FAILED);
	WANT(*one == 0xbeef && *two == 0xcafe);
	/* The fd is what it was. */
	WANT(ioas_alloc(fd, &id) == 0);
	WANT(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	FAILS(destroy(fd, first), EBUSY);
	FAILS(destroy(fd, second), EBUSY);
	WANT(munmap(one, BYTES) == 0);
	WANT(destroy(fd, first) == 0);
	WANT(munmap(two, 4096) == 0);
	FAILS(destroy(fd, second), EBUSY);
	WANT(munmap((char *)two + 4096, 4096) == 0);
	WANT(destroy(fd, second) == 0);
	return 0;
}

static void memory_of_drivers_is_mapped(void **state)
{
	(void)state;
	kit_run("mock", map_windows);
}

/* No call in between: the fd still is that of the memory. */
static int map_and_destroy_at_once(void)
{
	int fd = open("/dev/iommu", O_RDWR);
	uint32_t *one, *again;
	uint32_t viommu;
	off_t at;

	viommu = make_window(fd, 0xbeef, &at);
	one = map_it(fd, at);
	again = map_it(fd, at);
	WANT(one != MAP_FAILED && again != MAP_FAILED && *one == 0xbeef);
	*again = 5;
	WANT(*one == 5);
	FAILS(destroy(fd, viommu), EBUSY);
	one = map_it(fd, at);
	WANT(munmap(again, BYTES) == 0);
	FAILS(destroy(fd, viommu), EBUSY);
	map_it(dup(fd), at);
	again = map_it(fd, at);
	WANT(munmap(again, BYTES) == 0);
	FAILS(destroy(fd, viommu), EBUSY);
	return 0;
}

static void mapping_and_destroying_take_turns(void **state)
{
	(void)state;
	kit_run("mock", map_and_destroy_at_once);
}

static int unmap_and_destroy(void)
{
	int fd = dev_open();
	uint32_t viommu;
	off_t at;

	viommu = make_window(fd, 1, &at);
	WANT(munmap(map_it(fd, at), BYTES) == 0);
	WANT(destroy(fd, viommu) == 0);
	return 0;
}

static void what_has_been_unmapped_can_be_destroyed_at_once(void **state)
{
	(void)state;
	kit_run("mock", unmap_and_destroy);
}

/* As on Linux, what is mapped keeps the context, and nothing else does. */
static int map_and_close(void)
{
	int fd = dev_open();
	uint32_t *one;
	off_t at;

	make_window(fd, 0xbeef, &at);
	one = map_it(fd, at);
	WANT(one != MAP_FAILED && close(fd) == 0);
	kit_say();
	WANT(*one == 0xbeef);
	WANT(munmap(one, BYTES) == 0);
	kit_say();
	return 0;
}

static void what_is_mapped_keeps_the_context(void **state)
{
	const struct supervise_config config = { .machine.iommu = "mock",
						 .trace_fd = -1 };
	struct kit_run run;

	(void)state;
	kit_need_seccomp();
	kit_start(&run, &config, map_and_close);
	kit_hear(&run);
	usleep(200000); /* some looks at the mappings */
	kit_await(&run, 1, 0);
	kit_go_on(&run);
	kit_hear(&run);
	kit_await(&run, 0, 0);
	kit_go_on(&run);
	kit_end(&run);
}

/* ---- queues at other numbers ---- */

static void want_event(int queue, uint32_t sequence)
{
	struct event event;

	WANT(readable(queue, 5000));
	WANT(read(queue, &event, sizeof(event)) == sizeof(event));
	WANT(event.sequence == sequence && event.virt_id == 0x99);
}

static int copy_queues(void)
{
	int fd = dev_open();
	uint32_t viommu, dev, id;
	struct event event;
	int queue, copy, other;

	dev = make_source(fd, &viommu);
	queue = queue_alloc(fd, viommu, &id);
	WANT(queue >= 128);
	copy = dup(queue);
	WANT(copy >= 128 && copy != queue && fcntl(copy, F_GETFD) == 0);
	other = fcntl(queue, F_DUPFD_CLOEXEC, 0);
	WANT(other >= 128 && fcntl(other, F_GETFD) == FD_CLOEXEC);
	mock_event(fd, dev);
	want_event(copy, 0);
	WANT(read(other, &event, sizeof(event)) == 0);
	FAILS(read(other, &event, 1), EINVAL);
	WANT(close(other) == 0 && close(queue) == 0);
	FAILS(destroy(fd, id), EBUSY);
	mock_event(fd, dev);
	want_event(copy, 1);
	WANT(close(copy) == 0);
	WANT(destroy(fd, id) == 0);
	/* Others' fds are duplicated by the kernel. */
	WANT(dup2(0, copy) == copy);
	WANT(dup(copy) < 128);
	return 0;
}

static void a_duplicate_is_a_queue_as_well(void **state)
{
	(void)state;
	kit_run("mock", copy_queues);
}

static void reads_and_closes_are_told_and_counted(void **state)
{
	struct run_stats stats = { 0 };
	const struct supervise_config config = {
		.machine.iommu = "mock",
		.stats = &stats,
		.trace_fd = memfd_create("trace", 0),
	};
	struct kit_run run;
	char text[16384];
	ssize_t n;

	(void)state;
	kit_need_seccomp();
	kit_start(&run, &config, copy_queues);
	kit_end(&run);
	n = pread(config.trace_fd, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, ", 12) = 12\n"));
	assert_non_null(strstr(text, ", 12) = 0\n"));
	assert_non_null(strstr(text, ", 1) = -1 EINVAL"));
	assert_int_equal(stats.row[RUN_STAT_READ].calls, 4);
	assert_int_equal(stats.row[RUN_STAT_READ].errors, 1);
	assert_int_equal(stats.row[RUN_STAT_CLOSE].calls, 3);
	close(config.trace_fd);
}

/* Where reads do not stop: the first one finds nothing, the others all. */
static int move_a_queue(void)
{
	int fd = dev_open();
	uint32_t viommu, dev, id;
	struct event event;
	int queue;

	dev = make_source(fd, &viommu);
	queue = queue_alloc(fd, viommu, &id);
	WANT(dup2(queue, 50) == 50 && close(queue) == 0);
	mock_event(fd, dev);
	WANT(readable(50, 5000));
	WANT(read(50, &event, sizeof(event)) <= 0);
	want_event(50, 0);
	for (uint32_t i = 1; i < 20; i++) {
		mock_event(fd, dev);
		want_event(50, i);
	}
	FAILS(destroy(fd, id), EBUSY);
	WANT(close(50) == 0);
	WANT(destroy(fd, id) == 0);
	return 0;
}

static void a_queue_can_be_moved_to_any_number(void **state)
{
	(void)state;
	kit_run("mock", move_a_queue);
}

/* Nothing that is ours stands in their way. */
static int have_many_fds(void)
{
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };
	int fd = dev_open();
	char byte;
	int pipes[2];

	for (int i = 0; i < 200; i++)
		WANT(ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &arg) == 0);
	while (dup(0) >= 0)
		;
	WANT(errno == EMFILE);
	for (int i = 100; i < 110; i++)
		WANT(close(i) == 0);
	WANT(pipe(pipes) == 0 && write(pipes[1], "x", 1) == 1);
	WANT(read(pipes[0], &byte, 1) == 1 && byte == 'x');
	WANT(ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &arg) == 0);
	WANT(read((int)arg.out_fault_fd, &byte, 1) < 0);
	return 0;
}

static void queues_and_other_fds_may_be_many(void **state)
{
	(void)state;
	kit_run(NULL, have_many_fds);
}

/* ---- memory of processes that have gone ---- */

/* What a child has mapped that shares it with us */
static int outlive(bool kill_it)
{
	struct mock_cmd dev = { .op = 12 }, access = { .op = 5 };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = 7,
		.length = 4096,
		.iova = 0x1000000,
	};
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = dev_open();
	char text[16];
	int pipes[2];
	pid_t pid;

	WANT(pipe(pipes) == 0);
	WANT(ioas_alloc(fd, &map.ioas_id) == 0);
	dev.id = access.id = map.ioas_id;
	WANT(mock_call(fd, &dev) == 0);
	WANT(mock_call(fd, &access) == 0);
	pid = fork();
	if (!pid) {
		map.user_va = (uintptr_t)page + 4096;
		WANT(ioctl(fd, IOMMU_IOAS_MAP, &map) == 0);
		WANT(write(pipes[1], "x", 1) == 1);
		if (kill_it)
			pause();
		_exit(0);
	}
	WANT(read(pipes[0], text, 1) == 1);
	if (kill_it)
		kill(pid, SIGKILL);
	WANT(waitpid(pid, NULL, 0) == pid);
	strcpy(page + 4096, "still here");
	access_text(fd, access.w[0], 0x1000000, text);
	WANT(!strcmp(text, "still here"));
	/* The last one that had it */
	WANT(munmap(page, 8192) == 0);
	access = (struct mock_cmd){ .op = 8, .id = access.w[0] };
	access.w[0] = 0x1000000;
	access.w[2] = 16;
	memcpy(&access.w[4], &(uint64_t){ (uintptr_t)text }, 8);
	FAILS(mock_call(fd, &access), EFAULT);
	return 0;
}

static int outlive_one_that_ends(void)
{
	return outlive(false);
}

static int outlive_one_that_is_killed(void)
{
	return outlive(true);
}

static void shared_memory_stays_when_its_process_ends(void **state)
{
	(void)state;
	kit_run("mock", outlive_one_that_ends);
	kit_run("mock", outlive_one_that_is_killed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_says_what_is_pinned),
		cmocka_unit_test(
			an_allocation_of_one_thread_can_be_made_to_fail),
		cmocka_unit_test(controls_of_fault_injection_can_be_written),
		cmocka_unit_test(other_machines_have_none),
		cmocka_unit_test(memory_of_drivers_is_mapped),
		cmocka_unit_test(mapping_and_destroying_take_turns),
		cmocka_unit_test(
			what_has_been_unmapped_can_be_destroyed_at_once),
		cmocka_unit_test(what_is_mapped_keeps_the_context),
		cmocka_unit_test(a_duplicate_is_a_queue_as_well),
		cmocka_unit_test(reads_and_closes_are_told_and_counted),
		cmocka_unit_test(a_queue_can_be_moved_to_any_number),
		cmocka_unit_test(queues_and_other_fds_may_be_many),
		cmocka_unit_test(shared_memory_stays_when_its_process_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
