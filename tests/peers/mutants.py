# SPDX-License-Identifier: MIT
"""One rule broken each, by replacing text in a copy of the tree. Linux's
selftests must notice every one: that they pass means something only then."""
import collections

Mutant = collections.namedtuple("Mutant", "name path old new")

MUTANTS = [
    Mutant("unmapping forgets to unpin", "src/core/area.c",
           "	if (ioas->hwpts)\n"
           "		pages_unpin(area->pages, &area->pin, garbage);\n"
           "	pages_put(",
           "	pages_put("),
    Mutant("mappings may overlap", "src/core/area.c",
           "	if (itree_first(&ioas->areas, iova, last))\n"
           "		return -EEXIST;\n", ""),
    Mutant("an access's pins are never given back", "src/core/pages.c",
           "	if (pin && !--pin->accesses) {", "	if (0) {"),
    Mutant("the hardware forgets to set a dirty bit", "src/model/mock/walk.c",
           "	if (write && root->dirty &&",
           "	if (write && root->dirty && (iova & 0x2000) &&"),
    Mutant("core forgets a dirty bit", "src/core/dirty.c",
           "	set_bits(dirty->uptr, (iova - dirty->first) >> dirty->shift,",
           "	set_bits(dirty->uptr, ((iova - dirty->first) >> dirty->shift) + 1,"),
    Mutant("a dirty bit stays although it was read", "src/drv/mock/table.c",
           "			if (clear)\n", "			if (0)\n"),
    Mutant("the driver shifts what it maps", "src/drv/mock/table.c",
           "			store(node, index, (pa + done) | flags);",
           "			store(node, index, (pa + done + 4096) | flags);"),
    Mutant("an invalidation misses its cell", "src/model/mock/list.c",
           "target->cells[__builtin_ctzll(inv.cells)]",
           "target->cells[__builtin_ctzll(inv.cells) ^ 1]"),
    Mutant("an invalidation is not carried out", "src/drv/mock/list.c",
           "		rc = run_list(job->unit, list, good, done);",
           "		*done = good;"),
    Mutant("the entry at fault counts as done", "src/drv/mock/list.c",
           "		inv->done += done;", "		inv->done += done + !!bad;"),
    Mutant("a vIOMMU's guest reaches another vDEVICE",
           "src/drv/mock/viommu.c",
           "			vdev = find_vdev(v, entry[i].virt_id);",
           "			vdev = find_vdev(v, entry[i].virt_id & ~1u);"),
    Mutant("detaching leaves the PASID where it is", "src/drv/mock/domain.c",
           "	hw_attach(dev, pasid, 0);\n", ""),
]
