/* SPDX-License-Identifier: MIT */
#include "wire/ipv4.h"

/* RFC 791, section 3.1; the router alert is of RFC 2113. */
enum option {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_LOOSE_SOURCE_ROUTE = 131,
	OPTION_STRICT_SOURCE_ROUTE = 137,
	OPTION_ROUTER_ALERT = 148,
};

int ipv4_options_parse(struct ipv4_header *header, const uint8_t *options, size_t length)
{
	size_t at = 0;

	while (at < length) {
		uint8_t type = options[at], bytes;

		if (type == OPTION_END)
			return 0;
		if (type == OPTION_NOP) {
			at++;
			continue;
		}
		if (length - at < 2)
			return -WIRE_BAD_OPTION;
		bytes = options[at + 1];
		if (bytes < 2 || bytes > length - at)
			return -WIRE_BAD_OPTION;
		if (type == OPTION_LOOSE_SOURCE_ROUTE || type == OPTION_STRICT_SOURCE_ROUTE)
			return -WIRE_SOURCE_ROUTE;
		if (type == OPTION_ROUTER_ALERT) {
			if (bytes != IPV4_ROUTER_ALERT_BYTES)
				return -WIRE_BAD_OPTION;
			header->router_alert = true;
		}
		at += bytes;
	}
	return 0;
}
