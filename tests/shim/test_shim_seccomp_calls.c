// SPDX-License-Identifier: MIT
/* What a program under the supervisor can call, and what it gets. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "seccomp_kit.h"

/* ---- opening ---- */

static int open_it(void)
{
	uint64_t how[3] = { O_RDWR };
	int fd = open("/dev/iommu", O_RDWR);

	WANT(fd >= 0);
	WANT(fcntl(fd, F_GETFD) == 0);
	fd = open("/dev/iommu", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	WANT(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	WANT(fcntl(fd, F_GETFL) & O_NONBLOCK);
	WANT(syscall(SYS_openat2, AT_FDCWD, "/dev/iommu", how, sizeof(how)) >=
	     0);
	FAILS(syscall(SYS_openat2, AT_FDCWD, "/dev/iommu", how, 8), EINVAL);
#ifdef SYS_open
	WANT(syscall(SYS_open, "/dev/iommu", O_RDWR) >= 0);
#endif
	FAILS(open("/dev/iommu", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	WANT(access("/dev/iommu", F_OK) == 0);
	WANT(access("/dev/iommu", R_OK | W_OK) == 0);
	FAILS(access("/dev/iommu", X_OK), EACCES);
	/* As docs/running-programs.md says */
	WANT(read(fd, how, sizeof(how)) == 0);
	WANT(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED &&
	     errno == ENXIO);
	WANT(poll(&(struct pollfd){ fd, POLLIN | POLLOUT, 0 }, 1, 0) == 1);
	return 0;
}

static void the_device_can_be_opened_in_every_way(void **state)
{
	(void)state;
	kit_run(NULL, open_it);
}

static int open_others(void)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *end = page + 4096;

	FAILS(open("/dev/iommu2", O_RDWR), ENOENT);
	FAILS(open("/dev/iomm", O_RDWR), ENOENT);
	FAILS(open("", O_RDWR), ENOENT);
	FAILS(open((char *)1, O_RDWR), EFAULT);
	FAILS(syscall(SYS_openat, AT_FDCWD, NULL, O_RDWR), EFAULT);
	FAILS(access("/dev/iommu2", R_OK), ENOENT);
	WANT(open("/dev/null", O_RDWR) >= 0);
	WANT(access("/dev/null", R_OK) == 0);
	/* A short name at the very end of what is mapped */
	WANT(munmap(end, 4096) == 0);
	memcpy(end - 2, "/", 2);
	WANT(open(end - 2, O_RDONLY) >= 0);
	/* The name itself there */
	memcpy(end - sizeof("/dev/iommu"), "/dev/iommu", sizeof("/dev/iommu"));
	WANT(open(end - sizeof("/dev/iommu"), O_RDWR) >= 0);
	FAILS(open(end - sizeof("/dev/iommu") + 11, O_RDWR), EFAULT);
	return 0;
}

static void other_files_are_as_without_us(void **state)
{
	(void)state;
	kit_run(NULL, open_others);
}

/* ---- ioctls ---- */

static int use_it(void)
{
	int memfd = memfd_create("x", 0);
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap) };
	uint32_t first, second;
	int fd = dev_open();

	WANT(ftruncate(memfd, 8192) == 0);
	WANT(ioas_alloc(fd, &first) == 0 && ioas_alloc(fd, &second) == 0);
	WANT(first && second && first != second);
	WANT(map_a_file(fd, first, memfd, 0x10000) == 0);
	FAILS(map_a_file(fd, first, memfd, 0x10000), EEXIST);
	FAILS(map_a_file(fd, first, 999, 0x20000), EBADF);
	unmap.ioas_id = first;
	unmap.iova = 0x10000;
	unmap.length = 4096;
	WANT(ioctl(fd, IOMMU_IOAS_UNMAP, &unmap) == 0);
	WANT(unmap.length == 4096);
	FAILS(ioctl(fd, IOMMU_IOAS_UNMAP, &unmap), ENOENT);
	WANT(destroy(fd, first) == 0);
	FAILS(destroy(fd, first), ENOENT);
	WANT(close(fd) == 0 && close(memfd) == 0);
	return 0;
}

static void objects_and_files_are_mapped_and_destroyed(void **state)
{
	(void)state;
	kit_run(NULL, use_it);
}

/*
 * The same address in parent and child, mapped by both in one context: each
 * means its own memory.
 */
static int map_in_two_processes(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mock_cmd access = { .op = 5 };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = 7,
		.user_va = (uintptr_t)page,
		.length = 4096,
		.iova = 0x1000000,
	};
	int fd = dev_open();
	char text[16];
	int up[2], down[2];
	pid_t pid;

	WANT(pipe(up) == 0 && pipe(down) == 0);
	WANT(ioas_alloc(fd, &map.ioas_id) == 0);
	strcpy(page, "parent");
	WANT(ioctl(fd, IOMMU_IOAS_MAP, &map) == 0);
	pid = fork();
	if (!pid) {
		strcpy(page, "child");
		map.iova += 0x1000;
		WANT(ioctl(fd, IOMMU_IOAS_MAP, &map) == 0);
		WANT(write(up[1], "x", 1) == 1);
		WANT(read(down[0], text, 1) == 1);
		_exit(0);
	}
	WANT(read(up[0], text, 1) == 1);
	access.id = map.ioas_id;
	WANT(mock_call(fd, &access) == 0);
	access_text(fd, access.w[0], 0x1000000, text);
	WANT(!strcmp(text, "parent"));
	access_text(fd, access.w[0], 0x1001000, text);
	WANT(!strcmp(text, "child"));
	WANT(write(down[1], "x", 1) == 1);
	WANT(waitpid(pid, NULL, 0) == pid);
	return 0;
}

