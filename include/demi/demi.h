/* SPDX-License-Identifier: MIT */
/* The whole public API. */
#ifndef DEMI_DEMI_H
#define DEMI_DEMI_H

#include <demi/cc.h>
#include <demi/drive.h>
#include <demi/file.h>
#include <demi/heap.h>
#include <demi/libos.h>
#include <demi/log.h>
#include <demi/queue.h>
#include <demi/runtime.h>
#include <demi/sga.h>
#include <demi/stats.h>
#include <demi/types.h>
#include <demi/wait.h>

#endif /* DEMI_DEMI_H */
