/* SPDX-License-Identifier: MIT */
#include "device/pair.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERVER_START_NS 400000000L /* what is quicker waits for the other */
#define SECONDS_MAX 30u

/* ---- Processes ---- */

static void pause_ns(long ns)
{
	struct timespec pause = {.tv_nsec = ns};

	nanosleep(&pause, NULL);
}

static void set_environment(const struct pair_end *end)
{
	char with_prefix[64], device[512];
	bool is_interface = strchr(end->device, ':') != NULL;

	snprintf(with_prefix, sizeof(with_prefix), "%s/24", end->ip);
	snprintf(device, sizeof(device), "%s%s", is_interface ? "" : "dpdk:", end->device);
	setenv("LIBOS", "catnip", 1);
	setenv("DEMI_NET_DEV", device, 1);
	setenv("DEMI_NET_IP", with_prefix, 1);
}

static void find_program(char path[4096], const char *program)
{
	ssize_t length = readlink("/proc/self/exe", path, 4000);

	while (length > 0 && path[length - 1] != '/')
		length--;
	snprintf(path + (length > 0 ? length : 0), 90, "%s", program);
}

/* In the child: become one end. */
static void become(const struct pair_work *work, const struct pair_end *end, const char *role,
		   const char *cpu, const char *peer_ip, int output)
{
	const char *arguments[16 + PAIR_WORDS_MAX];
	const char *own[] = {end->kind, role, cpu, end->ip, peer_ip, end->device};
	char path[4096], pid[16];
	size_t count = 0;

	find_program(path, work->program);
	snprintf(pid, sizeof(pid), "%d", (int)end->network);
	if (end->network) {
		const char *enter[] = {"nsenter", "-n", "-t", pid, "--"};

		memcpy(arguments, enter, sizeof(enter));
		count = sizeof(enter) / sizeof(enter[0]);
	}
	arguments[count++] = path;
	memcpy(arguments + count, own, sizeof(own));
	count += sizeof(own) / sizeof(own[0]);
	memcpy(arguments + count, work->words, sizeof(work->words));
	arguments[count + PAIR_WORDS_MAX] = NULL;
	dup2(output, STDOUT_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(SECONDS_MAX);
	if (strcmp(end->kind, "demi") == 0)
		set_environment(end);
	execvp(arguments[0], (char **)(uintptr_t)arguments);
	_exit(127);
}

static int parse(int input, struct pair_result *result)
{
	char text[256];
	size_t length = 0;
	ssize_t count;

	while (length < sizeof(text) - 1 &&
	       (count = read(input, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)count;
	text[length] = '\0';
	*result = (struct pair_result){0};
	return sscanf(text, "median %lf minimum %lf resident %lf allocated %lf", &result->median_ns,
		      &result->minimum_ns, &result->resident_bytes, &result->allocated_bytes) >= 2
		       ? 0
		       : -EPROTO;
}

static int finish(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
		return -ECHILD;
	return 0;
}

int pair_run(const struct pair_work *work, const struct pair_end *server,
	     const struct pair_end *client, struct pair_result *result)
{
	int fds[2], error, server_error;
	pid_t server_pid, client_pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	server_pid = fork();
	if (server_pid == 0)
		become(work, server, "server", "0", client->ip, STDERR_FILENO);
	pause_ns(SERVER_START_NS);
	client_pid = fork();
	if (client_pid == 0)
		become(work, client, "client", "1", server->ip, fds[1]);
	close(fds[1]);
	error = parse(fds[0], result);
	close(fds[0]);
	if (error)
		kill(server_pid, SIGTERM);
	if (finish(client_pid) < 0)
		error = -ECHILD;
	server_error = finish(server_pid);
	return error ? error : server_error;
}

/* ---- Devices ---- */

void pair_memif(char *server, char *client, size_t size)
{
	static const char form[] =
		"net_memif0,role=%s,id=0,socket=demi-bench-%d-%u,socket-abstract=yes";
	static unsigned int number;

	/* Names of abstract sockets are the machine's. */
	snprintf(server, size, form, "server", (int)getpid(), number);
	snprintf(client, size, form, "client", (int)getpid(), number);
	number++;
}

/* ---- Networks ---- */

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int run(const char *format, ...)
{
	char command[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	return system(command) == 0 ? 0 : -EIO;
}

/* A process in a network of its own, which it keeps alive until this program ends. */
static pid_t hold_network(void)
{
	int fds[2];
	char ready = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ready = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
		if (write(fds[1], &ready, 1) == 1 && ready == 'y')
			pause();
		_exit(0);
	}
	close(fds[1]);
	if (read(fds[0], &ready, 1) != 1 || ready != 'y') {
		close(fds[0]);
		return -EPERM;
	}
	close(fds[0]);
	return pid;
}

int pair_networks(pid_t *server_out, pid_t *client_out)
{
	pid_t server = geteuid() == 0 ? hold_network() : -EPERM;
	pid_t client = server > 0 ? hold_network() : server;
	int error;

	if (client < 0)
		return (int)client;
	error = run("nsenter -n -t %d ip link add " PAIR_INTERFACE
		    " type veth peer name " PAIR_INTERFACE " netns %d",
		    (int)server, (int)client);
	for (int i = 0; !error && i < 2; i++)
		error = run("nsenter -n -t %d sh -c 'ethtool -K " PAIR_INTERFACE
			    " tx off tso off gso off gro off >/dev/null 2>&1; "
			    "ip link set lo up; ip link set " PAIR_INTERFACE " up'",
			    (int)(i ? client : server));
	if (!error)
		error = run("nsenter -n -t %d ip address add " PAIR_CLIENT_IP
			    "/24 dev " PAIR_INTERFACE,
			    (int)client);
	*server_out = server;
	*client_out = client;
	return error;
}

int pair_address(pid_t server, int present)
{
	return run("nsenter -n -t %d ip address %s " PAIR_SERVER_IP "/24 dev " PAIR_INTERFACE,
		   (int)server, present ? "add" : "del");
}
