/* SPDX-License-Identifier: MIT */
/*
 * A client of /dev/iommu that knows nothing of nestfd: each scenario is a
 * function that returns the program's exit status, 0 for all well.
 */
#ifndef TESTS_SHIM_CLIENT_H
#define TESTS_SHIM_CLIENT_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/iommufd.h>

struct scenario {
	const char *name;
	int (*run)(int argc, char **argv);
};

extern const struct scenario basic_scenarios[];
extern const struct scenario process_scenarios[];
extern const struct scenario signal_scenarios[];
extern const struct scenario status_scenarios[];
extern const struct scenario hostile_scenarios[];
extern const struct scenario memory_scenarios[];
extern const struct scenario ring_scenarios[];
extern const struct scenario many_scenarios[];
extern const struct scenario queue_scenarios[];
extern const struct scenario killed_scenarios[];

#define CHECK(condition)                                                  \
	do {                                                              \
		if (!(condition)) {                                       \
			fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", \
				__FILE__, __LINE__, #condition, errno);   \
			return 1;                                         \
		}                                                         \
	} while (0)

/* @call fails with @error */
#define FAILS(call, error)                                                  \
	do {                                                                \
		long rc_;                                                   \
		errno = 0;                                                  \
		rc_ = (call);                                               \
		if (rc_ != -1 || errno != (error)) {                        \
			fprintf(stderr,                                     \
				"%s:%d: %s: %ld, errno %d instead of %s\n", \
				__FILE__, __LINE__, #call, rc_, errno,      \
				#error);                                    \
			return 1;                                           \
		}                                                           \
	} while (0)

/* The child's exit status; -1 if it died */
int wait_status(pid_t pid);

/* An fd over a socket, and a number with it */
int send_fd(int to, int fd, long id);
int receive_fd(int from, long *id);

static inline int open_iommu(void)
{
	return open("/dev/iommu", O_RDWR | O_CLOEXEC);
}

/* The new id, or -1 */
static inline long ioas_alloc(int fd)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };

	return ioctl(fd, IOMMU_IOAS_ALLOC, &arg) ? -1 : (long)arg.out_ioas_id;
}

static inline int destroy(int fd, long id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = (uint32_t)id };

	return ioctl(fd, IOMMU_DESTROY, &arg);
}

static inline int map(int fd, long ioas, void *va, uint64_t length,
		      uint64_t iova)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = (uint32_t)ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = iova,
	};

	return ioctl(fd, IOMMU_IOAS_MAP, &arg);
}

/* A paging HWPT of device @dev_id; with NEST_PARENT as @flags 1 */
static inline long hwpt_alloc(int fd, uint32_t dev_id, long ioas,
			      uint32_t flags)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = dev_id,
		.pt_id = (uint32_t)ioas,
	};

	return ioctl(fd, IOMMU_HWPT_ALLOC, &arg) ? -1 : (long)arg.out_hwpt_id;
}

/* All that an SMMUv3 event queue needs; the viommu's id or -1 */
static inline long viommu_alloc(int fd, uint32_t dev_id)
{
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = dev_id,
	};
	long ioas = ioas_alloc(fd);
	long parent = ioas < 0 ? -1 : hwpt_alloc(fd, dev_id, ioas, 1);

	if (parent < 0)
		return -1;
	arg.hwpt_id = (uint32_t)parent;
	return ioctl(fd, IOMMU_VIOMMU_ALLOC, &arg) ? -1
						   : (long)arg.out_viommu_id;
}

/* The queue's id; its fd in *@queue */
static inline long veventq_alloc(int fd, long viommu, int *queue)
{
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = (uint32_t)viommu,
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = 16,
	};

	if (ioctl(fd, IOMMU_VEVENTQ_ALLOC, &arg))
		return -1;
	*queue = (int)arg.out_veventq_fd;
	return (long)arg.out_veventq_id;
}

static inline long fault_alloc(int fd, int *queue)
{
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };

	if (ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &arg))
		return -1;
	*queue = (int)arg.out_fault_fd;
	return (long)arg.out_fault_id;
}

#endif
