// SPDX-License-Identifier: MIT
/*
 * The whole way: a guest's writes to the registers of libviommu's SMMUv3 become
 * calls on /dev/iommu, and errors come back into CMDQ_CONS and GERROR. The
 * guest sees the same on Linux and on nestfd; what libviommu had to do for it
 * differs.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "nestfd/ext.h"

#define IDR0	     0x0
#define IDR1	     0x4
#define CR0	     0x20
#define GERROR	     0x60
#define GERRORN	     0x64
#define STRTAB_BASE  0x80
#define STRTAB_CFG   0x88
#define CMDQ_BASE    0x90
#define CMDQ_PROD    0x98
#define CMDQ_CONS    0x9c
#define EVENTQ_BASE  0xa0
#define EVENTQ_PROD  0x100a8
#define EVENTQ_CONS  0x100ac

#define ENABLED	     0xd /* SMMUEN, EVENTQEN, CMDQEN */
#define WITHOUT_CMDQ 0x5
#define NO_ERROR     0
#define CERROR_ILL   1
#define CERROR_ABT   2

struct guest {
	struct client *client;
	struct nestfd_viommu *smmu;
	uint64_t cmdq;
	unsigned int cmdq_lg2;
	uint32_t prod;	 /* with the wrap flag */
	uint32_t events; /* EVENTQ_CONS */
};

static int guest_read(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	const void *from = place_ram(ctx, gpa, len);

	if (!from)
		return -EFAULT;
	memcpy(buf, from, len);
	return 0;
}

static int guest_write(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	void *to = place_ram(ctx, gpa, len);

	if (!to)
		return -EFAULT;
	memcpy(to, buf, len);
	return 0;
}

static void *guest_map(void *ctx, uint64_t gpa, size_t len)
{
	return place_ram(ctx, gpa, len);
}

static uint32_t reg(struct guest *guest, uint32_t offset)
{
	return (uint32_t)nestfd_viommu_read(guest->smmu, offset, 4);
}

static void set(struct guest *guest, uint32_t offset, unsigned int bytes,
		uint64_t value)
{
	nestfd_viommu_write(guest->smmu, offset, bytes, value);
}

static uint64_t command_at(struct guest *guest, uint32_t index)
{
	return guest->cmdq + 16 * (index & ((1ull << guest->cmdq_lg2) - 1));
}

static uint32_t next(struct guest *guest, uint32_t index)
{
	return (index + 1) & ((2u << guest->cmdq_lg2) - 1);
}

/* Queues it; the index it has got */
static uint32_t command(struct guest *guest, uint64_t dw0, uint64_t dw1)
{
	uint32_t at = guest->prod;

	place_put(&guest->client->place, command_at(guest, at) + 8, dw1);
	place_put(&guest->client->place, command_at(guest, at), dw0);
	guest->prod = next(guest, at);
	return at;
}

static void ring(struct guest *guest)
{
	set(guest, CMDQ_PROD, 4, guest->prod);
}

/* CONS is at @at; with an error GERROR says so, and not otherwise */
static void check_cons(struct guest *guest, uint32_t at, uint32_t error,
		       const char *what)
{
	uint32_t cons = reg(guest, CMDQ_CONS);
	bool told = (reg(guest, GERROR) ^ reg(guest, GERRORN)) & 1;
	bool good = (cons & 0xfffff) == at && told == !!error;

	/* ERR is only valid while there is an error (6.3.28) */
	if (error && (cons >> 24 & 0x7f) != error)
		good = false;
	check(guest->client, good, what,
	      "CONS %#x, GERROR.CMDQ_ERR %s; not RD %#x, ERR %u", cons,
	      told ? "active" : "inactive", at, error);
}

static void acknowledge(struct guest *guest)
{
	set(guest, GERRORN, 4, reg(guest, GERROR));
}

/* As QEMU's and hardware's drivers do: another command in its place */
static void go_on_behind(struct guest *guest, uint32_t at, const char *what)
{
	place_put(&guest->client->place, command_at(guest, at) + 8, 0);
	place_put(&guest->client->place, command_at(guest, at), TLBI_NH_ASID_0);
	check_cons(guest, at, CERROR_ILL, "an error waits for the guest");
	acknowledge(guest);
	check_cons(guest, guest->prod, NO_ERROR, what);
}

