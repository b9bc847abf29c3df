// SPDX-License-Identifier: MIT
/*
 * Spaces and vms: how they come to be, die, and are reaped.
 *
 * Death is a mark (a vm's epoch counts as one), so it costs the same whatever
 * is cached. What a dead space holds is found through the lists of its vm and
 * the queue, never by a search, and each insert frees more than one insert can
 * have made: what is dead never exceeds what once was alive.
 *
 * A space is in the queue (or the backlog, which is the part of the queue that
 * the reaper has taken) while @queued says so, and only the reaper frees it.
 */
#include "iotlb/private.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"

/* At most 5 things come of one insert: node, chunk, shape, space, vm. */
#define REAP_PER_INSERT 8

/* Owed by inserts that found another thread reaping: then one waits. */
#define REAP_OWED_MAX 1024

/* Removed things pile up in the shard, so that few are handed to grace. */
#define TRASH_KEEP 16

void shard_unlock(struct shard *shard, struct trash *trash)
{
	if (shard->trash.count >= TRASH_KEEP) {
		if (trash->first) {
			trash_move(trash, &shard->trash);
		} else {
			*trash = shard->trash;
			shard->trash = (struct trash){ 0 };
		}
	}
	spin_drop(&shard->lock);
}

uint64_t space_hash(const void *item)
{
	const struct space *space = item;

	return hash2(space->vm->tlb, space->tag, 0);
}

static bool space_equal(const void *item, const void *key)
{
	const struct space *space = item;
	const uint64_t *tag = key;

	return space->tag == *tag &&
	       !space_is_dead(space->vm->tlb, space, space->vm, *tag);
}

struct space *space_find(struct iotlb *tlb, struct shard *shard, uint64_t tag)
{
	struct space *space = shard->last;

	if (space && space_equal(space, &tag))
		return space;
	space = table_find(&shard->spaces, hash2(tlb, tag, 0), space_equal,
			   &tag);
	if (space)
		shard->last = space;
	return space;
}

static uint32_t vm_key(uint8_t regime, uint16_t vmid)
{
	return (uint32_t)vmid << 3 | regime;
}

uint64_t vm_hash(const void *item)
{
	const struct vm *vm = item;

	return hash2(vm->tlb, vm->key, 0);
}

static bool vm_equal(const void *item, const void *key)
{
	const struct vm *vm = item;
	const uint32_t *want = key;

	return vm->key == *want && !vm->dead &&
	       vm->epoch == vm->tlb->epoch[*want & 7];
}

struct vm *vm_find(struct iotlb *tlb, uint8_t regime, uint16_t vmid)
{
	uint32_t key = vm_key(regime, vmid);

	return table_find(&tlb->vm_table, hash2(tlb, key, 0), vm_equal, &key);
}

static int vm_get(struct iotlb *tlb, uint8_t regime, uint16_t vmid,
		  struct vm **out, struct trash *trash)
{
	struct vm *vm = vm_find(tlb, regime, vmid);
	int rc;

	if (vm) {
		*out = vm;
		return 0;
	}
	vm = alloc_zero(sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	vm->tlb = tlb;
	vm->key = vm_key(regime, vmid);
	vm->epoch = tlb->epoch[regime];
	ring_init(&vm->spaces);

	rc = table_insert(&tlb->vm_table, vm_hash(vm), vm, trash);
	if (rc) {
		free(vm);
		return rc;
	}
	ring_add(&tlb->vms[regime], &vm->link);
	*out = vm;
	return 0;
}

/* One that has no spaces. */
static void vm_free(struct vm *vm, struct trash *trash)
{
	ring_del(&vm->link);
	table_remove(&vm->tlb->vm_table, vm_hash(vm), vm, trash);
	trash_add(trash, &vm->trash);
}

static int space_create(struct vm *vm, struct shard *shard, uint64_t tag,
			struct space **out)
{
	struct space *space = alloc_zero(sizeof(*space));
	int rc;

	if (!space)
		return -ENOMEM;
	space->vm = vm;
	space->shard = shard;
	space->tag = tag;

	rc = table_insert(&shard->spaces, space_hash(space), space,
			  &shard->trash);
	if (rc) {
		free(space);
		return rc;
	}
	ring_add(&vm->spaces, &space->link);
	*out = space;
	return 0;
}

/* Under vms_lock: takes the shard's lock and, on success, keeps it. */
static int space_get_slow(struct iotlb *tlb, struct shard *shard, uint64_t tag,
			  struct space **out, struct trash *trash)
{
	struct vm *vm;
	int rc;

	rc = vm_get(tlb, TAG_REGIME_OF(tag), TAG_VMID_OF(tag), &vm, trash);
	if (rc)
		return rc;

