/* SPDX-License-Identifier: MIT */
/* Reliable connections of the provider "sim", and their completions, without mishaps. */
#include "rdma/sim.h"

#include "rdma/sim_testing.h"

/* ---- Messages ---- */

static void sim__delivers_a_message(void **state)
{
	struct ibv_wc wc;

	(void)state;
	start_connected("");
	memcpy(a.memory, "hello", 5);
	assert_int_equal(post_recv(&b, 2, 100, 50), 0);
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	wc = next_wc(&b);
	assert_int_equal(wc.wr_id, 2);
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
	assert_int_equal(wc.opcode, IBV_WC_RECV);
	assert_int_equal(wc.byte_len, 5);
	assert_int_equal(wc.qp_num, b.qp->qp_num);
	assert_int_equal(wc.wc_flags, 0);
	assert_memory_equal(b.memory + 100, "hello", 5);
	wc = next_wc(&a);
	assert_int_equal(wc.wr_id, 1);
	assert_int_equal(wc.opcode, IBV_WC_SEND);
	assert_int_equal(wc.qp_num, a.qp->qp_num);
	assert_int_equal(rdma_sim_counters(a.rdma)->messages, 1);
	assert_int_equal(rdma_sim_counters(a.rdma)->bytes, 5);
	end();
}

static void sim__delivers_an_immediate_value(void **state)
{
	struct ibv_send_wr wr = {.opcode = IBV_WR_SEND_WITH_IMM, .imm_data = htonl(4711)};
	struct ibv_wc wc;

	(void)state;
	start_connected("");
	assert_int_equal(post_recv(&b, 2, 0, 50), 0);
	assert_int_equal(post_request(&a, &wr, 0, 0), 0);
	wc = next_wc(&b);
	assert_int_equal(wc.byte_len, 0);
	assert_int_equal(wc.wc_flags, IBV_WC_WITH_IMM);
	assert_int_equal(ntohl(wc.imm_data), 4711);
	end();
}

static void sim__gathers_and_scatters(void **state)
{
	struct ibv_sge from[3], to[3];
	struct ibv_recv_wr recv = {.sg_list = to, .num_sge = 3}, *bad_recv;
	struct ibv_send_wr send = {.opcode = IBV_WR_SEND, .sg_list = from, .num_sge = 3}, *bad_send;

	(void)state;
	start_connected("");
	from[0] = segment(&a, 0, 3);
	from[1] = segment(&a, 10, 0);
	from[2] = segment(&a, 20, 4);
	to[0] = segment(&b, 0, 1);
	to[1] = segment(&b, 10, 0);
	to[2] = segment(&b, 20, 100);
	memcpy(a.memory, "abc", 3);
	memcpy(a.memory + 20, "defg", 4);
	assert_int_equal(ibv_post_recv(b.qp, &recv, &bad_recv), 0);
	assert_int_equal(ibv_post_send(a.qp, &send, &bad_send), 0);
	assert_int_equal(next_wc(&b).byte_len, 7);
	assert_memory_equal(b.memory, "a", 1);
	assert_memory_equal(b.memory + 20, "bcdefg", 6);
	end();
}

static void sim__takes_the_delay_each_way(void **state)
{
	(void)state;
	start_connected("delay_ns=2000");
	settle();
	assert_int_equal(post_recv(&b, 2, 0, 50), 0);
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	assert_int_equal(a.ops->next_ns(a.rdma), now_ns + 2000);
	now_ns += 1999;
	expect_no_wc(&b);
	now_ns += 1;
	expect_wc(&b, 2, IBV_WC_SUCCESS);
	expect_no_wc(&a);
	/* Whoever looks late sees what was there at its time. */
	now_ns += 50000;
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	assert_true(b.ops->next_ns(b.rdma) == UINT64_MAX);
	end();
}

