/* SPDX-License-Identifier: MIT */
/*
 * Congestion control behind one ops table: how much may be under way. When a segment is lost and
 * when it is sent again is recovery.c's; here is by how much the window grows and shrinks. All
 * windows are bytes. The functions are pure but for their own state: time comes with the event.
 *
 * Who calls: ack.c for what is acknowledged, recovery.c for losses. An application-limited
 * connection, one that does not fill its window, is not told of acknowledgments (RFC 7661 in
 * spirit; RFC 9438, 5.8): its window must not grow by what was never tried.
 */
#ifndef DEMI_NET_TCP_CONGESTION_H
#define DEMI_NET_TCP_CONGESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Without any loss so far: RFC 5681, 3.1: arbitrarily high. */
#define TCP_SSTHRESH_INFINITE UINT32_MAX

/** Bytes. RFC 7323, 2.3: no peer can offer a larger window, so cwnd does not grow beyond. */
#define TCP_CWND_LIMIT (UINT32_C(1) << 30)

struct tcp_congestion;

/** What was acknowledged. */
struct tcp_congestion_ack {
	uint64_t now_ns;
	uint32_t acked_bytes;  /* newly, in order or selectively; 1 or more */
	uint32_t marked_bytes; /* of these, with ECE (RFC 8257, 3.3): 0 or acked_bytes */
	uint32_t flight_bytes; /* unacknowledged before it */
	uint64_t rtt_ns;       /* of the sample that it brought; 0: none */
	uint64_t srtt_ns;      /* smoothed; 0: not known yet */
	uint32_t una; /* SND.UNA after it, SND.NXT: to tell rounds of acknowledgments apart */
	uint32_t nxt;
};

struct tcp_congestion_ops {
	const char *name; /* as in TCP_CONGESTION: "cubic", "reno", "dctcp" */
	bool needs_ecn;   /* negotiate ECN, and answer each mark by itself (RFC 8257, 3.2) */

	/* A new connection, or another algorithm for one that is there: cwnd and ssthresh are set.
	 * Required. */
	void (*init)(struct tcp_congestion *congestion, uint64_t now_ns);

	/* Slow start or congestion avoidance grows cwnd; not called while losses are repaired. Whoever
	 * finds that slow start is over without a loss sets ssthresh (RFC 9406). Required. */
	void (*acked)(struct tcp_congestion *congestion, const struct tcp_congestion_ack *ack);

	/* Any acknowledgment, also in recovery and when the application limits: for those that count
	 * marks. Before reduced and acked of the same one. Optional. */
	void (*seen)(struct tcp_congestion *congestion, const struct tcp_congestion_ack *ack);

	/*
	 * A loss was detected, or an ECE arrived (@is_mark): the new ssthresh. cwnd is still that of
	 * before; it is reduced by the caller, step by step (RFC 6937). Never less than two segments,
	 * or one after a mark: that is for cwnd, see tcp_congestion_part. At most once a round trip.
	 * Required.
	 */
	uint32_t (*reduced)(struct tcp_congestion *congestion, uint32_t flight_bytes, bool is_mark,
			    uint64_t now_ns);

	/* The retransmission timer expired: the new ssthresh (RFC 5681, (4)). cwnd is still that of
	 * before. Not again for the same segment: ssthresh is held then (3.1). Required. */
	uint32_t (*timed_out)(struct tcp_congestion *congestion, uint32_t flight_bytes,
			      uint64_t now_ns);

	/* The reduction was spurious: cwnd and ssthresh have been restored. Optional. */
	void (*undone)(struct tcp_congestion *congestion, uint64_t now_ns);

	/* Sending goes on after @idle_ns without any (RFC 9438, 5.8: that time does not count).
	 * Optional. */
	void (*restarted)(struct tcp_congestion *congestion, uint64_t idle_ns);
};

/** RFC 9406, 4.2: what HyStart++ knows in the first slow start; hystart.h. */
struct tcp_hystart {
	uint32_t last_min_ns;    /* lastRoundMinRTT; UINT32_MAX: infinity, or that long */
	uint32_t current_min_ns; /* currentRoundMinRTT, likewise */
	uint32_t baseline_ns;    /* cssBaselineMinRtt, likewise: not in conservative slow start */
	uint32_t window_end;     /* sequence number that ends the round */
	uint8_t samples;         /* rttSampleCount, up to N_RTT_SAMPLE */
	uint8_t css_rounds;      /* of conservative slow start that are over */
	uint8_t rest;            /* of the division by CSS_GROWTH_DIVISOR */
	bool started;            /* window_end is known */
};

