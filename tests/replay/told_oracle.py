# SPDX-License-Identifier: MIT
"""Which altered invalidations of a guest in caching mode must be noticed?

What vtd_oracle.py is for an IOMMU's cache, for a shadow: a VMM that follows a
guest's second stage knows of a page what its tables said at the last
invalidation that named it (VT-d specification 6.1), or when the table was first
attached (a context entry). The recording is one that alter.py has made ("told"),
in which the words stand in front of what tells of them. With the last telling
before a use gone, the shadow says what the page was at the one before that: if
nothing, or something else, the use must be noticed.

There is no must_flag on hardware: Linux invalidates a page when it is unmapped
and again when it is mapped, and between two uses that differ there are both.
The cache forgets it with either."""
import json
import lzma
import os
import struct

import vtd_oracle
from vtd_oracle import IOTLB, Selection, bits, read_mutations  # noqa: F401

PAGE = 4096


def removes_tables(*_):
    return False


class Oracle:
    def __init__(self, path, mutations):
        self.path = path
        with open(os.path.join(path, "meta.json"), encoding="utf-8") as f:
            self.words = struct.Struct("<%dQ" % (
                json.load(f)["entry_bytes"] // 8))
        self.commands = lzma.open(os.path.join(path, "commands.bin.xz")).read()
        self.by_index = {}
        for m in mutations:
            self.by_index.setdefault(m["index"], []).append(m)
        self.tellings = {}  # domain -> {page: (last, the one before)}
        self.whole = {}     # domain -> the same of all its pages
        self.said = {}      # (domain, page) -> [(telling, address, permission)]
        self.detail, self.at_fault = {}, set()
        self.consumed = 0

    def last(self, domain, page):
        whole = self.whole.get(domain, (-1, -1))
        return self.tellings.get(domain, {}).get(page, whole)

    def tell_all(self, domain, index):
        pages = self.tellings.get(domain, {})
        for page, (last, _) in pages.items():
            pages[page] = index, last
        self.whole[domain] = index, self.whole.get(domain, (-1, -1))[0]

    def on_command(self, index):
        self.consumed = index + 1
        sel = Selection(*self.words.unpack_from(self.commands,
                                                index * self.words.size))
        if sel.type != IOTLB:
            return
        if sel.gran == 3:
            pages = self.tellings.setdefault(sel.domain, {})
            for page in range(sel.first // PAGE, sel.last // PAGE + 1):
                pages[page] = index, self.last(sel.domain, page)[0]
        else:
            for domain in [sel.domain] if sel.gran == 2 else list(self.whole):
                self.tell_all(domain, index)

    def at(self, domain, page, index):
        """What the tables said of a page at a telling"""
        found = None
        for telling, *value in self.said.get((domain, page), ()):
            if telling <= index:
                found = value
        return found

    def on_translate(self, line, stream, iova, pa, mask, leaf, domain):
        page = iova // PAGE
        value = [pa + (iova & mask & -PAGE), leaf & 3]
        last, before = self.last(domain, page)
        shadow = self.at(domain, page, before)
        for m in self.by_index.get(last, ()):
            sel = m["selection"]
            told = (sel and sel.has_tag(domain, (vtd_oracle.SECOND, 0))
                    and sel.first <= iova <= sel.last)
            if told or shadow == value:
                continue
            if mask != PAGE - 1:  # other pages of its leaf have told as well
                self.at_fault.add(m["index"])
                continue
            self.detail.setdefault(id(m), {
                "index": m["index"], "kind": m["kind"], "line": line,
                "stream": stream, "iova": "%x" % iova})
        said = self.said.setdefault((domain, page), [])
        if not said or said[-1][1:] != tuple(value):
            said.append((last, *value))

    def run(self):
        log = lzma.open(os.path.join(self.path, "log.txt.xz"), "rt",
                        encoding="ascii")
        for number, text in enumerate(log, 1):
            f = text.split()
            if f[0] == "T" and len(f) == 8:
                self.on_translate(number, int(f[1], 16), int(f[2], 16),
                                  int(f[3], 16), int(f[4], 16), int(f[6], 16),
                                  int(f[7], 16))
            elif f[0] == "C":
                self.on_command(int(f[1]))
            elif f[0] == "R" and len(f) == 4 and int(f[3], 16):
                # a context entry: its domain is 87:72
                self.tell_all(bits(int(f[3], 16), 23, 8), self.consumed - .5)
