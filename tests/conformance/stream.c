/* SPDX-License-Identifier: MIT */
#include "common.h"

#include "stream.h"

/* More than any socket buffer holds. */
#define FLOOD_PUSHES 128
#define FLOOD_BYTES (256 * KIB)

void stream__accept_and_connect_report_their_descriptors(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t accepting, connecting;
	demi_qresult_t accepted, connected;
	struct address address;
	int listener = socket_listen(transport, &address);
	int client = socket_open(transport, SOCK_STREAM);

	check_call(demi_accept(&accepting, listener), 0);
	check_call(demi_connect(&connecting, client, &address.any, address.size), 0);
	accepted = await_opcode(accepting, DEMI_OPC_ACCEPT);
	connected = await_opcode(connecting, DEMI_OPC_CONNECT);
	assert_int_equal(accepted.qr_qd, listener);
	assert_int_equal(connected.qr_qd, client);
	assert_true(accepted.qr_value.ares.qd >= 500);
	assert_int_not_equal(accepted.qr_value.ares.qd, listener);
	assert_int_not_equal(accepted.qr_value.ares.qd, client);
	check_call(demi_close(accepted.qr_value.ares.qd), 0);
	check_call(demi_close(client), 0);
	check_call(demi_close(listener), 0);
}

void stream__ping_pong(void **state)
{
	TRANSPORT(transport, state);
	struct pair pair;

	pair_open(&pair, transport);
	for (uint64_t i = 0; i < 1000; i++) {
		demi_qtoken_t pushing = push_pattern(pair.client, 64, 1, i * 64);

		stream_expect(pair.server, 64, 1, i * 64);
		await_opcode(pushing, DEMI_OPC_PUSH);
		pushing = push_pattern(pair.server, 64, 2, i * 64);
		stream_expect(pair.client, 64, 2, i * 64);
		await_opcode(pushing, DEMI_OPC_PUSH);
	}
}

void stream__messages_of_1_byte_to_1_mib_arrive_intact(void **state)
{
	TRANSPORT(transport, state);
	static const size_t sizes[] = {1,     2,     63,    64,     65,     536,     1023,
				       1024,  1025,  1460,  4095,   4096,   8193,    16384,
				       65535, 65536, 65537, 100000, 262144, 1000003, 1048576};
	struct pair pair;
	uint64_t offset = 0;

	pair_open(&pair, transport);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		demi_qtoken_t pushing = push_pattern(pair.client, sizes[i], 3, offset);
		demi_qresult_t pushed;

		stream_expect(pair.server, sizes[i], 3, offset);
		pushed = await_opcode(pushing, DEMI_OPC_PUSH);
		assert_int_equal(pushed.qr_qd, pair.client);
		offset += sizes[i];
	}
}

void stream__pushes_of_1_to_8_segments(void **state)
{
	TRANSPORT(transport, state);
	struct pair pair;
	uint64_t offset = 0;

	pair_open(&pair, transport);
	for (uint32_t count = 1; count <= DEMI_SGARRAY_MAXSIZE; count++) {
		demi_sgarray_t sga = {.sga_numsegs = count};
		uint64_t end = offset;
		demi_qtoken_t pushing;

		for (uint32_t i = 0; i < count; i++) {
			uint32_t size = 1 + i * 700;

			sga.sga_segs[i].sgaseg_buf = malloc(size);
			sga.sga_segs[i].sgaseg_len = size;
			assert_non_null(sga.sga_segs[i].sgaseg_buf);
			pattern_fill(sga.sga_segs[i].sgaseg_buf, size, 4, end);
			end += size;
		}
		pushing = push_sga(pair.client, &sga);
		stream_expect(pair.server, end - offset, 4, offset);
		await_opcode(pushing, DEMI_OPC_PUSH);
		for (uint32_t i = 0; i < count; i++)
			free(sga.sga_segs[i].sgaseg_buf);
		offset = end;
	}
}

