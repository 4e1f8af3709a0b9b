#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two browsers whose data channel goes through demi-relay, and through turnserver as the control.

usage: relay_browser_test.py DEMI_RELAY [unittest's arguments]
"""

import contextlib
import os
import shutil
import sys
import unittest

import browser
import relay_server

SKIPPED = 77


class Browser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.browsers = stack.enter_context(browser.browsers("127.0.0.1"))

    def exchange(self, proto, version=4):
        # A browser asks for a relayed address of IPv4, wherever the relay is.
        options = ("--relay-ip", "127.0.0.1") if version == 6 else ()
        with relay_server.serving(*options, version=version) as server:
            ends = self.browsers.exchange(server.host, server.ports[proto], proto, "127.0.0.1")
            browser.check_allocations(server.errors, ends, proto)
        figures = server.figures()
        self.assertGreaterEqual(figures["to_peer_bytes"], 2 * sum(browser.SIZES))
        self.assertGreaterEqual(figures["to_client_bytes"], 2 * sum(browser.SIZES))
        self.assertEqual(figures["allocations_ended"], 2)
        self.assertNotIn("drop_malformed", figures)

    def test_udp(self):
        self.exchange("udp")

    def test_tcp(self):
        self.exchange("tcp")

    def test_ipv6(self):
        self.exchange("udp", version=6)

    @unittest.skipUnless(shutil.which("turnserver"), "no coturn here")
    def test_reference(self):
        with relay_server.reference() as port:
            self.browsers.exchange("127.0.0.1", port, "udp", "127.0.0.1")


if __name__ == "__main__":
    relay_server.RELAY = os.path.abspath(sys.argv.pop(1))
    if not browser.program():
        print("no chromium here: skipped")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
