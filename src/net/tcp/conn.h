/* SPDX-License-Identifier: MIT */
/*
 * What the files of TCP share: a connection with all its state, the table of them, and the calls
 * between the files.
 *
 * In: tcp_rx (rx.c) -> conn_rx -> tcp_ack_rx (ack.c: sack.c, recovery.c), tcp_text_rx (text.c).
 * Out: tcp_push (push.c) -> tcp_output (output.c) -> tcp_tx (tx.c; runs of full segments: bulk.c) -> ip_tx.
 *
 * What must be done later is a bit in conn->work and a place in a list of the table; a coroutine for
 * each of the lists does it (background.c). A connection is freed by the last of these alone, so
 * that none of the functions here need fear that it is gone.
 */
#ifndef DEMI_NET_TCP_CONN_H
#define DEMI_NET_TCP_CONN_H

#include "net/tcp/congestion.h"
#include "net/tcp/seq.h"
#include "net/tcp/tcp.h"
#include "netdev/spread.h"
#include "wire/tcp.h"

#define TCP_MSS_DEFAULT_V4 536u /* RFC 9293, 3.7.1 */
#define TCP_MSS_DEFAULT_V6 1220u
#define TCP_MSS_MIN 88u /* who offers less would have us send headers only */
#define TCP_RTO_INITIAL_NS (TCP_RTO_INITIAL_MS * UINT64_C(1000000))
#define TCP_SACKS 4u
/*
 * Segments under way. An acknowledgment may have to look at each of them, so that a peer that offers a
 * small MSS and a large window must not make many: CVE-2019-11477 and 11478 were that of Linux. Small
 * pushes make small ones too: so many may be of any length, beyond them all must have some on average.
 */
#define TCP_SENT_ANY_LENGTH 4096u
#define TCP_DUPLICATE_ACKS 3u /* RFC 5681, 3.2 */

/** A run of bytes that a push gave, in the order of the stream. */
struct tcp_piece {
	struct tcp_piece *next;
	unsigned char *data; /* held */
	uint32_t length;
	tcp_seq seq;
	void *push; /* of its last piece; NULL: more follow */
};

enum tcp_sent_flag {
	SENT_SYN = 1 << 0,
	SENT_FIN = 1 << 1,
	SENT_SACKED = 1 << 2,
	SENT_LOST = 1 << 3,       /* and not sacked */
	SENT_AGAIN = 1 << 4,      /* the last transmission, after a loss, is under way */
	SENT_TWICE = 1 << 5,      /* was retransmitted: no sample of the round trip (Karn) */
	SENT_MARKED_OUT = 1 << 6, /* sent while cwnd was full */
};

/** A segment under way: in the order of sequence numbers, without gaps, from SND.UNA to SND.NXT. */
struct tcp_sent {
	struct tcp_sent *next;
	tcp_seq seq, end;
	uint64_t sent_ns;        /* last transmission */
	struct tcp_piece *piece; /* that has the byte at seq, when there is one */
	uint32_t flags;
};

/** A segment that came, while it is looked at. */
struct tcp_in {
	const struct ip_packet *packet;
	struct buf *buf; /* data and length are the payload's; NULL: taken */
	tcp_seq seq, ack;
	uint32_t length; /* of the payload */
	uint32_t window; /* not scaled */
	uint16_t source_port, destination_port;
	uint8_t flags;
	bool is_marked; /* congestion experienced */
	struct tcp_options options;
};

/** Work that waits for its coroutine. */
enum tcp_work {
	WORK_SEND,       /* the windows have opened */
	WORK_RETRANSMIT, /* segments are lost */
	WORK_ACK,        /* an acknowledgment that should not wait */
	WORK_CLOSE,      /* the end of it */
	WORKS,
};

enum tcp_recovery {
	RECOVERY_NONE,
	RECOVERY_REDUCING, /* ECE: the window shrinks, nothing is lost */
	RECOVERY_FAST,     /* losses were detected by acknowledgments */
	RECOVERY_TIMEOUT,  /* by the timer */
};

