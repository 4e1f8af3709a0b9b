/* SPDX-License-Identifier: MIT */
/* The few things that `demi run` has to know of a configuration file: whether keys are in it. */
#ifndef TOOLS_CONFIG_FILE_H
#define TOOLS_CONFIG_FILE_H

#include <stdbool.h>

struct config_file {
	bool has_dev; /* net.dev, net.ip, runtime.idle */
	bool has_ip;
	bool has_idle;
	bool has_blk; /* blk.dev, shim.log_files */
	bool has_log_files;
	char libos[16]; /* empty: not in it */
};

/**
 * config_file_read - look into a YAML file, of which the library is the judge
 * @wrong: on failure what is wrong, to stand behind the file's name
 *
 * Return: false when it cannot be read, or is not YAML.
 */
bool config_file_read(struct config_file *file, const char *path, char wrong[256]);

#endif /* TOOLS_CONFIG_FILE_H */
