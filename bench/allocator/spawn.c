/* SPDX-License-Identifier: MIT */
#include "allocator/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PRELOAD "LD_PRELOAD="

/* Our environment, but with this preload and no other; to be freed, *@line too. */
static char **make_environment(const char *preload, char **line)
{
	unsigned int count = 0, kept = 0;
	char **environment;

	while (environ[count])
		count++;
	environment = calloc(count + 2, sizeof(*environment));
	*line = NULL;
	if (!environment)
		return NULL;
	for (unsigned int i = 0; i < count; i++) {
		if (strncmp(environ[i], PRELOAD, strlen(PRELOAD)) != 0)
			environment[kept++] = environ[i];
	}
	if (preload && asprintf(line, PRELOAD "%s", preload) < 0) {
		free(environment);
		return NULL;
	}
	environment[kept] = *line;
	return environment;
}

/* The path of a program that was built beside this one. */
static int find_program(const char *name, char *path, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", path, size - 1);

	if (length < 0)
		return -errno;
	while (length > 0 && path[length - 1] != '/')
		length--;
	if ((size_t)snprintf(path + length, size - length, "%s", name) >= size - length)
		return -ENAMETOOLONG;
	return 0;
}

/* @arguments[0] is filled in; with @quiet nothing that goes wrong is shown. */
static int start(const struct spawn *spawn, char **arguments, bool quiet, int output, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	char path[4096], *line;
	char **environment;
	int error = find_program(spawn->program, path, sizeof(path));

	if (error)
		return error;
	environment = make_environment(spawn->preload, &line);
	if (!environment)
		return -ENOMEM;
	arguments[0] = path;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	if (quiet)
		posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	error = -posix_spawn(pid, path, &actions, NULL, arguments, environment);
	posix_spawn_file_actions_destroy(&actions);
	free(line);
	free(environment);
	return error;
}

/* Run to the end; @text: what it printed. -ECHILD when it failed. */
static int run_program(const struct spawn *spawn, char **arguments, bool quiet, char *text,
		       size_t size)
{
	size_t length = 0;
	ssize_t count = 0;
	int error, status, fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	error = start(spawn, arguments, quiet, fds[1], &pid);
	close(fds[1]);
	while (!error && length < size - 1 &&
	       (count = read(fds[0], text + length, size - 1 - length)) > 0)
		length += (size_t)count;
	close(fds[0]);
	text[length] = '\0';
	if (!error && (waitpid(pid, &status, 0) < 0 || status))
		error = -ECHILD;
	return error;
}

bool spawn_version(const struct spawn *spawn, char version[VERSION_BYTES])
{
	char *arguments[] = {NULL, (char *)(uintptr_t)spawn->library, (char[]){"version"}, NULL};
	char text[256];

	version[0] = '\0';
	if (run_program(spawn, arguments, true, text, sizeof(text)))
		return false;
	sscanf(text, "version %31[0-9.]", version);
	return true;
}

int spawn_run(const struct spawn *spawn, const char *workload, unsigned int time_ms,
	      struct spawn_result *result)
{
	char time[16];
	char *arguments[] = {NULL, (char *)(uintptr_t)spawn->library, (char *)(uintptr_t)workload,
			     time, NULL};
	unsigned long long live, peak, checksum;
	char text[256];
	int error;

	snprintf(time, sizeof(time), "%u", time_ms);
	error = run_program(spawn, arguments, false, text, sizeof(text));
	if (error)
		return error;
	if (sscanf(text, "ns %lf live %llu peak %llu checksum %llu", &result->ns, &live, &peak,
		   &checksum) != 4)
		return -EPROTO;
	result->live_bytes = live;
	result->peak_bytes = peak;
	result->checksum = checksum;
	return 0;
}
