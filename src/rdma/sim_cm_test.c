/* SPDX-License-Identifier: MIT */
/* The connection manager of the provider "sim": connections, refusals, ends. */
#include "rdma/sim_testing.h"

/* ---- Connections ---- */

static const unsigned char zeroes[200];

/* What is told of a connect with the parameters below. */
static void check_request(const struct rdma_cm_event *event)
{
	assert_ptr_equal(event->listen_id, b.listener);
	assert_ptr_equal(event->id->context, &b);
	assert_ptr_equal(event->id->channel, b.channel);
	assert_ptr_equal(event->id->verbs, b.context);
	assert_int_equal(port_of(&event->id->route.addr.src_addr), PORT);
	assert_int_equal(port_of(&event->id->route.addr.dst_addr),
			 port_of(&a.id->route.addr.src_addr));
	assert_int_equal(event->param.conn.private_data_len, 56);
	assert_memory_equal(event->param.conn.private_data, "please", 6);
	assert_memory_equal((const char *)event->param.conn.private_data + 6, zeroes, 50);
	assert_int_equal(event->param.conn.responder_resources, 5);
	assert_int_equal(event->param.conn.initiator_depth, 3);
	assert_int_equal(event->param.conn.rnr_retry_count, 2);
	assert_int_equal(event->param.conn.qp_num, a.qp->qp_num);
}

/* And of the accept. */
static void check_accept(const struct rdma_cm_event *event)
{
	assert_int_equal(event->param.conn.private_data_len, 196);
	assert_memory_equal(event->param.conn.private_data, "welcome", 7);
	assert_memory_equal((const char *)event->param.conn.private_data + 7, zeroes, 189);
	assert_int_equal(event->param.conn.responder_resources, 2);
	assert_int_equal(event->param.conn.initiator_depth, 4);
}

static void check_qp(const struct node *node, const struct node *peer, uint8_t reads,
		     uint8_t reads_of_peer, uint8_t rnr_retry)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attributes;

	assert_int_equal(node->ops->query_qp(node->qp, &attributes, IBV_QP_STATE, &init), 0);
	assert_int_equal(attributes.qp_state, IBV_QPS_RTS);
	assert_int_equal(attributes.max_rd_atomic, reads);
	assert_int_equal(attributes.max_dest_rd_atomic, reads_of_peer);
	assert_int_equal(attributes.retry_cnt, 4);
	assert_int_equal(attributes.rnr_retry, rnr_retry);
	assert_int_equal(attributes.dest_qp_num, peer->qp->qp_num);
}

static void connection__carries_parameters_and_private_data(void **state)
{
	struct rdma_conn_param connect = {.private_data = "please",
					  .private_data_len = 6,
					  .responder_resources = 3,
					  .initiator_depth = 5,
					  .retry_count = 4,
					  .rnr_retry_count = 2};
	struct rdma_conn_param accept = {.private_data = "welcome",
					 .private_data_len = 7,
					 .responder_resources = 4,
					 .initiator_depth = 2,
					 .rnr_retry_count = 6};
	struct rdma_cm_event *event;

	(void)state;
	start("delay_ns=1000");
	listen_at(&b, v4("0.0.0.0", PORT), RDMA_PS_TCP);
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	settle();
	assert_int_equal(a.ops->connect(a.id, &connect), 0);
	event = next_event(&b, RDMA_CM_EVENT_CONNECT_REQUEST);
	assert_int_equal(passed_ns(), 1000);
	check_request(event);
	make_qp(&b, event->id, IBV_QPT_RC);
	b.ops->ack_cm_event(event);
	assert_int_equal(b.ops->accept(b.id, &accept), 0);
	event = next_event(&a, RDMA_CM_EVENT_ESTABLISHED);
	assert_int_equal(passed_ns(), 2000);
	check_accept(event);
	a.ops->ack_cm_event(event);
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_ESTABLISHED), 0);
	assert_int_equal(passed_ns(), 3000);
	check_qp(&a, &b, 4, 2, 6);
	check_qp(&b, &a, 2, 4, 2);
	end();
}

