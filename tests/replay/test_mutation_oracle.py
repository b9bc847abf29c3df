#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The oracle against recordings written by hand, and against brute force."""
import json
import lzma
import os
import struct
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mutation_oracle  # noqa: E402

TRACE = os.path.join(os.environ["NESTFD_TRACES"], "smmuv3-s1-vfio-6.12")

SYNC = (0x46, 0)


def nh_va(iova, asid=5, num=0, scale=0, ttl=3, tg=1, vmid=0):
    return (0x12 | num << 12 | scale << 20 | vmid << 32 | asid << 48,
            iova | tg << 10 | ttl << 8 | 1)


def nh_asid(asid=5):
    return (0x11 | asid << 48, 0)


# Stream 0x28: STE at 0x1000 -> CD at 0x2000: ASID 5, 4 KiB granule, 39 bits
# (T0SZ 25), tables at 0x3000, 0x4000, 0x5000. IOVA 0x1000 has its descriptor
# at 0x5008, 0x2000 at 0x5010. 0xf43: page, nG, AF, user, read and write.
START = """\
R 1000 200b 0 0 0 0 0 0 0
R 2000 5000080000019 3000 0 0 0 0 0 0
P 3000 4003
P 4000 5003
S 28 1000
D 2000
"""


def page(iova, pa, low=0xf43):
    return "P %x %x\n" % (0x5000 + (iova >> 12) * 8, pa | low)


def use(iova, pa, perm=3, how="w"):
    return "T 28 %x %x %x 1 %s\n" % (iova, pa, perm, how)


