// SPDX-License-Identifier: MIT
/*
 * A VMM in five minutes: a guest with a virtual SMMUv3 and one device, all of
 * it in this process. With a real /dev/iommu only three things change: the
 * backend is nestfd_kernel_ioctl(), the device is bound through VFIO, and
 * attach is nestfd_vfio_attach().
 *
 * The "guest" at the end maps a page for its device, lets it write, moves the
 * page, invalidates, and lets it write again.
 */
#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <nestfd/nestfd.h>
#include <nestfd/viommu.h>

#define RAM_BASE 0x40000000ULL
#define RAM_SIZE 0x1000000ULL
#define VSID	 0x10  /* what the guest calls the device: bus 0, slot 2 */
#define HOST_SID 0x300 /* what the host calls it */

struct vmm {
	char *ram;
	struct nestfd_machine *machine; /* stands for the hardware */
	struct nestfd *iommufd;		/* stands for the fd of /dev/iommu */
	struct nestfd_device *dev;	/* stands for the VFIO device */
	uint32_t dev_id;
	uint32_t ioas;
	uint32_t stage2;
	struct nestfd_viommu *smmu;
};

static void check(int rc, const char *what)
{
	if (rc) {
		fprintf(stderr, "%s: %s\n", what, strerror(-rc));
		exit(1);
	}
}

/* Guest memory, lent to the virtual IOMMU. */
static char *guest_ptr(struct vmm *vmm, uint64_t gpa, size_t len)
{
	if (gpa < RAM_BASE || gpa - RAM_BASE > RAM_SIZE - len)
		return NULL;
	return vmm->ram + (gpa - RAM_BASE);
}

static int guest_read(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	char *p = guest_ptr(ctx, gpa, len);

	if (!p)
		return -14; /* EFAULT: a bus error in the guest */
	memcpy(buf, p, len);
	return 0;
}

static int guest_write(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	char *p = guest_ptr(ctx, gpa, len);

	if (!p)
		return -14;
	memcpy(p, buf, len);
	return 0;
}

static int attach(void *ctx, uint32_t pt_id)
{
	return nestfd_attach(ctx, NESTFD_NO_PASID, &pt_id);
}

/* Step 1: hardware. On a server it is there; here it is made. */
static void make_hardware(struct vmm *vmm)
{
	struct nestfd_machine_config machine = {
		.size = sizeof(machine),
		.arch = NESTFD_ARCH_SMMUV3,
		.cache = NESTFD_CACHE_HOSTILE,
	};
	struct nestfd_device_config device = {
		.size = sizeof(device),
		.stream_id = HOST_SID,
	};

	check(nestfd_machine_create(&machine, &vmm->machine), "machine");
	check(nestfd_device_add(vmm->machine, &device, &vmm->dev), "device");
	check(nestfd_open(vmm->machine, &vmm->iommufd), "open /dev/iommu");
	check(nestfd_bind(vmm->iommufd, vmm->dev, &vmm->dev_id), "bind");
}

/* Step 2: guest memory in an IOAS, stage 2 above it. Plain iommufd. */
static void make_stage2(struct vmm *vmm)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = { .size = sizeof(map) };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt) };

	check(nestfd_ioctl(vmm->iommufd, IOMMU_IOAS_ALLOC, &ioas), "IOAS");
	vmm->ioas = ioas.out_ioas_id;

	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
		    IOMMU_IOAS_MAP_WRITEABLE;
	map.ioas_id = vmm->ioas;
	map.user_va = (uintptr_t)vmm->ram;
	map.length = RAM_SIZE;
	map.iova = RAM_BASE;
	check(nestfd_ioctl(vmm->iommufd, IOMMU_IOAS_MAP, &map), "map RAM");

	hwpt.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	hwpt.dev_id = vmm->dev_id;
	hwpt.pt_id = vmm->ioas;
	check(nestfd_ioctl(vmm->iommufd, IOMMU_HWPT_ALLOC, &hwpt), "stage 2");
	vmm->stage2 = hwpt.out_hwpt_id;
}

/* Step 3: the virtual SMMU. From here on the guest drives. */
static void make_viommu(struct vmm *vmm)
{
	struct nestfd_viommu_config config = {
		.size = sizeof(config),
		.backend = {
			.ctx = vmm->iommufd,
			.ioctl = nestfd_ioctl,
			.read = nestfd_read,
			.close = nestfd_close_fd,
			.exact = true,
		},
		.guest = {
			.ctx = vmm,
			.read = guest_read,
			.write = guest_write,
		},
		.dev_id = vmm->dev_id,
		.parent_hwpt = vmm->stage2,
	};
	struct nestfd_viommu_device device = {
		.size = sizeof(device),
		.vsid = VSID,
		.dev_id = vmm->dev_id,
		.attach = attach,
		.ctx = vmm->dev,
	};

	check(nestfd_viommu_smmuv3_create(&config, &vmm->smmu), "vSMMU");
	check(nestfd_viommu_device_add(vmm->smmu, &device), "add device");
}

