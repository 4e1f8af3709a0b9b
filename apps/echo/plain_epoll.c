/* SPDX-License-Identifier: MIT */
/*
 * echo-plain: demi-echo's twin over plain sockets, the measure that Demi is compared with. Options,
 * workload, verification and output are the same code. Sockets are non-blocking and epoll is
 * polled without sleeping, since Demi spins too: the comparison is of the I/O, not of wake-ups.
 */
#include "plain.h"

#include "process.h"

int main(int argc, char **argv)
{
	struct options options = {.program = "echo-plain"};

	int status = options_parse(&options, argc, argv);
	if (status >= 0)
		return status;
	process_prepare();
	if (options.role == ROLE_SERVER)
		return plain_server_run(&options);
	return client_run(&options, &plain_client_io);
}