static void private_data__has_limits(void **state)
{
	static const unsigned char data[200];
	struct rdma_conn_param parameters = {.private_data = data, .private_data_len = 57};

	(void)state;
	start("max_rd_atom=4");
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_TCP);
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	assert_int_equal(a.ops->connect(a.id, &parameters), -1);
	assert_int_equal(errno, EINVAL);
	parameters.private_data_len = 56;
	parameters.initiator_depth = 5;
	assert_int_equal(a.ops->connect(a.id, &parameters), -1);
	assert_int_equal(errno, EINVAL);
	parameters.initiator_depth = 4;
	assert_int_equal(a.ops->connect(a.id, &parameters), 0);
	take_request(&b, IBV_QPT_RC);
	parameters.private_data_len = 197;
	assert_int_equal(b.ops->accept(b.id, &parameters), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(b.ops->reject(b.id, data, 149), -1);
	assert_int_equal(errno, EINVAL);
	parameters.private_data_len = 196;
	assert_int_equal(b.ops->accept(b.id, &parameters), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_ESTABLISHED), 0);
	end();
}

static void who_connects__is_ready_when_it_has_fetched_that(void **state)
{
	(void)state;
	start("retransmit_ns=1000000");
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_TCP);
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	assert_int_equal(post_recv(&a, 7, 0, 10), 0);
	assert_int_equal(a.ops->connect(a.id, NULL), 0);
	take_request(&b, IBV_QPT_RC);
	assert_int_equal(b.ops->accept(b.id, NULL), 0);
	/* Who accepts is ready, and may send. */
	assert_int_equal(post_send(&b, 1, 0, 5), 0);
	expect_no_wc(&a);
	assert_int_equal(post_send(&a, 1, 0, 5), EINVAL);
	expect_no_event(&b);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_ESTABLISHED), 0);
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_ESTABLISHED), 0);
	expect_wc(&a, 7, IBV_WC_SUCCESS);
	expect_wc(&b, 1, IBV_WC_SUCCESS);
	assert_int_equal(now_ns, MS);
	end();
}

static void connection__with_oneself(void **state)
{
	(void)state;
	start("");
	listen_at(&a, v4("10.0.0.1", PORT), RDMA_PS_TCP);
	a.id = resolve_to(&a, v4("10.0.0.1", PORT), RDMA_PS_TCP);
	make_qp(&a, a.id, IBV_QPT_RC);
	assert_int_equal(a.ops->connect(a.id, NULL), 0);
	b.id = a.id;
	take_request(&a, IBV_QPT_RC);
	assert_int_equal(a.ops->accept(a.id, NULL), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_ESTABLISHED), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_ESTABLISHED), 0);
	assert_int_equal(post_recv(&a, 7, 100, 10), 0);
	a.qp = b.id->qp;
	assert_int_equal(post_send(&a, 1, 0, 5), 0);
	expect_wc(&a, 7, IBV_WC_SUCCESS);
	expect_wc(&a, 1, IBV_WC_SUCCESS);
	a.ops->destroy_qp(b.id);
	destroy_id(&a, b.id);
	b.id = NULL;
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_DISCONNECTED), 0);
	end();
}

/* ---- Refusals ---- */

static void connect__where_nobody_listens_is_rejected(void **state)
{
	struct rdma_cm_event *event;

	(void)state;
	start("");
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_UDP);
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	assert_int_equal(post_recv(&a, 7, 0, 10), 0);
	assert_int_equal(a.ops->connect(a.id, NULL), 0);
	event = next_event(&a, RDMA_CM_EVENT_REJECTED);
	assert_int_equal(event->status, 8);
	a.ops->ack_cm_event(event);
	expect_wc(&a, 7, IBV_WC_WR_FLUSH_ERR);
	assert_true(a.ops->next_ns(a.rdma) == UINT64_MAX);
	end();
}

