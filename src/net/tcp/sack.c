/* SPDX-License-Identifier: MIT */
/* Selective acknowledgments that come in: RFC 2018, RFC 2883 section 5, RFC 6675 section 4. */
#include "net/tcp/conn.h"

void sent_lose(struct tcp_conn *conn, struct tcp_sent *sent)
{
	uint32_t bytes = sent->end - sent->seq;

	if (sent->flags & SENT_SACKED)
		return;
	/* The retransmission is lost too. */
	if (sent->flags & SENT_AGAIN) {
		sent->flags &= (uint32_t)~SENT_AGAIN;
		conn->again_bytes -= bytes;
		conn->again_was_lost = true;
	}
	if (!(sent->flags & SENT_LOST)) {
		sent->flags |= SENT_LOST;
		conn->lost_bytes += bytes;
	}
}

/*
 * Of the first block: it reports what was received twice when it is acknowledged already, or lies
 * in the second one. Nobody can have received twice what we have not sent.
 */
static bool is_dsack(const struct tcp_conn *conn, const struct tcp_in *in)
{
	const struct tcp_sack_block *first = &in->options.sack[0], *second = first + 1;

	if (!seq_before(first->left, first->right) || seq_after(first->right, conn->snd_nxt))
		return false;
	if (seq_at_most(first->right, in->ack))
		return true;
	return in->options.sack_count > 1 && seq_at_least(first->left, second->left) &&
	       seq_at_most(first->right, second->right);
}

/* Out of range, a block says nothing: RFC 2018, section 5 speaks of what is in the queue. */
static bool is_valid(const struct tcp_conn *conn, const struct tcp_in *in,
		     const struct tcp_sack_block *block)
{
	return seq_before(block->left, block->right) && seq_at_least(block->left, in->ack) &&
	       seq_at_most(block->right, conn->snd_nxt);
}

/* The valid ones by sequence number. Return: how many. */
static unsigned int sort(const struct tcp_conn *conn, const struct tcp_in *in, unsigned int from,
			 struct tcp_sack_block *blocks)
{
	unsigned int count = 0;

	for (unsigned int i = from; i < in->options.sack_count; i++) {
		const struct tcp_sack_block *block = &in->options.sack[i];
		unsigned int place = count;

		if (!is_valid(conn, in, block))
			continue;
		for (; place > 0 && seq_after(blocks[place - 1].left, block->left); place--)
			blocks[place] = blocks[place - 1];
		blocks[place] = *block;
		count++;
	}
	return count;
}

static void mark(struct tcp_conn *conn, struct tcp_sent *sent, struct tcp_delivery *delivery)
{
	if (sent->flags & SENT_SACKED)
		return;
	sent_note(conn, sent, delivery);
	sent_clear(conn, sent);
	sent->flags |= SENT_SACKED;
	conn->sacked_bytes += sent->end - sent->seq;
}

void tcp_sack_rx(struct tcp_conn *conn, const struct tcp_in *in, struct tcp_delivery *delivery)
{
	struct tcp_sack_block blocks[TCP_SACK_BLOCKS_MAX];
	unsigned int count, block = 0;

	delivery->has_dsack = is_dsack(conn, in);
	if (delivery->has_dsack) {
		delivery->dsack = in->options.sack[0];
		conn->dsacks++;
	}
	count = sort(conn, in, delivery->has_dsack, blocks);
	for (struct tcp_sent *sent = conn->sent_head; sent && block < count; sent = sent->next) {
		while (block < count && seq_at_most(blocks[block].right, sent->seq))
			block++;
		if (block < count && seq_at_least(sent->seq, blocks[block].left) &&
		    seq_at_most(sent->end, blocks[block].right))
			mark(conn, sent, delivery);
	}
}
