// SPDX-License-Identifier: MIT
/* The translation cache's life, lookups and inserts; private.h explains. */
#include "iotlb/private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/alloc.h"
#include "base/bits.h"

#define CAPACITY_DEFAULT 65536u

/* At most one place in 32 lies idle in a shard that has no use for it. */
#define SPARE_PLACES_MAX 32u
#define SPARE_SHARE	 (SHARDS * 2u * 32u)

/* Others may take what an insert has made room for. */
#define EVICT_TRIES 8

/* What a probe looks for, and leaves the node in that it has found. */
struct probe {
	uint64_t tag;
	uint64_t page;
	const struct node *node;
};

static bool chunk_has(const void *item, const void *key)
{
	const struct chunk *chunk = item;
	struct probe *want = (struct probe *)key;

	if (chunk->number != want->page >> CHUNK_LG2 || chunk->tag != want->tag)
		return false;
	want->node = reader_load(&chunk->node[want->page % CHUNK_NODES]);
	return want->node && !space_is_dead(chunk->vm->tlb, chunk->space,
					    chunk->vm, want->tag);
}

static inline __attribute__((always_inline)) const struct node *
probe(const struct iotlb *tlb, const struct shard *shard, uint64_t tag,
      uint64_t iova, unsigned int size_lg2)
{
	struct probe want = {
		.tag = tag | TAG_SIZE(size_lg2),
		.page = iova >> size_lg2,
	};

	if (!table_find(&shard->chunks,
			hash2(tlb, want.tag, want.page >> CHUNK_LG2), chunk_has,
			&want))
		return NULL;
	return want.node;
}

/* Neighbours share a hint: what a driver maps at once has one size. */
static inline uint8_t *hint_of(struct iotlb *tlb, const struct iotlb_key *key)
{
	uint64_t region = key->iova >> 21;

	return &tlb->hint[(region ^ region >> 9 ^ key->asid ^ key->vmid * 5u ^
			   key->regime * 31u) %
			  HINTS];
}

/* All sizes in @sizes, smallest first; remember what was found. */
static const struct iotlb_entry *probe_sizes(struct iotlb *tlb, uint64_t tag,
					     const struct iotlb_key *key,
					     uint8_t *hint, uint64_t sizes)
{
	const struct shard *shard = shard_of(tlb, tag);
	const struct node *node;

	for (; sizes; sizes &= sizes - 1) {
		unsigned int size_lg2 = __builtin_ctzll(sizes);

		node = probe(tlb, shard, tag, key->iova, size_lg2);
		if (!node)
			continue;
		if (tag & TAG_GLOBAL)
			size_lg2 |= HINT_GLOBAL;
		__atomic_store_n(hint, (uint8_t)size_lg2, __ATOMIC_RELAXED);
		return &node->entry;
	}
	return NULL;
}

static __attribute__((noinline)) const struct iotlb_entry *
lookup_slow(struct iotlb *tlb, const struct iotlb_key *key, uint64_t tag,
	    uint8_t *hint, uint64_t sizes)
{
	const struct iotlb_entry *entry;
	const struct shard *shard;

	entry = probe_sizes(tlb, tag, key, hint, sizes);
	if (entry || !globals_seen(tlb, key->regime))
		return entry;

	tag = space_tag(key->regime, key->vmid, 0, true);
	shard = shard_of(tlb, tag);
	sizes = reader_load(&shard->sizes.present[key->regime][1]);
	return probe_sizes(tlb, tag, key, hint, sizes);
}

const struct iotlb_entry *iotlb_lookup(struct iotlb *tlb,
				       const struct iotlb_key *key)
{
	const struct shard *shard;
	const struct node *node;
	uint64_t tag, sizes;
	unsigned int size_lg2;
	uint8_t *hint;
	bool global;

	if (key->regime >= IOTLB_REGIMES)
		return NULL;
	hint = hint_of(tlb, key);
	size_lg2 = __atomic_load_n(hint, __ATOMIC_RELAXED);
	global = size_lg2 & HINT_GLOBAL;
	size_lg2 %= 64;

	tag = space_tag(key->regime, key->vmid, key->asid, global);
	shard = shard_of(tlb, tag);
	sizes = reader_load(&shard->sizes.present[key->regime][global]);
	if (sizes >> size_lg2 & 1) {
		node = probe(tlb, shard, tag, key->iova, size_lg2);
		if (node)
			return &node->entry;
		sizes &= ~(1ull << size_lg2);
	}
	if (global) {
		tag = space_tag(key->regime, key->vmid, key->asid, false);
		shard = shard_of(tlb, tag);
		sizes = reader_load(&shard->sizes.present[key->regime][0]);
	} else if (!sizes && !globals_seen(tlb, key->regime)) {
		return NULL;
	}
	return lookup_slow(tlb, key, tag, hint, sizes);
}

