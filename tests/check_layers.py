#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what no compiler does: the direction of includes, banned calls, words, and the size of functions and files.

    check_layers.py ROOT          prints `file:line: reason` for each violation; status 1 if there is one
    check_layers.py --self-test   proves that each rule catches what it is for
"""

import os
import re
import sys

FUNCTION_MAX_LINES = 60
FILE_MAX_LINES = 500
TEST_FILE_MAX_LINES = 800  # a test mirrors one module, tables and all

# Each layer and those it may include. A layer is a folder of proxy/; everything under api/ (or injector/) is one.
PROXY_LAYERS = ['base', 'policy', 'net', 'h2', 'xds', 'flow', 'app']
MAY_INCLUDE = {layer: set(PROXY_LAYERS[:i + 1]) for i, layer in enumerate(PROXY_LAYERS)}
MAY_INCLUDE['init'] = {'base', 'net', 'init'}
MAY_INCLUDE['api'] = {'base', 'policy', 'net', 'h2', 'api'}
MAY_INCLUDE['injector'] = {'base', 'net', 'h2', 'api', 'injector'}

# Headers of the outside world that only some layers may see: pattern, layers, single files, reason.
FOREIGN = [
    (r'^event2/', {'net'}, set(), 'libevent belongs to net'),
    (r'^mbedtls/', {'net'}, set(), 'mbedTLS belongs to net'),
    (r'^llhttp\.h$', set(), {'proxy/net/http_parse.c'}, 'llhttp belongs to net/http_parse.c'),
    (r'^nghttp2/', {'h2'}, set(), 'nghttp2 belongs to h2'),
    (r'^(sys/socket\.h|netinet/.*|arpa/inet\.h|netdb\.h|linux/netfilter.*)$', {'net', 'init'}, {'proxy/base/addr.c'},
     'sockets belong to net (struct addr is for the others)'),
    (r'\.pb-c\.h$', {'xds', 'api'}, set(), 'generated messages are seen by proxy/xds and api only'),
    (r'^protobuf-c/', {'xds', 'api'}, set(), 'protobuf-c is seen by proxy/xds and api only'),
    (r'^yaml\.h$', {'api'}, set(), 'YAML is the manifests source\'s'),
]

HEAP = 'use base/mem.h: it aborts on exhaustion, so that no caller forgets to check'
BANNED = {
    'strcpy': 'knows no bound; use struct text or snprintf',
    'strcat': 'knows no bound; use struct text',
    'sprintf': 'knows no bound; use text_printf or snprintf',
    'vsprintf': 'knows no bound; use vsnprintf',
    'gets': 'knows no bound',
    'atoi': 'cannot tell an error from 0; use str_to_u64',
    'atol': 'cannot tell an error from 0; use str_to_u64',
    'atof': 'cannot tell an error from 0 and depends on the locale',
    'strtok': 'keeps hidden state and writes into its input; use str_split',
    'alloca': 'the stack has no check; use base/mem.h',
    'rand': 'one hidden state for all threads; use base/rng.h',
    'localtime': 'one hidden buffer for all threads; use gmtime_r',
    'gmtime': 'one hidden buffer for all threads; use gmtime_r',
    'inet_ntoa': 'IPv4 only, one hidden buffer; use addr_format_ip',
    'gethostbyname': 'blocks the loop; use net/resolver.h',
    'malloc': HEAP, 'calloc': HEAP, 'realloc': HEAP, 'free': HEAP, 'strdup': HEAP, 'strndup': HEAP,
    'asprintf': HEAP, 'vasprintf': HEAP,
}
HEAP_HOME = 'proxy/base/mem.c'
# Not a member (`ops->free(`), not the end of a longer name.
BANNED_CALL = re.compile(r'(?<![\w.>])(' + '|'.join(BANNED) + r')\s*\(')
WORDS = re.compile(r'(up|down)stream', re.IGNORECASE)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
LITERAL_OR_COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def layer_of(path):
    """The layer a file of the tree belongs to; None for tests."""
    parts = path.split('/')
    if parts[0] == 'proxy' and len(parts) > 2:
        return parts[1]
    if parts[0] == 'proxy':
        return 'app'
    return parts[0] if parts[0] in ('api', 'injector') else None


def layer_of_include(name):
    """The layer of a quoted include, written from the top or from proxy/; None for generated and local headers."""
    first = name.split('/')[0]
    return first if '/' in name and first in MAY_INCLUDE else None


def blank(text, keep_comments):
    """The source with literals (and comments) replaced by blanks of the same shape, so that line numbers stay."""
    def replace(match):
        found = match.group(0)
        if found.startswith('/') and keep_comments:
            return found
        return re.sub(r'[^\n]', ' ', found)
    return LITERAL_OR_COMMENT.sub(replace, text)


def check_include(path, layer, quoted, name):
    if quoted:
        target = layer_of_include(name)
        if target == 'api' and layer == 'xds' and name.startswith('api/proto/'):
            target = None
        if target is not None and target not in MAY_INCLUDE.get(layer, set()):
            yield f'{layer} must not include {name}: it may use {", ".join(sorted(MAY_INCLUDE.get(layer, set())))} only'
    for pattern, layers, files, reason in FOREIGN:
        if re.search(pattern, name) and layer not in layers and path not in files:
            yield f'{name}: {reason}'


def check_includes(path, text):
    layer = layer_of(path)
    if layer is None:
        return
    if layer not in MAY_INCLUDE:
        yield 1, f'{layer} is no known layer; add it to MAY_INCLUDE'
        return
    for number, line in enumerate(text.split('\n'), 1):
        match = INCLUDE.match(line)
        if match:
            for reason in check_include(path, layer, match.group(1) == '"', match.group(2)):
                yield number, reason


def check_calls(path, text):
    for number, line in enumerate(blank(text, keep_comments=False).split('\n'), 1):
        for match in BANNED_CALL.finditer(line):
            call = match.group(1)
            if not (path == HEAP_HOME and BANNED[call] is HEAP):
                yield number, f'{call}: {BANNED[call]}'


def check_words(path, text):
    """Literals may quote the wire: xDS type names contain both words."""
    for number, line in enumerate(blank(text, keep_comments=True).split('\n'), 1):
        match = WORDS.search(line)
        if match:
            yield number, f'"{match.group(0)}": others use the word in opposite senses; say inbound/outbound, client/server'


def check_sizes(path, text):
    lines = text.rstrip('\n').split('\n')
    most = TEST_FILE_MAX_LINES if path.startswith('tests/') else FILE_MAX_LINES
    if len(lines) > most:
        yield most + 1, f'file has {len(lines)} lines, at most {most}: split it by what it does'
    start = None
    for number, line in enumerate(lines, 1):
        if line == '{':
            start = number
        elif line.startswith('}') and start is not None:
            length = number - start - 1
            if length > FUNCTION_MAX_LINES:
                yield start, f'function has {length} lines, at most {FUNCTION_MAX_LINES}'
            start = None


def check_form(path, text):
    first = text.split('\n', 1)[0]
    if first != '/* SPDX-License-Identifier: Apache-2.0 */':
        yield 1, 'the first line is not the SPDX line'
    if path.endswith('.h') and '\n#pragma once\n' not in text:
        yield 1, 'a header begins with #pragma once'
    for match in re.finditer(r'\btypedef\s+(struct|union)\b', blank(text, keep_comments=False)):
        yield text.count('\n', 0, match.start()) + 1, 'no struct typedefs: the reader should see that it is a struct'


CHECKS = [check_includes, check_calls, check_words, check_sizes, check_form]


def check_file(path, text):
    return [(path, number, reason) for check in CHECKS for number, reason in check(path, text)]


def sources(root):
    for top in ('proxy', 'api', 'injector', 'tests'):
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders.sort()
            for name in sorted(names):
                if name.endswith(('.c', '.h')) and not name.endswith(('.pb-c.c', '.pb-c.h')):
                    yield os.path.relpath(os.path.join(folder, name), root).replace(os.sep, '/')


def check_tree(root):
    paths = list(sources(root))
    if not paths:
        print(f'{root}: no sources found')
        return 1
    found = []
    for path in paths:
        with open(os.path.join(root, path), encoding='utf-8') as file:
            found += check_file(path, file.read())
    for path, number, reason in found:
        print(f'{path}:{number}: {reason}')
    print(f'{len(paths)} files, {len(found)} violations')
    return 1 if found else 0


HEAD = '/* SPDX-License-Identifier: Apache-2.0 */\n'
# path, text after the SPDX line, line of the violation, part of its reason
CAUGHT = [
    ('proxy/base/x.c', '#include "net/loop.h"\n', 2, 'base must not include'),
    ('proxy/policy/x.c', '#include "flow/accept.h"\n', 2, 'policy must not include'),
    ('proxy/h2/x.c', '\n#include "xds/snapshot.h"\n', 3, 'h2 must not include'),
    ('proxy/xds/x.c', '#include "flow/cluster.h"\n', 2, 'xds must not include'),
    ('proxy/xds/x.c', '#include "api/model/model.h"\n', 2, 'xds must not include'),
    ('proxy/flow/x.c', '#include "app/config.h"\n', 2, 'flow must not include'),
    ('proxy/flow/x.c', '#include "api/proto/xds.pb-c.h"\n', 2, 'generated messages'),
    ('proxy/init/x.c', '#include "policy/backoff.h"\n', 2, 'init must not include'),
    ('api/model/x.c', '#include "flow/cluster.h"\n', 2, 'api must not include'),
    ('proxy/flow/x.c', '#include <event2/event.h>\n', 2, 'libevent'),
    ('proxy/flow/x.c', '#include <nghttp2/nghttp2.h>\n', 2, 'nghttp2'),
    ('proxy/net/http_server.c', '#include <llhttp.h>\n', 2, 'llhttp'),
    ('proxy/h2/x.c', '#include <sys/socket.h>\n', 2, 'sockets'),
    ('proxy/base/log.c', '#include <netinet/in.h>\n', 2, 'sockets'),
    ('proxy/h2/x.c', '#include <mbedtls/ssl.h>\n', 2, 'mbedTLS'),
    ('proxy/unheard/x.c', '\n', 1, 'no known layer'),
    ('proxy/flow/x.c', 'void *f(void)\n{\n    return malloc(3);\n}\n', 4, 'malloc'),
    ('proxy/base/slab.c', 'free (p);\n', 2, 'free'),
    ('proxy/base/mem.c', 'strcpy(a, b);\n', 2, 'strcpy'),
    ('tests/unit/base/x.c', 'x = atoi("1");\n', 2, 'atoi'),
    ('proxy/flow/x.c', 'int upstream_count;\n', 2, 'upstream'),
    ('proxy/flow/x.c', '/* The\n * Downstream peer. */\n', 3, 'Downstream'),
    ('proxy/flow/x.c', 'void f(void)\n{\n' + '    g();\n' * 61 + '}\n', 3, 'function has 61 lines'),
    ('proxy/flow/x.c', '\n' * 500 + 'int x;\n', 501, 'file has 502 lines'),
    ('tests/unit/net/x.c', '\n' * 800 + 'int x;\n', 801, 'file has 802 lines'),
    ('proxy/flow/x.h', '#include <stdint.h>\n', 1, '#pragma once'),
    ('proxy/flow/x.c', 'typedef struct a b;\n', 2, 'typedef'),
]
ALLOWED = [
    ('proxy/app/x.c', '#include "base/str.h"\n#include "xds/snapshot.h"\n#include "version.h"\n#include <stdio.h>\n'),
    ('proxy/xds/x.c', '#include "api/proto/xds.pb-c.h"\n#include "h2/grpc_call.h"\n'),
    ('proxy/net/x.c', '#include <event2/event.h>\n#include <sys/socket.h>\n'),
    ('proxy/base/addr.c', '#include <sys/socket.h>\n#include <netinet/in.h>\n'),
    ('proxy/base/mem.c', 'void mem_free(void *p)\n{\n    free(p);\n}\n'),
    ('api/xds/x.c', '#include "h2/session.h"\n#include "api/model/model.h"\n#include "api/proto/xds.pb-c.h"\n'),
    ('proxy/flow/x.c', 'mem_free(p); ops->free(p); o.free(p); slab_free(s); /* free(p) */ log("malloc(3)");\n'),
    ('proxy/flow/x.c', 'const char *type = "envoy.extensions.upstreams.http.v3";\n'),
    ('proxy/flow/x.c', 'void f(void)\n{\n' + '    g();\n' * 60 + '}\n'),
    ('proxy/flow/x.h', '#pragma once\nstruct a;\ntypedef void (*done_fn)(struct a *a);\n'),
    ('tests/unit/net/x.c', '#include <sys/socket.h>\n'),
]


def self_test():
    failures = 0
    for path, text, line, reason in CAUGHT:
        found = check_file(path, HEAD + text)
        if not any(number == line and reason in why for _, number, why in found):
            print(f'not caught in {path}: {text[:60]!r}, expected line {line}: {reason}; found {found}')
            failures += 1
    for path, text in ALLOWED:
        found = check_file(path, HEAD + text)
        if found:
            print(f'wrongly refused in {path}: {text[:60]!r}: {found}')
            failures += 1
    print(f'{len(CAUGHT) + len(ALLOWED)} cases, {failures} failures')
    return 1 if failures else 0


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(self_test() if sys.argv[1] == '--self-test' else check_tree(sys.argv[1]))