class ByHand(unittest.TestCase):
    """Each log has its commands in place, as ("name", words)."""

    def judge(self, parts, mutations, events=b""):
        log, commands = START, []
        for part in parts:
            if isinstance(part, str):
                log += part
            else:
                log += "C %d NAME\n" % len(commands)
                commands.append(part)
        with tempfile.TemporaryDirectory() as tmp:
            with open(os.path.join(tmp, "meta.json"), "w") as f:
                json.dump({"iommu": "Arm SMMUv3", "commands": len(commands)}, f)
            with lzma.open(os.path.join(tmp, "commands.bin.xz"), "w") as f:
                for c in commands:
                    f.write(struct.pack("<QQ", *c))
            with lzma.open(os.path.join(tmp, "log.txt.xz"), "w") as f:
                f.write(log.encode())
            with open(os.path.join(tmp, "events.bin"), "wb") as f:
                f.write(events)
            altered = os.path.join(tmp, "altered.json")
            with open(altered, "w") as f:
                json.dump({"mutations": mutations}, f)
            result = mutation_oracle.judge(tmp, altered)
        self.assertEqual(result["notes"],
                         {"unexplained": 0, "stale_unaltered": 0})
        return result

    def flags(self, parts, *mutations):
        return self.judge(parts, list(mutations))["must_flag"]

    @staticmethod
    def drop(index):
        return {"index": index, "kind": "drop"}

    @staticmethod
    def alter(index, words, kind="x"):
        return {"index": index, "kind": kind, "words": ["%x" % w for w in words]}

    ONE_PAGE = [page(0x1000, 0xa000), use(0x1040, 0xa040), page(0x1000, 0),
                nh_va(0x1000), SYNC, page(0x1000, 0xb000), use(0x1080, 0xb080)]

    def test_a_dropped_invalidation_of_a_page_used_again_is_flagged(self):
        result = self.judge(self.ONE_PAGE, [self.drop(0)])
        self.assertEqual(result["must_flag"], [0])
        d = result["detail"][0]
        self.assertEqual((d["iova"], d["pa"], d["cached_pa"], d["stream"]),
                         ("1080", "b080", "a080", 0x28))

    def test_the_unaltered_command_is_not_flagged(self):
        self.assertEqual(self.flags(self.ONE_PAGE, self.alter(0, nh_va(0x1000))),
                         [])

    def test_a_dropped_sync_is_not_judged(self):
        result = self.judge(self.ONE_PAGE, [self.drop(1)])
        self.assertEqual((result["must_flag"], result["not_judged"]), ([], [1]))

    def test_another_address_asid_or_vmid_is_flagged(self):
        for words in (nh_va(0x2000), nh_va(0x1000, asid=4),
                      nh_va(0x1000, vmid=1), nh_asid(4)):
            self.assertEqual(self.flags(self.ONE_PAGE, self.alter(0, words)),
                             [0], words)

    def test_a_wider_invalidation_is_not_flagged(self):
        for words in (nh_asid(), (0x30, 0), (0x10, 0), (0x13, 0x1000),
                      nh_va(0, num=1, ttl=3), nh_va(0x1000, ttl=0),
                      nh_va(0x1000, tg=0, ttl=1)):
            self.assertEqual(self.flags(self.ONE_PAGE, self.alter(0, words)),
                             [], words)

    def test_a_wrong_level_or_granule_is_flagged(self):
        for words in (nh_va(0x1000, ttl=2), nh_va(0x1000, ttl=1),
                      nh_va(0x1000, tg=2)):
            self.assertEqual(self.flags(self.ONE_PAGE, self.alter(0, words)),
                             [0], words)

    def test_stage_2_commands_do_not_remove_stage_1_entries_by_address(self):
        self.assertEqual(self.flags(self.ONE_PAGE,
                                    self.alter(0, (0x2a, 0x1000))), [0])
        self.assertEqual(self.flags(self.ONE_PAGE, self.alter(0, (0x28, 0))),
                         [])

    def test_the_same_mapping_again_is_not_observable(self):
        parts = self.ONE_PAGE[:5] + [page(0x1000, 0xa000), use(0x1080, 0xa080)]
        self.assertEqual(self.flags(parts, self.drop(0)), [])

    def test_but_a_survivor_may_show_later(self):
        """A block with the same output hides it; TTL 2 removes the block."""
        parts = [page(0x1000, 0x201000), use(0x1040, 0x201040),
                 nh_va(0x1000), SYNC,
                 "P 4000 200f41\n", use(0x1080, 0x201080)]
        self.assertEqual(self.flags(parts, self.drop(0)), [])
        parts += [nh_va(0, ttl=2), "P 4000 400f41\n", use(0x1080, 0x401080)]
        self.assertEqual(self.flags(parts, self.drop(0)), [0])

    def test_other_permissions_are_observable(self):
        parts = self.ONE_PAGE[:5] + [page(0x1000, 0xa000, 0xfc3),
                                     use(0x1080, 0xa080, perm=1)]
        self.assertEqual(self.flags(parts, self.drop(0)), [0])

    def test_a_later_invalidation_mends_it(self):
        for words in (nh_va(0x1000), nh_asid(), nh_va(0, num=3), (0x30, 0)):
            parts = self.ONE_PAGE[:5] + [words] + self.ONE_PAGE[5:]
            self.assertEqual(self.flags(parts, self.drop(0)), [], words)
        for words in (nh_va(0x2000), nh_asid(6), nh_va(0, num=0)):
            parts = self.ONE_PAGE[:5] + [words] + self.ONE_PAGE[5:]
            self.assertEqual(self.flags(parts, self.drop(0)), [0], words)

    def test_a_narrower_range_leaves_the_second_page(self):
        parts = [page(0x1000, 0xa000), page(0x2000, 0xc000),
                 use(0x1000, 0xa000), use(0x2000, 0xc000),
                 page(0x1000, 0xb000), page(0x2000, 0xd000),
                 nh_va(0x1000, num=1), SYNC, use(0x1000, 0xb000)]
        narrow = self.alter(0, nh_va(0x1000))
        self.assertEqual(self.flags(parts, narrow), [])
        self.assertEqual(self.flags(parts + [use(0x2000, 0xd000)], narrow), [0])

    def test_a_page_that_is_never_used_again_is_not_flagged(self):
        self.assertEqual(self.flags(self.ONE_PAGE[:6], self.drop(0)), [])

    def test_a_hit_is_not_judged(self):
        parts = self.ONE_PAGE[:6] + [use(0x1080, 0xb080, how="h")]
        self.assertEqual(self.flags(parts, self.drop(0)), [])

    def test_a_fault_is_reported_apart(self):
        event = struct.pack("<4Q", 0x2800000010, 0, 0x1080, 0)
        parts = self.ONE_PAGE[:5] + ["F SMMU_EVT_F_TRANSLATION 28\n"]
        result = self.judge(parts, [self.drop(0)], event)
        self.assertEqual((result["must_flag"], result["at_fault"]), ([], [0]))

    def test_a_global_page_needs_its_address_and_survives_its_asid(self):
        parts = [page(0x1000, 0xa000, 0x743), use(0x1040, 0xa040),
                 nh_va(0x1000), page(0x1000, 0xb000, 0x743),
                 use(0x1080, 0xb080)]
        self.assertEqual(self.flags(parts, self.alter(0, nh_asid())), [0])
        self.assertEqual(self.flags(parts, self.alter(0, nh_va(0x1000, 9))),
                         [])

    def test_alterations_are_judged_alone(self):
        again = [page(0x1000, 0xc000), nh_va(0x1000), use(0x1000, 0xc000)]
        parts = self.ONE_PAGE + again
        self.assertEqual(self.flags(parts, self.drop(0), self.drop(2)), [0, 2])
        parts = self.ONE_PAGE[:5] + again
        self.assertEqual(self.flags(parts, self.drop(0), self.drop(2)), [])


