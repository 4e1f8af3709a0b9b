/* SPDX-License-Identifier: MIT */
/* Streams to plain peers that read late, slowly, in parts, or go away. */
#include "catnap.h"

#include <netinet/tcp.h>
#include <poll.h>

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % limit;
}

/* ---- Partial writes ---- */

/* Pushes of all sizes to a peer that reads nothing at first, then at most @most bytes at a time. */
static void check_slow_reader(const struct transport *transport, size_t pushes, size_t size_max,
			      size_t most)
{
	int listener, server, fd = peer_pair(transport, &listener, &server);
	demi_qtoken_t *qts = calloc(pushes, sizeof(*qts));
	uint64_t pushed = 0, seen = 0;
	size_t done = 0;
	int64_t end = now_ms() + 60000;

	assert_non_null(qts);
	send_buffer(server, 8192);
	for (size_t i = 0; i < pushes; i++) {
		size_t size = 1 + random_below((uint32_t)size_max);

		qts[i] = push_split(server, size, 3, pushed,
				    1 + random_below(DEMI_SGARRAY_MAXSIZE));
		pushed += size;
	}
	for (int i = 0; i < 5; i++)
		drive();
	while (seen < pushed) {
		assert_true(now_ms() < end);
		seen += peer_read(fd, 1 + random_below((uint32_t)most), 3, seen);
		if (random_below(4) == 0)
			poll_once();
	}
	/* In the order of issue, each as a success. */
	for (; done < pushes; done++)
		await_opcode(qts[done], DEMI_OPC_PUSH);
	free(qts);
	check_call(demi_close(server), 0);
	assert_int_equal(recv(fd, &seen, 1, MSG_PEEK | MSG_DONTWAIT), 0);
	check_call(demi_close(listener), 0);
	close(fd);
}

static void push__slow_reader_gets_every_byte_in_order(void **state)
{
	(void)state;
	check_slow_reader(&transport_ipv4, 200, 20000, 9000);
	check_slow_reader(&transport_unix, 200, 20000, 9000);
}

static void push__one_large_array_to_a_slow_reader(void **state)
{
	(void)state;
	check_slow_reader(&transport_ipv4, 1, 8 * MIB, 50000);
	check_slow_reader(&transport_unix, 1, 8 * MIB, 50000);
}

static void push__thousands_of_small_ones_to_a_slow_reader(void **state)
{
	(void)state;
	check_slow_reader(&transport_ipv4, 20000, 100, 2000);
	check_slow_reader(&transport_unix, 20000, 100, 2000);
}

static void push__a_reader_of_single_bytes(void **state)
{
	(void)state;
	check_slow_reader(&transport_ipv4, 100, 1000, 1);
}

#define MANY 64

/* Every peer asks at once, so that recvs and sends are batched; answers that do not fit follow. */
static void push__answers_to_many_arrive_whole(void **state)
{
	struct connection connections[MANY];
	uint64_t seen[MANY];
	demi_qtoken_t qts[MANY];
	struct address address;
	int listener = socket_listen(&transport_ipv4, &address);
	const size_t size = 150000;

	(void)state;
	connections_open(listener, &address, connections, MANY);
	for (unsigned int round = 0; round < 4; round++) {
		int64_t end = now_ms() + 60000;
		size_t left = MANY;

		for (size_t i = 0; i < MANY; i++) {
			if (round == 0)
				send_buffer(connections[i].qd, 4096);
			qts[i] = connections[i].pop = pop(connections[i].qd);
			seen[i] = 0;
			peer_send(connections[i].fd, "?", 1);
		}
		for (size_t i = 0; i < MANY; i++) {
			demi_qresult_t qr;
			int place;

			/* Those that have been answered wait for what is never sent. */
			check_call(demi_wait_any(&qr, &place, qts, MANY, &wait_long), 0);
			assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
			assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, 1);
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
			connections[place].push = push_split(connections[place].qd, size,
							     (unsigned int)place, round * size,
							     1 + (uint32_t)place % 8);
			qts[place] = pop(connections[place].qd);
		}
		while (left) {
			assert_true(now_ms() < end);
			for (size_t i = 0; i < MANY; i++) {
				if (seen[i] == size)
					continue;
				seen[i] += peer_read(connections[i].fd,
						     1 + random_below(20000) < size - seen[i]
							     ? 1 + random_below(20000)
							     : size - seen[i],
						     (unsigned int)i, round * size + seen[i]);
				left -= seen[i] == size;
			}
			poll_once();
		}
		for (size_t i = 0; i < MANY; i++) {
			await_opcode(connections[i].push, DEMI_OPC_PUSH);
			check_call(demi_cancel(qts[i]), 0);
			await_error(qts[i], ECANCELED);
		}
	}
	connections_close(connections, MANY);
	check_call(demi_close(listener), 0);
}

