/* SPDX-License-Identifier: MIT */
#include "libos/catnip/datagram.h"

#include <errno.h>
#include <stdlib.h>

#include "base/container.h"
#include "libos/catnip/foreign.h"
#include "libos/catnip/sockaddr.h"
#include "net/udp_fast.h"
#include "queue/sga.h"

#define SEND_BUFFER_BYTES 212992 /* what Linux says by default; programs only ask */

static struct datagram *datagram_of(struct queue *queue)
{
	return container_of(queue, struct datagram, queue);
}

static struct op_table *ops_of(const struct datagram *datagram)
{
	return &datagram->catnip->context->ops;
}

static void complete(const struct datagram *datagram, struct op *op, int error)
{
	op_complete(ops_of(datagram), op, error);
}

int datagram_take_error(struct datagram *datagram)
{
	int error = datagram->error;

	datagram->error = 0;
	return error;
}

/* --- addresses --- */

static int datagram_bind(struct queue *queue, const struct sockaddr *address, socklen_t length)
{
	struct udp_socket *udp = &datagram_of(queue)->udp;
	struct ip_address ip;
	uint16_t port;
	int error = sockaddr_load(address, length, udp->is_v6, &ip, &port);

	if (error)
		return error;
	if (udp->is_v6 && udp->v6_only && ip_address_is_v4(&ip))
		return -EINVAL;
	return udp_bind(udp, &ip, port);
}

/* As sockaddr_load, for a destination: no address at all means ourselves. */
static int load_peer(const struct udp_socket *udp, const struct sockaddr *address, socklen_t length,
		     struct ip_address *ip, uint16_t *port)
{
	int error = sockaddr_load(address, length, udp->is_v6, ip, port);

	if (error)
		return error;
	if (udp->is_v6 && udp->v6_only && ip_address_is_v4(ip))
		return -ENETUNREACH;
	if (ip_address_is_unspecified(ip))
		*ip = ip_address_is_v4(ip) ? ip_address_v4(INADDR_LOOPBACK)
					   : ip_address_v6_halves(0, 1);
	return 0;
}

static int datagram_connect(struct queue *queue, struct op *op, const struct sockaddr *address,
			    socklen_t length)
{
	struct datagram *datagram = datagram_of(queue);
	struct ip_address ip;
	uint16_t port;
	int error = load_peer(&datagram->udp, address, length, &ip, &port);

	if (!error && port == 0)
		error = -EINVAL;
	if (error)
		return error;
	error = udp_connect(&datagram->udp, &ip, port);
	complete(datagram, op, -error);
	return 0;
}

static int datagram_local_address(struct queue *queue, struct sockaddr *address, socklen_t *length)
{
	const struct udp_socket *udp = &datagram_of(queue)->udp;

	sockaddr_store(address, length, udp->is_v6, &udp->local, udp->local_port);
	return 0;
}

static int datagram_peer_address(struct queue *queue, struct sockaddr *address, socklen_t *length)
{
	const struct udp_socket *udp = &datagram_of(queue)->udp;

	if (!udp->peer_port)
		return -ENOTCONN;
	sockaddr_store(address, length, udp->is_v6, &udp->peer, udp->peer_port);
	return 0;
}

/* --- in --- */

static bool received(struct udp_socket *udp, struct buf *buf)
{
	struct datagram *datagram = container_of(udp, struct datagram, udp);
	struct op *op = op_list_take(&datagram->pops);

	if (!op)
		return false;
	op->result.buf = buf;
	complete(datagram, op, 0);
	return true;
}

/* As so_error of a kernel's socket: told once, to whoever comes first; to all when that is the end. */
static void failed(struct udp_socket *udp, int error)
{
	struct datagram *datagram = container_of(udp, struct datagram, udp);
	struct op *op = op_list_take(&datagram->pops);

	if (!op)
		datagram->error = error;
	while (op) {
		complete(datagram, op, error);
		op = udp->net->failure ? op_list_take(&datagram->pops) : NULL;
	}
}

