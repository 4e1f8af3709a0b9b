/* SPDX-License-Identifier: MIT */
#include "place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_readable_file(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, R_OK) == 0;
}

/* The folder of this program's file; "." where /proc does not tell. */
static void own_folder(char folder[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
	char *slash;

	folder[length > 0 ? length : 0] = '\0';
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	else
		memcpy(folder, ".", sizeof("."));
}

static bool join(char path[PATH_MAX], const char *folder, const char *name)
{
	return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

bool place_absolute(char path[PATH_MAX], const char *name)
{
	char folder[PATH_MAX];

	if (name[0] == '/')
		return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
	return getcwd(folder, sizeof(folder)) && join(path, folder, name);
}

/* Without "..", so that a message names the file as a user would. */
static void simplify(char path[PATH_MAX])
{
	char real[PATH_MAX];

	if (realpath(path, real))
		memcpy(path, real, strlen(real) + 1);
}

bool place_find(char path[PATH_MAX], const char *variable, const char *const places[])
{
	const char *chosen = getenv(variable);
	char folder[PATH_MAX];

	if (chosen && chosen[0])
		return place_absolute(path, chosen) && is_readable_file(path);
	own_folder(folder);
	for (; *places; places++) {
		bool fits = (*places)[0] == '/' ? place_absolute(path, *places)
						: join(path, folder, *places);

		if (fits && is_readable_file(path)) {
			simplify(path);
			return true;
		}
	}
	return false;
}
