// SPDX-License-Identifier: MIT
/*
 * IOMMU_HWPT_INVALIDATE on a nested HWPT: ranges of a guest's addresses. Each
 * reaches every unit and PASID that the HWPT is attached at, once, and behind
 * that the TLB of every device there.
 *
 * The array is worked through in chunks, so that no memory grows with it. An
 * entry counts as done when a wait behind it is complete in every unit. One
 * that hardware would call malformed is never made: what is wrong with a
 * guest's descriptor is its VMM's to say.
 *
 * A device in quarantine is not asked: its ATS is off, so that what its TLB has
 * is out of reach, which is all that an entry promises.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "drv/vtd/unit.h"
#include "nestfd/ext.h"

#define CHUNK	    128
#define SPAN	    512
#define ANSWERS_MAX 8
#define PAGE_LG2    12
#define ALL_PAGES   BIT_ULL(64 - PAGE_LG2)

/* Entries as they were copied, of either size, side by side */
struct raw {
	_Alignas(uint64_t) unsigned char bytes
		[CHUNK * sizeof(struct nestfd_hwpt_vtd_s1_invalidate)];
};

/* An entry, understood */
struct request {
	uint64_t first;
	uint64_t last;
	bool none;
	bool all;
	bool leaf;
};

/* How it went in one unit */
struct outcome {
	uint32_t limit; /* entries; on failure the one at fault */
	int rc;
	enum hostq_code code;
	uint32_t sid; /* with a code of a device: whose */
	uint32_t timeouts;
};

/* Entries to which a device gave an invalid answer: its source-id */
struct answers {
	uint32_t n;
	bool bad[CHUNK]; /* only if @n */
	uint16_t sid[CHUNK];
};

/* One chunk in one unit */
struct work {
	struct unit *u;
	const struct did *did;
	struct hostq_payer payer;
	const struct request *reqs;
	struct outcome *out;
	struct answers *answers;
	uint32_t n;
	uint64_t cmds[SPAN][DESC_DWORDS];
	uint16_t entry[SPAN];
};

/* Linux: unknown bits first, then what is wrong with the known ones */
static int decode(const struct iommu_hwpt_vtd_s1_invalidate *raw,
		  struct request *req)
{
	uint64_t left = ALL_PAGES - (raw->addr >> PAGE_LG2);
	bool whole = raw->npages == UINT64_MAX;

	if ((raw->flags & ~IOMMU_VTD_INV_FLAGS_LEAF) || raw->__reserved)
		return -EOPNOTSUPP;
	if ((raw->addr & low_mask(PAGE_LG2)) || (whole && raw->addr) ||
	    (!whole && raw->npages > left))
		return -EINVAL;
	*req = (struct request){
		.all = raw->npages >= ALL_PAGES,
		.none = !raw->npages,
		.leaf = raw->flags & IOMMU_VTD_INV_FLAGS_LEAF,
		.first = raw->addr,
		.last = raw->addr + (raw->npages << PAGE_LG2) - 1,
	};
	return 0;
}

/* ---- one unit ---- */

static void note_answer(struct work *w, uint32_t at, uint32_t sid)
{
	uint32_t entry = w->entry[at];

	if (!w->answers->n)
		memset(w->answers->bad, 0, sizeof(w->answers->bad));
	w->answers->n += !w->answers->bad[entry];
	w->answers->bad[entry] = true;
	w->answers->sid[entry] = (uint16_t)sid;
}

/*
 * 6.5.2.11: an invalid answer stops nothing, so what has been asked is done.
 * Each is looked for, but a device that gives nothing else is soon believed to.
 * Returns where to go on.
 */
static uint32_t bad_answer(struct work *w, uint32_t start, uint32_t n,
			   const struct hostq_result *res)
{
	uint32_t at = start + res->done;
	uint32_t sid = 0;
	uint32_t of;

	desc_is_dev_tlb(w->cmds[at], &sid);
	note_answer(w, at, sid);
	if (w->answers->n < ANSWERS_MAX)
		return at + 1;
	for (at++; at < start + res->next && at < n; at++) {
		if (desc_is_dev_tlb(w->cmds[at], &of) && of == sid)
			note_answer(w, at, sid);
	}
	return at;
}

/* Command @start may not be executed any more: whom not to ask from now on */
static void mark_held(struct work *w, uint32_t start, uint32_t n)
{
	bool all = hostdevs_is_over(&w->u->devs, w->payer.guest);
	uint32_t sid;

	for (uint32_t i = start; i < (all ? n : start + 1); i++) {
		if (desc_is_dev_tlb(w->cmds[i], &sid))
			hostdevs_mark_sid(&w->u->devs, sid);
	}
}

