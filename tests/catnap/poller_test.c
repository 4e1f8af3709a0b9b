/* SPDX-License-Identifier: MIT */
/*
 * From one connection to 500 and back, so that Catnap goes from trying each socket over poll(2)
 * to epoll and back, while data flows.
 */
#include "catnap.h"

#include <poll.h>

#define MOST 500
#define FILES_NEEDED (2 * MOST + 100)

static struct connection connections[MOST];
static demi_qtoken_t qts[MOST]; /* the pop of each connection */
static uint64_t sent[MOST];     /* by its peer */
static uint64_t echoed[MOST];   /* by us */
static uint64_t seen[MOST];     /* by its peer */
static int count;

static uint32_t random_state = 7;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % limit;
}

/* Send back what has come on any connection, until nothing is ready. */
static void echo(const struct timespec *timeout)
{
	demi_qresult_t qr;
	demi_qtoken_t qt;
	int place;

	while (demi_wait_any(&qr, &place, qts, count, timeout) == 0) {
		assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
		assert_int_equal(qr.qr_qd, connections[place].qd);
		echoed[place] += sga_check(&qr.qr_value.sga, (unsigned int)place, echoed[place]);
		qt = push_sga(connections[place].qd, &qr.qr_value.sga);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		await_opcode(qt, DEMI_OPC_PUSH);
		qts[place] = pop(connections[place].qd);
		timeout = &wait_none;
	}
}

static void peer_write(int place, size_t size)
{
	static uint8_t bytes[8000];

	pattern_fill(bytes, size, (unsigned int)place, sent[place]);
	peer_send(connections[place].fd, bytes, size);
	sent[place] += size;
}

static bool peers_have_all(void)
{
	bool all = true;

	for (int i = 0; i < count; i++) {
		if (seen[i] < sent[i])
			seen[i] += peer_read(connections[i].fd, 8000, (unsigned int)i, seen[i]);
		all &= seen[i] == sent[i];
	}
	return all;
}

/* Let every @step-th peer say something, all at once, and check that each gets it back. */
static void exchange(int step)
{
	int64_t end = now_ms() + 30000;

	for (int i = 0; i < count; i += step)
		peer_write(i, 1 + random_below(random_below(4) ? 100 : 8000));
	while (!peers_have_all()) {
		assert_true(now_ms() < end);
		echo(&wait_none);
	}
}

static void grow_to(int listener, const struct address *address, int target)
{
	while (count < target) {
		/* Data is on its way while the modes change. */
		if (count)
			peer_write((int)random_below((uint32_t)count), 10);
		connections_open(listener, address, &connections[count], 1);
		sent[count] = echoed[count] = seen[count] = 0;
		qts[count] = pop(connections[count].qd);
		count++;
	}
	exchange(1);
	exchange(7);
	exchange(count);
}

static void shrink_to(int target)
{
	demi_qresult_t qr;

	while (count > target) {
		count--;
		shutdown(connections[count].fd, SHUT_WR);
		peer_write((int)random_below((uint32_t)target), 10);
		qr = await_opcode(qts[count], DEMI_OPC_POP);
		check_end(&qr.qr_value.sga);
		connections_close(&connections[count], 1);
	}
	exchange(1);
	exchange(7);
	exchange(count);
}

static void check_scales(const struct transport *transport, bool accepting)
{
	static const int stages[] = {1, 2, 4, 5, 8, 9, 64, 127, 128, 129, 300, MOST};
	struct address address;
	int listener = socket_listen(transport, &address);
	demi_qtoken_t waiting = 0;

	count = 0;
	for (size_t i = 0; i < COUNT_OF(stages); i++)
		grow_to(listener, &address, stages[i]);
	/* An accept that waits is asked about too. */
	if (accepting)
		check_call(demi_accept(&waiting, listener), 0);
	for (size_t i = COUNT_OF(stages) - 1; i-- > 0;)
		shrink_to(stages[i]);
	if (accepting) {
		int fd = peer_connect(&address);

		check_call(demi_close(await_opcode(waiting, DEMI_OPC_ACCEPT).qr_value.ares.qd), 0);
		close(fd);
	}
	/* And up again: every socket that is left was registered with epoll once. */
	grow_to(listener, &address, 140);
	shrink_to(1);
	connections_close(connections, 1);
	check_call(demi_close(listener), 0);
}

