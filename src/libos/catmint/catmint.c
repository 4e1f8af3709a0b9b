/* SPDX-License-Identifier: MIT */
/* Start and stop of Catmint, its fast path, and its sleep. */
#include "libos/catmint/catmint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "heap/fast.h"
#include "libos/catmint/connection.h"
#include "libos/catmint/datagram.h"
#include "libos/catmint/device.h"

#define COMPLETIONS_AT_ONCE 16
/* Looking at what comes of set-ups is a system call: so often, and when one is under way. */
#define EVENTS_NS (1000 * NS_PER_US)
#define EVENTS_LISTENING_NS (200 * NS_PER_US)
#define EVENTS_OPENING_NS (20 * NS_PER_US)
/* While something is waited for that wakes nobody, each nap is twice as long as the one before. */
#define NAP_NS (50 * NS_PER_US)
#define NAPS_MAX 5u
/* A stop waits so long for the device to give back what it has. */
#define STOP_NS NS_PER_S
/* So many times in the interval of a probe do we look who is silent. */
#define LOOKS_PER_PROBE 4

/* --- completions --- */

/* A queue pair's own queue keeps its buffers until it goes; see credit_end. What is flushed was not the
 * first to fail. */
static __attribute__((noinline)) void receive_failed(struct catmint *mint, const struct ibv_wc *wc,
						     struct buf *buf)
{
	struct connection *connection = connection_by_number(mint, wc->qp_num);

	if (mint->srq) {
		buf->flags = 0;
		pool_put(&mint->pool, buf);
		if (connection)
			credit_taken(connection);
		else
			credit_lost(mint);
	}
	if (connection && wc->status != IBV_WC_WR_FLUSH_ERR)
		connection_fail(connection, EIO);
}

static void handle_send(struct send *send, enum ibv_wc_status status)
{
	if (send->kind == SEND_DATAGRAM)
		dgram_pair_done(send, status);
	else
		output_done(send, status);
}

static inline void handle_receive(struct catmint *mint, const struct ibv_wc *wc)
{
	struct buf *buf = (struct buf *)(uintptr_t)(wc->wr_id & ~1ull);
	struct connection *connection;

	if (wc->wr_id & DGRAM_WR_ID) {
		dgram_received(mint->dgrams, wc);
		return;
	}
	if (unlikely(wc->status != IBV_WC_SUCCESS)) {
		receive_failed(mint, wc, buf);
		return;
	}
	connection = pair_table_look(&mint->table, wc->qp_num);
	if (likely(connection != NULL))
		input_received(connection, buf, wc->byte_len);
	else
		receive_failed(mint, wc, buf);
}

static inline __attribute__((always_inline)) unsigned int poll_completions(struct catmint *mint)
{
	struct ibv_wc completions[COMPLETIONS_AT_ONCE];
	int count = ibv_poll_cq(mint->cq, COMPLETIONS_AT_ONCE, completions);

	for (const struct ibv_wc *wc = completions; wc < completions + count; wc++) {
		if (wc->wr_id & 1)
			handle_receive(mint, wc);
		else
			handle_send((struct send *)(uintptr_t)wc->wr_id, wc->status);
	}
	return count > 0 ? (unsigned int)count : 0;
}

unsigned int catmint_drain(struct catmint *mint)
{
	unsigned int count = 0, some;

	while ((some = poll_completions(mint)) > 0)
		count += some;
	return count;
}

/* --- the fast path --- */

/* Something was missing: memory, or room in the send queue. */
static void feed(struct catmint *mint)
{
	struct connection *connection = connection_list_take(mint, LIST_HUNGRY), *next;

	for (; connection; connection = next) {
		next = connection_list_next(connection, LIST_HUNGRY);
		if (connection->error || !connection->qp)
			continue;
		credit_grant_now(connection);
		if (connection->unread)
			large_begin(connection);
		if (connection->write_shut && !connection->end_sent && !output_end(connection))
			connection_list_add(connection, LIST_HUNGRY);
		connection_advance_close(connection);
	}
}

static bool has_datagram_work(const struct catmint *mint)
{
	return mint->dgrams && mint->dgrams->work;
}

static __attribute__((noinline)) void run_lists(struct catmint *mint)
{
	if (mint->lists[LIST_HUNGRY])
		feed(mint);
	if (mint->lists[LIST_WATCHING])
		output_watch(mint);
	if (mint->lists[LIST_STARVED])
		connection_retry_accepts(mint);
	if (mint->lists[LIST_DYING])
		end_run_dying(mint);
	if (mint->busy & CATMINT_REFILL)
		credit_refill(mint);
}

