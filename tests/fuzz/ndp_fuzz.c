/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for neighbor discovery: the first byte chooses source and destination, the rest is
 * the message. What is taken and emitted again is understood the same way.
 */
#include "wire_fuzz.h"

#include "wire/icmp6.h"
#include "wire/ndp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ip_address sources[] = {{{0}},
						    {{0xfe, 0x80, [15] = 1}},
						    {{0x20, 1, [15] = 1}}},
				       destinations[] = {{{0xff, 2, [15] = 1}},
							 {{0xfe, 0x80, [15] = 2}},
							 {{0xff, 2, [11] = 1, 0xff, 0, 0, 2}}};
	const struct ip_address *source, *destination;
	struct ndp_message message, again;
	struct icmp6_message outer;
	uint8_t bytes[512];
	int length;

	if (!size)
		return 0;
	source = &sources[data[0] % 3];
	destination = &destinations[data[0] / 3 % 3];
	data++;
	size--;
	if (checked(ndp_parse(&message, source, destination, NDP_HOP_LIMIT, data, size), size) < 0)
		return 0;
	must(message.prefix_count <= NDP_PREFIXES_MAX);
	length = ndp_emit(bytes, sizeof(bytes), source, destination, &message);
	must(length > 0 && length <= (int)sizeof(bytes));
	must(icmp6_parse(&outer, source, destination, bytes, (size_t)length) > 0);
	must(ndp_parse(&again, source, destination, NDP_HOP_LIMIT, bytes, (size_t)length) ==
	     length);
	must(!memcmp(&message, &again, sizeof(again)));
	return 0;
}
