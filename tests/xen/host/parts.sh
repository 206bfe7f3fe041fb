# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The recipes of the lab's parts. For each part there are two functions: part_NAME makes $CACHE/NAME, and inputs_NAME prints what
# it is made from, one a line: other parts, file:PATH, fn:FUNCTION, text:WORD.

# What differs between releases of Debian: the suite (empty: that of this machine), the version of Xen, whether there is a 32-bit
# kernel, and packages with other names. For another release than this machine's, RELEASE_PACKAGES also has the libraries that the
# build under test is built with (../install-for) and runs with.
case $RELEASE in
12) SUITE='' XEN=4.17 ARCHS=(amd64 i386) RELEASE_PACKAGES=(libaio1) ICU=72 ;;
13) SUITE=trixie XEN=4.20 ARCHS=(amd64) ICU=76
	mapfile -t RELEASE_PACKAGES < <(grep -- '^lib.*-dev$' "$LAB/../../tools/packages")
	RELEASE_PACKAGES+=(libvirt-daemon-driver-xen libvirt-clients) ;;
*) die "release $RELEASE: 12 and 13 are known" ;;
esac

ALL_PARTS=("${ARCHS[@]/#/packages-}" "${ARCHS[@]/#/tree-}" xen "${ARCHS[@]/#/linux-}" dom0.cpio small-amd64.cpio root-amd64.ext4
	guests.ext4)
for arch in "${ARCHS[@]}"; do ALL_PARTS+=("guest-$arch.cpio"); done

KERNEL_PACKAGE_amd64=linux-image-amd64
KERNEL_PACKAGE_i386=linux-image-686-pae

# The packages that the initramfs of a guest and its root file system are made from.
GUEST_PACKAGES=(bash dash base-files coreutils mount util-linux grep sed mawk findutils procps kmod iproute2 iputils-ping
	ethtool fio iperf3 e2fsprogs busybox-static tar gzip)
DOM0_PACKAGES=("xen-utils-$XEN" xenstore-utils qemu-system-xen seabios "${RELEASE_PACKAGES[@]}" libnl-3-200
	libnl-route-3-200 "libxenmisc$XEN" tcpdump psmisc strace diffutils grub-xen-host grub-xen-bin
	qemu-utils radvd openvswitch-switch)
# Firmware with frontends of its own, the ROMs of the emulated NICs, and kexec, with which a guest boots another kernel.
FRONTEND_PACKAGES=(ipxe ipxe-qemu kexec-tools)
PACKAGES_amd64=("$KERNEL_PACKAGE_amd64" "xen-hypervisor-$XEN-amd64" "${GUEST_PACKAGES[@]}" "${DOM0_PACKAGES[@]}" "${FRONTEND_PACKAGES[@]}")
PACKAGES_i386=("$KERNEL_PACKAGE_i386" "${GUEST_PACKAGES[@]}")

# Modules; those that they depend on are found by modprobe. EMULATED_MODULES are for guests that use QEMU's disk and NIC: Dom0 gives
# them to the guest.
EMULATED_MODULES=(ata_piix sd_mod e1000 8139cp)
DOM0_MODULES=(xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs tun bridge openvswitch 8021q veth loop nvme ext4
	crc32c_generic null_blk xen-blkback xen-netback "${EMULATED_MODULES[@]}")
GUEST_MODULES=(xen-blkfront xen-netfront 8021q ext4 crc32c_generic)
# The programs in the guest's initramfs, in addition to busybox.
GUEST_PROGRAMS=(usr/bin/fio usr/bin/iperf3 usr/sbin/ethtool usr/bin/ping usr/bin/ip usr/sbin/mke2fs usr/sbin/e2fsck)

# fio is linked with these libraries, but does not use them here. They would be half of an initramfs, which each guest has to load
# and unpack. Stubs take their place: libraries with only the symbols that fio needs, which begin with the words on the right.
declare -A GUEST_STUBS=([librados.so.2]=rados_ [librbd.so.1]=rbd_ [libicudata.so.$ICU]=icudt)

