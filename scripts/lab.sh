#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A laboratory: a link of our own between Demi and a Linux kernel, in network namespaces.
#
#      NAME-demi              NAME-linux                        NAME-far (--router)
#    +-----------+          +--------------------+            +------------+
#    |           |   veth   |                    |    veth    |            |
#    |     demi0 +----------+ linux0       hop0  +------------+ far0       |
#    |           |   MTU    |                    |  HOP MTU   |            |
#    +-----------+          +--------------------+            +------------+
#    no address of     10.77.0.1/24        10.78.0.1/24     10.78.0.2/24
#    the kernel's;     fd77::1/64          fd78::1/64       fd78::2/64
#    for Demi:                                              default route:
#    10.77.0.2/24        routes between the two             NAME-linux
#    fd77::2/64          when there is NAME-far
#
# With --ends N there are N such ends, each in a namespace of its own, and linux0 is a bridge of
# their links: the others are NAME-demi2 with 10.77.0.3 and fd77::3, and so on.
#
# The kernel computes every checksum itself and cuts packets to size, as it would before a wire.
# `up` makes named namespaces, which stay until `down`. `run` makes them in namespaces of processes
# and mounts, and these end when lab.sh ends, whatever ends it: the kernel kills what is left in
# the first, the second takes the names with it, and without process and name the links are gone.

set -euo pipefail

# As it is called in what it says; `demi lab` has another name for it.
readonly called=${LAB_CALLED:-lab.sh}

# shellcheck disable=SC2016 # the user's variables
readonly usage='usage: lab.sh up [OPTION]... [NAME]
       lab.sh run [OPTION]... [--keep] -- COMMAND...
       lab.sh shell [OPTION]... [NAME]
       lab.sh env [NAME]
       lab.sh down [NAME]

  up      make the laboratory NAME (default: lab); prints its variables for eval
  run     make one, run COMMAND with its variables in the environment, remove it
  shell   a shell with the variables of NAME; without NAME, with those of a new one
  env     print the variables of a laboratory that is up
  down    remove it, and end what runs in it

  --mtu N       of the link to Demi; default: 1500
  --queues N    of both ends of it, to receive and to send, over which the kernel spreads flows;
                default: 1
  --ends N      so many namespaces for Demi, at most 99, at one bridge; default: 1
  --router      a third namespace behind the one that Linux has, which then is a router
  --hop-mtu N   of the link behind the router; default: 1500
  --keep        leave it up when COMMAND has ended

In the variables are the namespaces (LAB_DEMI, LAB_LINUX), the device for Demi (LAB_DEV) and
the addresses (LAB_DEMI_IP, LAB_LINUX_IP, LAB_DEMI_IP6, ...), of a second end LAB_DEMI2,
LAB_DEMI2_IP and LAB_DEMI2_IP6:

  lab.sh run -- sh -c '\''
    ip netns exec $LAB_DEMI demi-echo server --proto udp --addr $LAB_DEMI_IP:7000 \
      --libos catnip --dev afxdp:$LAB_DEV --ip $LAB_DEMI_IP/24 --duration 5 &
    sleep 1; ip netns exec $LAB_LINUX ping -c 3 $LAB_DEMI_IP; wait'\'''

self=$(realpath "${BASH_SOURCE[0]}")
readonly self
mtu=1500
queues=1
ends=1
hop_mtu=1500
router=no
keep=no
name=

