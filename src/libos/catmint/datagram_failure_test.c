/* SPDX-License-Identifier: MIT */
/* Datagram sockets when queue pairs and devices fail, sockets are closed, peers send what is none. */
#include "libos/catmint/datagram_testing.h"

#define PORT 7000

static void pair__that_fails_is_replaced(void **state)
{
	struct queue *from, *to;
	struct sockaddr_in there = address_of(2, PORT);
	struct op *popping;

	(void)state;
	start(",delay_ns=2000");
	from = socket_open(&a);
	to = socket_bound(&b, 2, PORT);
	assert_int_equal(wait_for(&a, push(&a, from, &there, 10, 1)), 0);
	expect(&b, to, 10);
	rdma_sim_fail_qp(dgram_socket_of(to)->pair->qp);
	rdma_sim_fail_qp(dgram_socket_of(from)->pair->qp);
	run(MS);
	assert_int_equal(wait_for(&a, push(&a, from, &there, 10, 1)), 0);
	popping = pop(&b, to);
	for (unsigned int sent = 0; !op_is_complete(popping); sent++) {
		assert_true(sent < 1000);
		assert_int_equal(wait_for(&a, push(&a, from, &there, 5000, sent)), 0);
		run(10 * MS);
	}
	assert_int_equal(take(&b, popping, NULL), 5000);
	end();
}

static void device__that_is_gone_ends_everything(void **state)
{
	struct queue *from, *to, *known, *new;
	struct sockaddr_in there = address_of(2, PORT), silent = address_of(9, PORT);
	struct sockaddr_in other = address_of(2, PORT + 1);
	struct op *popping, *waiting, *pushing, *closing, *late;

	(void)state;
	start(",delay_ns=2000");
	new = socket_bound(&b, 2, PORT);
	known = socket_open(&a);
	assert_int_equal(wait_for(&a, push(&a, known, &there, 10, 1)), 0);
	expect(&b, new, 10);
	from = socket_open(&a);
	to = socket_bound(&a, 1, PORT);
	popping = pop(&a, to);
	waiting = push(&a, to, &silent, 5000, 1);
	closing = issue(&a, from, DEMI_OPC_CLOSE);
	pushing = push(&a, from, &other, 60000, 2);
	queue_table_remove(&a.context.queues, from);
	from->ops->aclose(from, closing);
	rdma_sim_remove(a.mint->rdma);
	/* Which nobody has seen yet: the device refuses the request. */
	late = push(&a, known, &there, 5000, 3);
	assert_int_equal(wait_for(&a, late), ENODEV);
	/* The queue pairs may be seen to fail before the device is. */
	assert_int_equal(wait_for(&a, popping), ENODEV);
	assert_int_equal(wait_for(&a, waiting), ENODEV);
	assert_int_equal(wait_for(&a, pushing), ENODEV);
	assert_int_equal(wait_for(&a, closing), 0);
	assert_int_equal(wait_for(&a, push(&a, to, &there, 10, 1)), ENODEV);
	assert_int_equal(wait_for(&a, pop(&a, to)), ENODEV);
	assert_int_equal(catmint_ops.socket(a.libos, &new, AF_INET, SOCK_DGRAM, 0), -ENODEV);
	end();
}

/* Which the connection manager alone tells. */
static void device__that_is_withdrawn_ends_everything(void **state)
{
	struct sockaddr_in there = address_of(2, PORT);
	struct queue *queue, *none;
	struct op *popping;

	(void)state;
	start(",delay_ns=2000");
	queue = socket_bound(&a, 1, PORT);
	popping = pop(&a, queue);
	step();
	rdma_sim_withdraw(a.mint->rdma);
	assert_int_equal(wait_for(&a, popping), ENODEV);
	assert_int_equal(wait_for(&a, pop(&a, queue)), ENODEV);
	assert_int_equal(wait_for(&a, push(&a, queue, &there, 10, 1)), ENODEV);
	assert_int_equal(catmint_ops.socket(a.libos, &none, AF_INET, SOCK_DGRAM, 0), -ENODEV);
	end();
}

