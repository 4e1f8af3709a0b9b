/* SPDX-License-Identifier: MIT */
/*
 * Peers that do not keep to the protocol: the runtime ends their connections with an error that says so, and
 * goes on serving the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "libos/catmint/testing.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct raw honest, hostile;
static struct queue *served, *attacked;

static const struct message_counters generous = {1000, 0};

/* ---- What the tests begin and end with ---- */

/* With a connection of somebody honest, who is served all the time. */
static int begin_with(const char *words)
{
	struct message_hello hello;

	victim_start(words);
	raw_open(&honest, 2);
	raw_open(&hostile, 3);
	hello = raw_hello(&honest);
	assert_true(raw_connect_with(&honest, &hello));
	served = victim_accept();
	return 0;
}

static int begin(void **state)
{
	(void)state;
	return begin_with("");
}

static int begin_without_shared_queue(void **state)
{
	(void)state;
	return begin_with(",max_srq=0");
}

static struct op *pop(struct queue *queue)
{
	struct op *op = victim_issue(queue, DEMI_OPC_POP);

	assert_int_equal(queue->ops->pop(queue, op), 0);
	return op;
}

/* How many bytes come; or -errno. */
static int pop_bytes(struct queue *queue)
{
	struct op *op = pop(queue);
	int result = -victim_wait(op);

	if (!result) {
		result = (int)op->result.buf->length;
		assert_int_equal(buf_free(victim.context.heap, op->result.buf), 0);
	}
	victim_done(op);
	return result;
}

static void push(struct queue *queue, uint32_t bytes, struct op **op_out)
{
	void *memory = heap_alloc_io(victim.context.heap, bytes);
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{memory, bytes}}};

	*op_out = victim_issue(queue, DEMI_OPC_PUSH);
	memset(memory, 'x', bytes);
	assert_int_equal(queue->ops->push(queue, *op_out, &sga, NULL, 0), 0);
	heap_free(victim.context.heap, memory);
}

/* Each has what the other says. */
static void expect_served(void)
{
	uint32_t before = honest.received;
	struct message_header header = {MESSAGE_DATA, 9, generous};
	struct op *op;

	raw_message(&honest, &header, "a request", 9);
	assert_int_equal(pop_bytes(served), 9);
	push(served, 5, &op);
	assert_int_equal(victim_wait(op), 0);
	victim_done(op);
	for (unsigned int steps = 0; honest.received == before; steps++) {
		assert_true(steps < RIG_STEPS_MAX && !honest.is_broken);
		rig_step();
		raw_poll(&honest);
	}
}

static int end(void **state)
{
	(void)state;
	expect_served();
	if (attacked)
		victim_close(attacked);
	attacked = NULL;
	victim_close(served);
	raw_close(&hostile);
	raw_close(&honest);
	victim_stop();
	return 0;
}

static void attack(void)
{
	struct message_hello hello = raw_hello(&hostile);

	assert_true(raw_connect_with(&hostile, &hello));
	attacked = victim_accept();
}

/* The next thing that the application hears. */
static void expect_end(int error)
{
	assert_int_equal(pop_bytes(attacked), -error);
	victim_close(attacked);
	attacked = NULL;
	expect_served();
}

/* ---- Hellos ---- */

static void hello__that_is_not_one_is_refused(void **state)
{
	struct message_hello tiny = raw_hello(&hostile), narrow = tiny;
	unsigned char bytes[MESSAGE_HELLO_BYTES];

	(void)state;
	assert_false(raw_connect(&hostile, NULL, 0));
	raw_leave(&hostile);
	message_hello_store(bytes, &tiny);
	assert_false(raw_connect(&hostile, bytes, MESSAGE_HELLO_BYTES / 2));
	raw_leave(&hostile);
	for (int at = 0; at < 8; at++) {
		bytes[at] ^= 0x40;
		assert_false(raw_connect(&hostile, bytes, sizeof(bytes)));
		raw_leave(&hostile);
		bytes[at] ^= 0x40;
	}
	tiny.receive_bytes = MESSAGE_HEADER_BYTES;
	assert_false(raw_connect_with(&hostile, &tiny));
	raw_leave(&hostile);
	narrow.large_bytes = narrow.receive_bytes - 1;
	assert_false(raw_connect_with(&hostile, &narrow));
}

