/* SPDX-License-Identifier: MIT */
/* Reliable connections of the provider "sim": what is not allowed, and what it leads to. */
#include "rdma/sim_testing.h"

static const struct rdma_conn_param few_retries = {
	.responder_resources = 4,
	.initiator_depth = 4,
	.retry_count = 2,
	.rnr_retry_count = 2,
};

static void start_with(const char *words, struct rdma_conn_param parameters)
{
	start(words);
	connect_with(&parameters, &parameters);
}

/* Posts a send of @node with any segment. */
static int post_segment(struct node *node, uint64_t wr_id, struct ibv_sge sge)
{
	struct ibv_send_wr wr = {.wr_id = wr_id,
				 .opcode = IBV_WR_SEND,
				 .send_flags = IBV_SEND_SIGNALED,
				 .sg_list = &sge,
				 .num_sge = 1};
	struct ibv_send_wr *bad;

	return ibv_post_send(node->qp, &wr, &bad);
}

static int post_recv_segment(struct node *node, uint64_t wr_id, struct ibv_sge sge)
{
	struct ibv_recv_wr wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1};
	struct ibv_recv_wr *bad;

	return ibv_post_recv(node->qp, &wr, &bad);
}

/* ---- No buffer ---- */

static void rnr__is_tried_again(void **state)
{
	(void)state;
	start_connected("delay_ns=1000,rnr_ns=50000");
	settle();
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	assert_int_equal(post_send(&a, 2, 0, 6), 0);
	now_ns = since_ns + 1000;
	expect_no_wc(&a);
	assert_int_equal(rdma_sim_counters(a.rdma)->rnr, 1);
	assert_int_equal(post_recv(&b, 7, 0, 10), 0);
	assert_int_equal(post_recv(&b, 8, 0, 10), 0);
	expect_wc(&b, 7, IBV_WC_SUCCESS);
	expect_wc(&b, 8, IBV_WC_SUCCESS);
	/* There, back, the wait, there. */
	assert_int_equal(passed_ns(), 1000 + 1000 + 50000 + 1000);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	expect_wc(&a, 2, IBV_WC_SUCCESS);
	assert_int_equal(rdma_sim_counters(a.rdma)->retransmissions, 0);
	end();
}

static void rnr__is_tried_as_often_as_was_agreed(void **state)
{
	(void)state;
	start_with("rnr_ns=50000", few_retries);
	assert_int_equal(post_recv(&a, 9, 0, 10), 0);
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	assert_int_equal(post_send(&a, 2, 0, 5), 0);
	expect_wc(&a, 1, IBV_WC_RNR_RETRY_EXC_ERR);
	assert_int_equal(passed_ns(), 100000);
	assert_int_equal(rdma_sim_counters(a.rdma)->rnr, 3);
	expect_wc(&a, 2, IBV_WC_WR_FLUSH_ERR);
	expect_wc(&a, 9, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(state_of(&a), IBV_QPS_ERR);
	assert_int_equal(state_of(&b), IBV_QPS_RTS);
	end();
}

static void rnr__is_counted_for_each_message(void **state)
{
	(void)state;
	start_with("rnr_ns=50000", few_retries);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(post_send(&a, i, 0, 5), 0);
		assert_true(step());
		assert_int_equal(post_recv(&b, i, 0, 10), 0);
		expect_wc(&a, i, IBV_WC_SUCCESS);
	}
	assert_int_equal(rdma_sim_counters(a.rdma)->rnr, 6);
	end();
}

static void rnr__waits_as_the_receiver_says(void **state)
{
	struct ibv_qp_attr attributes = {.min_rnr_timer = 12};

	(void)state;
	start_connected("");
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	assert_int_equal(a.ops->next_ns(a.rdma), 655360 * US);
	assert_int_equal(b.ops->modify_qp(b.qp, &attributes, IBV_QP_MIN_RNR_TIMER), 0);
	assert_true(step());
	assert_int_equal(a.ops->next_ns(a.rdma), 655360 * US + 640 * US);
	end();
}

/* ---- Own mistakes ---- */

static void expect_own_failure(struct ibv_sge sge)
{
	assert_int_equal(post_recv(&b, 2, 0, 100), 0);
	assert_int_equal(post_segment(&a, 1, sge), 0);
	expect_wc(&a, 1, IBV_WC_LOC_PROT_ERR);
	assert_int_equal(state_of(&a), IBV_QPS_ERR);
	/* The peer is told nothing. */
	expect_no_wc(&b);
	assert_int_equal(state_of(&b), IBV_QPS_RTS);
	end();
}

