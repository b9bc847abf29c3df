// SPDX-License-Identifier: MIT
/* See bed.h. */
#include "bed.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "host.h"
#include "nestfd/ext.h"

#define RAM	 0x40000000ULL
#define RAM_SIZE 0x400000ULL

/* Layout of the RAM */
#define AT_CMDQ	  0x000000ULL
#define AT_STRTAB 0x100000ULL
#define AT_EVENTQ 0x110000ULL
#define AT_DATA	  0x200000ULL /* page n of device d, then its successor */
#define AT_TABLES 0x300000ULL

static uint64_t *word(struct bed *bed, uint64_t gpa)
{
	return (uint64_t *)(bed->ram + (gpa - RAM));
}

/* ---- tables ---- */

static uint64_t page(struct bed *bed)
{
	bed->next += 4096;
	return bed->next - 4096;
}

/* Where page @n of @d lies, before and after it has moved; holds its number */
static uint64_t data_at(unsigned int d, unsigned int n, bool moved)
{
	return RAM + AT_DATA + ((d * PAGES + n) * 2ULL + moved) * 4096;
}

void bed_set_leaf(struct bed *bed, unsigned int d, unsigned int n, bool moved)
{
	/* nG, AF, inner shareable, EL0 read and write, page */
	__atomic_store_n(word(bed, bed->space[d].leaf[n]),
			 data_at(d, n, moved) | 0xf43, __ATOMIC_RELEASE);
}

/* 39 bits, three levels of 4 KiB tables; the CD's address */
static uint64_t make_space(struct bed *bed, unsigned int d)
{
	struct space *space = &bed->space[d];
	uint64_t cd = page(bed);
	uint64_t l2 = page(bed);
	uint64_t l3 = page(bed);
	uint64_t *words = word(bed, cd);

	space->l1 = page(bed);
	/* T0SZ 25, WB, EPD1, V, IPS 48 bits, AA64, R, A; ASID */
	words[0] = (d + 1ULL) << 48 | 3ULL << 45 | 1ULL << 41 | 5ULL << 32 |
		   1ULL << 31 | 1ULL << 30 | 0x3500 | 25;
	words[1] = space->l1;
	words[3] = 0xff;
	*word(bed, space->l1) = l2 | 3;
	*word(bed, l2 + (IOVA(d, 0) >> 21) * 8) = l3 | 3;
	for (unsigned int n = 0; n < PAGES; n++) {
		space->leaf[n] = l3 + (IOVA(d, n) >> 12 & 0x1ff) * 8;
		*word(bed, data_at(d, n, false)) = n;
		*word(bed, data_at(d, n, true)) = 0x100 + n;
		bed_set_leaf(bed, d, n, false);
	}
	return cd;
}

/* ---- the machine ---- */

static void open_host(struct bed *bed)
{
	struct nestfd_ext_enable enable = {
		.size = sizeof(enable),
		.features = NESTFD_EXT_ERRORS | NESTFD_EXT_RING,
	};

	host_open(bed);
	for (int who = 0; who < (bed->blind ? 1 : 2); who++)
		assert_int_equal(
			host_call(bed, who, NESTFD_EXT_ENABLE, &enable), 0);
}

static void make_parent(struct bed *bed, enum who who)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.user_va = (uintptr_t)bed->ram,
		.length = RAM_SIZE,
		.iova = RAM,
	};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = bed->dev_id[who ? NEIGHBOUR : 0],
	};

	assert_int_equal(host_call(bed, who, IOMMU_IOAS_ALLOC, &ioas), 0);
	map.ioas_id = hwpt.pt_id = ioas.out_ioas_id;
	assert_int_equal(host_call(bed, who, IOMMU_IOAS_MAP, &map), 0);
	assert_int_equal(host_call(bed, who, IOMMU_HWPT_ALLOC, &hwpt), 0);
	bed->parent[who] = hwpt.out_hwpt_id;
}