static void sim__keeps_the_order_with_jitter(void **state)
{
	uint64_t first_ns, last_ns = 0;

	(void)state;
	start_connected("delay_ns=1000,jitter_ns=5000,seed=3");
	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(post_recv(&b, i, i, 1), 0);
	for (uint64_t i = 0; i < 16; i++) {
		a.memory[i] = (unsigned char)(i + 1);
		assert_int_equal(post_send(&a, i, i, 1), 0);
	}
	first_ns = now_ns;
	for (uint64_t i = 0; i < 16; i++) {
		expect_wc(&b, i, IBV_WC_SUCCESS);
		assert_int_equal(b.memory[i], i + 1);
		last_ns = now_ns;
	}
	assert_in_range(last_ns - first_ns, 2000, 6000);
	for (uint64_t i = 0; i < 16; i++)
		expect_wc(&a, i, IBV_WC_SUCCESS);
	end();
}

/* ---- Requests ---- */

static void inline__is_copied_when_it_is_posted(void **state)
{
	struct ibv_send_wr wr = {.opcode = IBV_WR_SEND, .send_flags = IBV_SEND_INLINE};
	struct ibv_sge sge = {.length = 5, .lkey = 12345};
	struct ibv_send_wr *bad;

	(void)state;
	start_connected("delay_ns=2000");
	assert_int_equal(post_recv(&b, 2, 0, 50), 0);
	memcpy(a.memory, "hello", 5);
	/* No key is looked at, nor the memory later. */
	sge.addr = (uintptr_t)a.memory;
	wr.sg_list = &sge;
	wr.num_sge = 1;
	assert_int_equal(ibv_post_send(a.qp, &wr, &bad), 0);
	memset(a.memory, 'x', 5);
	expect_wc(&b, 2, IBV_WC_SUCCESS);
	assert_memory_equal(b.memory, "hello", 5);
	sge.length = 65;
	assert_int_equal(ibv_post_send(a.qp, &wr, &bad), EINVAL);
	assert_ptr_equal(bad, &wr);
	end();
}

static void memory__is_read_when_the_message_arrives(void **state)
{
	(void)state;
	start_connected("delay_ns=2000");
	assert_int_equal(post_recv(&b, 2, 0, 50), 0);
	memcpy(a.memory, "hello", 5);
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	memcpy(a.memory, "wrong", 5);
	expect_wc(&b, 2, IBV_WC_SUCCESS);
	assert_memory_equal(b.memory, "wrong", 5);
	end();
}

static void list__is_posted_up_to_the_bad_one(void **state)
{
	struct ibv_send_wr wr[3] = {{.wr_id = 1, .opcode = IBV_WR_SEND},
				    {.wr_id = 2, .opcode = IBV_WR_ATOMIC_CMP_AND_SWP},
				    {.wr_id = 3, .opcode = IBV_WR_SEND}};
	struct ibv_recv_wr recv[3] = {{.wr_id = 4}, {.wr_id = 5}, {.wr_id = 6, .num_sge = 5}};
	struct ibv_send_wr *bad;
	struct ibv_recv_wr *bad_recv;

	(void)state;
	start_connected("");
	recv[0].next = &recv[1];
	recv[1].next = &recv[2];
	wr[0].next = &wr[1];
	wr[1].next = &wr[2];
	wr[0].send_flags = IBV_SEND_SIGNALED;
	assert_int_equal(ibv_post_recv(b.qp, recv, &bad_recv), EINVAL);
	assert_ptr_equal(bad_recv, &recv[2]);
	assert_int_equal(ibv_post_send(a.qp, wr, &bad), EINVAL);
	assert_ptr_equal(bad, &wr[1]);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	expect_no_wc(&a);
	expect_wc(&b, 4, IBV_WC_SUCCESS);
	expect_no_wc(&b);
	end();
}

static void unsignaled__has_no_completion_and_keeps_its_place(void **state)
{
	struct ibv_send_wr wr = {.opcode = IBV_WR_RDMA_WRITE};

	(void)state;
	start_connected("");
	for (int i = 0; i < 15; i++)
		assert_int_equal(post_request(&a, &wr, 0, 0), 0);
	expect_no_wc(&a);
	wr.send_flags = IBV_SEND_SIGNALED;
	wr.wr_id = 16;
	assert_int_equal(post_request(&a, &wr, 0, 0), 0);
	/* All have been done long since. */
	assert_int_equal(post_request(&a, &wr, 0, 0), ENOMEM);
	expect_wc(&a, 16, IBV_WC_SUCCESS);
	expect_no_wc(&a);
	for (int i = 0; i < 16; i++)
		assert_int_equal(post_request(&a, &wr, 0, 0), 0);
	assert_int_equal(post_request(&a, &wr, 0, 0), ENOMEM);
	expect_wc(&a, 16, IBV_WC_SUCCESS);
	assert_int_equal(post_request(&a, &wr, 0, 0), 0);
	assert_int_equal(post_request(&a, &wr, 0, 0), ENOMEM);
	end();
}

