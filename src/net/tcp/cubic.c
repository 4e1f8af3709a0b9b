/* SPDX-License-Identifier: MIT */
/*
 * CUBIC (RFC 9438), by bytes and in integers, with HyStart++ as its first slow start (4.10) and fast
 * convergence (4.7). Names are the RFC's. In congestion avoidance time is counted in ticks of
 * 2^-20 s, so that cubes are shifted and not divided; a tick moves W_cubic by less than a segment
 * as long as K is less than 900 s.
 */
#include "net/tcp/cubic.h"
#include "net/tcp/congestion.h"
#include "net/tcp/hystart.h"

/* Of tcp_cubic_stage.epoch_ns. */
#define NO_EPOCH 0u
#define FIRST_SLOW_START UINT64_MAX

/* RFC 9438, 4.6: beta is 0.7. */
#define BETA_NUMERATOR 7u
#define BETA_DENOMINATOR 10u
/* 4.7: (1 + beta) / 2. */
#define CONVERGENCE_NUMERATOR 17u
#define CONVERGENCE_DENOMINATOR 20u
/* 4.3: alpha, 3 * (1 - beta) / (1 + beta). */
#define ALPHA_NUMERATOR 9u
#define ALPHA_DENOMINATOR 17u
/* 5.1: C is 0.4 segments / s^3. */
#define C_NUMERATOR 2u
#define C_DENOMINATOR 5u

#define TICK_BITS 20u /* of a second */
#define CUBE_BITS (3u * TICK_BITS)
#define REST_BITS 16u /* of a byte */

/* 10^9 / 2^20 is 5^9 / 2^11. */
#define NS_OF_TICKS UINT64_C(1953125)
#define NS_OF_TICKS_BITS 11u

/* Ticks, 34 minutes: from there on W_cubic is above any window, and its cube fits. */
#define DISTANCE_MAX ((UINT64_C(1) << 31) - 1)

/* Acknowledgments of a window that is full are not that many round trips apart. */
#define PAUSE_RTTS 2u

static uint64_t ticks_of_ns(uint64_t ns)
{
	const uint64_t ns_max = UINT64_MAX >> NS_OF_TICKS_BITS;

	return ((ns < ns_max ? ns : ns_max) << NS_OF_TICKS_BITS) / NS_OF_TICKS;
}

static uint64_t ns_of_ticks(uint32_t ticks)
{
	return ticks * NS_OF_TICKS >> NS_OF_TICKS_BITS;
}

/* Bit by bit: 32 steps, once for each congestion avoidance stage. */
uint32_t tcp_cubic_root(unsigned __int128 value)
{
	uint32_t root = 0;

	for (uint32_t bit = UINT32_C(1) << 31; bit; bit >>= 1) {
		uint32_t next = root | bit;

		if ((unsigned __int128)((uint64_t)next * next) * next <= value)
			root = next;
	}
	return root;
}

/* 4.2: K is the cube root of (W_max - cwnd_epoch) / C. */
static uint32_t k_ticks(uint32_t missing_bytes, uint32_t mss)
{
	unsigned __int128 cube = (unsigned __int128)missing_bytes * C_DENOMINATOR << CUBE_BITS;
	uint64_t divisor = (uint64_t)C_NUMERATOR * mss;

	return tcp_cubic_root(cube / divisor);
}

/* C * @distance_ticks^3, in bytes. */
static uint64_t cube_bytes(uint64_t distance_ticks, uint32_t mss)
{
	uint64_t distance = distance_ticks < DISTANCE_MAX ? distance_ticks : DISTANCE_MAX;
	uint64_t square = distance * distance, factor = (uint64_t)C_NUMERATOR * mss;
	/* Half of the bits now, and half of them when it has grown again. */
	uint64_t cube = (uint64_t)((unsigned __int128)square * distance >> CUBE_BITS / 2);

	return (uint64_t)((unsigned __int128)cube * factor >> CUBE_BITS / 2) / C_DENOMINATOR;
}

/* 4.2, Figure 1. */
static uint32_t w_cubic(const struct tcp_congestion *congestion, uint64_t t_ticks)
{
	const struct tcp_cubic_stage *stage = &congestion->cubic.stage;
	uint64_t bytes;

	if (t_ticks < stage->k_ticks) {
		bytes = cube_bytes(stage->k_ticks - t_ticks, congestion->mss);
		return bytes < stage->w_max ? stage->w_max - (uint32_t)bytes : 0;
	}
	bytes = cube_bytes(t_ticks - stage->k_ticks, congestion->mss);
	return bytes < UINT32_MAX - stage->w_max ? stage->w_max + (uint32_t)bytes : UINT32_MAX;
}

/* @product / @cwnd bytes. What is less than a byte is kept in @rest, for large windows grow by less
 * with each acknowledgment. */
