/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

#define BYTES_PER_MIB (1024.0 * 1024.0)

static double mib(const struct workload *workload, double messages)
{
	return messages * (double)workload->options->size / BYTES_PER_MIB;
}

static const char *protocol_name(const struct workload *workload)
{
	return workload->options->protocol == PROTOCOL_TCP ? "tcp" : "udp";
}

static double messages_per_second(const struct workload *workload)
{
	double seconds = workload_seconds(workload);

	return seconds > 0.0 ? (double)workload->latency.count / seconds : 0.0;
}

static double quantile_us(const struct workload *workload, double quantile)
{
	return latency_quantile_ns(&workload->latency, quantile) / (double)NS_PER_US;
}

/* A run that ends within two seconds gets no lines in a file; on a terminal they come at once. */
void report_progress_start(struct report_progress *progress, const struct workload *workload)
{
	uint64_t first_ns = isatty(STDERR_FILENO) ? NS_PER_S : 2 * NS_PER_S;

	*progress = (struct report_progress){
		.enabled = !workload->options->quiet,
		.next_ns = workload->now_ns + first_ns,
		.last_ns = workload->now_ns,
	};
}

void report_progress(struct report_progress *progress, const struct workload *workload)
{
	if (!progress->enabled || workload->now_ns < progress->next_ns)
		return;
	double seconds = (double)(workload->now_ns - progress->last_ns) / (double)NS_PER_S;
	double rate = (double)(workload->verified - progress->last_verified) / seconds;
	fprintf(stderr,
		"%.0f s: %.0f messages/s, %.2f MiB/s, %" PRIu64 " verified, %" PRIu64 " lost\n",
		(double)(workload->now_ns - workload->started_ns) / (double)NS_PER_S, rate,
		mib(workload, rate), workload->verified, workload->lost);
	progress->last_ns = workload->now_ns;
	progress->last_verified = workload->verified;
	progress->next_ns = workload->now_ns + NS_PER_S;
}

static void print_table(const struct workload *workload, FILE *out)
{
	const struct options *options = workload->options;
	const struct latency *latency = &workload->latency;

	fprintf(out, "%s %s %s, size %u, %u connection%s, %u in flight each\n", options->program,
		protocol_name(workload), options->address_text, options->size, options->connections,
		options->connections == 1 ? "" : "s", options->inflight);
	fprintf(out,
		"verified    %" PRIu64 " messages, every byte; %" PRIu64 " lost, %" PRIu64
		" duplicates\n",
		workload->verified, workload->lost, workload->duplicates);
	if (latency->count == 0) {
		fprintf(out, "nothing measured: the run ended within its warm-up\n");
		return;
	}
	double rate = messages_per_second(workload);
	fprintf(out, "throughput  %.0f messages/s, %.2f MiB/s each way, over %.3f s\n", rate,
		mib(workload, rate), workload_seconds(workload));
	fprintf(out, "latency us  %10s %10s %10s %10s %10s\n", "min", "p50", "p99", "p99.9", "max");
	fprintf(out, "            %10.2f %10.2f %10.2f %10.2f %10.2f\n",
		(double)latency->min_ns / (double)NS_PER_US, quantile_us(workload, 0.5),
		quantile_us(workload, 0.99), quantile_us(workload, 0.999),
		(double)latency->max_ns / (double)NS_PER_US);
}

static json_t *json_parameters(const struct workload *workload)
{
	const struct options *options = workload->options;
	json_t *parameters = json_pack(
		"{s:s, s:s, s:I, s:I, s:I, s:I, s:f}", "protocol", protocol_name(workload),
		"address", options->address_text, "size", (json_int_t)options->size, "count",
		(json_int_t)options->count, "inflight", (json_int_t)options->inflight,
		"connections", (json_int_t)options->connections, "duration_s",
		(double)options->duration_ns / (double)NS_PER_S);

	if (options->has_libos) {
		const char *libos = getenv("LIBOS");
		json_object_set_new(parameters, "libos", libos ? json_string(libos) : json_null());
	}
	return parameters;
}

static json_t *json_latency(const struct workload *workload)
{
	const struct latency *latency = &workload->latency;

	if (latency->count == 0)
		return json_null();
	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "min",
			 (double)latency->min_ns / (double)NS_PER_US, "p50",
			 quantile_us(workload, 0.5), "p99", quantile_us(workload, 0.99), "p99.9",
			 quantile_us(workload, 0.999), "max",
			 (double)latency->max_ns / (double)NS_PER_US, "mean",
			 latency->sum_ns / (double)latency->count / (double)NS_PER_US);
}

static json_t *json_results(const struct workload *workload)
{
	double rate = messages_per_second(workload);
	json_t *throughput = json_pack("{s:f, s:f, s:f}", "seconds", workload_seconds(workload),
				       "messages_per_s", rate, "mib_per_s", mib(workload, rate));
	bool failed = workload->failure[0] != '\0';

	return json_pack("{s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:i, s:o, s:b}", "program",
			 workload->options->program, "parameters", json_parameters(workload),
			 "throughput", throughput, "latency_us", json_latency(workload), "sent",
			 (json_int_t)workload->sent, "verified", (json_int_t)workload->verified,
			 "measured", (json_int_t)workload->latency.count, "lost",
			 (json_int_t)workload->lost, "duplicates", (json_int_t)workload->duplicates,
			 "errors", failed ? 1 : 0, "error",
			 failed ? json_string(workload->failure) : json_null(), "interrupted",
			 workload->interrupted);
}

bool report_place_ok(const struct options *options)
{
	FILE *file;

	if (!options->json || strcmp(options->json, "-") == 0)
		return true;
	file = fopen(options->json, "a");
	if (!file) {
		fprintf(stderr, "%s: --json %s: %s\n", options->program, options->json,
			strerror(errno));
		return false;
	}
	fclose(file);
	return true;
}

static int write_json(const struct workload *workload)
{
	const char *path = workload->options->json;
	bool to_stdout = strcmp(path, "-") == 0;
	json_t *results = json_results(workload);
	FILE *file = to_stdout ? stdout : fopen(path, "w");
	int error = 0;

	if (!file)
		error = errno;
	else if (json_dumpf(results, file, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) ||
		 fputc('\n', file) == EOF || fflush(file))
		error = errno ? errno : EIO;
	if (file && !to_stdout && fclose(file) && !error)
		error = errno;
	json_decref(results);
	if (error)
		fprintf(stderr, "%s: --json %s: %s\n", workload->options->program, path,
			strerror(error));
	return error;
}

int report_results(const struct workload *workload)
{
	const char *json = workload->options->json;
	bool json_on_stdout = json && strcmp(json, "-") == 0;

	if (!json_on_stdout)
		print_table(workload, stdout);
	else if (!workload->options->quiet)
		print_table(workload, stderr);
	fflush(stdout);
	if (workload->failure[0])
		fprintf(stderr, "%s: %s\n", workload->options->program, workload->failure);
	return json ? write_json(workload) : 0;
}
