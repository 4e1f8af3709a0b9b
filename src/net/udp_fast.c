/* SPDX-License-Identifier: MIT */
#include "net/udp_fast.h"

#include <netinet/in.h>
#include <string.h>

#include "net/eth.h"
#include "net/neighbour.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

/* Offsets in a frame without a tag, whose IP header has no options. */
#define IP_OFFSET ETH_HEADER_BYTES
#define UDP_OFFSET (IP_OFFSET + IPV4_HEADER_BYTES)
#define PAYLOAD_OFFSET (UDP_OFFSET + UDP_HEADER_BYTES)

/* In an IPv4 header. */
#define IDENTIFICATION_OFFSET 4
#define FRAGMENT_OFFSET 6

/* Ethernet type, version and header length: all but the traffic class of a word. */
#define TYPE_AND_VERSION (ETH_TYPE_IPV4 << 8 | 0x45u)
/* Of the word from identification on: fragment bits, offset and protocol. */
#define FRAGMENT_AND_PROTOCOL 0x00003fff00ff0000u
#define WHOLE_UDP ((uint64_t)IPPROTO_UDP << 16)

/* ---- In ---- */

/* Whether a host on another machine can have sent from there; unsure about some that could. */
static inline bool is_plain_source(uint32_t source, uint32_t own)
{
	uint32_t first = source >> 24;

	/* 0.0.0.0/8 and loopback, groups and above; a subnet's broadcast address ends in ones. */
	return first - 1 < 223 && first != 127 && (source & 3) != 3 && source != own;
}

/* The frame's Ethernet header and what of IP's is the same in all. */
static inline bool is_foretold(const struct net *net, const uint8_t *frame)
{
	/* The peer's address begins behind ours: a group's has the lowest bit of its first byte. */
	uint64_t link = load_be64(frame);

	/* No address is foretold as 0.0.0.0, which somebody may send to. */
	return link >> 16 == net->foretold_link && !(link & 0x100) &&
	       load_be32(frame + 12) >> 8 == TYPE_AND_VERSION &&
	       load_be32(frame + IP_OFFSET + 16) == net->foretold_ip && net->foretold_ip != 0;
}

static inline bool is_from_us(const struct net *net, const uint8_t *frame)
{
	return (load_be64(frame + 4) & 0xffffffffffff) == net->foretold_link;
}

/* The only socket of a port, if it takes what comes from this source; or NULL. */
static inline struct udp_socket *find(const struct net *net, uint32_t source, uint16_t source_port,
				      uint16_t port)
{
	struct udp_socket *socket = net->udp->ports[port];

	if (!socket || socket->next || socket->is_v6)
		return NULL;
	if (ip_address_low32(&socket->local) != net->foretold_ip &&
	    ip_address_low32(&socket->local) != 0)
		return NULL;
	if (socket->peer_port &&
	    (socket->peer_port != source_port || ip_address_low32(&socket->peer) != source))
		return NULL;
	return socket;
}

/* Both checksums. Sums do not mind the byte order, as long as it is one: memory's here. */
static inline bool is_intact(const uint8_t *frame, const struct buf *buf, uint32_t udp_bytes)
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
	if (load_be16(frame + UDP_OFFSET + UDP_CHECKSUM_OFFSET) == 0)
		return false;
	sum = (uint64_t)htobe32(udp_bytes) + htobe32(IPPROTO_UDP);
	sum = checksum_add_words(sum, addresses);
	sum = checksum_add_words(sum, checksum_add(0, frame + UDP_OFFSET, udp_bytes));
	return checksum_is_valid(sum);
}

static inline void count(struct net *net, uint32_t frame_bytes, uint32_t udp_bytes)
{
	net_count_rx(net, NET_LAYER_ETH, frame_bytes);
	net_count_rx(net, NET_LAYER_IPV4, IPV4_HEADER_BYTES + udp_bytes);
	net_count_rx(net, NET_LAYER_UDP, udp_bytes);
}

typedef uint64_t source_words __attribute__((vector_size(16)));

/*
 * The family, the port and the address in one store of 16 bytes: the application gets a copy by one
 * load of 16, which would have to wait for several stores to reach the cache.
 */
static inline void set_source(struct buf *buf, const uint8_t *frame)
{
	uint32_t address;
	uint16_t port;
	source_words words = {0, 0};

	memcpy(&address, frame + IP_OFFSET + 12, sizeof(address));
	memcpy(&port, frame + UDP_OFFSET, sizeof(port));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	words[0] = (uint64_t)address << 32 | (uint64_t)port << 16 | AF_INET;
#else
	words[0] = (uint64_t)AF_INET << 48 | (uint64_t)port << 32 | address;
#endif
	memcpy(&buf->source, &words, sizeof(words));
}

