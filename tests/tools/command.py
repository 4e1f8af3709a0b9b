# SPDX-License-Identifier: MIT
"""What the tests of the command share: to start it in an environment that is known."""

import os
import subprocess


def clean_environment(**more):
    """The environment without what would tell Demi, or the loader, anything."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith("DEMI_") and key not in ("LIBOS", "CONFIG_PATH", "LD_PRELOAD")}
    return kept | more


def start(words, environment=None, **options):
    """Runs it to its end: the CompletedProcess, with its output as text."""
    return subprocess.run(words, env=clean_environment(**(environment or {})), text=True, errors="backslashreplace",
                          capture_output=True, timeout=60, **options)