void stream__segments_moved_and_shrunk_inside_their_buffer(void **state)
{
	TRANSPORT(transport, state);
	struct pair pair;
	demi_sgarray_t sga;
	demi_qtoken_t pushing;
	uint8_t *bytes;

	pair_open(&pair, transport);
	sga = sga_pattern(20000, 5, 0);
	bytes = sga.sga_segs[0].sgaseg_buf;

	/* Only the middle: a header that was consumed, a trailer that is not sent. */
	sga.sga_segs[0].sgaseg_buf = bytes + 1001;
	sga.sga_segs[0].sgaseg_len = 3000;
	pushing = push_sga(pair.client, &sga);
	stream_expect(pair.server, 3000, 5, 1001);
	await_opcode(pushing, DEMI_OPC_PUSH);

	/* Several runs of the same buffer, out of order, the last ends where the buffer does. */
	sga.sga_numsegs = 3;
	sga.sga_segs[0].sgaseg_buf = bytes + 9000;
	sga.sga_segs[0].sgaseg_len = 500;
	sga.sga_segs[1].sgaseg_buf = bytes;
	sga.sga_segs[1].sgaseg_len = 1;
	sga.sga_segs[2].sgaseg_buf = bytes + 19000;
	sga.sga_segs[2].sgaseg_len = 1000;
	pushing = push_sga(pair.client, &sga);
	check_call(demi_sgafree(&sga), 0);
	{
		uint8_t expected[1501];
		size_t done = 0;

		pattern_fill(expected, 500, 5, 9000);
		pattern_fill(expected + 500, 1, 5, 0);
		pattern_fill(expected + 501, 1000, 5, 19000);
		while (done < sizeof(expected)) {
			demi_qresult_t qr = await_opcode(pop(pair.server), DEMI_OPC_POP);
			const demi_sgarray_t *got = &qr.qr_value.sga;

			assert_true(sga_bytes(got) > 0);
			for (uint32_t i = 0; i < got->sga_numsegs; i++) {
				assert_true(done + got->sga_segs[i].sgaseg_len <= sizeof(expected));
				assert_memory_equal(got->sga_segs[i].sgaseg_buf, expected + done,
						    got->sga_segs[i].sgaseg_len);
				done += got->sga_segs[i].sgaseg_len;
			}
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
		}
	}
	await_opcode(pushing, DEMI_OPC_PUSH);
}

void stream__segments_of_foreign_and_library_memory_together(void **state)
{
	TRANSPORT(transport, state);
	static uint8_t constant[3000];
	demi_sgarray_t sga = {.sga_numsegs = 4};
	demi_qtoken_t pushing;
	struct pair pair;
	uint8_t *heap = malloc(50000), *small = demi_malloc(100), *large = demi_malloc(100000);

	assert_true(heap && small && large);
	pair_open(&pair, transport);
	pattern_fill(heap, 50000, 6, 0);
	pattern_fill(small, 100, 6, 50000);
	pattern_fill(constant, 3000, 6, 50100);
	pattern_fill(large + 17, 99000, 6, 53100);
	sga.sga_segs[0] = (demi_sgaseg_t){.sgaseg_buf = heap, .sgaseg_len = 50000};
	sga.sga_segs[1] = (demi_sgaseg_t){.sgaseg_buf = small, .sgaseg_len = 100};
	sga.sga_segs[2] = (demi_sgaseg_t){.sgaseg_buf = constant, .sgaseg_len = 3000};
	sga.sga_segs[3] = (demi_sgaseg_t){.sgaseg_buf = large + 17, .sgaseg_len = 99000};
	pushing = push_sga(pair.client, &sga);
	/* An object of the library is reused only after the operation. */
	demi_free(small);
	demi_free(large);
	stream_expect(pair.server, 152100, 6, 0);
	await_opcode(pushing, DEMI_OPC_PUSH);
	free(heap);
}

void stream__array_is_copied_at_the_push(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t pushing;
	demi_sgarray_t sga, copy;
	struct pair pair;

	pair_open(&pair, transport);
	sga = sga_pattern(100000, 7, 0);
	copy = sga;
	pushing = push_sga(pair.client, &sga);
	memset(&sga, 0xff, sizeof(sga));
	stream_expect(pair.server, 100000, 7, 0);
	await_opcode(pushing, DEMI_OPC_PUSH);
	check_call(demi_sgafree(&copy), 0);
}

void stream__pops_complete_in_the_order_of_issue(void **state)
{
	TRANSPORT(transport, state);
	enum { COUNT = 8 };
	demi_qtoken_t pops[COUNT];
	struct pair pair;
	uint64_t sent = 0, received = 0;
	int next = 0;

	pair_open(&pair, transport);
	for (int i = 0; i < COUNT; i++)
		pops[i] = pop(pair.server);
	while (next < COUNT) {
		demi_qtoken_t pushing = push_pattern(pair.client, 1000, 8, sent);
		demi_qresult_t qr;
		int offset = -1;

		sent += 1000;
		await_opcode(pushing, DEMI_OPC_PUSH);
		while (received < sent && next < COUNT) {
			check_call(
				demi_wait_any(&qr, &offset, pops + next, COUNT - next, &wait_long),
				0);
			assert_int_equal(offset, 0);
			assert_true(qr.qr_qt == pops[next]);
			assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
			received += sga_check(&qr.qr_value.sga, 8, received);
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
			next++;
		}
	}
	if (received < sent)
		stream_expect(pair.server, sent - received, 8, received);
}