bool udp_rx_fast(struct net *net, struct buf *buf)
{
	const uint8_t *frame = buf->data;
	uint32_t udp_bytes, source;
	struct udp_socket *socket;
	uint16_t source_port;

	if (buf->length < PAYLOAD_OFFSET || buf->next || !is_foretold(net, frame) ||
	    is_from_us(net, frame) ||
	    (load_be64(frame + IP_OFFSET + 4) & FRAGMENT_AND_PROTOCOL) != WHOLE_UDP)
		return false;
	source = load_be32(frame + IP_OFFSET + 12);
	source_port = load_be16(frame + UDP_OFFSET);
	udp_bytes = load_be16(frame + UDP_OFFSET + 4);
	/* The datagram fills the packet, and the frame holds it. */
	if (udp_bytes < UDP_HEADER_BYTES || UDP_OFFSET + udp_bytes > buf->length ||
	    load_be16(frame + IP_OFFSET + 2) != IPV4_HEADER_BYTES + udp_bytes ||
	    !is_plain_source(source, net->foretold_ip))
		return false;
	socket = find(net, source, source_port, load_be16(frame + UDP_OFFSET + 2));
	if (!socket || !is_intact(frame, buf, udp_bytes))
		return false;
	count(net, buf->length, udp_bytes);
	buf->data += PAYLOAD_OFFSET;
	buf->length = udp_bytes - UDP_HEADER_BYTES;
	set_source(buf, frame);
	udp_give(socket, buf);
	return true;
}

/* ---- Out ---- */

_Static_assert(sizeof(((struct udp_headers *)NULL)->bytes) >=
		       ETH_HEADER_BYTES_MAX + IPV6_HEADER_BYTES + UDP_HEADER_BYTES,
	       "the longest headers fit");
_Static_assert(NETDEV_HEAD_ROOM + UDP_HEADER_BYTES >= UDP_HEADERS_BYTES,
	       "all of them may be copied in front of a payload");

/* The first eight bytes of the struct sockaddr_in that an application gives. */
static uint64_t socket_address_of(const struct ip_address *ip, uint16_t port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htobe16(port),
		.sin_addr = ip_address_to_in(ip),
	};
	uint64_t begin;

	memcpy(&begin, &address, sizeof(begin));
	return begin;
}

void udp_prepare_fast(struct udp_socket *socket, const struct ip_address *source, uint16_t port)
{
	struct udp_headers *headers = &socket->headers;
	const struct path *path = &socket->path;
	struct net *net = socket->net;
	bool is_v6 = !ip_address_is_v4(&path->destination);
	uint32_t ip_bytes = is_v6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
	uint8_t *udp = headers->bytes + UDP_HEADERS_BYTES - UDP_HEADER_BYTES;
	struct ip_send send = {
		.path = path,
		.source = *source,
		.protocol = IPPROTO_UDP,
		.hop_limit = socket->hop_limit,
		.traffic_class = socket->traffic_class,
		.atomic = true,
	};
	struct eth_header eth = {
		.source = net->mac,
		.type = is_v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4,
		.tag = net->vlan,
		.tagged = net->vlan != 0,
	};

	headers->generation = 0;
	/* Those need more thought for each datagram. */
	if (!path->neighbour || path->generation != net->generation)
		return;
	headers->is_fragmentable = !is_v6 && socket->mtu_discover == IP_PMTUDISC_DONT;
	ip_emit(net, &send, udp - ip_bytes, 0);
	eth_emit(udp - ip_bytes - net->link_bytes, net->link_bytes, &eth);
	udp_emit(udp, UDP_HEADER_BYTES,
		 &(struct udp_header){.source_port = socket->local_port, .destination_port = port});
	if (!is_v6) {
		store_be16(udp - ip_bytes + IPV4_CHECKSUM_OFFSET, 0);
		store_be16(udp - ip_bytes + 2, 0);
		if (headers->is_fragmentable)
			store_be16(udp - ip_bytes + FRAGMENT_OFFSET, 0);
		headers->ip_sum = checksum_add(0, udp - ip_bytes, ip_bytes);
	}
	headers->pseudo_sum = checksum_pseudo(source, &path->destination, IPPROTO_UDP, 0);
	headers->udp_sum = checksum_add_words(headers->pseudo_sum,
					      checksum_add(0, udp, UDP_HEADER_BYTES));
	headers->length = (uint8_t)(net->link_bytes + ip_bytes + UDP_HEADER_BYTES);
	headers->is_v6 = is_v6;
	headers->port = port;
	headers->socket_address = socket_address_of(&path->destination, port);
	headers->payload_max = path->mtu - ip_bytes - UDP_HEADER_BYTES;
	if (headers->payload_max > net->copy_max)
		headers->payload_max = net->copy_max;
	headers->device_completes = is_v6 ? net->device->caps.checksum_v6
					  : net->device->caps.checksum_v4;
	headers->generation = net->generation;
}

