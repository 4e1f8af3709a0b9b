/* SPDX-License-Identifier: MIT */
/*
 * The server over Demi. A message is one array on its way: popped from its connection, with --log
 * pushed to the log and durable, then pushed back to where it came from, then freed; no byte of it
 * is copied here. The same structure carries it from step to step, and the token map finds it
 * again when an operation completes. An accept is a message in its first step only.
 *
 * One pop is outstanding on a connection. On a stream the next one starts when the answer's push
 * has started, since answers must go out in order while appends to the log may overtake each other.
 */
#include "demi_echo.h"

#include <demi/demi.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "figures.h"
#include "process.h"
#include "serving.h"
#include "sockperf.h"
#include "token_map.h"

#define BACKLOG 1024
#define UNANSWERED_MAX 64 /* messages of one connection; beyond that it is not read */
#define RETRY_PERIOD_NS (10 * NS_PER_MS)

enum step { STEP_ACCEPT, STEP_POP, STEP_LOG, STEP_PUSH };

struct connection {
	struct connection *next, *previous; /* in server.connections */
	int qd;
	bool ended;                      /* the peer sends no more, or it failed: close when idle */
	bool popping;                    /* a message is in STEP_POP */
	demi_qtoken_t pop_qt;            /* while popping, unless the pop is in server.stalled */
	uint32_t messages;               /* in any step */
	uint32_t unanswered;             /* in STEP_LOG or STEP_PUSH */
	uint32_t unpushed;               /* of these, those whose push has not started */
	struct sockperf_stream sockperf; /* with --reply sockperf, on a stream */
};

struct message {
	enum step step;
	struct connection *connection;
	struct message *next; /* in server.stalled or server.spare */
	demi_sgarray_t array; /* from STEP_LOG on */
};

struct server {
	const struct options *options;
	struct serving serving;
	struct token_map tokens;        /* to struct message */
	struct connection *connections; /* the socket first bound stands last */
	struct message *stalled;        /* could not start for want of room; retried */
	struct message **stalled_end;
	uint64_t retry_ns; /* when to retry; 0: nothing is stalled */
	struct message *spare;
	uint64_t unanswered;                    /* over all connections */
	int log_qd;                             /* -1: none */
	const struct sockaddr_storage *address; /* to listen at */
	struct sockaddr_storage bound;          /* what became of it: its port may have been 0 */
	demi_qresult_t results[DEMI_ECHO_RESULTS];
};

static bool is_stream(const struct server *server)
{
	return server->options->protocol == PROTOCOL_TCP;
}

static struct connection *connection_open(struct server *server, int qd)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return NULL;
	connection->qd = qd;
	connection->next = server->connections;
	if (connection->next)
		connection->next->previous = connection;
	server->connections = connection;
	return connection;
}

static void connection_close(struct server *server, struct connection *connection)
{
	if (connection->next)
		connection->next->previous = connection->previous;
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		server->connections = connection->next;
	demi_close(connection->qd);
	free(connection);
}

static struct message *message_new(struct server *server, struct connection *connection,
				   enum step step)
{
	struct message *message = server->spare;

	if (message)
		server->spare = message->next;
	else
		message = malloc(sizeof(*message));
	if (!message)
		return NULL;
	message->step = step;
	message->connection = connection;
	message->next = NULL;
	message->array.sga_numsegs = 0;
	connection->messages++;
	return message;
}

/* The message is answered or given up. */
static void message_free(struct server *server, struct message *message)
{
	struct connection *connection = message->connection;

	if (message->step == STEP_LOG || message->step == STEP_PUSH) {
		demi_sgafree(&message->array);
		connection->unanswered--;
		server->unanswered--;
	}
	connection->messages--;
	message->next = server->spare;
	server->spare = message;
}

static void message_stall(struct server *server, struct message *message)
{
	message->next = NULL;
	*server->stalled_end = message;
	server->stalled_end = &message->next;
	if (server->retry_ns == 0)
		server->retry_ns = process_now_ns() + RETRY_PERIOD_NS;
}

/* A stream that failed once cannot go on; the pop that may be pending on it has to end too. */
static void connection_fail(struct connection *connection)
{
	connection->ended = true;
	if (connection->popping)
		demi_cancel(connection->pop_qt);
}

