/* SPDX-License-Identifier: MIT */
/*
 * The plain relay: datagrams to one address go on to another, each client through a socket of its own,
 * so that answers find back. No byte is looked at. Clients are forgotten when they are idle.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "server.h"

#define NS_PER_S UINT64_C(1000000000)

struct forward {
	struct listener front;
	struct net_address to;
	uint32_t client_count;
};

struct forward_client {
	struct timer timer;
	struct table_node node; /* by forward and address */
	struct forward *forward;
	struct net_address address;
	int qd; /* where answers come */
	demi_qtoken_t pop_token;
};

struct forwarding {
	struct forward forwards[OPTIONS_FORWARDS_MAX];
	struct table clients;
	struct timers timers;
	uint64_t seed;
};

static struct forward_client *of_node(struct table_node *node)
{
	return (struct forward_client *)((char *)node - offsetof(struct forward_client, node));
}

static uint64_t hash_of(const struct forwarding *forwarding, const struct forward *forward,
			const struct net_address *address)
{
	uint64_t seed = forwarding->seed ^ (uint64_t)(forward - forwarding->forwards);

	return table_hash(seed, address, sizeof(*address));
}

static struct forward_client *find(const struct forwarding *forwarding,
				   const struct forward *forward, const struct net_address *address)
{
	struct table_node *node = table_first(&forwarding->clients,
					      hash_of(forwarding, forward, address));

	for (; node; node = table_next(node)) {
		struct forward_client *client = of_node(node);

		if (client->forward == forward && net_address_equal(&client->address, address))
			return client;
	}
	return NULL;
}

/* @port: 0 for any. */
static int open_socket(int *qd, const struct net_address *address)
{
	struct sockaddr_storage storage;
	socklen_t length = net_address_to(address, &storage);
	int error = demi_socket(qd, address->family == NET_V4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);

	if (error)
		return error;
	error = demi_bind(*qd, (const struct sockaddr *)&storage, length);
	if (error)
		demi_close(*qd);
	return error;
}

static struct forward_client *make(struct server *server, struct forward *forward,
				   const struct net_address *address)
{
	struct forwarding *forwarding = server->forwarding;
	const struct net_address any = {.family = forward->to.family};
	struct forward_client *client;

	if (forward->client_count >= server->options->forward_clients_max ||
	    timers_reserve(&forwarding->timers, 1) != 0)
		return NULL;
	client = calloc(1, sizeof(*client));
	if (!client)
		return NULL;
	if (open_socket(&client->qd, &any) != 0) {
		free(client);
		return NULL;
	}
	if (server_know(server, client->qd, SOCKET_BACK, client) != 0) {
		demi_close(client->qd);
		free(client);
		return NULL;
	}
	client->forward = forward;
	client->address = *address;
	forward->client_count++;
	table_add(&forwarding->clients, &client->node, hash_of(forwarding, forward, address));
	server_pop(server, client->qd, &client->pop_token);
	return client;
}

static void end(struct server *server, struct forward_client *client)
{
	struct forwarding *forwarding = server->forwarding;

	timer_stop(&forwarding->timers, &client->timer);
	table_remove(&forwarding->clients, &client->node);
	client->forward->client_count--;
	server_close(server, client->qd);
	free(client);
}

static void touch(struct server *server, struct forward_client *client)
{
	timer_start(&server->forwarding->timers, &client->timer,
		    server->now_ns + server->options->forward_idle_s * NS_PER_S);
}

/* Pushes the datagram as it is; it is freed. */
static void pass(struct server *server, int qd, demi_sgarray_t *array, const struct net_address *to)
{
	uint64_t bytes = array->sga_segs[0].sgaseg_len;

	if (server_push(server, qd, array, to) == 0) {
		server->turn.counters.forward_packets++;
		server->turn.counters.forward_bytes += bytes;
	}
	demi_sgafree(array);
}

static bool take_source(const demi_sgarray_t *array, struct net_address *source)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);

	if (demi_sgaaddr(array, (struct sockaddr *)&address, &length) != 0)
		return false;
	net_address_from(source, (const struct sockaddr *)&address);
	return true;
}

