// SPDX-License-Identifier: MIT
/* poll(2), ppoll, select(2), pselect */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

#include "check.h"

static void say_poll(const char *what, struct pollfd *fds, nfds_t count, int timeout)
{
	int ready = poll(fds, count, timeout);

	if (ready < 0) {
		outcome(what, ready);
		return;
	}
	say(what, "%d", ready);
	for (nfds_t i = 0; i < count; i++)
		say("each", "%s", poll_names(fds[i].revents));
}

static void polling(const struct way *way)
{
	int slot, fd = stream(way, &slot), ends[2];

	must("pipe", pipe(ends));
	struct pollfd fds[] = {
		{.fd = fd, .events = POLLIN | POLLRDNORM},
		{.fd = -1, .events = POLLIN, .revents = -1},
		{.fd = ends[0], .events = POLLIN},
		{.fd = fd, .events = POLLOUT | POLLWRNORM},
		{.fd = ends[1], .events = POLLOUT},
	};
	say_poll("idle", fds, 5, 0);
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	must("write", write(ends[1], "x", 1));
	say_poll("busy", fds, 5, 0);
	say_poll("busy still", fds, 5, -1);
	say_text("text", fd);
	say_poll("read", fds, 5, 0);
	close(ends[0]);
	close(ends[1]);
	fds[3].fd = 1 << 20;
	say_poll("some closed", fds, 5, -1);
	close(fd);
	say_poll("all closed", fds, 5, 0);
}

static void polling_nothing(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN}};
	int64_t begin = now_ms();

	say_poll("in a while", fds, 1, NOTHING_MS);
	say("after the time", "%d", now_ms() - begin >= NOTHING_MS);
	begin = now_ms();
	outcome("of no descriptors", poll(NULL, 0, NOTHING_MS));
	say("after the time", "%d", now_ms() - begin >= NOTHING_MS);
	fds[0].events = 0;
	say_poll("of no events", fds, 1, 0);
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	say_poll("of no events, with text", fds, 1, 0);
	outcome("ppoll", ppoll(fds, 1, &(struct timespec){.tv_nsec = 1000000}, NULL));
	outcome("ppoll of a wrong time", ppoll(fds, 1, &(struct timespec){.tv_nsec = -1}, NULL));
	fds[0].events = POLLIN;
	outcome("ppoll", ppoll(fds, 1, NULL, NULL));
	close(fd);
}

static void polling_sockets(const struct way *way)
{
	int fresh = socket(way->family, SOCK_STREAM, 0), udp = socket(way->family, SOCK_DGRAM, 0);
	int listening = listener(way->family, 1, NULL);
	union address address = ours(way->family, 0);
	int bound = socket(way->family, SOCK_STREAM, 0);

	must("bind", bind(bound, &address.any, address_len(way->family)));
	say_events("fresh", fresh, POLLIN | POLLOUT | POLLRDHUP);
	say_events("bound", bound, POLLIN | POLLOUT | POLLRDHUP);
	say_events("listening", listening, POLLIN | POLLOUT | POLLRDHUP);
	say_events("of datagrams", udp, POLLIN | POLLOUT | POLLRDHUP);
	close(fresh);
	close(bound);
	close(listening);
	close(udp);
}

/* One line: who is in which set. */
static void say_select(const char *what, int first, int second, int timeout_ms)
{
	struct timeval timeout = {.tv_usec = timeout_ms * 1000};
	int last = first > second ? first : second;
	fd_set in, out, except;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	for (int i = 0; i < 2; i++) {
		int fd = i ? second : first;
		if (fd < 0)
			continue;
		FD_SET(fd, &in);
		FD_SET(fd, &out);
		FD_SET(fd, &except);
	}
	int ready = select(last + 1, &in, &out, &except, &timeout);
	if (ready < 0) {
		outcome(what, ready);
		return;
	}
	for (int i = 0; i < 2; i++) {
		int fd = i ? second : first;
		if (fd >= 0)
			say(what, "%d: in %d, out %d, except %d", ready, !!FD_ISSET(fd, &in),
			    !!FD_ISSET(fd, &out), !!FD_ISSET(fd, &except));
	}
}

