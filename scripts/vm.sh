#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A guest: a throw-away machine with the devices that this one lacks, for one command.
#
#      this machine                            the guest
#    +--------------------------+            +------------------------------------+
#    | /  ----------------------+-- 9p, ro --+-> / of the same files; changes are |
#    |                          |            |   kept in the guest's memory       |
#    | stdout, stderr  <--------+-- virtio --+-- COMMAND, root, the same folder   |
#    | exit status     <--------+-- virtio --+--                                  |
#    |                          |            |   IOMMU, and the devices of --qemu |
#    +--------------------------+            +------------------------------------+
#
# Processors are emulated, so that it works where there is no /dev/kvm, or one that does not: times
# mean nothing. The kernel is Debian's, unpacked into a cache and not installed. QEMU is a child of
# this shell that the kernel kills when its parent ends, and all that passes between them goes by
# pipes: whatever ends vm.sh, no process and no file stays behind.

set -euo pipefail

readonly usage='usage: vm.sh [OPTION]... -- COMMAND...
       vm.sh --prepare

Runs COMMAND as root in a guest whose files are this machine'\''s. Its exit status is COMMAND'\''s,
124 when the time is up, 125 when the guest has died; 1 when there is no guest to be had.

  --memory MIB     default: 1024
  --huge-pages N   of 2 MiB, out of that memory; default: 0
  --timeout S      seconds until COMMAND must have ended; default: 120
  --count          its clocks count the instructions of its only processor, one a nanosecond
  --no-iommu       a machine without one
  --qemu ARGS      further arguments for QEMU, such as devices; may be repeated
  --prepare        only see to it that there is a kernel to start, and that nothing is missing

DEMI_VM_CACHE is the folder of the kernel; default: build/vm.

  scripts/vm.sh --qemu '\''-netdev user,id=u0 -device e1000e,netdev=u0'\'' -- lspci'

# A user's PATH may lack the folders of modprobe and depmod.
PATH=$PATH:/usr/sbin:/sbin
self=$(realpath "${BASH_SOURCE[0]}")
readonly self
memory_mib=1024
huge_pages=0
timeout_s=120
processors=(-accel 'tcg,thread=multi,tb-size=256' -smp 2)
qemu_arguments=()
iommu_arguments=(-device 'intel-iommu,intremap=on,caching-mode=on,aw-bits=48')
cache=$(realpath -m "${DEMI_VM_CACHE:-$(dirname "$self")/../build/vm}")
readonly cache

# What the root file system, the pipes and the command need to get into the guest.
readonly boot_modules='virtio_pci 9pnet_virtio 9p overlay virtio_console qemu_fw_cfg'

# So many of the console's last lines are shown when the guest has died.
readonly console_lines=40

