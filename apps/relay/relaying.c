/* SPDX-License-Identifier: MIT */
/*
 * Datagrams of clients and of peers, and the relayed ports. A payload is pushed on from where it was
 * received: a part of its buffer, and a header as a segment of its own before it.
 */
#include <time.h> /* before linux/errqueue.h, which needs it */

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "server.h"

/* Says which call failed; returns its error. */
static int failed(const char *what, int error)
{
	if (error == EADDRNOTAVAIL)
		fprintf(stderr,
			"demi-relay: %s: %s; it has to be an address of this host, or on "
			"catnip one of --ip\n",
			what, strerror(error));
	else if (error)
		fprintf(stderr, "demi-relay: %s: %s\n", what, strerror(error));
	return error;
}

/* --- relayed ports --- */

static int bind_socket(int *qd, const struct net_address *address)
{
	struct sockaddr_storage storage;
	socklen_t length = net_address_to(address, &storage);
	int family = address->family == NET_V4 ? AF_INET : AF_INET6;
	int on = 1;
	int error = demi_socket(qd, family, SOCK_DGRAM, 0);

	if (error)
		return error;
	if (family == AF_INET6) /* IPv4 has sockets of its own */
		demi_setsockopt(*qd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	error = demi_bind(*qd, (const struct sockaddr *)&storage, length);
	if (error)
		demi_close(*qd);
	return error;
}

static int set_dont_fragment(int qd, uint8_t family, bool is_on)
{
	int how = is_on ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;

	return family == NET_V4
		       ? demi_setsockopt(qd, IPPROTO_IP, IP_MTU_DISCOVER, &how, sizeof(how))
		       : demi_setsockopt(qd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &how, sizeof(how));
}

static void set_receives_errors(int qd, uint8_t family)
{
	int on = 1;

	if (family == NET_V4)
		demi_setsockopt(qd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	else
		demi_setsockopt(qd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
}

static int open_relay(void *context, struct turn_relay *relay)
{
	struct server *server = context;
	struct net_address address =
		server->options->turn.relay_ip[TURN_FAMILY_INDEX(relay->family)];
	int error;

	address.port = relay->port;
	error = bind_socket(&relay->socket, &address);
	if (error == EADDRINUSE || error == EACCES)
		return -EADDRINUSE;
	if (error) {
		server_complain(server, "a relayed port cannot be opened", error);
		return -error;
	}
	if (server_know(server, relay->socket, SOCKET_RELAY, relay) != 0) {
		demi_close(relay->socket);
		return -ENOMEM;
	}
	/* RFC 8656, 15: what is not asked to stay whole may be fragmented. */
	set_dont_fragment(relay->socket, relay->family, false);
	/* And 11.5: clients are told of errors, where the libOS can. */
	set_receives_errors(relay->socket, relay->family);
	server_pop(server, relay->socket, &relay->pop_token);
	return 0;
}

static void close_relay(void *context, struct turn_relay *relay)
{
	port_pops_end(context, relay->socket);
	server_close(context, relay->socket);
}

static bool can_dont_fragment(void *context, uint8_t family)
{
	const struct server *server = context;

	return server->has_dont_fragment[TURN_FAMILY_INDEX(family)];
}

const struct turn_ops relaying_ops = {
	.open = open_relay,
	.close = close_relay,
	.can_dont_fragment = can_dont_fragment,
	.event = report_event,
	.refused = report_refused,
};

void relaying_probe(struct server *server)
{
	for (size_t i = 0; i < TURN_FAMILIES; i++) {
		uint8_t family = i == TURN_FAMILY_INDEX(NET_V4) ? NET_V4 : NET_V6;
		int qd;

		if (demi_socket(&qd, family == NET_V4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0) != 0)
			continue;
		server->has_dont_fragment[i] = set_dont_fragment(qd, family, true) == 0;
		demi_close(qd);
	}
}

/* --- out --- */

int relaying_to_client(struct server *server, const struct turn_client *client,
		       const demi_sgarray_t *array)
{
	uint32_t endpoint = client->endpoint;

	if (endpoint < SERVER_ENDPOINT_CONNECTIONS)
		return server_push(server, server->listeners[endpoint].qd, array, &client->address);
	return connection_push(server, server->connections[endpoint - SERVER_ENDPOINT_CONNECTIONS],
			       array);
}

void relaying_to_peer(struct server *server, const struct turn_output *output,
		      demi_sgarray_t *array)
{
	struct turn_relay *relay = output->relay;

	if (output->dont_fragment != relay->dont_fragment &&
	    set_dont_fragment(relay->socket, relay->family, output->dont_fragment) == 0)
		relay->dont_fragment = output->dont_fragment;
	server_push(server, relay->socket, array, &output->peer);
}

void relaying_answer(struct server *server, const struct turn_client *client, size_t bytes)
{
	demi_sgarray_t array = {.sga_numsegs = 1, .sga_segs = {{server->answer, (uint32_t)bytes}}};
	uint8_t *next = demi_malloc(TURN_ANSWER_BYTES_MAX);

	if (!next) {
		server->turn.counters.drop_send_queue++;
		return;
	}
	relaying_to_client(server, client, &array);
	/* The library holds what it has not sent. */
	demi_free(server->answer);
	server->answer = next;
}

/* --- in --- */

/* The source of a datagram of one segment, which all are; false: it is freed. */
static bool take_datagram(struct server *server, const demi_qresult_t *result,
			  demi_sgarray_t *array, struct net_address *source)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);

	if (result->qr_opcode != DEMI_OPC_POP) {
		/* Told of a datagram that was sent: one of ICMP's errors. The next pop may succeed. */
		if (result->qr_ret == ENETDOWN)
			server_complain(server, "receive", (int)result->qr_ret);
		return false;
	}
	*array = result->qr_value.sga;
	if (array->sga_numsegs == 1 &&
	    demi_sgaaddr(array, (struct sockaddr *)&address, &length) == 0) {
		net_address_from(source, (const struct sockaddr *)&address);
		return true;
	}
	server->turn.counters.drop_unexpected++;
	demi_sgafree(array);
	return false;
}

void relaying_client_popped(struct server *server, struct listener *listener,
			    const demi_qresult_t *result)
{
	struct turn_client client = {.endpoint = listener->index};
	struct turn_output output;
	demi_sgarray_t array;

	if (!take_datagram(server, result, &array, &client.address))
		return;
	turn_client_input(&server->turn, server->now_ns, &client, array.sga_segs[0].sgaseg_buf,
			  array.sga_segs[0].sgaseg_len, server->answer, &output);
	if (output.action == TURN_ANSWER) {
		relaying_answer(server, &client, output.answer_bytes);
	} else if (output.action == TURN_TO_PEER) {
		array.sga_segs[0].sgaseg_buf = (void *)(uintptr_t)output.payload;
		array.sga_segs[0].sgaseg_len = (uint32_t)output.payload_bytes;
		relaying_to_peer(server, &output, &array);
	}
	demi_sgafree(&array);
}

/* What goes around a payload: an object of the library's heap, which is not copied. */
struct around {
	uint8_t header[STUN_DATA_HEADER_BYTES_MAX];
	uint8_t padding[4]; /* zeros */
};

static void send_enveloped(struct server *server, const struct turn_envelope *envelope,
			   demi_sgaseg_t payload)
{
	demi_sgarray_t array = {.sga_numsegs = 1};
	struct around *around = demi_malloc(sizeof(*around));

	if (!around) {
		server->turn.counters.drop_send_queue++;
		return;
	}
	memcpy(around->header, envelope->header, envelope->header_bytes);
	array.sga_segs[0] = (demi_sgaseg_t){around->header, (uint32_t)envelope->header_bytes};
	if (payload.sgaseg_len)
		array.sga_segs[array.sga_numsegs++] = payload;
	if (envelope->padding_bytes) {
		memset(around->padding, 0, sizeof(around->padding));
		array.sga_segs[array.sga_numsegs++] = (demi_sgaseg_t){
			around->padding, (uint32_t)envelope->padding_bytes};
	}
	relaying_to_client(server, envelope->client, &array);
	demi_free(around);
}

/* A failed pop with a report: ICMP has told of a datagram to a peer. */
static void peer_failed(struct server *server, struct turn_relay *relay, demi_sgarray_t report)
{
	demi_sgarray_t array = {.sga_numsegs = 1};
	struct sock_extended_err error;
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	struct net_address peer;
	struct turn_icmp icmp;
	uint8_t *indication = demi_malloc(TURN_ICMP_BYTES_MAX);
	size_t bytes = 0;

	if (indication && report.sga_segs[0].sgaseg_len >= sizeof(error) &&
	    demi_sgaaddr(&report, (struct sockaddr *)&address, &length) == 0) {
		memcpy(&error, report.sga_segs[0].sgaseg_buf, sizeof(error));
		icmp = (struct turn_icmp){error.ee_type, error.ee_code, error.ee_info};
		net_address_from(&peer, (const struct sockaddr *)&address);
		bytes = turn_peer_error(&server->turn, server->now_ns, relay, &peer, &icmp,
					indication);
	}
	if (bytes) {
		array.sga_segs[0] = (demi_sgaseg_t){indication, (uint32_t)bytes};
		relaying_to_client(server, &relay->allocation->client, &array);
	}
	demi_free(indication);
	demi_sgafree(&report);
}

void relaying_peer_popped(struct server *server, struct turn_relay *relay,
			  const demi_qresult_t *result)
{
	struct turn_envelope envelope;
	struct net_address peer;
	demi_sgarray_t array;

	if (result->qr_opcode == DEMI_OPC_FAILED && result->qr_value.sga.sga_buf) {
		peer_failed(server, relay, result->qr_value.sga);
		return;
	}
	if (!take_datagram(server, result, &array, &peer))
		return;
	if (turn_peer_input(&server->turn, server->now_ns, relay, &peer,
			    array.sga_segs[0].sgaseg_len, &envelope))
		send_enveloped(server, &envelope, array.sga_segs[0]);
	demi_sgafree(&array);
}

/* --- listeners --- */

static int listen_udp(struct server *server, uint32_t index)
{
	struct listener *listener = &server->listeners[index];
	struct sockaddr_storage bound;
	socklen_t length = sizeof(bound);
	char text[NET_ADDRESS_TEXT_MAX];
	struct net_address address = server->options->listeners[index];
	int error = bind_socket(&listener->qd, &address);

	net_address_format(&address, text);
	if (error)
		return failed(text, error);
	listener->index = index;
	if (server_know(server, listener->qd, SOCKET_LISTENER, listener) != 0)
		return failed(text, ENOMEM);
	error = demi_getsockname(listener->qd, (struct sockaddr *)&bound, &length);
	if (error)
		return failed(text, error);
	net_address_from(&address, (const struct sockaddr *)&bound);
	printf("listening on %s over udp\n", net_address_format(&address, text));
	fflush(stdout);
	for (size_t i = 0; i < SERVER_LISTENER_POPS; i++)
		server_pop(server, listener->qd, &listener->tokens[i]);
	return 0;
}

int relaying_listen(struct server *server)
{
	const struct options *options = server->options;
	int error = 0;

	for (uint32_t i = 0; i < options->listener_count && !error; i++) {
		char text[NET_ADDRESS_TEXT_MAX];

		if (!options->no_udp)
			error = listen_udp(server, i);
		if (!error && !options->no_tcp) {
			error = connection_listen(server, i);
			failed(net_address_format(&options->listeners[i], text), error);
		}
	}
	return error;
}
