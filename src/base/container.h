/* SPDX-License-Identifier: MIT */
/* From a pointer to a member to the structure around it. */
#ifndef DEMI_BASE_CONTAINER_H
#define DEMI_BASE_CONTAINER_H

#include <stddef.h>

#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif /* DEMI_BASE_CONTAINER_H */