enum tcp_retransmit_kind {
	TIMER_NONE,
	TIMER_RTO,
	TIMER_PROBE,   /* tail loss probe */
	TIMER_REORDER, /* RACK's window */
	TIMER_PERSIST,
};

/* What link and IP put in front: the longest; shorter ones stand at its end. */
#define TCP_LOWER_BYTES 60u

/** The headers below TCP's, ready but for lengths and the neighbour's address; see fast.c. */
struct tcp_headers {
	uint32_t generation; /* of the stack that they are right for; 0: none */
	uint8_t length;      /* of the headers, at the end of bytes */
	bool is_v6;
	bool device_completes; /* checksums */
	uint32_t ip_sum;       /* of the IPv4 header, without its length */
	uint32_t pseudo_sum;   /* without the length */
	uint8_t bytes[TCP_LOWER_BYTES];
};

/** A listener's own. */
struct tcp_listener {
	struct tcp_conn *ready_head, *ready_tail; /* to be accepted; by queue_next */
	/* SYN_RECEIVED, the newest first; by queue_next and queue_previous. */
	struct tcp_conn *half_head, *half_tail;
	uint32_t ready_count, half_count;
	uint32_t refused_count; /* of the latter: for whose last acknowledgment there was no room */
	uint32_t backlog;
};

struct tcp_conn {
	/* Who it is: what a lookup compares. */
	struct tcp_conn *hash_next;
	struct ip_address remote, local;
	uint16_t remote_port, local_port; /* 0: not connected; not bound */
	uint8_t state;                    /* enum tcp_state */
	uint8_t snd_shift, rcv_shift;     /* of windows */
	uint8_t recovery;                 /* enum tcp_recovery */

	/* What a segment in order reads and writes. */
	struct tcp_table *table;
	tcp_seq rcv_nxt;
	tcp_seq rcv_adv;       /* right edge of the window that was advertised */
	tcp_seq rcv_acked;     /* as last acknowledged */
	uint32_t ts_recent;    /* RFC 7323, 4.3 */
	uint64_t ts_recent_ns; /* when it was set */
	tcp_seq snd_una, snd_nxt;
	uint32_t snd_wnd; /* bytes from snd_wl2 on, the acknowledgment that came with it */
	tcp_seq snd_wl1, snd_wl2;
	uint32_t ts_offset;
	void *owner; /* NULL: an orphan, or not accepted yet */
	const struct tcp_events *events;
	struct buf *queue_head, *queue_tail;  /* received in order, not taken */
	uint32_t queued_bytes, queued_memory; /* payload of these; with all that they take */
	uint32_t rcv_buffer;                  /* bytes that the window may be */
	uint32_t mss;                         /* payload of a full segment now, options taken off */
	uint32_t unacked_segments; /* received in order since the last acknowledgment was sent */

	bool has_timestamps : 1;
	bool has_sack : 1;
	bool has_scaling : 1;
	bool has_ecn : 1;
	bool ack_now : 1;        /* not to be delayed */
	bool answers : 1;        /* what was received last was acknowledged by data of ours */
	bool syn_was_lost : 1;   /* the timer has sent it again */
	bool again_was_lost : 1; /* a retransmission was, since the window was last reduced */
	bool echoes_mark : 1; /* ECE until CWR (RFC 3168, 6.1.3); DCTCP: its state (RFC 8257, 3.2) */
	bool owes_cwr : 1;
	bool fin_wanted : 1; /* tcp_shutdown or tcp_close */
	bool fin_sent : 1;
	bool fin_received : 1;  /* everything before it too */
	bool fin_known : 1;     /* it is at fin_seq */
	bool reads_nothing : 1; /* tcp_shutdown for reading */
	bool was_told_end : 1;
	bool tells_closed : 1;
	bool is_passive : 1;
	bool is_bound : 1;    /* in the table of bound sockets */
	bool is_claimed : 1;  /* its port, from those who share the device */
	bool port_chosen : 1; /* by us: given back when a connect fails */
	bool address_chosen : 1;
	bool cwnd_limited : 1; /* the window kept data back since the last acknowledgment */
	bool was_refused : 1;  /* SYN_RECEIVED: counted in refused_count */
	bool is_freed : 1;     /* the owner has gone: free when closed */

