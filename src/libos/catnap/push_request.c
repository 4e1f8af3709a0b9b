/* SPDX-License-Identifier: MIT */
#include "libos/catnap/push_request.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "queue/sga.h"

/* Puts room in our heap in the place of what does not lie in it. Only its hold keeps it. */
static int reserve_room(struct heap *heap, demi_sgaseg_t *segment)
{
	void *room;

	if (heap_owns(heap, segment->sgaseg_buf))
		return 0;
	/* Of an empty datagram too there is something to hold. */
	room = heap_alloc_io(heap, segment->sgaseg_len ? segment->sgaseg_len : 1);
	if (!room)
		return -ENOMEM;
	segment->sgaseg_buf = room;
	return 1;
}

static int hold_segment(struct heap *heap, demi_sgaseg_t *segment)
{
	int reserved = reserve_room(heap, segment);

	if (reserved < 0)
		return reserved;
	heap_hold(heap, segment->sgaseg_buf);
	if (reserved)
		heap_free(heap, segment->sgaseg_buf);
	return 0;
}

int push_request_init(struct push_request *request, struct heap *heap, const demi_sgarray_t *sga)
{
	memcpy(request->sga.sga_segs, sga->sga_segs, sga->sga_numsegs * sizeof(sga->sga_segs[0]));
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		int error = hold_segment(heap, &request->sga.sga_segs[i]);

		if (error) {
			request->sga.sga_numsegs = i;
			sga_release(heap, &request->sga);
			return error;
		}
	}
	request->sga.sga_numsegs = sga->sga_numsegs;
	request->segment = 0;
	request->offset = 0;
	request->address_length = 0;
	return 0;
}

/* By the kernel, which finds out whether the memory can be read, where it lets us ask it. */
static int copy_checked(void *to, void *from, size_t bytes)
{
	struct iovec local = {to, bytes}, remote = {from, bytes};
	ssize_t copied = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	if (copied == (ssize_t)bytes)
		return 0;
	if (copied >= 0 || errno == EFAULT)
		return -EFAULT;
	memcpy(to, from, bytes);
	return 0;
}

int push_request_copy(struct push_request *request, const demi_sgarray_t *sga)
{
	uint32_t offset = request->offset;
	int error = 0;

	for (uint32_t i = request->segment; i < sga->sga_numsegs && !error; i++) {
		const demi_sgaseg_t *from = &sga->sga_segs[i];
		unsigned char *to = request->sga.sga_segs[i].sgaseg_buf;

		if (to != from->sgaseg_buf)
			error = copy_checked(to + offset,
					     (unsigned char *)from->sgaseg_buf + offset,
					     from->sgaseg_len - offset);
		offset = 0;
	}
	return error;
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