/* To an address of a kind that the device has none of. */
static void destination__without_a_way_is_enetunreach(void **state)
{
	struct sockaddr_in6 there = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	demi_sgarray_t sga;
	struct queue *from;
	struct op *op;

	(void)state;
	host_has_v6 = false;
	start(",delay_ns=2000");
	host_has_v6 = true;
	there.sin6_addr.s6_addr[0] = 0xfd;
	there.sin6_addr.s6_addr[15] = 2;
	assert_int_equal(catmint_ops.socket(a.libos, &from, AF_INET6, SOCK_DGRAM, 0), 0);
	assert_int_equal(queue_table_add(&a.context.queues, from), 0);
	op = issue(&a, from, DEMI_OPC_CONNECT);
	assert_int_equal(from->ops->connect(from, op, (struct sockaddr *)&there, sizeof(there)), 0);
	assert_int_equal(wait_for(&a, op), ENETUNREACH);
	sga = make_array(&a, 10, 1);
	op = issue(&a, from, DEMI_OPC_PUSH);
	assert_int_equal(from->ops->push(from, op, &sga, (struct sockaddr *)&there, sizeof(there)),
			 0);
	assert_int_equal(buf_free(a.context.heap, sga.sga_buf), 0);
	assert_int_equal(wait_for(&a, op), ENETUNREACH);
	end();
}

/* And what the connection manager says of it later; of what it may say again another time, nothing. */
static void destination__that_turns_out_to_have_no_way_is_unreachable(void **state)
{
	static const struct {
		enum rdma_cm_event_type type;
		int status, error;
	} ends[] = {
		{RDMA_CM_EVENT_ADDR_ERROR, -ENODEV, ENETUNREACH},
		{RDMA_CM_EVENT_ADDR_ERROR, -EACCES, ENETUNREACH},
		{RDMA_CM_EVENT_ADDR_ERROR, -EHOSTUNREACH, EHOSTUNREACH},
		{RDMA_CM_EVENT_ROUTE_ERROR, -EINVAL, ENETUNREACH},
		{RDMA_CM_EVENT_ROUTE_ERROR, -ETIMEDOUT, 0},
	};
	struct sockaddr_in silent = address_of(9, PORT);
	struct queue *from;

	(void)state;
	start(",delay_ns=2000");
	from = socket_open(&a);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct rdma_cm_event event = {.event = ends[i].type, .status = ends[i].status};
		struct op *op = push(&a, from, &silent, 5000, 1);
		struct cm_target *target = &a.mint->dgrams->destinations.newest->target;

		target->handle(target, &event);
		assert_int_equal(op_is_complete(op), ends[i].error != 0);
		/* At last nobody has been found. */
		assert_int_equal(wait_for(&a, op), ends[i].error ? ends[i].error : EHOSTUNREACH);
	}
	end();
}

/* Closed over: pushes that the device has end, and their memory stays until it is done. */
static void socket__is_closed_with_pushes_under_way(void **state)
{
	struct queue *from, *to;
	struct sockaddr_in there = address_of(2, PORT);
	struct op *ops[8];

	(void)state;
	start(",delay_ns=2000,mtu=256");
	to = socket_bound(&b, 2, PORT);
	for (unsigned int round = 0; round < 10; round++) {
		from = socket_open(&a);
		assert_int_equal(wait_for(&a, push(&a, from, &there, 10, 1)), 0);
		expect(&b, to, 10);
		for (unsigned int i = 0; i < 8; i++)
			ops[i] = push(&a, from, &there, 30000, i);
		for (unsigned int i = 0; i < round; i++)
			step();
		socket_close(&a, from);
		for (unsigned int i = 0; i < 8; i++) {
			int error = wait_for(&a, ops[i]);

			assert_true(error == 0 || error == ECANCELED);
		}
		run(MS);
		while (dgram_socket_of(to)->arrived)
			expect(&b, to, 30000);
	}
	end();
}

/* A queue pair of somebody's who is not Catmint. */
struct raw {
	struct ibv_qp *qp;
	struct ibv_mr *mr;
	struct ibv_ah *ah;
	unsigned char memory[512];
};

