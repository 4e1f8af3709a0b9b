/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef RELAY_VERSION
#define RELAY_VERSION "unknown"
#endif

#define PROGRAM "demi-relay"
#define EXIT_USAGE 2

static void init(struct options *options)
{
	memset(options, 0, sizeof(*options));
	turn_settings_init(&options->turn);
	options->connections_max = 16384;
	options->connection_idle_s = 60;
	options->stream_bytes_max = 262144;
	options->forward_clients_max = 1024;
	options->forward_idle_s = 120;
}

static void free_list(struct option_text *text)
{
	while (text) {
		struct option_text *next = text->next;

		free(text);
		text = next;
	}
}

void options_free(struct options *options)
{
	free_list(options->users);
	free_list(options->secrets);
	options->users = options->secrets = NULL;
}

/* The one line that every refusal is. */
__attribute__((format(printf, 1, 2))) static int refuse(const char *format, ...)
{
	va_list arguments;

	fputs(PROGRAM ": ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

static void print_help(void)
{
	puts("usage: " PROGRAM
	     " --listen IP:PORT --relay-ip IP --user NAME:PASSWORD --realm R ...\n"
	     "       " PROGRAM " --config FILE ...\n"
	     "       " PROGRAM " --forward IP:PORT=IP:PORT ...\n"
	     "\n"
	     "A server of STUN and TURN, for clients over UDP and TCP. The file is YAML and has the\n"
	     "same words as its keys; what may be repeated is a list there.\n"
	     "\n"
	     "  --config FILE");
	options_help();
	puts("  --help, --version");
}

/* One word of the command line, and its value, which is behind = or the next word. */
static int parse_word(struct options *options, char **argv, int *at)
{
	char name[64], error[OPTIONS_ERROR_BYTES];
	const char *word = argv[*at], *value = NULL;
	size_t length;
	int result;

	if (strncmp(word, "--", 2) != 0)
		return refuse("'%s' is not an option; see --help", word);
	word += 2;
	length = strcspn(word, "=");
	if (length < sizeof(name)) {
		memcpy(name, word, length);
		name[length] = '\0';
	}
	if (length >= sizeof(name) || (!option_exists(name) && strcmp(name, "config") != 0))
		return refuse("unknown option '--%s'; see --help", word);
	if (word[length] == '=')
		value = word + length + 1;
	else
		value = option_is_flag(name) ? "yes" : argv[++*at];
	if (!value)
		return refuse("option '--%s' needs a value; see --help", name);
	if (strcmp(name, "config") == 0)
		return -1; /* it has been read */
	result = option_set(options, name, value, error);
	if (result == -EINVAL)
		return refuse("--%s", error);
	return result ? refuse("--%s: %s", name, strerror(-result)) : -1;
}

/* The file first, wherever it is named, so that the command line counts more. */
static int load_config(struct options *options, int argc, char **argv)
{
	char error[OPTIONS_ERROR_BYTES];

	for (int i = 1; i < argc; i++) {
		const char *path = NULL;

		if (strncmp(argv[i], "--config=", strlen("--config=")) == 0)
			path = argv[i] + strlen("--config=");
		else if (strcmp(argv[i], "--config") == 0)
			path = i + 1 < argc ? argv[i + 1] : "";
		if (path && options_load(options, path, error) != 0)
			return refuse("%s: %s", path, error);
	}
	return -1;
}

static int check_relay(const struct options *options)
{
	const struct turn_settings *turn = &options->turn;
	bool has_users = options->users || options->secrets;

	if (options->no_udp && options->no_tcp)
		return refuse("--no-udp and --no-tcp leave nothing to --listen for");
	if (turn->stun_only)
		return -1;
	if (turn->relay_ip[0].family == 0 && turn->relay_ip[1].family == 0)
		return refuse(
			"--relay-ip is missing: the address of relayed ports; or --stun-only");
	if (turn->no_auth && has_users)
		return refuse("--no-auth lets anybody in; leave it out, or --user and --secret");
	if (!turn->no_auth && !has_users)
		return refuse("nobody may use the relay; give --user NAME:PASSWORD or --secret, or "
			      "--no-auth for anybody");
	if (!turn->no_auth && turn->realm[0] == '\0')
		return refuse("--realm is missing, which users' passwords belong to");
	if (turn->lifetime_s > turn->lifetime_max_s)
		return refuse("--lifetime %u is more than --max-lifetime %u", turn->lifetime_s,
			      turn->lifetime_max_s);
	return -1;
}

static int check(const struct options *options)
{
	if (options->listener_count == 0 && options->forward_count == 0)
		return refuse("--listen is missing: allowed: IP:PORT, [IPv6]:PORT; or --forward");
	for (const struct option_text *user = options->users; user; user = user->next) {
		if (!strchr(user->text, ':') || user->text[0] == ':')
			return refuse("--user '%.80s': write NAME:PASSWORD", user->text);
	}
	return options->listener_count ? check_relay(options) : -1;
}

int options_parse(struct options *options, int argc, char **argv)
{
	int status;

	init(options);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			print_help();
			return EXIT_SUCCESS;
		}
		if (strcmp(argv[i], "--version") == 0) {
			puts(PROGRAM " " RELAY_VERSION);
			return EXIT_SUCCESS;
		}
	}
	status = load_config(options, argc, argv);
	for (int i = 1; status < 0 && i < argc; i++)
		status = parse_word(options, argv, &i);
	return status < 0 ? check(options) : status;
}
