/* SPDX-License-Identifier: MIT */
/* Which kind of queue a socket becomes. */
#include <errno.h>
#include <netinet/in.h>

#include "base/log.h"
#include "libos/catnip/datagram.h"

static int refuse_stream(struct catnip *catnip)
{
	if (!catnip->streams_refused)
		log_error("catnip has no stream sockets yet: open a socket of SOCK_DGRAM, or set "
			  "libos: catnap");
	catnip->streams_refused = true;
	return -ENOTSUP;
}

int catnip_socket(struct libos *libos, struct queue **queue_out, int domain, int type, int protocol)
{
	struct catnip *catnip = catnip_of(libos);

	if (domain != AF_INET && domain != AF_INET6)
		return -ENOTSUP;
	if (type == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP))
		return datagram_create(catnip, queue_out, domain == AF_INET6);
	if (type == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP))
		return refuse_stream(catnip);
	return -ENOTSUP;
}
