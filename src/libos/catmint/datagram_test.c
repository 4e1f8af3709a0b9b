/* SPDX-License-Identifier: MIT */
/* Datagrams between two runtimes, on a network on which mishaps happen. */
#include "libos/catmint/datagram_testing.h"

#define PORT 7000

/* --- on the way --- */

/* Whatever becomes of it on the way: what arrives is whole, and at most what was sent. */
static void exchange_over(const char *words, unsigned int least, unsigned int most)
{
	static const uint32_t sizes[] = {0, 1, 100, 256, 4000, 4064, 4065, 20000, 65507};
	enum { COUNT = 2000 };
	struct queue *from, *to;
	struct sockaddr_in there = address_of(2, PORT);
	unsigned int arrived = 0;
	struct op *popping;

	start(words);
	from = socket_open(&a);
	to = socket_bound(&b, 2, PORT);
	popping = pop(&b, to);
	for (uint32_t i = 0; i < COUNT; i++) {
		struct op *op = push(&a, from, &there,
				     sizes[i % (sizeof(sizes) / sizeof(sizes[0]))], i);

		assert_int_equal(wait_for(&a, op), 0);
		for (unsigned int rounds = 0; rounds < 20; rounds++) {
			step();
			if (!op_is_complete(popping))
				continue;
			assert_int_not_equal(take(&b, popping, NULL), UINT32_MAX);
			arrived++;
			popping = pop(&b, to);
		}
	}
	assert_in_range(arrived, least * COUNT / 100, most * COUNT / 100);
	socket_close(&b, to);
	assert_int_equal(wait_for(&b, popping), ECANCELED);
	/* What came in parts and never got whole is dropped in time. */
	run(2 * SECOND);
	end();
}

static void datagrams__arrive(void **state)
{
	(void)state;
	exchange_over("", 100, 100);
	exchange_over(",delay_ns=3000,jitter_ns=2000", 99, 100);
}

static void datagrams__that_arrive_are_whole(void **state)
{
	(void)state;
	exchange_over(",seed=1,loss=20000", 60, 99);
	exchange_over(",seed=2,duplicate=100000", 100, 125);
	exchange_over(",seed=3,delay_ns=2000,reorder=200000,duplicate=50000", 90, 125);
	exchange_over(",seed=4,delay_ns=2000,mtu=1024,loss=5000,reorder=100000,duplicate=100000",
		      40, 120);
}

/* With one piece of memory for each request, no inline data, and few requests. */
static void datagrams__arrive_by_a_poor_device(void **state)
{
	(void)state;
	exchange_over(",max_sge=2,max_inline=0,max_qp_wr=64,mtu=1024", 80, 100);
}

/* --- who is there --- */

static void destination__that_was_restarted_is_found_again(void **state)
{
	struct queue *from, *to;
	struct sockaddr_in there = address_of(2, PORT);
	struct op *popping;
	unsigned int sent = 0;

	(void)state;
	start(",delay_ns=2000");
	from = socket_open(&a);
	to = socket_bound(&b, 2, PORT);
	assert_int_equal(wait_for(&a, push(&a, from, &there, 10, 1)), 0);
	expect(&b, to, 10);
	socket_close(&b, to);
	run(MS);
	to = socket_bound(&b, 2, PORT);
	popping = pop(&b, to);
	/* The number that was known is nobody's; while traffic goes on it is asked for again. */
	for (; !op_is_complete(popping); sent++) {
		assert_true(sent < 1000);
		assert_int_equal(wait_for(&a, push(&a, from, &there, 10, sent)), 0);
		run(10 * MS);
	}
	assert_true(sent > 10);
	assert_int_equal(take(&b, popping, NULL), 10);
	end();
}

