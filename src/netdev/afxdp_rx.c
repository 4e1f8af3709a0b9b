/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "netdev/afxdp.h"

/* Of Linux 6.6: the frame goes on in the next descriptor. */
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

#define FILL_BATCH 16u /* frames given at a time, so that the ring's cache lines move seldom */
#define TEND_PERIOD_NS 1000000000u
/* Copies that are looked at in one call, so that a storm of them leaves room for the rest. */
#define OVERHEAR_BATCH 8u

static void mark_in_kernel(struct afxdp *afxdp, uint64_t address, bool in_kernel)
{
	uint64_t chunk = address >> AFXDP_CHUNK_SHIFT;
	uint64_t bit = (uint64_t)1 << (chunk % 64);

	if (in_kernel)
		afxdp->in_kernel[chunk / 64] |= bit;
	else
		afxdp->in_kernel[chunk / 64] &= ~bit;
}

void afxdp_fill(struct afxdp *afxdp, struct afxdp_queue *queue)
{
	uint32_t room = queue->wanted > queue->held ? queue->wanted - queue->held : 0;
	uint32_t spare = heap_frames_free(afxdp->device.frames);
	uint32_t count = 0;
	uint32_t at = 0;

	spare = spare > afxdp->reserve ? spare - afxdp->reserve : 0;
	if (room > spare)
		room = spare;
	/* The ring has as many places as the kernel may ever hold frames, so this does not fail. */
	if (room == 0 || xsk_ring_prod__reserve(&queue->fill, room, &at) != room)
		return;
	for (; count < room; count++) {
		unsigned char *frame = frame_take(afxdp->device.frames);
		uint64_t address = (uint64_t)(frame - afxdp->memory);

		*xsk_ring_prod__fill_addr(&queue->fill, at + count) = address;
		mark_in_kernel(afxdp, address, true);
	}
	xsk_ring_prod__submit(&queue->fill, count);
	queue->held += count;
}

void afxdp_take_back(struct afxdp *afxdp)
{
	for (size_t i = 0; i < (afxdp->memory_bytes >> AFXDP_CHUNK_SHIFT) / 64; i++) {
		while (afxdp->in_kernel[i]) {
			size_t chunk = i * 64 + (size_t)__builtin_ctzll(afxdp->in_kernel[i]);

			afxdp->in_kernel[i] &= afxdp->in_kernel[i] - 1;
			frame_release(afxdp->device.heap,
				      afxdp->memory + (chunk << AFXDP_CHUNK_SHIFT));
		}
	}
	for (uint32_t i = 0; i < afxdp->queue_count; i++) {
		netdev_release_chain(&afxdp->device, afxdp->queues[i].partial);
		afxdp->queues[i].partial = NULL;
		afxdp->queues[i].held = 0;
	}
}

void afxdp_statistics(struct afxdp *afxdp)
{
	struct netdev_counters *counters = &afxdp->device.counters;
	struct xdp_statistics statistics;
	uint64_t no_frame = 0, errors = 0, dropped;

	for (uint32_t i = 0; i < afxdp->queue_count; i++) {
		socklen_t bytes = sizeof(statistics);

		if (getsockopt(afxdp->queues[i].fd, SOL_XDP, XDP_STATISTICS, &statistics, &bytes))
			return;
		no_frame += statistics.rx_fill_ring_empty_descs;
		/* In copy mode what was lost for want of a frame was dropped, too. */
		dropped = statistics.rx_dropped > statistics.rx_fill_ring_empty_descs
				  ? statistics.rx_dropped - statistics.rx_fill_ring_empty_descs
				  : 0;
		errors += dropped + statistics.rx_ring_full;
	}
	/* They count from the start; what the packet socket lost came on top. */
	counters->rx_no_frame += no_frame - afxdp->lost_no_frame;
	counters->rx_errors += errors - afxdp->lost_errors;
	afxdp->lost_no_frame = no_frame;
	afxdp->lost_errors = errors;
}

static struct buf *descriptor_take(struct afxdp *afxdp, const struct xdp_desc *descriptor)
{
	uint64_t start = descriptor->addr & ~(uint64_t)(AFXDP_CHUNK_BYTES - 1);
	struct buf *buf = (struct buf *)(void *)(afxdp->memory + start);

	mark_in_kernel(afxdp, start, false);
	buf->data = afxdp->memory + descriptor->addr;
	buf->length = descriptor->len;
	buf->next = NULL;
	buf->flags = 0;
	return buf;
}

/* The frame that ends with @buf; NULL: it goes on. */
static struct buf *frame_complete(struct afxdp_queue *queue, struct buf *buf, bool goes_on)
{
	struct buf *frame = buf;

