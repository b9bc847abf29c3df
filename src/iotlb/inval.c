// SPDX-License-Identifier: MIT
/* Invalidations: what names which spaces, and what is done to each. */
#include "iotlb/private.h"

#include "base/bits.h"

static void space_apply(struct iotlb *tlb, struct space *space,
			const struct iotlb_inval *inval)
{
	if (inval->by & IOTLB_BY_RANGE)
		index_remove(tlb, space, inval);
	else
		space_kill(tlb, space);
}

/* One that is not there has nothing, and a shard without nodes has none. */
static void inval_tag(struct iotlb *tlb, struct shard *shard, uint64_t tag,
		      const struct iotlb_inval *inval)
{
	struct space *space;

	if (!shard->sizes.present[TAG_REGIME_OF(tag)][!!(tag & TAG_GLOBAL)])
		return;
	space = space_find(tlb, shard, tag);
	if (space)
		space_apply(tlb, space, inval);
}

static void inval_globals(struct iotlb *tlb, uint8_t regime,
			  const struct iotlb_inval *inval, struct trash *trash)
{
	uint64_t tag = space_tag(regime, inval->vmid, 0, true);
	struct shard *shard = shard_of(tlb, tag);

	spin_take(&shard->lock);
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

	spin_take(&shard->lock);
	shard->work++;
	for (uint32_t left = regimes; left; left &= left - 1)
		inval_tag(tlb, shard, tag | (uint64_t)__builtin_ctz(left),
			  inval);
	shard_unlock(shard, trash);

	if (!(inval->by & IOTLB_GLOBALS))
		return;
	for (uint32_t left = regimes; left; left &= left - 1) {
		uint8_t regime = (uint8_t)__builtin_ctz(left);

		if (globals_seen(tlb, regime))
			inval_globals(tlb, regime, inval, trash);
	}
}

/* A range in all spaces of @vm; under vms_lock. */
static void range_vm(struct iotlb *tlb, struct vm *vm,
		     const struct iotlb_inval *inval, struct trash *trash)
{
	struct ring *s = vm->spaces.next;

	for (; s != &vm->spaces; s = s->next) {
		struct space *space = container_of(s, struct space, link);

		spin_take(&space->shard->lock);
		space->shard->work++;
		if (!space->dead)
			index_remove(tlb, space, inval);
		shard_unlock(space->shard, trash);
	}
}

static void range_vmid(struct iotlb *tlb, uint8_t regime,
		       const struct iotlb_inval *inval, struct trash *trash)
{
	struct vm *vm;

	spin_take(&tlb->vms_lock);
	vm = vm_find(tlb, regime, inval->vmid);
	if (vm)
		range_vm(tlb, vm, inval, trash);
	spin_drop(&tlb->vms_lock);
}

static void range_all(struct iotlb *tlb, uint8_t regime,
		      const struct iotlb_inval *inval, struct trash *trash)
{
	struct ring *v;

	spin_take(&tlb->vms_lock);
	for (v = tlb->vms[regime].next; v != &tlb->vms[regime]; v = v->next)
		range_vm(tlb, container_of(v, struct vm, link), inval, trash);
	spin_drop(&tlb->vms_lock);
}

static void inval_regime(struct iotlb *tlb, uint8_t regime,
			 const struct iotlb_inval *inval, struct trash *trash)
{
	bool range = inval->by & IOTLB_BY_RANGE;

	if (!(inval->by & IOTLB_BY_VMID)) {
		if (range)
			range_all(tlb, regime, inval, trash);
		else
			vm_kill_all(tlb, regime);
	} else if (range) {
		range_vmid(tlb, regime, inval, trash);
	} else {
		vm_kill(tlb, regime, inval->vmid);
	}
}

void iotlb_invalidate(struct iotlb *tlb, const struct iotlb_inval *inval)
{
	const uint32_t one = IOTLB_BY_VMID | IOTLB_BY_ASID;
	uint32_t regimes = inval->regimes & (uint32_t)low_mask(IOTLB_REGIMES);
	struct trash trash = { 0 };

	/* Before any lock; see node_insert(). */
	__atomic_add_fetch(&tlb->sequence, 1, __ATOMIC_SEQ_CST);
	if ((inval->by & IOTLB_BY_RANGE) && inval->first > inval->last)
		return;
	if ((inval->by & one) == one) {
		inval_asid(tlb, regimes, inval, &trash);
	} else {
		for (; regimes; regimes &= regimes - 1)
			inval_regime(tlb, (uint8_t)__builtin_ctz(regimes),
				     inval, &trash);
	}
	trash_defer(&trash, tlb->grace);
}
