#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What linux.py boots and builds against, from Debian packages unpacked below
# the cache; nothing of it is installed. Prints the folder, in which then are:
#
#   qemu/     QEMU's root of sid, with the libraries it wants, and firmware
#   sysroot/  arm64 libraries and headers of this system's own release
#   linux/    Image, Linux 7.2 of sid's linux-source-7.2 for arm64, unmodified,
#             configured by linux.config (Debian's own arm64 kernel is built
#             without iommufd), and an arm64 busybox
#
# Exit status 77: it cannot be fetched, or this is no Debian; 1: Linux does not
# build.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/nestfd/peers
parts=$cache/linux
source=linux-source-7.2
here=$(cd "$(dirname "$0")" && pwd)

say() { printf 'linux-parts: %s\n' "$*" >&2; }
die() { say "$*"; exit 77; }
. "$here/debs.sh"

fetch_qemu() {
	say "fetching QEMU of sid (some 50 MB)"
	lists_of "$cache/apt-qemu" sid &&
		debs_of qemu-system-arm qemu-efi-aarch64 &&
		unpack_to "$parts/qemu.new" &&
		mv "$parts/qemu.new" "$parts/qemu"
}

# An absolute link would lead out of the sysroot
relative_links() {
	local link
	find "$1" -type l -lname '/*' | while read -r link; do
		ln -sfr "$1$(readlink "$link")" "$link"
	done
}

fetch_sysroot() {
	local release
	release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	say "fetching arm64 libraries of $release (some 10 MB)"
	apt_arch=arm64
	lists_of "$cache/apt-sysroot" "$release" &&
		debs_of libc6-dev liburcu-dev liblzma-dev libjansson-dev \
			libcmocka-dev &&
		unpack_to "$parts/sysroot.new" &&
		relative_links "$parts/sysroot.new" &&
		mv "$parts/sysroot.new" "$parts/sysroot"
}

# The source is the selftests', see kernel-selftests.sh
fetch_linux() {
	local new=$parts/linux.new
	say "fetching Linux's source and busybox of sid (some 170 MB)"
	apt_arch=arm64
	lists_of "$cache/apt-linux" sid &&
		(cd "$place/cache/archives" && rm -f ./*.deb &&
			private_apt download busybox-static) &&
		unpack_to "$new" || return 1
	mkdir -p "$cache/debs"
	ls "$cache/debs/$source"_*.deb >/dev/null 2>&1 ||
		(cd "$cache/debs" && private_apt download "$source") || return 1
	say "unpacking Linux's source"
	dpkg-deb --fsys-tarfile "$(ls "$cache/debs/$source"_*.deb | tail -n 1)" |
		tar -C "$new" -xf - "./usr/src/$source.tar.xz" &&
		tar -C "$new" --exclude='*/drivers/gpu/*.[ch]' \
			--exclude='*/drivers/net/*/*.[ch]' \
			--exclude='*/Documentation/*/*' \
			-xf "$new/usr/src/$source.tar.xz" &&
		rm "$new/usr/src/$source.tar.xz" &&
		mv "$new" "$parts/linux"
}

build_linux() {
	local make=(nice -n 10 make -s -C "$parts/linux/$source" ARCH=arm64
		CROSS_COMPILE=aarch64-linux-gnu-)
	say "building Linux for arm64: some minutes"
	"${make[@]}" KCONFIG_ALLCONFIG="$here/linux.config" allnoconfig &&
		check_config "$parts/linux/$source/.config" &&
		"${make[@]}" -j"$(nproc)" Image &&
		cp "$parts/linux/$source/arch/arm64/boot/Image" \
			"$parts/linux/Image.new" &&
		mv "$parts/linux/Image.new" "$parts/linux/Image" &&
		rm -rf "${parts:?}/linux/$source"
}

# Kconfig drops without a word what depends on something else
check_config() {
	local line bad=0
	while read -r line; do
		grep -qx "$line" "$1" || { say "not taken: $line"; bad=1; }
	done < <(grep ^CONFIG_ "$here/linux.config")
	return $bad
}

command -v dpkg-deb >/dev/null || die "needs a Debian system"
mkdir -p "$parts"
for part in qemu sysroot linux; do
	[ -d "$parts/$part" ] || (set +e; "fetch_$part") ||
		die "$part cannot be fetched: no network, or sid has moved on"
done
[ -f "$parts/linux/Image" ] || build_linux >&2 ||
	{ say "Linux does not build"; exit 1; }
printf '%s\n' "$parts"
