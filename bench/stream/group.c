/* SPDX-License-Identifier: MIT */
/*
 * The stream group: TCP over Catnip's devices. Over memif beside the raw device and lwIP, among idle
 * connections, and over a veth pair beside the kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "device/pair.h"

#define RUNNERS_MAX 3u
#define IOS_PER_ROUND_TRIP 4.0 /* two sends, two receives */
#define ADDED_NS_MAX 70.0
#define ROUND_TRIP_NS_MAX 750.0
#define REQUEST_NS_MAX 333.3 /* 3 million a second */
#define IDLE_RATIO_MAX 1.05
#define IDLE_BYTES_MAX 1024.0
#define IDLE_ROUNDS_MAX 5u /* 100,000 connections are made in each */
#define KERNEL_RATIO_MAX 1.00

/* Requests of these bytes, answers of those, so many under way on so many of the connections. */
struct load {
	const char *request, *response, *depth, *connections, *active;
};

static const struct load one = {"64", "64", "1", "1", "1"};
static const struct load fifty = {"64", "64", "1", "50", "50"};
static const struct load one_of_many = {"64", "64", "1", "100000", "1"};
static const struct load to_server = {"65536", "1", "8", "1", "1"};
static const struct load from_server = {"1", "65536", "8", "1", "1"};

struct runner {
	const char *kind; /* of both ends, or over a veth of the server */
	const char *name; /* in the report */
	const struct load *load;
};

/** Runners in alternating rounds. Goals are the last one's, a ratio is to the one before it. */
struct race {
	const char *name;
	const char *section;
	struct runner runners[RUNNERS_MAX]; /* up to one without a kind */
	bool over_veth;
	bool adds;               /* a figure: what the last one adds to the first, an I/O */
	bool weighs;             /* two figures: memory of each connection of the last one */
	bool compares;           /* a ratio */
	unsigned int rounds_max; /* 0: any */
	enum goal_kind goal_kind;
	double goal;
};

static const struct race races[] = {
#ifdef BENCH_HAVE_DPDK
	{.name = "stream/memif/1",
	 .section = "memif, 64 B, 1 connection: a round trip",
	 .runners = {{"raw", "raw", &one},
#ifdef BENCH_HAVE_LWIP
		     {"lwip", "lwip", &one},
#endif
		     {"demi", "demi", &one}},
	 .adds = true,
	 .compares = true,
	 .goal_kind = GOAL_VALUE,
	 .goal = ROUND_TRIP_NS_MAX},
	{.name = "stream/memif/50",
	 .section = "memif, 64 B, 50 connections: each request",
	 .runners =
		 {
#ifdef BENCH_HAVE_LWIP
			 {"lwip", "lwip", &fifty},
#endif
			 {"demi", "demi", &fifty}},
	 .compares = true,
	 .goal_kind = GOAL_VALUE,
	 .goal = REQUEST_NS_MAX},
	{.name = "stream/memif/idle",
	 .section = "memif, 64 B: a round trip, and memory",
	 .runners = {{"demi", "alone", &one}, {"demi", "among-100000", &one_of_many}},
	 .weighs = true,
	 .compares = true,
	 .rounds_max = IDLE_ROUNDS_MAX,
	 .goal_kind = GOAL_RATIO,
	 .goal = IDLE_RATIO_MAX},
#endif
	{.name = "stream/veth/1",
	 .section = "veth, 64 B, 1 connection: a round trip",
	 .runners = {{"kernel", "kernel", &one}, {"demi", "afxdp", &one}},
	 .over_veth = true,
	 .compares = true,
	 .goal_kind = GOAL_RATIO,
	 .goal = KERNEL_RATIO_MAX},
	{.name = "stream/veth/in",
	 .section = "veth: 64 KiB to the server",
	 .runners = {{"kernel", "kernel", &to_server}, {"demi", "afxdp", &to_server}},
	 .over_veth = true,
	 .compares = true},
	{.name = "stream/veth/out",
	 .section = "veth: 64 KiB from the server",
	 .runners = {{"kernel", "kernel", &from_server}, {"demi", "afxdp", &from_server}},
	 .over_veth = true,
	 .compares = true},
};
#define RACES (sizeof(races) / sizeof(races[0]))

