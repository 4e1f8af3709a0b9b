/* SPDX-License-Identifier: MIT */
/* Whatever a program does with simulated devices, in any order: nothing is used after its end, each
 * request ends once, and in the end nothing is left. */
#include "rdma/sim_testing.h"

#define IDS 16 /* half of them are for those that are asked */
#define STEPS 20000
#define RUNS 100

/* An id of either node, and what is known of it. */
struct slot {
	struct node *node;
	struct rdma_cm_id *id;
	uint64_t posted, ended; /* signaled sends and receives */
};

static struct slot slots[IDS];
static uint64_t random_state;
static uint64_t messages;

static uint32_t draw(uint32_t bound)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % bound;
}

static struct slot *free_slot(int first)
{
	for (int i = first; i < first + IDS / 2; i++) {
		if (!slots[i].id)
			return &slots[i];
	}
	return NULL;
}

static struct slot *slot_of_qp(const struct node *node, uint32_t number)
{
	for (int i = 0; i < IDS; i++) {
		if (slots[i].id && slots[i].node == node && slots[i].id->qp &&
		    slots[i].id->qp->qp_num == number)
			return &slots[i];
	}
	return NULL;
}

static void give_qp(struct slot *slot)
{
	struct node *node = slot->node;

	if (!slot->id->verbs || slot->id->qp)
		return;
	make_qp(node, slot->id, IBV_QPT_RC);
	node->id = NULL;
	slot->posted = slot->ended = 0;
}

static void take_back_qp(struct slot *slot)
{
	if (slot->id->qp)
		slot->node->ops->destroy_qp(slot->id);
}

static void destroy(struct slot *slot)
{
	take_back_qp(slot);
	assert_int_equal(slot->node->ops->destroy_id(slot->id), 0);
	slot->id = NULL;
}

/* ---- What may happen ---- */

static void do_connect(struct slot *slot)
{
	const char *peer = slot->node == &a ? "10.0.0.2" : "10.0.0.1";

	/* What is too early, or too late, fails. */
	slot->node->ops->resolve_addr(slot->id, NULL, v4(peer, PORT), 10);
	slot->node->ops->resolve_route(slot->id, 10);
	if (draw(2)) {
		give_qp(slot);
		slot->node->ops->connect(slot->id, NULL);
	}
}

static void do_create(struct node *node)
{
	struct slot *slot = free_slot(0);

	if (!slot)
		return;
	slot->node = node;
	assert_int_equal(node->ops->create_id(node->channel, &slot->id, slot, RDMA_PS_TCP), 0);
}

static void do_fetch(struct node *node)
{
	struct rdma_cm_event *event;
	struct slot *slot;

	if (node->ops->get_cm_event(node->channel, &event))
		return;
	if (event->event == RDMA_CM_EVENT_CONNECT_REQUEST) {
		slot = free_slot(IDS / 2);
		if (slot)
			*slot = (struct slot){.node = node, .id = event->id};
		else
			assert_int_equal(node->ops->destroy_id(event->id), 0);
	}
	assert_int_equal(node->ops->ack_cm_event(event), 0);
}

static void do_answer(struct slot *slot)
{
	if (draw(4) == 0) {
		slot->node->ops->reject(slot->id, "x", 1);
	} else {
		give_qp(slot);
		slot->node->ops->accept(slot->id, NULL);
	}
}

static void do_post(struct slot *slot)
{
	struct node *node = slot->node, *peer = node == &a ? &b : &a;
	int error;

	if (!slot->id->qp)
		return;
	node->qp = slot->id->qp;
	switch (draw(4)) {
	case 0:
		error = post_send(node, 0, draw(1000), draw(3000));
		break;
	case 1:
		error = post_remote(node, 0, IBV_WR_RDMA_READ, draw(1000), draw(3000), peer, 0);
		break;
	case 2:
		error = post_remote(node, 0, IBV_WR_RDMA_WRITE_WITH_IMM, 0, draw(100), peer, 0);
		break;
	default:
		error = post_recv(node, 0, draw(1000), 3000);
		break;
	}
	slot->posted += !error;
}

static void do_poll(struct node *node)
{
	struct ibv_wc wc[8];
	int count = ibv_poll_cq(node->cq, 8, wc);

	for (int i = 0; i < count; i++) {
		struct slot *slot = slot_of_qp(node, wc[i].qp_num);

		assert_non_null(slot);
		assert_true(++slot->ended <= slot->posted);
	}
}

static void do_mishap(struct node *node)
{
	struct ibv_async_event event;

	switch (draw(4)) {
	case 0:
		rdma_sim_link(node->rdma, draw(3) != 0);
		break;
	case 1:
		rdma_sim_options(node->rdma)->loss = draw(2) * 50000;
		break;
	case 2:
		rdma_sim_options(node->rdma)->delay_ns = draw(3) * 700;
		break;
	default:
		if (node->ops->get_async_event(node->context, &event) == 0)
			node->ops->ack_async_event(&event);
		break;
	}
}

static void do_with_id(struct slot *slot)
{
	uint32_t what = draw(300);

	if (!slot->id)
		return;
	if (what < 2)
		destroy(slot);
	else if (what == 2)
		slot->node->ops->disconnect(slot->id);
	else if (what == 3)
		take_back_qp(slot);
	else if (what < 30)
		do_answer(slot);
	else if (what < 60)
		do_connect(slot);
	else
		do_post(slot);
}

static void do_something(void)
{
	struct node *node = draw(2) ? &a : &b;
	uint32_t what = draw(120);

	now_ns += draw(2000);
	if (what == 0)
		do_mishap(node);
	else if (what < 10)
		do_create(node);
	else if (what < 30)
		do_fetch(node);
	else if (what < 40)
		do_poll(node);
	else
		do_with_id(&slots[draw(IDS)]);
}

/* ---- The end of a run ---- */

/* With every queue pair in error, all that was posted has ended. */
static void end_run(void)
{
	struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_ERR};

	for (int i = 0; i < IDS; i++) {
		struct slot *slot = &slots[i];

		if (!slot->id)
			continue;
		if (slot->id->qp) {
			assert_int_equal(
				slot->node->ops->modify_qp(slot->id->qp, &attributes, IBV_QP_STATE),
				0);
			for (int polls = 0; polls < 100; polls++)
				do_poll(slot->node);
			assert_int_equal(slot->ended, slot->posted);
		}
		destroy(slot);
	}
}

static void run(uint64_t seed)
{
	random_state = seed;
	memset(slots, 0, sizeof(slots));
	start("retransmit_ns=20000,rnr_ns=5000,cm_timeout_ns=1000000,cm_retries=3,delay_ns=700");
	listen_at(&a, v4("10.0.0.1", PORT), RDMA_PS_TCP);
	listen_at(&b, v4("10.0.0.2", PORT), RDMA_PS_TCP);
	for (int i = 0; i < STEPS; i++)
		do_something();
	messages += rdma_sim_counters(a.rdma)->messages + rdma_sim_counters(b.rdma)->messages;
	end_run();
	a.id = b.id = NULL;
	end();
}

static void sim__survives_whatever_is_done(void **state)
{
	(void)state;
	cq_entries = 1024;
	for (uint64_t seed = 1; seed <= RUNS; seed++)
		run(seed);
	cq_entries = 256;
	/* They do get somewhere. */
	assert_true(messages > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sim__survives_whatever_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
