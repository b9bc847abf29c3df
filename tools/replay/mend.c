// SPDX-License-Identifier: MIT
/*
 * Guests make mistakes that their IOMMU does not notice, because it caches less
 * than it may. Known is one of Linux 6.12 with VT-d: when an unmapping frees a
 * page table and does not adjoin the range gathered before it, then that one is
 * flushed together with its paging structures, but the range of the freed table
 * later without (IH=1). A cache of paging structures may then lead to the freed
 * table for ever.
 *
 * An access that goes wrong is therefore looked at again, after the leaf, and
 * then after the tables in front of it, have been invalidated in the guest's
 * queue. If the latter alone mends it, it counts as that deviation. With
 * alterations, what was mended without them is mended in advance.
 */
#include <errno.h>
#include <stdlib.h>

#include "replay.h"

static int remember(struct run *run)
{
	struct mends *mends = run->mends;
	uint64_t *lines;

	if (!mends)
		return 0;
	/* grown by doubling: room is the next power of two */
	if (!(mends->nr & (mends->nr - 1))) {
		lines = reallocarray(mends->lines,
				     mends->nr ? mends->nr * 2 : 1,
				     sizeof(*lines));
		if (!lines)
			return run_fail(run, -ENOMEM, "no memory");
		mends->lines = lines;
	}
	mends->lines[mends->nr++] = run->line;
	return 0;
}

static bool remembered(const struct run *run)
{
	const struct mends *mends = run->mends;
	size_t low = 0;
	size_t high = mends ? mends->nr : 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (mends->lines[mid] == run->line)
			return true;
		if (mends->lines[mid] < run->line)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

/* 1: right after all */
static int again(struct run *run, const struct mend *m, bool leaf,
		 struct nestfd_translation *tr)
{
	struct culprit c;
	int rc = run->arch->forget(run, &m->access, leaf);

	if (!rc)
		rc = access_look(run, &m->access, &c, tr);
	return rc ? rc : m->right(run, m->expected, tr);
}

/* *@tr stays as it is if nothing helps. */
static int look_again(struct run *run, const struct mend *m,
		      struct nestfd_translation *tr)
{
	struct nestfd_translation second;
	int rc = again(run, m, true, &second);

	if (rc)
		return rc < 0 ? rc : 0; /* a leaf: nobody else's mistake */
	rc = again(run, m, false, &second);
	if (rc <= 0)
		return rc;
	run->report->deviations[DEV_KEPT_TABLE]++;
	*tr = second;
	return remember(run);
}

int mend(struct run *run, const struct mend *m, struct culprit *c,
	 struct nestfd_translation *tr)
{
	int rc = 0;

	if (run->altered && remembered(run))
		rc = run->arch->forget(run, &m->access, false);
	if (!rc)
		rc = access_look(run, &m->access, c, tr);
	if (rc || run->altered || m->right(run, m->expected, tr) ||
	    (m->refusal && tr->result == NESTFD_ABORTED))
		return rc;
	return look_again(run, m, tr);
}
