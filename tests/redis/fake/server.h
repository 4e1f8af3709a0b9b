/* SPDX-License-Identifier: MIT */
/* In place of Redis's: what journal*.c and client_values.c of apps/redis take of it, for their tests without Redis. */
#ifndef DEMI_TESTS_REDIS_FAKE_SERVER_H
#define DEMI_TESTS_REDIS_FAKE_SERVER_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <demi/demi.h>

#define zfree demi_free
#define zmalloc demi_malloc

#define LL_WARNING 3
#define BIO_LAZY_FREE 2

typedef char *sds;

typedef struct redisObject {
	int refcount;
} robj;

__attribute__((format(printf, 2, 3))) void serverLog(int level, const char *format, ...);

void *zcalloc(size_t bytes);
sds sdsempty(void);
/* One %s. */
sds sdscatfmt(sds text, const char *format, const char *value);
void sdsfree(sds text);
void bioCreateFsyncJob(int fd);
void bioCreateCloseJob(int fd, int need_fsync);
int bg_unlink(const char *path);
unsigned long long bioPendingJobsOfType(int type);
void decrRefCount(robj *object);

#endif
