/* SPDX-License-Identifier: MIT */
/* With which errno each operation ends when the peer, the link, the queue pair or the device fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "libos/catmint/testing.h"
#include "rdma/sim_device.h"

#define RIG_MS (1000 * RIG_US)

static struct raw peer;
static struct queue *queue;

/* ---- Operations ---- */

static void expect(struct op *op, int error)
{
	assert_int_equal(victim_wait(op), error);
	victim_done(op);
}

static struct op *pop(void)
{
	struct op *op = victim_issue(queue, DEMI_OPC_POP);

	assert_int_equal(queue->ops->pop(queue, op), 0);
	return op;
}

static struct op *push(uint32_t bytes)
{
	void *memory = heap_alloc_io(victim.context.heap, bytes);
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{memory, bytes}}};
	struct op *op = victim_issue(queue, DEMI_OPC_PUSH);

	memset(memory, 'x', bytes);
	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), 0);
	heap_free(victim.context.heap, memory);
	return op;
}

static struct op *accept_one(void)
{
	struct op *op = victim_issue(victim.listener, DEMI_OPC_ACCEPT);

	assert_int_equal(victim.listener->ops->accept(victim.listener, op), 0);
	return op;
}

static struct op *connect_from(struct queue *from, unsigned int number)
{
	struct sockaddr_in address = rig_address(number, RIG_PORT);
	struct op *op = victim_issue(from, DEMI_OPC_CONNECT);

	assert_int_equal(from->ops->connect(from, op, (struct sockaddr *)&address, sizeof(address)),
			 0);
	return op;
}

static int option_error(struct queue *of)
{
	socklen_t length = sizeof(int);
	int error = -1;

	assert_int_equal(of->ops->get_option(of, SOL_SOCKET, SO_ERROR, &error, &length), 0);
	return error;
}

/* ---- What is under way when it happens ---- */

/* A pop; a push that the peer is to read; one for which there is no credit; an accept. */
static struct {
	struct op *pop, *read, *waiting, *accept;
} pending;

static void begin_with(const char *words)
{
	struct message_hello hello;

	victim_start(words);
	raw_open(&peer, 2);
	hello = raw_hello(&peer);
	hello.granted = 2;
	assert_true(raw_connect_with(&peer, &hello));
	queue = victim_accept();
	pending.pop = pop();
	pending.read = push(10000);
	expect(push(10), 0);
	pending.waiting = push(300);
	pending.accept = accept_one();
}

static int begin(void **state)
{
	(void)state;
	begin_with("");
	return 0;
}

/* What was pushed has not arrived yet when it happens. */
static int begin_far_away(void **state)
{
	(void)state;
	begin_with(",delay_ns=50000");
	return 0;
}

static int begin_without_shared_queue(void **state)
{
	(void)state;
	begin_with(",max_srq=0");
	return 0;
}

/* With probes, which are all that tells who is silent. */
static int begin_with_probes(void **state)
{
	(void)state;
	rig_keepalive_ms = 20;
	begin_with("");
	rig_keepalive_ms = 10000;
	return 0;
}

static int begin_with_failing_link(void **state)
{
	(void)state;
	rig_keepalive_ms = 20;
	begin_with(",down_fails=1");
	rig_keepalive_ms = 10000;
	return 0;
}

static void close_ended(void)
{
	if (queue)
		victim_close(queue);
	queue = NULL;
	raw_close(&peer);
}

static int end(void **state)
{
	(void)state;
	close_ended();
	victim_stop();
	return 0;
}

/* Everything of the connection ends so, and whatever comes afterwards. */
static void expect_ended(int error)
{
	expect(pending.pop, error);
	expect(pending.read, error);
	expect(pending.waiting, error);
	expect(pop(), error);
	expect(push(10), error);
	expect(push(300), error);
	expect(push(10000), error);
	assert_int_equal(option_error(queue), error);
	assert_int_equal(option_error(queue), 0);
}