	/* What is pushed and what is under way. */
	tcp_seq snd_end;     /* behind the last byte pushed, without FIN */
	uint32_t sent_count; /* records from sent_head on */
	struct tcp_piece *pieces_head, *pieces_tail;
	struct tcp_piece *piece_next; /* that has the byte at snd_nxt; NULL: none was pushed */
	struct tcp_sent *sent_head, *sent_tail;
	uint32_t pieces_count;
	uint32_t sacked_bytes, lost_bytes, again_bytes; /* of what is under way, by SENT_ flags */
	struct tcp_congestion congestion;

	/* Round trips and the retransmission timer. */
	uint64_t srtt_ns, rttvar_ns, rto_ns; /* srtt 0: no sample yet */
	uint64_t rtt_min_ns;                 /* RACK's: the least lately */
	struct timer timer;                  /* for the earliest of these; may fire before it */
	uint64_t retransmit_ns;              /* UINT64_MAX: none; of retransmit_kind */
	uint64_t delayed_ack_ns;
	uint64_t slow_ns;     /* keep-alive, or the end of FIN-WAIT-2 or TIME-WAIT */
	uint64_t stalled_ns;  /* since when nothing new was acknowledged; 0: nothing waits */
	uint64_t received_ns; /* last segment */
	uint8_t retransmit_kind;
	uint8_t backoff;
	uint8_t keep_probes_sent;
	uint8_t challenges; /* sent since challenge_ns */
	uint8_t probe_backoff;
	uint8_t black_holes; /* timeouts of full segments: RFC 4821, 7.7 */
	uint8_t duplicate_acks;
	uint8_t sacks_count;
	uint8_t syns_sent;
	uint8_t mss_trials; /* times that mss_limit was lifted */
	tcp_seq mss_trial;  /* where the last of them began */
	uint64_t challenge_ns;

	/* Recovery: RFC 6675, 6937, 8985. */
	tcp_seq recovery_end;              /* SND.NXT at its start */
	tcp_seq cwr_end;                   /* behind the last segment with CWR */
	tcp_seq undo_una;                  /* SND.UNA at its start */
	uint32_t undo_cwnd, undo_ssthresh; /* before; 0: nothing to be undone */
	uint32_t undo_segments;            /* retransmitted since, not reported as duplicates */
	uint32_t undo_timestamp;           /* of the first retransmission */
	uint32_t prr_delivered, prr_out, prr_flight; /* RFC 6937; bytes */
	uint64_t rack_sent_ns;                       /* RFC 8985, 5.2: RACK.xmit_ts */
	uint64_t rack_rtt_ns;
	tcp_seq rack_end;  /* RACK.end_seq */
	tcp_seq rack_fack; /* highest selectively or otherwise acknowledged */
	tcp_seq rack_dsack_round;
	tcp_seq probe_end;          /* TLP.end_seq */
	uint8_t rack_window_factor; /* RACK.reo_wnd_mult */
	uint8_t rack_window_persist;
	bool rack_saw_reordering : 1;
	bool rack_dsack_pending : 1;
	bool probe_under_way : 1;
	bool probe_is_again : 1; /* TLP.is_retrans */
	bool was_probed : 1;     /* and no round trip was measured since */

	/* Received out of order; what we say of it. */
	struct buf *early_head, *early_tail; /* by sequence number; not the application's yet */
	uint32_t early_count;
	tcp_seq fin_seq;
	struct tcp_sack_block sacks[TCP_SACKS]; /* newest first */
	struct tcp_sack_block
		duplicate; /* D-SACK, for the next acknowledgment; left = right: none */
	/* The window's growth: what was taken since the round began. */
	uint64_t round_ns;
	uint32_t round_bytes;

	uint32_t snd_wnd_max;
	uint16_t peer_mss;  /* that it has offered */
	uint16_t mss_limit; /* by black holes; 0: none, or lifted */
	tcp_seq iss, irs;
	int16_t error;      /* positive: the connection has ended with it */
	int16_t soft_error; /* ICMP: what a time-out is reported as (RFC 9293, 3.9.2.2) */
	struct path path;
	struct tcp_headers headers;
	struct tcp_settings settings;

