#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Recordings of guests that there are none of, made from one that there is.

    alter.py pasid RECORDING NEW    a VT-d guest's device does its DMA with a PASID
    alter.py atc RECORDING NEW      an SMMUv3 guest uses its devices' ATCs
    alter.py dev-iotlb RECORDING NEW    so does a VT-d guest in scalable mode
    alter.py pasid-ats RECORDING NEW    pasid and dev-iotlb together
    alter.py told RECORDING NEW     table words of a VT-d guest in caching mode
                                    come when it tells of them

NEW is a folder that is made. Translations, faults and the order of all things
stay; tables, registers and commands become what such a guest would have. All of
a recording is changed: log, commands, pages of snapshots, leaves, meta.json.
What the numbers mean is in the specifications alone (VT-d chapters 6 and 9, Arm
IHI 0070 chapters 4 and 5); nothing of the C code is used."""
import json
import lzma
import os
import shutil
import struct
import sys

sys.dont_write_bytecode = True

PAGE = 4096
PASID, PASID_DOMAIN = 0x145, 0x21  # directory entry 5, entry 5 of its table


def bits(word, high, low):
    return word >> low & ((1 << (high - low + 1)) - 1)


def fls(number):
    return number.bit_length()


def pack(name):
    return lzma.open(name, "w", preset=1)


class Pages:
    """memory.bin and memory.idx: pages of snapshots; the same content once"""

    def __init__(self, path):
        self.path = path
        with lzma.open(os.path.join(path, "memory.bin.xz")) as f:
            data = f.read()
        self.pages = [data[i:i + PAGE] for i in range(0, len(data), PAGE)]
        self.at = {}
        with open(os.path.join(path, "memory.idx"), encoding="ascii") as f:
            for line in f:
                snapshot, addr, page = line.split()
                self.at[int(snapshot), int(addr, 16)] = int(page)

    def words(self, snapshot, addr, nr):
        page = self.at.get((snapshot, addr & -PAGE))
        data = bytes(PAGE) if page is None else self.pages[page]
        return list(struct.unpack_from("<%dQ" % nr, data, addr & PAGE - 1))

    def put(self, snapshot, addr, words):
        key = snapshot, addr & -PAGE
        page = bytearray(self.pages[self.at[key]] if key in self.at
                         else bytes(PAGE))
        struct.pack_into("<%dQ" % len(words), page, addr & PAGE - 1, *words)
        self.at[key] = len(self.pages)
        self.pages.append(bytes(page))

    # Pages are numbered as they come; the same content has one number.
    def write(self):
        numbers, lines = {}, []
        for (snapshot, addr), page in sorted(self.at.items()):
            number = numbers.setdefault(self.pages[page], len(numbers))
            lines.append("%d %x %d\n" % (snapshot, addr, number))
        with pack(os.path.join(self.path, "memory.bin.xz")) as f:
            f.write(b"".join(numbers))
        with open(os.path.join(self.path, "memory.idx"), "w",
                  encoding="ascii") as f:
            f.writelines(lines)


class Recording:
    """What is to be changed, in memory; write() puts it back."""

    def __init__(self, source, path):
        shutil.copytree(source, path)
        for name in os.listdir(path):
            os.chmod(os.path.join(path, name), 0o644)
        os.chmod(path, 0o755)
        self.path = path
        with open(self.file("meta.json"), encoding="utf-8") as f:
            self.meta = json.load(f)
        self.log = self.text("log.txt.xz")
        self.rows = self.text("translations.csv.xz")
        self.pages = Pages(path)
        words = self.meta["entry_bytes"] // 8
        with lzma.open(self.file("commands.bin.xz")) as f:
            self.commands = [list(w) for w in
                             struct.iter_unpack("<%dQ" % words, f.read())]

    def file(self, name):
        return os.path.join(self.path, name)

    def text(self, name):
        with lzma.open(self.file(name), "rt", encoding="ascii") as f:
            return f.read().splitlines()

    def set_text(self, name, lines):
        with pack(self.file(name)) as f:
            f.write(("\n".join(lines) + "\n").encode("ascii"))

    def write(self):
        self.meta["commands"] = len(self.commands)
        for number, snapshot in enumerate(self.meta["snapshots"]):
            snapshot["pages"] = sum(n == number for n, _ in self.pages.at)
        with open(self.file("meta.json"), "w", encoding="utf-8") as f:
            json.dump(self.meta, f)
        self.set_text("log.txt.xz", self.log)
        self.set_text("translations.csv.xz", self.rows)
        self.pages.write()
        with pack(self.file("commands.bin.xz")) as f:
            for w in self.commands:
                f.write(struct.pack("<%dQ" % len(w), *w))

    def set_register_bits(self, name, mask):
        for snapshot in self.meta["snapshots"]:
            regs = snapshot["registers"]
            regs[name] = hex(int(regs[name], 16) | mask)

    def register(self, snapshot, name):
        regs = self.meta["snapshots"][snapshot]["registers"]
        return int(regs[name + "_LO"], 16) | int(regs[name + "_HI"], 16) << 32

    def unused_page(self):
        """of RAM that nothing in the recording names"""
        used = {addr for _, addr in self.pages.at}
        for line in self.log:
            f = line.split()
            if f[0] in "TPR":
                used.update(int(w, 16) & -PAGE for w in f[1:4]
                            if all(c in "0123456789abcdef" for c in w))
        page = 0x1000000
        while page in used:
            page += PAGE
        return page


# ---- VT-d, scalable mode: chapter 9 ----

def context_at(pages_words, root, stream):
    """Where the context entry of a stream is; 0: nowhere"""
    half = 8 if stream & 0x80 else 0
    table = pages_words(root + (stream >> 8) * 16 + half, 1)[0]
    return (table & -PAGE) + (stream & 0x7f) * 32 if table & 1 else 0


class Pasid:
    """The device's recorded domains are attached to PASID, under a domain id of
    their own; what it does without PASID stays in the domain of the kernel's,
    which maps nothing."""

    def __init__(self, rec):
        self.rec = rec
        self.stream = max(rec.meta["translations_by_stream"].items(),
                          key=lambda item: item[1])[0]
        self.stream = int(self.stream, 16)
        entries = [e for s in rec.meta["snapshots"] for t in s["tables"]
                   if t["stream"] == self.stream for e in t["pasids"]]
        self.kernels = [int(w, 16) for w in entries[0]["entry"]]
        self.domain = bits(self.kernels[1], 15, 0)
        self.table = rec.unused_page()
        self.entry = self.table + (PASID & 63) * 64
        self.memory = {}

    def is_own(self, words):
        """The kernel's own domain? Then there is no other, with a PASID."""
        return words[2] == self.kernels[2]

    def moved(self, words):
        return [words[0], words[1] & ~0xffff | PASID_DOMAIN] + words[2:]

    def make(self):
        rec = self.rec
        # ECAP: PASID (bit 40), PSS (39:35) for 15 bits
        rec.set_register_bits("ECAP_HI", 1 << 8 | 14 << 3)
        self.change_commands()
        self.change_log()
        for snapshot in range(len(rec.meta["snapshots"])):
            self.change_snapshot(snapshot)
        rec.rows = [self.row(line) for line in rec.rows]

    # PASID cache (type 7) and PASID-based IOTLB (6): DID 31:16, PASID 51:32
    def change_commands(self):
        for w in self.rec.commands:
            if w[0] & 0xf in (6, 7) and bits(w[0], 31, 16) == self.domain:
                w[0] = (w[0] & ~(0xffff << 16) | PASID_DOMAIN << 16
                        | PASID << 32)

    def words(self, addr, nr):
        return [self.memory.get(addr + 8 * i, 0) for i in range(nr)]

    def change_log(self):
        new, root, iova = [], 0, None
        lines = self.rec.log
        for i, line in enumerate(lines):
            f = line.split()
            if f[0] == "ROOT":
                root = int(f[1], 16)
            if f[0] == "R":
                new += self.structure(root, int(f[1], 16),
                                      [int(w, 16) for w in f[2:]])
            elif f[0] in "TF" and int(f[1], 16) == self.stream:
                if f[0] == "T":
                    iova = f[2]
                    f[7] = "%x" % PASID_DOMAIN
                new.append(" ".join(f) + " pasid=%x" % PASID)
                # with one fault pending, the next is not recorded (7.2.1)
                if f[0] == "F" and iova and lines[i + 1].startswith("W 22c "):
                    new.append("F %x 113 %s 0" % (self.stream, iova))
            elif f[0] == "FR" and int(f[3], 16) & 0xffff == self.stream:
                # fault record: PP is bit 95, PV 123:104
                hi = int(f[3], 16) | 1 << 31 | PASID << 40
                new.append("%s %s %s %x" % (f[0], f[1], f[2], hi))
            else:
                new.append(line)
        self.rec.log = new

    def structure(self, root, addr, words):
        """The lines for what was read at addr"""
        context = context_at(self.words, root, self.stream)
        directory = self.words(context, 1)[0] & -PAGE if context else 0
        table = self.words(directory, 1)[0] & -PAGE if directory else 0
        lines = []
        if context and addr == context:
            words[0] |= 8  # PASIDE
        for i, w in enumerate(words):
            self.memory[addr + 8 * i] = w
        if directory and addr == directory:
            lines.append("R %x %x" % (addr + (PASID >> 6) * 8,
                                      self.table | 1))
        if table and addr == table:
            if not self.is_own(words):
                lines.append(self.line(self.entry, self.moved(words)))
            words = self.kernels
        return [self.line(addr, words)] + lines

    @staticmethod
    def line(addr, words):
        return " ".join(["R %x" % addr] + ["%x" % w for w in words])

    def change_snapshot(self, snapshot):
        pages, rec = self.rec.pages, self.rec
        root = rec.register(snapshot, "RTADDR") & -PAGE
        context = context_at(lambda a, n: pages.words(snapshot, a, n), root,
                             self.stream)
        words = pages.words(snapshot, context, 4) if context else [0]
        if not words[0] & 1:
            return
        directory = words[0] & -PAGE
        words[0] |= 8
        pages.put(snapshot, context, words)
        old = pages.words(snapshot, directory, 1)[0] & -PAGE
        entry = pages.words(snapshot, old, 8)
        if not self.is_own(entry):
            pages.put(snapshot, directory + (PASID >> 6) * 8,
                      [self.table | 1])
            pages.put(snapshot, self.entry, self.moved(entry))
            pages.put(snapshot, old, self.kernels)
        for t in rec.meta["snapshots"][snapshot]["tables"]:
            if t["stream"] == self.stream:
                self.change_table(t, words, entry)

    def change_table(self, t, context, entry):
        t["context"] = ["%x" % w for w in context]
        if self.is_own(entry):
            return
        t["pasids"][0]["entry"] = ["%x" % w for w in self.kernels]
        t["pasids"].append({"pasid": PASID, "pgtt": 1, "domain": PASID_DOMAIN,
                            "entry": ["%x" % w for w in self.moved(entry)]})

    def row(self, line):
        f = line.split(",")
        if f[1] == "0x%x" % self.stream:
            f[2] = str(PASID)
        return ",".join(f)


