/* SPDX-License-Identifier: MIT */
#include "libos/catnip/foreign.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
#define PAGES_MAX 64u /* in one question */

/* One byte of each page, where the kernel lets us ask. */
static bool is_readable(const demi_sgaseg_t *segment)
{
	uintptr_t at = (uintptr_t)segment->sgaseg_buf, end = at + segment->sgaseg_len;
	struct iovec remote[PAGES_MAX];
	unsigned char bytes[PAGES_MAX] = {0};

	/* Around the end of the address space. */
	if (end < at)
		return false;
	while (at < end) {
		struct iovec local = {bytes, 0};
		ssize_t copied;

		for (; at < end && local.iov_len < PAGES_MAX;
		     at = (at / PAGE_BYTES + 1) * PAGE_BYTES)
			remote[local.iov_len++] = (struct iovec){(void *)at, 1};
		copied = process_vm_readv(getpid(), &local, 1, remote, local.iov_len, 0);
		if (copied < 0 && errno != EFAULT)
			return true;
		if (copied != (ssize_t)local.iov_len)
			return false;
	}
	return true;
}

bool foreign_is_readable(const struct heap *heap, const demi_sgarray_t *sga)
{
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		const demi_sgaseg_t *segment = &sga->sga_segs[i];

		if (!heap_owns(heap, segment->sgaseg_buf) && !is_readable(segment))
			return false;
	}
	return true;
}