uint64_t iotlb_ticket(struct iotlb *tlb)
{
	return __atomic_load_n(&tlb->sequence, __ATOMIC_SEQ_CST);
}

static bool entry_is_sound(const struct iotlb_entry *entry)
{
	unsigned int size = entry->size_lg2, leaf = entry->leaf_lg2;

	return entry->regime < IOTLB_REGIMES && size <= leaf && leaf <= 63 &&
	       !(entry->iova & low_mask(size)) &&
	       !(entry->leaf & low_mask(leaf)) &&
	       entry->iova >> leaf == entry->leaf >> leaf;
}

/* The place of a node in another shard than @own does us good only if free. */
static bool evict_from(struct iotlb *tlb, struct shard *shard,
		       const struct shard *own)
{
	struct trash trash = { 0 };
	bool evicted;

	spin_take(&shard->lock);
	evicted = index_evict(tlb, shard);
	if (evicted && shard != own && shard->places) {
		shard->places--;
		__atomic_sub_fetch(&tlb->used, 1, __ATOMIC_RELAXED);
	}
	shard_unlock(shard, &trash);
	trash_defer(&trash, tlb->grace);
	return evicted;
}

/* Make room for one, in the newcomer's own shard if that holds any. */
static bool evict(struct iotlb *tlb, uint64_t tag)
{
	struct shard *own = shard_of(tlb, tag);
	size_t first = own - tlb->shard;

	for (size_t n = 0; n < SHARDS; n++) {
		if (evict_from(tlb, &tlb->shard[(first + n) % SHARDS], own))
			return true;
	}
	return false;
}

/*
 * An invalidation moves the sequence before it takes any lock. If its part
 * under this shard's lock came before ours, we see that it moved; if it comes
 * after, it finds the node. If it kills the whole vm instead, then either the
 * node's space belongs to that vm, and the node is born dead, or the space was
 * made after, under vms_lock, and again we see that it moved.
 */
static int entry_insert(struct iotlb *tlb, uint64_t ticket, uint64_t tag,
			const struct iotlb_entry *entry)
{
	struct trash trash = { 0 };
	struct space *space;
	int rc;

	rc = space_get(tlb, tag, &space);
	if (rc)
		return rc;

	if (entry->global)
		globals_announce(tlb, entry->regime);
	rc = iotlb_ticket(tlb) == ticket ? 0 : -EAGAIN;
	if (!rc)
		rc = index_insert(tlb, space, entry);
	if (!rc) {
		credit_give(tlb, space->shard, CREDIT_INSERT);
		vmid_speaks(space->shard, entry->vmid);
	}
	if (!space->nodes)
		space_emptied(tlb, space);
	index_trim(space->shard);
	shard_unlock(space->shard, &trash);
	trash_defer(&trash, tlb->grace);
	return rc;
}

static int insert(struct iotlb *tlb, uint64_t ticket,
		  const struct iotlb_entry *entry)
{
	uint64_t tag;
	int rc;

	if (!entry_is_sound(entry))
		return -EINVAL;
	if (iotlb_ticket(tlb) != ticket)
		return -EAGAIN;

	tag = space_tag(entry->regime, entry->vmid, entry->asid, entry->global);
	rc = entry_insert(tlb, ticket, tag, entry);
	for (int n = 0; rc == -ENOSPC && n < EVICT_TRIES; n++) {
		if (!evict(tlb, tag))
			break;
		rc = entry_insert(tlb, ticket, tag, entry);
	}
	return rc == -ENOSPC ? -ENOMEM : rc;
}

int iotlb_insert(struct iotlb *tlb, uint64_t ticket,
		 const struct iotlb_entry *entry)
{
	int rc = insert(tlb, ticket, entry);

	if (rc)
		__atomic_add_fetch(&tlb->dropped, 1, __ATOMIC_RELAXED);
	if (iotlb_must_reap(tlb))
		iotlb_reap(tlb);
	return rc;
}

