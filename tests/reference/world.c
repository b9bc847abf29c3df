// SPDX-License-Identifier: MIT
/* The random world: see world.h. */
#include "world_priv.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_ROUND(x, lg2) \
	(((x) + (1ULL << (lg2)) - 1) & ~((1ULL << (lg2)) - 1))

/*
 * Random numbers (xorshift64*), so that a seed is a world on any host
 */

uint64_t world_random(struct world *w)
{
	w->rng ^= w->rng >> 12;
	w->rng ^= w->rng << 25;
	w->rng ^= w->rng >> 27;
	return w->rng * 0x2545f4914f6cdd1dULL;
}

unsigned int world_below(struct world *w, unsigned int n)
{
	return (unsigned int)((world_random(w) >> 33) % n);
}

bool world_chance(struct world *w, unsigned int percent)
{
	return world_below(w, 100) < percent;
}

uint64_t *world_at(struct world *w, uint64_t pa)
{
	return (uint64_t *)(w->ram + (pa - RAM));
}

/*
 * Commands
 */

static uint64_t reg(struct world *w, uint32_t offset, unsigned int bytes)
{
	return nestfd_iommu_read(w->machine, offset, bytes);
}

static void set(struct world *w, uint32_t offset, unsigned int bytes,
		uint64_t value)
{
	nestfd_iommu_write(w->machine, offset, bytes, value);
}

void world_command(struct world *w, uint64_t dw0, uint64_t dw1)
{
	const uint64_t cmd[2] = { dw0, dw1 };
	uint64_t slot = w->cmd_prod & low(CMDQ_LG2);

	memcpy(world_at(w, CMDQ + slot * 16), cmd, sizeof(cmd));
	w->cmd_prod = (w->cmd_prod + 1) & (uint32_t)low(CMDQ_LG2 + 1);
	set(w, 0x98, 4, w->cmd_prod);
	ref_command(w->ref, cmd);
}

bool world_idle(struct world *w)
{
	return reg(w, 0x9c, 4) == w->cmd_prod &&
	       reg(w, 0x60, 4) == reg(w, 0x64, 4);
}

/*
 * Building tables
 */

static uint64_t table_new(struct world *w, unsigned int size_lg2)
{
	uint64_t pa = PAGE_ROUND(w->used, size_lg2);

	if (pa + (1ULL << size_lg2) > RAM + RAM_SIZE)
		return 0;
	w->used = pa + (1ULL << size_lg2);
	memset(world_at(w, pa), 0, 1ULL << size_lg2);
	return pa;
}

/* A descriptor's address bits of @address (64 KB + LPA: 51:48 in 15:12) */
static uint64_t address_field(const struct tree *t, uint64_t address)
{
	uint64_t field = address & low(48) & ~low(12);

	if (t->wide)
		field |= (address >> 48 & 0xf) << 12;
	return field;
}

static uint64_t table_of(const struct tree *t, uint64_t d)
{
	uint64_t pa = d & low(48) & ~low(t->granule);

	return t->nested ? pa - DELTA : pa;
}

/* A table that the builder made: others may be there to be found faulty */
static bool is_ours(const struct world *w, const struct tree *t, uint64_t d)
{
	uint64_t pa = table_of(t, d);

	return (d & 3) == 3 && pa >= TABLES && pa < w->used;
}

/*
 * Where the descriptor of @level for @addr lies; tables are made on the way,
 * some with restrictions. NULL: out of memory.
 */
uint64_t *world_descriptor(struct world *w, const struct tree *t, uint64_t addr,
			   unsigned int level)
{
	uint64_t table = t->root;
	uint64_t *d;

	addr &= low(t->in_bits);
	for (unsigned int n = t->start;; n++) {
		uint64_t index = addr >> shift_of(t, n);

		if (n != t->start)
			index &= low(t->granule - 3);
		d = world_at(w, table + index * 8);
		if (n == level)
			return d;
		if (!is_ours(w, t, *d)) {
			if (w->changed > n)
				w->changed = n;
			table = table_new(w, t->granule);
			if (!table)
				return NULL;
			*d = 3 |
			     address_field(t, table + (t->nested ? DELTA : 0));
			if (!t->stage2 && world_chance(w, 6))
				*d |= 1ULL << (59 + world_below(w, 4));
		}
		table = table_of(t, *d);
	}
}

