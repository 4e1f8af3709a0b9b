/* SPDX-License-Identifier: MIT */
/*
 * Sending. What lies in the UMEM is sent from where it is. An address that comes back names a
 * chunk, and a chunk may be sent from several times at once: a received message that the
 * application sends to many, in shells. So each chunk has the list of what of it is being sent. The
 * kernel gives addresses back in the order of sending, nearly: the first of the list with that
 * address is the one, and where two have the same it makes no difference to the memory which of
 * them is let go first.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "netdev/afxdp.h"
#include "wire/eth.h"

/* Of Linux 6.6: the frame goes on in the next descriptor. */
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

#define KICKS_MAX 4u /* each makes a copying kernel send 32 descriptors */
#define KICK_RETRY_NS 1000000u
#define DRAIN_ROUNDS 100u
#define DRAIN_PAUSE_NS 1000000

static void sent_push(struct afxdp *afxdp, struct buf *buf, uint64_t address)
{
	struct afxdp_chunk *chunk = &afxdp->chunks[address >> AFXDP_CHUNK_SHIFT];
	uint16_t number = afxdp->sent_free;
	struct afxdp_sent *sent = &afxdp->sent[number];

	afxdp->sent_free = sent->next;
	*sent = (struct afxdp_sent){.buf = buf, .address = address};
	if (chunk->first)
		afxdp->sent[chunk->last].next = number;
	else
		chunk->first = number;
	chunk->last = number;
	afxdp->sent_count++;
}

/* The buf that was sent from this address, taken out of the list; NULL: none. */
static struct buf *sent_pull(struct afxdp *afxdp, uint64_t address)
{
	struct afxdp_chunk *chunk = &afxdp->chunks[address >> AFXDP_CHUNK_SHIFT];
	uint16_t before = 0;
	uint16_t number = chunk->first;
	struct buf *buf;

	while (number && afxdp->sent[number].address != address) {
		before = number;
		number = afxdp->sent[number].next;
	}
	if (unlikely(!number))
		return NULL;
	if (before)
		afxdp->sent[before].next = afxdp->sent[number].next;
	else
		chunk->first = afxdp->sent[number].next;
	if (chunk->last == number)
		chunk->last = before;
	buf = afxdp->sent[number].buf;
	afxdp->sent[number] = (struct afxdp_sent){.next = afxdp->sent_free};
	afxdp->sent_free = number;
	afxdp->sent_count--;
	return buf;
}

void afxdp_tx_reclaim(struct netdev *device)
{
	struct afxdp *afxdp = afxdp_of(device);
	struct xsk_ring_cons *ring = &afxdp->queues[0].completion;
	uint32_t at = 0;
	uint32_t count;

	if (afxdp->sent_count == 0)
		return;
	count = xsk_ring_cons__peek(ring, AFXDP_SENT_MAX, &at);
	for (uint32_t i = 0; i < count; i++) {
		struct buf *buf = sent_pull(afxdp, *xsk_ring_cons__comp_addr(ring, at + i));

		if (likely(buf))
			netdev_release(device, buf);
	}
	if (count)
		xsk_ring_cons__release(ring, count);
}

void afxdp_drop_sent(struct afxdp *afxdp)
{
	for (size_t i = 0; i < afxdp->memory_bytes >> AFXDP_CHUNK_SHIFT; i++) {
		while (afxdp->chunks[i].first) {
			uint64_t address = afxdp->sent[afxdp->chunks[i].first].address;

			netdev_release(&afxdp->device, sent_pull(afxdp, address));
		}
	}
}

