/* SPDX-License-Identifier: MIT */
#include "net/tcp/fast.h"

#include <netinet/in.h>
#include <string.h>

#include "net/eth.h"
#include "net/neighbour.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

/* Offsets in a frame without a tag, whose IP header has no options. */
#define IP_OFFSET ETH_HEADER_BYTES
#define TCP_OFFSET (IP_OFFSET + IPV4_HEADER_BYTES)

/* Ethernet type, version and header length: all but the traffic class of a word. */
#define TYPE_AND_VERSION (ETH_TYPE_IPV4 << 8 | 0x45u)
/* Of the word from identification on: fragment bits, offset and protocol. */
#define FRAGMENT_AND_PROTOCOL 0x00003fff00ff0000u
#define WHOLE_TCP ((uint64_t)IPPROTO_TCP << 16)
#define ECN_MASK 3u
#define ECN_CE 3u

/* ---- In ---- */

/* The frame's Ethernet header, and what of IP's is the same in all that are for us. */
static inline bool is_foretold(const struct net *net, const uint8_t *frame)
{
	uint64_t link = load_be64(frame);

	/* No address is foretold as 0.0.0.0; a group's link address has the lowest bit set. */
	return link >> 16 == net->foretold_link && !(link & 0x100) &&
	       (load_be64(frame + 4) & 0xffffffffffff) != net->foretold_link &&
	       load_be32(frame + 12) >> 8 == TYPE_AND_VERSION &&
	       load_be32(frame + IP_OFFSET + 16) == net->foretold_ip && net->foretold_ip != 0 &&
	       (load_be64(frame + IP_OFFSET + 4) & FRAGMENT_AND_PROTOCOL) == WHOLE_TCP;
}

/* Both checksums. Sums do not mind the byte order, as long as it is one: memory's here. */
static inline bool is_intact(const uint8_t *frame, const struct buf *buf, uint32_t tcp_bytes)
{
	const uint8_t *ip = frame + IP_OFFSET;
	uint64_t first, addresses, sum;
	uint32_t middle;

	memcpy(&first, ip, sizeof(first));
	memcpy(&middle, ip + 8, sizeof(middle));
	memcpy(&addresses, ip + 12, sizeof(addresses));
	sum = checksum_add_words(checksum_add_words(first, middle), addresses);
	if (!checksum_is_valid(sum))
		return false;
	if (buf->flags & BUF_CHECKED)
		return true;
	sum = (uint64_t)htobe32(tcp_bytes) + htobe32(IPPROTO_TCP);
	sum = checksum_add_words(sum, addresses);
	sum = checksum_add_words(sum, checksum_add(0, frame + TCP_OFFSET, tcp_bytes));
	return checksum_is_valid(sum);
}

static inline void count(struct net *net, uint32_t frame_bytes, uint32_t tcp_bytes)
{
	net_count_rx(net, NET_LAYER_ETH, frame_bytes);
	net_count_rx(net, NET_LAYER_IPV4, IPV4_HEADER_BYTES + tcp_bytes);
	net_count_rx(net, NET_LAYER_TCP, tcp_bytes);
}

/* Its length with the TCP header; 0: it is not whole. */
static inline uint32_t tcp_bytes_of(const struct buf *buf)
{
	uint32_t total = load_be16(buf->data + IP_OFFSET + 2);

	if (total < IPV4_HEADER_BYTES + TCP_HEADER_BYTES || IP_OFFSET + total > buf->length)
		return 0;
	return total - IPV4_HEADER_BYTES;
}

bool tcp_rx_fast(struct net *net, struct buf *buf)
{
	const uint8_t *frame = buf->data;
	struct ip_packet packet;
	struct tcp_header header;
	struct tcp_conn *conn;
	uint32_t tcp_bytes;
	struct tcp_in in;
	int bytes;

	if (buf->length < TCP_OFFSET + TCP_HEADER_BYTES || buf->next || !is_foretold(net, frame))
		return false;
	tcp_bytes = tcp_bytes_of(buf);
	if (!tcp_bytes)
		return false;
	bytes = tcp_parse(&header, frame + TCP_OFFSET, tcp_bytes);
	if (bytes < 0)
		return false;
	packet.source = ip_address_v4(load_be32(frame + IP_OFFSET + 12));
	packet.destination = ip_address_v4(net->foretold_ip);
	/* Who is connected has an address that may connect. */
	conn = conn_find(net->tcp, &packet.destination, header.destination_port, &packet.source,
			 header.source_port);
	if (!conn || conn->state < TCP_STATE_ESTABLISHED || conn->state == TCP_STATE_TIME_WAIT ||
	    !is_intact(frame, buf, tcp_bytes) ||
	    tcp_options_parse(&in.options, &header, frame + TCP_OFFSET) < 0)
		return false;
	count(net, buf->length, tcp_bytes);
	packet.to_group = packet.is_local = packet.is_v6 = false;
	packet.is_frame = true;
	packet.header = NULL;
	in.packet = &packet;
	in.buf = buf;
	in.seq = header.sequence;
	in.ack = header.acknowledgment;
	in.window = header.window;
	in.source_port = header.source_port;
	in.destination_port = header.destination_port;
	in.flags = header.flags;
	in.is_marked = (frame[IP_OFFSET + 1] & ECN_MASK) == ECN_CE;
	in.length = tcp_bytes - (uint32_t)bytes;
	buf->data += TCP_OFFSET + (uint32_t)bytes;
	buf->length = in.length;
	conn_rx(conn, &in);
	if (in.buf)
		netdev_release(net->device, in.buf);
	return true;
}