static void send__with_a_wrong_key_fails(void **state)
{
	(void)state;
	start_connected("");
	expect_own_failure((struct ibv_sge){(uintptr_t)a.memory, 5, a.mr->lkey + 1});
}

static void send__with_the_key_for_others_fails(void **state)
{
	(void)state;
	start_connected("");
	expect_own_failure((struct ibv_sge){(uintptr_t)a.memory, 5, a.mr->rkey});
}

static void send__beyond_the_region_fails(void **state)
{
	(void)state;
	start_connected("");
	expect_own_failure((struct ibv_sge){(uintptr_t)a.memory + BUFFER_BYTES - 4, 5, a.mr->lkey});
}

static void send__of_another_domain_fails(void **state)
{
	struct ibv_pd *pd;
	struct ibv_mr *mr;

	(void)state;
	start_connected("");
	pd = a.ops->alloc_pd(a.context);
	mr = a.ops->reg_mr(pd, a.memory, 100, 0);
	assert_int_equal(post_segment(&a, 1, (struct ibv_sge){(uintptr_t)a.memory, 5, mr->lkey}),
			 0);
	expect_wc(&a, 1, IBV_WC_LOC_PROT_ERR);
	assert_int_equal(a.ops->dealloc_pd(pd), EBUSY);
	assert_int_equal(a.ops->dereg_mr(mr), 0);
	assert_int_equal(a.ops->dealloc_pd(pd), 0);
	end();
}

static void send__of_memory_that_was_given_back_fails(void **state)
{
	struct ibv_mr *mr;
	struct ibv_sge sge;

	(void)state;
	start_connected("delay_ns=1000");
	mr = a.ops->reg_mr(a.pd, a.memory, 100, 0);
	sge = (struct ibv_sge){(uintptr_t)a.memory, 5, mr->lkey};
	assert_int_equal(post_recv(&b, 2, 0, 100), 0);
	assert_int_equal(post_segment(&a, 1, sge), 0);
	assert_int_equal(a.ops->dereg_mr(mr), 0);
	mr = a.ops->reg_mr(a.pd, a.memory, 100, 0);
	/* A region that has its place has another key. */
	assert_int_not_equal(mr->lkey, sge.lkey);
	expect_wc(&a, 1, IBV_WC_LOC_PROT_ERR);
	assert_int_equal(a.ops->dereg_mr(mr), 0);
	end();
}

static void own_failure__ends_behind_what_is_under_way(void **state)
{
	(void)state;
	start_connected("delay_ns=1000");
	assert_int_equal(post_recv(&b, 2, 0, 100), 0);
	assert_int_equal(post_recv(&b, 3, 0, 100), 0);
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	assert_int_equal(post_segment(&a, 2, (struct ibv_sge){1, 5, 0}), 0);
	assert_int_equal(post_send(&a, 3, 0, 5), 0);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	expect_wc(&a, 2, IBV_WC_LOC_PROT_ERR);
	expect_wc(&a, 3, IBV_WC_WR_FLUSH_ERR);
	expect_wc(&b, 2, IBV_WC_SUCCESS);
	expect_no_wc(&b);
	end();
}

static void read__into_memory_that_may_not_be_written_fails(void **state)
{
	struct ibv_send_wr wr = {.wr_id = 1, .opcode = IBV_WR_RDMA_READ}, *bad;
	struct ibv_sge sge;
	struct ibv_mr *mr;

	(void)state;
	start_connected("");
	mr = a.ops->reg_mr(a.pd, a.memory, 100, 0);
	sge = (struct ibv_sge){(uintptr_t)a.memory, 5, mr->lkey};
	wr.sg_list = &sge;
	wr.num_sge = 1;
	wr.wr.rdma.remote_addr = (uintptr_t)b.memory;
	wr.wr.rdma.rkey = b.mr->rkey;
	assert_int_equal(ibv_post_send(a.qp, &wr, &bad), 0);
	expect_wc(&a, 1, IBV_WC_LOC_PROT_ERR);
	assert_int_equal(a.ops->dereg_mr(mr), 0);
	end();
}

/* ---- The receiver's mistakes ---- */

