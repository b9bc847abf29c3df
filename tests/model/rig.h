/* SPDX-License-Identifier: MIT */
/*
 * A machine for tests of a whole model, whatever its architecture: memory, two
 * ports, and what the model tells its host. The architecture's rig makes the
 * model and its tables.
 */
#ifndef TESTS_MODEL_RIG_H
#define TESTS_MODEL_RIG_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "mem/guard.h"
#include "mem/phys.h"
#include "model/model.h"

#define RAM	 0x40000000ULL
#define RAM_SIZE 0x2000000ULL
#define FREE	 (RAM + 0x100000)

/* Under stage 2: its addresses are those of memory + DELTA */
#define DELTA 0x10000000000ULL

struct rig {
	struct phys *phys;
	struct grace *grace;
	struct model *model;
	struct model_port *port[2];
	char *ram;
	uint64_t used;
	pthread_mutex_t lock;
	struct model_stale stale;
	char why[1024];
	unsigned int stales;
	unsigned int irqs[8];
	void (*on_irq)(struct rig *g, unsigned int line); /* or NULL */
	unsigned int answers;
	struct model_page_response answer;
	/* SMMUv3: indices with their wrap bits */
	uint32_t cmd_prod;
	uint32_t event_cons;
	/* VT-d: IQT, waits put into the queue, tables of both sources */
	uint32_t tail;
	uint32_t waits;
	uint64_t dir[2];
	uint64_t context[2];
};

/* Threads may report at the same time. */
static void rig_stale(void *ctx, const struct model_stale *stale)
{
	struct rig *g = ctx;

	pthread_mutex_lock(&g->lock);
	g->stale = *stale;
	snprintf(g->why, sizeof(g->why), "%s", stale->why);
	g->stales++;
	pthread_mutex_unlock(&g->lock);
}

static void rig_irq(void *ctx, unsigned int line)
{
	struct rig *g = ctx;

	__atomic_fetch_add(&g->irqs[line], 1, __ATOMIC_RELAXED);
	if (g->on_irq)
		g->on_irq(g, line);
}

static inline void rig_answer(void *ctx,
			      const struct model_page_response *response)
{
	struct rig *g = ctx;

	g->answer = *response;
	g->answers++;
}

static inline uint64_t *at(struct rig *g, uint64_t pa)
{
	return (uint64_t *)(g->ram + (pa - RAM));
}

/* Words that DMA threads read at the same time */
static inline void put(struct rig *g, uint64_t pa, uint64_t value)
{
	__atomic_store_n(at(g, pa), value, __ATOMIC_RELEASE);
}

static inline uint64_t page(struct rig *g)
{
	uint64_t pa = FREE + g->used;

	g->used += 0x1000;
	return pa;
}

static inline uint64_t reg_get(struct rig *g, uint32_t reg, unsigned int size)
{
	return g->model->ops->read(g->model, reg, size);
}

static inline void reg_set(struct rig *g, uint32_t reg, unsigned int size,
			   uint64_t value)
{
	g->model->ops->write(g->model, reg, size, value);
}

static inline struct model_translation
look(struct rig *g, int port, uint32_t pasid, uint64_t iova, uint32_t flags)
{
	const struct model_access a = { .iova = iova,
					.pasid = pasid,
					.flags = flags };
	struct model_translation t;

	reader_enter();
	g->model->ops->translate(g->port[port], &a, &t);
	reader_exit();
	return t;
}

/* ---- life: a model is made between rig_memory() and rig_ports() ---- */

static inline int rig_memory(struct rig *g, unsigned int bits)
{
	struct phys_range *range;
	int rc;

	memset(g, 0, sizeof(*g));
	pthread_mutex_init(&g->lock, NULL);
	rc = phys_create(bits, &g->phys);
	if (rc)
		return rc;
	rc = grace_create(&g->grace);
	if (rc)
		return rc;
	/* zero, and only what is used has to be */
	g->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->ram == MAP_FAILED) {
		g->ram = NULL;
		return -ENOMEM;
	}
	return phys_add_at(g->phys, RAM, g->ram, RAM_SIZE,
			   PHYS_READ | PHYS_WRITE, &range);
}

static inline struct model_host rig_host(struct rig *g)
{
	return (struct model_host){
		.phys = g->phys,
		.grace = g->grace,
		.ctx = g,
		.irq = rig_irq,
		.stale = rig_stale,
	};
}

static inline int rig_ports(struct rig *g, uint32_t sid0, uint32_t sid1,
			    bool pri)
{
	int rc = 0;

	for (unsigned int n = 0; n < 2 && !rc; n++)
		rc = g->model->ops->port_add(
			g->model,
			&(struct model_port_config){
				.stream_id = n ? sid1 : sid0,
				.pasid_bits = 20,
				.ats = true,
				.pri = pri,
				.page_response = pri ? rig_answer : NULL,
				.ctx = g },
			&g->port[n]);
	return rc;
}

static inline void rig_down(struct rig *g)
{
	if (g->model)
		g->model->ops->destroy(g->model);
	if (g->grace)
		grace_destroy(g->grace);
	if (g->phys)
		phys_destroy(g->phys);
	if (g->ram)
		munmap(g->ram, RAM_SIZE);
}

/*
 * Each allocation of @scenario is refused once, in either policy; at least so
 * many there are, and so many keep the model from being made.
 */
static inline void rig_allocations(int (*scenario)(enum iotlb_policy policy,
						   struct alloc_plan *plan),
				   uint64_t least, unsigned int creation)
{
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		struct alloc_plan plan = { 0 };
		uint64_t points;
		unsigned int refused = 0;

		assert_int_equal(scenario(policy, &plan), 0);
		points = plan.passed;
		for (uint64_t n = 1; n <= points; n++) {
			int rc;

			plan = (struct alloc_plan){ .fail_at = n };
			rc = scenario(policy, &plan);
			assert_true(!rc || rc == -ENOMEM);
			refused += rc != 0;
		}
		print_message("%u injection points, %u refused creation\n",
			      (unsigned int)points, refused);
		assert_true(points > least && refused > creation);
	}
}

/* For the whole program: cmocka has signal handlers of its own, per test. */
static inline int group_up(void **state)
{
	(void)state;
	return guard_init();
}

#endif
