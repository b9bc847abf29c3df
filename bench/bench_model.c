// SPDX-License-Identifier: MIT
/*
 * The bare SMMUv3 model: nanoseconds of a DMA that hits, of one that walks, and
 * of a doorbell with TLBI_NH_VA and CMD_SYNC. Each line is the best and the
 * median of several rounds in this run.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/reader.h"
#include "mem/guard.h"
#include "model/model.h"
#include "model/smmuv3/model.h"

#define ROUNDS 15
#define RAM    0x40000000ULL
#define PAGES  256ULL
#define DELTA  0x10000000000ULL
#define SIZE   0x4000000ULL

struct bench {
	struct phys *phys;
	struct grace *grace;
	struct model *model;
	struct model_port *s1;	   /* StreamID 1 */
	struct model_port *nested; /* StreamID 2 */
	char *ram;
	uint64_t used;
	uint32_t prod;
	uint64_t at; /* of the next page to touch */
};

static uint64_t *word(struct bench *b, uint64_t pa)
{
	return (uint64_t *)(b->ram + (pa - RAM));
}

static uint64_t page(struct bench *b)
{
	uint64_t pa = RAM + b->used;

	b->used += 0x1000;
	return pa;
}

static void map(struct bench *b, uint64_t root, uint64_t addr, int level,
		uint64_t delta, uint64_t descriptor)
{
	uint64_t table = root;

	for (int l = 0; l < level; l++) {
		uint64_t *d =
			word(b, table + ((addr >> (39 - 9 * l)) & 511) * 8);

		if (!*d)
			*d = (page(b) + delta) | 3;
		table = (*d & 0xfffffffff000ULL) - delta;
	}
	*word(b, table + ((addr >> (39 - 9 * level)) & 511) * 8) = descriptor;
}

static void stream(struct bench *b, unsigned int sid, uint64_t strtab,
		   bool nested)
{
	uint64_t delta = nested ? DELTA : 0;
	uint64_t root = page(b), cd = page(b), s2 = page(b);
	uint64_t *ste = word(b, strtab + 64ULL * sid);

	word(b, cd)[0] = 0x00006205c0000010ULL | (uint64_t)sid << 48;
	word(b, cd)[1] = root + delta;
	word(b, cd)[3] = 0xff;
	ste[1] = 0x0000100000000000ULL;
	ste[2] = nested ? 0x040d009000000000ULL | sid : sid;
	ste[3] = nested ? s2 : 0;
	ste[0] = (cd + delta) | (nested ? 0xf : 0xb);
	for (uint64_t n = 0; n < PAGES; n++)
		map(b, root, n << 12, 3, delta,
		    (RAM + 0x2000000 + (n << 12) + delta) | 0xc43);
	for (uint64_t pa = RAM; nested && pa < RAM + SIZE; pa += 0x1000)
		map(b, s2, pa + DELTA, 3, 0, pa | 0x4ff);
}

static void setup(struct bench *b)
{
	struct smmuv3_model_config config = { .policy = IOTLB_FAST };
	struct model_host host;
	struct phys_range *range;
	uint64_t cmdq, strtab;

	smmuv3_model_default_id(&config.id);
	if (guard_init() || phys_create(48, &b->phys) ||
	    grace_create(&b->grace) ||
	    posix_memalign((void **)&b->ram, 1 << 21, SIZE))
		exit(1);
	memset(b->ram, 0, SIZE);
	host = (struct model_host){ .phys = b->phys, .grace = b->grace };
	if (phys_add_at(b->phys, RAM, b->ram, SIZE, 3, &range) ||
	    smmuv3_model_create(&config, &host, &b->model))
		exit(1);
	cmdq = page(b);
	strtab = page(b);
	stream(b, 1, strtab, false);
	stream(b, 2, strtab, true);
	b->model->ops->port_add(b->model,
				&(struct model_port_config){ .stream_id = 1 },
				&b->s1);
	b->model->ops->port_add(b->model,
				&(struct model_port_config){ .stream_id = 2 },
				&b->nested);
	b->model->ops->write(b->model, 0x80, 8, strtab);
	b->model->ops->write(b->model, 0x88, 4, 6);
	b->model->ops->write(b->model, 0x90, 8, cmdq | 8);
	b->model->ops->write(b->model, 0x20, 4, 9);
}

static void command(struct bench *b, uint64_t dw0, uint64_t dw1)
{
	uint64_t *slot = word(b, RAM + (b->prod & 255) * 16);

	slot[0] = dw0;
	slot[1] = dw1;
	b->prod = (b->prod + 1) & 511;
}

static void doorbell(struct bench *b)
{
	b->model->ops->write(b->model, 0x98, 4, b->prod);
}

static void touch(struct bench *b, struct model_port *port, uint64_t iova,
		  void *buf, size_t len)
{
	struct model_access a = { .iova = iova, .pasid = MODEL_NO_PASID };

	if (b->model->ops->dma(port, &a, buf, len, NULL))
		exit(2);
}