static void connect__may_be_rejected_with_a_reason(void **state)
{
	struct rdma_cm_event *event;

	(void)state;
	start("delay_ns=1000");
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_TCP);
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	assert_int_equal(a.ops->connect(a.id, NULL), 0);
	event = next_event(&b, RDMA_CM_EVENT_CONNECT_REQUEST);
	b.id = event->id;
	b.ops->ack_cm_event(event);
	assert_int_equal(b.ops->reject(b.id, "no", 2), 0);
	event = next_event(&a, RDMA_CM_EVENT_REJECTED);
	assert_int_equal(event->status, 28);
	assert_int_equal(event->param.conn.private_data_len, 148);
	assert_string_equal(event->param.conn.private_data, "no");
	a.ops->ack_cm_event(event);
	assert_int_equal(b.ops->accept(b.id, NULL), -1);
	assert_int_equal(errno, EINVAL);
	end();
}

static void request__that_is_destroyed_is_rejected(void **state)
{
	struct rdma_cm_event *event;

	(void)state;
	start("");
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_TCP);
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	assert_int_equal(a.ops->connect(a.id, NULL), 0);
	event = next_event(&b, RDMA_CM_EVENT_CONNECT_REQUEST);
	b.id = event->id;
	b.ops->ack_cm_event(event);
	destroy_id(&b, b.id);
	b.id = NULL;
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_REJECTED), 28);
	end();
}

static void listener__that_goes_rejects_what_was_not_fetched(void **state)
{
	(void)state;
	start("");
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_TCP);
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	assert_int_equal(a.ops->connect(a.id, NULL), 0);
	assert_true(is_readable(b.channel->fd));
	destroy_id(&b, b.listener);
	b.listener = NULL;
	assert_false(is_readable(b.channel->fd));
	expect_no_event(&b);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_REJECTED), 28);
	end();
}

static void connect__that_is_given_up_is_told(void **state)
{
	(void)state;
	start("");
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_TCP);
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	assert_int_equal(a.ops->connect(a.id, NULL), 0);
	take_request(&b, IBV_QPT_RC);
	a.ops->destroy_qp(a.id);
	destroy_id(&a, a.id);
	a.id = NULL;
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_REJECTED), 4);
	assert_int_equal(b.ops->accept(b.id, NULL), -1);
	assert_int_equal(errno, EINVAL);
	end();
}

static void connect__without_an_answer_is_unreachable(void **state)
{
	struct rdma_sim_options *options;

	(void)state;
	start("cm_timeout_ns=1000000,cm_retries=3");
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_TCP);
	make_qp(&a, resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP), IBV_QPT_RC);
	options = rdma_sim_options(a.rdma);
	options->loss = RDMA_SIM_MILLION;
	assert_int_equal(a.ops->connect(a.id, NULL), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_UNREACHABLE), -ETIMEDOUT);
	assert_int_equal(now_ns, 4 * MS);
	assert_int_equal(rdma_sim_counters(a.rdma)->lost, 4);
	options->loss = 0;
	expect_no_event(&b);
	end();
}

static bool lose_first_of_each(void *context, const struct rdma_sim_message *message)
{
	unsigned int *seen = context;
	bool first = !(*seen >> message->kind & 1);

	*seen |= 1u << message->kind;
	return !first;
}

static void connection__is_made_and_ended_though_each_message_is_lost_once(void **state)
{
	unsigned int seen = 0;

	(void)state;
	start("cm_timeout_ns=1000000,delay_ns=1000");
	rdma_sim_options(a.rdma)->filter = lose_first_of_each;
	rdma_sim_options(a.rdma)->filter_context = &seen;
	connect_with(NULL, NULL);
	assert_int_equal(a.ops->disconnect(a.id), 0);
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_DISCONNECTED), 0);
	assert_int_equal(b.ops->disconnect(b.id), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_DISCONNECTED), 0);
	settle();
	expect_no_event(&a);
	expect_no_event(&b);
	assert_int_equal(seen, 1u << RDMA_SIM_CONNECT | 1u << RDMA_SIM_ACCEPT |
				       1u << RDMA_SIM_READY | 1u << RDMA_SIM_DISCONNECT |
				       1u << RDMA_SIM_DISCONNECTED);
	end();
}

