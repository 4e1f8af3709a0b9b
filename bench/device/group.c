/* SPDX-License-Identifier: MIT */
/*
 * The device group: what Catnip adds to the device below it. The same ping-pong on the same
 * virtual device, written straight on DPDK and over the public API; and over a veth pair to a
 * client with kernel sockets, served by the kernel and by Catnip over AF_XDP.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "device/pair.h"

#define IOS_PER_ROUND_TRIP 4.0 /* two sends, two receives */
#define ADDED_NS_MAX 40.0
#define LARGE_RATIO_MAX 1.05
#define KERNEL_RATIO_MAX 1.00

static const struct size {
	uint32_t bytes;
	const char *name;
} sizes[] = {{64, "64"}, {1400, "1400"}};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static struct figure *add_figure(struct report *report, unsigned int rounds, const char *device,
				 const struct size *size, const char *who, const char *what)
{
	struct figure *figure = report_add(report, "ns", rounds);

	if (!figure)
		return NULL;
	snprintf(figure->name, sizeof(figure->name), "device/%s/%s/%s", device, size->name, who);
	snprintf(figure->section, sizeof(figure->section), "%s, %s B", device, size->name);
	snprintf(figure->label, sizeof(figure->label), "%s, %s", who, what);
	return figure;
}

static void store(struct figure *figure, unsigned int round, const struct pair_result *result)
{
	figure->values[round] = result->median_ns;
	if (round == 0 || result->minimum_ns < figure->minimum)
		figure->minimum = result->minimum_ns;
}

static int run_pair(const struct pair_end *server, const struct pair_end *client,
		    const struct size *size, unsigned int time_ms, struct pair_result *result)
{
	char time[16];
	struct pair_work work = {"demi-bench-device", {size->name, time}};

	snprintf(time, sizeof(time), "%u", time_ms);
	return pair_run(&work, server, client, result);
}

#ifdef BENCH_HAVE_DPDK
/* ---- memif: raw beside Demi ---- */

static int run_memif_once(const char *kind, const struct size *size, unsigned int time_ms,
			  struct pair_result *result)
{
	char server_device[256], client_device[256];
	struct pair_end server = {.kind = kind, .device = server_device, .ip = "10.79.0.1"};
	struct pair_end client = {.kind = kind, .device = client_device, .ip = "10.79.0.2"};

	pair_memif(server_device, client_device, sizeof(server_device));
	return run_pair(&server, &client, size, time_ms, result);
}

static int run_memif(const struct bench_options *options, const struct size *size,
		     struct report *report)
{
	struct figure *raw = add_figure(report, options->rounds, "memif", size, "raw",
					"round trip");
	struct figure *demi = add_figure(report, options->rounds, "memif", size, "demi",
					 "round trip");
	struct figure *added = add_figure(report, options->rounds, "memif", size, "added",
					  "an I/O (demi less raw, by 4)");
	int error = raw && demi && added ? 0 : -ENOMEM;

	for (unsigned int round = 0; !error && round < options->rounds; round++) {
		struct pair_result results[2];

		error = run_memif_once("raw", size, options->time_ms, &results[0]);
		if (!error)
			error = run_memif_once("demi", size, options->time_ms, &results[1]);
		if (error)
			break;
		store(raw, round, &results[0]);
		store(demi, round, &results[1]);
		added->values[round] = (results[1].median_ns - results[0].median_ns) /
				       IOS_PER_ROUND_TRIP;
		if (round == 0 || added->values[round] < added->minimum)
			added->minimum = added->values[round];
	}
	if (error)
		return error;
	demi->against = raw;
	if (size->bytes > 1024) {
		demi->goal_kind = GOAL_RATIO;
		demi->goal = LARGE_RATIO_MAX;
	} else {
		added->goal_kind = GOAL_VALUE;
		added->goal = ADDED_NS_MAX;
	}
	return 0;
}
#endif

/* ---- veth: the kernel's UDP beside Catnip over AF_XDP, the same client for both ---- */

static int run_veth_once(const char *kind, pid_t server_network, pid_t client_network,
			 const struct size *size, unsigned int time_ms, struct pair_result *result)
{
	bool by_kernel = strcmp(kind, "kernel") == 0;
	struct pair_end server = {.kind = kind,
				  .device = by_kernel ? "" : "afxdp:" PAIR_INTERFACE,
				  .ip = PAIR_SERVER_IP,
				  .network = server_network};
	struct pair_end client = {
		.kind = "kernel", .device = "", .ip = PAIR_CLIENT_IP, .network = client_network};
	int error = by_kernel ? pair_address(server_network, 1) : 0;

	if (!error)
		error = run_pair(&server, &client, size, time_ms, result);
	if (by_kernel)
		pair_address(server_network, 0);
	return error;
}

static int run_veth(const struct bench_options *options, const struct size *size,
		    struct report *report, pid_t server, pid_t client)
{
	struct figure *kernel = add_figure(report, options->rounds, "veth", size, "kernel",
					   "round trip");
	struct figure *demi = add_figure(report, options->rounds, "veth", size, "afxdp",
					 "round trip");
	int error = kernel && demi ? 0 : -ENOMEM;

	for (unsigned int round = 0; !error && round < options->rounds; round++) {
		struct pair_result result;

		error = run_veth_once("kernel", server, client, size, options->time_ms, &result);
		if (error)
			break;
		store(kernel, round, &result);
		error = run_veth_once("demi", server, client, size, options->time_ms, &result);
		if (!error)
			store(demi, round, &result);
	}
	if (error)
		return error;
	demi->against = kernel;
	demi->goal_kind = GOAL_RATIO;
	demi->goal = KERNEL_RATIO_MAX;
	return 0;
}

static int run_veths(const struct bench_options *options, struct report *report)
{
	pid_t server, client;
	int error = pair_networks(&server, &client);

	if (error) {
		printf("\ndevice/veth: not measured, it needs root, iproute2 and network "
		       "namespaces\n");
		return 0;
	}
	for (size_t i = 0; !error && i < SIZES; i++)
		error = run_veth(options, &sizes[i], report, server, client);
	return error;
}

static int run(const struct bench_options *options, struct report *report)
{
	int error = 0;

	if (!bench_has_two_cpus()) {
		printf("\ndevice: not measured, it needs CPU 0 and CPU 1\n");
		return 0;
	}
#ifdef BENCH_HAVE_DPDK
	for (size_t i = 0; !error && i < SIZES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "device/memif/%s", sizes[i].name);
		if (bench_wants(options, name))
			error = run_memif(options, &sizes[i], report);
	}
#else
	printf("\ndevice/memif: not measured, this build is without DPDK\n");
#endif
	if (!error && bench_wants(options, "device/veth"))
		error = run_veths(options, report);
	return error;
}

static void list(void)
{
	for (size_t i = 0; i < SIZES; i++)
		printf("  device/memif/%-15s a DPDK virtual device, raw and under Catnip\n",
		       sizes[i].name);
	printf("  %-28s the kernel's UDP and Catnip's over AF_XDP\n", "device/veth");
}

const struct bench_group device_group = {
	.name = "device",
	.title = "datagrams: Catnip over its devices",
	.help = "  One datagram to and fro between two pinned processes, all of which spin. memif: both\n"
		"  ends written on DPDK, which looks at nothing, beside both ends over the public API;\n"
		"  a round trip is four I/Os. veth: a client with kernel sockets, served by kernel\n"
		"  sockets and by Catnip over AF_XDP (copy mode, which is all that a veth has).",
	.run = run,
	.list = list,
};
