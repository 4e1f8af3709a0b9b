/* SPDX-License-Identifier: MIT */
/*
 * demi-bench-stream STACK server|client CPU LOCAL_IP PEER_IP DEVICE
 *                   REQUEST_BYTES RESPONSE_BYTES DEPTH CONNECTIONS ACTIVE TIME_MS
 *
 * On ACTIVE of the connections DEPTH requests are under way at a time. The client prints "median NS
 * minimum NS resident BYTES allocated BYTES": the time for each exchange of all that are made, and
 * the memory that each connection has taken at this end.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pin.h"
#include "stream/stack.h"

#define BATCH_NS 60000.0 /* between two looks at the clock, about */
#define BATCHES_MAX 100000u
#define WARM_UP_NS UINT64_C(20000000)
#define PATIENCE_NS UINT64_C(25000000000)
#define CONNECTING_MAX 32u /* at a time */
#define RETRY_NS UINT64_C(5000000)
#define LAST_WORDS_NS UINT64_C(20000000)

static const struct stack *const stacks[] = {
	&demi_stack,
	&kernel_stack,
#ifdef BENCH_HAVE_LWIP
	&lwip_stack,
#endif
};

static struct options {
	const struct stack *stack;
	struct stack_options common;
	uint32_t request_bytes, response_bytes;
	uint32_t depth;
	uint32_t active;
	uint64_t time_ns;
} options;

/* Bytes of a message of the peer's that have come. */
static uint32_t partial[STREAM_CONNECTIONS_MAX];
static uint32_t retries[STREAM_CONNECTIONS_MAX]; /* connections that are to be connected again */
static uint32_t retry_count;
static uint64_t retry_at_ns;
static uint32_t opened, connecting;
static uint64_t exchanged; /* responses that have come */
static bool has_ended;

uint64_t stream_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- What stacks tell ---- */

uint32_t stream_accepted(void)
{
	return opened++;
}

void stream_opened(uint32_t connection)
{
	(void)connection;
	connecting--;
	opened++;
}

void stream_closed(uint32_t connection)
{
	if (!options.common.is_server && opened < options.common.connections) {
		/* Nobody listens there yet. */
		connecting--;
		retries[retry_count++] = connection;
		retry_at_ns = stream_now_ns() + RETRY_NS;
		return;
	}
	has_ended = true;
}

uint32_t stream_message_bytes(void)
{
	return options.common.is_server ? options.response_bytes : options.request_bytes;
}

uint32_t stream_received(uint32_t connection, uint32_t bytes)
{
	uint32_t whole = options.common.is_server ? options.request_bytes : options.response_bytes;
	uint32_t sum = partial[connection] + bytes;
	uint32_t messages;

	if (sum < whole) {
		partial[connection] = sum;
		return 0;
	}
	/* One message in one piece is the common case: no division for it. */
	messages = sum == whole ? 1 : sum / whole;
	partial[connection] = sum - messages * whole;
	exchanged += messages;
	return messages;
}

/* ---- Memory ---- */

/* Pages of this process, huge ones that were reserved too. */
static uint64_t resident(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long long kib, sum = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "VmRSS: %llu", &kib) == 1 ||
		    sscanf(line, "HugetlbPages: %llu", &kib) == 1)
			sum += kib;
	}
	if (file)
		fclose(file);
	return sum * 1024;
}

/* ---- Client ---- */

static int connect_some(uint32_t *next)
{
	const struct stack *stack = options.stack;
	int error = 0;

	if (retry_count > 0 && stream_now_ns() < retry_at_ns)
		return 0;
	while (!error && connecting < CONNECTING_MAX &&
	       (retry_count > 0 || *next < options.common.connections)) {
		connecting++;
		error = stack->connect(retry_count > 0 ? retries[--retry_count] : (*next)++);
	}
	return error;
}

static int connect_all(void)
{
	uint64_t end_ns = stream_now_ns() + PATIENCE_NS;
	uint32_t next = 0;
	int error = 0;

	while (!error && opened < options.common.connections) {
		error = connect_some(&next);
		if (!error)
			error = options.stack->poll();
		if (!error && stream_now_ns() > end_ns)
			error = -ETIMEDOUT;
	}
	return error;
}

static int exchange(uint64_t count)
{
	uint64_t target = exchanged + count;
	int error = 0;

	while (!error && !has_ended && exchanged < target)
		error = options.stack->poll();
	return has_ended ? -ECONNRESET : error;
}

