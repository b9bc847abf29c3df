#!/bin/sh
# SPDX-License-Identifier: MIT
# Has spin look at every state of ring.pml: none may be wrong; with a mistake
# put in on purpose, one must be. usage: check.sh [-v]
set -eu
cd "$(dirname "$0")"
model=$PWD/ring.pml
command -v spin >/dev/null || { echo "skipped: spin is not installed"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# run FLAG...: prints the number of errors
run() {
	rm -f pan.*
	spin "$@" -a "$model" >spin.log 2>&1 || { cat spin.log >&2; exit 1; }
	gcc -O1 -w -DSAFETY -DVECTORSZ=512 -DMEMLIM=1024 -o pan pan.c
	./pan -m1000000 >pan.log 2>&1 || true
	if [ -n "${verbose:-}" ]; then
		grep -E 'errors:|states, stored|assertion|invalid' pan.log >&2
	fi
	grep -qE 'max search depth too small|out of memory|Search not completed' \
		pan.log && ! grep -q 'errors: [1-9]' pan.log &&
		{ cat pan.log >&2; exit 1; }
	sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log
}

verbose=${1:-} bad=0

right() {
	errors=$(run "$@")
	echo "$*: ${errors:-?} errors"
	[ "$errors" = 0 ] || bad=1
}

wrong() {
	errors=$(run "$@")
	echo "$*: ${errors:-?} errors, as it must"
	[ -n "$errors" ] && [ "$errors" -gt 0 ] || bad=1
}

right -DBITS=0
right -DBITS=1
right -DBITS=2 -DSPECIAL=1
right -DBITS=1 -DSTRETCH -DSPECIAL=1
right -DBITS=0 -DATS -DSTRETCH -DSPECIAL=2
right -DBITS=1 -DATS -DSPECIAL=2 -DTOTAL=6
right -DBITS=1 -DLOST -DSPECIAL=1
right -DBITS=0 -DMAD
right -DBITS=1 -DMAD
wrong -DBROKEN_WRAP    # the wrap flag is ignored
wrong -DBROKEN_FAILING # entries in front of the failing one are not counted
wrong -DBROKEN_PROD    # PROD is written before the entry
wrong -DBROKEN_CONS    # CONS is written before the entries have been read
wrong -DLOST -DBROKEN_INFO # an index that could not be written is not asked
wrong -DATS -DBROKEN_SYNC  # the consumer completes a SYNC that must fail
wrong -DATS -DBROKEN_LATCH # the VMM forgets that the next SYNC must fail
wrong -DMAD -DBROKEN_CHECK # more pending than the queue holds is believed
[ $bad -eq 0 ] || { echo "FAILED" >&2; exit 1; }
