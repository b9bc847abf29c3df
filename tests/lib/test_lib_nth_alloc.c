// SPDX-License-Identifier: MIT
/*
 * Whole scenarios with their first, second, n-th allocation failing, until one
 * run passes no fault point that fails. Each is run in two ways: abandoned at
 * the first error, everything being destroyed in whatever state it is; and
 * tried again at once, after which all of it must work as if nothing had
 * happened. What surfaces is ENOMEM, never anything else; a failure that makes
 * something slower, such as a cache that stays small, may not surface at all.
 */
#include "kit.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "guest.h"

#define X    0x7654000ULL
#define VSID 0x10u

struct run {
	enum nestfd_arch arch;
	enum nestfd_cache cache;
	bool again; /* try again what has failed */
	unsigned int surfaced;
};

#define TRY(run, call)                                                       \
	do {                                                                 \
		int try_rc = (call);                                         \
                                                                             \
		if (try_rc == -ENOMEM && (run)->again && !(run)->surfaced++) \
			try_rc = (call);                                     \
		if (try_rc)                                                  \
			return try_rc;                                       \
	} while (0)

/* What must not fail for want of memory */
#define EXPECT(condition)                                              \
	do {                                                           \
		if (!(condition)) {                                    \
			print_error("%s:%d: %s\n", __func__, __LINE__, \
				    #condition);                       \
			return -EPROTO;                                \
		}                                                      \
	} while (0)

static void run_all(void **state, const char *what,
		    int (*scenario)(struct run *run))
{
	for (int way = 0; way < 4; way++) {
		struct run run = { .arch = kit_arch(state),
				   .cache = way & 1 ? NESTFD_CACHE_HOSTILE
						    : NESTFD_CACHE_FAST,
				   .again = way & 2 };
		struct alloc_plan plan = { 0 };
		unsigned int surfaced = 0;
		int rc;

		do {
			plan.fail_at++;
			plan.passed = 0;
			run.surfaced = 0;
			alloc_arm(&plan);
			rc = scenario(&run);
			alloc_arm(NULL);
			if (rc && (run.again || rc != -ENOMEM))
				fail_msg("%s: fault point %lu, way %d: %d",
					 what, (unsigned long)plan.fail_at, way,
					 rc);
			surfaced += rc || run.surfaced;
		} while (plan.passed >= plan.fail_at);
		assert_int_equal(rc, 0);
		print_message(
			"%s, %s, %s: %lu injection points, %u surfaced\n", what,
			run.cache == NESTFD_CACHE_FAST ? "fast" : "hostile",
			run.again ? "tried again" : "abandoned",
			(unsigned long)plan.fail_at - 1, surfaced);
		assert_in_range(plan.fail_at, 2, 100000);
		assert_in_range(surfaced, 1, plan.fail_at);
	}
}

/* ---- the bare model ---- */

static int use_bare(struct run *run, struct nestfd_machine *machine, char *ram)
{
	struct nestfd_device_config config = { .size = sizeof(config),
					       .ats = true };
	struct nestfd_device *dev[40];
	uint64_t word;

	for (uint64_t i = 0; i < 40; i++)
		TRY(run, nestfd_memory_add(machine, i * 0x10000, ram + i * PAGE,
					   PAGE));
	for (uint32_t i = 0; i < 40; i++) {
		config.stream_id = i;
		TRY(run, nestfd_device_add(machine, &config, &dev[i]));
		EXPECT(!kit_write(dev[i], i * 0x10000, i));
	}
	for (uint32_t i = 0; i < 40; i++) {
		EXPECT(!kit_read(dev[39 - i], i * 0x10000, &word));
		EXPECT(word == i);
	}
	nestfd_device_remove(dev[20]);
	return 0;
}

static int bare(struct run *run)
{
	struct nestfd_machine *machine;
	char *ram = kit_pages(40);
	int rc;

	rc = kit_machine_of(run->arch, run->cache, &machine);
	if (rc && run->again && !run->surfaced++)
		rc = kit_machine_of(run->arch, run->cache, &machine);
	if (!rc) {
		rc = use_bare(run, machine, ram);
		nestfd_machine_destroy(machine);
	}
	kit_pages_free(ram, 40);
	return rc;
}

/* ---- the calls of /dev/iommu ---- */

struct host_side {
	struct run *run;
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	struct nestfd_device *dev;
	uint32_t dev_id;
	uint32_t ioas;
	char *ram;
	int memfd;
};

static int map_file(struct host_side *h, uint64_t iova)
{
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = h->ioas,
		.fd = h->memfd,
		.length = 4 * PAGE,
		.iova = iova,
	};

	return nestfd_ioctl(h->ctx, IOMMU_IOAS_MAP_FILE, &arg);
}

