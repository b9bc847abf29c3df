// SPDX-License-Identifier: MIT
/*
 * Ports: where devices are connected; and slots, by which a port knows what
 * is on its way without its threads sharing a cache line.
 *
 * A thread claims a slot of a port at its first DMA and keeps it. Its address
 * of a thread-local variable names it; a thread that comes after its end may
 * get the same address and inherits the slot, which is as it should be.
 */
#include "model/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define REMOVE_TIMEOUT_NS 1000000000u

__thread char slot_self;

static bool slot_claim(struct slot *slot)
{
	const void *nobody = NULL;

	return __atomic_compare_exchange_n(&slot->owner, &nobody, &slot_self,
					   false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

/* Never under hostile, where it would serve nobody; it may stay without. */
static void slot_furnish(const struct engine_port *port, struct slot *slot)
{
	if (!port->engine->hostile && !slot->recent)
		slot->recent = alloc_array(RECENT, sizeof(*slot->recent));
}

/* A DMA inside a DMA of this thread, its first one, or one thread too many */
struct slot *slot_enter_slow(struct engine_port *port, struct slot *spare)
{
	memset(spare, 0, sizeof(*spare));
	for (unsigned int n = 0; n < PORT_SLOTS; n++) {
		struct slot *slot = &port->slot[n];

		if (__atomic_load_n(&slot->owner, __ATOMIC_RELAXED) ==
		    &slot_self)
			return spare;
		if (slot_claim(slot)) {
			slot_furnish(port, slot);
			slot_seq_move(slot);
			return slot;
		}
	}
	spare->crowd = true;
	__atomic_fetch_add(&port->crowd, 1, __ATOMIC_RELAXED);
	return spare;
}

void slot_leave_spare(struct engine_port *port, const struct slot *slot)
{
	__atomic_fetch_add(&port->crowd_hits, slot->hits, __ATOMIC_RELAXED);
	__atomic_fetch_add(&port->crowd_misses, slot->misses, __ATOMIC_RELAXED);
	if (slot->crowd)
		__atomic_fetch_sub(&port->crowd, 1, __ATOMIC_RELAXED);
}

uint64_t port_hits(const struct engine_port *port)
{
	uint64_t sum = counted(&port->crowd_hits);

	for (unsigned int n = 0; n < PORT_SLOTS; n++)
		sum += counted(&port->slot[n].hits);
	return sum;
}

uint64_t port_misses(const struct engine_port *port)
{
	uint64_t sum = counted(&port->crowd_misses);

	for (unsigned int n = 0; n < PORT_SLOTS; n++)
		sum += counted(&port->slot[n].misses);
	return sum;
}

size_t port_find(const struct engine *m, uint32_t sid)
{
	size_t start = 0;
	size_t end = m->port_count;

	while (start < end) {
		size_t middle = start + (end - start) / 2;

		if (m->ports[middle]->config.stream_id < sid)
			start = middle + 1;
		else
			end = middle;
	}
	return start;
}

static int ports_reserve(struct engine *m)
{
	size_t room = m->port_room ? 2 * m->port_room : 64;
	struct engine_port **ports;
	uint64_t *loaded;

	if (m->port_count < m->port_room)
		return 0;
	ports = alloc_grow(m->ports, room, sizeof(struct engine_port *));
	if (!ports)
		return -ENOMEM;
	m->ports = ports;
	loaded = alloc_grow(m->loaded, room / 64, sizeof(*loaded));
	if (!loaded)
		return -ENOMEM;
	m->loaded = loaded;
	m->port_room = room;
	return 0;
}

static void mark_loaded(struct engine_port *port)
{
	port->engine->loaded[port->index / 64] |= BIT_ULL(port->index % 64);
	__atomic_store_n(&port->loaded, true, __ATOMIC_RELAXED);
}

/* Others have moved: as if all had something, which the next look corrects. */
static void ports_renumber(struct engine *m)
{
	memset(m->loaded, 0, m->port_room / 64 * sizeof(*m->loaded));
	for (size_t n = 0; n < m->port_count; n++) {
		m->ports[n]->index = n;
		mark_loaded(m->ports[n]);
	}
}

void ports_enter(struct engine *e)
{
	/* inside, what is deferred is only queued */
	reader_enter_of(e->host.grace);
	pthread_mutex_lock(&e->ports_lock);
}

void ports_leave(struct engine *e)
{
	pthread_mutex_unlock(&e->ports_lock);
	reader_exit();
	grace_help(e->host.grace);
}

void port_load(struct engine_port *port)
{
	pthread_mutex_lock(&port->engine->ports_lock);
	if (port->listed)
		mark_loaded(port);
	pthread_mutex_unlock(&port->engine->ports_lock);
}

void port_unload(struct engine_port *port)
{
	port->engine->loaded[port->index / 64] &= ~BIT_ULL(port->index % 64);
	__atomic_store_n(&port->loaded, false, __ATOMIC_RELAXED);
}

struct engine_port *port_next_loaded(const struct engine *m, size_t index)
{
	uint64_t word;

	if (index >= m->port_count)
		return NULL;
	word = m->loaded[index / 64] & ~low_mask(index % 64);
	for (index /= 64; !word;) {
		if (++index * 64 >= m->port_count)
			return NULL;
		word = m->loaded[index];
	}
	return m->ports[index * 64 + (size_t)__builtin_ctzll(word)];
}

static int ports_insert(struct engine *m, struct engine_port *port)
{
	size_t at;
	int rc;

	pthread_mutex_lock(&m->ports_lock);
	rc = ports_reserve(m);
	if (!rc) {
		at = port_find(m, port->config.stream_id);
		memmove(&m->ports[at + 1], &m->ports[at],
			(m->port_count - at) * sizeof(struct engine_port *));
		m->ports[at] = port;
		m->port_count++;
		port->listed = true;
		ports_renumber(m);
	}
	pthread_mutex_unlock(&m->ports_lock);
	return rc;
}

static void ports_erase(struct engine *m, struct engine_port *port)
{
	size_t at;

	pthread_mutex_lock(&m->ports_lock);
	at = port_find(m, port->config.stream_id);
	while (m->ports[at] != port)
		at++;
	m->port_count--;
	memmove(&m->ports[at], &m->ports[at + 1],
		(m->port_count - at) * sizeof(struct engine_port *));
	port->listed = false;
	ports_renumber(m);
	pthread_mutex_unlock(&m->ports_lock);
}

static void port_free(struct engine_port *port)
{
	contexts_free_all(port);
	if (port->engine->ops->port_fini)
		port->engine->ops->port_fini(port);
	iotlb_destroy(port->atc);
	for (unsigned int n = 0; n < PORT_SLOTS; n++)
		free(port->slot[n].recent);
	free(port);
}

static void port_free_later(struct grace_head *head)
{
	port_free(container_of(head, struct engine_port, free));
}

static int atc_create(struct engine_port *port)
{
	struct iotlb_config config = {
		.policy = port->engine->hostile ? IOTLB_HOSTILE : IOTLB_FAST,
		.capacity = 4096,
		.grace = port->engine->host.grace,
	};

	return port->config.ats ? iotlb_create(&config, &port->atc) : 0;
}

int port_add(struct model *model, const struct model_port_config *config,
	     struct model_port **out)
{
	struct engine *m = to_engine(model);
	struct engine_port *port;
	int rc;

	port = alloc_aligned(_Alignof(struct engine_port), m->ops->port_size);
	if (!port)
		return -ENOMEM;
	port->engine = m;
	port->config = *config;
	rc = atc_create(port);
	if (!rc)
		rc = ports_insert(m, port);
	if (rc) {
		port_free(port);
		return rc;
	}
	*out = (struct model_port *)port;
	return 0;
}

void port_remove(struct model_port *opaque)
{
	struct engine_port *port = to_port(opaque);
	struct engine *m = port->engine;

	__atomic_store_n(&port->failed, 1, __ATOMIC_RELAXED);
	ports_erase(m, port);
	if (m->ops->port_gone)
		m->ops->port_gone(port);
	/* A DMA stuck in a client's memory must not keep the caller. */
	if (grace_wait(m->host.grace, REMOVE_TIMEOUT_NS)) {
		grace_defer(m->host.grace, &port->free, port_free_later);
		return;
	}
	__atomic_fetch_add(&m->hits_gone, port_hits(port), __ATOMIC_RELAXED);
	__atomic_fetch_add(&m->misses_gone, port_misses(port),
			   __ATOMIC_RELAXED);
	port_free(port);
}

void port_free_all(struct engine *m)
{
	for (size_t n = 0; n < m->port_count; n++)
		port_free(m->ports[n]);
	free(m->ports);
	free(m->loaded);
}

/* Its DMA finds an empty ATC: the port fails until there is one. */
void port_reset(struct model_port *opaque)
{
	struct engine_port *port = to_port(opaque);
	const struct iotlb_inval all = { .regimes = ~0u };

	if (port->atc)
		iotlb_invalidate(port->atc, &all);
	pthread_mutex_lock(&port->engine->ports_lock);
	port->silent_us = 0;
	__atomic_store_n(&port->failed, 0, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&port->engine->ports_lock);
}
