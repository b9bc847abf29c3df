#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an architecture costs: lines of code (no blank lines, no comments) of
each floor, of each architecture's own and of what they share, as the table of
ARCHITECTURE.md.

usage: cost.py SOURCE_ROOT [--check]
--check: the table in ARCHITECTURE.md has these rows, each number within a tenth
"""
import pathlib
import re
import sys

ARCHS = ("smmuv3", "vtd")
# floor, its patterns, own files by a part of their name; the rest is shared
FLOORS = [
    ("hwdef", ["src/hwdef/*.h"], {"smmuv3": r"/(smmuv3|armv8)_",
                                  "vtd": r"/vtd_", None: r"/mock"}),
    ("front", ["src/front/**/*.[ch]"], {}),
    ("model", ["src/model/**/*.[ch]", "src/iotlb/*.[ch]", "src/mem/*.[chS]"],
     {}),
    ("pt", ["src/pt/*.[ch]"], {"smmuv3": r"/armv8\.", "vtd": r"/vtd\."}),
    ("drv", ["src/drv/**/*.[ch]", "src/core/*.[ch]"], {}),
    ("viommu", ["src/viommu/**/*.[ch]"], {}),
    ("lib", ["src/lib/*.[ch]"], {}),
    ("tools/replay", ["tools/replay/*.[ch]"],
     {"smmuv3": r"/smmuv3", "vtd": r"/vtd"}),
    ("tools/trace", ["tools/trace/*.[ch]"],
     {"smmuv3": r"/smmuv3", "vtd": r"/vtd"}),
    ("tests/support, bench", ["tests/support/*.[ch]", "bench/*path*.[ch]"],
     {"smmuv3": r"smmuv3\.", "vtd": r"vtd\."}),
]
COMMENTS = re.compile(r'//[^\n]*|/\*.*?\*/|("(?:\\.|[^"\\])*")', re.S)
# the one file that names them all: functions and entries of the table
PARTS = {"src/lib/arch.c": re.compile(
    r"^(?:static [^;{]*?\b(%s)_\w+\(.*?^}|"
    r"\t\{\n\t\t\.arch = NESTFD_ARCH_(%s),.*?^\t\},)\n" %
    ("|".join(ARCHS), "|".join(ARCHS).upper()), re.S | re.M)}


def lines_of(text):
    """Lines that are neither blank nor comment only"""
    text = COMMENTS.sub(lambda m: m.group(1) or "", text)
    return sum(1 for line in text.split("\n") if line.strip())


def owner(path, own):
    """The architecture a file belongs to, "" for all, None for another's"""
    for arch, pattern in own.items():
        if re.search(pattern, path):
            return arch
    folder = path.split("/")[2] if path.count("/") > 2 else ""
    if folder in ARCHS:
        return folder
    return "" if not folder else None


def count(root):
    rows = []
    for floor, patterns, own in FLOORS:
        row = dict.fromkeys(ARCHS + ("",), 0)
        for path in sorted({p for q in patterns for p in root.glob(q)}):
            name = path.relative_to(root).as_posix()
            text = path.read_text()
            if name in PARTS:
                for part in PARTS[name].finditer(text):
                    arch = (part.group(1) or part.group(2)).lower()
                    row[arch] += lines_of(part.group(0))
                text = PARTS[name].sub("", text)
            whose = owner(name, own)
            if whose is not None:
                row[whose] += lines_of(text)
        rows.append((floor, row))
    return rows


def table(rows):
    out = ["| floor | SMMUv3 | VT-d | both use |", "|---|---:|---:|---:|"]
    total = dict.fromkeys(ARCHS + ("",), 0)
    for floor, row in rows + [("all", total)]:
        out.append("| %s | %d | %d | %d |" % (floor, row["smmuv3"], row["vtd"],
                                              row[""]))
        for key in total if row is not total else ():
            total[key] += row[key]
    return out


def close(page, tree):
    return abs(int(page) - int(tree)) <= max(10, int(tree) // 10)


def check(root, want):
    page = (root / "ARCHITECTURE.md").read_text().split("\n")
    if want[0] not in page:
        return ["ARCHITECTURE.md has no table of costs"]
    got = page[page.index(want[0]):][:len(want)]
    bad = []
    for line, wanted in zip(got[2:], want[2:]):
        cells, fresh = line.split("|")[1:-1], wanted.split("|")[1:-1]
        if len(cells) != 4 or cells[0] != fresh[0] or not all(
                c.strip().isdigit() and close(c, f)
                for c, f in zip(cells[1:], fresh[1:])):
            bad.append("%s\n  is by now %s" % (line, wanted))
    return bad + (["rows are missing"] if len(got) < len(want) else [])


def main():
    root = pathlib.Path(sys.argv[1])
    want = table(count(root))
    if "--check" not in sys.argv[2:]:
        print("\n".join(want))
        return 0
    bad = check(root, want)
    for line in bad:
        print(line)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
