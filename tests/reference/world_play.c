// SPDX-License-Identifier: MIT
/* What software and devices do in the random world: see world.h. */
#include "world_priv.h"

/*
 * What software does
 */

static uint64_t tg_of(const struct tree *t)
{
	return (t->granule - 10) / 2;
}

/* TLBI of the piece of @level at @addr, as a range or page by page */
static void tlbi_piece(struct world *w, const struct tree *t, uint8_t op,
		       uint64_t tags, uint64_t addr, unsigned int level)
{
	unsigned int scale = shift_of(t, level) - t->granule;

	addr &= ~low(shift_of(t, level));
	world_command(w,
		      op | tags | (uint64_t)(scale ? scale - 1 : 0) << 20 |
			      (scale ? 1ULL << 12 : 0),
		      addr | tg_of(t) << 10 | (scale ? 0 : 3ULL << 8));
}

static void mutate_s1(struct world *w)
{
	struct space1 *s = &w->s1[world_below(w, SPACES1)];
	struct tree *t = &s->half[world_chance(w, 30)];
	uint64_t addr = t->hot[world_below(w, HOT)];
	unsigned int level = world_map_random(w, t, s->parent, addr);

	if (level == ~0u || (!w->tidy && world_chance(w, 50)))
		return;
	if (level == 0 || world_chance(w, 10))
		world_command(w, 0x10 | (uint64_t)s->vmid << 32, 0);
	else
		tlbi_piece(w, t, 0x12,
			   (uint64_t)s->vmid << 32 | (uint64_t)s->asid << 48,
			   addr, level);
}

/*
 * Stage 2 of tables and CDs: something goes wrong for a while with a page or a
 * block, until the next time.
 */
static void mutate_ram(struct world *w, struct space2 *s)
{
	static const uint64_t wrong[4] = { 1ULL << 10, 1, 1ULL << 6,
					   1ULL << 52 };
	const struct tree *t = &s->tree;
	uint64_t addr = DELTA + RAM + (world_random(w) & low(20) & ~low(12));
	uint64_t *d = world_descriptor(w, t, addr, 2);

	if (s->broken)
		*s->broken = s->whole;
	if ((*d & 3) != 1) /* not a block */
		d = world_descriptor(w, t, addr, 3);
	s->broken = d;
	s->whole = *d;
	*d ^= wrong[world_below(w, 4)];
	/* both places, and CDs that were found through them */
	if (w->tidy || world_chance(w, 70)) {
		world_command(w, 0x28 | (uint64_t)s->vmid << 32, 0);
		world_command(w, 4, 31);
	}
}

static void mutate_s2(struct world *w)
{
	struct space2 *s = &w->s2[world_below(w, SPACES2)];
	struct tree *t = &s->tree;
	uint64_t addr = t->hot[world_below(w, HOT)];
	unsigned int level;

	if (world_chance(w, 10)) {
		mutate_ram(w, s);
		return;
	}
	addr += (uint64_t)world_below(w, 4) << t->granule;
	level = world_map_random(w, t, -1, addr);
	if (level == ~0u || (!w->tidy && world_chance(w, 50)))
		return;
	if (level == 0)
		world_command(w, 0x28 | (uint64_t)s->vmid << 32, 0);
	else
		tlbi_piece(w, t, 0x2a, (uint64_t)s->vmid << 32, addr, level);
	if (w->tidy || world_chance(w, 70)) /* what stage 1 made of it */
		world_command(w, 0x10 | (uint64_t)s->vmid << 32, 0);
}

/* The first L1STD: shorter, longer, none; STEs of it stay where they are */
static void mutate_l1std(struct world *w)
{
	uint64_t *l1 = world_at(w, STRTAB);
	uint64_t sid = w->stream[world_below(w, 4)].sid;

	*l1 = STES | (world_chance(w, 60) ? w->split + 1
					  : world_below(w, w->split + 3));
	if (w->tidy || world_chance(w, 30))
		world_command(w, 4, 31);
	else if (world_chance(w, 50))
		world_command(w, 3 | sid << 32, world_chance(w, 30));
	else
		world_command(w, 4 | sid << 32, world_below(w, 8));
}

