#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Gives NVMe drives to vfio-pci, where a program can drive them, and back to the kernel.

set -euo pipefail

# As it is called in what it says.
readonly called=${NVME_CALLED:-nvme.sh}

readonly usage="usage: $called list
       $called bind ADDRESS [--serial SERIAL] [--no-iommu]
       $called unbind ADDRESS

  list     the NVMe controllers of this machine, who has them, and what is on them
  bind     give one to vfio-pci: the kernel has its disks no more, a program may have it
  unbind   give it back to the kernel

bind refuses a drive that is in use (a file system of it is mounted, it is swap, part of another
device, or a program has it open), and one on which there is anything that the kernel knows: a partition table, a file system,
a member of LVM or RAID. With --serial SERIAL, its own serial number, the latter is no reason: who
uses the drive then will destroy that.

It refuses one that is behind no IOMMU. With --no-iommu VFIO is made to hand out such a drive, which can
reach all memory of this machine then; programs take it as nvme:ADDRESS,noiommu, and only root's.

  $called bind 0000:00:05.0 --serial S4EWNX0R123456"

readonly devices=/sys/bus/pci/devices
readonly class_nvme=0x010802

# A user's PATH may lack the folders of modprobe and blkid.
PATH=$PATH:/usr/sbin:/sbin

die() {
	printf '%s: %s\n' "$called" "$1" >&2
	exit 1
}

misused() {
	printf '%s: %s; %s --help tells more\n' "$called" "$1" "$called" >&2
	exit 2
}

# ---- what there is ----

# link_name FILE: the last part of what it points to; nothing where it is not there.
link_name() {
	local target
	[[ -e $1 ]] || return 0
	target=$(readlink "$1")
	printf '%s\n' "${target##*/}"
}

driver_of() {
	link_name "$devices/$1/driver"
}

group_of() {
	link_name "$devices/$1/iommu_group"
}

# group_file ADDRESS: what who has the drive has open.
group_file() {
	local group name=''
	group=$(group_of "$1")
	[[ ! -e /sys/kernel/iommu_groups/$group/name ]] || name=$(<"/sys/kernel/iommu_groups/$group/name")
	if [[ $name == vfio-noiommu ]]; then
		printf '/dev/vfio/noiommu-%s\n' "$group"
	else
		printf '/dev/vfio/%s\n' "$group"
	fi
}

# The kernel makes a group of its own for it when vfio-pci takes it.
is_without_iommu() {
	[[ -z $(group_of "$1") || $(group_file "$1") == */noiommu-* ]]
}

# serial_of ADDRESS: nothing where the kernel's driver does not have it.
serial_of() {
	local file serial
	for file in "$devices/$1"/nvme/nvme*/serial; do
		[[ -e $file ]] || continue
		read -r serial <"$file" # without the spaces behind it
		printf '%s\n' "$serial"
	done
}

# disks_of ADDRESS: the names of its namespaces, as in /dev. A path of several to one has a hidden
# name of its own: nvme0c1n1 for nvme0n1.
disks_of() {
	local folder name
	for folder in "$devices/$1"/nvme/nvme*/nvme*n*; do
		[[ -d $folder ]] || continue
		name=${folder##*/}
		[[ ! $name =~ ^(nvme[0-9]+)c[0-9]+(n[0-9]+)$ ]] ||
			name=${BASH_REMATCH[1]}${BASH_REMATCH[2]}
		printf '%s\n' "$name"
	done | sort -u
}

# parts_of DISK: the disk itself, and its partitions.
parts_of() {
	local folder
	printf '%s\n' "$1"
	for folder in "/sys/class/block/$1/$1"p*; do
		[[ ! -d $folder ]] || printf '%s\n' "${folder##*/}"
	done
}

# use_of PART: what it is in use for now; nothing: it is not.
use_of() {
	local number swap holder holders=''
	number=$(<"/sys/class/block/$1/dev")
	# Of all processes, which may have file systems of their own; by the device's number, and by its
	# name, since some file systems have numbers of their own.
	if grep -qsE "^[0-9]+ [0-9]+ $number | - [^ ]+ /dev/$1 " /proc/[0-9]*/mountinfo; then
		printf '/dev/%s has a file system that is mounted\n' "$1"
		return
	fi
	while read -r swap _; do
		[[ $swap != "/dev/$1" ]] || printf '%s is swap\n' "$swap"
	done </proc/swaps
	for holder in "/sys/class/block/$1/holders"/*; do
		[[ ! -e $holder ]] || holders+=${holders:+, }${holder##*/}
	done
	[[ -z $holders ]] || printf '/dev/%s is part of %s\n' "$1" "$holders"
	# Processes come and go meanwhile.
	holder=$(find /proc/[0-9]*/fd -lname "/dev/$1" -printf '%h\n' -quit 2>/dev/null) || true
	holder=${holder#/proc/}
	[[ -z $holder ]] || printf 'process %s has /dev/%s open\n' "${holder%/fd}" "$1"
}

# content_of PART: what is on it, as far as the kernel's tools know; nothing: nothing that they do.
content_of() {
	local line said status=0
	said=$(blkid -p -o export "/dev/$1" 2>/dev/null) || status=$?
	# 2: nothing that it knows. 8: more than one thing.
	[[ $status == 0 || $status == 2 ]] ||
		printf '/dev/%s has something of which blkid does not know what it is\n' "$1"
	while read -r line; do
		case $line in
		PTTYPE=*) printf '/dev/%s has a partition table (%s)\n' "$1" "${line#*=}" ;;
		TYPE=*) printf '/dev/%s has %s\n' "$1" "${line#*=}" ;;
		esac
	done <<<"$said"
}

