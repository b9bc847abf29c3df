// SPDX-License-Identifier: MIT
/*
 * STEs: what is ILLEGAL, what the legal ones say, and which way they send a
 * transaction. The conditions are those of Arm IHI 0070, 5.2.2 (validity of
 * STE); where v3.0 leaves a choice, what v3.1 prescribes is taken.
 */
#include "model/smmuv3/config_priv.h"

#define CFG_OVERRIDE   2 /* PRIVCFG, INSTCFG: 0b1x overrides with x */
#define TTB_V31	       GENMASK_ULL(51, 4)
#define TTB_V30	       GENMASK_ULL(47, 4)
#define SMALL_GRANULES 48 /* widest address of 4 KB and 16 KB granules */

static bool is_v30(const struct smmuv3_id *id)
{
	return !id->aidr;
}

/* IDR5.OAS, CD.IPS and STE.S2PS share an encoding. */
static uint8_t address_bits(const struct smmuv3_id *id, uint64_t field)
{
	static const uint8_t bits[8] = { 32, 36, 40, 42, 44, 48, 52, 52 };

	if (is_v30(id) && field > 5)
		return 48;
	return bits[field];
}

uint8_t smmuv3_oas_bits(const struct smmuv3_id *id)
{
	return address_bits(id, field_get(SMMUV3_IDR5_OAS, id->idr[5]));
}

uint8_t smmuv3_capped_bits(const struct smmuv3_id *id, uint64_t field)
{
	uint8_t oas = smmuv3_oas_bits(id);
	uint8_t bits = address_bits(id, field);

	return bits < oas ? bits : oas;
}

bool smmuv3_granule_offered(const struct smmuv3_id *id, uint8_t granule_lg2)
{
	switch (granule_lg2) {
	case 12:
		return id->idr[5] & SMMUV3_IDR5_GRAN4K;
	case 14:
		return id->idr[5] & SMMUV3_IDR5_GRAN16K;
	case GRANULE_64K:
		return id->idr[5] & SMMUV3_IDR5_GRAN64K;
	}
	return false;
}

uint8_t smmuv3_tsz_max(const struct smmuv3_id *id, uint8_t granule_lg2)
{
	if (!(id->idr[3] & SMMUV3_IDR3_STT))
		return 39;
	return granule_lg2 == GRANULE_64K ? 47 : 48;
}

bool smmuv3_endian_offered(const struct smmuv3_id *id, bool big)
{
	uint64_t offered = field_get(SMMUV3_IDR0_TTENDIAN, id->idr[0]);

	if (offered == SMMUV3_TTENDIAN_LITTLE)
		return !big;
	if (offered == SMMUV3_TTENDIAN_BIG)
		return big;
	return true;
}

bool smmuv3_httu_missing(const struct smmuv3_id *id, bool ha, bool hd)
{
	uint64_t offered = field_get(SMMUV3_IDR0_HTTU, id->idr[0]);

	return (ha && offered < SMMUV3_HTTU_ACCESS) ||
	       (hd && offered < SMMUV3_HTTU_DIRTY);
}

bool smmuv3_aarch64_offered(const struct smmuv3_id *id)
{
	return field_get(SMMUV3_IDR0_TTF, id->idr[0]) & SMMUV3_TTF_AARCH64;
}

uint64_t smmuv3_ttb_field(const struct smmuv3_id *id, uint64_t dw)
{
	return dw & (is_v30(id) ? TTB_V30 : TTB_V31);
}

bool smmuv3_ttb_out_of_range(const struct smmuv3_tt *tt)
{
	return tt->ttb >> tt->out_bits ||
	       (tt->granule_lg2 != GRANULE_64K && tt->ttb >> SMALL_GRANULES);
}

void smmuv3_tt_complete(struct smmuv3_tt *tt, const struct smmuv3_id *id)
{
	bool wide = smmuv3_oas_bits(id) == 52;
	unsigned int stride = tt->granule_lg2 - 3u;
	unsigned int below = tt->granule_lg2 + (3u - tt->start_level) * stride;
	unsigned int size_lg2 = tt->in_bits - below + 3;

	tt->block_level = tt->granule_lg2 == 12 ? 1 : 2;
	if (tt->granule_lg2 == GRANULE_64K && wide) {
		tt->block_level = 1;
		tt->high_bits = true;
	}
	if (tt->out_bits == 52 && size_lg2 < 6)
		size_lg2 = 6;
	tt->ttb &= ~low_mask(size_lg2);
}