die() {
	printf '%s: %s\n' "$called" "${1//lab.sh/$called}" >&2
	shift
	[[ $# == 0 ]] || printf '        %s\n' "${@//lab.sh/$called}" >&2
	exit 1
}

misused() {
	printf '%s: %s; %s --help tells more\n' "$called" "${1//lab.sh/$called}" "$called" >&2
	exit 2
}

# check_machine VERB: whether this user, here, can make namespaces.
check_machine() {
	local tool
	for tool in ip unshare setpriv ethtool; do
		command -v "$tool" >/dev/null ||
			die "$tool is missing; install iproute2, util-linux and ethtool"
	done
	[[ $(id -u) == 0 ]] || die "only root can make network namespaces; try" \
		"sudo ${LAB_CALLED:-$self} $1 ..."
}

is_up() {
	[[ -e /run/netns/$1-demi ]]
}

# settle INTERFACE NAMESPACE: no offloads, so that what is on the link is what was sent.
settle() {
	ip netns exec "$2" ethtool -K "$1" tx off rx off tso off gso off gro off >/dev/null
	ip -n "$2" link set "$1" up
}

# sysctls NAMESPACE NAME=VALUE...
sysctls() {
	local namespace=$1
	shift
	# shellcheck disable=SC2016 # of the shell inside
	ip netns exec "$namespace" sh -c \
		'for item; do echo "${item#*=}" >/proc/sys/net/${item%%=*} || exit; done' sh "$@"
}

# addresses NAMESPACE INTERFACE ADDRESS...: usable at once, without detection of duplicates.
addresses() {
	local namespace=$1 interface=$2 address
	shift 2
	sysctls "$namespace" "ipv6/conf/$interface/accept_dad=0"
	for address; do
		ip -n "$namespace" address add "$address" dev "$interface"
	done
}

# demi_end N: the end of its namespace's name.
demi_end() {
	if [[ $1 == 1 ]]; then echo demi; else echo "demi$1"; fi
}

# make_end N PEER WORD...: a namespace for Demi, and its link to PEER, a veth of Linux's with WORDs.
make_end() {
	local number=$1 peer=$2 space
	shift 2
	space=$name-$(demi_end "$number")
	ip netns add "$space"
	ip -n "$space" link set lo up
	ip -n "$name-linux" link add "$peer" mtu "$mtu" "$@" \
		numrxqueues "$queues" numtxqueues "$queues" type veth \
		peer name demi0 mtu "$mtu" address "$(printf '02:00:00:00:77:%02x' $((number + 1)))" \
		netns "$space" numrxqueues "$queues" numtxqueues "$queues"
	ip -n "$space" link set demi0 addrgenmode none
	sysctls "$space" ipv6/conf/demi0/accept_ra=0
	settle demi0 "$space"
	settle "$peer" "$name-linux"
}

# make_bridge: linux0 with a port for each end. It holds no frame back, as a veth does not.
make_bridge() {
	local number
	ip -n "$name-linux" link add linux0 mtu "$mtu" address 02:00:00:00:77:01 \
		type bridge forward_delay 0 mcast_snooping 0
	for ((number = 1; number <= ends; number++)); do
		make_end "$number" "port$number"
		ip -n "$name-linux" link set "port$number" master linux0 addrgenmode none
	done
}

make_link() {
	ip netns add "$name-linux"
	ip -n "$name-linux" link set lo up
	if [[ $ends == 1 ]]; then
		make_end 1 linux0 address 02:00:00:00:77:01
	else
		make_bridge
		settle linux0 "$name-linux"
	fi
	# As many answers as are asked for: traceroute asks for more than the kernel would give.
	sysctls "$name-linux" ipv6/conf/linux0/accept_ra=0 ipv4/icmp_ratelimit=0 \
		ipv6/icmp/ratelimit=0
	addresses "$name-linux" linux0 10.77.0.1/24 fd77::1/64
}

make_far() {
	ip netns add "$name-far"
	ip -n "$name-far" link set lo up
	ip -n "$name-linux" link add hop0 mtu "$hop_mtu" type veth \
		peer name far0 mtu "$hop_mtu" netns "$name-far"
	sysctls "$name-linux" ipv4/ip_forward=1 ipv6/conf/all/forwarding=1
	addresses "$name-linux" hop0 10.78.0.1/24 fd78::1/64
	addresses "$name-far" far0 10.78.0.2/24 fd78::2/64
	settle hop0 "$name-linux"
	settle far0 "$name-far"
	ip -n "$name-far" route add default via 10.78.0.1
	ip -n "$name-far" route add default via fd78::1
}

# make: the laboratory $name; nothing is left of one that cannot be made.
make() {
	is_up "$name" && die "the laboratory $name is up already; remove it with" \
		"lab.sh down $name" "or give another name"
	trap unmake EXIT
	make_link
	[[ $router == no ]] || make_far
	trap - EXIT
}

# unmake: at the exit of make that has failed, which has said why.
unmake() {
	remove
	die 'the laboratory could not be made; the reason is above' \
		'(in a container: it needs CAP_SYS_ADMIN and CAP_NET_ADMIN)'
}

# remove: the processes first, since their sockets would keep the namespaces.
remove() {
	local space pids
	for space in "/run/netns/$name"-{demi{,[2-9],[1-9][0-9]},linux,far}; do
		[[ -e $space ]] || continue
		space=${space##*/}
		mapfile -t pids < <(ip netns pids "$space" || true)
		[[ ${#pids[@]} == 0 ]] || kill "${pids[@]}" 2>/dev/null || true
		ip netns delete "$space" || true
	done
}

# variables: NAME=VALUE of the laboratory $name, one a line.
variables() {
	cat <<-END
		LAB_NAME=$name
		LAB_DEMI=$name-demi
		LAB_LINUX=$name-linux
		LAB_DEV=demi0
		LAB_LINUX_DEV=linux0
		LAB_DEMI_MAC=02:00:00:00:77:02
		LAB_LINUX_MAC=02:00:00:00:77:01
		LAB_DEMI_IP=10.77.0.2
		LAB_LINUX_IP=10.77.0.1
		LAB_PREFIX=24
		LAB_DEMI_IP6=fd77::2
		LAB_LINUX_IP6=fd77::1
		LAB_PREFIX6=64
	END
	local number
	for ((number = 2; number < 100; number++)); do
		[[ -e /run/netns/$name-demi$number ]] || break
		cat <<-END
			LAB_DEMI$number=$name-demi$number
			LAB_DEMI${number}_IP=10.77.0.$((number + 1))
			LAB_DEMI${number}_IP6=fd77::$(printf %x $((number + 1)))
		END
	done
	[[ -e /run/netns/$name-far ]] || return 0
	cat <<-END
		LAB_FAR=$name-far
		LAB_FAR_DEV=far0
		LAB_FAR_IP=10.78.0.2
		LAB_FAR_IP6=fd78::2
	END
}

# with_variables COMMAND...
with_variables() {
	local list
	mapfile -t list < <(variables)
	env "${list[@]}" "$@"
}

# run_kept COMMAND...: in a named laboratory that stays.
run_kept() {
	local status=0
	name=lab-$$
	make
	with_variables "$@" || status=$?
	printf '%s: kept; %s shell %s goes on in it, %s down %s removes it\n' \
		"$called" "$called" "$name" "$called" "$name" >&2
	return "$status"
}

# run_private COMMAND...: see the head of this file. Three steps: this shell; _leash, which dies
# with it, and becomes unshare, whose first child dies with that; _inside, which is that child.
run_private() {
	mkdir -p /run/netns
	setpriv --pdeathsig KILL "$self" _leash $$ "$router" "$mtu" "$queues" "$ends" "$hop_mtu" \
		"$@"
}

leash() {
	local parent=$1
	shift
	# Who had already gone when the leash was put on cannot pull it.
	[[ $PPID == "$parent" ]] || exit 1
	exec unshare --pid --mount --mount-proc --fork --kill-child=KILL "$self" _inside "$@"
}

inside() {
	router=$1 mtu=$2 queues=$3 ends=$4 hop_mtu=$5 name=lab
	shift 5
	mount -t tmpfs -o mode=755 lab /run/netns
	make
	with_variables "$@"
}

# parse ARGUMENT...: sets the options, $name and the array command.
parse() {
	command=()
	while [[ $# != 0 ]]; do
		case $1 in
		--mtu | --hop-mtu)
			[[ ${2:-} =~ ^[0-9]{1,5}$ ]] || misused "$1 needs a number of bytes"
			if [[ $1 == --mtu ]]; then mtu=$2; else hop_mtu=$2; fi
			shift
			;;
		--queues)
			[[ ${2:-} =~ ^[1-9][0-9]{0,2}$ ]] || misused "$1 needs a number of queues"
			queues=$2
			shift
			;;
		--ends)
			[[ ${2:-} =~ ^[1-9][0-9]?$ ]] || misused "$1 needs a number of ends"
			ends=$2
			shift
			;;
		--router) router=yes ;;
		--keep) keep=yes ;;
		--)
			shift
			command=("$@")
			break
			;;
		-*) misused "unknown option $1" ;;
		*)
			[[ -z $name ]] || misused "one name is enough: $name, or $1"
			[[ $1 =~ ^[A-Za-z0-9_][A-Za-z0-9_-]{0,31}$ ]] ||
				misused "the name '$1' has other characters than letters, digits, - and _"
			name=$1
			;;
		esac
		shift
	done
}

