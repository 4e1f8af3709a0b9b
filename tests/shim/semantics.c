// SPDX-License-Identifier: MIT
/*
 * semantics - what the calls of sockets and of waiting do here, one line for each.
 *
 * usage: semantics list
 *        semantics peer SOCKET THEIRS4 THEIRS6 OURS4 OURS6
 *        semantics run SOCKET OURS4 OURS6 THEIRS4 THEIRS6 CHECK...
 *
 * `peer` is the plain end of all connections; SOCKET is the path of the Unix socket on which it is
 * told what to do. `run` tries the checks of these names and prints "begin NAME", what the calls
 * returned, and "end NAME". It ends at the first check that cannot go on.
 */
#include "semantics.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

struct semantics semantics;

static const struct check *const groups[] = {
	name_checks,     stream_checks,   close_checks,      message_checks,
	transfer_checks, option_checks,   poll_checks,       epoll_checks,
	mixed_checks,    datagram_checks, descriptor_checks, fault_checks,
	signal_checks,   handler_checks,  thread_checks,     fork_checks,
};

static const struct way ways[] = {
	{"accepted 4", AF_INET, true},
	{"accepted 6", AF_INET6, true},
	{"connected 4", AF_INET, false},
	{"connected 6", AF_INET6, false},
};

/* use(check, way, name, argument) is called for each check and way; true ends it. */
typedef bool use_check(const struct check *check, const struct way *way, const char *name,
		       const void *argument);

static bool each_check(use_check *use, const void *argument)
{
	char name[100];

	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
		for (const struct check *check = groups[g]; check->name; check++) {
			for (int w = 0; w < check->ways; w++) {
				snprintf(name, sizeof(name), "%s%s%s", check->name,
					 check->ways == ONCE ? "" : " ",
					 check->ways == ONCE          ? ""
					 : check->ways == EACH_FAMILY ? &"4\0006"[2 * w]
								      : ways[w].name);
				if (use(check, &ways[w], name, argument))
					return true;
			}
		}
	}
	return false;
}

static bool print_check(const struct check *check, const struct way *way, const char *name,
			const void *argument)
{
	(void)check;
	(void)way;
	(void)argument;
	puts(name);
	return false;
}

static bool run_check(const struct check *check, const struct way *way, const char *name,
		      const void *argument)
{
	if (strcmp(name, argument) != 0)
		return false;
	dprintf(STDOUT_FILENO, "begin %s\n", name);
	peer("reset all");
	check->run(way);
	dprintf(STDOUT_FILENO, "end %s\n", name);
	return true;
}

static int run(char *const *words, int count)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(semantics.ours, words + 1, sizeof(semantics.ours));
	memcpy(semantics.theirs, words + 3, sizeof(semantics.theirs));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", words[0]);
	signal(SIGPIPE, SIG_IGN);
	semantics.control = (int)must("socket", socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	must("connect to the peer",
	     connect(semantics.control, (struct sockaddr *)&address, sizeof(address)));
	for (int i = 5; i < count; i++) {
		if (!each_check(run_check, words[i])) {
			fprintf(stderr, "semantics: no check '%s'\n", words[i]);
			return 2;
		}
	}
	return 0;
}

int main(int count, char **words)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (count == 2 && !strcmp(words[1], "list"))
		return each_check(print_check, NULL);
	if (count == 7 && !strcmp(words[1], "peer"))
		return run_peer(words[2], (const char *const *)&words[3]);
	if (count >= 8 && !strcmp(words[1], "run"))
		return run(words + 2, count - 2);
	fprintf(stderr, "usage: semantics list | peer ... | run ...\n");
	return 2;
}
