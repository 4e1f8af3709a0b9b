# SPDX-License-Identifier: MIT
"""
What the tests in a guest share. A test file is called with the path of demi-echo and runs itself
again in a guest (scripts/vm.sh), as root, with the devices it has asked for. Programs, TAP and the
rest are those of the tests against the Linux kernel.
"""

import glob
import os
import shutil
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


def main(*vm_options):
    """usage: FILE DEMI_ECHO [-- TEST...]"""
    arguments = sys.argv[1:]
    at = arguments.index("--") if "--" in arguments else len(arguments)
    lab.make_executable_paths(arguments[:at])
    if "DEMI_GUEST" not in os.environ:
        require_guest()
        passed_on = [f"LAB_TIMES={os.environ['LAB_TIMES']}"] if "LAB_TIMES" in os.environ else []
        os.execv(VM_SH, [VM_SH, *vm_options, "--", "env", "DEMI_GUEST=1", *passed_on,
                         sys.executable, *sys.argv])
    lab.pin(0)
    sys.exit(lab.run_tests(arguments[at + 1:]))


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
    return os.listdir(f"{PCI}/{address}/net")[0]


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
