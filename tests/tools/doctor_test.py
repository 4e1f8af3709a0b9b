#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
`demi doctor` on machines that are folders with the files of /sys and /proc, and on this one: what it
sees, what it says can run, and the command for what cannot. Speaks TAP.

    tests/tools/doctor_test.py DEMI TOP [DEMI_ECHO]
"""
import copy
import errno
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

from command import start
from tap import finish, outcome

DEMI, TOP = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2])
DEMI_ECHO = str(pathlib.Path(sys.argv[3]).resolve()) if len(sys.argv) > 3 else None

ALL = 0x1ffffffffff
NET_ADMIN, NET_RAW, IPC_LOCK, SYS_ADMIN, BPF = 12, 13, 14, 21, 39
STATUS = "Name:\tdemi\nUid:\t{0}\t{0}\t{0}\t{0}\nCapEff:\t{1:016x}\n"
LIMITS = ("Limit                     Soft Limit           Hard Limit           Units     \n"
          "Max open files            {0:<20} 4096                 files     \n"
          "Max locked memory         {1:<20} 65536                bytes     \n")
# A server: eth0 (with the default route, and somebody at work over ssh) and eth1, a card to spare.
SERVER = {
    "files": {
        "proc/self/status": STATUS.format(0, ALL),
        "proc/self/limits": LIMITS.format(1024, "unlimited"),
        "proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
        "proc/sys/kernel/unprivileged_bpf_disabled": "2\n",
        "proc/sys/kernel/io_uring_disabled": "0\n",
        "proc/net/route": "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
                          "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
                          "eth1\t0001000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
        "proc/net/tcp": "  sl  local_address rem_address   st tx_queue rx_queue\n"
                        "   0: 00000000:0016 00000000:0000 0A 00000000:00000000\n"
                        "   1: 0500000A:0016 0900000A:D431 01 00000000:00000000\n",
        "proc/mounts": "/dev/nvme0n1p2 / ext4 rw 0 0\n/dev/nvme1n10 /data ext4 rw 0 0\nproc /proc proc rw 0 0\n",
        "proc/swaps": "Filename\tType\tSize\n/dev/nvme1n1 partition 1024 0 -2\n",
        "sys/devices/system/cpu/online": "0-3,8\n",
        "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "512\n",
        "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages": "500\n",
        "sys/kernel/iommu_groups/0/type": "DMA\n",
        "sys/kernel/iommu_groups/1/type": "DMA\n",
        "sys/class/misc/tun/dev": "10:200\n",
        "dev/infiniband/rdma_cm": "", "dev/infiniband/uverbs0": "",
        "sys/class/misc/rdma_cm/dev": "10:58\n",
        "sys/class/infiniband_verbs/uverbs0/ibdev": "mlx5_0\n",
        "sys/class/infiniband/mlx5_0/node_type": "1: CA\n",
        **{f"sys/class/infiniband/mlx5_0/ports/1/{file}": text for file, text in (
            ("state", "4: ACTIVE\n"), ("link_layer", "Ethernet\n"),
            ("gids/0", "fe80:0000:0000:0000:0000:00ff:fe00:0001\n"), ("gid_attrs/types/0", "IB/RoCE v1\n"),
            ("gids/1", "fe80:0000:0000:0000:0000:00ff:fe00:0001\n"), ("gid_attrs/types/1", "RoCE v2\n"),
            ("gids/2", f"{'0000:' * 8}"[:-1] + "\n"),
            ("gids/3", "0000:0000:0000:0000:0000:ffff:0a01:0005\n"), ("gid_attrs/types/3", "RoCE v2\n"),
            ("gids/10", "fd00:0000:0000:0000:0000:0000:0000:0005\n"), ("gid_attrs/types/10", "RoCE v2\n"),
            *((f"gid_attrs/ndevs/{index}", "eth1\n") for index in (0, 1, 3, 10)))},
        "sys/block/nvme0n1/size": "1\n", "sys/block/nvme1n1/size": "1\n",
        "sys/block/nvme1n10/size": "1\n", "sys/block/nvme2n1/size": "1\n", "sys/block/nvme0c3n1/size": "1\n", "sys/block/nvme10n1/size": "1\n", "sys/block/sda/size": "1\n",
        "sys/class/block/nvme10n1p1/holders/dm-0": "",
        "sys/bus/pci/devices/0000:03:00.0/class": "0x020000\n",
        "sys/bus/pci/devices/0000:04:00.0/class": "0x020000\n",
        "sys/bus/pci/devices/0000:05:00.0/class": "0x010802\n",
        "sys/bus/pci/devices/0000:06:00.0/class": "0x060000\n",
        "lib/modules/6.1.0-18-amd64/modules.dep": "kernel/drivers/vfio/pci/vfio-pci.ko: a.ko\n",
        "dev/net/tun": "",
        **{f"sys/class/net/{name}/{file}": text
           for name, mtu in (("eth0", 1500), ("eth1", 1500), ("lo", 65536), ("wg0", 1420))
           for file, text in (("type", {"lo": "772\n", "wg0": "65534\n"}.get(name, "1\n")),
                              ("mtu", f"{mtu}\n"), ("flags", "0x1003\n"), ("operstate", "up\n"),
                              ("queues/rx-0/rps_cpus", "0\n"), ("queues/tx-0/xps_cpus", "0\n"))},
        "sys/class/net/eth1/queues/rx-1/rps_cpus": "0\n",
    },
    "links": {
        "sys/class/net/eth0/device": "sys/bus/pci/devices/0000:03:00.0",
        "sys/class/net/eth1/device": "sys/bus/pci/devices/0000:04:00.0",
        "sys/bus/pci/devices/0000:03:00.0/driver": "sys/bus/pci/drivers/igb",
        "sys/bus/pci/devices/0000:04:00.0/driver": "sys/bus/pci/drivers/ice",
        "sys/bus/pci/devices/0000:05:00.0/driver": "sys/bus/pci/drivers/uio_pci_generic",
    },
    "answers": {"af_xdp": 0, "io_uring": 0, "addresses": {"10.0.0.5": "eth0"},
                "interfaces": {"eth1": {"xdp_features": 15}}},
}


class Machine:
    """A copy of SERVER to be changed, and what is said of it."""

    def __init__(self, origin=SERVER):
        self.__dict__.update(copy.deepcopy(origin))

    def write(self, folder):
        for path, text in self.files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
        for path, target in self.links.items():
            link = folder / path
            (folder / target).mkdir(parents=True, exist_ok=True)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(folder / target, link.parent))
        (folder / "answers.json").write_text(json.dumps(self.answers))

    def ask(self, *options):
        with tempfile.TemporaryDirectory() as name:
            self.write(pathlib.Path(name))
            return start([DEMI, "doctor", "--root", name, *options])

    def json(self):
        return json.loads(self.ask("--json").stdout)

    def remove(self, prefix):
        self.files = {path: text for path, text in self.files.items() if not path.startswith(prefix)}
        self.links = {path: text for path, text in self.links.items() if not path.startswith(prefix)}
        return self

    def user(self, uid, capabilities):
        self.files["proc/self/status"] = STATUS.format(uid, capabilities)
        return self

    def interface(self, name, file, text):
        self.files[f"sys/class/net/{name}/{file}"] = text
        return self

    def driver(self, address, name):
        self.links[f"sys/bus/pci/devices/{address}/driver"] = f"sys/bus/pci/drivers/{name}"
        return self


def without(*capabilities):
    return ALL & ~sum(1 << number for number in capabilities)


def bits(*capabilities):
    return sum(1 << number for number in capabilities)


def verdict(said, device):
    return next(one for one in said["liboses"] if one["device"] == device)


def expect(name, pairs):
    """@pairs: (what is so, what should be)."""
    outcome(name, [f"{is_so!r}, wanted {wanted!r}" for is_so, wanted in pairs if is_so != wanted])


def expect_verdict(name, machine, device, state, missing, command):
    """@missing is a part of what is missing, @command the whole command; each may be None."""
    one = verdict(machine.json(), device)
    if one["state"] == "not in this build":
        outcome(f"{device}: {name} # SKIP not in this build", [])
        return
    wrong = []
    if one["state"] != state or one["command"] != command or (missing or "") not in (one["missing"] or ""):
        wrong = [f"{one}, wanted {state}, {missing!r}, {command!r}"]
    outcome(f"{device}: {name}", wrong)


# ---- What it sees ----

def test_facts():
    said = Machine().json()
    expect("the system", [
        (said["kernel"], "6.1.0-18-amd64"), (said["cpus"], {"count": 5, "list": "0-3,8"}),
        (said["user"]["root"], True), (len(said["user"]["capabilities"]), 5),
        (said["limits"], {"memlock_bytes": None, "open_files": 1024}),
        (said["huge_pages"], [{"kib": 2048, "total": 512, "free": 500}]),
        (said["unprivileged_bpf_disabled"], 2), (said["io_uring_error"], None),
        (said["tun"], True), (said["vfio"], {"device": False, "driver": True, "iommu_groups": 2}),
        (said["rdma"], ["mlx5_0"]), (said["network"], True)])
    expect("RDMA devices", [(said["rdma_cm"], True), (said["soft_roce"], False), (said["rdma_ports"], [
        {"device": "mlx5_0", "port": 1, "state": "ACTIVE", "link_layer": "Ethernet", "interface": "eth1",
         "active_mtu": 1024, "verbs": True, "gids": [
             {"index": 0, "address": "fe80::ff:fe00:1", "type": "IB/RoCE v1"},
             {"index": 1, "address": "fe80::ff:fe00:1", "type": "RoCE v2"},
             {"index": 3, "address": "10.1.0.5", "type": "RoCE v2"},
             {"index": 10, "address": "fd00::5", "type": "RoCE v2"}]}])])
    # 40, 8, 12, 4, 28 and 4 bytes go around what a packet of RoCE carries.
    for mtu, packet in ((9000, 4096), (4192, 4096), (4191, 2048), (608, 512), (352, 256), (351, None)):
        port = Machine().interface("eth1", "mtu", f"{mtu}\n").json()["rdma_ports"][0]
        expect(f"packets of RoCE where the MTU is {mtu}", [(port["active_mtu"], packet)])
    expect("interfaces, of Ethernet alone", [(said["interfaces"], [
        {"name": "eth0", "driver": "igb", "pci": "0000:03:00.0", "mtu": 1500, "rx_queues": 1, "tx_queues": 1,
         "state": "up", "up": True, "xdp_native": True, "xdp_zero_copy": None, "xdp_program": None,
         "default_route": True, "ssh": True},
        {"name": "eth1", "driver": "ice", "pci": "0000:04:00.0", "mtu": 1500, "rx_queues": 2, "tx_queues": 1,
         "state": "up", "up": True, "xdp_native": True, "xdp_zero_copy": True, "xdp_program": None,
         "default_route": False, "ssh": False}])])
    expect("network cards", [(said["cards"], [{"pci": "0000:03:00.0", "driver": "igb"},
                                              {"pci": "0000:04:00.0", "driver": "ice"}])])
    expect("drives, and what they are in use for", [(said["nvme"], [
        {"name": "nvme0n1", "driver": "nvme", "use": "mounted on /"},
        {"name": "nvme1n1", "driver": "nvme", "use": "swap"},
        {"name": "nvme1n10", "driver": "nvme", "use": "mounted on /data"},
        {"name": "nvme2n1", "driver": "nvme", "use": None},
        {"name": "nvme10n1", "driver": "nvme", "use": "part of another device"},
        {"name": "0000:05:00.0", "driver": "uio_pci_generic", "use": None}])])

    six = Machine().remove("proc/net/route").remove("proc/net/tcp")
    six.files["proc/net/ipv6_route"] = (
        f"fd000000000000000000000000000000 40 {'0' * 32} 00 {'0' * 32} 00000100 00000001 00000000 00000001     eth0\n"
        f"{'0' * 32} 00 {'0' * 32} 00 fd{'0' * 29}1 00000400 00000003 00000000 00000003     eth1\n")
    six.files["proc/net/tcp6"] = (
        "  sl  local_address\n"
        "   0: 0000000000000000FFFF00000500000A:0016 0000000000000000FFFF00000900000A:D431 01 0:0\n"
        "   1: 000000FD000000000000000001000000:0016 000000FD000000000000000002000000:D431 01 0:0\n")
    six.answers["addresses"]["fd00::1"] = "eth1"
    expect("the same over IPv6", [([(one["default_route"], one["ssh"]) for one in six.json()["interfaces"]],
                                   [(False, True), (True, True)])])


# ---- What can run ----

SPARE = "demi run --dev afxdp:eth1 --ip 10.0.0.2/24 -- PROGRAM"


def test_afxdp():
    def case(name, machine, state, missing, command):
        expect_verdict(name, machine, "afxdp", state, missing, command)

    case("the interface that is to spare", Machine(), "can run", None, SPARE)
    slower = Machine()
    slower.answers["interfaces"] = {"eth0": {"xdp_features": 15}, "eth1": {"xdp_features": 0}}
    case("though it is the slower one", slower, "can run", None, SPARE)
    shared = Machine().remove("sys/class/net/eth1")
    case("only the one that the machine needs", shared, "can run", None, SPARE.replace("eth1", "eth0"))
    alone = Machine().remove("sys/class/net/eth0")
    case("down", Machine(vars(alone)).interface("eth1", "flags", "0x1002\n"), "missing", "eth1: it is down",
         "ip link set dev eth1 up")
    case("jumbo frames", Machine(vars(alone)).interface("eth1", "mtu", "9000\n"), "missing", "MTU of 9000",
         "ip link set dev eth1 mtu 1500")
    taken = Machine(vars(alone))
    taken.answers["interfaces"]["eth1"]["xdp_program"] = 7
    case("somebody else's program", taken, "missing", "number 7", "ip link set dev eth1 xdp off")
    case("somebody else's program, to who is not root", Machine(vars(taken)).user(1000, ALL), "missing",
         "number 7", "sudo ip link set dev eth1 xdp off")
    case("no interface", Machine().remove("sys/class/net/eth"), "missing", "an Ethernet interface",
         "demi lab shell")
    virtual = Machine().remove("sys/class/net/eth1").interface("dummy0", "type", "1\n")
    virtual.interface("dummy0", "flags", "0x1003\n").interface("dummy0", "mtu", "1500\n")
    virtual.answers["interfaces"]["dummy0"] = {"driver": "dummy", "xdp_features": 15}
    case("one that leads nowhere is not taken", virtual, "can run", None, SPARE.replace("eth1", "eth0"))
    old = Machine()
    old.answers["af_xdp"] = errno.EAFNOSUPPORT
    case("a kernel without it", old, "missing", "CONFIG_XDP_SOCKETS", "apt-get install linux-image-amd64")

    case("not root", Machine().user(1000, 0), "missing", "root, or CAP_NET_ADMIN", "sudo " + SPARE)
    rights = bits(NET_ADMIN, NET_RAW, BPF)
    case("the capabilities without root", Machine().user(1000, rights), "can run", None, SPARE)
    for number in (NET_ADMIN, NET_RAW, BPF):
        case(f"all of them but {number}", Machine().user(1000, rights & ~bits(number)), "missing",
             "root, or CAP_NET_ADMIN", "sudo " + SPARE)
    case("CAP_SYS_ADMIN in the place of CAP_BPF", Machine().user(0, without(BPF)), "can run", None, SPARE)
    case("root without them", Machine().user(0, bits(NET_RAW)), "missing", "who starts the container",
         "docker run --cap-add=NET_ADMIN --cap-add=NET_RAW --cap-add=BPF ...")
    little = Machine().user(1000, rights)
    little.files["proc/self/limits"] = LIMITS.format(1024, 65536)
    case("little memory to lock", little, "missing", "64 KiB, and it takes 8192",
         "sudo prlimit --pid $$ --memlock=unlimited")
    case("which is no limit with CAP_IPC_LOCK", Machine(vars(little)).user(1000, rights | bits(IPC_LOCK)),
         "can run", None, SPARE)


def test_dpdk():
    def case(name, machine, state, missing, command):
        expect_verdict(name, machine, "dpdk PCI", state, missing, command)

    bind = "sh -c 'modprobe vfio-pci && dpdk-devbind.py -b vfio-pci 0000:04:00.0'"
    case("a card to spare", Machine(), "missing", "where ice is", bind)
    case("to who is not root", Machine().user(1000, 0), "missing", "where ice is", "sudo " + bind)
    # Catnip has no physical addresses, so it takes no card whose memory accesses nothing translates:
    # neither vfio-pci's without an IOMMU, nor one of the uio drivers.
    without_iommu = Machine().remove("sys/kernel/iommu_groups")
    turn_on = ("sh -c 'echo GRUB_CMDLINE_LINUX=\\\"\\$GRUB_CMDLINE_LINUX {}iommu=pt\\\" "
               ">/etc/default/grub.d/iommu.cfg && update-grub'")
    for vendor, flags, missing, command in (
            ("GenuineIntel", "fpu vmx", "an IOMMU", turn_on.format("intel_iommu=on ")),
            ("AuthenticAMD", "fpu svm", "an IOMMU", turn_on.format("")),
            ("GenuineIntel", "f" * 600 + " hypervisor vmx", "virtual machine", None)):
        without_iommu.files["proc/cpuinfo"] = f"vendor_id\t: {vendor}\nflags\t\t: {flags}\n"
        case(f"without an IOMMU, {vendor}, {flags[-15:]}", without_iommu, "missing", missing, command)
        without_iommu.files["sys/module/vfio/parameters/enable_unsafe_noiommu_mode"] = "Y\n"
        case("also where the kernel allows it", without_iommu, "missing", missing, command)
        bound = Machine(vars(without_iommu)).driver("0000:04:00.0", "vfio-pci")
        case("also where vfio-pci has the card", bound, "missing", missing, command)
    for name in ("uio_pci_generic", "igb_uio"):
        case(name, Machine().driver("0000:04:00.0", name), "missing", f"where {name} is", bind)
    case("without the module", Machine().remove("lib"), "missing", "vfio-pci in this kernel",
         "apt-get install linux-image-amd64")
    case("no card to spare", Machine().remove("sys/bus/pci/devices/0000:04").remove("sys/class/net/eth1"),
         "missing", "to spare", None)
    case("no card", Machine().remove("sys/bus/pci"), "missing", "a network card on the PCI bus", None)

    run = "demi run --dev dpdk:0000:04:00.0 --ip 10.0.0.2/24 -- PROGRAM"
    bound = Machine().driver("0000:04:00.0", "vfio-pci").remove("sys/class/net/eth1")
    case("bound", bound, "can run", None, run)
    case("bound, and not root", Machine(vars(bound)).user(1000, 0), "missing", "/dev/vfio", "sudo " + run)
    bound.files["dev/vfio/vfio"] = ""
    case("bound, and allowed to who is not root", bound.user(1000, 0), "can run", None, run)
    case("a driver that shares", Machine().driver("0000:04:00.0", "mlx5_core"), "can run", None, run)
    expect_verdict("needs nothing", Machine({"files": {}, "links": {}, "answers": {}}), "dpdk memif", "can run", None,
                   "demi run --dev dpdk:net_memif0,role=server,id=0,socket=demi,socket-abstract=yes "
                   "--ip 10.0.0.1/24 -- PROGRAM")


def test_tap():
    def case(name, machine, state, missing, command):
        expect_verdict(name, machine, "tap", state, missing, command)

    run = "demi run --dev tap:demi0 --ip 10.0.0.2/24 -- PROGRAM"
    case("all is there", Machine(), "can run", None, run)
    case("not root", Machine().user(1000, 0), "missing", "root, or CAP_NET_ADMIN", "sudo " + run)
    case("root without the right", Machine().user(0, 0), "missing", "CAP_NET_ADMIN",
         "docker run --cap-add=NET_ADMIN --device=/dev/net/tun ...")
    case("no file for it", Machine().remove("dev/net"), "missing", "/dev/net/tun, which the kernel has",
         "sh -c 'mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200'")
    case("nor a driver", Machine().remove("dev/net").remove("sys/class/misc").user(1000, ALL), "missing",
         "/dev/net/tun", "sudo modprobe tun")


def test_catnap():
    def case(name, error, disabled, state, missing, command):
        machine = Machine()
        machine.answers["io_uring"] = error
        machine.files["proc/sys/kernel/io_uring_disabled"] = f"{disabled}\n"
        expect_verdict(name, machine, "io_uring", state, missing, command)

    case("works", 0, 0, "can run", None, "LIBOS=catnap DEMI_CATNAP_ENGINE=uring PROGRAM")
    case("switched off", errno.EPERM, 2, "missing", "io_uring_disabled is 2",
         "sysctl -w kernel.io_uring_disabled=0")
    case("filtered", errno.EPERM, 0, "missing", "not permitted",
         "docker run --security-opt seccomp=unconfined ...")
    case("an old kernel", errno.ENOSYS, -1, "missing", "in this kernel", "apt-get install linux-image-amd64")
    machine = Machine()
    machine.answers["io_uring"] = 0
    expect_verdict("logs", machine, "file", "can run", None,
                   "truncate -s 1G demi.img && LIBOS=catnap+cattree DEMI_BLK_DEV=uring:demi.img PROGRAM")
    machine.answers["io_uring"] = errno.ENOSYS
    expect_verdict("no logs", machine, "file", "missing", "in this kernel",
                   "apt-get install linux-image-amd64")
    empty = Machine({"files": {}, "links": {}, "answers": {}})
    expect_verdict("always runs", empty, "epoll", "can run", None, "LIBOS=catnap PROGRAM")


def test_nvme():
    def case(name, machine, state, missing, command):
        expect_verdict(name, machine, "NVMe", state, missing, command)

    def has(machine, address, *names):
        """The kernel's driver has the controller at @address, with these namespaces below it."""
        machine.files[f"sys/bus/pci/devices/{address}/class"] = "0x010802\n"
        machine.files |= {f"sys/bus/pci/devices/{address}/nvme/nvme2/{name}/size": "1\n" for name in names}
        return machine.driver(address, "nvme")

    stray = "the kernel's driver nvme at 0000:05:00.0"
    case("another driver has the only one to spare", Machine(), "missing", stray, "demi nvme unbind 0000:05:00.0")
    case("none has it", Machine().remove("sys/bus/pci/devices/0000:05:00.0/driver"), "missing", stray,
         "demi nvme unbind 0000:05:00.0")
    spare, bind = has(Machine(), "0000:07:00.0", "nvme2n1"), "demi nvme bind 0000:07:00.0"
    case("the kernel has one to spare", spare, "missing",
         "vfio-pci at 0000:07:00.0; the kernel has its disk nvme2n1 no more", bind)
    case("to who is not root", Machine(vars(spare)).user(1000, ALL), "missing", "vfio-pci", "sudo " + bind)
    case("one with several paths", has(Machine(), "0000:07:00.0", "nvme2c5n1"), "missing", "nvme2n1", bind)
    case("one of whose namespaces one is in use", has(Machine(), "0000:07:00.0", "nvme2n1", "nvme1n10"), "missing",
         stray, "demi nvme unbind 0000:05:00.0")
    used = has(has(Machine(), "0000:07:00.0", "nvme0n1"), "0000:05:00.0", "nvme10n1")
    case("all are in use", used, "missing", "those that there are are in use", None)
    case("without the module", Machine(vars(spare)).remove("lib"), "missing", "vfio-pci in this kernel",
         "apt-get install linux-image-amd64")
    case("no drive", Machine().remove("sys/bus/pci").remove("sys/block"), "missing", "an NVMe drive", None)
    without_iommu = Machine(vars(spare)).remove("sys/kernel/iommu_groups")
    without_iommu.files["proc/cpuinfo"] = "flags\t\t: fpu hypervisor\n"
    case("without an IOMMU", without_iommu, "missing", "an IOMMU", None)

    run = "LIBOS=catnap+cattree DEMI_BLK_DEV=nvme:0000:05:00.0 PROGRAM"
    bound = Machine(vars(spare)).driver("0000:05:00.0", "vfio-pci")
    bound.links["sys/bus/pci/devices/0000:05:00.0/iommu_group"] = "sys/kernel/iommu_groups/12"
    case("also where vfio-pci has it", Machine(vars(bound)).driver("0000:05:00.0", "vfio-pci").remove(
        "sys/kernel/iommu_groups").remove("sys/bus/pci/devices/0000:05:00.0/iommu_group"), "missing", "an IOMMU",
         "sh -c 'echo GRUB_CMDLINE_LINUX=\\\"\\$GRUB_CMDLINE_LINUX iommu=pt\\\" >/etc/default/grub.d/iommu.cfg "
         "&& update-grub'")
    physical = Machine(vars(bound))
    physical.files["sys/kernel/iommu_groups/12/name"] = "vfio-noiommu\n"
    run_so = "env DEMI_HEAP_HUGE_PAGES=reserved LIBOS=catnap+cattree DEMI_BLK_DEV=nvme:0000:05:00.0,noiommu PROGRAM"
    case("bound without an IOMMU", physical, "can run", None, run_so)
    case("and not root", Machine(vars(physical)).user(1000, ALL), "missing", "root", "sudo " + run_so)
    physical.files["sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"] = "15\n"
    case("and few huge pages", physical, "missing", "free huge pages: 15, and it takes 16",
         "sysctl vm.nr_hugepages=32")
    case("bound, without the container", Machine(vars(bound)).user(1000, 0), "missing", "/dev/vfio/vfio",
         "sudo chmod 666 /dev/vfio/vfio")
    bound.files["dev/vfio/vfio"] = ""
    case("bound, and the group is root's", Machine(vars(bound)).user(1000, 0), "missing",
         "/dev/vfio/12, the IOMMU group of 0000:05:00.0", "sudo chown $USER /dev/vfio/12")
    bound.files["dev/vfio/12"] = ""
    case("bound", bound, "can run", None, run)
    bound.files["proc/self/limits"] = LIMITS.format(1024, 8 << 20)
    case("bound, and little memory to lock", Machine(vars(bound)).user(1000, 0), "missing",
         "8192 KiB, and it takes 32768", "sudo prlimit --pid $$ --memlock=unlimited")
    case("which is no limit with CAP_IPC_LOCK", Machine(vars(bound)).user(1000, bits(IPC_LOCK)), "can run", None, run)


