/* SPDX-License-Identifier: MIT */
/* When a runtime may sleep, what wakes it, and for how long it sleeps when nothing would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "libos/catmint/testing.h"

#define NAP_NS (50 * RIG_US)
#define NAP_NS_MAX (NAP_NS << 5)

static struct raw peer;
static struct queue *queue;
static struct pollfd wakes[LIBOS_WAKES_MAX];
static uint64_t timeout_ns;

static int begin(void **state)
{
	struct message_hello hello;

	(void)state;
	victim_start("");
	raw_open(&peer, 2);
	hello = raw_hello(&peer);
	hello.granted = 1;
	assert_true(raw_connect_with(&peer, &hello));
	queue = victim_accept();
	rig_run(RIG_US * 100);
	return 0;
}

static int end(void **state)
{
	(void)state;
	victim_close(queue);
	raw_close(&peer);
	victim_stop();
	return 0;
}

static int idle(void)
{
	timeout_ns = UINT64_MAX;
	return catmint_ops.idle(victim.libos, wakes, &timeout_ns);
}

/* It goes to sleep, and nothing wakes it before something happens. */
static void fall_asleep(void)
{
	for (unsigned int tries = 0; idle() < 0; tries++) {
		assert_true(tries < 10);
		rig_step();
	}
	assert_int_equal(timeout_ns, UINT64_MAX);
	assert_int_equal(poll(wakes, 2, 0), 0);
}

static struct op *pop(void)
{
	struct op *op = victim_issue(queue, DEMI_OPC_POP);

	assert_int_equal(queue->ops->pop(queue, op), 0);
	return op;
}

static void take(struct op *op)
{
	assert_true(op_is_complete(op));
	assert_int_equal(op->error, 0);
	assert_int_equal(buf_free(victim.context.heap, op->result.buf), 0);
	victim_done(op);
}

static void say(uint32_t granted)
{
	struct message_header header = {MESSAGE_DATA, 1, {granted, 0}};

	raw_message(&peer, &header, "x", 1);
}

/* By the completion channel, again and again; a round is enough then. */
static void idle__ends_with_a_message(void **state)
{
	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct op *op = pop();

		fall_asleep();
		say(1);
		assert_int_equal(poll(wakes, 2, 0), 1);
		assert_int_equal(wakes[0].revents, POLLIN);
		assert_int_equal(wakes[0].fd, victim.mint->channel->fd);
		rig_step();
		take(op);
		raw_poll(&peer);
	}
}

/* What comes before the queue is armed wakes nobody, and is looked at instead. */
static void idle__is_not_begun_over_a_message(void **state)
{
	struct op *op = pop();

	(void)state;
	fall_asleep();
	say(1);
	rig_step();
	take(op);
	op = pop();
	/* The event of the first one has been taken, and the queue is not armed. */
	say(1);
	assert_int_equal(idle(), -EAGAIN);
	rig_step();
	take(op);
	fall_asleep();
}

static void idle__ends_with_a_connection(void **state)
{
	struct op *op = victim_issue(victim.listener, DEMI_OPC_ACCEPT);
	struct rdma_conn_param parameters;
	unsigned char bytes[MESSAGE_HELLO_BYTES];
	struct message_hello hello;
	struct raw other;

	(void)state;
	assert_int_equal(victim.listener->ops->accept(victim.listener, op), 0);
	raw_open(&other, 3);
	hello = raw_hello(&other);
	message_hello_store(bytes, &hello);
	parameters = raw_parameters(bytes, sizeof(bytes));
	raw_prepare(&other);
	fall_asleep();
	assert_int_equal(other.calls->connect(other.id, &parameters), 0);
	assert_int_equal(poll(wakes, 2, 0), 1);
	assert_int_equal(wakes[1].revents, POLLIN);
	assert_int_equal(raw_wait_event(&other), RDMA_CM_EVENT_ESTABLISHED);
	assert_int_equal(victim_wait(op), 0);
	victim_close(queue_lookup(&victim.context.queues, op->result.accepted_qd));
	victim_done(op);
	raw_close(&other);
}

static void idle__ends_with_the_device(void **state)
{
	struct op *op = pop();

	(void)state;
	fall_asleep();
	rdma_sim_remove(victim.mint->rdma);
	assert_true(poll(wakes, 2, 0) >= 1);
	assert_int_equal(wakes[1].revents, POLLIN);
	rig_step();
	assert_true(op_is_complete(op));
	assert_int_equal(op->error, ENODEV);
	victim_done(op);
}

/* What the peer writes to our word wakes nobody: the naps grow, and begin anew when something has come. */
static void idle__is_short_while_credits_are_waited_for(void **state)
{
	unsigned char byte = 1;
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{&byte, 1}}};
	uint64_t expected_ns = NAP_NS;
	struct op *op;

	(void)state;
	for (int i = 0; i < 2; i++) {
		op = victim_issue(queue, DEMI_OPC_PUSH);
		assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), 0);
		if (i == 0)
			victim_done(op);
	}
	assert_false(op_is_complete(op));
	rig_step();
	for (int i = 0; i < 10; i++) {
		int count = idle();

		if (count < 0) {
			rig_step();
			continue;
		}
		assert_int_equal(count, 2);
		assert_int_equal(timeout_ns, expected_ns);
		expected_ns = 2 * expected_ns < NAP_NS_MAX ? 2 * expected_ns : NAP_NS_MAX;
		rig_step();
	}
	assert_int_equal(expected_ns, NAP_NS_MAX);
	say(2);
	assert_int_equal(victim_wait(op), 0);
	victim_done(op);
	op = pop();
	take(op);
	fall_asleep();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(idle__ends_with_a_message),
		TEST(idle__is_not_begun_over_a_message),
		TEST(idle__ends_with_a_connection),
		TEST(idle__ends_with_the_device),
		TEST(idle__is_short_while_credits_are_waited_for),
	};

	return cmocka_run_group_tests_name("libos/catmint/idle", tests, NULL, NULL);
}
