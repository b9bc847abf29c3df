/* SPDX-License-Identifier: MIT */
/* A guest of the fake VT-d unit: bed.h. */
#ifndef TESTS_DRV_VTD_BED_H
#define TESTS_DRV_VTD_BED_H

#include "vtd_fake.h"

#define VBED_ENTRIES 200

/* Devices 0x100 (no ATS), 0x101, 0x182 (ATS) */
struct vbed {
	struct vrig r;
	struct core_domain *parent;
	struct core_domain *n; /* nested, first-stage table at 0x1234000 */
	struct core_inval inv; /* of the last vbed_inval() */
	struct ventry e[VBED_ENTRIES]; /* each a page, from 0 on */
};

/* All 0 but for what tests may change before the next: r.hw, r.cfg */
void vbed_init(struct vbed *b);
/* No device is attached. */
void vbed_start(struct vbed *b);
void vbed_attach(struct vbed *b, int dev, uint32_t pasid);
/* Nobody watches and all devices answer. */
void vbed_stop(struct vbed *b);

bool vbed_has_ats(const struct vbed *b, uint32_t sid);
/* The first @count entries, in which no error is left */
int vbed_inval(struct vbed *b, uint32_t count);

#endif