def test_rdma():
    def case(name, machine, state, missing, command):
        expect_verdict(name, machine, "RDMA", state, missing, command)

    def device(name, uverbs, **files):
        """What is in files of a second device, with one port."""
        folder = f"sys/class/infiniband/{name}/ports/1"
        return {f"sys/class/infiniband_verbs/{uverbs}/ibdev": f"{name}\n", f"dev/infiniband/{uverbs}": "",
                **{f"{folder}/{file.replace('__', '/')}": text for file, text in files.items()}}

    ports = "sys/class/infiniband/mlx5_0/ports/1"
    case("a device", Machine(), "can run", None, "LIBOS=catmint PROGRAM")

    bare = Machine().remove("sys/class/infiniband").remove("dev/infiniband").remove("sys/class/misc/rdma_cm")
    case("no device, nor the module for one", bare, "missing", "rdma_rxe", "apt-get install linux-image-amd64")
    make = "sh -c 'modprobe rdma_rxe && rdma link add rxe0 type rxe netdev eth0'"
    for path, text in (("lib/modules/6.1.0-18-amd64/modules.dep",
                        "kernel/drivers/infiniband/sw/rxe/rdma_rxe.ko.xz: a.ko\n"),
                       ("sys/module/rdma_rxe/refcnt", "0\n")):
        able = Machine(vars(bare))
        able.files[path] = text
        case("no device", able, "missing", "Soft-RoCE makes one", make)
        case("no device, to who is not root", Machine(vars(able)).user(1000, ALL), "missing", "Soft-RoCE",
             "sudo " + make)
        case("one of an interface that is up", Machine(vars(able)).interface("eth0", "flags", "0x1002\n"), "missing",
             "Soft-RoCE", make.replace("eth0", "eth1"))
        case("no interface to make one of", Machine(vars(able)).remove("sys/class/net/eth"), "missing",
             "an Ethernet interface", None)

    case("no connections by address", Machine().remove("dev/infiniband/rdma_cm").remove("sys/class/misc/rdma_cm"),
         "missing", "/dev/infiniband/rdma_cm", "modprobe rdma_ucm")
    case("no verbs", Machine().remove("dev/infiniband/uverbs0").remove("sys/class/infiniband_verbs").user(1000, ALL),
         "missing", "/dev/infiniband/uverbs0", "sudo modprobe ib_uverbs")
    in_container = "docker run --device=/dev/infiniband --ulimit memlock=-1 ..."
    for file in ("rdma_cm", "uverbs0"):
        case(f"a container without {file}", Machine().remove(f"dev/infiniband/{file}"), "missing",
             f"/dev/infiniband/{file}, which the kernel has", in_container)

    down = Machine()
    down.files[f"{ports}/state"] = "1: DOWN\n"
    case("down", down, "missing", "port 1 of mlx5_0 is DOWN", "ip link set dev eth1 up")
    case("down, without a GID", Machine(vars(down)).remove(f"{ports}/gid"), "missing", "is DOWN", None)
    parent = Machine(vars(down)).remove(f"{ports}/gid")
    parent.files["sys/class/infiniband/mlx5_0/parent"] = "eth1\n"
    case("down, as Soft-RoCE tells it", parent, "missing", "is DOWN", "ip link set dev eth1 up")
    unaddressed = Machine().remove(f"{ports}/gids/3").remove(f"{ports}/gids/10")
    case("no address", unaddressed, "missing", "an address of IP at eth1", "ip address add 10.0.0.1/24 dev eth1")
    fabric = Machine(vars(unaddressed))
    fabric.files[f"{ports}/link_layer"] = "InfiniBand\n"
    case("InfiniBand", fabric, "can run", None, "LIBOS=catmint PROGRAM")
    expect("whose packets are not known", [(fabric.json()["rdma_ports"][0]["active_mtu"], None)])
    fabric.files[f"{ports}/state"] = "2: INIT\n"
    case("InfiniBand that nobody manages", fabric, "missing", "port 1 of mlx5_0 is INIT", "opensm -B")

    little = Machine().user(1000, 0)
    little.files["proc/self/limits"] = LIMITS.format(1024, 8 << 20)
    case("little memory to lock", little, "missing", "8192 KiB, and it takes 32768",
         "sudo prlimit --pid $$ --memlock=unlimited")
    case("which is no limit with CAP_IPC_LOCK", Machine(vars(little)).user(1000, bits(IPC_LOCK)), "can run", None,
         "LIBOS=catmint PROGRAM")
    little.files["proc/self/limits"] = LIMITS.format(1024, 32 << 20)
    case("enough memory to lock", little, "can run", None, "LIBOS=catmint PROGRAM")

    second = Machine(vars(down))
    second.files |= device("rxe0", "uverbs1", state="4: ACTIVE\n", link_layer="Ethernet\n",
                           gids__1="0000:0000:0000:0000:0000:ffff:0a01:0006\n", gid_attrs__ndevs__1="eth1\n")
    case("another device, which is active", second, "can run", None,
         "LIBOS=catmint DEMI_CATMINT_DEVICE=rxe0 PROGRAM")
    many = Machine()
    many.files |= {f"{ports}/gids/{index}": f"fd00::{index:x}\n" for index in range(1, 256)}
    many.files |= {f"sys/class/infiniband/mlx5_{index}/ports/{port}/state": "4: ACTIVE\n"
                   for index in range(40) for port in range(1, 5)}
    said = many.json()
    expect("more than anybody has", [
        (len(said["rdma"]), 16), (len(said["rdma_ports"]), 32), (len(said["rdma_ports"][0]["gids"]), 16)])


