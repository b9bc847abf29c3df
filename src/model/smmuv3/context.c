// SPDX-License-Identifier: MIT
/*
 * The configuration caches, Arm IHI 0070 3.21.3 and 4.3. Each port keeps its
 * STE and, by SubstreamID, contexts made of it and a CD. They are forgotten by
 * CFGI commands and by nothing else, in either policy: an STE takes the CDs
 * that were found through it along.
 *
 * A fault is never cached. Loading reads memory without a lock; what it read is
 * kept only if no CFGI has come to the port meanwhile (port.config_seq).
 */
#include "model/smmuv3/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "front/smmuv3/strtab.h"

/* What the look-up of an STE reads through */
struct strtab_reader {
	struct visit *v;
	bool use_cache;
	unsigned int reads;
	uint64_t addr;
	uint64_t value;
};

static bool l1std_cached(struct strtab_reader *reader, uint64_t addr,
			 uint64_t *value)
{
	struct smmuv3_port *port = reader->v->port;
	bool found;

	if (!reader->use_cache)
		return false;
	spin_take(&port->lock);
	found = port->l1std.valid && port->l1std.addr == addr;
	if (found)
		*value = port->l1std.value;
	spin_drop(&port->lock);
	return found;
}

static int strtab_read(void *ctx, uint64_t addr, uint64_t *value)
{
	struct strtab_reader *reader = ctx;
	uint64_t raw;
	int rc;

	if (l1std_cached(reader, addr, value))
		return 0;
	rc = phys_cursor_read(reader->v->model->host.phys,
			      &reader->v->slot->walk.s1, addr, &raw,
			      sizeof(raw));
	if (rc)
		return rc;
	*value = le64toh(raw);
	reader->addr = addr;
	reader->value = *value;
	reader->reads++;
	return 0;
}

/* Kept only if valid: an L1STD that leads nowhere is read again (3.21.3). */
static void l1std_keep(struct strtab_reader *reader, uint64_t seq)
{
	struct smmuv3_port *port = reader->v->port;

	if (!reader->use_cache || !reader->reads || reader->v->quiet)
		return;
	spin_take(&port->lock);
	if (port->config_seq == seq) {
		port->l1std.valid = true;
		port->l1std.addr = reader->addr;
		port->l1std.value = reader->value;
	}
	spin_drop(&port->lock);
}

static bool stream_load(struct visit *v, bool cold, uint64_t seq,
			struct smmuv3_stream *stream,
			struct smmuv3_fault *fault)
{
	struct strtab_reader reader = {
		.v = v,
		.use_cache = !cold && v->model->hostile,
	};
	struct smmuv3_ste_at at = { 0 };
	struct walk_env env;
	struct smmuv3_regs regs;

	smmuv3_front_regs(v->model->front, &regs);
	smmuv3_strtab_find(&regs, &v->model->id, v->port->config.stream_id,
			   strtab_read, &reader, &at);
	if (at.event) {
		*fault = (struct smmuv3_fault){
			.event = at.event,
			.fetch = at.fetch,
		};
		return false;
	}
	l1std_keep(&reader, seq);
	engine_env(v, &env);
	return smmuv3_ste_load(&env, &v->model->id, at.addr, stream, fault);
}

static void free_stream(struct grace_head *head)
{
	free(container_of(head, struct stream_entry, free));
}

static void free_context(struct grace_head *head)
{
	free(container_of(head, struct context, free));
}

static void stream_keep(struct visit *v, uint64_t seq, uint64_t serial,
			const struct smmuv3_stream *stream)
{
	struct smmuv3_port *port = v->port;
	struct stream_entry *entry;

	if (v->quiet)
		return;
	entry = alloc_zero(sizeof(*entry));
	if (!entry)
		return;
	entry->serial = serial;
	entry->stream = *stream;
	spin_take(&port->lock);
	if (port->config_seq == seq && !port->stream) {
		reader_publish(&port->stream, entry);
		entry = NULL;
	}
	spin_drop(&port->lock);
	free(entry);
}

bool context_stream(struct visit *v, bool cold, struct smmuv3_stream *stream,
		    uint64_t *serial, struct smmuv3_fault *fault)
{
	const struct stream_entry *entry = NULL;
	uint64_t seq, now;

	seq = __atomic_load_n(&v->port->config_seq, __ATOMIC_ACQUIRE);
	if (!cold)
		entry = reader_load(&v->port->stream);
	if (entry) {
		*stream = entry->stream;
		*serial = entry->serial;
		return true;
	}
	*serial = ~0ull;
	now = counted(&v->model->serial);
	if (!stream_load(v, cold, seq, stream, fault))
		return false;
	if (!cold)
		stream_keep(v, seq, now, stream);
	return true;
}

