# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
#
# The host's side of a benchmark on real Xen: one boot of the lab (tests/xen) with a scenario of bench/xen/.
# The scenario's notes "sample ..." are the samples; they are kept as they come.

icount=no dom0=pv
xen_usage='  --icount        on a clock that counts instructions: small loads, slow, free of the host'"'"'s noise'

# xen_option ARG...: read an option of the lab; for own_option
xen_option() {
	case $1 in
	--icount) icount=yes; return 1 ;;
	esac
}

# xen_prepare: make the folder $work with the scenario and its files, and install the build in $destdir
xen_prepare() {
	need_programs make python3
	log=$out/$NAME-log
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	make -s -C "$build" bench-programs >/dev/null || die "the programs cannot be built in $build"
	if [ -z "$destdir" ]; then
		make -s -C "$build" install DESTDIR="$work/destdir" >"$work/install.log" 2>&1 ||
			die "make install failed: $(tail -n 3 "$work/install.log")"
		destdir=$work/destdir daemon_program=$work/destdir/usr/sbin/pvbackd
		[ -x "$daemon_program" ] || die "the build is not configured with --prefix=/usr"
	fi
	mkdir "$work/scenarios"
	cp "$BENCH"/xen/*.sh "$build/bench/xen/domcpu" "$build/bench/xen/tcpload" "$work/scenarios/"
	printf "rounds=%d only='%s' small=%s devices='%s'\n" "$rounds" "$only" "$icount" "${devices:-}" >"$work/scenarios/bench.conf"
	[ $icount = no ] || item fact "a clock that counts instructions, small loads"
}

# xen_run SCENARIO: boot the lab and run the scenario; logs go to $log. Status 1 if a check of the scenario failed
xen_run() {
	local scenario=$1 options=(--dom0 "$dom0")
	[ $icount = no ] || options+=(--icount)
	"$SOURCE/tests/xen/run" --destdir "$destdir" --scenario-dir "$work/scenarios" --keep-log "$log" \
		"${options[@]}" "$scenario" | while IFS= read -r line; do
		case $line in
		"note $scenario: sample "*) item "${line#"note $scenario: "}" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done
}