static void backlog__holds_what_was_not_fetched(void **state)
{
	struct rdma_cm_id *ids[3];
	struct rdma_cm_event *event;

	(void)state;
	start("cm_timeout_ns=1000000");
	b.listener = make_id(&b, RDMA_PS_TCP);
	assert_int_equal(b.ops->bind_addr(b.listener, v4("10.0.0.2", PORT)), 0);
	assert_int_equal(b.ops->listen(b.listener, 2), 0);
	for (int i = 0; i < 3; i++) {
		ids[i] = resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP);
		make_qp(&a, ids[i], IBV_QPT_RC);
		assert_int_equal(a.ops->connect(ids[i], NULL), 0);
	}
	for (int i = 0; i < 3; i++) {
		event = next_event(&b, RDMA_CM_EVENT_CONNECT_REQUEST);
		/* The third is sent again. */
		assert_int_equal(now_ns, i < 2 ? 0 : MS);
		b.id = event->id;
		b.ops->ack_cm_event(event);
		destroy_id(&b, b.id);
		assert_int_equal(expect_event(&a, RDMA_CM_EVENT_REJECTED), 28);
		a.ops->destroy_qp(ids[i]);
		destroy_id(&a, ids[i]);
	}
	a.id = b.id = NULL;
	end();
}

/* ---- Ends ---- */

static void disconnect__is_told_to_both(void **state)
{
	(void)state;
	start_connected("delay_ns=1000");
	settle();
	assert_int_equal(post_recv(&a, 7, 0, 10), 0);
	assert_int_equal(a.ops->disconnect(a.id), 0);
	expect_wc(&a, 7, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_DISCONNECTED), 0);
	assert_int_equal(passed_ns(), 1000);
	/* The peer's queue pair is as it was. */
	assert_int_equal(state_of(&b), IBV_QPS_RTS);
	expect_no_event(&a);
	assert_int_equal(b.ops->disconnect(b.id), 0);
	assert_int_equal(state_of(&b), IBV_QPS_ERR);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_DISCONNECTED), 0);
	assert_int_equal(passed_ns(), 2000);
	settle();
	expect_no_event(&b);
	end();
}

static void disconnect__ends_without_the_peer_too(void **state)
{
	(void)state;
	start_connected("cm_timeout_ns=1000000,cm_retries=3");
	assert_int_equal(a.ops->disconnect(a.id), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_DISCONNECTED), -ETIMEDOUT);
	assert_int_equal(now_ns, 4 * MS);
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_DISCONNECTED), 0);
	expect_no_event(&b);
	end();
}

static void disconnect__of_both_at_once(void **state)
{
	(void)state;
	start_connected("delay_ns=1000");
	assert_int_equal(a.ops->disconnect(a.id), 0);
	assert_int_equal(b.ops->disconnect(b.id), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_DISCONNECTED), 0);
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_DISCONNECTED), 0);
	end();
}

static void id__that_is_destroyed_disconnects(void **state)
{
	(void)state;
	start_connected("delay_ns=1000");
	settle();
	a.ops->destroy_qp(a.id);
	destroy_id(&a, a.id);
	a.id = NULL;
	assert_int_equal(expect_event(&b, RDMA_CM_EVENT_DISCONNECTED), 0);
	assert_int_equal(passed_ns(), 1000);
	assert_int_equal(b.ops->disconnect(b.id), 0);
	settle();
	expect_no_event(&b);
	end();
}

static void disconnect__of_what_the_peer_has_forgotten_is_answered(void **state)
{
	unsigned int seen = 0;

	(void)state;
	start_connected("delay_ns=1000");
	settle();
	rdma_sim_options(a.rdma)->filter = lose_first_of_each;
	rdma_sim_options(a.rdma)->filter_context = &seen;
	b.ops->destroy_qp(b.id);
	destroy_id(&b, b.id);
	b.id = NULL;
	settle();
	expect_no_event(&a);
	rdma_sim_options(a.rdma)->filter = NULL;
	assert_int_equal(a.ops->disconnect(a.id), 0);
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_DISCONNECTED), 0);
	assert_int_equal(passed_ns(), 2000);
	end();
}

