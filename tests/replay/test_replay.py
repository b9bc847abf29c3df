#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nestfd replay and probe as a user meets them: exit codes, messages, and that
each check of a replay can fail."""
import json
import lzma
import os
import signal
import subprocess
import time
import unittest

import kit

VFIO = kit.trace("smmuv3-s1-vfio-6.12")
LAZY = kit.trace("smmuv3-s1-lazy-6.12")
WORLDS = ([], ["--direct"])


class Usage(unittest.TestCase):
    def refuse(self, *args):
        r = kit.run("replay", *args)
        self.assertEqual((r.returncode, r.stdout), (2, ""), args)
        self.assertTrue(r.stderr.startswith("nestfd replay: "), r.stderr)

    def test_wrong_options(self):
        for args in ((), ("--bogus", VFIO), ("--cache", "slow", VFIO),
                     ("--cache",), ("--batch", "0", VFIO),
                     ("--batch", "x", VFIO), ("--batch", "-1", VFIO),
                     ("--batch", "99999999", VFIO), ("--mutate", "all", VFIO),
                     ("--mutate", "", VFIO), ("--seed", "", VFIO),
                     ("--mutations", "1e3", VFIO),
                     ("--mutate", "drop", VFIO, LAZY)):
            self.refuse(*args)

    def test_help_names_the_default_cache_and_the_exit_status(self):
        r = kit.run("replay", "--help")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertIn("fast (the default)", r.stdout)
        self.assertIn("Exit status", r.stdout)


class BadRecordings(unittest.TestCase):
    def refuse(self, path, *parts):
        r = kit.run("replay", path)
        self.assertEqual((r.returncode, r.stdout), (2, ""))
        self.assertEqual(r.stderr.count("\n"), 1, r.stderr)
        self.assertTrue(r.stderr.startswith("nestfd: "), r.stderr)
        for part in parts:
            self.assertIn(part, r.stderr)

    def test_a_folder_that_is_not_there(self):
        self.refuse("/nowhere/at/all", "/nowhere/at/all/meta.json")

    def test_a_truncated_log(self):
        with kit.Altered(VFIO) as rec:
            size = os.path.getsize(rec.file("log.txt.xz"))
            rec.cut("log.txt.xz", size // 2)
            r = kit.run("replay", rec.path)
            self.assertEqual(r.returncode, 2)
            self.assertEqual(r.stderr.count("\n"), 1, r.stderr)
            self.assertRegex(r.stderr, r"log\.txt\.xz:\d+: ")

    def test_a_missing_part(self):
        with kit.Altered(VFIO) as rec:
            os.unlink(rec.file("commands.bin.xz"))
            self.refuse(rec.path, "commands.bin.xz")

    def test_another_architecture(self):
        with kit.Altered(VFIO) as rec:
            meta = kit.meta(rec.path)
            meta["iommu"] = "RISC-V"
            with open(rec.file("meta.json"), "w") as f:
                json.dump(meta, f)
            r = kit.run("replay", rec.path)
            self.assertEqual((r.returncode, r.stdout), (2, ""))
            self.assertEqual(r.stderr.count("\n"), 1, r.stderr)

    def test_a_guest_with_stage_2_is_told_to_use_direct(self):
        with kit.Altered(VFIO) as rec:
            meta = kit.meta(rec.path)
            ste = meta["snapshots"][0]["tables"][0]["ste"]
            ste[0] = "%x" % (int(ste[0], 16) | 0xc)  # Config: both stages
            with open(rec.file("meta.json"), "w") as f:
                json.dump(meta, f)
            self.refuse(rec.path, "use --direct")

    def test_a_doorbell_that_is_not_that_of_its_commands(self):
        with kit.Altered(VFIO) as rec:
            rec.lines("log.txt.xz", lambda lines: lines.__setitem__(
                lines.index("W 98 4 4"), "W 98 3 4"))
            self.refuse(rec.path, "log.txt.xz:", "doorbell")

    def test_a_word_outside_of_memory(self):
        with kit.Altered(VFIO) as rec:
            rec.line("log.txt.xz", "P", {1: "ffffffff8"})
            self.refuse(rec.path, "log.txt.xz:", "not in the guest's memory")

    def test_a_register_that_is_none(self):
        with kit.Altered(VFIO) as rec:
            rec.line("log.txt.xz", "W", {1: "fffffffc"})
            self.refuse(rec.path, "log.txt.xz:1:", "register")

    def test_a_queue_that_is_nowhere(self):
        for value in ("4000000000000010", "400000005b70001f"):
            with kit.Altered(VFIO) as rec:
                rec.lines("log.txt.xz", lambda lines: lines.__setitem__(
                    next(i for i, text in enumerate(lines)
                         if text.startswith("W 90 ")), "W 90 %s 8" % value))
                self.refuse(rec.path, "log.txt.xz:", "queue")

    def test_memory_of_no_sensible_size(self):
        for change in ({"ram_mib": 0}, {"ram_mib": 1 << 31},
                       {"ram_base": "0x40000001"}, {"ram_base": "0x0"},
                       {"ram_base": "0xffffffffffe00000"}):
            with kit.Altered(VFIO) as rec:
                meta = kit.meta(rec.path)
                meta.update(change)
                with open(rec.file("meta.json"), "w") as f:
                    json.dump(meta, f)
                self.refuse(rec.path)

    def test_the_other_recordings_are_replayed_all_the_same(self):
        r = kit.run("replay", "--no-snapshots", "/nowhere", VFIO)
        self.assertEqual(r.returncode, 2)
        self.assertIn("1 recording, 8952 commands", r.stdout)


class EveryCheckCanFail(unittest.TestCase):
    """One thing in the recording is made untrue: exactly that is reported."""

    def replay(self, rec, *args):
        code, r = kit.replay(*args, rec.path)
        self.assertEqual(code, 1 if r["wrong"]["total"] else 0)
        return {kind: n for kind, n in r["wrong"].items()
                if n and kind not in ("first", "total")}, r

    def expect(self, rec, kinds, *args):
        for world in WORLDS:
            wrong, r = self.replay(rec, "--no-snapshots", *world, *args)
            self.assertEqual(set(wrong), set(kinds), r["wrong"])
        return r

    def test_the_address_of_a_translation(self):
        with kit.Altered(VFIO) as rec:
            rec.line("log.txt.xz", "T", {3: lambda pa: "%x" % (
                int(pa, 16) ^ 0x1000)}, 5)
            r = self.expect(rec, ["translation"])
            self.assertEqual(r["wrong"]["translation"], 1)
            self.assertIn("expected translated to", r["wrong"]["first"][0])
            self.assertGreater(r["wrong"]["first"][0].count("\n"), 1)

    def test_the_permission_of_a_translation(self):
        with kit.Altered(VFIO) as rec:
            rec.line("log.txt.xz", "T", {4: "1"})
            self.expect(rec, ["translation"])

    def test_an_address_that_is_not_mapped(self):
        with kit.Altered(VFIO) as rec:
            rec.line("log.txt.xz", "T", {2: "7fff0000"}, 3)
            self.expect(rec, ["translation"])

    def test_a_table_word(self):
        def other_page(lines):
            """of the word that the first walk of stream 28 ends with"""
            at = next(i for i, text in enumerate(lines)
                      if text.startswith("T 28") and text.endswith(" w"))
            at = max(i for i in range(at) if lines[i].startswith("P "))
            tag, addr, value = lines[at].split()
            lines[at] = "%s %s %x" % (tag, addr, int(value, 16) ^ 1 << 12)
        with kit.Altered(VFIO) as rec:
            rec.lines("log.txt.xz", other_page)
            self.expect(rec, ["translation"])

    def test_a_walk_that_is_called_a_hit(self):
        with kit.Altered(VFIO) as rec:
            rec.line("log.txt.xz", "T", {6: "h"})
            self.expect(rec, ["hit"], "--cache", "hostile")
            self.expect(rec, [], "--cache", "fast")

    def test_a_bypass_of_a_stream_that_is_translated(self):
        with kit.Altered(LAZY) as rec:
            rec.line("log.txt.xz", "B", {1: "10"})
            self.expect(rec, ["translation"])

    def test_each_field_of_an_event_record(self):
        # of the first record, by byte and bits: EventID, SSV, StreamID, STAG,
        # S2, CLASS, IPA. RnW and InputAddr say which access to repeat.
        for offset, flip in ((0, 0x03), (1, 0x08), (4, 0x40), (8, 0x01),
                             (12, 0x80), (13, 0x01), (25, 0x10)):
            with kit.Altered(VFIO) as rec:
                rec.byte("events.bin", offset, flip)
                for world in WORLDS:
                    wrong, _ = self.replay(rec, "--no-snapshots", *world)
                    # A stream without an STE: no event, nor its interrupt.
                    self.assertEqual(set(wrong) - {"interrupt"}, {"fault"})

    def test_the_direction_of_a_fault(self):
        # The second PERMISSION record is of a page that may be read.
        records = [i for i in range(428) if self.event(i)[0] == 0x13]
        with kit.Altered(VFIO) as rec:
            rec.byte("events.bin", records[1] * 32 + 12, 0x08)
            self.expect(rec, ["fault"])

    @staticmethod
    def event(number):
        with open(os.path.join(VFIO, "events.bin"), "rb") as f:
            f.seek(number * 32)
            return f.read(32)

    def test_a_fault_where_there_is_a_mapping(self):
        def input_address(rec):
            words = kit.unpack(rec.path, "log.txt.xz").splitlines()
            at = next(i for i, text in enumerate(words)
                      if text.startswith("F "))
            iova = next(text.split()[2] for text in reversed(words[:at])
                        if text.startswith("T 28"))
            with open(rec.file("events.bin"), "r+b") as f:
                f.seek(16)
                f.write(int(iova, 16).to_bytes(8, "little"))
        with kit.Altered(VFIO) as rec:
            input_address(rec)
            for world in WORLDS:
                wrong, r = self.replay(rec, "--no-snapshots", *world)
                self.assertGreaterEqual(wrong["fault"], 1)
                self.assertIn("succeeded", r["wrong"]["first"][0])

    def test_the_register_that_must_follow_cr0(self):
        # Bit 4 of CR0 is reserved: CR0ACK never shows it; bit 1, PRIQEN, is
        # not there without PRI.
        with kit.Altered(VFIO) as rec:
            rec.lines("log.txt.xz", lambda lines: lines.__setitem__(
                lines.index("W 20 d 4"), "W 20 f 4"))
            self.expect(rec, ["register"])

    def test_a_command_that_is_illegal(self):
        with kit.Altered(VFIO) as rec:
            data = bytearray(lzma.open(rec.file("commands.bin.xz")).read())
            data[100 * 16] = 0xff
            with lzma.open(rec.file("commands.bin.xz"), "w") as f:
                f.write(bytes(data))
            for world in WORLDS:
                wrong, r = self.replay(rec, "--no-snapshots", *world)
                self.assertGreaterEqual(wrong["command"], 1)
                self.assertIn("command 100", r["wrong"]["first"][0])

    def test_a_leaf_of_a_snapshot(self):
        for place, text in ((4, "0x40001000"), (6, "r-u")):
            def change(lines, place=place, text=text):
                at = next(i for i, line in enumerate(lines)
                          if line.startswith("2,") and ",rwu," in line)
                words = lines[at].split(",")
                words[place] = text
                lines[at] = ",".join(words)
            with kit.Altered(VFIO) as rec:
                rec.lines("translations.csv.xz", change)
                for world in WORLDS:
                    wrong, r = self.replay(rec, *world)
                    self.assertEqual(set(wrong), {"snapshot"})
                    self.assertIn("snapshot 2", r["wrong"]["first"][0])

    def test_a_gap_of_a_snapshot_that_is_mapped(self):
        def shorter(lines):
            at = next(i for i, line in enumerate(lines)
                      if line.split(",")[5] == "0x200000")
            words = lines[at].split(",")
            words[5] = "0x100000"
            lines[at] = ",".join(words)
        with kit.Altered(VFIO) as rec:
            rec.lines("translations.csv.xz", shorter)
            for world in WORLDS:
                wrong, _ = self.replay(rec, *world)
                self.assertEqual(set(wrong), {"snapshot"})


class Mutate(unittest.TestCase):
    def mutate(self, kind, seed=1, count=50, path=VFIO):
        r = kit.run("replay", "--json", "--mutate", kind, "--seed", seed,
                    "--mutations", count, path)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        return json.loads(r.stdout)["mutations"]

    def test_a_seed_always_gives_the_same(self):
        self.assertEqual(self.mutate("narrow", 7), self.mutate("narrow", 7))
        self.assertNotEqual([m["index"] for m in self.mutate("narrow", 7)],
                            [m["index"] for m in self.mutate("narrow", 8)])

    def test_each_kind_alters_what_it_says(self):
        # IHI 0070 4.4: ASID 63:48 and NUM, SCALE 24:12 of the first word,
        # TTL 9:8 and the address 63:12 of the second
        masks = {"asid": (0xffff << 48, 0),
                 "ttl": (0, 0x300),
                 "narrow": (0x1fff << 12, ~0xfff & (1 << 64) - 1)}
        commands = kit.commands(VFIO)
        for kind, mask in masks.items():
            for m in self.mutate(kind):
                was, now = commands[m["index"]], [int(w, 16)
                                                  for w in m["words"]]
                self.assertNotEqual(list(was), now)
                for a, b, may in zip(was, now, mask):
                    self.assertEqual((a ^ b) & ~may, 0, (kind, m))
        for m in self.mutate("drop"):
            self.assertEqual([int(w, 16) for w in m["words"]], [0x46, 0])

    def test_the_report_for_people_tells_who_noticed(self):
        r = kit.run("replay", "--mutate", "drop", "--seed", "1",
                    "--mutations", "400", VFIO)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertIn("a stale translation", r.stdout)
        self.assertIn("altered       400 of 4800 commands (drop)", r.stdout)


class Output(unittest.TestCase):
    def test_the_report_for_people(self):
        r = kit.run("replay", VFIO, LAZY)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertIn("8952 in 4104 doorbells", r.stdout)
        self.assertIn("4793  CMD_TLBI_NH_VA\n", r.stdout)
        self.assertRegex(r.stdout, r"(?m)^2 recordings, 10171 commands, "
                                   r"\d+ accesses checked: 0 wrong$")

    def test_a_full_disk(self):
        with open("/dev/full", "w") as full:
            r = kit.run("replay", "--no-snapshots", VFIO, stdout=full)
        self.assertEqual(r.returncode, 1)
        self.assertIn("standard output: No space left", r.stderr)

    def test_no_progress_without_a_terminal(self):
        self.assertEqual(kit.run("replay", LAZY).stderr, "")

    def test_it_can_be_interrupted(self):
        p = subprocess.Popen([kit.NESTFD, "replay"] + [LAZY] * 500,
                             stdout=subprocess.DEVNULL)
        time.sleep(0.1)
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(timeout=30), -signal.SIGINT)


class Probe(unittest.TestCase):
    def test_the_machine_in_the_process(self):
        r = kit.run("probe", "--nestfd")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertIn("SMMUv3", r.stdout)

    def test_a_device_that_is_not_there(self):
        r = kit.run("probe", "/nowhere/iommu")
        self.assertEqual((r.returncode, r.stdout), (1, ""))
        self.assertEqual(r.stderr,
                         "nestfd: /nowhere/iommu: No such file or directory\n")

    @unittest.skipIf(os.path.exists("/dev/iommu"), "there is one here")
    def test_a_machine_without_one_is_told_why(self):
        r = kit.run("probe")
        self.assertEqual((r.returncode, r.stdout), (1, ""))
        self.assertRegex(r.stderr, r"^nestfd: /dev/iommu: No such file or "
                         r"directory \(.*CONFIG_IOMMUFD.*--nestfd.*\)\n$")

    def test_something_that_is_no_iommu(self):
        r = kit.run("probe", "/dev/null")
        self.assertEqual(r.returncode, 1)
        self.assertEqual(r.stderr.count("\n"), 1, r.stderr)

    def test_wrong_options(self):
        for args in (("--bogus",), ("a", "b"), ("--nestfd", "a")):
            r = kit.run("probe", *args)
            self.assertEqual((r.returncode, r.stdout), (2, ""), args)


if __name__ == "__main__":
    unittest.main()
