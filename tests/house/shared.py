#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What both architectures run through, read off the objects' symbols.

The list in ARCHITECTURE.md ("Both run through") is exactly the files of shared
rooms of which objects of SMMUv3 and objects of VT-d use something; and nothing
of one architecture is used by another's objects or by those of shared rooms.
Who calls an architecture is in no symbol of the caller: there it is the table
that tells, for the way of an invalidation (TABLED).

usage: shared.py SOURCE_ROOT BUILD_ROOT [--print]
"""
import collections
import pathlib
import re
import subprocess
import sys

ROOMS = ("base", "mem", "iotlb", "pt", "core", "front", "drv", "model",
         "viommu", "device")
ARCHS = ("smmuv3", "vtd")
OTHERS = ("mock",)
# formats of page tables belong to who uses them
FORMATS = {("pt", "armv8.c"): "smmuv3", ("pt", "vtd.c"): "vtd"}
# A file of core that calls architectures through their tables, and what only a
# function that it calls there uses: each architecture must have a function in a
# table, and that function's object must use this. Listed with the file is who
# goes through it.
TABLED = {"core/invalidate.c": "core_inval_copy"}
ENTRY = re.compile(r"`((?:%s)/\w+\.[cS])`" % "|".join(ROOMS))
SECTION = "## Both run through\n"


def archive_of(build, room):
    found = [p for p in (build / "src" / room).glob("lib*.a")]
    if len(found) != 1:
        raise SystemExit("no library of %s below %s" % (room, build))
    return found[0]


def members(build, room):
    """(member, defined, undefined) of each object of a room's library"""
    text = subprocess.run(["nm", "-g", str(archive_of(build, room))],
                          check=True, capture_output=True, text=True).stdout
    name, defined, wanted = None, set(), set()
    for line in text.split("\n") + ["end.o:"]:
        if line.endswith(".o:"):
            if name:
                yield name, defined, wanted
            name = pathlib.PurePath(line[:-1]).name[:-len(".o")]
            defined, wanted = set(), set()
            continue
        words = line.split()
        if len(words) >= 2:
            (wanted if words[-2] in "Uw" else defined).add(words[-1])


def tabled(build, room):
    """member -> symbols whose addresses are in its data"""
    text = subprocess.run(["readelf", "-rW", str(archive_of(build, room))],
                          check=True, capture_output=True, text=True).stdout
    found, name, data = collections.defaultdict(set), None, False
    for line in text.split("\n"):
        words = line.split()
        if line.startswith("File: "):
            name = pathlib.PurePath(line.rstrip(")]").replace("(", "/")
                                    .replace("[", "/")).name[:-len(".o")]
        elif line.startswith("Relocation section"):
            data = re.match(r"'\.rela?\.(data|rodata)", words[2])
        elif data and len(words) >= 5 and re.match(r"[0-9a-f]+$", words[0]):
            found[name].add(words[4])
    return found


def file_of(room, member):
    """('vtd', 'drv/vtd/queue.c') of drv's member vtd_queue.c; '' for shared"""
    if room == "mem" and member.startswith("guard_"):
        member = "guard.c"  # its copies, one file for each kind of CPU
    if (room, member) in FORMATS:
        return FORMATS[room, member], "%s/%s" % (room, member)
    for arch in ARCHS + OTHERS:
        if member.startswith(arch + "_"):
            return arch, "%s/%s/%s" % (room, arch, member[len(arch) + 1:])
    return "", "%s/%s" % (room, member)


def read(build):
    objects = []
    for room in ROOMS:
        for member, defined, wanted in members(build, room):
            objects.append((*file_of(room, member), defined, wanted))
    return objects


def through_tables(objects, tables):
    """files of TABLED that each architecture is called by, with who uses them:
    file -> architectures"""
    in_tables = collections.defaultdict(set)
    for member, symbols in tables.items():
        in_tables[file_of("drv", member)[0]] |= symbols
    users = {}
    for file, mark in TABLED.items():
        archs = {arch for arch, _, defined, wanted in objects
                 if mark in wanted and defined & in_tables[arch]}
        names = set().union(*(d for _, p, d, _ in objects if p == file))
        users.update((p, archs) for arch, p, _, wanted in objects
                     if not arch and (p == file or wanted & names))
    return users


def judge(objects):
    """(shared file -> architectures that use it, what is not allowed)"""
    home = {sym: (arch, path) for arch, path, defined, _ in objects
            for sym in defined}
    users, bad = collections.defaultdict(set), []
    for arch, path, _, wanted in objects:
        for sym in sorted(wanted & home.keys()):
            whose, where = home[sym]
            if not whose:
                users[where].add(arch)
            elif whose != arch:
                bad.append("%s uses %s of %s" % (path, sym, where))
    return users, bad


def listed(root):
    text = (root / "ARCHITECTURE.md").read_text()
    if SECTION not in text:
        raise SystemExit("ARCHITECTURE.md has no section of shared objects")
    section = text.split(SECTION)[1].split("\n## ")[0]
    return set(ENTRY.findall(section))


def main():
    root, build = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    objects = read(build)
    if not any(arch == a for a in ARCHS for arch, *_ in objects):
        print("skipped: objects that nm cannot read (link-time optimisation)")
        return 77
    users, bad = judge(objects)
    for path, archs in through_tables(objects, tabled(build, "drv")).items():
        users[path] |= archs
    both = {path for path, archs in users.items() if archs >= set(ARCHS)}
    if "--print" in sys.argv[3:]:
        print("\n".join(sorted(both)))
        return 0
    page = listed(root)
    bad += ["%s is listed, but %s does not use it" % (
        p, " nor ".join(sorted(set(ARCHS) - users[p])))
        for p in sorted(page - both)]
    bad += ["%s is not listed" % p for p in sorted(both - page)]
    for line in bad:
        print(line)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