static bool block_exists(const struct tree *t, unsigned int level)
{
	return level >= 2 || (level == 1 && (t->granule == 12 || t->wide));
}

/* Somewhere to point at: for nested tables one of the places stage 2 maps */
static uint64_t target(struct world *w, const struct tree *t, int parent,
		       unsigned int lg2)
{
	uint64_t out;

	if (parent >= 0) {
		out = w->s2[parent].tree.hot[world_below(w, HOT)];
		out += (uint64_t)world_below(w, 4) << w->s2[0].tree.granule;
	} else {
		out = world_random(w) &
		      low(t->out_bits < 40 ? t->out_bits : 40);
	}
	return out & ~low(lg2) & low(t->out_bits);
}

static uint64_t random_attrs(struct world *w, const struct tree *t)
{
	uint64_t d = world_chance(w, 96) ? 1ULL << 10 : 0; /* AF */

	if (t->stage2) {
		d |= 0xfULL << 2; /* Normal memory */
		d |= (world_chance(w, 75) ? 3ULL : world_below(w, 4)) << 6;
		if (world_chance(w, 30))
			d |= (uint64_t)world_below(w, 4) << 53;
		return d;
	}
	d |= (world_chance(w, 75) ? 1ULL : world_below(w, 4)) << 6; /* AP */
	/* nG; tidy software has no other tables with a global page's address */
	d |= (w->tidy || world_chance(w, 70) ? 1ULL : 0) << 11;
	if (world_chance(w, 30))
		d |= (uint64_t)world_below(w, 4) << 53; /* PXN, UXN */
	return d;
}

/* A descriptor that does not translate, or a strange one */
static uint64_t faulty(struct world *w, const struct tree *t,
		       unsigned int level)
{
	uint64_t attrs = 1 << 10 | (t->stage2 ? 3 << 6 : 1 << 11 | 1 << 6);

	switch (world_below(w, 5)) {
	case 0:
		return 0;
	case 1: /* reserved at level 3, a block where there may be none */
		return 1 | attrs | address_field(t, RAM);
	case 2: /* a table, or a page, where there is no memory */
		return 3 | attrs | address_field(t, 0x30000000);
	case 3: /* an address that is too large, if any can be */
		return (level == 3 ? 3 : 1 + 2 * world_below(w, 2)) | attrs |
		       address_field(t, 1ULL << (t->out_bits < 48 ? t->out_bits
								  : 29));
	default: /* not valid, all else is */
		return address_field(t, RAM + 0x100000) | attrs | 2;
	}
}

static unsigned int random_level(struct world *w, const struct tree *t)
{
	unsigned int level = world_chance(w, 75)   ? 3
			     : world_chance(w, 75) ? 2
						   : world_below(w, 4);

	if (level < t->start)
		level = t->start;
	while (t->stage2 && shift_of(t, level) > 39)
		level++; /* the RAM's part of stage 2 is not for playing */
	return level;
}

/*
 * Write a leaf (or a fault); returns the highest level at which a descriptor
 * changed, ~0 if none did.
 */
unsigned int world_map_random(struct world *w, const struct tree *t, int parent,
			      uint64_t addr)
{
	unsigned int level = random_level(w, t);
	unsigned int lg2 = shift_of(t, level);
	uint64_t *d;

	w->changed = level;
	d = world_descriptor(w, t, addr, level);
	if (!d)
		return ~0u;
	if (!block_exists(t, level) || world_chance(w, 8)) {
		*d = faulty(w, t, level);
		return w->changed;
	}
	*d = (level == 3 ? 3 : 1) | random_attrs(w, t) |
	     (address_field(t, target(w, t, parent, lg2)));
	if (world_chance(w, 20))
		*d |= 1ULL << 52; /* the contiguous hint changes nothing */
	return w->changed;
}

