/* SPDX-License-Identifier: MIT */
/* The mock IOMMU's silicon (hwdef/mock.h). It caches no translation. */
#ifndef MODEL_MOCK_MODEL_H
#define MODEL_MOCK_MODEL_H

#include "model/model.h"

/* Return: 0, -ENOMEM */
int mock_model_create(const struct model_host *host, struct model **model);

#endif
