# SPDX-License-Identifier: MIT
# A thin front: Meson and Ninja build, scripts/ does the rest. `make help` lists the targets.

SHELL := /bin/bash
PREFIX ?= /usr/local

.PHONY: help deps demo test test-guest redis test-redis sim bench lint fmt install clean

help:
	@echo 'make demo     install what is missing, build, and show the library at work'
	@echo 'make test     install what is missing, then every check and every test'
	@echo '                TEST_FILTER=REGEX  only the tests whose suite or name matches'
	@echo '                SEEDS=N            how many seeds each randomised test tries'
	@echo '                FUZZ_SECONDS=N     how long each fuzzer runs; 60'
	@echo '                FUZZ_SEED=N        what it tries; 0: draw a seed; 1'
	@echo 'make test-guest  only the tests in a guest with an NVMe drive and network cards'
	@echo '                KILLS=N            how often it is killed while it writes; 3'
	@echo 'make redis    Debian'\''s redis on Demi'\''s queues, heap and logs: build/redis/redis-server'
	@echo 'make test-redis  its tests, and all of Redis'\''s own'
	@echo '                UNITS="unit/..."   only these of Redis'\''s own'
	@echo '                SANITIZE=1         under ASan and UBSan, and of its own those that are quick'
	@echo '                REDIS_SECONDS=N    how long values are replaced while replies are lost; 6'
	@echo 'make sim      whole stacks on simulated links, and TCP by script; SEEDS=N, 2000'
	@echo '                GUESSES=N          how often attackers guess, and SYNs flood; 200000'
	@echo 'make bench    build, and measure; BENCH_ARGS="..." goes to the program'
	@echo 'make lint     the checks of the sources alone'
	@echo 'make fmt      format the C sources in place'
	@echo 'make install  library, headers, demi.pc, programs and manual pages'
	@echo '                PREFIX=/usr/local  where they go'
	@echo '                DESTDIR=DIR        put before PREFIX, for packages'
	@echo 'make deps     only install what is missing; GROUP=build, demo, test, vm, bench or all'
	@echo 'make clean    remove the build directories'

deps:
	@scripts/deps.sh $(or $(GROUP),all)

demo:
	@scripts/deps.sh demo
	@. scripts/lib.sh; build_release; scripts/demo.sh build/release

test:
	@scripts/test.sh

test-guest:
	@scripts/test.sh --guest

redis:
	@scripts/deps.sh redis
	@. scripts/lib.sh; build_release; quietly 'build build/redis' scripts/redis.sh
	@echo 'build/redis/redis-server: docs/redis.md tells how it is used'

test-redis:
	@scripts/test.sh --redis $(or $(UNITS),--all)

sim:
	@scripts/deps.sh test
	@scripts/sim.sh

bench:
	@scripts/bench.sh $(BENCH_ARGS)

lint:
	@scripts/lint.sh

fmt:
	@scripts/fmt.sh

install:
	@scripts/deps.sh build
	@. scripts/lib.sh; build_release; meson configure build/release -Dprefix='$(PREFIX)'
	@meson install --quiet -C build/release
	@[[ -n '$(DESTDIR)' || $$(id -u) != 0 ]] || ldconfig

clean:
	@rm -rf build