	/* Lists. */
	struct tcp_conn *work_next[WORKS];
	struct tcp_conn *queue_next, *queue_previous; /* of a listener, or TIME_WAIT */
	struct tcp_conn *bound_next;                  /* with the same port, by a hash */
	struct tcp_conn *listener;                    /* not accepted yet: whose it will be */
	struct tcp_listener *listens;                 /* LISTEN */
	uint8_t work;                                 /* 1 << enum tcp_work */

	/* For tcp_get_stats alone. */
	uint32_t timeouts, spurious, retransmissions, dsacks, marks;
	uint32_t segments_in, segments_out, data_in, data_out;
	uint64_t bytes_acked, bytes_received, bytes_retransmitted;
	uint64_t data_sent_ns, data_received_ns;
};

/* With what a libOS keeps of it, an idle connection is to take 1 KiB. */
_Static_assert(sizeof(struct tcp_conn) <= 1024 - 80, "a connection is small");

#define TCP_BOUND_BUCKETS 16384u /* of pages that come as they are used */
#define TCP_PORTS 65536u

struct tcp_slab;

struct tcp_work_list {
	struct tcp_conn *head, *tail;
	struct coroutine coroutine;
	struct tcp_table *table;
};

struct tcp_table {
	struct net *net;
	struct net_tcp_options options;
	struct tcp_conn **buckets; /* connections by their four numbers */
	uint32_t bucket_mask;
	uint32_t port_counter;
	uint32_t *port_connections;                /* how many have each local port, in buckets */
	struct tcp_conn *bound[TCP_BOUND_BUCKETS]; /* sockets that were bound, listeners too */
	struct tcp_work_list works[WORKS];
	/* All wait equally long: the oldest ends first. */
	struct tcp_conn *time_wait_head, *time_wait_tail;
	struct timer time_wait_timer;

	/* Pools; each grows by slabs up to its bound, and keeps them until the end. */
	struct tcp_slab *slabs;
	struct tcp_conn *free_conns;
	struct tcp_piece *free_pieces;
	struct tcp_sent *free_sents;
	uint32_t conn_count; /* in use */

	/* The next connection takes the place of one in TIME_WAIT: its numbers begin behind these. */
	tcp_seq iss_least;
	bool has_iss_least;

	uint64_t resets_ns;   /* since when resets_left are counted */
	uint32_t resets_left; /* that segments without a connection may have in this second */

	uint64_t cookie_ns; /* when the last cookie was given */

	/* What received text takes, bufs included: all that waits in order, all that is out of order. */
	uint64_t queued_memory, queued_memory_max; /* the latter of both together */
	uint64_t early_memory, early_memory_max;
	struct tcp_counts counts;
};

static inline struct net *net_of(const struct tcp_conn *conn)
{
	return conn->table->net;
}

static inline uint64_t now_of(const struct tcp_conn *conn)
{
	return conn->table->net->now_ns;
}

static inline const struct net_tcp_options *options_of(const struct tcp_conn *conn)
{
	return &conn->table->options;
}

static inline bool is_synchronized(const struct tcp_conn *conn)
{
	return conn->state >= TCP_STATE_ESTABLISHED;
}

/** Our timestamps tick once a millisecond: RFC 7323, 5.4. */
static inline uint32_t timestamp_of(const struct tcp_conn *conn)
{
	return (uint32_t)(now_of(conn) / 1000000) + conn->ts_offset;
}

static inline uint32_t flight_of(const struct tcp_conn *conn)
{
	return conn->snd_nxt - conn->snd_una;
}

/**
 * RFC 6675, section 4: what is thought to be in the network, bytes. Without SACK each duplicate
 * acknowledgment tells of a segment that has left it (RFC 5681, 3.2).
 */
static inline uint32_t pipe_of(const struct tcp_conn *conn)
{
	uint32_t pipe = flight_of(conn) - conn->sacked_bytes - conn->lost_bytes + conn->again_bytes;
	uint32_t left = conn->has_sack ? 0 : conn->duplicate_acks * conn->mss;

	return pipe > left ? pipe - left : 0;
}

