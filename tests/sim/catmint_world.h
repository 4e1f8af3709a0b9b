/* SPDX-License-Identifier: MIT */
/*
 * Runtimes of Catmint in one process, on one simulated network of RDMA devices and on simulated time:
 * what happens follows from the seed. At the end each has to have given back all that it had.
 */
#ifndef DEMI_TESTS_SIM_CATMINT_WORLD_H
#define DEMI_TESTS_SIM_CATMINT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libos/catmint/connection.h"
#include "rdma/sim.h"

#define HOSTS 3u
#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

/** A runtime. */
struct host {
	unsigned int number; /* of its addresses: 10.0.0.N and fd00::N */
	struct queue_context context;
	struct config config;
	struct libos *libos;
	struct catmint *mint;
	bool is_running;
	bool is_asleep;
	bool is_dead; /* its device was removed or is silent */
	uint64_t wake_ns;
	struct pollfd wakes[LIBOS_WAKES_MAX];
	int wake_count;
	uint64_t objects; /* of the heap, once it has started */
};

struct world {
	uint64_t seed;
	uint64_t random_state;
	uint64_t now_ns;
	struct host hosts[HOSTS];
	bool sleeps;     /* hosts sleep when they have nothing to do */
	const char *act; /* what is done now, for who looks at a failure */
};

extern struct world world;

/** world_random - below @limit */
uint64_t world_random(uint64_t limit);

/** world_chance - true once in @many times */
bool world_chance(uint64_t many);

/** world_begin - a new one, without hosts */
void world_begin(uint64_t seed);

/** host_start - @config of Catmint's section; @words: of the network and the device, behind the address */
void host_start(struct host *host, unsigned int number, const char *words);

/** host_stop - as runtime_destroy; every operation is complete. host_end - nothing may be left */
void host_stop(struct host *host);
void host_end(struct host *host);

/** host_wake - before anything is called of it */
void host_wake(struct host *host);

/** host_assert_quiet - all sockets were closed, and time has passed: what it has is what it started with */
void host_assert_quiet(const struct host *host);

/**
 * world_age - make two ends of a connection that nothing was sent over as old as if so much had been that
 * the numbers of messages go round soon
 */
void world_age(struct connection *first, struct connection *second);

/** world_step - one round of all, and some time */
void world_step(void);

/** world_demand - fail the test, telling how to repeat it, unless @is_so */
#define world_demand(is_so, ...)                           \
	do {                                               \
		if (!(is_so))                              \
			world_fail(__LINE__, __VA_ARGS__); \
	} while (0)
void world_fail(int line, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

#endif /* DEMI_TESTS_SIM_CATMINT_WORLD_H */
