#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The programs as they are installed: where, and what each says of itself."""
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(ROOT, os.environ.get("OUTRIGGER_TEST_BIN", "build"))
PROGRAMS = ("outrigger-api", "outrigger-init", "outrigger-proxy")


def say(*words):
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="outrigger-install-")
        cls.addClassCleanup(cls.folder.cleanup)
        subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"], env={**os.environ, "DESTDIR": cls.folder.name},
                       stdout=subprocess.DEVNULL, timeout=300, check=True)
        cls.files = {name: os.path.join(at, name) for at, _, names in os.walk(cls.folder.name) for name in names}

    def test_the_programs_and_nothing_else_are_installed(self):
        self.assertEqual(sorted(self.files), sorted(PROGRAMS))
        for path in self.files.values():
            self.assertEqual(os.path.basename(os.path.dirname(path)), "bin")

    def test_each_tells_its_version(self):
        with open(os.path.join(ROOT, "meson.build"), encoding="utf-8") as f:
            version = re.search(r"version: '([^']+)'", f.read())[1]
        for name in PROGRAMS:
            self.assertEqual(say(self.files[name], "--version").strip(), f"{name} {version}")

    def test_each_explains_all_its_settings(self):
        for name in PROGRAMS:
            with self.subTest(program=name):
                flags = set(re.findall(r"(?m)^ *--([a-z0-9-]+)", say(self.files[name], "--help")))
                printed = set(re.findall(r"(?m)^([a-z0-9-]+)=", say(self.files[name], "--print-config")))
                self.assertGreater(len(printed), 5)
                self.assertEqual(printed, flags - {"help", "version", "print-config"})

    def test_a_wrong_word_is_refused_by_name(self):
        for name in PROGRAMS:
            run = subprocess.run([self.files[name], "--no-such-thing", "1"], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(run.returncode, 2)
            self.assertIn("no-such-thing", run.stderr)


if __name__ == "__main__":
    unittest.main()
