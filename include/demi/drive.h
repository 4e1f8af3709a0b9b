/* SPDX-License-Identifier: MIT */
/* Drives by themselves, without a store of logs on them and without a runtime: for tools. */
#ifndef DEMI_DRIVE_H
#define DEMI_DRIVE_H

#include <demi/cc.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Told of one thing that a drive says of itself: "temperature", "36 C". Both are valid during the call. */
typedef void (*demi_health_fn_t)(const char *name, const char *value, void *context);

/**
 * demi_drive_health - what a drive tells of its health (SMART)
 * @device: as blk.dev in demi.conf(5), such as "nvme:0000:00:05.0"; no program may have it meanwhile
 *
 * Needs no demi_init, and does not look at what is on the drive. Return: 0, EFAULT, EOPNOTSUPP (a device
 * of this kind tells nothing), or what opening the device says, which is logged: ENODEV, EBUSY,
 * EACCES, EPERM, EINVAL, ENOTSUP, ENOMEM, EIO, ETIMEDOUT.
 */
ATTR_NONNULL(1, 2)
extern int demi_drive_health(_In_z_ const char *device, _In_ demi_health_fn_t tell,
			     _In_opt_ void *context);

#ifdef __cplusplus
}
#endif

#endif /* DEMI_DRIVE_H */
