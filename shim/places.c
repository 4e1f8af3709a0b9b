/* SPDX-License-Identifier: MIT */
#include "places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "real.h"

/*
 * Ours begin here, or in the middle of what RLIMIT_NOFILE leaves: not higher, since programs that
 * close all that they have not opened begin with what is beyond their own.
 */
#define OWN_FROM 16

static int taken[OWN_FROM];
static int taken_count;

static int own_from(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < UINT64_C(2) * OWN_FROM)
		return (int)(limit.rlim_cur / 2);
	return OWN_FROM;
}

void places_take(void)
{
	const int saved = errno, end = own_from();
	int fd = eventfd(0, EFD_CLOEXEC);

	/* Each gets the lowest that is free, so that the last one is above. */
	while (fd >= 0 && fd < end && taken_count < OWN_FROM) {
		taken[taken_count++] = fd;
		fd = real()->fcntl(taken[0], F_DUPFD_CLOEXEC, 0);
	}
	if (fd >= 0)
		real()->close(fd);
	errno = saved;
}

void places_give_back(void)
{
	const int saved = errno;

	while (taken_count)
		real()->close(taken[--taken_count]);
	errno = saved;
}

int places_move(int fd)
{
	int moved = fd < 0 ? -1 : real()->fcntl(fd, F_DUPFD_CLOEXEC, own_from());

	if (moved < 0)
		return fd;
	real()->close(fd);
	return moved;
}
