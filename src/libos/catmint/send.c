/* SPDX-License-Identifier: MIT */
#include "libos/catmint/send.h"

#include <errno.h>
#include <sys/mman.h>

#include "heap/fast.h"
#include "libos/catmint/device.h"

#define SLAB_BYTES (256u << 10)
#define SEND_ALIGNMENT 64u

/*
 * Memory of its own, outside of the heap, which the application shares: the device reads headers, and
 * what is copied behind them, from here.
 */
struct send_slab {
	struct send_slab *next;
	struct ibv_mr *mr;
};

static size_t send_bytes(const struct catmint *mint)
{
	size_t places = (size_t)MESSAGE_PLACES_MAX * MESSAGE_PLACE_BYTES,
	       room = mint->limits.copy_bytes;

	room = sizeof(struct send) + MESSAGE_DATAGRAM_BYTES + (room > places ? room : places);
	return (room + SEND_ALIGNMENT - 1) & ~(size_t)(SEND_ALIGNMENT - 1);
}

/* As a free one is. */
static void reset(struct send *send)
{
	send->op = NULL;
	send->last = send;
	send->parts = 1;
	send->held_count = 0;
	send->message = MESSAGE_DATA;
	send->kind = SEND_MESSAGE;
	send->is_posted = false;
	send->is_read = false;
	send->pieces[0].addr = (uintptr_t)send->data;
	send->pieces[0].lkey = send->lkey;
	send->request.wr_id = (uintptr_t)send;
	send->request.next = NULL;
	send->request.sg_list = send->pieces;
	send->request.num_sge = 1;
	send->request.opcode = IBV_WR_SEND;
}

static void fill(struct catmint *mint, struct send_slab *slab)
{
	size_t bytes = send_bytes(mint);

	for (size_t at = SEND_ALIGNMENT; at + bytes <= SLAB_BYTES; at += bytes) {
		struct send *send = (struct send *)((unsigned char *)slab + at);

		send->lkey = slab->mr->lkey;
		reset(send);
		send->next = mint->free_sends;
		mint->free_sends = send;
	}
}

static int grow(struct catmint *mint)
{
	struct send_slab *slab = mmap(NULL, SLAB_BYTES, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (slab == MAP_FAILED)
		return -ENOMEM;
	slab->mr = mint->calls->reg_mr(mint->pd, slab, SLAB_BYTES, IBV_ACCESS_LOCAL_WRITE);
	if (!slab->mr) {
		device_refused(mint, SLAB_BYTES, errno);
		munmap(slab, SLAB_BYTES);
		return -ENOMEM;
	}
	mint->is_short = false;
	slab->next = mint->slabs;
	mint->slabs = slab;
	fill(mint, slab);
	return 0;
}

int send_pool_create(struct catmint *mint)
{
	return grow(mint);
}

void send_pool_destroy(struct catmint *mint)
{
	struct send_slab *slab;

	while ((slab = mint->slabs)) {
		mint->slabs = slab->next;
		mint->calls->dereg_mr(slab->mr);
		munmap(slab, SLAB_BYTES);
	}
	mint->free_sends = NULL;
}

struct send *send_take(struct catmint *mint, struct connection *connection)
{
	struct send *send = mint->free_sends;

	if (unlikely(!send)) {
		if (grow(mint) < 0 || !mint->free_sends)
			return NULL;
		send = mint->free_sends;
	}
	mint->free_sends = send->next;
	send->connection = connection;
	send->payload_bytes = 0;
	send->request.send_flags = 0;
	return send;
}

void send_let_go(const struct catmint *mint, struct send *send)
{
	for (uint8_t i = 0; i < send->held_count; i++)
		heap_release(mint->context->heap, send->held[i]);
	send->held_count = 0;
}

void send_put(struct catmint *mint, struct send *send)
{
	send_let_go(mint, send);
	reset(send);
	send->next = mint->free_sends;
	mint->free_sends = send;
}

void send_hold(const struct catmint *mint, struct send *send, void *memory)
{
	heap_hold(mint->context->heap, memory);
	send->held[send->held_count++] = memory;
}

bool send_add_piece(const struct catmint *mint, struct send *send, const void *memory,
		    uint32_t bytes)
{
	const unsigned char *at = memory;

	while (bytes > 0) {
		struct ibv_sge *piece = &send->pieces[send->request.num_sge];
		size_t room;
		uint32_t lkey = catmint_lkey(mint, at, &room);
		uint32_t part = bytes < room ? bytes : (uint32_t)room;

		if ((uint32_t)send->request.num_sge == mint->limits.pieces_max)
			return false;
		*piece = (struct ibv_sge){.addr = (uintptr_t)at, .length = part, .lkey = lkey};
		send->request.num_sge++;
		at += part;
		bytes -= part;
	}
	return true;
}