/*
 * A window of the guest's or a device's is open: waits, and drops from
 * [@start, @n) what would ask a device that is in quarantine by now. Returns
 * what is left of @n.
 */
static uint32_t wait_window(struct work *w, uint32_t start, uint32_t n,
			    const struct hostq_result *res)
{
	uint32_t left = start;
	uint32_t sid;

	if (res->until_ms == HOSTDEVS_NEVER)
		mark_held(w, start, n);
	else
		hostq_pause(&w->u->q, &w->payer, res);
	pthread_mutex_lock(&w->u->cfg_lock);
	vtd_masters_quarantine(w->u);
	pthread_mutex_unlock(&w->u->cfg_lock);
	for (uint32_t i = start; i < n; i++) {
		if (desc_is_dev_tlb(w->cmds[i], &sid) &&
		    hostdevs_sid_is_broken(&w->u->devs, sid))
			continue;
		memmove(w->cmds[left], w->cmds[i], sizeof(w->cmds[i]));
		w->entry[left++] = w->entry[i];
	}
	return left;
}

/* Carries out what is gathered; false: it has failed. */
static bool flush(struct work *w)
{
	struct outcome *out = w->out;
	struct hostq_result res = { 0 };
	uint32_t n = w->n;
	uint32_t start = 0;

	w->n = 0;
	while (start < n) {
		out->rc = hostq_issue(&w->u->q, w->cmds[start], n - start,
				      &w->payer, &res);
		out->timeouts += res.timeouts;
		if (!out->rc)
			return true;
		if (res.code == HOSTQ_BAD_ANSWER) {
			start = bad_answer(w, start, n, &res);
		} else if (res.code == HOSTQ_HELD) {
			start += res.done;
			n = wait_window(w, start, n, &res);
		} else {
			break;
		}
		out->rc = 0;
	}
	if (!out->rc)
		return true;
	out->limit = w->entry[start + res.done];
	out->code = res.code;
	desc_is_dev_tlb(w->cmds[start + res.done], &out->sid);
	return false;
}

/* Room for the next one, or NULL */
static uint64_t *next(struct work *w, uint32_t entry)
{
	if (w->n == SPAN && !flush(w))
		return NULL;
	w->entry[w->n] = (uint16_t)entry;
	return w->cmds[w->n++];
}

static bool add_iotlb(struct work *w, const struct att *a, uint32_t entry)
{
	const struct request *req = &w->reqs[entry];
	struct run runs[RUNS_MAX];
	unsigned int n = 0;
	uint64_t *d;

	if (req->all) {
		d = next(w, entry);
		if (d)
			desc_piotlb_all(a->did->id, att_pasid(a), d);
		return d;
	}
	/* any mask is supported here, whatever MAMV says (11.4.2) */
	if (req->last - req->first < BIT_ULL(PAGE_LG2))
		runs[n++] = (struct run){ req->first >> PAGE_LG2, 0 };
	else
		n = runs_cover(req->first >> PAGE_LG2, req->last >> PAGE_LG2,
			       64 - PAGE_LG2, runs);
	for (unsigned int i = 0; i < n; i++) {
		d = next(w, entry);
		if (!d)
			return false;
		desc_piotlb(a->did->id, att_pasid(a), runs[i].page << PAGE_LG2,
			    runs[i].order, req->leaf, d);
	}
	return true;
}

static bool add_dev_tlb(struct work *w, const struct att *a, uint32_t entry)
{
	const struct request *req = &w->reqs[entry];
	uint64_t *d;

	if (!master_has_ats(a->master))
		return true;
	d = next(w, entry);
	if (d)
		desc_dev_tlb(w->u, a->master->sid, att_pasid(a),
			     req->all ? 0 : req->first,
			     req->all ? UINT64_MAX : req->last, d);
	return d;
}

/*
 * Attachments are sorted by PASID: those with the same have the same entries in
 * the unit's IOTLB. 6.5.2.12: hardware asks devices when what stands
 * before is done.
 */
static bool add_entry(struct work *w, uint32_t entry)
{
	const struct att *prev = NULL;

	if (w->reqs[entry].none)
		return true;
	link_for_each(&w->did->atts, link)
	{
		const struct att *a = container_of(link, struct att, link);

		if (!prev || att_pasid(prev) != att_pasid(a)) {
			if (!add_iotlb(w, a, entry))
				return false;
			prev = a;
		}
		if (!add_dev_tlb(w, a, entry))
			return false;
	}
	return true;
}

