#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Linux's own iommufd_fail_nth, injection point by injection point.

  fail_nth_table.py BUILD/tools/nestfd PROGRAM

runs each of its tests under `nestfd run --trace` and prints which call met the
n-th failure and with what errno. The program itself says pass or fail only. It
opens /dev/iommu anew for each point, and once more to look for what is left
pinned; the first call to fail is the one that met the failure. The first and
the last round have none. Fails if the program does, or an errno is not ENOMEM.
"""
import itertools
import re
import subprocess
import sys
import tempfile

CALL = re.compile(r"(?:ioctl\(\d+, (\w+)|(open|read|write|close|mmap)\().*"
                  r"= -1 (E\w+)")
NAMES = {"0x3ba0": "IOMMU_TEST_CMD"}


def tests_of(nestfd, program):
    text = subprocess.run([nestfd, "run", "--iommu", "mock", "--", program,
                           "-l"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True).stdout
    rows = text.split("---\n", 1)[-1].splitlines()
    return [row.split()[-1] for row in rows if row.strip()]


def points_of(nestfd, program, test):
    """[(call, errno)], the n-th for the n-th point; did it pass?"""
    with tempfile.NamedTemporaryFile("r") as trace:
        run = subprocess.run([nestfd, "run", "--iommu", "mock", "--trace",
                              trace.name, "--", program, "-t", test],
                             capture_output=True, text=True)
        rounds = trace.read().split('open("/dev/iommu"')[1::2][1:-1]
    points = []
    for text in rounds:
        call = CALL.search(text)
        if call:
            name = call[1] or call[2]
            points.append((NAMES.get(name, name), call[3]))
    return points, run.returncode == 0 and len(points) == len(rounds)


def main(nestfd, program):
    wrong = 0
    for test in tests_of(nestfd, program):
        points, passed = points_of(nestfd, program, test)
        wrong += not passed or not points
        print(f"{test}: {len(points)} injection points"
              + ("" if passed else ", FAILED"))
        n = 1
        for (call, errno), same in itertools.groupby(points):
            count = len(list(same))
            wrong += errno != "ENOMEM"
            print(f"  {n:3}-{n + count - 1:<3} {call:<24} -> {errno}")
            n += count
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
