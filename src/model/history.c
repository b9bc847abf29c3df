// SPDX-License-Identifier: MIT
/* See history.h. */
#include "model/history.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"

#define HISTORY_COUNT 4096u
#define TOLD_MAX      3u

struct history {
	pthread_mutex_t lock;
	size_t size;
	uint64_t count; /* record n is [(n - 1) % HISTORY_COUNT], from 1 */
	unsigned char cmd[][HISTORY_COMMAND];
};

int history_create(size_t command_size, struct history **out)
{
	struct history *h;

	if (command_size > HISTORY_COMMAND)
		return -EINVAL;
	h = alloc_zero(sizeof(*h) + sizeof(h->cmd[0]) * HISTORY_COUNT);
	if (!h)
		return -ENOMEM;
	h->size = command_size;
	pthread_mutex_init(&h->lock, NULL);
	*out = h;
	return 0;
}

void history_destroy(struct history *h)
{
	if (!h)
		return;
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void history_add(struct history *h, const void *cmd)
{
	pthread_mutex_lock(&h->lock);
	memcpy(h->cmd[h->count++ % HISTORY_COUNT], cmd, h->size);
	pthread_mutex_unlock(&h->lock);
}

enum nearness because(struct near *near, enum nearness how, const char *format,
		      ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(near->reason, sizeof(near->reason), format, args);
	va_end(args);
	return how;
}

enum nearness history_scope(const struct iotlb_inval *i,
			    const struct iotlb_entry *e,
			    const struct history_words *names,
			    struct near *near)
{
	bool any_asid = e->global && (i->by & IOTLB_GLOBALS);

	if ((i->by & IOTLB_BY_RANGE) &&
	    (e->leaf > i->last || e->leaf + low_mask(e->leaf_lg2) < i->first))
		return because(near, NEAR_ADDRESS, "address outside");
	if ((i->by & IOTLB_BY_VMID) && i->vmid != e->vmid)
		return because(near, NEAR_TAG, "%s %u, cached with %u",
			       names->vmid, i->vmid, e->vmid);
	if ((i->by & IOTLB_BY_ASID) && e->global && !any_asid)
		return because(near, NEAR_TAG, "it leaves global ones");
	if ((i->by & IOTLB_BY_ASID) && !any_asid && i->asid != e->asid)
		return because(near, NEAR_TAG, "%s %u, cached with %u",
			       names->asid, i->asid, e->asid);
	return NEAR_COVERS;
}

enum nearness
history_nearest(const struct iotlb_inval *inval, unsigned int n,
		enum nearness (*judge)(void *ctx, const struct iotlb_inval *i,
				       struct near *near),
		void *ctx, struct near *near)
{
	enum nearness best = NEAR_NOT;

	for (unsigned int i = 0; i < n && best != NEAR_COVERS; i++) {
		struct near this = *near;
		enum nearness how = judge(ctx, &inval[i], &this);

		if (how < best)
			continue;
		best = how;
		*near = this;
	}
	return best;
}

enum nearness history_atc(const struct history_atc *a, uint32_t sid,
			  const struct iotlb_entry *e, struct near *near)
{
	if (a->sid != sid)
		return because(near, NEAR_KIND, "another %s", a->stream);
	if (e->iova > a->last || e->iova + low_mask(e->size_lg2) < a->first)
		return because(near, NEAR_ADDRESS, "address outside");
	if (a->with != !!e->vmid)
		return because(near, NEAR_TAG, "%s",
			       a->with ? "it names a PASID, cached without"
				       : "it names no PASID, cached with one");
	if (a->with && !a->global && a->pasid != e->asid)
		return because(near, NEAR_TAG, "PASID %u, cached with %u",
			       a->pasid, e->asid);
	return NEAR_COVERS;
}

/* The nearest stay, of equals the latest; @near is new. */
static void keep(struct near best[TOLD_MAX], const struct near *near)
{
	unsigned int n = TOLD_MAX - 1;

	if (near->how < best[n].how)
		return;
	for (; n && best[n - 1].how <= near->how; n--)
		best[n] = best[n - 1];
	best[n] = *near;
}

/* Returns how many commands have come since; *lost: too many to remember. */
static uint64_t search(struct history *h, uint64_t serial,
		       const struct history_judge *j,
		       struct near best[TOLD_MAX], bool *lost)
{
	uint64_t since, first;

	pthread_mutex_lock(&h->lock);
	since = h->count > serial ? h->count - serial : 0;
	*lost = since > HISTORY_COUNT;
	first = *lost ? h->count - HISTORY_COUNT : h->count - since;
	for (uint64_t n = first; n < h->count; n++) {
		struct near near = { .serial = n };

		memcpy(near.cmd, h->cmd[n % HISTORY_COUNT], h->size);
		near.how = j->judge(j->ctx, &near);
		/* covers: it was being cached while that command ran */
		if (near.how != NEAR_NOT && near.how != NEAR_COVERS)
			keep(best, &near);
	}
	pthread_mutex_unlock(&h->lock);
	return since;
}

int words(char *text, size_t size, int at, const char *format, ...)
{
	va_list args;
	int n;

	if (at < 0 || (size_t)at >= size)
		return at;
	va_start(args, format);
	n = vsnprintf(text + at, size - (size_t)at, format, args);
	va_end(args);
	return n < 0 ? at : at + n;
}

void history_why(struct history *h, uint64_t serial,
		 const struct history_judge *judge, char *text, size_t size,
		 int at)
{
	struct near best[TOLD_MAX] = { 0 };
	bool lost = false;
	uint64_t since = 0;
	char cmd[96];

	if (h)
		since = search(h, serial, judge, best, &lost);
	at = words(text, size, at, " after %llu commands; ",
		   (unsigned long long)serial);
	if (best[0].how == NEAR_NOT)
		at = words(text, size, at,
			   "none of the %llu commands since could remove it",
			   (unsigned long long)since);
	else
		at = words(text, size, at, "%llu commands since%s",
			   (unsigned long long)since,
			   lost ? " (the last 4096 looked at)" : "");
	for (unsigned int n = 0; n < TOLD_MAX && best[n].how != NEAR_NOT; n++) {
		judge->tell(judge->ctx, best[n].cmd, cmd, sizeof(cmd));
		at = words(text, size, at, "; #%llu %s: %s",
			   (unsigned long long)best[n].serial, cmd,
			   best[n].reason);
	}
}
