/* SPDX-License-Identifier: MIT */
/* What the environment and the configuration's file say, read once. */
#include <ifaddrs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "file.h"
#include "guard.h"
#include "handler.h"
#include "process.h"
#include "real.h"
#include "trace.h"

char **engine_environment;

/* Those of constructors: the environment is kept first. */
#define PRIORITY_FIRST 200
#define PRIORITY_LATER 201

static __attribute__((constructor(PRIORITY_FIRST))) void keep_environment(void)
{
	size_t count = 0;

	while (environ && environ[count])
		count++;
	engine_environment = calloc(count + 2, sizeof(*engine_environment));
	if (!engine_environment)
		return;
	/* Whichever thread calls has the runtime. */
	engine_environment[0] = strdup("DEMI_BLK_THREADS=any");
	for (size_t i = 0, kept = 1; i < count; i++)
		if (strncmp(environ[i], "DEMI_BLK_THREADS=", strlen("DEMI_BLK_THREADS=")) != 0)
			engine_environment[kept++] = strdup(environ[i]);
}

static __attribute__((noreturn)) void give_up(const char *message)
{
	fprintf(stderr, "demi: %s\n", message);
	real()->_exit(125);
	__builtin_unreachable();
}

static void read_key(const char *key, char *value, size_t size)
{
	/* demi_config has said what is wrong with the others. */
	if (demi_config(key, value, size) != 0)
		give_up("the program does not start, since its network would not be the one that "
			"was asked for");
}

static void read_kernel_addresses(void)
{
	struct ifaddrs *addresses;

	if (getifaddrs(&addresses) != 0)
		return;
	for (struct ifaddrs *one = addresses; one; one = one->ifa_next)
		if (one->ifa_addr)
			rules_add_kernel(&engine.rules, one->ifa_addr);
	freeifaddrs(addresses);
}

static void read_patterns(void)
{
	char list[1024], libos[32], device[256], message[256];

	read_key("shim.log_files", list, sizeof(list));
	if (!list[0])
		return;
	read_key("libos", libos, sizeof(libos));
	read_key("blk.dev", device, sizeof(device));
	if (!strstr(libos, "cattree"))
		give_up("shim.log_files (DEMI_SHIM_LOG_FILES) needs a libOS with logs; say which: "
			"LIBOS=catnip+cattree");
	if (!device[0])
		give_up("shim.log_files (DEMI_SHIM_LOG_FILES) needs a block device for the logs; "
			"say which: DEMI_BLK_DEV=uring:/var/lib/demi.img");
	if (patterns_parse(&engine.patterns, list, message, sizeof(message)) != 0)
		give_up(message);
}

static void configure(void)
{
	char rules[1024], own[1024], value[32], message[256];

	char **programs = environ;

	handlers_hold();
	shim_is_inside = true;
	if (engine_environment)
		environ = engine_environment;
	read_key("shim.rules", rules, sizeof(rules));
	read_key("net.ip", own, sizeof(own));
	if (rules_parse(&engine.rules, rules, own, message, sizeof(message)) != 0)
		give_up(message);
	read_patterns();
	read_key("shim.trace", value, sizeof(value));
	trace_on = value[0] == '1';
	read_key("runtime.idle", value, sizeof(value));
	engine.spins = strcmp(value, "spin") == 0;
	read_key("runtime.idle_after_us", value, sizeof(value));
	engine.idle_after_ns = strtoull(value, NULL, 10) * NS_PER_US;
	environ = programs;
	if (engine.rules.own_count)
		read_kernel_addresses();
	if (engine.rules.own_count || engine.patterns.count) {
		guard_start();
		process_watch_forks();
	}
	shim_is_inside = false;
	handlers_let();
}

static pthread_once_t configured = PTHREAD_ONCE_INIT;

/*
 * Which paths are logs is known before the program opens any: a file that it opened as the kernel's
 * would not be the one that it wrote before. Without a sign of logs nothing is read before the first
 * socket.
 */
static __attribute__((constructor(PRIORITY_LATER))) void configure_files(void)
{
	if (getenv("DEMI_SHIM_LOG_FILES") || getenv("CONFIG_PATH"))
		pthread_once(&configured, configure);
}

bool engine_is_configured(void)
{
	pthread_once(&configured, configure);
	return engine.rules.own_count != 0 && engine.state != ENGINE_ENDED;
}
