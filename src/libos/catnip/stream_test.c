/* SPDX-License-Identifier: MIT */
#include "libos/catnip/stream_testing.h"

#include <sys/mman.h>

static struct buf *buf_make(uint32_t length)
{
	struct buf *buf = buf_alloc(rig.context.heap, length);

	assert_non_null(buf);
	buf->length = length;
	return buf;
}

static struct op *pop_start(struct queue *queue)
{
	struct op *op = op_start(queue, DEMI_OPC_POP);

	assert_int_equal(queue->ops->pop(queue, op), 0);
	return op;
}

static struct op *accept_start(struct queue *queue)
{
	struct op *op = op_start(queue, DEMI_OPC_ACCEPT);

	assert_int_equal(queue->ops->accept(queue, op), 0);
	return op;
}

static demi_sgarray_t one_byte(void)
{
	static unsigned char byte;

	return (demi_sgarray_t){.sga_numsegs = 1, .sga_segs = {{&byte, 1}}};
}

/* What the call says; *@op_out is the operation, if it says 0. */
static int push(struct queue *queue, struct op **op_out)
{
	const demi_sgarray_t sga = one_byte();
	struct op *op = op_start(queue, DEMI_OPC_PUSH);
	int error = queue->ops->push(queue, op, &sga, NULL, 0);

	if (error)
		op_free(&rig.context.ops, op);
	*op_out = op;
	return error;
}

static struct op *push_start(struct queue *queue)
{
	struct op *op;

	assert_int_equal(push(queue, &op), 0);
	assert_false(op_is_complete(op));
	return op;
}

static void drop(struct queue *queue)
{
	queue_table_remove(&rig.context.queues, queue);
	queue->ops->close(queue);
}

static struct op *aclose_start(struct queue *queue)
{
	struct op *op = op_start(queue, DEMI_OPC_CLOSE);

	queue_table_remove(&rig.context.queues, queue);
	queue->ops->aclose(queue, op);
	return op;
}

/* A connection comes, and waits to be accepted. */
static struct tcp_conn *arrive(struct tcp_conn *listener)
{
	struct tcp_conn *conn = conn_make(listener->events, NULL, listener->settings.is_v6);

	assert_true(listener->waiting_count < WAITING_MAX);
	conn->settings = listener->settings;
	conn->state = TCP_STATE_ESTABLISHED;
	conn->peer = ip_address_v4(0x0a000009);
	conn->peer_port = 1234;
	listener->waiting[listener->waiting_count++] = conn;
	listener->events->acceptable(listener->owner);
	return conn;
}

static void check_end(struct op *op)
{
	assert_int_equal(op_outcome(op), 0);
	assert_non_null(op->result.buf);
	assert_int_equal(op->result.buf->length, 0);
	assert_null(op->result.buf->next);
}

/* --- in --- */

static void stream_pop__takes_what_comes_in_order_of_issue(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *first = pop_start(queue), *second = pop_start(queue);
	struct buf *a = buf_make(10), *b = buf_make(20);

	(void)state;
	assert_true(conn->events->received(conn->owner, a));
	assert_int_equal(op_outcome(first), 0);
	assert_ptr_equal(first->result.buf, a);
	assert_false(op_is_complete(second));
	assert_true(conn->events->received(conn->owner, b));
	assert_int_equal(op_outcome(second), 0);
	assert_ptr_equal(second->result.buf, b);
	/* Nobody waits: it stays TCP's. */
	assert_false(conn->events->received(conn->owner, a));
}

static void stream_pop__takes_what_waits_as_one_chain(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *op;

	(void)state;
	conn->queue = buf_make(10);
	conn->queue->next = buf_make(20);
	op = pop_start(queue);
	assert_int_equal(op_outcome(op), 0);
	assert_int_equal(op->result.buf->length, 10);
	assert_int_equal(op->result.buf->next->length, 20);
	assert_false(op_is_complete(pop_start(queue)));
}

static void stream_pop__end_comes_after_the_data_again_and_again(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *op;

	(void)state;
	conn->queue = buf_make(10);
	conn->ended = true;
	conn->events->ended(conn->owner, 0);
	op = pop_start(queue);
	assert_int_equal(op_outcome(op), 0);
	assert_int_equal(op->result.buf->length, 10);
	for (int i = 0; i < 3; i++)
		check_end(pop_start(queue));
}

