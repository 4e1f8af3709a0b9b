/* SPDX-License-Identifier: MIT */
/*
 * What Catnip costs for a datagram that is received and echoed, without a device: the "null" one
 * receives the same datagram without end and drops what is sent.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>

#include <demi/demi.h>

#include "micro.h"

#define POPS 32
#define PORT 7

struct echo_state {
	int qd;
};

static void must(bool condition)
{
	if (!condition)
		abort();
}

/* @burst: datagrams that are there at each look */
static int start(uint64_t burst)
{
	char device[64];
	int error;

	snprintf(device, sizeof(device), "null:port=7,bytes=64,burst=%u", (unsigned int)burst);
	setenv("LIBOS", "catnip", 1);
	setenv("DEMI_NET_DEV", device, 1);
	setenv("DEMI_NET_IP", "10.80.0.1/24", 1);
	error = -demi_init(NULL);
	unsetenv("LIBOS");
	unsetenv("DEMI_NET_DEV");
	unsetenv("DEMI_NET_IP");
	return error;
}

static void tear_down(void *state)
{
	demi_fini();
	free(state);
}

static int set_up(void **state_out, uint64_t argument)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct echo_state *echo = calloc(1, sizeof(*echo));
	demi_qtoken_t token;
	int error;

	if (!echo)
		return -ENOMEM;
	error = start(argument);
	if (error) {
		free(echo);
		return error;
	}
	error = -demi_socket(&echo->qd, AF_INET, SOCK_DGRAM, 0);
	if (!error)
		error = -demi_bind(echo->qd, (struct sockaddr *)&address, sizeof(address));
	for (int i = 0; !error && i < POPS; i++)
		error = -demi_pop(&token, echo->qd);
	if (error) {
		tear_down(echo);
		return error;
	}
	*state_out = echo;
	return 0;
}

static void echo_one(const struct echo_state *echo, demi_sgarray_t *array)
{
	demi_qtoken_t token;

	must(demi_pushto(&token, echo->qd, array, (struct sockaddr *)&array->sga_addr,
			 sizeof(array->sga_addr)) == 0);
	must(demi_sgafree(array) == 0);
	must(demi_pop(&token, echo->qd) == 0);
}

static uint64_t run(void *state, uint64_t iterations)
{
	const struct echo_state *echo = state;
	uint64_t done = 0;

	while (done < iterations) {
		demi_qresult_t results[POPS];
		int count;

		must(demi_wait_next_n(results, POPS, &count, NULL) == 0);
		for (int i = 0; i < count; i++) {
			must(results[i].qr_opcode != DEMI_OPC_FAILED);
			if (results[i].qr_opcode != DEMI_OPC_POP)
				continue;
			echo_one(echo, &results[i].qr_value.sga);
			done++;
		}
	}
	return 0;
}

#define ECHO_NS_MAX 125.0 /* 8 million a second */

const struct micro datagram_micros[] = {
	{.name = "datagram/echo",
	 .label = "receive, look up, complete, echo, send: 64 B",
	 .unit = "ns",
	 .goal_kind = GOAL_VALUE,
	 .goal = ECHO_NS_MAX,
	 .argument = 32,
	 .counted = 64000,
	 .counter = "datagram received and echoed, 64 B",
	 .set_up = set_up,
	 .run = run,
	 .tear_down = tear_down},
	{.name = "datagram/echo-alone",
	 .label = "the same, each datagram alone",
	 .unit = "ns",
	 .argument = 1,
	 .counted = 64000,
	 .counter = "datagram received and echoed alone, 64 B",
	 .set_up = set_up,
	 .run = run,
	 .tear_down = tear_down},
	{.name = NULL},
};

static int run_group(const struct bench_options *options, struct report *report)
{
	return micro_run(datagram_micros, options, report);
}

static void list(void)
{
	micro_list(datagram_micros);
}

const struct bench_group datagram_group = {
	.name = "datagram",
	.title = "datagrams on one core, without a device",
	.help = "  One echo server over the public API, 32 pops outstanding. The device costs what it\n"
		"  takes to write the frame, and nothing for what is sent.",
	.run = run_group,
	.list = list,
};