# over ADDRESS FUNCTION: what FUNCTION says of each part of each disk.
over() {
	local disk part
	for disk in $(disks_of "$1"); do
		for part in $(parts_of "$disk"); do
			"$2" "$part"
		done
	done
}

# ---- what is asked ----

require_root() {
	[[ $EUID == 0 ]] || die "only root may give devices to drivers: try sudo"
}

require_nvme() {
	[[ $1 =~ ^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$ ]] ||
		misused "\"$1\" is not the address of a PCI device, as in 0000:00:05.0"
	[[ -d $devices/$1 ]] || die "$1: this machine has no such PCI device; $called list tells which"
	[[ $(<"$devices/$1/class") == "$class_nvme" ]] ||
		die "$1: the device is no NVMe controller; $called list tells which are"
}

# Whether the drive may be taken from the kernel.
require_free() {
	local address=$1 serial=$2 said
	[[ -z $serial || $serial == "$(serial_of "$address")" ]] ||
		die "$address: its serial number is $(serial_of "$address"), not $serial"
	said=$(over "$address" use_of)
	[[ -z $said ]] || die "$address: the drive is in use: ${said//$'\n'/; }. End that first"
	[[ -z $serial ]] || return 0
	command -v blkid >/dev/null ||
		die "blkid, which sees what is on a drive, is missing: install util-linux, or give the drive's \
serial number: $called bind $address --serial $(serial_of "$address")"
	# It may still be looking for them.
	[[ -n $(disks_of "$address") ]] ||
		die "$address: the kernel knows no disk of it, so that nobody can see what is on it; try \
again, or give its serial number: $called bind $address --serial $(serial_of "$address")"
	said=$(over "$address" content_of)
	[[ -z $said ]] || die "$address: there is something on the drive: ${said//$'\n'/; }. When \
that may be destroyed, give its serial number: $called bind $address --serial $(serial_of "$address")"
}

# ---- drivers ----

# give ADDRESS DRIVER: from whoever has it to that driver; OVERRIDE is the driver's name, or nothing.
give() {
	local address=$1 driver=$2 override=$3
	printf '%s\n' "$override" >"$devices/$address/driver_override"
	[[ -z $(driver_of "$address") ]] || printf '%s' "$address" >"$devices/$address/driver/unbind"
	printf '%s' "$address" >/sys/bus/pci/drivers_probe
	[[ $(driver_of "$address") == "$driver" ]] ||
		die "$address: the driver $driver does not take it; dmesg may tell why"
}

# Others of the group that the kernel uses: with them VFIO does not hand out any.
say_group() {
	local address=$1 group other driver
	group=$(group_of "$address")
	for other in "/sys/kernel/iommu_groups/$group/devices"/*; do
		other=${other##*/}
		driver=$(driver_of "$other")
		case $driver in
		'' | vfio-pci | pcieport) ;;
		*) printf '%s: it shares IOMMU group %s with %s, which %s has: give that to vfio-pci too, or put the drive into another slot\n' \
			"$address" "$group" "$other" "$driver" >&2 ;;
		esac
	done
	if is_without_iommu "$address"; then
		printf '%s: vfio-pci has it, group %s, without an IOMMU: root may use it, as nvme:%s,noiommu\n' \
			"$address" "$group" "$address"
	else
		printf '%s: vfio-pci has it, group %s; who may open %s may use it\n' \
			"$address" "$group" "$(group_file "$address")"
	fi
}

