// SPDX-License-Identifier: MIT
/* See config.h. */
#include "model/smmuv3/config.h"