static void each_process_maps_its_own_memory(void **state)
{
	(void)state;
	kit_run("mock", map_in_two_processes);
}

/* Far more often than the server may have fds */
static int map_often(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = 7,
		.user_va = (uintptr_t)page,
		.length = 4096,
	};
	int fd = dev_open();

	WANT(ioas_alloc(fd, &map.ioas_id) == 0);
	for (uint64_t i = 1; i <= 3000; i++) {
		map.iova = i << 12;
		WANT(ioctl(fd, IOMMU_IOAS_MAP, &map) == 0);
	}
	return 0;
}

static void mappings_do_not_use_fds_up(void **state)
{
	struct rlimit old;
	struct rlimit low;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = 256;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	kit_run(NULL, map_often);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

static int be_wrong(void)
{
	char big[128] = { 0 };
	int fd = dev_open();
	void *page =
		mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	FAILS(ioctl(fd, 0x3bff, big), ENOTTY);
	FAILS(ioctl(fd, 0x3b64 + 5, big), ENOTTY);
	FAILS(ioctl(fd, IOMMU_IOAS_ALLOC, big), EINVAL); /* size 0 */
	*(uint32_t *)big = UINT32_MAX;
	FAILS(ioctl(fd, IOMMU_IOAS_ALLOC, big), E2BIG);
	*(uint32_t *)big = 64;
	big[60] = 1;
	FAILS(ioctl(fd, IOMMU_IOAS_ALLOC, big), E2BIG);
	FAILS(ioctl(fd, IOMMU_IOAS_ALLOC, NULL), EFAULT);
	FAILS(ioctl(fd, IOMMU_IOAS_ALLOC, (void *)-8ul), EFAULT);
	FAILS(ioctl(fd, IOMMU_IOAS_ALLOC, page), EINVAL);
	WANT(mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0);
	*(uint32_t *)page = sizeof(struct iommu_ioas_alloc);
	WANT(mprotect(page, 4096, PROT_READ) == 0);
	FAILS(ioctl(fd, IOMMU_IOAS_ALLOC, page), EFAULT);
	return 0;
}

/*
 * The mock compares: CHECK_MAP says whether what is mapped at an IOVA is the
 * memory at this address, and ACCESS_RW copies between them.
 */
static int map_own_memory(void)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mock_cmd dev = { .op = 12 };
	struct mock_cmd access = { .op = 5 };
	struct mock_cmd rw = { .op = 8 };
	struct mock_cmd check = { .op = 3 };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = 7,
		.length = 8192,
		.iova = 0x1000000,
	};
	char text[16] = "from the client";
	uint64_t range[3] = { map.iova, 8192, (uintptr_t)pages };
	uint64_t copy[3] = { map.iova + 4090, 16, (uintptr_t)text };
	int fd = dev_open();

	WANT(ioas_alloc(fd, &map.ioas_id) == 0);
	dev.id = map.ioas_id;
	WANT(mock_call(fd, &dev) == 0);
	map.user_va = 0x1000;
	FAILS(ioctl(fd, IOMMU_IOAS_MAP, &map), EFAULT);
	WANT(mprotect(pages, 4096, PROT_READ) == 0);
	map.user_va = (uintptr_t)pages;
	FAILS(ioctl(fd, IOMMU_IOAS_MAP, &map), EFAULT);
	WANT(mprotect(pages, 4096, PROT_READ | PROT_WRITE) == 0);
	WANT(ioctl(fd, IOMMU_IOAS_MAP, &map) == 0);
	check.id = dev.w[1];
	memcpy(check.w, range, sizeof(range));
	WANT(mock_call(fd, &check) == 0);
	range[2] += 4096;
	range[1] = 4096;
	memcpy(check.w, range, sizeof(range));
	FAILS(mock_call(fd, &check), EINVAL);
	access.id = map.ioas_id;
	WANT(mock_call(fd, &access) == 0);
	rw.id = access.w[0];
	memcpy(rw.w, copy, sizeof(copy));
	rw.w[6] = 1; /* write */
	WANT(mock_call(fd, &rw) == 0);
	WANT(!memcmp(pages + 4090, text, 16));
	memcpy(pages + 4090, "and back again..", 16);
	rw.w[6] = 0;
	WANT(mock_call(fd, &rw) == 0);
	WANT(!memcmp(text, "and back again..", 16));
	WANT(munmap(pages, 8192) == 0);
	return 0;
}

