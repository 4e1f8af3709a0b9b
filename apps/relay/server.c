/* SPDX-License-Identifier: MIT */
/* The loop: results of operations go to whom their descriptor belongs to, and what is over ends. */
#include "server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RESULTS 64
#define WAIT_NS_MAX UINT64_C(100000000) /* so that signals and --duration are seen soon */
#define RETRY_NS UINT64_C(10000000)
#define NS_PER_S UINT64_C(1000000000)

void server_complain(struct server *server, const char *what, int error)
{
	if (server->options->quiet)
		return;
	if (server->complained_ns && server->now_ns - server->complained_ns < NS_PER_S) {
		server->swallowed++;
		return;
	}
	fprintf(stderr, "demi-relay: %s: %s", what, strerror(error));
	if (server->swallowed)
		fprintf(stderr, " (and %" PRIu64 " more troubles before)", server->swallowed);
	fputc('\n', stderr);
	server->complained_ns = server->now_ns;
	server->swallowed = 0;
}

/* --- descriptors --- */

int server_know(struct server *server, int qd, enum socket_kind kind, void *owner)
{
	uint32_t room = server->socket_room ? server->socket_room : 1024;
	struct server_socket *sockets;

	while (room <= (uint32_t)qd)
		room *= 2;
	if (room != server->socket_room) {
		sockets = realloc(server->sockets, room * sizeof(*sockets));
		if (!sockets)
			return -ENOMEM;
		memset(sockets + server->socket_room, 0,
		       (room - server->socket_room) * sizeof(*sockets));
		server->sockets = sockets;
		server->socket_room = room;
	}
	server->sockets[qd].kind = (uint8_t)kind;
	server->sockets[qd].streak = 0;
	server->sockets[qd].rest = 0;
	server->sockets[qd].owner = owner;
	return 0;
}

void server_close(struct server *server, int qd)
{
	struct server_socket *socket = &server->sockets[qd];

	socket->stale += socket->pending;
	server->stalled -= socket->wants_pop;
	socket->pending = 0;
	socket->kind = SOCKET_NONE;
	socket->owner = NULL;
	socket->wants_pop = false;
	demi_close(qd);
}

void server_pop(struct server *server, int qd, demi_qtoken_t *token)
{
	struct server_socket *socket = &server->sockets[qd];
	int error = socket->kind == SOCKET_ACCEPTOR ? demi_accept(token, qd) : demi_pop(token, qd);

	if (!error) {
		socket->pending++;
		return;
	}
	*token = 0;
	server_complain(server, "an operation has to wait", error);
	server->stalled += !socket->wants_pop;
	socket->wants_pop = true;
}

int server_push(struct server *server, int qd, const demi_sgarray_t *array,
		const struct net_address *to)
{
	struct counters *counters = &server->turn.counters;
	struct sockaddr_storage address;
	demi_qtoken_t token;
	int error;

	if (to) {
		socklen_t length = net_address_to(to, &address);

		error = demi_pushto(&token, qd, array, (const struct sockaddr *)&address, length);
	} else {
		error = demi_push(&token, qd, array);
	}
	if (!error)
		server->sockets[qd].pending++;
	else if (error == EAGAIN || error == ENOMEM)
		counters->drop_send_queue++;
	else
		counters->drop_send_failed++;
	return error;
}

/* --- results --- */

static demi_qtoken_t *listener_token(struct listener *listener, demi_qtoken_t token)
{
	return pops_find(listener->tokens, SERVER_LISTENER_POPS, &listener->place, token);
}

/* Where the token of an outstanding pop or accept is kept; NULL: this is another operation. */
static demi_qtoken_t *pop_token(const struct server_socket *socket, demi_qtoken_t token)
{
	demi_qtoken_t *kept;

	switch ((enum socket_kind)socket->kind) {
	case SOCKET_LISTENER:
	case SOCKET_ACCEPTOR:
	case SOCKET_FRONT:
		return listener_token(socket->owner, token);
	case SOCKET_CONNECTION:
		kept = &((struct connection *)socket->owner)->pop_token;
		break;
	case SOCKET_RELAY:
		return port_token(socket, token);
	case SOCKET_BACK:
		kept = forward_back_token(socket->owner);
		break;
	default:
		return NULL;
	}
	return *kept == token ? kept : NULL;
}

