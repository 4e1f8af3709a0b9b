/* SPDX-License-Identifier: MIT */
/* What a connection tells of itself. */
#include "net/tcp/conn.h"

static void count_records(const struct tcp_conn *conn, struct tcp_stats *stats)
{
	for (const struct tcp_sent *sent = conn->sent_head; sent; sent = sent->next) {
		stats->unacked_segments++;
		stats->sacked_segments += !!(sent->flags & SENT_SACKED);
		stats->lost_segments += !!(sent->flags & SENT_LOST);
		stats->retransmitted_segments += !!(sent->flags & SENT_AGAIN);
	}
}

static uint64_t since(const struct tcp_conn *conn, uint64_t then_ns)
{
	return then_ns ? now_of(conn) - then_ns : 0;
}

void tcp_get_stats(const struct tcp_conn *conn, struct tcp_stats *stats)
{
	*stats = (struct tcp_stats){
		.state = (enum tcp_state)conn->state,
		.timestamps = conn->has_timestamps,
		.sack = conn->has_sack,
		.window_scaling = conn->has_scaling,
		.ecn = conn->has_ecn,
		.send_shift = conn->snd_shift,
		.receive_shift = conn->rcv_shift,
		.backoff = conn->backoff,
		.mss_send = conn->mss,
		.mss_receive = conn->peer_mss,
		.srtt_ns = conn->srtt_ns,
		.rttvar_ns = conn->rttvar_ns,
		.rto_ns = conn->rto_ns,
		.rtt_min_ns = conn->rtt_min_ns == UINT64_MAX ? 0 : conn->rtt_min_ns,
		.cwnd = conn->congestion.cwnd,
		.ssthresh = conn->congestion.ssthresh,
		.send_window = conn->snd_wnd,
		.receive_window = conn->rcv_adv - conn->rcv_nxt,
		.path_mtu = conn->path.mtu,
		.reordering = conn->rack_window_factor,
		.segments_in = conn->segments_in,
		.segments_out = conn->segments_out,
		.data_segments_in = conn->data_in,
		.data_segments_out = conn->data_out,
		.bytes_acked = conn->bytes_acked,
		.bytes_received = conn->bytes_received,
		.bytes_sent = conn->bytes_acked + flight_of(conn) + conn->bytes_retransmitted,
		.bytes_retransmitted = conn->bytes_retransmitted,
		.retransmissions = conn->retransmissions,
		.timeouts = conn->timeouts,
		.spurious = conn->spurious,
		.dsacks_in = conn->dsacks,
		.marks = conn->marks,
		.not_sent = conn->snd_end - conn->snd_nxt + conn->fin_sent,
		.queued = conn->queued_bytes,
		.last_sent_ns = since(conn, conn->data_sent_ns),
		.last_received_ns = since(conn, conn->data_received_ns),
	};
	if (conn->state < TCP_STATE_SYN_RECEIVED)
		stats->not_sent = stats->receive_window = 0;
	count_records(conn, stats);
}
