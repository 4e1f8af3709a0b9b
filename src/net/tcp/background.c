/* SPDX-License-Identifier: MIT */
/*
 * The background coroutines: each is blocked until a connection has work for it, and does that of
 * all connections in its list. What can be done while a segment is received or a push is made is
 * done there; here is what had to wait for something.
 */
#include "base/container.h"
#include "net/tcp/conn.h"

void conn_wake(struct tcp_conn *conn, enum tcp_work work)
{
	struct tcp_work_list *list = &conn->table->works[work];

	if (conn->work & 1u << work)
		return;
	conn->work |= (uint8_t)(1u << work);
	conn->work_next[work] = NULL;
	if (list->head)
		list->tail->work_next[work] = conn;
	else
		list->head = conn;
	list->tail = conn;
	sched_wake(conn->table->net->sched, &list->coroutine);
}

/* All that are in the list now; what is added meanwhile waits for the next time. */
static struct tcp_conn *take_all(struct tcp_work_list *list)
{
	struct tcp_conn *head = list->head;

	list->head = list->tail = NULL;
	return head;
}

/* Call @act for each of a list that was taken. */
static void each(struct tcp_conn *conn, enum tcp_work work, void (*act)(struct tcp_conn *conn))
{
	while (conn) {
		struct tcp_conn *next = conn->work_next[work];

		conn->work &= (uint8_t) ~(1u << work);
		act(conn);
		conn = next;
	}
}

static enum coroutine_step step_of(const struct tcp_work_list *list)
{
	return list->head ? COROUTINE_STEP_YIELD : COROUTINE_STEP_BLOCK;
}

static struct tcp_work_list *list_of(struct coroutine *self, uint64_t now_ns)
{
	struct tcp_work_list *list = container_of(self, struct tcp_work_list, coroutine);

	list->table->net->now_ns = now_ns;
	return list;
}

static enum coroutine_step send_queued(struct coroutine *self, uint64_t now_ns)
{
	struct tcp_work_list *list = list_of(self, now_ns);

	each(take_all(list), WORK_SEND, tcp_output);
	return step_of(list);
}

static enum coroutine_step retransmit_lost(struct coroutine *self, uint64_t now_ns)
{
	struct tcp_work_list *list = list_of(self, now_ns);

	each(take_all(list), WORK_RETRANSMIT, tcp_output);
	return step_of(list);
}

static void acknowledge(struct tcp_conn *conn)
{
	if (conn->ack_now && is_synchronized(conn))
		tcp_ack_tx(conn);
}

/* In the round after: who answers what was received acknowledges it by that. */
static enum coroutine_step acknowledge_received(struct coroutine *self, uint64_t now_ns)
{
	struct tcp_work_list *list = list_of(self, now_ns);

	COROUTINE_BEGIN(self);
	for (;;) {
		COROUTINE_YIELD(self);
		each(take_all(list), WORK_ACK, acknowledge);
		if (!list->head)
			COROUTINE_BLOCK(self);
	}
	COROUTINE_END;
}

/* Nobody knows it any more but the other lists. */
static void bury(struct tcp_conn *conn)
{
	if (conn->work)
		conn_wake(conn, WORK_CLOSE);
	else
		conn_free(conn);
}

static enum coroutine_step close_ended(struct coroutine *self, uint64_t now_ns)
{
	struct tcp_work_list *list = list_of(self, now_ns);

	each(take_all(list), WORK_CLOSE, bury);
	return step_of(list);
}

int background_create(struct tcp_table *table)
{
	static const coroutine_fn resumes[WORKS] = {
		[WORK_SEND] = send_queued,
		[WORK_RETRANSMIT] = retransmit_lost,
		[WORK_ACK] = acknowledge_received,
		[WORK_CLOSE] = close_ended,
	};

	for (unsigned int i = 0; i < WORKS; i++) {
		struct tcp_work_list *list = &table->works[i];
		int error = sched_spawn(table->net->sched, &list->coroutine, resumes[i]);

		list->table = table;
		if (!error)
			continue;
		while (i-- > 0)
			sched_remove(table->net->sched, &table->works[i].coroutine);
		return error;
	}
	return 0;
}

void background_destroy(struct tcp_table *table)
{
	for (unsigned int i = 0; i < WORKS; i++)
		sched_remove(table->net->sched, &table->works[i].coroutine);
}
