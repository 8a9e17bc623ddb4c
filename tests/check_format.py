#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every C file is as clang-format 14 writes it (.clang-format). Another version writes some of them otherwise: skipped then (status 77).

    check_format.py ROOT
"""
import os
import re
import shutil
import subprocess
import sys

VERSION = "14"
FOLDERS = ("proxy", "api", "injector", "tests")


def find_tool():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        path = shutil.which(name)
        if path:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
            if re.search(rf"version {VERSION}\.", said):
                return path
    print(f"clang-format {VERSION} is not here")
    sys.exit(77)


def c_files(root):
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(root, folder)):
            yield from (os.path.join(where, name) for name in names if name.endswith((".c", ".h")))


def main():
    tool = find_tool()
    files = sorted(c_files(sys.argv[1]))
    done = subprocess.run([tool, "--dry-run", "-Werror", *files], capture_output=True, text=True, check=False)
    print("\n".join(line for line in done.stderr.splitlines() if ": error: " in line))
    print(f"{len(files)} files")
    sys.exit(1 if done.returncode != 0 else 0)


main()
