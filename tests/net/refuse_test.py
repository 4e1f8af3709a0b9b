#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What cannot start says why, and what to do, in a line; it exits with 1 and does not crash."""

import os
import unittest

import lab


class Refused(unittest.TestCase):
    def start(self, changes, *before, address=None):
        """What demi-echo says on Catnip with this environment; it must refuse."""
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("DEMI_")}
        environment |= {"LIBOS": "catnip", "DEMI_NET_DEV": "afxdp:demi0",
                        "DEMI_NET_IP": "10.77.0.2/24"} | changes
        environment = {name: value for name, value in environment.items() if value is not None}
        command = [*before, lab.DEMI_ECHO, "server", "--proto", "udp", "--duration", "3", "--addr",
                   address or "10.77.0.2:7000"]
        completed = lab.run(*lab.in_namespace(os.environ["LAB_DEMI"], *command), check=False,
                            env=environment)
        self.assertEqual(completed.returncode, 1, completed.stdout)
        self.assertNotIn("Sanitizer", completed.stdout)
        return completed.stdout

    def says(self, changes, *words, before=(), address=None):
        said = self.start(changes, *before, address=address)
        for word in words:
            self.assertRegex(said.lower(), word)

    def test_no_device(self):
        self.says({"DEMI_NET_DEV": None}, r"net\.dev|demi_net_dev|--dev")

    def test_unknown_kind_of_device(self):
        self.says({"DEMI_NET_DEV": "pigeon:0"}, "pigeon", "afxdp", "tap")

    def test_kind_without_a_name(self):
        for kind in ("afxdp", "afxdp:", "dpdk:", "tap:"):
            with self.subTest(kind=kind):
                self.says({"DEMI_NET_DEV": kind}, kind.rstrip(":"))

    def test_missing_interface(self):
        self.says({"DEMI_NET_DEV": "afxdp:nonesuch0"}, "nonesuch0",
                  "no such|does not exist|no inter")
        self.says({"DEMI_NET_DEV": "dpdk:net_af_packet0,iface=nonesuch0"},
                  "nonesuch0|net_af_packet")

    def test_name_that_is_too_long(self):
        self.says({"DEMI_NET_DEV": "afxdp:" + "x" * 40}, "x{15}")
        self.says({"DEMI_NET_DEV": "tap:" + "x" * 40}, "x{15}")

    def test_addresses(self):
        for wrong in ("10.77.0.2.5/24", "10.77.0.300/24", "10.77.0.2/33", "fd77::2/129",
                      "10.77.0.2/", "fd77:::2/64", "name/24", "10.77.0.2/24,", "10.77.0.2/-1"):
            with self.subTest(wrong=wrong):
                self.says({"DEMI_NET_IP": wrong}, r"net\.ip|demi_net_ip")
        for wrong in ("224.0.0.1/24", "ff02::1/64", "0.0.0.0/0", "::/64", "255.255.255.255/32",
                      "127.0.0.1/8", "10.77.0.2/24,10.77.0.2/24"):
            with self.subTest(wrong=wrong):
                self.start({"DEMI_NET_IP": wrong})

    def test_no_address(self):
        self.says({"DEMI_NET_IP": None}, r"net\.ip|demi_net_ip|--ip|assign")

    def test_gateway(self):
        self.says({"DEMI_NET_GW": "10.99.0.1"}, r"10\.99\.0\.1")
        self.says({"DEMI_NET_GW": "nowhere"}, "nowhere")

    def test_routes(self):
        for wrong in ("10.1.0.0/16", "10.1.0.0/16 via", "10.1.0.0/16 via x", "via 10.77.0.1",
                      "10.1.0.0/40 via 10.77.0.1", "10.1.0.0/16 via fd77::1"):
            with self.subTest(wrong=wrong):
                self.says({"DEMI_NET_ROUTES": wrong}, "route")

    def test_mac(self):
        for wrong in ("02:00", "02:00:00:00:00:zz", "ff:ff:ff:ff:ff:ff", "01:00:00:00:00:01"):
            with self.subTest(wrong=wrong):
                self.says({"DEMI_NET_MAC": wrong}, "mac")

    def test_numbers(self):
        self.says({"DEMI_NET_VLAN": "4095"}, "vlan")
        self.says({"DEMI_NET_MTU": "10"}, "mtu")
        self.says({"DEMI_NET_MTU": "9000"}, "mtu")

    def test_address_that_is_not_ours(self):
        self.says({}, "assign", address="10.77.0.9:7000")
        self.says({}, "assign", address="[fd77::9]:7000")

    def test_without_permission(self):
        nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
        for device in ("afxdp:demi0", "tap:demitap9", "dpdk:net_af_packet0,iface=demi0"):
            with self.subTest(device=device):
                self.says({"DEMI_NET_DEV": device}, "root|cap_net|permi|privilege|this user may",
                          before=nobody)

    def says_in_a_line(self, device, *words, before=()):
        """Nothing but our message, and the program's."""
        said = self.start({"DEMI_NET_DEV": device}, *before)
        ours, programs = said.splitlines()
        self.assertRegex(ours, "^demi: error: ")
        self.assertRegex(programs, "^demi-echo: ")
        for word in words:
            self.assertRegex(ours, word)

    def need_af_xdp_of_dpdk(self):
        if "dpdk" not in self.start({"DEMI_NET_DEV": "pigeon:0"}):
            self.skipTest("Demi was built without DPDK")
        if "Cannot find driver" in self.start({"DEMI_NET_DEV": "dpdk:net_af_xdp0,iface=nonesuch0",
                                               "DEMI_LOG_LEVEL": "debug"}):
            self.skipTest("DPDK was built without net_af_xdp")

    def test_af_xdp_says_it_in_a_line(self):
        nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
        capabilities = "CAP_NET_RAW, CAP_BPF and CAP_NET_ADMIN"
        self.says_in_a_line("afxdp:nonesuch0", "no such interface", "ip link")
        self.says_in_a_line("afxdp:demi0", "no permission", capabilities, before=nobody)
        self.says_in_a_line("afxdp:demi0,mode=zero-copy", "zero-copy", "copy$")
        self.says_in_a_line("afxdp:demi0,queue=7", "1 receive queues", "ethtool -l demi0")
        self.need_af_xdp_of_dpdk()
        self.says_in_a_line("dpdk:net_af_xdp0,iface=nonesuch0", "no interface nonesuch0", "ip link")
        self.says_in_a_line("dpdk:net_af_xdp0", "iface=")
        self.says_in_a_line("dpdk:net_af_xdp0,iface=demi0", "no permission", capabilities,
                            before=nobody)
        self.says_in_a_line("dpdk:net_af_xdp0,iface=demi0,pigeon=1", "pigeon", "afxdp:demi0")
        with lab.server(4):
            for device in ("afxdp:demi0", "dpdk:net_af_xdp0,iface=demi0"):
                self.says_in_a_line(device, "XDP program already", "ip link set dev demi0 xdp off")

    def test_af_xdp_that_starts_says_nothing(self):
        with lab.server(4) as server:
            self.assertTrue(lab.echo_works(4))
        self.assertEqual(server.errors_text, "")
        self.need_af_xdp_of_dpdk()
        # DPDK's driver never frees the 80 bytes of its struct xsk_umem.
        environment = {"DEMI_NET_DEV": "dpdk:net_af_xdp0,iface=demi0",
                       "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        with lab.server(4, environment=environment) as server:
            self.assertTrue(lab.echo_works(4))
        self.assertEqual(server.errors_text, "")

    def test_the_capabilities_that_are_named_are_enough(self):
        capabilities = "+net_raw,+net_admin,+bpf"
        few = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps",
               capabilities, "--ambient-caps", capabilities)
        command = [*few, lab.DEMI_ECHO, "server", "--proto", "udp", "--addr", "10.77.0.2:7000"]
        # Locked memory has a limit of its own, which its message names: 2 MiB are within it.
        environment = lab.device_environment("afxdp") | {"DEMI_NET_FRAMES": "1024"}
        with lab.Program(lab.demi_command(*command), environment, ready="listening"):
            self.assertTrue(lab.echo_works(4))

    def test_interface_taken_by_another_program(self):
        with lab.server(4):
            self.says({}, "demi0", "use|busy|another|taken")
            self.assertTrue(lab.echo_works(4))


if __name__ == "__main__":
    if lab.DEVICE == "kernel":
        lab.skip_all("is about Demi's own stack")
    lab.main()