/* Told to a pop that waits, or to nobody: what ICMP says may be lost anyhow. */
static void reported(struct udp_socket *udp, int error, struct buf *report)
{
	struct datagram *datagram = container_of(udp, struct datagram, udp);
	struct op *op = op_list_take(&datagram->pops);

	if (!op) {
		buf_free(udp->net->heap, report);
		return;
	}
	op->result.buf = report;
	complete(datagram, op, error);
}

static const struct udp_socket_ops udp_ops = {
	.received = received,
	.failed = failed,
	.reported = reported,
};

static int datagram_pop(struct queue *queue, struct op *op)
{
	struct datagram *datagram = datagram_of(queue);
	int error = datagram_take_error(datagram);
	struct buf *buf;

	if (error) {
		complete(datagram, op, error);
		return 0;
	}
	buf = udp_take(&datagram->udp);
	if (unlikely(!buf && datagram->udp.net->failure)) {
		complete(datagram, op, -datagram->udp.net->failure);
		return 0;
	}
	if (!buf) {
		op_list_append(&datagram->pops, op);
		return 0;
	}
	op->result.buf = buf;
	complete(datagram, op, 0);
	return 0;
}

/* --- out --- */

/* What would stop any push: 0, or -errno. */
static int check_push(const struct datagram *datagram, const demi_sgarray_t *sga, uint16_t port)
{
	if (port == 0)
		return -EINVAL;
	/* Before the memory is looked at, which may be very long; udp_tx looks at the destination. */
	if (sga_length(sga) >
	    (datagram->udp.is_v6 ? UDP_PAYLOAD_BYTES_MAX_V6 : UDP_PAYLOAD_BYTES_MAX))
		return -EMSGSIZE;
	if (!foreign_is_readable(datagram->catnip->context->heap, sga))
		return -EFAULT;
	return 0;
}

/* Send, and once more when what waits for the device was in the way. */
static int send_datagram(struct datagram *datagram, const demi_sgarray_t *sga,
			 const struct ip_address *ip, uint16_t port, struct push *push,
			 bool *waits_out)
{
	struct net *net = datagram->catnip->net;
	int error = udp_tx(&datagram->udp, sga, ip, port, &push->done, waits_out);

	if (error != -ENOBUFS)
		return error;
	net_flush(net);
	if (net->device->ops->tx_reclaim)
		net->device->ops->tx_reclaim(net->device);
	return udp_tx(&datagram->udp, sga, ip, port, &push->done, waits_out);
}

/* A little of the heap, to where the headers lead: nothing to check, nothing to wait for. */
static bool send_fast(struct datagram *datagram, struct op *op, const demi_sgarray_t *sga)
{
	struct catnip *catnip = datagram->catnip;
	bool collects = catnip_collects(catnip);
	uint64_t length = sga->sga_segs[0].sgaseg_len;

	if (datagram->error || !heap_owns(catnip->context->heap, sga->sga_segs[0].sgaseg_buf))
		return false;
	for (uint32_t i = 1; unlikely(i < sga->sga_numsegs); i++) {
		if (!heap_owns(catnip->context->heap, sga->sga_segs[i].sgaseg_buf))
			return false;
		length += sga->sga_segs[i].sgaseg_len;
	}
	if (length > UDP_PAYLOAD_BYTES_MAX || !udp_tx_fast(&datagram->udp, sga, (uint32_t)length))
		return false;
	complete(datagram, op, 0);
	if (!collects)
		net_flush(catnip->net);
	return true;
}

/* @ip: NULL for the connected peer */
static int send_now(struct datagram *datagram, struct op *op, const demi_sgarray_t *sga,
		    const struct ip_address *ip, uint16_t port)
{
	struct catnip *catnip = datagram->catnip;
	bool collects = catnip_collects(catnip);
	struct push *push = push_take(catnip);
	bool waits = false;
	int error;

	if (!push)
		return -ENOBUFS;
	error = send_datagram(datagram, sga, ip, port, push, &waits);
	if (!error && waits) {
		push_wait(push, &datagram->pushes, op);
	} else {
		push_put(push);
		if (error == -EMSGSIZE)
			return error;
		complete(datagram, op, -error);
	}
	if (!error && !collects)
		net_flush(catnip->net);
	return 0;
}