/* Stage 2 of a piece of RAM: a block or pages, mostly readable and writable */
static void map_ram(struct world *w, const struct tree *t)
{
	unsigned int lg2 = shift_of(t, 2);
	uint64_t end = RAM + RAM_SIZE;

	for (uint64_t at = RAM & ~low(lg2); at < end; at += 1ULL << lg2) {
		uint64_t last = at + (1ULL << lg2);

		if (t->granule != 16 && world_chance(w, 50)) {
			*world_descriptor(w, t, at + DELTA, 2) =
				0x4fd | address_field(t, at);
			continue;
		}
		for (uint64_t page = at < RAM ? RAM : at;
		     page < last && page < end; page += 1ULL << t->granule)
			*world_descriptor(w, t, page + DELTA, 3) =
				0x4ff | address_field(t, page);
	}
}

static unsigned int random_granule(struct world *w)
{
	static const unsigned int granules[4] = { 12, 12, 14, 16 };

	return granules[world_below(w, 4)];
}

/* Addresses that lie in few tables */
static void make_hot(struct world *w, struct tree *t)
{
	for (int n = 0; n < HOT; n++) {
		uint64_t addr = 0;

		for (unsigned int level = 0; level < 4; level++)
			addr += (uint64_t)world_below(w, level < 2 ? 2 : 3)
				<< shift_of(t, level);
		addr &= low(t->in_bits);
		if (t->stage2) /* clear of the RAM's own addresses */
			addr = (addr & low(39)) | 0x80000000;
		t->hot[n] = addr & ~low(t->granule);
	}
}

/*
 * Address spaces
 */

static void make_space2(struct world *w, struct space2 *s, uint32_t vmid)
{
	static const uint64_t tg[17] = { [12] = 0, [14] = 2, [16] = 1 };
	struct tree *t = &s->tree;
	unsigned int most = w->wide ? 52 : 48;

	t->stage2 = true;
	t->granule = random_granule(w);
	t->wide = w->wide && t->granule == 16;
	t->in_bits = t->wide ? 52 - world_below(w, 3) : 48 - world_below(w, 5);
	t->out_bits = t->wide ? most : world_chance(w, 50) ? 48 : 40;
	if (t->granule == 12)
		t->start = t->in_bits <= 43 ? world_below(w, 2) : 0;
	else /* as few levels as concatenation allows, or one more */
		t->start = t->granule == 14 && t->in_bits > 40 ? 1
			   : t->granule == 16 && t->in_bits > 46
				   ? 1
				   : 2 - world_below(w, 2);
	if (t->in_bits <= shift_of(t, t->start))
		t->start++;
	t->root =
		table_new(w, t->in_bits - shift_of(t, t->start) + 3 < 12
				     ? 12
				     : t->in_bits - shift_of(t, t->start) + 3);
	make_hot(w, t);
	map_ram(w, t);
	s->vmid = vmid;
	s->ste[0] = vmid | (uint64_t)(64 - t->in_bits) << 32 |
		    (uint64_t)((t->granule == 12 ? 2 : 3) - t->start) << 38 |
		    tg[t->granule] << 46 |
		    (t->wide		 ? 6ULL
		     : t->out_bits == 48 ? 5ULL
					 : 2ULL)
			    << 48 |
		    1ULL << 51 | (uint64_t)world_chance(w, 20) << 53 |
		    (uint64_t)world_chance(w, 85) << 58;
	s->ste[1] = t->root;
	for (int n = 0; n < HOT; n++)
		world_map_random(w, t, -1, t->hot[n]);
}

static void make_half(struct world *w, struct space1 *s, int half)
{
	struct tree *t = &s->half[half];

	t->granule = random_granule(w);
	t->nested = s->parent >= 0;
	t->wide = w->wide && t->granule == 16;
	t->in_bits =
		t->wide && world_chance(w, 50) ? 52 : 48 - world_below(w, 24);
	t->out_bits = t->wide ? 52 : 48;
	/* what IPS says: too small for the tables' own IPAs it must not be */
	t->start = 3;
	while (t->in_bits > shift_of(t, t->start) + t->granule - 3)
		t->start--;
	t->root = table_new(w, t->granule);
	make_hot(w, t);
	if (half) {
		for (int n = 0; n < HOT; n++)
			t->hot[n] |= ~low(t->in_bits);
	}
}

