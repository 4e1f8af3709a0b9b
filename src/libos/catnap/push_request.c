/* SPDX-License-Identifier: MIT */
#include "libos/catnap/push_request.h"

#include <string.h>

#include "queue/sga.h"

void push_request_init(struct push_request *request, struct heap *heap, const demi_sgarray_t *sga)
{
	request->sga.sga_numsegs = sga->sga_numsegs;
	memcpy(request->sga.sga_segs, sga->sga_segs, sga->sga_numsegs * sizeof(sga->sga_segs[0]));
	request->segment = 0;
	request->offset = 0;
	request->address_length = 0;
	sga_hold(heap, sga);
}

void push_request_fini(struct push_request *request, struct heap *heap)
{
	sga_release(heap, &request->sga);
}

unsigned int push_request_gather(const struct push_request *request, struct iovec *iov,
				 unsigned int room)
{
	uint32_t offset = request->offset;
	unsigned int count = 0;

	for (uint32_t i = request->segment; i < request->sga.sga_numsegs && count < room; i++) {
		unsigned char *start = request->sga.sga_segs[i].sgaseg_buf;

		iov[count++] = (struct iovec){start + offset,
					      request->sga.sga_segs[i].sgaseg_len - offset};
		offset = 0;
	}
	return count;
}

size_t push_request_advance(struct push_request *request, size_t bytes)
{
	while (!push_request_is_done(request)) {
		uint32_t left = request->sga.sga_segs[request->segment].sgaseg_len -
				request->offset;

		if (bytes < left) {
			request->offset += (uint32_t)bytes;
			return 0;
		}
		bytes -= left;
		request->segment++;
		request->offset = 0;
	}
	return bytes;
}