/* The others go on. */
static void expect_served(void)
{
	struct message_header header = {MESSAGE_DATA, 5, {1000, 0}};
	struct message_hello hello;
	struct raw other;

	raw_open(&other, 3);
	hello = raw_hello(&other);
	assert_true(raw_connect_with(&other, &hello));
	assert_int_equal(victim_wait(pending.accept), 0);
	victim_close(queue);
	queue = queue_lookup(&victim.context.queues, pending.accept->result.accepted_qd);
	victim_done(pending.accept);
	raw_message(&other, &header, "hello", 5);
	pending.pop = pop();
	assert_int_equal(victim_wait(pending.pop), 0);
	assert_int_equal(buf_free(victim.context.heap, pending.pop->result.buf), 0);
	victim_done(pending.pop);
	raw_close(&other);
}

/* ---- The peer ---- */

static void peer__that_ends_is_econnreset(void **state)
{
	(void)state;
	raw_leave(&peer);
	expect_ended(ECONNRESET);
	expect_served();
}

static void peer__that_disconnects_is_econnreset(void **state)
{
	(void)state;
	peer.calls->disconnect(peer.id);
	expect_ended(ECONNRESET);
	expect_served();
}

static void peer__that_falls_silent_is_etimedout(void **state)
{
	(void)state;
	rdma_sim_silence(peer.rdma);
	expect_ended(ETIMEDOUT);
	expect_served();
}

/* What came before is the application's all the same. */
static void peer__that_ends_has_sent_what_it_has_sent(void **state)
{
	struct message_header header = {MESSAGE_DATA, 4, {2, 0}};

	(void)state;
	for (int i = 0; i < 2; i++)
		raw_message(&peer, &header, "last", 4);
	raw_leave(&peer);
	assert_int_equal(victim_wait(pending.pop), 0);
	assert_int_equal(buf_free(victim.context.heap, pending.pop->result.buf), 0);
	victim_done(pending.pop);
	expect(pending.read, ECONNRESET);
	pending.pop = pop();
	assert_int_equal(victim_wait(pending.pop), 0);
	assert_int_equal(buf_free(victim.context.heap, pending.pop->result.buf), 0);
	victim_done(pending.pop);
	expect(pending.waiting, ECONNRESET);
	expect(pop(), ECONNRESET);
	expect_served();
}

/* ---- The link ---- */

static void link__that_is_down_is_etimedout(void **state)
{
	(void)state;
	rdma_sim_link(victim.mint->rdma, false);
	expect_ended(ETIMEDOUT);
	rdma_sim_link(victim.mint->rdma, true);
	expect_served();
}

/* As Soft-RoCE has it, of this machine's own link: what is sent meanwhile fails at once. */
static void link__that_is_down_and_fails_requests_is_etimedout(void **state)
{
	(void)state;
	rdma_sim_link(victim.mint->rdma, false);
	expect_ended(ETIMEDOUT);
	rdma_sim_link(victim.mint->rdma, true);
	expect_served();
}

/* It may be up again before anybody has seen what failed; and then a failure is one of another kind. */
static void link__that_was_down_for_a_moment_is_etimedout(void **state)
{
	struct message_header header = {MESSAGE_DATA, 4, {1000, 0}};
	struct op *op;

	(void)state;
	raw_message(&peer, &header, "more", 4);
	assert_int_equal(victim_wait(pending.pop), 0);
	assert_int_equal(buf_free(victim.context.heap, pending.pop->result.buf), 0);
	victim_done(pending.pop);
	expect(pending.waiting, 0);
	rdma_sim_link(victim.mint->rdma, false);
	op = push(10000);
	rdma_sim_link(victim.mint->rdma, true);
	expect(op, ETIMEDOUT);
	expect(pending.read, ETIMEDOUT);
	expect(pop(), ETIMEDOUT);
	rig_run(RIG_MS);
	assert_false(victim.mint->is_port_down);
	expect_served();
}

