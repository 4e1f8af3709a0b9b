/* SPDX-License-Identifier: MIT */
/* Mishaps of the provider "sim": loss, links, devices that go, limits. */
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
	settle();
}

/* Drops messages of one kind, all or a number. */
struct dropper {
	enum rdma_sim_kind kind;
	unsigned int left;
	unsigned int seen;
};

static bool drop(void *context, const struct rdma_sim_message *message)
{
	struct dropper *dropper = context;

	if (message->kind != dropper->kind)
		return true;
	dropper->seen++;
	if (dropper->left == 0)
		return true;
	dropper->left--;
	return false;
}

static void drop_some(struct dropper *dropper, enum rdma_sim_kind kind, unsigned int count)
{
	*dropper = (struct dropper){.kind = kind, .left = count};
	rdma_sim_options(a.rdma)->filter = drop;
	rdma_sim_options(a.rdma)->filter_context = dropper;
}

/* ---- Loss ---- */

static void request__that_is_lost_is_sent_again_with_what_follows(void **state)
{
	struct dropper dropper;

	(void)state;
	start_with("delay_ns=1000,retransmit_ns=1000000", few_retries);
	drop_some(&dropper, RDMA_SIM_REQUEST, 1);
	for (uint64_t i = 0; i < 3; i++) {
		a.memory[i] = (unsigned char)i;
		assert_int_equal(post_recv(&b, i, i, 1), 0);
		assert_int_equal(post_send(&a, i, i, 1), 0);
	}
	for (uint64_t i = 0; i < 3; i++) {
		expect_wc(&b, i, IBV_WC_SUCCESS);
		assert_int_equal(b.memory[i], i);
	}
	assert_int_equal(passed_ns(), 1000 + MS + 1000);
	for (uint64_t i = 0; i < 3; i++)
		expect_wc(&a, i, IBV_WC_SUCCESS);
	assert_int_equal(rdma_sim_counters(a.rdma)->retransmissions, 1);
	assert_int_equal(rdma_sim_counters(a.rdma)->lost, 1);
	assert_int_equal(rdma_sim_counters(a.rdma)->messages, 3);
	end();
}

static void response__that_is_lost_executes_nothing_twice(void **state)
{
	struct dropper dropper;

	(void)state;
	start_with("delay_ns=1000,retransmit_ns=1000000", few_retries);
	drop_some(&dropper, RDMA_SIM_RESPONSE, 1);
	assert_int_equal(post_recv(&b, 7, 0, 10), 0);
	assert_int_equal(post_recv(&b, 8, 0, 10), 0);
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	expect_wc(&b, 7, IBV_WC_SUCCESS);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	assert_int_equal(passed_ns(), 2000 + MS + 2000);
	expect_no_wc(&b);
	assert_int_equal(rdma_sim_counters(b.rdma)->lost, 1);
	end();
}