static void make_cd(struct world *w, struct space1 *s)
{
	static const uint64_t tg0[17] = { [12] = 0, [14] = 2, [16] = 1 };
	static const uint64_t tg1[17] = { [12] = 2, [14] = 1, [16] = 3 };
	unsigned int ips = w->wide ? 6 : world_chance(w, 50) ? 5 : 3;
	uint64_t delta = s->parent >= 0 ? DELTA : 0;
	bool tbi = world_chance(w, 20);

	for (int half = 0; half < 2; half++) {
		make_half(w, s, half);
		if (ips == 3)
			s->half[half].out_bits = 42;
		if (ips == 6 && !s->half[half].wide)
			s->half[half].out_bits = 48;
	}
	s->cd[0] = (64 - s->half[0].in_bits) | tg0[s->half[0].granule] << 6 |
		   (uint64_t)(64 - s->half[1].in_bits) << 16 |
		   tg1[s->half[1].granule] << 22 |
		   (uint64_t)world_chance(w, 10) << 30 | /* EPD1 */
		   1ULL << 31 | (uint64_t)ips << 32 |
		   (uint64_t)world_chance(w, 15) << 35 | /* AFFD */
		   (uint64_t)world_chance(w, 20) << 36 | /* WXN */
		   (uint64_t)tbi << 38 | (uint64_t)tbi << 39 |
		   (uint64_t)world_chance(w, 20) << 40 |	      /* PAN */
		   1ULL << 41 | (uint64_t)world_chance(w, 85) << 45 | /* R */
		   1ULL << 46 | (uint64_t)s->asid << 48;
	for (int half = 0; half < 2; half++)
		s->cd[1 + half] = (s->half[half].root + delta) |
				  (uint64_t)world_chance(w, 15) << 1 | /* HAD */
				  (uint64_t)world_chance(w, 8) << 2; /* E0PD */
	for (int half = 0; half < 2; half++) {
		for (int n = 0; n < HOT; n++)
			world_map_random(w, &s->half[half], s->parent,
					 s->half[half].hot[n]);
	}
}

static void make_spaces(struct world *w)
{
	static const uint32_t vmids[SPACES2 + 2] = { 2, 3, 0x8001, 0, 1 };
	static const uint32_t asids[3] = { 1, 2, 0xff00 };

	for (int n = 0; n < SPACES2; n++)
		make_space2(w, &w->s2[n], vmids[n]);
	for (int n = 0; n < SPACES1; n++) {
		struct space1 *s = &w->s1[n];

		s->parent = n % 5 < SPACES2 ? n % 5 : -1;
		s->vmid = vmids[n % 5];
		s->asid = asids[n / 5];
		make_cd(w, s);
	}
}

/*
 * Streams
 */

uint64_t world_ste_at(const struct world *w, uint32_t sid)
{
	return (w->two_level ? STES : STRTAB) + sid * 64ULL;
}

static struct space1 *random_space(struct world *w, const struct stream *s,
				   uint32_t vmid)
{
	struct space1 *fit[SPACES1];
	unsigned int n = 0;

	for (int i = 0; i < SPACES1; i++) {
		if (w->s1[i].parent == s->parent && w->s1[i].vmid == vmid)
			fit[n++] = &w->s1[i];
	}
	return fit[world_chance(w, 60) ? 0 : world_below(w, n)];
}

static uint64_t cd_area(const struct world *w, const struct stream *s)
{
	return CDS + (uint64_t)(s - w->stream) * CD_BYTES;
}

/* Where CD @ssid lies: two leaf tables of 64 behind the L1, or a row */
uint64_t world_cd_at(const struct world *w, const struct stream *s,
		     uint32_t ssid)
{
	return cd_area(w, s) + (s->fmt ? 0x1000 : 0) + ssid * 64ULL;
}

