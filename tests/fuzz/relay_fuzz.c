/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for the whole server, on Catnip over the device sim, from its options to its end. A
 * second runtime of the same thread, on the other end of the link, has three clients of UDP, two of
 * TCP, and a peer. An input is steps: what they send, raw or with right credentials behind it, time
 * that passes, connections that come and go. The server's loop asks between its rounds whether it is
 * to stop, and then they have their turn.
 *
 * Nothing may come to the peer, or from it to a client, before a permission was granted; no answer to
 * who has not shown who he is exceeds its request by more than it must; when all have gone the
 * library holds nothing.
 */
#include <arpa/inet.h>
#include <demi/demi.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "server.h"
#include "stun_integrity.h"
#include "turn_state.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))
#define CLIENTS 3u
#define STREAMS 2u
#define ENDS (CLIENTS + STREAMS + 1u) /* the peer is the last one */
#define PEER (ENDS - 1)
#define FIRST_PORT 4000u
#define SERVER_PORT 3478u
#define ROUNDS 3u /* of the server, for what a step has brought, and its answer */
#define STEPS_MAX 64u
#define REQUEST_BYTES_MAX 1400u
#define STRANGER_GROWTH 96u /* an answer to who has not shown who he is, beyond his request */
#define COOKIE_HIGH 0x2112u
#define FIRST_NOW_NS (1000 * TURN_NS_PER_S)
#define FIRST_UNIX_S UINT64_C(1700000000)

enum step { STEP_RAW, STEP_SIGNED, STEP_PEER, STEP_TIME, STEP_CONNECT, STEP_CLOSE, STEPS };

/* One socket of the other runtime. */
struct end {
	int qd;
	demi_qtoken_t pop, connect;
	bool is_connected;
	bool has_nonce;
	char nonce[NONCE_CHARACTERS];
	uint32_t asked_bytes; /* of unsigned requests, UDP: answers do not exceed them by much */
	uint32_t answers;     /* that they may still bring */
};

static struct {
	struct options options;
	struct server server;
	demi_runtime_t *other; /* of the two, that the thread has not */
	struct end ends[ENDS];
	const uint8_t *data;
	size_t size;
	unsigned int rounds, steps;
	uint64_t now_ns;
	bool granted;         /* to anybody */
	uint16_t relayed[16]; /* ports, as answers said */
	unsigned int relayed_count;
	unsigned int transaction;
	uint64_t heap_bytes; /* the server's library has in use after an input of nothing */
} test;

static _Noreturn void fail(const char *condition, int line)
{
	fprintf(stderr, "relay_fuzz.c:%d: not so: %s\n", line, condition);
	abort();
}

/* ---- In the place of process.c, of waits and of chance ---- */

int __real_demi_wait_next_n(demi_qresult_t *results, int room, int *count,
			    const struct timespec *timeout);
int __wrap_demi_wait_next_n(demi_qresult_t *results, int room, int *count,
			    const struct timespec *timeout);
ssize_t __wrap_getrandom(void *buffer, size_t length, unsigned int flags);

int __wrap_demi_wait_next_n(demi_qresult_t *results, int room, int *count,
			    const struct timespec *timeout)
{
	(void)timeout;
	return __real_demi_wait_next_n(results, room, count, &(struct timespec){0});
}

ssize_t __wrap_getrandom(void *buffer, size_t length, unsigned int flags)
{
	(void)flags;
	memset(buffer, 7, length);
	return (ssize_t)length;
}

uint64_t process_now_ns(void)
{
	return test.now_ns;
}

uint64_t process_unix_s(void)
{
	return FIRST_UNIX_S + (test.now_ns - FIRST_NOW_NS) / TURN_NS_PER_S;
}

bool process_report_requested(void)
{
	return false;
}

static void change_runtime(void)
{
	demi_runtime_t *mine = NULL;

	must(demi_detach(&mine) == 0);
	must(demi_attach(test.other) == 0);
	test.other = mine;
}

/* ---- What comes to the ends ---- */

static struct sockaddr_in address_of(const char *ip, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	must(inet_pton(AF_INET, ip, &address.sin_addr) == 1);
	return address;
}

static void note_answer(struct end *end, const struct stun_message *answer)
{
	const uint8_t *value;
	size_t length;

	value = stun_value(answer, STUN_NONCE, &length);
	if (value && length == NONCE_CHARACTERS) {
		memcpy(end->nonce, value, length);
		end->has_nonce = true;
	}
	if (answer->class != STUN_SUCCESS)
		return;
	if (answer->method == STUN_METHOD_CREATE_PERMISSION ||
	    answer->method == STUN_METHOD_CHANNEL_BIND)
		test.granted = true;
	value = stun_value(answer, STUN_XOR_RELAYED_ADDRESS, &length);
	if (value && length == 8 && test.relayed_count < sizeof(test.relayed) / sizeof(uint16_t))
		test.relayed[test.relayed_count++] = (uint16_t)(stun_get_16(value + 2) ^
								COOKIE_HIGH);
}

