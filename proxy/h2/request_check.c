/* SPDX-License-Identifier: Apache-2.0 */

#include "h2/request_check.h"

#include <string.h>
#include <strings.h>

static bool is_named(const struct h2_field *f, struct str name)
{
    return f->name.len == name.len && memcmp(f->name.p, name.p, name.len) == 0;
}

static bool has_char(struct str s, char c)
{
    return s.len > 0 && memchr(s.p, c, s.len) != NULL;
}

static bool is_same_host(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.p, b.p, a.len) == 0);
}

/* "*" is for OPTIONS, and nghttp2 has seen to that for http and https. */
static bool is_path(struct str path)
{
    bool is_asterisk = path.len == 1 && path.p[0] == '*';

    return path.len > 0 && (path.p[0] == '/' || is_asterisk) && !has_char(path, '#');
}

bool h2_request_is_sound(const struct h2_headers *request)
{
    struct str authority = {NULL, 0};
    bool has_authority = false;

    for (size_t i = 0; i < request->count; i++) {
        const struct h2_field *f = &request->field[i];

        if (is_named(f, STR(":path"))) {
            if (!is_path(f->value)) {
                return false;
            }
        } else if (is_named(f, STR(":authority")) || is_named(f, STR("host"))) {
            if (has_char(f->value, '@') || (has_authority && !is_same_host(authority, f->value))) {
                return false;
            }
            authority = f->value;
            has_authority = true;
        }
    }
    return true;
}

struct str h2_request_authority(const struct h2_headers *request)
{
    const struct h2_field *authority = h2_headers_find(request, STR(":authority"));

    return authority != NULL ? authority->value : h2_headers_value(request, STR("host"));
}