def test_status():
    empty = Machine({"files": {}, "links": {}, "answers": {}})
    for name, machine in (("a server", Machine()), ("an empty machine", empty)):
        result = machine.ask("--json")
        said = json.loads(result.stdout)
        able = any(one["libos"] == "catnip" and one["state"] == "can run" for one in said["liboses"])
        expect(f"{name}: exit status", [(said["network"], able), (result.returncode, 0 if able else 1),
                                        (result.stderr, "")])
    last = [(one["libos"], one["state"]) for one in empty.json()["liboses"]][-1:]
    expect("libOSes without a device", [(last, [("catmem", "can run")])])


# ---- What it prints ----

def test_text():
    result = Machine().ask()
    lines = result.stdout.splitlines()
    table = lines[lines.index("Interfaces") + 1:][:3]
    column = table[0].index("XDP")
    expect("the table is aligned", [(line[column - 2:column], "  ") for line in table]
           + [(table[1][column:], "native     default route  ssh"), (table[2][column:], "zero-copy")])
    expect("no blanks at the end of a line", [(line, line.rstrip()) for line in lines])
    said = Machine().json()
    text = " ".join(result.stdout.split())
    parts = [part for one in said["liboses"] for part in (one["libos"], one["command"], one["missing"]) if part]
    at = lines.index("RDMA devices")
    expect("RDMA devices", [
        (lines[at + 2].split(), ["mlx5_0", "1", "ACTIVE", "Ethernet", "eth1", "1024", "may", "be", "opened"]),
        (lines[at + 5].split(maxsplit=2), ["GID", "3:", "10.1.0.5, RoCE v2"]),
        (lines[at + 1].index("verbs"), lines[at + 2].index("may"))])
    expect("every verdict", [(part in text, True) for part in parts])
    expect("who would cut the machine off is warned", [
        ("warning: eth0 has the default route and an ssh session on it" in result.stdout, True),
        ("warning: eth1" in result.stdout, False)])


