/* SPDX-License-Identifier: MIT */
/*
 * An epoll set: the kernel's descriptors are in a set of the kernel's, whose descriptor it has; ours
 * are items here. An item that may be ready is in the set's list, and is looked at when somebody
 * waits. A socket of both sides, one that is undecided, and another set, are in both halves.
 */
#ifndef SHIM_EPOLL_H
#define SHIM_EPOLL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "file.h"

struct epoll;

struct item {
	struct watch watch; /* of the file that it is about */
	struct epoll *epoll;
	struct item *next, **link;             /* all of the set */
	struct item *ready_next, **ready_link; /* those that may be ready; link NULL: not in it */
	int fd;
	struct epoll_event event;
	bool is_spent;  /* EPOLLONESHOT, and it has been reported */
	bool in_kernel; /* it is in the kernel's half too */
	/* Either half may tell of it: the kernel's does so by the key, since data is not its alone. */
	uint64_t key; /* 0: only the kernel's half tells, with the program's data */
	struct item *both_next, **both_link; /* those with a key */
	uint64_t told;                       /* the call that has told of it, and where */
	int told_at;
};

struct epoll {
	struct file file;
	struct item *items;
	struct item *ready, **ready_tail;
	bool has_kernel;   /* something was added to the kernel's half */
	bool has_once;     /* an item with EPOLLONESHOT was, or is, in both halves without a key */
	struct item *both; /* with a key */
	uint64_t calls;    /* that have waited */
	uint32_t count;
	uint64_t look_ns;    /* when the kernel's half was last asked */
	bool kernel_is_busy; /* it had something the last time: it is asked at each call */
	bool kernel_first;   /* it has the first places the next time, so that neither starves */
};

static inline struct epoll *epoll_of(struct file *file)
{
	return (struct epoll *)file;
}

struct epoll *epoll_new(void);
void epoll_end(struct epoll *epoll);

/** epoll_events - EPOLLIN when something of ours is ready in it */
uint32_t epoll_events(struct epoll *epoll);

/** epoll_item_ready - something happened to its file */
void epoll_item_ready(struct item *item, uint32_t events);

/** epoll_forget - remove an item, of ours only */
void epoll_forget(struct item *item);

/** epoll_be_both - a socket is of both sides from now on: either half of its sets tells of it */
void epoll_be_both(struct file *file);

/** epoll_leave_kernel - take a socket out of the kernel's halves of all sets that it is in */
void epoll_leave_kernel(struct file *file);

#endif /* SHIM_EPOLL_H */
