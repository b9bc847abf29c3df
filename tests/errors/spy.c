// SPDX-License-Identifier: MIT
/*
 * Linked into `nestfd run` and what it preloads, in front of libnestfd (ld's
 * --wrap): the client may look into the hardware (spy.h), and whenever all
 * contexts are closed the next one opened is on a new machine. On one machine
 * the first context gets the guest's devices, the second one the neighbour's.
 */
#include "spy.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "hw.h"

#define REAL(name) __typeof__(name) __real_##name, __wrap_##name

REAL(nestfd_machine_create);
REAL(nestfd_device_add);
REAL(nestfd_open);
REAL(nestfd_close);
REAL(nestfd_bind);
REAL(nestfd_ioctl);
REAL(nestfd_ioctl_for);

#define ALL (DEVICES + 1)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all */
static struct nestfd_machine_config last, config;
static struct nestfd_machine *known; /* to `nestfd run`, with its devices */
static struct nestfd_device_config devices[ALL];
static struct nestfd_device *known_as[ALL];
static unsigned int nr_devices;
static struct nestfd_machine *machine;
static struct nestfd_device *dev[ALL];
static struct nestfd *ctx[2];
static unsigned int nr_open;

int __wrap_nestfd_machine_create(const struct nestfd_machine_config *c,
				 struct nestfd_machine **out)
{
	last = *c;
	return __real_nestfd_machine_create(c, out);
}

/* The machine that gets devices is the one to copy. */
int __wrap_nestfd_device_add(struct nestfd_machine *m,
			     const struct nestfd_device_config *c,
			     struct nestfd_device **out)
{
	int rc = __real_nestfd_device_add(m, c, out);

	if (m != known) {
		known = m;
		config = last;
		nr_devices = 0;
	}
	if (!rc && nr_devices < ALL) {
		devices[nr_devices] = *c;
		known_as[nr_devices++] = *out;
	}
	return rc;
}

static int new_machine(void)
{
	int rc;

	nestfd_machine_destroy(machine);
	machine = NULL;
	ctx[1] = NULL; /* one at the same address may be the next first */
	rc = __real_nestfd_machine_create(&config, &machine);
	for (unsigned int d = 0; !rc && d < nr_devices; d++)
		rc = __real_nestfd_device_add(machine, &devices[d], &dev[d]);
	return rc;
}

int __wrap_nestfd_open(struct nestfd_machine *m, struct nestfd **out)
{
	int rc = 0;

	(void)m;
	pthread_mutex_lock(&lock);
	if (!nr_open)
		rc = new_machine();
	if (!rc && nr_open == 2)
		rc = -EBUSY;
	if (!rc)
		rc = __real_nestfd_open(machine, out);
	if (!rc)
		ctx[nr_open++] = *out;
	pthread_mutex_unlock(&lock);
	return rc;
}

void __wrap_nestfd_close(struct nestfd *nestfd)
{
	__real_nestfd_close(nestfd);
	pthread_mutex_lock(&lock);
	nr_open--;
	pthread_mutex_unlock(&lock);
}

int __wrap_nestfd_bind(struct nestfd *nestfd, struct nestfd_device *as,
		       uint32_t *id)
{
	for (unsigned int d = 0; d < nr_devices; d++) {
		if (known_as[d] == as && nestfd == ctx[d == NEIGHBOUR])
			return __real_nestfd_bind(nestfd, dev[d], id);
	}
	return -EBUSY;
}

static long on_device(unsigned long cmd, uint64_t arg)
{
	unsigned int d =
		(unsigned int)(cmd == SPY_ATTACH ? arg >> 32 : arg & 0xff);
	uint32_t pt_id = (uint32_t)arg;

	if (d >= nr_devices)
		return -EINVAL;
	switch (cmd) {
	case SPY_ATTACH:
		return nestfd_attach(dev[d], NESTFD_NO_PASID, &pt_id);
	case SPY_MOVED:
		return hw_moved(dev[d], d, arg & 0x100);
	case SPY_HELD:
		return hw_held(machine, d);
	default:
		nestfd_device_reset(dev[d]);
		return 0;
	}
}

/* False: it is none of ours */
static bool spied(unsigned long cmd, uint64_t arg, long *rc)
{
	struct fault fault = { .kind = arg & 0xff, .op = arg >> 8 & 0xff };

	switch (cmd) {
	case SPY_ATTACH:
	case SPY_MOVED:
	case SPY_HELD:
	case SPY_RESET:
		*rc = on_device(cmd, arg);
		return true;
	case SPY_QUARANTINES:
		*rc = hw_quarantines(machine);
		return true;
	case SPY_BREAK:
		*rc = hw_break(machine, &fault);
		return true;
	case SPY_MEND:
		nestfd_inject_clear(machine);
		*rc = 0;
		return true;
	}
	return false;
}

int __wrap_nestfd_ioctl(void *nestfd, unsigned long cmd, void *arg)
{
	long rc;

	if (spied(cmd, (uintptr_t)arg, &rc))
		return (int)rc;
	return __real_nestfd_ioctl(nestfd, cmd, arg);
}

int __wrap_nestfd_ioctl_for(struct nestfd *nestfd, unsigned long cmd,
			    uint64_t arg, const struct nestfd_client *client)
{
	long rc;

	if (spied(cmd, arg, &rc))
		return (int)rc;
	return __real_nestfd_ioctl_for(nestfd, cmd, arg, client);
}