must_be_up() {
	is_up "$name" || die "there is no laboratory $name; lab.sh up $name makes it"
}

do_shell() {
	[[ -n $name ]] || {
		run_private "${SHELL:-/bin/bash}"
		return
	}
	must_be_up
	with_variables "${SHELL:-/bin/bash}"
}

do_run() {
	[[ -z $name ]] || misused "run gives the name itself; put -- before the command"
	[[ ${#command[@]} != 0 ]] || misused 'run needs a command, after --'
	if [[ $keep == yes ]]; then run_kept "${command[@]}"; else run_private "${command[@]}"; fi
}

main() {
	local verb=${1:-} command
	[[ $# == 0 ]] || shift
	case $verb in
	_leash | _inside)
		"${verb#_}" "$@"
		return
		;;
	-h | --help | help)
		printf '%s\n' "${usage//lab.sh/$called}"
		return
		;;
	up | down | env | run | shell) ;;
	'') misused 'say what to do: up, run, shell, env or down' ;;
	*) misused "unknown: $verb; allowed are up, run, shell, env and down" ;;
	esac
	parse "$@"
	check_machine "$verb"
	case $verb in
	run | shell) "do_$verb" ;;
	*)
		name=${name:-lab}
		[[ $verb == up ]] || must_be_up
		case $verb in
		up) make ;;
		down) remove ;;
		esac
		[[ $verb == down ]] || variables | sed 's/^/export /'
		;;
	esac
}

main "$@"