/* An L1CD: none, its own table, another's; or where there is no memory */
static void mutate_l1cd(struct world *w, struct stream *s)
{
	unsigned int n = world_chance(w, 60) ? 0 : world_below(w, 4);
	uint64_t table =
		world_cd_at(w, s, 64 * (n + world_chance(w, 50)) % 128);
	uint64_t *l1 = world_at(w, world_cd_at(w, s, 0) - 0x1000);
	uint64_t sid = (uint64_t)s->sid << 32;

	table += s->parent >= 0 ? DELTA : 0;
	l1[n] = world_chance(w, 5) ? 1ULL << 50 | 1
				   : table | world_chance(w, 80);
	if (w->tidy) /* the CDs behind it, too */
		world_command(w, 6 | sid, 0);
	else if (world_chance(w, 60))
		world_command(w, 5 | sid | (n * 64 + world_below(w, 4)) << 12,
			      world_chance(w, 60));
}

static void mutate_config(struct world *w)
{
	struct stream *s = &w->stream[world_below(w, STREAMS)];
	uint64_t *ste = world_at(w, world_ste_at(w, s->sid));
	uint32_t ssid = world_below(w, 8);

	if (w->two_level && world_chance(w, 20)) {
		mutate_l1std(w);
		return;
	}
	if (s->fmt && s->config & 1 && world_chance(w, 40)) {
		mutate_l1cd(w, s);
		return;
	}
	if (world_chance(w, 50) || !(s->config & 1)) {
		world_write_stream(w, s);
		if (w->tidy || world_chance(w, 60))
			world_command(w, 3 | (uint64_t)s->sid << 32, 1);
		return;
	}
	if (ssid >= 1u << s->ssids)
		ssid = 0;
	world_write_cd(w, s, ssid, (uint32_t)(ste[2] & 0xffff));
	if (w->tidy || world_chance(w, 60))
		world_command(w, 5 | (uint64_t)s->sid << 32 | ssid << 12, 1);
}

void world_mutate(struct world *w)
{
	unsigned int kind = world_below(w, 100);

	if (kind < 65)
		mutate_s1(w);
	else if (kind < 93)
		mutate_s2(w);
	else
		mutate_config(w);
}

/* NUM, SCALE, TTL, TG: as the tables are, or anything legal */
static void random_range(struct world *w, const struct tree *t, uint64_t *dw0,
			 uint64_t *dw1)
{
	uint64_t tg = world_chance(w, 80) ? tg_of(t) : 1 + world_below(w, 3);
	uint64_t num = world_chance(w, 50) ? 0 : world_below(w, 32);
	uint64_t scale = world_chance(w, 60)   ? world_below(w, 4)
			 : world_chance(w, 80) ? world_below(w, 20)
					       : world_below(w, 32);
	uint64_t ttl = world_below(w, 4);

	if (!num && !scale && (!ttl || (tg == 2 && ttl == 1)))
		ttl = 3; /* nothing but a granule is Reserved */
	*dw0 |= num << 12 | scale << 20;
	*dw1 = (*dw1 & ~low(10 + 2 * (unsigned int)tg)) | tg << 10 | ttl << 8;
}

static void random_tlbi_address(struct world *w)
{
	static const uint8_t ops[4] = { 0x12, 0x12, 0x13, 0x2a };
	uint8_t op = ops[world_below(w, 4)];
	const struct space1 *s1 = &w->s1[world_below(w, SPACES1)];
	const struct space2 *s2 = &w->s2[world_below(w, SPACES2)];
	const struct tree *t =
		op == 0x2a ? &s2->tree : &s1->half[world_chance(w, 30)];
	uint64_t dw0 = op | (uint64_t)(op == 0x2a ? s2->vmid : s1->vmid) << 32;
	uint64_t dw1 = t->hot[world_below(w, HOT)];

	if (op == 0x12)
		dw0 |= (uint64_t)s1->asid << 48;
	if (world_chance(w, 40))
		dw1 ^= (uint64_t)world_below(w, 4) << t->granule;
	if (op == 0x2a && world_chance(w, 20))
		dw1 = DELTA + RAM + (world_random(w) & low(22));
	dw1 &= ~low(12);
	if (world_chance(w, 60))
		random_range(w, t, &dw0, &dw1);
	world_command(w, dw0, dw1 | world_chance(w, 50));
}

