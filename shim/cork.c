/* SPDX-License-Identifier: MIT */
#include "cork.h"

#include <errno.h>
#include <stdlib.h>

#include "engine.h"

#define CORK_BYTES 16384u
#define CORK_NS (200 * NS_PER_MS)

struct cork {
	struct cork *next, **link; /* of all that hold bytes */
	struct socket *socket;
	demi_sgarray_t sga; /* one segment of CORK_BYTES */
	uint32_t used;
	uint64_t until_ns;
};

static struct cork *corks;

static struct cork *cork_make(struct socket *socket)
{
	struct cork *cork = socket->cork;

	if (cork)
		return cork;
	cork = calloc(1, sizeof(*cork));
	if (!cork)
		return NULL;
	cork->sga = demi_sgaalloc(CORK_BYTES);
	if (cork->sga.sga_numsegs != 1) {
		demi_sgafree(&cork->sga);
		free(cork);
		return NULL;
	}
	cork->socket = socket;
	cork->until_ns = clock_ns() + CORK_NS;
	cork->next = corks;
	cork->link = &corks;
	if (corks)
		corks->link = &cork->next;
	corks = cork;
	socket->cork = cork;
	return cork;
}

size_t cork_room(struct socket *socket)
{
	struct cork *cork = cork_make(socket);

	return cork ? CORK_BYTES - cork->used : 0;
}

unsigned char *cork_end(struct socket *socket)
{
	return (unsigned char *)socket->cork->sga.sga_segs[0].sgaseg_buf + socket->cork->used;
}

void cork_add(struct socket *socket, size_t bytes)
{
	socket->cork->used += (uint32_t)bytes;
}

void cork_drop(struct socket *socket)
{
	struct cork *cork = socket->cork;

	if (!cork)
		return;
	*cork->link = cork->next;
	if (cork->next)
		cork->next->link = cork->link;
	demi_sgafree(&cork->sga);
	free(cork);
	socket->cork = NULL;
}

int cork_flush(struct socket *socket)
{
	struct cork *cork = socket->cork;
	demi_qtoken_t qt;
	int error = 0;

	if (cork && cork->used) {
		if (!pushes_reserve(&socket->pushes))
			return -ENOMEM;
		cork->sga.sga_segs[0].sgaseg_len = cork->used;
		error = demi_push(&qt, socket->qd, &cork->sga);
		if (error == ENOBUFS || error == EAGAIN || error == ENOMEM) {
			socket->is_full = socket->pushes.count > 0;
			return socket->is_full ? -EAGAIN : -ENOBUFS;
		}
		if (!error) {
			pushes_add(&socket->pushes, qt, cork->used);
			socket->out_bytes += cork->used;
		}
	}
	cork_drop(socket);
	return 0;
}

void corks_forget(void)
{
	corks = NULL;
}

bool corks_flush_old(void)
{
	struct cork *next;

	for (struct cork *cork = corks; cork; cork = next) {
		next = cork->next;
		if (engine.now_ns >= cork->until_ns)
			cork_flush(cork->socket);
	}
	return corks != NULL;
}
