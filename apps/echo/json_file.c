/* SPDX-License-Identifier: MIT */
#include "json_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool json_file_is_stdout(const char *path)
{
	return path && strcmp(path, "-") == 0;
}

bool json_file_place_ok(const char *program, const char *path)
{
	FILE *file;

	if (!path || json_file_is_stdout(path))
		return true;
	file = fopen(path, "a");
	if (!file) {
		fprintf(stderr, "%s: --json %s: %s\n", program, path, strerror(errno));
		return false;
	}
	fclose(file);
	return true;
}

int json_file_write(const char *program, const char *path, json_t *results)
{
	bool to_stdout = json_file_is_stdout(path);
	FILE *file = to_stdout ? stdout : fopen(path, "w");
	int error = 0;

	if (!file)
		error = errno;
	else if (!results)
		error = EILSEQ; /* some text of the command line */
	else if (json_dumpf(results, file, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) ||
		 fputc('\n', file) == EOF || fflush(file))
		error = errno ? errno : EIO;
	if (file && !to_stdout && fclose(file) && !error)
		error = errno;
	json_decref(results);
	if (error)
		fprintf(stderr, "%s: --json %s: %s\n", program, path, strerror(error));
	return error;
}
