/* SPDX-License-Identifier: MIT */
/* demi-nvme-smart, which is `demi nvme smart`: what a drive tells of its health. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <demi/drive.h>

#define EXIT_USAGE 2
#define USAGE "usage: demi nvme smart [--json] ADDRESS\n"
#define DEVICE_BYTES_MAX 256

static void print(const char *name, const char *value, void *context)
{
	(void)context;
	printf("%-17s %s\n", name, value);
}

/* Of what is told several times, as warnings are, all values with ", " between. */
static void add(const char *name, const char *value, void *context)
{
	json_t *object = context, *before = json_object_get(object, name);

	if (before)
		json_object_set_new(object, name,
				    json_sprintf("%s, %s", json_string_value(before), value));
	else
		json_object_set_new(object, name, json_string(value));
}

static int health(const char *address, json_t *object)
{
	char device[DEVICE_BYTES_MAX];

	/* An address alone is a drive's. */
	snprintf(device, sizeof(device), "%s%s",
		 strncmp(address, "nvme:", 5) == 0 ? "" : "nvme:", address);
	return demi_drive_health(device, object ? add : print, object);
}

int main(int argc, char **argv)
{
	int json = argc == 3 && strcmp(argv[1], "--json") == 0;
	json_t *object = NULL;
	int error;

	if (strcmp(argv[argc - 1], "--help") == 0) {
		fputs(USAGE, stdout);
		return EXIT_SUCCESS;
	}
	if (argc != 2 + json || argv[argc - 1][0] == '-') {
		fputs(USAGE, stderr);
		return EXIT_USAGE;
	}
	object = json ? json_object() : NULL;
	error = health(argv[argc - 1], object);
	if (json && !error) {
		json_dumpf(object, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(object);
	/* What opening says the library has logged. */
	if (error)
		fprintf(stderr, "demi nvme: %s does not tell of its health: %s\n", argv[argc - 1],
			strerror(error));
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
