/* SPDX-License-Identifier: MIT */
#include "threads.h"

#include <demi/demi.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "figures.h"

struct threads;

struct thread {
	struct threads *all;
	uint32_t number;
	pthread_t handle;
};

/* What nobody goes through until it is known whether all are there. */
struct threads {
	pthread_mutex_t lock;
	pthread_cond_t decided;
	enum { UNDECIDED, GO, GIVE_UP } decision;
	void (*body)(void *context, uint32_t number);
	void *context;
};

static void decide(struct threads *all, bool goes)
{
	pthread_mutex_lock(&all->lock);
	all->decision = goes ? GO : GIVE_UP;
	pthread_cond_broadcast(&all->decided);
	pthread_mutex_unlock(&all->lock);
}

static void *run_one(void *argument)
{
	struct thread *thread = argument;
	struct threads *all = thread->all;
	bool goes;

	pthread_mutex_lock(&all->lock);
	while (all->decision == UNDECIDED)
		pthread_cond_wait(&all->decided, &all->lock);
	goes = all->decision == GO;
	pthread_mutex_unlock(&all->lock);
	if (goes)
		all->body(all->context, thread->number);
	return NULL;
}

int threads_run(uint32_t count, void (*body)(void *context, uint32_t number), void *context)
{
	struct threads all = {.lock = PTHREAD_MUTEX_INITIALIZER,
			      .decided = PTHREAD_COND_INITIALIZER,
			      .body = body,
			      .context = context};
	struct thread *threads = calloc(count, sizeof(*threads));
	uint32_t started = 1;
	int error = threads ? 0 : ENOMEM;

	while (!error && started < count) {
		threads[started] = (struct thread){.all = &all, .number = started};
		error = pthread_create(&threads[started].handle, NULL, run_one, &threads[started]);
		if (!error)
			started++;
	}
	decide(&all, !error);
	if (!error)
		body(context, 0);
	while (--started)
		pthread_join(threads[started].handle, NULL);
	free(threads);
	return error;
}

static _Thread_local bool runs;

bool threads_runtime_start(const struct options *options, uint32_t number)
{
	int error = demi_init(NULL);

	if (error) {
		fprintf(stderr, "%s: the library OS does not start%s: %s\n", options->program,
			number ? " in another thread" : "", strerror(error));
		return false;
	}
	runs = true;
	if (options->threads > 1)
		figures_name_runtime(number);
	return true;
}

void threads_runtime_end(const struct options *options)
{
	if (options->stats && runs)
		figures_print(options->program);
	demi_fini();
}