/* Before the completions of a round, and after them. */
#define LISTS_BEFORE (1u << LIST_FLUSHING | 1u << LIST_OWING)
#define LISTS_AFTER                                                                        \
	(1u << LIST_HUNGRY | 1u << LIST_WATCHING | 1u << LIST_STARVED | 1u << LIST_DYING | \
	 CATMINT_REFILL)

static __attribute__((noinline)) void run_lists_before(struct catmint *mint)
{
	if (mint->busy & 1u << LIST_FLUSHING)
		output_flush_all(mint);
	/* Since the last round, answers may have told them. */
	credit_tell_all(mint);
}

static void look_at_events(struct catmint *mint, uint64_t now_ns)
{
	device_events(mint);
	mint->events_at_ns = now_ns + (mint->opening     ? EVENTS_OPENING_NS
				       : mint->listeners ? EVENTS_LISTENING_NS
							 : EVENTS_NS);
}

static enum coroutine_step catmint_poll(struct coroutine *self, uint64_t now_ns)
{
	struct catmint *mint = container_of(self, struct catmint, fast_path);

	if (mint->busy & LISTS_BEFORE)
		run_lists_before(mint);
	if (has_datagram_work(mint))
		dgrams_run(mint->dgrams);
	if (poll_completions(mint) > 0)
		mint->naps = 0;
	if (unlikely(mint->busy & LISTS_AFTER))
		run_lists(mint);
	if (unlikely(now_ns >= mint->events_at_ns))
		look_at_events(mint, now_ns);
	return COROUTINE_STEP_YIELD;
}

/* --- peers that are silent --- */

/* A write of what the peer knows already: it fails when the peer is gone. */
static void probe_silent(struct timer *timer, uint64_t now_ns)
{
	struct catmint *mint = container_of(timer, struct catmint, keepalive);
	uint64_t silence_ns = mint->limits.keepalive_ns;

	for (struct connection *connection = mint->connections; connection;
	     connection = connection->all_next) {
		if ((connection->state != CONNECTION_CONNECTED &&
		     connection->state != CONNECTION_CLOSING) ||
		    connection->error || connection->is_disconnected || connection->farewell ||
		    now_ns - connection->heard_ns < silence_ns)
			continue;
		connection->heard_ns = now_ns;
		mint->counters.probes += credit_write(connection);
	}
	if (mint->connections)
		timer_arm(&mint->context->sched.timers, timer,
			  now_ns + silence_ns / LOOKS_PER_PROBE);
}

void catmint_start_probes(struct catmint *mint)
{
	uint64_t silence_ns = mint->limits.keepalive_ns;

	if (silence_ns && !timer_is_armed(&mint->keepalive))
		timer_arm(&mint->context->sched.timers, &mint->keepalive,
			  mint->context->now_ns + silence_ns / LOOKS_PER_PROBE);
}

/* --- start and stop --- */

static void catmint_free(struct catmint *mint)
{
	dgrams_destroy(mint->dgrams);
	if (mint->calls) {
		device_close(mint);
	}
	pair_table_fini(&mint->table);
	free(mint);
}

static int catmint_start(struct libos **libos_out, struct queue_context *context,
			 const struct config *config)
{
	struct catmint *mint = calloc(1, sizeof(*mint));
	int error;

	if (!mint)
		return -ENOMEM;
	mint->libos.ops = &catmint_ops;
	mint->context = context;
	mint->wake_fd = -1;
	error = device_open(mint, config);
	if (!error)
		error = sched_add_fast_path(&context->sched, &mint->fast_path, catmint_poll);
	if (error) {
		catmint_free(mint);
		return error;
	}
	timer_init(&mint->keepalive, probe_silent);
	log_info("catmint over port %u of %s: receive buffers of %u bytes, %s", mint->port,
		 mint->verbs->device->name, mint->limits.receive_bytes,
		 mint->srq ? "shared" : "of each connection");
	*libos_out = &mint->libos;
	return 0;
}

static void catmint_tell_figures(struct libos *libos, figure_fn *tell, void *context)
{
	const struct catmint *mint = catmint_of(libos);

#define TELL(name) tell(context, "rdma", #name, NULL, mint->counters.name);
	CATMINT_COUNTERS(TELL)
#undef TELL
	if (mint->calls->tell)
		mint->calls->tell(mint->rdma, tell, context);
}

static bool has_ends(const struct catmint *mint)
{
	return mint->connections || (mint->dgrams && mint->dgrams->pairs);
}