/* It is said, too, when it goes and when it comes; and in time nothing is lost. */
static void link__that_comes_back_is_not_noticed(void **state)
{
	struct message_header header = {MESSAGE_DATA, 4, {1000, 1}};
	const char *said;

	(void)state;
	rig_hear();
	rdma_sim_link(victim.mint->rdma, false);
	raw_message(&peer, &header, "kept", 4);
	rig_run(300 * RIG_US);
	assert_false(op_is_complete(pending.pop));
	rdma_sim_link(victim.mint->rdma, true);
	assert_int_equal(victim_wait(pending.pop), 0);
	assert_memory_equal(pending.pop->result.buf->data, "kept", 4);
	assert_int_equal(buf_free(victim.context.heap, pending.pop->result.buf), 0);
	victim_done(pending.pop);
	expect(pending.read, 0);
	expect(pending.waiting, 0);
	rig_run(2 * RIG_MS);
	said = rig_heard();
	assert_non_null(strstr(said, "port 1 of sim_hostile is down"));
	assert_non_null(strstr(said, "port 1 of sim_hostile is up again"));
	expect_served();
}

/* ---- The queue pair ---- */

static void pair__that_fails_is_eio(void **state)
{
	(void)state;
	rdma_sim_fail_qp(connection_of(queue)->qp);
	expect_ended(EIO);
	expect_served();
}

/* Requests that are under way are flushed, which says nothing of the reason. */
static void pair__that_fails_with_requests_under_way_is_eio(void **state)
{
	(void)state;
	assert_non_null(connection_of(queue)->posted.head);
	rdma_sim_fail_qp(connection_of(queue)->qp);
	expect_ended(EIO);
	expect_served();
}

static void pair__of_a_peer_that_wants_what_it_may_not_have_is_eproto(void **state)
{
	uint64_t word = 0;

	(void)state;
	raw_post(&peer, &word, sizeof(word), peer.peer.counters + (1 << 20),
		 peer.peer.counters_rkey);
	expect_ended(EPROTO);
	expect_served();
}

static void aclose__ends_as_the_connection_does(void **state)
{
	struct op *op = victim_issue(queue, DEMI_OPC_CLOSE);
	struct queue *closed = queue;

	(void)state;
	queue_table_remove(&victim.context.queues, queue);
	queue = NULL;
	closed->ops->aclose(closed, op);
	expect(pending.pop, ECANCELED);
	rdma_sim_fail_qp(connection_of(closed)->qp);
	expect(op, EIO);
	expect(pending.read, EIO);
	expect(pending.waiting, EIO);
	assert_int_equal(victim.listener->ops->cancel(victim.listener, pending.accept), 0);
	expect(pending.accept, ECANCELED);
}

static bool lose_responses_of(void *rdma, const struct rdma_sim_message *message)
{
	return message->kind != RDMA_SIM_RESPONSE || message->from != rdma;
}

static void await_messages(uint32_t count)
{
	for (unsigned int steps = 0; peer.received < count; steps++) {
		assert_true(steps < RIG_STEPS_MAX);
		rig_step();
		raw_poll(&peer);
	}
}

static void end_with_farewell(uint32_t received)
{
	struct message_header finish = {MESSAGE_END, 0, {1000, 0}};
	uint64_t word = message_counters_pack(
		(struct message_counters){.granted = received + MESSAGE_FAREWELL});

	raw_message(&peer, &finish, NULL, 0);
	raw_post(&peer, &word, sizeof(word), peer.peer.counters, peer.peer.counters_rkey);
	rig_run(50 * RIG_US);
	raw_leave(&peer);
}

/* The peer has everything and has said so, but its device's last answers are lost with it. */
static void aclose__after_the_farewell_of_a_peer_ends_well(void **state)
{
	struct message_hello hello = raw_hello(&peer);
	struct op *pushed, *op;

	(void)state;
	victim_close(queue);
	assert_true(raw_connect_with(&peer, &hello));
	queue = victim_accept();
	rdma_sim_options(peer.rdma)->filter = lose_responses_of;
	rdma_sim_options(peer.rdma)->filter_context = peer.rdma;
	pushed = push(500);
	op = victim_issue(queue, DEMI_OPC_CLOSE);
	queue_table_remove(&victim.context.queues, queue);
	queue->ops->aclose(queue, op);
	queue = NULL;
	await_messages(2);
	assert_false(op_is_complete(pushed));
	end_with_farewell(2);
	expect(op, 0);
	expect(pushed, 0);
}