static int copy(struct host_side *h, uint32_t to, uint64_t from,
		uint64_t length)
{
	struct iommu_ioas_copy arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.dst_ioas_id = to,
		.src_ioas_id = h->ioas,
		.length = length,
		.dst_iova = 0x100000,
		.src_iova = from,
	};

	return nestfd_ioctl(h->ctx, IOMMU_IOAS_COPY, &arg);
}

static int allow(struct host_side *h)
{
	struct iommu_iova_range ranges[3] = { { 0, 0xfffffff },
					      { 0x20000000, 0x2fffffff },
					      { 0x40000000, 0x4fffffff } };
	struct iommu_ioas_allow_iovas arg = {
		.size = sizeof(arg),
		.ioas_id = h->ioas,
		.num_iovas = 3,
		.allowed_iovas = (uintptr_t)ranges,
	};

	return nestfd_ioctl(h->ctx, IOMMU_IOAS_ALLOW_IOVAS, &arg);
}

static int fault_queue(struct host_side *h)
{
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };

	return nestfd_ioctl(h->ctx, IOMMU_FAULT_QUEUE_ALLOC, &arg);
}

/* Address spaces without and with a device attached to them */
static int use_ioas(struct host_side *h)
{
	struct run *run = h->run;
	uint32_t other, hwpt;
	uint64_t word;

	TRY(run, allow(h));
	for (uint64_t i = 0; i < 8; i++)
		TRY(run, kit_map(h->ctx, h->ioas, i * 0x2000000, h->ram, PAGE));
	TRY(run, kit_map(h->ctx, h->ioas, 0x1000, h->ram + PAGE, 7 * PAGE));
	TRY(run, map_file(h, 0x300000));
	TRY(run, kit_ioas(h->ctx, &other));
	TRY(run, copy(h, other, 0, 8 * PAGE));
	TRY(run, kit_attach(h->dev, h->ioas));
	EXPECT(!kit_write(h->dev, 0x2000000, 0x77));
	EXPECT(!kit_read(h->dev, 0, &word) && word == 0x77);
	TRY(run, kit_map(h->ctx, h->ioas, 0x8000000000, h->ram, PAGE));
	TRY(run, kit_hwpt(h->ctx, h->dev_id, other, 0, &hwpt));
	TRY(run, kit_attach(h->dev, hwpt));
	EXPECT(!kit_read(h->dev, 0x100000, &word) && word == 0x77);
	EXPECT(kit_write(h->dev, 0x100000, 1) == -EIO); /* copied as readable */
	EXPECT(!kit_unmap(h->ctx, other, 0x100000, 8 * PAGE));
	EXPECT(kit_read(h->dev, 0x100000, &word) == -EIO);
	nestfd_detach(h->dev, NESTFD_NO_PASID);
	return 0;
}

static int use_pasids(struct host_side *h)
{
	struct nestfd_device_config config = { .size = sizeof(config),
					       .stream_id = 0x777,
					       .pasid_bits = 16 };
	struct run *run = h->run;
	struct nestfd_device *dev;
	uint32_t id, hwpt;

	TRY(run, nestfd_device_add(h->machine, &config, &dev));
	TRY(run, nestfd_bind(h->ctx, dev, &id));
	TRY(run, kit_hwpt(h->ctx, id, h->ioas, 8, &hwpt)); /* PASID */
	for (uint32_t pasid = 1; pasid < 4000; pasid += 1000) {
		uint32_t pt = hwpt;

		TRY(run, nestfd_attach(dev, pasid, &pt));
	}
	nestfd_detach(dev, 1001);
	return 0;
}

static int use_nesting_vtd(struct host_side *h)
{
	struct run *run = h->run;
	uint32_t parent, nested;

	TRY(run, fault_queue(h));
	TRY(run, kit_hwpt(h->ctx, h->dev_id, h->ioas, 1, &parent));
	TRY(run, kit_nested_vtd(h->ctx, h->dev_id, parent, 0x1000, &nested));
	TRY(run, kit_attach(h->dev, nested));
	TRY(run, kit_invalidate_vtd(h->ctx, nested, 0x2000, 3));
	EXPECT(kit_destroy(h->ctx, nested) == -EBUSY);
	TRY(run, kit_attach(h->dev, h->ioas));
	EXPECT(!kit_destroy(h->ctx, nested));
	EXPECT(!kit_destroy(h->ctx, parent));
	return 0;
}

