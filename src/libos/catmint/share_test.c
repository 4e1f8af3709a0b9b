/* SPDX-License-Identifier: MIT */
/* Receive buffers that many connections share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "libos/catmint/testing.h"

#define PAIRS 5000u
/* Of Soft-RoCE, rounded up. */
#define COMPLETIONS 32768u

static struct queue *clients[PAIRS], *servers[PAIRS];

static int begin(void **state)
{
	(void)state;
	rig_completions = COMPLETIONS;
	rig_connections = 2 * PAIRS + 1;
	rig_heap_bytes = 256u << 20;
	victim_start(",mtu=256");
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < PAIRS; i++) {
		victim_close(clients[i]);
		victim_close(servers[i]);
	}
	victim_stop();
	return 0;
}

static void connect_pair(unsigned int i)
{
	struct sockaddr_in address = rig_address(1, RIG_PORT);
	struct op *op;

	clients[i] = victim_socket();
	op = victim_issue(clients[i], DEMI_OPC_CONNECT);
	assert_int_equal(clients[i]->ops->connect(clients[i], op, (struct sockaddr *)&address,
						  sizeof(address)),
			 0);
	servers[i] = victim_accept();
	assert_int_equal(victim_wait(op), 0);
	victim_done(op);
}

static void send_one(struct queue *from, struct queue *to)
{
	struct op *pop = victim_issue(to, DEMI_OPC_POP), *push = victim_issue(from, DEMI_OPC_PUSH);
	char text[] = "hello";
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{text, sizeof(text)}}};

	assert_int_equal(to->ops->pop(to, pop), 0);
	assert_int_equal(from->ops->push(from, push, &sga, NULL, 0), 0);
	assert_int_equal(victim_wait(pop), 0);
	assert_int_equal(pop->result.buf->length, sizeof(text));
	assert_memory_equal(pop->result.buf->data, text, sizeof(text));
	assert_int_equal(buf_free(victim.context.heap, pop->result.buf), 0);
	assert_int_equal(victim_wait(push), 0);
	victim_done(pop);
	victim_done(push);
}

/* Ten thousand: each can send and be sent to, and the buffers are no more than for one device. */
static void buffers__are_enough_for_ten_thousand_connections(void **state)
{
	const struct catmint *mint = victim.mint;

	(void)state;
	for (unsigned int i = 0; i < PAIRS; i++)
		connect_pair(i);
	assert_int_equal(mint->connection_count, 2 * PAIRS + 1);
	assert_true(mint->receives <= COMPLETIONS / 4 * 3);
	assert_true(mint->pool.total <=
		    COMPLETIONS / 4 * 3 + victim.config.catmint.receive_buffers);
	for (unsigned int i = 0; i < PAIRS; i++) {
		send_one(clients[i], servers[i]);
		send_one(servers[i], clients[i]);
	}
	assert_true(mint->receives <= COMPLETIONS / 4 * 3);
	assert_int_equal(mint->counters.connections_refused, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(buffers__are_enough_for_ten_thousand_connections,
						begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
