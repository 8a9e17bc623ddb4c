#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps the counts of a run in a folder: what each stage came to, and the sum.

    count.py meson FOLDER STAGE BUILD_DIR       reads BUILD_DIR/meson-logs/testlog.json (Check's own counts where it prints them)
    count.py unittest FOLDER STAGE RESULT.json  reads what run_unittest.py wrote; no such file is one failure
    count.py one FOLDER STAGE STATUS            one check: passed if STATUS is 0
    count.py skip FOLDER STAGE REASON
    count.py sum FOLDER                         prints failures and skips by name, the plain line last; status 1 if anything failed
"""
import json
import os
import re
import sys

CHECK_LINE = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.M)
CHECK_FAILURE = re.compile(r"^\S+?:\d+:[FE]:[^:]*:(\w+):", re.M)


def add(folder, stage, passed=0, failed=(), skipped=()):
    with open(os.path.join(folder, "counts"), "a", encoding="utf-8") as f:
        f.write(json.dumps({"stage": stage, "passed": passed, "failed": list(failed), "skipped": list(skipped)}) + "\n")
    note = f", {len(skipped)} skipped" if skipped else ""
    print(f"== {stage}: {passed} passed, {len(failed)} failed{note}", flush=True)


def of_meson_test(test):
    """(passed, names of failed, names of skipped) of one entry of meson's log."""
    name = test["name"]
    text = test.get("stdout", "") or ""
    found = CHECK_LINE.findall(text)
    checks = sum(int(n) for n, _, _ in found)
    bad = sum(int(f) + int(e) for _, f, e in found)
    if test["result"] == "SKIP":
        return 0, [], [[name, "skipped by the test itself"]]
    if test["result"] != "OK":
        names = CHECK_FAILURE.findall(text)
        failed = [f"{name}: {n}" for n in names] or [f"{name} ({test['result']})"]
        failed += [f"{name}: more"] * max(0, bad - len(failed))
        return checks - bad, failed, []
    return (checks if found else 1), [], []


def count_meson(folder, stage, build):
    passed, failed, skipped = 0, [], []
    path = os.path.join(build, "meson-logs", "testlog.json")
    if not os.path.exists(path):
        return add(folder, stage, 0, ["meson test wrote no log"])
    with open(path, encoding="utf-8") as f:
        for line in f:
            p, bad, away = of_meson_test(json.loads(line))
            passed += p
            failed += bad
            skipped += away
    return add(folder, stage, passed, failed, skipped)


def count_unittest(folder, stage, path):
    try:
        with open(path, encoding="utf-8") as f:
            result = json.load(f)
    except (OSError, ValueError):
        return add(folder, stage, 0, ["it did not come to its end"])
    return add(folder, stage, result["passed"], result["failed"], result["skipped"])


def show_sum(folder):
    passed, failed, skipped = 0, [], []
    with open(os.path.join(folder, "counts"), encoding="utf-8") as f:
        for line in f:
            row = json.loads(line)
            passed += row["passed"]
            failed += [f"{row['stage']}: {name}" for name in row["failed"]]
            skipped += [f"{row['stage']}: {name}: {why}" for name, why in row["skipped"]]
    print()
    for name in skipped:
        print(f"skipped  {name}")
    for name in failed:
        print(f"FAILED   {name}")
    print(f"{passed} passed, {len(failed)} failed" + (f", {len(skipped)} skipped" if skipped else ""), flush=True)
    return 1 if failed or passed == 0 else 0


def main():
    what, folder, *rest = sys.argv[1:]
    if what == "sum":
        sys.exit(show_sum(folder))
    stage = rest[0]
    if what == "meson":
        count_meson(folder, stage, rest[1])
    elif what == "unittest":
        count_unittest(folder, stage, rest[1])
    elif what == "one":
        status = int(rest[1])
        why = "takes too long" if status == 124 else f"status {status}"
        add(folder, stage, int(status == 0), [] if status == 0 else [why])
    elif what == "skip":
        add(folder, stage, skipped=[[rest[1].split(" ")[0], rest[1]]])


main()