static void make_viommu(struct bed *bed, enum who who)
{
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = bed->dev_id[who ? NEIGHBOUR : 0],
		.hwpt_id = bed->parent[who],
	};

	assert_int_equal(host_call(bed, who, IOMMU_VIOMMU_ALLOC, &viommu), 0);
	bed->viommu[who] = viommu.out_viommu_id;
}

/* What libviommu would do for a valid STE: nested, EATS 1 */
static void attach(struct bed *bed, unsigned int d, uint64_t cd)
{
	enum who who = d == NEIGHBOUR ? NEIGHBOUR_CTX : GUEST_CTX;
	struct iommu_vdevice_alloc vdevice = {
		.size = sizeof(vdevice),
		.viommu_id = bed->viommu[who],
		.dev_id = bed->dev_id[d],
		.virt_id = VSID_0 + d,
	};
	struct iommu_hwpt_arm_smmuv3 ste = { .ste = { cd | 0xb, 0x100000d6 } };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.dev_id = bed->dev_id[d],
		.pt_id = bed->viommu[who],
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(ste),
		.data_uptr = (uintptr_t)&ste,
	};

	assert_int_equal(host_call(bed, who, IOMMU_VDEVICE_ALLOC, &vdevice), 0);
	assert_int_equal(host_call(bed, who, IOMMU_HWPT_ALLOC, &hwpt), 0);
	assert_int_equal(host_attach(bed, d, hwpt.out_hwpt_id), 0);
}

/* ---- a virtual SMMU ---- */

static bool in_ram(const struct bed *bed, uint64_t gpa, size_t len)
{
	return gpa >= RAM && len <= RAM_SIZE && gpa - RAM <= RAM_SIZE - len &&
	       (gpa >= bed->hole_end || gpa + len <= bed->hole);
}

static int ram_read(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	if (!in_ram(ctx, gpa, len))
		return -EFAULT;
	memcpy(buf, word(ctx, gpa), len);
	return 0;
}

static int ram_write(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	if (!in_ram(ctx, gpa, len))
		return -EFAULT;
	memcpy(word(ctx, gpa), buf, len);
	return 0;
}

static void *ram_map(void *ctx, uint64_t gpa, size_t len)
{
	return in_ram(ctx, gpa, len) ? word(ctx, gpa) : NULL;
}

static int attach_to(void *ctx, uint32_t pt_id)
{
	struct slot *slot = ctx;

	return host_attach(slot->bed, slot->d, pt_id);
}

uint32_t bed_reg(struct bed *bed, uint32_t offset)
{
	return (uint32_t)nestfd_viommu_read(bed->smmu, offset, 4);
}

void bed_set_reg(struct bed *bed, uint32_t offset, uint32_t value)
{
	nestfd_viommu_write(bed->smmu, offset, 4, value);
}

static uint32_t slot_of(uint32_t at, uint32_t i)
{
	return (at + i) & ((1u << CMDQ_LG2) - 1);
}

void bed_hole(struct bed *bed, uint32_t at, uint32_t i)
{
	bed->hole =
		RAM + AT_CMDQ + (slot_of(at, i) & ~(PAGE_COMMANDS - 1)) * 16;
	bed->hole_end = bed->hole + 4096;
}

uint64_t *bed_command(struct bed *bed, uint32_t at, uint32_t i)
{
	return word(bed, RAM + AT_CMDQ + slot_of(at, i) * 16ULL);
}

/* ---- who takes its interrupts ---- */

static void *cpu_run(void *arg)
{
	struct bed *bed = arg;
	struct cpu *cpu = &bed->cpu;

	for (;;) {
		while (sem_wait(&cpu->irq))
			;
		if (cpu->stop)
			return NULL;
		cpu->seen.times++;
		cpu->seen.gerror = bed_reg(bed, 0x60);
		cpu->seen.gerrorn = bed_reg(bed, 0x64);
		cpu->seen.cons = bed_reg(bed, 0x9c);
		sem_post(&cpu->done);
	}
}

/* Not from here into the virtual SMMU: another thread may. */
static void take_irq(void *ctx, unsigned int line)
{
	struct bed *bed = ctx;

	if (line != 3)
		return;
	sem_post(&bed->cpu.irq);
	while (sem_wait(&bed->cpu.done))
		;
}

