/* SPDX-License-Identifier: MIT */
/* Streams between two runtimes, each in a thread of its own, on a link inside the process. */
#include "catnip.h"

#include <arpa/inet.h>

#define ECHO_PORT 7000
#define SINK_PORT 7001  /* accepts, and reads nothing */
#define RESET_PORT 7002 /* accepts, and resets when the first byte is there */
#define SHUT_PORT 7009
#define TOKENS_MAX 2048
#define PUSHES_MAX 32 /* of one connection: it reads no more before they are acknowledged */
#define CONNECTIONS_MAX 1024

/* ---- The other host ---- */

struct connection {
	uint16_t port;
	uint16_t pushes;
	bool pops;
};

struct host {
	demi_qtoken_t tokens[TOKENS_MAX];
	int count;
	struct {
		int qd;
		uint16_t port;
	} listeners[6];
	int listener_count;
	struct connection connections[CONNECTIONS_MAX]; /* by descriptor */
};

static void watch(struct host *host, demi_qtoken_t qt)
{
	assert_true(host->count < TOKENS_MAX);
	host->tokens[host->count++] = qt;
}

static struct connection *connection_of(struct host *host, int qd)
{
	assert_in_range(qd, 500, 500 + CONNECTIONS_MAX - 1);
	return &host->connections[qd - 500];
}

static void watch_accept(struct host *host, int listener)
{
	demi_qtoken_t qt = 0;

	check_call(demi_accept(&qt, listener), 0);
	watch(host, qt);
}

static void watch_pop(struct host *host, int qd)
{
	struct connection *connection = connection_of(host, qd);

	if (connection->pops || connection->pushes >= PUSHES_MAX)
		return;
	connection->pops = true;
	watch(host, pop(qd));
}

static void serve(struct host *host, const char *text, uint16_t port)
{
	struct address address = address_of(text, port);
	int qd = -1;

	check_call(demi_socket(&qd, address.any.sa_family, SOCK_STREAM, 0), 0);
	check_call(demi_bind(qd, &address.any, address.size), 0);
	check_call(demi_listen(qd, 128), 0);
	host->listeners[host->listener_count].qd = qd;
	host->listeners[host->listener_count++].port = port;
	watch_accept(host, qd);
}

static void accepted(struct host *host, const demi_qresult_t *qr)
{
	int qd = qr->qr_value.ares.qd;
	struct connection *connection = connection_of(host, qd);

	*connection = (struct connection){0};
	for (int i = 0; i < host->listener_count; i++)
		if (host->listeners[i].qd == qr->qr_qd)
			connection->port = host->listeners[i].port;
	watch_accept(host, qr->qr_qd);
	if (connection->port != SINK_PORT)
		watch_pop(host, qd);
}

static void popped(struct host *host, demi_qresult_t *qr)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	struct connection *connection = connection_of(host, qr->qr_qd);
	demi_qtoken_t qt = 0;

	connection->pops = false;
	if (sga_bytes(&qr->qr_value.sga) == 0) {
		check_call(demi_aclose(&qt, qr->qr_qd), 0);
		watch(host, qt);
	} else if (connection->port == RESET_PORT) {
		check_call(
			demi_setsockopt(qr->qr_qd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)),
			0);
		check_call(demi_close(qr->qr_qd), 0);
	} else {
		watch(host, push_sga(qr->qr_qd, &qr->qr_value.sga));
		connection->pushes++;
		watch_pop(host, qr->qr_qd);
	}
	check_call(demi_sgafree(&qr->qr_value.sga), 0);
}

static void serve_one(struct host *host, demi_qresult_t *qr)
{
	switch (qr->qr_opcode) {
	case DEMI_OPC_ACCEPT:
		accepted(host, qr);
		break;
	case DEMI_OPC_POP:
		popped(host, qr);
		break;
	case DEMI_OPC_PUSH:
		connection_of(host, qr->qr_qd)->pushes--;
		watch_pop(host, qr->qr_qd);
		break;
	case DEMI_OPC_CLOSE:
		break;
	default:
		/* Of those that it breaks the first closes it, the others find nothing. */
		demi_close(qr->qr_qd);
	}
}

static void *peer_main(void *argument)
{
	static const uint16_t ports[] = {ECHO_PORT, SINK_PORT, RESET_PORT};
	struct timespec moment = milliseconds(10);
	struct link_peer *peer = argument;
	static struct host host;
	demi_qresult_t qr;
	int offset;

	memset(&host, 0, sizeof(host));
	check_call(demi_init(NULL), 0);
	for (size_t i = 0; i < COUNT_OF(ports); i++) {
		serve(&host, THEIR_IPV4, ports[i]);
		serve(&host, THEIR_IPV6, ports[i]);
	}
	pthread_barrier_wait(&peer->started);
	while (!atomic_load(&peer->stops)) {
		int error = demi_wait_any(&qr, &offset, host.tokens, host.count, &moment);

		if (error == ETIMEDOUT)
			continue;
		check_call(error, 0);
		host.tokens[offset] = host.tokens[--host.count];
		serve_one(&host, &qr);
	}
	demi_fini();
	return NULL;
}

static int link_setup(void **state)
{
	return link_start(state, peer_main);
}

/* ---- This one ---- */

static int connected(const char *text, uint16_t port)
{
	struct address address = address_of(text, port);
	demi_qtoken_t qt = 0;
	int qd = -1;

	check_call(demi_socket(&qd, address.any.sa_family, SOCK_STREAM, 0), 0);
	check_call(demi_connect(&qt, qd, &address.any, address.size), 0);
	await_opcode(qt, DEMI_OPC_CONNECT);
	return qd;
}