static void raw_start(struct raw *raw, uint8_t to)
{
	const struct rdma_ops *calls = b.mint->calls;
	struct ibv_qp_init_attr init = {.send_cq = b.mint->cq,
					.recv_cq = b.mint->cq,
					.cap = {.max_send_wr = 64, .max_send_sge = 1},
					.qp_type = IBV_QPT_UD};
	struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_INIT, .port_num = 1};
	struct ibv_ah_attr ah = {.is_global = 1, .port_num = 1};

	raw->qp = calls->create_verbs_qp(b.mint->pd, &init);
	assert_non_null(raw->qp);
	attributes.qkey = RDMA_UDP_QKEY;
	for (attributes.qp_state = IBV_QPS_INIT; attributes.qp_state <= IBV_QPS_RTS;
	     attributes.qp_state++)
		assert_int_equal(calls->modify_qp(raw->qp, &attributes, IBV_QP_STATE | IBV_QP_QKEY),
				 0);
	raw->mr = calls->reg_mr(b.mint->pd, raw->memory, sizeof(raw->memory), 0);
	ah.grh.dgid.raw[10] = ah.grh.dgid.raw[11] = 0xff;
	ah.grh.dgid.raw[12] = 10;
	ah.grh.dgid.raw[15] = to;
	raw->ah = calls->create_ah(b.mint->pd, &ah);
	assert_non_null(raw->ah);
}

static void raw_send(struct raw *raw, uint32_t qpn, uint32_t bytes)
{
	struct ibv_sge piece = {(uintptr_t)raw->memory, bytes, raw->mr->lkey};
	struct ibv_send_wr request = {.sg_list = &piece, .num_sge = 1, .opcode = IBV_WR_SEND}, *bad;

	request.wr.ud.ah = raw->ah;
	request.wr.ud.remote_qpn = qpn;
	request.wr.ud.remote_qkey = RDMA_UDP_QKEY;
	assert_int_equal(ibv_post_send(raw->qp, &request, &bad), 0);
}

static void raw_end(struct raw *raw)
{
	b.mint->calls->destroy_verbs_qp(raw->qp);
	b.mint->calls->destroy_ah(raw->ah);
	b.mint->calls->dereg_mr(raw->mr);
}

static void packet__that_is_strange_is_dropped(void **state)
{
	static struct raw raw;
	struct message_datagram header = {
		.source = ip_address_v4(0x0a000002), .port = 99, .takes = 4096, .total = 10};
	struct queue *to;
	uint32_t qpn;

	(void)state;
	start("");
	to = socket_bound(&a, 1, PORT);
	qpn = dgram_socket_of(to)->pair->qp->qp_num;
	raw_start(&raw, 1);
	message_datagram_store(raw.memory, &header);
	raw_send(&raw, qpn, MESSAGE_DATAGRAM_BYTES + 10);
	step();
	assert_int_equal(a.mint->counters.datagrams_received, 1);
	/* In the name of another host. */
	header.source = ip_address_v4(0x0a000003);
	message_datagram_store(raw.memory, &header);
	raw_send(&raw, qpn, MESSAGE_DATAGRAM_BYTES + 10);
	header.source = ip_address_v6_halves(0xfd00000000000000, 2);
	message_datagram_store(raw.memory, &header);
	raw_send(&raw, qpn, MESSAGE_DATAGRAM_BYTES + 10);
	/* Of no length, and of every length that is not what it says. */
	header.source = ip_address_v4(0x0a000002);
	header.total = 0;
	message_datagram_store(raw.memory, &header);
	for (uint32_t bytes = 0; bytes < 40; bytes++)
		if (bytes != MESSAGE_DATAGRAM_BYTES)
			raw_send(&raw, qpn, bytes);
	run(MS);
	assert_int_equal(a.mint->counters.datagrams_strange, 2 + 39);
	assert_int_equal(a.mint->counters.datagrams_received, 1);
	raw_end(&raw);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pair__that_fails_is_replaced),
		cmocka_unit_test(device__that_is_gone_ends_everything),
		cmocka_unit_test(device__that_is_withdrawn_ends_everything),
		cmocka_unit_test(destination__without_a_way_is_enetunreach),
		cmocka_unit_test(destination__that_turns_out_to_have_no_way_is_unreachable),
		cmocka_unit_test(socket__is_closed_with_pushes_under_way),
		cmocka_unit_test(packet__that_is_strange_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