struct seen bed_seen(struct bed *bed)
{
	struct seen seen = bed->cpu.seen;

	bed->cpu.seen = (struct seen){ 0 };
	return seen;
}

static void cpu_start(struct bed *bed)
{
	sem_init(&bed->cpu.irq, 0, 0);
	sem_init(&bed->cpu.done, 0, 0);
	assert_int_equal(pthread_create(&bed->cpu.thread, NULL, cpu_run, bed),
			 0);
}

static void cpu_end(struct bed *bed)
{
	bed->cpu.stop = true;
	sem_post(&bed->cpu.irq);
	pthread_join(bed->cpu.thread, NULL);
	sem_destroy(&bed->cpu.irq);
	sem_destroy(&bed->cpu.done);
}

static void boot(struct bed *bed, const uint64_t cd[DEVICES])
{
	for (unsigned int d = 0; d < DEVICES; d++) {
		uint64_t *ste =
			word(bed, RAM + AT_STRTAB + (VSID_0 + d) * 64ULL);

		ste[0] = cd[d] | 0xb;
		ste[1] = 0x100000d6;
	}
	nestfd_viommu_write(bed->smmu, 0x80, 8, RAM + AT_STRTAB);
	bed_set_reg(bed, 0x88, 6);
	nestfd_viommu_write(bed->smmu, 0x90, 8, (RAM + AT_CMDQ) | CMDQ_LG2);
	nestfd_viommu_write(bed->smmu, 0xa0, 8, (RAM + AT_EVENTQ) | 8);
	bed_set_reg(bed, 0x50, 1); /* GERROR's interrupt */
	bed_set_reg(bed, 0x20, 0xd);
	bed_command(bed, 0, 0)[0] = 0x04; /* CFGI_ALL */
	bed_command(bed, 0, 0)[1] = 0x1f;
	bed_command(bed, 0, 1)[0] = 0x46;
	bed->prod = 2;
	bed_set_reg(bed, 0x98, bed->prod);
	assert_int_equal(bed_reg(bed, 0x9c), 2);
}

static void make_smmu(struct bed *bed, const uint64_t cd[DEVICES])
{
	struct nestfd_viommu_config config = {
		.size = sizeof(config),
		.backend = host_backend(bed),
		.guest = { bed, ram_read, ram_write, take_irq, ram_map },
		.dev_id = bed->dev_id[0],
		.parent_hwpt = bed->parent[0],
		.queue = bed->way == WAY_GUEST_RING ? NESTFD_QUEUE_RING
						    : NESTFD_QUEUE_ARRAY,
	};

	assert_int_equal(nestfd_viommu_smmuv3_create(&config, &bed->smmu), 0);
	cpu_start(bed);
	for (unsigned int d = 0; d < DEVICES; d++) {
		struct nestfd_viommu_device device = {
			.size = sizeof(device),
			.vsid = VSID_0 + d,
			.dev_id = bed->dev_id[d],
			.attach = attach_to,
			.ctx = &bed->slot[d],
		};

		bed->slot[d] = (struct slot){ bed, d };
		assert_int_equal(nestfd_viommu_device_add(bed->smmu, &device),
				 0);
	}
	boot(bed, cd);
}

/* ---- life ---- */

static void fill_caches(struct bed *bed)
{
	for (unsigned int d = 0; d <= NEIGHBOUR; d++) {
		assert_int_equal(host_moved(bed, d, true), 0);
		assert_int_equal(host_moved(bed, d, false), 0);
		for (unsigned int n = 0; n < PAGES; n++)
			bed_set_leaf(bed, d, n, true);
	}
}

static void make_neighbour(struct bed *bed, uint64_t cd)
{
	make_parent(bed, NEIGHBOUR_CTX);
	make_viommu(bed, NEIGHBOUR_CTX);
	attach(bed, NEIGHBOUR, cd);
}

