#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nestfd replay with a VT-d recording: what is refused, and that each check can
fail. One thing in the recording is made untrue: exactly that is reported."""
import json
import lzma
import struct
import unittest

import kit

VTD = kit.trace("vtd-sm-fs-vfio-6.12")
WORLDS = ([], ["--direct"])


def replace(rec, old, new):
    rec.lines("log.txt.xz", lambda lines: lines.__setitem__(
        lines.index(old), new))


class BadRecordings(unittest.TestCase):
    def refuse(self, rec, *parts, args=()):
        r = kit.run("replay", *args, rec.path)
        self.assertEqual((r.returncode, r.stdout), (2, ""), r.stderr)
        self.assertEqual(r.stderr.count("\n"), 1, r.stderr)
        for part in parts:
            self.assertIn(part, r.stderr)

    def refuse_line(self, old, new, *parts):
        with kit.Altered(VTD) as rec:
            replace(rec, old, new)
            self.refuse(rec, "log.txt.xz:", *parts)

    def test_a_doorbell_outside_of_the_queue(self):
        self.refuse_line("W 88 40 4", "W 88 2000 4", "in the queue")
        self.refuse_line("W 88 40 4", "W 88 50 4", "in the queue")

    def test_a_doorbell_for_more_commands_than_there_are(self):
        self.refuse_line("W 88 40 4", "W 88 60 4", "missing")

    def test_a_queue_of_the_other_width(self):
        self.refuse_line("W 90 1202801 8", "W 90 1202001 8", "width")

    def test_a_queue_that_is_nowhere(self):
        self.refuse_line("W 90 1202801 8", "W 90 7fffff802801 8",
                         "queue is not in memory")

    def test_a_register_that_is_none(self):
        self.refuse_line("W 88 40 4", "W 1088 40 4", "register")
        self.refuse_line("W 88 40 4", "W 8a 40 4", "register")

    def test_a_fault_recording_register_that_is_none(self):
        with kit.Altered(VTD) as rec:
            rec.line("log.txt.xz", "FR", {1: "1"})
            self.refuse(rec, "fault recording register",
                        args=("--direct",))

    def test_a_line_of_another_architecture(self):
        with kit.Altered(VTD) as rec:
            rec.lines("log.txt.xz", lambda lines: lines.insert(5, "Q 0"))
            self.refuse(rec, "log.txt.xz:6:")

    def test_a_word_outside_of_memory(self):
        with kit.Altered(VTD) as rec:
            rec.line("log.txt.xz", "P", {1: "ffffffff8"})
            self.refuse(rec, "not in the guest's memory")

    def change_meta(self, change, *parts):
        with kit.Altered(VTD) as rec:
            meta = kit.meta(rec.path)
            change(meta)
            with open(rec.file("meta.json"), "w") as f:
                json.dump(meta, f)
            self.refuse(rec, *parts)

    def test_memory_of_no_sensible_size(self):
        for change in ({"ram_base": "0x200000"}, {"ram_mib": 4096}):
            self.change_meta(lambda meta, c=change: meta.update(c), "ram")

    def test_registers_that_are_missing(self):
        for name in ("CAP_LO", "ECAP_HI"):
            self.change_meta(
                lambda meta, n=name: meta["snapshots"][0]["registers"].pop(n),
                name.split("_")[0])

    def test_alterations_that_its_invalidations_do_not_have(self):
        for kind in ("asid", "ttl"):
            r = kit.run("replay", "--mutate", kind, VTD)
            self.assertEqual((r.returncode, r.stdout), (2, ""))
            self.assertIn("no %s to alter" % kind, r.stderr)

    def test_a_ring(self):
        r = kit.run("replay", "--queue", "ring", VTD)
        self.assertEqual((r.returncode, r.stdout), (2, ""))
        self.assertIn("ring", r.stderr)


class EveryCheckCanFail(unittest.TestCase):
    def wrong(self, rec, *args):
        code, r = kit.replay(*args, rec.path)
        self.assertEqual(code, 1 if r["wrong"]["total"] else 0)
        return {kind: n for kind, n in r["wrong"].items()
                if n and kind not in ("first", "total")}, r

    def expect(self, rec, kinds, *args, worlds=WORLDS):
        for world in worlds:
            wrong, r = self.wrong(rec, "--no-snapshots", *world, *args)
            self.assertEqual(wrong, kinds, (world, r["wrong"]["first"]))

    def alter(self, tag, fields, kinds, *args, number=0, worlds=WORLDS):
        with kit.Altered(VTD) as rec:
            rec.line("log.txt.xz", tag, fields, number)
            self.expect(rec, kinds, *args, worlds=worlds)

    def test_the_address_of_a_translation(self):
        self.alter("T", {3: lambda pa: "%x" % (int(pa, 16) + 0x1000)},
                   {"translation": 1})

    def test_the_permission_of_a_translation(self):
        self.alter("T", {6: lambda leaf: "%x" % (int(leaf, 16) ^ 2)},
                   {"translation": 1})

    def test_the_size_of_a_leaf(self):
        lines = [line.split() for line in
                 kit.unpack(VTD, "log.txt.xz").splitlines()]
        at = [f for f in lines if f[0] == "T"]
        number = next(i for i, f in enumerate(at) if f[4] == "1fffff")
        self.alter("T", {4: "fff"}, {"translation": 1}, number=number,
                   worlds=(["--direct"],))

    def test_an_address_that_is_not_mapped(self):
        self.alter("T", {2: "7ffff000"}, {"translation": 1}, worlds=([],))
        # it leaves a fault that the guest does not know of
        self.alter("T", {2: "7ffff000"}, {"translation": 1, "fault": 1},
                   worlds=(["--direct"],))

    def test_a_walk_that_is_called_a_hit(self):
        self.alter("T", {5: "h"}, {"hit": 1}, "--cache", "hostile")

    def test_a_table_word(self):
        with kit.Altered(VTD) as rec:
            rec.line("log.txt.xz", "P", {2: "0"})
            for world in WORLDS:
                wrong, _ = self.wrong(rec, "--no-snapshots", *world)
                self.assertGreaterEqual(wrong["translation"], 1)

    def test_a_pasid_entry_with_a_reserved_bit(self):
        with kit.Altered(VTD) as rec:
            rec.lines("log.txt.xz", lambda lines: lines.__setitem__(
                *next((i, line[:-1] + "1") for i, line in enumerate(lines)
                      if line.startswith("R ") and line.count(" ") == 9)))
            for world in WORLDS:
                wrong, r = self.wrong(rec, "--no-snapshots", *world)
                self.assertGreaterEqual(wrong["translation"], 1)
                if world:
                    self.assertIn("event 0x5a", r["wrong"]["first"][0])

    def test_the_reason_of_a_fault(self):
        self.alter("F", {2: "133"}, {"fault": 1})

    def test_a_fault_where_there_is_a_mapping(self):
        lines = kit.unpack(VTD, "log.txt.xz").splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("F "))
        iova = next(line.split()[2] for line in reversed(lines[:at])
                    if line.startswith("T "))
        for world in WORLDS:
            with kit.Altered(VTD) as rec:
                rec.line("log.txt.xz", "F", {3: iova})
                wrong, r = self.wrong(rec, "--no-snapshots", *world)
                self.assertEqual(wrong, {"fault": 1})
                self.assertIn("got translated", r["wrong"]["first"][0])

    def test_each_part_of_a_fault_record(self):
        for place, flip in ((2, 0x1000), (3, 1 << 62), (3, 1 << 32), (3, 1),
                            (3, 1 << 31)):
            self.alter("FR", {place: lambda w, f=flip: "%x" % (int(w, 16) ^ f)},
                       {"fault": 1}, worlds=(["--direct"],))

    def test_faults_that_the_guest_does_not_clear(self):
        with kit.Altered(VTD) as rec:
            rec.lines("log.txt.xz", lambda lines: lines.__setitem__(
                lines.index("W 22c 80000000 4"), "W 22c 0 4"))
            wrong, _ = self.wrong(rec, "--no-snapshots", "--direct")
            self.assertGreaterEqual(wrong["fault"], 1)

    def test_a_fault_event_that_is_masked_for_nothing(self):
        with kit.Altered(VTD) as rec:
            replace(rec, "W 38 0 4", "W 38 80000000 4")
            code, r = kit.replay("--no-snapshots", "--direct", rec.path)
            self.assertEqual((code, r["interrupts"]), (0, 0))
            code, r = kit.replay("--no-snapshots", "--direct", VTD)
            self.assertEqual((code, r["interrupts"]),
                             (0, kit.log_counts(VTD)["FR"]))

    def test_what_the_registers_do(self):
        self.alter("QS", {1: "1203000"}, {"register": 1})
        self.alter("QS", {2: "80"}, {"register": 1})
        self.alter("QE", {1: "0"}, {"register": 1})
        self.alter("TE", {1: "0"}, {"register": 1})
        self.alter("ROOT", {1: "1e58000"}, {"register": 1})

    def test_invalidations_that_name_another_domain(self):
        """Looking into what is wrong does not make it right."""
        with kit.Altered(VTD) as rec:
            with lzma.open(rec.file("commands.bin.xz"), "w") as f:
                for w in kit.commands(VTD):
                    f.write(struct.pack("<4Q", w[0] ^ (w[0] & 0xf == 6) << 30,
                                        *w[1:]))
            for world in WORLDS:
                for cache in "fast", "hostile":
                    wrong, _ = self.wrong(rec, "--no-snapshots", "--cache",
                                          cache, *world)
                    self.assertGreater(wrong["translation"], 5)

    def test_a_command_that_is_none(self):
        with kit.Altered(VTD) as rec:
            data = bytearray(lzma.open(rec.file("commands.bin.xz")).read())
            data[100 * 32] = 0xf
            with lzma.open(rec.file("commands.bin.xz"), "w") as f:
                f.write(bytes(data))
            for world in WORLDS:
                wrong, r = self.wrong(rec, "--no-snapshots", *world)
                self.assertGreaterEqual(wrong["command"], 1)
                self.assertIn("command 100", r["wrong"]["first"][0])
                self.assertIn("IQERCD 0x3", r["wrong"]["first"][0])

    def test_a_command_with_a_reserved_bit(self):
        with kit.Altered(VTD) as rec:
            data = bytearray(lzma.open(rec.file("commands.bin.xz")).read())
            data[100 * 32 + 16] = 1
            with lzma.open(rec.file("commands.bin.xz"), "w") as f:
                f.write(bytes(data))
            for world in WORLDS:
                wrong, r = self.wrong(rec, "--no-snapshots", *world)
                self.assertGreaterEqual(wrong["command"], 1)
                self.assertIn("command 100", r["wrong"]["first"][0])
                self.assertIn("IQERCD 0x4", r["wrong"]["first"][0])

    def test_a_leaf_of_a_snapshot(self):
        def change(lines, place, text):
            at = next(i for i, line in enumerate(lines)
                      if line.startswith("2,") and ",rwu," in line)
            words = lines[at].split(",")
            words[place] = text
            lines[at] = ",".join(words)
        for place, text in ((4, "0x40001000"), (6, "r-u")):
            with kit.Altered(VTD) as rec:
                rec.lines("translations.csv.xz",
                          lambda lines, p=place, t=text: change(lines, p, t))
                for world in WORLDS:
                    wrong, r = self.wrong(rec, *world)
                    self.assertEqual(set(wrong), {"snapshot"})
                    self.assertIn("snapshot 2", r["wrong"]["first"][0])


class Mutate(unittest.TestCase):
    def mutate(self, kind):
        r = kit.run("replay", "--json", "--direct", "--mutate", kind,
                    "--seed", 3, "--mutations", 300, VTD)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        return json.loads(r.stdout)["mutations"]

    def test_each_kind_alters_what_it_says(self):
        # 6.5.2.4: DID 31:16 and PASID 51:32 of the first doubleword, AM 5:0
        # and the address 63:12 of the second
        masks = {"domain": (0xffff << 16, 0, 0, 0),
                 "pasid": (0xfffff << 32, 0, 0, 0),
                 "narrow": (0, ~0xfff & (1 << 64) - 1 | 0x3f, 0, 0)}
        commands = kit.commands(VTD)
        for kind, mask in masks.items():
            for m in self.mutate(kind):
                was, now = commands[m["index"]], [int(w, 16)
                                                  for w in m["words"]]
                self.assertNotEqual(list(was), now)
                for a, b, may in zip(was, now, mask):
                    self.assertEqual((a ^ b) & ~may, 0, (kind, m))
        for m in self.mutate("drop"):
            self.assertEqual([int(w, 16) for w in m["words"]], [5, 0, 0, 0])

    def test_a_narrow_one_names_half_or_the_range_behind(self):
        commands = kit.commands(VTD)
        for m in self.mutate("narrow"):
            am, now = commands[m["index"]][1], int(m["words"][1], 16)
            lg2, first = am & 0x3f, am & ~0xfff & -(0x1000 << (am & 0x3f))
            if lg2:
                self.assertEqual(now & 0x3f, lg2 - 1)
                self.assertIn((now & ~0xfff) - first,
                              (0, 0x1000 << (lg2 - 1)))
            else:
                self.assertEqual(now, am + 0x1000)


if __name__ == "__main__":
    unittest.main()