static void memory_of_the_program_is_mapped(void **state)
{
	(void)state;
	kit_run("mock", map_own_memory);
}

static void wrong_calls_get_linuxs_errnos(void **state)
{
	(void)state;
	kit_run(NULL, be_wrong);
}

static int use_wrong_fds(void)
{
	uint32_t id;
	int fds[2];
	int fd = dev_open();

	WANT(pipe(fds) == 0);
	FAILS(ioas_alloc(-1, &id), EBADF);
	FAILS(ioas_alloc(999, &id), EBADF);
	FAILS(ioas_alloc(INT32_MAX, &id), EBADF);
	FAILS(ioas_alloc(fds[0], &id), ENOTTY);
	WANT(close(fd) == 0);
	FAILS(ioas_alloc(fd, &id), EBADF);
	return 0;
}

static void other_fds_are_as_without_us(void **state)
{
	(void)state;
	kit_run(NULL, use_wrong_fds);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* Without SA_RESTART: a call that a signal interrupts fails with EINTR. */
static int be_disturbed(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval timer = { { 0, 100 }, { 0, 100 } };
	uint32_t id, last = 0;
	int fd = dev_open();

	WANT(sigaction(SIGALRM, &action, NULL) == 0);
	WANT(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	for (int i = 0; i < 3000; i++) {
		if (ioas_alloc(fd, &id)) {
			WANT(errno == EINTR); /* before it was seen */
			continue;
		}
		/* Had one been carried out twice, a number would be missing. */
		WANT(!last || id == last + 1);
		last = id;
	}
	timer = (struct itimerval){ 0 };
	WANT(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	return 0;
}

static void signals_do_not_make_a_call_happen_twice(void **state)
{
	(void)state;
	kit_run(NULL, be_disturbed);
}

/* ---- event queues ---- */
static int hear_events(void)
{
	uint32_t viommu, dev, id;
	struct event event, events[4];
	int fd = dev_open();
	int queue;

	dev = make_source(fd, &viommu);
	queue = queue_alloc(fd, viommu, &id);
	WANT(fcntl(queue, F_GETFD) == FD_CLOEXEC);
	WANT(!readable(queue, 0));
	WANT(read(queue, &event, sizeof(event)) == 0);
	FAILS(read(queue, &event, 0), EINVAL);
	FAILS(read(queue, &event, 7), EINVAL);
	for (uint32_t i = 0; i < 100; i++) {
		mock_event(fd, dev);
		WANT(readable(queue, 0));
		FAILS(read(queue, &event, 0), EINVAL);
		FAILS(read(queue, &event, 8), EINVAL);
		FAILS(syscall(SYS_read, queue, 8, sizeof(event)), EFAULT);
		WANT(read(queue, &event, sizeof(event)) == sizeof(event));
		WANT(event.sequence == i && event.virt_id == 0x99);
		WANT(!event.flags && !readable(queue, 0));
	}
	/* Two wait, the rest is lost; all that fits is read at once. */
	for (int i = 0; i < 10; i++)
		mock_event(fd, dev);
	WANT(read(queue, events, sizeof(events)) == 2 * sizeof(event) + 8);
	WANT(events[0].sequence == 100 && events[1].sequence == 101);
	WANT(events[2].flags == 1); /* LOST_EVENTS */
	WANT(events[2].sequence == 109);
	FAILS(write(queue, &event, sizeof(event)), EINVAL);
	FAILS(destroy(fd, id), EBUSY);
	/* One that a call has caused can be read at once. */
	mock_event(fd, dev);
	WANT(read(queue, &event, sizeof(event)) == sizeof(event));
	WANT(close(queue) == 0);
	WANT(destroy(fd, id) == 0);
	return 0;
}

static void events_are_read_as_on_linux_and_overflow(void **state)
{
	(void)state;
	kit_run("mock", hear_events);
}

/* A fault of a test device, as Linux's selftests raise it; nothing waits. */
static int answer_a_fault(void)
{
	struct iommu_fault_alloc queue = { .size = sizeof(queue) };
	struct iommu_hwpt_alloc parent = { .size = sizeof(parent), .flags = 1 };
	uint32_t value[2] = { 0 };
	struct iommu_hwpt_alloc nested = {
		.size = sizeof(nested),
		.flags = 4, /* FAULT_ID_VALID */
		.data_type = 0xdead,
		.data_len = sizeof(value),
		.data_uptr = (uintptr_t)value,
	};
	struct mock_cmd dev = { .op = 12 };
	struct mock_cmd replace = { .op = 10 };
	struct mock_cmd fault = { .op = 15, .w = { 0, 1, 2, 3, 0xbeaf } };
	uint32_t record[10], answer[2] = { 0 };
	int fd = dev_open();
	int events;

	WANT(ioas_alloc(fd, &dev.id) == 0);
	WANT(mock_call(fd, &dev) == 0);
	parent.pt_id = dev.id;
	parent.dev_id = nested.dev_id = fault.w[0] = dev.w[2];
	WANT(ioctl(fd, IOMMU_HWPT_ALLOC, &parent) == 0);
	WANT(ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &queue) == 0);
	events = (int)queue.out_fault_fd;
	nested.pt_id = parent.out_hwpt_id;
	nested.fault_id = queue.out_fault_id;
	WANT(ioctl(fd, IOMMU_HWPT_ALLOC, &nested) == 0);
	replace.id = dev.w[0];
	replace.w[0] = nested.out_hwpt_id;
	WANT(mock_call(fd, &replace) == 0);
	for (int i = 0; i < 20; i++) {
		WANT(mock_call(fd, &fault) == 0);
		WANT(read(events, record, sizeof(record)) == sizeof(record));
		WANT(record[1] == dev.w[2] && record[2] == 1 && record[3] == 2);
		WANT(record[6] == 0xbeaf);
		answer[0] = record[9]; /* its cookie */
		WANT(write(events, answer, sizeof(answer)) == sizeof(answer));
		FAILS(write(events, answer, sizeof(answer)), EINVAL);
		WANT(read(events, record, sizeof(record)) == 0);
		FAILS(read(events, record, 39), ESPIPE);
	}
	return 0;
}

static void faults_are_read_and_answered(void **state)
{
	(void)state;
	kit_run("mock", answer_a_fault);
}

/* The struct cannot be written: no fd is left behind. */
static int waste_a_queue(void)
{
	struct iommu_fault_alloc *arg =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = dev_open();
	int next = dup(fd);

	WANT(close(next) == 0);
	arg->size = sizeof(*arg);
	WANT(mprotect(arg, 4096, PROT_READ) == 0);
	FAILS(ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, arg), EFAULT);
	WANT(dup(fd) == next);
	WANT(mprotect(arg, 4096, PROT_READ | PROT_WRITE) == 0);
	WANT(ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, arg) == 0);
	/* Nobody has asked. */
	FAILS(write((int)arg->out_fault_fd, "response", 8), EINVAL);
	WANT(close(fd) == 0 && close(next) == 0);
	kit_say();
	return 0;
}

