# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by the other scripts here: Debian packages of any release and
# architecture into a folder, without touching the system's sources, lists and
# packages. Wants $cache, and die() and say().
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# private_apt WORDS...: apt-get that knows nothing but our own lists, in $place
private_apt() {
	apt-get -q \
		-o Dir::Etc::sourcelist="$place/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferences=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::State="$place/state" \
		-o Dir::State::status="$place/status" \
		-o Dir::Cache="$place/cache" \
		-o APT::Sandbox::User=root \
		-o APT::Architecture="${apt_arch:-$(dpkg --print-architecture)}" \
		-o APT::Install-Recommends=false "$@" >&2
}

# The mirror that this system uses for Debian itself
mirror() {
	local uri
	uri=$(apt-get indextargets --format '$(REPO_URI)' "Origin: Debian" \
		"Created-By: Packages" 2>/dev/null | grep -v security | sort -u |
		head -n 1)
	[ -n "$uri" ] || die "apt knows no Debian mirror (apt-get update?)"
	printf '%s\n' "$uri"
}

# lists_of PLACE SUITE: an empty system that could install from SUITE
lists_of() {
	local uri
	place=$1
	[ -f "$keyring" ] || die "needs $keyring (debian-archive-keyring)"
	uri=$(mirror) || return 1
	mkdir -p "$place/state/lists/partial" "$place/cache/archives/partial"
	: >"$place/status"
	echo "deb [signed-by=$keyring] $uri $2 main" \
		>"$place/sources.list"
	private_apt -o APT::Update::Error-Mode=any update
}

# debs_of NAME...: downloads them and all that they depend on
debs_of() {
	rm -f "$place/cache/archives"/*.deb
	private_apt install -y --download-only "$@"
}

# unpack_to FOLDER NAME...: what debs_of has brought; NAMEs: only these
unpack_to() {
	local to=$1 name deb
	shift
	rm -rf "$to"
	mkdir -p "$to"
	[ $# -gt 0 ] || set -- '*'
	for name in "$@"; do
		for deb in "$place/cache/archives/"${name}_*.deb; do
			dpkg-deb -x "$deb" "$to" || return 1
		done
	done
}