static void stream_pop__end_is_told_to_all_that_wait(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *first = pop_start(queue), *second = pop_start(queue);

	(void)state;
	conn->events->ended(conn->owner, 0);
	check_end(first);
	check_end(second);
}

static void stream_pop__error_is_told_to_all_and_to_later_ones(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *first = pop_start(queue), *second = pop_start(queue);

	(void)state;
	conn->ended = true;
	conn->error = ECONNRESET;
	conn->events->ended(conn->owner, ECONNRESET);
	assert_int_equal(op_outcome(first), ECONNRESET);
	assert_int_equal(op_outcome(second), ECONNRESET);
	assert_int_equal(op_outcome(pop_start(queue)), ECONNRESET);
}

static void stream_pop__of_what_is_no_connection(void **state)
{
	struct queue *queue = stream_open(false), *listener = stream_open(false);
	struct op *op = op_start(queue, DEMI_OPC_POP);

	(void)state;
	assert_int_equal(queue->ops->pop(queue, op), -ENOTCONN);
	connect_start(queue);
	assert_int_equal(queue->ops->pop(queue, op), -ENOTCONN);
	stream_bind_and_listen(listener);
	assert_int_equal(listener->ops->pop(listener, op), -EOPNOTSUPP);
	op_free(&rig.context.ops, op);
}

static void stream_pop__cancelled_leaves_the_data_to_the_next(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *first = pop_start(queue), *second = pop_start(queue);
	struct buf *buf = buf_make(10);

	(void)state;
	assert_int_equal(queue->ops->cancel(queue, first), 0);
	assert_int_equal(op_outcome(first), ECANCELED);
	assert_true(conn->events->received(conn->owner, buf));
	assert_int_equal(op_outcome(second), 0);
}

/* --- out --- */

static void stream_push__completes_when_the_peer_has_it(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	unsigned int flushes = rig.flushes;
	struct op *first = push_start(queue), *second = push_start(queue);

	(void)state;
	assert_int_equal(rig.flushes, flushes + 2);
	conn->events->pushed(conn->owner, first, 0);
	assert_int_equal(op_outcome(first), 0);
	assert_false(op_is_complete(second));
	conn->events->pushed(conn->owner, second, ETIMEDOUT);
	assert_int_equal(op_outcome(second), ETIMEDOUT);
}

static void stream_push__is_collected_while_results_wait(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	unsigned int flushes = rig.flushes;
	struct op *pushed = push_start(queue);

	(void)state;
	conn->events->pushed(conn->owner, pushed, 0);
	push_start(queue);
	assert_int_equal(rig.flushes, flushes + 1);
	assert_int_equal(op_outcome(pushed), 0);
	push_start(queue);
	assert_int_equal(rig.flushes, flushes + 2);
}

static void stream_push__errors_of_the_call_and_of_the_operation(void **state)
{
	static const int of_the_call[] = {-ENOBUFS, -ENOMEM};
	static const int of_the_operation[] = {-ECONNRESET, -EPIPE, -ETIMEDOUT};
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *op;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(of_the_call); i++) {
		rig.push_error = of_the_call[i];
		assert_int_equal(push(queue, &op), of_the_call[i]);
	}
	for (size_t i = 0; i < COUNT_OF(of_the_operation); i++) {
		rig.push_error = of_the_operation[i];
		assert_int_equal(push(queue, &op), 0);
		assert_int_equal(op_outcome(op), -of_the_operation[i]);
	}
}

static void stream_push__of_what_can_send_nothing(void **state)
{
	const demi_sgarray_t sga = one_byte();
	struct tcp_conn *conn;
	struct queue *open = stream_open(false), *listener = stream_open(false);
	struct queue *queue = stream_connected(&conn);
	struct op *op;

	(void)state;
	assert_int_equal(push(open, &op), -ENOTCONN);
	stream_bind_and_listen(listener);
	assert_int_equal(push(listener, &op), -EOPNOTSUPP);
	op = op_start(queue, DEMI_OPC_PUSH);
	assert_int_equal(queue->ops->push(queue, op, &sga, (const struct sockaddr *)&address_v4,
					  sizeof(address_v4)),
			 -EOPNOTSUPP);
	op_free(&rig.context.ops, op);
	assert_int_equal(queue->ops->shutdown(queue, SHUT_WR), 0);
	assert_int_equal(push(queue, &op), -EPIPE);
}

