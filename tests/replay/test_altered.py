#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""    test_altered.py KIND RECORDING SEEDS COUNT [OPTION...]

RECORDING, made by alter.py into what no recorded guest did, is replayed as any
other: in full order (test_recording.py), with SEEDS seeds of injected errors
(test_injected.py), with COUNT altered invalidations of each kind
(test_mutations.py, with the options)."""
import json
import lzma
import os
import struct
import sys
import tempfile
import unittest

import alter
import kit
import test_injected
import test_mutations
import test_recording
import told_oracle

PATH = None


def of_kind(*kinds):
    return unittest.skipUnless(sys.argv[1] in kinds, "another kind")


@of_kind("pasid", "pasid-ats")
class Pasids(unittest.TestCase):
    def test_what_the_recording_is(self):
        lines = [line for line in
                 kit.unpack(PATH, "log.txt.xz").splitlines()
                 if line.split()[0] in ("T", "F")]
        with_pasid = sum(line.endswith(" pasid=145") for line in lines)
        self.assertGreater(with_pasid, 1000)
        # which are refused, because the device itself maps nothing
        self.assertGreater(len(lines) - with_pasid, 100)
        rows = kit.unpack(PATH, "translations.csv.xz").splitlines()
        self.assertGreater(sum(",0x28,325," in row for row in rows), 10000)
        # PASID-based IOTLB: PASID 51:32 of the first doubleword
        self.assertGreater(sum(w[0] & 0xf == 6 and w[0] >> 32 == 0x145
                               for w in kit.commands(PATH)), 4000)

    def wrong(self, tag, place, text, *args):
        with kit.Altered(PATH) as rec:
            rec.line("log.txt.xz", tag, {place: text})
            code, r = kit.replay("--no-snapshots", *args, rec.path)
        self.assertEqual(code, 1)
        return {kind: n for kind, n in r["wrong"].items()
                if n and kind not in ("first", "total")}

    def test_another_pasid_has_no_such_translation(self):
        for pasid in ("pasid=144", "pasid=146", "pasid=5", "pasid=0"):
            for world in ((), ("--direct",)):
                self.assertEqual(
                    self.wrong("T", 8, pasid, *world)["translation"], 1)

    def test_nor_has_another_pasid_such_a_fault(self):
        # FR: PASID 123:104 of the register
        wrong = self.wrong("FR", 3, lambda w: "%x" % (int(w, 16) ^ 1 << 40),
                           "--direct")
        self.assertEqual(wrong, {"fault": 1})

    def test_leaves_of_another_pasid_are_wrong(self):
        def change(lines):
            at = next(i for i, line in enumerate(lines) if ",325," in line)
            lines[at] = lines[at].replace(",325,", ",326,")
        with kit.Altered(PATH) as rec:
            rec.lines("translations.csv.xz", change)
            for world in ((), ("--direct",)):
                code, r = kit.replay(*world, rec.path)
                self.assertEqual(code, 1)
                self.assertGreater(r["wrong"]["snapshot"], 0)


def mutations(kind, *args):
    r = kit.run("replay", "--json", "--mutate", kind, "--mutations", 300,
                *args, PATH)
    if r.returncode or r.stderr:
        raise AssertionError(r.stderr)
    return json.loads(r.stdout)["mutations"]


def altered(kind, *args):
    """(words as they were, words instead of them)"""
    commands = kit.commands(PATH)
    return [(list(commands[m["index"]]), [int(w, 16) for w in m["words"]])
            for m in mutations(kind, *args)]


@of_kind("atc")
class Atcs(unittest.TestCase):
    def test_each_kind_alters_what_it_says(self):
        for was, now in altered("atc-drop"):
            self.assertEqual((was[0] & 0xff, now), (0x40, [0x46, 0]))
        for was, now in altered("atc-narrow"):
            self.assertEqual(was[0], now[0])
            size, page = was[1] & 0x3f, was[1] >> 12
            if size:  # either half
                self.assertEqual(now[1] & 0xfff, size - 1)
                self.assertIn((now[1] >> 12) - page, (0, 1 << size - 1))
            else:  # the page behind
                self.assertEqual(now[1], was[1] + 0x1000)

    def test_what_the_recording_is(self):
        words = kit.commands(PATH)
        ops = [w[0] & 0xff for w in words]
        # behind TLBI_NH_VA, TLBI_NH_ASID and CFGI_STE
        self.assertGreaterEqual(ops.count(0x40), ops.count(0x12))
        sizes = {w[1] & 0x3f for w in words if w[0] & 0xff == 0x40}
        self.assertGreater(len(sizes), 3)
        self.assertIn(52, sizes)
        for w in words:
            if w[0] & 0xff == 0x40:  # addresses are multiples of the span
                self.assertEqual(w[1] >> 12 & (1 << (w[1] & 0x3f)) - 1, 0)

    def test_its_invalidations_are_needed(self):
        """All CMD_ATC_INVs name a page that nobody uses."""
        with kit.Altered(PATH) as rec:
            with lzma.open(rec.file("commands.bin.xz"), "w") as f:
                for w in kit.commands(PATH):
                    f.write(struct.pack("<2Q", *(
                        (w[0], 0x7ffff000) if w[0] & 0xff == 0x40 else w)))
            for world in ((), ("--queue", "ring"), ("--direct",)):
                code, r = kit.replay("--cache", "hostile", "--no-snapshots",
                                     *world, rec.path)
                self.assertEqual(code, 1)
                self.assertGreater(r["wrong"]["stale"], 5)


@of_kind("dev-iotlb", "pasid-ats")
class DeviceTlbs(unittest.TestCase):
    # Type 3, or 8 with PASID: S is bit 0 or bit 11 of the second doubleword
    @staticmethod
    def is_one(words):
        return words[0] & 0xf in (3, 8)

    # 6.5.2.5, 6.5.2.6: pages named, worked out bit by bit
    @staticmethod
    def pages(word0, word1):
        if not word1 >> (11 if word0 & 0xf == 8 else 0) & 1:
            return word1 >> 12, 1
        lg2 = next(n for n in range(52) if not word1 >> 12 + n & 1) + 1
        return word1 >> 12 + lg2 << lg2, 1 << lg2

    def test_each_kind_alters_what_it_says(self):
        for was, now in altered("atc-drop"):
            self.assertTrue(self.is_one(was))
            self.assertEqual(now, [5, 0, 0, 0])
        for was, now in altered("atc-narrow"):
            self.assertEqual((was[0], now[2:]), (now[0], [0, 0]))
            page, nr = self.pages(*was[:2])
            new_page, new_nr = self.pages(*now[:2])
            if nr > 1:
                self.assertEqual(new_nr, nr // 2)
                self.assertIn(new_page - page, (0, nr // 2))
            else:
                self.assertEqual((new_page, new_nr), (page + 1, 1))

    def test_what_the_recording_is(self):
        words = kit.commands(PATH)
        found = [w for w in words if self.is_one(w)]
        self.assertEqual(len(found), sum(
            w[0] & 0xf == 6 and w[0] >> 16 & 0xffff in (6, 0x21)
            for w in words))
        self.assertGreater(len(found), 4000)
        sizes = {self.pages(*w[:2])[1] for w in found}
        self.assertLessEqual({1, 8, 256, 1 << 52}, sizes)
        if sys.argv[1] == "pasid-ats":
            self.assertEqual({(w[0] >> 16 & 0xffff, w[0] >> 32)
                              for w in found}, {(0x28, 0x145)})

    def test_its_invalidations_are_needed(self):
        with kit.Altered(PATH) as rec:
            with lzma.open(rec.file("commands.bin.xz"), "w") as f:
                for w in kit.commands(PATH):
                    f.write(struct.pack("<4Q", *(
                        (w[0], 0x7ffff000, 0, 0) if self.is_one(w) else w)))
            code, r = kit.replay("--cache", "hostile", "--no-snapshots",
                                 "--direct", rec.path)
            self.assertEqual(code, 1)
            self.assertGreater(r["wrong"]["stale"], 5)
            # the host does it for the guest
            code, r = kit.replay("--cache", "hostile", "--no-snapshots",
                                 rec.path)
            self.assertEqual(code, 0)


@of_kind("told")
class Told(unittest.TestCase):
    def test_the_guest_tells_of_its_tables(self):
        _, r = kit.replay("--no-snapshots", PATH)
        told = r["deviations"]["reads tables a nested world must be told of"]
        self.assertLess(told, 100)
        self.assertGreater(kit.log_counts(PATH)["P"], 15000)

    def test_hardware_needs_no_single_one(self):
        """Unmapped and mapped: either is enough before the next use."""
        for kind in "drop", "narrow", "domain":
            self.assertEqual([m for m in mutations(kind, "--direct")
                              if m["flagged"]], [])

    def test_its_invalidations_are_needed(self):
        """Each second one by page names another domain."""
        number = iter(range(1 << 30))
        with kit.Altered(PATH) as rec:
            with lzma.open(rec.file("commands.bin.xz"), "w") as f:
                for w in kit.commands(PATH):
                    skip = w[0] & 0x3f == 0x32 and next(number) % 2
                    f.write(struct.pack("<2Q", w[0] ^ skip << 30, w[1]))
            code, r = kit.replay("--no-snapshots", rec.path)
        self.assertEqual(code, 1)
        self.assertGreater(r["wrong"]["translation"], 1000)


def load_tests(loader, tests, _):
    for module in (test_recording, test_injected, test_mutations):
        tests.addTests(loader.loadTestsFromModule(module))
    return tests


if __name__ == "__main__":
    kind, source, seeds, count = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as folder:
        PATH = os.path.join(folder, "recording")
        alter.make(kind, kit.recording(source), PATH)
        test_recording.PATH = test_injected.PATH = PATH
        test_injected.SEEDS = int(seeds)
        test_mutations.PATH, test_mutations.COUNT = PATH, int(count)
        test_mutations.SEEDS = int(seeds)
        test_mutations.OPTIONS = sys.argv[5:]
        test_mutations.choose_oracle()
        if kind == "told":
            test_mutations.ORACLE = told_oracle
            test_mutations.removes_tables = told_oracle.removes_tables
        unittest.main(argv=sys.argv[:1])