void bed_make_paced(struct bed *bed, enum way way, uint32_t window_ms)
{
	uint64_t cd[DEVICES + 1];

	memset(bed, 0, sizeof(*bed));
	bed->way = way;
	bed->window_ms = window_ms;
	bed->next = RAM + AT_TABLES;
	bed->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(bed->ram != MAP_FAILED);
	open_host(bed);
	make_parent(bed, GUEST_CTX);
	for (unsigned int d = 0; d <= NEIGHBOUR; d++)
		cd[d] = make_space(bed, d);
	if (!bed->blind)
		make_neighbour(bed, cd[NEIGHBOUR]);
	if (way == WAY_GUEST_ARRAY || way == WAY_GUEST_RING) {
		make_smmu(bed, cd);
	} else {
		make_viommu(bed, GUEST_CTX);
		for (unsigned int d = 0; d < DEVICES; d++)
			attach(bed, d, cd[d]);
	}
	if (!bed->blind)
		fill_caches(bed);
}

void bed_make(struct bed *bed, enum way way)
{
	bed_make_paced(bed, way, NESTFD_NO_WINDOW);
}

void bed_end(struct bed *bed)
{
	if (bed->smmu)
		cpu_end(bed);
	nestfd_viommu_destroy(bed->smmu);
	host_close(bed);
	munmap(bed->ram, RAM_SIZE);
}

void bed_break(struct bed *bed, const struct fault *fault)
{
	host_break(bed, fault);
}

void bed_mend(struct bed *bed)
{
	bed->hole = bed->hole_end = 0;
	host_mend(bed);
}

/* ---- ioctls ---- */

void bed_array(struct bed *bed, enum who who, const uint64_t (*cmds)[2],
	       uint32_t n, struct answer *answer)
{
	struct nestfd_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = bed->viommu[who],
		.data_uptr = (uintptr_t)cmds,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = 16,
		.entry_num = n,
	};

	answer->rc = host_call(bed, who, IOMMU_HWPT_INVALIDATE, &arg);
	answer->done = arg.entry_num;
	answer->code = arg.out_error & ~NESTFD_ERR_VALID;
	answer->info = arg.out_error_info;
	assert_int_equal(!(arg.out_error & NESTFD_ERR_VALID), !answer->code);
}

/* Indices count on from @at, the wrap flag toggling at each end. */
static void ring(struct bed *bed, const uint64_t (*cmds)[2], uint32_t n,
		 uint32_t at, struct answer *answer)
{
	uint32_t mask = (2u << CMDQ_LG2) - 1;
	uint32_t cons = at & mask;
	struct nestfd_hwpt_invalidate_ring arg = {
		.size = sizeof(arg),
		.hwpt_id = bed->viommu[GUEST_CTX],
		.q_uptr = (uintptr_t)word(bed, RAM + AT_CMDQ),
		.q_cons_uptr = (uintptr_t)&cons,
		.q_prod = (at + n) & mask,
		.q_index_bits = CMDQ_LG2,
		.q_entry_num = 1u << CMDQ_LG2,
		.q_entry_len = 16,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
	};

	for (uint32_t i = 0; i < n; i++)
		memcpy(bed_command(bed, at, i), cmds[i], 16);
	answer->rc =
		host_call(bed, GUEST_CTX, NESTFD_HWPT_INVALIDATE_RING, &arg);
	answer->done = (cons - at) & mask;
	answer->code = arg.out_error & ~NESTFD_ERR_VALID;
	answer->info = arg.out_error_info;
	if (answer->code == NESTFD_ERR_SMMUV3_ATC_INV_SYNC)
		answer->info = (answer->info - at) & mask;
	assert_int_equal(!(arg.out_error & NESTFD_ERR_VALID), !answer->code);
}

void bed_ioctl(struct bed *bed, const uint64_t (*cmds)[2], uint32_t n,
	       uint32_t at, struct answer *answer)
{
	if (bed->way == WAY_RING)
		ring(bed, cmds, n, at, answer);
	else
		bed_array(bed, GUEST_CTX, cmds, n, answer);
}

/* ---- what is left ---- */

