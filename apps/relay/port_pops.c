/* SPDX-License-Identifier: MIT */
/*
 * The pops of a relayed port. Most ports are quiet, and one pop, which costs them nothing, will do. What
 * comes in bursts is taken one by one by it, with a round of the loop for each datagram, and sent on so.
 * So a port from which something comes in round after round gets several, and keeps them while they bring
 * more than one at a time.
 */
#include <stdlib.h>

#include "server.h"

#define PORT_POPS 16u
#define PORTS_BUSY_MAX 256u
#define BUSY_STREAK 8u
/* Between two datagrams there may be a round for what became of a push. */
#define ROUNDS_BETWEEN 2u
/* Where several pops brought no more at a time than one, so many rounds pass before they are tried again. */
#define REST_ROUNDS 255u

struct busy_port {
	uint32_t count; /* pops outstanding, or wanted */
	uint32_t place; /* as in struct listener */
	demi_qtoken_t tokens[PORT_POPS];
};

/* Pops complete in the order in which they were started, and each is replaced at once. */
demi_qtoken_t *pops_find(demi_qtoken_t *tokens, uint32_t count, uint32_t *place,
			 demi_qtoken_t token)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = (*place + i) % count;

		if (tokens[at] == token) {
			*place = at + 1;
			return &tokens[at];
		}
	}
	return NULL;
}

demi_qtoken_t *port_token(const struct server_socket *socket, demi_qtoken_t token)
{
	struct turn_relay *relay = socket->owner;
	struct busy_port *busy = relay->pops;

	if (socket->has_many_pops)
		return pops_find(busy->tokens, busy->count, &busy->place, token);
	return relay->pop_token == token ? &relay->pop_token : NULL;
}

/* All of them at once; those that could not be started are later. */
static void grow(struct server *server, struct server_socket *socket, int qd)
{
	struct turn_relay *relay = socket->owner;
	struct busy_port *busy = calloc(1, sizeof(*busy));

	if (!busy) {
		server_pop(server, qd, &relay->pop_token);
		return;
	}
	busy->count = PORT_POPS;
	relay->pops = busy;
	socket->has_many_pops = true;
	server->busy_ports++;
	for (uint32_t i = 0; i < PORT_POPS && !socket->wants_pop; i++)
		server_pop(server, qd, &busy->tokens[i]);
}

static void forget(struct server *server, struct server_socket *socket)
{
	free(((struct turn_relay *)socket->owner)->pops);
	socket->has_many_pops = false;
	server->busy_ports--;
}

/* One pop less; the last one is kept as that of a quiet port is. */
static void shrink(struct server *server, struct server_socket *socket, demi_qtoken_t *token)
{
	struct turn_relay *relay = socket->owner;
	struct busy_port *busy = relay->pops;

	*token = busy->tokens[--busy->count];
	if (busy->count > 1)
		return;
	demi_qtoken_t last = busy->tokens[0];

	forget(server, socket);
	relay->pop_token = last;
	socket->rest = REST_ROUNDS;
}

/* A busy port stays so while it has several datagrams in a round, one of which BUSY_STREAK has to be. */
static void count_round(const struct server *server, struct server_socket *socket)
{
	uint8_t passed = (uint8_t)(server->round - socket->round);

	socket->round = (uint8_t)server->round;
	if (socket->has_many_pops && passed == 0)
		socket->streak = BUSY_STREAK;
	else if (socket->streak > 0 && (socket->has_many_pops || passed > ROUNDS_BETWEEN))
		socket->streak--;
	else if (passed > 0 && passed <= ROUNDS_BETWEEN && socket->rest > 0)
		socket->rest--;
	else if (passed > 0 && passed <= ROUNDS_BETWEEN && socket->streak < BUSY_STREAK)
		socket->streak++;
}

void port_pop_again(struct server *server, int qd, demi_qtoken_t *token)
{
	struct server_socket *socket = &server->sockets[qd];

	count_round(server, socket);
	if (socket->has_many_pops && socket->streak == 0)
		shrink(server, socket, token);
	else if (socket->wants_pop)
		return; /* later, with the others */
	else if (!socket->has_many_pops && socket->streak == BUSY_STREAK &&
		 server->busy_ports < PORTS_BUSY_MAX)
		grow(server, socket, qd);
	else
		server_pop(server, qd, token);
}

void port_pops_end(struct server *server, int qd)
{
	struct server_socket *socket = &server->sockets[qd];

	if (socket->has_many_pops)
		forget(server, socket);
}