void forward_front_popped(struct server *server, struct listener *front,
			  const demi_qresult_t *result)
{
	struct forward *forward = &server->forwarding->forwards[front->index];
	demi_sgarray_t array = result->qr_value.sga;
	struct forward_client *client = NULL;
	struct net_address source;

	if (result->qr_opcode != DEMI_OPC_POP)
		return;
	if (take_source(&array, &source)) {
		client = find(server->forwarding, forward, &source);
		if (!client)
			client = make(server, forward, &source);
	}
	if (!client) {
		server->turn.counters.drop_no_allocation++;
		demi_sgafree(&array);
		return;
	}
	touch(server, client);
	pass(server, client->qd, &array, &forward->to);
}

void forward_back_popped(struct server *server, void *owner, const demi_qresult_t *result)
{
	struct forward_client *client = owner;
	demi_sgarray_t array = result->qr_value.sga;
	struct net_address source;

	if (result->qr_opcode != DEMI_OPC_POP)
		return;
	/* Only from where we send to. */
	if (!take_source(&array, &source) || !net_address_equal(&source, &client->forward->to)) {
		server->turn.counters.drop_no_permission++;
		demi_sgafree(&array);
		return;
	}
	touch(server, client);
	pass(server, client->forward->front.qd, &array, &client->address);
}

demi_qtoken_t *forward_back_token(void *client)
{
	return &((struct forward_client *)client)->pop_token;
}

void forward_expire(struct server *server)
{
	struct timer *timer;

	_Static_assert(offsetof(struct forward_client, timer) == 0, "the timer stands first");
	while (server->forwarding &&
	       (timer = timers_take(&server->forwarding->timers, server->now_ns)))
		end(server, (struct forward_client *)timer);
}

uint64_t forward_next_ns(const struct server *server)
{
	return server->forwarding ? timers_next_ns(&server->forwarding->timers) : UINT64_MAX;
}

static int listen_front(struct server *server, uint32_t index)
{
	const struct option_forward *option = &server->options->forwards[index];
	struct forward *forward = &server->forwarding->forwards[index];
	char from[NET_ADDRESS_TEXT_MAX], to[NET_ADDRESS_TEXT_MAX];
	struct net_address address;
	struct sockaddr_storage bound;
	socklen_t length = sizeof(bound);
	int error = open_socket(&forward->front.qd, &option->from);

	forward->to = option->to;
	forward->front.index = index;
	if (!error)
		error = demi_getsockname(forward->front.qd, (struct sockaddr *)&bound, &length);
	if (!error && server_know(server, forward->front.qd, SOCKET_FRONT, &forward->front) != 0)
		error = ENOMEM;
	if (error) {
		fprintf(stderr, "demi-relay: %s: %s\n", net_address_format(&option->from, from),
			strerror(error));
		return error;
	}
	net_address_from(&address, (const struct sockaddr *)&bound);
	printf("forwarding %s to %s\n", net_address_format(&address, from),
	       net_address_format(&forward->to, to));
	fflush(stdout);
	for (size_t i = 0; i < SERVER_LISTENER_POPS; i++)
		server_pop(server, forward->front.qd, &forward->front.tokens[i]);
	return 0;
}

int forward_start(struct server *server)
{
	const struct options *options = server->options;
	int error = 0;

	if (options->forward_count == 0)
		return 0;
	server->forwarding = calloc(1, sizeof(*server->forwarding));
	if (!server->forwarding ||
	    table_init(&server->forwarding->clients,
		       (size_t)options->forward_clients_max * options->forward_count) != 0)
		return ENOMEM;
	if (getrandom(&server->forwarding->seed, sizeof(server->forwarding->seed), 0) < 0)
		return errno;
	for (uint32_t i = 0; i < options->forward_count && !error; i++)
		error = listen_front(server, i);
	return error;
}

void forward_stop(struct server *server)
{
	struct forwarding *forwarding = server->forwarding;
	struct table_node *node;

	if (!forwarding)
		return;
	while (forwarding->clients.slots && (node = table_any(&forwarding->clients)))
		end(server, of_node(node));
	timers_fini(&forwarding->timers);
	table_fini(&forwarding->clients);
	free(forwarding);
	server->forwarding = NULL;
}