static void check_datagram(struct end *end, const uint8_t *bytes, size_t length)
{
	struct stun_message message;

	if (length >= TURN_CHANNEL_HEADER_BYTES && bytes[0] >> 6 == 1) {
		must(test.granted);
		return;
	}
	must(stun_parse(&message, bytes, length) == 0);
	if (message.class == STUN_INDICATION) {
		must(message.method == STUN_METHOD_DATA && test.granted);
		return;
	}
	must(message.class >= STUN_SUCCESS);
	if (!stun_has(&message, STUN_MESSAGE_INTEGRITY) &&
	    !stun_has(&message, STUN_MESSAGE_INTEGRITY_SHA256)) {
		must(end->answers > 0 && length <= end->asked_bytes + STRANGER_GROWTH);
		end->answers--;
	}
	note_answer(end, &message);
}

/* Messages of a stream that lie in a piece as a whole; others are only read past. */
static void read_stream(struct end *end, const uint8_t *bytes, size_t length)
{
	struct stun_message message;

	while (length >= STUN_HEADER_BYTES && bytes[0] >> 6 == 0) {
		size_t part = STUN_HEADER_BYTES + stun_get_16(bytes + 2);

		if (part > length || stun_parse(&message, bytes, part) != 0)
			return;
		must(message.class != STUN_INDICATION || test.granted);
		note_answer(end, &message);
		bytes += part;
		length -= part;
	}
}

static void received(unsigned int number, demi_sgarray_t *array)
{
	struct end *end = &test.ends[number];

	for (uint32_t i = 0; i < array->sga_numsegs; i++) {
		const demi_sgaseg_t *segment = &array->sga_segs[i];

		if (number == PEER)
			must(test.granted);
		else if (number < CLIENTS)
			check_datagram(end, segment->sgaseg_buf, segment->sgaseg_len);
		else
			read_stream(end, segment->sgaseg_buf, segment->sgaseg_len);
	}
	must(demi_sgafree(array) == 0);
}

static void pop_next(struct end *end)
{
	if (demi_pop(&end->pop, end->qd) != 0)
		end->pop = 0;
}

static void end_close(struct end *end)
{
	if (end->qd < 0)
		return;
	demi_close(end->qd);
	*end = (struct end){.qd = -1};
}

static void on_result(demi_qresult_t *result)
{
	unsigned int number = 0;
	struct end *end;

	while (number < ENDS && (test.ends[number].qd < 0 || test.ends[number].qd != result->qr_qd))
		number++;
	end = number < ENDS ? &test.ends[number] : NULL;
	if (end && result->qr_qt == end->pop) {
		if (result->qr_opcode == DEMI_OPC_POP && result->qr_value.sga.sga_numsegs > 0 &&
		    (number < CLIENTS || number == PEER ||
		     result->qr_value.sga.sga_segs[0].sgaseg_len > 0)) {
			received(number, &result->qr_value.sga);
			pop_next(end);
		} else if (result->qr_opcode == DEMI_OPC_POP || number >= CLIENTS) {
			if (result->qr_opcode == DEMI_OPC_POP)
				demi_sgafree(&result->qr_value.sga);
			end_close(end); /* the stream has ended */
		} else {
			pop_next(end);
		}
	} else if (end && result->qr_qt == end->connect) {
		end->connect = 0;
		end->is_connected = result->qr_opcode == DEMI_OPC_CONNECT;
		if (end->is_connected)
			pop_next(end);
		else
			end_close(end);
	} else if (result->qr_opcode == DEMI_OPC_POP) {
		demi_sgafree(&result->qr_value.sga);
	}
}

static void collect(void)
{
	demi_qresult_t results[16];
	int count = 1;

	while (demi_wait_next_n(results, 16, &count, &(struct timespec){0}) == 0) {
		for (int i = 0; i < count; i++)
			on_result(&results[i]);
	}
}

/* ---- What the ends do ---- */

static void send_bytes(struct end *end, const uint8_t *bytes, size_t length, uint16_t port)
{
	struct sockaddr_in to = address_of("10.0.0.2", port);
	demi_sgarray_t array = {.sga_numsegs = 1};
	demi_qtoken_t token;
	uint8_t *copy;

	if (end->qd < 0 || length == 0)
		return;
	copy = demi_malloc(length);
	must(copy);
	memcpy(copy, bytes, length);
	array.sga_segs[0] = (demi_sgaseg_t){copy, (uint32_t)length};
	if (end - test.ends < (ptrdiff_t)CLIENTS || end == &test.ends[PEER])
		demi_pushto(&token, end->qd, &array, (struct sockaddr *)&to, sizeof(to));
	else if (end->is_connected)
		demi_push(&token, end->qd, &array);
	demi_free(copy);
}