	if (likely(!goes_on && !queue->partial))
		return frame;
	if (queue->partial)
		queue->partial_last->next = buf;
	else
		queue->partial = buf;
	queue->partial_last = buf;
	if (goes_on)
		return NULL;
	frame = queue->partial;
	queue->partial = NULL;
	return frame;
}

/*
 * Where half of what the kernel had to receive into has come at once, as when many peers send large
 * messages, the next half may be too few: what finds no frame is lost, and a peer's last segment is sent
 * again after its timeout only.
 */
static inline void learn_peak(const struct afxdp *afxdp, struct afxdp_queue *queue, uint32_t taken)
{
	uint32_t waiting = taken + queue->rx.cached_prod - queue->rx.cached_cons;

	if (likely(waiting <= queue->peak))
		return;
	queue->peak = waiting;
	if (waiting > queue->wanted / 2 && queue->wanted < afxdp->fill_count)
		queue->wanted *= 2;
}

/* Once a period: what is not needed any more goes back bit by bit, as frames come in. */
static void forget_peaks(struct afxdp *afxdp)
{
	for (uint32_t i = 0; i < afxdp->queue_count; i++) {
		struct afxdp_queue *queue = &afxdp->queues[i];

		if (queue->wanted > AFXDP_FILL_START && queue->peak < queue->wanted / 8)
			queue->wanted /= 2;
		queue->peak = 0;
	}
}

static unsigned int queue_receive(struct afxdp *afxdp, struct afxdp_queue *queue,
				  struct buf **frames, unsigned int room)
{
	unsigned int received = 0;
	uint32_t at = 0;
	uint32_t count = xsk_ring_cons__peek(&queue->rx, room, &at);

	for (uint32_t i = 0; i < count; i++) {
		const struct xdp_desc *descriptor = xsk_ring_cons__rx_desc(&queue->rx, at + i);
		struct buf *buf = descriptor_take(afxdp, descriptor);
		struct buf *frame;

		afxdp->device.counters.rx_bytes += buf->length;
		frame = frame_complete(queue, buf, descriptor->options & XDP_PKT_CONTD);
		if (frame)
			frames[received++] = frame;
	}
	if (count) {
		learn_peak(afxdp, queue, count);
		xsk_ring_cons__release(&queue->rx, count);
		queue->held -= count;
	}
	return received;
}

static void queue_tend(struct afxdp *afxdp, struct afxdp_queue *queue, bool empty)
{
	if ((int32_t)(queue->wanted - queue->held) >= (int32_t)FILL_BATCH)
		afxdp_fill(afxdp, queue);
	if (empty && (afxdp->busy_poll || xsk_ring_prod__needs_wakeup(&queue->fill))) {
		/* cppcheck-suppress nullPointer */
		recvfrom(queue->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	}
}

static unsigned int copies_receive(struct afxdp *afxdp, struct buf **frames, unsigned int room)
{
	unsigned int received = 0;

	for (unsigned int i = 0; i < OVERHEAR_BATCH && received < room; i++) {
		struct buf *frame;

		if (likely(!overhear_has(&afxdp->overhear)))
			break;
		frame = overhear_next(&afxdp->overhear, &afxdp->device);
		if (frame) {
			afxdp->device.counters.rx_bytes += frame->length;
			frames[received++] = frame;
		}
	}
	return received;
}

unsigned int afxdp_rx_burst(struct netdev *device, struct buf **frames, unsigned int room,
			    uint64_t now_ns)
{
	struct afxdp *afxdp = afxdp_of(device);
	unsigned int received;

	if (unlikely(device->failure))
		return 0;
	received = copies_receive(afxdp, frames, room);
	for (uint32_t i = 0; i < afxdp->queue_count && received < room; i++) {
		struct afxdp_queue *queue = &afxdp->queues[afxdp->queue_next];
		unsigned int count = queue_receive(afxdp, queue, frames + received,
						   room - received);

		queue_tend(afxdp, queue, count == 0);
		received += count;
		if (++afxdp->queue_next == afxdp->queue_count)
			afxdp->queue_next = 0;
	}
	device->counters.rx_frames += received;
	if (unlikely(now_ns >= afxdp->kick_ns))
		afxdp_kick(afxdp, now_ns);
	if (unlikely(now_ns >= afxdp->tend_ns)) {
		afxdp->tend_ns = now_ns + TEND_PERIOD_NS;
		afxdp_statistics(afxdp);
		forget_peaks(afxdp);
		afxdp_interface_watch(afxdp);
	}
	return received;
}
