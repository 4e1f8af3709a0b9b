/* SPDX-License-Identifier: MIT */
/* Clients over TCP. A connection that sends what is no message, ends, or is idle too long is closed. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

#define BACKLOG 1024
#define NS_PER_S UINT64_C(1000000000)

int connection_listen(struct server *server, uint32_t index)
{
	struct listener *acceptor = &server->acceptors[index];
	const struct net_address *address = &server->options->listeners[index];
	int family = address->family == NET_V4 ? AF_INET : AF_INET6;
	struct sockaddr_storage storage;
	socklen_t length = net_address_to(address, &storage), room = sizeof(storage);
	struct net_address bound;
	char text[NET_ADDRESS_TEXT_MAX];
	int on = 1;
	int error = demi_socket(&acceptor->qd, family, SOCK_STREAM, 0);

	if (error)
		return error;
	if (server_know(server, acceptor->qd, SOCKET_ACCEPTOR, acceptor) != 0)
		return ENOMEM;
	acceptor->index = index;
	demi_setsockopt(acceptor->qd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (family == AF_INET6)
		demi_setsockopt(acceptor->qd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	error = demi_bind(acceptor->qd, (const struct sockaddr *)&storage, length);
	if (!error)
		error = demi_listen(acceptor->qd, BACKLOG);
	if (!error)
		error = demi_getsockname(acceptor->qd, (struct sockaddr *)&storage, &room);
	if (error)
		return error;
	net_address_from(&bound, (const struct sockaddr *)&storage);
	printf("listening on %s over tcp\n", net_address_format(&bound, text));
	fflush(stdout);
	/* The others stay busy with nothing: one accept is enough. */
	memset(acceptor->tokens, 0xff, sizeof(acceptor->tokens));
	server_pop(server, acceptor->qd, &acceptor->tokens[0]);
	return 0;
}

/* A free number; connections_max: there is none. */
static uint32_t free_number(struct server *server)
{
	uint32_t most = server->options->connections_max;

	if (server->connection_count == most)
		return most;
	while (server->connections[server->next_connection % most])
		server->next_connection++;
	return server->next_connection++ % most;
}

static struct connection *make(struct server *server, int qd)
{
	uint32_t number = free_number(server);
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	struct connection *connection;

	if (number == server->options->connections_max ||
	    demi_getpeername(qd, (struct sockaddr *)&peer, &length) != 0)
		return NULL;
	connection = calloc(1, sizeof(*connection));
	if (!connection)
		return NULL;
	if (server_know(server, qd, SOCKET_CONNECTION, connection) != 0) {
		free(connection);
		return NULL;
	}
	connection->qd = qd;
	connection->used_ns = server->now_ns;
	connection->client.endpoint = SERVER_ENDPOINT_CONNECTIONS + number;
	connection->client.is_stream = true;
	net_address_from(&connection->client.address, (const struct sockaddr *)&peer);
	server->connections[number] = connection;
	server->connection_count++;
	return connection;
}

