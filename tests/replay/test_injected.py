#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""    test_injected.py RECORDING SEEDS

Errors injected at random commands, SEEDS seeds of each kind: both cache
policies, nested (unless the guest uses stage 2) and on the bare model, doorbells
as recorded and merged. The guest's queue stops, the guest goes over it, and in
the end not one access is wrong, and none had another translation than without
errors."""
import sys
import unittest

import kit

PATH, SEEDS = None, 0

# What a replay without errors must have in common with one that has some
SAME = ("events", "commands", "opcodes", "doorbells", "rung", "registers",
        "translated", "bypassed", "disabled", "aborted", "reads", "writes",
        "hits", "misses", "faults", "deviations")


class Injected(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        meta = kit.meta(PATH)
        types = [w[0] & 0xff for w in kit.commands(PATH)]
        if meta["iommu"] == "Intel VT-d":
            # both are Invalidation Queue Errors
            cls.stops, cls.ill, cls.abt = ("iqe", "ite", "ice"), "iqe", "iqe"
            types = [t & 0xf for t in types]
            cls.dev_tlb = types.count(0x3) + types.count(0x8)
            cls.syncs = types.count(0x5)
            # IOTLB or PASID-based IOTLB, of which there are most
            cls.tlbi = max((0x2, 0x6), key=types.count)
            # a second stage is mapped by the host, whose errors are its own
            cls.worlds = ([], ["--direct"]) if cls.tlbi == 0x6 else (
                ["--direct"],)
        else:
            stage2 = any(t["config"] in ("s2", "nested")
                         for s in meta["snapshots"] for t in s["tables"])
            cls.stops, cls.ill, cls.abt = (
                ("ill", "abt", "atc_inv_sync"), "ill", "abt")
            cls.worlds = (["--direct"],) if stage2 else ([], ["--direct"])
            cls.dev_tlb = types.count(0x40)
            # ranges, as the guest's SMMU has them; with ATS in both ways
            if cls.dev_tlb:
                cls.worlds = (["--queue", "array"], ["--queue", "ring"],
                              ["--direct"])
            cls.syncs = types.count(0x46)
            # TLBI_NH_VA or TLBI_S2_IPA
            cls.tlbi = 0x2a if stage2 else 0x12
        cls.tlbis = types.count(cls.tlbi)
        cls.hosts_too = meta["iommu"] == "Intel VT-d"
        cls.plain = {}

    def reference(self, args):
        if args not in self.plain:
            code, r = kit.replay("--no-snapshots", *args, PATH)
            self.assertEqual(code, 0)
            self.plain[args] = {name: r[name] for name in SAME}
        return self.plain[args]

    def check(self, args, *rules, but=()):
        """What was injected, once nothing is wrong"""
        words = [word for rule in rules for word in ("--inject", rule)]
        code, r = kit.replay("--no-snapshots", *args, *words, PATH)
        self.assertEqual((code, r["wrong"]["total"]), (0, 0),
                         (args, rules, r["injected"], r["wrong"]))
        reference = self.reference(tuple(args))
        for name in SAME:
            if name not in but:
                self.assertEqual(r[name], reference[name], (args, rules))
        return r["injected"]

    def each(self):
        """Options, whether the guest drives the hardware, and a seed"""
        for world in self.worlds:
            for cache in ("fast", "hostile"):
                for batch in ("1", "64"):
                    for seed in range(1, SEEDS + 1):
                        yield (world + ["--cache", cache, "--batch", batch],
                               "--direct" in world, seed)

    def test_illegal_invalidations(self):
        faults = 0
        for args, direct, seed in self.each():
            i = self.check(args, "ill:p=0.05,op=%d,seed=%d" % (self.tlbi, seed))
            # all are the guest's own; only VT-d's hosts have such, too
            stops = [i[s] for s in self.stops]
            if self.hosts_too and not direct:
                self.assertLessEqual(stops[0], i["faults"])
                self.assertGreater(stops[0], i["faults"] * 0.9)
            else:
                self.assertEqual(stops[0], i["faults"])
            self.assertEqual(stops[1:], [0, 0])
            faults += i["faults"]
        # each row of chances is one of SEEDS
        self.assertGreater(faults, self.tlbis * 0.05 * SEEDS / 2)

    def test_any_command_illegal(self):
        for args, direct, seed in self.each():
            # a host gives its unit up after eight in a row at one place
            i = self.check(args, "ill:p=0.05,seed=%d" % seed)
            self.assertGreater(i[self.ill], 0)
            self.assertLessEqual(i[self.ill], i["faults"])
            if direct:
                self.assertEqual(i[self.ill], i["faults"])

    def test_aborted_fetches(self):
        for args, direct, seed in self.each():
            i = self.check(args, "abt:p=0.05,seed=%d" % seed)
            self.assertGreater(i["faults"], 0)
            # a host tries again by itself
            self.assertEqual(i[self.abt], i["faults"] if direct else 0)

    def test_slow_syncs(self):
        for args, _, seed in self.each():
            i = self.check(args, "slow-sync:p=0.01,us=50,seed=%d" % seed)
            self.assertEqual([i[s] for s in self.stops], [0, 0, 0])
            self.assertLess(i["faults"], self.syncs)

    # A guest sends again what an aborted wait was for. On a host the device is
    # quarantined when it has failed often enough: it is reset, and does without
    # ATS if that is of no use.
    QUARANTINED = ("rung", "hits", "misses", "registers", "deviations")

    def each_with_device_tlbs(self):
        if not self.dev_tlb:
            self.skipTest("no device TLBs")
        worlds = self.worlds if ["--direct"] != self.worlds[0] else (
            [], ["--direct"])
        for world in worlds:
            for cache in ("fast", "hostile"):
                for batch in ("1", "64"):
                    for seed in range(1, SEEDS + 1):
                        yield (world + ["--cache", cache, "--batch", batch],
                               "--direct" in world, seed)

    def test_devices_that_do_not_answer(self):
        for args, direct, seed in self.each_with_device_tlbs():
            i = self.check(args, "atc-timeout:p=0.05,seed=%d" % seed,
                           but=self.QUARANTINED)
            self.assertGreater(i["faults"], 3)
            lost = i[self.stops[1 if self.hosts_too else 2]]
            if direct:  # several may be lost at one wait
                self.assertGreater(lost, 0)
                self.assertLessEqual(lost, i["faults"])
                self.assertGreater(i["faults"], self.dev_tlb * 0.02)
                self.assertLess(i["resets"], i["faults"] * 0.05)
                self.assertEqual(i["without_ats"], 0)
            else:
                self.assertGreater(i["resets"], 0)

    def test_devices_that_answer_late(self):
        for args, _, seed in self.each_with_device_tlbs():
            i = self.check(args, "atc-late:p=0.05,us=20,seed=%d" % seed)
            self.assertEqual([i[s] for s in self.stops], [0, 0, 0])
            self.assertGreater(i["faults"], self.dev_tlb * 0.02)
            self.assertEqual((i["resets"], i["without_ats"]), (0, 0))

    def test_devices_that_are_gone(self):
        for args, _, seed in self.each_with_device_tlbs():
            i = self.check(args, "gone:p=0.05,seed=%d" % seed,
                           but=self.QUARANTINED)
            self.assertGreater(i["faults"], 0)
            self.assertGreater(i["resets"], 0)

    # not often enough for a quarantine, unless all fail that a host asks
    def test_a_device_that_fails_once(self):
        for args, direct, seed in self.each_with_device_tlbs():
            i = self.check(args, "atc-timeout:p=0.01,n=1,seed=%d" % seed,
                           but=self.QUARANTINED)
            self.assertLessEqual(i["faults"], 1)
            self.assertEqual(i["without_ats"], 0)

    def test_answers_to_nobody(self):
        if not self.hosts_too:
            self.skipTest("not of this architecture")
        for args, direct, seed in self.each_with_device_tlbs():
            i = self.check(args, "atc-bad:p=0.05,seed=%d" % seed,
                           but=self.QUARANTINED)
            self.assertGreater(i["faults"], 3)
            if direct:
                self.assertGreater(i["ice"], 0)

    def test_all_of_it_together(self):
        for args, _, seed in self.each():
            i = self.check(args,
                           "ill:p=0.02,seed=%d" % seed,
                           "abt:p=0.02,seed=%d" % seed,
                           "slow-sync:p=0.01,us=20,seed=%d" % seed)
            self.assertGreater(i[self.ill], 0)


if __name__ == "__main__":
    PATH = kit.recording(sys.argv.pop(1))
    SEEDS = int(sys.argv.pop(1))
    unittest.main()