static void a_queue_keeps_its_context_and_failures_leave_none(void **state)
{
	const struct supervise_config config = { .trace_fd = -1 };
	struct kit_run run;

	(void)state;
	kit_need_seccomp();
	kit_start(&run, &config, waste_a_queue);
	kit_hear(&run);
	kit_await(&run, 1, 1);
	kit_go_on(&run);
	kit_end(&run);
}

/* ---- --trace and --stats ---- */

static void calls_are_told_and_counted(void **state)
{
	struct run_stats stats = { 0 };
	const struct supervise_config config = {
		.stats = &stats,
		.trace_fd = memfd_create("trace", 0),
	};
	struct kit_run run;
	char text[4096];
	ssize_t n;

	(void)state;
	kit_need_seccomp();
	kit_start(&run, &config, use_it);
	kit_end(&run);
	n = pread(config.trace_fd, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "open(\"/dev/iommu\", 0x80002) = "));
	assert_non_null(strstr(text, "IOMMU_IOAS_ALLOC, {"));
	assert_non_null(strstr(text, "= -1 ENOENT"));
	assert_non_null(strstr(text, "\nclose("));
	assert_int_equal(stats.row[RUN_STAT_OPEN].calls, 1);
	assert_int_equal(stats.row[RUN_STAT_CLOSE].calls, 1);
	assert_int_equal(stats.row[0].calls, 2); /* 0x80: DESTROY */
	assert_int_equal(stats.row[0].errors, 1);
	assert_int_equal(stats.row[1].calls, 2); /* 0x81: IOAS_ALLOC */
	assert_int_equal(stats.row[1].errors, 0);
	assert_true(stats.row[1].ns > 0);
	close(config.trace_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_device_can_be_opened_in_every_way),
		cmocka_unit_test(other_files_are_as_without_us),
		cmocka_unit_test(objects_and_files_are_mapped_and_destroyed),
		cmocka_unit_test(memory_of_the_program_is_mapped),
		cmocka_unit_test(each_process_maps_its_own_memory),
		cmocka_unit_test(mappings_do_not_use_fds_up),
		cmocka_unit_test(wrong_calls_get_linuxs_errnos),
		cmocka_unit_test(other_fds_are_as_without_us),
		cmocka_unit_test(signals_do_not_make_a_call_happen_twice),
		cmocka_unit_test(events_are_read_as_on_linux_and_overflow),
		cmocka_unit_test(faults_are_read_and_answered),
		cmocka_unit_test(
			a_queue_keeps_its_context_and_failures_leave_none),
		cmocka_unit_test(calls_are_told_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