static bool s2_level_offered(const struct smmuv3_id *id, uint8_t granule_lg2,
			     uint64_t sl0)
{
	uint8_t oas = smmuv3_oas_bits(id);

	switch (granule_lg2) {
	case 12:
		return sl0 == 2	  ? oas >= 44
		       : sl0 == 3 ? !!(id->idr[3] & SMMUV3_IDR3_STT)
				  : true;
	case 14:
		return sl0 == 2 ? oas >= 42 : sl0 != 3;
	default:
		return sl0 == 2 ? oas >= 44 : sl0 != 3;
	}
}

/* VTCR_EL2.SL0 (DDI 0487, D8.2): which level SL0 names */
static uint8_t s2_start_level(uint8_t granule_lg2, uint64_t sl0)
{
	if (granule_lg2 == 12)
		return sl0 == 3 ? 3 : (uint8_t)(2 - sl0);
	return (uint8_t)(3 - sl0);
}

/*
 * The input must need the first level, and fit it: one table, or up to 16
 * concatenated ones.
 */
static bool s2_level_consistent(const struct smmuv3_tt *tt)
{
	unsigned int stride = tt->granule_lg2 - 3u;
	unsigned int below = tt->granule_lg2 + (3u - tt->start_level) * stride;

	return tt->in_bits > below && tt->in_bits <= below + stride + 4;
}

static bool s2_size_legal(const struct smmuv3_id *id, uint8_t granule_lg2,
			  uint64_t t0sz)
{
	uint8_t ias = smmuv3_oas_bits(id); /* no VMSAv8-32: IAS is OAS */
	uint8_t min = granule_lg2 == GRANULE_64K ? 12 : 16;

	if (is_v30(id) || min < 64 - ias)
		min = 64 - ias;
	return t0sz >= min && t0sz <= smmuv3_tsz_max(id, granule_lg2);
}

static bool s2_tables_legal(const uint64_t dw[8], const struct smmuv3_id *id,
			    struct smmuv3_tt *tt)
{
	static const uint8_t granules[4] = { 12, GRANULE_64K, 14, 0 };
	uint64_t t0sz = field_get(SMMUV3_STE_2_S2T0SZ, dw[2]);
	uint64_t sl0 = field_get(SMMUV3_STE_2_S2SL0, dw[2]);

	*tt = (struct smmuv3_tt){
		.ttb = smmuv3_ttb_field(id, dw[3]),
		.in_bits = (uint8_t)(64 - t0sz),
		.granule_lg2 = granules[field_get(SMMUV3_STE_2_S2TG, dw[2])],
		.out_bits = smmuv3_capped_bits(
			id, field_get(SMMUV3_STE_2_S2PS, dw[2])),
		.big_endian = dw[2] & SMMUV3_STE_2_S2ENDI,
	};
	if (!smmuv3_granule_offered(id, tt->granule_lg2) ||
	    !smmuv3_endian_offered(id, tt->big_endian) ||
	    smmuv3_ttb_out_of_range(tt) ||
	    !s2_size_legal(id, tt->granule_lg2, t0sz) ||
	    !s2_level_offered(id, tt->granule_lg2, sl0))
		return false;
	tt->start_level = s2_start_level(tt->granule_lg2, sl0);
	if (!s2_level_consistent(tt))
		return false;
	smmuv3_tt_complete(tt, id);
	return true;
}

static bool s2_stall_legal(const struct smmuv3_id *id, bool stall)
{
	uint64_t model = field_get(SMMUV3_IDR0_STALL_MODEL, id->idr[0]);

	return !(model == SMMUV3_STALL_NONE && stall) &&
	       !(model == SMMUV3_STALL_FORCED && !stall);
}

static bool s2_decode(const uint64_t dw[8], const struct smmuv3_id *id,
		      struct smmuv3_s2 *s2)
{
	bool ha = dw[2] & SMMUV3_STE_2_S2HA;
	bool hd = dw[2] & SMMUV3_STE_2_S2HD;

	*s2 = (struct smmuv3_s2){
		.affd = dw[2] & SMMUV3_STE_2_S2AFFD,
		.ptw = dw[2] & SMMUV3_STE_2_S2PTW,
		.ha = ha,
		.hd = hd && ha, /* {HA, HD} == 0b01 is as 0b00 */
		.s = dw[2] & SMMUV3_STE_2_S2S,
		.r = dw[2] & SMMUV3_STE_2_S2R,
		.xnx = id->idr[3] & SMMUV3_IDR3_XNX,
		.fwb = id->idr[3] & SMMUV3_IDR3_FWB &&
		       dw[1] & SMMUV3_STE_1_S2FWB,
	};
	return dw[2] & SMMUV3_STE_2_S2AA64 && smmuv3_aarch64_offered(id) &&
	       s2_stall_legal(id, s2->s) && !smmuv3_httu_missing(id, ha, hd) &&
	       s2_tables_legal(dw, id, &s2->tt);
}

