/* SPDX-License-Identifier: MIT */
/*
 * Which sockets are ready: nothing asked while few are waited for, poll(2) for some, epoll for
 * many. Only sockets with an operation pending are asked about.
 */
#ifndef DEMI_LIBOS_CATNAP_POLLER_H
#define DEMI_LIBOS_CATNAP_POLLER_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct socket;

enum poller_want {
	POLLER_WANT_NONE = 0,
	POLLER_WANT_INPUT = 1,  /* a pop or an accept is pending */
	POLLER_WANT_OUTPUT = 2, /* a push did not fit, or a connect is under way */
};

/** What a socket keeps for the poller. */
struct poller_entry {
	uint32_t place;  /* in wanting; UINT32_MAX: not there */
	uint8_t want;    /* enum poller_want bits */
	uint8_t counted; /* what of it the poller acts on; want comes into force at the next round */
	bool changed;    /* is in changed */
	bool registered; /* with epoll, edge-triggered, until it is closed */
	bool readable;   /* epoll: an edge was seen since recv last said there is no more */
	bool writable;   /* epoll: likewise for send */
	bool hung_up; /* epoll: an end, error or urgent data was seen: a short recv may not be all */
	bool queued;  /* is in again */
};

struct poller {
	struct socket **wanting; /* wanting[count]: sockets that want something */
	struct pollfd *fds;      /* fds[POLLER_FDS_FIXED + i] belongs to wanting[i] */
	uint32_t count;
	uint32_t capacity;
	uint32_t inputs;  /* of those, stream and datagram sockets with a pop pending */
	uint32_t outputs; /* of those, sockets that want output */
	uint32_t rounds;  /* since poll(2) was last asked */
	bool uses_epoll;
	bool keeps_epoll;   /* its program sleeps on epoll_fd: stay with epoll */
	bool epoll_refused; /* a registration failed: stay with poll(2) */
	int epoll_fd;
	struct socket **changed; /* changed[changed_count]: may want something else now */
	uint32_t changed_count;
	struct socket **again; /* again[again_count]: pops on sockets known to be readable */
	uint32_t again_count;
	struct socket **ready; /* ready[ready_count]: what poller_collect found */
	uint32_t ready_count;
};

/* fds[0]: an eventfd that only sleeping waits for; fds[1]: epoll; then others', for a sleep */
#define POLLER_OTHERS_MAX 3
#define POLLER_FDS_FIXED (2u + POLLER_OTHERS_MAX)

/** poller_init - room for @capacity sockets; 0 or -errno */
int poller_init(struct poller *poller, uint32_t capacity);

void poller_fini(struct poller *poller);

/**
 * poller_update - what @socket wants is @want now
 *
 * It is only noted here: most often a pop completes and the next one follows before anybody polls.
 */
static inline void poller_update(struct poller *poller, struct poller_entry *entry,
				 struct socket *socket, uint8_t want)
{
	entry->want = want;
	/* With epoll a pop on a socket that is known to be readable must be noted even so. */
	if (entry->changed || (want == entry->counted && !poller->uses_epoll))
		return;
	entry->changed = true;
	poller->changed[poller->changed_count++] = socket;
}

/** poller_forget - @socket is going to be closed */
void poller_forget(struct poller *poller, struct socket *socket);

/**
 * poller_collect - fill ready with the sockets that are worth trying
 *
 * Each socket's ready_events says for what.
 */
void poller_collect(struct poller *poller);

/** poller_watch_event - let an eventfd end sleeping too; poller_sleep empties it */
void poller_watch_event(struct poller *poller, int event_fd);

/** poller_watch_others - let @count others' descriptors end the next sleep, and no longer those before */
void poller_watch_others(struct poller *poller, const struct pollfd *others, int count);

/**
 * poller_idle - what a program of its own event loop sleeps on
 * @wake: filled; what is wanted may not change meanwhile
 *
 * Return: 1; 0: there is no such thing, epoll refuses a socket; -EAGAIN: look first.
 */
int poller_idle(struct poller *poller, struct pollfd *wake);

/** poller_sleep - wait until something is ready; 0, or -EINTR. @timeout_ns: UINT64_MAX is for ever */
int poller_sleep(struct poller *poller, uint64_t timeout_ns, const sigset_t *signals);

#endif /* DEMI_LIBOS_CATNAP_POLLER_H */
