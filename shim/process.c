/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "calls.h"
#include "engine.h"
#include "file.h"
#include "real.h"
#include "trace.h"

static pid_t own_pid;

static void in_child(void)
{
	own_pid = getpid();
	waiter_forget();
	engine_forget();
}

void process_watch_forks(void)
{
	own_pid = getpid();
	pthread_atfork(engine_fork_lock, engine_fork_unlock, in_child);
}

bool process_is_vfork_child(void)
{
	return own_pid != getpid();
}

static __attribute__((destructor)) void at_exit(void)
{
	if (own_pid != getpid())
		return;
	/* libc does so after us. */
	streams_flush();
	engine_end();
	trace_end();
}

EXPORT void _exit(int status)
{
	if (own_pid == getpid())
		engine_end();
	real()->_exit(status);
	__builtin_unreachable();
}

EXPORT void _Exit(int status)
{
	_exit(status);
}

/*
 * Programs give up root before they serve, and then could open no device. So the last moment is now;
 * when another process of theirs has it, that is as well.
 */
static void last_chance(void)
{
	if (shim_is_inside || geteuid() != 0 || (!engine_is_configured() && !engine_has_logs()) ||
	    process_is_vfork_child())
		return;
	engine_lock();
	engine_start();
	engine_unlock();
}

EXPORT int setuid(uid_t uid)
{
	last_chance();
	return real()->setuid(uid);
}

EXPORT int seteuid(uid_t uid)
{
	last_chance();
	return real()->seteuid(uid);
}

EXPORT int setreuid(uid_t uid, uid_t euid)
{
	last_chance();
	return real()->setreuid(uid, euid);
}

EXPORT int setresuid(uid_t uid, uid_t euid, uid_t saved)
{
	last_chance();
	return real()->setresuid(uid, euid, saved);
}

/* ---- Threads of the library ---- */

struct start {
	void *(*run)(void *argument);
	void *argument;
};

static void *run_inside(void *argument)
{
	struct start start = *(struct start *)argument;

	free(argument);
	shim_is_inside = true;
	return start.run(start.argument);
}

/* A driver's thread that the library makes is the library's: what it calls is the kernel's. */
EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*run)(void *argument), void *argument)
{
	struct start *start;
	int error;

	if (!shim_is_inside)
		return real()->pthread_create(thread, attributes, run, argument);
	start = malloc(sizeof(*start));
	if (!start)
		return EAGAIN;
	*start = (struct start){.run = run, .argument = argument};
	error = real()->pthread_create(thread, attributes, run_inside, start);
	if (error)
		free(start);
	return error;
}

/*
 * A thread that waits in one of our calls is not in one of libc's, which would see to it. Handlers are
 * as good as any thread.
 */
EXPORT int pthread_cancel(pthread_t thread)
{
	if (shim_is_inside || !file_table)
		return real()->pthread_cancel(thread);
	return engine_cancel(thread, real()->pthread_cancel);
}