static void aclose__of_a_silent_peer_is_etimedout(void **state)
{
	struct op *op = victim_issue(queue, DEMI_OPC_CLOSE);
	struct queue *closed = queue;

	(void)state;
	queue_table_remove(&victim.context.queues, queue);
	queue = NULL;
	closed->ops->aclose(closed, op);
	rdma_sim_silence(peer.rdma);
	expect(op, ETIMEDOUT);
	expect(pending.pop, ECANCELED);
	expect(pending.read, ETIMEDOUT);
	expect(pending.waiting, ETIMEDOUT);
	assert_int_equal(victim.listener->ops->cancel(victim.listener, pending.accept), 0);
	expect(pending.accept, ECANCELED);
}

/* ---- The device ---- */

static void break_completions(struct rdma *rdma)
{
	struct sim_network *network = rdma_sim_enter(sim_device_of(rdma));

	rdma_sim_tell_cq(victim.mint->cq, IBV_EVENT_CQ_ERR);
	rdma_sim_leave(network);
}

static void device_ends(void (*end_device)(struct rdma *rdma), int error)
{
	struct sockaddr_in address = rig_address(1, 0);
	struct queue *connecting = victim_socket(), *open = victim_socket();
	struct queue *unbound = victim_socket(), *none;
	struct op *connect = connect_from(connecting, 77);
	const char *said;

	assert_int_equal(open->ops->bind(open, (struct sockaddr *)&address, sizeof(address)), 0);
	rig_hear();
	end_device(victim.mint->rdma);
	expect_ended(error);
	said = rig_heard();
	assert_non_null(strstr(said, "the device sim_hostile is gone"));
	assert_int_equal(rig_count_lines(said), 1);
	expect(connect, error);
	expect(pending.accept, error);
	expect(accept_one(), error);
	expect(connect_from(connecting, 2), error);
	/* No call begins anything any more. */
	assert_int_equal(open->ops->listen(open, 1), -error);
	assert_int_equal(unbound->ops->bind(unbound, (struct sockaddr *)&address, sizeof(address)),
			 -error);
	assert_int_equal(catmint_ops.socket(victim.libos, &none, AF_INET, SOCK_STREAM, 0), -error);
	assert_int_equal(catmint_ops.socket(victim.libos, &none, AF_INET, SOCK_DGRAM, 0), -error);
	victim_close(open);
	victim_close(unbound);
	victim_close(connecting);
}

static void device__that_is_removed_is_enodev(void **state)
{
	(void)state;
	device_ends(rdma_sim_remove, ENODEV);
}

/* Which the connection manager alone tells. */
static void device__that_is_withdrawn_is_enodev(void **state)
{
	(void)state;
	device_ends(rdma_sim_withdraw, ENODEV);
}

/* The peer is told as well, and it may end the connection before we see that the device goes. */
static void device__that_is_withdrawn_from_both_is_enodev(void **state)
{
	(void)state;
	rdma_sim_withdraw(victim.mint->rdma);
	peer.calls->disconnect(peer.id);
	expect_ended(ENODEV);
	expect(pending.accept, ENODEV);
}

/* A listener has nothing else that tells of it. */
static void listener__whose_device_is_withdrawn_is_enodev(void **state)
{
	struct op *op;

	(void)state;
	victim_close(queue);
	queue = NULL;
	op = accept_one();
	rig_step();
	rdma_sim_withdraw(victim.mint->rdma);
	expect(op, ENODEV);
	expect(accept_one(), ENODEV);
}

static void device__whose_completions_fail_is_eio(void **state)
{
	(void)state;
	device_ends(break_completions, EIO);
}

/* ---- Connects ---- */

static int begin_alone(void **state)
{
	(void)state;
	victim_start("");
	raw_open(&peer, 2);
	queue = victim_socket();
	return 0;
}

static void expect_connect(struct op *op, int error)
{
	struct sockaddr_storage address;
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t length = sizeof(address);

	expect(op, error);
	assert_int_equal(queue->ops->get_peer_address(queue, any, &length), -ENOTCONN);
	assert_int_equal(option_error(queue), error);
	assert_int_equal(option_error(queue), 0);
}

