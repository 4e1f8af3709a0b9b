/* SPDX-License-Identifier: MIT */
/* Results as JSON, where --json says. */
#ifndef ECHO_JSON_FILE_H
#define ECHO_JSON_FILE_H

#include <jansson.h>
#include <stdbool.h>

/** json_file_is_stdout - whether @path, which may be NULL, is that of standard output, "-" */
bool json_file_is_stdout(const char *path);

/**
 * json_file_place_ok - whether @path can be written, before a run; says why not
 * @program: the name that messages begin with
 * @path: NULL and "-" are always right; a file that is not there yet is made
 */
bool json_file_place_ok(const char *program, const char *path);

/**
 * json_file_write - write @results, which are freed; NULL: there was a text that is not UTF-8
 *
 * Return: 0, or a positive errno, which has been reported.
 */
int json_file_write(const char *program, const char *path, json_t *results);

#endif /* ECHO_JSON_FILE_H */
