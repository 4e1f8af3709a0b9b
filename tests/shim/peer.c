// SPDX-License-Identifier: MIT
/*
 * The plain end of the checks' connections. Each command is one packet on a Unix socket, and so is
 * its answer, which starts with "!" where the command could not be done. A socket is named by its
 * slot. What takes long is done by a thread of the slot's: "sender", "receiver", then "join".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

enum { SLOTS = 256, TIMEOUT_S = 5 };

struct slot {
	int fd; /* -1: free */
	int family;
	size_t sent, received; /* of the pattern */
	bool wrong;            /* what was received is not of the pattern */
	int error;             /* that ended the thread's work */
	size_t goal;           /* of the thread */
	pthread_t thread;
	bool works; /* the thread has not been joined */
};

static struct slot slots[SLOTS];
static const char *const *addresses;
static char answer[300];

static void say_answer(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say_answer(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(answer, sizeof(answer), format, list);
	va_end(list);
}

/* errno of a command that was not done, "!" in front where the check cannot go on after it. */
static void say_errno(const char *before)
{
	say_answer("%s%s", before, strerrorname_np(errno));
}

static union address address_of(const char *const *texts, int family, uint16_t port)
{
	union address result;

	memset(&result, 0, sizeof(result));
	result.any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		result.v4.sin_port = htons(port);
		inet_pton(AF_INET, texts[0], &result.v4.sin_addr);
	} else {
		result.v6.sin6_port = htons(port);
		inet_pton(AF_INET6, texts[1], &result.v6.sin6_addr);
	}
	return result;
}

