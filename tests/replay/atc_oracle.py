# SPDX-License-Identifier: MIT
"""Which altered invalidations of devices' own caches must be noticed?

What mutation_oracle.py and vtd_oracle.py are for an IOMMU's cache. A device that
may use ATS (SMMUv3: STE.EATS when it was fetched, IHI 0070 5.2; VT-d: the guest
invalidates its device TLB at all) caches the leaf of each T line, unless it has
an entry for that page. Commands remove entries of their device that overlap
  SMMUv3, CMD_ATC_INV (4.5.1)     2^Size pages of 4 KiB, of that alignment
  VT-d, device TLB (6.5.2.5)      a page; with S the lowest zero of the address,
  with PASID (6.5.2.6)            from bit 12 on, is the highest that is ignored
A survivor is noticed at a walked T line if it leads elsewhere, or lets more
through; it is used only for what it lets through. Faults do not go by it."""
import lzma
import os
import struct

import mutation_oracle
import vtd_oracle
from mutation_oracle import bits

ALL = (1 << 64) - 1
# the stream is in the place of the VMID, the PASID in that of the ASID
NO_PASID = None


class Smmuv3Selection:
    def __init__(self, w0, w1):
        self.is_atc = bits(w0, 7, 0) == 0x40
        self.stream, self.pasid = bits(w0, 63, 32), NO_PASID
        self.first, self.last = 0, ALL
        size = bits(w1, 5, 0)
        if size < 52:
            self.first = w1 >> 12 + size << 12 + size
            self.last = self.first + (1 << 12 + size) - 1

    def has_tag(self, stream, pasid):
        return (self.is_atc and stream == self.stream
                and pasid == self.pasid)

    def removes(self, e):
        return (self.has_tag(e.vmid, e.asid)
                and e.base <= self.last and self.first < e.base + e.size)


class VtdSelection(Smmuv3Selection):
    def __init__(self, w0, w1, *_):
        self.is_atc = bits(w0, 3, 0) in (3, 8) and not bits(w0, 11, 9)
        self.stream, self.pasid, s = bits(w0, 47, 32), NO_PASID, 0
        if bits(w0, 3, 0) == 8:
            self.stream, self.pasid, s = bits(w0, 31, 16), bits(w0, 51, 32), 11
        lg2 = 12
        if w1 >> s & 1:
            while w1 >> lg2 & 1:
                lg2 += 1
            lg2 += 1
        self.first = w1 >> lg2 << lg2
        self.last = self.first + (1 << lg2) - 1


class Base:
    """The part that both have; in front of an oracle of the IOMMU's cache"""

    def command(self, sel, index):
        if not sel.is_atc:
            return
        self.survivors.take(sel)
        removed = self.cache.take(sel)
        for m in self.by_index.get(index, ()):
            for entry, _ in removed:
                if m["selection"] and m["selection"].removes(entry):
                    continue
                self.survivors.add(entry, m)

    def use(self, line, source, iova, pa, perm, walked, entry):
        """entry: what the device would cache"""
        if walked:
            for e, m in self.survivors.lookup(*source, iova):
                elsewhere = e.pa + iova - e.base != pa
                if e.perm & perm and (elsewhere or e.perm & ~perm):
                    self.detail.setdefault(id(m), {
                        "index": m["index"], "kind": m["kind"], "line": line,
                        "stream": source[0], "iova": "%x" % iova})
        for _ in self.cache.lookup(*source, iova):
            return
        if entry:
            self.cache.add(entry, None)


class Smmuv3Oracle(Base, mutation_oracle.Oracle):
    def on_command(self, index):
        self.command(Smmuv3Selection(*struct.unpack_from(
            "<QQ", self.commands, index * 16)), index)

    def on_translate(self, line, stream, iova, pa, perm, walked):
        ste, regime = self.ste.get(stream), self.regimes.get(stream)
        if not regime or bits(ste[1], 29, 28) != 1:
            return
        leaf, desc = regime.walk(self.memory, iova)
        entry = None
        if leaf and leaf[4] + iova - leaf[0] == pa:
            entry = mutation_oracle.Entry((stream, NO_PASID), leaf, perm, line)
        self.use(line, (stream, NO_PASID), iova, pa, perm, walked, entry)

    def on_fault(self, _):
        pass


class VtdOracle(Base, vtd_oracle.Oracle):
    def __init__(self, path, mutations):
        super().__init__(path, mutations)
        self.devices = {(sel.stream, sel.pasid) for sel in (
            VtdSelection(*w) for w in self.words.iter_unpack(self.commands))
            if sel.is_atc}

    def on_command(self, index):
        self.command(VtdSelection(*self.words.unpack_from(
            self.commands, index * self.words.size)), index)

    def on_translate(self, line, source, iova, pa, mask, walked, leaf, domain):
        perm = leaf & 3
        source = source if source in self.devices else (source[0], NO_PASID)
        if source not in self.devices:
            return
        self.use(line, source, iova, pa + (iova & mask), perm, walked,
                 vtd_oracle.Entry(*source, iova & ~mask, mask + 1, pa, perm))

    def on_fault(self, *_):
        pass


class Smmuv3:
    """As a module: Oracle and read_mutations()"""
    Oracle = Smmuv3Oracle

    @staticmethod
    def read_mutations(path, count):
        return mutation_oracle.read_mutations(path, count, Smmuv3Selection)


class Vtd:
    Oracle = VtdOracle

    @staticmethod
    def read_mutations(path, count):
        return mutation_oracle.read_mutations(path, count, VtdSelection)


def of(path, meta):
    """None: nobody's cache is invalidated"""
    words = meta["entry_bytes"] // 8
    kind = Vtd if meta["iommu"] == "Intel VT-d" else Smmuv3
    selection = VtdSelection if kind is Vtd else Smmuv3Selection
    with lzma.open(os.path.join(path, "commands.bin.xz")) as f:
        for w in struct.iter_unpack("<%dQ" % words, f.read()):
            if selection(*w[:2]).is_atc:
                return kind
    return None