static void receives__keep_their_places_until_they_are_polled(void **state)
{
	(void)state;
	start_connected("");
	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(post_recv(&b, i, 0, 1), 0);
	assert_int_equal(post_send(&a, 1, 0, 1), 0);
	assert_int_equal(post_recv(&b, 16, 0, 1), ENOMEM);
	expect_wc(&b, 0, IBV_WC_SUCCESS);
	assert_int_equal(post_recv(&b, 16, 0, 1), 0);
	end();
}

static void states__say_what_may_be_posted(void **state)
{
	struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_RESET};

	(void)state;
	start("");
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_TCP);
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	assert_int_equal(a.qp->state, IBV_QPS_INIT);
	assert_int_equal(post_recv(&a, 1, 0, 10), 0);
	assert_int_equal(post_send(&a, 1, 0, 10), EINVAL);
	assert_int_equal(a.ops->modify_qp(a.qp, &attributes, IBV_QP_STATE), 0);
	assert_int_equal(post_recv(&a, 1, 0, 10), EINVAL);
	attributes.qp_state = IBV_QPS_RTS;
	assert_int_equal(a.ops->modify_qp(a.qp, &attributes, IBV_QP_STATE), EINVAL);
	end();
}

/* Makes @node's queue pair one that sends to that of @peer. */
static void aim(struct node *node, const struct node *peer)
{
	struct ibv_qp_attr attributes = {
		.qp_state = IBV_QPS_RTR, .dest_qp_num = peer->qp->qp_num, .retry_cnt = 6};

	assert_int_equal(peer->ops->query_gid(peer->context, 1, 0, &attributes.ah_attr.grh.dgid),
			 0);
	assert_int_equal(node->ops->modify_qp(node->qp, &attributes,
					      IBV_QP_STATE | IBV_QP_AV | IBV_QP_DEST_QPN),
			 0);
	attributes.qp_state = IBV_QPS_RTS;
	assert_int_equal(
		node->ops->modify_qp(node->qp, &attributes, IBV_QP_STATE | IBV_QP_RETRY_CNT), 0);
}