static socklen_t len_of(int family)
{
	return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* Nobody writes to it any more: a thread may have its last step to do when all that it sent has arrived. */
static bool is_free(struct slot *slot)
{
	if (slot->fd >= 0)
		return false;
	slot->works = slot->works && pthread_tryjoin_np(slot->thread, NULL) != 0;
	return !slot->works;
}

/* The new slot's number is the answer. */
static struct slot *new_slot(int fd, int family)
{
	struct timeval timeout = {.tv_sec = TIMEOUT_S};

	if (fd < 0) {
		say_errno("!");
		return NULL;
	}
	for (int i = 0; i < SLOTS; i++) {
		if (!is_free(&slots[i]))
			continue;
		slots[i] = (struct slot){.fd = fd, .family = family};
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
		say_answer("%d", i);
		return &slots[i];
	}
	close(fd);
	say_answer("!no slot is free");
	return NULL;
}

static struct slot *bound_slot(int family, int type)
{
	union address address = address_of(addresses, family, 0);
	struct slot *slot = new_slot(socket(family, type, 0), family);

	if (slot && bind(slot->fd, &address.any, len_of(family)) != 0)
		say_errno("!");
	return slot;
}

static int family_of(const char *words)
{
	return words[0] == '6' ? AF_INET6 : AF_INET;
}

static void do_listen(struct slot *unused, const char *words)
{
	struct slot *slot = bound_slot(family_of(words), SOCK_STREAM);

	(void)unused;
	if (slot)
		listen(slot->fd, 64);
}

static void do_udp(struct slot *unused, const char *words)
{
	(void)unused;
	bound_slot(family_of(words), SOCK_DGRAM);
}

/* connect FAMILY PORT */
static void do_connect(struct slot *unused, const char *words)
{
	int family = family_of(words);
	union address address = address_of(addresses + 2, family, (uint16_t)atoi(words + 1));
	struct slot *slot = bound_slot(family, SOCK_STREAM);

	(void)unused;
	if (slot && connect(slot->fd, &address.any, len_of(family)) != 0) {
		say_errno("");
		close(slot->fd);
		slot->fd = -1;
	}
}

static void do_accept(struct slot *slot, const char *words)
{
	(void)words;
	new_slot(accept(slot->fd, NULL, NULL), slot->family);
}

static void do_port(struct slot *slot, const char *words)
{
	union address address;
	socklen_t len = sizeof(address);

	(void)words;
	getsockname(slot->fd, &address.any, &len);
	say_answer("%d",
		   ntohs(slot->family == AF_INET ? address.v4.sin_port : address.v6.sin6_port));
}

/* say SLOT TEXT */
static void do_say(struct slot *slot, const char *words)
{
	if (send(slot->fd, words, strlen(words), MSG_NOSIGNAL) < 0)
		say_errno("");
	else
		say_answer("sent");
}

/* hear SLOT [BYTES]: the text that comes, as many bytes or to the end */
static void do_hear(struct slot *slot, const char *words)
{
	char text[200];
	size_t goal = words[0] ? (size_t)atoi(words) : sizeof(text) - 1;
	size_t len = 0;

	while (len < goal) {
		ssize_t got = recv(slot->fd, text + len, goal - len, 0);
		if (got < 0) {
			say_errno("");
			return;
		}
		if (got == 0)
			break;
		len += (size_t)got;
	}
	text[len] = '\0';
	say_answer("%zu '%s'", len, text);
}

/* nothing SLOT: whether nothing comes for a moment */
static void do_nothing(struct slot *slot, const char *words)
{
	struct timeval little = {.tv_usec = NOTHING_MS * 1000}, timeout = {.tv_sec = TIMEOUT_S};
	char byte;

	(void)words;
	setsockopt(slot->fd, SOL_SOCKET, SO_RCVTIMEO, &little, sizeof(little));
	ssize_t got = recv(slot->fd, &byte, 1, MSG_PEEK);
	if (got < 0)
		say_errno("");
	else
		say_answer("%s", got == 0 ? "end" : "data");
	setsockopt(slot->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

static void send_pattern(struct slot *slot)
{
	uint8_t block[8192];
	size_t end = slot->sent + slot->goal;

	while (slot->sent < end) {
		size_t len = end - slot->sent < sizeof(block) ? end - slot->sent : sizeof(block);
		for (size_t i = 0; i < len; i++)
			block[i] = pattern(slot->sent + i);
		ssize_t sent = send(slot->fd, block, len, MSG_NOSIGNAL);
		if (sent < 0) {
			slot->error = errno;
			return;
		}
		slot->sent += (size_t)sent;
	}
}

static void receive_pattern(struct slot *slot)
{
	uint8_t block[8192];
	size_t end = slot->received + slot->goal;

	while (slot->received < end) {
		size_t room = end - slot->received;
		ssize_t got = recv(slot->fd, block, room < sizeof(block) ? room : sizeof(block), 0);
		if (got <= 0) {
			slot->error = got ? errno : 0;
			return;
		}
		for (ssize_t i = 0; i < got; i++)
			slot->wrong |= block[i] != pattern(slot->received + (size_t)i);
		slot->received += (size_t)got;
	}
}

static void *sender_thread(void *slot)
{
	send_pattern(slot);
	return NULL;
}

static void *receiver_thread(void *slot)
{
	receive_pattern(slot);
	return NULL;
}

static void start(struct slot *slot, const char *words, void *(*work)(void *))
{
	slot->goal = words[0] ? (size_t)atol(words) : SIZE_MAX / 2;
	slot->error = 0;
	if (pthread_create(&slot->thread, NULL, work, slot) != 0)
		say_answer("!no thread");
	else {
		slot->works = true;
		say_answer("started");
	}
}

static void join(struct slot *slot)
{
	if (slot->works)
		pthread_join(slot->thread, NULL);
	slot->works = false;
}

/* sender SLOT BYTES */
static void do_sender(struct slot *slot, const char *words)
{
	start(slot, words, sender_thread);
}

/* receiver SLOT [BYTES]: without it, to the end */
static void do_receiver(struct slot *slot, const char *words)
{
	start(slot, words, receiver_thread);
}

static void do_join(struct slot *slot, const char *words)
{
	(void)words;
	join(slot);
	say_answer("sent %zu, received %zu%s, %s", slot->sent, slot->received,
		   slot->wrong ? " with mistakes" : "",
		   slot->error ? strerrorname_np(slot->error) : "no error");
}

/* shutdown SLOT rd|wr|both */
static void do_shutdown(struct slot *slot, const char *words)
{
	shutdown(slot->fd, words[0] == 'r' ? SHUT_RD : words[0] == 'w' ? SHUT_WR : SHUT_RDWR);
	say_answer("shut down");
}

static void do_close(struct slot *slot, const char *words)
{
	(void)words;
	close(slot->fd);
	slot->fd = -1;
	say_answer("closed");
}

static void reset(struct slot *slot)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(slot->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(slot->fd);
	slot->fd = -1;
}

/* abort SLOT: closes it with a reset */
static void do_abort(struct slot *slot, const char *words)
{
	(void)words;
	reset(slot);
	say_answer("aborted");
}

static void do_reset(struct slot *unused, const char *words)
{
	(void)unused;
	(void)words;
	for (int i = 0; i < SLOTS; i++) {
		if (slots[i].fd >= 0)
			reset(&slots[i]);
	}
	say_answer("reset");
}

/* sendto SLOT PORT TEXT: one datagram to the checks' end; without TEXT an empty one */
static void do_sendto(struct slot *slot, const char *words)
{
	char *text;
	union address address = address_of(addresses + 2, slot->family,
					   (uint16_t)strtol(words, &text, 10));

	text += text[0] == ' ';
	if (sendto(slot->fd, text, strlen(text), 0, &address.any, len_of(slot->family)) < 0)
		say_errno("!");
	else
		say_answer("sent");
}

/* sendbig SLOT PORT BYTES: one datagram of the pattern */
static void do_sendbig(struct slot *slot, const char *words)
{
	static uint8_t data[65536];
	char *rest;
	union address address = address_of(addresses + 2, slot->family,
					   (uint16_t)strtol(words, &rest, 10));
	size_t len = (size_t)atoi(rest);

	for (size_t i = 0; i < len; i++)
		data[i] = pattern(i);
	if (sendto(slot->fd, data, len, 0, &address.any, len_of(slot->family)) < 0)
		say_errno("!");
	else
		say_answer("sent");
}

/* datagram SLOT: the next one, and whether it is of the pattern, or its text */
static void do_datagram(struct slot *slot, const char *words)
{
	static uint8_t data[65536];
	ssize_t got = recv(slot->fd, data, sizeof(data), 0);
	bool same = true;

	(void)words;
	if (got < 0) {
		say_errno("");
		return;
	}
	for (ssize_t i = 0; i < got; i++)
		same &= data[i] == pattern((size_t)i);
	if (same && got > 100)
		say_answer("%zd of the pattern", got);
	else
		say_answer("%zd '%.*s'", got, got < 100 ? (int)got : 100, (char *)data);
}

static const struct command {
	const char *name;
	void (*run)(struct slot *slot, const char *words);
	bool has_slot;
} commands[] = {
	{"listen", do_listen, false},    {"udp", do_udp, false},
	{"connect", do_connect, false},  {"reset", do_reset, false},
	{"accept", do_accept, true},     {"port", do_port, true},
	{"say", do_say, true},           {"hear", do_hear, true},
	{"nothing", do_nothing, true},   {"sender", do_sender, true},
	{"receiver", do_receiver, true}, {"join", do_join, true},
	{"shutdown", do_shutdown, true}, {"close", do_close, true},
	{"abort", do_abort, true},       {"sendto", do_sendto, true},
	{"sendbig", do_sendbig, true},   {"datagram", do_datagram, true},
};

static const char *skip_word(const char *text)
{
	text += strcspn(text, " ");
	return text + (text[0] == ' ');
}

static void obey(const char *line)
{
	size_t len = strcspn(line, " ");
	const char *words = skip_word(line);

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *command = &commands[i];
		struct slot *slot = NULL;
		if (strlen(command->name) != len || strncmp(command->name, line, len) != 0)
			continue;
		if (command->has_slot) {
			slot = &slots[atoi(words) & (SLOTS - 1)];
			words = skip_word(words);
			if (slot->fd < 0) {
				say_answer("!no such socket");
				return;
			}
		}
		command->run(slot, words);
		return;
	}
	say_answer("!unknown command");
}

static void serve(int control)
{
	char line[400];

	for (;;) {
		ssize_t len = read(control, line, sizeof(line) - 1);
		if (len <= 0)
			break;
		line[len] = '\0';
		obey(line);
		if (write(control, answer, strlen(answer)) < 0)
			break;
	}
	do_reset(NULL, "");
	close(control);
}

int run_peer(const char *path, const char *const words[4])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	addresses = words;
	for (int i = 0; i < SLOTS; i++)
		slots[i].fd = -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (bind(listening, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(listening, 4) != 0) {
		perror(path);
		return 1;
	}
	puts("listening");
	for (;;) {
		int control = accept(listening, NULL, NULL);
		if (control < 0)
			return 1;
		serve(control);
	}
}
