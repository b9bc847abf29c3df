#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which altered invalidations of an SMMUv3 recording must be noticed?

    mutation_oracle.py RECORDING --altered FILE.json

FILE.json lists alterations of single commands, as a mutated replay writes it:

    {"mutations": [{"index": 7, "kind": "drop"},
                   {"index": 9, "kind": "ttl", "words": ["hex", "hex"]}]}

("drop": the command is not there; otherwise the words that replace it.) Each
alteration is judged ALONE: the rest of the recording is as it was. Printed is

    {"must_flag": [indices], "at_fault": [indices], "not_judged": [indices],
     "detail": [...]}

must_flag   a T line walks the tables and finds another address or permission
            than an entry that is still cached because the command was altered
at_fault    the same at an F line: the tables map nothing there any more. Only a
            replay that repeats faulting accesses as well can notice these.
not_judged  alterations of commands that are no TLB invalidations

It shares nothing with the C code and knows only the log, commands.bin and
events.bin: it is the second opinion on a replay with the cache policy that
keeps everything and removes exactly what a command names.

The cache. Every T line inserts the leaf that translates it, unless an entry for
that page is there already. An entry is tagged with VMID and ASID (none for
global leaves) or, for stage 2 only, with the VMID; it has the base, size and
level of its leaf. Commands remove (Arm IHI 0070 4.4; levels need a TG):
  NH_VA, NH_VAA, S2_IPA   entries of that tag that overlap the range, of the
                          granule TG if there is one, and of level TTL if
                          that is not 0; NH_VA takes global entries as well
  NH_ASID                 entries of that VMID and ASID, not global ones
  NH_ALL                  stage 1 entries of that VMID
  S12_VMALL, NSNH_ALL     entries of that VMID; all
Walk caches are not modelled, so Leaf makes no difference, and a replay may
report more than must_flag. An entry that survives but agrees with the tables is
no stale use: it cannot be observed, and it is not flagged until they differ.
T lines marked `h` are not judged: what the tables say then is not recorded.

