/* SPDX-License-Identifier: MIT */
/*
 * demi-bench-device KIND server|client CPU LOCAL_IP PEER_IP DEVICE BYTES TIME_MS
 *
 * The client prints "median NS minimum NS", of one round trip.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "device/exchange.h"
#include "pin.h"

#define BATCH 200u /* round trips between two looks at the clock */
#define BATCHES_MAX 100000u
#define TRIES_MAX 400u /* of 20 ms, until the other end is there */
#define TRY_NS UINT64_C(20000000)

static const struct exchange *const exchanges[] = {
#ifdef BENCH_HAVE_DPDK
	&raw_exchange,
#endif
	&demi_exchange,
	&kernel_exchange,
};

uint64_t exchange_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static const struct exchange *find(const char *name)
{
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
		if (strcmp(exchanges[i]->name, name) == 0)
			return exchanges[i];
	}
	return NULL;
}

static int meet(const struct exchange *exchange)
{
	int error = -ETIMEDOUT;

	for (unsigned int i = 0; i < TRIES_MAX && error == -ETIMEDOUT; i++) {
		error = exchange->send(EXCHANGE_PING);
		if (!error)
			error = exchange->receive(TRY_NS);
	}
	/* Answers to earlier tries. */
	while (!error && exchange->receive(TRY_NS) == 0)
		;
	return error;
}

static int by_value(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static int measure(const struct exchange *exchange, uint64_t time_ns)
{
	static double batches[BATCHES_MAX];
	uint64_t end_ns;
	unsigned int count = 0;
	int error = exchange->round_trips(10 * BATCH);

	end_ns = exchange_now_ns() + time_ns;
	while (!error && count < BATCHES_MAX && exchange_now_ns() < end_ns) {
		uint64_t start_ns = exchange_now_ns();

		error = exchange->round_trips(BATCH);
		batches[count++] = (double)(exchange_now_ns() - start_ns) / BATCH;
	}
	if (error || count == 0)
		return error ? error : -ETIMEDOUT;
	qsort(batches, count, sizeof(batches[0]), by_value);
	printf("median %.1f minimum %.1f\n", batches[count / 2], batches[0]);
	return 0;
}

static int run_client(const struct exchange *exchange, uint64_t time_ns)
{
	int error = meet(exchange);

	if (!error)
		error = measure(exchange, time_ns);
	/* A device under it may lose frames while the other end goes away. */
	for (int i = 0; i < 3; i++) {
		exchange->send(EXCHANGE_STOP);
		if (exchange->receive(TRY_NS) == 0)
			break;
	}
	return error;
}

int main(int argc, char **argv)
{
	const struct exchange *exchange = argc == 9 ? find(argv[1]) : NULL;
	struct exchange_options options;
	int error;

	if (!exchange) {
		fputs("usage: demi-bench-device raw|demi|kernel server|client CPU LOCAL_IP PEER_IP "
		      "DEVICE BYTES TIME_MS\n",
		      stderr);
		return 2;
	}
	options = (struct exchange_options){
		.bytes = (uint32_t)strtoul(argv[7], NULL, 10),
		.local_ip = argv[4],
		.peer_ip = argv[5],
		.device = argv[6],
	};
	if (options.bytes == 0 || options.bytes > EXCHANGE_BYTES_MAX ||
	    bench_pin((unsigned int)atoi(argv[3])) < 0)
		return 2;
	error = exchange->start(&options);
	if (error)
		return 1;
	if (strcmp(argv[2], "server") == 0)
		error = exchange->serve();
	else
		error = run_client(exchange, strtoull(argv[8], NULL, 10) * 1000000);
	if (error)
		fprintf(stderr, "%s %s: %s\n", argv[1], argv[2], strerror(-error));
	exchange->stop();
	return error ? 1 : 0;
}