/* The networks of races over a veth; 0: not made yet. */
static pid_t server_network, client_network;

/* ---- One run ---- */

static int run_pair(const struct load *load, const struct pair_end *server,
		    const struct pair_end *client, unsigned int time_ms, struct pair_result *result)
{
	char time[16];
	struct pair_work work = {"demi-bench-stream",
				 {load->request, load->response, load->depth, load->connections,
				  load->active, time}};
	/* The raw device's frames are as long as those of 64 B behind timestamps. */
	struct pair_work raw = {"demi-bench-device", {"88", time}};

	snprintf(time, sizeof(time), "%u", time_ms);
	return pair_run(strcmp(server->kind, "raw") == 0 ? &raw : &work, server, client, result);
}

static int run_memif(const struct runner *runner, unsigned int time_ms, struct pair_result *result)
{
	char server_device[256], client_device[256];
	struct pair_end server = {.kind = runner->kind, .device = server_device, .ip = "10.79.0.1"};
	struct pair_end client = {.kind = runner->kind, .device = client_device, .ip = "10.79.0.2"};

	pair_memif(server_device, client_device, sizeof(server_device));
	return run_pair(runner->load, &server, &client, time_ms, result);
}

static int run_veth(const struct runner *runner, unsigned int time_ms, struct pair_result *result)
{
	bool by_kernel = strcmp(runner->kind, "kernel") == 0;
	struct pair_end server = {.kind = runner->kind,
				  .device = by_kernel ? "" : "afxdp:" PAIR_INTERFACE,
				  .ip = PAIR_SERVER_IP,
				  .network = server_network};
	struct pair_end client = {
		.kind = "kernel", .device = "", .ip = PAIR_CLIENT_IP, .network = client_network};
	int error = by_kernel ? pair_address(server_network, 1) : 0;

	if (!error)
		error = run_pair(runner->load, &server, &client, time_ms, result);
	if (by_kernel)
		pair_address(server_network, 0);
	return error;
}

/* ---- A race ---- */

struct results {
	struct figure *runners[RUNNERS_MAX];
	struct figure *added, *resident, *allocated; /* NULL: the race has none */
};

static struct figure *add_figure(struct report *report, const struct race *race,
				 unsigned int rounds, const char *unit, const char *name,
				 const char *label)
{
	struct figure *figure = report_add(report, unit, rounds);

	if (!figure)
		return NULL;
	snprintf(figure->name, sizeof(figure->name), "%s/%s", race->name, name);
	snprintf(figure->section, sizeof(figure->section), "%s", race->section);
	snprintf(figure->label, sizeof(figure->label), "%s", label);
	return figure;
}

static void aim(struct figure *figure, enum goal_kind kind, double goal)
{
	figure->goal_kind = kind;
	figure->goal = goal;
}

static void store(struct figure *figure, unsigned int round, double median, double minimum)
{
	figure->values[round] = median;
	if (round == 0 || minimum < figure->minimum)
		figure->minimum = minimum;
}

static unsigned int runner_count(const struct race *race)
{
	unsigned int count = 0;

	while (count < RUNNERS_MAX && race->runners[count].kind)
		count++;
	return count;
}

static int add_figures(const struct race *race, unsigned int rounds, struct report *report,
		       struct results *results)
{
	unsigned int count = runner_count(race);

