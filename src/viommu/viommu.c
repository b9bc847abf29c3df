// SPDX-License-Identifier: MIT
/* The public functions that are the same for every architecture. */
#include "viommu/viommu.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PUMP_BYTES 4096

int viommu_check(const struct nestfd_viommu_config *config)
{
	if (config->size != sizeof(*config) || !config->backend.ioctl ||
	    !config->guest.read || !config->guest.write ||
	    (unsigned int)config->queue > NESTFD_QUEUE_RING)
		return -EINVAL;
	return 0;
}

void viommu_init(struct nestfd_viommu *viommu, const struct viommu_ops *ops,
		 const struct nestfd_viommu_config *config)
{
	viommu->ops = ops;
	viommu->backend = config->backend;
	viommu->guest = config->guest;
	viommu->dev_id = config->dev_id;
	viommu->parent_hwpt = config->parent_hwpt;
	viommu->veventq_fd = -1;
	pthread_mutex_init(&viommu->pump_lock, NULL);
}

void viommu_fini(struct nestfd_viommu *viommu)
{
	pthread_mutex_destroy(&viommu->pump_lock);
}

int viommu_read_memory(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	const struct nestfd_viommu *viommu = ctx;

	return viommu->guest.read(viommu->guest.ctx, gpa, buf, len);
}

int viommu_write_memory(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	const struct nestfd_viommu *viommu = ctx;

	return viommu->guest.write(viommu->guest.ctx, gpa, buf, len);
}

/* ---- calls, and calls inside them ---- */

/* This thread's calls; each lies on its stack. */
static _Thread_local struct viommu_call *innermost;

static struct viommu_call *root_of(const struct nestfd_viommu *viommu)
{
	struct viommu_call *call = innermost;

	while (call && call->viommu != viommu)
		call = call->outer;
	return call ? call->root : NULL;
}

static void enter(struct viommu_call *call, struct nestfd_viommu *viommu)
{
	struct viommu_call *root = root_of(viommu);

	call->viommu = viommu;
	call->outer = innermost;
	call->root = root ? root : call;
	call->signalling = false;
	call->owed = 0;
	call->moved = 0;
	call->left = false;
	call->reset = false;
	innermost = call;
}

static void leave(struct viommu_call *call)
{
	if (call->reset)
		call->viommu->ops->reset(call->viommu);
	innermost = call->outer;
}

bool viommu_is_pumping(struct nestfd_viommu *viommu)
{
	const struct viommu_call *pumper =
		__atomic_load_n(&viommu->pumper, __ATOMIC_RELAXED);
	struct viommu_call *root;

	if (!pumper)
		return false;
	root = root_of(viommu);
	if (pumper != root)
		return false;
	root->left = true;
	return true;
}

void nestfd_viommu_destroy(struct nestfd_viommu *viommu)
{
	if (viommu)
		viommu->ops->destroy(viommu);
}

uint64_t nestfd_viommu_read(struct nestfd_viommu *viommu, uint32_t offset,
			    unsigned int bytes)
{
	struct viommu_call call;
	uint64_t value;

	enter(&call, viommu);
	value = viommu->ops->read(viommu, offset, bytes);
	leave(&call);
	return value;
}

void nestfd_viommu_write(struct nestfd_viommu *viommu, uint32_t offset,
			 unsigned int bytes, uint64_t value)
{
	struct viommu_call call;

	enter(&call, viommu);
	viommu->ops->write(viommu, offset, bytes, value);
	leave(&call);
}

int nestfd_viommu_device_add(struct nestfd_viommu *viommu,
			     const struct nestfd_viommu_device *device)
{
	struct viommu_call call;
	int rc;

	if (device->size != sizeof(*device) || !device->attach)
		return -EINVAL;
	enter(&call, viommu);
	rc = viommu->ops->device_add(viommu, device);
	leave(&call);
	return rc;
}

int nestfd_viommu_device_remove(struct nestfd_viommu *viommu, uint32_t vsid)
{
	struct viommu_call call;
	int rc;

	enter(&call, viommu);
	rc = viommu->ops->device_remove(viommu, vsid);
	leave(&call);
	return rc;
}

