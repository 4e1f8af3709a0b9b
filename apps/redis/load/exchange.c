/* SPDX-License-Identifier: MIT */
#include "exchange.h"

#include <demi/demi.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "echo/figures.h"
#include "echo/process.h"
#include "echo/token_map.h"
#include "report.h"

#define RESULTS_MAX 64               /* completed operations taken by one wait */
#define WAIT_NS_MAX (10 * NS_PER_MS) /* so that a signal and the end are seen soon */

struct peer {
	uint32_t index;
	int qd;                      /* -1: not open */
	demi_qtoken_t pop_qt;        /* the outstanding pop, or connect */
	bool unpopped;               /* the library had no room for the pop */
	struct request_batch unsent; /* one that the library had no room for */
};

struct exchange {
	struct workload *workload;
	const struct request_texts *texts;
	struct token_map tokens; /* to struct peer */
	struct peer *peers;
	uint32_t turn; /* at a rate: the connection that the next request goes to */
	bool stalled;  /* some peer is unpopped or has an unsent batch */
	demi_qresult_t results[RESULTS_MAX];
};

static void fail(struct exchange *exchange, const struct peer *peer, const char *what, int error)
{
	const char *gone = "";

	if (error == ECONNRESET || error == ECONNREFUSED || error == EPIPE || error == ENOTCONN)
		gone = "server gone: ";
	workload_fail(exchange->workload, "%sconnection %u: %s: %s", gone, peer->index, what,
		      strerror(error));
}

static void start_pop(struct exchange *exchange, struct peer *peer)
{
	int error = token_map_reserve(&exchange->tokens);

	if (!error)
		error = demi_pop(&peer->pop_qt, peer->qd);
	peer->unpopped = error == EAGAIN;
	if (peer->unpopped)
		exchange->stalled = true;
	else if (error)
		fail(exchange, peer, "receive", error);
	else
		token_map_put(&exchange->tokens, peer->pop_qt, peer);
}

/* Returns false when the batch has to wait for room in the library, or it cannot be sent. */
static bool start_push(struct exchange *exchange, struct peer *peer, struct request_batch *batch)
{
	demi_qtoken_t token;
	int error = token_map_reserve(&exchange->tokens);

	if (!error)
		error = demi_push(&token, peer->qd, &batch->array);
	if (error == EAGAIN) {
		peer->unsent = *batch;
		exchange->stalled = true;
		return false;
	}
	if (error)
		fail(exchange, peer, "send", error);
	else
		token_map_put(&exchange->tokens, token, peer);
	request_batch_free(batch);
	return !error;
}

static void add_request(struct exchange *exchange, struct request_batch *batch, uint32_t connection)
{
	const struct workload_request *request = workload_send(exchange->workload, connection);

	if (request->kind == REQUEST_GET) {
		request_batch_get(batch, exchange->texts, request->key);
	} else {
		const struct value_id id = {
			.key = request->key,
			.run = exchange->workload->run,
			.version = request->version,
		};
		request_batch_set(batch, exchange->texts, &id);
	}
}

/* Requests of a connection as far as they may go out and fit into one push. Returns a positive errno. */
static int fill_batch(struct exchange *exchange, uint32_t connection, uint32_t requests,
		      struct request_batch *batch)
{
	struct workload *workload = exchange->workload;

	if (workload->phase == PHASE_AUTH) {
		workload_send(workload, connection);
		return request_batch_auth(batch, workload->options);
	}
	int error = request_batch_begin(batch, exchange->texts, requests);
	if (error)
		return error;
	while (requests-- && request_batch_has_room(batch, exchange->texts))
		add_request(exchange, batch, connection);
	request_batch_end(batch);
	return 0;
}

/* What a connection may send. */
static void send_requests(struct exchange *exchange, struct peer *peer)
{
	struct request_batch batch;
	uint32_t requests;

	if (peer->unsent.text) {
		batch = peer->unsent;
		peer->unsent.text = NULL;
		if (!start_push(exchange, peer, &batch))
			return;
	}
	while ((requests = workload_may_send(exchange->workload, peer->index))) {
		int error = fill_batch(exchange, peer->index, requests, &batch);
		if (error) {
			fail(exchange, peer, "memory for requests", error);
			return;
		}
		if (!start_push(exchange, peer, &batch))
			return;
	}
}

