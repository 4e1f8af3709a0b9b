#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# All checks and tests: test.sh; only a build and its tests: test.sh --quick; of these only those in
# the guest: test.sh --guest; what is said of the sources and takes minutes: test.sh --slow-lints; the fuzzers: test.sh --fuzz; those of the native Redis: test.sh --redis,
# with all of Redis's own tests. Parameters come from the environment, see `make help`.

# shellcheck source=scripts/lint.sh
. "$(dirname "${BASH_SOURCE[0]}")/lint.sh"

# Every finding of a sanitizer fails the test that met it, leaks too.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

# It is the build by clang of which no warning is let through, too.
build_asan() {
	CC=clang CXX=clang++ configure asan --buildtype=debugoptimized -Dwerror=true -Db_lto=false \
		-Db_sanitize=address,undefined -Db_lundef=false \
		-Dtests=enabled -During=enabled -Ddpdk=enabled -Dxdp=enabled -Drdma=enabled -Dapps=enabled -Dman=disabled
	compile asan
}

# What several threads of one process do to each other. Only what is about that is built and run: the rest has
# one thread, or others that no sanitizer sees into.
readonly thread_tests='(unit/(base/spsc_ring|heap/remote|heap/heaps|queue/joined_queue|netdev/loop|netdev/spread)|conformance/((epoll|catnip|catmem)/joined[a-z_]*|epoll/(heap_threads|init)))$'

build_tsan() {
	CC=gcc CXX=g++ configure tsan --buildtype=debugoptimized -Db_lto=false -Db_sanitize=thread \
		-Dtests=enabled -During=enabled -Ddpdk=disabled -Dxdp=disabled -Drdma=disabled -Dapps=enabled -Dman=disabled
	locked tsan ninja -C build/tsan tests/unit-{base-spsc_ring,heap-remote,heap-heaps,queue-joined_queue,netdev-loop,netdev-spread} \
		tests/conformance/conformance-{joined,joined_end,joined_threads,heap_threads,init} \
		apps/echo/demi-echo apps/echo/echo-plain
}

# The fuzzers are led by the coverage of the library's own code, which the tests need not bear.
build_fuzz() {
	CC=clang CXX=clang++ configure fuzz --buildtype=debugoptimized -Db_lto=false \
		-Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true -Dtests=disabled \
		-During=disabled -Ddpdk=enabled -Dxdp=enabled -Drdma=enabled -Dapps=disabled -Dman=disabled
	locked fuzz ninja -C build/fuzz fuzzers
}

