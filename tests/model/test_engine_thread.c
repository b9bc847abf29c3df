// SPDX-License-Identifier: MIT
/*
 * DMA of two devices against commands: after a CMD_SYNC has completed, no DMA
 * uses what the commands before it removed. Meant to run under TSan as well.
 */
#include "engine_rig.h"
#include "rig_threads.h"

static void *device_reads(void *arg)
{
	struct device *d = arg;

	for (uint64_t n = 0; !stopped(d->stop); n++)
		device_read(d, MODEL_NO_PASID, device_page(d, n));
	return NULL;
}

static void drain_events(struct rig *g)
{
	reg_set(g, REG_EVENTQ_CONS, 4, reg_get(g, REG_EVENTQ_PROD, 4));
}

static void removed_pages_are_not_read(enum iotlb_policy policy)
{
	uint64_t root, s2 = 0;
	struct device d[2];
	bool stop = false;
	struct rig g;
	double end;

	rig_up(&g, policy);
	root = stream_nested(&g, 8, 3, 7, &s2);
	ste(&g, 9, *at(&g, STRTAB + 64 * 8), STE1, STE2 | 3, s2);
	for (uint64_t n = 0; n < PAGES; n++) {
		fill(&g, DATA + (n << 12), GOOD);
		map(&g, root, n << 12, 3, DELTA,
		    (DATA + DELTA + (n << 12)) | PAGE_NG);
	}
	devices_start(&g, d, &stop, device_reads);
	end = now() + 1.0;
	for (uint64_t n = 0; now() < end; n++) {
		uint64_t va = (n % PAGES) << 12;
		uint64_t slot = slot_of(&g, root, va, 3, DELTA);

		put(&g, slot, 0);
		cmd(&g, NH_VA | VMID(3) | ASID(7), va | TG_4K | TTL(3) | LEAF);
		fill(&g, DATA + va, POISON);
		if (n % 4 == 0)
			cmd(&g, CFGI_STE | SID(8 + (n & 1)), LEAF);
		fill(&g, DATA + va, GOOD);
		put(&g, slot, (DATA + DELTA + va) | PAGE_NG);
		drain_events(&g);
	}
	devices_stop_well(d, &stop);
	rig_down(&g);
}

static void removed_pages_are_not_read_fast(void **state)
{
	(void)state;
	removed_pages_are_not_read(IOTLB_FAST);
}

static void removed_pages_are_not_read_hostile(void **state)
{
	(void)state;
	removed_pages_are_not_read(IOTLB_HOSTILE);
}

/* Two sets of tables, one of which is poisoned while it is not in the CD */
static void replaced_configuration_is_not_used(void **state)
{
	uint64_t root[2], cds;
	struct device d[2];
	bool stop = false;
	struct rig g;
	double end;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	cds = page(&g);
	for (int i = 0; i < 2; i++) {
		root[i] = page(&g);
		for (uint64_t n = 0; n < PAGES; n++)
			map(&g, root[i], n << 12, 3, 0,
			    (DATA + (uint64_t)i * 0x1000) | PAGE_NG);
		fill(&g, DATA + (uint64_t)i * 0x1000, i ? POISON : GOOD);
	}
	cd(&g, cds, CD0 | CD_ASID(1), root[0]);
	ste(&g, 8, STE_S1 | cds, STE1, 0, 0);
	ste(&g, 9, STE_S1 | cds, STE1, 0, 0);
	devices_start(&g, d, &stop, device_reads);
	end = now() + 1.0;
	for (uint64_t n = 1; now() < end; n++) {
		fill(&g, DATA + (n & 1) * 0x1000, GOOD);
		cd(&g, cds, CD0 | CD_ASID(1 + (n & 1)), root[n & 1]);
		cmd_put(&g, CFGI_CD | SID(8), LEAF);
		cmd_put(&g, CFGI_CD | SID(9), LEAF);
		cmd(&g, NH_ALL, 0);
		fill(&g, DATA + (~n & 1) * 0x1000, POISON);
	}
	devices_stop_well(d, &stop);
	rig_down(&g);
}

