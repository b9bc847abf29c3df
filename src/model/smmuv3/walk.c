// SPDX-License-Identifier: MIT
/* See walk.h. */
#include "model/smmuv3/walk.h"
