// SPDX-License-Identifier: MIT
/*
 * The longest register write there is: a doorbell for 2^19 commands, the
 * largest queue, of one kind each, through the whole path, with 10^5
 * translations cached. docs/security.md quotes it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "guest.h"

#define QUEUE_LG2 19
#define CACHED	  100000
#define IOVA	  0x40000000ULL

static struct host host;
static struct guest guest;

static void fill(void *arg)
{
	uint64_t word;

	(void)arg;
	for (uint64_t i = 0; i < CACHED; i++)
		nestfd_dma_read(guest.dev, IOVA + i * 4096, &word, 8);
}

struct kind {
	const char *what;
	uint64_t dw0;
	uint64_t dw1;
	uint64_t step; /* added to dw1 from one to the next */
};

/* The queue is full when PROD is one queue ahead of CONS. */
static void full_queue(void *arg)
{
	nestfd_viommu_write(guest.viommu, 0x98, 4, guest.prod);
	(void)arg;
}

static void prepare(void *arg)
{
	const struct kind *kind = arg;
	uint64_t dw1 = kind->dw1;

	fill(NULL);
	for (uint32_t i = 0; i < 1u << QUEUE_LG2; i++) {
		guest_command(&guest, kind->dw0, dw1);
		dw1 += kind->step;
	}
}

static void measure(struct kind kind)
{
	struct bench_row row;
	char what[96];

	bench_measure(full_queue, prepare, &kind, 1, &row);
	row.min /= 1e6;
	row.median /= 1e6;
	row.max /= 1e6;
	snprintf(what, sizeof(what), "%s", kind.what);
	bench_print(what, &row, 0);
	if (nestfd_viommu_read(guest.viommu, 0x9c, 4) != guest.prod) {
		fprintf(stderr, "%s: not consumed\n", kind.what);
		exit(1);
	}
}

int main(void)
{
	int rc;

	host.guests = 1;
	host.cache_entries = 1u << 17;
	host.cmdq_lg2 = QUEUE_LG2;
	host.ats = true;
	rc = host_start(&host);
	if (!rc)
		rc = guest_start(&guest, &host, 0, 5);
	if (rc) {
		fprintf(stderr, "%s\n", strerror(-rc));
		return 1;
	}
	guest_map_many(&guest, IOVA, guest_page(&guest, 1), CACHED);
	bench_heading("a full queue, 2^19 commands in one doorbell, ms");
	measure((struct kind){ "CMD_SYNC", 0x46, 0, 0 });
	measure((struct kind){ "TLBI_NH_VA, a page each",
			       guest_tlbi_va_0(&guest), guest_tlbi_va_1(IOVA),
			       4096 });
	measure((struct kind){ "TLBI_NH_VA, the largest range",
			       guest_tlbi_va_0(&guest) | 31 << 12 | 31 << 20,
			       0x401, 0 });
	measure((struct kind){ "TLBI_NH_VAA, a page each", 0x13,
			       guest_tlbi_va_1(IOVA), 4096 });
	measure((struct kind){ "TLBI_NH_VAA, the largest range",
			       0x13 | 31 << 12 | 31 << 20, 0x401, 0 });
	measure((struct kind){ "TLBI_NH_ASID",
			       0x11 | (uint64_t)guest.asid << 48, 0, 0 });
	measure((struct kind){ "TLBI_NH_ALL", 0x10, 0, 0 });
	measure((struct kind){ "TLBI_NSNH_ALL", 0x30, 0, 0 });
	measure((struct kind){ "CFGI_STE_RANGE, all streams", 0x04, 31, 0 });
	measure((struct kind){ "CFGI_STE", 0x03 | (uint64_t)guest.vsid << 32, 1,
			       0 });
	measure((struct kind){ "CFGI_CD", 0x05 | (uint64_t)guest.vsid << 32, 1,
			       0 });
	measure((struct kind){ "ATC_INV, a page each",
			       0x40 | (uint64_t)guest.vsid << 32, IOVA, 4096 });
	measure((struct kind){ "ATC_INV, everything",
			       0x40 | (uint64_t)guest.vsid << 32, 52, 0 });
	guest_stop(&guest);
	host_stop(&host);
	return 0;
}
