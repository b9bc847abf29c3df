// SPDX-License-Identifier: MIT
/* What both worlds share: memory, devices, making and ending. */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int world_fail(struct world *world, int rc, const char *what)
{
	snprintf(world->err.text, sizeof(world->err.text), "%s: %s", what,
		 strerror(-rc));
	return rc;
}

static int region_map(struct world *world, struct world_region *region,
		      uint64_t first, uint64_t length)
{
	void *host = mmap(NULL, length, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (host == MAP_FAILED)
		return world_fail(world, -errno, "the guest's memory");
	*region = (struct world_region){ first, length, host };
	return 0;
}

static int map_memory(struct world *world)
{
	struct replay_span spans[WORLD_REGIONS] = { 0 };
	int rc = world->arch->memory(world->config.meta, spans);

	if (rc)
		return world_fail(world, rc,
				  "ram_base and ram_mib of meta.json");
	for (size_t i = 0; i < WORLD_REGIONS && !rc; i++)
		if (spans[i].length)
			rc = region_map(world, &world->regions[i],
					spans[i].first, spans[i].length);
	return rc;
}

/* The registers stand in the snapshots, and never change. */
static int read_id(struct world *world)
{
	const struct trace_meta *meta = world->config.meta;
	const struct replay_arch *arch = world->arch;
	char what[64];

	if (!meta->nr_snapshots)
		return world_fail(world, -EBADMSG,
				  "no snapshot in meta.json has the IOMMU's "
				  "registers");
	for (size_t i = 0; i < arch->nr_ids; i++) {
		const struct replay_id *id = &arch->ids[i];

		if (!replay_recorded(&meta->snapshots[0].registers, id->name,
				     &world->id[i]) ||
		    id->optional)
			continue;
		snprintf(what, sizeof(what), "%s in meta.json", id->name);
		return world_fail(world, -EBADMSG, what);
	}
	return 0;
}

int world_create(const struct world_config *config, struct world **out,
		 struct trace_error *err)
{
	struct world *world = calloc(1, sizeof(*world));
	int rc;

	if (!world) {
		snprintf(err->text, sizeof(err->text), "no memory");
		return -ENOMEM;
	}
	world->config = *config;
	world->arch = replay_arch_of(config->meta);
	world->ops = config->direct ? &world_direct_ops : &world_nested_ops;
	rc = read_id(world);
	if (!rc)
		rc = map_memory(world);
	if (!rc)
		rc = world->ops->start(world);
	if (rc) {
		*err = world->err;
		world_destroy(world);
		return rc;
	}
	*out = world;
	return 0;
}

void world_destroy(struct world *world)
{
	if (!world)
		return;
	world->ops->stop(world);
	nestfd_machine_destroy(world->machine);
	for (size_t i = 0; i < world->nr_streams; i++)
		free(world->streams[i]);
	for (size_t i = 0; i < WORLD_REGIONS; i++)
		if (world->regions[i].host)
			munmap(world->regions[i].host,
			       world->regions[i].length);
	free(world);
}

void *world_memory(struct world *world, uint64_t gpa, uint64_t length)
{
	for (size_t i = 0; i < WORLD_REGIONS; i++) {
		const struct world_region *region = &world->regions[i];
		uint64_t at = gpa - region->first;

		if (at < region->length && length <= region->length - at)
			return region->host + at;
	}
	return NULL;
}

static int stream_add(struct world *world, uint32_t sid,
		      struct world_stream **out)
{
	struct world_stream *stream;
	int rc;

	if (sid > WORLD_MAX_STREAM || world->nr_streams == WORLD_STREAMS)
		return world_fail(world, -EBADMSG, "too many streams");
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		return world_fail(world, -ENOMEM, "a device");
	stream->world = world;
	stream->sid = sid;
	stream->host_sid = sid;
	rc = world->ops->plug(world, stream);
	if (rc) {
		free(stream);
		return rc;
	}
	world->streams[world->nr_streams++] = stream;
	*out = stream;
	return 0;
}

int world_stream(struct world *world, uint32_t sid, struct world_stream **out)
{
	if (!world->last || world->last->sid != sid) {
		struct world_stream *found = NULL;
		int rc = 0;

		for (size_t i = 0; i < world->nr_streams && !found; i++)
			if (world->streams[i]->sid == sid)
				found = world->streams[i];
		if (!found)
			rc = stream_add(world, sid, &found);
		if (rc)
			return rc;
		world->last = found;
	}
	*out = world->last;
	return 0;
}

uint32_t world_guest_stream(const struct world *world, uint32_t host_sid)
{
	for (size_t i = 0; i < world->nr_streams; i++)
		if (world->streams[i]->host_sid == host_sid)
			return world->streams[i]->sid;
	return host_sid;
}