static void poller__500_connections_and_back(void **state)
{
	(void)state;
	skip_unless(files_allowed(FILES_NEEDED), "too few descriptors are allowed");
	check_scales(&transport_ipv4, false);
}

static void poller__500_connections_and_back_with_an_accept_waiting(void **state)
{
	(void)state;
	skip_unless(files_allowed(FILES_NEEDED), "too few descriptors are allowed");
	check_scales(&transport_ipv4, true);
}

static void poller__500_unix_connections_and_back(void **state)
{
	(void)state;
	skip_unless(files_allowed(FILES_NEEDED), "too few descriptors are allowed");
	check_scales(&transport_unix, false);
}

/* With epoll a push that does not fit waits for an edge. */
static void poller__slow_readers_among_many(void **state)
{
	struct address address;
	int listener = socket_listen(&transport_ipv4, &address);
	const size_t size = 300000;
	int64_t end = now_ms() + 60000;
	int left;

	(void)state;
	skip_unless(files_allowed(FILES_NEEDED), "too few descriptors are allowed");
	count = 0;
	grow_to(listener, &address, 200);
	for (int i = 0; i < count; i += 10) {
		send_buffer(connections[i].qd, 4096);
		connections[i].push = push_split(connections[i].qd, size, (unsigned int)i, sent[i],
						 5);
		sent[i] += size;
		echoed[i] += size;
	}
	for (left = count / 10; left;) {
		assert_true(now_ms() < end);
		peer_write(1, 5);
		echo(&wait_none);
		left = 0;
		for (int i = 0; i < count; i += 10) {
			if (seen[i] == sent[i])
				continue;
			left++;
			seen[i] += peer_read(connections[i].fd, 1 + random_below(5000),
					     (unsigned int)i, seen[i]);
		}
	}
	for (int i = 0; i < count; i += 10) {
		await_opcode(connections[i].push, DEMI_OPC_PUSH);
		/* What its peer says now is another stream. */
		echoed[i] = sent[i];
	}
	connections_close(connections, (size_t)count);
	check_call(demi_close(listener), 0);
}

/* A socket that has failed to connect starts afresh: nothing that epoll said of it counts. */
static void poller__second_connect_of_a_socket_is_not_taken_for_the_first(void **state)
{
	struct address address, full;
	int listener = socket_listen(&transport_ipv4, &address);
	int plain = peer_listen(&transport_ipv4, &full, 0), fillers[8], qd, error;
	struct timespec moment = milliseconds(20);
	demi_qtoken_t qt;
	demi_qresult_t qr;

	(void)state;
	skip_unless(files_allowed(FILES_NEEDED), "too few descriptors are allowed");
	count = 0;
	grow_to(listener, &address, 200);
	for (size_t i = 0; i < COUNT_OF(fillers); i++)
		fillers[i] = peer_connect(&full);
	qd = socket_open(&transport_ipv4, SOCK_STREAM);
	check_call(demi_connect(&qt, qd, &full.any, full.size), 0);
	check_pending(qt);
	check_call(demi_cancel(qt), 0);
	await_error(qt, ECANCELED);
	poll_once();
	if (demi_connect(&qt, qd, &full.any, full.size) == 0) {
		error = demi_wait(&qr, qt, &moment);
		/* Nobody has accepted it: it may wait or fail. */
		if (error == 0) {
			assert_int_not_equal(qr.qr_opcode, DEMI_OPC_CONNECT);
		} else {
			check_call(error, ETIMEDOUT);
			check_call(demi_cancel(qt), 0);
			await_error(qt, ECANCELED);
		}
	}
	check_call(demi_close(qd), 0);
	for (size_t i = 0; i < COUNT_OF(fillers); i++)
		close(fillers[i]);
	close(plain);
	connections_close(connections, (size_t)count);
	check_call(demi_close(listener), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CATNAP_TEST(poller__500_connections_and_back),
		CATNAP_TEST(poller__500_connections_and_back_with_an_accept_waiting),
		CATNAP_TEST(poller__500_unix_connections_and_back),
		CATNAP_TEST(poller__slow_readers_among_many),
		CATNAP_TEST(poller__second_connect_of_a_socket_is_not_taken_for_the_first),
	};

	return suite_main("catnap/poller", true, "sockets", tests, COUNT_OF(tests));
}
