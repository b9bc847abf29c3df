// SPDX-License-Identifier: MIT
/* The driver on the model of an SMMUv3; see world.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "drv/smmuv3/driver.h"
#include "fake.h" /* the functions of core, and EXPECT_CMD's types */
#include "model/smmuv3/model.h"
#include "pt/armv8.h"
#include "world.h"

static int model_create(const struct model_host *host, struct model **model)
{
	struct smmuv3_model_config config = { .policy = IOTLB_HOSTILE };

	smmuv3_model_default_id(&config.id);
	return smmuv3_model_create(&config, host, model);
}

static int driver_create(const struct core_hwport *port,
			 struct core_iommu **iommu)
{
	struct smmuv3_drv_config config = { .timeout_ms = WORLD_PATIENCE_MS };

	fake_core_events = 0;
	return smmuv3_drv_create(&config, port, iommu);
}

/* ASID 7, 48 bits of VA, 4K, write-back; the CD comes before the tables */
static uint64_t make_cd(struct guest *g)
{
	struct armv8_pt_config cfg = {
		.stage = 1, .granule_lg2 = 12, .ias = 48, .oas = 40
	};
	uint64_t at = g->used;
	uint64_t *cd = (uint64_t *)(g->w->ram + at);
	struct armv8_pt_root root;

	g->used += WORLD_PAGE;
	assert_int_equal(armv8_pt_create(&cfg, &guest_tables, g, &g->pt), 0);
	armv8_pt_root(g->pt, &root);
	/* R A AA64, IPS 40 bits, V, EPD1, SH0 3, OR0 1, IR0 1, T0SZ 16 */
	cd[0] = 0x00076202c0003510;
	cd[1] = root.ttb;
	cd[2] = 0;
	cd[3] = 0xff;
	return GUEST_IPA + at;
}

static void start_guest(struct guest *g, struct core_domain *parent)
{
	struct world *w = g->w;
	uint64_t cd = make_cd(g);

	assert_int_equal(w->iommu->ops->viommu_alloc(&w->dev[g->dev], parent, 1,
						     NULL, &g->v),
			 0);
	rig_vdev(g->v, &g->vdev, &w->dev[g->dev], 0x500);
	/* Config S1, the CD; EATS 1, CIR, COR, CSH */
	assert_int_equal(rig_nested(g->v, cd | 0xb, 0x100000d4, &g->nested), 0);
}

static void stop_guest(struct guest *g)
{
	g->v->ops->vdevice_remove(g->v, &g->vdev);
	g->v->ops->free(g->v);
}

static int command(struct guest *g, uint64_t dw0, uint64_t dw1)
{
	uint64_t cmd[1][2] = { { dw0, dw1 } };
	struct core_inval inv;
	int rc = rig_inval(g->v, cmd, 1, &inv);

	assert_int_equal(inv.done, !rc);
	return rc;
}

/* TLBI_NH_VA, not Leaf; then the device's own cache */
static void forget_page(struct guest *g, uint64_t va, bool leaf)
{
	(void)leaf;
	assert_int_equal(command(g, 7ULL << 48 | 0x12, va), 0);
	assert_int_equal(command(g, 0x50000000040, va), 0);
}

static void forget_another_asid(struct guest *g)
{
	assert_int_equal(command(g, 8ULL << 48 | 0x12, GUEST_VA), 0);
}

static void look_at_event(struct guest *g)
{
	/* F_TRANSLATION reached the guest under its own StreamID */
	assert_int_equal(fake_core_events, 1);
	assert_ptr_equal(fake_core_event.viommu, g->v);
	assert_int_equal(fake_core_event.evt[0] & 0xff, 0x10);
	assert_int_equal(fake_core_event.evt[0] >> 32, 0x500);
	assert_int_equal(fake_core_event.evt[2], GUEST_VA);
	/* a command hardware calls illegal: TG without range or level */
	assert_int_equal(command(g, 7ULL << 48 | 0x12, GUEST_VA | 0x400), -EIO);
	assert_int_equal(command(g, 7ULL << 48 | 0x12, GUEST_VA), 0);
}

static const struct world_arch arch = {
	.pa_bits = 48,
	.model = model_create,
	.driver = driver_create,
	.guest_start = start_guest,
	.guest_stop = stop_guest,
	.guest_forget = forget_page,
	.guest_forget_other = forget_another_asid,
	.guest_told = look_at_event,
	.guests = 2,
};

/* With an argument only the tests that match it */
int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return world_run(&arch);
}
