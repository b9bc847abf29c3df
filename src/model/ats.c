// SPDX-License-Identifier: MIT
/*
 * Translation requests of devices, and what they keep of the answers: each
 * port that can do ATS has an ATC, the device's own cache, tagged
 *	regime	1 for privileged requests
 *	vmid	1 for requests with a PASID, which @asid holds
 * What a request is answered is the architecture's business.
 */
#include "model/engine.h"

#include <errno.h>

static void fill(const struct iotlb_entry *e, uint64_t iova, bool found,
		 struct model_translation *out)
{
	*out = (struct model_translation){
		.result = MODEL_OK,
		.hit = found,
		.read = e->attrs & ATC_READ,
		.write = e->attrs & ATC_WRITE,
		.exec = e->attrs & ATC_EXEC,
		.untranslated = e->attrs & ATC_UNTRANSLATED,
		.size_lg2 = e->size_lg2,
		.pa = e->out + (iova - e->iova),
	};
}

static struct iotlb_key atc_key(const struct model_access *a)
{
	bool pasid = a->pasid != MODEL_NO_PASID;

	return (struct iotlb_key){
		.iova = a->iova,
		.asid = pasid ? a->pasid : 0,
		.vmid = pasid ? ATC_PASIDS : 0,
		.regime = a->flags & MODEL_PRIV ? 1 : 0,
	};
}

static uint32_t wanted(const struct model_access *a)
{
	if (a->flags & MODEL_WRITE)
		return ATC_WRITE;
	return a->flags & MODEL_EXEC ? ATC_EXEC : ATC_READ;
}

/* One page: from the ATC, else by a request. */
static int request(struct visit *v, struct model_translation *out)
{
	const struct engine_ops *ops = v->engine->ops;
	struct iotlb_key key = atc_key(v->access);
	uint64_t ticket = iotlb_ticket(v->port->atc);
	struct atc_answer answer;
	const struct iotlb_entry *found;
	struct iotlb_entry e;

	*out = (struct model_translation){ .result = MODEL_ABORTED };
	found = iotlb_lookup(v->port->atc, &key);
	if (found && found->attrs & wanted(v->access)) {
		fill(found, key.iova, true, out);
		if (v->engine->hostile)
			out->stale = ops->ats_check(v, found, out->pa);
		return 0;
	}
	e = (struct iotlb_entry){ .serial = counted(&v->engine->serial) };
	if (!ops->ats_resolve(v, &answer, out))
		return -EIO;
	e.iova = key.iova & ~low_mask(answer.size_lg2);
	e.out = answer.pa & ~low_mask(answer.size_lg2);
	e.leaf = e.iova;
	e.asid = key.asid;
	e.vmid = key.vmid;
	e.regime = key.regime;
	e.attrs = answer.access;
	e.size_lg2 = answer.size_lg2;
	e.leaf_lg2 = answer.size_lg2;
	fill(&e, key.iova, false, out);
	out->stale = answer.stale;
	if (!v->quiet)
		iotlb_insert(v->port->atc, ticket, &e);
	return 0;
}

/* The rest of the range, as far as it goes. */
static void request_rest(struct visit *v, uint64_t len, uint8_t size_lg2)
{
	struct model_access a = *v->access;
	struct model_translation out = { .size_lg2 = size_lg2 };
	struct visit next = *v;

	next.access = &a;
	for (unsigned int n = 1; n < ATC_PAGES_MAX; n++) {
		uint64_t size = BIT_ULL(out.size_lg2);
		uint64_t step = size - (a.iova & (size - 1));

		if (step >= len || a.iova + step < a.iova)
			return;
		a.iova += step;
		len -= step;
		next.len = len;
		if (request(&next, &out))
			return;
	}
}

static int request_all(struct visit *v, struct model_translation *out)
{
	int rc;

	*out = (struct model_translation){ .result = MODEL_ABORTED };
	if (__atomic_load_n(&v->port->failed, __ATOMIC_ACQUIRE) ||
	    !v->engine->ops->ats_open(v, out))
		return -EIO;
	rc = request(v, out);
	if (!rc)
		request_rest(v, v->len, out->size_lg2);
	return rc;
}

int ats_request(struct model_port *opaque, const struct model_access *access,
		uint64_t len, struct model_translation *out)
{
	struct engine_port *port = to_port(opaque);
	struct model_access ask = *access;
	struct visit v = {
		.engine = port->engine,
		.port = port,
		.access = &ask,
		.len = len,
		.quiet = access->flags & MODEL_QUIET,
	};
	struct slot spare;
	int rc;

	if (ask.pasid == MODEL_NO_PASID) /* it would bring them */
		ask.flags &= ~(MODEL_PRIV | MODEL_EXEC);
	if (!port->atc)
		return -EOPNOTSUPP;
	reader_enter_of(port->engine->host.grace);
	v.slot = slot_enter(port, &spare);
	rc = request_all(&v, out);
	slot_leave(port, v.slot, &spare);
	reader_exit();
	grace_help(port->engine->host.grace);
	return rc;
}

void atc_scope(uint32_t pasid, uint64_t first, uint64_t last,
	       struct iotlb_inval *inval)
{
	bool with = pasid != MODEL_NO_PASID;

	*inval = (struct iotlb_inval){
		.first = first,
		.last = last,
		.by = IOTLB_BY_VMID | IOTLB_BY_ASID | IOTLB_BY_RANGE,
		.regimes = 0x3,
		.vmid = with ? ATC_PASIDS : 0,
		.asid = with ? pasid : 0,
	};
}
