/* SPDX-License-Identifier: MIT */
/* Names of files on Catnap, which are durable only with their directory. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libos/catnap/catnap.h"

int catnap_sync_directory(const char *path)
{
	char *copy = strdup(path);
	int error = 0, fd;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	/* A directory that may not be read cannot be synced; the file's own data still is. */
	if (fd < 0)
		return 0;
	if (fsync(fd) < 0 && errno != EINVAL)
		error = -errno;
	close(fd);
	return error;
}

int catnap_rename(struct libos *libos, const char *path, const char *new_path)
{
	int error;

	(void)libos;
	if (rename(path, new_path) < 0)
		return -errno;
	/* The new name first: at no time is there none. */
	error = catnap_sync_directory(new_path);
	return error ? error : catnap_sync_directory(path);
}

int catnap_unlink(struct libos *libos, const char *path)
{
	(void)libos;
	return unlink(path) < 0 ? -errno : catnap_sync_directory(path);
}