static bool guest_start(struct guest *guest, enum nestfd_queue queue)
{
	struct client *client = guest->client;
	struct nestfd_viommu_config config = {
		.size = sizeof(config),
		.backend = client->place.backend,
		.guest = {
			.ctx = &client->place,
			.read = guest_read,
			.write = guest_write,
			.map = guest_map,
		},
		.dev_id = client->place.device[0].id,
		.parent_hwpt = client->parent,
		.queue = queue,
	};
	static const uint32_t vsids[DEVICES] = { VSID_0, VSID_1 };
	int rc = nestfd_viommu_smmuv3_create(&config, &guest->smmu);

	check_rc(client, rc, 0, "nestfd_viommu_smmuv3_create()");
	if (rc)
		return false;
	for (unsigned int i = 0; i < DEVICES; i++) {
		struct nestfd_viommu_device device = {
			.size = sizeof(device),
			.vsid = vsids[i],
			.dev_id = client->place.device[i].id,
			.attach = place_attach,
			.ctx = &client->place.device[i],
		};

		check_rc(client, nestfd_viommu_device_add(guest->smmu, &device),
			 0, "nestfd_viommu_device_add()");
	}
	return true;
}

static void use_queue(struct guest *guest, uint64_t base, unsigned int lg2)
{
	set(guest, CR0, 4, WITHOUT_CMDQ);
	set(guest, CMDQ_BASE, 8, base | lg2);
	set(guest, CMDQ_PROD, 4, 0);
	set(guest, CMDQ_CONS, 4, 0);
	set(guest, CR0, 4, ENABLED);
	guest->cmdq = base;
	guest->cmdq_lg2 = lg2;
	guest->prod = 0;
}

static void guest_boot(struct guest *guest)
{
	struct place *place = &guest->client->place;

	memset(place_ram(place, STRTAB, 0x20000), 0, 0x20000);
	tables_make(place);
	place_put(place, STRTAB + 64 * VSID_0, STE_0);
	place_put(place, STRTAB + 64 * VSID_0 + 8, STE_1);
	place_put(place, STRTAB + 64 * VSID_1, STE_0);
	place_put(place, STRTAB + 64 * VSID_1 + 8, STE_1);
	set(guest, STRTAB_BASE, 8, STRTAB);
	set(guest, STRTAB_CFG, 4, 11);
	set(guest, EVENTQ_BASE, 8, EVENTQ | 7);
	use_queue(guest, CMDQ, CMDQ_LG2);
	command(guest, CFGI_STE_0(VSID_0), LEAF);
	command(guest, CFGI_STE_0(VSID_1), LEAF);
	command(guest, TLBI_NH_ASID_0, 0);
	command(guest, SYNC_0, 0);
	ring(guest);
	check_cons(guest, guest->prod, NO_ERROR, "CFGI_STE, TLBI, CMD_SYNC");
}

/* PAGE_A is cached, and the table says PAGE_B */
static void make_stale(struct guest *guest)
{
	tables_map(&guest->client->place, PAGE_A);
	command(guest, TLBI_NH_ASID_0, 0);
	command(guest, SYNC_0, 0);
	ring(guest);
	check_lands(guest->client, 0, 'A', "DMA reaches page A");
	tables_map(&guest->client->place, PAGE_B);
}

/* @n invalidations, of which the one at @mine is that of IOVA */
static void commands(struct guest *guest, uint32_t n, uint32_t mine)
{
	for (uint32_t i = 0; i < n; i++)
		command(guest, TLBI_NH_VA_0,
			TLBI_NH_VA_1 + (i == mine ? 0 : 0x5000));
}

static void good_commands(struct guest *guest)
{
	struct client *client = guest->client;

	make_stale(guest);
	check_lands(client, 0, 'A', "without an invalidation, still");
	command(guest, TLBI_NH_VA_0, TLBI_NH_VA_1);
	command(guest, SYNC_0, 0);
	ring(guest);
	check_cons(guest, guest->prod, NO_ERROR, "TLBI_NH_VA, CMD_SYNC");
	check_lands(client, 0, 'B', "and page B behind it");
	check_lands(client, 1, 'B', "the other device's DMA, too");
	for (int turn = 0; turn < 3; turn++) {
		commands(guest, 200, 0);
		command(guest, CFGI_CD_0(VSID_0), LEAF);
		command(guest, SYNC_0, 0);
		ring(guest);
		check_cons(guest, guest->prod, NO_ERROR,
			   "201 commands and a CMD_SYNC, round the queue");
	}
}

