/* SPDX-License-Identifier: MIT */
/*
 * Both roles in several threads. Each has a runtime, sockets and counters of its own; they meet when
 * they begin and when they end, and in between look at each other's counters now and then.
 */
#include "demi_echo.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_file.h"
#include "process.h"
#include "threads.h"

static int say_no_threads(const struct options *options, int error)
{
	fprintf(stderr, "%s: --threads %u: %s\n", options->program, options->threads,
		strerror(error));
	return EXIT_FAILURE;
}

/* ---- Servers ---- */

/* For what is not JSON. */
static FILE *output_of(const struct options *options)
{
	return json_file_is_stdout(options->json) ? stderr : stdout;
}

struct servers {
	const struct options *options;
	struct serving_group group;
	struct sockaddr_storage address; /* of all, once the first has it */
	pthread_barrier_t met;
	_Atomic bool has_failed;
	_Atomic bool does_not_serve;
};

static void open_server(struct servers *servers, uint32_t number)
{
	const struct options *options = servers->options;
	const struct sockaddr_storage *address = number ? &servers->address
							: &options->address.storage;
	struct serving *serving = NULL;

	if (threads_runtime_start(options, number))
		serving = demi_server_open(options, address);
	servers->group.members[number] = serving;
	if (!serving)
		servers->does_not_serve = true;
	else if (options->threads > 1)
		serving->group = &servers->group;
	if (serving && number == 0)
		servers->address = *demi_server_address(serving);
}

static void serve_one(void *context, uint32_t number)
{
	struct servers *servers = context;

	/* The first one finds the port that all have. */
	if (number == 0)
		open_server(servers, number);
	pthread_barrier_wait(&servers->met);
	if (number != 0 && !servers->does_not_serve)
		open_server(servers, number);
	pthread_barrier_wait(&servers->met);
	if (!servers->does_not_serve) {
		if (number == 0)
			serving_listening(output_of(servers->options),
					  (const struct sockaddr *)&servers->address);
		if (demi_server_serve(servers->group.members[number]) != EXIT_SUCCESS)
			servers->has_failed = true;
		servers->group.is_ending = true;
	}
	/* Until here others read what this one has counted. */
	pthread_barrier_wait(&servers->met);
	threads_runtime_end(servers->options);
}

static json_t *json_of_runtimes(const struct servers *servers)
{
	json_t *runtimes = json_array();

	for (uint32_t i = 0; i < servers->group.count; i++) {
		const struct serving *serving = servers->group.members[i];

		json_array_append_new(runtimes,
				      json_pack("{s:I, s:I, s:I}", "connections",
						(json_int_t)serving->connections, "messages",
						(json_int_t)serving_messages(serving), "bytes",
						(json_int_t)serving->bytes));
	}
	return runtimes;
}

static json_t *json_of_servers(const struct servers *servers)
{
	const struct options *options = servers->options;
	const char *libos = getenv("LIBOS");

	return json_pack("{s:s, s:s, s:s, s:s?, s:I, s:o}", "program", options->program, "role",
			 "server", "protocol", options->protocol == PROTOCOL_TCP ? "tcp" : "udp",
			 "libos", libos, "threads", (json_int_t)options->threads, "runtimes",
			 json_of_runtimes(servers));
}

static int sum_up(const struct servers *servers)
{
	const struct options *options = servers->options;
	int status = servers->has_failed ? EXIT_FAILURE : EXIT_SUCCESS;

	if (servers->does_not_serve)
		return EXIT_FAILURE;
	if (status == EXIT_SUCCESS)
		serving_summary(output_of(options),
				(const struct serving *const *)servers->group.members,
				servers->group.count);
	if (options->json &&
	    json_file_write(options->program, options->json, json_of_servers(servers)) != 0)
		status = EXIT_FAILURE;
	return status;
}

int demi_server_run(const struct options *options)
{
	struct servers servers = {.options = options, .group = {.count = options->threads}};
	int error, status;

	if (!json_file_place_ok(options->program, options->json))
		return EXIT_FAILURE;
	servers.group.members = calloc(options->threads, sizeof(*servers.group.members));
	error = servers.group.members ? pthread_barrier_init(&servers.met, NULL, options->threads)
				      : ENOMEM;
	if (!error)
		error = threads_run(options->threads, serve_one, &servers);
	status = error ? say_no_threads(options, error) : sum_up(&servers);
	for (uint32_t i = 0; servers.group.members && i < options->threads; i++) {
		if (servers.group.members[i])
			demi_server_close(servers.group.members[i]);
	}
	free(servers.group.members);
	return status;
}

/* ---- Clients ---- */

struct clients {
	struct options *options; /* [threads]: what is each one's */
	struct workload_group group;
	_Atomic bool does_not_start;
};

static uint64_t share(uint64_t whole, uint32_t parts, uint32_t number)
{
	return whole / parts + (number < whole % parts);
}

static int clients_init(struct clients *clients, const struct options *options)
{
	uint32_t threads = options->threads, connections = 0;

	*clients = (struct clients){.group = {.count = threads}};
	clients->options = calloc(threads, sizeof(*clients->options));
	clients->group.members = calloc(threads, sizeof(*clients->group.members));
	if (!clients->options || !clients->group.members)
		return ENOMEM;
	for (uint32_t i = 0; i < threads; i++) {
		struct options *own = &clients->options[i];

		*own = *options;
		own->count = share(options->count, threads, i);
		own->connections = (uint32_t)share(options->connections, threads, i);
		own->first_connection = connections;
		connections += own->connections;
		if (workload_init(&clients->group.members[i], own) != 0)
			return ENOMEM;
		clients->group.members[i].group = &clients->group;
	}
	return pthread_barrier_init(&clients->group.connected, NULL, threads);
}

static void clients_fini(struct clients *clients)
{
	for (uint32_t i = 0; clients->group.members && i < clients->group.count; i++)
		workload_fini(&clients->group.members[i]);
	free(clients->group.members);
	free(clients->options);
}

static void ask_one(void *context, uint32_t number)
{
	struct clients *clients = context;
	struct workload *workload = &clients->group.members[number];

	if (!threads_runtime_start(workload->options, number)) {
		clients->does_not_start = true;
		clients->group.is_over = true;
		pthread_barrier_wait(&clients->group.connected);
		return;
	}
	client_exchange(workload, &demi_client_io);
	threads_runtime_end(workload->options);
}

static int finish(struct clients *clients, const struct options *options)
{
	struct workload *total;
	int status;

	if (clients->does_not_start)
		return EXIT_FAILURE;
	total = calloc(1, sizeof(*total));
	if (!total)
		return say_no_threads(options, ENOMEM);
	total->options = options;
	latency_init(&total->latency);
	for (uint32_t i = 0; i < clients->group.count; i++)
		workload_add(total, &clients->group.members[i]);
	status = client_finish(total, clients->group.members, clients->group.count);
	free(total);
	return status;
}

int demi_client_run(const struct options *options)
{
	struct clients clients;
	int error, status;

	/* A long run should not end with results that have no place to go. */
	if (!json_file_place_ok(options->program, options->json))
		return EXIT_FAILURE;
	error = clients_init(&clients, options);
	if (!error)
		error = threads_run(options->threads, ask_one, &clients);
	status = error ? say_no_threads(options, error) : finish(&clients, options);
	clients_fini(&clients);
	return status;
}
