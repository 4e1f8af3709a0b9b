/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PUSHES_MAX 2 /* under way at a time */

static const struct timespec period = {.tv_nsec = 10000000};

/* One that pushes and pops at once. */
struct sending {
	int qd;
	uint64_t bytes;
	uint64_t pushed;
	uint64_t popped;
	unsigned pushes; /* under way */
	bool shut;
	bool ended;
};

static void start_pop(int qd)
{
	demi_qtoken_t token;

	probe_check(demi_pop(&token, qd), "demi_pop");
}

/* As many pushes as may be, and the end of the stream behind the last. */
static void push_on(struct sending *sending)
{
	while (sending->pushes < PUSHES_MAX && sending->pushed < sending->bytes) {
		uint64_t rest = sending->bytes - sending->pushed;
		uint32_t length = rest < PROBE_PIECE_MAX ? (uint32_t)rest : PROBE_PIECE_MAX;
		demi_sgarray_t array = {.sga_numsegs = 1};
		demi_qtoken_t token;

		array.sga_segs[0].sgaseg_buf = probe_stream(sending->pushed);
		array.sga_segs[0].sgaseg_len = length;
		probe_check(demi_push(&token, sending->qd, &array), "demi_push");
		sending->pushed += length;
		sending->pushes++;
	}
	if (sending->pushed == sending->bytes && !sending->shut) {
		probe_check(demi_shutdown(sending->qd, SHUT_WR), "demi_shutdown");
		sending->shut = true;
	}
}

static void on_pop(struct sending *sending, demi_sgarray_t *array)
{
	size_t length = probe_length(array);

	if (!probe_is_stream(array, sending->popped)) {
		printf("what came differs within %zu bytes from %" PRIu64 "\n", length,
		       sending->popped);
		probe_check(EBADMSG, "pop");
	}
	sending->popped += length;
	sending->ended = length == 0;
	demi_sgafree(array);
	if (!sending->ended)
		start_pop(sending->qd);
}

void probe_send(const struct probe_address *peer, uint64_t bytes)
{
	struct sending sending = {.bytes = bytes};
	demi_qtoken_t token;
	demi_qresult_t result;
	int count;

	probe_check(demi_socket(&sending.qd, peer->any.sa_family, SOCK_STREAM, 0), "demi_socket");
	probe_check(demi_connect(&token, sending.qd, &peer->any, peer->length), "demi_connect");
	if (!probe_wait(token, &result))
		return;
	probe_check((int)result.qr_ret, "connect");
	puts("connected");
	start_pop(sending.qd);
	push_on(&sending);
	while (!probe_stopped() && (sending.pushes || !sending.ended)) {
		int error = demi_wait_next_n(&result, 1, &count, &period);

		if (error == ETIMEDOUT || error == EINTR)
			continue;
		probe_check(error, "demi_wait_next_n");
		probe_check((int)result.qr_ret, result.qr_opcode == DEMI_OPC_POP ? "pop" : "wait");
		if (result.qr_opcode == DEMI_OPC_POP) {
			on_pop(&sending, &result.qr_value.sga);
		} else {
			sending.pushes--;
			push_on(&sending);
		}
	}
	printf("sent %" PRIu64 " received %" PRIu64 "\n", sending.pushed, sending.popped);
	probe_check(demi_close(sending.qd), "demi_close");
}

static void greet(int qd)
{
	static const char greeting[] = "welcome";
	demi_sgarray_t array = demi_sgaalloc(strlen(greeting));
	demi_qtoken_t token;
	demi_qresult_t result;

	probe_check(array.sga_numsegs ? 0 : ENOMEM, "demi_sgaalloc");
	memcpy(array.sga_segs[0].sgaseg_buf, greeting, strlen(greeting));
	if (demi_push(&token, qd, &array) == 0)
		probe_wait(token, &result); /* a peer that has gone is greeted in vain */
	demi_sgafree(&array);
	probe_check(demi_close(qd), "demi_close");
}

void probe_backlog(const struct probe_address *local, int backlog)
{
	int qd = probe_bound(local, SOCK_STREAM);
	demi_qtoken_t token;
	demi_qresult_t result;
	int count;

	probe_check(demi_listen(qd, backlog), "demi_listen");
	puts("ready");
	while (!probe_stopped() && !probe_called())
		demi_wait_next_n(&result, 1, &count,
				 &period); /* nothing to come: the stack's turn */
	while (!probe_stopped()) {
		probe_check(demi_accept(&token, qd), "demi_accept");
		if (!probe_wait(token, &result))
			return;
		probe_check((int)result.qr_ret, "accept");
		greet(result.qr_value.ares.qd);
	}
}
