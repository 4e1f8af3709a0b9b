#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What can be said about the sources without running them. Sourced, it defines quick_lint_steps and slow_lint_steps.

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

check_format() {
	c_files | xargs -0 clang-format --dry-run -Werror
}

# build_strict gcc|clang: everything, with every optional part; a warning is an error.
build_strict() {
	local cxx=g++
	[[ $1 == gcc ]] || cxx=clang++
	CC=$1 CXX=$cxx configure "$1" --buildtype=debugoptimized -Dwerror=true -Db_lto=false \
		-Dtests=enabled -During=enabled -Dapps=enabled -Dman=enabled
	compile "$1"
}

check_cppcheck() {
	cppcheck --quiet -j "$(nproc)" --error-exitcode=1 --std=c11 --platform=unix64 \
		--library=posix --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=.cppcheck-suppressions \
		-D_GNU_SOURCE -D__GNUC__=12 -D__x86_64__ -D__linux__ -I src -I include \
		src shim apps tools bench
}

# The build by clang whose commands clang-tidy reads.
tidy_build=clang

# Sources of these folders that are built here, without their tests. `make lint` looks at the command
# too; among the tests it is the library and its applications, since each file takes many seconds.
tidy_files() {
	python3 - "build/$tidy_build/compile_commands.json" "${TIDY_FOLDERS:-src apps}" <<-'EOF'
		import json, os, sys
		folders = tuple(folder + "/" for folder in sys.argv[2].split())
		files = {os.path.relpath(os.path.join(entry["directory"], entry["file"]))
		         for entry in json.load(open(sys.argv[1]))}
		print("\n".join(sorted(f for f in files if f.startswith(folders) and f.endswith(".c")
		                       and not f.endswith("_test.c"))))
	EOF
}

check_tidy() {
	tidy_files | xargs -P "$(nproc)" -n 1 clang-tidy -p "build/$tidy_build" --quiet \
		--warnings-as-errors='*'
}

check_scripts() {
	find scripts tests tools .ci -type f \
		\( -name '*.sh' -o -name '*.bash-completion' -o -path .ci/run \) -print0 |
		xargs -0 shellcheck -x
}

quick_lint_steps() {
	step 'lint: clang-format' check_format
	step 'lint: gcc -Werror' build_strict gcc
	step 'lint: layers' scripts/check_layers.sh
	step 'lint: shellcheck' check_scripts
}

# Minutes, most of them for what reads each file as the compiler does, and more. build/$tidy_build is there.
slow_lint_steps() {
	step 'lint: cppcheck' check_cppcheck
	step 'lint: clang-tidy' check_tidy
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
	scripts/deps.sh test
	TIDY_FOLDERS=${TIDY_FOLDERS:-src apps tools}
	quick_lint_steps
	step 'lint: clang -Werror' build_strict clang
	slow_lint_steps
	finish
fi