# ---- the machinery ----

# text WORD...: print the words as inputs, one a line
text() { printf 'text:%s\n' "$@"; }

# part_key NAME: print a hash over the recipe of the part and all its inputs
part_key() {
	local fn=${1//[.-]/_} input
	{
		declare -f "part_$fn"
		while IFS= read -r input; do
			case $input in
			text:*) printf '%s\n' "$input" ;;
			file:*) cat "$LAB/${input#file:}" ;;
			fn:*) declare -f "${input#fn:}" ;;
			*) cat "$CACHE/stamp/$input" ;;
			esac
		done < <("inputs_$fn")
	} | sha256sum | cut -d' ' -f1
}

# make_part NAME: make the part, unless the one in the cache was made by the same recipe from the same inputs
make_part() {
	local part=$1 fn=${1//[.-]/_} inputs input key start
	[ "$(type -t "part_$fn")" = function ] || die "no such part: $part"
	mapfile -t inputs < <("inputs_$fn")
	for input in "${inputs[@]}"; do
		case $input in
		text:* | file:* | fn:*) ;;
		*) make_part "$input" ;;
		esac
	done
	key=$(part_key "$part")
	if [ -f "$CACHE/stamp/$part" ] && [ "$(cat "$CACHE/stamp/$part")" = "$key" ]; then
		return 0
	fi
	start=$SECONDS
	rm -rf "$CACHE/stamp/$part" "${CACHE:?}/$part"
	(set -eu -o pipefail && "part_$fn") >"$CACHE/$part.log" 2>&1 &
	wait $! || {
		tail -n 30 "$CACHE/$part.log" >&2
		die "making $part failed; all of it is in $CACHE/$part.log"
	}
	printf '%s\n' "$key" >"$CACHE/stamp/$part"
	say "made $part in $((SECONDS - start)) s"
}

# ---- packages ----

# private_apt ARCH COMMAND...: run apt-get with a package state of its own, so that it installs nothing on this machine and adds no
# architecture. Its sources are this machine's; for another release, they are made from the address of this machine's mirror.
private_apt() {
	local arch=$1 root="$CACHE/apt-$1" sources=()
	shift
	if [ -n "$SUITE" ]; then
		sources=(-o "Dir::Etc::sourcelist=$root/sources.list" -o Dir::Etc::sourceparts=/dev/null)
		mkdir -p "$root"
		printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
			"$(apt-get indextargets --format '$(REPO_URI)' | grep '/debian/$' | head -n 1)" "$SUITE" >"$root/sources.list"
	fi
	mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial"
	: >"$root/status"
	apt-get -q "${sources[@]}" -o APT::Architecture="$arch" -o APT::Architectures::="$arch" \
		-o Dir::State="$root/state" -o Dir::State::status="$root/status" -o Dir::Cache="$root/cache" \
		-o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 -o Acquire::Languages=none \
		-o Acquire::Retries=3 -o APT::Install-Recommends=0 -o APT::Install-Suggests=0 "$@"
}

