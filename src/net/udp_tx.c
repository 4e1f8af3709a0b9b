/* SPDX-License-Identifier: MIT */
/*
 * Datagrams out. Four ways to put a header in front of a payload: a short one is copied behind it;
 * one that lies in a received frame gets it where that frame's headers were; a longer one of the
 * heap goes by reference behind a frame that has nothing else; and what none of that can serve is
 * copied too.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "net/udp.h"
#include "net/udp_fast.h"
#include "queue/sga.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

/* All that IP and Ethernet put in front: an IPv6 header with a fragment header is the longest. */
#define LOWER_BYTES_MAX (IPV6_HEADER_BYTES + IPV6_FRAGMENT_BYTES + ETH_HEADER_BYTES_MAX)
/* The hop limit of broadcasts, when the socket does not say: RFC 1700. */
#define HOP_LIMIT_BROADCAST 64

_Static_assert(NETDEV_HEAD_ROOM >= LOWER_BYTES_MAX + UDP_HEADER_BYTES, "headers fit");

/* One datagram on its way to IP. */
struct departure {
	struct net *net;
	const demi_sgarray_t *sga;
	struct udp_header header; /* without checksum */
	struct ip_address source;
	const struct ip_address *destination;
	struct buf_done *done; /* NULL: nobody waits */
	uint32_t length;       /* of the payload */
	bool is_v6;
	bool goes_on; /* to where the socket's last one went */
};

/* ---- The memory ---- */

static uint32_t room_behind(const struct buf *frame)
{
	const unsigned char *end = (const unsigned char *)(frame + 1) + frame->capacity;

	return (uint32_t)(end - frame->data);
}

static void gather(unsigned char *to, const demi_sgarray_t *sga)
{
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		memcpy(to, sga->sga_segs[i].sgaseg_buf, sga->sga_segs[i].sgaseg_len);
		to += sga->sga_segs[i].sgaseg_len;
	}
}

/* The frame of our device that a segment lies in, and that the application has alone; or NULL. */
static struct buf *frame_of(const struct net *net, const demi_sgaseg_t *segment)
{
	const struct heap_frames *frames = net->device->frames;
	size_t bytes;
	unsigned char *start = heap_frames_memory(frames, &bytes);
	void *object;

	if ((uintptr_t)segment->sgaseg_buf - (uintptr_t)start >= bytes)
		return NULL;
	object = heap_object(net->heap, segment->sgaseg_buf);
	return object && !heap_is_held(net->heap, object) ? object : NULL;
}

/*
 * Whether the bytes in front of the segment are nobody's: those of headers that were received. Not
 * when the heap protects pushed memory, which lower layers would write to.
 */
static bool can_be_in_place(const struct departure *departure)
{
	const struct net *net = departure->net;
	const demi_sgaseg_t *segment = &departure->sga->sga_segs[0];
	const unsigned char *start = segment->sgaseg_buf;
	const struct buf *frame;

	if (departure->sga->sga_numsegs != 1 || net->heap->protect)
		return false;
	frame = frame_of(net, segment);
	if (!frame || start > frame->data)
		return false;
	return start >= (const unsigned char *)frame + net->device->room_offset + LOWER_BYTES_MAX +
				UDP_HEADER_BYTES;
}

static bool can_be_referred_to(const struct departure *departure)
{
	return departure->sga->sga_numsegs < departure->net->device->caps.segments_max &&
	       !sga_has_foreign(departure->net->heap, departure->sga);
}

/* ---- The header ---- */

static bool device_completes(const struct departure *departure)
{
	const struct netdev_caps *caps = &departure->net->device->caps;

	return departure->is_v6 ? caps->checksum_v6 : caps->checksum_v4;
}

static uint64_t pseudo_sum(const struct departure *departure)
{
	return checksum_pseudo(&departure->source, departure->destination, IPPROTO_UDP,
			       departure->header.total_bytes);
}

/* Leave the checksum to the device: its field has that of the pseudo header. */
static void leave_checksum(const struct departure *departure, struct buf *first,
			   struct udp_header *header)
{
	header->checksum = checksum_partial(pseudo_sum(departure));
	first->flags |= BUF_CHECKSUM;
	first->transmit.protocol = IPPROTO_UDP;
	first->transmit.is_v6 = departure->is_v6;
}

/* Write the header at the start of @first, whose chain has the payload behind it. */
static void write_header(const struct departure *departure, struct buf *first)
{
	struct udp_header header = departure->header;
	struct checksum checksum = {0};

	if (device_completes(departure)) {
		leave_checksum(departure, first, &header);
		udp_emit(first->data, UDP_HEADER_BYTES, &header);
		return;
	}
	udp_emit(first->data, UDP_HEADER_BYTES, &header);
	checksum.sum = pseudo_sum(departure);
	for (const struct buf *buf = first; buf; buf = buf->next)
		checksum_append(&checksum, buf->data, buf->length);
	store_be16(first->data + UDP_CHECKSUM_OFFSET, checksum_finish_udp(checksum.sum));
}

