// SPDX-License-Identifier: MIT
/*
 * Context descriptors: finding them, what is ILLEGAL (Arm IHI 0070, 5.4.2,
 * validity of CD) and what the legal ones say. Where v3.0 leaves a choice,
 * what v3.1 prescribes is taken.
 */
#include "model/smmuv3/config_priv.h"

#define CD_SIZE	      sizeof(struct smmuv3_cd)
#define SPLIT_4K_LG2  6 /* CDs in a 4 KB table */
#define SPLIT_64K_LG2 10

/* The fields of one half of the address space, as they stand in the CD */
struct cd_half {
	uint64_t tsz;
	uint64_t ttb_dw;
	uint8_t granule_lg2; /* 0: reserved */
	bool epd;
	bool tbi;
};

static void cd_halves(const uint64_t dw[8], struct cd_half half[2])
{
	static const uint8_t tg0[4] = { 12, GRANULE_64K, 14, 0 };
	static const uint8_t tg1[4] = { 0, 14, 12, GRANULE_64K };

	half[0] = (struct cd_half){
		.tsz = field_get(SMMUV3_CD_0_T0SZ, dw[0]),
		.ttb_dw = dw[1],
		.granule_lg2 = tg0[field_get(SMMUV3_CD_0_TG0, dw[0])],
		.epd = dw[0] & SMMUV3_CD_0_EPD0,
		.tbi = dw[0] & SMMUV3_CD_0_TBI0,
	};
	half[1] = (struct cd_half){
		.tsz = field_get(SMMUV3_CD_0_T1SZ, dw[0]),
		.ttb_dw = dw[2],
		.granule_lg2 = tg1[field_get(SMMUV3_CD_0_TG1, dw[0])],
		.epd = dw[0] & SMMUV3_CD_0_EPD1,
		.tbi = dw[0] & SMMUV3_CD_0_TBI1,
	};
}

static bool cd_size_legal(const struct smmuv3_id *id,
			  const struct cd_half *half)
{
	bool wide = field_get(SMMUV3_IDR5_VAX, id->idr[5]) &&
		    half->granule_lg2 == GRANULE_64K;

	return half->tsz >= (wide ? 12 : 16) &&
	       half->tsz <= smmuv3_tsz_max(id, half->granule_lg2);
}

/* With EPD nothing of the half is looked at but TBI and EPD (5.4.1.1). */
static bool cd_half_decode(const uint64_t dw[8], const struct smmuv3_id *id,
			   const struct cd_half *half, struct smmuv3_tt *tt)
{
	unsigned int stride;

	*tt = (struct smmuv3_tt){
		.in_bits = (uint8_t)(64 - half->tsz),
		.granule_lg2 = half->granule_lg2,
		.tbi = half->tbi,
		.disabled = half->epd,
	};
	if (half->epd) {
		tt->in_bits = 48;
		return true;
	}
	tt->ttb = smmuv3_ttb_field(id, half->ttb_dw);
	tt->out_bits =
		smmuv3_capped_bits(id, field_get(SMMUV3_CD_0_IPS, dw[0]));
	tt->big_endian = dw[0] & SMMUV3_CD_0_ENDI;
	tt->had =
		id->idr[3] & SMMUV3_IDR3_HAD && half->ttb_dw & SMMUV3_CD_1_HAD;
	tt->e0pd = id->idr[3] & SMMUV3_IDR3_E0PD &&
		   half->ttb_dw & SMMUV3_CD_1_E0PD;
	if (!smmuv3_granule_offered(id, tt->granule_lg2) ||
	    !smmuv3_endian_offered(id, tt->big_endian) ||
	    smmuv3_ttb_out_of_range(tt) || !cd_size_legal(id, half))
		return false;
	stride = tt->granule_lg2 - 3u;
	tt->start_level =
		(uint8_t)(3 - (tt->in_bits - 1u - tt->granule_lg2) / stride);
	smmuv3_tt_complete(tt, id);
	return true;
}

/* The A, R and S flags against what the SMMU and the STE allow (5.5) */
static bool cd_faults_legal(uint64_t dw0, const struct smmuv3_id *id,
			    const struct smmuv3_stream *stream)
{
	uint64_t model = field_get(SMMUV3_IDR0_STALL_MODEL, id->idr[0]);
	bool stall = dw0 & SMMUV3_CD_0_S;

	if (stall && (stream->s1stalld || model == SMMUV3_STALL_NONE))
		return false;
	if (!stall && model == SMMUV3_STALL_FORCED)
		return false;
	return !(id->idr[0] & SMMUV3_IDR0_TERM_MODEL) || dw0 & SMMUV3_CD_0_A;
}

static bool cd_fields_legal(uint64_t dw0, const struct smmuv3_id *id,
			    const struct smmuv3_stream *stream)
{
	uint64_t asid = field_get(SMMUV3_CD_0_ASID, dw0);

	return dw0 & SMMUV3_CD_0_V && dw0 & SMMUV3_CD_0_AA64 &&
	       smmuv3_aarch64_offered(id) && cd_faults_legal(dw0, id, stream) &&
	       !smmuv3_httu_missing(id, dw0 & SMMUV3_CD_0_HA,
				    dw0 & SMMUV3_CD_0_HD) &&
	       (id->idr[0] & SMMUV3_IDR0_ASID16 || !(asid >> 8));
}

