/* SPDX-License-Identifier: MIT */
/* The public API, as demi-echo uses it; which libOS and device the environment says. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <demi/demi.h>

#include "device/exchange.h"

static int socket_qd = -1;
static uint32_t bytes;
static demi_qtoken_t pop_token;

static int fail(const char *what, int error)
{
	fprintf(stderr, "demi: %s: %s\n", what, strerror(error));
	return -error;
}

static int demi_start(const struct exchange_options *options)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(EXCHANGE_PORT)};
	struct sockaddr_in peer = local;
	demi_qresult_t result;
	demi_qtoken_t token;
	int error = demi_init(NULL);

	bytes = options->bytes;
	inet_pton(AF_INET, options->local_ip, &local.sin_addr);
	inet_pton(AF_INET, options->peer_ip, &peer.sin_addr);
	if (error)
		return fail("init", error);
	error = demi_socket(&socket_qd, AF_INET, SOCK_DGRAM, 0);
	if (!error)
		error = demi_bind(socket_qd, (struct sockaddr *)&local, sizeof(local));
	if (!error)
		error = demi_connect(&token, socket_qd, (struct sockaddr *)&peer, sizeof(peer));
	if (!error)
		error = demi_wait(&result, token, NULL);
	if (!error)
		error = (int)result.qr_ret;
	if (!error)
		error = demi_pop(&pop_token, socket_qd);
	return error ? fail("socket", error) : 0;
}

/* Send the array and let go of it; UDP's push is done when the device has it. */
static int push(demi_sgarray_t *array)
{
	demi_qresult_t result;
	demi_qtoken_t token;
	int error = demi_push(&token, socket_qd, array);

	if (!error)
		error = demi_wait(&result, token, NULL);
	demi_sgafree(array);
	return -error;
}

/* The next datagram; the pop for the one after it is asked for at once. */
static int pop(demi_sgarray_t *array, const struct timespec *timeout)
{
	demi_qresult_t result;
	int error = demi_wait(&result, pop_token, timeout);

	if (error)
		return -error;
	error = demi_pop(&pop_token, socket_qd);
	if (result.qr_opcode == DEMI_OPC_FAILED)
		return result.qr_ret == ECONNREFUSED ? -ETIMEDOUT : -(int)result.qr_ret;
	*array = result.qr_value.sga;
	return -error;
}

static int demi_serve(void)
{
	for (;;) {
		demi_sgarray_t array;
		int error = pop(&array, NULL);
		char kind = '\0';

		if (error == -ETIMEDOUT)
			continue;
		if (!error) {
			kind = *(char *)array.sga_segs[0].sgaseg_buf;
			error = push(&array);
		}
		if (error || kind == EXCHANGE_STOP)
			return error;
	}
}

static int demi_send(char kind)
{
	demi_sgarray_t array = demi_sgaalloc(bytes);

	if (!array.sga_buf)
		return -ENOMEM;
	memset(array.sga_segs[0].sgaseg_buf, kind, bytes);
	return push(&array);
}

static int demi_receive(uint64_t timeout_ns)
{
	struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
				   .tv_nsec = (long)(timeout_ns % 1000000000)};
	demi_sgarray_t array;
	int error = pop(&array, timeout_ns ? &timeout : NULL);

	if (!error)
		demi_sgafree(&array);
	return error;
}

static int demi_round_trips(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		int error = demi_send(EXCHANGE_PING);

		if (!error)
			error = demi_receive(0);
		if (error)
			return error;
	}
	return 0;
}

static void demi_stop(void)
{
	demi_close(socket_qd);
	demi_fini();
}

const struct exchange demi_exchange = {
	.name = "demi",
	.start = demi_start,
	.serve = demi_serve,
	.send = demi_send,
	.receive = demi_receive,
	.round_trips = demi_round_trips,
	.stop = demi_stop,
};
