/* SPDX-License-Identifier: MIT */
/* A stream and a CD decoded from hand-worked words, ready to be walked. */
#ifndef TESTS_MODEL_WALK_SETUP_H
#define TESTS_MODEL_WALK_SETUP_H

#include "smmu_fake.h"

/* V A R AA64 ASID 7, IPS 48 bits, EPD1, T0SZ 16; TG0 is or-ed in */
#define CD0_48	0x00076205c0000010ULL
#define IPS_40	0x0000000200000000ULL
#define IPS_ALL 0x0000000700000000ULL
/* V, Config: stage 1, stage 2, nested */
#define STE0_S1	    0x000bULL
#define STE0_S2	    0x000dULL
#define STE0_NESTED 0x000fULL
/* S2R AA64 S2PS 48 bits, SL0 2, T0SZ 16, VMID 3; S2TG is or-ed in */
#define STE2_48	 0x040d009000000003ULL
#define S2PS_40	 0x0002000000000000ULL
#define S2PS_ALL 0x0007000000000000ULL

#define S1_PAGE	 0x443ULL /* AF, AP 01 (all may write), page */
#define S1_BLOCK 0x441ULL
#define S2_PAGE	 0x4ffULL /* AF, S2AP 11, write-back, page */
#define S2_BLOCK 0x4fdULL

/* Tables of stage 1 lie this much above their PA when nested. */
#define DELTA 0x70000000ULL

struct gran {
	int lg2;
	int s1_first;  /* first level of 48 bits at stage 1 */
	int s2_first;  /* and at stage 2, where SL0 is 2 */
	int block;     /* lowest level of blocks */
	uint64_t tg0;  /* in CD doubleword 0 */
	uint64_t s2tg; /* in STE doubleword 2 */
};

static const struct gran grans[3] = {
	{ 12, 0, 0, 1, 0x00, 0 },
	{ 14, 0, 1, 2, 0x80, 0x0000800000000000ULL },
	{ 16, 1, 1, 2, 0x40, 0x0000400000000000ULL },
};

struct setup {
	struct fake f;
	struct tree t1;
	struct tree t2;
	uint64_t ste[8];
	uint64_t cd[8];
	struct smmuv3_stream stream;
	struct smmuv3_s1 s1;
	bool has_s1;
	bool has_s2;
	struct smmuv3_walk out;
};

/* Decode the words anew, as tests change them. */
static inline void setup_decode(struct setup *s)
{
	assert_int_equal(smmuv3_ste_decode(s->ste, &s->f.id, &s->stream), 0);
	if (s->has_s1)
		assert_int_equal(
			smmuv3_cd_decode(s->cd, &s->f.id, &s->stream, &s->s1),
			0);
}

static inline void setup_s1(struct setup *s, const struct gran *g)
{
	fake_up(&s->f, 48);
	tree_up(&s->t1, &s->f, g->lg2, g->s1_first);
	s->has_s1 = true;
	s->ste[0] = STE0_S1;
	s->cd[0] = CD0_48 | g->tg0;
	s->cd[1] = s->t1.root;
	setup_decode(s);
}

static inline void setup_s2(struct setup *s, const struct gran *g)
{
	fake_up(&s->f, 48);
	tree_up(&s->t2, &s->f, g->lg2, g->s2_first);
	s->has_s2 = true;
	s->ste[0] = STE0_S2;
	s->ste[2] = STE2_48 | g->s2tg;
	s->ste[3] = s->t2.root;
	setup_decode(s);
}

static inline void setup_nested(struct setup *s, const struct gran *g1,
				const struct gran *g2)
{
	setup_s1(s, g1);
	tree_up(&s->t2, &s->f, g2->lg2, g2->s2_first);
	s->t1.delta = DELTA;
	s->has_s2 = true;
	s->ste[0] = STE0_NESTED;
	s->ste[2] = STE2_48 | g2->s2tg;
	s->ste[3] = s->t2.root;
	s->cd[1] = s->t1.root + DELTA;
	setup_decode(s);
}

/* Let stage 2 map all chunks there are, DELTA above where they are. */
static inline void setup_map_tables(struct setup *s)
{
	uint64_t end = RAM_PA + s->f.used;
	uint64_t step = 1ULL << s->t2.granule_lg2;

	for (uint64_t pa = RAM_PA; pa < end; pa += step)
		tree_set(&s->t2, pa + DELTA, 3, pa | S2_PAGE);
}

static inline void setup_down(struct setup *s)
{
	fake_down(&s->f);
}

#define ACCESS_R 0x01
#define ACCESS_W 0x02
#define ACCESS_X 0x04
#define ACCESS_U 0x10 /* or-ed in: unprivileged */

static inline bool setup_walk(struct setup *s, uint64_t addr, int access)
{
	struct smmuv3_input in = {
		.addr = addr,
		.write = access & ACCESS_W,
		.exec = access & ACCESS_X,
		.priv = !(access & ACCESS_U),
	};

	memset(&s->out, 0xee, sizeof(s->out));
	return smmuv3_walk(&s->f.env, s->has_s1 ? &s->s1 : NULL,
			   s->has_s2 ? &s->stream.s2 : NULL, &in, &s->out);
}

struct expect {
	int event;
	int class; /* 1 TT, 2 IN */
	int s2;
	int level;
	uint64_t ipa;
	uint64_t fetch;
};

static inline void expect_walk_fault(struct setup *s, uint64_t addr, int access,
				     struct expect e)
{
	const struct smmuv3_fault *f = &s->out.fault;

	assert_false(setup_walk(s, addr, access));
	assert_int_equal(f->event, e.event);
	assert_int_equal(f->class, e.class);
	assert_int_equal(f->s2, e.s2);
	assert_int_equal(f->level, e.level);
	assert_int_equal(f->ipa, e.ipa);
	assert_int_equal(f->fetch, e.fetch);
}

#endif
