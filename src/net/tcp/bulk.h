/* SPDX-License-Identifier: MIT */
/*
 * Runs of full segments, which is what a large push is cut into. They have the same headers but for the
 * sequence number and the checksum, so those are made once a run, as are windows, records' times and
 * counters. Each segment is the one that tcp_tx would have made.
 */
#ifndef DEMI_NET_TCP_BULK_H
#define DEMI_NET_TCP_BULK_H

#include "net/tcp/conn.h"

/**
 * tcp_bulk_tx - send what of a run the windows and the stack's batch have room for
 * @most: segments
 *
 * Not the last bytes of what was pushed, which differ from the others. Called when no segment is
 * lost. Return: how many segments went; 0: nothing has changed, and tcp_tx is for it.
 */
uint32_t tcp_bulk_tx(struct tcp_conn *conn, uint32_t most);

#endif /* DEMI_NET_TCP_BULK_H */
