/* SPDX-License-Identifier: MIT */
#include "libos/catnip/sockaddr.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

int sockaddr_load(const struct sockaddr *address, socklen_t length, bool is_v6,
		  struct ip_address *ip, uint16_t *port)
{
	/* More is allowed: the size of a larger structure that begins with the address. */
	const socklen_t least = is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	sa_family_t family;

	if (length < sizeof(family) || length > sizeof(struct sockaddr_storage))
		return -EINVAL;
	memcpy(&family, (const char *)address + offsetof(struct sockaddr, sa_family),
	       sizeof(family));
	if (family != (is_v6 ? AF_INET6 : AF_INET))
		return -EAFNOSUPPORT;
	if (length < least)
		return -EINVAL;
	if (is_v6) {
		memcpy(&in6, address, sizeof(in6));
		*ip = ip_address_from_in6(&in6.sin6_addr);
		*port = be16toh(in6.sin6_port);
	} else {
		memcpy(&in, address, sizeof(in));
		*ip = ip_address_from_in(in.sin_addr);
		*port = be16toh(in.sin_port);
	}
	return 0;
}

void sockaddr_store(struct sockaddr *address, socklen_t *length, bool is_v6,
		    const struct ip_address *ip, uint16_t port)
{
	union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} whole;
	socklen_t room = *length;

	memset(&whole, 0, sizeof(whole));
	if (is_v6) {
		whole.in6.sin6_family = AF_INET6;
		whole.in6.sin6_port = htobe16(port);
		whole.in6.sin6_addr = ip_address_to_in6(ip);
		*length = sizeof(whole.in6);
	} else {
		whole.in.sin_family = AF_INET;
		whole.in.sin_port = htobe16(port);
		whole.in.sin_addr = ip_address_to_in(ip);
		*length = sizeof(whole.in);
	}
	memcpy(address, &whole, room < *length ? room : *length);
}
