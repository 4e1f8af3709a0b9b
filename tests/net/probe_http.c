/* SPDX-License-Identifier: MIT */
/*
 * A connection pops its request, then either pushes the answer's body or pops the request's and pushes
 * a last word, and is closed when nothing of it is under way any more. Descriptors are small numbers:
 * the connection of one stands in a table at it.
 */
#include "probe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG 1024
#define CONNECTIONS_MAX 4096
#define HEAD_BYTES_MAX 4096
#define PUSHES_MAX 2 /* of one connection under way */
#define RESULTS_MAX 64
#define LENGTH_FIELD "\r\nContent-Length:"

struct connection {
	enum { HEAD, ANSWER, TAKE, LAST } state;
	char head[HEAD_BYTES_MAX];
	size_t head_bytes;
	uint64_t length; /* of the body */
	uint64_t done;
	uint64_t wait_until_ns; /* before which the body is not popped; 0: does not wait */
	unsigned operations;    /* under way: one pop, or pushes */
	bool differs;
};

static struct connection *connections[CONNECTIONS_MAX];
static unsigned waiting; /* connections with wait_until_ns */
static int listener;

static void start_accept(void)
{
	demi_qtoken_t token;

	probe_check(demi_accept(&token, listener), "demi_accept");
}

static void start_pop(int qd)
{
	demi_qtoken_t token;

	if (demi_pop(&token, qd) == 0)
		connections[qd]->operations++;
}

/* false: it can take no more, and the operations under way say why. */
static bool push(int qd, const demi_sgarray_t *array)
{
	demi_qtoken_t token;

	if (demi_push(&token, qd, array))
		return false;
	connections[qd]->operations++;
	return true;
}

static void push_text(int qd, const char *text)
{
	demi_sgarray_t array = demi_sgaalloc(strlen(text));

	probe_check(array.sga_numsegs ? 0 : ENOMEM, "demi_sgaalloc");
	memcpy(array.sga_segs[0].sgaseg_buf, text, strlen(text));
	push(qd, &array);
	demi_sgafree(&array);
}

static void push_last(int qd, const char *text)
{
	connections[qd]->state = LAST;
	push_text(qd, text);
}

static void push_body(int qd)
{
	struct connection *connection = connections[qd];

	while (connection->operations < PUSHES_MAX && connection->done < connection->length) {
		uint64_t rest = connection->length - connection->done;
		demi_sgarray_t array = {.sga_numsegs = 1};

		array.sga_segs[0].sgaseg_buf = probe_stream(connection->done);
		array.sga_segs[0].sgaseg_len = rest < PROBE_PIECE_MAX ? (uint32_t)rest
								      : PROBE_PIECE_MAX;
		if (!push(qd, &array))
			return;
		connection->done += array.sga_segs[0].sgaseg_len;
	}
}

static void take(int qd, const demi_sgarray_t *array)
{
	struct connection *connection = connections[qd];
	char text[200];

	if (!probe_is_stream(array, connection->done))
		connection->differs = true;
	connection->done += probe_length(array);
	if (!connection->differs && connection->done < connection->length) {
		if (!connection->wait_until_ns)
			start_pop(qd);
		return;
	}
	snprintf(text, sizeof(text), "HTTP/1.0 %s\r\n\r\n%s %" PRIu64 "\n",
		 connection->differs ? "409 Conflict" : "200 OK",
		 connection->differs ? "differs before" : "received", connection->done);
	push_last(qd, text);
}

/* @array: what of the body came with the head. */
static void begin_put(int qd, uint64_t wait_ms, const demi_sgarray_t *array)
{
	struct connection *connection = connections[qd];
	const char *found = memmem(connection->head, connection->head_bytes, LENGTH_FIELD,
				   strlen(LENGTH_FIELD));

	connection->state = TAKE;
	connection->length = found ? strtoull(found + strlen(LENGTH_FIELD), NULL, 10) : 0;
	if (wait_ms) {
		connection->wait_until_ns = probe_now_ns() + wait_ms * 1000000;
		waiting++;
	}
	take(qd, array);
}

static void begin_get(int qd, uint64_t bytes)
{
	char text[100];

	connections[qd]->state = ANSWER;
	connections[qd]->length = bytes;
	snprintf(text, sizeof(text), "HTTP/1.0 200 OK\r\nContent-Length: %" PRIu64 "\r\n\r\n",
		 bytes);
	push_text(qd, text);
	push_body(qd);
}

