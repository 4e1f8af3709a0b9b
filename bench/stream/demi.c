/* SPDX-License-Identifier: MIT */
/*
 * The public API, as demi-echo uses it: a pop outstanding on each connection, and what a server has
 * popped is what it pushes. Which libOS and device the environment says.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <demi/demi.h>

#include "stream/stack.h"

#define RESULTS 64
#define DESCRIPTORS_MAX 262144u
#define BACKLOG 1024

static struct stack_options options;
static uint32_t connection_of[DESCRIPTORS_MAX]; /* by descriptor */
static int qds[STREAM_CONNECTIONS_MAX];
static demi_qresult_t results[RESULTS];
static bool is_closing;
/* What is pushed of messages that are not echoed: nobody writes to it, so that all pushes share it. */
static demi_sgarray_t message;
static int fail(const char *what, int error)
{
	fprintf(stderr, "demi: %s: %s\n", what, strerror(error));
	return -error;
}

static void set_number(const char *name, uint32_t value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	setenv(name, text, 0);
}

static int demi_start(const struct stack_options *given)
{
	int error;

	options = *given;
	if (options.connections > 1024) {
		set_number("DEMI_RUNTIME_OPERATIONS_MAX", 2 * options.connections);
		set_number("DEMI_RUNTIME_QUEUES_MAX", 2 * options.connections);
	}
	error = demi_init(NULL);
	if (error)
		return fail("init", error);
	/* Resident before memory is counted. */
	memset(connection_of, 0, sizeof(connection_of));
	memset(qds, 0xff, sizeof(qds));
	message = demi_sgaalloc(stream_message_bytes());
	if (!message.sga_buf)
		return fail("sgaalloc", ENOMEM);
	memset(message.sga_segs[0].sgaseg_buf, 'm', stream_message_bytes());
	return 0;
}

static int accept_next(int qd)
{
	demi_qtoken_t token;

	return -demi_accept(&token, qd);
}

static int demi_listen_all(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};

	inet_pton(AF_INET, options.local_ip, &address.sin_addr);
	for (uint32_t i = 0; i < STREAM_PORTS; i++) {
		int qd;
		int error = demi_socket(&qd, AF_INET, SOCK_STREAM, 0);

		address.sin_port = htons(stream_port(i));
		if (!error)
			error = demi_bind(qd, (struct sockaddr *)&address, sizeof(address));
		if (!error)
			error = demi_listen(qd, BACKLOG);
		if (!error)
			error = -accept_next(qd);
		if (error)
			return fail("listen", error);
	}
	return 0;
}

static int demi_connect_one(uint32_t connection)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(stream_port(connection))};
	demi_qtoken_t token;
	int qd;
	int error = demi_socket(&qd, AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, options.peer_ip, &address.sin_addr);
	if (error)
		return fail("socket", error);
	if ((uint32_t)qd >= DESCRIPTORS_MAX)
		return fail("socket", EMFILE);
	connection_of[qd] = connection;
	qds[connection] = qd;
	error = demi_connect(&token, qd, (struct sockaddr *)&address, sizeof(address));
	return error ? fail("connect", error) : 0;
}

static int demi_send(uint32_t connection, uint32_t bytes)
{
	demi_qtoken_t token;

	(void)bytes; /* they are stream_message_bytes */
	return -demi_push(&token, qds[connection], &message);
}

/* The array itself goes back, and is freed when it has been acknowledged. */
static int echo(uint32_t connection, const demi_sgarray_t *array)
{
	demi_qtoken_t token;
	int error = demi_push(&token, qds[connection], array);

	demi_sgafree((demi_sgarray_t *)(uintptr_t)array);
	return -error;
}

static int pop_next(int qd)
{
	demi_qtoken_t token;

	return -demi_pop(&token, qd);
}

static int on_pop(int qd, demi_sgarray_t *array)
{
	uint32_t connection = connection_of[qd];
	uint32_t bytes = 0, due;
	int error = 0;

	for (uint32_t i = 0; i < array->sga_numsegs; i++)
		bytes += array->sga_segs[i].sgaseg_len;
	if (bytes == 0) {
		demi_sgafree(array);
		stream_closed(connection);
		return 0;
	}
	due = stream_received(connection, bytes);
	if (options.is_server && due == 1 && bytes == stream_message_bytes()) {
		error = echo(connection, array);
	} else {
		demi_sgafree(array);
		while (!error && due-- > 0)
			error = demi_send(connection, stream_message_bytes());
	}
	return error ? error : pop_next(qd);
}

static int on_accept(int listening_qd, int qd)
{
	uint32_t connection = stream_accepted();
	int error;

	if ((uint32_t)qd >= DESCRIPTORS_MAX || connection >= STREAM_CONNECTIONS_MAX)
		return fail("accept", EMFILE);
	connection_of[qd] = connection;
	qds[connection] = qd;
	error = pop_next(qd);
	return error ? error : accept_next(listening_qd);
}

static int on_connect(int qd)
{
	stream_opened(connection_of[qd]);
	return pop_next(qd);
}

static int on_failure(int qd)
{
	uint32_t connection = connection_of[qd];

	if (is_closing || qds[connection] != qd)
		return 0;
	demi_close(qd);
	qds[connection] = -1;
	stream_closed(connection);
	return 0;
}

static int on_result(demi_qresult_t *result)
{
	switch (result->qr_opcode) {
	case DEMI_OPC_POP:
		return on_pop(result->qr_qd, &result->qr_value.sga);
	case DEMI_OPC_ACCEPT:
		return on_accept(result->qr_qd, result->qr_value.ares.qd);
	case DEMI_OPC_CONNECT:
		return on_connect(result->qr_qd);
	case DEMI_OPC_FAILED:
		return on_failure(result->qr_qd);
	default:
		return 0;
	}
}

static int demi_poll(void)
{
	/* Ends for the sake of who counts time outside. */
	static const struct timespec timeout = {.tv_nsec = 1000000};
	int count;
	int error = demi_wait_next_n(results, RESULTS, &count, &timeout);

	if (error)
		return error == ETIMEDOUT ? 0 : -error;
	for (int i = 0; !error && i < count; i++)
		error = -on_result(&results[i]);
	return -error;
}

static int demi_close_one(uint32_t connection)
{
	is_closing = true;
	return -demi_close(qds[connection]);
}

static uint64_t demi_allocated(void)
{
	static demi_heap_stats_t stats;
	struct mallinfo2 info = mallinfo2();

	demi_heap_stats(&stats);
	return info.uordblks + info.hblkhd + stats.bytes_in_use;
}

static void demi_stop(void)
{
	is_closing = true;
	demi_sgafree(&message);
	demi_fini();
}

const struct stack demi_stack = {
	.name = "demi",
	.start = demi_start,
	.listen = demi_listen_all,
	.connect = demi_connect_one,
	.send = demi_send,
	.poll = demi_poll,
	.close = demi_close_one,
	.allocated = demi_allocated,
	.stop = demi_stop,
};
