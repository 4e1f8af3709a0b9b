#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
`demi run`: what reaches the program and the library that is preloaded into it, and what is said when
it cannot be run. In the place of the library is one that prints its environment. Speaks TAP.

    tests/tools/run_test.py DEMI FAKE_SHIM STATIC_PROGRAM
"""
import os
import pathlib
import shutil
import signal
import struct
import sys
import tempfile

from command import start
from tap import finish, outcome

DEMI, SHIM, STATIC = (str(pathlib.Path(word).resolve()) for word in sys.argv[1:4])
DEVICE = ["--dev", "tap:demi0", "--ip", "10.0.0.2/24"]
NOBODY = 65534


def run(*words, environment=None, **options):
    return start([DEMI, "run", *map(str, words)], {"DEMI_SHIM": SHIM} | (environment or {}), **options)


def told(result):
    """What the preloaded library saw: variable -> value."""
    lines = [line[6:] for line in result.stderr.splitlines() if line.startswith("shim: ")]
    return dict(line.split("=", 1) for line in lines)


def expect_told(name, words, wanted, environment=None):
    """The library is told @wanted; None: the variable is not set."""
    result = run(*words, "--", "true", environment=environment)
    seen = told(result)
    wrong = [f"{key}: {seen.get(key)!r}, wanted {value!r}"
             for key, value in wanted.items() if seen.get(key) != value]
    if result.returncode or (wrong and not seen):
        wrong.append(f"status {result.returncode}: {result.stderr}")
    outcome(name, wrong)


def expect_refused(name, words, status, text, environment=None, **options):
    """One line on standard error, with @text in it; nothing has been run."""
    result = run(*words, environment=environment, **options)
    lines = result.stderr.splitlines()
    wrong = []
    if result.returncode != status:
        wrong.append(f"status {result.returncode}, wanted {status}")
    if len(lines) != 1 or text not in lines[0] or not lines[0].startswith("demi run: "):
        wrong.append(f"wanted one line with {text!r}: {result.stderr!r}")
    outcome(f"refused: {name}", wrong)


def expect(name, good, result):
    outcome(name, [] if good else [f"status {result.returncode}", *result.stderr.splitlines(),
                                   *result.stdout.splitlines()])


# ---- What the library is told ----

def test_told(folder):
    expect_told("catnip, and sleeping, by default", DEVICE,
                {"LIBOS": "catnip", "DEMI_NET_DEV": "tap:demi0", "DEMI_NET_IP": "10.0.0.2/24",
                 "DEMI_RUNTIME_IDLE": "sleep", "DEMI_NET_GW": None, "DEMI_NET_MAC": None,
                 "DEMI_SHIM_RULES": None, "DEMI_SHIM_TRACE": None, "DEMI_CATNAP_ENGINE": None,
                 "CONFIG_PATH": None, "LD_PRELOAD": SHIM})
    expect_told("every option",
                [*DEVICE, "--ip", "fd00::2/64,10.0.1.2/24", "--gw", "10.0.0.1", "--gw=fe80::1",
                 "--mac", "02:00:00:00:00:01", "--libos", "catnip", "--idle", "spin",
                 "--rules", "kernel tcp *:22, demi *", "--trace"],
                {"DEMI_NET_IP": "10.0.0.2/24,fd00::2/64,10.0.1.2/24",
                 "DEMI_NET_GW": "10.0.0.1,fe80::1", "DEMI_NET_MAC": "02:00:00:00:00:01",
                 "DEMI_RUNTIME_IDLE": "spin", "DEMI_SHIM_RULES": "kernel tcp *:22, demi *",
                 "DEMI_SHIM_TRACE": "1"})
    expect_told("catnap has the engine that can move between threads",
                ["--libos", "catnap", "--ip", "127.0.0.1/8"],
                {"LIBOS": "catnap", "DEMI_CATNAP_ENGINE": "epoll", "DEMI_NET_IP": "127.0.0.1/8",
                 "DEMI_NET_DEV": None}, {"DEMI_CATNAP_ENGINE": "uring"})
    expect_told("the environment says what options leave out", [],
                {"LIBOS": "catnip", "DEMI_NET_DEV": "tap:demi1", "DEMI_NET_IP": "10.1.0.2/24",
                 "DEMI_RUNTIME_IDLE": "spin"},
                {"DEMI_NET_DEV": "tap:demi1", "DEMI_NET_IP": "10.1.0.2/24", "DEMI_RUNTIME_IDLE": "spin"})
    expect_told("options go before the environment", DEVICE,
                {"LIBOS": "catnip", "DEMI_NET_DEV": "tap:demi0", "DEMI_NET_IP": "10.0.0.2/24"},
                {"LIBOS": "catnap", "DEMI_NET_DEV": "tap:demi1", "DEMI_NET_IP": "10.1.0.2/24"})
    expect_told("LIBOS of the environment", ["--ip", "127.0.0.1/8"],
                {"LIBOS": "catnap", "DEMI_CATNAP_ENGINE": "epoll"}, {"LIBOS": "catnap"})
    logs = ["--blk", "uring:/tmp/x.img", "--log-files", "/tmp/a*.log,/tmp/b/", "--log-files", "/c"]
    expect_told("logs, beside catnip", [*DEVICE, *logs],
                {"LIBOS": "catnip+cattree", "DEMI_BLK_DEV": "uring:/tmp/x.img",
                 "DEMI_SHIM_LOG_FILES": "/tmp/a*.log,/tmp/b/,/c"})
    expect_told("logs, beside catnap", ["--libos", "catnap", "--ip", "127.0.0.1/8", *logs],
                {"LIBOS": "catnap+cattree", "DEMI_CATNAP_ENGINE": "epoll"})
    expect_told("logs alone", ["--libos", "cattree", *logs],
                {"LIBOS": "cattree", "DEMI_NET_DEV": None, "DEMI_NET_IP": None})
    expect_told("a block device in the environment", ["--libos", "catnip+cattree", *DEVICE],
                {"LIBOS": "catnip+cattree", "DEMI_BLK_DEV": "uring:/tmp/y.img"},
                {"DEMI_BLK_DEV": "uring:/tmp/y.img"})
    expect_told("what the user preloads comes behind", DEVICE,
                {"LD_PRELOAD": f"{SHIM}:libm.so.6"}, {"LD_PRELOAD": "libm.so.6"})

    file = folder / "demi.yaml"
    file.write_text("libos: catnip\nnet:\n  dev: tap:demi2\n  ip: 10.2.0.2/24\nruntime:\n  idle: spin\n")
    expect_told("a file says all", ["--config", file],
                {"CONFIG_PATH": str(file), "LIBOS": "catnip", "DEMI_NET_DEV": None,
                 "DEMI_RUNTIME_IDLE": None})
    relative = run("--config", file.name, "--", "true", cwd=folder)
    expect("the path of a file becomes absolute", told(relative).get("CONFIG_PATH") == str(file), relative)


# ---- What the program is given ----

def test_program(folder):
    result = run(*DEVICE, "--", "sh", "-c", 'printf "<%s>" "$@"; exit 7', "sh", "--ip", "", "a b")
    expect("arguments and exit status", result.returncode == 7 and result.stdout == "<--ip><><a b>", result)
    result = run(*DEVICE, "sh", "-c", "kill -KILL $$")
    expect("its death by a signal is seen", result.returncode == -signal.SIGKILL, result)
    result = run(*DEVICE, "sh", "-c", "read word; echo got $word; echo $0", input="this\n")
    expect("standard input, and its own name", result.stdout == "got this\nsh\n", result)

    script = folder / "script"
    for line in ("#!/bin/sh", "#! /usr/bin/env sh", "#!/usr/bin/env -S -u HOME A=1 sh", "echo no line"):
        script.write_text(f"{line}\nexit 5\n")
        script.chmod(0o755)
        result = run(*DEVICE, script)
        expect(f"a script: {line}", result.returncode == 5 and told(result), result)
    result = run(*DEVICE, "script", environment={"PATH": f"/nonexistent:{folder}:/bin"})
    expect("found in PATH", result.returncode == 5 and told(result), result)


# ---- Programs that cannot be run so ----

def patched(folder, name, change):
    """A copy of a usual program, changed."""
    data = bytearray(pathlib.Path(shutil.which("true")).read_bytes())
    path = folder / name
    path.write_bytes(change(data))
    path.chmod(0o755)
    return path


def with_machine(number):
    def change(data):
        struct.pack_into("<H" if data[5] == 1 else ">H", data, 18, number)
        return data
    return change


def with_musl(data):
    at = data.index(b"/ld-linux")
    data[at:at + 8] = b"/ld-musl"
    return data


def test_programs_refused(folder):
    plain = folder / "plain"
    plain.write_text("#!/bin/sh\n")
    plain.chmod(0o644)
    expect_refused("no such file", [*DEVICE, "--", "/nonexistent/program"], 127, "no such program")
    expect_refused("not in PATH", [*DEVICE, "--", "no-such-program-here"], 127, "folders of PATH")
    expect_refused("not executable", [*DEVICE, "--", plain], 126, "cannot be executed")
    expect_refused("not executable, in PATH", [*DEVICE, "plain"], 126, "cannot be executed",
                   {"PATH": str(folder)})
    expect_refused("a folder", [*DEVICE, "--", folder], 126, "is a folder")
    expect_refused("statically linked", [*DEVICE, "--", STATIC], 126, "statically linked")

    script = folder / "for-static"
    script.write_text(f"#!{STATIC} -x\n")
    script.chmod(0o755)
    expect_refused("a script for such a program", [*DEVICE, script], 126, "statically linked")
    script.write_text("#!/nonexistent/interpreter\n")
    expect_refused("a script for none", [*DEVICE, script], 127, "/nonexistent/interpreter")
    script.write_text(f"#!{script}\n")
    expect_refused("a script for itself", [*DEVICE, script], 126, "too many scripts")

    expect_refused("for another machine", [*DEVICE, patched(folder, "foreign", with_machine(0x7777))],
                   126, "another kind of processor")
    expect_refused("cut short", [*DEVICE, patched(folder, "short", lambda data: data[:40])],
                   126, "no whole ELF")
    expect_refused("cut behind its header", [*DEVICE, patched(folder, "head", lambda data: data[:64])],
                   126, "no whole ELF")
    expect_refused("for musl", [*DEVICE, patched(folder, "musl", with_musl)], 126, "musl")


def test_privileged(folder):
    """Programs that change who they are; only root can make them."""
    if os.geteuid() != 0:
        outcome("setuid, setgid and capabilities # SKIP only root can make such programs", [])
        return
    if os.statvfs(folder).f_flag & os.ST_NOSUID:
        outcome("setuid, setgid and capabilities # SKIP the temporary folder is mounted nosuid", [])
        return
    program = patched(folder, "setuid", lambda data: data)
    os.chown(program, NOBODY, 0)
    program.chmod(0o4755)
    expect_refused("setuid", [*DEVICE, program], 126, "is setuid")
    os.chown(program, 0, NOBODY)
    program.chmod(0o2755)
    expect_refused("setgid", [*DEVICE, program], 126, "is setgid")
    os.chown(program, 0, 0)
    program.chmod(0o4755)
    result = run(*DEVICE, program)
    expect("setuid to who runs it anyhow", result.returncode == 0 and told(result), result)
    program.chmod(0o755)
    # CAP_NET_BIND_SERVICE, permitted and effective: struct vfs_cap_data, revision 2
    os.setxattr(program, "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
    result = run(*DEVICE, program)
    expect("capabilities are nothing new to root", result.returncode == 0 and told(result), result)
    # Who is not root may not be able to come to the build's folder.
    copies = [shutil.copy(file, folder) for file in (DEMI, SHIM)]
    result = start([copies[0], "run", *DEVICE, program], {"DEMI_SHIM": copies[1]}, user=NOBODY, group=NOBODY)
    expect("refused: capabilities, to who is not root",
           result.returncode == 126 and "capabilities of its own" in result.stderr, result)


# ---- Bad input ----

REFUSED = (
    ("an empty command line", [], "no program is named"),
    ("no program", [*DEVICE, "--"], "no program is named"),
    ("an empty program", [*DEVICE, "--", ""], "no program is named"),
    ("an unknown option", ["--device", "x", "true"], "unknown option '--device'"),
    ("a short option", [*DEVICE, "-xy", "true"], "unknown option '-x'"),
    ("an option without its value", ["--dev"], "'--dev' needs a value"),
    ("a value that is not taken", ["--trace=1", "true"], "'--trace=1': it takes no value"),
    ("no device", ["--ip", "10.0.0.2/24", "true"], "demi doctor"),
    ("no address", ["--dev", "tap:demi0", "true"], "--ip"),
    ("catnap without an address", ["--libos", "catnap", "true"], "--ip"),
    ("an empty device", ["--dev", "", "true"], "--dev is empty"),
    ("an unknown kind of device", ["--dev", "ixgbe:eth1", "true"], "no such kind of device"),
    ("a kind that only begins so", ["--dev", "tapx:eth1", "true"], "no such kind of device"),
    ("a device without a name", ["--dev", "tap:", "true"], "name an interface"),
    ("a long name of an interface", ["--dev", "tap:" + "x" * 16, "true"], "name an interface"),
    ("no address at all", ["--ip", "ten", "true"], "10.0.0.2/24"),
    ("an address without prefix", ["--ip", "10.0.0.2", "true"], "write 10.0.0.2/24"),
    ("an IPv6 address without prefix", ["--ip", "fd00::2", "true"], "write fd00::2/64"),
    ("a prefix too long", ["--ip", "10.0.0.2/33", "true"], "from 1 to 32"),
    ("a prefix of nothing", ["--ip", "fd00::2/", "true"], "from 1 to 128"),
    ("an empty element", ["--ip", "10.0.0.2/24,", "true"], "not an address"),
    ("a very long address", ["--ip", "1" * 900, "true"], "not an address"),
    ("more addresses than fit", [*["--ip", "10.0.0.2/24"] * 200, "true"], "too long"),
    ("a gateway with a prefix", ["--gw", "10.0.0.1/24", "true"], "write it as 10.0.0.1"),
    ("half an Ethernet address", ["--mac", "02:00:00", "true"], "not an Ethernet address"),
    ("more than one", ["--mac", "02:00:00:00:00:01:02", "true"], "not an Ethernet address"),
    ("that of a group", ["--mac", "01:00:5e:00:00:01", "true"], "group"),
    ("that of nobody", ["--mac", "00:00:00:00:00:00", "true"], "no address of a station"),
    ("an unknown libOS", ["--libos", "catmem", "true"], "allowed: catnip, catnap, catmint"),
    ("a device for catnap", ["--libos", "catnap", "--dev", "tap:demi0", "true"], "--dev is for catnip"),
    ("a gateway for catnap", ["--libos", "catnap", "--gw", "10.0.0.1", "true"], "--gw is for catnip"),
    ("an empty block device", [*DEVICE, "--blk", "", "true"], "--blk is empty"),
    ("an unknown kind of block device", [*DEVICE, "--blk", "disk:/tmp/x", "true"],
     "--blk 'disk:/tmp/x': no such kind of block device in this build; give one of nvme, sim"),
    ("a path for a block device", [*DEVICE, "--blk", "/tmp/x.img", "true"], "no such kind of block device"),
    ("a block device without a name", [*DEVICE, "--blk", "nvme:", "true"], "name it, as in"),
    ("logs without a block device", [*DEVICE, "--log-files", "/tmp/x", "true"], "give --blk"),
    ("a libOS with logs, too", ["--libos", "cattree", "true"], "give --blk"),
    ("a relative pattern", ["--log-files", "x.log", "true"], "absolute path"),
    ("a device for catmint", ["--libos", "catmint", "--dev", "tap:demi0", "true"], "--dev is for catnip"),
    ("a device for catnap and logs", ["--libos", "catnap+cattree", "--dev", "tap:demi0", "true"],
     "--dev is for catnip"),
    ("idle", ["--idle", "doze", "true"], "allowed: sleep, spin"),
    ("empty rules", ["--rules", "", "true"], "--rules is empty"),
    ("no rule", [*DEVICE, "--rules", "kernel tcp *:22, bogus", "true"], "\"bogus\"; allowed: demi|kernel"),
    ("a gateway elsewhere", [*DEVICE, "--gw", "10.9.0.1", "true"], "in no network of --ip"),
    ("two gateways", [*DEVICE, "--gw", "10.0.0.1", "--gw", "10.0.0.3", "true"], "a second one of IPv4"),
    ("no file", ["--config", "/nonexistent/demi.yaml", "true"], "No such file"),
    ("a folder for a file", ["--config", "/", "true"], "Is a directory"),
)


def test_bad_input(folder):
    for name, words, text in REFUSED:
        expect_refused(name, words, 125, text)
    file = folder / "bad.yaml"
    file.write_text("libos: catnip\nnet: [\n")
    expect_refused("a file that is not YAML", ["--config", file, "true"], 125, "not YAML")
    file.write_text("libos: catmem\nnet: {dev: tap:demi0, ip: 10.0.0.2/24}\n")
    expect_refused("an unknown libOS in a file", ["--config", file, "true"], 125, "libos of the file 'catmem'")
    expect_refused("an unknown libOS in the environment", ["true"], 125, "LIBOS 'x'", {"LIBOS": "x"})
    expect_refused("a bad device in the environment", ["true"], 125, "DEMI_NET_DEV 'x'", {"DEMI_NET_DEV": "x"})
    expect_refused("a bad block device in the environment", [*DEVICE, "--libos", "catnip+cattree", "true"], 125,
                   "DEMI_BLK_DEV 'x:y': no such kind", {"DEMI_BLK_DEV": "x:y"})
    expect_refused("files for logs, and a libOS without", [*DEVICE, "true"], 125, "--libos catnip+cattree",
                   {"DEMI_SHIM_LOG_FILES": "/tmp/x"})
    file.write_text("libos: catnip\nnet: {dev: tap:demi0, ip: 10.0.0.2/24}\nshim: {log_files: /tmp/x}\n")
    expect_refused("the same in a file", ["--config", file, "true"], 125, "--libos catnip+cattree")
    expect_refused("no library to preload", [*DEVICE, "true"], 125, "DEMI_SHIM=/path/to",
                   {"DEMI_SHIM": "/nonexistent/shim.so"})
    blank = folder / "a b.so"
    shutil.copy(SHIM, blank)
    expect_refused("a library that the loader cannot name", [*DEVICE, "true"], 125, "blank",
                   {"DEMI_SHIM": str(blank)})
    if "afxdp" in run("--dev", "x", "true").stderr:
        expect_refused("no such interface", ["--dev", "afxdp:nonesuch0", "true"], 125, "no interface 'nonesuch0'")
        expect_refused("the loopback interface", ["--dev", "afxdp:lo,queue=0", "true"], 125, "no Ethernet interface")
        expect_refused("no interface", ["--dev", "afxdp:", "true"], 125, "name an interface")


IN_LABORATORY = """
for change in 'mtu 1800' 'mtu 1500 down' 'up'; do
    ip -n $LAB_DEMI link set $LAB_DEV $change
    ip netns exec $LAB_DEMI "$0" run --dev afxdp:$LAB_DEV --ip $LAB_DEMI_IP/24 -- sh -c 'exit 5'
    echo $?
done
"""


def test_interface():
    """As it is set, which only root can change, and only in a laboratory without harm."""
    name = "an interface's MTU and state are looked at"
    if os.geteuid() != 0 or "afxdp" not in run("--dev", "x", "true").stderr:
        outcome(f"{name} # SKIP needs root, and AF_XDP in the build", [])
        return
    result = start([DEMI, "lab", "run", "--", "sh", "-c", IN_LABORATORY, DEMI], {"DEMI_SHIM": SHIM})
    refused = [line for line in result.stderr.splitlines() if line.startswith("demi run: ")]
    expect(name, result.stdout.split() == ["125", "125", "5"] and len(refused) == 2
           and "MTU of 1800" in refused[0] and "ip link set dev demi0 up" in refused[1], result)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        folder.chmod(0o755)
        test_told(folder)
        test_program(folder)
        test_programs_refused(folder)
        test_privileged(folder)
        test_bad_input(folder)
    test_interface()
    finish()


main()
