#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one file of tests and writes what came of it: run_unittest.py FILE RESULT.json [-k PATTERN]...

RESULT is {"passed": n, "failed": [names], "skipped": [[name, reason], ...]}.
"""
import faulthandler
import importlib.util
import json
import os
import sys
import unittest

STACKS_AFTER = 300  # seconds: a test that takes longer shows where it stands, and the runner ends it soon after


class Result(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1

    def startTest(self, test):
        super().startTest(test)
        faulthandler.dump_traceback_later(STACKS_AFTER, exit=True)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)

    def getDescription(self, test):
        return str(test).split(" ")[0]


def load(path):
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def short(test):
    return str(test).split(" ")[0]


def main():
    path, result_path, *rest = sys.argv[1:]
    loader = unittest.TestLoader()
    patterns = [rest[i + 1] for i, word in enumerate(rest) if word == "-k"]
    if patterns:
        loader.testNamePatterns = [p if "*" in p else f"*{p}*" for p in patterns]
    suite = loader.loadTestsFromModule(load(path))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(suite)
    bad = [short(t) for t, _ in result.failures + result.errors] + [short(t) for t in result.unexpectedSuccesses]
    with open(result_path, "w", encoding="utf-8") as f:
        json.dump({"passed": result.passed, "failed": bad, "skipped": [[short(t), why] for t, why in result.skipped]}, f)
    sys.exit(1 if bad else 0)


main()