/* The result of an operation that nobody waits for. */
static void dispose(const demi_qresult_t *result)
{
	demi_sgarray_t array = result->qr_value.sga;

	if (result->qr_opcode == DEMI_OPC_ACCEPT)
		demi_close(result->qr_value.ares.qd);
	else if (array.sga_buf)
		demi_sgafree(&array);
}

static void popped(struct server *server, const struct server_socket *socket,
		   const demi_qresult_t *result)
{
	switch ((enum socket_kind)socket->kind) {
	case SOCKET_LISTENER:
		relaying_client_popped(server, socket->owner, result);
		break;
	case SOCKET_ACCEPTOR:
		connection_accepted(server, socket->owner, result);
		break;
	case SOCKET_CONNECTION:
		connection_popped(server, socket->owner, result);
		break;
	case SOCKET_RELAY:
		relaying_peer_popped(server, socket->owner, result);
		break;
	case SOCKET_FRONT:
		forward_front_popped(server, socket->owner, result);
		break;
	case SOCKET_BACK:
		forward_back_popped(server, socket->owner, result);
		break;
	case SOCKET_NONE:
		break;
	}
}

static bool is_datagrams(const struct server_socket *socket)
{
	return socket->kind != SOCKET_CONNECTION && socket->kind != SOCKET_ACCEPTOR;
}

/*
 * Before what has come is worked off: if more is there already the pop is complete at once, and what is
 * pushed meanwhile waits for what that one brings, so that the device gets both together.
 */
static void pop_again(struct server *server, int qd, demi_qtoken_t *token)
{
	if (server->sockets[qd].kind == SOCKET_RELAY)
		port_pop_again(server, qd, token);
	else if (!server->sockets[qd].wants_pop)
		server_pop(server, qd, token);
}

static void on_result(struct server *server, const demi_qresult_t *result)
{
	struct server_socket *socket = &server->sockets[result->qr_qd];
	demi_qtoken_t *token = NULL;
	int qd = result->qr_qd;

	if (result->qr_opcode != DEMI_OPC_PUSH)
		token = pop_token(socket, result->qr_qt);

	if (!token && socket->stale) {
		socket->stale--;
		dispose(result);
		return;
	}
	socket->pending--;
	if (!token) { /* a push */
		if (result->qr_opcode == DEMI_OPC_FAILED)
			server->turn.counters.drop_send_failed++;
		if (socket->kind == SOCKET_CONNECTION)
			connection_pushed(server, socket->owner, result);
		return;
	}
	*token = 0;
	if (is_datagrams(socket)) {
		pop_again(server, qd, token);
		popped(server, socket, result);
		return;
	}
	popped(server, socket, result);
	/* The socket may be gone, and another one have its number; then it has its pop. */
	socket = &server->sockets[qd];
	token = socket->kind == SOCKET_NONE || socket->wants_pop ? NULL : pop_token(socket, 0);
	if (token)
		server_pop(server, qd, token);
}

static void retry_stalled(struct server *server)
{
	for (uint32_t qd = 0; server->stalled && qd < server->socket_room; qd++) {
		struct server_socket *socket = &server->sockets[qd];
		demi_qtoken_t *token;

		if (!socket->wants_pop)
			continue;
		socket->wants_pop = false;
		server->stalled--;
		while ((token = pop_token(socket, 0)) && !socket->wants_pop)
			server_pop(server, (int)qd, token);
		if (socket->wants_pop)
			return; /* nor can others */
	}
}

/* --- the loop --- */

static uint64_t wait_ns(const struct server *server, uint64_t deadline_ns)
{
	uint64_t most = server->stalled ? RETRY_NS : WAIT_NS_MAX;

	if (forward_next_ns(server) < deadline_ns)
		deadline_ns = forward_next_ns(server);
	if (deadline_ns <= server->now_ns)
		return 0;
	return deadline_ns - server->now_ns < most ? deadline_ns - server->now_ns : most;
}