/* Not under a call that goes on afterwards */
void nestfd_viommu_reset(struct nestfd_viommu *viommu)
{
	struct viommu_call call;

	enter(&call, viommu);
	call.root->reset = true;
	leave(&call);
}

int nestfd_viommu_event_fd(struct nestfd_viommu *viommu)
{
	return viommu->veventq_fd;
}

/* Sequence numbers run from 0 to 2^31-1 and around; a gap is a loss. */
static void check_sequence(struct nestfd_viommu *viommu,
			   const struct iommufd_vevent_header *header)
{
	uint32_t gap = (header->sequence - viommu->next_sequence) & INT32_MAX;

	if (gap)
		viommu_count(&viommu->counters.events_lost, gap);
	viommu->next_sequence = (header->sequence + 1) & INT32_MAX;
}

/* Tells the guest of one, as far as its queue has room. */
static void deliver_one(struct nestfd_viommu *viommu, const void *record)
{
	if (!viommu->ops->event(viommu, record))
		viommu_count(&viommu->counters.events_lost, 1);
	viommu_count(&viommu->counters.events, 1);
}

/* The events in one buffer that read() returned; how many there were. */
static int unpack(struct nestfd_viommu *viommu, const char *buf, size_t len,
		  bool drop)
{
	struct iommufd_vevent_header header;
	size_t at = 0;
	int events = 0;

	while (len - at >= sizeof(header)) {
		memcpy(&header, buf + at, sizeof(header));
		at += sizeof(header);
		check_sequence(viommu, &header);
		if (header.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS) {
			/* the number is that of the last one */
			viommu_count(&viommu->counters.events_lost, 1);
			continue;
		}
		if (len - at < viommu->ops->event_size)
			return -EPROTO;
		if (!drop)
			deliver_one(viommu, buf + at);
		at += viommu->ops->event_size;
		events++;
	}
	return events;
}

static ssize_t read_events(struct nestfd_viommu *viommu, void *buf, size_t len)
{
	ssize_t n;

	if (viommu->backend.read)
		return viommu->backend.read(viommu->backend.ctx,
					    viommu->veventq_fd, buf, len);
	n = read(viommu->veventq_fd, buf, len);
	return n < 0 ? -errno : n;
}

/* ---- what the host has ---- */

static void hold(struct nestfd_viommu *viommu, bool *held)
{
	if (viommu->ops->hold && !*held)
		viommu->ops->hold(viommu);
	*held = true;
}

/*
 * Not for ever: a guest whose devices fault all the time keeps the queue full.
 * *@held: interrupts are waiting for a release(); only if there was something.
 */
static int pump(struct nestfd_viommu *viommu, bool drop, bool *held)
{
	int total = 0, events;
	uint32_t count;
	char buf[PUMP_BYTES];
	ssize_t n;

	count = viommu->event_count
			? __atomic_load_n(viommu->event_count, __ATOMIC_ACQUIRE)
			: 0;
	while ((uint32_t)total < viommu->veventq_depth) {
		n = read_events(viommu, buf, sizeof(buf));
		if (n == -EAGAIN || n == 0) {
			viommu->pumped = count;
			return total;
		}
		if (n < 0)
			return (int)n;
		hold(viommu, held);
		events = unpack(viommu, buf, (size_t)n, drop);
		if (events < 0)
			return events;
		total += events;
	}
	return total;
}

/*
 * Interrupts that waited. Who is interrupted may pump: what comes of that is
 * sent by the loop that called him.
 */
static void send_held(struct nestfd_viommu *viommu, struct viommu_call *root)
{
	if (!viommu->ops->release)
		return;
	if (root->signalling) {
		root->owed++;
		return;
	}
	root->signalling = true;
	root->moved = 0;
	for (;;) {
		viommu->ops->release(viommu);
		if (!root->owed)
			break;
		root->owed--;
	}
	root->signalling = false;
}

static void pump_begin(struct nestfd_viommu *viommu,
		       const struct viommu_call *root)
{
	pthread_mutex_lock(&viommu->pump_lock);
	__atomic_store_n(&viommu->pumper, root, __ATOMIC_RELAXED);
}