static void *device_requests(void *arg)
{
	struct device *d = arg;
	struct model_access a = { .pasid = MODEL_NO_PASID };
	struct model_translation t;
	uint64_t value;

	for (uint64_t n = 0; !stopped(d->stop); n++) {
		struct model_access pa = { .pasid = MODEL_NO_PASID,
					   .flags = MODEL_TRANSLATED };

		a.iova = (n % PAGES) << 12;
		value = 0;
		reader_enter(); /* from the ATC's answer to the data's arrival
				 */
		if (d->g->model->ops->ats_request(d->g->port[d->port], &a, 1,
						  &t)) {
			d->faults++;
		} else {
			pa.iova = t.pa;
			d->g->model->ops->dma(d->g->port[d->port], &pa, &value,
					      8, NULL);
			d->reads++;
		}
		reader_exit();
		d->poisoned += value == POISON;
	}
	return NULL;
}

static void removed_atc_entries_are_not_used(void **state)
{
	uint64_t root;
	struct device d[2];
	bool stop = false;
	struct rig g;
	double end;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = stream_s1(&g, 8, 0, 7);
	put(&g, STRTAB + 64 * 8 + 8, STE1 | STE1_ATS);
	ste(&g, 9, *at(&g, STRTAB + 64 * 8), STE1 | STE1_ATS, 0, 0);
	for (uint64_t n = 0; n < PAGES; n++)
		fill(&g, DATA + (n << 12), GOOD);
	devices_start(&g, d, &stop, device_requests);
	end = now() + 1.0;
	for (uint64_t n = 0; now() < end; n++) {
		uint64_t va = (n % PAGES) << 12;
		uint64_t slot = slot_of(&g, root, va, 3, 0);

		put(&g, slot, (DATA + va) | PAGE_NG);
		put(&g, slot_of(&g, root, (n + 3) % PAGES << 12, 3, 0), 0);
		va = (n + 3) % PAGES << 12;
		cmd_put(&g, NH_VA | ASID(7), va | LEAF);
		cmd_put(&g, ATC_INV | SID(8), va);
		cmd(&g, ATC_INV | SID(9), va);
		fill(&g, DATA + va, POISON);
		fill(&g, DATA + va, GOOD);
		drain_events(&g);
	}
	devices_stop_well(d, &stop);
	rig_down(&g);
}

static void ports_come_and_go_under_dma(void **state)
{
	uint64_t root;
	struct device d[2];
	bool stop = false;
	struct rig g;
	double end;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = stream_s1(&g, 8, 0, 7);
	ste(&g, 9, *at(&g, STRTAB + 64 * 8), STE1, 0, 0);
	ste(&g, 10, *at(&g, STRTAB + 64 * 8), STE1, 0, 0);
	for (uint64_t n = 0; n < PAGES; n++)
		map(&g, root, n << 12, 3, 0, (DATA + (n << 12)) | PAGE_NG);
	devices_start(&g, d, &stop, device_reads);
	end = now() + 0.5;
	while (now() < end) {
		struct model_port_config config = { .stream_id = 10,
						    .ats = true };
		const struct model_access a = { .pasid = MODEL_NO_PASID };
		struct model_port *port;
		uint64_t value;

		assert_int_equal(
			g.model->ops->port_add(g.model, &config, &port), 0);
		assert_int_equal(g.model->ops->dma(port, &a, &value, 8, NULL),
				 0);
		cmd(&g, CFGI_ALL);
		g.model->ops->port_remove(port);
	}
	devices_stop(d, &stop);
	for (int n = 0; n < 2; n++)
		assert_int_equal(d[n].faults, 0);
	assert_int_equal(g.stales, 0);
	rig_down(&g);
}