static void stream_push__foreign_memory_that_is_not_there_is_efault(void **state)
{
	enum { PAGE = 4096, PAGES = 200 }; /* more than one question asks for */
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	unsigned char *memory = mmap(NULL, (PAGES + 1) * PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{memory + 7, PAGES * PAGE}}};
	struct op *op = op_start(queue, DEMI_OPC_PUSH);

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), 0);
	assert_int_equal(munmap(memory + PAGES * PAGE, PAGE), 0);
	op = op_start(queue, DEMI_OPC_PUSH);
	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), -EFAULT);
	sga.sga_segs[0].sgaseg_len -= 7;
	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), 0);
	assert_int_equal(munmap(memory, PAGES * PAGE), 0);
	op = op_start(queue, DEMI_OPC_PUSH);
	sga.sga_segs[0] = (demi_sgaseg_t){(void *)(UINTPTR_MAX - 5), 100};
	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), -EFAULT);
	op_free(&rig.context.ops, op);
}

static void stream_push__cancelled_unless_it_has_begun(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *first = push_start(queue), *second = push_start(queue);

	(void)state;
	rig.cancel_error = -EBUSY;
	assert_int_equal(queue->ops->cancel(queue, first), -EBUSY);
	assert_false(op_is_complete(first));
	rig.cancel_error = 0;
	assert_int_equal(queue->ops->cancel(queue, second), 0);
	assert_int_equal(op_outcome(second), ECANCELED);
	conn->events->pushed(conn->owner, first, 0);
	assert_int_equal(op_outcome(first), 0);
}

/* --- accept --- */

static void stream_accept__connections_go_to_the_oldest(void **state)
{
	struct queue *listener = stream_open(false);
	struct tcp_conn *conn = rig.last;
	struct op *first, *second;

	(void)state;
	stream_bind_and_listen(listener);
	assert_int_equal(rig.backlog, 5);
	first = accept_start(listener);
	second = accept_start(listener);
	arrive(conn);
	assert_int_equal(op_outcome(first), 0);
	assert_false(op_is_complete(second));
	arrive(conn);
	assert_int_equal(op_outcome(second), 0);
	assert_int_not_equal(first->result.accepted_qd, second->result.accepted_qd);
	/* And one that nobody waits for waits itself. */
	arrive(conn);
	first = accept_start(listener);
	assert_int_equal(op_outcome(first), 0);
}

static void stream_accept__connection_knows_its_peer_and_inherits(void **state)
{
	const int bytes = 5000;
	struct queue *listener = stream_open(false), *queue;
	struct tcp_conn *conn = rig.last, *accepted;
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);
	struct op *op;
	int value = 0;

	(void)state;
	assert_int_equal(
		listener->ops->set_option(listener, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)),
		0);
	stream_bind_and_listen(listener);
	op = accept_start(listener);
	accepted = arrive(conn);
	assert_int_equal(op_outcome(op), 0);
	queue = queue_lookup(&rig.context.queues, op->result.accepted_qd);
	assert_non_null(queue);
	assert_ptr_equal(accepted->owner, stream_of(queue));
	assert_int_equal(queue->ops->get_peer_address(queue, (struct sockaddr *)&peer, &length), 0);
	assert_int_equal(peer.sin_port, htobe16(1234));
	assert_int_equal(queue->ops->connect(queue, op, (const struct sockaddr *)&address_v4,
					     sizeof(address_v4)),
			 -EISCONN);
	length = sizeof(value);
	assert_int_equal(queue->ops->get_option(queue, SOL_SOCKET, SO_SNDBUF, &value, &length), 0);
	assert_int_equal(value, bytes);
}

static void stream_accept__without_a_descriptor_one_is_told_and_others_try_again(void **state)
{
	struct queue *listener = stream_open(false), *others[QUEUES_MAX - 1];
	struct tcp_conn *conn = rig.last;
	struct op *accepts[3];

	(void)state;
	stream_bind_and_listen(listener);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		others[i] = stream_open(false);
	for (size_t i = 0; i < COUNT_OF(accepts); i++)
		accepts[i] = accept_start(listener);
	arrive(conn);
	assert_int_equal(op_outcome(accepts[0]), EMFILE);
	assert_false(op_is_complete(accepts[1]));
	assert_ptr_equal(rig.catnip.starved, stream_of(listener));
	/* The next poll round. */
	stream_retry_accepts(&rig.catnip);
	assert_int_equal(op_outcome(accepts[1]), EMFILE);
	assert_false(op_is_complete(accepts[2]));
	drop(others[0]);
	stream_retry_accepts(&rig.catnip);
	assert_int_equal(op_outcome(accepts[2]), 0);
	assert_null(rig.catnip.starved);
}