static void queue_pairs__may_be_connected_by_hand(void **state)
{
	struct node third;

	(void)state;
	start("retransmit_ns=1000");
	third = a;
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	make_qp(&third, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	make_qp(&b, resolve_to(&b, v4("10.0.0.1", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	aim(&a, &b);
	aim(&b, &a);
	assert_int_equal(post_recv(&b, 2, 0, 10), 0);
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	expect_wc(&b, 2, IBV_WC_SUCCESS);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	/* One that is not its peer gets no answer. */
	aim(&third, &b);
	assert_int_equal(post_send(&third, 3, 0, 5), 0);
	expect_wc(&a, 3, IBV_WC_RETRY_EXC_ERR);
	/* Nor does it disturb. */
	assert_int_equal(post_recv(&b, 2, 0, 10), 0);
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	expect_wc(&b, 2, IBV_WC_SUCCESS);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	b.ops->destroy_qp(b.id);
	assert_int_equal(post_send(&a, 4, 0, 5), 0);
	expect_wc(&a, 4, IBV_WC_RETRY_EXC_ERR);
	a.ops->destroy_qp(third.id);
	assert_int_equal(a.ops->destroy_id(third.id), 0);
	end();
}

static void sig_all__completes_each(void **state)
{
	struct ibv_send_wr wr = {.wr_id = 3, .opcode = IBV_WR_RDMA_WRITE};
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attributes;

	(void)state;
	signal_all = 1;
	start_connected("");
	signal_all = 0;
	assert_int_equal(a.ops->query_qp(a.qp, &attributes, IBV_QP_STATE, &init), 0);
	assert_int_equal(init.sq_sig_all, 1);
	assert_int_equal(init.cap.max_inline_data, 64);
	assert_int_equal(attributes.qp_state, IBV_QPS_RTS);
	assert_int_equal(post_request(&a, &wr, 0, 0), 0);
	expect_wc(&a, 3, IBV_WC_SUCCESS);
	end();
}

/* ---- Remote memory ---- */

static void write__changes_the_peers_memory_alone(void **state)
{
	(void)state;
	start_connected("");
	memcpy(a.memory, "hello", 5);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_WRITE, 0, 5, &b, 1000), 0);
	assert_int_equal(next_wc(&a).opcode, IBV_WC_RDMA_WRITE);
	assert_memory_equal(b.memory + 1000, "hello", 5);
	expect_no_wc(&b);
	end();
}

static void write__with_immediate_takes_a_receive(void **state)
{
	struct ibv_wc wc;

	(void)state;
	start_connected("");
	memcpy(a.memory, "hello", 5);
	assert_int_equal(post_recv(&b, 2, 0, 0), 0);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_WRITE_WITH_IMM, 0, 5, &b, 1000), 0);
	wc = next_wc(&b);
	assert_int_equal(wc.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
	assert_int_equal(wc.wr_id, 2);
	assert_int_equal(wc.byte_len, 5);
	assert_int_equal(ntohl(wc.imm_data), 77);
	assert_memory_equal(b.memory + 1000, "hello", 5);
	end();
}

static void read__fetches_the_peers_memory(void **state)
{
	struct ibv_wc wc;

	(void)state;
	start_connected("delay_ns=1000");
	memcpy(b.memory + 1000, "hello", 5);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_READ, 0, 5, &b, 1000), 0);
	wc = next_wc(&a);
	assert_int_equal(wc.opcode, IBV_WC_RDMA_READ);
	assert_int_equal(wc.byte_len, 5);
	assert_memory_equal(a.memory, "hello", 5);
	end();
}

static void read__waits_for_others_when_too_many_are_under_way(void **state)
{
	struct rdma_conn_param parameters = {
		.initiator_depth = 2, .responder_resources = 2, .retry_count = 7};
	uint64_t start_ns;

	(void)state;
	start("delay_ns=1000");
	connect_with(&parameters, &parameters);
	start_ns = now_ns;
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(post_remote(&a, i, IBV_WR_RDMA_READ, 0, 5, &b, 1000), 0);
	for (uint64_t i = 0; i < 5; i++)
		expect_wc(&a, i, IBV_WC_SUCCESS);
	assert_int_equal(now_ns - start_ns, 6000);
	end();
}

static void fence__waits_for_reads(void **state)
{
	struct ibv_send_wr wr = {.wr_id = 9,
				 .opcode = IBV_WR_RDMA_WRITE,
				 .send_flags = IBV_SEND_SIGNALED | IBV_SEND_FENCE};
	uint64_t start_ns;

	(void)state;
	start_connected("delay_ns=1000");
	start_ns = now_ns;
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_READ, 0, 5, &b, 1000), 0);
	assert_int_equal(post_request(&a, &wr, 0, 0), 0);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	assert_int_equal(now_ns - start_ns, 2000);
	expect_wc(&a, 9, IBV_WC_SUCCESS);
	assert_int_equal(now_ns - start_ns, 4000);
	end();
}

/* ---- Shared receives ---- */

static void make_srq(struct node *node)
{
	struct ibv_srq_init_attr attributes = {.attr = {.max_wr = 4, .max_sge = 1}};

	node->srq = node->ops->create_srq(node->pd, &attributes);
	assert_non_null(node->srq);
}

