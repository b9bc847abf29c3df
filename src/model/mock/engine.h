/* SPDX-License-Identifier: MIT */
/*
 * What the mock IOMMU consists of. @lock guards all that commands change:
 * commands write, DMA reads. Memory is walked outside it, in a read section,
 * for which SYNC waits.
 *
 * Command lists do not take it, or they would not run side by side: each has a
 * lock of its own, and contexts and devices go only while all of those are
 * held (after @lock, in order). Cells are atomic.
 */
#ifndef MODEL_MOCK_ENGINE_H
#define MODEL_MOCK_ENGINE_H

#include <pthread.h>

#include "base/bits.h"
#include "base/ids.h"
#include "base/itree.h"
#include "base/reader.h"
#include "hwdef/mock.h"
#include "model/inject.h"
#include "model/mock/model.h"

/* Those of different guests are written at once: on lines of their own */
struct mock_context {
	_Alignas(64) uint64_t root; /* paging: table | levels */
	bool nested;
	bool dirty;	 /* paging: set dirty bits */
	uint32_t parent; /* nested */
	uint32_t cells[MOCK_CELLS];
};

/* One stream under a context; its key is ssid << 32 | StreamID */
struct mock_stream {
	struct itree_node node;
	uint32_t context;
};

struct mock_cache {
	_Alignas(64) struct itree_node node; /* by StreamID */
	uint32_t cells[MOCK_CELLS];
};

struct mock_port {
	struct mock_engine *engine;
	struct model_port_config config;
	struct grace_head gone;
};

/* On a cache line of its own: nothing is shared between lists. */
struct mock_list {
	_Alignas(64) pthread_mutex_t lock; /* all below */
	uint64_t base;
	uint64_t done;
	uint64_t commands;
};

struct mock_engine {
	struct model base;
	struct model_host host;
	struct mock_list lists[MOCK_LISTS];
	pthread_rwlock_t lock; /* all below but the counters */
	struct ids contexts;
	struct itree streams;
	struct itree caches;
	uint64_t arg[2];
	uint64_t status;
	uint64_t result;
	struct model_stats counters; /* relaxed */
	struct inject inject;
};

static inline struct mock_engine *to_engine(struct model *model)
{
	return container_of(model, struct mock_engine, base);
}

static inline uint64_t mock_key(uint32_t stream_id, uint64_t ssid)
{
	return ssid << MOCK_STREAM_SSID_SHIFT | stream_id;
}

static inline void mock_count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* Where a walk begins. */
struct mock_root {
	uint64_t root;
	bool dirty;
};

/* list.c: the registers of lists, from the first one's page on */
uint64_t mock_list_read(struct mock_engine *e, uint32_t offset);
void mock_list_write(struct mock_engine *e, uint32_t offset, uint64_t value);
void mock_lists_init(struct mock_engine *e);
void mock_lists_fini(struct mock_engine *e);
/* None of them runs between the two. */
void mock_lists_stop(struct mock_engine *e);
void mock_lists_resume(struct mock_engine *e);
uint64_t mock_lists_commands(struct mock_engine *e);

/* command.c: with the lock, or a list's */
struct mock_context *mock_find_context(const struct mock_engine *e,
				       uint64_t id);
struct mock_cache *mock_find_cache(const struct mock_engine *e, uint64_t sid);

/* The write to CMD, with the lock held for writing where needed */
void mock_execute(struct mock_engine *e, uint64_t cmd);
void mock_forget_all(struct mock_engine *e);
/* With the lock held: false if @context is none or its parent has gone. */
bool mock_root_of(const struct mock_engine *e, uint32_t context,
		  struct mock_root *root);

/* walk.c: in a read section */
struct mock_leaf {
	uint64_t pa; /* of the address asked for */
	unsigned int size_lg2;
	bool read;
	bool write;
};

/* A flag beside those of struct model_access: whatever is permitted */
#define MOCK_ANY_ACCESS 0x80000000u

/*
 * Walks for a read, or for a write, which needs the permission and leaves a
 * dirty bit where that is tracked (not if @quiet). False: no translation.
 */
bool mock_walk(const struct mock_engine *e, const struct mock_root *root,
	       uint64_t iova, uint32_t flags, struct mock_leaf *leaf);

/* dma.c */
void mock_translate(struct model_port *port, const struct model_access *access,
		    struct model_translation *out);
int mock_dma(struct model_port *port, const struct model_access *access,
	     void *buf, size_t len, struct model_translation *last);
void mock_explain(struct model_port *port, const struct model_access *access,
		  char *text, size_t size);

#endif