static void response__of_a_later_request_stands_for_one_that_is_lost(void **state)
{
	struct dropper dropper;

	(void)state;
	start_with("delay_ns=1000,retransmit_ns=1000000", few_retries);
	drop_some(&dropper, RDMA_SIM_RESPONSE, 1);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	now_ns = since_ns + 1500;
	assert_int_equal(post_remote(&a, 2, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	expect_wc(&a, 2, IBV_WC_SUCCESS);
	assert_int_equal(passed_ns(), 3500);
	assert_true(a.ops->next_ns(a.rdma) == UINT64_MAX);
	end();
}

static void request__that_is_on_its_way_again_may_end_meanwhile(void **state)
{
	struct dropper dropper;

	(void)state;
	start_with("delay_ns=1000,retransmit_ns=500", few_retries);
	drop_some(&dropper, RDMA_SIM_RESPONSE, 1);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	now_ns = since_ns + 900;
	assert_int_equal(post_remote(&a, 2, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	/* Both are sent again at 2500, and the response of the second one is here before them. */
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	expect_wc(&a, 2, IBV_WC_SUCCESS);
	assert_int_equal(passed_ns(), 2900);
	assert_int_equal(rdma_sim_counters(a.rdma)->retransmissions, 1);
	assert_true(a.ops->next_ns(a.rdma) == UINT64_MAX);
	end();
}

static void response__that_arrives_does_not_end_the_wait_for_what_was_lost(void **state)
{
	struct dropper dropper;

	(void)state;
	start_with("delay_ns=1000,retransmit_ns=1000000", few_retries);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	now_ns = since_ns + 500;
	assert_int_equal(post_remote(&a, 2, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	now_ns = since_ns + 1000;
	expect_no_wc(&a);
	drop_some(&dropper, RDMA_SIM_REQUEST, 1);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	expect_wc(&a, 2, IBV_WC_SUCCESS);
	assert_int_equal(rdma_sim_counters(a.rdma)->retransmissions, 1);
	end();
}

static void retries__are_as_many_as_was_agreed(void **state)
{
	struct dropper dropper;

	(void)state;
	start_with("retransmit_ns=1000000", few_retries);
	/* Two losses in a row are borne, and again after a success. */
	for (unsigned int round = 0; round < 2; round++) {
		drop_some(&dropper, RDMA_SIM_REQUEST, 2);
		assert_int_equal(post_remote(&a, round, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
		expect_wc(&a, round, IBV_WC_SUCCESS);
	}
	settle();
	drop_some(&dropper, RDMA_SIM_REQUEST, 3);
	assert_int_equal(post_recv(&a, 4, 0, 5), 0);
	assert_int_equal(post_remote(&a, 2, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	assert_int_equal(post_remote(&a, 3, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	expect_wc(&a, 2, IBV_WC_RETRY_EXC_ERR);
	expect_wc(&a, 3, IBV_WC_WR_FLUSH_ERR);
	expect_wc(&a, 4, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(dropper.seen, 3);
	end();
}

/* As Soft-RoCE counts: seven stands for no end. */
static void retries__of_seven_have_no_end(void **state)
{
	const struct rdma_conn_param endless = {.retry_count = 7, .rnr_retry_count = 2};
	struct dropper dropper;

	(void)state;
	start_with("retransmit_ns=1000000", endless);
	drop_some(&dropper, RDMA_SIM_REQUEST, 1000);
	assert_int_equal(post_remote(&a, 0, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	expect_wc(&a, 0, IBV_WC_SUCCESS);
	assert_int_equal(dropper.seen, 1001);
	end();
}

static void ack_timeout__goes_before_the_networks(void **state)
{
	struct dropper dropper;
	uint8_t timeout = 8;

	(void)state;
	start("retransmit_ns=1000000");
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_TCP);
	a.id = resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP);
	assert_int_equal(a.ops->set_option(a.id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT,
					   &timeout, sizeof(timeout)),
			 0);
	make_qp(&a, a.id, IBV_QPT_RC);
	assert_int_equal(a.ops->connect(a.id, NULL), 0);
	take_request(&b, IBV_QPT_RC);
	assert_int_equal(b.ops->accept(b.id, NULL), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_ESTABLISHED), 0);
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_ESTABLISHED), 0);
	drop_some(&dropper, RDMA_SIM_REQUEST, 1);
	assert_int_equal(post_remote(&a, 2, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	assert_int_equal(a.ops->next_ns(a.rdma), 4096u << 8);
	end();
}

/* Everything arrives, whatever is lost, and in order. */
static uint64_t run_with_loss(const char *words)
{
	struct rdma_conn_param parameters = {.retry_count = 7, .rnr_retry_count = 7};
	uint64_t end_ns;

	start(words);
	connect_with(&parameters, &parameters);
	for (uint64_t i = 0; i < 300; i++) {
		assert_int_equal(post_recv(&b, i, 0, 8192), 0);
		memset(a.memory, (int)i, 8192);
		assert_int_equal(post_send(&a, i, 0, 8192), 0);
		expect_wc(&a, i, IBV_WC_SUCCESS);
		expect_wc(&b, i, IBV_WC_SUCCESS);
		assert_int_equal(b.memory[8191], i & 0xff);
	}
	expect_no_wc(&b);
	assert_true(rdma_sim_counters(a.rdma)->retransmissions > 0);
	assert_true(rdma_sim_counters(a.rdma)->lost > 0);
	end_ns = now_ns;
	end();
	return end_ns;
}

static void loss__is_by_packets_and_follows_from_the_seed(void **state)
{
	uint64_t first, other;

	(void)state;
	first = run_with_loss("loss=30000,seed=7,retransmit_ns=100000,delay_ns=700,mtu=4096");
	assert_int_equal(
		run_with_loss("loss=30000,seed=7,retransmit_ns=100000,delay_ns=700,mtu=4096"),
		first);
	other = run_with_loss("loss=30000,seed=8,retransmit_ns=100000,delay_ns=700,mtu=4096");
	assert_int_not_equal(other, first);
	/* More packets, more loss. */
	other = run_with_loss("loss=30000,seed=7,retransmit_ns=100000,delay_ns=700,mtu=1024");
	assert_true(other > first);
}

/* ---- Links and devices ---- */

static void link__that_is_down_ends_connections_by_their_retries(void **state)
{
	struct ibv_port_attr port;

	(void)state;
	start_with("retransmit_ns=1000000", few_retries);
	rdma_sim_link(b.rdma, false);
	expect_async(&b, IBV_EVENT_PORT_ERR);
	assert_int_equal(b.ops->query_port(b.context, 1, &port), 0);
	assert_int_equal(port.state, IBV_PORT_DOWN);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	expect_wc(&a, 1, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(passed_ns(), 3 * MS);
	end();
}

static void link__that_comes_back_in_time_is_not_noticed(void **state)
{
	(void)state;
	start_with("retransmit_ns=1000000", few_retries);
	rdma_sim_link(a.rdma, false);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	now_ns = since_ns + MS + MS / 2;
	expect_no_wc(&a);
	rdma_sim_link(a.rdma, true);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	assert_int_equal(passed_ns(), 2 * MS);
	expect_async(&a, IBV_EVENT_PORT_ERR);
	expect_async(&a, IBV_EVENT_PORT_ACTIVE);
	assert_false(is_readable(a.context->async_fd));
	end();
}

/* As Soft-RoCE's own link does. */
static void link__that_is_down_may_fail_what_is_sent(void **state)
{
	(void)state;
	start_with("retransmit_ns=1000000,down_fails=1", few_retries);
	rdma_sim_link(a.rdma, false);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	assert_int_equal(post_remote(&a, 2, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	expect_wc(&a, 1, IBV_WC_LOC_QP_OP_ERR);
	expect_wc(&a, 2, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(passed_ns(), 0);
	end();
}

static void device__that_is_silent_tells_nobody(void **state)
{
	(void)state;
	start_with("retransmit_ns=1000000", few_retries);
	rdma_sim_silence(b.rdma);
	assert_int_equal(b.ops->disconnect(b.id), 0);
	settle();
	expect_no_event(&a);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	expect_wc(&a, 1, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_DISCONNECTED), -ETIMEDOUT);
	end();
}

static void device__that_is_gone_fails_all_calls(void **state)
{
	struct ibv_device_attr device;
	struct rdma_cm_id *id;

	(void)state;
	start_with("retransmit_ns=1000000", few_retries);
	assert_int_equal(post_recv(&b, 5, 0, 5), 0);
	rdma_sim_remove(b.rdma);
	expect_async(&b, IBV_EVENT_DEVICE_FATAL);
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_DEVICE_REMOVAL), 0);
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_DEVICE_REMOVAL), 0);
	expect_no_event(&b); /* the listening id and that of the connection */
	expect_wc(&b, 5, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(post_recv(&b, 5, 0, 5), EIO);
	assert_int_equal(post_send(&b, 5, 0, 5), EIO);
	assert_int_equal(b.ops->query_device(b.context, &device), EIO);
	assert_null(b.ops->alloc_pd(b.context));
	assert_int_equal(errno, EIO);
	assert_null(b.ops->reg_mr(b.pd, b.memory, 10, 0));
	assert_int_equal(errno, EIO);
	assert_int_equal(b.ops->create_id(b.channel, &id, NULL, RDMA_PS_TCP), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(b.ops->disconnect(b.id), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(post_remote(&a, 1, IBV_WR_RDMA_WRITE, 0, 5, &b, 0), 0);
	expect_wc(&a, 1, IBV_WC_RETRY_EXC_ERR);
	end();
}

static void queue_pair__that_fails_by_itself_tells(void **state)
{
	(void)state;
	start_with("", few_retries);
	assert_int_equal(post_recv(&b, 5, 0, 5), 0);
	rdma_sim_fail_qp(b.qp);
	expect_async(&b, IBV_EVENT_QP_FATAL);
	expect_wc(&b, 5, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(state_of(&b), IBV_QPS_ERR);
	end();
}

static void queue_pair__that_goes_drops_its_events(void **state)
{
	struct ibv_async_event event;

	(void)state;
	start_with("", few_retries);
	rdma_sim_fail_qp(b.qp);
	b.ops->destroy_qp(b.id);
	assert_int_equal(b.ops->get_async_event(b.context, &event), -1);
	assert_int_equal(errno, EAGAIN);
	assert_false(is_readable(b.context->async_fd));
	end();
}

/* ---- Limits ---- */

static void limits__are_as_the_words_say(void **state)
{
	struct ibv_device_attr device;
	struct ibv_port_attr port;

	(void)state;
	start("max_sge=3,max_cqe=1000,max_qp=2,max_qp_wr=20,mtu=1024,max_rd_atom=5,max_srq=0");
	assert_int_equal(a.ops->query_device(a.context, &device), 0);
	assert_int_equal(device.max_sge, 3);
	assert_int_equal(device.max_cqe, 1000);
	assert_int_equal(device.max_qp, 2);
	assert_int_equal(device.max_qp_wr, 20);
	assert_int_equal(device.max_qp_rd_atom, 5);
	assert_int_equal(device.max_qp_init_rd_atom, 5);
	assert_int_equal(device.max_srq, 0);
	assert_int_equal(a.ops->query_port(a.context, 1, &port), 0);
	assert_int_equal(port.active_mtu, IBV_MTU_1024);
	assert_int_equal(port.state, IBV_PORT_ACTIVE);
	assert_int_equal(port.link_layer, IBV_LINK_LAYER_ETHERNET);
	assert_int_equal(a.ops->query_port(a.context, 2, &port), EINVAL);
	end();
}

static void expect_no_qp(struct ibv_qp_cap wanted, int error)
{
	struct ibv_qp_init_attr attributes = {
		.send_cq = a.cq, .recv_cq = a.cq, .cap = wanted, .qp_type = IBV_QPT_UD};
	struct rdma_cm_id *id;

	assert_int_equal(a.ops->create_id(a.channel, &id, NULL, RDMA_PS_UDP), 0);
	assert_int_equal(a.ops->bind_addr(id, v4("10.0.0.1", 0)), 0);
	assert_int_equal(a.ops->create_qp(id, a.pd, &attributes), -1);
	assert_int_equal(errno, error);
	assert_int_equal(a.ops->destroy_id(id), 0);
}

static void limits__are_kept(void **state)
{
	struct ibv_srq_init_attr srq = {.attr = {.max_wr = 1, .max_sge = 1}};

	(void)state;
	start("max_sge=3,max_cqe=1000,max_qp=1,max_qp_wr=20,max_inline=16,max_srq=0");
	assert_null(a.ops->create_cq(a.context, 1001, NULL, NULL, 0));
	assert_int_equal(errno, EINVAL);
	assert_null(a.ops->create_srq(a.pd, &srq));
	assert_int_equal(errno, EOPNOTSUPP);
	expect_no_qp((struct ibv_qp_cap){.max_send_wr = 21}, EINVAL);
	expect_no_qp((struct ibv_qp_cap){.max_recv_wr = 21}, EINVAL);
	expect_no_qp((struct ibv_qp_cap){.max_send_sge = 4}, EINVAL);
	expect_no_qp((struct ibv_qp_cap){.max_recv_sge = 4}, EINVAL);
	expect_no_qp((struct ibv_qp_cap){.max_inline_data = 17}, EINVAL);
	cap.max_send_sge = cap.max_recv_sge = 3;
	cap.max_inline_data = 16;
	assert_int_equal(a.ops->create_id(a.channel, &a.id, NULL, RDMA_PS_UDP), 0);
	assert_int_equal(a.ops->bind_addr(a.id, v4("10.0.0.1", 0)), 0);
	make_qp(&a, a.id, IBV_QPT_UD);
	cap.max_send_sge = cap.max_recv_sge = 4;
	cap.max_inline_data = 64;
	expect_no_qp((struct ibv_qp_cap){.max_send_wr = 1}, ENOMEM);
	end();
}

static void memory__can_be_registered_up_to_the_limit(void **state)
{
	struct ibv_mr *mr;

	(void)state;
	start("memlock=70000");
	assert_null(a.ops->reg_mr(a.pd, a.memory, 4465, 0));
	assert_int_equal(errno, ENOMEM);
	mr = a.ops->reg_mr(a.pd, a.memory, 4464, 0);
	assert_non_null(mr);
	assert_null(a.ops->reg_mr(a.pd, a.memory, 1, 0));
	assert_int_equal(a.ops->dereg_mr(mr), 0);
	mr = a.ops->reg_mr(a.pd, a.memory, 1, 0);
	assert_non_null(mr);
	assert_int_equal(a.ops->dereg_mr(mr), 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request__that_is_lost_is_sent_again_with_what_follows),
		cmocka_unit_test(response__that_is_lost_executes_nothing_twice),
		cmocka_unit_test(response__of_a_later_request_stands_for_one_that_is_lost),
		cmocka_unit_test(request__that_is_on_its_way_again_may_end_meanwhile),
		cmocka_unit_test(response__that_arrives_does_not_end_the_wait_for_what_was_lost),
		cmocka_unit_test(retries__are_as_many_as_was_agreed),
		cmocka_unit_test(retries__of_seven_have_no_end),
		cmocka_unit_test(ack_timeout__goes_before_the_networks),
		cmocka_unit_test(loss__is_by_packets_and_follows_from_the_seed),
		cmocka_unit_test(link__that_is_down_ends_connections_by_their_retries),
		cmocka_unit_test(link__that_comes_back_in_time_is_not_noticed),
		cmocka_unit_test(link__that_is_down_may_fail_what_is_sent),
		cmocka_unit_test(device__that_is_silent_tells_nobody),
		cmocka_unit_test(device__that_is_gone_fails_all_calls),
		cmocka_unit_test(queue_pair__that_fails_by_itself_tells),
		cmocka_unit_test(queue_pair__that_goes_drops_its_events),
		cmocka_unit_test(limits__are_as_the_words_say),
		cmocka_unit_test(limits__are_kept),
		cmocka_unit_test(memory__can_be_registered_up_to_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