static void set_done(const struct departure *departure, struct buf *last)
{
	if (!departure->done)
		return;
	last->flags |= BUF_DONE;
	last->transmit.done = departure->done;
}

/* ---- The four ways; NULL: no frame, shell or memory, which has been counted ---- */

static struct buf *no_frame(const struct departure *departure, struct buf *chain)
{
	net_drop(departure->net, chain, NET_LAYER_UDP, NET_DROP_NO_FRAME);
	return NULL;
}

static struct buf *build_in_place(const struct departure *departure)
{
	unsigned char *payload = departure->sga->sga_segs[0].sgaseg_buf;
	struct buf *shell = netdev_reference(departure->net->device, payload - UDP_HEADER_BYTES,
					     departure->header.total_bytes);

	if (!shell)
		return no_frame(departure, NULL);
	write_header(departure, shell);
	set_done(departure, shell);
	return shell;
}

static struct buf *build_by_reference(const struct departure *departure)
{
	struct netdev *device = departure->net->device;
	const demi_sgarray_t *sga = departure->sga;
	struct buf *head = netdev_alloc(device), *last = head;

	if (!head)
		return no_frame(departure, NULL);
	head->length = UDP_HEADER_BYTES;
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		last->next = netdev_reference(device, sga->sga_segs[i].sgaseg_buf,
					      sga->sga_segs[i].sgaseg_len);
		if (!last->next)
			return no_frame(departure, head);
		last = last->next;
	}
	write_header(departure, head);
	set_done(departure, last);
	return head;
}

/* @head: of netdev_alloc, with room for it all. */
static struct buf *build_copied(const struct departure *departure, struct buf *head)
{
	head->length = departure->header.total_bytes;
	gather(head->data + UDP_HEADER_BYTES, departure->sga);
	write_header(departure, head);
	return head;
}

/* More than a frame holds: into memory of the heap, which the shell alone keeps. */
static struct buf *build_copied_outside(const struct departure *departure, struct buf *head)
{
	struct net *net = departure->net;
	struct buf *copy = buf_alloc(net->heap, departure->length);

	if (!copy) {
		net_drop(net, head, NET_LAYER_UDP, NET_DROP_NO_MEMORY);
		return NULL;
	}
	gather(copy->data, departure->sga);
	head->length = UDP_HEADER_BYTES;
	head->next = netdev_reference(net->device, copy->data, departure->length);
	buf_free(net->heap, copy);
	if (!head->next)
		return no_frame(departure, head);
	write_header(departure, head);
	return head;
}

static struct buf *build_copy(const struct departure *departure)
{
	struct buf *head = netdev_alloc(departure->net->device);

	if (unlikely(!head))
		return no_frame(departure, NULL);
	net_count_copy(departure->net, departure->length);
	if (likely(room_behind(head) >= departure->header.total_bytes))
		return build_copied(departure, head);
	return build_copied_outside(departure, head);
}

static struct buf *build(const struct departure *departure)
{
	if (departure->length <= departure->net->copy_max)
		return build_copy(departure);
	if (can_be_in_place(departure))
		return build_in_place(departure);
	if (can_be_referred_to(departure))
		return build_by_reference(departure);
	return build_copy(departure);
}

/* ---- Who waits ---- */

/* In place of the owner's function during the call: told so soon, it need not be told at all. */
static void done_within_call(struct buf_done *self)
{
	self->done = NULL;
}

static int send_and_watch(struct net *net, const struct ip_send *send, struct buf *buf,
			  struct buf_done *done, bool *waits_out)
{
	void (*told)(struct buf_done * self) = done->done;
	int error;

	done->done = done_within_call;
	error = ip_tx(net, send, buf);
	*waits_out = done->done != NULL;
	done->done = told;
	return error;
}

/* ---- Addresses ---- */

static inline bool is_sendable_from(const struct ip_address *local)
{
	return !ip_address_is_unspecified(local) && !ip_address_is_multicast(local) &&
	       !ip_address_is_broadcast(local);
}

/* The source of what goes along socket->path. 0 or -errno. */
static inline int find_source(const struct udp_socket *socket, struct ip_address *source_out)
{
	const struct ip_address *local = &socket->local;
	const struct path *path = &socket->path;

	*source_out = *udp_path_source(socket);
	if (likely(ip_address_equal(local, source_out)))
		return 0;
	/* Only :: is of both versions. */
	if ((!ip_address_is_unspecified(local) || ip_address_is_v4(local)) &&
	    ip_address_is_v4(local) != ip_address_is_v4(&path->destination))
		return -ENETUNREACH;
	if (!is_sendable_from(local) || net_is_subnet_broadcast(socket->net, local))
		return 0;
	if (ip_address_is_loopback(local) ? !path->is_local : !net_has_address(socket->net, local))
		return -EADDRNOTAVAIL;
	*source_out = *local;
	return 0;
}

