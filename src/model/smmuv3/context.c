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

#include <string.h>

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
	struct smmuv3_port *port = port_of(reader->v);
	bool found;

	if (!reader->use_cache)
		return false;
	spin_take(&port->base.lock);
	found = port->l1std.valid && port->l1std.addr == addr;
	if (found)
		*value = port->l1std.value;
	spin_drop(&port->base.lock);
	return found;
}

static int strtab_read(void *ctx, uint64_t addr, uint64_t *value)
{
	struct strtab_reader *reader = ctx;
	uint64_t raw;
	int rc;

	if (l1std_cached(reader, addr, value))
		return 0;
	rc = phys_cursor_read(reader->v->engine->host.phys,
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
	struct smmuv3_port *port = port_of(reader->v);

	if (!reader->use_cache || !reader->reads || reader->v->quiet)
		return;
	spin_take(&port->base.lock);
	if (port->base.config_seq == seq) {
		port->l1std.valid = true;
		port->l1std.addr = reader->addr;
		port->l1std.value = reader->value;
	}
	spin_drop(&port->base.lock);
}

static bool stream_load(struct visit *v, bool cold, uint64_t seq,
			struct smmuv3_stream *stream,
			struct smmuv3_fault *fault)
{
	struct strtab_reader reader = {
		.v = v,
		.use_cache = !cold && v->engine->hostile,
	};
	struct smmuv3_ste_at at = { 0 };
	struct walk_env env;
	struct smmuv3_regs regs;

	smmuv3_front_regs(smmu_of(v)->front, &regs);
	smmuv3_strtab_find(&regs, &smmu_of(v)->id, v->port->config.stream_id,
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
	return smmuv3_ste_load(&env, &smmu_of(v)->id, at.addr, stream, fault);
}

bool context_stream(struct visit *v, bool cold, struct smmuv3_stream *stream,
		    uint64_t *serial, struct smmuv3_fault *fault)
{
	const struct stream_entry *entry;
	struct context_when when;

	context_now(v, &when);
	entry = (const struct stream_entry *)context_part(v, cold);
	if (entry) {
		*stream = entry->stream;
		*serial = entry->base.serial;
		return true;
	}
	*serial = ~0ull;
	if (!stream_load(v, cold, when.seq, stream, fault))
		return false;
	if (!cold) {
		const struct stream_entry read = { .stream = *stream };

		context_part_keep(v, &when, &read.base, sizeof(read));
	}
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
static void context_bits(const struct visit *v, struct smmuv3_context *ctx)
{
	for (unsigned int flags = 0; flags < ARRAY_SIZE(ctx->base.bits);
	     flags++) {
		struct smmuv3_input in = {
			.write = flags & MODEL_WRITE,
			.priv = flags & MODEL_PRIV,
			.exec = (flags & (MODEL_EXEC | MODEL_WRITE)) ==
				MODEL_EXEC,
		};

		smmuv3_stream_attrs(&ctx->stream, &smmu_of(v)->id, &in);
		ctx->base.bits[flags] = smmuv3_access_bit(&in);
	}
}

static void context_tags(const struct visit *v, struct smmuv3_context *ctx)
{
	ctx->base.regime = REGIME_NONE;
	ctx->base.vmid = smmu_of(v)->has_s2 ? ctx->stream.vmid : 0;
	if (ctx->path == SMMUV3_PATH_S1 || ctx->path == SMMUV3_PATH_NESTED)
		ctx->base.asid = ctx->s1.asid;
	if (ctx->path == SMMUV3_PATH_S1)
		ctx->base.regime = SMMUV3_REGIME_S1;
	else if (ctx->path == SMMUV3_PATH_S2)
		ctx->base.regime = SMMUV3_REGIME_S2;
	else if (ctx->path == SMMUV3_PATH_NESTED)
		ctx->base.regime = SMMUV3_REGIME_S12;
	ctx->base.plain =
		ctx->base.regime != REGIME_NONE &&
		!(ctx->has_s1 && (ctx->s1.tt[0].e0pd || ctx->s1.tt[1].e0pd));
	for (unsigned int half = 0; ctx->has_s1 && half < 2; half++)
		ctx->base.tbi[half] = ctx->s1.tt[half].tbi;
	if (ctx->has_s1 && ctx->s1.aset)
		ctx->base.aset = ATTR_ASET;
	ctx->base.tag = context_tag(&ctx->base);
	context_bits(v, ctx);
}

/* From a known STE to a whole context */
static bool context_load(struct visit *v, struct smmuv3_context *ctx, bool cold,
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

bool context_reload(struct visit *v, struct smmuv3_context *ctx,
		    struct smmuv3_fault *fault)
{
	return context_load(v, ctx, true, 0, fault);
}

static const struct smmuv3_context *to_context(const struct context *ctx)
{
	return (const struct smmuv3_context *)ctx;
}

static void context_keep(struct visit *v, const struct context_when *when,
			 const struct smmuv3_context *ctx)
{
	struct context *copy = context_copy(&ctx->base, sizeof(*ctx));

	if (!copy)
		return;
	((struct smmuv3_context *)copy)->has_entry = false;
	if (when->serial < copy->serial)
		copy->serial = when->serial;
	context_publish(v->port, when->seq, NULL, copy);
}

const struct smmuv3_context *context_get(struct visit *v, bool cold,
					 struct smmuv3_context *tmp,
					 struct smmuv3_fault *fault)
{
	const struct context *found = NULL;
	struct context_when when;

	if (!cold)
		found = context_cached(v->port, v->access->pasid);
	if (found)
		return to_context(found);

	memset(tmp, 0, sizeof(*tmp));
	*fault = (struct smmuv3_fault){ 0 };
	tmp->base.pasid = v->access->pasid;
	context_now(v, &when);
	if (!context_stream(v, cold, &tmp->stream, &tmp->base.serial, fault))
		return NULL;
	tmp->has_stream = true;
	tmp->base.cached = tmp->base.serial != ~0ull;
	tmp->cd_serial = when.serial;
	if (!context_load(v, tmp, cold, when.seq, fault))
		return NULL;
	if (!cold && !v->quiet)
		context_keep(v, &when, tmp);
	return tmp;
}

void context_drop_stream(struct smmuv3_port *port, bool leaf)
{
	struct context_purge purge;

	context_purge_begin(&purge, &port->base);
	if (!leaf)
		port->l1std.valid = false;
	l1cd_drop_all(port);
	context_purge_part(&purge);
	context_purge_each(&purge, NULL, NULL);
	context_purge_end(&purge);
}

void context_drop_l1std(struct smmuv3_port *port)
{
	struct context_purge purge;

	context_purge_begin(&purge, &port->base);
	port->l1std.valid = false;
	context_purge_end(&purge);
}

static bool has_cd(struct context *ctx, const void *arg)
{
	(void)arg;
	return to_context(ctx)->has_s1;
}

/* A CD serves the context of its SubstreamID and maybe the one without. */
void context_drop_cd(struct smmuv3_port *port, uint32_t ssid, bool leaf)
{
	struct context_purge purge;
	struct context *ctx;

	context_purge_begin(&purge, &port->base);
	if (!leaf)
		l1cd_drop(port, ssid);
	ctx = purge.port->ctx;
	if (ctx && has_cd(ctx, NULL) && to_context(ctx)->ssid == ssid)
		context_purge_one(&purge, ctx);
	ctx = (struct context *)context_cached(purge.port, ssid);
	if (ctx && has_cd(ctx, NULL))
		context_purge_one(&purge, ctx);
	context_purge_end(&purge);
}

void context_drop_cds(struct smmuv3_port *port)
{
	struct context_purge purge;

	context_purge_begin(&purge, &port->base);
	l1cd_drop_all(port);
	context_purge_each(&purge, has_cd, NULL);
	context_purge_end(&purge);
}
