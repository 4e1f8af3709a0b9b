#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# completion.sh COMPLETION WORD...: what bash would offer for the last word, one a line.

set -euo pipefail
# shellcheck source=/dev/null
. "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_demi
[[ ${#COMPREPLY[@]} == 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
