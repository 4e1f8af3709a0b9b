/* SPDX-License-Identifier: MIT */
/* Sockets and logs in one runtime: one wait for both, and buffers that go from one to the other. */
#include "common.h"
#include "log.h"

#include <fcntl.h>

static void pair__wait_any_over_network_and_log(void **state)
{
	TRANSPORT(transport, state);
	demi_qtoken_t qts[3];
	demi_qresult_t qr;
	struct pair pair;
	int qd = log_open("both", O_RDWR | O_CREAT), place = -1;
	unsigned int logged = 0, received = 0, sent = 100;

	pair_open(&pair, transport);
	qts[0] = pop(pair.server);
	qts[1] = push_pattern(qd, 5000, 1, 0);
	qts[2] = push_pattern(pair.client, 100, 2, 0);
	while (logged < 100 || received < 10000) {
		check_call(demi_wait_any(&qr, &place, qts, 3, &wait_long), 0);
		if (place == 0) {
			assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
			received += (unsigned int)sga_check(&qr.qr_value.sga, 2, received);
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
			qts[0] = pop(pair.server);
		} else {
			assert_int_equal(qr.qr_opcode, DEMI_OPC_PUSH);
			assert_int_equal(qr.qr_qd, place == 1 ? qd : pair.client);
			if (place == 1)
				qts[1] = push_pattern(qd, 5000, 1, ++logged);
			else
				qts[2] = push_pattern(pair.client, 100, 2, sent);
			sent += place == 2 ? 100 : 0;
		}
	}
	for (unsigned int i = 0; i < logged; i++)
		record_expect(qd, 5000, 1, i);
}

/* What a socket has received is written to the log from where it lies, and sent from there. */
static void pair__from_a_stream_to_a_log_and_back(void **state)
{
	TRANSPORT(transport, state);
	enum { BYTES = 400000, PIECE = 20000 };
	int qd = log_open("relay", O_RDWR | O_CREAT);
	uint64_t sent = 0, logged = 0, returned = 0, bytes;
	unsigned int records = 0;
	demi_qresult_t qr;
	struct pair pair;

	pair_open(&pair, transport);
	while (logged < BYTES) {
		demi_qtoken_t push = 0;

		if (sent < BYTES)
			push = push_pattern(pair.client, PIECE, 3, sent);
		sent += PIECE;
		while (logged < sent) {
			qr = await_opcode(pop(pair.server), DEMI_OPC_POP);
			logged += sga_bytes(&qr.qr_value.sga);
			await_opcode(push_sga(qd, &qr.qr_value.sga), DEMI_OPC_PUSH);
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
			records++;
		}
		await_opcode(push, DEMI_OPC_PUSH);
	}
	for (unsigned int i = 0; i < records; i++) {
		demi_qtoken_t push;

		qr = await_opcode(pop(qd), DEMI_OPC_POP);
		bytes = sga_check(&qr.qr_value.sga, 3, returned);
		push = push_sga(pair.server, &qr.qr_value.sga);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		stream_expect(pair.client, bytes, 3, returned);
		await_opcode(push, DEMI_OPC_PUSH);
		returned += bytes;
	}
	assert_int_equal(returned, BYTES);
	stream_expect_end(qd);
}