	spin_take(&shard->lock);
	*out = space_find(tlb, shard, tag);
	if (!*out)
		rc = space_create(vm, shard, tag, out);
	if (rc)
		spin_drop(&shard->lock);
	if (ring_empty(&vm->spaces))
		vm_free(vm, trash);
	return rc;
}

int space_get(struct iotlb *tlb, uint64_t tag, struct space **space)
{
	struct shard *shard = shard_of(tlb, tag);
	struct trash trash = { 0 };
	int rc;

	spin_take(&shard->lock);
	*space = space_find(tlb, shard, tag);
	if (*space)
		return 0;
	spin_drop(&shard->lock);

	spin_take(&tlb->vms_lock);
	rc = space_get_slow(tlb, shard, tag, space, &trash);
	spin_drop(&tlb->vms_lock);
	if (rc)
		trash_defer(&trash, tlb->grace);
	else
		trash_move(&shard->trash, &trash);
	return rc;
}

void space_queue(struct iotlb *tlb, struct space *space)
{
	if (space->queued)
		return;
	space->queued = true;
	space->next_queued = __atomic_load_n(&tlb->queue, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&tlb->queue, &space->next_queued,
					    space, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
}

/*
 * A guest that maps and unmaps one page at a time empties its space each time;
 * so the last one of the shard to become empty is left alone.
 */
void space_emptied(struct iotlb *tlb, struct space *space)
{
	struct shard *shard = space->shard;
	struct space *before = shard->spare;

	shard->spare = space;
	if (before && before != space && !before->nodes)
		space_queue(tlb, before);
}

static void space_mark(struct space *space)
{
	if (space->dead)
		return;
	reader_publish(&space->dead, true);
	table_remove(&space->shard->spaces, space_hash(space), space,
		     &space->shard->trash);
}

void space_kill(struct iotlb *tlb, struct space *space)
{
	space_mark(space);
	space_queue(tlb, space);
}

/* All from here on under vms_lock. */

void vm_kill(struct iotlb *tlb, struct vm *vm)
{
	reader_publish(&vm->dead, true);
	ring_del(&vm->link);
	ring_add(&tlb->dead_vms, &vm->link);
	__atomic_store_n(&tlb->behind, true, __ATOMIC_RELAXED);
}

void vm_kill_all(struct iotlb *tlb, uint8_t regime)
{
	struct ring *from = &tlb->vms[regime], *to = &tlb->dead_vms;

	reader_publish(&tlb->epoch[regime], tlb->epoch[regime] + 1);
	if (ring_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	ring_init(from);
	__atomic_store_n(&tlb->behind, true, __ATOMIC_RELAXED);
}

static void backlog_push(struct iotlb *tlb, struct space *space)
{
	space->next_queued = tlb->backlog;
	tlb->backlog = space;
}

static struct space *backlog_pop(struct iotlb *tlb)
{
	struct space *space = tlb->backlog;

	if (!space)
		space = __atomic_exchange_n(&tlb->queue, NULL,
					    __ATOMIC_ACQUIRE);
	if (space)
		tlb->backlog = space->next_queued;
	return space;
}

/* @space is off the queue and still says queued. */
static unsigned int space_reap(struct iotlb *tlb, struct space *space,
			       unsigned int budget, struct trash *trash)
{
	struct shard *shard = space->shard;
	struct vm *vm = space->vm;
	bool freed = false;

	spin_take(&shard->lock);
	if (space->nodes && !space_is_dead(tlb, space, vm, space->tag)) {
		space->queued = false; /* was empty for a while only */
		shard_unlock(shard, trash);
		return budget - 1;
	}
	space_mark(space);
	budget = index_reap(tlb, space, budget);
	if (!space->shapes && budget) {
		ring_del(&space->link);
		if (shard->spare == space)
			shard->spare = NULL;
		if (shard->last == space)
			shard->last = NULL;
		trash_add(&shard->trash, &space->trash);
		freed = true;
		budget--;
	} else {
		backlog_push(tlb, space);
	}
	shard_unlock(shard, trash);

	if (freed && ring_empty(&vm->spaces))
		vm_free(vm, trash);
	return budget;
}

/* Queue the next space of a dead vm. */
static unsigned int vm_reap(struct iotlb *tlb, struct vm *vm,
			    unsigned int budget, struct trash *trash)
{
	struct space *space;

	if (ring_empty(&vm->spaces)) {
		vm_free(vm, trash);
		return budget - 1;
	}
	space = container_of(vm->spaces.next, struct space, link);
	spin_take(&space->shard->lock);
	if (!space->queued) { /* otherwise the queue brings it in a moment */
		space->queued = true;
		backlog_push(tlb, space);
	}
	shard_unlock(space->shard, trash);
	return budget;
}

static void reap(struct iotlb *tlb, unsigned int budget, struct trash *trash)
{
	while (budget) {
		struct space *space = backlog_pop(tlb);

		if (space)
			budget = space_reap(tlb, space, budget, trash);
		else if (!ring_empty(&tlb->dead_vms))
			budget = vm_reap(tlb,
					 container_of(tlb->dead_vms.next,
						      struct vm, link),
					 budget, trash);
		else
			break;
	}
	__atomic_store_n(&tlb->behind,
			 tlb->backlog || !ring_empty(&tlb->dead_vms),
			 __ATOMIC_RELAXED);
}

void iotlb_reap(struct iotlb *tlb)
{
	unsigned int owed = __atomic_add_fetch(&tlb->owed, REAP_PER_INSERT,
					       __ATOMIC_RELAXED);
	struct trash trash = { 0 };

	if (!spin_try(&tlb->vms_lock)) {
		if (owed < REAP_OWED_MAX)
			return;
		spin_take(&tlb->vms_lock);
	}
	owed = __atomic_exchange_n(&tlb->owed, 0, __ATOMIC_RELAXED);
	reap(tlb, owed, &trash);
	spin_drop(&tlb->vms_lock);
	trash_defer(&trash, tlb->grace);
}

void iotlb_reap_all(struct iotlb *tlb)
{
	struct trash trash = { 0 };

	spin_take(&tlb->vms_lock);
	while (tlb->behind || tlb->queue)
		reap(tlb, 1024, &trash);
	spin_drop(&tlb->vms_lock);
	trash_free(&trash);
}