/* Whether the headers, which lead to the right place, may be used without asking anybody. */
static inline bool fits(const struct udp_socket *socket, uint32_t length)
{
	const struct udp_headers *headers = &socket->headers;
	const struct neighbour *neighbour = socket->path.neighbour;
	const struct net *net = socket->net;

	/* No bytes are refused: length - 1 is more than any payload then. */
	return length - 1 < headers->payload_max &&
	       headers->length + length >= ETH_FRAME_BYTES_MIN &&
	       neighbour->state == NEIGHBOUR_REACHABLE &&
	       net->now_ns < neighbour->confirmed_until_ns && net->tx_count < NETDEV_BURST_MAX;
}

/* The fields that differ between datagrams. @udp: the UDP header, with the others in front. */
static inline void patch(const struct udp_headers *headers, uint8_t *udp, uint32_t udp_bytes,
			 struct net *net)
{
	uint16_t identification = 0;
	uint8_t *ip;

	store_be16(udp + 4, (uint16_t)udp_bytes);
	if (headers->is_v6) {
		store_be16(udp - IPV6_HEADER_BYTES + IPV6_PAYLOAD_LENGTH_OFFSET,
			   (uint16_t)udp_bytes);
		return;
	}
	ip = udp - IPV4_HEADER_BYTES;
	store_be16(ip + 2, (uint16_t)(IPV4_HEADER_BYTES + udp_bytes));
	if (unlikely(headers->is_fragmentable)) {
		identification = ip_identification(net);
		store_be16(ip + IDENTIFICATION_OFFSET, identification);
	}
	store_be16(ip + IPV4_CHECKSUM_OFFSET,
		   checksum_finish(headers->ip_sum + htobe16(identification) +
				   htobe16((uint16_t)(IPV4_HEADER_BYTES + udp_bytes))));
}

static inline void checksum(const struct udp_headers *headers, struct buf *buf, uint8_t *udp,
			    uint32_t udp_bytes, const struct net *net)
{
	/* The length counts twice, in the pseudo header and in the real one. */
	uint64_t length = htobe16((uint16_t)udp_bytes);
	uint64_t sum;

	if (likely(!headers->device_completes)) {
		sum = checksum_add_words(headers->udp_sum,
					 checksum_add(2 * length, udp + UDP_HEADER_BYTES,
						      udp_bytes - UDP_HEADER_BYTES));
		store_be16(udp + UDP_CHECKSUM_OFFSET, checksum_finish_udp(sum));
		return;
	}
	/* Of the pseudo header alone: without the ports. */
	sum = checksum_add_words(headers->pseudo_sum, length);
	store_be16(udp + UDP_CHECKSUM_OFFSET, checksum_partial(sum));
	buf->flags |= BUF_CHECKSUM;
	buf->transmit.protocol = IPPROTO_UDP;
	buf->transmit.link_bytes = net->link_bytes;
	buf->transmit.network_bytes = headers->is_v6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
	buf->transmit.is_v6 = headers->is_v6;
}

bool udp_tx_fast(struct udp_socket *socket, const demi_sgarray_t *sga, uint32_t length)
{
	const struct udp_headers *headers = &socket->headers;
	uint32_t udp_bytes = UDP_HEADER_BYTES + length;
	struct net *net = socket->net;
	uint8_t *udp, *payload;
	struct buf *buf;

	if (!fits(socket, length))
		return false;
	buf = netdev_alloc(net->device);
	if (unlikely(!buf))
		return false;
	udp = buf->data;
	memcpy(udp + UDP_HEADER_BYTES - UDP_HEADERS_BYTES, headers->bytes, UDP_HEADERS_BYTES);
	payload = udp + UDP_HEADER_BYTES;
	memcpy(payload, sga->sga_segs[0].sgaseg_buf, sga->sga_segs[0].sgaseg_len);
	for (uint32_t i = 1; unlikely(i < sga->sga_numsegs); i++) {
		payload += sga->sga_segs[i - 1].sgaseg_len;
		memcpy(payload, sga->sga_segs[i].sgaseg_buf, sga->sga_segs[i].sgaseg_len);
	}
	net_count_copy(net, length);
	/* Whose address may have changed, or was not known when the headers were made. */
	memcpy(udp + UDP_HEADER_BYTES - headers->length, socket->path.neighbour->link.bytes,
	       ETH_ADDRESS_BYTES);
	patch(headers, udp, udp_bytes, net);
	checksum(headers, buf, udp, udp_bytes, net);
	buf->data = udp + UDP_HEADER_BYTES - headers->length;
	buf->length = headers->length + length;
	socket->path.neighbour->used_ns = net->now_ns;
	net_count_tx(net, NET_LAYER_UDP, udp_bytes);
	net_count_tx(net, headers->is_v6 ? NET_LAYER_IPV6 : NET_LAYER_IPV4,
		     buf->length - net->link_bytes);
	net_count_tx(net, NET_LAYER_ETH, buf->length);
	net->tx[net->tx_count++] = buf;
	return true;
}
