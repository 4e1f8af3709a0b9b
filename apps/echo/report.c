/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "json_file.h"
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
		/* Of several threads the first speaks for all. */
		.enabled = !workload->options->quiet &&
			   (!workload->group || workload == workload->group->members),
		.next_ns = workload->now_ns + first_ns,
		.last_ns = workload->now_ns,
	};
}

/* Of all threads. */
static void count_all(const struct workload *workload, uint64_t *verified, uint64_t *lost)
{
	const struct workload_group *group = workload->group;

	*verified = workload->verified;
	*lost = workload->lost;
	if (!group)
		return;
	*verified = *lost = 0;
	for (uint32_t i = 0; i < group->count; i++) {
		*verified += atomic_load_explicit(&group->members[i].told_verified,
						  memory_order_relaxed);
		*lost += atomic_load_explicit(&group->members[i].told_lost, memory_order_relaxed);
	}
}

void report_progress(struct report_progress *progress, const struct workload *workload)
{
	if (!progress->enabled || workload->now_ns < progress->next_ns)
		return;
	double seconds = (double)(workload->now_ns - progress->last_ns) / (double)NS_PER_S;
	uint64_t verified, lost;
	count_all(workload, &verified, &lost);
	double rate = (double)(verified - progress->last_verified) / seconds;
	fprintf(stderr,
		"%.0f s: %.0f messages/s, %.2f MiB/s, %" PRIu64 " verified, %" PRIu64 " lost\n",
		(double)(workload->now_ns - workload->started_ns) / (double)NS_PER_S, rate,
		mib(workload, rate), verified, lost);
	progress->last_ns = workload->now_ns;
	progress->last_verified = verified;
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
		json_object_set_new(parameters, "threads", json_integer(options->threads));
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

/* What each thread's runtime has done. */
static json_t *json_runtimes(const struct workload *parts, uint32_t count)
{
	json_t *runtimes = json_array();

	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(
			runtimes, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "connections",
					    (json_int_t)parts[i].options->connections, "sent",
					    (json_int_t)parts[i].sent, "verified",
					    (json_int_t)parts[i].verified, "measured",
					    (json_int_t)parts[i].latency.count, "lost",
					    (json_int_t)parts[i].lost, "duplicates",
					    (json_int_t)parts[i].duplicates, "messages_per_s",
					    messages_per_second(&parts[i])));
	return runtimes;
}

static json_t *json_results(const struct workload *workload, const struct workload *parts,
			    uint32_t count)
{
	double rate = messages_per_second(workload);
	json_t *throughput = json_pack("{s:f, s:f, s:f}", "seconds", workload_seconds(workload),
				       "messages_per_s", rate, "mib_per_s", mib(workload, rate));
	bool failed = workload->failure[0] != '\0';

	json_t *results = json_pack(
		"{s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:i, s:o, s:b}", "program",
		workload->options->program, "parameters", json_parameters(workload), "throughput",
		throughput, "latency_us", json_latency(workload), "sent",
		(json_int_t)workload->sent, "verified", (json_int_t)workload->verified, "measured",
		(json_int_t)workload->latency.count, "lost", (json_int_t)workload->lost,
		"duplicates", (json_int_t)workload->duplicates, "errors", failed ? 1 : 0, "error",
		failed ? json_string(workload->failure) : json_null(), "interrupted",
		workload->interrupted);
	if (results && workload->options->has_libos)
		json_object_set_new(results, "runtimes", json_runtimes(parts, count));
	return results;
}

bool report_place_ok(const struct options *options)
{
	return json_file_place_ok(options->program, options->json);
}

int report_results(const struct workload *workload, const struct workload *parts, uint32_t count)
{
	const char *program = workload->options->program, *json = workload->options->json;

	if (!json_file_is_stdout(json))
		print_table(workload, stdout);
	else if (!workload->options->quiet)
		print_table(workload, stderr);
	fflush(stdout);
	if (workload->failure[0])
		fprintf(stderr, "%s: %s\n", program, workload->failure);
	return json ? json_file_write(program, json, json_results(workload, parts, count)) : 0;
}
