/* SPDX-License-Identifier: MIT */
/* The states of a neighbour: RFC 4861, section 7.3, for both versions. */
#include <errno.h>

#include "base/container.h"
#include "net/autoconf.h"
#include "net/neighbour_table.h"

#define SECOND_NS UINT64_C(1000000000)
#define MILLISECOND_NS UINT64_C(1000000)

/* RFC 4861, section 10. */
#define DELAY_NS (5 * SECOND_NS)
#define QUESTIONS_MAX 3

#define HOLD_NS SECOND_NS            /* refusing packets to who has not answered */
#define DOUBT_AFTER_NS SECOND_NS     /* who has just answered is not doubted */
#define REDRAW_NS (7200 * SECOND_NS) /* RFC 4861, 6.3.4: "at least every few hours" */
#define REACHABLE_MS_MIN 5000u       /* what a router may say */
#define REACHABLE_MS_MAX 3600000u    /* RFC 4861, 6.2.1 */
#define RETRANSMIT_MS_MIN 250u
#define RETRANSMIT_MS_MAX 10000u

static void arm(struct neighbour *neighbour, uint64_t deadline_ns)
{
	timer_arm(&neighbour->net->sched->timers, &neighbour->timer, deadline_ns);
}

static void arm_expiry(struct neighbour *neighbour)
{
	arm(neighbour, neighbour->used_ns + NEIGHBOUR_UNUSED_NS);
}

/* ---- From state to state ---- */

/* @to: NULL: everybody */
static void ask(struct neighbour *neighbour, const struct eth_address *to, uint64_t now_ns)
{
	neighbour->probes_sent++;
	arm(neighbour, now_ns + neighbour->net->neighbours->retransmit_ns);
	if (neighbour->type == ETH_TYPE_IPV4)
		arp_ask(neighbour->net, &neighbour->ip, to);
	else
		ndp_ask(neighbour->net, &neighbour->ip, to);
}

static void ask_everybody(struct neighbour *neighbour, uint64_t now_ns)
{
	neighbour_set_state(neighbour, NEIGHBOUR_INCOMPLETE);
	ask(neighbour, NULL, now_ns);
}

static void probe(struct neighbour *neighbour, uint64_t now_ns)
{
	neighbour_set_state(neighbour, NEIGHBOUR_PROBE);
	ask(neighbour, &neighbour->link, now_ns);
}

static void fail(struct neighbour *neighbour, uint64_t now_ns)
{
	neighbour_set_state(neighbour, NEIGHBOUR_FAILED);
	neighbour->held_until_ns = now_ns + HOLD_NS;
	pending_refuse(neighbour);
	arm_expiry(neighbour);
	if (neighbour->type == ETH_TYPE_IPV6)
		autoconf_router_failed(neighbour->net, &neighbour->ip);
}

static void make_stale(struct neighbour *neighbour)
{
	neighbour_set_state(neighbour, NEIGHBOUR_STALE);
	arm_expiry(neighbour);
}

/* Between 0.5 and 1.5 times the base (RFC 4861, 6.3.2), so that hosts do not ask in step. */
static uint64_t reachable_ns(struct net *net, uint64_t now_ns)
{
	struct neighbour_table *table = net->neighbours;

	if (!table->reachable_ns || now_ns - table->reachable_drawn_ns >= REDRAW_NS) {
		table->reachable_drawn_ns = now_ns;
		table->reachable_ns = table->reachable_base_ns / 2 +
				      net_random(net) % table->reachable_base_ns;
	}
	return table->reachable_ns;
}

static void confirm(struct neighbour *neighbour, uint64_t now_ns)
{
	neighbour->confirmed_ns = now_ns;
	neighbour->confirmed_until_ns = now_ns + reachable_ns(neighbour->net, now_ns);
	if (neighbour->state == NEIGHBOUR_REACHABLE)
		return; /* its timer will find that there is more time */
	neighbour_set_state(neighbour, NEIGHBOUR_REACHABLE);
	neighbour->is_doubtful = false;
	arm(neighbour, neighbour->confirmed_until_ns);
}

/* A packet goes to a link address that may not be right any more. */
static void suspect(struct neighbour *neighbour, uint64_t now_ns)
{
	if (neighbour->is_doubtful) {
		probe(neighbour, now_ns);
		return;
	}
	neighbour_set_state(neighbour, NEIGHBOUR_DELAY);
	arm(neighbour, now_ns + DELAY_NS);
}