/* Those that were closed may still have something to say; after a while they are cut off. */
static void end_connections(struct catmint *mint)
{
	uint64_t end_ns = mint->context->clock() + STOP_NS;

	for (struct connection *connection = mint->connections; connection;
	     connection = connection->all_next)
		if (connection->state == CONNECTION_ACCEPTING ||
		    (connection->state == CONNECTION_CONNECTED && connection->queue.qd < 0))
			end_bury(connection);
	if (mint->dgrams)
		dgrams_close(mint->dgrams);
	while (has_ends(mint) && mint->failure == 0) {
		mint->context->now_ns = mint->context->clock();
		if (mint->context->now_ns >= end_ns)
			break;
		catmint_poll(&mint->fast_path, mint->context->now_ns);
	}
	for (struct connection *connection = mint->connections; connection;
	     connection = connection->all_next)
		if (connection->state != CONNECTION_DYING)
			end_bury(connection);
	if (has_ends(mint) && mint->failure == 0)
		mint->failure = -ECANCELED;
	end_run_dying(mint);
	if (mint->dgrams)
		dgrams_end(mint->dgrams);
}

static void catmint_stop(struct libos *libos)
{
	struct catmint *mint = catmint_of(libos);

	end_connections(mint);
	timer_cancel(&mint->context->sched.timers, &mint->keepalive);
	sched_remove_fast_path(&mint->context->sched, &mint->fast_path);
	catmint_free(mint);
}

static void catmint_forget(struct libos *libos)
{
	device_forget(catmint_of(libos));
}

/* --- sleep --- */

/* The peer's writes to our words wake nobody, nor does memory that becomes free. */
static uint64_t limit_for_peers(struct catmint *mint, uint64_t timeout_ns)
{
	uint64_t nap_ns;

	if (!mint->lists[LIST_WATCHING] && !mint->lists[LIST_HUNGRY] && !mint->lists[LIST_DYING] &&
	    mint->spare >= 0 && !has_datagram_work(mint))
		return timeout_ns;
	nap_ns = NAP_NS << (mint->naps < NAPS_MAX ? mint->naps++ : NAPS_MAX);
	return nap_ns < timeout_ns ? nap_ns : timeout_ns;
}

/* A simulated network has its own time. */
static uint64_t limit_for_network(const struct catmint *mint, uint64_t timeout_ns)
{
	uint64_t now_ns = mint->context->now_ns;
	uint64_t next_ns = mint->calls->next_ns ? mint->calls->next_ns(mint->rdma) : UINT64_MAX;

	if (next_ns == UINT64_MAX)
		return timeout_ns;
	if (next_ns <= now_ns)
		return 0;
	return next_ns - now_ns < timeout_ns ? next_ns - now_ns : timeout_ns;
}

static int catmint_idle(struct libos *libos, struct pollfd *wakes, uint64_t *timeout_ns)
{
	struct catmint *mint = catmint_of(libos);

	/* What comes of it is looked at first: it may be an error, or a push that has gone. */
	if (mint->lists[LIST_FLUSHING]) {
		output_flush_all(mint);
		return -EAGAIN;
	}
	if (has_datagram_work(mint))
		dgrams_run(mint->dgrams);
	if (catmint_collects(mint))
		return -EAGAIN;
	if (mint->lists[LIST_OWING] || mint->lists[LIST_STARVED] || mint->lists[LIST_DOOMED] ||
	    mint->doom != mint->failure)
		return -EAGAIN;
	if (device_arm(mint) < 0)
		return -EAGAIN;
	/* Whatever has happened in the meantime is looked at first. */
	mint->events_at_ns = 0;
	wakes[0] = (struct pollfd){.fd = mint->channel->fd, .events = POLLIN};
	wakes[1] = (struct pollfd){.fd = mint->wake_fd, .events = POLLIN};
	*timeout_ns = limit_for_network(mint, limit_for_peers(mint, *timeout_ns));
	return 2;
}

/* --- sockets --- */

int catmint_socket(struct libos *libos, struct queue **queue_out, int domain, int type,
		   int protocol)
{
	struct catmint *mint = catmint_of(libos);

	if (domain != AF_INET && domain != AF_INET6)
		return -ENOTSUP;
	if (type == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP))
		return dgram_create(mint, queue_out, domain == AF_INET6);
	if (type != SOCK_STREAM || (protocol != 0 && protocol != IPPROTO_TCP))
		return -ENOTSUP;
	return connection_create(mint, queue_out, domain == AF_INET6);
}

const struct libos_ops catmint_ops = {
	.name = "catmint",
	.start = catmint_start,
	.stop = catmint_stop,
	.forget = catmint_forget,
	.socket = catmint_socket,
	.tell_figures = catmint_tell_figures,
	.sleep = libos_sleep_idle,
	.idle = catmint_idle,
};
