/* SPDX-License-Identifier: MIT */
/*
 * IP of both versions: in, up to the transport; out, down to the neighbour; fragments both ways;
 * path MTUs.
 */
#ifndef DEMI_NET_IP_H
#define DEMI_NET_IP_H

#include "net/net.h"
#include "wire/ipv6.h"

/** A packet that has come in, as everything above IP sees it; valid during the call. */
struct ip_packet {
	struct ip_address source;
	struct ip_address destination;
	uint8_t protocol; /* IPPROTO_* */
	uint8_t hop_limit;
	uint8_t traffic_class;
	bool is_v6;
	bool to_group;       /* multicast or broadcast, by either address */
	bool is_local;       /* from ourselves, by loopback: checksums are not to be looked at */
	bool was_fragmented; /* had a fragment header, if only one of a whole packet (RFC 6946) */
	bool is_frame;       /* the buf is one of the device's frames */
	/*
	 * The packet from its IP header on, for ICMP errors that quote it; of a reassembled one its
	 * first fragment. It lies in the buf that comes with it, and is gone when that is. NULL:
	 * nothing can be quoted.
	 */
	const uint8_t *header;
	uint32_t header_bytes;    /* up to the transport */
	uint32_t total_bytes;     /* from header on */
	uint16_t protocol_offset; /* IPv6: in header, of the byte that names the protocol */
	struct eth_address link_source;
};

/** ip_is_ours - net_has_address for the path of a packet */
static inline bool ip_is_ours(const struct net *net, const struct ip_address *ip)
{
	for (uint32_t i = 0; i < net->address_count; i++) {
		if (ip_address_equal(&net->addresses[i].ip, ip))
			return true;
	}
	return false;
}

/** ipv4_rx, ipv6_rx - a packet behind the Ethernet header; ownership of @buf passes. */
void ipv4_rx(struct net *net, const struct eth_header *eth, struct buf *buf);
void ipv6_rx(struct net *net, const struct eth_header *eth, struct buf *buf);

/**
 * ip_deliver - hand a whole packet to its transport
 * @buf: one buf with one hold, which passes; data at the transport's header, length what the IP
 *   header says. Usually a frame of the device, otherwise one of ip_alloc; both are released by
 *   ip_free or net_drop, and given away by ip_give.
 */
void ip_deliver(struct net *net, const struct ip_packet *packet, struct buf *buf);

/** ip_free - let go of a buf of ip_deliver; ip_give - make the application its owner */
static inline void ip_free(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	(void)packet;
	netdev_release(net->device, buf);
}

static inline void ip_give(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	(void)packet;
	frame_give(net->heap, buf);
}

/**
 * ip_alloc - a buf of the heap with one hold and no owner, as a frame has: for what is not received
 * in one piece. Never to be handed to a device but by netdev_reference; NULL: no memory
 */
struct buf *ip_alloc(struct net *net, uint32_t capacity);

/**
 * ip_linearise - copy a chain that the device has scattered into one of ip_alloc
 *
 * The chain is released. Return: NULL when there is no memory, which has been counted.
 */
struct buf *ip_linearise(struct net *net, enum net_layer layer, struct buf *chain);

/** What the transport says about a packet to be sent. */
struct ip_send {
	const struct path *path; /* valid, to the destination */
	struct ip_address source;
	uint8_t protocol;
	uint8_t hop_limit; /* 0: 64, or 1 to an IPv4 group */
	uint8_t traffic_class;
	bool dont_fragment; /* -EMSGSIZE instead, and IPv4's flag */
	bool atomic;        /* IPv4: what fits the path nobody may fragment (RFC 1191, section 3) */
	bool router_alert;  /* IGMP and MLD */
	bool loop;          /* to a group that we are a member of: to ourselves too */
	bool stays;         /* to a group: to ourselves at most */
};

/**
 * ip_tx - send a packet
 * @buf: a chain, data at the transport's header; the first buf is of netdev_alloc, or a shell with
 *   head room for IP and Ethernet headers in front of its data. Ownership passes on every path.
 *
 * A packet longer than the path's MTU is fragmented, unless dont_fragment. To ourselves it goes
 * through a queue, and comes back by ip_deliver in the next poll round; such a packet is copied.
 * With BUF_CHECKSUM the transport's checksum is left to the device, and network_bytes, link_bytes,
 * protocol and is_v6 of transmit are filled in here. Of what is fragmented ip_tx completes it; of
 * what is local nobody looks at it.
 *
 * Return: 0; -EMSGSIZE (longer than any packet, or than the path with dont_fragment), -EHOSTUNREACH,
 * -ENOBUFS (no frame, queue full). Each drop is counted.
 */
int ip_tx(struct net *net, const struct ip_send *send, struct buf *buf);

