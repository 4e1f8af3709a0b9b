/* SPDX-License-Identifier: MIT */
/*
 * demi-ping: asks a host for echoes, over a socket for them (icmp(7)), and says which came back and how
 * long they took. The kernel's ping cannot: it sends from the kernel's addresses.
 *
 * The payload follows from the sequence number and the offset, so that each answer is verified as a
 * whole. What is too late for the summary, comes twice or was changed is said.
 */
#include <demi/demi.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "options.h"

#define HEADER_BYTES 8
#define REQUEST_V4 8
#define REQUEST_V6 128
#define REPLY_V4 0
#define REPLY_V6 129
#define NS_PER_MS 1e6
#define NS_PER_S UINT64_C(1000000000)
#define WAIT_NS_MAX (NS_PER_S / 100) /* so that a signal is seen soon */
#define REMEMBERED 65536u            /* sequence numbers: as many as there are */

struct ping {
	const struct options *options;
	int qd;
	demi_qtoken_t pop_qt;
	uint32_t sent, received, duplicates, changed;
	double sum_ms, square_ms, min_ms, max_ms;
	uint64_t sent_ns[REMEMBERED]; /* by sequence number; 0: answered, or never asked */
};

static volatile sig_atomic_t stops;

static void on_signal(int number)
{
	(void)number;
	stops = 1;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint8_t byte_at(uint16_t sequence, size_t offset)
{
	return (uint8_t)(offset + offset / 256 + 7 * (size_t)sequence);
}

/* Says which call failed; returns its error, a positive errno. */
static int failed(const char *what, int error)
{
	if (error)
		fprintf(stderr, "demi-ping: %s: %s\n", what, strerror(error));
	return error;
}

/* --- out --- */

static void write_request(const struct ping *ping, uint8_t *message, uint16_t sequence)
{
	/* The stack fills in the identifier and the checksum. */
	memset(message, 0, HEADER_BYTES);
	message[0] = ping->options->address.any.sa_family == AF_INET ? REQUEST_V4 : REQUEST_V6;
	message[6] = (uint8_t)(sequence >> 8);
	message[7] = (uint8_t)sequence;
	for (size_t i = 0; i < ping->options->size; i++)
		message[HEADER_BYTES + i] = byte_at(sequence, i);
}

static int send_request(struct ping *ping)
{
	uint16_t sequence = (uint16_t)(ping->sent + 1);
	demi_sgarray_t array = demi_sgaalloc(HEADER_BYTES + ping->options->size);
	demi_qresult_t result;
	demi_qtoken_t token;

	if (array.sga_numsegs == 0)
		return failed("memory", ENOMEM);
	write_request(ping, array.sga_segs[0].sgaseg_buf, sequence);
	ping->sent_ns[sequence] = now_ns();
	int error = demi_push(&token, ping->qd, &array);
	demi_sgafree(&array);
	do {
		if (!error)
			error = demi_wait(&result, token, NULL);
	} while (error == EINTR);
	if (!error && result.qr_opcode == DEMI_OPC_FAILED)
		error = (int)result.qr_ret;
	ping->sent++;
	return failed(ping->options->address_text, error);
}

/* --- in --- */

static bool is_intact(const struct ping *ping, const uint8_t *message, size_t bytes,
		      uint16_t sequence)
{
	if (bytes != HEADER_BYTES + ping->options->size)
		return false;
	for (size_t i = 0; i < ping->options->size; i++) {
		if (message[HEADER_BYTES + i] != byte_at(sequence, i))
			return false;
	}
	return true;
}

static void count_time(struct ping *ping, double ms)
{
	ping->min_ms = ping->received == 0 || ms < ping->min_ms ? ms : ping->min_ms;
	ping->max_ms = ms > ping->max_ms ? ms : ping->max_ms;
	ping->sum_ms += ms;
	ping->square_ms += ms * ms;
	ping->received++;
}

static void take_reply(struct ping *ping, const uint8_t *message, size_t bytes)
{
	bool is_v4 = ping->options->address.any.sa_family == AF_INET;
	uint16_t sequence = (uint16_t)(message[6] << 8 | message[7]);
	uint64_t sent_ns = ping->sent_ns[sequence];
	double ms = (double)(now_ns() - sent_ns) / NS_PER_MS;
	const char *remark = "";

	if (message[0] != (is_v4 ? REPLY_V4 : REPLY_V6))
		return;
	if (!is_intact(ping, message, bytes, sequence)) {
		ping->changed++;
		remark = ", changed";
	} else if (!sent_ns) {
		ping->duplicates++;
		remark = ", a duplicate";
	} else {
		ping->sent_ns[sequence] = 0;
		count_time(ping, ms);
	}
	if (ping->options->quiet)
		return;
	printf("%zu bytes from %s: sequence %u", bytes, ping->options->address_text, sequence);
	if (sent_ns)
		printf(", %.3f ms", ms);
	printf("%s\n", remark);
	fflush(stdout);
}

static void take_array(struct ping *ping, demi_sgarray_t *array)
{
	if (array->sga_numsegs == 1 && array->sga_segs[0].sgaseg_len >= HEADER_BYTES)
		take_reply(ping, array->sga_segs[0].sgaseg_buf, array->sga_segs[0].sgaseg_len);
	else
		ping->changed++;
	demi_sgafree(array);
}

enum enough { ENOUGH_NONE, ENOUGH_LAST, ENOUGH_ALL };

/* Whether no answer is waited for any more: none at all, or none to the last request. */
static bool is_enough(const struct ping *ping, enum enough enough)
{
	if (ping->received == ping->sent)
		return enough != ENOUGH_NONE;
	return enough == ENOUGH_LAST && ping->sent_ns[(uint16_t)ping->sent] == 0;
}

/* Take what comes until then, or until that is enough. */
static int receive_until(struct ping *ping, uint64_t end_ns, enum enough enough)
{
	while (!stops && !is_enough(ping, enough)) {
		uint64_t now = now_ns();
		if (now >= end_ns)
			break;
		uint64_t left_ns = end_ns - now < WAIT_NS_MAX ? end_ns - now : WAIT_NS_MAX;
		const struct timespec timeout = {.tv_nsec = (long)left_ns};
		demi_qresult_t result;
		int error = demi_wait(&result, ping->pop_qt, &timeout);
		if (error == ETIMEDOUT || error == EINTR)
			continue;
		if (!error && result.qr_opcode == DEMI_OPC_FAILED)
			error = (int)result.qr_ret;
		if (!error)
			take_array(ping, &result.qr_value.sga);
		else if (result.qr_opcode != DEMI_OPC_FAILED || error == ENETDOWN)
			return failed("receive", error); /* as would be all that comes */
		else
			failed(ping->options->address_text, error); /* told of one request */
		error = demi_pop(&ping->pop_qt, ping->qd);
		if (error)
			return failed("receive", error);
	}
	return 0;
}

/* --- all of it --- */

static int open_socket(struct ping *ping)
{
	const struct options *options = ping->options;
	bool is_v4 = options->address.any.sa_family == AF_INET;
	demi_qtoken_t token;
	demi_qresult_t result;

	int error = demi_socket(&ping->qd, options->address.any.sa_family, SOCK_DGRAM,
				is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	if (error == EACCES) {
		fputs("demi-ping: the kernel lets nobody of this group send echo requests; see "
		      "ping_group_range in icmp(7)\n",
		      stderr);
		return error;
	}
	if (error)
		return failed("socket", error);
	error = demi_connect(&token, ping->qd, &options->address.any, options->address_length);
	if (!error)
		error = demi_wait(&result, token, NULL);
	if (!error && result.qr_opcode == DEMI_OPC_FAILED)
		error = (int)result.qr_ret;
	if (!error)
		error = demi_pop(&ping->pop_qt, ping->qd);
	return failed(options->address_text, error);
}

static int exchange(struct ping *ping)
{
	const struct options *options = ping->options;
	int error = open_socket(ping);
	uint64_t next_ns = now_ns();

	while (!error && !stops && ping->sent < options->count) {
		error = send_request(ping);
		next_ns += options->interval_ns;
		if (error || ping->sent == options->count)
			break;
		if (options->interval_ns)
			error = receive_until(ping, next_ns, ENOUGH_NONE);
		else
			error = receive_until(ping, now_ns() + options->timeout_ns, ENOUGH_LAST);
	}
	if (!error)
		error = receive_until(ping, now_ns() + options->timeout_ns, ENOUGH_ALL);
	return error;
}

static void print_summary(const struct ping *ping)
{
	double count = ping->received ? (double)ping->received : 1;
	double mean_ms = ping->sum_ms / count;
	double variance = ping->square_ms / count - mean_ms * mean_ms;

	printf("%u sent, %u received, %u lost", ping->sent, ping->received,
	       ping->sent - ping->received);
	if (ping->duplicates)
		printf(", %u duplicates", ping->duplicates);
	if (ping->changed)
		printf(", %u changed", ping->changed);
	putchar('\n');
	if (ping->received)
		printf("round trip min %.3f, mean %.3f, max %.3f, deviation %.3f ms\n",
		       ping->min_ms, mean_ms, ping->max_ms, sqrt(variance > 0 ? variance : 0));
}

int main(int argc, char **argv)
{
	static struct ping ping;
	static struct options options;
	struct sigaction action = {.sa_handler = on_signal};

	int status = options_parse(&options, argc, argv);
	if (status >= 0)
		return status;
	ping.options = &options;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	int error = failed("the library OS does not start", demi_init(NULL));
	if (error)
		return EXIT_FAILURE;
	error = exchange(&ping);
	if (ping.sent)
		print_summary(&ping);
	demi_fini();
	return error || ping.received < ping.sent || ping.changed ? EXIT_FAILURE : EXIT_SUCCESS;
}