static void hello__without_credits_lets_pushes_wait(void **state)
{
	struct message_hello hello = raw_hello(&hostile);
	struct message_header header = {MESSAGE_DATA, 1, {1, 0}};
	struct op *op;

	(void)state;
	hello.granted = 0;
	assert_true(raw_connect_with(&hostile, &hello));
	attacked = victim_accept();
	push(attacked, 10, &op);
	rig_run(1000 * RIG_US);
	assert_false(op_is_complete(op));
	raw_message(&hostile, &header, "1", 1);
	assert_int_equal(victim_wait(op), 0);
	victim_done(op);
}

static void hello__with_the_most_of_everything_is_survived(void **state)
{
	struct message_hello hello = {UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT32_MAX, UINT32_MAX};
	struct op *op;

	(void)state;
	assert_true(raw_connect_with(&hostile, &hello));
	attacked = victim_accept();
	/* It does not fit into the buffer that there is. */
	push(attacked, 1 << 20, &op);
	assert_true(victim_wait(op) > 0);
	victim_done(op);
	victim_close(attacked);
	attacked = NULL;
}

static struct op *connect_to_raw(struct queue *queue, const struct message_hello *hello)
{
	struct sockaddr_in address = rig_address(3, RIG_PORT);
	struct op *op = victim_issue(queue, DEMI_OPC_CONNECT);
	unsigned char bytes[MESSAGE_HELLO_BYTES];
	struct rdma_conn_param parameters = raw_parameters(bytes, sizeof(bytes));