static bool s1_decode(const uint64_t dw[8], const struct smmuv3_id *id,
		      struct smmuv3_stream *st)
{
	uint64_t ssids = field_get(SMMUV3_IDR1_SSIDSIZE, id->idr[1]);
	uint64_t model = field_get(SMMUV3_IDR0_STALL_MODEL, id->idr[0]);

	st->s1contextptr = dw[0] & SMMUV3_STE_0_S1CONTEXTPTR;
	st->s1stalld = dw[1] & SMMUV3_STE_1_S1STALLD;
	if (ssids) {
		st->s1cdmax = (uint8_t)field_get(SMMUV3_STE_0_S1CDMAX, dw[0]);
		if (st->s1cdmax > ssids)
			return false;
	}
	if (st->s1cdmax) {
		st->s1dss = (uint8_t)field_get(SMMUV3_STE_1_S1DSS, dw[1]);
		st->s1fmt = (uint8_t)field_get(SMMUV3_STE_0_S1FMT, dw[0]);
	}
	if (st->s1fmt == 3) /* reserved: behaves as 0 */
		st->s1fmt = SMMUV3_S1FMT_LINEAR;
	if (st->s1dss == 3)
		st->s1dss = SMMUV3_S1DSS_TERMINATE;
	if (st->s1fmt && !(id->idr[0] & SMMUV3_IDR0_CD2L))
		return false;
	if (st->s1stalld && model != SMMUV3_STALL_BOTH)
		return false;
	return !(st->s1contextptr >> smmuv3_oas_bits(id));
}

/* EATS is IGNORED without ATS, and where nothing translates. */
static bool eats_decode(const uint64_t dw[8], const struct smmuv3_id *id,
			struct smmuv3_stream *st)
{
	uint8_t eats = (uint8_t)field_get(SMMUV3_STE_1_EATS, dw[1]);
	bool stalls = dw[2] & SMMUV3_STE_2_S2S;

	if (!(id->idr[0] & SMMUV3_IDR0_ATS) ||
	    st->config == SMMUV3_STE_CONFIG_BYPASS || eats == 3)
		return true; /* 3 needs DPT: reserved, behaves as 0 */
	if (eats == SMMUV3_EATS_FULL && st->s2_on && stalls)
		return false;
	if (eats == SMMUV3_EATS_SPLIT &&
	    (st->config != SMMUV3_STE_CONFIG_NESTED || stalls ||
	     id->idr[0] & SMMUV3_IDR0_NS1ATS))
		return false;
	st->eats = eats;
	return true;
}

static bool vmid_decode(const uint64_t dw[8], const struct smmuv3_id *id,
			struct smmuv3_stream *st)
{
	uint16_t vmid = (uint16_t)field_get(SMMUV3_STE_2_S2VMID, dw[2]);

	if (!(id->idr[0] & SMMUV3_IDR0_S2P) ||
	    st->config == SMMUV3_STE_CONFIG_BYPASS)
		return true;
	if (!(id->idr[0] & SMMUV3_IDR0_VMID16) && vmid >> 8)
		return false;
	st->vmid = vmid;
	st->s2.vmid = vmid;
	return true;
}

static bool stages_offered(const struct smmuv3_stream *st,
			   const struct smmuv3_id *id)
{
	return !(st->s1 && !(id->idr[0] & SMMUV3_IDR0_S1P)) &&
	       !(st->s2_on && !(id->idr[0] & SMMUV3_IDR0_S2P));
}

uint8_t smmuv3_ste_decode(const uint64_t dw[8], const struct smmuv3_id *id,
			  struct smmuv3_stream *stream)
{
	struct smmuv3_stream st = { 0 };
	uint8_t config = (uint8_t)field_get(SMMUV3_STE_0_CONFIG, dw[0]);

	if (!(dw[0] & SMMUV3_STE_0_V))
		return SMMUV3_EVT_C_BAD_STE;
	if (!(config & SMMUV3_STE_CONFIG_BYPASS)) {
		*stream = st; /* 0b0xx: all else is IGNORED */
		return 0;
	}
	st.config = config;
	st.s1 = config & 1;
	st.s2_on = config & 2;
	st.mev = dw[1] & SMMUV3_STE_1_MEV;
	st.ppar = dw[1] & SMMUV3_STE_1_PPAR;
	st.privcfg = (uint8_t)field_get(SMMUV3_STE_1_PRIVCFG, dw[1]);
	st.instcfg = (uint8_t)field_get(SMMUV3_STE_1_INSTCFG, dw[1]);
	if (!stages_offered(&st, id) || !eats_decode(dw, id, &st) ||
	    (st.s1 && !s1_decode(dw, id, &st)) ||
	    (st.s2_on && !s2_decode(dw, id, &st.s2)) ||
	    !vmid_decode(dw, id, &st))
		return SMMUV3_EVT_C_BAD_STE;
	*stream = st;
	return 0;
}

