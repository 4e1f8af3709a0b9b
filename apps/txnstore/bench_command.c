/* SPDX-License-Identifier: MIT */
#include "bench_command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "echo/json_file.h"
#include "echo/process.h"

#define PROGRAM_NAME "demi-txnstore bench"

static double us(double ns)
{
	return ns / (double)NS_PER_US;
}

static double mean_us(const struct bench *bench)
{
	return bench->latency.count ? us(bench->latency.sum_ns / (double)bench->latency.count) : 0;
}

static double seconds_of(const struct bench *bench)
{
	return (double)(bench->ended_ns - bench->began_ns) / (double)NS_PER_S;
}

static double rate_of(const struct bench *bench)
{
	return seconds_of(bench) > 0 ? (double)bench->committed / seconds_of(bench) : 0;
}

static double quantile_us(const struct bench *bench, double quantile)
{
	return us(latency_quantile_ns(&bench->latency, quantile));
}

static void print(const struct bench *bench, FILE *file)
{
	fprintf(file,
		"%s: %.0f transactions/s committed in %.1f s; %" PRIu64
		" aborted and tried again, %" PRIu64 " unknown\n"
		"latency: average %.1f, p50 %.1f, p99 %.1f, p99.9 %.1f, most %.1f us\n"
		"%" PRIu64 " reads, %" PRIu64 " of what is not there, %" PRIu64
		" of a wrong value\n",
		workload_kind_name(bench->options->workload.kind), rate_of(bench),
		seconds_of(bench), bench->aborted, bench->unknown, mean_us(bench),
		quantile_us(bench, 0.5), quantile_us(bench, 0.99), quantile_us(bench, 0.999),
		us(bench->latency.count ? (double)bench->latency.max_ns : 0), bench->reads,
		bench->absent, bench->wrong);
}

static int write_json(const struct bench *bench)
{
	const struct bench_options *options = bench->options;
	const char *libos = getenv("LIBOS");
	json_t *results = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:f, s:I, s:i, s:i, s:i, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I,"
		" s:{s:f, s:f, s:f, s:f, s:f}}",
		"workload", workload_kind_name(options->workload.kind), "distribution",
		distribution_name(options->workload.distribution), "libos", libos ? libos : "",
		"mode", bench->net.cluster->is_weak ? "quorum" : "serializable", "transport",
		bench->net.cluster->is_udp ? "udp" : "tcp", "operations",
		(int)options->workload.operations, "seed", (json_int_t)options->seed,
		"warm_up_seconds", (double)options->warm_ns / (double)NS_PER_S, "records",
		(json_int_t)options->workload.records, "key_bytes",
		(int)options->workload.key_bytes, "value_bytes", (int)options->workload.value_bytes,
		"clients", (int)options->lanes, "rate", (json_int_t)options->rate, "seconds",
		seconds_of(bench), "transactions_per_second", rate_of(bench), "committed",
		(json_int_t)bench->committed, "aborted", (json_int_t)bench->aborted, "unknown",
		(json_int_t)bench->unknown, "reads", (json_int_t)bench->reads, "absent",
		(json_int_t)bench->absent, "wrong", (json_int_t)bench->wrong, "latency_us",
		"average", mean_us(bench), "p50", quantile_us(bench, 0.5), "p99",
		quantile_us(bench, 0.99), "p99.9", quantile_us(bench, 0.999), "max",
		us(bench->latency.count ? (double)bench->latency.max_ns : 0));

	return json_file_write(PROGRAM_NAME, options->json_path, results);
}

static int run(struct bench *bench)
{
	int error = bench->options->loads ? bench_load(bench) : 0;

	if (!error)
		error = bench_run(bench);
	if (error) {
		fprintf(stderr, PROGRAM_NAME ": %s\n", net_client_why(error));
		return EXIT_FAILURE;
	}
	print(bench, json_file_is_stdout(bench->options->json_path) ? stderr : stdout);
	if (bench->options->json_path && write_json(bench) != 0)
		return EXIT_FAILURE;
	if (!bench->committed)
		fprintf(stderr, PROGRAM_NAME ": nothing was committed%s\n",
			bench->aborted ? "" : ", as no answer came");
	net_client_finish(&bench->net, NS_PER_S);
	return bench->wrong || !bench->committed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int bench_command(int argc, char **argv)
{
	static struct bench_options options;
	static struct cluster cluster;
	static struct bench bench;
	char text[CLUSTER_ERROR_BYTES];
	int error, status = bench_options_parse(&options, argc, argv);

	if (status >= 0)
		return status;
	if (!json_file_place_ok(PROGRAM_NAME, options.json_path))
		return EXIT_FAILURE;
	if (cluster_load(&cluster, options.config_path, text) != 0) {
		fprintf(stderr, PROGRAM_NAME ": %s: %s\n", options.config_path, text);
		return EXIT_FAILURE;
	}
	process_prepare();
	error = demi_init(NULL);
	if (!error)
		error = bench_init(&bench, &options, &cluster);
	if (error)
		fprintf(stderr, PROGRAM_NAME ": it does not start: %s\n", strerror(error));
	status = error ? EXIT_FAILURE : run(&bench);
	bench_destroy(&bench);
	demi_fini();
	return status;
}
