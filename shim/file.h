/* SPDX-License-Identifier: MIT */
/*
 * The table of descriptors that are not the kernel's alone. Each is a real descriptor too, so that
 * its number is nobody else's and dup, fork, exec and close behave: a kernel socket that is never
 * connected, the kernel's half of an epoll set, or a memory file. What it stands for is a file, as in the kernel:
 * several descriptors may share one, and it ends with the last of them.
 *
 * Everything here is under the engine's lock, but for the first look into the table.
 */
#ifndef SHIM_FILE_H
#define SHIM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Descriptors from here on are the kernel's: no limit of a process goes so far by default. */
#define FILES_MAX (UINT32_C(1) << 20)

struct file;
struct item;
struct waiter;

/** Somebody who wants to know when something happens to a file. */
struct watch {
	struct watch *next, **link; /* in the file's list; link NULL: in none */
	struct file *file;
	struct item *item;     /* an epoll set's; or */
	struct waiter *waiter; /* a thread's */
};

enum file_kind { FILE_SOCKET, FILE_EPOLL, FILE_LOG };

struct file {
	enum file_kind kind;
	bool is_nonblocking;
	int status_flags;    /* others of fcntl(2) */
	bool is_placeholder; /* its descriptors are dups of one that stands for all such files */
	uint32_t references; /* its descriptors, and calls under way */
	uint32_t descriptors;
	struct watch *watches;
};

extern struct file **file_table; /* [FILES_MAX]; NULL until the first is added */

/* Set while the library below us runs: what it calls is the kernel's. */
extern _Thread_local bool shim_is_inside __attribute__((tls_model("initial-exec")));

/** file_is_ours - whether a descriptor is worth taking the lock for */
static inline bool file_is_ours(int fd)
{
	return file_table && (uint32_t)fd < FILES_MAX &&
	       __atomic_load_n(&file_table[fd], __ATOMIC_ACQUIRE) && !shim_is_inside;
}

/** file_enter - lock, and hold the file of @fd; NULL, without the lock: it is the kernel's */
struct file *file_enter(int fd);

/** file_leave - undo file_enter; errno stays */
void file_leave(struct file *file);

/** file_of - the file of a descriptor, or NULL; under the lock */
struct file *file_of(int fd);

/** file_hold, file_drop - a reference more, or less; without any it ends */
static inline void file_hold(struct file *file)
{
	file->references++;
}
void file_drop(struct file *file);

/** file_add - @fd stands for @file from now on; 0, or -EMFILE or -ENOMEM */
int file_add(int fd, struct file *file);

/** file_remove - @fd stands for nothing any more; the kernel's descriptor is not touched */
void file_remove(int fd);

/** file_watch - let @watch know of @file */
void file_watch(struct watch *watch, struct file *file);

/** file_unwatch - not any more; does nothing when it is in no list */
void file_unwatch(struct watch *watch);

/** file_notify - tell all who watch that @events (of poll) may be so now */
void file_notify(struct file *file, uint32_t events);

/** file_events - which of poll's events are so now */
uint32_t file_events(struct file *file);

/** file_for_each - call @visit for every descriptor */
void file_for_each(void (*visit)(int fd, struct file *file));

#endif /* SHIM_FILE_H */