def keys_of(value):
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    if isinstance(value, dict):
        return set(value) | set().union(*map(keys_of, value.values()))
    return set()


def test_manual():
    page = (TOP / "man/demi-doctor.1.scd").read_text()
    described = set(re.findall(r"\*(\w+)\*(?!\()", page[page.index("# JSON"):page.index("# EXIT STATUS")].replace("\\", "")))
    expect("the keys are those of demi-doctor(1)", [(sorted(keys_of(Machine().json()) ^ described), [])])


# ---- Files that are not as they should be ----

def test_garbage():
    junk = (b"", b"\n", b"\xff\x00" * 400, b"9" * 5000, b"-1\n", b"0x\n", b"%s%n\n" * 50, b"eth0 " * 200)
    for number, text in enumerate(junk):
        machine = Machine()
        machine.files = {path: text for path in machine.files}
        result = machine.ask("--json")
        expect(f"junk {number}", [(result.returncode in (0, 1), True), (result.stderr, "")])
        expect(f"junk {number}, as text", [(machine.ask().returncode in (0, 1), True)])
        # What is an interface stays one, with junk about it.
        machine.files |= {f"sys/class/net/eth{i}/type": "1\n" for i in range(100)}
        expect(f"junk {number}, and many interfaces", [(machine.ask().returncode in (0, 1), True)])
    strange = Machine()
    strange.files |= {path.replace("eth1", "et\udcff1"): text for path, text in strange.files.items()}
    expect("a name that is no text", [("et?1" in [one["name"] for one in strange.json()["interfaces"]], True)])
    broken = Machine()
    broken.answers = ["no object"]
    expect("answers of another shape", [(broken.ask().returncode in (0, 1), True)])