# fetch_packages ARCH PACKAGE...: download the packages and all that they depend on to $CACHE/packages-ARCH
fetch_packages() {
	local arch=$1
	shift
	rm -rf "$CACHE/apt-$arch/cache/archives"
	private_apt "$arch" update || echo "update incomplete; going on with the lists there are"
	private_apt "$arch" -y --download-only install "$@"
	mkdir "$CACHE/packages-$arch"
	mv "$CACHE/apt-$arch/cache/archives"/*.deb "$CACHE/packages-$arch/"
}
inputs_packages_amd64() { text $SUITE "${PACKAGES_amd64[@]}"; }
part_packages_amd64() { fetch_packages amd64 "${PACKAGES_amd64[@]}"; }
inputs_packages_i386() { text "${PACKAGES_i386[@]}"; }
part_packages_i386() { fetch_packages i386 "${PACKAGES_i386[@]}"; }

# unpack_package TREE DEB: unpack it, except the files that no machine of the lab reads (prune)
unpack_package() {
	local member
	member=$(ar t "$2" | grep '^data\.tar')
	ar p "$2" "$member" |
		case $member in
		*.xz) xz -dc ;;
		*.gz) gzip -dc ;;
		*.zst) zstd -dc ;;
		*) cat ;;
		esac |
		tar -x -f - --no-same-owner --keep-directory-symlink -C "$1" --exclude-from="$LAB/host/prune"
}

# make_tree ARCH: make $CACHE/tree-ARCH, a tree with merged /usr that has the files of all packages
make_tree() {
	local tree="$CACHE/tree-$1" deb dir
	mkdir -p "$tree/usr"
	for dir in bin sbin lib lib32 lib64 libx32; do
		mkdir "$tree/usr/$dir"
		ln -s "usr/$dir" "$tree/$dir"
	done
	for deb in "$CACHE/packages-$1"/*.deb; do
		unpack_package "$tree" "$deb"
	done
	ln -sf mawk "$tree/usr/bin/awk"
	depmod -b "$tree" "$(kernel_version "$1")"
}
kernel_version() {
	local dirs=("$CACHE/tree-$1/usr/lib/modules"/*)
	basename "${dirs[0]}"
}
inputs_tree_amd64() { printf '%s\n' packages-amd64 file:host/prune fn:make_tree fn:unpack_package; }
part_tree_amd64() { make_tree amd64; }
inputs_tree_i386() { printf '%s\n' packages-i386 file:host/prune fn:make_tree fn:unpack_package; }
part_tree_i386() { make_tree i386; }

# ---- kernels and the hypervisor ----

inputs_xen() { printf '%s\n' tree-amd64 fn:allow_accessed_pdptes; }
part_xen() {
	gzip -dc "$CACHE/tree-amd64/boot/xen-$XEN-amd64.gz" >"$CACHE/xen"
	allow_accessed_pdptes "$CACHE/xen"
}

# The addresses and names of all functions in Xen, for bench/xen-cost. No machine of the lab needs them, so the part is not in
# ALL_PARTS and is made only when it is asked for by its name.
inputs_xen_syms() { printf '%s\n' packages-amd64 fn:private_apt; }
part_xen_syms() {
	local name=xen-hypervisor-$XEN-amd64 version dir="$CACHE/xen-syms.deb"
	version=$(echo "$CACHE/packages-amd64/${name}_"*.deb)
	version=${version##*/"${name}"_} version=${version%_amd64.deb}
	rm -rf "$dir"
	mkdir "$dir"
	private_apt amd64 update || echo "update incomplete; going on with the lists there are"
	(cd "$dir" && private_apt amd64 download "$name-dbg=$version")
	dpkg-deb --fsys-tarfile "$dir"/*.deb | tar -x -O -f - ./usr/lib/debug/boot/xen-syms-$XEN-amd64 >"$dir/syms"
	nm -n "$dir/syms" >"$CACHE/xen-syms"
	rm -rf "$dir"
}

# allow_accessed_pdptes XEN: QEMU sets the accessed bit in the page-directory pointers of a PAE guest; no real processor does. When Xen
# walks the guest's page tables, it takes the bit for a reserved one, cannot fetch the instruction, and the guest hangs at its first
# intercept. This function removes the bit from the constant 0xfff00000000001e6 of that walk.
allow_accessed_pdptes() {
	local at
	at=$(LC_ALL=C grep -obUaP '\x48\xb9\xe6\x01\x00\x00\x00\x00\xf0\xff' "$1" | cut -d: -f1)
	[[ $at =~ ^[0-9]+$ ]] || { say "Xen's check of page-directory pointers was not found: 32-bit Linux guests will hang"; return 0; }
	printf '\xc6' | dd of="$1" bs=1 seek=$((at + 2)) conv=notrunc status=none
}

# number_at FILE OFFSET BYTES: print a little-endian number of the file
number_at() { od -A n -j "$2" -N "$3" -t "u$3" "$1" | tr -d ' '; }

# make_linux ARCH: make $CACHE/linux-ARCH/{vmlinuz,vmlinux}. For a PVH guest the toolstack would unpack the bzImage, which takes long
# under emulation, so the kernel is unpacked here.
make_linux() {
	local out="$CACHE/linux-$1" image setup offset length
	mkdir "$out"
	image=$(echo "$CACHE/tree-$1"/boot/vmlinuz-*)
	cp "$image" "$out/vmlinuz"
	setup=$(number_at "$image" $((0x1f1)) 1)
	offset=$(number_at "$image" $((0x248)) 4)
	length=$(number_at "$image" $((0x24c)) 4)
	head -c $(((setup + 1) * 512 + offset + length - 4)) "$image" | tail -c $((length - 4)) >"$out/payload"
	case $(od -A n -N 4 -t x1 "$out/payload") in
	' 28 b5 2f fd') zstd -qdc "$out/payload" >"$out/vmlinux" ;;
	*) xz -dc "$out/payload" >"$out/vmlinux" ;;
	esac
	rm "$out/payload"
}
inputs_linux_amd64() { printf '%s\n' tree-amd64 fn:make_linux; }
part_linux_amd64() { make_linux amd64; }
inputs_linux_i386() { printf '%s\n' tree-i386 fn:make_linux; }
part_linux_i386() { make_linux i386; }

# ---- what machines boot from ----

# libraries_of TREE FILE...: print the paths in TREE of the interpreters and libraries that the files need
libraries_of() {
	local tree=$1 path name queue
	local -A where=() seen=()
	shift
	while IFS= read -r path; do
		where[${path##*/}]=$path
	done < <(cd "$tree" && find usr/lib usr/lib64 \( -name '*.so' -o -name '*.so.*' \))
	queue=("$@")
	while [ ${#queue[@]} -gt 0 ]; do
		path=${queue[0]}
		queue=("${queue[@]:1}")
		while IFS= read -r name; do
			name=${name##*/}
			[ -z "${seen[$name]:-}" ] || continue
			seen[$name]=1
			[ -z "${GUEST_STUBS[$name]:-}" ] || continue
			[ -n "${where[$name]:-}" ] || { echo "no $name in $tree" >&2; return 1; }
			printf '%s\n' "${where[$name]}"
			queue+=("$tree/${where[$name]}")
		done < <(
			readelf -dl "$path" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p; s/.*interpreter: \(.*\)\]/\1/p'
			[ "${path##*/}" != libc.so.6 ] || echo libgcc_s.so.1 # libc loads it when a thread is cancelled
		)
	done
}

# copy_with_libraries TREE TO PATH...: copy programs of TREE and their libraries; follow symbolic links
copy_with_libraries() {
	local tree=$1 to=$2 path paths
	shift 2
	mapfile -t paths < <(libraries_of "$tree" "${@/#/$tree/}")
	for path in "$@" "${paths[@]}"; do
		mkdir -p "$to/$(dirname "$path")"
		cp -L --remove-destination "$tree/$path" "$to/$path"
	done
}

# stub_library ARCH FILE SYMBOL...: make a library that has these symbols and no code
stub_library() {
	local file=$2 bits=--64 format=elf_x86_64 symbol
	[ "$1" = amd64 ] || bits=--32 format=elf_i386
	shift 2
	for symbol; do
		printf '.globl %s\n.type %s,@object\n.size %s,16\n%s: .zero 16\n' "$symbol" "$symbol" "$symbol" "$symbol"
	done | { echo .data && cat; } | as $bits -o "$file.o" -
	ld -m $format -shared -soname "${file##*/}" -o "$file" "$file.o"
	rm "$file.o"
}

# stub_libraries ARCH ROOT: make a stub for each library that copy_with_libraries has left out
stub_libraries() {
	local root=$2 name dir symbols
	dir=$(dirname "$(find "$root/usr/lib" -name libc.so.6)")
	for name in "${!GUEST_STUBS[@]}"; do
		mapfile -t symbols < <(nm -D --undefined-only "$root"/usr/bin/fio "$dir"/*.so* |
			sed -n "s/^ *U \(${GUEST_STUBS[$name]}[a-z0-9_]*\).*/\1/p" | sort -u)
		stub_library "$1" "$dir/$name" "${symbols[@]}"
	done
}

# copy_module FROM TO: copy it, uncompressed, as insmod needs it
copy_module() {
	case $1 in
	*.xz) xz -dc "$1" >"$2" ;;
	*) cp "$1" "$2" ;;
	esac
}

