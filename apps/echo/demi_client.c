/* SPDX-License-Identifier: MIT */
/*
 * The client's I/O over Demi. One pop is outstanding on each connection; a message goes out in a
 * buffer of its own that is freed at once, since the library keeps it until the push completes.
 */
#include "demi_echo.h"

#include <demi/demi.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "figures.h"
#include "process.h"
#include "token_map.h"

struct peer {
	uint32_t index;
	int qd;                /* -1: not open */
	demi_qtoken_t pop_qt;  /* the outstanding pop, or connect */
	bool unpopped;         /* the library had no room for the pop */
	demi_sgarray_t unsent; /* a message that the library had no room for; else no segment */
};

struct client_io {
	struct workload *workload;
	struct token_map tokens; /* to struct peer */
	struct peer *peers;
	bool stalled; /* some peer is unpopped or has an unsent message */
	demi_qresult_t results[DEMI_ECHO_RESULTS];
	uint8_t datagram[65536]; /* for one that came in several segments */
};

static const struct timespec poll_timeout = {.tv_nsec = 10000000};

static void fail(struct client_io *io, const struct peer *peer, const char *what, int error)
{
	const char *gone = "";

	if (error == ECONNRESET || error == ECONNREFUSED || error == EPIPE || error == ENOTCONN)
		gone = "server gone: ";
	workload_fail(io->workload, "%sconnection %u: %s: %s", gone, peer->index, what,
		      strerror(error));
}

static void start_pop(struct client_io *io, struct peer *peer)
{
	int error = token_map_reserve(&io->tokens);

	if (!error)
		error = demi_pop(&peer->pop_qt, peer->qd);
	peer->unpopped = error == EAGAIN;
	if (peer->unpopped)
		io->stalled = true;
	else if (error)
		fail(io, peer, "receive", error);
	else
		token_map_put(&io->tokens, peer->pop_qt, peer);
}

/* Returns false when the message has to wait for room in the library. */
static bool start_push(struct client_io *io, struct peer *peer, demi_sgarray_t *message)
{
	demi_qtoken_t token;
	int error = token_map_reserve(&io->tokens);

	if (!error)
		error = demi_push(&token, peer->qd, message);
	if (error == EAGAIN) {
		peer->unsent = *message;
		io->stalled = true;
		return false;
	}
	if (error)
		fail(io, peer, "send", error);
	else
		token_map_put(&io->tokens, token, peer);
	demi_sgafree(message);
	return !error;
}

static void demi_client_send(struct client_io *io, uint32_t connection)
{
	struct peer *peer = &io->peers[connection];

	if (peer->unsent.sga_numsegs) {
		demi_sgarray_t message = peer->unsent;
		peer->unsent.sga_numsegs = 0;
		if (!start_push(io, peer, &message))
			return;
	}
	while (workload_may_send(io->workload, connection)) {
		demi_sgarray_t message = demi_sgaalloc(io->workload->options->size);
		if (message.sga_numsegs == 0) {
			fail(io, peer, "message buffer", ENOMEM);
			return;
		}
		workload_send(io->workload, connection, message.sga_segs[0].sgaseg_buf);
		if (!start_push(io, peer, &message))
			return;
	}
}

static void rx_stream(struct client_io *io, const struct peer *peer, const demi_sgarray_t *array)
{
	if (sga_length(array) == 0)
		workload_fail(io->workload, "server gone: connection %u was closed", peer->index);
	for (uint32_t i = 0; i < array->sga_numsegs; i++)
		workload_rx_stream(io->workload, peer->index, array->sga_segs[i].sgaseg_buf,
				   array->sga_segs[i].sgaseg_len);
}

/* A datagram is verified as a whole: one that came in several segments is put together first. */
static void rx_datagram(struct client_io *io, const struct peer *peer, const demi_sgarray_t *array)
{
	const uint8_t *data = array->sga_segs[0].sgaseg_buf;
	size_t length = sga_length(array);

	if (length > sizeof(io->datagram)) {
		workload_fail(io->workload, "connection %u: a datagram of %zu bytes came",
			      peer->index, length);
		return;
	}
	if (array->sga_numsegs != 1) {
		size_t filled = 0;
		for (uint32_t i = 0; i < array->sga_numsegs; i++) {
			const demi_sgaseg_t *segment = &array->sga_segs[i];
			memcpy(io->datagram + filled, segment->sgaseg_buf, segment->sgaseg_len);
			filled += segment->sgaseg_len;
		}
		data = io->datagram;
	}
	workload_rx_datagram(io->workload, peer->index, data, length);
}

static void on_pop(struct client_io *io, struct peer *peer, demi_sgarray_t *array)
{
	if (io->workload->options->protocol == PROTOCOL_TCP)
		rx_stream(io, peer, array);
	else
		rx_datagram(io, peer, array);
	demi_sgafree(array);
	if (io->workload->failure[0])
		return;
	start_pop(io, peer);
	demi_client_send(io, peer->index);
}

static void on_result(struct client_io *io, demi_qresult_t *result)
{
	struct peer *peer = token_map_take(&io->tokens, result->qr_qt);

	if (!peer)
		return;
	bool is_pop = result->qr_qt == peer->pop_qt;
	if (result->qr_opcode == DEMI_OPC_FAILED)
		fail(io, peer, is_pop ? "receive" : "send", (int)result->qr_ret);
	else if (is_pop)
		on_pop(io, peer, &result->qr_value.sga);
}