/*
 * What follows is the guest: its tables (addresses are guest physical), its
 * register writes. Numbers are those of Arm IHI 0070.
 */
#define STRTAB (RAM_BASE + 0x10000)
#define CMDQ   (RAM_BASE + 0x20000)
#define CD     (RAM_BASE + 0x30000)
#define L1     (RAM_BASE + 0x31000)
#define L2     (RAM_BASE + 0x32000)
#define L3     (RAM_BASE + 0x33000)
#define PAGE_A (RAM_BASE + 0x100000)
#define PAGE_B (RAM_BASE + 0x200000)
#define IOVA   0x5000ULL

static void put(struct vmm *vmm, uint64_t gpa, uint64_t word)
{
	memcpy(guest_ptr(vmm, gpa, 8), &word, 8);
}

static void mmio(struct vmm *vmm, uint32_t offset, unsigned int bytes,
		 uint64_t value)
{
	nestfd_viommu_write(vmm->smmu, offset, bytes, value);
}

static void guest_map(struct vmm *vmm, uint64_t page)
{
	put(vmm, L3 + 8 * (IOVA >> 12), page | 0xf43); /* AF nG inner, RW */
}

/* One command and a CMD_SYNC; the doorbell returns when both are done. */
static void guest_command(struct vmm *vmm, uint64_t dw0, uint64_t dw1)
{
	static uint32_t prod;

	put(vmm, CMDQ + 16 * (prod % 256), dw0);
	put(vmm, CMDQ + 16 * (prod % 256) + 8, dw1);
	prod++;
	put(vmm, CMDQ + 16 * (prod % 256), 0x46);
	put(vmm, CMDQ + 16 * (prod % 256) + 8, 0);
	prod++;
	mmio(vmm, 0x98, 4, prod % 512); /* CMDQ_PROD */
}

static void guest_boot(struct vmm *vmm)
{
	/* three levels of 4 KiB tables for 39-bit addresses */
	put(vmm, L1, L2 | 3);
	put(vmm, L2, L3 | 3);
	guest_map(vmm, PAGE_A);
	/* CD: T0SZ 25, 4K, EPD1, V, IPS 48, AA64, R A, ASID 1 */
	put(vmm, CD,
	    25 | 1ULL << 30 | 1ULL << 31 | 5ULL << 32 | 1ULL << 41 |
		    3ULL << 45 | 1ULL << 48 | 0x3500);
	put(vmm, CD + 8, L1);
	put(vmm, CD + 24, 0xff);
	/* STE: V, stage 1, S1ContextPtr */
	put(vmm, STRTAB + 64 * VSID, 0xb | CD);
	put(vmm, STRTAB + 64 * VSID + 8, 0xd6);

	mmio(vmm, 0x80, 8, STRTAB);
	mmio(vmm, 0x88, 4, 8);	      /* STRTAB_BASE_CFG: linear, 256 */
	mmio(vmm, 0x90, 8, CMDQ | 8); /* CMDQ_BASE: 256 commands */
	mmio(vmm, 0x20, 4, 0x9);      /* CR0: SMMUEN, CMDQEN */
	guest_command(vmm, 0x03 | (uint64_t)VSID << 32, 1); /* CFGI_STE */
}

static const char *where(struct vmm *vmm, const char *text)
{
	if (!strcmp(guest_ptr(vmm, PAGE_A, 8), text))
		return "page A";
	if (!strcmp(guest_ptr(vmm, PAGE_B, 8), text))
		return "page B";
	return "nowhere";
}

static void dma(struct vmm *vmm, const char *text)
{
	int rc = nestfd_dma_write(vmm->dev, IOVA, text, strlen(text) + 1);

	printf("device writes \"%s\" to 0x%llx: %s, arrived in %s\n", text,
	       IOVA, rc ? strerror(-rc) : "done", where(vmm, text));
}

int main(void)
{
	struct vmm vmm = { 0 };

	vmm.ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vmm.ram == MAP_FAILED)
		return 1;
	make_hardware(&vmm);
	make_stage2(&vmm);
	make_viommu(&vmm);

	guest_boot(&vmm);
	dma(&vmm, "one");
	guest_map(&vmm, PAGE_B);
	dma(&vmm, "two"); /* the cached translation: still page A */
	guest_command(&vmm, 0x12 | 1ULL << 48, IOVA | 1); /* TLBI_NH_VA */
	dma(&vmm, "three");

	nestfd_viommu_destroy(vmm.smmu);
	nestfd_close(vmm.iommufd);
	nestfd_machine_destroy(vmm.machine);
	munmap(vmm.ram, RAM_SIZE);
	return 0;
}