void neighbour_fired(struct timer *timer, uint64_t now_ns)
{
	struct neighbour *neighbour = container_of(timer, struct neighbour, timer);

	switch ((enum neighbour_state)neighbour->state) {
	case NEIGHBOUR_INCOMPLETE:
		if (neighbour->probes_sent < QUESTIONS_MAX)
			ask(neighbour, NULL, now_ns);
		else
			fail(neighbour, now_ns);
		break;
	case NEIGHBOUR_REACHABLE:
		if (now_ns < neighbour->confirmed_until_ns)
			arm(neighbour, neighbour->confirmed_until_ns);
		else
			make_stale(neighbour);
		break;
	case NEIGHBOUR_DELAY:
		probe(neighbour, now_ns);
		break;
	case NEIGHBOUR_PROBE:
		/* Whoever has the address now may have another link address. */
		if (neighbour->probes_sent < QUESTIONS_MAX)
			ask(neighbour, &neighbour->link, now_ns);
		else
			ask_everybody(neighbour, now_ns);
		break;
	case NEIGHBOUR_NEW:
	case NEIGHBOUR_FAILED:
	case NEIGHBOUR_STALE:
		if (now_ns - neighbour->used_ns < NEIGHBOUR_UNUSED_NS)
			arm_expiry(neighbour);
		else
			neighbour_free(neighbour);
		break;
	case NEIGHBOUR_FREE:
		break;
	}
}

/* ---- Packets ---- */

static int wait_for_answer(struct net *net, struct neighbour *neighbour, struct buf *buf)
{
	if (neighbour->state == NEIGHBOUR_FAILED && net->now_ns < neighbour->held_until_ns) {
		net_drop(net, buf, neighbour_layer(neighbour), NET_DROP_NO_NEIGHBOUR);
		return -EHOSTUNREACH;
	}
	neighbour->used_ns = net->now_ns;
	if (neighbour->state != NEIGHBOUR_INCOMPLETE)
		ask_everybody(neighbour, net->now_ns);
	return pending_add(neighbour, buf);
}

int neighbour_tx_slow(struct net *net, struct neighbour *neighbour, struct buf *buf)
{
	if (neighbour->state < NEIGHBOUR_REACHABLE)
		return wait_for_answer(net, neighbour, buf);
	neighbour->used_ns = net->now_ns;
	if (neighbour->state == NEIGHBOUR_STALE || (neighbour->state == NEIGHBOUR_REACHABLE &&
						    net->now_ns >= neighbour->confirmed_until_ns))
		suspect(neighbour, net->now_ns);
	eth_tx(net, buf, &neighbour->link, neighbour->type);
	return 0;
}

void neighbour_confirm(struct net *net, struct neighbour *neighbour)
{
	if (neighbour->state >= NEIGHBOUR_REACHABLE)
		confirm(neighbour, net->now_ns);
}

/* ---- News ---- */

/* The first answer wins: a second one, of a liar or of a proxy, finds us not asking. */
static bool learn_first(struct neighbour *neighbour, const struct neighbour_news *news)
{
	if (!news->has_link)
		return false;
	neighbour->link = news->link;
	neighbour->is_router = news->is_router;
	confirm(neighbour, neighbour->net->now_ns);
	pending_send(neighbour);
	return true;
}

/*
 * RFC 4861, 7.2.5, I: what does not override makes a reachable entry stale and changes no other;
 * what does must not change the address either, where it is so easily forged.
 */
static bool doubt(struct neighbour *neighbour, bool overrides)
{
	uint64_t age_ns = neighbour->net->now_ns - neighbour->confirmed_ns;

	if (neighbour->state == NEIGHBOUR_PROBE || neighbour->is_doubtful ||
	    age_ns < DOUBT_AFTER_NS || (!overrides && neighbour->state != NEIGHBOUR_REACHABLE))
		return false;
	neighbour->is_doubtful = true;
	make_stale(neighbour);
	return true;
}

bool neighbour_learn(struct net *net, const struct neighbour_news *news)
{
	struct neighbour *neighbour = neighbour_find(net, &news->ip);
	bool differs;

	if (!neighbour)
		return false;
	if (neighbour->state == NEIGHBOUR_INCOMPLETE && news->is_answer)
		return learn_first(neighbour, news);
	if (neighbour->state < NEIGHBOUR_REACHABLE)
		return false;
	differs = news->has_link && !eth_address_equal(&news->link, &neighbour->link);
	if (differs)
		return doubt(neighbour, news->overrides);
	if (neighbour->state == NEIGHBOUR_PROBE && news->is_answer) {
		neighbour->is_router = news->is_router;
		confirm(neighbour, net->now_ns);
		return true;
	}
	/* It lives, but that does not say that our packets reach it. */
	if (news->asks_us)
		neighbour->used_ns = net->now_ns;
	return news->asks_us;
}

static uint64_t clamp_ns(uint32_t ms, uint32_t least, uint32_t most)
{
	return (ms < least ? least : ms > most ? most : ms) * MILLISECOND_NS;
}

void neighbour_set_times(struct net *net, uint32_t reachable_ms, uint32_t retransmit_ms)
{
	struct neighbour_table *table = net->neighbours;
	uint64_t base_ns = clamp_ns(reachable_ms, REACHABLE_MS_MIN, REACHABLE_MS_MAX);

	if (retransmit_ms)
		table->retransmit_ns = clamp_ns(retransmit_ms, RETRANSMIT_MS_MIN,
						RETRANSMIT_MS_MAX);
	if (reachable_ms && base_ns != table->reachable_base_ns) {
		table->reachable_base_ns = base_ns;
		table->reachable_ns = 0; /* drawn anew */
	}
}
