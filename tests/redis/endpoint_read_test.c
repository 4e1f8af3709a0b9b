/* SPDX-License-Identifier: MIT */
/* The native Redis's sockets: connections, and what arrives on them. */
#include "endpoint_testing.h"

static void endpoint_accept4__takes_more_than_are_accepted_ahead(void **state)
{
	int peers[2 * ENDPOINT_ACCEPTS], fds[2 * ENDPOINT_ACCEPTS];

	(void)state;
	for (unsigned int i = 0; i < 2 * ENDPOINT_ACCEPTS; i++)
		peers[i] = peer_connect();
	for (unsigned int i = 0; i < 2 * ENDPOINT_ACCEPTS; i++)
		fds[i] = accept_one();
	assert_int_equal(endpoint_accept4(listener, NULL, NULL, 0), -1);
	assert_int_equal(errno, EAGAIN);
	for (unsigned int i = 0; i < 2 * ENDPOINT_ACCEPTS; i++) {
		endpoint_close(fds[i]);
		close(peers[i]);
	}
}

static void endpoint_pieces__go_on_across_pops(void **state)
{
	struct pair pair = make_pair();
	char text[16] = "";

	(void)state;
	peer_sends(&pair, "abc");
	arrive(&pair, 3);
	peer_sends(&pair, "defg");
	arrive(&pair, 7);
	assert_string_equal(arrived(&pair), "abcdefg");
	endpoint_take(pair.endpoint, 2);
	assert_string_equal(arrived(&pair), "cdefg");
	/* The end of one array and the start of the next. */
	endpoint_take(pair.endpoint, 2);
	assert_string_equal(arrived(&pair), "efg");
	peer_sends(&pair, "h");
	arrive(&pair, 4);
	assert_int_equal(endpoint_read(pair.fd, text, 3), 3);
	assert_string_equal(text, "efg");
	assert_string_equal(arrived(&pair), "h");
	endpoint_take(pair.endpoint, 1);
	assert_string_equal(arrived(&pair), "");
	assert_int_equal(endpoint_read(pair.fd, text, 3), -1);
	assert_int_equal(errno, EAGAIN);
	close_pair(&pair);
}

static void endpoint_expect__is_not_told_of_a_part(void **state)
{
	struct pair pair = make_pair();

	(void)state;
	peer_sends(&pair, "*1\r\n");
	assert_true(wait_for(pair.fd, true, false, 5 * SECOND_NS).readable);
	endpoint_expect(pair.endpoint, 7);
	assert_int_equal(wait_for(pair.fd, true, false, SHORT_NS).fd, -1);
	peer_sends(&pair, "$4");
	arrive(&pair, 6);
	assert_int_equal(wait_for(pair.fd, true, false, SHORT_NS).fd, -1);
	peer_sends(&pair, "\r");
	assert_true(wait_for(pair.fd, true, false, 5 * SECOND_NS).readable);
	/* Nor for ever: the peer ends before. */
	endpoint_expect(pair.endpoint, 100);
	assert_int_equal(wait_for(pair.fd, true, false, SHORT_NS).fd, -1);
	shutdown(pair.peer, SHUT_WR);
	assert_true(wait_for(pair.fd, true, false, 5 * SECOND_NS).readable);
	assert_int_equal(endpoint_input_bytes(pair.endpoint), 7);
	close_pair(&pair);
}

static void endpoint_input__stops_at_its_limit_and_goes_on(void **state)
{
	static char block[16 << 10];
	struct pair pair = make_pair();
	size_t pushed = 0, taken = 0, limit = ENDPOINT_INPUT_BYTES_MAX;

	(void)state;
	while (pushed < 8 * limit) {
		ssize_t count = send(pair.peer, block, sizeof(block), MSG_DONTWAIT);

		if (count > 0)
			pushed += (size_t)count;
		else if (endpoint_input_full(pair.endpoint))
			break;
		endpoint_look();
	}
	for (int i = 0; i < 10000 && !endpoint_input_full(pair.endpoint); i++)
		wait_for(pair.fd, false, false, SHORT_NS);
	assert_true(endpoint_input_full(pair.endpoint));
	for (int i = 0; i < 100; i++)
		endpoint_look();
	/* One pop may go beyond it. */
	assert_in_range(endpoint_input_bytes(pair.endpoint), limit, 2 * limit);
	/* Full it is readable, whatever is expected. */
	endpoint_expect(pair.endpoint, 100 * limit);
	assert_true(wait_for(pair.fd, true, false, 5 * SECOND_NS).readable);
	shutdown(pair.peer, SHUT_WR);
	while (!pair.endpoint->is_at_end || endpoint_input_bytes(pair.endpoint) != 0) {
		size_t here = endpoint_input_bytes(pair.endpoint);

		endpoint_take(pair.endpoint, here);
		taken += here;
		endpoint_look();
	}
	assert_int_equal(taken, pushed);
	close_pair(&pair);
}

static void endpoint_read__of_a_half_closed_end(void **state)
{
	struct pair pair = make_pair();
	char text[8] = "";

	(void)state;
	peer_sends(&pair, "last");
	shutdown(pair.peer, SHUT_WR);
	arrive(&pair, 4);
	assert_int_equal(endpoint_read(pair.fd, text, sizeof(text)), 4);
	assert_string_equal(text, "last");
	assert_true(wait_for(pair.fd, true, false, 5 * SECOND_NS).readable);
	assert_int_equal(endpoint_read(pair.fd, text, sizeof(text)), 0);
	assert_int_equal(endpoint_read(pair.fd, text, sizeof(text)), 0);
	/* The other way still goes. */
	assert_int_equal(endpoint_write(pair.fd, "answer", 6), 6);
	peer_reads(&pair, 6);
	close_pair(&pair);
}

static void endpoint_read__of_an_end_that_was_reset(void **state)
{
	struct pair pair = make_pair();
	char byte;

	(void)state;
	reset(&pair);
	assert_true(wait_for(pair.fd, true, false, 5 * SECOND_NS).readable);
	assert_int_equal(endpoint_read(pair.fd, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(endpoint_write(pair.fd, "x", 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close_pair(&pair);
}

static void endpoint_connect__tells_that_nobody_listens(void **state)
{
	struct sockaddr_in nobody = {.sin_family = AF_INET};
	int fd = endpoint_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	socklen_t size = sizeof(nobody);
	int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;

	(void)state;
	/* A port of somebody who does not listen. */
	nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(other, (struct sockaddr *)&nobody, sizeof(nobody)), 0);
	assert_int_equal(getsockname(other, (struct sockaddr *)&nobody, &size), 0);
	assert_int_equal(endpoint_connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)), -1);
	assert_int_equal(errno, EINPROGRESS);
	assert_true(wait_for(fd, true, true, 5 * SECOND_NS).writable);
	size = sizeof(error);
	assert_int_equal(endpoint_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
	assert_int_equal(error, ECONNREFUSED);
	endpoint_close(fd);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoint_accept4__takes_more_than_are_accepted_ahead),
		cmocka_unit_test(endpoint_pieces__go_on_across_pops),
		cmocka_unit_test(endpoint_expect__is_not_told_of_a_part),
		cmocka_unit_test(endpoint_input__stops_at_its_limit_and_goes_on),
		cmocka_unit_test(endpoint_read__of_a_half_closed_end),
		cmocka_unit_test(endpoint_read__of_an_end_that_was_reset),
		cmocka_unit_test(endpoint_connect__tells_that_nobody_listens),
	};

	return cmocka_run_group_tests(tests, listener_setup, listener_teardown);
}
