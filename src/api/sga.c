/* SPDX-License-Identifier: MIT */
#include <demi/sga.h>

#include <string.h>

#include "api/api.h"
#include "queue/sga.h"

demi_sgarray_t demi_sgaalloc(size_t size)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;
	demi_sgarray_t sga = {0};
	struct buf *buf;

	if (!runtime || size == 0 || size > UINT32_MAX)
		return sga;
	buf = buf_alloc(runtime->context.heap, (uint32_t)size);
	if (!buf)
		return sga;
	buf->length = (uint32_t)size;
	sga_from_bufs(&sga, buf);
	return sga;
}

/* Several bufs, held ones, large ones, and what is none. Return: 0, EINVAL or EFAULT. */
static __attribute__((noinline)) int free_slowly(struct heap *heap, void *buf)
{
	API_KEEP_ERRNO;

	if (buf_free(heap, buf) == 0)
		return 0;
	return heap_owns(heap, buf) ? EINVAL : EFAULT;
}

int demi_sgafree(demi_sgarray_t *sga)
{
	struct runtime *runtime = api_runtime;
	int error = 0;

	if (!runtime)
		return ENOSYS;
	if (!sga)
		return EFAULT;
	if (!sga->sga_buf)
		return EINVAL;
	if (unlikely(!buf_free_fast(runtime->context.heap, sga->sga_buf)))
		error = free_slowly(runtime->context.heap, sga->sga_buf);
	if (unlikely(error))
		return error;
	sga->sga_buf = NULL;
	sga->sga_numsegs = 0;
	return 0;
}

int demi_sgaaddr(const demi_sgarray_t *sga, struct sockaddr *addr, socklen_t *addrlen)
{
	struct runtime *runtime = api_runtime;
	const struct buf *buf;
	socklen_t length;

	if (!runtime)
		return ENOSYS;
	if (!sga || !addr || !API_POINTER_OK(addrlen))
		return EFAULT;
	buf = buf_from_pointer(runtime->context.heap, sga->sga_buf);
	if (!buf || buf->source.any.sa_family == AF_UNSPEC)
		return EINVAL;
	length = buf->source.any.sa_family == AF_INET6 ? sizeof(buf->source.ipv6)
						       : sizeof(buf->source.ipv4);
	memcpy(addr, &buf->source, *addrlen < length ? *addrlen : length);
	*addrlen = length;
	return 0;
}