static void echo(int qd, size_t size, unsigned int seed, uint64_t offset)
{
	demi_qtoken_t pushing = push_pattern(qd, size, seed, offset);

	stream_expect(qd, size, seed, offset);
	await_opcode(pushing, DEMI_OPC_PUSH);
}

static void finish(int qd)
{
	demi_qtoken_t qt = 0;

	check_call(demi_shutdown(qd, SHUT_WR), 0);
	stream_expect_end(qd);
	check_call(demi_aclose(&qt, qd), 0);
	await_opcode(qt, DEMI_OPC_CLOSE);
}

static void link__messages_of_all_sizes_come_back(void **state)
{
	static const char *const texts[] = {THEIR_IPV4, THEIR_IPV6};
	static const size_t sizes[] = {1,    64,   1023, 1024,  1025,  1440,  1441,   1448,   1449,
				       1460, 1461, 2896, 10000, 65535, 65536, 100000, 1000003};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		int qd = connected(texts[i], ECHO_PORT);

		for (unsigned int k = 0; k < COUNT_OF(sizes); k++)
			echo(qd, sizes[k], k, 0);
		finish(qd);
	}
}

static void link__thousand_rounds(void **state)
{
	int qd = connected(THEIR_IPV4, ECHO_PORT);

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		echo(qd, 64, 1, i * 64);
	finish(qd);
}

static void link__large_pushes_both_ways(void **state)
{
	enum { COUNT = 16 };
	int qd = connected(THEIR_IPV6, ECHO_PORT);
	demi_qtoken_t pushes[COUNT];

	(void)state;
	for (uint64_t i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(qd, MIB, 1, i * MIB);
	stream_expect(qd, COUNT * MIB, 1, 0);
	for (int i = 0; i < COUNT; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	finish(qd);
}

static void link__many_connections_at_once(void **state)
{
	enum { COUNT = 300 };
	static int qds[COUNT];
	static demi_qtoken_t pushes[COUNT];

	(void)state;
	for (int i = 0; i < COUNT; i++)
		qds[i] = connected(i % 2 ? THEIR_IPV4 : THEIR_IPV6, ECHO_PORT);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < COUNT; i++)
			pushes[i] = push_pattern(qds[i], 200 + i, i, 0);
		for (unsigned int i = 0; i < COUNT; i++)
			stream_expect(qds[COUNT - 1 - i], 200 + COUNT - 1 - i, COUNT - 1 - i, 0);
		for (int i = 0; i < COUNT; i++)
			await_opcode(pushes[i], DEMI_OPC_PUSH);
	}
	for (int i = 0; i < COUNT; i++)
		finish(qds[i]);
}

static void link__refusal_is_told(void **state)
{
	struct address shut = address_of(THEIR_IPV4, SHUT_PORT);
	demi_qtoken_t qt = 0;
	int qd = -1;

	(void)state;
	check_call(demi_socket(&qd, AF_INET, SOCK_STREAM, 0), 0);
	for (int i = 0; i < 3; i++) {
		check_call(demi_connect(&qt, qd, &shut.any, shut.size), 0);
		await_error(qt, ECONNREFUSED);
	}
}

static void link__reset_fails_what_is_pending(void **state)
{
	int qd = connected(THEIR_IPV4, RESET_PORT);
	demi_qtoken_t popping = pop(qd), pushing;
	demi_qresult_t qr;

	(void)state;
	pushing = push_pattern(qd, 8 * MIB, 1, 0);
	await_error(popping, ECONNRESET);
	qr = await(pushing);
	assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED);
	assert_int_equal(qr.qr_ret, ECONNRESET);
}

/* Who reads nothing stops us, and nobody else. */
static void link__peer_that_does_not_read(void **state)
{
	int sink = connected(THEIR_IPV4, SINK_PORT), other = connected(THEIR_IPV4, ECHO_PORT);
	demi_qtoken_t pushing = push_pattern(sink, 32 * MIB, 1, 0);

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		echo(other, 1000, 2, i * 1000);
	check_pending(pushing);
	finish(other);
	check_call(demi_close(sink), 0);
	await_error(pushing, ECANCELED);
}

static void link__foreign_and_own_segments_mix(void **state)
{
	static uint8_t foreign[3000];
	int qd = connected(THEIR_IPV4, ECHO_PORT);
	uint8_t *own = demi_malloc(3000);
	demi_sgarray_t sga = {.sga_numsegs = 2};
	demi_qtoken_t qt = 0;

	(void)state;
	assert_non_null(own);
	pattern_fill(own, 3000, 1, 0);
	pattern_fill(foreign, sizeof(foreign), 1, 3000);
	sga.sga_segs[0] = (demi_sgaseg_t){.sgaseg_buf = own, .sgaseg_len = 3000};
	sga.sga_segs[1] = (demi_sgaseg_t){.sgaseg_buf = foreign, .sgaseg_len = sizeof(foreign)};
	qt = push_sga(qd, &sga);
	memset(foreign, 0, sizeof(foreign));
	demi_free(own);
	stream_expect(qd, 6000, 1, 0);
	await_opcode(qt, DEMI_OPC_PUSH);
}

#define LINK_TEST(function) cmocka_unit_test_setup_teardown(function, link_setup, link_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LINK_TEST(link__messages_of_all_sizes_come_back),
		LINK_TEST(link__thousand_rounds),
		LINK_TEST(link__large_pushes_both_ways),
		LINK_TEST(link__many_connections_at_once),
		LINK_TEST(link__refusal_is_told),
		LINK_TEST(link__reset_fails_what_is_pending),
		LINK_TEST(link__peer_that_does_not_read),
		LINK_TEST(link__foreign_and_own_segments_mix),
	};

	return suite_main("stream_link", true, "streams", tests, COUNT_OF(tests));
}
