/* SPDX-License-Identifier: MIT */
/* What messages of the connection manager do where they arrive. */
#include <string.h>

#include "rdma/sim_id.h"

/* ---- Events ---- */

/* As the library has it, what one side offers the other asks for. */
static void tell_connection(struct sim_cm_event *event, const struct sim_letter *letter,
			    uint8_t bytes)
{
	struct rdma_conn_param *conn = &event->event.param.conn;

	*conn = letter->parameters;
	conn->responder_resources = letter->parameters.initiator_depth;
	conn->initiator_depth = letter->parameters.responder_resources;
	conn->qp_num = letter->qpn;
	memcpy(event->private_data, letter->private_data, letter->bytes);
	conn->private_data = event->private_data;
	conn->private_data_len = bytes;
}

static void tell_datagram(struct sim_cm_event *event, const struct sim_letter *letter,
			  uint8_t bytes)
{
	struct rdma_ud_param *ud = &event->event.param.ud;

	memcpy(event->private_data, letter->private_data, letter->bytes);
	ud->private_data = event->private_data;
	ud->private_data_len = bytes;
}

/* ---- At a host ---- */

static struct sim_id *create_passive(struct sim_id *listener, struct sim_id *from)
{
	struct sim_id *id = rdma_sim_id_alloc(sim_channel_of(listener->id.channel),
					      listener->id.context, listener->id.ps);
	struct rdma_addr *address;

	if (!id)
		return NULL;
	address = &id->id.route.addr;
	address->src_storage = from->id.route.addr.dst_storage;
	address->dst_storage = from->id.route.addr.src_storage;
	address->addr.ibaddr.sgid = from->id.route.addr.addr.ibaddr.dgid;
	address->addr.ibaddr.dgid = from->id.route.addr.addr.ibaddr.sgid;
	address->addr.ibaddr.pkey = from->id.route.addr.addr.ibaddr.pkey;
	rdma_sim_attach(id);
	id->ack_timeout = listener->ack_timeout;
	id->traffic_class = listener->traffic_class;
	id->state = SIM_ID_REQUESTED;
	id->other = from->own;
	id->peer = from;
	from->peer = id;
	return id;
}

static void offer(struct sim_id *listener, struct sim_id *from)
{
	struct sim_id *id = create_passive(listener, from);
	struct sim_cm_event *event;

	if (!id)
		return;
	event = rdma_sim_event_add(listener, RDMA_CM_EVENT_CONNECT_REQUEST, 0);
	if (!event) {
		rdma_sim_id_free(id);
		return;
	}
	listener->requests++;
	event->event.listen_id = &listener->id;
	event->event.id = &id->id;
	if (sim_id_is_datagram(id))
		tell_datagram(event, &from->own, SIM_SEEK_BYTES);
	else
		tell_connection(event, &from->own, SIM_CONNECT_BYTES);
}

static void connect_arrives(struct sim_device *host, struct sim_id *from)
{
	struct sim_id *listener;

	if (from->peer) { /* again: the answer may have been lost */
		struct sim_id *id = from->peer;

		if (id->state == SIM_ID_ACCEPTED || id->state == SIM_ID_CONNECTED)
			rdma_sim_message(id, from, RDMA_SIM_ACCEPT, &id->own);
		return;
	}
	listener = rdma_sim_listener(host, from->id.ps, &from->id.route.addr.dst_addr);
	if (!listener) {
		rdma_sim_reply(host, from, RDMA_SIM_REJECT,
			       sim_id_is_datagram(from) ? SIM_SEEK_NO_SERVICE
							: SIM_REJECT_NO_SERVICE);
	} else if (listener->requests < listener->backlog) {
		offer(listener, from);
	} /* else it will be sent again */
}

void rdma_sim_message_arrives_at_host(struct sim_device *host, struct sim_id *from,
				      enum rdma_sim_kind kind)
{
	if (kind == RDMA_SIM_CONNECT)
		connect_arrives(host, from);
	else if (kind == RDMA_SIM_DISCONNECT) /* of a connection that is not known here */
		rdma_sim_reply(host, from, RDMA_SIM_DISCONNECTED, 0);
}

/* ---- At an id ---- */