static int use_nesting(struct host_side *h)
{
	struct run *run = h->run;
	uint32_t parent, viommu, vdevice, queue, nested, abort_id;
	int fd;

	TRY(run, fault_queue(h));
	TRY(run, kit_hwpt(h->ctx, h->dev_id, h->ioas, 1, &parent));
	TRY(run, kit_viommu(h->ctx, h->dev_id, parent, &viommu));
	TRY(run, kit_veventq(h->ctx, viommu, &queue, &fd));
	TRY(run, kit_nested(h->ctx, h->dev_id, viommu, 0x1, 0, &abort_id));
	TRY(run, kit_attach(h->dev, abort_id));
	TRY(run, kit_vdevice(h->ctx, viommu, h->dev_id, VSID, &vdevice));
	TRY(run, kit_nested(h->ctx, h->dev_id, viommu, 0x100b, 0xd6, &nested));
	TRY(run, kit_attach(h->dev, nested));
	EXPECT(kit_destroy(h->ctx, nested) == -EBUSY);
	TRY(run, kit_attach(h->dev, h->ioas));
	EXPECT(!kit_destroy(h->ctx, nested));
	EXPECT(!kit_destroy(h->ctx, abort_id));
	EXPECT(!kit_destroy(h->ctx, vdevice));
	EXPECT(!nestfd_close_fd(h->ctx, fd));
	EXPECT(!kit_destroy(h->ctx, queue));
	EXPECT(!kit_destroy(h->ctx, viommu));
	EXPECT(!kit_destroy(h->ctx, parent));
	return 0;
}

static int use_host(struct host_side *h)
{
	struct run *run = h->run;
	uint64_t iova;
	int rc;

	TRY(run, nestfd_open(h->machine, &h->ctx));
	TRY(run, kit_device(h->machine, 0x1234, &h->dev));
	TRY(run, nestfd_bind(h->ctx, h->dev, &h->dev_id));
	TRY(run, kit_ioas(h->ctx, &h->ioas));
	rc = use_ioas(h);
	if (!rc)
		rc = use_pasids(h);
	if (!rc)
		rc = run->arch == NESTFD_ARCH_VTD ? use_nesting_vtd(h)
						  : use_nesting(h);
	if (rc)
		return rc;
	TRY(run, kit_attach(h->dev, h->ioas));
	if (run->arch == NESTFD_ARCH_VTD) /* it has no doorbell */
		EXPECT(nestfd_msi_enable(h->dev, &iova) == -EOPNOTSUPP);
	else
		TRY(run, nestfd_msi_enable(h->dev, &iova));
	return 0;
}

static int host_calls(struct run *run)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = run->arch,
		.cache = run->cache,
	};
	struct host_side h = { .run = run };
	int rc;

	/* outside what allow() allows, as VT-d's is */
	if (run->arch == NESTFD_ARCH_SMMUV3) {
		config.msi_first = 0x10000000;
		config.msi_length = 0x100000;
	}
	h.memfd = memfd_create("nth", MFD_CLOEXEC);
	if (h.memfd < 0 || ftruncate(h.memfd, 4 * PAGE))
		return -EPROTO;
	h.ram = kit_pages(8);
	rc = nestfd_machine_create(&config, &h.machine);
	if (rc && run->again && !run->surfaced++)
		rc = nestfd_machine_create(&config, &h.machine);
	if (!rc) {
		rc = use_host(&h);
		nestfd_machine_destroy(h.machine);
	}
	kit_pages_free(h.ram, 8);
	close(h.memfd);
	return rc;
}

/* ---- guests ---- */

/* A command that failed for want of memory is repeated, as guests do. */
static void go_on(struct guest *g)
{
	for (int i = 0; i < 3 && guest_acknowledge(g); i++)
		;
}

/*
 * Of a device that the host did not attach an SMMUv3's guest hears; VT-d's does
 * not, so that it names its device's tables once more.
 */
