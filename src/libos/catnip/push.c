/* SPDX-License-Identifier: MIT */
#include "libos/catnip/push.h"

#include <errno.h>
#include <stdlib.h>

#include "base/container.h"

static void device_is_done(struct buf_done *done)
{
	struct push *push = container_of(done, struct push, done);
	struct push_owner *owner = push->owner;

	/* Within the call that sends: who made it sees that nothing is to come. */
	if (!push->waits)
		return;
	if (owner) {
		op_list_remove(&owner->ops, push->op);
		op_complete(&push->catnip->context->ops, push->op, 0);
	}
	push->catnip->pushes_waiting--;
	push->catnip->naps = 0;
	push_put(push);
	if (owner && !owner->ops.head)
		owner->drained(owner);
}

int push_pool_create(struct catnip *catnip, uint32_t count)
{
	catnip->pushes = calloc(count, sizeof(catnip->pushes[0]));
	if (!catnip->pushes)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		struct push *push = &catnip->pushes[i];

		push->done.done = device_is_done;
		push->catnip = catnip;
		push_put(push);
	}
	return 0;
}

void push_pool_destroy(struct catnip *catnip)
{
	free(catnip->pushes);
	catnip->pushes = NULL;
	catnip->free_pushes = NULL;
}

struct push *push_take(struct catnip *catnip)
{
	struct push *push = catnip->free_pushes;

	if (push)
		catnip->free_pushes = push->next;
	return push;
}

void push_put(struct push *push)
{
	push->waits = false;
	push->owner = NULL;
	push->op = NULL;
	push->next = push->catnip->free_pushes;
	push->catnip->free_pushes = push;
}

void push_wait(struct push *push, struct push_owner *owner, struct op *op)
{
	push->waits = true;
	push->owner = owner;
	push->op = op;
	op->request = push;
	op_list_append(&owner->ops, op);
	push->catnip->pushes_waiting++;
	push->catnip->naps = 0;
}

void push_abandon_all(struct push_owner *owner, struct op_table *ops)
{
	struct op *op;

	while ((op = op_list_take(&owner->ops))) {
		struct push *push = op->request;

		push->owner = NULL;
		push->op = NULL;
		op_complete(ops, op, ECANCELED);
	}
}
