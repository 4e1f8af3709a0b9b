/* SPDX-License-Identifier: MIT */
/*
 * Compiler words that the public headers and programs written for PDPIX use: the annotation
 * language SAL (empty outside MSVC) and two function attributes.
 */
#ifndef DEMI_CC_H
#define DEMI_CC_H

#ifdef _MSC_VER
#include <sal.h>
#else
#define _In_
#define _In_z_
#define _In_opt_
#define _Inout_
#define _In_reads_(count)
#define _In_reads_bytes_(bytes)
#define _Out_
#define _Out_opt_
#define _Out_writes_(count)
#define _Out_writes_to_(size, count)
#define _Out_writes_bytes_(bytes)
#define _Out_writes_to_opt_(size, count)
#define _Deref_pre_z_
#endif

/*
 * Indices are one-based. The library itself is built without: with the attribute on a prototype
 * the compiler would delete the NULL checks of the definition.
 */
#if defined(__GNUC__) && !defined(DEMI_BUILDING_LIBRARY)
#define ATTR_NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))
#else
#define ATTR_NONNULL(...)
#endif

#if defined(__GNUC__)
#define ATTR_NODISCARD __attribute__((warn_unused_result))
#else
#define ATTR_NODISCARD
#endif

#endif /* DEMI_CC_H */
