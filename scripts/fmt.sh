#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Formats all C sources in place, as .clang-format says.

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

scripts/deps.sh fmt
c_files | xargs -0 clang-format -i
