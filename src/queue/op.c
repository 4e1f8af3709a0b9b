/* SPDX-License-Identifier: MIT */
#include "queue/op.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "queue/guard.h"

int op_table_init(struct op_table *table, uint32_t capacity)
{
	void *slots;

	if (capacity == 0)
		return -EINVAL;
	/* Page-aligned, so that a slot is a cache line, and only touched as far as it is used. */
	slots = mmap(NULL, (size_t)capacity * sizeof(struct op), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (slots == MAP_FAILED)
		return -ENOMEM;
	memset(table, 0, sizeof(*table));
	table->slots = slots;
	table->capacity = capacity;
	table->memo.returned = UINT32_MAX;
	return 0;
}

void op_table_fini(struct op_table *table)
{
	if (table->slots)
		munmap(table->slots, (size_t)table->capacity * sizeof(struct op));
	memset(table, 0, sizeof(*table));
}

void op_unguard(struct op_table *table, struct op *op)
{
	guard_complete(table->guard, op);
}

void op_cancel_all(struct op_table *table, struct op_list *list)
{
	struct op *op;

	while ((op = op_list_take(list)))
		op_complete(table, op, ECANCELED);
}