/** What the peer's window still lets us send; negative: it has shrunk. */
static inline int32_t window_left(const struct tcp_conn *conn)
{
	return seq_diff(conn->snd_wl2 + conn->snd_wnd, conn->snd_nxt);
}

/** RFC 5961, 5.2: what was acknowledged long ago, or never sent, a blind attacker says. */
static inline bool ack_is_plausible(const struct tcp_conn *conn, tcp_seq ack)
{
	return seq_at_most(ack, conn->snd_nxt) &&
	       seq_at_least(ack, conn->snd_una - conn->snd_wnd_max);
}

/** Whether more can go to the device now. */
static inline bool device_has_room(struct net *net)
{
	if (likely(net->tx_count < NETDEV_BURST_MAX))
		return true;
	net_flush(net);
	return net->tx_count < NETDEV_BURST_MAX;
}

/* ---- table.c ---- */

/** conn_alloc - a CLOSED one; NULL: there are too many, or no memory */
struct tcp_conn *conn_alloc(struct tcp_table *table);
void conn_free(struct tcp_conn *conn);
struct tcp_piece *piece_alloc(struct tcp_table *table);
void piece_free(struct tcp_table *table, struct tcp_piece *piece);
struct tcp_sent *sent_alloc(struct tcp_table *table);
void sent_free(struct tcp_table *table, struct tcp_sent *sent);

/** conn_enter, conn_leave - into and out of the table of connections */
void conn_enter(struct tcp_conn *conn);
void conn_leave(struct tcp_conn *conn);

/** conn_find - by its four numbers; NULL */
struct tcp_conn *conn_find(const struct tcp_table *table, const struct ip_address *local,
			   uint16_t local_port, const struct ip_address *remote,
			   uint16_t remote_port);

/* ---- bind.c ---- */

/** listener_find - who takes a SYN to there; NULL */
struct tcp_conn *listener_find(const struct tcp_table *table, const struct ip_packet *packet,
			       uint16_t local_port, uint16_t remote_port);

/** conn_may_listen - whether nobody else listens where it is bound */
bool conn_may_listen(const struct tcp_conn *conn);

/** conn_autobind - a free port for a connection to its remote; -EADDRNOTAVAIL */
int conn_autobind(struct tcp_conn *conn);
void conn_unbind(struct tcp_conn *conn);

/* ---- socket.c: states ---- */

/** conn_end - the connection is over: CLOSED, with a positive errno or 0; everybody is told */
void conn_end(struct tcp_conn *conn, int error);

/** conn_establish - the handshake is complete */
void conn_establish(struct tcp_conn *conn);

/** conn_time_wait - enter TIME_WAIT, or begin it anew */
void conn_time_wait(struct tcp_conn *conn);

/** conn_fin_acked, conn_peer_closed - RFC 9293, 3.10.7.4: our FIN was acknowledged; theirs is here */
void conn_fin_acked(struct tcp_conn *conn);
void conn_peer_closed(struct tcp_conn *conn);
void time_wait_fire(struct timer *timer, uint64_t now_ns);

/** conn_make_way - end one in TIME_WAIT for another with the same four numbers, which begins next */
void conn_make_way(struct tcp_conn *conn);

/** conn_abort - reset it and end it */
void conn_abort(struct tcp_conn *conn, int error);

/** conn_shift - the scale for a receive window of @bytes; 0: for one that grows */
uint8_t conn_shift(const struct tcp_table *table, uint32_t bytes);

/** conn_begin - the state of a connection at its SYN: windows, round trips, congestion, iss */
void conn_begin(struct tcp_conn *conn);

/** conn_negotiate - what the peer's SYN says; @options of it, ECN apart */
void conn_negotiate(struct tcp_conn *conn, const struct tcp_options *options, uint32_t window);

/**
 * tcp_tuple_hash - a secret function of the four numbers; another for each @domain
 * @other: hashed too
 */
enum tcp_hash_domain { HASH_ISS, HASH_TIMESTAMP, HASH_COOKIE };
struct tcp_tuple {
	struct ip_address local, remote;
	uint16_t local_port, remote_port;
};
uint64_t tcp_tuple_hash(const struct net *net, const struct tcp_tuple *tuple,
			enum tcp_hash_domain domain, uint64_t other);