/* Messages that are worth it are written from where they were received: only their ends are copied. */
static void pair__what_was_received_is_not_copied_to_be_written(void **state)
{
	TRANSPORT(transport, state);
	enum { MESSAGE = 9000, COUNT = 50 };
	uint64_t copied, device_copied, inlined, bytes;
	int qd = log_open("zero", O_RDWR | O_CREAT);
	struct address from, to;
	int client = socket_datagram(transport, &from), server = socket_datagram(transport, &to);

	for (unsigned int i = 0; i < COUNT; i++) {
		demi_sgarray_t sga = sga_pattern(MESSAGE, 6, i);
		demi_qtoken_t push;
		demi_qresult_t qr;

		check_call(demi_pushto(&push, client, &sga, &to.any, to.size), 0);
		check_call(demi_sgafree(&sga), 0);
		qr = await_opcode(pop(server), DEMI_OPC_POP);
		assert_int_equal(sga_bytes(&qr.qr_value.sga), MESSAGE);
		await_opcode(push_sga(qd, &qr.qr_value.sga), DEMI_OPC_PUSH);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		await_opcode(push, DEMI_OPC_PUSH);
	}
	check_call(demi_stat(&copied, "log.copied_bytes"), 0);
	check_call(demi_stat(&device_copied, "blkdev.copied_bytes"), 0);
	check_call(demi_stat(&inlined, "log.inline_bytes"), 0);
	check_call(demi_stat(&bytes, "log.append_bytes"), 0);
	print_message("%llu bytes, of which %llu were copied as ends of pieces\n",
		      (unsigned long long)bytes, (unsigned long long)inlined);
	assert_int_equal(copied, 0);
	assert_int_equal(device_copied, 0);
	assert_true(inlined <= bytes / 2);
	for (unsigned int i = 0; i < COUNT; i++)
		record_expect(qd, MESSAGE, 6, i);
}

/* A sleep ends when either has work; nothing else would end it before the test's time is over. */
static void pair__sleep_is_for_both(void **state)
{
	TRANSPORT(transport, state);
	struct pair pair;
	int qd;

	demi_fini();
	option_set("DEMI_RUNTIME_IDLE", "sleep");
	option_set("DEMI_RUNTIME_IDLE_AFTER_US", "0");
	check_call(demi_init(NULL), 0);
	qd = log_open("sleep", O_RDWR | O_CREAT);
	pair_open(&pair, transport);
	for (unsigned int i = 0; i < 100; i++) {
		demi_qtoken_t popping = pop(pair.server);

		/* Over the sockets that it waits for too. */
		await_opcode(push_pattern(qd, 10000, 4, i), DEMI_OPC_PUSH);
		await_opcode(push_pattern(pair.client, 10, 5, 0), DEMI_OPC_PUSH);
		record_await(popping, 10, 5, 0);
		record_expect(qd, 10000, 4, i);
	}
}

static void pair__names_both(void **state)
{
	char value[32];

	(void)state;
	check_call(demi_config("libos", value, sizeof(value)), 0);
	assert_string_equal(value, profile_get()->libos);
}

static void body_refused(void *argument)
{
	setenv("LIBOS", argument, 1);
	check_call(demi_init(NULL), ENOTSUP);
}

static void pair__others_are_refused(void **state)
{
	static const char *const names[] = {"catnip+catnap", "cattree+cattree", "cattree+catnip",
					    "catnap+",       "catnip+cattree+", "catnap+nosuch",
					    "nosuch+cattree"};
	struct child child;

	(void)state;
	demi_fini();
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		child_run(&child, body_refused, (void *)(uintptr_t)names[i]);
		child_check_exit(&child);
		child_check_says(&child, names[i]);
		child_check_says(&child, "allowed: catnap, catnip, ");
		child_check_says(&child, ", catnap+cattree, catnip+cattree");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OVER(ipv4, pair__wait_any_over_network_and_log),
		TEST_OVER(ipv6, pair__wait_any_over_network_and_log),
		TEST_OVER(ipv4, pair__from_a_stream_to_a_log_and_back),
		TEST_OVER(ipv4, pair__what_was_received_is_not_copied_to_be_written),
		TEST_OVER(ipv6, pair__what_was_received_is_not_copied_to_be_written),
		TEST_OVER(ipv4, pair__sleep_is_for_both),
		TEST(pair__names_both),
		TEST(pair__others_are_refused),
	};
	const struct profile *profile = profile_get();

	return suite_main("log_pair", !profile || (profile->logs && profile->tcp),
			  "sockets and logs", tests, COUNT_OF(tests));
}