# ---- This machine ----

def test_here():
    said = json.loads(start([DEMI, "doctor", "--json"]).stdout)
    net = pathlib.Path("/sys/class/net")
    names = {one.name for one in net.iterdir() if (one / "type").exists() and (one / "type").read_text() == "1\n"}
    expect("here: kernel, user and interfaces", [
        (said["kernel"], os.uname().release), (said["user"]["root"], os.geteuid() == 0),
        ({one["name"] for one in said["interfaces"]}, names),
        ({one["name"]: one["mtu"] for one in said["interfaces"]},
         {name: int((net / name / "mtu").read_text()) for name in names})])
    expect("here: as text", [(start([DEMI, "doctor"]).stderr, "")])


def test_other_namespace():
    """/sys of one network namespace, and the process in another, which has other interfaces."""
    if os.geteuid() != 0 or not shutil.which("nsenter"):
        outcome("here: /sys of another namespace # SKIP needs root, and nsenter", [])
        return
    result = start([TOP / "scripts/lab.sh", "run", "--", "sh", "-c",
                    'nsenter --net=/run/netns/$LAB_DEMI "$0" doctor --json; nsenter --net=/run/netns/$LAB_DEMI "$0" '
                    'doctor', DEMI])
    try:
        said = json.loads(result.stdout[:result.stdout.index("\n}\n") + 2])
    except ValueError:
        outcome("here: /sys of another namespace", [result.stdout, result.stderr])
        return
    expect("here: /sys of another namespace", [
        (said["interfaces"], []), ("another network namespace" in result.stdout, True)])
    if verdict(said, "afxdp")["state"] != "not in this build":
        one = verdict(said, "afxdp")
        expect("here: none of that is proposed", [
            (one["state"], "missing"), (one["command"], "ip netns exec NAMESPACE demi doctor")])


