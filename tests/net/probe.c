/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile sig_atomic_t stopped;
static volatile sig_atomic_t called;
static uint8_t *stream; /* PROBE_PERIOD bytes more than a piece, in Demi's heap */

static void on_signal(int number)
{
	if (number == SIGUSR1)
		called = 1;
	else
		stopped = 1;
}

void probe_catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
}

bool probe_stopped(void)
{
	return stopped;
}

bool probe_called(void)
{
	return called;
}

void probe_check(int error, const char *what)
{
	if (error == 0)
		return;
	fprintf(stderr, "net-probe: %s: %s\n", what, strerror(error));
	exit(EXIT_FAILURE);
}

struct probe_address probe_parse(const char *host, const char *port)
{
	struct probe_address address = {0};
	uint16_t number = htons((uint16_t)atoi(port));

	if (inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = number;
		address.length = sizeof(address.v4);
	} else if (inet_pton(AF_INET6, host, &address.v6.sin6_addr) == 1) {
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = number;
		address.length = sizeof(address.v6);
	} else {
		fprintf(stderr, "net-probe: %s is no address\n", host);
		exit(EXIT_FAILURE);
	}
	return address;
}

int probe_bound(const struct probe_address *local, int type)
{
	int qd = -1;
	int on = 1;

	probe_check(demi_socket(&qd, local->any.sa_family, type, 0), "demi_socket");
	if (type == SOCK_STREAM)
		demi_setsockopt(qd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	probe_check(demi_bind(qd, &local->any, local->length), "demi_bind");
	return qd;
}

bool probe_wait(demi_qtoken_t token, demi_qresult_t *result)
{
	const struct timespec period = {.tv_nsec = 50000000};

	while (!stopped) {
		int error = demi_wait(result, token, &period);

		if (error == 0)
			return true;
		if (error != ETIMEDOUT && error != EINTR)
			probe_check(error, "demi_wait");
	}
	return false;
}

uint64_t probe_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void make_stream(void)
{
	demi_sgarray_t array = demi_sgaalloc(PROBE_PERIOD + PROBE_PIECE_MAX);
	uint64_t value = 1;

	probe_check(array.sga_numsegs ? 0 : ENOMEM, "demi_sgaalloc");
	stream = array.sga_segs[0].sgaseg_buf;
	for (size_t i = 0; i < PROBE_PERIOD; i++) {
		value = value * 6364136223846793005u + 1442695040888963407u;
		stream[i] = (uint8_t)(value >> 56);
	}
	for (size_t i = PROBE_PERIOD; i < PROBE_PERIOD + PROBE_PIECE_MAX; i += PROBE_PERIOD)
		memcpy(stream + i, stream, PROBE_PERIOD);
}

void *probe_stream(uint64_t offset)
{
	if (!stream)
		make_stream();
	return stream + offset % PROBE_PERIOD;
}

bool probe_is_stream(const demi_sgarray_t *array, uint64_t offset)
{
	for (uint32_t i = 0; i < array->sga_numsegs; i++) {
		const demi_sgaseg_t *segment = &array->sga_segs[i];

		if (segment->sgaseg_len > PROBE_PIECE_MAX ||
		    memcmp(segment->sgaseg_buf, probe_stream(offset), segment->sgaseg_len) != 0)
			return false;
		offset += segment->sgaseg_len;
	}
	return true;
}

size_t probe_length(const demi_sgarray_t *array)
{
	size_t length = 0;

	for (uint32_t i = 0; i < array->sga_numsegs; i++)
		length += array->sga_segs[i].sgaseg_len;
	return length;
}