bool smmuv3_fetch_words(const struct walk_env *env, uint64_t pa, uint64_t dw[8])
{
	le64 raw[8];

	if (phys_cursor_read(env->phys, &env->cursors->s1, pa, raw,
			     sizeof(raw)))
		return false;
	for (int i = 0; i < 8; i++)
		dw[i] = le64_get(raw[i]);
	return true;
}

bool smmuv3_ste_load(const struct walk_env *env, const struct smmuv3_id *id,
		     uint64_t addr, struct smmuv3_stream *stream,
		     struct smmuv3_fault *fault)
{
	uint64_t dw[8];
	uint8_t event;

	if (!smmuv3_fetch_words(env, addr, dw))
		return smmuv3_fetch_fault(fault, SMMUV3_EVT_F_STE_FETCH, addr);
	event = smmuv3_ste_decode(dw, id, stream);
	return event ? smmuv3_config_fault(fault, event) : true;
}

/*
 * Which way a transaction goes
 */

/* Of a transaction with a SubstreamID: 0, or why it is refused */
static uint8_t substream_event(const struct smmuv3_stream *st, uint32_t ssid)
{
	if (!st->s1 || !st->s1cdmax || ssid >> st->s1cdmax)
		return SMMUV3_EVT_C_BAD_SUBSTREAMID;
	if (!ssid && st->s1dss == SMMUV3_S1DSS_SSID0)
		return SMMUV3_EVT_F_STREAM_DISABLED;
	return 0;
}

/* Of one without: 0, or why it is refused */
static uint8_t default_event(const struct smmuv3_stream *st)
{
	return st->s1cdmax && st->s1dss == SMMUV3_S1DSS_TERMINATE
		       ? SMMUV3_EVT_F_STREAM_DISABLED
		       : 0;
}

static enum smmuv3_path path_of(const struct smmuv3_stream *st, bool ssv)
{
	bool s1 = st->s1;

	if (!ssv && st->s1cdmax && st->s1dss == SMMUV3_S1DSS_BYPASS)
		s1 = false;
	if (st->s2_on)
		return s1 ? SMMUV3_PATH_NESTED : SMMUV3_PATH_S2;
	return s1 ? SMMUV3_PATH_S1 : SMMUV3_PATH_BYPASS;
}

bool smmuv3_stream_route(const struct smmuv3_stream *stream,
			 const struct smmuv3_input *in,
			 struct smmuv3_route *route, struct smmuv3_fault *fault)
{
	uint8_t event = 0;

	if (stream->config)
		event = in->ssv ? substream_event(stream, in->ssid)
				: default_event(stream);
	if (event)
		return smmuv3_config_fault(fault, event);
	*route = (struct smmuv3_route){
		.path = stream->config ? path_of(stream, in->ssv)
				       : SMMUV3_PATH_ABORT,
		.ssid = in->ssv ? in->ssid : 0,
	};
	return true;
}

void smmuv3_stream_attrs(const struct smmuv3_stream *stream,
			 const struct smmuv3_id *id, struct smmuv3_input *in)
{
	if (id->idr[1] & SMMUV3_IDR1_ATTR_PERMS_OVR) {
		if (stream->privcfg & CFG_OVERRIDE)
			in->priv = stream->privcfg & 1;
		if (stream->instcfg & CFG_OVERRIDE)
			in->exec = stream->instcfg & 1;
	}
	if (in->write)
		in->exec = false;
}

bool smmuv3_bypass(const struct smmuv3_id *id, const struct smmuv3_input *in,
		   struct smmuv3_fault *fault)
{
	if (!(in->addr >> smmuv3_oas_bits(id)))
		return true;
	*fault = (struct smmuv3_fault){
		.event = SMMUV3_EVT_F_ADDR_SIZE,
		.class = SMMUV3_CLASS_IN,
	};
	return false;
}

static bool has_choice(uint8_t event)
{
	return event >= SMMUV3_EVT_F_TRANSLATION &&
	       event <= SMMUV3_EVT_F_PERMISSION;
}

void smmuv3_fault_verdict(const struct smmuv3_stream *stream,
			  const struct smmuv3_s1 *s1,
			  const struct smmuv3_fault *fault,
			  struct smmuv3_verdict *verdict)
{
	bool record = true;
	bool stall = false;
	bool abort = true;

	if (has_choice(fault->event) && fault->s2) {
		record = stream->s2.r;
		stall = stream->s2.s;
	} else if (has_choice(fault->event) && s1) {
		record = s1->r;
		stall = s1->s;
		abort = s1->a;
	}
	*verdict = (struct smmuv3_verdict){
		.record = fault->event && (record || stall),
		.stall = stall,
		.abort = abort,
	};
}
