/* SPDX-License-Identifier: MIT */
#include "starter.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include "engine.h"
#include "real.h"

#define MOMENT_NS (200 * NS_PER_MS)

static bool is_armed;

static void *start_later(void *argument)
{
	const struct timespec moment = {.tv_nsec = MOMENT_NS};

	(void)argument;
	nanosleep(&moment, NULL);
	engine_lock();
	if (is_armed && engine.state == ENGINE_OFF)
		engine_start();
	is_armed = false;
	engine_unlock();
	return NULL;
}

void starter_arm(void)
{
	pthread_attr_t attributes;
	sigset_t all, mask;
	pthread_t thread;

	if (is_armed || engine.state != ENGINE_OFF)
		return;
	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	is_armed = real()->pthread_create(&thread, &attributes, start_later, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	pthread_attr_destroy(&attributes);
}

void starter_cancel(void)
{
	is_armed = false;
}