static void find_datagram_peer(struct sim_id *id, struct sim_cm_event *event,
			       const struct sim_letter *letter)
{
	struct rdma_ud_param *ud = &event->event.param.ud;

	tell_datagram(event, letter, SIM_FOUND_BYTES);
	ud->qp_num = letter->qpn;
	ud->qkey = RDMA_UDP_QKEY;
	ud->ah_attr = (struct ibv_ah_attr){
		.is_global = 1,
		.port_num = 1,
		.grh.dgid = id->id.route.addr.addr.ibaddr.dgid,
		.grh.sgid_index = (uint8_t)rdma_sim_address(id->device,
							    &id->id.route.addr.addr.ibaddr.sgid),
		.grh.hop_limit = 64,
		.grh.traffic_class = id->traffic_class,
	};
}

static void accept_arrives(struct sim_id *id, const struct sim_letter *letter)
{
	struct sim_cm_event *event;

	if (id->state == SIM_ID_CONNECTED && id->peer && !sim_id_is_datagram(id))
		rdma_sim_message(id, id->peer, RDMA_SIM_READY, NULL);
	if (id->state != SIM_ID_CONNECTING)
		return;
	rdma_sim_is_answered(id);
	id->other = *letter;
	id->state = sim_id_is_datagram(id) ? SIM_ID_CONNECTED : SIM_ID_RESPONDED;
	event = rdma_sim_event_add(id, RDMA_CM_EVENT_ESTABLISHED, 0);
	if (!event)
		return;
	event->is_accept = !sim_id_is_datagram(id);
	if (sim_id_is_datagram(id))
		find_datagram_peer(id, event, letter);
	else
		tell_connection(event, letter, SIM_ACCEPT_BYTES);
}

static void reject_arrives(struct sim_id *id, const struct sim_letter *letter)
{
	struct sim_cm_event *event;

	if (id->state < SIM_ID_CONNECTING || id->state > SIM_ID_CONNECTED)
		return;
	rdma_sim_is_answered(id);
	id->state = SIM_ID_OVER;
	if (sim_id_is_datagram(id)) {
		rdma_sim_event_add(id, RDMA_CM_EVENT_UNREACHABLE, letter->status);
		return;
	}
	event = rdma_sim_event_add(id, RDMA_CM_EVENT_REJECTED, letter->status);
	if (event)
		tell_connection(event, letter, SIM_REJECT_BYTES);
	if (id->id.qp)
		rdma_sim_qp_fail(sim_qp_of(id->id.qp));
}

static void ready_arrives(struct sim_id *id)
{
	if (id->state != SIM_ID_ACCEPTED)
		return;
	rdma_sim_is_answered(id);
	id->state = SIM_ID_CONNECTED;
	rdma_sim_event_add(id, RDMA_CM_EVENT_ESTABLISHED, 0);
}

static void disconnect_arrives(struct sim_id *id)
{
	if (id->state == SIM_ID_OVER) {
		rdma_sim_message(id, id->peer, RDMA_SIM_DISCONNECTED, NULL);
		return;
	}
	if (id->state != SIM_ID_ACCEPTED && id->state != SIM_ID_CONNECTED &&
	    id->state != SIM_ID_DISCONNECTING)
		return;
	rdma_sim_is_answered(id);
	id->state = SIM_ID_DISCONNECT_RECEIVED;
	rdma_sim_event_add(id, RDMA_CM_EVENT_DISCONNECTED, 0);
}

static void disconnected_arrives(struct sim_id *id)
{
	if (id->state != SIM_ID_DISCONNECTING)
		return;
	rdma_sim_is_answered(id);
	id->state = SIM_ID_OVER;
	rdma_sim_event_add(id, RDMA_CM_EVENT_DISCONNECTED, 0);
}

void rdma_sim_message_arrives(struct sim_id *to, enum rdma_sim_kind kind,
			      const struct sim_letter *letter)
{
	switch (kind) {
	case RDMA_SIM_ACCEPT:
		accept_arrives(to, letter);
		break;
	case RDMA_SIM_REJECT:
		reject_arrives(to, letter);
		break;
	case RDMA_SIM_READY:
		ready_arrives(to);
		break;
	case RDMA_SIM_DISCONNECT:
		disconnect_arrives(to);
		break;
	case RDMA_SIM_DISCONNECTED:
		disconnected_arrives(to);
		break;
	default: /* no other kind is for an id */
		break;
	}
}
