#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Linux 7.2's own iommufd selftests, unmodified, built outside this tree.
# Prints the folder with the programs `iommufd` and `iommufd_fail_nth`.
#
# The source is Debian's linux-source-7.2 from sid, with the headers of the same
# version (linux-libc-dev). Neither is installed: an apt configuration of its
# own, under the cache, downloads the two packages, and dpkg-deb unpacks them
# there. The system's sources, lists and packages are not touched.
#
# NESTFD_PEERS_DEBS=DIR takes the two packages from there instead.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/nestfd/peers
source=linux-source-7.2
bin=$cache/kernel-7.2

say() { printf 'kernel-selftests: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
. "$(dirname "$0")/debs.sh"

fetch() {
	mkdir -p "$cache/debs"
	if [ -n "${NESTFD_PEERS_DEBS:-}" ]; then
		cp "$NESTFD_PEERS_DEBS/$source"_*.deb \
			"$NESTFD_PEERS_DEBS"/linux-libc-dev_*.deb "$cache/debs/"
		return
	fi
	(lists_of "$cache/apt" sid && cd "$cache/debs" &&
		private_apt download "$source" linux-libc-dev) ||
		die "sid gives no $source; put the packages of 7.2 into a folder and name it by NESTFD_PEERS_DEBS"
}

one_deb() {
	local debs=("$cache/debs/$1"_*.deb)
	[ -f "${debs[0]}" ] || die "no $1 among the packages"
	printf '%s\n' "${debs[${#debs[@]}-1]}"
}

unpack() {
	local tree=$cache/$source
	rm -rf "$cache/deb" "$cache/uapi" "$tree"
	mkdir -p "$cache/deb" "$cache/uapi"
	dpkg-deb -x "$(one_deb "$source")" "$cache/deb"
	dpkg-deb -x "$(one_deb linux-libc-dev)" "$cache/uapi"
	say "unpacking what the selftests need of $source"
	tar -C "$cache" --wildcards -xf "$cache/deb/usr/src/$source.tar.xz" \
		"$source/tools/testing/selftests/iommu" \
		"$source/tools/testing/selftests/kselftest*" \
		"$source/drivers/iommu/iommufd/iommufd_test.h"
	rm -rf "$cache/deb"
}

# As the selftests' own Makefile has it, with the headers of their version
compile() {
	local include=$cache/uapi/usr/include name
	local dir=$cache/$source/tools/testing/selftests/iommu
	local triplet
	triplet=$(gcc -print-multiarch)
	mkdir -p "$bin.new"
	for name in iommufd iommufd_fail_nth; do
		gcc -Wall -O2 -Wno-unused-function -D_GNU_SOURCE= \
			-isystem "$include/$triplet" -isystem "$include" \
			-I"$dir/.." "$dir/$name.c" -o "$bin.new/$name" -lcap ||
			die "$name does not compile (libcap-dev is needed)"
	done
	rm -rf "$bin"
	mv "$bin.new" "$bin"
}

if [ ! -x "$bin/iommufd_fail_nth" ]; then
	command -v dpkg-deb >/dev/null || die "needs a Debian system"
	mkdir -p "$cache"
	ls "$cache/debs/$source"_*.deb >/dev/null 2>&1 || fetch
	unpack
	compile >&2
fi
printf '%s\n' "$bin"