	message_hello_store(bytes, hello);
	assert_int_equal(
		queue->ops->connect(queue, op, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(raw_wait_event(&hostile), RDMA_CM_EVENT_CONNECT_REQUEST);
	raw_make_qp(&hostile);
	assert_int_equal(hostile.calls->accept(hostile.id, &parameters), 0);
	return op;
}

static void hello__of_one_that_accepts_is_looked_at_too(void **state)
{
	struct message_hello hello = raw_hello(&hostile), bad = hello;
	struct message_header header = {MESSAGE_DATA, 5, generous};
	struct op *op;

	(void)state;
	bad.receive_bytes = 3;
	raw_listen(&hostile, 3);
	attacked = victim_socket();
	op = connect_to_raw(attacked, &bad);
	/* Which comes when the connection is there for the device, and not for us. */
	for (int i = 0; i < 3; i++)
		raw_message(&hostile, &header, "early", 5);
	assert_int_equal(victim_wait(op), EPROTO);
	victim_done(op);
	rig_run(1000 * RIG_US);
	raw_leave(&hostile);
	expect_served();
	/* The socket is as it was. */
	op = connect_to_raw(attacked, &hello);
	assert_int_equal(victim_wait(op), 0);
	victim_done(op);
	while (raw_wait_event(&hostile) != RDMA_CM_EVENT_ESTABLISHED)
		;
	raw_message(&hostile, &header, "hello", 5);
	assert_int_equal(pop_bytes(attacked), 5);
}

/* ---- Messages ---- */

static void message__that_is_none_ends_the_connection(void **state)
{
	static const unsigned char messages[][20] = {
		"",                                  /* kind 0 */
		{MESSAGE_DATA, 0, 0, 0, 0, 0, 0, 3}, /* too long for what it says */
		{MESSAGE_DATA, 0, 0, 0, 0, 0, 0, 5},
		{MESSAGE_DATA, 0, 0, 0, 255, 255, 255, 244},
		{MESSAGE_DATA, 1, 0, 0, 0, 0, 0, 4},
		{MESSAGE_END + 1, 0, 0, 0, 0, 0, 0, 4},
		{255, 0, 0, 0, 0, 0, 0, 4},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(messages); i++) {
		attack();
		raw_post(&hostile, messages[i], sizeof(messages[i]), 0, 0);
		expect_end(EPROTO);
		raw_leave(&hostile);
	}
	for (uint32_t length = 0; length < MESSAGE_HEADER_BYTES; length++) {
		attack();
		raw_post(&hostile, messages[1], length, 0, 0);
		expect_end(EPROTO);
		raw_leave(&hostile);
	}
}

static void message__that_is_too_long_ends_the_connection(void **state)
{
	static const unsigned char bytes[2000];
	struct message_header header = {MESSAGE_DATA, sizeof(bytes), generous};

	(void)state;
	attack();
	raw_message(&hostile, &header, bytes, sizeof(bytes));
	expect_end(EIO);
}

static void message__without_bytes_is_no_end(void **state)
{
	struct message_header empty = {MESSAGE_DATA, 0, generous};
	struct message_header header = {MESSAGE_DATA, 4, generous};

	(void)state;
	attack();
	raw_message(&hostile, &empty, NULL, 0);
	raw_message(&hostile, &header, "data", 4);
	assert_int_equal(pop_bytes(attacked), 4);
}

static void messages__without_credits_take_nothing_from_others(void **state)
{
	struct message_header header = {MESSAGE_DATA, 4, generous};
	int received = 0, result = 0;

	(void)state;
	attack();
	for (int i = 0; i < 300; i++)
		raw_message(&hostile, &header, "more", 4);
	rig_run(3000 * RIG_US);
	/* What it had credits for is the application's. */
	while (received < 300 && (result = pop_bytes(attacked)) > 0)
		received++;
	/* A queue of its own it cannot overrun: its device waits, and all arrives. */
	assert_int_equal(result, victim.mint->srq ? -EPROTO : 4);
	assert_true(received >= 2);
	assert_true(victim.mint->spare >= 0);
	victim_close(attacked);
	attacked = NULL;
	for (int i = 0; i < 20; i++)
		expect_served();
}

static void end__is_the_end(void **state)
{
	struct message_header finish = {MESSAGE_END, 0, generous};
	struct message_header header = {MESSAGE_DATA, 4, generous};
	struct message_place place = {(uintptr_t)hostile.memory, hostile.mr->rkey, 100};
	struct message_header large = {MESSAGE_LARGE, MESSAGE_PLACE_BYTES, generous};
	unsigned char notice[MESSAGE_PLACE_BYTES];

	(void)state;
	message_place_store(notice, &place);
	attack();
	raw_message(&hostile, &header, "data", 4);
	raw_message(&hostile, &finish, NULL, 0);
	raw_message(&hostile, &header, "more", 4);
	raw_message(&hostile, &finish, NULL, 0);
	assert_int_equal(pop_bytes(attacked), 4);
	assert_int_equal(pop_bytes(attacked), 0);
	raw_message(&hostile, &large, notice, sizeof(notice));
	assert_int_equal(pop_bytes(attacked), 0);
	assert_int_equal(pop_bytes(attacked), 0);
}

/* ---- Large messages ---- */

static void send_places(const struct message_place *places, uint32_t count, uint32_t cut)
{
	struct message_header header = {MESSAGE_LARGE, count * MESSAGE_PLACE_BYTES - cut, generous};
	unsigned char notice[32 * MESSAGE_PLACE_BYTES];

	for (uint32_t i = 0; i < count; i++)
		message_place_store(notice + i * MESSAGE_PLACE_BYTES, &places[i]);
	raw_message(&hostile, &header, notice, header.length);
}

static void large__that_cannot_be_ends_the_connection(void **state)
{
	const struct message_place good = {(uintptr_t)hostile.memory, hostile.mr->rkey, 4096};
	struct message_place places[17];

	(void)state;
	for (int kind = 0; kind < 6; kind++) {
		uint32_t count = 2, cut = 0;

		for (size_t i = 0; i < COUNT_OF(places); i++)
			places[i] = good;
		if (kind == 0)
			count = 0;
		else if (kind == 1)
			count = MESSAGE_PLACES_MAX + 1;
		else if (kind == 2)
			cut = 1;
		else if (kind == 3)
			places[1].length = 0;
		else if (kind == 4)
			places[1].length = victim.mint->limits.large_bytes;
		else
			places[0].length = places[1].length = UINT32_MAX / 2 + 1;
		attack();
		send_places(places, count, cut);
		expect_end(EPROTO);
		raw_leave(&hostile);
	}
}

static void large__of_memory_that_is_not_there_ends_the_connection(void **state)
{
	struct message_place place = {(uintptr_t)hostile.memory, hostile.mr->rkey, 4096};

	(void)state;
	attack();
	place.rkey ^= 0x55555555;
	send_places(&place, 1, 0);
	expect_end(EPROTO);
	raw_leave(&hostile);
	attack();
	place = (struct message_place){UINT64_MAX - 10, hostile.mr->rkey, 4096};
	send_places(&place, 1, 0);
	expect_end(EPROTO);
}

static void large__as_long_as_may_be_arrives(void **state)
{
	struct message_place places[MESSAGE_PLACES_MAX];
	uint32_t bytes = victim.mint->limits.large_bytes / MESSAGE_PLACES_MAX;

	(void)state;
	for (uint32_t i = 0; i < MESSAGE_PLACES_MAX; i++)
		places[i] = (struct message_place){(uintptr_t)hostile.memory + i, hostile.mr->rkey,
						   bytes};
	attack();
	send_places(places, MESSAGE_PLACES_MAX, 0);
	assert_int_equal(pop_bytes(attacked), victim.mint->limits.large_bytes);
}

/* ---- Counters ---- */

static void write_word(uint32_t granted, uint32_t read)
{
	uint64_t word = message_counters_pack((struct message_counters){granted, read});

	raw_post(&hostile, &word, sizeof(word), hostile.peer.counters, hostile.peer.counters_rkey);
}

static void counters__that_jump_are_survived(void **state)
{
	static const uint32_t values[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 3, 0x80000003};
	struct op *small, *large;

	(void)state;
	attack();
	push(attacked, 10000, &large);
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		struct message_header header = {MESSAGE_DATA, 1, {values[i], values[i] / 2}};

		write_word(values[i], values[COUNT_OF(values) - 1 - i]);
		raw_message(&hostile, &header, "x", 1);
		assert_int_equal(pop_bytes(attacked), 1);
		push(attacked, 20, &small);
		rig_run(100 * RIG_US);
		raw_poll(&hostile);
		assert_int_equal(victim_wait(small), 0);
		victim_done(small);
	}
	/* It says that it has read it. */
	assert_int_equal(victim_wait(large), 0);
	victim_done(large);
}

static void counters__elsewhere_end_the_connection(void **state)
{
	uint64_t word = 0;

	(void)state;
	attack();
	raw_post(&hostile, &word, sizeof(word), hostile.peer.counters + (1 << 20),
		 hostile.peer.counters_rkey);
	expect_end(EPROTO);
}

static void counters__of_a_farewell_that_is_none_are_survived(void **state)
{
	struct op *op;

	(void)state;
	attack();
	push(attacked, 100, &op);
	write_word(1 + MESSAGE_FAREWELL, 0);
	assert_int_equal(victim_wait(op), 0);
	victim_done(op);
	hostile.calls->disconnect(hostile.id);
	expect_end(ECONNRESET);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hello__that_is_not_one_is_refused),
		TEST(hello__without_credits_lets_pushes_wait),
		TEST(hello__with_the_most_of_everything_is_survived),
		TEST(hello__of_one_that_accepts_is_looked_at_too),
		TEST(message__that_is_none_ends_the_connection),
		TEST(message__that_is_too_long_ends_the_connection),
		cmocka_unit_test_setup_teardown(message__that_is_too_long_ends_the_connection,
						begin_without_shared_queue, end),
		TEST(message__without_bytes_is_no_end),
		TEST(messages__without_credits_take_nothing_from_others),
		cmocka_unit_test_setup_teardown(messages__without_credits_take_nothing_from_others,
						begin_without_shared_queue, end),
		TEST(end__is_the_end),
		TEST(large__that_cannot_be_ends_the_connection),
		TEST(large__of_memory_that_is_not_there_ends_the_connection),
		TEST(large__as_long_as_may_be_arrives),
		TEST(counters__that_jump_are_survived),
		TEST(counters__elsewhere_end_the_connection),
		TEST(counters__of_a_farewell_that_is_none_are_survived),
	};

	return cmocka_run_group_tests_name("libos/catmint/hostile", tests, NULL, NULL);
}
