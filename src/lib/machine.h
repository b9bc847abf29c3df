/* SPDX-License-Identifier: MIT */
/*
 * The wiring: what a machine consists of. This room is the only one that names
 * every architecture, in the table of arch.c.
 *
 * Locks, outside of all of core's, in this order:
 *
 *	nestfd_device.lock -> nestfd_machine.lock
 *
 * A device's serialises what is done with that device: binding, attaching,
 * resetting, unplugging. It is held while core waits, which may be for as long
 * as its guest makes it (docs/security.md, windows); so no two of them are held
 * together, and none with anything that another guest needs.
 *
 * The machine's guards the lists of contexts and devices, who is bound to whom
 * and the driver's creation. Everybody needs it, so whoever holds it calls
 * nothing that waits for a guest: neither core's functions that take an object
 * of a context, nor the driver's but for its creation and its counters.
 *
 * None is held during DMA or an ioctl.
 */
#ifndef LIB_MACHINE_H
#define LIB_MACHINE_H

#include <pthread.h>
#include <sys/queue.h>

#include "base/log.h"
#include "core/core.h"
#include "core/hwport.h"
#include "lib/pool.h"
#include "mem/client.h"
#include "mem/phys.h"
#include "model/model.h"
#include "nestfd/model.h"
#include "nestfd/nestfd.h"

#define MACHINE_LINES 8 /* interrupt lines of an IOMMU */

struct arch;

/* What a user has pinned on a machine that enforces RLIMIT_MEMLOCK */
struct pinned_user {
	struct core_account core;
	uid_t uid;		  /* fixed */
	struct pinned_user *next; /* fixed */
};

/* What a process has pinned in one context */
struct pinned {
	struct core_process core;
	pid_t pid;
	_Atomic uint64_t limit; /* pages, as last seen; of clients */
	struct pinned *next;	/* fixed */
};

struct nestfd {
	struct nestfd_machine *machine;
	struct core_ctx *core;
	/* On fds and binding, in progress; core counts ioctls itself */
	uint32_t calls;
	pthread_mutex_t process_lock;	/* the next two */
	struct client_process *process; /* the last that mapped; NULL: none */
	pid_t pid;
	struct pinned own;		  /* of this process */
	_Atomic(struct pinned *) clients; /* grows with the lock held */
	/* Machine's lock: the next two. What begins to be bound is a call. */
	LIST_HEAD(context_devices, nestfd_device) bound;
	LIST_ENTRY(nestfd) link;
};

struct device_pages;

struct nestfd_device {
	struct core_device core;
	struct device_pages *pages; /* NULL: it asks for none */
	struct nestfd_machine *machine;
	struct model_port *port;
	/* One until it is unplugged, and one for each call that may wait */
	uint32_t refs;
	pthread_mutex_t lock; /* core, the port's life and the next two */
	bool unplugged;
	uint32_t dev_id; /* while bound */
	/* While bound: both locks to change it, either to read it */
	struct nestfd *ctx;
	LIST_ENTRY(nestfd_device) bound; /* machine's lock, as the next */
	LIST_ENTRY(nestfd_device) link;
};

/* One interrupt line: the driver's handler, or whoever watches a bare one. */
struct machine_line {
	void (*handler)(void *arg);
	void *arg;
};

struct nestfd_machine {
	struct nestfd_machine_config config;
	const struct arch *arch;
	struct phys *phys;
	struct grace *grace;
	struct client_maps maps;
	struct core_env env;
	struct core_common common;
	struct model *model;
	struct pool pool;
	struct core_hwport hwport;
	struct core_iommu *iommu; /* NULL: nobody has opened it */
	struct phys_range *doorbell;
	pthread_rwlock_t lines_lock;
	struct machine_line lines[MACHINE_LINES];
	void (*bare_irq)(void *ctx, unsigned int line);
	void *bare_irq_ctx;
	pthread_mutex_t users_lock; /* innermost */
	struct pinned_user *users;
	pthread_mutex_t lock;
	LIST_HEAD(machine_contexts, nestfd) contexts;
	LIST_HEAD(machine_devices, nestfd_device) devices;
};

/* One architecture: how its model and its driver are made. */
struct arch {
	enum nestfd_arch arch;
	unsigned int (*oas_bits)(const struct nestfd_machine_config *config);
	int (*model)(const struct nestfd_machine_config *config,
		     const struct model_host *host, struct model **model);
	int (*driver)(const struct nestfd_machine_config *config,
		      const struct core_hwport *port,
		      struct core_iommu **iommu);
	/* nestfd_cache_entry.kind of a model's regime */
	uint32_t (*entry_kind)(uint8_t regime);

	/* Optional: an ioctl of the architecture's own, and what it needs */
	const struct core_private *(*private_op)(struct core_iommu *iommu);
	void (*before_call)(struct core_iommu *iommu, struct core_ctx *ctx);
	void (*closing)(struct core_iommu *iommu, struct core_ctx *ctx);
};

/* NULL for one that is not there */
const struct arch *arch_find(enum nestfd_arch arch);

extern const struct core_hwport_ops machine_hwport_ops;

/* Where the platform's MSI doorbell lies */
#define MACHINE_DOORBELL_PA	0x8090000ULL
#define MACHINE_DOORBELL_SIZE	0x10000ULL
#define MACHINE_DOORBELL_OFFSET 0x40ULL /* GITS_TRANSLATER */

/* With the machine's lock held: makes the driver unless it is there. */
int machine_driver(struct nestfd_machine *machine);

/*
 * pinned.c: counts what processes pin in @ctx, from core_open() to after
 * core_close(); -ENOMEM. pinned_of() is for a client, and NULL without memory.
 */
int pinned_start(struct nestfd *ctx, struct core_env *env);
void pinned_end(struct nestfd *ctx);
struct core_process *pinned_of(struct nestfd *ctx, pid_t pid);
/* The users of a machine that has no contexts any more */
void pinned_forget_users(struct nestfd_machine *machine);

/*
 * page.c: what a device has asked for and has been told. pages_new() fills in
 * what the port needs; -ENOMEM, 0 also for a device that makes no requests.
 */
int pages_new(struct nestfd_device *dev,
	      const struct nestfd_device_config *config,
	      struct model_port_config *port);
void pages_free(struct device_pages *pages);
void pages_reset(struct device_pages *pages); /* NULL is fine */

/* A call that nestfd_close() waits for */
struct core_ctx *context_call_begin(struct nestfd *ctx);
void context_call_end(struct nestfd *ctx);

/* What is bound to @ctx, to which nothing is being bound any more */
void devices_unbind_all(struct nestfd *ctx);

#endif