static void hit_one(struct bench *b)
{
	uint64_t buf[8];

	touch(b, b->nested, 0x3000, buf, 64);
}

static void hit_many(struct bench *b)
{
	uint64_t buf[8];

	b->at = (b->at + 0x1000) % (PAGES << 12);
	touch(b, b->nested, b->at, buf, 8);
}

/* All pages once after everything was invalidated: walk caches get warm. */
static void miss(struct bench *b, struct model_port *port)
{
	uint64_t buf[8];

	b->at = (b->at + 0x1000) % (PAGES << 12);
	touch(b, port, b->at, buf, 8);
}

static void miss_s1(struct bench *b)
{
	miss(b, b->s1);
}

static void miss_nested(struct bench *b)
{
	miss(b, b->nested);
}

static void look(struct bench *b, struct model_port *port)
{
	struct model_access a = { .pasid = MODEL_NO_PASID,
				  .flags = MODEL_QUIET };
	struct model_translation t;

	b->at = (b->at + 0x1000) % (PAGES << 12);
	a.iova = b->at;
	reader_enter();
	b->model->ops->translate(port, &a, &t);
	reader_exit();
	if (t.result != MODEL_OK || t.hit)
		exit(3);
}

static void look_s1(struct bench *b)
{
	look(b, b->s1);
}

static void look_nested(struct bench *b)
{
	look(b, b->nested);
}

static void pair(struct bench *b)
{
	b->at = (b->at + 0x1000) % (PAGES << 12);
	command(b, 0x12 | 2ULL << 32 | 2ULL << 48, b->at | 1);
	command(b, 0x46, 0);
	doorbell(b);
}

static void batch(struct bench *b)
{
	for (int n = 0; n < 63; n++) {
		b->at = (b->at + 0x1000) % (PAGES << 12);
		command(b, 0x12 | 2ULL << 32 | 2ULL << 48, b->at | 1);
	}
	command(b, 0x46, 0);
	doorbell(b);
}

static void forget(struct bench *b)
{
	command(b, 0x30, 0);
	command(b, 0x46, 0);
	doorbell(b);
}

/* Leaves only: a walk then starts at the last tables. */
static void forget_leaves(struct bench *b)
{
	for (unsigned int vm = 1; vm <= 2; vm++)
		command(b,
			0x13 | (uint64_t)vm << 32 | 0x1fULL << 12 |
				(3ULL << 20),
			0x401); /* VAA, 256 pages from 0, Leaf, TG 4K */
	command(b, 0x46, 0);
	doorbell(b);
}

static void nothing(struct bench *b)
{
	(void)b;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(struct bench *b, const char *name, unsigned int times,
		    unsigned int per, void (*before)(struct bench *b),
		    void (*run)(struct bench *b))
{
	struct timespec from, to;
	double ns[ROUNDS];

	for (int round = 0; round < ROUNDS; round++) {
		before(b);
		clock_gettime(CLOCK_MONOTONIC, &from);
		for (unsigned int n = 0; n < times; n++)
			run(b);
		clock_gettime(CLOCK_MONOTONIC, &to);
		ns[round] = ((double)(to.tv_sec - from.tv_sec) * 1e9 +
			     (double)(to.tv_nsec - from.tv_nsec)) /
			    times / per;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), ascending);
	printf("%-48s best %8.1f  median %8.1f ns\n", name, ns[0],
	       ns[ROUNDS / 2]);
}

int main(void)
{
	struct bench b = { 0 };

	setup(&b);
	for (uint64_t n = 0; n < PAGES; n++) {
		miss_s1(&b);
		miss_nested(&b);
	}
	measure(&b, "DMA of 64 bytes, hit, one page", 1000000, 1, nothing,
		hit_one);
	measure(&b, "DMA of 8 bytes, hit, 256 pages", 1000000, 1, nothing,
		hit_many);
	measure(&b, "DMA, stage-1 miss, all forgotten", PAGES, 1, forget,
		miss_s1);
	measure(&b, "DMA, nested miss, all forgotten", PAGES, 1, forget,
		miss_nested);
	measure(&b, "DMA, stage-1 miss, leaves forgotten", PAGES, 1,
		forget_leaves, miss_s1);
	measure(&b, "DMA, nested miss, leaves forgotten", PAGES, 1,
		forget_leaves, miss_nested);
	forget_leaves(&b);
	measure(&b, "walk alone, stage 1, warm tables", 100000, 1, nothing,
		look_s1);
	measure(&b, "walk alone, nested, warm tables", 100000, 1, nothing,
		look_nested);
	forget(&b);
	measure(&b, "TLBI_NH_VA + SYNC doorbell, nothing cached", 100000, 1,
		nothing, pair);
	for (uint64_t n = 0; n < PAGES; n++)
		miss_nested(&b);
	measure(&b, "TLBI_NH_VA in a batch of 63 + SYNC, per command", 1000, 64,
		nothing, batch);
	b.model->ops->destroy(b.model);
	grace_destroy(b.grace);
	phys_destroy(b.phys);
	free(b.ram);
	return 0;
}
