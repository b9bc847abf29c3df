// SPDX-License-Identifier: MIT
/*
 * RLIMIT_MEMLOCK on machines that enforce it and on those that count only. Each
 * case is a process of its own, which gives up its capabilities.
 */
#include "kit.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED	 77
#define CAP(cap) (1u << (cap))

/* What is left of the capabilities: those of @keep that there are */
static uint32_t keep_capabilities(uint32_t keep)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = { { 0 } };
	uint32_t left;

	if (syscall(SYS_capget, &header, data))
		return 0;
	left = data[0].effective & keep;
	data[0].effective = left;
	data[0].permitted = left;
	data[1].effective = 0;
	data[1].permitted = 0;
	return syscall(SYS_capset, &header, data) ? 0 : left;
}

static void set_limit(uint64_t bytes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		_exit(2);
	limit.rlim_cur = bytes;
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		_exit(2);
}

static void kit_begin(struct kit *kit, enum nestfd_memlock memlock)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_MOCK,
		.memlock = memlock,
	};

	memset(kit, 0, sizeof(*kit));
	kit->pages = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (kit->pages == MAP_FAILED ||
	    nestfd_machine_create(&config, &kit->machine) ||
	    nestfd_open(kit->machine, &kit->ctx))
		_exit(2);
}

static void kit_attach(struct kit *kit)
{
	if (kit_ioas(kit, &kit->ioas) ||
	    test_device(kit, kit->ioas, 0, &kit->object, &kit->hwpt, &kit->dev))
		_exit(2);
}

static int set_mode(struct kit *kit, uint64_t mode)
{
	struct iommu_option arg = {
		.size = sizeof(arg),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_SET,
		.val64 = mode,
	};

	return nestfd_ioctl(kit->ctx, IOMMU_OPTION, &arg);
}

/* In the child: the line that was wrong */
#define EXPECT(call, want)                                               \
	do {                                                             \
		int expect_rc = (call);                                  \
                                                                         \
		if (expect_rc != (want)) {                               \
			fprintf(stderr, "%s:%d: %d, not %d\n", __func__, \
				__LINE__, expect_rc, (want));            \
			return 1;                                        \
		}                                                        \
	} while (0)

/* Runs it in a process without capabilities but @keep, limited to @pages */
static void in_child(int (*fn)(void), uint32_t keep, uint64_t pages)
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (!pid) {
		if (keep_capabilities(keep) != keep)
			_exit(SKIPPED);
		set_limit(pages * PAGE);
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		skip(); /* we have not got that capability ourselves */
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHILD(name, keep, pages)                     \
	static int name##_child(void);               \
	static void name(void **state)               \
	{                                            \
		(void)state;                         \
		in_child(name##_child, keep, pages); \
	}                                            \
	static int name##_child(void)

/* ---- counted only ---- */

CHILD(by_default_nobody_is_held_up, 0, 2)
{
	uint64_t pinned, locked;
	struct kit kit;

	kit_begin(&kit, NESTFD_MEMLOCK_COUNT);
	EXPECT(set_mode(&kit, 1), 0);
	kit_attach(&kit);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, 16 * PAGE), 0);
	nestfd_pinned(kit.ctx, getpid(), &pinned, &locked);
	EXPECT((int)pinned, (int)(16 * PAGE));
	EXPECT((int)locked, (int)(16 * PAGE));
	return 0;
}

/* ---- enforced ---- */

CHILD(beyond_the_limit_is_ENOMEM, 0, 4)
{
	uint64_t pinned, locked;
	struct kit kit;

	kit_begin(&kit, NESTFD_MEMLOCK_ENFORCE);
	kit_attach(&kit);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, 3 * PAGE), 0);
	EXPECT(kit_map(&kit, 2 * APERTURE, kit.pages + 4 * PAGE, 2 * PAGE),
	       -ENOMEM);
	EXPECT(check_refs(&kit, kit.pages + 4 * PAGE, 2 * PAGE, 0), 0);
	EXPECT(kit_map(&kit, 2 * APERTURE, kit.pages + 4 * PAGE, PAGE), 0);
	EXPECT(kit_map(&kit, 3 * APERTURE, kit.pages, 2048), -ENOMEM);
	nestfd_pinned(kit.ctx, getpid(), &pinned, &locked);
	EXPECT((int)pinned, (int)(4 * PAGE));
	EXPECT((int)locked, 0); /* it counts for the user */
	EXPECT(kit_unmap(&kit, APERTURE, 3 * PAGE), 0);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, 3 * PAGE), 0);
	return 0;
}

