/* SPDX-License-Identifier: MIT */
/* What the connection manager says of addresses, in the errnos of sockets. */
#include "libos/catmint/address.h"

#include <errno.h>

int address_errno(int error)
{
	if (error < 0)
		error = -error;
	switch (error) {
	case ENODEV:        /* the way is not through an RDMA device */
	case EADDRNOTAVAIL: /* none of our addresses is for it */
	case EACCES:        /* a route that is prohibited */
	case EINVAL:        /* one that is a black hole, or an address without its interface */
	case ENETUNREACH:
		return ENETUNREACH;
	case EHOSTUNREACH:
	case ENOENT:
		return EHOSTUNREACH;
	default:
		return error;
	}
}

bool address_is_unreachable(int error)
{
	return error == ENETUNREACH || error == EHOSTUNREACH;
}

static uint16_t *port_of(struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET6 ? &((struct sockaddr_in6 *)address)->sin6_port
					      : &((struct sockaddr_in *)address)->sin_port;
}

int address_bind(const struct address_binder *binder, void *socket,
		 struct sockaddr_storage *address)
{
	struct sockaddr_storage any_port = *address;
	int error = binder->try_bind(socket, address);

	if (error != -EADDRNOTAVAIL || *port_of(address) == 0)
		return error;
	*port_of(&any_port) = 0;
	if (binder->try_bind(socket, &any_port) < 0)
		return error;
	binder->drop(socket);
	return -EADDRINUSE;
}
