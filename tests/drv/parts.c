// SPDX-License-Identifier: MIT
/* See parts.h; also what the driver calls of core and both fakes have. */
#include "parts.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"

/* ---- memory ---- */

void fakemem_init(struct fakemem *m, size_t page)
{
	memset(m, 0, sizeof(*m));
	m->next_pa = 0x100000000ULL;
	m->page = page;
}

void fakemem_fini(struct fakemem *m)
{
	assert_int_equal(m->live, 0);
	free(m->areas);
}

/* An area's place: one that is free, or a new one */
static size_t place(struct fakemem *m)
{
	size_t i;

	for (i = 0; i < m->n && m->areas[i].host; i++)
		;
	if (i == m->n) {
		m->areas = realloc(m->areas, ++m->n * sizeof(m->areas[0]));
		assert_non_null(m->areas);
	}
	return i;
}

int fakemem_alloc(struct fakemem *m, size_t size, size_t align,
		  struct core_dma_mem *mem)
{
	size_t step = align < m->page ? m->page : align;
	size_t whole = (size + m->page - 1) / m->page * m->page;
	void *host = alloc_aligned(step, whole);
	size_t i;

	if (!host)
		return -ENOMEM;
	i = place(m);
	m->next_pa = (m->next_pa + step - 1) / step * step;
	m->areas[i].host = host;
	m->areas[i].pa = m->next_pa;
	m->areas[i].size = whole;
	m->live++;
	*mem = (struct core_dma_mem){ host, m->next_pa, size, m };
	m->next_pa += whole;
	return 0;
}

void fakemem_free(struct fakemem *m, struct core_dma_mem *mem)
{
	for (size_t i = 0; i < m->n; i++) {
		if (!m->areas[i].host || m->areas[i].host != mem->host)
			continue;
		assert_int_equal(m->areas[i].pa, mem->pa);
		assert_int_equal(m->areas[i].size,
				 (mem->size + m->page - 1) / m->page * m->page);
		assert_ptr_equal(mem->priv, m);
		free(mem->host);
		m->areas[i].host = NULL;
		m->live--;
		return;
	}
	fail_msg("memory freed that was not allocated");
}

void *fakemem_at(const struct fakemem *m, uint64_t pa)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->areas[i].host && pa >= m->areas[i].pa &&
		    pa - m->areas[i].pa < m->areas[i].size)
			return (char *)m->areas[i].host + (pa - m->areas[i].pa);
	}
	fail_msg("nothing at PA %#llx", (unsigned long long)pa);
	return NULL;
}

/* ---- core ---- */

int core_copy_user_data(const struct core_user_data *data, uint32_t type,
			size_t min_len, void *dst, size_t size)
{
	if (data->type != type || data->len < min_len || data->len > size)
		return -EINVAL;
	if (!data->uptr)
		return -EFAULT;
	memset(dst, 0, size);
	memcpy(dst, (void *)(uintptr_t)data->uptr, data->len);
	return 0;
}

/* ---- rigs ---- */

struct core_domain *parts_domain(struct core_device *dev, uint32_t flags)
{
	struct core_domain *d = NULL;

	assert_int_equal(dev->iommu->ops->domain_alloc(dev, flags, &d), 0);
	return d;
}

int parts_attach(struct core_domain *d, struct core_device *dev, uint32_t pasid)
{
	return d->ops->attach(d, dev, pasid);
}

void parts_destroy(struct core_iommu *iommu, struct core_device *dev, int n)
{
	for (int i = 0; i < n; i++)
		iommu->ops->device_remove(&dev[i]);
	iommu->ops->destroy(iommu);
}