die() {
	printf 'vm.sh: %s\n' "$1" >&2
	shift
	[[ $# == 0 ]] || printf '       %s\n' "$@" >&2
	exit 1
}

misused() {
	printf 'vm.sh: %s; vm.sh --help tells more\n' "$1" >&2
	exit 2
}

check_machine() {
	local tool
	[[ $(uname -m) == x86_64 ]] || die "the guest is an x86_64, this machine is not"
	for tool in qemu-system-x86_64 busybox cpio depmod modprobe xz flock setpriv python3; do
		command -v "$tool" >/dev/null ||
			die "$tool is missing; scripts/deps.sh vm installs it"
	done
	# Nothing else is there when it starts.
	! ldd "$(command -v busybox)" >/dev/null 2>&1 ||
		die "this busybox needs shared libraries; install the package busybox-static"
}

# ---- the kernel, once ----

# apt PROGRAM ARGUMENT...: with lists of packages of our own when $lists is set.
apt() {
	local program=$1 options=(-q -o APT::Sandbox::User=root)
	shift
	[[ -z $lists ]] || options+=(-o "Dir::State::Lists=$lists" -o "Dir::Cache=$lists")
	"$program" "${options[@]}" "$@"
}

# The name of the package behind the newest kernel.
kernel_package() {
	apt apt-cache depends linux-image-amd64 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1
}

download() {
	local package
	package=$(kernel_package) && [[ -n $package ]] && apt apt-get download "$package"
}

# download_kernel FOLDER: its package into that folder, after an update where the system's lists are
# empty or too old. The lists of that update are ours, so that no root is needed.
download_kernel() {
	local lists=
	cd "$1"
	download && return
	lists=$1/lists
	mkdir -p "$lists/partial" "$lists/archives/partial"
	apt apt-get update && download
}

# unpack_kernel FOLDER: from the package in it, without the modules that no guest here needs: half.
unpack_kernel() {
	local folder=$1 release
	dpkg-deb --fsys-tarfile "$folder"/linux-image-*.deb |
		tar -x -C "$folder" --exclude='*/sound' --exclude='*/drivers/gpu' \
			--exclude='*/drivers/media' --exclude='*/net/wireless' ./boot ./lib
	release=$(ls "$folder/lib/modules")
	depmod -b "$folder" "$release"
	uncompress_kernel "$folder/boot/vmlinuz-$release" "$folder/kernel"
	rm -rf "$folder"/linux-image-*.deb "${folder:?}"/{lists,boot,log}
}

# uncompress_kernel FROM TO: an ELF file is entered directly (PVH), which saves the guest its
# slowest four seconds. Where another compression is used, the file as it is does too.
uncompress_kernel() {
	python3 - "$1" <<-'EOF' | xz -dc 2>/dev/null >"$2" || true
		import sys
		image = open(sys.argv[1], "rb").read()
		sys.stdout.buffer.write(image[image.find(b"\xfd7zXZ\0"):])
	EOF
	[[ $(head -c 4 "$2") == $'\x7fELF' ]] || cp "$1" "$2"
}

make_kernel() {
	local folder=$cache/unfinished log
	[[ -n $(command -v apt-get) && -n $(command -v dpkg-deb) ]] ||
		die "the guest's kernel comes from Debian's packages, and there is no apt-get here;" \
			"set DEMI_VM_CACHE to a folder made where there is one"
	log=$folder/log
	rm -rf "$folder"
	mkdir "$folder"
	printf 'vm.sh: getting a kernel for the guest into %s\n' "$cache" >&2
	(download_kernel "$folder") >"$log" 2>&1 || {
		cat "$log" >&2
		rm -rf "$folder"
		die "no kernel: apt-get cannot download linux-image-amd64; its output is above." \
			"Check the network and the package sources in /etc/apt, and try again"
	}
	unpack_kernel "$folder"
	mv "$folder" "$cache/kernel"
}

# ---- what is in memory when the guest starts ----

# module_files: those of $boot_modules and what they need, in order.
module_files() {
	local module
	for module in $boot_modules; do
		modprobe -d "$cache/kernel" -S "$release" --show-depends "$module"
	done | sed -n 's/^insmod \(.*[^ ]\) *$/\1/p' | awk '!seen[$0]++'
}

# init: the first program. Its root is this machine's, which 9p only reads, under a layer in memory;
# the rest is the guest's own. The kernel gives it demi_modules, of its arguments.
init() {
	cat <<-'EOF'
		#!/bin/busybox sh
		busybox=/bin/busybox
		fail() {
			echo "the guest cannot $1"
			$busybox poweroff -f
		}
		$busybox --install -s /bin
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mount -t devtmpfs dev /dev
		while read -r file; do
			insmod "/modules/$file" || fail "load $file"
		done </modules/order
		mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose root /lower ||
			fail 'read the files of its host'
		mount -t tmpfs tmpfs /layer
		mkdir /layer/upper /layer/work
		mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work root /root ||
			fail 'put a layer over the files of its host'
		mkdir -p "/root/lib/modules/$(uname -r)"
		mount -o bind "/root$demi_modules" "/root/lib/modules/$(uname -r)" || fail 'find its modules'
		for folder in proc sys dev; do
			mount --move "/$folder" "/root/$folder"
		done
		ln -s /proc/self/fd /root/dev/fd # bash's <(...)
		mount -t tmpfs tmpfs /root/run
		mkdir -p /root/dev/pts /root/dev/shm /root/dev/hugepages
		mount -t devpts devpts /root/dev/pts
		mount -t tmpfs tmpfs /root/dev/shm
		mount -t hugetlbfs hugetlbfs /root/dev/hugepages
		exec switch_root /root /bin/bash -c "$(cat /start)"
	EOF
}

# start: the rest, with the programs of this machine.
start() {
	cat <<-'EOF'
		export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
		export HOME=/root TERM=dumb
		port() {
			local name
			for name in /sys/class/virtio-ports/*/name; do
				[[ $(<"$name") != "$1" ]] || basename "${name%/name}"
			done
		}
		ip link set lo up
		command=$(base64 -d /sys/firmware/qemu_fw_cfg/by_name/opt/demi/command/raw)
		bash -c "$command" </dev/null >"/dev/$(port out)" 2>"/dev/$(port err)"
		echo "status $?" >"/dev/$(port status)"
		busybox poweroff -f
	EOF
}

make_initramfs() {
	local folder=$cache/initramfs.unfinished file name
	rm -rf "$folder"
	mkdir -p "$folder"/{bin,modules,proc,sys,dev,lower,layer,root}
	cp "$(command -v busybox)" "$folder/bin/busybox"
	init >"$folder/init"
	start >"$folder/start"
	chmod +x "$folder/init"
	module_files | while read -r file; do
		name=$(basename "${file%.xz}")
		if [[ $file == *.xz ]]; then xz -dc "$file"; else cat "$file"; fi >"$folder/modules/$name"
		printf '%s\n' "$name" >>"$folder/modules/order"
	done
	(cd "$folder" && find . | cpio -o -H newc --quiet) >"$cache/initramfs.new"
	rm -rf "$folder"
	mv "$cache/initramfs.new" "$cache/initramfs"
}

# prepare: both, where they are missing or older than this script; one vm.sh at a time.
prepare() {
	local lock release
	check_machine
	mkdir -p "$cache" 2>/dev/null || true
	[[ -w $cache ]] || die "cannot write to $cache; DEMI_VM_CACHE names another folder"
	exec {lock}>"$cache/lock"
	flock "$lock"
	[[ -d $cache/kernel ]] || make_kernel
	release=$(ls "$cache/kernel/lib/modules")
	[[ $cache/initramfs -nt $self && $cache/initramfs -nt $cache/kernel ]] || make_initramfs
	exec {lock}>&-
}

# ---- a run ----

# The command as a text for the guest's bash: in the same folder, with the same words.
guest_command() {
	printf 'cd %q 2>/dev/null || cd /\nexec' "$PWD"
	printf ' %q' "$@"
}

# leash PARENT COMMAND...: becomes COMMAND, which dies with PARENT.
leash() {
	local parent=$1
	shift
	# Who had already gone when the leash was put on cannot pull it.
	[[ $PPID == "$parent" ]] || exit 1
	exec "$@"
}

# qemu COMMAND...: becomes the guest. Its descriptors 3 and 4 are what COMMAND writes to, its output
# is the console's lines and COMMAND's status. All three must be pipes, for QEMU to open them.
qemu() {
	local command kernel_arguments
	kernel_arguments=(
		console=ttyS0 quiet loglevel=4 panic=-1 nokaslr mitigations=off
		# A processor that was not given time for a while fails the tests of its clocks; and
		# reading any but the time-stamp counter is a hundred times slower here.
		no_timer_check tsc=reliable
		intel_iommu=on iommu=pt hugepagesz=2M hugepages="$huge_pages"
		"demi_modules=\"$(echo "$cache"/kernel/lib/modules/*)\""
	)
	command=$(guest_command "$@" | base64 -w 0)
	exec setpriv --pdeathsig KILL "$self" _leash $$ qemu-system-x86_64 \
		-machine q35,kernel-irqchip=split "${processors[@]}" \
		-cpu max,la57=off -m "$memory_mib" \
		-nodefaults -no-user-config -display none -no-reboot \
		"${iommu_arguments[@]}" \
		-kernel "$cache/kernel/kernel" -initrd "$cache/initramfs" \
		-append "${kernel_arguments[*]}" \
		-fw_cfg "name=opt/demi/command,string=$command" \
		-chardev file,id=console,path=/dev/fd/1 -serial chardev:console \
		-device virtio-serial-pci \
		-chardev file,id=out,path=/dev/fd/3 -device virtserialport,chardev=out,name=out \
		-chardev file,id=err,path=/dev/fd/4 -device virtserialport,chardev=err,name=err \
		-chardev file,id=status,path=/dev/fd/1 \
		-device virtserialport,chardev=status,name=status \
		-virtfs local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap \
		"${qemu_arguments[@]}"
}

# follow: reads the descriptor $report to its end. Sets $status, where COMMAND has told it, and the
# array console; returns 1 when the time is up.
follow() {
	local deadline=$((SECONDS + timeout_s)) line left
	console=()
	while left=$((deadline - SECONDS)); ((left > 0)); do
		line=
		if IFS= read -r -t "$left" -u "$report" line; then
			if [[ $line =~ ^status\ ([0-9]+)$ ]]; then
				status=${BASH_REMATCH[1]}
			else
				console+=("${line%$'\r'}")
				((${#console[@]} <= console_lines)) || console=("${console[@]:1}")
			fi
		elif (($? <= 128)); then # the end, and no timeout
			return 0
		fi
	done
	return 1
}

run() {
	local out out_cat err err_cat report guest status='' console in_time=yes
	# Who does not listen any more ends this shell, as it would end COMMAND.
	exec {out}> >(exec 2>/dev/null; cat || kill -s PIPE $$)
	out_cat=$!
	exec {err}> >(cat >&2 2>/dev/null || kill -s PIPE $$)
	err_cat=$!
	exec {report}< <(qemu "$@" 3>&"$out" 4>&"$err" {out}>&- {err}>&- </dev/null)
	guest=$!
	follow || in_time=no
	[[ $in_time == yes ]] || kill -s KILL "$guest" 2>/dev/null || true
	exec {out}>&- {err}>&- {report}<&-
	wait "$guest" "$out_cat" "$err_cat" || true
	[[ -z $status ]] || return "$status"
	[[ ${#console[@]} == 0 ]] || printf '%s\n' "${console[@]}" >&2
	if [[ $in_time == no ]]; then
		printf 'vm.sh: stopped after %d s\n' "$timeout_s" >&2
		return 124
	fi
	printf 'vm.sh: the guest has died; what it or QEMU said last is above\n' >&2
	return 125
}

# parse ARGUMENT...: sets the options and the array command.
parse() {
	local words
	command=()
	while [[ $# != 0 ]]; do
		case $1 in
		--memory | --huge-pages | --timeout)
			[[ ${2:-} =~ ^[0-9]{1,7}$ ]] || misused "$1 needs a number"
			case $1 in
			--memory) memory_mib=$2 ;;
			--huge-pages) huge_pages=$2 ;;
			--timeout) timeout_s=$2 ;;
			esac
			shift
			;;
		--count) processors=(-accel 'tcg,thread=single,tb-size=256' -smp 1 -icount shift=0) ;;
		--no-iommu) iommu_arguments=() ;;
		--qemu)
			[[ $# -gt 1 ]] || misused '--qemu needs arguments'
			read -r -a words <<<"$2"
			qemu_arguments+=("${words[@]}")
			shift
			;;
		--)
			shift
			command=("$@")
			break
			;;
		*) misused "unknown: $1" ;;
		esac
		shift
	done
	[[ ${#command[@]} != 0 ]] || misused 'a command is missing, after --'
}

main() {
	local command
	case ${1:-} in
	_leash)
		shift
		leash "$@"
		;;
	-h | --help) printf '%s\n' "$usage" ;;
	--prepare) prepare ;;
	*)
		parse "$@"
		prepare
		run "${command[@]}"
		;;
	esac
}

main "$@"