static int serve(struct server *server)
{
	static demi_qresult_t results[RESULTS];
	const struct options *options = server->options;
	uint64_t started_ns = process_now_ns(), look_ns = started_ns, report_ns = started_ns;

	for (server->now_ns = started_ns; !process_stop_requested();) {
		uint64_t next_ns = turn_expire(&server->turn, server->now_ns, process_unix_s());
		struct timespec timeout = {.tv_nsec = (long)wait_ns(server, next_ns)};
		int count = 0;
		int error = demi_wait_next_n(results, RESULTS, &count, &timeout);

		if (error && error != ETIMEDOUT && error != EINTR) {
			fprintf(stderr, "demi-relay: wait: %s\n", strerror(error));
			return EXIT_FAILURE;
		}
		server->now_ns = process_now_ns();
		server->round++;
		for (int i = 0; !error && i < count; i++)
			on_result(server, &results[i]);
		forward_expire(server);
		retry_stalled(server);
		if (server->now_ns - look_ns >= NS_PER_S) {
			look_ns = server->now_ns;
			connection_look(server);
		}
		if (options->interval_s &&
		    server->now_ns - report_ns >= options->interval_s * NS_PER_S) {
			report_ns = server->now_ns;
			report_statistics(server);
		}
		if (process_report_requested())
			report_statistics(server);
		if (options->duration_s &&
		    server->now_ns - started_ns >= options->duration_s * NS_PER_S)
			break;
	}
	return EXIT_SUCCESS;
}

/* --- start and end --- */

static int add_users(struct server *server)
{
	const struct options *options = server->options;
	int error = 0;

	for (const struct option_text *user = options->users; user && !error; user = user->next) {
		const char *colon = strchr(user->text, ':');
		const struct stun_text name = {user->text, (size_t)(colon - user->text)};
		const struct stun_text password = {colon + 1, strlen(colon + 1)};

		error = credentials_add_user(&server->credentials, name, password);
		if (error == -EEXIST)
			fprintf(stderr, "demi-relay: user '%.*s' is given twice\n",
				(int)name.length, name.text);
		else if (error)
			fprintf(stderr, "demi-relay: a user's name has 1 to %u bytes\n",
				CREDENTIALS_NAME_BYTES_MAX);
	}
	for (const struct option_text *secret = options->secrets; secret && !error;
	     secret = secret->next) {
		error = credentials_add_secret(
			&server->credentials,
			(struct stun_text){secret->text, strlen(secret->text)});
		if (error)
			fprintf(stderr, "demi-relay: --secret: there are %u at most\n",
				CREDENTIALS_SECRETS_MAX);
	}
	return error;
}

static int start(struct server *server)
{
	const struct options *options = server->options;
	const char *realm = options->turn.realm;
	uint8_t random[40];
	uint64_t seed;
	size_t users = 0;
	int error;

	if (getrandom(random, sizeof(random), 0) != sizeof(random) ||
	    getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -EIO;

	for (const struct option_text *user = options->users; user; user = user->next)
		users++;
	server->now_ns = process_now_ns();
	error = credentials_init(&server->credentials, (struct stun_text){realm, strlen(realm)},
				 seed, users);
	if (!error)
		error = add_users(server);
	if (!error)
		error = turn_init(&server->turn, &options->turn, &server->credentials,
				  &relaying_ops, server, random);
	server->connections = calloc(options->connections_max, sizeof(*server->connections));
	server->answer = demi_malloc(TURN_ANSWER_BYTES_MAX);
	if (error || !server->connections || !server->answer)
		return error ? error : -ENOMEM;
	relaying_probe(server);
	error = relaying_listen(server);
	return error ? error : forward_start(server);
}

static void finish(struct server *server)
{
	for (uint32_t i = 0; server->connections && i < server->options->connections_max; i++) {
		if (server->connections[i])
			connection_close(server, server->connections[i]);
	}
	forward_stop(server);
	if (server->turn.challenges)
		turn_fini(&server->turn);
	credentials_fini(&server->credentials);
	demi_free(server->answer);
	free(server->connections);
	free(server->sockets);
}

int server_run(struct server *server, const struct options *options)
{
	int status = EXIT_FAILURE;

	memset(server, 0, sizeof(*server));
	server->options = options;
	if (start(server) == 0)
		status = serve(server);
	if (status == EXIT_SUCCESS)
		report_statistics(server);
	finish(server);
	return status;
}