static void an_illegal_command(struct guest *guest)
{
	struct client *client = guest->client;
	uint32_t at;

	make_stale(guest);
	command(guest, TLBI_NH_VA_0, TLBI_NH_VA_1);
	at = command(guest, ILLEGAL_0, 0);
	command(guest, TLBI_NH_ASID_0, 0);
	command(guest, SYNC_0, 0);
	ring(guest);
	check_cons(guest, at, CERROR_ILL, "an illegal command: it stops there");
	check_lands(client, 0, 'B', "what stands in front of it is done");
	go_on_behind(guest, at, "rewritten and acknowledged: it goes on");
}

/* IHI 0070 4.5.1: illegal unless IDR0.ATS */
static void an_atc_inv(struct guest *guest)
{
	bool ats = reg(guest, IDR0) >> 10 & 1;
	uint32_t at = command(guest, ATC_INV_0(VSID_0), 0x34);

	command(guest, SYNC_0, 0);
	ring(guest);
	if (ats) {
		check_cons(guest, guest->prod, NO_ERROR,
			   "ATC_INV and CMD_SYNC (IDR0.ATS is 1)");
		return;
	}
	check_cons(guest, at, CERROR_ILL, "ATC_INV is illegal (IDR0.ATS is 0)");
	go_on_behind(guest, at, "ATC_INV rewritten: it goes on");
}

static void write_ste(struct guest *guest, uint64_t dw0)
{
	place_put(&guest->client->place, STRTAB + 64 * VSID_0, dw0);
	command(guest, CFGI_STE_0(VSID_0), LEAF);
	command(guest, SYNC_0, 0);
	ring(guest);
}

/* An event of the host's is on its way: whether one has come, after a while */
static bool event_comes(struct guest *guest, int turns)
{
	for (int i = 0; i < turns; i++) {
		nestfd_viommu_pump(guest->smmu);
		if (reg(guest, EVENTQ_PROD) != guest->events)
			return true;
		usleep(2000);
	}
	return false;
}

/* The first of those that have come; all are taken */
static uint64_t take_event(struct guest *guest)
{
	uint64_t at = EVENTQ + 32 * (guest->events & 0x7f);

	guest->events = reg(guest, EVENTQ_PROD);
	set(guest, EVENTQ_CONS, 4, guest->events);
	return at;
}

/* V = 0 aborts, and is to be told of (7.3.5): Linux has no way to tell. */
static void other_streams(struct guest *guest)
{
	struct client *client = guest->client;
	bool told;

	write_ste(guest, 1);
	check_cons(guest, guest->prod, NO_ERROR, "CFGI_STE: abort");
	check_lands(client, 0, '-', "DMA of a stream that aborts");
	check(client, !event_comes(guest, 50), "is no event", "one came");
	write_ste(guest, 0);
	check_cons(guest, guest->prod, NO_ERROR, "CFGI_STE: V = 0");
	check_lands(client, 0, '-', "DMA of a stream without a valid STE");
	if (client->place.dma) {
		told = event_comes(guest, client->place.real ? 50 : 1000);
		check(client, told == !client->place.real,
		      "is C_BAD_STE (Linux: nobody is told)", "%s",
		      told ? "told" : "not told");
	}
	if (client->place.dma && !client->place.real)
		check(client,
		      place_get(&client->place, take_event(guest)) ==
			      0x0000012300000004,
		      "with its vSID", "something else");
	write_ste(guest, STE_0);
	check_cons(guest, guest->prod, NO_ERROR, "CFGI_STE: stage 1 again");
	make_stale(guest);
	check_lands(client, 0, 'A', "and DMA is translated again");
}

static void an_event(struct guest *guest)
{
	struct client *client = guest->client;
	bool came;
	uint64_t at;

	if (!client->place.dma) {
		skip(client, "a DMA that faults is an event of the guest's",
		     "no VFIO device, so no DMA");
		return;
	}
	tables_map(&client->place, 0);
	command(guest, TLBI_NH_VA_0, TLBI_NH_VA_1);
	command(guest, SYNC_0, 0);
	ring(guest);
	check_lands(client, 0, '-', "DMA without a translation");
	came = event_comes(guest, 1000);
	check(client, came, "a DMA that faults is an event of the guest's",
	      "none came");
	at = take_event(guest);
	/* F_TRANSLATION, write, class IN; of IOVA */
	check(client,
	      place_get(&client->place, at) == 0x0000012300000010 &&
		      place_get(&client->place, at + 16) == IOVA,
	      "it is F_TRANSLATION of the vSID and the address",
	      "%016llx .. %016llx",
	      (unsigned long long)place_get(&client->place, at),
	      (unsigned long long)place_get(&client->place, at + 16));
	tables_map(&client->place, PAGE_A);
}

