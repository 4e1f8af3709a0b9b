#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# All checks and tests: test.sh; only a build and its tests: test.sh --quick; of these only those in
# the guest: test.sh --guest
# Parameters come from the environment, see `make help`.

# shellcheck source=scripts/lint.sh
. "$(dirname "${BASH_SOURCE[0]}")/lint.sh"

# Every finding of a sanitizer fails the test that met it, leaks too.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}

build_asan() {
	CC=clang CXX=clang++ configure asan --buildtype=debugoptimized -Db_lto=false \
		-Db_sanitize=address,undefined -Db_lundef=false \
		-Dtests=enabled -During=enabled -Ddpdk=enabled -Dxdp=enabled -Dapps=enabled -Dman=disabled
	compile asan
}

# The fuzzers are led by the coverage of the library's own code, which the tests need not bear.
build_fuzz() {
	CC=clang CXX=clang++ configure fuzz --buildtype=debugoptimized -Db_lto=false \
		-Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true -Dtests=disabled \
		-During=disabled -Ddpdk=enabled -Dxdp=enabled -Dapps=disabled -Dman=disabled
	ninja -C build/fuzz fuzzers
}

# Everything that may be left out is left out.
build_minimal() {
	CC=gcc CXX=g++ configure minimal --buildtype=debugoptimized -Db_lto=false -Dwerror=true \
		-Dtests=enabled -During=disabled -Ddpdk=disabled -Dxdp=disabled -Dapps=disabled \
		-Dman=disabled
	compile minimal
}

# names_matching DIR REGEX: the tests of a build directory whose suite/name matches.
names_matching() {
	meson introspect --tests "$1" | python3 -c '
import json, re, sys
for test in json.load(sys.stdin):
    suites = [suite.rpartition(":")[2] for suite in test["suite"]]
    if re.search(sys.argv[1], "/".join(suites + [test["name"]])):
        print(test["name"])' "$2"
}