void context_input(const struct visit *v, struct smmuv3_input *in)
{
	const struct model_access *a = v->access;

	*in = (struct smmuv3_input){
		.addr = a->iova,
		.sid = v->port->config.stream_id,
		.ssid = a->pasid == MODEL_NO_PASID ? 0 : a->pasid,
		.ssv = a->pasid != MODEL_NO_PASID,
		.write = a->flags & MODEL_WRITE,
		.priv = a->flags & MODEL_PRIV,
		.exec = (a->flags & (MODEL_EXEC | MODEL_WRITE)) == MODEL_EXEC,
	};
}

/* Which permission each kind of access needs, once the STE is known */
static void context_bits(const struct visit *v, struct context *ctx)
{
	for (unsigned int flags = 0; flags < ARRAY_SIZE(ctx->bits); flags++) {
		struct smmuv3_input in = {
			.write = flags & MODEL_WRITE,
			.priv = flags & MODEL_PRIV,
			.exec = (flags & (MODEL_EXEC | MODEL_WRITE)) ==
				MODEL_EXEC,
		};

		smmuv3_stream_attrs(&ctx->stream, &v->model->id, &in);
		ctx->bits[flags] = smmuv3_access_bit(&in);
	}
}

static void context_tags(const struct visit *v, struct context *ctx)
{
	ctx->regime = REGIME_NONE;
	ctx->vmid = v->model->has_s2 ? ctx->stream.vmid : 0;
	if (ctx->path == SMMUV3_PATH_S1 || ctx->path == SMMUV3_PATH_NESTED)
		ctx->asid = ctx->s1.asid;
	if (ctx->path == SMMUV3_PATH_S1)
		ctx->regime = SMMUV3_REGIME_S1;
	else if (ctx->path == SMMUV3_PATH_S2)
		ctx->regime = SMMUV3_REGIME_S2;
	else if (ctx->path == SMMUV3_PATH_NESTED)
		ctx->regime = SMMUV3_REGIME_S12;
	ctx->plain =
		ctx->regime != REGIME_NONE &&
		!(ctx->has_s1 && (ctx->s1.tt[0].e0pd || ctx->s1.tt[1].e0pd));
	ctx->tag = (uint64_t)ctx->s1.aset << 63 | (uint64_t)ctx->asid << 32 |
		   (uint64_t)ctx->vmid << 8 | (ctx->regime + 1u);
	context_bits(v, ctx);
}

/* From a known STE to a whole context */
static bool context_load(struct visit *v, struct context *ctx, bool cold,
			 uint64_t seq, struct smmuv3_fault *fault)
{
	struct smmuv3_route route = { 0 };
	struct smmuv3_input in;

	context_input(v, &in);
	if (!smmuv3_stream_route(&ctx->stream, &in, &route, fault))
		return false;
	ctx->path = route.path;
	ctx->ssid = route.ssid;
	if (ctx->path == SMMUV3_PATH_S1 || ctx->path == SMMUV3_PATH_NESTED) {
		if (!engine_cd(v, ctx, cold, seq, fault))
			return false;
		ctx->has_s1 = true;
	}
	context_tags(v, ctx);
	return true;
}

bool context_reload(struct visit *v, struct context *ctx,
		    struct smmuv3_fault *fault)
{
	return context_load(v, ctx, true, 0, fault);
}

/* Where the context of @pasid is published; NULL if there is no memory. */
static struct context **context_place(struct smmuv3_port *port, uint32_t pasid)
{
	struct context ***top = port->pasids;
	struct context **leaf;

	if (pasid == MODEL_NO_PASID)
		return &port->ctx;
	if (pasid >= SSID_LEAF * SSID_LEAF)
		return NULL;
	if (!top) {
		top = alloc_array(SSID_LEAF, sizeof(*top));
		if (!top)
			return NULL;
		reader_publish(&port->pasids, top);
	}
	leaf = top[pasid / SSID_LEAF];
	if (!leaf) {
		leaf = alloc_array(SSID_LEAF, sizeof(*leaf));
		if (!leaf)
			return NULL;
		reader_publish(&top[pasid / SSID_LEAF], leaf);
	}
	return &leaf[pasid % SSID_LEAF];
}

static void context_keep(struct visit *v, uint64_t seq, uint64_t serial,
			 const struct context *ctx)
{
	struct smmuv3_port *port = v->port;
	struct context **place;
	struct context *copy;

	copy = alloc_zero(sizeof(*copy));
	if (!copy)
		return;
	*copy = *ctx;
	copy->cached = true;
	copy->has_entry = false;
	if (serial < copy->serial)
		copy->serial = serial;
	spin_take(&port->lock);
	place = context_place(port, ctx->pasid);
	if (place && !*place && port->config_seq == seq) {
		copy->next = port->contexts;
		copy->link = &port->contexts;
		if (copy->next)
			copy->next->link = &copy->next;
		port->contexts = copy;
		reader_publish(place, copy);
		copy = NULL;
	}
	spin_drop(&port->lock);
	free(copy);
}

