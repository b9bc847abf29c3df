#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bench/run_client.sh NESTFD CLIENT: what a program under `nestfd run` pays, in
# both ways in, and one that never touches /dev/iommu.
set -eu
nestfd=$1 client=$2
for way in preload seccomp; do
	printf '\n-- a client through %s\n' "$way"
	amount=MANY
	[ "$way" = preload ] || amount=FEW
	"$nestfd" run --iommu=mock --via="$way" -- "$client" calls "$amount"
done
printf '\n-- a program that never opens /dev/iommu, ns per call\n'
echo 'last: ratio of the minimum to that without nestfd, and what it should be'
echo "without nestfd"
exec 4>&1
minima=$("$client" others 3>&1 >&4 4>&-)
read -ra alone <<<"$minima"
for way in preload seccomp; do
	echo "$way"
	"$nestfd" run --via="$way" -- "$client" others "${alone[@]}"
done