static __attribute__((noinline)) int push_anywhere(struct datagram *datagram, struct op *op,
						   const demi_sgarray_t *sga,
						   const struct sockaddr *address, socklen_t length)
{
	uint16_t port = datagram->udp.peer_port;
	struct ip_address ip;
	int error = 0;

	if (address)
		error = load_peer(&datagram->udp, address, length, &ip, &port);
	else if (!port)
		error = -EDESTADDRREQ;
	if (!error && address && udp_leads_to(&datagram->udp, &ip, port) &&
	    send_fast(datagram, op, sga))
		return 0;
	if (!error)
		error = check_push(datagram, sga, port);
	if (error)
		return error;
	error = datagram_take_error(datagram);
	if (error) {
		complete(datagram, op, error);
		return 0;
	}
	return send_now(datagram, op, sga, address ? &ip : NULL, port);
}

static int datagram_push(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
			 const struct sockaddr *address, socklen_t length)
{
	struct datagram *datagram = datagram_of(queue);
	const struct udp_socket *udp = &datagram->udp;

	if (likely(address ? udp_leads_to_socket_address(udp, address, length)
			   : udp->peer_port && udp_leads_to(udp, &udp->peer, udp->peer_port)) &&
	    send_fast(datagram, op, sga))
		return 0;
	return push_anywhere(datagram, op, sga, address, length);
}

/* What the device has in its hands it will send. */
static int datagram_cancel(struct queue *queue, struct op *op)
{
	struct datagram *datagram = datagram_of(queue);

	if (op->opcode == DEMI_OPC_PUSH)
		return -EBUSY;
	if (op->opcode == DEMI_OPC_CLOSE) {
		push_abandon_all(&datagram->pushes, ops_of(datagram));
		complete(datagram, op, ECANCELED);
		free(datagram);
		return 0;
	}
	op_list_remove(&datagram->pops, op);
	complete(datagram, op, ECANCELED);
	return 0;
}

/* --- birth and death --- */

static void finish_close(struct push_owner *owner)
{
	struct datagram *datagram = container_of(owner, struct datagram, pushes);

	if (!datagram->close_op)
		return;
	complete(datagram, datagram->close_op, 0);
	free(datagram);
}

static void datagram_close(struct queue *queue)
{
	struct datagram *datagram = datagram_of(queue);

	op_cancel_all(ops_of(datagram), &datagram->pops);
	udp_socket_fini(&datagram->udp);
	push_abandon_all(&datagram->pushes, ops_of(datagram));
	free(datagram);
}

static void datagram_aclose(struct queue *queue, struct op *op)
{
	struct datagram *datagram = datagram_of(queue);

	op_cancel_all(ops_of(datagram), &datagram->pops);
	udp_socket_fini(&datagram->udp);
	datagram->close_op = op;
	if (!datagram->pushes.ops.head)
		finish_close(&datagram->pushes);
}

static const struct queue_ops datagram_ops = {
	.close = datagram_close,
	.aclose = datagram_aclose,
	.bind = datagram_bind,
	.connect = datagram_connect,
	.push = datagram_push,
	.pop = datagram_pop,
	.cancel = datagram_cancel,
	.set_option = datagram_set_option,
	.get_option = datagram_get_option,
	.get_local_address = datagram_local_address,
	.get_peer_address = datagram_peer_address,
};

int datagram_create(struct catnip *catnip, struct queue **queue_out, bool is_v6)
{
	struct datagram *datagram = calloc(1, sizeof(*datagram));

	if (!datagram)
		return -ENOMEM;
	datagram->queue = (struct queue){.ops = &datagram_ops, .qd = -1, .takes_empty = true};
	datagram->catnip = catnip;
	datagram->pushes.drained = finish_close;
	datagram->send_buffer_bytes = SEND_BUFFER_BYTES;
	udp_socket_init(&datagram->udp, catnip->net, &udp_ops, is_v6);
	*queue_out = &datagram->queue;
	return 0;
}