void world_write_cd(struct world *w, const struct stream *s, uint32_t ssid,
		    uint32_t vmid)
{
	uint64_t *cd = world_at(w, world_cd_at(w, s, ssid));

	memset(cd, 0, 64);
	if (world_chance(w, 4))
		return; /* V is 0 */
	memcpy(cd, random_space(w, s, vmid)->cd, 64);
	if (world_chance(w, 2))
		cd[0] &= ~(1ULL << 41); /* AA64 */
	if (world_chance(w, 2))
		cd[0] = (cd[0] & ~0x3fULL) | 10; /* T0SZ */
}

static void write_cds(struct world *w, const struct stream *s, uint32_t vmid)
{
	uint64_t delta = s->parent >= 0 ? DELTA : 0;
	uint64_t *l1 = world_at(w, cd_area(w, s));

	for (uint32_t ssid = 0; ssid < 1u << s->ssids && ssid < 128; ssid++)
		world_write_cd(w, s, ssid, vmid);
	if (!s->fmt)
		return;
	memset(l1, 0, 32); /* two of four are not valid */
	for (uint32_t n = 0; n < 2; n++)
		l1[n] = (world_cd_at(w, s, n * 64) + delta) | 1;
}

static void ste_dw1(struct world *w, uint64_t *ste)
{
	ste[1] = 1ULL << 44 | (world_chance(w, 90) ? 2 : world_below(w, 3));
	if (world_chance(w, 20))
		ste[1] |= (uint64_t)world_below(w, 4) << 48; /* PRIVCFG */
	if (world_chance(w, 15))
		ste[1] |= (uint64_t)world_below(w, 4) << 50; /* INSTCFG */
}

static uint32_t write_tags(struct world *w, struct stream *s, uint64_t *ste)
{
	s->parent = -1;
	if (s->config & 2) {
		s->parent = (int)world_below(w, SPACES2);
		ste[2] = w->s2[s->parent].ste[0];
		ste[3] = w->s2[s->parent].ste[1];
		return w->s2[s->parent].vmid;
	}
	ste[2] = world_below(w, 2); /* VMIDs of stage 1 alone */
	return (uint32_t)ste[2];
}

/* A random STE with all that hangs on it */
void world_write_stream(struct world *w, struct stream *s)
{
	static const unsigned int configs[16] = { 0, 3, 4, 5, 5, 5, 5, 6,
						  6, 6, 7, 7, 7, 7, 7, 7 };
	uint64_t *ste = world_at(w, world_ste_at(w, s->sid));
	uint32_t vmid;

	memset(ste, 0, 64);
	s->config = configs[world_below(w, 16)];
	s->fmt = world_chance(w, 40);
	s->ssids = s->fmt ? 8 : world_below(w, 2) * 3;
	ste_dw1(w, ste);
	vmid = write_tags(w, s, ste);
	if (s->config & 1)
		write_cds(w, s, vmid);
	ste[0] = 1 | s->config << 1 | s->fmt << 4 | (uint64_t)s->ssids << 59 |
		 (cd_area(w, s) + (s->parent >= 0 ? DELTA : 0));
	switch (world_below(w, 40)) {
	case 0:
		ste[0] &= ~1ULL;
		break;
	case 1:
		ste[2] &= ~(1ULL << 51); /* S2AA64 */
		break;
	case 2:
		ste[0] |= 31ULL << 59; /* S1CDMax */
		break;
	case 3: /* CDs where there is no memory */
		ste[0] = (ste[0] & ~(low(52) & ~low(6))) | 0x20000000;
		break;
	default:
		break;
	}
}

static void make_strtab(struct world *w)
{
	uint64_t *l1 = world_at(w, STRTAB);

	if (!w->two_level)
		return;
	/* the first is full, the second short, the fourth points nowhere */
	l1[0] = STES | (w->split + 1);
	l1[1] = (STES + (64ULL << w->split)) | 3;
	l1[2] = 0;
	l1[3] = 0x10000000ULL | (w->split + 1);
}

/*
 * The machine
 */

