#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Installs what Demi needs: deps.sh build|demo|test|vm|bench|redis|fmt|all
# With apt-get it installs the missing packages; elsewhere it only says what is missing. What cannot be
# had everywhere is tried, and tests that need it are skipped without.

set -euo pipefail

# Who needs it, or with a ? would use it; the Debian package (a|b: either will do, a is installed); how
# it is recognised on other systems: a program in the PATH, a module of pkg-config, or - where neither tells.
readonly needs='
build gcc|clang                           program cc|gcc|clang
build libc6-dev                           -       -
build make                                program make
build meson                               program meson
build ninja-build                         program ninja|samu
build pkg-config|pkgconf                  program pkg-config|pkgconf
build python3                             program python3
build scdoc                               program scdoc
build libyaml-dev                         module  yaml-0.1
build liburing-dev                        module  liburing
build libjansson-dev                      module  jansson
build nettle-dev                          module  nettle
build libdpdk-dev                         module  libdpdk
build libxdp-dev                          module  libxdp
build libbpf-dev                          module  libbpf
build libibverbs-dev                      module  libibverbs
build librdmacm-dev                       module  librdmacm
build gcc-bpf|clang                       program clang|bpf-gcc|bpf-unknown-none-gcc
demo  iproute2                            program ip
demo  ethtool                             program ethtool
demo  redis-server                        program redis-server
demo  redis-tools                         program redis-benchmark
demo  gnuplot-nox|gnuplot-qt|gnuplot-x11  program gnuplot
test  gcc                                 program gcc
test  g++                                 program g++
build binutils                            program objcopy
test  clang                               program clang
test  libclang-rt-dev|libclang-rt-14-dev  -       -
test  llvm                                program llvm-symbolizer
test  clang-tidy                          program clang-tidy
test  cppcheck                            program cppcheck
test  shellcheck                          program shellcheck
test  iputils-ping                        program ping
test  iputils-arping                      program arping
test  ndisc6                              program ndisc6
test  traceroute                          program traceroute
test  tcpdump                             program tcpdump
test  tshark                              program tshark
test  sockperf                            program sockperf
test  curl                                program curl
test  coturn                              program turnutils_uclient
test? chromium                            program chromium|chromium-browser
test  memcached                           program memcached
test  nginx-light|nginx-core              program nginx
test  iperf3                              program iperf3
test  wrk                                 program wrk
test  netcat-openbsd                      program nc
test  socat                               program socat
test  strace                              program strace
test  procps                              program ps
test  man-db|mandoc                       program man|mandoc
test  libcmocka-dev                       module  cmocka
test  valgrind                            program valgrind
vm    qemu-system-x86                     program qemu-system-x86_64
vm    busybox-static                      program busybox
vm    cpio                                program cpio
vm    ibverbs-providers                   -       -
vm    ibverbs-utils                       program ibv_devinfo
vm    rdmacm-utils                        program rping
vm    perftest                            program ib_send_lat
vm    iproute2                            program ip
vm    kmod                                program depmod
vm    pciutils                            program lspci
vm    python3                             program python3
vm    xz-utils                            program xz
bench iproute2                            program ip
bench ethtool                             program ethtool
bench redis-server                        program redis-server
bench redis-tools                         program redis-benchmark
bench memcached                           program memcached
bench nginx-light|nginx-core              program nginx
bench wrk                                 program wrk
bench fio                                 program fio
bench coturn                              program turnserver
bench valgrind                            program valgrind
bench dpkg-dev                            program dpkg-source
redis dpkg-dev                            program dpkg-source
redis gcc                                 program gcc
redis patch                               program patch
redis redis-tools                         program redis-cli
test  tcl                                 program tclsh
bench libjemalloc2                        -       -
bench libmimalloc-dev|libmimalloc3|libmimalloc2.0 -  -
fmt   clang-format                        program clang-format
'

# die LINE...
die() {
	printf '%s\n' "$@" >&2
	exit 1
}

# rows GROUP [?]: the lines of the table that the group needs, or those that it would use.
rows() {
	local groups wish=${2:+\\?}
	case $1 in
	build) groups='build' ;;
	demo) groups='build|demo' ;;
	bench) groups='build|bench' ;;
	redis) groups='build|redis' ;;
	test) groups='build|demo|test|vm|redis|fmt' ;;
	all) groups='build|demo|test|vm|bench|redis|fmt' ;;
	fmt | vm) groups=$1 ;;
	*) die "usage: deps.sh build|demo|test|vm|bench|redis|fmt|all" ;;
	esac
	grep -E "^($groups)$wish " <<<"$needs" || true
}