/** ip_header_bytes - what ip_emit writes */
uint32_t ip_header_bytes(const struct ip_send *send);

/**
 * ip_emit - write the header of a packet that is not a fragment
 * @room: ip_header_bytes of it
 */
void ip_emit(struct net *net, const struct ip_send *send, uint8_t *room, uint32_t payload_bytes);

/** ip_hop_limit - the one that @send means */
uint8_t ip_hop_limit(const struct ip_send *send);

/** ip_identification - for an IPv4 packet that may be fragmented: none comes twice in 65,536 */
uint16_t ip_identification(struct net *net);

/** ip_tx_link - hand a packet with its header to the neighbour or group; as ip_tx returns */
int ip_tx_link(struct net *net, const struct path *path, struct buf *buf);

/* ---- to ourselves (loopback.c) ---- */

/** ip_tx_loopback - copy a packet and queue it; @chain stays the caller's. 0 or -ENOBUFS, counted */
int ip_tx_loopback(struct net *net, const struct ip_send *send, const struct buf *chain);

/** ip_poll_loopback - deliver what we have sent to ourselves; returns how many */
unsigned int ip_poll_loopback(struct net *net);

/** ip_drop_loopback - at the end: free what is under way, and net->loopback itself */
void ip_drop_loopback(struct net *net);

/* ---- longer than the path's MTU (fragment.c) ---- */

/**
 * ip_tx_fragments - send a packet in fragments, all or none
 * @payload_bytes: of the chain
 *
 * As ip_tx; payload goes by reference where the device takes chains.
 */
int ip_tx_fragments(struct net *net, const struct ip_send *send, struct buf *chain,
		    uint32_t payload_bytes);

/* ---- fragments (reassembly.c): RFC 791, RFC 815, RFC 8200 4.5, RFC 5722 ---- */

#define REASSEMBLY_PACKETS_MAX 256u   /* under way at a time */
#define REASSEMBLY_FRAGMENTS_MAX 128u /* of one packet; 65,535 bytes in pieces of 552 are 119 */
#define REASSEMBLY_QUOTED_MAX 128u    /* bytes of headers that are kept for an ICMP error */

struct fragment {
	struct ip_address source, destination;
	uint32_t identification;
	uint8_t protocol; /* IPv6: of the first fragment */
	bool is_v6;
	bool more_fragments;
	uint16_t offset_bytes;
	uint16_t skip_bytes; /* IPv6, of the first: headers in its payload before the transport's */
};

int reassembly_create(struct net *net); /* sets net->reassembly; 0 or -ENOMEM */
void reassembly_destroy(struct net *net);

/**
 * reassembly_add - one fragment
 * @buf: data is the fragment's payload; ownership passes
 * @packet: of this fragment; kept from the first one (offset 0)
 * @whole_out: the packet's, when it is whole now
 *
 * The payload is copied at once, so that no frame of the device waits. Any overlap but an exact
 * duplicate discards the packet and all that comes of it until its time is over (RFC 5722, RFC
 * 8200 4.5); so do ends that contradict one another and too many fragments. The memory, with what
 * describes it, is bounded by options.reassembly_bytes_max, that of one source to a quarter; the
 * oldest packets go first. Timeout 30 s for IPv4, 60 s for IPv6, then an ICMP time exceeded when
 * the first fragment is there.
 * Return: the whole payload in one buf of ip_alloc; NULL: not yet, or dropped and counted.
 */
struct buf *reassembly_add(struct net *net, const struct fragment *fragment,
			   const struct ip_packet *packet, struct buf *buf,
			   struct ip_packet *whole_out);

/* ---- path MTU (pmtu.c): RFC 1191, RFC 8201 ---- */

int pmtu_create(struct net *net); /* sets net->pmtu; 0 or -ENOMEM */
void pmtu_destroy(struct net *net);

/** pmtu_find - what is known of the path; the link's MTU otherwise. Entries expire after 10 min */
uint32_t pmtu_find(struct net *net, const struct ip_address *destination);

/* Of IPv4: who says less would have us send more headers than payload; routers fragment, then. */
#define PMTU_V4_LOWEST 576u

/**
 * pmtu_lower - a router says that @mtu is the most
 *
 * For IPv4 less than 576 counts as 576; for IPv6 less than 1280 is a lie (RFC 8201, section 4).
 * What is not less than what is known changes nothing: errors never raise it. Whoever calls this
 * has seen that the quoted packet can be ours.
 */
void pmtu_lower(struct net *net, const struct ip_address *destination, uint32_t mtu);

/** pmtu_plateau - the MTU to try after a router refused @total_bytes without saying more: RFC 1191, 7.1 */
uint32_t pmtu_plateau(uint32_t total_bytes);

#endif /* DEMI_NET_IP_H */
