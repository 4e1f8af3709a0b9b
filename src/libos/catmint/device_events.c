/* SPDX-License-Identifier: MIT */
/* What the device and the connection manager tell, and what wakes who sleeps. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "libos/catmint/datagram.h"
#include "libos/catmint/device.h"
#include "libos/catmint/setup.h"

/* --- what the device says by itself --- */

/*
 * It is noted first, and handled when nobody is in the middle of completions: what was received before is
 * the application's. Who finds requests flushed looks here for the reason.
 */
static void note_failure(struct catmint *mint, int error)
{
	if (!mint->doom)
		mint->doom = error;
	mint->events_at_ns = 0;
}

/* With nothing of its own under way no completion tells that it has failed. */
static void note_pair(struct catmint *mint, const struct ibv_qp *qp, int error)
{
	struct connection *connection = connection_by_number(mint, qp->qp_num);

	mint->events_at_ns = 0;
	if (!connection) {
		if (mint->dgrams)
			dgrams_pair_failed(mint->dgrams, qp->qp_num);
		return;
	}
	if (!connection->doom)
		connection->doom = (uint16_t)error;
	connection_list_add(connection, LIST_DOOMED);
}

static void note_port(struct catmint *mint, int port, bool is_up)
{
	log_warning("catmint: port %d of %s is %s", port, mint->verbs->device->name,
		    is_up ? "up again" : "down");
	if (port != mint->port)
		return;
	mint->is_port_back = is_up;
	mint->is_port_down |= !is_up;
}

/* Completions of the time when it was down have been looked at since the event that it is up. */
static void forget_port(struct catmint *mint)
{
	if (mint->is_port_back)
		mint->is_port_down = mint->is_port_back = false;
}

static bool note_event(struct catmint *mint)
{
	struct ibv_async_event event;

	if (mint->calls->get_async_event(mint->verbs, &event))
		return false;
	switch (event.event_type) {
	case IBV_EVENT_DEVICE_FATAL:
		note_failure(mint, -ENODEV);
		break;
	case IBV_EVENT_CQ_ERR:
	case IBV_EVENT_SRQ_ERR:
		note_failure(mint, -EIO);
		break;
	case IBV_EVENT_QP_FATAL:
		note_pair(mint, event.element.qp, EIO);
		break;
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
		/* The peer asked for what it may not have. */
		note_pair(mint, event.element.qp, EPROTO);
		break;
	case IBV_EVENT_PORT_ERR:
		note_port(mint, event.element.port_num, false);
		break;
	case IBV_EVENT_PORT_ACTIVE:
		note_port(mint, event.element.port_num, true);
		break;
	default:
		break;
	}
	mint->calls->ack_async_event(&event);
	return true;
}

int device_look(struct catmint *mint)
{
	while (note_event(mint))
		;
	return mint->doom;
}

static void fail_if_doomed(struct catmint *mint)
{
	int error = mint->doom;

	if (!error || mint->failure)
		return;
	log_error("catmint: the device %s is gone: %s", mint->verbs->device->name,
		  strerror(-error));
	mint->failure = error;
	catmint_drain(mint);
	connection_fail_all(mint, -error);
	if (mint->dgrams)
		dgrams_fail(mint->dgrams, -error);
}

static void fail_doomed(struct catmint *mint)
{
	struct connection *connection, *next;

	catmint_drain(mint);
	connection = connection_list_take(mint, LIST_DOOMED);
	for (; connection; connection = next) {
		next = connection_list_next(connection, LIST_DOOMED);
		if (connection->state == CONNECTION_CONNECTING)
			connect_give_up(connection, connection->doom);
		else
			connection_fail(connection, connection->doom);
	}
}

/* --- what the connection manager tells --- */

/*
 * That a device is to go only the connection manager tells, where the driver cannot cut programs off: it
 * waits until they have closed it. One event of a single id is enough for all there is, and what comes
 * behind it is only what follows from that.
 */
static bool is_removal(const struct catmint *mint, const struct rdma_cm_event *event)
{
	return event->event == RDMA_CM_EVENT_DEVICE_REMOVAL && event->id->verbs == mint->verbs;
}

/* The event's memory goes with its acknowledgment, and destroying an id waits for that. */
static bool take_event(struct catmint *mint)
{
	unsigned char data[UINT8_MAX];
	struct rdma_cm_event *event, copy;
	struct cm_target *target;

	if (mint->calls->get_cm_event(mint->events, &event) < 0)
		return false;
	copy = *event;
	if (copy.param.conn.private_data) {
		memcpy(data, copy.param.conn.private_data, copy.param.conn.private_data_len);
		copy.param.conn.private_data = data;
	}
	target = copy.event == RDMA_CM_EVENT_CONNECT_REQUEST ? copy.listen_id->context
							     : copy.id->context;
	mint->calls->ack_cm_event(event);
	if (is_removal(mint, &copy)) {
		note_failure(mint, -ENODEV);
		fail_if_doomed(mint);
	} else if (target) {
		target->handle(target, &copy);
	}
	return true;
}

void device_events(struct catmint *mint)
{
	forget_port(mint);
	device_look(mint);
	fail_if_doomed(mint);
	if (mint->lists[LIST_DOOMED])
		fail_doomed(mint);
	while (take_event(mint))
		;
}

/* --- sleep --- */

/* So many at once: acknowledging takes a lock. */
#define UNACKED_MAX 1024u

void device_disarm(struct catmint *mint)
{
	struct ibv_cq *cq;
	void *context;

	while (mint->calls->get_cq_event(mint->channel, &cq, &context) == 0) {
		mint->is_armed = false;
		mint->unacked_events++;
	}
	if (mint->unacked_events >= UNACKED_MAX) {
		mint->calls->ack_cq_events(mint->cq, mint->unacked_events);
		mint->unacked_events = 0;
	}
}

int device_arm(struct catmint *mint)
{
	if (mint->is_armed)
		device_disarm(mint);
	if (mint->is_armed)
		return 0;
	if (ibv_req_notify_cq(mint->cq, 0))
		return -EAGAIN;
	mint->is_armed = true;
	/* What has come before it was armed wakes nobody. */
	return catmint_drain(mint) > 0 ? -EAGAIN : 0;
}