static uint32_t share(uint64_t product, uint32_t cwnd, uint16_t *rest)
{
	uint64_t bytes = product >> (64 - REST_BITS) ? product / cwnd << REST_BITS
						     : (product << REST_BITS) / cwnd;

	bytes += *rest;
	*rest = (uint16_t)bytes;
	bytes >>= REST_BITS;
	return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

static void init(struct tcp_congestion *congestion, uint64_t now_ns)
{
	(void)now_ns;
	if (congestion->ssthresh != TCP_SSTHRESH_INFINITE)
		return;
	congestion->cubic.stage.epoch_ns = FIRST_SLOW_START;
	tcp_hystart_init(&congestion->cubic.hystart);
}

/* 4.10: W_max is not known, and becomes cwnd when congestion avoidance begins. */
static void leave_first_slow_start(struct tcp_congestion *congestion)
{
	congestion->cubic.stage = (struct tcp_cubic_stage){.epoch_ns = NO_EPOCH};
	congestion->cubic.undo = congestion->cubic.stage;
}

static void first_slow_start(struct tcp_congestion *congestion,
			     const struct tcp_congestion_ack *ack)
{
	if (!tcp_hystart_acked(congestion, &congestion->cubic.hystart, ack))
		return;
	congestion->ssthresh = congestion->cwnd;
	leave_first_slow_start(congestion);
}

static uint64_t epoch_at(uint64_t now_ns)
{
	return now_ns == NO_EPOCH ? 1 : now_ns;
}

/*
 * A congestion avoidance stage. W_max is at most cwnd after a timeout (4.8) and after a slow start
 * without losses (4.10), where both say that it is cwnd and K is 0.
 */
static void begin(struct tcp_congestion *congestion, uint64_t now_ns)
{
	struct tcp_cubic_stage *stage = &congestion->cubic.stage;

	stage->epoch_ns = epoch_at(now_ns);
	if (stage->w_max < congestion->cwnd)
		stage->w_max = congestion->cwnd;
	if (!stage->cwnd_prior)
		stage->cwnd_prior = congestion->cwnd;
	stage->k_ticks = k_ticks(stage->w_max - congestion->cwnd, congestion->mss);
	stage->w_est = congestion->cwnd;
	congestion->cubic.last_ticks = 0;
	congestion->cubic.cwnd_rest = 0;
	congestion->cubic.w_est_rest = 0;
}

/* Later than 2^32 ticks, 68 minutes, t is beyond what w_cubic tells apart anyway. */
static void remember(struct tcp_congestion *congestion, uint64_t t_ns)
{
	uint64_t ticks = ticks_of_ns(t_ns);

	congestion->cubic.last_ticks = ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

/*
 * 4.2: t, without the time in which the application limited: nobody has told us of acknowledgments
 * then. We see it by how long that has been, and move the epoch.
 */
static uint64_t elapsed_ticks(struct tcp_congestion *congestion,
			      const struct tcp_congestion_ack *ack)
{
	struct tcp_cubic_stage *stage = &congestion->cubic.stage;
	uint64_t t_ns, last_ns = ns_of_ticks(congestion->cubic.last_ticks);

	/* The epoch began while nothing was sent, and restarted has moved it. */
	if (ack->now_ns < stage->epoch_ns)
		stage->epoch_ns = epoch_at(ack->now_ns);
	t_ns = ack->now_ns > stage->epoch_ns ? ack->now_ns - stage->epoch_ns : 0;
	if (ack->srtt_ns && t_ns > last_ns && (t_ns - last_ns) / PAUSE_RTTS > ack->srtt_ns) {
		stage->epoch_ns += t_ns - last_ns - ack->srtt_ns;
		t_ns = last_ns + ack->srtt_ns;
	}
	remember(congestion, t_ns);
	return ticks_of_ns(t_ns);
}

/* 4.3, Figure 4. */
static void estimate(struct tcp_congestion *congestion, uint32_t acked_bytes)
{
	struct tcp_cubic_stage *stage = &congestion->cubic.stage;
	uint64_t product = (uint64_t)acked_bytes * congestion->mss;
	uint32_t bytes;

	/* Reno would be there by now: alpha is 1 then. */
	if (stage->w_est < stage->cwnd_prior)
		product = product * ALPHA_NUMERATOR / ALPHA_DENOMINATOR;
	bytes = share(product, congestion->cwnd, &congestion->cubic.w_est_rest);
	stage->w_est = stage->w_est < TCP_CWND_LIMIT && bytes < TCP_CWND_LIMIT - stage->w_est
			       ? stage->w_est + bytes
			       : TCP_CWND_LIMIT;
}

/* 4.4 and 4.5: cwnd comes to @target within a round trip, and by no more than half of it (4.2). */
static void approach(struct tcp_congestion *congestion, uint32_t target, uint32_t acked_bytes)
{
	uint32_t bytes, missing;

	if (target <= congestion->cwnd)
		return;
	missing = target - congestion->cwnd;
	if (missing > congestion->cwnd / 2)
		missing = congestion->cwnd / 2;
	bytes = share((uint64_t)acked_bytes * missing, congestion->cwnd,
		      &congestion->cubic.cwnd_rest);
	tcp_congestion_grow(congestion, bytes < missing ? bytes : missing);
}

static void avoid(struct tcp_congestion *congestion, const struct tcp_congestion_ack *ack,
		  uint32_t acked_bytes)
{
	struct tcp_cubic_stage *stage = &congestion->cubic.stage;
	uint64_t t_ticks;

	if (stage->epoch_ns == NO_EPOCH)
		begin(congestion, ack->now_ns);
	t_ticks = elapsed_ticks(congestion, ack);
	estimate(congestion, acked_bytes);
	if (w_cubic(congestion, t_ticks) >= stage->w_est)
		approach(congestion, w_cubic(congestion, t_ticks + ticks_of_ns(ack->srtt_ns)),
			 acked_bytes);
	else if (congestion->cwnd < stage->w_est)
		tcp_congestion_grow(congestion, stage->w_est - congestion->cwnd);
}

static void acked(struct tcp_congestion *congestion, const struct tcp_congestion_ack *ack)
{
	struct tcp_cubic_stage *stage = &congestion->cubic.stage;
	uint32_t rest = ack->acked_bytes;

	if (stage->epoch_ns == FIRST_SLOW_START) {
		if (congestion->ssthresh == TCP_SSTHRESH_INFINITE) {
			first_slow_start(congestion, ack);
			return;
		}
		leave_first_slow_start(congestion);
	}
	if (tcp_congestion_in_slow_start(congestion)) {
		/* After a timeout, or after idle time: what comes then is another stage. */
		stage->epoch_ns = NO_EPOCH;
		rest = tcp_congestion_slow_start(congestion, rest);
		if (rest == 0)
			return;
	}
	avoid(congestion, ack, rest);
}

static uint32_t reduced(struct tcp_congestion *congestion, uint32_t flight_bytes, bool is_mark,
			uint64_t now_ns)
{
	struct tcp_cubic_stage *stage = &congestion->cubic.stage;
	uint64_t cwnd = congestion->cwnd;

	(void)now_ns;
	congestion->cubic.undo = *stage;
	/* 4.7: who comes to less than before leaves room for somebody new. */
	stage->w_max = (uint32_t)(cwnd < stage->w_max
					  ? cwnd * CONVERGENCE_NUMERATOR / CONVERGENCE_DENOMINATOR
					  : cwnd);
	stage->cwnd_prior = congestion->cwnd;
	stage->epoch_ns = NO_EPOCH;
	return tcp_congestion_part(congestion, tcp_congestion_flight(congestion, flight_bytes),
				   BETA_NUMERATOR, BETA_DENOMINATOR, is_mark);
}

/* 4.8. */
static uint32_t timed_out(struct tcp_congestion *congestion, uint32_t flight_bytes, uint64_t now_ns)
{
	struct tcp_cubic_stage *stage = &congestion->cubic.stage;

	(void)now_ns;
	/* Not for a window that another timeout has reduced before: what was before that is undone. */
	if (congestion->cwnd > congestion->mss || stage->epoch_ns == FIRST_SLOW_START) {
		congestion->cubic.undo = *stage;
		stage->cwnd_prior = congestion->cwnd;
	}
	stage->w_max = 0;
	stage->epoch_ns = NO_EPOCH;
	return tcp_congestion_part(congestion, flight_bytes, BETA_NUMERATOR, BETA_DENOMINATOR,
				   false);
}

/* 4.9: time goes on as if nothing had been. */
static void undone(struct tcp_congestion *congestion, uint64_t now_ns)
{
	struct tcp_cubic_stage *stage = &congestion->cubic.stage;

	if (stage->epoch_ns == FIRST_SLOW_START)
		return;
	*stage = congestion->cubic.undo;
	if (stage->epoch_ns == FIRST_SLOW_START)
		tcp_hystart_init(&congestion->cubic.hystart);
	else if (stage->epoch_ns < now_ns)
		remember(congestion, now_ns - stage->epoch_ns);
}

/* 5.8. */
static void restarted(struct tcp_congestion *congestion, uint64_t idle_ns)
{
	struct tcp_cubic_stage *stage = &congestion->cubic.stage;

	if (stage->epoch_ns != NO_EPOCH && stage->epoch_ns < FIRST_SLOW_START - idle_ns)
		stage->epoch_ns += idle_ns;
}

const struct tcp_congestion_ops tcp_cubic = {
	.name = "cubic",
	.init = init,
	.acked = acked,
	.reduced = reduced,
	.timed_out = timed_out,
	.undone = undone,
	.restarted = restarted,
};