void connection_accepted(struct server *server, struct listener *acceptor,
			 const demi_qresult_t *result)
{
	struct connection *connection;
	int qd = result->qr_value.ares.qd;
	int on = 1;

	(void)acceptor;
	if (result->qr_opcode != DEMI_OPC_ACCEPT) {
		server_complain(server, "accept", (int)result->qr_ret);
		return;
	}
	connection = make(server, qd);
	if (!connection) {
		server->turn.counters.connections_refused++;
		demi_close(qd);
		return;
	}
	server->turn.counters.connections_made++;
	/* A libOS without this option does not delay segments to begin with. */
	demi_setsockopt(qd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	server_pop(server, qd, &connection->pop_token);
}

void connection_close(struct server *server, struct connection *connection)
{
	uint32_t number = connection->client.endpoint - SERVER_ENDPOINT_CONNECTIONS;

	turn_client_gone(&server->turn, &connection->client, server->now_ns);
	server->connections[number] = NULL;
	server->connection_count--;
	server->turn.counters.connections_ended++;
	server_close(server, connection->qd);
	stream_fini(&connection->stream);
	free(connection);
}

/* --- in --- */

/* A message of STUN that lies in several pieces, as one; NULL: out of memory. */
static uint8_t *contiguous(const struct stream_message *message)
{
	uint8_t *memory = demi_malloc(message->length), *to = memory;

	for (uint32_t i = 0; memory && i < message->count; i++) {
		memcpy(to, message->pieces[i].sgaseg_buf, message->pieces[i].sgaseg_len);
		to += message->pieces[i].sgaseg_len;
	}
	return memory;
}

static void act(struct server *server, struct connection *connection,
		const struct turn_output *output)
{
	demi_sgarray_t array = {.sga_numsegs = 1,
				.sga_segs = {{(void *)(uintptr_t)output->payload,
					      (uint32_t)output->payload_bytes}}};

	if (output->action == TURN_ANSWER)
		relaying_answer(server, &connection->client, output->answer_bytes);
	else if (output->action == TURN_TO_PEER)
		relaying_to_peer(server, output, &array);
}

/* ChannelData in several pieces goes on as it lies: the core sees its first bytes alone. */
static void channel_data(struct server *server, struct connection *connection,
			 const struct stream_message *message)
{
	demi_sgarray_t array = {0};
	uint8_t header[TURN_CHANNEL_HEADER_BYTES];
	uint32_t skipped = 0;
	struct turn_output output;

	for (uint32_t i = 0; i < message->count; i++) {
		demi_sgaseg_t piece = message->pieces[i];
		uint32_t bytes = sizeof(header) - skipped;

		bytes = piece.sgaseg_len < bytes ? piece.sgaseg_len : bytes;
		memcpy(header + skipped, piece.sgaseg_buf, bytes);
		skipped += bytes;
		piece.sgaseg_buf = (uint8_t *)piece.sgaseg_buf + bytes;
		piece.sgaseg_len -= bytes;
		if (piece.sgaseg_len)
			array.sga_segs[array.sga_numsegs++] = piece;
	}
	turn_client_input(&server->turn, server->now_ns, &connection->client, header,
			  message->length, server->answer, &output);
	if (output.action != TURN_TO_PEER)
		return;
	if (array.sga_numsegs == 0) /* an empty datagram */
		array.sga_segs[array.sga_numsegs++] = (demi_sgaseg_t){message->pieces[0].sgaseg_buf,
								      0};
	relaying_to_peer(server, &output, &array);
}

static void take_message(struct server *server, struct connection *connection,
			 const struct stream_message *message)
{
	const uint8_t *first = message->pieces[0].sgaseg_buf;
	uint8_t *gathered = NULL;
	struct turn_output output;

	if (turn_is_channel_data(first[0])) {
		channel_data(server, connection, message);
		return;
	}
	if (message->count > 1) {
		gathered = contiguous(message);
		first = gathered;
	}
	if (!first)
		return;
	turn_client_input(&server->turn, server->now_ns, &connection->client, first,
			  message->length, server->answer, &output);
	act(server, connection, &output);
	demi_free(gathered);
}

void connection_popped(struct server *server, struct connection *connection,
		       const demi_qresult_t *result)
{
	demi_sgarray_t array = result->qr_value.sga;
	struct stream_message message;
	int next;

	if (result->qr_opcode != DEMI_OPC_POP) {
		connection_close(server, connection);
		return;
	}
	if (array.sga_segs[0].sgaseg_len == 0) { /* the end of the stream */
		demi_sgafree(&array);
		connection_close(server, connection);
		return;
	}
	connection->used_ns = server->now_ns;
	next = stream_add(&connection->stream, &array);
	while (next == 0 && (next = stream_next(&connection->stream, &message)) > 0) {
		take_message(server, connection, &message);
		stream_take(&connection->stream, &message);
		next = 0;
	}
	if (next == -EBADMSG)
		server->turn.counters.drop_malformed++;
	if (next < 0)
		connection_close(server, connection);
}

/* --- out --- */

int connection_push(struct server *server, struct connection *connection,
		    const demi_sgarray_t *array)
{
	uint32_t bytes = 0;
	int error;

	for (uint32_t i = 0; i < array->sga_numsegs; i++)
		bytes += array->sga_segs[i].sgaseg_len;
	/* A client that does not read gets nothing more: what waits has a bound. */
	if (connection->last - connection->first == SERVER_PUSHES_MAX || bytes > UINT16_MAX ||
	    connection->waiting_bytes + bytes > server->options->stream_bytes_max) {
		server->turn.counters.drop_send_queue++;
		return EAGAIN;
	}
	error = server_push(server, connection->qd, array, NULL);
	if (!error) {
		connection->sizes[connection->last++ % SERVER_PUSHES_MAX] = (uint16_t)bytes;
		connection->waiting_bytes += bytes;
	}
	return error;
}

void connection_pushed(struct server *server, struct connection *connection,
		       const demi_qresult_t *result)
{
	if (result->qr_opcode == DEMI_OPC_FAILED) {
		connection_close(server, connection);
		return;
	}
	connection->waiting_bytes -= connection->sizes[connection->first++ % SERVER_PUSHES_MAX];
}

void connection_look(struct server *server)
{
	uint64_t idle_ns = server->options->connection_idle_s * NS_PER_S;

	for (uint32_t i = 0; server->connection_count && i < server->options->connections_max;
	     i++) {
		struct connection *connection = server->connections[i];

		if (connection && server->now_ns - connection->used_ns >= idle_ns &&
		    !turn_has_allocation(&server->turn, &connection->client))
			connection_close(server, connection);
	}
}
