/* SPDX-License-Identifier: MIT */
/*
 * What the operator says, on the command line and in a YAML file. Both have the same words: --realm R
 * is realm: R, and what may be repeated on the one is a list in the other.
 */
#ifndef RELAY_OPTIONS_H
#define RELAY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net_address.h"
#include "turn_settings.h"

#define OPTIONS_LISTENERS_MAX 8u
#define OPTIONS_FORWARDS_MAX 64u
#define OPTIONS_LIST_BYTES 1024
#define OPTIONS_ERROR_BYTES 256

/** A text that was given, in a list. */
struct option_text {
	struct option_text *next;
	char text[];
};

struct option_forward {
	struct net_address from, to;
};

struct options {
	struct turn_settings turn;
	struct net_address listeners[OPTIONS_LISTENERS_MAX];
	uint32_t listener_count;
	struct option_forward forwards[OPTIONS_FORWARDS_MAX];
	uint32_t forward_count;
	struct option_text *users;   /* "NAME:PASSWORD" */
	struct option_text *secrets; /* of credentials of limited time */
	bool no_udp, no_tcp;
	uint32_t connections_max;
	uint32_t connection_idle_s; /* without an allocation; then it is closed */
	uint32_t stream_bytes_max;  /* that wait to be sent on one connection */
	uint32_t forward_clients_max;
	uint32_t forward_idle_s;
	uint32_t interval_s; /* from one line of statistics to the next; 0: none */
	uint32_t duration_s; /* 0: until a signal */
	char json[256];      /* where statistics go as JSON; empty: nowhere */
	bool quiet, verbose, stats;
	/* What the library is told; empty: nothing. */
	char libos[64], dev[256], ip[OPTIONS_LIST_BYTES], gw[OPTIONS_LIST_BYTES], mac[32];
};

/**
 * options_parse - read the command line, and the file that it names
 *
 * What the command line says counts more than the file. Return: -1: go on; else the status to exit
 * with, after a message.
 */
int options_parse(struct options *options, int argc, char **argv);

/** options_free - the lists */
void options_free(struct options *options);

/**
 * option_set - one option by its name, without dashes
 * @value: "yes" or "no" for those that need no value on the command line
 * @error: filled with what is wrong
 *
 * Return: 0, -EINVAL (@error says why), -ENOENT (there is no such option), -ENOMEM.
 */
int option_set(struct options *options, const char *name, const char *value,
	       char error[OPTIONS_ERROR_BYTES]);

/** option_is_flag - whether it needs no value; option_exists - whether there is such an option */
bool option_is_flag(const char *name);
bool option_exists(const char *name);

/** options_help - all of them, with what they mean, on standard output */
void options_help(void);

/**
 * options_load - read a YAML file
 *
 * Return: 0; a negative errno: @error says what is wrong, with the line.
 */
int options_load(struct options *options, const char *path, char error[OPTIONS_ERROR_BYTES]);

#endif /* RELAY_OPTIONS_H */
