#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""    test_mutations.py RECORDING COUNT SEEDS [OPTION...]

Altered invalidations: COUNT of each kind for each seed from 1 on. Every one
that mutation_oracle.py (vtd_oracle.py) says must be noticed is; nothing that was noticed has
another explanation. What the oracle does not model are walk caches, so an
alteration of a command that removes tables as well may be noticed in addition,
and of no other."""
import json
import sys
import tempfile
import unittest

import atc_oracle
import kit
import mutation_oracle
import vtd_oracle

PATH, COUNT, SEEDS, OPTIONS = None, 0, 0, []
ORACLE, KINDS = mutation_oracle, ("drop", "narrow", "asid", "ttl")
ATC_ORACLE, ATC_KINDS = None, ("atc-drop", "atc-narrow")


def mutate(kind, seed, count, options=()):
    r = kit.run("replay", "--json", "--mutate", kind, "--seed", seed,
                "--mutations", count, *options, PATH)
    if r.returncode or r.stderr:
        raise AssertionError("%d: %s" % (r.returncode, r.stderr))
    return json.loads(r.stdout)


def judge(mutations, by):
    """One pass of the oracle over any number of alterations"""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump({"mutations": mutations}, f)
        f.flush()
        meta = kit.meta(PATH)
        listed = by.read_mutations(f.name, meta["commands"])
    oracle = by.Oracle(PATH, listed)
    oracle.run()
    return ([id(m) in oracle.detail for m in listed],
            [m["index"] in oracle.at_fault for m in listed])


def removes_tables(word0, word1):
    """IHI 0070 4.4: by address with Leaf=0, or without an address"""
    by_address = word0 & 0xFF in (0x12, 0x13, 0x2A)
    return not by_address or not word1 & 1


def choose_oracle():
    global ORACLE, KINDS, ATC_ORACLE, removes_tables
    ATC_ORACLE = atc_oracle.of(PATH, kit.meta(PATH))
    if kit.meta(PATH)["iommu"] == "Intel VT-d":
        ORACLE, removes_tables = vtd_oracle, vtd_oracle.removes_tables
        # legacy mode and second stages have no PASID-based invalidations
        has_pasid = COUNT <= sum(w[0] & 0xf == 0x6 for w in kit.commands(PATH))
        KINDS = ("drop", "narrow", "domain") + ("pasid",) * has_pasid


class Mutations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.choose()
        cls.mutations = []
        for kind in cls.kinds:
            for seed in range(1, SEEDS + 1):
                d = mutate(kind, seed, COUNT, OPTIONS)
                assert d["unexplained"] == 0, d.get("unexplained_why")
                cls.mutations += d["mutations"]
        cls.must, cls.at_fault = judge(cls.mutations, cls.oracle)
        words = kit.commands(PATH)
        cls.tables = [cls.oracle is ORACLE
                      and removes_tables(*words[m["index"]])
                      for m in cls.mutations]
        print("%d altered: %d noticed, %d must be, %d more at faults" % (
            len(cls.mutations), sum(m["flagged"] for m in cls.mutations),
            sum(cls.must), sum(cls.at_fault)))

    @classmethod
    def choose(cls):
        cls.kinds, cls.oracle = KINDS, ORACLE

    def test_what_must_be_noticed_is(self):
        missed = [m for m, must in zip(self.mutations, self.must)
                  if must and not m["flagged"]]
        self.assertEqual(missed, [])
        self.assertGreater(sum(self.must), SEEDS // 2)

    def test_nothing_else_is_noticed(self):
        more = [m for m, must, fault, tables
                in zip(self.mutations, self.must, self.at_fault, self.tables)
                if m["flagged"] and not (must or fault or tables)]
        self.assertEqual(more, [])

    def test_every_kind_and_seed_gave_what_was_asked_for(self):
        for kind in self.kinds:
            n = sum(m["kind"] == kind for m in self.mutations)
            self.assertEqual(n, COUNT * SEEDS, kind)


# A host that invalidates devices' TLBs with its HWPTs (VT-d) does not need the
# guest's, so that dropping these is of no consequence there.
class AtcMutations(Mutations):
    @classmethod
    def choose(cls):
        if not ATC_ORACLE:
            raise unittest.SkipTest("no devices' caches")
        if ATC_ORACLE is atc_oracle.Vtd and "--direct" not in OPTIONS:
            raise unittest.SkipTest("the host does not need them")
        cls.kinds, cls.oracle = ATC_KINDS, ATC_ORACLE


if __name__ == "__main__":
    PATH = kit.recording(sys.argv[1])
    COUNT, SEEDS = int(sys.argv[2]), int(sys.argv[3])
    OPTIONS = sys.argv[4:]
    choose_oracle()
    unittest.main(argv=sys.argv[:1])
