#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""    test_recording.py RECORDING

One recording in full order: both cache policies, nested (unless the guest uses
stage 2 of an SMMUv3) and on the bare model, doorbells as recorded and merged. Nothing may be
wrong, nothing left out, and what the report says was done is what the recording
holds, counted here."""
import sys
import unittest

import kit

PATH = None


class Recording(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.meta = kit.meta(PATH)
        cls.log = kit.log_counts(PATH)
        cls.vtd = cls.meta["iommu"] == "Intel VT-d"
        cls.log_text = kit.unpack(PATH, "log.txt.xz")
        # only the bare model can replay these
        cls.stage2 = not cls.vtd and any(
            t["config"] in ("s2", "nested")
            for s in cls.meta["snapshots"] for t in s["tables"])

    def check(self, *args):
        code, r = kit.replay(*args, PATH)
        self.assertEqual((code, r["wrong"]["total"]), (0, 0), r["wrong"])
        self.assertEqual(r["commands"], self.meta["commands"])
        self.assertEqual(sum(r["opcodes"].values()), self.meta["commands"])
        self.assertEqual(r["events"], sum(self.log.values()))
        self.assertEqual(r["registers"], self.log["W"])
        self.assertEqual(r["translated"], self.meta["translations"])
        self.assertEqual(r["recorded_hits"] + r["recorded_misses"],
                         self.log["T"])
        self.assertEqual(r["bypassed"], self.log["B"])
        self.assertEqual(r["disabled"], self.log["O"])
        self.assertEqual(r["aborted"], self.log["A"])
        self.assertEqual(r["faults"], self.log["F"])
        self.assertEqual(r["recorded_interrupts"], self.log["Q"])
        self.assertGreaterEqual(r["reads"] + r["writes"],
                                self.log["T"] + self.log["B"])
        self.assertEqual(r["snapshots"], len(self.meta["snapshots"]))
        self.assertEqual(r["rows"],
                         sum(s["leaves"] for s in self.meta["snapshots"]))
        self.assertGreater(r["gaps"], r["snapshots"])
        if self.vtd:
            self.check_vtd_deviations(dict(r["deviations"]),
                                      "--direct" in args)
        else:
            self.check_deviations(r["deviations"])
        return r

    # QEMU's own, all of them known: each second record of a split access
    # comes without an interrupt here; stage-2 faults keep the page offset.
    def check_deviations(self, deviations):
        quiet = deviations.pop("interrupts for a record in a queue not empty",
                               0)
        self.assertLessEqual(quiet, self.log["F"])
        offset = deviations.pop("records the IPA with its offset in the page",
                                0)
        if not self.stage2:
            self.assertEqual(offset, 0)
        self.assertEqual(deviations, {})

    # What the log does not show, what Linux sets without looking at SSTS, and
    # what QEMU calls a fault: exactly as often as it is in the recording.
    def check_vtd_deviations(self, deviations, direct):
        lines = [line.split() for line in self.log_text.splitlines()]
        regs = self.meta["snapshots"][0]["registers"]
        ecap = int(regs["ECAP_HI"], 16) << 32
        scalable = any(f[0] == "ROOT" and f[2] == "1" for f in lines)
        self.assertEqual(deviations.pop(
            "does not log the entry that lets a device pass", 0),
            self.log["B"])
        self.assertEqual(deviations.pop(
            "takes PASID entries with AW without SSTS, which we add", 0),
            0 if ecap >> 46 & 1 else
            sum(f[0] == "R" and len(f) == 10 and bool(int(f[2], 16) & 0x1c)
                for f in lines))
        self.assertEqual(deviations.pop(
            "records fault reasons 5 and 6 in scalable mode", 0),
            sum(f[0] == "F" and f[2] in ("5", "6") for f in lines)
            if scalable or not direct else 0)
        told = deviations.pop(
            "reads tables a nested world must be told of", 0)
        self.assertLessEqual(told, 0 if direct else
                             self.log["P"] + self.log["R"] + self.log["B"])
        self.assertLessEqual(deviations.pop(
            "keeps no tables, and Linux frees one with IH=1", 0),
            self.tables_freed_late())
        self.assertEqual(deviations, {})

    # A page-selective invalidation with IH=1 right behind one with IH=0
    def tables_freed_late(self):
        found, before = 0, 1
        for w in kit.commands(PATH):
            if w[0] & 0xf in (0x2, 0x6) and w[0] >> 4 & 3 == 3:
                now = w[1] >> 6 & 1
                found += now and not before
                before = now
        return found

    def check_hostile(self, *args):
        r = self.check("--cache", "hostile", *args)
        self.assertGreaterEqual(r["hits"], r["recorded_hits"])
        return r

    def test_direct_fast(self):
        self.check("--direct", "--cache", "fast")

    def test_direct_hostile(self):
        self.check_hostile("--direct")

    def test_nested_fast(self):
        if self.stage2:
            return self.refused()
        r = self.check("--cache", "fast")
        self.assertGreaterEqual(r["rung"], r["doorbells"])
        if not self.vtd:  # no commands of our own
            self.assertEqual(r["rung"], r["doorbells"])

    def test_nested_hostile(self):
        if self.stage2:
            return self.refused()
        r = self.check_hostile()
        if self.vtd:
            return self.check_vtd_ioctls(r)
        # not one invalidation got lost or came twice on its way to the host
        sent = sum(n for name, n in r["opcodes"].items()
                   if "TLBI" in name or "ATC" in name)
        configs = r["opcodes"].get("CMD_CFGI_CD", 0)
        self.assertLessEqual(sent, r["ioctls"]["entries"])
        self.assertLessEqual(r["ioctls"]["entries"], sent + configs)
        self.assertEqual(sum(r["ioctls"]["ended_by"].values()),
                         r["ioctls"]["invalidate"])

    # First stage: each PASID-based invalidation reaches the host unless its
    # domain is not in use any more; a second stage is mapped instead.
    def check_vtd_ioctls(self, r):
        sent = r["opcodes"].get("PIOTLB", 0)
        own = r["rung"] - r["doorbells"]
        self.assertLessEqual(r["ioctls"]["entries"], sent + own)
        self.assertGreaterEqual(r["ioctls"]["entries"],
                                sent - 16 if sent > 16 else 0)
        self.assertGreater(r["ioctls"]["other"], 10)

    # In a ring the host sees what the guest wrote, and counts less than is in
    # the queue: what is for the VMM, and CMD_SYNCs. The recorded SMMU has no
    # ATS, so that auto means array.
    def test_rings_hostile(self):
        if self.stage2 or self.vtd:
            return self.refused("--queue", "ring")
        r = self.check_hostile("--queue", "ring")
        sent = sum(n for name, n in r["opcodes"].items()
                   if "TLBI" in name or "ATC" in name)
        self.assertGreater(r["ioctls"]["ring"], 0)
        self.assertLessEqual(r["ioctls"]["ring_commands"], r["commands"])
        self.assertLessEqual(sent, r["ioctls"]["ring_commands"] +
                             r["ioctls"]["entries"])

    def test_arrays_fast(self):
        if self.stage2:
            return self.refused()
        r = self.check("--queue", "array")
        self.assertEqual(r["ioctls"]["ring"], 0)

    def test_merged_doorbells_in_rings(self):
        if self.stage2 or self.vtd:
            return self.refused("--queue", "ring")
        code, r = kit.replay("--batch", "64", "--cache", "hostile",
                             "--queue", "ring", "--no-snapshots", PATH)
        self.assertEqual((code, r["wrong"]["total"]), (0, 0), r["wrong"])
        self.assertEqual(r["commands"], self.meta["commands"])
        self.assertGreater(r["ioctls"]["ring_commands"], r["commands"] / 4)

    def test_merged_doorbells(self):
        args = ["--direct"] if self.stage2 or self.vtd else []
        code, r = kit.replay("--batch", "64", "--cache", "hostile",
                             "--no-snapshots", *args, PATH)
        self.assertEqual((code, r["wrong"]["total"]), (0, 0), r["wrong"])
        self.assertEqual(r["commands"], self.meta["commands"])
        self.assertLess(r["rung"], r["doorbells"])
        if not args:
            self.assertLess(r["ioctls"]["invalidate"], r["doorbells"])

    def refused(self, *args):
        r = kit.run("replay", *args, PATH)
        self.assertEqual((r.returncode, r.stdout), (2, ""))
        self.assertIn("no ring" if self.vtd else "use --direct", r.stderr)


if __name__ == "__main__":
    PATH = kit.recording(sys.argv.pop(1))
    unittest.main()