static void srq__serves_queue_pairs(void **state)
{
	struct ibv_recv_wr wr = {0}, *bad;

	(void)state;
	start("");
	make_srq(&b);
	connect_with(NULL, NULL);
	assert_ptr_equal(b.qp->srq, b.srq);
	assert_int_equal(ibv_post_recv(b.qp, &wr, &bad), EINVAL);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(post_recv(&b, i, 0, 10), 0);
	assert_int_equal(post_recv(&b, 4, 0, 10), ENOMEM);
	assert_int_equal(post_send(&a, 1, 0, 10), 0);
	expect_wc(&b, 0, IBV_WC_SUCCESS);
	assert_int_equal(post_recv(&b, 4, 0, 10), 0);
	assert_int_equal(b.ops->destroy_srq(b.srq), EBUSY);
	end();
}

static void srq__receives_in_memory_of_its_own_domain(void **state)
{
	struct ibv_srq_init_attr attributes = {.attr = {.max_wr = 4, .max_sge = 1}};
	struct ibv_recv_wr wr = {.wr_id = 9}, *bad;
	struct ibv_sge sge;
	struct ibv_pd *pd;
	struct ibv_mr *mr;

	(void)state;
	start("");
	pd = b.ops->alloc_pd(b.context);
	mr = b.ops->reg_mr(pd, b.memory, 100, IBV_ACCESS_LOCAL_WRITE);
	b.srq = b.ops->create_srq(pd, &attributes);
	connect_with(NULL, NULL);
	sge = (struct ibv_sge){(uintptr_t)b.memory, 100, mr->lkey};
	wr.sg_list = &sge;
	wr.num_sge = 1;
	assert_int_equal(ibv_post_srq_recv(b.srq, &wr, &bad), 0);
	assert_int_equal(post_send(&a, 1, 0, 10), 0);
	expect_wc(&b, 9, IBV_WC_SUCCESS);
	b.ops->destroy_qp(b.id);
	assert_int_equal(b.ops->destroy_srq(b.srq), 0);
	b.srq = NULL;
	assert_int_equal(b.ops->dereg_mr(mr), 0);
	assert_int_equal(b.ops->dealloc_pd(pd), 0);
	end();
}

static void srq__keeps_its_receives_when_a_queue_pair_fails(void **state)
{
	struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_ERR};

	(void)state;
	start("");
	make_srq(&b);
	connect_with(NULL, NULL);
	assert_int_equal(post_recv(&b, 1, 0, 10), 0);
	assert_int_equal(b.ops->modify_qp(b.qp, &attributes, IBV_QP_STATE), 0);
	expect_no_wc(&b);
	expect_async(&b, IBV_EVENT_QP_LAST_WQE_REACHED);
	end();
}

/* ---- Completion queues ---- */