static void connect__where_nobody_listens_is_econnrefused(void **state)
{
	(void)state;
	expect_connect(connect_from(queue, 2), ECONNREFUSED);
}

static void connect__where_nobody_is_is_etimedout(void **state)
{
	uint64_t before_ns = rig_now_ns;

	(void)state;
	expect_connect(connect_from(queue, 77), ETIMEDOUT);
	/* catmint.connect_timeout_ms */
	assert_in_range(rig_now_ns - before_ns, 99 * RIG_MS, 102 * RIG_MS);
}

static void connect__without_an_address_of_that_kind_is_enetunreach(void **state)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(RIG_PORT)};
	struct op *op;

	(void)state;
	victim_close(queue);
	assert_int_equal(catmint_ops.socket(victim.libos, &queue, AF_INET6, SOCK_STREAM, 0), 0);
	assert_int_equal(queue_table_add(&victim.context.queues, queue), 0);
	address.sin6_addr.s6_addr[0] = 0xfd;
	address.sin6_addr.s6_addr[15] = 2;
	op = victim_issue(queue, DEMI_OPC_CONNECT);
	assert_int_equal(
		queue->ops->connect(queue, op, (struct sockaddr *)&address, sizeof(address)), 0);
	expect_connect(op, ENETUNREACH);
}

static void connect__without_an_answer_is_etimedout(void **state)
{
	struct op *op;

	(void)state;
	raw_listen(&peer, 2);
	op = connect_from(queue, 2);
	assert_int_equal(raw_wait_event(&peer), RDMA_CM_EVENT_CONNECT_REQUEST);
	expect_connect(op, ETIMEDOUT);
}

static void refuse(uint8_t reason, uint8_t bytes)
{
	assert_int_equal(raw_wait_event(&peer), RDMA_CM_EVENT_CONNECT_REQUEST);
	assert_int_equal(peer.calls->reject(peer.id, &reason, bytes), 0);
	raw_leave(&peer);
}

static void connect__that_is_refused_tells_why(void **state)
{
	struct op *op;

	(void)state;
	raw_listen(&peer, 2);
	op = connect_from(queue, 2);
	refuse(2, 1);
	expect_connect(op, EPROTO); /* another version */
	op = connect_from(queue, 2);
	refuse(3, 1);
	expect_connect(op, ECONNREFUSED);
	op = connect_from(queue, 2);
	refuse(0, 0);
	expect_connect(op, ECONNREFUSED);
}

/* What the connection manager says, of which a simulated one says little. */
static void connect__ends_as_the_connection_manager_says(void **state)
{
	static const struct {
		enum rdma_cm_event_type type;
		int status, error;
	} ends[] = {
		{RDMA_CM_EVENT_ADDR_ERROR, -EHOSTUNREACH, EHOSTUNREACH},
		{RDMA_CM_EVENT_ADDR_ERROR, -ENETUNREACH, ENETUNREACH},
		{RDMA_CM_EVENT_ADDR_ERROR, -ENODEV, ENETUNREACH},
		{RDMA_CM_EVENT_ADDR_ERROR, -EADDRNOTAVAIL, ENETUNREACH},
		{RDMA_CM_EVENT_ADDR_ERROR, -ETIMEDOUT, ETIMEDOUT},
		{RDMA_CM_EVENT_ADDR_ERROR, -EACCES, ENETUNREACH},
		{RDMA_CM_EVENT_ADDR_ERROR, -EINVAL, ENETUNREACH},
		{RDMA_CM_EVENT_ROUTE_ERROR, -EINVAL, ENETUNREACH},
		{RDMA_CM_EVENT_ROUTE_ERROR, -ENODEV, ENETUNREACH},
		{RDMA_CM_EVENT_ROUTE_ERROR, ENOENT, EHOSTUNREACH},
		{RDMA_CM_EVENT_ROUTE_ERROR, -ETIMEDOUT, ETIMEDOUT},
		{RDMA_CM_EVENT_UNREACHABLE, -ETIMEDOUT, ETIMEDOUT},
		{RDMA_CM_EVENT_CONNECT_ERROR, -EINVAL, ECONNRESET},
		{RDMA_CM_EVENT_DISCONNECTED, 0, ECONNRESET},
		{RDMA_CM_EVENT_DEVICE_REMOVAL, 0, ENODEV},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct rdma_cm_event event = {.event = ends[i].type, .status = ends[i].status};
		struct cm_target *target = &connection_of(queue)->target;
		struct op *op = connect_from(queue, 77);

		rig_step();
		target->handle(target, &event);
		assert_true(op_is_complete(op));
		expect_connect(op, ends[i].error);
	}
}