static void send_request(struct end *end, const uint8_t *bytes, size_t length)
{
	end->answers++;
	if (length > end->asked_bytes)
		end->asked_bytes = (uint32_t)length;
	send_bytes(end, bytes, length, SERVER_PORT);
}

/* A method, attributes as they come, and credentials that are right. */
static void send_signed(struct end *end, const uint8_t *data, size_t size)
{
	static const enum stun_method methods[] = {STUN_METHOD_ALLOCATE, STUN_METHOD_REFRESH,
						   STUN_METHOD_CREATE_PERMISSION,
						   STUN_METHOD_CHANNEL_BIND};
	const struct stun_text user = {"user", 4}, realm = {"realm", 5}, password = {"secret", 6};
	uint8_t bytes[REQUEST_BYTES_MAX], transaction[STUN_TRANSACTION_BYTES] = {0};
	struct sockaddr_in peer = address_of("10.0.0.1", FIRST_PORT + PEER);
	struct net_address address;
	struct stun_writer writer;
	struct stun_key key;

	if (size < 1)
		return;
	stun_put_32(transaction, ++test.transaction);
	stun_begin(&writer, bytes, sizeof(bytes), methods[data[0] % 4], STUN_REQUEST, transaction);
	if (data[0] & 0x08)
		stun_add_32(&writer, STUN_TYPE_REQUESTED_TRANSPORT, 17u << 24);
	if (data[0] & 0x10) {
		net_address_from(&address, (struct sockaddr *)&peer);
		stun_add_address(&writer, STUN_TYPE_XOR_PEER_ADDRESS, &address);
	}
	if (data[0] & 0x20)
		stun_add_32(&writer, STUN_TYPE_CHANNEL_NUMBER, 0x4001u << 16);
	size = (size - 1) & ~(size_t)3;
	memcpy(bytes + writer.length, data + 1, size);
	writer.length += size;
	stun_put_16(bytes + 2, writer.length - STUN_HEADER_BYTES);
	stun_add(&writer, STUN_TYPE_USERNAME, user.text, user.length);
	stun_add(&writer, STUN_TYPE_REALM, realm.text, realm.length);
	if (end->has_nonce)
		stun_add(&writer, STUN_TYPE_NONCE, end->nonce, sizeof(end->nonce));
	stun_key_make(&key, STUN_ALGORITHM_MD5, user, realm, password);
	stun_add_integrity(&writer, &key);
	must(!writer.is_full);
	send_request(end, bytes, writer.length);
}

static int make_socket(int type, unsigned int number)
{
	struct sockaddr_in own = address_of("10.0.0.1", (uint16_t)(FIRST_PORT + number));
	int qd = -1;

	must(demi_socket(&qd, AF_INET, type, 0) == 0);
	if (type == SOCK_DGRAM)
		must(demi_bind(qd, (struct sockaddr *)&own, sizeof(own)) == 0);
	return qd;
}

