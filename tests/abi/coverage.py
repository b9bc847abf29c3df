#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Is every recorded row a test?

The names of the test programs' cases begin with the ids of the rows they
cover. Each row of the recording must be covered or stand in
not_in_process.txt, and neither may name a row that does not exist.

usage: coverage.py RECORDING NOT_IN_PROCESS PROGRAM...

Runs the programs, so that a case counts only if it was run and passed. Exits
77 (skipped) without the recording.
"""
import re
import subprocess
import sys

ROW = re.compile(r"^([A-Z]\d+) \|")
PASSED = re.compile(r"^\[\s+OK\s+\] (\S+)", re.M)


def ids_of(name):
    """The row ids a case's name begins with."""
    ids = []
    for word in name.split("_"):
        if not re.fullmatch(r"[A-M]\d+", word):
            break
        ids.append(word)
    return ids


def covered_by(programs):
    covered = set()
    for program in programs:
        run = subprocess.run([program], stdout=subprocess.PIPE, text=True,
                             stderr=subprocess.STDOUT, check=False)
        names = PASSED.findall(run.stdout)
        if not names:
            sys.exit(f"{program}: no case passed")
        for name in names:
            ids = ids_of(name)
            if not ids:
                print(f"{program}: {name} names no row")
            covered.update(ids)
    return covered


def rows_of(path):
    with open(path, encoding="utf-8") as f:
        return [m.group(1) for m in map(ROW.match, f) if m]


def complain(what, ids):
    if ids:
        print(f"{what}: {' '.join(sorted(ids))}")
    return bool(ids)


def main():
    recording, exceptions, *programs = sys.argv[1:]
    try:
        rows = set(rows_of(recording))
    except FileNotFoundError:
        print("no recording here: nothing to compare with")
        return 77
    excused = set(rows_of(exceptions))
    covered = covered_by(programs)
    bad = complain("rows without a test", rows - covered - excused)
    bad |= complain("cases for rows that do not exist", covered - rows)
    bad |= complain("exceptions for rows that do not exist", excused - rows)
    bad |= complain("exceptions for rows that are tested", excused & covered)
    print(f"{len(rows)} rows, {len(rows & covered)} tested, "
          f"{len(rows & excused)} excused")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
