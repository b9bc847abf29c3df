#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nestfd replay --inject as a user meets it, that its checks can fail, and what
no recording in the tree has: ATCs."""
import collections
import json
import lzma
import os
import struct
import unittest

import kit

VFIO = kit.trace("smmuv3-s1-vfio-6.12")
WORLDS = ([], ["--direct"])
WORDS = ("KIND[:p=PROBABILITY][,n=COUNT][,dev=SID][,op=OPCODE][,us=DELAY]"
         "[,seed=N]")


def inject(*args, path=VFIO):
    """(exit code, report) without what depends on the clock"""
    code, r = kit.replay("--no-snapshots", *args, path)
    return code, {k: v for k, v in r.items() if not k.endswith("_ns")}


class Usage(unittest.TestCase):
    def refuse(self, line, *args):
        r = kit.run("replay", *args, VFIO)
        self.assertEqual((r.returncode, r.stdout), (2, ""), args)
        self.assertEqual(r.stderr.split("\n")[0], "nestfd replay: " + line)

    def test_what_is_no_fault(self):
        for text in ("", "x", "ill:", "ill:p=0", "ill:p=1.5", "ill:n=x",
                     "abt:dev=1", "ill:n=1,n=2"):
            self.refuse("--inject %s: must be %s" % (text, WORDS),
                        "--inject", text)

    def test_help_tells_of_it(self):
        r = kit.run("replay", "--help")
        self.assertIn("--inject=FAULT", r.stdout)

    def test_the_report_for_people(self):
        r = kit.run("replay", "--direct", "--no-snapshots", "--inject",
                    "ill:n=3", "--inject", "abt:n=2", VFIO)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertIn("  injected      5 faults; the guest's queue stopped: "
                      "ILL 3, ABT 2, ATC_INV_SYNC 0\n", r.stdout)
        r = kit.run("replay", "--direct", "--no-snapshots", VFIO)
        self.assertNotIn("injected", r.stdout)

    def test_each_recording_gets_the_same(self):
        r = kit.run("replay", "--json", "--no-snapshots", "--inject",
                    "ill:p=0.1,op=0x12", VFIO, VFIO)
        first, second = json.loads(r.stdout)["recordings"]
        self.assertEqual(first["injected"], second["injected"])
        self.assertGreater(first["injected"]["ill"], 300)


class Seeds(unittest.TestCase):
    def test_a_seed_always_gives_the_same(self):
        for world in WORLDS:
            args = ("--cache", "hostile", "--inject", "ill:p=0.03,seed=7",
                    *world)
            self.assertEqual(inject(*args), inject(*args))

    def test_another_seed_gives_something_else(self):
        counts = {inject("--direct", "--inject", "ill:p=0.1,seed=%d" % seed)
                  [1]["injected"]["ill"] for seed in range(8)}
        self.assertGreater(len(counts), 1)


class Wrong(unittest.TestCase):
    """Errors that no guest overcomes are wrong, and are told."""

    def test_a_queue_that_never_goes_on(self):
        for rule in ("ill:op=0x12", "abt"):
            code, r = inject("--direct", "--inject", rule)
            self.assertEqual(code, 1)
            self.assertGreater(r["wrong"]["command"], 1000)
            self.assertGreater(r["wrong"]["translation"], 100)
            self.assertIn("CMDQ_CONS", r["wrong"]["first"][0])

    def test_a_unit_that_is_dead(self):
        code, r = inject("--inject", "abt")
        self.assertEqual(code, 1)
        self.assertGreater(r["wrong"]["command"], 1000)

    def test_a_command_that_is_illegal_anyway(self):
        with kit.Altered(VFIO) as rec:
            set_commands(rec, lambda n, words: (0xff, 0) if n == 100
                         else words)
            code, r = inject("--direct", "--inject", "slow-sync:n=1",
                             path=rec.path)
            self.assertEqual(code, 1)
            self.assertIn("command 100", r["wrong"]["first"][0])


def set_commands(rec, change):
    words = [change(n, w) for n, w in enumerate(kit.commands(rec.path))]
    with lzma.open(rec.file("commands.bin.xz"), "w") as f:
        f.write(b"".join(struct.pack("<QQ", *w) for w in words))


class WithAtcs(unittest.TestCase):
    """CMD_PREFETCH_CONFIG, which does nothing, made CMD_ATC_INV to the same
    StreamID for all addresses (IHI 0070 4.5.1: Size 52), and IDR0.ATS."""

    @classmethod
    def setUpClass(cls):
        cls.rec = kit.Altered(VFIO)
        cls.addClassCleanup(cls.rec.dir.cleanup)
        with open(cls.rec.file("meta.json")) as f:
            meta = json.load(f)
        for snapshot in meta["snapshots"]:
            idr0 = snapshot["registers"]["IDR0"]
            value = (int(idr0, 0) if isinstance(idr0, str) else idr0) | 1 << 10
            snapshot["registers"]["IDR0"] = (
                hex(value) if isinstance(idr0, str) else value)
        os.unlink(cls.rec.file("meta.json"))
        with open(cls.rec.file("meta.json"), "w") as f:
            json.dump(meta, f)
        set_commands(cls.rec, lambda _, w: w if w[0] & 0xff != 0x01
                     else (w[0] & ~0xff | 0x40, 52))
        # a device is there, in a replay, if the recording has DMA of it
        devices = {int(sid, 16) for sid in meta["translations_by_stream"]}
        cls.answered = collections.Counter(
            w[0] >> 32 for w in kit.commands(cls.rec.path)
            if w[0] & 0xff == 0x40 and w[0] >> 32 in devices)

    def check(self, *rules):
        args = [word for rule in rules for word in ("--inject", rule)]
        code, r = inject("--direct", "--cache", "hostile", *args,
                         path=self.rec.path)
        self.assertEqual((code, r["wrong"]["total"]), (0, 0), r["wrong"])
        return r

    def test_they_are_there(self):
        self.assertGreater(sum(self.answered.values()), 8)
        r = self.check()
        self.assertEqual(r["opcodes"]["CMD_ATC_INV"], 12)

    def test_the_sync_fails_and_then_does_not(self):
        i = self.check("atc-timeout")["injected"]
        # two CMD_ATC_INVs may share a CMD_SYNC
        self.assertEqual(i["faults"], sum(self.answered.values()))
        self.assertLessEqual(i["atc_inv_sync"], i["faults"])
        self.assertGreater(i["atc_inv_sync"], 0)
        self.assertEqual((i["ill"], i["abt"]), (0, 0))

    def test_by_count_and_device(self):
        self.assertEqual(self.check("atc-timeout:n=3")["injected"]["faults"],
                         3)
        for sid, times in self.answered.items():
            i = self.check("atc-timeout:dev=%d" % sid)["injected"]
            self.assertEqual(i["faults"], times)

    def test_an_answer_that_is_late(self):
        i = self.check("atc-late:us=100")["injected"]
        self.assertEqual(list(i.values()),
                         [sum(self.answered.values()), 0, 0, 0, 0, 0])


if __name__ == "__main__":
    unittest.main()