/* More threads at one port than it has slots for */
static void a_crowd_at_one_port_is_counted_right(void **state)
{
	struct device d[8];
	struct model_stats stats;
	bool stop = false;
	uint64_t root, sum = 0;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	devices_may_be_slow(&g);
	root = stream_s1(&g, 8, 0, 7);
	for (uint64_t n = 0; n < PAGES; n++)
		map(&g, root, n << 12, 3, 0, (DATA + (n << 12)) | PAGE_NG);
	for (int n = 0; n < 8; n++) {
		d[n] = (struct device){ .g = &g, .stop = &stop };
		pthread_create(&d[n].thread, NULL, device_reads, &d[n]);
	}
	for (int n = 0; n < 50; n++)
		cmd(&g, NH_ALL, 0);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (int n = 0; n < 8; n++) {
		pthread_join(d[n].thread, NULL);
		assert_int_equal(d[n].faults, 0);
		sum += d[n].reads;
	}
	g.model->ops->stats(g.model, &stats);
	assert_int_equal(stats.hits + stats.misses, sum);
	rig_down(&g);
}

struct tarpit {
	uint32_t inside;
	uint32_t release;
};

static int tarpit_read(void *ctx, uint64_t offset, void *dst, size_t len)
{
	struct tarpit *pit = ctx;

	(void)offset;
	__atomic_store_n(&pit->inside, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&pit->release, __ATOMIC_ACQUIRE))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	memset(dst, 0, len);
	return 0;
}

static void *device_sticks(void *arg)
{
	struct device *d = arg;
	uint64_t value;

	d->faults = dma(d->g, 0, 0x1000, 0, &value, 8, NULL) != 0;
	return NULL;
}

static void a_stuck_device_is_failed_and_the_sync_ends(void **state)
{
	static const struct phys_io_ops io = { .read = tarpit_read };
	struct tarpit pit = { 0 };
	struct phys_range *range;
	struct device d = { 0 };
	struct rig g;
	uint64_t root, value;
	double start;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	assert_int_equal(
		phys_add_io(g.phys, 0x8000000, 0x1000, &io, &pit, &range), 0);
	root = stream_s1(&g, 8, 0, 7);
	ste(&g, 9, *at(&g, STRTAB + 64 * 8), STE1, 0, 0);
	map(&g, root, 0x1000, 3, 0, 0x8000000 | PAGE_NG);
	map(&g, root, 0x2000, 3, 0, DATA | PAGE_NG);
	assert_int_equal(dma(&g, 1, 0x2000, 0, &value, 8, NULL), 0);
	d.g = &g;
	pthread_create(&d.thread, NULL, device_sticks, &d);
	while (!__atomic_load_n(&pit.inside, __ATOMIC_ACQUIRE))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	start = now();
	cmd(&g, NH_ALL, 0);
	assert_true(now() - start > 0.5); /* it was given time */
	/* taken off; the other one is not */
	assert_int_equal(dma(&g, 0, 0x2000, 0, &value, 8, NULL), -ENODEV);
	assert_int_equal(dma(&g, 1, 0x2000, 0, &value, 8, NULL), 0);
	no_event(&g);
	__atomic_store_n(&pit.release, 1, __ATOMIC_RELEASE);
	pthread_join(d.thread, NULL);
	assert_int_equal(dma(&g, 0, 0x2000, 0, &value, 8, NULL), -ENODEV);
	g.model->ops->port_reset(g.port[0]);
	assert_int_equal(dma(&g, 0, 0x2000, 0, &value, 8, NULL), 0);
	rig_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(removed_pages_are_not_read_fast),
		cmocka_unit_test(removed_pages_are_not_read_hostile),
		cmocka_unit_test(replaced_configuration_is_not_used),
		cmocka_unit_test(removed_atc_entries_are_not_used),
		cmocka_unit_test(ports_come_and_go_under_dma),
		cmocka_unit_test(a_crowd_at_one_port_is_counted_right),
		cmocka_unit_test(a_stuck_device_is_failed_and_the_sync_ends),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
