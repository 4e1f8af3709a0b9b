/* SPDX-License-Identifier: MIT */
/*
 * A program that listens and then does something else for a while must answer all the same. But one
 * that listens and forks leaves the device to its child. So the runtime starts a moment after
 * the first listen, unless the program has forked by then.
 */
#ifndef SHIM_STARTER_H
#define SHIM_STARTER_H

/** starter_arm - start the runtime in a moment; under the lock */
void starter_arm(void);

/** starter_cancel - the program has forked, or is the child: the first use starts it */
void starter_cancel(void);

#endif /* SHIM_STARTER_H */
