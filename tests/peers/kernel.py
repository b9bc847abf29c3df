#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs Linux's iommufd selftests on nestfd's mock IOMMU and holds the result
against the kernel's own. ./dev test-peers kernel calls this.

  kernel.py --nestfd BUILD/tools/nestfd [--via preload|seccomp]... [--verbose]
  kernel.py --mutants              builds trees with one rule of core broken
                                   each: selftests must notice"""
import argparse
import collections
import contextlib
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ("iommufd", "iommufd_fail_nth")
CASES = {"iommufd": 246, "iommufd_fail_nth": 8}
# What Linux 7.2 itself skips; all other cases pass there.
LINUX_SKIPS = {"iommufd_viommu.no_viommu." + test for test in (
    "viommu_alloc_nested_iopf", "viommu_alloc_with_data", "vdevice_cache",
    "hw_queue", "vdevice_tombstone")}
HUGE_PAGES = 160  # of 2 MiB: the largest case has 128 MiB, and one more page
SECONDS = 900

RESULT = re.compile(r"^(ok|not ok) \d+ (\S+)(.*)$", re.M)


@contextlib.contextmanager
def huge_pages():
    """Some cases map huge pages: reserve some if we may, give them back."""
    path = pathlib.Path("/proc/sys/vm/nr_hugepages")
    try:
        before = int(path.read_text())
        if before < HUGE_PAGES:
            path.write_text(str(HUGE_PAGES))
        if int(path.read_text()) < HUGE_PAGES:
            raise OSError("memory is too fragmented")
    except OSError as error:
        print(f"no {HUGE_PAGES} huge pages ({error}): run as root, or set "
              "vm.nr_hugepages; cases that map them will fail")
        before = None
    try:
        yield
    finally:
        if before is not None and before < HUGE_PAGES:
            path.write_text(str(before))


def run(prefix, program, only=()):
    """{case: "pass" | "fail" | "skip"}, and what the program printed"""
    command = [*prefix, str(program), *only]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=SECONDS,
                              text=True, errors="replace")
        text = done.stdout
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode(errors="replace")
        text += f"\n# not finished after {SECONDS} s\n"
    results = {}
    for word, name, rest in RESULT.findall(text):
        if "# SKIP" in rest:
            results[name] = "skip"
        else:
            results[name] = "pass" if word == "ok" else "fail"
    return results, text


def excuses():
    """Names (patterns) of the argued list in docs/abi.md"""
    text = (TOP / "docs" / "abi.md").read_text()
    part = re.split(r"^## Selftests that cannot pass$", text, flags=re.M)
    if len(part) < 2:
        return []
    rows = re.split(r"^## ", part[1], flags=re.M)[0]
    return re.findall(r"^\| `([^`]+)` \|", rows, re.M)


def linux(name):
    return "skip" if name in LINUX_SKIPS else "pass"


def table(results):
    rows = collections.OrderedDict()
    for name, result in results.items():
        row = rows.setdefault(name.split(".")[0], collections.Counter())
        row[result] += 1
        row["linux " + linux(name)] += 1
    print(f"{'fixture':<26}{'cases':>6}{'pass':>7}{'fail':>6}{'skip':>6}"
          f"   {'Linux: pass':>11}{'skip':>6}")
    total = collections.Counter()
    for fixture, row in [*rows.items(), ("all", total)]:
        if row is not total:
            total.update(row)
        cases = row["pass"] + row["fail"] + row["skip"]
        print(f"{fixture:<26}{cases:>6}{row['pass']:>7}{row['fail']:>6}"
              f"{row['skip']:>6}   {row['linux pass']:>11}"
              f"{row['linux skip']:>6}")


def why(text, name):
    """What the harness said of a case that failed, its first line"""
    part = text.split(f"#  RUN           {name} ...\n", 1)
    said = part[1].split("\n#  RUN ", 1)[0] if len(part) > 1 else ""
    for line in said.splitlines():
        if re.match(r"# \S+:\d+:", line) or "terminated" in line:
            return line[2:]
    return "no message"


def judge(program, results, text, excused):
    """Number of cases that are worse than on Linux and not excused"""
    bad = 0
    for name, result in results.items():
        if result == linux(name) or result == "pass":
            continue
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in excused):
            print(f"  {result}, as docs/abi.md says: {name}")
            continue
        bad += 1
        print(f"  {result.upper()}: {name}: {why(text, name)}")
    if len(results) != CASES[program]:
        print(f"  {program}: {len(results)} results for {CASES[program]} cases")
        bad += 1
    return bad


def compare(args, binaries):
    bad = 0
    excused = excuses()
    for via in args.via or ["preload", "seccomp"]:
        prefix = [args.nestfd, "run", "--iommu", "mock", "--via", via, "--"]
        print(f"\nLinux 7.2's selftests, nestfd run --iommu mock --via {via}")
        both, notes = {}, []
        for program in PROGRAMS:
            results, text = run(prefix, binaries / program)
            both.update(results)
            notes.append((program, results, text))
        table(both)
        for program, results, text in notes:
            bad += judge(program, results, text, excused)
            if args.verbose or not results:
                print(text[-20000:])
    print("\nWhat the n-th failing allocation is answered with")
    table_of = TOP / "tests" / "mock" / "fail_nth_table.py"
    sys.stdout.flush()
    bad += subprocess.run([sys.executable, str(table_of), args.nestfd,
                           str(binaries / "iommufd_fail_nth")]).returncode
    print(f"\n{bad} cases worse than on Linux and not in docs/abi.md's list")
    return 1 if bad else 0


def build(tree, out):
    subprocess.run(["meson", "setup", "-Dtests=disabled", str(out), str(tree)],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", str(out)], check=True,
                   stdout=subprocess.DEVNULL)
    return out / "tools" / "nestfd"


def copy_tree(to):
    files = subprocess.run(["git", "-C", str(TOP), "ls-files", "-z"],
                           check=True, stdout=subprocess.PIPE).stdout
    for name in files.decode().split("\0"):
        source = TOP / name
        if name and source.is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to / name)


def mutants(args, binaries):
    """Break one rule at a time; the same selftests must now fail."""
    from mutants import MUTANTS
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="nestfd-mutants-") as name:
        tree, out = pathlib.Path(name) / "tree", pathlib.Path(name) / "build"
        copy_tree(tree)
        nestfd = build(tree, out)
        prefix = [str(nestfd), "run", "--iommu", "mock", "--via", "preload",
                  "--"]
        sound, _ = run(prefix, binaries / "iommufd")
        for mutant in MUTANTS:
            path = tree / mutant.path
            text = path.read_text()
            if text.count(mutant.old) != 1:
                print(f"  {mutant.name}: {mutant.path} has changed, the "
                      "mutant must follow")
                survivors += 1
                continue
            path.write_text(text.replace(mutant.old, mutant.new))
            try:
                build_again(out)
                broken, _ = run(prefix, binaries / "iommufd")
            finally:
                path.write_text(text)
            caught = sorted(case for case in sound
                            if sound[case] == "pass" and
                            broken.get(case) != "pass")
            print(f"  {mutant.name}: " + (
                f"noticed by {len(caught)} cases, {caught[0]} ..." if caught
                else "NOT NOTICED"))
            survivors += not caught
    print(f"{len(MUTANTS)} mutants, {survivors} not noticed")
    return 1 if survivors else 0


def build_again(out):
    subprocess.run(["ninja", "-C", str(out)], check=True,
                   stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nestfd")
    parser.add_argument("--via", action="append",
                        choices=["preload", "seccomp"])
    parser.add_argument("--mutants", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    script = TOP / "tests" / "peers" / "kernel-selftests.sh"
    folder = subprocess.run([str(script)], check=True, text=True,
                            stdout=subprocess.PIPE).stdout.strip()
    os.chdir(tempfile.gettempdir())
    with huge_pages():
        if args.mutants:
            return mutants(args, pathlib.Path(folder))
        if not args.nestfd:
            parser.error("--nestfd is needed")
        args.nestfd = str(TOP / args.nestfd)
        return compare(args, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