/* ---- Out ---- */

_Static_assert(sizeof(((struct tcp_headers *)NULL)->bytes) >=
		       ETH_HEADER_BYTES_MAX + IPV6_HEADER_BYTES,
	       "the longest headers fit");
_Static_assert(NETDEV_HEAD_ROOM >= TCP_LOWER_BYTES, "all of them may be copied in front of TCP's");

void tcp_headers_prepare(struct tcp_conn *conn)
{
	struct tcp_headers *headers = &conn->headers;
	const struct path *path = &conn->path;
	struct net *net = net_of(conn);
	bool is_v6 = !ip_address_is_v4(&conn->remote);
	uint32_t ip_bytes = is_v6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
	uint8_t *end = headers->bytes + TCP_LOWER_BYTES;
	const struct ip_send send = {
		.path = path,
		.source = conn->local,
		.protocol = IPPROTO_TCP,
		.hop_limit = conn->settings.hop_limit,
		.traffic_class = conn->settings.traffic_class,
		.dont_fragment = true,
	};
	const struct eth_header eth = {
		.source = net->mac,
		.type = is_v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4,
		.tag = net->vlan,
		.tagged = net->vlan != 0,
	};

	headers->generation = 0;
	/* Over the narrowest paths each packet is one that may be fragmented, with a number of its own. */
	if (!path->neighbour || path->generation != net->generation || path->mtu <= PMTU_V4_LOWEST)
		return;
	ip_emit(net, &send, end - ip_bytes, 0);
	eth_emit(end - ip_bytes - net->link_bytes, net->link_bytes, &eth);
	if (!is_v6) {
		store_be16(end - ip_bytes + IPV4_CHECKSUM_OFFSET, 0);
		store_be16(end - ip_bytes + 2, 0);
		headers->ip_sum = checksum_fold(checksum_add(0, end - ip_bytes, ip_bytes));
	}
	headers->pseudo_sum = checksum_fold(
		checksum_pseudo(&conn->local, &conn->remote, IPPROTO_TCP, 0));
	headers->length = (uint8_t)(net->link_bytes + ip_bytes);
	headers->is_v6 = is_v6;
	headers->device_completes = is_v6 ? net->device->caps.checksum_v6
					  : net->device->caps.checksum_v4;
	headers->generation = net->generation;
}

void tcp_lower_fill(const struct tcp_conn *conn, uint8_t *tcp, uint32_t length)
{
	const struct tcp_headers *headers = &conn->headers;
	uint8_t *ip;

	memcpy(tcp - TCP_LOWER_BYTES, headers->bytes, TCP_LOWER_BYTES);
	memcpy(tcp - headers->length, conn->path.neighbour->link.bytes, ETH_ADDRESS_BYTES);
	if (headers->is_v6) {
		ip = tcp - IPV6_HEADER_BYTES;
		store_be16(ip + IPV6_PAYLOAD_LENGTH_OFFSET, (uint16_t)length);
		return;
	}
	ip = tcp - IPV4_HEADER_BYTES;
	store_be16(ip + 2, (uint16_t)(IPV4_HEADER_BYTES + length));
	store_be16(ip + IPV4_CHECKSUM_OFFSET,
		   checksum_finish((uint64_t)headers->ip_sum +
				   htobe16((uint16_t)(IPV4_HEADER_BYTES + length))));
}

void tcp_tx_fast(struct tcp_conn *conn, struct buf *head, uint32_t length)
{
	const struct tcp_headers *headers = &conn->headers;
	struct net *net = net_of(conn);
	uint32_t ip_bytes = headers->is_v6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;

	tcp_lower_fill(conn, head->data, length);
	if (head->flags & BUF_CHECKSUM) {
		head->transmit.network_bytes = (uint8_t)ip_bytes;
		head->transmit.link_bytes = net->link_bytes;
	}
	head->data -= headers->length;
	head->length += headers->length;
	conn->path.neighbour->used_ns = net->now_ns;
	net_count_tx(net, headers->is_v6 ? NET_LAYER_IPV6 : NET_LAYER_IPV4, ip_bytes + length);
	net_count_tx(net, NET_LAYER_ETH, headers->length + length);
	net->tx[net->tx_count++] = head;
}