static const char *differ(const char *what, unsigned int d, unsigned int n,
			  bool held)
{
	static __thread char text[80];

	snprintf(text, sizeof(text), "%s of device %u, page %u: %s", what, d, n,
		 held ? "still there" : "gone");
	return text;
}

/* So that only ATCs can know the old pages: TLBI_NH_ALL */
static void forget_tlb(struct bed *bed)
{
	uint64_t cmd[1][2] = { { 0x10, 0 } };
	struct answer answer;

	if (bed->smmu) {
		memcpy(bed_command(bed, bed->prod, 0), cmd[0], 16);
		bed->prod = (bed->prod + 1) & ((2u << CMDQ_LG2) - 1);
		bed_set_reg(bed, 0x98, bed->prod);
		assert_int_equal(bed_reg(bed, 0x9c), bed->prod);
	} else {
		bed_array(bed, GUEST_CTX, cmd, 1, &answer);
		assert_int_equal(answer.rc, 0);
	}
}

/* Bits that are set: pages of which nothing is left */
static const char *compare(const char *what, unsigned int d,
			   const enum cached *want, int gone)
{
	static __thread char text[80];

	if (gone < 0) {
		snprintf(text, sizeof(text), "%s of device %u: %s", what, d,
			 strerror(-gone));
		return text;
	}
	for (unsigned int n = 0; n < PAGES; n++) {
		bool held = !(gone >> n & 1);

		if (want[n] != EITHER && (want[n] == HELD) != held)
			return differ(what, d, n, held);
	}
	return NULL;
}

static const char *compare_tlb(struct bed *bed, unsigned int d,
			       const enum cached *want)
{
	int held = host_held(bed, d);

	return compare("TLB", d, want, held < 0 ? held : ~held & 0xffff);
}

/* A device without an answer: it is gone, or in quarantine, or as before. */
static const char *compare_silent(struct bed *bed, const struct caches *caches)
{
	int moved;

	if (caches->gone && host_moved(bed, 0, true) != -EIO)
		return "DMA of the device that is gone";
	if (!caches->gone && !host_quarantines(bed)) {
		const char *wrong = compare("ATC", 0, caches->atc[0],
					    host_moved(bed, 0, true));

		if (wrong)
			return wrong;
	}
	host_reset(bed, 0);
	moved = host_moved(bed, 0, true);
	return moved == 0xffff ? NULL : "the ATC after a reset";
}

static const char *compare_atc(struct bed *bed, const struct caches *caches,
			       const struct fault *fault, unsigned int d)
{
	if (d == 0 && (fault->kind == FAULT_ATC || fault->kind == FAULT_GONE))
		return compare_silent(bed, caches);
	return compare("ATC", d, caches->atc[d], host_moved(bed, d, true));
}

static const char *compare_neighbour(struct bed *bed, bool dead)
{
	uint64_t cmds[2][2] = { { 0x10, 0 }, { 0x1200000040, 52 } };
	const enum cached held[PAGES] = { HELD };
	struct answer answer;
	const char *wrong = compare_tlb(bed, NEIGHBOUR, held);

	if (wrong)
		return wrong;
	bed_array(bed, NEIGHBOUR_CTX, cmds, 2, &answer);
	if (answer.rc != (dead ? -EIO : 0) || answer.done != (dead ? 0 : 2) ||
	    answer.code != (dead ? 2 : 0))
		return "the neighbour's invalidations";
	return NULL;
}

const char *bed_compare(struct bed *bed, const struct caches *caches,
			const struct fault *fault, bool dead)
{
	const char *wrong = NULL;

	if (bed->blind)
		return NULL;
	for (unsigned int d = 0; !wrong && d < DEVICES; d++)
		wrong = compare_tlb(bed, d, caches->tlb[d]);
	if (!wrong && !dead)
		forget_tlb(bed);
	/* dead: nothing gets through */
	for (unsigned int d = 0; !wrong && !dead && d < DEVICES; d++)
		wrong = compare_atc(bed, caches, fault, d);
	return wrong ? wrong : compare_neighbour(bed, dead);
}