static bool settle(struct guest *g)
{
	go_on(g);
	if (g->host->arch == NESTFD_ARCH_VTD) {
		guest_command(g, 0x11, 0);
		guest_wait(g);
		guest_ring(g);
		go_on(g);
	}
	return !guest_acknowledge(g) && guest_is_done(g);
}

static bool reads(struct guest *g, uint64_t iova, uint64_t want)
{
	uint64_t word = ~want;

	return !kit_read(g->dev, iova, &word) && word == want;
}

static int use_stream(struct guest *g)
{
	uint64_t word;

	guest_set_stream(g, GUEST_ABORT);
	EXPECT(settle(g));
	EXPECT(kit_read(g->dev, X, &word) == -EIO);
	guest_set_stream(g, GUEST_BYPASS);
	EXPECT(settle(g));
	EXPECT(reads(g, guest_page(g, 0), 0));
	guest_set_stream(g, GUEST_NESTED);
	EXPECT(settle(g));
	EXPECT(reads(g, X, 1));
	return 0;
}

static int use_guest(struct guest *g)
{
	uint64_t word;

	EXPECT(settle(g));
	for (uint64_t page = 0; page < 2; page++)
		guest_put(g, guest_page(g, (unsigned int)page), page);
	for (uint64_t i = 0; i < 60; i++) {
		guest_map(g, X + i * PAGE, guest_page(g, 0));
		EXPECT(reads(g, X + i * PAGE, 0));
	}
	for (uint64_t i = 0; i < 60; i++) {
		guest_map(g, X + i * PAGE, guest_page(g, 1));
		guest_invalidate(g, X + i * PAGE);
		EXPECT(settle(g));
		EXPECT(reads(g, X + i * PAGE, 1));
	}
	/* an event, which may be lost but not half told */
	EXPECT(kit_read(g->dev, X + 100 * PAGE, &word) == -EIO);
	EXPECT(nestfd_viommu_pump(g->viommu) >= 0);
	return use_stream(g);
}

static int use_guests(struct run *run, struct host *host)
{
	struct guest a, b;
	uint64_t word;
	int rc;

	TRY(run, guest_start(&a, host, 0, 1));
	rc = guest_start(&b, host, 1, 1);
	if (rc == -ENOMEM && run->again && !run->surfaced++)
		rc = guest_start(&b, host, 1, 1);
	if (rc)
		goto stop_a;
	rc = use_guest(&a);
	if (!rc)
		rc = use_guest(&b);
	if (!rc) {
		nestfd_viommu_reset(a.viommu);
		rc = kit_unmap(host->ctx, host->ioas, HOST_RAM_BASE,
			       host->ram_size);
		if (!rc && kit_read(b.dev, X, &word) != -EIO)
			rc = -EPROTO;
	}
	guest_stop(&b);
stop_a:
	guest_stop(&a);
	return rc;
}

static void count_stale(void *ctx, const struct nestfd_stale *stale)
{
	(void)stale;
	((struct host *)ctx)->hole_end++; /* no use for holes here */
}

static int with_guests(struct run *run, bool ats)
{
	struct host host = { .arch = run->arch,
			     .cache = run->cache,
			     .guests = 2,
			     .ats = ats,
			     .stale = count_stale,
			     .cmdq_lg2 = 7 };
	int rc;

	TRY(run, host_start(&host));
	rc = use_guests(run, &host);
	host_stop(&host);
	if (!rc && host.hole_end)
		rc = -ESTALE;
	return rc;
}

static int guests(struct run *run)
{
	return with_guests(run, false);
}

static int guests_with_ats(struct run *run)
{
	return with_guests(run, true);
}

/* ---- */

static void a_bare_machine_survives_every_failed_allocation(void **state)
{
	run_all(state, "bare machine", bare);
}

static void the_ioctls_survive_every_failed_allocation(void **state)
{
	run_all(state, "host's calls", host_calls);
}

static void guests_survive_every_failed_allocation(void **state)
{
	run_all(state, "two guests", guests);
}

static void guests_with_ats_survive_every_failed_allocation(void **state)
{
	run_all(state, "two guests with ATS", guests_with_ats);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		EACH_ARCH(a_bare_machine_survives_every_failed_allocation),
		EACH_ARCH(the_ioctls_survive_every_failed_allocation),
		EACH_ARCH(guests_survive_every_failed_allocation),
		EACH_ARCH(guests_with_ats_survive_every_failed_allocation),
	};

	return RUN(tests, argc, argv);
}