static void retry_stalled(struct client_io *io)
{
	io->stalled = false;
	for (uint32_t i = 0; i < io->workload->options->connections; i++) {
		struct peer *peer = &io->peers[i];
		if (peer->unpopped)
			start_pop(io, peer);
		if (peer->unsent.sga_numsegs)
			demi_client_send(io, i);
	}
}

static bool demi_client_poll(struct client_io *io)
{
	int count = 0;
	int error = demi_wait_next_n(io->results, DEMI_ECHO_RESULTS, &count, &poll_timeout);
	bool freed = workload_tick(io->workload, process_now_ns());

	if (error && error != ETIMEDOUT && error != EINTR)
		workload_fail(io->workload, "wait: %s", strerror(error));
	for (int i = 0; !error && i < count; i++)
		on_result(io, &io->results[i]);
	if (io->stalled)
		retry_stalled(io);
	figures_print_if_requested(io->workload->options->program);
	return freed;
}

/* Returns a positive errno. */
static int open_socket(const struct options *options, struct peer *peer)
{
	int type = options->protocol == PROTOCOL_TCP ? SOCK_STREAM : SOCK_DGRAM;
	int on = 1;
	int qd;

	int error = demi_socket(&qd, options->address.storage.ss_family, type, 0);
	if (error)
		return error;
	peer->qd = qd;
	/* A libOS without this option does not delay segments to begin with. */
	if (type == SOCK_STREAM)
		demi_setsockopt(qd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return 0;
}

/* Returns a positive errno; EAGAIN when the library has no room for one more operation now. */
static int start_connect(struct client_io *io, struct peer *peer)
{
	const struct address *address = &io->workload->options->address;

	int error = peer->qd < 0 ? open_socket(io->workload->options, peer) : 0;
	if (!error)
		error = token_map_reserve(&io->tokens);
	if (!error)
		error = demi_connect(&peer->pop_qt, peer->qd,
				     (const struct sockaddr *)&address->storage, address->length);
	if (!error)
		token_map_put(&io->tokens, peer->pop_qt, peer);
	return error;
}

static void fail_to_connect(struct client_io *io, int error)
{
	workload_fail(io->workload, "cannot connect to %s: %s", io->workload->options->address_text,
		      strerror(error));
}

/* Waits for one round of connects; returns how many were made. */
static uint32_t take_connects(struct client_io *io)
{
	int count = 0;
	int error = demi_wait_next_n(io->results, DEMI_ECHO_RESULTS, &count, &poll_timeout);
	uint32_t made = 0;

	figures_print_if_requested(io->workload->options->program);
	if (process_stop_requests()) {
		workload_fail(io->workload, "interrupted before every connection was made");
		return 0;
	}
	if (error && error != ETIMEDOUT && error != EINTR)
		fail_to_connect(io, error);
	for (int i = 0; !error && i < count; i++) {
		if (!token_map_take(&io->tokens, io->results[i].qr_qt))
			continue;
		if (io->results[i].qr_opcode == DEMI_OPC_FAILED)
			fail_to_connect(io, (int)io->results[i].qr_ret);
		made++;
	}
	return made;
}

static bool connect_all(struct client_io *io)
{
	uint32_t connections = io->workload->options->connections;
	uint32_t started = 0;
	uint32_t made = 0;

	while (made < connections && !io->workload->failure[0]) {
		int error = 0;
		while (started < connections && !error) {
			error = start_connect(io, &io->peers[started]);
			if (!error)
				started++;
		}
		if (error && error != EAGAIN)
			fail_to_connect(io, error);
		else
			made += take_connects(io);
	}
	for (uint32_t i = 0; i < connections && !io->workload->failure[0]; i++)
		start_pop(io, &io->peers[i]);
	return !io->workload->failure[0];
}

static void demi_client_close(struct client_io *io)
{
	for (uint32_t i = 0; i < io->workload->options->connections; i++) {
		struct peer *peer = &io->peers[i];
		if (peer->unsent.sga_numsegs)
			demi_sgafree(&peer->unsent);
		if (peer->qd >= 0)
			demi_close(peer->qd);
	}
	token_map_fini(&io->tokens);
	free(io->peers);
	free(io);
}

static struct client_io *demi_client_open(struct workload *workload)
{
	uint32_t connections = workload->options->connections;
	struct client_io *io = calloc(1, sizeof(*io));
	struct peer *peers = calloc(connections, sizeof(*peers));

	if (!io || !peers) {
		workload_fail(workload, "out of memory");
		free(peers);
		free(io);
		return NULL;
	}
	io->workload = workload;
	io->peers = peers;
	for (uint32_t i = 0; i < connections; i++)
		peers[i] = (struct peer){.index = i, .qd = -1};
	if (connect_all(io))
		return io;
	demi_client_close(io);
	return NULL;
}

const struct client_io_ops demi_client_io = {
	.open = demi_client_open,
	.send = demi_client_send,
	.poll = demi_client_poll,
	.close = demi_client_close,
};
