// SPDX-License-Identifier: MIT
/* See client.h. */
#include "client.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nestfd/ext.h"

void check(struct client *client, bool good, const char *what, const char *got,
	   ...)
{
	va_list args;

	if (good) {
		client->passed++;
		printf("ok   %s\n", what);
		return;
	}
	client->failed++;
	printf("FAIL %s: ", what);
	va_start(args, got);
	vprintf(got, args);
	va_end(args);
	printf("\n");
}

void skip(struct client *client, const char *what, const char *why)
{
	client->skipped++;
	printf("skip %s: %s\n", what, why);
}

void check_rc(struct client *client, int rc, int expected, const char *what)
{
	check(client, rc == expected, what, "%s, not %s", strerror(-rc),
	      strerror(-expected));
}

void tables_map(struct place *place, uint64_t page)
{
	/* AF, nG, inner shareable, read and write, a page */
	place_put(place, L3 + 8 * (IOVA >> 12), page ? page | 0xf43 : 0);
}

void tables_make(struct place *place)
{
	place_put(place, L1, L2 | 3);
	place_put(place, L2, L3 | 3);
	place_put(place, L3 + 8 * (IOVA_FROM >> 12), SOURCE | 0xf43);
	tables_map(place, PAGE_A);
	/* T0SZ 25, write-back, inner; EPD1, V, IPS 44, AA64, R, A */
	place_put(place, CD,
		  25 | 0x3500 | 1ULL << 30 | 1ULL << 31 | 4ULL << 32 |
			  1ULL << 41 | 3ULL << 45 | ASID << 48);
	place_put(place, CD + 8, L1);
	place_put(place, CD + 24, 0xff);
}

char lands_in(struct client *client, unsigned int device)
{
	struct place *place = &client->place;
	uint64_t stamp = ++client->stamp | 0x5a00000000000000;

	place_put(place, SOURCE, stamp);
	place_copy(place, device, IOVA_FROM, IOVA);
	if (place_get(place, PAGE_A) == stamp)
		return 'A';
	return place_get(place, PAGE_B) == stamp ? 'B' : '-';
}

void check_lands(struct client *client, unsigned int device, char where,
		 const char *what)
{
	char got;

	if (!client->place.dma) {
		skip(client, what, "no VFIO device, so no DMA");
		return;
	}
	got = lands_in(client, device);
	check(client, got == where, what, "%c, not %c", got, where);
}

/* The additions are asked for, all of them: Linux has none. */
static void check_additions(struct client *client)
{
	struct nestfd_ext_enable enable = {
		.size = sizeof(enable),
		.features = NESTFD_EXT_ERRORS | NESTFD_EXT_RING,
	};
	struct nestfd_hwpt_invalidate_ring ring = { .size = sizeof(ring) };
	bool real = client->place.real;
	int rc;

	rc = place_ioctl(&client->place, NESTFD_EXT_ENABLE, &enable);
	printf("NESTFD_EXT_ENABLE: %s\n", rc ? strerror(-rc) : "done");
	check_rc(client, rc, real ? -ENOTTY : 0, "NESTFD_EXT_ENABLE");
	client->extensions = rc ? 0 : enable.features;
	rc = place_ioctl(&client->place, NESTFD_HWPT_INVALIDATE_RING, &ring);
	check(client, (rc == -ENOTTY) == real && rc,
	      "NESTFD_HWPT_INVALIDATE_RING is known if and only if enabled",
	      "%s", strerror(-rc));
}

static void check_probe(struct client *client)
{
	char text[2048];
	int rc = nestfd_probe(&client->place.backend,
			      client->place.device[0].id, text, sizeof(text));

	check_rc(client, rc, 0, "nestfd_probe()");
	printf("%s", text);
	check(client,
	      !strstr(text, "additions to the ABI: none") ==
		      !client->place.real,
	      "nestfd_probe() says whether there are additions", "not so");
}

static bool make_parent(struct client *client)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = { .size = sizeof(map) };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt) };
	int rc;

	rc = place_ioctl(&client->place, IOMMU_IOAS_ALLOC, &ioas);
	check_rc(client, rc, 0, "IOMMU_IOAS_ALLOC");
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
		    IOMMU_IOAS_MAP_WRITEABLE;
	map.ioas_id = ioas.out_ioas_id;
	map.user_va = (uintptr_t)client->place.ram;
	map.length = RAM_SIZE;
	map.iova = RAM_BASE;
	rc = place_ioctl(&client->place, IOMMU_IOAS_MAP, &map);
	check_rc(client, rc, 0, "IOMMU_IOAS_MAP of guest memory");
	hwpt.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	hwpt.dev_id = client->place.device[0].id;
	hwpt.pt_id = ioas.out_ioas_id;
	rc = place_ioctl(&client->place, IOMMU_HWPT_ALLOC, &hwpt);
	check_rc(client, rc, 0, "IOMMU_HWPT_ALLOC of a nest parent");
	client->parent = hwpt.out_hwpt_id;
	return !rc;
}

static bool kind_of(const char *word, enum place_kind *kind)
{
	static const char *const words[] = {
		[PLACE_VFIO] = "linux",
		[PLACE_DEV] = "run",
		[PLACE_INSIDE] = "inside",
	};

	for (unsigned int i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(word, words[i])) {
			*kind = (enum place_kind)i;
			return true;
		}
	return false;
}

int main(int argc, char **argv)
{
	struct client client = { 0 };
	enum place_kind kind;

	if (argc != 2 || !kind_of(argv[1], &kind)) {
		fprintf(stderr, "usage: client linux|run|inside\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!place_open(&client.place, kind))
		return 1;
	if (make_parent(&client)) {
		check_probe(&client);
		/* libviommu asks for additions by itself */
		check_guest(&client, NESTFD_QUEUE_ARRAY);
		check_guest(&client, NESTFD_QUEUE_AUTO);
		check_additions(&client);
		check_arrays(&client);
	}
	place_close(&client.place);
	printf("%u passed, %u failed, %u skipped\n", client.passed,
	       client.failed, client.skipped);
	return client.failed ? 1 : 0;
}
