/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "echo/json_file.h"
#include "echo/process.h"

static double us(double ns)
{
	return ns / (double)NS_PER_US;
}

static double mean_ns(const struct latency *latency)
{
	return latency->count ? latency->sum_ns / (double)latency->count : 0.0;
}

static double quantile_us(const struct workload *workload, double quantile)
{
	return us(latency_quantile_ns(&workload->latency, quantile));
}

static double requests_per_second(const struct workload *workload)
{
	double seconds = workload_seconds(workload);

	return seconds > 0.0 ? (double)workload->latency.count / seconds : 0.0;
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
	static const char *const phases[] = {"password", "prefill", "warm-up", "measurement",
					     "end"};

	if (!progress->enabled || workload->now_ns < progress->next_ns)
		return;
	uint64_t answered = workload_answered(workload);
	double seconds = (double)(workload->now_ns - progress->last_ns) / (double)NS_PER_S;
	fprintf(stderr, "%.0f s, %s: %.0f requests/s, %" PRIu64 " answered\n",
		(double)(workload->now_ns - workload->started_ns) / (double)NS_PER_S,
		phases[workload->phase], (double)(answered - progress->last_answered) / seconds,
		answered);
	progress->last_ns = workload->now_ns;
	progress->last_answered = answered;
	progress->next_ns = workload->now_ns + NS_PER_S;
}

static void print_latency(const struct workload *workload, FILE *out)
{
	const struct latency *latency = &workload->latency;

	fprintf(out, "latency us  %10s %10s %10s %10s %10s %10s\n", "min", "mean", "p50", "p99",
		"p99.9", "max");
	fprintf(out, "            %10.2f %10.2f %10.2f %10.2f %10.2f %10.2f\n",
		us((double)latency->min_ns), us(mean_ns(latency)), quantile_us(workload, 0.5),
		quantile_us(workload, 0.99), quantile_us(workload, 0.999),
		us((double)latency->max_ns));
}

static void print_table(const struct workload *workload, FILE *out)
{
	const struct options *options = workload->options;

	fprintf(out,
		"%s %s %s, values of %u bytes, %" PRIu64 " keys, %u connection%s, pipeline %u\n",
		options->program, options_command_name(options->command), options->address_text,
		options->size, options->keys, options->connections,
		options->connections == 1 ? "" : "s", options->pipeline);
	fprintf(out,
		"answered    %" PRIu64 " GET, %" PRIu64 " SET, %" PRIu64 " nil, %" PRIu64
		" errors; %" PRIu64 " values verified\n",
		workload->gets, workload->sets, workload->nils, workload->error_replies,
		workload->verified);
	if (workload->latency.count == 0) {
		fprintf(out, "nothing measured: the run ended before\n");
		return;
	}
	fprintf(out, "throughput  %.0f requests/s over %.3f s\n", requests_per_second(workload),
		workload_seconds(workload));
	print_latency(workload, out);
}

static json_t *json_parameters(const struct workload *workload)
{
	const struct options *options = workload->options;
	const char *libos = getenv("LIBOS");
	json_t *parameters = json_pack(
		"{s:s, s:s, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:b, s:b}",
		"address", options->address_text, "command", options_command_name(options->command),
		"size", (json_int_t)options->size, "copy_max", (json_int_t)options->copy_max,
		"keys", (json_int_t)options->keys, "prefix", options->prefix, "seed",
		(json_int_t)options->seed, "connections", (json_int_t)options->connections,
		"pipeline", (json_int_t)options->pipeline, "requests",
		(json_int_t)options->requests, "duration_s",
		(double)options->duration_ns / (double)NS_PER_S, "warmup_s",
		(double)options->warmup_ns / (double)NS_PER_S, "rate", (json_int_t)options->rate,
		"prefill", options->prefill, "verify", options->verify);

	if (options->command == COMMAND_MIXED)
		json_object_set_new(parameters, "ratio",
				    json_pack("[I, I]", (json_int_t)options->ratio_gets,
					      (json_int_t)options->ratio_sets));
	json_object_set_new(parameters, "libos", libos ? json_string(libos) : json_null());
	return parameters;
}

static json_t *json_latency(const struct workload *workload)
{
	const struct latency *latency = &workload->latency;

	if (latency->count == 0)
		return json_null();
	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "min", us((double)latency->min_ns),
			 "p50", quantile_us(workload, 0.5), "p99", quantile_us(workload, 0.99),
			 "p99.9", quantile_us(workload, 0.999), "max", us((double)latency->max_ns),
			 "mean", us(mean_ns(latency)));
}

static json_t *json_results(const struct workload *workload)
{
	bool failed = workload->failure[0] != '\0';
	json_t *throughput = json_pack("{s:f, s:f}", "seconds", workload_seconds(workload),
				       "requests_per_s", requests_per_second(workload));

	return json_pack("{s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:o, s:b}",
			 "program", workload->options->program, "parameters",
			 json_parameters(workload), "throughput", throughput, "latency_us",
			 json_latency(workload), "measured", (json_int_t)workload->latency.count,
			 "gets", (json_int_t)workload->gets, "sets", (json_int_t)workload->sets,
			 "nils", (json_int_t)workload->nils, "error_replies",
			 (json_int_t)workload->error_replies, "verified",
			 (json_int_t)workload->verified, "errors", failed ? 1 : 0, "error",
			 failed ? json_string(workload->failure) : json_null(), "interrupted",
			 workload->interrupted);
}

bool report_place_ok(const struct options *options)
{
	return json_file_place_ok(options->program, options->json);
}

int report_results(const struct workload *workload)
{
	const char *program = workload->options->program, *json = workload->options->json;

	if (!json_file_is_stdout(json))
		print_table(workload, stdout);
	else if (!workload->options->quiet)
		print_table(workload, stderr);
	fflush(stdout);
	if (workload->failure[0])
		fprintf(stderr, "%s: %s\n", program, workload->failure);
	return json ? json_file_write(program, json, json_results(workload)) : 0;
}