/** RFC 9438, 4.1.2: a congestion avoidance stage of CUBIC. Times in ticks are 2^-20 s. */
struct tcp_cubic_stage {
	uint64_t epoch_ns;   /* its start, t_epoch; 0: none; UINT64_MAX: the first slow start */
	uint32_t k_ticks;    /* K */
	uint32_t w_max;      /* bytes; 0: not known */
	uint32_t w_est;      /* bytes, the Reno-friendly estimate */
	uint32_t cwnd_prior; /* bytes, when ssthresh was last set; 0: not known */
};

/** One for each connection; what is behind ops is the algorithm's alone. */
struct tcp_congestion {
	uint32_t cwnd;     /* bytes */
	uint32_t ssthresh; /* bytes; TCP_SSTHRESH_INFINITE at first */
	uint32_t mss;      /* bytes of payload in a full segment; the caller keeps it true */
	uint32_t cwnd_max; /* no window beyond: what the send buffer can ever fill; 0: no limit */
	const struct tcp_congestion_ops *ops;
	union {
		struct {
			uint32_t acked; /* bytes since cwnd last grew by one segment */
		} reno;
		struct {
			struct tcp_cubic_stage stage;
			uint32_t last_ticks; /* since the epoch, the last acknowledgment */
			uint16_t cwnd_rest;  /* of cwnd, 2^-16 bytes */
			uint16_t w_est_rest; /* of w_est, 2^-16 bytes */
			union {
				struct tcp_hystart hystart;  /* in the first slow start */
				struct tcp_cubic_stage undo; /* later: before the last reduction */
			};
		} cubic;
		struct {
			uint32_t alpha;      /* RFC 8257, 3.3: 0 to 2^20 for 0 to 1 */
			uint32_t acked;      /* bytes in this observation window */
			uint32_t marked;     /* of these */
			uint32_t window_end; /* sequence number */
			uint32_t grown;      /* as reno.acked */
			bool started;
		} dctcp;
	};
};

extern const struct tcp_congestion_ops tcp_reno, tcp_cubic, tcp_dctcp;

/** tcp_congestion_find - the ops of a name; NULL: there is none of it */
const struct tcp_congestion_ops *tcp_congestion_find(const char *name, size_t length);

/** tcp_congestion_names - "reno, cubic, dctcp" */
const char *tcp_congestion_names(void);

/** tcp_congestion_initial - RFC 6928: the first window, bytes */
uint32_t tcp_congestion_initial(uint32_t mss);

/** tcp_congestion_init - the first window and the algorithm; cwnd_max has been set */
void tcp_congestion_init(struct tcp_congestion *congestion, const struct tcp_congestion_ops *ops,
			 uint32_t mss, uint64_t now_ns);

/** tcp_congestion_choose - another algorithm, for a connection that is there */
void tcp_congestion_choose(struct tcp_congestion *congestion, const struct tcp_congestion_ops *ops,
			   uint64_t now_ns);

/**
 * tcp_congestion_slow_start - grow cwnd by what was acknowledged, up to ssthresh
 *
 * RFC 3465, 2.2 and 2.3: by no more than L = 2 segments for each acknowledgment, 1 where ssthresh is
 * known: that is the slow start after a timeout. Return: bytes that were not used up, those above
 * ssthresh.
 */
uint32_t tcp_congestion_slow_start(struct tcp_congestion *congestion, uint32_t acked_bytes);

/**
 * tcp_congestion_avoid - RFC 5681, (3) by bytes: one segment more for each cwnd acknowledged
 * @counter: bytes toward the next one
 */
void tcp_congestion_avoid(struct tcp_congestion *congestion, uint32_t *counter,
			  uint32_t acked_bytes);

/** tcp_congestion_grow - cwnd by @bytes, but not beyond cwnd_max */
void tcp_congestion_grow(struct tcp_congestion *congestion, uint32_t bytes);

/**
 * tcp_congestion_part - a new ssthresh: @numerator / @denominator of @bytes, not more than 1
 *
 * At least two segments (RFC 5681, (4)). After a mark at least one, as cwnd must go down to that
 * (RFC 3168, 6.1.2; RFC 9438, 4.6); from there slow start up to two would not be faster than
 * congestion avoidance is.
 */
uint32_t tcp_congestion_part(const struct tcp_congestion *congestion, uint32_t bytes,
			     uint32_t numerator, uint32_t denominator, bool is_mark);

/**
 * tcp_congestion_flight - the part of the flight that counts when a loss was detected
 *
 * RFC 5681, 3.2, (2): what limited transmit has sent beyond cwnd does not.
 */
static inline uint32_t tcp_congestion_flight(const struct tcp_congestion *congestion,
					     uint32_t flight_bytes)
{
	return flight_bytes < congestion->cwnd ? flight_bytes : congestion->cwnd;
}

static inline bool tcp_congestion_in_slow_start(const struct tcp_congestion *congestion)
{
	return congestion->cwnd < congestion->ssthresh;
}

#endif /* DEMI_NET_TCP_CONGESTION_H */