One pass suffices. A survivor of alteration m is an entry that command m would
have removed and its altered form does not. It lives on until a later command,
unaltered, removes it; what is inserted meanwhile does not matter to it.
"""
import argparse
import json
import lzma
import os
import struct
import sys

NH_ALL, NH_ASID, NH_VA, NH_VAA = 0x10, 0x11, 0x12, 0x13
S12_VMALL, S2_IPA, NSNH_ALL = 0x28, 0x2A, 0x30
TLBI = {NH_ALL, NH_ASID, NH_VA, NH_VAA, S12_VMALL, S2_IPA, NSNH_ALL}
GRANULE_LG2 = {1: 12, 2: 14, 3: 16}  # TG of a command
STAGE2 = "s2"  # in the place of the ASID
GLOBAL = "global"


def bits(word, high, low):
    return word >> low & ((1 << (high - low + 1)) - 1)


class Entry:
    """A cached leaf."""
    __slots__ = ("vmid", "asid", "base", "size", "level", "granule", "pa",
                 "perm", "line")

    def __init__(self, tag, leaf, perm, line):
        self.vmid, self.asid = tag
        self.base, self.size, self.level, self.granule, self.pa = leaf
        self.perm = perm
        self.line = line


class Selection:
    """What one invalidation command names."""

    def __init__(self, w0, w1):
        self.op = bits(w0, 7, 0)
        self.vmid = bits(w0, 47, 32)
        self.asid = bits(w0, 63, 48)
        self.first, self.last = 0, (1 << 64) - 1
        self.granule = self.level = 0
        if self.op in (NH_VA, NH_VAA, S2_IPA):
            self.set_range(w0, w1)

    def set_range(self, w0, w1):
        tg = bits(w1, 11, 10)
        address = w1 & ~0xFFF
        if self.op == S2_IPA:
            address &= (1 << 56) - 1
        if not tg:  # one address; NUM, SCALE and TTL are not looked at
            self.first, self.last = address, address + 0xFFF
            return
        self.granule = GRANULE_LG2[tg]
        self.level = bits(w1, 9, 8)
        pages = (bits(w0, 16, 12) + 1) << bits(w0, 24, 20)
        self.first = address >> self.granule << self.granule
        self.last = self.first + (pages << self.granule) - 1

    def has_tag(self, vmid, asid):
        if self.op == NSNH_ALL:
            return True
        if vmid != self.vmid or self.op not in TLBI:
            return False
        if self.op == S12_VMALL:
            return True
        if asid == STAGE2:
            return self.op == S2_IPA
        if self.op in (NH_ALL, NH_VAA):
            return True
        if self.op == NH_VA and asid == GLOBAL:
            return True
        return self.op in (NH_VA, NH_ASID) and asid == self.asid

    def removes(self, e):
        return (self.has_tag(e.vmid, e.asid)
                and e.base <= self.last and self.first < e.base + e.size
                and (not self.granule or self.granule == e.granule)
                and (not self.level or self.level == e.level))


class Shelf:
    """Entries by tag, size and base; several may share one place."""

    def __init__(self):
        self.tags = {}

    def add(self, entry, item):
        sizes = self.tags.setdefault((entry.vmid, entry.asid), {})
        sizes.setdefault(entry.size, {}).setdefault(entry.base, []).append(
            (entry, item))

    def lookup(self, vmid, asid, iova):
        """All pairs at that place; global entries match every ASID."""
        tags = [(vmid, asid)]
        if asid != STAGE2:
            tags.append((vmid, GLOBAL))
        for tag in tags:
            for size, bases in self.tags.get(tag, {}).items():
                yield from bases.get(iova & -size, ())

    def take(self, sel):
        """Remove and return the pairs that a command names."""
        taken = []
        for tag, sizes in self.tags.items():
            if not sel.has_tag(*tag):
                continue
            for size, bases in sizes.items():
                start = sel.first & -size
                if (sel.last - start) // size < len(bases):
                    places = range(start, sel.last + 1, size)
                else:
                    places = list(bases)
                for base in places:
                    self.take_at(bases, base, sel, taken)
        return taken

    @staticmethod
    def take_at(bases, base, sel, taken):
        pairs = bases.get(base)
        if pairs is None:
            return
        kept = [p for p in pairs if not sel.removes(p[0])]
        if len(kept) == len(pairs):
            return
        taken += [p for p in pairs if sel.removes(p[0])]
        if kept:
            bases[base] = kept
        else:
            del bases[base]


class Regime:
    """How a stream translates, from its STE and CD as they were fetched."""

    def __init__(self, ste, cd):
        config = bits(ste[0], 3, 1)
        if config == 7:
            raise SystemExit("mutation_oracle: nested streams are not modelled")
        self.stage2 = config == 6
        vmid = bits(ste[2], 15, 0)
        if self.stage2:
            self.tag = (vmid, STAGE2)
            self.ttb = ste[3] & ((1 << 56) - 16)
            tg, self.input_bits = bits(ste[2], 47, 46), 64 - bits(ste[2], 37, 32)
        else:
            self.tag = (vmid, bits(cd[0], 63, 48))
            self.ttb = cd[1] & ((1 << 56) - 16)
            tg, self.input_bits = bits(cd[0], 7, 6), 64 - bits(cd[0], 5, 0)
        self.granule = {0: 12, 1: 16, 2: 14}[tg]  # TG0, S2TG
        self.stride = self.granule - 3
        if self.stage2:  # IHI 0070 5.2, S2SL0
            self.start = (2 if self.granule == 12 else 3) - bits(ste[2], 39, 38)
        else:
            levels = -(-(self.input_bits - self.granule) // self.stride)
            self.start = 4 - levels

    def walk(self, memory, iova):
        """The leaf as (base, size, level, granule, pa) and its descriptor."""
        table = self.ttb
        low = iova & ((1 << self.input_bits) - 1)
        for level in range(self.start, 4):
            shift = self.granule + (3 - level) * self.stride
            index = low >> shift  # may be concatenated tables at the start
            if level != self.start:
                index &= (1 << self.stride) - 1
            desc = memory.get(table + index * 8, 0)
            kind = desc & 3
            output = desc & ((1 << 48) - (1 << self.granule))
            if level < 3 and kind == 3:
                table = output
            elif (level == 3 and kind == 3) or (level < 3 and kind == 1):
                size = 1 << shift
                return (iova & -size, size, level, self.granule,
                        output & -size), desc
            else:
                break
        return None, 0

    def leaf_tag(self, desc):
        if not self.stage2 and not desc >> 11 & 1:  # nG
            return (self.tag[0], GLOBAL)
        return self.tag

    def leaf_perm(self, desc):
        if self.stage2:  # S2AP: 1 read, 2 write
            return bits(desc, 7, 6)
        return 1 if desc >> 7 & 1 else 3  # AP[2]: read-only


class Oracle:
    def __init__(self, path, mutations):
        self.path = path
        with open(os.path.join(path, "meta.json")) as f:
            meta = json.load(f)
        if meta["iommu"] != "Arm SMMUv3":
            raise SystemExit("mutation_oracle: only SMMUv3 recordings")
        self.commands = lzma.open(os.path.join(path, "commands.bin.xz")).read()
        self.events = b""
        if os.path.exists(os.path.join(path, "events.bin")):
            with open(os.path.join(path, "events.bin"), "rb") as f:
                self.events = f.read()
        self.mutations = mutations
        self.by_index = {}
        for m in mutations:
            self.by_index.setdefault(m["index"], []).append(m)
        self.memory = {}
        self.ste = {}      # stream -> words when last fetched
        self.regimes = {}  # stream -> Regime
        self.fetching = None
        self.cache = Shelf()
        self.survivors = Shelf()
        self.faults = 0
        self.detail = {}   # id of mutation -> first stale use
        self.at_fault = set()
        self.notes = {"unexplained": 0, "stale_unaltered": 0}

    def words(self, addr, nr):
        return [self.memory.get(addr + 8 * i, 0) for i in range(nr)]

    def on_ste(self, stream, addr):
        self.fetching = stream
        self.ste[stream] = self.words(addr, 8)
        self.regimes.pop(stream, None)
        if bits(self.ste[stream][0], 3, 1) == 6:
            self.regimes[stream] = Regime(self.ste[stream], None)

    def on_cd(self, addr):
        ste = self.ste[self.fetching]
        self.regimes[self.fetching] = Regime(ste, self.words(addr, 8))

    def on_command(self, index):
        sel = Selection(*struct.unpack_from("<QQ", self.commands, index * 16))
        if sel.op not in TLBI:
            return
        self.survivors.take(sel)
        removed = self.cache.take(sel)
        for m in self.by_index.get(index, ()):
            for entry, _ in removed:
                if m["selection"] and m["selection"].removes(entry):
                    continue
                self.survivors.add(entry, m)

    def on_translate(self, line, stream, iova, pa, perm, walked):
        regime = self.regimes.get(stream)
        if not regime:
            self.notes["unexplained"] += 1
            return
        if walked:
            for entry, m in self.survivors.lookup(*regime.tag, iova):
                cached = entry.pa + iova - entry.base
                if (cached, entry.perm) != (pa, perm):
                    self.found(m, entry, line, stream, iova, pa, perm)
        for entry, _ in self.cache.lookup(*regime.tag, iova):
            if entry.pa + iova - entry.base == pa and entry.perm == perm:
                return
            self.notes["stale_unaltered"] += 1
            return
        leaf, desc = regime.walk(self.memory, iova)
        if (not leaf or leaf[4] + iova - leaf[0] != pa
                or regime.leaf_perm(desc) != perm):
            self.notes["unexplained"] += 1
            return
        entry = Entry(regime.leaf_tag(desc), leaf, perm, line)
        self.cache.add(entry, None)

    def found(self, m, entry, line, stream, iova, pa, perm):
        self.detail.setdefault(id(m), {
            "index": m["index"], "kind": m["kind"], "line": line,
            "stream": stream, "iova": "%x" % iova, "pa": "%x" % pa,
            "perm": perm, "cached_at_line": entry.line,
            "cached_pa": "%x" % (entry.pa + iova - entry.base),
            "cached_perm": entry.perm})

    def on_fault(self, number):
        if (number + 1) * 32 > len(self.events):
            return
        w = struct.unpack_from("<4Q", self.events, number * 32)
        if bits(w[0], 7, 0) != 0x10:  # F_TRANSLATION: nothing is mapped
            return
        regime = self.regimes.get(bits(w[0], 63, 32))
        if regime:
            for _, m in self.survivors.lookup(*regime.tag, w[2]):
                self.at_fault.add(m["index"])

    def run(self):
        log = lzma.open(os.path.join(self.path, "log.txt.xz"), "rt",
                        encoding="ascii")
        for number, text in enumerate(log, 1):
            f = text.split()
            tag = f[0]
            if tag == "T":
                self.on_translate(number, int(f[1], 16), int(f[2], 16),
                                  int(f[3], 16), int(f[4], 16), f[6] == "w")
            elif tag == "C":
                self.on_command(int(f[1]))
            elif tag == "P":
                self.memory[int(f[1], 16)] = int(f[2], 16)
            elif tag == "R":
                for i, w in enumerate(f[2:]):
                    self.memory[int(f[1], 16) + 8 * i] = int(w, 16)
            elif tag == "S":
                self.on_ste(int(f[1], 16), int(f[2], 16))
            elif tag == "D":
                self.on_cd(int(f[1], 16))
            elif tag == "F":
                self.on_fault(self.faults)
                self.faults += 1

    def result(self):
        detail = [self.detail[id(m)] for m in self.mutations
                  if id(m) in self.detail]
        not_judged = {m["index"] for m in self.mutations
                      if self.commands[m["index"] * 16] not in TLBI}
        return {"must_flag": sorted({d["index"] for d in detail}),
                "at_fault": sorted(self.at_fault),
                "not_judged": sorted(not_judged),
                "detail": detail, "notes": self.notes}


def read_mutations(path, count, selection=Selection):
    """Each gets its Selection; None for a dropped command."""
    with open(path) as f:
        mutations = json.load(f)["mutations"]
    for m in mutations:
        if not 0 <= m["index"] < count:
            raise SystemExit("mutation_oracle: there is no command %d"
                             % m["index"])
        m["selection"] = None
        if not m["kind"].endswith("drop"):
            m["selection"] = selection(*(int(w, 16) for w in m["words"]))
    return mutations


def judge(path, altered):
    with open(os.path.join(path, "meta.json")) as f:
        count = json.load(f)["commands"]
    oracle = Oracle(path, read_mutations(altered, count))
    oracle.run()
    return oracle.result()


def main():
    parser = argparse.ArgumentParser(
        description="Which altered invalidations must be noticed?")
    parser.add_argument("recording")
    parser.add_argument("--altered", required=True, metavar="FILE.json")
    args = parser.parse_args()
    json.dump(judge(args.recording, args.altered), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