static void random_cfgi(struct world *w)
{
	uint64_t sid = w->stream[world_below(w, STREAMS)].sid;
	uint64_t ssid = world_below(w, 4);

	switch (world_below(w, 5)) {
	case 0:
		world_command(w, 3 | sid << 32, world_chance(w, 50));
		break;
	case 1: /* the low bits are IGNORED; 31 is all */
		world_command(w, 4 | sid << 32,
			      world_chance(w, 10) ? 31 : world_below(w, 8));
		break;
	case 2:
	case 3:
		world_command(w, 5 | sid << 32 | ssid << 12,
			      world_chance(w, 50));
		break;
	default:
		world_command(w, 6 | sid << 32, 0);
		break;
	}
}

void world_random_command(struct world *w)
{
	const struct space1 *s = &w->s1[world_below(w, SPACES1)];
	uint64_t vmid = (uint64_t)s->vmid << 32;
	unsigned int kind = world_below(w, 100);

	if (kind < 78)
		random_tlbi_address(w);
	else if (kind < 82)
		world_command(w, 0x11 | vmid | (uint64_t)s->asid << 48, 0);
	else if (kind < 84)
		world_command(w, 0x10 | vmid, 0);
	else if (kind < 85)
		world_command(w, 0x28 | vmid, 0);
	else if (kind < 86)
		world_command(w, 0x30, 0);
	else if (kind < 95)
		random_cfgi(w);
	else
		world_command(w, 0x46, 0);
}

/*
 * What devices do
 */

static uint64_t near(struct world *w, const struct tree *t)
{
	uint64_t addr = t->hot[world_below(w, HOT)];

	if (world_chance(w, 30))
		addr ^= (uint64_t)world_below(w, 8) << t->granule;
	return addr + (world_random(w) & low(t->granule));
}

/* Whose tables the CD names, if there is one; else any */
static const struct space1 *space_in_use(struct world *w,
					 const struct stream *s, uint32_t ssid)
{
	uint64_t vmid = *world_at(w, world_ste_at(w, s->sid) + 16) & 0xffff;
	uint64_t asid = *world_at(w, world_cd_at(w, s, ssid & 127)) >> 48;

	for (int n = 0; n < SPACES1; n++) {
		if (w->s1[n].vmid == vmid && w->s1[n].asid == asid)
			return &w->s1[n];
	}
	return &w->s1[world_below(w, SPACES1)];
}

void world_random_access(struct world *w, struct ref_access *a,
			 struct stream **stream)
{
	struct stream *s = &w->stream[world_below(
		w, world_chance(w, 95) ? GOOD_STREAMS : STREAMS)];
	const struct space1 *space;

	*stream = s;
	*a = (struct ref_access){
		.sid = s->sid,
		.ssv = world_chance(w, s->ssids ? 50 : 2),
		.write = world_chance(w, 40),
		.priv = world_chance(w, 30),
		.exec = world_chance(w, 15),
	};
	if (a->ssv)
		a->ssid = world_chance(w, 93) ? 1 + world_below(w, 3)
					      : world_below(w, 300);
	space = space_in_use(w, s, a->ssv ? a->ssid : 0);
	if (s->config == 6 || (s->config == 7 && world_chance(w, 5)))
		a->addr = near(w, &w->s2[s->parent].tree);
	else
		a->addr = near(w, &space->half[world_chance(w, 30)]);
	if (world_chance(w, 5))
		a->addr ^= 1ULL << (40 + world_below(w, 24));
}