static void begin(int qd, const demi_sgarray_t *rest)
{
	struct connection *connection = connections[qd];
	uint64_t number = 0;
	char method[8] = "";
	int found;

	connection->head[connection->head_bytes - 1] = '\0';
	found = sscanf(connection->head, "%7s /%" SCNu64, method, &number);
	connection->head[connection->head_bytes - 1] = '\n';
	if (found == 2 && strcmp(method, "GET") == 0)
		begin_get(qd, number);
	else if (found == 2 && strcmp(method, "PUT") == 0)
		begin_put(qd, number, rest);
	else
		push_last(qd, "HTTP/1.0 400 Bad Request\r\n\r\n");
}

/* Cut the first @bytes off. */
static void skip(demi_sgarray_t *array, size_t bytes)
{
	for (uint32_t i = 0; i < array->sga_numsegs; i++) {
		demi_sgaseg_t *segment = &array->sga_segs[i];
		uint32_t cut = bytes < segment->sgaseg_len ? (uint32_t)bytes : segment->sgaseg_len;

		segment->sgaseg_buf = (char *)segment->sgaseg_buf + cut;
		segment->sgaseg_len -= cut;
		bytes -= cut;
	}
}

static void on_head(int qd, const demi_sgarray_t *array)
{
	struct connection *connection = connections[qd];
	size_t before = connection->head_bytes;
	demi_sgarray_t rest = *array;
	const char *end;

	for (uint32_t i = 0; i < array->sga_numsegs; i++) {
		const demi_sgaseg_t *segment = &array->sga_segs[i];
		size_t room = HEAD_BYTES_MAX - connection->head_bytes;
		size_t length = segment->sgaseg_len < room ? segment->sgaseg_len : room;

		memcpy(connection->head + connection->head_bytes, segment->sgaseg_buf, length);
		connection->head_bytes += length;
	}
	end = memmem(connection->head, connection->head_bytes, "\r\n\r\n", 4);
	if (end) {
		connection->head_bytes = (size_t)(end + 4 - connection->head);
		skip(&rest, connection->head_bytes - before);
		begin(qd, &rest);
	} else if (connection->head_bytes < HEAD_BYTES_MAX) {
		start_pop(qd);
	} else {
		push_last(qd, "HTTP/1.0 431 Request Header Fields Too Large\r\n\r\n");
	}
}

static void on_accept(int qd)
{
	probe_check(qd < CONNECTIONS_MAX ? 0 : EMFILE, "accept");
	connections[qd] = calloc(1, sizeof(*connections[qd]));
	probe_check(connections[qd] ? 0 : ENOMEM, "accept");
	start_pop(qd);
	start_accept();
}

/* Nothing is under way any more: all is done, or the peer has gone. */
static void settle(int qd)
{
	if (connections[qd]->operations || connections[qd]->wait_until_ns)
		return;
	free(connections[qd]);
	connections[qd] = NULL;
	probe_check(demi_close(qd), "demi_close");
}

static void on_result(demi_qresult_t *result)
{
	int qd = result->qr_qd;

	if (qd == listener) {
		probe_check((int)result->qr_ret, "accept");
		on_accept(result->qr_value.ares.qd);
		return;
	}
	connections[qd]->operations--;
	if (result->qr_opcode == DEMI_OPC_FAILED) {
		fprintf(stderr, "connection: %s\n", strerror((int)result->qr_ret));
	} else if (result->qr_opcode == DEMI_OPC_POP) {
		demi_sgarray_t array = result->qr_value.sga;

		if (probe_length(&array) == 0)
			fprintf(stderr, "connection: ended by the peer\n");
		else if (connections[qd]->state == HEAD)
			on_head(qd, &array);
		else
			take(qd, &array);
		demi_sgafree(&array);
	} else if (connections[qd]->state == ANSWER) {
		push_body(qd);
	}
	settle(qd);
}

static void end_waits(void)
{
	uint64_t now_ns = probe_now_ns();

	for (int qd = 0; qd < CONNECTIONS_MAX && waiting; qd++) {
		if (!connections[qd] || !connections[qd]->wait_until_ns ||
		    connections[qd]->wait_until_ns > now_ns)
			continue;
		connections[qd]->wait_until_ns = 0;
		waiting--;
		start_pop(qd);
		settle(qd);
	}
}

void probe_http(const struct probe_address *local)
{
	const struct timespec period = {.tv_nsec = 10000000};
	demi_qresult_t results[RESULTS_MAX];

	listener = probe_bound(local, SOCK_STREAM);
	probe_check(demi_listen(listener, BACKLOG), "demi_listen");
	puts("ready");
	start_accept();
	while (!probe_stopped()) {
		int count = 0;
		int error = demi_wait_next_n(results, RESULTS_MAX, &count, &period);

		if (error != ETIMEDOUT && error != EINTR)
			probe_check(error, "demi_wait_next_n");
		for (int i = 0; i < count; i++)
			on_result(&results[i]);
		end_waits();
	}
}