static void device__that_is_closed_disconnects(void **state)
{
	struct rdma_cm_event *event;

	(void)state;
	start_connected("delay_ns=1000");
	settle();
	a.ops->destroy_qp(a.id);
	destroy_id(&a, a.id);
	a.id = NULL;
	node_close(&a);
	/* Who sleeps is woken, to see that there is something to come. */
	assert_true(is_readable(b.context->async_fd));
	assert_int_equal(b.ops->next_ns(b.rdma), now_ns + 1000);
	now_ns += 1000;
	assert_int_equal(b.ops->get_cm_event(b.channel, &event), 0);
	assert_int_equal(event->event, RDMA_CM_EVENT_DISCONNECTED);
	b.ops->ack_cm_event(event);
	node_close(&b);
}

static void channel__is_readable_as_long_as_there_are_events(void **state)
{
	struct rdma_cm_id *id;

	(void)state;
	start("");
	id = make_id(&a, RDMA_PS_TCP);
	assert_false(is_readable(a.channel->fd));
	assert_int_equal(a.ops->resolve_addr(id, NULL, v4("10.0.0.2", PORT), 1000), 0);
	assert_int_equal(a.ops->resolve_route(id, 1000), 0);
	assert_true(is_readable(a.channel->fd));
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_ADDR_RESOLVED), 0);
	assert_true(is_readable(a.channel->fd));
	assert_int_equal(expect_event(&a, RDMA_CM_EVENT_ROUTE_RESOLVED), 0);
	assert_false(is_readable(a.channel->fd));
	destroy_id(&a, id);
	end();
}

static void id__that_goes_drops_its_events(void **state)
{
	struct rdma_cm_id *id;

	(void)state;
	start("delay_ns=1000");
	id = make_id(&a, RDMA_PS_TCP);
	assert_int_equal(a.ops->resolve_addr(id, NULL, v4("10.0.0.2", PORT), 1000), 0);
	destroy_id(&a, id);
	assert_true(a.ops->next_ns(a.rdma) == UINT64_MAX);
	id = resolve_to(&a, v4("10.0.0.2", PORT), RDMA_PS_TCP);
	make_qp(&a, id, IBV_QPT_RC);
	assert_int_equal(a.ops->connect(id, NULL), 0);
	a.ops->destroy_qp(id);
	destroy_id(&a, id);
	a.id = NULL;
	assert_true(a.ops->next_ns(a.rdma) == UINT64_MAX);
	expect_no_event(&a);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connection__carries_parameters_and_private_data),
		cmocka_unit_test(private_data__has_limits),
		cmocka_unit_test(who_connects__is_ready_when_it_has_fetched_that),
		cmocka_unit_test(connection__with_oneself),
		cmocka_unit_test(connect__where_nobody_listens_is_rejected),
		cmocka_unit_test(connect__may_be_rejected_with_a_reason),
		cmocka_unit_test(request__that_is_destroyed_is_rejected),
		cmocka_unit_test(listener__that_goes_rejects_what_was_not_fetched),
		cmocka_unit_test(connect__that_is_given_up_is_told),
		cmocka_unit_test(connect__without_an_answer_is_unreachable),
		cmocka_unit_test(connection__is_made_and_ended_though_each_message_is_lost_once),
		cmocka_unit_test(backlog__holds_what_was_not_fetched),
		cmocka_unit_test(disconnect__is_told_to_both),
		cmocka_unit_test(disconnect__ends_without_the_peer_too),
		cmocka_unit_test(disconnect__of_both_at_once),
		cmocka_unit_test(id__that_is_destroyed_disconnects),
		cmocka_unit_test(disconnect__of_what_the_peer_has_forgotten_is_answered),
		cmocka_unit_test(device__that_is_closed_disconnects),
		cmocka_unit_test(channel__is_readable_as_long_as_there_are_events),
		cmocka_unit_test(id__that_goes_drops_its_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
