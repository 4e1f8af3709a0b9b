/* SPDX-License-Identifier: MIT */
/* Which kind of queue a socket becomes. */
#include <errno.h>
#include <netinet/in.h>

#include "libos/catnip/datagram.h"
#include "libos/catnip/ping.h"
#include "libos/catnip/stream.h"

int catnip_socket(struct libos *libos, struct queue **queue_out, int domain, int type, int protocol)
{
	struct catnip *catnip = catnip_of(libos);

	if (domain != AF_INET && domain != AF_INET6)
		return -ENOTSUP;
	if (type == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP))
		return datagram_create(catnip, queue_out, domain == AF_INET6);
	if (type == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP))
		return stream_create(catnip, queue_out, domain == AF_INET6);
	if (type == SOCK_DGRAM && protocol == (domain == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return ping_create(catnip, queue_out, domain == AF_INET6);
	return -ENOTSUP;
}
