/* SPDX-License-Identifier: MIT */
/*
 * The programs of the afxdp device. The XDP program, steer: what is for us goes to our AF_XDP
 * sockets, everything else to the kernel, whose own addresses on the interface live on. It cannot
 * give a frame to both, so what both may need (broadcasts, groups) goes to the kernel, and we read
 * a copy from a packet socket (afxdp_overhear.c), whose filter, overhear, says what of it is for us.
 *
 * Decided by addresses alone, so that fragments go where their packet goes. No frame is dropped
 * here: where nothing is understood the kernel decides.
 */
#include <linux/bpf.h>
#include <linux/if_packet.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "netdev/afxdp_maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, STEER_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} steer_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_ADDRESSES_MAX);
	__type(key, struct steer_address);
	__type(value, __u8);
} steer_addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_STATIONS_MAX);
	__type(key, struct steer_station);
	__type(value, __u8);
} steer_stations SEC(".maps");

enum {
	ETHERNET_BYTES = 14,
	TAG_BYTES = 4,
	TYPE_IPV4 = 0x0800,
	TYPE_ARP = 0x0806,
	TYPE_TAG = 0x8100,
	TYPE_IPV6 = 0x86dd,
	ARP_BYTES = 28,
	ARP_TARGET_AT = 24, /* the protocol address, RFC 826 */
	IPV4_BYTES = 20,
	IPV4_DESTINATION_AT = 16,
	IPV6_BYTES = 40,
	IPV6_NEXT_HEADER_AT = 6,
	IPV6_DESTINATION_AT = 24,
	NEXT_HEADER_ICMPV6 = 58,
	SOLICITATION_BYTES = 24,
	SOLICITATION_TARGET_AT = 8, /* RFC 4861, section 4.3 */
	SOLICITATION_TYPE = 135,
	STATION_BYTES = 6,
	STATION_IS_GROUP = 1, /* in the first byte: IEEE 802, 8.2.2 */
};

static __always_inline int address_is_ours(const struct steer_address *address)
{
	return bpf_map_lookup_elem(&steer_addresses, address) != 0;
}

/* Bytes one by one, since nothing here is aligned. */
static __always_inline int v4_is_ours(const __u8 *bytes)
{
	struct steer_address address = {{0}};

	address.bytes[10] = 0xff;
	address.bytes[11] = 0xff;
	__builtin_memcpy(address.bytes + 12, bytes, 4);
	return address_is_ours(&address);
}

static __always_inline int v6_is_ours(const __u8 *bytes)
{
	struct steer_address address;

	__builtin_memcpy(address.bytes, bytes, sizeof(address.bytes));
	return address_is_ours(&address);
}

static __always_inline int station_is_ours(const __u8 *frame)
{
	struct steer_station station = {{0}};

	if (frame[0] & STATION_IS_GROUP)
		return 0;
	__builtin_memcpy(station.bytes, frame, STATION_BYTES);
	return bpf_map_lookup_elem(&steer_stations, &station) != 0;
}

/*
 * A solicitation goes to a group that the kernel and we may both be in, and is for who has the
 * target. Others than the first headers are no neighbour discovery that anybody acts on (RFC 6980).
 */
static __always_inline int is_solicitation(const __u8 *ip, const __u8 *end)
{
	return ip + IPV6_BYTES + SOLICITATION_BYTES <= end &&
	       ip[IPV6_NEXT_HEADER_AT] == NEXT_HEADER_ICMPV6 && ip[IPV6_BYTES] == SOLICITATION_TYPE;
}

static __always_inline int ipv6_is_ours(const __u8 *ip, const __u8 *end)
{
	if (ip + IPV6_BYTES > end)
		return 0;
	return v6_is_ours(ip + IPV6_DESTINATION_AT);
}

static __always_inline int frame_is_ours(const __u8 *frame, const __u8 *end)
{
	const __u8 *packet = frame + ETHERNET_BYTES;
	__u16 type;

	if (packet > end)
		return 0;
	type = (__u16)(frame[12] << 8 | frame[13]);
	if (type == TYPE_TAG) {
		packet += TAG_BYTES;
		if (packet > end)
			return 0;
		type = (__u16)(packet[-2] << 8 | packet[-1]);
	}
	if (type == TYPE_ARP && packet + ARP_BYTES <= end && v4_is_ours(packet + ARP_TARGET_AT))
		return 1;
	if (type == TYPE_IPV4 && packet + IPV4_BYTES <= end &&
	    v4_is_ours(packet + IPV4_DESTINATION_AT))
		return 1;
	if (type == TYPE_IPV6 && is_solicitation(packet, end))
		return v6_is_ours(packet + IPV6_BYTES + SOLICITATION_TARGET_AT);
	if (type == TYPE_IPV6 && ipv6_is_ours(packet, end))
		return 1;
	return station_is_ours(frame);
}

/* cppcheck-suppress unknownMacro */
SEC("xdp")
int steer(struct xdp_md *context)
{
	const __u8 *frame = (const __u8 *)(long)context->data;
	const __u8 *end = (const __u8 *)(long)context->data_end;

	/* To the kernel too when no socket serves the queue that it came by. */
	if (frame_is_ours(frame, end))
		return (int)bpf_redirect_map(&steer_sockets, context->rx_queue_index, XDP_PASS);
	return XDP_PASS;
}

/* What the packet socket keeps: the bytes of it, 0 for none. */
SEC("socket")
int overhear(struct __sk_buff *packet)
{
	struct steer_station station = {{0}};

	/* Not what this machine sends. */
	if (packet->pkt_type == PACKET_OUTGOING ||
	    bpf_skb_load_bytes(packet, 0, station.bytes, STATION_BYTES) != 0 ||
	    !(station.bytes[0] & STATION_IS_GROUP))
		return 0;
	return bpf_map_lookup_elem(&steer_stations, &station) ? -1 : 0;
}

/* Only programs under the GPL may use some of the kernel's functions; this one uses none of them. */
char steer_license[] SEC("license") = "MIT";