IN_LABORATORY = """
ip netns exec $LAB_DEMI "$0" doctor --json
ip netns exec $LAB_DEMI "$1" server --proto udp --addr $LAB_DEMI_IP:7000 --libos catnip \
    --dev afxdp:$LAB_DEV --ip $LAB_DEMI_IP/24 >&2 &
for try in $(seq 100); do
    answer=$(ip netns exec $LAB_DEMI "$0" doctor --json)
    case $answer in *'"xdp_program": null'*) sleep 0.1 ;; *) break ;; esac
done
echo "$answer"
kill $!
"""


def test_program_seen():
    name = "here: a driver, and an XDP program that is attached"
    if os.geteuid() != 0 or not DEMI_ECHO or verdict(Machine().json(), "afxdp")["state"] == "not in this build":
        outcome(f"{name} # SKIP needs root, and AF_XDP in the build", [])
        return
    result = start([TOP / "scripts/lab.sh", "run", "--", "sh", "-c", IN_LABORATORY, DEMI, DEMI_ECHO])
    try:
        before, after = [json.loads(text + "}") for text in result.stdout.split("\n}\n")[:2]]
    except ValueError:
        outcome(name, [result.stdout, result.stderr])
        return
    expect(name, [
        (before["interfaces"][0]["driver"], "veth"), (before["interfaces"][0]["xdp_native"], True),
        (before["interfaces"][0]["xdp_program"], None), (verdict(before, "afxdp")["state"], "can run"),
        ((after["interfaces"][0]["xdp_program"] or 0) > 0, True), (verdict(after, "afxdp")["state"], "missing")])


def main():
    for test in (test_facts, test_afxdp, test_dpdk, test_tap, test_catnap, test_nvme, test_rdma, test_status, test_text, test_manual,
                 test_garbage, test_here, test_other_namespace,
                 test_program_seen):
        test()
    finish()


main()