/* Accepts and pops of datagrams are tried again; datagrams are dropped, streams ended. */
static void message_failed(struct server *server, struct message *message, int error)
{
	static const char *const whats[] = {"accept", "receive", "log", "send"};
	struct connection *connection = message->connection;
	bool is_pop = message->step == STEP_POP;

	if (error != ECANCELED)
		serving_complain(&server->serving, whats[message->step], error);
	if (message->step == STEP_ACCEPT || (is_pop && !is_stream(server))) {
		message_stall(server, message);
		return;
	}
	if (is_pop)
		connection->popping = false;
	else if (message->step == STEP_LOG)
		connection->unpushed--;
	if (is_stream(server))
		connection_fail(connection);
	message_free(server, message);
}

static int push_to_source(demi_qtoken_t *token, int qd, const demi_sgarray_t *array)
{
	struct sockaddr_storage source;
	socklen_t length = sizeof(source);

	int error = demi_sgaaddr(array, (struct sockaddr *)&source, &length);
	if (error)
		return error;
	return demi_pushto(token, qd, array, (const struct sockaddr *)&source, length);
}

/* Returns a positive errno. */
static int start_operation(struct server *server, const struct message *message,
			   demi_qtoken_t *token)
{
	int qd = message->connection->qd;

	switch (message->step) {
	case STEP_ACCEPT:
		return demi_accept(token, qd);
	case STEP_POP:
		return demi_pop(token, qd);
	case STEP_LOG:
		return demi_push(token, server->log_qd, &message->array);
	default:
		return is_stream(server) ? demi_push(token, qd, &message->array)
					 : push_to_source(token, qd, &message->array);
	}
}

/* Starts the message's step, at once or later. Never closes a connection: settle does. */
static void message_start(struct server *server, struct message *message)
{
	struct connection *connection = message->connection;
	demi_qtoken_t token = 0;

	int error = token_map_reserve(&server->tokens);
	if (!error)
		error = start_operation(server, message, &token);
	if (error == EAGAIN || error == ENOMEM) {
		serving_complain(&server->serving, "an operation has to wait", error);
		message_stall(server, message);
		return;
	}
	if (message->step == STEP_PUSH)
		connection->unpushed--;
	if (error) {
		message_failed(server, message, error);
		return;
	}
	if (message->step == STEP_POP)
		connection->pop_qt = token;
	token_map_put(&server->tokens, token, message);
}

static bool wants_pop(const struct server *server, const struct connection *connection)
{
	return !connection->ended && !connection->popping &&
	       connection->unanswered < UNANSWERED_MAX &&
	       (!is_stream(server) || connection->unpushed == 0) &&
	       !serving_is_stopping(&server->serving);
}

/* After every event of a connection: read on, or close it. It may be gone afterwards. */
static void connection_settle(struct server *server, struct connection *connection)
{
	if (wants_pop(server, connection)) {
		struct message *message = message_new(server, connection, STEP_POP);
		if (message) {
			connection->popping = true;
			message_start(server, message);
		} else {
			connection->ended = true;
		}
	}
	if (connection->ended && connection->messages == 0)
		connection_close(server, connection);
}