CHILD(the_limit_is_that_of_the_moment, 0, 1)
{
	struct kit kit;

	kit_begin(&kit, NESTFD_MEMLOCK_ENFORCE);
	kit_attach(&kit);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, 2 * PAGE), -ENOMEM);
	set_limit(2 * PAGE + 4095);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, 2 * PAGE), 0);
	EXPECT(kit_map(&kit, 2 * APERTURE, kit.pages, PAGE), -ENOMEM);
	set_limit(0); /* what is pinned stays */
	EXPECT(check_map(&kit, kit.hwpt, APERTURE, 2 * PAGE, kit.pages), 0);
	return 0;
}

CHILD(what_is_not_pinned_is_not_limited, 0, 2)
{
	uint32_t object, hwpt, dev;
	struct kit kit;

	kit_begin(&kit, NESTFD_MEMLOCK_ENFORCE);
	EXPECT(kit_ioas(&kit, &kit.ioas), 0);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, 16 * PAGE), 0);
	EXPECT(test_device(&kit, kit.ioas, 0, &object, &hwpt, &dev), -ENOMEM);
	EXPECT(check_refs(&kit, kit.pages, 16 * PAGE, 0), 0);
	EXPECT(kit_unmap(&kit, APERTURE, 16 * PAGE), 0);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, 2 * PAGE), 0);
	EXPECT(test_device(&kit, kit.ioas, 0, &object, &hwpt, &dev), 0);
	return 0;
}

CHILD(accesses_and_files_count_too, 0, 2)
{
	struct iommu_ioas_map_file file = {
		.size = sizeof(file),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.fd = memfd_create("memlock", MFD_CLOEXEC),
		.length = 3 * PAGE,
		.iova = 2 * APERTURE,
	};
	uint32_t fd, item;
	struct kit kit;

	kit_begin(&kit, NESTFD_MEMLOCK_ENFORCE);
	EXPECT(kit_ioas(&kit, &kit.ioas), 0);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, 4 * PAGE), 0);
	EXPECT(kit_access(&kit, 1, &fd), 0);
	EXPECT(kit_pin(&kit, fd, 0, APERTURE, 3 * PAGE, NULL, &item), -ENOMEM);
	EXPECT(kit_pin(&kit, fd, 0, APERTURE, 2 * PAGE, NULL, &item), 0);
	EXPECT(kit_pin(&kit, fd, 0, APERTURE + 2 * PAGE, PAGE, NULL, &item),
	       -ENOMEM);
	close((int)fd);
	EXPECT(kit_unmap(&kit, APERTURE, 4 * PAGE), 0);
	EXPECT(test_device(&kit, kit.ioas, 0, &kit.object, &kit.hwpt, &kit.dev),
	       0);
	EXPECT(ftruncate(file.fd, 4 * PAGE), 0);
	file.ioas_id = kit.ioas;
	EXPECT(nestfd_ioctl(kit.ctx, IOMMU_IOAS_MAP_FILE, &file), -ENOMEM);
	file.length = 2 * PAGE;
	EXPECT(nestfd_ioctl(kit.ctx, IOMMU_IOAS_MAP_FILE, &file), 0);
	return 0;
}

