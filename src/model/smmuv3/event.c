// SPDX-License-Identifier: MIT
/* See event.h. */
#include "model/smmuv3/event.h"
