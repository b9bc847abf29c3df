/* SPDX-License-Identifier: MIT */
/*
 * A hardware model as the machine sees it, whatever its architecture: a block
 * of registers, ports to which devices are connected, and memory behind it.
 *
 * DMA may come from any thread. Everything that depends on a cached
 * translation, the copy of the data included, happens in one read section
 * (base/reader.h), so that a completed invalidation has waited for it.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotlb/iotlb.h"
#include "mem/phys.h"
#include "model/inject.h"

struct model;
struct model_port;

#define MODEL_NO_PASID UINT32_MAX

/* struct model_access.flags */
#define MODEL_WRITE	 0x01u
#define MODEL_PRIV	 0x02u /* privileged */
#define MODEL_EXEC	 0x04u /* instruction fetch; reads only */
#define MODEL_TRANSLATED 0x08u /* ATS: @iova came from a translation */
#define MODEL_QUIET                                          \
	0x10u /* a look, not a DMA: no event, cache or table \
	       * changes; hits are reported but nothing is   \
	       * inserted */

struct model_access {
	uint64_t iova;
	uint32_t pasid;
	uint32_t flags;
};

enum model_result {
	MODEL_OK,
	MODEL_ABORTED, /* terminated; an event may have been recorded */
	MODEL_STALLED, /* waits for software; see model_ops.stall_poll */
};

/* How one page of an access was translated. */
struct model_translation {
	enum model_result result;
	uint8_t event;		/* architecture's event number recorded, or 0 */
	bool hit;		/* from the cache */
	bool bypass;		/* not translated at all */
	bool stale;		/* the checker found memory to disagree */
	bool read, write, exec; /* what the translation allows */
	bool untranslated;	/* ATS: to requests that are not translated */
	uint8_t size_lg2;	/* of the page @pa belongs to */
	uint16_t stall_tag;
	uint64_t pa;
	void *host; /* where @pa lies, or NULL: valid in the section */
};

/* What the checker says about a stale translation (policy hostile). */
struct model_stale {
	uint32_t stream_id;
	uint32_t pasid; /* MODEL_NO_PASID */
	uint64_t iova;
	uint64_t cached_pa;
	uint64_t current_pa; /* valid if @mapped */
	bool mapped;	     /* memory still translates it at all */
	uint64_t cached_at;  /* number of commands consumed by then */
	uint64_t now;	     /* number of commands consumed */
	const char *why;     /* text for people, valid during the call */
};

struct model_stats {
	uint64_t hits;
	uint64_t misses;
	uint64_t stale;
	uint64_t events;
	uint64_t events_lost;
	uint64_t commands;
	uint64_t syncs;
};

struct model_host {
	struct phys *phys;
	struct grace *grace;
	void *ctx;
	/* a wired interrupt; numbers are the architecture's */
	void (*irq)(void *ctx, unsigned int line);
	void (*stale)(void *ctx, const struct model_stale *stale); /* or NULL */
};

/* struct model_page_request.flags */
#define MODEL_PAGE_READ	 0x01u
#define MODEL_PAGE_WRITE 0x02u
#define MODEL_PAGE_EXEC	 0x04u /* with a PASID, as the next */
#define MODEL_PAGE_PRIV	 0x08u
#define MODEL_PAGE_LAST	 0x10u

/*
 * A device asks for a page (PRI). Those with one @group are answered together,
 * when the one with LAST has come. With a PASID and LAST, but neither READ nor
 * WRITE, it is a marker: no more requests of that PASID. Nobody answers that.
 */
struct model_page_request {
	uint64_t iova;
	uint32_t pasid;
	uint32_t flags;
	uint16_t group;
};

#define MODEL_PAGE_SUCCESS 0x0u /* ask for translations again */
#define MODEL_PAGE_INVALID 0x1u /* there is no such page */
#define MODEL_PAGE_FAILURE 0xfu /* do not ask any more */

struct model_page_response {
	uint32_t pasid; /* MODEL_NO_PASID: it has none */
	uint16_t group;
	uint8_t code;
};

/* What a device is at its port. */
struct model_port_config {
	uint32_t stream_id;
	uint8_t pasid_bits;
	bool ats;
	bool pri;
	/*
	 * The answer to a group, or (FAILURE) to one request; in the thread
	 * that asks, or that consumes commands. Must not call back. NULL
	 * without @pri.
	 */
	void (*page_response)(void *ctx,
			      const struct model_page_response *response);
	void *ctx;
};

struct model_ops {
	void (*destroy)(struct model *model);
	uint64_t (*read)(struct model *model, uint32_t offset,
			 unsigned int size);
	void (*write)(struct model *model, uint32_t offset, unsigned int size,
		      uint64_t value);

	int (*port_add)(struct model *model,
			const struct model_port_config *config,
			struct model_port **port);
	/* Waits for the DMA in flight. */
	void (*port_remove)(struct model_port *port);

	/* Translate one address. Must be called in a read section. */
	void (*translate)(struct model_port *port,
			  const struct model_access *access,
			  struct model_translation *out);

	/*
	 * Move @len bytes; splits at pages; takes its own read section. 0;
	 * -EIO aborted (what was moved before the fault stays moved);
	 * -ENODEV the port has failed (or is being removed);
	 * -EFAULT the target is not memory; -EINPROGRESS stalled: nothing
	 * behind the stalled page was moved, repeat when it was resumed.
	 * @last may be NULL: the translation of the last page touched.
	 */
	int (*dma)(struct model_port *port, const struct model_access *access,
		   void *buf, size_t len, struct model_translation *last);

	/*
	 * Has stall @tag been answered? 0 retry; -EIO aborted; -ECANCELED
	 * ended as if it had been done: reads zeros, writes nothing;
	 * -EINPROGRESS not yet; -ENOENT no such stall. Who does not ask but
	 * repeats the access is told by that.
	 */
	int (*stall_poll)(struct model_port *port, uint16_t tag);

	/*
	 * ATS: fill the device's own cache (its ATC) for [iova, iova + len).
	 * 0 and the entry used in *out; -EIO refused (architecture's answer
	 * in out->event), -EOPNOTSUPP the port has no ATS.
	 */
	int (*ats_request)(struct model_port *port,
			   const struct model_access *access, uint64_t len,
			   struct model_translation *out);

	void (*for_each_entry)(struct model *model,
			       void (*fn)(void *ctx,
					  const struct iotlb_entry *entry),
			       void *ctx);
	void (*stats)(struct model *model, struct model_stats *stats);

	/* A fresh walk told in words, at most @size bytes with the NUL. */
	void (*explain)(struct model_port *port,
			const struct model_access *access, char *text,
			size_t size);

	/* A rule of the error injector. -EOPNOTSUPP, -ENOMEM */
	int (*inject)(struct model *model, const struct inject_fault *fault);
	/* No more rules; how many faults were injected, ever */
	uint64_t (*inject_clear)(struct model *model);
	/*
	 * The device answers again, its DMA is done again, and its ATC is
	 * empty. What rules say of it goes on.
	 */
	void (*port_reset)(struct model_port *port);

	/*
	 * 0 (an answer comes by page_response(), perhaps has come), -ENODEV
	 * the port has failed, -EOPNOTSUPP it has no PRI. May be NULL.
	 */
	int (*page_request)(struct model_port *port,
			    const struct model_page_request *request);
};

struct model {
	const struct model_ops *ops;
};

#endif