void afxdp_kick(struct afxdp *afxdp, uint64_t now_ns)
{
	const struct afxdp_queue *queue = &afxdp->queues[0];

	afxdp->kick_ns = UINT64_MAX;
	if (!xsk_ring_prod__needs_wakeup(&queue->tx))
		return;
	for (unsigned int i = 0; i < KICKS_MAX; i++) {
		/* cppcheck-suppress nullPointer */
		if (sendto(queue->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			return;
		if (errno != EAGAIN)
			break;
	}
	/* Soon, when there was only too much to do; later, when the interface is down. */
	afxdp->kick_ns = errno == EAGAIN || errno == EBUSY ? now_ns : now_ns + KICK_RETRY_NS;
}

void afxdp_drain(struct afxdp *afxdp)
{
	const struct timespec pause = {.tv_nsec = DRAIN_PAUSE_NS};

	afxdp_tx_reclaim(&afxdp->device);
	for (unsigned int i = 0; i < DRAIN_ROUNDS && afxdp->sent_count; i++) {
		afxdp_kick(afxdp, 0);
		nanosleep(&pause, NULL);
		afxdp_tx_reclaim(&afxdp->device);
	}
}

/* Whether what stands behind the data in this frame is nobody's: one hold, which is ours. */
static bool is_sole(const struct afxdp *afxdp, const struct buf *buf)
{
	const struct unit *unit;

	if (buf->object || !afxdp_contains(afxdp, buf, sizeof(*buf)))
		return false;
	unit = unit_at(afxdp->device.heap, buf);
	return unit->states[object_index_exact(unit, buf)] == (STATE_LIVE | 1);
}

static void append(struct afxdp *afxdp, struct buf *to, const struct buf *chain)
{
	for (; chain; chain = chain->next) {
		memcpy(to->data + to->length, chain->data, chain->length);
		to->length += chain->length;
		afxdp->device.counters.tx_copied_bytes += chain->length;
	}
}

/* The same frame in one buf of the UMEM, in place of the chain; NULL: no frame is free. */
static struct buf *flatten(struct afxdp *afxdp, struct buf *chain, uint32_t length)
{
	struct netdev *device = &afxdp->device;
	struct buf *flat = chain;

	if (is_sole(afxdp, chain) &&
	    chain->data + length <= (unsigned char *)chain + AFXDP_CHUNK_BYTES) {
		append(afxdp, chain, chain->next);
		netdev_release_chain(device, chain->next);
		chain->next = NULL;
		return chain;
	}
	flat = netdev_alloc(device);
	if (!flat)
		return NULL;
	append(afxdp, flat, chain);
	netdev_release_chain(device, chain);
	return flat;
}

/* Descriptors that send the chain from where it is; 0: it must be copied. */
static unsigned int segments_in_place(const struct afxdp *afxdp, const struct buf *chain)
{
	unsigned int segments = 0;

	for (; chain; chain = chain->next) {
		if (!afxdp_contains(afxdp, chain->data, chain->length) ||
		    ++segments > AFXDP_SEGMENTS_MAX)
			return 0;
	}
	return segments == 1 || afxdp->scatter ? segments : 0;
}

/* There is room in the ring. */
static void descriptors_post(struct afxdp *afxdp, struct buf *chain, unsigned int segments)
{
	struct xsk_ring_prod *ring = &afxdp->queues[0].tx;
	uint32_t at = 0;

	xsk_ring_prod__reserve(ring, segments, &at);
	for (; chain; chain = chain->next) {
		uint64_t address = (uint64_t)(chain->data - afxdp->memory);

		*xsk_ring_prod__tx_desc(ring, at++) = (struct xdp_desc){
			.addr = address,
			.len = chain->length,
			.options = chain->next ? XDP_PKT_CONTD : 0,
		};
		sent_push(afxdp, chain, address);
	}
}

/* Descriptors made of the frame, which is taken; -1: full, it is not. */
static int frame_send(struct afxdp *afxdp, struct buf *frame)
{
	struct netdev *device = &afxdp->device;
	uint32_t length = buf_chain_length(frame);
	unsigned int segments = segments_in_place(afxdp, frame);

	if (unlikely(length < ETH_HEADER_BYTES ||
		     length > device->caps.mtu + ETH_HEADER_BYTES_MAX)) {
		device->counters.tx_errors++;
		netdev_release_chain(device, frame);
		return 0;
	}
	if (AFXDP_SENT_MAX - afxdp->sent_count < (segments ? segments : 1))
		return -1;
	if (segments == 0) {
		frame = flatten(afxdp, frame, length);
		if (!frame)
			return -1;
		segments = 1;
	}
	descriptors_post(afxdp, frame, segments);
	device->counters.tx_frames++;
	device->counters.tx_bytes += length;
	return (int)segments;
}

static unsigned int drop_all(struct netdev *device, struct buf **frames, unsigned int count)
{
	device->counters.tx_errors += count;
	for (unsigned int i = 0; i < count; i++)
		netdev_release_chain(device, frames[i]);
	return count;
}

unsigned int afxdp_tx_burst(struct netdev *device, struct buf **frames, unsigned int count,
			    uint64_t now_ns)
{
	struct afxdp *afxdp = afxdp_of(device);
	uint32_t descriptors = 0;
	unsigned int taken = 0;

	if (unlikely(device->failure))
		return drop_all(device, frames, count);
	afxdp_tx_reclaim(device);
	for (; taken < count; taken++) {
		int made = frame_send(afxdp, frames[taken]);

		if (made < 0)
			break;
		descriptors += (uint32_t)made;
	}
	if (taken < count)
		device->counters.tx_full++;
	if (descriptors)
		xsk_ring_prod__submit(&afxdp->queues[0].tx, descriptors);
	if (descriptors || taken < count)
		afxdp_kick(afxdp, now_ns);
	return taken;
}