/* At a rate: what is due goes to one connection after the other, as far as they are free. */
static void send_due(struct exchange *exchange)
{
	struct workload *workload = exchange->workload;
	uint32_t connections = workload->options->connections;
	uint32_t busy = 0;

	while (busy < connections && workload_sleep_ns(workload, 1) == 0) {
		struct peer *peer = &exchange->peers[exchange->turn];
		struct request_batch batch;

		exchange->turn = exchange->turn + 1 == connections ? 0 : exchange->turn + 1;
		if (peer->unsent.text || !workload_may_send(workload, peer->index)) {
			busy++;
			continue;
		}
		busy = 0;
		int error = fill_batch(exchange, peer->index, 1, &batch);
		if (error) {
			fail(exchange, peer, "memory for requests", error);
			return;
		}
		start_push(exchange, peer, &batch);
	}
}

static void send_all(struct exchange *exchange)
{
	for (uint32_t i = 0; i < exchange->workload->options->connections; i++)
		send_requests(exchange, &exchange->peers[i]);
}

static void on_pop(struct exchange *exchange, struct peer *peer, demi_sgarray_t *array)
{
	struct workload *workload = exchange->workload;
	size_t length = 0;

	for (uint32_t i = 0; i < array->sga_numsegs; i++) {
		length += array->sga_segs[i].sgaseg_len;
		workload_rx(workload, peer->index, array->sga_segs[i].sgaseg_buf,
			    array->sga_segs[i].sgaseg_len);
	}
	demi_sgafree(array);
	if (length == 0)
		workload_fail(workload,
			      "server gone: connection %u was closed with %u requests under way",
			      peer->index, workload->connections[peer->index].outstanding);
	if (workload->failure[0])
		return;
	start_pop(exchange, peer);
	if (!workload_paced(workload))
		send_requests(exchange, peer);
}

static void on_result(struct exchange *exchange, demi_qresult_t *result)
{
	struct peer *peer = token_map_take(&exchange->tokens, result->qr_qt);

	if (!peer)
		return;
	bool is_pop = result->qr_qt == peer->pop_qt;
	if (result->qr_opcode == DEMI_OPC_FAILED)
		fail(exchange, peer, is_pop ? "receive" : "send", (int)result->qr_ret);
	else if (is_pop)
		on_pop(exchange, peer, &result->qr_value.sga);
}

static void retry_stalled(struct exchange *exchange)
{
	exchange->stalled = false;
	for (uint32_t i = 0; i < exchange->workload->options->connections; i++) {
		struct peer *peer = &exchange->peers[i];
		if (peer->unpopped)
			start_pop(exchange, peer);
		if (peer->unsent.text)
			send_requests(exchange, peer);
	}
}

/* Takes what has completed within some time; returns how many there are. */
static int take_results(struct exchange *exchange, uint64_t wait_ns)
{
	const struct timespec timeout = {.tv_nsec = (long)wait_ns};
	int count = 0;
	int error = demi_wait_next_n(exchange->results, RESULTS_MAX, &count, &timeout);

	if (!error)
		return count;
	if (error != ETIMEDOUT && error != EINTR)
		workload_fail(exchange->workload, "wait: %s", strerror(error));
	return 0;
}

static void exchange_poll(struct exchange *exchange)
{
	struct workload *workload = exchange->workload;
	int count = take_results(exchange, workload_sleep_ns(workload, WAIT_NS_MAX));
	bool may_send = workload_tick(workload, process_now_ns());

	for (int i = 0; i < count; i++)
		on_result(exchange, &exchange->results[i]);
	if (exchange->stalled)
		retry_stalled(exchange);
	if (workload_paced(workload))
		send_due(exchange);
	else if (may_send)
		send_all(exchange);
	figures_print_if_requested(workload->options->program);
}