class DevIotlb:
    """What Linux does for a device with ATS: DTE in its context entry, and in
    front of each wait, behind the invalidations of its domain, as many of its
    device TLB, of the smallest power of two that covers the range."""

    WAIT, DEV_IOTLB, PIOTLB, PDEV_IOTLB = 0x5, 0x3, 0x6, 0x8

    def __init__(self, rec, pasid=None):
        self.rec, self.pasid = rec, pasid
        self.stream = max(rec.meta["translations_by_stream"].items(),
                          key=lambda item: item[1])[0]
        self.stream = int(self.stream, 16)
        self.domain = next(e["domain"] for s in rec.meta["snapshots"]
                           for t in s["tables"] if t["stream"] == self.stream
                           for e in t["pasids"])
        if pasid is not None:
            self.domain = PASID_DOMAIN
        self.memory = {}
        self.new, self.commands, self.due = [], [], []
        self.tail, self.entries = None, 0
        self.name = "DEV_IOTLB" if pasid is None else "PDEV_IOTLB"

    def make(self):
        self.rec.set_register_bits("ECAP_LO", 1 << 2)  # DT
        self.change_log()
        for snapshot in range(len(self.rec.meta["snapshots"])):
            self.change_snapshot(snapshot)
        self.rec.meta["opcodes"][self.name] = sum(
            w[0] & 0xf in (self.DEV_IOTLB, self.PDEV_IOTLB)
            for w in self.commands)
        self.rec.log, self.rec.commands = self.new, self.commands

    def change_log(self):
        root = 0
        for line in self.rec.log:
            f = line.split()
            if f[0] == "C":
                self.command(self.rec.commands[int(f[1])], f[2])
                continue
            if f[0] == "QS":
                self.entries = int(f[2], 16)
            elif f[0] == "ROOT":
                root = int(f[1], 16)
            elif f[0] == "R":
                line = self.structure(root, f)
            elif f[0] == "N":
                self.rec.meta["snapshots"][int(f[1])][
                    "commands_consumed"] = len(self.commands)
            elif f[0] == "W" and f[1] == "88":
                self.set_tail()
                self.tail = len(self.new)
            self.new.append(line)
        self.set_tail()

    # The doorbell comes first: its place is known when all are there
    def set_tail(self):
        if self.tail is None:
            return
        if self.entries:
            index = len(self.commands) % self.entries
            self.new[self.tail] = "W 88 %x 4" % (index * 32)
        self.tail = None

    def put(self, words, name):
        self.new.append("C %d %s" % (len(self.commands), name))
        self.commands.append(words)

    def command(self, w, name):
        kind = w[0] & 0xf
        if kind == self.PIOTLB and bits(w[0], 31, 16) == self.domain:
            self.due.append(self.of_device(w))
        elif kind == self.WAIT:
            for words in self.due:
                self.put(words, self.name)
            self.due = []
        self.put(w, name)

    # 6.5.2.5, 6.5.2.6: S, and the lowest zero of the address says how much
    def of_device(self, w):
        words, s = [self.DEV_IOTLB | self.stream << 32, 0, 0, 0], 1
        if self.pasid is not None:
            words[0] = (self.PDEV_IOTLB | self.stream << 16
                        | self.pasid << 32)
            s = 1 << 11
        if bits(w[0], 5, 4) != 3:
            words[1] = (1 << 63) - PAGE | s  # all
            return words
        size = PAGE << bits(w[1], 5, 0)
        words[1] = (w[1] & -PAGE) & -size
        if size > PAGE:
            words[1] |= size // 2 - PAGE | s
        return words

    def structure(self, root, f):
        words = [int(w, 16) for w in f[2:]]
        addr = int(f[1], 16)
        context = context_at(
            lambda a, n: [self.memory.get(a + 8 * i, 0) for i in range(n)],
            root, self.stream)
        if context and addr == context:
            words[0] |= 4  # DTE
        for i, w in enumerate(words):
            self.memory[addr + 8 * i] = w
        return Pasid.line(addr, words)

    def change_snapshot(self, snapshot):
        pages = self.rec.pages
        context = context_at(lambda a, n: pages.words(snapshot, a, n),
                             self.rec.register(snapshot, "RTADDR") & -PAGE,
                             self.stream)
        words = pages.words(snapshot, context, 1) if context else [0]
        if not words[0] & 1:
            return
        words[0] |= 4
        pages.put(snapshot, context, words)
        for t in self.rec.meta["snapshots"][snapshot]["tables"]:
            if t["stream"] == self.stream:
                t["context"][0] = "%x" % words[0]