/* What the system says of ways, of which the simulated one knows few. */
static int way_errno;

static int resolve_no_address(struct rdma_cm_id *id, struct sockaddr *source,
			      struct sockaddr *destination, int timeout_ms)
{
	(void)id;
	(void)source;
	(void)destination;
	(void)timeout_ms;
	errno = way_errno;
	return -1;
}

static int resolve_no_route(struct rdma_cm_id *id, int timeout_ms)
{
	(void)id;
	(void)timeout_ms;
	errno = way_errno;
	return -1;
}

static void connect__without_a_way_is_unreachable(void **state)
{
	static const struct {
		int says, error;
	} ends[] = {
		{ENODEV, ENETUNREACH},      {EINVAL, ENETUNREACH},        {EACCES, ENETUNREACH},
		{ENETUNREACH, ENETUNREACH}, {EHOSTUNREACH, EHOSTUNREACH}, {ENOMEM, ENOMEM},
	};
	const struct rdma_ops *calls = victim.mint->calls;
	struct rdma_ops no_address = *calls, no_route = *calls;

	(void)state;
	no_address.resolve_addr = resolve_no_address;
	no_route.resolve_route = resolve_no_route;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		way_errno = ends[i].says;
		victim.mint->calls = &no_address;
		expect_connect(connect_from(queue, 2), ends[i].error);
		victim.mint->calls = &no_route;
		expect_connect(connect_from(queue, 2), ends[i].error);
		victim.mint->calls = calls;
	}
}

/* Who has no room is asked again, until the time is over. */
static void connect__to_who_stays_busy_is_etimedout(void **state)
{
	struct op *op;

	(void)state;
	raw_listen(&peer, 2);
	op = connect_from(queue, 2);
	for (int i = 0; i < 4; i++)
		refuse(1, 1);
	expect_connect(op, ETIMEDOUT);
}

static void take_connect(struct op *op)
{
	struct message_hello hello = raw_hello(&peer);
	unsigned char bytes[MESSAGE_HELLO_BYTES];
	struct rdma_conn_param parameters = raw_parameters(bytes, sizeof(bytes));

	message_hello_store(bytes, &hello);
	assert_int_equal(raw_wait_event(&peer), RDMA_CM_EVENT_CONNECT_REQUEST);
	raw_make_qp(&peer);
	assert_int_equal(peer.calls->accept(peer.id, &parameters), 0);
	expect(op, 0);
}

static void connect__to_who_was_busy_comes_about(void **state)
{
	struct op *op;

	(void)state;
	raw_listen(&peer, 2);
	op = connect_from(queue, 2);
	refuse(1, 1);
	refuse(1, 1);
	take_connect(op);
}

/* How often is tried says who connects, and here it is the victim. */
static void connect__to_who_falls_silent_then_is_etimedout(void **state)
{
	struct op *op;

	(void)state;
	raw_listen(&peer, 2);
	op = connect_from(queue, 2);
	take_connect(op);
	rdma_sim_silence(peer.rdma);
	op = pop();
	expect(push(10000), ETIMEDOUT);
	expect(op, ETIMEDOUT);
}

/* ---- Limits ---- */

static int begin_with_few_connections(void **state)
{
	(void)state;
	rig_connections = 2;
	victim_start("");
	rig_connections = 32;
	raw_open(&peer, 2);
	return 0;
}