static void stream_accept__closed_listener_tries_no_more(void **state)
{
	struct queue *first = stream_open(false), *second;
	struct tcp_conn *first_conn = rig.last, *second_conn;
	struct op *accepts[4];

	(void)state;
	second = stream_open(false);
	second_conn = rig.last;
	stream_bind_and_listen(first);
	stream_bind_and_listen(second);
	stream_open(false);
	stream_open(false);
	for (size_t i = 0; i < COUNT_OF(accepts); i++)
		accepts[i] = accept_start(i % 2 ? second : first);
	arrive(first_conn);
	arrive(second_conn);
	assert_int_equal(op_outcome(accepts[0]), EMFILE);
	assert_int_equal(op_outcome(accepts[1]), EMFILE);
	drop(first);
	assert_int_equal(op_outcome(accepts[2]), ECANCELED);
	assert_ptr_equal(rig.catnip.starved, stream_of(second));
	stream_retry_accepts(&rig.catnip);
	assert_int_equal(op_outcome(accepts[3]), 0);
}

static void stream_accept__errors(void **state)
{
	struct tcp_conn *conn;
	struct queue *open = stream_open(false), *queue = stream_connected(&conn);
	struct op *op = op_start(open, DEMI_OPC_ACCEPT);

	(void)state;
	assert_int_equal(open->ops->accept(open, op), -EINVAL);
	assert_int_equal(queue->ops->accept(queue, op), -EINVAL);
	op_free(&rig.context.ops, op);
	assert_int_equal(open->ops->listen(open, 5), -EDESTADDRREQ);
	assert_int_equal(queue->ops->listen(queue, 5), -EISCONN);
	stream_bind_and_listen(open);
	assert_int_equal(open->ops->listen(open, 5), -EADDRINUSE);
	op = accept_start(open);
	assert_int_equal(open->ops->cancel(open, op), 0);
	assert_int_equal(op_outcome(op), ECANCELED);
}

/* --- connect --- */

static void stream_connect__after_a_failure_it_can_be_tried_again(void **state)
{
	struct queue *queue = stream_open(false);
	struct tcp_conn *conn = rig.last;
	struct sockaddr_in name;
	socklen_t length = sizeof(name);
	struct op *op = connect_start(queue);

	(void)state;
	assert_int_equal(queue->ops->get_peer_address(queue, (struct sockaddr *)&name, &length),
			 -ENOTCONN);
	conn->events->connected(conn->owner, ECONNREFUSED);
	assert_int_equal(op_outcome(op), ECONNREFUSED);
	/* What fails at once is the operation's too. */
	rig.connect_error = -ENETUNREACH;
	assert_int_equal(op_outcome(connect_start(queue)), ENETUNREACH);
	rig.connect_error = 0;
	op = connect_start(queue);
	conn->events->connected(conn->owner, 0);
	assert_int_equal(op_outcome(op), 0);
	assert_int_equal(queue->ops->get_peer_address(queue, (struct sockaddr *)&name, &length), 0);
	assert_memory_equal(&name, &address_v4, sizeof(name));
}

static void stream_connect__errors_of_the_call(void **state)
{
	const struct sockaddr *address = (const struct sockaddr *)&address_v4;
	struct queue *queue = stream_open(false), *listener = stream_open(false);
	struct queue *v6 = stream_open(true);
	struct op *op = op_start(queue, DEMI_OPC_CONNECT);
	const socklen_t length = sizeof(address_v4);

	(void)state;
	assert_int_equal(queue->ops->connect(queue, op, address, length - 1), -EINVAL);
	assert_int_equal(v6->ops->connect(v6, op, address, length), -EAFNOSUPPORT);
	stream_bind_and_listen(listener);
	assert_int_equal(listener->ops->connect(listener, op, address, length), -EOPNOTSUPP);
	rig.connect_error = -EINVAL;
	assert_int_equal(queue->ops->connect(queue, op, address, length), -EINVAL);
	rig.connect_error = 0;
	connect_start(queue);
	assert_int_equal(queue->ops->connect(queue, op, address, length), -EINPROGRESS);
	op_free(&rig.context.ops, op);
}

