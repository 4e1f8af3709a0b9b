/* SPDX-License-Identifier: MIT */
/* Between the addresses of the stack and those of the connection manager. */
#ifndef DEMI_LIBOS_CATMINT_ADDRESS_H
#define DEMI_LIBOS_CATMINT_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "wire/address.h"

/** to_sockaddr - mapped addresses become IPv4's */
static inline void to_sockaddr(struct sockaddr_storage *address, const struct ip_address *ip,
			       uint16_t port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;

	memset(address, 0, sizeof(*address));
	if (ip_address_is_v4(ip)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		v4->sin_addr = ip_address_to_in(ip);
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		v6->sin6_addr = ip_address_to_in6(ip);
	}
}

/** from_sockaddr - the opposite; false: there is no address in it */
static inline bool from_sockaddr(const struct sockaddr *address, struct ip_address *ip,
				 uint16_t *port)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

	if (address->sa_family == AF_INET) {
		*ip = ip_address_from_in(v4->sin_addr);
		*port = ntohs(v4->sin_port);
	} else if (address->sa_family == AF_INET6) {
		*ip = ip_address_from_in6(&v6->sin6_addr);
		*port = ntohs(v6->sin6_port);
	} else {
		return false;
	}
	return true;
}

/**
 * address_errno - the errno of a call about an address or a route, or the status of an event of one
 *
 * Of either sign. What says that no way leads there becomes ENETUNREACH or EHOSTUNREACH, and all else
 * stays. Return: a positive errno.
 */
int address_errno(int error);

/** address_is_unreachable - whether a positive errno says so for good: another try is of no use */
bool address_is_unreachable(int error);

/** How an id is bound, and the id of a bound one dropped again; 0 or -errno. */
struct address_binder {
	int (*try_bind)(void *socket, struct sockaddr_storage *address);
	void (*drop)(void *socket);
};

/**
 * address_bind - bind, and tell an address that is not ours from a port that is taken
 *
 * Where one of two has every address, the connection manager says EADDRNOTAVAIL in either case. Return: 0
 * or -errno; the id is dropped then.
 */
int address_bind(const struct address_binder *binder, void *socket,
		 struct sockaddr_storage *address);

#endif /* DEMI_LIBOS_CATMINT_ADDRESS_H */