static void notify__tells_once_of_the_next_completion(void **state)
{
	struct ibv_cq *cq = NULL;
	void *context = NULL;

	(void)state;
	start_connected("");
	assert_int_equal(post_recv(&b, 1, 0, 10), 0);
	assert_int_equal(post_recv(&b, 2, 0, 10), 0);
	assert_int_equal(post_recv(&b, 3, 0, 10), 0);
	assert_int_equal(post_send(&a, 1, 0, 1), 0);
	/* What was there before does not tell. */
	assert_int_equal(ibv_req_notify_cq(b.cq, 0), 0);
	assert_false(is_readable(b.comp_channel->fd));
	assert_int_equal(b.ops->get_cq_event(b.comp_channel, &cq, &context), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(post_send(&a, 2, 0, 1), 0);
	assert_int_equal(post_send(&a, 3, 0, 1), 0);
	assert_true(is_readable(b.comp_channel->fd));
	assert_int_equal(b.ops->get_cq_event(b.comp_channel, &cq, &context), 0);
	assert_ptr_equal(cq, b.cq);
	assert_ptr_equal(context, &b);
	assert_false(is_readable(b.comp_channel->fd));
	assert_int_equal(b.ops->get_cq_event(b.comp_channel, &cq, &context), -1);
	b.ops->ack_cq_events(cq, 1);
	for (uint64_t i = 1; i <= 3; i++)
		expect_wc(&b, i, IBV_WC_SUCCESS);
	end();
}

static void notify__for_solicited_ones_leaves_out_the_others(void **state)
{
	struct ibv_send_wr wr = {.opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SOLICITED};
	struct ibv_cq *cq;
	void *context;

	(void)state;
	start_connected("");
	assert_int_equal(post_recv(&b, 1, 0, 10), 0);
	assert_int_equal(post_recv(&b, 2, 0, 10), 0);
	assert_int_equal(ibv_req_notify_cq(b.cq, 1), 0);
	assert_int_equal(post_send(&a, 1, 0, 1), 0);
	assert_false(is_readable(b.comp_channel->fd));
	assert_int_equal(post_request(&a, &wr, 0, 1), 0);
	assert_int_equal(b.ops->get_cq_event(b.comp_channel, &cq, &context), 0);
	b.ops->ack_cq_events(cq, 1);
	end();
}

static void cq__that_overflows_is_the_end_of_its_queue_pairs(void **state)
{
	struct ibv_wc wc[4];

	(void)state;
	cq_entries = 2;
	start_connected("");
	cq_entries = 256;
	for (uint64_t i = 0; i < 2; i++)
		assert_int_equal(post_remote(&a, i, IBV_WR_RDMA_WRITE, 0, 1, &b, 0), 0);
	assert_int_equal(state_of(&a), IBV_QPS_RTS);
	assert_int_equal(post_remote(&a, 2, IBV_WR_RDMA_WRITE, 0, 1, &b, 0), 0);
	assert_int_equal(state_of(&a), IBV_QPS_ERR);
	assert_int_equal(a.qp->state, IBV_QPS_RTS); /* as the library knows it */
	expect_async(&a, IBV_EVENT_CQ_ERR);
	expect_async(&a, IBV_EVENT_QP_FATAL);
	assert_int_equal(ibv_poll_cq(a.cq, 4, wc), 2);
	assert_int_equal(wc[1].wr_id, 1);
	/* From now on it gets nothing. */
	assert_int_equal(post_remote(&a, 3, IBV_WR_RDMA_WRITE, 0, 1, &b, 0), 0);
	expect_no_wc(&a);
	assert_int_equal(rdma_sim_counters(a.rdma)->overflowed, 1);
	end();
}

static void cq__forgets_a_queue_pair_that_goes(void **state)
{
	(void)state;
	start_connected("");
	assert_int_equal(post_recv(&b, 1, 0, 10), 0);
	assert_int_equal(post_send(&a, 1, 0, 1), 0);
	assert_int_equal(b.ops->destroy_cq(b.cq), EBUSY);
	b.ops->destroy_qp(b.id);
	expect_no_wc(&b);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sim__delivers_a_message),
		cmocka_unit_test(sim__delivers_an_immediate_value),
		cmocka_unit_test(sim__gathers_and_scatters),
		cmocka_unit_test(sim__takes_the_delay_each_way),
		cmocka_unit_test(sim__keeps_the_order_with_jitter),
		cmocka_unit_test(inline__is_copied_when_it_is_posted),
		cmocka_unit_test(memory__is_read_when_the_message_arrives),
		cmocka_unit_test(list__is_posted_up_to_the_bad_one),
		cmocka_unit_test(unsignaled__has_no_completion_and_keeps_its_place),
		cmocka_unit_test(receives__keep_their_places_until_they_are_polled),
		cmocka_unit_test(states__say_what_may_be_posted),
		cmocka_unit_test(queue_pairs__may_be_connected_by_hand),
		cmocka_unit_test(sig_all__completes_each),
		cmocka_unit_test(write__changes_the_peers_memory_alone),
		cmocka_unit_test(write__with_immediate_takes_a_receive),
		cmocka_unit_test(read__fetches_the_peers_memory),
		cmocka_unit_test(read__waits_for_others_when_too_many_are_under_way),
		cmocka_unit_test(fence__waits_for_reads),
		cmocka_unit_test(srq__serves_queue_pairs),
		cmocka_unit_test(srq__receives_in_memory_of_its_own_domain),
		cmocka_unit_test(srq__keeps_its_receives_when_a_queue_pair_fails),
		cmocka_unit_test(notify__tells_once_of_the_next_completion),
		cmocka_unit_test(notify__for_solicited_ones_leaves_out_the_others),
		cmocka_unit_test(cq__that_overflows_is_the_end_of_its_queue_pairs),
		cmocka_unit_test(cq__forgets_a_queue_pair_that_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
