#!/bin/sh
# SPDX-License-Identifier: MIT
# One object out of an archive, of which only the public names can be seen.
# Usage: archive.sh OBJCOPY AR INPUT OUTPUT SCRATCH CC...
set -e
objcopy=$1 ar=$2 input=$3 output=$4 scratch=$5
shift 5
mkdir -p "$scratch"
"$@" -r -nostdlib -Wl,--whole-archive "$input" -o "$scratch/nestfd.o"
"$objcopy" -w --keep-global-symbol='nestfd_*' "$scratch/nestfd.o"
rm -f "$output"
"$ar" crs "$output" "$scratch/nestfd.o"
