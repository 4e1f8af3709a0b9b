/* SPDX-License-Identifier: MIT */
/* Phases of a run, and what goes out. */
#include "workload.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "echo/process.h"
#include "random.h"

int workload_init(struct workload *workload, const struct options *options,
		  const struct value_table *table, uint32_t run)
{
	uint32_t pipeline = options->pipeline;
	bool reads_own = options->prefill ? options->command != COMMAND_SET
					  : options->command == COMMAND_MIXED;
	bool has_order = options->verify && table->stamp && reads_own;

	*workload = (struct workload){
		.options = options, .table = table, .run = run, .random = options->seed};
	workload->connections = calloc(options->connections, sizeof(*workload->connections));
	workload->requests = calloc((size_t)options->connections * pipeline,
				    sizeof(*workload->requests));
	if (has_order)
		workload->order = calloc(options->keys, sizeof(*workload->order));
	latency_init(&workload->latency);
	if (!workload->connections || !workload->requests || (has_order && !workload->order)) {
		workload_fini(workload);
		return ENOMEM;
	}
	for (uint32_t i = 0; i < options->connections; i++) {
		struct workload_connection *connection = &workload->connections[i];

		connection->index = i;
		connection->requests = workload->requests + (size_t)i * pipeline;
		resp_init(&connection->parser, RESP_BULK_MAX);
	}
	return 0;
}

void workload_fini(struct workload *workload)
{
	free(workload->connections);
	free(workload->requests);
	free(workload->order);
}

void workload_fail(struct workload *workload, const char *format, ...)
{
	va_list arguments;

	if (workload->failure[0])
		return;
	va_start(arguments, format);
	vsnprintf(workload->failure, sizeof(workload->failure), format, arguments);
	va_end(arguments);
}

static void enter(struct workload *workload, enum workload_phase phase)
{
	workload->phase = phase;
	workload->phase_ns = workload->now_ns;
	if (phase == PHASE_WARMUP)
		workload->due_ns = workload->now_ns;
	if (phase == PHASE_MEASURE)
		workload->measured_from_ns = workload->now_ns;
}

/* Every connection has answered its AUTH; a connection of none counts as one that has. */
static bool authenticated(const struct workload *workload)
{
	for (uint32_t i = 0; i < workload->options->connections; i++) {
		if (workload->options->password && workload->connections[i].answered == 0)
			return false;
	}
	return true;
}

static bool phase_is_over(const struct workload *workload)
{
	const struct options *options = workload->options;
	uint64_t elapsed_ns = workload->now_ns - workload->phase_ns;

	switch (workload->phase) {
	case PHASE_AUTH:
		return workload->outstanding == 0 && authenticated(workload);
	case PHASE_PREFILL:
		return workload->outstanding == 0 &&
		       (!options->prefill || workload->prefilled == options->keys);
	case PHASE_WARMUP:
		return elapsed_ns >= options->warmup_ns;
	case PHASE_MEASURE:
		return (options->requests && workload->handed_out == options->requests) ||
		       (options->duration_ns && elapsed_ns >= options->duration_ns);
	default:
		return false;
	}
}

static bool advance(struct workload *workload)
{
	enum workload_phase before = workload->phase;

	while (phase_is_over(workload))
		enter(workload, workload->phase + 1);
	return workload->phase != before;
}

void workload_start(struct workload *workload, uint64_t now_ns)
{
	workload->now_ns = now_ns;
	workload->started_ns = now_ns;
	workload->last_answer_ns = now_ns;
	enter(workload, PHASE_AUTH);
	advance(workload);
}

bool workload_tick(struct workload *workload, uint64_t now_ns)
{
	int stop_requests = process_stop_requests();

	workload->now_ns = now_ns;
	if (stop_requests && !workload->interrupted) {
		workload->interrupted = true;
		enter(workload, PHASE_END);
	}
	if (workload->outstanding && now_ns - workload->heard_ns >= WORKLOAD_SILENCE_NS)
		workload_fail(workload, "server gone: no reply for %u s",
			      (unsigned int)(WORKLOAD_SILENCE_NS / NS_PER_S));
	return advance(workload);
}

