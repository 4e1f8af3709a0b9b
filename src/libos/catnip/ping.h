/* SPDX-License-Identifier: MIT */
/*
 * A queue of Catnip's for echoes, as Linux's "ping socket" (SOCK_DGRAM with IPPROTO_ICMP or
 * IPPROTO_ICMPV6, icmp(7)): what is pushed is an echo request from its header on, what is popped are the
 * replies to it. Its port is the identifier, which the stack puts into each request.
 */
#ifndef DEMI_LIBOS_CATNIP_PING_H
#define DEMI_LIBOS_CATNIP_PING_H

#include "libos/catnip/catnip.h"

/** ping_create - an unbound socket of one version; 0 or -ENOMEM */
int ping_create(struct catnip *catnip, struct queue **queue_out, bool is_v6);

/** ping_fail_all - the device is gone: fail all that waits; @error: positive errno */
void ping_fail_all(struct catnip *catnip, int error);

#endif /* DEMI_LIBOS_CATNIP_PING_H */