static void connect_stream(struct end *end)
{
	struct sockaddr_in to = address_of("10.0.0.2", SERVER_PORT);
	struct linger linger = {.l_onoff = 1};

	if (end->qd >= 0)
		return;
	end->qd = make_socket(SOCK_STREAM, 0);
	/* Its port is free again at once. */
	must(demi_setsockopt(end->qd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
	if (demi_connect(&end->connect, end->qd, (struct sockaddr *)&to, sizeof(to)) != 0)
		end_close(end);
}

static void do_step(unsigned int what, const uint8_t *data, size_t size)
{
	unsigned int number = what / STEPS;
	struct end *end = &test.ends[number % PEER],
		   *stream = &test.ends[CLIENTS + number % STREAMS];

	switch ((enum step)(what % STEPS)) {
	case STEP_RAW:
		send_request(end, data, size);
		break;
	case STEP_SIGNED:
		send_signed(end, data, size);
		break;
	case STEP_PEER:
		if (test.relayed_count)
			send_bytes(&test.ends[PEER], data, size,
				   test.relayed[number % test.relayed_count]);
		break;
	case STEP_TIME:
		test.now_ns += (size ? data[0] : 1) * TURN_NS_PER_S;
		break;
	case STEP_CONNECT:
		connect_stream(stream);
		break;
	default:
		end_close(stream);
		break;
	}
}

/* Each step: what and who, how long, and so many bytes. Return: whether there was one. */
static bool next_step(void)
{
	size_t length;

	if (test.size < 2 || test.steps == STEPS_MAX)
		return false;
	length = test.data[1] < test.size - 2 ? test.data[1] : test.size - 2;
	do_step(test.data[0], test.data + 2, length);
	test.data += 2 + length;
	test.size -= 2 + length;
	test.steps++;
	return true;
}

static void begin_ends(void)
{
	static const uint8_t allocate[] = {0, 3, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1,  2,
					   3, 4, 5, 6, 7,    8,    9,    10,   11, 12};

	for (unsigned int number = 0; number < ENDS; number++) {
		struct end *end = &test.ends[number];

		*end = (struct end){.qd = -1};
		if (number >= CLIENTS && number != PEER)
			continue;
		end->qd = make_socket(SOCK_DGRAM, number);
		pop_next(end);
		if (number != PEER)
			send_request(end, allocate, sizeof(allocate)); /* for its nonce */
	}
}

/* ---- One input ---- */

/* Limits hold whatever came; asked by the server before each round. */
static void check_limits(void)
{
	const struct turn *turn = &test.server.turn;
	const struct turn_settings *settings = &test.options.turn;

	must(turn->allocations.count <= settings->allocations_max);
	must(turn->permissions.count <= settings->allocations_max * settings->permissions_max);
	must(turn->reserved_count <= settings->reservations_max);
	must(test.server.connection_count <= test.options.connections_max);
}

bool process_stop_requested(void)
{
	bool stop = false;

	check_limits();
	change_runtime();
	if (test.rounds == 0 && test.steps == 0)
		begin_ends();
	else
		collect();
	if (test.rounds++ >= 2 * ROUNDS && test.rounds % ROUNDS == 0)
		stop = !next_step();
	if (stop) {
		for (unsigned int number = 0; number < ENDS; number++)
			end_close(&test.ends[number]);
	}
	collect();
	change_runtime();
	return stop;
}

/* Of what an input brought nothing is left in the server's heap. */
static void check_heap(void)
{
	demi_heap_stats_t stats;

	must(demi_heap_stats(&stats) == 0);
	if (!test.heap_bytes)
		test.heap_bytes = stats.bytes_in_use;
	must(stats.bytes_in_use == test.heap_bytes && stats.bytes_held_only == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* Small, since both runtimes start anew for each input. */
	static const char *const settings[][2] = {
		{"LIBOS", "catnip"},
		{"DEMI_NET_DEV", "sim:fuzz,flight_max=128"},
		{"DEMI_LOG_LEVEL", "error"},
		{"DEMI_NET_FRAMES", "256"},
		{"DEMI_TCP_CONNECTIONS_MAX", "16"},
		{"DEMI_TCP_SYN_BACKLOG_MAX", "8"},
		{"DEMI_TCP_TIME_WAIT_MAX", "8"},
		{"DEMI_RUNTIME_OPERATIONS_MAX", "1024"},
		{"DEMI_RUNTIME_QUEUES_MAX", "128"},
	};
	static const char *const words[] = {
		"demi-relay",
		"--listen=10.0.0.2:3478",
		"--relay-ip=10.0.0.2",
		"--user=user:secret",
		"--realm=realm",
		"--allow-private-peers",
		"--quiet",
		"--max-allocations=4",
		"--max-permissions=4",
		"--max-channels=4",
		"--max-reservations=2",
		"--max-connections=2",
		"--ports=50000-50015",
		"--nonce-lifetime=0",
	};

	(void)argc;
	(void)argv;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		setenv(settings[i][0], settings[i][1], 1);
	/* What the server says to its operator. */
	must(freopen("/dev/null", "w", stdout) != NULL);
	must(options_parse(&test.options, sizeof(words) / sizeof(words[0]),
			   (char **)(uintptr_t)words) < 0);
	return 0;
}

static void run(const uint8_t *data, size_t size)
{
	test.data = data;
	test.size = size;
	test.rounds = test.steps = test.relayed_count = test.transaction = 0;
	test.now_ns = FIRST_NOW_NS;
	test.granted = false;
	setenv("DEMI_NET_IP", "10.0.0.1/24", 1);
	must(demi_init(NULL) == 0);
	must(demi_detach(&test.other) == 0);
	setenv("DEMI_NET_IP", "10.0.0.2/24", 1);
	must(demi_init(NULL) == 0);
	must(server_run(&test.server, &test.options) == EXIT_SUCCESS);
	check_heap();
	demi_fini();
	must(demi_attach(test.other) == 0);
	demi_fini();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!test.heap_bytes)
		run(NULL, 0);
	run(data, size);
	return 0;
}