/* What records were written for is done: now callbacks may do anything. */
static void pump_end(struct nestfd_viommu *viommu, struct viommu_call *root,
		     bool held)
{
	bool left = root->left;

	root->left = false;
	__atomic_store_n(&viommu->pumper, NULL, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&viommu->pump_lock);
	if (held)
		send_held(viommu, root);
	if (left)
		viommu->ops->resume(viommu);
}

/* Inside a record that this thread writes: who writes it goes on reading. */
static int pump_locked(struct nestfd_viommu *viommu, bool all)
{
	struct viommu_call *root = root_of(viommu);
	bool held = false;
	int more = 0;
	int rc;

	if (__atomic_load_n(&viommu->pumper, __ATOMIC_RELAXED) == root)
		return 0;
	pump_begin(viommu, root);
	rc = pump(viommu, false, &held);
	if (all && viommu->ops->pump) {
		hold(viommu, &held);
		more = viommu->ops->pump(viommu);
	}
	pump_end(viommu, root, held);
	if (rc < 0)
		return rc;
	root->moved += (uint32_t)(rc + (more > 0 ? more : 0));
	return more < 0 ? more : rc + more;
}

int nestfd_viommu_pump(struct nestfd_viommu *viommu)
{
	struct viommu_call call;
	int rc = 0;

	enter(&call, viommu);
	/* an interrupt for each event, a pump for each interrupt: enough */
	if (!call.root->signalling || call.root->moved < viommu->veventq_depth)
		rc = pump_locked(viommu, true);
	leave(&call);
	return rc;
}

int nestfd_viommu_fault_fd(struct nestfd_viommu *viommu)
{
	return viommu->ops->fault_fd ? viommu->ops->fault_fd(viommu) : -1;
}

static bool is_readable(const struct nestfd_viommu *viommu)
{
	struct pollfd fd = { .fd = viommu->veventq_fd, .events = POLLIN };

	return poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN);
}

/*
 * Behind an invalidation the counter knows of all events; otherwise some may
 * still be on their way to it, which only a read waits for.
 */
void viommu_catch_up(struct nestfd_viommu *viommu)
{
	uint64_t ioctls = viommu->counters.invalidate_ioctls +
			  viommu->counters.ring_ioctls;
	bool told = ioctls != viommu->ioctls;

	viommu->ioctls = ioctls;
	if (!viommu->event_count) {
		if (is_readable(viommu))
			pump_locked(viommu, false);
		return;
	}
	if (!told || __atomic_load_n(viommu->event_count, __ATOMIC_ACQUIRE) !=
			     viommu->pumped)
		pump_locked(viommu, false);
}

void viommu_drop_events(struct nestfd_viommu *viommu)
{
	struct viommu_call *root = root_of(viommu);
	bool held = false;

	pump_begin(viommu, root);
	hold(viommu, &held);
	if (viommu->ops->pump)
		viommu->ops->pump(viommu);
	pump(viommu, true, &held);
	pump_end(viommu, root, held);
}

void nestfd_viommu_stats(struct nestfd_viommu *viommu,
			 struct nestfd_viommu_stats *stats)
{
	struct viommu_counters *c = &viommu->counters;
	struct nestfd_viommu_stats all;
	size_t size = stats->size < sizeof(all) ? stats->size : sizeof(all);

	all = (struct nestfd_viommu_stats){
		.size = size,
		.commands = c->commands,
		.doorbells = c->doorbells,
		.syncs = c->syncs,
		.invalidate_ioctls = c->invalidate_ioctls,
		.invalidations = c->invalidations,
		.other_ioctls = c->other_ioctls,
		.events = c->events,
		.events_lost = c->events_lost,
		.ring_ioctls = c->ring_ioctls,
		.ring_commands = c->ring_commands,
		.ring_stops = c->ring_stops,
	};
	for (int i = 0; i < NESTFD_SPLIT_COUNT; i++)
		all.splits[i] = c->splits[i];
	memcpy(stats, &all, size);
}