# allow_no_iommu: it is a parameter of VFIO's, for all of the machine.
allow_no_iommu() {
	local parameter=/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
	modprobe vfio || die "the kernel has no vfio"
	[[ -e $parameter ]] || die "the kernel's VFIO cannot do without an IOMMU: it was built without \
CONFIG_VFIO_NOIOMMU, as Debian's is; take a kernel that has it, or a file in place of the drive: uring:FILE"
	printf 'Y\n' >"$parameter" || die "cannot write to $parameter"
}

bind_drive() {
	local address=$1 serial=$2 no_iommu=$3
	require_nvme "$address"
	require_root
	if is_without_iommu "$address"; then
		[[ -n $no_iommu ]] || die "$address: it is behind no IOMMU: switch on VT-d or AMD-Vi in the \
firmware, and start the kernel with intel_iommu=on (Intel); or, if it may reach all memory: \
$called bind $address --no-iommu"
		allow_no_iommu
	fi
	case $(driver_of "$address") in
	vfio-pci) ;;
	nvme)
		require_free "$address" "$serial"
		modprobe vfio-pci || die "the kernel has no vfio-pci"
		modprobe vfio_iommu_type1 || die "the kernel has no vfio_iommu_type1"
		give "$address" vfio-pci vfio-pci
		;;
	*) die "$address: the kernel's driver nvme does not have it, so that nobody can see what is on \
it; $called unbind $address gives it to that" ;;
	esac
	say_group "$address"
}

unbind_drive() {
	local address=$1
	require_nvme "$address"
	require_root
	if [[ $(driver_of "$address") == vfio-pci ]] &&
		[[ -n $(find /proc/[0-9]*/fd -lname "$(group_file "$address")" 2>/dev/null) ]]; then
		die "$address: a program uses it ($(group_file "$address")): end that first"
	fi
	modprobe nvme || die "the kernel has no driver nvme"
	[[ $(driver_of "$address") == nvme ]] || give "$address" nvme ''
	printf '%s: the kernel has it\n' "$address"
}

list() {
	local folder address driver serial said count=0
	for folder in "$devices"/*; do
		[[ $(<"$folder/class") == "$class_nvme" ]] || continue
		address=${folder##*/}
		driver=$(driver_of "$address")
		said=$(over "$address" use_of)
		[[ -n $said || $EUID != 0 ]] || said=$(over "$address" content_of)
		printf '%s  driver %s  group %s' "$address" "${driver:-none}" "$(group_of "$address")"
		serial=$(serial_of "$address")
		[[ -z $serial ]] || printf '  serial %s' "$serial"
		[[ -z $said ]] || printf '  %s' "${said//$'\n'/; }"
		printf '\n'
		count=$((count + 1))
	done
	[[ $count != 0 ]] || printf '%s: this machine has no NVMe controllers\n' "$called" >&2
}

main() {
	local command=${1:-} address='' serial='' no_iommu=''
	case $command in
	list)
		[[ $# == 1 ]] || misused 'list takes no arguments'
		list
		;;
	bind | unbind)
		shift
		while [[ $# != 0 ]]; do
			case $1 in
			--serial)
				[[ $command == bind && -n ${2:-} ]] || misused '--serial, of bind, needs a number'
				serial=$2
				shift
				;;
			--no-iommu)
				[[ $command == bind ]] || misused '--no-iommu is for bind'
				no_iommu=yes
				;;
			-h | --help)
				printf '%s\n' "$usage"
				return
				;;
			-*) misused "unknown: $1" ;;
			*)
				[[ -z $address ]] || misused "one address, not $1 too"
				address=$1
				;;
			esac
			shift
		done
		[[ -n $address ]] || misused 'an address is missing'
		if [[ $command == bind ]]; then bind_drive "$address" "$serial" "$no_iommu"; else unbind_drive "$address"; fi
		;;
	-h | --help) printf '%s\n' "$usage" ;;
	*) misused "unknown: ${command:-nothing}" ;;
	esac
}

main "$@"