# copy_modules ARCH TO MODULE...: copy the modules and those that they depend on, and write their paths in the order of loading to
# TO/modules.list; built-in ones are left out
copy_modules() {
	local arch=$1 to=$2 version tree module path
	shift 2
	version=$(kernel_version "$arch")
	tree=$CACHE/tree-$arch
	for module; do
		modprobe -d "$tree" -S "$version" --show-depends "$module"
	done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' |
		while IFS= read -r path; do
			path=${path#"$tree"}
			mkdir -p "$to/usr/$(dirname "$path")"
			copy_module "$tree$path" "$to/usr${path%.xz}"
			printf '%s\n' "${path%.xz}"
		done >"$to/modules.list"
	cp "$tree/usr/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$to/usr/lib/modules/$version/"
	depmod -b "$to" "$version"
}

# pack_cpio DIR FILE: make a reproducible initramfs of a folder
pack_cpio() { (cd "$1" && find . -print0 | LC_ALL=C sort -z | cpio --quiet -o -0 -H newc -R 0:0 --reproducible) >"$2"; }

# The root of Dom0, without what each run adds (init, the build under test, the scenarios).
inputs_dom0_cpio() {
	printf '%s\n' tree-amd64 fn:copy_modules fn:copy_module
	text "${DOM0_MODULES[@]}"
}
part_dom0_cpio() {
	local root="$CACHE/dom0.root"
	rm -rf "$root"
	mkdir "$root"
	(cd "$CACHE/tree-amd64" && find . '(' -path ./boot -o -path ./usr/lib/modules -o -path ./usr/include -o -name '*.a' ')' -prune -o -print0 |
		cpio --quiet -p -d -0 -l "$root")
	mkdir -p "$root"/{proc,sys,dev,run,tmp,mnt,var/log/xen,var/lib/xen,root}
	copy_modules amd64 "$root" "${DOM0_MODULES[@]}"
	rm -rf "$root"/usr/lib/udev/rules.d "$root"/etc/xen/xl.conf
	pack_cpio "$root" "$CACHE/dom0.cpio"
	rm -rf "$root"
}

# make_guest_root ARCH DIR PROGRAM...: make the content of a guest's initramfs: busybox, modules, init, agent and the programs
make_guest_root() {
	local arch=$1 root=$2 tree="$CACHE/tree-$1" applet
	shift 2
	rm -rf "$root"
	mkdir -p "$root"/{proc,sys,dev,run,tmp,mnt,root,etc,usr/bin,usr/sbin,usr/lib,usr/lib64}
	for applet in bin sbin lib lib64; do
		ln -s "usr/$applet" "$root/$applet"
	done
	for applet in $("$BUSYBOX" --list); do
		ln -s busybox "$root/usr/bin/$applet"
	done
	cp --remove-destination "$tree/usr/bin/busybox" "$root/usr/bin/busybox"
	if [ $# -gt 0 ]; then
		copy_with_libraries "$tree" "$root" "$@"
		stub_libraries "$arch" "$root"
	fi
	copy_modules "$arch" "$root" "${GUEST_MODULES[@]}"
	install -m 755 "$LAB/guest/init" "$root/init"
	install -m 755 "$LAB/guest/agent" "$root/usr/sbin/lab-agent"
}
inputs_of_guest() {
	printf '%s\n' "tree-$1" file:guest/init file:guest/agent fn:make_guest_root fn:copy_modules fn:copy_module fn:libraries_of fn:stub_library fn:stub_libraries
	text "${GUEST_MODULES[@]}" "${GUEST_PROGRAMS[@]}" "${!GUEST_STUBS[@]}" "${GUEST_STUBS[@]}"
}
make_guest_cpio() {
	make_guest_root "$1" "$CACHE/guest.root" "${GUEST_PROGRAMS[@]}"
	pack_cpio "$CACHE/guest.root" "$CACHE/guest-$1.cpio"
	rm -rf "$CACHE/guest.root"
}
inputs_guest_amd64_cpio() { inputs_of_guest amd64 && echo fn:make_guest_cpio; }
part_guest_amd64_cpio() { make_guest_cpio amd64; }
inputs_guest_i386_cpio() { inputs_of_guest i386 && echo fn:make_guest_cpio; }
part_guest_i386_cpio() { make_guest_cpio i386; }

# An HVM guest reads its initramfs byte by byte from the device model. So this one is as small as possible, and only mounts the root
# file system.
inputs_small_amd64_cpio() { inputs_of_guest amd64; }
part_small_amd64_cpio() {
	local root="$CACHE/small.root"
	make_guest_root amd64 "$root"
	rm -f "$root"/usr/lib/modules/*/modules.*
	pack_cpio "$root" "$root.cpio"
	xz --check=crc32 -c "$root.cpio" >"$CACHE/small-amd64.cpio"
	rm -rf "$root" "$root.cpio"
}

# The root file system of an HVM guest: the unpacked packages, with the agent as its only service.
inputs_root_amd64_ext4() { printf '%s\n' tree-amd64 file:guest/agent; }
part_root_amd64_ext4() {
	local root="$CACHE/root.root"
	rm -rf "$root"
	mkdir "$root"
	(cd "$CACHE/tree-amd64" && find . -path ./boot -prune -o -path './usr/lib/modules' -prune -o \
		-path './usr/lib/xen*' -prune -o -path './usr/share/qemu*' -prune -o -print0 |
		cpio --quiet -p -d -0 -l "$root")
	mkdir -p "$root"/{proc,sys,dev,run,tmp,mnt,root}
	install -m 755 "$LAB/guest/agent" "$root/usr/sbin/lab-agent"
	mke2fs -q -t ext4 -d "$root" "$CACHE/root-amd64.ext4" 1G
	rm -rf "$root"
}

# The kernels and initramfs images of the guests, in a file system on a disk of Dom0.
inputs_guests_ext4() {
	local arch
	for arch in "${ARCHS[@]}"; do printf '%s\n' "linux-$arch" "guest-$arch.cpio"; done
	printf '%s\n' tree-amd64 small-amd64.cpio
}
part_guests_ext4() {
	local root="$CACHE/guests.root" arch
	rm -rf "$root"
	mkdir "$root"
	ln "$CACHE/linux-amd64/vmlinuz" "$root/vmlinuz-amd64"
	ln "$CACHE/small-amd64.cpio" "$root/small-amd64.cpio"
	for arch in "${ARCHS[@]}"; do
		ln "$CACHE/linux-$arch/vmlinux" "$root/vmlinux-$arch"
		ln "$CACHE/guest-$arch.cpio" "$root/guest-$arch.cpio"
	done
	ln "$CACHE"/tree-amd64/{boot,usr/lib/ipxe}/ipxe.lkrn "$root/" 2>/dev/null || [ -e "$root/ipxe.lkrn" ] # the path depends on the release
	mke2fs -q -t ext4 -d "$root" "$CACHE/guests.ext4" 384M
	rm -rf "$root"
}
