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
