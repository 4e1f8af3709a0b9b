/* SPDX-License-Identifier: MIT */
/*
 * HyStart++ (RFC 9406): a first slow start that ends before it overruns the path's queue, seen by
 * round trips that take longer. For algorithms of congestion control, which call it while ssthresh
 * is not known.
 */
#ifndef DEMI_NET_TCP_HYSTART_H
#define DEMI_NET_TCP_HYSTART_H

#include "net/tcp/congestion.h"

void tcp_hystart_init(struct tcp_hystart *hystart);

/**
 * tcp_hystart_acked - grow cwnd, and look at the round trip's time
 * @hystart: of @congestion
 *
 * Return: whether slow start is over; then the caller sets ssthresh to cwnd (RFC 9406, 4.2).
 */
bool tcp_hystart_acked(struct tcp_congestion *congestion, struct tcp_hystart *hystart,
		       const struct tcp_congestion_ack *ack);

#endif /* DEMI_NET_TCP_HYSTART_H */
