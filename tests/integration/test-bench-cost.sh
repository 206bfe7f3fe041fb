#!/bin/sh
# SPDX-License-Identifier: MIT
# bench/lib/cost makes from the plugin's blocks the instructions of one request, by place and function.
set -eu
[ -n "$(command -v python3)" ] || { echo "SKIP: python3 is missing"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
boot=$dir/boot
mkdir -p "$boot/log/turn1"

echo "ffff82d040200000 T xen_does_it" >"$dir/xen-syms"
echo "ffffffff81000000 T kernel_does_it" >"$boot/log/kallsyms"
echo "ffffffffc0000000 t front_does_it	[xen_blkfront]" >"$boot/log/guest-kallsyms"
echo "ffffffffc0000000 t back_does_it	[xen_blkback]" >"$boot/log/turn1/kallsyms"
cat >"$boot/log/turn1/maps" <<END
process 10 /usr/sbin/pvbackd --isolation=guest
1000-2000 r-xp 00000000 00:01 1 /usr/sbin/pvbackd
process 11 /usr/sbin/pvbackd --internal-guest 1
3000-4000 r-xp 00000000 00:01 1 /usr/sbin/pvbackd
process 12 bash
5000-6000 r-xp 00000000 00:01 1 /usr/bin/bash
END
cat >"$boot/notes" <<END
ok xen-cost-disk: something else
note xen-cost-disk: window 2 read peer 1 10 1
note xen-cost-disk: window 3 read peer 1 20 1
END
# window NUMBER TIMES: write a window with ten requests, TIMES as expensive, and with the work that is always done
window() {
	echo "window $1"
	printf '%s %x %x\n' "ffff82d040200000 4 -" $((10 * $2 + 5)) 0   # in Xen, where only it runs
	printf '%s %x %x\n' "ffff82d040200010 2 vmrun" $((10 * $2)) 0
	printf '%s %x %x\n' "ffff82d040200020 0 movs8" $((100 * $2)) 0  # bytes, and no instructions
	printf '%s %x %x\n' "ffffffff81000000 8 syscall" $((20 * $2)) $((10 * $2)) # the same address in Dom0 and the guest
	printf '%s %x %x\n' "ffffffffc0000004 c -" $((10 * $2)) $((30 * $2))
	printf '%s %x %x\n' "ffffffff81000100 1 hlt" $((10 * $2)) 0 # of a PVH Dom0; Xen then halts, or does something else
	printf '%s %x %x\n' "1010 7 syscall" $((1 * $2)) 0
	printf '%s %x %x\n' "3010 6 syscall" $((20 * $2)) $((10 * $2))
	printf '%s %x %x\n' "5010 9 -" 50 0
	printf '%s %x %x\n' "5020 3 syscall" $((10 * $2)) 0 # of a program that is no backend
	echo end
}
{
	window 1 7 # the warm-up, which no note names
	window 2 1
	window 3 2
} >"$boot/windows"

"${top_srcdir:-.}/bench/lib/cost" "$dir/xen-syms" "$dir/build" "$dir/out" "$boot" >"$dir/samples"

# expect METRIC VALUE: of one request
expect() {
	grep -qx "sample read peer $1 $2" "$dir/samples" && return
	grep " $1 " "$dir/samples"
	echo "$1 is not $2"
	exit 1
}
expect instructions_xen 6.000
expect guest_exits 1.000
expect bytes_moved 80.000
expect instructions_dom0 29.000
expect modelled_us_dom0 0.543
expect instructions_guest 44.000
expect hypercalls 2.000
expect instructions_control 0.700
expect instructions_process 12.000
expect instructions_guestuser 6.000
expect instructions_user 3.000
expect calls 2.100
grep -q "module: kernel 17, xen_blkback 12" "$dir/out.places" || { cat "$dir/out.places"; exit 1; }
grep -q "36 .* front_does_it" "$dir/out.places" || { cat "$dir/out.places"; exit 1; }

# A second boot, in which Xen needs more
cp -r "$boot" "$dir/dearer"
sed 's/^ffff82d040200000 4/ffff82d040200000 e/' "$boot/windows" >"$dir/dearer/windows"
"${top_srcdir:-.}/bench/lib/cost" "$dir/xen-syms" "$dir/build" "$dir/out" "$boot" "$dir/dearer" >"$dir/samples"
grep -q "instructions_xen .* boots: 6.00 16.00$" "$dir/out.places" || { cat "$dir/out.places"; exit 1; }
grep -A 1 "the boots differ most by" "$dir/out.places" | grep -Eq "xen +xen_does_it +6 +16$" || { cat "$dir/out.places"; exit 1; }