CHILD(a_user_has_one_sum_on_a_machine, 0, 3)
{
	struct nestfd *first;
	struct kit kit, other;

	kit_begin(&kit, NESTFD_MEMLOCK_ENFORCE);
	kit_attach(&kit);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, 2 * PAGE), 0);
	first = kit.ctx;
	EXPECT(nestfd_open(kit.machine, &kit.ctx), 0);
	kit_attach(&kit);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, 2 * PAGE), -ENOMEM);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, PAGE), 0);
	nestfd_close(first);
	EXPECT(kit_map(&kit, 2 * APERTURE, kit.pages, 2 * PAGE), 0);
	/* another machine is another world */
	kit_begin(&other, NESTFD_MEMLOCK_ENFORCE);
	kit_attach(&other);
	EXPECT(kit_map(&other, APERTURE, other.pages, 3 * PAGE), 0);
	return 0;
}

CHILD(the_mode_is_not_for_everybody, 0, 2)
{
	struct iommu_option arg = {
		.size = sizeof(arg),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_GET,
		.val64 = 7,
	};
	struct kit kit;

	kit_begin(&kit, NESTFD_MEMLOCK_ENFORCE);
	EXPECT(set_mode(&kit, 0), -EPERM);
	EXPECT(set_mode(&kit, 1), -EPERM);
	EXPECT(set_mode(&kit, 2), -EPERM);
	EXPECT(nestfd_ioctl(kit.ctx, IOMMU_OPTION, &arg), 0);
	EXPECT((int)arg.val64, 0);
	return 0;
}

CHILD(CAP_IPC_LOCK_has_no_limit, CAP(CAP_IPC_LOCK), 0)
{
	struct kit kit;

	kit_begin(&kit, NESTFD_MEMLOCK_ENFORCE);
	kit_attach(&kit);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, 16 * PAGE), 0);
	EXPECT(set_mode(&kit, 0), -EPERM); /* that is another capability */
	return 0;
}

CHILD(CAP_SYS_RESOURCE_sets_the_mode, CAP(CAP_SYS_RESOURCE), 2)
{
	uint64_t pinned, locked;
	struct kit kit;

	kit_begin(&kit, NESTFD_MEMLOCK_ENFORCE);
	EXPECT(set_mode(&kit, 2), -EINVAL);
	EXPECT(set_mode(&kit, 1), 0);
	kit_attach(&kit);
	EXPECT(set_mode(&kit, 0), -EBUSY);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, 3 * PAGE), -ENOMEM);
	EXPECT(kit_map(&kit, APERTURE, kit.pages, 2 * PAGE), 0);
	nestfd_pinned(kit.ctx, getpid(), &pinned, &locked);
	EXPECT((int)locked, (int)(2 * PAGE));
	return 0;
}

/* ---- clients in other processes ---- */

static int peek(void *ctx, void *dst, uint64_t addr, size_t len)
{
	(void)ctx;
	memcpy(dst, (void *)(uintptr_t)addr, len);
	return 0;
}

static int poke(void *ctx, uint64_t addr, const void *src, size_t len)
{
	(void)ctx;
	memcpy((void *)(uintptr_t)addr, src, len);
	return 0;
}

static int same_fd(void *ctx, int fd)
{
	(void)ctx;
	return dup(fd);
}

/* Somebody without capabilities, who has got a limit; waits to be killed */
static pid_t somebody(uint64_t pages, uint32_t keep)
{
	int ready[2];
	pid_t pid;
	char byte;

	if (pipe(ready))
		_exit(2);
	pid = fork();
	if (!pid) {
		keep_capabilities(keep);
		set_limit(pages * PAGE);
		if (write(ready[1], "", 1) != 1)
			_exit(2);
		for (;;)
			pause();
	}
	if (pid < 0 || read(ready[0], &byte, 1) != 1)
		_exit(2);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

struct served {
	struct kit kit;
	int fd;
};

static int call_for(struct served *s, pid_t pid, unsigned long cmd, void *arg)
{
	struct nestfd_client client = {
		.size = sizeof(client),
		.read = peek,
		.write = poke,
		.get_fd = same_fd,
		.give_fd = same_fd,
		.pid = pid,
	};

	return nestfd_ioctl_for(s->kit.ctx, cmd, (uintptr_t)arg, &client);
}

static int map_for(struct served *s, pid_t pid, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = s->kit.ioas,
		.fd = s->fd,
		.length = length,
		.iova = iova,
	};

	return call_for(s, pid, IOMMU_IOAS_MAP_FILE, &arg);
}

