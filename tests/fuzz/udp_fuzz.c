/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for UDP over both versions of IP: what is taken is emitted as it was, and the
 * checksum of a datagram says of one of its bits whether it is another.
 */
#include "wire_fuzz.h"

#include "wire/udp.h"

static const struct ip_address sources[] = {{{[10] = 0xff, 0xff, 10, 0, 0, 1}},
					    {{0xfe, 0x80, [15] = 1}}},
			       destinations[] = {{{[10] = 0xff, 0xff, 10, 0, 0, 2}},
						 {{0xfe, 0x80, [15] = 2}}};

static void check_checksum(const struct udp_header *header, uint8_t *data, bool over_v6)
{
	const struct ip_address *source = &sources[over_v6], *destination = &destinations[over_v6];
	struct udp_header mended = *header;

	store_be16(data + UDP_CHECKSUM_OFFSET, 0);
	mended.checksum = udp_checksum(source, destination, data, header->total_bytes);
	must(mended.checksum);
	must(udp_emit(data, UDP_HEADER_BYTES, &mended) == UDP_HEADER_BYTES);
	must(udp_verify(&mended, source, destination, data) == 0);
	data[header->total_bytes - 1] ^= 1;
	must(header->total_bytes == UDP_HEADER_BYTES ||
	     udp_verify(&mended, source, destination, data) == -WIRE_BAD_CHECKSUM);
}

static void over(bool v6, const uint8_t *data, size_t size)
{
	uint8_t again[UDP_HEADER_BYTES], *copy;
	struct udp_header header;

	if (checked(udp_parse(&header, data, size, v6), size) < 0)
		return;
	must(header.total_bytes >= UDP_HEADER_BYTES && header.total_bytes <= size);
	must(header.destination_port && (!v6 || header.checksum));
	must(udp_emit(again, sizeof(again), &header) == UDP_HEADER_BYTES);
	must(!memcmp(again, data, UDP_HEADER_BYTES));
	checked(udp_verify(&header, &sources[v6], &destinations[v6], data), 0);
	copy = copy_of(data, header.total_bytes);
	check_checksum(&header, copy, v6);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	over(false, data, size);
	over(true, data, size);
	return 0;
}
