// SPDX-License-Identifier: MIT
/*
 * Level-1 context descriptors as a port keeps them (policy hostile): valid or
 * not, whatever was fetched may be cached (Arm IHI 0070, 3.21.3), and goes with
 * a CFGI_CD of Leaf 0 for one of its SubstreamIDs, with CFGI_CD_ALL and with
 * the STE (4.3). All is under the port's lock.
 */
#include "model/smmuv3/engine.h"

#include <stdlib.h>

#include "base/alloc.h"

/* SSIDSIZE is at most 20, and a level-2 table has 64 CDs or 1024. */
#define LEAF_LG2 7
#define LEAVES	 BIT_ULL(20 - 6 - LEAF_LG2)

struct l1cd_entry {
	uint64_t epoch;
	struct l1cd l1cd;
};

struct l1cd_cache {
	uint64_t epoch; /* entries of another one are forgotten */
	unsigned int split;
	struct l1cd_entry *leaf[LEAVES];
};

/* NULL: there is no place */
static struct l1cd_entry *entry_at(struct l1cd_cache *cache, uint32_t index)
{
	if (!cache || index >> LEAF_LG2 >= LEAVES ||
	    !cache->leaf[index >> LEAF_LG2])
		return NULL;
	return &cache->leaf[index >> LEAF_LG2][index & low_mask(LEAF_LG2)];
}

bool l1cd_find(struct smmuv3_port *port, uint32_t index, uint64_t addr,
	       struct l1cd *l1cd)
{
	const struct l1cd_entry *entry;
	bool found;

	spin_take(&port->base.lock);
	entry = entry_at(port->l1cds, index);
	found = entry && entry->epoch == port->l1cds->epoch &&
		entry->l1cd.addr == addr;
	if (found)
		*l1cd = entry->l1cd;
	spin_drop(&port->base.lock);
	return found;
}

/* With the lock held; NULL if there is no memory. */
static struct l1cd_entry *entry_make(struct smmuv3_port *port, uint32_t index)
{
	struct l1cd_cache *cache = port->l1cds;

	if (!cache) {
		cache = alloc_zero(sizeof(*cache));
		if (!cache)
			return NULL;
		cache->epoch = 1;
		port->l1cds = cache;
	}
	if (index >> LEAF_LG2 < LEAVES && !cache->leaf[index >> LEAF_LG2])
		cache->leaf[index >> LEAF_LG2] = alloc_array(
			BIT_ULL(LEAF_LG2), sizeof(struct l1cd_entry));
	return entry_at(cache, index);
}

void l1cd_keep(struct smmuv3_port *port, uint64_t seq, uint32_t index,
	       unsigned int split, const struct l1cd *l1cd)
{
	struct l1cd_entry *entry = NULL;

	spin_take(&port->base.lock);
	if (port->base.config_seq == seq)
		entry = entry_make(port, index);
	if (entry) {
		port->l1cds->split = split;
		entry->epoch = port->l1cds->epoch;
		entry->l1cd = *l1cd;
	}
	spin_drop(&port->base.lock);
}

void l1cd_drop(struct smmuv3_port *port, uint32_t ssid)
{
	struct l1cd_entry *entry = NULL;

	if (port->l1cds)
		entry = entry_at(port->l1cds, ssid >> port->l1cds->split);
	if (entry)
		entry->epoch = 0;
}

void l1cd_drop_all(struct smmuv3_port *port)
{
	if (port->l1cds)
		port->l1cds->epoch++;
}

void l1cd_free(struct engine_port *base)
{
	struct smmuv3_port *port = smmu_port(base);

	for (unsigned int n = 0; port->l1cds && n < LEAVES; n++)
		free(port->l1cds->leaf[n]);
	free(port->l1cds);
}