static void serve(struct served *s, enum nestfd_memlock memlock)
{
	kit_begin(&s->kit, memlock);
	kit_attach(&s->kit);
	s->fd = memfd_create("memlock", MFD_CLOEXEC);
	if (s->fd < 0 || ftruncate(s->fd, 16 * PAGE))
		_exit(2);
}

CHILD(a_client_has_its_own_limit, 0, 3)
{
	pid_t pid = somebody(2, 0);
	pid_t rich = somebody(3, 0);
	struct served s;

	serve(&s, NESTFD_MEMLOCK_ENFORCE);
	EXPECT(map_for(&s, pid, APERTURE, 3 * PAGE), -ENOMEM);
	EXPECT(map_for(&s, pid, APERTURE, 2 * PAGE), 0);
	/* the same user's, which may have one more */
	EXPECT(map_for(&s, rich, 2 * APERTURE, 2 * PAGE), -ENOMEM);
	EXPECT(map_for(&s, rich, 2 * APERTURE, PAGE), 0);
	EXPECT(kit_map(&s.kit, 3 * APERTURE, s.kit.pages, PAGE), -ENOMEM);
	/* pinned for who has gone by now */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT(kit_unmap(&s.kit, APERTURE, 2 * PAGE), 0);
	EXPECT(map_for(&s, rich, APERTURE, 2 * PAGE), 0);
	kill(rich, SIGKILL);
	return 0;
}

CHILD(a_client_needs_its_own_capabilities, 0, 3)
{
	struct iommu_option arg = {
		.size = sizeof(arg),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_SET,
	};
	pid_t pid = somebody(1, 0);
	struct served s;

	serve(&s, NESTFD_MEMLOCK_ENFORCE);
	EXPECT(call_for(&s, pid, IOMMU_OPTION, &arg), -EPERM);
	serve(&s, NESTFD_MEMLOCK_COUNT);
	EXPECT(call_for(&s, pid, IOMMU_OPTION, &arg), -EBUSY);
	EXPECT(map_for(&s, pid, APERTURE, 3 * PAGE), 0);
	kill(pid, SIGKILL);
	return 0;
}

CHILD(a_client_with_CAP_IPC_LOCK_has_none, CAP(CAP_IPC_LOCK), 0)
{
	pid_t pid = somebody(0, CAP(CAP_IPC_LOCK));
	struct served s;

	serve(&s, NESTFD_MEMLOCK_ENFORCE);
	EXPECT(map_for(&s, pid, APERTURE, 16 * PAGE), 0);
	kill(pid, SIGKILL);
	return 0;
}

static void other_values_are_refused(void **state)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_MOCK,
	};
	struct nestfd_machine *machine;

	(void)state;
	for (unsigned int bit = 1; bit < 32; bit++) {
		config.memlock = (enum nestfd_memlock)(1u << bit);
		assert_int_equal(nestfd_machine_create(&config, &machine),
				 -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_default_nobody_is_held_up),
		cmocka_unit_test(beyond_the_limit_is_ENOMEM),
		cmocka_unit_test(the_limit_is_that_of_the_moment),
		cmocka_unit_test(what_is_not_pinned_is_not_limited),
		cmocka_unit_test(accesses_and_files_count_too),
		cmocka_unit_test(a_user_has_one_sum_on_a_machine),
		cmocka_unit_test(the_mode_is_not_for_everybody),
		cmocka_unit_test(CAP_IPC_LOCK_has_no_limit),
		cmocka_unit_test(CAP_SYS_RESOURCE_sets_the_mode),
		cmocka_unit_test(a_client_has_its_own_limit),
		cmocka_unit_test(a_client_needs_its_own_capabilities),
		cmocka_unit_test(a_client_with_CAP_IPC_LOCK_has_none),
		cmocka_unit_test(other_values_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
