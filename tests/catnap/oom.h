/* SPDX-License-Identifier: MIT */
/*
 * Lack of memory on demand: the linker puts these functions in the place of malloc and its
 * family, mmap and mprotect, for the library and the test alike.
 */
#ifndef DEMI_TESTS_OOM_H
#define DEMI_TESTS_OOM_H

#include <stdbool.h>
#include <stdint.h>

enum oom_kind {
	OOM_ONCE, /* one call fails */
	OOM_FROM, /* it and all after it */
	OOM_HEAP, /* an allocation of the runtime's heap and all after it */
	OOM_KINDS,
};

/** oom_arm - let @count calls succeed and then fail; OOM_HEAP needs a runtime */
void oom_arm(enum oom_kind kind, uint64_t count);

/** oom_disarm - there is memory again */
void oom_disarm(void);

/** oom_fired - whether something has failed since oom_arm */
bool oom_fired(void);

#endif /* DEMI_TESTS_OOM_H */