/* A listener counts, too. */
static void connections__beyond_the_limit_are_refused(void **state)
{
	struct message_hello hello = raw_hello(&peer);
	struct queue *none;
	struct raw other;

	(void)state;
	assert_true(raw_connect_with(&peer, &hello));
	queue = victim_accept();
	assert_int_equal(catmint_ops.socket(victim.libos, &none, AF_INET, SOCK_STREAM, 0),
			 -ENOBUFS);
	raw_open(&other, 3);
	hello = raw_hello(&other);
	assert_false(raw_connect_with(&other, &hello));
	assert_int_equal(other.reason, 1); /* try again */
	raw_leave(&other);
	assert_int_equal(victim.mint->counters.connections_refused, 1);
	victim_close(queue);
	raw_leave(&peer);
	rig_run(200 * RIG_MS);
	assert_true(raw_connect_with(&other, &hello));
	queue = victim_accept();
	raw_close(&other);
}

#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(peer__that_ends_is_econnreset, begin),
		TEST(peer__that_ends_is_econnreset, begin_without_shared_queue),
		TEST(peer__that_disconnects_is_econnreset, begin),
		TEST(peer__that_falls_silent_is_etimedout, begin_with_probes),
		TEST(peer__that_falls_silent_is_etimedout, begin_far_away),
		TEST(peer__that_ends_has_sent_what_it_has_sent, begin),
		TEST(link__that_is_down_is_etimedout, begin_with_probes),
		TEST(link__that_is_down_is_etimedout, begin_far_away),
		TEST(link__that_is_down_and_fails_requests_is_etimedout, begin_with_failing_link),
		TEST(link__that_was_down_for_a_moment_is_etimedout, begin_with_failing_link),
		TEST(link__that_comes_back_is_not_noticed, begin),
		TEST(pair__that_fails_is_eio, begin),
		TEST(pair__that_fails_is_eio, begin_without_shared_queue),
		TEST(pair__that_fails_with_requests_under_way_is_eio, begin_far_away),
		TEST(pair__of_a_peer_that_wants_what_it_may_not_have_is_eproto, begin),
		TEST(pair__of_a_peer_that_wants_what_it_may_not_have_is_eproto, begin_far_away),
		TEST(aclose__ends_as_the_connection_does, begin),
		TEST(aclose__ends_as_the_connection_does, begin_far_away),
		TEST(aclose__after_the_farewell_of_a_peer_ends_well, begin_alone),
		TEST(aclose__of_a_silent_peer_is_etimedout, begin_with_probes),
		TEST(device__that_is_removed_is_enodev, begin),
		TEST(device__that_is_removed_is_enodev, begin_far_away),
		TEST(device__that_is_removed_is_enodev, begin_without_shared_queue),
		TEST(device__that_is_withdrawn_is_enodev, begin),
		TEST(device__that_is_withdrawn_is_enodev, begin_far_away),
		TEST(device__that_is_withdrawn_from_both_is_enodev, begin),
		TEST(device__that_is_withdrawn_from_both_is_enodev, begin_far_away),
		TEST(listener__whose_device_is_withdrawn_is_enodev, begin_alone),
		TEST(device__whose_completions_fail_is_eio, begin),
		TEST(device__whose_completions_fail_is_eio, begin_far_away),
		TEST(connect__where_nobody_listens_is_econnrefused, begin_alone),
		TEST(connect__where_nobody_is_is_etimedout, begin_alone),
		TEST(connect__without_an_address_of_that_kind_is_enetunreach, begin_alone),
		TEST(connect__without_an_answer_is_etimedout, begin_alone),
		TEST(connect__that_is_refused_tells_why, begin_alone),
		TEST(connect__ends_as_the_connection_manager_says, begin_alone),
		TEST(connect__without_a_way_is_unreachable, begin_alone),
		TEST(connect__to_who_stays_busy_is_etimedout, begin_alone),
		TEST(connect__to_who_was_busy_comes_about, begin_alone),
		TEST(connect__to_who_falls_silent_then_is_etimedout, begin_alone),
		TEST(connections__beyond_the_limit_are_refused, begin_with_few_connections),
	};

	return cmocka_run_group_tests_name("libos/catmint/failure", tests, NULL, NULL);
}
