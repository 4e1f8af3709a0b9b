/* SPDX-License-Identifier: MIT */
/*
 * Buffers for scatter-gather arrays, from this thread's DMA-capable heap. They are freed by this
 * thread, or go with its runtime.
 */
#ifndef DEMI_SGA_H
#define DEMI_SGA_H

#include <stddef.h>

#include <demi/cc.h>
#include <demi/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * demi_sgaalloc - allocate an array of one segment
 * @size: bytes, 1..UINT32_MAX
 *
 * The segment's contents are undefined. The application may move and shrink it inside its
 * buffer. Return: the array, or the null array (sga_buf NULL, no segment) when @size is 0, when
 * there is no runtime or no memory.
 */
extern demi_sgarray_t demi_sgaalloc(_In_ size_t size);

/**
 * demi_sgafree - release an array from demi_sgaalloc or from a pop
 *
 * Legal while a push of it is pending: the memory is reused after the last operation on it.
 * The array is emptied. Return: 0, ENOSYS, EFAULT (NULL, or a buffer that is not of this runtime's
 * heap), EINVAL (freed already, or an array that the application filled itself).
 */
extern int demi_sgafree(_In_ demi_sgarray_t *sga);

/**
 * demi_sgaaddr - the source of a popped datagram, any address family
 * @addrlen: in: room at @addr, bytes; out: the address's true length
 *
 * Return: 0, ENOSYS, EINVAL (no address in it), EFAULT.
 */
ATTR_NONNULL(1, 2, 3)
extern int demi_sgaaddr(_In_ const demi_sgarray_t *sga, _Out_ struct sockaddr *addr,
			_Inout_ socklen_t *addrlen);

#ifdef __cplusplus
}
#endif

#endif /* DEMI_SGA_H */
