/* SPDX-License-Identifier: MIT */
/*
 * Values that replies have referred to, and refer to no more. Redis counts references without locks, and has
 * a thread that frees the databases of FLUSHALL ASYNC and the like: what it holds and a reply holds, too,
 * two threads would count at once. So while it is at work what replies let go is kept.
 */
#include <bio.h>
#include <server.h>

#include "client_io.h"

struct kept {
	struct kept *next;
	robj *object;
};

static struct kept *first;
/* Databases were given to that thread, and it was not seen idle since. */
static int is_at_work;

void client_io_flush(void)
{
	is_at_work = 1;
}

void client_io_let_go_kept(void)
{
	if (!is_at_work || bioPendingJobsOfType(BIO_LAZY_FREE) != 0)
		return;
	is_at_work = 0;
	while (first != NULL) {
		struct kept *kept = first;

		first = kept->next;
		decrRefCount(kept->object);
		zfree(kept);
	}
}

void client_io_let_go(robj *object)
{
	struct kept *kept;

	if (!is_at_work) {
		decrRefCount(object);
		return;
	}
	kept = zmalloc(sizeof(*kept));
	kept->object = object;
	kept->next = first;
	first = kept;
	client_io_let_go_kept();
}
