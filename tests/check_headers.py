#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles each header alone, twice in a row: it includes what its text needs, and may be included again.

    check_headers.py SOURCE_ROOT BUILD_ROOT COMPILER [ARGUMENT...]
"""

import concurrent.futures
import os
import subprocess
import sys


def headers(root):
    for top in ('proxy', 'api', 'injector'):
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders.sort()
            for name in sorted(names):
                if name.endswith('.h'):
                    yield os.path.relpath(os.path.join(folder, name), root)


def compile_header(path, root, build, compiler):
    command = compiler + ['-std=c17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-fsyntax-only', '-x', 'c', '-',
                          '-I' + root, '-I' + os.path.join(root, 'proxy'), '-I' + build, '-isystem', os.path.join(build, 'api', 'proto')]
    source = f'#include "{path}"\n#include "{path}"\n'
    result = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    return path, result.returncode, result.stderr


def main(root, build, compiler):
    paths = list(headers(root))
    failures = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for path, status, errors in pool.map(lambda p: compile_header(p, root, build, compiler), paths):
            if status != 0:
                print(f'{path}: does not compile alone\n{errors}')
                failures += 1
    print(f'{len(paths)} headers, {failures} failures')
    return 1 if failures or not paths else 0


if __name__ == '__main__':
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