void iotlb_for_each(struct iotlb *tlb,
		    void (*fn)(void *ctx, const struct iotlb_entry *entry),
		    void *ctx)
{
	for (int regime = 0; regime < IOTLB_REGIMES; regime++) {
		struct ring *v = tlb->vms[regime].next;

		for (; v != &tlb->vms[regime]; v = v->next) {
			struct vm *vm = container_of(v, struct vm, link);
			struct ring *s = vm->spaces.next;

			for (; s != &vm->spaces; s = s->next) {
				struct space *space =
					container_of(s, struct space, link);

				if (!space->dead)
					index_for_each(space, fn, ctx);
			}
		}
	}
}

static void stats_add(struct ring *vms, bool dead, struct iotlb_stats *stats)
{
	for (struct ring *v = vms->next; v != vms; v = v->next) {
		struct vm *vm = container_of(v, struct vm, link);
		struct ring *s = vm->spaces.next;

		for (; s != &vm->spaces; s = s->next) {
			struct space *space =
				container_of(s, struct space, link);

			spin_take(&space->shard->lock);
			stats->spaces++;
			if (dead || space->dead)
				stats->stale += space->nodes;
			else
				stats->entries += space->nodes;
			spin_drop(&space->shard->lock);
		}
	}
}

void iotlb_stats(struct iotlb *tlb, struct iotlb_stats *stats)
{
	struct iotlb_stats sum = { 0 };

	for (unsigned int n = 0; n < SHARDS; n++) {
		struct shard *shard = &tlb->shard[n];

		spin_take(&shard->lock);
		sum.inserted += shard->inserted;
		sum.removed += shard->removed;
		sum.work += shard->work;
		spin_drop(&shard->lock);
	}
	sum.dropped = __atomic_load_n(&tlb->dropped, __ATOMIC_RELAXED);

	spin_take(&tlb->vms_lock);
	for (int regime = 0; regime < IOTLB_REGIMES; regime++)
		stats_add(&tlb->vms[regime], false, &sum);
	stats_add(&tlb->dead_vms, true, &sum);
	spin_drop(&tlb->vms_lock);
	*stats = sum;
}

static void seed_fill(struct iotlb *tlb)
{
	struct timespec now;

	if (getrandom(tlb->seed, sizeof(tlb->seed), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(tlb->seed)) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		tlb->seed[0] = (uintptr_t)tlb * 0x9e3779b97f4a7c15ull;
		tlb->seed[1] = (uint64_t)now.tv_nsec * 0xd6e8feb86659fd93ull;
		tlb->seed[2] = tlb->seed[0] ^ ~tlb->seed[1];
	}
	tlb->seed[2] |= 1; /* a multiplier that loses no bit */
}

int iotlb_create(const struct iotlb_config *config, struct iotlb **out)
{
	struct iotlb *tlb;

	if (!config->grace ||
	    (config->policy != IOTLB_FAST && config->policy != IOTLB_HOSTILE))
		return -EINVAL;
	tlb = alloc_aligned(_Alignof(struct iotlb), sizeof(*tlb));
	if (!tlb)
		return -ENOMEM;

	tlb->policy = config->policy;
	tlb->grace = config->grace;
	tlb->capacity = config->capacity ? config->capacity : CAPACITY_DEFAULT;
	tlb->spare_places = (uint32_t)(tlb->capacity / SPARE_SHARE);
	if (tlb->spare_places > SPARE_PLACES_MAX)
		tlb->spare_places = SPARE_PLACES_MAX;
	seed_fill(tlb);
	tlb->vm_table.hash = vm_hash;
	ring_init(&tlb->dead_vms);
	for (int n = 0; n < IOTLB_REGIMES; n++)
		ring_init(&tlb->vms[n]);
	for (unsigned int n = 0; n < SHARDS; n++) {
		tlb->shard[n].spaces.hash = space_hash;
		tlb->shard[n].chunks.hash = chunk_hash;
		ring_init(&tlb->shard[n].idle);
		credit_open(tlb, &tlb->shard[n]);
	}
	*out = tlb;
	return 0;
}

void iotlb_destroy(struct iotlb *tlb)
{
	if (!tlb)
		return;
	spin_take(&tlb->vms_lock);
	for (int n = 0; n < IOTLB_REGIMES; n++)
		vm_kill_all(tlb, (uint8_t)n);
	spin_drop(&tlb->vms_lock);
	iotlb_reap_all(tlb);

	for (unsigned int n = 0; n < SHARDS; n++) {
		trash_free(&tlb->shard[n].trash);
		pool_close(&tlb->shard[n]);
		table_fini(&tlb->shard[n].spaces);
		table_fini(&tlb->shard[n].chunks);
	}
	table_fini(&tlb->vm_table);
	free(tlb);
}