static void on_accept(struct server *server, struct message *message, int qd)
{
	struct connection *connection = connection_open(server, qd);
	int on = 1;

	if (connection) {
		server->serving.connections++;
		/* A libOS without this option does not delay segments to begin with. */
		demi_setsockopt(qd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		connection_settle(server, connection);
	} else {
		serving_complain(&server->serving, "accept", ENOMEM);
		demi_close(qd);
	}
	message_start(server, message);
}

/* Make the reply of a message, in place; false: there is none, or it is not understood. */
static bool make_reply(struct server *server, struct connection *connection, demi_sgarray_t *array)
{
	struct sockperf_stream datagram = {0};
	struct sockperf_stream *stream = is_stream(server) ? &connection->sockperf : &datagram;
	enum sockperf_verdict verdict = SOCKPERF_REPLY;

	if (server->options->reply == REPLY_SAME)
		return true;
	for (uint32_t i = 0; i < array->sga_numsegs && verdict == SOCKPERF_REPLY; i++)
		verdict = sockperf_turn(stream, array->sga_segs[i].sgaseg_buf,
					array->sga_segs[i].sgaseg_len);
	if (!is_stream(server) && verdict == SOCKPERF_REPLY && datagram.offset != 0)
		verdict = SOCKPERF_BROKEN;
	if (verdict == SOCKPERF_REPLY)
		return true;
	/* A stream has no place to leave a message out, once a part of it may be on its way. */
	if (verdict == SOCKPERF_BROKEN || is_stream(server))
		serving_complain(&server->serving, "not a sockperf client that wants each reply",
				 EPROTO);
	if (is_stream(server))
		connection_fail(connection);
	return false;
}

static void on_pop(struct server *server, struct message *message, const demi_sgarray_t *array)
{
	struct connection *connection = message->connection;
	size_t length = sga_length(array);

	connection->popping = false;
	message->array = *array;
	if (length == 0 || serving_is_stopping(&server->serving)) {
		/* The end of a stream; on datagrams an empty one, and nothing can be pushed. */
		demi_sgafree(&message->array);
		if (is_stream(server) && length == 0)
			connection->ended = true;
		message_free(server, message);
	} else if (!make_reply(server, connection, &message->array)) {
		serving_received(&server->serving, length);
		demi_sgafree(&message->array);
		message_free(server, message);
	} else {
		serving_received(&server->serving, length);
		connection->unanswered++;
		connection->unpushed++;
		server->unanswered++;
		message->step = server->log_qd >= 0 ? STEP_LOG : STEP_PUSH;
		message_start(server, message);
	}
	connection_settle(server, connection);
}

static void on_failure(struct server *server, struct message *message, int error)
{
	struct connection *connection = message->connection;
	bool is_accept = message->step == STEP_ACCEPT;

	message_failed(server, message, error);
	if (!is_accept)
		connection_settle(server, connection);
}

static void on_result(struct server *server, const demi_qresult_t *result)
{
	struct message *message = token_map_take(&server->tokens, result->qr_qt);

	if (!message)
		return;
	struct connection *connection = message->connection;
	if (result->qr_opcode == DEMI_OPC_FAILED) {
		on_failure(server, message, (int)result->qr_ret);
	} else if (message->step == STEP_ACCEPT) {
		on_accept(server, message, result->qr_value.ares.qd);
	} else if (message->step == STEP_POP) {
		demi_sgarray_t array = result->qr_value.sga;
		on_pop(server, message, &array);
	} else if (message->step == STEP_LOG) {
		message->step = STEP_PUSH;
		message_start(server, message);
		connection_settle(server, connection);
	} else {
		message_free(server, message);
		connection_settle(server, connection);
	}
}

static void retry_stalled(struct server *server, uint64_t now_ns)
{
	struct message *message = server->stalled;

	if (server->retry_ns == 0 || now_ns < server->retry_ns)
		return;
	server->stalled = NULL;
	server->stalled_end = &server->stalled;
	server->retry_ns = 0;
	while (message) {
		struct message *next = message->next;
		struct connection *connection = message->connection;
		bool is_accept = message->step == STEP_ACCEPT;
		if (message->step == STEP_POP && connection->ended) {
			connection->popping = false;
			message_free(server, message);
		} else {
			message_start(server, message);
		}
		if (!is_accept)
			connection_settle(server, connection);
		message = next;
	}
}

static int serve(struct server *server)
{
	const struct timespec timeout = {.tv_nsec = (long)RETRY_PERIOD_NS};
	uint64_t now_ns = process_now_ns();

	while (!serving_is_over(&server->serving, now_ns, server->unanswered)) {
		int count = 0;
		int error = demi_wait_next_n(server->results, DEMI_ECHO_RESULTS, &count, &timeout);
		if (error && error != ETIMEDOUT && error != EINTR) {
			fprintf(stderr, "%s: wait: %s\n", server->options->program,
				strerror(error));
			return EXIT_FAILURE;
		}
		now_ns = process_now_ns();
		for (int i = 0; !error && i < count; i++)
			on_result(server, &server->results[i]);
		retry_stalled(server, now_ns);
		figures_print_if_requested(server->options->program);
	}
	return EXIT_SUCCESS;
}

/* Says which call failed; returns its error. */
static int failed(const struct server *server, const char *what, int error)
{
	if (error)
		fprintf(stderr, "%s: %s: %s\n", server->options->program, what, strerror(error));
	return error;
}

/* Which addresses there are: as far as the environment tells. */
static const char *where_addresses_are(const char *ours)
{
	const char *libos = getenv("LIBOS");

	if (!libos && getenv("CONFIG_PATH"))
		return "net.ip in the configuration, or of the host's (\"ip address\") on catnap";
	if (!libos || strncmp(libos, "catnip", strlen("catnip")) != 0)
		return "the host's, which \"ip address\" lists";
	return ours ? "--ip (net.ip), which are " : "net.ip in the configuration";
}

static int failed_bind(const struct server *server, int error)
{
	const char *libos = getenv("LIBOS"), *ours = getenv("DEMI_NET_IP");
	bool is_catnip = libos && strncmp(libos, "catnip", strlen("catnip")) == 0;

	if (error != EADDRNOTAVAIL)
		return failed(server, server->options->address_text, error);
	fprintf(stderr, "%s: %s: %s; give one of %s%s\n", server->options->program,
		server->options->address_text, strerror(error), where_addresses_are(ours),
		is_catnip && ours ? ours : "");
	return error;
}

static int failed_log(const struct server *server, int error)
{
	if (error != EOPNOTSUPP)
		return failed(server, server->options->log, error);
	fprintf(stderr,
		"%s: --log %s: this library OS has no files; leave --log out, or run on one that "
		"has, such as --libos catnap or catnip+cattree\n",
		server->options->program, server->options->log);
	return error;
}

/* Others of this program listen there too. */
static int share_address(const struct server *server, int qd)
{
	int on = 1;
	int error = demi_setsockopt(qd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));

	if (error)
		fprintf(stderr,
			"%s: --threads %u: on this library OS only one thread can have an address "
			"(%s); leave --threads out, or run on --libos catnap\n",
			server->options->program, server->options->threads, strerror(error));
	return error;
}