# missing_packages GROUP [?]: one a line. Asks dpkg once, so that it is quick when nothing is missing. It
# tells of some that it only knows of, as not-installed.
missing_packages() {
	local all names package name installed
	all=$(rows "$@" | awk '{ print $2 }' | sort -u)
	# shellcheck disable=SC2046 # one argument a name
	installed=$(dpkg-query -W -f=':${db:Status-Status}:${Package}:\n' $(tr '|' ' ' <<<"$all") \
		2>/dev/null || true)
	for names in $all; do
		package=${names%%|*}
		for name in ${names//|/ }; do
			[[ $installed == *":installed:$name:"* ]] && package=
		done
		[[ -z $package ]] || echo "$package"
	done | sort -u
}

have_program() {
	local name
	for name in ${1//|/ }; do
		command -v "$name" >/dev/null && return
	done
	return 1
}

have_module() {
	local tool
	tool=$(command -v pkg-config || command -v pkgconf) && "$tool" --exists "$1"
}

# missing_elsewhere GROUP: the programs and modules, one a line, without a package manager.
missing_elsewhere() {
	local kind name
	rows "$1" | while read -r _ _ kind name; do
		case $kind in
		program) have_program "$name" || echo "program ${name//|/ or }" ;;
		module) have_module "$name" || echo "pkg-config module $name" ;;
		esac
	done
}

# find_root: sets as_root to the words that run a command as root; why it cannot, else empty.
find_root() {
	why=
	as_root=()
	[[ $(id -u) != 0 ]] || return 0
	as_root=(sudo)
	if ! command -v sudo >/dev/null; then
		why='this user is not root and there is no sudo'
	elif [[ ! -t 0 ]] && ! sudo -n true 2>/dev/null; then
		why='sudo would ask for a password and there is no terminal'
	fi
}

# become_root PACKAGE...: or explains.
become_root() {
	find_root
	[[ -z $why ]] || die "Packages are missing, and $why. As root, run" "" \
		"    apt-get update && apt-get install -y --no-install-recommends $*" "" \
		"and then this command again."
}

# A machine that has just booted may be upgrading itself: wait for its lock.
apt_get() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1
}

# On a fresh machine the package lists are empty, on an old one out of date: update, try again.
install_packages() {
	apt_get install -y --no-install-recommends "$@" && return
	apt_get update || true
	apt_get install -y --no-install-recommends "$@"
}

install_needed() {
	local packages still
	mapfile -t packages < <(missing_packages "$1")
	[[ ${#packages[@]} != 0 ]] || return 0
	become_root "${packages[@]}"
	printf 'installing with apt-get: %s\n' "${packages[*]}"
	if ! install_packages "${packages[@]}"; then
		cat "$log" >&2
		die "" "apt-get failed; its output is above. Check the network and the package sources" \
			"in /etc/apt, and run this command again."
	fi
	still=$(missing_packages "$1")
	[[ -z $still ]] || die "apt-get has run, but these are still missing:" "$still"
}

# Nobody is asked for a password for these, and it is no error to do without.
install_wished() {
	local package
	for package in $(missing_packages "$1" '?'); do
		find_root
		if [[ -z $why && ${#as_root[@]} != 0 ]] && ! sudo -n true 2>/dev/null; then
			why='sudo would ask for a password'
		fi
		if [[ -z $why ]]; then
			printf 'installing with apt-get: %s\n' "$package"
			install_packages "$package" || why=$(grep '^E: ' "$log" | tail -n 1)
		fi
		[[ -z $why ]] || printf 'without %s (%s): tests that need it are skipped\n' "$package" "$why"
	done
}

with_apt() {
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	install_needed "$1"
	install_wished "$1"
}

without_apt() {
	local missing
	missing=$(missing_elsewhere "$1")
	[[ -z $missing ]] || die "Missing here (with their headers, where they are libraries):" "" \
		"    ${missing//$'\n'/$'\n    '}" "" "Install them with your system's package manager, and" \
		"run this command again."
}

main() {
	local group=${1:-}
	rows "$group" >/dev/null
	if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
		with_apt "$group"
	else
		without_apt "$group"
	fi
}

main "$@"
