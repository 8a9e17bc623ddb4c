/* SPDX-License-Identifier: Apache-2.0 */

#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No allocation on the way out: a fixed message straight to the descriptor. */
static _Noreturn void out_of_memory(void)
{
    static const char message[] = "outrigger: out of memory\n";
    ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);

    (void)written;
    abort();
}

void *mem_alloc_array(size_t count, size_t size)
{
    /* calloc checks the product. A size of 0 still yields a pointer that can be told from NULL and freed. */
    void *p = count == 0 || size == 0 ? calloc(1, 1) : calloc(count, size);

    if (p == NULL) {
        out_of_memory();
    }
    return p;
}

void *mem_alloc(size_t size)
{
    return mem_alloc_array(1, size);
}

void *mem_realloc_array(void *p, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        out_of_memory();
    }
    /* realloc(p, 0) may free `p` and answer NULL; one byte keeps the promise of a valid pointer. */
    void *grown = realloc(p, count * size == 0 ? 1 : count * size);

    if (grown == NULL) {
        out_of_memory();
    }
    return grown;
}

char *mem_copy_string(const void *bytes, size_t len)
{
    if (len == SIZE_MAX) {
        out_of_memory();
    }
    char *copy = mem_alloc(len + 1);

    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

char *mem_strdup(const char *text)
{
    return mem_copy_string(text, strlen(text));
}

void *mem_copy(const void *bytes, size_t len)
{
    void *copy = mem_alloc(len);

    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

char *mem_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0 || text == NULL) {
        out_of_memory();
    }
    return text;
}

void mem_free(void *p)
{
    free(p);
}
