# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What tools/check and tools/demo share. Sourced with $top set to the checkout.

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# packages_in FILE...: print the names of packages, without comments
packages_in() { sed -e 's/#.*//' "$@" | tr -s '[:space:]' '\n' | grep . | sort -u; }

missing_packages() {
	local name
	for name in "$@"; do
		dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -q '^installed$' || echo "$name"
	done
}

# install_packages FILE...: install those packages in the files that are missing
install_packages() {
	local wanted lacking
	mapfile -t wanted < <(packages_in "$@")
	mapfile -t lacking < <(missing_packages "${wanted[@]}")
	[ ${#lacking[@]} -gt 0 ] || return 0
	[ "$(id -u)" -eq 0 ] || die "not root, and these packages are missing: ${lacking[*]}"
	echo "installing: ${lacking[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq && apt-get install -y -qq --no-install-recommends "${lacking[@]}" >/dev/null
}

# prepare_source: make ./configure, if it is older than its sources
prepare_source() {
	if [ ! -x "$top/configure" ] || [ -n "$(find "$top/configure.ac" "$top/Makefile.am" -newer "$top/configure")" ]; then
		"$top/autogen.sh" >"$build/autogen.log" 2>&1 || { tail -n 20 "$build/autogen.log" >&2; return 1; }
	fi
}

# configure_build DIR ARG...: configure a build in a folder of its own
configure_build() {
	local dir=$build/$1
	shift
	mkdir -p "$dir"
	(cd "$dir" && "$top/configure" --prefix=/usr --sysconfdir=/etc --localstatedir=/var --enable-werror "$@") \
		>"$dir/configure.out" 2>&1 || { tail -n 20 "$dir/configure.out" >&2; return 1; }
}
