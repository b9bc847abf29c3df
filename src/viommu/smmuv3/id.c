// SPDX-License-Identifier: MIT
/*
 * Which features the guest sees: the host's, less what a nested guest cannot
 * have (stage 2, EL2, stalls), less what the VMM did not ask for. Arm IHI
 * 0070 sections 6.3.1 to 6.3.6.
 */
#include "hwdef/smmuv3_regs.h"
#include "viommu/smmuv3/smmuv3.h"

/* Yes/no features that come from the host */
#define IDR0_HOST                                                    \
	(SMMUV3_IDR0_COHACC | SMMUV3_IDR0_ATS | SMMUV3_IDR0_NS1ATS | \
	 SMMUV3_IDR0_ASID16 | SMMUV3_IDR0_CD2L)
#define IDR1_HOST (SMMUV3_IDR1_ATTR_TYPES_OVR | SMMUV3_IDR1_ATTR_PERMS_OVR)
#define IDR3_HOST (SMMUV3_IDR3_HAD | SMMUV3_IDR3_XNX | SMMUV3_IDR3_RIL)
#define IDR5_HOST \
	(SMMUV3_IDR5_GRAN4K | SMMUV3_IDR5_GRAN16K | SMMUV3_IDR5_GRAN64K)

#define QUEUE_MAX_LOG2 19 /* the architecture's largest */

/* The smaller of two values of a field in which more is better */
static uint64_t least(uint64_t mask, uint64_t a, uint64_t b)
{
	uint64_t fa = a & mask;
	uint64_t fb = b & mask;

	return fa < fb ? fa : fb;
}

static uint64_t idr0(uint64_t host, uint64_t wanted)
{
	return SMMUV3_IDR0_S1P | (host & wanted & IDR0_HOST) |
	       /* a restriction (no CD.A = 0): in force if either has it */
	       ((host | wanted) & SMMUV3_IDR0_TERM_MODEL) |
	       (wanted & SMMUV3_IDR0_MSI) |
	       least(SMMUV3_IDR0_HTTU, host, wanted) |
	       field_prep(SMMUV3_IDR0_TTF, SMMUV3_TTF_AARCH64) |
	       field_prep(SMMUV3_IDR0_TTENDIAN, SMMUV3_TTENDIAN_LITTLE) |
	       field_prep(SMMUV3_IDR0_STALL_MODEL, SMMUV3_STALL_NONE) |
	       least(SMMUV3_IDR0_ST_LEVEL, field_prep(SMMUV3_IDR0_ST_LEVEL, 1),
		     wanted);
}

static uint64_t idr1(uint64_t host, uint64_t wanted)
{
	uint64_t queues = field_prep(SMMUV3_IDR1_CMDQS, QUEUE_MAX_LOG2) |
			  field_prep(SMMUV3_IDR1_EVENTQS, QUEUE_MAX_LOG2);

	/* virtual StreamIDs and queues are ours: the host's do not bound them
	 */
	return (host & wanted & IDR1_HOST) |
	       least(SMMUV3_IDR1_SIDSIZE, 32, wanted) |
	       least(SMMUV3_IDR1_SSIDSIZE, host, wanted) |
	       least(SMMUV3_IDR1_CMDQS, queues, wanted) |
	       least(SMMUV3_IDR1_EVENTQS, queues, wanted);
}

static uint64_t idr5(uint64_t host, uint64_t wanted)
{
	return (host & wanted & IDR5_HOST) |
	       least(SMMUV3_IDR5_OAS, host, wanted) |
	       least(SMMUV3_IDR5_VAX, host, wanted);
}

/* Whose page requests reach the guest: each answer has their PASID, too. */
static void add_pri(const struct smmuv3_id *host, const uint32_t wanted[6],
		    struct smmuv3_id *id)
{
	uint64_t largest = field_prep(SMMUV3_IDR1_PRIQS, QUEUE_MAX_LOG2);

	if (!(id->idr[0] & SMMUV3_IDR0_ATS) ||
	    !(host->idr[0] & wanted[0] & SMMUV3_IDR0_PRI))
		return;
	id->idr[0] |= SMMUV3_IDR0_PRI;
	id->idr[1] |= (uint32_t)least(SMMUV3_IDR1_PRIQS, largest, wanted[1]);
	id->idr[3] |= SMMUV3_IDR3_PPS;
}

void vsmmu_id(const struct smmuv3_id *host, const uint32_t wanted[6], bool pri,
	      struct smmuv3_id *id)
{
	static const uint32_t any[6] = {
		(uint32_t)~SMMUV3_IDR0_TERM_MODEL,
		(uint32_t)~SMMUV3_IDR1_SIDSIZE | 16,
		UINT32_MAX,
		UINT32_MAX,
		UINT32_MAX,
		UINT32_MAX,
	};
	uint32_t all = 0;

	for (int i = 0; i < 6; i++)
		all |= wanted[i];
	if (!all)
		wanted = any;
	*id = (struct smmuv3_id){
		.idr = {
			(uint32_t)idr0(host->idr[0], wanted[0]),
			(uint32_t)idr1(host->idr[1], wanted[1]),
			0,
			(uint32_t)((host->idr[3] & wanted[3] & IDR3_HOST) |
				   least(SMMUV3_IDR3_BBML, host->idr[3],
					 wanted[3])),
			0,
			(uint32_t)idr5(host->idr[5], wanted[5]),
		},
		.iidr = 0,
		.aidr = host->aidr,
	};
	if (pri)
		add_pri(host, wanted, id);
}

/*
 * A command that the guest's registers make illegal must not be legal to the
 * host, and the other way round: ranges hang on RIL, an ATC_INV on ATS, and its
 * SSV on SSIDSIZE (it counts as 0 without SubstreamIDs). Everything else that
 * the registers differ in is either a command for the VMM, or names what does
 * not exist.
 */
bool vsmmu_id_fits_ring(const struct smmuv3_id *host,
			const struct smmuv3_id *guest)
{
	return !((host->idr[0] ^ guest->idr[0]) & SMMUV3_IDR0_ATS) &&
	       !((host->idr[3] ^ guest->idr[3]) & SMMUV3_IDR3_RIL) &&
	       !(host->idr[1] & SMMUV3_IDR1_SSIDSIZE) ==
		       !(guest->idr[1] & SMMUV3_IDR1_SSIDSIZE);
}