class Told:
    """In caching mode a guest writes an entry, then invalidates its page, which
    tells of it. The log shows an entry when it is read, much later. Here the
    words of each walk come in front of the doorbell of the last invalidation
    of their page, so that whoever follows the guest's invalidations finds
    them; a table's own entry in front of all that it holds. What was never
    told of stays where it is."""

    def __init__(self, rec):
        self.rec = rec
        self.pages = {}    # (domain, page) -> line of the doorbell
        self.domains = {}  # domain, or None for all, of what names no page
        self.moves = {}    # line of a word -> line that it comes in front of
        self.entries = {}  # table -> line of the entry that points to it

    def make(self):
        doorbell, walk = None, []
        for number, line in enumerate(self.rec.log):
            f = line.split()
            if f[0] == "W" and f[1] == "88":
                doorbell = number
            elif f[0] == "C":
                self.command(self.rec.commands[int(f[1])], doorbell)
            elif f[0] == "T" and len(f) == 8:
                to = self.told(int(f[7], 16), int(f[2], 16) // PAGE)
                if to is not None:
                    for word in walk:
                        self.move(word, to)
            if f[0] == "P":
                walk.append(number)
                self.entries[int(f[2], 16) & -PAGE] = number
            elif f[0] != "R":
                walk = []
        before = {}
        for number, to in sorted(self.moves.items()):
            before.setdefault(to, []).append(self.rec.log[number])
        self.rec.log = [line for number, old in enumerate(self.rec.log)
                        if number not in self.moves
                        for line in before.get(number, []) + [old]]

    # and the tables that lead to it
    def move(self, number, to):
        while number is not None and to < self.moves.get(number, number):
            self.moves[number] = to
            table = int(self.rec.log[number].split()[1], 16) & -PAGE
            number = self.entries.get(table)

    # 6.5.2.3: granularity 5:4, domain 31:16; AM and address
    def command(self, w, doorbell):
        if w[0] & 0xf != 2:
            return
        domain = bits(w[0], 31, 16)
        if bits(w[0], 5, 4) == 3:
            size = 1 << bits(w[1], 5, 0)
            first = w[1] // PAGE & -size
            for page in range(first, first + size):
                self.pages[domain, page] = doorbell
        else:
            self.domains[domain if bits(w[0], 5, 4) == 2 else None] = doorbell

    def told(self, domain, page):
        lines = [self.pages.get((domain, page)), self.domains.get(domain),
                 self.domains.get(None)]
        return max((n for n in lines if n is not None), default=None)


# ---- Arm SMMUv3 ----

CFGI_STE, NH_ASID, NH_VA, ATC_INV, SYNC = 0x03, 0x11, 0x12, 0x40, 0x46
ATC_ALL = 52  # Size: the whole address space (4.5.1)
EATS = 1 << 28  # STE word 1: full ATS (5.2)


class Atc:
    """What Linux does for devices with ATS: EATS in the STEs that translate,
    CR0.ATSCHK; behind each invalidation and its CMD_SYNC a CMD_ATC_INV for each
    device of the domain, of the smallest power of two that covers the range,
    and one more CMD_SYNC. Likewise all of the ATC behind a change of the STE."""

    def __init__(self, rec):
        self.rec = rec
        self.memory = {}
        self.stes = {}       # stream -> address
        self.translates = {}  # stream -> at its last CFGI_STE
        self.due = []
        self.new = []
        self.commands = []

    def make(self):
        self.rec.set_register_bits("IDR0", 1 << 10)
        self.rec.set_register_bits("CR0", 1 << 4)
        self.find_stes()
        self.change_log()
        for number, snapshot in enumerate(self.rec.meta["snapshots"]):
            for t in snapshot["tables"]:
                self.change_table(number, t)
        opcodes = self.rec.meta["opcodes"]
        for name, op in ("ATC_INV", ATC_INV), ("SYNC", SYNC):
            opcodes[name] = sum(w[0] & 0xff == op for w in self.commands)
        self.rec.log, self.rec.commands = self.new, self.commands

    # CMD_CFGI_STE and what was read for it, and S lines
    def find_stes(self):
        last = []
        for line in self.rec.log:
            f = line.split()
            if f[0] == "S":
                self.stes[int(f[1], 16)] = int(f[2], 16)
            elif f[0] == "R":
                last.append(int(f[1], 16))
            elif f[0] == "C":
                w = self.rec.commands[int(f[1])]
                if w[0] & 0xff == CFGI_STE and last:
                    self.stes[w[0] >> 32] = last[0]
                last = []

    def word(self, addr):
        return self.memory.get(addr, 0)

    def stage1(self, stream):
        return self.word(self.stes.get(stream, 0)) & 0xf == 0xb

    def asid(self, stream):
        cd = self.word(self.stes[stream]) & ((1 << 56) - 64)
        return self.word(cd) >> 48

    def masters(self, asid):
        return [s for s in sorted(self.stes)
                if self.stage1(s) and self.asid(s) == asid]

    def change_log(self):
        stes = set(self.stes.values())
        for line in self.rec.log:
            f = line.split()
            if f[0] == "R":
                words = [int(w, 16) for w in f[2:]]
                addr = int(f[1], 16)
                if addr in stes and words[1]:
                    words[1] |= EATS
                for i, w in enumerate(words):
                    self.memory[addr + 8 * i] = w
                self.new.append(Pasid.line(addr, words))
            elif f[0] == "P":
                self.memory[int(f[1], 16)] = int(f[2], 16)
                self.new.append(line)
            elif f[0] == "C":
                words = self.rec.commands[int(f[1])]
                self.look_at(words)
                self.put(words, f[2])
            elif f[0] == "W":
                self.register(f)
            else:
                if f[0] == "N":
                    self.rec.meta["snapshots"][int(f[1])][
                        "commands_consumed"] = len(self.commands)
                self.new.append(line)

    def put(self, words, name):
        self.new.append("C %d %s" % (len(self.commands), name))
        self.commands.append(words)

    def register(self, f):
        if f[1] == "90":
            self.index = (2 << (int(f[2], 16) & 0x1f)) - 1
        if f[1] == "20" and int(f[2], 16) & 0xc == 0xc:
            f[2] = "%x" % (int(f[2], 16) | 1 << 4)
        if f[1] == "98":
            f[2] = "%x" % (len(self.commands) & self.index)
        self.new.append(" ".join(f))
        if f[1] != "98" or not self.due:
            return
        for words in self.due:
            self.put(words, "ATC_INV")
        self.due = []
        self.put([self.sync[0], self.sync[1]], "SYNC")
        self.new.append("W 98 %x 4" % (len(self.commands) & self.index))

    def look_at(self, w):
        op = w[0] & 0xff
        if op == SYNC:
            self.sync = w
        elif op == NH_ASID:
            for stream in self.masters(w[0] >> 48):
                self.due.append(self.atc_inv(stream, 0, ATC_ALL))
        elif op == NH_VA:
            for stream in self.masters(w[0] >> 48):
                self.due.append(self.atc_inv(stream, *self.span(w)))
        elif op == CFGI_STE:
            stream = w[0] >> 32
            if self.translates.get(stream) or self.stage1(stream):
                self.due.append(self.atc_inv(stream, 0, ATC_ALL))
            self.translates[stream] = self.stage1(stream)

    @staticmethod
    def atc_inv(stream, addr, size):
        return [ATC_INV | stream << 32, addr | size]

    # In pages of 4 KiB, whatever the granule
    @staticmethod
    def span(w):
        tg = bits(w[1], 11, 10)
        length = PAGE
        if tg:
            length = (bits(w[0], 16, 12) + 1) << bits(w[0], 24, 20)
            length <<= {1: 12, 2: 14, 3: 16}[tg]
        first = w[1] >> 12
        size = fls(first ^ (w[1] & -PAGE) + length - 1 >> 12)
        return (first >> size << size) * PAGE, size

    def change_table(self, number, t):
        words = [int(w, 16) for w in t["ste"]]
        if words[0] & 0xf != 0xb:
            return
        words[1] |= EATS
        t["ste"] = ["%x" % w for w in words]
        addr = self.stes.get(t["stream"])
        if addr and self.rec.pages.words(number, addr, 1)[0] == words[0]:
            self.rec.pages.put(number, addr, words)


KINDS = {
    "pasid": lambda rec: Pasid(rec).make(),
    "atc": lambda rec: Atc(rec).make(),
    "dev-iotlb": lambda rec: DevIotlb(rec).make(),
    "pasid-ats": lambda rec: (Pasid(rec).make(),
                              DevIotlb(rec, PASID).make()),
    "told": lambda rec: Told(rec).make(),
}


def make(kind, source, path):
    rec = Recording(source, path)
    KINDS[kind](rec)
    rec.write()


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in KINDS:
        sys.exit(__doc__)
    make(*sys.argv[1:])
