#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nestfd and nestfd dump as a user meets them: exit codes and messages."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

NESTFD = os.environ["NESTFD"]
TRACE = os.path.join(os.environ["NESTFD_TRACES"], "smmuv3-s1-vfio-6.12")


def run(*args, **kwargs):
    kwargs.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([NESTFD, *args], stderr=subprocess.PIPE, text=True,
                          timeout=60, **kwargs)


class Usage(unittest.TestCase):
    def test_no_command_prints_the_usage_on_stderr(self):
        r = run()
        self.assertEqual((r.returncode, r.stdout), (2, ""))
        self.assertIn("Usage: nestfd COMMAND", r.stderr)

    def test_an_unknown_command_is_named(self):
        r = run("dmp")
        self.assertEqual((r.returncode, r.stdout), (2, ""))
        self.assertIn("nestfd: unknown command 'dmp'\n", r.stderr)

    def test_an_unknown_option_is_named(self):
        r = run("--bogus")
        self.assertEqual(r.returncode, 2)
        self.assertIn("nestfd: unknown option '--bogus'\n", r.stderr)

    def test_help_goes_to_stdout_and_lists_the_commands(self):
        r = run("--help")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertIn("  dump ", r.stdout)

    def test_version_is_one_line(self):
        r = run("--version")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertRegex(r.stdout, r"^nestfd \d+\.\d+\.\d+\n$")

    def test_help_of_a_command(self):
        r = run("dump", "--help")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertIn("--tables", r.stdout)

    def test_wrong_options_of_dump(self):
        for args in ((), ("--bogus", TRACE), ("--limit", "x", TRACE),
                     ("--limit", "-1", TRACE), ("--limit", "", TRACE),
                     ("--limit", "99999999999999999999", TRACE),
                     ("--tables=x", TRACE), (TRACE, TRACE)):
            r = run("dump", *args)
            self.assertEqual((r.returncode, r.stdout), (2, ""), args)
            self.assertTrue(r.stderr.startswith("nestfd dump: "), r.stderr)


class Dump(unittest.TestCase):
    def test_the_summary_has_counts_and_twenty_commands(self):
        r = run("dump", TRACE)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertIn("commands     8952 of 16 bytes\n", r.stdout)
        self.assertEqual(r.stdout.count(" CMD_"), 20)

    def test_all_commands(self):
        r = run("dump", "--commands", TRACE)
        self.assertEqual(r.returncode, 0)
        self.assertEqual(r.stdout.count(" CMD_"), 8952)
        self.assertEqual(r.stdout.count(" CMD_SYNC "), 4091)
        self.assertNotIn("other=", r.stdout)

    def test_limit_holds_for_each_part(self):
        r = run("dump", "--commands", "--events", "--log", "--limit", "3",
                TRACE)
        self.assertEqual(r.returncode, 0)
        self.assertEqual(len(r.stdout.splitlines()), 3 * 3 + 2)

    def test_events_are_decoded(self):
        r = run("dump", "--events", TRACE)
        self.assertEqual(r.stdout.count(" F_TRANSLATION "), 426)
        self.assertEqual(r.stdout.count(" F_PERMISSION "), 2)

    def test_tables_of_one_snapshot(self):
        r = run("dump", "--tables=2", TRACE)
        self.assertEqual(r.returncode, 0)
        self.assertIn("snapshot 2 busy2: 951 commands", r.stdout)
        self.assertNotIn("snapshot 3", r.stdout)
        self.assertIn("stream 0x28: 7026 leaves", r.stdout)
        self.assertIn("CD V=1 ASID=5 ", r.stdout)

    def test_tables_of_all_snapshots(self):
        r = run("dump", "--tables", TRACE)
        self.assertEqual(r.returncode, 0)
        self.assertEqual(r.stdout.count("\nsnapshot "), 9)

    def test_a_snapshot_that_is_not_there(self):
        r = run("dump", "--tables=10", TRACE)
        self.assertEqual(r.returncode, 2)
        self.assertEqual(r.stderr, "nestfd: %s/meta.json:0: "
                         "there is no snapshot 10, only 10\n" % TRACE)


VTD = os.path.join(os.environ["NESTFD_TRACES"], "vtd-sm-fs-vfio-6.12")


class DumpVtd(unittest.TestCase):
    def test_descriptors_are_decoded(self):
        r = run("dump", "--commands", VTD)
        self.assertEqual(r.returncode, 0)
        self.assertEqual(r.stdout.count("  WAIT SW "), 4591)
        self.assertEqual(r.stdout.count("  PIOTLB G=3 "), 4562)
        self.assertEqual(r.stdout.count("  PASID_CACHE G=1 "), 4)
        self.assertNotIn("other=", r.stdout)

    def test_tables_of_one_snapshot(self):
        r = run("dump", "--tables=3", VTD)
        self.assertEqual(r.returncode, 0)
        self.assertIn("stream 0x28 pasid 0  PASID P=1 AW=2 PGTT=1 ", r.stdout)
        self.assertIn("stream 0x28 without PASID: ", r.stdout)

    def test_the_log_names_structures_and_faults(self):
        r = run("dump", "--log", VTD)
        self.assertEqual(r.returncode, 0)
        for text in ("root LP=1 ", "context P=1 PDTS=2 ",
                     "PASID directory P=1 ", "first-stage entry P=1 R/W ",
                     "reason 0x71 (SFS.2 first-stage entry not present)",
                     "fault record 0: fault T1=1 AT=0 PV=0 FR=0x71 "):
            self.assertIn(text, r.stdout)
        self.assertNotIn("other=", r.stdout)


class Trouble(unittest.TestCase):
    def test_a_recording_that_is_not_there(self):
        r = run("dump", "/nonexistent")
        self.assertEqual((r.returncode, r.stdout), (2, ""))
        self.assertEqual(r.stderr, "nestfd: /nonexistent/meta.json:0: "
                         "No such file or directory\n")

    def test_a_damaged_log_is_reported_in_one_line(self):
        with tempfile.TemporaryDirectory() as tmp:
            for name in os.listdir(TRACE):
                shutil.copyfile(os.path.join(TRACE, name),
                                os.path.join(tmp, name))
            log = os.path.join(tmp, "log.txt.xz")
            os.truncate(log, os.path.getsize(log) - 1000)
            r = run("dump", "--log", tmp)
        self.assertEqual(r.returncode, 2)
        self.assertRegex(r.stderr, r"^nestfd: %s:\d+: the compressed data "
                         r"ends early\n$" % log)

    def test_a_full_disk_is_an_error(self):
        for option in ("--version",), ("dump", TRACE), ("dump", "--log", TRACE):
            with open("/dev/full", "w") as full:
                r = run(*option, stdout=full)
            self.assertEqual(r.returncode, 1, option)
            self.assertEqual(r.stderr, "nestfd: standard output: "
                             "No space left on device\n")

    def test_a_closed_pipe_is_quiet(self):
        for restore in (True, False):
            p = subprocess.Popen([NESTFD, "dump", "--log", TRACE],
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE,
                                 restore_signals=restore)
            p.stdout.readline()
            p.stdout.close()
            self.assertEqual(p.stderr.read(), b"")
            p.stderr.close()
            self.assertNotEqual(p.wait(60), 0)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