static int by_value(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* Also how many exchanges a batch is. */
static int warm_up(uint64_t *batch_out)
{
	uint64_t start_ns = stream_now_ns(), begun = exchanged, passed_ns;
	double per_exchange;
	int error = 0;

	for (uint32_t i = 0; !error && i < options.active * options.depth; i++)
		error = options.stack->send(i % options.active, options.request_bytes);
	do {
		if (!error)
			error = exchange(1);
		passed_ns = stream_now_ns() - start_ns;
	} while (!error && passed_ns < WARM_UP_NS);
	if (error)
		return error;
	per_exchange = (double)passed_ns / (double)(exchanged - begun);
	*batch_out = 1 + (uint64_t)(BATCH_NS / per_exchange);
	return 0;
}

static int measure(double *median_out, double *minimum_out)
{
	static double batches[BATCHES_MAX];
	unsigned int count = 0;
	uint64_t batch = 1, end_ns, last_ns;
	int error = warm_up(&batch);

	last_ns = stream_now_ns();
	end_ns = last_ns + options.time_ns;
	while (!error && count < BATCHES_MAX && last_ns < end_ns) {
		uint64_t begun = exchanged, now_ns;

		error = exchange(batch);
		now_ns = stream_now_ns();
		/* One look may bring more than were waited for. */
		batches[count++] = (double)(now_ns - last_ns) / (double)(exchanged - begun);
		last_ns = now_ns;
	}
	if (error || count == 0)
		return error ? error : -ETIMEDOUT;
	qsort(batches, count, sizeof(batches[0]), by_value);
	*median_out = batches[count / 2];
	*minimum_out = batches[0];
	return 0;
}

static int poll_for(uint64_t time_ns)
{
	uint64_t end_ns = stream_now_ns() + time_ns;
	int error = 0;

	while (!error && stream_now_ns() < end_ns)
		error = options.stack->poll();
	return error;
}

/* A device under it may fail when one end goes away while the other looks: neither does. */
static void pause_looking(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 2 * (long)LAST_WORDS_NS}, NULL);
}

static int run_client(void)
{
	const struct stack *stack = options.stack;
	double median = 0, minimum = 0, each = options.common.connections;
	uint64_t resident_before = resident(), allocated_before = stack->allocated();
	double resident_each, allocated_each;
	int error = connect_all();

	resident_each = (double)(resident() - resident_before) / each;
	allocated_each = (double)(stack->allocated() - allocated_before) / each;
	if (!error)
		error = measure(&median, &minimum);
	if (!error)
		printf("median %.1f minimum %.1f resident %.1f allocated %.1f\n", median, minimum,
		       resident_each, allocated_each);
	stack->close(0);
	poll_for(LAST_WORDS_NS);
	pause_looking();
	return error;
}

/* ---- Server ---- */

static int run_server(void)
{
	int error = options.stack->listen();

	while (!error && !has_ended)
		error = options.stack->poll();
	/* The client has closed while answers to it were under way. */
	if (error == -EPIPE || error == -ECONNRESET)
		error = 0;
	poll_for(LAST_WORDS_NS / 4);
	pause_looking();
	return error;
}

/* ---- Options ---- */

static const struct stack *find(const char *name)
{
	for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
		if (strcmp(stacks[i]->name, name) == 0)
			return stacks[i];
	}
	return NULL;
}

static uint32_t number(const char *text)
{
	return (uint32_t)strtoul(text, NULL, 10);
}

static bool parse(char **argv)
{
	options = (struct options){
		.stack = find(argv[1]),
		.common = {.device = argv[6],
			   .local_ip = argv[4],
			   .peer_ip = argv[5],
			   .connections = number(argv[10]),
			   .is_server = strcmp(argv[2], "server") == 0},
		.request_bytes = number(argv[7]),
		.response_bytes = number(argv[8]),
		.depth = number(argv[9]),
		.active = number(argv[11]),
		.time_ns = strtoull(argv[12], NULL, 10) * 1000000,
	};
	return options.stack && options.request_bytes - 1 < STREAM_MESSAGE_MAX &&
	       options.response_bytes - 1 < STREAM_MESSAGE_MAX &&
	       options.depth - 1 < STREAM_DEPTH_MAX &&
	       options.common.connections - 1 < STREAM_CONNECTIONS_MAX &&
	       options.active - 1 < options.common.connections &&
	       bench_pin((unsigned int)atoi(argv[3])) == 0;
}

int main(int argc, char **argv)
{
	int error;

	if (argc != 13 || !parse(argv)) {
		fputs("usage: demi-bench-stream STACK server|client CPU LOCAL_IP PEER_IP DEVICE "
		      "REQUEST_BYTES RESPONSE_BYTES DEPTH CONNECTIONS ACTIVE TIME_MS\n",
		      stderr);
		return 2;
	}
	/* What is the program's own is there before memory is counted. */
	memset(partial, 0, sizeof(partial));
	error = options.stack->start(&options.common);
	if (error)
		return 1;
	error = options.common.is_server ? run_server() : run_client();
	if (error)
		fprintf(stderr, "%s %s: %s\n", argv[1], argv[2], strerror(-error));
	fflush(stdout);
	options.stack->stop();
	return error ? 1 : 0;
}
