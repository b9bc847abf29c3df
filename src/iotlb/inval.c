// SPDX-License-Identifier: MIT
/* Invalidations: what names which spaces, and what is done to each. */
#include "iotlb/private.h"

#include <string.h>

#include "base/bits.h"

static void space_apply(struct iotlb *tlb, struct space *space,
			const struct iotlb_inval *inval)
{
	if (!(inval->by & IOTLB_BY_RANGE) || !index_remove(tlb, space, inval))
		space_kill(tlb, space);
}

/*
 * One that is not there has nothing, and a shard without nodes has none. False:
 * that.
 */
static bool inval_tag(struct iotlb *tlb, struct shard *shard, uint64_t tag,
		      const struct iotlb_inval *inval)
{
	struct space *space;

	if (vmid_is_quiet(shard, inval->vmid) ||
	    !shard->sizes.present[TAG_REGIME_OF(tag)][!!(tag & TAG_GLOBAL)])
		return false;
	space = space_find(tlb, shard, tag);
	if (space)
		space_apply(tlb, space, inval);
	return space;
}

/* Under vms_lock. */
static void silence(struct iotlb *tlb, struct trash *trash)
{
	for (uint8_t regime = 0; regime < IOTLB_REGIMES; regime++)
		vm_kill_all(tlb, regime);
	for (unsigned int n = 0; n < SHARDS; n++) {
		struct shard *shard = &tlb->shard[n];

		spin_take(&shard->lock);
		memset(shard->quiet, 0, sizeof(shard->quiet));
		shard->silent_at = shard->inserted;
		shard_unlock(shard, trash);
	}
}

/* So many vmids no guest has, nor all of a host's: the machine's own software
 */
#define NOISY_MAX 16384u

/*
 * All of a vmid whose commands have spent the credit. Until it caches something
 * again nothing of it is looked for, unless another takes its place in the
 * list; if very many have done so, everything goes. Under vms_lock.
 */
static void vmid_clear(struct iotlb *tlb, uint16_t vmid, struct trash *trash)
{
	const unsigned int at = vmid % QUIET;
	uint32_t before = 0;

	for (uint8_t regime = 0; regime < IOTLB_REGIMES; regime++) {
		struct vm *vm = vm_find(tlb, regime, vmid);

		if (vm)
			vm_kill(tlb, vm);
	}
	for (unsigned int n = 0; n < SHARDS; n++) {
		struct shard *shard = &tlb->shard[n];

		spin_take(&shard->lock);
		before |= shard->quiet[at] != vmid + 1u ? shard->quiet[at] : 0;
		shard->quiet[at] = vmid + 1u;
		shard_unlock(shard, trash);
	}
	if (before && ++tlb->noisy > NOISY_MAX) {
		tlb->noisy = 0;
		silence(tlb, trash);
	}
}

static void inval_globals(struct iotlb *tlb, uint8_t regime,
			  const struct iotlb_inval *inval, struct trash *trash)
{
	uint64_t tag = space_tag(regime, inval->vmid, 0, true);
	struct shard *shard = shard_of(tlb, tag);

	spin_take(&shard->lock);
	credit_give(tlb, shard, CREDIT_COMMAND);
	shard->work++;
	inval_tag(tlb, shard, tag, inval);
	shard_unlock(shard, trash);
}

/* All regimes of one (vmid, asid) share a shard: see shard_of(). */
static void inval_asid(struct iotlb *tlb, uint32_t regimes,
		       const struct iotlb_inval *inval, struct trash *trash)
{
	uint64_t tag = space_tag(0, inval->vmid, inval->asid, false);
	struct shard *shard = shard_of(tlb, tag);
	bool spent, found = false;

	spin_take(&shard->lock);
	credit_give(tlb, shard, CREDIT_COMMAND);
	shard->work++;
	for (uint32_t left = regimes; left; left &= left - 1)
		found |= inval_tag(tlb, shard,
				   tag | (uint64_t)__builtin_ctz(left), inval);
	/* What was not at hand just now costs memory's time: among dead ones
	 * the search for what is not there, too. */
	if (shard->visited != tag && (found || iotlb_must_reap(tlb)))
		credit_take(tlb, shard, COST_VISIT);
	shard->visited = tag;
	spent = credit_spent(shard) && !vmid_is_quiet(shard, inval->vmid);
	shard_unlock(shard, trash);

	if (spent) {
		spin_take(&tlb->vms_lock);
		vmid_clear(tlb, inval->vmid, trash);
		spin_drop(&tlb->vms_lock);
	}
	if (!(inval->by & IOTLB_GLOBALS))
		return;
	for (uint32_t left = regimes; left; left &= left - 1) {
		uint8_t regime = (uint8_t)__builtin_ctz(left);

		if (globals_seen(tlb, regime))
			inval_globals(tlb, regime, inval, trash);
	}
}

