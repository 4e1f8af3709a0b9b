/* SPDX-License-Identifier: MIT */
/*
 * SYN cookies (Bernstein, 1996; RFC 4987, 3.6): the initial sequence number says what a SYN asked
 * for, so that nothing of it need be kept. 28 of its bits are a keyed hash, two a clock of 64
 * seconds, two the MSS. Scaling and SACK are in the lowest bits of our timestamp, which comes back.
 */
#include "net/tcp/conn.h"

#define PERIOD_NS (UINT64_C(64) * 1000000000)
#define PERIODS 2u /* in which one is good: that in which it was given, and the next */
#define PERIOD_BITS 2u
#define MSS_BITS 2u
#define FIXED_BITS (PERIOD_BITS + MSS_BITS)
#define TIMESTAMP_BITS 5u /* scale, 4; SACK, 1 */
#define SHIFT_MASK 15u
#define SHIFT_NONE 15u
#define SACK_BIT 16u
#define TIMESTAMP_MASK ((1u << TIMESTAMP_BITS) - 1)

static const uint16_t sizes[1 << MSS_BITS] = {536, 1220, 1440, 1460};

static struct tcp_tuple tuple_of(const struct tcp_in *in)
{
	return (struct tcp_tuple){in->packet->destination, in->packet->source, in->destination_port,
				  in->source_port};
}

static tcp_seq make(const struct tcp_table *table, const struct tcp_tuple *tuple, tcp_seq irs,
		    uint64_t period, unsigned int size)
{
	uint64_t other = (uint64_t)irs << 32 | (uint32_t)(period << MSS_BITS | size);
	uint64_t hash = tcp_tuple_hash(table->net, tuple, HASH_COOKIE, other);

	return (tcp_seq)hash << FIXED_BITS |
	       (uint32_t)(period & ((1u << PERIOD_BITS) - 1)) << MSS_BITS | size;
}

static unsigned int size_of(const struct tcp_options *options, bool is_v6)
{
	uint16_t mss = options->has_mss ? options->mss : is_v6 ? TCP_MSS_DEFAULT_V6 : 0;
	unsigned int size = (1u << MSS_BITS) - 1;

	while (size > 0 && sizes[size] > mss)
		size--;
	return size;
}

tcp_seq cookie_make(const struct tcp_table *table, const struct tcp_in *in)
{
	const struct tcp_tuple tuple = tuple_of(in);

	return make(table, &tuple, in->seq, table->net->now_ns / PERIOD_NS,
		    size_of(&in->options, in->packet->is_v6));
}

uint32_t cookie_timestamp(const struct tcp_table *table, const struct tcp_in *in)
{
	const struct tcp_tuple tuple = tuple_of(in);
	uint32_t now = (uint32_t)(table->net->now_ns / 1000000) +
		       (uint32_t)tcp_tuple_hash(table->net, &tuple, HASH_TIMESTAMP, 0);
	uint32_t bits = in->options.has_window_shift && table->options.window_scaling
				? in->options.window_shift
				: SHIFT_NONE;
	uint32_t timestamp;

	if (in->options.sack_permitted && table->options.sack)
		bits |= SACK_BIT;
	timestamp = (now & ~TIMESTAMP_MASK) | bits;
	/* Never ahead of the clock, which goes on from here. */
	return (int32_t)(timestamp - now) > 0 ? timestamp - (1u << TIMESTAMP_BITS) : timestamp;
}

static void decode(const struct tcp_table *table, const struct tcp_in *in, unsigned int size,
		   struct tcp_options *options)
{
	uint32_t bits = in->options.timestamp_echo & TIMESTAMP_MASK;

	*options = (struct tcp_options){.has_mss = true, .mss = sizes[size]};
	if (!in->options.has_timestamp || !table->options.timestamps)
		return;
	options->has_timestamp = true;
	options->timestamp = in->options.timestamp;
	options->sack_permitted = bits & SACK_BIT;
	options->has_window_shift = (bits & SHIFT_MASK) != SHIFT_NONE;
	options->window_shift = (uint8_t)(bits & SHIFT_MASK);
}

bool cookie_check(const struct tcp_table *table, const struct tcp_in *in,
		  struct tcp_options *options_out)
{
	const struct tcp_tuple tuple = tuple_of(in);
	tcp_seq cookie = in->ack - 1;
	unsigned int size = cookie & ((1u << MSS_BITS) - 1);
	uint64_t period = table->net->now_ns / PERIOD_NS;

	/* Nobody acknowledges what was never sent, or so long ago: most guesses are not compared. */
	if (!table->counts.cookies_sent ||
	    table->net->now_ns - table->cookie_ns >= PERIODS * PERIOD_NS)
		return false;
	for (unsigned int age = 0; age < PERIODS && age <= period; age++) {
		if (make(table, &tuple, in->seq - 1, period - age, size) != cookie)
			continue;
		decode(table, in, size, options_out);
		return true;
	}
	return false;
}
