# SPDX-License-Identifier: MIT
"""
What the tests in a guest share. A test file is called with the path of demi-echo and runs itself
again in a guest (scripts/vm.sh), as root, with the devices it has asked for. Programs, TAP and the
rest are those of the tests against the Linux kernel.
"""

import contextlib
import fcntl
import glob
import os
import shutil
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../net"))

import lab  # noqa: E402, it stands beside

VM_SH = os.path.join(HERE, "../../scripts/vm.sh")
PCI = "/sys/bus/pci/devices"

# An emulated processor is some ten times slower, and may have to share the one it is emulated on.
lab.DEADLINE_S = DEADLINE_S = 90


def require_guest():
    """Skips all where none can be started; gets its kernel otherwise."""
    prepared = lab.run(VM_SH, "--prepare", check=False, timeout=300)
    if prepared.returncode != 0:
        lab.skip_all(f"no guest here: {prepared.stdout[prepared.stdout.rfind('vm.sh: '):].strip()}"
                     .replace("\n", " "))


def command(name, *vm_options):
    """That runs this file again, in a guest; DEMI_GUEST is the guest's name there."""
    passed_on = [f"LAB_TIMES={os.environ['LAB_TIMES']}"] if "LAB_TIMES" in os.environ else []
    return [VM_SH, *vm_options, "--", "env", f"DEMI_GUEST={name}", *passed_on, sys.executable,
            *sys.argv]


def main(*vm_options):
    """usage: FILE DEMI_ECHO [-- TEST...]"""
    arguments = sys.argv[1:]
    at = arguments.index("--") if "--" in arguments else len(arguments)
    lab.make_executable_paths(arguments[:at])
    if "DEMI_GUEST" not in os.environ:
        require_guest()
        os.execv(VM_SH, command("1", *vm_options))
    lab.pin(0)
    sys.exit(lab.run_tests(arguments[at + 1:]))


# ---- two guests ----

@contextlib.contextmanager
def pair(first, second, model, address, output=None):
    """
    Two guests whose network cards are on one wire: @first and @second are the options of vm.sh and
    the command of each, @model a card of QEMU's, @address the PCI address that both have it at. The
    wire is a pair of sockets that QEMU inherits and that ends with the guests. @output is a file for
    what the first one says, standard output unless it is given; the second's is not kept.

    Gives the two processes; those that still run are killed at the end.
    """
    ends = socket.socketpair()
    processes = []
    try:
        for number, (options, inside) in enumerate((first, second)):
            # Above those that vm.sh makes for itself.
            end = fcntl.fcntl(ends[number].fileno(), fcntl.F_DUPFD, 200 + number)
            card = (f"-netdev socket,id=wire,fd={end} -device {model},netdev=wire,"
                    f"addr={address[8:]},mac=02:00:00:00:74:0{number + 1}")
            processes.append(subprocess.Popen(
                [VM_SH, *options, "--qemu", card, "--", *inside], stdin=subprocess.DEVNULL,
                pass_fds=[end], stdout=output if number == 0 else subprocess.DEVNULL))
            os.close(end)
        for end in ends:
            end.close()
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main_of_pair(model, address, *vm_options):
    """As main, for tests in the first of two guests. This file is run in the second as well, with
    DEMI_GUEST=second, and has to serve there what they ask for."""
    if "DEMI_GUEST" in os.environ:
        main()
    arguments = sys.argv[1:]
    lab.make_executable_paths(arguments[:arguments.index("--") if "--" in arguments else None])
    require_guest()
    inside = [command(name)[2:] for name in ("first", "second")]
    with pair((vm_options, inside[0]), (vm_options, inside[1]), model, address) as (first, _):
        status = first.wait()
    sys.exit(status)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def driver_of(address):
    link = f"{PCI}/{address}/driver"
    return os.path.basename(os.readlink(link)) if os.path.exists(link) else None


def bind(address, driver):
    """Gives a PCI device to a driver of the kernel's; None: to none."""
    if driver_of(address):
        write(f"{PCI}/{address}/driver/unbind", address)
    write(f"{PCI}/{address}/driver_override", f"{driver or ''}\n")
    if driver:
        write("/sys/bus/pci/drivers_probe", address)
    if driver_of(address) != driver:
        raise AssertionError(f"{address} has the driver {driver_of(address)}, not {driver}")


def interface_of(address):
    """Of a card whose driver is the kernel's, which may have a bus of its own in between."""
    found = [path for between in ("", "virtio*/")
             for path in glob.glob(f"{PCI}/{address}/{between}net/*")]
    return os.path.basename(found[0])


def await_carrier(interface):
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        with open(f"/sys/class/net/{interface}/carrier", encoding="ascii") as file:
            if file.read().strip() == "1":
                return
        time.sleep(0.05)
    raise AssertionError(f"{interface} has no link")


def keep_dpdk_drivers(*names):
    """
    Leaves DPDK no drivers but these. Every program loads all that there are when it starts, and
    here they are 30 MB that come through 9p, and 150 libraries to relocate.
    """
    kept = f"/run/dpdk-{os.getpid()}"
    os.mkdir(kept)
    for folder in glob.glob("/usr/lib*/dpdk/pmds-*") + glob.glob("/usr/lib*/*/dpdk/pmds-*"):
        for name in names:
            for file in glob.glob(f"{folder}/librte_{name}.so*"):
                shutil.copy(file, kept, follow_symlinks=False)
        lab.run("mount", "-o", "bind", kept, folder)
