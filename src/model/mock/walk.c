// SPDX-License-Identifier: MIT
/* Walking the mock IOMMU's tables. */
#include <errno.h>

#include "base/le.h"
#include "model/mock/engine.h"

/* Sets the dirty bit of a word that may change under us; false: it has. */
static bool set_dirty(const struct mock_engine *e, uint64_t pa, uint64_t pte)
{
	uint64_t seen = htole64(pte);
	uint64_t now = htole64(pte | MOCK_PTE_DIRTY);
	int rc;

	if (pte & MOCK_PTE_DIRTY)
		return true;
	do {
		rc = phys_cas64(e->host.phys, pa, &seen, now);
	} while (rc == -EAGAIN && seen == htole64(pte));
	return !rc;
}

/* One try; @changed: a word changed between look and mark, look again. */
static bool walk_once(const struct mock_engine *e, const struct mock_root *root,
		      uint64_t iova, uint32_t flags, struct mock_leaf *leaf,
		      bool *changed)
{
	unsigned int level = field_get(MOCK_ROOT_LEVELS, root->root);
	uint64_t table = root->root & MOCK_ROOT_ADDR;
	uint64_t raw, pte, size, at;
	bool write = flags & MODEL_WRITE;

	*changed = false;
	if (!level || level > MOCK_LEVELS_MAX || iova >> mock_level_lg2(level))
		return false;
	do {
		level--;
		at = table + mock_index(iova, level) * sizeof(uint64_t);
		if (phys_load64(e->host.phys, at, &raw))
			return false;
		pte = le64toh(raw);
		if (!(pte & MOCK_PTE_VALID))
			return false;
		table = pte & MOCK_PTE_ADDR;
	} while (!(pte & MOCK_PTE_LEAF) && level);
	if (!(pte & MOCK_PTE_LEAF))
		return false;
	if (!(flags & MOCK_ANY_ACCESS) &&
	    !(pte & (write ? MOCK_PTE_WRITE : MOCK_PTE_READ)))
		return false;
	if (write && root->dirty && !(flags & MODEL_QUIET) &&
	    !set_dirty(e, at, pte)) {
		*changed = true;
		return false;
	}
	size = BIT_ULL(mock_level_lg2(level));
	leaf->size_lg2 = mock_level_lg2(level);
	leaf->pa = (table & ~(size - 1)) | (iova & (size - 1));
	leaf->read = pte & MOCK_PTE_READ;
	leaf->write = pte & MOCK_PTE_WRITE;
	return true;
}

bool mock_walk(const struct mock_engine *e, const struct mock_root *root,
	       uint64_t iova, uint32_t flags, struct mock_leaf *leaf)
{
	bool changed = true;
	bool found = false;

	/* As often as anybody could reasonably change one word meanwhile */
	for (int i = 0; i < 64 && changed; i++)
		found = walk_once(e, root, iova, flags, leaf, &changed);
	return found;
}