/** conn_update_mss - after a change of the path, of options, or of what the peer offers */
void conn_update_mss(struct tcp_conn *conn);

/** conn_path - make conn->path valid; 0 or -errno */
int conn_path(struct tcp_conn *conn);

/* ---- listen.c, cookie.c ---- */

/** listener_rx - a segment to a listener */
void listener_rx(struct tcp_conn *listener, struct tcp_in *in);

/** listener_has_room - whether a connection more can wait to be accepted */
bool listener_has_room(const struct tcp_conn *listener);

/** listener_promote - a connection of its is established; false: nobody has room for it now */
bool listener_promote(struct tcp_conn *conn);

/** listener_forget - a connection that was not accepted is going */
void listener_forget(struct tcp_conn *conn);
void listener_close(struct tcp_conn *listener);

/** cookie_make - the initial sequence number of a SYN cookie; cookie_timestamp: what goes with it */
tcp_seq cookie_make(const struct tcp_table *table, const struct tcp_in *in);
uint32_t cookie_timestamp(const struct tcp_table *table, const struct tcp_in *in);

/** cookie_check - whether @in acknowledges one, and what it says: the options of the SYN */
bool cookie_check(const struct tcp_table *table, const struct tcp_in *in,
		  struct tcp_options *options_out);

/* ---- rx.c ---- */

/** conn_rx - a segment of a connection that is neither CLOSED nor LISTEN */
void conn_rx(struct tcp_conn *conn, struct tcp_in *in);

/** conn_challenge - an acknowledgment to what cannot be right, at a bounded rate (RFC 5961) */
void conn_challenge(struct tcp_conn *conn);

/* ---- ack.c, sack.c, recovery.c ---- */

/** What an acknowledgment brought. */
struct tcp_delivery {
	uint32_t acked_bytes;     /* in order */
	uint32_t delivered_bytes; /* in order or selectively, and not known before */
	uint64_t rtt_ns;          /* 0: no sample */
	bool saw_twice;           /* some of it was retransmitted */
	bool saw_once;            /* some was not */
	bool is_duplicate;        /* RFC 5681, section 2 */
	bool has_dsack;
	bool fin_acked;
	struct tcp_sack_block dsack;
	const struct tcp_in *in; /* the acknowledgment */
};

/** tcp_ack_rx - the acknowledgment of an acceptable segment; false: drop the rest of it */
bool tcp_ack_rx(struct tcp_conn *conn, const struct tcp_in *in);

/** sent_note - count a record as (selectively) acknowledged in @delivery, before its flags change */
void sent_note(struct tcp_conn *conn, const struct tcp_sent *sent, struct tcp_delivery *delivery);

/** tcp_sack_rx - the blocks of an acknowledgment */
void tcp_sack_rx(struct tcp_conn *conn, const struct tcp_in *in, struct tcp_delivery *delivery);

/** sent_lose - mark as lost; sent_clear: take the flags of a record off the sums */
void sent_lose(struct tcp_conn *conn, struct tcp_sent *sent);
void sent_clear(struct tcp_conn *conn, struct tcp_sent *sent);

/** recovery_ack - after every acknowledgment: detect losses, grow or shrink the window */
void recovery_ack(struct tcp_conn *conn, const struct tcp_in *in, struct tcp_delivery *delivery,
		  uint32_t flight_before);

/** recovery_timeout - the retransmission timer has expired: the first segment is to be sent again */
void recovery_timeout(struct tcp_conn *conn);

/** recovery_reorder - RACK's timer has expired */
void recovery_reorder(struct tcp_conn *conn);

/** conn_rtt_sample - RFC 6298, section 2 */
void conn_rtt_sample(struct tcp_conn *conn, uint64_t rtt_ns);

/* ---- text.c ---- */

/** tcp_text_rx - payload and FIN of a segment that is acceptable; takes in->buf */
void tcp_text_rx(struct tcp_conn *conn, struct tcp_in *in);

/** conn_window - the window to advertise now, scaled, and the edge that it makes */
uint16_t conn_window(struct tcp_conn *conn);