/*
 * A command that the host refuses although the guest may give it: the vDEVICE
 * is destroyed behind libviommu's back. Linux has then counted all that stands
 * in front of the command, and issued those up to the last 63 of them (J39).
 */
static void a_refusal_by_the_host(struct guest *guest)
{
	static const uint32_t mine[] = { 0, 62, 63, 64, 99 };
	struct client *client = guest->client;
	struct iommu_destroy destroy = {
		.size = sizeof(destroy),
		.id = client->place.vdevice,
	};
	char what[80];
	uint32_t at;

	check_rc(client, place_ioctl(&client->place, IOMMU_DESTROY, &destroy),
		 0, "IOMMU_DESTROY of a vDEVICE in use (L5)");
	for (unsigned int i = 0; i < sizeof(mine) / sizeof(*mine); i++) {
		make_stale(guest);
		commands(guest, 100, mine[i]);
		at = command(guest, CFGI_CD_0(VSID_1), LEAF);
		command(guest, TLBI_NH_ASID_0, 0);
		command(guest, SYNC_0, 0);
		ring(guest);
		check_cons(guest, at, CERROR_ILL,
			   "a command that the host refuses, behind 100");
		snprintf(what, sizeof(what), "none of them is lost: not %u",
			 mine[i]);
		check_lands(client, 0, 'B', what);
		go_on_behind(guest, at, "rewritten, acknowledged: it goes on");
	}
}

/* Linux has no memory for an array of more than 4 MiB (J19). */
static void a_doorbell_of_many(struct guest *guest)
{
	struct client *client = guest->client;
	unsigned int lg2 = reg(guest, IDR1) >> 21 & 0x1f; /* CMDQS */
	uint32_t calls;

	if (lg2 < 19) {
		skip(client, "300001 commands at once", "no room in a queue");
		return;
	}
	use_queue(guest, MANY, 19);
	make_stale(guest);
	commands(guest, 300000, 299999);
	command(guest, SYNC_0, 0);
	calls = client->place.invalidates + client->place.rings;
	ring(guest);
	calls = client->place.invalidates + client->place.rings - calls;
	check_cons(guest, guest->prod, NO_ERROR, "300001 commands at once");
	check(client, calls && calls <= 16, "in few calls", "%u", calls);
	check_lands(client, 0, 'B', "the last of them is done");
}

/* It is the guest's own queue that cannot be fetched: no ioctl says so. */
static void a_queue_in_no_memory(struct guest *guest)
{
	use_queue(guest, RAM_BASE + RAM_SIZE, CMDQ_LG2);
	set(guest, CMDQ_PROD, 4, 2);
	check_cons(guest, 0, CERROR_ABT, "a queue in no memory: ABT");
}

/* What has been asked of a Linux is what Linux knows. */
static void check_asked(struct client *client, enum nestfd_queue queue)
{
	const struct place *place = &client->place;
	uint32_t size = place->real ? sizeof(struct iommu_hwpt_invalidate)
				    : sizeof(struct nestfd_hwpt_invalidate);

	printf("%u IOMMU_HWPT_INVALIDATE of at most %u bytes, %u rings\n",
	       place->invalidates, place->largest_invalidate, place->rings);
	check(client, place->largest_invalidate == size,
	      "libviommu's struct has additions only where there are some",
	      "%u bytes, not %u", place->largest_invalidate, size);
	check(client,
	      !place->rings == (place->real || queue == NESTFD_QUEUE_ARRAY),
	      "libviommu uses the ring only where there is one", "%u calls",
	      place->rings);
}

void check_guest(struct client *client, enum nestfd_queue queue)
{
	struct guest guest = { .client = client };

	printf("-- libviommu, queue %s\n",
	       queue == NESTFD_QUEUE_ARRAY ? "array" : "auto");
	client->place.largest_invalidate = 0;
	client->place.invalidates = 0;
	client->place.rings = 0;
	if (!guest_start(&guest, queue))
		return;
	guest_boot(&guest);
	good_commands(&guest);
	an_illegal_command(&guest);
	an_atc_inv(&guest);
	other_streams(&guest);
	an_event(&guest);
	a_refusal_by_the_host(&guest);
	a_doorbell_of_many(&guest);
	a_queue_in_no_memory(&guest);
	check_asked(client, queue);
	nestfd_viommu_destroy(guest.smmu);
}
