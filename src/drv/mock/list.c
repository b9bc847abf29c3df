// SPDX-License-Identifier: MIT
/*
 * Arrays of invalidations, on their way to a command list of the hardware: a
 * batch is copied, judged, and carried out by one write to RUN.
 */
#include <errno.h>
#include <sched.h>

#include "base/alloc.h"
#include "drv/mock/unit.h"
#include "nestfd/ext.h"

#define BATCH MOCK_LIST_MAX

/* ---- the lists ---- */

int unit_lists_init(struct mock_unit *unit)
{
	const struct core_hwport *port = &unit->port;
	size_t bytes = BATCH * sizeof(struct mock_list_command);
	char *host;
	int rc;

	rc = port->ops->mem_alloc(port->ctx, MOCK_LISTS * bytes, 4096,
				  &unit->list_mem);
	if (rc)
		return rc;
	host = unit->list_mem.host;
	for (uint32_t i = 0; i < MOCK_LISTS; i++) {
		struct unit_list *list = &unit->lists[i];

		pthread_mutex_init(&list->lock, NULL);
		list->page = MOCK_LIST_PAGE(i);
		list->commands = (void *)(host + i * bytes);
		port->ops->write(port->ctx, list->page + MOCK_LIST_BASE, 8,
				 unit->list_mem.pa + i * bytes);
	}
	return 0;
}

void unit_lists_fini(struct mock_unit *unit)
{
	for (uint32_t i = 0; i < MOCK_LISTS; i++)
		pthread_mutex_destroy(&unit->lists[i].lock);
	unit->port.ops->mem_free(unit->port.ctx, &unit->list_mem);
}

/*
 * The processor's own, as long as there are no more processors than lists: so
 * threads that run at once share nothing.
 */
static struct unit_list *take_list(struct mock_unit *unit)
{
	uint32_t start = (uint32_t)sched_getcpu(); /* -1: any will do */
	struct unit_list *list;

	for (uint32_t i = 0; i < MOCK_LISTS; i++) {
		list = &unit->lists[(start + i) % MOCK_LISTS];
		if (!pthread_mutex_trylock(&list->lock))
			return list;
	}
	list = &unit->lists[start % MOCK_LISTS];
	pthread_mutex_lock(&list->lock);
	return list;
}

/* @done of the first @n commands are carried out; -EIO if that is not all */
static int run_list(const struct mock_unit *unit, const struct unit_list *list,
		    uint32_t n, uint32_t *done)
{
	const struct core_hwport *port = &unit->port;
	uint64_t answer;

	port->ops->write(port->ctx, list->page + MOCK_LIST_RUN, 8, n);
	answer = port->ops->read(port->ctx, list->page + MOCK_LIST_DONE, 8);
	*done = (uint32_t)field_get(MOCK_DONE_COUNT, answer);
	if (field_get(MOCK_DONE_STATUS, answer) == MOCK_OK)
		return 0;
	return field_get(MOCK_DONE_STATUS, answer) == MOCK_NONE ? -ENOENT
								: -EIO;
}

/* ---- an array ---- */

/* Entries [0, @n): those in front of the first bad one are carried out. */
static int carry_out(const struct unit_inval *job, const void *entries,
		     uint32_t n, uint32_t *done)
{
	struct unit_list *list;
	uint32_t good;
	int bad = 0;
	int rc = 0;

	if (job->lock)
		pthread_mutex_lock(job->lock);
	list = take_list(job->unit);
	good = job->convert(job->owner, entries, n, list->commands, &bad);
	if (good)
		rc = run_list(job->unit, list, good, done);
	pthread_mutex_unlock(&list->lock);
	if (job->lock)
		pthread_mutex_unlock(job->lock);
	return rc ? rc : bad;
}

int unit_invalidate(const struct unit_inval *job, struct core_inval *inv)
{
	unsigned char entries[BATCH * UNIT_INVAL_SIZE]
		__attribute__((aligned(8)));
	int rc = 0;

	while (!rc && inv->done < inv->count) {
		uint32_t left = inv->count - inv->done;
		uint32_t copied = 0;
		uint32_t done = 0;
		int bad = 0;

		rc = core_inval_copy(inv, inv->done,
				     left < BATCH ? left : BATCH, entries,
				     job->size, &copied);
		if (copied)
			bad = carry_out(job, entries, copied, &done);
		inv->done += done;
		if (bad) {
			inv->code = NESTFD_ERR_MOCK_ENTRY;
			rc = bad;
		}
	}
	return rc;
}
