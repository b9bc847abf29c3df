#!/bin/sh
# SPDX-License-Identifier: MIT
# expect.sh PROGRAM FILE: runs PROGRAM, whose output must be FILE's.
"$1" | diff -u "$2" -