#define AT_HAND 4u

/* False: the credit is spent. */
static bool range_space(struct iotlb *tlb, struct space *space,
			const struct iotlb_inval *inval, bool again,
			struct trash *trash)
{
	struct shard *shard = space->shard;
	bool done;

	spin_take(&shard->lock);
	if (again)
		credit_give(tlb, shard, CREDIT_COMMAND);
	done = !credit_spent(shard);
	if (done) {
		shard->work++;
		if (!again)
			credit_take(tlb, shard, COST_VISIT);
		if (!space->dead)
			done = index_remove(tlb, space, inval);
	}
	shard_unlock(shard, trash);
	return done;
}

/*
 * A range in all spaces of @vm, under vms_lock; false as above. A few of them
 * are at hand if the last one visited was of the same vmid.
 */
static bool range_vm(struct iotlb *tlb, struct vm *vm,
		     const struct iotlb_inval *inval, struct trash *trash)
{
	uint32_t vmid = vm->key >> 3;
	unsigned int again = tlb->visited == vmid + 1 ? AT_HAND : 0;
	struct ring *s = vm->spaces.next;

	tlb->visited = vmid + 1;
	for (; s != &vm->spaces; s = s->next) {
		if (!range_space(tlb, container_of(s, struct space, link),
				 inval, again, trash))
			return false;
		again -= !!again;
	}
	return true;
}

static void range_all(struct iotlb *tlb, uint8_t regime,
		      const struct iotlb_inval *inval, struct trash *trash)
{
	struct ring *v = tlb->vms[regime].next;

	for (; v != &tlb->vms[regime]; v = v->next) {
		if (!range_vm(tlb, container_of(v, struct vm, link), inval,
			      trash)) {
			vm_kill_all(tlb, regime);
			return;
		}
	}
}

/* Under vms_lock. */
static void inval_regime(struct iotlb *tlb, uint8_t regime,
			 const struct iotlb_inval *inval, struct trash *trash)
{
	bool range = inval->by & IOTLB_BY_RANGE;
	struct vm *vm;

	if (ring_empty(&tlb->vms[regime]))
		return;
	if (!(inval->by & IOTLB_BY_VMID)) {
		if (range)
			range_all(tlb, regime, inval, trash);
		else
			vm_kill_all(tlb, regime);
		return;
	}
	vm = vm_find(tlb, regime, inval->vmid);
	if (!vm)
		return;
	if (!range)
		vm_kill(tlb, vm);
	else if (!range_vm(tlb, vm, inval, trash))
		vmid_clear(tlb, inval->vmid, trash);
}

void iotlb_invalidate(struct iotlb *tlb, const struct iotlb_inval *inval)
{
	const uint32_t one = IOTLB_BY_VMID | IOTLB_BY_ASID;
	uint32_t regimes = inval->regimes & (uint32_t)low_mask(IOTLB_REGIMES);
	struct trash trash = { 0 };

	/* Before any lock; see entry_insert(). */
	__atomic_add_fetch(&tlb->sequence, 1, __ATOMIC_SEQ_CST);
	if ((inval->by & IOTLB_BY_RANGE) && inval->first > inval->last)
		return;
	if ((inval->by & one) == one) {
		inval_asid(tlb, regimes, inval, &trash);
	} else {
		spin_take(&tlb->vms_lock);
		for (; regimes; regimes &= regimes - 1)
			inval_regime(tlb, (uint8_t)__builtin_ctz(regimes),
				     inval, &trash);
		spin_drop(&tlb->vms_lock);
	}
	trash_defer(&trash, tlb->grace);
}
