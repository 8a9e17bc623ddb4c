/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Scope-bound release of locals; `steal` hands the value on. */

#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

static inline void cleanup_free(void *p)
{
    mem_free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

#define CLEANUP_FREE __attribute__((cleanup(cleanup_free)))
#define CLEANUP_FD __attribute__((cleanup(cleanup_close)))
#define CLEANUP_TEXT __attribute__((cleanup(text_deinit)))

static inline int steal_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}
