/* SPDX-License-Identifier: MIT */
#include "netdev/sim_checksum.h"

#include "wire/checksum.h"
#include "wire/eth.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"
#include "wire/udp.h"

bool sim_checksum_complete(unsigned char *data, uint32_t length,
			   const struct buf_transmit *transmit)
{
	bool is_udp = transmit->protocol == IPPROTO_UDP;
	uint32_t link = transmit->link_bytes, start = link + transmit->network_bytes, end;
	uint32_t header = is_udp ? UDP_HEADER_BYTES : TCP_HEADER_BYTES;
	unsigned char *field = data + start + (is_udp ? UDP_CHECKSUM_OFFSET : TCP_CHECKSUM_OFFSET);
	uint64_t sum;

	if ((!is_udp && transmit->protocol != IPPROTO_TCP) || start + header > length)
		return false;
	/* Not further than the packet: padding may follow. */
	end = transmit->is_v6 ? link + IPV6_HEADER_BYTES +
					load_be16(data + link + IPV6_PAYLOAD_LENGTH_OFFSET)
			      : link + load_be16(data + link + 2);
	if (end > length || start + header > end)
		return false;
	sum = checksum_add(0, data + start, end - start);
	store_be16(field, is_udp ? checksum_finish_udp(sum) : checksum_finish(sum));
	return true;
}

static bool verify_upper(const struct ip_address *source, const struct ip_address *destination,
			 uint8_t protocol, const unsigned char *data, uint32_t length)
{
	bool is_v6 = !ip_address_is_v4(source);
	struct udp_header udp;

	if (protocol == IPPROTO_UDP) {
		if (udp_parse(&udp, data, length, is_v6) < 0 || udp.checksum == 0)
			return false;
		length = udp.total_bytes;
	} else if (protocol != IPPROTO_TCP || length < TCP_HEADER_BYTES) {
		return false;
	}
	return checksum_is_valid(
		checksum_add(checksum_pseudo(source, destination, protocol, length), data, length));
}

static bool verify_v4(const unsigned char *data, uint32_t length)
{
	struct ipv4_header ip;
	int header = ipv4_parse(&ip, data, length);

	return header > 0 && !ipv4_is_fragment(&ip) &&
	       verify_upper(&ip.source, &ip.destination, ip.protocol, data + header,
			    ip.total_bytes - (uint32_t)header);
}

static bool verify_v6(const unsigned char *data, uint32_t length)
{
	struct ipv6_header ip;
	int header = ipv6_parse(&ip, data, length);

	return header > 0 && verify_upper(&ip.source, &ip.destination, ip.next_header,
					  data + header, ip.payload_bytes);
}

bool sim_checksum_verify(const unsigned char *data, uint32_t length)
{
	struct eth_header eth;
	int header = eth_parse(&eth, data, length);

	if (header < 0)
		return false;
	data += header;
	length -= (uint32_t)header;
	if (eth.type == ETH_TYPE_IPV4)
		return verify_v4(data, length);
	return eth.type == ETH_TYPE_IPV6 && verify_v6(data, length);
}