/* Who answers needs no question: where it came from says it. */
static void destination__is_learned_from_what_comes(void **state)
{
	struct queue *from, *to;
	struct sockaddr_in there = address_of(2, PORT), here = address_of(1, PORT);

	(void)state;
	start(",delay_ns=2000");
	from = socket_bound(&a, 1, PORT);
	to = socket_bound(&b, 2, PORT);
	assert_int_equal(wait_for(&a, push(&a, from, &there, 10, 1)), 0);
	expect(&b, to, 10);
	for (unsigned int i = 0; i < 500; i++) {
		assert_int_equal(wait_for(&b, push(&b, to, &here, 5000, i)), 0);
		expect(&a, from, 5000);
		assert_int_equal(wait_for(&a, push(&a, from, &there, 10, 1)), 0);
		expect(&b, to, 10);
		run(10 * MS);
	}
	assert_int_equal(a.mint->counters.datagram_resolutions, 1);
	assert_int_equal(b.mint->counters.datagram_resolutions, 0);
	end();
}

/* A connect asks nobody, and promises nothing; what it has chosen the peer can answer to. */
static void destination__that_is_silent_can_be_connected_to(void **state)
{
	struct sockaddr_in silent = address_of(9, PORT), there = address_of(2, PORT), own;
	struct sockaddr *chosen = (struct sockaddr *)&own;
	socklen_t length = sizeof(own);
	struct queue *queue;
	struct op *op;

	(void)state;
	start(",delay_ns=2000");
	queue = socket_open(&a);
	op = issue(&a, queue, DEMI_OPC_CONNECT);
	assert_int_equal(queue->ops->connect(queue, op, (struct sockaddr *)&silent, sizeof(silent)),
			 0);
	assert_int_equal(wait_for(&a, op), 0);
	assert_int_equal(wait_for(&a, push(&a, queue, NULL, 10, 1)), EHOSTUNREACH);
	op = issue(&a, queue, DEMI_OPC_CONNECT);
	assert_int_equal(queue->ops->connect(queue, op, (struct sockaddr *)&there, sizeof(there)),
			 0);
	assert_int_equal(wait_for(&a, op), 0);
	assert_int_equal(queue->ops->get_local_address(queue, chosen, &length), 0);
	assert_int_equal(own.sin_addr.s_addr, htonl(0x0a000001));
	assert_int_not_equal(own.sin_port, 0);
	/* A connect that is under way can be cancelled, and closed over. */
	for (int round = 0; round < 2; round++) {
		op = issue(&a, queue, DEMI_OPC_CONNECT);
		silent.sin_port++;
		assert_int_equal(
			queue->ops->connect(queue, op, (struct sockaddr *)&silent, sizeof(silent)),
			0);
		if (round == 0)
			assert_int_equal(queue->ops->cancel(queue, op), 0);
		else
			socket_close(&a, queue);
		assert_int_equal(finish(&a, op), ECANCELED);
	}
	end();
}

/* Of a host with two addresses answers come from the one that was asked. */
static void destination__is_answered_from_where_it_sent_to(void **state)
{
	struct sockaddr_in first = address_of(2, PORT), second = address_of(5, PORT);
	struct sockaddr_in here = address_of(1, PORT);
	struct queue *from, *to;
	struct op *popping;

	(void)state;
	now_ns = 1000 * SECOND;
	host_start(&a, 1, ",delay_ns=2000");
	host_start(&b, 2, ",delay_ns=2000,ip=10.0.0.5");
	from = socket_bound(&a, 1, PORT);
	to = socket_open(&b);
	first.sin_addr.s_addr = INADDR_ANY;
	assert_int_equal(to->ops->bind(to, (struct sockaddr *)&first, sizeof(first)), 0);
	first = address_of(2, PORT);
	for (int round = 0; round < 4; round++) {
		const struct sockaddr_in *asked = round & 1 ? &second : &first;
		const struct sockaddr_in *source;

		assert_int_equal(wait_for(&a, push(&a, from, asked, 10, 1)), 0);
		expect(&b, to, 10);
		assert_int_equal(wait_for(&b, push(&b, to, &here, 20, 1)), 0);
		popping = pop(&a, from);
		run(MS);
		assert_true(op_is_complete(popping));
		source = &popping->result.buf->source.ipv4;
		assert_int_equal(source->sin_addr.s_addr, asked->sin_addr.s_addr);
		assert_int_equal(source->sin_port, asked->sin_port);
		assert_int_equal(take(&a, popping, NULL), 20);
	}
	end();
}