# meson_tests NAME REGEX [OPTION...]: run these tests of build/NAME.
meson_tests() {
	local dir=build/$1 pattern=$2 names
	shift 2
	rm -f "$dir/meson-logs/testlog.json"
	mapfile -t names < <(names_matching "$dir" "$pattern")
	[[ ${#names[@]} != 0 ]] || die "no test of $dir matches '$pattern'"
	meson test -C "$dir" --no-rebuild "$@" "${names[@]}"
}

# count_cases TESTLOG: a line "passed failed skipped", then what failed, with its output, and what
# was skipped, with its reason. A test of cmocka or TAP counts once for each of its cases.
count_cases() {
	python3 - "$1" <<-'EOF'
		import json, re, sys

		MARK = re.compile(r"\[ RUN      \] (.*)|\[(       OK |  FAILED  |  SKIPPED )\] (.*)")
		TAP = re.compile(r"^(not )?ok\b[^#\n]*(# SKIP.*)?", re.M)
		VERDICTS = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}

		def cmocka(output):
		    cases = {}
		    for start, verdict, name in MARK.findall(output):
		        if start:
		            cases.setdefault(start, "failed")  # until its verdict: it may crash
		        elif name in cases:
		            cases[name] = VERDICTS[verdict.strip()]
		    return cases

		def tap(output):
		    return ["skipped" if skip else "failed" if bad else "passed"
		            for bad, skip in TAP.findall(output)]

		def reason(output, named):
		    names = [case for case, verdict in named.items() if verdict == "skipped"]
		    said = [line.strip() for line in output.splitlines()
		            if re.search("skip", line, re.I) and not re.match(r"\[|.*SKIPPED TEST", line)]
		    return "; ".join(names + said) or output.strip().rpartition("\n")[2] or "no reason given"

		count = {"passed": 0, "failed": 0, "skipped": 0}
		notes = []
		for test in map(json.loads, open(sys.argv[1])):
		    name = test["name"].split(" / ")[-1]
		    output = test.get("stdout", "") + test.get("stderr", "")
		    good = test["result"] in ("OK", "SKIP", "EXPECTEDFAIL")
		    named = cmocka(test.get("stdout", ""))
		    cases = list(named.values()) or tap(test.get("stdout", ""))
		    if test["result"] == "SKIP" and not cases:
		        cases = ["skipped"]
		    if not good and "failed" not in cases or not cases:
		        cases.append("passed" if good else "failed")
		    for case in cases:
		        count[case] += 1
		    if not good or "failed" in cases:
		        notes.append("FAIL  %s: %s after %.1f s\n%s" % (
		            name, test["result"], test["duration"], output))
		    elif "skipped" in cases:
		        notes.append("skip  %s: %s" % (name, reason(output, named)))
		print(count["passed"], count["failed"], count["skipped"])
		print("\n".join(notes))
	EOF
}

# add_counts PASSED FAILED SKIPPED
add_counts() {
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
}

# test_step NAME REGEX [OPTION...]: the tests of build/NAME, each of their cases counted. Called
# $label when that is set.
test_step() {
	local name=${label:-$1} testlog=build/$1/meson-logs/testlog.json
	local log=build/logs/tests-${name// /-}.log start=${EPOCHREALTIME/[.,]/} verdict=ok status counts notes
	run_logged "$log" meson_tests "$@"
	if [[ ! -s $testlog ]]; then
		failed=$((failed + 1))
		report FAIL "tests: $name" "$start"
		sed 's/^/        /' "$log"
		return
	fi
	notes=$(count_cases "$testlog")
	read -r -a counts <<<"$notes"
	# A run that was broken off leaves no failed test behind.
	[[ $status == 0 || ${counts[1]} != 0 ]] || counts[1]=1
	[[ ${counts[1]} == 0 ]] || verdict=FAIL
	add_counts "${counts[@]}"
	report "$verdict" "tests: $name, ${counts[0]} passed" "$start"
	sed -e '1d' -e '/^$/d' -e 's/^/        /' <<<"$notes"
}

# tap_step NAME COMMAND...: a program that speaks TAP, each of its lines counted.
tap_step() {
	local name=$1 log=build/logs/$1.log start=${EPOCHREALTIME/[.,]/} status skips fails
	shift
	run_logged "$log" "$@"
	skips=$(grep -cE '^ok .*# SKIP' "$log" || true)
	fails=$(grep -c '^not ok ' "$log" || true)
	[[ $status == 0 || $fails != 0 ]] || fails=1
	add_counts "$(($(grep -c '^ok ' "$log" || true) - skips))" "$fails" "$skips"
	if [[ $fails == 0 ]]; then
		report ok "$name" "$start"
	else
		report FAIL "$name" "$start"
		sed 's/^/        /' "$log"
	fi
}

gcc_tests() {
	test_step gcc "${TEST_FILTER:-.}"
}

asan_tests() {
	step 'build: asan, ubsan' build_asan
	if [[ -n $(names_matching build/asan "${TEST_FILTER:-.}") ]]; then
		test_step asan "${TEST_FILTER:-.}" --timeout-multiplier 4
	fi
}

# For a time that FUZZ_SECONDS says each (tests/fuzz/run.sh), as many at a time as there are
# processors, and apart, so that no other test waits.
fuzz_tests() {
	find tests/fuzz/corpus -mindepth 1 -maxdepth 1 -printf 'fuzz/%f\n' |
		grep -qP -- "${TEST_FILTER:-.}" || return 0
	step 'build: fuzzers' build_fuzz
	test_step fuzz "^(?=fuzz/)(?=.*(?:${TEST_FILTER:-.}))" --num-processes "$(nproc)"
}

minimal_tests() {
	step 'build: minimal' build_minimal
	test_step minimal 'conformance|unit|catnip|sim/'
	tap_step 'install-minimal' tests/install/install_test.sh minimal
}

main() {
	[[ $# == 0 || $* == --quick || $* == --guest ]] || die 'usage: test.sh [--quick | --guest]'
	scripts/deps.sh test
	if [[ ${1:-} == --quick ]]; then
		step 'lint: gcc -Werror' build_strict gcc
		gcc_tests
	elif [[ ${1:-} == --guest ]]; then
		step 'lint: gcc -Werror' build_strict gcc
		test_step gcc '^vm/'
	elif [[ -n ${TEST_FILTER:-} ]]; then
		step 'lint: gcc -Werror' build_strict gcc
		gcc_tests
		asan_tests
		fuzz_tests
	else
		lint_steps
		gcc_tests
		asan_tests
		fuzz_tests
		tap_step install tests/install/install_test.sh
		minimal_tests
	fi
	finish
}

main "$@"
