// SPDX-License-Identifier: MIT
/* DMA through the mock IOMMU. */
#include <errno.h>
#include <stdio.h>

#include "model/mock/engine.h"

static struct mock_port *to_port(struct model_port *port)
{
	return (struct mock_port *)port;
}

/* What the stream is under; false: nothing, it aborts */
static bool find_root(const struct mock_port *port, uint32_t pasid,
		      struct mock_root *root)
{
	struct mock_engine *e = port->engine;
	uint64_t ssid = pasid == MODEL_NO_PASID ? 0 : (uint64_t)pasid + 1;
	uint64_t key = mock_key(port->config.stream_id, ssid);
	const struct itree_node *node;
	bool found;

	pthread_rwlock_rdlock(&e->lock);
	node = itree_first(&e->streams, key, key);
	found = node &&
		mock_root_of(
			e,
			container_of(node, struct mock_stream, node)->context,
			root);
	pthread_rwlock_unlock(&e->lock);
	return found;
}

/* In a read section, which began before the root was looked up */
void mock_translate(struct model_port *opaque,
		    const struct model_access *access,
		    struct model_translation *out)
{
	struct mock_port *port = to_port(opaque);
	struct mock_root root;
	struct mock_leaf leaf;

	*out = (struct model_translation){ .result = MODEL_ABORTED };
	if (!(access->flags & MODEL_QUIET))
		mock_count(&port->engine->counters.misses);
	if (!find_root(port, access->pasid, &root) ||
	    !mock_walk(port->engine, &root, access->iova, access->flags, &leaf))
		return;
	out->result = MODEL_OK;
	out->read = leaf.read;
	out->write = leaf.write;
	out->exec = leaf.read;
	out->size_lg2 = (uint8_t)leaf.size_lg2;
	out->pa = leaf.pa;
}

static int step(struct model_port *port, const struct model_access *access,
		void *buf, size_t *len, struct model_translation *t)
{
	const struct phys *phys = to_port(port)->engine->host.phys;
	uint64_t left;

	mock_translate(port, access, t);
	if (t->result != MODEL_OK)
		return -EIO;
	left = BIT_ULL(t->size_lg2);
	left -= access->iova & (left - 1);
	if (*len > left)
		*len = left;
	return access->flags & MODEL_WRITE ? phys_write(phys, t->pa, buf, *len)
					   : phys_read(phys, t->pa, buf, *len);
}

int mock_dma(struct model_port *port, const struct model_access *access,
	     void *buf, size_t len, struct model_translation *last)
{
	struct model_access a = *access;
	struct model_translation t;
	char *at = buf;
	int rc = 0;

	reader_enter_of(to_port(port)->engine->host.grace);
	while (len && !rc) {
		size_t done = len;

		rc = step(port, &a, at, &done, &t);
		if (last)
			*last = t;
		at += done;
		len -= done;
		a.iova += done;
		if (!rc && len && !a.iova)
			rc = -EIO; /* there is nothing behind 2^64 - 1 */
	}
	reader_exit();
	return rc;
}

void mock_explain(struct model_port *port, const struct model_access *access,
		  char *text, size_t size)
{
	struct mock_root root;
	struct mock_leaf leaf;

	if (!find_root(to_port(port), access->pasid, &root)) {
		snprintf(text, size, "the stream is under no context: abort");
		return;
	}
	if (!mock_walk(to_port(port)->engine, &root, access->iova,
		       access->flags | MODEL_QUIET, &leaf)) {
		snprintf(text, size, "the table at 0x%llx does not allow it",
			 (unsigned long long)(root.root & MOCK_ROOT_ADDR));
		return;
	}
	snprintf(text, size, "PA 0x%llx in a leaf of 2^%u bytes",
		 (unsigned long long)leaf.pa, leaf.size_lg2);
}