static void destination__that_refuses_is_told_once_to_a_connected_socket(void **state)
{
	struct queue *connected, *other;
	struct sockaddr_in there = address_of(2, PORT);
	struct op *op, *popping;

	(void)state;
	start(",delay_ns=2000");
	connected = socket_open(&a);
	other = socket_open(&a);
	op = issue(&a, connected, DEMI_OPC_CONNECT);
	assert_int_equal(
		connected->ops->connect(connected, op, (struct sockaddr *)&there, sizeof(there)),
		0);
	assert_int_equal(wait_for(&a, op), 0);
	run(MS);
	/* The question that the connect has begun has had its answer. */
	assert_int_equal(a.mint->counters.datagrams_refused, 1);
	assert_int_equal(wait_for(&a, push(&a, connected, NULL, 10, 1)), ECONNREFUSED);
	popping = pop(&a, connected);
	assert_int_equal(wait_for(&a, push(&a, connected, NULL, 1000, 1)), 0);
	assert_int_equal(wait_for(&a, popping), ECONNREFUSED);
	popping = pop(&a, other);
	assert_int_equal(wait_for(&a, push(&a, other, &there, 10, 1)), 0);
	run(MS);
	assert_false(op_is_complete(popping));
	socket_close(&a, other);
	assert_int_equal(wait_for(&a, popping), ECANCELED);
	end();
}

/* Of what waits for it the oldest go first; the memory is given back at last. */
static void destination__that_is_silent_lets_go_of_what_waits(void **state)
{
	enum { COUNT = 80 };
	struct queue *from;
	struct sockaddr_in there = address_of(9, PORT);
	struct op *ops[COUNT];
	uint32_t kept;

	(void)state;
	start(",delay_ns=2000");
	from = socket_open(&a);
	kept = a.mint->limits.datagrams_waiting;
	assert_in_range(kept, 1, COUNT - 1);
	for (uint32_t i = 0; i < COUNT; i++)
		ops[i] = push(&a, from, &there, 1000, i);
	for (uint32_t i = 0; i < COUNT; i++)
		assert_int_equal(op_is_complete(ops[i]), i < COUNT - kept);
	run(MS);
	assert_false(op_is_complete(ops[COUNT - 1]));
	/* One that is short was copied. */
	assert_int_equal(finish(&a, push(&a, from, &there, 10, 1)), 0);
	assert_int_equal(a.mint->counters.datagrams_dropped, COUNT - kept + 1);
	/* One that waits can be cancelled. */
	assert_int_equal(from->ops->cancel(from, ops[COUNT - 1]), 0);
	assert_int_equal(finish(&a, ops[COUNT - 1]), ECANCELED);
	for (uint32_t i = 0; i < COUNT - 1; i++) {
		int error = wait_for(&a, ops[i]);

		assert_true(error == 0 || error == EHOSTUNREACH);
		assert_int_equal(error == 0, i <= COUNT - kept);
	}
	end();
}

/* What was pushed and is complete goes, though the socket is closed before the peer is known. */
static void destination__is_found_for_a_socket_that_is_closed(void **state)
{
	struct queue *from, *to;
	struct sockaddr_in there = address_of(2, PORT);

	(void)state;
	start(",delay_ns=2000");
	from = socket_open(&a);
	to = socket_bound(&b, 2, PORT);
	assert_int_equal(finish(&a, push(&a, from, &there, 10, 1)), 0);
	socket_close(&a, from);
	expect(&b, to, 10);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams__arrive),
		cmocka_unit_test(datagrams__that_arrive_are_whole),
		cmocka_unit_test(datagrams__arrive_by_a_poor_device),
		cmocka_unit_test(destination__that_was_restarted_is_found_again),
		cmocka_unit_test(destination__is_learned_from_what_comes),
		cmocka_unit_test(destination__that_refuses_is_told_once_to_a_connected_socket),
		cmocka_unit_test(destination__that_is_silent_can_be_connected_to),
		cmocka_unit_test(destination__is_answered_from_where_it_sent_to),
		cmocka_unit_test(destination__that_is_silent_lets_go_of_what_waits),
		cmocka_unit_test(destination__is_found_for_a_socket_that_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