void stream__pops_before_and_after_the_data(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t popping, pushing;
	struct pair pair;
	demi_qresult_t qr;
	size_t first;

	pair_open(&pair, transport);
	popping = pop(pair.server);
	check_pending(popping);
	pushing = push_pattern(pair.client, 10, 9, 0);
	qr = await_opcode(popping, DEMI_OPC_POP);
	assert_int_equal(qr.qr_qd, pair.server);
	first = sga_check(&qr.qr_value.sga, 9, 0);
	assert_true(first >= 1);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	if (first < 10)
		stream_expect(pair.server, 10 - first, 9, first);
	await_opcode(pushing, DEMI_OPC_PUSH);

	for (uint64_t i = 0; i < 10; i++)
		await_opcode(push_pattern(pair.client, 100, 9, 10 + i * 100), DEMI_OPC_PUSH);
	stream_expect(pair.server, 1000, 9, 10);
	check_pending(pop(pair.server));
}

void stream__pushes_complete_in_the_order_of_issue(void **state)
{
	TRANSPORT(transport, state);
	enum { COUNT = 32 };
	demi_qtoken_t pushes[COUNT];
	struct pair pair;

	pair_open(&pair, transport);
	for (int i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(pair.client, 50000, 10, (uint64_t)i * 50000);
	stream_expect(pair.server, (uint64_t)COUNT * 50000, 10, 0);
	for (int i = 0; i < COUNT; i++) {
		demi_qresult_t qr;
		int offset = -1;

		check_call(demi_wait_any(&qr, &offset, pushes + i, COUNT - i, &wait_long), 0);
		assert_int_equal(offset, 0);
		assert_int_equal(qr.qr_opcode, DEMI_OPC_PUSH);
	}
}

void stream__end_is_one_empty_segment_again_and_again(void **state)
{
	TRANSPORT(transport, state);
	struct pair pair;

	pair_open(&pair, transport);
	check_call(demi_close(pair.client), 0);
	for (int i = 0; i < 5; i++)
		stream_expect_end(pair.server);
	check_call(demi_close(pair.server), 0);
}

void stream__end_completes_every_waiting_pop(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t pops[4];
	struct pair pair;

	pair_open(&pair, transport);
	for (size_t i = 0; i < COUNT_OF(pops); i++)
		pops[i] = pop(pair.server);
	check_call(demi_close(pair.client), 0);
	for (size_t i = 0; i < COUNT_OF(pops); i++) {
		demi_qresult_t qr = await_opcode(pops[i], DEMI_OPC_POP);

		check_end(&qr.qr_value.sga);
	}
}

void stream__data_pushed_before_close_arrives_before_the_end(void **state)
{
	TRANSPORT(transport, state);
	struct pair pair;

	pair_open(&pair, transport);
	await_opcode(push_pattern(pair.client, 30000, 11, 0), DEMI_OPC_PUSH);
	check_call(demi_close(pair.client), 0);
	stream_expect(pair.server, 30000, 11, 0);
	stream_expect_end(pair.server);
	stream_expect_end(pair.server);
}

void stream__push_to_a_closed_peer_fails_in_the_end(void **state)
{
	TRANSPORT(transport, state);
	int64_t end = now_ms() + 10000;
	struct pair pair;
	int error = 0;

	pair_open(&pair, transport);
	check_call(demi_close(pair.client), 0);
	while (error == 0 && now_ms() < end) {
		demi_sgarray_t sga = sga_pattern(1000, 12, 0);
		demi_qtoken_t qt = 0;

		error = outcome(demi_push(&qt, pair.server, &sga), qt);
		check_call(demi_sgafree(&sga), 0);
	}
	check_either(error, EPIPE, ECONNRESET);

	/* Nothing else is broken. */
	pair_connect(pair.listener, &pair.address, &pair.client, &pair.server);
	await_opcode(push_pattern(pair.client, 1000, 12, 0), DEMI_OPC_PUSH);
	stream_expect(pair.server, 1000, 12, 0);
}

void stream__shutdown_of_writing_leaves_reading(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t qt = 0;
	demi_sgarray_t sga;
	struct pair pair;

	pair_open(&pair, transport);
	await_opcode(push_pattern(pair.client, 5000, 13, 0), DEMI_OPC_PUSH);
	check_call(demi_shutdown(pair.client, SHUT_WR), 0);
	sga = sga_pattern(10, 13, 0);
	check_call(outcome(demi_push(&qt, pair.client, &sga), qt), EPIPE);
	check_call(demi_sgafree(&sga), 0);

	stream_expect(pair.server, 5000, 13, 0);
	stream_expect_end(pair.server);
	await_opcode(push_pattern(pair.server, 7000, 14, 0), DEMI_OPC_PUSH);
	stream_expect(pair.client, 7000, 14, 0);
	check_call(demi_close(pair.server), 0);
	stream_expect_end(pair.client);
	check_call(demi_close(pair.client), 0);
}

void stream__shutdown_of_writing_comes_after_pending_pushes(void **state)
{
	TRANSPORT(transport, state);
	enum { COUNT = 32 };
	demi_qtoken_t pushes[COUNT];
	struct pair pair;

	pair_open(&pair, transport);
	for (int i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(pair.client, FLOOD_BYTES, 15, (uint64_t)i * FLOOD_BYTES);
	check_call(demi_shutdown(pair.client, SHUT_WR), 0);
	stream_expect(pair.server, COUNT * FLOOD_BYTES, 15, 0);
	stream_expect_end(pair.server);
	for (int i = 0; i < COUNT; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
}

void stream__shutdown_of_reading_ends_pops(void **state)
{
	TRANSPORT(transport, state);
	struct pair pair;

	pair_open(&pair, transport);
	check_call(demi_shutdown(pair.client, SHUT_RD), 0);
	stream_expect_end(pair.client);
	await_opcode(push_pattern(pair.client, 100, 16, 0), DEMI_OPC_PUSH);
	stream_expect(pair.server, 100, 16, 0);
}

void stream__connect_refused(void **state)
{
	TRANSPORT(transport, state);
	struct address address;
	demi_qtoken_t qt = 0;
	int bound, client, error;

	/* Bound and not listening: nobody else can take the port meanwhile. */
	bound = socket_open(transport, SOCK_STREAM);
	address_fresh(transport, &address);
	check_call(demi_bind(bound, &address.any, address.size), 0);
	if (transport->family != AF_UNIX)
		socket_name(bound, &address);

	client = socket_open(transport, SOCK_STREAM);
	error = outcome(demi_connect(&qt, client, &address.any, address.size), qt);
	check_call(error, ECONNREFUSED);
	check_call(demi_pop(&qt, client), ENOTCONN);
	check_call(demi_close(client), 0);

	check_call(demi_listen(bound, 8), 0);
	pair_connect(bound, &address, &client, &(int){-1});
}

void stream__connect_on_a_connected_socket_is_eisconn(void **state)
{
	TRANSPORT(transport, state);
	struct pair pair;
	demi_qtoken_t qt;

	pair_open(&pair, transport);
	check_call(demi_connect(&qt, pair.client, &pair.address.any, pair.address.size), EISCONN);
	check_call(demi_connect(&qt, pair.server, &pair.address.any, pair.address.size), EISCONN);
	await_opcode(push_pattern(pair.client, 100, 17, 0), DEMI_OPC_PUSH);
	stream_expect(pair.server, 100, 17, 0);
}

void stream__aclose_delivers_a_large_backlog_to_a_slow_peer(void **state)
{
	TRANSPORT(transport, state);
	enum { COUNT = 64 };
	demi_qtoken_t pushes[COUNT], closing;
	struct pair pair;
	demi_qresult_t qr;

	pair_open(&pair, transport);
	for (int i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(pair.client, FLOOD_BYTES, 18, (uint64_t)i * FLOOD_BYTES);
	check_call(demi_aclose(&closing, pair.client), 0);
	check_pending(closing);
	stream_expect(pair.server, COUNT * FLOOD_BYTES, 18, 0);
	stream_expect_end(pair.server);
	for (int i = 0; i < COUNT; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	check_call(demi_close(pair.server), 0);
	qr = await_opcode(closing, DEMI_OPC_CLOSE);
	assert_int_equal(qr.qr_qd, pair.client);
	check_call(demi_close(pair.client), EBADF);
}

void stream__aclose_takes_no_new_operation_and_cancels_pops(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t pushes[FLOOD_PUSHES], pops[3], closing, qt;
	struct pair pair;
	demi_sgarray_t sga;

	pair_open(&pair, transport);
	for (size_t i = 0; i < COUNT_OF(pops); i++)
		pops[i] = pop(pair.client);
	for (uint64_t i = 0; i < FLOOD_PUSHES; i++)
		pushes[i] = push_pattern(pair.client, FLOOD_BYTES, 19, i * FLOOD_BYTES);
	check_call(demi_aclose(&closing, pair.client), 0);
	for (size_t i = 0; i < COUNT_OF(pops); i++)
		await_error(pops[i], ECANCELED);
	check_pending(closing);

	sga = sga_pattern(10, 19, 0);
	check_fails(demi_push(&qt, pair.client, &sga));
	check_call(demi_sgafree(&sga), 0);
	check_fails(demi_pop(&qt, pair.client));
	check_fails(demi_aclose(&qt, pair.client));

	stream_expect(pair.server, FLOOD_PUSHES * FLOOD_BYTES, 19, 0);
	stream_expect_end(pair.server);
	check_call(demi_close(pair.server), 0);
	for (int i = 0; i < FLOOD_PUSHES; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	await_opcode(closing, DEMI_OPC_CLOSE);
}

void stream__aclose_of_an_idle_connection_completes(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t accepting, closing;
	struct pair pair;

	pair_open(&pair, transport);
	check_call(demi_aclose(&closing, pair.server), 0);
	await_opcode(closing, DEMI_OPC_CLOSE);
	stream_expect_end(pair.client);
	check_call(demi_aclose(&closing, pair.client), 0);
	await_opcode(closing, DEMI_OPC_CLOSE);
	check_call(demi_accept(&accepting, pair.listener), 0);
	check_call(demi_aclose(&closing, pair.listener), 0);
	await_error(accepting, ECANCELED);
	await_opcode(closing, DEMI_OPC_CLOSE);
	check_call(demi_close(pair.client), EBADF);
	check_call(demi_close(pair.server), EBADF);
	check_call(demi_close(pair.listener), EBADF);
}

void stream__aclose_fails_when_the_peer_is_gone(void **state)
{
	TRANSPORT(transport, state);
	enum { COUNT = 64 };
	demi_qtoken_t pushes[COUNT], closing;
	struct pair pair;
	demi_qresult_t qr;
	bool failed = false;

	pair_open(&pair, transport);
	for (int i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(pair.client, FLOOD_BYTES, 20, (uint64_t)i * FLOOD_BYTES);
	check_call(demi_aclose(&closing, pair.client), 0);
	/* The peer throws the data away unread. */
	check_call(demi_close(pair.server), 0);
	for (int i = 0; i < COUNT; i++) {
		qr = await(pushes[i]);
		if (qr.qr_opcode == DEMI_OPC_FAILED) {
			check_either((int)qr.qr_ret, EPIPE, ECONNRESET);
			failed = true;
		}
	}
	assert_true(failed);
	qr = await(closing);
	assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED);
	check_either((int)qr.qr_ret, EPIPE, ECONNRESET);
	check_call(demi_close(pair.client), EBADF);
}

void stream__close_cancels_pending_pops(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t pops[5];
	struct pair pair;
	demi_qresult_t qr;

	pair_open(&pair, transport);
	for (size_t i = 0; i < COUNT_OF(pops); i++)
		pops[i] = pop(pair.server);
	check_pending(pops[0]);
	check_call(demi_close(pair.server), 0);
	for (size_t i = 0; i < COUNT_OF(pops); i++) {
		qr = await(pops[i]);
		assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED);
		assert_int_equal(qr.qr_ret, ECANCELED);
		assert_int_equal(qr.qr_qd, pair.server);
		check_call(demi_wait(&qr, pops[i], &wait_none), EINVAL);
	}
	stream_expect_end(pair.client);
}

void stream__close_cancels_pending_accepts(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t accepts[5];
	struct address address;
	demi_qresult_t qr;
	int listener = socket_listen(transport, &address);

	for (size_t i = 0; i < COUNT_OF(accepts); i++)
		check_call(demi_accept(&accepts[i], listener), 0);
	check_pending(accepts[0]);
	check_call(demi_close(listener), 0);
	for (size_t i = 0; i < COUNT_OF(accepts); i++) {
		await_error(accepts[i], ECANCELED);
		check_call(demi_wait(&qr, accepts[i], &wait_none), EINVAL);
	}
}

void stream__close_with_pending_pushes_completes_them_all(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t pushes[FLOOD_PUSHES];
	struct pair pair;
	demi_qresult_t qr;
	int cancelled = 0;

	pair_open(&pair, transport);
	for (uint64_t i = 0; i < FLOOD_PUSHES; i++)
		pushes[i] = push_pattern(pair.client, FLOOD_BYTES, 21, i * FLOOD_BYTES);
	check_call(demi_close(pair.client), 0);
	for (int i = 0; i < FLOOD_PUSHES; i++) {
		qr = await(pushes[i]);
		if (qr.qr_opcode == DEMI_OPC_FAILED) {
			assert_int_equal(qr.qr_ret, ECANCELED);
			cancelled++;
		} else {
			assert_int_equal(qr.qr_opcode, DEMI_OPC_PUSH);
			assert_int_equal(cancelled, 0);
		}
	}
	assert_true(cancelled > 0);
}

void stream__close_of_the_listener_leaves_its_connections(void **state)
{
	TRANSPORT(transport, state);
	struct pair pair;

	pair_open(&pair, transport);
	check_call(demi_close(pair.listener), 0);
	await_opcode(push_pattern(pair.client, 2000, 22, 0), DEMI_OPC_PUSH);
	stream_expect(pair.server, 2000, 22, 0);
	await_opcode(push_pattern(pair.server, 2000, 23, 0), DEMI_OPC_PUSH);
	stream_expect(pair.client, 2000, 23, 0);
}

void stream__closed_descriptor_does_not_haunt_its_successor(void **state)
{
	TRANSPORT(transport, state);
	struct address address;
	int listener = socket_listen(transport, &address);

	for (unsigned int i = 0; i < 50; i++) {
		demi_qtoken_t first, second, old;
		int client, server;

		pair_connect(listener, &address, &client, &server);
		first = pop(server);
		second = pop(client);
		/* Data is on its way when both ends close. */
		old = push_pattern(client, 100, i, 0);
		check_call(demi_close(client), 0);
		check_call(demi_close(server), 0);

		pair_connect(listener, &address, &client, &server);
		await_opcode(push_pattern(client, 100, i + 100, 0), DEMI_OPC_PUSH);
		stream_expect(server, 100, i + 100, 0);
		check_call(demi_close(client), 0);
		stream_expect_end(server);
		check_call(demi_close(server), 0);

		await_error(second, ECANCELED);
		{
			demi_qresult_t qr = await(first);

			/* It may have been there in time. */
			if (qr.qr_opcode == DEMI_OPC_POP) {
				sga_check(&qr.qr_value.sga, i, 0);
				check_call(demi_sgafree(&qr.qr_value.sga), 0);
			} else {
				assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED);
				assert_int_equal(qr.qr_ret, ECANCELED);
			}
		}
		await(old);
	}
}

void stream__accepts_wait_in_order_and_take_the_backlog(void **state)
{
	TRANSPORT(transport, state);
	enum { COUNT = 16 };
	demi_qtoken_t connects[COUNT], accepts[COUNT];
	int clients[COUNT], servers[COUNT];
	struct address address;
	int listener = socket_listen(transport, &address);

	/* Half of them connect before anyone accepts. */
	for (int i = 0; i < COUNT; i++) {
		clients[i] = socket_open(transport, SOCK_STREAM);
		check_call(demi_connect(&connects[i], clients[i], &address.any, address.size), 0);
		if (i < COUNT / 2)
			await_opcode(connects[i], DEMI_OPC_CONNECT);
	}
	for (int i = 0; i < COUNT; i++)
		check_call(demi_accept(&accepts[i], listener), 0);
	for (int i = 0; i < COUNT; i++) {
		demi_qresult_t qr;
		int offset = -1;

		check_call(demi_wait_any(&qr, &offset, accepts + i, COUNT - i, &wait_long), 0);
		assert_int_equal(offset, 0);
		assert_int_equal(qr.qr_opcode, DEMI_OPC_ACCEPT);
		servers[i] = qr.qr_value.ares.qd;
		for (int j = 0; j < i; j++)
			assert_int_not_equal(servers[i], servers[j]);
	}
	for (int i = COUNT / 2; i < COUNT; i++)
		await_opcode(connects[i], DEMI_OPC_CONNECT);
	for (int i = 0; i < COUNT; i++)
		await_opcode(push_pattern(clients[i], 10, 24, 0), DEMI_OPC_PUSH);
	for (int i = 0; i < COUNT; i++)
		stream_expect(servers[i], 10, 24, 0);
}

void stream__200_connections_at_once(void **state)
{
	TRANSPORT(transport, state);
	enum { COUNT = 200 };
	static demi_qtoken_t tokens[2 * COUNT];
	static int clients[COUNT], servers[COUNT];
	struct address address;
	int listener = socket_listen(transport, &address);

	for (int i = 0; i < COUNT; i++)
		pair_connect(listener, &address, &clients[i], &servers[i]);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < COUNT; i++) {
			tokens[i] = pop(servers[i]);
			tokens[COUNT + i] = push_pattern(clients[i], 200, i, round * 200);
		}
		for (int left = 2 * COUNT; left > 0; left--) {
			demi_qresult_t qr;
			int offset = -1;

			check_call(demi_wait_any(&qr, &offset, tokens, left, &wait_long), 0);
			assert_in_range(offset, 0, left - 1);
			assert_true(tokens[offset] == qr.qr_qt);
			tokens[offset] = tokens[left - 1];
			if (qr.qr_opcode == DEMI_OPC_POP) {
				unsigned int i = 0;

				while (i < COUNT && servers[i] != qr.qr_qd)
					i++;
				assert_true(i < COUNT);
				assert_int_equal(sga_check(&qr.qr_value.sga, i, round * 200), 200);
				check_call(demi_sgafree(&qr.qr_value.sga), 0);
			} else {
				assert_int_equal(qr.qr_opcode, DEMI_OPC_PUSH);
			}
		}
	}
	for (int i = 0; i < COUNT; i++) {
		check_call(demi_close(clients[i]), 0);
		stream_expect_end(servers[i]);
		check_call(demi_close(servers[i]), 0);
	}
}

void stream__backpressure_keeps_pushes_pending_and_loses_nothing(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t pushes[FLOOD_PUSHES];
	struct pair pair;

	pair_open(&pair, transport);
	for (uint64_t i = 0; i < FLOOD_PUSHES; i++)
		pushes[i] = push_pattern(pair.client, FLOOD_BYTES, 25, i * FLOOD_BYTES);
	check_pending(pushes[FLOOD_PUSHES - 1]);
	/* New allocations must not get memory that pushes still need. */
	for (int i = 0; i < 64; i++) {
		demi_sgarray_t other = demi_sgaalloc(FLOOD_BYTES);

		assert_non_null(other.sga_buf);
		memset(other.sga_segs[0].sgaseg_buf, 0xee, FLOOD_BYTES);
		check_call(demi_sgafree(&other), 0);
	}
	stream_expect(pair.server, FLOOD_PUSHES * FLOOD_BYTES, 25, 0);
	for (int i = 0; i < FLOOD_PUSHES; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	check_pending(pop(pair.server));
}

void stream__both_directions_full_at_once(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t there[FLOOD_PUSHES / 2], back[FLOOD_PUSHES / 2], popping[2];
	uint64_t received[2] = {0, 0};
	uint64_t total = COUNT_OF(there) * FLOOD_BYTES;
	struct pair pair;
	int ends[2];

	pair_open(&pair, transport);
	ends[0] = pair.client;
	ends[1] = pair.server;
	for (uint64_t i = 0; i < COUNT_OF(there); i++) {
		there[i] = push_pattern(pair.client, FLOOD_BYTES, 1, i * FLOOD_BYTES);
		back[i] = push_pattern(pair.server, FLOOD_BYTES, 0, i * FLOOD_BYTES);
	}
	popping[0] = pop(ends[0]);
	popping[1] = pop(ends[1]);
	while (received[0] < total || received[1] < total) {
		demi_qresult_t qr;
		int end = -1;

		check_call(demi_wait_any(&qr, &end, popping, 2, &wait_long), 0);
		assert_in_range(end, 0, 1);
		assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
		received[end] += sga_check(&qr.qr_value.sga, (unsigned int)end, received[end]);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		popping[end] = pop(ends[end]);
	}
	for (size_t i = 0; i < COUNT_OF(there); i++) {
		await_opcode(there[i], DEMI_OPC_PUSH);
		await_opcode(back[i], DEMI_OPC_PUSH);
	}
}

void stream__cancelled_pop_leaves_the_data_to_the_next(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t first, second, third;
	struct pair pair;
	demi_qresult_t qr;
	size_t got;

	pair_open(&pair, transport);
	first = pop(pair.server);
	second = pop(pair.server);
	third = pop(pair.server);
	check_pending(first);
	check_call(demi_cancel(first), 0);
	await_error(first, ECANCELED);
	check_call(demi_cancel(first), EINVAL);
	check_call(demi_cancel(second), 0);
	await_opcode(push_pattern(pair.client, 500, 26, 0), DEMI_OPC_PUSH);
	qr = await_opcode(third, DEMI_OPC_POP);
	got = sga_check(&qr.qr_value.sga, 26, 0);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	await_error(second, ECANCELED);
	if (got < 500)
		stream_expect(pair.server, 500 - got, 26, got);
}

void stream__cancelled_accept_leaves_the_connection_to_the_next(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t first, second;
	struct address address;
	int listener = socket_listen(transport, &address);
	int client, server;

	check_call(demi_accept(&first, listener), 0);
	check_call(demi_accept(&second, listener), 0);
	check_pending(first);
	check_call(demi_cancel(second), 0);
	check_call(demi_cancel(first), 0);
	await_error(first, ECANCELED);
	await_error(second, ECANCELED);
	pair_connect(listener, &address, &client, &server);
	await_opcode(push_pattern(client, 10, 27, 0), DEMI_OPC_PUSH);
	stream_expect(server, 10, 27, 0);
}

/* Where the next byte is: what was cancelled is left out. Returns the end of its run. */
static uint64_t skip_cancelled(const bool cancelled[FLOOD_PUSHES], uint64_t *offset)
{
	uint64_t i = *offset / FLOOD_BYTES;

	while (i < FLOOD_PUSHES && cancelled[i])
		*offset = ++i * FLOOD_BYTES;
	while (i < FLOOD_PUSHES && !cancelled[i])
		i++;
	return i * FLOOD_BYTES;
}

/* Segments do not stop where a push did. */
static void check_without_cancelled(const demi_sgaseg_t *segment,
				    const bool cancelled[FLOOD_PUSHES], uint64_t *offset)
{
	const uint8_t *bytes = segment->sgaseg_buf;
	size_t size = segment->sgaseg_len;

	while (size > 0) {
		uint64_t end = skip_cancelled(cancelled, offset);
		size_t part = size < end - *offset ? size : end - *offset;

		assert_true(part > 0);
		pattern_check(bytes, part, 28, *offset);
		bytes += part;
		size -= part;
		*offset += part;
	}
}

void stream__cancelled_push_is_sent_whole_or_not_at_all(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t pushes[FLOOD_PUSHES];
	bool cancelled[FLOOD_PUSHES] = {false};
	uint64_t offset = 0;
	int count = 0;
	struct pair pair;

	pair_open(&pair, transport);
	for (uint64_t i = 0; i < FLOOD_PUSHES; i++)
		pushes[i] = push_pattern(pair.client, FLOOD_BYTES, 28, i * FLOOD_BYTES);
	check_pending(pushes[FLOOD_PUSHES - 1]);
	for (int i = 0; i < FLOOD_PUSHES; i += 3) {
		int error = demi_cancel(pushes[i]);

		if (error == 0) {
			cancelled[i] = true;
			count++;
		} else {
			check_either(error, EALREADY, EBUSY);
		}
	}
	/* Nothing of the last ones can have been sent. */
	assert_true(count > 0);
	while (skip_cancelled(cancelled, &offset) > offset) {
		demi_qresult_t qr = await_opcode(pop(pair.server), DEMI_OPC_POP);

		assert_true(sga_bytes(&qr.qr_value.sga) > 0);
		for (uint32_t i = 0; i < qr.qr_value.sga.sga_numsegs; i++)
			check_without_cancelled(&qr.qr_value.sga.sga_segs[i], cancelled, &offset);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	for (int i = 0; i < FLOOD_PUSHES; i++) {
		if (cancelled[i])
			await_error(pushes[i], ECANCELED);
		else
			await_opcode(pushes[i], DEMI_OPC_PUSH);
	}
	check_pending(pop(pair.server));
}

void stream__fini_with_everything_open_lets_another_runtime_start(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t qt;
	struct pair pair;

	pair_open(&pair, transport);
	check_call(demi_accept(&qt, pair.listener), 0);
	pop(pair.server);
	pop(pair.client);
	for (uint64_t i = 0; i < FLOOD_PUSHES; i++)
		push_pattern(pair.client, FLOOD_BYTES, 29, i * FLOOD_BYTES);
	demi_fini();
	check_call(demi_init(NULL), 0);
	pair_open(&pair, transport);
	await_opcode(push_pattern(pair.client, 10, 29, 0), DEMI_OPC_PUSH);
	stream_expect(pair.server, 10, 29, 0);
}

/* ---- A plain socket at the other end ---- */

#define KERNEL_PEER(transport)                                                    \
	skip_unless(profile_get()->kernel_peer || (transport)->family == AF_UNIX, \
		    "no plain socket reaches this libOS")

void stream__kernel_peer_reads_what_was_pushed(void **state)
{
	TRANSPORT(transport, state);
	KERNEL_PEER(transport);
	demi_qtoken_t pushing;
	int listener, server, fd;

	fd = peer_pair(transport, &listener, &server);
	for (uint64_t i = 0; i < 100; i++) {
		pushing = push_pattern(server, 1000, 30, i * 1000);
		peer_expect(fd, 1000, 30, i * 1000);
		await_opcode(pushing, DEMI_OPC_PUSH);
	}
	check_call(demi_close(server), 0);
	{
		int64_t end = now_ms() + 10000;
		uint8_t byte;
		ssize_t got;

		while ((got = recv(fd, &byte, 1, 0)) < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_true(now_ms() < end);
			drive();
		}
		assert_int_equal(got, 0);
	}
	close(fd);
}

void stream__kernel_peer_sends_byte_by_byte(void **state)
{
	TRANSPORT(transport, state);
	KERNEL_PEER(transport);
	uint8_t bytes[500];
	int listener, server, fd;

	fd = peer_pair(transport, &listener, &server);
	pattern_fill(bytes, sizeof(bytes), 31, 0);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		peer_send(fd, bytes + i, 1);
		if (i % 2)
			stream_expect(server, 2, 31, i - 1);
	}
	close(fd);
	stream_expect_end(server);
}

void stream__kernel_peer_reads_slowly(void **state)
{
	TRANSPORT(transport, state);
	KERNEL_PEER(transport);
	enum { COUNT = 8 };
	demi_qtoken_t pushes[COUNT];
	int listener, server, fd;
	uint64_t offset = 0;

	fd = peer_pair(transport, &listener, &server);
	for (uint64_t i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(server, MIB, 32, i * MIB);
	/* Each bite is small and odd, so that sends are cut at every place of a segment. */
	while (offset < COUNT * MIB) {
		uint64_t left = COUNT * MIB - offset;
		size_t bite = left < 10007 ? left : 10007;

		peer_expect(fd, bite, 32, offset);
		offset += bite;
	}
	for (int i = 0; i < COUNT; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	close(fd);
}

void stream__kernel_peer_half_closes(void **state)
{
	TRANSPORT(transport, state);
	KERNEL_PEER(transport);
	uint8_t bytes[100];
	int listener, server, fd;

	fd = peer_pair(transport, &listener, &server);
	pattern_fill(bytes, sizeof(bytes), 33, 0);
	peer_send(fd, bytes, sizeof(bytes));
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	stream_expect(server, sizeof(bytes), 33, 0);
	stream_expect_end(server);
	await_opcode(push_pattern(server, 2000, 34, 0), DEMI_OPC_PUSH);
	peer_expect(fd, 2000, 34, 0);
	close(fd);
}