	*results = (struct results){0};
	for (unsigned int i = 0; i < count; i++) {
		const char *name = race->runners[i].name;

		results->runners[i] = add_figure(report, race, rounds, "ns", name, name);
		if (!results->runners[i])
			return -ENOMEM;
	}
	if (race->compares && count > 1)
		results->runners[count - 1]->against = results->runners[count - 2];
	if (race->goal_kind != GOAL_RATIO || count > 1)
		aim(results->runners[count - 1], race->goal_kind, race->goal);
	if (race->adds) {
		results->added = add_figure(report, race, rounds, "ns", "added",
					    "an I/O of demi (less raw, by 4)");
		if (!results->added)
			return -ENOMEM;
		aim(results->added, GOAL_VALUE, ADDED_NS_MAX);
	}
	if (race->weighs) {
		results->resident = add_figure(report, race, rounds, "bytes", "resident",
					       "resident, each connection");
		results->allocated = add_figure(report, race, rounds, "bytes", "allocated",
						"of these, allocated meanwhile");
		if (!results->resident || !results->allocated)
			return -ENOMEM;
		aim(results->resident, GOAL_VALUE, IDLE_BYTES_MAX);
	}
	return 0;
}

static int run_round(const struct race *race, unsigned int round, unsigned int time_ms,
		     struct results *results)
{
	unsigned int count = runner_count(race);
	struct pair_result result = {0};

	for (unsigned int i = 0; i < count; i++) {
		int error = race->over_veth ? run_veth(&race->runners[i], time_ms, &result)
					    : run_memif(&race->runners[i], time_ms, &result);

		if (error)
			return error;
		store(results->runners[i], round, result.median_ns, result.minimum_ns);
	}
	if (results->added) {
		double added = (result.median_ns - results->runners[0]->values[round]) /
			       IOS_PER_ROUND_TRIP;

		store(results->added, round, added, added);
	}
	if (results->resident) {
		store(results->resident, round, result.resident_bytes, result.resident_bytes);
		store(results->allocated, round, result.allocated_bytes, result.allocated_bytes);
	}
	return 0;
}

static int run_race(const struct race *race, const struct bench_options *options,
		    struct report *report)
{
	unsigned int rounds = options->rounds;
	struct results results;
	int error;

	if (race->rounds_max && rounds > race->rounds_max)
		rounds = race->rounds_max;
	error = add_figures(race, rounds, report, &results);
	for (unsigned int round = 0; !error && round < rounds; round++)
		error = run_round(race, round, options->time_ms, &results);
	return error;
}

static bool is_possible(const struct race *race)
{
	if (!race->over_veth || server_network > 0)
		return true;
	if (server_network == 0 && pair_networks(&server_network, &client_network) == 0)
		return true;
	if (server_network >= 0)
		printf("\nstream/veth: not measured, it needs root, iproute2 and network "
		       "namespaces\n");
	server_network = -1;
	return false;
}

static int run(const struct bench_options *options, struct report *report)
{
	int error = 0;

	if (!bench_has_two_cpus()) {
		printf("\nstream: not measured, it needs CPU 0 and CPU 1\n");
		return 0;
	}
#ifndef BENCH_HAVE_DPDK
	printf("\nstream/memif: not measured, this build is without DPDK\n");
#elif !defined(BENCH_HAVE_LWIP)
	printf("\nstream/memif: without lwIP, whose source scripts/debian_source.sh gets\n");
#endif
	for (size_t i = 0; !error && i < RACES; i++) {
		if (bench_wants(options, races[i].name) && is_possible(&races[i]))
			error = run_race(&races[i], options, report);
	}
	return error;
}

static void list(void)
{
	for (size_t i = 0; i < RACES; i++)
		printf("  %-28s %s\n", races[i].name, races[i].section);
}

const struct bench_group stream_group = {
	.name = "stream",
	.title = "TCP: Catnip over its devices",
	.help = "  Requests and answers between two pinned processes, all of which spin. memif: both\n"
		"  ends on the device itself, which look at nothing, on lwIP's raw API, and on Demi; a\n"
		"  round trip is four I/Os. With 50 connections a request is under way on each; the time\n"
		"  is for each of them all. Idle: one connection speaks, 99,999 others do not; memory is\n"
		"  what the client's process has grown by, pops that wait included. veth: a client with\n"
		"  kernel sockets, served by kernel sockets and by Catnip over AF_XDP (copy mode);\n"
		"  eight times 64 KiB are under way.",
	.run = run,
	.list = list,
};