static void receive__that_is_too_short_is_the_end(void **state)
{
	(void)state;
	start_connected("");
	assert_int_equal(post_recv(&b, 2, 0, 4), 0);
	assert_int_equal(post_recv(&b, 3, 0, 10), 0);
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	expect_wc(&a, 1, IBV_WC_REM_INV_REQ_ERR);
	expect_wc(&b, 2, IBV_WC_LOC_LEN_ERR);
	expect_wc(&b, 3, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(state_of(&a), IBV_QPS_ERR);
	assert_int_equal(state_of(&b), IBV_QPS_ERR);
	end();
}

static void receive__in_memory_that_may_not_be_written_is_the_end(void **state)
{
	struct ibv_mr *mr;

	(void)state;
	start_connected("");
	mr = b.ops->reg_mr(b.pd, b.memory, 100, 0);
	assert_int_equal(
		post_recv_segment(&b, 2, (struct ibv_sge){(uintptr_t)b.memory, 9, mr->lkey}), 0);
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	expect_wc(&a, 1, IBV_WC_REM_OP_ERR);
	expect_wc(&b, 2, IBV_WC_LOC_PROT_ERR);
	assert_int_equal(b.ops->dereg_mr(mr), 0);
	end();
}

/* ---- Remote memory ---- */

static void expect_violation(enum ibv_wr_opcode opcode, uint64_t address, uint32_t rkey,
			     enum ibv_wc_status status, enum ibv_event_type event)
{
	struct ibv_send_wr wr = {
		.wr_id = 1, .opcode = opcode, .wr.rdma.remote_addr = address, .wr.rdma.rkey = rkey};

	assert_int_equal(post_recv(&b, 2, 0, 10), 0);
	assert_int_equal(post_request(&a, &wr, 0, 5), 0);
	expect_wc(&a, 1, status);
	/* Its queue pair is in error too, and it is told. */
	expect_wc(&b, 2, IBV_WC_WR_FLUSH_ERR);
	expect_async(&b, event);
	end();
}

static void write__with_a_wrong_key_is_a_violation(void **state)
{
	(void)state;
	start_connected("");
	expect_violation(IBV_WR_RDMA_WRITE, (uintptr_t)b.memory, b.mr->lkey, IBV_WC_REM_ACCESS_ERR,
			 IBV_EVENT_QP_ACCESS_ERR);
}

static void write__beyond_the_region_is_a_violation(void **state)
{
	(void)state;
	start_connected("");
	expect_violation(IBV_WR_RDMA_WRITE, (uintptr_t)b.memory - 1, b.mr->rkey,
			 IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
}

static void read__beyond_the_region_is_a_violation(void **state)
{
	(void)state;
	start_connected("");
	expect_violation(IBV_WR_RDMA_READ, (uintptr_t)b.memory + BUFFER_BYTES - 4, b.mr->rkey,
			 IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
}

/* Registers the peer's memory with @access, and tries @opcode there. */
static void expect_denied(enum ibv_wr_opcode opcode, int access)
{
	struct ibv_send_wr wr = {.wr_id = 1, .opcode = opcode};
	struct ibv_mr *mr;

	start_connected("");
	mr = b.ops->reg_mr(b.pd, b.memory, 100, access);
	wr.wr.rdma.remote_addr = (uintptr_t)b.memory;
	wr.wr.rdma.rkey = mr->rkey;
	assert_int_equal(post_request(&a, &wr, 0, 5), 0);
	expect_wc(&a, 1, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(state_of(&b), IBV_QPS_ERR);
	assert_int_equal(b.ops->dereg_mr(mr), 0);
	end();
}

static void access__is_what_the_region_has(void **state)
{
	(void)state;
	expect_denied(IBV_WR_RDMA_WRITE, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
	expect_denied(IBV_WR_RDMA_READ, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	start("");
	assert_null(a.ops->reg_mr(a.pd, a.memory, 100, IBV_ACCESS_REMOTE_WRITE));
	assert_int_equal(errno, EINVAL);
	end();
}

static void access__is_what_the_queue_pair_has(void **state)
{
	struct ibv_qp_attr attributes = {.qp_access_flags = IBV_ACCESS_REMOTE_READ};

	(void)state;
	start_connected("");
	assert_int_equal(b.ops->modify_qp(b.qp, &attributes, IBV_QP_ACCESS_FLAGS), 0);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_READ, 0, 5, &b, 0), 0);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	assert_int_equal(post_remote(&a, 2, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	expect_wc(&a, 2, IBV_WC_REM_ACCESS_ERR);
	end();
}

static void read__needs_resources_of_both(void **state)
{
	struct rdma_conn_param none = few_retries, some = few_retries;

	(void)state;
	none.responder_resources = none.initiator_depth = 0;
	/* Nothing at the reader. */
	start_with("", none);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_READ, 0, 5, &b, 0), 0);
	expect_wc(&a, 1, IBV_WC_LOC_QP_OP_ERR);
	end();
	/* More at the reader than at the other. */
	some.responder_resources = 2;
	start_with("delay_ns=1000", some);
	assert_int_equal(a.ops->modify_qp(a.qp, &(struct ibv_qp_attr){.max_rd_atomic = 3},
					  IBV_QP_MAX_QP_RD_ATOMIC),
			 0);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(post_remote(&a, i, IBV_WR_RDMA_READ, 0, 5, &b, 0), 0);
	expect_wc(&a, 0, IBV_WC_REM_INV_REQ_ERR);
	expect_async(&b, IBV_EVENT_QP_REQ_ERR);
	end();
}

/* ---- Flush ---- */

static void error__flushes_all_that_was_posted(void **state)
{
	struct ibv_send_wr wr = {.wr_id = 2, .opcode = IBV_WR_SEND};
	struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_ERR};

	(void)state;
	start_connected("delay_ns=1000");
	assert_int_equal(post_recv(&a, 8, 0, 10), 0);
	assert_int_equal(post_recv(&a, 9, 0, 10), 0);
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	assert_int_equal(post_request(&a, &wr, 0, 5), 0);
	assert_int_equal(a.ops->modify_qp(a.qp, &attributes, IBV_QP_STATE), 0);
	expect_wc(&a, 1, IBV_WC_WR_FLUSH_ERR);
	expect_wc(&a, 2, IBV_WC_WR_FLUSH_ERR); /* signaled or not */
	expect_wc(&a, 8, IBV_WC_WR_FLUSH_ERR);
	expect_wc(&a, 9, IBV_WC_WR_FLUSH_ERR);
	/* What is posted now too. */
	assert_int_equal(post_recv(&a, 10, 0, 10), 0);
	expect_wc(&a, 10, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(post_send(&a, 11, 0, 5), 0);
	expect_wc(&a, 11, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(rdma_sim_counters(a.rdma)->flushed, 6);
	assert_int_equal(rdma_sim_counters(a.rdma)->errors, 0);
	end();
}

static void error__of_the_peer_shows_as_silence(void **state)
{
	struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_ERR};

	(void)state;
	start_with("retransmit_ns=1000000", few_retries);
	assert_int_equal(b.ops->modify_qp(b.qp, &attributes, IBV_QP_STATE), 0);
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	expect_wc(&a, 1, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(passed_ns(), 3 * MS);
	end();
}

static void completion__with_an_error_has_noise(void **state)
{
	struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_ERR};
	struct ibv_wc wc;

	(void)state;
	start_connected("");
	assert_int_equal(a.ops->modify_qp(a.qp, &attributes, IBV_QP_STATE), 0);
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	wc = next_wc(&a);
	assert_int_equal(wc.qp_num, a.qp->qp_num);
	assert_int_not_equal(wc.opcode, IBV_WC_SEND);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rnr__is_tried_again),
		cmocka_unit_test(rnr__is_tried_as_often_as_was_agreed),
		cmocka_unit_test(rnr__is_counted_for_each_message),
		cmocka_unit_test(rnr__waits_as_the_receiver_says),
		cmocka_unit_test(send__with_a_wrong_key_fails),
		cmocka_unit_test(send__with_the_key_for_others_fails),
		cmocka_unit_test(send__beyond_the_region_fails),
		cmocka_unit_test(send__of_another_domain_fails),
		cmocka_unit_test(send__of_memory_that_was_given_back_fails),
		cmocka_unit_test(own_failure__ends_behind_what_is_under_way),
		cmocka_unit_test(read__into_memory_that_may_not_be_written_fails),
		cmocka_unit_test(receive__that_is_too_short_is_the_end),
		cmocka_unit_test(receive__in_memory_that_may_not_be_written_is_the_end),
		cmocka_unit_test(write__with_a_wrong_key_is_a_violation),
		cmocka_unit_test(write__beyond_the_region_is_a_violation),
		cmocka_unit_test(read__beyond_the_region_is_a_violation),
		cmocka_unit_test(access__is_what_the_region_has),
		cmocka_unit_test(access__is_what_the_queue_pair_has),
		cmocka_unit_test(read__needs_resources_of_both),
		cmocka_unit_test(error__flushes_all_that_was_posted),
		cmocka_unit_test(error__of_the_peer_shows_as_silence),
		cmocka_unit_test(completion__with_an_error_has_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