class BruteForce(mutation_oracle.Oracle):
    """One altered command, carried out on the cache itself."""

    def __init__(self, path, mutation):
        super().__init__(path, [])
        self.mutation = mutation
        self.entries = []
        self.flagged = False

    def on_command(self, index):
        sel = mutation_oracle.Selection(
            *struct.unpack_from("<QQ", self.commands, index * 16))
        if index == self.mutation["index"]:
            sel = self.mutation["selection"]
        if sel:
            self.entries = [e for e in self.entries if not sel.removes(e)]

    def on_translate(self, line, stream, iova, pa, perm, walked):
        regime = self.regimes[stream]
        for e in self.entries:
            if ((e.vmid, e.asid) == regime.tag
                    and e.base <= iova < e.base + e.size):
                if walked and (e.pa + iova - e.base, e.perm) != (pa, perm):
                    self.flagged = True
                return
        leaf, desc = regime.walk(self.memory, iova)
        self.entries.append(mutation_oracle.Entry(regime.leaf_tag(desc), leaf,
                                                  perm, line))


class OnARecording(unittest.TestCase):
    def mutations(self):
        data = lzma.open(os.path.join(TRACE, "commands.bin.xz")).read()
        for i in range(len(data) // 16):
            w0, w1 = struct.unpack_from("<QQ", data, i * 16)
            if w0 & 0xff != 0x12:
                continue
            yield {"index": i, "kind": "drop"}
            yield {"index": i, "kind": "narrow", "words": [
                "%x" % (w0 & ~0x1f1f000), "%x" % w1]}

    def test_one_pass_agrees_with_brute_force(self):
        everything = list(self.mutations())
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump({"mutations": everything}, f)
            f.flush()
            count = everything[-1]["index"] + 1
            mutations = mutation_oracle.read_mutations(f.name, count)
        oracle = mutation_oracle.Oracle(TRACE, mutations)
        oracle.run()
        self.assertEqual(oracle.notes, {"unexplained": 0, "stale_unaltered": 0})
        flagged = [m for m in mutations if id(m) in oracle.detail]
        others = [m for m in mutations if id(m) not in oracle.detail]
        self.assertGreater(len(flagged), 20)
        for m in flagged + others[::len(others) // 15]:
            brute = BruteForce(TRACE, m)
            brute.run()
            self.assertEqual(brute.flagged, id(m) in oracle.detail,
                             (m["index"], m["kind"]))


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
