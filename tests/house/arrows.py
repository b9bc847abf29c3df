#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The include arrows of the house (ARCHITECTURE.md), read off the #include
lines. usage: arrows.py SOURCE_ROOT"""
import pathlib
import re
import sys

# room -> rooms it may include; X stands for one architecture (or format),
# the same on both sides.
ALLOWED = {
    "base": {"base"},
    "hwdef": {"hwdef", "base"},
    "mem": {"mem", "base"},
    "iotlb": {"iotlb", "base"},
    "pt": {"pt", "hwdef", "base"},
    # nestfd/ext.h is ABI, as uapi is
    "core": {"core", "base", "mem", "uapi", "nestfd/ext.h"},
    "front": {"front", "mem", "base"},
    "front/X": {"front/X", "front", "hwdef/X", "mem", "base"},
    "drv": {"drv", "core/driver.h", "core/hwport.h", "pt", "base", "uapi",
            "nestfd/ext.h"},
    "drv/X": {"drv/X", "drv", "core/driver.h", "core/hwport.h", "hwdef/X", "pt",
              "base", "uapi", "nestfd/ext.h"},
    "model": {"model", "iotlb", "mem", "base"},
    "model/X": {"model/X", "model", "front/X", "hwdef/X", "mem", "iotlb",
                "base"},
    "viommu/X": {"viommu/X", "viommu", "front/X", "hwdef/X", "base",
                 "include", "uapi"},
    "viommu": {"viommu", "base", "include", "uapi"},
    "device": {"device", "base", "include"},
    "shim": {"shim", "include", "uapi"},
    "tools": {"tools", "include", "uapi", "shim/run.h", "shim/trace.h",
              "shim/seccomp/supervise.h"},
    "examples": {"include", "uapi"},
}
# Public headers stand alone.
ALLOWED["include"] = {"include"}
ALLOWED["uapi"] = set()
# Shared page-table definitions: one file of hwdef serves several architectures.
HWDEF_SHARED = {"armv8_pt.h"}
# The mock driver comes with its own devices and a test command, as the kernel's
# selftest.c is part of iommufd: it binds and attaches through core.
EXTRA = {("drv/X", "mock"): {"core/core.h", "core/foreign.h",
                             "core/private.h"}}
LIB_MAY_NOT = {"tools", "examples"}
VENDORS = re.compile(r"smmu|vtd|amdvi|\brvi_|riscv|intel|\barm_", re.I)
# What it is there for is to tell them apart, in words.
TELLS = {"src/viommu/probe.c"}
# Rooms that serve every architecture name none.
NEUTRAL = {"base", "mem", "iotlb", "core", "front", "drv", "model", "viommu"}


def room_of(parts):
    """('src','front','smmuv3','x.c') -> ('front/X', 'smmuv3')"""
    if parts[0] == "src":
        parts = parts[1:]
    if parts[0] in ("front", "drv", "model", "viommu") and len(parts) > 2:
        return parts[0] + "/X", parts[1]
    return parts[0], None


def include_of(root, text):
    """what an #include "..." names -> (room, architecture, path) or None"""
    parts = pathlib.PurePosixPath(text).parts
    if parts[0] == "nestfd":
        return "include", None, text
    if (root / "uapi" / text).exists():
        return "uapi", None, text
    if (root / "src" / text).exists():
        if parts[0] == "hwdef":
            if parts[1] in HWDEF_SHARED:
                return "hwdef/X", None, text
            return "hwdef/X", re.split(r"[_.]", parts[1])[0], text
        room, arch = room_of(parts)
        return room, arch, text
    return None


def judge(root, path):
    parts = path.relative_to(root).parts
    room, arch = room_of(parts)
    if room not in ALLOWED and room != "lib":
        return [f"{path}: no such room in the table: {room}"]
    wrong = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', line)
        if not found:
            continue
        text = found.group(1)
        if not (root / "src" / text).exists() and (path.parent / text).exists():
            continue  # a neighbour in the same folder
        target = include_of(root, text)
        if target is None:
            continue
        to, to_arch, _ = target
        where = f"{path.relative_to(root)}:{number}: {room} -> {text}"
        if room == "lib":
            if to in LIB_MAY_NOT:
                wrong.append(where)
            continue
        allowed = ALLOWED[room] | EXTRA.get((room, arch), set())
        plain = {"hwdef/X": "hwdef"}.get(to, to)
        if to not in allowed and plain not in allowed and text not in allowed:
            wrong.append(where)
        elif arch and to_arch and arch != to_arch:
            wrong.append(where + " (another architecture)")
    return wrong


def neutral(root, path):
    room, _ = room_of(path.relative_to(root).parts)
    if room not in NEUTRAL or str(path.relative_to(root)) in TELLS:
        return []
    return [f"{path.relative_to(root)}:{n}: names an architecture: {line.strip()}"
            for n, line in enumerate(path.read_text().splitlines(), 1)
            if VENDORS.search(line) and "linux/iommufd.h" not in line]


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    wrong, files = [], 0
    for top in ("src", "include", "tools", "examples", "uapi"):
        for path in sorted((root / top).rglob("*.[ch]")):
            files += 1
            wrong += judge(root, path) + neutral(root, path)
    for line in wrong:
        print(line)
    print(f"{files} files, {len(wrong)} wrong arrows")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
