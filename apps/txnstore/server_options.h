/* SPDX-License-Identifier: MIT */
#ifndef TXNSTORE_SERVER_OPTIONS_H
#define TXNSTORE_SERVER_OPTIONS_H

#include <stdbool.h>

#include "txnstore/core/replica.h"

struct server_options {
	const char *config_path;
	uint64_t shard, replica;
	const char *log; /* its name; NULL: what there is is in memory alone */
	bool is_new;
	struct replica_config limits; /* those members that options set */
};

/** server_options_parse - Return: -1 to go on, or the program's exit status. */
int server_options_parse(struct server_options *options, int argc, char **argv);

#endif /* TXNSTORE_SERVER_OPTIONS_H */
