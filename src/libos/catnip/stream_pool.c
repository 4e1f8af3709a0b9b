/* SPDX-License-Identifier: MIT */
/* The memory of streams: without what malloc(3) adds to each, which counts when there are many. */
#include <stdlib.h>

#include "libos/catnip/stream.h"

#define SLAB_STREAMS 51u         /* a page */
#define SEND_BUFFER_BYTES 212992 /* what Linux says by default; programs only ask */

struct stream_slab {
	struct stream_slab *next;
	struct stream streams[SLAB_STREAMS];
};

static bool grow(struct catnip *catnip)
{
	struct stream_slab *slab = malloc(sizeof(*slab));

	if (!slab)
		return false;
	slab->next = catnip->stream_slabs;
	catnip->stream_slabs = slab;
	for (unsigned int i = SLAB_STREAMS; i-- > 0;) {
		slab->streams[i].free_next = catnip->free_streams;
		catnip->free_streams = &slab->streams[i];
	}
	return true;
}

struct stream *stream_alloc(struct catnip *catnip)
{
	struct stream *stream;

	if (!catnip->free_streams && !grow(catnip))
		return NULL;
	stream = catnip->free_streams;
	catnip->free_streams = stream->free_next;
	*stream = (struct stream){
		.queue = {.qd = -1},
		.catnip = catnip,
		.send_buffer_bytes = SEND_BUFFER_BYTES,
	};
	return stream;
}

void stream_free(struct stream *stream)
{
	struct catnip *catnip = stream->catnip;

	stream->free_next = catnip->free_streams;
	catnip->free_streams = stream;
}

void stream_pool_destroy(struct catnip *catnip)
{
	struct stream_slab *slab;

	while ((slab = catnip->stream_slabs)) {
		catnip->stream_slabs = slab->next;
		free(slab);
	}
	catnip->free_streams = NULL;
}
