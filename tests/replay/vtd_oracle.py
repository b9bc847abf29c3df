#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which altered invalidations of a VT-d recording must be noticed?

What mutation_oracle.py is for SMMUv3, with the same input and output. The log
of a VT-d recording says with each translation which leaf it came from, and in
which domain, so that no tables have to be walked here.

The cache. Every T line inserts its leaf, unless an entry for that page is there
already. An entry is tagged with the domain id; it has the base, size, address
and permission of its leaf. First-stage entries have a PASID as well: 0 of
requests without one, which is where the recorded guests have RID_PASID. Commands
remove (VT-d specification 6.5.2.3, 6.5.2.4):
  IOTLB                   second-stage entries: all (G=1), of a domain (G=2), or
                          of a domain that overlap 2^AM pages (G=3)
  PASID-based IOTLB       first-stage entries of a domain and PASID, likewise
                          (G=2, G=3)
IH tells of walk caches only, which are not modelled. A recording has entries of
one stage only. T lines marked `h` are not judged, nor those without a leaf.
"""
import json
import lzma
import os
import struct

from mutation_oracle import Shelf, bits

IOTLB, PIOTLB = 0x2, 0x6
FIRST, SECOND = "first", "second"


class Entry:
    """A cached leaf."""
    __slots__ = ("vmid", "asid", "base", "size", "pa", "perm")

    def __init__(self, domain, space, base, size, pa, perm):
        self.vmid, self.asid = domain, space
        self.base, self.size, self.pa, self.perm = base, size, pa, perm


class Selection:
    """What one descriptor names."""

    def __init__(self, w0, w1, *_):
        self.type = bits(w0, 3, 0) | bits(w0, 11, 9) << 4
        self.gran = bits(w0, 5, 4)
        self.domain = bits(w0, 31, 16)
        self.pasid = bits(w0, 51, 32)
        self.first, self.last = 0, (1 << 64) - 1
        if self.gran == 3:
            size = 0x1000 << bits(w1, 5, 0)
            self.first = (w1 & ~0xFFF) & -size
            self.last = self.first + size - 1

    def has_tag(self, domain, space):
        stage, pasid = space
        if self.type == IOTLB:
            return stage == SECOND and (self.gran == 1
                                        or domain == self.domain)
        return (self.type == PIOTLB and stage == FIRST
                and domain == self.domain and self.pasid == pasid)

    def removes(self, e):
        return (self.has_tag(e.vmid, e.asid)
                and e.base <= self.last and self.first < e.base + e.size)


class Oracle:
    def __init__(self, path, mutations):
        self.path = path
        with open(os.path.join(path, "meta.json")) as f:
            meta = json.load(f)
        if meta["iommu"] != "Intel VT-d":
            raise SystemExit("vtd_oracle: only VT-d recordings")
        self.words = struct.Struct("<%dQ" % (meta["entry_bytes"] // 8))
        self.commands = lzma.open(os.path.join(path, "commands.bin.xz")).read()
        self.stage = SECOND
        self.by_index = {}
        for m in mutations:
            self.by_index.setdefault(m["index"], []).append(m)
        self.domains = {}  # (stream, PASID) -> domain of its last translation
        self.cache = Shelf()
        self.survivors = Shelf()
        self.detail = {}   # id of mutation -> first stale use
        self.at_fault = set()

    def on_command(self, index):
        sel = Selection(*self.words.unpack_from(self.commands,
                                                index * self.words.size))
        if sel.type not in (IOTLB, PIOTLB):
            return
        self.survivors.take(sel)
        removed = self.cache.take(sel)
        for m in self.by_index.get(index, ()):
            for entry, _ in removed:
                if m["selection"] and m["selection"].removes(entry):
                    continue
                self.survivors.add(entry, m)

    def space(self, pasid):
        return self.stage, pasid if self.stage == FIRST else 0

    def on_translate(self, line, source, iova, pa, mask, walked, leaf, domain):
        self.domains[source] = domain
        space = self.space(source[1])
        base, perm = iova & ~mask, leaf & 3
        if walked:
            for entry, m in self.survivors.lookup(domain, space, iova):
                cached = entry.pa + iova - entry.base
                if (cached, entry.perm) != (pa + (iova & mask), perm):
                    self.detail.setdefault(id(m), {
                        "index": m["index"], "kind": m["kind"], "line": line,
                        "stream": source[0], "iova": "%x" % iova})
        for _ in self.cache.lookup(domain, space, iova):
            return
        self.cache.add(Entry(domain, space, base, mask + 1, pa, perm), None)

    def on_fault(self, source, addr):
        if source in self.domains:
            for _, m in self.survivors.lookup(self.domains[source],
                                              self.space(source[1]),
                                              addr & ~0xFFF):
                self.at_fault.add(m["index"])

    def run(self):
        log = lzma.open(os.path.join(self.path, "log.txt.xz"), "rt",
                        encoding="ascii")
        for number, text in enumerate(log, 1):
            f = text.split()
            pasid = 0
            if f[-1].startswith("pasid="):
                pasid = int(f.pop()[6:], 16)
            if f[0] == "T" and len(f) == 8:
                self.on_translate(number, (int(f[1], 16), pasid),
                                  int(f[2], 16), int(f[3], 16), int(f[4], 16),
                                  f[5] == "w", int(f[6], 16), int(f[7], 16))
            elif f[0] == "C":
                self.on_command(int(f[1]))
            elif f[0] == "F":
                self.on_fault((int(f[1], 16), pasid), int(f[3], 16))
            elif f[0] == "R" and len(f) == 10 and bits(int(f[2], 16), 8, 6) == 1:
                self.stage = FIRST  # a PASID entry with PGTT 1


def read_mutations(path, count):
    """Each gets its Selection; None for a dropped command."""
    with open(path) as f:
        mutations = json.load(f)["mutations"]
    for m in mutations:
        if not 0 <= m["index"] < count:
            raise SystemExit("vtd_oracle: there is no command %d" % m["index"])
        m["selection"] = None
        if m["kind"] != "drop":
            m["selection"] = Selection(*(int(w, 16) for w in m["words"]))
    return mutations


def removes_tables(word0, word1, *_):
    """Paging-structure caches go as well: no page named, or IH=0"""
    return word0 >> 4 & 3 != 3 or not word1 >> 6 & 1