static int open_socket(struct server *server, int *qd)
{
	int type = is_stream(server) ? SOCK_STREAM : SOCK_DGRAM;
	socklen_t length = sizeof(server->bound);
	int on = 1;

	int error = demi_socket(qd, server->address->ss_family, type, 0);
	if (error)
		return failed(server, "socket", error);
	if (is_stream(server)) /* so that a server can be started again at once; else it waits */
		demi_setsockopt(*qd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (server->options->threads > 1 && share_address(server, *qd))
		return EOPNOTSUPP;
	error = demi_bind(*qd, (const struct sockaddr *)server->address,
			  server->options->address.length);
	if (error)
		return failed_bind(server, error);
	if (is_stream(server))
		error = demi_listen(*qd, BACKLOG);
	if (error)
		return failed(server, "listen", error);
	error = demi_getsockname(*qd, (struct sockaddr *)&server->bound, &length);
	return error ? failed(server, "getsockname", error) : 0;
}

static int start(struct server *server)
{
	const char *log = server->options->log;
	struct message *message = NULL;
	int error = 0;
	int qd;

	if (log)
		error = demi_open(&server->log_qd, log, O_WRONLY | O_CREAT, 0644);
	if (error) {
		server->log_qd = -1;
		return failed_log(server, error);
	}
	error = open_socket(server, &qd);
	if (error)
		return error;
	struct connection *first = connection_open(server, qd);
	if (first && is_stream(server))
		message = message_new(server, first, STEP_ACCEPT);
	if (!first || (is_stream(server) && !message))
		return failed(server, "start", ENOMEM);
	if (message)
		message_start(server, message);
	else
		connection_settle(server, first);
	return 0;
}

static void free_list(struct message *message)
{
	while (message) {
		struct message *next = message->next;
		free(message);
		message = next;
	}
}

/* Only this program's own memory: demi_fini has the descriptors, operations and buffers. */
static void finish(struct server *server)
{
	for (size_t i = 0; i < server->tokens.capacity; i++)
		free(server->tokens.entries[i].value);
	token_map_fini(&server->tokens);
	free_list(server->stalled);
	free_list(server->spare);
	while (server->connections) {
		struct connection *connection = server->connections;
		server->connections = connection->next;
		free(connection);
	}
}

struct serving *demi_server_open(const struct options *options,
				 const struct sockaddr_storage *address)
{
	struct server *server = calloc(1, sizeof(*server));

	if (!server) {
		fprintf(stderr, "%s: out of memory\n", options->program);
		return NULL;
	}
	server->options = options;
	server->address = address;
	server->log_qd = -1;
	server->stalled_end = &server->stalled;
	serving_init(&server->serving, options);
	if (start(server) == 0)
		return &server->serving;
	demi_server_close(&server->serving);
	return NULL;
}

static struct server *server_of(struct serving *serving)
{
	return (struct server *)((char *)serving - offsetof(struct server, serving));
}

const struct sockaddr_storage *demi_server_address(struct serving *serving)
{
	return &server_of(serving)->bound;
}

int demi_server_serve(struct serving *serving)
{
	return serve(server_of(serving));
}

void demi_server_close(struct serving *serving)
{
	struct server *server = server_of(serving);

	finish(server);
	free(server);
}