/* ---- Peers that write in parts ---- */

static void pop__bytes_one_at_a_time_from_many(void **state)
{
	struct connection connections[20];
	uint64_t got[20] = {0};
	demi_qtoken_t qts[20];
	struct address address;
	int listener = socket_listen(&transport_ipv4, &address);
	const int one = 1;
	uint64_t left = 20 * 200;

	(void)state;
	connections_open(listener, &address, connections, 20);
	for (size_t i = 0; i < 20; i++) {
		setsockopt(connections[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		qts[i] = pop(connections[i].qd);
	}
	for (uint64_t sent = 0; left > 0;) {
		demi_qresult_t qr;
		int place, error;

		for (unsigned int i = 0; i < 20 && sent < 200; i++) {
			uint8_t byte;

			pattern_fill(&byte, 1, i, sent);
			peer_send(connections[i].fd, &byte, 1);
		}
		sent += sent < 200;
		for (int i = 0; i < 5; i++) {
			error = demi_wait_any(&qr, &place, qts, 20,
					      sent < 200 ? &wait_none : &wait_long);
			if (error == ETIMEDOUT)
				break;
			check_call(error, 0);
			assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
			left -= sga_bytes(&qr.qr_value.sga);
			got[place] += sga_check(&qr.qr_value.sga, (unsigned int)place, got[place]);
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
			qts[place] = pop(connections[place].qd);
			if (!left)
				break;
		}
	}
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(got[i], 200);
	connections_close(connections, 20);
	check_call(demi_close(listener), 0);
}

static void pop__more_pops_than_data_and_more_data_than_pops(void **state)
{
	int listener, server, fd = peer_pair(&transport_ipv4, &listener, &server);
	uint8_t bytes[10000];
	demi_qtoken_t qts[10];
	demi_qresult_t qr;

	(void)state;
	pattern_fill(bytes, sizeof(bytes), 1, 0);
	for (int i = 0; i < 10; i++)
		qts[i] = pop(server);
	peer_send(fd, bytes, 3);
	qr = await_opcode(qts[0], DEMI_OPC_POP);
	assert_int_equal(sga_check(&qr.qr_value.sga, 1, 0), 3);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	check_pending(qts[1]);
	for (int i = 1; i < 10; i++)
		check_call(demi_cancel(qts[i]), 0);
	for (int i = 1; i < 10; i++)
		await_error(qts[i], ECANCELED);
	peer_send(fd, bytes + 3, sizeof(bytes) - 3);
	stream_expect(server, sizeof(bytes) - 3, 1, 3);
	shutdown(fd, SHUT_WR);
	stream_expect_end(server);
	check_call(demi_close(server), 0);
	check_call(demi_close(listener), 0);
	close(fd);
}

/* ---- Peers that go away ---- */

static void check_gone(demi_qtoken_t qt, enum demi_opcode opcode)
{
	demi_qresult_t qr = await(qt);

	if (qr.qr_opcode == DEMI_OPC_FAILED) {
		check_either((int)qr.qr_ret, ECONNRESET, EPIPE);
		return;
	}
	assert_int_equal(qr.qr_opcode, opcode);
	if (opcode == DEMI_OPC_POP)
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

/* An error, or the end: a send that was told of the reset leaves recv only the end. */
static void check_over(int qd)
{
	demi_qresult_t qr = await(pop(qd));

	if (qr.qr_opcode == DEMI_OPC_FAILED)
		check_either((int)qr.qr_ret, ECONNRESET, EPIPE);
	else
		check_end(&qr.qr_value.sga);
}

/* Every second one resets after its question: its answer fails, and no other is hurt. */
static void reset__in_the_middle_of_a_batch(void **state)
{
	struct connection connections[MANY];
	struct address address;
	int listener = socket_listen(&transport_ipv4, &address);
	const size_t size = 100000;

	(void)state;
	connections_open(listener, &address, connections, MANY);
	for (size_t i = 0; i < MANY; i++) {
		send_buffer(connections[i].qd, 4096);
		connections[i].pop = pop(connections[i].qd);
		peer_send(connections[i].fd, "?", 1);
	}
	for (size_t i = 0; i < MANY; i++) {
		if (i % 4 == 1) /* before it is answered */
			peer_reset(connections[i].fd);
		check_gone(connections[i].pop, DEMI_OPC_POP);
		/* Two, so that one waits behind the other. */
		connections[i].push = push_split(connections[i].qd, size, (unsigned int)i, 0, 3);
		connections[i].pop = push_split(connections[i].qd, 10, (unsigned int)i, size, 2);
	}
	poll_once();
	for (size_t i = 3; i < MANY; i += 4) /* in the middle of the answer */
		peer_reset(connections[i].fd);
	for (size_t i = 0; i < MANY; i++) {
		if (i % 2 == 0)
			peer_expect(connections[i].fd, size + 10, (unsigned int)i, 0);
		if (i % 2 == 0) {
			await_opcode(connections[i].push, DEMI_OPC_PUSH);
			await_opcode(connections[i].pop, DEMI_OPC_PUSH);
			close(connections[i].fd);
		} else {
			check_gone(connections[i].push, DEMI_OPC_PUSH);
			check_gone(connections[i].pop, DEMI_OPC_PUSH);
			/* A broken stream brings nothing more. */
			check_gone(pop(connections[i].qd), DEMI_OPC_POP);
			check_over(connections[i].qd);
		}
		check_call(demi_close(connections[i].qd), 0);
	}
	check_call(demi_close(listener), 0);
}

static void reset__while_a_push_waits_and_nothing_else(void **state)
{
	int listener, server, fd = peer_pair(&transport_ipv4, &listener, &server);
	demi_qtoken_t first, second, closing;

	(void)state;
	send_buffer(server, 4096);
	first = push_pattern(server, 8 * MIB, 1, 0);
	second = push_pattern(server, 1, 1, 8 * MIB);
	check_pending(first);
	peer_reset(fd);
	check_either((int)await(first).qr_ret, ECONNRESET, EPIPE);
	check_either((int)await(second).qr_ret, ECONNRESET, EPIPE);
	check_call(demi_aclose(&closing, server), 0);
	check_either((int)await(closing).qr_ret, ECONNRESET, EPIPE);
	check_call(demi_close(listener), 0);
}

/* ---- Connecting ---- */

static void connect__to_a_closed_port(void **state)
{
	struct address address;
	int listener = peer_listen(&transport_ipv4, &address, 1), qd;
	demi_qtoken_t qt;

	(void)state;
	close(listener);
	for (int i = 0; i < 20; i++) {
		qd = socket_open(&transport_ipv4, SOCK_STREAM);
		check_call(demi_connect(&qt, qd, &address.any, address.size), 0);
		await_error(qt, ECONNREFUSED);
		check_call(demi_close(qd), 0);
	}
}

/* The same socket again, once somebody listens. */
static void connect__again_after_a_refusal(void **state)
{
	struct address address;
	int listener = peer_listen(&transport_ipv4, &address, 1), qd, accepted;
	demi_qtoken_t qt;

	(void)state;
	close(listener);
	qd = socket_open(&transport_ipv4, SOCK_STREAM);
	check_call(demi_connect(&qt, qd, &address.any, address.size), 0);
	await_error(qt, ECONNREFUSED);
	listener = peer_listen(&transport_ipv4, &address, 1);
	check_call(demi_connect(&qt, qd, &address.any, address.size), 0);
	await_opcode(qt, DEMI_OPC_CONNECT);
	accepted = accept(listener, NULL, NULL);
	assert_true(accepted >= 0);
	peer_send(accepted, "x", 1);
	qt = pop(qd);
	check_gone(qt, DEMI_OPC_POP);
	close(accepted);
	close(listener);
	check_call(demi_close(qd), 0);
}

static void connect__to_a_full_backlog_waits_for_room(void **state)
{
	struct address address;
	int listener = peer_listen(&transport_ipv4, &address, 0), fillers[4], qds[3], fd;
	demi_qtoken_t qts[3];

	(void)state;
	for (int i = 0; i < 4; i++)
		fillers[i] = peer_connect(&address);
	for (int i = 0; i < 10; i++)
		drive();
	for (int i = 0; i < 3; i++) {
		qds[i] = socket_open(&transport_ipv4, SOCK_STREAM);
		check_call(demi_connect(&qts[i], qds[i], &address.any, address.size), 0);
	}
	for (int i = 0; i < 3; i++)
		check_pending(qts[i]);
	check_call(demi_connect(&qts[0], qds[0], &address.any, address.size), EINPROGRESS);
	/* One of those that wait is given up, another closed. */
	check_call(demi_cancel(qts[0]), 0);
	await_error(qts[0], ECANCELED);
	check_call(demi_close(qds[0]), 0);
	check_call(demi_close(qds[1]), 0);
	await_error(qts[1], ECANCELED);
	check_pending(qts[2]);
	for (int i = 0; i < 4; i++)
		close(fillers[i]);
	while ((fd = accept(listener, NULL, NULL)) >= 0)
		close(fd);
	/* The kernel asks again after a second or some. */
	await_opcode(qts[2], DEMI_OPC_CONNECT);
	check_call(demi_close(qds[2]), 0);
	close(listener);
}

static void accept__more_connections_than_the_backlog(void **state)
{
	int listener = socket_open(&transport_ipv4, SOCK_STREAM);
	struct address address;
	demi_qtoken_t qts[8];
	int fds[8], qd;

	(void)state;
	address_fresh(&transport_ipv4, &address);
	check_call(demi_bind(listener, &address.any, address.size), 0);
	check_call(demi_listen(listener, 4), 0);
	socket_name(listener, &address);
	for (int i = 0; i < 8; i++)
		fds[i] = peer_connect(&address);
	for (int i = 0; i < 8; i++)
		check_call(demi_accept(&qts[i], listener), 0);
	for (int i = 0; i < 8; i++) {
		qd = await_opcode(qts[i], DEMI_OPC_ACCEPT).qr_value.ares.qd;
		check_call(demi_close(qd), 0);
	}
	for (int i = 0; i < 8; i++)
		close(fds[i]);
	check_call(demi_close(listener), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CATNAP_TEST(push__slow_reader_gets_every_byte_in_order),
		CATNAP_TEST(push__one_large_array_to_a_slow_reader),
		CATNAP_TEST(push__thousands_of_small_ones_to_a_slow_reader),
		CATNAP_TEST(push__a_reader_of_single_bytes),
		CATNAP_TEST(push__answers_to_many_arrive_whole),
		CATNAP_TEST(pop__bytes_one_at_a_time_from_many),
		CATNAP_TEST(pop__more_pops_than_data_and_more_data_than_pops),
		CATNAP_TEST(reset__in_the_middle_of_a_batch),
		CATNAP_TEST(reset__while_a_push_waits_and_nothing_else),
		CATNAP_TEST(connect__to_a_closed_port),
		CATNAP_TEST(connect__again_after_a_refusal),
		CATNAP_TEST(connect__to_a_full_backlog_waits_for_room),
		CATNAP_TEST(accept__more_connections_than_the_backlog),
	};

	return suite_main("catnap/stream", true, "streams", tests, COUNT_OF(tests));
}