/** window_limit - the most bytes that a window field can say */
static inline uint32_t window_limit(const struct tcp_conn *conn)
{
	return (uint32_t)UINT16_MAX << conn->rcv_shift;
}

/** conn_window_update - after bytes were taken: whether the peer should know */
void conn_window_update(struct tcp_conn *conn);
void tcp_text_free(struct tcp_conn *conn);

/**
 * pushes_keep - copy what waits, since its owner may write to it from now on
 *
 * Return: false: it is more than what is under way and than a send buffer of max_buffer would hold, or
 * there is no memory. Then the connection is to be reset: behind a part of it no FIN may go.
 */
bool pushes_keep(struct tcp_conn *conn);

/* ---- tx.c ---- */

/** What is to be sent. */
struct tcp_out {
	tcp_seq seq;
	uint32_t length;         /* of the payload */
	struct tcp_piece *piece; /* with the byte at seq */
	uint8_t flags;
	bool is_ect; /* congestion may be marked on it */
};

/** tcp_tx - make and send one; 0 or -errno: not sent */
int tcp_tx(struct tcp_conn *conn, const struct tcp_out *out);

/** tcp_ack_tx - an acknowledgment without payload */
void tcp_ack_tx(struct tcp_conn *conn);

/** tcp_reset_tx - a reset of a connection */
void tcp_reset_tx(struct tcp_conn *conn);

/** tcp_reset_answer - answer a segment that has no connection (RFC 9293, 3.10.7.1) */
void tcp_reset_answer(struct net *net, const struct tcp_in *in);

/** tcp_synack_answer - a SYN-ACK without a connection: a cookie */
void tcp_synack_answer(struct net *net, const struct tcp_in *in, tcp_seq iss,
		       const struct tcp_options *options, uint16_t window);

/* ---- output.c ---- */

/** tcp_output - send what windows let: lost segments, new ones, FIN */
void tcp_output(struct tcp_conn *conn);

/** tcp_output_syn - SYN or SYN-ACK, for the first time; false: no memory, and nothing is armed */
bool tcp_output_syn(struct tcp_conn *conn);

/** tcp_output_again - send the record again, whatever the windows say; 0 or -errno */
int tcp_output_again(struct tcp_conn *conn, struct tcp_sent *sent);

/** tcp_output_probe - one byte behind a closed window, or the record under way again */
void tcp_output_probe(struct tcp_conn *conn);

/** tcp_output_tail - a tail loss probe; false: there is nothing to probe with */
bool tcp_output_tail(struct tcp_conn *conn);

/** tcp_output_free - drop everything pushed; pushed is told with a positive errno, unless 0 */
void tcp_output_free(struct tcp_conn *conn, int error);

/* ---- background.c ---- */

int background_create(struct tcp_table *table);
void background_destroy(struct tcp_table *table);

/** conn_wake - let the coroutine for @work come by */
void conn_wake(struct tcp_conn *conn, enum tcp_work work);

/* ---- timer.c ---- */

void conn_timer_fire(struct timer *timer, uint64_t now_ns);

/** timer_set - let the timer fire at @deadline_ns or before */
void conn_timer_set(struct tcp_conn *conn, uint64_t deadline_ns);

/**
 * retransmit_arm - after a transmission or an acknowledgment: what is waited for now
 * @restart: something new was acknowledged: RFC 6298, (5.3)
 */
void retransmit_arm(struct tcp_conn *conn, bool restart);

/** conn_lift_limit - mss_limit, once what was lost got through: was it a black hole, or an outage? */
void conn_lift_limit(struct tcp_conn *conn);

/** conn_delay_ack - acknowledge within delayed_ack_ms, unless something else does before */
void conn_delay_ack(struct tcp_conn *conn);

/** conn_keep_alive_arm - after a change of settings, and when the connection is established */
void conn_keep_alive_arm(struct tcp_conn *conn);

/** conn_orphan_arm - nobody waits for the peer's FIN any more: end FIN-WAIT-2 after a while */
void conn_orphan_arm(struct tcp_conn *conn);
void conn_timers_stop(struct tcp_conn *conn);

#endif /* DEMI_NET_TCP_CONN_H */