bool workload_paced(const struct workload *workload)
{
	return workload->options->rate &&
	       (workload->phase == PHASE_WARMUP || workload->phase == PHASE_MEASURE);
}

uint64_t workload_sleep_ns(const struct workload *workload, uint64_t max_ns)
{
	if (!workload_paced(workload) || workload->due_ns >= workload->now_ns + max_ns)
		return max_ns;
	return workload->due_ns > workload->now_ns ? workload->due_ns - workload->now_ns : 0;
}

/* Requests that are to go out now, on whichever connections. */
static uint64_t wanted(const struct workload *workload)
{
	const struct options *options = workload->options;
	uint64_t count = UINT64_MAX;

	if (workload->failure[0])
		return 0;
	switch (workload->phase) {
	case PHASE_PREFILL:
		return options->keys - workload->prefilled;
	case PHASE_MEASURE:
		if (options->requests)
			count = options->requests - workload->handed_out;
		break;
	case PHASE_WARMUP:
		break;
	default:
		return 0;
	}
	if (options->rate)
		return count && workload->due_ns <= workload->now_ns;
	return count;
}

uint32_t workload_may_send(const struct workload *workload, uint32_t connection)
{
	uint32_t room = workload->options->pipeline - workload->connections[connection].outstanding;
	uint64_t count;

	if (workload->phase == PHASE_AUTH)
		return workload->options->password && room &&
		       workload->connections[connection].answered == 0 &&
		       workload->connections[connection].outstanding == 0;
	count = wanted(workload);
	return count < room ? (uint32_t)count : room;
}

static bool next_is_get(struct workload *workload)
{
	const struct options *options = workload->options;
	uint32_t parts = options->ratio_gets + options->ratio_sets;

	if (options->command != COMMAND_MIXED)
		return options->command == COMMAND_GET;
	return random_below(&workload->random, parts) < options->ratio_gets;
}

static void choose(struct workload *workload, struct workload_request *request)
{
	if (workload->phase == PHASE_PREFILL) {
		request->kind = REQUEST_SET;
		request->key = workload->prefilled++;
	} else {
		request->kind = next_is_get(workload) ? REQUEST_GET : REQUEST_SET;
		request->key = random_below(&workload->random, workload->options->keys);
	}
	struct order_key *order = workload->order ? &workload->order[request->key] : NULL;

	if (request->kind == REQUEST_GET) {
		request->version = order ? order->settled : 0;
		return;
	}
	request->version = ++workload->version;
	if (order)
		order_set(order, request->version);
}

const struct workload_request *workload_send(struct workload *workload, uint32_t connection)
{
	struct workload_connection *sender = &workload->connections[connection];
	uint32_t pipeline = workload->options->pipeline;
	uint32_t place = sender->head + sender->outstanding;
	struct workload_request *request =
		&sender->requests[place < pipeline ? place : place - pipeline];

	*request = (struct workload_request){
		.kind = REQUEST_AUTH,
		.sent_ns = workload->now_ns,
		.measured = workload->phase == PHASE_MEASURE,
	};
	if (workload->phase != PHASE_AUTH)
		choose(workload, request);
	if (workload_paced(workload)) {
		request->sent_ns = workload->due_ns;
		workload->due_ns += NS_PER_S / workload->options->rate;
	}
	if (workload->outstanding == 0)
		workload->heard_ns = workload->now_ns;
	workload->handed_out += request->measured;
	sender->outstanding++;
	workload->outstanding++;
	return request;
}

bool workload_done(const struct workload *workload)
{
	if (workload->failure[0] || process_stop_requests() > 1)
		return true;
	return workload->phase == PHASE_END && workload->outstanding == 0;
}

uint64_t workload_answered(const struct workload *workload)
{
	return workload->gets + workload->sets + workload->nils + workload->error_replies;
}

double workload_seconds(const struct workload *workload)
{
	if (workload->measured_from_ns == 0 ||
	    workload->last_answer_ns <= workload->measured_from_ns)
		return 0.0;
	return (double)(workload->last_answer_ns - workload->measured_from_ns) / (double)NS_PER_S;
}