/* IPv4's bound counts its header, IPv6's does not. */
static inline bool is_too_long(const struct udp_socket *socket, size_t length, bool is_v6)
{
	size_t headers = UDP_HEADER_BYTES + (is_v6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES);

	if (length > (is_v6 ? UDP_PAYLOAD_BYTES_MAX_V6 : UDP_PAYLOAD_BYTES_MAX))
		return true;
	return socket->mtu_discover == IP_PMTUDISC_DO && length + headers > socket->path.mtu;
}

/* Broadcasts have the hop limit of what goes to one host. */
static void aim_at_group(const struct udp_socket *socket, struct ip_send *send)
{
	const struct udp_multicast *multicast = udp_multicast_of(socket, &send->path->destination);

	if (!ip_address_is_multicast(&send->path->destination)) {
		send->hop_limit = socket->hop_limit ? socket->hop_limit : HOP_LIMIT_BROADCAST;
		send->loop = multicast->loop;
		return;
	}
	send->hop_limit = multicast->hop_limit;
	send->loop = multicast->loop;
	send->stays = multicast->hop_limit == 0;
}

/* ---- Out ---- */

/* Along socket->path. */
static int transmit(struct udp_socket *socket, const struct departure *departure, bool *waits_out)
{
	struct net *net = socket->net;
	struct ip_send send = {
		.path = &socket->path,
		.source = departure->source,
		.protocol = IPPROTO_UDP,
		.hop_limit = socket->hop_limit,
		.traffic_class = socket->traffic_class,
		.dont_fragment = socket->mtu_discover == IP_PMTUDISC_DO ||
				 socket->mtu_discover == IP_PMTUDISC_PROBE,
		.atomic = socket->mtu_discover != IP_PMTUDISC_DONT,
	};
	struct buf *first = build(departure), *last = first;
	int error;

	if (unlikely(!first))
		return -ENOBUFS;
	if (unlikely(socket->path.to_group))
		aim_at_group(socket, &send);
	while (last->next)
		last = last->next;
	if (last->flags & BUF_DONE)
		error = send_and_watch(net, &send, first, departure->done, waits_out);
	else
		error = ip_tx(net, &send, first);
	if (unlikely(error))
		return error;
	net_count_tx(net, NET_LAYER_UDP, departure->header.total_bytes);
	/* Who sends to many by turns would have headers made for nothing. */
	if (departure->length <= net->copy_max && departure->goes_on)
		udp_prepare_fast(socket, &departure->source, departure->header.destination_port);
	return 0;
}

/* Everything that a datagram needs but its memory. 0 or -errno. */
static int prepare(struct udp_socket *socket, const struct ip_address *peer, size_t length,
		   struct ip_address *source_out)
{
	int error = udp_find_path(socket, peer);

	if (!error)
		error = find_source(socket, source_out);
	if (!error && unlikely(is_too_long(socket, length, !ip_address_is_v4(peer))))
		error = -EMSGSIZE;
	if (!error && unlikely(!socket->local_port))
		error = udp_autobind(socket, NULL, 0);
	return error;
}

int udp_tx(struct udp_socket *socket, const demi_sgarray_t *sga, const struct ip_address *peer,
	   uint16_t port, struct buf_done *done, bool *waits_out)
{
	struct departure departure = {.net = socket->net, .sga = sga, .done = done};
	size_t length = sga_length(sga);
	struct ip_address to;
	int error;

	*waits_out = false;
	if (!peer) {
		peer = &socket->peer;
		port = socket->peer_port;
		if (!port)
			return -EDESTADDRREQ;
	}
	if (port == 0)
		return -EINVAL;
	if (unlikely(ip_address_is_unspecified(peer))) {
		to = ip_address_is_v4(peer) ? ip_address_v4(INADDR_LOOPBACK)
					    : ip_address_v6_halves(0, 1);
		peer = &to;
	}
	departure.goes_on = path_is_valid(socket->net, &socket->path, peer);
	error = prepare(socket, peer, length, &departure.source);
	if (unlikely(error))
		return error;
	departure.destination = &socket->path.destination;
	departure.is_v6 = !ip_address_is_v4(peer);
	departure.length = (uint32_t)length;
	departure.header = (struct udp_header){
		.source_port = socket->local_port,
		.destination_port = port,
		.total_bytes = (uint16_t)(length + UDP_HEADER_BYTES),
	};
	return transmit(socket, &departure, waits_out);
}
