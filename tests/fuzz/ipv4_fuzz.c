/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for the IPv4 header: what is taken without options is emitted as it was. */
#include "wire_fuzz.h"

#include "wire/ipv4.h"

static void check(const struct ipv4_header *header, const uint8_t *data, size_t size)
{
	uint8_t again[IPV4_HEADER_BYTES_MAX];

	must(header->header_bytes <= header->total_bytes && header->total_bytes <= size);
	must(header->fragment_offset_bytes + header->total_bytes <= IPV4_PACKET_BYTES_MAX);
	must(!ip_address_is_multicast(&header->source) && ip_address_is_v4(&header->source));
	/* The reserved bit is not kept. */
	if (header->header_bytes != IPV4_HEADER_BYTES || data[6] & 0x80)
		return;
	must(ipv4_emit(again, sizeof(again), header) == IPV4_HEADER_BYTES);
	must(!memcmp(again, data, IPV4_HEADER_BYTES));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = copy_of(data, size);
	struct ipv4_header header;
	size_t header_bytes = size ? (copy[0] & 0xf) * 4u : 0;

	checked(ipv4_parse(&header, data, size), size);
	if (header_bytes <= size)
		mend(copy, header_bytes, IPV4_CHECKSUM_OFFSET, 0);
	if (checked(ipv4_parse(&header, copy, size), size) > 0)
		check(&header, copy, size);
	free(copy);
	return 0;
}
