// SPDX-License-Identifier: MIT
/* See seccomp_kit.h. */
#include "seccomp_kit.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

int kit_up, kit_down;

void kit_need_seccomp(void)
{
	const char *why = supervise_why_not();

	if (!why)
		return;
	print_message("skipped: %s\n", why);
	skip();
}

void kit_say(void)
{
	char byte = 0;

	WANT(write(kit_up, &byte, 1) == 1);
	WANT(read(kit_down, &byte, 1) == 1);
}

static void be_program(struct kit_run *run, int (*program)(void))
{
	kit_up = run->up[1];
	kit_down = run->down[0];
	close(run->up[0]);
	close(run->down[1]);
	WANT(supervise_install(run->supervisor) == 0);
	_exit(program());
}

void kit_start(struct kit_run *run, const struct supervise_config *config,
	       int (*program)(void))
{
	assert_int_equal(supervise_create(config, &run->supervisor), 0);
	assert_int_equal(pipe2(run->up, O_CLOEXEC), 0);
	assert_int_equal(pipe2(run->down, O_CLOEXEC), 0);
	run->pid = fork();
	assert_true(run->pid >= 0);
	if (!run->pid)
		be_program(run, program);
	close(run->up[1]);
	close(run->down[0]);
	assert_int_equal(supervise_start(run->supervisor), 0);
}

void kit_hear(struct kit_run *run)
{
	char byte;

	assert_int_equal(read(run->up[0], &byte, 1), 1);
}

void kit_go_on(struct kit_run *run)
{
	char byte = 0;

	assert_int_equal(write(run->down[1], &byte, 1), 1);
}

void kit_await(struct kit_run *run, unsigned int contexts, unsigned int queues)
{
	struct server_count count = { 0 };

	for (int i = 0; i < 5000; i++) {
		server_count(supervise_server(run->supervisor), &count);
		if (count.contexts == contexts && count.queues == queues)
			return;
		usleep(1000);
	}
	assert_int_equal(count.contexts, contexts);
	assert_int_equal(count.queues, queues);
}

void kit_end(struct kit_run *run)
{
	int status;

	assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(supervise_wait(run->supervisor, 5000));
	kit_await(run, 0, 0);
	supervise_destroy(run->supervisor);
	close(run->up[0]);
	close(run->down[1]);
}

void kit_run(const char *iommu, int (*program)(void))
{
	const struct supervise_config config = {
		.machine.iommu = iommu,
		.trace_fd = -1,
	};
	struct kit_run run;

	kit_need_seccomp();
	kit_start(&run, &config, program);
	kit_end(&run);
}

int dev_open(void)
{
	return open("/dev/iommu", O_RDWR | O_CLOEXEC);
}

int ioas_alloc(int fd, uint32_t *id)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
	int rc = ioctl(fd, IOMMU_IOAS_ALLOC, &arg);

	*id = arg.out_ioas_id;
	return rc;
}

int destroy(int fd, uint32_t id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	return ioctl(fd, IOMMU_DESTROY, &arg);
}

int map_a_file(int fd, uint32_t ioas, int memfd, uint64_t iova)
{
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.fd = memfd,
		.length = 4096,
		.iova = iova,
	};

	return ioctl(fd, IOMMU_IOAS_MAP_FILE, &arg);
}