static void stream_connect__cancelled_leaves_the_socket_as_before(void **state)
{
	struct queue *queue = stream_open(false);
	struct op *op = connect_start(queue);

	(void)state;
	assert_int_equal(queue->ops->cancel(queue, op), 0);
	assert_int_equal(op_outcome(op), ECANCELED);
	op = connect_start(queue);
	drop(queue);
	assert_int_equal(op_outcome(op), ECANCELED);
}

static void stream_names__of_what_is_not_bound(void **state)
{
	struct queue *v4 = stream_open(false), *v6 = stream_open(true);
	struct sockaddr_in6 name;
	socklen_t length = sizeof(name);

	(void)state;
	memset(&name, 0xa5, sizeof(name));
	assert_int_equal(v4->ops->get_local_address(v4, (struct sockaddr *)&name, &length), 0);
	assert_int_equal(length, sizeof(struct sockaddr_in));
	assert_int_equal(name.sin6_family, AF_INET);
	assert_int_equal(name.sin6_port, 0);
	length = sizeof(name);
	assert_int_equal(v6->ops->get_local_address(v6, (struct sockaddr *)&name, &length), 0);
	assert_int_equal(length, sizeof(name));
	assert_int_equal(name.sin6_family, AF_INET6);
	assert_true(IN6_IS_ADDR_UNSPECIFIED(&name.sin6_addr));
}

/* --- the end --- */

static void stream_shutdown__of_reading_ends_the_pops_that_wait(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn), *open = stream_open(false);
	struct op *op = pop_start(queue);

	(void)state;
	assert_int_equal(open->ops->shutdown(open, SHUT_RD), -ENOTCONN);
	assert_int_equal(queue->ops->shutdown(queue, SHUT_RD), 0);
	assert_int_equal(rig.shutdowns, 1u << SHUT_RD);
	check_end(op);
	check_end(pop_start(queue));
	/* A connection that has ended has nothing to shut down. */
	rig.shutdown_error = -ENOTCONN;
	assert_int_equal(queue->ops->shutdown(queue, SHUT_RDWR), 0);
}

static void stream_close__cancels_everything_that_waits(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *pop = pop_start(queue);

	(void)state;
	drop(queue);
	assert_int_equal(op_outcome(pop), ECANCELED);
	assert_int_equal(rig.resets, 0);
	assert_int_equal(rig.conns, 0);
}

/* TCP sends on what it has copied of them. */
static void stream_close__cancels_the_pushes_that_wait(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *first = push_start(queue), *second = push_start(queue);

	(void)state;
	drop(queue);
	assert_int_equal(op_outcome(first), ECANCELED);
	assert_int_equal(op_outcome(second), ECANCELED);
	assert_int_equal(rig.resets, 0);
}

static void stream_aclose__completes_when_the_peer_has_it_all(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *push = push_start(queue), *pop = pop_start(queue), *op;

	(void)state;
	op = aclose_start(queue);
	assert_int_equal(op_outcome(pop), ECANCELED);
	assert_false(op_is_complete(op));
	conn->events->pushed(conn->owner, push, 0);
	assert_int_equal(op_outcome(push), 0);
	assert_false(op_is_complete(op));
	conn->events->closed(conn->owner, 0);
	assert_int_equal(op_outcome(op), 0);
	conn_drop(conn);
}

static void stream_aclose__tells_what_keeps_data_from_the_peer(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *push = push_start(queue), *op = aclose_start(queue);

	(void)state;
	conn->events->pushed(conn->owner, push, ECONNRESET);
	conn->events->closed(conn->owner, ECONNRESET);
	assert_int_equal(op_outcome(push), ECONNRESET);
	assert_int_equal(op_outcome(op), ECONNRESET);
	conn_drop(conn);
}