/* Returns a positive errno; EAGAIN when the library has no room for one more operation now. */
static int start_connect(struct exchange *exchange, struct peer *peer)
{
	const struct address *address = &exchange->workload->options->address;
	int on = 1;
	int error = 0;

	if (peer->qd < 0) {
		int qd;
		error = demi_socket(&qd, address->storage.ss_family, SOCK_STREAM, 0);
		if (error)
			return error;
		peer->qd = qd;
		/* A libOS without this option does not delay segments to begin with. */
		demi_setsockopt(qd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	error = token_map_reserve(&exchange->tokens);
	if (!error)
		error = demi_connect(&peer->pop_qt, peer->qd,
				     (const struct sockaddr *)&address->storage, address->length);
	if (!error)
		token_map_put(&exchange->tokens, peer->pop_qt, peer);
	return error;
}

static void fail_to_connect(struct exchange *exchange, const struct peer *peer, int error)
{
	workload_fail(exchange->workload, "connection %u: cannot connect to %s: %s", peer->index,
		      exchange->workload->options->address_text, strerror(error));
}

/* Waits for one round of connects; returns how many were made. */
static uint32_t take_connects(struct exchange *exchange)
{
	int count = take_results(exchange, WAIT_NS_MAX);
	uint32_t made = 0;

	figures_print_if_requested(exchange->workload->options->program);
	if (process_stop_requests())
		workload_fail(exchange->workload, "interrupted before every connection was made");
	for (int i = 0; i < count; i++) {
		const demi_qresult_t *result = &exchange->results[i];
		struct peer *peer = token_map_take(&exchange->tokens, result->qr_qt);
		if (!peer)
			continue;
		if (result->qr_opcode == DEMI_OPC_FAILED)
			fail_to_connect(exchange, peer, (int)result->qr_ret);
		made++;
	}
	return made;
}

static bool connect_all(struct exchange *exchange)
{
	uint32_t connections = exchange->workload->options->connections;
	uint32_t started = 0;
	uint32_t made = 0;

	while (made < connections && !exchange->workload->failure[0]) {
		int error = 0;
		while (started < connections && !error) {
			error = start_connect(exchange, &exchange->peers[started]);
			if (!error)
				started++;
		}
		if (error && error != EAGAIN)
			fail_to_connect(exchange, &exchange->peers[started], error);
		else
			made += take_connects(exchange);
	}
	for (uint32_t i = 0; i < connections && !exchange->workload->failure[0]; i++)
		start_pop(exchange, &exchange->peers[i]);
	return !exchange->workload->failure[0];
}

static void exchange_close(struct exchange *exchange)
{
	for (uint32_t i = 0; i < exchange->workload->options->connections; i++) {
		struct peer *peer = &exchange->peers[i];
		if (peer->unsent.text)
			request_batch_free(&peer->unsent);
		if (peer->qd >= 0)
			demi_close(peer->qd);
	}
	token_map_fini(&exchange->tokens);
	free(exchange->peers);
}

static void exchange_requests(struct exchange *exchange)
{
	struct workload *workload = exchange->workload;
	struct report_progress progress;

	workload_start(workload, process_now_ns());
	report_progress_start(&progress, workload);
	if (!workload_paced(workload))
		send_all(exchange);
	while (!workload_done(workload)) {
		exchange_poll(exchange);
		report_progress(&progress, workload);
	}
}

void exchange_run(struct workload *workload, const struct request_texts *texts)
{
	uint32_t connections = workload->options->connections;
	struct exchange exchange = {.workload = workload, .texts = texts};

	exchange.peers = calloc(connections, sizeof(*exchange.peers));
	if (!exchange.peers) {
		workload_fail(workload, "out of memory");
		return;
	}
	for (uint32_t i = 0; i < connections; i++)
		exchange.peers[i] = (struct peer){.index = i, .qd = -1};
	if (connect_all(&exchange))
		exchange_requests(&exchange);
	exchange_close(&exchange);
}
