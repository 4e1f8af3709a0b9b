/* SPDX-License-Identifier: MIT */
/* The receive buffers of a datagram socket's queue pair. */
#include "libos/catmint/datagram.h"

#define BATCH_MAX 16u

static bool make_request(struct catmint *mint, struct ibv_recv_wr *request, struct ibv_sge *piece)
{
	struct buf *buf = pool_take(&mint->pool);

	if (unlikely(!buf)) {
		mint->counters.buffers_missing++;
		return false;
	}
	*piece = (struct ibv_sge){.addr = (uintptr_t)(buf + 1),
				  .length = mint->pool.bytes,
				  .lkey = catmint_lkey(mint, buf, NULL)};
	buf->flags = BUF_POSTED;
	request->wr_id = (uintptr_t)buf | 1 | DGRAM_WR_ID;
	request->next = NULL;
	request->sg_list = piece;
	request->num_sge = 1;
	return true;
}

/* Up to BATCH_MAX; how many it were. */
static uint32_t post_batch(struct dgram_pair *pair, uint32_t count)
{
	struct ibv_recv_wr requests[BATCH_MAX], *bad = NULL;
	struct ibv_sge pieces[BATCH_MAX];
	struct catmint *mint = pair->dgrams->mint;
	uint32_t made = 0;

	while (made < count && made < BATCH_MAX &&
	       mint->receives + made < mint->limits.receives_max &&
	       make_request(mint, &requests[made], &pieces[made])) {
		if (made > 0)
			requests[made - 1].next = &requests[made];
		made++;
	}
	if (made == 0)
		return 0;
	if (unlikely(ibv_post_recv(pair->qp, requests, &bad) && bad)) {
		made = (uint32_t)(bad - requests);
		for (; bad; bad = bad->next) {
			struct buf *buf = (struct buf *)(uintptr_t)(bad->wr_id &
								    ~(uint64_t)(1 | DGRAM_WR_ID));

			buf->flags = 0;
			pool_put(&mint->pool, buf);
		}
	}
	pair->receives += made;
	mint->receives += made;
	return made;
}

void dgram_pair_fill(struct dgram_pair *pair)
{
	while (pair->receives < pair->buffers) {
		/* Without memory, or room among the completions, later. */
		if (post_batch(pair, pair->buffers - pair->receives) == 0) {
			dgram_pair_add_work(pair);
			return;
		}
	}
}