static void run_unit(const struct did *did, struct layer *l,
		     const struct request *reqs, struct outcome *out,
		     struct answers *answers)
{
	uint32_t n = out->limit;
	struct work w;

	w.u = did->unit;
	w.did = did;
	w.payer = (struct hostq_payer){
		.devs = &did->unit->devs,
		.guest = &layer_tables(l)->budget,
		.patient = true,
	};
	w.reqs = reqs;
	w.out = out;
	w.answers = answers;
	w.n = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!add_entry(&w, i))
			return;
	}
	flush(&w);
}

/* ---- all of them ---- */

/* What cannot be written is in the call's own struct, if it is why it fails. */
static void put_error(const struct core_inval *inv, uint32_t at, uint32_t code,
		      uint32_t sid)
{
	const uint32_t error[] = { code, sid };

	if (inv->errors &&
	    inv->stride >= sizeof(struct nestfd_hwpt_vtd_s1_invalidate))
		(void)core_inval_put(
			inv, at,
			offsetof(struct nestfd_hwpt_vtd_s1_invalidate,
				 hw_error),
			error, sizeof(error));
}

/* Entries that are done, from inv->done on, and the one that is not */
static int report(struct core_inval *inv, const struct outcome *out,
		  const struct answers *answers)
{
	for (uint32_t i = 0; answers->n && i < out->limit; i++) {
		if (answers->bad[i])
			put_error(inv, inv->done + i, NESTFD_ERR_VTD_ICE,
				  answers->sid[i]);
	}
	inv->done += out->limit;
	if (out->rc && out->code == HOSTQ_NO_ANSWER) {
		inv->code = NESTFD_ERR_VTD_ITE;
		inv->info = out->sid;
		put_error(inv, inv->done, inv->code, inv->info);
	}
	return out->rc;
}

static int run_requests(struct nested *n, struct core_inval *inv,
			const struct request *reqs, uint32_t count)
{
	struct outcome failed = { .limit = count };
	struct answers answers;
	const struct did *did;
	struct unit *u = NULL;

	answers.n = 0;
	do {
		struct outcome out = { .limit = failed.limit };

		pthread_rwlock_rdlock(&n->layer.lock);
		did = vtd_layer_next(&n->layer, u);
		u = did ? did->unit : NULL;
		if (did)
			run_unit(did, &n->layer, reqs, &out, &answers);
		pthread_rwlock_unlock(&n->layer.lock);
		if (out.timeouts)
			vtd_guest_timed_out(n->parent, u);
		if (out.rc)
			failed = out;
	} while (u);
	return report(inv, &failed, &answers);
}

static bool has_answer(const void *raw, size_t size)
{
	const struct nestfd_hwpt_vtd_s1_invalidate *larger = raw;

	return size == sizeof(*larger) &&
	       (larger->hw_error || larger->hw_error_info);
}

/* Entries in front of the first bad one: how many; what is bad in *@rc */
static uint32_t decode_all(const struct raw *raw, size_t size, uint32_t n,
			   struct request *reqs, int *rc)
{
	for (uint32_t i = 0; i < n; i++) {
		const void *one = raw->bytes + i * size;
		int bad =
			has_answer(one, size) ? -E2BIG : decode(one, &reqs[i]);

		if (!bad)
			continue;
		*rc = bad;
		return i;
	}
	return n;
}

static int run_chunk(struct nested *n, struct core_inval *inv, uint32_t count)
{
	size_t size = sizeof(struct iommu_hwpt_vtd_s1_invalidate);
	size_t larger = sizeof(struct nestfd_hwpt_vtd_s1_invalidate);
	struct raw raw;
	struct request reqs[CHUNK];
	uint32_t copied = 0;
	uint32_t good;
	int bad;
	int rc;

	if (inv->errors && inv->stride >= larger)
		size = larger;
	bad = core_inval_copy(inv, inv->done, count, raw.bytes, size, &copied);
	good = decode_all(&raw, size, copied, reqs, &bad);
	rc = run_requests(n, inv, reqs, good);
	return rc ? rc : bad;
}

int vtd_nested_invalidate(struct core_domain *core, struct core_inval *inv)
{
	struct nested *n = to_nested(core);
	uint32_t left;
	int rc = 0;

	inv->done = 0;
	inv->code = 0;
	inv->info = 0;
	inv->info_entry = false;
	if (inv->type != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 ||
	    inv->stride < sizeof(struct iommu_hwpt_vtd_s1_invalidate))
		return -EINVAL;
	while (!rc && inv->done < inv->count) {
		left = inv->count - inv->done;
		rc = run_chunk(n, inv, left < CHUNK ? left : CHUNK);
	}
	return rc;
}
