/* SPDX-License-Identifier: MIT */
/*
 * Guests for tests of what devices cost: of the fake SMMUv3 one with a vIOMMU,
 * of the fake VT-d unit one with a nested HWPT, each with three devices, two of
 * which have ATS.
 */
#ifndef TESTS_DRV_BED_H
#define TESTS_DRV_BED_H

#include "fake.h"

#define EATS_FULL (1ULL << 28)

/* vSIDs 0x50 (no ATS), 0x51, 0x52 (ATS) -> SIDs 0x100 to 0x102; VMID 2 */
struct bed {
	struct rig r;
	struct core_domain *parent;
	struct core_viommu *v;
	struct core_vdevice vdev[3];
	struct core_domain *nested[3]; /* a device's, or NULL */
};

/* All 0 but for what tests may change before the next: r.hw, r.cfg */
void bed_init(struct bed *b);
void bed_begin(struct bed *b);
/* Each device to a nested HWPT of its own, that translates; with ATS */
void bed_nest(struct bed *b);
void bed_attach(struct bed *b, int i);
/* bed_begin() and bed_nest() */
void bed_start(struct bed *b);
/* Nobody watches and all devices answer. */
void bed_stop(struct bed *b);

bool bed_has_ats(const struct bed *b, uint32_t sid);
struct core_iommu_stats bed_stats(struct bed *b);
/* ATC_INV of everything */
int bed_atc_inv(struct bed *b, uint32_t vsid, struct core_inval *inv);

#endif