static void selecting(const struct way *way)
{
	int slot, fd = stream(way, &slot), event = eventfd(0, 0);
	int64_t begin = now_ms();
	struct timeval timeout = {.tv_usec = NOTHING_MS * 1000};
	fd_set set;

	say_select("idle", fd, event, 0);
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	eventfd_write(event, 1);
	say_select("busy", fd, event, 0);
	say_text("text", fd);
	FD_ZERO(&set);
	FD_SET(fd, &set);
	outcome("nothing in a while", select(fd + 1, &set, NULL, NULL, &timeout));
	say("set", "%d", FD_ISSET(fd, &set));
	say("after the time", "%d", now_ms() - begin >= NOTHING_MS);
	say("time left", "%ld", (long)(timeout.tv_sec * 1000000 + timeout.tv_usec));
	outcome("of none", select(0, NULL, NULL, NULL, &(struct timeval){.tv_usec = 1000}));
	outcome("of less than none", select(-1, NULL, NULL, NULL, &(struct timeval){0}));
	outcome("of a wrong time", select(0, NULL, NULL, NULL, &(struct timeval){.tv_sec = -1}));
	FD_ZERO(&set);
	FD_SET(fd, &set);
	outcome("past the number", select(fd, &set, NULL, NULL, &(struct timeval){0}));
	fill(fd);
	say_select("full", fd, -1, 0);
	peer("abort %d", slot);
	wait_for(fd, 0);
	say_select("reset", fd, -1, 0);
	close(fd);
	say_select("closed", fd, event, 0);
	close(event);
}

static void selecting_the_end(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	fd_set set;

	peer("shutdown %d wr", slot);
	wait_for(fd, POLLRDHUP);
	say_select("the end", fd, -1, 0);
	FD_ZERO(&set);
	FD_SET(fd, &set);
	outcome("without a limit", select(fd + 1, &set, NULL, NULL, NULL));
	FD_ZERO(&set);
	FD_SET(fd, &set);
	outcome("pselect", pselect(fd + 1, &set, NULL, NULL, &(struct timespec){0}, NULL));
	outcome("pselect of a wrong time",
		pselect(fd + 1, &set, NULL, NULL, &(struct timespec){.tv_nsec = 1000000000}, NULL));
	close(fd);
	fd = listener(way->family, 4, NULL);
	say_select("listening", fd, -1, 0);
	peer("connect %d %d", way->family == AF_INET ? 4 : 6, port_of(fd));
	wait_for(fd, POLLIN);
	say_select("somebody", fd, -1, 0);
	close(fd);
}

/* Sets of a program's own making, for numbers that an fd_set has no room for. */
static void selecting_high_numbers(const struct way *way)
{
	enum { HIGH = 1500, WORD = 8 * sizeof(unsigned long), WORDS = 2048 / WORD };
	unsigned long in[WORDS] = {0}, out[WORDS] = {0};
	struct rlimit before, more;
	int slot, fd = stream(way, &slot);

	must("getrlimit", getrlimit(RLIMIT_NOFILE, &before));
	more = (struct rlimit){.rlim_cur = 2048, .rlim_max = before.rlim_max};
	if (before.rlim_max < more.rlim_cur)
		more = before;
	must("setrlimit", setrlimit(RLIMIT_NOFILE, &more));
	int high = fcntl(fd, F_DUPFD, more.rlim_cur < 2048 ? 100 : HIGH);
	unsigned long bit = 1ul << high % WORD, *word_in = &in[high / WORD];
	unsigned long *word_out = &out[high / WORD];

	must("F_DUPFD", high);
	*word_in = *word_out = bit;
	outcome("idle", select(high + 1, (fd_set *)in, (fd_set *)out, NULL, &(struct timeval){0}));
	say("sets", "%d %d", *word_in == bit, *word_out == bit);
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	*word_in = bit;
	outcome("text", select(high + 1, (fd_set *)in, (fd_set *)out, NULL, &(struct timeval){0}));
	say("sets", "%d %d", *word_in == bit, *word_out == bit);
	close(high);
	outcome("closed", select(high + 1, (fd_set *)in, NULL, NULL, &(struct timeval){0}));
	say("set", "%d", *word_in == bit);
	must("setrlimit", setrlimit(RLIMIT_NOFILE, &before));
	close(fd);
}

const struct check poll_checks[] = {
	{"polling", polling, EACH_WAY},
	{"polling nothing", polling_nothing, EACH_WAY},
	{"polling sockets", polling_sockets, EACH_FAMILY},
	{"selecting", selecting, EACH_WAY},
	{"selecting the end", selecting_the_end, EACH_WAY},
	{"selecting high numbers", selecting_high_numbers, EACH_FAMILY},
	{NULL, NULL, 0},
};
