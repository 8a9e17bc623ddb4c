/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Small language helpers used everywhere: the object around an embedded member, array lengths, checked results.
 */

#include <stddef.h>

/* The object of `type` whose `member` is at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof *(array))

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