const struct context *context_get(struct visit *v, bool cold,
				  struct context *tmp,
				  struct smmuv3_fault *fault)
{
	const struct context *found = NULL;
	uint64_t seq, now;

	if (!cold)
		found = context_cached(v->port, v->access->pasid);
	if (found)
		return found;

	memset(tmp, 0, sizeof(*tmp));
	*fault = (struct smmuv3_fault){ 0 };
	tmp->pasid = v->access->pasid;
	seq = __atomic_load_n(&v->port->config_seq, __ATOMIC_ACQUIRE);
	now = counted(&v->model->serial);
	if (!context_stream(v, cold, &tmp->stream, &tmp->serial, fault))
		return NULL;
	tmp->has_stream = true;
	tmp->cached = tmp->serial != ~0ull;
	tmp->cd_serial = now;
	if (!context_load(v, tmp, cold, seq, fault))
		return NULL;
	if (!cold && !v->quiet)
		context_keep(v, seq, now, tmp);
	return tmp;
}

/* With the port's lock held. */
static void context_drop(struct smmuv3_port *port, struct context *ctx,
			 struct context **gone)
{
	*ctx->link = ctx->next;
	if (ctx->next)
		ctx->next->link = ctx->link;
	reader_publish(context_place(port, ctx->pasid), NULL);
	ctx->next = *gone;
	*gone = ctx;
}

/* Without a lock: freeing may run callbacks of others. */
static void contexts_defer(struct smmuv3_port *port, struct context *gone)
{
	while (gone) {
		struct context *next = gone->next;

		grace_defer(port->model->host.grace, &gone->free, free_context);
		gone = next;
	}
}

/*
 * Last, with the lock still held: who sees the new number does not find what
 * was dropped any more, and cannot make a context of it.
 */
static void config_moves(struct smmuv3_port *port)
{
	__atomic_store_n(&port->config_seq, port->config_seq + 1,
			 __ATOMIC_RELEASE);
}

void context_drop_stream(struct smmuv3_port *port, bool leaf)
{
	struct context *gone = NULL;
	struct stream_entry *entry;

	spin_take(&port->lock);
	if (!leaf)
		port->l1std.valid = false;
	l1cd_drop_all(port);
	entry = port->stream;
	reader_publish(&port->stream, NULL);
	while (port->contexts)
		context_drop(port, port->contexts, &gone);
	config_moves(port);
	spin_drop(&port->lock);
	if (entry)
		grace_defer(port->model->host.grace, &entry->free, free_stream);
	contexts_defer(port, gone);
}

void context_drop_l1std(struct smmuv3_port *port)
{
	spin_take(&port->lock);
	port->l1std.valid = false;
	config_moves(port);
	spin_drop(&port->lock);
}

/* A CD serves the context of its SubstreamID and maybe the one without. */
void context_drop_cd(struct smmuv3_port *port, uint32_t ssid, bool leaf)
{
	struct context *gone = NULL;
	struct context *ctx;

	spin_take(&port->lock);
	if (!leaf)
		l1cd_drop(port, ssid);
	ctx = port->ctx;
	if (ctx && ctx->has_s1 && ctx->ssid == ssid)
		context_drop(port, ctx, &gone);
	ctx = (struct context *)context_cached(port, ssid);
	if (ctx && ctx->has_s1)
		context_drop(port, ctx, &gone);
	config_moves(port);
	spin_drop(&port->lock);
	contexts_defer(port, gone);
}

void context_drop_cds(struct smmuv3_port *port)
{
	struct context *gone = NULL;
	struct context *ctx, *next;

	spin_take(&port->lock);
	l1cd_drop_all(port);
	for (ctx = port->contexts; ctx; ctx = next) {
		next = ctx->next;
		if (ctx->has_s1)
			context_drop(port, ctx, &gone);
	}
	config_moves(port);
	spin_drop(&port->lock);
	contexts_defer(port, gone);
}

void context_free_all(struct smmuv3_port *port)
{
	struct context *ctx, *next;

	for (ctx = port->contexts; ctx; ctx = next) {
		next = ctx->next;
		free(ctx);
	}
	free(port->stream);
	for (unsigned int n = 0; port->pasids && n < SSID_LEAF; n++)
		free(port->pasids[n]);
	free(port->pasids);
	l1cd_free(port);
}
