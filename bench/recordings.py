#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Invalidating ioctls and ns per 1000 commands of each recording, at the
recorded doorbells and with up to 64 doorbells merged.
usage: recordings.py NESTFD SOURCE_ROOT"""
import json
import pathlib
import statistics
import subprocess
import sys

RUNS = 5


def replay(nestfd, recording, batch):
    args = [nestfd, "replay", "--json", "--no-snapshots", f"--batch={batch}",
            str(recording)]
    out = subprocess.run(args, check=True, capture_output=True, text=True)
    return json.loads(out.stdout)["recordings"][0]


def row(nestfd, recording, batch):
    runs = [replay(nestfd, recording, batch) for _ in range(RUNS)]
    commands = runs[0]["commands"]
    ioctls = runs[0]["ioctls"]["invalidate"] * 1000 / commands
    ns = sorted(run["command_ns"] / commands for run in runs)
    print(f"  {recording.name:<28} {batch:>5} {commands:>8} {ioctls:>8.1f}"
          f" {ns[0]:>8.0f} {statistics.median(ns):>8.0f} {ns[-1]:>8.0f}")


def main():
    nestfd, root = sys.argv[1], pathlib.Path(sys.argv[2])
    folders = sorted((root / "traces").glob("smmuv3-s1*"))
    shared = root.resolve().parent / "shared" / "traces"
    if shared.exists():
        folders = sorted(shared.glob("smmuv3-s1*"))
    print(f"\nrecordings through the whole path, {RUNS} runs each")
    print(f"  {'':<28} {'batch':>5} {'commands':>8} {'ioctls':>8}"
          f" {'ns: min':>8} {'median':>8} {'max':>8}")
    print(f"  {'':<28} {'':>5} {'':>8} {'per 1000':>8} {'per command':>8}")
    for folder in folders:
        for batch in (1, 64):
            row(nestfd, folder, batch)


if __name__ == "__main__":
    main()
