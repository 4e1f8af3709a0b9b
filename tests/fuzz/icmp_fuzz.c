/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for ICMP, ICMPv6 and the packets that their errors quote. */
#include "wire_fuzz.h"

#include "wire/icmp.h"
#include "wire/icmp6.h"
#include "wire/quoted.h"

static const struct ip_address source = {{0xfe, 0x80, [15] = 1}},
			       destination = {{0xfe, 0x80, [15] = 2}};

static void check_quoted(int result, const struct quoted_packet *quoted, size_t length)
{
	if (checked(result, length) >= 0)
		must(quoted->upper_offset + 8u <= length);
}

static void v4(const uint8_t *data, size_t size)
{
	uint8_t *copy = copy_of(data, size), *again = copy_of(data, size);
	struct quoted_packet quoted;
	struct icmp_message message, second;
	int at;

	memset(&message, 0, sizeof(message));
	memset(&second, 0, sizeof(second));
	mend(copy, size, 2, 0);
	at = checked(icmp_parse(&message, copy, size), size);
	if (at > 0) {
		must(icmp_emit(again, size, &message, copy + at, size - (size_t)at) == (int)size);
		must(icmp_parse(&second, again, size) == at);
		must(!memcmp(&message, &second, sizeof(message)));
	}
	if (at > 0 && icmp_is_error(&message))
		check_quoted(quoted_parse_v4(&quoted, copy + at, size - (size_t)at), &quoted,
			     size - (size_t)at);
	free(again);
	free(copy);
}

static void v6(const uint8_t *data, size_t size)
{
	uint8_t *copy = copy_of(data, size);
	struct quoted_packet quoted;
	struct icmp6_message message;
	int at;

	mend(copy, size, 2, checksum_pseudo(&source, &destination, IPPROTO_ICMPV6, (uint32_t)size));
	at = checked(icmp6_parse(&message, &source, &destination, copy, size), size);
	if (at > 0 && icmp6_is_error(&message))
		check_quoted(quoted_parse_v6(&quoted, copy + at, size - (size_t)at), &quoted,
			     size - (size_t)at);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > UINT16_MAX)
		return 0;
	v4(data, size);
	v6(data, size);
	return 0;
}