static void on_stale(void *ctx, const struct nestfd_stale *stale)
{
	struct world *w = ctx;

	(void)stale;
	w->stales++;
}

static int make_machine(struct world *w, enum nestfd_cache cache)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_SMMUV3,
		.cache = cache,
		.cache_entries = cache == NESTFD_CACHE_FAST ? 64 : 0,
		.stale = on_stale,
		.ctx = w,
	};
	struct nestfd_smmuv3_id id = { 0 };
	int rc = nestfd_machine_create(&config, &w->machine);

	if (rc || !w->wide)
		return rc;
	/* the same, but with 52-bit addresses */
	for (unsigned int n = 0; n < 6; n++)
		id.idr[n] = (uint32_t)reg(w, 4 * n, 4);
	id.iidr = (uint32_t)reg(w, 0x18, 4);
	id.aidr = (uint32_t)reg(w, 0x1c, 4);
	id.idr[5] = (id.idr[5] & ~7u) | 6 | 1u << 10;
	nestfd_machine_destroy(w->machine);
	w->machine = NULL;
	config.smmuv3_id = &id;
	return nestfd_machine_create(&config, &w->machine);
}

static void make_registers(struct world *w)
{
	struct ref *r = w->ref;

	r->ram = w->ram;
	r->ram_base = RAM;
	r->ram_size = RAM_SIZE;
	r->smmuen = true;
	r->recinvsid = world_chance(w, 50);
	r->strtab_base = STRTAB;
	r->strtab_cfg = w->two_level ? 1u << 16 | w->split << 6 | 8 : 7;
	r->oas_bits = w->wide ? 52 : 48;
	r->wide_va = w->wide;
	r->ssid_bits = 20;

	set(w, 0x2c, 4, r->recinvsid ? 2 : 0); /* CR2 */
	set(w, 0x80, 8, r->strtab_base);
	set(w, 0x88, 4, r->strtab_cfg);
	set(w, 0x90, 8, CMDQ | CMDQ_LG2);
	set(w, 0x98, 4, 0);
	set(w, 0x9c, 4, 0);
	set(w, 0xa0, 8, EVENTQ | EVTQ_LG2);
	set(w, 0x100a8, 4, 0);
	set(w, 0x100ac, 4, 0);
	set(w, 0x20, 4, 0xd); /* CR0: SMMUEN, EVENTQEN, CMDQEN */
}

static int make_devices(struct world *w)
{
	/* with two levels of 64 or 256: short tables, none, no memory */
	static const uint32_t sids[STREAMS] = { 0,  1,	 2,   5,  63,
						64, 127, 128, 192 };
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.pasid_bits = 10,
	};
	int rc;

	for (int n = 0; n < STREAMS; n++) {
		w->stream[n].sid = sids[n];
		config.stream_id = sids[n];
		rc = nestfd_device_add(w->machine, &config, &w->stream[n].dev);
		if (rc)
			return rc;
		world_write_stream(w, &w->stream[n]);
	}
	return 0;
}

int world_create(struct world *w, uint64_t seed, enum nestfd_cache cache,
		 bool tidy)
{
	int rc;

	memset(w, 0, sizeof(*w));
	w->tidy = tidy;
	w->seed = seed;
	w->rng = seed * 0x9e3779b97f4a7c15ULL + 1;
	w->used = TABLES;
	w->two_level = world_chance(w, 50);
	w->split = 6;
	w->wide = world_chance(w, 30);
	w->ref = calloc(1, sizeof(*w->ref));
	w->ram = aligned_alloc(4096, RAM_SIZE);
	if (!w->ref || !w->ram)
		return -1;
	memset(w->ram, 0, TABLES - RAM);
	rc = make_machine(w, cache);
	if (rc)
		return rc;
	rc = nestfd_memory_add(w->machine, RAM, w->ram, RAM_SIZE);
	if (rc)
		return rc;
	make_registers(w);
	make_strtab(w);
	make_spaces(w);
	return make_devices(w);
}

void world_destroy(struct world *w)
{
	nestfd_machine_destroy(w->machine);
	free(w->ram);
	free(w->ref);
}