# Everything that may be left out is left out.
build_minimal() {
	CC=gcc CXX=g++ configure minimal --buildtype=debugoptimized -Db_lto=false -Dwerror=true \
		-Dtests=enabled -During=disabled -Ddpdk=disabled -Dxdp=disabled -Drdma=disabled -Dapps=disabled \
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
	local name=$1 log=build/logs/${1//[^a-z0-9]/-}.log start=${EPOCHREALTIME/[.,]/} status skips fails
	shift
	run_logged "$log" "$@"
	if [[ $status == 77 ]]; then
		skipped=$((skipped + 1))
		report skip "$name" "$start"
		return
	fi
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

# tsan_starts [COMMAND...]: whether it finds the address space as it wants it, which some kernels lay out at random
# in a wider range than it knows.
tsan_starts() {
	local said
	said=$("$@" build/tsan/tests/unit-base-spsc_ring 2>&1) || true
	[[ ! $said =~ 'FATAL: ThreadSanitizer'|'setarch:' ]]
}

tsan_tests() {
	local wrapper=()
	step 'build: tsan' build_tsan
	if ! tsan_starts; then
		wrapper=(--wrapper 'setarch -R')
		if ! tsan_starts setarch -R; then
			skipped=$((skipped + 1))
			printf '  skip  tests: tsan: it does not start here, with setarch -R neither\n'
			return
		fi
	fi
	test_step tsan "$thread_tests" --timeout-multiplier 4 "${wrapper[@]}"
	label='tsan, echo' test_step tsan '^apps/echo over (epoll|uring)$' --test-args Threads "${wrapper[@]}"
}

# fuzz_tests PROCESSES: for a time that FUZZ_SECONDS says each (tests/fuzz/run.sh), so many at once.
fuzz_tests() {
	find tests/fuzz/corpus -mindepth 1 -maxdepth 1 -printf 'fuzz/%f\n' |
		grep -qP -- "${TEST_FILTER:-.}" || return 0
	step 'build: fuzzers' build_fuzz
	test_step fuzz "^(?=fuzz/)(?=.*(?:${TEST_FILTER:-.}))" --num-processes "$1"
}

# Most tests wait for one another, and behind them all there is time for others: lints, builds that later
# steps find done, and fuzzers, which count by time and are none the worse for the processor that is left.
beside_pids=()
beside_names=()

# beside_start NAME NICENESS OPTION...: test.sh OPTION..., until beside_join.
beside_start() {
	local name=$1 niceness=$2
	shift 2
	setsid nice -n "$niceness" scripts/test.sh "$@" >"build/logs/beside-$name.log" 2>&1 &
	beside_pids+=($!)
	beside_names+=("$name")
	trap beside_stop EXIT
}

beside_stop() {
	local pid
	for pid in "${beside_pids[@]}"; do
		kill -- "-$pid" 2>/dev/null || true
	done
}

# beside_join: wait for all, and tell what they did.
beside_join() {
	local at log counts
	for at in "${!beside_pids[@]}"; do
		log=build/logs/beside-${beside_names[at]}.log
		wait "${beside_pids[at]}" || true
		counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
		if [[ $counts =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
			add_counts "${BASH_REMATCH[@]:1}"
			grep -vxF "$counts" "$log" || true
		else
			failed=$((failed + 1))
			printf '  FAIL  %s\n' "${beside_names[at]}"
			sed 's/^/        /' "$log"
		fi
	done
	beside_pids=()
	trap - EXIT
}

slow_lints() {
	step 'lint: clang -Werror' build_asan
	tidy_build=asan slow_lint_steps
	# What fails to build here is told by the step that needs it.
	build_minimal >build/logs/beside-minimal.log 2>&1 || true
	build_tsan >build/logs/beside-tsan.log 2>&1 || true
}

minimal_tests() {
	step 'build: minimal' build_minimal
	test_step minimal 'conformance|unit|catnip|sim/'
	tap_step 'install-minimal' tests/install/install_test.sh minimal
}

# Of Redis's own tests those that are quick and ask for what is ours: reading, replying, limits.
readonly redis_near='unit/protocol unit/keyspace unit/type/string unit/multi unit/querybuf unit/limits
	unit/obuf-limits unit/pubsub unit/networking unit/shutdown integration/replication-2'
readonly redis_far='unit/protocol unit/type/string unit/type/hash'

# sanitized_redis_tests [UNIT...]: the native Redis under ASan, with a library that is, too; UBSan for what is ours of
# both. Redis's own tests: those of $redis_near and $redis_far, or UNIT.
sanitized_redis_tests() {
	local near=${*:-$redis_near} far=${*:-$redis_far} shim=build/asan/shim/libdemi-shim.so
	step 'build: asan, ubsan' build_asan
	step 'build: redis, asan, ubsan' env SANITIZE=1 scripts/redis.sh build/asan build/redis-asan
	export NATIVE_REDIS=$PWD/build/redis-asan/redis-server
	tap_step 'redis: native, asan' tests/redis/native_test.py "$shim"
	# shellcheck disable=SC2086 # words
	tap_step 'redis: its own, near, asan' tests/redis/suite_test.py build/redis-asan/patched $near
	# shellcheck disable=SC2086
	tap_step 'redis: its own, from afar, asan' tests/redis/suite_test.py build/redis-asan/patched --far "$shim" $far
	unset NATIVE_REDIS
}

# redis_tests [UNIT...]: the native Redis, linked with build/release. Redis's own tests are those of
# $redis_near and $redis_far, or UNIT, or with --all all of them.
redis_tests() {
	local near=$redis_near far=$redis_far shim=build/release/shim/libdemi-shim.so name
	if [[ ${1:-} == --all ]]; then
		near='' far=''
	elif [[ $# != 0 ]]; then
		near=$* far=$*
	fi
	if ! scripts/debian_source.sh redis build/redis/source 2>build/logs/redis-source.log; then
		skipped=$((skipped + 1))
		printf '  skip  redis: %s\n' "$(tail -n 1 build/logs/redis-source.log)"
		return
	fi
	build_release >/dev/null
	step 'build: redis' scripts/redis.sh
	export NATIVE_REDIS=$PWD/build/redis/redis-server REDIS_KILLS=${REDIS_KILLS:-10}
	for name in redis/native shim/redis shim/redis_cluster shim/redis_log; do
		tap_step "redis: ${name#*/}" "tests/${name}_test.py" "$shim"
	done
	tap_step 'redis: over RDMA' tests/vm/redis_test.py "$NATIVE_REDIS" \
		build/release/apps/redis/load/demi-redis-load
	# shellcheck disable=SC2086 # words
	tap_step 'redis: its own, near' tests/redis/suite_test.py build/redis/patched $near
	# shellcheck disable=SC2086
	tap_step 'redis: its own, from afar' tests/redis/suite_test.py build/redis/patched --far "$shim" $far
	unset NATIVE_REDIS REDIS_KILLS
}

main() {
	local usage='usage: test.sh [--quick | --guest | --slow-lints | --fuzz [PROCESSES] | --redis [UNIT...]]'
	[[ $# == 0 || $* == --quick || $* == --guest || $* == --slow-lints || ${1:-} == --fuzz || ${1:-} == --redis ]] ||
		die "$usage"
	mkdir -p build/logs
	scripts/deps.sh test
	if [[ ${1:-} == --quick ]]; then
		step 'lint: gcc -Werror' build_strict gcc
		gcc_tests
	elif [[ ${1:-} == --guest ]]; then
		step 'lint: gcc -Werror' build_strict gcc
		test_step gcc '^vm/'
	elif [[ ${1:-} == --redis && ${SANITIZE:-0} != 0 ]]; then
		[[ ${2:-} != --all ]] || set -- --redis
		sanitized_redis_tests "${@:2}"
	elif [[ ${1:-} == --fuzz ]]; then
		fuzz_tests "${2:-$(nproc)}"
	elif [[ ${1:-} == --slow-lints ]]; then
		slow_lints
	elif [[ ${1:-} == --redis ]]; then
		redis_tests "${@:2}"
	elif [[ -n ${TEST_FILTER:-} ]]; then
		step 'lint: gcc -Werror' build_strict gcc
		gcc_tests
		asan_tests
		fuzz_tests "$(nproc)"
	else
		quick_lint_steps
		beside_start fuzzers 15 --fuzz 1
		beside_start lints 19 --slow-lints
		gcc_tests
		asan_tests
		tsan_tests
		tap_step install tests/install/install_test.sh
		redis_tests
		minimal_tests
		beside_join
	fi
	finish
}

main "$@"