static void stream_aclose__may_be_complete_at_once(void **state)
{
	struct tcp_conn *conn;
	struct op *op;

	(void)state;
	rig.closes_at_once = true;
	op = aclose_start(stream_connected(&conn));
	assert_int_equal(op_outcome(op), 0);
	rig.close_error = EPIPE;
	op = aclose_start(stream_connected(&conn));
	assert_int_equal(op_outcome(op), EPIPE);
	/* There is no peer to wait for. */
	op = aclose_start(stream_open(false));
	assert_int_equal(op_outcome(op), 0);
}

static void stream_aclose__of_a_broken_connection_fails(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *push = push_start(queue), *op;

	(void)state;
	conn->events->pushed(conn->owner, push, ETIMEDOUT);
	assert_int_equal(op_outcome(push), ETIMEDOUT);
	op = aclose_start(queue);
	assert_int_equal(op_outcome(op), ETIMEDOUT);
	/* Before it was accepted, say. */
	queue = stream_connected(&conn);
	conn->ended = true;
	conn->error = ECONNRESET;
	op = aclose_start(queue);
	assert_int_equal(op_outcome(op), ECONNRESET);
}

static void stream_aclose__does_not_reset(void **state)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *op;

	(void)state;
	assert_int_equal(
		queue->ops->set_option(queue, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	op = aclose_start(queue);
	assert_int_equal(rig.resets, 0);
	conn->events->closed(conn->owner, 0);
	assert_int_equal(op_outcome(op), 0);
	conn_drop(conn);
}

static void stream_aclose__can_be_cancelled(void **state)
{
	struct tcp_conn *conn;
	struct queue *queue = stream_connected(&conn);
	struct op *push = push_start(queue), *op = aclose_start(queue);

	(void)state;
	assert_int_equal(queue->ops->cancel(queue, op), 0);
	assert_int_equal(op_outcome(push), ECANCELED);
	assert_int_equal(op_outcome(op), ECANCELED);
	assert_int_equal(rig.forgotten, 1);
}

static void stream_aclose__cancels_a_connect(void **state)
{
	struct queue *queue = stream_open(false);
	struct op *connecting = connect_start(queue), *op = aclose_start(queue);

	(void)state;
	assert_int_equal(op_outcome(connecting), ECANCELED);
	assert_int_equal(op_outcome(op), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)
	static const struct CMUnitTest tests[] = {
		TEST(stream_pop__takes_what_comes_in_order_of_issue),
		TEST(stream_pop__takes_what_waits_as_one_chain),
		TEST(stream_pop__end_comes_after_the_data_again_and_again),
		TEST(stream_pop__end_is_told_to_all_that_wait),
		TEST(stream_pop__error_is_told_to_all_and_to_later_ones),
		TEST(stream_pop__of_what_is_no_connection),
		TEST(stream_pop__cancelled_leaves_the_data_to_the_next),
		TEST(stream_push__completes_when_the_peer_has_it),
		TEST(stream_push__is_collected_while_results_wait),
		TEST(stream_push__errors_of_the_call_and_of_the_operation),
		TEST(stream_push__of_what_can_send_nothing),
		TEST(stream_push__foreign_memory_that_is_not_there_is_efault),
		TEST(stream_push__cancelled_unless_it_has_begun),
		TEST(stream_accept__connections_go_to_the_oldest),
		TEST(stream_accept__connection_knows_its_peer_and_inherits),
		TEST(stream_accept__without_a_descriptor_one_is_told_and_others_try_again),
		TEST(stream_accept__closed_listener_tries_no_more),
		TEST(stream_accept__errors),
		TEST(stream_connect__after_a_failure_it_can_be_tried_again),
		TEST(stream_connect__errors_of_the_call),
		TEST(stream_connect__cancelled_leaves_the_socket_as_before),
		TEST(stream_names__of_what_is_not_bound),
		TEST(stream_shutdown__of_reading_ends_the_pops_that_wait),
		TEST(stream_close__cancels_everything_that_waits),
		TEST(stream_close__cancels_the_pushes_that_wait),
		TEST(stream_aclose__completes_when_the_peer_has_it_all),
		TEST(stream_aclose__tells_what_keeps_data_from_the_peer),
		TEST(stream_aclose__may_be_complete_at_once),
		TEST(stream_aclose__of_a_broken_connection_fails),
		TEST(stream_aclose__does_not_reset),
		TEST(stream_aclose__can_be_cancelled),
		TEST(stream_aclose__cancels_a_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
