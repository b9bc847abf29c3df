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

int mock_call(int fd, struct mock_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	return ioctl(fd, 0x3ba0, cmd);
}

void access_text(int fd, uint32_t access, uint64_t iova, char text[16])
{
	struct mock_cmd rw = { .op = 8, .id = access };
	uint64_t copy[3] = { iova, 16, (uintptr_t)text };

	memcpy(rw.w, copy, sizeof(copy));
	WANT(mock_call(fd, &rw) == 0);
}

void mock_event(int fd, uint32_t dev)
{
	struct mock_cmd cmd = { .op = 17, .w = { dev } };

	WANT(mock_call(fd, &cmd) == 0);
}

uint32_t make_source(int fd, uint32_t *viommu_id)
{
	struct iommu_hwpt_alloc parent = { .size = sizeof(parent), .flags = 1 };
	uint64_t viommu_data[3] = { 0 };
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.data_len = sizeof(viommu_data),
		.data_uptr = (uintptr_t)viommu_data,
	};
	uint32_t value[2] = { 0 };
	struct iommu_hwpt_alloc nested = { .size = sizeof(nested) };
	struct iommu_vdevice_alloc vdevice = { .size = sizeof(vdevice) };
	struct mock_cmd cmd = { .op = 12 };
	uint32_t dev;

	WANT(ioas_alloc(fd, &cmd.id) == 0);
	parent.pt_id = cmd.id;
	WANT(mock_call(fd, &cmd) == 0);
	dev = cmd.w[2];
	parent.dev_id = dev;
	WANT(ioctl(fd, IOMMU_HWPT_ALLOC, &parent) == 0);
	viommu.type = 0xdeadbeef;
	viommu.dev_id = dev;
	viommu.hwpt_id = parent.out_hwpt_id;
	WANT(ioctl(fd, IOMMU_VIOMMU_ALLOC, &viommu) == 0);
	*viommu_id = viommu.out_viommu_id;
	nested.dev_id = dev;
	nested.pt_id = viommu.out_viommu_id;
	nested.data_type = 0xdead;
	nested.data_len = sizeof(value);
	nested.data_uptr = (uintptr_t)value;
	WANT(ioctl(fd, IOMMU_HWPT_ALLOC, &nested) == 0);
	vdevice.viommu_id = viommu.out_viommu_id;
	vdevice.dev_id = dev;
	vdevice.virt_id = 0x99;
	WANT(ioctl(fd, IOMMU_VDEVICE_ALLOC, &vdevice) == 0);
	cmd = (struct mock_cmd){ .op = 10,
				 .id = cmd.w[0],
				 .w = { nested.out_hwpt_id } };
	WANT(mock_call(fd, &cmd) == 0);
	return dev;
}

int queue_alloc(int fd, uint32_t viommu, uint32_t *id)
{
	struct iommu_veventq_alloc q = {
		.size = sizeof(q),
		.viommu_id = viommu,
		.type = 0xbeefbeef,
		.veventq_depth = 2,
	};

	WANT(ioctl(fd, IOMMU_VEVENTQ_ALLOC, &q) == 0);
	*id = q.out_veventq_id;
	return (int)q.out_veventq_fd;
}

bool readable(int fd, int timeout)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout) == 1;
}

uint32_t make_window(int fd, uint32_t word, off_t *offset)
{
	struct iommu_hwpt_alloc parent = { .size = sizeof(parent), .flags = 1 };
	struct {
		uint32_t in, out;
		uint64_t offset, length;
	} data = { .in = word };
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = 0xdeadbeef,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	struct mock_cmd dev = { .op = 12 };

	WANT(ioas_alloc(fd, &parent.pt_id) == 0);
	dev.id = parent.pt_id;
	WANT(mock_call(fd, &dev) == 0);
	parent.dev_id = viommu.dev_id = dev.w[2];
	WANT(ioctl(fd, IOMMU_HWPT_ALLOC, &parent) == 0);
	viommu.hwpt_id = parent.out_hwpt_id;
	WANT(ioctl(fd, IOMMU_VIOMMU_ALLOC, &viommu) == 0);
	WANT(data.out == word && data.length == WINDOW_BYTES);
	*offset = (off_t)data.offset;
	return viommu.out_viommu_id;
}