static void cd_flags(uint64_t dw0, struct smmuv3_s1 *s1)
{
	s1->asid = (uint16_t)field_get(SMMUV3_CD_0_ASID, dw0);
	s1->aset = dw0 & SMMUV3_CD_0_ASET;
	s1->affd = dw0 & SMMUV3_CD_0_AFFD;
	s1->wxn = dw0 & SMMUV3_CD_0_WXN;
	s1->pan = dw0 & SMMUV3_CD_0_PAN;
	s1->ha = dw0 & SMMUV3_CD_0_HA;
	s1->hd = s1->ha && dw0 & SMMUV3_CD_0_HD; /* 0b10 is as 0b00 */
	s1->s = dw0 & SMMUV3_CD_0_S;
	s1->r = dw0 & SMMUV3_CD_0_R;
	s1->a = dw0 & SMMUV3_CD_0_A;
}

uint8_t smmuv3_cd_decode(const uint64_t dw[8], const struct smmuv3_id *id,
			 const struct smmuv3_stream *stream,
			 struct smmuv3_s1 *s1)
{
	struct smmuv3_s1 out = { 0 };
	struct cd_half half[2];

	cd_halves(dw, half);
	if (!cd_fields_legal(dw[0], id, stream) ||
	    !cd_half_decode(dw, id, &half[0], &out.tt[0]) ||
	    !cd_half_decode(dw, id, &half[1], &out.tt[1]))
		return SMMUV3_EVT_C_BAD_CD;
	cd_flags(dw[0], &out);
	*s1 = out;
	return 0;
}

/* Where something of the CD tables lies: an IPA under stage 2 (5.4.1) */
static bool cd_locate(const struct walk_env *env,
		      const struct smmuv3_stream *stream, uint64_t addr,
		      uint64_t *pa, struct smmuv3_fault *fault)
{
	if (stream->s2_on)
		return smmuv3_walk_cd(env, &stream->s2, addr, pa, fault);
	*pa = addr;
	return true;
}

unsigned int smmuv3_cd_split(const struct smmuv3_stream *stream)
{
	if (stream->s1fmt == SMMUV3_S1FMT_LINEAR)
		return 0;
	return stream->s1fmt == SMMUV3_S1FMT_4K_L2 ? SPLIT_4K_LG2
						   : SPLIT_64K_LG2;
}

bool smmuv3_l1cd_load(const struct walk_env *env,
		      const struct smmuv3_stream *stream, uint32_t ssid,
		      uint64_t *l1cd, struct smmuv3_fault *fault)
{
	const struct walk_cache *cache = env->cache;
	unsigned int split = smmuv3_cd_split(stream);
	unsigned int lg2 =
		stream->s1cdmax > split ? stream->s1cdmax - split + 3u : 0;
	uint64_t addr = (stream->s1contextptr & ~low_mask(lg2)) +
			(ssid >> split) * SMMUV3_L1CD_SIZE;
	uint64_t pa, raw;

	if (cache && cache->dir_find &&
	    cache->dir_find(env->cache_ctx, ssid >> split, addr, l1cd))
		return true;
	if (!cd_locate(env, stream, addr, &pa, fault))
		return false;
	if (phys_cursor_load64(env->phys, &env->cursors->s1, pa, &raw))
		return smmuv3_fetch_fault(fault, SMMUV3_EVT_F_CD_FETCH, pa);
	*l1cd = le64toh(raw);
	if (cache && cache->dir_add && !env->quiet)
		cache->dir_add(env->cache_ctx, ssid >> split, addr, *l1cd);
	return true;
}

/* The address of CD @ssid, before stage 2; false with *fault. */
static bool cd_find(const struct walk_env *env,
		    const struct smmuv3_stream *stream, uint32_t ssid,
		    uint64_t *addr, struct smmuv3_fault *fault)
{
	unsigned int split = smmuv3_cd_split(stream);
	uint64_t l1cd, table;

	if (!split) {
		table = stream->s1contextptr & ~low_mask(stream->s1cdmax + 6u);
		*addr = table + ssid * CD_SIZE;
		return true;
	}
	if (!smmuv3_l1cd_load(env, stream, ssid, &l1cd, fault))
		return false;
	table = l1cd & SMMUV3_L1CD_L2PTR & ~low_mask(split + 6);
	if (!(l1cd & SMMUV3_L1CD_V) || table >> env->oas_bits)
		return smmuv3_config_fault(fault, SMMUV3_EVT_C_BAD_SUBSTREAMID);
	*addr = table + (ssid & low_mask(split)) * CD_SIZE;
	return true;
}

bool smmuv3_cd_load(const struct walk_env *env, const struct smmuv3_id *id,
		    const struct smmuv3_stream *stream, uint32_t ssid,
		    struct smmuv3_s1 *s1, struct smmuv3_fault *fault)
{
	uint64_t addr, pa;
	uint64_t dw[8];
	uint8_t event;

	if (!cd_find(env, stream, ssid, &addr, fault) ||
	    !cd_locate(env, stream, addr, &pa, fault))
		return false;
	if (!smmuv3_fetch_words(env, pa, dw))
		return smmuv3_fetch_fault(fault, SMMUV3_EVT_F_CD_FETCH, pa);
	event = smmuv3_cd_decode(dw, id, stream, s1);
	return event ? smmuv3_config_fault(fault, event) : true;
}
